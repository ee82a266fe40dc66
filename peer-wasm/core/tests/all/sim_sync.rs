//! What sync costs: bytes and round trips grow with what differs, not with what there is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{Request, Role};
use kith_core::entry::Verified;
use kith_core::sim::{Crowd, Hostile, Story};
use kith_core::wire::Frame;

const SETTLE: u64 = 300_000;
/// A frame of entries is sent once it has this many bytes.
const BATCH: u64 = 128 << 10;

#[test]
fn two_peers_twenty_entries_apart_among_two_thousand_authors_say_little() {
    for_each_seed(1, 20, |seed| {
        let mut crowd = Crowd::gather(seed, 2_000)?;
        crowd.set_apart(10);
        let story = &mut crowd.story;
        story.world.unite();
        story.world.run(20_000);
        let tally = story.world.take_tally(0, 1);
        story.alike()?;
        let arrived = [story.world.arrivals(0), story.world.arrivals(1)];
        println!(
            "2 000 authors, 20 entries apart: {tally:?}, entries {} + {} bytes",
            arrived[0].bytes, arrived[1].bytes
        );
        if arrived[0].entries() + arrived[1].entries() != 20 || arrived[0].again + arrived[1].again > 0 {
            return Err(format!("other entries than those missing were sent: {arrived:?}"));
        }
        if tally.bytes > 20_000 {
            return Err(format!("{} bytes were said over 20 entries", tally.bytes));
        }
        // From the first word of the link to the last acknowledgement.
        if tally.hops > 12 {
            return Err(format!("it took {} hops", tally.hops));
        }
        // Being alike costs next to nothing.
        story.world.run(600_000);
        let quiet = story.world.take_tally(0, 1);
        println!("ten quiet minutes: {quiet:?}");
        if quiet.bytes > 4_000 {
            return Err(format!("{} bytes were said in ten quiet minutes", quiet.bytes));
        }
        Ok(())
    });
}

/// Members that have each written so much of about two kilobytes, and are alike.
fn writers(seed: u64, peers: usize, each: usize) -> Result<Story, String> {
    let mut story = Story::joined(seed, peers)?;
    for turn in 0..each {
        for node in 0..peers {
            story.write(node, &format!("big/{node}/{turn}"), "x".repeat(2_000).into(), true);
        }
        story.world.run(50);
    }
    story.settle(SETTLE)?;
    Ok(story)
}

#[test]
fn a_newcomer_with_many_links_is_sent_nothing_twice() {
    for_each_seed(4, 100, |seed| {
        let mut story = writers(seed, 4, 150)?;
        let late = story.world.add();
        story.world.count_arrivals(late);
        story.ask_to_join(late, Role::Writer);
        story.settle(SETTLE)?;
        let arrivals = story.world.arrivals(late);
        println!(
            "{} links, {} entries, {} bytes, {} again",
            story.world.links(),
            arrivals.entries(),
            arrivals.bytes,
            arrivals.again
        );
        if arrivals.entries() < 600 || arrivals.again > 0 {
            return Err(format!("{} bytes of {} came twice", arrivals.again, arrivals.bytes));
        }
        story.check()
    });
}

/// One was away while much was written by someone who is gone since, and writes itself while it gets that from a third.
#[test]
fn who_writes_while_much_arrives_is_not_kept_waiting() {
    for_each_seed(12, 200, |seed| {
        let mut story = Story::joined(seed, 3)?;
        story.world.divide(|node| u64::from(node == 2));
        for turn in 0..800 {
            story.write(0, &format!("big/{turn}"), "x".repeat(2_000).into(), true);
            story.world.run(5);
        }
        story.world.run(10_000);
        story.crash(0);
        story.world.unite();
        story.world.connect(1, 2);
        let began = story.world.now();
        let arrives = |story: &mut Story| story.status_of_space(2, "arriving").unwrap_or_default();
        while story.status_of_space(2, "entries").unwrap_or_default() < 800 {
            let pause = story.world.dice.within((20, 400));
            story.world.run(pause);
            story.write_own(2);
            let took = story.world.now() - began;
            if took > 8_000 {
                let there = story.status_of_space(2, "entries");
                return Err(format!("after {took} ms {there:?} entries are there and {} coming", arrives(&mut story)));
            }
        }
        story.world.start(0);
        story.settle(SETTLE)?;
        story.check()
    });
}

