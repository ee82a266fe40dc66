//! The gate: what an operation must be before an engine may see it.
//!
//! An engine trusts its input; with diamond-types 1.0.0 a position outside the text stops the program, and parents out
//! of order corrupt memory. So nothing reaches it but what passed here.
//!
//! Whether an operation is accepted depends on nothing but the operation and those it builds on. So every peer comes to
//! the same answer, in whatever order things arrive, and no rule may look at a clock, at what else is there, or at how
//! much work something is: what is too much work now waits, but is never refused for it.

use crate::doc::{TextDoc, Waiting};
use crate::op::{Edit, OpError, TextOp};

/// The longest a text may get by an insertion, in code points. Deletions are taken at any length: concurrent
/// insertions may add up to more.
pub const MAX_TEXT_CHARS: u32 = 1 << 22;
/// The most code points that all operations of a document may have put in and taken out. More would not fit the
/// engine's numbers on a 32-bit machine; what comes after waits for good.
pub const MAX_HISTORY_CHARS: u64 = 1 << 28;

/// Why an operation is refused, on every peer. What builds on it is refused too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not an operation.
    #[error("{0}")]
    Form(#[from] OpError),
    /// It is meant for another merge algorithm than the document's.
    #[error("It is meant for another merge algorithm than the document's.")]
    Algorithm,
    /// A parent does not exist, or was refused.
    #[error("It builds on an operation that does not exist or was refused.")]
    Parent,
    /// It names an entry of its own log that is not before it.
    #[error("It builds on an entry of its own log that is not before it.")]
    OwnFuture,
    /// A parent is included in another one.
    #[error("One of its parents is included in another.")]
    NotMinimal,
    /// It does not build on its writer's operation before.
    #[error("It does not build on its writer's operation before it.")]
    SelfConcurrent,
    /// An edit lies outside the text.
    #[error("An edit lies outside the text.")]
    Bounds,
    /// The text would become too long.
    #[error("The text would become too long.")]
    TooLong,
}

/// What an accepted operation is to the document.
pub(crate) struct Accepted {
    /// Indexes of its parents, ascending.
    pub(crate) parents: Vec<u32>,
    /// The length of the text at several parents.
    pub(crate) joined: Option<u32>,
    /// The length of the text after it.
    pub(crate) len: u32,
    /// How many code points it puts in and takes out.
    pub(crate) chars: u64,
    /// It builds on exactly the visible text.
    pub(crate) ahead: bool,
    /// The work it was to find out.
    pub(crate) cost: u64,
}

/// What the gate says.
pub(crate) enum Verdict {
    Accept(Accepted),
    Refuse(Refusal),
    /// Something it builds on is not here yet.
    Missing,
    /// The history must be loaded to know.
    NeedsHistory,
    /// To know is more work than was allowed.
    Costly,
    /// There is no room for more history.
    Full,
}

/// The parents of an operation.
enum Parents {
    Known(Vec<u32>),
    Else(Verdict),
}

impl TextDoc {
    /// Judges the next operation of a writer, doing at most about `allowance` work.
    pub(crate) fn judge(&mut self, number: u32, seq: u64, op: &Result<TextOp, OpError>, allowance: u64) -> Verdict {
        let op = match op {
            Ok(op) => op,
            Err(error) => return Verdict::Refuse(Refusal::Form(*error)),
        };
        if let Err(error) = op.check() {
            return Verdict::Refuse(Refusal::Form(error));
        }
        if op.algorithm != self.algorithm {
            return Verdict::Refuse(Refusal::Algorithm);
        }
        let ahead = op.parents == self.frontier;
        let parents = if ahead {
            self.visible()
        } else {
            match self.parents(number, seq, op) {
                Parents::Known(parents) => parents,
                Parents::Else(verdict) => return verdict,
            }
        };
        let graph = self.history.as_ref().map(|history| &history.graph);
        if let Some((_, last)) = self.writer(number).and_then(|writer| writer.last) {
            let all_visible = ahead && self.unmerged == 0;
            match graph {
                _ if all_visible || parents.contains(&last) => {}
                None => return Verdict::NeedsHistory,
                Some(graph) if graph.contains(&parents, last) => {}
                Some(_) => return Verdict::Refuse(Refusal::SelfConcurrent),
            }
        }
        let (len, joined, cost) = match (ahead, parents.as_slice(), graph) {
            (true, several, _) => (self.rope.len_chars(), several.len() > 1, 0),
            (_, [], _) => (0, false, 0),
            (_, _, None) => return Verdict::NeedsHistory,
            (_, [parent], Some(graph)) => (graph.len_at(*parent).unwrap_or(0), false, 0),
            (_, several, Some(_)) => match self.joined_len(several, allowance) {
                Some((len, cost)) => (len, true, cost),
                None => return Verdict::Costly,
            },
        };
        match measure(len, &op.edits) {
            Err(refusal) => Verdict::Refuse(refusal),
            Ok((_, chars)) if self.history_chars + chars > MAX_HISTORY_CHARS => Verdict::Full,
            Ok((after, chars)) => {
                Verdict::Accept(Accepted { parents, joined: joined.then_some(len), len: after, chars, ahead, cost })
            }
        }
    }

