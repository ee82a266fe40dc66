//! Forgetting what was deleted: once every log that writes has gone on past a time, an owner says so with a checkpoint,
//! and rows that only say that nothing is there any more go. See `docs/decisions/0152-checkpoints.md`.

use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::fork::make_anew;
use super::read::open_ops;
use super::space::{Space, read_entries};
use super::{Done, Job, Peer};
use crate::api::Role;
use crate::clock::Clock;
use crate::document::{Leaf, ViewRow, view_prefix};
use crate::entry::Kind;
use crate::lens::{Lens, Miss};
use crate::records::Checkpoint;
use crate::rows::{Batch, Durability, KeyRange, Table};

/// What was written within this time is never said to be settled, in milliseconds: a device that has never written may
/// be away that long without losing what it writes first.
const SETTLED_AFTER: u64 = 7 * 24 * 3_600_000;
/// Checkpoints are at least this far apart, in milliseconds.
const APART: u64 = 24 * 3_600_000;
/// Entries of a log read at once while its first op is looked for.
const FEW: u64 = 8;
/// Rows looked at in one step.
const ROWS: usize = 512;
/// Rows that may be written while the tree is gone through, before that begins anew.
const MAX_FRESH: usize = 10_000;

/// Going through the tree, from its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    stable: u64,
    /// Keys from this one on are done.
    before: Option<Vec<u8>>,
    /// The last row that was kept and holds something; what only notes moves is nothing that others are above.
    kept: Option<Vec<u8>>,
    /// Rows written meanwhile.
    fresh: Vec<Vec<u8>>,
}

impl Pass {
    /// Up to when what was deleted is being forgotten.
    pub(super) const fn stable(&self) -> u64 {
        self.stable
    }
}

impl Space {
    /// Whether everything a checkpoint speaks of is in the tree here.
    pub(super) fn has_all_of(&self, checkpoint: &Checkpoint) -> bool {
        checkpoint.frontier.iter().all(|(log, len)| {
            let len = self.cut(log).map_or(*len, |cut| cut.min(*len));
            self.log(log).map_or(0, |(_, log)| log.applied) >= len
        })
    }

    /// Up to when all is settled here, by the checkpoints of which everything is here.
    fn stable(&self) -> u64 {
        if self.is_incomplete() {
            return 0;
        }
        let here = self.checkpoints.iter().filter(|(_, checkpoint)| self.has_all_of(checkpoint));
        here.map(|(_, checkpoint)| checkpoint.stable).max().unwrap_or(0)
    }

    /// Whether checkpoints have yet to be acted on.
    pub(super) fn is_unsettled(&self) -> bool {
        let unchecked = self.gone.checked != self.checkpoints.len() as u64;
        let mut later = self.checkpoints.iter().filter(|(_, checkpoint)| checkpoint.stable > self.gone.settled);
        let mut acts = || !self.is_incomplete() && later.any(|(_, checkpoint)| self.has_all_of(checkpoint));
        unchecked || self.gone.pass.is_some() || acts() || self.due_to_prune(true).is_some() || self.gone.feed.is_some()
    }

    /// Whether parts or entries are lacking: what they say may still have to meet what was deleted.
    pub(super) fn is_incomplete(&self) -> bool {
        self.gone.missing + self.gone.holes + self.gone.told > 0 || self.gone.doubted
    }

    /// The time that every log that has written, and may, has gone past.
    fn passed(&self, now: u64) -> u64 {
        let writes = |log: &&super::space::Log| {
            let role = self.authority.role(&log.key);
            log.clock > 0 && role >= Some(Role::Writer) && !self.forks.contains_key(&log.key)
        };
        let all = self.logs.iter().filter(writes).map(|log| log.clock.saturating_sub(1)).min().unwrap_or(0);
        all.min(Clock::new(now.saturating_sub(SETTLED_AFTER), 0).0)
    }

