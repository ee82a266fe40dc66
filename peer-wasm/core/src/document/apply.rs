//! Merging ops into the tree.

use self::life::Away;
use super::applied::Applied;
use super::kind::{Act, Stamp, State, counter, list, member, mv, tag};
use super::ops::{Item, Leaf};
use super::row::{PREFIX, Register, ViewRow, view_key};
use super::since::lives_above;
use super::text;
use crate::lens::{Lens, Miss};
use crate::path::MAX_SEGMENTS;
use crate::rows::{KeyRange, Table};
use kith_map::BTreeSet;
use std::collections::BTreeMap;

mod life;

/// What happens at one place.
enum Change {
    /// A write: the register, and what a kind is told.
    Write(Register, Option<Told>),
    /// Somebody wrote somewhere in the set or list here.
    Note(u8),
}

/// What a kind is told.
enum Told {
    Mv(mv::Act),
    Counter(counter::Act),
    Member(member::Act),
    Element(list::Touch),
    Wrote,
}

/// Works out what `items` change in the space's tree. The order of different logs does not matter; applying twice
/// changes nothing.
pub fn apply(lens: &Lens<'_>, space: u32, items: &[Item]) -> Result<Applied, Miss> {
    let mut changes: Vec<(Vec<u8>, Stamp, Change)> = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    for item in items {
        spread(space, item, &mut changes);
        ends.push(changes.len());
    }
    let mut start = 0;
    let its_changes: Vec<_> =
        ends.into_iter().map(|end| changes.get(std::mem::replace(&mut start, end)..end).unwrap_or_default()).collect();
    // Load every place and every place above in one go.
    let places: BTreeSet<&[u8]> = changes.iter().flat_map(|(key, ..)| above(key).chain([key.as_slice()])).collect();
    let strays: Vec<Away> = items.iter().map(|item| Away::of(space, item)).collect();
    let away = strays.iter().flat_map(|strays| &strays.away).flat_map(|key| above(key).chain([key.as_slice()]));
    let (places, away) = (lens.want(Table::View, places.iter()), lens.want(Table::View, away));
    places.and(away)?;
    let mut work = Work::new(lens);
    let mut told = BTreeSet::new();
    for (item, changes) in items.iter().zip(&its_changes).filter(|(item, _)| item.since.is_some()) {
        if let Some(ruler) = ruler(item, changes)
            && item.since > work.since(ruler)?
        {
            told.insert(text::told_key(space, &item.lives_at(), 0));
        }
    }
    lens.want(Table::View, told.iter())?;
    let mut applied = Applied::default();
    for ((item, changes), strays) in items.iter().zip(its_changes).zip(&strays) {
        let mut changed = false;
        let Some(ruler) = ruler(item, changes) else { continue };
        match (item.since, work.since(ruler)?) {
            // Of a life that is over.
            (since, life) if since < life => continue,
            (Some(purge), life) if item.since > life => {
                let path = item.lives_at();
                // What clients were told outlives the tree.
                let told = lens.get(Table::View, &text::told_key(space, &path, 0))?;
                if work.begin(ruler, purge, strays)? || told.is_some() {
                    applied.texts.retain(|(place, _), _| *place != path);
                    applied.ended.insert(path);
                }
                changed = true;
            }
            _ => {}
        }
        for (key, stamp, change) in changes {
            changed |= work.change(key, *stamp, change)?;
        }
        if changed {
            applied.changed.push(item.path.clone());
        }
        if let Leaf::Kind { tag: tag::TEXT, body } = &item.register.leaf
            && !body.is_empty()
        {
            let arrived = applied.texts.entry((item.path.clone(), item.register.agent)).or_default();
            // Of two in one entry the first counts, however entries come together.
            if arrived.last().is_none_or(|(last, _)| *last != item.register.seq) {
                arrived.push((item.register.seq, body.clone()));
            }
        }
        applied.unknown.extend(item.register.leaf.tag().filter(|tag| !tag::is_known(*tag)));
    }
    work.settle_all()?;
    for key in std::mem::take(&mut work.emptied) {
        if work.rows.get(&key).is_some_and(|row| *row == ViewRow::default()) {
            work.rows.remove(&key);
            applied.gone.push(key);
        }
    }
    Ok(Applied { rows: work.rows, conflicts: work.conflicts, ..applied })
}

