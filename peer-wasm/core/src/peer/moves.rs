//! Moves: taking what comes in to where it stands, and moving things to other paths.
//!
//! Ops name places by where they were made. Here is the one way in, from ops to the places where they show ([`lay`]), and
//! the one way out ([`Space::made`]); everything else goes by what shows.

use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::rows;
use super::space::Space;
use super::write::{check, current};
use super::{Done, Peer};
use crate::api::{Merge, Preconditions, Refusal, Reply, RequestId, Role, SpaceRef};
use crate::document::kind::{Act, tag};
use crate::document::moves::{MAX_MOVES, Moves, is_movable, is_short};
use crate::document::{self, Applied, Item, Leaf, Located, MAX_WRITE_ID, Op, Ops, Relocated, relocate};
use crate::history::Point;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Durability, Table};
use crate::version::{Agent, Version};
use kith_map::BTreeSet;
use std::borrow::Cow;

/// What ops come to, at the places where they show.
pub(super) struct Laid<'a> {
    /// The ops that change places.
    pub(super) items: Cow<'a, [Item]>,
    /// What they change.
    pub(super) applied: Applied,
    /// Where things stand from now on, if that changes.
    pub(super) moved: Option<Moved>,
}

impl Laid<'_> {
    /// The same without what it was made of.
    pub(super) fn owned(self) -> Laid<'static> {
        Laid { items: Cow::Owned(self.items.into_owned()), applied: self.applied, moved: self.moved }
    }

    /// Where things stand once this is stored.
    pub(super) fn moves<'s>(&'s self, space: &'s Space) -> &'s Moves {
        self.moved.as_ref().map_or(&space.moves, |moved| &moved.moves)
    }

    /// Runs a step that sees what moves change as written already; `None` if the tree is made anew.
    pub(super) fn with_moved<T>(
        &self,
        lens: &Lens<'_>,
        step: impl FnOnce(&Lens<'_>) -> Result<T, Miss>,
    ) -> Result<Option<T>, Miss> {
        match self.moved.as_ref().map(|moved| &moved.relocated) {
            None => step(lens).map(Some),
            Some(None) => Ok(None),
            Some(Some(relocated)) => lens.with(&relocated.batch, step).map(Some),
        }
    }
}

/// Where things stand from now on.
pub(super) struct Moved {
    moves: Moves,
    /// What changes by that; nothing if it is so much that the tree has to be made anew.
    relocated: Option<Relocated>,
}

/// Works out what ops change in the tree, moves included.
pub(super) fn lay<'a>(lens: &Lens<'_>, space: &Space, items: &'a [Item]) -> Result<Laid<'a>, Miss> {
    let is_move = |item: &&Item| item.register.leaf.tag() == Some(tag::MOVE);
    if space.moves.is_empty() && !items.iter().any(|item| is_move(&item)) {
        let applied = document::apply(lens, space.number, items)?;
        return Ok(Laid { items: Cow::Borrowed(items), applied, moved: None });
    }
    let mut moves = space.moves.clone();
    let more = moves.extend(items.iter().filter(is_move).filter_map(|item| {
        let Leaf::Kind { tag, body } = &item.register.leaf else { return None };
        let Ok(Act::Move(to)) = Act::decode(*tag, body) else { return None };
        Some(((Point::of(&item.register), item.path.clone()), to))
    }));
    let rest = items.iter().filter(|item| !is_move(item));
    let shown: Vec<Item> = rest.map(|item| moves.show(item)).collect();
    if !more {
        let applied = document::apply(lens, space.number, &shown)?;
        return Ok(Laid { items: Cow::Owned(shown), applied, moved: None });
    }
    let Some(mut relocated) = relocate(lens, space.number, &space.moves, &moves)? else {
        // All of it comes again.
        let moved = Some(Moved { moves, relocated: None });
        return Ok(Laid { items: Cow::Owned(Vec::new()), applied: Applied::default(), moved });
    };
    let applied = lens.with(&relocated.batch, |lens| document::apply(lens, space.number, &shown))?;
    // In one batch deletions come first: what is deleted after all is not to be written at all.
    let mut after = Batch::default();
    applied.store(space.number, &mut after);
    let deleted: BTreeSet<&Vec<u8>> = after.deletes.iter().map(|(_, key)| key).collect();
    let is_deleted =
        |key: &Vec<u8>| deleted.contains(key) || after.delete_ranges.iter().any(|(_, range)| range.contains(key));
    relocated.batch.puts.retain(|(_, key, _)| !is_deleted(key));
    Ok(Laid { items: Cow::Owned(shown), applied, moved: Some(Moved { moves, relocated: Some(relocated) }) })
}

