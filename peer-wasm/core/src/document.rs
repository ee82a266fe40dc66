//! The merged state of a space: one tree of registers.
//!
//! Every place in the tree has at most one register: the last write there, by (clock, author). A JSON object is a
//! marker at its own place and a register for each member, at any depth, so concurrent writes to different fields
//! never touch; arrays and scalars are one register. Deletion writes a register that says so.
//!
//! When one writer makes a place a scalar while another writes below it, both registers are kept and the later one
//! is what reads show. A register is *hidden* if a scalar above it is later, or if it is a scalar and something
//! live below it is later. That is a function of the registers alone, so every peer shows the same, whatever the
//! order of arrival.

mod ops;
mod plan;
mod read;
mod row;

pub use ops::{Item, Leaf, MAX_OPS, MAX_WRITE_ID, Op, Ops};
pub(crate) use plan::restore;
pub use plan::{MAX_VALUE, Planned, plan};
pub(crate) use read::child_name;
pub use read::{Listing, Located, MAX_TREE_ROWS, Tree, inside, list, locate, merge_versions, tree};
pub use row::{Register, ViewRow, view_key, view_prefix, write_id_key};

use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use std::collections::{BTreeMap, BTreeSet};

/// What applying ops changes.
#[derive(Debug, Default)]
pub struct Applied {
    /// View rows to write: key and row.
    pub rows: BTreeMap<Vec<u8>, ViewRow>,
    /// The places whose register changed.
    pub changed: Vec<Path>,
}

/// Works out what `items` change in the space's tree. Order does not matter; applying twice changes nothing.
pub fn apply(lens: &Lens<'_>, space: u32, items: &[Item]) -> Result<Applied, Miss> {
    // Load every place and every place above in one go.
    let keys: Vec<Vec<u8>> = items.iter().map(|item| view_key(space, &item.path)).collect();
    let places: BTreeSet<&[u8]> = keys.iter().flat_map(|key| above(key).chain([key.as_slice()])).collect();
    lens.want(Table::View, &places)?;
    let mut work = Work { lens, rows: BTreeMap::new(), clashes: BTreeSet::new(), plain: BTreeSet::new() };
    let mut changed = Vec::new();
    for (item, key) in items.iter().zip(&keys) {
        if work.put(item, key)? {
            changed.push(item.path.clone());
        }
    }
    work.settle_all()?;
    Ok(Applied { rows: work.rows, changed })
}

/// The keys of the places above a key's, from the top down: a key is its place's names, each followed by a zero.
fn above(key: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let top = key.get(..row::PREFIX);
    let last = key.len().saturating_sub(1);
    let ends = key.iter().enumerate().skip(row::PREFIX).filter(move |(at, byte)| **byte == 0 && *at < last);
    let names = ends.map(|(at, _)| key.get(..=at).unwrap_or_default());
    top.filter(|top| top.len() < key.len()).into_iter().chain(names)
}

struct Work<'a, 'b, 'c> {
    lens: &'b Lens<'a>,
    rows: BTreeMap<Vec<u8>, ViewRow>,
    /// Places at and below which a scalar meets something else.
    clashes: BTreeSet<&'c [u8]>,
    /// Places known to have something below and to hold no scalar.
    plain: BTreeSet<&'c [u8]>,
}

impl<'c> Work<'_, '_, 'c> {
    fn row(&self, key: &[u8]) -> Result<ViewRow, Miss> {
        if let Some(row) = self.rows.get(key) {
            return Ok(row.clone());
        }
        let stored = self.lens.get(Table::View, key)?;
        Ok(stored.and_then(ViewRow::decode).unwrap_or_default())
    }

    fn put(&mut self, item: &Item, key: &'c [u8]) -> Result<bool, Miss> {
        let mut row = self.row(key)?;
        if row.register.as_ref().is_some_and(|held| !item.register.is_after(held)) {
            return Ok(false);
        }
        let was_scalar = row.register.as_ref().is_some_and(Register::is_scalar);
        let is_scalar = item.register.is_scalar();
        let mut clash = row.container && (was_scalar || is_scalar);
        let mut top = key;
        row.register = Some(item.register.clone());
        row.hidden = false;
        for above in above(key).rev() {
            if self.plain.contains(above) {
                continue;
            }
            let mut above_row = self.row(above)?;
            if above_row.register.as_ref().is_some_and(Register::is_scalar) {
                clash = true;
                top = above;
            } else {
                self.plain.insert(above);
            }
            if !above_row.container {
                above_row.container = true;
                self.rows.insert(above.to_vec(), above_row);
            }
        }
        if is_scalar {
            self.plain.remove(key);
        }
        self.rows.insert(key.to_vec(), row);
        if clash {
            self.clashes.insert(top);
        }
        Ok(true)
    }

    /// Settles every clash, each subtree once.
    fn settle_all(&mut self) -> Result<(), Miss> {
        let clashes = std::mem::take(&mut self.clashes);
        for top in clashes.iter().filter(|top| !above(top).any(|above| clashes.contains(above))) {
            self.settle(top)?;
        }
        Ok(())
    }

    /// Works out anew what is hidden at and below `top`, which no scalar stands above.
    fn settle(&mut self, prefix: &[u8]) -> Result<(), Miss> {
        let mut subtree: BTreeMap<Vec<u8>, ViewRow> = self
            .lens
            .scan(Table::View, &KeyRange::prefix(prefix), usize::MAX / 2, false)?
            .into_iter()
            .map(|(key, value)| (key, ViewRow::decode(&value).unwrap_or_default()))
            .collect();
        subtree
            .extend(self.rows.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(k, r)| (k.clone(), r.clone())));
        let hidden = hidden(&subtree);
        for (key, row) in &subtree {
            let now = hidden.contains(key);
            if row.hidden != now || self.rows.contains_key(key) {
                self.rows.insert(key.clone(), ViewRow { hidden: now, ..row.clone() });
            }
        }
        Ok(())
    }
}

/// The places, among these of one subtree, whose register reads do not show: what a later scalar above takes the place
/// of, and scalars with something later below.
pub(crate) fn hidden(subtree: &BTreeMap<Vec<u8>, ViewRow>) -> BTreeSet<Vec<u8>> {
    let mut scalars: Vec<(&Vec<u8>, &Register)> = Vec::new();
    let mut hidden = BTreeSet::new();
    for (key, row) in subtree {
        let Some(register) = row.register.as_ref().filter(|register| register.is_live()) else { continue };
        scalars.retain(|(above, _)| key.starts_with(above));
        if scalars.iter().any(|(_, above)| above.is_after(register)) {
            hidden.insert(key.clone());
        }
        let overtaken = scalars.iter().filter(|(_, above)| register.is_after(above));
        hidden.extend(overtaken.map(|(above, _)| (*above).clone()));
        if register.is_scalar() {
            scalars.push((key, register));
        }
    }
    hidden
}

#[cfg(test)]
mod tests;
