//! Before entries are taken in: the chain and signatures of each run, who may do what, and the ops inside. Nothing
//! here needs rows, and nothing outside the result changes.

use super::exchange::has_room;
use super::quota::Used;
use super::space::Space;
use super::{LinkId, Peer};
use crate::api::Role;
use crate::authority::{Authority, AuthorityError, Record};
use crate::clock::Clock;
use crate::document::redaction::Target;
use crate::document::{self, Item};
use crate::entry::{Entry, EntryError, ForkProof, Kind, Tip, Verified, verify_run};
use crate::epoch::{EpochKey, WrapKey};
use crate::identity::PublicKey;
use crate::version::Agent;

/// A frame of entries that has been verified and judged, waiting for rows.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) runs: Vec<PreparedRun>,
    pub(super) items: Vec<Item>,
    pub(super) epochs: Vec<EpochKey>,
    pub(super) authority: Option<Authority>,
    pub(super) problems: Vec<Problem>,
    /// How many forks were known.
    pub(super) forks: usize,
    /// Whether quotas do not count.
    pub(super) free: bool,
}

pub(super) struct PreparedRun {
    pub(super) log: PublicKey,
    pub(super) tip: Tip,
    /// How much of the log was in the tree.
    pub(super) applied: u64,
    pub(super) entries: Vec<Verified>,
    /// Up to where the items cover them: all, unless a key is missing.
    pub(super) opened: u64,
    pub(super) clock: u64,
    /// What the opened entries want redacted, by place.
    pub(super) redactions: Vec<(u64, Vec<Target>)>,
    /// What the log has added lately, with these.
    pub(super) used: Used,
}

/// Why part of a frame was not taken.
pub(super) struct Problem {
    pub(super) log: PublicKey,
    pub(super) seq: u64,
    pub(super) why: &'static str,
    pub(super) then: Then,
}

impl PreparedRun {
    /// The place behind the last entry.
    pub(super) fn end(&self) -> u64 {
        end_of(self.tip, &self.entries)
    }
}

/// The place behind the last of some entries that follow a tip.
fn end_of(tip: Tip, entries: &[Verified]) -> u64 {
    entries.last().map_or(tip.len, |last| Tip::after(last).len)
}

pub(super) enum Then {
    /// It may be welcome later.
    Hold,
    /// Not today, unless the user allows it; this much of the log is there to be had.
    OverQuota(Option<Tip>),
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
    /// Verifies and judges the next frame. Nothing outside the result changes.
    pub(super) fn prepare(&mut self, id: LinkId, number: u32) -> Option<Prepared> {
        let entries = self.inboxes.front(number, id)?.clone();
        self.prepare_entries(number, entries, false)
    }

    /// Verifies and judges entries, from wherever they come; without quotas if the user gave them. Nothing outside the
    /// result changes.
    pub(super) fn prepare_entries(&self, number: u32, entries: Vec<Entry>, free: bool) -> Option<Prepared> {
        let space = self.spaces.get(&number)?;
        let mut prepared = Prepared { forks: space.forks.len(), free, ..Prepared::default() };
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
        if !prepared.free && self.is_over_quota(space, &log) {
            return Err(("over-quota", Then::OverQuota(run.last().map(Tip::after))));
        }
        let tip = known.map_or(Tip::EMPTY, |log| log.tip);
        if let Some(at) = run.iter().position(|entry| self.is_quarantined(entry)) {
            run.truncate(at);
            if run.is_empty() {
                return Err(("quarantined", Then::Hold));
            }
        }
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
        let follows = first.pruned().is_some_and(|pruned| pruned.covers(tip.len));
        if first.header.seq > tip.len && !follows {
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
        let mut gone_upto = 0;
        for (index, entry) in entries.iter().enumerate() {
            if let Some(pruned) = entry.pruned() {
                let authority = scratch.as_ref().unwrap_or(&space.authority);
                let apart = pruned.range.from > std::mem::replace(&mut gone_upto, pruned.range.to);
                if !apart || !space.may_be_pruned(authority, &log, pruned) {
                    stop = Some((index, "pruned-by-nobody", Then::Hold));
                    break;
                }
                if !pruned.holds(&space.row.key) {
                    stop = Some((index, "bad-signature", Then::Offence));
                    break;
                }
            }
            let judged = judge(scratch.as_ref().unwrap_or(&space.authority), &log, entry);
            if let Ok(Some(Record::Checkpoint(checkpoint))) = &judged
                && Clock(checkpoint.stable).millis() > self.now
            {
                stop = Some((index, "future-clock", Then::Hold));
                break;
            }
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

        // How much of it is taken without asking the user.
        let (room, _) = self.within_quota(space, &log, &entries);
        let there = entries.last().map(|entry| Tip::after(entry));
        if !prepared.free && room < stop.as_ref().map_or(entries.len(), |(index, ..)| *index) {
            stop = Some((room, "over-quota", Then::OverQuota(there)));
        }

        // What the ops say, as far as their keys are here.
        let agent = Agent::of(&log.0);
        let mut items = Vec::new();
        let mut redactions = Vec::new();
        let mut opened = 0;
        // Times only rise within a log. Where a key is missing they are looked at once it comes.
        let mut clock = known.map_or(0, |log| log.clock);
        let contiguous = known.is_none_or(|log| log.applied == log.tip.len);
        let mut open = contiguous;
        let judged = stop.as_ref().map_or(entries.len(), |(index, ..)| *index);
        for (index, entry) in entries.iter().enumerate().take(judged) {
            if entry.header.kind == Kind::Op {
                let keys = space.row.epochs.iter().chain(&prepared.epochs).chain(&fresh);
                let wanted = entry.header.epoch.unwrap_or_default();
                let known = keys.into_iter().find(|key| key.id() == wanted).cloned();
                let Some(key) =
                    known.or_else(|| space.early_key(&wanted).cloned().inspect(|key| fresh.push(key.clone())))
                else {
                    open = false;
                    continue;
                };
                if let Some(mut ops) =
                    document::Opened::open(&key, &space.row.key, &log, entry.header.seq, entry.body())
                {
                    if Clock(ops.clock).check(self.now).is_err() {
                        stop = Some((index, "future-clock", Then::Hold));
                        break;
                    }
                    if open {
                        if ops.clock <= clock {
                            stop = Some((index, "clock-runs-back", Then::Hold));
                            break;
                        }
                        clock = ops.clock;
                    }
                    // What is to be redacted does not depend on checkpoints: others may have done it before they knew of one.
                    if open && !ops.redactions.is_empty() {
                        redactions.push((entry.header.seq, std::mem::take(&mut ops.redactions)));
                    }
                    if open && space.counts(&log, entry.header.seq, ops.clock) {
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
            opened = opened.min(entries.len());
            let keep = end_of(tip, &entries);
            items.retain(|item: &Item| item.register.seq < keep);
            redactions.retain(|(seq, _)| *seq < keep);
            problem = Some((why, then));
        }
        let authority = scratch.as_ref().unwrap_or(&space.authority);
        let role = authority.role(&log);
        let welcome = log == space.row.key || role.is_some();
        super::policy::allowed(&mut items, role);
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
            let counted: &[Verified] = if prepared.free { &[] } else { entries.as_slice() };
            let (_, used) = self.within_quota(space, &log, counted);
            let applied = known.map_or(0, |log| log.applied);
            let opened = end_of(tip, entries.get(..opened).unwrap_or_default());
            prepared.runs.push(PreparedRun { log, tip, applied, entries, opened, clock, redactions, used });
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
