//! Dropping entries that an owner's checkpoint lets go: each peer looks at them first, and erases them then.

use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::fork::{cut_log, make_anew};
use super::gone::{self, HOLE, MISSING, NAMED, TOLD, WORK};
use super::past::entry_at;
use super::pruned::Due;
use super::read::{open_ops, point_of};
use super::rows::{self, PrunedRow, Stage};
use super::space::{READ_RUN, Space, stored_entries};
use super::stable::first_clock;
use super::{Done, Job, Peer};
use crate::document::kind::Stamp;
use crate::document::redaction::{Bearing, bearing_in};
use crate::document::{Leaf, Op, Opened, Since, ViewRow, view_key, write_id_key};
use crate::entry::{Kind, Pruned, Tip, Verified};
use crate::history;
use crate::lens::{Lens, Miss};
use crate::records::Checkpoint;
use crate::rows::{Batch, Durability, KeyRange, Table};

/// Entries erased in one step.
const ERASED_AT_ONCE: usize = 128;
/// Writes at a place looked at for one that a deletion may still hide.
const BEFORE_DELETION: usize = 8;

/// What there is to an entry, or to any of some. Without anything all it said is erased, or says nothing to anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// Something of it is there, if only in the past.
    pub(super) left: bool,
    /// What it says counts.
    pub(super) counts: bool,
    /// It is needed for something else than what it says of values.
    pub(super) needed: bool,
    /// It lists what is to be erased, and not all of that has gone.
    pub(super) waits: bool,
}

impl Weight {
    const NEEDED: Weight = Weight { left: true, counts: false, needed: true, waits: false };

    fn or(self, other: Weight) -> Weight {
        Weight {
            left: self.left || other.left,
            counts: self.counts || other.counts,
            needed: self.needed || other.needed,
            waits: self.waits || other.waits,
        }
    }
}

/// Looking at entries that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pruned: Pruned,
    /// From where on it goes on.
    at: u64,
    /// What there is to those before.
    weight: Weight,
}

impl Peer {
    /// One step of what is due about entries that may go.
    pub(super) fn prune(&mut self, number: u32, due: Due, lens: &Lens<'_>) -> Result<Done, Miss> {
        match due {
            Due::Forged(log, pruned) => self.begin_anew(number, log, &pruned, lens),
            Due::Examine(log, pruned, came) => self.examine(number, log, pruned, came, lens),
            Due::Erase(log, pruned) => self.erase(number, log, &pruned, lens),
            Due::Renew(log, pruned) => Ok(self.renew_pruned(number, log, pruned)),
        }
    }

    /// The owner that is said to have let these go has not: they are asked for again.
    fn begin_anew(&mut self, number: u32, log: u32, pruned: &Pruned, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(before) = pruned.range.from.checked_sub(1) else { return Ok(Done::Nothing) };
        let Some(entry) = entry_at(lens, number, log, before)? else { return Ok(Done::Nothing) };
        let Some(mut space) = self.spaces.remove(&number) else { return Ok(Done::Nothing) };
        let mut draft = Draft::default();
        cut_log(&mut space, &mut draft, pruned.range.log, Tip::after(&entry));
        make_anew(&mut space, &mut draft);
        draft.batch.durability = Durability::Strict;
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        self.ask_everyone(number);
        Ok(Done::Write(Unit { batch, effects: vec![Effect::Authority(number), Effect::Start(Job::Replay(number))] }))
    }

    /// The word for what is gone is from now on that of the later checkpoint: the one before may go.
    fn renew_pruned(&mut self, number: u32, log: u32, pruned: Pruned) -> Done {
        let mut batch = Batch::default();
        if let Some(space) = self.spaces.get_mut(&number) {
            let holds = pruned.holds(&space.row.key);
            if let Some(row) = space.pruned.renew(log, pruned).filter(|_| holds) {
                space.put_pruned(log, row, &mut batch);
            }
        }
        Done::WriteAndAgain(Unit { batch, effects: Vec::new() })
    }

