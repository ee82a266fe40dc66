//! What changed between two texts, for writers that send the whole text.
//!
//! Myers' greedy algorithm (1986), first over lines and then inside what changed, each with a bound: beyond it the
//! middle is one replacement. The result always turns one text into the other; only its size is bounded effort.

use crate::delta::Splice;

/// The most differences looked for; work and memory grow with its square.
const MAX_DIFFERENCES: usize = 400;
/// Equal code points between two changes that are too few to be meant.
const CHANCE: usize = 2;

/// The changes that turn `old` into `new`, as code points.
pub fn diff(old: &str, new: &str) -> Vec<Splice> {
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let mut changes = Vec::new();
    let (start, old_end, new_end) = trim(&old, &new);
    let middle = (slice(&old, start, old_end), slice(&new, start, new_end));
    if !walk(middle.0, middle.1, MAX_DIFFERENCES, &mut |range| changes.push(range.moved(start, start))) {
        changes.clear();
        by_lines(middle.0, middle.1, &mut |range| changes.push(range.moved(start, start)));
    }
    splices(&new, changes)
}

/// A place where two sequences differ.
#[derive(Clone, Copy)]
struct Range {
    old: (usize, usize),
    new: (usize, usize),
}

impl Range {
    fn moved(self, old: usize, new: usize) -> Range {
        Range { old: (self.old.0 + old, self.old.1 + old), new: (self.new.0 + new, self.new.1 + new) }
    }
}

fn slice<T>(list: &[T], start: usize, end: usize) -> &[T] {
    list.get(start..end).unwrap_or_default()
}

/// Where two sequences begin and end to differ.
fn trim<T: PartialEq>(old: &[T], new: &[T]) -> (usize, usize, usize) {
    let start = old.iter().zip(new).take_while(|(left, right)| left == right).count();
    let rest = (slice(old, start, old.len()), slice(new, start, new.len()));
    let same = rest.0.iter().rev().zip(rest.1.iter().rev()).take_while(|(left, right)| left == right).count();
    (start, old.len() - same, new.len() - same)
}

/// The furthest rows of one round, by diagonal.
struct Round(Vec<isize>);

/// No row: nothing comes this way.
const NOWHERE: isize = -2;

impl Round {
    /// Diagonal d of round n is at (d + n) / 2; every second diagonal is in use.
    fn row(&self, n: isize, diagonal: isize) -> Option<isize> {
        let place = usize::try_from(diagonal + n).ok()? / 2;
        self.0.get(place).copied().filter(|row| *row >= 0)
    }

    /// Where the difference that opens round n + 1 leads on a diagonal, and whether it takes something out.
    fn next(&self, n: isize, diagonal: isize, rows: isize, columns: isize) -> Option<(isize, bool)> {
        let out = self.row(n, diagonal - 1).map(|row| row + 1).filter(|row| *row <= rows);
        let put = self.row(n, diagonal + 1).filter(|row| row - diagonal <= columns);
        match (out, put) {
            (Some(out), put) if put.is_none_or(|put| out >= put) => Some((out, true)),
            (_, put) => put.map(|put| (put, false)),
        }
    }
}

/// Finds the fewest differences. Gives up, having told nothing, if there are more than `limit`.
fn walk<T: PartialEq>(old: &[T], new: &[T], limit: usize, each: &mut dyn FnMut(Range)) -> bool {
    let (rows, columns) = (old.len() as isize, new.len() as isize);
    if rows == 0 || columns == 0 {
        if rows + columns > 0 {
            each(Range { old: (0, old.len()), new: (0, new.len()) });
        }
        return true;
    }
    let limit = limit.min(old.len() + new.len()) as isize;
    let same =
        |row: isize, column: isize| old.get(row as usize).is_some_and(|left| new.get(column as usize) == Some(left));
    let mut rounds: Vec<Round> = Vec::new();
    let mut found = None;
    for n in 0..=limit {
        let mut round = Round(Vec::with_capacity(n as usize + 1));
        for diagonal in (-n..=n).step_by(2) {
            let from = match rounds.last() {
                None => Some(0),
                Some(before) => before.next(n - 1, diagonal, rows, columns).map(|(row, _)| row),
            };
            let mut row = from.unwrap_or(NOWHERE);
            while row >= 0 && same(row, row - diagonal) {
                row += 1;
            }
            round.0.push(row);
        }
        let there = round.row(n, rows - columns) == Some(rows);
        rounds.push(round);
        if there {
            found = Some(n);
            break;
        }
    }
    let Some(found) = found else { return false };
    // Back from the end, one difference a round.
    let mut diagonal = rows - columns;
    let mut ranges: Vec<Range> = Vec::new();
    for n in (0..found).rev() {
        let Some((row, out)) = rounds.get(n as usize).and_then(|before| before.next(n, diagonal, rows, columns)) else {
            break;
        };
        let (row, column) = (row as usize, (row - diagonal) as usize);
        if out {
            ranges.push(Range { old: (row - 1, row), new: (column, column) });
            diagonal -= 1;
        } else {
            ranges.push(Range { old: (row, row), new: (column - 1, column) });
            diagonal += 1;
        }
    }
    ranges.into_iter().rev().for_each(each);
    true
}

