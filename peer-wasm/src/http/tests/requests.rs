//! What well-formed requests are understood as.

use super::super::limits::MAX_PAGE;
use super::super::{Parsed, parse};
use super::{answer, ask, document, header, request, version, whole};
use kith_core::api::{
    At, Body, Change, ListQuery, Manner, Merge, Preconditions, Refusal, Reply, Request, Role, Selections, SpaceRef,
    Target, TextChange, TextEdit,
};
use kith_core::path::Path;
use serde_json::json;

fn path(text: &str) -> Path {
    Path::new(text.split('/').filter(|name| !name.is_empty())).unwrap()
}

fn asked(method: &str, place: &str, headers: &[(&str, &str)], body: Option<&str>) -> Request {
    ask(method, place, headers, body).0
}

fn change(method: &str, headers: &[(&str, &str)], body: &str) -> Change {
    match asked(method, "/~/me/a", headers, Some(body)) {
        Request::Write { change, .. } => change,
        other => panic!("{other:?}"),
    }
}

#[test]
fn places() {
    let me = || SpaceRef::Me;
    let zq = || SpaceRef::Id("zQ3sh".to_owned());
    assert_eq!(asked("GET", "/~/", &[], None), Request::Info);
    assert_eq!(asked("GET", "/~/peer", &[], None), Request::Status);
    assert_eq!(asked("HEAD", "/~/spaces", &[], None), Request::Spaces);
    assert_eq!(asked("GET", "/~/zQ3sh/$invites", &[], None), Request::Invites { space: zq() });
    assert_eq!(asked("GET", "/~/zQ3sh/$members", &[], None), Request::Members { space: zq() });
    assert_eq!(asked("GET", "/~/zQ3sh/$quota", &[], None), Request::Quotas { space: zq() });
    let sync = |versions| Request::Spread { space: zq(), versions };
    assert_eq!(asked("GET", "/~/zQ3sh/$sync", &[], None), sync(vec![]));
    let version = kith_core::version::Version { agent: kith_core::version::Agent::of(&[7; 32]), seq: 3 };
    assert_eq!(asked("GET", &format!("/~/zQ3sh/$sync?version={version}"), &[], None), sync(vec![version]));
    let get = |space, path| Request::Get { space, path, parents: vec![] };
    assert_eq!(asked("GET", "/~/me", &[], None), get(me(), Path::root()));
    assert_eq!(asked("GET", "/~/me/a/%24b/caf%C3%A9?v=2", &[], None), get(me(), path("a/$b/café")));
    assert_eq!(
        asked("GET", "/~/zQ3sh/a", &[("Subscribe", "?0"), ("Accept", "text/event-stream")], None),
        get(zq(), path("a"))
    );
    let ping = answer("POST", "/~/peer/ping", &[], None);
    assert_eq!((ping.status, header(&ping, "Cache-Control")), (204, "no-store"));
}

