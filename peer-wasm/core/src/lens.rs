//! Reading rows without a store: what was loaded, seen through what is on its way to be written.
//!
//! A step of work is a pure function over a [`Lens`]. Where a row it needs is not loaded, the lens notes what is
//! missing and the step stops with [`Miss`]; the peer asks for those rows and runs the step again from its start.
//! No step changes anything before it has all it needs, so running it again is safe.

use crate::rows::{Batch, KeyRange, Read, Rows, Table};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Some rows are not loaded yet; which, the lens has noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Miss;

/// The rows loaded for one piece of work.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    rows: kith_map::BTreeMap<Table, HashMap<Vec<u8>, Rows>>,
    scans: HashMap<Read, Rows>,
}

impl Answers {
    /// Adds what the store answered.
    pub fn add(&mut self, read: Read, rows: Rows) {
        match read {
            Read::Get { table, key } => drop(self.rows.entry(table).or_default().insert(key, rows)),
            scan => drop(self.scans.insert(scan, rows)),
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.scans.clear();
    }
}

/// In which transaction a row was written, and what it holds; none if it was removed.
type Written = (u64, Option<Vec<u8>>);

/// Row changes that are not yet sure to be seen by every load: newer than the store, in order.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    rows: kith_map::BTreeMap<Table, BTreeMap<Vec<u8>, Written>>,
    ranges: Vec<(u64, Table, KeyRange)>,
}

impl Overlay {
    /// Lays a batch on top, marked with the number of the transaction it goes into.
    pub fn push(&mut self, transaction: u64, batch: &Batch) {
        for (table, range) in &batch.delete_ranges {
            self.rows.entry(*table).or_default().retain(|key, _| !range.contains(key));
            self.ranges.push((transaction, *table, range.clone()));
        }
        for (table, key) in &batch.deletes {
            self.rows.entry(*table).or_default().insert(key.clone(), (transaction, None));
        }
        for (table, key, value) in &batch.puts {
            self.rows.entry(*table).or_default().insert(key.clone(), (transaction, Some(value.clone())));
        }
    }

    /// Drops what transactions up to this number wrote: every load from now on sees it in the store.
    pub fn forget(&mut self, upto: u64) {
        for rows in self.rows.values_mut() {
            rows.retain(|_, (transaction, _)| *transaction > upto);
        }
        self.ranges.retain(|(transaction, _, _)| *transaction > upto);
    }

    /// Drops everything: the writes did not happen.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.ranges.clear();
    }

    /// The row under a key.
    pub(crate) fn row(&self, table: Table, key: &[u8]) -> Option<&[u8]> {
        self.rows.get(&table)?.get(key)?.1.as_deref()
    }

    /// The rows of a range.
    pub(crate) fn rows_in(&self, table: Table, range: &KeyRange) -> impl Iterator<Item = (&[u8], &[u8])> {
        let rows = self.rows.get(&table).filter(|_| range.start < range.end);
        let rows = rows.into_iter().flat_map(|rows| rows.range(range.start.clone()..range.end.clone()));
        rows.filter_map(|(key, (_, row))| Some((key.as_slice(), row.as_deref()?)))
    }

    /// Drops the rows of a table that are not to be kept.
    pub(crate) fn retain(&mut self, table: Table, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        if let Some(rows) = self.rows.get_mut(&table) {
            rows.retain(|key, (_, row)| row.as_deref().is_some_and(|row| keep(key, row)));
        }
    }

    /// How many rows it holds.
    pub fn len(&self) -> usize {
        self.rows.values().map(BTreeMap::len).sum()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.ranges.is_empty()
    }

    fn hides(&self, table: Table, key: &[u8]) -> bool {
        self.ranges.iter().any(|(_, ranged, range)| *ranged == table && range.contains(key))
    }
}

/// Loaded rows seen through an overlay.
pub struct Lens<'a> {
    answers: &'a Answers,
    overlay: &'a Overlay,
    /// What the overlay does not hold is not there at all.
    alone: bool,
    /// Rows of the tree that reads see before they can be stored.
    early: Option<&'a Overlay>,
    missing: RefCell<(Vec<Read>, HashSet<Read>)>,
}

