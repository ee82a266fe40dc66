//! The members of a set, each a place of its own below the set's. An addition that a removal had not seen stands,
//! so where one adds and another removes at once, the addition wins.

use super::Stamp;
use super::authors::{Authors, Covers};
use crate::codec::{CodecError, Reader, Writer};
use crate::document::ops::is_json;
use crate::path::Path;
use serde_json::Value as Json;

/// The most bytes of one member's JSON text.
pub const MAX_MEMBER: usize = 16 << 10;
/// A member's name is its JSON text up to this many bytes, beyond that a hash of it.
const MAX_NAME: usize = 160;

/// The JSON text that stands for a member: members of objects in the order of their names, no spaces.
pub fn text(json: &Json) -> Vec<u8> {
    json.to_string().into_bytes()
}

/// The name of the place of a member with this text.
pub fn name(text: &[u8]) -> String {
    match std::str::from_utf8(text) {
        Ok(text) if text.len() <= MAX_NAME => text.to_owned(),
        _ => format!("#{}", blake3::hash(text).to_hex()),
    }
}

/// What an op says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is in the set. Its text, where the name is only a hash; the additions it stands for from now on.
    Add(Covers, Vec<u8>),
    /// The additions covered go.
    Remove(Covers),
}

impl Act {
    /// The op's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Act::Add(covers, text) => {
                covers.write(writer.u8(0));
                writer.bytes(text);
            }
            Act::Remove(covers) => covers.write(writer.u8(1)),
        }
        writer.finish()
    }

    /// Reads the op's bytes.
    pub fn read(reader: &mut Reader<'_>) -> Result<Act, CodecError> {
        match reader.u8()? {
            0 => Ok(Act::Add(Covers::read(reader)?, reader.bytes(MAX_MEMBER)?.to_vec())),
            1 => Ok(Act::Remove(Covers::read(reader)?)),
            _ => Err(CodecError::Tag),
        }
    }

    /// Whether this can be said of the place: its name is JSON text, or the hash of the text here.
    pub fn fits(&self, path: &Path) -> bool {
        let Some(name) = path.segments().last().filter(|_| path.len() >= 2) else { return false };
        let is_text = |name: &str| is_json(name.as_bytes());
        match self {
            Act::Add(_, text) if text.is_empty() => is_text(name),
            Act::Add(_, text) => name.starts_with('#') && self::name(text) == *name && is_json(text),
            Act::Remove(_) => name.starts_with('#') || is_text(name),
        }
    }
}

/// One author's part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Add(
    /// One more than the entry of the addition that stands; 0 if none does.
    u64,
);

/// The state of a member: who added it and what was removed; and its text, where its name is a hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adds(pub Authors<Add>, Vec<u8>);

impl Adds {
    /// Takes in an op.
    pub fn apply(&mut self, act: &Act, stamp: Stamp) {
        let Stamp { agent, seq, .. } = stamp;
        if !self.0.acts(agent, seq) {
            return;
        }
        let (Act::Add(covers, _) | Act::Remove(covers)) = act;
        if let Act::Add(_, text) = act {
            self.0.with(agent, |author| {
                author.own.0 = if author.covered <= seq { seq.saturating_add(1) } else { 0 };
            });
            if self.1.is_empty() {
                self.1 = text.clone();
            }
        }
        for (agent, seq) in &covers.0 {
            self.0.with(*agent, |author| {
                author.covered = author.covered.max(seq.saturating_add(1));
                if author.own.0 <= author.covered {
                    author.own.0 = 0;
                }
            });
        }
    }

    /// Whether it is in the set.
    pub fn is_live(&self) -> bool {
        self.0.iter().any(|(_, author)| author.own.0 > 0)
    }

    /// What a write by somebody who sees all of this covers.
    pub fn covers(&self) -> Covers {
        let mut covers = Covers::default();
        for (agent, author) in self.0.iter() {
            if let Some(seq) = author.own.0.checked_sub(1) {
                covers.0.insert(*agent, seq);
            }
        }
        covers
    }

    /// The member itself; `name` is its place's.
    pub fn json(&self, name: &str) -> Json {
        let text = if self.1.is_empty() { name.as_bytes() } else { self.1.as_slice() };
        serde_json::from_slice(text).unwrap_or(Json::Null)
    }

    /// Writes the state.
    pub fn write(&self, writer: &mut Writer) {
        self.0.write(writer, |own, writer| {
            writer.number(own.0);
        });
        writer.bytes(&self.1);
    }

    /// Reads the state.
    pub fn read(reader: &mut Reader<'_>) -> Result<Adds, CodecError> {
        let authors = Authors::read(reader, |reader| Ok(Add(reader.number()?)))?;
        Ok(Adds(authors, reader.bytes(MAX_MEMBER)?.to_vec()))
    }
}
