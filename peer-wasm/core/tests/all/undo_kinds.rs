//! Restore, undo and redo of values of kinds: each comes back in its own way, and what others did stays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use kith_core::api::{At, Body, Change, Manner, Merge, Refusal, Reply, Request};
use kith_core::path::Path;
use kith_core::sim::Story;
use kith_core::version::Version;
use serde_json::{Value as Json, json};

fn path(text: &str) -> Path {
    Path::new(text.split('/')).unwrap()
}

fn ask(story: &mut Story, node: usize, request: Request) -> Reply {
    story.world.ask_for(node, request, 60_000).expect("an answer")
}

fn write(story: &mut Story, node: usize, place: &str, change: Change, merge: Option<Merge>) -> Version {
    let (space, path, conditions) = (story.space_ref(), path(place), Default::default());
    let manner = Manner { merge, ..Manner::default() };
    let request = Request::Write { space, path, change, conditions, manner, id: None, purge: false };
    match ask(story, node, request) {
        Reply::Written { version, .. } => {
            let own = kith_core::version::Agent::of(&story.world.device(node).unwrap().0);
            version.into_iter().find(|version| version.agent == own).unwrap()
        }
        other => panic!("{place}: {other:?}"),
    }
}

fn put(story: &mut Story, place: &str, value: Json, merge: Merge) -> Version {
    write(story, 0, place, Change::Put(Body::Json(value)), Some(merge))
}

fn add(member: &str) -> Change {
    Change::Set { add: vec![json!(member)], remove: Vec::new() }
}

fn step(story: &mut Story, scope: &str, redo: bool) -> (Vec<String>, Vec<String>) {
    let request = Request::Undo { space: story.space_ref(), scope: path(scope), redo, id: None };
    match ask(story, 0, request) {
        Reply::Undone { target: Some(_), restored, skipped, .. } => {
            let texts = |paths: Vec<Path>| paths.iter().map(Path::to_string).collect();
            (texts(restored), texts(skipped))
        }
        other => panic!("{other:?}"),
    }
}

/// What a peer shows, and by which merge type.
fn shown(story: &mut Story, node: usize, place: &str) -> Option<(Json, Merge)> {
    let request = Request::Get { space: story.space_ref(), path: path(place), parents: Vec::new() };
    match ask(story, node, request) {
        Reply::Value { body: Body::Json(json), facts, .. } => Some((json, facts.merge)),
        Reply::Refused(Refusal::NotFound) => None,
        other => panic!("{other:?}"),
    }
}

fn two() -> Story {
    Story::joined(5, 2).unwrap()
}

fn settle(story: &mut Story) {
    story.settle(120_000).unwrap();
}

#[test]
fn an_increment_is_taken_back_whatever_others_have_added() {
    let mut story = two();
    put(&mut story, "votes", json!(5), Merge::Counter);
    settle(&mut story);
    write(&mut story, 1, "votes", Change::Increment(json!(3)), None);
    write(&mut story, 0, "votes", Change::Increment(json!(2)), None);
    settle(&mut story);
    write(&mut story, 1, "votes", Change::Increment(json!(10)), None);
    settle(&mut story);
    assert_eq!(step(&mut story, "votes", false), (vec!["votes".to_owned()], vec![]));
    settle(&mut story);
    assert_eq!(shown(&mut story, 1, "votes"), Some((json!(18), Merge::Counter)));
    step(&mut story, "votes", true);
    assert_eq!(shown(&mut story, 0, "votes"), Some((json!(20), Merge::Counter)));
    // Deleted by this device, and back again.
    write(&mut story, 0, "votes", Change::Delete, None);
    assert_eq!(shown(&mut story, 0, "votes"), None);
    step(&mut story, "votes", false);
    assert_eq!(shown(&mut story, 0, "votes"), Some((json!(20), Merge::Counter)));
}

#[test]
fn members_come_and_go_alone() {
    let mut story = two();
    put(&mut story, "tags", json!(["a", "b"]), Merge::Set);
    settle(&mut story);
    write(&mut story, 0, "tags", add("c"), None);
    write(&mut story, 1, "tags", add("d"), None);
    settle(&mut story);
    step(&mut story, "tags", false);
    assert_eq!(shown(&mut story, 0, "tags"), Some((json!(["a", "b", "d"]), Merge::Set)));
    step(&mut story, "tags", true);
    assert_eq!(shown(&mut story, 0, "tags"), Some((json!(["a", "b", "c", "d"]), Merge::Set)));
    step(&mut story, "tags", false);
    step(&mut story, "tags", false);
    settle(&mut story);
    for node in 0..2 {
        assert_eq!(shown(&mut story, node, "tags"), Some((json!(["d"]), Merge::Set)));
    }
}

