//! Writing values: check, plan, sign, and answer once it is durable.

use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::{Done, Peer};
use crate::api::{Change, Preconditions, Refusal, Reply, RequestId, Role, SpaceRef, SyncStatus};
use crate::document::{self, Applied, Located, MAX_WRITE_ID, Op, Ops};
use crate::entry::MAX_BODY;
use crate::history;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Durability, Table};
use crate::version::{Agent, Version, etag};

/// Bytes a seal adds to a body, with room to spare.
const SEAL: usize = 64;

/// A write on its way into the store.
pub(super) struct Stored {
    pub(super) version: Version,
    pub(super) applied: Applied,
    pub(super) batch: Batch,
}

impl Peer {
    #[allow(clippy::too_many_arguments, reason = "the fields of one request")]
    pub(super) fn write_value(
        &mut self,
        id: RequestId,
        space: &SpaceRef,
        path: &Path,
        change: &Change,
        conditions: &Preconditions,
        write_id: Option<&str>,
        lens: &Lens<'_>,
    ) -> Result<Done, Miss> {
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let number = match self.find(space, lens)? {
            Ok(number) => number,
            Err(refusal) => return refuse(refusal),
        };
        if let Err(refusal) = self.may(number, Role::Writer) {
            return refuse(refusal);
        }
        if write_id.is_some_and(|id| id.len() > MAX_WRITE_ID) {
            return refuse(Refusal::Malformed(format!("A version id may have at most {MAX_WRITE_ID} bytes.")));
        }
        let located = document::locate(lens, number, path)?;
        let (exists, before) = current(path, &located);
        if let Some(write_id) = write_id
            && lens.get(Table::View, &document::write_id_key(number, write_id))?.is_some()
        {
            let reply = self.written(number, false, !exists, before);
            return Ok(Done::Write(Unit::reply(id, reply)));
        }
        if let Err(refusal) = check(conditions, exists, &before) {
            return refuse(refusal);
        }
        let planned = match document::plan(path, &located, change) {
            Ok(planned) => planned,
            Err(refusal) => return refuse(refusal),
        };
        if planned.ops.is_empty() {
            let reply = self.written(number, false, planned.deleted, before);
            return Ok(Done::Write(Unit::reply(id, reply)));
        }

        let stored = match self.write_ops(number, planned.ops, None, write_id, lens)? {
            Ok(stored) => stored,
            Err(refusal) => return refuse(refusal),
        };
        let after = after(path, &located, &stored.applied, stored.version, number);
        let reply = self.written(number, !planned.existed, planned.deleted, after);
        let effects = vec![Effect::Changed(number, stored.applied.changed), Effect::Reply(id, reply)];
        Ok(Done::Write(Unit { batch: stored.batch, effects }))
    }

    /// Signs ops as one entry of this device's log and merges them. `mark` is the entry's id in place of the writer's.
    pub(super) fn write_ops(
        &mut self,
        number: u32,
        list: Vec<Op>,
        mark: Option<String>,
        write_id: Option<&str>,
        lens: &Lens<'_>,
    ) -> Result<Result<Stored, Refusal>, Miss> {
        let (Some(space), Some(device)) = (self.spaces.get(&number), self.device()) else {
            return Ok(Err(Refusal::NoSuchSpace));
        };
        let (Some((own, log)), Some(epoch)) = (space.log(&device), space.row.epochs.last().cloned()) else {
            return Ok(Err(not_yet()));
        };
        let seq = log.tip.len;
        let version = Version { agent: Agent::of(&device.0), seq };
        let mut hlc = self.hlc.clone();
        let entry_id = mark.unwrap_or_else(|| write_id.unwrap_or_default().to_owned());
        let ops = Ops { clock: hlc.now(self.now).0, id: entry_id, list };
        // The value fits, but its paths are part of the entry too.
        let body = ops.encode().len();
        if body > MAX_BODY - SEAL {
            let what = "The change with the paths it touches".to_owned();
            return Ok(Err(Refusal::TooLarge { what, limit: (MAX_BODY - SEAL) as u64, listing: None }));
        }
        let items = ops.clone().into_items(version.agent, seq);
        let applied = document::apply(lens, number, &items)?;

        // From here on nothing can be missing.
        self.hlc = hlc;
        let Some(mut space) = self.spaces.remove(&number) else { return Ok(Err(Refusal::NoSuchSpace)) };
        let mut draft = Draft::default();
        self.author_ops(&mut space, &mut draft, own, &epoch, &ops);
        if let Some(log) = space.log_mut(own) {
            log.applied = log.tip.len;
        }
        for (key, row) in &applied.rows {
            draft.batch.puts.push((Table::View, key.clone(), row.encode()));
        }
        draft.batch.puts.extend(history::rows(number, own, &items));
        if let Some(write_id) = write_id {
            draft.batch.puts.push((Table::View, document::write_id_key(number, write_id), seq.to_be_bytes().to_vec()));
        }
        draft.batch.durability = Durability::Strict;
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        Ok(Ok(Stored { version, applied, batch }))
    }

