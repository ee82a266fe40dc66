//! How concurrent edits become one text: the engine of [`Algorithm::DiamondTypes1`](crate::Algorithm).
//!
//! It puts things in the order of diamond-types 1.0.0, to the letter: the tests compare the two. It is our own since that
//! version stops the program on what it does not expect, cannot be stopped in its middle, and looks at the history
//! again for every merge (note 0171).

mod changes;
mod log;
mod spans;
mod tracker;

use crate::engine::{Change, Engine, Length};
use crate::op::Edit;
use crate::version::Agent;
use changes::changes;
use log::Log;
use std::ops::Range;
use tracker::Tracker;

/// A live tracker with more bytes than this is not kept while somebody writes alone,
const MAX_IDLE: usize = 1 << 20;
/// and with more than this not once everything is merged.
const MAX_DONE: usize = 8 << 20;

/// Operations by index over a log of events.
#[derive(Default)]
pub(crate) struct Merger {
    log: Log,
    /// The last event of each operation.
    ends: Vec<u32>,
    /// What is kept from one merge to the next: the operations since the last one that everything builds on that was
    /// being merged. What it shows is what was told of.
    live: Option<Tracker>,
    /// Something is visible that it does not have.
    is_behind: bool,
}

impl Merger {
    fn events(&self, heads: &[u32]) -> Vec<u32> {
        heads.iter().filter_map(|head| self.ends.get(*head as usize)).copied().collect()
    }

    /// The events of an operation.
    fn range(&self, index: u32) -> Range<u32> {
        let end = |index: u32| self.ends.get(index as usize).map_or(self.log.len(), |last| last + 1);
        index.checked_sub(1).map_or(0, end)..end(index)
    }

    /// The operation that ends with an event.
    fn index(&self, event: u32) -> Option<u32> {
        self.ends.binary_search(&event).ok().map(|index| index as u32)
    }

    /// Sees to it that the live tracker has a state, and shows what is shown. Gives the work it was, or nothing if that
    /// is more than allowed.
    fn fill(&mut self, shown: &[u32], heads: &[u32], allowance: u64) -> Option<u64> {
        let lacks = |live: &Tracker| live.lacks(&self.log, heads);
        let (lacking, mut spent) = match self.live.as_ref().filter(|_| !self.is_behind).and_then(lacks) {
            Some(lacking) => (lacking, 0),
            None => {
                let spent = self.catch_up(&self.events(shown), heads, allowance)?;
                (self.live.as_ref()?.lacks(&self.log, heads)?, spent)
            }
        };
        let live = self.live.as_mut()?;
        for events in self.log.order(lacking) {
            let way = live.distance(&self.log, &self.log.parents(events.start)) + self.log.work(&events);
            if spent + way > allowance {
                return None;
            }
            spent += live.take_in(&self.log, events, None).max(way);
        }
        Some(spent)
    }

    /// Makes the live tracker show what is shown, or a new one where that is less work.
    fn catch_up(&mut self, shown: &[u32], heads: &[u32], allowance: u64) -> Option<u64> {
        let work = |ranges: &[Range<u32>]| ranges.iter().map(|range| self.log.work(range)).sum::<u64>();
        let base = self.log.base(shown, heads);
        let mut silent = self.log.difference(base.as_slice(), shown).other;
        let mut cost = work(&silent);
        let fits = |live: &Tracker| live.lacks(&self.log, heads).and_then(|_| live.lacks(&self.log, shown));
        let mut keeps = false;
        if let Some(behind) = self.live.as_ref().and_then(fits) {
            let way = behind.first().map_or(0, |first| self.log.parents(first.start).len() as u64) + work(&behind);
            keeps = way <= cost;
            if keeps {
                (silent, cost) = (behind, way);
            }
        }
        if cost > allowance {
            return None;
        }
        let mut tracker = self.live.take().filter(|_| keeps).unwrap_or_else(|| Tracker::new(base));
        let done = tracker.take_as_shown(&self.log, silent);
        (self.live, self.is_behind) = (Some(tracker), false);
        Some(done.max(cost))
    }
}