#[test]
fn lists_are_edited_back_unless_others_have_edited_since() {
    let mut story = two();
    put(&mut story, "steps", json!(["a", "b", "c"]), Merge::List);
    let patch = json!([{ "op": "remove", "path": "/0" }, { "op": "add", "path": "/1", "value": "x" }]);
    write(&mut story, 0, "steps", Change::JsonPatch(patch), None);
    let edited = Some((json!(["b", "x", "c"]), Merge::List));
    assert_eq!(shown(&mut story, 0, "steps"), edited);
    step(&mut story, "steps", false);
    assert_eq!(shown(&mut story, 0, "steps"), Some((json!(["a", "b", "c"]), Merge::List)));
    step(&mut story, "steps", true);
    assert_eq!(shown(&mut story, 0, "steps"), edited);
    settle(&mut story);
    write(&mut story, 1, "steps/0", Change::Put(Body::Json(json!("B"))), None);
    settle(&mut story);
    assert_eq!(step(&mut story, "steps", false), (vec![], vec!["steps".to_owned()]));
    assert_eq!(shown(&mut story, 0, "steps"), Some((json!(["B", "x", "c"]), Merge::List)));
}

#[test]
fn a_value_put_in_the_place_of_another_kind_gives_way_to_it() {
    for (merge, value) in [
        (Merge::List, json!(["a", 1])),
        (Merge::Set, json!(["a", "b"])),
        (Merge::Counter, json!(7)),
        (Merge::Mv, json!("m")),
    ] {
        let mut story = two();
        put(&mut story, "x", value.clone(), merge);
        put(&mut story, "x", json!({ "plain": true }), Merge::Lww);
        assert_eq!(shown(&mut story, 0, "x"), Some((json!({ "plain": true }), Merge::Lww)));
        step(&mut story, "x", false);
        assert_eq!(shown(&mut story, 0, "x"), Some((value, merge)), "{merge:?}");
        step(&mut story, "x", true);
        assert_eq!(shown(&mut story, 0, "x"), Some((json!({ "plain": true }), Merge::Lww)), "{merge:?}");
        step(&mut story, "x", false);
        step(&mut story, "x", false);
        assert_eq!(shown(&mut story, 0, "x"), None, "{merge:?}");
        settle(&mut story);
    }
}

#[test]
fn a_place_with_values_of_every_kind_is_restored_whole() {
    let mut story = two();
    put(&mut story, "doc/plain", json!({ "a": 1, "b": { "c": [2] } }), Merge::Lww);
    put(&mut story, "doc/votes", json!(5), Merge::Counter);
    put(&mut story, "doc/tags", json!(["a", "b"]), Merge::Set);
    put(&mut story, "doc/steps", json!(["x", "y", "z"]), Merge::List);
    let then = put(&mut story, "doc/title", json!("first"), Merge::Mv);
    let before = shown(&mut story, 0, "doc");
    settle(&mut story);
    write(&mut story, 1, "doc/votes", Change::Increment(json!(3)), None);
    write(&mut story, 1, "doc/tags", add("c"), None);
    write(&mut story, 0, "doc/steps/1", Change::Delete, None);
    write(&mut story, 0, "doc/title", Change::Put(Body::Json(json!("second"))), None);
    write(&mut story, 0, "doc/plain", Change::Delete, None);
    put(&mut story, "doc/more", json!(9), Merge::Counter);
    settle(&mut story);
    let at = At::Versions(vec![then]);
    let (space, place) = (story.space_ref(), path("doc"));
    match ask(&mut story, 1, Request::GetAt { space, path: place, at: at.clone(), hash: None }) {
        Reply::Past { body: Body::Json(json), .. } => assert_eq!(Some(json), before.clone().map(|(json, _)| json)),
        other => panic!("{other:?}"),
    }
    let (space, place, conditions) = (story.space_ref(), path("doc"), Default::default());
    let restore = Request::Restore { space, path: place, from: at, conditions, id: None };
    assert!(matches!(ask(&mut story, 0, restore), Reply::Written { created: false, deleted: false, .. }));
    // What others add meanwhile merges.
    write(&mut story, 1, "doc/votes", Change::Increment(json!(100)), None);
    settle(&mut story);
    let (mut expected, _) = before.unwrap();
    expected["votes"] = json!(105);
    for node in 0..2 {
        assert_eq!(shown(&mut story, node, "doc").unwrap().0, expected);
        for (place, merge) in
            [("votes", Merge::Counter), ("tags", Merge::Set), ("steps", Merge::List), ("title", Merge::Mv)]
        {
            assert_eq!(shown(&mut story, node, &format!("doc/{place}")).unwrap().1, merge, "{place}");
        }
    }
}
