//! Operations: what one entry does to one document, and its bytes.
//!
//! ```text
//! op   = algorithm ‖ count ‖ (agent[10] ‖ seq)* ‖ count ‖ edit*
//! edit = len·2     ‖ pos ‖ text[len]     insert text of len bytes before the code point pos
//!      | len·2 + 1 ‖ pos                 delete len code points from pos on
//! ```
//! Parents are sorted by agent and seq. Positions are code points of the text at the parents, after the edits before
//! this one. Numbers are shortest-form LEB128, so an operation has exactly one encoding.

use crate::codec::{CodecError, Reader, Writer};
use crate::engine::Algorithm;
use crate::version::{Frontier, Version};

/// The most bytes of an encoded operation.
pub const MAX_OP_BYTES: usize = 1 << 20;
/// The most edits in an operation.
pub const MAX_EDITS: usize = 1 << 14;
/// The most parents of an operation: as many people may write at once.
pub const MAX_PARENTS: usize = 1 << 12;

/// One change of a text. Positions and lengths count code points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Puts `text` before the code point `pos`.
    Insert {
        /// Where.
        pos: u32,
        /// What; not empty.
        text: String,
    },
    /// Takes `len` code points out, from `pos` on.
    Delete {
        /// Where.
        pos: u32,
        /// How many; not 0.
        len: u32,
    },
}

/// What one entry does to one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextOp {
    /// How concurrent edits are merged; the same as the document's.
    pub algorithm: Algorithm,
    /// The state it was made at: sorted, without doubles.
    pub parents: Frontier,
    /// What changes, one after the other; not empty.
    pub edits: Vec<Edit>,
}

/// Why something is not an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// The bytes do not read.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// The algorithm is not known here.
    #[error("The algorithm is not known here.")]
    Algorithm,
    /// Parents are not sorted, or one is named twice.
    #[error("Parents are not sorted, or one is named twice.")]
    Parents,
    /// There are no edits, or one does nothing.
    #[error("There are no edits, or one does nothing.")]
    Empty,
    /// It is larger than an operation may be.
    #[error("It is larger than an operation may be.")]
    Size,
}

impl Edit {
    /// How many code points it puts in or takes out.
    pub fn chars(&self) -> u64 {
        match self {
            Edit::Insert { text, .. } => text.chars().count() as u64,
            Edit::Delete { len, .. } => u64::from(*len),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Edit::Insert { text, .. } => text.len() + 15,
            Edit::Delete { .. } => 15,
        }
    }
}

impl TextOp {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(self.algorithm.id()).number(self.parents.len() as u64);
        for parent in &self.parents {
            writer.fixed(&parent.agent.0).number(parent.seq);
        }
        writer.number(self.edits.len() as u64);
        for edit in &self.edits {
            match edit {
                Edit::Insert { pos, text } => {
                    writer.number((text.len() as u64) << 1).number(u64::from(*pos)).fixed(text.as_bytes())
                }
                Edit::Delete { pos, len } => writer.number(u64::from(*len) << 1 | 1).number(u64::from(*pos)),
            };
        }
        writer.finish()
    }

    /// How many bytes it takes.
    pub(crate) fn encoded_len(&self) -> usize {
        // Far from the limit, which is nearly always, nothing needs to be made.
        let bound = 16 + self.weight();
        if bound <= MAX_OP_BYTES { bound } else { self.encode().len() }
    }

    /// Reads an operation that fills `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<TextOp, OpError> {
        if bytes.len() > MAX_OP_BYTES {
            return Err(OpError::Size);
        }
        let mut reader = Reader::new(bytes);
        let algorithm = Algorithm::from_id(reader.u8()?).ok_or(OpError::Algorithm)?;
        let count = reader.size(MAX_PARENTS)?;
        let mut parents = Frontier::new();
        for _ in 0..count {
            parents.push(Version { agent: crate::Agent(reader.fixed()?), seq: reader.number()? });
        }
        let count = reader.size(MAX_EDITS)?;
        let mut edits = Vec::new();
        for _ in 0..count {
            edits.push(read_edit(&mut reader)?);
        }
        reader.end()?;
        let op = TextOp { algorithm, parents, edits };
        op.check()?;
        Ok(op)
    }

    /// What can be said of an operation without its document.
    pub fn check(&self) -> Result<(), OpError> {
        if !self.parents.is_sorted_by(|left, right| left < right) {
            return Err(OpError::Parents);
        }
        if self.parents.len() > MAX_PARENTS || self.edits.len() > MAX_EDITS || self.weight() > 2 * MAX_OP_BYTES {
            return Err(OpError::Size);
        }
        let empty = |edit: &Edit| match edit {
            Edit::Insert { text, .. } => text.is_empty(),
            Edit::Delete { len, .. } => *len == 0,
        };
        if self.edits.is_empty() || self.edits.iter().any(empty) {
            return Err(OpError::Empty);
        }
        Ok(())
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.parents.len() * 20 + self.edits.iter().map(Edit::bytes).sum::<usize>()
    }
}

