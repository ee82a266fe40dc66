//! Taking in a space's file, part by part, through the same gate as what comes over links.
//!
//! Each part is verified, merged and committed before the next is asked for, so an import that is cut short leaves a
//! shorter history and nothing half done, and importing again goes on from there. A space that this peer is no member
//! of can be taken in if the file has its keys: as an archive that can be read and not written.

use super::commit::{Effect, Unit};
use super::ingest::Taken;
use super::moves::lay;
use super::prepare::Prepared;
use super::rows::{self, SpaceRow};
use super::space::Space;
use super::{Done, MAX_SPACES, Peer};
use crate::api::{Refusal, Reply, RequestId};
use crate::archive::Part;
use crate::authority::Record;
use crate::codec::Reader;
use crate::entry::{Entry, ForkProof, Pruned};
use crate::epoch::EpochKey;
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::rows::{Batch, Durability, Table};
use kith_map::BTreeMap;

/// The name an archive has until its own name is read.
const ARCHIVE_NAME: &str = "Archive";

impl Peer {
    pub(super) fn import(
        &mut self,
        id: RequestId,
        key: &PublicKey,
        part: &Part,
        lens: &Lens<'_>,
    ) -> Result<Done, Miss> {
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let number = self.space_number(key);
        if let Some(number) = number {
            self.space(number, lens)?;
        }
        match (number, part) {
            (_, Part::Head { .. } | Part::End(_)) => Ok(self.imported(id, Batch::default(), Vec::new(), Tally::default())),
            (Some(number), Part::Keys(keys)) => Ok(self.import_keys(id, number, keys)),
            (None, Part::Keys(keys)) => Ok(self.open_archive(id, *key, keys)),
            (None, _) => refuse(Refusal::Forbidden(
                "This peer is no member of that space, and the file does not hold its keys. Open an invite to the space \
                 first, or take a file that was exported with its keys."
                    .to_owned(),
            )),
            (Some(number), Part::Fork(proof)) => match ForkProof::decode(*key, &mut Reader::new(proof)) {
                Ok(Some(proof)) => self.import_fork(id, number, proof, lens),
                _ => Ok(self.imported(id, Batch::default(), Vec::new(), Tally::refused("fork", 1))),
            },
            (Some(number), Part::Run(entries)) => self.import_run(id, number, entries, lens),
        }
    }

    fn imported(&self, id: RequestId, mut batch: Batch, mut effects: Vec<Effect>, tally: Tally) -> Done {
        batch.durability = Durability::Strict;
        effects.push(Effect::Reply(id, Reply::Imported { new: tally.new, known: tally.known, refused: tally.refused }));
        Done::Write(Unit { batch, effects })
    }

    /// Keys of a space this peer has: those that the space's own records name, behind the ones in use.
    fn import_keys(&mut self, id: RequestId, number: u32, keys: &[EpochKey]) -> Done {
        let mut batch = Batch::default();
        if let Some(space) = self.spaces.get_mut(&number) {
            let named = |key: &&EpochKey| {
                space.records.values().any(|r| matches!(r, Record::Epoch(epoch) if epoch.commit == key.commit()))
            };
            let fresh: Vec<EpochKey> =
                keys.iter().filter(|key| space.epoch(&key.id()).is_none()).filter(named).cloned().collect();
            if !fresh.is_empty() && space.row.joined {
                space.row.epochs.splice(0..0, fresh);
                batch.puts.push((Table::Meta, rows::space_key(number), space.row.encode()));
                self.space_rows.insert(number, space.row.clone());
                let effects = vec![Effect::Start(super::Job::Replay(number))];
                return self.imported(id, batch, effects, Tally::default());
            }
        }
        self.imported(id, batch, Vec::new(), Tally::default())
    }

    /// A space this peer is no member of.
    fn open_archive(&mut self, id: RequestId, key: PublicKey, keys: &[EpochKey]) -> Done {
        if self.space_rows.len() >= MAX_SPACES {
            let refusal = Refusal::TooMany(format!("A peer takes part in at most {MAX_SPACES} spaces."));
            return Done::Write(Unit::reply(id, Reply::Refused(refusal)));
        }
        let number = self.space_rows.last_key_value().map_or(0, |(last, _)| last + 1);
        let (name, epochs) = (ARCHIVE_NAME.to_owned(), keys.to_vec());
        let row = SpaceRow { key, epochs, ticket: None, joined: true, archive: true, name };
        let puts = vec![
            (Table::Meta, rows::space_key(number), row.encode()),
            (Table::Head, rows::index_key(number), rows::encode_behind(&[])),
        ];
        self.space_rows.insert(number, row.clone());
        self.spaces.insert(number, Space::new(number, row));
        self.imported(id, Batch { puts, ..Batch::default() }, vec![Effect::Authority(number)], Tally::default())
    }