/// Much of one author's comes from itself, faster than it can be stored.
#[test]
fn who_sends_faster_than_is_stored_waits() {
    for_each_seed(2, 20, |seed| {
        let mut story = Story::joined(seed, 2)?;
        story.crash(1);
        for turn in 0..500 {
            story.write(0, &format!("big/{turn}"), "x".repeat(60_000).into(), true);
            story.world.run(5);
        }
        story.world.run(10_000);
        let late = story.world.add();
        story.world.weather.commit = (300, 300);
        story.world.count_arrivals(late);
        story.ask_to_join(late, Role::Writer);
        let began = story.world.now();
        while story.world.arrivals(late).entries() < 500 && story.world.now() < began + 300_000 {
            story.world.run(1_000);
        }
        let status = story.world.ask_for(late, Request::Status, 10_000);
        let arrivals = story.world.arrivals(late);
        if arrivals.entries() < 500 || arrivals.again > 0 || format!("{status:?}").contains("inbox-full") {
            return Err(format!("{} entries, {} bytes again: {status:?}", arrivals.entries(), arrivals.again));
        }
        story.world.start(1);
        story.settle(SETTLE)?;
        story.check()
    });
}

/// Who sends waits for a word of what it has sent, also where none of it was news.
#[test]
fn what_came_already_is_confirmed_too() {
    let mut story = Story::joined(3, 3).unwrap();
    let mut member = Hostile::possess(&mut story, 2).unwrap();
    story.members.retain(|(node, _)| *node != 2);
    let now = story.world.now();
    (0..20).for_each(|n| member.write(&format!("n/{n}"), "text", now + n));
    let raws: Vec<Vec<u8>> = member.log.iter().map(|entry| entry.raw().to_vec()).collect();
    let raws: Vec<&[u8]> = raws.iter().map(Vec::as_slice).collect();
    member.greet(&mut story.world, 0);
    assert!(is_told(&mut story, &member, &raws), "it was news");
    assert!(is_told(&mut story, &member, &raws), "it was known");
    let mut stranger = Hostile::stranger(&mut story);
    stranger.write("n/0", "text", now);
    stranger.greet(&mut story.world, 0);
    let own = stranger.log[0].raw().to_vec();
    assert!(!is_told(&mut story, &stranger, &[&own]) && !is_told(&mut story, &stranger, &raws), "it is no member");
}

/// Whether peer 0 says what it has to who sends it these entries.
fn is_told(story: &mut Story, sender: &Hostile, raws: &[&[u8]]) -> bool {
    sender.push(&mut story.world, 0, raws);
    story.world.run(5_000);
    let heard: Vec<Frame> = std::iter::from_fn(|| story.world.heard(sender.node)).collect();
    heard.iter().any(|frame| matches!(frame, Frame::Have(..)))
}

#[test]
fn a_cut_link_costs_at_most_one_batch() {
    for_each_seed(4, 100, |seed| {
        let mut story = writers(seed, 4, 150)?;
        let late = story.world.add();
        story.world.count_arrivals(late);
        story.ask_to_join(late, Role::Writer);
        let mut cuts = 0;
        for _ in 0..40 {
            let pause = story.world.dice.within((10, 120));
            story.world.run(pause);
            let other = story.world.dice.below(4) as usize;
            if story.world.link_between(late, other).is_some() {
                story.world.cut_between(late, other);
                cuts += 1;
            }
        }
        story.settle(SETTLE)?;
        let arrivals = story.world.arrivals(late);
        println!("{cuts} cuts, {} entries, {} bytes, {} again", arrivals.entries(), arrivals.bytes, arrivals.again);
        if cuts < 1 || arrivals.again > cuts * BATCH {
            return Err(format!("{} bytes of {} came twice over {cuts} cuts", arrivals.again, arrivals.bytes));
        }
        story.check()
    });
}

#[test]
fn what_nobody_has_yet_is_sent_after_a_restart() {
    for_each_seed(4, 200, |seed| {
        let mut story = Story::joined(seed, 3)?;
        story.world.divide(|node| node as u64);
        story.world.run(6_000);
        let written: Vec<usize> = (0..20).map(|_| story.write_own(1)).collect();
        story.world.run(5_000);
        story.crash(1);
        story.world.start(1);
        for node in [0, 2] {
            story.world.count_arrivals(node);
        }
        story.world.unite();
        story.settle(SETTLE)?;
        for node in [0, 2] {
            let arrivals = story.world.arrivals(node);
            // Where a `have` crosses a `want`, what is on its way is asked for once more: a batch at most.
            if arrivals.entries() != written.len() || arrivals.again > BATCH {
                return Err(format!(
                    "peer {node} was sent {} entries, {} bytes again",
                    arrivals.entries(),
                    arrivals.again
                ));
            }
        }
        let status = story.world.ask_for(1, Request::Spaces, 10_000);
        if !format!("{status:?}").contains("\"pending\": Number(0)") {
            return Err(format!("not acknowledged: {status:?}"));
        }
        story.check()
    });
}

