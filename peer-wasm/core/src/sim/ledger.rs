//! What programs were promised: every write that was tried, and what became of it.

use super::NodeId;
use crate::api::{Refusal, Reply, RequestId};
use serde_json::Value as Json;

/// What a program knows of a write it asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// No answer yet, or none before its peer died: it may have happened or not.
    Open,
    /// Answered with success: it must never be lost.
    Kept,
    /// Refused: it must not have happened.
    Refused(Refusal),
}

/// One write that was asked for.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Which peer was asked.
    pub node: NodeId,
    /// Where to.
    pub path: String,
    /// What was written. No two promises write the same.
    pub value: Json,
    /// The writer's own id for it.
    pub id: String,
    /// Whether this path is written by this promise only.
    pub own_path: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// The request under way.
    pub waiting: Option<RequestId>,
}

/// Every write of a story.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// In the order they were asked for.
    pub promises: Vec<Promise>,
}

impl Ledger {
    /// Notes the answer to a write.
    pub fn answered(&mut self, promise: usize, reply: &Reply) {
        let Some(promise) = self.promises.get_mut(promise) else { return };
        promise.waiting = None;
        match reply {
            Reply::Written { .. } => promise.outcome = Outcome::Kept,
            Reply::Refused(refusal) if promise.outcome == Outcome::Open => {
                promise.outcome = Outcome::Refused(refusal.clone());
            }
            _ => {}
        }
    }

    /// How many writes were promised.
    pub fn kept(&self) -> usize {
        self.promises.iter().filter(|promise| promise.outcome == Outcome::Kept).count()
    }
}