    fn import_fork(&mut self, id: RequestId, number: u32, proof: ForkProof, lens: &Lens<'_>) -> Result<Done, Miss> {
        // The log must be known for a proof against it to count; where it is still to come, the proof waits for it.
        if let Some(space) = self.spaces.get_mut(&number)
            && (space.row.archive || !space.row.joined)
            && space.log(&proof.log).is_none()
        {
            space.forks.insert(proof.log, proof.clone());
            let mut writer = crate::codec::Writer::new();
            proof.encode(&mut writer);
            let puts = vec![(Table::Head, rows::fork_key(number, &proof.log), writer.finish())];
            return Ok(self.imported(id, Batch { puts, ..Batch::default() }, Vec::new(), Tally::default()));
        }
        Ok(match self.adopt_proof(number, &proof, lens)? {
            Done::Write(unit) => self.imported(id, unit.batch, unit.effects, Tally::default()),
            _ => self.imported(id, Batch::default(), Vec::new(), Tally::default()),
        })
    }

    fn import_run(&mut self, id: RequestId, number: u32, raws: &[Vec<u8>], lens: &Lens<'_>) -> Result<Done, Miss> {
        let waiting = self.importing.iter().position(|(waiting, _)| *waiting == id);
        let prepared = match waiting.map(|at| self.importing.swap_remove(at).1) {
            Some(prepared) => prepared,
            None => {
                let mut tally = Tally::default();
                let mut entries = Vec::new();
                let mut pruned = None;
                for raw in raws {
                    if let Ok(Some(gone)) = Pruned::decode(raw) {
                        pruned = Some(gone);
                        continue;
                    }
                    let gone = pruned.take();
                    match Entry::decode(raw) {
                        Ok(entry) => entries.push(match gone.filter(|gone| entry.follows(gone)) {
                            Some(gone) => entry.behind(gone),
                            None => entry,
                        }),
                        Err(error) => tally.refuse(error.name(), 1),
                    }
                }
                let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
                tally.count(space, &entries);
                match self.prepare_entries(number, entries, true) {
                    Some(prepared) => (prepared, tally),
                    None => return Ok(Done::Nothing),
                }
            }
        };
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let laid = match lay(lens, space, &prepared.0.items) {
            Ok(laid) => laid.owned(),
            Err(Miss) => {
                self.importing.push((id, prepared));
                return Err(Miss);
            }
        };
        let settled = match self.settle(number, &prepared.0, &laid, lens) {
            Ok(settled) => settled,
            Err(Miss) => {
                self.importing.push((id, prepared));
                return Err(Miss);
            }
        };
        let (prepared, mut tally) = prepared;
        if self.is_outdated(number, &prepared) {
            return Ok(Done::WriteAndAgain(Unit::default()));
        }
        tally.judge(&prepared);
        let Some(Taken { batch, effects, .. }) = self.take_in(number, prepared, laid, settled) else {
            return Ok(Done::Nothing);
        };
        Ok(self.imported(id, batch, effects, tally))
    }
}

/// What became of the entries of a part.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    new: u64,
    known: u64,
    refused: BTreeMap<&'static str, u64>,
    /// Of each log in the part: how many entries are at places that were not taken before.
    fresh: Vec<(PublicKey, u64)>,
}

/// A part that is verified and waits for rows.
pub(super) type Importing = (Prepared, Tally);

impl Tally {
    fn refused(why: &'static str, count: u64) -> Tally {
        let mut tally = Tally::default();
        tally.refuse(why, count);
        tally
    }

    fn refuse(&mut self, why: &'static str, count: u64) {
        if count > 0 {
            *self.refused.entry(why).or_default() += count;
        }
    }

    /// Entries at places that are taken already count as known, whatever they hold: a different history shows at the
    /// first entry past them.
    fn count(&mut self, space: &Space, entries: &[Entry]) {
        for entry in entries {
            let log = entry.header.log;
            if space.log(&log).is_some_and(|(_, log)| entry.header.seq < log.tip.len) {
                self.known += 1;
                continue;
            }
            match self.fresh.iter_mut().find(|(known, _)| *known == log) {
                Some((_, count)) => *count += 1,
                None => self.fresh.push((log, 1)),
            }
        }
    }

    fn judge(&mut self, prepared: &Prepared) {
        for (log, fresh) in std::mem::take(&mut self.fresh) {
            let run = prepared.runs.iter().find(|run| run.log == log);
            let taken = run.map_or(0, |run| run.entries.len() as u64);
            self.new += taken;
            let problem = prepared.problems.iter().find(|problem| problem.log == log);
            self.refuse(problem.map_or("not-taken", |problem| problem.why), fresh.saturating_sub(taken));
        }
    }
}
