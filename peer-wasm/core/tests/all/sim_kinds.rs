//! Values of every kind through bad weather: peers end up alike, and nothing that was promised is lost or doubled.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{Body, Change, Manner, Merge, Preconditions, Reply, Request, RequestId, Role};
use kith_core::path::Path;
use kith_core::sim::{Story, Weather};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// How long peers may take to become alike once everything works again, in milliseconds of virtual time.
const SETTLE: u64 = 900_000;

/// A write that must happen exactly once if it was promised.
struct Promise {
    node: usize,
    path: &'static str,
    change: Change,
    id: String,
    what: Json,
    waiting: Option<RequestId>,
    kept: bool,
}

struct Kinds {
    story: Story,
    promises: Vec<Promise>,
    number: u64,
}

impl Kinds {
    fn ask(
        &mut self,
        node: usize,
        path: &str,
        change: Change,
        merge: Option<Merge>,
        id: Option<String>,
    ) -> Option<RequestId> {
        let space = self.story.space_ref();
        let path = Path::new(path.split('/')).unwrap();
        let manner = Manner { merge, seen: None, client: None };
        let conditions = Preconditions::default();
        self.story.world.ask(node, Request::Write { space, path, change, conditions, manner, id, purge: false })
    }

    /// Something that only adds: to a counter, a set or a list that nothing else disturbs.
    fn promise(&mut self, node: usize) {
        self.number += 1;
        let number = self.number;
        let (path, change) = match number % 3 {
            0 => ("sure/count", Change::Increment(json!(number))),
            1 => ("sure/set", Change::Set { add: vec![json!(number)], remove: vec![] }),
            _ => ("sure/list", Change::JsonPatch(json!([{ "op": "add", "path": "/-", "value": number }]))),
        };
        let id = format!("k{number}");
        self.promises.push(Promise { node, path, change, id, what: json!(number), waiting: None, kept: false });
        let last = self.promises.len() - 1;
        self.try_promise(last);
    }

    fn try_promise(&mut self, at: usize) {
        let Promise { node, path, change, id, .. } = &self.promises[at];
        let (node, path, change, id) = (*node, *path, change.clone(), id.clone());
        self.promises[at].waiting = self.ask(node, path, change, None, Some(id));
    }

    /// Something that changes, replaces or deletes a value of any kind.
    fn disturb(&mut self, node: usize) {
        self.number += 1;
        let number = self.number;
        let dice = |kinds: &mut Kinds, below| kinds.story.world.dice.below(below);
        let place = dice(self, 4);
        let path = ["wild/a", "wild/b", "wild/b/c", "wild"][place as usize];
        let small = dice(self, 5);
        let (change, merge) = match dice(self, 12) {
            0 => (Change::Delete, None),
            1 => (Change::Put(Body::Json(json!(number))), Some(Merge::Counter)),
            2 => (Change::Put(Body::Json(json!({ "by": [node, number] }))), Some(Merge::Mv)),
            3 => (Change::Put(Body::Json(json!([small, "s"]))), Some(Merge::Set)),
            4 => (Change::Put(Body::Json(json!([number, small, "l"]))), Some(Merge::List)),
            5 => (Change::Put(Body::Json(json!(number))), Some(Merge::Lww)),
            6 => (Change::Put(Body::Json(json!({ "c": number }))), None),
            7 => (Change::Increment(json!(small)), None),
            8 => (Change::Set { add: vec![json!(small)], remove: vec![json!(small + 1)] }, None),
            9 => (Change::JsonPatch(json!([{ "op": "move", "from": "/0", "path": "/1" }])), None),
            10 => (Change::JsonPatch(json!([{ "op": "remove", "path": "/0" }])), None),
            _ => (Change::JsonPatch(json!([{ "op": "add", "path": "/0", "value": number }])), None),
        };
        self.ask(node, path, change, merge, None);
    }

    fn collect(&mut self) {
        self.story.collect();
        for promise in &mut self.promises {
            let Some(reply) = promise.waiting.and_then(|id| self.story.world.reply(promise.node, id)) else { continue };
            promise.waiting = None;
            promise.kept |= matches!(reply, Reply::Written { .. });
        }
    }

