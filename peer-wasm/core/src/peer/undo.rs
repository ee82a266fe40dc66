//! Undo and redo of this device's own writes, as in an editor.
//!
//! An undo is a write of its own: at every place where the write undone is still what shows, it puts back what showed
//! before. A redo is the undo of an undo. Which entry undoes which is written into the entries themselves, as their
//! id, so the stack is what the log says: it survives restarts, needs no rows, and cannot contradict the log.
//!
//! ```text
//! id of an undo = U+0001 "undo " ‖ seq of what it undoes        id of a redo = U+0001 "redo " ‖ seq of the undo
//! ```

use super::commit::{Effect, Unit};
use super::history::still_indexing;
use super::past::{entries_at, entry_at, past, too_large};
use super::read::open_ops;
use super::space::Space;
use super::{Done, Peer};
use crate::api::{Refusal, Reply, RequestId, Role, SpaceRef};
use crate::document::{self, Leaf, MAX_WRITE_ID, Op, Ops, ViewRow};
use crate::history::Point;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::Table;
use crate::version::{Agent, Version};

/// How many own entries are looked back through.
const MAX_LOOKED_BACK: u64 = 4096;
/// Entries looked at together.
const RUN: u64 = 64;
/// The most places of a write that can be undone.
const MAX_PLACES: usize = 1024;

/// Undos and redos of one place followed back to see what they put there.
const MAX_CHAIN: usize = 64;

const UNDO: &str = "\u{1}undo ";
const REDO: &str = "\u{1}redo ";

/// What an own entry is to undo and redo.
enum Part {
    Write,
    Undoes(u64),
    Redoes(u64),
}

fn part(ops: &Ops) -> Part {
    let seq = |mark: &str| ops.id.strip_prefix(mark).and_then(|seq| seq.parse().ok());
    match (seq(UNDO), seq(REDO)) {
        (Some(seq), _) => Part::Undoes(seq),
        (_, Some(seq)) => Part::Redoes(seq),
        (None, None) => Part::Write,
    }
}

impl Peer {
    pub(super) fn undo(
        &mut self,
        id: RequestId,
        space: &SpaceRef,
        scope: &Path,
        redo: bool,
        write_id: Option<&str>,
        lens: &Lens<'_>,
    ) -> Result<Done, Miss> {
        let reply = |reply| Ok(Done::Write(Unit::reply(id, reply)));
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
        let Some(space) = self.spaces.get(&number) else { return refuse(Refusal::NoSuchSpace) };
        let Some((own, device)) = self.own_log(space).zip(self.device()) else { return refuse(Refusal::NoSuchSpace) };
        let agent = Agent::of(&device.0);
        if let Some(write_id) = write_id
            && let Some(seq) = lens.get(Table::View, &document::write_id_key(number, write_id))?
        {
            let seq = seq.try_into().map_or(0, u64::from_be_bytes);
            return reply(done_already(lens, space, own, agent, seq, redo)?);
        }
        if let Some(refusal) = still_indexing(space) {
            return refuse(refusal);
        }
        let Some((seq, ops)) = top(lens, space, own, scope, redo)? else {
            return reply(Reply::Undone { target: None, redo, version: None, restored: vec![], skipped: vec![] });
        };
        let target = Point { clock: ops.clock, agent, seq };
        if target.before().clock < space.floor {
            return refuse(Refusal::HistoryDropped);
        }
        let places: Vec<Path> = ops.list.into_iter().map(|op| op.path).filter(|path| !path.is_reserved()).collect();
        if places.len() > MAX_PLACES {
            return refuse(too_large("What that write changed (in places)", MAX_PLACES, scope));
        }
        let (list, skipped) = match put_back(lens, space, own, &places, &target)? {
            Ok(found) => found,
            Err(refusal) => return refuse(refusal),
        };
        let restored = list.iter().map(|op| op.path.clone()).collect();
        let mark = format!("{}{seq}", if redo { REDO } else { UNDO });
        let stored = match self.write_ops(number, list, Some(mark), write_id, lens)? {
            Ok(stored) => stored,
            Err(refusal) => return refuse(refusal),
        };
        let (target, version) = (Some(target.version()), Some(stored.version));
        let reply = Reply::Undone { target, redo, version, restored, skipped };
        let effects = vec![Effect::Changed(number, stored.applied.changed), Effect::Reply(id, reply)];
        Ok(Done::Write(Unit { batch: stored.batch, effects }))
    }
}

/// Ops, and the places that are left alone.
type PutBack = (Vec<Op>, Vec<Path>);

/// The ops that put back what showed before a write, where it is what shows now; and the places where it is not.
fn put_back(
    lens: &Lens<'_>,
    space: &Space,
    own: u32,
    places: &[Path],
    target: &Point,
) -> Result<Result<PutBack, Refusal>, Miss> {
    let before = target.before();
    let (mut list, mut skipped) = (Vec::new(), Vec::new());
    let mut missing = false;
    for place in places {
        let (Ok(shows), Ok(then)) = (shows(lens, space, own, place, target), was(lens, space, place, &before)) else {
            missing = true;
            continue;
        };
        match (shows, then) {
            (Ok(false), _) => skipped.push(place.clone()),
            (Ok(true), Ok(then)) => {
                let leaf = then.visible().map_or(Leaf::Deleted, |register| register.leaf.clone());
                list.push(Op { path: place.clone(), leaf });
            }
            (Err(refusal), _) | (_, Err(refusal)) => return Ok(Err(refusal)),
        }
    }
    if missing { Err(Miss) } else { Ok(Ok((list, skipped))) }
}

