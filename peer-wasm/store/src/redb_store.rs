//! Rows in one file of a native program, kept by redb.
//!
//! A thread of its own writes, so that waiting for the disk never holds up an event loop; batches that arrive while it
//! writes go together into the next transaction. Reads happen where they are asked, on redb's snapshot.

mod layout;

use std::future::{Future, ready};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use futures::channel::oneshot;
use kith_core::rows::{Batch, KeyRange, Read, Rows, Table};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use crate::effect::{Effect, GROUP_BYTES, GROUP_PUTS};
use crate::schema::{STATE, STEPS, Step, USAGE_ROW, stored_name};
use crate::{MAX_WAITING_BATCHES, MAX_WAITING_BYTES, Store, StoreError, Usage, fits, row_bytes};

/// A [`Store`] in one file. Clones are handles of the same file, which is let go of when the last one is dropped.
///
/// Every commit is flushed to disk, also those that ask for less: redb has nothing between that and losing the commit
/// with the process.
#[derive(Clone, Debug)]
pub struct RedbStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    open: Mutex<Option<Open>>,
    budget: u64,
    waiting: Arc<Line>,
}

/// What exists while the store is open.
#[derive(Debug)]
struct Open {
    database: Arc<Database>,
    jobs: Sender<Waiting>,
    writer: JoinHandle<()>,
}

/// How much is in line for the writer.
#[derive(Debug, Default)]
struct Line {
    batches: AtomicUsize,
    bytes: AtomicUsize,
}

/// Something to write, and who wants to know.
struct Waiting {
    job: Job,
    bytes: usize,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

enum Job {
    Batch(Batch),
    Wipe,
}

type RowTable = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// The store's own numbers.
const NUMBERS: TableDefinition<'static, &'static str, u64> = TableDefinition::new(STATE);

fn rows_of(table: Table) -> RowTable {
    TableDefinition::new(stored_name(table))
}

impl RedbStore {
    /// Opens the file, makes it or brings it to the current layout. `budget` is in bytes. Blocks while it does so.
    ///
    /// Fails with [`StoreError::Newer`] when a newer release wrote it and with [`StoreError::Blocked`] when another
    /// handle or program has it open.
    pub fn open(path: impl AsRef<Path>, budget: u64) -> Result<RedbStore, StoreError> {
        RedbStore::open_steps(path.as_ref(), budget, STEPS)
    }

    /// Opens the file as a release with other [`STEPS`] would.
    #[cfg(feature = "testing")]
    pub fn open_as(path: impl AsRef<Path>, budget: u64, steps: &[Step]) -> Result<RedbStore, StoreError> {
        RedbStore::open_steps(path.as_ref(), budget, steps)
    }

    fn open_steps(path: &Path, budget: u64, steps: &[Step]) -> Result<RedbStore, StoreError> {
        let database = Arc::new(Database::create(path).map_err(failed)?);
        layout::bring_up(&database, steps)?;
        let waiting = Arc::new(Line::default());
        let (jobs, received) = channel();
        let writer = std::thread::Builder::new()
            .name("kith-store".into())
            .spawn({
                let (database, waiting) = (Arc::clone(&database), Arc::clone(&waiting));
                move || write_all(&database, budget, &received, &waiting)
            })
            .map_err(|error| StoreError::Backend(format!("no thread for writing: {error}")))?;
        let open = Mutex::new(Some(Open { database, jobs, writer }));
        Ok(RedbStore { shared: Arc::new(Shared { open, budget, waiting }) })
    }

    fn enqueue(&self, job: Job) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let bytes = match &job {
            Job::Batch(batch) => batch.bytes(),
            Job::Wipe => 0,
        };
        // Held while the job gets in line, so that the order of the calls is the order of the line.
        let open = self.shared.lock();
        let jobs = &open.as_ref().ok_or(StoreError::Closed)?.jobs;
        let line = &self.shared.waiting;
        let batches = line.batches.load(Ordering::Relaxed);
        let in_line = line.bytes.load(Ordering::Relaxed).saturating_add(bytes);
        if batches > 0 && (batches >= MAX_WAITING_BATCHES || in_line > MAX_WAITING_BYTES) {
            return Err(StoreError::Busy);
        }
        line.batches.fetch_add(1, Ordering::Relaxed);
        line.bytes.fetch_add(bytes, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        jobs.send(Waiting { job, bytes, answer }).map_err(|_| StoreError::Closed)?;
        Ok(answered)
    }