    fn examine(&mut self, number: u32, log: u32, pruned: Pruned, came: bool, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let first = Look { pruned, at: pruned.range.from, weight: Weight::default() };
        let begun = space.gone.look.filter(|look| look.pruned == pruned);
        let mut look = begun.unwrap_or(first);
        let to = pruned.range.to;
        let (found, upto) = stored_entries(lens, number, log, look.at, to, READ_RUN)?;
        let mut missing = Ok(());
        for entry in found.values() {
            match weight(lens, space, entry) {
                Ok(weight) => look.weight = look.weight.or(weight),
                Err(Miss) => missing = Err(Miss),
            }
        }
        missing?;
        look.at = upto;
        if look.at < to {
            if let Some(space) = self.spaces.get_mut(&number) {
                space.gone.look = Some(look);
            }
            return Ok(Done::WriteAndAgain(Unit::default()));
        }
        let goes = came || !look.weight.needed && is_sound(lens, space, log, &pruned)?;
        let voided = space.gone.voided == space.pruned.fingerprint();
        // What is to be erased first may be what still counts.
        let waits = space.gone.work > 0 && space.gone.is_hopeful();
        let Some(space) = self.spaces.get_mut(&number) else { return Ok(Done::Nothing) };
        space.gone.look = None;
        if look.weight.counts && !voided {
            return Ok(if waits { Done::Nothing } else { self.make_void(number) });
        }
        let mut batch = Batch::default();
        if !goes {
            // By what is known now it stays.
            space.pruned.keep(pruned);
        } else {
            space.put_pruned(log, PrunedRow { pruned, stage: Stage::Going }, &mut batch);
        }
        Ok(Done::WriteAndAgain(Unit { batch, effects: Vec::new() }))
    }

    /// Something in the tree does not count, since an owner lets its entry go: the tree is made without it.
    fn make_void(&mut self, number: u32) -> Done {
        if let Some(space) = self.spaces.get_mut(&number) {
            space.gone.doubts = Some(Vec::new());
        }
        self.rebuild(number)
    }

    /// Erases some of what is to go, then what is known of it.
    fn erase(&mut self, number: u32, log: u32, pruned: &Pruned, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let range = &pruned.range;
        let key = |seq: u64| rows::entry_key(number, log, seq);
        let tail =
            lens.scan(Table::Tail, &KeyRange { start: key(range.from), end: key(range.to) }, ERASED_AT_ONCE, false);
        let past = KeyRange { start: key(range.from), end: KeyRange::prefix(&rows::log_prefix(number, log)).end };
        let segment = lens.scan(Table::Segment, &past, 1, false)?;
        let mut batch = Batch::default();
        let mut went: Vec<Verified> = Vec::new();
        for (key, raw) in tail? {
            went.extend(Verified::from_store(&raw));
            batch.deletes.push((Table::Tail, key));
        }
        if let Some((last, row)) = segment.first() {
            // What does not read goes with the rest.
            let here = rows::decode_segment(row).into_iter().filter_map(|raw| Verified::from_store(raw).ok());
            let (within, others): (Vec<_>, Vec<_>) = here.partition(|entry| pruned.covers(entry.header.seq));
            if !within.is_empty() {
                batch.deletes.push((Table::Segment, last.clone()));
                let (before, after): (Vec<_>, Vec<_>) = others.iter().partition(|entry| entry.header.seq < range.from);
                for part in [before, after] {
                    if let Some(end) = part.last() {
                        let row = rows::encode_segment(part.iter().map(|entry| entry.raw()));
                        batch.puts.push((Table::Segment, key(end.header.seq), row));
                    }
                }
                went.extend(within);
            }
        }
        kith_map::sort_by_key(&mut went, |entry| entry.header.seq);
        let mut marked = Vec::new();
        let opened = went.iter().filter_map(|entry| Some((entry, open_ops(space, entry)?)));
        let opened: Vec<(&Verified, Opened)> = opened.collect();
        let is_own = self.own_log(space) == Some(log);
        let ids = || opened.iter().filter(|(_, opened)| is_own && !opened.id.is_empty());
        lens.want(Table::View, ids().map(|(_, opened)| write_id_key(number, &opened.id)))?;
        for (entry, opened) in ids() {
            // Whoever repeats a write as old as that writes anew.
            let id = write_id_key(number, &opened.id);
            if lens.get(Table::View, &id)? == Some(&entry.header.seq.to_be_bytes()[..]) {
                batch.deletes.push((Table::View, id));
            }
        }
        for (entry, opened) in &opened {
            let point = point_of(entry, opened);
            batch.deletes.push((Table::View, history::time_key(number, &point)));
            let ops = opened.list.iter().flatten();
            marked.extend(ops.map(|op| history::op_key(&history::place_key(number, &op.path), &point)));
        }
        history::redact(lens, marked, &mut batch)?;
        if batch.is_empty() {
            return self.erase_books(number, log, pruned, lens);
        }
        let records: Vec<u64> = went.iter().filter(|e| e.header.kind != Kind::Op).map(|e| e.header.seq).collect();
        if !records.is_empty()
            && let Some(space) = self.spaces.get_mut(&number)
        {
            for seq in records {
                space.records.remove(&(log, seq));
                batch.deletes.push((Table::Head, rows::record_key(number, log, seq)));
            }
            space.judge();
            // There may be as many as before, and others.
            space.gone.checked = u64::MAX;
            space.gone.store(number, &mut batch);
        }
        Ok(Done::WriteAndAgain(Unit { batch, effects: Vec::new() }))
    }

