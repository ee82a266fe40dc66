//! Taking in entries: verify, judge, open, merge, store. In that order, and nothing by halves.
//!
//! One frame of entries at a time per space. First, without rows: the chain and signatures of each run, who may do
//! what, and the ops inside. Then, with rows: what the ops change. The first part is kept while rows are loaded.

use super::boot::Draft;
use super::collect::Settled;
use super::commit::{Effect, Unit};
use super::moves::{Laid, Moved, lay};
use super::prepare::{Prepared, PreparedRun, Problem, Then};
use super::rows::{self, PrunedRow, Stage};
use super::space::Space;
use super::{Done, Job, LinkId, Peer};
use crate::clock::Clock;
use crate::document::Leaf;
use crate::entry::{Entry, Tip, Verified};
use crate::history;
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Durability, Table};
use crate::version::Agent;
use crate::wire::Frame;

/// Runs at least this long are stored packed.
const PACK: usize = 16;
/// Entries in one packed row.
const SEGMENT: usize = 100;
/// Bytes in one packed row: below the size at which browsers move values to files of their own.
const SEGMENT_BYTES: usize = 56_000;
/// How long a log that was not taken waits before it is asked for again, in milliseconds.
const HOLD: u64 = 30_000;

/// What taking in entries comes to.
pub(super) struct Taken {
    pub(super) batch: Batch,
    pub(super) effects: Vec<Effect>,
    pub(super) problems: Vec<Problem>,
}

impl Peer {
    /// Takes in the next frame of a space, if none is being taken in.
    pub(super) fn ingest_next(&mut self, number: u32) {
        if self.is_ingesting(number) || self.is_paused() {
            return;
        }
        if self.commits.is_crowded() {
            self.commits.next_frames.insert(number);
            return;
        }
        if let Some(id) = self.inboxes.turn(number) {
            self.start_later(Job::Ingest(id, number));
        }
    }

    /// Whether storage has failed lately, so that nothing is taken in from others for a moment.
    pub(super) fn is_paused(&self) -> bool {
        self.now < self.commits.paused_until
    }

    /// Goes on where a failure of storage held things up.
    pub(super) fn resume(&mut self) {
        if self.commits.paused_until == 0 || self.is_paused() {
            return;
        }
        self.commits.paused_until = 0;
        for number in self.space_rows.keys().copied().collect::<Vec<_>>() {
            self.start_later(Job::Replay(number));
            self.start_later(Job::Index(number));
            self.ask_everyone(number);
            self.commits.next_frames.insert(number);
        }
    }

    /// Where a log stands, and how much of it is in the tree.
    fn stand(&self, number: u32, log: &PublicKey) -> (Tip, u64) {
        let log = self.spaces.get(&number).and_then(|space| space.log(log));
        log.map_or((Tip::EMPTY, 0), |(_, log)| (log.tip, log.applied))
    }

    /// The entry that is taken in next from a link.
    fn next_entry(&self, id: LinkId, number: u32) -> Option<Entry> {
        self.inboxes.front(number, id)?.first().cloned()
    }

    fn is_ingesting(&self, number: u32) -> bool {
        self.tasks.values().any(|task| matches!(task.job, Job::Ingest(_, space) if space == number))
    }

