//! Entries of which nothing is left are dropped whole, on every peer alike, and whoever comes later sees the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::{delete, for_each_seed};
use kith_core::api::{At, Refusal, Reply, Request, Role};
use kith_core::clock::Clock;
use kith_core::entry::{Kind, Pruned, Tip, Verified};
use kith_core::path::Path;
use kith_core::records::Checkpoint;
use kith_core::sim::{Hostile, NodeId, Story, World};
use kith_core::version::Version;
use serde_json::json;

const SETTLE: u64 = 900_000;
const HOUR: u64 = 3_600_000;

/// Everybody sleeps for some days.
fn sleep(story: &mut Story, days: u64) {
    let members: Vec<NodeId> = story.members.iter().map(|(node, _)| *node).collect();
    common::sleep(story, &members, days);
}

/// Has the founder say how long what was replaced is kept everywhere.
fn keep_days(story: &mut Story, days: u64) -> Result<(), String> {
    let policy = json!({ "kind": "lww", "retention": { "history": format!("{days}d") } });
    common::set_policy(story, Path::root(), &policy)
}

/// All writers go on, and time passes until what is due is done.
fn go_on(story: &mut Story, writers: usize) -> Result<(), String> {
    story.settle(SETTLE)?;
    for node in 0..writers {
        story.write(node, &format!("going/{node}"), json!(story.world.now()), false);
    }
    story.settle(SETTLE)?;
    story.world.run(3 * HOUR);
    story.collect_all(SETTLE)?;
    story.settle(SETTLE)
}

/// A few days of a group in which everybody writes the same few places over and over, and some days of nothing.
fn busy(story: &mut Story, writers: usize, rounds: usize) -> Result<(), String> {
    for round in 0..rounds {
        for node in 0..writers {
            story.write(node, &format!("meter/{node}"), json!(format!("reading {round} of {node}")), false);
            story.write(node, "meter/any", json!(round * 10 + node), false);
        }
        if round % 10 == 0 {
            story.settle(SETTLE)?;
        }
    }
    story.settle(SETTLE)
}

/// A week and more passes, in which what is not kept any more goes: its content first, then the entries.
fn pass(story: &mut Story, writers: usize) -> Result<(), String> {
    for _ in 0..3 {
        sleep(story, 9);
        go_on(story, writers)?;
    }
    Ok(())
}

#[test]
fn entries_of_which_nothing_is_left_are_dropped_by_everybody() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 4)?;
        keep_days(&mut story, 1)?;
        story.write(2, "kept/early", json!("written first and never replaced"), true);
        busy(&mut story, 3, 40)?;
        let before = story.stored(0);
        pass(&mut story, 3)?;
        let nodes: Vec<NodeId> = story.members.iter().map(|(node, _)| *node).collect();
        for node in nodes {
            let left = story.stored(node);
            if left * 3 > before {
                return Err(format!("peer {node} still stores {left} of {before} entries"));
            }
            if !story.find_bytes(node, b"reading 3 of 1").is_empty() {
                return Err(format!("peer {node} still has what was replaced"));
            }
        }
        // Whoever comes later has it from those who dropped them.
        let late = story.newcomer();
        story.settle(SETTLE)?;
        story.world.run(60_000);
        story.check()?;
        story.lacks_nothing(late)?;
        if story.stored(late) * 3 > before {
            return Err(format!("a newcomer stores {} of {before}", story.stored(late)));
        }
        // And goes on as any other, also from its rows.
        sleep(&mut story, 1);
        story.write(late, "meter/any", json!("by the newcomer"), false);
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(1)?;
        if tree["meter"]["any"] != "by the newcomer" || tree["kept"]["early"] != "written first and never replaced" {
            return Err(format!("{tree}"));
        }
        story.check()
    });
}