/// What becomes of the tree when rows go from places to others, `marks` being how many rows there may be that only note
/// moves. No row is left where a default one comes out.
pub(super) fn transplant(
    lens: &Lens<'_>,
    from: &BTreeMap<Vec<u8>, ViewRow>,
    to: &BTreeMap<Vec<u8>, ViewRow>,
    marks: usize,
) -> Result<BTreeMap<Vec<u8>, ViewRow>, Miss> {
    let places: BTreeSet<&[u8]> = to.keys().flat_map(|key| above(key).chain([key.as_slice()])).collect();
    let left: BTreeSet<&[u8]> = from.keys().flat_map(|key| above(key)).filter(|key| !from.contains_key(*key)).collect();
    let (places, rows) = (lens.want(Table::View, places.iter()), lens.want(Table::View, left.iter()));
    // What is still below the places that things leave.
    let most = from.len() + marks + MAX_SEGMENTS;
    let scan = |key: &&[u8]| lens.scan(Table::View, &KeyRange::prefix(key), most, false);
    let below: Vec<Result<_, Miss>> = left.iter().map(scan).collect();
    places?;
    rows?;
    // What goes is known: none of it is asked for again.
    let mut work = Work { rows: from.clone(), ..Work::new(lens) };
    // What is below first: nothing is left where it was.
    for (key, row) in from.iter().rev() {
        work.reshape(key, ViewRow::default(), row, false)?;
    }
    work.plain.clear();
    for (key, below) in left.iter().zip(below) {
        let held = |(below, row): &(Vec<u8>, Vec<u8>)| {
            below.len() > key.len()
                && !from.contains_key(below)
                && ViewRow::decode(row).is_some_and(|row| row.is_held())
        };
        let row = ViewRow { container: below?.iter().any(held), ..work.row(key)? };
        work.rows.insert(key.to_vec(), row);
    }
    for (key, row) in to {
        work.reshape(key, ViewRow { container: false, ..row.clone() }, &ViewRow::default(), false)?;
    }
    work.settle_all()?;
    Ok(work.rows)
}

/// The key of the place whose life an item is of: its own, which comes first among those it changes, or that of the set or
/// list it is part of, which is noted after it. Nothing for a move.
fn ruler<'c>(item: &Item, changes: &'c [(Vec<u8>, Stamp, Change)]) -> Option<&'c [u8]> {
    let (own, ..) = changes.first()?;
    let noted = changes.get(1).filter(|_| lives_above(&item.register.leaf));
    Some(noted.map_or(own, |(key, ..)| key))
}

/// Lays an item out over the places it changes.
fn spread(space: u32, item: &Item, changes: &mut Vec<(Vec<u8>, Stamp, Change)>) {
    let register = &item.register;
    let stamp = Stamp::of(register);
    let key = view_key(space, &item.path);
    let write = |leaf: Leaf, told| Change::Write(Register { leaf, ..register.clone() }, told);
    let parent = |of: u8| item.path.parent().map(|_| (view_key(space, &item.lives_at()), stamp, Change::Note(of)));
    let act = match &register.leaf {
        Leaf::Kind { tag, body } => Act::decode(*tag, body).ok(),
        _ => None,
    };
    let leaf = register.leaf.kept();
    match act {
        None | Some(Act::Text(_)) => changes.push((key, stamp, write(leaf, None))),
        // Where things stand is worked out before they are laid there.
        Some(Act::Move(_)) => {}
        Some(Act::Mv(act)) => changes.push((key, stamp, write(leaf, Some(Told::Mv(act))))),
        Some(Act::Counter(act)) => changes.push((key, stamp, write(leaf, Some(Told::Counter(act))))),
        Some(Act::Set) => changes.push((key, stamp, write(leaf, Some(Told::Wrote)))),
        Some(Act::Member(act)) => {
            changes.push((key, stamp, write(leaf, Some(Told::Member(act)))));
            changes.extend(parent(tag::SET));
        }
        Some(Act::Element) => {
            changes.push((key, stamp, write(leaf, Some(Told::Element(list::Touch::Gone)))));
            changes.extend(parent(tag::LIST));
        }
        Some(Act::List(act)) => {
            changes.push((key, stamp, write(leaf, Some(Told::Wrote))));
            for (id, touch) in act.touches(stamp) {
                let place = item.path.join(&id.name());
                let told = Some(Told::Element(touch));
                changes.push((view_key(space, &place), stamp, write(Leaf::kind(tag::ELEMENT), told)));
            }
        }
    }
}

