//! Braid range patches: a replacement for each of some parts of a value.
//!
//! All ranges of one patch are meant in the value as it was before the patch, as Braid clients mean them, so they
//! must not overlap. They are therefore applied from the inside out and from the back to the front: no range
//! moves what a later one names.

use super::error::shortened;
use super::measure::{Budget, measure};
use super::range_text::{Position, Step, parse, token_slice};
use super::{MAX_OPERATIONS, PatchError};
use serde_json::Value as Json;
use std::cmp::Reverse;

/// One step into a value, in the coordinates of the value before the patch.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Name(String),
    Index(usize),
}

/// The part of a container that is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    /// The whole value; the container path is empty.
    Whole,
    /// A member.
    Member(String),
    /// Array elements, start and end.
    Elements(usize, usize),
    /// Characters (Unicode code points), start and end.
    Chars(usize, usize),
}

/// A range found in the value.
struct Edit<'a> {
    /// Which range of the patch.
    number: usize,
    range: &'a str,
    container: Vec<Place>,
    slot: Slot,
    /// Whether one element is named, and not a run of them: its replacement is an element, not an array.
    single: bool,
    replacement: Option<&'a Json>,
}

/// The value `target` becomes when each range is replaced.
pub(super) fn apply(target: Option<&Json>, ranges: &[(String, Option<Json>)]) -> Result<Json, PatchError> {
    if ranges.is_empty() {
        return Err(PatchError::NoRanges);
    }
    if ranges.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations);
    }
    let mut budget = Budget::new();
    let mut edits = Vec::with_capacity(ranges.len());
    for (number, (range, replacement)) in ranges.iter().enumerate() {
        if let Some(replacement) = replacement {
            measure(replacement)?;
        }
        edits.push(find(target, number, range, replacement.as_ref(), &mut budget)?);
    }
    for (at, second) in edits.iter().enumerate() {
        if let Some(first) = edits.iter().take(at).find(|first| overlap(first, second)) {
            return Err(PatchError::Overlap { first: shortened(first.range), second: shortened(second.range) });
        }
    }
    kith_map::sort_by_key(&mut edits, |edit| Reverse((edit.container.len(), edit.slot.bounds(), edit.number)));
    let mut result = target.cloned();
    for edit in &edits {
        edit.apply(&mut result, &mut budget)?;
    }
    result.ok_or(PatchError::RemovesWhole)
}

/// Finds what a range names in the value before the patch.
fn find<'a>(
    target: Option<&Json>,
    number: usize,
    range: &'a str,
    replacement: Option<&'a Json>,
    budget: &mut Budget,
) -> Result<Edit<'a>, PatchError> {
    let missing = || PatchError::Missing { operation: number, place: shortened(range) };
    let wrong = |needs| PatchError::WrongKind { operation: number, place: shortened(range), needs };
    let outside = |length| PatchError::OutOfBounds { operation: number, place: shortened(range), length };
    let mut edit = Edit { number, range, container: Vec::new(), slot: Slot::Whole, single: false, replacement };
    let steps = parse(range)?;
    let Some((last, inner)) = steps.split_last() else { return Ok(edit) };
    let mut value = target.ok_or_else(missing)?;
    for step in inner {
        let (next, place) = match (value, in_sequence(step, value, number)?) {
            (Json::Object(members), Step::Name(name) | Step::Token(name)) => {
                (members.get(name.as_str()).ok_or_else(missing)?, Place::Name(name))
            }
            (Json::Array(items), Step::At(position)) => {
                let index = position.within(items.len()).ok_or_else(|| outside(items.len()))?;
                (items.get(index).ok_or_else(|| outside(items.len()))?, Place::Index(index))
            }
            (_, Step::Slice(..)) => return Err(PatchError::BadRange { range: shortened(range) }),
            (_, Step::At(_)) => return Err(wrong("an array")),
            _ => return Err(wrong("an object")),
        };
        edit.container.push(place);
        value = next;
    }
    match (value, in_sequence(last, value, number)?) {
        (Json::Object(members), Step::Name(name) | Step::Token(name)) => {
            if replacement.is_none() && !members.contains_key(name.as_str()) {
                return Err(missing());
            }
            edit.slot = Slot::Member(name);
        }
        (Json::Array(items), step @ (Step::At(_) | Step::Slice(..))) => {
            edit.single = matches!(step, Step::At(_));
            let (start, end) = bounds(&step, items.len()).ok_or_else(|| outside(items.len()))?;
            edit.slot = Slot::Elements(start, end);
        }
        (Json::String(text), step @ (Step::At(_) | Step::Slice(..))) => {
            budget.spend(text.len())?;
            let length = text.chars().count();
            let (start, end) = bounds(&step, length).ok_or_else(|| outside(length))?;
            edit.slot = Slot::Chars(start, end);
        }
        (_, Step::At(_) | Step::Slice(..)) => return Err(wrong("an array or text")),
        _ => return Err(wrong("an object")),
    }
    edit.check_replacement()?;
    Ok(edit)
}

