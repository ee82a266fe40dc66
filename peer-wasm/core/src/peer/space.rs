//! What a peer holds in memory of a space in use: logs, members, keys. All of it can be read back from rows.

use super::boot::Draft;
use super::gone::Gone;
use super::pruned::PrunedLogs;
use super::quota::Used;
use super::rows::{self, Behind, HeadKey, HeadRow, IssuedRow, PrunedRow, SpaceRow};
use super::spread::Acked;
use crate::api::Role;
use crate::authority::{Authority, Record};
use crate::codec::Reader;
use crate::document::moves::Moves;
use crate::document::policy::Policies;
use crate::document::{self, Applied};
use crate::entry::{ForkProof, Tip, Verified};
use crate::epoch::{EpochId, EpochKey};
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::ranges::LogSet;
use crate::records::Checkpoint;
use crate::rows::{KeyRange, Table};
use crate::version::{Agent, Version};
use kith_map::BTreeMap;
use std::ops::Range;

/// Entries of one log read in one go.
pub(super) const READ_RUN: u64 = 256;
/// Packed rows read in one go.
const SEGMENTS: usize = 4;

/// One log of a space.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) key: PublicKey,
    pub(super) tip: Tip,
    /// How much of it is in a committed transaction: only that may be shown to others.
    pub(super) durable: u64,
    pub(super) applied: u64,
    pub(super) clock: u64,
    /// How long it was when the own log last named it as a dependency.
    pub(super) noted: u64,
    /// What it has added lately.
    pub(super) used: Used,
    /// The day on which it came to its quota.
    pub(super) over: Option<u64>,
}

impl Log {
    pub(super) fn new(key: PublicKey) -> Log {
        Log { key, tip: Tip::EMPTY, durable: 0, applied: 0, clock: 0, noted: 0, used: Used::default(), over: None }
    }

    pub(super) fn row(&self) -> Vec<u8> {
        HeadRow { key: self.key, tip: self.tip, applied: self.applied, clock: self.clock, used: self.used }.encode()
    }
}

/// A space in use.
#[derive(Clone, Debug)]
pub(super) struct Space {
    pub(super) number: u32,
    pub(super) row: SpaceRow,
    pub(super) authority: Authority,
    pub(super) records: BTreeMap<(u32, u64), Record>,
    pub(super) logs: Vec<Log>,
    pub(super) by_key: BTreeMap<PublicKey, u32>,
    /// What is stored of each log: what others are told.
    pub(super) stored: LogSet,
    pub(super) issued: BTreeMap<PublicKey, IssuedRow>,
    /// How much of the own log each peer has said to have stored.
    pub(super) acks: BTreeMap<PublicKey, Acked>,
    pub(super) forks: BTreeMap<PublicKey, ForkProof>,
    /// The number of the next arrival.
    pub(super) arrivals: u64,
    /// The tree is being made anew.
    pub(super) rebuilding: bool,
    /// While it is: how much of each log is in the feed of changes already.
    pub(super) announced: BTreeMap<u32, u64>,
    /// How values are merged where their writers do not say.
    pub(super) policies: Policies,
    /// What is to be redacted, and what is missing.
    pub(super) gone: Gone,
    /// Kinds in the tree that only a later release knows.
    pub(super) unknown: Vec<u8>,
    /// Keys that came before the log that hands them out; not used until an entry names them.
    pub(super) early: Vec<EpochKey>,
    /// The checkpoints of owners, with log and place: an op counts if all of them admit it.
    pub(super) checkpoints: Vec<((PublicKey, u64), Checkpoint)>,
    /// Entries that are gone, or may go.
    pub(super) pruned: PrunedLogs,
    /// What is merged and not in the index of history yet.
    pub(super) behind: Vec<Behind>,
    /// Where what was moved stands.
    pub(super) moves: Moves,
    /// Texts for which something has arrived, of whom and from which entry on; without, whatever is in their inboxes.
    pub(super) texts: Vec<(Path, Option<(Agent, u64)>)>,
}

