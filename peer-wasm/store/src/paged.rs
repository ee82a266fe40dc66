//! Rows packed into pages, over any store.
//!
//! Where a row costs about the same whatever its size, as in IndexedDB, many small rows are dear. [`Paged`] keeps the rows
//! of [`View`](kith_core::rows::Table::View) in *pages*: one stored row holds a run of them, in the order of their keys. The other tables go
//! through as they are.
//!
//! - A page has a *bound*, under which it is stored. It covers the keys from there up to the next page's bound: which
//!   page covers a key is one short scan. Before the first bound there is nothing.
//! - A page that grows above its size is cut; one that becomes small is joined with the one before, if that is at hand.
//! - A value above a quarter of a page is kept apart under its own key, so that it is neither read nor written with its
//!   neighbours.
//! - Pages and values apart carry a sum, so that damage is told ([`StoreError::Corrupt`]) and not passed on.
//! - Pages read or written lately are at hand in bounded memory. What they answer costs the store nothing and waits for
//!   nobody; it is the state that the last finished commit left.
//!
//! For that, nobody else may write to the store below: see the note on one peer per origin (0051).

mod answer;
mod cache;
mod fetch;
mod gate;
mod line;
pub(crate) mod packer;
mod page;
mod plan;
mod read;
mod sum;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;

use futures::channel::oneshot;
#[cfg(not(target_arch = "wasm32"))]
use futures::future::{FutureExt, LocalBoxFuture, Shared as SharedFuture};
use kith_core::rows::{Batch, Read, Rows};

use crate::{Store, StoreError, Usage};
use cache::Cache;
use gate::Gate;
use line::{Job, Waiting};

/// Sizes a [`Paged`] store works with, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct PageSizes {
    /// Pages above this are cut; values above a quarter of it are kept apart.
    pub page: usize,
    /// Pages at hand need at most about this much memory.
    pub cache: usize,
}

impl Default for PageSizes {
    fn default() -> Self {
        PageSizes { page: 8 * 1024, cache: 4 * 1024 * 1024 }
    }
}

/// A [`Store`] that packs the rows of [`View`](kith_core::rows::Table::View) into pages of another.
///
/// Clones are handles of the same store. The store below must be used by nobody else. In browsers, what is under way goes on
/// by itself; elsewhere it goes on while any future of any handle is polled, and a commit is carried as far as possible by
/// the call itself.
pub struct Paged<S> {
    shared: Rc<Shared<S>>,
}

struct Shared<S> {
    store: S,
    sizes: PageSizes,
    /// The pages at hand, as the last finished commit left them.
    cache: RefCell<Cache>,
    /// Taken to read what is not at hand and to write, so that what is read and what is at hand are one state.
    gate: Gate,
    line: RefCell<VecDeque<Waiting>>,
    waiting_bytes: Cell<usize>,
    writing: Cell<bool>,
    closing: Cell<bool>,
    /// Who waits for the line to be empty.
    emptied: RefCell<Vec<oneshot::Sender<()>>>,
    #[cfg(not(target_arch = "wasm32"))]
    writer: RefCell<Option<SharedFuture<LocalBoxFuture<'static, ()>>>>,
}

impl<S> Clone for Paged<S> {
    fn clone(&self) -> Self {
        Paged { shared: Rc::clone(&self.shared) }
    }
}

impl<S: Store + 'static> Paged<S> {
    /// Packs rows into pages of `store`.
    pub fn new(store: S) -> Paged<S> {
        Paged::with_sizes(store, PageSizes::default())
    }

    /// The same with other sizes. Pages of any size can be read.
    pub fn with_sizes(store: S, sizes: PageSizes) -> Paged<S> {
        let shared = Shared {
            store,
            sizes,
            cache: RefCell::default(),
            gate: Gate::default(),
            line: RefCell::default(),
            waiting_bytes: Cell::new(0),
            writing: Cell::new(false),
            closing: Cell::new(false),
            emptied: RefCell::default(),
            #[cfg(not(target_arch = "wasm32"))]
            writer: RefCell::default(),
        };
        Paged { shared: Rc::new(shared) }
    }

    /// Bytes that the pages at hand need, about.
    #[cfg(any(test, feature = "testing"))]
    pub fn cached_bytes(&self) -> usize {
        self.shared.cache.borrow().memory()
    }

    fn submit(&self, job: Job) -> impl Future<Output = Result<(), StoreError>> + use<S> {
        let line = self.shared.enqueue(job);
        if line.is_ok() {
            self.write();
        }
        let shared = Rc::clone(&self.shared);
        async move { shared.attend(line?).await.unwrap_or(Err(StoreError::Closed)) }
    }

    /// Begins to write what is in line, unless that is under way.
    #[cfg(target_arch = "wasm32")]
    fn write(&self) {
        if !self.shared.writing.replace(true) {
            wasm_bindgen_futures::spawn_local(Rc::clone(&self.shared).write_all());
        }
    }

    /// Begins to write what is in line, unless that is under way, and goes as far as that goes without waiting.
    #[cfg(not(target_arch = "wasm32"))]
    fn write(&self) {
        if !self.shared.writing.replace(true) {
            let writer = Rc::clone(&self.shared).write_all().boxed_local().shared();
            *self.shared.writer.borrow_mut() = Some(writer.clone());
            let _ = writer.now_or_never();
        }
    }
}

impl<S: Store> Shared<S> {
    /// Waits for something that the writer brings about or holds up.
    #[cfg(target_arch = "wasm32")]
    async fn attend<T>(&self, future: impl Future<Output = T>) -> T {
        future.await
    }

    /// Waits for something that the writer brings about or holds up, and lets the writer go on meanwhile.
    #[cfg(not(target_arch = "wasm32"))]
    async fn attend<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let mut writer = None;
        std::future::poll_fn(move |context| {
            loop {
                if writer.is_none() {
                    writer = self.writer.borrow().clone().filter(|_| self.writing.get());
                }
                let Some(under_way) = &mut writer else { break };
                if under_way.poll_unpin(context).is_pending() {
                    break;
                }
                writer = None;
            }
            future.as_mut().poll(context)
        })
        .await
    }
}

impl<S: Store + 'static> Store for Paged<S> {
    fn read(&self, reads: Vec<Read>) -> impl Future<Output = Result<Vec<Rows>, StoreError>> {
        let at_hand = self.shared.at_hand(&reads);
        let shared = Rc::clone(&self.shared);
        async move {
            match at_hand {
                Some(answers) => answers,
                None => read::from_store(shared, reads).await,
            }
        }
    }

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), StoreError>> {
        self.submit(Job::Batch(batch))
    }

    fn usage(&self) -> impl Future<Output = Result<Usage, StoreError>> {
        self.shared.store.usage()
    }

    fn wipe(&self) -> impl Future<Output = Result<(), StoreError>> {
        self.submit(Job::Wipe)
    }

    async fn close(&self) {
        let shared = &self.shared;
        shared.closing.set(true);
        if shared.writing.get() {
            let (sender, emptied) = oneshot::channel();
            shared.emptied.borrow_mut().push(sender);
            // A sender gone without a word means the same: nobody writes any more.
            let _ = shared.attend(emptied).await;
        }
        shared.store.close().await;
    }

    fn is_open(&self) -> bool {
        !self.shared.closing.get() && self.shared.store.is_open()
    }
}
