//! Lists of quoted strings (RFC 9651), the form of `Version` and `Parents`.
//!
//! Two ways of writing other characters than ASCII are read: JSON escapes inside the quotes, as Braid programs send
//! them, and the display strings of RFC 9651 (`%"caf%c3%a9"`), as the draft says. JSON escapes are written.

use super::limits::{MAX_LISTED, MAX_VERSION_CHARS};
use super::problem::{Checked, Problem, version_unknown};
use super::url::percent_decode;
use kith_core::version::Version;

/// The strings of a list. Parameters after a string (`"a";x=1`) are passed over. `header` names it in problems.
pub(super) fn read_strings(header: &str, text: &str) -> Checked<Vec<String>> {
    let wrong = || Problem::header(header, "must be a comma-separated list of quoted ids such as \"k7f2ab-12\"");
    let mut strings: Vec<String> = Vec::new();
    let mut rest = text.trim_matches([' ', '\t']);
    if rest.is_empty() {
        return Ok(strings);
    }
    loop {
        let (string, after) = read_string(rest).ok_or_else(wrong)?;
        if string.is_empty() || string.chars().count() > MAX_VERSION_CHARS || string.contains(char::is_control) {
            return Err(Problem::header(
                header,
                &format!("must list ids of 1 to {MAX_VERSION_CHARS} printable characters"),
            ));
        }
        if !strings.contains(&string) {
            strings.push(string);
        }
        if strings.len() > MAX_LISTED {
            return Err(Problem::header(header, &format!("may list at most {MAX_LISTED} ids")));
        }
        rest = skip_parameters(after).ok_or_else(wrong)?.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return Ok(strings);
        }
        rest = rest.strip_prefix(',').ok_or_else(wrong)?.trim_start_matches([' ', '\t']);
    }
}

/// One string from the front and what follows it.
fn read_string(text: &str) -> Option<(String, &str)> {
    if let Some(inside) = text.strip_prefix("%\"") {
        let (encoded, after) = inside.split_once('"')?;
        return Some((percent_decode(encoded)?, after));
    }
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let quoted = text.get(..at + 2)?;
                return Some((serde_json::from_str(quoted).ok()?, text.get(at + 2..)?));
            }
            _ => {}
        }
    }
    None
}

/// What follows the parameters at the front.
fn skip_parameters(mut text: &str) -> Option<&str> {
    while let Some(inside) = text.trim_start_matches([' ', '\t']).strip_prefix(';') {
        let inside = inside.trim_start_matches(' ');
        let key = inside.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.*".contains(c))).unwrap_or(inside.len());
        if key == 0 {
            return None;
        }
        text = inside.get(key..)?;
        if let Some(value) = text.strip_prefix('=') {
            text = match read_string(value) {
                Some((_, after)) => after,
                None => value.get(value.find([';', ',', ' ', '\t']).unwrap_or(value.len())..)?,
            };
        }
    }
    Some(text)
}

/// Strings as a list, other characters than ASCII as JSON escapes.
pub(super) fn write_strings<S: AsRef<str>>(strings: &[S]) -> String {
    strings.iter().map(|string| quote(string.as_ref())).collect::<Vec<_>>().join(", ")
}

/// One string in quotes, ASCII only.
pub(super) fn quote(string: &str) -> String {
    let mut quoted = String::with_capacity(string.len() + 2);
    for c in serde_json::Value::from(string).to_string().chars() {
        if c.is_ascii() && c != '\u{7f}' {
            quoted.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                quoted.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    quoted
}

/// Versions as a list of quoted ids, in a fixed order.
pub(super) fn write(versions: &[Version]) -> String {
    let mut sorted = versions.to_vec();
    kith_map::sort(&mut sorted);
    write_strings(&sorted.iter().map(Version::to_string).collect::<Vec<_>>())
}

/// Versions as ids joined by a comma: the form in `?version=`, event ids and JSON documents.
pub(super) fn joined(versions: &[Version]) -> String {
    let mut sorted = versions.to_vec();
    kith_map::sort(&mut sorted);
    sorted.iter().map(Version::to_string).collect::<Vec<_>>().join(",")
}

/// Ids joined by a comma, taken apart. Empty parts are left out.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// Ids as versions of this peer. An id that cannot be one is not known here: 432.
pub(super) fn known(ids: Vec<String>) -> Checked<Vec<Version>> {
    let (mut versions, mut missing) = (Vec::new(), Vec::new());
    for id in ids {
        match id.parse::<Version>() {
            Ok(version) => versions.push(version),
            Err(_) => missing.push(id),
        }
    }
    if missing.is_empty() { Ok(versions) } else { Err(version_unknown(missing)) }
}

/// Those of the ids that are versions of this peer; others say nothing here.
pub(super) fn readable(ids: Vec<String>) -> Vec<Version> {
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<String>> {
        read_strings("version", text).ok()
    }

    #[test]
    fn reads_every_way_of_writing_a_list() {
        let strings = |list: &[&str]| Some(list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(""), strings(&[]));
        assert_eq!(read("  "), strings(&[]));
        assert_eq!(read(r#""a-1""#), strings(&["a-1"]));
        assert_eq!(read(r#""a-1","b-2" ,	"c-3""#), strings(&["a-1", "b-2", "c-3"]));
        assert_eq!(read(r#""a-1", "a-1""#), strings(&["a-1"]));
        assert_eq!(read(r#""a\"b\\c""#), strings(&["a\"b\\c"]));
        assert_eq!(read(r#""caf\u00e9 \ud83d\ude00""#), strings(&["café 😀"]));
        assert_eq!(read(r#"%"caf%c3%a9", "x""#), strings(&["café", "x"]));
        assert_eq!(read(r#""a";x=1;y="z;,";w, "b""#), strings(&["a", "b"]));
        for bad in [
            "a-1",
            "\"a",
            "\"a\" \"b\"",
            "\"a\",",
            ",\"a\"",
            "\"a\";",
            "\"\\x\"",
            "%\"%zz\"",
            "%\"%ff\"",
            "\"\"",
            "\"\\u0000\"",
            "\"\\ud800\"",
            "'a'",
            "%\"a",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let strings = ["a-1", "café", "😀\"\\", "\u{7f}x".trim_start_matches('\u{7f}')];
        let written = write_strings(&strings);
        assert!(written.is_ascii());
        assert_eq!(read(&written), Some(strings.iter().map(|s| (*s).to_owned()).collect()));
    }
}