    pub(super) fn written(&self, space: u32, created: bool, deleted: bool, version: Vec<Version>) -> Reply {
        let sync = self.sync_status(space, &version);
        Reply::Written { created, deleted, version, sync }
    }

    /// How many other peers have all the own writes among these versions.
    pub(super) fn sync_status(&self, space: u32, versions: &[Version]) -> SyncStatus {
        let (Some(space), Some(device)) = (self.spaces.get(&space), self.device()) else { return SyncStatus::Local };
        let own = Agent::of(&device.0);
        let stored = match versions.iter().find(|version| version.agent == own) {
            Some(version) => space.stored_by(version.seq),
            // Written by others only: at least its author has it.
            None if !versions.is_empty() => 1,
            None => 0,
        };
        if stored == 0 { SyncStatus::Local } else { SyncStatus::Peers(stored) }
    }
}

fn not_yet() -> Refusal {
    Refusal::Unavailable {
        detail: "Joining this space is not finished yet: no member with the data is online. It will go on by itself."
            .to_owned(),
        retry_after: 5,
    }
}

/// Whether something is at the path, and the versions there.
pub(super) fn current(path: &Path, located: &Located) -> (bool, Vec<Version>) {
    match located {
        Located::Place(tree) => (tree.cut || tree.value(path).is_some(), tree.version()),
        Located::Inside { value, rest, version, .. } => (document::inside(value, rest).is_some(), version.clone()),
        Located::Blocked { .. } => (false, Vec::new()),
    }
}

/// The versions at the path once the write is applied.
pub(super) fn after(
    path: &Path,
    located: &Located,
    applied: &document::Applied,
    version: Version,
    space: u32,
) -> Vec<Version> {
    let Located::Place(tree) = located else { return vec![version] };
    let prefix = document::view_key(space, path);
    let kept = tree
        .rows
        .iter()
        .filter(|(place, _)| !applied.rows.contains_key(&document::view_key(space, place)))
        .filter_map(|(_, row)| row.register.as_ref());
    let new =
        applied.rows.iter().filter(|(key, _)| key.starts_with(&prefix)).filter_map(|(_, row)| row.register.as_ref());
    let all: Vec<Vec<Version>> = kept.chain(new).map(|register| vec![register.version()]).collect();
    document::merge_versions(all.iter().map(Vec::as_slice))
}

pub(super) fn check(conditions: &Preconditions, exists: bool, versions: &[Version]) -> Result<(), Refusal> {
    let tag = exists.then(|| etag(versions));
    let holds = |tags: &[String]| match &tag {
        None => false,
        Some(tag) => tags.is_empty() || tags.contains(tag),
    };
    let wanted = conditions.if_match.as_ref().is_none_or(|tags| holds(tags));
    let unwanted = conditions.if_none_match.as_ref().is_some_and(|tags| holds(tags));
    if wanted && !unwanted { Ok(()) } else { Err(Refusal::PreconditionFailed { current: tag }) }
}

impl Unit {
    /// A unit that only answers.
    pub(super) fn reply(id: RequestId, reply: Reply) -> Unit {
        Unit { effects: vec![Effect::Reply(id, reply)], ..Unit::default() }
    }
}
