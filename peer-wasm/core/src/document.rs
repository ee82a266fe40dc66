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
pub use plan::{MAX_VALUE, Planned, plan};
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
    let places = items.iter().flat_map(|item| item.path.ancestors().chain([item.path.clone()]));
    lens.want(Table::View, places.map(|path| view_key(space, &path)))?;
    let mut work = Work { lens, space, rows: BTreeMap::new(), clashes: BTreeSet::new() };
    let mut changed = Vec::new();
    for item in items {
        if work.put(item)? {
            changed.push(item.path.clone());
        }
    }
    work.settle_all()?;
    Ok(Applied { rows: work.rows, changed })
}

struct Work<'a, 'b> {
    lens: &'b Lens<'a>,
    space: u32,
    rows: BTreeMap<Vec<u8>, ViewRow>,
    /// Places at and below which a scalar meets something else.
    clashes: BTreeSet<Path>,
}

impl Work<'_, '_> {
    fn row(&self, path: &Path) -> Result<ViewRow, Miss> {
        let key = view_key(self.space, path);
        if let Some(row) = self.rows.get(&key) {
            return Ok(row.clone());
        }
        let stored = self.lens.get(Table::View, &key)?;
        Ok(stored.and_then(ViewRow::decode).unwrap_or_default())
    }

    fn put(&mut self, item: &Item) -> Result<bool, Miss> {
        let mut row = self.row(&item.path)?;
        if row.register.as_ref().is_some_and(|held| !item.register.is_after(held)) {
            return Ok(false);
        }
        let was_scalar = row.register.as_ref().is_some_and(Register::is_scalar);
        let is_scalar = item.register.is_scalar();
        let mut clash = row.container && (was_scalar || is_scalar);
        let mut top = item.path.clone();
        row.register = Some(item.register.clone());
        row.hidden = false;
        for above in item.path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            let mut above_row = self.row(&above)?;
            if above_row.register.as_ref().is_some_and(Register::is_scalar) {
                clash = true;
                top = above.clone();
            }
            if !above_row.container {
                above_row.container = true;
                self.rows.insert(view_key(self.space, &above), above_row);
            }
        }
        self.rows.insert(view_key(self.space, &item.path), row);
        if clash {
            self.clashes.insert(top);
        }
        Ok(true)
    }

    /// Settles every clash, each subtree once.
    fn settle_all(&mut self) -> Result<(), Miss> {
        let clashes = std::mem::take(&mut self.clashes);
        for top in clashes.iter().filter(|top| !top.ancestors().any(|above| clashes.contains(&above))) {
            self.settle(top)?;
        }
        Ok(())
    }

    /// Works out anew what is hidden at and below `top`, which no scalar stands above.
    fn settle(&mut self, top: &Path) -> Result<(), Miss> {
        let mut subtree: BTreeMap<Vec<u8>, ViewRow> = self
            .lens
            .scan(Table::View, &KeyRange::prefix(&view_key(self.space, top)), usize::MAX / 2, false)?
            .into_iter()
            .map(|(key, value)| (key, ViewRow::decode(&value).unwrap_or_default()))
            .collect();
        let prefix = view_key(self.space, top);
        subtree
            .extend(self.rows.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(k, r)| (k.clone(), r.clone())));
        let live = |row: &ViewRow| row.register.as_ref().filter(|register| register.is_live()).cloned();
        let order: Vec<(Vec<u8>, Register)> =
            subtree.iter().filter_map(|(key, row)| Some((key.clone(), live(row)?))).collect();
        let mut scalars: Vec<(Vec<u8>, Register)> = Vec::new();
        let mut hidden: BTreeMap<&[u8], bool> = BTreeMap::new();
        let mut overtaken: Vec<Vec<u8>> = Vec::new();
        for (key, register) in &order {
            scalars.retain(|(above, _)| key.starts_with(above));
            let under = scalars.iter().any(|(_, above)| above.is_after(register));
            overtaken
                .extend(scalars.iter().filter(|(_, above)| register.is_after(above)).map(|(above, _)| above.clone()));
            hidden.insert(key, under);
            if register.is_scalar() {
                scalars.push((key.clone(), register.clone()));
            }
        }
        for key in &overtaken {
            hidden.insert(key, true);
        }
        for (key, row) in &subtree {
            let now = hidden.get(key.as_slice()).copied().unwrap_or(false);
            if row.hidden != now || self.rows.contains_key(key) {
                self.rows.insert(key.clone(), ViewRow { hidden: now, ..row.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
