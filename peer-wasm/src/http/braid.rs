//! Braid's frames: a status line, headers, a blank line, and a body whose length is given; see `docs/http-api.md`.

use super::message::{HttpResponse, status_text};
use super::versions;
use kith_core::version::Version;

/// The media type of a 209 body. Without one Firefox holds back the first 512 bytes to guess at it.
pub(super) const HTTP_HISTORY: &str = "application/http-history";

/// One frame on its way.
pub(super) struct Frame(String);

impl Frame {
    /// A frame with this status.
    pub(super) fn new(status: u16) -> Frame {
        Frame(format!("HTTP {status} {}\r\n", status_text(status)))
    }

    /// With one more header. Nothing that could end the line gets through.
    pub(super) fn header(mut self, name: &str, value: &str) -> Frame {
        self.0.push_str(name);
        self.0.push_str(": ");
        self.0.extend(value.chars().filter(|c| matches!(c, ' '..='~' | '\t')));
        self.0.push_str("\r\n");
        self
    }

    /// With `Version` and `Parents`.
    pub(super) fn versions(self, version: &[Version], parents: &[Version]) -> Frame {
        self.header("Version", &versions::write(version)).header("Parents", &versions::write(parents))
    }

    /// The whole frame.
    pub(super) fn body(self, body: &[u8]) -> Vec<u8> {
        let mut bytes = self.header("Content-Length", &body.len().to_string()).0.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    }

    /// The whole frame with patches, each a range and what replaces it (nothing deletes).
    pub(super) fn patches(self, patches: &[(String, String)]) -> Vec<u8> {
        if let [(range, content)] = patches {
            return self.header("Content-Range", range).body(content.as_bytes());
        }
        let mut bytes = self.header("Patches", &patches.len().to_string()).0.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        for (range, content) in patches {
            let head = format!("Content-Length: {}\r\nContent-Range: {range}\r\n\r\n", content.len());
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(content.as_bytes());
            bytes.extend_from_slice(b"\r\n\r\n");
        }
        bytes
    }

    /// A whole response as a frame.
    pub(super) fn response(response: &HttpResponse) -> Vec<u8> {
        let frame = Frame::new(response.status);
        let kept = response.headers.iter().filter(|(name, _)| name != "Content-Length");
        kept.fold(frame, |frame, (name, value)| frame.header(name, value)).body(&response.body)
    }
}

/// The range of one child in a listing, by its key.
pub(super) fn item_range(key: &str) -> String {
    format!("items {}", versions::quote(key))
}
