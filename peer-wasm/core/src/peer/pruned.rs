//! Entries that are gone: what a space knows of them. See `docs/decisions/0172-pruned-ranges.md`.

use super::rows::{PrunedRow, Stage};
use super::space::Space;
use crate::api::Role;
use crate::authority::{Authority, Record};
use crate::codec::Writer;
use crate::entry::{Entry, Pruned};
use crate::identity::PublicKey;
use crate::records::Checkpoint;
use kith_map::BTreeMap;

/// So long what a checkpoint speaks of is waited for while nobody has it, in milliseconds.
const PATIENCE: u64 = 600_000;

/// Which entries of a space are gone or may go.
#[derive(Clone, Debug, Default)]
pub(super) struct PrunedLogs {
    /// The rows, by log and first place. None overlap.
    rows: BTreeMap<(u32, u64), PrunedRow>,
    /// Of those, the ones with which something is still to be done.
    unfinished: Vec<(u32, u64)>,
    /// Ranges that checkpoints name and no row covers yet, with the number of the checkpoint.
    named: Vec<(Pruned, usize)>,
    /// Of those, the ones that have to stay by what is known now.
    kept: Vec<Pruned>,
    /// What is gone and said anew by a later checkpoint.
    said_anew: Vec<(u32, Pruned)>,
    /// Since when something is to be done about any, in milliseconds.
    since: Option<u64>,
    /// What does not count, by log: ranges in order, none touching another.
    void: BTreeMap<PublicKey, Vec<(u64, u64)>>,
}

/// What is to be done about entries that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nobody may have said so: the log is to begin anew from there.
    Forged(u32, Pruned),
    /// To be looked at; `true` if the log goes on behind them already.
    Examine(u32, Pruned, bool),
    /// To be erased.
    Erase(u32, Pruned),
    /// Gone, and said anew by a later checkpoint.
    Renew(u32, Pruned),
}

impl PrunedLogs {
    /// Takes note of a row. Those within its range are replaced by it, and given.
    pub(super) fn put(&mut self, log: u32, row: PrunedRow) -> Vec<u64> {
        let (from, to) = (row.pruned.range.from, row.pruned.range.to);
        let within: Vec<u64> = self.rows.range((log, from)..(log, to)).map(|((_, from), _)| *from).collect();
        for from in &within {
            self.rows.remove(&(log, *from));
        }
        self.unfinished.retain(|(of, first)| *of != log || !within.contains(first));
        self.rows.insert((log, from), row);
        if row.stage != Stage::Gone {
            self.unfinished.push((log, from));
        }
        let range = row.pruned.range;
        self.named.retain(|(named, _)| {
            named.range.log != range.log || named.range.from < range.from || named.range.to > range.to
        });
        add(self.void.entry(range.log).or_default(), from, to);
        within.into_iter().filter(|first| *first != from).collect()
    }

    /// Forgets what is gone of a log from a place on, which is taken from others again.
    pub(super) fn forget(&mut self, log: u32, from: u64) -> Vec<u64> {
        let past: Vec<u64> = self.rows.range((log, from)..=(log, u64::MAX)).map(|((_, from), _)| *from).collect();
        for from in &past {
            self.rows.remove(&(log, *from));
        }
        self.unfinished.retain(|(of, first)| *of != log || *first < from);
        past
    }

    /// What covers an entry that is gone.
    pub(super) fn at(&self, log: u32, seq: u64) -> Option<&Pruned> {
        let (_, row) = self.rows.range((log, 0)..=(log, seq)).next_back()?;
        row.pruned.covers(seq).then_some(&row.pruned)
    }

    /// The first range that begins behind a place.
    pub(super) fn next(&self, log: u32, seq: u64) -> Option<&Pruned> {
        Some(&self.rows.range((log, seq)..=(log, u64::MAX)).next()?.1.pruned)
    }

    /// Whether a range lies beside all that are gone, or around them.
    pub(super) fn fits(&self, log: u32, pruned: &Pruned) -> bool {
        let (from, to) = (pruned.range.from, pruned.range.to);
        let before = self.rows.range((log, 0)..(log, from)).next_back();
        let last = self.rows.range((log, from)..(log, to)).next_back();
        before.is_none_or(|(_, row)| row.pruned.range.to < from)
            && last.is_none_or(|(_, row)| row.pruned.range.to <= to)
    }

