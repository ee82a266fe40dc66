//! Doing what lists of redactions ask for: bytes of superseded parts go from stored entries, a bounded number of rows at
//! a time, resumed at the next start. See `docs/decisions/0151-redaction-by-lists.md`.

use super::books::Books;
use super::commit::{Effect, Unit};
use super::gone::{self, Named, Place, State};
use super::moves::Laid;
use super::prepare::Prepared;
use super::read::{open_ops, open_ops_by, point_of};
use super::space::Space;
use super::{Done, Job, Peer, rows};
use crate::document::kind::tag;
use crate::document::redaction::{Bearing, bearing_in};
use crate::document::{Applied, Leaf, Opened};
use crate::entry::Verified;
use crate::history::{self, OpRow};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, KeyRange, Table};
use crate::sealed::Body;
use kith_map::BTreeMap;

/// Entries looked at in one step.
const ENTRIES_PER_STEP: usize = 64;
/// How long what cannot be done yet waits before it is tried again, in milliseconds.
pub(super) const RETRY: u64 = 30_000;

/// How long it is looked for something to be done where there is nothing, in milliseconds.
const IDLE: u64 = 3_600_000;

/// What a frame of entries means for what is redacted.
pub(super) struct Settled<'a, 'b> {
    pub(super) books: Books<'a, 'b>,
    /// Entries to be stored without some of their bytes.
    /// The keys say where the index of history tells of those bytes.
    hollowed: BTreeMap<Place, Hollowed>,
    /// Whether there is something new to be done.
    pub(super) has_work: bool,
}

impl Settled<'_, '_> {
    /// The entries as they are to be stored.
    pub(super) fn hollow(&self, entries: &mut [Verified]) {
        for entry in entries {
            if let Some((hollow, _)) = self.hollowed.get(&(entry.header.log, entry.header.seq)) {
                *entry = hollow.clone();
            }
        }
    }

    /// Marks in the index of history what entries are stored without.
    pub(super) fn forget(&self, batch: &mut Batch) {
        let told = self.hollowed.values().flat_map(|(_, told)| told);
        let told: BTreeMap<&[u8], Left> = told.map(|told| (told.key.as_slice(), told.left)).collect();
        let of = |key: &[u8]| told.get(key).copied();
        batch.puts.retain(|(table, key, _)| *table != Table::View || of(key) != Some(Left::Nothing));
        for (_, key, row) in batch.puts.iter_mut().filter(|(table, ..)| *table == Table::View) {
            match of(key) {
                Some(Left::Mark) => *row = OpRow::REDACTED.encode(),
                Some(Left::Row(left)) => *row = left.encode(),
                Some(Left::Nothing) | None => {}
            }
        }
    }
}

impl Peer {
    /// Works out what is redacted by, and of, entries that are about to be taken in.
    pub(super) fn settle<'a, 'b>(
        &self,
        number: u32,
        prepared: &Prepared,
        laid: &Laid<'_>,
        lens: &'b Lens<'a>,
    ) -> Result<Settled<'a, 'b>, Miss> {
        let mut settled = Settled { books: Books::new(lens, number), hollowed: BTreeMap::new(), has_work: false };
        let Some(space) = self.spaces.get(&number) else { return Ok(settled) };
        let targets = || {
            let lists = prepared.runs.iter().flat_map(|run| &run.redactions).flat_map(|(_, targets)| targets);
            lists.filter(|target| !space.is_pruned(&target.log, target.seq))
        };
        // What an owner lets go is not missed, whoever named it.
        let hollow = || {
            let hollow = prepared.runs.iter().flat_map(|run| &run.entries).filter(|entry| entry.is_hollow());
            hollow.filter(|entry| !space.pruned.is_void(&entry.header.log, entry.header.seq))
        };
        let named = settled.books.want(
            targets()
                .map(|target| (target.log, target.seq))
                .chain(hollow().map(|entry| (entry.header.log, entry.header.seq))),
        );
        // What was named before it came.
        let mut awaited: Vec<Place> = Vec::new();
        let mut missing = Ok(());
        if space.gone.work > 0 {
            for run in &prepared.runs {
                let end = run.end();
                match gone::work_in(lens, number, run.log, run.tip.len, end) {
                    Ok(places) => awaited.extend(places),
                    Err(Miss) => missing = Err(Miss),
                }
            }
        }
        named.and(missing)?;
        settled.books.want(awaited.iter().copied())?;
        for target in targets() {
            settled.has_work |= settled.books.name(target)?;
        }
        for entry in hollow() {
            let redacted = redacted_parts(entry);
            settled.books.came_hollow((entry.header.log, entry.header.seq), &redacted)?;
        }
        let entries = prepared.runs.iter().flat_map(|run| &run.entries);
        for entry in entries {
            let place = (entry.header.log, entry.header.seq);
            if !awaited.contains(&place) {
                continue;
            }
            // With them may come moves: what counts is where things stand then.
            let Some(opened) = open_ops_by(space, laid.moves(space), entry) else { continue };
            let named = settled.books.named(place)?;
            let hollow =
                laid.with_moved(lens, |lens| honour(lens, space, entry, &opened, named, Some(&laid.applied)))?;
            if let Some(hollow) = hollow.flatten() {
                settled.hollowed.insert(place, hollow);
            }
        }
        Ok(settled)
    }

