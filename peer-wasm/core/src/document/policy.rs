//! Policies: how values below a prefix are merged where their writers do not say.

use super::kind::Merge;
use crate::path::Path;
use std::collections::BTreeMap;

/// The policies of a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies(BTreeMap<Path, Merge>);

impl Policies {
    /// How a new value at this place is merged.
    pub fn kind_at(&self, path: &Path) -> Merge {
        path.ancestors()
            .chain([path.clone()])
            .filter_map(|prefix| self.0.get(&prefix).copied())
            .last()
            .unwrap_or_default()
    }
}
