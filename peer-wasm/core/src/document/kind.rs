//! Kinds of values: how concurrent writes to one place come together.
//!
//! A write of a kind does two things. It is a register write that says "this place is of kind k", so the later write
//! decides where people disagree about the kind. And it changes the place's *state* of that kind, whether or not
//! it is the later write. State belongs to place and kind, not to an act of creation: two people who make the same
//! counter while offline have made one counter.
//!
//! | tag | what the op says | bytes |
//! |---|---|---|
//! | 4 | [`mv`] | `0 ‖ covers ‖ content` or `1 ‖ covers` |
//! | 5 | [`counter`] | `0 ‖ delta` or `1 ‖ count ‖ (agent[10] ‖ seq ‖ sum)*` |
//! | 6 | a set is here | nothing |
//! | 7 | [`member`] of a set | `0 ‖ covers ‖ JSON (bytes)` or `1 ‖ covers` |
//! | 8 | [`list`]; its elements stand below it | see there |
//! | 9 | an element of a list goes | nothing |
//! | 10 | on a [`text`] | nothing: a text is here; or an operation as `kith-text` writes it |
//! | 11 | what stands here [moves](super::moves) | the key of the path it moves to |
//! | 12 | an op of a later [life](super::since::Since) of its place | see there |
//!
//! `covers = count ‖ (agent[10] ‖ seq)*`, agents ascending: everything of that agent at this place up to that entry
//! has been seen and is replaced. Sums and deltas are zigzag numbers. A tag never changes its meaning: what a later
//! release adds, it adds under a new one.

pub mod authors;
pub mod counter;
pub mod list;
pub mod member;
pub mod mv;
pub mod text;

use crate::codec::{CodecError, Reader, Writer};
use crate::path::Path;
use crate::version::{Agent, Version};
use authors::Writers;

/// Tags of ops and of the states they change.
pub mod tag {
    /// The first tag of a kind; what is below is plain.
    pub const FIRST: u8 = 4;
    /// Every concurrent value.
    pub const MV: u8 = 4;
    /// A counter.
    pub const COUNTER: u8 = 5;
    /// A set; its members stand below it.
    pub const SET: u8 = 6;
    /// A member of a set.
    pub const MEMBER: u8 = 7;
    /// A list; its elements stand below it.
    pub const LIST: u8 = 8;
    /// An element of a list.
    pub const ELEMENT: u8 = 9;
    /// A text.
    pub const TEXT: u8 = 10;
    /// A move to another path. No register is ever of it: rows only note by it who moved something there or away.
    pub const MOVE: u8 = 11;
    /// Around another op: of a life of its place that a purge began. As a state: which life that is.
    pub const SINCE: u8 = 12;

    /// Whether this release knows what the tag means.
    pub const fn is_known(tag: u8) -> bool {
        matches!(tag, MV | COUNTER | SET | MEMBER | LIST | ELEMENT | TEXT | MOVE | SINCE)
    }
}

/// How concurrent writes to a place are merged, as chosen by `Merge-Type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Merge {
    /// The last writer wins, field by field.
    #[default]
    Lww,
    /// Every concurrent value is kept until a write settles it.
    Mv,
    /// Increments add up.
    Counter,
    /// Concurrent additions win over removals.
    Set,
    /// Elements keep their order; concurrent runs stay whole.
    List,
    /// Edits of a text all stay.
    Text,
}

impl Merge {
    /// Every merge type this release offers.
    pub const ALL: [Merge; 6] = [Merge::Lww, Merge::Mv, Merge::Counter, Merge::Set, Merge::List, Merge::Text];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Merge::Lww => "lww",
            Merge::Mv => "mv",
            Merge::Counter => "counter",
            Merge::Set => "set",
            Merge::List => "list",
            Merge::Text => "simpleton",
        }
    }

    /// The merge type with this name.
    pub fn from_name(name: &str) -> Option<Merge> {
        Merge::ALL.into_iter().find(|merge| merge.name() == name)
    }

    /// The merge type of a place whose register has this tag.
    pub const fn of_tag(tag: u8) -> Option<Merge> {
        Some(match tag {
            tag::MV => Merge::Mv,
            tag::COUNTER => Merge::Counter,
            tag::SET => Merge::Set,
            tag::LIST => Merge::List,
            tag::TEXT => Merge::Text,
            // The children of sets and lists are plain to whoever reads them by themselves.
            tag::MEMBER | tag::ELEMENT => Merge::Lww,
            _ => return None,
        })
    }
}

/// Who changed something, and when. Stamps are ordered as writes win over each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// When, by the author's hybrid logical clock.
    pub clock: u64,
    /// Whose log.
    pub agent: Agent,
    /// Which entry of it.
    pub seq: u64,
}

impl Stamp {
    /// Writes it.
    pub fn write(&self, writer: &mut Writer) {
        writer.fixed(&self.clock.to_be_bytes()).fixed(&self.agent.0).number(self.seq);
    }

    /// Reads one.
    pub fn read(reader: &mut Reader<'_>) -> Result<Stamp, CodecError> {
        let clock = u64::from_be_bytes(reader.fixed()?);
        Ok(Stamp { clock, agent: Agent(reader.fixed()?), seq: authors::seq(reader)? })
    }
}

