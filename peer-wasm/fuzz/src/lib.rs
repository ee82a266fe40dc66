//! Fuzz targets: one for every decoder that meets bytes or text from outside.
//!
//! A target takes any bytes, checks what must hold (no panic; what decodes encodes back to the same bytes) and
//! returns a *mark*: a number that tells kinds of outcome apart. The runner in `main.rs` keeps inputs with new
//! marks, which steers it a little without instrumentation; `cargo fuzz` steers by coverage.

#![allow(clippy::panic)] // a broken law must stop the fuzzer

mod documents;
mod frames;
#[cfg(feature = "http")]
mod http;
mod laws;
pub mod mutate;
#[cfg(feature = "net")]
mod net;
mod records;
mod shared_text;
mod texts;

/// One decoder under test.
#[derive(Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Runs it on some bytes; panics if a law is broken.
    pub run: fn(&[u8]) -> u64,
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Pieces worth inserting.
    pub words: &'static [&'static str],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "codec", run: records::codec, seeds: records::codec_seeds, words: &[] },
    Target { name: "entry", run: records::entry, seeds: records::entry_seeds, words: &[] },
    Target { name: "record", run: records::record, seeds: records::record_seeds, words: &[] },
    Target { name: "fork-proof", run: records::fork_proof, seeds: records::fork_proof_seeds, words: &[] },
    Target { name: "pruned", run: records::pruned, seeds: records::pruned_seeds, words: &[] },
    Target { name: "sealed", run: records::sealed, seeds: records::sealed_seeds, words: &[] },
    Target { name: "op", run: documents::op, seeds: documents::op_seeds, words: documents::OPS_WORDS },
    Target { name: "redaction", run: documents::redaction, seeds: documents::redaction_seeds, words: &["$redact\0"] },
    Target { name: "archive", run: records::archive, seeds: records::archive_seeds, words: &[] },
    Target { name: "view-row", run: documents::view_row, seeds: documents::view_row_seeds, words: &[] },
    Target { name: "frame", run: frames::frame, seeds: frames::frame_seeds, words: &[] },
    Target { name: "ticket", run: frames::ticket, seeds: frames::ticket_seeds, words: &["#", "kith=", "&"] },
    Target { name: "path", run: texts::path, seeds: texts::path_seeds, words: &["$", "$space", "\0", "/"] },
    Target { name: "version", run: texts::version, seeds: texts::version_seeds, words: &["-", "0", "a"] },
    Target { name: "key-text", run: texts::key_text, seeds: texts::key_text_seeds, words: &["did:key:z"] },
    Target { name: "patch", run: texts::patch, seeds: texts::patch_seeds, words: texts::PATCH_WORDS },
    Target { name: "range", run: texts::range, seeds: texts::range_seeds, words: texts::RANGE_WORDS },
    Target { name: "text-op", run: shared_text::op, seeds: shared_text::op_seeds, words: &[] },
    Target { name: "text-head", run: shared_text::head, seeds: shared_text::head_seeds, words: &[] },
    Target { name: "text-chunk", run: shared_text::chunk, seeds: shared_text::chunk_seeds, words: &[] },
    Target { name: "text-events", run: shared_text::events, seeds: shared_text::events_seeds, words: &[] },
    Target { name: "text-inbox", run: shared_text::inbox, seeds: shared_text::inbox_seeds, words: &[] },
    Target { name: "text-client", run: shared_text::client, seeds: shared_text::client_seeds, words: &[] },
    Target { name: "text-doc", run: shared_text::doc, seeds: shared_text::doc_seeds, words: &[] },
    #[cfg(feature = "http")]
    Target { name: "http", run: http::request, seeds: http::request_seeds, words: http::WORDS },
    #[cfg(feature = "net")]
    Target { name: "envelopes", run: net::envelopes, seeds: net::envelopes_seeds, words: &[] },
    #[cfg(feature = "net")]
    Target { name: "signals", run: net::signals, seeds: net::signals_seeds, words: &["m=application ", "v=0", "\r\n"] },
    #[cfg(feature = "net")]
    Target { name: "link", run: net::link, seeds: net::link_seeds, words: &[] },
];

/// The target with this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// All names, for people.
pub fn names() -> String {
    TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(" ")
}