impl<'a> Lens<'a> {
    /// A lens over what was loaded.
    pub fn new(answers: &'a Answers, overlay: &'a Overlay) -> Lens<'a> {
        Lens { answers, overlay, alone: false, early: None, missing: RefCell::default() }
    }

    /// A lens over rows that are in no store: those in the overlay and no others. Nothing is ever missing.
    pub fn over(overlay: &'a Overlay, answers: &'a Answers) -> Lens<'a> {
        Lens { alone: true, ..Lens::new(answers, overlay) }
    }

    /// The same where reads see these rows of the tree, too; see `document/early`.
    pub(crate) fn seeing(self, early: Option<&'a Overlay>) -> Lens<'a> {
        Lens { early, ..self }
    }

    /// The rows that reads see before they can be stored.
    pub(crate) fn early(&self) -> Option<&'a Overlay> {
        self.early
    }

    /// What steps found missing.
    pub fn into_missing(self) -> Vec<Read> {
        self.missing.into_inner().0
    }

    /// The row under a key.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<&'a [u8]>, Miss> {
        if let Some((_, value)) = self.overlay.rows.get(&table).and_then(|rows| rows.get(key)) {
            return Ok(value.as_deref());
        }
        if self.alone || self.overlay.hides(table, key) {
            return Ok(None);
        }
        let Some(rows) = self.answers.rows.get(&table).and_then(|rows| rows.get(key)) else {
            return Err(self.miss(Read::Get { table, key: key.to_vec() }));
        };
        Ok(rows.first().map(|(_, value)| value.as_slice()))
    }

    /// Notes that these keys will be needed, so that they are loaded together. A miss if any is not there yet.
    pub fn want<K: AsRef<[u8]>>(&self, table: Table, keys: impl IntoIterator<Item = K>) -> Result<(), Miss> {
        let mut all = Ok(());
        for key in keys {
            if self.get(table, key.as_ref()).is_err() {
                all = Err(Miss);
            }
        }
        all
    }

    /// Up to `limit` rows of a range.
    pub fn scan(&self, table: Table, range: &KeyRange, limit: usize, reverse: bool) -> Result<Rows, Miss> {
        let above: Vec<(&Vec<u8>, Option<&Vec<u8>>)> = if range.start < range.end {
            self.overlay
                .rows
                .get(&table)
                .into_iter()
                .flat_map(|rows| rows.range(range.start.clone()..range.end.clone()))
                .map(|(key, (_, value))| (key, value.as_ref()))
                .collect()
        } else {
            return Ok(Rows::new());
        };
        // Ask for enough that rows deleted above cannot leave the page short. Rows written above only add to it: asking for
        // more because of them would bring in long rows in vain.
        let deleted = above.iter().filter(|(_, value)| value.is_none()).count();
        let cleared = self
            .overlay
            .ranges
            .iter()
            .any(|(_, ranged, gone)| *ranged == table && gone.start < range.end && range.start < gone.end);
        let padded = if cleared { usize::MAX / 2 } else { limit.saturating_add(deleted.next_multiple_of(64)) };
        let read = Read::Scan { table, range: range.clone(), limit: padded, reverse };
        let nothing = Rows::new();
        let below = match self.answers.scans.get(&read) {
            Some(below) => below,
            None if self.alone => &nothing,
            None => return Err(self.miss(read)),
        };
        let complete = below.len() < padded;
        let edge = below.last().map(|(key, _)| key.as_slice());
        let mut merged: kith_map::BTreeMap<&[u8], &[u8]> = below
            .iter()
            .filter(|(key, _)| !self.overlay.hides(table, key))
            .map(|(key, value)| (key.as_slice(), value.as_slice()))
            .collect();
        for (key, value) in above {
            let known = complete
                || edge.is_some_and(|edge| if reverse { key.as_slice() >= edge } else { key.as_slice() <= edge });
            match value {
                Some(value) if known => {
                    merged.insert(key, value);
                }
                Some(_) => {}
                None => {
                    merged.remove(key.as_slice());
                }
            }
        }
        let own = |(key, value): (&&[u8], &&[u8])| (key.to_vec(), value.to_vec());
        Ok(if reverse {
            merged.iter().rev().take(limit).map(own).collect()
        } else {
            merged.iter().take(limit).map(own).collect()
        })
    }

    /// Runs a step that sees these changes as written already.
    pub fn with<T>(&self, batch: &Batch, step: impl FnOnce(&Lens<'_>) -> Result<T, Miss>) -> Result<T, Miss> {
        let mut overlay = self.overlay.clone();
        overlay.push(u64::MAX, batch);
        let lens = Lens { alone: self.alone, ..Lens::new(self.answers, &overlay) };
        let done = step(&lens);
        for read in lens.into_missing() {
            self.miss(read);
        }
        done
    }

    fn miss(&self, read: Read) -> Miss {
        let mut missing = self.missing.borrow_mut();
        if missing.1.insert(read.clone()) {
            missing.0.push(read);
        }
        Miss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(keys: &[u8]) -> Rows {
        keys.iter().map(|key| (vec![*key], vec![*key])).collect()
    }

    #[test]
    fn a_scan_asks_for_no_more_because_of_what_was_written() {
        let mut overlay = Overlay::default();
        overlay.push(1, &Batch { puts: (10..60).map(put).collect(), ..Batch::default() });
        let (answers, range) = (Answers::default(), KeyRange { start: vec![0], end: vec![99] });
        let lens = Lens::new(&answers, &overlay);
        assert_eq!(lens.scan(Table::View, &range, 4, false), Err(Miss));
        assert_eq!(
            lens.into_missing(),
            [Read::Scan { table: Table::View, range: range.clone(), limit: 4, reverse: false }]
        );
        let mut answers = Answers::default();
        let read = Read::Scan { table: Table::View, range: range.clone(), limit: 4, reverse: false };
        answers.add(read, rows(&[1, 2, 50, 70]));
        let lens = Lens::new(&answers, &overlay);
        let keys: Vec<u8> = lens.scan(Table::View, &range, 4, false).unwrap().iter().map(|(key, _)| key[0]).collect();
        assert_eq!(keys, [1, 2, 10, 11]);
    }

    fn put(key: u8) -> (Table, Vec<u8>, Vec<u8>) {
        (Table::View, vec![key], vec![100 + key])
    }

    #[test]
    fn a_scan_shows_what_is_about_to_be_written() {
        let mut overlay = Overlay::default();
        overlay
            .push(1, &Batch { puts: vec![put(2), put(5)], deletes: vec![(Table::View, vec![3])], ..Batch::default() });
        let range = KeyRange { start: vec![0], end: vec![9] };
        let mut answers = Answers::default();
        let read = Read::Scan { table: Table::View, range: range.clone(), limit: 2 + 64, reverse: false };
        assert_eq!(Lens::new(&answers, &overlay).scan(Table::View, &range, 2, false), Err(Miss));
        answers.add(read, rows(&[1, 3, 4]));
        let lens = Lens::new(&answers, &overlay);
        let keys: Vec<u8> = lens.scan(Table::View, &range, 2, false).unwrap().iter().map(|(key, _)| key[0]).collect();
        assert_eq!(keys, [1, 2]);
    }

    #[test]
    fn a_deleted_range_hides_what_is_stored_until_it_is_forgotten() {
        let mut overlay = Overlay::default();
        let range = KeyRange { start: vec![0], end: vec![9] };
        overlay.push(1, &Batch { delete_ranges: vec![(Table::View, range)], puts: vec![put(2)], ..Batch::default() });
        let mut answers = Answers::default();
        answers.add(Read::Get { table: Table::View, key: vec![1] }, rows(&[1]));
        assert_eq!(Lens::new(&answers, &overlay).get(Table::View, &[1]), Ok(None));
        assert_eq!(Lens::new(&answers, &overlay).get(Table::View, &[2]), Ok(Some(&[102][..])));
        overlay.forget(1);
        assert_eq!(Lens::new(&answers, &overlay).get(Table::View, &[1]), Ok(Some(&[1][..])));
    }
}
