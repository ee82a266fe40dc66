//! Laws of the merged tree: the same whatever the order, the portions and the repetitions in which writes arrive.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "common/store.rs"]
mod store;

use kith_core::document::{Item, Leaf, Register, ViewRow, apply, tree, view_key};
use kith_core::path::Path;
use kith_core::version::Agent;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;
use store::Store;

const SPACE: u32 = 7;

impl Store {
    fn apply(&mut self, items: &[Item]) {
        let applied = self.run(|lens| apply(lens, SPACE, items).ok());
        for (key, row) in applied.rows {
            self.0.insert(key, row.encode());
        }
    }

    fn shown(&self) -> Option<kith_core::api::Body> {
        self.run(|lens| tree(lens, SPACE, &Path::root()).ok()).value(&Path::root())
    }
}

fn any_leaf() -> impl Strategy<Value = Leaf> {
    prop_oneof![
        2 => Just(Leaf::Deleted),
        2 => Just(Leaf::Object),
        4 => (0u8..9).prop_map(|n| Leaf::Json(n.to_string().into_bytes())),
        1 => Just(Leaf::Bytes { media: "image/png".to_owned(), bytes: vec![1, 2, 3] }),
    ]
}

/// Writes to a small tree at close times, so that they meet; no author uses a place in its log twice for one path.
fn any_items() -> impl Strategy<Value = Vec<Item>> {
    let path = prop::collection::vec("[ab]", 1..4).prop_map(|names| Path::new(names).unwrap());
    prop::collection::vec((path, any_leaf(), 0u64..6, 0u8..3), 1..24).prop_map(|writes| {
        let items = writes.into_iter().enumerate().map(|(seq, (path, leaf, clock, agent))| {
            let register = Register { clock, agent: Agent([agent; 10]), seq: seq as u64, leaf };
            Item::new(path, register)
        });
        items.collect()
    })
}

fn shuffled(items: &[Item], order: &[Index]) -> Vec<Item> {
    let mut items = items.to_vec();
    for at in (1..items.len()).rev() {
        let other = order.get(at).map_or(0, |index| index.index(at + 1));
        items.swap(at, other);
    }
    items
}

/// The tree by its definition: the last write at each place; hidden if a live scalar above is later, or if it is a
/// scalar and something live below is later.
fn by_definition(items: &[Item]) -> BTreeMap<Path, (Register, bool)> {
    let mut last: BTreeMap<Path, Register> = BTreeMap::new();
    for item in items {
        match last.get(&item.path) {
            Some(held) if !item.register.is_after(held) => {}
            _ => drop(last.insert(item.path.clone(), item.register.clone())),
        }
    }
    let hidden = |path: &Path, register: &Register| {
        last.iter().filter(|(other, _)| *other != path).any(|(other, held)| {
            let below = other.contains(path) && held.is_scalar() && held.is_after(register);
            let above = path.contains(other) && register.is_scalar() && held.is_live() && held.is_after(register);
            below || above
        })
    };
    last.iter().map(|(path, held)| (path.clone(), (held.clone(), held.is_live() && hidden(path, held)))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("KITH_LONG").is_some() { 20_000 } else { 400 }))]

    #[test]
    fn the_same_writes_in_any_order_and_portions_give_the_same_rows(
        items in any_items(),
        order in prop::collection::vec(any::<Index>(), 24),
        cuts in prop::collection::vec(1usize..5, 24),
    ) {
        let mut straight = Store::default();
        straight.apply(&items);
        let mut rest = shuffled(&items, &order);
        let mut scattered = Store::default();
        for cut in cuts {
            let portion: Vec<Item> = rest.drain(..cut.min(rest.len())).collect();
            scattered.apply(&portion);
        }
        prop_assert_eq!(&straight, &scattered);
        prop_assert_eq!(straight.shown(), scattered.shown());
    }

    #[test]
    fn writes_that_arrive_twice_change_nothing_more(items in any_items()) {
        let mut store = Store::default();
        store.apply(&items);
        let once = store.clone();
        store.apply(&items);
        for item in &items {
            store.apply(std::slice::from_ref(item));
        }
        prop_assert_eq!(once, store);
    }

    #[test]
    fn the_rows_are_what_the_definition_says(items in any_items()) {
        let mut store = Store::default();
        for item in &items {
            store.apply(std::slice::from_ref(item));
        }
        for (path, (register, hidden)) in by_definition(&items) {
            let row = store.0.get(&view_key(SPACE, &path)).and_then(|row| ViewRow::decode(row));
            let row = row.unwrap_or_default();
            prop_assert_eq!(row.register.as_ref(), Some(&register), "{}", path);
            if register.is_live() {
                prop_assert_eq!(row.hidden, hidden, "{} in {:?}", path, items);
            }
        }
    }
}
