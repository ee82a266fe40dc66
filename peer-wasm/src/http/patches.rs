//! Braid range patches: `Content-Range: json …` with one body, or `Patches: N` with several blocks in it.

use super::json;
use super::limits::{MAX_PATCHES, MAX_RANGE_BYTES};
use super::message::Fields;
use super::problem::{Checked, Kind, Problem};
use super::route::accept_patch;
use kith_core::api::Change;
use kith_core::patch::check_range;
use serde_json::Value as Json;

/// The media type of a body with several patches.
pub(super) const HTTP_PATCHES: &str = "application/http-patches";

/// A patch as it came: its range with the unit, and what replaces that.
pub(super) type Raw<'a> = (String, &'a [u8]);

/// The patches of a JSON value a request carries, if it carries any.
pub(super) fn read(fields: &Fields, body: &[u8]) -> Checked<Option<Change>> {
    let Some(raw) = raw(fields, body)? else { return Ok(None) };
    if raw.is_empty() {
        return Err(wrong_count());
    }
    let patches = raw.iter().map(|(range, content)| patch(range, content));
    patches.collect::<Checked<_>>().map(|patches| Some(Change::Ranges(patches)))
}

/// The range patches a request carries, if it carries any.
pub(super) fn raw<'a>(fields: &Fields, body: &'a [u8]) -> Checked<Option<Vec<Raw<'a>>>> {
    let count = count(fields)?;
    match (fields.text("content-range")?, count) {
        (Some(_), Some(_)) => {
            Err(malformed("Content-Range and Patches exclude each other: give each patch its own Content-Range"))
        }
        (Some(range), None) => Ok(Some(vec![(range.to_owned(), body)])),
        (None, Some(count)) => blocks(count, body).map(Some),
        (None, None) => Ok(None),
    }
}

/// How many blocks the body has, by `Patches` or by its media type.
fn count(fields: &Fields) -> Checked<Option<usize>> {
    let typed = fields.text("content-type")?.and_then(|text| {
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let count = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("count="));
        essence.trim().eq_ignore_ascii_case(HTTP_PATCHES).then_some(count)
    });
    let text = match (fields.text("patches")?, typed) {
        (Some(text), _) | (None, Some(Some(text))) => text,
        (None, Some(None)) => return Err(malformed("Say how many patches there are: Patches: N")),
        (None, None) => return Ok(None),
    };
    let count = text.parse::<usize>().ok().filter(|count| *count <= MAX_PATCHES);
    count.map(Some).ok_or_else(wrong_count)
}

fn wrong_count() -> Box<Problem> {
    Problem::header("patches", &format!("must be a number from 1 to {MAX_PATCHES}"))
}

/// One patch from its `Content-Range` and its body. An empty body deletes.
fn patch(range: &str, body: &[u8]) -> Checked<(String, Option<Json>)> {
    let (unit, place) = range.split_once([' ', '=']).unwrap_or((range, ""));
    if !unit.eq_ignore_ascii_case("json") {
        let detail = "Only JSON values can be patched by range: Content-Range: json .name[0:0].";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail)
            .with_header("Accept-Patch", accept_patch(None))
            .with_header("Range-Request-Allow-Units", "json"));
    }
    let place = place.trim();
    if place.len() > MAX_RANGE_BYTES {
        return Err(malformed(&format!("A range may have at most {MAX_RANGE_BYTES} bytes")));
    }
    check_range(place).map_err(|error| Problem::new(Kind::MalformedPatch, error.to_string()))?;
    let value = if body.is_empty() { None } else { Some(json::read(body)?) };
    Ok((place.to_owned(), value))
}