#[test]
fn years_of_the_same_take_no_more_room_than_weeks() {
    for_each_seed(1, 20, |seed| {
        let mut story = Story::joined(seed, 3)?;
        keep_days(&mut story, 1)?;
        let mut sizes = Vec::new();
        for year in 0..12 {
            busy(&mut story, 2, 30)?;
            for node in 0..2 {
                story.write(node, &format!("notes/{year}/{node}"), json!("taken down and thrown away"), false);
            }
            story.settle(SETTLE)?;
            delete(&mut story, 1, &format!("notes/{year}"))?;
            pass(&mut story, 3)?;
            sizes.push((story.stored(0), story.world.nodes[0].disk.rows()));
        }
        let most =
            |some: &[(usize, usize)]| (some.iter().map(|size| size.0).max(), some.iter().map(|size| size.1).max());
        let (first, last) = sizes.split_at(6);
        let ((entries, rows), (later_entries, later_rows)) = (most(first), most(last));
        if later_entries > entries.map(|most| most * 2) || later_rows > rows.map(|most| most * 2) {
            return Err(format!("entries and rows grow: {sizes:?}"));
        }
        let late = story.newcomer();
        story.settle(SETTLE)?;
        story.lacks_nothing(late)?;
        Ok(())
    });
}

#[test]
fn what_was_dropped_is_gone_to_whoever_asks_for_it() {
    for_each_seed(2, 50, |seed| {
        let mut story = Story::joined(seed, 3)?;
        keep_days(&mut story, 1)?;
        busy(&mut story, 2, 30)?;
        let (_, version) = story.tree(1)?;
        let then = story.world.now();
        busy(&mut story, 2, 30)?;
        pass(&mut story, 3)?;
        let late = story.newcomer();
        story.settle(SETTLE)?;
        let path = || Path::new(["meter", "any"]).unwrap();
        for node in [0, 2, late] {
            let versions: Vec<Version> = version.clone();
            let read =
                Request::GetAt { space: story.space_ref(), path: path(), at: At::Versions(versions), hash: None };
            match story.world.ask_for(node, read, 60_000) {
                Some(Reply::Refused(Refusal::HistoryDropped)) => {}
                other => return Err(format!("peer {node}: {other:?}")),
            }
        }
        let read = Request::GetAt { space: story.space_ref(), path: path(), at: At::Time(then), hash: None };
        match story.world.ask_for(1, read, 60_000) {
            Some(Reply::Refused(Refusal::HistoryDropped)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

/// Who was away while the others dropped entries takes up the log behind them, and what it has of them goes, too.
#[test]
fn who_was_away_in_the_middle_of_what_was_dropped_comes_to_the_same() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 4)?;
        keep_days(&mut story, 1)?;
        busy(&mut story, 2, 20)?;
        // A reader in all but name: it has never written, so nobody waits for it.
        story.crash(3);
        story.members.retain(|(node, _)| *node != 3);
        busy(&mut story, 2, 20)?;
        pass(&mut story, 3)?;
        story.world.start(3);
        story.members.push((3, Role::Writer));
        story.settle(SETTLE)?;
        story.world.run(HOUR);
        story.collect_all(SETTLE)?;
        story.settle(SETTLE)?;
        story.lacks_nothing(3)?;
        let (stored, others) = (story.stored(3), story.stored(0));
        if stored > others || !story.find_bytes(3, b"reading 3 of 1").is_empty() {
            return Err(format!("it stores {stored} entries, the others {others}"));
        }
        story.write(3, "meter/any", json!("by who was away"), false);
        story.settle(SETTLE)?;
        story.check()
    });
}

/// A group that has dropped most of what it wrote.
pub(crate) fn dropped_story(seed: u64) -> Result<Story, String> {
    dropped_in(World::new(seed))
}

/// The same, in a world with nobody in it.
pub(crate) fn dropped_in(world: World) -> Result<Story, String> {
    let mut story = Story::begin_in(world, 3)?;
    for node in 1..3 {
        story.ask_to_join(node, Role::Writer);
    }
    story.settle(SETTLE)?;
    keep_days(&mut story, 1)?;
    busy(&mut story, 3, 30)?;
    pass(&mut story, 3)?;
    Ok(story)
}

#[test]
fn a_peer_may_stop_at_any_moment_of_dropping() {
    for_each_seed(4, 200, |seed| {
        let mut story = Story::joined(seed, 4)?;
        keep_days(&mut story, 1)?;
        busy(&mut story, 3, 30)?;
        let (before, meter) = (story.stored(1), story.tree(1)?.0["meter"].clone());
        sleep(&mut story, 9);
        go_on(&mut story, 3)?;
        sleep(&mut story, 9);
        story.settle(SETTLE)?;
        for node in 0..3 {
            story.write(node, &format!("going/{node}"), json!(story.world.now()), false);
        }
        // Steps of dropping lie between, or in the middle of, whatever else goes on.
        for _ in 0..60 {
            let node = story.world.dice.below(4) as usize;
            story.crash(node);
            let pause = story.world.dice.below(3_000);
            story.world.run(pause);
            story.world.start(node);
            let pause = story.world.dice.below(200);
            story.world.run(pause);
        }
        story.settle(SETTLE)?;
        pass(&mut story, 3)?;
        story.newcomer();
        story.settle(SETTLE)?;
        let members: Vec<NodeId> = story.members.iter().map(|(node, _)| *node).collect();
        for node in members {
            story.lacks_nothing(node)?;
            if story.stored(node) * 3 > before {
                return Err(format!("peer {node} still stores {} of {before}", story.stored(node)));
            }
        }
        let (tree, _) = story.tree(2)?;
        if tree["meter"] == meter { Ok(()) } else { Err(format!("lost: {tree}")) }
    });
}

/// Brings entries to a peer that reaches nobody else: their bytes, and an owner's word where some are left out.
fn bring(story: &mut Story, carrier: &Hostile, node: NodeId, raws: &[Vec<u8>]) {
    common::bring(story, carrier, node, raws.iter().map(Vec::as_slice));
}

fn raws(entries: &[Verified]) -> Vec<Vec<u8>> {
    entries.iter().map(|entry| entry.raw().to_vec()).collect()
}

/// A founder in hostile hands, and a writer that is never online, with thirty things in its log.
fn hostile_founder(seed: u64) -> Result<(Story, Hostile, Hostile), String> {
    let mut story = Story::joined(seed, 4)?;
    story.settle(SETTLE)?;
    // One is away until the end.
    story.crash(3);
    story.members.retain(|(node, _)| *node != 3);
    let owner = Hostile::possess(&mut story, 0).ok_or("not taken over")?;
    story.members.retain(|(node, _)| *node != 0);
    let mut writer = Hostile::absent(&mut story, &owner).ok_or("no writer")?;
    for turn in 0..30 {
        let now = story.world.now();
        writer.write(&format!("said/{turn}"), "by the writer", now + turn);
    }
    story.world.run(5_000);
    Ok((story, owner, writer))
}

#[test]
fn what_an_owner_is_only_said_to_let_go_comes_back() {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut owner, writer) = hostile_founder(seed)?;
        // A checkpoint that never comes: something else will stand there.
        let at = owner.tip().len + 2;
        let word =
            |key| Pruned::sign(key, &owner.space, writer.key.public(), 5, Tip::after(&writer.log[19]), at).encode();
        let with = |word: Vec<u8>| [raws(&writer.log[..5]), vec![word], raws(&writer.log[20..])].concat();
        bring(&mut story, &owner, 1, &raws(&writer.log));
        bring(&mut story, &owner, 2, &with(word(&writer.key)));
        let refused = story.world.nodes[2].refused.contains_key("pruned-by-nobody");
        if !refused || !story.tree(2)?.0["said"]["29"].is_null() {
            return Err("taken on the word of somebody who is no owner".to_owned());
        }
        bring(&mut story, &owner, 2, &with(word(&owner.key)));
        if story.tree(2)?.0["said"]["29"] != "by the writer" || !story.tree(2)?.0["said"]["9"].is_null() {
            return Err(format!("not taken: {}", story.tree(2)?.0));
        }
        for _ in 0..4 {
            let now = story.world.now();
            owner.write("said/otherwise", "by the founder", now);
            story.world.run(1_000);
        }
        let more = raws(&owner.log[at as usize - 2..]);
        bring(&mut story, &owner, 1, &more);
        story.calm();
        story.settle(SETTLE)?;
        story.world.run(60_000);
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(2)?;
        if tree["said"]["9"] == "by the writer" { Ok(()) } else { Err(format!("not asked for: {tree}")) }
    });
}

