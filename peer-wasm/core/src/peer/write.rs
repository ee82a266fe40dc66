//! Writing values: check, plan, sign, and answer once it is durable.

use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::gone::MAX_RULES;
use super::purge::Purge;
use super::text_edits::TextEdits;
use super::text_write::TextWrite;
use super::{Done, Job, Peer};
use crate::api::{
    Body, Change, Facts, Manner, Merge, Preconditions, Refusal, Reply, RequestId, Role, SpaceRef, SyncStatus,
};
use crate::document::kind::tag;
use crate::document::{self, Held, Leaf, Located, MAX_WRITE_ID, Op, Ops, Planned, Wish};
use crate::entry::MAX_BODY;
use crate::history;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Durability, Table};
use crate::version::{Agent, Version, etag};

impl Peer {
    #[allow(clippy::too_many_arguments, reason = "the fields of one request")]
    pub(super) fn write_value(
        &mut self,
        id: RequestId,
        space: &SpaceRef,
        path: &Path,
        change: &Change,
        conditions: &Preconditions,
        manner: &Manner,
        write_id: Option<&str>,
        purge: bool,
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
        if purge {
            let purge = Purge { id, space, number, path, change, conditions, manner, write_id };
            if let Some(done) = self.end_lives(&purge, lens)? {
                return Ok(done);
            }
        }
        let text = self.as_text(number, path, change, manner, lens)?;
        let change = match &text {
            Ok(text) => {
                let change = text.clone();
                let write = TextWrite { id, space: number, path, change, conditions, manner, write_id, purge };
                return self.write_text(&write, lens);
            }
            Err(other) => other.as_ref().unwrap_or(change),
        };
        let mut located = match change {
            Change::Set { add, remove } => {
                let members = document::member_paths(path, add.iter().chain(remove));
                document::locate_members(lens, number, path, &members)?
            }
            _ => document::locate(lens, number, path)?,
        };
        located.choose(&self.rule(number));
        let (exists, before) = current(path, &located);
        let held = facts(path, &located).merge;
        if let Some(write_id) = write_id
            && lens.get(Table::View, &document::write_id_key(number, write_id))?.is_some()
        {
            let reply = self.written(number, false, !exists, before, held);
            return Ok(Done::Write(Unit::reply(id, reply)));
        }
        if let Err(refusal) = check(conditions, exists, &before) {
            return refuse(refusal);
        }
        let policies = self.spaces.get(&number).map(|space| space.policies.clone()).unwrap_or_default();
        let planned = match document::plan(path, &located, change, Wish { manner, policies: &policies }) {
            Ok(planned) => planned,
            // Nothing is there now, but something may have been.
            Err(Refusal::NotFound) if purge => Planned { ops: Vec::new(), existed: false, deleted: true },
            Err(refusal) => return refuse(refusal),
        };
        if planned.ops.is_empty() && purge {
            return Ok(self.purge_only(id, number, path, planned.deleted, (before, held)));
        }
        if planned.ops.is_empty() {
            let reply = self.written(number, false, planned.deleted, before, held);
            return Ok(Done::Write(Unit::reply(id, reply)));
        }

        let Planned { mut ops, existed, deleted } = planned;
        let texts = match self.planned_texts(number, &mut ops, lens)? {
            Ok(texts) => texts,
            Err(refusal) => return refuse(refusal),
        };
        let purged = purge.then(|| purged(path, &located).clone());
        self.put_ops(id, number, ops, texts, None, write_id, purged.as_ref(), lens, |peer, applied, version| {
            let (after, merge) = after(path, &located, applied, version, number, &peer.rule(number));
            peer.written(number, !existed, deleted, after, merge)
        })
    }

