//! Replies of the peer as whole responses.

use super::{ask, document, header, text, version, whole};
use kith_core::api::{
    At, Body, ChangeItem, Facts, HistoryItem, Item, Merge, Refusal, Reply, Request, Rival, SyncStatus,
};
use kith_core::path::Path;
use kith_core::version::{Version, etag};
use serde_json::{Value as Json, json};

fn value(body: Body) -> Reply {
    Reply::Value { body, version: vec![version(2), version(1)], sync: SyncStatus::Local, facts: Facts::default() }
}

fn bytes(media: &str) -> Reply {
    value(Body::Bytes { media: media.to_owned(), bytes: b"0123456789".to_vec() })
}

fn get(headers: &[(&str, &str)], reply: Reply) -> super::HttpResponse {
    whole(ask("GET", "/~/me/a", headers, None).1, reply)
}

#[test]
fn a_json_value_with_its_headers() {
    let response = get(&[], value(Body::Json(json!({"b": [1, 2.5], "a": "é"}))));
    assert_eq!((response.status, text(&response).as_str()), (200, "{\"a\":\"é\",\"b\":[1,2.5]}"));
    let versions = format!("\"{}\", \"{}\"", version(1), version(2));
    for (name, expected) in [
        ("Content-Type", "application/json"),
        ("Repr-Type", "application/json"),
        ("Content-Length", "22"),
        ("Version", versions.as_str()),
        ("Current-Version", versions.as_str()),
        ("ETag", etag(&[version(1), version(2)]).as_str()),
        ("Merge-Type", "lww"),
        ("Sync-Status", "local"),
        ("Cache-Control", "no-cache"),
        ("Vary", "Accept, Subscribe, Version, Parents"),
        ("Accept-Subscribe", "true"),
        ("X-Content-Type-Options", "nosniff"),
    ] {
        assert_eq!(header(&response, name), expected, "{name}");
    }
    let head = whole(ask("HEAD", "/~/me/a", &[], None).1, value(Body::Json(json!(12))));
    assert_eq!((head.status, header(&head, "Content-Length"), head.body.len()), (200, "2", 0));
}

#[test]
fn conditional_reads() {
    let tag = etag(&[version(1), version(2)]);
    let fresh = get(&[("If-None-Match", &format!("\"x\", W/{tag}"))], value(Body::Json(json!(1))));
    assert_eq!((fresh.status, header(&fresh, "ETag"), fresh.body.len()), (304, tag.as_str(), 0));
    assert!(fresh.header("Version").is_some() && fresh.header("Content-Type").is_none());
    assert_eq!(get(&[("If-None-Match", "\"x\"")], value(Body::Json(json!(1)))).status, 200);
    let failed = get(&[("If-Match", "\"x\"")], value(Body::Json(json!(1))));
    assert_eq!((failed.status, document(&failed)["current"].as_str()), (412, Some(tag.as_str())));
}

#[test]
fn bytes_come_back_as_they_are_but_cannot_run() {
    let response = get(&[], bytes("text/html; charset=utf-8"));
    assert_eq!(
        (header(&response, "Content-Type"), text(&response).as_str()),
        ("text/html; charset=utf-8", "0123456789")
    );
    assert!(header(&response, "Content-Security-Policy").starts_with("sandbox; default-src 'none'"));
    assert_eq!(header(&response, "Accept-Ranges"), "bytes");
    assert_eq!(header(&get(&[], bytes("text/html\r\nX: y")), "Content-Type"), "application/octet-stream");
}

#[test]
fn byte_ranges() {
    let part = get(&[("Range", "bytes=2-4")], bytes("image/png"));
    assert_eq!((part.status, text(&part).as_str()), (206, "234"));
    assert_eq!((header(&part, "Content-Range"), header(&part, "Content-Length")), ("bytes 2-4/10", "3"));
    let outside = get(&[("Range", "bytes=10-")], bytes("image/png"));
    assert_eq!((outside.status, header(&outside, "Content-Range")), (416, "bytes */10"));
    assert_eq!(document(&outside)["length"], 10);
    assert_eq!(get(&[("Range", "bytes=0-1,4-5")], bytes("image/png")).status, 200);
    let tag = etag(&[version(1), version(2)]);
    assert_eq!(get(&[("Range", "bytes=2-4"), ("If-Range", &tag)], bytes("image/png")).status, 206);
    assert_eq!(get(&[("Range", "bytes=2-4"), ("If-Range", "\"old\"")], bytes("image/png")).status, 200);
    assert_eq!(get(&[("Range", "bytes=0-0")], value(Body::Json(json!(12)))).status, 200);
    let head = whole(ask("HEAD", "/~/me/a", &[("Range", "bytes=2-4")], None).1, bytes("image/png"));
    assert_eq!((head.status, header(&head, "Content-Length")), (200, "10"));
}