#[test]
fn who_was_here_last_is_sent_first() {
    for_each_seed(2, 50, |seed| {
        let mut crowd = Crowd::gather(seed, 100)?;
        let now = crowd.story.world.now();
        for (number, author) in crowd.authors.iter_mut().enumerate() {
            let text = "x".repeat(5_000);
            author.write("last", &text, now + 1_000 * (100 - number as u64));
        }
        let mut known: Vec<&Hostile> = crowd.authors.iter().collect();
        known.sort_by_key(|author| author.key.public());
        let entries: Vec<Verified> = known.iter().flat_map(|author| author.log.clone()).collect();
        crowd.bring(0, &entries);
        let story = &mut crowd.story;
        story.world.count_arrivals(1);
        story.world.unite();
        story.world.run(20_000);
        story.alike()?;
        let arrived: Vec<usize> = story
            .world
            .arrivals(1)
            .logs
            .iter()
            .filter_map(|log| crowd.authors.iter().position(|author| author.key.public() == *log))
            .collect();
        let sorted = arrived.windows(2).filter(|pair| pair[0] < pair[1]).count();
        if arrived.len() < 100 || sorted < 90 {
            return Err(format!("they came in the order {arrived:?}"));
        }
        Ok(())
    });
}

#[test]
fn dependencies_are_named_once_also_over_restarts() {
    for_each_seed(2, 50, |seed| {
        let mut story = Story::joined(seed, 6)?;
        for _ in 0..3 {
            for node in 0..6 {
                story.write_own(node);
                story.world.run(2_000);
            }
        }
        story.settle(SETTLE)?;
        story.write_own(1);
        story.world.run(2_000);
        story.crash(1);
        story.world.start(1);
        story.world.run(10_000);
        story.world.count_arrivals(0);
        story.write_own(1);
        story.settle(SETTLE)?;
        let arrivals = story.world.arrivals(0);
        if arrivals.entries() != 1 || arrivals.deps > 0 {
            return Err(format!("{} dependencies named again", arrivals.deps));
        }
        story.write_own(2);
        story.settle(SETTLE)?;
        let before = story.world.arrivals(0).deps;
        story.crash(1);
        story.write_own(3);
        story.world.run(10_000);
        story.world.start(1);
        story.settle(SETTLE)?;
        story.world.count_arrivals(0);
        story.write_own(1);
        story.settle(SETTLE)?;
        let named = story.world.arrivals(0).deps;
        if before == 0 || named == 0 {
            return Err(format!("{before} and {named} dependencies were named"));
        }
        story.check()
    });
}

#[test]
fn any_two_sets_of_logs_become_the_same_and_nothing_is_sent_twice() {
    for_each_seed(12, 400, |seed| {
        let authors = [0, 5, 30, 33, 60, 150][seed as usize % 6];
        let mut gathered = Crowd::gather(seed, authors)?;
        let Crowd { story, authors: crowd, .. } = &mut gathered;
        let now = story.world.now();
        let (mut known, mut missing) = ([Vec::new(), Vec::new()], 0);
        for (number, author) in crowd.iter_mut().enumerate() {
            for n in 0..story.world.dice.below(4) {
                author.write(&format!("more/{number}/{n}"), "more", now);
            }
            let len = author.log.len() as u64;
            let parts = [0, 1].map(|_| match story.world.dice.below(4) {
                0 => 0,
                1 => 2 + story.world.dice.below(len - 1),
                _ => len,
            });
            missing += parts[0].abs_diff(parts[1]);
            for (known, part) in known.iter_mut().zip(parts) {
                known.extend(author.log.iter().take(part as usize).cloned());
            }
        }
        for node in [0, 1] {
            gathered.bring(node, &known[node]);
            gathered.story.world.count_arrivals(node);
        }
        let story = &mut gathered.story;
        story.world.unite();
        story.world.run(20_000);
        story.alike()?;
        let arrived = [story.world.arrivals(0), story.world.arrivals(1)];
        let entries = arrived[0].entries() + arrived[1].entries();
        if entries as u64 != missing || arrived[0].again + arrived[1].again > 0 {
            return Err(format!("{missing} entries were missing, {entries} were sent: {arrived:?}"));
        }
        Ok(())
    });
}
