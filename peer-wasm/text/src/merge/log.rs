//! What was done to a text: a log of *events*, one for each code point that was put in or taken out.
//!
//! Events are known by their place in the log, and each comes after those it builds on. Most build on exactly the one
//! before: such *runs* are kept and walked as one. What is taken out at once goes from its end.

use super::spans::NONE;
use crate::op::Edit;
use std::collections::BinaryHeap;
use std::ops::Range;

/// So many code points lie between two whose place in the text is noted.
const MARK: u32 = 64;

/// Events of which each builds on the one before.
struct Run {
    first: u32,
    parents: Box<[u32]>,
}

/// Events that put in at one place or take out from one place.
#[derive(Clone, Copy)]
struct Kept {
    first: u32,
    pos: u32,
    /// Which code point of all that were put in comes first; none where it takes out.
    put: u32,
}

/// A part of an edit.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// Its first event; there is one for each code point.
    pub(super) first: u32,
    pub(super) len: u32,
    pub(super) pos: u32,
    pub(super) puts: bool,
}

/// The events.
#[derive(Default)]
pub(super) struct Log {
    runs: Vec<Run>,
    edits: Vec<Kept>,
    len: u32,
    /// Whose events begin where, and their names.
    writers: Vec<(u32, u32)>,
    names: Vec<Box<str>>,
    /// All that was ever put in, how many code points that is, and where every 64th of them begins.
    text: String,
    chars: u32,
    marks: Vec<u32>,
}

/// What two states have in common and do not.
#[derive(Default)]
pub(super) struct Difference {
    pub(super) one: Vec<Range<u32>>,
    pub(super) other: Vec<Range<u32>>,
}

