//! Patches: how a write changes part of a JSON value.
//!
//! Three kinds: JSON Merge Patch (RFC 7396), JSON Patch (RFC 6902) and Braid range patches
//! (draft-toomim-httpbis-range-patch). A patch fits and gives a new value, or it does not and nothing changed:
//! [`apply`] never touches the value it is given.
//!
//! No input makes this overflow the stack or take more than a bounded amount of memory and work: depth is checked
//! before anything recursive happens, and every copy is counted.

mod error;
mod json_patch;
mod measure;
mod merge;
mod pointer;
mod range;
mod range_text;

pub use error::PatchError;

use crate::api::Change;
use serde_json::Value as Json;

/// The deepest a value may be nested, before and after a patch.
pub const MAX_DEPTH: usize = 64;
/// The most operations in a JSON Patch, and the most ranges in a range patch.
pub const MAX_OPERATIONS: usize = 1000;
/// The largest value a patch may make, in bytes, close to its JSON text. It bounds the number of values too.
pub const MAX_RESULT_BYTES: usize = 1 << 20;
/// The most work one patch may cause: bytes copied, compared and searched, and array elements moved.
pub const MAX_WORK: usize = 64 << 20;

/// A patch, borrowed from the request that carries it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PatchInput<'a> {
    /// RFC 7396.
    Merge(&'a Json),
    /// RFC 6902, as parsed JSON.
    Json(&'a Json),
    /// Braid ranges with their replacements; none deletes. All ranges are meant in the value as it was before.
    Ranges(&'a [(String, Option<Json>)]),
}

impl<'a> PatchInput<'a> {
    /// The patch in a change; `None` if the change is no patch.
    pub fn of(change: &'a Change) -> Option<PatchInput<'a>> {
        match change {
            Change::MergePatch(patch) => Some(PatchInput::Merge(patch)),
            Change::JsonPatch(patch) => Some(PatchInput::Json(patch)),
            Change::Ranges(ranges) => Some(PatchInput::Ranges(ranges)),
            Change::Put(_) | Change::Delete | Change::Increment(_) | Change::Set { .. } | Change::Text(_) => None,
        }
    }
}

/// Refuses a value nested deeper than [`MAX_DEPTH`], without recursion.
pub fn check_depth(value: &Json) -> Result<(), PatchError> {
    measure::measure(value).map(drop)
}

/// Refuses text that is no range, without looking at any value.
pub fn check_range(range: &str) -> Result<(), PatchError> {
    range_text::parse(range).map(drop)
}

/// The value `target` becomes under `patch`. `None` as the target means that there is no value yet.
pub fn apply(target: Option<&Json>, patch: &PatchInput<'_>) -> Result<Json, PatchError> {
    if let Some(target) = target {
        measure::measure(target)?;
    }
    let result = match *patch {
        PatchInput::Merge(patch) => merge::apply(target, patch)?,
        PatchInput::Json(patch) => json_patch::apply(target, patch)?,
        PatchInput::Ranges(ranges) => range::apply(target, ranges)?,
    };
    if measure::measure(&result)?.bytes > MAX_RESULT_BYTES {
        return Err(PatchError::ResultTooLarge);
    }
    Ok(result)
}

#[cfg(test)]
mod tests;
