//! Rows in the browser's IndexedDB: one object store for each table, binary keys, values as `ArrayBuffer`.
//!
//! One transaction writes at a time; batches that arrive meanwhile go together into the next one. Puts are never waited
//! for one by one: only the transaction's end counts. Every write transaction also reads and rewrites the store's own
//! row with the bytes in use, so the count is as atomic as the rows and needs no counting at start; several connections
//! may write.

mod count;
mod fill;
mod migrate;
mod open;
mod read;
mod request;
mod write;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;

use futures::FutureExt;
use futures::channel::oneshot;
use kith_core::rows::{Batch, Durability, Read, Rows, Table};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{DomException, Event, IdbDatabase, IdbTransaction};

use crate::schema::{STATE, STEPS, Step, USAGE_ROW, stored_name};
use crate::{MAX_WAITING_BATCHES, MAX_WAITING_BYTES, Store, StoreError, Usage};
use count::{Count, Memory};
use request::done;

/// A [`Store`] in IndexedDB, in a page or any kind of worker.
///
/// Clones are handles of the same connection, which is closed when the last handle goes and its writes are done. When a
/// newer release wants to change the layout, the connection closes by itself and every call fails with
/// [`StoreError::Closed`].
#[derive(Clone)]
pub struct IndexedDb {
    shared: Rc<Shared>,
}

struct Shared {
    connection: Connection,
    budget: u64,
    line: RefCell<VecDeque<Waiting>>,
    waiting_bytes: Cell<usize>,
    writing: Cell<bool>,
    /// Whether some key of an append-only table was once written twice: see `fill`.
    overwrites: Cell<bool>,
    memory: RefCell<Memory>,
    /// Who waits for the line to be empty.
    emptied: RefCell<Vec<oneshot::Sender<()>>>,
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

/// An open database that closes itself when a newer release asks for it, and when it is dropped.
struct Connection {
    database: IdbDatabase,
    closed: Rc<Cell<bool>>,
    _on_close: Closure<dyn FnMut(Event)>,
}

impl IndexedDb {
    /// Opens the database `name`, makes it or brings it to the current layout. `budget` is in bytes.
    ///
    /// Fails with [`StoreError::Newer`] when a newer release wrote it and with [`StoreError::Blocked`] when another
    /// connection keeps an older layout in use for more than three seconds.
    pub async fn open(name: &str, budget: u64) -> Result<IndexedDb, StoreError> {
        IndexedDb::open_steps(name, budget, STEPS).await
    }

    /// Opens the database as a release with other [`STEPS`] would.
    #[cfg(feature = "testing")]
    pub async fn open_as(name: &str, budget: u64, steps: &'static [Step]) -> Result<IndexedDb, StoreError> {
        IndexedDb::open_steps(name, budget, steps).await
    }

    async fn open_steps(name: &str, budget: u64, steps: &'static [Step]) -> Result<IndexedDb, StoreError> {
        let connection = Connection::new(open::open(name, steps).await?);
        open::begin_log(name);
        let shared = Shared {
            connection,
            budget,
            line: RefCell::default(),
            waiting_bytes: Cell::new(0),
            writing: Cell::new(false),
            overwrites: Cell::new(false),
            memory: RefCell::default(),
            emptied: RefCell::default(),
        };
        Ok(IndexedDb { shared: Rc::new(shared) })
    }

    /// Removes the database `name` and everything in it. Open connections close by themselves first.
    pub async fn remove(name: &str) -> Result<(), StoreError> {
        open::remove(name).await
    }

