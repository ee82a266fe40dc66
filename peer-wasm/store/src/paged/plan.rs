//! Working out which stored pages change when rows change.

use std::rc::Rc;

use kith_core::rows::{Batch, KeyRange, Table};

use super::cache::{Cache, End, Node};
use super::fetch::{Want, apart_key, apart_range, page_key, pages_between};
use super::page::{Page, Row, pack};
use super::sum::sum;

/// A changed row: its key, and its value unless it goes.
pub(super) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// Changes under way, from the pages as they are stored to what is to be stored.
pub(super) struct Plan {
    /// In the order of their bounds.
    drafts: Vec<(Vec<u8>, Draft)>,
    batch: Batch,
    page_bytes: usize,
}

/// A page, and what becomes of it.
struct Draft {
    page: Rc<Page>,
    end: End,
    /// Whether it is stored at present. Empty pages are not.
    stored: bool,
    changed: bool,
    shrunk: bool,
    /// Whether its last row is new, so that more may be expected behind it.
    grows: bool,
}

/// What a plan comes to.
pub(super) struct Planned {
    /// The changes of stored rows.
    pub(super) batch: Batch,
    /// What is known of the pages once they are stored.
    pub(super) known: Known,
}

/// What is known of some pages once they are stored.
pub(super) struct Known(Vec<(Vec<u8>, Node)>);

impl Plan {
    pub(super) fn new(page_bytes: usize) -> Plan {
        Plan { drafts: Vec::new(), batch: Batch::default(), page_bytes }
    }

    /// Takes the pages that cover these keys; says which are missing.
    pub(super) fn take<'a>(&mut self, cache: &Cache, keys: impl IntoIterator<Item = &'a [u8]>) -> Vec<Want> {
        let mut missing = Vec::new();
        for key in keys {
            if self.covering(key).is_some() {
                continue;
            }
            let Some((bound, node)) = cache.covering(key) else {
                missing.push(Want::covering(key));
                continue;
            };
            match self.drafts.binary_search_by(|(at, _)| at.as_slice().cmp(bound)) {
                // Taken before, and now known to reach further.
                Ok(at) => {
                    if let Some((_, draft)) = self.drafts.get_mut(at) {
                        draft.end = node.end.clone();
                    }
                }
                Err(at) => {
                    let (page, end) = (Rc::clone(&node.page), node.end.clone());
                    let stored = !page.rows.is_empty();
                    let draft = Draft { page, end, stored, changed: false, shrunk: false, grows: false };
                    self.drafts.insert(at, (bound.to_vec(), draft));
                }
            }
        }
        missing
    }

    /// Which draft covers a key.
    fn covering(&self, key: &[u8]) -> Option<usize> {
        let at = self.drafts.partition_point(|(bound, _)| bound.as_slice() <= key).checked_sub(1)?;
        self.drafts.get(at).filter(|(_, draft)| draft.end.is_after(key)).map(|_| at)
    }

    /// Empties a range. The pages that cover its start and its end must be taken.
    pub(super) fn cut(&mut self, range: &KeyRange) {
        self.batch.delete_ranges.push((Table::View, apart_range(range)));
        let (Some(first), Some(last)) = (self.covering(&range.start), self.covering(&range.end)) else { return };
        for at in [first, last] {
            if let Some((_, draft)) = self.drafts.get_mut(at)
                && draft.page.rows.iter().any(|row| range.contains(row.key()))
            {
                Rc::make_mut(&mut draft.page).rows.retain(|row| !range.contains(row.key()));
                (draft.changed, draft.shrunk) = (true, true);
            }
        }
        if first == last {
            return;
        }
        // What lies between goes unread.
        let Some((last_bound, _)) = self.drafts.get(last) else { return };
        let end = End::Before(last_bound.clone());
        if let Some((bound, draft)) = self.drafts.get_mut(first) {
            self.batch.delete_ranges.push((Table::View, pages_between(bound, &end)));
            draft.end = end;
        }
        self.drafts.drain(first + 1..last);
    }

    /// Changes rows, given in the order of their keys. The pages that cover them must be taken.
    pub(super) fn change(&mut self, changes: &[Change<'_>]) {
        let large = self.page_bytes / 4;
        let mut rest = changes;
        while let Some((key, _)) = rest.first() {
            let Some((_, draft)) = self.covering(key).and_then(|at| self.drafts.get_mut(at)) else { return };
            let count = rest.iter().take_while(|(key, _)| draft.end.is_after(key)).count().max(1);
            let Some((its, behind)) = rest.split_at_checked(count) else { return };
            draft.merge(its, large, &mut self.batch);
            rest = behind;
        }
    }

    /// What is to be stored.
    pub(super) fn finish(mut self, cache: &Cache) -> Planned {
        let mut pieces: Vec<(Vec<u8>, Draft)> = Vec::new();
        for (bound, mut draft) in std::mem::take(&mut self.drafts) {
            if !draft.changed {
                pieces.push((bound, draft));
                continue;
            }
            let rows = std::mem::take(&mut Rc::make_mut(&mut draft.page).rows);
            let mut packed = pack(&bound, rows, self.page_bytes, draft.grows).into_iter().peekable();
            while let Some((bound, page)) = packed.next() {
                let end = packed.peek().map_or(draft.end.clone(), |(next, _)| End::Before(next.clone()));
                pieces.push((bound, Draft { page: Rc::new(page), end, ..draft }));
                draft.stored = false;
            }
        }
        let pieces = self.join(pieces, cache);
        let mut known = Vec::with_capacity(pieces.len());
        for (bound, Draft { page, end, stored, changed, .. }) in pieces {
            if changed && !page.rows.is_empty() {
                self.batch.puts.push((Table::View, page_key(&bound), page.encode(&bound)));
            } else if changed && stored {
                self.batch.deletes.push((Table::View, page_key(&bound)));
            }
            known.push((bound, Node { page, end }));
        }
        Planned { batch: self.batch, known: Known(known) }
    }

    /// Joins pages that have become small with the page before, if that is at hand and has room.
    fn join(&mut self, pieces: Vec<(Vec<u8>, Draft)>, cache: &Cache) -> Vec<(Vec<u8>, Draft)> {
        let mut joined: Vec<(Vec<u8>, Draft)> = Vec::with_capacity(pieces.len());
        for (bound, draft) in pieces {
            if !draft.shrunk || draft.page.rows.is_empty() || draft.page.size(&bound) >= self.page_bytes / 4 {
                joined.push((bound, draft));
                continue;
            }
            let here = End::Before(bound.clone());
            if joined.last().is_none_or(|(_, before)| before.end != here)
                && let Some((before, node)) = cache.covering_before(&bound)
                && joined.last().is_none_or(|(last, _)| last.as_slice() < before)
            {
                let (page, end) = (Rc::clone(&node.page), node.end.clone());
                let stored = !page.rows.is_empty();
                joined
                    .push((before.to_vec(), Draft { page, end, stored, changed: false, shrunk: false, grows: false }));
            }
            match joined.last_mut() {
                Some((at, before))
                    if before.end == here
                        && before.page.size(at) + draft.page.size(&bound) <= self.page_bytes - self.page_bytes / 4 =>
                {
                    Rc::make_mut(&mut before.page).rows.extend(draft.page.rows.iter().cloned());
                    (before.end, before.changed) = (draft.end, true);
                    if draft.stored {
                        self.batch.deletes.push((Table::View, page_key(&bound)));
                    }
                }
                _ => joined.push((bound, draft)),
            }
        }
        joined
    }
}

