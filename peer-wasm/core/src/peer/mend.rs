//! Stored entries that cannot be read any more: what is left of their rows is saved, and they are asked for again.
//!
//! An entry is known by its hash, which the entry after it, or the log's row, still names. So what comes in answer is
//! checked against what was here before, whoever sends it, and the own log is mended like any other.

use super::commit::{Effect, Unit};
use super::gone::{self, Place, State};
use super::space::Space;
use super::{Done, Job, Peer, rows};
use crate::entry::{Entry, Verified};
use crate::lens::{Lens, Miss};
use crate::rows::{Batch, Durability, KeyRange, Table};

/// The most entries of a log taken for lost at once.
const MAX_LOST: u64 = 256;
/// Suspicions waiting to be looked at.
const MAX_SUSPECTS: usize = 64;

/// Places of logs where nothing was found though something is stored there.
#[derive(Default)]
pub(super) struct Suspects(Vec<(u32, u32, u64)>);

impl Suspects {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Peer {
    /// Nothing was found at this place of a log, though it is part of it.
    pub(super) fn suspect_damage(&mut self, number: u32, log: u32, seq: u64) {
        let suspect = (number, log, seq);
        if self.suspects.0.len() < MAX_SUSPECTS && !self.suspects.0.contains(&suspect) {
            self.suspects.0.push(suspect);
            self.start_later(Job::Mend(number));
        }
    }

    /// Looks at one suspicion: saves what can be read, and notes what is lost.
    pub(super) fn mend(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        let Some(at) = self.suspects.0.iter().position(|(space, ..)| *space == number) else {
            return Ok(Done::Nothing);
        };
        let Some((_, log, seq)) = self.suspects.0.get(at).copied() else { return Ok(Done::Nothing) };
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let state = space.logs.get(log as usize);
        // What is gone was not lost.
        let seq = space.past_pruned(log, seq);
        let Some((key, end)) = state.map(|log| (log.key, log.durable.min(log.tip.len))).filter(|(_, end)| seq < *end)
        else {
            self.suspects.0.swap_remove(at);
            return Ok(Done::Nothing);
        };
        let upto = space.pruned.next(log, seq).map_or(end, |pruned| end.min(pruned.range.from));
        let damage = damage(lens, number, log, seq, upto)?;
        let Some((lost, mut batch)) = damage else {
            self.suspects.0.swap_remove(at);
            return Ok(Done::Nothing);
        };
        let mut new = 0;
        for seq in lost {
            if !gone::is_hole(lens, number, (key, seq))? {
                gone::put_hole(number, (key, seq), &mut batch);
                new += 1;
            }
        }
        // From here on nothing can be missing.
        self.suspects.0.swap_remove(at);
        if let Some(space) = self.spaces.get_mut(&number).filter(|_| new > 0) {
            space.gone.holes += new;
            space.gone.seek_at = 0;
            space.gone.store(number, &mut batch);
        }
        self.status_changed();
        batch.durability = Durability::Strict;
        Ok(Done::Write(Unit { batch, effects: vec![Effect::Start(Job::Seek(number))] }))
    }

