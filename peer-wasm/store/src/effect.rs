//! Batches put together: what a run of batches does to the rows, each row touched once.

use kith_map::BTreeMap;

use kith_core::rows::{Batch, Durability, KeyRange, Table};

/// Waiting batches are written together up to this many puts. Longer transactions make reads wait.
pub(crate) const GROUP_PUTS: usize = 100;

/// Waiting batches are written together up to this many bytes of keys and values.
pub(crate) const GROUP_BYTES: usize = 256 * 1024;

/// What some batches, applied one after the other, do to the rows. Apply as: `clear`, then `ranges`, then `rows`.
#[derive(Debug, Default)]
pub(crate) struct Effect<'a> {
    /// Whether every row goes first.
    pub(crate) clear: bool,
    /// Ranges to empty; never an empty range.
    pub(crate) ranges: Vec<(Table, &'a KeyRange)>,
    /// The last word on every row named: a value, or `None` to remove it.
    pub(crate) rows: BTreeMap<(Table, &'a [u8]), Option<&'a [u8]>>,
    /// The strongest asked for.
    pub(crate) durability: Durability,
}

impl<'a> Effect<'a> {
    /// Adds a batch after those already here.
    pub(crate) fn push(&mut self, batch: &'a Batch) {
        for (table, range) in &batch.delete_ranges {
            if range.start >= range.end {
                continue;
            }
            self.rows.retain(|(of, key), _| of != table || !range.contains(key));
            self.ranges.push((*table, range));
        }
        for (table, key) in &batch.deletes {
            self.rows.insert((*table, key), None);
        }
        for (table, key, value) in &batch.puts {
            self.rows.insert((*table, key), Some(value));
        }
        self.durability = self.durability.max(batch.durability);
    }

    /// Adds the removal of every row after the batches already here.
    pub(crate) fn wipe(&mut self) {
        *self = Effect { clear: true, durability: Durability::Strict, ..Effect::default() };
    }

    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        !self.clear && self.ranges.is_empty() && self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Model = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

    fn one_by_one(model: &mut Model, batch: &Batch) {
        for (table, range) in &batch.delete_ranges {
            model.retain(|(of, key), _| of != table || !range.contains(key));
        }
        for (table, key) in &batch.deletes {
            model.remove(&(*table, key.clone()));
        }
        for (table, key, value) in &batch.puts {
            model.insert((*table, key.clone()), value.clone());
        }
    }

    fn at_once(model: &mut Model, effect: &Effect<'_>) {
        if effect.clear {
            model.clear();
        }
        for (table, range) in &effect.ranges {
            model.retain(|(of, key), _| of != table || !range.contains(key));
        }
        for ((table, key), value) in &effect.rows {
            match value {
                Some(value) => model.insert((*table, key.to_vec()), value.to_vec()),
                None => model.remove(&(*table, key.to_vec())),
            };
        }
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0u8..4, 0..3)
    }

    fn table() -> impl Strategy<Value = Table> {
        prop_oneof![Just(Table::Tail), Just(Table::View)]
    }

    fn batch() -> impl Strategy<Value = Batch> {
        let range = (key(), key()).prop_map(|(start, end)| KeyRange { start, end });
        (
            proptest::collection::vec((table(), range), 0..3),
            proptest::collection::vec((table(), key()), 0..4),
            proptest::collection::vec((table(), key(), proptest::collection::vec(any::<u8>(), 0..3)), 0..6),
        )
            .prop_map(|(delete_ranges, deletes, puts)| Batch {
                delete_ranges,
                deletes,
                puts,
                durability: Durability::Relaxed,
            })
    }

    proptest! {
        #[test]
        fn a_group_does_what_its_batches_do(before in batch(), group in proptest::collection::vec(batch(), 0..6), wipe in 0usize..12) {
            let mut expected = Model::new();
            one_by_one(&mut expected, &before);
            let mut found = expected.clone();
            let mut effect = Effect::default();
            for (at, batch) in group.iter().enumerate() {
                if at == wipe {
                    expected.clear();
                    effect.wipe();
                }
                one_by_one(&mut expected, batch);
                effect.push(batch);
            }
            at_once(&mut found, &effect);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_strongest_durability_counts() {
        let strict = Batch { durability: Durability::Strict, ..Batch::default() };
        let relaxed = Batch::default();
        let mut effect = Effect::default();
        effect.push(&strict);
        effect.push(&relaxed);
        assert_eq!(effect.durability, Durability::Strict);
    }
}
