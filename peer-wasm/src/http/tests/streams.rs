//! Subscriptions, byte for byte.

use super::super::Framer;
use super::{HttpResponse, Rendered, ask, document, header, version};
use kith_core::api::{
    Body, ChangeItem, Facts, Item, Merge, Refusal, Reply, Request, Rival, Selections, SubscriptionId, Target,
    TextEvent, Update,
};
use kith_core::path::Path;
use serde_json::json;

const EVENTS: (&str, &str) = ("Accept", "text/event-stream");
const SUBSCRIBE: (&str, &str) = ("Subscribe", "true");

fn stream(path: &str, headers: &[(&str, &str)]) -> (HttpResponse, Framer) {
    match ask("GET", path, headers, None).1.reply(Reply::Subscribed(SubscriptionId(5))) {
        Rendered::Stream(head, SubscriptionId(5), framer) => (head, framer),
        other => panic!("{other:?}"),
    }
}

fn sent(framer: &mut Framer, update: Update) -> String {
    String::from_utf8(framer.update(update)).unwrap()
}

fn value(body: Option<Body>, seq: u64) -> Update {
    Update::Value {
        body,
        version: vec![version(seq)],
        parents: seq.checked_sub(1).map(version).into_iter().collect(),
        facts: Facts::default(),
    }
}

fn json_body(value: serde_json::Value) -> Option<Body> {
    Some(Body::Json(value))
}

fn bytes(media: &str, bytes: &[u8]) -> Option<Body> {
    Some(Body::Bytes { media: media.to_owned(), bytes: bytes.to_vec() })
}

#[test]
fn a_value_in_frames() {
    let (head, mut framer) = stream("/~/me/a", &[SUBSCRIBE, ("Heartbeats", "5s")]);
    for (name, text) in [
        ("Content-Type", "application/http-history"),
        ("Subscribe", "?1"),
        ("Heartbeats", "5s"),
        ("Cache-Control", "no-store"),
    ] {
        assert_eq!(header(&head, name), text);
    }
    assert_eq!((head.status, head.status_text(), framer.heartbeat_every()), (209, "Multiresponse", Some(5)));
    assert_eq!((framer.open(), framer.heartbeat()), (b"\r\n".to_vec(), b"\r\n".to_vec()));
    let first = value(json_body(json!({"title": "Tea", "tags": []})), 0);
    let announced = framer.announce(head, &first);
    assert_eq!(header(&announced, "Current-Version"), format!("\"{}\"", version(0)));
    assert_eq!(header(&announced, "Repr-Type"), "application/json");
    assert_eq!(header(&announced, "Merge-Type"), "lww");
    assert_eq!(
        sent(&mut framer, first),
        format!(
            "HTTP 200 OK\r\nVersion: \"{}\"\r\nParents: \r\nMerge-Type: lww\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n{{\"tags\":[],\"title\":\"Tea\"}}\r\n\r\n",
            version(0)
        )
    );
    assert_eq!(
        sent(&mut framer, value(bytes("text/plain", b"a\r\n\r\nb"), 1)),
        format!(
            "HTTP 200 OK\r\nVersion: \"{}\"\r\nParents: \"{}\"\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\na\r\n\r\nb\r\n\r\n",
            version(1),
            version(0)
        )
    );
    assert_eq!(
        sent(&mut framer, value(None, 2)),
        format!(
            "HTTP 404 Not Found\r\nVersion: \"{}\"\r\nParents: \"{}\"\r\nContent-Length: 0\r\n\r\n\r\n\r\n",
            version(2),
            version(1)
        )
    );
    let end = sent(&mut framer, Update::End(Refusal::Forbidden("No longer a member.".to_owned())));
    assert!(
        end.starts_with("HTTP 403 Forbidden\r\n") && end.contains("Content-Type: application/problem+json\r\n"),
        "{end}"
    );
}

#[test]
fn a_value_as_events() {
    let (head, mut framer) = stream("/~/me/a", &[EVENTS]);
    assert_eq!((head.status, header(&head, "Content-Type")), (200, "text/event-stream"));
    assert_eq!(framer.open(), b"retry: 1000\n\n");
    assert_eq!((framer.heartbeat(), framer.heartbeat_every()), (b":\n\n".to_vec(), Some(20)));
    let mut event = |update| sent(&mut framer, update);
    let id = |seq| version(seq).to_string();
    assert_eq!(event(value(json_body(json!("a\nb")), 1)), format!("id: {}\ndata: \"a\\nb\"\n\n", id(1)));
    assert_eq!(
        event(value(bytes("text/plain", "one\r\ntwo\rthree\n".as_bytes()), 2)),
        format!("id: {}\ndata: one\ndata: two\ndata: three\ndata: \n\n", id(2))
    );
    assert_eq!(event(value(bytes("text/plain", b""), 3)), format!("id: {}\ndata: \n\n", id(3)));
    let stand_in = "{\"$length\":2,\"$media\":\"image/png\"}";
    assert_eq!(event(value(bytes("image/png", b"\xff\n"), 4)), format!("id: {}\ndata: {stand_in}\n\n", id(4)));
    assert_eq!(event(value(bytes("image/png", b"ab"), 5)), format!("id: {}\ndata: {stand_in}\n\n", id(5)));
    assert_eq!(event(value(None, 6)), format!("event: delete\nid: {}\ndata: \n\n", id(6)));
    let both = Update::Value {
        body: json_body(json!(1)),
        version: vec![version(8), version(7)],
        parents: vec![],
        facts: Facts::default(),
    };
    assert_eq!(event(both), format!("id: {},{}\ndata: 1\n\n", id(7), id(8)));
    assert!(event(Update::End(Refusal::NoRoom)).starts_with("event: end\ndata: {"));
}

