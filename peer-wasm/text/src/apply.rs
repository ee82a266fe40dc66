//! Operations come in, and wait when they must.

use crate::doc::{TextDoc, Waiting};
use crate::gate::{Refusal, Verdict};
use crate::op::{OpError, TextOp};
use crate::version::{Agent, Version};

/// The most operations that wait in a document.
pub const MAX_WAITING_OPS: usize = 4096;
/// The most operations of one writer that wait in a document.
pub const MAX_WAITING_PER_WRITER: usize = 256;
/// The most memory that waiting operations take, in bytes.
pub const MAX_WAITING_BYTES: usize = 8 << 20;
/// The most memory that waiting operations of one writer take, in bytes; one operation may always wait.
pub const MAX_WAITING_BYTES_PER_WRITER: usize = 1 << 20;
/// The work that judging an operation may be when it comes in, in edits looked at. More is done in
/// [`TextDoc::settle`].
pub const WORK_AT_ONCE: u64 = 1024;

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is part of the document: visible at once if it builds on the visible text, else after [`TextDoc::settle`].
    Accepted,
    /// It, or a later entry of its writer, was decided before.
    Known,
    /// It waits: for what it builds on, for its writer's operations before it, or for work to be allowed.
    Waiting,
    /// It has no place in the document, here and everywhere.
    Refused(Refusal),
    /// There is no room for it to wait in. Offer it again when [`TextDoc::wanted`] names it.
    Full,
    /// Load the history and offer it again; nothing changed.
    NeedsHistory,
}

impl TextDoc {
    /// Takes in the operation that entry `seq` of this agent's log carries. An agent's entries must be offered in order,
    /// all that have an operation for this document; different agents in any order.
    pub fn apply(&mut self, agent: Agent, seq: u64, op: TextOp) -> Outcome {
        self.offer(agent, seq, Ok(op))
    }

    /// The same for bytes. What is no operation is refused in its turn.
    pub fn apply_bytes(&mut self, agent: Agent, seq: u64, bytes: &[u8]) -> Outcome {
        self.offer(agent, seq, TextOp::decode(bytes))
    }

    fn offer(&mut self, agent: Agent, seq: u64, op: Result<TextOp, OpError>) -> Outcome {
        let number = self.number(agent);
        let Some(writer) = self.writers.get_mut(number as usize) else { return Outcome::Full };
        if seq < writer.next || seq == u64::MAX {
            return Outcome::Known;
        }
        let last_waiting = self.waiting.get(&number).and_then(|queue| queue.back()).map(|last| last.seq);
        if last_waiting.is_some_and(|last| seq <= last) {
            return Outcome::Waiting;
        }
        if let Some((from, to)) = writer.behind.filter(|(_, to)| seq > *to) {
            writer.behind = Some((from, to.max(seq)));
            self.dirty = true;
            return Outcome::Full;
        }
        if last_waiting.is_some() {
            return self.enqueue(number, seq, op);
        }
        match self.judge(number, seq, &op, WORK_AT_ONCE) {
            Verdict::Accept(accepted) => {
                let Ok(op) = op else { return Outcome::Known };
                if let Some(len) = accepted.joined {
                    self.joined = Some((accepted.parents.clone(), len));
                }
                self.accept(number, seq, op, accepted);
                self.wake(number);
                Outcome::Accepted
            }
            Verdict::Refuse(refusal) => {
                self.decide(number, seq);
                self.wake(number);
                Outcome::Refused(refusal)
            }
            Verdict::NeedsHistory => Outcome::NeedsHistory,
            Verdict::Missing => self.enqueue(number, seq, op),
            // There will never be room: nothing to try again for.
            Verdict::Full => self.enqueue(number, seq, op),
            Verdict::Costly => {
                self.stalled = true;
                self.enqueue(number, seq, op)
            }
        }
    }

    /// Puts an operation behind its writer's others.
    fn enqueue(&mut self, number: u32, seq: u64, op: Result<TextOp, OpError>) -> Outcome {
        let weight = op.as_ref().map_or(0, TextOp::weight) + 64;
        self.dirty = true;
        let roomy = self.room(number, weight);
        let Some(writer) = self.writers.get_mut(number as usize) else { return Outcome::Full };
        if !roomy {
            writer.behind = Some(writer.behind.map_or((seq, seq), |(from, to)| (from.min(seq), to.max(seq))));
            return Outcome::Full;
        }
        writer.passed(seq);
        self.waiting_ops += 1;
        self.waiting_bytes += weight;
        self.waiting.entry(number).or_default().push_back(Waiting { seq, op, weight });
        Outcome::Waiting
    }