impl Moved {
    /// Whether the tree is made anew.
    pub(super) const fn makes_anew(&self) -> bool {
        self.relocated.is_none()
    }
}

impl Space {
    /// Takes note of where things stand from now on, before what was laid there is taken in. Gives the places below
    /// which things may have come or gone.
    pub(super) fn relocated(&mut self, moved: Option<Moved>, draft: &mut Draft) -> Vec<Path> {
        let Some(Moved { moves, relocated }) = moved else { return Vec::new() };
        for (which, to) in moves.iter().filter(|(which, _)| !self.moves.knows(which)) {
            draft.batch.puts.push((Table::Head, rows::move_key(self.number, which), rows::encode_move(&which.1, to)));
        }
        let forgotten = self.moves.iter().filter(|(which, _)| !moves.knows(which));
        draft.batch.deletes.extend(forgotten.map(|(which, _)| (Table::Head, rows::move_key(self.number, which))));
        self.moves = moves;
        let Some(relocated) = relocated else {
            super::fork::make_anew(self, draft);
            return vec![Path::root()];
        };
        draft.batch.delete_ranges.extend(relocated.batch.delete_ranges);
        draft.batch.deletes.extend(relocated.batch.deletes);
        draft.batch.puts.extend(relocated.batch.puts);
        self.texts.extend(relocated.texts.into_iter().map(|path| (path, None)));
        relocated.changed
    }

    /// Forgets moves that do not count any more, before the tree is made anew.
    pub(super) fn recount_moves(&mut self, draft: &mut Draft) {
        let logs: Vec<(Agent, &super::space::Log)> = self.logs.iter().map(|log| (Agent::of(&log.key.0), log)).collect();
        let counts = |by: &Point| {
            let mut of = logs.iter().filter(|(agent, log)| *agent == by.agent && log.tip.len > by.seq);
            of.any(|(_, log)| self.counts(&log.key, by.seq, by.clock))
        };
        let mut moves = self.moves.clone();
        moves.retain(counts);
        let forgotten = self.moves.iter().filter(|(which, _)| !moves.knows(which));
        draft.batch.deletes.extend(forgotten.map(|(which, _)| (Table::Head, rows::move_key(self.number, which))));
        draft.batch.puts.extend(document::marks(self.number, &moves));
        self.moves = moves;
    }

    /// Says of ops that are about parts of sets and lists where those stand, if moves tore them apart.
    pub(super) fn find_sets(&self, ops: &mut [Op]) {
        for op in ops.iter_mut().filter(|_| !self.moves.is_empty()) {
            op.apart = self.moves.apart(&self.moves.origin(&op.path), &op.leaf);
        }
    }

    /// Items at the paths where things show, with what moves tore apart.
    pub(super) fn strayed(&self, mut items: Vec<Item>) -> Vec<Item> {
        for item in items.iter_mut().filter(|_| !self.moves.is_empty()) {
            item.strays = self.moves.strays(&Item { path: self.moves.origin(&item.path), ..item.clone() });
        }
        items
    }

    /// Ops at the paths where things show as they are written into logs: at those where they were made.
    pub(super) fn made<'a>(&self, ops: &'a Ops) -> Cow<'a, Ops> {
        if self.moves.is_empty() {
            return Cow::Borrowed(ops);
        }
        let mut ops = ops.clone();
        for op in ops.list.iter_mut().filter(|op| op.leaf.tag() != Some(tag::MOVE)) {
            op.path = self.moves.origin(&op.path);
        }
        Cow::Owned(ops)
    }

    /// A refusal if one of these ops could not be read back as it is written into a log.
    pub(super) fn unwritable(&self, ops: &Ops) -> Option<Refusal> {
        let made = self.made(ops);
        let unreadable = |op: &Op| !is_short(&op.path) || Op::decode(&op.encode()).is_err();
        let is_moved = matches!(&made, Cow::Owned(_));
        (is_moved && made.list.iter().any(unreadable)).then(|| {
            Refusal::Unprocessable(
                "What this is in was moved here from a longer path, and with that this path gets too long. Use a shorter one."
                    .to_owned(),
            )
        })
    }
}

