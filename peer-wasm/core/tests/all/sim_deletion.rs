//! Deletion that deletes: once a purge has gone round, the bytes are in no row of any honest peer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::{for_each_seed, hollow_entry};
use kith_core::api::{Body, Change, Reply, Role};
use kith_core::clock::Clock;
use kith_core::document::Ops;
use kith_core::document::redaction::Target;
use kith_core::sim::{Hostile, Story, Weather};
use kith_core::wire::Frame;
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
                    let write = kith_core::api::Request::Write {
                        space,
                        path,
                        change,
                        conditions,
                        manner: Default::default(),
                        id: None,
                        purge: true,
                    };
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
        let late = story.newcomer();
        story.settle(SETTLE)?;
        story.lacks_nothing(late)
    });
}

/// The frame with the bytes of every part of its entries taken away.
fn hollowed(bytes: Vec<u8>) -> Vec<u8> {
    match Frame::decode(&bytes) {
        Ok(Frame::Entries(space, entries)) => {
            let hollow = entries.iter().map(|piece| hollow_entry(piece.raw().to_vec()).into()).collect();
            Frame::Entries(space, hollow).encode()
        }
        Ok(Frame::Parts(space, entries)) => {
            Frame::Parts(space, entries.into_iter().map(hollow_entry).collect()).encode()
        }
        _ => bytes,
    }
}

#[test]
fn a_peer_that_serves_live_content_hollow_is_noticed_and_made_good_by_others() {
    for_each_seed(4, 200, |seed| {
        let mut story = Story::begin(seed, 4)?;
        for node in 1..3 {
            story.ask_to_join(node, Role::Writer);
        }
        story.settle(SETTLE)?;
        for turn in 0..30 {
            story.write_own(turn % 3);
            story.write_shared(turn % 3);
        }
        story.settle(SETTLE)?;
        // The newcomer hears of everything from one who keeps the content back.
        story.world.meddle(1, Box::new(|bytes, _| vec![hollowed(bytes)]));
        story.world.divide(|node| if node == 1 || node == 3 { 1 } else { 0 });
        story.ask_to_join(3, Role::Writer);
        story.world.connect(1, 3);
        let mut missing = 0;
        for _ in 0..60 {
            story.world.run(10_000);
            missing = story.status_of_space(3, "missing").unwrap_or(0);
            if missing >= 20 {
                break;
            }
            story.world.connect(1, 3);
        }
        if missing < 20 {
            return Err(format!("only {missing} entries are known to be incomplete"));
        }
        if story.alike().is_ok() {
            return Err("nothing was kept back".to_owned());
        }
        story.world.stop_meddling(1);
        story.world.unite();
        story.settle(SETTLE)?;
        // The feed tells of what was made good once more: better twice than never.
        if story.feed(3)?.len() != story.feed(0)?.len() {
            return Err("the feed does not tell of what was made good".to_owned());
        }
        story.lacks_nothing(3)
    });
}

#[test]
fn a_list_that_names_live_content_takes_nothing_away() {
    for_each_seed(4, 200, |seed| {
        let mut story = Story::joined(seed, 4)?;
        for turn in 0..12 {
            story.write_own(turn % 4);
        }
        story.settle(SETTLE)?;
        let mut hostile = Hostile::possess(&mut story, 3).ok_or("the member could not be taken over")?;
        story.members.retain(|(node, _)| *node != 3);
        // All that anybody has written, some of what nobody has, and parts that are none.
        let logs: Vec<_> = (0..4).filter_map(|node| story.world.device(node)).collect();
        let mut targets = Vec::new();
        for log in logs {
            targets.extend((0..40).map(|seq| Target { log, seq, parts: vec![0, 1, 2, 77] }));
        }
        let ops = Ops { clock: Clock::new(story.world.now() + 1, 0).0, id: String::new(), list: Vec::new() };
        let entry = hostile.ops(hostile.tip(), &ops, &[targets]);
        hostile.greet(&mut story.world, 1);
        hostile.push(&mut story.world, 1, &[entry.raw()]);
        story.settle(SETTLE)?;
        story.check()?;
        story.world.run(120_000);
        for node in 0..3 {
            story.crash(node);
            story.world.start(node);
        }
        story.write_own(0);
        story.settle(SETTLE)?;
        story.check()?;
        story.newcomer();
        story.settle(SETTLE)?;
        story.check()
    });
}

#[test]
fn a_writer_in_league_with_who_serves_cannot_keep_live_content_from_a_newcomer() {
    for_each_seed(4, 200, |seed| {
        let mut story = Story::begin(seed, 5)?;
        for node in 1..4 {
            story.ask_to_join(node, Role::Writer);
        }
        story.settle(SETTLE)?;
        for turn in 0..20 {
            story.write_own(turn % 3);
        }
        story.settle(SETTLE)?;
        // One names everything that is live; another keeps everything back that is named.
        let mut hostile = Hostile::possess(&mut story, 3).ok_or("the member could not be taken over")?;
        story.members.retain(|(node, _)| *node != 3);
        let logs: Vec<_> = (0..3).filter_map(|node| story.world.device(node)).collect();
        let target = |log| (0..40).map(move |seq| Target { log, seq, parts: vec![0, 1, 2] });
        let targets = logs.into_iter().flat_map(target).collect();
        let ops = Ops { clock: Clock::new(story.world.now() + 1, 0).0, id: String::new(), list: Vec::new() };
        let entry = hostile.ops(hostile.tip(), &ops, &[targets]);
        hostile.greet(&mut story.world, 1);
        hostile.push(&mut story.world, 1, &[entry.raw()]);
        story.settle(SETTLE)?;
        story.world.meddle(1, Box::new(|bytes, _| vec![hollowed(bytes)]));
        story.world.divide(|node| if node == 1 || node == 4 { 1 } else { 0 });
        story.ask_to_join(4, Role::Writer);
        for _ in 0..6 {
            story.world.connect(1, 4);
            story.world.run(10_000);
        }
        if story.alike().is_ok() {
            return Err("nothing was kept back".to_owned());
        }
        story.world.stop_meddling(1);
        story.world.unite();
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(4)?;
        if tree["log"].as_object().map_or(0, |log| log.len()) == 20 {
            Ok(())
        } else {
            Err(format!("kept back: {tree}"))
        }
    });
}
