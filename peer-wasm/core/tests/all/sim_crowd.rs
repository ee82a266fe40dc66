//! Many writers, and some that do harm: the others go on and agree; nobody is made to store more than wanted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{Reply, Request, Role};
use kith_core::entry::Verified;
use kith_core::path::Path;
use kith_core::peer::Quota;
use kith_core::sim::{Hostile, Outcome, Story, World};
use serde_json::Value as Json;

const SETTLE: u64 = 600_000;
const DAY: u64 = 86_400_000;
/// How long a write may take to be shown by everybody, in milliseconds.
const SOON: u64 = 10_000;
/// Small enough to be reached by a test.
const QUOTA: Quota = Quota { bytes: 20_000, entries: 1_000 };

fn joined(seed: u64, peers: usize) -> Result<Story, String> {
    let mut world = World::new(seed);
    world.quota = QUOTA;
    let mut story = Story::begin_in(world, peers)?;
    for node in 1..peers {
        story.ask_to_join(node, Role::Writer);
    }
    story.settle(SETTLE)?;
    Ok(story)
}

/// As many entries of about a kilobyte as asked for, written into a hostile log.
fn flood(story: &Story, hostile: &mut Hostile, count: usize) -> Vec<Verified> {
    let now = story.world.now();
    for number in 0..count {
        hostile.write(&format!("flood/{}", number % 10), &"f".repeat(1_000), now);
    }
    hostile.log[hostile.log.len() - count..].to_vec()
}

fn pour(story: &mut Story, hostile: &Hostile, victim: usize, entries: &[Verified]) {
    for part in entries.chunks(50) {
        hostile.push(&mut story.world, victim, &part.iter().map(|entry| entry.raw()).collect::<Vec<_>>());
    }
}

fn held(story: &mut Story, node: usize) -> Vec<Json> {
    let Some(Reply::Document(spaces)) = story.world.ask_for(node, Request::Spaces, 10_000) else { return Vec::new() };
    let spaces = spaces.as_array().cloned().unwrap_or_default();
    spaces.iter().filter_map(|space| space["held"].as_array()).flatten().cloned().collect()
}

fn entries_of(story: &mut Story, node: usize, log: &str) -> u64 {
    let members = story.world.ask_for(node, Request::Members { space: story.space_ref() }, 10_000);
    let Some(Reply::Document(members)) = members else { return 0 };
    let items = members["items"].as_array().cloned().unwrap_or_default();
    let devices = items.iter().filter_map(|item| item["devices"].as_array()).flatten();
    devices.filter(|device| device["peer"] == log).filter_map(|device| device["entries"].as_u64()).sum()
}

#[test]
fn a_flood_is_held_at_the_quota_until_the_user_allows_more_or_the_next_day() {
    for_each_seed(3, 100, |seed| {
        let mut story = joined(seed, 4)?;
        let mut hostile = Hostile::possess(&mut story, 3).ok_or("the member could not be taken over")?;
        story.members.retain(|(node, _)| *node != 3);
        hostile.greet(&mut story.world, 1);
        let entries = flood(&story, &mut hostile, 600);
        pour(&mut story, &hostile, 1, &entries);
        story.settle(SETTLE)?;
        let log = hostile.key.public().peer_id();
        // On the first day sixteen times as much is taken: history.
        let taken = entries_of(&mut story, 1, &log);
        if !(150..350).contains(&taken) {
            return Err(format!("{taken} entries were taken"));
        }
        if !story.world.nodes[1].refused.contains_key("over-quota") {
            return Err(format!("it was not refused by name: {:?}", story.world.nodes[1].refused));
        }
        let shown = held(&mut story, 1);
        if shown.len() != 1 || shown[0]["log"] != log || shown[0]["why"] != "over-quota" {
            return Err(format!("the status shows {shown:?}"));
        }
        // It is remembered.
        story.crash(1);
        story.world.start(1);
        story.world.run(5_000);
        hostile.greet(&mut story.world, 1);
        hostile.claim(&mut story.world, 1, hostile.tip());
        pour(&mut story, &hostile, 1, &entries[taken as usize - 2..]);
        story.world.run(5_000);
        if entries_of(&mut story, 1, &log) != taken {
            return Err("a restart made it forget what was used".to_owned());
        }
        // The user allows more.
        let space = story.space_ref();
        let allow = |author: &str, bytes| Request::Allow { space: space.clone(), author: author.to_owned(), bytes };
        match story.world.ask_for(1, allow("12D3KooWnobody", 1), 10_000) {
            Some(Reply::Refused(kith_core::api::Refusal::NotFound | kith_core::api::Refusal::NotYet)) => {}
            other => return Err(format!("allowing somebody unknown gave {other:?}")),
        }
        story.world.ask_for(1, allow(&log, 100_000), 10_000);
        hostile.claim(&mut story.world, 1, hostile.tip());
        pour(&mut story, &hostile, 1, &entries[taken as usize - 2..]);
        story.world.run(5_000);
        let more = entries_of(&mut story, 1, &log) - taken;
        if !(50..110).contains(&more) {
            return Err(format!("{more} more entries were taken"));
        }
        // The next day a quota's worth comes by itself to those that were not asked.
        story.world.run(DAY);
        hostile.greet(&mut story.world, 2);
        hostile.claim(&mut story.world, 2, hostile.tip());
        pour(&mut story, &hostile, 2, &entries[taken as usize - 2..]);
        let next = entries_of(&mut story, 2, &log) - taken;
        if !(5..30).contains(&next) {
            return Err(format!("{next} entries were taken the next day"));
        }
        Ok(())
    });
}

