//! What an op entry says once its body is open.
//!
//! ```text
//! ops = 0x01 ‖ clock (8 bytes, big-endian) ‖ write id (text) ‖ count ‖ (path key (bytes) ‖ leaf)*
//! leaf = 0 (deleted) | 1 (object) | 2 ‖ JSON text (bytes) | 3 ‖ media type (text) ‖ content (bytes)
//! ```

use super::row::Register;
use crate::codec::{CodecError, Reader, Writer};
use crate::entry::MAX_BODY;
use crate::path::{MAX_PATH_BYTES, Path};
use crate::version::Agent;

/// The most ops in one entry.
pub const MAX_OPS: usize = 16_384;
/// The most bytes of a writer's own id for a write.
pub const MAX_WRITE_ID: usize = 128;
/// The most bytes of a media type.
const MAX_MEDIA: usize = 256;

/// What a register holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leaf {
    /// Nothing any more.
    Deleted,
    /// An object; its members have registers of their own.
    Object,
    /// A JSON value that is not an object, as JSON text.
    Json(Vec<u8>),
    /// Bytes of a media type.
    Bytes {
        /// The media type.
        media: String,
        /// The content.
        bytes: Vec<u8>,
    },
}

impl Leaf {
    /// The byte that says what kind of leaf this is.
    pub const fn tag(&self) -> u8 {
        match self {
            Leaf::Deleted => 0,
            Leaf::Object => 1,
            Leaf::Json(_) => 2,
            Leaf::Bytes { .. } => 3,
        }
    }

    /// Bytes of content.
    pub fn size(&self) -> usize {
        match self {
            Leaf::Deleted | Leaf::Object => 0,
            Leaf::Json(text) => text.len(),
            Leaf::Bytes { bytes, .. } => bytes.len(),
        }
    }

    /// Writes the leaf.
    pub fn encode(&self, writer: &mut Writer) {
        match self {
            Leaf::Deleted => writer.u8(0),
            Leaf::Object => writer.u8(1),
            Leaf::Json(text) => writer.u8(2).bytes(text),
            Leaf::Bytes { media, bytes } => writer.u8(3).text(media).bytes(bytes),
        };
    }

    /// Reads a leaf. JSON text is not looked into.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Leaf, CodecError> {
        Ok(match reader.u8()? {
            0 => Leaf::Deleted,
            1 => Leaf::Object,
            2 => Leaf::Json(reader.bytes(MAX_BODY)?.to_vec()),
            3 => Leaf::Bytes { media: reader.text(MAX_MEDIA)?.to_owned(), bytes: reader.bytes(MAX_BODY)?.to_vec() },
            _ => return Err(CodecError::Tag),
        })
    }
}

/// One change: this place holds this now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The place.
    pub path: Path,
    /// What it holds.
    pub leaf: Leaf,
}

/// The opened body of an op entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ops {
    /// When, by the author's hybrid logical clock.
    pub clock: u64,
    /// The writer's own id for this write; empty if it gave none.
    pub id: String,
    /// The changes, no place twice.
    pub list: Vec<Op>,
}

/// The name of a space is kept in its tree, at a place programs cannot reach.
const NAME_KEY: &[u8] = b"$space\0name\0";

impl Op {
    /// Names the space.
    pub fn name(text: &str) -> Op {
        let json = serde_json::Value::from(text).to_string().into_bytes();
        Op { path: Path::space_name(), leaf: Leaf::Json(json) }
    }
}

impl Ops {
    /// The body, to be sealed.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(1).fixed(&self.clock.to_be_bytes()).text(&self.id).number(self.list.len() as u64);
        for op in &self.list {
            writer.bytes(&op.path.to_key());
            op.leaf.encode(&mut writer);
        }
        writer.finish()
    }

    /// Reads an opened body: paths must be paths, none twice; the top of a space holds an object; JSON must be JSON.
    pub fn decode(body: &[u8]) -> Result<Ops, CodecError> {
        let mut reader = Reader::new(body);
        if reader.u8()? != 1 {
            return Err(CodecError::Tag);
        }
        let clock = u64::from_be_bytes(reader.fixed()?);
        let id = reader.text(MAX_WRITE_ID)?.to_owned();
        let count = reader.size(MAX_OPS)?;
        let mut list: Vec<Op> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..count {
            let key = reader.bytes(MAX_PATH_BYTES)?;
            let path = if key == NAME_KEY { Some(Path::space_name()) } else { Path::from_key(key) };
            let path = path.ok_or(CodecError::Tag)?;
            let leaf = Leaf::decode(&mut reader)?;
            let fits = match &leaf {
                Leaf::Json(text) => !path.is_empty() && is_leaf_json(text),
                Leaf::Bytes { .. } => !path.is_empty(),
                Leaf::Object | Leaf::Deleted => true,
            };
            if !fits || !seen.insert(key) {
                return Err(CodecError::Tag);
            }
            list.push(Op { path, leaf });
        }
        reader.end()?;
        Ok(Ops { clock, id, list })
    }

    /// The ops as items to apply.
    pub fn into_items(self, agent: Agent, seq: u64) -> Vec<Item> {
        let clock = self.clock;
        self.list
            .into_iter()
            .map(|op| Item { path: op.path, register: Register { clock, agent, seq, leaf: op.leaf } })
            .collect()
    }
}

/// Whether text is a JSON value that one register holds: no object, not nested too deep.
fn is_leaf_json(text: &[u8]) -> bool {
    match serde_json::from_slice::<serde_json::Value>(text) {
        Ok(value) => !value.is_object() && crate::patch::check_depth(&value).is_ok(),
        Err(_) => false,
    }
}

/// An op and who wrote it when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The place.
    pub path: Path,
    /// What it becomes, if nothing later stands there.
    pub register: Register,
}
