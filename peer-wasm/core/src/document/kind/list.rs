//! A list. Its elements are places below the list's, each named by the write that made it.
//!
//! Order is that of the tree in M. Weidner and M. Kleppmann, "The Art of the Fugue: Minimizing Interleaving in
//! Collaborative Text Editing" (2023): every position is a node that hangs left or right of another; runs typed at
//! one spot at once stay whole. A position that arrives before the one it hangs from waits unseen. An element has
//! the position it was made with until it is moved: its latest move says which (M. Kleppmann, "Moving Elements in
//! List CRDTs", 2020), so concurrent moves never double it. Deleting an element is for good.
//!
//! ```text
//! list   = count ‖ action*
//! action = 0 ‖ hook ‖ count ‖ JSON (bytes)*          a run of new elements, each right of the one before
//!        | 1 ‖ id ‖ count                            elements go: this one and those made right after it
//!        | 2 ‖ id ‖ hook                             an element moves
//!        | 3 ‖ id ‖ JSON (bytes)                     an element becomes this
//! hook   = 0 (right of the start) | 1 ‖ id (left of) | 2 ‖ id (right of)
//! id     = 0 ‖ index (of this op) | 1 ‖ agent[10] ‖ seq ‖ index
//! ```
//! New elements and moves are numbered from 0 on within an op: `index`.

use super::Stamp;
use super::authors::seq;
use crate::codec::{CodecError, Reader, Writer};
use crate::document::ops::is_json;
use crate::version::Agent;

mod edit;
mod element;
mod order;

pub use edit::Editor;
pub use element::Element;
pub use order::{Position, Shown, order};

/// The most elements that one op may touch, and the most a list shows.
pub const MAX_ELEMENTS: usize = 10_000;
/// The most bytes of one element's JSON text.
pub const MAX_ELEMENT: usize = 64 << 10;

/// Names an element, and a position: the write that made it and the number it had there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Whose log.
    pub agent: Agent,
    /// Which entry of it.
    pub seq: u64,
    /// The number within the op.
    pub index: u32,
}

impl Id {
    /// One with the longest name there is.
    pub const LONGEST: Id = Id { agent: Agent([0; 10]), seq: u64::MAX, index: u32::MAX };

    /// The name of its place below the list's.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.agent, self.seq, self.index)
    }

    /// The id with this name.
    pub fn from_name(name: &str) -> Option<Id> {
        let (version, index) = name.rsplit_once('-')?;
        let version: crate::version::Version = version.parse().ok()?;
        let id = Id { agent: version.agent, seq: version.seq, index: index.parse().ok()? };
        (id.name() == name).then_some(id)
    }

    fn write(&self, writer: &mut Writer) {
        writer.fixed(&self.agent.0).number(self.seq).number(self.index.into());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Id, CodecError> {
        let agent = Agent(reader.fixed()?);
        Ok(Id { agent, seq: seq(reader)?, index: index(reader)? })
    }
}

fn index(reader: &mut Reader<'_>) -> Result<u32, CodecError> {
    u32::try_from(reader.number()?).map_err(|_| CodecError::Number)
}

/// An id as it stands in an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ref {
    /// Made by this op, with this number.
    Here(u32),
    /// Made by another.
    There(Id),
}

impl Ref {
    fn write(&self, writer: &mut Writer) {
        match self {
            Ref::Here(index) => drop(writer.u8(0).number((*index).into())),
            Ref::There(id) => id.write(writer.u8(1)),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Ref, CodecError> {
        match reader.u8()? {
            0 => Ok(Ref::Here(index(reader)?)),
            1 => Ok(Ref::There(Id::read(reader)?)),
            _ => Err(CodecError::Tag),
        }
    }

    fn id(&self, stamp: Stamp) -> Id {
        match self {
            Ref::Here(index) => Id { agent: stamp.agent, seq: stamp.seq, index: *index },
            Ref::There(id) => *id,
        }
    }
}

/// Where a position hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook<T> {
    /// Right of the start.
    Start,
    /// Left of a position.
    Left(T),
    /// Right of a position.
    Right(T),
}

impl<T> Hook<T> {
    fn map<U>(&self, change: impl Fn(&T) -> U) -> Hook<U> {
        match self {
            Hook::Start => Hook::Start,
            Hook::Left(at) => Hook::Left(change(at)),
            Hook::Right(at) => Hook::Right(change(at)),
        }
    }

    fn write(&self, writer: &mut Writer, at: impl Fn(&T, &mut Writer)) {
        match self {
            Hook::Start => drop(writer.u8(0)),
            Hook::Left(parent) => at(parent, writer.u8(1)),
            Hook::Right(parent) => at(parent, writer.u8(2)),
        }
    }

