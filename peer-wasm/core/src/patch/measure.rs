//! How large and how deep values are, found out without recursion, and a budget for work.

use super::{MAX_DEPTH, MAX_WORK, PatchError};
use serde_json::Value as Json;

/// The size of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Close to the bytes of its JSON text, and never less than the number of values in it.
    pub(super) bytes: usize,
    /// 1 for a scalar or an empty container, one more for every level inside.
    pub(super) depth: usize,
}

/// Measures a value; refuses one deeper than [`MAX_DEPTH`].
pub(super) fn measure(value: &Json) -> Result<Size, PatchError> {
    let mut size = Size::default();
    let mut open: Vec<(&Json, usize)> = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(PatchError::TooDeep);
        }
        size.depth = size.depth.max(depth);
        size.bytes += match value {
            Json::Null => 4,
            Json::Bool(_) => 5,
            Json::Number(number) => number_bytes(number),
            Json::String(text) => text_bytes(text),
            Json::Array(items) => {
                open.extend(items.iter().map(|item| (item, depth + 1)));
                2 + items.len()
            }
            Json::Object(members) => {
                open.extend(members.values().map(|member| (member, depth + 1)));
                2 + members.keys().map(|key| key_bytes(key)).sum::<usize>()
            }
        };
    }
    Ok(size)
}

/// What a member's name adds to an object, with its colon and comma.
pub(super) fn key_bytes(key: &str) -> usize {
    text_bytes(key) + 2
}

fn number_bytes(number: &serde_json::Number) -> usize {
    // Whole numbers are counted, not written out: this runs for every element of large arrays.
    match (number.as_u64(), number.as_i64()) {
        (Some(whole), _) => whole.checked_ilog10().unwrap_or(0) as usize + 1,
        (None, Some(negative)) => negative.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 2,
        (None, None) => 24,
    }
}

fn text_bytes(text: &str) -> usize {
    let escapes = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    };
    2 + text.len() + text.bytes().map(escapes).sum::<usize>()
}

/// Counts work down from [`MAX_WORK`].
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Budget {
        Budget(MAX_WORK)
    }

    pub(super) fn spend(&mut self, work: usize) -> Result<(), PatchError> {
        self.0 = self.0.checked_sub(work).ok_or(PatchError::TooMuchWork)?;
        Ok(())
    }
}
