//! Edits of a text that overtake what they build on: they wait for it, and not for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{
    Body, Change, Manner, Merge, Preconditions, Refusal, Reply, Request, RequestId, SpaceRef, TextChange, TextEdit,
};
use kith_core::path::Path;
use kith_core::sim::World;

/// How long an edit waits, in milliseconds, and a moment more for the store.
const WAITS: u64 = 1_500;
const MOMENT: u64 = 100;

fn write(id: &str, parents: Option<&str>, edit: TextEdit) -> Request {
    let parents = parents.map(|parents| vec![parents.to_owned()]);
    Request::Write {
        space: SpaceRef::Me,
        path: Path::new(["plan"]).unwrap(),
        change: Change::Text(TextChange { parents, edit, event: None }),
        conditions: Preconditions::default(),
        manner: Manner { merge: Some(Merge::Text), seen: None, client: Some("k3".to_owned()) },
        id: Some(id.to_owned()),
        purge: false,
    }
}

fn insert(id: &str, parents: &str, at: u32, text: &str) -> Request {
    write(id, Some(parents), TextEdit::Splices(vec![(at, at, text.to_owned())]))
}

fn text(world: &mut World) -> String {
    let request = Request::Get { space: SpaceRef::Me, path: Path::new(["plan"]).unwrap(), parents: vec![] };
    match world.ask_for(0, request, 5_000) {
        Some(Reply::Value { body: Body::Bytes { bytes, .. }, .. }) => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A peer with a text `ab`, written under the name `k3-0`.
fn begin(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add();
    let made = world.ask_for(0, write("k3-0", None, TextEdit::Whole("ab".to_owned())), 5_000);
    assert!(matches!(made, Some(Reply::Written { created: true, .. })), "{made:?}");
    world
}

#[test]
fn edits_that_overtake_each_other_are_all_taken() {
    for_each_seed(5, 200, |seed| {
        let mut world = begin(seed);
        // The third first, then the second, then the first.
        let ids: Vec<RequestId> = [(3, "k3-2", "3"), (2, "k3-1", "2")]
            .map(|(n, parents, text)| world.ask(0, insert(&format!("k3-{n}"), parents, n, text)).unwrap())
            .to_vec();
        world.run(WAITS / 3);
        for id in &ids {
            assert_eq!(world.reply(0, *id), None, "answered before what it builds on");
        }
        let first = world.ask_for(0, insert("k3-1", "k3-0", 1, "1"), MOMENT);
        assert!(matches!(first, Some(Reply::Written { .. })), "{first:?}");
        world.run(MOMENT);
        for id in ids {
            let reply = world.reply(0, id);
            assert!(matches!(reply, Some(Reply::Written { .. })), "{reply:?}");
        }
        assert_eq!(text(&mut world), "a123b");
        Ok(())
    });
}

#[test]
fn what_never_comes_is_waited_for_so_long_and_no_longer() {
    for_each_seed(3, 50, |seed| {
        let mut world = begin(seed);
        let id = world.ask(0, insert("k3-9", "k3-8", 0, "x")).unwrap();
        world.run(WAITS - MOMENT);
        assert_eq!(world.reply(0, id), None);
        // Something else that happens there is no reason to give up or to begin anew.
        assert!(world.ask_for(0, insert("k3-1", "k3-0", 0, "-"), MOMENT).is_some());
        world.run(2 * MOMENT);
        let reply = world.reply(0, id);
        assert!(matches!(reply, Some(Reply::Refused(Refusal::VersionUnknown { .. }))), "{reply:?}");
        assert_eq!(text(&mut world), "-ab");
        Ok(())
    });
}

#[test]
fn only_so_many_wait() {
    let mut world = begin(1);
    let ids: Vec<RequestId> =
        (0..300).map(|n| world.ask(0, insert(&format!("x-{n}"), "never", 0, "x")).unwrap()).collect();
    world.run(MOMENT);
    let refused = ids.iter().filter(|id| world.reply(0, **id).is_some()).count();
    assert_eq!(refused, 300 - 256);
    world.run(2 * WAITS);
    assert_eq!(ids.iter().filter(|id| world.reply(0, **id).is_some()).count(), 256);
}
