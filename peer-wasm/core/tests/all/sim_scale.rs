//! A large space costs what a small one does: what a peer reads from its store, after a start and for a question, is counted.
//! Whatever it holds in memory it has read, so this bounds its memory, too. How long it takes in browsers is a benchmark
//! (`npm run bench -- million`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::{common, texts};

use common::change;
use kith_core::api::{Body, Change, ListQuery, Reply, Request, Target, Update};
use kith_core::path::Path;
use kith_core::sim::Story;
use serde_json::Value as Json;
use texts::at as path;

/// Values that are written at once, each a place of its own.
const EACH: usize = 50;
/// What a row or two more are, in bytes: which are in memory already is up to what a start has come to.
const SLACK: usize = 4_000;
/// How many such objects a small space has, …
const FEW: usize = 20;

/// … and a large one.
fn many() -> usize {
    if std::env::var_os("KITH_LONG").is_some() { 20_000 } else { 1_000 }
}

/// A space with so many objects.
fn filled(objects: usize) -> Story {
    let mut story = Story::begin(1, 1).unwrap();
    for number in 0..objects {
        let values: serde_json::Map<String, Json> =
            (0..EACH).map(|at| (format!("{at:04}"), format!("value {at} of {number}").into())).collect();
        change(&mut story, 0, &format!("many/{number:06}"), Change::Put(Body::Json(values.into()))).unwrap();
    }
    story.world.run(120_000);
    story
}

/// Bytes read from the store for each question, each asked of a peer that was just started; the first is none at all.
fn costs(story: &mut Story, objects: usize) -> Vec<(&'static str, usize)> {
    let object = format!("many/{:06}", objects / 2);
    let at = |text: &str| (story.space_ref(), path(text));
    let query = |values| ListQuery { start: None, end: None, limit: 20, reverse: false, values };
    let list = |text: &str, values| {
        let (space, prefix) = at(text);
        Request::List { space, prefix, query: query(values) }
    };
    let list_top = || Request::List { space: story.space_ref(), prefix: Path::root(), query: query(false) };
    let follow_list = |text: &str| {
        let (space, prefix) = at(text);
        Request::Subscribe(Target::List { space, prefix, query: query(true), parents: None })
    };
    let value = format!("{object}/0025");
    let ((space, path), (its, place)) = (at(&value), at(&value));
    let questions = [
        ("a start", None),
        ("a value", Some(Request::Get { space, path, parents: Vec::new() })),
        ("a page of a listing", Some(list(&object, true))),
        ("a page of names", Some(list("many", false))),
        ("the names at the top", Some(list_top())),
        (
            "a subscription to a value",
            Some(Request::Subscribe(Target::Value { space: its, path: place, parents: None })),
        ),
        ("a subscription to a listing", Some(follow_list(&object))),
        (
            "a subscription to changes",
            Some(Request::Subscribe(Target::Changes { space: story.space_ref(), since: None })),
        ),
    ];
    let ask = |(what, request): (&'static str, Option<Request>)| {
        story.crash(0);
        let before = story.world.nodes[0].read_bytes.get();
        story.world.start(0);
        match request.map(|request| story.world.ask_for(0, request, 60_000)) {
            None => story.world.run(60_000),
            Some(Some(Reply::Subscribed(open))) => {
                story.world.pull(0, open);
                if !what.ends_with("changes") {
                    let mut update = None;
                    story.world.run_until(60_000, |world| {
                        update = world.update(0, open);
                        update.is_some()
                    });
                    match update {
                        Some(Update::Value { body: Some(Body::Json(value)), .. }) => {
                            assert!(value.as_str().unwrap().starts_with("value 25 of"));
                        }
                        Some(Update::Items { items, .. }) => assert_eq!(items.len(), 20),
                        other => panic!("{what}: {other:?}"),
                    }
                }
            }
            Some(Some(Reply::Value { .. })) => {}
            Some(Some(Reply::List { items, .. })) => assert!(!items.is_empty()),
            Some(other) => panic!("{what}: {other:?}"),
        }
        (what, story.world.nodes[0].read_bytes.get() - before)
    };
    questions.into_iter().map(ask).collect()
}

#[test]
fn a_large_space_costs_what_a_small_one_does() {
    let of_small = costs(&mut filled(FEW), FEW);
    let of_large = costs(&mut filled(many()), many());
    for ((what, small), (_, large)) in of_small.iter().zip(&of_large) {
        let sizes = (FEW * EACH, many() * EACH);
        eprintln!("{what}: {small} and {large} bytes read in spaces of {} and {} values", sizes.0, sizes.1);
        assert!(*large <= small + SLACK, "{what} costs more: {small} bytes of {}, {large} of {}", sizes.0, sizes.1);
    }
}
