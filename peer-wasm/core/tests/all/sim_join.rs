//! Joining a space that is large already: usable before it is complete.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{Body, Change, Manner, Preconditions, Reply, Request, Role};
use kith_core::path::Path;
use kith_core::sim::{Story, Weather};
use serde_json::json;

const WRITTEN: usize = 800;
const PATIENCE: u64 = 60_000;
const STEADY: Weather = Weather { latency: (50, 50), load: (1, 1), commit: (5, 5), ..Weather::FAIR };

/// A space in which much was written before anybody was invited.
fn large(seed: u64) -> Result<(Story, String), String> {
    let mut story = Story::begin(seed, 2)?;
    story.world.weather = STEADY;
    for number in 0..WRITTEN {
        story.write(0, &format!("notes/{number}"), "some text that makes an entry long ".repeat(60).into(), true);
        story.world.run(5);
    }
    story.world.run(1_000);
    let (space, role) = (story.space_ref(), Role::Writer);
    let (app, origin) = ("/board/".to_owned(), "https://example.org".to_owned());
    match story.world.ask_for(0, Request::Invite { space, role, app, origin }, PATIENCE) {
        Some(Reply::Invited(document)) => Ok((story, document["url"].as_str().unwrap().to_owned())),
        other => Err(format!("no invite: {other:?}")),
    }
}

#[test]
fn a_newcomer_reads_and_writes_while_the_rest_is_on_its_way() {
    for_each_seed(2, 50, |seed| {
        let (mut story, invite) = large(seed)?;
        let joined = story.world.ask_for(1, Request::Join { invite: invite.clone() }, PATIENCE);
        if !matches!(joined, Some(Reply::Joined(_))) {
            return Err(format!("not joined: {joined:?}"));
        }
        story.members.push((1, Role::Writer));
        let there = story.status_of_space(1, "entries").unwrap_or_default();
        if there as usize > WRITTEN / 2 {
            return Err(format!("it was let in after {there} of {WRITTEN} entries"));
        }
        let (space, path) = (story.space_ref(), Path::new(["notes", "0"]).unwrap());
        let first = story.world.ask_for(1, Request::Get { space: space.clone(), path, parents: Vec::new() }, PATIENCE);
        if !matches!(first, Some(Reply::Value { .. })) {
            return Err(format!("the first note cannot be read: {first:?}"));
        }
        let change = Change::Put(Body::Json(json!("from the newcomer")));
        let path = Path::new(["notes", "new"]).unwrap();
        let (conditions, manner) = (Preconditions::default(), Manner::default());
        let write = Request::Write { space, path: path.clone(), change, conditions, manner, id: None, purge: false };
        let written = story.world.ask_for(1, write, PATIENCE);
        if !matches!(written, Some(Reply::Written { .. })) {
            return Err(format!("the newcomer cannot write: {written:?}"));
        }
        story.settle(300_000)?;
        let there = Request::Get { space: story.space_ref(), path, parents: Vec::new() };
        match story.world.ask_for(0, there, PATIENCE) {
            Some(Reply::Value { body: Body::Json(value), .. }) if value == json!("from the newcomer") => story.check(),
            other => Err(format!("what the newcomer wrote is not at the founder's: {other:?}")),
        }
    });
}

#[test]
fn a_newcomer_that_dies_half_way_goes_on() {
    for_each_seed(3, 100, |seed| {
        let (mut story, invite) = large(seed)?;
        let joined = story.world.ask_for(1, Request::Join { invite }, PATIENCE);
        if !matches!(joined, Some(Reply::Joined(_))) {
            return Err(format!("not joined: {joined:?}"));
        }
        story.members.push((1, Role::Writer));
        for _ in 0..3 {
            let pause = story.world.dice.within((1, 150));
            story.world.run(pause);
            story.world.crash(1);
            story.world.start(1);
        }
        story.settle(300_000)?;
        story.check()
    });
}

#[test]
fn joining_does_not_wait_longer_than_storage_does() {
    for_each_seed(3, 100, |seed| {
        // The link comes up long before the newcomer's right to be in the space is stored.
        let slow = Weather { commit: (3_000, 3_000), ..STEADY };
        let mut story = Story::begin(seed, 2)?;
        let (space, role) = (story.space_ref(), Role::Writer);
        let (app, origin) = ("/".to_owned(), "https://example.org".to_owned());
        let Some(Reply::Invited(document)) =
            story.world.ask_for(0, Request::Invite { space, role, app, origin }, PATIENCE)
        else {
            return Err("no invite".to_owned());
        };
        story.world.weather = slow;
        let began = story.world.now();
        let invite = document["url"].as_str().unwrap().to_owned();
        let joined = story.world.ask_for(1, Request::Join { invite }, PATIENCE);
        let took = story.world.now() - began;
        let is_joined = matches!(joined, Some(Reply::Joined(_)));
        if is_joined && took < 15_000 { Ok(()) } else { Err(format!("after {took} ms: {joined:?}")) }
    });
}

/// Everybody keeps so many links that those of one half are enough for it.
#[test]
fn two_halves_that_were_apart_come_together() {
    for_each_seed(1, 20, |seed| {
        let mut story = Story::begin(seed, 50)?;
        // Both know the founder, and a part of the others.
        for node in 1..50 {
            story.ask_to_join(node, Role::Writer);
        }
        story.settle(300_000)?;
        story.world.divide(|node| node as u64 % 2);
        story.world.run(300_000);
        story.write_own(2);
        story.write_own(3);
        story.calm();
        story.settle(300_000)?;
        let linked = |node| (0..50).filter(|other| story.world.link_between(node, *other).is_some()).count();
        let links: Vec<usize> = (0..50).map(linked).collect();
        if links.iter().any(|links| *links > 40) {
            return Err(format!("somebody has too many links: {links:?}"));
        }
        story.check()
    });
}
