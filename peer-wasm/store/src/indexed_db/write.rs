//! Writing: one transaction at a time, with everything that came meanwhile in the next.

use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Uint8Array};
use kith_core::rows::{KeyRange, Table};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbObjectStore, IdbRequest, IdbTransaction};

use super::read::{Page, key_range, key_value};
use super::request::{Ending, done};
use super::{Job, Shared, Waiting, backend, exception_error, store_names, usage_of, usage_value};
use crate::effect::{Effect, GROUP_BYTES, GROUP_PUTS};
use crate::schema::{PAGE, STATE, USAGE_ROW};
use crate::{StoreError, fits, row_bytes};

/// Why a transaction was not committed.
enum Refused {
    /// A key of an append-only table exists.
    Exists,
    /// What Firefox says once to the first write after a write that hit the quota.
    InvalidState,
    /// A reason to give to the caller.
    For(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        match error {
            StoreError::Backend(words) if words.starts_with("InvalidStateError") => Refused::InvalidState,
            error => Refused::For(error),
        }
    }
}

/// Writes until the line is empty.
pub(super) async fn write_all(shared: Rc<Shared>) {
    loop {
        let group = next_group(&shared);
        if group.is_empty() {
            break;
        }
        let outcome = write_group(&shared, &group).await;
        if outcome == Err(StoreError::Full) && group.len() > 1 {
            // One too many is no reason to refuse those that still fit.
            for one in group {
                let outcome = write_group(&shared, std::slice::from_ref(&one)).await;
                let _ = one.answer.send(outcome);
            }
        } else {
            for one in group {
                // Nobody waiting for the answer any more is fine.
                let _ = one.answer.send(outcome.clone());
            }
        }
    }
    shared.writing.set(false);
    for waiting in shared.emptied.take() {
        let _ = waiting.send(());
    }
}

/// Takes the next batches off the line: at least one if there is one, then as many as stay below the limits.
fn next_group(shared: &Shared) -> Vec<Waiting> {
    let (mut group, mut puts, mut bytes) = (Vec::new(), 0usize, 0usize);
    let mut line = shared.line.borrow_mut();
    while let Some(next) = line.front() {
        let its_puts = match &next.job {
            Job::Batch(batch) => batch.puts.len().saturating_add(batch.deletes.len()),
            Job::Wipe => 0,
        };
        (puts, bytes) = (puts.saturating_add(its_puts), bytes.saturating_add(next.bytes));
        if !group.is_empty() && (puts > GROUP_PUTS || bytes > GROUP_BYTES) {
            break;
        }
        let Some(next) = line.pop_front() else { break };
        shared.waiting_bytes.set(shared.waiting_bytes.get().saturating_sub(next.bytes));
        group.push(next);
    }
    group
}

async fn write_group(shared: &Shared, group: &[Waiting]) -> Result<(), StoreError> {
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
    let mut tried_again = false;
    loop {
        let appending = !shared.overwrites.get();
        match write(shared, &effect, appending).await {
            Ok(()) => return Ok(()),
            Err(Refused::For(error)) => return Err(error),
            Err(Refused::Exists) if appending => shared.overwrites.set(true),
            Err(Refused::InvalidState) if !tried_again && !shared.connection.closed.get() => tried_again = true,
            Err(Refused::InvalidState) if shared.connection.closed.get() => return Err(StoreError::Closed),
            Err(Refused::Exists | Refused::InvalidState) => {
                return Err(StoreError::Backend("the browser refused the write twice".into()));
            }
        }
    }
}

/// One attempt, in one transaction.
async fn write(shared: &Shared, effect: &Effect<'_>, appending: bool) -> Result<(), Refused> {
    let tables = if effect.clear {
        Table::ALL.to_vec()
    } else {
        effect.ranges.iter().map(|(table, _)| *table).chain(effect.rows.keys().map(|(table, _)| *table)).collect()
    };
    let mut names = store_names(tables.into_iter());
    names.push(STATE);
    let transaction = shared.connection.begin(&names, Some(effect.durability)).map_err(Refused::from)?;
    let ending = Ending::watch(&transaction);
    let filled = fill(&transaction, effect, appending, shared.budget).await;
    if filled.is_err() {
        // Aborting what has aborted by itself throws, and that is fine.
        let _ = transaction.abort();
    }
    match (ending.wait().await, filled) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(Some(reason)), _) => Err(match reason.name().as_str() {
            "ConstraintError" => Refused::Exists,
            "InvalidStateError" => Refused::InvalidState,
            _ => Refused::For(exception_error(&reason)),
        }),
        (Err(None), Err(error)) => Err(error.into()),
        (Err(None), Ok(())) => Err(Refused::For(StoreError::Backend("the browser gave the write up".into()))),
        // Cannot be: what was not filled was aborted.
        (Ok(()), Err(error)) => Err(error.into()),
    }
}

