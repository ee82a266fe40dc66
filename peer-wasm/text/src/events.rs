//! A text as clients with a history of their own see it: those of Braid's merge type `dt`.
//!
//! Such a client numbers every code point that it puts in or takes out, and calls the last of an edit `<agent>-<number>`.
//! Its edits stay what they are, made at the state it made them at; what comes from elsewhere is an edit of an agent of
//! our own, made at the *tip*, where everything known is. So all that is needed of the rest of the text is what changed
//! in it, and all that the rest needs is what an edit changes at the tip ([`Events::put`]).
//!
//! Within one edit, replacement by replacement, what is deleted goes from its end, then the text comes. An edit is kept as
//! it was sent; a state may be in its middle.

use crate::delta::{Delta, Splice};
use crate::merge::EventLog;
use crate::op::MAX_PARENTS;
use std::collections::BTreeMap;

/// The most events of one history.
pub const MAX_EVENTS: u32 = 1 << 23;
/// The most bytes of an agent's name.
pub const MAX_AGENT_BYTES: usize = 64;
/// About how many bytes of text are given out at once.
const MAX_TOLD: usize = 256 << 10;
/// The most edits that are given out at once.
const MAX_TOLD_EDITS: usize = 512;

/// One edit as it was made.
pub(crate) struct Record {
    pub(crate) agent: u32,
    /// The agent's number of the first event.
    pub(crate) seq: u32,
    /// Its place among all events here.
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// The same place in the engine, which also knows edits that were taken back.
    pub(crate) number: u32,
    /// The events it builds on, by place: ascending, none of them part of another.
    pub(crate) parents: Box<[u32]>,
    /// How long the text is there.
    pub(crate) before: u32,
    pub(crate) splices: Vec<Splice>,
    /// The client that sent it, as long as that is remembered.
    by: Option<Box<str>>,
}

pub(crate) struct Author {
    pub(crate) name: String,
    /// Its next number.
    next: u32,
    pub(crate) records: Vec<u32>,
}

/// An edit as clients are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The name of its last event.
    pub version: String,
    /// The state it was made at.
    pub parents: Vec<String>,
    /// What it replaces in the text there.
    pub splices: Vec<Splice>,
}

/// Why an edit of a client is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventError {
    /// These events are not known (yet).
    Missing(Vec<String>),
    /// Its name or its number does not fit; why.
    Name(&'static str),
    /// A replacement is out of order or outside the text, which is so long at the parents.
    Range(u32),
    /// There is no room for more history.
    Full,
}

/// A history of events. See the description of this file.
#[derive(Default)]
pub struct Events {
    pub(crate) log: EventLog,
    /// The first is ourselves.
    pub(crate) authors: Vec<Author>,
    pub(crate) names: BTreeMap<String, u32>,
    pub(crate) records: Vec<Record>,
    /// The events that no other builds on, by place, ascending.
    tip: Vec<u32>,
    /// The length of the text there.
    len: u32,
    /// With which edit each row begins.
    pub(crate) rows: Vec<u32>,
}

/// Up to where a history is kept when what was added is [taken back](Events::back_to).
pub struct Mark {
    records: usize,
    tip: Vec<u32>,
    len: u32,
}

