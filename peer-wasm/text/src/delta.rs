//! Changes of a text as one walk over it: composing them, carrying one over another, moving cursors.

use crate::op::Edit;
use std::collections::VecDeque;

/// One replacement. Of a list, all count in the text before any of them, and they come in order without overlapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The first code point replaced.
    pub pos: u32,
    /// How many code points are taken out.
    pub len: u32,
    /// What is put there.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Keep(u32),
    Insert(String, u32),
    Delete(u32),
}

/// A change of a whole text: what is kept, put in and taken out, from the start. What comes after the last part is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    parts: Vec<Part>,
}

/// Reads parts in any portions.
struct Walk {
    parts: VecDeque<Part>,
}

impl Walk {
    fn new(delta: &Delta) -> Walk {
        Walk { parts: delta.parts.iter().cloned().collect() }
    }

    /// The next part's length; after the last part everything is kept.
    fn peek(&self) -> u32 {
        match self.parts.front() {
            None => u32::MAX,
            Some(Part::Keep(len) | Part::Insert(_, len) | Part::Delete(len)) => *len,
        }
    }

    fn inserts(&self) -> bool {
        matches!(self.parts.front(), Some(Part::Insert(..)))
    }

    fn deletes(&self) -> bool {
        matches!(self.parts.front(), Some(Part::Delete(_)))
    }

    fn is_at_end(&self) -> bool {
        self.parts.is_empty()
    }

    /// The next part, cut to `len`.
    fn take(&mut self, len: u32) -> Part {
        match self.parts.pop_front() {
            None => Part::Keep(len),
            Some(Part::Keep(all)) if all > len => {
                self.parts.push_front(Part::Keep(all - len));
                Part::Keep(len)
            }
            Some(Part::Delete(all)) if all > len => {
                self.parts.push_front(Part::Delete(all - len));
                Part::Delete(len)
            }
            Some(Part::Insert(mut text, all)) if all > len => {
                let at = text.char_indices().nth(len as usize).map_or(text.len(), |(at, _)| at);
                let rest = text.split_off(at);
                self.parts.push_front(Part::Insert(rest, all - len));
                Part::Insert(text, len)
            }
            Some(part) => part,
        }
    }
}

impl Delta {
    fn push(&mut self, part: Part) {
        match (self.parts.last_mut(), part) {
            (_, Part::Keep(0) | Part::Insert(_, 0) | Part::Delete(0)) => {}
            (Some(Part::Keep(len)), Part::Keep(more)) | (Some(Part::Delete(len)), Part::Delete(more)) => *len += more,
            (Some(Part::Insert(text, len)), Part::Insert(more, chars)) => {
                text.push_str(&more);
                *len += chars;
            }
            // At one place deletions come first, so that equal changes look equal.
            (Some(Part::Insert(..)), Part::Delete(len)) => {
                let inserted = self.parts.pop();
                self.push(Part::Delete(len));
                self.parts.extend(inserted);
            }
            (_, part) => self.parts.push(part),
        }
    }

    fn trimmed(mut self) -> Delta {
        if let Some(Part::Keep(_)) = self.parts.last() {
            self.parts.pop();
        }
        self
    }

    /// Edits in sequence as one change.
    pub fn of_edits(edits: &[Edit]) -> Delta {
        match edits {
            [] => Delta::default(),
            [Edit::Insert { pos, text }] => {
                let mut delta = Delta::default();
                delta.push(Part::Keep(*pos));
                delta.push(Part::Insert(text.clone(), text.chars().count() as u32));
                delta
            }
            [Edit::Delete { pos, len }] => {
                let mut delta = Delta::default();
                delta.push(Part::Keep(*pos));
                delta.push(Part::Delete(*len));
                delta
            }
            _ => {
                let (first, second) = edits.split_at(edits.len() / 2);
                Delta::of_edits(first).then(&Delta::of_edits(second))
            }
        }
    }

