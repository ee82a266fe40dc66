//! Our engine with its gate: operations as bytes, rows as the store has them.

use kith_text::{Agent, Algorithm, Outcome, RowKey, Settled, Splice, StoredHead, TextDoc};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Before an operation: who wrote it, and as which entry. In a space the entry around it says so.
const NAME: usize = 5;

/// A document and who writes in it.
#[wasm_bindgen]
pub struct Ours {
    doc: RefCell<TextDoc>,
    writer: u8,
    seq: Cell<u32>,
}

fn agent(writer: u8) -> Agent {
    Agent([writer; 10])
}

fn refused<E: std::fmt::Debug>(error: E) -> JsValue {
    format!("{error:?}").into()
}

#[wasm_bindgen]
impl Ours {
    /// An empty document.
    pub fn create(writer: u8) -> Ours {
        Ours { doc: RefCell::new(TextDoc::new(Algorithm::DiamondTypes1)), writer, seq: Cell::new(0) }
    }

    /// Replaces a range.
    pub fn edit(&self, pos: u32, len: u32, text: &str) -> Result<(), JsValue> {
        self.make(pos, len, text).map(drop)
    }

    /// The same, with the operation that tells others.
    #[wasm_bindgen(js_name = editAndTell)]
    pub fn edit_and_tell(&self, pos: u32, len: u32, text: &str) -> Result<Vec<u8>, JsValue> {
        let (seq, op) = self.make(pos, len, text)?;
        Ok([&[self.writer], seq.to_be_bytes().as_slice(), &op.encode()].concat())
    }

    fn make(&self, pos: u32, len: u32, text: &str) -> Result<(u32, kith_text::TextOp), JsValue> {
        let (doc, seq) = (&mut *self.doc.borrow_mut(), self.seq.get());
        let splice = Splice { pos, len, text: text.into() };
        let op = doc.edit(agent(self.writer), u64::from(seq), &[splice]).map_err(refused)?;
        doc.take_changes();
        self.seq.set(seq + 1);
        Ok((seq, op))
    }

    /// Takes in such an operation, and brings the text up to date if asked.
    pub fn take(&self, bytes: &[u8], settle: bool) -> Result<(), JsValue> {
        let ([writer, seq @ ..], op) = bytes.split_first_chunk::<NAME>().ok_or("too short")?;
        match self.doc.borrow_mut().apply_bytes(agent(*writer), u64::from(u32::from_be_bytes(*seq)), op) {
            Outcome::Accepted => {}
            other => return Err(refused(other)),
        }
        if settle {
            self.settle();
        }
        Ok(())
    }

    /// Brings the text up to date.
    pub fn settle(&self) {
        let doc = &mut *self.doc.borrow_mut();
        while doc.settle(u64::MAX) != Settled::Done {}
        doc.take_changes();
    }

    /// The text.
    pub fn text(&self) -> String {
        self.doc.borrow().text()
    }

    /// Its rows, one after the other: key, length, content. Once for each document: rows are handed out as they change.
    pub fn save(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for row in self.doc.borrow_mut().take_rows() {
            let bytes = row.bytes.unwrap_or_default();
            out.extend(row.key.suffix());
            out.extend((bytes.len() as u32).to_be_bytes());
            out.extend(bytes);
        }
        out
    }
}

/// The text in such rows; its history stays where it is.
#[wasm_bindgen(js_name = openOurs)]
pub fn open(mut file: &[u8]) -> Result<String, JsValue> {
    let mut rows = BTreeMap::new();
    while let Some((key, rest)) = file.split_first_chunk::<5>() {
        let (len, rest) = rest.split_first_chunk::<4>().ok_or("cut off")?;
        let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize).ok_or("cut off")?;
        rows.insert(*key, bytes);
        file = rest;
    }
    let row = |key: RowKey| rows.get(&key.suffix()).copied().unwrap_or_default();
    let head = StoredHead::decode(row(RowKey::Head)).map_err(refused)?;
    let pieces: Vec<RowKey> = head.pieces().collect();
    Ok(head.open(pieces.into_iter().map(row)).map_err(refused)?.text())
}
