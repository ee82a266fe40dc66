//! A peer's rows in a simulation: what is committed, and survives a crash.

use crate::rows::{Batch, KeyRange, Read, Rows, Table};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A real store beside a simulated disk: it is given the same, and its peer is answered by it.
pub trait Shadow {
    /// Applies a batch, all of it.
    fn commit(&self, batch: &Batch);
    /// Answers questions.
    fn read(&self, reads: &[Read]) -> Vec<Rows>;
    /// What was only in memory is lost.
    fn restart(&mut self);
}

/// Committed rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Disk {
    /// Applies a batch, all of it.
    pub fn commit(&mut self, batch: &Batch) {
        for (table, range) in &batch.delete_ranges {
            self.tables.entry(*table).or_default().retain(|key, _| !range.contains(key));
        }
        for (table, key) in &batch.deletes {
            self.tables.entry(*table).or_default().remove(key);
        }
        for (table, key, value) in &batch.puts {
            self.tables.entry(*table).or_default().insert(key.clone(), value.clone());
        }
    }

    /// Answers one question.
    pub fn read(&self, read: &Read) -> Rows {
        let own = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        match read {
            Read::Get { table, key } => {
                let row = self.tables.get(table).and_then(|rows| rows.get_key_value(key));
                row.into_iter().map(own).collect()
            }
            Read::Scan { table, range, limit, reverse } => {
                if range.start >= range.end {
                    return Rows::new();
                }
                let bounds = (Bound::Included(&range.start), Bound::Excluded(&range.end));
                let Some(rows) = self.tables.get(table) else { return Rows::new() };
                let found = rows.range::<Vec<u8>, _>(bounds);
                if *reverse {
                    found.rev().take(*limit).map(own).collect()
                } else {
                    found.take(*limit).map(own).collect()
                }
            }
        }
    }

    /// All rows of a range.
    pub fn all(&self, table: Table, range: KeyRange) -> Rows {
        self.read(&Read::Scan { table, range, limit: usize::MAX, reverse: false })
    }

    /// How many rows a table has.
    pub fn len(&self, table: Table) -> usize {
        self.tables.get(&table).map_or(0, BTreeMap::len)
    }

    /// How many rows all tables have.
    pub fn rows(&self) -> usize {
        self.tables.values().map(BTreeMap::len).sum()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.tables.values().all(BTreeMap::is_empty)
    }
}
