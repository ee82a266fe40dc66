//! The rows of texts, and what arrived of them and is not put together yet.
//!
//! ```text
//! view  space (4) ‖ 0x04 ‖ length (2) ‖ path key ‖ part
//!       space (4) ‖ 0x05 ‖ path key                  something waits in that text's inbox; the row is empty
//!       space (4) ‖ 0x06 ‖ path key ‖ 0xff ‖ row (4) the text as clients with a history of their own were told of it
//! part  = 0x00 … 0x02 ‖ number (4)                   the text, as `kith-text` stores it
//!       | 0x03 ‖ agent[10] ‖ last seq (8)            inbox: operations of one author in the order of its log
//! inbox row = 1 ‖ (seq ‖ operation (bytes))*
//! ```
//! All of it is made from the logs, and deleted when the tree is made anew, but for what clients were told.

use super::row::PREFIX;
use crate::codec::{CodecError, Reader, Writer};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use crate::version::{Agent, Version};
use kith_text::{Delta, MAX_OP_BYTES, MAX_TEXT_CHARS, RowKey, Splice, StoredHead};

const TEXT: u8 = 4;
const WAITING: u8 = 5;
const TOLD: u8 = 6;
const INBOX: u8 = 3;
const FORMAT: u8 = 1;
/// An inbox row is closed at this many bytes.
const INBOX_ROW: usize = 32 << 10;
/// The most bytes that are kept of what a client had not heard of.
const MAX_STATE: usize = 256 << 10;

/// Operations of one author for one text, in the order of its log.
pub type Arrived = Vec<(u64, Vec<u8>)>;

fn space_key(space: u32, kind: u8) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[kind]].concat()
}

/// What the keys of a text's rows begin with. The length in front keeps the rows of one text apart from those of texts
/// below it, whatever their names are.
fn place_key(space: u32, path: &Path) -> Vec<u8> {
    let key = path.to_key();
    // A path has at most 1024 bytes.
    let len = (key.len() as u16).to_be_bytes();
    [space_key(space, TEXT), len.to_vec(), key].concat()
}

/// Everything of all texts of a space.
pub fn text_ranges(space: u32) -> [KeyRange; 2] {
    [KeyRange::prefix(&space_key(space, TEXT)), KeyRange::prefix(&space_key(space, WAITING))]
}

/// The place whose text a row is of, with its space.
pub fn text_place(key: &[u8]) -> Option<(u32, Path)> {
    let (space, rest) = key.split_first_chunk::<4>()?;
    let (len, rest) = rest.strip_prefix(&[TEXT])?.split_first_chunk::<2>()?;
    let path = Path::from_row_key(rest.get(..usize::from(u16::from_be_bytes(*len)))?)?;
    Some((u32::from_be_bytes(*space), path))
}

/// The key of a row of a text.
pub fn text_key(space: u32, path: &Path, row: RowKey) -> Vec<u8> {
    [place_key(space, path), row.suffix().to_vec()].concat()
}

/// The rows that opening a text takes: its head and all its pieces.
fn open_range(space: u32, path: &Path) -> KeyRange {
    KeyRange { start: text_key(space, path, RowKey::Head), end: text_key(space, path, RowKey::Chunk(0)) }
}

/// All rows of a text, its inbox included.
pub fn whole_range(space: u32, path: &Path) -> KeyRange {
    KeyRange::prefix(&place_key(space, path))
}

/// The key of a row of the text at one place, had the text been at another.
pub(super) fn key_at(space: u32, path: &Path, of: &Path, key: &[u8]) -> Option<Vec<u8>> {
    let at = |starts: fn(u32, &Path) -> Vec<u8>| {
        Some([&starts(space, path)[..], key.strip_prefix(&starts(space, of)[..])?].concat())
    };
    at(place_key).or_else(|| at(told_start))
}

/// All rows of a text's history.
pub fn history_range(space: u32, path: &Path) -> KeyRange {
    KeyRange { start: text_key(space, path, RowKey::Chunk(0)), end: inbox_range(space, path).start }
}

/// The key of the row that says that something waits in a text's inbox.
pub fn waiting_key(space: u32, path: &Path) -> Vec<u8> {
    [space_key(space, WAITING), path.to_key()].concat()
}

/// The key of a row of what clients with a history of their own were told of a text. No path has a byte 0xff in its key.
pub fn told_key(space: u32, path: &Path, row: u32) -> Vec<u8> {
    [&told_start(space, path)[..], &row.to_be_bytes()].concat()
}

fn told_start(space: u32, path: &Path) -> Vec<u8> {
    [&space_key(space, TOLD)[..], &path.to_key(), &[0xff]].concat()
}

/// All of those rows.
pub fn told_range(space: u32, path: &Path) -> KeyRange {
    KeyRange::prefix(&told_start(space, path))
}

/// Versions as bytes.
pub fn versions_to_bytes(versions: &[Version]) -> Vec<u8> {
    let mut writer = Writer::new();
    for version in versions {
        writer.fixed(&version.agent.0).number(version.seq);
    }
    writer.finish()
}

