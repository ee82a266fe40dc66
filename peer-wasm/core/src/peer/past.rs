//! The tree as of a point of its history.
//!
//! A place's register as of a point is the last op there up to it. What the tree holds now tells most of it: a place
//! that has not changed since is as it is. Only for the others the index of history is asked which ops stood there, and
//! the entries that hold them are read ([`fold`](super::fold)). What becomes of scalars that meet something below them
//! is worked out anew.
//!
//! The result is a small tree of its own, read by the same functions as the present one.

use super::fold::{Rows, fold};
use super::past_text::{Puts, texts};
use super::rows;
use super::space::Space;
use crate::api::{ListQuery, Refusal};
use crate::document::kind::tag;
use crate::document::{self, Listing, MAX_LIST_ROWS, MAX_TREE_ROWS, Rule, ViewRow};
use crate::entry::Verified;
use crate::history::{self, Point};
use crate::lens::{Answers, Lens, Miss, Overlay};
use crate::path::Path;
use crate::rows::{Batch, KeyRange, Table};

/// The most places looked up in the index of history for one answer: those that have changed since.
pub const MAX_CHANGED: usize = 4096;
/// The most entries opened for one answer.
pub const MAX_OPENED: usize = 4096;
/// Rows of the index looked through for what was forgotten, and for what happened in one set or list.
pub(super) const INDEX_ROWS: usize = 20_000;
/// Places looked at for one page of a listing.
const LIST_ROWS: usize = 4096;

/// A tree as it was.
pub(super) struct Past {
    overlay: Overlay,
    answers: Answers,
}

impl Past {
    fn new(rows: &Rows, texts: Puts) -> Past {
        let held = rows.iter().filter(|(_, row)| is_held(row) || row.container);
        let puts = held.map(|(key, row)| (Table::View, key.clone(), row.encode())).chain(texts).collect();
        let mut overlay = Overlay::default();
        overlay.push(0, &Batch { puts, ..Batch::default() });
        Past { overlay, answers: Answers::default() }
    }

    /// A lens over this tree alone.
    pub(super) fn lens(&self) -> Lens<'_> {
        Lens::over(&self.overlay, &self.answers)
    }
}

