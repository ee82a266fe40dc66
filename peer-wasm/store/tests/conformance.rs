//! The conformance suite on the backends of native programs: each case is one test on memory, one on redb, and one on each
//! with pages on top.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

use futures::executor::block_on;
use kith_store::conformance::{Case, Factory, Layouts, PlantedRow, cases, layout_cases};
use kith_store::paged::PageSizes;
use kith_store::schema::Step;
use kith_store::{MemoryStore, Paged, RedbStore, Store, StoreError};
use redb::{Database, TableDefinition};

#[derive(Default)]
struct Memory {
    stores: RefCell<HashMap<String, MemoryStore>>,
}

impl Factory for Memory {
    type Store = MemoryStore;

    async fn open(&self, name: &str, budget: u64) -> Result<MemoryStore, StoreError> {
        let mut stores = self.stores.borrow_mut();
        Ok(stores.entry(name.to_owned()).or_insert_with(|| MemoryStore::new(budget)).reopen(budget))
    }

    async fn second(&self, _: &MemoryStore, name: &str, budget: u64) -> Result<MemoryStore, StoreError> {
        self.open(name, budget).await
    }
}

struct Redb {
    folder: tempfile::TempDir,
}

impl Redb {
    fn new() -> Redb {
        Redb { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.redb"))
    }
}

impl Factory for Redb {
    type Store = RedbStore;

    async fn open(&self, name: &str, budget: u64) -> Result<RedbStore, StoreError> {
        RedbStore::open(self.path(name), budget)
    }

    async fn second(&self, store: &RedbStore, _: &str, _: u64) -> Result<RedbStore, StoreError> {
        Ok(store.clone())
    }
}

/// Another factory's stores with pages on top. A database opened twice is one store: only one may write below.
struct Packed<F: Factory> {
    below: F,
    sizes: PageSizes,
}

/// Small enough that the cases need many pages, and that they do not all stay at hand.
const SMALL: PageSizes = PageSizes { page: 300, cache: 2_000 };

impl<F: Factory + Default> Packed<F> {
    fn new(sizes: PageSizes) -> Packed<F> {
        Packed { below: F::default(), sizes }
    }
}

impl<F: Factory> Factory for Packed<F>
where
    F::Store: 'static,
{
    type Store = Paged<F::Store>;

    const PACKS: bool = true;

    async fn open(&self, name: &str, budget: u64) -> Result<Self::Store, StoreError> {
        Ok(Paged::with_sizes(self.below.open(name, budget).await?, self.sizes))
    }

    async fn second(&self, store: &Self::Store, _: &str, _: u64) -> Result<Self::Store, StoreError> {
        Ok(store.clone())
    }
}

impl Default for Redb {
    fn default() -> Redb {
        Redb::new()
    }
}

impl Layouts for Packed<Redb> {
    async fn plant(&self, name: &str, layout: u32, tables: &[&str], rows: &[PlantedRow<'_>]) -> Result<(), StoreError> {
        let database = Database::create(self.below.path(name)).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(TableDefinition::<(), u32>::new("_layout")).unwrap().insert((), layout).unwrap();
        for table in tables {
            let mut open = write.open_table(TableDefinition::<&[u8], &[u8]>::new(table)).unwrap();
            for (_, key, value) in rows.iter().filter(|(of, _, _)| of == table) {
                open.insert(*key, *value).unwrap();
            }
        }
        write.commit().unwrap();
        Ok(())
    }

    async fn open_as(&self, name: &str, budget: u64, steps: &'static [Step]) -> Result<Self::Store, StoreError> {
        Ok(Paged::new(RedbStore::open_as(self.below.path(name), budget, steps)?))
    }
}

fn run<F: Factory>(cases: Vec<Case<F>>, name: &str, factory: &F) {
    let (_, case) = cases.into_iter().find(|(of, _)| *of == name).expect("no such case");
    block_on(case(factory)).unwrap();
}

macro_rules! suite {
    (any: $($any:ident)* ; layouts: $($layout:ident)*) => {
        mod memory {
            $(#[test] fn $any() { super::run(super::cases(), stringify!($any), &super::Memory::default()); })*
        }
        mod redb_file {
            $(#[test] fn $any() { super::run(super::cases(), stringify!($any), &super::Redb::new()); })*
        }
        mod pages_in_memory {
            $(#[test] fn $any() {
                super::run(super::cases(), stringify!($any), &super::Packed::<super::Memory>::new(super::PageSizes::default()));
            })*
        }
        mod small_pages_in_memory {
            $(#[test] fn $any() {
                super::run(super::cases(), stringify!($any), &super::Packed::<super::Memory>::new(super::SMALL));
            })*
        }
        mod pages_in_redb {
            use super::{PageSizes, Packed, Redb};
            $(#[test] fn $any() { super::run(super::cases(), stringify!($any), &Packed::<Redb>::new(PageSizes::default())); })*
            $(#[test] fn $layout() {
                super::run(super::layout_cases(), stringify!($layout), &Packed::<Redb>::new(PageSizes::default()));
            })*
        }
        #[test]
        fn no_case_is_left_out() {
            let names: Vec<_> = cases::<Memory>().iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($any)),*]);
            let names: Vec<_> = layout_cases::<Packed<Redb>>().iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($layout)),*]);
        }
    };
}

