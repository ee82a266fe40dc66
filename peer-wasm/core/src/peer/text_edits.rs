//! Ops on texts in a write: what each is to become as an edit, the operation in the op, and the edit in the text.

use super::Peer;
use super::text_write::{fits, in_work, let_alone};
use crate::api::Refusal;
use crate::document::kind::{State, tag};
use crate::document::{Applied, Leaf, Op, Ops, ViewRow, view_key};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Table};
use crate::version::Version;
use kith_text::{Delta, MAX_OP_BYTES, Outcome, TextOp};

/// Texts that a write changes, and how.
pub(super) type TextEdits = Vec<(Path, Delta)>;

impl Peer {
    /// Ops on texts as they come from a plan, which says what each text is to become, as edits of the texts.
    pub(super) fn planned_texts(
        &mut self,
        number: u32,
        ops: &mut Vec<Op>,
        lens: &Lens<'_>,
    ) -> Result<Result<TextEdits, Refusal>, Miss> {
        let mut texts = TextEdits::new();
        let mut same = Vec::new();
        for op in ops.iter_mut() {
            let Leaf::Kind { tag: tag::TEXT, body } = &mut op.leaf else { continue };
            if self.texts.care.is_quarantined(&(number, op.path.clone())) {
                return Ok(Err(let_alone()));
            }
            let wanted = String::from_utf8(std::mem::take(body)).unwrap_or_default();
            let row = lens.get(Table::View, &view_key(number, &op.path))?.and_then(ViewRow::decode);
            let is_shown = row.is_some_and(|row| row.shown_tag() == Some(tag::TEXT));
            let open = match self.texts.open(lens, number, &op.path)? {
                Ok(open) => open,
                Err(_) => return Ok(Err(in_work())),
            };
            let change = Delta::of_splices(&kith_text::diff(&open.doc.text(), &wanted));
            if let Err(refusal) = fits(open.doc.len_chars(), &change) {
                return Ok(Err(refusal));
            }
            match change.is_empty() {
                false => texts.push((op.path.clone(), change)),
                true if is_shown => same.push(op.path.clone()),
                true => {}
            }
        }
        ops.retain(|op| op.leaf.tag() != Some(tag::TEXT) || !same.contains(&op.path));
        Ok(Ok(texts))
    }

    /// Puts operations into the ops of a write. Nothing is changed yet.
    pub(super) fn fill_texts(
        &mut self,
        number: u32,
        ops: &mut Ops,
        texts: &TextEdits,
        lens: &Lens<'_>,
    ) -> Result<Result<(), Refusal>, Miss> {
        for (path, change) in texts {
            let mut opened = self.texts.open(lens, number, path)?;
            if opened.as_ref().is_ok_and(|open| !open.doc.is_settled()) {
                opened = self.texts.open_whole(lens, number, path)?;
            }
            let Ok(open) = opened else { return Ok(Err(in_work())) };
            let op = TextOp {
                algorithm: open.doc.algorithm(),
                parents: open.doc.frontier().to_vec(),
                edits: change.edits(),
            };
            let bytes = op.encode();
            if op.check().is_err() || bytes.len() > MAX_OP_BYTES {
                let what = "The change of the text".to_owned();
                return Ok(Err(Refusal::TooLarge { what, limit: MAX_OP_BYTES as u64, listing: None }));
            }
            if let Some(op) = ops.list.iter_mut().find(|op| op.path == *path) {
                op.leaf = Leaf::Kind { tag: tag::TEXT, body: bytes };
            }
        }
        Ok(Ok(()))
    }

    /// Makes the edits of a write in the texts. Nothing can be missing any more.
    pub(super) fn edit_texts(
        &mut self,
        number: u32,
        version: Version,
        ops: &Ops,
        texts: &TextEdits,
        applied: &mut Applied,
    ) -> Result<Batch, Refusal> {
        let mut batch = Batch::default();
        let mut failed = false;
        for (path, _) in texts {
            let which = (number, path.clone());
            let body = ops.list.iter().find(|op| op.path == *path).map(|op| &op.leaf);
            let (Some(open), Some(Leaf::Kind { body, .. })) = (self.texts.get_mut(&which), body) else {
                failed = true;
                break;
            };
            let before = open.frontier();
            let outcome = open.doc.apply_bytes(kith_text::Agent(version.agent.0), version.seq, body);
            if outcome != Outcome::Accepted {
                failed = true;
                break;
            }
            open.store(&which, before, &mut batch);
            let shown = State::Text(open.shown());
            let unfinished = !open.doc.is_settled() || open.doc.is_waiting();
            let row = applied.rows.get_mut(&view_key(number, path));
            if let Some(state) = row.and_then(|row| row.states.of(tag::TEXT)) {
                *state = shown;
            }
            if unfinished {
                self.texts.note_work(which);
            }
        }
        if failed {
            // Some may be ahead of their rows now.
            texts.iter().for_each(|(path, _)| self.texts.drop(&(number, path.clone())));
            return Err(in_work());
        }
        Ok(batch)
    }
}