/// A move on its way into this device's log.
struct Order<'a> {
    id: RequestId,
    number: u32,
    /// The paths as they show.
    from: &'a Path,
    to: &'a Path,
    /// The entry's id in place of the writer's.
    mark: Option<String>,
    write_id: Option<&'a str>,
}

impl Peer {
    /// Moves what stands at a path to another.
    #[allow(clippy::too_many_arguments, reason = "the fields of one request")]
    pub(super) fn move_value(
        &mut self,
        id: RequestId,
        space: &SpaceRef,
        from: &Path,
        to: &Path,
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
        let there = document::locate(lens, number, to);
        let here = document::locate(lens, number, from)?;
        let there = there?;
        let (exists, before) = current(to, &there);
        if let Some(write_id) = write_id
            && lens.get(Table::View, &document::write_id_key(number, write_id))?.is_some()
        {
            let reply = self.written(number, false, !exists, before, Merge::Lww);
            return Ok(Done::Write(Unit::reply(id, reply)));
        }
        if let Err(refusal) = check(conditions, exists, &before) {
            return refuse(refusal);
        }
        if let Err(refusal) = movable(from, &here, to, &there) {
            return refuse(refusal);
        }
        let order = Order { id, number, from, to, mark: None, write_id };
        self.put_move(&order, lens, |peer, version| peer.written(number, true, false, version, Merge::Lww))
    }

    /// Takes a move of this device back: `None` if it is not what says where that stands, or something else stands where it
    /// was.
    pub(super) fn move_back(
        &self,
        number: u32,
        (by, node): (&Point, &Path),
        lens: &Lens<'_>,
    ) -> Result<Option<(Path, Path)>, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(None) };
        let Some(to) = space.moves.before(by, node) else { return Ok(None) };
        let from = space.moves.shown(node);
        let there = document::locate(lens, number, &to);
        let here = document::locate(lens, number, &from)?;
        Ok(movable(&from, &here, &to, &there?).is_ok().then_some((from, to)))
    }

    /// Writes a move that takes an own one back.
    #[allow(clippy::too_many_arguments, reason = "one write")]
    pub(super) fn put_move_back(
        &mut self,
        id: RequestId,
        number: u32,
        (from, to): (&Path, &Path),
        mark: String,
        write_id: Option<&str>,
        lens: &Lens<'_>,
        answer: impl FnOnce(Version) -> Reply,
    ) -> Result<Done, Miss> {
        let order = Order { id, number, from, to, mark: Some(mark), write_id };
        let own = self.device().map(|device| Agent::of(&device.0));
        self.put_move(&order, lens, |_, versions| {
            let version = versions.into_iter().find(|version| Some(version.agent) == own);
            answer(version.unwrap_or(Version { agent: Agent([0; 10]), seq: 0 }))
        })
    }

    /// Writes a move into this device's log, and answers once that is durable.
    fn put_move(
        &mut self,
        order: &Order<'_>,
        lens: &Lens<'_>,
        answer: impl FnOnce(&Peer, Vec<Version>) -> Reply,
    ) -> Result<Done, Miss> {
        let Order { id, number, from, to, .. } = *order;
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let (Some(space), Some(device)) = (self.spaces.get(&number), self.device()) else {
            return refuse(Refusal::NoSuchSpace);
        };
        let (Some((own, log)), Some(epoch)) = (space.log(&device), space.row.epochs.last().cloned()) else {
            return refuse(super::write::not_yet());
        };
        if space.moves.len() >= MAX_MOVES {
            return refuse(Refusal::Conflict(format!(
                "Things were moved {MAX_MOVES} times in this space, and no more are taken. Copy and delete instead."
            )));
        }
        let version = Version { agent: Agent::of(&device.0), seq: log.tip.len };
        let mut hlc = self.hlc.clone();
        let entry_id = order.mark.clone().unwrap_or_else(|| order.write_id.unwrap_or_default().to_owned());
        let Some((node, goes)) = space.moves.between(from, to) else { return refuse(Refusal::NotFound) };
        let op = Op::new(node.clone(), Leaf::Kind { tag: tag::MOVE, body: goes.to_key() });
        if !is_short(&node) || Op::decode(&op.encode()).is_err() {
            return refuse(too_long());
        }
        let ops = Ops { clock: hlc.now(self.now).0, id: entry_id, list: vec![op] };
        let items = ops.clone().into_items(version.agent, version.seq);
        let Laid { moved, .. } = lay(lens, space, &items)?;
        let Some(moved) = moved else { return refuse(Refusal::NotFound) };
        let Some(relocated) = &moved.relocated else {
            let what = "What is to be moved (in places)".to_owned();
            return refuse(Refusal::TooLarge {
                what,
                limit: document::MAX_TREE_ROWS as u64,
                listing: Some(from.to_string()),
            });
        };
        let after = lens.with(&relocated.batch, |lens| Ok(document::tree(lens, number, to)?.version()))?;
        // From here on nothing can be missing.
        self.hlc = hlc;
        let reply = answer(self, after);
        let Some(mut space) = self.spaces.remove(&number) else { return refuse(Refusal::NoSuchSpace) };
        let mut draft = Draft::default();
        self.author_ops(&mut space, &mut draft, own, &epoch, &ops);
        if let Some(log) = space.log_mut(own) {
            log.applied = log.tip.len;
        }
        let changed = space.relocated(Some(moved), &mut draft);
        if let Some(write_id) = order.write_id {
            let key = document::write_id_key(number, write_id);
            draft.batch.puts.push((Table::View, key, version.seq.to_be_bytes().to_vec()));
        }
        draft.batch.durability = Durability::Strict;
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        Ok(Done::Write(Unit { batch, effects: vec![Effect::Changed(number, changed), Effect::Reply(id, reply)] }))
    }
}

