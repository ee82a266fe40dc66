//! JSON Merge Patch, RFC 7396.

use super::{PatchError, measure::measure};
use serde_json::{Map, Value as Json};

/// The value `target` becomes under a merge patch.
pub(super) fn apply(target: Option<&Json>, patch: &Json) -> Result<Json, PatchError> {
    measure(patch)?;
    let mut result = target.cloned().unwrap_or(Json::Null);
    merge(&mut result, patch);
    Ok(result)
}

/// Recursive, over depths that [`measure`] has bounded.
fn merge(target: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Json::Object(Map::new());
    }
    let Json::Object(members) = target else { return };
    for (name, change) in patch {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.as_str()).or_insert(Json::Null), change);
        }
    }
}
