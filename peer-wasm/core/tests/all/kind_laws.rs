//! Laws of the kinds of values. Peers write and hear of each other's writes in any order, as long as each one's come
//! in theirs; what they show is compared with models that know the whole history, and rows with each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "common/store.rs"]
mod store;

use kith_core::api::{Body, Change, Manner, Merge};
use kith_core::document::policy::Policies;
use kith_core::document::{Item, Leaf, Op, Ops, ViewRow, Wish, apply, locate, plan, tree};
use kith_core::path::Path;
use kith_core::rows::Batch;
use kith_core::version::Agent;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use store::Store;

const SPACE: u32 = 7;
const PEERS: usize = 3;

impl Store {
    fn apply(&mut self, items: &[Item]) {
        let applied = self.run(|lens| apply(lens, SPACE, items).ok());
        let mut batch = Batch::default();
        applied.store(1, &mut batch);
        for (_, key) in batch.deletes {
            self.0.remove(&key);
        }
        // How what arrives for texts is packed depends on what came together.
        for (_, key, value) in batch.puts.into_iter().filter(|(_, key, _)| !matches!(key.get(4), Some(4 | 5))) {
            self.0.insert(key, value);
        }
    }

    fn shown(&self, path: &Path) -> Option<Json> {
        match self.run(|lens| tree(lens, SPACE, path).ok()).value(path) {
            Some(Body::Json(json)) => Some(json),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    fn rivals(&self, path: &Path) -> usize {
        self.run(|lens| tree(lens, SPACE, path).ok()).rivals(path).len()
    }
}

/// What a peer does at its own place in the story.
#[derive(Clone, Debug)]
enum Step {
    /// It writes something, chosen by the numbers.
    Write { peer: usize, what: u8, number: u8, index: Index },
    /// It hears so many entries of another's log.
    Hear { peer: usize, of: usize, count: usize },
}

fn any_steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let write = (0..PEERS, any::<u8>(), any::<u8>(), any::<Index>())
        .prop_map(|(peer, what, number, index)| Step::Write { peer, what, number, index });
    let hear = (0..PEERS, 0..PEERS, 1usize..6).prop_map(|(peer, of, count)| Step::Hear { peer, of, count });
    prop::collection::vec(prop_oneof![3 => write, 2 => hear], 1..most)
}

/// One write and what its author had heard of: how much of each log.
#[derive(Clone, Debug)]
struct Event {
    peer: usize,
    seq: usize,
    clock: u64,
    seen: [usize; PEERS],
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Add(i64),
    Put(Json),
    Delete,
    /// Members added and removed.
    Members(BTreeSet<u8>, BTreeSet<u8>),
    Nothing,
}

/// Peers, what they have heard, and what happened.
struct Story {
    path: Path,
    merge: Merge,
    stores: Vec<Store>,
    heard: [[usize; PEERS]; PEERS],
    logs: Vec<Vec<Vec<Item>>>,
    events: Vec<Event>,
}

impl Story {
    fn new(merge: Merge) -> Story {
        Story {
            path: Path::new(["a", "b"]).unwrap(),
            merge,
            stores: vec![Store::default(); PEERS],
            heard: [[0; PEERS]; PEERS],
            logs: vec![Vec::new(); PEERS],
            events: Vec::new(),
        }
    }

    /// Writes, unless the change is refused or changes nothing.
    fn write(&mut self, peer: usize, change: &Change, what: What) -> bool {
        self.write_as(peer, change, what, Some(self.merge))
    }

