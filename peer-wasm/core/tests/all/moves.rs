//! Moves, as programs see them at one peer and at two.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use kith_core::api::{
    Body, Change, ListQuery, Manner, Merge, Refusal, Reply, Request, Target, TextChange, TextEdit, Update,
};
use kith_core::path::Path;
use kith_core::sim::Story;
use serde_json::{Value as Json, json};

fn path(text: &str) -> Path {
    Path::new(text.split('/').filter(|name| !name.is_empty())).unwrap()
}

fn ask(story: &mut Story, node: usize, request: Request) -> Reply {
    story.world.ask_for(node, request, 60_000).expect("an answer")
}

fn change(story: &mut Story, node: usize, place: &str, change: Change, merge: Option<Merge>, purge: bool) -> Reply {
    let manner = Manner { merge, ..Manner::default() };
    let (space, path) = (story.space_ref(), path(place));
    ask(story, node, Request::Write { space, path, change, conditions: Default::default(), manner, id: None, purge })
}

fn put(story: &mut Story, node: usize, place: &str, value: Json) {
    let reply = change(story, node, place, Change::Put(Body::Json(value)), None, false);
    assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
}

fn move_to(story: &mut Story, node: usize, from: &str, to: &str) -> Reply {
    let space = story.space_ref();
    let request = Request::Move { space, from: path(from), to: path(to), conditions: Default::default(), id: None };
    ask(story, node, request)
}

fn moved(story: &mut Story, node: usize, from: &str, to: &str) {
    let reply = move_to(story, node, from, to);
    assert!(matches!(reply, Reply::Written { created: true, .. }), "{from} to {to}: {reply:?}");
}

fn shown(story: &mut Story, node: usize, place: &str) -> Json {
    let request = Request::Get { space: story.space_ref(), path: path(place), parents: Vec::new() };
    match ask(story, node, request) {
        Reply::Value { body: Body::Json(json), .. } => json,
        Reply::Value { body: Body::Bytes { bytes, .. }, .. } => String::from_utf8(bytes).unwrap().into(),
        Reply::Refused(Refusal::NotFound) => Json::Null,
        other => panic!("{other:?}"),
    }
}

