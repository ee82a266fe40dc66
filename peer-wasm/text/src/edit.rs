//! Edits made here.

use crate::delta::{Delta, Splice};
use crate::diff::diff;
use crate::doc::TextDoc;
use crate::gate::{Refusal, Verdict};
use crate::op::{Edit, OpError, TextOp};
use crate::read::ReadError;
use crate::version::{Agent, Version};

/// Why an edit made here cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It changes nothing: there is nothing to write.
    #[error("The edit changes nothing.")]
    Nothing,
    /// Replacements overlap, are out of order or lie outside the text.
    #[error("Replacements overlap, are out of order or lie outside the text.")]
    Range,
    /// The change is larger than an operation may be.
    #[error("The change is larger than an operation may be.")]
    TooLarge,
    /// The text would become too long.
    #[error("The text would become too long.")]
    TooLong,
    /// The entry number is not above those that this writer used here.
    #[error("The entry number is not above those that this writer used here.")]
    NotNext,
    /// Operations of this writer are not visible yet: settle first.
    #[error("Operations of this writer are not visible yet.")]
    Unsettled,
    /// The document has no room for more history.
    #[error("The document has no room for more history.")]
    Full,
    /// The state it was made at is not usable.
    #[error("{0}")]
    At(#[from] ReadError),
}

impl TextDoc {
    /// Edits the visible text as entry `seq` of this agent's log, and gives the operation to sign. Replacements count in
    /// the visible text, come in order and do not overlap.
    pub fn edit(&mut self, agent: Agent, seq: u64, splices: &[Splice]) -> Result<TextOp, EditError> {
        let edits = in_sequence(splices, self.len_chars())?;
        self.edit_visible(agent, seq, edits)
    }

    /// Edits the text as it was at `at`: the change is carried to the visible text first, since a writer's operations
    /// must build on one another. Where others put something in at the same place, theirs comes first.
    pub fn edit_at(&mut self, agent: Agent, seq: u64, at: &[Version], splices: &[Splice]) -> Result<TextOp, EditError> {
        let since = self.changes_since(at)?;
        if since.is_empty() {
            return self.edit(agent, seq, splices);
        }
        let mine = Delta::of_splices(splices);
        let then = i64::from(self.len_chars()) - since.growth();
        in_sequence(splices, u32::try_from(then).unwrap_or(0))?;
        self.edit_visible(agent, seq, mine.after(&since).edits())
    }

    /// Makes the visible text equal to `text`.
    pub fn replace(&mut self, agent: Agent, seq: u64, text: &str) -> Result<TextOp, EditError> {
        let splices = diff(&self.text(), text);
        self.edit(agent, seq, &splices)
    }

    /// Makes the text equal to `text` as far as it was written at `at`; what others did since stays.
    pub fn replace_at(&mut self, agent: Agent, seq: u64, at: &[Version], text: &str) -> Result<TextOp, EditError> {
        let splices = diff(&self.text_at(at)?, text);
        self.edit_at(agent, seq, at, &splices)
    }

    fn edit_visible(&mut self, agent: Agent, seq: u64, edits: Vec<Edit>) -> Result<TextOp, EditError> {
        if edits.is_empty() {
            return Err(EditError::Nothing);
        }
        let number = self.number(agent);
        let writer = self.writer(number).ok_or(EditError::Full)?;
        if writer.behind.is_some() || self.waiting.contains_key(&number) {
            return Err(EditError::Unsettled);
        }
        if seq < writer.next || seq == u64::MAX {
            return Err(EditError::NotNext);
        }
        let op = TextOp { algorithm: self.algorithm, parents: self.frontier.clone(), edits };
        let op = Ok(op);
        let verdict = self.judge(number, seq, &op, 0);
        match (verdict, op) {
            (Verdict::Accept(accepted), Ok(op)) if op.encoded_len() <= crate::op::MAX_OP_BYTES => {
                self.accept(number, seq, op.clone(), accepted);
                self.wake(number);
                Ok(op)
            }
            (Verdict::Accept(_), _) | (Verdict::Refuse(Refusal::Form(OpError::Size)), _) => Err(EditError::TooLarge),
            (Verdict::NeedsHistory, _) => Err(EditError::At(ReadError::NeedsHistory)),
            (Verdict::Full, _) => Err(EditError::Full),
            (Verdict::Refuse(Refusal::TooLong), _) => Err(EditError::TooLong),
            (Verdict::Refuse(Refusal::Bounds), _) => Err(EditError::Range),
            (Verdict::Refuse(_) | Verdict::Missing | Verdict::Costly, _) => Err(EditError::Unsettled),
        }
    }
}

/// Replacements in one text as edits one after the other.
fn in_sequence(splices: &[Splice], len: u32) -> Result<Vec<Edit>, EditError> {
    let (mut edits, mut end, mut shift) = (Vec::with_capacity(splices.len()), 0u64, 0i64);
    for splice in splices {
        let (from, to) = (u64::from(splice.pos), u64::from(splice.pos) + u64::from(splice.len));
        if from < end || to > u64::from(len) {
            return Err(EditError::Range);
        }
        end = to;
        let pos = u32::try_from(i64::from(splice.pos) + shift).map_err(|_| EditError::TooLong)?;
        if splice.len > 0 {
            edits.push(Edit::Delete { pos, len: splice.len });
            shift -= i64::from(splice.len);
        }
        if !splice.text.is_empty() {
            shift += splice.text.chars().count() as i64;
            edits.push(Edit::Insert { pos, text: splice.text.clone() });
        }
    }
    Ok(edits)
}
