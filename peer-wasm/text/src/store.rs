//! Rows: what a document is when nobody has it open.
//!
//! The *head* says what the document consists of and holds the end of the history; the text is in *pieces* of a few
//! kilobytes; the history before its end is in *chunks* that never change. Opening takes the head and the pieces. A
//! commit writes the head, the pieces that an edit touched and the chunks that became full.
//!
//! ```text
//! head  = 0x01 ‖ algorithm ‖ operations ‖ unmerged ‖ code points of history ‖ chunks
//!         ‖ count ‖ writer* ‖ count ‖ (index ‖ writer number ‖ seq)* ‖ code points of text ‖ count ‖ piece id*
//!         ‖ open chunk (bytes) ‖ check[8]
//! writer = agent[10] ‖ next ‖ (0 | 1 ‖ seq ‖ index) ‖ (0 | 1 ‖ from ‖ to)
//! piece = text ‖ check[8]
//! check = the first bytes of BLAKE3(kind ‖ id (4, big-endian) ‖ content)
//! ```

use crate::chunk::{self, Chunk, Damaged};
use crate::codec::{Reader, Writer as Out};
use crate::doc::{History, TextDoc, Writer};
use crate::engine::Algorithm;
use crate::gate::{MAX_HISTORY_CHARS, measure};
use crate::rope::{MAX_PIECE, Rope};
use crate::version::{Agent, Version};

const FORMAT: u8 = 1;
/// The most writers that are read from a head.
const MAX_WRITERS: usize = 1 << 20;
/// The most pieces that are read from a head: those of the longest history, if nothing was ever taken out.
const MAX_PIECES: usize = 1 << 20;
/// The most bytes of an open chunk: what is closed, and what stands before its records.
const MAX_OPEN: usize = chunk::CHUNK_BYTES + 16;

/// Which row of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// The head.
    Head,
    /// A piece of the text.
    Piece(u32),
    /// A chunk of the history, counted from 0.
    Chunk(u32),
}

/// What to do to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// Which row.
    pub key: RowKey,
    /// Its new content; `None` deletes it.
    pub bytes: Option<Vec<u8>>,
}

/// Why stored rows are not a document. Make it anew from the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// They are not what was written.
    #[error("{0}")]
    Damaged(#[from] Damaged),
    /// It was written by a newer version of this program.
    #[error("The text was stored by a newer version of this program.")]
    Newer,
}

impl From<crate::codec::CodecError> for OpenError {
    fn from(_: crate::codec::CodecError) -> OpenError {
        OpenError::Damaged(Damaged)
    }
}

impl RowKey {
    fn parts(self) -> (u8, u32) {
        match self {
            RowKey::Head => (0, 0),
            RowKey::Piece(id) => (1, id),
            RowKey::Chunk(number) => (2, number),
        }
    }

    /// Bytes that order a document's rows: the head, then pieces and chunks by number.
    pub fn suffix(self) -> [u8; 5] {
        let (kind, id) = self.parts();
        let [a, b, c, d] = id.to_be_bytes();
        [kind, a, b, c, d]
    }

    pub(crate) fn seal(self, content: Vec<u8>) -> RowChange {
        let (kind, id) = self.parts();
        let mut bytes = content;
        bytes.extend(chunk::check(kind, id, &bytes));
        RowChange { key: self, bytes: Some(bytes) }
    }

    pub(crate) fn open(self, row: &[u8]) -> Result<&[u8], Damaged> {
        let (kind, id) = self.parts();
        chunk::checked(kind, id, row)
    }
}

/// A head that was read. Load its [pieces](StoredHead::pieces), then [open](StoredHead::open) the document.
pub struct StoredHead {
    doc: TextDoc,
    chars: u32,
    pieces: Vec<u32>,
}

