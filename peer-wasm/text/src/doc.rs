//! A document: the visible text, what it consists of, and what waits.

use crate::chunk::Chunk;
use crate::engine::{Algorithm, Engine};
use crate::gate::{Accepted, Refusal};
use crate::graph::Graph;
use crate::op::{Edit, OpError, TextOp};
use crate::rope::Rope;
use crate::version::{Agent, Frontier, Version};
use std::collections::{BTreeMap, VecDeque};

/// What is known of a writer in this document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) agent: Agent,
    /// Every entry below this is decided: its operation is accepted, refused, or there was none.
    pub(crate) next: u64,
    /// The last accepted operation: its entry and its index.
    pub(crate) last: Option<(u64, u32)>,
    /// The first and the last entry that there was no room for: to be offered again from the first on.
    pub(crate) behind: Option<(u64, u64)>,
}

/// An operation that cannot be judged yet.
pub(crate) struct Waiting {
    pub(crate) seq: u64,
    pub(crate) op: Result<TextOp, OpError>,
    pub(crate) weight: usize,
}

/// What is only in memory when something needed it.
pub(crate) struct History {
    pub(crate) graph: Graph,
    pub(crate) engine: Box<dyn Engine>,
    /// Accepted operations that are not in the visible text yet, ascending.
    pub(crate) unmerged: Vec<u32>,
}

impl History {
    pub(crate) fn new(algorithm: Algorithm) -> History {
        History { graph: Graph::default(), engine: algorithm.engine(), unmerged: Vec::new() }
    }
}

/// A text that many write. See the crate's description for how it is used.
pub struct TextDoc {
    pub(crate) algorithm: Algorithm,
    pub(crate) rope: Rope,
    /// The operations nothing visible builds on, by ascending index.
    pub(crate) heads: Vec<(u32, Version)>,
    /// The same, by version.
    pub(crate) frontier: Frontier,
    pub(crate) writers: Vec<Writer>,
    pub(crate) numbers: BTreeMap<Agent, u32>,
    /// How many operations are accepted.
    pub(crate) entries: u32,
    /// How many of them are not visible yet.
    pub(crate) unmerged: u32,
    /// How many code points they put in and took out together.
    pub(crate) history_chars: u64,
    /// The end of the stored history.
    pub(crate) chunk: Chunk,
    /// How many chunks are closed.
    pub(crate) chunks: u32,
    /// Those of them that were not given out to be stored yet.
    pub(crate) closed: Vec<(u32, Vec<u8>)>,
    pub(crate) history: Option<History>,
    /// By writer, in the order of their logs.
    pub(crate) waiting: BTreeMap<u32, VecDeque<Waiting>>,
    pub(crate) waiting_ops: usize,
    pub(crate) waiting_bytes: usize,
    /// Something waits that more work, history or room would decide.
    pub(crate) stalled: bool,
    /// Work allowed and not used up.
    pub(crate) credit: u64,
    /// The length of the text at the last joined parents: writers often join the same ones.
    pub(crate) joined: Option<(Vec<u32>, u32)>,
    pub(crate) changes: Vec<Edit>,
    pub(crate) decided: Vec<(Version, Result<(), Refusal>)>,
    pub(crate) dirty: bool,
}

impl TextDoc {
    /// An empty text that nobody wrote in.
    pub fn new(algorithm: Algorithm) -> TextDoc {
        TextDoc {
            history: Some(History::new(algorithm)),
            dirty: true,
            ..TextDoc::blank(algorithm, Rope::default(), Chunk::default())
        }
    }

    pub(crate) fn blank(algorithm: Algorithm, rope: Rope, chunk: Chunk) -> TextDoc {
        TextDoc {
            algorithm,
            rope,
            heads: Vec::new(),
            frontier: Frontier::new(),
            writers: Vec::new(),
            numbers: BTreeMap::new(),
            entries: 0,
            unmerged: 0,
            history_chars: 0,
            chunk,
            chunks: 0,
            closed: Vec::new(),
            history: None,
            waiting: BTreeMap::new(),
            waiting_ops: 0,
            waiting_bytes: 0,
            stalled: false,
            credit: 0,
            joined: None,
            changes: Vec::new(),
            decided: Vec::new(),
            dirty: false,
        }
    }

    /// How concurrent edits are merged here.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The visible text.
    pub fn text(&self) -> String {
        self.rope.text()
    }

    /// How many code points the visible text has.
    pub fn len_chars(&self) -> u32 {
        self.rope.len_chars()
    }

    /// The state the visible text is at.
    pub fn frontier(&self) -> &[Version] {
        &self.frontier
    }

    /// How many operations are accepted, visible or not.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Every entry of this agent below this is decided: its operation is accepted or refused, or there was none.
    pub fn decided_up_to(&self, agent: Agent) -> u64 {
        self.numbers.get(&agent).and_then(|number| self.writer(*number)).map_or(0, |writer| writer.next)
    }

