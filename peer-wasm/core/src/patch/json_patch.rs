//! JSON Patch, RFC 6902.

use super::error::shortened;
use super::measure::{Budget, Size, key_bytes, measure};
use super::pointer::{self, PointerError};
use super::{MAX_DEPTH, MAX_OPERATIONS, MAX_RESULT_BYTES, PatchError};
use serde_json::{Map, Number, Value as Json};

/// The value `target` becomes under a JSON Patch.
pub(super) fn apply(target: Option<&Json>, patch: &Json) -> Result<Json, PatchError> {
    let Json::Array(operations) = patch else { return Err(PatchError::NotAnArray) };
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations);
    }
    let mut document = Document { root: None, bytes: 0, budget: Budget::new(), operation: 0 };
    if let Some(target) = target {
        document.put(&[], target.clone(), "")?;
    }
    for (number, operation) in operations.iter().enumerate() {
        document.operation = number;
        document.run(operation)?;
    }
    document.root.ok_or(PatchError::RemovesWhole)
}

/// The value being patched, and how much of the limits is used.
struct Document {
    /// `None` while there is no value.
    root: Option<Json>,
    /// An upper bound of the size of `root`.
    bytes: usize,
    budget: Budget,
    /// The operation being run, for errors.
    operation: usize,
}

impl Document {
    fn run(&mut self, operation: &Json) -> Result<(), PatchError> {
        let at = self.operation;
        let Json::Object(members) = operation else { return Err(PatchError::NotAnObject { operation: at }) };
        let name = members.get("op").and_then(Json::as_str).ok_or(PatchError::UnknownOperation { operation: at })?;
        if !["add", "remove", "replace", "move", "copy", "test"].contains(&name) {
            return Err(PatchError::UnknownOperation { operation: at });
        }
        let path_text = self.text(members, "path")?;
        let path = self.pointer(path_text)?;
        match name {
            "remove" => self.take(&path, path_text).map(drop),
            "add" => {
                let value = self.value(members)?.clone();
                self.put(&path, value, path_text)
            }
            "replace" => {
                let value = self.value(members)?.clone();
                if path.is_empty() {
                    self.take(&path, path_text)?;
                    return self.put(&path, value, path_text);
                }
                self.replace(&path, value, path_text)
            }
            "test" => {
                let wanted = self.value(members)?;
                let same = equal(self.find(&path, path_text)?, wanted);
                if same { Ok(()) } else { Err(PatchError::TestFailed { operation: at, place: shortened(path_text) }) }
            }
            moves_or_copies => {
                let from_text = self.text(members, "from")?;
                let from = self.pointer(from_text)?;
                let value = if moves_or_copies == "copy" {
                    let found = self.find(&from, from_text)?;
                    let size = measure(found)?;
                    let value = found.clone();
                    self.budget.spend(size.bytes)?;
                    value
                } else {
                    if path.len() > from.len() && path.starts_with(&from) {
                        return Err(PatchError::MoveIntoItself { operation: at });
                    }
                    if path == from {
                        return self.find(&from, from_text).map(drop);
                    }
                    self.take(&from, from_text)?
                };
                self.put(&path, value, path_text)
            }
        }
    }

    fn text<'a>(&self, members: &'a Map<String, Json>, member: &'static str) -> Result<&'a str, PatchError> {
        let missing = PatchError::MissingMember { operation: self.operation, member };
        members.get(member).and_then(Json::as_str).ok_or(missing)
    }

