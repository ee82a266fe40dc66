//! What was accepted becomes visible, in portions.
//!
//! Merging costs about as many steps as there are operations after the last one that everything builds on: little for
//! people who write at once, all of history for one operation made at its beginning. Each call adds its budget to a
//! credit and does what the credit covers, all that came in at once, so a stream of costly operations costs its senders
//! time but not the receiver.

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

/// A smaller portion must merge at least one operation per this many looked at, or it waits for the credit to do more.
const WORTH: u64 = 4;

impl TextDoc {
    /// Makes accepted operations visible and judges waiting ones, with about `budget` more work than the calls before:
    /// the number of operations looked at. The engine cannot stop inside one portion, so a call may take as long as the
    /// credit of several, but never more than one pass over the history per such credit.
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
        self.credit = 0;
        Settled::Done
    }

    /// Merges as many operations as the credit covers. Tells whether any.
    fn merge_portion(&mut self) -> bool {
        let Some(history) = &self.history else { return false };
        let visible: Vec<u32> = self.heads.iter().map(|(index, _)| *index).collect();
        let mut count = history.unmerged.len();
        while count > 0 {
            let mut target = visible.clone();
            history.unmerged.iter().take(count).for_each(|index| history.graph.advance(&mut target, *index));
            let cost = history.graph.zone(&visible, &target, self.credit);
            let all = count == history.unmerged.len();
            if cost <= self.credit && (all || cost <= WORTH * count as u64) {
                self.credit -= cost;
                self.merge_to(&target);
                self.unmerged -= count as u32;
                if let Some(history) = &mut self.history {
                    history.unmerged.drain(..count);
                }
                return true;
            }
            count /= 2;
        }
        false
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
