//! What merging ops into the tree comes to, and the rows it is written as.

use super::row::{ViewRow, conflict_of_row};
use super::text::{self, Arrived};
use crate::path::Path;
use crate::rows::{Batch, Table};
use crate::version::Agent;
use kith_map::BTreeSet;
use std::collections::BTreeMap;

/// What applying ops changes.
#[derive(Debug, Default)]
pub struct Applied {
    /// View rows to write: key and row.
    pub rows: BTreeMap<Vec<u8>, ViewRow>,
    /// The places whose value may have changed.
    pub changed: Vec<Path>,
    /// The places where values stand beside each other from now on, or no longer do: keys of their rows.
    pub conflicts: Vec<(Vec<u8>, bool)>,
    /// Tags that this release does not know.
    pub unknown: Vec<u8>,
    /// Rows of what stood in sets and lists that were purged.
    pub gone: Vec<Vec<u8>>,
    /// Places of texts that were purged.
    pub ended: BTreeSet<Path>,
    /// Operations on texts, by place and author, to be looked at later.
    pub texts: kith_map::BTreeMap<(Path, Agent), Arrived>,
}

impl Applied {
    /// Adds the rows to a batch.
    pub fn store(&self, space: u32, batch: &mut Batch) {
        for path in self.ended.iter() {
            let ranges = [text::whole_range(space, path), text::told_range(space, path)];
            batch.delete_ranges.extend(ranges.map(|range| (Table::View, range)));
            batch.deletes.push((Table::View, text::waiting_key(space, path)));
        }
        batch.deletes.extend(self.gone.iter().map(|key| (Table::View, key.clone())));
        for ((path, agent), arrived) in &self.texts {
            let rows = text::pack_inbox(arrived).into_iter();
            let rows = rows.map(|(last, row)| (Table::View, text::inbox_key(space, path, *agent, last), row));
            batch.puts.extend(rows);
            batch.puts.push((Table::View, text::waiting_key(space, path), Vec::new()));
        }
        batch.puts.extend(self.rows.iter().map(|(key, row)| (Table::View, key.clone(), row.encode())));
        for (key, stands) in &self.conflicts {
            let key = conflict_of_row(key);
            match stands {
                true => batch.puts.push((Table::View, key, Vec::new())),
                false => batch.deletes.push((Table::View, key)),
            }
        }
    }
}