/// The patches of a body with `count` blocks: headers, a blank line and `Content-Length` bytes each.
fn blocks(count: usize, body: &[u8]) -> Checked<Vec<Raw<'_>>> {
    let mut patches = Vec::new();
    let mut rest = body;
    for number in 1..=count {
        let unreadable = |what: &str| malformed(&format!("Patch {number} of {count} {what}"));
        let (mut range, mut length) = (None, None);
        let mut begun = false;
        loop {
            let (line, after) = line(rest).ok_or_else(|| unreadable("has no blank line after its headers"))?;
            rest = after;
            if line.is_empty() && begun {
                break;
            } else if line.is_empty() {
                continue;
            }
            begun = true;
            let (name, value) = line.split_once(':').ok_or_else(|| unreadable("has a header line without a colon"))?;
            let seen = match name.trim().to_ascii_lowercase().as_str() {
                "content-range" => range.replace(value.trim().to_owned()).is_some(),
                "content-length" => {
                    let bytes = value.trim().parse::<usize>();
                    length.replace(bytes.map_err(|_| unreadable("has a Content-Length that is no number"))?).is_some()
                }
                _ => false,
            };
            if seen {
                return Err(unreadable("gives a header twice"));
            }
        }
        let range = range.ok_or_else(|| unreadable("has no Content-Range"))?;
        let length = length.ok_or_else(|| unreadable("has no Content-Length"))?;
        let (content, after) =
            rest.split_at_checked(length).ok_or_else(|| unreadable("ends before its Content-Length"))?;
        patches.push((range, content));
        rest = after;
    }
    if rest.iter().any(|byte| !byte.is_ascii_whitespace()) {
        return Err(malformed("There is more in the body than the number of patches says"));
    }
    Ok(patches)
}

/// The first line as ASCII, without its end, and what follows.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    Some((text.strip_suffix('\r').unwrap_or(text), bytes.get(end + 1..)?))
}

fn malformed(what: &str) -> Box<Problem> {
    Problem::new(Kind::MalformedPatch, format!("{what}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ranges(headers: &[(&str, &str)], body: &str) -> Result<Vec<(String, Option<Json>)>, u16> {
        let lines = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match read(&Fields::new(lines).unwrap(), body.as_bytes()) {
            Ok(Some(Change::Ranges(ranges))) => Ok(ranges),
            Ok(other) => panic!("{other:?}"),
            Err(problem) => Err(problem.status()),
        }
    }

    #[test]
    fn one_patch_in_either_dialect() {
        let tags = vec![(".tags[0:0]".to_owned(), Some(json!(["hot"])))];
        assert_eq!(ranges(&[("Content-Range", "json .tags[0:0]")], "[\"hot\"]"), Ok(tags));
        assert_eq!(
            ranges(&[("Content-Range", "JSON=/tags/0-0")], "[\"hot\"]"),
            Ok(vec![("/tags/0-0".to_owned(), Some(json!(["hot"])))])
        );
        assert_eq!(ranges(&[("Content-Range", "json .a")], ""), Ok(vec![(".a".into(), None)]));
        assert_eq!(ranges(&[("Content-Range", "json")], "1"), Ok(vec![(String::new(), Some(json!(1)))]));
        assert_eq!(ranges(&[("Content-Range", "text [1:2]")], "x"), Err(415));
        assert_eq!(ranges(&[("Content-Range", "bytes 0-1/2")], "x"), Err(415));
        assert_eq!(ranges(&[("Content-Range", "json .a[")], "1"), Err(400));
        assert_eq!(ranges(&[("Content-Range", "json .a")], "{"), Err(400));
    }

    #[test]
    fn several_patches_in_one_body() {
        let body = "\r\nContent-Length: 7\r\nContent-Range: json .tags[0:0]\r\n\r\n[\"hot\"]\r\n\r\ncontent-range: json .old\nContent-Length: 0\n\n\n";
        let expected = vec![(".tags[0:0]".to_owned(), Some(json!(["hot"]))), (".old".to_owned(), None)];
        assert_eq!(ranges(&[("Patches", "2")], body), Ok(expected.clone()));
        assert_eq!(ranges(&[("Content-Type", "application/http-patches; count=2")], body), Ok(expected));
        for (count, bad) in [
            ("2", "Content-Length: 1\nContent-Range: json .a\n\n1"),
            ("1", body),
            ("3", body),
            ("0", ""),
            ("1001", ""),
            ("x", ""),
            ("1", "Content-Range: json .a\n\n1"),
            ("1", "Content-Length: 1\n\n1"),
            ("1", "Content-Length: 9\nContent-Range: json .a\n\n1"),
            ("1", "Content-Length: 1\nContent-Length: 1\nContent-Range: json .a\n\n1"),
            ("1", "Content-Length: -1\nContent-Range: json .a\n\n1"),
            ("1", "banana\n\n1"),
        ] {
            assert_eq!(ranges(&[("Patches", count)], bad), Err(400), "{count} {bad}");
        }
        assert_eq!(ranges(&[("Patches", "1"), ("Content-Range", "json .a")], "1"), Err(400));
        assert_eq!(ranges(&[("Content-Type", "application/http-patches")], "1"), Err(400));
    }
}
