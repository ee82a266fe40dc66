//! Entries that bring the peer down: found by taking entries in one at a time with a mark, and then left out.
//!
//! A host that has seen the peer die says so at the next start ([`Input::Careful`](super::Input::Careful)). For a minute
//! from then on a row names the entry in work before it is looked at, and goes with what comes of it. An entry that was
//! in work at two deaths is quarantined: not stored, not merged, shown in the status, tried again by another release.
//!
//! ```text
//! meta  "doing"                                       space[32] ‖ log[32] ‖ seq ‖ hash[32] ‖ deaths before
//!       "suspect"                                     the same: what was in work at a death
//!       "quarantine/" ‖ space[32] ‖ log[32] ‖ seq (8)  hash[32] ‖ release (text)
//! ```

use super::commit::{Effect, Unit};
use super::{Job, Peer};
use crate::codec::{CodecError, Reader, Writer};
use crate::entry::Entry;
use crate::identity::PublicKey;
use crate::rows::{Batch, Rows, Table};
use kith_map::{BTreeMap, BTreeSet};
use serde_json::{Value as Json, json};

/// How long care is taken after a death, in milliseconds.
const CARE: u64 = 60_000;
/// Deaths with the same entry in work, after which it is quarantined.
const DEATHS: u8 = 2;
/// The most entries in quarantine; beyond it the first go.
const MAX_QUARANTINED: usize = 1000;
/// The most bytes of a release's name.
const MAX_RELEASE: usize = 256;

const DOING: &[u8] = b"doing";
const SUSPECT: &[u8] = b"suspect";
const QUARANTINE: &[u8] = b"quarantine/";

/// An entry by where it is and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Which {
    space: PublicKey,
    log: PublicKey,
    seq: u64,
    hash: [u8; 32],
}

impl Which {
    fn of(entry: &Entry) -> Which {
        let header = &entry.header;
        Which { space: header.space, log: header.log, seq: header.seq, hash: entry.hash() }
    }

    fn doing(&self, deaths: u8) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.fixed(&self.space.0).fixed(&self.log.0).number(self.seq).fixed(&self.hash).u8(deaths).finish()
    }

    fn read_doing(bytes: &[u8]) -> Result<(Which, u8), CodecError> {
        let mut reader = Reader::new(bytes);
        let (space, log) = (PublicKey(reader.fixed()?), PublicKey(reader.fixed()?));
        let which = Which { space, log, seq: reader.number()?, hash: reader.fixed()? };
        Ok((which, reader.u8()?))
    }

    fn quarantine_key(&self) -> Vec<u8> {
        [QUARANTINE, &self.space.0, &self.log.0, &self.seq.to_be_bytes()].concat()
    }

    /// The entry in a row of the quarantine, and the release that put it there.
    fn read_quarantined(key: &[u8], value: &[u8]) -> Result<(Which, String), CodecError> {
        let mut reader = Reader::new(key.get(QUARANTINE.len()..).unwrap_or_default());
        let (space, log) = (PublicKey(reader.fixed()?), PublicKey(reader.fixed()?));
        let seq = u64::from_be_bytes(reader.fixed()?);
        let mut reader = Reader::new(value);
        let hash = reader.fixed()?;
        Ok((Which { space, log, seq, hash }, reader.text(MAX_RELEASE)?.to_owned()))
    }
}

/// What is known of entries that brought the peer down.
#[derive(Default)]
pub(super) struct Careful {
    /// Care is taken until then, in milliseconds.
    until: u64,
    /// Whether the rows of the life before have been read.
    recalled: bool,
    /// What was in work at the last death, and at how many.
    suspect: Option<(Which, u8)>,
    /// What is in work, with its mark stored.
    marked: Option<Which>,
    /// What is about to be marked.
    marking: Option<Which>,
    quarantined: BTreeMap<(PublicKey, PublicKey, u64), Which>,
    /// Entries that were looked at and did no harm, though nothing came of them.
    harmless: BTreeSet<[u8; 32]>,
}

impl Careful {
    /// A transaction failed: marks have to be made again.
    pub(super) fn forget_marks(&mut self) {
        self.marked = None;
        self.marking = None;
    }
}

impl Peer {
    /// The peer died lately: care is taken for a while.
    pub(super) fn be_careful(&mut self) {
        self.careful.until = self.now + CARE;
    }

    pub(super) fn is_careful(&self) -> bool {
        self.now < self.careful.until
    }