    fn enqueue(&self, job: Job) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let bytes = match &job {
            Job::Batch(batch) => batch.bytes(),
            Job::Wipe => 0,
        };
        let shared = &self.shared;
        if shared.connection.closed.get() {
            return Err(StoreError::Closed);
        }
        let waiting = shared.waiting_bytes.get().saturating_add(bytes);
        let mut line = shared.line.borrow_mut();
        if !line.is_empty() && (line.len() >= MAX_WAITING_BATCHES || waiting > MAX_WAITING_BYTES) {
            return Err(StoreError::Busy);
        }
        let (answer, answered) = oneshot::channel();
        shared.waiting_bytes.set(waiting);
        line.push_back(Waiting { job, bytes, answer });
        drop(line);
        if !shared.writing.replace(true) {
            spawn_local(write::write_all(Rc::clone(shared)));
        }
        Ok(answered)
    }

    fn submit(&self, job: Job) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let line = self.enqueue(job);
        async move { line?.await.unwrap_or(Err(StoreError::Closed)) }
    }
}

impl Store for IndexedDb {
    fn read(&self, reads: Vec<Read>) -> impl Future<Output = Result<Vec<Rows>, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let shared = Rc::clone(&self.shared);
        // In a task of its own: a transaction must be driven as soon as its events arrive, whoever polls us.
        spawn_local(async move {
            // Nobody waiting for the answer any more is fine.
            let _ = answer.send(read::read(&shared.connection, reads).await);
        });
        answered.map(|answer| answer.unwrap_or(Err(StoreError::Closed)))
    }

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), StoreError>> {
        self.submit(Job::Batch(batch))
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        let transaction = self.shared.connection.begin(&[STATE], None)?;
        let request = transaction.object_store(STATE).and_then(|state| state.get(&USAGE_ROW.into()));
        let request = request.map_err(|error| backend(&error))?;
        let Count { bytes, .. } = Count::of(&done(&request).await?)?;
        Ok(Usage { bytes, budget: self.shared.budget })
    }

    fn wipe(&self) -> impl Future<Output = Result<(), StoreError>> {
        self.submit(Job::Wipe)
    }

    async fn close(&self) {
        let shared = &self.shared;
        if shared.writing.get() {
            let (sender, emptied) = oneshot::channel();
            shared.emptied.borrow_mut().push(sender);
            // A sender gone without a word means the same: nobody writes any more.
            let _ = emptied.await;
        }
        shared.connection.close();
    }

    fn is_open(&self) -> bool {
        !self.shared.connection.closed.get()
    }
}

impl Connection {
    fn new(database: IdbDatabase) -> Connection {
        let closed = Rc::new(Cell::new(false));
        let on_close = {
            let closed = Rc::clone(&closed);
            let database = database.clone();
            Closure::new(move |_: Event| {
                closed.set(true);
                database.close();
            })
        };
        // `versionchange`: someone wants to change the layout or to remove the database; not closing would hold them up.
        // `close`: the browser closed the connection, for example because the person cleared the data.
        database.set_onversionchange(Some(on_close.as_ref().unchecked_ref()));
        database.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Connection { database, closed, _on_close: on_close }
    }

    fn close(&self) {
        self.closed.set(true);
        self.database.close();
    }

    /// Begins a transaction on object stores: to read, or to write as surely as said.
    fn begin(&self, stores: &[&str], write: Option<Durability>) -> Result<IdbTransaction, StoreError> {
        if self.closed.get() {
            return Err(StoreError::Closed);
        }
        request::begin(&self.database, stores, write).map_err(|error| backend(&error))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.database.set_onversionchange(None);
        self.database.set_onclose(None);
        // Transactions under way still finish.
        self.database.close();
    }
}

/// The object stores that some tables need, each once.
fn store_names(tables: impl Iterator<Item = Table>) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for name in tables.map(stored_name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What the browser's error means to us.
fn backend(error: &JsValue) -> StoreError {
    match error.dyn_ref::<DomException>() {
        Some(exception) => exception_error(exception),
        None => StoreError::Backend(format!("{error:?}")),
    }
}

fn exception_error(exception: &DomException) -> StoreError {
    // Chromium leaves the message of a QuotaExceededError empty, so the name decides.
    match exception.name().as_str() {
        "QuotaExceededError" => StoreError::Full,
        name => StoreError::Backend(format!("{name}: {}", exception.message())),
    }
}
