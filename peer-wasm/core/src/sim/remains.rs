//! What is on the peers' disks, in a form in which two of them can be compared.

use super::{Disk, NodeId, Story};
use crate::history::{self, Deed, OpRow};
use crate::rows::{KeyRange, Rows, Table};
use std::collections::{BTreeMap, BTreeSet};

/// One row of a peer's index of history: its key past the space, the log, and what the op held there.
pub type Remembered = (Vec<u8>, Option<Vec<u8>>, u8, u64);

impl Story {
    /// What a peer's index of history says, without the numbers it has given to the space and its logs.
    pub fn history(&self, node: NodeId) -> Vec<Remembered> {
        let Some((disk, space)) = self.disk_and_number(node) else { return Vec::new() };
        let number = space.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let scan = |table, prefix: &[u8]| disk.all(table, KeyRange::prefix(prefix));
        let logs = scan(Table::Head, &[&space[..], &[0]].concat());
        let log_of = |number: u32| logs.get(number as usize).and_then(|(_, row)| row.get(1..33)).map(<[u8]>::to_vec);
        let point = |key: &[u8]| key.last_chunk::<{ history::POINT_BYTES }>().copied();
        // Who joined later never learns where what was erased stood, nor that a write did nothing else.
        let ops = scan(Table::View, &history::part_key(number, history::OPS));
        let told: BTreeMap<Vec<u8>, OpRow> =
            ops.into_iter().filter_map(|(key, row)| Some((key, OpRow::decode(&row)?))).collect();
        let told = told.into_iter().filter(|(_, row)| row.deed != Deed::Redacted);
        let mut rows: Vec<Remembered> = told
            .map(|(key, row)| (key.get(4..).unwrap_or_default().to_vec(), log_of(row.log), row.code, row.size))
            .collect();
        let points: BTreeSet<_> = rows.iter().map(|(key, ..)| point(key)).collect();
        let times = scan(Table::View, &history::part_key(number, history::TIMES));
        for (key, row) in times.into_iter().filter(|(key, _)| points.contains(&point(key))) {
            let log = history::read_entry_row(&key, &row).and_then(|(_, log)| log_of(log));
            rows.push((key.get(4..).unwrap_or_default().to_vec(), log, 0, 0));
        }
        rows
    }

    fn disk_and_number(&self, node: NodeId) -> Option<(&Disk, Vec<u8>)> {
        let disk = &self.world.nodes.get(node)?.disk;
        let spaces = disk.all(Table::Meta, KeyRange::prefix(b"space/"));
        let of_space = |value: &[u8]| value.get(1..33) == Some(&self.space.0[..]);
        let (key, _) = spaces.iter().find(|(_, value)| of_space(value))?;
        Some((disk, key.get(6..)?.to_vec()))
    }

    /// The rows a peer keeps of the space's tree, without the number it has given the space.
    pub fn rows(&self, node: NodeId) -> Rows {
        let Some((disk, space)) = self.disk_and_number(node) else { return Rows::new() };
        let own = |(key, value): (Vec<u8>, Vec<u8>)| (key.get(space.len()..).unwrap_or_default().to_vec(), value);
        // The places, and where values stand beside each other.
        let of = |part: u8| {
            let range = KeyRange::prefix(&[&space[..], &[part]].concat());
            disk.all(Table::View, range).into_iter().map(own)
        };
        of(1).chain(of(3)).collect()
    }
}