    /// Puts an entry that came where one was lost, if it is that one.
    pub(super) fn fill_hole(
        &mut self,
        number: u32,
        entry: &Entry,
        named: &gone::Named,
        lens: &Lens<'_>,
    ) -> Result<Option<Unit>, Miss> {
        let place = (entry.header.log, entry.header.seq);
        let Some(space) = self.spaces.get(&number).filter(|space| space.gone.holes > 0) else { return Ok(None) };
        if !gone::is_hole(lens, number, place)? {
            return Ok(None);
        }
        let Some((log, state)) = space.log(&place.0).filter(|(_, log)| place.1 < log.tip.len) else { return Ok(None) };
        let expected = if place.1 + 1 == state.tip.len {
            Some(state.tip.hash)
        } else if space.pruned.at(log, place.1 + 1).is_some() {
            // What followed it is gone: such an entry stands by itself.
            Some(entry.hash()).filter(|_| entry.is_signed() && entry.header.space == space.row.key)
        } else {
            entry_at(lens, space, log, place.1 + 1)?.map(|next| next.header.prev)
        };
        let Some(entry) = Verified::from_store(entry.raw()).ok().filter(|entry| expected == Some(entry.hash())) else {
            return Ok(None);
        };
        let unapplied = place.1 >= state.applied;
        // What was redacted before it was lost does not come back.
        let gone: Vec<usize> =
            named.iter().filter(|(_, state)| **state == State::Gone).map(|(part, _)| *part).collect();
        let entry = entry.without(&gone).unwrap_or(entry);
        let mut batch = Batch { durability: Durability::Strict, ..Batch::default() };
        batch.puts.push((Table::Tail, rows::entry_key(number, log, place.1), entry.raw().to_vec()));
        gone::delete_hole(number, place, &mut batch);
        if let Some(space) = self.spaces.get_mut(&number) {
            space.gone.holes = space.gone.holes.saturating_sub(1);
            space.gone.store(number, &mut batch);
        }
        let mut effects = Vec::new();
        if unapplied {
            effects.push(Effect::Start(Job::Replay(number)));
        }
        Ok(Some(Unit { batch, effects }))
    }
}

/// The entry stored at a place, if it can be read.
fn entry_at(lens: &Lens<'_>, space: &Space, log: u32, seq: u64) -> Result<Option<Verified>, Miss> {
    let Some(key) = space.logs.get(log as usize).map(|log| log.key) else { return Ok(None) };
    let place: Place = (key, seq);
    let mut found = super::collect::find(lens, space, std::iter::once(place))?;
    Ok(found.entries.remove(&place).map(|stored| stored.entry))
}

/// What is lost from a place of a log on, and the rows to write so that what is left can be read; `None` if nothing
/// is wrong there.
fn damage(lens: &Lens<'_>, space: u32, log: u32, seq: u64, upto: u64) -> Result<Option<(Vec<u64>, Batch)>, Miss> {
    let past = KeyRange::prefix(&rows::log_prefix(space, log)).end;
    let range = KeyRange { start: rows::entry_key(space, log, seq), end: past };
    let tail = lens.scan(Table::Tail, &range, 2, false);
    let segment = lens.scan(Table::Segment, &range, 1, false)?;
    let tail = tail?;
    let mut batch = Batch::default();
    // The first place from here on where something can be read.
    let mut next = upto.min(seq.saturating_add(MAX_LOST));
    for (key, value) in &tail {
        let Some(at) = rows::seq_of_key(key) else { continue };
        match readable(value) {
            Some(found) if found == at => next = next.min(at),
            _ => batch.deletes.push((Table::Tail, key.clone())),
        }
    }
    let mut saved: Vec<u64> = Vec::new();
    if let Some((key, value)) = segment.first() {
        let raws = rows::decode_segment(value);
        let found: Vec<(u64, &[u8])> = raws.iter().filter_map(|raw| Some((readable(raw)?, *raw))).collect();
        let last = rows::seq_of_key(key).unwrap_or(0);
        let whole = found.len() == raws.len()
            && found.last().is_some_and(|(seq, _)| *seq == last)
            && found.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a + 1 == *b));
        if whole {
            next = found.iter().map(|(at, _)| *at).find(|at| *at >= seq).map_or(next, |at| next.min(at));
        } else {
            batch.deletes.push((Table::Segment, key.clone()));
            for (at, raw) in found {
                batch.puts.push((Table::Tail, rows::entry_key(space, log, at), raw.to_vec()));
                saved.push(at);
            }
            // All of the packed row that was not saved is lost.
            next = next.min(last.saturating_add(1));
        }
    }
    let lost: Vec<u64> = (seq..next).filter(|at| !saved.contains(at)).collect();
    Ok(if lost.is_empty() && batch.is_empty() { None } else { Some((lost, batch)) })
}

/// The place of an entry, if its bytes are one.
fn readable(raw: &[u8]) -> Option<u64> {
    Verified::from_store(raw).ok().map(|entry| entry.header.seq)
}
