//! Storage that fails: nothing promised is lost, nobody goes round in circles, and it goes on when there is room.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{Refusal, Reply, Request, Role};
use kith_core::entry::Entry;
use kith_core::path::Path;
use kith_core::peer::Input;
use kith_core::rows::{Batch, KeyRange, Read, Table};
use kith_core::sim::{Outcome, Story, World};

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

/// Spoils every third row of a table on a peer's disk. Gives how many.
fn spoil(story: &mut Story, node: usize, table: Table) -> usize {
    let all = KeyRange { start: Vec::new(), end: vec![0xff; 8] };
    let disk = &mut story.world.nodes[node].disk;
    let rows = disk.all(table, all);
    let mut puts = Vec::new();
    for (key, mut value) in rows.into_iter().step_by(3) {
        let middle = value.len() / 2;
        value[middle] ^= 0x55;
        puts.push((table, key, value));
    }
    let count = puts.len();
    disk.commit(&Batch { puts, ..Batch::default() });
    count
}

/// Entries on a peer's disk that cannot be read.
fn unreadable(story: &Story, node: usize) -> usize {
    let all = KeyRange { start: Vec::new(), end: vec![0xff; 8] };
    let rows = story.world.nodes[node].disk.all(Table::Tail, all);
    rows.iter().filter(|(_, value)| Entry::decode(value).is_err()).count()
}

#[test]
fn entries_that_cannot_be_read_any_more_are_asked_for_again() {
    for_each_seed(4, 200, |seed| {
        let mut story = Story::joined(seed, 3)?;
        for turn in 0..40 {
            story.write_own(turn % 3);
            if turn % 7 == 0 {
                story.world.run(3_000);
            }
        }
        story.settle(300_000)?;
        let late = story.world.add();
        story.crash(1);
        if spoil(&mut story, 1, Table::Tail) < 10 || spoil(&mut story, 1, Table::Segment) > 100 {
            return Err("there was nothing to spoil".to_owned());
        }
        story.world.start(1);
        // A newcomer asks the damaged one for everything: that is when it is noticed.
        story.world.divide(|node| if node == 1 || node == late { 1 } else { 0 });
        story.ask_to_join(late, Role::Writer);
        for _ in 0..12 {
            story.world.connect(1, late);
            story.world.run(10_000);
        }
        story.world.unite();
        story.settle(900_000)?;
        for _ in 0..60 {
            story.world.run(60_000);
            if story.status_of_space(1, "damaged") == Some(0) {
                break;
            }
        }
        story.write_own(1);
        story.settle(300_000)?;
        story.check()?;
        // Another one who knows only the mended one gets everything.
        let last = story.world.add();
        story.world.divide(|node| if node == 1 || node == last { 1 } else { 0 });
        story.ask_to_join(last, Role::Writer);
        for _ in 0..30 {
            story.world.connect(1, last);
            story.world.run(20_000);
            if story.alike().is_ok() {
                break;
            }
        }
        story.world.unite();
        story.settle(900_000)?;
        match story.status_of_space(1, "damaged") {
            Some(0) => {}
            damaged => return Err(format!("{damaged:?} entries are lost still")),
        }
        let left = unreadable(&story, 1);
        // The private space has nobody to be asked.
        if left > 4 { Err(format!("{left} rows cannot be read")) } else { story.check() }
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

#[test]
fn an_entry_that_brings_the_peer_down_again_and_again_is_left_out() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 3)?;
        for turn in 0..9 {
            story.write_own(turn % 3);
        }
        story.write_own(2);
        story.settle(300_000)?;
        story.crash(1);
        story.world.divide(|node| u64::from(node == 1));
        // The only one that is missing, so that both lives begin with it.
        story.write(0, "poison", serde_json::json!("x"), false);
        story.world.run(5_000);
        story.world.unite();
        // Two lives end just when the first entry that comes is about to be looked at.
        let doing = Read::Get { table: Table::Meta, key: b"doing".to_vec() };
        let mut marks = Vec::new();
        for _ in 0..2 {
            story.world.start(1);
            story.world.input(1, Input::Careful);
            let marked = |world: &mut World| !world.nodes[1].disk.read(&doing).is_empty();
            // A mark of the life before counts as one of this life only once it is written again.
            let before = story.world.nodes[1].disk.read(&doing);
            let mut seen = false;
            for _ in 0..120_000 {
                story.world.connect(0, 1);
                story.world.run(1);
                if marked(&mut story.world) && (before.is_empty() || story.world.nodes[1].disk.read(&doing) != before) {
                    seen = true;
                    break;
                }
            }
            if !seen {
                return Err("nothing was marked".to_owned());
            }
            marks.push(story.world.nodes[1].disk.read(&doing)[0].1.clone());
            story.crash(1);
        }
        let same = marks[0][..marks[0].len() - 1] == marks[1][..marks[1].len() - 1];
        story.world.start(1);
        story.world.input(1, Input::Careful);
        story.world.run(5_000);
        let status = story.world.ask_for(1, Request::Status, 10_000);
        let Some(Reply::Document(status)) = status else { return Err(format!("no status: {status:?}")) };
        let quarantined = status["quarantined"].as_array().map_or(0, Vec::len);
        if !same || quarantined != 1 {
            return Err(format!("{quarantined} entries were quarantined after deaths at {marks:?}"));
        }
        // The peer lives on, and takes in what others write.
        story.write_own(1);
        story.world.run(120_000);
        story.collect();
        let refused = story.world.nodes[1].refused.contains_key("quarantined");
        if !refused || story.world.life(1) != 4 {
            return Err(format!("refused: {refused}; lives: {}", story.world.life(1)));
        }
        let (tree, _) = story.tree(1)?;
        if tree["log"].as_object().map_or(0, |log| log.len()) >= 10 {
            Ok(())
        } else {
            Err(format!("too little: {tree}"))
        }
    });
}
