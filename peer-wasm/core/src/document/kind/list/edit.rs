//! From edits by index to the actions of one op.

use super::{Act, Action, Hook, Id, MAX_ELEMENTS, Ref, Shown};
use std::collections::{BTreeMap, BTreeSet};

/// Old and new elements are compared pair by pair up to this many pairs; beyond it they are exchanged as a whole.
const MAX_COMPARED: usize = 1 << 20;

/// A list on its way to what it is to become.
pub struct Editor {
    /// Every position with the element that stands there.
    positions: Vec<(Ref, Option<Ref>)>,
    with_right: BTreeSet<Option<Key>>,
    texts: BTreeMap<Key, Vec<u8>>,
    made: u32,
    actions: Vec<Action>,
}

/// A `Ref` that can be ordered.
type Key = (Option<Id>, u32);

fn key(at: &Ref) -> Key {
    match at {
        Ref::Here(index) => (None, *index),
        Ref::There(id) => (Some(*id), 0),
    }
}

impl Editor {
    /// An editor of the list as it shows.
    pub fn new(shown: &Shown) -> Editor {
        Editor {
            positions: shown.positions.iter().map(|(id, element)| (Ref::There(*id), element.map(Ref::There))).collect(),
            with_right: shown.with_right.iter().map(|id| id.map(|id| key(&Ref::There(id)))).collect(),
            texts: shown.texts.iter().map(|(id, text)| (key(&Ref::There(*id)), text.clone())).collect(),
            made: 0,
            actions: Vec::new(),
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.positions.iter().filter(|(_, element)| element.is_some()).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of every element.
    pub fn texts(&self) -> Vec<Vec<u8>> {
        let elements = self.positions.iter().filter_map(|(_, element)| element.as_ref());
        elements.filter_map(|element| self.texts.get(&key(element)).cloned()).collect()
    }

    /// The place among all positions of the element with this index, and the element.
    fn find(&self, index: usize) -> Option<(usize, Ref)> {
        let standing = |(at, (_, element)): (usize, &(Ref, Option<Ref>))| Some((at, (*element)?));
        self.positions.iter().enumerate().filter_map(standing).nth(index)
    }

    /// Where something that is to stand before the element with this index hangs, and its place among all positions.
    fn spot(&self, index: usize) -> Option<(usize, Hook<Ref>)> {
        let (at, left) = match index.checked_sub(1) {
            None => (0, None),
            Some(before) => {
                let (at, _) = self.find(before)?;
                (at + 1, self.positions.get(at).map(|(position, _)| *position))
            }
        };
        let hook = match (self.with_right.contains(&left.as_ref().map(key)), self.positions.get(at), left) {
            (true, Some((next, _)), _) => Hook::Left(*next),
            (_, _, Some(left)) => Hook::Right(left),
            (_, _, None) => Hook::Start,
        };
        Some((at, hook))
    }

    fn hang(&mut self, at: usize, hook: Hook<Ref>, element: Option<Ref>) -> Ref {
        let position = Ref::Here(self.made);
        self.made = self.made.saturating_add(1);
        match hook {
            Hook::Start => drop(self.with_right.insert(None)),
            Hook::Right(parent) => drop(self.with_right.insert(Some(key(&parent)))),
            Hook::Left(_) => {}
        }
        self.positions.insert(at, (position, Some(element.unwrap_or(position))));
        position
    }

    /// Puts elements before the one with this index. `None` if there is no such place.
    pub fn insert(&mut self, index: usize, texts: Vec<Vec<u8>>) -> Option<()> {
        if texts.is_empty() {
            return Some(());
        }
        let (at, hook) = self.spot(index)?;
        let mut next = hook;
        for (number, text) in texts.iter().enumerate() {
            let element = self.hang(at + number, next, None);
            self.texts.insert(key(&element), text.clone());
            next = Hook::Right(element);
        }
        self.actions.push(Action::Insert(hook, texts));
        Some(())
    }

    /// Takes away the element with this index.
    pub fn delete(&mut self, index: usize) -> Option<Vec<u8>> {
        let (at, element) = self.find(index)?;
        if let Some((_, standing)) = self.positions.get_mut(at) {
            *standing = None;
        }
        let joined = match (self.actions.last_mut(), &element) {
            (Some(Action::Delete(Ref::There(first), count)), Ref::There(id))
                if (first.agent, first.seq) == (id.agent, id.seq)
                    && first.index.checked_add(*count) == Some(id.index) =>
            {
                *count += 1;
                true
            }
            _ => false,
        };
        if !joined {
            self.actions.push(Action::Delete(element, 1));
        }
        self.texts.remove(&key(&element))
    }

    /// Moves the element with the first index so that it has the second.
    pub fn shift(&mut self, from: usize, to: usize) -> Option<()> {
        let (at, element) = self.find(from)?;
        if to >= self.len() {
            return None;
        }
        if from == to {
            return Some(());
        }
        if let Some((_, standing)) = self.positions.get_mut(at) {
            *standing = None;
        }
        let (at, hook) = self.spot(to)?;
        self.hang(at, hook, Some(element));
        self.actions.push(Action::Move(element, hook));
        Some(())
    }

    /// Makes the element with this index something else.
    pub fn replace(&mut self, index: usize, text: Vec<u8>) -> Option<()> {
        let (_, element) = self.find(index)?;
        if self.texts.get(&key(&element)) != Some(&text) {
            self.texts.insert(key(&element), text.clone());
            self.actions.push(Action::Replace(element, text));
        }
        Some(())
    }

    /// Makes the list hold these texts: what is the same on both sides stays, what stands in one place becomes the
    /// other, the rest comes or goes.
    pub fn become_texts(&mut self, new: Vec<Vec<u8>>) {
        let old = self.texts();
        let front = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let rest = |texts: &[Vec<u8>]| texts.len().saturating_sub(front);
        let back = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
        let back = back.min(rest(&old)).min(rest(&new));
        let middle = |texts: &[Vec<u8>]| -> Vec<Vec<u8>> {
            texts.get(front..texts.len().saturating_sub(back)).unwrap_or_default().to_vec()
        };
        let (old, new) = (middle(&old), middle(&new));
        let mut kept = common(&old, &new).into_iter();
        let (mut at, mut from, mut to) = (front, 0, 0);
        loop {
            let next = kept.next();
            let (old_end, new_end) = next.unwrap_or((old.len(), new.len()));
            let exchanged = (old_end - from).min(new_end - to);
            for text in new.iter().skip(to).take(exchanged) {
                let _ = self.replace(at, text.clone());
                at += 1;
            }
            for _ in from + exchanged..old_end {
                let _ = self.delete(at);
            }
            let more: Vec<Vec<u8>> = new.get(to + exchanged..new_end).unwrap_or_default().to_vec();
            let count = more.len();
            let _ = self.insert(at, more);
            at += count;
            if next.is_none() {
                return;
            }
            (at, from, to) = (at + 1, old_end + 1, new_end + 1);
        }
    }

    /// The op; `None` if nothing changes.
    pub fn finish(self) -> Option<Act> {
        (!self.actions.is_empty()).then_some(Act(self.actions))
    }

    /// Whether what is to be is within the limit.
    pub fn fits(&self) -> bool {
        self.len() <= MAX_ELEMENTS && self.made as usize <= MAX_ELEMENTS && self.actions.len() <= MAX_ELEMENTS
    }
}

/// The pairs of places that a longest common subsequence keeps.
fn common(old: &[Vec<u8>], new: &[Vec<u8>]) -> Vec<(usize, usize)> {
    if old.is_empty() || new.is_empty() || old.len().saturating_mul(new.len()) > MAX_COMPARED {
        return Vec::new();
    }
    let width = new.len() + 1;
    let mut lengths = vec![0u32; (old.len() + 1) * width];
    let cell = |lengths: &[u32], at: usize, to: usize| lengths.get(at * width + to).copied().unwrap_or(0);
    for (at, left) in old.iter().enumerate().rev() {
        for (to, right) in new.iter().enumerate().rev() {
            let length = if left == right {
                cell(&lengths, at + 1, to + 1) + 1
            } else {
                cell(&lengths, at + 1, to).max(cell(&lengths, at, to + 1))
            };
            if let Some(slot) = lengths.get_mut(at * width + to) {
                *slot = length;
            }
        }
    }
    let (mut at, mut to, mut pairs) = (0, 0, Vec::new());
    while let (Some(left), Some(right)) = (old.get(at), new.get(to)) {
        if left == right {
            pairs.push((at, to));
            (at, to) = (at + 1, to + 1);
        } else if cell(&lengths, at + 1, to) >= cell(&lengths, at, to + 1) {
            at += 1;
        } else {
            to += 1;
        }
    }
    pairs
}
