//! Moves, and values of every kind below what is moved, through bad weather: peers end up alike, nothing goes into itself,
//! and nothing is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{
    Body, Change, Manner, Merge, Preconditions, Refusal, Reply, Request, RequestId, Role, TextChange, TextEdit,
};
use kith_core::document::ViewRow;
use kith_core::path::Path;
use kith_core::sim::{Story, Weather};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// How long peers may take to become alike once everything works again, in milliseconds of virtual time.
const SETTLE: u64 = 900_000;
const PEERS: usize = 4;

/// Something that was put somewhere and never changed or deleted, only moved, by itself or with what it is in.
struct Treasure {
    node: usize,
    value: String,
    id: String,
    path: Path,
    waiting: Option<RequestId>,
    kept: bool,
}

struct Moving {
    story: Story,
    treasures: Vec<Treasure>,
    number: u64,
    moved: usize,
    asked: Vec<(usize, RequestId)>,
}

impl Moving {
    fn begin(seed: u64) -> Result<Moving, String> {
        let mut story = Story::begin(seed, PEERS)?;
        for node in 1..PEERS {
            story.ask_to_join(node, Role::Writer);
        }
        story.settle(300_000)?;
        Ok(Moving { story, treasures: Vec::new(), number: 0, moved: 0, asked: Vec::new() })
    }

    fn below(&mut self, end: u64) -> u64 {
        self.story.world.dice.below(end)
    }

    /// A path of one to three folders.
    fn any_place(&mut self) -> Path {
        let depth = 1 + self.below(3);
        let names: Vec<&str> = (0..depth).map(|_| ["a", "b", "c"][self.below(3) as usize]).collect();
        Path::new(names).unwrap()
    }

    fn ask(&mut self, node: usize, request: Request) -> Option<RequestId> {
        self.story.world.ask(node, request)
    }

    fn write(&self, path: Path, change: Change, merge: Option<Merge>, id: Option<String>) -> Request {
        let (space, manner) = (self.story.space_ref(), Manner { merge, seen: None, client: None });
        Request::Write { space, path, change, conditions: Preconditions::default(), manner, id, purge: false }
    }

    /// Something is put into a folder under a name of its own.
    fn hide(&mut self, node: usize) {
        self.number += 1;
        let (value, id) = (format!("treasure {}", self.number), format!("t{}", self.number));
        let path = self.any_place().child(&format!("t{}", self.number)).unwrap();
        self.treasures.push(Treasure { node, value, id, path, waiting: None, kept: false });
        self.try_hide(self.treasures.len() - 1);
    }

    fn try_hide(&mut self, at: usize) {
        let Treasure { value, id, path, .. } = &self.treasures[at];
        let request = self.write(path.clone(), Change::Put(Body::Json(value.clone().into())), None, Some(id.clone()));
        self.treasures[at].waiting = self.ask(self.treasures[at].node, request);
    }

    fn move_something(&mut self, node: usize) {
        // Something in which there is, or was, something; to a place nearby, often one that is taken.
        let hidden: Vec<Path> = self.treasures.iter().map(|treasure| treasure.path.clone()).collect();
        let from = match self.story.world.dice.pick(&hidden).cloned() {
            Some(path) => {
                let depth = 1 + self.below(path.len() as u64 - 1) as usize;
                Path::new(path.segments()[..depth].to_vec()).unwrap()
            }
            None => self.any_place(),
        };
        let name = ["a", "b", "c", "d", "e", "a⑂2", "b⑂2"][self.below(7) as usize];
        let above = self.any_place().parent().unwrap();
        let to = above.child(name).unwrap();
        let from = if self.below(5) == 0 { to.parent().unwrap().child("a⑂2").unwrap() } else { from };
        let space = self.story.space_ref();
        let request = Request::Move { space, from, to, conditions: Preconditions::default(), id: None };
        if let Some(id) = self.ask(node, request) {
            self.asked.push((node, id));
        }
    }

    /// Values of all kinds, at names of their own, change.
    fn disturb(&mut self, node: usize) {
        self.number += 1;
        let number = self.number;
        let place = self.any_place();
        let (name, change, merge) = match self.below(9) {
            0 => ("count", Change::Put(Body::Json(json!(number))), Some(Merge::Counter)),
            1 => ("count", Change::Increment(json!(1)), None),
            2 => ("set", Change::Set { add: vec![json!(number % 5)], remove: vec![json!(number % 3)] }, None),
            3 => ("list", Change::Put(Body::Json(json!([number, "l"]))), Some(Merge::List)),
            4 => ("list", Change::JsonPatch(json!([{ "op": "add", "path": "/0", "value": number }])), None),
            5 => ("mv", Change::Put(Body::Json(json!({ "by": node, "n": number }))), Some(Merge::Mv)),
            6 | 7 => {
                let edit = TextEdit::Splices(vec![(0, 0, format!("{number} "))]);
                let whole = TextEdit::Whole(format!("text {number} "));
                let edit = if number.is_multiple_of(3) { whole } else { edit };
                ("text", Change::Text(TextChange { parents: None, edit, event: None }), Some(Merge::Text))
            }
            _ => ("list", Change::Delete, None),
        };
        let request = self.write(place.child(name).unwrap(), change, merge, None);
        self.ask(node, request);
    }

