//! What was deleted is forgotten in the end, on every peer alike, and nothing brings it back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::{change, delete, for_each_seed, set_policy};
use kith_core::api::{At, Body, Change, ListQuery, Preconditions, Reply, Request, Role};
use kith_core::document::ViewRow;
use kith_core::path::Path;
use kith_core::sim::{NodeId, Story};
use serde_json::json;

const SETTLE: u64 = 900_000;

/// Everybody sleeps for some days.
fn sleep(story: &mut Story, days: u64) {
    let all: Vec<NodeId> = (0..story.world.nodes.len()).collect();
    common::sleep(story, &all, days);
}

/// Rows that show nothing.
fn empty_rows(story: &Story, node: NodeId) -> usize {
    let rows = story.rows(node);
    let row = |value: &[u8]| ViewRow::decode(value).unwrap();
    rows.iter().filter(|(_, value)| row(value).register.is_some_and(|register| !register.is_live())).count()
}

/// A group that wrote and deleted, and has gone on writing some days later.
fn after_some_days(seed: u64, peers: usize, writers: usize) -> Result<Story, String> {
    let mut story = Story::joined(seed, peers)?;
    for turn in 0..20 {
        let node = turn % writers;
        story.write_own(node);
        story.write(node, &format!("list/{turn}/deep"), json!(turn), false);
        story.write_shared(node);
    }
    story.settle(SETTLE)?;
    for turn in 0..20 {
        let what = if turn % 2 == 0 { format!("list/{turn}") } else { format!("list/{turn}/deep") };
        delete(&mut story, turn % writers, &what)?;
    }
    story.settle(SETTLE)?;
    if empty_rows(&story, 0) < 20 {
        return Err("deletion left no trace to begin with".to_owned());
    }
    Ok(story)
}

fn go_on(story: &mut Story, writers: usize) -> Result<(), String> {
    story.settle(SETTLE)?;
    for node in 0..writers {
        story.write_own(node);
    }
    story.settle(SETTLE)?;
    story.world.run(2 * 3_600_000);
    story.settle(SETTLE)
}

#[test]
fn what_was_deleted_is_forgotten_once_all_have_gone_on() {
    for_each_seed(3, 100, |seed| {
        let mut story = after_some_days(seed, 4, 3)?;
        sleep(&mut story, 9);
        // One writer has not gone on: nothing is forgotten for its sake.
        go_on(&mut story, 2)?;
        if empty_rows(&story, 1) < 20 {
            return Err("forgotten although one may still write before".to_owned());
        }
        go_on(&mut story, 3)?;
        for node in 0..4 {
            let left = empty_rows(&story, node);
            if left > 0 {
                return Err(format!("{left} deleted places are not forgotten by peer {node}"));
            }
        }
        let late = story.newcomer();
        story.settle(SETTLE)?;
        story.world.run(60_000);
        story.check()?;
        // Deleted places can be used again.
        story.write(late, "list/3/deep", json!("again"), false);
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(0)?;
        if tree["list"]["3"]["deep"] == "again" { story.check() } else { Err(format!("not written: {tree}")) }
    });
}

#[test]
fn a_device_that_first_writes_from_long_ago_brings_nothing_back() {
    for_each_seed(3, 100, |seed| {
        let mut story = after_some_days(seed, 4, 3)?;
        // The fourth, that has never written, writes where something was deleted, and nobody hears of it.
        story.world.divide(|node| u64::from(node == 3));
        story.write(3, "list/4/deep", json!("from long ago"), false);
        story.world.run(5_000);
        sleep(&mut story, 9);
        story.world.crash(3);
        story.members.retain(|(node, _)| *node != 3);
        go_on(&mut story, 3)?;
        if empty_rows(&story, 0) > 0 {
            return Err("a device that never wrote held it up".to_owned());
        }
        story.world.start(3);
        story.members.push((3, Role::Writer));
        story.world.unite();
        story.settle(SETTLE)?;
        story.world.run(60_000);
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(0)?;
        if tree["list"].get("4").is_some() {
            return Err(format!("brought back: {tree}"));
        }
        // From now on its writes count.
        story.write(3, "list/4/deep", json!("from now"), false);
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(1)?;
        if tree["list"]["4"]["deep"] == "from now" { Ok(()) } else { Err(format!("not written: {tree}")) }
    });
}

#[test]
fn policies_say_how_long_what_was_replaced_is_kept_and_what_expires() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 4)?;
        let policy = json!({ "kind": "lww", "retention": { "history": "2d", "expire": "30d" } });
        set_policy(&mut story, Path::new(["diary"]).unwrap(), &policy)?;
        let says = |turn: u64| format!("what I thought at {turn}");
        for turn in 0..6 {
            story.write(1, "diary/today", json!(says(turn)), false);
            story.write(3, "letters/today", json!(format!("{} in a letter", says(turn))), false);
            story.settle(SETTLE)?;
        }
        story.world.run(3_600_000);
        let holds = |story: &Story, node: NodeId, text: &str| !story.find_bytes(node, text.as_bytes()).is_empty();
        if !holds(&story, 0, &format!("\"{}\"", says(0))) {
            return Err("gone before its time".to_owned());
        }
        sleep(&mut story, 3);
        story.settle(SETTLE)?;
        story.world.run(2 * 3_600_000);
        story.collect_all(SETTLE)?;
        for node in [0, 1, 3] {
            for turn in 0..5 {
                if holds(&story, node, &format!("\"{}\"", says(turn))) {
                    return Err(format!("peer {node} keeps what was replaced"));
                }
            }
            let kept = holds(&story, node, &format!("\"{}\"", says(5))) && holds(&story, node, "at 1 in a letter");
            if !kept {
                return Err(format!("peer {node} has lost more"));
            }
        }
        sleep(&mut story, 28);
        story.settle(SETTLE)?;
        story.world.run(2 * 3_600_000);
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(3)?;
        let letter = tree["letters"]["today"].as_str().unwrap_or_default();
        if tree["diary"].get("today").is_none() && letter.starts_with(&says(5)) {
            Ok(())
        } else {
            Err(format!("not as the policy says: {tree}"))
        }
    });
}

