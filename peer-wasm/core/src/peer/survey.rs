//! Looking for entries that nothing is left of, so that a checkpoint can let them go.

use super::Peer;
use super::gone;
use super::prune::{Weight, weight};
use super::read::said_ops;
use super::space::{READ_RUN, Space, read_entries};
use crate::document::{Leaf, Opened};
use crate::entry::{Pruned, PrunedRange, Tip, Verified};
use crate::lens::{Lens, Miss};
use crate::records::MAX_PRUNED;
use std::cmp::Reverse;

/// A range is worth saying so from this many entries on, if it is not about to grow.
const WORTH: u64 = 8;

/// Steps of looking before each checkpoint: it is not to wait until all of a large space has been looked through, and a worker
/// may not live that long. The next one goes on from there.
const STEPS: u32 = 256;

/// How far the logs have been looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    steps: u32,
    log: u32,
    at: u64,
    run: Option<Run>,
    /// The last entry looked at, and whether it waits for others to go.
    last: Option<Verified>,
    waits: bool,
    found: Vec<Found>,
}

/// Entries one after the other that nothing is left of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    from: u64,
    /// How many of them are still here.
    here: u64,
    /// It is next to a list that goes once these have gone.
    grows: bool,
}

/// A range that may go: of which log, from where, and what the entry behind it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    log: u32,
    from: u64,
    tip: Tip,
}

impl Survey {
    /// Ends a run in front of an entry; it will go on if that one waits for it.
    fn end_run(&mut self, behind: &Verified, waits: bool) {
        let header = &behind.header;
        let run = self.run.take().filter(|run| {
            let least = if run.grows || waits { 1 } else { WORTH };
            run.from < header.seq && run.here >= least
        });
        if let Some(run) = run {
            self.found.push(Found { log: self.log, from: run.from, tip: Tip { len: header.seq, hash: header.prev } });
        }
    }

    /// Takes the next entry of a log; `goes` if nothing is left of it, else whether it waits for others to go. `settled` says
    /// whether what is gone before it is so beyond doubt.
    fn take(&mut self, entry: Verified, goes: bool, waits: bool, settled: bool) {
        let grows = std::mem::replace(&mut self.waits, waits);
        match entry.pruned() {
            // What is gone already is part of a run that reaches it.
            Some(gone) if settled => {
                self.run = Some(self.run.unwrap_or(Run { from: gone.range.from, here: 0, grows }));
            }
            Some(_) => (self.run, self.last) = (None, None),
            None => {}
        }
        match (&mut self.run, goes) {
            (_, false) => self.end_run(&entry, waits),
            (Some(run), true) => run.here += 1,
            // What is before a range has to stand by itself.
            (None, true) if self.last.as_ref().is_some_and(|before| before.is_signed()) => {
                self.run = Some(Run { from: entry.header.seq, here: 1, grows });
            }
            (None, true) => {}
        }
        self.last = Some(entry);
    }

    /// Ends in the middle of a log; gives where the next is to begin: in what goes here, so that it finds both as one.
    fn stop(&mut self) -> (u32, u64) {
        let (log, at) = (self.log, self.at.saturating_sub(2));
        self.end_log();
        (log, at)
    }

    /// Goes on to the next log. The last entry that was looked at stays.
    fn end_log(&mut self) {
        if let (Some(last), Some(run)) = (self.last.take(), &mut self.run) {
            run.here = run.here.saturating_sub(1);
            self.end_run(&last, false);
        }
        (self.log, self.at, self.run, self.waits) = (self.log + 1, 0, None, false);
    }
}

impl Space {
    /// What was found, and what is gone already: each checkpoint says all of it, so that those before it can go.
    fn all_pruned(&self, mut found: Vec<Found>) -> Vec<Found> {
        for (log, pruned) in self.pruned.settled() {
            let (from, tip) = (pruned.range.from, pruned.tip());
            let within = |wider: &Found| wider.log == log && wider.from <= from && tip.len <= wider.tip.len;
            if !found.iter().any(within) {
                found.push(Found { log, from, tip });
            }
        }
        // The longest, if there are too many.
        kith_map::sort_by_key(&mut found, |found| Reverse(found.tip.len - found.from));
        found.truncate(MAX_PRUNED);
        found
    }
}