    fn read(
        reader: &mut Reader<'_>,
        at: impl Fn(&mut Reader<'_>) -> Result<T, CodecError>,
    ) -> Result<Hook<T>, CodecError> {
        Ok(match reader.u8()? {
            0 => Hook::Start,
            1 => Hook::Left(at(reader)?),
            2 => Hook::Right(at(reader)?),
            _ => return Err(CodecError::Tag),
        })
    }
}

/// One step of an op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// New elements, as JSON text.
    Insert(Hook<Ref>, Vec<Vec<u8>>),
    /// Elements go: this one and so many in all with the numbers after it.
    Delete(Ref, u32),
    /// An element moves.
    Move(Ref, Hook<Ref>),
    /// An element becomes this JSON text.
    Replace(Ref, Vec<u8>),
}

/// What an op says. Without actions: a list is here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Act(pub Vec<Action>);

/// What an op changes at one element's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touch {
    /// A position; of a new element with this text, or of one that moves here.
    Made(Hook<Id>, Made),
    /// The element goes.
    Gone,
    /// The element stands at this position now.
    Moved(Id),
    /// The element becomes this.
    Became(Vec<u8>),
}

/// What a position was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// A new element.
    Element(Vec<u8>),
    /// An element that moves.
    Move(Id),
}

impl Act {
    /// The op's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.number(self.0.len() as u64);
        for action in &self.0 {
            match action {
                Action::Insert(hook, texts) => {
                    hook.write(writer.u8(0), Ref::write);
                    writer.number(texts.len() as u64);
                    for text in texts {
                        writer.bytes(text);
                    }
                }
                Action::Delete(at, count) => {
                    at.write(writer.u8(1));
                    writer.number((*count).into());
                }
                Action::Move(at, hook) => {
                    at.write(writer.u8(2));
                    hook.write(&mut writer, Ref::write);
                }
                Action::Replace(at, text) => {
                    at.write(writer.u8(3));
                    writer.bytes(text);
                }
            }
        }
        writer.finish()
    }

    /// Reads the op's bytes: JSON must be JSON, and what refers to this op must come after what it refers to.
    pub fn read(reader: &mut Reader<'_>) -> Result<Act, CodecError> {
        let mut actions = Vec::new();
        let (mut made, mut touched) = (0u32, 0usize);
        let known = |reader: &mut Reader<'_>, made: u32| match Ref::read(reader)? {
            Ref::Here(index) if index >= made => Err(CodecError::Tag),
            at => Ok(at),
        };
        let text = |reader: &mut Reader<'_>| {
            let text = reader.bytes(MAX_ELEMENT)?;
            if is_json(text) { Ok(text.to_vec()) } else { Err(CodecError::Tag) }
        };
        for _ in 0..reader.size(MAX_ELEMENTS)? {
            let action = match reader.u8()? {
                0 => {
                    let hook = Hook::read(reader, |reader| known(reader, made))?;
                    let count = reader.size(MAX_ELEMENTS)?;
                    if count == 0 {
                        return Err(CodecError::Limit);
                    }
                    let texts: Vec<Vec<u8>> = (0..count).map(|_| text(reader)).collect::<Result<_, _>>()?;
                    (made, touched) = (made.saturating_add(count as u32), touched + count);
                    Action::Insert(hook, texts)
                }
                1 => {
                    let at = known(reader, made)?;
                    let count = reader.size(MAX_ELEMENTS)? as u32;
                    let (Ref::Here(first) | Ref::There(Id { index: first, .. })) = at;
                    if count == 0 || first.checked_add(count).is_none() {
                        return Err(CodecError::Limit);
                    }
                    touched += count as usize;
                    Action::Delete(at, count)
                }
                2 => {
                    let at = known(reader, made)?;
                    let hook = Hook::read(reader, |reader| known(reader, made))?;
                    (made, touched) = (made.saturating_add(1), touched + 2);
                    Action::Move(at, hook)
                }
                3 => {
                    touched += 1;
                    Action::Replace(known(reader, made)?, text(reader)?)
                }
                _ => return Err(CodecError::Tag),
            };
            if touched > 2 * MAX_ELEMENTS {
                return Err(CodecError::Limit);
            }
            actions.push(action);
        }
        Ok(Act(actions))
    }

    /// What it changes, element by element.
    pub fn touches(self, stamp: Stamp) -> Vec<(Id, Touch)> {
        let mut touches = Vec::new();
        let mut made = 0u32;
        let here = |index| Id { agent: stamp.agent, seq: stamp.seq, index };
        for action in self.0 {
            match action {
                Action::Insert(hook, texts) => {
                    let mut hook = hook.map(|at| at.id(stamp));
                    for text in texts {
                        let id = here(made);
                        touches.push((id, Touch::Made(hook, Made::Element(text))));
                        hook = Hook::Right(id);
                        made = made.saturating_add(1);
                    }
                }
                Action::Delete(at, count) => {
                    let first = at.id(stamp);
                    let ids = (0..count).map(|number| Id { index: first.index.saturating_add(number), ..first });
                    touches.extend(ids.map(|id| (id, Touch::Gone)));
                }
                Action::Move(at, hook) => {
                    let (element, position) = (at.id(stamp), here(made));
                    touches.push((position, Touch::Made(hook.map(|at| at.id(stamp)), Made::Move(element))));
                    touches.push((element, Touch::Moved(position)));
                    made = made.saturating_add(1);
                }
                Action::Replace(at, text) => touches.push((at.id(stamp), Touch::Became(text))),
            }
        }
        touches
    }
}