    /// Erases what is known of entries that are gone.
    fn erase_books(&mut self, number: u32, log: u32, pruned: &Pruned, lens: &Lens<'_>) -> Result<Done, Miss> {
        let range = &pruned.range;
        let mut found = Vec::new();
        let mut missing = Ok(());
        for tag in [NAMED, WORK, MISSING, HOLE, TOLD] {
            let key = |seq: u64| gone::key(number, tag, (range.log, seq));
            let rows = KeyRange { start: key(range.from), end: key(range.to) };
            match lens.scan(Table::View, &rows, ERASED_AT_ONCE, false) {
                Ok(rows) => found.extend(rows.into_iter().map(|(key, _)| (tag, key))),
                Err(Miss) => missing = Err(Miss),
            }
        }
        missing?;
        let Some(space) = self.spaces.get_mut(&number) else { return Ok(Done::Nothing) };
        let mut batch = Batch::default();
        let gone = &mut space.gone;
        for (tag, key) in found {
            match tag {
                WORK => gone.work = gone.work.saturating_sub(1),
                MISSING => gone.missing = gone.missing.saturating_sub(1),
                HOLE => gone.holes = gone.holes.saturating_sub(1),
                TOLD => gone.told = gone.told.saturating_sub(1),
                _ => {}
            }
            batch.deletes.push((Table::View, key));
        }
        if batch.is_empty() {
            space.put_pruned(log, PrunedRow { pruned: *pruned, stage: Stage::Gone }, &mut batch);
            space.gone.feed = Some(0);
        } else {
            gone.store(number, &mut batch);
        }
        self.status_changed();
        Ok(Done::WriteAndAgain(Unit { batch, effects: Vec::new() }))
    }
}

impl Peer {
    /// One step through the feed for arrivals of which nothing is left.
    pub(super) fn shorten_feed(&mut self, number: u32, from: u64, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        // The last row tells the number of the next.
        let range = KeyRange {
            start: rows::arrival_key(number, from),
            end: rows::arrival_key(number, space.arrivals.saturating_sub(1).max(from)),
        };
        let arrivals = lens.scan(Table::Arrival, &range, ERASED_AT_ONCE, false)?;
        let is_over = |run: &rows::Run| space.pruned.within(run.log, run.from, run.from + run.count) == run.count;
        let over = arrivals.iter().filter(|(_, row)| rows::decode_arrival(row).iter().all(is_over));
        let deletes = over.map(|(key, _)| (Table::Arrival, key.clone())).collect();
        let last = arrivals.last().filter(|_| arrivals.len() == ERASED_AT_ONCE);
        let next = last.and_then(|(key, _)| Some(rows::arrival_of_key(key)? + 1));
        if let Some(space) = self.spaces.get_mut(&number) {
            space.gone.feed = next;
        }
        Ok(Done::WriteAndAgain(Unit { batch: Batch { deletes, ..Batch::default() }, effects: Vec::new() }))
    }
}

impl Space {
    /// Stores what is known of entries that go, in the place of what was known of some of them.
    pub(super) fn put_pruned(&mut self, log: u32, row: PrunedRow, batch: &mut Batch) {
        for from in self.pruned.put(log, row) {
            batch.deletes.push((Table::Head, rows::pruned_key(self.number, log, from)));
        }
        batch.puts.push((Table::Head, rows::pruned_key(self.number, log, row.pruned.range.from), row.encode()));
    }
}

