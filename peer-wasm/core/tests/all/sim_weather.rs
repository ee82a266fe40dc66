//! Many peers through bad weather: they end up alike, and every promise is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::Role;
use kith_core::sim::{Story, Weather};

/// How long peers may take to become alike once everything works again, in milliseconds of virtual time.
const SETTLE: u64 = 900_000;

#[test]
fn two_peers_that_write_to_each_other_become_alike() {
    for_each_seed(5, 100, |seed| {
        let mut story = Story::joined(seed, 2)?;
        for turn in 0..20 {
            story.write_own(turn % 2);
            story.write_shared(turn % 2);
        }
        story.settle(SETTLE)?;
        story.check()?;
        let kept = story.ledger.kept();
        if kept == 40 { Ok(()) } else { Err(format!("{kept} of 40 writes were acknowledged in fair weather")) }
    });
}

#[test]
fn a_few_peers_become_alike_after_storms_partitions_and_crashes() {
    for_each_seed(10, 3000, |seed| {
        let mut story = Story::begin(seed, 5)?;
        story.world.weather = Weather::STORM;
        for node in 1..5 {
            story.ask_to_join(node, Role::Writer);
        }
        for _ in 0..80 {
            story.adventure();
        }
        end_well(story)
    });
}

#[test]
fn fifty_peers_become_alike_after_storms_partitions_and_crashes() {
    for_each_seed(1, 1000, fifty_peers);
}

/// Storage failed at one peer just when a key had come. The key came again, with another log than the one that waited for it.
#[test]
fn a_key_that_comes_with_another_log_opens_what_waits_for_it() {
    fifty_peers(2146).unwrap();
}

/// Who had just joined lost its link to the founder, the only one it knew as a member.
#[test]
fn who_joins_learns_who_belongs_from_anybody() {
    fifty_peers(2204).unwrap();
}

/// Storage could not be read just when what had waited for its key was about to be merged.
#[test]
fn what_waits_for_its_key_is_merged_although_storage_could_not_be_read_for_a_moment() {
    fifty_peers(42005).unwrap();
}

fn fifty_peers(seed: u64) -> Result<(), String> {
    let mut story = Story::begin(seed, 50)?;
    for node in 1..50 {
        let role = if node % 10 == 0 { Role::Reader } else { Role::Writer };
        story.ask_to_join(node, role);
        if node == 25 {
            story.world.weather = Weather::STORM;
        }
    }
    for _ in 0..150 {
        story.adventure();
    }
    end_well(story)
}

/// The weather clears; programs ask again; all become alike and every promise was kept.
fn end_well(mut story: Story) -> Result<(), String> {
    story.calm();
    for (node, role) in story.members.clone().into_iter().skip(1) {
        story.ask_to_join(node, role);
    }
    story.settle(SETTLE)?;
    story.ask_again();
    story.settle(SETTLE)?;
    story.check()
}