#[test]
fn texts() {
    const SIMPLETON: (&str, &str) = ("Merge-Type", "simpleton");
    let edit = |parents: Option<&[&str]>, edit| {
        let parents = parents.map(|list| list.iter().map(|id| (*id).to_owned()).collect());
        Change::Text(TextChange { parents, edit, event: None })
    };
    let whole = |text: &str| TextEdit::Whole(text.to_owned());
    assert_eq!(change("PUT", &[SIMPLETON], "a😀"), edit(None, whole("a😀")));
    assert_eq!(change("PUT", &[SIMPLETON, ("Parents", "")], ""), edit(Some(&[]), whole("")));
    let splice = TextEdit::Splices(vec![(3, 5, "é".to_owned())]);
    let range = ("Content-Range", "text [3:5]");
    let parents = ("Parents", "\"writer-6\", \"k-1\"");
    assert_eq!(change("PUT", &[SIMPLETON, range, parents], "é"), edit(Some(&["writer-6", "k-1"]), splice.clone()));
    assert_eq!(change("PATCH", &[range], "é"), edit(None, splice));
    let write = asked(
        "PUT",
        "/~/me/a",
        &[SIMPLETON, ("Peer", "\"k3\""), ("Version", "\"k3-9\""), ("If-None-Match", "*")],
        Some(""),
    );
    let Request::Write { manner, id, conditions, .. } = write else { panic!("{write:?}") };
    assert_eq!(manner, Manner { merge: Some(Merge::Text), seen: None, client: Some("k3".to_owned()) });
    assert_eq!((id.as_deref(), conditions.if_none_match), (Some("k3-9"), Some(vec![])));
    // Without a word about texts it is a value like any other.
    let plain = Body::Bytes { media: "text/plain".to_owned(), bytes: b"a".to_vec() };
    assert_eq!(change("PUT", &[("Content-Type", "text/plain")], "a"), Change::Put(plain));
    let follow = |headers: &[(&str, &str)]| {
        asked("GET", "/~/me/a", &[&[("Subscribe", "true"), SIMPLETON], headers].concat(), None)
    };
    let target = |parents: Option<&[&str]>, client: Option<&str>| {
        let parents = parents.map(|list| list.iter().map(|id| (*id).to_owned()).collect());
        Request::Subscribe(Target::Text {
            space: SpaceRef::Me,
            path: path("a"),
            parents,
            client: client.map(str::to_owned),
            events: false,
        })
    };
    assert_eq!(follow(&[]), target(None, None));
    assert_eq!(follow(&[("Parents", ""), ("Peer", "k3")]), target(None, Some("k3")));
    assert_eq!(follow(&[("Parents", "\"k3-9\"")]), target(Some(&["k3-9"]), None));
    let dt = [("Subscribe", "true"), ("Merge-Type", "dt"), ("Parents", "\"ada-4\"")];
    let Request::Subscribe(Target::Text { parents, events: true, .. }) = asked("GET", "/~/me/a", &dt, None) else {
        panic!("events are not followed")
    };
    assert_eq!(parents, Some(vec!["ada-4".to_owned()]));
    // Events carry the text as it is, whatever their reader says of merging.
    let events = follow(&[("Accept", "text/event-stream")]);
    assert!(matches!(events, Request::Subscribe(Target::Value { .. })), "{events:?}");
}

#[test]
fn edits_of_clients_with_a_history() {
    const DT: (&str, &str) = ("Merge-Type", "dt");
    let headers =
        [DT, ("Version", "\"ada-5\""), ("Parents", "\"bob-1\""), ("Content-Range", "text [3:5]"), ("Peer", "k3")];
    let Request::Write { change: Change::Text(made), manner, id: None, .. } =
        asked("PUT", "/~/me/a", &headers, Some("é"))
    else {
        panic!("no edit")
    };
    let edit = TextEdit::Splices(vec![(3, 5, "é".to_owned())]);
    let (parents, event) = (Some(vec!["bob-1".to_owned()]), Some("ada-5".to_owned()));
    assert_eq!(made, TextChange { parents, edit, event });
    assert_eq!(manner, Manner { merge: Some(Merge::Text), seen: None, client: Some("k3".to_owned()) });
    // Without a name it only makes a text.
    let whole = TextChange { parents: None, edit: TextEdit::Whole("a".to_owned()), event: None };
    assert_eq!(change("PUT", &[DT], "a"), Change::Text(whole));
}

#[test]
fn names_that_are_missing_are_named() {
    let parents = ("Parents", "\"writer-6\"");
    let headers = [("Merge-Type", "simpleton"), parents];
    let put = ask("PUT", "/~/me/a", &headers, Some("x")).1;
    let follow = ask("GET", "/~/me/a", &[headers[0], headers[1], ("Subscribe", "true")], None).1;
    for render in [put, follow] {
        let response = whole(render.clone(), Reply::Refused(Refusal::VersionUnknown { missing: vec![] }));
        assert_eq!((response.status, header(&response, "Version")), (432, "\"writer-6\""));
        assert_eq!(document(&response)["missing"], json!(["writer-6"]));
        let response = whole(render, Reply::Refused(Refusal::VersionUnknown { missing: vec![version(3)] }));
        assert_eq!(document(&response)["missing"], json!([version(3).to_string()]));
    }
}