    fn write_as(&mut self, peer: usize, change: &Change, what: What, merge: Option<Merge>) -> bool {
        let (manner, policies) = (Manner { merge, seen: None, client: None }, Policies::default());
        let wish = Wish { manner: &manner, policies: &policies };
        let located = self.stores[peer].run(|lens| locate(lens, SPACE, &self.path).ok());
        let Ok(planned) = plan(&self.path, &located, change, wish) else { return false };
        if planned.ops.is_empty() {
            return false;
        }
        // Later than everything its author has heard of; what is written at once may carry the same time.
        let clock = self.known(peer).iter().map(|event| event.clock).max().unwrap_or(0) + 1;
        let list =
            planned.ops.iter().map(|op| Op::decode(&op.encode()).expect("what is planned can be read")).collect();
        let ops = Ops { clock, id: String::new(), list };
        let seq = self.logs[peer].len();
        let items = ops.into_items(agent(peer), seq as u64);
        self.stores[peer].apply(&items);
        self.events.push(Event { peer, seq, clock, seen: self.heard[peer], what });
        self.logs[peer].push(items);
        self.heard[peer][peer] += 1;
        true
    }

    fn hear(&mut self, peer: usize, of: usize, count: usize) {
        let from = self.heard[peer][of];
        let until = (from + count).min(self.logs[of].len());
        if peer != of && from < until {
            let items: Vec<Item> = self.logs[of][from..until].concat();
            self.stores[peer].apply(&items);
            self.heard[peer][of] = until;
        }
    }

    /// The events a peer has heard of.
    fn known(&self, peer: usize) -> Vec<&Event> {
        self.events.iter().filter(|event| event.seq < self.heard[peer][event.peer]).collect()
    }

    /// Whether a peer has heard of everything that those it has heard of had. If not, something that was replaced may
    /// show until that comes, too.
    fn is_caught_up(&self, peer: usize) -> bool {
        let known = self.known(peer);
        known.iter().all(|event| (0..PEERS).all(|of| event.seen[of] <= self.heard[peer][of]))
    }

    /// Hears whatever those it has heard of had.
    fn catch_up(&mut self, peer: usize) {
        while !self.is_caught_up(peer) {
            let seen: Vec<[usize; PEERS]> = self.known(peer).iter().map(|event| event.seen).collect();
            for of in 0..PEERS {
                let until = seen.iter().map(|seen| seen[of]).max().unwrap_or(0);
                self.hear(peer, of, until.saturating_sub(self.heard[peer][of]));
            }
        }
    }

    fn caught_up(&self) -> Vec<usize> {
        (0..PEERS).filter(|peer| self.is_caught_up(*peer)).collect()
    }