impl Engine for Merger {
    fn agent(&mut self, agent: &Agent) {
        self.log.agent(&agent.name());
    }

    fn push(&mut self, agent: u32, parents: &[u32], edits: &[Edit]) {
        let parents = self.events(parents);
        self.log.push(agent, &parents, edits);
        self.ends.push(self.log.len().saturating_sub(1));
    }

    fn length(&mut self, shown: &[u32], heads: &[u32], allowance: u64) -> Option<Length> {
        let heads = self.events(heads);
        let mut cost = self.fill(shown, &heads, allowance)?;
        let live = self.live.as_mut()?;
        let way = live.distance(&self.log, &heads);
        if cost + way > allowance {
            return None;
        }
        cost += live.prepare(&self.log, &heads).max(way);
        let (base, growth) = (live.base(), live.growth());
        Some(Length { base: base.and_then(|event| self.index(event)), growth, cost })
    }

    fn order(&self, operations: &[u32]) -> Vec<u32> {
        let mut runs: Vec<Range<u32>> = Vec::new();
        for index in operations {
            let events = self.range(*index);
            match runs.last_mut() {
                Some(last) if last.end == events.start && self.log.run_start(events.start) < events.start => {
                    last.end = events.end;
                }
                _ => runs.push(events),
            }
        }
        let ordered = self.log.order(runs).into_iter();
        let within = |events: Range<u32>| {
            let from = self.ends.partition_point(|last| *last < events.start);
            let to = self.ends.partition_point(|last| *last < events.end);
            from as u32..to as u32
        };
        ordered.flat_map(within).collect()
    }

    fn show(&mut self, shown: &[u32], index: u32, allowance: u64, each: &mut dyn FnMut(Change<'_>)) -> Option<u64> {
        let events = self.range(index);
        let parents = self.log.parents(events.start);
        let spent = self.fill(shown, &parents, allowance)?;
        let live = self.live.as_mut()?;
        let known = live.knows(events.start);
        let way = if known { 0 } else { live.distance(&self.log, &parents) } + self.log.work(&events);
        if spent + way > allowance {
            return None;
        }
        let done = match known {
            true => live.show(&self.log, events, each),
            false => live.take_in(&self.log, events, Some(each)),
        };
        Some(spent + done.max(way))
    }

    fn pass(&mut self) {
        self.is_behind = true;
        self.live = self.live.take().filter(|live| live.weight() <= MAX_IDLE);
    }

    fn rest(&mut self) {
        self.live = self.live.take().filter(|live| live.weight() <= MAX_DONE);
    }

    fn weight(&self) -> usize {
        self.log.weight() + 4 * self.ends.len() + self.live.as_ref().map_or(0, Tracker::weight)
    }

    fn changes(&self, from: &[u32], to: &[u32], each: &mut dyn FnMut(Change<'_>)) {
        changes(&self.log, &self.events(from), &self.events(to), each);
    }
}

/// A log of events by number, for `events.rs`, which keeps what is between the two in bounds.
#[derive(Default)]
pub(crate) struct EventLog {
    log: Log,
    agents: std::collections::BTreeMap<String, u32>,
}

impl EventLog {
    /// Adds edits of an agent and gives the number of their first event. What is deleted goes from its end.
    pub(crate) fn push(&mut self, agent: &str, parents: &[u32], edits: &[Edit]) -> u32 {
        let first = self.log.len();
        let number = match self.agents.get(agent) {
            Some(number) => *number,
            None => {
                let number = self.log.agent(agent);
                self.agents.insert(agent.to_owned(), number);
                number
            }
        };
        self.log.push(number, parents, edits);
        first
    }

    /// The edits that turn the text at `from` into the text at `from` and `to` together, in sequence.
    pub(crate) fn changes(&self, from: &[u32], to: &[u32], each: &mut dyn FnMut(Change<'_>)) {
        changes(&self.log, from, to, each);
    }
}

#[cfg(test)]
mod tests;
