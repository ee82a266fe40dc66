//! Merging entries that are stored but not in the tree yet: their key came late, or the tree is being made anew.

use super::books::Books;
use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::fork::make_anew;
use super::moves::lay;
use super::read::said_ops;
use super::space::{READ_RUN, read_entries};
use super::{Done, Job, Peer, rows};
use crate::clock::Clock;
use crate::document::kind::tag;
use crate::entry::Kind;
use crate::history;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Table};
use crate::version::Agent;

impl Peer {
    /// Makes the tree anew where this release knows kinds that the one before could only keep.
    pub(super) fn renew(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        let Some(mut space) = self.spaces.remove(&number) else { return Ok(Done::Nothing) };
        let mut draft = Draft::default();
        make_anew(&mut space, &mut draft);
        for known in space.unknown.iter().filter(|tag| tag::is_known(**tag)) {
            draft.batch.deletes.push((Table::Head, rows::unknown_key(number, *known)));
        }
        space.unknown.retain(|tag| !tag::is_known(*tag));
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        let effects = vec![Effect::Changed(number, vec![Path::root()]), Effect::Start(Job::Replay(number))];
        Ok(Done::Write(Unit { batch, effects }))
    }

    pub(super) fn replay(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        if self.is_paused() {
            return Ok(Done::Nothing);
        }
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let mut damaged: Vec<(u32, u64)> = Vec::new();
        let mut stalled: Vec<[u8; 32]> = Vec::new();
        for (log, state) in space.logs.iter().enumerate() {
            if state.applied >= state.tip.len {
                continue;
            }
            let log = log as u32;
            let at_once = if self.is_careful() { 1 } else { READ_RUN };
            let entries = read_entries(lens, space, log, state.applied..state.tip.len, at_once)?;
            if let Some(first) = entries.first() {
                if self.is_quarantined(first) {
                    continue;
                }
                if self.needs_mark(first) && !stalled.contains(&first.hash()) {
                    let first = first.clone();
                    self.are_harmless(stalled);
                    let unit = self.mark(&first, Job::Replay(number)).unwrap_or_default();
                    return Ok(Done::Write(unit));
                }
            }
            if entries.is_empty() {
                damaged.push((log, state.applied));
            }
            let mut items = Vec::new();
            let mut targets = Vec::new();
            let mut opened = state.applied;
            let mut clock = state.clock;
            for entry in &entries {
                let key_is_missing =
                    entry.header.kind == Kind::Op && space.epoch(&entry.header.epoch.unwrap_or_default()).is_none();
                if key_is_missing {
                    break;
                }
                let ops = said_ops(space, entry);
                if let Some(ops) = &ops {
                    if ops.clock <= clock {
                        // It would have been refused, had its key been here when it came: the log says no more.
                        break;
                    }
                    clock = ops.clock;
                }
                opened = entry.header.seq + 1;
                let Some(mut ops) = ops else { continue };
                targets.append(&mut ops.redactions);
                if space.counts(&state.key, entry.header.seq, ops.clock) {
                    items.extend(ops.into_items(Agent::of(&state.key.0), entry.header.seq));
                }
            }
            if opened == state.applied {
                stalled.extend(entries.first().map(|first| first.hash()));
                continue;
            }
            super::policy::allowed(&mut items, space.authority.role(&state.key));
            let laid = lay(lens, space, &items);
            let mut books = Books::new(lens, number);
            targets.retain(|target| !space.is_pruned(&target.log, target.seq));
            books.want(targets.iter().map(|target| (target.log, target.seq)))?;
            let mut has_work = false;
            for target in &targets {
                has_work |= books.name(target)?;
            }
            let laid = laid?;
            let from = state.applied;
            let Some(mut space) = self.spaces.remove(&number) else { return Ok(Done::Nothing) };
            let mut draft = Draft::default();
            draft.batch.puts.extend(history::rows(number, log, &laid.items));
            if let Some(log) = space.log_mut(log) {
                log.applied = opened;
                log.clock = clock;
            }
            self.hlc.recall(Clock(clock));
            draft.head(&space, log);
            // What was in the feed before the tree was made anew does not come again.
            let known = space.announced.get(&log).copied().unwrap_or(0).clamp(from, opened);
            draft.arrived(log, known, opened - known);
            let mut changed = space.relocated(laid.moved, &mut draft);
            changed.extend(space.merged(laid.applied, &mut draft));
            if self.is_careful() {
                self.unmark(&mut draft.batch);
            }
            books.finish(&mut space.gone, &mut draft.batch);
            let batch = draft.finish(&mut space);
            let mut effects = vec![Effect::Changed(number, changed)];
            if has_work {
                space.gone.cursor = None;
                effects.push(Effect::Start(Job::Collect(number)));
            }
            self.spaces.insert(number, space);
            return Ok(Done::WriteAndAgain(Unit { batch, effects }));
        }
        let unreadable = !damaged.is_empty();
        let rebuilding = space.rebuilding;
        for (log, seq) in damaged {
            self.suspect_damage(number, log, seq);
        }
        // A text is only shown once what was written in it is put together.
        if rebuilding && !unreadable && !self.has_texts_to_do(number) {
            if let Some(space) = self.spaces.get_mut(&number) {
                space.rebuilding = false;
                space.announced.clear();
            }
            let batch = Batch { deletes: vec![(Table::Head, rows::rebuild_key(number))], ..Batch::default() };
            // What checkpoints say of the entries that are in the tree now has yet to be done.
            let effects = vec![Effect::Changed(number, vec![Path::root()]), Effect::Start(Job::Collect(number))];
            return Ok(Done::Write(Unit { batch, effects }));
        }
        if self.spaces.get(&number).is_some_and(super::space::Space::is_unsettled) {
            self.start_later(Job::Collect(number));
        }
        Ok(Done::Nothing)
    }
}