#[test]
fn what_the_user_allows_is_asked_for_at_once() {
    for_each_seed(3, 100, |seed| {
        let mut story = joined(seed, 2)?;
        // More than a first day's worth, as it is written: nobody is told beforehand how much there is.
        for number in 0..500 {
            story.write(1, &format!("much{number}"), Json::from("m".repeat(1_000)), true);
        }
        story.world.run(10_000);
        let [shown] = held(&mut story, 0).try_into().map_err(|shown| format!("held: {shown:?}"))?;
        if shown["waiting"].as_u64().unwrap_or(0) == 0 {
            return Err(format!("nothing is said to wait: {shown}"));
        }
        let log = shown["log"].as_str().unwrap_or_default().to_owned();
        let taken = entries_of(&mut story, 0, &log);
        let space = story.space_ref();
        story.world.ask_for(0, Request::Allow { space, author: log.clone(), bytes: 10_000_000 }, 10_000);
        story.world.run(3_000);
        let now = entries_of(&mut story, 0, &log);
        if now > taken && held(&mut story, 0).is_empty() && now >= 500 {
            Ok(())
        } else {
            Err(format!("{taken} entries, then {now}"))
        }
    });
}

#[test]
fn fifty_writers_go_on_while_one_floods_one_forks_and_one_is_ahead_of_time() {
    for_each_seed(1, 20, |seed| {
        let mut story = joined(seed, 50)?;
        let mut flooder = Hostile::possess(&mut story, 47).ok_or("the member could not be taken over")?;
        let mut forker = Hostile::possess(&mut story, 48).ok_or("the member could not be taken over")?;
        story.world.nodes[49].skew = 365 * DAY as i64;
        story.members.retain(|(node, _)| *node < 47);
        story.world.run(1_000);

        let now = story.world.now();
        let tip = forker.tip();
        for (victim, text) in [(3, "left"), (30, "right")] {
            forker.greet(&mut story.world, victim);
            let branch = forker.op(tip, "forked", text, now);
            forker.push(&mut story.world, victim, &[branch.raw()]);
        }
        let entries = flood(&story, &mut flooder, 700);
        for victim in [1, 20, 40] {
            flooder.greet(&mut story.world, victim);
        }
        for (round, part) in entries.chunks(70).enumerate() {
            let ahead = story.write(49, &format!("ahead/{round}"), round.into(), true);
            let writers: Vec<usize> = (0..5).map(|_| story.world.dice.below(47) as usize).collect();
            let written: Vec<usize> = writers.iter().map(|node| story.write_own(*node)).collect();
            let since = story.world.now();
            for victim in [1, 20, 40] {
                flooder.claim(&mut story.world, victim, flooder.tip());
                pour(&mut story, &flooder, victim, part);
            }
            let left = (since + SOON).saturating_sub(story.world.now());
            story.world.run(left);
            story.collect();
            for number in written {
                let promise = story.ledger.promises[number].clone();
                if promise.outcome != Outcome::Kept {
                    return Err(format!("not acknowledged: {promise:?}"));
                }
                let path = Path::new(promise.path.split('/')).map_err(|error| error.to_string())?;
                for node in 0..47 {
                    let read = Request::Get { space: story.space_ref(), path: path.clone(), parents: Vec::new() };
                    let reply = story.world.ask_for(node, read, 5_000);
                    if !matches!(reply, Some(Reply::Value { .. })) {
                        return Err(format!("peer {node} does not show {} after {SOON} ms: {reply:?}", promise.path));
                    }
                }
            }
            story.ledger.promises.remove(ahead);
        }
        story.settle(SETTLE)?;
        story.check()?;
        let (tree, _) = story.tree(0)?;
        for name in ["forked", "ahead"] {
            if tree.get(name).is_some() {
                return Err(format!("`{name}` got in"));
            }
        }
        let refused: Vec<&str> = story.world.nodes[..47].iter().flat_map(|node| node.refused.keys().copied()).collect();
        for name in ["over-quota", "future-clock"] {
            if !refused.contains(&name) {
                return Err(format!("nothing was refused as `{name}`"));
            }
        }
        let log = flooder.key.public().peer_id();
        let taken = entries_of(&mut story, 10, &log);
        if taken > 400 {
            return Err(format!("{taken} entries of the flood were taken"));
        }
        Ok(())
    });
}
