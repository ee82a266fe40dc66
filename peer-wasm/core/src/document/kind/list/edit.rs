//! From edits by index to the actions of one op.

use super::{Act, Action, Hook, MAX_ELEMENTS, Position, Ref, Shown};

/// Old and new elements are compared pair by pair up to this many pairs; beyond it they are exchanged as a whole.
const MAX_COMPARED: usize = 1 << 20;

/// A list on its way to what it is to become.
pub struct Editor {
    slots: Vec<Slot>,
    /// Whether something hangs right of the start.
    begun: bool,
    made: u32,
    actions: Vec<Action>,
}

/// A position.
struct Slot {
    at: Ref,
    /// The element that stands there, and its text.
    element: Option<(Ref, Vec<u8>)>,
    /// Whether others hang right of it.
    has_right: bool,
}

impl Editor {
    /// An editor of the list as it shows.
    pub fn new(shown: Shown) -> Editor {
        let slot = |position: Position| Slot {
            at: Ref::There(position.id),
            element: position.element.map(|(id, text)| (Ref::There(id), text)),
            has_right: position.has_right,
        };
        let slots: Vec<Slot> = shown.0.into_iter().map(slot).collect();
        Editor { begun: !slots.is_empty(), slots, made: 0, actions: Vec::new() }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.element.is_some()).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of every element.
    pub fn texts(&self) -> Vec<Vec<u8>> {
        self.slots.iter().filter_map(|slot| slot.element.as_ref()).map(|(_, text)| text.clone()).collect()
    }

    /// The place among all positions of the element with this index.
    fn find(&self, index: usize) -> Option<usize> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.element.is_some()).map(|(at, _)| at).nth(index)
    }

    /// Takes the element with this index out of its slot.
    fn take(&mut self, index: usize) -> Option<(Ref, Vec<u8>)> {
        let at = self.find(index)?;
        self.slots.get_mut(at)?.element.take()
    }

    /// Where something that is to stand before the element with this index hangs, and its place among all positions.
    fn spot(&self, index: usize) -> Option<(usize, Hook<Ref>)> {
        let at = match index.checked_sub(1) {
            None => 0,
            Some(before) => self.find(before)? + 1,
        };
        let left = at.checked_sub(1).and_then(|left| self.slots.get(left));
        let taken = left.map_or(self.begun, |left| left.has_right);
        let hook = match (taken, self.slots.get(at), left) {
            (true, Some(next), _) => Hook::Left(next.at),
            (_, _, Some(left)) => Hook::Right(left.at),
            (_, _, None) => Hook::Start,
        };
        Some((at, hook))
    }

    /// Makes slots for these elements (`None`: a new one) from this place on, one right of the other.
    fn hang(&mut self, at: usize, hook: Hook<Ref>, elements: Vec<(Option<Ref>, Vec<u8>)>) {
        match (hook, at.checked_sub(1).and_then(|left| self.slots.get_mut(left))) {
            (Hook::Right(_), Some(left)) => left.has_right = true,
            (Hook::Start, _) => self.begun = true,
            _ => {}
        }
        let last = elements.len().saturating_sub(1);
        let mut slots = Vec::new();
        for (number, (element, text)) in elements.into_iter().enumerate() {
            let here = Ref::Here(self.made);
            self.made = self.made.saturating_add(1);
            slots.push(Slot { at: here, element: Some((element.unwrap_or(here), text)), has_right: number < last });
        }
        self.slots.splice(at..at, slots);
    }

    /// Puts elements before the one with this index. `None` if there is no such place.
    pub fn insert(&mut self, index: usize, texts: Vec<Vec<u8>>) -> Option<()> {
        if texts.is_empty() {
            return Some(());
        }
        let (at, hook) = self.spot(index)?;
        self.hang(at, hook, texts.iter().map(|text| (None, text.clone())).collect());
        self.actions.push(Action::Insert(hook, texts));
        Some(())
    }

    /// Takes away the element with this index.
    pub fn delete(&mut self, index: usize) -> Option<()> {
        let (element, _) = self.take(index)?;
        match (self.actions.last_mut(), &element) {
            (Some(Action::Delete(Ref::There(first), count)), Ref::There(id))
                if (first.agent, first.seq) == (id.agent, id.seq)
                    && first.index.checked_add(*count) == Some(id.index) =>
            {
                *count += 1;
            }
            _ => self.actions.push(Action::Delete(element, 1)),
        }
        Some(())
    }

    /// Moves the element with the first index so that it has the second.
    pub fn shift(&mut self, from: usize, to: usize) -> Option<()> {
        if from.max(to) >= self.len() {
            return None;
        }
        if from == to {
            return Some(());
        }
        let (element, text) = self.take(from)?;
        let (at, hook) = self.spot(to)?;
        self.hang(at, hook, vec![(Some(element), text)]);
        self.actions.push(Action::Move(element, hook));
        Some(())
    }

    /// Makes the element with this index something else.
    pub fn replace(&mut self, index: usize, new: Vec<u8>) -> Option<()> {
        let at = self.find(index)?;
        let (element, text) = self.slots.get_mut(at)?.element.as_mut()?;
        if *text != new {
            text.clone_from(&new);
            self.actions.push(Action::Replace(*element, new));
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