/// Puts an effect into a transaction and lets it commit.
///
/// The old sizes of rows are asked for ahead of the changes, in the same go, and only then waited for: they decide
/// the new count of bytes, which is written last. Rows of append-only tables are added, not put, so that a row that
/// exists needs no question: the transaction fails and the next attempt asks.
async fn fill(
    transaction: &IdbTransaction,
    effect: &Effect<'_>,
    appending: bool,
    budget: u64,
) -> Result<(), StoreError> {
    let failed = |error: JsValue| backend(&error);
    let state = transaction.object_store(STATE).map_err(failed)?;
    let usage = state.get(&USAGE_ROW.into()).map_err(failed)?;
    let store = |table: Table| transaction.object_store(table.name()).map_err(failed);
    let mut less = 0u64;
    let mut more = 0u64;
    if effect.clear {
        for table in Table::ALL {
            store(table)?.clear().map_err(failed)?;
        }
    }
    for (table, range) in &effect.ranges {
        let store = store(*table)?;
        if !effect.clear {
            less = less.saturating_add(range_bytes(&store, range).await?);
        }
        store.delete(&key_range(range).map_err(failed)?).map_err(failed)?;
    }
    let mut current: Option<(Table, IdbObjectStore)> = None;
    let mut olds: Vec<(usize, IdbRequest)> = Vec::new();
    let mut last = usage.clone();
    for ((table, key), value) in &effect.rows {
        let store = match &current {
            Some((of, store)) if of == table => store,
            _ => &current.insert((*table, store(*table)?)).1,
        };
        let name = key_value(key);
        let fresh = appending && append_only(*table) && value.is_some();
        if !fresh && !effect.clear {
            last = store.get(&name).map_err(failed)?;
            olds.push((key.len(), last.clone()));
        }
        match value {
            Some(value) => {
                more = more.saturating_add(row_bytes(key.len(), value.len()));
                let value = Uint8Array::from(*value).buffer();
                if fresh { store.add_with_key(&value, &name) } else { store.put_with_key(&value, &name) }
            }
            None => store.delete(&name),
        }
        .map_err(failed)?;
    }
    // Requests are answered in order: with the last, all are here.
    done(&last).await?;
    for (key, old) in olds {
        let old = done(&old).await?;
        if !old.is_undefined() {
            less = less.saturating_add(row_bytes(key, value_len(&old)));
        }
    }
    let before = usage_of(&done(&usage).await?)?;
    let after = if effect.clear { more } else { before.saturating_add(more).saturating_sub(less) };
    if !fits(before, after, budget) {
        return Err(StoreError::Full);
    }
    // The transaction commits by itself after this. Calling `commit()` would be quicker by a message, but after it
    // Firefox commits the rest even when an `add` before it fails: half a batch.
    state.put_with_key(&usage_value(after), &USAGE_ROW.into()).map(|_| ()).map_err(failed)
}

/// Tables whose rows are written once and later only deleted.
fn append_only(table: Table) -> bool {
    matches!(table, Table::Tail | Table::Segment | Table::Arrival)
}

/// What the rows of a range count for. In pages, so that memory does not grow with the range.
async fn range_bytes(store: &IdbObjectStore, range: &KeyRange) -> Result<u64, StoreError> {
    let mut bytes = 0u64;
    let mut rest = range.clone();
    loop {
        let asked =
            key_range(&rest).and_then(|range| Page::ask(store, &range, PAGE)).map_err(|error| backend(&error))?;
        let (keys, values) = asked.fetch().await?;
        bytes = bytes.saturating_add(page_bytes(&keys, &values));
        if keys.length() < PAGE {
            return Ok(bytes);
        }
        // The first key after the last of this page is that key and a zero byte.
        rest.start = super::read::bytes(&keys.get(keys.length().saturating_sub(1)));
        rest.start.push(0);
        if rest.start >= rest.end {
            return Ok(bytes);
        }
    }
}

/// What the rows of a page count for.
pub(super) fn page_bytes(keys: &Array, values: &Array) -> u64 {
    keys.iter()
        .zip(values.iter())
        .map(|(key, value)| row_bytes(value_len(&key), value_len(&value)))
        .fold(0, u64::saturating_add)
}

/// The length of an `ArrayBuffer` from the database.
fn value_len(value: &JsValue) -> usize {
    value.dyn_ref::<ArrayBuffer>().map_or(0, |buffer| buffer.byte_length() as usize)
}
