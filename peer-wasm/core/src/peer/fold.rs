//! What stood at places as of a point, from the index of history and the entries it names.
//!
//! A plain place is its last op. What a place of a [`kind`](crate::document::kind) holds is made of all its ops: they are
//! merged anew, by the very function that merges them when they come, into a tree of nothing else.

use super::past::{INDEX_ROWS, MAX_CHANGED, MAX_OPENED, entries_at, too_large};
use super::read::open_ops;
use super::space::Space;
use crate::api::Refusal;
use crate::document::kind::authors::Writers;
use crate::document::kind::{State, tag};
use crate::document::{self, Item, Leaf, Register, ViewRow};
use crate::history::{self, Deed, OpRow, Point};
use crate::lens::{Answers, Lens, Miss, Overlay};
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use std::collections::BTreeMap;

/// The rows of places and what stood there.
pub(super) type Rows = BTreeMap<Vec<u8>, ViewRow>;

/// An op that counts: when, what the index says of it, and the key of its place's row in the tree.
struct Told {
    point: Point,
    row: OpRow,
    place: Vec<u8>,
}

impl Space {
    /// Whether places that were deleted by then may have no row any more.
    pub(super) fn has_forgotten(&self, at: &Point) -> bool {
        at.clock < self.gone.settled.max(self.gone.pass.as_ref().map_or(0, |pass| pass.stable()))
    }
}

