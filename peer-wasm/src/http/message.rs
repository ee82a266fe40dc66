//! Requests and responses as plain data, and looking up their header fields.

use super::limits::{MAX_HEADER_BYTES, MAX_HEADERS};
use super::problem::{Checked, Kind, Problem};
use kith_map::BTreeMap;

/// One request as the worker saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, e.g. `GET`.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// Header lines in the order given; names in any case.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
}

/// One whole response, or the head of a streamed one (then `body` is empty).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Header lines. Values hold visible ASCII, spaces and tabs only.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// An empty response.
    pub fn new(status: u16) -> HttpResponse {
        HttpResponse { status, headers: Vec::new(), body: Vec::new() }
    }

    /// The first header line with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The words that go with the status code.
    pub fn status_text(&self) -> &'static str {
        status_text(self.status)
    }

    /// With one more header line. Characters a header cannot carry are left out: nothing outside can end a line early.
    pub(super) fn with(mut self, name: &str, value: impl AsRef<str>) -> HttpResponse {
        let value = value.as_ref().chars().filter(|c| matches!(c, ' '..='~' | '\t')).collect();
        self.headers.push((name.to_owned(), value));
        self
    }

    /// With this body, its type and its length.
    pub(super) fn with_body(self, media: &str, body: Vec<u8>) -> HttpResponse {
        let mut response = self.with("Content-Type", media).with("Content-Length", body.len().to_string());
        response.body = body;
        response
    }

    /// The same head without the body: the answer to `HEAD`.
    pub(super) fn without_body(mut self) -> HttpResponse {
        self.body = Vec::new();
        self
    }
}

/// The words that go with a status code.
pub fn status_text(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        209 => "Multiresponse",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        422 => "Unprocessable Content",
        425 => "Too Early",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        432 => "Version Not Found",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        550 => "Digest Mismatch",
        507 => "Insufficient Storage",
        _ => "",
    }
}

/// The header fields of a request: names in lower case, several lines of one name joined by a comma.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// The fields of these lines, if they keep to the limits.
    pub(super) fn new(lines: Vec<(String, String)>) -> Checked<Fields> {
        let bytes: usize = lines.iter().map(|(name, value)| name.len() + value.len()).sum();
        if lines.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
            let detail = format!(
                "A request may have at most {MAX_HEADERS} header lines with {MAX_HEADER_BYTES} bytes. Send fewer versions or tags at once."
            );
            return Err(Problem::new(Kind::HeadersTooLarge, detail).with("limit", MAX_HEADER_BYTES));
        }
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in lines {
            if !is_token(&name) {
                return Err(Problem::new(
                    Kind::MalformedHeader,
                    "The name of a header is not a word of letters, digits and dashes.",
                ));
            }
            let value = value.trim_matches([' ', '\t']);
            fields
                .entry(name.to_ascii_lowercase())
                .and_modify(|known| {
                    known.push_str(", ");
                    known.push_str(value);
                })
                .or_insert_with(|| value.to_owned());
        }
        Ok(Fields(fields))
    }

    /// The value of a field as it came, whatever characters it holds. `name` in lower case.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of a field, refused if it holds anything but visible ASCII, spaces and tabs. `name` in lower case.
    pub(super) fn text(&self, name: &str) -> Checked<Option<&str>> {
        match self.raw(name) {
            Some(value) if !value.chars().all(|c| matches!(c, ' '..='~' | '\t')) => Err(Problem::header(
                name,
                "holds a character that is not ASCII. Write it as a JSON escape such as \\u00e9 inside the quotes",
            )),
            found => Ok(found),
        }
    }
}

/// Whether this is a token of RFC 9110: the form of methods and header names.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