    /// Writes ops into this device's log and the tree, and answers once that is durable. `mark` is the entry's id in place
    /// of the writer's. What was written at and below the place to purge before goes. Ops on texts are made of the edits
    /// given.
    #[allow(clippy::too_many_arguments, reason = "one write")]
    pub(super) fn put_ops(
        &mut self,
        id: RequestId,
        number: u32,
        list: Vec<Op>,
        texts: TextEdits,
        mark: Option<String>,
        write_id: Option<&str>,
        purge: Option<&Path>,
        lens: &Lens<'_>,
        answer: impl FnOnce(&Peer, &document::Applied, Version) -> Reply,
    ) -> Result<Done, Miss> {
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let (Some(space), Some(device)) = (self.spaces.get(&number), self.device()) else {
            return refuse(Refusal::NoSuchSpace);
        };
        let (Some((own, log)), Some(epoch)) = (space.log(&device), space.row.epochs.last().cloned()) else {
            return refuse(not_yet());
        };
        let seq = log.tip.len;
        let version = Version { agent: Agent::of(&device.0), seq };
        let mut hlc = self.hlc.clone();
        let entry_id = mark.unwrap_or_else(|| write_id.unwrap_or_default().to_owned());
        let mut ops = Ops { clock: hlc.now(self.now).0, id: entry_id, list };
        if let Err(refusal) = self.fill_texts(number, &mut ops, &texts, lens)? {
            return refuse(refusal);
        }
        if let Some(space) = self.spaces.get(&number) {
            space.find_sets(&mut ops.list);
        }
        document::live_on(lens, number, &mut ops.list)?;
        // The value fits, but its paths are part of the entry too.
        let Some(space) = self.spaces.get(&number) else { return refuse(Refusal::NoSuchSpace) };
        if let Some(refusal) = space.unwritable(&ops) {
            return refuse(refusal);
        }
        if space.made(&ops).weight() > MAX_BODY {
            let what = "The change with the paths it touches".to_owned();
            return refuse(Refusal::TooLarge { what, limit: MAX_BODY as u64, listing: None });
        }
        let mut items = space.strayed(ops.clone().into_items(version.agent, seq));
        let indexed = history::rows(number, own, &items);
        // What is written here goes into texts at once and not by their inboxes.
        items.iter_mut().for_each(|item| item.register.leaf = without_text(&item.register.leaf));
        let mut applied = document::apply(lens, number, &items)?;

        // From here on nothing can be missing.
        let edited = match self.edit_texts(number, version, &ops, &texts, &mut applied) {
            Ok(edited) => edited,
            Err(refusal) => return refuse(refusal),
        };
        if let (Some(place), Some(space)) = (purge, self.spaces.get_mut(&number))
            && !space.purge(place, ops.clock)
        {
            texts.iter().for_each(|(path, _)| self.texts.drop(&(number, path.clone())));
            return refuse(too_many_purges());
        }
        self.hlc = hlc;
        let reply = answer(self, &applied, version);
        let Some(mut space) = self.spaces.remove(&number) else { return refuse(Refusal::NoSuchSpace) };
        let mut draft = Draft::default();
        draft.batch.puts.extend(edited.puts);
        draft.batch.deletes.extend(edited.deletes);
        self.author_ops(&mut space, &mut draft, own, &epoch, &ops);
        if let Some(log) = space.log_mut(own) {
            log.applied = log.tip.len;
        }
        let changed = space.merged(applied, &mut draft);
        draft.batch.puts.extend(indexed);
        if let Some(write_id) = write_id {
            draft.batch.puts.push((Table::View, document::write_id_key(number, write_id), seq.to_be_bytes().to_vec()));
        }
        if purge.is_some() {
            space.gone.store(number, &mut draft.batch);
        }
        draft.batch.durability = Durability::Strict;
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        let mut effects = vec![Effect::Changed(number, changed), Effect::Reply(id, reply)];
        if purge.is_some() {
            effects.push(Effect::Start(Job::Collect(number)));
        }
        Ok(Done::Write(Unit { batch, effects }))
    }

    /// Has what was written before at a path redacted, where nothing is to be changed now.
    fn purge_only(
        &mut self,
        id: RequestId,
        number: u32,
        path: &Path,
        deleted: bool,
        before: (Vec<Version>, Merge),
    ) -> Done {
        let clock = self.hlc.now(self.now).0;
        let Some(space) = self.spaces.get_mut(&number) else { return Done::Nothing };
        if !space.purge(path, clock) {
            return Done::Write(Unit::reply(id, Reply::Refused(too_many_purges())));
        }
        let mut batch = Batch { durability: Durability::Strict, ..Batch::default() };
        space.gone.store(number, &mut batch);
        let reply = self.written(number, false, deleted, before.0, before.1);
        let effects = vec![Effect::Reply(id, reply), Effect::Start(Job::Collect(number))];
        Done::Write(Unit { batch, effects })
    }

