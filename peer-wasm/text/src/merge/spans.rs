//! Everything that was ever put into a text, in its order: a sequence of spans.
//!
//! It is a splay tree (Sleator and Tarjan, *Self-adjusting binary search trees*, 1985): what was touched last is at the
//! root, so what is done at one place takes few steps, and no order of edits makes the average worse than the logarithm
//! of the number of spans. Nodes are numbers in a vector; 0 is no node.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// No event: the beginning of the text on the left of something, its end on the right.
pub(super) const NONE: u32 = u32::MAX;

/// In which of two states something is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The one an operation is made at.
    Prepared,
    /// The one that was told of.
    Shown,
}

/// Code points that were put in one after the other and have the same fate.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    /// The event that put in the first of them; the others follow.
    pub(super) id: u32,
    pub(super) len: u32,
    /// What stood before and behind the first one where it was put in.
    pub(super) left: u32,
    pub(super) right: u32,
    /// For each state: 0 where it is not put in, 1 where it is there, one more for each time it is taken out.
    pub(super) prepared: u32,
    pub(super) shown: u32,
}

impl Span {
    pub(super) fn count(&self, state: State) -> u32 {
        if state == State::Prepared { self.prepared } else { self.shown }
    }

    fn visible(&self, state: State) -> u32 {
        if self.count(state) == 1 { self.len } else { 0 }
    }
}

#[derive(Clone, Copy)]
struct Node {
    span: Span,
    parent: u32,
    left: u32,
    right: u32,
    /// How many code points of it and all below are there, in each state.
    prepared: u32,
    shown: u32,
}

static NOTHING: Node = Node {
    span: Span { id: 0, len: 0, left: 0, right: 0, prepared: 0, shown: 0 },
    parent: 0,
    left: 0,
    right: 0,
    prepared: 0,
    shown: 0,
};

/// The sequence.
pub(super) struct Spans {
    nodes: Vec<Node>,
    /// What is written to no node.
    nowhere: Node,
    root: u32,
    by_id: BTreeMap<u32, u32>,
}

