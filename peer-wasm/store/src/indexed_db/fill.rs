//! What goes into a write transaction, and the count that goes with it.

use js_sys::Uint8Array;
use kith_core::rows::{KeyRange, Table};
use wasm_bindgen::JsValue;
use web_sys::{IdbObjectStore, IdbRequest, IdbTransaction};

use super::count::{Count, Learnt, buffer_len, page_bytes};
use super::read::{Page, key_range, key_value};
use super::request::done;
use super::write::Refused;
use super::{Shared, backend};
use crate::effect::Effect;
use crate::schema::{PAGE, STATE, USAGE_ROW};
use crate::{StoreError, fits, row_bytes};

fn failed(error: JsValue) -> Refused {
    backend(&error).into()
}

/// Puts an effect into a transaction, which then commits by itself.
///
/// The new count of bytes needs the old sizes of the rows. Rows of append-only tables are added, not put: a row that
/// exists makes the transaction fail, and the next attempt (`appending` false) asks. Sizes that we remember are
/// trusted if the count's serial is still the one we left. The others are asked for in the same go as the changes, ahead
/// of them. So the usual write needs no answer before it is complete.
pub(super) async fn fill(
    shared: &Shared,
    transaction: &IdbTransaction,
    effect: &Effect<'_>,
    appending: bool,
) -> Result<Learnt, Refused> {
    let state = transaction.object_store(STATE).map_err(failed)?;
    let count = state.get(&USAGE_ROW.into()).map_err(failed)?;
    let store = |table: Table| transaction.object_store(table.name()).map_err(failed);
    let mut change = Change { clear: effect.clear, ..Change::default() };
    if effect.clear {
        for table in Table::ALL {
            store(table)?.clear().map_err(failed)?;
        }
    }
    for (table, range) in &effect.ranges {
        let store = store(*table)?;
        if !effect.clear {
            let gone = range_bytes(&store, range).await?;
            change.less = change.less.saturating_add(gone);
        }
        store.delete(&key_range(range).map_err(failed)?).map_err(failed)?;
    }
    let swept = effect.clear || !effect.ranges.is_empty();
    let mut asked: Vec<(usize, IdbRequest)> = Vec::new();
    let mut sizes = Vec::new();
    let mut remembered = false;
    let mut current: Option<(Table, IdbObjectStore)> = None;
    for ((table, key), value) in &effect.rows {
        let store = match &current {
            Some((of, store)) if of == table => store,
            _ => &current.insert((*table, store(*table)?)).1,
        };
        let name = key_value(key);
        let fresh = appending && append_only(*table) && value.is_some();
        if !fresh && !effect.clear {
            // A range that was just emptied may have held the row.
            let known = if swept { None } else { shared.memory.borrow().size(*table, key) };
            match known {
                Some(size) => {
                    remembered = true;
                    change.went(key.len(), size);
                }
                None => asked.push((key.len(), store.get(&name).map_err(failed)?)),
            }
        }
        if !append_only(*table) {
            sizes.push(((*table, key.to_vec()), value.map(<[u8]>::len)));
        }
        match value {
            Some(value) => {
                change.more = change.more.saturating_add(row_bytes(key.len(), value.len()));
                let value = Uint8Array::from(*value).buffer();
                if fresh { store.add_with_key(&value, &name) } else { store.put_with_key(&value, &name) }
            }
            None => store.delete(&name),
        }
        .map_err(failed)?;
    }
    let learnt = |count| Learnt { count, swept, sizes };
    let put = |count: Count| state.put_with_key(&count.value(), &USAGE_ROW.into()).map_err(failed);
    let before = shared.memory.borrow().count();
    if let Some(before) = before
        && asked.is_empty()
        && let Some(after) = change.after(before, shared.budget)
    {
        // Nothing to wait for. The row is read all the same: if it is not as we left it, all this is undone.
        put(after)?;
        let found = Count::of(&done(&count).await?)?;
        return if found == before { Ok(learnt(after)) } else { Err(Refused::Stale) };
    }
    // Requests are answered in order: with the last, all are here.
    if let Some((_, last)) = asked.last() {
        done(last).await?;
    }
    for (key, old) in &asked {
        let old = done(old).await?;
        change.went(*key, (!old.is_undefined()).then(|| buffer_len(&old)));
    }
    let found = Count::of(&done(&count).await?)?;
    if remembered && Some(found) != before {
        return Err(Refused::Stale);
    }
    let after = change.after(found, shared.budget).ok_or(Refused::For(StoreError::Full))?;
    // The transaction commits by itself after this. Calling `commit()` would be quicker by a message, but after it
    // Firefox commits the rest even when an `add` before it fails: half a batch.
    put(after)?;
    Ok(learnt(after))
}

/// What a write does to the count.
#[derive(Default)]
struct Change {
    clear: bool,
    less: u64,
    more: u64,
}

impl Change {
    /// A row with a value of this length goes, if there is one.
    fn went(&mut self, key: usize, size: Option<usize>) {
        if let Some(size) = size {
            self.less = self.less.saturating_add(row_bytes(key, size));
        }
    }

    /// The count after the write, or nothing if that is too much.
    fn after(&self, before: Count, budget: u64) -> Option<Count> {
        let left = if self.clear { 0 } else { before.bytes };
        let bytes = left.saturating_add(self.more).saturating_sub(self.less);
        fits(before.bytes, bytes, budget).then_some(Count { bytes, serial: before.serial.saturating_add(1) })
    }
}

/// Tables whose rows are written once and later only deleted.
fn append_only(table: Table) -> bool {
    matches!(table, Table::Tail | Table::Segment | Table::Arrival | Table::History)
}

/// What the rows of a range count for. In pages, so that memory does not grow with the range.
async fn range_bytes(store: &IdbObjectStore, range: &KeyRange) -> Result<u64, Refused> {
    let mut bytes = 0u64;
    let mut rest = range.clone();
    loop {
        let asked = key_range(&rest).and_then(|range| Page::ask(store, &range, PAGE)).map_err(failed)?;
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
