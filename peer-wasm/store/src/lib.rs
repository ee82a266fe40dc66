//! Where a Kith peer keeps its rows.
//!
//! One contract ([`Store`]) and three backends: [`MemoryStore`] everywhere, `IndexedDb` in browsers and
//! `RedbStore` natively; and [`Paged`], which packs small rows into pages of any of them. The rows, reads and batches are those of [`kith_core::rows`]. With the feature
//! `testing`, `conformance` holds the one suite that every backend passes.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use kith_core::rows::{Batch, Read, Rows};

#[cfg(feature = "testing")]
pub mod conformance;
mod effect;
#[cfg(target_arch = "wasm32")]
mod indexed_db;
mod memory;
pub mod paged;
#[cfg(not(target_arch = "wasm32"))]
mod redb_store;
pub mod schema;

#[cfg(target_arch = "wasm32")]
pub use indexed_db::IndexedDb;
pub use memory::MemoryStore;
pub use paged::Paged;
#[cfg(not(target_arch = "wasm32"))]
pub use redb_store::RedbStore;

/// What a row costs beside its key and its value, in bytes, in a store's own counting.
///
/// Between what LevelDB (Chromium) and SQLite (Firefox) were measured to add.
pub const ROW_OVERHEAD: u64 = 64;

/// The budget of a store that was not given one, in bytes: far below the quota of any browser in use, because
/// Chromium cannot free space once the quota is hit.
pub const DEFAULT_BUDGET: u64 = 512 * 1024 * 1024;

/// At most this many batches wait for the disk; a commit beyond it is refused with [`StoreError::Busy`].
pub const MAX_WAITING_BATCHES: usize = 10_000;

/// At most this many bytes of keys and values wait for the disk; see [`MAX_WAITING_BATCHES`].
pub const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// A place to keep rows.
///
/// # Contract
///
/// - **Atomic.** A batch takes effect wholly or not at all, also when the program is killed in the middle. Inside a
///   batch `delete_ranges` come first, then `deletes`, then `puts`; of two puts to one key the later wins.
/// - **In call order.** Calling [`commit`](Store::commit) puts the batch in line at once, before the returned future is
///   first polled; batches take effect in the order of the calls. Dropping the future does not take the batch back.
/// - **Durable as asked.** The future resolves once the batch is as sure as its [`Durability`](kith_core::rows::Durability)
///   says. A store may do better than asked, and may write waiting batches together as long as the other rules hold.
/// - **One snapshot.** All reads of one [`read`](Store::read) call see the same state. A read called after a commit has
///   resolved sees it. A read called while commits are under way sees some prefix of them.
/// - **Nothing assumed in memory.** A store opened on the same name sees every resolved commit; no row needs to be cached
///   by the store, and memory use does not grow with the number of rows.
/// - **Full is clean.** When a batch would exceed the budget, or the disk is full, it fails with [`StoreError::Full`],
///   nothing of it is written, and reads and batches that do not add bytes go on working.
/// - **Ranges.** Half-open. A range whose start is not below its end is empty. A scan with `limit` 0 answers nothing.
///
/// Futures are not required to be `Send` by the trait (browser objects are not); those of [`MemoryStore`] and of
/// `RedbStore` are. Use it behind generics, from one event loop, through `Rc<S>`, `Arc<S>` or `&S`.
pub trait Store {
    /// Answers every question, in order, from one snapshot.
    fn read(&self, reads: Vec<Read>) -> impl Future<Output = Result<Vec<Rows>, StoreError>>;

    /// Applies a batch; resolves when it is as durable as it asks to be.
    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), StoreError>>;

    /// What is stored and what may be, by the store's own counting: key bytes, value bytes and [`ROW_OVERHEAD`] for
    /// each row as it is kept (a store that packs rows counts the packs). Cheap: nothing is counted up.
    fn usage(&self) -> impl Future<Output = Result<Usage, StoreError>>;

    /// Removes every row, in order with the commits. The store stays open and empty.
    fn wipe(&self) -> impl Future<Output = Result<(), StoreError>>;

    /// Waits for the commits in line and closes. Every later call fails with [`StoreError::Closed`].
    fn close(&self) -> impl Future<Output = ()>;

    /// Whether this handle is of use still: false once closed, by whomever. Cheap.
    fn is_open(&self) -> bool;
}

/// Bytes stored and bytes allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use, as counted by the store.
    pub bytes: u64,
    /// Bytes the store accepts before it says [`StoreError::Full`].
    pub budget: u64,
}

/// Why the store could not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The budget or the disk is full. Nothing of the batch was written.
    #[error("the storage is full: nothing was written. Delete something, or allow more storage, then try again")]
    Full,
    /// Too many batches wait for the disk. Nothing of the batch was written.
    #[error("too many writes are waiting for the disk: wait for earlier ones to finish, then try again")]
    Busy,
    /// Another program, tab or worker has the database open and does not let go of it.
    #[error("the database is held open elsewhere: close other windows of this app, then try again")]
    Blocked,
    /// The database was written by a newer release.
    #[error(
        "the database has layout {found}, and this release knows layouts up to {known}: reload to get the newer release"
    )]
    Newer {
        /// The layout found.
        found: u32,
        /// The newest layout this release can use.
        known: u32,
    },
    /// This handle was closed: by [`Store::close`], by a newer release taking over, or because the data was cleared.
    #[error("the database connection was closed: open it again")]
    Closed,
    /// What was found does not make sense.
    #[error("the database is damaged: {0}. Remove it and fetch the data from other peers again")]
    Corrupt(String),
    /// Anything else the backend reports, in its words. Nothing of the batch was written.
    #[error("the database failed: {0}")]
    Backend(String),
}

impl StoreError {
    /// Whether this handle is of no more use: nothing will work until the store is opened anew.
    pub fn is_fatal(&self) -> bool {
        matches!(self, StoreError::Newer { .. } | StoreError::Closed | StoreError::Corrupt(_))
    }
}

/// Bytes that a row counts for.
pub(crate) fn row_bytes(key: usize, value: usize) -> u64 {
    (key as u64).saturating_add(value as u64).saturating_add(ROW_OVERHEAD)
}

/// Whether going from `before` to `after` bytes is allowed: what does not add is always allowed.
pub(crate) fn fits(before: u64, after: u64, budget: u64) -> bool {
    after <= budget || after <= before
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<S: Store> Store for $pointer {
            fn read(&self, reads: Vec<Read>) -> impl Future<Output = Result<Vec<Rows>, StoreError>> {
                (**self).read(reads)
            }
            fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), StoreError>> {
                (**self).commit(batch)
            }
            fn usage(&self) -> impl Future<Output = Result<Usage, StoreError>> {
                (**self).usage()
            }
            fn wipe(&self) -> impl Future<Output = Result<(), StoreError>> {
                (**self).wipe()
            }
            fn close(&self) -> impl Future<Output = ()> {
                (**self).close()
            }
            fn is_open(&self) -> bool {
                (**self).is_open()
            }
        }
    )*};
}

forward!(&S, Rc<S>, Arc<S>);