    /// Replacements in the same text as one change. They must come in order and not overlap; what overlaps is cut.
    pub fn of_splices(splices: &[Splice]) -> Delta {
        let (mut delta, mut at) = (Delta::default(), 0u32);
        for splice in splices {
            let pos = splice.pos.max(at);
            delta.push(Part::Keep(pos - at));
            delta.push(Part::Delete(splice.len));
            delta.push(Part::Insert(splice.text.clone(), splice.text.chars().count() as u32));
            at = pos.saturating_add(splice.len);
        }
        delta.trimmed()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// This change and then `next` as one.
    pub fn then(&self, next: &Delta) -> Delta {
        let (mut first, mut second, mut out) = (Walk::new(self), Walk::new(next), Delta::default());
        while !first.is_at_end() || !second.is_at_end() {
            if second.inserts() {
                let len = second.peek();
                out.push(second.take(len));
            } else if first.deletes() {
                let len = first.peek();
                out.push(first.take(len));
            } else {
                let len = first.peek().min(second.peek());
                match (first.take(len), second.take(len)) {
                    (part, Part::Keep(_)) => out.push(part),
                    (Part::Keep(len), Part::Delete(_)) => out.push(Part::Delete(len)),
                    // What was put in is taken out again.
                    _ => {}
                }
            }
        }
        out.trimmed()
    }

    /// This change as it is after `other`, which was made to the same text. Where both put something in at one place,
    /// `other`'s comes first.
    pub fn after(&self, other: &Delta) -> Delta {
        self.over(other, false)
    }

    /// This change as it is after `other`, which was made to the same text. Where both put something in at one place,
    /// this one's comes first: `a` and then `b.after(a)` is `b` and then `a.ahead_of(b)`.
    pub fn ahead_of(&self, other: &Delta) -> Delta {
        self.over(other, true)
    }

    fn over(&self, other: &Delta, first: bool) -> Delta {
        let (mut mine, mut theirs, mut out) = (Walk::new(self), Walk::new(other), Delta::default());
        while !mine.is_at_end() {
            if theirs.inserts() && !(first && mine.inserts()) {
                let len = theirs.peek();
                theirs.take(len);
                out.push(Part::Keep(len));
            } else if mine.inserts() {
                let len = mine.peek();
                out.push(mine.take(len));
            } else {
                let len = mine.peek().min(theirs.peek());
                // What `other` took out is neither kept nor taken out again.
                if let (part, Part::Keep(_)) = (mine.take(len), theirs.take(len)) {
                    out.push(part);
                }
            }
        }
        out.trimmed()
    }

    /// The change as replacements.
    pub fn splices(&self) -> Vec<Splice> {
        let (mut splices, mut at, mut open) = (Vec::<Splice>::new(), 0u32, false);
        for part in &self.parts {
            if let Part::Keep(len) = part {
                at += len;
                open = false;
                continue;
            }
            if !open {
                splices.push(Splice { pos: at, len: 0, text: String::new() });
                open = true;
            }
            if let Some(splice) = splices.last_mut() {
                match part {
                    Part::Insert(text, _) => splice.text.push_str(text),
                    Part::Delete(len) => {
                        splice.len += len;
                        at += len;
                    }
                    Part::Keep(_) => {}
                }
            }
        }
        splices
    }

    /// Where a cursor before the code point `pos` is afterwards. Text put in exactly there pushes it along if `pushed`.
    pub fn cursor(&self, pos: u32, pushed: bool) -> u32 {
        let (mut before, mut after) = (0u32, 0u32);
        for part in &self.parts {
            if before > pos {
                break;
            }
            match part {
                Part::Keep(len) => {
                    if before + len > pos {
                        break;
                    }
                    before += len;
                    after += len;
                }
                Part::Insert(_, len) if before < pos || pushed => after += len,
                Part::Insert(..) => break,
                Part::Delete(len) if before + len > pos => {
                    // It was inside: it goes to where the deletion began.
                    before = pos;
                    if !pushed {
                        break;
                    }
                }
                Part::Delete(len) => before += len,
            }
        }
        after + pos.saturating_sub(before)
    }

    /// By how many code points the text grows.
    pub fn growth(&self) -> i64 {
        let part = |part: &Part| match part {
            Part::Keep(_) => 0,
            Part::Insert(_, len) => i64::from(*len),
            Part::Delete(len) => -i64::from(*len),
        };
        self.parts.iter().map(part).sum()
    }

    /// How many code points the text must have at least.
    pub fn reach(&self) -> u64 {
        let part = |part: &Part| match part {
            Part::Keep(len) | Part::Delete(len) => u64::from(*len),
            Part::Insert(..) => 0,
        };
        self.parts.iter().map(part).sum()
    }

    /// The change as edits in sequence.
    pub fn edits(&self) -> Vec<Edit> {
        let (mut edits, mut at) = (Vec::new(), 0u32);
        for part in &self.parts {
            match part {
                Part::Keep(len) => at += len,
                Part::Delete(len) => edits.push(Edit::Delete { pos: at, len: *len }),
                Part::Insert(text, len) => {
                    edits.push(Edit::Insert { pos: at, text: text.clone() });
                    at += len;
                }
            }
        }
        edits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rope::Rope;
    use proptest::prelude::*;

    fn apply(text: &str, edits: &[Edit]) -> String {
        let mut rope = Rope::new(text);
        for edit in edits {
            match edit {
                Edit::Insert { pos, text } => rope.insert(*pos, text),
                Edit::Delete { pos, len } => rope.remove(*pos, *len),
            }
        }
        rope.text()
    }

    /// Edits that fit a text of this length.
    fn fit(mut len: u32, raw: Vec<(u32, u32, bool)>) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (pos, size, insert) in raw {
            if insert || len == 0 {
                let text: String = "é1x😀".chars().cycle().take(1 + size as usize % 4).collect();
                edits.push(Edit::Insert { pos: pos % (len + 1), text });
                len += 1 + size % 4;
            } else {
                let pos = pos % len;
                let size = 1 + size % (len - pos).min(5);
                edits.push(Edit::Delete { pos, len: size });
                len -= size;
            }
        }
        edits
    }

    type Raw = Vec<(u32, u32, bool)>;

    proptest! {
        #[test]
        fn one_change_is_the_edits_in_sequence(a: Raw, b: Raw) {
            let base = "Grüße an alle";
            let one = fit(13, a);
            let middle = apply(base, &one);
            let two = fit(middle.chars().count() as u32, b);
            let expected = apply(&middle, &two);
            let delta = Delta::of_edits(&one).then(&Delta::of_edits(&two));
            prop_assert_eq!(apply(base, &delta.edits()), expected.clone());
            let splices = delta.splices();
            prop_assert!(splices.is_sorted_by(|left, right| left.pos + left.len < right.pos));
            prop_assert_eq!(apply(base, &Delta::of_splices(&splices).edits()), expected);
            prop_assert!(delta.reach() <= 13);
        }

        #[test]
        fn two_ways_lead_to_one_text(a: Raw, b: Raw) {
            let base = "Grüße an alle";
            let (one, two) = (Delta::of_edits(&fit(13, a)), Delta::of_edits(&fit(13, b)));
            let left = apply(&apply(base, &one.edits()), &two.after(&one).edits());
            let right = apply(&apply(base, &two.edits()), &one.ahead_of(&two).edits());
            prop_assert_eq!(left, right);
        }

        #[test]
        fn carrying_over_loses_and_doubles_nothing(a: Raw, b: Raw) {
            let base = "Grüße an alle";
            let (one, two) = (Delta::of_edits(&fit(13, a)), Delta::of_edits(&fit(13, b)));
            let theirs_first = one.after(&two);
            let left = apply(&apply(base, &two.edits()), &theirs_first.edits());
            let expected = 13 + grown(&one) + grown(&two) + doubly(&one, &two);
            prop_assert_eq!(left.chars().count() as i64, expected);
        }
    }

    fn grown(delta: &Delta) -> i64 {
        delta.splices().iter().map(|splice| splice.text.chars().count() as i64 - i64::from(splice.len)).sum()
    }

    /// How many code points both take out.
    fn doubly(one: &Delta, two: &Delta) -> i64 {
        let takes = |delta: &Delta, at: u32| {
            delta.splices().iter().any(|splice| splice.pos <= at && at < splice.pos + splice.len)
        };
        (0..13).filter(|at| takes(one, *at) && takes(two, *at)).count() as i64
    }

    #[test]
    fn a_change_is_carried_over_another() {
        let splice = |pos, len, text: &str| Splice { pos, len, text: text.into() };
        let mine = Delta::of_splices(&[splice(0, 1, "J"), splice(5, 0, "!")]);
        let theirs = Delta::of_splices(&[splice(0, 0, "> "), splice(4, 1, "a"), splice(5, 0, "?")]);
        assert_eq!(apply("Hello", &theirs.edits()), "> Hella?");
        assert_eq!(apply("> Hella?", &mine.after(&theirs).edits()), "> Jella?!");
    }

    #[test]
    fn cursors_move_along() {
        let delta = Delta::of_splices(&[
            Splice { pos: 2, len: 0, text: "xx".into() },
            Splice { pos: 5, len: 3, text: "y".into() },
        ]);
        let moved = |pushed| (0..10).map(|pos| delta.cursor(pos, pushed)).collect::<Vec<_>>();
        assert_eq!(moved(false), [0, 1, 2, 5, 6, 7, 7, 7, 7, 9]);
        assert_eq!(moved(true), [0, 1, 4, 5, 6, 8, 8, 8, 8, 9]);
    }
}