    fn value<'a>(&self, members: &'a Map<String, Json>) -> Result<&'a Json, PatchError> {
        let missing = PatchError::MissingMember { operation: self.operation, member: "value" };
        let value = members.get("value").ok_or(missing)?;
        // Checked before anything recursive (clone, compare) touches it.
        measure(value)?;
        Ok(value)
    }

    fn pointer(&self, text: &str) -> Result<Vec<String>, PatchError> {
        pointer::parse(text).map_err(|error| match error {
            PointerError::Malformed => PatchError::BadPointer { operation: self.operation, pointer: shortened(text) },
            PointerError::TooDeep => PatchError::TooDeep,
        })
    }

    fn missing(&self, text: &str) -> PatchError {
        PatchError::Missing { operation: self.operation, place: shortened(text) }
    }

    fn find(&self, path: &[String], text: &str) -> Result<&Json, PatchError> {
        let mut value = self.root.as_ref().ok_or_else(|| self.missing(text))?;
        for token in path {
            let inner = match value {
                Json::Object(members) => members.get(token.as_str()),
                Json::Array(items) => items.get(existing_index(token, self.operation)?),
                _ => None,
            };
            value = inner.ok_or_else(|| self.missing(text))?;
        }
        Ok(value)
    }

    /// Puts `value` where `add` would: a new or changed member, or a new array element.
    fn put(&mut self, path: &[String], value: Json, text: &str) -> Result<(), PatchError> {
        let Size { bytes, depth } = measure(&value)?;
        if path.len() + depth > MAX_DEPTH {
            return Err(PatchError::TooDeep);
        }
        let operation = self.operation;
        self.budget.spend(bytes)?;
        let Some((name, above)) = path.split_last() else {
            self.bytes = bytes;
            self.root = Some(value);
            return self.check();
        };
        let missing = self.missing(text);
        match find_mut(&mut self.root, above, operation)?.ok_or(missing)? {
            Json::Object(members) => {
                // The old value's bytes are not given back: finding out how many would cost as much as they do.
                // What is left is counted again when the limit seems to be reached.
                self.bytes += key_bytes(name) + bytes;
                members.insert(name.clone(), value);
            }
            Json::Array(items) => {
                let length = items.len();
                let index = if name == "-" { length } else { index(name, operation)? };
                if index > length {
                    return Err(PatchError::OutOfBounds { operation, place: shortened(text), length });
                }
                self.budget.spend(length - index)?;
                self.bytes += 1 + bytes;
                items.insert(index, value);
            }
            _ => return Err(PatchError::WrongKind { operation, place: shortened(text), needs: "an object or array" }),
        }
        self.check()
    }

    /// Removes the value at a place and gives it back.
    fn take(&mut self, path: &[String], text: &str) -> Result<Json, PatchError> {
        let operation = self.operation;
        let missing = self.missing(text);
        let Some((name, above)) = path.split_last() else {
            self.bytes = 0;
            return self.root.take().ok_or(missing);
        };
        match find_mut(&mut self.root, above, operation)? {
            Some(Json::Object(members)) => members.remove(name.as_str()).ok_or(missing),
            Some(Json::Array(items)) => {
                let index = existing_index(name, operation)?;
                if index >= items.len() {
                    return Err(missing);
                }
                self.budget.spend(items.len() - index)?;
                Ok(items.remove(index))
            }
            _ => Err(missing),
        }
    }

    /// Changes the value at a place that must exist.
    fn replace(&mut self, path: &[String], value: Json, text: &str) -> Result<(), PatchError> {
        let Size { bytes, depth } = measure(&value)?;
        if path.len() + depth > MAX_DEPTH {
            return Err(PatchError::TooDeep);
        }
        let missing = self.missing(text);
        self.budget.spend(bytes)?;
        *find_mut(&mut self.root, path, self.operation)?.ok_or(missing)? = value;
        self.bytes += bytes;
        self.check()
    }

    /// Refuses to grow past the limit, also between two operations: copies could otherwise double without end.
    fn check(&mut self) -> Result<(), PatchError> {
        if self.bytes > MAX_RESULT_BYTES {
            self.bytes = match &self.root {
                Some(root) => measure(root)?.bytes,
                None => 0,
            };
            self.budget.spend(self.bytes)?;
        }
        if self.bytes > MAX_RESULT_BYTES { Err(PatchError::ResultTooLarge) } else { Ok(()) }
    }
}

fn find_mut<'a>(
    root: &'a mut Option<Json>,
    path: &[String],
    operation: usize,
) -> Result<Option<&'a mut Json>, PatchError> {
    let Some(mut value) = root.as_mut() else { return Ok(None) };
    for token in path {
        let inner = match value {
            Json::Object(members) => members.get_mut(token.as_str()),
            Json::Array(items) => items.get_mut(existing_index(token, operation)?),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

fn index(token: &str, operation: usize) -> Result<usize, PatchError> {
    pointer::index(token).ok_or_else(|| PatchError::BadIndex { operation, token: shortened(token) })
}

/// Like [`index`], but `-` is no mistake: it names the element after the last, which is never there.
fn existing_index(token: &str, operation: usize) -> Result<usize, PatchError> {
    if token == "-" { Ok(usize::MAX) } else { index(token, operation) }
}

/// RFC 6902 section 4.6: numbers are equal if their values are; members have no order.
/// Recursive, over depths that [`measure`] has bounded.
fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => equal_numbers(a, b),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name.as_str()).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

fn equal_numbers(a: &Number, b: &Number) -> bool {
    if a == b {
        return true;
    }
    let whole = |number: &Number| number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64().is_some_and(|a| b.as_f64() == Some(a)),
    }
}