impl StoredHead {
    /// Reads a head.
    pub fn decode(row: &[u8]) -> Result<StoredHead, OpenError> {
        // Told apart even when the rest is laid out in another way.
        let mut reader = Reader::new(RowKey::Head.open(row)?);
        if reader.u8()? != FORMAT {
            return Err(OpenError::Newer);
        }
        let algorithm = Algorithm::from_id(reader.u8()?).ok_or(OpenError::Newer)?;
        let (entries, unmerged) = (number(&mut reader)?, number(&mut reader)?);
        let history_chars = reader.number()?;
        let chunks = number(&mut reader)?;
        let count = reader.size(MAX_WRITERS)?;
        let mut writers = Vec::new();
        for _ in 0..count {
            writers.push(read_writer(&mut reader)?);
        }
        let count = reader.size(entries as usize)?;
        let mut heads = Vec::new();
        for _ in 0..count {
            let (index, writer, seq) = (number(&mut reader)?, number(&mut reader)?, reader.number()?);
            let agent = writers.get(writer as usize).map(|writer: &Writer| writer.agent).ok_or(Damaged)?;
            heads.push((index, Version { agent, seq }));
        }
        let chars = number(&mut reader)?;
        let count = reader.size(MAX_PIECES)?;
        let pieces = (0..count).map(|_| number(&mut reader)).collect::<Result<Vec<u32>, OpenError>>()?;
        let chunk = Chunk::reopen(reader.bytes(MAX_OPEN)?)?;
        reader.end()?;
        let numbers = (0u32..).zip(&writers).map(|(number, writer)| (writer.agent, number)).collect();
        let mut frontier: Vec<Version> = heads.iter().map(|(_, version)| *version).collect();
        frontier.sort_unstable();
        let sound = heads.is_sorted_by(|left, right| left.0 < right.0)
            && heads.last().is_none_or(|(index, _)| *index < entries)
            && frontier.is_sorted_by(|left, right| left < right)
            && unmerged <= entries
            && heads.is_empty() == (unmerged == entries)
            && history_chars <= MAX_HISTORY_CHARS
            && chunk.end() == Some(entries);
        let doc = TextDoc {
            heads,
            frontier,
            numbers,
            writers,
            entries,
            unmerged,
            history_chars,
            chunks,
            ..TextDoc::blank(algorithm, Rope::default(), chunk)
        };
        if !sound || doc.numbers.len() != doc.writers.len() {
            return Err(Damaged.into());
        }
        Ok(StoredHead { doc, chars, pieces })
    }

    /// The pieces of the text, in order.
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = RowKey> + '_ {
        self.pieces.iter().map(|id| RowKey::Piece(*id))
    }

    /// The document, without its history. `rows` are its pieces, in order.
    pub fn open<'a>(self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<TextDoc, OpenError> {
        let mut rows = rows.into_iter();
        let mut stored = Vec::new();
        for id in self.pieces {
            let text = RowKey::Piece(id).open(rows.next().ok_or(Damaged)?)?;
            let text = std::str::from_utf8(text).map_err(|_| Damaged)?;
            if text.is_empty() || text.len() > MAX_PIECE {
                return Err(Damaged.into());
            }
            stored.push((id, text.to_owned()));
        }
        let rope = Rope::from_pieces(stored).filter(|rope| rope.len_chars() == self.chars).ok_or(Damaged)?;
        Ok(TextDoc { rope, ..self.doc })
    }
}

impl TextDoc {
    /// What changed since the last call, to be committed in one transaction. If that fails, drop the document and open
    /// it again.
    pub fn take_rows(&mut self) -> Vec<RowChange> {
        let mut rows = Vec::new();
        if !std::mem::take(&mut self.dirty) {
            return rows;
        }
        for (number, content) in self.closed.drain(..) {
            rows.push(RowKey::Chunk(number).seal(content));
        }
        let mut gone = Vec::new();
        let changed = |id, text: &str| rows.push(RowKey::Piece(id).seal(text.as_bytes().to_vec()));
        self.rope.take_dirty(changed, |id| gone.push(id));
        rows.extend(gone.into_iter().map(|id| RowChange { key: RowKey::Piece(id), bytes: None }));
        rows.push(RowKey::Head.seal(self.head()));
        rows
    }

    fn head(&self) -> Vec<u8> {
        let mut out = Out::new();
        out.u8(FORMAT).u8(self.algorithm.id());
        out.number(u64::from(self.entries)).number(u64::from(self.unmerged));
        out.number(self.history_chars).number(u64::from(self.chunks));
        out.number(self.writers.len() as u64);
        for (number, writer) in (0u32..).zip(&self.writers) {
            out.fixed(&writer.agent.0).number(writer.next);
            match writer.last {
                None => out.u8(0),
                Some((seq, index)) => out.u8(1).number(seq).number(u64::from(index)),
            };
            // What waits is offered again after a restart.
            let waiting = self.waiting.get(&number).and_then(|queue| Some((queue.front()?.seq, queue.back()?.seq)));
            let behind = match (waiting, writer.behind) {
                (Some((from, _)), Some((_, to))) => Some((from, to)),
                (waiting, behind) => waiting.or(behind),
            };
            match behind {
                None => out.u8(0),
                Some((from, to)) => out.u8(1).number(from).number(to),
            };
        }
        out.number(self.heads.len() as u64);
        for (index, version) in &self.heads {
            let writer = self.numbers.get(&version.agent).copied().unwrap_or_default();
            out.number(u64::from(*index)).number(u64::from(writer)).number(version.seq);
        }
        out.number(u64::from(self.rope.len_chars())).number(self.rope.ids().len() as u64);
        for id in self.rope.ids() {
            out.number(u64::from(id));
        }
        out.bytes(&self.chunk.content());
        out.finish()
    }

