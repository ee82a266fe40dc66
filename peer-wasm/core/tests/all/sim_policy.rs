//! Policies, conflicts, and kinds that only a later release knows, among whole peers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::{for_each_seed, hollow_entry};
use kith_core::api::{Body, Change, Manner, Merge, Preconditions, Refusal, Reply, Request, Role};
use kith_core::clock::Clock;
use kith_core::document::policy::{Policy, Tie};
use kith_core::document::{Leaf, Op, Ops, kind::tag, view_key};
use kith_core::path::Path;
use kith_core::rows::{Batch, KeyRange, Read, Table};
use kith_core::sim::{Hostile, Story};
use kith_core::wire::Frame;
use serde_json::{Value as Json, json};

const PATIENCE: u64 = 60_000;
const SETTLE: u64 = 300_000;

fn path(text: &str) -> Path {
    Path::new(text.split('/').filter(|name| !name.is_empty())).unwrap()
}

fn ask(story: &mut Story, node: usize, request: Request) -> Reply {
    story.world.ask_for(node, request, PATIENCE).expect("an answer")
}

fn write(story: &mut Story, node: usize, at: &str, change: Change, manner: Manner) -> Reply {
    let (space, conditions) = (story.space_ref(), Preconditions::default());
    ask(story, node, Request::Write { space, path: path(at), change, conditions, manner, id: None, purge: false })
}

fn put(story: &mut Story, node: usize, at: &str, value: Json) -> Reply {
    write(story, node, at, Change::Put(Body::Json(value)), Manner::default())
}

fn get(story: &mut Story, node: usize, at: &str) -> Reply {
    let request = Request::Get { space: story.space_ref(), path: path(at), parents: Vec::new() };
    ask(story, node, request)
}

fn set(story: &mut Story, node: usize, prefix: &str, policy: Option<Policy>) -> Reply {
    let request = Request::SetPolicy { space: story.space_ref(), prefix: path(prefix), policy };
    ask(story, node, request)
}

/// The value, its merge type and the values beside it.
fn shown(story: &mut Story, node: usize, at: &str) -> (Json, Merge, Vec<Json>) {
    match get(story, node, at) {
        Reply::Value { body: Body::Json(json), facts, .. } => {
            let json_of = |body| if let Body::Json(json) = body { json } else { Json::Null };
            (json, facts.merge, facts.conflicts.into_iter().map(|rival| json_of(rival.body)).collect())
        }
        other => panic!("{other:?}"),
    }
}