/// What the bytes of a kinded op say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// On a value that keeps every concurrent one.
    Mv(mv::Act),
    /// On a counter.
    Counter(counter::Act),
    /// A set is here.
    Set,
    /// On a member of a set.
    Member(member::Act),
    /// On a list.
    List(list::Act),
    /// An element of a list goes.
    Element,
    /// On a text: an operation's bytes, which are looked into where the text is put together; none if it only says that a
    /// text is here.
    Text(Vec<u8>),
    /// What stands here moves to this path.
    Move(Path),
}

impl Act {
    /// The op's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Act::Mv(act) => act.encode(),
            Act::Counter(act) => act.encode(),
            Act::Member(act) => act.encode(),
            Act::List(act) => act.encode(),
            Act::Text(op) => op.clone(),
            Act::Move(to) => to.to_key(),
            Act::Set | Act::Element => Vec::new(),
        }
    }

    /// Whether it does nothing but take away. (Elements of a list have no address: their going changes the list.)
    pub const fn takes_away(&self) -> bool {
        matches!(
            self,
            Act::Mv(mv::Act::Delete(_)) | Act::Counter(counter::Act::Delete(_)) | Act::Member(member::Act::Remove(_))
        )
    }

    /// Reads the bytes of an op with a known tag.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Act, CodecError> {
        let mut reader = Reader::new(body);
        let act = match kind {
            tag::MV => Act::Mv(mv::Act::read(&mut reader)?),
            tag::COUNTER => Act::Counter(counter::Act::read(&mut reader)?),
            tag::SET => Act::Set,
            tag::MEMBER => Act::Member(member::Act::read(&mut reader)?),
            tag::LIST => Act::List(list::Act::read(&mut reader)?),
            tag::ELEMENT => Act::Element,
            tag::TEXT => Act::Text(reader.take(body.len())?.to_vec()),
            tag::MOVE => Act::Move(Path::from_key(reader.take(body.len())?).ok_or(CodecError::Tag)?),
            _ => return Err(CodecError::Tag),
        };
        reader.end()?;
        Ok(act)
    }
}

/// What a place knows of its past under one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Every concurrent value.
    Mv(mv::Values),
    /// A counter.
    Counter(counter::Sums),
    /// A member of a set.
    Member(member::Adds),
    /// A set or list: who wrote in it last. A place that something was moved to or away from: who did so.
    Writers(Writers),
    /// An element of a list.
    Element(list::Element),
    /// A text.
    Text(text::Shown),
    /// The purge that began the life this place is in. Beside it are the states of that life.
    Since(Stamp),
}

impl State {
    /// The state of a kind before anything happened.
    pub fn empty(kind: u8) -> Option<State> {
        Some(match kind {
            tag::MV => State::Mv(mv::Values::default()),
            tag::COUNTER => State::Counter(counter::Sums::default()),
            tag::MEMBER => State::Member(member::Adds::default()),
            tag::SET | tag::LIST | tag::MOVE => State::Writers(Writers::default()),
            tag::ELEMENT => State::Element(list::Element::default()),
            tag::TEXT => State::Text(text::Shown::default()),
            tag::SINCE => State::Since(Stamp::START),
            _ => return None,
        })
    }

    /// Whether it amounts to something that reads show.
    pub fn is_live(&self) -> bool {
        match self {
            State::Mv(values) => values.is_live(),
            State::Counter(sums) => sums.is_live(),
            State::Member(adds) => adds.is_live(),
            State::Writers(_) | State::Text(_) | State::Since(_) => true,
            State::Element(element) => element.is_live(),
        }
    }

    /// The last write of each author that is known.
    pub fn versions(&self) -> Vec<Version> {
        match self {
            State::Mv(values) => values.0.versions(),
            State::Counter(sums) => sums.0.versions(),
            State::Member(adds) => adds.0.versions(),
            State::Writers(writers) => writers.versions(),
            State::Element(_) | State::Since(_) => Vec::new(),
            State::Text(shown) => shown.frontier.clone(),
        }
    }

    /// Writes the state.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            State::Mv(values) => values.write(writer),
            State::Counter(sums) => sums.write(writer),
            State::Member(adds) => adds.write(writer),
            State::Writers(writers) => writers.write(writer),
            State::Element(element) => element.write(writer),
            State::Text(shown) => shown.write(writer),
            State::Since(purge) => purge.write(writer),
        }
    }

    /// Reads the state of a kind.
    pub fn read(kind: u8, reader: &mut Reader<'_>) -> Result<State, CodecError> {
        Ok(match State::empty(kind).ok_or(CodecError::Tag)? {
            State::Mv(_) => State::Mv(mv::Values::read(reader)?),
            State::Counter(_) => State::Counter(counter::Sums::read(reader)?),
            State::Member(_) => State::Member(member::Adds::read(reader)?),
            State::Writers(_) => State::Writers(Writers::read(reader)?),
            State::Element(_) => State::Element(list::Element::read(reader)?),
            State::Text(_) => State::Text(text::Shown::read(reader)?),
            State::Since(_) => State::Since(Stamp::read(reader)?),
        })
    }
}

/// A signed number as an unsigned one, small ones small.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The signed number back.
pub(super) fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}