/// What stood at each of these places as of a point. Without `values`, leaves have the right shape and no content,
/// unless scalars meet something below them: then it takes their content to tell which of them shows.
pub(super) fn fold(
    lens: &Lens<'_>,
    space: &Space,
    mut rows: Rows,
    at: &Point,
    values: bool,
    listing: &Path,
) -> Result<Result<Rows, Refusal>, Miss> {
    // The past is seen where things stand now: who moved them there is no part of it.
    rows.values_mut().for_each(|row| row.states.0.retain(|(kind, _)| *kind != tag::MOVE));
    let forgotten = space.has_forgotten(at);
    let is_later = |row: &ViewRow| row.register.as_ref().map_or(forgotten, |register| Point::of(register) > *at);
    // In the order of their keys, as all lists of places here.
    let changed: Vec<Vec<u8>> = rows.iter().filter(|(_, row)| is_later(row)).map(|(key, _)| key.clone()).collect();
    // A text has a history of its own (see `past_text`): of its place only the last op counts.
    let of_kinds = |key: &[u8]| {
        rows.get(key).is_some_and(|row| row.states.0.iter().any(|(kind, _)| !matches!(*kind, tag::TEXT | tag::SINCE)))
    };
    let mut groups: Vec<Vec<u8>> = changed
        .iter()
        .flat_map(|key| [Some(key.as_slice()), parent(key)])
        .flatten()
        .filter(|key| is_group(&rows, key))
        .map(<[u8]>::to_vec)
        .collect();
    kith_map::sort(&mut groups);
    groups.dedup();
    let is_one = |key: &[u8]| groups.binary_search_by(|group| group.as_slice().cmp(key)).is_ok();
    let in_group = |key: &Vec<u8>| is_one(key) || parent(key).is_some_and(is_one);
    // Where it takes all ops to tell: also those of a list, of which its elements are made.
    let mut whole: Vec<Vec<u8>> = changed.iter().filter(|key| of_kinds(key)).cloned().collect();
    let is_element = |key: &&Vec<u8>| rows.get(*key).is_some_and(|row| row.states.get(tag::ELEMENT).is_some());
    whole.extend(changed.iter().filter(is_element).filter_map(|key| Some(parent(key)?.to_vec())));
    kith_map::sort(&mut whole);
    whole.dedup();
    let alone = changed.iter().filter(|key| !in_group(key)).count();
    if alone > MAX_CHANGED {
        return Ok(Err(too_large("What has changed since (in places)", MAX_CHANGED, listing)));
    }

    // What a place was before it was purged is not told, whether or not its bytes are gone yet.
    let lives: BTreeMap<Vec<u8>, Point> =
        rows.iter().filter_map(|(key, row)| Some((key.clone(), row.since()?))).collect();
    let ended = changed.iter().filter(|key| lives.get(*key).is_some_and(|began| began > at));
    let life = |key: &[u8]| lives.get(key).copied().unwrap_or(Point::START);
    let mut told: Vec<Told> = Vec::new();
    // Who wrote in each group, as a set and as a list.
    let mut writers: Vec<[Writers; 2]> = Vec::new();
    let mut missing = false;
    for key in ended {
        match lens.scan(Table::View, &history::ops_until(&history::place_of_row(key), at), 1, false) {
            Ok(found) if found.is_empty() => {}
            Ok(_) => return Ok(Err(Refusal::HistoryDropped)),
            Err(Miss) => missing = true,
        }
    }
    for group in &groups {
        let place = history::place_of_row(group);
        let range = KeyRange { end: history::ops_until(&place, at).end, start: place };
        let Ok(found) = lens.scan(Table::View, &range, INDEX_ROWS, false) else {
            missing = true;
            continue;
        };
        if found.len() == INDEX_ROWS {
            return Ok(Err(too_large("The past of a set or list (in writes)", INDEX_ROWS, listing)));
        }
        let mut wrote = [Writers::default(), Writers::default()];
        for op in found
            .iter()
            .filter_map(|(key, value)| read(key, value))
            .filter(|op| op.point <= *at && op.point >= life(group))
        {
            let own = op.place == *group;
            if !own && parent(&op.place) != Some(group.as_slice()) {
                continue;
            }
            let [set, list] = &mut wrote;
            match (own, op.row.code) {
                (true, tag::SET) | (false, tag::MEMBER) => set.note(op.point.agent, op.point.seq),
                (true, tag::LIST) | (false, tag::ELEMENT) => list.note(op.point.agent, op.point.seq),
                _ => {}
            }
            if !own && is_one(&op.place) {
                // It is a set or list itself, and looked through for itself.
                continue;
            }
            if whole.binary_search(&op.place).is_ok() {
                told.push(op);
            } else if changed.binary_search(&op.place).is_ok() {
                // The ops of a place stand together, in order.
                match told.last_mut().filter(|last| last.place == op.place) {
                    Some(last) => *last = op,
                    None => told.push(op),
                }
            }
        }
        writers.push(wrote);
    }
    let others = changed.iter().filter(|key| whole.binary_search(key).is_err()).chain(&whole);
    for key in others.filter(|key| !in_group(key)) {
        // Of a plain place only the last.
        let limit = if whole.binary_search(key).is_ok() { MAX_OPENED + 1 } else { 1 };
        let place = history::place_of_row(key);
        let range = KeyRange { start: history::op_key(&place, &life(key)), ..history::ops_until(&place, at) };
        let Ok(found) = lens.scan(Table::View, &range, limit, true) else {
            missing = true;
            continue;
        };
        if found.len() > MAX_OPENED {
            return Ok(Err(too_large("The past value (in writes it consists of)", MAX_OPENED, listing)));
        }
        told.extend(found.iter().filter_map(|(key, value)| read(key, value)));
    }
    if missing {
        return Err(Miss);
    }
    // Of a life that lasts only plain ops are ever redacted; one that was replaced since has no bearing.
    let stands = |op: &Told| !told.iter().any(|other| other.place == op.place && other.point > op.point);
    if told.iter().any(|op| op.row.deed == Deed::Redacted && stands(op)) {
        return Ok(Err(Refusal::HistoryDropped));
    }
    told.retain(|op| op.row.deed != Deed::Redacted);
    // What the index alone tells comes first: often it is enough.
    for key in &changed {
        if let Some(row) = rows.get_mut(key) {
            *row = ViewRow { container: row.container, ..ViewRow::default() };
        }
    }
    let shapes: Vec<Item> = told.iter().filter_map(|op| op.item(shape(op.row.code))).collect();
    let mut merged = merge(space.number, shapes)?;
    if values || !whole.is_empty() || meets(&rows, &merged) {
        let items = match items(lens, space, &told, &lives, listing)? {
            Ok(items) => items,
            Err(refusal) => return Ok(Err(refusal)),
        };
        merged = merge(space.number, items)?;
    }
    for key in changed {
        if let (Some(row), Some(made)) = (rows.get_mut(&key), merged.remove(&key)) {
            (row.register, row.states) = (made.register, made.states);
        }
    }
    for (group, wrote) in groups.iter().zip(writers) {
        let Some(row) = rows.get_mut(group) else { continue };
        row.states.0.retain(|(kind, _)| !matches!(*kind, tag::SET | tag::LIST));
        for (kind, wrote) in [tag::SET, tag::LIST].into_iter().zip(wrote).filter(|(_, wrote)| !wrote.is_empty()) {
            if let Some(state) = row.states.of(kind) {
                *state = State::Writers(wrote);
            }
        }
    }
    Ok(Ok(rows))
}