fn conflicts(story: &mut Story, node: usize) -> Vec<Json> {
    let request = Request::Conflicts { space: story.space_ref() };
    match ask(story, node, request) {
        Reply::Document(document) => document["items"].as_array().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

/// The policy takes effect for everybody, whoever makes the value.
#[test]
fn policies_say_how_new_values_are_merged_and_only_owners_set_them() {
    for_each_seed(3, 50, |seed| {
        let mut story = Story::joined(seed, 3)?;
        let policy = Policy { kind: Merge::Counter, ..Policy::default() };
        assert!(matches!(set(&mut story, 1, "votes", Some(policy)), Reply::Refused(Refusal::Forbidden(_))));
        assert!(matches!(set(&mut story, 0, "votes", None), Reply::Refused(Refusal::NotFound)));
        assert!(matches!(set(&mut story, 0, "votes", Some(policy)), Reply::Written { created: true, .. }));
        story.settle(SETTLE)?;
        for node in 0..3 {
            put(&mut story, node, "votes/tea", json!(node + 1));
            story.settle(SETTLE)?;
        }
        assert_eq!(shown(&mut story, 1, "votes/tea").1, Merge::Counter);
        assert!(matches!(put(&mut story, 2, "votes/x", json!("text")), Reply::Refused(Refusal::WrongKind { .. })));
        // A longer prefix counts before a shorter one, and a restart forgets nothing.
        let sets = Policy { kind: Merge::Set, ..Policy::default() };
        set(&mut story, 0, "votes/voters", Some(sets));
        story.settle(SETTLE)?;
        story.crash(2);
        story.world.start(2);
        story.settle(SETTLE)?;
        put(&mut story, 2, "votes/voters/all", json!(["ada"]));
        put(&mut story, 2, "votes/coffee", json!(1));
        assert_eq!(shown(&mut story, 2, "votes/voters/all").1, Merge::Set);
        assert_eq!(shown(&mut story, 2, "votes/coffee").1, Merge::Counter);
        // Taken away, it changes nothing that is there.
        set(&mut story, 0, "votes", None);
        story.settle(SETTLE)?;
        put(&mut story, 1, "votes/milk", json!(1));
        assert_eq!(shown(&mut story, 1, "votes/milk").1, Merge::Lww);
        assert_eq!(shown(&mut story, 1, "votes/coffee").1, Merge::Counter);
        story.settle(SETTLE)
    });
}

#[test]
fn a_policy_of_somebody_who_may_not_set_one_has_no_effect_anywhere() {
    for_each_seed(2, 50, |seed| {
        let mut story = Story::joined(seed, 3)?;
        put(&mut story, 2, "x", json!(1));
        story.settle(SETTLE)?;
        let mut hostile = Hostile::possess(&mut story, 2).ok_or("not taken over")?;
        story.members.retain(|(node, _)| *node != 2);
        hostile.greet(&mut story.world, 1);
        let policy = Policy { kind: Merge::Counter, ..Policy::default() };
        // As an owner's peer would store it.
        let key = b"$policy\0/votes\0";
        let part = |key: &[u8], leaf: &Leaf| {
            let mut writer = kith_core::codec::Writer::new();
            writer.bytes(key);
            leaf.encode(&mut writer);
            Op::decode(&writer.finish()).unwrap()
        };
        let list = vec![part(key, &policy.leaf()), part(&path("seen").to_key(), &Leaf::Json(b"1".to_vec()))];
        let ops = Ops { clock: Clock::new(story.world.now(), 0).0, id: String::new(), list };
        let tip = hostile.tip();
        let entry = hostile.ops(tip, &ops, &[]);
        if seed.is_multiple_of(2) {
            hostile.push(&mut story.world, 1, &[entry.raw()]);
        } else {
            // Nor does it where what it says comes later.
            hostile.push(&mut story.world, 1, &[&hollow_entry(entry.raw().to_vec())]);
            story.world.run(5_000);
            assert_eq!(story.status_of_space(1, "missing"), Some(1));
            hostile.say(&mut story.world, 1, &Frame::Parts(entry.header.space, vec![entry.raw().to_vec()]));
        }
        story.settle(SETTLE)?;
        for node in 0..2 {
            assert_eq!(shown(&mut story, node, "seen").0, json!(1), "the rest of the entry counts");
            put(&mut story, node, &format!("votes/{node}"), json!("text"));
            assert_eq!(shown(&mut story, node, &format!("votes/{node}")).1, Merge::Lww);
        }
        story.settle(SETTLE)
    });
}

/// Everybody writes while apart; then the rule says which value shows, now and when it changes.
#[test]
fn tie_rules_choose_among_what_is_kept_whenever_they_are_set() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 3)?;
        let made = write(
            &mut story,
            0,
            "m",
            Change::Put(Body::Json(json!("base"))),
            Manner { merge: Some(Merge::Mv), seen: None, client: None },
        );
        assert!(matches!(made, Reply::Written { merge: Merge::Mv, .. }));
        story.settle(SETTLE)?;
        story.world.divide(|node| node as u64);
        for node in [1, 0, 2] {
            story.world.run(1_000);
            put(&mut story, node, "m", json!(format!("by {node}")));
        }
        story.calm();
        story.settle(SETTLE)?;
        let mut etags = std::collections::BTreeSet::new();
        let rules = [None, Some(Tie::First), Some(Tie::Role), Some(Tie::Latest), None];
        for (tie, expected) in rules.into_iter().zip(["by 2", "by 1", "by 0", "by 2", "by 2"]) {
            let policy = tie.map(|tie| Policy { kind: Merge::Mv, tie, ..Policy::default() });
            set(&mut story, 0, "m", policy);
            story.settle(SETTLE)?;
            for node in 0..3 {
                let (value, _, others) = shown(&mut story, node, "m");
                assert_eq!((value, others.len()), (json!(expected), 2), "{tie:?}");
                let listed = conflicts(&mut story, node);
                assert_eq!((listed.len(), &listed[0]["values"][0]["value"]), (1, &json!(expected)));
                assert_eq!(listed[0]["values"].as_array().unwrap().len(), 3);
            }
            if let Reply::Value { version, .. } = get(&mut story, 1, "m") {
                etags.insert((kith_core::version::etag(&version), expected));
            }
        }
        let distinct: std::collections::BTreeSet<&String> = etags.iter().map(|(tag, _)| tag).collect();
        assert_eq!(distinct.len(), etags.len(), "one tag never stands for two values");
        put(&mut story, 1, "m", json!("settled"));
        story.settle(SETTLE)?;
        for node in 0..3 {
            assert_eq!(shown(&mut story, node, "m").2.len(), 0);
            assert!(conflicts(&mut story, node).is_empty());
        }
        Ok(())
    });
}

