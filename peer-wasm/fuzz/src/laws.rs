//! What targets have in common.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A mark for an outcome. Numbers are left out, so that errors differ by rule and not by value.
pub(crate) fn mark(outcome: &impl Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{outcome:?}").split(|char: char| char.is_ascii_digit()).for_each(|part| part.hash(&mut hasher));
    hasher.finish()
}

/// The name of an error's variant, without what it repeats of the input.
pub(crate) fn rule<T>(result: &Result<T, impl Debug>) -> String {
    let text = result.as_ref().err().map(|error| format!("{error:?}")).unwrap_or_default();
    text.split(['{', '(']).next().unwrap_or_default().to_owned()
}

/// A mark that grows with the order of magnitude of a size.
pub(crate) fn magnitude(size: usize) -> u64 {
    u64::from(usize::BITS - size.leading_zeros())
}

/// Stops the fuzzer unless two things are the same.
pub(crate) fn same<T: PartialEq + Debug>(law: &str, left: &T, right: &T) {
    if left != right {
        panic!("{law}:\n  {left:?}\n  {right:?}");
    }
}