/// What the ops do, opened; a refusal if any of it is gone.
fn items(
    lens: &Lens<'_>,
    space: &Space,
    told: &[Told],
    lives: &BTreeMap<Vec<u8>, Point>,
    listing: &Path,
) -> Result<Result<Vec<Item>, Refusal>, Miss> {
    let mut items: Vec<Item> = Vec::new();
    // Where it takes the entry to tell: log and seq of the entry, and the place.
    let mut wanted: Vec<((u32, u64), &Told)> = Vec::new();
    for op in told {
        match op.row.code {
            0 | 1 => items.extend(op.item(shape(op.row.code))),
            _ => wanted.push(((op.row.log, op.point.seq), op)),
        }
    }
    kith_map::sort_by(&mut wanted, |(a, left), (b, right)| (a, &left.place).cmp(&(b, &right.place)));
    let mut entries: Vec<(u32, u64)> = wanted.iter().map(|(entry, _)| *entry).collect();
    entries.dedup();
    if entries.len() > MAX_OPENED {
        return Ok(Err(too_large("The past value (in writes it consists of)", MAX_OPENED, listing)));
    }
    let mut found = vec![false; wanted.len()];
    for (entry_place, entry) in entries_at(lens, space.number, &entries)? {
        for op in open_ops(space, &entry).into_iter().flat_map(|ops| ops.list).flatten() {
            let place = document::view_key(space.number, &op.path);
            let at = wanted.binary_search_by(|(entry, told)| (entry, &told.place).cmp(&(&entry_place, &place)));
            let Some((at, (_, told))) = at.ok().and_then(|at| Some((at, wanted.get(at)?))) else { continue };
            // What came too late for the life it was of has no effect.
            let life = lives.get(&document::view_key(space.number, &op.lives_at())).copied();
            if op.since.purge(told.point).is_ok_and(|purge| purge == life) {
                items.extend(told.item(op.leaf));
            }
            if let Some(found) = found.get_mut(at) {
                *found = true;
            }
        }
    }
    Ok(if found.contains(&false) { Err(Refusal::HistoryDropped) } else { Ok(items) })
}

/// The tree that these ops make, in the order they were written.
fn merge(space: u32, mut items: Vec<Item>) -> Result<Rows, Miss> {
    kith_map::sort_by_key(&mut items, |item| Point::of(&item.register));
    let (overlay, answers) = (Overlay::default(), Answers::default());
    Ok(document::apply(&Lens::over(&overlay, &answers), space, &items)?.rows)
}

impl Told {
    /// The op as an item. All that are merged are of one life, so it does not matter which.
    fn item(&self, leaf: Leaf) -> Option<Item> {
        let Point { clock, agent, seq } = self.point;
        let path = self.place.get(history::PART + 1..).and_then(Path::from_row_key)?;
        Some(Item::new(path, Register { clock, agent, seq, leaf }))
    }
}

/// A leaf as far as the index tells.
fn shape(code: u8) -> Leaf {
    match code {
        0 => Leaf::Deleted,
        1 => Leaf::Object,
        2 | 3 => Leaf::Json(Vec::new()),
        code => Leaf::Kind { tag: code, body: Vec::new() },
    }
}

fn read(key: &[u8], value: &[u8]) -> Option<Told> {
    let (place, point) = history::split_op_key(key)?;
    Some(Told { point, row: OpRow::decode(value)?, place: history::row_of_place(place) })
}

/// The key of the place above a key's.
fn parent(key: &[u8]) -> Option<&[u8]> {
    let (last, names) = key.get(history::PART + 1..)?.split_last()?;
    let end = names.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
    (*last == 0).then(|| key.get(..history::PART + 1 + end)).flatten()
}

/// Whether a place is or was a set or list.
fn is_group(rows: &Rows, key: &[u8]) -> bool {
    rows.get(key).is_some_and(|row| row.states.get(tag::SET).or(row.states.get(tag::LIST)).is_some())
}

/// Whether a scalar meets something live below it.
fn meets(rows: &Rows, merged: &Rows) -> bool {
    let mut scalar: Option<&Vec<u8>> = None;
    let shown = rows.iter().map(|(key, row)| (key, merged.get(key).filter(|_| row.register.is_none()).unwrap_or(row)));
    shown.filter(|(_, row)| row.is_live()).any(|(key, row)| {
        let meets = scalar.is_some_and(|above| key.starts_with(above));
        if row.register.as_ref().is_some_and(Register::is_scalar) {
            scalar = Some(key);
        }
        meets
    })
}