impl Peer {
    /// One step of looking through all logs for entries of which nothing is left, written up to `stable`. Gives them once all are
    /// looked through.
    pub(super) fn survey(&mut self, number: u32, stable: u64, lens: &Lens<'_>) -> Result<Option<Vec<Found>>, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(None) };
        if space.pruned.is_empty() && gone::named_after(lens, number, None, 1)?.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let (log, at) = space.gone.surveyed;
        let mut survey = space.gone.survey.clone().unwrap_or_else(|| Survey { log, at, ..Survey::default() });
        let log = space.logs.get(survey.log as usize).filter(|_| survey.steps < STEPS);
        let Some(log) = log else {
            let next = if survey.log as usize >= space.logs.len() { (0, 0) } else { survey.stop() };
            let found = space.all_pruned(survey.found);
            if let Some(space) = self.spaces.get_mut(&number) {
                space.gone.surveyed = next;
            }
            return Ok(Some(found));
        };
        let mut missing = Ok(());
        let entries = read_entries(lens, space, survey.log, survey.at..log.applied, READ_RUN)?;
        let mut judged = Vec::new();
        for entry in entries {
            // Nearly all: what has content needs no look at the tree.
            let opened = said_ops(space, &entry);
            let holds = |opened: &Opened| opened.list.iter().flatten().any(|op| op.leaf != Leaf::Deleted);
            if opened.is_some_and(|opened| opened.clock > stable || holds(&opened)) {
                judged.push((entry, false, false));
                continue;
            }
            match weight(lens, space, &entry) {
                Ok(weight) => judged.push((entry, weight == Weight::default(), weight.waits)),
                Err(Miss) => missing = Err(Miss),
            }
        }
        missing?;
        survey.steps += 1;
        match judged.last() {
            Some((last, ..)) => survey.at = last.header.seq + 1,
            None => survey.end_log(),
        }
        for (entry, goes, waits) in judged {
            let settled = entry.pruned().is_some_and(|gone| space.pruned.is_settled(survey.log, gone));
            survey.take(entry, goes, waits, settled);
        }
        if let Some(space) = self.spaces.get_mut(&number) {
            space.gone.survey = Some(survey);
        }
        Ok(None)
    }

    /// What was found, as this device's checkpoint that comes next says it.
    pub(super) fn sign_pruned(&self, space: &Space, own: u32, found: &[Found]) -> Vec<PrunedRange> {
        let (Some(keys), Some(at)) = (&self.keys, space.logs.get(own as usize).map(|log| log.tip.len)) else {
            return Vec::new();
        };
        let sign = |found: &Found| {
            let log = space.logs.get(found.log as usize)?.key;
            Some(Pruned::sign(&keys.device, &space.row.key, log, found.from, found.tip, at).range)
        };
        let mut ranges: Vec<PrunedRange> = found.iter().filter_map(sign).collect();
        kith_map::sort_by_key(&mut ranges, |range| (range.log, range.from));
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, Kind};
    use crate::identity::SecretKey;

    /// A log of which places 3 to 5 are gone; of what is left, nothing but the first two and the last is needed.
    fn found(settled: bool) -> Vec<(u64, u64)> {
        let key = SecretKey::from_seed(&[1; 32]);
        let (space, mut tip, mut log) = (key.public(), Tip::EMPTY, Vec::new());
        for body in 0..30 {
            let entry = Entry::sign(&key, space, tip, Kind::Grant, None, Vec::new(), &[body]);
            tip = Tip::after(&entry);
            log.push(entry);
        }
        let gone = Pruned::sign(&key, &space, key.public(), 3, Tip::after(&log[5]), 40);
        log[6] = log[6].clone().behind(&gone);
        log.drain(3..6);
        let mut survey = Survey::default();
        for (at, entry) in log.into_iter().enumerate() {
            survey.take(entry, at > 1, false, settled);
        }
        survey.end_log();
        survey.found.iter().map(|found| (found.from, found.tip.len)).collect()
    }

    #[test]
    fn a_run_goes_around_what_is_gone_and_the_last_entry_stays() {
        assert_eq!(found(true), [(2, 29)]);
    }

    #[test]
    fn nobody_is_asked_to_drop_what_is_only_said_to_be_gone() {
        assert_eq!(found(false), [(7, 29)]);
    }
}
