//! How far writes have travelled: by name, and since when.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{Body, Change, Refusal, Reply, Request};
use kith_core::path::Path;
use kith_core::sim::Story;
use kith_core::version::Version;
use serde_json::Value as Json;

const SETTLE: u64 = 600_000;
const PATIENCE: u64 = 10_000;

fn spread(story: &mut Story, node: usize, versions: Vec<Version>) -> Result<Json, String> {
    match story.world.ask_for(node, Request::Spread { space: story.space_ref(), versions }, PATIENCE) {
        Some(Reply::Document(document)) => Ok(document),
        other => Err(format!("no document: {other:?}")),
    }
}

#[test]
fn it_is_known_who_keeps_a_write_and_since_when_through_restarts() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 3)?;
        story.world.divide(|node| (node == 2) as u64);
        let wrote = story.world.now();
        let write = Request::Write {
            space: story.space_ref(),
            path: Path::new(["a"]).unwrap(),
            change: Change::Put(Body::Json(1.into())),
            conditions: Default::default(),
            manner: Default::default(),
            id: None,
            purge: false,
        };
        let Some(Reply::Written { version, .. }) = story.world.ask_for(0, write, PATIENCE) else {
            return Err("the write was not answered".to_owned());
        };
        let version = version[0];
        story.world.run(20_000);
        let one = spread(&mut story, 0, vec![version])?;
        let [holder] = one["items"][0]["peers"].as_array().unwrap().as_slice() else {
            return Err(format!("held by {one}"));
        };
        let since = holder["since"].as_u64().ok_or("it is not said since when")?;
        if one["items"][0]["state"] != "peers=1" || since < wrote || since > story.world.now() {
            return Err(format!("{one} at {}", story.world.now()));
        }
        let whole = spread(&mut story, 0, Vec::new())?;
        let behind: Vec<_> =
            whole["peers"].as_array().unwrap().iter().filter(|peer| peer["stored"] != whole["entries"]).collect();
        if behind.len() != 1 || whole["pending"] != 0 || whole["state"] != "peers=1" {
            return Err(format!("the space: {whole}"));
        }
        story.crash(0);
        story.world.start(0);
        story.world.run(1_000);
        if spread(&mut story, 0, vec![version])? != one {
            return Err("a restart made it forget".to_owned());
        }
        // The third hears of it, later; for the reader of a write, its author keeps it.
        story.world.unite();
        story.settle(SETTLE)?;
        let both = spread(&mut story, 0, vec![version])?;
        let late = both["items"][0]["peers"].as_array().unwrap().iter().filter_map(|peer| peer["since"].as_u64()).max();
        if both["items"][0]["state"] != "peers=2" || late <= Some(since) {
            return Err(format!("in the end: {both}"));
        }
        if spread(&mut story, 2, vec![version])?["items"][0]["peers"].as_array().unwrap().is_empty() {
            return Err("its author is not named".to_owned());
        }
        let unknown = Version { seq: 1 << 40, ..version };
        match story.world.ask_for(0, Request::Spread { space: story.space_ref(), versions: vec![unknown] }, PATIENCE) {
            Some(Reply::Refused(Refusal::VersionUnknown { .. })) => Ok(()),
            other => Err(format!("an unknown version gave {other:?}")),
        }
    });
}
