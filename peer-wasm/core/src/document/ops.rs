//! What an op entry says once its body is open.
//!
//! ```text
//! head = 0x01 ‖ clock (8 bytes, big-endian) ‖ write id (text)
//! part = path key (bytes) ‖ leaf, or what is redacted (see [`redaction`](super::redaction))
//! leaf = 0 (deleted) | 1 (object) | 2 ‖ JSON text (bytes) | 3 ‖ media type (text) ‖ content (bytes)
//!      | tag from 4 on ‖ what it says (bytes), see [`kind`](super::kind)
//!      | 12 ‖ (0 ‖ leaf | 1 ‖ clock (8 bytes, big-endian) ‖ agent[10] ‖ seq ‖ leaf) (bytes), see [`Since`]
//! ```
//! What a tag says has its length in front, so a peer that does not know the tag keeps the op and passes it on.
//! Each part stands or falls alone: one that cannot be read, or was redacted, takes nothing from the others.

use super::kind::{Act, Stamp, list, tag};
use super::redaction::{self, MAX_TARGETS, Target};
use super::row::Register;
use super::since::{self, Since};
use crate::codec::{CodecError, Reader, Writer};
use crate::entropy::Entropy;
use crate::entry::MAX_BODY;
use crate::epoch::EpochKey;
use crate::identity::PublicKey;
use crate::path::{MAX_PATH_BYTES, Path};
use crate::sealed;
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
    /// A value of a kind of its own; in a register without what the op said.
    Kind {
        /// Which kind.
        tag: u8,
        /// What the op says.
        body: Vec<u8>,
    },
}

impl Leaf {
    /// What a register keeps of an op of a kind.
    pub const fn kind(tag: u8) -> Leaf {
        Leaf::Kind { tag, body: Vec::new() }
    }

    /// The leaf as registers keep it.
    #[must_use]
    pub fn kept(&self) -> Leaf {
        match self {
            Leaf::Kind { tag, .. } => Leaf::kind(*tag),
            plain => plain.clone(),
        }
    }

    /// The kind's tag, if it is of one.
    pub const fn tag(&self) -> Option<u8> {
        match self {
            Leaf::Kind { tag, .. } => Some(*tag),
            _ => None,
        }
    }

    /// The byte that a written leaf begins with.
    pub const fn code(&self) -> u8 {
        match self {
            Leaf::Deleted => 0,
            Leaf::Object => 1,
            Leaf::Json(_) => 2,
            Leaf::Bytes { .. } => 3,
            Leaf::Kind { tag, .. } => *tag,
        }
    }

    /// Whether it does nothing but take away.
    pub fn takes_away(&self) -> bool {
        match self {
            Leaf::Kind { tag, body } => Act::decode(*tag, body).is_ok_and(|act| act.takes_away()),
            leaf => *leaf == Leaf::Deleted,
        }
    }

    /// Bytes of content.
    pub fn size(&self) -> usize {
        match self {
            Leaf::Deleted | Leaf::Object => 0,
            Leaf::Json(text) => text.len(),
            Leaf::Bytes { bytes, .. } => bytes.len(),
            Leaf::Kind { body, .. } => body.len(),
        }
    }

    /// Writes the leaf.
    pub fn encode(&self, writer: &mut Writer) {
        match self {
            Leaf::Deleted => writer.u8(0),
            Leaf::Object => writer.u8(1),
            Leaf::Json(text) => writer.u8(2).bytes(text),
            Leaf::Bytes { media, bytes } => writer.u8(3).text(media).bytes(bytes),
            Leaf::Kind { tag, body } => writer.u8(*tag).bytes(body),
        };
    }