fn step(story: &mut Story, redo: bool) -> Vec<String> {
    let request = Request::Undo { space: story.space_ref(), scope: Path::root(), redo, id: None };
    match ask(story, 0, request) {
        Reply::Undone { restored, target: Some(_), .. } => restored.iter().map(Path::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn alone() -> Story {
    Story::joined(1, 1).unwrap()
}

#[test]
fn what_is_moved_takes_everything_in_it_along() {
    let mut story = alone();
    put(&mut story, 0, "a/x", json!({ "title": "Tea", "deep": { "er": [1, 2] } }));
    put(&mut story, 0, "a/y", json!(2));
    moved(&mut story, 0, "a/x", "b/z");
    assert_eq!(
        shown(&mut story, 0, ""),
        json!({ "a": { "y": 2 }, "b": { "z": { "title": "Tea", "deep": { "er": [1, 2] } } } })
    );
    assert_eq!(shown(&mut story, 0, "a/x"), Json::Null);
    // Writing there goes on, also after it goes further with what it is in.
    put(&mut story, 0, "b/z/title", json!("Coffee"));
    moved(&mut story, 0, "b", "c/d");
    put(&mut story, 0, "c/d/z/more", json!(true));
    assert_eq!(shown(&mut story, 0, "c/d/z"), json!({ "title": "Coffee", "deep": { "er": [1, 2] }, "more": true }));
    assert_eq!(shown(&mut story, 0, "b"), Json::Null);
    // All of it is so after a restart.
    story.world.crash(0);
    story.world.start(0);
    assert_eq!(shown(&mut story, 0, "c/d/z/title"), json!("Coffee"));
    assert_eq!(shown(&mut story, 0, "a"), json!({ "y": 2 }));
}

#[test]
fn where_something_was_a_new_thing_can_stand_and_the_old_come_back_elsewhere() {
    let mut story = alone();
    put(&mut story, 0, "a", json!({ "old": 1 }));
    moved(&mut story, 0, "a", "b");
    put(&mut story, 0, "a", json!({ "new": 1 }));
    assert_eq!(shown(&mut story, 0, ""), json!({ "a": { "new": 1 }, "b": { "old": 1 } }));
    // Both change places.
    moved(&mut story, 0, "a", "c");
    moved(&mut story, 0, "b", "a");
    moved(&mut story, 0, "c", "b");
    put(&mut story, 0, "a/more", json!(2));
    assert_eq!(shown(&mut story, 0, ""), json!({ "a": { "old": 1, "more": 2 }, "b": { "new": 1 } }));
    // What was deleted where something was moved to makes room.
    change(&mut story, 0, "a", Change::Delete, None, false);
    moved(&mut story, 0, "b", "a");
    assert_eq!(shown(&mut story, 0, ""), json!({ "a": { "new": 1 } }));
}

#[test]
fn what_cannot_be_moved_is_refused_by_name() {
    let mut story = alone();
    put(&mut story, 0, "a", json!({ "b": { "c": 1 }, "list": [1, 2], "text": "x" }));
    put(&mut story, 0, "d", json!(1));
    change(&mut story, 0, "set", Change::Put(Body::Json(json!(["x"]))), Some(Merge::Set), false);
    let mut refused = |from: &str, to: &str| match move_to(&mut story, 0, from, to) {
        Reply::Refused(refusal) => format!("{refusal:?}").split(['(', ' ']).next().unwrap().to_owned(),
        other => panic!("{from} to {to}: {other:?}"),
    };
    assert_eq!(refused("nothing", "e"), "NotFound");
    assert_eq!(refused("a", "d"), "Conflict");
    assert_eq!(refused("d", "a/b"), "Conflict");
    assert_eq!(refused("d", "a/list/0"), "Conflict");
    assert_eq!(refused("d", "a/text/x"), "Conflict");
    assert_eq!(refused("a", "a/b/d"), "Unprocessable");
    assert_eq!(refused("a", "a"), "Unprocessable");
    assert_eq!(refused("", "x"), "Unprocessable");
    assert_eq!(refused("a/list/0", "x"), "WrongKind");
    assert_eq!(refused("set/\"x\"", "x"), "WrongKind");
    assert_eq!(refused("a", &"e/".repeat(31)), "Unprocessable");
}

#[test]
fn a_move_is_undone_and_redone() {
    let mut story = alone();
    put(&mut story, 0, "a/x", json!(1));
    moved(&mut story, 0, "a/x", "b");
    put(&mut story, 0, "c", json!(3));
    assert_eq!(step(&mut story, false), ["c"]);
    assert_eq!(step(&mut story, false), ["a/x"]);
    assert_eq!(shown(&mut story, 0, ""), json!({ "a": { "x": 1 } }));
    assert_eq!(step(&mut story, true), ["b"]);
    assert_eq!(shown(&mut story, 0, ""), json!({ "b": 1 }));
}

#[test]
fn feeds_history_and_the_past_tell_of_what_was_moved_where_it_stands() {
    let mut story = alone();
    put(&mut story, 0, "a/x", json!("one"));
    put(&mut story, 0, "a/x", json!("two"));
    moved(&mut story, 0, "a/x", "b/y");
    let space = story.space_ref();
    let Reply::Changes { items, .. } =
        ask(&mut story, 0, Request::Changes { space: space.clone(), since: None, limit: 100 })
    else {
        panic!("no feed")
    };
    let told: Vec<(String, Option<String>, &str)> =
        items.iter().map(|item| (item.path.to_string(), item.from.as_ref().map(Path::to_string), item.kind)).collect();
    let put = ("b/y".to_owned(), None, "put");
    assert_eq!(told, [put.clone(), put, ("b/y".to_owned(), Some("a/x".to_owned()), "move")]);
    let Reply::History { items, .. } =
        ask(&mut story, 0, Request::History { space: space.clone(), path: path("b/y"), before: None, limit: 9 })
    else {
        panic!("no history")
    };
    assert_eq!(items.len(), 2);
    let at = kith_core::api::At::Versions(vec![items[1].version]);
    match ask(&mut story, 0, Request::GetAt { space, path: path("b/y"), at, hash: None }) {
        Reply::Value { body, .. } | Reply::Past { body, .. } => assert_eq!(body, Body::Json(json!("one"))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_purge_erases_what_stands_there_and_nothing_that_stands_elsewhere() {
    let mut story = alone();
    for turn in ["first", "last"] {
        put(&mut story, 0, "a", json!({ "secret": format!("{turn} of secret"), "other": format!("{turn} of other") }));
        put(&mut story, 0, "b", json!({ "in": format!("{turn} of in") }));
    }
    moved(&mut story, 0, "a/other", "b/other");
    moved(&mut story, 0, "b", "c/b");
    moved(&mut story, 0, "c/b/in", "in");
    let there = |story: &Story, what: &str| {
        ["first", "last"].map(|turn| !story.find_bytes(0, format!("{turn} of {what}").as_bytes()).is_empty())
    };
    let purge = |story: &mut Story, place: &str| {
        let reply = change(story, 0, place, Change::Delete, None, true);
        assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
        story.collect_all(60_000).unwrap();
    };
    purge(&mut story, "a");
    assert_eq!(shown(&mut story, 0, ""), json!({ "c": { "b": { "other": "last of other" } }, "in": "last of in" }));
    assert_eq!(["secret", "other", "in"].map(|what| there(&story, what)), [[false, false], [true, true], [true, true]]);
    purge(&mut story, "c");
    assert_eq!(shown(&mut story, 0, ""), json!({ "in": "last of in" }));
    assert_eq!(["other", "in"].map(|what| there(&story, what)), [[false, false], [true, true]]);
    // Its old place is another now.
    change(&mut story, 0, "in", Change::Delete, None, false);
    purge(&mut story, "b");
    assert_eq!(there(&story, "in"), [true, true]);
    purge(&mut story, "in");
    assert_eq!(there(&story, "in"), [false, false]);
}

#[test]
fn subscribers_see_what_goes_and_what_comes() {
    let mut story = alone();
    put(&mut story, 0, "a/x", json!(1));
    let space = story.space_ref();
    let query = ListQuery { start: None, end: None, limit: 100, reverse: false, values: true };
    let value = |place: &str| Target::Value { space: space.clone(), path: path(place), parents: None };
    let list =
        |place: &str| Target::List { space: space.clone(), prefix: path(place), query: query.clone(), parents: None };
    let targets = [value("a/x"), value("a/y"), list("a"), list("")];
    let open = targets.map(|target| match ask(&mut story, 0, Request::Subscribe(target)) {
        Reply::Subscribed(id) => id,
        other => panic!("{other:?}"),
    });
    let pull = |story: &mut Story| {
        open.map(|id| {
            story.world.pull(0, id);
            story.world.run(1_000);
            story.world.update(0, id)
        })
    };
    pull(&mut story);
    moved(&mut story, 0, "a/x", "a/y");
    let [left, came, inside, above] = pull(&mut story);
    assert!(matches!(left, Some(Update::Value { body: None, .. })), "{left:?}");
    assert!(matches!(came, Some(Update::Value { body: Some(Body::Json(_)), .. })), "{came:?}");
    let Some(Update::Items { items, removed, .. }) = inside else { panic!("{inside:?}") };
    assert_eq!((items[0].key.as_str(), removed), ("y", vec!["x".to_owned()]));
    // What it is in is another value now, with another version.
    let Some(Update::Items { items, .. }) = above else { panic!("{above:?}") };
    assert_eq!(items[0].value, Some(Body::Json(json!({ "y": 1 }))));
}

#[test]
fn what_others_write_in_it_meanwhile_goes_along_texts_too() {
    let mut story = Story::joined(3, 2).unwrap();
    let text = |text: &str| {
        let edit = TextEdit::Splices(vec![(0, 0, text.to_owned())]);
        Change::Text(TextChange { parents: None, edit, event: None })
    };
    put(&mut story, 0, "doc", json!({ "title": "T" }));
    change(&mut story, 0, "doc/text", text("first"), Some(Merge::Text), false);
    story.settle(60_000).unwrap();
    story.world.divide(|node| node as u64);
    moved(&mut story, 0, "doc", "archive/doc");
    change(&mut story, 0, "archive/doc/text", text("A "), None, false);
    change(&mut story, 1, "doc/text", text("B "), None, false);
    put(&mut story, 1, "doc/note", json!("mine"));
    story.world.unite();
    story.settle(60_000).unwrap();
    for node in 0..2 {
        assert_eq!(shown(&mut story, node, "doc"), Json::Null);
        assert_eq!(shown(&mut story, node, "archive/doc/note"), json!("mine"));
        let text = shown(&mut story, node, "archive/doc/text");
        assert!(text == "A B first" || text == "B A first", "{text}");
    }
}

#[test]
fn of_moves_into_each_other_one_counts_and_of_moves_to_one_name_both_are_there() {
    let mut story = Story::joined(4, 2).unwrap();
    put(&mut story, 0, "", json!({ "a": { "in": 1 }, "b": { "in": 2 }, "c": 3, "d": 4 }));
    story.settle(60_000).unwrap();
    story.world.divide(|node| node as u64);
    moved(&mut story, 0, "a", "b/a");
    moved(&mut story, 0, "c", "e");
    story.world.run(10);
    moved(&mut story, 1, "b", "a/b");
    moved(&mut story, 1, "d", "e");
    story.world.unite();
    story.settle(60_000).unwrap();
    assert_eq!(shown(&mut story, 1, ""), json!({ "b": { "in": 2, "a": { "in": 1 } }, "e": 4, "e⑂2": 3 }));
    // What waits for the name gets it.
    moved(&mut story, 1, "e", "f");
    assert_eq!(shown(&mut story, 1, ""), json!({ "b": { "in": 2, "a": { "in": 1 } }, "f": 4, "e": 3 }));
}

#[test]
fn a_move_of_more_than_can_be_taken_elsewhere_at_once_makes_the_tree_anew() {
    let mut story = Story::joined(5, 2).unwrap();
    let many = |name: &str| {
        let members = (0..11_000).map(|number| (format!("{name}{number}"), json!(number)));
        Change::MergePatch(Json::Object(members.collect()))
    };
    let written = |reply: Reply| assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
    written(change(&mut story, 0, "a", many("one"), None, false));
    story.settle(600_000).unwrap();
    story.world.divide(|node| node as u64);
    moved(&mut story, 0, "a", "b/c");
    written(change(&mut story, 1, "a", many("two"), None, false));
    // By now it is too much for whoever wants to move it.
    let reply = move_to(&mut story, 1, "a", "d");
    assert!(matches!(reply, Reply::Refused(Refusal::TooLarge { .. })), "{reply:?}");
    put(&mut story, 1, "z", json!(1));
    story.world.unite();
    story.world.run(600_000);
    // The whole is too much for one answer, too.
    let rows = |story: &Story, node| story.rows(node);
    assert_eq!(rows(&story, 0).len(), rows(&story, 1).len());
    assert!(rows(&story, 0) == rows(&story, 1) && story.history(0) == story.history(1));
    for (node, place, value) in
        [(0, "b/c/two7", json!(7)), (1, "b/c/one8", json!(8)), (1, "z", json!(1)), (1, "a/two7", Json::Null)]
    {
        assert_eq!(shown(&mut story, node, place), value, "{node} {place}");
    }
}