impl Space {
    /// A space with nothing in it.
    pub(super) fn new(number: u32, row: SpaceRow) -> Space {
        Space {
            number,
            authority: Authority::new(row.key),
            row,
            records: BTreeMap::new(),
            logs: Vec::new(),
            by_key: BTreeMap::new(),
            stored: LogSet::default(),
            issued: BTreeMap::new(),
            acks: BTreeMap::new(),
            forks: BTreeMap::new(),
            arrivals: 0,
            rebuilding: false,
            announced: BTreeMap::new(),
            policies: Policies::default(),
            gone: Gone::default(),
            unknown: Vec::new(),
            early: Vec::new(),
            checkpoints: Vec::new(),
            pruned: PrunedLogs::default(),
            behind: Vec::new(),
            moves: Moves::default(),
            texts: Vec::new(),
        }
    }

    /// Reads a space back from its rows.
    pub(super) fn load(lens: &Lens<'_>, number: u32, row: SpaceRow) -> Result<Space, Miss> {
        let heads = lens.scan(Table::Head, &rows::head_prefix(number), usize::MAX / 2, false);
        let arrivals = KeyRange::prefix(&number.to_be_bytes());
        let gone = Gone::load(lens, number);
        let last = lens.scan(Table::Arrival, &arrivals, 1, true);
        let policies = Policies::load(lens, number);
        let waiting = document::text::waiting_places(lens, number);
        let last = last?;
        let mut space = Space::new(number, row);
        space.policies = policies?;
        space.texts = waiting?.into_iter().map(|path| (path, None)).collect();
        space.arrivals = last.first().and_then(|(key, _)| Some(rows::arrival_of_key(key)? + 1)).unwrap_or(0);
        space.gone = gone?;
        let (mut indexed, mut moves) = (None, Vec::new());
        for (key, value) in heads? {
            match rows::read_head_key(&key) {
                Some(HeadKey::Log(log)) => {
                    let Ok(head) = HeadRow::decode(&value) else { continue };
                    // Rows come in key order, so logs are numbered without gaps.
                    if log as usize == space.logs.len() {
                        space.by_key.insert(head.key, log);
                        space.stored.set(head.key, head.tip);
                        space.logs.push(Log {
                            key: head.key,
                            tip: head.tip,
                            durable: head.tip.len,
                            applied: head.applied,
                            clock: head.clock,
                            noted: 0,
                            used: head.used,
                            over: None,
                        });
                    }
                }
                Some(HeadKey::Record(log, seq)) => {
                    if let Some(record) = rows::decode_record(&value) {
                        space.records.insert((log, seq), record);
                    }
                }
                Some(HeadKey::Issued) => {
                    let invite = key.get(5..).and_then(|key| key.try_into().ok()).map(PublicKey);
                    if let (Some(invite), Ok(issued)) = (invite, IssuedRow::decode(&value)) {
                        space.issued.insert(invite, issued);
                    }
                }
                Some(HeadKey::Ack(peer)) => {
                    if let Ok(acked) = Acked::decode(&value) {
                        space.acks.insert(peer, acked);
                    }
                }
                Some(HeadKey::Fork(log)) => {
                    if let Ok(Some(proof)) = ForkProof::decode(space.row.key, &mut Reader::new(&value)) {
                        space.forks.insert(log, proof);
                    }
                }
                Some(HeadKey::Rebuilding) => {
                    space.rebuilding = true;
                    space.announced =
                        rows::decode_arrival(&value).into_iter().map(|run| (run.log, run.count)).collect();
                }
                Some(HeadKey::Unknown(tag)) => space.unknown.push(tag),
                Some(HeadKey::Move) => {
                    moves.extend(rows::decode_move(&key, &value));
                }
                Some(HeadKey::Pruned(log)) => {
                    if let Some(row) = PrunedRow::decode(&value) {
                        space.pruned.put(log, row);
                    }
                }
                Some(HeadKey::Index) => indexed = rows::decode_behind(&value).ok(),
                None => {}
            }
        }
        space.moves.extend(moves);
        space.behind = indexed.unwrap_or_else(|| {
            let all = space.logs.iter().enumerate().map(|(log, state)| (log as u32, state.applied));
            all.filter(|(_, upto)| *upto > 0).map(|(log, upto)| Behind { log, from: 0, upto }).collect()
        });
        space.judge();
        Ok(space)
    }

