//! Undo and redo of this device's own writes, as in an editor.
//!
//! An undo is a write of its own: at every place where the write undone is still what shows, it puts back what showed
//! before. A redo is the undo of an undo. Which entry undoes which is written into the entries themselves, as their
//! id, so the stack is what the log says: it survives restarts, needs no rows, and cannot contradict the log.
//!
//! ```text
//! id of an undo = U+0001 "undo " ‖ seq of what it undoes        id of a redo = U+0001 "redo " ‖ seq of the undo
//! ```

use super::commit::Unit;
use super::history::still_indexing;
use super::past::{entries_at, too_large};
use super::put_back::{own_ops, places, put_back};
use super::read::{open_ops, said_ops};
use super::space::Space;
use super::{Done, Peer};
use crate::api::{Refusal, Reply, RequestId, Role, SpaceRef};
use crate::document::kind::tag;
use crate::document::{self, MAX_WRITE_ID, Op, Opened};
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

/// What ids begin with that programs cannot give.
const OURS: char = '\u{1}';
const UNDO: &str = "\u{1}undo ";
const REDO: &str = "\u{1}redo ";
/// The id of what nobody wrote: values whose time was over.
pub(super) const EXPIRED: &str = "\u{1}expired";

/// What an own entry is to undo and redo.
pub(super) enum Part {
    Write,
    Undoes(u64),
    Redoes(u64),
    /// Nothing of the user's.
    Other,
}

/// What the entry with this id is.
pub(super) fn part(id: &str) -> Part {
    let seq = |mark: &str| id.strip_prefix(mark).and_then(|seq| seq.parse().ok());
    match (seq(UNDO), seq(REDO)) {
        (Some(seq), _) => Part::Undoes(seq),
        (_, Some(seq)) => Part::Redoes(seq),
        (None, None) if id.starts_with(OURS) => Part::Other,
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
        // A move is an entry of its own.
        let moved = said_moves(lens, space, own, seq)?;
        let mark = format!("{}{seq}", if redo { REDO } else { UNDO });
        let undone = |version, restored, skipped| {
            let target = Some(target.version());
            Reply::Undone { target, redo, version: Some(version), restored, skipped }
        };
        let mut left = Vec::new();
        if let Some(node) = moved {
            if let Some((from, to)) = self.move_back(number, (&target, &node), lens)? {
                let restored = vec![to.clone()];
                return self.put_move_back(id, number, (&from, &to), mark, write_id, lens, |version| {
                    undone(version, restored, Vec::new())
                });
            }
            left.push(space.moves.shown(&node));
        }
        let places = places(ops.list);
        if places.len() > MAX_PLACES {
            return refuse(too_large("What that write changed (in places)", MAX_PLACES, scope));
        }
        let (mut list, mut restored, mut skipped) = (Vec::new(), Vec::new(), left);
        let mut missing = false;
        for op in &places {
            match put_back(lens, space, own, op, &target) {
                Ok(Ok(Some(ops))) => {
                    restored.push(op.path.clone());
                    list.extend(ops);
                }
                Ok(Ok(None)) => skipped.push(op.path.clone()),
                Ok(Err(refusal)) => return refuse(refusal),
                Err(Miss) => missing = true,
            }
        }
        if missing {
            return Err(Miss);
        }
        let texts = match self.planned_texts(number, &mut list, lens)? {
            Ok(texts) => texts,
            Err(refusal) => return refuse(refusal),
        };
        self.put_ops(id, number, list, texts, Some(mark), write_id, None, lens, |_, _, version| {
            undone(version, restored, skipped)
        })
    }
}

/// The own entry that undo, or redo, is about next: the top of the stack that the own log amounts to.
fn top(lens: &Lens<'_>, space: &Space, own: u32, scope: &Path, redo: bool) -> Result<Option<(u64, Opened)>, Miss> {
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
            let part = part(&ops.id);
            match (&part, redo) {
                // What an undo undoes is settled for undo; what a redo redoes is settled for both.
                (Part::Undoes(undone), false) => settled.push(*undone),
                (Part::Redoes(redone), _) => settled.push(*redone),
                _ => {}
            }
            let in_scope = match (&part, ops.list.is_empty()) {
                // An undo that found nothing to put back still counts.
                (Part::Undoes(of) | Part::Redoes(of), true) => touches(lens, space, own, *of, scope)?,
                _ => is_about(&ops, scope),
            };
            if !in_scope || settled.contains(seq) {
                continue;
            }
            match (part, redo) {
                (Part::Write | Part::Redoes(_), false) | (Part::Undoes(_), true) => return Ok(Some((*seq, ops))),
                // A new write ends what could be redone.
                (Part::Write, true) => return Ok(None),
                (Part::Undoes(_), false) | (Part::Redoes(_), true) | (Part::Other, _) => {}
            }
        }
        upto = from;
    }
    Ok(None)
}

fn is_about(ops: &Opened, scope: &Path) -> bool {
    ops.list.iter().flatten().any(|op| !op.path.is_reserved() && scope.contains(&op.path))
}

/// Whether an own entry, or what it undoes, touches the scope.
fn touches(lens: &Lens<'_>, space: &Space, own: u32, mut seq: u64, scope: &Path) -> Result<bool, Miss> {
    loop {
        let Some(ops) = own_ops(lens, space, own, seq)? else { return Ok(false) };
        match part(&ops.id) {
            // Marks name earlier entries only, so this ends.
            Part::Undoes(of) | Part::Redoes(of) if ops.list.is_empty() && of < seq => seq = of,
            _ => return Ok(is_about(&ops, scope)),
        }
    }
}

/// What an own entry moved, by where that was made.
fn said_moves(lens: &Lens<'_>, space: &Space, own: u32, seq: u64) -> Result<Option<Path>, Miss> {
    let said = entries_at(lens, space.number, &[(own, seq)])?.pop().and_then(|(_, entry)| said_ops(space, &entry));
    let mut ops = said.into_iter().flat_map(|said| said.list).flatten();
    Ok(ops.find(|op| op.leaf.tag() == Some(tag::MOVE)).map(|op| op.path))
}

/// The answer to an undo that was asked for before under the same id.
fn done_already(lens: &Lens<'_>, space: &Space, own: u32, agent: Agent, seq: u64, redo: bool) -> Result<Reply, Miss> {
    let ops = own_ops(lens, space, own, seq)?;
    let target = ops.as_ref().and_then(|ops| match part(&ops.id) {
        Part::Undoes(of) | Part::Redoes(of) => Some(Version { agent, seq: of }),
        Part::Write | Part::Other => None,
    });
    let is_move = |op: &&Op| op.leaf.tag() == Some(tag::MOVE);
    let moved = ops.iter().flat_map(|ops| ops.list.iter().flatten()).find(is_move).map(|op| op.path.clone());
    let restored =
        moved.into_iter().chain(ops.into_iter().flat_map(|ops| places(ops.list)).map(|op| op.path)).collect();
    Ok(Reply::Undone { target, redo, version: Some(Version { agent, seq }), restored, skipped: Vec::new() })
}
