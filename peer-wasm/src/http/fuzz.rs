//! One entry for fuzzers: any bytes become a request and a reply, and what comes out must be sendable.

use super::{Framer, HttpRequest, HttpResponse, Parsed, Render, Rendered, parse};
use kith_core::api::{
    Body, ChangeItem, Facts, HistoryItem, Item, Merge, Refusal, Reply, Request, Rival, Selections, SubscriptionId,
    SyncStatus, TextEvent, Update,
};
use kith_core::path::Path;
use kith_core::version::{Agent, Version};
use serde_json::json;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Takes any bytes as `method LF url LF (name: value LF)* LF body` and runs them through everything in this module.
/// Returns a number that tells kinds of outcome apart, for fuzzers that keep inputs with new ones.
///
/// # Panics
/// When an answer comes out that could not be sent: that is what the fuzzer looks for.
pub fn fuzz_http(data: &[u8]) -> u64 {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (data.get(..end).unwrap_or_default(), data.get(end + 2..)),
        None => (data, None),
    };
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split('\n');
    let method = lines.next().unwrap_or_default().to_owned();
    let url = lines.next().unwrap_or_default().to_owned();
    let headers = lines.map(|line| line.split_once(':').unwrap_or((line, "")));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    check(HttpRequest { method, url, headers, body: body.map(<[u8]>::to_vec) })
}

/// Parses a request and, where it asks the peer something, renders every kind of reply. Returns the kind of outcome.
pub(super) fn check(request: HttpRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    match parse(request) {
        Parsed::Answer(response) => {
            sendable(&response);
            let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
            let words = problem.get("detail").and_then(serde_json::Value::as_str).unwrap_or_default();
            (response.status, words.get(..30)).hash(&mut hasher);
        }
        Parsed::Ask(asked, render) => {
            std::mem::discriminant(&asked).hash(&mut hasher);
            match &asked {
                Request::Write { change, conditions, id, .. } => {
                    std::mem::discriminant(change).hash(&mut hasher);
                    (conditions.if_match.is_some(), conditions.if_none_match.is_some(), id.is_some()).hash(&mut hasher);
                }
                Request::Subscribe(target) => std::mem::discriminant(target).hash(&mut hasher),
                _ => {}
            }
            replies().into_iter().for_each(|reply| rendered(render.clone(), reply));
        }
    }
    hasher.finish()
}

fn rendered(render: Render, reply: Reply) {
    match render.reply(reply) {
        Rendered::Whole(response) => sendable(&response),
        Rendered::Stream(head, _, framer) => stream(&head, framer),
        Rendered::Download(head, ..) => sendable(&head),
        Rendered::Again(_, render) => match render.reply(Reply::Subscribed(SubscriptionId(1))) {
            Rendered::Stream(head, _, framer) => stream(&head, framer),
            other => assert!(matches!(other, Rendered::Stream(..)), "a second try must not need a third: {other:?}"),
        },
    }
}

fn stream(head: &HttpResponse, mut framer: Framer) {
    assert!(matches!(head.status, 200 | 209) && head.body.is_empty());
    sendable(head);
    assert!(!framer.open().is_empty() && !framer.heartbeat().is_empty());
    assert!(framer.heartbeat_every() != Some(0));
    for update in updates() {
        sendable(&framer.announce(head.clone(), &update));
        // Patches of a text are for who speaks Braid; as events it is followed whole.
        let events = head.header("content-type").is_some_and(|media| media.starts_with("text/event-stream"));
        let empty = match &update {
            Update::Changes(changes) => changes.is_empty(),
            Update::Text { .. } | Update::Events { .. } => events,
            _ => false,
        };
        assert_eq!(framer.update(update).is_empty(), empty);
    }
}

/// Whether a browser would take this as a response.
fn sendable(response: &HttpResponse) {
    assert!((200..600).contains(&response.status));
    for (name, value) in &response.headers {
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{name}");
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')), "{name}: {value}");
    }
    if matches!(response.status, 204 | 304) {
        assert!(response.body.is_empty());
    }
    if response.status >= 400 && !response.body.is_empty() {
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        let document: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
        assert_eq!(document.get("status").and_then(serde_json::Value::as_u64), Some(response.status.into()));
        for member in ["type", "title", "detail"] {
            assert!(document.get(member).and_then(serde_json::Value::as_str).is_some_and(|text| !text.is_empty()));
        }
    }
}

fn version(seq: u64) -> Version {
    Version { agent: Agent([7; 10]), seq }
}

fn hostile_bytes() -> Body {
    Body::Bytes { media: "text/html\r\nX-Evil: 1".to_owned(), bytes: b"a\r\n\r\nb\rc\n\xff".to_vec() }
}

fn facts() -> Facts {
    Facts { merge: Merge::Mv, conflicts: vec![Rival { version: version(7), body: hostile_bytes() }], early: true }
}

fn items() -> Vec<Item> {
    let value = |value| Item { key: "k\n\"é".to_owned(), version: vec![version(1)], value, kind: Some("counter") };
    vec![value(None), value(Some(Body::Json(json!({"a": [1]})))), value(Some(hostile_bytes()))]
}

fn hostile_path() -> Path {
    Path::new(["a/b", "é\n"]).unwrap_or_default()
}

fn history() -> Vec<HistoryItem> {
    let (author, paths) = ("did:key:z".to_owned(), vec![hostile_path()]);
    vec![HistoryItem { version: version(2), author, time: 1, size: 2, kind: "put", paths, more: 3 }]
}

