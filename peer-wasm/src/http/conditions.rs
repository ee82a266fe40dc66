//! `If-Match` and `If-None-Match` (RFC 9110, section 13).

use super::limits::MAX_LISTED;
use super::message::Fields;
use super::problem::{Checked, Problem};
use kith_core::api::Preconditions;

/// The conditions of a request. Weak tags never match in `If-Match` and match as strong ones in `If-None-Match`.
pub(super) fn read(fields: &Fields) -> Checked<Preconditions> {
    let if_match = tags(fields, "if-match")?;
    let if_none_match = tags(fields, "if-none-match")?.map(|tags| tags.iter().map(|tag| strong(tag)).collect());
    Ok(Preconditions { if_match, if_none_match })
}

/// How the conditions of a read turn out against the tag of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answer as if there were none.
    Go,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// The outcome of a read's conditions where something with this tag is there.
pub(super) fn outcome(conditions: &Preconditions, tag: &str) -> Outcome {
    let names = |tags: &Vec<String>| tags.is_empty() || tags.iter().any(|known| known == tag);
    if conditions.if_match.as_ref().is_some_and(|tags| !names(tags)) {
        Outcome::Failed
    } else if conditions.if_none_match.as_ref().is_some_and(names) {
        Outcome::NotModified
    } else {
        Outcome::Go
    }
}

fn strong(tag: &str) -> String {
    tag.strip_prefix("W/").unwrap_or(tag).to_owned()
}

/// The tags of a header, quotes and `W/` included; an empty list stands for `*`.
fn tags(fields: &Fields, header: &str) -> Checked<Option<Vec<String>>> {
    let Some(text) = fields.text(header)? else { return Ok(None) };
    let wrong = || Problem::header(header, "must be * or a comma-separated list of ETags with their quotes");
    if text == "*" {
        return Ok(Some(Vec::new()));
    }
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        let weak = rest.strip_prefix("W/");
        let inside = weak.unwrap_or(rest).strip_prefix('"').ok_or_else(wrong)?;
        let (opaque, after) = inside.split_once('"').ok_or_else(wrong)?;
        if opaque.contains(char::is_whitespace) {
            return Err(wrong());
        }
        tags.push(format!("{}\"{opaque}\"", if weak.is_some() { "W/" } else { "" }));
        if tags.len() > MAX_LISTED {
            return Err(Problem::header(header, &format!("may list at most {MAX_LISTED} tags")));
        }
        rest = after.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return Ok(Some(tags));
        }
        rest = rest.strip_prefix(',').ok_or_else(wrong)?.trim_start_matches([' ', '\t']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(name: &str, value: &str) -> Option<Preconditions> {
        read(&Fields::new(vec![(name.to_owned(), value.to_owned())]).unwrap()).ok()
    }

    #[test]
    fn reads_tags_weak_and_strong() {
        let none_match = |value: &str| read_one("If-None-Match", value).and_then(|found| found.if_none_match);
        assert_eq!(none_match("*"), Some(vec![]));
        assert_eq!(none_match("\"a\", W/\"b\",\"c,d\""), Some(vec!["\"a\"".into(), "\"b\"".into(), "\"c,d\"".into()]));
        let must_match = read_one("If-Match", "W/\"a\"").and_then(|found| found.if_match);
        assert_eq!(must_match, Some(vec!["W/\"a\"".into()]));
        for bad in ["", "a", "\"a", "\"a\" \"b\"", "*, \"a\"", "\"a\",", "w/\"a\"", "\"a b\""] {
            assert_eq!(read_one("If-Match", bad), None, "{bad}");
        }
    }

    #[test]
    fn decides_reads() {
        let of = |name, value| outcome(&read_one(name, value).unwrap(), "\"a\"");
        assert_eq!(of("If-None-Match", "W/\"a\""), Outcome::NotModified);
        assert_eq!(of("If-None-Match", "\"b\""), Outcome::Go);
        assert_eq!(of("If-None-Match", "*"), Outcome::NotModified);
        assert_eq!(of("If-Match", "\"b\", \"a\""), Outcome::Go);
        assert_eq!(of("If-Match", "W/\"a\""), Outcome::Failed);
        assert_eq!(of("If-Match", "*"), Outcome::Go);
    }
}