#[test]
fn a_past_value_names_its_own_version_and_the_current_one() {
    let (then, now) = (vec![version(1)], vec![version(2)]);
    let past = || Reply::Past {
        body: Body::Json(json!(1)),
        version: then.clone(),
        current: now.clone(),
        sync: SyncStatus::Local,
        facts: Facts::default(),
    };
    let at = |headers: &[(&str, &str)]| {
        whole(ask("GET", &format!("/~/me/a?version={}", version(1)), headers, None).1, past())
    };
    let response = at(&[]);
    assert_eq!((response.status, text(&response).as_str()), (200, "1"));
    assert_eq!(header(&response, "Version"), format!("\"{}\"", version(1)));
    assert_eq!(header(&response, "Current-Version"), format!("\"{}\"", version(2)));
    assert_eq!(at(&[("If-None-Match", &etag(&then))]).status, 304);
    let (_, render) = ask("GET", "/~/me/a?at=5", &[], None);
    let too_large = Refusal::TooLarge { what: "It".to_owned(), limit: 9, listing: Some("a".to_owned()) };
    let problem = whole(render, Reply::Refused(too_large));
    assert_eq!(header(&problem, "Link"), "</~/me/a/?at=5>; rel=\"collection\"");
    let query = format!("/~/me/a/?limit=2&version={}", version(1));
    let list =
        Reply::List { items: vec![], next: Some("k".to_owned()), version: vec![], early: false, arriving: false };
    let page = whole(ask("GET", &query, &[], None).1, list);
    assert_eq!(header(&page, "Link"), format!("</~/me/a/?start=k&limit=2&version={}>; rel=\"next\"", version(1)));
}

#[test]
fn versions_links_and_undo() {
    let place = Path::new(["a/b", "c"]).unwrap();
    let item = HistoryItem {
        version: version(7),
        author: "did:key:z6Mk".to_owned(),
        time: 17,
        size: 5,
        kind: "put",
        paths: vec![place.clone()],
        more: 2,
    };
    let reply = || Reply::History { items: vec![item.clone()], next: Some(version(7)) };
    let shown = json!({
        "version": version(7).to_string(), "author": "did:key:z6Mk", "time": 17, "size": 5, "kind": "put",
        "paths": ["a%2Fb/c"], "more": 2,
    });
    let page = |headers: &[(&str, &str)]| whole(ask("GET", "/~/me/x?history=1&limit=1", headers, None).1, reply());
    assert_eq!(document(&page(&[])), json!({"items": [shown], "next": version(7).to_string()}));
    let next = format!("</~/me/x?history=1&before={}&limit=1>; rel=\"next\"", version(7));
    assert_eq!(header(&page(&[]), "Link"), next);
    assert_eq!(text(&page(&[("Accept", "application/x-ndjson")])), format!("{shown}\n"));

    let link = Reply::Link { space: "zSp".to_owned(), path: place.clone(), version: version(7), hash: [0xff; 32] };
    let link = document(&whole(ask("GET", "/~/me/a?link=1", &[], None).1, link));
    let hash = link["hash"].as_str().unwrap();
    assert_eq!(link["url"], format!("/~/zSp/a%2Fb/c?version={}&hash={hash}", version(7)).as_str());
    // What the link says is understood again.
    match ask("GET", link["url"].as_str().unwrap(), &[], None).0 {
        Request::GetAt { at: At::Versions(at), hash: Some(hash), path, .. } => {
            assert_eq!((at, hash, path), (vec![version(7)], [0xff; 32], place.clone()));
        }
        other => panic!("{other:?}"),
    }

    let undone = |target: Option<Version>| Reply::Undone {
        target,
        redo: target.is_none(),
        version: target,
        restored: vec![place.clone()],
        skipped: vec![],
    };
    let response = whole(ask("POST", "/~/me/$undo", &[], None).1, undone(Some(version(4))));
    let id = version(4).to_string();
    assert_eq!(document(&response), json!({"undone": id, "version": id, "restored": ["a%2Fb/c"], "skipped": []}));
    assert_eq!(header(&response, "Version"), format!("\"{id}\""));
    let response = whole(ask("POST", "/~/me/$redo", &[], None).1, undone(None));
    assert_eq!((response.header("Version"), &document(&response)["redone"]), (None, &Json::Null));
    let rewritten =
        whole(ask("GET", "/~/me/a", &[], None).1, Reply::Refused(Refusal::Rewritten { version: version(4) }));
    assert_eq!((rewritten.status, &document(&rewritten)["version"]), (409, &json!(id)));
}