/// Versions from bytes.
pub fn versions_from_bytes(bytes: &[u8]) -> Result<Vec<Version>, CodecError> {
    let (mut reader, mut versions) = (Reader::new(bytes), Vec::new());
    while !reader.is_at_end() {
        versions.push(Version { agent: Agent(reader.fixed()?), seq: reader.number()? });
    }
    Ok(versions)
}

/// The places of texts with something in their inboxes.
pub fn waiting_places(lens: &Lens<'_>, space: u32) -> Result<Vec<Path>, Miss> {
    let range = KeyRange::prefix(&space_key(space, WAITING));
    let rows = lens.scan(Table::View, &range, usize::MAX / 2, false)?;
    Ok(rows.iter().filter_map(|(key, _)| Path::from_row_key(key.get(PREFIX..)?)).collect())
}

/// The key of an inbox row whose last operation is in this entry.
pub fn inbox_key(space: u32, path: &Path, agent: Agent, last: u64) -> Vec<u8> {
    [&place_key(space, path)[..], &[INBOX], &agent.0, &last.to_be_bytes()].concat()
}

/// All of a text's inbox.
pub fn inbox_range(space: u32, path: &Path) -> KeyRange {
    KeyRange::prefix(&[&place_key(space, path)[..], &[INBOX]].concat())
}

/// What is in a text's inbox of one author, from an entry on.
pub fn inbox_of(space: u32, path: &Path, agent: Agent, from: u64) -> KeyRange {
    let all = KeyRange::prefix(&[&place_key(space, path)[..], &[INBOX], &agent.0].concat());
    KeyRange { start: inbox_key(space, path, agent, from), end: all.end }
}

/// Whose operations an inbox row holds, and the last entry of them.
pub fn inbox_author(key: &[u8]) -> Option<(Agent, u64)> {
    let (rest, last) = key.split_last_chunk::<8>()?;
    let (_, agent) = rest.split_last_chunk::<10>()?;
    Some((Agent(*agent), u64::from_be_bytes(*last)))
}

/// Operations as inbox rows: the last entry of each and its bytes.
pub fn pack_inbox(arrived: &Arrived) -> Vec<(u64, Vec<u8>)> {
    let mut rows = Vec::new();
    let mut writer = Writer::new();
    for (at, (seq, op)) in arrived.iter().enumerate() {
        if writer.is_empty() {
            writer.u8(FORMAT);
        }
        writer.number(*seq).bytes(op);
        if writer.len() >= INBOX_ROW || at + 1 == arrived.len() {
            rows.push((*seq, writer.finish()));
        }
    }
    rows
}

/// The operations in an inbox row.
pub fn unpack_inbox(row: &[u8]) -> Result<Arrived, CodecError> {
    let mut reader = Reader::new(row);
    if reader.u8()? != FORMAT {
        return Err(CodecError::Tag);
    }
    let mut arrived = Arrived::new();
    while !reader.is_at_end() {
        // What is too long to be one is kept, to be refused in its turn.
        arrived.push((reader.number()?, reader.bytes(2 * MAX_OP_BYTES)?.to_vec()));
    }
    Ok(arrived)
}

/// The stored text of a place; nothing if there is none or its rows are damaged.
pub fn read_text(lens: &Lens<'_>, space: u32, path: &Path) -> Result<Option<String>, Miss> {
    Ok(open_text(lens, space, path)?.and_then(Result::ok).map(|doc| doc.text()))
}

/// The stored text of a place, without its history; `None` if nothing is stored.
pub fn open_text(
    lens: &Lens<'_>,
    space: u32,
    path: &Path,
) -> Result<Option<Result<kith_text::TextDoc, kith_text::OpenError>>, Miss> {
    let rows = lens.scan(Table::View, &open_range(space, path), usize::MAX / 2, false)?;
    let Some(((_, head), pieces)) = rows.split_first() else { return Ok(None) };
    let open = || {
        let head = StoredHead::decode(head)?;
        // The rows are sorted by their numbers, the pieces are wanted in the order of the text.
        let key = |piece: RowKey| text_key(space, path, piece);
        let find = |key: Vec<u8>| pieces.binary_search_by(|(found, _)| found.cmp(&key)).ok();
        let ordered: Vec<Option<usize>> = head.pieces().map(|piece| find(key(piece))).collect();
        let found = ordered.into_iter().flatten().filter_map(|at| pieces.get(at)).map(|(_, row)| row.as_slice());
        head.open(found)
    };
    Ok(Some(open()))
}

/// What a client held once it had made a write it gave an id of its own: the text as it was at a state, less what others
/// had done meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientState {
    /// The state.
    pub at: Vec<Version>,
    /// What turns the client's text into the text at that state: what others did and it had not heard of. Empty for a
    /// client that had heard everything.
    pub bridge: Delta,
}