#[test]
fn an_owner_who_lets_go_what_counts_takes_it_from_everybody_alike() {
    for_each_seed(3, 50, |seed| {
        let (mut story, owner, writer) = hostile_founder(seed)?;
        // Who has all of it before, and who hears the checkpoint first.
        bring(&mut story, &owner, 1, &raws(&writer.log));
        let tip = owner.tip();
        let (log, own) = (writer.key.public(), owner.key.public());
        let mut pruned = vec![
            Pruned::sign(&owner.key, &owner.space, log, 5, Tip::after(&writer.log[19]), tip.len).range,
            // Something in it is needed: the invite by which everybody is here.
            Pruned::sign(&owner.key, &owner.space, own, 1, Tip::after(&owner.log[owner.log.len() - 2]), tip.len).range,
        ];
        pruned.sort_by_key(|range| (range.log, range.from));
        let stable = Clock::new(story.world.now(), 0).0;
        let frontier = [(log, writer.tip().len), (own, tip.len)].into_iter().collect();
        let body = Checkpoint { stable, frontier, pruned }.encode();
        let checkpoint = owner.entry(tip, Kind::Checkpoint, &body, Vec::new());
        bring(&mut story, &owner, 2, &raws(std::slice::from_ref(&checkpoint)));
        bring(&mut story, &owner, 2, &raws(&writer.log));
        story.calm();
        story.settle(SETTLE)?;
        story.world.run(HOUR);
        story.world.start(3);
        story.members.push((3, Role::Writer));
        story.settle(SETTLE)?;
        for node in 1..4 {
            let (tree, _) = story.tree(node)?;
            if !tree["said"]["10"].is_null() || tree["said"]["20"] != "by the writer" {
                return Err(format!("peer {node} shows {tree}"));
            }
            if !story.find_bytes(node, b"said\x0010\x00").is_empty() {
                return Err(format!("peer {node} keeps what was let go"));
            }
        }
        Ok(())
    });
}

