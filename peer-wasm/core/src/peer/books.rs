//! What one step changes in the rows of [`gone`](super::gone): read through a lens, changed in memory, written together.

use super::gone::{
    Gone, MISSING, NAMED, Named, Place, ROUNDS, State, TOLD, WORK, decode_missing, decode_named, encode_missing,
    encode_named, key,
};
use crate::document::redaction::Target;
use crate::lens::{Lens, Miss};
use crate::rows::{Batch, Table};
use crate::sealed::MAX_PARTS;
use kith_map::BTreeMap;

/// How something was and is to be.
type Change<T> = (T, T);

/// What a step does to the rows of this file: read through a lens, changed in memory, written at its end.
pub(super) struct Books<'a, 'b> {
    lens: &'b Lens<'a>,
    space: u32,
    named: BTreeMap<Place, Change<Named>>,
    missing: BTreeMap<Place, Change<Vec<usize>>>,
    /// With whether it was asked about already.
    told: BTreeMap<Place, bool>,
}

impl<'a, 'b> Books<'a, 'b> {
    pub(super) fn new(lens: &'b Lens<'a>, space: u32) -> Books<'a, 'b> {
        Books { lens, space, named: BTreeMap::new(), missing: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Asks for the rows of these entries together.
    pub(super) fn want(&self, places: impl Iterator<Item = Place> + Clone) -> Result<(), Miss> {
        let named = self.lens.want(Table::View, places.clone().map(|place| key(self.space, NAMED, place)));
        let missing = self.lens.want(Table::View, places.clone().map(|place| key(self.space, MISSING, place)));
        let told = self.lens.want(Table::View, places.map(|place| key(self.space, TOLD, place)));
        named.and(missing).and(told)
    }

    /// What lists name of an entry.
    pub(super) fn named(&mut self, place: Place) -> Result<&mut Named, Miss> {
        if !self.named.contains_key(&place) {
            let row = self.lens.get(Table::View, &key(self.space, NAMED, place))?;
            let named = row.and_then(|row| decode_named(row).ok()).unwrap_or_default();
            self.named.insert(place, (named.clone(), named));
        }
        Ok(&mut self.named.entry(place).or_default().1)
    }

    /// What is missing of an entry.
    pub(super) fn missing(&mut self, place: Place) -> Result<&mut Vec<usize>, Miss> {
        if !self.missing.contains_key(&place) {
            let row = self.lens.get(Table::View, &key(self.space, MISSING, place))?;
            let parts = row.and_then(|row| decode_missing(row).ok()).unwrap_or_default();
            self.missing.insert(place, (parts.clone(), parts));
        }
        Ok(&mut self.missing.entry(place).or_default().1)
    }

    /// Takes note of what a list names. True if any of it was not known.
    pub(super) fn name(&mut self, target: &Target) -> Result<bool, Miss> {
        let named = self.named((target.log, target.seq))?;
        let before = named.len();
        for part in &target.parts {
            if named.len() < MAX_PARTS {
                named.entry(*part).or_insert(State::Open);
            }
        }
        Ok(named.len() > before)
    }

    /// Takes note of an entry that came with these parts redacted.
    pub(super) fn came_hollow(&mut self, place: Place, redacted: &[usize]) -> Result<(), Miss> {
        let named = self.named(place)?;
        let mut unknown = Vec::new();
        let mut told = false;
        for part in redacted {
            match named.get_mut(part) {
                Some(state) => told |= std::mem::replace(state, State::Gone) == State::Open,
                None => unknown.push(*part),
            }
        }
        if told {
            self.tell(place)?;
        }
        *self.missing(place)? = unknown;
        Ok(())
    }

    /// Takes note of an entry whose named parts were never here: only a list says that they may be gone.
    pub(super) fn tell(&mut self, place: Place) -> Result<(), Miss> {
        if self.lens.get(Table::View, &key(self.space, TOLD, place))?.is_none() {
            self.told.insert(place, false);
        }
        Ok(())
    }

    /// The same of an entry that may be asked about already: that begins anew.
    pub(super) fn tell_again(&mut self, place: Place) -> Result<(), Miss> {
        let is_asked = self.lens.get(Table::View, &key(self.space, TOLD, place))?.is_some();
        self.told.insert(place, is_asked);
        Ok(())
    }

    /// Writes what has changed and counts it.
    pub(super) fn finish(self, gone: &mut Gone, batch: &mut Batch) {
        let before = (gone.work, gone.missing, gone.told);
        for (place, is_asked) in &self.told {
            gone.told += u64::from(!is_asked);
            batch.puts.push((Table::View, key(self.space, TOLD, *place), vec![ROUNDS]));
        }
        let is_open = |named: &Named| named.values().any(|state| *state == State::Open);
        for (place, (was, now)) in &self.named {
            if was != now {
                batch.puts.push((Table::View, key(self.space, NAMED, *place), encode_named(now)));
            }
            match (is_open(was), is_open(now)) {
                (false, true) => {
                    gone.work += 1;
                    batch.puts.push((Table::View, key(self.space, WORK, *place), Vec::new()));
                }
                (true, false) => {
                    gone.work = gone.work.saturating_sub(1);
                    batch.deletes.push((Table::View, key(self.space, WORK, *place)));
                }
                _ => {}
            }
        }
        for (place, (was, now)) in &self.missing {
            let row = key(self.space, MISSING, *place);
            match (was.is_empty(), now.is_empty()) {
                (true, true) => continue,
                (true, false) => gone.missing += 1,
                (false, true) => gone.missing = gone.missing.saturating_sub(1),
                (false, false) => {}
            }
            if now.is_empty() {
                batch.deletes.push((Table::View, row));
            } else if was != now {
                batch.puts.push((Table::View, row, encode_missing(now)));
            }
        }
        if before != (gone.work, gone.missing, gone.told) {
            gone.store(self.space, batch);
        }
    }
}