    /// Finds the parents. One that was refused refuses this; else one that is missing makes it wait: what comes first
    /// must not matter.
    fn parents(&self, number: u32, seq: u64, op: &TextOp) -> Parents {
        let graph = self.history.as_ref().map(|history| &history.graph);
        let (mut known, mut missing, mut unloaded) = (Vec::with_capacity(op.parents.len()), false, false);
        for parent in &op.parents {
            let Some(parent_number) = self.numbers.get(&parent.agent).copied() else {
                missing = true;
                continue;
            };
            if parent_number == number && parent.seq >= seq {
                return Parents::Else(Verdict::Refuse(Refusal::OwnFuture));
            }
            let decided = self.writer(parent_number).is_some_and(|writer| parent.seq < writer.next);
            let head = || self.heads.iter().find(|(_, version)| version == parent).map(|(index, _)| *index);
            match (decided, graph) {
                (false, _) => missing = true,
                (true, Some(graph)) => match graph.find(parent_number, parent.seq) {
                    Some(index) => known.push(index),
                    None => return Parents::Else(Verdict::Refuse(Refusal::Parent)),
                },
                (true, None) => match head() {
                    Some(index) => known.push(index),
                    None => unloaded = true,
                },
            }
        }
        known.sort_unstable();
        match graph {
            _ if unloaded => Parents::Else(Verdict::NeedsHistory),
            _ if missing => Parents::Else(Verdict::Missing),
            _ if known.len() < 2 => Parents::Known(known),
            None => Parents::Else(Verdict::NeedsHistory),
            Some(graph) if graph.minimal(&known) == known => Parents::Known(known),
            Some(_) => Parents::Else(Verdict::Refuse(Refusal::NotMinimal)),
        }
    }

    /// The length of the text where several operations join, and the work to find it; `None` if that is too much.
    fn joined_len(&mut self, parents: &[u32], allowance: u64) -> Option<(u32, u64)> {
        if let Some((_, len)) = self.joined.as_ref().filter(|(known, _)| known == parents) {
            return Some((*len, 0));
        }
        let shown = self.visible();
        let history = self.history.as_mut()?;
        let length = history.engine.length(&shown, parents, allowance)?;
        let base = length.base.map_or(Some(0), |base| history.graph.len_at(base))?;
        Some((u32::try_from(i64::from(base) + length.growth).ok()?, length.cost))
    }
}

/// The length of the text after edits, and how many code points they put in and take out.
pub(crate) fn measure(before: u32, edits: &[Edit]) -> Result<(u32, u64), Refusal> {
    let (mut len, mut chars) = (u64::from(before), 0u64);
    for edit in edits {
        let size = edit.chars();
        chars += size;
        match edit {
            Edit::Insert { pos, .. } if u64::from(*pos) <= len => len += size,
            Edit::Delete { pos, .. } if u64::from(*pos) + size <= len => len -= size,
            _ => return Err(Refusal::Bounds),
        }
    }
    if len > u64::from(MAX_TEXT_CHARS) && len > u64::from(before) {
        return Err(Refusal::TooLong);
    }
    u32::try_from(len).map(|len| (len, chars)).map_err(|_| Refusal::TooLong)
}

impl Waiting {
    /// Whether it builds on an entry of this writer that is below `next`.
    pub(crate) fn builds_on(&self, agent: &crate::Agent, next: u64) -> bool {
        let op = self.op.as_ref();
        op.is_ok_and(|op| op.parents.iter().any(|parent| parent.agent == *agent && parent.seq < next))
    }
}