#[test]
fn writes() {
    let write = |method: &str, created, deleted, sync| {
        let json = [("Content-Type", "application/json")];
        let body = if method == "PUT" { Some("1") } else { None };
        let version = vec![version(4)];
        whole(
            ask(method, "/~/me/a", &json, body).1,
            Reply::Written { created, deleted, version, sync, merge: Merge::Lww },
        )
    };
    let created = write("PUT", true, false, SyncStatus::Local);
    assert_eq!((created.status, header(&created, "Sync-Status")), (201, "local"));
    assert_eq!(header(&created, "Version"), format!("\"{}\"", version(4)));
    assert_eq!(header(&created, "ETag"), etag(&[version(4)]));
    let replaced = write("PUT", false, false, SyncStatus::Peers(3));
    assert_eq!((replaced.status, header(&replaced, "Sync-Status")), (200, "peers=3"));
    let deleted = write("DELETE", false, true, SyncStatus::Local);
    assert_eq!((deleted.status, deleted.body.len(), deleted.header("Version").is_some()), (204, 0, true));
}

#[test]
fn new_things() {
    let json = [("Content-Type", "application/json")];
    let create = || ask("POST", "/~/spaces", &json, Some("{\"name\":\"Trip\"}")).1;
    let created =
        Reply::SpaceCreated { id: "zQ3".to_owned(), document: json!({"id": "zQ3", "name": "Trip", "role": "owner"}) };
    let response = whole(create(), created);
    assert_eq!((response.status, header(&response, "Location")), (201, "/~/zQ3/"));
    assert_eq!(document(&response)["role"], "owner");
    assert_eq!(whole(create(), Reply::Invited(json!({"url": "x"}))).status, 201);
    assert_eq!(whole(create(), Reply::Joined(json!({"space": "x"}))).status, 200);
    assert_eq!(whole(create(), Reply::Document(json!({}))).status, 500);
}

fn listing() -> Reply {
    let item = |key: &str, value| Item { key: key.to_owned(), version: vec![version(1)], value, kind: None };
    let picture = Body::Bytes { media: "image/png".to_owned(), bytes: vec![0; 7] };
    let items = vec![item("a/b", None), item("n", Some(Body::Json(json!(5)))), item("p", Some(picture))];
    Reply::List { items, next: Some("q r".to_owned()), version: vec![version(1)], early: false, arriving: false }
}

#[test]
fn listings_as_one_document_and_as_lines() {
    let id = version(1).to_string();
    let items = [
        json!({"key": "a/b", "version": id}),
        json!({"key": "n", "version": id, "value": 5}),
        json!({"key": "p", "version": id, "value": {"$media": "image/png", "$length": 7}}),
    ];
    let page = |query: &str, headers: &[(&str, &str)]| {
        whole(ask("GET", &format!("/~/me/x/?{query}"), headers, None).1, listing())
    };
    let response = page("limit=3&end=z&values=1", &[]);
    assert_eq!(document(&response), json!({"items": items, "next": "q r"}));
    assert_eq!(header(&response, "Link"), "</~/me/x/?start=q%20r&end=z&limit=3&values=1>; rel=\"next\"");
    let back = page("limit=3&start=b&reverse=1", &[]);
    assert_eq!(header(&back, "Link"), "</~/me/x/?start=b&end=q%20r&limit=3&reverse=1>; rel=\"next\"");
    let lines = page("", &[("Accept", "application/x-ndjson")]);
    assert_eq!(header(&lines, "Content-Type"), "application/x-ndjson");
    assert_eq!(text(&lines), items.map(|item| format!("{item}\n")).concat());
    assert_ne!(header(&lines, "ETag"), header(&response, "ETag"));
    for (headers, known) in [(vec![], &response), (vec![("Accept", "application/x-ndjson")], &lines)] {
        let mut headers = headers;
        headers.push(("If-None-Match", header(known, "ETag")));
        assert_eq!(page("", &headers).status, 304);
    }
    let top = whole(ask("GET", "/~/me/?limit=1", &[], None).1, listing());
    assert_eq!(header(&top, "Link"), "</~/me/?start=q%20r&limit=1>; rel=\"next\"");
}