    pub(super) fn written(
        &self,
        space: u32,
        created: bool,
        deleted: bool,
        version: Vec<Version>,
        merge: Merge,
    ) -> Reply {
        let sync = self.sync_status(space, &version);
        Reply::Written { created, deleted, version, sync, merge }
    }

    /// The same for what a read shows: while the space is arriving there may be more or newer.
    pub(super) fn sync_of_read(&self, number: u32, versions: &[Version]) -> SyncStatus {
        if self.is_arriving(number) { SyncStatus::Arriving } else { self.sync_status(number, versions) }
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

/// The place whose past goes when a path is purged: values inside arrays are written with the whole array.
fn purged<'a>(path: &'a Path, located: &'a Located) -> &'a Path {
    if let Located::Inside { leaf, .. } = located { leaf } else { path }
}

/// A leaf without an operation on a text.
fn without_text(leaf: &Leaf) -> Leaf {
    if leaf.tag() == Some(tag::TEXT) { leaf.kept() } else { leaf.clone() }
}

fn too_many_purges() -> Refusal {
    Refusal::TooMany(format!(
        "This device watches over {MAX_RULES} purged places in this space already. Purge a place above several of them instead."
    ))
}

pub(super) fn not_yet() -> Refusal {
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
        Located::Member { .. } => (body(path, located).is_some(), member_version(path, located)),
        Located::Inside { value, rest, version, .. } => (document::inside(value, rest).is_some(), version.clone()),
        Located::Blocked { .. } => (false, Vec::new()),
    }
}

/// What is at the path.
pub(super) fn body(path: &Path, located: &Located) -> Option<Body> {
    match located {
        Located::Place(tree) => tree.value(path),
        Located::Member { tree, .. } => {
            let (path, row) = tree.rows.iter().find(|(place, _)| place == path)?;
            document::Tree::of(path.clone(), row.clone()).value(path)
        }
        Located::Inside { value, rest, .. } => document::inside(value, rest).map(|json| Body::Json(json.clone())),
        Located::Blocked { .. } => None,
    }
}

fn member_version(path: &Path, located: &Located) -> Vec<Version> {
    let rows = located.tree(path).map(|(tree, _)| tree.rows.as_slice()).unwrap_or_default();
    let own = rows.iter().filter(|(place, _)| place == path);
    let versions: Vec<Version> = own.flat_map(|(_, row)| row.versions()).collect();
    document::merge_versions([versions.as_slice()].into_iter())
}

/// What else is known of what is at the path.
pub(super) fn facts(path: &Path, located: &Located) -> Facts {
    match located {
        Located::Place(tree) => {
            let merge = match tree.held(path) {
                Some(Held::Merge(merge)) => merge,
                Some(Held::Newer(_)) | None => Merge::Lww,
            };
            Facts { merge, conflicts: tree.rivals(path), early: false }
        }
        Located::Inside { leaf, tree, .. } => match tree.held(leaf) {
            Some(Held::Merge(merge)) => Facts { merge, ..Facts::default() },
            _ => Facts::default(),
        },
        Located::Member { .. } | Located::Blocked { .. } => Facts::default(),
    }
}

/// The versions at the path once the write is applied, and how it is merged then.
pub(super) fn after(
    path: &Path,
    located: &Located,
    applied: &document::Applied,
    version: Version,
    space: u32,
    rule: document::Rule<'_>,
) -> (Vec<Version>, Merge) {
    let Some((tree, top)) = located.tree(path) else { return (vec![version], Merge::Lww) };
    let prefix = document::view_key(space, &top);
    let base = document::view_prefix(space).len();
    let kept = tree.rows.iter().filter(|(place, _)| top.contains(place)).cloned();
    let new = applied.rows.iter().filter(|(key, _)| key.starts_with(&prefix));
    let new = new.filter_map(|(key, row)| Some((Path::from_row_key(key.get(base..)?)?, row.clone())));
    let mut tree = document::Tree::merged(kept, new);
    tree.choose(rule);
    let merge = match tree.held(&top) {
        Some(Held::Merge(merge)) if top == *path => merge,
        _ => Merge::Lww,
    };
    (tree.version(), merge)
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
