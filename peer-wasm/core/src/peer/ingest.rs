//! Taking in entries: verify, judge, open, merge, store. In that order, and nothing by halves.
//!
//! One frame of entries at a time per space. First, without rows: the chain and signatures of each run, who may do
//! what, and the ops inside. Then, with rows: what the ops change. The first part is kept while rows are loaded.

use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::links::has_room;
use super::rows;
use super::space::Space;
use super::{Done, Job, LinkId, Peer};
use crate::api::Role;
use crate::authority::{Authority, AuthorityError, Record};
use crate::clock::Clock;
use crate::document::{self, Item, Leaf};
use crate::entry::{Entry, EntryError, ForkProof, Kind, Tip, Verified, verify_run};
use crate::epoch::{EpochKey, WrapKey};
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Durability, Table};
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

/// A frame of entries that has been verified and judged, waiting for rows.
#[derive(Default)]
pub(super) struct Prepared {
    runs: Vec<PreparedRun>,
    items: Vec<Item>,
    epochs: Vec<EpochKey>,
    authority: Option<Authority>,
    problems: Vec<Problem>,
    /// How many forks were known.
    forks: usize,
}

struct PreparedRun {
    log: PublicKey,
    tip: Tip,
    entries: Vec<Verified>,
    /// How many of the entries the items cover: all, unless a key is missing.
    opened: u64,
    clock: u64,
}

/// Why part of a frame was not taken.
struct Problem {
    log: PublicKey,
    seq: u64,
    why: &'static str,
    then: Then,
}

enum Then {
    /// It may be welcome later.
    Hold,
    /// Ask again from where we stand.
    AskAgain,
    /// Find out where the histories part.
    SearchFork,
    /// See whether this is what we have there already.
    Compare(Vec<(u64, Vec<u8>)>),
    /// Nothing: it was known already.
    Nothing,
    /// No honest peer sends this.
    Offence,
}

impl Peer {
    /// Takes in the next frame of a space, if none is being taken in.
    pub(super) fn ingest_next(&mut self, number: u32) {
        if self.is_ingesting(number) || self.commits.is_crowded() || self.is_paused() {
            return;
        }
        let next = self.links.iter().find_map(|(id, link)| {
            let session = link.sessions.get(&number)?;
            (!session.inbox.is_empty()).then_some(*id)
        });
        if let Some(id) = next {
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
            self.ask_everyone(number);
            self.commits.next_frames.insert(number);
        }
    }

    /// Where a log stands.
    fn tip(&self, number: u32, log: &PublicKey) -> Tip {
        self.spaces.get(&number).and_then(|space| space.log(log)).map_or(Tip::EMPTY, |(_, log)| log.tip)
    }

    fn is_ingesting(&self, number: u32) -> bool {
        self.tasks.values().any(|task| matches!(task.job, Job::Ingest(_, space) if space == number))
    }