    /// Works out from the records who may do what. Records may back each other across logs in any order, so this
    /// goes round until nothing changes any more.
    pub(super) fn judge(&mut self) {
        self.authority = Authority::new(self.row.key);
        let mut open: Vec<(PublicKey, u64, Record)> = Vec::new();
        for ((log, seq), record) in &self.records {
            if let Some(log) = self.logs.get(*log as usize) {
                open.push((log.key, *seq, record.clone()));
            }
        }
        loop {
            let before = open.len();
            open.retain(|(log, seq, record)| self.authority.admit_trusted(log, *seq, record).is_err());
            if open.len() == before || open.is_empty() {
                break;
            }
        }
        let owner = |log: u32| {
            let key = self.logs.get(log as usize)?.key;
            (self.authority.role(&key) == Some(Role::Owner)).then_some(key)
        };
        let checkpoint = |(place, record): (&(u32, u64), &Record)| match record {
            Record::Checkpoint(checkpoint) => Some(((owner(place.0)?, place.1), checkpoint.clone())),
            _ => None,
        };
        self.checkpoints = self.records.iter().filter_map(checkpoint).collect();
        self.judge_pruned();
    }

    /// Whether an op at `seq` of `log`, written at `clock`, counts: every checkpoint admits it, and none lets it go.
    pub(super) fn counts(&self, log: &PublicKey, seq: u64, clock: u64) -> bool {
        self.checkpoints.iter().all(|(_, checkpoint)| checkpoint.admits(log, seq, clock))
            && !self.pruned.is_void(log, seq)
    }

    /// Takes in what ops have changed in the tree. Gives the places that changed.
    pub(super) fn merged(&mut self, applied: Applied, draft: &mut Draft) -> Vec<Path> {
        applied.store(self.number, &mut draft.batch);
        if !applied.ended.is_empty() {
            (self.gone.ended, self.gone.forgot) = (true, None);
            self.gone.store(self.number, &mut draft.batch);
        }
        self.texts.extend(applied.texts.into_iter().filter_map(|((path, agent), arrived)| {
            let (first, _) = arrived.first()?;
            Some((path, Some((agent, *first))))
        }));
        for tag in applied.unknown {
            if !self.unknown.contains(&tag) {
                self.unknown.push(tag);
                draft.batch.puts.push((Table::Head, rows::unknown_key(self.number, tag), Vec::new()));
            }
        }
        let mut changed = applied.changed;
        let policies = applied.rows.iter().filter_map(|(key, row)| self.policies.note(key, row));
        changed.extend(policies);
        changed
    }

    /// The role of the device with this agent.
    pub(super) fn role_of(&self, agent: Agent) -> Option<Role> {
        self.authority.members().find(|(log, ..)| Agent::of(&log.0) == agent).map(|(.., role)| role)
    }

    /// Who writes as this agent, as did:key text; the agent itself if its device is not known.
    pub(super) fn author(&self, agent: Agent) -> String {
        let device = self.authority.members().find(|(log, ..)| Agent::of(&log.0) == agent);
        device.map_or_else(|| agent.to_string(), |(_, device, _)| device.identity.did())
    }

    pub(super) fn log(&self, key: &PublicKey) -> Option<(u32, &Log)> {
        let number = *self.by_key.get(key)?;
        Some((number, self.logs.get(number as usize)?))
    }

    pub(super) fn log_mut(&mut self, number: u32) -> Option<&mut Log> {
        self.logs.get_mut(number as usize)
    }

    /// Works out what the own log has named as dependencies: a write is later than all its writer had seen, so what
    /// has nothing later than the last own write need not be named again.
    pub(super) fn recall_noted(&mut self, own: Option<PublicKey>) {
        let written = own.and_then(|own| self.log(&own)).map_or(0, |(_, log)| log.clock);
        for log in self.logs.iter_mut().filter(|log| log.clock <= written) {
            log.noted = log.tip.len;
        }
    }

    /// A log has been stored up to `durable`, or cut.
    pub(super) fn note_stored(&mut self, number: u32) {
        // What is on its way to the store is noted when it is there.
        if let Some(log) = self.logs.get(number as usize).filter(|log| log.durable == log.tip.len) {
            self.stored.set(log.key, log.tip);
        }
    }

