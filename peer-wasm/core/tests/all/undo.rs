//! Restore, undo and redo: what an editor does, over a log that only grows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{At, Body, Change, Refusal, Reply, Request};
use kith_core::path::Path;
use kith_core::sim::Story;
use kith_core::version::Version;
use serde_json::{Value as Json, json};

fn path(text: &str) -> Path {
    Path::new(text.split('/').filter(|name| !name.is_empty())).unwrap()
}

fn ask(story: &mut Story, node: usize, request: Request) -> Reply {
    story.world.ask_for(node, request, 60_000).expect("an answer")
}

fn write(story: &mut Story, node: usize, place: &str, change: Change) -> Option<Version> {
    let request = Request::Write {
        space: story.space_ref(),
        path: path(place),
        change,
        conditions: Default::default(),
        manner: Default::default(),
        id: None,
        purge: false,
    };
    match ask(story, node, request) {
        Reply::Written { version, .. } => version.into_iter().max_by_key(|version| version.seq),
        Reply::Refused(Refusal::NotFound | Refusal::Conflict(_)) => None,
        other => panic!("{other:?}"),
    }
}

fn put(story: &mut Story, node: usize, place: &str, value: Json) -> Version {
    write(story, node, place, Change::Put(Body::Json(value))).unwrap()
}

fn undo_or_redo(story: &mut Story, scope: &str, redo: bool, id: Option<&str>) -> Reply {
    let request = Request::Undo { space: story.space_ref(), scope: path(scope), redo, id: id.map(str::to_owned) };
    ask(story, 0, request)
}

/// Undoes or redoes; what it was about, what it put back and what it left alone.
fn step(story: &mut Story, scope: &str, redo: bool) -> Option<(Version, Vec<String>, Vec<String>)> {
    match undo_or_redo(story, scope, redo, None) {
        Reply::Undone { target, restored, skipped, .. } => {
            let texts = |paths: Vec<Path>| paths.iter().map(Path::to_string).collect();
            Some((target?, texts(restored), texts(skipped)))
        }
        other => panic!("{other:?}"),
    }
}

fn shown(story: &mut Story, node: usize, place: &str) -> Option<Json> {
    let request = Request::Get { space: story.space_ref(), path: path(place), parents: Vec::new() };
    match ask(story, node, request) {
        Reply::Value { body: Body::Json(json), .. } => Some(json),
        Reply::Value { body: Body::Bytes { bytes, .. }, .. } => Some(json!({ "$bytes": bytes })),
        Reply::Refused(Refusal::NotFound) => None,
        other => panic!("{other:?}"),
    }
}

/// One random write below `doc/`: values, objects over values, values over objects, deletions.
fn edit(story: &mut Story, n: u64) {
    let dice = &mut story.world.dice;
    let places = ["doc/a", "doc/b", "doc/a/x", "doc/b/y", "doc", "doc/c/d/e"];
    let place = places[dice.below(places.len() as u64) as usize];
    let change = match dice.below(6) {
        0 => Change::Delete,
        1 => Change::Put(Body::Json(json!({ "x": n, "y": { "z": [n] } }))),
        2 => Change::MergePatch(json!({ "x": n, "y": null })),
        3 => Change::Put(Body::Bytes { media: "image/png".to_owned(), bytes: n.to_be_bytes().to_vec() }),
        _ => Change::Put(Body::Json(json!(n))),
    };
    let request = Request::Write {
        space: story.space_ref(),
        path: path(place),
        change,
        conditions: Default::default(),
        manner: Default::default(),
        id: None,
        purge: false,
    };
    let reply = ask(story, 0, request);
    let expected = matches!(
        reply,
        Reply::Written { .. } | Reply::Refused(Refusal::NotFound | Refusal::Conflict(_) | Refusal::Unprocessable(_))
    );
    assert!(expected, "{reply:?}");
}

/// What showed before and after a write.
type Edit = (Option<Json>, Option<Json>);

#[test]
fn one_writer_goes_back_and_forth_as_in_an_editor_through_restarts() {
    for_each_seed(20, 2000, |seed| {
        let mut story = Story::joined(seed, 1)?;
        // The states before and after each write: what an editor would keep.
        let (mut undo, mut redo): (Vec<Edit>, Vec<Edit>) = Default::default();
        let mut now = shown(&mut story, 0, "doc");
        let entries = |story: &mut Story| story.tree(0).map(|(_, version)| version);
        for n in 0..60 {
            match story.world.dice.below(8) {
                0..=2 => {
                    let versions = entries(&mut story)?;
                    edit(&mut story, n);
                    let after = shown(&mut story, 0, "doc");
                    if entries(&mut story)? != versions {
                        undo.push((now, after.clone()));
                        redo.clear();
                    }
                    now = after;
                }
                3..=5 => {
                    let done = step(&mut story, "", false);
                    now = shown(&mut story, 0, "doc");
                    match (undo.pop(), done) {
                        (None, None) => {}
                        (Some((before, after)), Some((_, _, skipped))) if now == before && skipped.is_empty() => {
                            redo.push((before, after));
                        }
                        other => return Err(format!("undo {n} led to {now:?}: {other:?}")),
                    }
                }
                6 => {
                    let done = step(&mut story, "doc", true);
                    now = shown(&mut story, 0, "doc");
                    match (redo.pop(), done) {
                        (None, None) => {}
                        (Some((before, after)), Some(_)) if now == after => undo.push((before, after)),
                        other => return Err(format!("redo {n} led to {now:?}: {other:?}")),
                    }
                }
                _ => {
                    story.world.crash(0);
                    story.world.start(0);
                }
            }
        }
        Ok(())
    });
}

