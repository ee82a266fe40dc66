mod kinds;
mod moves;

use super::*;
use crate::api::{Body, Change, Manner, Refusal};
use crate::lens::{Answers, Lens, Miss, Overlay};
use crate::path::Path;
use crate::rows::{Batch, Read, Rows};
use crate::version::Agent;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap as Map;

/// A store of view rows small enough to read at a glance.
#[derive(Default)]
struct Shelf(Map<Vec<u8>, Vec<u8>>);

impl Shelf {
    fn run<T>(&self, step: impl Fn(&Lens<'_>) -> Result<T, Miss>) -> T {
        let (mut answers, overlay) = (Answers::default(), Overlay::default());
        for _ in 0..100 {
            let lens = Lens::new(&answers, &overlay);
            if let Ok(done) = step(&lens) {
                return done;
            }
            for read in lens.into_missing() {
                let rows = self.read(&read);
                answers.add(read, rows);
            }
        }
        panic!("the step never has enough");
    }

    fn read(&self, read: &Read) -> Rows {
        let own = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        match read {
            Read::Get { key, .. } => self.0.get_key_value(key).map(own).into_iter().collect(),
            Read::Scan { range, limit, reverse, .. } => {
                let rows = self.0.range(range.start.clone()..range.end.clone());
                if *reverse { rows.rev().take(*limit).map(own).collect() } else { rows.take(*limit).map(own).collect() }
            }
        }
    }

    fn apply(&mut self, items: &[Item]) {
        let applied = self.run(|lens| apply(lens, 1, items));
        let mut batch = Batch::default();
        applied.store(1, &mut batch);
        for (_, key) in batch.deletes {
            self.0.remove(&key);
        }
        for (_, key, row) in batch.puts {
            self.0.insert(key, row);
        }
    }

    fn write(&mut self, clock: u64, agent: u8, path: &str, change: Change) -> Planned {
        let (planned, _) = self.write_in(clock, agent, path, change, Manner::default()).unwrap();
        planned
    }

    /// Writes in a certain manner. Gives what others are to take in.
    fn write_in(
        &mut self,
        clock: u64,
        agent: u8,
        path: &str,
        change: Change,
        manner: Manner,
    ) -> Result<(Planned, Vec<Item>), Refusal> {
        let path = self::path(path);
        let policies = Default::default();
        let wish = Wish { manner: &manner, policies: &policies };
        let planned = self.run(|lens| {
            let located = match &change {
                Change::Set { add, remove } => {
                    locate_members(lens, 1, &path, &member_paths(&path, add.iter().chain(remove)))?
                }
                _ => locate(lens, 1, &path)?,
            };
            Ok(plan(&path, &located, &change, wish))
        })?;
        // What is planned must stand what others check.
        let list = planned.ops.iter().map(|op| Op::decode(&op.encode()).unwrap()).collect();
        let ops = Ops { clock, id: String::new(), list };
        let items = ops.into_items(Agent([agent; 10]), clock);
        self.apply(&items);
        Ok((planned, items))
    }

    fn value(&self, path: &str) -> Option<serde_json::Value> {
        let path = self::path(path);
        match self.run(|lens| locate(lens, 1, &path)) {
            Located::Place(tree) => tree.value(&path).map(|body| match body {
                Body::Json(json) => json,
                Body::Bytes { media, .. } => json!(media),
            }),
            Located::Inside { value, rest, .. } => inside(&value, &rest).cloned(),
            Located::Member { tree, .. } => {
                tree.rows.get(1).and_then(|(path, row)| match Tree::of(path.clone(), row.clone()).value(path) {
                    Some(Body::Json(json)) => Some(json),
                    _ => None,
                })
            }
            Located::Blocked { .. } => None,
        }
    }
}

fn path(text: &str) -> Path {
    Path::new(text.split('/').filter(|name| !name.is_empty())).unwrap()
}

fn put(json: serde_json::Value) -> Change {
    Change::Put(Body::Json(json))
}

#[test]
fn values_are_read_at_any_depth() {
    let mut shelf = Shelf::default();
    shelf.write(1, 1, "notes/1", put(json!({"title": "Tea", "tags": ["hot", {"a": 1}], "at": {"x": 1}})));
    assert_eq!(shelf.value("notes/1/title"), Some(json!("Tea")));
    assert_eq!(shelf.value("notes/1/tags/1/a"), Some(json!(1)));
    assert_eq!(shelf.value("notes/1/at"), Some(json!({"x": 1})));
    assert_eq!(shelf.value("notes"), Some(json!({"1": {"title": "Tea", "tags": ["hot", {"a": 1}], "at": {"x": 1}}})));
    assert_eq!(shelf.value("notes/2"), None);
    assert_eq!(shelf.value("notes/1/title/x"), None);
}

#[test]
fn a_put_replaces_and_writes_only_what_differs() {
    let mut shelf = Shelf::default();
    shelf.write(1, 1, "n", put(json!({"a": 1, "b": 2, "c": {"d": 3}})));
    let planned = shelf.write(2, 1, "n", put(json!({"a": 1, "b": 5})));
    let touched: Vec<String> = planned.ops.iter().map(|op| op.path.to_string()).collect();
    assert_eq!(touched, ["n/c", "n/c/d", "n/b"]);
    assert_eq!(shelf.value("n"), Some(json!({"a": 1, "b": 5})));
    assert!(shelf.write(3, 1, "n", put(json!({"a": 1, "b": 5}))).ops.is_empty());
    assert_eq!(shelf.write(4, 1, "n/a", put(json!(1))).ops.len(), 1);
}

#[test]
fn patches_touch_only_what_they_name() {
    let mut shelf = Shelf::default();
    shelf.write(1, 1, "n", put(json!({"a": 1, "tags": []})));
    shelf.write(2, 1, "n", Change::MergePatch(json!({"a": null, "b": {"c": 1}})));
    shelf.write(3, 1, "n", Change::Ranges(vec![(".tags[0:0]".into(), Some(json!(["hot"])))]));
    shelf.write(4, 1, "n/tags/1", put(json!("new")));
    assert_eq!(shelf.value("n"), Some(json!({"tags": ["hot", "new"], "b": {"c": 1}})));
    shelf.write(5, 1, "n/tags/0", Change::Delete);
    assert_eq!(shelf.value("n/tags"), Some(json!(["new"])));
}

#[test]
fn an_object_may_be_empty_and_deletion_empties_the_place() {
    let mut shelf = Shelf::default();
    shelf.write(1, 1, "n", put(json!({"a": 1})));
    shelf.write(2, 1, "n/a", Change::Delete);
    assert_eq!(shelf.value("n"), Some(json!({})));
    shelf.write(3, 1, "n", Change::Delete);
    assert_eq!(shelf.value("n"), None);
    assert_eq!(shelf.value(""), None);
}

#[test]
fn a_scalar_and_what_was_written_below_it_at_once_are_settled_by_the_clock() {
    let item = |clock, agent, at: &str, json: &str| {
        Item::new(path(at), Register { clock, agent: Agent([agent; 10]), seq: clock, leaf: Leaf::Json(json.into()) })
    };
    let writes = [item(10, 1, "p", "5"), item(12, 2, "p/x", "1"), item(8, 3, "p/y", "2")];
    let mut forward = Shelf::default();
    forward.apply(&writes);
    assert_eq!(forward.value("p"), Some(json!({"x": 1})));
    let gone = Item::new(path("p/x"), Register { clock: 15, agent: Agent([2; 10]), seq: 15, leaf: Leaf::Deleted });
    forward.apply(&[gone]);
    assert_eq!(forward.value("p"), Some(json!(5)));
}

#[test]
fn listings_page_forwards_and_backwards() {
    let mut shelf = Shelf::default();
    for index in 0..10 {
        shelf.write(index + 1, 1, &format!("l/k{index}"), put(json!({"n": index})));
    }
    shelf.write(50, 1, "l/k3", Change::Delete);
    let page = |start: Option<&str>, end: Option<&str>, reverse| {
        let query = crate::api::ListQuery {
            start: start.map(str::to_owned),
            end: end.map(str::to_owned),
            limit: 4,
            reverse,
            values: true,
        };
        let listing = shelf.run(|lens| list(lens, 1, &path("l"), &query, &|_, _| None));
        (listing.items.iter().map(|item| item.key.clone()).collect::<Vec<_>>(), listing.next)
    };
    assert_eq!(page(None, None, false), (vec!["k0".into(), "k1".into(), "k2".into(), "k4".into()], Some("k5".into())));
    assert_eq!(page(Some("k5"), None, false).0, ["k5", "k6", "k7", "k8"]);
    assert_eq!(page(Some("k9"), None, false), (vec!["k9".into()], None));
    assert_eq!(page(None, None, true), (vec!["k9".into(), "k8".into(), "k7".into(), "k6".into()], Some("k6".into())));
    assert_eq!(page(None, Some("k2"), true), (vec!["k1".into(), "k0".into()], None));
}

#[test]
fn what_has_many_places_is_told_by_its_name_alone_and_ends_a_page_of_values() {
    let mut shelf = Shelf::default();
    let object = |count: usize| put((0..count).map(|at| (format!("{at:05}"), json!(at))).collect());
    for (clock, (name, count)) in
        [("a", 3), ("b", 200), ("c", 300), ("d/1", 12_000), ("d/2", 12_000), ("e", 1)].into_iter().enumerate()
    {
        shelf.write(clock as u64 + 1, 1, &format!("l/{name}"), object(count));
    }
    let listed = |limit, reverse, values| {
        let query = crate::api::ListQuery { start: None, end: None, limit, reverse, values };
        let listing = shelf.run(|lens| list(lens, 1, &path("l"), &query, &|_, _| None));
        let told = listing.items.iter().map(|item| (item.key.clone(), !item.version.is_empty(), item.value.is_some()));
        (told.collect::<Vec<_>>(), listing.next)
    };
    let all = |told: &dyn Fn(&str) -> (bool, bool)| {
        let item = |name: &str| (name.to_owned(), told(name).0, told(name).1);
        ["a", "b", "c", "d", "e"].map(item).to_vec()
    };
    let names = all(&|name| (!["c", "d"].contains(&name), false));
    let values = all(&|name| (name != "d", name != "d"));
    assert_eq!(listed(10, false, false), (names.clone(), None));
    assert_eq!(listed(10, false, true), (values[..4].to_vec(), Some("e".to_owned())));
    let back = |told: Vec<_>| told.into_iter().rev().collect::<Vec<_>>();
    assert_eq!(listed(10, true, false), (back(names.clone()), None));
    assert_eq!(listed(10, true, true), (back(values[3..].to_vec()), Some("d".to_owned())));
    assert_eq!(listed(4, false, false), (names[..4].to_vec(), Some("e".to_owned())));
    assert_eq!(listed(2, true, false), (back(names[3..].to_vec()), Some("d".to_owned())));
}

fn any_item() -> impl Strategy<Value = Item> {
    let leaf =
        prop_oneof![Just(Leaf::Deleted), Just(Leaf::Object), (0..3u8).prop_map(|n| Leaf::Json(n.to_string().into()))];
    let place = proptest::collection::vec(prop_oneof![Just("a"), Just("b")], 0..4);
    (0..40u64, 0..3u8, place, leaf).prop_map(|(clock, agent, place, leaf)| {
        Item::new(Path::new(place).unwrap(), Register { clock, agent: Agent([agent; 10]), seq: clock, leaf })
    })
}

proptest! {
    #[test]
    fn any_order_of_arrival_gives_the_same_rows(
        items in proptest::collection::vec(any_item(), 1..14),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 14),
        cut in any::<prop::sample::Index>(),
    ) {
        // One write per author, time and place, as in real logs.
        let mut unique: Map<(u64, Agent, Path), Item> = Map::new();
        for item in items {
            unique.insert((item.register.clock, item.register.agent, item.path.clone()), item);
        }
        let items: Vec<Item> = unique.into_values().collect();
        let mut shuffled = items.clone();
        for (index, pick) in order.iter().enumerate().take(shuffled.len()) {
            let other = pick.index(shuffled.len());
            shuffled.swap(index, other);
        }
        let mut one = Shelf::default();
        one.apply(&items);
        let mut two = Shelf::default();
        let (first, second) = shuffled.split_at(cut.index(shuffled.len()));
        two.apply(first);
        two.apply(second);
        two.apply(first);
        prop_assert_eq!(one.0, two.0);
    }

    #[test]
    fn ops_that_decode_encode_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(op) = Op::decode(&bytes) {
            prop_assert_eq!(op.encode(), bytes);
        }
    }
}