    pub(super) fn ingest(&mut self, id: LinkId, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.is_ingesting(number) || self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        if self.is_careful()
            && let Some(entry) = self.next_entry(id, number)
            && let Some(unit) = self.mark(&entry, Job::Ingest(id, number))
        {
            return Ok(Done::Write(unit));
        }
        let prepared = match self.preparing.remove(&(id, number)) {
            Some(prepared) => prepared,
            None => match self.prepare(id, number) {
                Some(prepared) => prepared,
                None => {
                    // Its link has ended meanwhile: others may have been waiting.
                    self.commits.next_frames.insert(number);
                    return Ok(Done::Nothing);
                }
            },
        };
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let laid = match lay(lens, space, &prepared.items) {
            Ok(laid) => laid.owned(),
            Err(Miss) => {
                self.preparing.insert((id, number), prepared);
                return Err(Miss);
            }
        };
        let settled = match self.settle(number, &prepared, &laid, lens) {
            Ok(settled) => settled,
            Err(Miss) => {
                self.preparing.insert((id, number), prepared);
                return Err(Miss);
            }
        };
        if self.is_outdated(number, &prepared) {
            return Ok(Done::WriteAndAgain(Unit::default()));
        }
        // From here on nothing can be missing.
        self.note_useless(id, number, &prepared);
        let key = self.spaces.get(&number).map(|space| space.row.key);
        let Some((taken, key)) = self.take_in(number, prepared, laid, settled).zip(key) else {
            return Ok(Done::Nothing);
        };
        let Taken { mut batch, effects, problems } = taken;
        if self.is_careful() {
            self.unmark(&mut batch);
            self.commits.next_frames.extend(self.space_rows.keys().copied());
        }
        self.report(id, number, key, problems);
        self.took_from_inbox(id, number);
        self.commits.next_frames.insert(number);
        Ok(Done::Write(Unit { batch, effects }))
    }

    /// Whether a fork became known, a log grew, or its way into the tree began anew since this was judged: then it may not stand now.
    pub(super) fn is_outdated(&self, number: u32, prepared: &Prepared) -> bool {
        let Some(space) = self.spaces.get(&number) else { return prepared.forks > 0 };
        let authority = prepared.authority.as_ref().unwrap_or(&space.authority);
        let overlaps = |run: &PreparedRun| {
            run.entries
                .iter()
                .filter_map(|entry| entry.pruned())
                .any(|gone| !space.may_be_pruned(authority, &run.log, gone))
        };
        space.forks.len() != prepared.forks
            || prepared.runs.iter().any(|run| self.stand(number, &run.log) != (run.tip, run.applied) || overlaps(run))
    }

    /// Stores and merges what was verified. Nothing can be missing any more.
    pub(super) fn take_in(
        &mut self,
        number: u32,
        prepared: Prepared,
        laid: Laid<'_>,
        settled: Settled<'_, '_>,
    ) -> Option<Taken> {
        let problems = prepared.problems;
        let mut space = self.spaces.remove(&number)?;
        let mut draft = Draft::default();
        let authority_changed = prepared.authority.is_some();
        let keys_changed = !prepared.epochs.is_empty();
        if keys_changed {
            space.row.epochs.extend(prepared.epochs);
            self.space_rows.insert(number, space.row.clone());
            draft.space(&space);
        }
        let has_work = settled.has_work;
        let Laid { items: laid, applied, moved } = laid;
        let mut items = &*laid;
        for mut run in prepared.runs {
            settled.hollow(&mut run.entries);
            let number_of_log = space.number_of(run.log);
            let agent = Agent::of(&run.log.0);
            let mine = items.iter().take_while(|item| item.register.agent == agent).count();
            let (mine, rest) = items.split_at_checked(mine).unwrap_or_default();
            items = rest;
            draft.batch.puts.extend(history::rows(number, number_of_log, mine));
            for pruned in
                run.entries.iter().filter_map(|entry| entry.pruned()).filter(|gone| gone.range.to > run.tip.len)
            {
                let row = PrunedRow { pruned: *pruned, stage: Stage::Came };
                space.put_pruned(number_of_log, row, &mut draft.batch);
            }
            store_run(&mut space, &mut draft, number_of_log, &run.entries);
            self.progress(number, run.log, run.end());
            if let Some(log) = space.log_mut(number_of_log) {
                if log.applied == run.tip.len {
                    log.applied = run.opened;
                    draft.arrived(number_of_log, run.tip.len, run.opened - run.tip.len);
                }
                log.clock = log.clock.max(run.clock);
                log.used = run.used;
            }
            self.hlc.recall(Clock(run.clock));
        }
        // A key may come with another log than those that wait for it.
        let behind = keys_changed && space.logs.iter().any(|log| log.applied < log.tip.len);
        if authority_changed {
            // What was refused before may stand now, and nothing decided meanwhile is lost.
            space.judge();
        }
        for item in &*laid {
            if item.path == Path::space_name()
                && let Leaf::Json(text) = &item.register.leaf
                && applied.changed.contains(&item.path)
            {
                self.renamed(&mut space, text, &mut draft);
            }
        }
        settled.forget(&mut draft.batch);
        let anew = moved.as_ref().is_some_and(Moved::makes_anew);
        let mut changed = space.relocated(moved, &mut draft);
        changed.extend(space.merged(applied, &mut draft));
        settled.books.finish(&mut space.gone, &mut draft.batch);
        if has_work {
            space.gone.cursor = None;
        }
        self.check_joined(&mut space, &mut draft);
        draft.batch.durability = Durability::Relaxed;
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        let mut effects = vec![Effect::Changed(number, changed)];
        if authority_changed || keys_changed {
            effects.push(Effect::Authority(number));
        }
        if has_work || self.spaces.get(&number).is_some_and(|space| space.gone.ended || space.is_unsettled()) {
            effects.push(Effect::Start(Job::Collect(number)));
        }
        if anew || behind {
            effects.push(Effect::Start(Job::Replay(number)));
        }
        Some(Taken { batch, effects, problems })
    }

