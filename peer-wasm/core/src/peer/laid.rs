//! What came before the logs it stands in: checked, laid over the tree in memory, and dropped again; see [`early`](super::early).

use super::early::Asked;
use super::{LinkId, Peer};
use crate::api::Role;
use crate::authority::Record;
use crate::clock::Clock;
use crate::document::{self, Item, ViewRow};
use crate::entry::{Entry, Kind};
use crate::history::Point;
use crate::identity::PublicKey;
use crate::lens::{Answers, Lens, Overlay};
use crate::path::Path;
use crate::rows::{Batch, KeyRange, Table};
use crate::version::Agent;
use crate::wire::Glimpse;
use kith_map::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most rows that are kept in memory. Where more come, those of other places go.
const MAX_ROWS: usize = 16_384;
/// The most bytes of them, …
const MAX_BYTES: usize = 8 << 20;
/// … and the most entries they come from.
const MAX_ENTRIES: usize = 4_096;
/// How long something is shown whose log does not come, in milliseconds. Who still looks at it asks again.
const LIFE: u64 = 600_000;

/// A log and a place in it, in a space.
type At = (u32, PublicKey, u64);

/// What came before the logs it stands in.
#[derive(Default)]
pub(super) struct Early {
    rows: Arc<Overlay>,
    /// How many bytes they have had; what has gone since counts until all have.
    bytes: usize,
    /// The entries they come from, and until when they are shown at most.
    entries: BTreeMap<At, u64>,
    /// The questions that were asked.
    pub(super) asked: BTreeMap<u64, Asked>,
}

impl Early {
    /// The rows, if there are any.
    pub(super) fn rows(&self) -> Option<Arc<Overlay>> {
        (!self.rows.is_empty()).then(|| self.rows.clone())
    }

    /// Whether a read of this place, or of what is below it, sees any of it.
    pub(super) fn touches(&self, space: u32, path: &Path) -> bool {
        let below = KeyRange::prefix(&document::view_key(space, path));
        let above = || path.ancestors().any(|above| self.is_at(&document::view_key(space, &above)));
        !self.rows.is_empty() && (self.rows.rows_in(Table::View, &below).next().is_some() || above())
    }

    fn is_at(&self, key: &[u8]) -> bool {
        self.rows.row(Table::View, key).and_then(ViewRow::decode).is_some_and(|row| row.register.is_some())
    }

    /// How many entries it came from, in a space.
    pub(super) fn count(&self, space: u32) -> u64 {
        self.entries.keys().filter(|(of, ..)| *of == space).count() as u64
    }

    /// Drops what came from these entries. Gives the places.
    fn drop_rows(&mut self, gone: &[At]) -> BTreeMap<u32, Vec<Path>> {
        let mut changed: BTreeMap<u32, Vec<Path>> = BTreeMap::new();
        for at in gone {
            self.entries.remove(at);
        }
        let gone: BTreeSet<_> = gone.iter().map(|(space, log, seq)| (*space, Agent::of(&log.0), *seq)).collect();
        let left: BTreeSet<u32> = self.entries.keys().map(|(space, ..)| *space).collect();
        Arc::make_mut(&mut self.rows).retain(Table::View, |key, row| {
            let Some(space) = key.first_chunk::<4>().map(|space| u32::from_be_bytes(*space)) else { return false };
            let row = ViewRow::decode(row).unwrap_or_default();
            let goes = match &row.register {
                Some(register) => gone.contains(&(space, register.agent, register.seq)),
                None => !left.contains(&space),
            };
            if goes && let Some(path) = key.get(document::view_prefix(space).len()..).and_then(Path::from_key) {
                changed.entry(space).or_default().push(path);
            }
            !goes
        });
        if self.entries.is_empty() {
            (self.rows, self.bytes) = (Arc::default(), 0);
        }
        changed
    }
}

/// What the entries of an answer say, and which they are.
type Said = (Vec<Item>, Vec<At>);