fn items(whole: bool, keys: &[&str], removed: &[&str]) -> Update {
    let item =
        |key: &&str| Item { key: (*key).to_owned(), version: vec![version(1)], value: json_body(json!(1)), kind: None };
    Update::Items {
        items: keys.iter().map(item).collect(),
        removed: removed.iter().map(|key| (*key).to_owned()).collect(),
        version: vec![version(2)],
        parents: vec![version(1)],
        whole,
    }
}

#[test]
fn a_listing_in_frames() {
    let (_, mut framer) = stream("/~/me/notes/?values=1", &[SUBSCRIBE]);
    let (id, head) =
        (version(1), format!("HTTP 200 OK\r\nVersion: \"{}\"\r\nParents: \"{}\"\r\n", version(2), version(1)));
    let item = |key: &str| format!("{{\"key\":\"{key}\",\"value\":1,\"version\":\"{id}\"}}");
    let list = format!("{{\"items\":[{}]}}", item("a"));
    assert_eq!(
        sent(&mut framer, items(true, &["a"], &[])),
        format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{list}\r\n\r\n", list.len())
    );
    let one = item("b");
    assert_eq!(
        sent(&mut framer, items(false, &["b"], &[])),
        format!("{head}Content-Range: items \"b\"\r\nContent-Length: {}\r\n\r\n{one}\r\n\r\n", one.len())
    );
    assert_eq!(
        sent(&mut framer, items(false, &["b"], &["é"])),
        format!(
            "{head}Patches: 2\r\n\r\nContent-Length: {}\r\nContent-Range: items \"b\"\r\n\r\n{one}\r\n\r\nContent-Length: 0\r\nContent-Range: items \"\\u00e9\"\r\n\r\n\r\n\r\n",
            one.len()
        )
    );
}

#[test]
fn a_listing_as_events() {
    let (_, mut framer) = stream("/~/me/notes/?values=1", &[EVENTS]);
    let item = |key: &str| format!("data: {{\"key\":\"{key}\",\"value\":1,\"version\":\"{}\"}}\n\n", version(1));
    let id = format!("id: {}\n\n", version(2));
    assert_eq!(
        sent(&mut framer, items(true, &["a", "b"], &[])),
        format!("event: reset\ndata: {{}}\n\n{}{}{id}", item("a"), item("b"))
    );
    assert_eq!(
        sent(&mut framer, items(false, &["c"], &["a"])),
        format!("{}event: delete\ndata: {{\"key\":\"a\"}}\n\n{id}", item("c"))
    );
}

fn change(cursor: &str) -> ChangeItem {
    ChangeItem {
        merge: None,
        from: None,
        cursor: cursor.to_owned(),
        path: Path::new(["a"]).unwrap(),
        kind: "delete",
        version: version(1),
        author: "did:key:z".to_owned(),
        time: 5,
    }
}

#[test]
fn a_feed_in_frames_and_as_events() {
    let item = |cursor: &str| super::super::documents::change(&change(cursor)).to_string();
    let (_, mut fresh) = stream("/~/me/$changes", &[SUBSCRIBE]);
    assert!(sent(&mut fresh, Update::Changes(vec![change("c1"), change("c2")])).ends_with(&format!(
        "{{\"items\":[{},{}]}}\r\n\r\n",
        item("c1"),
        item("c2")
    )));
    let list = format!("[{}]", item("c3"));
    let append = format!(
        "HTTP 200 OK\r\nVersion: \"c3\"\r\nContent-Range: json .items[-0:-0]\r\nContent-Length: {}\r\n\r\n{list}\r\n\r\n",
        list.len()
    );
    assert_eq!(sent(&mut fresh, Update::Changes(vec![change("c3")])), append);
    let (_, mut resumed) = stream("/~/me/$changes", &[SUBSCRIBE, ("Parents", "\"c2\"")]);
    assert_eq!(sent(&mut resumed, Update::Changes(vec![change("c3")])), append);
    assert_eq!(sent(&mut resumed, Update::Changes(vec![])), "");
    let (_, mut events) = stream("/~/me/$changes", &[EVENTS]);
    let expected = format!("id: c1\ndata: {}\n\nid: c2\ndata: {}\n\n", item("c1"), item("c2"));
    assert_eq!(sent(&mut events, Update::Changes(vec![change("c1"), change("c2")])), expected);
}

