//! diamond-types as its own users have it: its branch, its patches, its file. It checks nothing.

use diamond_types::list::encoding::{ENCODE_FULL, ENCODE_PATCH};
use diamond_types::list::{Branch, ListCRDT, OpLog};
use std::cell::RefCell;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// A document and who writes in it.
#[wasm_bindgen]
pub struct Bare {
    doc: RefCell<ListCRDT>,
    agent: u32,
}

fn refused<E: std::fmt::Debug>(error: E) -> JsValue {
    format!("{error:?}").into()
}

#[wasm_bindgen]
impl Bare {
    /// An empty document.
    pub fn create(writer: u8) -> Bare {
        let mut doc = ListCRDT::new();
        let agent = doc.get_or_create_agent_id(&format!("writer {writer}"));
        Bare { doc: RefCell::new(doc), agent }
    }

    /// Replaces a range.
    pub fn edit(&self, pos: usize, len: usize, text: &str) {
        let doc = &mut *self.doc.borrow_mut();
        if len > 0 {
            doc.branch.delete_without_content(&mut doc.oplog, self.agent, pos..pos + len);
        }
        if !text.is_empty() {
            doc.branch.insert(&mut doc.oplog, self.agent, pos, text);
        }
    }

    /// The same, with the patch that tells others.
    #[wasm_bindgen(js_name = editAndTell)]
    pub fn edit_and_tell(&self, pos: usize, len: usize, text: &str) -> Vec<u8> {
        let before = self.doc.borrow().oplog.local_version();
        self.edit(pos, len, text);
        self.doc.borrow().oplog.encode_from(ENCODE_PATCH, &before)
    }

    /// Takes in such a patch, and brings the text up to date if asked.
    pub fn take(&self, patch: &[u8], settle: bool) -> Result<(), JsValue> {
        self.doc.borrow_mut().oplog.decode_and_add(patch).map_err(refused)?;
        if settle {
            self.settle();
        }
        Ok(())
    }

    /// Brings the text up to date.
    pub fn settle(&self) {
        let doc = &mut *self.doc.borrow_mut();
        let tip = doc.oplog.local_version();
        doc.branch.merge(&doc.oplog, &tip);
    }

    /// The text.
    pub fn text(&self) -> String {
        self.doc.borrow().branch.content().to_string()
    }

    /// Its file.
    pub fn save(&self) -> Vec<u8> {
        self.doc.borrow().oplog.encode(ENCODE_FULL)
    }
}

/// The text in a file.
#[wasm_bindgen(js_name = openBare)]
pub fn open(file: &[u8]) -> Result<String, JsValue> {
    let log = OpLog::load_from(file).map_err(refused)?;
    Ok(Branch::new_at_tip(&log).content().to_string())
}