    /// Whether everything accepted is visible.
    pub fn is_settled(&self) -> bool {
        self.unmerged == 0
    }

    /// Whether operations wait, in memory or to be offered again.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.writers.iter().any(|writer| writer.behind.is_some())
    }

    /// Whether operations of this agent wait: it cannot write before they are decided.
    pub fn is_waiting_for(&self, agent: Agent) -> bool {
        let number = self.numbers.get(&agent).copied();
        number.is_some_and(|number| {
            self.waiting.contains_key(&number) || self.writer(number).is_some_and(|writer| writer.behind.is_some())
        })
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        let history = self.history.as_ref();
        let history = history.map_or(0, |history| history.engine.weight() + 32 * self.entries as usize);
        self.rope.len_chars() as usize * 2 + self.writers.len() * 64 + self.waiting_bytes + history
    }

    /// Whether the history is in memory.
    pub fn has_history(&self) -> bool {
        self.history.is_some()
    }

    /// The edits of the visible text since the last call, in sequence: for open editors, subscribers and cursors. Take
    /// them after every step; they are kept until then.
    pub fn take_changes(&mut self) -> Vec<Edit> {
        std::mem::take(&mut self.changes)
    }

    /// Operations that had been waiting and were decided since the last call.
    pub fn take_decided(&mut self) -> Vec<(Version, Result<(), Refusal>)> {
        std::mem::take(&mut self.decided)
    }

    pub(crate) fn writer(&self, number: u32) -> Option<&Writer> {
        self.writers.get(number as usize)
    }

    /// The number of a writer, a new one for a new writer.
    pub(crate) fn number(&mut self, agent: Agent) -> u32 {
        if let Some(number) = self.numbers.get(&agent) {
            return *number;
        }
        let number = self.writers.len() as u32;
        self.numbers.insert(agent, number);
        self.writers.push(Writer { agent, next: 0, last: None, behind: None });
        if let Some(history) = &mut self.history {
            history.engine.agent(&agent);
        }
        number
    }

    /// Takes an operation in that passed the gate.
    pub(crate) fn accept(&mut self, number: u32, seq: u64, op: TextOp, accepted: Accepted) {
        let index = self.entries;
        let record = crate::chunk::Record {
            agent: number,
            seq,
            parents: accepted.parents,
            joined: accepted.joined,
            edits: op.edits,
        };
        self.chunk.push(&record);
        if self.chunk.is_full() {
            let full = std::mem::replace(&mut self.chunk, Chunk::new(index.saturating_add(1)));
            self.closed.push((self.chunks, full.content()));
            self.chunks += 1;
        }
        if let Some(history) = &mut self.history {
            history.graph.push(number, seq, &record.parents, accepted.len);
            history.engine.push(number, &record.parents, &record.edits);
            if accepted.ahead {
                history.engine.pass();
            }
        }
        self.entries += 1;
        self.history_chars += accepted.chars;
        let agent = match self.writers.get_mut(number as usize) {
            Some(writer) => {
                writer.last = Some((seq, index));
                writer.agent
            }
            None => return,
        };
        self.decide(number, seq);
        if accepted.ahead {
            let version = Version { agent, seq };
            self.heads.clear();
            self.heads.push((index, version));
            self.frontier.clear();
            self.frontier.push(version);
            for edit in &record.edits {
                match edit {
                    Edit::Insert { pos, text } => self.rope.insert(*pos, text),
                    Edit::Delete { pos, len } => self.rope.remove(*pos, *len),
                }
            }
            if self.changes.is_empty() {
                self.changes = record.edits;
            } else {
                self.changes.extend(record.edits);
            }
        } else {
            self.unmerged += 1;
            if let Some(history) = &mut self.history {
                history.unmerged.push(index);
            }
        }
    }

    /// Notes that everything of this writer up to `seq` is decided.
    pub(crate) fn decide(&mut self, number: u32, seq: u64) {
        self.dirty = true;
        if let Some(writer) = self.writers.get_mut(number as usize) {
            writer.next = seq.saturating_add(1);
            writer.passed(seq);
        }
    }

    /// The visible text is at these operations now.
    pub(crate) fn show_heads(&mut self, heads: &[u32]) {
        let Some(history) = &self.history else { return };
        let named = heads.iter().filter_map(|index| {
            let (number, seq) = history.graph.name(*index)?;
            Some((*index, Version { agent: self.writers.get(number as usize)?.agent, seq }))
        });
        self.heads = named.collect();
        self.frontier = self.heads.iter().map(|(_, version)| *version).collect();
        self.frontier.sort_unstable();
        self.dirty = true;
    }
}

impl Writer {
    /// Entries up to `seq` have been offered again.
    pub(crate) fn passed(&mut self, seq: u64) {
        if let Some((from, to)) = self.behind.filter(|(from, _)| *from <= seq) {
            self.behind = (seq < to).then(|| (from.max(seq.saturating_add(1)), to));
        }
    }
}