#[test]
fn the_peer_in_frames_and_as_events() {
    let status = || Update::Document(json!({"id": "x"}));
    let (head, mut frames) = stream("/~/peer", &[SUBSCRIBE]);
    assert!(head.header("Merge-Type").is_none() && head.header("Heartbeats").is_none());
    assert_eq!(
        sent(&mut frames, status()),
        "HTTP 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"id\":\"x\"}\r\n\r\n"
    );
    let (_, mut events) = stream("/~/peer", &[EVENTS]);
    assert_eq!(sent(&mut events, status()), "data: {\"id\":\"x\"}\n\n");
}

#[test]
fn events_of_a_text_in_frames() {
    let (head, mut framer) = stream("/~/me/a", &[SUBSCRIBE, ("Merge-Type", "dt")]);
    let event = |version: &str, parents: &[&str], splices: &[(u32, u32, &str)]| TextEvent {
        version: version.to_owned(),
        parents: parents.iter().map(|id| (*id).to_owned()).collect(),
        splices: splices.iter().map(|(start, end, text)| (*start, *end, (*text).to_owned())).collect(),
    };
    let events = vec![event("ada-1", &[], &[(0, 0, "a😀")]), event("bob-2", &["ada-1"], &[(0, 1, "é"), (2, 2, "!")])];
    let update = Update::Events { whole: true, events, version: vec!["bob-2".to_owned()] };
    let announced = framer.announce(head, &update);
    assert_eq!((header(&announced, "Merge-Type"), header(&announced, "Current-Version")), ("dt", "\"bob-2\""));
    assert_eq!(
        sent(&mut framer, update),
        "HTTP 200 OK\r\nVersion: \r\nParents: \r\nMerge-Type: dt\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 0\r\n\r\n\r\n\r\n\
         HTTP 200 OK\r\nVersion: \"ada-1\"\r\nParents: \r\nContent-Range: text [0:0]\r\nContent-Length: 5\r\n\r\na😀\r\n\r\n\
         HTTP 200 OK\r\nVersion: \"bob-2\"\r\nParents: \"ada-1\"\r\nPatches: 2\r\n\r\n\
         Content-Length: 2\r\nContent-Range: text [0:1]\r\n\r\né\r\n\r\n\
         Content-Length: 1\r\nContent-Range: text [2:2]\r\n\r\n!\r\n\r\n"
    );
    let more =
        Update::Events { whole: false, events: vec![event("ada-2", &["bob-2"], &[(0, 1, "")])], version: vec![] };
    assert!(sent(&mut framer, more).starts_with("HTTP 200 OK\r\nVersion: \"ada-2\"\r\nParents: \"bob-2\"\r\n"));
}

#[test]
fn a_text_in_frames() {
    let (head, mut framer) = stream("/~/me/a", &[SUBSCRIBE, ("Merge-Type", "simpleton")]);
    let text = |splices: &[(u32, u32, &str)], parents: &[&str]| Update::Text {
        splices: splices.iter().map(|(start, end, text)| (*start, *end, (*text).to_owned())).collect(),
        version: vec![version(2)],
        parents: parents.iter().map(|id| (*id).to_owned()).collect(),
    };
    let announced = framer.announce(head, &text(&[], &[]));
    assert_eq!(
        (header(&announced, "Merge-Type"), header(&announced, "Current-Version")),
        ("simpleton", format!("\"{}\"", version(2)).as_str())
    );
    let facts = Facts { merge: Merge::Text, ..Facts::default() };
    let whole = Update::Value {
        body: bytes("text/plain", "a😀".as_bytes()),
        version: vec![version(1)],
        parents: vec![],
        facts,
    };
    let frame = sent(&mut framer, whole);
    let digest = super::super::digest::of("a😀".as_bytes());
    assert_eq!(
        frame,
        format!(
            "HTTP 200 OK\r\nVersion: \"{}\"\r\nParents: \r\nMerge-Type: simpleton\r\nContent-Type: text/plain; charset=utf-8\r\nRepr-Digest: {digest}\r\nContent-Length: 5\r\n\r\na😀\r\n\r\n",
            version(1)
        )
    );
    let head = format!("HTTP 200 OK\r\nVersion: \"{}\"\r\nParents: \"writer-6\"\r\n", version(2));
    assert_eq!(
        sent(&mut framer, text(&[(1, 2, "é")], &["writer-6"])),
        format!("{head}Content-Range: text [1:2]\r\nContent-Length: 2\r\n\r\né\r\n\r\n")
    );
    assert_eq!(
        sent(&mut framer, text(&[(0, 1, ""), (2, 2, "b")], &["writer-6"])),
        format!(
            "{head}Patches: 2\r\n\r\nContent-Length: 0\r\nContent-Range: text [0:1]\r\n\r\n\r\n\r\nContent-Length: 1\r\nContent-Range: text [2:2]\r\n\r\nb\r\n\r\n"
        )
    );
    assert_eq!(sent(&mut framer, text(&[], &["writer-6"])), format!("{head}Patches: 0\r\n\r\n"));
}

