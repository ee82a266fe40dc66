//! What the place of an element, or of a position made by a move, remembers.

use super::super::Stamp;
use super::{Hook, Id, MAX_ELEMENT, Made, Touch};
use crate::codec::{CodecError, Reader, Writer};
use crate::version::Agent;

/// When and by whom something was said last.
pub(super) type Mark = (u64, Agent, u64);

/// The state of an element's place, or of a position made by a move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Where it hangs, once that has arrived.
    pub(super) hook: Option<Hook<Id>>,
    /// The element that moved here, if this is no element itself.
    pub(super) moved: Option<Id>,
    gone: bool,
    pub(super) value: Option<(Mark, Vec<u8>)>,
    /// The position of the latest move.
    pub(super) position: Option<(Mark, Id)>,
}

impl Element {
    /// Takes in what an op says of it.
    pub fn apply(&mut self, touch: &Touch, stamp: Stamp) {
        let mark: Mark = (stamp.clock, stamp.agent, stamp.seq);
        match touch {
            // Made once only: the same op again says nothing new.
            Touch::Made(..) if self.hook.is_some() => {}
            Touch::Made(hook, made) => {
                self.hook = Some(*hook);
                match made {
                    Made::Element(text) => self.becomes(mark, text),
                    Made::Move(element) => self.moved = Some(*element),
                }
            }
            Touch::Gone => {
                self.gone = true;
                // For good: nothing of it is kept but where it hung.
                (self.value, self.position) = (None, None);
            }
            Touch::Moved(position) => {
                if !self.gone && self.position.as_ref().is_none_or(|(held, _)| mark >= *held) {
                    self.position = Some((mark, *position));
                }
            }
            Touch::Became(text) => self.becomes(mark, text),
        }
    }

    fn becomes(&mut self, mark: Mark, text: &[u8]) {
        if !self.gone && self.value.as_ref().is_none_or(|(held, _)| mark >= *held) {
            self.value = Some((mark, text.to_vec()));
        }
    }

    /// Whether it is an element that is there.
    pub fn is_live(&self) -> bool {
        self.hook.is_some() && self.moved.is_none() && !self.gone && self.value.is_some()
    }

    /// What it holds.
    pub fn json(&self) -> serde_json::Value {
        self.value.as_ref().map_or(serde_json::Value::Null, |(_, text)| crate::document::read::parse(text))
    }

    /// Writes the state.
    pub fn write(&self, writer: &mut Writer) {
        let flags =
            [self.hook.is_some(), self.moved.is_some(), self.gone, self.value.is_some(), self.position.is_some()];
        writer.u8(flags.iter().rev().fold(0, |bits, on| (bits << 1) | u8::from(*on)));
        let mark = |(clock, agent, seq): &Mark, writer: &mut Writer| {
            writer.number(*clock).fixed(&agent.0).number(*seq);
        };
        if let Some(hook) = &self.hook {
            hook.write(writer, Id::write);
        }
        if let Some(moved) = &self.moved {
            moved.write(writer);
        }
        if let Some((when, text)) = &self.value {
            mark(when, writer);
            writer.bytes(text);
        }
        if let Some((when, position)) = &self.position {
            mark(when, writer);
            position.write(writer);
        }
    }

    /// Reads the state.
    pub fn read(reader: &mut Reader<'_>) -> Result<Element, CodecError> {
        let flags = reader.u8()?;
        if flags >= 1 << 5 {
            return Err(CodecError::Tag);
        }
        let mark = |reader: &mut Reader<'_>| {
            Ok::<Mark, CodecError>((reader.number()?, Agent(reader.fixed()?), reader.number()?))
        };
        let on = |bit: u8| flags & (1 << bit) != 0;
        Ok(Element {
            hook: if on(0) { Some(Hook::read(reader, Id::read)?) } else { None },
            moved: if on(1) { Some(Id::read(reader)?) } else { None },
            gone: on(2),
            value: if on(3) { Some((mark(reader)?, reader.bytes(MAX_ELEMENT)?.to_vec())) } else { None },
            position: if on(4) { Some((mark(reader)?, Id::read(reader)?)) } else { None },
        })
    }
}