impl Spans {
    pub(super) fn new() -> Spans {
        Spans { nodes: vec![NOTHING], nowhere: NOTHING, root: 0, by_id: BTreeMap::new() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn span(&self, node: u32) -> Span {
        self.at(node).span
    }

    /// How many code points are there.
    pub(super) fn visible(&self, state: State) -> u32 {
        sum(self.at(self.root), state)
    }

    /// The span with this code point of those that are there, and which of the span it is.
    pub(super) fn find(&mut self, state: State, mut pos: u32) -> Option<(u32, u32)> {
        let mut node = self.root;
        while node != 0 {
            let here = self.at(node);
            let before = sum(self.at(here.left), state);
            if pos < before {
                node = here.left;
                continue;
            }
            pos -= before;
            let own = here.span.visible(state);
            if pos < own {
                self.splay(node);
                return Some((node, pos));
            }
            pos -= own;
            node = here.right;
        }
        None
    }

    /// How many code points before a span are there.
    pub(super) fn before(&mut self, node: u32, state: State) -> u32 {
        self.splay(node);
        sum(self.at(self.at(node).left), state)
    }

    /// The span after one; the first one after none. Whoever walks on from there [touches](Spans::touch) the last one.
    pub(super) fn next(&self, mut node: u32) -> u32 {
        let mut next = if node == 0 { self.root } else { self.at(node).right };
        if next == 0 {
            while node != 0 && self.at(self.at(node).parent).right == node {
                node = self.at(node).parent;
            }
            return self.at(node).parent;
        }
        while self.at(next).left != 0 {
            next = self.at(next).left;
        }
        next
    }

    /// Brings a span near: the way to it will not be as long again.
    pub(super) fn touch(&mut self, node: u32) {
        if node != 0 {
            self.splay(node);
        }
    }

    /// Puts a span behind another, or at the beginning.
    pub(super) fn insert(&mut self, after: u32, span: Span) -> u32 {
        let new = self.nodes.len() as u32;
        let first = if after == 0 { self.next(0) } else { 0 };
        self.touch(first);
        self.nodes.push(Node { span, ..NOTHING });
        self.by_id.insert(span.id, new);
        // What is to stand next to it is at the root.
        let (left, right) = if after == 0 {
            (0, first)
        } else {
            self.splay(after);
            let right = std::mem::take(&mut self.at_mut(after).right);
            self.sum_up(after);
            (after, right)
        };
        for child in [left, right] {
            if child != 0 {
                self.at_mut(child).parent = new;
            }
        }
        let node = self.at_mut(new);
        (node.left, node.right) = (left, right);
        self.root = new;
        self.sum_up(new);
        new
    }

    /// Makes a span longer by what was put in right behind it.
    pub(super) fn extend(&mut self, node: u32, more: u32) {
        self.splay(node);
        self.at_mut(node).span.len += more;
        self.sum_up(node);
    }

    /// Sets how often a span is put in and taken out.
    pub(super) fn set(&mut self, node: u32, state: State, count: u32) {
        self.splay(node);
        let span = &mut self.at_mut(node).span;
        match state {
            State::Prepared => span.prepared = count,
            State::Shown => span.shown = count,
        }
        self.sum_up(node);
    }

    /// Divides a span before one of its code points, and gives the second part.
    pub(super) fn split(&mut self, node: u32, at: u32) -> u32 {
        let span = &mut self.at_mut(node).span;
        let (id, len) = (span.id + at, span.len - at);
        span.len = at;
        let rest = Span { id, len, left: id - 1, ..*span };
        self.insert(node, rest)
    }

    /// The span that begins with this code point and ends before `end` at the latest.
    pub(super) fn cut(&mut self, id: u32, end: u32) -> Option<u32> {
        let mut node = self.of(id)?;
        let start = self.span(node).id;
        if start < id {
            node = self.split(node, id - start);
        }
        if self.span(node).len > end - id {
            self.split(node, end - id);
        }
        Some(node)
    }

    /// The span with this code point.
    fn of(&self, id: u32) -> Option<u32> {
        let (start, node) = self.by_id.range(..=id).next_back()?;
        (id - start < self.span(*node).len).then_some(*node)
    }

    /// Which of two code points comes first.
    pub(super) fn order(&mut self, one: u32, other: u32) -> Ordering {
        let (Some(a), Some(b)) = (self.of(one), self.of(other)) else { return one.cmp(&other) };
        if a == b {
            return one.cmp(&other);
        }
        self.splay(a);
        self.splay(b);
        let mut below = a;
        while self.at(below).parent != b {
            below = self.at(below).parent;
        }
        if self.at(b).left == below { Ordering::Less } else { Ordering::Greater }
    }

    fn at(&self, node: u32) -> &Node {
        self.nodes.get(node as usize).unwrap_or(&NOTHING)
    }

    fn at_mut(&mut self, node: u32) -> &mut Node {
        self.nodes.get_mut(node as usize).unwrap_or(&mut self.nowhere)
    }

    fn sum_up(&mut self, node: u32) {
        let here = *self.at(node);
        let (left, right) = (self.at(here.left), self.at(here.right));
        let all = |state| sum(left, state) + sum(right, state) + here.span.visible(state);
        let (prepared, shown) = (all(State::Prepared), all(State::Shown));
        let node = self.at_mut(node);
        (node.prepared, node.shown) = (prepared, shown);
    }

    /// Brings a node to the root.
    fn splay(&mut self, node: u32) {
        loop {
            let parent = self.at(node).parent;
            if parent == 0 {
                break;
            }
            let above = self.at(parent).parent;
            if above != 0 {
                let straight = (self.at(parent).left == node) == (self.at(above).left == parent);
                self.rotate(if straight { parent } else { node });
            }
            self.rotate(node);
        }
        self.root = node;
    }

    /// Brings a node above its parent.
    fn rotate(&mut self, node: u32) {
        let here = *self.at(node);
        let parent = here.parent;
        let above = self.at(parent).parent;
        let inner = if self.at(parent).left == node {
            self.at_mut(parent).left = here.right;
            self.at_mut(node).right = parent;
            here.right
        } else {
            self.at_mut(parent).right = here.left;
            self.at_mut(node).left = parent;
            here.left
        };
        if inner != 0 {
            self.at_mut(inner).parent = parent;
        }
        if above != 0 {
            let above = self.at_mut(above);
            if above.left == parent { above.left = node } else { above.right = node }
        }
        self.at_mut(parent).parent = node;
        self.at_mut(node).parent = above;
        self.sum_up(parent);
        self.sum_up(node);
    }
}

fn sum(node: &Node, state: State) -> u32 {
    if state == State::Prepared { node.prepared } else { node.shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As a plain list of code points says.
        #[test]
        fn agrees_with_a_list(steps in proptest::collection::vec(any::<(u8, u16, u8)>(), 1..60)) {
            // Each code point: its event and its two counts.
            let (mut list, mut spans, mut event) = (Vec::<(u32, u32, u32)>::new(), Spans::new(), 0);
            for (kind, pick, size) in steps {
                let pick = usize::from(pick);
                let size = u32::from(size % 5) + 1;
                if kind % 3 == 0 || list.is_empty() {
                    let at = pick % (list.len() + 1);
                    let after = match at.checked_sub(1) {
                        None => 0,
                        Some(before) => spans.cut(list[before].0, list[before].0 + 1).unwrap(),
                    };
                    spans.insert(after, Span { id: event, len: size, prepared: 1, ..Span::default() });
                    list.splice(at..at, (event..event + size).map(|id| (id, 1, 0)));
                    event += size + 1;
                } else {
                    let (id, prepared, shown) = list[pick % list.len()];
                    let node = spans.cut(id, id + size).unwrap();
                    let span = spans.span(node);
                    prop_assert!(span.id == id && (1..=size).contains(&span.len));
                    prop_assert_eq!((span.prepared, span.shown), (prepared, shown));
                    let state = if kind % 3 == 1 { State::Prepared } else { State::Shown };
                    let count = span.count(state) + 1;
                    spans.set(node, state, count);
                    for point in list.iter_mut().filter(|(point, ..)| (id..id + span.len).contains(point)) {
                        if state == State::Prepared { point.1 = count } else { point.2 = count }
                    }
                    let first = list.iter().position(|(point, ..)| *point == id).unwrap();
                    let before = list[..first].iter().filter(|point| point.2 == 1).count();
                    prop_assert_eq!(spans.before(node, State::Shown), before as u32);
                }
                let there: Vec<u32> = list.iter().filter(|point| point.1 == 1).map(|point| point.0).collect();
                prop_assert_eq!(spans.visible(State::Prepared), there.len() as u32);
                prop_assert!(spans.find(State::Prepared, there.len() as u32).is_none());
                if let Some(place) = pick.checked_rem(there.len()) {
                    let (node, offset) = spans.find(State::Prepared, place as u32).unwrap();
                    prop_assert_eq!(spans.span(node).id + offset, there[place]);
                }
                let (one, other) = (pick % list.len(), usize::from(kind) % list.len());
                prop_assert_eq!(spans.order(list[one].0, list[other].0), one.cmp(&other));
                let mut walked = Vec::new();
                let mut node = spans.next(0);
                while node != 0 {
                    let span = spans.span(node);
                    walked.extend(span.id..span.id + span.len);
                    node = spans.next(node);
                }
                prop_assert_eq!(walked, list.iter().map(|point| point.0).collect::<Vec<_>>());
            }
        }
    }
}