    /// Says by name what was not taken, and does what follows from it.
    fn report(&mut self, id: LinkId, number: u32, space: PublicKey, problems: Vec<Problem>) {
        let retry = self.now + HOLD;
        let mut again = false;
        for problem in problems {
            self.refuse_from(id, problem.why);
            let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) else {
                continue;
            };
            if !matches!(problem.then, Then::AskAgain | Then::Compare(_)) {
                session.asked.remove(&problem.log);
            }
            match problem.then {
                Then::Hold => {
                    session.held.insert(problem.log, retry);
                    self.send(id, &Frame::Refused(space, problem.log, problem.seq, problem.why.to_owned()));
                    self.wake_by(retry);
                }
                Then::OverQuota(there) => {
                    if let Some(there) = there {
                        session.heard_of(problem.log, there);
                    }
                    self.note_over_quota(number, &problem.log);
                    self.send(id, &Frame::Refused(space, problem.log, problem.seq, problem.why.to_owned()));
                }
                Then::SearchFork => self.suspect_fork(id, number, problem.log, Vec::new()),
                Then::Compare(parts) => self.suspect_fork(id, number, problem.log, parts),
                Then::Offence => {
                    self.shun(id, problem.why);
                    break;
                }
                Then::AskAgain => again |= self.note_gap(id, number, &problem.log),
                Then::Nothing => {}
            }
        }
        if again {
            self.ask(id, number);
        }
    }
}

/// Stores entries one by one, or packed if there are many.
fn store_run(space: &mut Space, draft: &mut Draft, log: u32, entries: &[Verified]) {
    if entries.len() < PACK {
        for entry in entries {
            draft.entry(space, log, entry);
        }
        return;
    }
    let mut start = 0;
    while start < entries.len() {
        let mut bytes = 0;
        let count = entries
            .iter()
            .skip(start)
            .take(SEGMENT)
            .take_while(|entry| {
                // A packed row holds entries that follow each other.
                let follows = bytes == 0 || entry.pruned().is_none();
                bytes += entry.raw().len();
                bytes <= SEGMENT_BYTES && follows
            })
            .count()
            .max(1);
        let packed: Vec<&Verified> = entries.iter().skip(start).take(count).collect();
        if let Some(last) = packed.last() {
            let key = rows::entry_key(space.number, log, last.header.seq);
            draft.batch.puts.push((Table::Segment, key, rows::encode_segment(packed.iter().map(|e| e.raw()))));
        }
        for entry in packed {
            draft.note(space, log, entry);
        }
        start += count;
    }
}