    fn collect(&mut self) {
        self.story.collect();
        for treasure in &mut self.treasures {
            let reply = treasure.waiting.and_then(|id| self.story.world.reply(treasure.node, id));
            let Some(reply) = reply else { continue };
            treasure.waiting = None;
            treasure.kept |= matches!(reply, Reply::Written { .. });
        }
        for (node, id) in std::mem::take(&mut self.asked) {
            match self.story.world.reply(node, id) {
                Some(Reply::Written { .. }) => self.moved += 1,
                Some(Reply::Refused(Refusal::NoSuchSpace)) => panic!("the space is gone"),
                Some(_) => {}
                None => self.asked.push((node, id)),
            }
        }
    }

    fn adventure(&mut self) {
        let node = self.below(PEERS as u64) as usize;
        match self.below(12) {
            0..=2 => self.hide(node),
            3..=6 => self.move_something(node),
            7 | 8 => self.disturb(node),
            9 => {
                self.collect();
                let delay = self.story.world.dice.within((100, 60_000));
                self.story.crash(node);
                self.asked.retain(|(of, _)| *of != node);
                for treasure in self.treasures.iter_mut().filter(|treasure| treasure.node == node) {
                    treasure.waiting = None;
                }
                self.story.world.start_after(node, delay);
            }
            10 => {
                let (parts, salt) = (1 + self.below(3), self.story.world.dice.number());
                self.story.world.divide(|node| (node as u64).wrapping_mul(salt | 1).rotate_left(17) % parts);
            }
            _ => {
                self.story.world.unite();
                self.story.world.weather = if self.below(2) == 0 { Weather::FAIR } else { Weather::STORM };
            }
        }
        let pause = self.story.world.dice.within((0, 3_000));
        self.story.world.run(pause);
        self.collect();
    }

    /// Everything that was hidden is there, once.
    fn check(&mut self) -> Result<(), String> {
        let (tree, _) = self.story.tree(0)?;
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        look(&tree, &mut found);
        for treasure in self.treasures.iter().filter(|treasure| treasure.kept) {
            let times = found.remove(&treasure.value).unwrap_or(0);
            if times != 1 {
                return Err(format!("{} is there {times} times: {tree}", treasure.value));
            }
        }
        Ok(())
    }
}

/// Lets time pass until all show the same; else says which rows differ.
fn settle(story: &mut Story) -> Result<(), String> {
    let Err(what) = story.settle(SETTLE) else { return Ok(()) };
    let rows = |story: &Story, node| -> BTreeMap<Vec<u8>, Vec<u8>> { story.rows(node).into_iter().collect() };
    let first = rows(story, 0);
    let mut lines = vec![what];
    for node in 1..PEERS {
        let other = rows(story, node);
        for key in first.keys().chain(other.keys()).filter(|key| first.get(*key) != other.get(*key)) {
            let row = |row: Option<&Vec<u8>>| row.and_then(|row| ViewRow::decode(row));
            let key = (String::from_utf8_lossy(key), row(first.get(key)), row(other.get(key)));
            lines.push(format!("{node}: {key:?}"));
        }
    }
    Err(lines.join("\n"))
}

/// All strings in a value, and how often each is there.
fn look(value: &Json, found: &mut BTreeMap<String, usize>) {
    match value {
        Json::String(text) if text.starts_with("treasure") => *found.entry(text.clone()).or_default() += 1,
        Json::Array(list) => list.iter().for_each(|value| look(value, found)),
        Json::Object(members) => members.values().for_each(|value| look(value, found)),
        _ => {}
    }
}

#[test]
fn what_is_moved_about_by_many_at_once_is_never_lost() {
    let moved = std::sync::atomic::AtomicUsize::new(0);
    for_each_seed(8, 3000, |seed| {
        let mut moving = Moving::begin(seed)?;
        for _ in 0..100 {
            moving.adventure();
        }
        moving.story.calm();
        settle(&mut moving.story)?;
        for _ in 0..20 {
            moving.collect();
            for at in 0..moving.treasures.len() {
                if !moving.treasures[at].kept && moving.treasures[at].waiting.is_none() {
                    moving.try_hide(at);
                }
            }
            moving.story.world.run(5_000);
            moving.collect();
        }
        settle(&mut moving.story)?;
        moved.fetch_add(moving.moved, std::sync::atomic::Ordering::Relaxed);
        moving.check()
    });
    assert!(moved.load(std::sync::atomic::Ordering::Relaxed) > 0, "nothing was moved");
    eprintln!("{} moves", moved.load(std::sync::atomic::Ordering::Relaxed));
}
