//! What was accepted becomes visible, in portions.
//!
//! Merging costs about as many steps as there are edits between what an operation builds on and the one merged before it:
//! little for people who write at once, much for one operation made at the beginning of a long history. Each call adds its
//! budget to a credit and does what the credit covers, so a stream of costly operations costs its senders time but not
//! the receiver.

use crate::doc::TextDoc;

/// How far a document has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Everything accepted is visible, and nothing waits for work.
    Done,
    /// There is more to do: call again in a later turn.
    More,
    /// Load the history and call again.
    NeedsHistory,
}

impl TextDoc {
    /// Makes accepted operations visible and judges waiting ones, with about `budget` more work than the calls before:
    /// the number of edits looked at. One operation cannot be done in part, so a call may take as long as the credit of
    /// several.
    pub fn settle(&mut self, budget: u64) -> Settled {
        self.credit = self.credit.saturating_add(budget);
        loop {
            if self.history.is_none() && (self.unmerged > 0 || self.stalled) {
                return Settled::NeedsHistory;
            }
            let merged = self.merge_portion();
            let judged = self.judge_stalled();
            if !merged && !judged {
                break;
            }
        }
        if self.unmerged > 0 || self.stalled {
            return Settled::More;
        }
        if let Some(history) = &mut self.history {
            history.engine.rest();
        }
        self.credit = 0;
        Settled::Done
    }

    /// Merges as many operations as the credit covers. Tells whether any.
    fn merge_portion(&mut self) -> bool {
        let mut visible = self.visible();
        let Some(history) = &mut self.history else { return false };
        if history.unmerged.is_empty() {
            return false;
        }
        let (rope, changes) = (&mut self.rope, &mut self.changes);
        let mut merged = Vec::new();
        for index in history.engine.order(&history.unmerged) {
            let spent = history.engine.show(&visible, index, self.credit, &mut |change| {
                rope.apply(&change);
                changes.push(change.edit());
            });
            let Some(spent) = spent else { break };
            self.credit -= spent.min(self.credit);
            history.graph.advance(&mut visible, index);
            merged.push(index);
        }
        if merged.is_empty() {
            return false;
        }
        merged.sort_unstable();
        history.unmerged.retain(|index| merged.binary_search(index).is_err());
        self.unmerged = history.unmerged.len() as u32;
        self.show_heads(&visible);
        true
    }

    /// Judges what waits for work or history. Tells whether anything was decided.
    fn judge_stalled(&mut self) -> bool {
        if !std::mem::take(&mut self.stalled) {
            return false;
        }
        let waiting: Vec<u32> = self.waiting.keys().copied().collect();
        let mut any = false;
        for number in waiting {
            let (decided, spent) = self.advance(number, self.credit);
            self.credit -= spent.min(self.credit);
            if decided {
                any = true;
                self.wake(number);
            }
        }
        any
    }
}