    /// Everybody hears everything; then rows must be the same everywhere, also where all of it arrives in other
    /// orders and portions, some of it twice.
    fn end(mut self, order: &[(usize, usize, bool)]) -> Store {
        for peer in 0..PEERS {
            for of in 0..PEERS {
                self.hear(peer, of, usize::MAX / 2);
            }
        }
        assert_eq!(self.stores[0], self.stores[1]);
        assert_eq!(self.stores[0], self.stores[2]);
        let mut other = Store::default();
        let mut next = [0; PEERS];
        let mut turns = order.iter().cycle();
        let mut twice = Vec::new();
        while let Some(open) = Some((0..PEERS).filter(|peer| next[*peer] < self.logs[*peer].len()).collect::<Vec<_>>())
            .filter(|open| !open.is_empty())
        {
            let (pick, count, again) = turns.next().unwrap();
            let peer = open[pick % open.len()];
            let until = (next[peer] + count).min(self.logs[peer].len());
            let items = self.logs[peer][next[peer]..until].concat();
            other.apply(&items);
            if *again {
                other.apply(&items);
                twice.push(items);
            }
            next[peer] = until;
        }
        for items in &twice {
            other.apply(items);
        }
        assert_eq!(self.stores[0], other);
        other
    }
}

fn agent(peer: usize) -> Agent {
    // Not in the order of the peers.
    Agent([[2, 3, 1][peer]; 10])
}

fn sees(later: &Event, earlier: &Event) -> bool {
    earlier.seq < later.seen[earlier.peer]
}

fn any_order() -> impl Strategy<Value = Vec<(usize, usize, bool)>> {
    prop::collection::vec((any::<usize>(), 1usize..5, any::<bool>()), 8)
}

/// A counter by its definition: what was added and not deleted by somebody who saw it.
fn counter(events: &[&Event]) -> Option<i64> {
    let deleted = |event: &Event| events.iter().any(|other| other.what == What::Delete && sees(other, event));
    let standing: Vec<i64> = events
        .iter()
        .filter_map(|event| match event.what {
            What::Add(delta) if !deleted(event) => Some(delta),
            _ => None,
        })
        .collect();
    (!standing.is_empty()).then(|| standing.iter().sum())
}

/// The values of which nobody who wrote had seen them, the one shown first.
fn values(events: &[&Event]) -> Vec<Json> {
    let replaced = |event: &Event| events.iter().any(|other| sees(other, event));
    let mut standing: Vec<&&Event> =
        events.iter().filter(|event| event.what != What::Delete && !replaced(event)).collect();
    standing.sort_by_key(|event| std::cmp::Reverse((event.clock, agent(event.peer), event.seq)));
    let json = |event: &&&Event| if let What::Put(json) = &event.what { json.clone() } else { panic!("{event:?}") };
    standing.iter().map(json).collect()
}

/// A set by its definition: what was added, unless somebody who saw that removed it.
fn members(events: &[&Event]) -> BTreeSet<u8> {
    let mut standing = BTreeSet::new();
    for event in events {
        let What::Members(added, _) = &event.what else { continue };
        for member in added {
            let removes = |other: &&&Event| match &other.what {
                What::Members(_, removed) => removed.contains(member),
                What::Delete => true,
                _ => false,
            };
            if !events.iter().filter(removes).any(|other| sees(other, event)) {
                standing.insert(*member);
            }
        }
    }
    standing
}

fn texts(members: &BTreeSet<u8>) -> Json {
    let mut names: Vec<String> = members.iter().map(|member| json!(format!("m{member}")).to_string()).collect();
    names.sort();
    names.iter().map(|name| serde_json::from_str::<Json>(name).unwrap()).collect()
}

fn cases(few: u32) -> ProptestConfig {
    ProptestConfig::with_cases(if std::env::var_os("KITH_LONG").is_some() { few * 50 } else { few })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn counters_show_what_was_added_and_not_deleted(steps in any_steps(40), order in any_order()) {
        let mut story = Story::new(Merge::Counter);
        for step in steps {
            match step {
                Step::Hear { peer, of, count } => story.hear(peer, of, count),
                Step::Write { peer, what, number, .. } => {
                    story.catch_up(peer);
                    let number = i64::from(number) - 100;
                    let now = counter(&story.known(peer));
                    match what % 6 {
                        0 => drop(story.write(peer, &Change::Delete, What::Delete)),
                        1 | 2 => {
                            let what = What::Add(number - now.unwrap_or(0));
                            story.write(peer, &Change::Put(Body::Json(json!(number))), what);
                        }
                        _ => drop(story.write(peer, &Change::Increment(json!(number)), What::Add(number))),
                    }
                }
            }
            for peer in story.caught_up() {
                let shown = story.stores[peer].shown(&story.path);
                prop_assert_eq!(shown, counter(&story.known(peer)).map(|sum| json!(sum)));
            }
        }
        story.end(&order);
    }

    #[test]
    fn every_concurrent_value_is_kept_until_somebody_who_saw_it_writes(steps in any_steps(40), order in any_order()) {
        let mut story = Story::new(Merge::Mv);
        for (turn, step) in steps.into_iter().enumerate() {
            match step {
                Step::Hear { peer, of, count } => story.hear(peer, of, count),
                Step::Write { peer, what, .. } => {
                    story.catch_up(peer);
                    let value = json!({ "turn": turn });
                    match what % 6 {
                        0 => drop(story.write(peer, &Change::Delete, What::Delete)),
                        _ => drop(story.write(peer, &Change::Put(Body::Json(value.clone())), What::Put(value))),
                    }
                }
            }
            for peer in story.caught_up() {
                let expected = values(&story.known(peer));
                prop_assert_eq!(story.stores[peer].shown(&story.path), expected.first().cloned());
                prop_assert_eq!(story.stores[peer].rivals(&story.path), expected.len().saturating_sub(1));
            }
        }
        story.end(&order);
    }

    #[test]
    fn sets_hold_what_was_added_and_not_removed_by_somebody_who_saw_it(
        steps in any_steps(40),
        order in any_order(),
    ) {
        let mut story = Story::new(Merge::Set);
        for step in steps {
            match step {
                Step::Hear { peer, of, count } => story.hear(peer, of, count),
                Step::Write { peer, what, number, index } => {
                    story.catch_up(peer);
                    let now = members(&story.known(peer));
                    let member = index.index(5) as u8;
                    let name = |member: u8| json!(format!("m{member}"));
                    let one = BTreeSet::from([member]);
                    match what % 5 {
                        0 => drop(story.write(peer, &Change::Delete, What::Delete)),
                        1 => {
                            let wanted: BTreeSet<u8> = (0..5).filter(|bit| number & (1 << bit) != 0).collect();
                            let change = Change::Put(Body::Json(texts(&wanted)));
                            let what = What::Members(&wanted - &now, &now - &wanted);
                            story.write(peer, &change, what);
                        }
                        2 => {
                            let gone = &one & &now;
                            let change = Change::Set { add: vec![], remove: vec![name(member)] };
                            story.write(peer, &change, What::Members(BTreeSet::new(), gone));
                        }
                        _ => {
                            let change = Change::Set { add: vec![name(member)], remove: vec![] };
                            story.write(peer, &change, What::Members(one, BTreeSet::new()));
                        }
                    }
                }
            }
            for peer in story.caught_up() {
                let expected = members(&story.known(peer));
                let shown = story.stores[peer].shown(&story.path).unwrap_or_else(|| json!([]));
                prop_assert_eq!(shown, texts(&expected));
            }
        }
        story.end(&order);
    }

    #[test]
    fn edits_of_lists_do_what_they_say_and_nothing_is_lost_or_doubled(steps in any_steps(40), order in any_order()) {
        let mut story = Story::new(Merge::List);
        let mut inserted = 0u64;
        for step in steps {
            match step {
                Step::Hear { peer, of, count } => story.hear(peer, of, count),
                Step::Write { peer, what, number, index } => {
                    let old = story.stores[peer].shown(&story.path);
                    let mut list = old.as_ref().and_then(Json::as_array).cloned().unwrap_or_default();
                    let at = index.index(list.len() + 1);
                    let mut fresh = || {
                        inserted += 1;
                        json!(inserted)
                    };
                    let patch = match what % 6 {
                        0 if at < list.len() => {
                            list.remove(at);
                            json!([{ "op": "remove", "path": format!("/{at}") }])
                        }
                        1 if at < list.len() => {
                            list[at] = fresh();
                            json!([{ "op": "replace", "path": format!("/{at}"), "value": list[at] }])
                        }
                        2 if at < list.len() => {
                            let to = usize::from(number) % list.len();
                            let moved = list.remove(at);
                            list.insert(to, moved);
                            json!([{ "op": "move", "from": format!("/{at}"), "path": format!("/{to}") }])
                        }
                        _ => {
                            let values: Vec<Json> = (0..1 + number % 3).map(|_| fresh()).collect();
                            let step = |(n, value): (usize, &Json)| {
                                json!({ "op": "add", "path": format!("/{}", at + n), "value": value })
                            };
                            let patch = values.iter().enumerate().map(step).collect();
                            list.splice(at..at, values);
                            patch
                        }
                    };
                    let wrote = match &old {
                        None => story.write(peer, &Change::Put(Body::Json(json!(list))), What::Nothing),
                        Some(_) => story.write_as(peer, &Change::JsonPatch(patch), What::Nothing, None),
                    };
                    let shown = story.stores[peer].shown(&story.path);
                    prop_assert_eq!(shown, if wrote { Some(json!(list)) } else { old });
                }
            }
        }
        let path = story.path.clone();
        let last = story.end(&order).shown(&path);
        let list = last.as_ref().and_then(Json::as_array).cloned().unwrap_or_default();
        let distinct: BTreeSet<String> = list.iter().map(Json::to_string).collect();
        prop_assert_eq!(distinct.len(), list.len());
    }

    #[test]
    fn kinds_may_meet_at_one_place_and_below_it(
        writes in prop::collection::vec((0..PEERS, 0u8..9, 0u8..4, 0u8..3, any::<u8>()), 1..20),
        hears in prop::collection::vec((0..PEERS, 0..PEERS, 1usize..4), 20),
        order in any_order(),
    ) {
        let mut story = Story::new(Merge::Lww);
        let places = ["a/b", "a", "a/b/c"].map(|place| Path::new(place.split('/')).unwrap());
        for ((peer, what, place, number, _), (hears, of, count)) in writes.into_iter().zip(hears) {
            story.path = places[usize::from(place) % 3].clone();
            let (change, merge) = match what {
                0 => (Change::Delete, None),
                1 => (Change::Put(Body::Json(json!(number))), Some(Merge::Counter)),
                2 => (Change::Put(Body::Json(json!({ "x": number }))), Some(Merge::Mv)),
                3 => (Change::Put(Body::Json(json!([number, "s"]))), Some(Merge::Set)),
                4 => (Change::Put(Body::Json(json!([number, "l"]))), Some(Merge::List)),
                5 => (Change::Put(Body::Json(json!(number))), Some(Merge::Lww)),
                6 => (Change::Put(Body::Json(json!({ "c": number }))), Some(Merge::Lww)),
                7 => (Change::Increment(json!(1)), None),
                _ => (Change::Set { add: vec![json!(number)], remove: vec![] }, None),
            };
            story.write_as(peer, &change, What::Nothing, merge);
            story.hear(hears, of, count);
        }
        story.end(&order);
    }

    #[test]
    fn any_bytes_of_a_kind_are_taken_or_refused_and_change_rows_the_same_in_any_order(
        ops in prop::collection::vec((3u8..12, prop::collection::vec(any::<u8>(), 0..24), 0..PEERS, 0u8..4), 1..12),
        order in any_order(),
    ) {
        let mut story = Story::new(Merge::Lww);
        for (tag, body, peer, place) in ops {
            let place = ["a", "a/b", "a/1", "a/\"m\""][usize::from(place)];
            let leaf = Leaf::Kind { tag, body };
            let bytes = Op::new(Path::new(place.split('/')).unwrap(), leaf).encode();
            let Ok(op) = Op::decode(&bytes) else { continue };
            prop_assert_eq!(op.encode(), bytes);
            let ops = Ops { clock: 5, id: String::new(), list: vec![op] };
            let seq = story.logs[peer].len() as u64;
            let items = ops.into_items(agent(peer), seq);
            story.stores[peer].apply(&items);
            story.logs[peer].push(items);
            story.heard[peer][peer] += 1;
        }
        let store = story.end(&order);
        for value in store.0.values() {
            let row = ViewRow::decode(value);
            prop_assert_eq!(row.map(|row| row.encode()), Some(value.clone()));
        }
    }
}

/// Types letters one by one at a place that moves on with them, or stays.
fn type_in(story: &mut Story, peer: usize, letters: &str, at: usize, forwards: bool) {
    for (number, letter) in letters.chars().enumerate() {
        let place = if forwards { at + number } else { at };
        let patch = json!([{ "op": "add", "path": format!("/{place}"), "value": letter.to_string() }]);
        assert!(story.write_as(peer, &Change::JsonPatch(patch), What::Nothing, None));
    }
}

#[test]
fn runs_typed_at_one_spot_at_once_stay_whole() {
    for (forwards, backwards) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut story = Story::new(Merge::List);
        assert!(story.write(0, &Change::Put(Body::Json(json!(["<", ">"]))), What::Nothing));
        for peer in 1..PEERS {
            story.hear(peer, 0, 9);
        }
        type_in(&mut story, 0, "abcd", 1, forwards);
        type_in(&mut story, 1, "1234", 1, backwards);
        type_in(&mut story, 2, "WXYZ", 1, forwards);
        let path = story.path.clone();
        let shown = story.end(&[(0, 3, false)]).shown(&path).unwrap();
        let text: String = shown.as_array().unwrap().iter().map(|letter| letter.as_str().unwrap()).collect();
        let order = |run: &str, forwards| if forwards { run.to_owned() } else { run.chars().rev().collect::<String>() };
        for run in [order("abcd", forwards), order("1234", backwards), order("WXYZ", forwards)] {
            assert!(text.contains(&run), "{run} was torn apart in {text}");
        }
        assert_eq!(text.len(), 14);
    }
}