impl Draft {
    fn merge(&mut self, changes: &[Change<'_>], large: usize, batch: &mut Batch) {
        let before = std::mem::take(&mut Rc::make_mut(&mut self.page).rows);
        let last = before.last().map(|row| row.key().to_vec());
        let mut rows = Vec::with_capacity(before.len() + changes.len());
        let mut kept = before.into_iter().peekable();
        for (key, value) in changes {
            while let Some(row) = kept.next_if(|row| row.key() < *key) {
                rows.push(row);
            }
            let old = kept.next_if(|row| row.key() == *key);
            let was_apart = old.as_ref().is_some_and(|old| old.value().is_err());
            match value {
                Some(value) if value.len() > large => {
                    batch.puts.push((Table::View, apart_key(key), value.to_vec()));
                    rows.push(Row::apart(key, sum(value)));
                }
                _ => {
                    if was_apart {
                        batch.deletes.push((Table::View, apart_key(key)));
                    }
                    rows.extend(value.map(|value| Row::new(key, value)));
                }
            }
            self.shrunk |= old.is_some() && value.is_none();
            self.changed |= old.is_some() || value.is_some();
        }
        rows.extend(kept);
        self.grows = rows.last().map(Row::key) > last.as_deref();
        Rc::make_mut(&mut self.page).rows = rows;
    }
}

impl Known {
    /// Takes over what is known now.
    pub(super) fn settle(self, cache: &mut Cache) {
        for (bound, node) in &self.0 {
            cache.forget(bound, &node.end);
        }
        for (bound, node) in self.0 {
            // Empty pages are not stored: who asks there finds the page before. Before the first there is none.
            if !node.page.rows.is_empty() || bound.is_empty() {
                cache.learn(bound, node);
            }
        }
    }
}