/// The agent and the number in the name of an event.
pub fn event_name(name: &str) -> Option<(&str, u32)> {
    let (agent, number) = name.rsplit_once('-')?;
    let sound = !agent.is_empty() && agent.len() <= MAX_AGENT_BYTES && agent != "ROOT";
    let digits = number.bytes().all(|byte| byte.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
    (sound && digits).then(|| number.parse().ok().filter(|number| *number < MAX_EVENTS)).flatten().map(|n| (agent, n))
}

impl Events {
    /// A history without events. `own` is a name that no other history has: that of what comes from elsewhere.
    pub fn new(own: &str) -> Events {
        let mut events = Events::default();
        events.author(own);
        events
    }

    /// The name of what comes from elsewhere.
    pub fn own(&self) -> &str {
        self.authors.first().map_or("", |author| &author.name)
    }

    /// How many edits there are.
    pub fn len(&self) -> u32 {
        self.records.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        self.records.len() * 160 + 2 * self.total() as usize
    }

    /// The state where everything is.
    pub fn tip(&self) -> &[u32] {
        &self.tip
    }

    /// The text there.
    pub fn text(&self) -> String {
        let whole = Delta::of_edits(&self.changes(&[], &self.tip));
        whole.splices().into_iter().map(|splice| splice.text).collect()
    }

    /// The state with these names.
    pub fn at(&self, names: &[String]) -> Result<Vec<u32>, EventError> {
        let (mut at, mut missing) = (Vec::new(), Vec::new());
        for name in names {
            match self.find(name) {
                Some(event) => at.push(event),
                None => missing.push(name.clone()),
            }
        }
        if !missing.is_empty() {
            return Err(EventError::Missing(missing));
        }
        if at.len() > MAX_PARENTS {
            return Err(EventError::Name("has too many parents"));
        }
        Ok(self.minimal(at))
    }

    /// The names of a state.
    pub fn names(&self, at: &[u32]) -> Vec<String> {
        at.iter().map(|event| self.name(*event)).collect()
    }

    /// How long the text is at a state.
    pub fn len_at(&self, at: &[u32]) -> u32 {
        if *at == *self.tip { self.len } else { self.measure(at) }
    }

    fn measure(&self, at: &[u32]) -> u32 {
        match at {
            [] => 0,
            [one] => self.record_of(*one).map_or(0, |record| {
                let (mut grown, mut left) = (i64::from(record.before), one - record.first + 1);
                for splice in &record.splices {
                    let (gone, put) = portion(splice, &mut left);
                    grown += i64::from(put) - i64::from(gone);
                }
                u32::try_from(grown).unwrap_or(0)
            }),
            [one, ..] => {
                let more = Delta::of_edits(&self.changes(&[*one], at)).growth();
                u32::try_from(i64::from(self.measure(&[*one])) + more).unwrap_or(0)
            }
        }
    }

    /// Notes what changed in the text since it was as it is at the tip.
    pub fn follow(&mut self, change: &Delta) -> Result<(), EventError> {
        let splices = change.splices();
        if splices.is_empty() {
            return Ok(());
        }
        self.room(count(&splices))?;
        let (tip, before) = (self.tip.clone(), self.len);
        self.push(0, &tip, before, splices, None);
        self.len = u32::try_from(i64::from(before) + change.growth()).unwrap_or(0);
        Ok(())
    }

    /// Takes an edit of a client: the name of its last event, the state it was made at, what it replaces there, and who
    /// sent it. Gives what it changes in the text at the tip; nothing if it is known.
    pub fn put(
        &mut self,
        version: &str,
        parents: &[u32],
        splices: &[Splice],
        by: Option<&str>,
    ) -> Result<Option<Delta>, EventError> {
        let count = count(splices);
        let Some((agent, last)) = event_name(version) else {
            return Err(EventError::Name("must be named \"<agent>-<number>\""));
        };
        if agent == self.own() {
            return Err(EventError::Name("has a name that is not its writer's"));
        }
        let end = u64::from(last) + 1;
        let Some(first) = end.checked_sub(count) else {
            return Err(EventError::Name(
                "has a number too small for what it changes: each code point put in or taken out counts one, from 0",
            ));
        };
        let known = self.names.get(agent).copied();
        let next = known.and_then(|agent| self.authors.get(agent as usize)).map_or(0, |author| author.next);
        if count == 0 || end <= u64::from(next) {
            return Ok(None);
        }
        if first > u64::from(next) {
            return Err(EventError::Missing(vec![format!("{agent}-{}", first - 1)]));
        }
        self.room(count)?;
        let (mut at, mut splices) = (parents.to_vec(), splices.to_vec());
        let skip = u64::from(next) - first;
        let before = next.checked_sub(1).and_then(|last| self.find(&format!("{agent}-{last}")));
        let mut len = self.len_at(&at);
        check(&splices, len)?;
        match before {
            Some(before) if skip > 0 => {
                at = vec![before];
                splices = rest(&splices, skip as u32);
                len = self.len_at(&at);
                check(&splices, len)?;
            }
            Some(before) if !self.contains(&at, before) => {
                return Err(EventError::Name("does not build on the events of its agent before it"));
            }
            _ => {}
        }
        let tip = self.tip.clone();
        let author = self.author(agent);
        self.push(author, &at, len, splices, by);
        let change = Delta::of_edits(&self.changes(&tip, &self.tip));
        self.len = u32::try_from(i64::from(self.len) + change.growth()).unwrap_or(0);
        Ok(Some(change))
    }

    /// Edits from the one with this number on, without what is part of the state `have` and what this client sent, and the
    /// number to go on with.
    pub fn told(&self, have: &[u32], from: u32, client: Option<&str>) -> (Vec<Event>, u32) {
        let covered = self.covered(have);
        let (mut told, mut size) = (Vec::new(), 0);
        for (at, record) in self.records.iter().enumerate().skip(from as usize) {
            if told.len() >= MAX_TOLD_EDITS || size > MAX_TOLD {
                return (told, at as u32);
            }
            let known = covered.get(at).copied().unwrap_or(0);
            if known == record.count || client.is_some_and(|client| record.by.as_deref() == Some(client)) {
                continue;
            }
            let (splices, parents) = match known {
                0 => (record.splices.clone(), self.names(&record.parents)),
                _ => (rest(&record.splices, known), vec![self.name(record.first + known - 1)]),
            };
            size += splices.iter().map(|splice| splice.text.len() + 32).sum::<usize>();
            told.push(Event { version: self.name(record.first + record.count - 1), parents, splices });
        }
        (told, self.len())
    }

    /// What [`Events::back_to`] takes to undo what is added from now on.
    pub fn mark(&self) -> Mark {
        Mark { records: self.records.len(), tip: self.tip.clone(), len: self.len }
    }

    /// Takes back what was added since. Only while it has not been given out to be stored.
    pub fn back_to(&mut self, mark: Mark) {
        while self.records.len() > mark.records {
            let Some(record) = self.records.pop() else { break };
            if let Some(author) = self.authors.get_mut(record.agent as usize) {
                author.next = record.seq;
                author.records.pop();
            }
        }
        while self.authors.len() > 1 && self.authors.last().is_some_and(|author| author.records.is_empty()) {
            self.names.remove(&self.authors.pop().map(|author| author.name).unwrap_or_default());
        }
        (self.tip, self.len) = (mark.tip, mark.len);
    }

    pub(crate) fn author(&mut self, name: &str) -> u32 {
        if let Some(author) = self.names.get(name) {
            return *author;
        }
        let author = self.authors.len() as u32;
        self.names.insert(name.to_owned(), author);
        self.authors.push(Author { name: name.to_owned(), next: 0, records: Vec::new() });
        author
    }

    /// Adds an edit. Its parents are known, ascending and minimal, its replacements inside the text there.
    fn push(&mut self, agent: u32, parents: &[u32], before: u32, splices: Vec<Splice>, by: Option<&str>) {
        let (first, count) = (self.total(), count(&splices) as u32);
        let at: Vec<u32> = parents.iter().filter_map(|event| self.number(*event)).collect();
        let index = self.records.len() as u32;
        let Some(author) = self.authors.get_mut(agent as usize) else { return };
        let seq = author.next;
        author.next += count;
        author.records.push(index);
        let number = self.log.push(&author.name, &at, &Delta::of_splices(&splices).edits());
        let record = Record {
            agent,
            seq,
            first,
            count,
            number,
            parents: parents.into(),
            before,
            splices,
            by: by.map(Into::into),
        };
        self.records.push(record);
        if *self.tip == *parents {
            self.tip.clear();
        } else {
            let tip = std::mem::take(&mut self.tip);
            self.tip = tip.into_iter().filter(|event| !self.contains(parents, *event)).collect();
        }
        self.tip.push(first + count - 1);
    }

    /// Adds an edit that was stored; tells whether it fits.
    pub(crate) fn restore(&mut self, agent: u32, parents: &[u32], before: u32, splices: Vec<Splice>) -> bool {
        let last = self.authors.get(agent as usize).and_then(|author| author.records.last());
        let last = last.and_then(|last| self.records.get(*last as usize)).map(|last| last.first + last.count - 1);
        let sound = (agent as usize) < self.authors.len()
            && last.is_none_or(|last| self.contains(parents, last))
            && parents.is_sorted_by(|left, right| left < right)
            && parents.last().is_none_or(|last| *last < self.total())
            && (parents.len() < 2 || self.minimal(parents.to_vec()) == parents)
            && check(&splices, before).is_ok()
            && count(&splices) > 0
            && self.room(count(&splices)).is_ok()
            && (parents.len() > 1 || self.measure(parents) == before);
        if sound {
            self.push(agent, parents, before, splices, None);
        }
        sound
    }

    /// What was stored is all there.
    pub(crate) fn restored(&mut self) {
        self.len = self.measure(&self.tip);
    }

    fn room(&self, count: u64) -> Result<(), EventError> {
        if u64::from(self.total()) + count > u64::from(MAX_EVENTS) { Err(EventError::Full) } else { Ok(()) }
    }
}

/// How many events replacements are.
fn count(splices: &[Splice]) -> u64 {
    splices.iter().map(|splice| u64::from(splice.len) + splice.text.chars().count() as u64).sum()
}

/// How much of a replacement so many events do: code points taken out and put in.
fn portion(splice: &Splice, left: &mut u32) -> (u32, u32) {
    let gone = splice.len.min(*left);
    let put = (splice.text.chars().count() as u32).min(*left - gone);
    *left -= gone + put;
    (gone, put)
}

/// What is left to do of replacements after their first events, in the text as it is then.
fn rest(splices: &[Splice], mut skip: u32) -> Vec<Splice> {
    let (mut left, mut shift) = (Vec::new(), 0i64);
    for splice in splices {
        let (gone, put) = portion(splice, &mut skip);
        let pos = u32::try_from(i64::from(splice.pos) + shift).unwrap_or(0) + put;
        shift += i64::from(put) - i64::from(gone);
        let text: String = splice.text.chars().skip(put as usize).collect();
        if gone < splice.len || !text.is_empty() {
            left.push(Splice { pos, len: splice.len - gone, text });
        }
    }
    left
}

fn check(splices: &[Splice], len: u32) -> Result<(), EventError> {
    let mut end = 0u64;
    for splice in splices {
        let to = u64::from(splice.pos) + u64::from(splice.len);
        if u64::from(splice.pos) < end || to > u64::from(len) {
            return Err(EventError::Range(len));
        }
        end = to;
    }
    Ok(())
}