    /// Whether the job is running for this space.
    fn is_collecting(&self, number: u32) -> bool {
        self.tasks.values().any(|task| matches!(task.job, Job::Collect(space) if space == number))
    }

    /// One step of doing what is to be done in a space.
    pub(super) fn collect(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.is_collecting(number) || self.space(number, lens)?.is_none() || self.is_paused() {
            return Ok(Done::Nothing);
        }
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        if space.rebuilding || !space.row.joined {
            return Ok(Done::Nothing);
        }
        if space.gone.ended {
            return self.forget_clients(number, lens);
        }
        if space.gone.doubted {
            return self.doubt_all(number, lens);
        }
        if space.gone.work == 0 && space.gone.cursor.is_none() {
            return self.sweep(number, lens);
        }
        let work = gone::work_after(lens, number, space.gone.cursor.as_deref(), ENTRIES_PER_STEP)?;
        let Some((last, _)) = work.last().cloned() else {
            let now = self.now;
            if let Some(space) = self.spaces.get_mut(&number) {
                let gone = &mut space.gone;
                // What nothing comes of is tried ever less often.
                let patient = if gone.progress { RETRY } else { gone.wait.saturating_mul(2) };
                gone.wait = patient.clamp(RETRY, IDLE);
                gone.progress = false;
                gone.cursor = None;
                gone.retry_at = now + gone.wait;
            }
            return self.sweep(number, lens);
        };
        let mut books = Books::new(lens, number);
        books.want(work.iter().map(|(_, place)| *place))?;
        let stored = find(lens, space, work.iter().map(|(_, place)| *place))?;
        // What a segment that was not looked at holds comes in the next step.
        let cursor = stored.upto.and_then(|place| work.iter().rfind(|(_, at)| *at < place)).map(|(key, _)| key.clone());
        let cursor = if stored.upto.is_some() { cursor.or(space.gone.cursor.clone()) } else { Some(last) };
        let mut batch = Batch::default();
        let mut segments: BTreeMap<Vec<u8>, BTreeMap<u64, Verified>> = BTreeMap::new();
        let mut missing = Ok(());
        let mut told: Vec<Told> = Vec::new();
        for (place, at) in &stored.entries {
            let entry = &at.entry;
            let redacted = redacted_parts(entry);
            for part in &redacted {
                if let Some(state) = books.named(*place)?.get_mut(part) {
                    if std::mem::replace(state, State::Gone) == State::Open {
                        books.tell(*place)?;
                    }
                    books.missing(*place)?.retain(|missing| missing != part);
                }
            }
            let Some(opened) = open_ops(space, entry) else { continue };
            match honour(lens, space, entry, &opened, books.named(*place)?, None) {
                Err(Miss) => missing = Err(Miss),
                Ok(None) => {}
                Ok(Some((hollow, mut keys))) => {
                    told.append(&mut keys);
                    match &at.segment {
                        None => {
                            let key = rows::entry_key(number, at.log, place.1);
                            batch.puts.push((Table::Tail, key, hollow.raw().to_vec()));
                        }
                        Some(segment) => {
                            segments.entry(segment.clone()).or_default().insert(place.1, hollow);
                        }
                    }
                }
            }
        }
        missing?;
        let mut marked = Vec::new();
        for Told { key, left } in told {
            match left {
                Left::Nothing => batch.deletes.push((Table::View, key)),
                Left::Mark => marked.push(key),
                // Of what does not count, by a checkpoint, nothing is told.
                Left::Row(_) if lens.get(Table::View, &key)?.is_none() => {}
                Left::Row(row) => batch.puts.push((Table::View, key, row.encode())),
            }
        }
        history::redact(lens, marked, &mut batch)?;
        for (key, hollow) in segments {
            let row = stored.segments.get(&key).map(Vec::as_slice).unwrap_or_default();
            batch.puts.push((Table::Segment, key, rewrite(row, &hollow)));
        }
        // From here on nothing can be missing.
        if let Some(space) = self.spaces.get_mut(&number) {
            space.gone.cursor = cursor;
            space.gone.progress |= !batch.is_empty();
            books.finish(&mut space.gone, &mut batch);
        }
        if !batch.is_empty() {
            self.status_changed();
        }
        Ok(Done::WriteAndAgain(Unit { batch, effects: Vec::<Effect>::new() }))
    }

