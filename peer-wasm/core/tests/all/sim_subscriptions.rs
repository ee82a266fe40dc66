//! Subscribers through crashes and storms: whatever ends a stream, going on from the last version or cursor gives
//! all that happened, and nothing twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{Body, ListQuery, Reply, Request, RequestId, Role, SubscriptionId, Target, Update};
use kith_core::path::Path;
use kith_core::sim::{NodeId, Outcome, Story, Weather};
use kith_core::version::Version;
use serde_json::Value as Json;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Value,
    List,
    Changes,
}

/// A program that follows something at one peer and keeps what it is told.
struct Follower {
    node: NodeId,
    what: What,
    life: u64,
    asked: Option<RequestId>,
    open: Option<SubscriptionId>,
    value: Option<Body>,
    items: BTreeMap<String, Option<Body>>,
    version: Option<Vec<Version>>,
    cursor: Option<String>,
    times: BTreeMap<String, usize>,
    updates: usize,
}

impl Follower {
    fn new(node: NodeId, what: What) -> Follower {
        Follower {
            node,
            what,
            life: 0,
            asked: None,
            open: None,
            value: None,
            items: BTreeMap::new(),
            version: None,
            cursor: None,
            times: BTreeMap::new(),
            updates: 0,
        }
    }

    fn target(&self, story: &Story) -> Target {
        let space = story.space_ref();
        let query = ListQuery { start: None, end: None, limit: 1000, reverse: false, values: true };
        match self.what {
            What::Value => Target::Value { space, path: Path::root(), parents: self.version.clone() },
            What::List => {
                let prefix = Path::new(["log"]).unwrap();
                Target::List { space, prefix, query, parents: self.version.clone() }
            }
            What::Changes => Target::Changes { space, since: self.cursor.clone() },
        }
    }

    /// Does what a program does: subscribe, take updates, begin again where a stream ended.
    fn go_on(&mut self, story: &mut Story) -> Result<(), String> {
        if !story.world.is_up(self.node) || self.life != story.world.life(self.node) {
            (self.asked, self.open, self.life) = (None, None, story.world.life(self.node));
        }
        if self.open.is_none() {
            match self.asked {
                None => self.asked = story.world.ask(self.node, Request::Subscribe(self.target(story))),
                Some(id) => match story.world.reply(self.node, id) {
                    Some(Reply::Subscribed(open)) => {
                        (self.asked, self.open) = (None, Some(open));
                        story.world.pull(self.node, open);
                    }
                    Some(Reply::Refused(kith_core::api::Refusal::VersionUnknown { missing })) => {
                        return Err(format!("peer {} forgot what it had told: {missing:?}", self.node));
                    }
                    Some(_) => self.asked = None,
                    None => {}
                },
            }
        }
        while let Some(open) = self.open {
            let Some(update) = story.world.update(self.node, open) else { break };
            self.take(update)?;
            if self.open.is_some() {
                story.world.pull(self.node, open);
                story.world.run(5);
            }
        }
        Ok(())
    }

    fn take(&mut self, update: Update) -> Result<(), String> {
        self.updates += 1;
        match update {
            Update::Value { body, version, parents, .. } => {
                self.follows(&parents)?;
                (self.value, self.version) = (body, Some(version));
            }
            Update::Items { items, removed, version, parents, whole } => {
                if whole {
                    self.items.clear();
                } else {
                    self.follows(&parents)?;
                }
                removed.iter().for_each(|key| drop(self.items.remove(key)));
                self.items.extend(items.into_iter().map(|item| (item.key, item.value)));
                self.version = Some(version);
            }
            Update::Changes(changes) => {
                for change in changes {
                    *self.times.entry(change.path.to_string()).or_default() += 1;
                    self.cursor = Some(change.cursor);
                }
            }
            Update::End(_) => self.open = None,
            other => return Err(format!("an update of another kind: {other:?}")),
        }
        Ok(())
    }

    fn follows(&self, parents: &[Version]) -> Result<(), String> {
        match &self.version {
            Some(version) if version != parents => {
                Err(format!("an update follows {parents:?}, but {version:?} was told before"))
            }
            _ => Ok(()),
        }
    }

    fn check(&self, story: &mut Story) -> Result<(), String> {
        let (tree, version) = story.tree(self.node)?;
        match self.what {
            What::Value => {
                let told = (self.value.clone(), self.version.clone());
                let right = (Some(Body::Json(tree)), Some(version));
                if told != right { Err(format!("told {told:?}, but it is {right:?}")) } else { Ok(()) }
            }
            What::List => {
                let told: BTreeMap<String, Json> = self
                    .items
                    .iter()
                    .filter_map(|(key, body)| match body {
                        Some(Body::Json(json)) => Some((key.clone(), json.clone())),
                        _ => None,
                    })
                    .collect();
                let there = tree.get("log").and_then(Json::as_object).cloned().unwrap_or_default();
                let right: BTreeMap<String, Json> = there.into_iter().collect();
                if told != right { Err(format!("told {told:?}, but it is {right:?}")) } else { Ok(()) }
            }
            What::Changes => {
                for promise in story.ledger.promises.iter().filter(|p| p.own_path && p.outcome == Outcome::Kept) {
                    let times = self.times.get(&promise.path).copied().unwrap_or(0);
                    if times != 1 {
                        return Err(format!("peer {} told {times} times of {promise:?}", self.node));
                    }
                }
                Ok(())
            }
        }
    }
}

fn follow(seed: u64, weather: Weather, steps: usize) -> Result<(), String> {
    let mut story = Story::begin(seed, 3)?;
    for node in 1..3 {
        story.ask_to_join(node, Role::Writer);
    }
    story.settle(300_000)?;
    story.world.weather = weather;
    let mut followers: Vec<Follower> = [What::Value, What::List, What::Changes]
        .into_iter()
        .flat_map(|what| (0..3).map(move |node| Follower::new(node, what)))
        .collect();
    for _ in 0..steps {
        story.adventure();
        for follower in &mut followers {
            follower.go_on(&mut story)?;
        }
    }
    story.calm();
    story.settle(900_000)?;
    for _ in 0..20 {
        for follower in &mut followers {
            follower.go_on(&mut story)?;
        }
        story.world.run(1_000);
    }
    story.collect();
    for follower in &followers {
        follower
            .check(&mut story)
            .map_err(|error| format!("{:?} at peer {}: {error}", follower.what, follower.node))?;
    }
    let updates: usize = followers.iter().map(|follower| follower.updates).sum();
    if updates > followers.len() { Ok(()) } else { Err("hardly anything was told".to_owned()) }
}

#[test]
fn subscribers_hear_everything_once_through_crashes_and_partitions() {
    for_each_seed(10, 1000, |seed| follow(seed, Weather::FAIR, 60));
}

#[test]
fn subscribers_hear_everything_once_through_storms() {
    for_each_seed(10, 1000, |seed| follow(seed, Weather::STORM, 60));
}