    /// Takes note of rows written while the tree is gone through.
    pub(super) fn note_fresh(&mut self, batch: &Batch) {
        let Some(pass) = &mut self.gone.pass else { return };
        let prefix = view_prefix(self.number);
        let held = |row: &[u8]| ViewRow::decode(row).is_some_and(|row| row.is_held());
        let puts = batch.puts.iter().filter(|(table, key, _)| *table == Table::View && key.starts_with(&prefix));
        let (there, empty): (Vec<_>, Vec<_>) = puts.partition(|(_, _, row)| held(row));
        let went = batch.deletes.iter().filter(|(table, _)| *table == Table::View).map(|(_, key)| key);
        let mut went = went.chain(empty.iter().map(|(_, key, _)| key));
        let is_known = |key: &Vec<u8>| pass.kept.as_ref() == Some(key) || pass.fresh.contains(key);
        // What was there when it was looked at and is no more: what stands above it is looked at anew, with all else.
        let lost = went.any(is_known);
        pass.fresh.extend(there.into_iter().map(|(_, key, _)| key.clone()));
        if lost || pass.fresh.len() > MAX_FRESH {
            *pass = Pass { stable: pass.stable, ..Pass::default() };
        }
    }
}

impl Peer {
    /// One step of acting on checkpoints, or of making one.
    pub(super) fn settle_checkpoints(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let count = space.checkpoints.len() as u64;
        if space.gone.checked != count {
            let void = has_void(lens, space)?;
            let Some(mut space) = self.spaces.remove(&number) else { return Ok(Done::Nothing) };
            let mut draft = Draft::default();
            space.gone.checked = count;
            space.gone.store(number, &mut draft.batch);
            let mut effects = Vec::new();
            if void {
                // What is in the tree already does not count: the tree is made without it.
                space.gone.doubts = Some(Vec::new());
                make_anew(&mut space, &mut draft);
                effects.push(Effect::Start(Job::Replay(number)));
            }
            let batch = draft.finish(&mut space);
            self.spaces.insert(number, space);
            return Ok(Done::WriteAndAgain(Unit { batch, effects }));
        }
        if space.gone.pass.is_some() || space.stable() > space.gone.settled {
            return self.pass(number, lens);
        }
        let now = self.now;
        let waits_long = self.spaces.get_mut(&number).is_some_and(|space| space.pruned.waits_long(now));
        let is_linked = self.links.values().any(|link| link.shares(number));
        let quiet = waits_long && is_linked && !self.is_behind(number);
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        if let Some(due) = space.due_to_prune(quiet) {
            return self.prune(number, due, lens);
        }
        if let Some(from) = space.gone.feed {
            return self.shorten_feed(number, from, lens);
        }
        if let Some(done) = self.make_checkpoint(number, lens)? {
            return Ok(done);
        }
        self.keep_policies(number, lens)
    }

    /// One step through the tree, from its end, so that what is below a place comes before the place itself.
    fn pass(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let mut pass = space.gone.pass.clone().unwrap_or_else(|| Pass { stable: space.stable(), ..Pass::default() });
        let mut range = KeyRange::prefix(&view_prefix(number));
        if let Some(before) = &pass.before {
            range.end = before.clone();
        }
        let rows = lens.scan(Table::View, &range, ROWS, true)?;
        let mut batch = Batch::default();
        let mut damaged = false;
        for (key, value) in &rows {
            let Some(row) = ViewRow::decode(value) else {
                damaged = true;
                break;
            };
            let below = pass.kept.iter().chain(&pass.fresh).any(|kept| kept.len() > key.len() && kept.starts_with(key));
            match settled(&row, below, pass.stable) {
                None => {
                    batch.deletes.push((Table::View, key.clone()));
                    continue;
                }
                Some(new) if new != row => batch.puts.push((Table::View, key.clone(), new.encode())),
                Some(_) => {}
            }
            if row.is_held() {
                pass.kept = Some(key.clone());
            }
        }
        if damaged {
            // A row of the tree that cannot be read: all of it is in the entries.
            return Ok(self.rebuild(number));
        }
        pass.before = rows.last().map(|(key, _)| key.clone());
        let Some(space) = self.spaces.get_mut(&number) else { return Ok(Done::Nothing) };
        if rows.len() < ROWS {
            space.gone.settled = pass.stable;
            space.gone.pass = None;
            space.gone.store(number, &mut batch);
        } else {
            space.gone.pass = Some(pass);
        }
        Ok(Done::WriteAndAgain(Unit { batch, effects: Vec::new() }))
    }

