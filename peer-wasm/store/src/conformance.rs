//! The one suite that every backend passes: each case of the [`Store`] contract as a function.
//!
//! A case gives `Err` with a sentence instead of panicking, so that a browser can run them all in one instance.
//! Natively each case is one test; in browsers each is one line of the report.

mod basics;
mod layouts;
mod limits;
mod order;
mod pages;

use std::future::Future;

use futures::future::LocalBoxFuture;
use kith_core::rows::{Batch, Durability, KeyRange, Read, Rows, Table};

use crate::schema::Step;
use crate::{Store, StoreError};

/// What a case found: nothing wrong, or what is wrong.
pub type Verdict = Result<(), String>;

/// A case of the suite, with its name.
pub type Case<F> = (&'static str, for<'a> fn(&'a F) -> LocalBoxFuture<'a, Verdict>);

/// Makes the stores that the cases try.
pub trait Factory {
    /// The backend under test.
    type Store: Store;

    /// Whether the store packs rows, so that it counts other bytes than those of the rows.
    const PACKS: bool = false;

    /// Opens the database `name`, new or as it was left. Every case uses names of its own.
    fn open(&self, name: &str, budget: u64) -> impl Future<Output = Result<Self::Store, StoreError>>;

    /// A second handle of a database that `store` has open, as far apart from it as the backend allows.
    fn second(
        &self,
        store: &Self::Store,
        name: &str,
        budget: u64,
    ) -> impl Future<Output = Result<Self::Store, StoreError>>;
}

/// A row of a table by name, as a database of another release has it.
pub type PlantedRow<'a> = (&'a str, &'a [u8], &'a [u8]);

/// Makes databases of other layouts.
pub trait Layouts: Factory {
    /// Writes the database `name` as a release with this layout left it, without the code under test.
    fn plant(
        &self,
        name: &str,
        layout: u32,
        tables: &[&str],
        rows: &[PlantedRow<'_>],
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// Opens the database `name` as a release with these steps does.
    fn open_as(
        &self,
        name: &str,
        budget: u64,
        steps: &'static [Step],
    ) -> impl Future<Output = Result<Self::Store, StoreError>>;
}

macro_rules! list {
    ($($module:ident :: $case:ident),* $(,)?) => {
        vec![$((stringify!($case), |factory| Box::pin($module::$case(factory)))),*]
    };
}

/// Every case for any backend.
pub fn cases<F: Factory>() -> Vec<Case<F>> {
    list![
        basics::a_new_store_is_empty,
        basics::a_row_is_read_as_written,
        basics::tables_are_apart,
        basics::later_puts_win_within_a_batch,
        basics::deletes_come_before_puts,
        basics::range_deletes_come_before_deletes_and_puts,
        basics::scans_are_ordered_and_half_open,
        basics::scans_are_limited_and_reversed,
        basics::binary_keys_sort_as_bytes,
        basics::empty_ranges_and_batches_do_nothing,
        basics::empty_values_are_values,
        basics::a_value_of_a_mebibyte_comes_back,
        basics::ten_thousand_rows_page_both_ways,
        basics::answers_come_in_the_order_of_the_questions,
        order::reads_of_one_call_are_one_snapshot,
        order::commits_take_effect_in_call_order,
        order::a_dropped_commit_still_happens,
        order::a_read_after_a_commit_sees_it,
        order::reopen_sees_last_commit,
        order::two_handles_see_one_database,
        order::a_large_batch_is_one,
        order::random_batches_match_the_model,
        order::a_wipe_takes_its_place_in_line,
        order::a_closed_store_says_so,
        pages::rows_in_any_order_are_found,
        pages::large_values_come_and_go,
        pages::ranges_are_emptied_across_pages,
        pages::a_row_grows_and_shrinks,
        pages::two_tables_are_one_snapshot,
        pages::reads_do_not_see_what_fails,
        limits::commit_is_all_or_nothing,
        limits::full_leaves_nothing_half_written,
        limits::full_refuses_one_and_takes_the_rest,
        limits::a_full_store_still_reads_and_deletes,
        limits::usage_follows_writes_and_deletes,
        limits::usage_survives_reopen,
        limits::rewriting_a_row_counts_once,
        limits::an_overload_is_refused_not_lost,
    ]
}

/// Every case for a backend with layouts.
pub fn layout_cases<F: Layouts>() -> Vec<Case<F>> {
    list![
        layouts::the_first_layout_is_upgraded_and_keeps_its_rows,
        layouts::single_rows_are_packed_into_pages,
        layouts::rows_are_rewritten_by_a_step,
        layouts::the_layout_before_is_upgraded_and_is_closed_to_who_left_it,
        layouts::a_newer_layout_is_refused_in_plain_words,
    ]
}

/// Ends a case with a sentence when something is not so.
macro_rules! check {
    ($so:expr, $($words:tt)+) => {
        if !$so {
            return Err(format!($($words)+));
        }
    };
}
use check;

/// What packs may count for beyond their rows in cases that leave few rows: a few headers, and values kept apart.
const PAGE_OVERHEAD: u64 = 600;

/// A budget that no case reaches by accident.
const AMPLE: u64 = 256 * 1024 * 1024;

fn words(error: StoreError) -> String {
    format!("unexpected error: {error}")
}

async fn opened<F: Factory>(factory: &F, name: &str) -> Result<F::Store, String> {
    factory.open(name, AMPLE).await.map_err(words)
}

fn put(table: Table, key: &[u8], value: &[u8]) -> (Table, Vec<u8>, Vec<u8>) {
    (table, key.to_vec(), value.to_vec())
}

fn puts(puts: Vec<(Table, Vec<u8>, Vec<u8>)>) -> Batch {
    Batch { puts, ..Batch::default() }
}

fn strict(puts: Vec<(Table, Vec<u8>, Vec<u8>)>) -> Batch {
    Batch { puts, durability: Durability::Strict, ..Batch::default() }
}

fn span(start: &[u8], end: &[u8]) -> KeyRange {
    KeyRange { start: start.to_vec(), end: end.to_vec() }
}

fn get(table: Table, key: &[u8]) -> Read {
    Read::Get { table, key: key.to_vec() }
}

fn scan(table: Table, range: KeyRange, limit: usize, reverse: bool) -> Read {
    Read::Scan { table, range, limit, reverse }
}

/// Every row of a table whose key is not all `0xff` bytes.
fn all(table: Table) -> Read {
    scan(table, span(&[], &[0xff; 64]), usize::MAX, false)
}

async fn one(store: &impl Store, read: Read) -> Result<Rows, String> {
    let mut answers = store.read(vec![read]).await.map_err(words)?;
    check!(answers.len() == 1, "one question got {} answers", answers.len());
    Ok(answers.pop().unwrap_or_default())
}

async fn value(store: &impl Store, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
    Ok(one(store, get(table, key)).await?.pop().map(|(_, value)| value))
}

/// Checks the bytes in use against what the rows make. Packed rows need less, except for a page that holds only a few.
async fn check_used<F: Factory>(_: &F, store: &impl Store, rows: u64) -> Verdict {
    let used = store.usage().await.map_err(words)?.bytes;
    if F::PACKS {
        check!((used == 0) == (rows == 0), "usage says {used}, the rows make {rows}");
        check!(used <= rows + PAGE_OVERHEAD, "usage says {used}, more than the {rows} of the rows");
    } else {
        check!(used == rows, "usage says {used}, the rows make {rows}");
    }
    Ok(())
}

/// A row number as a key that sorts.
fn number(n: u32) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

fn rows(pairs: &[(&[u8], &[u8])]) -> Rows {
    pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}
