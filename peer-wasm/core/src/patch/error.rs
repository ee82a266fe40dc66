//! Why a patch does not fit.

use super::{MAX_DEPTH, MAX_OPERATIONS, MAX_RESULT_BYTES};

/// Why a patch was not applied. Nothing changed. Operations and ranges are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// A value in the request, the target or the result is nested deeper than [`MAX_DEPTH`].
    #[error("Values may be nested at most {MAX_DEPTH} deep.")]
    TooDeep,
    /// More than [`MAX_OPERATIONS`].
    #[error("A patch may have at most {MAX_OPERATIONS} operations. Send it in parts.")]
    TooManyOperations,
    /// The result would be larger than [`MAX_RESULT_BYTES`].
    #[error("The patched value would be larger than {MAX_RESULT_BYTES} bytes.")]
    ResultTooLarge,
    /// More than [`super::MAX_WORK`].
    #[error("This patch copies or moves too much. Send it in parts.")]
    TooMuchWork,
    /// The patch would leave no value at all.
    #[error("This patch removes the whole value. Use DELETE for that.")]
    RemovesWhole,
    /// A JSON Patch that is not an array.
    #[error("A JSON Patch is an array of operations.")]
    NotAnArray,
    /// An operation that is not an object.
    #[error("Operation {operation} is not an object.")]
    NotAnObject {
        /// Which operation.
        operation: usize,
    },
    /// `op` is none of the six.
    #[error("Operation {operation} needs `op`: add, remove, replace, move, copy or test.")]
    UnknownOperation {
        /// Which operation.
        operation: usize,
    },
    /// A member the operation needs is not there or not of the right kind.
    #[error("Operation {operation} needs the member `{member}`.")]
    MissingMember {
        /// Which operation.
        operation: usize,
        /// The member.
        member: &'static str,
    },
    /// Text that is not a JSON Pointer.
    #[error(
        "`{pointer}` in operation {operation} is not a JSON Pointer: it is empty or begins with `/`, and `~` is followed by 0 or 1."
    )]
    BadPointer {
        /// Which operation.
        operation: usize,
        /// The text, shortened.
        pointer: String,
    },
    /// A pointer or range names something that is not there.
    #[error("Operation {operation}: there is nothing at `{place}`.")]
    Missing {
        /// Which operation or range.
        operation: usize,
        /// The place, shortened.
        place: String,
    },
    /// An array index with a sign, leading zeros or other characters.
    #[error("Operation {operation}: `{token}` is not an array index.")]
    BadIndex {
        /// Which operation or range.
        operation: usize,
        /// The text, shortened.
        token: String,
    },
    /// An index past the end of an array or text, or a range whose end comes before its start.
    #[error("Operation {operation}: `{place}` lies outside; there are {length} elements.")]
    OutOfBounds {
        /// Which operation or range.
        operation: usize,
        /// The place, shortened.
        place: String,
        /// How many elements (or characters) there are.
        length: usize,
    },
    /// A place inside something that has no such places, such as a member of a number.
    #[error("Operation {operation}: `{place}` needs {needs} there.")]
    WrongKind {
        /// Which operation or range.
        operation: usize,
        /// The place, shortened.
        place: String,
        /// What would have to be there.
        needs: &'static str,
    },
    /// A value moved into itself.
    #[error("Operation {operation} moves a value into itself.")]
    MoveIntoItself {
        /// Which operation.
        operation: usize,
    },
    /// A `test` that found another value.
    #[error("Operation {operation}: the value at `{place}` is not the one tested for.")]
    TestFailed {
        /// Which operation.
        operation: usize,
        /// The place, shortened.
        place: String,
    },
    /// Text that is not a range.
    #[error("`{range}` is not a range. Ranges look like `.tags[0:2]`, `[\"a key\"]`, `[3]` or `/tags/0`.")]
    BadRange {
        /// The text, shortened.
        range: String,
    },
    /// A range patch without ranges.
    #[error("A range patch needs at least one range.")]
    NoRanges,
    /// An array range whose replacement is no array, or a text range whose replacement is no text.
    #[error("The replacement of `{range}` must be {needs}.")]
    BadReplacement {
        /// The range, shortened.
        range: String,
        /// What it must be.
        needs: &'static str,
    },
    /// Two ranges of one patch touch the same place.
    #[error("Two ranges of this patch overlap: `{first}` and `{second}`.")]
    Overlap {
        /// The range given first, shortened.
        first: String,
        /// The range given later, shortened.
        second: String,
    },
}

/// The longest text from a request that an error repeats, in characters.
const MAX_ECHO: usize = 80;

/// `text` short enough to be repeated in an error.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_ECHO) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}