/// Whether a range can be dropped by what stands around it: its word is the owner's, the entry before it stands by itself, and
/// the one behind it follows it.
fn is_sound(lens: &Lens<'_>, space: &Space, log: u32, pruned: &Pruned) -> Result<bool, Miss> {
    let before = entry_at(lens, space.number, log, pruned.range.from - 1);
    let behind = entry_at(lens, space.number, log, pruned.range.to)?;
    let (Some(before), Some(behind)) = (before?, behind) else { return Ok(false) };
    Ok(space.pruned.fits(log, pruned) && before.is_signed() && behind.follows(pruned) && pruned.holds(&space.row.key))
}

/// What there is to an entry here.
pub(super) fn weight(lens: &Lens<'_>, space: &Space, entry: &Verified) -> Result<Weight, Miss> {
    if entry.header.kind == Kind::Checkpoint && entry.header.log != space.row.key {
        return Ok(if is_outdone(lens, space, entry)? { Weight::default() } else { Weight::NEEDED });
    }
    if entry.header.kind != Kind::Op || space.epoch(&entry.header.epoch.unwrap_or_default()).is_none() {
        return Ok(Weight::NEEDED);
    }
    let Some(opened) = open_ops(space, entry) else { return Ok(Weight::default()) };
    // A list is needed as long as anything it names is there.
    let waits = !opened.redactions.iter().all(|target| space.pruned.is_void(&target.log, target.seq));
    let stamp = point_of(entry, &opened);
    let mut all = Weight { left: waits, needed: waits, waits, counts: false };
    let mut missing = Ok(());
    for op in opened.list.iter().flatten() {
        match weight_of(lens, space, op, stamp) {
            Ok(weight) => all = all.or(weight),
            Err(Miss) => missing = Err(Miss),
        }
    }
    missing.map(|()| all)
}

/// Whether a later checkpoint of the same log says all that this one does.
fn is_outdone(lens: &Lens<'_>, space: &Space, entry: &Verified) -> Result<bool, Miss> {
    let (log, seq) = (entry.header.log, entry.header.seq);
    let Ok(old) = Checkpoint::decode(entry.body()) else { return Ok(true) };
    let mut of_log = space.checkpoints.iter().rev().filter(|((by, at), _)| *by == log && *at > seq);
    let Some((_, new)) = of_log.next().filter(|(_, new)| new.covers(&old) && space.has_all_of(new)) else {
        return Ok(false);
    };
    // What only the old one does not admit would count without it.
    let mut missing = Ok(true);
    for (log, len) in &new.frontier {
        let Some((number, state)) = space.log(log) else { continue };
        let from = old.frontier.get(log).copied().unwrap_or(0);
        match first_clock(lens, space, number, from, (*len).min(state.applied)) {
            Ok(Some(clock)) if clock <= old.stable => return Ok(false),
            Ok(_) => {}
            Err(Miss) => missing = Err(Miss),
        }
    }
    missing
}

fn weight_of(lens: &Lens<'_>, space: &Space, op: &Op, stamp: Stamp) -> Result<Weight, Miss> {
    let past = Weight { left: true, ..Weight::default() };
    let present = Weight { counts: true, ..past };
    if bearing_in(lens, space.number, None, op, stamp, space.gone.settled)? != Bearing::Has {
        return Ok(past);
    }
    // A deletion that has been forgotten: nothing it hides may be left either.
    let forgotten = op.leaf == Leaf::Deleted && op.since != Since::Here && stamp.clock <= space.gone.settled;
    if !forgotten || !space.moves.is_empty() {
        return Ok(present);
    }
    let row = lens.get(Table::View, &view_key(space.number, &op.path))?.and_then(ViewRow::decode);
    if row.is_some_and(|row| row.register.is_some()) {
        return Ok(present);
    }
    let place = history::place_key(space.number, &op.path);
    let before = KeyRange { end: history::op_key(&place, &stamp), ..history::ops_until(&place, &stamp) };
    let told = lens.scan(Table::View, &before, BEFORE_DELETION, true)?;
    let erased = told.iter().all(|(_, row)| history::is_mark(row));
    Ok(if told.len() < BEFORE_DELETION && erased { Weight::default() } else { present })
}