    /// Reads a leaf. JSON text and what a kind says are not looked into.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Leaf, CodecError> {
        Ok(match reader.u8()? {
            0 => Leaf::Deleted,
            1 => Leaf::Object,
            2 => Leaf::Json(reader.bytes(MAX_BODY)?.to_vec()),
            3 => Leaf::Bytes { media: reader.text(MAX_MEDIA)?.to_owned(), bytes: reader.bytes(MAX_BODY)?.to_vec() },
            tag => Leaf::Kind { tag, body: reader.bytes(MAX_BODY)?.to_vec() },
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
    /// In which life of the place.
    pub since: Since,
    /// Where the set or list stands that it is part of, if not above it. Follows from moves and is not written.
    pub apart: Option<Path>,
}

impl Op {
    /// An op of the first life of its place.
    pub const fn new(path: Path, leaf: Leaf) -> Op {
        Op { path, leaf, since: Since::Start, apart: None }
    }

    /// The place whose life it is of: a set's or list's, for what stands in one.
    pub fn lives_at(&self) -> Path {
        self.apart.clone().unwrap_or_else(|| since::ruler(&self.path, &self.leaf))
    }
}

/// What an op entry says, to be sealed.
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
        Op::new(Path::space_name(), Leaf::Json(json))
    }
}

impl Op {
    /// The op as a part of a body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(&self.path.to_key());
        let mut life = Writer::new();
        match &self.since {
            Since::Start => {
                self.leaf.encode(&mut writer);
                return writer.finish();
            }
            Since::Here => drop(life.u8(0)),
            Since::Purge(purge) => purge.write(life.u8(1)),
        }
        self.leaf.encode(&mut life);
        writer.u8(tag::SINCE).bytes(&life.finish()).finish()
    }

    /// Reads a part: a path must be a path; the top of a space holds an object; JSON must be JSON.
    pub fn decode(part: &[u8]) -> Result<Op, CodecError> {
        let mut reader = Reader::new(part);
        let key = reader.bytes(MAX_PATH_BYTES)?;
        let path = if key == NAME_KEY { Some(Path::space_name()) } else { Path::from_key(key) };
        let path = path.or_else(|| Path::policy_from_key(key)).ok_or(CodecError::Tag)?;
        let (since, leaf) = match Leaf::decode(&mut reader)? {
            Leaf::Kind { tag: tag::SINCE, body } if !path.is_empty() && !path.is_reserved() => since::read(&body)?,
            leaf => (Since::Start, leaf),
        };
        let fits = match &leaf {
            Leaf::Json(text) => !path.is_empty() && is_leaf_json(text),
            Leaf::Bytes { .. } => !path.is_empty(),
            Leaf::Object | Leaf::Deleted => true,
            Leaf::Kind { tag, body } => says_something(&path, *tag, body)?,
        };
        if !fits || (path.policy_prefix().is_some() && !super::policy::fits(&leaf)) {
            return Err(CodecError::Tag);
        }
        reader.end()?;
        Ok(Op { since, ..Op::new(path, leaf) })
    }
}

impl Ops {
    fn head(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(1).fixed(&self.clock.to_be_bytes()).text(&self.id).finish()
    }

    /// The most bytes the body can come to, sealed.
    pub fn weight(&self) -> usize {
        let parts = self.list.iter().map(|op| op.encode().len());
        sealed::weight(self.head().len() + sealed::HEAD_SEAL, parts)
    }

    /// The body of the entry at `seq` of `log`, sealed; after the ops come lists of what is redacted.
    pub fn seal(
        &self,
        redactions: &[Vec<Target>],
        epoch: &EpochKey,
        space: &PublicKey,
        log: &PublicKey,
        seq: u64,
        entropy: &mut Entropy,
    ) -> Vec<u8> {
        let ops = self.list.iter().map(Op::encode);
        let parts: Vec<Vec<u8>> = ops.chain(redactions.iter().map(|list| redaction::encode(list))).collect();
        sealed::seal(epoch, space, log, seq, &self.head(), &parts, entropy)
    }

    /// The ops as items to apply.
    pub fn into_items(self, agent: Agent, seq: u64) -> Vec<Item> {
        let clock = self.clock;
        let stamp = Stamp { clock, agent, seq };
        self.list.into_iter().filter_map(|op| op.into_item(stamp)).collect()
    }
}

impl Op {
    /// The op as an item to apply; nothing if it says that it is of a life that began after it was made.
    fn into_item(self, stamp: Stamp) -> Option<Item> {
        let Stamp { clock, agent, seq } = stamp;
        let since = self.since.purge(stamp).ok()?;
        let strays = self.apart.map(|apart| Box::new(Strays { apart: Some(apart), ..Strays::default() }));
        Some(Item { path: self.path, register: Register { clock, agent, seq, leaf: self.leaf }, since, strays })
    }
}

