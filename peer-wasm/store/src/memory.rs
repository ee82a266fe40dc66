//! Rows in memory: for tests, for private windows and as the model the others are measured against.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kith_core::rows::{Batch, KeyRange, Read, Rows, Table};

use crate::effect::Effect;
use crate::{DEFAULT_BUDGET, Store, StoreError, Usage, fits, row_bytes};

/// A [`Store`] that forgets everything when the last handle goes.
///
/// Clones are handles of the same rows; [`MemoryStore::reopen`] makes one after [`Store::close`].
#[derive(Clone, Debug)]
pub struct MemoryStore {
    rows: Arc<Mutex<Shelf>>,
    open: Arc<Mutex<bool>>,
}

#[derive(Debug)]
struct Shelf {
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    bytes: u64,
    budget: u64,
    #[cfg(feature = "testing")]
    failures: std::collections::VecDeque<StoreError>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        MemoryStore::new(DEFAULT_BUDGET)
    }
}

impl MemoryStore {
    /// An empty store that accepts up to `budget` bytes.
    pub fn new(budget: u64) -> MemoryStore {
        let shelf = Shelf {
            rows: BTreeMap::new(),
            bytes: 0,
            budget,
            #[cfg(feature = "testing")]
            failures: std::collections::VecDeque::new(),
        };
        MemoryStore { rows: Arc::new(Mutex::new(shelf)), open: Arc::new(Mutex::new(true)) }
    }

    /// Another handle of the same rows, open whether or not this one is, with this budget from now on.
    pub fn reopen(&self, budget: u64) -> MemoryStore {
        lock(&self.rows).budget = budget;
        MemoryStore { rows: Arc::clone(&self.rows), open: Arc::new(Mutex::new(true)) }
    }

    /// The next commits fail with these errors, one each, and write nothing.
    #[cfg(feature = "testing")]
    pub fn fail_next(&self, errors: impl IntoIterator<Item = StoreError>) {
        lock(&self.rows).failures.extend(errors);
    }

    fn shelf(&self) -> Result<MutexGuard<'_, Shelf>, StoreError> {
        if *lock(&self.open) { Ok(lock(&self.rows)) } else { Err(StoreError::Closed) }
    }

    fn apply(&self, effect: &Effect<'_>) -> Result<(), StoreError> {
        let mut shelf = self.shelf()?;
        #[cfg(feature = "testing")]
        if let Some(error) = shelf.failures.pop_front() {
            return Err(error);
        }
        let after = shelf.bytes_after(effect);
        if !fits(shelf.bytes, after, shelf.budget) {
            return Err(StoreError::Full);
        }
        if effect.clear {
            shelf.rows.clear();
        }
        for (table, range) in &effect.ranges {
            let gone: Vec<_> = shelf.range(*table, range).map(|(key, _)| key.clone()).collect();
            for key in gone {
                shelf.rows.remove(&key);
            }
        }
        for ((table, key), value) in &effect.rows {
            match value {
                Some(value) => shelf.rows.insert((*table, key.to_vec()), value.to_vec()),
                None => shelf.rows.remove(&(*table, key.to_vec())),
            };
        }
        shelf.bytes = after;
        Ok(())
    }
}

impl Shelf {
    fn range(
        &self,
        table: Table,
        range: &KeyRange,
    ) -> impl DoubleEndedIterator<Item = (&(Table, Vec<u8>), &Vec<u8>)> + use<'_> {
        let end = range.end.clone().max(range.start.clone());
        let bounds = (Bound::Included((table, range.start.clone())), Bound::Excluded((table, end)));
        // A range of equal bounds, the one end in and the other out, is empty, not an error.
        self.rows.range(bounds)
    }

    fn bytes_after(&self, effect: &Effect<'_>) -> u64 {
        let size = |(_, key): &(Table, Vec<u8>), value: &Vec<u8>| row_bytes(key.len(), value.len());
        let mut bytes = if effect.clear { 0 } else { self.bytes };
        let goes = |key: &(Table, Vec<u8>)| {
            effect.clear || effect.ranges.iter().any(|(table, range)| *table == key.0 && range.contains(&key.1))
        };
        if !effect.clear {
            let mut gone = std::collections::BTreeSet::new();
            for (table, range) in &effect.ranges {
                for (key, value) in self.range(*table, range) {
                    if gone.insert(key) {
                        bytes = bytes.saturating_sub(size(key, value));
                    }
                }
            }
        }
        for ((table, key), value) in &effect.rows {
            let key = (*table, key.to_vec());
            if !goes(&key)
                && let Some(old) = self.rows.get(&key)
            {
                bytes = bytes.saturating_sub(size(&key, old));
            }
            if let Some(value) = value {
                bytes = bytes.saturating_add(row_bytes(key.1.len(), value.len()));
            }
        }
        bytes
    }

    fn answer(&self, read: &Read) -> Rows {
        match read {
            Read::Get { table, key } => {
                self.rows.get(&(*table, key.clone())).map(|value| (key.clone(), value.clone())).into_iter().collect()
            }
            Read::Scan { table, range, limit, reverse } => {
                let rows = self.range(*table, range);
                let take = |(key, value): (&(Table, Vec<u8>), &Vec<u8>)| (key.1.clone(), value.clone());
                if *reverse {
                    rows.rev().take(*limit).map(take).collect()
                } else {
                    rows.take(*limit).map(take).collect()
                }
            }
        }
    }
}

impl Store for MemoryStore {
    fn read(&self, reads: Vec<Read>) -> impl Future<Output = Result<Vec<Rows>, StoreError>> {
        ready(self.shelf().map(|shelf| reads.iter().map(|read| shelf.answer(read)).collect()))
    }

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), StoreError>> {
        let mut effect = Effect::default();
        effect.push(&batch);
        ready(self.apply(&effect))
    }

    fn usage(&self) -> impl Future<Output = Result<Usage, StoreError>> {
        ready(self.shelf().map(|shelf| Usage { bytes: shelf.bytes, budget: shelf.budget }))
    }

    fn wipe(&self) -> impl Future<Output = Result<(), StoreError>> {
        let mut effect = Effect::default();
        effect.wipe();
        ready(self.apply(&effect))
    }

    fn close(&self) -> impl Future<Output = ()> {
        *lock(&self.open) = false;
        ready(())
    }

    fn is_open(&self) -> bool {
        *lock(&self.open)
    }
}

/// A poisoned lock only says that another thread panicked; the rows behind it are changed in one go, so they are whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