    /// Makes the tree anew from the entries.
    pub(super) fn rebuild(&mut self, number: u32) -> Done {
        let Some(mut space) = self.spaces.remove(&number) else { return Done::Nothing };
        let mut draft = Draft::default();
        make_anew(&mut space, &mut draft);
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        Done::Write(Unit { batch, effects: vec![Effect::Start(Job::Replay(number))] })
    }

    /// Makes a checkpoint, if this is an owner's device and it is time for one; entries that are not needed any more are
    /// looked for first.
    fn make_checkpoint(&mut self, number: u32, lens: &Lens<'_>) -> Result<Option<Done>, Miss> {
        let now = self.now;
        let is_owner = self.may(number, Role::Owner).is_ok();
        let own = self.spaces.get(&number).and_then(|space| self.own_log(space));
        let (Some(space), Some(own)) = (self.spaces.get(&number), own) else { return Ok(None) };
        let stable = space.passed(now);
        let last = space.checkpoints.iter().map(|(_, checkpoint)| checkpoint.stable).max().unwrap_or(0);
        let created = Clock::new(space.authority.created().unwrap_or(0), 0).0;
        let is_incomplete = space.is_incomplete();
        if !is_owner
            || is_incomplete
            || Clock(stable).millis() < Clock(last.max(created)).millis().saturating_add(APART)
        {
            return Ok(None);
        }
        let Some(found) = self.survey(number, stable, lens)? else {
            return Ok(Some(Done::WriteAndAgain(Unit::default())));
        };
        let Some(mut space) = self.spaces.remove(&number) else { return Ok(None) };
        space.gone.survey = None;
        let frontier = space.logs.iter().map(|log| (log.key, log.applied)).collect();
        let pruned = self.sign_pruned(&space, own, &found);
        let checkpoint = Checkpoint { stable, frontier, pruned };
        let mut draft = Draft::default();
        self.author(&mut space, &mut draft, own, Kind::Checkpoint, &checkpoint.encode());
        if let Some(log) = space.log_mut(own) {
            log.applied = log.tip.len;
        }
        space.judge();
        space.gone.store(number, &mut draft.batch);
        draft.batch.durability = Durability::Strict;
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        self.write(Unit { batch, effects: vec![Effect::Start(Job::Collect(number))] });
        Ok(None)
    }
}

/// What is left of a row once all up to `stable` is settled; `below` says whether any row is left below its place.
fn settled(row: &ViewRow, below: bool, stable: u64) -> Option<ViewRow> {
    // What is known of the past under a kind is needed by whatever comes later.
    let over = row.states.0.is_empty()
        && row.register.as_ref().is_none_or(|held| held.leaf == Leaf::Deleted && held.clock <= stable);
    match (over, below) {
        (true, false) => None,
        (true, true) => Some(ViewRow { container: true, ..ViewRow::default() }),
        (false, below) => Some(ViewRow { container: below, ..row.clone() }),
    }
}

/// Whether anything in the tree does not count by some checkpoint. Times rise within a log, so of each log only the
/// first op past a checkpoint's frontier needs to be looked at.
fn has_void(lens: &Lens<'_>, space: &Space) -> Result<bool, Miss> {
    let mut missing = Ok(false);
    for (_, checkpoint) in &space.checkpoints {
        for (number, log) in space.logs.iter().enumerate() {
            let from = checkpoint.frontier.get(&log.key).copied().unwrap_or(0);
            match first_clock(lens, space, number as u32, from, log.applied) {
                Ok(Some(clock)) if clock <= checkpoint.stable => return Ok(true),
                Ok(_) => {}
                Err(Miss) => missing = Err(Miss),
            }
        }
    }
    missing
}

/// When the first op of a log between two places was written.
pub(super) fn first_clock(
    lens: &Lens<'_>,
    space: &Space,
    log: u32,
    mut from: u64,
    end: u64,
) -> Result<Option<u64>, Miss> {
    while from < end {
        let entries = read_entries(lens, space, log, from..end, FEW)?;
        if let Some(opened) = entries.iter().find_map(|entry| open_ops(space, entry)) {
            return Ok(Some(opened.clock));
        }
        let Some(last) = entries.last() else { break };
        from = last.header.seq + 1;
    }
    Ok(None)
}