    fn adventure(&mut self) {
        let all: Vec<usize> = self.story.members.iter().map(|(node, _)| *node).collect();
        let node = *self.story.world.dice.pick(&all).unwrap();
        match self.story.world.dice.below(10) {
            0..=3 => self.promise(node),
            4..=6 => self.disturb(node),
            7 => {
                self.collect();
                let delay = self.story.world.dice.within((100, 60_000));
                self.story.crash(node);
                for promise in self.promises.iter_mut().filter(|promise| promise.node == node) {
                    promise.waiting = None;
                }
                self.story.world.start_after(node, delay);
            }
            8 => {
                let (parts, salt) = (1 + self.story.world.dice.below(3), self.story.world.dice.number());
                self.story.world.divide(|node| (node as u64).wrapping_mul(salt | 1).rotate_left(17) % parts);
            }
            _ => {
                self.story.world.unite();
                self.story.world.weather =
                    if self.story.world.dice.once_in(2) { Weather::FAIR } else { Weather::STORM };
            }
        }
        let pause = self.story.world.dice.within((0, 3_000));
        self.story.world.run(pause);
        self.collect();
    }

    /// Everything that was promised is there once, and nothing else.
    fn check(&mut self) -> Result<(), String> {
        let (tree, _) = self.story.tree(0)?;
        let sure = |path: &str| tree.pointer(&format!("/{path}")).cloned().unwrap_or(Json::Null);
        let kept = |path: &str| -> Vec<u64> {
            let kept = self.promises.iter().filter(|promise| promise.kept && promise.path == path);
            kept.filter_map(|promise| promise.what.as_u64()).collect()
        };
        let sum: u64 = kept("sure/count").iter().sum();
        if sum > 0 && sure("sure/count") != json!(sum) {
            return Err(format!("the counter shows {} instead of {sum}", sure("sure/count")));
        }
        for path in ["sure/set", "sure/list"] {
            let shown = sure(path).as_array().cloned().unwrap_or_default();
            let mut times: BTreeMap<u64, usize> = BTreeMap::new();
            shown.iter().filter_map(Json::as_u64).for_each(|number| *times.entry(number).or_default() += 1);
            if let Some(number) = kept(path).iter().find(|number| times.get(number) != Some(&1)) {
                return Err(format!("{path} holds {number} {:?} times: {shown:?}", times.get(number)));
            }
            if times.len() != kept(path).len() {
                return Err(format!("{path} holds what nobody was promised: {shown:?}"));
            }
        }
        Ok(())
    }
}

#[test]
fn values_of_every_kind_become_alike_and_keep_what_was_promised() {
    for_each_seed(6, 2000, |seed| {
        let peers = 4;
        let mut kinds = Kinds { story: Story::begin(seed, peers)?, promises: Vec::new(), number: 0 };
        let made = [("sure/count", json!(0), Merge::Counter), ("sure/list", json!([]), Merge::List)];
        for (path, value, merge) in made {
            kinds.ask(0, path, Change::Put(Body::Json(value)), Some(merge), None);
        }
        for node in 1..peers {
            kinds.story.ask_to_join(node, Role::Writer);
        }
        kinds.story.settle(300_000)?;
        for _ in 0..60 {
            kinds.adventure();
        }
        kinds.story.calm();
        kinds.story.settle(SETTLE)?;
        // Who got no answer asks again, under the same id, until there is one.
        for _ in 0..20 {
            kinds.collect();
            for at in 0..kinds.promises.len() {
                if !kinds.promises[at].kept && kinds.promises[at].waiting.is_none() {
                    kinds.try_promise(at);
                }
            }
            kinds.story.world.run(5_000);
            kinds.collect();
        }
        kinds.story.settle(SETTLE)?;
        if let Some(promise) = kinds.promises.iter().find(|promise| !promise.kept) {
            return Err(format!("{} was never answered with success", promise.id));
        }
        kinds.check()
    });
}