#[test]
fn cursors() {
    let accept = ("Accept", "application/text-cursors+json");
    let (space, at) = (SpaceRef::Me, path("a"));
    let read = Request::Cursors { space: space.clone(), path: at.clone() };
    assert_eq!(asked("GET", "/~/me/a", &[accept], None), read);
    assert_eq!(asked("HEAD", "/~/me/a", &[accept, ("Subscribe", "true")], None), read);
    let target = |client: Option<&str>| {
        let client = client.map(str::to_owned);
        Request::Subscribe(Target::Cursors { space: space.clone(), path: at.clone(), client })
    };
    let subscribe = ("Subscribe", "?1");
    assert_eq!(asked("GET", "/~/me/a", &[accept, subscribe, ("Peer", "k3")], None), target(Some("k3")));
    assert_eq!(asked("GET", "/~/me/a", &[accept, subscribe, ("Peer", "\"k3\"")], None), target(Some("k3")));
    assert_eq!(asked("GET", "/~/me/a", &[accept, subscribe], None), target(None));
    let present = |text: &str| Request::Present {
        space: space.clone(),
        path: at.clone(),
        client: "k3".to_owned(),
        selections: Selections::parse(text).unwrap(),
    };
    let range = ("Content-Range", "json [\"k3\"]");
    let typed = ("Content-Type", "application/text-cursors+json");
    let cursor = r#"[{"from":1,"to":3,"name":"Ada"}]"#;
    assert_eq!(asked("PUT", "/~/me/a", &[typed, range], Some(cursor)), present(cursor));
    assert_eq!(asked("PUT", "/~/me/a", &[accept, range], Some(cursor)), present(cursor));
    assert_eq!(asked("PUT", "/~/me/a", &[typed, range], Some("")), present("[]"));
    let render = ask("GET", "/~/me/a", &[accept], None).1;
    let response = whole(render, Reply::Document(json!({ "k3": [{ "from": 1, "to": 3 }] })));
    assert_eq!((response.status, header(&response, "Content-Type")), (200, "application/text-cursors+json"));
    assert_eq!(response.body, br#"{"k3":[{"from":1,"to":3}]}"#);
    let head = whole(ask("HEAD", "/~/me/a", &[accept], None).1, Reply::Document(json!({})));
    assert!(
        head.status == 200 && header(&head, "Content-Type") == "application/text-cursors+json" && head.body.is_empty()
    );
    let put = ask("PUT", "/~/me/a", &[typed, range], Some("[]")).1;
    assert_eq!(whole(put, Reply::Present).status, 200);
}

#[test]
fn making_things() {
    let json = [("content-type", "application/json; charset=utf-8")];
    let create = |body: &str| asked("POST", "/~/spaces", &json, Some(body));
    assert_eq!(create(r#"{"name":" Trip ","later":1}"#), Request::CreateSpace { name: "Trip".to_owned() });
    let longest = "é".repeat(200);
    assert_eq!(create(&format!("{{\"name\":\"{longest}\"}}")), Request::CreateSpace { name: longest });
    let join = asked("POST", "/~/join", &json, Some(r#"{"invite":"https://x/#kith=1"}"#));
    assert_eq!(join, Request::Join { invite: "https://x/#kith=1".to_owned() });
    let invite = |body: &str| asked("POST", "/~/me/$invites", &json, Some(body));
    let expected = |role, app: &str| Request::Invite {
        space: SpaceRef::Me,
        role,
        app: app.to_owned(),
        origin: "http://localhost:8787".to_owned(),
    };
    assert_eq!(invite(r#"{"role":"writer","app":"/board/?x=1"}"#), expected(Role::Writer, "/board/?x=1"));
    assert_eq!(invite(r#"{"role":"reader"}"#), expected(Role::Reader, "/"));
}

#[test]
fn allowing_more_than_the_quota() {
    let json = [("content-type", "application/json")];
    let allow = |body: &str| asked("POST", "/~/zQ3sh/$quota", &json, Some(body));
    let space = SpaceRef::Id("zQ3sh".to_owned());
    let expected = Request::Allow { space, author: "did:key:z6Mk".to_owned(), bytes: 1_000 };
    assert_eq!(allow(r#"{"author":"did:key:z6Mk","allow":1000}"#), expected);
    for wrong in [
        r#"{"allow":1000}"#,
        r#"{"author":"","allow":1000}"#,
        r#"{"author":"a","allow":0}"#,
        r#"{"author":"a","allow":-1}"#,
        r#"{"author":"a","allow":1.5}"#,
        r#"{"author":"a","allow":1099511627777}"#,
        r#"{"author":"a"}"#,
        r#"[]"#,
    ] {
        assert_eq!(answer("POST", "/~/zQ3sh/$quota", &json, Some(wrong)).status, 400, "{wrong}");
    }
    assert_eq!(answer("PUT", "/~/zQ3sh/$quota", &json, Some("{}")).status, 405);
}

#[test]
fn values_by_media_type() {
    let bytes =
        |media: &str, text: &str| Change::Put(Body::Bytes { media: media.to_owned(), bytes: text.as_bytes().to_vec() });
    assert_eq!(
        change("PUT", &[("Content-Type", "application/json")], " {\"b\":[1]} "),
        Change::Put(Body::Json(json!({"b": [1]})))
    );
    assert_eq!(change("PUT", &[("content-type", "application/ld+json")], "1"), Change::Put(Body::Json(json!(1))));
    assert_eq!(
        change("PUT", &[("Content-Type", "text/plain;charset=UTF-8")], "{}"),
        bytes("text/plain; charset=UTF-8", "{}")
    );
    assert_eq!(change("PUT", &[], "{}"), bytes("application/octet-stream", "{}"));
    assert_eq!(change("PUT", &[("Content-Type", "image/PNG")], ""), bytes("image/png", ""));
    let typed = [("Repr-Type", "application/json"), ("Content-Type", "application/octet-stream")];
    assert_eq!(change("PUT", &typed, "1"), Change::Put(Body::Json(json!(1))));
    assert_eq!(
        change("PUT", &[("Content-Type", "application/json"), ("Merge-Type", "\"lww\"")], "1"),
        Change::Put(Body::Json(json!(1)))
    );
}

#[test]
fn patches_by_media_type() {
    assert_eq!(
        change("PATCH", &[("Content-Type", "application/merge-patch+json")], "{\"a\":null}"),
        Change::MergePatch(json!({"a": null}))
    );
    assert_eq!(change("PATCH", &[("Content-Type", "application/json-patch+json")], "[]"), Change::JsonPatch(json!([])));
    let ranges = Change::Ranges(vec![(".tags[0:0]".to_owned(), Some(json!(["hot"])))]);
    // Braid programs send them with PUT, and with whatever type the browser adds.
    assert_eq!(
        change(
            "PUT",
            &[("Content-Range", "json .tags[0:0]"), ("Content-Type", "text/plain;charset=UTF-8")],
            "[\"hot\"]"
        ),
        ranges
    );
    assert_eq!(change("PATCH", &[("Content-Range", "json .tags[0:0]")], "[\"hot\"]"), ranges);
    let blocks = "Content-Length: 7\r\nContent-Range: json .tags[0:0]\r\n\r\n[\"hot\"]\r\n";
    assert_eq!(change("PUT", &[("Patches", "1")], blocks), ranges);
    assert_eq!(change("PATCH", &[("Content-Type", "application/http-patches; count=1")], blocks), ranges);
}

#[test]
fn conditions_and_ids_of_writes() {
    let headers = [
        ("If-None-Match", "*"),
        ("If-Match", "\"a\", W/\"b\""),
        ("Version", "\"laptop-7\""),
        ("Parents", "\"laptop-6\", \"zz-1\""),
    ];
    let Request::Write { space, path: place, change, conditions, manner, id, purge: false } =
        asked("DELETE", "/~/me/a/b", &headers, None)
    else {
        panic!("no write")
    };
    assert_eq!((space, place, change, id.as_deref()), (SpaceRef::Me, path("a/b"), Change::Delete, Some("laptop-7")));
    let if_match = Some(vec!["\"a\"".to_owned(), "W/\"b\"".to_owned()]);
    assert_eq!(conditions, Preconditions { if_match, if_none_match: Some(vec![]) });
    // Ids that are no versions of a peer say nothing about what was seen.
    assert_eq!(manner, Manner { merge: None, seen: Some(vec![]), client: None });
}

#[test]
fn kinds_of_values() {
    let manner = |headers: &[(&str, &str)]| {
        let headers = [headers, &[("Content-Type", "application/json")]].concat();
        match asked("PUT", "/~/me/a", &headers, Some("1")) {
            Request::Write { manner, .. } => manner,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(manner(&[]), Manner::default());
    for merge in Merge::ALL {
        assert_eq!(manner(&[("Merge-Type", merge.name())]).merge, Some(merge));
    }
    let seen = format!("\"{}\", \"elsewhere\"", version(4));
    assert_eq!(manner(&[("Parents", &seen)]).seen, Some(vec![version(4)]));
    assert_eq!(manner(&[("Parents", "")]).seen, Some(vec![]));
    let counter = [("Content-Type", "application/vnd.kith.counter+json")];
    assert_eq!(change("PATCH", &counter, "-3"), Change::Increment(json!(-3)));
    let set = [("Content-Type", "application/vnd.kith.set+json")];
    let members = Change::Set { add: vec![json!("a"), json!({"b": 1})], remove: vec![json!(null)] };
    assert_eq!(change("PATCH", &set, "{\"add\":[\"a\",{\"b\":1}],\"remove\":[null]}"), members);
}

#[test]
fn what_came_before_is_purged_if_the_query_says_so() {
    let purges = |method: &str, url: &str| match asked(method, url, &[("content-type", "application/json")], Some("1"))
    {
        Request::Write { purge, .. } => purge,
        other => panic!("{other:?}"),
    };
    assert!(purges("DELETE", "/~/me/a?purge=1"));
    assert!(purges("PUT", "/~/me/a?purge"));
    assert!(!purges("PUT", "/~/me/a?purge=0"));
    assert!(!purges("DELETE", "/~/me/a"));
    let patch = [("content-type", "application/merge-patch+json")];
    assert_eq!(answer("PATCH", "/~/me/a?purge=1", &patch, Some("{}")).status, 400);
}

#[test]
fn policies_and_conflicts() {
    let json = [("Content-Type", "application/json")];
    let body = "{\"kind\":\"mv\",\"tie\":\"role\",\"retention\":{\"history\":\"30d\"}}";
    let Request::SetPolicy { prefix, policy: Some(policy), .. } =
        asked("PUT", "/~/me/$policy/a%2Fb/c", &json, Some(body))
    else {
        panic!("no policy")
    };
    assert_eq!(
        (prefix.segments().join("|").as_str(), policy.kind, policy.retention.history),
        ("a/b|c", Merge::Mv, Some(30))
    );
    let gone = Request::SetPolicy { space: SpaceRef::Me, prefix: Path::root(), policy: None };
    assert_eq!(asked("DELETE", "/~/me/$policy", &[], None), gone);
    assert_eq!(asked("GET", "/~/me/$policy/", &[], None), Request::Policies { space: SpaceRef::Me });
    assert_eq!(asked("GET", "/~/me/$policy/a", &[], None), Request::Policy { space: SpaceRef::Me, prefix: path("a") });
    assert_eq!(asked("GET", "/~/me/$conflicts", &[], None), Request::Conflicts { space: SpaceRef::Me });
}

#[test]
fn listings_and_feeds() {
    let list = |text: &str| match asked("GET", text, &[], None) {
        Request::List { query, prefix, .. } => (prefix, query),
        other => panic!("{other:?}"),
    };
    let all = ListQuery { start: None, end: None, limit: MAX_PAGE, reverse: false, values: false };
    assert_eq!(list("/~/me/"), (Path::root(), all.clone()));
    assert_eq!(list("/~/me/a/?start=&values=0"), (path("a"), all));
    let some = ListQuery { start: Some("b c".into()), end: Some("é".into()), limit: 5, reverse: true, values: true };
    assert_eq!(list("/~/me/a/b/?start=b+c&end=%C3%A9&limit=5&reverse=1&values&other=x"), (path("a/b"), some));
    let changes = asked("GET", "/~/me/$changes?since=c1&limit=2", &[], None);
    assert_eq!(changes, Request::Changes { space: SpaceRef::Me, since: Some("c1".into()), limit: 2 });
}

#[test]
fn subscriptions_and_where_they_resume() {
    let id = version(3).to_string();
    let quoted = format!("\"{id}\"");
    let parents = |headers: &[(&str, &str)], text: &str| match asked("GET", text, headers, None) {
        Request::Subscribe(Target::Value { parents, .. } | Target::List { parents, .. }) => parents,
        other => panic!("{other:?}"),
    };
    let events = ("Accept", "text/event-stream");
    for subscribe in ["true", "?1", "", "keep-alive"] {
        assert_eq!(parents(&[("Subscribe", subscribe)], "/~/me/a"), None);
    }
    assert_eq!(parents(&[("Subscribe", "?1"), ("Parents", "")], "/~/me/a"), None);
    assert_eq!(parents(&[("Subscribe", "?1"), ("Parents", &quoted)], "/~/me/a/"), Some(vec![version(3)]));
    assert_eq!(parents(&[events], "/~/me/a"), None);
    assert_eq!(parents(&[events, ("Last-Event-ID", &id)], "/~/me/a"), Some(vec![version(3)]));
    assert_eq!(parents(&[events], &format!("/~/me/a?lastEventId={id}")), Some(vec![version(3)]));
    // A memory from elsewhere must not end an EventSource for good.
    assert_eq!(parents(&[events, ("Last-Event-ID", "not é ours")], "/~/me/a"), None);
    let since = |headers: &[(&str, &str)], text: &str| match asked("GET", text, headers, None) {
        Request::Subscribe(Target::Changes { since, .. }) => since,
        other => panic!("{other:?}"),
    };
    assert_eq!(since(&[events], "/~/me/$changes"), None);
    assert_eq!(since(&[events], "/~/me/$changes?since=c1").as_deref(), Some("c1"));
    assert_eq!(since(&[events, ("Last-Event-ID", "c2")], "/~/me/$changes?since=c1").as_deref(), Some("c2"));
    assert_eq!(since(&[("Subscribe", "?1"), ("Parents", "\"c3\"")], "/~/me/$changes?since=c1").as_deref(), Some("c3"));
    assert_eq!(asked("GET", "/~/peer", &[events], None), Request::Subscribe(Target::Status));
    // HEAD asks about the resource, not for its future.
    assert!(matches!(asked("HEAD", "/~/me/a", &[("Subscribe", "?1")], None), Request::Get { .. }));
}

#[test]
fn reads_of_the_past() {
    let id = version(3).to_string();
    let quoted = format!("\"{id}\"");
    let at = |headers: &[(&str, &str)], text: &str| match asked("GET", text, headers, None) {
        Request::GetAt { at, hash: None, .. } | Request::ListAt { at, .. } => at,
        other => panic!("{other:?}"),
    };
    let third = || At::Versions(vec![version(3)]);
    assert_eq!(at(&[("Version", &quoted)], "/~/me/a"), third());
    assert_eq!(at(&[("Version", &quoted)], "/~/me/a/?limit=3"), third());
    let both = format!("/~/me/a?version={},{}", version(3), version(4));
    assert_eq!(at(&[], &both), At::Versions(vec![version(3), version(4)]));
    assert_eq!(at(&[], "/~/me/?at=1764120600123"), At::Time(1_764_120_600_123));
    assert_eq!(at(&[], "/~/me/a?at=2025-11-26T01:30:00Z"), At::Time(1_764_120_600_000));
    match asked("GET", "/~/me/a", &[("Parents", &quoted)], None) {
        Request::Get { parents, .. } => assert_eq!(parents, [version(3)]),
        other => panic!("{other:?}"),
    }
    let history = |text: &str| match asked("GET", text, &[], None) {
        Request::History { path, before, limit, .. } => (path, before, limit),
        other => panic!("{other:?}"),
    };
    assert_eq!(history("/~/me/a/b?history=1"), (path("a/b"), None, MAX_PAGE));
    assert_eq!(history(&format!("/~/me/?history&before={id}&limit=5")), (Path::root(), Some(version(3)), 5));
    let link = |at| Request::Link { space: SpaceRef::Me, path: path("a"), at };
    assert_eq!(asked("GET", "/~/me/a?link=1", &[], None), link(None));
    assert_eq!(asked("GET", &format!("/~/me/a?link=1&version={id}"), &[], None), link(Some(third())));
}

#[test]
fn moving() {
    let moving = |text: &str, headers: &[(&str, &str)]| match asked("PUT", text, headers, None) {
        Request::Move { from, to, conditions, id, .. } => (from, to, conditions, id),
        other => panic!("{other:?}"),
    };
    let headers = [("If-None-Match", "*"), ("Version", "\"w1\"")];
    let conditions = Preconditions { if_match: None, if_none_match: Some(Vec::new()) };
    let from = Path::new(["a b", "c/d"]).unwrap();
    let expected = (from, path("e/f"), conditions, Some("w1".to_owned()));
    assert_eq!(moving("/~/me/e/f?move=a%2520b%2Fc%252Fd", &headers), expected);
    for (method, text, headers, body) in [
        ("PUT", "/~/me/e?move=%24x", &[][..], None),
        ("PUT", "/~/me/e?move=a%25zz", &[], None),
        ("PUT", "/~/me/e?move=a&purge=1", &[], None),
        ("PUT", "/~/me/e?move=a&from=1764120600123", &[], None),
        ("PUT", "/~/me/e?move=a", &[("Merge-Type", "lww")], None),
        ("PUT", "/~/me/e?move=a", &[("Content-Type", "application/json")], Some("1")),
        ("PATCH", "/~/me/e?move=a", &[], None),
        ("DELETE", "/~/me/e?move=a", &[], None),
    ] {
        assert_eq!(answer(method, text, headers, body).status, 400, "{method} {text}");
    }
}

#[test]
fn restoring_and_undoing() {
    let restore = |text: &str, headers: &[(&str, &str)]| match asked("PUT", text, headers, None) {
        Request::Restore { path, from, conditions, id, .. } => (path, from, conditions, id),
        other => panic!("{other:?}"),
    };
    let from = format!("/~/me/a/b?from={}", version(3));
    let headers = [("If-Match", "\"x\""), ("Version", "\"w1\"")];
    let conditions = Preconditions { if_match: Some(vec!["\"x\"".to_owned()]), if_none_match: None };
    let expected = (path("a/b"), At::Versions(vec![version(3)]), conditions, Some("w1".to_owned()));
    assert_eq!(restore(&from, &headers), expected);
    assert_eq!(restore("/~/me?from=1764120600123", &[]).1, At::Time(1_764_120_600_123));
    let undo = |place: &str, body: Option<&str>| match asked(
        "POST",
        place,
        &[("Content-Type", "application/json"), ("Version", "\"u\"")],
        body,
    ) {
        Request::Undo { scope, redo, id, .. } => (scope, redo, id),
        other => panic!("{other:?}"),
    };
    let id = || Some("u".to_owned());
    assert_eq!(undo("/~/me/$undo", None), (Path::root(), false, id()));
    assert_eq!(undo("/~/me/$undo", Some("{}")), (Path::root(), false, id()));
    assert_eq!(undo("/~/me/$redo", Some(r#"{"path":"/a/caf%C3%A9/"}"#)), (path("a/café"), true, id()));
}

#[test]
fn options_everywhere() {
    for (place, allow) in [
        ("/~/", "GET, HEAD, OPTIONS"),
        ("/~/peer", "GET, HEAD, OPTIONS"),
        ("/~/peer/ping", "POST, OPTIONS"),
        ("/~/spaces", "GET, HEAD, POST, OPTIONS"),
        ("/~/join", "POST, OPTIONS"),
        ("/~/me/$invites", "GET, HEAD, POST, OPTIONS"),
        ("/~/me/$members", "GET, HEAD, OPTIONS"),
        ("/~/me/$changes", "GET, HEAD, OPTIONS"),
        ("/~/me/$conflicts", "GET, HEAD, OPTIONS"),
        ("/~/me/$policy", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/~/me/$policy/a/b", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/~/import", "POST, OPTIONS"),
        ("/~/me/$export", "GET, HEAD, OPTIONS"),
        ("/~/me/$undo", "POST, OPTIONS"),
        ("/~/me/$redo", "POST, OPTIONS"),
        ("/~/me/a/", "GET, HEAD, OPTIONS"),
        ("/~/me", "GET, HEAD, PUT, PATCH, OPTIONS"),
        ("/~/me/a", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
    ] {
        let response = match parse(request("OPTIONS", place, &[], None)) {
            Parsed::Ask(_, render) => whole(render, Reply::Refused(Refusal::NotFound)),
            Parsed::Answer(response) => response,
        };
        assert_eq!((response.status, header(&response, "Allow")), (204, allow), "{place}");
    }
    assert_eq!(answer("OPTIONS", "/~/me/$nothing", &[], None).status, 404);
}
