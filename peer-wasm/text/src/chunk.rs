//! The history of a document in rows that are only appended to.
//!
//! ```text
//! row    = 0x01 ‖ first ‖ count ‖ record* ‖ check[8]
//! record = flags ‖ (agent number, if AGENT) ‖ (seq, or how many were left out since the last, if SEQ) ‖ (count ‖ (index − parent)*, if PARENTS)
//!          ‖ (length at the parents, if there are several) ‖ (count, if EDITS) ‖ edit*
//! edit   = len·2 ‖ step ‖ text[len]  |  len·2 + 1 ‖ step
//! ```
//! A record whose agent is the one before's, whose entry is the next one, whose parent is the operation before and
//! that has one edit carries no flags: a typed letter takes four bytes. `step` is how far the edit is from where the
//! edit before it ended, zigzag. Rows are our own, yet damaged ones must not stop a peer: they are checked and read
//! with limits.

use crate::codec::{CodecError, Reader, Writer};
use crate::op::{Edit, MAX_EDITS, MAX_PARENTS};

/// A row is closed when it has this many bytes.
pub(crate) const CHUNK_BYTES: usize = 4096;

const FORMAT: u8 = 1;
const AGENT: u8 = 1;
const SEQ: u8 = 2;
const PARENTS: u8 = 4;
const EDITS: u8 = 8;

/// Rows that do not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A stored row of a text is damaged.")]
pub struct Damaged;

impl From<CodecError> for Damaged {
    fn from(_: CodecError) -> Damaged {
        Damaged
    }
}

/// An accepted operation, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The writer, by number.
    pub(crate) agent: u32,
    /// The entry that carries it.
    pub(crate) seq: u64,
    /// Indexes of its parents, ascending.
    pub(crate) parents: Vec<u32>,
    /// How long the text is at the parents, if they are several.
    pub(crate) joined: Option<u32>,
    /// What it does.
    pub(crate) edits: Vec<Edit>,
}

/// What the next record is told relative to.
#[derive(Clone, Copy, Default)]
struct Last {
    agent: u32,
    /// One more than the last entry number.
    seq: u64,
    pos: u32,
}

impl Last {
    fn after(&mut self, edit: &Edit) {
        self.pos = match edit {
            Edit::Insert { pos, text } => pos.saturating_add(text.chars().count() as u32),
            Edit::Delete { pos, .. } => *pos,
        };
    }
}

/// The row that is still appended to.
#[derive(Default)]
pub(crate) struct Chunk {
    first: u32,
    count: u32,
    bytes: Writer,
    last: Last,
}

/// The check of a row: what it is, and its content.
pub(crate) fn check(kind: u8, id: u32, content: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]).update(&id.to_be_bytes()).update(content);
    let mut short = [0; 8];
    short.iter_mut().zip(hasher.finalize().as_bytes()).for_each(|(to, from)| *to = *from);
    short
}

/// Takes the check off a row.
pub(crate) fn checked(kind: u8, id: u32, row: &[u8]) -> Result<&[u8], Damaged> {
    let (content, found) = row.split_last_chunk::<8>().ok_or(Damaged)?;
    if *found == check(kind, id, content) { Ok(content) } else { Err(Damaged) }
}

impl Chunk {
    /// The chunk whose first operation has this index.
    pub(crate) fn new(first: u32) -> Chunk {
        Chunk { first, ..Chunk::default() }
    }

    /// The chunk stored in a document's head, to go on with.
    pub(crate) fn reopen(content: &[u8]) -> Result<Chunk, Damaged> {
        let (mut chunk, mut count) = (Chunk::default(), 0);
        let (first, last) = read(content, &mut |_| {
            count += 1;
            Ok(())
        })?;
        let mut reader = Reader::new(content);
        let (_, _, _) = (reader.u8()?, reader.number()?, reader.number()?);
        chunk.bytes.fixed(reader.rest());
        (chunk.first, chunk.count, chunk.last) = (first, count, last);
        Ok(chunk)
    }

    /// The index of the operation after its last.
    pub(crate) fn end(&self) -> Option<u32> {
        self.first.checked_add(self.count)
    }

    /// Whether it is full.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK_BYTES
    }

    /// Appends the next operation.
    pub(crate) fn push(&mut self, record: &Record) {
        let index = self.first.saturating_add(self.count);
        let follows = index.checked_sub(1).is_some_and(|before| record.parents == [before]);
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let other = self.count == 0 || record.agent != self.last.agent;
        let jump = self.count == 0 || record.seq != self.last.seq;
        let flags =
            flag(other, AGENT) | flag(jump, SEQ) | flag(!follows, PARENTS) | flag(record.edits.len() != 1, EDITS);
        let out = &mut self.bytes;
        out.u8(flags);
        if other {
            out.number(u64::from(record.agent));
        }
        if jump {
            // Of the same writer, how many entries were about other things.
            out.number(if other { record.seq } else { record.seq.wrapping_sub(self.last.seq) });
        }
        if !follows {
            out.number(record.parents.len() as u64);
            for parent in &record.parents {
                out.number(u64::from(index.saturating_sub(*parent)));
            }
        }
        if let Some(len) = record.joined {
            out.number(u64::from(len));
        }
        if record.edits.len() != 1 {
            out.number(record.edits.len() as u64);
        }
        for edit in &record.edits {
            let (Edit::Insert { pos, .. } | Edit::Delete { pos, .. }) = edit;
            let step = i64::from(*pos) - i64::from(self.last.pos);
            let zigzag = ((step << 1) ^ (step >> 63)) as u64;
            match edit {
                Edit::Insert { text, .. } => out.number((text.len() as u64) << 1).number(zigzag).fixed(text.as_bytes()),
                Edit::Delete { len, .. } => out.number(u64::from(*len) << 1 | 1).number(zigzag),
            };
            self.last.after(edit);
        }
        (self.last.agent, self.last.seq) = (record.agent, record.seq.saturating_add(1));
        self.count += 1;
    }

    /// The bytes, without a check.
    pub(crate) fn content(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(FORMAT).number(u64::from(self.first)).number(u64::from(self.count)).fixed(self.bytes.written());
        out.finish()
    }
}