#[test]
fn a_kind_that_nobody_here_knows_is_kept_and_passed_on() {
    for_each_seed(2, 50, |seed| {
        let mut story = Story::joined(seed, 4)?;
        put(&mut story, 3, "o/plain", json!(1));
        story.settle(SETTLE)?;
        let mut newer = Hostile::possess(&mut story, 3).ok_or("not taken over")?;
        story.members.retain(|(node, _)| *node != 3);
        newer.greet(&mut story.world, 1);
        let leaf = Leaf::Kind { tag: 200, body: b"who knows".to_vec() };
        let clock = Clock::new(story.world.now(), 0).0;
        let ops = Ops { clock, id: String::new(), list: vec![Op::new(path("o/new"), leaf)] };
        let tip = newer.tip();
        let entry = newer.ops(tip, &ops, &[]);
        newer.push(&mut story.world, 1, &[entry.raw()]);
        story.settle(SETTLE)?;
        for node in 0..3 {
            assert!(matches!(get(&mut story, node, "o/new"), Reply::Refused(Refusal::NewerKind { tag: 200 })));
            assert_eq!(shown(&mut story, node, "o").0, json!({ "plain": 1, "new": { "$newer-kind": 200 } }));
        }
        // A later write by somebody who means it replaces it.
        assert!(matches!(put(&mut story, 0, "o/new", json!(2)), Reply::Refused(Refusal::NewerKind { .. })));
        let manner = Manner { merge: Some(Merge::Lww), seen: None, client: None };
        write(&mut story, 0, "o/new", Change::Put(Body::Json(json!(2))), manner);
        story.settle(SETTLE)?;
        assert_eq!(shown(&mut story, 2, "o/new").0, json!(2));
        Ok(())
    });
}

#[test]
fn what_a_release_could_only_keep_the_next_one_shows() {
    for_each_seed(2, 50, |seed| {
        let mut story = Story::joined(seed, 2)?;
        let manner = Manner { merge: Some(Merge::Counter), seen: None, client: None };
        write(&mut story, 0, "n", Change::Put(Body::Json(json!(40))), manner);
        story.settle(SETTLE)?;
        put(&mut story, 1, "n", json!(42));
        story.settle(SETTLE)?;
        // Peer 1 as a release without counters would have left it: the register, no sums, and a note.
        story.crash(1);
        let disk = &mut story.world.nodes[1].disk;
        let spaces = disk.read(&Read::Scan {
            table: Table::Meta,
            range: KeyRange::prefix(b"space/"),
            limit: 10,
            reverse: false,
        });
        let (key, _) = spaces.iter().find(|(_, row)| row[1..33] == story.space.0).unwrap();
        let number = u32::from_be_bytes(key[6..].try_into().unwrap());
        let key = view_key(number, &path("n"));
        let mut row = disk.read(&Read::Get { table: Table::View, key: key.clone() })[0].1.clone();
        let mut old = kith_core::document::ViewRow::decode(&row).unwrap();
        old.states.0.clear();
        row = old.encode();
        let note = [&number.to_be_bytes()[..], &[6, tag::COUNTER]].concat();
        disk.commit(&Batch {
            puts: vec![(Table::View, key, row), (Table::Head, note.clone(), Vec::new())],
            ..Batch::default()
        });
        story.world.start(1);
        story.settle(SETTLE)?;
        assert_eq!(shown(&mut story, 1, "n"), (json!(42), Merge::Counter, vec![]));
        let left = story.world.nodes[1].disk.read(&Read::Get { table: Table::Head, key: note });
        assert!(left.is_empty(), "it is done once");
        let feed = story.feed(1)?;
        assert_eq!(feed.get("n"), Some(&2), "the feed says nothing twice");
        Ok(())
    });
}