#[test]
fn cursors_in_frames() {
    let (head, mut framer) = stream("/~/me/a", &[SUBSCRIBE, ("Accept", "application/text-cursors+json")]);
    assert_eq!((head.status, header(&head, "Content-Type")), (209, "application/http-history"));
    let at = |client: &str, text| (client.to_owned(), Selections::parse(text));
    let text = "[{\"from\":1,\"to\":2}]";
    assert_eq!(
        sent(&mut framer, Update::Cursors { cursors: vec![at("k3", text)], whole: true }),
        "HTTP 200 OK\r\nContent-Type: application/text-cursors+json\r\nContent-Length: 26\r\n\r\n{\"k3\":[{\"from\":1,\"to\":2}]}\r\n\r\n"
    );
    assert_eq!(
        sent(&mut framer, Update::Cursors { cursors: vec![at("k3", text)], whole: false }),
        "HTTP 200 OK\r\nContent-Range: json [\"k3\"]\r\nContent-Length: 19\r\n\r\n[{\"from\":1,\"to\":2}]\r\n\r\n"
    );
    assert_eq!(
        sent(&mut framer, Update::Cursors { cursors: vec![at("k3", ""), at("b", text)], whole: false }),
        "HTTP 200 OK\r\nPatches: 2\r\n\r\nContent-Length: 0\r\nContent-Range: json [\"k3\"]\r\n\r\n\r\n\r\nContent-Length: 19\r\nContent-Range: json [\"b\"]\r\n\r\n[{\"from\":1,\"to\":2}]\r\n\r\n"
    );
}

#[test]
fn events_start_afresh_where_their_memory_no_longer_fits() {
    let unknown = || Reply::Refused(Refusal::VersionUnknown { missing: vec![version(3)] });
    let id = version(3).to_string();
    let (_, render) = ask("GET", "/~/me/a", &[EVENTS, ("Last-Event-ID", &id)], None);
    let Rendered::Again(Request::Subscribe(Target::Value { parents: None, .. }), render) = render.reply(unknown())
    else {
        panic!("no second try")
    };
    assert!(matches!(render.clone().reply(Reply::Subscribed(SubscriptionId(1))), Rendered::Stream(..)));
    // But only once, and not for readers that can tell by the status.
    assert!(matches!(render.reply(unknown()), Rendered::Whole(response) if response.status == 432));
    let (_, render) = ask("GET", "/~/me/a", &[SUBSCRIBE, ("Parents", &format!("\"{id}\""))], None);
    match render.reply(unknown()) {
        Rendered::Whole(response) => assert_eq!(document(&response)["missing"], json!([id])),
        other => panic!("{other:?}"),
    }
}

#[test]
fn heartbeats_are_asked_for_in_several_ways() {
    for (text, seconds) in [("10s", 10), ("10", 10), ("0.5s", 1), ("2.9s", 2), ("0", 1), ("99999", 3600)] {
        let (head, framer) = stream("/~/me/a", &[SUBSCRIBE, ("Heartbeats", text)]);
        assert_eq!(framer.heartbeat_every(), Some(seconds), "{text}");
        assert_eq!(header(&head, "Heartbeats"), format!("{seconds}s"));
    }
    assert_eq!(stream("/~/me/a", &[SUBSCRIBE]).1.heartbeat_every(), None);
}

#[test]
fn frames_name_what_stands_beside_the_value() {
    let (_, mut framer) = stream("/~/me/a", &[SUBSCRIBE]);
    let facts = Facts {
        merge: Merge::Mv,
        conflicts: vec![Rival { version: version(1), body: Body::Json(json!(0)) }],
        early: false,
    };
    for first in [true, false] {
        let version = vec![version(2), version(1)];
        let update = Update::Value { body: json_body(json!(1)), version, parents: Vec::new(), facts: facts.clone() };
        let frame = sent(&mut framer, update);
        assert!(frame.contains("\r\nMerge-Type: mv\r\n"), "{first}: {frame}");
        assert!(frame.contains(&format!("\r\nConflicts: \"{}\"\r\n", self::version(1))), "{frame}");
    }
}