/// Reads the records of a row without its check. Gives the index of the first, and where it stands at the end.
fn read(content: &[u8], each: &mut dyn FnMut(Record) -> Result<(), Damaged>) -> Result<(u32, Last), Damaged> {
    let mut reader = Reader::new(content);
    if reader.u8()? != FORMAT {
        return Err(Damaged);
    }
    let narrow = |number: u64| u32::try_from(number).map_err(|_| Damaged);
    let first = narrow(reader.number()?)?;
    let count = narrow(reader.number()?)?;
    let mut last = Last::default();
    for place in 0..count {
        let index = first.checked_add(place).ok_or(Damaged)?;
        let flags = reader.u8()?;
        if flags > (AGENT | SEQ | PARENTS | EDITS) {
            return Err(Damaged);
        }
        let has = |flag: u8| flags & flag != 0;
        let agent = if has(AGENT) { narrow(reader.number()?)? } else { last.agent };
        let seq = match (has(SEQ), has(AGENT)) {
            (true, true) => reader.number()?,
            (true, false) => last.seq.checked_add(reader.number()?).ok_or(Damaged)?,
            (false, _) => last.seq,
        };
        let mut parents = Vec::new();
        if has(PARENTS) {
            for _ in 0..reader.size(MAX_PARENTS)? {
                parents.push(index.checked_sub(narrow(reader.number()?)?).ok_or(Damaged)?);
            }
        } else {
            parents.push(index.checked_sub(1).ok_or(Damaged)?);
        }
        let joined = if parents.len() > 1 { Some(narrow(reader.number()?)?) } else { None };
        let count = if has(EDITS) { reader.size(MAX_EDITS)? } else { 1 };
        let mut edits = Vec::new();
        for _ in 0..count {
            let head = reader.number()?;
            let zigzag = reader.number()?;
            let step = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
            let pos = i64::from(last.pos).checked_add(step).and_then(|pos| u32::try_from(pos).ok()).ok_or(Damaged)?;
            let edit = if head & 1 == 1 {
                Edit::Delete { pos, len: narrow(head >> 1)? }
            } else {
                let text = std::str::from_utf8(reader.take(narrow(head >> 1)? as usize)?).map_err(|_| Damaged)?;
                Edit::Insert { pos, text: text.to_owned() }
            };
            last.after(&edit);
            edits.push(edit);
        }
        (last.agent, last.seq) = (agent, seq.saturating_add(1));
        each(Record { agent, seq, parents, joined, edits })?;
    }
    reader.end()?;
    Ok((first, last))
}

/// Reads the records of a row without its check, which must begin with the operation `first`.
pub(crate) fn records(
    content: &[u8],
    first: u32,
    each: &mut dyn FnMut(Record) -> Result<(), Damaged>,
) -> Result<(), Damaged> {
    let mut reader = Reader::new(content);
    if reader.u8()? != FORMAT || reader.number()? != u64::from(first) {
        return Err(Damaged);
    }
    read(content, each).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(pos: u32, text: &str) -> Edit {
        Edit::Insert { pos, text: text.into() }
    }

    #[test]
    fn records_come_back_and_a_letter_takes_four_bytes() {
        let record =
            |agent, seq, parents: &[u32], joined, edits| Record { agent, seq, parents: parents.into(), joined, edits };
        let mut list = vec![
            record(0, 7, &[], None, vec![insert(0, "é")]),
            record(0, 8, &[0], None, vec![insert(1, "b")]),
            record(3, 900, &[0], None, vec![insert(0, "x"), Edit::Delete { pos: 1, len: 1 }]),
            record(3, 901, &[1, 2], Some(3), vec![insert(3, "\u{1f600}")]),
        ];
        let mut chunk = Chunk::new(0);
        list.iter().for_each(|record| chunk.push(record));
        let before = chunk.content().len();
        list.push(record(3, 902, &[3], None, vec![insert(4, "b")]));
        // As after a restart, in the middle.
        let mut chunk = Chunk::reopen(&chunk.content()).unwrap();
        chunk.push(&list[4]);
        assert_eq!(chunk.content().len(), before + 4);
        let mut found = Vec::new();
        records(&chunk.content(), 0, &mut |record| {
            found.push(record);
            Ok(())
        })
        .unwrap();
        assert_eq!(found, list);
        assert!(records(&chunk.content(), 1, &mut |_| Ok(())).is_err());
    }

    #[test]
    fn a_row_that_is_not_what_was_written_is_found_out() {
        let row = [b"content".as_slice(), &check(1, 5, b"content")].concat();
        assert_eq!(checked(1, 5, &row), Ok(b"content".as_slice()));
        assert_eq!(checked(1, 6, &row), Err(Damaged));
        assert_eq!(checked(2, 5, &row), Err(Damaged));
        assert_eq!(checked(1, 5, &row[1..]), Err(Damaged));
        assert_eq!(checked(1, 5, b"short"), Err(Damaged));
    }
}
