//! A value that keeps every concurrent one. A write replaces what its writer had seen; what it had not seen stays
//! beside it until somebody writes who has seen both.

use super::Stamp;
use super::authors::{Authors, Covers};
use crate::codec::{CodecError, Reader, Writer};
use crate::document::ops::is_json;
use crate::version::{Agent, Version};

/// The most bytes of one value: a place may have to keep one or more of every author.
pub const MAX_MV: usize = 64 << 10;
/// How many values of one author can stand beside each other; the older ones give way.
pub const MAX_OWN: usize = 4;
const MAX_MEDIA: usize = 256;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// JSON text, of any JSON value.
    Json(Vec<u8>),
    /// Bytes of a media type.
    Bytes {
        /// The media type.
        media: String,
        /// The content.
        bytes: Vec<u8>,
    },
}

impl Content {
    fn write(&self, writer: &mut Writer) {
        match self {
            Content::Json(text) => writer.u8(2).bytes(text),
            Content::Bytes { media, bytes } => writer.u8(3).text(media).bytes(bytes),
        };
    }

    fn read(reader: &mut Reader<'_>) -> Result<Content, CodecError> {
        Ok(match reader.u8()? {
            2 => Content::Json(reader.bytes(MAX_MV)?.to_vec()),
            3 => Content::Bytes { media: reader.text(MAX_MEDIA)?.to_owned(), bytes: reader.bytes(MAX_MV)?.to_vec() },
            _ => return Err(CodecError::Tag),
        })
    }
}

/// What an op says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// This is the value, in place of what is covered.
    Put(Covers, Content),
    /// What is covered goes.
    Delete(Covers),
}

impl Act {
    /// The op's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Act::Put(covers, content) => {
                covers.write(writer.u8(0));
                content.write(&mut writer);
            }
            Act::Delete(covers) => covers.write(writer.u8(1)),
        }
        writer.finish()
    }

    /// Reads the op's bytes. JSON must be JSON.
    pub fn read(reader: &mut Reader<'_>) -> Result<Act, CodecError> {
        match reader.u8()? {
            0 => {
                let covers = Covers::read(reader)?;
                let content = Content::read(reader)?;
                match &content {
                    Content::Json(text) if !is_json(text) => Err(CodecError::Tag),
                    _ => Ok(Act::Put(covers, content)),
                }
            }
            1 => Ok(Act::Delete(Covers::read(reader)?)),
            _ => Err(CodecError::Tag),
        }
    }
}

/// One write of an author; its content is dropped once it is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dot {
    seq: u64,
    clock: u64,
    content: Option<Content>,
}

/// A value that stands beside others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival<'a> {
    /// When it was written, by its author's clock.
    pub clock: u64,
    /// By which write.
    pub version: Version,
    /// What it is.
    pub content: &'a Content,
}

/// The state: each author's last [`MAX_OWN`] values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(pub Authors<Vec<Dot>>);

impl Values {
    /// Takes in an op.
    pub fn apply(&mut self, act: &Act, stamp: Stamp) {
        let Stamp { clock, agent, seq } = stamp;
        if !self.0.acts(agent, seq) {
            return;
        }
        let (Act::Put(covers, _) | Act::Delete(covers)) = act;
        if let Act::Put(_, content) = act {
            self.0.with(agent, |author| {
                let content = (author.covered <= seq).then(|| content.clone());
                author.own.push(Dot { seq, clock, content });
                if author.own.len() > MAX_OWN {
                    author.own.remove(0);
                }
            });
        }
        for (agent, seq) in &covers.0 {
            self.0.with(*agent, |author| {
                author.covered = author.covered.max(seq.saturating_add(1));
                for dot in author.own.iter_mut().filter(|dot| dot.seq <= *seq) {
                    dot.content = None;
                }
            });
        }
    }

    /// Whether there is a value.
    pub fn is_live(&self) -> bool {
        self.rivals().next().is_some()
    }

    /// Whether there is more than one.
    pub fn is_in_conflict(&self) -> bool {
        self.rivals().nth(1).is_some()
    }

    /// Every value that stands.
    pub fn rivals(&self) -> impl Iterator<Item = Rival<'_>> {
        self.0.iter().flat_map(|(agent, author)| {
            author.own.iter().filter_map(|dot| {
                let version = Version { agent: *agent, seq: dot.seq };
                Some(Rival { clock: dot.clock, version, content: dot.content.as_ref()? })
            })
        })
    }

    /// Every value that stands: the one with this version first, then from the latest on.
    pub fn ranked(&self, first: Version) -> Vec<Rival<'_>> {
        let mut ranked: Vec<Rival<'_>> = Vec::new();
        let rank = |rival: &Rival<'_>| (rival.version == first, rival.clock, rival.version);
        for rival in self.rivals() {
            let at = ranked.partition_point(|other| rank(other) > rank(&rival));
            ranked.insert(at, rival);
        }
        ranked
    }

    /// The one shown where nothing else is said: the latest.
    pub fn latest(&self) -> Option<Rival<'_>> {
        self.rivals().max_by_key(|rival| (rival.clock, rival.version))
    }

    /// What a write by somebody who sees all of this replaces; or, if it says what was seen, that.
    pub fn covers(&self, seen: Option<&[Version]>) -> Covers {
        let known = |version: &Version| match seen {
            None => true,
            Some(seen) => seen.iter().any(|seen| seen.agent == version.agent && seen.seq >= version.seq),
        };
        let mut covers = kith_map::BTreeMap::<Agent, u64>::new();
        for rival in self.rivals().filter(|rival| known(&rival.version)) {
            let seq = covers.entry(rival.version.agent).or_insert(rival.version.seq);
            *seq = (*seq).max(rival.version.seq);
        }
        Covers(covers)
    }

    /// Writes the state.
    pub fn write(&self, writer: &mut Writer) {
        self.0.write(writer, |dots, writer| {
            writer.number(dots.len() as u64);
            for dot in dots {
                writer.number(dot.seq).number(dot.clock);
                match &dot.content {
                    None => drop(writer.u8(0)),
                    Some(content) => content.write(writer),
                }
            }
        });
    }

    /// Reads the state.
    pub fn read(reader: &mut Reader<'_>) -> Result<Values, CodecError> {
        let dots = |reader: &mut Reader<'_>| {
            let mut dots = Vec::new();
            for _ in 0..reader.size(MAX_OWN)? {
                let (seq, clock) = (reader.number()?, reader.number()?);
                let content = if reader.rest().first() == Some(&0) {
                    reader.u8()?;
                    None
                } else {
                    Some(Content::read(reader)?)
                };
                dots.push(Dot { seq, clock, content });
            }
            Ok(dots)
        };
        Ok(Values(Authors::read(reader, dots)?))
    }
}