    /// Tries again, now and then, what could not be done; and looks through what has come since.
    pub(super) fn collect_again(&mut self) {
        let now = self.now;
        let mut due = Vec::new();
        for (number, space) in &mut self.spaces {
            if now >= space.gone.retry_at && !space.rebuilding {
                let busy = space.has_to_collect() || space.is_incomplete();
                space.gone.retry_at = now + if busy { RETRY.max(space.gone.wait) } else { IDLE };
                due.push(*number);
            }
        }
        for number in due {
            self.start_later(Job::Collect(number));
        }
    }
}

/// The parts of an entry whose bytes are not in it.
pub(super) fn redacted_parts(entry: &Verified) -> Vec<usize> {
    let Ok(body) = Body::decode(entry.body()) else { return Vec::new() };
    if !entry.is_hollow() {
        return Vec::new();
    }
    body.parts().iter().enumerate().filter(|(_, part)| part.is_redacted()).map(|(index, _)| index).collect()
}

/// Where the index of history tells of what went.
struct Told {
    /// The row's key.
    key: Vec<u8>,
    left: Left,
}

/// What the index of history is to tell instead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// That something went.
    Mark,
    /// Nothing: the row's key names what went, as it does for members of sets.
    Nothing,
    /// What else the entry says of the place. Who is honest says one thing of a place; of several the last is told, as where
    /// the others never came.
    Row(OpRow),
}

/// An entry without what went, and where the index of history tells of it.
type Hollowed = (Verified, Vec<Told>);

/// Takes away what may go of what is named; gives the entry without it, and where the index of history tells of what
/// went. Parts that may go later stay open.
fn honour(
    lens: &Lens<'_>,
    space: &Space,
    entry: &Verified,
    opened: &Opened,
    named: &mut Named,
    applied: Option<&Applied>,
) -> Result<Option<Hollowed>, Miss> {
    let point = point_of(entry, opened);
    let mut gone = Vec::new();
    let mut missing = Ok(());
    for (part, _) in named.iter().filter(|(_, state)| **state == State::Open) {
        let Some(Some(op)) = opened.list.get(*part) else { continue };
        match bearing_in(lens, space.number, applied, op, point, space.gone.settled) {
            Ok(Bearing::Has) => {}
            Ok(Bearing::Replaced | Bearing::Over) => gone.push(*part),
            Err(Miss) => missing = Err(Miss),
        }
    }
    missing?;
    for (part, state) in named.iter_mut().filter(|(_, state)| **state == State::Open) {
        if gone.binary_search(part).is_ok() {
            *state = State::Gone;
        } else if !matches!(opened.list.get(*part), Some(Some(_))) && !opened.redacted.contains(part) {
            *state = State::Kept;
        }
    }
    if gone.is_empty() {
        return Ok(None);
    }
    let number = space.log(&entry.header.log).map_or(0, |(number, _)| number);
    let ops = opened.list.iter().enumerate().filter_map(|(part, op)| Some((part, op.as_ref()?)));
    let (went, stays): (Vec<_>, Vec<_>) = ops.partition(|(part, _)| gone.binary_search(part).is_ok());
    // Where something moves is no part of what stood at a place.
    let stays = stays.into_iter().filter(|(_, op)| op.leaf.tag() != Some(tag::MOVE));
    let stays: BTreeMap<&Path, &Leaf> = stays.map(|(_, op)| (&op.path, &op.leaf)).collect();
    let told = went.into_iter().map(|(_, op)| {
        let left = match stays.get(&op.path) {
            Some(leaf) => Left::Row(OpRow::of(number, leaf)),
            None if op.leaf.tag() == Some(tag::MEMBER) => Left::Nothing,
            None => Left::Mark,
        };
        Told { key: history::op_key(&history::place_key(space.number, &op.path), &point), left }
    });
    let told = told.collect();
    Ok(entry.without(&gone).map(|entry| (entry, told)))
}