impl Peer {
    /// What the entries of an answer say of the places they came for. Entries that are not allowed, not known to be, or
    /// here already say nothing.
    pub(super) fn early_items(
        &mut self,
        id: LinkId,
        number: u32,
        path: &Path,
        glimpse: &Glimpse,
    ) -> Result<Said, &'static str> {
        let (mut items, mut entries) = (Vec::new(), Vec::new());
        let Some(space) = self.spaces.get(&number) else { return Ok((items, entries)) };
        let mut authority = space.authority.clone();
        let is_asked = |item: &Item| {
            let key = item.path.to_key();
            let is_there = path.contains(&item.path) || item.path.contains(path);
            let is_seen = glimpse.seen.iter().any(|(from, to)| *from <= key && key < *to);
            // What was moved shows elsewhere.
            let stands = space.moves.is_empty() || space.moves.shown(&item.path) == item.path;
            is_there && is_seen && stands && !item.path.is_reserved() && item.register.leaf.tag().is_none()
        };
        let mut refused: Vec<&'static str> = Vec::new();
        let mut latest = 0;
        for raw in &glimpse.entries {
            let entry = Entry::decode(raw).map_err(|error| error.name())?;
            let (log, seq) = (entry.header.log, entry.header.seq);
            if entry.header.space != space.row.key {
                return Err("wrong-space");
            }
            if !entry.is_signed() {
                return Err("bad-signature");
            }
            let is_here = space.log(&log).is_some_and(|(_, log)| log.durable.min(log.applied) > seq);
            if is_here || self.is_quarantined(&entry) || space.cut(&log).is_some_and(|cut| cut <= seq) {
                continue;
            }
            if entry.header.kind != Kind::Op {
                // Why the others may write.
                if let Ok(Some(record @ (Record::Device(_) | Record::Grant(_)))) = Record::of(&entry) {
                    let _ = authority.admit(&log, seq, &record);
                }
                continue;
            }
            if authority.require(&log, Role::Writer).is_err() {
                refused.push("early-not-allowed");
                continue;
            }
            let epoch = entry.header.epoch.unwrap_or_default();
            let Some(key) = space.epoch(&epoch).or_else(|| space.early_key(&epoch)) else { continue };
            let opened = document::Opened::open(key, &space.row.key, &log, seq, entry.body());
            let Some(ops) = opened.filter(|ops| space.counts(&log, seq, ops.clock)) else { continue };
            if Clock(ops.clock).check(self.now).is_err() {
                refused.push("early-future-clock");
                continue;
            }
            let clock = ops.clock;
            let before = items.len();
            items.extend(ops.into_items(Agent::of(&log.0), seq).into_iter().filter(is_asked));
            if items.len() > before {
                entries.push((number, log, seq));
                latest = latest.max(clock);
            }
            if items.len() > MAX_ROWS / 2 {
                items.truncate(before);
                entries.pop();
                break;
            }
        }
        // What is written here from now on is later than what was seen.
        self.hlc.recall(Clock(latest));
        for what in refused {
            self.refuse_from(id, what);
        }
        Ok((items, entries))
    }

    /// Lays writes over the tree.
    pub(super) fn lay(&mut self, number: u32, (mut items, entries): Said) {
        kith_map::sort_by_key(&mut items, |item| Point::of(&item.register));
        let bytes: usize = items.iter().map(|item| item.path.to_key().len() + item.register.leaf.size()).sum();
        let early = &self.early;
        if early.rows.len() + items.len() > MAX_ROWS
            || early.bytes + bytes > MAX_BYTES
            || early.entries.len() + entries.len() > MAX_ENTRIES
        {
            let all: Vec<_> = early.entries.keys().copied().collect();
            self.tell_dropped(&all);
        }
        let answers = Answers::default();
        // Nothing is missing where what is not in the overlay is nowhere.
        let Ok(applied) = document::apply(&Lens::over(&self.early.rows, &answers), number, &items) else { return };
        let rows = applied.rows.into_iter().map(|(key, row)| (Table::View, key, row.encode()));
        let batch = Batch { puts: rows.collect(), ..Batch::default() };
        Arc::make_mut(&mut self.early.rows).push(0, &batch);
        self.early.bytes += bytes;
        let until = self.now + LIFE;
        self.early.entries.extend(entries.into_iter().map(|at| (at, until)));
    }

    /// Drops what came early and has come in its log by now, or is in no log that anybody has, or whose log does not come.
    pub(super) fn settle_early(&mut self) {
        if self.early.entries.is_empty() {
            return;
        }
        let mut gone = Vec::new();
        for ((number, log, seq), until) in &self.early.entries {
            let Some(space) = self.spaces.get(number) else {
                gone.push((*number, *log, *seq));
                continue;
            };
            let is_here = space.log(log).is_some_and(|(_, log)| log.durable.min(log.applied) > *seq);
            let is_cut = space.cut(log).is_some_and(|cut| cut <= *seq);
            let sessions = || {
                let sessions = self.links.values().filter_map(|link| link.sessions.get(number));
                sessions.filter(|session| session.member && session.compared.heard)
            };
            let is_said =
                |theirs: &BTreeMap<PublicKey, (u64, [u8; 32])>| theirs.get(log).is_some_and(|(len, _)| len > seq);
            let is_nowhere = sessions().next().is_some() && !sessions().any(|session| is_said(&session.theirs));
            if is_here || is_cut || is_nowhere || self.now >= *until {
                gone.push((*number, *log, *seq));
            }
        }
        if !gone.is_empty() {
            self.tell_dropped(&gone);
        }
    }

    fn tell_dropped(&mut self, gone: &[At]) {
        for (number, paths) in self.early.drop_rows(gone) {
            self.changed(number, &paths);
        }
    }
}