#[test]
fn what_was_deleted_and_forgotten_can_still_be_purged() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 3)?;
        story.write(1, "list/secret", json!("said and taken back"), false);
        story.settle(SETTLE)?;
        delete(&mut story, 0, "list")?;
        story.settle(SETTLE)?;
        sleep(&mut story, 9);
        go_on(&mut story, 3)?;
        if empty_rows(&story, 2) > 0 || story.find_bytes(2, b"said and taken back").is_empty() {
            return Err("not forgotten, or gone already".to_owned());
        }
        story.purge(2, "list", Change::Delete);
        story.settle(SETTLE)?;
        story.world.run(60_000);
        story.collect_all(SETTLE)?;
        for node in 0..3 {
            if !story.find_bytes(node, b"said and taken back").is_empty() {
                return Err(format!("peer {node} still has it"));
            }
        }
        story.newcomer();
        story.settle(SETTLE)?;
        story.check().or_else(|why| if why.contains("list/secret") { Ok(()) } else { Err(why) })
    });
}

#[test]
fn what_was_deleted_and_forgotten_can_still_be_read_as_it_was_and_restored() {
    for_each_seed(2, 100, |seed| {
        let mut story = Story::joined(seed, 3)?;
        story.write(1, "list/a/deep", json!("said and taken back"), false);
        story.settle(SETTLE)?;
        let then = story.world.now();
        story.world.run(1_000);
        delete(&mut story, 0, "list")?;
        story.settle(SETTLE)?;
        sleep(&mut story, 9);
        go_on(&mut story, 3)?;
        if empty_rows(&story, 2) > 0 {
            return Err("not forgotten".to_owned());
        }
        let space = story.space_ref();
        let place = |text: &str| Path::new(text.split('/')).unwrap();
        for (text, value) in [
            ("list", json!({ "a": { "deep": "said and taken back" } })),
            ("list/a", json!({ "deep": "said and taken back" })),
            ("list/a/deep", json!("said and taken back")),
        ] {
            let read = Request::GetAt { space: space.clone(), path: place(text), at: At::Time(then), hash: None };
            match story.world.ask_for(2, read, 60_000) {
                Some(Reply::Past { body: Body::Json(json), .. }) if json == value => {}
                other => return Err(format!("{text}: {other:?}")),
            }
        }
        let query = ListQuery { start: None, end: None, limit: 10, reverse: false, values: false };
        let list = Request::ListAt { space: space.clone(), prefix: place("list"), query, at: At::Time(then) };
        match story.world.ask_for(2, list, 60_000) {
            Some(Reply::List { items, .. }) if items.len() == 1 && items[0].key == "a" => {}
            other => return Err(format!("{other:?}")),
        }
        let conditions = Preconditions::default();
        let restore = Request::Restore { space, path: place("list"), from: At::Time(then), conditions, id: None };
        match story.world.ask_for(2, restore, 60_000) {
            Some(Reply::Written { created: true, .. }) => {}
            other => return Err(format!("{other:?}")),
        }
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(0)?;
        if tree["list"]["a"]["deep"] == "said and taken back" { Ok(()) } else { Err(format!("{tree}")) }
    });
}

/// Who writes much and deletes it again has a small value, not one that is too large, long before deletions are forgotten.
#[test]
fn what_was_deleted_does_not_make_a_value_too_large() {
    let mut story = Story::joined(3, 2).unwrap();
    for round in 0..4 {
        let members = |value: serde_json::Value| {
            let members = (0..11_000).map(|number| (format!("{round}-{number}"), value.clone()));
            Change::MergePatch(serde_json::Value::Object(members.collect()))
        };
        change(&mut story, 0, "board", members(json!(1))).unwrap();
        change(&mut story, 0, "board", members(serde_json::Value::Null)).unwrap();
    }
    change(&mut story, 0, "board", Change::MergePatch(json!({ "last": true }))).unwrap();
    story.settle(SETTLE).unwrap();
    for node in 0..2 {
        assert!(story.rows(node).len() > 44_000);
        let request =
            Request::Get { space: story.space_ref(), path: Path::new(["board"]).unwrap(), parents: Vec::new() };
        let reply = story.world.ask_for(node, request, 60_000);
        assert!(
            matches!(&reply, Some(Reply::Value { body: Body::Json(json), .. }) if *json == json!({ "last": true })),
            "{reply:?}"
        );
    }
}