#[test]
fn what_others_changed_since_is_left_alone_and_named() {
    let mut story = Story::joined(3, 2).unwrap();
    put(&mut story, 0, "card", json!({ "title": "a", "done": false, "who": "x" }));
    let mine = put(&mut story, 0, "card", json!({ "title": "b", "done": true, "who": "y" }));
    story.settle(60_000).unwrap();
    put(&mut story, 1, "card/done", json!("by the other"));
    put(&mut story, 1, "other", json!(1));
    story.settle(60_000).unwrap();
    let (target, restored, skipped) = step(&mut story, "card", false).unwrap();
    assert_eq!(target, mine);
    assert_eq!(
        (restored, skipped),
        (vec!["card/title".to_owned(), "card/who".to_owned()], vec!["card/done".to_owned()])
    );
    story.settle(60_000).unwrap();
    for node in 0..2 {
        let card = json!({ "title": "a", "done": "by the other", "who": "x" });
        assert_eq!((shown(&mut story, node, "card"), shown(&mut story, node, "other")), (Some(card), Some(json!(1))));
    }
    step(&mut story, "card", true).unwrap();
    assert_eq!(shown(&mut story, 0, "card"), Some(json!({ "title": "b", "done": "by the other", "who": "y" })));
    // All of it changed: the write still counts as undone, and the one before is next.
    put(&mut story, 1, "card", json!({ "title": 1, "done": 1, "who": 1 }));
    story.settle(60_000).unwrap();
    let (_, restored, skipped) = step(&mut story, "card", false).unwrap();
    assert_eq!((restored.len(), skipped.len()), (0, 2));
    let (_, restored, _) = step(&mut story, "card", false).unwrap();
    assert_eq!(restored, ["card"]);
    assert_eq!(step(&mut story, "card", false), None);
    let (_, restored, _) = step(&mut story, "card", true).unwrap();
    assert_eq!(restored, ["card"]);
    step(&mut story, "card", true).unwrap();
    assert_eq!(step(&mut story, "card", true), None);
}

#[test]
fn scopes_have_stacks_of_their_own_and_the_same_id_undoes_once() {
    let mut story = Story::joined(4, 1).unwrap();
    let first = put(&mut story, 0, "a/1", json!(1));
    let second = put(&mut story, 0, "b/1", json!(1));
    let third = put(&mut story, 0, "a/2", json!(2));
    assert_eq!(step(&mut story, "b", false).unwrap().0, second);
    assert_eq!(step(&mut story, "b", false), None);
    assert_eq!(step(&mut story, "a", false).unwrap().0, third);
    assert_eq!(step(&mut story, "a", false).unwrap().0, first);
    assert_eq!(shown(&mut story, 0, "a"), None);
    step(&mut story, "a", true).unwrap();
    put(&mut story, 0, "b/2", json!(3));
    // A write elsewhere does not end what can be redone here; one here does.
    step(&mut story, "a", true).unwrap();
    assert_eq!(shown(&mut story, 0, "a"), Some(json!({ "1": 1, "2": 2 })));
    step(&mut story, "a", false).unwrap();
    put(&mut story, 0, "a/3", json!(3));
    assert_eq!(step(&mut story, "a", true), None);
    let once = undo_or_redo(&mut story, "a", false, Some("u1"));
    let again = undo_or_redo(&mut story, "a", false, Some("u1"));
    assert_eq!(once, again);
    assert_eq!(shown(&mut story, 0, "a"), Some(json!({ "1": 1 })));
    // The space's name is no program's to undo.
    while step(&mut story, "", false).is_some() {}
    assert!(story.world.ask_for(0, Request::Spaces, 1_000).is_some_and(|reply| format!("{reply:?}").contains("Story")));
}

#[test]
fn restoring_makes_a_path_what_it_was_and_nothing_else() {
    for_each_seed(10, 500, |seed| {
        let mut story = Story::joined(seed, 2)?;
        for n in 0..25 {
            edit(&mut story, n);
            story.write_shared(1);
            story.world.run(500);
        }
        story.settle(300_000)?;
        let request = Request::History { space: story.space_ref(), path: Path::root(), before: None, limit: 1000 };
        let Reply::History { items, .. } = ask(&mut story, 0, request) else { return Err("no history".to_owned()) };
        for _ in 0..10 {
            let version = story.world.dice.pick(&items).unwrap().version;
            let place = ["doc", "doc/a", "shared", "doc/b/y"][story.world.dice.below(4) as usize];
            let (space, from) = (story.space_ref(), At::Versions(vec![version]));
            let then = Request::GetAt { space: space.clone(), path: path(place), at: from.clone(), hash: None };
            let then = match ask(&mut story, 0, then) {
                Reply::Past { body, .. } => Some(body),
                Reply::Refused(Refusal::NotFound) => None,
                other => return Err(format!("{other:?}")),
            };
            let other = if place == "shared" { "doc" } else { "shared" };
            let elsewhere = shown(&mut story, 0, other);
            let restore = Request::Restore {
                space: space.clone(),
                path: path(place),
                from,
                conditions: Default::default(),
                id: None,
            };
            match ask(&mut story, 0, restore) {
                Reply::Written { deleted, .. } if deleted == then.is_none() => {}
                Reply::Refused(Refusal::Conflict(_)) if place.contains('/') => continue,
                reply => return Err(format!("restoring {place} to {then:?}: {reply:?}")),
            }
            let now = match ask(&mut story, 0, Request::Get { space, path: path(place), parents: vec![] }) {
                Reply::Value { body, .. } => Some(body),
                Reply::Refused(Refusal::NotFound) => None,
                other => return Err(format!("{other:?}")),
            };
            if now != then || shown(&mut story, 0, other) != elsewhere {
                return Err(format!("restoring {place} to {version} gave {now:?} instead of {then:?}"));
            }
        }
        Ok(())
    });
}