/// The opened body of an op entry as received: some of what it said may be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// When, by the author's hybrid logical clock.
    pub clock: u64,
    /// The writer's own id for this write; empty if it gave none.
    pub id: String,
    /// The changes by part; nothing where a part is redacted, is a list of what is redacted, or says nothing readable.
    pub list: Vec<Option<Op>>,
    /// The parts whose bytes are gone.
    pub redacted: Vec<usize>,
    /// What the entry wants redacted elsewhere.
    pub redactions: Vec<Target>,
}

impl Opened {
    /// Opens the body of the op at `seq` of `log`; `None` if it was not sealed so or its head cannot be read.
    pub fn open(epoch: &EpochKey, space: &PublicKey, log: &PublicKey, seq: u64, body: &[u8]) -> Option<Opened> {
        Opened::read(&sealed::open(epoch, space, log, seq, body)?).ok()
    }

    /// Reads what was opened.
    pub fn read(body: &sealed::Opened) -> Result<Opened, CodecError> {
        let mut reader = Reader::new(&body.head);
        if reader.u8()? != 1 {
            return Err(CodecError::Tag);
        }
        let clock = u64::from_be_bytes(reader.fixed()?);
        let id = reader.text(MAX_WRITE_ID)?.to_owned();
        reader.end()?;
        let mut opened = Opened { clock, id, ..Opened::default() };
        for (index, part) in body.parts.iter().enumerate() {
            let Some(part) = part else {
                opened.redacted.push(index);
                opened.list.push(None);
                continue;
            };
            if redaction::is_one(part) {
                let list = redaction::decode(part).unwrap_or_default();
                // What one entry can have others do is bounded, in however many lists it says it.
                if opened.redactions.len() + list.len() <= MAX_TARGETS {
                    opened.redactions.extend(list);
                }
                opened.list.push(None);
            } else {
                opened.list.push(Op::decode(part).ok());
            }
        }
        Ok(opened)
    }

    /// The ops as items to apply.
    pub fn into_items(self, agent: Agent, seq: u64) -> Vec<Item> {
        let clock = self.clock;
        let stamp = Stamp { clock, agent, seq };
        self.list.into_iter().flatten().filter_map(|op| op.into_item(stamp)).collect()
    }
}

/// Whether an op of a kind can stand at this place. Of a tag that is not known here anything can be said.
fn says_something(path: &Path, kind: u8, body: &[u8]) -> Result<bool, CodecError> {
    if path.is_empty() || path.is_reserved() {
        return Ok(false);
    }
    if !tag::is_known(kind) {
        return Ok(true);
    }
    Ok(match Act::decode(kind, body)? {
        Act::Member(act) => act.fits(path),
        Act::Element => {
            path.len() >= 2 && path.segments().last().is_some_and(|name| list::Id::from_name(name).is_some())
        }
        Act::List(_) => path.child(&list::Id::LONGEST.name()).is_ok(),
        Act::Move(to) => !to.is_empty(),
        Act::Mv(_) | Act::Counter(_) | Act::Set | Act::Text(_) => true,
    })
}

/// Whether text is a JSON value of any kind, not nested too deep.
pub(super) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(text).is_ok_and(|value| crate::patch::check_depth(&value).is_ok())
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
    /// The purge that began the life of the place it is of.
    pub since: Option<Stamp>,
    /// What moves tore apart, if they did.
    pub strays: Option<Box<Strays>>,
}

/// What does not stand where it would by its path: a set or list and its parts belong together wherever they were moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// Where the set or list stands that the op is part of, if not above it.
    pub apart: Option<Path>,
    /// The parts of the set or list the op is of that stand elsewhere …
    pub away: Vec<Path>,
    /// … and what stands in it and was made elsewhere.
    pub foreign: Vec<Path>,
}

impl Item {
    /// An item of the first life of its place.
    pub const fn new(path: Path, register: Register) -> Item {
        Item { path, register, since: None, strays: None }
    }

    /// The place whose life it is of: a set's or list's, for what stands in one.
    pub fn lives_at(&self) -> Path {
        let apart = self.strays.as_ref().and_then(|strays| strays.apart.clone());
        apart.unwrap_or_else(|| since::ruler(&self.path, &self.register.leaf))
    }
}
