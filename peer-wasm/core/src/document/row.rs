//! How the tree is kept in rows.
//!
//! ```text
//! key = space (4 bytes, big-endian) ‖ 0x01 ‖ path key
//!     | space (4 bytes, big-endian) ‖ 0x03 ‖ path key      values stand beside each other there; the row is empty
//!     | space (4 bytes, big-endian) ‖ 0x04, 0x05           texts, see [`text`](super::text)
//! row = flags (1 register, 2 container, 4 hidden, 8 states, 16 early: never stored) ‖ [clock (8 bytes) ‖ agent[10] ‖ seq ‖ leaf]
//!       ‖ [count ‖ (tag ‖ state)*]
//! ```
//! Flags that are not known belong to a later layout. Rows written before there were kinds have no states and
//! read as they always did.

use super::kind::{Stamp, State, tag};
use super::ops::Leaf;
use crate::codec::{CodecError, Reader, Writer};
use crate::path::Path;
use crate::version::{Agent, Version};

const REGISTER: u8 = 1;
const CONTAINER: u8 = 2;
const HIDDEN: u8 = 4;
const STATES: u8 = 8;
const EARLY: u8 = 16;

/// The last write at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// When, by the author's hybrid logical clock.
    pub clock: u64,
    /// Whose log.
    pub agent: Agent,
    /// Which entry of it.
    pub seq: u64,
    /// What it holds.
    pub leaf: Leaf,
}

impl Register {
    /// Whether this write wins over `other`: later, or at the same time by the greater author. Honest authors never
    /// write two things at one time and place in their log; should someone do so, the greater content wins.
    pub fn is_after(&self, other: &Register) -> bool {
        (self.clock, self.agent, self.seq, &self.leaf) > (other.clock, other.agent, other.seq, &other.leaf)
    }

    /// Whether it holds anything, as far as the register alone says.
    pub fn is_live(&self) -> bool {
        self.leaf != Leaf::Deleted
    }

    /// Whether it holds a value that leaves no room for anything below.
    pub fn is_scalar(&self) -> bool {
        match &self.leaf {
            Leaf::Json(_) | Leaf::Bytes { .. } => true,
            Leaf::Kind { tag, .. } => !matches!(*tag, tag::SET | tag::LIST),
            Leaf::Deleted | Leaf::Object => false,
        }
    }

    /// Its version.
    pub fn version(&self) -> Version {
        Version { agent: self.agent, seq: self.seq }
    }
}

/// What a place knows of its past under each kind it has been of: by tag, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct States(pub Vec<(u8, State)>);

impl States {
    /// The state of a kind.
    pub fn get(&self, kind: u8) -> Option<&State> {
        self.0.iter().find(|(tag, _)| *tag == kind).map(|(_, state)| state)
    }

    /// The state of a kind, as it is before anything happened if there is none; `None` for kinds without one.
    pub fn of(&mut self, kind: u8) -> Option<&mut State> {
        let at = self.0.partition_point(|(tag, _)| *tag < kind);
        if self.0.get(at).is_none_or(|(tag, _)| *tag != kind) {
            self.0.insert(at, (kind, State::empty(kind)?));
        }
        self.0.get_mut(at).map(|(_, state)| state)
    }
}

/// A place in the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewRow {
    /// The last write here, if there was one.
    pub register: Option<Register>,
    /// Whether there is, or was, anything below.
    pub container: bool,
    /// Whether something later above or below takes its place in reads.
    pub hidden: bool,
    /// The register came before the log it stands in: it is shown, and counts for no version.
    pub early: bool,
    /// What it knows of its past under each kind it has been of.
    pub states: States,
}

impl ViewRow {
    /// The purge that began the life this place is in, if any did.
    pub fn since(&self) -> Option<Stamp> {
        match self.states.get(tag::SINCE) {
            Some(State::Since(purge)) => Some(*purge),
            _ => None,
        }
    }

    /// Whether what it holds, or held, is made of many ops of its own, so that a purge has to begin a new life here.
    pub fn is_grown(&self) -> bool {
        self.states.0.iter().any(|(kind, _)| !matches!(*kind, tag::MEMBER | tag::ELEMENT | tag::MOVE | tag::SINCE))
    }

    /// Whether it holds anything: what its kind's state says, or else the register.
    pub fn is_live(&self) -> bool {
        match &self.register {
            None => false,
            Some(Register { leaf: Leaf::Kind { tag, .. }, .. }) => self.states.get(*tag).is_none_or(State::is_live),
            Some(register) => register.is_live(),
        }
    }

    /// Whether anything was ever written here; that something was moved here or away is nothing of the kind.
    pub fn is_held(&self) -> bool {
        self.register.is_some() || self.states.0.iter().any(|(kind, _)| *kind != tag::MOVE)
    }

    /// The register, if reads show it.
    pub fn visible(&self) -> Option<&Register> {
        self.register.as_ref().filter(|_| !self.hidden && self.is_live())
    }

