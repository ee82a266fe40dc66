//! Answering reads: all questions of a call go out at once in one transaction.

use js_sys::{Array, Uint8Array};
use kith_core::rows::{KeyRange, Read, Rows, Table};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbCursor, IdbCursorDirection, IdbCursorWithValue, IdbKeyRange, IdbObjectStore, IdbRequest};

use super::request::{arrived, done};
use super::{Connection, backend, store_names};
use crate::StoreError;
use crate::schema::stored_name;

/// A question on its way.
enum Asked<'a> {
    /// The answer is no row.
    Nothing,
    /// One row by key.
    Get { key: &'a [u8], value: IdbRequest },
    /// Rows from the start of a range.
    Forward(Page),
    /// The last row of a range.
    Last { cursor: IdbRequest },
    /// Rows from the end of a range, more than one.
    Backward { store: IdbObjectStore, range: &'a KeyRange, limit: u32, cursor: IdbRequest },
}

/// Keys and values of the same rows, asked for in one transaction. `getAllRecords` would give both, but WebKit lacks it.
pub(super) struct Page {
    keys: IdbRequest,
    values: IdbRequest,
}

/// Answers reads from one snapshot.
pub(super) async fn read(connection: &Connection, reads: Vec<Read>) -> Result<Vec<Rows>, StoreError> {
    let names = store_names(reads.iter().map(|read| match read {
        Read::Get { table, .. } | Read::Scan { table, .. } => *table,
    }));
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let transaction = connection.begin(&names, None)?;
    let store = |table: Table| transaction.object_store(stored_name(table));
    let asked = reads.iter().map(|read| ask(read, store)).collect::<Result<Vec<_>, JsValue>>();
    let asked = asked.map_err(|error| backend(&error))?;
    // Requests are answered in order, so one event is enough for all of them.
    if let Some(last) = asked.iter().rev().find_map(Asked::last_request) {
        arrived(last).await;
    }
    let mut answers = Vec::with_capacity(asked.len());
    for question in asked {
        answers.push(question.answer().await?);
    }
    Ok(answers)
}

fn ask(read: &Read, store: impl Fn(Table) -> Result<IdbObjectStore, JsValue>) -> Result<Asked<'_>, JsValue> {
    match read {
        Read::Get { table, key } => Ok(Asked::Get { key, value: store(*table)?.get(&key_value(key))? }),
        Read::Scan { limit: 0, .. } => Ok(Asked::Nothing),
        Read::Scan { range, .. } if range.start >= range.end => Ok(Asked::Nothing),
        Read::Scan { table, range, limit, reverse: false } => {
            Ok(Asked::Forward(Page::ask(&store(*table)?, &key_range(range)?, clamp(*limit))?))
        }
        Read::Scan { table, range, limit: 1, reverse: true } => {
            let request =
                store(*table)?.open_cursor_with_range_and_direction(&key_range(range)?, IdbCursorDirection::Prev)?;
            Ok(Asked::Last { cursor: request })
        }
        Read::Scan { table, range, limit, reverse: true } => {
            let store = store(*table)?;
            let cursor =
                store.open_key_cursor_with_range_and_direction(&key_range(range)?, IdbCursorDirection::Prev)?;
            Ok(Asked::Backward { store, range, limit: clamp(*limit), cursor })
        }
    }
}

impl Asked<'_> {
    fn last_request(&self) -> Option<&IdbRequest> {
        match self {
            Asked::Nothing => None,
            Asked::Get { value, .. } => Some(value),
            Asked::Forward(page) => Some(&page.values),
            Asked::Last { cursor } | Asked::Backward { cursor, .. } => Some(cursor),
        }
    }

    async fn answer(self) -> Result<Rows, StoreError> {
        match self {
            Asked::Nothing => Ok(Vec::new()),
            Asked::Get { key, value } => {
                let value = done(&value).await?;
                Ok(if value.is_undefined() { Vec::new() } else { vec![(key.to_vec(), bytes(&value))] })
            }
            Asked::Forward(page) => page.rows().await,
            Asked::Last { cursor } => {
                let Ok(cursor) = done(&cursor).await?.dyn_into::<IdbCursorWithValue>() else {
                    return Ok(Vec::new());
                };
                let key = cursor.key().map_err(|error| backend(&error))?;
                let value = cursor.value().map_err(|error| backend(&error))?;
                Ok(vec![(bytes(&key), bytes(&value))])
            }
            Asked::Backward { store, range, limit, cursor } => backward(&store, range, limit, &cursor).await,
        }
    }
}

/// Walking back row by row costs an event a row. Instead a cursor jumps to the first row wanted, and the rows from
/// there to the end come as one page.
async fn backward(
    store: &IdbObjectStore,
    range: &KeyRange,
    limit: u32,
    request: &IdbRequest,
) -> Result<Rows, StoreError> {
    let Ok(cursor) = done(request).await?.dyn_into::<IdbCursor>() else {
        return Ok(Vec::new());
    };
    cursor.advance(limit.saturating_sub(1)).map_err(|error| backend(&error))?;
    let from = match done(request).await?.dyn_into::<IdbCursor>() {
        Ok(cursor) => cursor.key().map_err(|error| backend(&error))?,
        // Fewer rows than asked for: from the start.
        Err(_) => key_value(&range.start),
    };
    let end = key_value(&range.end);
    let page = IdbKeyRange::bound_with_lower_open_and_upper_open(&from, &end, false, true)
        .and_then(|range| Page::ask(store, &range, limit))
        .map_err(|error| backend(&error))?;
    let mut rows = page.rows().await?;
    rows.reverse();
    Ok(rows)
}

impl Page {
    /// Asks for the first `limit` rows of a range.
    pub(super) fn ask(store: &IdbObjectStore, range: &JsValue, limit: u32) -> Result<Page, JsValue> {
        Ok(Page {
            keys: store.get_all_keys_with_key_and_limit(range, limit)?,
            values: store.get_all_with_key_and_limit(range, limit)?,
        })
    }

    /// Waits for the rows as the browser holds them: keys and values, of equal number.
    pub(super) async fn fetch(&self) -> Result<(Array, Array), StoreError> {
        // Requests of a transaction are answered in order, so the keys are here when the values are.
        let values: Array = done(&self.values).await?.unchecked_into();
        let keys: Array = done(&self.keys).await?.unchecked_into();
        Ok((keys, values))
    }

    async fn rows(self) -> Result<Rows, StoreError> {
        let (keys, values) = self.fetch().await?;
        Ok(keys.iter().zip(values.iter()).map(|(key, value)| (bytes(&key), bytes(&value))).collect())
    }
}

/// The bytes of an `ArrayBuffer`, copied.
pub(super) fn bytes(buffer: &JsValue) -> Vec<u8> {
    Uint8Array::new(buffer).to_vec()
}

/// A key as the browser takes it.
pub(super) fn key_value(key: &[u8]) -> JsValue {
    Uint8Array::from(key).into()
}

/// A range as the browser takes it. Must not be empty.
pub(super) fn key_range(range: &KeyRange) -> Result<JsValue, JsValue> {
    let (start, end) = (key_value(&range.start), key_value(&range.end));
    IdbKeyRange::bound_with_lower_open_and_upper_open(&start, &end, false, true).map(JsValue::from)
}

fn clamp(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}
