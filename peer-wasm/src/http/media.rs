//! Media types.

use super::limits::MAX_MEDIA_BYTES;
use super::message::{Fields, is_token};
use super::problem::{Checked, Kind, Problem};

/// What bytes are taken for when their writer did not say. Nothing is ever guessed from the bytes themselves.
pub(super) const UNKNOWN: &str = "application/octet-stream";

/// A media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Media {
    /// `type/subtype` in lower case.
    pub essence: String,
    /// The whole of it with its parameters, to be given back to readers.
    pub text: String,
}

impl Media {
    /// The media type in this text, if it is one.
    pub(super) fn read(text: &str) -> Option<Media> {
        let text = text.trim();
        let (essence, parameters) = text.split_once(';').map_or((text, ""), |(essence, rest)| (essence.trim(), rest));
        let (kind, subtype) = essence.split_once('/')?;
        let visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if text.len() > MAX_MEDIA_BYTES
            || !is_token(kind)
            || !is_token(subtype)
            || !visible
            || !parameters_fit(parameters)
        {
            return None;
        }
        let essence = essence.to_ascii_lowercase();
        let parameters = parameters.trim();
        let text = if parameters.is_empty() { essence.clone() } else { format!("{essence}; {parameters}") };
        Some(Media { essence, text })
    }

    /// What the body of a request is: `Repr-Type` (the type of the resource) before `Content-Type`.
    pub(super) fn of(fields: &Fields) -> Checked<Option<Media>> {
        for header in ["repr-type", "content-type"] {
            if let Some(text) = fields.text(header)? {
                let wrong = || Problem::header(header, "must be a media type such as application/json or image/png");
                return Media::read(text).map(Some).ok_or_else(wrong);
            }
        }
        Ok(None)
    }

    /// Whether this is JSON: `application/json` or `…+json`. Refused if it names a charset other than UTF-8.
    pub(super) fn is_json(&self) -> Checked<bool> {
        if self.essence != super::accept::JSON && !self.essence.ends_with("+json") {
            return Ok(false);
        }
        let charset = self.text.split(';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_ascii_lowercase())
        });
        match charset.as_deref() {
            None | Some("utf-8" | "utf8") => Ok(true),
            Some(_) => {
                Err(Problem::new(Kind::UnsupportedMediaType, "JSON is taken as UTF-8 only. Send it without a charset."))
            }
        }
    }
}

/// Whether every parameter is `name=token` or `name="quoted"`.
fn parameters_fit(text: &str) -> bool {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let Some((name, value)) = rest.split_once('=') else { return false };
        if !is_token(name.trim()) {
            return false;
        }
        let after = if let Some(inside) = value.strip_prefix('"') {
            let mut escaped = false;
            let end = inside.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let Some(after) = end.and_then(|end| inside.get(end + 1..)) else { return false };
            after
        } else {
            let end = value.find([';', ' ']).unwrap_or(value.len());
            if !value.get(..end).is_some_and(is_token) {
                return false;
            }
            value.get(end..).unwrap_or_default()
        };
        rest = match after.trim_start().strip_prefix(';') {
            Some(rest) => rest.trim_start(),
            None if after.trim().is_empty() => return true,
            None => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_media_types() {
        let text = |text: &str| Media::read(text).map(|media| media.text);
        assert_eq!(text("Image/PNG"), Some("image/png".into()));
        assert_eq!(text("text/plain;charset=UTF-8"), Some("text/plain; charset=UTF-8".into()));
        assert_eq!(text("a/b; x=\"y;\\\" z\" ; w=v"), Some("a/b; x=\"y;\\\" z\" ; w=v".into()));
        let long = format!("a/{}", "b".repeat(MAX_MEDIA_BYTES));
        for bad in [
            "",
            "text",
            "a/b/c",
            "a/",
            "/b",
            "a/b, c/d",
            "a/b; x",
            "a/b; =y",
            "a/b; x=\"",
            "a/b; x=y z",
            "é/b",
            "a/b\u{7f}",
            &long,
        ] {
            assert_eq!(text(bad), None, "{bad}");
        }
        assert!(Media::read("application/ld+json").unwrap().is_json().unwrap());
        assert!(Media::read("application/json; charset=\"UTF-8\"").unwrap().is_json().unwrap());
        assert!(Media::read("application/json; charset=latin1").unwrap().is_json().is_err());
        assert!(!Media::read("text/json-ish").unwrap().is_json().unwrap());
    }
}
