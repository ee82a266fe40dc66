//! What an engine is: the one place that names those there are.
//!
//! An engine is told accepted operations in the order they were accepted, so an operation is known by its *index*, and
//! answers two questions: how long the text is at a state, and which edits turn the text at one state into that at
//! another. It is behind the gate (`gate.rs`): it may assume sorted, known and minimal parents, positions inside the text, and no writer concurrent
//! with itself.

use crate::merge::Merger;
use crate::op::Edit;
use crate::version::Agent;

/// How concurrent edits become one text. Peers that merge the same document must use the same one, so it is named in
/// every operation and in every document's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// The order of diamond-types 1.0.0: concurrent insertions at one place stand by the names of their agents.
    DiamondTypes1,
}

impl Algorithm {
    /// Its number in bytes.
    pub fn id(self) -> u8 {
        match self {
            Algorithm::DiamondTypes1 => 1,
        }
    }

    /// The algorithm with this number, if it is known here.
    pub fn from_id(id: u8) -> Option<Algorithm> {
        (id == 1).then_some(Algorithm::DiamondTypes1)
    }

    /// An engine that knows nothing yet.
    pub(crate) fn engine(self) -> Box<dyn Engine> {
        match self {
            Algorithm::DiamondTypes1 => Box::new(Merger::default()),
        }
    }
}

/// A change of the visible text, borrowed from the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// Text goes in before a code point.
    Insert { pos: u32, text: &'a str },
    /// Code points go.
    Delete { pos: u32, len: u32 },
}

impl Change<'_> {
    /// The same as an edit of its own.
    pub(crate) fn edit(&self) -> Edit {
        match *self {
            Change::Insert { pos, text } => Edit::Insert { pos, text: text.to_owned() },
            Change::Delete { pos, len } => Edit::Delete { pos, len },
        }
    }
}

/// How long a text is.
pub(crate) struct Length {
    /// Against the text after this operation, or against none:
    pub(crate) base: Option<u32>,
    /// so many code points longer.
    pub(crate) growth: i64,
    /// The work it was to find out.
    pub(crate) cost: u64,
}

/// A way of merging, behind the gate. Lists of operations ascend, states are minimal. Work is counted in edits looked at.
pub(crate) trait Engine {
    /// The next agent; agents are then known by their place in this order.
    fn agent(&mut self, agent: &Agent);

    /// The next operation. `parents` are indexes of earlier operations.
    fn push(&mut self, agent: u32, parents: &[u32], edits: &[Edit]);

    /// How long the text is at a state; nothing if that is more work than allowed. `shown` is the visible state.
    fn length(&mut self, shown: &[u32], heads: &[u32], allowance: u64) -> Option<Length>;

    /// Operations that are not visible yet, in the order in which it is least work to show them.
    fn order(&self, operations: &[u32]) -> Vec<u32>;

    /// Tells the edits by which an operation becomes part of the visible text, and gives the work it was; nothing is told if
    /// that is more than allowed, as far as it is known before. What it builds on is visible.
    fn show(&mut self, shown: &[u32], index: u32, allowance: u64, each: &mut dyn FnMut(Change<'_>)) -> Option<u64>;

    /// The last operation became visible without being merged: it builds on everything that was visible.
    fn pass(&mut self);

    /// Everything is merged: what only merging needs may go.
    fn rest(&mut self);

    /// About how much memory it takes, in bytes.
    fn weight(&self) -> usize;

    /// The edits that turn the text at `from` into the text at `from` and `to` together, in sequence.
    fn changes(&self, from: &[u32], to: &[u32], each: &mut dyn FnMut(Change<'_>));
}