    fn submit(&self, job: Job) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let line = self.enqueue(job);
        async move { line?.await.unwrap_or(Err(StoreError::Closed)) }
    }

    fn snapshot(&self) -> Result<ReadTransaction, StoreError> {
        let open = self.shared.lock();
        open.as_ref().ok_or(StoreError::Closed)?.database.begin_read().map_err(failed)
    }

    fn answer(&self, reads: &[Read]) -> Result<Vec<Rows>, StoreError> {
        let snapshot = self.snapshot()?;
        reads.iter().map(|read| answer(&snapshot, read)).collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the writer finish its line and the file go.
    fn shut(&self) {
        let Some(Open { database, jobs, writer }) = self.lock().take() else { return };
        drop(jobs);
        // A writer that panicked has answered nobody; there is nothing left to do for it.
        let _ = writer.join();
        drop(database);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Store for RedbStore {
    fn read(&self, reads: Vec<Read>) -> impl Future<Output = Result<Vec<Rows>, StoreError>> {
        ready(self.answer(&reads))
    }

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), StoreError>> {
        self.submit(Job::Batch(batch))
    }

    fn usage(&self) -> impl Future<Output = Result<Usage, StoreError>> {
        let bytes = self.snapshot().and_then(|snapshot| {
            let numbers = snapshot.open_table(NUMBERS).map_err(failed)?;
            let bytes = numbers.get(USAGE_ROW).map_err(failed)?.map(|bytes| bytes.value());
            bytes.ok_or_else(no_count)
        });
        ready(bytes.map(|bytes| Usage { bytes, budget: self.shared.budget }))
    }

    fn wipe(&self) -> impl Future<Output = Result<(), StoreError>> {
        self.submit(Job::Wipe)
    }

    /// Blocks until the line is written.
    fn close(&self) -> impl Future<Output = ()> {
        self.shared.shut();
        ready(())
    }

    fn is_open(&self) -> bool {
        self.shared.lock().is_some()
    }
}

fn answer(snapshot: &ReadTransaction, read: &Read) -> Result<Rows, StoreError> {
    match read {
        Read::Get { table, key } => {
            let rows = snapshot.open_table(rows_of(*table)).map_err(failed)?;
            let value = rows.get(key.as_slice()).map_err(failed)?;
            Ok(value.map(|value| (key.clone(), value.value().to_vec())).into_iter().collect())
        }
        Read::Scan { range, .. } if range.start >= range.end => Ok(Rows::new()),
        Read::Scan { table, range, limit, reverse } => {
            let rows = snapshot.open_table(rows_of(*table)).map_err(failed)?;
            let rows = rows.range::<&[u8]>(range.start.as_slice()..range.end.as_slice()).map_err(failed)?;
            if *reverse { collect(rows.rev().take(*limit)) } else { collect(rows.take(*limit)) }
        }
    }
}

type Guarded = (redb::AccessGuard<'static, &'static [u8]>, redb::AccessGuard<'static, &'static [u8]>);

fn collect(rows: impl Iterator<Item = Result<Guarded, redb::StorageError>>) -> Result<Rows, StoreError> {
    rows.map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).map_err(failed)).collect()
}

/// Writes until every handle is gone or the store is closed.
fn write_all(database: &Database, budget: u64, jobs: &Receiver<Waiting>, line: &Line) {
    let mut next = None;
    while let Some(first) = next.take().or_else(|| jobs.recv().ok()) {
        let group = group_of(first, jobs, &mut next);
        line.batches.fetch_sub(group.len(), Ordering::Relaxed);
        line.bytes.fetch_sub(group.iter().map(|one| one.bytes).sum(), Ordering::Relaxed);
        let outcome = write_group(database, budget, &group);
        if outcome == Err(StoreError::Full) && group.len() > 1 {
            // One too many is no reason to refuse those that still fit.
            for one in group {
                let outcome = write_group(database, budget, std::slice::from_ref(&one));
                let _ = one.answer.send(outcome);
            }
        } else {
            for one in group {
                // Nobody waiting for the answer any more is fine.
                let _ = one.answer.send(outcome.clone());
            }
        }
    }
}