/// Lines first, then code points inside what changed.
fn by_lines(old: &[char], new: &[char], each: &mut dyn FnMut(Range)) {
    let (old_lines, new_lines): (Vec<&[char]>, Vec<&[char]>) =
        (old.split_inclusive(|char| *char == '\n').collect(), new.split_inclusive(|char| *char == '\n').collect());
    let (old_starts, new_starts) = (starts(&old_lines), starts(&new_lines));
    let mut hunks: Vec<Range> = Vec::new();
    let found = walk(&old_lines, &new_lines, MAX_DIFFERENCES, &mut |range| match hunks.last_mut() {
        Some(last) if last.old.1 == range.old.0 && last.new.1 == range.new.0 => {
            (last.old.1, last.new.1) = (range.old.1, range.new.1);
        }
        _ => hunks.push(range),
    });
    if !found {
        hunks = vec![Range { old: (0, old_lines.len()), new: (0, new_lines.len()) }];
    }
    for hunk in hunks {
        let place = |starts: &[usize], line: usize| starts.get(line).copied().unwrap_or_default();
        let (old_from, old_to) = (place(&old_starts, hunk.old.0), place(&old_starts, hunk.old.1));
        let (new_from, new_to) = (place(&new_starts, hunk.new.0), place(&new_starts, hunk.new.1));
        let inside = (slice(old, old_from, old_to), slice(new, new_from, new_to));
        if !walk(inside.0, inside.1, MAX_DIFFERENCES / 4, &mut |range| each(range.moved(old_from, new_from))) {
            each(Range { old: (old_from, old_to), new: (new_from, new_to) });
        }
    }
}

/// Where each line begins, and where the last ends.
fn starts(lines: &[&[char]]) -> Vec<usize> {
    let ends = lines.iter().scan(0, |at, line| {
        *at += line.len();
        Some(*at)
    });
    std::iter::once(0).chain(ends).collect()
}

/// Joins differences with next to nothing between them.
fn splices(new: &[char], changes: Vec<Range>) -> Vec<Splice> {
    let mut joined: Vec<Range> = Vec::new();
    for range in changes {
        match joined.last_mut() {
            Some(last) if range.old.0 - last.old.1 <= CHANCE => (last.old.1, last.new.1) = (range.old.1, range.new.1),
            _ => joined.push(range),
        }
    }
    let splice = |range: &Range| Splice {
        pos: range.old.0 as u32,
        len: (range.old.1 - range.old.0) as u32,
        text: slice(new, range.new.0, range.new.1).iter().collect(),
    };
    joined.iter().map(splice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Puts the changes in.
    fn applied(old: &str, changes: &[Splice]) -> String {
        let mut text: Vec<char> = old.chars().collect();
        for change in changes.iter().rev() {
            text.splice(change.pos as usize..(change.pos + change.len) as usize, change.text.chars());
        }
        text.into_iter().collect()
    }

    proptest! {
        #[test]
        fn turns_one_text_into_the_other(old in "[ab\n😀]{0,40}", new in "[ab\n😀]{0,40}") {
            let changes = diff(&old, &new);
            prop_assert!(changes.is_sorted_by(|left, right| left.pos + left.len < right.pos));
            prop_assert_eq!(applied(&old, &changes), new);
        }

        #[test]
        fn large_changes_are_bounded_and_right(seed in any::<u64>(), keep in 0usize..3000) {
            let text = |factor: u64| -> String {
                (0..3000u64).map(|at| if at % 40 == 0 { '\n' } else { char::from(b'a' + (at.wrapping_mul(factor) >> 7) as u8 % 26) }).collect()
            };
            let (old, other) = (text(seed | 1), text(seed.rotate_left(9) | 1));
            let new: String = old.chars().take(keep).chain(other.chars().skip(keep)).collect();
            prop_assert_eq!(applied(&old, &diff(&old, &new)), new);
        }
    }

    #[test]
    fn small_changes_stay_small() {
        let splice = |pos, len, text: &str| Splice { pos, len, text: text.into() };
        assert_eq!(diff("same", "same"), []);
        assert_eq!(diff("", "new"), [splice(0, 0, "new")]);
        assert_eq!(diff("old", ""), [splice(0, 3, "")]);
        assert_eq!(diff("the quick fox jumps", "the slow fox jumped"), [splice(4, 5, "slow"), splice(18, 1, "ed")]);
        let long = "word ".repeat(20_000);
        let changed = format!("x{}y", long.replacen("word", "w\u{f6}rd", 1));
        let changes = diff(&long, &changed);
        assert_eq!(applied(&long, &changes), changed);
        assert!(changes.len() <= 3 && changes.iter().all(|change| change.len <= 2), "{changes:?}");
    }

    #[test]
    fn lines_that_did_not_change_are_left_alone() {
        let old: String = (0..2000).map(|line| format!("line {line} {}\n", line * 7919)).collect();
        let new: String = old
            .lines()
            .enumerate()
            .map(|(at, line)| {
                if at % 50 == 0 { format!("{}\n", line.chars().rev().collect::<String>()) } else { format!("{line}\n") }
            })
            .collect();
        let changes = diff(&old, &new);
        assert_eq!(applied(&old, &changes), new);
        let touched: u32 = changes.iter().map(|change| change.len).sum();
        assert!(touched < 1500, "{touched}");
    }
}
