//! What a place remembers of each author: how far it has seen them, and how far others have replaced them.
//!
//! Entries of one log arrive in their order, those of different logs in any. So an act counts once, by its place in
//! its log; and what covers an author's past is kept, so that it also takes away what arrives after it.

use crate::codec::{CodecError, Reader, Writer};
use crate::version::{Agent, Version};
use kith_map::BTreeMap;

/// The most authors that one write may replace something of. A space has at most as many logs.
pub const MAX_COVERS: usize = 10_000;

/// What a write replaces: for each author, everything at the place up to this entry. Ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covers(pub BTreeMap<Agent, u64>);

impl Covers {
    /// Writes them.
    pub fn write(&self, writer: &mut Writer) {
        writer.number(self.0.len() as u64);
        for (agent, seq) in &self.0 {
            writer.fixed(&agent.0).number(*seq);
        }
    }

    /// Reads them.
    pub fn read(reader: &mut Reader<'_>) -> Result<Covers, CodecError> {
        let mut covers = BTreeMap::new();
        for _ in 0..reader.size(MAX_COVERS)? {
            let agent = Agent(reader.fixed()?);
            let seq = seq(reader)?;
            if covers.last_key_value().is_some_and(|(last, _)| *last >= agent) {
                return Err(CodecError::Tag);
            }
            covers.insert(agent, seq);
        }
        Ok(Covers(covers))
    }
}

/// The number of an entry: one less than the most there can be, so that counting past it never overflows.
pub fn seq(reader: &mut Reader<'_>) -> Result<u64, CodecError> {
    let seq = reader.number()?;
    if seq < u64::MAX { Ok(seq) } else { Err(CodecError::Number) }
}

/// One author at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author<T> {
    /// One more than the last entry in which the author acted here; 0 if none is known.
    pub last: u64,
    /// One more than the last entry that somebody's write has replaced; 0 if none.
    pub covered: u64,
    /// What the kind keeps of the author.
    pub own: T,
}

/// Every author at a place, in the order of their agents. (A sorted list: few at most places, and small in code.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authors<T>(Vec<(Agent, Author<T>)>);

impl<T> Default for Authors<T> {
    fn default() -> Self {
        Authors(Vec::new())
    }
}

impl<T: Default> Authors<T> {
    /// Does something to the author.
    pub fn with<R>(&mut self, agent: Agent, change: impl FnOnce(&mut Author<T>) -> R) -> R {
        let at = match self.0.binary_search_by(|(known, _)| known.cmp(&agent)) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (agent, Author::default()));
                at
            }
        };
        match self.0.get_mut(at) {
            Some((_, author)) => change(author),
            // Cannot be: it was found or put there just now.
            None => change(&mut Author::default()),
        }
    }

    /// The authors with their agents.
    pub fn iter(&self) -> impl Iterator<Item = (&Agent, &Author<T>)> {
        self.0.iter().map(|(agent, author)| (agent, author))
    }

    /// Notes that the author acts in this entry. False if that was known: then nothing is to be done.
    pub fn acts(&mut self, agent: Agent, seq: u64) -> bool {
        self.with(agent, |author| {
            let news = author.last <= seq;
            if news {
                author.last = seq.saturating_add(1);
            }
            news
        })
    }

    /// The last entry of each author.
    pub fn versions(&self) -> Vec<Version> {
        let acted = self.0.iter().filter_map(|(agent, author)| Some((*agent, author.last.checked_sub(1)?)));
        acted.map(|(agent, seq)| Version { agent, seq }).collect()
    }

    /// Writes everything; `own` writes what the kind keeps.
    pub fn write(&self, writer: &mut Writer, own: impl Fn(&T, &mut Writer)) {
        writer.number(self.0.len() as u64);
        for (agent, author) in &self.0 {
            writer.fixed(&agent.0).number(author.last).number(author.covered);
            own(&author.own, writer);
        }
    }

    /// Reads everything.
    pub fn read(
        reader: &mut Reader<'_>,
        own: impl Fn(&mut Reader<'_>) -> Result<T, CodecError>,
    ) -> Result<Authors<T>, CodecError> {
        let mut authors = Vec::new();
        for _ in 0..reader.size(usize::MAX)? {
            let agent = Agent(reader.fixed()?);
            let (last, covered) = (reader.number()?, reader.number()?);
            authors.push((agent, Author { last, covered, own: own(reader)? }));
        }
        Ok(Authors(authors))
    }
}

/// The last entry in which each author wrote somewhere in a set or list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writers(BTreeMap<Agent, u64>);

impl Writers {
    /// Notes a write.
    pub fn note(&mut self, agent: Agent, seq: u64) {
        let last = self.0.entry(agent).or_insert(seq);
        *last = (*last).max(seq);
    }

    /// Whether nobody wrote.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last entry of each author.
    pub fn versions(&self) -> Vec<Version> {
        self.0.iter().map(|(agent, seq)| Version { agent: *agent, seq: *seq }).collect()
    }

    /// Writes everything.
    pub fn write(&self, writer: &mut Writer) {
        writer.number(self.0.len() as u64);
        for (agent, seq) in &self.0 {
            writer.fixed(&agent.0).number(*seq);
        }
    }

    /// Reads everything.
    pub fn read(reader: &mut Reader<'_>) -> Result<Writers, CodecError> {
        let mut writers = BTreeMap::new();
        for _ in 0..reader.size(usize::MAX)? {
            writers.insert(Agent(reader.fixed()?), reader.number()?);
        }
        Ok(Writers(writers))
    }
}