#[test]
fn a_log_that_forks_among_what_was_dropped_ends_before_it() {
    for_each_seed(2, 50, |seed| {
        let (mut story, owner, mut writer) = hostile_founder(seed)?;
        let log = writer.key.public();
        let now = story.world.now();
        let other = writer.op(Tip::after(&writer.log[9]), "said/otherwise", "in another history", now);
        let tip = owner.tip();
        let pruned = vec![Pruned::sign(&owner.key, &owner.space, log, 5, Tip::after(&writer.log[19]), tip.len).range];
        let stable = Clock::new(now, 0).0;
        let frontier = [(log, 22)].into_iter().collect();
        let checkpoint =
            owner.entry(tip, Kind::Checkpoint, &Checkpoint { stable, frontier, pruned }.encode(), Vec::new());
        // One has dropped what the other knows in two ways.
        bring(&mut story, &owner, 1, &raws(&writer.log));
        bring(&mut story, &owner, 1, &raws(std::slice::from_ref(&checkpoint)));
        story.world.run(60_000);
        bring(&mut story, &owner, 2, &raws(&writer.log[..12]));
        bring(&mut story, &owner, 2, &raws(std::slice::from_ref(&other)));
        story.calm();
        story.settle(SETTLE)?;
        story.world.run(HOUR);
        story.settle(SETTLE)?;
        story.world.start(3);
        story.members.push((3, Role::Writer));
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(3)?;
        if tree["said"]["2"] == "by the writer" && tree["said"]["25"].is_null() {
            Ok(())
        } else {
            Err(format!("{tree}"))
        }
    });
}

/// A device whose profile was restored from an old backup finds the end of its own log with the others.
#[test]
fn a_backup_from_the_middle_of_what_was_dropped_goes_on_behind_it() {
    for_each_seed(2, 50, |seed| {
        let mut story = Story::joined(seed, 3)?;
        keep_days(&mut story, 1)?;
        busy(&mut story, 3, 15)?;
        story.crash(1);
        let backup = story.world.nodes[1].disk.clone();
        story.world.start(1);
        busy(&mut story, 3, 15)?;
        pass(&mut story, 3)?;
        story.crash(1);
        story.world.nodes[1].disk = backup;
        story.world.start(1);
        story.settle(SETTLE)?;
        story.world.run(HOUR);
        story.collect_all(SETTLE)?;
        story.write(1, "meter/any", json!("restored"), false);
        story.settle(SETTLE)?;
        story.lacks_nothing(1)?;
        let (tree, _) = story.tree(0)?;
        if tree["meter"]["any"] == "restored" && story.stored(1) <= story.stored(0) {
            Ok(())
        } else {
            Err(format!("{tree}, {} entries beside {}", story.stored(1), story.stored(0)))
        }
    });
}
