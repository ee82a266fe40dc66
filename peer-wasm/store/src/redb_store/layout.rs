//! Bringing a redb file to the current layout.

use std::ops::Bound;

use redb::{Database, ReadableTable, TableDefinition, TableHandle, WriteTransaction};

use super::{NUMBERS, RowTable, failed};
use crate::paged::packer::Packer;
use crate::schema::{PAGE, Rewrite, RowChange, STATE, Step, USAGE_ROW, newest};
use crate::{StoreError, row_bytes};

/// The one row with the layout's number. IndexedDB has a version of its own; redb has not.
const LAYOUT: TableDefinition<'static, (), u32> = TableDefinition::new("_layout");

/// Carries out the steps that are missing, all in one transaction.
pub(super) fn bring_up(database: &Database, steps: &[Step]) -> Result<(), StoreError> {
    let known = newest(steps);
    let transaction = database.begin_write().map_err(failed)?;
    let found = {
        let mut layout = transaction.open_table(LAYOUT).map_err(failed)?;
        layout.insert((), known).map_err(failed)?.map_or(0, |found| found.value())
    };
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    for step in steps.iter().filter(|step| step.to > found) {
        for name in step.creates {
            if *name == STATE {
                transaction.open_table(NUMBERS).map_err(failed)?;
            } else {
                transaction.open_table(RowTable::new(name)).map_err(failed)?;
            }
        }
        for (name, rewrite) in step.rewrites {
            rewrite_rows(&transaction, name, *rewrite)?;
        }
        for (from, to) in step.packs {
            pack_rows(&transaction, from, to)?;
        }
        if step.recount {
            recount(&transaction)?;
        }
    }
    transaction.commit().map_err(failed)
}

fn rewrite_rows(transaction: &WriteTransaction, name: &'static str, rewrite: Rewrite) -> Result<(), StoreError> {
    let mut table = transaction.open_table(RowTable::new(name)).map_err(failed)?;
    let mut from: Option<Vec<u8>> = None;
    loop {
        let mut changes = Vec::new();
        let mut last = None;
        let start = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        for row in table.range::<&[u8]>((start, Bound::Unbounded)).map_err(failed)?.take(PAGE as usize) {
            let (key, value) = row.map_err(failed)?;
            changes.push((key.value().to_vec(), rewrite(key.value(), value.value())));
            last = Some(key.value().to_vec());
        }
        for (key, change) in &changes {
            match change {
                RowChange::Keep => {}
                RowChange::Replace(value) => {
                    table.insert(key.as_slice(), value.as_slice()).map_err(failed)?;
                }
                RowChange::Remove => {
                    table.remove(key.as_slice()).map_err(failed)?;
                }
            }
        }
        match last {
            Some(last) => from = Some(last),
            None => return Ok(()),
        }
    }
}

/// Packs the rows of one table into pages of another, takes the table away and corrects the count.
fn pack_rows(transaction: &WriteTransaction, from: &'static str, to: &'static str) -> Result<(), StoreError> {
    let (mut less, mut more) = (0u64, 0u64);
    {
        let rows = transaction.open_table(RowTable::new(from)).map_err(failed)?;
        let mut pages = transaction.open_table(RowTable::new(to)).map_err(failed)?;
        let mut packer = Packer::default();
        let mut store = |stored: &mut dyn Iterator<Item = (Vec<u8>, Vec<u8>)>| {
            for (key, value) in stored {
                more = more.saturating_add(row_bytes(key.len(), value.len()));
                pages.insert(key.as_slice(), value.as_slice()).map_err(failed)?;
            }
            Ok::<(), StoreError>(())
        };
        for row in rows.iter().map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            less = less.saturating_add(row_bytes(key.value().len(), value.value().len()));
            store(&mut packer.push(key.value(), value.value()).into_iter())?;
        }
        store(&mut packer.finish().into_iter())?;
    }
    transaction.delete_table(RowTable::new(from)).map_err(failed)?;
    let mut numbers = transaction.open_table(NUMBERS).map_err(failed)?;
    let before = numbers.get(USAGE_ROW).map_err(failed)?.map_or(0, |bytes| bytes.value());
    numbers.insert(USAGE_ROW, before.saturating_add(more).saturating_sub(less)).map_err(failed)?;
    Ok(())
}

/// Counts the bytes of every table and writes the count.
fn recount(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let names: Vec<String> = transaction.list_tables().map_err(failed)?.map(|table| table.name().to_owned()).collect();
    let mut total = 0u64;
    for name in names.iter().filter(|name| *name != STATE && *name != LAYOUT.name()) {
        let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(name);
        let table = transaction.open_table(definition).map_err(failed)?;
        for row in table.iter().map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            total = total.saturating_add(row_bytes(key.value().len(), value.value().len()));
        }
    }
    let mut numbers = transaction.open_table(NUMBERS).map_err(failed)?;
    numbers.insert(USAGE_ROW, total).map_err(failed)?;
    Ok(())
}
