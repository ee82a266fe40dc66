//! Events by name and by place, and which of them a state includes.

use crate::events::{Events, Record, event_name};
use crate::op::Edit;
use std::collections::BinaryHeap;

impl Events {
    /// How many events there are.
    pub fn total(&self) -> u32 {
        self.records.last().map_or(0, |record| record.first + record.count)
    }

    pub(crate) fn changes(&self, from: &[u32], to: &[u32]) -> Vec<Edit> {
        let number = |events: &[u32]| events.iter().filter_map(|event| self.number(*event)).collect::<Vec<u32>>();
        let mut edits = Vec::new();
        self.log.changes(&number(from), &number(to), &mut |change| edits.push(change.edit()));
        edits
    }

    pub(crate) fn place_of(&self, event: u32) -> Option<usize> {
        self.records.partition_point(|record| record.first <= event).checked_sub(1)
    }

    pub(crate) fn record_of(&self, event: u32) -> Option<&Record> {
        self.records.get(self.place_of(event)?).filter(|record| event < record.first + record.count)
    }

    pub(crate) fn number(&self, event: u32) -> Option<u32> {
        self.record_of(event).map(|record| record.number + (event - record.first))
    }

    pub(crate) fn name(&self, event: u32) -> String {
        let named = self.record_of(event).and_then(|record| {
            let author = self.authors.get(record.agent as usize)?;
            Some(format!("{}-{}", author.name, record.seq + event - record.first))
        });
        named.unwrap_or_default()
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let (agent, number) = event_name(name)?;
        let author = self.authors.get(*self.names.get(agent)? as usize)?;
        let record = |index: &u32| self.records.get(*index as usize);
        let after = author.records.partition_point(|index| record(index).is_some_and(|record| record.seq <= number));
        let record = record(author.records.get(after.checked_sub(1)?)?)?;
        (number < record.seq + record.count).then(|| record.first + number - record.seq)
    }

    /// Whether a state includes an event.
    pub(crate) fn contains(&self, heads: &[u32], event: u32) -> bool {
        let mut heap: BinaryHeap<u32> = heads.iter().copied().filter(|head| *head >= event).collect();
        while let Some(head) = heap.pop() {
            let Some(record) = self.record_of(head) else { return false };
            if record.first <= event {
                return true;
            }
            while heap.peek().is_some_and(|next| *next >= record.first) {
                heap.pop();
            }
            heap.extend(record.parents.iter().filter(|parent| **parent >= event));
        }
        false
    }

    pub(crate) fn minimal(&self, mut heads: Vec<u32>) -> Vec<u32> {
        heads.sort_unstable();
        heads.dedup();
        let above = |at: usize| heads.get(at + 1..).unwrap_or_default();
        let kept = heads.iter().enumerate().filter(|(at, head)| !self.contains(above(*at), **head));
        kept.map(|(_, head)| *head).collect()
    }

    /// How many events of each edit a state includes.
    pub(crate) fn covered(&self, heads: &[u32]) -> Vec<u32> {
        let mut covered = Vec::new();
        let mut heap: BinaryHeap<u32> = heads.iter().copied().collect();
        while let Some(head) = heap.pop() {
            let Some(place) = self.place_of(head) else { break };
            if covered.len() <= place {
                covered.resize(place + 1, 0);
            }
            let (Some(known), Some(record)) = (covered.get_mut(place), self.records.get(place)) else { break };
            if *known == 0 {
                *known = head - record.first + 1;
                heap.extend(record.parents.iter());
            }
        }
        covered
    }
}
