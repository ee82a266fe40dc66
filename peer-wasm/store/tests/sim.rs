//! Simulated peers whose rows lie in pages: through storms and crashes they become alike, keep every promise, and are told
//! by their pages just what a simulated disk would tell.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::Cell;
use std::rc::Rc;

use futures::executor::block_on;
use kith_core::api::Role;
use kith_core::rows::{Batch, KeyRange, Read, Rows, Table};
use kith_core::sim::{Shadow, Story, Weather};
use kith_store::paged::PageSizes;
use kith_store::{MemoryStore, Paged, Store};

/// Small, so that the few rows of a simulation need many pages that do not all stay at hand.
const SIZES: PageSizes = PageSizes { page: 400, cache: 4_000 };
/// How long peers may take to become alike once everything works again, in milliseconds of virtual time.
const SETTLE: u64 = 900_000;

struct Pages {
    below: MemoryStore,
    store: Paged<MemoryStore>,
    restarts: Rc<Cell<u32>>,
}

impl Shadow for Pages {
    fn commit(&self, batch: &Batch) {
        block_on(self.store.commit(batch.clone())).unwrap();
    }

    fn read(&self, reads: &[Read]) -> Vec<Rows> {
        block_on(self.store.read(reads.to_vec())).unwrap()
    }

    fn restart(&mut self) {
        self.restarts.set(self.restarts.get() + 1);
        self.store = Paged::with_sizes(self.below.clone(), SIZES);
    }
}

fn everything() -> Vec<Read> {
    let range = KeyRange { start: vec![], end: vec![0xff; 8] };
    Table::ALL.map(|table| Read::Scan { table, range: range.clone(), limit: usize::MAX, reverse: false }).to_vec()
}

/// Lays pages under every peer, with the rows it has.
fn lay(story: &mut Story) -> Rc<Cell<u32>> {
    let restarts = Rc::new(Cell::new(0));
    for node in &mut story.world.nodes {
        let below = MemoryStore::default();
        let store = Paged::with_sizes(below.clone(), SIZES);
        let rows = everything().iter().map(|read| node.disk.read(read)).collect::<Vec<_>>();
        let puts = Table::ALL.into_iter().zip(rows);
        let puts =
            puts.flat_map(|(table, rows)| rows.into_iter().map(move |(key, value)| (table, key, value))).collect();
        block_on(store.commit(Batch { puts, ..Batch::default() })).unwrap();
        node.shadow = Some(Box::new(Pages { below, store, restarts: restarts.clone() }));
    }
    restarts
}

#[test]
fn peers_on_pages_become_alike_after_storms_partitions_and_crashes() {
    let mut restarts = 0;
    for seed in 1..=6 {
        let mut story = Story::begin(seed, 4).unwrap();
        let counted = lay(&mut story);
        story.world.weather = Weather::STORM;
        for node in 1..4 {
            story.ask_to_join(node, Role::Writer);
        }
        for _ in 0..80 {
            story.adventure();
        }
        story.calm();
        for (node, role) in story.members.clone().into_iter().skip(1) {
            story.ask_to_join(node, role);
        }
        story.settle(SETTLE).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        story.ask_again();
        story.settle(SETTLE).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        story.check().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        for (number, node) in story.world.nodes.iter().enumerate() {
            let on_disk: Vec<Rows> = everything().iter().map(|read| node.disk.read(read)).collect();
            let in_pages = node.shadow.as_ref().unwrap().read(&everything());
            assert!(on_disk == in_pages, "seed {seed}: the pages of peer {number} hold other rows than its disk");
        }
        restarts += counted.get();
    }
    assert!(restarts > 5, "only {restarts} restarts: this says nothing about crashes");
}
