//! Pages at hand: what is known of the stored pages, in bounded memory.
//!
//! A *node* says: the rows from this bound up to this end are those of this page, and no others. It is always true of the
//! stored rows, whether or not the page reaches further than the end we know. Nodes never overlap.

use std::cell::Cell;
use std::rc::Rc;

use super::page::Page;

/// Where something ends: before this key, or never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Before(Vec<u8>),
    Never,
}

impl End {
    /// The end just behind a key.
    pub(super) fn behind(key: &[u8]) -> End {
        End::Before([key, &[0]].concat())
    }

    /// Whether this end comes after the key.
    pub(super) fn is_after(&self, key: &[u8]) -> bool {
        match self {
            End::Before(end) => key < end.as_slice(),
            End::Never => true,
        }
    }

    /// Whether everything before `key` comes before this end too.
    pub(super) fn reaches(&self, key: &[u8]) -> bool {
        match self {
            End::Before(end) => key <= end.as_slice(),
            End::Never => true,
        }
    }

    pub(super) fn key(&self) -> Option<&[u8]> {
        match self {
            End::Before(end) => Some(end),
            End::Never => None,
        }
    }

    /// The later of two ends.
    pub(super) fn or_later(self, other: End) -> End {
        match (&self, &other) {
            (End::Before(one), End::Before(another)) if another > one => other,
            (End::Before(_), End::Never) => other,
            _ => self,
        }
    }
}

/// A page and how far it is known to reach.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) page: Rc<Page>,
    pub(super) end: End,
}

#[derive(Debug)]
struct Held {
    node: Node,
    memory: usize,
    /// Looked at since the hand last passed.
    wanted: Cell<bool>,
}

/// The nodes at hand. The least wanted are let go of when there are too many: a clock's hand passes over them in the order
/// of their bounds and takes those not looked at since its last round.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// In the order of their bounds. A list and no map: there are some hundred, and a map's code is downloaded by everyone.
    nodes: Vec<(Vec<u8>, Held)>,
    memory: usize,
    hand: usize,
}

impl Cache {
    /// The node that covers a key, with its bound.
    pub(super) fn covering(&self, key: &[u8]) -> Option<(&[u8], &Node)> {
        let at = self.nodes.partition_point(|(bound, _)| bound.as_slice() <= key);
        self.look(at).filter(|(_, node)| node.end.is_after(key))
    }

    /// The node that covers what comes just before a key, with its bound.
    pub(super) fn covering_before(&self, key: &[u8]) -> Option<(&[u8], &Node)> {
        let at = self.nodes.partition_point(|(bound, _)| bound.as_slice() < key);
        self.look(at).filter(|(_, node)| node.end.reaches(key))
    }

    /// The node before a place in the list.
    fn look(&self, behind: usize) -> Option<(&[u8], &Node)> {
        let (bound, held) = self.nodes.get(behind.checked_sub(1)?)?;
        held.wanted.set(true);
        Some((bound, &held.node))
    }

    /// Adds what was read from the store.
    pub(super) fn learn(&mut self, bound: Vec<u8>, node: Node) {
        match self.nodes.binary_search_by(|(at, _)| at.cmp(&bound)) {
            // The same page: it can only have turned out to reach further.
            Ok(at) => {
                if let Some((_, held)) = self.nodes.get_mut(at) {
                    let end = std::mem::replace(&mut held.node.end, End::Never);
                    held.node.end = end.or_later(node.end);
                }
            }
            Err(at) => {
                let memory = node.page.memory() + 2 * bound.len();
                self.memory += memory;
                // Wanted once someone looks: a page may only have come along with another.
                self.nodes.insert(at, (bound, Held { node, memory, wanted: Cell::new(false) }));
            }
        }
    }

    /// Forgets what is known from a bound up to an end: it was written anew.
    pub(super) fn forget(&mut self, bound: &[u8], end: &End) {
        let from = self.nodes.partition_point(|(at, _)| at.as_slice() < bound);
        let to = end.key().map_or(self.nodes.len(), |end| self.nodes.partition_point(|(at, _)| at.as_slice() < end));
        if from < to {
            let gone = self.nodes.drain(from..to).map(|(_, held)| held.memory).sum();
            self.memory = self.memory.saturating_sub(gone);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Cache::default();
    }

    /// Lets nodes go until what is left needs at most so many bytes.
    pub(super) fn trim(&mut self, most: usize) {
        // Two rounds: in the first, each may have been wanted since the last.
        let mut looks = 2 * self.nodes.len();
        while self.memory > most && looks > 0 {
            looks -= 1;
            if self.hand >= self.nodes.len() {
                self.hand = 0;
            }
            match self.nodes.get(self.hand) {
                Some((_, held)) if held.wanted.replace(false) => self.hand += 1,
                Some(_) => {
                    let (_, gone) = self.nodes.remove(self.hand);
                    self.memory = self.memory.saturating_sub(gone.memory);
                }
                None => return,
            }
        }
    }

    /// Bytes in memory, about.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn memory(&self) -> usize {
        self.memory
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::Row;
    use super::*;

    fn node(key: &[u8], end: End) -> Node {
        Node { page: Rc::new(Page { rows: vec![Row::new(key, &[0; 100])] }), end }
    }

    #[test]
    fn a_node_covers_from_its_bound_to_its_end() {
        let mut cache = Cache::default();
        cache.learn(b"b".to_vec(), node(b"b", End::Before(b"d".to_vec())));
        let covered = |cache: &Cache, key: &[u8]| cache.covering(key).is_some();
        assert!(!covered(&cache, b"a") && covered(&cache, b"b") && covered(&cache, b"cz") && !covered(&cache, b"d"));
        assert!(cache.covering_before(b"b").is_none() && cache.covering_before(b"d").is_some());
        assert!(cache.covering_before(b"da").is_none());
        cache.learn(b"b".to_vec(), node(b"b", End::Never));
        assert!(covered(&cache, b"d"));
        cache.forget(b"", &End::Before(b"b".to_vec()));
        assert!(covered(&cache, b"b"));
        cache.forget(b"b", &End::Never);
        assert!(!covered(&cache, b"b") && cache.memory() == 0);
    }

    #[test]
    fn what_is_wanted_again_and_again_stays() {
        let mut cache = Cache::default();
        for n in 0..100u8 {
            cache.learn(vec![n], node(&[n], End::behind(&[n])));
            assert!(cache.covering(&[0]).is_some(), "gone after {n}");
            cache.trim(1_000);
            assert!(cache.memory() <= 1_000);
        }
    }
}