    /// Reads, at the start, what was in work at the last death and what is in quarantine. Gives the rows to write.
    pub(super) fn recall_deaths(&mut self, meta: &Rows) -> Batch {
        let mut batch = Batch::default();
        self.careful.quarantined.clear();
        self.careful.forget_marks();
        for (key, value) in meta.iter().filter(|(key, _)| key.starts_with(QUARANTINE)) {
            match Which::read_quarantined(key, value) {
                Ok((which, release)) if release == self.config.version => {
                    self.careful.quarantined.insert((which.space, which.log, which.seq), which);
                }
                // Another release may do better.
                _ => batch.deletes.push((Table::Meta, key.clone())),
            }
        }
        if std::mem::replace(&mut self.careful.recalled, true) {
            return batch;
        }
        let find =
            |name: &[u8]| meta.iter().find(|(key, _)| key == name).and_then(|(_, value)| Which::read_doing(value).ok());
        self.careful.suspect = find(SUSPECT);
        let Some((which, before)) = find(DOING) else { return batch };
        batch.deletes.push((Table::Meta, DOING.to_vec()));
        let deaths = before.saturating_add(1);
        if deaths < DEATHS {
            self.careful.suspect = Some((which, deaths));
            batch.puts.push((Table::Meta, SUSPECT.to_vec(), which.doing(deaths)));
            return batch;
        }
        while self.careful.quarantined.len() >= MAX_QUARANTINED {
            let Some((_, first)) = self.careful.quarantined.pop_first() else { break };
            batch.deletes.push((Table::Meta, first.quarantine_key()));
        }
        self.careful.quarantined.insert((which.space, which.log, which.seq), which);
        let mut writer = Writer::new();
        let release: String = self.config.version.chars().take(MAX_RELEASE / 4).collect();
        let value = writer.fixed(&which.hash).text(&release).finish();
        batch.puts.push((Table::Meta, which.quarantine_key(), value));
        batch.deletes.push((Table::Meta, SUSPECT.to_vec()));
        batch
    }

    /// Whether an entry is one that brings the peer down.
    pub(super) fn is_quarantined(&self, entry: &Entry) -> bool {
        if self.careful.quarantined.is_empty() {
            return false;
        }
        let which = Which::of(entry);
        self.careful.quarantined.get(&(which.space, which.log, which.seq)) == Some(&which)
    }

    /// Whether an entry has to be marked before it is looked at.
    pub(super) fn needs_mark(&self, entry: &Entry) -> bool {
        let known = self.careful.marked == Some(Which::of(entry)) || self.careful.harmless.contains(&entry.hash());
        self.is_careful() && !known
    }

    /// These entries were looked at and did no harm.
    pub(super) fn are_harmless(&mut self, hashes: Vec<[u8; 32]>) {
        self.careful.harmless.extend(hashes);
    }

    /// While care is taken: a unit that marks the entry and goes on with the job once that is stored; an empty one if
    /// another entry is being marked; `None` if the entry may be looked at now.
    pub(super) fn mark(&mut self, entry: &Entry, job: Job) -> Option<Unit> {
        if !self.needs_mark(entry) {
            return None;
        }
        let which = Which::of(entry);
        if self.careful.marking.is_some() {
            // Frames are looked at again by themselves.
            if let Job::Replay(number) = job {
                self.put_off_job(number, job);
            }
            return Some(Unit::default());
        }
        self.careful.marking = Some(which);
        let deaths = self.careful.suspect.filter(|(suspect, _)| *suspect == which).map_or(0, |(_, deaths)| deaths);
        let batch = Batch { puts: vec![(Table::Meta, DOING.to_vec(), which.doing(deaths))], ..Batch::default() };
        Some(Unit { batch, effects: vec![Effect::Marked(job)] })
    }

    /// The mark is stored.
    pub(super) fn is_marked(&mut self, job: Job) {
        self.careful.marked = self.careful.marking.take();
        self.start(job);
    }

    /// The entry in work did no harm: its mark goes with what comes of it.
    pub(super) fn unmark(&mut self, batch: &mut Batch) {
        let Some(marked) = self.careful.marked.take() else { return };
        batch.deletes.push((Table::Meta, DOING.to_vec()));
        if self.careful.suspect.take_if(|(suspect, _)| *suspect == marked).is_some() {
            batch.deletes.push((Table::Meta, SUSPECT.to_vec()));
        }
    }

    /// The quarantine, for the status.
    pub(super) fn quarantine(&self) -> Json {
        let item =
            |which: &Which| json!({ "space": which.space.id(), "peer": which.log.peer_id(), "entry": which.seq });
        Json::Array(self.careful.quarantined.values().map(item).collect())
    }
}