impl ViewRow {
    /// Tells the state of a kind what an op says.
    fn tell(&mut self, kind: u8, told: Option<&Told>, stamp: Stamp) {
        let Some(state) = self.states.of(kind) else { return };
        match (state, told) {
            (State::Mv(values), Some(Told::Mv(act))) => values.apply(act, stamp),
            (State::Counter(sums), Some(Told::Counter(act))) => sums.apply(act, stamp),
            (State::Member(adds), Some(Told::Member(act))) => adds.apply(act, stamp),
            (State::Element(element), Some(Told::Element(touch))) => element.apply(touch, stamp),
            (State::Writers(writers), Some(Told::Wrote)) => writers.note(stamp.agent, stamp.seq),
            _ => {}
        }
    }
}

/// The keys of the places above a key's, from the top down: a key is its place's names, each followed by a zero.
fn above(key: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let top = key.get(..PREFIX);
    let last = key.len().saturating_sub(1);
    let ends = key.iter().enumerate().skip(PREFIX).filter(move |(at, byte)| **byte == 0 && *at < last);
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
    conflicts: Vec<(Vec<u8>, bool)>,
    /// What stood in sets and lists that were purged, by the keys of its rows.
    emptied: BTreeSet<Vec<u8>>,
}

impl<'a, 'b, 'c> Work<'a, 'b, 'c> {
    fn new(lens: &'b Lens<'a>) -> Work<'a, 'b, 'c> {
        let (clashes, plain) = (BTreeSet::new(), BTreeSet::new());
        Work { lens, rows: BTreeMap::new(), clashes, plain, conflicts: Vec::new(), emptied: BTreeSet::new() }
    }

    fn row(&self, key: &[u8]) -> Result<ViewRow, Miss> {
        if let Some(row) = self.rows.get(key) {
            return Ok(row.clone());
        }
        let stored = self.lens.get(Table::View, key)?;
        Ok(stored.and_then(ViewRow::decode).unwrap_or_default())
    }

    /// The purge that began the life a place is in, if any did.
    fn since(&self, key: &[u8]) -> Result<Option<Stamp>, Miss> {
        if let Some(row) = self.rows.get(key) {
            return Ok(row.since());
        }
        Ok(self.lens.get(Table::View, key)?.and_then(ViewRow::decode).and_then(|row| row.since()))
    }

    /// A place and everything below it.
    fn subtree(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, ViewRow>, Miss> {
        let stored = self.lens.scan(Table::View, &KeyRange::prefix(prefix), usize::MAX / 2, false)?;
        let stored = stored.into_iter().map(|(key, value)| (key, ViewRow::decode(&value).unwrap_or_default()));
        let mut subtree: BTreeMap<Vec<u8>, ViewRow> = stored.collect();
        subtree
            .extend(self.rows.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(k, r)| (k.clone(), r.clone())));
        Ok(subtree)
    }

    fn change(&mut self, key: &'c [u8], stamp: Stamp, change: &Change) -> Result<bool, Miss> {
        let before = self.row(key)?;
        let mut row = before.clone();
        match change {
            Change::Note(kind) => row.tell(*kind, Some(&Told::Wrote), stamp),
            Change::Write(register, told) => {
                if let Some(kind) = register.leaf.tag() {
                    row.tell(kind, told.as_ref(), stamp);
                }
                if row.register.as_ref().is_none_or(|held| register.is_after(held)) {
                    row.register = Some(register.clone());
                }
            }
        }
        if row == before {
            return Ok(false);
        }
        if row.is_in_conflict() != before.is_in_conflict() {
            self.conflicts.retain(|(known, _)| known != key);
            self.conflicts.push((key.to_vec(), row.is_in_conflict()));
        }
        let alike = row.is_live() == before.is_live() && row.is_held() == before.is_held();
        if row.register == before.register && alike {
            self.rows.insert(key.to_vec(), row);
        } else {
            self.reshape(key, row, &before, false)?;
        }
        Ok(true)
    }

    /// Writes a row whose register is another, or which came alive or went: others may be hidden by it now. `clash` if
    /// something below it changed in such a way.
    fn reshape(&mut self, key: &'c [u8], mut row: ViewRow, before: &ViewRow, mut clash: bool) -> Result<(), Miss> {
        let was_scalar = before.register.as_ref().is_some_and(Register::is_scalar);
        let is_scalar = row.register.as_ref().is_some_and(Register::is_scalar);
        clash |= row.container && (was_scalar || is_scalar);
        let mut top = key;
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
        Ok(())
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
        let subtree = self.subtree(prefix)?;
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
        let Some(register) = row.register.as_ref().filter(|_| row.is_live()) else { continue };
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
