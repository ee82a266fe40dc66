//! The text form of Braid JSON ranges.
//!
//! The forms in use are `.name`, `["any name"]`, `[index]` and, at the end only, `[start:end]`; negative numbers
//! count from the end, so `[-0:-0]` is the place after the last element. range-patch-01 writes JSON Pointers
//! instead, with `/start-end` or `/-` at the end. Both are read.

use super::error::shortened;
use super::pointer::{self, PointerError};
use super::{MAX_DEPTH, PatchError};

/// A position in an array or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// From the start.
    Start(usize),
    /// From the end; 0 is after the last element.
    End(usize),
}

impl Position {
    /// The position in something of this length; `None` if it lies outside. The length itself is inside.
    pub(super) fn within(self, length: usize) -> Option<usize> {
        match self {
            Position::Start(at) => Some(at).filter(|at| *at <= length),
            Position::End(back) => length.checked_sub(back),
        }
    }
}

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The member of an object.
    Name(String),
    /// The element of an array or the character of a text.
    At(Position),
    /// A run of elements or characters.
    Slice(Position, Position),
    /// A JSON Pointer token: what it means depends on what it is applied to.
    Token(String),
}

/// The steps of a range.
pub(super) fn parse(range: &str) -> Result<Vec<Step>, PatchError> {
    let bad = || PatchError::BadRange { range: shortened(range) };
    if range.starts_with('/') {
        return match pointer::parse(range) {
            Ok(tokens) => Ok(tokens.into_iter().map(Step::Token).collect()),
            Err(PointerError::TooDeep) => Err(PatchError::TooDeep),
            Err(PointerError::Malformed) => Err(bad()),
        };
    }
    let mut steps = Vec::new();
    let mut rest = range;
    while !rest.is_empty() {
        if steps.len() == MAX_DEPTH {
            return Err(PatchError::TooDeep);
        }
        let (step, after) = match rest.strip_prefix('[') {
            Some(inner) if inner.starts_with('"') => quoted(inner),
            Some(inner) => inner.split_once(']').and_then(|(inner, after)| Some((slice(inner)?, after))),
            // Some Braid clients leave out the first dot.
            None => name(rest.strip_prefix('.').or(steps.is_empty().then_some(rest)).unwrap_or_default()),
        }
        .ok_or_else(bad)?;
        steps.push(step);
        rest = after;
    }
    Ok(steps)
}

fn name(rest: &str) -> Option<(Step, &str)> {
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at_checked(end)?;
    (!name.is_empty()).then(|| (Step::Name(name.to_owned()), after))
}

/// `"any name"]`, as a JSON string.
fn quoted(text: &str) -> Option<(Step, &str)> {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find_map(|(at, char)| {
        let closes = char == '"' && !escaped;
        escaped = char == '\\' && !escaped;
        closes.then_some(at + 1)
    })?;
    let (literal, after) = text.split_at_checked(end)?;
    Some((Step::Name(serde_json::from_str(literal).ok()?), after.strip_prefix(']')?))
}

fn slice(inner: &str) -> Option<Step> {
    match inner.split_once(':') {
        Some((start, end)) => Some(Step::Slice(position(start)?, position(end)?)),
        None => Some(Step::At(position(inner)?)),
    }
}

fn position(text: &str) -> Option<Position> {
    match text.strip_prefix('-') {
        Some(back) => pointer::index(back).map(Position::End),
        None => pointer::index(text).map(Position::Start),
    }
}

/// What a pointer token means in an array or a text: an index, `start-end` or `-`.
pub(super) fn token_slice(token: &str) -> Option<Step> {
    if token == "-" {
        return Some(Step::Slice(Position::End(0), Position::End(0)));
    }
    let number = |text: &str| pointer::index(text).map(Position::Start);
    match token.split_once('-') {
        Some((start, end)) => Some(Step::Slice(number(start)?, number(end)?)),
        None => number(token).map(Step::At),
    }
}
