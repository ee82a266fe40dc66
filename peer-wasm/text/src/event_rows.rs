//! Rows of a history of events: a head, and edits in rows that are closed at a few kilobytes and never change then.
//!
//! ```text
//! head   = 0x01 ‖ own name (text) ‖ edits ‖ rows ‖ note (bytes) ‖ check[8]        row 0
//! row    = 0x01 ‖ edit* ‖ check[8]                                                rows 1, 2, …
//! edit   = author ‖ (name (text), if it is the author's first) ‖ count ‖ parent* ‖ length before
//!          ‖ count ‖ (place ‖ length ‖ text)*
//! check  = the first bytes of BLAKE3(0x04 ‖ row (4, big-endian) ‖ content)
//! ```
//! Authors are numbered in the order of their first edits, from 1; 0 is the own name. Parents are events by place.

use crate::chunk::{Damaged, check, checked};
use crate::codec::{Reader, Writer};
use crate::delta::Splice;
use crate::events::{Events, MAX_AGENT_BYTES, MAX_EVENTS};
use crate::op::MAX_PARENTS;

const FORMAT: u8 = 1;
const KIND: u8 = 4;
/// A row is closed at this many bytes.
const ROW_BYTES: usize = 4096;
/// The most bytes of a note.
const MAX_NOTE: usize = 64 << 10;
/// The most bytes of text one edit puts in.
const MAX_TEXT: usize = 8 << 20;

fn seal(row: u32, content: Vec<u8>) -> (u32, Vec<u8>) {
    let check = check(KIND, row, &content);
    (row, [content, check.to_vec()].concat())
}

impl Events {
    /// The rows to store, by number, with a note of the caller. All that was added is in them; rows from before the last
    /// call stay as they are, but for the last.
    pub fn take_rows(&mut self, note: &[u8]) -> Vec<(u32, Vec<u8>)> {
        if self.rows.is_empty() {
            self.rows.push(0);
        }
        let mut rows = Vec::new();
        let mut out = Writer::new();
        out.u8(FORMAT);
        let start = self.rows.last().copied().unwrap_or(0);
        for index in start..self.len() {
            if out.len() >= ROW_BYTES {
                rows.push(seal(self.rows.len() as u32, out.finish()));
                self.rows.push(index);
                out.u8(FORMAT);
            }
            self.write(index, &mut out);
        }
        rows.push(seal(self.rows.len() as u32, out.finish()));
        out.u8(FORMAT).text(self.own()).number(u64::from(self.len())).number(self.rows.len() as u64).bytes(note);
        rows.push(seal(0, out.finish()));
        rows
    }

    fn write(&self, index: u32, out: &mut Writer) {
        let Some(record) = self.records.get(index as usize) else { return };
        let name = self.authors.get(record.agent as usize).filter(|_| record.agent > 0 && record.seq == 0);
        let name = name.map(|author| author.name.as_str());
        write(record.agent, name, &record.parents, record.before, &record.splices, out);
    }

    /// The history in these rows, which come by number, and the note in them.
    pub fn load<'a>(rows: impl IntoIterator<Item = &'a [u8]>) -> Result<(Events, Vec<u8>), Damaged> {
        let mut rows = rows.into_iter();
        let mut head = Reader::new(checked(KIND, 0, rows.next().ok_or(Damaged)?)?);
        if head.u8()? != FORMAT {
            return Err(Damaged);
        }
        let mut events = Events::new(head.text(MAX_AGENT_BYTES)?);
        let (edits, count) = (number(&mut head)?, number(&mut head)?);
        let note = head.bytes(MAX_NOTE)?.to_vec();
        head.end()?;
        for (row, stored) in (1..=count).zip(&mut rows) {
            events.rows.push(events.len());
            let authors = events.authors.len() as u32;
            read(checked(KIND, row, stored)?, authors, &mut |(author, name, parents, before, splices)| {
                let known = name.is_none_or(|name| events.author(name) == author);
                if known && events.restore(author, &parents, before, splices) { Ok(()) } else { Err(Damaged) }
            })?;
        }
        if events.rows.len() as u32 != count || events.len() != edits {
            return Err(Damaged);
        }
        events.restored();
        Ok((events, note))
    }
}

pub(crate) fn write(
    author: u32,
    name: Option<&str>,
    parents: &[u32],
    before: u32,
    splices: &[Splice],
    out: &mut Writer,
) {
    out.number(u64::from(author));
    if let Some(name) = name {
        out.text(name);
    }
    out.number(parents.len() as u64);
    for parent in parents {
        out.number(u64::from(*parent));
    }
    out.number(u64::from(before)).number(splices.len() as u64);
    for splice in splices {
        out.number(u64::from(splice.pos)).number(u64::from(splice.len)).text(&splice.text);
    }
}

/// An edit as it is stored: its author, with a name if it is the first of it, parents, the length there, replacements.
pub(crate) type Stored<'a> = (u32, Option<&'a str>, Vec<u32>, u32, Vec<Splice>);

/// Reads a row without its check. `authors` is how many are known.
pub(crate) fn read<'a>(
    content: &'a [u8],
    mut authors: u32,
    each: &mut dyn FnMut(Stored<'a>) -> Result<(), Damaged>,
) -> Result<(), Damaged> {
    let mut reader = Reader::new(content);
    if reader.u8()? != FORMAT {
        return Err(Damaged);
    }
    while !reader.is_at_end() {
        let author = number(&mut reader)?;
        let name = if author == authors { Some(reader.text(MAX_AGENT_BYTES)?) } else { None };
        authors += u32::from(name.is_some());
        if author >= authors || name == Some("ROOT") || name == Some("") {
            return Err(Damaged);
        }
        let parents = reader.size(MAX_PARENTS)?;
        let parents = (0..parents).map(|_| number(&mut reader)).collect::<Result<Vec<u32>, Damaged>>()?;
        let before = number(&mut reader)?;
        let mut splices = Vec::new();
        for _ in 0..reader.size(MAX_EVENTS as usize)? {
            let (pos, len) = (number(&mut reader)?, number(&mut reader)?);
            splices.push(Splice { pos, len, text: reader.text(MAX_TEXT)?.to_owned() });
        }
        each((author, name, parents, before, splices))?;
    }
    Ok(())
}

fn number(reader: &mut Reader<'_>) -> Result<u32, Damaged> {
    u32::try_from(reader.number()?).map_err(|_| Damaged)
}
