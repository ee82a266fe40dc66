//! What lists erase where entries are crafted: peers that come to it in different ways end with the same, values and past.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::clock::Clock;
use kith_core::document::redaction::Target;
use kith_core::document::{Leaf, Op, Ops};
use kith_core::entry::{Kind, Verified};
use kith_core::path::Path;
use kith_core::records::Checkpoint;
use kith_core::sim::{Hostile, Story};

const SETTLE: u64 = 600_000;
const SECRET: &str = "written first";

/// Adds an entry to an author's log that says these things of one place, and wants these parts gone.
fn say(author: &mut Hostile, story: &Story, texts: &[&str], gone: &[Target]) {
    let op = |text: &&str| {
        let json = serde_json::Value::from(*text).to_string().into_bytes();
        Op::new(Path::new(["x"]).unwrap(), Leaf::Json(json))
    };
    let tip = author.tip();
    let clock = Clock::new(story.world.now(), tip.len as u16).0;
    let ops = Ops { clock, id: String::new(), list: texts.iter().map(op).collect() };
    let lists = if gone.is_empty() { Vec::new() } else { vec![gone.to_vec()] };
    let entry = author.ops(tip, &ops, &lists);
    author.log.push(entry);
}

/// Brings entries to a peer that reaches nobody else.
fn bring(story: &mut Story, carrier: &Hostile, node: usize, entries: &[Verified]) {
    common::bring(story, carrier, node, entries.iter().map(|entry| entry.raw()));
}

#[test]
fn of_two_things_an_entry_says_of_a_place_a_list_takes_one_and_all_have_the_same_past() {
    for_each_seed(2, 40, |seed| {
        let mut story = Story::joined(seed, 3)?;
        story.settle(SETTLE)?;
        let mut author = Hostile::possess(&mut story, 2).ok_or("not taken over")?;
        story.members.retain(|(node, _)| *node != 2);
        let before = author.log.len();
        let log = author.key.public();
        let which = seed as usize % 2;
        say(&mut author, &story, &[SECRET, SECRET], &[]);
        say(&mut author, &story, &["later"], &[]);
        say(&mut author, &story, &[], &[Target { log, seq: before as u64, parts: vec![which] }]);
        bring(&mut story, &author, 0, &author.log[before..]);
        assert_eq!(story.status_of_space(0, "collecting"), Some(0));
        // The other has it from the first, without what is gone.
        story.calm();
        story.settle(SETTLE)
    });
}

#[test]
fn what_was_erased_for_something_that_does_not_count_in_the_end_comes_back() {
    for_each_seed(2, 40, |seed| {
        let mut story = Story::joined(seed, 3)?;
        story.settle(SETTLE)?;
        let owner = Hostile::possess(&mut story, 0).ok_or("not taken over")?;
        story.members.retain(|(node, _)| *node != 0);
        let mut writer = Hostile::absent(&mut story, &owner).ok_or("no writer")?;
        let log = writer.key.public();
        let first = writer.log.len() as u64;
        say(&mut writer, &story, &[SECRET], &[]);
        story.world.run(1_000);
        say(&mut writer, &story, &["later"], &[]);
        say(&mut writer, &story, &[], &[Target { log, seq: first, parts: vec![0] }]);
        let stable = Clock::new(story.world.now() + 1_000, 0).0;
        story.world.run(5_000);
        // One hears what is later and erases what it takes the place of …
        bring(&mut story, &owner, 1, &writer.log);
        assert!(story.find_bytes(1, SECRET.as_bytes()).is_empty(), "it was to be erased");
        // … the other first that it does not count.
        let frontier = [(log, first + 1)].into_iter().collect();
        let tip = owner.tip();
        let checkpoint = owner.entry(
            tip,
            Kind::Checkpoint,
            &Checkpoint { stable, frontier, ..Checkpoint::default() }.encode(),
            Vec::new(),
        );
        bring(&mut story, &owner, 2, &[checkpoint]);
        bring(&mut story, &owner, 2, &writer.log);
        assert!(!story.find_bytes(2, SECRET.as_bytes()).is_empty(), "nothing takes its place here");
        story.calm();
        story.settle(SETTLE)?;
        for node in [1, 2] {
            assert!(!story.find_bytes(node, SECRET.as_bytes()).is_empty(), "peer {node} lacks it");
        }
        Ok(())
    });
}