/// One edit in the form both operations and stored history use.
fn read_edit(reader: &mut Reader<'_>) -> Result<Edit, CodecError> {
    let head = reader.number()?;
    let pos = u32::try_from(reader.number()?).map_err(|_| CodecError::Limit)?;
    if head & 1 == 1 {
        return Ok(Edit::Delete { pos, len: u32::try_from(head >> 1).map_err(|_| CodecError::Limit)? });
    }
    let len = usize::try_from(head >> 1).map_err(|_| CodecError::Limit)?;
    let text = std::str::from_utf8(reader.take(len)?).map_err(|_| CodecError::Text)?;
    Ok(Edit::Insert { pos, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Agent;

    fn op() -> TextOp {
        let version = |byte, seq| Version { agent: Agent([byte; 10]), seq };
        TextOp {
            algorithm: Algorithm::DiamondTypes1,
            parents: vec![version(1, 300), version(2, 0)],
            edits: vec![Edit::Insert { pos: 5, text: "é😀".into() }, Edit::Delete { pos: 200, len: 3 }],
        }
    }

    #[test]
    fn the_bytes_are_as_laid_down() {
        let mut expected = vec![1, 2];
        expected.extend([1; 10]);
        expected.extend([0xac, 0x02]);
        expected.extend([2; 10]);
        expected.extend([0, 2, 12, 5]);
        expected.extend("é😀".as_bytes());
        expected.extend([7, 0xc8, 0x01]);
        assert_eq!(op().encode(), expected);
        assert_eq!(TextOp::decode(&expected), Ok(op()));
    }

    #[test]
    fn what_is_no_operation_is_told_apart() {
        let with = |change: fn(&mut TextOp)| {
            let mut op = op();
            change(&mut op);
            TextOp::decode(&op.encode())
        };
        assert_eq!(with(|op| op.parents.reverse()), Err(OpError::Parents));
        assert_eq!(with(|op| op.parents = vec![op.parents[0]; 2]), Err(OpError::Parents));
        assert_eq!(with(|op| op.edits.clear()), Err(OpError::Empty));
        assert_eq!(with(|op| op.edits = vec![Edit::Delete { pos: 0, len: 0 }]), Err(OpError::Empty));
        assert_eq!(with(|op| op.edits = vec![Edit::Insert { pos: 0, text: String::new() }]), Err(OpError::Empty));
        let many = |op: &mut TextOp| op.edits = vec![Edit::Delete { pos: 0, len: 1 }; MAX_EDITS + 1];
        assert_eq!(with(many), Err(OpError::Codec(CodecError::Limit)));
        assert_eq!(TextOp::decode(&vec![1; MAX_OP_BYTES + 1]), Err(OpError::Size));
        assert_eq!(TextOp::decode(&[9, 0, 1, 3, 0]), Err(OpError::Algorithm));
        // A character cut in half.
        assert_eq!(TextOp::decode(&[1, 0, 1, 2, 0, 0xc3]), Err(OpError::Codec(CodecError::Text)));
    }
}
