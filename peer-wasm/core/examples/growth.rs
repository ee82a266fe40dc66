//! How much a space takes in which the same values are written for a year, and what a newcomer is sent of it.
//!
//! `cargo run --release -p kith-core --features sim --example growth -- [DAYS] [WRITES A DAY]`

#![allow(clippy::expect_used, reason = "a measurement may stop at once")]

use kith_core::api::{Reply, Request};
use kith_core::document::policy::Policy;
use kith_core::path::Path;
use kith_core::rows::{KeyRange, Table};
use kith_core::sim::{NodeId, Story};
use serde_json::json;

const DAY: u64 = 24 * 3_600_000;
const SETTLE: u64 = 900_000;

/// Bytes of all rows of a peer.
fn bytes(story: &Story, node: NodeId) -> usize {
    let all = KeyRange { start: Vec::new(), end: vec![0xff; 64] };
    let disk = story.world.nodes.get(node).map(|node| &node.disk).expect("a peer");
    let rows = Table::ALL.into_iter().flat_map(|table| disk.all(table, all.clone()));
    rows.map(|(key, value)| key.len() + value.len()).sum()
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let (days, writes) = (arguments.next().unwrap_or(365), arguments.next().unwrap_or(96));
    let mut story = Story::joined(1, 3).expect("a space with three members");
    let policy = json!({ "kind": "lww", "retention": { "history": "1d" } });
    let policy = Some(Policy::read(&policy).expect("a policy"));
    let request = Request::SetPolicy { space: story.space_ref(), prefix: Path::root(), policy };
    let set = story.world.ask_for(0, request, 60_000);
    assert!(matches!(set, Some(Reply::Written { .. })), "{set:?}");
    let mut written = 0;
    for day in 1..=days {
        let began = story.world.now();
        for turn in 0..writes {
            for node in 0..3 {
                story.write(node, &format!("meter/{node}"), json!({ "value": turn * day, "unit": "kWh" }), false);
                written += 1;
            }
            story.world.run(5_000);
        }
        story.settle(SETTLE).expect("all agree");
        story.world.run(2 * 3_600_000);
        // The night.
        for node in 0..3 {
            story.crash(node);
        }
        story.world.run(DAY.saturating_sub(story.world.now() - began));
        for node in 0..3 {
            story.world.start(node);
        }
        if day % 30 == 5 || day == days {
            let entries: Vec<usize> = (0..3).map(|node| story.stored(node)).collect();
            let kept: Vec<usize> = (0..3).map(|node| bytes(&story, node) >> 10).collect();
            println!("day {day}: {written} writes; entries {entries:?}, KiB of rows {kept:?}");
        }
    }
    let late = story.newcomer();
    story.world.count_arrivals(late);
    story.settle(SETTLE).expect("all agree");
    let came = story.world.arrivals(late);
    println!("a newcomer is sent {} entries, {} KiB", came.entries(), came.bytes >> 10);
}