    /// The chunks that [`TextDoc::load_history`] needs.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = RowKey> + use<> {
        (0..self.chunks - self.closed.len() as u32).map(RowKey::Chunk)
    }

    /// Loads the history: `rows` are the [chunks](TextDoc::chunks), in order.
    pub fn load_history<'a>(&mut self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<(), OpenError> {
        if self.history.is_some() {
            return Ok(());
        }
        let mut loading = Loading {
            history: History::new(self.algorithm),
            writers: &self.writers,
            next: vec![0; self.writers.len()],
            last: vec![None; self.writers.len()],
            chars: 0,
        };
        self.writers.iter().for_each(|writer| loading.history.engine.agent(&writer.agent));
        let mut rows = rows.into_iter();
        for key in self.chunks() {
            loading.read(key.open(rows.next().ok_or(Damaged)?)?)?;
        }
        for (_, content) in &self.closed {
            loading.read(content)?;
        }
        loading.read(&self.chunk.content())?;
        let Loading { mut history, chars, .. } = loading;
        let found = |(index, version): &(u32, Version)| {
            let number = self.numbers.get(&version.agent).copied();
            number.is_some_and(|number| history.graph.find(number, version.seq) == Some(*index))
        };
        if history.graph.len() != self.entries || chars != self.history_chars || !self.heads.iter().all(found) {
            return Err(Damaged.into());
        }
        history.unmerged = history.graph.outside(&self.visible());
        if history.unmerged.len() as u32 != self.unmerged || history.graph.minimal(&self.visible()) != self.visible() {
            return Err(Damaged.into());
        }
        self.history = Some(history);
        Ok(())
    }

    /// Lets go of the history. It can be loaded again.
    pub fn drop_history(&mut self) {
        self.history = None;
        self.joined = None;
    }
}

/// History on its way into memory.
struct Loading<'a> {
    history: History,
    writers: &'a [Writer],
    /// The least entry each writer may have next.
    next: Vec<u64>,
    /// The last operation of each writer.
    last: Vec<Option<u32>>,
    chars: u64,
}

impl Loading<'_> {
    /// Takes in a chunk, through the rules of the gate. Only lengths where operations join are not found out anew: that
    /// would be most of the work of loading, and the row's check vouches for them.
    fn read(&mut self, content: &[u8]) -> Result<(), OpenError> {
        let first = self.history.graph.len();
        chunk::records(content, first, &mut |record| {
            let index = self.history.graph.len();
            let writer = self.writers.get(record.agent as usize).ok_or(Damaged)?;
            let next = self.next.get_mut(record.agent as usize).filter(|next| record.seq >= **next).ok_or(Damaged)?;
            if record.seq >= writer.next {
                return Err(Damaged);
            }
            *next = record.seq + 1;
            let graph = &self.history.graph;
            let ascending = record.parents.is_sorted_by(|left, right| left < right);
            if !ascending || record.parents.last().is_some_and(|last| *last >= index) {
                return Err(Damaged);
            }
            let minimal = record.parents.len() < 2 || graph.minimal(&record.parents) == record.parents;
            let last = self.last.get_mut(record.agent as usize).ok_or(Damaged)?;
            if !minimal || last.is_some_and(|last| !graph.contains(&record.parents, last)) {
                return Err(Damaged);
            }
            *last = Some(index);
            let before = match (record.joined, record.parents.as_slice()) {
                (Some(len), _) => len,
                (None, [parent]) => graph.len_at(*parent).ok_or(Damaged)?,
                (None, _) => 0,
            };
            let sound = !record.edits.is_empty() && record.edits.iter().all(|edit| edit.chars() > 0);
            let (len, chars) = measure(before, &record.edits).map_err(|_| Damaged)?;
            self.chars = self.chars.saturating_add(chars);
            if !sound || self.chars > MAX_HISTORY_CHARS {
                return Err(Damaged);
            }
            self.history.graph.push(record.agent, record.seq, &record.parents, len);
            self.history.engine.push(record.agent, &record.parents, &record.edits);
            Ok(())
        })?;
        Ok(())
    }
}

fn number(reader: &mut Reader<'_>) -> Result<u32, OpenError> {
    u32::try_from(reader.number()?).map_err(|_| Damaged.into())
}

fn read_writer(reader: &mut Reader<'_>) -> Result<Writer, OpenError> {
    let (agent, next) = (Agent(reader.fixed()?), reader.number()?);
    let last = match reader.u8()? {
        0 => None,
        1 => Some((reader.number()?, number(reader)?)),
        _ => return Err(Damaged.into()),
    };
    let behind = match reader.u8()? {
        0 => None,
        1 => Some((reader.number()?, reader.number()?)),
        _ => return Err(Damaged.into()),
    };
    let sound = last.is_none_or(|(seq, _)| seq < next) && behind.is_none_or(|(from, to)| next <= from && from <= to);
    if sound { Ok(Writer { agent, next, last, behind }) } else { Err(Damaged.into()) }
}
