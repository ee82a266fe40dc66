//! Edits of texts.

/// An edit of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextChange {
    /// `Parents` as the client wrote them: the state the edit was made at. Each is a version of a peer or the id of an
    /// earlier write (`Version`), the client's own. Empty is the empty text before anything was written; `None` is what
    /// this peer shows now.
    pub parents: Option<Vec<String>>,
    /// The edit.
    pub edit: TextEdit,
    /// The name of the edit's last event, `<agent>-<number>`, if it is of a client with a history of its own
    /// (`Merge-Type: dt`). `parents` are then names of events too.
    pub event: Option<String>,
}

/// What an edit of a text does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextEdit {
    /// The text becomes this.
    Whole(String),
    /// Replacements `(start, end, text)`: the code points from `start` up to `end` become `text`. All positions count
    /// code points of the text at `parents`; they rise and do not overlap.
    Splices(Vec<TextSplice>),
}

/// An edit of a text as clients with a history of their own are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEvent {
    /// The name of its last event.
    pub version: String,
    /// The events it was made at.
    pub parents: Vec<String>,
    /// What it replaces in the text there.
    pub splices: Vec<TextSplice>,
}

/// One replacement in a text: first code point, first code point behind it, what is put there.
pub type TextSplice = (u32, u32, String);