    /// The number of a log, giving it one if it is new.
    pub(super) fn number_of(&mut self, key: PublicKey) -> u32 {
        if let Some(number) = self.by_key.get(&key) {
            return *number;
        }
        let number = self.logs.len() as u32;
        self.logs.push(Log::new(key));
        self.by_key.insert(key, number);
        number
    }

    pub(super) fn epoch(&self, id: &EpochId) -> Option<&EpochKey> {
        self.row.epochs.iter().find(|epoch| epoch.id() == *id)
    }

    /// Where a log may not grow past, if it forks.
    pub(super) fn cut(&self, log: &PublicKey) -> Option<u64> {
        self.forks.get(log).map(|proof| proof.seq)
    }

    /// Whether this version's entry is here.
    pub(super) fn has(&self, version: &Version) -> bool {
        self.logs.iter().any(|log| Agent::of(&log.key.0) == version.agent && log.applied > version.seq)
    }

    /// Entries in all logs, without those that are gone.
    pub(super) fn entries(&self) -> u64 {
        let all: u64 = self.logs.iter().map(|log| log.tip.len).sum();
        all.saturating_sub(self.pruned.count())
    }

    /// How many other peers have stored the own log up to and including `seq`.
    pub(super) fn stored_by(&self, seq: u64) -> u32 {
        self.acks.values().filter(|acked| acked.len > seq).count() as u32
    }
}

/// Reads up to `count` entries of a part of a log, from its beginning. Those that are gone are passed over; the one behind them
/// says so.
pub(super) fn read_entries(
    lens: &Lens<'_>,
    space: &Space,
    log: u32,
    part: Range<u64>,
    count: u64,
) -> Result<Vec<Verified>, Miss> {
    let there = space.past_pruned(log, part.start);
    let end = part.end.min(there.saturating_add(count));
    let mut next = part.start;
    let mut entries = Vec::new();
    for (seq, entry) in stored_entries(lens, space.number, log, there, end, count)?.0 {
        match space.pruned.at(log, next) {
            // What is being erased and what is behind it.
            Some(pruned) if seq < pruned.range.to => continue,
            Some(pruned) if seq == pruned.range.to => entries.push(entry.behind(pruned)),
            None if seq == next => entries.push(entry),
            // Only what follows without a gap.
            _ => break,
        }
        next = seq + 1;
    }
    Ok(entries)
}

/// Entries that are stored between two places of a log, whatever is between them, and up to where these are all: `count`
/// rows are looked at, and four packed ones.
pub(super) fn stored_entries(
    lens: &Lens<'_>,
    space: u32,
    log: u32,
    from: u64,
    end: u64,
    count: u64,
) -> Result<(BTreeMap<u64, Verified>, u64), Miss> {
    let tail_range = KeyRange { start: rows::entry_key(space, log, from), end: rows::entry_key(space, log, end) };
    let tail = lens.scan(Table::Tail, &tail_range, count as usize, false);
    // Segments are keyed by their last entry: the first that can matter ends at or after `from`.
    let log_end = KeyRange::prefix(&rows::log_prefix(space, log)).end;
    let segment_range = KeyRange { start: rows::entry_key(space, log, from), end: log_end };
    let segments = lens.scan(Table::Segment, &segment_range, SEGMENTS, false)?;
    let mut found: BTreeMap<u64, Verified> = BTreeMap::new();
    let tail = tail?;
    let last = |rows: &[(Vec<u8>, Vec<u8>)], limit: usize| {
        rows.last().filter(|_| rows.len() == limit).and_then(|(key, _)| Some(rows::seq_of_key(key)? + 1))
    };
    let upto = end.min(last(&tail, count as usize).unwrap_or(end)).min(last(&segments, SEGMENTS).unwrap_or(end));
    for (key, value) in &tail {
        if let (Some(seq), Ok(entry)) = (rows::seq_of_key(key), Verified::from_store(value)) {
            found.insert(seq, entry);
        }
    }
    for (_, value) in &segments {
        for raw in rows::decode_segment(value) {
            if let Ok(entry) = Verified::from_store(raw)
                && (from..end).contains(&entry.header.seq)
            {
                found.insert(entry.header.seq, entry);
            }
        }
    }
    found.retain(|seq, _| *seq < upto);
    Ok((found, upto))
}
