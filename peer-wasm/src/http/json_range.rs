//! The places of JSON range patches, in both ways of writing them, brought to one.
//!
//! Read are `.tags[0:0]`, `.notes["a b"][-1]` (Braid's programs) and JSON pointers such as `/tags/0-0`
//! (draft range-patch-01). Written is the first, with these steps only:
//!
//! ```text
//! range  = *step [slice]
//! step   = "." name | "[" json-string "]" | "[" number "]"     name: a letter or _, then letters, digits, _
//! slice  = "[" number ":" number "]"                           only at the end; the end is not included
//! number = ["-"] digits                                        -0 is the end, -1 the last item
//! ```
//! A pointer cannot tell an array's item from a member whose name is a number; both become `[3]`, which on an
//! object means the member `"3"`.

use super::limits::{MAX_JSON_DEPTH, MAX_RANGE_BYTES};
use serde_json::Value as Json;

/// The range in the one way of writing, or what is wrong with it.
pub(super) fn normalise(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.len() > MAX_RANGE_BYTES {
        return Err("is too long");
    }
    let steps = if text.starts_with('/') { pointer(text)? } else { brackets(text)? };
    if steps.len() > MAX_JSON_DEPTH {
        return Err("is nested too deep");
    }
    let inner = steps.split_last().map_or(&[] as &[Step], |(_, inner)| inner);
    if inner.iter().any(|step| matches!(step, Step::Slice(..))) {
        return Err("has a slice that is not at its end");
    }
    Ok(steps.iter().map(Step::write).collect())
}

enum Step {
    Member(String),
    Item(Place),
    Slice(Place, Place),
}

/// A number of items from the start or, with `back`, from the end.
#[derive(Clone, Copy)]
struct Place {
    back: bool,
    count: u64,
}

impl Place {
    fn read(text: &str) -> Option<Place> {
        let digits = text.strip_prefix('-');
        let back = digits.is_some();
        let digits = digits.unwrap_or(text);
        if digits.is_empty() || digits.len() > 15 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Place { back, count: digits.parse().ok()? })
    }

    fn write(self) -> String {
        format!("{}{}", if self.back { "-" } else { "" }, self.count)
    }
}

impl Step {
    fn slice(start: Place, end: Place) -> Result<Step, &'static str> {
        let wrong = start.back == end.back && (start.count > end.count) != start.back && start.count != end.count;
        if wrong { Err("ends before it starts") } else { Ok(Step::Slice(start, end)) }
    }

    fn write(&self) -> String {
        match self {
            Step::Member(name) => {
                let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if plain { format!(".{name}") } else { format!("[{}]", Json::from(name.as_str())) }
            }
            Step::Item(place) => format!("[{}]", place.write()),
            Step::Slice(start, end) => format!("[{}:{}]", start.write(), end.write()),
        }
    }
}

fn brackets(text: &str) -> Result<Vec<Step>, &'static str> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if rest.starts_with("[\"") {
            let inside = rest.get(1..).unwrap_or_default();
            let mut strings = serde_json::Deserializer::from_str(inside).into_iter::<String>();
            let Some(Ok(name)) = strings.next() else { return Err("has a name whose quotes are not closed") };
            let after = inside.get(strings.byte_offset()..).unwrap_or_default();
            steps.push(Step::Member(name));
            rest = after.strip_prefix(']').ok_or("has a bracket that is not closed")?;
        } else if let Some(inside) = rest.strip_prefix('[') {
            let (inside, after) = inside.split_once(']').ok_or("has a bracket that is not closed")?;
            let number = |text: &str| Place::read(text).ok_or("has brackets that hold neither numbers nor a quoted name");
            steps.push(match inside.split_once(':') {
                Some((start, end)) => Step::slice(number(start)?, number(end)?)?,
                None => Step::Item(number(inside)?),
            });
            rest = after;
        } else {
            let dotted = rest.strip_prefix('.');
            if dotted.is_none() && !steps.is_empty() {
                return Err("has a name without a dot before it");
            }
            let bare = dotted.unwrap_or(rest);
            let end = bare.find(['.', '[']).unwrap_or(bare.len());
            let (name, after) = bare.split_at(end);
            if name.is_empty() || name.contains(|c: char| c.is_control() || "\"]".contains(c)) {
                return Err("has a name that must stand in brackets and quotes");
            }
            steps.push(Step::Member(name.to_owned()));
            rest = after;
        }
    }
    if steps.iter().any(|step| matches!(step, Step::Member(name) if name.contains('\0'))) {
        return Err("has a name with a NUL character");
    }
    Ok(steps)
}

fn pointer(text: &str) -> Result<Vec<Step>, &'static str> {
    let names: Vec<&str> = text.split('/').skip(1).collect();
    let mut steps = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let last = at + 1 == names.len();
        if *name == "-" {
            let end = Place { back: true, count: 0 };
            steps.push(Step::Slice(end, end));
            continue;
        }
        let forward = |text: &str| Place::read(text).filter(|place| !place.back);
        let slice = name.split_once('-').and_then(|(start, end)| Some((forward(start)?, forward(end)?)));
        steps.push(match (slice, forward(name)) {
            (Some((start, end)), _) if last => Step::slice(start, end)?,
            (_, Some(place)) if *name == place.write() => Step::Item(place),
            _ => Step::Member(unescape(name)?),
        });
    }
    Ok(steps)
}

fn unescape(name: &str) -> Result<String, &'static str> {
    let mut plain = String::new();
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err("has a ~ that is neither ~0 nor ~1"),
            },
            c => c,
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_become_one() {
        for (text, normal) in [
            ("", ""),
            (".tags[0:0]", ".tags[0:0]"),
            ("tags[1]", ".tags[1]"),
            (".a.b[\"x y\"][-1].c", ".a.b[\"x y\"][-1].c"),
            ("[\"key\"]", ".key"),
            ("[\"caf\\u00e9 \\\"]\"]", "[\"café \\\"]\"]"),
            ("[-0:-0]", "[-0:-0]"),
            (".a[-2:-1]", ".a[-2:-1]"),
            (".a[1:-1]", ".a[1:-1]"),
            (".two words.x", "[\"two words\"].x"),
            ("/tags/0-0", ".tags[0:0]"),
            ("/messages/1-1", ".messages[1:1]"),
            ("/a~1b/~0/3", "[\"a/b\"][\"~\"][3]"),
            ("/list/-", ".list[-0:-0]"),
            ("/1-2/x", "[\"1-2\"].x"),
            ("/007", "[\"007\"]"),
            ("/", "[\"\"]"),
        ] {
            assert_eq!(normalise(text), Ok(normal.to_owned()), "{text}");
            assert_eq!(normalise(normal), Ok(normal.to_owned()), "{normal}");
        }
    }

    #[test]
    fn refuses_what_names_no_place() {
        let long = ".a".repeat(MAX_RANGE_BYTES);
        let deep = ".a".repeat(MAX_JSON_DEPTH + 1);
        for bad in [
            ".", ".a.", ".a[", ".a[]", ".a[x]", ".a[1:2:3]", ".a[2:1]", ".a[-1:-2]", ".a[0:1].b", ".a[\"x]", ".a[\"x\"", "a]",
            ".a[1]b", "[\"\\u0000\"]", "/a~2", "/a/2-1", "/-/x", ".a[1234567890123456]", &long, &deep,
        ] {
            assert!(normalise(bad).is_err(), "{bad}");
        }
    }
}