/// A place, everything below it and the places above it, as of a point.
pub(super) fn past(
    lens: &Lens<'_>,
    space: &Space,
    top: &Path,
    at: &Point,
    listing: &Path,
) -> Result<Result<Past, Refusal>, Miss> {
    let number = space.number;
    // What stands above may be a value that the path reaches into, or that hides what is below: then all of that
    // value's place counts.
    let tree = document::tree(lens, number, top);
    let above = places(lens, number, top.ancestors())?;
    let tree = tree?;
    let above = match fold(lens, space, above, at, true, listing)? {
        Ok(rows) => rows,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Some(whole) = top.ancestors().find(|place| is_whole(above.get(&document::view_key(number, place)))) {
        return past(lens, space, &whole, at, listing);
    }
    if tree.cut {
        return Ok(Err(too_large("What is stored at this path (in places)", MAX_TREE_ROWS, listing)));
    }
    let mut rows: Rows = tree.rows.into_iter().map(|(path, row)| (document::view_key(number, &path), row)).collect();
    if space.has_forgotten(at) {
        // Some of what stood here may have no row any more.
        let place = history::place_key(number, top);
        let range = KeyRange { start: place.clone(), end: history::ops_until(&place, &Point::END).end };
        let found = lens.scan(Table::View, &range, INDEX_ROWS, false)?;
        if found.len() == INDEX_ROWS {
            return Ok(Err(Refusal::HistoryDropped));
        }
        for path in found.iter().filter_map(|(key, _)| Some(history::read_op_key(key)?.0)) {
            rows.entry(document::view_key(number, &path)).or_default();
        }
    }
    let mut rows = match fold(lens, space, rows, at, true, listing)? {
        Ok(rows) => rows,
        Err(refusal) => return Ok(Err(refusal)),
    };
    rows.extend(above);
    settle(&mut rows);
    Ok(texts(lens, space, &mut rows, at)?.map(|texts| Past::new(&rows, texts)))
}

/// A page of the children of a place as of a point.
pub(super) fn past_list(
    lens: &Lens<'_>,
    space: &Space,
    prefix: &Path,
    query: &ListQuery,
    at: &Point,
    rule: Rule<'_>,
) -> Result<Result<Listing, Refusal>, Miss> {
    let number = space.number;
    let above = places(lens, number, prefix.ancestors().chain([prefix.clone()]))?;
    let above = match fold(lens, space, above, at, false, prefix)? {
        Ok(rows) => rows,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if space.has_forgotten(at) || above.values().any(|row| is_whole(Some(row))) {
        let past = match past(lens, space, prefix, at, prefix)? {
            Ok(past) => past,
            Err(refusal) => return Ok(Err(refusal)),
        };
        return document::list(&past.lens(), number, prefix, query, rule).map(Ok);
    }
    let base = document::view_key(number, prefix);
    let bound = |name: &str| [base.as_slice(), name.as_bytes(), &[0]].concat();
    let whole = KeyRange::prefix(&base);
    let range = KeyRange {
        start: query.start.as_deref().map_or_else(|| whole.start.clone(), bound),
        end: query.end.as_deref().map_or_else(|| whole.end.clone(), bound),
    };
    let mut stored = lens.scan(Table::View, &range, LIST_ROWS, query.reverse)?;
    let name = |key: &[u8]| document::child_name(key, base.len());
    let (mut left_out, mut rest) = (None, None);
    if stored.len() == LIST_ROWS {
        let last = stored.last().and_then(|(key, _)| name(key)).unwrap_or_default();
        if stored.first().and_then(|(key, _)| name(key)).as_deref() == Some(&last) {
            // One child alone takes more than a page: all of it is needed to tell what it is.
            let range = KeyRange::prefix(&bound(&last));
            stored = lens.scan(Table::View, &range, MAX_LIST_ROWS, false)?;
            rest = Some(if query.reverse { last } else { format!("{last}\u{1}") });
        } else {
            // The last of several children is not complete: it comes with the next page.
            rest = Some(if query.reverse { format!("{last}\u{1}") } else { last.clone() });
            left_out = Some(last);
        }
    }
    let mut rows = Rows::new();
    for (key, value) in &stored {
        if left_out.is_none() || name(key) != left_out {
            rows.insert(key.clone(), ViewRow::decode(value).unwrap_or_default());
        }
    }
    let mut rows = match fold(lens, space, rows, at, query.values, prefix)? {
        Ok(rows) => rows,
        Err(refusal) => return Ok(Err(refusal)),
    };
    settle(&mut rows);
    let texts = if query.values { texts(lens, space, &mut rows, at)? } else { Ok(Puts::new()) };
    let past = match texts {
        Ok(texts) => Past::new(&rows, texts),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut listing = document::list(&past.lens(), number, prefix, query, rule)?;
    if listing.next.is_none() {
        listing.next = rest;
    }
    Ok(Ok(listing))
}

/// The rows of single places.
fn places(lens: &Lens<'_>, number: u32, paths: impl Iterator<Item = Path>) -> Result<Rows, Miss> {
    let keys: Vec<Vec<u8>> = paths.map(|place| document::view_key(number, &place)).collect();
    lens.want(Table::View, &keys)?;
    let mut rows = Rows::new();
    for key in keys {
        let row = lens.get(Table::View, &key)?.and_then(ViewRow::decode).unwrap_or_default();
        rows.insert(key, row);
    }
    Ok(rows)
}

/// Whether a place holds a value that paths below it lead into, or that hides them: all of it is needed then.
fn is_whole(row: Option<&ViewRow>) -> bool {
    let register = row.and_then(|row| row.register.as_ref());
    register.is_some_and(|register| register.is_scalar() || register.leaf.tag() == Some(tag::LIST))
}

/// Works out which registers reads show, and which places have others below them.
fn settle(rows: &mut Rows) {
    let hidden = document::hidden(rows);
    let mut below: Option<Vec<u8>> = None;
    for (key, row) in rows.iter_mut().rev() {
        row.hidden = hidden.contains(key);
        row.container = below.as_ref().is_some_and(|below| below.starts_with(key));
        if is_held(row) {
            below = Some(key.clone());
        }
    }
}

/// Whether anything was ever written at a place.
fn is_held(row: &ViewRow) -> bool {
    row.register.is_some() || !row.states.0.is_empty()
}

pub(super) fn too_large(what: &str, limit: usize, listing: &Path) -> Refusal {
    Refusal::TooLarge { what: what.to_owned(), limit: limit as u64, listing: Some(listing.to_string()) }
}

/// An entry and its place: log number and seq.
type Placed = ((u32, u64), Verified);

/// Reads entries at these places, which come in order. Those that are not stored are left out.
pub(super) fn entries_at(lens: &Lens<'_>, space: u32, places: &[(u32, u64)]) -> Result<Vec<Placed>, Miss> {
    let mut found = Vec::new();
    lens.want(Table::Tail, places.iter().map(|(log, seq)| rows::entry_key(space, *log, *seq)))?;
    let mut missing = false;
    // One packed row often holds several: those around its first are looked for in it before they are asked for.
    let mut covered: Option<(u32, u64)> = None;
    for place in places {
        let (log, seq) = *place;
        if let Some(raw) = lens.get(Table::Tail, &rows::entry_key(space, log, seq))? {
            found.extend(Verified::from_store(raw).ok().map(|entry| (*place, entry)));
            continue;
        }
        if covered.is_some_and(|(known, upto)| known == log && seq <= upto) {
            continue;
        }
        let end = KeyRange::prefix(&rows::log_prefix(space, log)).end;
        let range = KeyRange { start: rows::entry_key(space, log, seq), end };
        let Ok(segment) = lens.scan(Table::Segment, &range, 1, false) else {
            missing = true;
            // The next ones may be in the row asked for.
            covered = Some((log, seq | 63));
            continue;
        };
        let Some((key, value)) = segment.first() else { continue };
        covered = rows::seq_of_key(key).map(|last| (log, last));
        for entry in rows::decode_segment(value).into_iter().filter_map(|raw| Verified::from_store(raw).ok()) {
            let place = (log, entry.header.seq);
            if places.binary_search(&place).is_ok() {
                found.push((place, entry));
            }
        }
    }
    if missing { Err(Miss) } else { Ok(found) }
}

/// Reads one entry, if it is stored.
pub(super) fn entry_at(lens: &Lens<'_>, space: u32, log: u32, seq: u64) -> Result<Option<Verified>, Miss> {
    Ok(entries_at(lens, space, &[(log, seq)])?.pop().map(|(_, entry)| entry))
}

#[cfg(test)]
mod tests;