/// A pointer token means a position where the value is an array or a text, else a name.
fn in_sequence(step: &Step, value: &Json, number: usize) -> Result<Step, PatchError> {
    match (step, value) {
        (Step::Token(token), Json::Array(_) | Json::String(_)) => {
            token_slice(token).ok_or_else(|| PatchError::BadIndex { operation: number, token: shortened(token) })
        }
        (step, _) => Ok(step.clone()),
    }
}

fn bounds(step: &Step, length: usize) -> Option<(usize, usize)> {
    let within = |position: Position| position.within(length);
    match step {
        Step::At(position) => within(*position).filter(|at| *at < length).map(|at| (at, at + 1)),
        Step::Slice(start, end) => Some((within(*start)?, within(*end)?)).filter(|(start, end)| start <= end),
        Step::Name(_) | Step::Token(_) => None,
    }
}

impl Slot {
    fn bounds(&self) -> (usize, usize) {
        match self {
            Slot::Elements(start, end) | Slot::Chars(start, end) => (*start, *end),
            Slot::Whole | Slot::Member(_) => (0, 0),
        }
    }

    /// Whether replacing this part also replaces what is at `place`.
    fn covers(&self, place: &Place) -> bool {
        match (self, place) {
            (Slot::Whole, _) => true,
            (Slot::Member(name), Place::Name(other)) => name == other,
            (Slot::Elements(start, end), Place::Index(index)) => start <= index && index < end,
            _ => false,
        }
    }
}

fn overlap(a: &Edit<'_>, b: &Edit<'_>) -> bool {
    if a.container.len() > b.container.len() {
        return overlap(b, a);
    }
    if a.slot == Slot::Whole || b.slot == Slot::Whole {
        return true;
    }
    if !b.container.starts_with(&a.container) {
        return false;
    }
    if let Some(place) = b.container.get(a.container.len()) {
        return a.slot.covers(place);
    }
    match (&a.slot, &b.slot) {
        (Slot::Member(a), Slot::Member(b)) => a == b,
        (slot_a, slot_b) => {
            // Insertions at the edge of another range, or at the same place, do not overlap.
            let ((start_a, end_a), (start_b, end_b)) = (slot_a.bounds(), slot_b.bounds());
            start_a < end_b && start_b < end_a
        }
    }
}

impl Edit<'_> {
    fn check_replacement(&self) -> Result<(), PatchError> {
        let needs = match (&self.slot, self.replacement) {
            (Slot::Elements(..), Some(replacement)) if !self.single && !replacement.is_array() => "an array",
            (Slot::Chars(..), Some(replacement)) if !replacement.is_string() => "text",
            _ => return Ok(()),
        };
        Err(PatchError::BadReplacement { range: shortened(self.range), needs })
    }

    fn apply(&self, root: &mut Option<Json>, budget: &mut Budget) -> Result<(), PatchError> {
        if self.slot == Slot::Whole {
            *root = self.replacement.cloned();
            return Ok(());
        }
        // The way was found before; it is still there, since nothing that has been applied lies on it.
        let missing = || PatchError::Missing { operation: self.number, place: shortened(self.range) };
        let mut value = root.as_mut().ok_or_else(missing)?;
        for place in &self.container {
            value = match (value, place) {
                (Json::Object(members), Place::Name(name)) => members.get_mut(name.as_str()),
                (Json::Array(items), Place::Index(index)) => items.get_mut(*index),
                _ => None,
            }
            .ok_or_else(missing)?;
        }
        match (value, &self.slot) {
            (Json::Object(members), Slot::Member(name)) => {
                match self.replacement {
                    Some(replacement) => members.insert(name.clone(), replacement.clone()),
                    None => members.remove(name.as_str()),
                };
            }
            (Json::Array(items), Slot::Elements(start, end)) => {
                budget.spend(items.len().saturating_sub(*start))?;
                let inserted = match self.replacement {
                    Some(element) if self.single => vec![element.clone()],
                    Some(Json::Array(elements)) => elements.clone(),
                    _ => Vec::new(),
                };
                if *start > *end || *end > items.len() {
                    return Err(missing());
                }
                items.splice(*start..*end, inserted);
            }
            (Json::String(text), Slot::Chars(start, end)) => {
                budget.spend(text.len())?;
                let inserted = self.replacement.and_then(Json::as_str).unwrap_or_default();
                let offset = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(offset, _)| offset);
                let (start, end) = (offset(*start), offset(*end));
                let before = text.get(..start).ok_or_else(missing)?;
                let after = text.get(end..).ok_or_else(missing)?;
                *text = [before, inserted, after].concat();
            }
            _ => return Err(missing()),
        }
        Ok(())
    }
}