/// A stored entry and where it is.
pub(super) struct Stored {
    pub(super) log: u32,
    pub(super) entry: Verified,
    /// The key of the segment it is in; none if it has a row of its own.
    pub(super) segment: Option<Vec<u8>>,
}

/// Stored entries, and the segments some of them are in.
#[derive(Default)]
pub(super) struct Found {
    pub(super) entries: BTreeMap<Place, Stored>,
    pub(super) segments: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Entries from this one on were not looked for.
    pub(super) upto: Option<Place>,
}

/// Looks for entries, given in order; of those that are packed, only in one segment.
pub(super) fn find(lens: &Lens<'_>, space: &Space, places: impl Iterator<Item = Place>) -> Result<Found, Miss> {
    let number = space.number;
    let here: Vec<(Place, u32)> = places
        .filter_map(|(log, seq)| {
            let (log_number, state) = space.log(&log)?;
            (seq < state.tip.len).then_some(((log, seq), log_number))
        })
        .collect();
    lens.want(Table::Tail, here.iter().map(|((_, seq), log)| rows::entry_key(number, *log, *seq)))?;
    let mut found = Found::default();
    let mut loaded = None;
    let mut packed: Option<(u32, BTreeMap<u64, Verified>, Vec<u8>)> = None;
    for (place, log) in here {
        let key = rows::entry_key(number, log, place.1);
        if let Some(row) = lens.get(Table::Tail, &key)? {
            if let Ok(entry) = Verified::from_store(row) {
                found.entries.insert(place, Stored { log, entry, segment: None });
            }
            continue;
        }
        if packed.is_none() {
            loaded = Some(place);
            let range = KeyRange { start: key, end: KeyRange::prefix(&rows::log_prefix(number, log)).end };
            let segment = lens.scan(Table::Segment, &range, 1, false)?;
            let Some((key, row)) = segment.into_iter().next() else { continue };
            let entries = rows::decode_segment(&row).into_iter().filter_map(|raw| Verified::from_store(raw).ok());
            packed = Some((log, entries.map(|entry| (entry.header.seq, entry)).collect(), key.clone()));
            found.segments.insert(key, row);
        }
        let Some((of, entries, key)) = &packed else { continue };
        if let Some(entry) = entries.get(&place.1).filter(|_| *of == log) {
            found.entries.insert(place, Stored { log, entry: entry.clone(), segment: Some(key.clone()) });
        } else if loaded != Some(place) && (*of != log || rows::seq_of_key(key).is_some_and(|last| last < place.1)) {
            found.upto = Some(place);
            break;
        }
        // Else it should be in this segment and is not: nothing can be done about it here.
    }
    Ok(found)
}

/// A segment with some of its entries replaced.
pub(super) fn rewrite(row: &[u8], replaced: &BTreeMap<u64, Verified>) -> Vec<u8> {
    let raws: Vec<Vec<u8>> = rows::decode_segment(row)
        .into_iter()
        .map(|raw| {
            let seq = Verified::from_store(raw).ok().map(|entry| entry.header.seq);
            seq.and_then(|seq| replaced.get(&seq)).map_or_else(|| raw.to_vec(), |entry| entry.raw().to_vec())
        })
        .collect();
    rows::encode_segment(raws.iter().map(Vec::as_slice))
}
