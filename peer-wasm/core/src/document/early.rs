//! Rows of places whose entries came before the logs they stand in: reads see them laid over the stored rows where they
//! are later, until the logs have come. Nothing is ever stored or merged from them.

use super::row::ViewRow;
use crate::lens::{Lens, Miss};
use crate::rows::{KeyRange, Rows, Table};
use std::collections::BTreeMap;

/// The row a read sees under a key.
pub(super) fn get(lens: &Lens<'_>, key: &[u8]) -> Result<Option<ViewRow>, Miss> {
    let stored = lens.get(Table::View, key)?;
    Ok(match lens.early().and_then(|early| early.row(Table::View, key)) {
        Some(early) => Some(over(stored, early)),
        None => stored.and_then(ViewRow::decode),
    })
}

/// The rows a read sees of a range.
pub(super) fn scan(lens: &Lens<'_>, range: &KeyRange, limit: usize, reverse: bool) -> Result<Rows, Miss> {
    let stored = lens.scan(Table::View, range, limit, reverse)?;
    let Some(early) = lens.early() else { return Ok(stored) };
    // Beyond the last stored row of a full page, what is stored is not known.
    let edge = if stored.len() == limit { stored.last().map(|(key, _)| key.clone()) } else { None };
    let is_known = |key: &[u8]| edge.as_deref().is_none_or(|edge| if reverse { key >= edge } else { key <= edge });
    let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = stored.into_iter().collect();
    for (key, row) in early.rows_in(Table::View, range).filter(|(key, _)| is_known(key)) {
        let row = over(rows.get(key).map(Vec::as_slice), row).encode();
        rows.insert(key.to_vec(), row);
    }
    Ok(if reverse { rows.into_iter().rev().take(limit).collect() } else { rows.into_iter().take(limit).collect() })
}

fn over(stored: Option<&[u8]>, early: &[u8]) -> ViewRow {
    let mut row = stored.and_then(ViewRow::decode).unwrap_or_default();
    let Some(early) = ViewRow::decode(early) else { return row };
    row.container |= early.container;
    if let Some(register) = early.register
        && row.register.as_ref().is_none_or(|stored| register.is_after(stored))
    {
        (row.register, row.hidden, row.early) = (Some(register), early.hidden, true);
    }
    row
}