suite! {
    any:
        a_new_store_is_empty
        a_row_is_read_as_written
        tables_are_apart
        later_puts_win_within_a_batch
        deletes_come_before_puts
        range_deletes_come_before_deletes_and_puts
        scans_are_ordered_and_half_open
        scans_are_limited_and_reversed
        binary_keys_sort_as_bytes
        empty_ranges_and_batches_do_nothing
        empty_values_are_values
        a_value_of_a_mebibyte_comes_back
        ten_thousand_rows_page_both_ways
        answers_come_in_the_order_of_the_questions
        reads_of_one_call_are_one_snapshot
        commits_take_effect_in_call_order
        a_dropped_commit_still_happens
        a_read_after_a_commit_sees_it
        reopen_sees_last_commit
        two_handles_see_one_database
        a_large_batch_is_one
        random_batches_match_the_model
        a_wipe_takes_its_place_in_line
        a_closed_store_says_so
        rows_in_any_order_are_found
        large_values_come_and_go
        ranges_are_emptied_across_pages
        a_row_grows_and_shrinks
        two_tables_are_one_snapshot
        reads_do_not_see_what_fails
        commit_is_all_or_nothing
        full_leaves_nothing_half_written
        full_refuses_one_and_takes_the_rest
        a_full_store_still_reads_and_deletes
        usage_follows_writes_and_deletes
        usage_survives_reopen
        rewriting_a_row_counts_once
        an_overload_is_refused_not_lost ;
    layouts:
        the_first_layout_is_upgraded_and_keeps_its_rows
        single_rows_are_packed_into_pages
        rows_are_rewritten_by_a_step
        the_layout_before_is_upgraded_and_is_closed_to_who_left_it
        a_newer_layout_is_refused_in_plain_words
}

#[test]
fn a_file_opened_twice_is_blocked_until_let_go() {
    let redb = Redb::new();
    let first = RedbStore::open(redb.path("twice"), 1_000_000).unwrap();
    assert!(matches!(RedbStore::open(redb.path("twice"), 1_000_000), Err(StoreError::Blocked)));
    drop(first);
    RedbStore::open(redb.path("twice"), 1_000_000).unwrap();
}

#[test]
fn futures_of_native_stores_can_move_between_threads() {
    fn sendable<T: Send>(value: T) -> T {
        value
    }
    let redb = Redb::new();
    let file = RedbStore::open(redb.path("send"), 1_000_000).unwrap();
    let memory = MemoryStore::default();
    block_on(sendable(file.commit(kith_core::rows::Batch::default()))).unwrap();
    block_on(sendable(file.read(Vec::new()))).unwrap();
    block_on(sendable(memory.commit(kith_core::rows::Batch::default()))).unwrap();
}

#[test]
fn memory_fails_when_told() {
    let store = MemoryStore::default();
    store.fail_next([StoreError::Full, StoreError::Backend("disk".into())]);
    let batch = kith_core::rows::Batch {
        puts: vec![(kith_core::rows::Table::View, b"k".to_vec(), b"v".to_vec())],
        ..kith_core::rows::Batch::default()
    };
    assert_eq!(block_on(store.commit(batch.clone())), Err(StoreError::Full));
    assert_eq!(block_on(store.commit(batch.clone())), Err(StoreError::Backend("disk".into())));
    assert_eq!(block_on(store.usage()).unwrap().bytes, 0);
    assert_eq!(block_on(store.commit(batch)), Ok(()));
}