/// Roles come from invites, so a reader cannot write at all.
#[test]
fn readers_change_no_kind() {
    for_each_seed(1, 20, |seed| {
        let mut story = Story::begin(seed, 2)?;
        story.ask_to_join(1, Role::Reader);
        story.settle(SETTLE)?;
        let manner = Manner { merge: Some(Merge::Counter), seen: None, client: None };
        let reply = write(&mut story, 1, "n", Change::Increment(json!(1)), manner);
        assert!(matches!(reply, Reply::Refused(Refusal::Forbidden(_))));
        Ok(())
    });
}

#[test]
fn the_answer_to_a_write_names_the_version_that_a_read_gives() {
    for_each_seed(2, 50, |seed| {
        let mut story = Story::joined(seed, 2)?;
        let as_kind = |merge| Manner { merge: Some(merge), seen: None, client: None };
        let body = |json| Change::Put(Body::Json(json));
        let members = |add: Json, remove: Json| Change::Set {
            add: add.as_array().unwrap().clone(),
            remove: remove.as_array().unwrap().clone(),
        };
        let steps = |json| Change::JsonPatch(json);
        let plain = Manner::default;
        let writes = [
            ("n", body(json!(1)), as_kind(Merge::Counter)),
            ("n", Change::Increment(json!(2)), plain()),
            ("s", body(json!(["a", "b"])), as_kind(Merge::Set)),
            ("s", members(json!(["c"]), json!(["a"])), plain()),
            ("s/\"d\"", body(json!("d")), plain()),
            ("s", members(json!(["e"]), json!([])), plain()),
            ("l", body(json!(["x", "y"])), as_kind(Merge::List)),
            ("l", steps(json!([{ "op": "move", "from": "/0", "path": "/1" }])), plain()),
            ("l/0", body(json!("z")), plain()),
            ("m", body(json!({ "a": 1 })), as_kind(Merge::Mv)),
            ("m/a", body(json!(2)), plain()),
            ("o", body(json!({ "n": 1 })), plain()),
            ("o/n", body(json!(3)), as_kind(Merge::Counter)),
            ("o", body(json!({ "n": 7 })), plain()),
        ];
        for (turn, (at, change, manner)) in writes.into_iter().enumerate() {
            let node = turn % 2;
            let reply = write(&mut story, node, at, change, manner);
            let Reply::Written { version, merge, .. } = reply else { return Err(format!("{at}: {reply:?}")) };
            let Reply::Value { version: read, facts, .. } = get(&mut story, node, at) else {
                return Err(format!("{at} cannot be read"));
            };
            assert_eq!(version, read, "{at} after write {turn}");
            assert!(at.contains('/') || merge == facts.merge, "{at}: {merge:?} and {:?}", facts.merge);
            story.settle(SETTLE)?;
        }
        let inside = write(&mut story, 0, "l/0", body(json!(1)), as_kind(Merge::Counter));
        assert!(matches!(inside, Reply::Refused(Refusal::WrongKind { kind: "list", .. })));
        Ok(())
    });
}