#[test]
fn feeds() {
    let item = ChangeItem {
        merge: None,
        from: None,
        cursor: "c7".to_owned(),
        path: Path::new(["a/b", "é x"]).unwrap(),
        kind: "put",
        version: version(7),
        author: "did:key:z6Mk".to_owned(),
        time: 1_790_000_000_000,
    };
    let page = |headers: &[(&str, &str)]| {
        let reply = Reply::Changes { items: vec![item.clone()], next: "c7".to_owned() };
        whole(ask("GET", "/~/me/$changes?limit=5", headers, None).1, reply)
    };
    let change = json!({
        "cursor": "c7", "path": "a%2Fb/%C3%A9%20x", "kind": "put", "version": version(7).to_string(),
        "author": "did:key:z6Mk", "time": 1_790_000_000_000u64,
    });
    let response = page(&[]);
    assert_eq!(document(&response), json!({"items": [change], "next": "c7"}));
    assert_eq!(header(&response, "Link"), "</~/me/$changes?since=c7&limit=5>; rel=\"next\"");
    assert_eq!(header(&response, "Cache-Control"), "no-store");
    assert_eq!(text(&page(&[("Accept", "application/x-ndjson")])), format!("{change}\n"));
}

#[test]
fn refusals_with_their_headers() {
    let refused = |refusal| get(&[], Reply::Refused(refusal));
    let unknown = refused(Refusal::VersionUnknown { missing: vec![version(9)] });
    assert_eq!((unknown.status, header(&unknown, "Version")), (432, format!("\"{}\"", version(9)).as_str()));
    assert_eq!(document(&unknown)["missing"], json!([version(9).to_string()]));
    let large = |listing: Option<&str>| {
        let listing = listing.map(str::to_owned);
        refused(Refusal::TooLarge { what: "The value".to_owned(), limit: 9, listing })
    };
    assert_eq!(document(&large(None))["limit"], 9);
    assert_eq!(header(&large(Some("a")), "Link"), "</~/me/a/>; rel=\"collection\"");
    assert_eq!(header(&large(Some("/~/me/b/")), "Link"), "</~/me/b/>; rel=\"collection\"");
    let busy = refused(Refusal::Unavailable { detail: "Starting.".to_owned(), retry_after: 2 });
    assert_eq!((busy.status, header(&busy, "Retry-After")), (503, "2"));
    assert_eq!(header(&refused(Refusal::TooMany("Slow down.".to_owned())), "Retry-After"), "1");
    let (_, head) = ask("HEAD", "/~/me/a", &[], None);
    assert_eq!(whole(head, Reply::Refused(Refusal::NotFound)).body.len(), 0);
}

#[test]
fn values_that_stand_beside_each_other_are_named_and_can_be_read() {
    let rival = Rival { version: version(1), body: Body::Json(json!("other")) };
    let facts = Facts { merge: Merge::Mv, conflicts: vec![rival], early: false };
    let (body, sync) = (Body::Json(json!("one")), SyncStatus::Local);
    let reply = Reply::Value { body, version: vec![version(2), version(1)], sync, facts };
    let shown = get(&[], reply);
    assert_eq!((text(&shown).as_str(), header(&shown, "Merge-Type")), ("\"one\"", "mv"));
    assert_eq!(header(&shown, "Conflicts"), format!("\"{}\"", version(1)));
    let facts = Facts { merge: Merge::Mv, conflicts: Vec::new(), early: false };
    let (body, current) = (Body::Json(json!("other")), vec![version(2), version(1)]);
    let reply = Reply::Past { body, version: vec![version(1)], current, sync, facts };
    let other = get(&[("Version", &format!("\"{}\"", version(1)))], reply);
    assert_eq!((other.status, text(&other).as_str(), other.header("Conflicts")), (200, "\"other\"", None));
}