fn undone(target: Option<Version>) -> Reply {
    Reply::Undone { target, redo: false, version: target, restored: vec![hostile_path()], skipped: vec![] }
}

fn changes() -> Vec<ChangeItem> {
    let path = hostile_path();
    let author = "did:key:z".to_owned();
    vec![ChangeItem {
        cursor: "c\n1".to_owned(),
        from: Some(path.clone()),
        path,
        kind: "put",
        merge: Some("newer"),
        version: version(2),
        author,
        time: 1,
    }]
}

fn replies() -> Vec<Reply> {
    let (sync, next) = (SyncStatus::Peers(2), Some("n é".to_owned()));
    let mut replies = vec![
        Reply::Document(json!({"a": 1})),
        Reply::Value { body: Body::Json(json!([1, "x"])), version: vec![version(1), version(2)], sync, facts: facts() },
        Reply::Value {
            body: hostile_bytes(),
            version: vec![version(1)],
            sync: SyncStatus::Local,
            facts: Facts::default(),
        },
        Reply::Past {
            body: hostile_bytes(),
            version: vec![version(1)],
            current: vec![version(2)],
            sync,
            facts: facts(),
        },
        Reply::History { items: history(), next: Some(version(1)) },
        Reply::History { items: vec![], next: None },
        Reply::Link { space: "a b\n".to_owned(), path: hostile_path(), version: version(1), hash: [7; 32] },
        undone(Some(version(1))),
        undone(None),
        Reply::Exported { bytes: vec![1], next: None },
        Reply::Imported { new: 1, known: 2, refused: [("gap", 3)].into() },
        Reply::List { items: items(), next, version: vec![version(1)], early: true, arriving: true },
        Reply::List { items: vec![], next: None, version: vec![], early: false, arriving: false },
        Reply::Changes { items: changes(), next: "c\r\n".to_owned() },
        Reply::Written { created: true, deleted: false, version: vec![version(1)], sync, merge: Merge::Set },
        Reply::Written { created: false, deleted: true, version: vec![version(1)], sync, merge: Merge::Lww },
        Reply::SpaceCreated { id: "a b\n".to_owned(), document: json!({}) },
        Reply::Invited(json!({})),
        Reply::Joined(json!({})),
        Reply::Present,
        Reply::Subscribed(SubscriptionId(1)),
    ];
    replies.extend(refusals().into_iter().map(Reply::Refused));
    replies
}

/// One of every way to refuse.
pub(super) fn refusals() -> Vec<Refusal> {
    let words = || "Plain\nwords.".to_owned();
    vec![
        Refusal::Malformed(words()),
        Refusal::Forbidden(words()),
        Refusal::NotFound,
        Refusal::NotYet,
        Refusal::NoSuchSpace,
        Refusal::Conflict(words()),
        Refusal::Rewritten { version: version(3) },
        Refusal::HistoryDropped,
        Refusal::PreconditionFailed { current: Some("\"tag\"".to_owned()) },
        Refusal::PreconditionFailed { current: None },
        Refusal::TooLarge { what: "The value".to_owned(), limit: 5, listing: Some("notes\n/".to_owned()) },
        Refusal::TooLarge { what: "The value".to_owned(), limit: 5, listing: Some("/~/me/notes/".to_owned()) },
        Refusal::TooLarge { what: "The value".to_owned(), limit: 5, listing: None },
        Refusal::Unprocessable(words()),
        Refusal::WrongKind { kind: "counter", detail: words() },
        Refusal::NewerKind { tag: 200 },
        Refusal::TooEarly,
        Refusal::TooMany(words()),
        Refusal::VersionUnknown { missing: vec![version(9)] },
        Refusal::Unavailable { detail: words(), retry_after: 3 },
        Refusal::NoRoom,
        Refusal::Storage(words()),
    ]
}

fn updates() -> Vec<Update> {
    let (one, two) = (vec![version(1)], vec![version(2)]);
    let list =
        |items, removed, whole| Update::Items { items, removed, version: two.clone(), parents: one.clone(), whole };
    let value = |body| Update::Value { body, version: two.clone(), parents: one.clone(), facts: facts() };
    let text = |splices| Update::Text { splices, version: two.clone(), parents: vec!["w\r\n\"é".to_owned()] };
    let edits = |whole| {
        let (version, parents) = ("w\r\n\"é-4".to_owned(), vec!["a-1".to_owned(), "\n".to_owned()]);
        let event = TextEvent { version, parents, splices: vec![(0, 1, "a\r\n\r\nb".to_owned())] };
        Update::Events { whole, events: vec![event], version: vec!["w\r\n".to_owned()] }
    };
    let cursors = |whole| {
        let at = Selections::parse("[{\"from\":1,\"to\":2,\"name\":\"\\r\\n\"}]");
        Update::Cursors { cursors: vec![("a\r\n\"".to_owned(), at), ("é".to_owned(), None)], whole }
    };
    vec![
        value(Some(Body::Json(json!({"a": "b\nc"})))),
        value(Some(hostile_bytes())),
        value(None),
        list(items(), vec![], true),
        list(items(), vec!["gone\n".to_owned()], false),
        list(vec![], vec!["gone".to_owned()], false),
        Update::Changes(changes()),
        Update::Changes(vec![]),
        text(vec![]),
        text(vec![(0, 1, "a\r\n\r\nb".to_owned()), (2, 2, String::new())]),
        edits(true),
        edits(false),
        cursors(true),
        cursors(false),
        Update::Document(json!({})),
        Update::End(Refusal::NoRoom),
    ]
}
