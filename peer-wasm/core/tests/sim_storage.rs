//! Storage that fails: nothing promised is lost, nobody goes round in circles, and it goes on when there is room.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::for_each_seed;
use kith_core::api::{Refusal, Reply, Request};
use kith_core::path::Path;
use kith_core::sim::{Outcome, Story};

#[test]
fn a_full_disk_refuses_writes_and_catches_up_when_there_is_room() {
    for_each_seed(5, 200, |seed| {
        let mut story = Story::joined(seed, 3)?;
        let first = story.write_own(1);
        story.settle(300_000)?;
        story.world.nodes[1].room = story.world.nodes[1].disk.rows() + 3;
        for _ in 0..20 {
            story.write_own(0);
            story.write_own(2);
            story.world.run(1_000);
        }
        let refused = story.write_own(1);
        story.world.run(2_000);
        story.collect();
        let outcome = |story: &Story, number: usize| story.ledger.promises[number].outcome.clone();
        if outcome(&story, refused) != Outcome::Refused(Refusal::NoRoom) {
            return Err(format!("a write without room gave {:?}", outcome(&story, refused)));
        }
        if outcome(&story, first) != Outcome::Kept {
            return Err("a write before was not kept".to_owned());
        }
        // What is there can still be read.
        let path = Path::new(["log", "1"]).map_err(|error| error.to_string())?;
        let read = Request::Get { space: story.space_ref(), path, parents: Vec::new() };
        let reply = (0..20).find_map(|_| {
            let reply = story.world.ask_for(1, read.clone(), 10_000);
            story.world.run(500);
            matches!(reply, Some(Reply::Value { .. })).then_some(reply)
        });
        if reply.is_none() {
            return Err("nothing can be read from a full disk".to_owned());
        }
        // Nobody goes round in circles over it.
        let steps = story.world.steps;
        story.world.run(600_000);
        let steps = story.world.steps - steps;
        if steps > 10_000 {
            return Err(format!("{steps} things happened in ten quiet minutes"));
        }
        story.world.nodes[1].room = usize::MAX;
        story.settle(300_000)?;
        story.write_own(1);
        story.settle(300_000)?;
        story.check()
    });
}

/// Long values once cost reading all that follow for each that was sent: the square of their number.
#[test]
fn sending_long_values_reads_each_about_once() {
    let mut story = Story::joined(7, 2).unwrap();
    story.world.divide(|node| node as u64);
    let (count, size) = (40, 100 << 10);
    for n in 0..count {
        story.write(0, &format!("long{n}"), "x".repeat(size).into(), true);
        story.world.run(200);
    }
    let before = story.world.nodes[0].read_bytes.get();
    story.world.unite();
    story.settle(300_000).unwrap();
    let read = story.world.nodes[0].read_bytes.get() - before;
    assert!(read >= count * size, "all of it was sent");
    assert!(read < 4 * count * size, "{read} bytes were read to send {}", count * size);
    story.check().unwrap();
}