impl ClientState {
    /// The row under the write's id; `seq` is its entry, if there was anything to write.
    pub fn encode(&self, seq: Option<u64>) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.fixed(&seq.unwrap_or(u64::MAX).to_be_bytes()).u8(1).number(self.at.len() as u64);
        for version in &self.at {
            writer.fixed(&version.agent.0).number(version.seq);
        }
        for splice in self.bridge.splices() {
            writer.number(u64::from(splice.pos)).number(u64::from(splice.len)).text(&splice.text);
        }
        if writer.len() <= MAX_STATE {
            return writer.finish();
        }
        writer.finish();
        ClientState::forgotten(&seq.unwrap_or(u64::MAX).to_be_bytes())
    }

    /// A row with the same entry and nothing else: the client will have to begin anew.
    pub fn forgotten(row: &[u8]) -> Vec<u8> {
        [row.get(..8).unwrap_or_default(), &[0]].concat()
    }

    /// What a row under a write's id says of a text. Writes to other values have nothing but the entry there.
    pub fn decode(row: &[u8], own: Agent) -> Result<ClientState, CodecError> {
        let mut reader = Reader::new(row);
        let seq = u64::from_be_bytes(reader.fixed()?);
        if reader.is_at_end() {
            return Ok(ClientState { at: vec![Version { agent: own, seq }], bridge: Delta::default() });
        }
        if reader.u8()? != 1 {
            return Err(CodecError::Tag);
        }
        let mut at = Vec::new();
        for _ in 0..reader.size(MAX_STATE)? {
            at.push(Version { agent: Agent(reader.fixed()?), seq: reader.number()? });
        }
        let mut splices: Vec<Splice> = Vec::new();
        while !reader.is_at_end() {
            let number = |value: u64| u32::try_from(value).map_err(|_| CodecError::Limit);
            let (pos, len) = (number(reader.number()?)?, number(reader.number()?)?);
            let end = splices.last().map_or(0, |last| last.pos + last.len);
            if pos < end || u64::from(pos) + u64::from(len) > u64::from(MAX_TEXT_CHARS) * 2 {
                return Err(CodecError::Limit);
            }
            splices.push(Splice { pos, len, text: reader.text(MAX_STATE)?.to_owned() });
        }
        Ok(ClientState { at, bridge: Delta::of_splices(&splices) })
    }
}

/// A version by the name it has inside texts.
pub fn inner(version: Version) -> kith_text::Version {
    kith_text::Version { agent: kith_text::Agent(version.agent.0), seq: version.seq }
}

/// The version with this name.
pub fn outer(version: kith_text::Version) -> Version {
    Version { agent: Agent(version.agent.0), seq: version.seq }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_texts_are_apart_whatever_their_names_are() {
        let (above, agent) = (Path::new(["a"]).unwrap(), Agent([7; 10]));
        let below = Path::new(["a", "\u{3}", ""]).unwrap();
        let range = inbox_range(1, &above);
        assert!(range.contains(&inbox_key(1, &above, agent, 5)));
        for row in [RowKey::Head, RowKey::Piece(3), RowKey::Chunk(0)] {
            assert!(!range.contains(&text_key(1, &below, row)) && !range.contains(&text_key(1, &above, row)));
            assert_eq!(text_place(&text_key(1, &below, row)), Some((1, below.clone())));
        }
        assert_eq!(inbox_author(&inbox_key(1, &above, agent, 5)), Some((agent, 5)));
        assert!(inbox_of(1, &above, agent, 5).contains(&inbox_key(1, &above, agent, 5)));
        assert!(!inbox_of(1, &above, agent, 6).contains(&inbox_key(1, &above, agent, 5)));
    }

    #[test]
    fn what_a_client_held_comes_back() {
        let own = Agent([7; 10]);
        let splice = |pos, len, text: &str| Splice { pos, len, text: text.into() };
        let at = vec![Version { agent: own, seq: 4 }, Version { agent: Agent([9; 10]), seq: 1 << 40 }];
        let bridge = Delta::of_splices(&[splice(0, 0, "é"), splice(3, 2, ""), splice(9, 1, "xyz")]);
        let state = ClientState { at, bridge };
        assert_eq!(ClientState::decode(&state.encode(Some(4)), own), Ok(state));
        // As it is written for other values, and for what would be too long.
        assert_eq!(ClientState::decode(&4u64.to_be_bytes(), own).unwrap().at, [Version { agent: own, seq: 4 }]);
        let long = Delta::of_splices(&[splice(0, 0, &"x".repeat(MAX_STATE))]);
        let long = ClientState { at: Vec::new(), bridge: long }.encode(None);
        assert!(long.len() < 16 && ClientState::decode(&long, own).is_err());
    }

    #[test]
    fn what_arrived_comes_back_in_rows_of_bounded_size() {
        let arrived: Arrived = (0..50).map(|seq| (seq * 3, vec![seq as u8; 2000])).collect();
        let rows = pack_inbox(&arrived);
        assert!(rows.len() > 2 && rows.iter().all(|(_, row)| row.len() < INBOX_ROW + 2010));
        let back: Arrived = rows.iter().flat_map(|(_, row)| unpack_inbox(row).unwrap()).collect();
        assert_eq!(back, arrived);
        assert_eq!(rows.last().map(|(last, _)| *last), Some(147));
        assert!(unpack_inbox(&[1, 0, 9]).is_err() && unpack_inbox(&[2]).is_err());
    }
}
