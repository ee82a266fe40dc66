//! What pages promise beyond the contract of a store: the model under chance, damage, memory, and what costs nothing.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::executor::block_on;
use futures::future::join_all;
use kith_core::rows::{Batch, Durability, KeyRange, Read, Rows, Table};
use kith_store::paged::PageSizes;
use kith_store::{MemoryStore, Paged, ROW_OVERHEAD, Store, StoreError, Usage};
use proptest::prelude::*;

const AMPLE: u64 = 1 << 30;

fn get(key: &[u8]) -> Read {
    Read::Get { table: Table::View, key: key.to_vec() }
}

fn all(table: Table) -> Read {
    Read::Scan { table, range: KeyRange { start: vec![], end: vec![0xff; 40] }, limit: usize::MAX, reverse: false }
}

fn puts(rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Batch {
    let puts = rows.into_iter().map(|(key, value)| (Table::View, key, value)).collect();
    Batch { puts, ..Batch::default() }
}

fn number(n: u32) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

fn bytes_below(store: &MemoryStore) -> u64 {
    let answers = block_on(store.read(Table::ALL.map(all).to_vec())).unwrap();
    answers.iter().flatten().map(|(key, value)| (key.len() + value.len()) as u64 + ROW_OVERHEAD).sum()
}

// Chance.

#[derive(Clone, Debug)]
enum Step {
    /// Batches given one after the other without waiting; of some, the store below refuses what they become part of.
    Commit(Vec<Batch>, Option<u8>),
    Read(Vec<Read>),
    Reopen,
    Wipe,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(0u8..3, 0..4),
        (0u32..300).prop_map(|n| [b"records/", number(n).as_slice()].concat()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![50 => 0usize..60, 20 => 60usize..400, 10 => 400usize..6_000, 1 => Just(1usize << 20)];
    (size, any::<u8>()).prop_map(|(size, byte)| (0..size).map(|at| byte.wrapping_add(at as u8)).collect())
}

fn table() -> impl Strategy<Value = Table> {
    prop_oneof![6 => Just(Table::View), 1 => Just(Table::Head)]
}

fn range() -> impl Strategy<Value = KeyRange> {
    (key(), key()).prop_map(|(start, end)| KeyRange { start, end })
}

fn batch() -> impl Strategy<Value = Batch> {
    (
        proptest::collection::vec((table(), range()), 0..2),
        proptest::collection::vec((table(), key()), 0..6),
        proptest::collection::vec((table(), key(), value()), 0..25),
        prop_oneof![Just(Durability::Relaxed), Just(Durability::Strict)],
    )
        .prop_map(|(delete_ranges, deletes, puts, durability)| Batch { delete_ranges, deletes, puts, durability })
}

fn read() -> impl Strategy<Value = Read> {
    prop_oneof![
        (table(), key()).prop_map(|(table, key)| Read::Get { table, key }),
        (table(), range(), prop_oneof![0usize..5, Just(100), Just(usize::MAX)], any::<bool>())
            .prop_map(|(table, range, limit, reverse)| Read::Scan { table, range, limit, reverse }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (proptest::collection::vec(batch(), 1..4), proptest::option::weighted(0.15, any::<u8>()))
            .prop_map(|(batches, fault)| Step::Commit(batches, fault)),
        8 => proptest::collection::vec(read(), 0..8).prop_map(Step::Read),
        2 => Just(Step::Reopen),
        1 => Just(Step::Wipe),
    ]
}

fn run(steps: Vec<Step>, sizes: PageSizes) -> Result<(), TestCaseError> {
    let below = MemoryStore::new(AMPLE);
    let model = MemoryStore::new(AMPLE);
    let mut store = Paged::with_sizes(below.clone(), sizes);
    for step in steps {
        match step {
            Step::Commit(batches, fault) => {
                if let Some(fault) = fault {
                    let error = if fault % 2 == 0 { StoreError::Full } else { StoreError::Backend("fault".into()) };
                    below.fail_next([error]);
                }
                let commits: Vec<_> = batches.iter().cloned().map(|batch| store.commit(batch)).collect();
                for (batch, outcome) in batches.into_iter().zip(block_on(join_all(commits))) {
                    if outcome.is_ok() {
                        block_on(model.commit(batch)).unwrap();
                    }
                }
                // What no batch met must not meet a later step.
                let _ = block_on(below.commit(Batch::default()));
            }
            Step::Read(reads) => {
                let found = block_on(store.read(reads.clone())).unwrap();
                prop_assert!(found == block_on(model.read(reads)).unwrap(), "other rows");
            }
            Step::Reopen => store = Paged::with_sizes(below.clone(), sizes),
            Step::Wipe => {
                block_on(store.wipe()).unwrap();
                block_on(model.wipe()).unwrap();
            }
        }
        prop_assert!(store.cached_bytes() <= sizes.cache, "too much at hand");
        prop_assert_eq!(block_on(store.usage()).unwrap().bytes, bytes_below(&below));
    }
    let everything = Table::ALL.map(all).to_vec();
    prop_assert_eq!(block_on(store.read(everything.clone())).unwrap(), block_on(model.read(everything)).unwrap());
    let range = KeyRange { start: vec![], end: vec![0xff; 40] };
    let clear = Batch { delete_ranges: Table::ALL.map(|table| (table, range.clone())).to_vec(), ..Batch::default() };
    block_on(store.commit(clear)).unwrap();
    prop_assert_eq!(block_on(store.usage()).unwrap().bytes, 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pages_answer_as_rows_do(steps in proptest::collection::vec(step(), 1..25)) {
        run(steps, PageSizes::default())?;
    }

    #[test]
    fn small_pages_and_a_small_cache_answer_as_rows_do(
        steps in proptest::collection::vec(step(), 1..25),
        page in 64usize..600,
        cache in 0usize..4_000,
    ) {
        run(steps, PageSizes { page, cache })?;
    }
}

// What costs nothing.

/// A store whose commits can be held up, and which counts what it is asked.
#[derive(Clone, Default)]
struct Counting {
    below: MemoryStore,
    reads: Rc<Cell<usize>>,
    commits: Rc<RefCell<Vec<Batch>>>,
    held: Rc<RefCell<VecDeque<oneshot::Receiver<()>>>>,
}

impl Counting {
    /// The next commit waits until the sender is used.
    fn hold(&self) -> oneshot::Sender<()> {
        let (go, held) = oneshot::channel();
        self.held.borrow_mut().push_back(held);
        go
    }
}

impl Store for Counting {
    fn read(&self, reads: Vec<Read>) -> impl Future<Output = Result<Vec<Rows>, StoreError>> {
        self.reads.set(self.reads.get() + 1);
        self.below.read(reads)
    }
    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), StoreError>> {
        self.commits.borrow_mut().push(batch.clone());
        let held = self.held.borrow_mut().pop_front();
        async move {
            if let Some(held) = held {
                held.await.unwrap();
            }
            self.below.commit(batch).await
        }
    }
    fn usage(&self) -> impl Future<Output = Result<Usage, StoreError>> {
        self.below.usage()
    }
    fn wipe(&self) -> impl Future<Output = Result<(), StoreError>> {
        self.below.wipe()
    }
    fn close(&self) -> impl Future<Output = ()> {
        self.below.close()
    }
    fn is_open(&self) -> bool {
        self.below.is_open()
    }
}

#[test]
fn what_is_at_hand_costs_no_read_and_waits_for_no_commit() {
    let below = Counting::default();
    let store = Paged::new(below.clone());
    block_on(store.commit(puts((0..50).map(|n| (number(n), vec![1; 30]))))).unwrap();
    let reads = below.reads.get();
    let go = below.hold();
    let writing = store.commit(puts([(number(7), b"new".to_vec()), (number(1_000), b"new".to_vec())]));
    let found =
        store.read(vec![get(&number(7)), get(&number(1_000))]).now_or_never().expect("the read waited").unwrap();
    assert_eq!(found, [vec![(number(7), vec![1; 30])], vec![]], "a read saw what is not committed");
    go.send(()).unwrap();
    block_on(writing).unwrap();
    let found = store.read(vec![get(&number(7)), all(Table::View)]).now_or_never().expect("the read waited").unwrap();
    assert_eq!(found[0], [(number(7), b"new".to_vec())]);
    assert_eq!(found[1].len(), 51);
    assert_eq!(below.reads.get(), reads, "what was at hand was read from the store");
}

#[test]
fn what_comes_while_one_commits_goes_together() {
    let below = Counting::default();
    let store = Paged::new(below.clone());
    block_on(store.commit(puts([(number(0), vec![])]))).unwrap();
    let go = below.hold();
    let first = store.commit(puts([(number(1), vec![])]));
    let mut later: Vec<_> = (2..40).map(|n| store.commit(puts([(number(n), vec![n as u8])]))).collect();
    later.push(store.commit(Batch { durability: Durability::Strict, ..puts([(number(40), vec![])]) }));
    assert_eq!(below.commits.borrow().len(), 2, "something was written before its turn");
    go.send(()).unwrap();
    block_on(join_all(later)).into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    block_on(first).unwrap();
    let commits = below.commits.borrow();
    assert_eq!(commits.len(), 3, "what waited did not go together");
    assert_eq!(
        (commits[2].puts.len(), commits[2].durability),
        (1, Durability::Strict),
        "one page, as sure as the surest"
    );
}

#[test]
fn rows_that_come_in_order_fill_their_pages() {
    let below = Counting::default();
    let store = Paged::new(below.clone());
    for from in (0..20_000u32).step_by(1_000) {
        let rows = (from..from + 1_000).map(|n| (number(n), vec![n as u8; 60]));
        block_on(store.commit(puts(rows))).unwrap();
    }
    let reads = below.reads.get();
    assert_eq!(reads, 1, "to add at the end, the end was read again and again");
    let pages = block_on(below.below.read(vec![all(Table::View)])).unwrap().remove(0);
    let full = pages.iter().filter(|(_, page)| page.len() > 8_000).count();
    assert!(full + 1 >= pages.len(), "{full} of {} pages are full", pages.len());
}

#[test]
fn small_pages_are_joined() {
    let below = MemoryStore::new(AMPLE);
    let store = Paged::new(below.clone());
    block_on(store.commit(puts((0..10_000).map(|n| (number(n), vec![0; 90]))))).unwrap();
    let pages = |below: &MemoryStore| block_on(below.read(vec![all(Table::View)])).unwrap()[0].len();
    assert!(pages(&below) > 80);
    for n in (0..10_000).filter(|n| n % 100 != 0) {
        block_on(store.commit(Batch { deletes: vec![(Table::View, number(n))], ..Batch::default() })).unwrap();
    }
    assert!(pages(&below) < 12, "100 rows in {} pages", pages(&below));
    assert_eq!(block_on(store.read(vec![all(Table::View)])).unwrap()[0].len(), 100);
}

#[test]
fn a_large_value_is_not_written_with_its_neighbours() {
    let below = Counting::default();
    let store = Paged::new(below.clone());
    block_on(store.commit(puts([(number(1), vec![7; 1 << 20]), (number(2), vec![])]))).unwrap();
    block_on(store.commit(puts([(number(0), b"beside".to_vec())]))).unwrap();
    let written = below.commits.borrow().last().unwrap().bytes();
    assert!(written < 200, "{written} bytes were written");
}

#[test]
fn memory_does_not_grow_with_the_rows() {
    let below = MemoryStore::new(AMPLE);
    let sizes = PageSizes { page: 2_000, cache: 50_000 };
    let store = Paged::with_sizes(below.clone(), sizes);
    for from in (0..30_000u32).step_by(500) {
        block_on(store.commit(puts((from..from + 500).map(|n| (number(n), vec![n as u8; 40]))))).unwrap();
        assert!(store.cached_bytes() <= sizes.cache);
    }
    assert_eq!(block_on(store.read(vec![all(Table::View)])).unwrap()[0].len(), 30_000);
    assert!(store.cached_bytes() <= sizes.cache);
    let gets = (0..30_000).map(|n| get(&number(n * 7_919 % 30_000))).collect();
    assert!(block_on(store.read(gets)).unwrap().iter().all(|rows| rows.len() == 1));
    assert!(store.cached_bytes() <= sizes.cache);
}

// Damage.

#[test]
fn damage_is_told_and_what_lies_beside_it_is_read() {
    let below = MemoryStore::new(AMPLE);
    block_on(Paged::new(below.clone()).commit(puts((0..1_000).map(|n| (number(n), vec![n as u8; 60]))))).unwrap();
    let pages = block_on(below.read(vec![all(Table::View)])).unwrap().remove(0);
    let (key, mut page) = pages[3].clone();
    page[100] ^= 4;
    block_on(below.commit(Batch { puts: vec![(Table::View, key.clone(), page)], ..Batch::default() })).unwrap();
    let first = u32::from_be_bytes(key[1..5].try_into().unwrap());

    let store = Paged::new(below.clone());
    let error = block_on(store.read(vec![get(&number(first + 1))])).unwrap_err();
    let StoreError::Corrupt(words) = &error else { panic!("{error:?}") };
    assert!(words.contains("view") && words.contains(&format!("{first:08x}")), "{words}");
    assert!(matches!(block_on(store.read(vec![all(Table::View)])), Err(StoreError::Corrupt(_))));
    let beside = block_on(store.read(vec![get(&number(first - 1)), get(&number(999))])).unwrap();
    assert!(beside.iter().all(|rows| rows.len() == 1));
    let write = block_on(store.commit(puts([(number(first + 2), vec![])])));
    assert!(matches!(write, Err(StoreError::Corrupt(_))), "{write:?}");
    block_on(store.commit(puts([(number(5), b"fine".to_vec())]))).unwrap();
    assert_eq!(block_on(store.read(vec![get(&number(5))])).unwrap()[0][0].1, b"fine");
}

#[test]
fn a_damaged_or_missing_large_value_is_told() {
    let below = MemoryStore::new(AMPLE);
    block_on(Paged::new(below.clone()).commit(puts([(number(1), vec![7; 100_000])]))).unwrap();
    let (key, mut value) = block_on(below.read(vec![all(Table::View)])).unwrap().remove(0).pop().unwrap();
    value[50_000] ^= 1;
    for change in [
        Batch { puts: vec![(Table::View, key.clone(), value)], ..Batch::default() },
        Batch { deletes: vec![(Table::View, key)], ..Batch::default() },
    ] {
        block_on(below.commit(change)).unwrap();
        let found = block_on(Paged::new(below.clone()).read(vec![get(&number(1))]));
        assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
    }
    // What is written anew is whole again.
    let store = Paged::new(below.clone());
    block_on(store.commit(puts([(number(1), vec![8; 100_000])]))).unwrap();
    assert_eq!(block_on(store.read(vec![get(&number(1))])).unwrap()[0][0].1, vec![8; 100_000]);
}
