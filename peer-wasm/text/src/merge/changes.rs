//! What lies between two states, as edits of one text.
//!
//! Where everything before an event is below it and everything after it above, it goes in as it was made and nothing before
//! it has to be looked at: so the history of one writer is only read, and of several only where they write at once
//! is anything merged.

use super::log::Log;
use super::tracker::{Tell, Tracker};
use std::ops::Range;

/// Events that are merged together.
struct Together<'a> {
    log: &'a Log,
    /// What all of it builds on.
    base: Option<u32>,
    /// What is in the text before, since the base.
    before: Vec<Range<u32>>,
    news: Vec<Range<u32>>,
}

impl Together<'_> {
    /// Tells what they change.
    fn merge(&mut self, each: Tell<'_>) {
        let (before, news) = (std::mem::take(&mut self.before), std::mem::take(&mut self.news));
        if news.is_empty() {
            return;
        }
        let mut tracker = Tracker::new(self.base);
        tracker.take_as_shown(self.log, before);
        for events in self.log.order(news) {
            tracker.take_in(self.log, events, Some(each));
        }
    }
}

/// The edits that turn the text at one state into the text at both, in sequence. Both ascend and are minimal.
pub(super) fn changes(log: &Log, from: &[u32], to: &[u32], each: Tell<'_>) {
    let both: Vec<u32> = from.iter().chain(to).copied().collect();
    let base = log.base(from, to);
    let before = log.difference(base.as_slice(), from).other;
    let mut together = Together { log, base, before, news: Vec::new() };
    let mut news = log.difference(from, &both).other;
    news.sort_unstable_by_key(|range| range.start);
    let floors = floors(log, &news);
    let mut heads = from.to_vec();
    for (mut range, floor) in news.into_iter().zip(floors) {
        let parents = log.parents(range.start);
        if parents == heads && floor > range.start {
            together.merge(each);
            let end = range.end.min(floor);
            as_made(log, range.start..end, each);
            together.base = Some(end - 1);
            range.start = end;
            heads = vec![range.end - 1];
            together.news.extend(Some(range).filter(|range| !range.is_empty()));
        } else {
            heads.retain(|head| !parents.contains(head));
            heads.push(range.end - 1);
            heads.sort_unstable();
            together.news.push(range);
        }
    }
    together.merge(each);
}

/// For each range the end of what all later ones build on.
fn floors(log: &Log, ranges: &[Range<u32>]) -> Vec<u32> {
    let mut lowest = u32::MAX;
    let below = |range: &Range<u32>| {
        let floor = lowest;
        lowest = lowest.min(log.parents(range.start).first().map_or(0, |parent| parent + 1));
        floor
    };
    let mut floors: Vec<u32> = ranges.iter().rev().map(below).collect();
    floors.reverse();
    floors
}

/// Tells edits as they were made.
fn as_made(log: &Log, events: Range<u32>, each: Tell<'_>) {
    for part in log.parts(events) {
        each(match part.puts {
            true => super::Change::Insert { pos: part.pos, text: log.text(part.first..part.first + part.len) },
            false => super::Change::Delete { pos: part.pos, len: part.len },
        });
    }
}