    /// All ranges that are gone, or going; not those that are yet to be looked at, on whose word nobody else may be asked to drop
    /// anything.
    pub(super) fn settled(&self) -> impl Iterator<Item = (u32, &Pruned)> {
        let settled = self.rows.iter().filter(|(_, row)| row.stage != Stage::Came);
        settled.map(|((log, _), row)| (*log, &row.pruned))
    }

    /// Whether a range is one of these.
    pub(super) fn is_settled(&self, log: u32, pruned: &Pruned) -> bool {
        let row = self.rows.get(&(log, pruned.range.from));
        row.is_some_and(|row| row.pruned == *pruned && row.stage != Stage::Came)
    }

    /// What a checkpoint says anew is dealt with: gives the row of the range, on this word.
    pub(super) fn renew(&mut self, log: u32, pruned: Pruned) -> Option<PrunedRow> {
        self.said_anew.retain(|said| *said != (log, pruned));
        let row = self.rows.get(&(log, pruned.range.from))?;
        Some(PrunedRow { pruned, ..*row })
    }

    /// What does not count, as a number: another one for anything else.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut writer = Writer::new();
        for (log, ranges) in &self.void {
            writer.fixed(&log.0);
            for (from, to) in ranges {
                writer.number(*from).number(*to);
            }
        }
        let hash = blake3::hash(&writer.finish());
        u64::from_be_bytes(*hash.as_bytes().first_chunk().unwrap_or(&[0; 8]))
    }

    /// How many entries of a log are gone between two places.
    pub(super) fn within(&self, log: u32, from: u64, to: u64) -> u64 {
        let first = self.at(log, from).map_or(from, |gone| gone.range.from);
        let ranges = self.rows.range((log, first)..(log, to.max(first))).map(|(_, row)| row.pruned.range);
        ranges.map(|range| range.to.min(to).saturating_sub(range.from.max(from))).sum()
    }

    /// How many entries are gone.
    pub(super) fn count(&self) -> u64 {
        self.rows.values().map(|row| row.pruned.range.to - row.pruned.range.from).sum()
    }

    /// Notes that a range has to stay by what is known now.
    pub(super) fn keep(&mut self, pruned: Pruned) {
        self.kept.push(pruned);
    }

    /// Whether an owner lets an entry go: what it says does not count.
    pub(super) fn is_void(&self, log: &PublicKey, seq: u64) -> bool {
        self.void.get(log).is_some_and(|ranges| {
            let after = ranges.partition_point(|(from, _)| *from <= seq);
            after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, to)| seq < *to)
        })
    }

    /// Takes note of the time; true if something has been to be done for long.
    pub(super) fn waits_long(&mut self, now: u64) -> bool {
        let waits = !self.unfinished.is_empty() || self.named.iter().any(|(named, _)| !self.kept.contains(named));
        self.since = if waits { self.since.or(Some(now)) } else { None };
        self.since.is_some_and(|since| now >= since + PATIENCE)
    }

    /// Whether any entry of a space may go.
    pub(super) fn is_empty(&self) -> bool {
        self.void.is_empty()
    }
}

/// Adds a range to others in order.
fn add(ranges: &mut Vec<(u64, u64)>, mut from: u64, mut to: u64) {
    ranges.retain(|(start, end)| {
        let apart = *end < from || to < *start;
        if !apart {
            (from, to) = (from.min(*start), to.max(*end));
        }
        apart
    });
    let at = ranges.partition_point(|(start, _)| *start < from);
    ranges.insert(at, (from, to));
}

impl Space {
    /// Works out again which entries may go, from the checkpoints and what is gone.
    pub(super) fn judge_pruned(&mut self) {
        let pruned = &mut self.pruned;
        (pruned.named, pruned.kept, pruned.void) = Default::default();
        pruned.said_anew.clear();
        for row in pruned.rows.values() {
            let range = row.pruned.range;
            add(pruned.void.entry(range.log).or_default(), range.from, range.to);
        }
        for (number, ((by, at), checkpoint)) in self.checkpoints.iter().enumerate() {
            for range in &checkpoint.pruned {
                add(pruned.void.entry(range.log).or_default(), range.from, range.to);
                let log = self.by_key.get(&range.log).copied();
                let said = Pruned { range: *range, by: *by, at: *at };
                let gone =
                    log.and_then(|log| pruned.at(log, range.from)).filter(|gone| gone.range.to >= range.to).copied();
                match (log, gone) {
                    (Some(log), Some(gone)) if gone.is_said_anew(&said) => pruned.said_anew.push((log, said)),
                    (_, None) => pruned.named.push((said, number)),
                    _ => {}
                }
            }
        }
    }

