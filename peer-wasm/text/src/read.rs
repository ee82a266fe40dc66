//! Reading: other states of the text, and what happened since.

use crate::delta::Delta;
use crate::doc::{History, TextDoc};
use crate::rope::Rope;
use crate::version::{Frontier, Version};

/// Why a state cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Load the history and ask again.
    #[error("The history of the text is not loaded.")]
    NeedsHistory,
    /// There is no such operation here.
    #[error("There is no operation {0} in this text here.")]
    Unknown(Version),
    /// The operation is not visible yet: settle first.
    #[error("The operation {0} is not part of the visible text yet.")]
    Unsettled(Version),
}

/// What is known of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is part of the visible text.
    Visible,
    /// It is accepted, and will be visible after [`TextDoc::settle`].
    Accepted,
    /// It waits.
    Waiting,
    /// The entry was refused, or had no operation for this document.
    Nothing,
    /// It was not offered yet.
    Unknown,
}

impl TextDoc {
    /// What became of the operation in this entry.
    pub fn status(&self, version: Version) -> Result<Status, ReadError> {
        let Some(number) = self.numbers.get(&version.agent).copied() else { return Ok(Status::Unknown) };
        let Some(writer) = self.writer(number) else { return Ok(Status::Unknown) };
        if version.seq >= writer.next {
            let waits = self.waiting.get(&number).is_some_and(|queue| queue.iter().any(|one| one.seq == version.seq));
            return Ok(if waits { Status::Waiting } else { Status::Unknown });
        }
        if self.frontier.binary_search(&version).is_ok() {
            return Ok(Status::Visible);
        }
        let history = self.history.as_ref().ok_or(ReadError::NeedsHistory)?;
        Ok(match history.graph.find(number, version.seq) {
            None => Status::Nothing,
            Some(index) if history.graph.contains(&self.visible(), index) => Status::Visible,
            Some(_) => Status::Accepted,
        })
    }

    /// Whether the operation in this entry is part of the visible text.
    pub fn has(&self, version: Version) -> Result<bool, ReadError> {
        Ok(self.status(version)? == Status::Visible)
    }

    /// The text at another state.
    pub fn text_at(&self, at: &[Version]) -> Result<String, ReadError> {
        if at == self.frontier {
            return Ok(self.text());
        }
        let (heads, history) = self.resolve(at)?;
        let mut rope = Rope::default();
        history.engine.changes(&[], &heads, &mut |change| rope.apply(&change));
        Ok(rope.text())
    }

    /// What turns the text at another state into the visible text: for clients that hold the other one.
    pub fn changes_since(&self, at: &[Version]) -> Result<Delta, ReadError> {
        if at == self.frontier {
            return Ok(Delta::default());
        }
        let (heads, history) = self.resolve(at)?;
        let mut edits = Vec::new();
        history.engine.changes(&heads, &self.visible(), &mut |change| edits.push(change.edit()));
        Ok(Delta::of_edits(&edits))
    }

    /// A state without what is included in other parts of it, sorted, as headers carry it.
    pub fn canonical(&self, at: &[Version]) -> Result<Frontier, ReadError> {
        if at == self.frontier {
            return Ok(at.to_vec());
        }
        let (heads, history) = self.resolve(at)?;
        let names = heads.iter().filter_map(|index| history.graph.name(*index));
        let named = names.filter_map(|(number, seq)| Some(Version { agent: self.writer(number)?.agent, seq }));
        let mut frontier: Frontier = named.collect();
        frontier.sort_unstable();
        Ok(frontier)
    }

    pub(crate) fn visible(&self) -> Vec<u32> {
        self.heads.iter().map(|(index, _)| *index).collect()
    }

    /// The indexes of a visible state, ascending and minimal.
    fn resolve(&self, at: &[Version]) -> Result<(Vec<u32>, &History), ReadError> {
        let history = self.history.as_ref().ok_or(ReadError::NeedsHistory)?;
        let visible = self.visible();
        let index = |version: &Version| {
            let number = self.numbers.get(&version.agent).ok_or(ReadError::Unknown(*version))?;
            let index = history.graph.find(*number, version.seq).ok_or(ReadError::Unknown(*version))?;
            let shown = history.graph.contains(&visible, index);
            if shown { Ok(index) } else { Err(ReadError::Unsettled(*version)) }
        };
        let indexes = at.iter().map(index).collect::<Result<Vec<u32>, ReadError>>()?;
        Ok((history.graph.minimal(&indexes), history))
    }
}