#[test]
fn an_element_moved_twice_at_once_is_there_once() {
    let mut story = Story::new(Merge::List);
    story.write(0, &Change::Put(Body::Json(json!(["a", "b", "c", "d"]))), What::Nothing);
    for peer in 1..PEERS {
        story.hear(peer, 0, 9);
    }
    let shift = |from: usize, to: usize| {
        Change::JsonPatch(json!([{ "op": "move", "from": format!("/{from}"), "path": format!("/{to}") }]))
    };
    story.write_as(0, &shift(0, 3), What::Nothing, None);
    story.write_as(1, &shift(0, 1), What::Nothing, None);
    let remove = Change::JsonPatch(json!([{ "op": "remove", "path": "/3" }]));
    story.write_as(2, &remove, What::Nothing, None);
    let path = story.path.clone();
    let shown = story.end(&[(0, 1, true)]).shown(&path);
    assert_eq!(shown, Some(json!(["b", "a", "c"])));
}

#[test]
fn a_list_of_ten_thousand_elements_can_be_made_read_and_edited() {
    let mut story = Story::new(Merge::List);
    let all: Vec<Json> = (0..10_000).map(|n| json!(n)).collect();
    assert!(story.write(0, &Change::Put(Body::Json(json!(all))), What::Nothing));
    let patch = json!([
        { "op": "add", "path": "/5000", "value": "new" },
        { "op": "remove", "path": "/0" },
        { "op": "move", "from": "/9000", "path": "/10" },
    ]);
    assert!(story.write_as(0, &Change::JsonPatch(patch), What::Nothing, None));
    let shown = story.stores[0].shown(&story.path).unwrap();
    assert_eq!(
        (&shown[0], &shown[10], &shown[5000], shown.as_array().unwrap().len()),
        (&json!(1), &json!(9000), &json!("new"), 10_000)
    );
    let more = json!([{ "op": "add", "path": "/-", "value": 1 }]);
    assert!(!story.write_as(0, &Change::JsonPatch(more), What::Nothing, None), "the limit is kept");
}

#[test]
fn a_list_stays_readable_however_many_elements_came_and_went() {
    let mut story = Story::new(Merge::List);
    for round in 0..3 {
        let all: Vec<Json> = (0..9_000).map(|n| json!(format!("{round}/{n}"))).collect();
        assert!(story.write(0, &Change::Put(Body::Json(json!(all))), What::Nothing));
        assert!(story.write(0, &Change::Put(Body::Json(json!(["left"]))), What::Nothing));
    }
    assert!(story.stores[0].0.len() > 20_000);
    assert_eq!(story.stores[0].shown(&story.path), Some(json!(["left"])));
    assert!(story.write(0, &Change::Delete, What::Nothing));
    assert_eq!(story.stores[0].shown(&story.path), None);
}
