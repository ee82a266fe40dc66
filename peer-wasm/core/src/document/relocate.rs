//! Taking rows to where they belong once moves become known: the rows of a space are always at the paths at which what
//! they hold shows. So reads know nothing of moves.
//!
//! What this makes of the rows of any tree is what they would be had the moves been known before anything was written.

use super::apply::transplant;
use super::kind::{State, authors::Writers, tag};
use super::moves::Moves;
use super::row::{PREFIX, ViewRow, conflict_key, view_key};
use super::text;
use crate::history::{self, Point};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, KeyRange, Table};
use crate::version::Version;
use std::collections::BTreeMap;

/// The most rows of one kind that are taken elsewhere at once.
const MAX_ROWS: usize = 20_000;

/// What moves come to.
#[derive(Debug, Default)]
pub(crate) struct Relocated {
    /// The rows that change.
    pub(crate) batch: Batch,
    /// Texts that stand elsewhere now.
    pub(crate) texts: Vec<Path>,
    /// Below these places things may have come or gone.
    pub(crate) changed: Vec<Path>,
}

/// Works out which rows change when moves become known. `None` if they are too many to be taken elsewhere at once.
pub(crate) fn relocate(lens: &Lens<'_>, space: u32, old: &Moves, new: &Moves) -> Result<Option<Relocated>, Miss> {
    let mut relocated = Relocated::default();
    let concerned = new.differences(old);
    for (parent, _) in &concerned {
        relocated.changed.push(parent.clone());
        relocated.changed.push(new.shown(&old.origin(parent)));
    }
    let ranges = |part: &dyn Fn(&Path) -> Vec<u8>| -> Vec<KeyRange> {
        let both = concerned.iter().flat_map(|(parent, base)| {
            let top = part(parent);
            let own = [top.as_slice(), base.as_bytes(), &[0]].concat();
            [own, [top.as_slice(), Moves::forked(base).as_bytes()].concat()]
        });
        both.map(|prefix| KeyRange::prefix(&prefix)).collect()
    };
    let tree = scan(lens, &ranges(&|path| view_key(space, path)));
    let index = scan(lens, &ranges(&|path| history::place_key(space, path)));
    let (Some(tree), Some(index)) = (tree?, index?) else { return Ok(None) };
    let elsewhere = |path: &Path| {
        let now = new.shown(&old.origin(path));
        (now != *path).then_some(now)
    };

    // Of what stands where.
    let (mut from, mut to) = (BTreeMap::new(), BTreeMap::new());
    let mut missing = Ok(());
    for (key, value) in tree {
        let path = key.get(PREFIX..).and_then(Path::from_row_key);
        let (Some(path), Some(row)) = (path, ViewRow::decode(&value)) else { continue };
        let Some(now) = elsewhere(&path) else { continue };
        if row.states.get(tag::TEXT).is_some() {
            missing = missing.and(take_text(lens, space, &path, &now, &mut relocated));
        }
        if row.is_in_conflict() {
            relocated.batch.deletes.push((Table::View, conflict_key(space, &path)));
            relocated.batch.puts.push((Table::View, conflict_key(space, &now), Vec::new()));
        }
        if row.is_held() {
            to.insert(view_key(space, &now), ViewRow { hidden: false, states: unmarked(&row), ..row.clone() });
        }
        from.insert(key, row);
    }
    missing?;
    for (key, value) in index {
        let Some((place, point)) = history::split_op_key(&key) else { continue };
        let Some(path) = place.get(PREFIX..).and_then(Path::from_row_key) else { continue };
        if let Some(now) = elsewhere(&path) {
            let now = history::op_key(&history::place_key(space, &now), &point);
            relocated.batch.puts.push((Table::View, now, value));
            relocated.batch.deletes.push((Table::View, key));
        }
    }
    let mut rows = transplant(lens, &from, &to, 4 * (old.len() + new.len()))?;
    mark(lens, space, old, new, &mut rows)?;
    for (key, row) in rows {
        match row == ViewRow::default() {
            true => relocated.batch.deletes.push((Table::View, key)),
            false => relocated.batch.puts.push((Table::View, key, row.encode())),
        }
    }
    // Deletions come first, and what one leaves another may come to.
    let puts: std::collections::BTreeSet<&Vec<u8>> = relocated.batch.puts.iter().map(|(_, key, _)| key).collect();
    relocated.batch.deletes.retain(|(_, key)| !puts.contains(key));
    Ok(Some(relocated))
}