/// A refusal unless what stands at one path can go to another.
fn movable(from: &Path, here: &Located, to: &Path, there: &Located) -> Result<(), Refusal> {
    let unfit = |why: &str| Err(Refusal::Unprocessable(why.to_owned()));
    if from.is_empty() || to.is_empty() {
        return unfit("The top of a space cannot be moved, and nothing can be moved there.");
    }
    if from.contains(to) {
        return unfit("Nothing can be moved to its own place or into itself.");
    }
    let fits = |path: &Path| path.segments().last().is_some_and(|name| is_movable(name));
    if !fits(from) || !fits(to) {
        return unfit(
            "Names that end in `⑂` and a number twice, and those elements of lists have, cannot be moved. Use another name.",
        );
    }
    let Located::Place(tree) = here else {
        return Err(Refusal::WrongKind {
            kind: Merge::Lww.name(),
            detail: format!(
                "`{from}` is a part of an array, list or set, or below a value without members. Only values with a place of their own \
                 can be moved; within a list use a JSON Patch."
            ),
        });
    };
    if tree.cut {
        let (what, limit) = ("What is to be moved (in places)".to_owned(), document::MAX_TREE_ROWS as u64);
        return Err(Refusal::TooLarge { what, limit, listing: Some(from.to_string()) });
    }
    if tree.value(from).is_none() {
        return Err(Refusal::NotFound);
    }
    match there {
        Located::Place(tree) if tree.value(to).is_none() && !tree.cut => {}
        Located::Place(_) => {
            return Err(Refusal::Conflict(format!(
                "Something stands at `{to}`. Delete it or move it first, or take another name."
            )));
        }
        _ => {
            return Err(Refusal::Conflict(format!(
                "`{to}` is inside an array, list or set, or below a value without members: nothing can be moved there."
            )));
        }
    }
    let beyond = |path: &Path| {
        let names = to.segments().iter().chain(path.segments().iter().skip(from.len()));
        !is_short(&Path::of_names(names.cloned().collect()))
    };
    if tree.rows.iter().any(|(path, _)| beyond(path)) { Err(too_long()) } else { Ok(()) }
}

fn too_long() -> Refusal {
    Refusal::Unprocessable("There a path would get longer than paths may be. Take a shorter one.".to_owned())
}