    /// The tag of the kind that reads show.
    pub fn shown_tag(&self) -> Option<u8> {
        self.visible()?.leaf.tag()
    }

    /// The state of the kind that reads show.
    pub fn shown_state(&self) -> Option<&State> {
        self.states.get(self.shown_tag()?)
    }

    /// The last write here of everybody who is known to have written.
    ///
    /// A text is at the state it shows: a write to it counts once it is part of that.
    pub fn versions(&self) -> impl Iterator<Item = Version> {
        let is_text = self.register.as_ref().is_some_and(|register| register.leaf.tag() == Some(tag::TEXT));
        let written = is_text && self.states.get(tag::TEXT).is_some_and(|state| !state.versions().is_empty());
        let register = self.register.iter().filter(move |_| !written && !self.early).map(Register::version);
        register.chain(self.states.0.iter().flat_map(|(_, state)| state.versions()))
    }

    /// Whether values stand beside each other, as far as this place alone says.
    pub fn is_in_conflict(&self) -> bool {
        let is_mv = self.register.as_ref().is_some_and(|register| register.leaf.tag() == Some(tag::MV));
        is_mv && matches!(self.states.get(tag::MV), Some(State::Mv(values)) if values.is_in_conflict())
    }

    /// The row's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        writer.u8(flag(self.register.is_some(), REGISTER)
            | flag(self.container, CONTAINER)
            | flag(self.hidden, HIDDEN)
            | flag(self.early, EARLY)
            | flag(!self.states.0.is_empty(), STATES));
        if let Some(register) = &self.register {
            writer.fixed(&register.clock.to_be_bytes()).fixed(&register.agent.0).number(register.seq);
            register.leaf.encode(&mut writer);
        }
        if !self.states.0.is_empty() {
            writer.number(self.states.0.len() as u64);
            for (tag, state) in &self.states.0 {
                state.write(writer.u8(*tag));
            }
        }
        writer.finish()
    }

    /// Reads a row; `None` if it is not one.
    pub fn decode(bytes: &[u8]) -> Option<ViewRow> {
        Self::read(bytes).ok().filter(|row| !row.early)
    }

    /// Reads a row that reads see, which may have come early.
    pub(super) fn decode_seen(bytes: &[u8]) -> Option<ViewRow> {
        Self::read(bytes).ok()
    }

    fn read(bytes: &[u8]) -> Result<ViewRow, CodecError> {
        let mut reader = Reader::new(bytes);
        let flags = reader.u8()?;
        if flags >= EARLY << 1 {
            return Err(CodecError::Tag);
        }
        let register = if flags & REGISTER == 0 {
            None
        } else {
            let clock = u64::from_be_bytes(reader.fixed()?);
            let agent = Agent(reader.fixed()?);
            let seq = reader.number()?;
            Some(Register { clock, agent, seq, leaf: Leaf::decode(&mut reader)? })
        };
        let mut states = States::default();
        if flags & STATES != 0 {
            for _ in 0..reader.size(usize::from(u8::MAX))? {
                let tag = reader.u8()?;
                states.0.push((tag, State::read(tag, &mut reader)?));
            }
        }
        reader.end()?;
        let is = |bit: u8| flags & bit != 0;
        Ok(ViewRow { register, container: is(CONTAINER), hidden: is(HIDDEN), early: is(EARLY), states })
    }
}

/// Bytes in what the keys of all rows of a space's tree begin with.
pub(super) const PREFIX: usize = 5;

/// What the keys of all rows of a space's tree begin with.
pub fn view_prefix(space: u32) -> Vec<u8> {
    let mut key = space.to_be_bytes().to_vec();
    key.push(1);
    key
}

/// The key of a place's row.
pub fn view_key(space: u32, path: &Path) -> Vec<u8> {
    let mut key = view_prefix(space);
    key.extend_from_slice(&path.to_key());
    key
}

/// The key of the row that says that values stand beside each other at a place; of all of them, for the top.
pub fn conflict_key(space: u32, path: &Path) -> Vec<u8> {
    let mut key = space.to_be_bytes().to_vec();
    key.push(3);
    key.extend_from_slice(&path.to_key());
    key
}

/// The same from the key of the place's row.
pub(crate) fn conflict_of_row(row: &[u8]) -> Vec<u8> {
    let mut key = row.to_vec();
    if let Some(kind) = key.get_mut(PREFIX - 1) {
        *kind = 3;
    }
    key
}

/// What the keys of all rows begin with that remember writers' own ids.
pub fn write_ids(space: u32) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[2]].concat()
}

/// The key of the row that remembers a writer's own id for a write.
pub fn write_id_key(space: u32, id: &str) -> Vec<u8> {
    let mut key = write_ids(space);
    key.extend(blake3::hash(id.as_bytes()).as_bytes().iter().take(16));
    key
}
