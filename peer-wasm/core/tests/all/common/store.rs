//! The rows of a tree and nothing else, for the laws of merging: each test program says what it writes into them and reads.

use kith_core::lens::{Answers, Lens, Overlay};
use kith_core::rows::{Read, Rows};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Store(pub(crate) BTreeMap<Vec<u8>, Vec<u8>>);

impl Store {
    fn read(&self, read: &Read) -> Rows {
        let own = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        match read {
            Read::Get { key, .. } => self.0.get_key_value(key).into_iter().map(own).collect(),
            Read::Scan { range, limit, reverse: false, .. } => {
                self.0.range(range.start.clone()..range.end.clone()).take(*limit).map(own).collect()
            }
            Read::Scan { range, limit, .. } => {
                self.0.range(range.start.clone()..range.end.clone()).rev().take(*limit).map(own).collect()
            }
        }
    }

    /// Runs a step as the peer does: again and again until all it needs is loaded.
    pub(crate) fn run<T>(&self, mut step: impl FnMut(&Lens<'_>) -> Option<T>) -> T {
        let (mut answers, overlay) = (Answers::default(), Overlay::default());
        for _ in 0..1000 {
            let lens = Lens::new(&answers, &overlay);
            if let Some(result) = step(&lens) {
                return result;
            }
            for read in lens.into_missing() {
                let rows = self.read(&read);
                answers.add(read, rows);
            }
        }
        panic!("the step never had what it needs");
    }
}