/// `first` and what waits behind it, up to the limits; the one that did not fit any more is left in `next`.
fn group_of(first: Waiting, jobs: &Receiver<Waiting>, next: &mut Option<Waiting>) -> Vec<Waiting> {
    let puts_of = |one: &Waiting| match &one.job {
        Job::Batch(batch) => batch.puts.len().saturating_add(batch.deletes.len()),
        Job::Wipe => 0,
    };
    let (mut puts, mut bytes) = (puts_of(&first), first.bytes);
    let mut group = vec![first];
    while let Ok(one) = jobs.try_recv() {
        (puts, bytes) = (puts.saturating_add(puts_of(&one)), bytes.saturating_add(one.bytes));
        if puts > GROUP_PUTS || bytes > GROUP_BYTES {
            *next = Some(one);
            break;
        }
        group.push(one);
    }
    group
}

fn write_group(database: &Database, budget: u64, group: &[Waiting]) -> Result<(), StoreError> {
    let mut effect = Effect::default();
    for one in group {
        match &one.job {
            Job::Batch(batch) => effect.push(batch),
            Job::Wipe => effect.wipe(),
        }
    }
    if effect.is_empty() {
        return Ok(());
    }
    // Dropped without a commit, a transaction changes nothing.
    let transaction = database.begin_write().map_err(failed)?;
    apply(&transaction, &effect, budget)?;
    transaction.commit().map_err(failed)
}

fn apply(transaction: &WriteTransaction, effect: &Effect<'_>, budget: u64) -> Result<(), StoreError> {
    let (mut less, mut more) = (0u64, 0u64);
    if effect.clear {
        for table in Table::ALL {
            transaction.delete_table(rows_of(table)).map_err(failed)?;
            transaction.open_table(rows_of(table)).map_err(failed)?;
        }
    }
    for (table, range) in &effect.ranges {
        less = less.saturating_add(empty(transaction, *table, range)?);
    }
    let mut rows = effect.rows.iter().peekable();
    while let Some(((table, _), _)) = rows.peek().copied() {
        let mut open = transaction.open_table(rows_of(*table)).map_err(failed)?;
        while let Some(((_, key), value)) = rows.next_if(|((of, _), _)| of == table) {
            let old = match value {
                Some(value) => {
                    more = more.saturating_add(row_bytes(key.len(), value.len()));
                    open.insert(*key, *value).map_err(failed)?
                }
                None => open.remove(*key).map_err(failed)?,
            };
            if let Some(old) = old {
                less = less.saturating_add(row_bytes(key.len(), old.value().len()));
            }
        }
    }
    let mut numbers = transaction.open_table(NUMBERS).map_err(failed)?;
    let before = numbers.get(USAGE_ROW).map_err(failed)?.map(|bytes| bytes.value()).ok_or_else(no_count)?;
    let after = if effect.clear { more } else { before.saturating_add(more).saturating_sub(less) };
    if !fits(before, after, budget) {
        return Err(StoreError::Full);
    }
    numbers.insert(USAGE_ROW, after).map_err(failed)?;
    Ok(())
}

/// Removes the rows of a range and says what they counted for.
fn empty(transaction: &WriteTransaction, table: Table, range: &KeyRange) -> Result<u64, StoreError> {
    let mut gone = 0u64;
    let mut rows = transaction.open_table(rows_of(table)).map_err(failed)?;
    rows.retain_in::<&[u8], _>(range.start.as_slice()..range.end.as_slice(), |key, value| {
        gone = gone.saturating_add(row_bytes(key.len(), value.len()));
        false
    })
    .map_err(failed)?;
    Ok(gone)
}

fn no_count() -> StoreError {
    StoreError::Corrupt("the count of stored bytes is missing".into())
}

/// What redb's error means to us.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => StoreError::Blocked,
        redb::Error::Corrupted(what) => StoreError::Corrupt(what),
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => StoreError::Full,
        // redb does nothing more after an I/O error until the file is opened again.
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => StoreError::Closed,
        error => StoreError::Backend(error.to_string()),
    }
}
