//! The tree as of a point of its history.
//!
//! A place's register as of a point is the last op there up to it. What the tree holds now tells most of it: a place
//! that has not changed since is as it is. Only for the others the index of history is asked which op stood there, and
//! the entry that holds it is read. What becomes of scalars that meet something below them is worked out anew.
//!
//! The result is a small tree of its own, read by the same functions as the present one.

use super::read::open_ops;
use super::rows;
use super::space::Space;
use crate::api::{ListQuery, Refusal};
use crate::document::{self, Leaf, Listing, MAX_TREE_ROWS, Register, ViewRow};
use crate::entry::Verified;
use crate::history::{self, OpRow, Point};
use crate::lens::{Answers, Lens, Miss, Overlay};
use crate::path::Path;
use crate::rows::{Batch, KeyRange, Table};
use std::collections::BTreeMap;

/// The most places looked up in the index of history for one answer: those that have changed since.
pub const MAX_CHANGED: usize = 4096;
/// The most entries opened for one answer.
pub const MAX_OPENED: usize = 1024;
/// Places looked at for one page of a listing.
const LIST_ROWS: usize = 4096;

/// A tree as it was.
pub(super) struct Past {
    overlay: Overlay,
    answers: Answers,
}

/// The rows of places and what stood there.
type Rows = BTreeMap<Vec<u8>, ViewRow>;