    pub(super) fn ingest(&mut self, id: LinkId, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.is_ingesting(number) || self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        let prepared = match self.preparing.remove(&(id, number)) {
            Some(prepared) => prepared,
            None => match self.prepare(id, number) {
                Some(prepared) => prepared,
                None => return Ok(Done::Nothing),
            },
        };
        let applied = match document::apply(lens, number, &prepared.items) {
            Ok(applied) => applied,
            Err(Miss) => {
                self.preparing.insert((id, number), prepared);
                return Err(Miss);
            }
        };
        let forks = self.spaces.get(&number).map_or(0, |space| space.forks.len());
        if forks != prepared.forks || prepared.runs.iter().any(|run| self.tip(number, &run.log) != run.tip) {
            // A fork became known meanwhile: what was judged then may not stand now.
            return Ok(Done::WriteAndAgain(Unit::default()));
        }
        // From here on nothing can be missing.
        let problems = prepared.problems;
        let Some(mut space) = self.spaces.remove(&number) else { return Ok(Done::Nothing) };
        let mut draft = Draft::default();
        let authority_changed = prepared.authority.is_some();
        let keys_changed = !prepared.epochs.is_empty();
        if keys_changed {
            space.row.epochs.extend(prepared.epochs);
            self.space_rows.insert(number, space.row.clone());
            draft.space(&space);
        }
        let mut behind = false;
        for run in prepared.runs {
            let number_of_log = space.number_of(run.log);
            store_run(&mut space, &mut draft, number_of_log, &run.entries);
            self.progress(number, run.log, run.tip.len + run.entries.len() as u64);
            if let Some(log) = space.log_mut(number_of_log) {
                if log.applied == run.tip.len {
                    log.applied += run.opened;
                    draft.arrived(number_of_log, run.tip.len, run.opened);
                }
                log.clock = log.clock.max(run.clock);
                behind |= log.applied < log.tip.len;
            }
            self.hlc.recall(Clock(run.clock));
        }
        if authority_changed {
            // What was refused before may stand now, and nothing decided meanwhile is lost.
            space.judge();
        }
        for item in &prepared.items {
            if item.path == Path::space_name()
                && let Leaf::Json(text) = &item.register.leaf
                && applied.changed.contains(&item.path)
            {
                self.renamed(&mut space, text, &mut draft);
            }
        }
        for (key, row) in applied.rows {
            draft.batch.puts.push((Table::View, key, row.encode()));
        }
        self.check_joined(&mut space, &mut draft);
        draft.batch.durability = Durability::Relaxed;
        let batch = draft.finish(&mut space);
        let key = space.row.key;
        self.spaces.insert(number, space);

        let mut effects = vec![Effect::Changed(number, applied.changed)];
        if authority_changed || keys_changed {
            effects.push(Effect::Authority(number));
        }
        if behind && keys_changed {
            effects.push(Effect::Start(Job::Replay(number)));
        }
        self.report(id, number, key, problems);
        if let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) {
            session.take_from_inbox();
        }
        self.commits.next_frames.insert(number);
        Ok(Done::Write(Unit { batch, effects }))
    }

    /// Says by name what was not taken, and does what follows from it.
    fn report(&mut self, id: LinkId, number: u32, space: PublicKey, problems: Vec<Problem>) {
        let retry = self.now + HOLD;
        let again = problems.iter().any(|problem| matches!(problem.then, Then::AskAgain));
        for problem in problems {
            self.refuse_from(id, problem.why);
            let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) else {
                continue;
            };
            session.asked.remove(&problem.log);
            match problem.then {
                Then::Hold => {
                    session.held.insert(problem.log, retry);
                    self.send(id, &Frame::Refused(space, problem.log, problem.seq, problem.why.to_owned()));
                    self.wake_by(retry);
                }
                Then::SearchFork => self.suspect_fork(id, number, problem.log, Vec::new()),
                Then::Compare(parts) => self.suspect_fork(id, number, problem.log, parts),
                Then::Offence => {
                    self.shun(id, problem.why);
                    break;
                }
                Then::AskAgain | Then::Nothing => {}
            }
        }
        if again {
            self.ask(id, number);
        }
    }

    /// Verifies and judges the next frame. Nothing outside the result changes.
    fn prepare(&mut self, id: LinkId, number: u32) -> Option<Prepared> {
        let session = self.links.get(&id)?.sessions.get(&number)?;
        let entries = session.inbox.front()?.0.clone();
        let space = self.spaces.get(&number)?;
        let mut prepared = Prepared { forks: space.forks.len(), ..Prepared::default() };
        let mut runs: Vec<Vec<Entry>> = Vec::new();
        for entry in entries {
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(|last| last.header.log == entry.header.log) => run.push(entry),
                _ => runs.push(vec![entry]),
            }
        }
        for run in runs {
            let Some(first) = run.first() else { continue };
            let (log, seq) = (first.header.log, first.header.seq);
            if let Err((why, then)) = self.prepare_run(space, log, run, &mut prepared) {
                prepared.problems.push(Problem { log, seq, why, then });
            }
        }
        Some(prepared)
    }

    fn prepare_run(
        &self,
        space: &Space,
        log: PublicKey,
        mut run: Vec<Entry>,
        prepared: &mut Prepared,
    ) -> Result<(), (&'static str, Then)> {
        if prepared.runs.iter().any(|earlier| earlier.log == log) {
            return Err(("out-of-order", Then::AskAgain));
        }
        let known = space.log(&log).map(|(_, log)| log);
        if known.is_none() && !has_room(space) {
            return Err(("too-many-logs", Then::Nothing));
        }
        let tip = known.map_or(Tip::EMPTY, |log| log.tip);
        let known_already = |entry: &Entry| entry.header.seq < tip.len;
        let replayed: Vec<(u64, Vec<u8>)> = if run.iter().all(known_already) {
            run.iter().map(|entry| (entry.header.seq, entry.signed_part().to_vec())).collect()
        } else {
            Vec::new()
        };
        run.retain(|entry| !known_already(entry));
        // A forked log counts up to where its histories part.
        let proof = space.forks.get(&log);
        let before = run.len();
        run.retain(|entry| proof.is_none_or(|proof| entry.header.seq < proof.seq));
        let Some(first) = run.first() else {
            return Err(match (before, proof) {
                (0, None) => ("replay", Then::Compare(replayed)),
                (0, Some(_)) => ("replay", Then::Nothing),
                _ => ("forked-log", Then::Nothing),
            });
        };
        if first.header.seq > tip.len {
            return Err(("gap", Then::AskAgain));
        }
        let mut entries = verify_run(space.row.key, log, tip, run, proof.map(ForkProof::tip)).map_err(|error| {
            let then = match error {
                EntryError::WrongPrev => Then::SearchFork,
                EntryError::WrongSeq => Then::AskAgain,
                _ => Then::Offence,
            };
            (error.name(), then)
        })?;

        // Who may do what. Authority records are few, so a copy is made only when one comes, once for a frame.
        let kept = prepared.authority.is_some();
        let mut scratch = prepared.authority.take();
        let mut changed = false;
        let mut fresh: Vec<EpochKey> = Vec::new();
        let mut stop: Option<(usize, &'static str, Then)> = None;
        for (index, entry) in entries.iter().enumerate() {
            let judged = judge(scratch.as_ref().unwrap_or(&space.authority), &log, entry);
            match judged {
                Ok(None) => {}
                Ok(Some(record)) => {
                    let authority = scratch.get_or_insert_with(|| space.authority.clone());
                    changed = true;
                    match authority.admit(&log, entry.header.seq, &record) {
                        Ok(_) => {}
                        Err(error) => {
                            stop = Some((index, error.name(), after(&error)));
                            break;
                        }
                    }
                    if let Record::Epoch(epoch) = &record {
                        fresh.extend(self.unwrap(space, epoch));
                    }
                }
                Err(error) => {
                    stop = Some((index, error.name(), after(&error)));
                    break;
                }
            }
        }

        // What the ops say, as far as their keys are here.
        let agent = Agent::of(&log.0);
        let mut items = Vec::new();
        let mut opened = 0;
        let mut clock = 0;
        let contiguous = known.is_none_or(|log| log.applied == log.tip.len);
        let mut open = contiguous;
        let judged = stop.as_ref().map_or(entries.len(), |(index, ..)| *index);
        for (index, entry) in entries.iter().enumerate().take(judged) {
            if entry.header.kind == Kind::Op {
                let keys = space.row.epochs.iter().chain(&prepared.epochs).chain(&fresh);
                let wanted = entry.header.epoch.unwrap_or_default();
                let Some(key) = keys.into_iter().find(|key| key.id() == wanted) else {
                    open = false;
                    continue;
                };
                let body = key.open(&space.row.key, &log, entry.header.seq, entry.body());
                if let Some(ops) = body.and_then(|body| document::Ops::decode(&body).ok()) {
                    if Clock(ops.clock).check(self.now).is_err() {
                        stop = Some((index, "future-clock", Then::Hold));
                        break;
                    }
                    clock = clock.max(ops.clock);
                    if open {
                        items.extend(ops.into_items(agent, entry.header.seq));
                    }
                }
                // An op that does not open or decode has no effect, on any peer.
            }
            if open {
                opened += 1;
            }
        }

        let mut problem = None;
        if let Some((index, why, then)) = stop {
            // What comes before still counts, as far as a signature vouches for it.
            entries.truncate(index);
            while entries.last().is_some_and(|last| !last.is_signed()) {
                entries.pop();
            }
            if entries.len() < index {
                fresh.clear();
            }
            opened = opened.min(entries.len() as u64);
            let keep = tip.len + entries.len() as u64;
            items.retain(|item: &Item| item.register.seq < keep);
            problem = Some((why, then));
        }
        let authority = scratch.as_ref().unwrap_or(&space.authority);
        let welcome = log == space.row.key || authority.role(&log).is_some();
        if !welcome {
            entries.clear();
        }
        if changed && (problem.is_some() || !welcome) {
            // Records that are not taken back nothing else: from those that are, once more.
            let taken = prepared.runs.iter().map(|run| (run.log, run.entries.as_slice())).chain([(log, &entries[..])]);
            scratch = admitted(&space.authority, taken).filter(|_| kept || !entries.is_empty());
        }
        prepared.authority = scratch;
        if !welcome {
            return Err(problem.unwrap_or(("not-a-member", Then::Hold)));
        }
        if !entries.is_empty() {
            prepared.epochs.extend(fresh);
            prepared.items.extend(items);
            prepared.runs.push(PreparedRun { log, tip, entries, opened, clock });
        }
        problem.map_or(Ok(()), Err)
    }

    /// The epoch key in a record, if it is for us and new.
    fn unwrap(&self, space: &Space, epoch: &crate::records::Epoch) -> Option<EpochKey> {
        let own = self.keys.as_ref().map(|keys| &keys.wrap);
        let invite: Option<WrapKey> = space.row.ticket.as_ref().map(|ticket| ticket.wrap_key());
        let key = [own, invite.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|receiver| epoch.wraps.iter().find_map(|wrap| wrap.open(&space.row.key, receiver)))?;
        (key.commit() == epoch.commit && space.epoch(&key.id()).is_none()).then_some(key)
    }
}

