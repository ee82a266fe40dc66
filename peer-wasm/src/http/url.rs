//! Taking URLs apart. Browsers hand over normalised absolute URLs, so a small strict reader is enough.

use super::limits::{MAX_QUERY_PARAMETERS, MAX_URL_BYTES};
use super::problem::{Checked, Kind, Problem};

/// Where the surface begins in every origin.
pub(super) const ROOT: &str = "/~/";

/// A URL of the surface.
#[derive(Debug)]
pub(super) struct Url {
    /// `scheme://host[:port]`, or nothing if only a path was given.
    pub origin: String,
    /// The names after `/~/`, decoded.
    pub segments: Vec<String>,
    /// Whether the path ends with a slash.
    pub folder: bool,
    /// The query's parameters, decoded.
    query: Vec<(String, String)>,
}

impl Url {
    /// The parts of an absolute URL, or of one that begins with its path.
    pub(super) fn read(text: &str) -> Checked<Url> {
        if text.len() > MAX_URL_BYTES {
            return Err(Problem::new(Kind::TooLong, format!("A URL may have at most {MAX_URL_BYTES} bytes."))
                .with("limit", MAX_URL_BYTES));
        }
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let (origin, rest) =
            split_origin(text).ok_or_else(|| wrong("It must begin with http:// or https:// and a host"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let Some(inside) = path.strip_prefix(ROOT) else {
            return Err(
                Problem::new(Kind::NoSuchPlace, format!("This peer answers below {ROOT} only.")).with("place", path)
            );
        };
        let mut segments = Vec::new();
        for raw in inside.split('/') {
            if raw.contains(|c: char| c.is_ascii_control() || c == ' ' || c == '\\') {
                return Err(wrong("Spaces, backslashes and control characters must be percent-encoded"));
            }
            let Some(segment) = percent_decode(raw) else {
                return Err(wrong("Percent-encoding must be two hexadecimal digits each and decode to UTF-8"));
            };
            segments.push(segment);
        }
        let folder = segments.last().is_some_and(String::is_empty);
        if folder {
            segments.pop();
        }
        if segments.iter().any(String::is_empty) {
            return Err(wrong("A name between two slashes is empty"));
        }
        if segments.iter().any(|segment| segment == "." || segment == "..") {
            return Err(wrong("The names . and .. cannot be used"));
        }
        Ok(Url { origin: origin.to_ascii_lowercase(), segments, folder, query: read_query(query)? })
    }

    /// The path that leads here again, canonically encoded, without a slash at the end.
    pub(super) fn here(&self) -> String {
        // A dollar sign means itself in a path, and reserved names read better with it.
        let names: Vec<String> =
            self.segments.iter().map(|segment| percent_encode(segment).replace("%24", "$")).collect();
        format!("{ROOT}{}", names.join("/"))
    }

    /// The value of a query parameter; one given twice is refused.
    pub(super) fn parameter(&self, name: &str) -> Checked<Option<&str>> {
        let mut values = self.query.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = values.next();
        match values.next() {
            Some(_) => Err(Problem::parameter(name, "is given twice. Give it once")),
            None => Ok(first),
        }
    }

    /// A parameter that is either on (`1`, `true` or nothing) or off (`0`, `false` or absent).
    pub(super) fn flag(&self, name: &str) -> Checked<bool> {
        match self.parameter(name)? {
            Some("" | "1" | "true") => Ok(true),
            None | Some("0" | "false") => Ok(false),
            Some(_) => Err(Problem::parameter(name, "must be 1 or 0")),
        }
    }
}

fn wrong(what: &str) -> Box<Problem> {
    Problem::new(Kind::MalformedUrl, format!("The URL cannot be read. {what}."))
}

fn split_origin(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('/') {
        return Some(("", text));
    }
    let (scheme, after) = text.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = after.find(['/', '?']).unwrap_or(after.len());
    let host = after.get(..end)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    Some((text.get(..scheme.len() + 3 + end)?, after.get(end..)?))
}

fn read_query(text: &str) -> Checked<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        match (decode(name), decode(value)) {
            (Some(name), Some(value)) if parameters.len() < MAX_QUERY_PARAMETERS => parameters.push((name, value)),
            (Some(_), Some(_)) => {
                let detail = format!("A query may have at most {MAX_QUERY_PARAMETERS} parameters.");
                return Err(Problem::new(Kind::MalformedQuery, detail).with("limit", MAX_QUERY_PARAMETERS));
            }
            _ => {
                let detail = "The query cannot be read. Percent-encoding must be two hexadecimal digits each and decode to UTF-8.";
                return Err(Problem::new(Kind::MalformedQuery, detail));
            }
        }
    }
    Ok(parameters)
}

/// The text with `%XX` decoded, if that is right everywhere and gives UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// The text with everything encoded that `encodeURIComponent` encodes.
pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_places_and_parameters() {
        let url = Url::read("HTTP://Localhost:8787/~/me/a%2Fb/caf%C3%A9/?start=x+y&limit=5&values#top").unwrap();
        assert_eq!(url.origin, "http://localhost:8787");
        assert_eq!(url.segments, ["me", "a/b", "café"]);
        assert!(url.folder);
        assert_eq!(url.here(), "/~/me/a%2Fb/caf%C3%A9");
        assert_eq!(url.parameter("start").unwrap(), Some("x y"));
        assert!(url.flag("values").unwrap() && !url.flag("reverse").unwrap());
        let top = Url::read("https://[::1]:8/~/").unwrap();
        assert!(top.segments.is_empty() && top.folder);
        assert_eq!(Url::read("/~/me").unwrap().segments, ["me"]);
    }

    #[test]
    fn refuses_what_is_no_url_of_ours() {
        for bad in [
            "",
            "~/me",
            "ftp://x/~/me",
            "http:///~/me",
            "http://u@x/~/me",
            "http://x",
            "http://x/",
            "http://x/~",
            "http://x/~me",
            "/~/me//a",
            "/~//",
            "/~/me/%",
            "/~/me/%2",
            "/~/me/%zz",
            "/~/me/%ff",
            "/~/me/a b",
            "/~/me/\\",
            "/~/me/%2e%2E",
            "/~/me/./a",
            "/~/me/?limit=%",
            "/~/me/\u{1}",
            "http://x?/~/me",
        ] {
            assert!(Url::read(bad).is_err(), "{bad}");
        }
        assert!(Url::read(&format!("/~/{}", "a".repeat(MAX_URL_BYTES))).is_err());
        let url = Url::read("/~/me/?limit=1&limit=2").unwrap();
        assert!(url.parameter("limit").is_err());
    }
}
