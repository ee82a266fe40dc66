//! The merge itself: operations made at different states, as edits of one text.
//!
//! This is the walk of *Collaborative Text Editing with Eg-walker* (Gentle and Kleppmann, EuroSys 2025). A tracker holds
//! everything that was put in since its base, in the order it has in the text whatever is taken out of it, and says of
//! each code point whether it is there in two states: the one the next operation was made at (*prepared*), which goes
//! back and forth, and the one that was told of (*shown*), which grows. What is put in at one place by several finds its
//! order as in YjsMod, by what stood to its left and right; the names of agents decide the rest.

use super::log::Log;
use super::spans::{NONE, Span, Spans, State};
use crate::engine::Change;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

/// The text at the base has no events here: its code points are numbered from here on. No log has that many events.
const BASE: u32 = 1 << 30;
/// As many of them as any text can have.
const BASE_LEN: u32 = 1 << 30;

/// Who is told of changes.
pub(super) type Tell<'a> = &'a mut dyn FnMut(Change<'_>);

/// See the description of this file.
pub(super) struct Tracker {
    spans: Spans,
    /// Everything here builds on this event and what it builds on, which is not here.
    base: Option<u32>,
    /// The prepared state.
    prepared: Vec<u32>,
    /// The events that are here, as ranges by their first.
    known: BTreeMap<u32, u32>,
    /// What events took out, by the first of them: so many code points from an event on, from their end.
    taken: BTreeMap<u32, (u32, u32)>,
    /// How many spans were looked at.
    work: u64,
}

impl Tracker {
    /// A tracker of what builds on an event, or on nothing.
    pub(super) fn new(base: Option<u32>) -> Tracker {
        let mut spans = Spans::new();
        if base.is_some() {
            let all = Span { id: BASE, len: BASE_LEN, left: NONE, right: NONE, prepared: 1, shown: 1 };
            spans.insert(0, all);
        }
        Tracker {
            spans,
            base,
            prepared: base.into_iter().collect(),
            known: BTreeMap::new(),
            taken: BTreeMap::new(),
            work: 0,
        }
    }

    pub(super) fn base(&self) -> Option<u32> {
        self.base
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        80 * self.spans.len() + 32 * (self.known.len() + self.taken.len())
    }

    /// How much longer the prepared text is than the one at the base.
    pub(super) fn growth(&self) -> i64 {
        let base = if self.base.is_some() { i64::from(BASE_LEN) } else { 0 };
        i64::from(self.spans.visible(State::Prepared)) - base
    }

    /// Whether an event is here.
    pub(super) fn knows(&self, event: u32) -> bool {
        self.known.range(..=event).next_back().is_some_and(|(_, end)| event < *end)
    }

    /// What is not here yet of some states: ranges within runs. Nothing if some of it does not build on the base.
    pub(super) fn lacks(&self, log: &Log, heads: &[u32]) -> Option<Vec<Range<u32>>> {
        if heads.is_empty() && self.base.is_some() {
            return None;
        }
        let (mut lacking, mut left) = (BTreeMap::<u32, u32>::new(), heads.to_vec());
        while let Some(event) = left.pop() {
            let below = |ranges: &BTreeMap<u32, u32>| ranges.range(..=event).next_back().map_or(0, |(_, end)| *end);
            let end = below(&self.known).max(below(&lacking));
            if self.base == Some(event) || event < end {
                continue;
            }
            if self.base.is_some_and(|base| event < base) {
                return None;
            }
            let run = log.run_start(event);
            let first = run.max(end).max(self.base.map_or(0, |base| base + 1));
            lacking.insert(first, event + 1);
            if first == run {
                let parents = log.parents(first);
                if parents.is_empty() && self.base.is_some() {
                    return None;
                }
                left.extend(parents);
            }
        }
        Some(lacking.into_iter().map(|(first, end)| first..end).collect())
    }

    /// How much work it is to prepare a state, in edits.
    pub(super) fn distance(&self, log: &Log, heads: &[u32]) -> u64 {
        let way = log.difference(&self.prepared, heads);
        way.one.iter().chain(&way.other).map(|range| log.work(range)).sum()
    }

    /// Prepares a state, all of which is here. Gives the work it was.
    pub(super) fn prepare(&mut self, log: &Log, heads: &[u32]) -> u64 {
        let before = self.work;
        let way = log.difference(&self.prepared, heads);
        for range in way.one {
            self.turn(log, range, State::Prepared, false, &mut |_| ());
        }
        for range in way.other {
            self.turn(log, range, State::Prepared, true, &mut |_| ());
        }
        self.prepared = heads.to_vec();
        self.work - before
    }

    /// Takes in events of one run, what they build on being here. They are shown as well if somebody is to be told.
    /// Gives the work it was.
    pub(super) fn take_in(&mut self, log: &Log, events: Range<u32>, mut tell: Option<Tell<'_>>) -> u64 {
        let before = self.work;
        self.prepare(log, &log.parents(events.start));
        for part in log.parts(events.clone()) {
            if part.puts {
                self.put(log, part.first, part.pos, part.len, &mut tell);
            } else {
                self.take(part.first, part.pos, part.len, &mut tell);
            }
        }
        self.prepared = events.end.checked_sub(1).into_iter().collect();
        let below = self.known.range(..events.start).next_back().filter(|(_, end)| **end == events.start);
        let first = below.map_or(events.start, |(first, _)| *first);
        let end = self.known.remove(&events.end).unwrap_or(events.end);
        self.known.insert(first, end);
        self.work - before
    }

    /// Takes in what is shown already. Gives the work it was.
    pub(super) fn take_as_shown(&mut self, log: &Log, ranges: Vec<Range<u32>>) -> u64 {
        log.order(ranges).into_iter().map(|events| self.take_in(log, events, Some(&mut |_| ()))).sum()
    }

    /// Shows events that are here. Gives the work it was.
    pub(super) fn show(&mut self, log: &Log, events: Range<u32>, tell: Tell<'_>) -> u64 {
        let before = self.work;
        self.turn(log, events, State::Shown, true, tell);
        self.work - before
    }

    /// Puts something in at the prepared state.
    fn put(&mut self, log: &Log, event: u32, pos: u32, len: u32, tell: &mut Option<Tell<'_>>) {
        let (left, after) = match pos.checked_sub(1).and_then(|before| self.spans.find(State::Prepared, before)) {
            None => (NONE, 0),
            Some((node, offset)) => {
                let span = self.spans.span(node);
                if offset + 1 < span.len {
                    self.spans.split(node, offset + 1);
                }
                (span.id + offset, node)
            }
        };
        // On its right is the first that was ever put in, taken out or not.
        self.spans.touch(after);
        let mut next = self.spans.next(after);
        while next != 0 && self.spans.span(next).prepared == 0 {
            self.work += 1;
            next = self.spans.next(next);
        }
        self.spans.touch(next);
        let right = if next == 0 { NONE } else { self.spans.span(next).id };
        let after = self.place(log, event, left, right, after);
        let shown = u32::from(tell.is_some());
        let before = self.spans.span(after);
        let goes_on = after != 0
            && before.id + before.len == event
            && left == event - 1
            && before.right == right
            && (before.prepared, before.shown) == (1, shown);
        let (node, offset) = if goes_on {
            self.spans.extend(after, len);
            (after, before.len)
        } else {
            (self.spans.insert(after, Span { id: event, len, left, right, prepared: 1, shown }), 0)
        };
        if let Some(tell) = tell {
            let pos = self.spans.before(node, State::Shown) + offset;
            tell(Change::Insert { pos, text: log.text(event..event + len) });
        }
    }

    /// Behind which span something goes that is put in between two code points: others may be there that its writer
    /// did not know of.
    fn place(&mut self, log: &Log, event: u32, left: u32, right: u32, mut after: u32) -> u32 {
        // Where it goes if nothing further on says otherwise.
        let mut sure = None;
        let mut other = self.spans.next(after);
        while other != 0 {
            let span = self.spans.span(other);
            if span.id == right {
                break;
            }
            match self.order(span.left, left, Ordering::Less) {
                Ordering::Less => break,
                Ordering::Greater => {}
                Ordering::Equal if span.right == right => {
                    if log.is_first(event, span.id) {
                        break;
                    }
                    sure = None;
                }
                Ordering::Equal if self.order(span.right, right, Ordering::Greater) == Ordering::Less => {
                    sure = sure.or(Some(after));
                }
                Ordering::Equal => sure = None,
            }
            self.work += 1;
            (after, other) = (other, self.spans.next(other));
        }
        self.spans.touch(other);
        sure.unwrap_or(after)
    }

    /// Which of two code points comes first; `none` says where it is if there is none.
    fn order(&mut self, one: u32, other: u32, none: Ordering) -> Ordering {
        match (one, other) {
            _ if one == other => Ordering::Equal,
            (NONE, _) => none,
            (_, NONE) => none.reverse(),
            _ => self.spans.order(one, other),
        }
    }

    /// Takes something out at the prepared state, from its end.
    fn take(&mut self, mut event: u32, pos: u32, len: u32, tell: &mut Option<Tell<'_>>) {
        let mut left = len;
        while let Some(last) = left.checked_sub(1) {
            let Some((node, offset)) = self.spans.find(State::Prepared, pos + last) else { return };
            let some = left.min(offset + 1);
            let id = self.spans.span(node).id + offset + 1 - some;
            let Some(node) = self.spans.cut(id, id + some) else { return };
            let span = self.spans.span(node);
            self.spans.set(node, State::Prepared, span.prepared + 1);
            self.note(event, id, some);
            if let Some(tell) = tell {
                self.step(node, State::Shown, true, &mut |pos, before| {
                    if before == 1 {
                        tell(Change::Delete { pos, len: some });
                    }
                });
            }
            event += some;
            left -= some;
        }
    }

    /// Notes what events took out.
    fn note(&mut self, event: u32, id: u32, len: u32) {
        if let Some((first, (lowest, count))) = self.taken.range_mut(..event).next_back()
            && first + *count == event
            && id + len == *lowest
        {
            (*lowest, *count) = (id, *count + len);
            return;
        }
        self.taken.insert(event, (id, len));
    }

    /// Brings events into a state, or back out of it.
    fn turn(&mut self, log: &Log, events: Range<u32>, state: State, into: bool, tell: Tell<'_>) {
        for part in log.parts(events) {
            let (first, end) = (part.first, part.first + part.len);
            if part.puts {
                self.turn_points(first..end, state, into, &mut |id, len, pos, before| {
                    if before == 0 {
                        tell(Change::Insert { pos, text: log.text(id..id + len) });
                    }
                });
                continue;
            }
            let from = self.taken.range(..=first).next_back().map_or(first, |(from, _)| *from);
            let taken: Vec<(u32, (u32, u32))> =
                self.taken.range(from..end).map(|(event, what)| (*event, *what)).collect();
            for (event, (id, len)) in taken {
                // From its end: the first event took the last code point.
                let (from, to) = (first.max(event), end.min(event + len));
                if from < to {
                    let ids = id + (event + len - to)..id + (event + len - from);
                    self.turn_points(ids, state, into, &mut |_, len, pos, before| {
                        if before == 1 {
                            tell(Change::Delete { pos, len });
                        }
                    });
                }
            }
        }
    }

    /// The same for code points. `each` is told which and how many there are together, how many that are shown come before, and how often
    /// they were put in and taken out till now.
    fn turn_points(&mut self, ids: Range<u32>, state: State, into: bool, each: &mut dyn FnMut(u32, u32, u32, u32)) {
        let mut id = ids.start;
        while id < ids.end {
            let Some(node) = self.spans.cut(id, ids.end) else { return };
            let len = self.spans.span(node).len;
            self.step(node, state, into, &mut |pos, before| each(id, len, pos, before));
            id += len;
        }
    }

    fn step(&mut self, node: u32, state: State, into: bool, each: &mut dyn FnMut(u32, u32)) {
        self.work += 1;
        let count = self.spans.span(node).count(state);
        if state == State::Shown {
            each(self.spans.before(node, state), count);
        }
        self.spans.set(node, state, if into { count + 1 } else { count.saturating_sub(1) });
    }
}