    /// Whether an entry is gone.
    pub(super) fn is_pruned(&self, log: &PublicKey, seq: u64) -> bool {
        self.by_key.get(log).is_some_and(|number| self.pruned.at(*number, seq).is_some())
    }

    /// From where on a log that is read from a place is there.
    pub(super) fn past_pruned(&self, log: u32, seq: u64) -> u64 {
        self.pruned.at(log, seq).map_or(seq, |pruned| pruned.range.to)
    }

    /// The next thing to be done about entries that may go; `quiet` if nobody has more of the space than is here, so that what a
    /// checkpoint speaks of and is not here is not waited for.
    pub(super) fn due_to_prune(&self, quiet: bool) -> Option<Due> {
        let pruned = &self.pruned;
        let quiet = quiet && self.gone.holes + self.gone.told == 0 && !self.gone.doubted;
        let ready = |checkpoint: &Checkpoint| quiet || !self.is_incomplete() && self.has_all_of(checkpoint);
        let unfinished = pruned.unfinished.iter().filter_map(|key| Some((key.0, pruned.rows.get(key)?)));
        for (log, row) in unfinished {
            match row.stage {
                Stage::Going => return Some(Due::Erase(log, row.pruned)),
                Stage::Came => match self.says(&row.pruned) {
                    Some(false) => return Some(Due::Forged(log, row.pruned)),
                    Some(true) => {
                        let at = self.checkpoints.iter().find(|(place, _)| *place == (row.pruned.by, row.pruned.at));
                        if at.map_or(!self.is_incomplete(), |(_, checkpoint)| ready(checkpoint)) {
                            return Some(Due::Examine(log, row.pruned, true));
                        }
                    }
                    None => {}
                },
                Stage::Gone => {}
            }
        }
        if let Some((log, said)) = pruned.said_anew.first() {
            return Some(Due::Renew(*log, *said));
        }
        pruned.named.iter().find_map(|(range, number)| {
            let log = *self.by_key.get(&range.range.log)?;
            let (_, checkpoint) = self.checkpoints.get(*number)?;
            let there = self.logs.get(log as usize)?.applied > range.range.to;
            ((there && ready(checkpoint) || quiet) && !pruned.kept.contains(range))
                .then_some(Due::Examine(log, *range, false))
        })
    }

    /// Whether a log can go on behind a range on its word, as far as is known: an owner's device may have said so, and it lies
    /// beside all that is gone or around it.
    pub(super) fn may_be_pruned(&self, authority: &Authority, log: &PublicKey, pruned: &Pruned) -> bool {
        let fits = self.by_key.get(log).is_none_or(|number| self.pruned.fits(*number, pruned));
        authority.role(&pruned.by) == Some(Role::Owner) && fits && self.says(pruned) != Some(false)
    }

    /// Whether the checkpoint that is said to let entries go does; nothing if it is not here.
    fn says(&self, pruned: &Pruned) -> Option<bool> {
        let (log, state) = self.log(&pruned.by)?;
        if let Some(Record::Checkpoint(checkpoint)) = self.records.get(&(log, pruned.at)) {
            return Some(checkpoint.pruned.contains(&pruned.range));
        }
        if self.cut(&pruned.by).is_some_and(|cut| cut <= pruned.at) {
            // It stood where the log was cut since. What an honest owner let go had no bearing before either.
            return Some(true);
        }
        if self.pruned.at(log, pruned.at).is_some() {
            // A later one took its place.
            return Some(true);
        }
        (state.applied > pruned.at).then_some(false)
    }
}

/// The bytes that an entry travels as: what is gone before it, if anything is, and itself.
pub(super) fn raws(entry: &Entry) -> impl Iterator<Item = Vec<u8>> {
    entry.pruned().map(Pruned::encode).into_iter().chain([entry.raw().to_vec()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let mut ranges = Vec::new();
        for (from, to) in [(10, 20), (30, 40), (1, 5), (5, 10), (25, 26), (39, 50)] {
            add(&mut ranges, from, to);
        }
        assert_eq!(ranges, [(1, 20), (25, 26), (30, 50)]);
        add(&mut ranges, 0, 100);
        assert_eq!(ranges, [(0, 100)]);
    }
}
