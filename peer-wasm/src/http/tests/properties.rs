//! What holds for any request: no panic, and only answers a browser would take.

use super::super::fuzz::{check, fuzz_http};
use super::super::{HttpRequest, json, url, versions};
use super::ORIGIN;
use proptest::collection::vec;
use proptest::prelude::*;

const NAMES: [&str; 26] = [
    "Accept",
    "Content-Type",
    "Content-Range",
    "Content-Encoding",
    "Content-Length",
    "Patches",
    "Merge-Type",
    "Version",
    "Parents",
    "Subscribe",
    "Heartbeats",
    "Peer",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Range",
    "Last-Event-ID",
    "Repr-Type",
    "Host",
    "version",
    "PARENTS",
    "x",
    "",
    "a b",
    "é",
    "Current-Version",
];

/// Text made of pieces that mean something here, and of noise.
fn text(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => proptest::sample::select(pieces).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[ -~]{0,6}",
    ];
    vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

fn url_text() -> impl Strategy<Value = String> {
    let pieces: &[&str] = &[
        "me",
        "/",
        "/",
        "a",
        "$changes",
        "$invites",
        "$members",
        "$",
        "peer",
        "spaces",
        "join",
        "ping",
        "%2F",
        "%",
        "%ff",
        "%00",
        "..",
        "?",
        "&",
        "=",
        "limit=5",
        "start=",
        "version=",
        "since=",
        "lastEventId=",
        "values",
        "#",
        "é",
        "\\",
        "zQ3shabc",
    ];
    prop_oneof![
        8 => text(pieces).prop_map(|rest| format!("{ORIGIN}/~/{rest}")),
        1 => text(pieces),
        1 => any::<String>(),
    ]
}

fn value_text() -> impl Strategy<Value = String> {
    text(&[
        "application/json",
        "application/merge-patch+json",
        "application/json-patch+json",
        "text/event-stream",
        "text/plain",
        "image/png",
        "application/http-patches; count=2",
        "*",
        "\"",
        "\"a-1\"",
        "aaaaaaaaaaaaaaaa-1",
        "\"aaaaaaaaaaaaaaaa-1\"",
        ",",
        ";",
        "=",
        "q=0.5",
        "W/\"x\"",
        "json ",
        ".tags[0:0]",
        "[",
        "]",
        "/a/0-0",
        "text [1:2]",
        "bytes=0-5",
        "bytes ",
        "-",
        "?1",
        "true",
        "?0",
        "10s",
        "lww",
        "2",
        "\\",
        "\\u00e9",
        "\\ud800",
        "%\"",
        "%c3%a9",
        "\u{e9}",
        "\r\n",
        "\0",
    ])
}

fn body_text() -> impl Strategy<Value = String> {
    text(&[
        "{",
        "}",
        "[",
        "]",
        "\"a\"",
        ":",
        ",",
        "1",
        "-1",
        "1e999",
        "18446744073709551616",
        "null",
        "{\"a\":1}",
        "{\"name\":\"Trip\"}",
        "{\"invite\":\"x\"}",
        "{\"role\":\"writer\",\"app\":\"/\"}",
        "Content-Length: 1\r\n",
        "Content-Range: json .a\r\n",
        "\r\n",
        "\n",
        "\\",
        "\"",
        "\\u0000",
        "{\"op\":\"add\",\"path\":\"/a\",\"value\":1}",
    ])
}

fn method() -> impl Strategy<Value = String> {
    let known: &[&str] = &["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS", "get", "MULTIPLEX", "", "A B"];
    prop_oneof![9 => proptest::sample::select(known).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_request_is_answered(
        method in method(),
        url in url_text(),
        headers in vec((proptest::sample::select(&NAMES[..]).prop_map(str::to_owned), value_text()), 0..6),
        body in proptest::option::of(body_text()),
    ) {
        check(HttpRequest { method, url, headers, body: body.map(String::into_bytes) });
    }

    #[test]
    fn any_bytes_are_a_request(data in vec(any::<u8>(), 0..300)) {
        fuzz_http(&data);
    }

    #[test]
    fn json_that_is_taken_comes_back_the_same(text in body_text(), number in any::<f64>()) {
        if let Ok(value) = json::read(text.as_bytes()) {
            prop_assert_eq!(json::read(value.to_string().as_bytes()).ok(), Some(value));
        }
        if number.is_finite() {
            let written = serde_json::Value::from(number).to_string();
            let read = json::read(written.as_bytes()).ok().and_then(|value| value.as_f64());
            prop_assert_eq!(read.map(f64::to_bits), Some(number.to_bits()));
        }
    }

    #[test]
    fn names_survive_the_url(name in "[^\0]{1,40}") {
        let encoded = url::percent_encode(&name);
        prop_assert!(encoded.is_ascii() && !encoded.contains('/'));
        prop_assert_eq!(url::percent_decode(&encoded), Some(name));
    }

    #[test]
    fn ids_survive_the_header(ids in vec("[^\\p{Cc}]{1,20}", 0..5)) {
        let mut ids = ids;
        ids.dedup();
        let written = versions::write_strings(&ids);
        prop_assert!(written.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        let read = versions::read_strings("version", &written).unwrap();
        ids.sort();
        let mut read = read;
        read.sort();
        ids.dedup();
        prop_assert_eq!(read, ids);
    }
}
