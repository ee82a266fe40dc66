//! What merges: the one place that knows about a merge library.
//!
//! An engine is told accepted operations in the order they were accepted, so an operation is known by its *index*, and
//! answers one question: which edits turn the text at one state into the text at another. It is behind the gate
//! (`gate.rs`): it may assume sorted, known and minimal parents, positions inside the text, and no writer concurrent
//! with itself.

use crate::diamond::DiamondTypes;
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
            Algorithm::DiamondTypes1 => Box::new(DiamondTypes::default()),
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

/// A merge library behind the gate.
pub(crate) trait Engine {
    /// The next agent; agents are then known by their place in this order.
    fn agent(&mut self, agent: &Agent);

    /// The next operation. `parents` are indexes of earlier operations, ascending.
    fn push(&mut self, agent: u32, parents: &[u32], edits: &[Edit]);

    /// The edits that turn the text at `from` into the text at `from` and `to` together, in sequence. Both are
    /// ascending and minimal.
    fn changes(&self, from: &[u32], to: &[u32], each: &mut dyn FnMut(Change<'_>));
}