/// Rows by their keys.
type Found = BTreeMap<Vec<u8>, Vec<u8>>;

/// All rows of some ranges, which may lie in each other; `None` if there are too many.
fn scan(lens: &Lens<'_>, ranges: &[KeyRange]) -> Result<Option<Found>, Miss> {
    let mut rows = BTreeMap::new();
    let mut missing = Ok(());
    for range in ranges {
        match lens.scan(Table::View, range, MAX_ROWS + 1, false) {
            Ok(found) => rows.extend(found),
            Err(Miss) => missing = Err(Miss),
        }
    }
    missing?;
    Ok((rows.len() <= MAX_ROWS).then_some(rows))
}

/// Takes the rows of a text elsewhere.
fn take_text(lens: &Lens<'_>, space: u32, from: &Path, to: &Path, relocated: &mut Relocated) -> Result<(), Miss> {
    let range = text::whole_range(space, from);
    let told = text::told_range(space, from);
    let rows = lens.scan(Table::View, &range, usize::MAX / 2, false);
    let twin = lens.scan(Table::View, &told, usize::MAX / 2, false);
    let waits = lens.get(Table::View, &text::waiting_key(space, from));
    let (rows, twin, waits) = (rows?, twin?, waits?.is_some());
    for (key, value) in rows.into_iter().chain(twin) {
        if let Some(key) = text::key_at(space, to, from, &key) {
            relocated.batch.puts.push((Table::View, key, value));
        }
    }
    // Nothing is where it comes to; but what is in memory of both is to be forgotten.
    let ranges = [range, told, text::whole_range(space, to), text::told_range(space, to)];
    relocated.batch.delete_ranges.extend(ranges.map(|range| (Table::View, range)));
    relocated.texts.push(to.clone());
    if waits {
        relocated.batch.deletes.push((Table::View, text::waiting_key(space, from)));
        relocated.batch.puts.push((Table::View, text::waiting_key(space, to), Vec::new()));
    }
    Ok(())
}

/// The states of a row without who moved something there or away.
fn unmarked(row: &ViewRow) -> super::row::States {
    super::row::States(row.states.0.iter().filter(|(kind, _)| *kind != tag::MOVE).cloned().collect())
}

/// The row of a place with these moves noted.
fn marked(row: &ViewRow, moves: &[Point]) -> ViewRow {
    let mut row = ViewRow { states: unmarked(row), ..row.clone() };
    if !moves.is_empty()
        && let Some(State::Writers(writers)) = row.states.of(tag::MOVE)
    {
        note(writers, moves);
    }
    row
}

fn note(writers: &mut Writers, moves: &[Point]) {
    for Version { agent, seq } in moves.iter().map(Point::version) {
        writers.note(agent, seq);
    }
}

/// Notes at places which moves were to there or away from there: it is part of the version of whatever they stand in.
fn mark(
    lens: &Lens<'_>,
    space: u32,
    old: &Moves,
    new: &Moves,
    rows: &mut BTreeMap<Vec<u8>, ViewRow>,
) -> Result<(), Miss> {
    let (before, mut now) = (old.marks(), new.marks());
    for path in before.keys() {
        now.entry(path.clone()).or_default();
    }
    let mut missing = Ok(());
    for (path, moves) in &now {
        let key = view_key(space, path);
        let known = before.get(path).is_some_and(|before| before == moves);
        let row = match rows.get(&key) {
            Some(row) => row.clone(),
            None if known => continue,
            None => match lens.get(Table::View, &key) {
                Ok(row) => row.and_then(ViewRow::decode).unwrap_or_default(),
                Err(Miss) => {
                    missing = Err(Miss);
                    continue;
                }
            },
        };
        rows.insert(key, marked(&row, moves));
    }
    missing
}

/// The rows that note all moves in a tree that holds nothing yet.
pub(crate) fn marks(space: u32, moves: &Moves) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let row = |moves: &Vec<Point>| marked(&ViewRow::default(), moves).encode();
    moves.marks().iter().map(|(path, moves)| (Table::View, view_key(space, path), row(moves))).collect()
}