impl Log {
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.text.len() + 24 * self.runs.len() + 12 * self.edits.len() + 8 * self.writers.len() + 4 * self.marks.len()
    }

    /// The number of an agent with this name; a new one each time.
    pub(super) fn agent(&mut self, name: &str) -> u32 {
        self.names.push(name.into());
        self.names.len() as u32 - 1
    }

    /// Adds edits in sequence. `parents` ascend.
    pub(super) fn push(&mut self, agent: u32, parents: &[u32], edits: &[Edit]) {
        let first = self.len;
        let mut follows = first.checked_sub(1).is_some_and(|before| *parents == [before]);
        if !follows {
            self.runs.push(Run { first, parents: parents.into() });
        }
        if self.writers.last().is_none_or(|(_, last)| *last != agent) {
            self.writers.push((first, agent));
        }
        for edit in edits {
            match edit {
                Edit::Insert { pos, text } => self.put(follows, *pos, text),
                Edit::Delete { pos, len } => self.take(follows, *pos, *len),
            }
            follows = true;
        }
    }

    fn put(&mut self, follows: bool, pos: u32, text: &str) {
        let (first, put) = (self.len, self.chars);
        for (at, _) in text.char_indices() {
            if self.chars.is_multiple_of(MARK) {
                self.marks.push((self.text.len() + at) as u32);
            }
            self.chars += 1;
        }
        self.text.push_str(text);
        self.len += self.chars - put;
        let goes_on =
            |last: &Kept| last.put != NONE && u64::from(last.pos) + u64::from(first - last.first) == u64::from(pos);
        if !follows || !self.edits.last().is_some_and(goes_on) {
            self.edits.push(Kept { first, pos, put });
        }
    }

    fn take(&mut self, follows: bool, pos: u32, len: u32) {
        let first = self.len;
        self.len += len;
        match self.edits.last_mut() {
            Some(last) if follows && last.put == NONE && last.pos.checked_sub(len) == Some(pos) => last.pos = pos,
            _ => self.edits.push(Kept { first, pos, put: NONE }),
        }
    }

    fn edit_of(&self, event: u32) -> usize {
        self.edits.partition_point(|edit| edit.first <= event).saturating_sub(1)
    }

    /// How many edits such events are.
    pub(super) fn work(&self, events: &Range<u32>) -> u64 {
        (self.edit_of(events.end.saturating_sub(1)) + 1 - self.edit_of(events.start)) as u64
    }

    /// The edits that such events are.
    pub(super) fn parts(&self, events: Range<u32>) -> impl Iterator<Item = Part> {
        let from = self.edit_of(events.start);
        let edits = self.edits.iter().enumerate().skip(from).take_while(move |(_, edit)| edit.first < events.end);
        edits.map(move |(at, edit)| {
            let end = self.edits.get(at + 1).map_or(self.len, |next| next.first);
            let (first, last) = (edit.first.max(events.start), end.min(events.end));
            let skipped = if edit.put == NONE { end - last } else { first - edit.first };
            Part { first, len: last - first, pos: edit.pos + skipped, puts: edit.put != NONE }
        })
    }

    /// What such events put in.
    pub(super) fn text(&self, events: Range<u32>) -> &str {
        let Some(edit) = self.edits.get(self.edit_of(events.start)) else { return "" };
        let from = edit.put.saturating_add(events.start - edit.first);
        let bytes = self.byte(from)..self.byte(from.saturating_add(events.end - events.start));
        self.text.get(bytes).unwrap_or_default()
    }

    fn byte(&self, char: u32) -> usize {
        if self.chars as usize == self.text.len() {
            return char as usize;
        }
        let Some(mark) = self.marks.get((char / MARK) as usize) else { return self.text.len() };
        let rest = self.text.get(*mark as usize..).unwrap_or_default();
        let more = rest.char_indices().nth((char % MARK) as usize);
        *mark as usize + more.map_or(rest.len(), |(at, _)| at)
    }

    /// Whether of two things put in at the same place this one comes first: by the names of their agents.
    pub(super) fn is_first(&self, one: u32, other: u32) -> bool {
        let name = |event: u32| {
            let after = self.writers.partition_point(|(first, _)| *first <= event);
            let (_, agent) = self.writers.get(after.checked_sub(1)?)?;
            self.names.get(*agent as usize)
        };
        (name(one), one) < (name(other), other)
    }

    fn run_of(&self, event: u32) -> Option<&Run> {
        self.runs.get(self.runs.partition_point(|run| run.first <= event).checked_sub(1)?)
    }

    /// Where the run of an event begins.
    pub(super) fn run_start(&self, event: u32) -> u32 {
        self.run_of(event).map_or(event, |run| run.first)
    }

    /// The events that an event builds on.
    pub(super) fn parents(&self, event: u32) -> Vec<u32> {
        match self.run_of(event) {
            Some(run) if run.first == event => run.parents.to_vec(),
            _ => event.checked_sub(1).into_iter().collect(),
        }
    }

    /// What is part of one of two states only: ranges within runs, descending.
    pub(super) fn difference(&self, one: &[u32], other: &[u32]) -> Difference {
        const BOTH: u8 = 3;
        let mut difference = Difference::default();
        if one == other {
            return difference;
        }
        let marked = |heads: &[u32], mark: u8| heads.iter().map(move |head| (*head, mark)).collect::<Vec<_>>();
        let mut heap: BinaryHeap<(u32, u8)> = marked(one, 1).into_iter().chain(marked(other, 2)).collect();
        // How many of them are part of one state only as far as is known.
        let mut left = heap.len();
        while left > 0 {
            let Some((event, mut mark)) = heap.pop() else { break };
            left -= usize::from(mark != BOTH);
            while let Some((_, also)) = heap.peek().copied().filter(|(next, _)| *next == event) {
                heap.pop();
                left -= usize::from(also != BOTH);
                mark |= also;
            }
            let Some(run) = self.run_of(event) else { break };
            let within = heap.peek().map(|(next, _)| *next).filter(|next| *next >= run.first);
            let first = within.map_or(run.first, |next| next + 1);
            match mark {
                1 => difference.one.push(first..event + 1),
                2 => difference.other.push(first..event + 1),
                _ => {}
            }
            let below = within.as_ref().map_or(&*run.parents, std::slice::from_ref);
            for parent in below {
                heap.push((*parent, mark));
                left += usize::from(mark != BOTH);
            }
        }
        difference
    }

    /// The last event that everything in which two states differ builds on; none if that is the beginning.
    pub(super) fn base(&self, one: &[u32], other: &[u32]) -> Option<u32> {
        if one.is_empty() || other.is_empty() {
            return None;
        }
        let mut heap: BinaryHeap<u32> = one.iter().chain(other).copied().collect();
        loop {
            let event = heap.pop()?;
            while heap.peek() == Some(&event) {
                heap.pop();
            }
            if heap.is_empty() {
                return Some(event);
            }
            let run = self.run_of(event)?;
            if heap.peek().is_none_or(|next| *next < run.first) {
                if run.parents.is_empty() {
                    return None;
                }
                heap.extend(run.parents.iter());
            }
        }
    }

    /// Puts ranges within runs into an order in which each comes after what it builds on, and what builds on the one
    /// before comes next where it can.
    pub(super) fn order(&self, mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
        if ranges.len() < 2 {
            return ranges;
        }
        ranges.sort_unstable_by_key(|range| range.start);
        let mut above: Vec<Vec<usize>> = vec![Vec::new(); ranges.len()];
        let mut open: Vec<usize> = vec![0; ranges.len()];
        let mut ready = Vec::new();
        for (at, range) in ranges.iter().enumerate() {
            let mut below: Vec<usize> = Vec::new();
            for parent in self.parents(range.start) {
                let place = ranges.partition_point(|range| range.start <= parent).checked_sub(1);
                below.extend(place.filter(|place| ranges.get(*place).is_some_and(|range| parent < range.end)));
            }
            below.sort_unstable();
            below.dedup();
            if below.is_empty() {
                ready.push(at);
            }
            for place in &below {
                if let Some(above) = above.get_mut(*place) {
                    above.push(at);
                }
            }
            if let Some(open) = open.get_mut(at) {
                *open = below.len();
            }
        }
        ready.reverse();
        let mut ordered = Vec::with_capacity(ranges.len());
        while let Some(at) = ready.pop() {
            ordered.extend(ranges.get(at).cloned());
            for next in above.get(at).into_iter().flatten().rev() {
                if let Some(open) = open.get_mut(*next) {
                    *open -= 1;
                    if *open == 0 {
                        ready.push(*next);
                    }
                }
            }
        }
        ordered
    }
}
