//! The count of stored bytes: the row that holds it, and what we remember so as not to ask.

use std::collections::HashMap;

use js_sys::{Array, ArrayBuffer};
use kith_core::rows::Table;
use wasm_bindgen::{JsCast, JsValue};

use crate::StoreError;
use crate::row_bytes;

/// Sizes of so many rows are remembered: the heads and places that are written again and again.
const REMEMBERED_ROWS: usize = 4_096;

/// A row's table and key.
type RowName = (Table, Vec<u8>);

/// What the store's own row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// Bytes in use.
    pub(super) bytes: u64,
    /// Goes up with every write of any connection. Tells whether what we remember still holds.
    pub(super) serial: u64,
}

impl Count {
    /// Reads the row.
    pub(super) fn of(value: &JsValue) -> Result<Count, StoreError> {
        let missing = || StoreError::Corrupt("the count of stored bytes is missing".into());
        let numbers = value.dyn_ref::<Array>().ok_or_else(missing)?;
        let number = |at| match numbers.get(at).as_f64() {
            // Whole numbers up to 2^53 are exact in a float; no device stores more.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Some(number) if number >= 0.0 => Ok(number as u64),
            _ => Err(missing()),
        };
        Ok(Count { bytes: number(0)?, serial: number(1)? })
    }

    /// The row.
    pub(super) fn value(self) -> JsValue {
        #[allow(clippy::cast_precision_loss)]
        Array::of2(&(self.bytes as f64).into(), &(self.serial as f64).into()).into()
    }
}

/// What the last write left, as far as we know. Only good while the row in the database has the same serial.
#[derive(Debug, Default)]
pub(super) struct Memory {
    count: Option<Count>,
    /// The length of a row's value, or `None` if there is no such row.
    sizes: HashMap<RowName, Option<usize>>,
}

/// What a write teaches, once it is committed.
pub(super) struct Learnt {
    pub(super) count: Count,
    /// Whether rows went away that were not named.
    pub(super) swept: bool,
    pub(super) sizes: Vec<(RowName, Option<usize>)>,
}

impl Memory {
    pub(super) fn count(&self) -> Option<Count> {
        self.count
    }

    /// The length of a row's value if it is remembered.
    pub(super) fn size(&self, table: Table, key: &[u8]) -> Option<Option<usize>> {
        // Without a count there are no sizes, and no key is copied in vain.
        self.count.and_then(|_| self.sizes.get(&(table, key.to_vec())).copied())
    }

    pub(super) fn keep(&mut self, learnt: Learnt) {
        if learnt.swept || self.sizes.len().saturating_add(learnt.sizes.len()) > REMEMBERED_ROWS {
            self.sizes.clear();
        }
        self.count = Some(learnt.count);
        self.sizes.extend(learnt.sizes.into_iter().take(REMEMBERED_ROWS));
    }

    pub(super) fn forget(&mut self) {
        *self = Memory::default();
    }
}

/// What the rows of a page count for.
pub(super) fn page_bytes(keys: &Array, values: &Array) -> u64 {
    keys.iter()
        .zip(values.iter())
        .map(|(key, value)| row_bytes(buffer_len(&key), buffer_len(&value)))
        .fold(0, u64::saturating_add)
}

/// The length of an `ArrayBuffer` from the database.
pub(super) fn buffer_len(value: &JsValue) -> usize {
    value.dyn_ref::<ArrayBuffer>().map_or(0, |buffer| buffer.byte_length() as usize)
}