/// Whether an entry may stand in this log; gives the record if it is one.
fn judge(authority: &Authority, log: &PublicKey, entry: &Verified) -> Result<Option<Record>, AuthorityError> {
    let record = Record::of(entry)?;
    if record.is_none() {
        authority.require(log, Role::Writer)?;
    }
    Ok(record)
}

/// What is known once the records among these entries, checked before, are taken in; `None` if there are none.
fn admitted<'a>(authority: &Authority, runs: impl Iterator<Item = (PublicKey, &'a [Verified])>) -> Option<Authority> {
    let mut known = None;
    for (log, entries) in runs {
        for entry in entries {
            if let Ok(Some(record)) = Record::of(entry) {
                let authority = known.get_or_insert_with(|| authority.clone());
                let _ = authority.admit_trusted(&log, entry.header.seq, &record);
            }
        }
    }
    known
}

fn after(error: &AuthorityError) -> Then {
    match error {
        // Another log may bring what is missing.
        AuthorityError::NotAMember | AuthorityError::NotAllowed | AuthorityError::Grant => Then::Hold,
        AuthorityError::Malformed(_) | AuthorityError::Genesis | AuthorityError::Device => Then::Offence,
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
                bytes += entry.raw().len();
                bytes <= SEGMENT_BYTES
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