/// A place as of a point.
fn was(lens: &Lens<'_>, space: &Space, place: &Path, at: &Point) -> Result<Result<ViewRow, Refusal>, Miss> {
    let key = document::view_key(space.number, place);
    Ok(match past(lens, space, place, at, place)? {
        Ok(past) => Ok(past.lens().get(Table::View, &key)?.and_then(ViewRow::decode).unwrap_or_default()),
        Err(refusal) => Err(refusal),
    })
}

/// Whether a write is what shows at a place: it stands there, or an undo that put back what it had put there.
fn shows(
    lens: &Lens<'_>,
    space: &Space,
    own: u32,
    place: &Path,
    target: &Point,
) -> Result<Result<bool, Refusal>, Miss> {
    let key = document::view_key(space.number, place);
    let mut row = lens.get(Table::View, &key)?.and_then(ViewRow::decode).unwrap_or_default();
    for _ in 0..MAX_CHAIN {
        let Some(register) = row.register.filter(|_| !row.hidden) else { return Ok(Ok(false)) };
        let point = Point::of(&register);
        if point == *target {
            return Ok(Ok(true));
        }
        if point.agent != target.agent || point < *target {
            return Ok(Ok(false));
        }
        let Some(ops) = own_ops(lens, space, own, point.seq)? else { return Ok(Ok(false)) };
        let (Part::Undoes(of) | Part::Redoes(of)) = part(&ops) else { return Ok(Ok(false)) };
        let Some(undone) = own_ops(lens, space, own, of)? else { return Ok(Ok(false)) };
        let before = Point { clock: undone.clock, seq: of, ..point }.before();
        row = match was(lens, space, place, &before)? {
            Ok(row) => row,
            Err(refusal) => return Ok(Err(refusal)),
        };
    }
    Ok(Ok(false))
}

/// The ops of an own entry.
fn own_ops(lens: &Lens<'_>, space: &Space, own: u32, seq: u64) -> Result<Option<Ops>, Miss> {
    Ok(entry_at(lens, space.number, own, seq)?.and_then(|entry| open_ops(space, &entry)))
}

/// The own entry that undo, or redo, is about next: the top of the stack that the own log amounts to.
fn top(lens: &Lens<'_>, space: &Space, own: u32, scope: &Path, redo: bool) -> Result<Option<(u64, Ops)>, Miss> {
    let end = space.logs.get(own as usize).map_or(0, |log| log.applied);
    let stop = end.saturating_sub(MAX_LOOKED_BACK);
    // What later entries have dealt with: undone, or undos that were redone.
    let mut settled: Vec<u64> = Vec::new();
    let mut upto = end;
    while upto > stop {
        let from = upto.saturating_sub(RUN).max(stop);
        let places: Vec<(u32, u64)> = (from..upto).map(|seq| (own, seq)).collect();
        let entries = entries_at(lens, space.number, &places)?;
        for ((_, seq), entry) in entries.iter().rev() {
            let Some(ops) = open_ops(space, entry) else { continue };
            let part = part(&ops);
            match (&part, redo) {
                // What an undo undoes is settled for undo; what a redo redoes is settled for both.
                (Part::Undoes(undone), false) => settled.push(*undone),
                (Part::Redoes(redone), _) => settled.push(*redone),
                _ => {}
            }
            let in_scope = match (&part, ops.list.is_empty()) {
                // An undo that found nothing to put back still counts.
                (Part::Undoes(of) | Part::Redoes(of), true) => touches(lens, space, own, *of, scope)?,
                _ => ops.list.iter().any(|op| !op.path.is_reserved() && scope.contains(&op.path)),
            };
            if !in_scope || settled.contains(seq) {
                continue;
            }
            match (part, redo) {
                (Part::Write | Part::Redoes(_), false) | (Part::Undoes(_), true) => return Ok(Some((*seq, ops))),
                // A new write ends what could be redone.
                (Part::Write, true) => return Ok(None),
                (Part::Undoes(_), false) | (Part::Redoes(_), true) => {}
            }
        }
        upto = from;
    }
    Ok(None)
}

/// Whether an own entry, or what it undoes, touches the scope.
fn touches(lens: &Lens<'_>, space: &Space, own: u32, mut seq: u64, scope: &Path) -> Result<bool, Miss> {
    loop {
        let Some(ops) = own_ops(lens, space, own, seq)? else { return Ok(false) };
        match part(&ops) {
            // Marks name earlier entries only, so this ends.
            Part::Undoes(of) | Part::Redoes(of) if ops.list.is_empty() && of < seq => seq = of,
            _ => return Ok(ops.list.iter().any(|op| !op.path.is_reserved() && scope.contains(&op.path))),
        }
    }
}

/// The answer to an undo that was asked for before under the same id.
fn done_already(lens: &Lens<'_>, space: &Space, own: u32, agent: Agent, seq: u64, redo: bool) -> Result<Reply, Miss> {
    let ops = own_ops(lens, space, own, seq)?;
    let target = ops.as_ref().and_then(|ops| match part(ops) {
        Part::Undoes(of) | Part::Redoes(of) => Some(Version { agent, seq: of }),
        Part::Write => None,
    });
    let restored = ops.into_iter().flat_map(|ops| ops.list).map(|op| op.path).collect();
    Ok(Reply::Undone { target, redo, version: Some(Version { agent, seq }), restored, skipped: Vec::new() })
}
