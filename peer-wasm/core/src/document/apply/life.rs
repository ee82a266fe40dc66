//! A new life of a place: what was there, and the parts of a set or list wherever moves put them, ends.

use super::{Work, above};
use crate::document::kind::{Stamp, State, tag};
use crate::document::moves::MAX_MOVES;
use crate::document::ops::Item;
use crate::document::row::{ViewRow, view_key};
use crate::lens::Miss;
use crate::path::{MAX_SEGMENTS, Path};
use crate::rows::{KeyRange, Table};
use kith_map::BTreeSet;

/// So many rows are looked at first.
const FEW: usize = 64;

/// The keys of what moves tore apart of a set or list.
#[derive(Default)]
pub(super) struct Away {
    pub(super) away: Vec<Vec<u8>>,
    foreign: BTreeSet<Vec<u8>>,
}

impl Away {
    pub(super) fn of(space: u32, item: &Item) -> Away {
        let Some(strays) = item.strays.as_ref().filter(|_| item.since.is_some()) else { return Away::default() };
        let keys = |paths: &[Path]| paths.iter().map(|path| view_key(space, path)).collect::<Vec<_>>();
        Away { away: keys(&strays.away), foreign: keys(&strays.foreign).into_iter().collect() }
    }
}

impl ViewRow {
    /// Ends what it is as a part of a set or list; false if it is none.
    fn end(&mut self) -> bool {
        let is_part = |kind: u8| matches!(kind, tag::MEMBER | tag::ELEMENT);
        if !self.states.0.iter().any(|(kind, _)| is_part(*kind)) {
            return false;
        }
        self.states.0.retain(|(kind, _)| !is_part(*kind));
        self.register = self.register.take().filter(|held| !held.leaf.tag().is_some_and(is_part));
        self.hidden = false;
        true
    }
}

impl<'c> Work<'_, '_, 'c> {
    /// Begins a new life at a place: whatever is known of the one before goes, with what stands in a set or list. Tells
    /// whether there was a text.
    pub(super) fn begin(&mut self, key: &'c [u8], purge: Stamp, strays: &'c Away) -> Result<bool, Miss> {
        let before = self.row(key)?;
        let held = |kind| before.states.get(kind).is_some();
        let mut row = before.clone();
        // Who moved something there or away is nothing of a life.
        row.states.0.retain(|(kind, _)| *kind == tag::MOVE);
        row.states.0.push((tag::SINCE, State::Since(purge)));
        row.register = None;
        let mut clash = false;
        if before.is_in_conflict() {
            self.conflicts.retain(|(known, _)| known != key);
            self.conflicts.push((key.to_vec(), false));
        }
        if held(tag::SET) || held(tag::LIST) {
            let mut subtree = self.subtree(key)?;
            subtree.remove(key);
            row.container = false;
            self.plain.remove(key);
            for (place, mut part) in subtree {
                // Its parts are just below it, unless they were moved.
                let name = place.get(key.len()..).unwrap_or_default();
                if name.iter().filter(|byte| **byte == 0).count() == 1 && !strays.foreign.contains(&place) && part.end()
                {
                    self.emptied.insert(place.clone());
                    self.rows.insert(place, part.clone());
                    clash |= part.container;
                }
                row.container |= part.is_held() || part.container;
            }
        }
        self.reshape(key, row, &before, clash)?;
        for place in &strays.away {
            self.vacate(place)?;
        }
        Ok(held(tag::TEXT))
    }

    /// Ends what stood at a place as a part of a set or list that it is not in any more.
    fn vacate(&mut self, key: &'c [u8]) -> Result<(), Miss> {
        let before = self.row(key)?;
        let mut part = before.clone();
        if !part.end() {
            return Ok(());
        }
        let is_over = !part.is_held() && !part.container;
        self.reshape(key, part, &before, false)?;
        if !is_over {
            return Ok(());
        }
        self.emptied.insert(key.to_vec());
        // What it stood in may hold nothing any more.
        for above in above(key).rev() {
            if self.holds(above)? {
                break;
            }
            let row = ViewRow { container: false, ..self.row(above)? };
            let is_held = row.is_held();
            self.plain.remove(above);
            self.rows.insert(above.to_vec(), row);
            if is_held {
                break;
            }
            self.emptied.insert(above.to_vec());
        }
        Ok(())
    }

    /// Whether anything below a place is held.
    fn holds(&self, above: &[u8]) -> Result<bool, Miss> {
        let is_below = |below: &[u8]| below.len() > above.len() && below.starts_with(above);
        if self.rows.iter().any(|(below, row)| is_below(below) && row.is_held()) {
            return Ok(true);
        }
        let held = |(below, row): &(Vec<u8>, Vec<u8>)| {
            is_below(below) && !self.rows.contains_key(below) && ViewRow::decode(row).is_some_and(|row| row.is_held())
        };
        // Nearly always there is something among the first; rows that only note moves, or that go, may come before it.
        for most in [FEW, self.rows.len() + 8 * MAX_MOVES + MAX_SEGMENTS] {
            let stored = self.lens.scan(Table::View, &KeyRange::prefix(above), most, false)?;
            if stored.iter().any(held) {
                return Ok(true);
            }
            if stored.len() < most {
                break;
            }
        }
        Ok(false)
    }
}