    /// Whether an operation of this writer has room to wait in.
    fn room(&self, number: u32, weight: usize) -> bool {
        let (ops, bytes) = self
            .waiting
            .get(&number)
            .map_or((0, 0), |queue| (queue.len(), queue.iter().map(|waiting| waiting.weight).sum::<usize>()));
        let own = ops == 0 || (ops < MAX_WAITING_PER_WRITER && bytes + weight <= MAX_WAITING_BYTES_PER_WRITER);
        own && self.waiting_ops < MAX_WAITING_OPS && self.waiting_bytes + weight <= MAX_WAITING_BYTES
    }

    /// Judges what waits for this writer, and what waits for that, and so on.
    pub(crate) fn wake(&mut self, number: u32) {
        if self.waiting.is_empty() {
            return;
        }
        let (mut news, mut allowance) = (vec![number], WORK_AT_ONCE);
        while let Some(number) = news.pop() {
            let Some((agent, next)) = self.writer(number).map(|writer| (writer.agent, writer.next)) else { continue };
            let first_builds_on =
                |waiting: Option<&Waiting>| waiting.is_some_and(|first| first.builds_on(&agent, next));
            let woken = self.waiting.iter().filter(|(_, queue)| first_builds_on(queue.front()));
            let woken: Vec<u32> = woken.map(|(number, _)| *number).collect();
            for waiting in woken {
                let (any, spent) = self.advance(waiting, allowance);
                allowance = allowance.saturating_sub(spent);
                news.extend(any.then_some(waiting));
            }
        }
    }

    /// Judges a writer's waiting operations from the first on, as far as it goes. Tells whether any was decided, and
    /// the work it was.
    pub(crate) fn advance(&mut self, number: u32, allowance: u64) -> (bool, u64) {
        let (mut any, mut spent) = (false, 0u64);
        while let Some(first) = self.waiting.get_mut(&number).and_then(|queue| queue.pop_front()) {
            let verdict = self.judge(number, first.seq, &first.op, allowance.saturating_sub(spent));
            let verdict = match verdict {
                Verdict::Accept(accepted) => Ok(Some(accepted)),
                Verdict::Refuse(refusal) => {
                    self.report(number, first.seq, Err(refusal));
                    Ok(None)
                }
                other => Err(other),
            };
            match (verdict, first.op) {
                (Ok(Some(accepted)), Ok(op)) => {
                    spent += accepted.cost;
                    if let Some(len) = accepted.joined {
                        self.joined = Some((accepted.parents.clone(), len));
                    }
                    self.accept(number, first.seq, op, accepted);
                    self.report(number, first.seq, Ok(()));
                }
                (Ok(_), _) => self.decide(number, first.seq),
                (Err(other), op) => {
                    self.stalled |= matches!(other, Verdict::Costly | Verdict::NeedsHistory);
                    if let Some(queue) = self.waiting.get_mut(&number) {
                        queue.push_front(Waiting { seq: first.seq, op, weight: first.weight });
                    }
                    break;
                }
            }
            any = true;
            self.waiting_ops -= 1;
            self.waiting_bytes -= first.weight.min(self.waiting_bytes);
        }
        if self.waiting.get(&number).is_some_and(|queue| queue.is_empty()) {
            self.waiting.remove(&number);
        }
        (any, spent)
    }

    fn report(&mut self, number: u32, seq: u64, outcome: Result<(), Refusal>) {
        if let Some(agent) = self.writer(number).map(|writer| writer.agent) {
            self.decided.push((Version { agent, seq }, outcome));
        }
    }

    /// Which logs to offer again, each from which entry on: there was no room before, and there is now. Also what was
    /// waiting when the document was stored.
    pub fn wanted(&self) -> Vec<(Agent, u64)> {
        let numbered = self.writers.iter().enumerate();
        let wanted = numbered.filter_map(|(number, writer)| {
            let (from, _) = writer.behind?;
            let number = number as u32;
            let queue = self.waiting.get(&number).map_or(0, |queue| queue.len());
            (queue <= MAX_WAITING_PER_WRITER / 2 && self.room(number, MAX_WAITING_BYTES_PER_WRITER / 2))
                .then_some((writer.agent, from))
        });
        wanted.collect()
    }

    /// What waiting operations build on that was not offered yet.
    pub fn missing(&self) -> Vec<Version> {
        let firsts = self.waiting.values().filter_map(|queue| queue.front()?.op.as_ref().ok());
        let missing = |version: &&Version| match self.numbers.get(&version.agent) {
            None => true,
            Some(number) => {
                let decided = self.writer(*number).is_some_and(|writer| version.seq < writer.next);
                let queue = self.waiting.get(number);
                !decided && !queue.is_some_and(|queue| queue.iter().any(|waiting| waiting.seq == version.seq))
            }
        };
        let mut missing: Vec<Version> = firsts.flat_map(|op| op.parents.iter().filter(missing).copied()).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}