#[test]
fn options_tell_the_kind_of_a_value() {
    let options = |reply| whole(ask("OPTIONS", "/~/me/a", &[], None).1, reply);
    let held = |merge| {
        let facts = Facts { merge, ..Facts::default() };
        Reply::Value { body: Body::Json(json!(1)), version: vec![version(1)], sync: SyncStatus::Local, facts }
    };
    let counter = options(held(Merge::Counter));
    assert_eq!((counter.status, header(&counter, "Merge-Type")), (204, "counter"));
    assert!(header(&counter, "Accept-Patch").starts_with("application/vnd.kith.counter+json, application/merge-patch"));
    assert!(!header(&options(held(Merge::List)), "Accept-Patch").contains("vnd.kith"));
    let nothing = options(Reply::Refused(Refusal::NotFound));
    assert_eq!(header(&nothing, "Merge-Type"), "lww, mv, counter, set, list, simpleton, dt");
    let text = options(held(Merge::Text));
    assert_eq!(header(&text, "Merge-Type"), "simpleton, dt");
    assert_eq!(header(&text, "Accept-Patch"), "application/http-patches");
    assert_eq!(header(&text, "Range-Request-Allow-Units"), "text");
    for (name, text) in [("Accept-Subscribe", "true"), ("Range-Request-Allow-Units", "json, text")] {
        assert_eq!(header(&nothing, name), text);
    }
}

#[test]
fn kinds_that_do_not_go_with_a_request_are_problems() {
    let wrong = Refusal::WrongKind { kind: "set", detail: "No.".to_owned() };
    let response = get(&[], Reply::Refused(wrong));
    assert_eq!(
        (response.status, &document(&response)["kind"], header(&response, "Merge-Type")),
        (422, &json!("set"), "set")
    );
    let newer = get(&[], Reply::Refused(Refusal::NewerKind { tag: 77 }));
    assert_eq!((newer.status, &document(&newer)["tag"]), (501, &json!(77)));
    assert!(text(&newer).contains("urn:kith:problem:newer-kind"));
}

#[test]
fn places_in_documents_are_in_url_form() {
    let reply = Reply::Document(json!({"items": [{"path": ["a/b", "é"], "winner": "x"}, {"prefix": []}]}));
    let response = whole(ask("GET", "/~/me/$conflicts", &[], None).1, reply);
    assert_eq!(text(&response), "{\"items\":[{\"path\":\"a%2Fb/%C3%A9\",\"winner\":\"x\"},{\"prefix\":\"\"}]}");
}

#[test]
fn what_came_early_has_no_tag_and_is_not_kept() {
    let value = |early| {
        let (sync, facts) = (SyncStatus::Arriving, Facts { early, ..Facts::default() });
        Reply::Value { body: Body::Json(json!(1)), version: Vec::new(), sync, facts }
    };
    let known = get(&[], value(false));
    assert_eq!(header(&known, "Sync-Status"), "arriving");
    let again = [("If-None-Match", header(&known, "ETag"))];
    assert_eq!(get(&again, value(false)).status, 304);
    let list = |early, arriving| Reply::List { items: Vec::new(), next: None, version: Vec::new(), early, arriving };
    let listed = whole(ask("GET", "/~/me/x/", &again, None).1, list(true, true));
    for early in [get(&again, value(true)), listed] {
        assert_eq!((early.status, early.header("ETag"), header(&early, "Version")), (200, None, ""));
        assert_eq!((header(&early, "Sync-Status"), header(&early, "Cache-Control")), ("arriving", "no-store"));
    }
    let partial = whole(ask("GET", "/~/me/x/", &[], None).1, list(false, true));
    assert_eq!((header(&partial, "Sync-Status"), header(&partial, "Cache-Control")), ("arriving", "no-cache"));
    assert_eq!(whole(ask("GET", "/~/me/x/", &[], None).1, list(false, false)).header("Sync-Status"), None);
}

#[test]
fn what_is_not_there_yet_says_so() {
    for (refusal, sync) in [(Refusal::NotYet, Some("arriving")), (Refusal::NotFound, None)] {
        let answer = get(&[], Reply::Refused(refusal));
        assert_eq!((answer.status, answer.header("Sync-Status")), (404, sync));
        assert!(text(&answer).contains("not-found"));
    }
}