impl Past {
    fn new(rows: &Rows) -> Past {
        let held = rows.iter().filter(|(_, row)| row.register.is_some());
        let puts = held.map(|(key, row)| (Table::View, key.clone(), row.encode())).collect();
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
    let mut above = Rows::new();
    let keys: Vec<Vec<u8>> = top.ancestors().map(|place| document::view_key(number, &place)).collect();
    lens.want(Table::View, &keys)?;
    for key in keys {
        let row = lens.get(Table::View, &key)?.and_then(ViewRow::decode).unwrap_or_default();
        above.insert(key, row);
    }
    let tree = tree?;
    let above = match fold(lens, space, above, at, true, listing)? {
        Ok(rows) => rows,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let scalar = top.ancestors().find(|place| {
        let row = above.get(&document::view_key(number, place));
        row.and_then(|row| row.register.as_ref()).is_some_and(Register::is_scalar)
    });
    if let Some(scalar) = scalar {
        return past(lens, space, &scalar, at, listing);
    }
    if tree.cut {
        return Ok(Err(too_large("What is stored at this path (in places)", MAX_TREE_ROWS, listing)));
    }
    let mut rows = Rows::new();
    for (path, row) in tree.rows {
        rows.insert(document::view_key(number, &path), row);
    }
    Ok(fold(lens, space, rows, at, true, listing)?.map(|mut rows| {
        rows.extend(above);
        settle(&mut rows);
        Past::new(&rows)
    }))
}

/// A page of the children of a place as of a point.
pub(super) fn past_list(
    lens: &Lens<'_>,
    space: &Space,
    prefix: &Path,
    query: &ListQuery,
    at: &Point,
) -> Result<Result<Listing, Refusal>, Miss> {
    let number = space.number;
    let mut above = Rows::new();
    let keys: Vec<Vec<u8>> =
        prefix.ancestors().chain([prefix.clone()]).map(|place| document::view_key(number, &place)).collect();
    lens.want(Table::View, &keys)?;
    for key in keys {
        let row = lens.get(Table::View, &key)?.and_then(ViewRow::decode).unwrap_or_default();
        above.insert(key, row);
    }
    let above = match fold(lens, space, above, at, false, prefix)? {
        Ok(rows) => rows,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if above.values().any(|row| row.register.as_ref().is_some_and(Register::is_scalar)) {
        let past = match past(lens, space, prefix, at, prefix)? {
            Ok(past) => past,
            Err(refusal) => return Ok(Err(refusal)),
        };
        return document::list(&past.lens(), number, prefix, query).map(Ok);
    }
    let base = document::view_key(number, prefix);
    let bound = |name: &str| [base.as_slice(), name.as_bytes(), &[0]].concat();
    let whole = KeyRange::prefix(&base);
    let range = KeyRange {
        start: query.start.as_deref().map_or_else(|| whole.start.clone(), bound),
        end: query.end.as_deref().map_or_else(|| whole.end.clone(), bound),
    };
    let stored = lens.scan(Table::View, &range, LIST_ROWS, query.reverse)?;
    let mut rest = None;
    let name = |key: &[u8]| document::child_name(key, base.len());
    let mut left_out = None;
    if stored.len() == LIST_ROWS {
        let last = stored.last().and_then(|(key, _)| name(key));
        let several = stored.first().and_then(|(key, _)| name(key)) != last;
        // The last of several children is not complete: it comes with the next page.
        left_out = last.clone().filter(|_| several);
        rest = last.map(|last| if query.reverse == several { format!("{last}\u{1}") } else { last });
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
    let past = Past::new(&rows);
    let mut listing = document::list(&past.lens(), number, prefix, query)?;
    if listing.next.is_none() {
        listing.next = rest;
    }
    Ok(Ok(listing))
}

/// What stood at each of these places as of a point. Without `values`, leaves have the right shape and no content,
/// unless scalars meet something below them: then it takes their content to tell which of them shows.
///
/// This is where a kind of value whose state is more than its last op would be put together from all of its ops up to
/// the point: [`history::ops_until`] gives them in order.
fn fold(
    lens: &Lens<'_>,
    space: &Space,
    mut rows: Rows,
    at: &Point,
    values: bool,
    listing: &Path,
) -> Result<Result<Rows, Refusal>, Miss> {
    let is_later = |row: &ViewRow| row.register.as_ref().is_some_and(|register| Point::of(register) > *at);
    let changed: Vec<Vec<u8>> = rows.iter().filter(|(_, row)| is_later(row)).map(|(key, _)| key.clone()).collect();
    if changed.len() > MAX_CHANGED {
        return Ok(Err(too_large("What has changed since (in places)", MAX_CHANGED, listing)));
    }
    let mut missing = false;
    // Where leaves have content that only entries tell: log and seq of the entry, and the place's key.
    let mut wanted: Vec<((u32, u64), Vec<u8>)> = Vec::new();
    for key in changed {
        // The keys of a place's row in the tree and in the index differ by nothing but their table.
        let range = history::ops_until(&key, at);
        let Ok(found) = lens.scan(Table::History, &range, 1, true) else {
            missing = true;
            continue;
        };
        let op = found.first().and_then(|(key, value)| Some((history::read_op_key(key)?.1, OpRow::decode(value)?)));
        let Some(row) = rows.get_mut(&key) else { continue };
        row.register = op.map(|(point, op)| {
            let (register, is_shape) = shape(&point, &op);
            if is_shape {
                wanted.push(((op.log, point.seq), key));
            }
            register
        });
    }
    if missing {
        return Err(Miss);
    }
    if !values && !meets(&rows) {
        return Ok(Ok(rows));
    }
    wanted.sort_unstable();
    let mut places: Vec<(u32, u64)> = wanted.iter().map(|(place, _)| *place).collect();
    places.dedup();
    if places.len() > MAX_OPENED {
        return Ok(Err(too_large("The past value (in writes it consists of)", MAX_OPENED, listing)));
    }
    let mut filled = 0;
    for (place, entry) in entries_at(lens, space.number, &places)? {
        for op in open_ops(space, &entry).into_iter().flat_map(|ops| ops.list) {
            let key = document::view_key(space.number, &op.path);
            let Ok(at) = wanted.binary_search(&(place, key)) else { continue };
            let row = wanted.get(at).and_then(|(_, key)| rows.get_mut(key));
            if let Some(register) = row.and_then(|row| row.register.as_mut()) {
                register.leaf = op.leaf;
                filled += 1;
            }
        }
    }
    Ok(if filled == wanted.len() { Ok(rows) } else { Err(Refusal::HistoryDropped) })
}

/// A register as far as the index tells; true if its leaf has content that only its entry tells.
fn shape(point: &Point, op: &OpRow) -> (Register, bool) {
    let leaf = [Leaf::Deleted, Leaf::Object].into_iter().find(|leaf| leaf.tag() == op.tag);
    let is_shape = leaf.is_none();
    let leaf = leaf.unwrap_or(Leaf::Json(Vec::new()));
    (Register { clock: point.clock, agent: point.agent, seq: point.seq, leaf }, is_shape)
}

/// Whether a scalar meets something live below it.
fn meets(rows: &Rows) -> bool {
    let mut scalar: Option<&Vec<u8>> = None;
    rows.iter().filter(|(_, row)| row.register.as_ref().is_some_and(Register::is_live)).any(|(key, row)| {
        let meets = scalar.is_some_and(|above| key.starts_with(above));
        if row.register.as_ref().is_some_and(Register::is_scalar) {
            scalar = Some(key);
        }
        meets
    })
}

/// Works out which registers reads show.
fn settle(rows: &mut Rows) {
    let hidden = document::hidden(rows);
    for (key, row) in rows {
        row.hidden = hidden.contains(key);
    }
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
