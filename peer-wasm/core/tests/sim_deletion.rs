//! Deletion that deletes: once a purge has gone round, the bytes are in no row of any honest peer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::for_each_seed;
use kith_core::api::{Body, Change, Reply, Role};
use kith_core::sim::{Story, Weather};
use serde_json::json;

const SETTLE: u64 = 900_000;
const SECRET: &str = "the combination is 7351-9920";

fn put(json: serde_json::Value) -> Change {
    Change::Put(Body::Json(json))
}

/// Nobody has the bytes any more, in any row.
fn nobody_has(story: &Story, secret: &str) -> Result<(), String> {
    for node in 0..story.world.nodes.len() {
        let found = story.find_bytes(node, secret.as_bytes());
        if !found.is_empty() {
            return Err(format!("peer {node} still has what was erased: {found:?}"));
        }
    }
    Ok(())
}

/// Many versions of a secret, alone and inside objects, among other things, by everybody.
fn confide(story: &mut Story, peers: usize) {
    for turn in 0..10 {
        let node = turn % peers;
        story.write_own(node);
        story.write(node, "vault/code", json!(format!("{SECRET} ({turn})")), false);
        story.write(node, &format!("vault/more/{turn}"), json!({ "note": SECRET, "turn": turn }), false);
        story.world.run(2_000);
    }
}

#[test]
fn what_was_purged_is_in_no_row_of_any_peer() {
    for_each_seed(5, 300, |seed| {
        let mut story = Story::joined(seed, 4)?;
        confide(&mut story, 4);
        story.settle(SETTLE)?;
        if (0..4).any(|node| story.find_bytes(node, SECRET.as_bytes()).len() < 20) {
            return Err("the secret was not there to begin with".to_owned());
        }
        let before = story.tree(0)?.0;
        match story.purge(1, "vault", Change::Delete) {
            Some(Reply::Written { deleted: true, .. }) => {}
            other => return Err(format!("not purged: {other:?}")),
        }
        story.settle(SETTLE)?;
        story.world.run(60_000);
        story.collect_all(SETTLE)?;
        nobody_has(&story, SECRET)?;
        story.settle(SETTLE)?;
        let mut expected = before;
        expected.as_object_mut().unwrap().remove("vault");
        if story.tree(2)?.0 != expected {
            return Err("something else was lost".to_owned());
        }
        // And nothing comes back by starting again, nor by going on.
        for node in 0..4 {
            story.crash(node);
            story.world.start(node);
            story.write_own(node);
        }
        story.settle(SETTLE)?;
        nobody_has(&story, SECRET)
    });
}

#[test]
fn replacing_purges_what_was_replaced_and_nothing_else() {
    for_each_seed(5, 200, |seed| {
        let mut story = Story::joined(seed, 3)?;
        confide(&mut story, 3);
        story.write(0, "vaulted", json!(format!("{SECRET} stays")), false);
        story.settle(SETTLE)?;
        story.purge(2, "vault/code", put(json!("changed")));
        story.settle(SETTLE)?;
        story.world.run(60_000);
        story.collect_all(SETTLE)?;
        for turn in 0..10 {
            nobody_has(&story, &format!("{SECRET} ({turn})"))?;
        }
        let (tree, _) = story.tree(1)?;
        let kept = tree["vault"]["code"] == "changed" && tree["vault"]["more"]["4"]["note"] == SECRET;
        if kept && tree["vaulted"] == format!("{SECRET} stays") { Ok(()) } else { Err(format!("lost: {tree}")) }
    });
}

#[test]
fn late_joiners_and_peers_that_were_away_never_have_it_either() {
    for_each_seed(5, 300, |seed| {
        let mut story = Story::begin(seed, 5)?;
        for node in 1..4 {
            story.ask_to_join(node, Role::Writer);
        }
        story.settle(SETTLE)?;
        confide(&mut story, 4);
        story.settle(SETTLE)?;
        // One is away, and writes there too.
        story.world.divide(|node| u64::from(node == 3));
        story.write(3, "vault/code", json!(format!("{SECRET} (away)")), false);
        story.write(3, "vault/new", json!("written without knowing"), false);
        story.world.run(10_000);
        story.purge(0, "vault", Change::Delete);
        story.world.run(30_000);
        story.world.unite();
        story.ask_to_join(4, Role::Writer);
        story.settle(SETTLE)?;
        story.world.run(120_000);
        story.settle(SETTLE)?;
        story.collect_all(SETTLE)?;
        let (tree, _) = story.tree(4)?;
        if tree["vault"]["new"] != "written without knowing" {
            return Err(format!("what was written meanwhile elsewhere is gone: {tree}"));
        }
        for turn in 0..10 {
            nobody_has(&story, &format!("{SECRET} ({turn})"))?;
        }
        Ok(())
    });
}

#[test]
fn purges_survive_storms_partitions_and_crashes() {
    for_each_seed(6, 1000, |seed| {
        let mut story = Story::begin(seed, 5)?;
        for node in 1..5 {
            story.ask_to_join(node, Role::Writer);
        }
        story.settle(SETTLE)?;
        story.world.weather = Weather::STORM;
        for turn in 0..60 {
            let node = story.world.dice.below(5) as usize;
            match turn % 10 {
                3 => drop(story.write(node, "vault/code", json!(format!("{SECRET} ({turn})")), false)),
                7 => {
                    let space = story.space_ref();
                    let path = kith_core::path::Path::new(["vault"]).unwrap();
                    let (change, conditions) = (Change::Delete, Default::default());
                    let write =
                        kith_core::api::Request::Write { space, path, change, conditions, id: None, purge: true };
                    story.world.ask(node, write);
                }
                _ => story.adventure(),
            }
        }
        story.calm();
        story.settle(SETTLE)?;
        let node = story.world.dice.below(5) as usize;
        for _ in 0..5 {
            story.purge(node, "vault", put(json!({ "code": "none" })));
        }
        story.settle(SETTLE)?;
        story.world.run(120_000);
        story.settle(SETTLE)?;
        story.collect_all(SETTLE)?;
        nobody_has(&story, SECRET)?;
        // A newcomer comes to the same from what is left.
        let late = story.world.add();
        story.ask_to_join(late, Role::Writer);
        story.settle(SETTLE)?;
        let missing = story.status_of_space(late, "missing");
        if missing == Some(0) { Ok(()) } else { Err(format!("the newcomer misses {missing:?}")) }
    });
}
