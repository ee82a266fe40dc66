//! Purging what is made of many writes: texts, lists, sets, counters, values that stand beside each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{
    At, Body, Change, Manner, Merge, Preconditions, Refusal, Reply, Request, Role, TextChange, TextEdit,
};
use kith_core::path::Path;
use kith_core::sim::{Story, Weather};
use kith_core::version::Version;
use serde_json::{Value as Json, json};

const SETTLE: u64 = 900_000;
const SECRET: &str = "the combination is 7351-9920";
const PATIENCE: u64 = 60_000;

fn at(path: &str) -> Path {
    Path::new(path.split('/')).unwrap()
}

fn request(story: &Story, path: &str, change: Change, merge: Option<Merge>, purge: bool) -> Request {
    Request::Write {
        space: story.space_ref(),
        path: at(path),
        change,
        conditions: Preconditions::default(),
        manner: Manner { merge, ..Manner::default() },
        id: None,
        purge,
    }
}

fn put(value: Json) -> Change {
    Change::Put(Body::Json(value))
}

fn insert(text: &str) -> Change {
    Change::Text(TextChange { parents: None, edit: TextEdit::Splices(vec![(0, 0, text.to_owned())]), event: None })
}

fn whole(text: &str) -> Change {
    Change::Text(TextChange { parents: None, edit: TextEdit::Whole(text.to_owned()), event: None })
}

/// Asks and waits; what is refused is an error.
fn write(
    story: &mut Story,
    node: usize,
    path: &str,
    change: Change,
    merge: Option<Merge>,
    purge: bool,
) -> Result<Vec<Version>, String> {
    let request = request(story, path, change, merge, purge);
    match story.world.ask_for(node, request, PATIENCE) {
        Some(Reply::Written { version, .. }) => Ok(version),
        other => Err(format!("{path} was not written: {other:?}")),
    }
}

fn moves(story: &Story, from: &str, to: &str) -> Request {
    let (space, conditions) = (story.space_ref(), Preconditions::default());
    Request::Move { space, from: at(from), to: at(to), conditions, id: None }
}

fn moved(story: &mut Story, node: usize, from: &str, to: &str) -> Result<(), String> {
    let request = moves(story, from, to);
    match story.world.ask_for(node, request, PATIENCE) {
        Some(Reply::Written { created: true, .. }) => Ok(()),
        other => Err(format!("{from} was not moved to {to}: {other:?}")),
    }
}

/// A change that adds the secret to a value of some kind, and its merge type.
fn confide(turn: u64) -> (&'static str, Change, Merge) {
    let secret = format!("{SECRET} ({turn})");
    match turn % 6 {
        0 => ("vault/list", put(json!([secret, turn])), Merge::List),
        1 => ("vault/set", Change::Set { add: vec![json!(secret)], remove: vec![] }, Merge::Set),
        2 => ("vault/mv", put(json!({ "secret": secret })), Merge::Mv),
        3 => ("vault/deep/count", Change::Increment(json!(turn)), Merge::Counter),
        4 => ("vault/text", insert(&secret), Merge::Text),
        _ => ("vault/deep/list", put(json!([turn, { "secret": secret }])), Merge::List),
    }
}

/// The bytes are in no row of any peer.
fn nobody_has(story: &Story, secret: &str) -> Result<(), String> {
    for node in 0..story.world.nodes.len() {
        let found = story.find_bytes(node, secret.as_bytes());
        if !found.is_empty() {
            return Err(format!("peer {node} still has what was erased: {found:?}"));
        }
    }
    Ok(())
}

fn collected(story: &mut Story) -> Result<(), String> {
    story.settle(SETTLE)?;
    story.world.run(120_000);
    story.settle(SETTLE)?;
    story.collect_all(SETTLE)?;
    story.settle(SETTLE)
}

/// Everybody confides, one after the other.
fn all_confide(story: &mut Story, peers: u64, from: u64) -> Result<(), String> {
    for turn in from..from + 24 {
        let (path, change, merge) = confide(turn);
        write(story, (turn % peers) as usize, path, change, Some(merge), false)?;
        story.world.run(if turn % 3 == 0 { 3_000 } else { 100 });
    }
    Ok(())
}

#[test]
fn what_is_made_of_many_writes_is_in_no_row_of_any_peer_once_it_is_purged() {
    for_each_seed(4, 300, |seed| {
        let mut story = Story::joined(seed, 4)?;
        write(&mut story, 0, "other", put(json!("stays")), None, false)?;
        all_confide(&mut story, 4, 0)?;
        story.settle(SETTLE)?;
        if (0..4).any(|node| story.find_bytes(node, SECRET.as_bytes()).len() < 20) {
            return Err("the secret was not there to begin with".to_owned());
        }
        // Each alone, or all from above.
        let alone = ["vault/list", "vault/set", "vault/mv", "vault/text", "vault/deep"];
        let places: &[&str] = if seed % 2 == 0 { &["vault"] } else { &alone };
        for (turn, place) in places.iter().enumerate() {
            write(&mut story, turn % 4, place, Change::Delete, None, true)?;
        }
        collected(&mut story)?;
        nobody_has(&story, SECRET)?;
        let (tree, _) = story.tree(2)?;
        if tree["other"] != "stays" || tree["vault"] != Json::Null {
            return Err(format!("after the purge there is {tree}"));
        }
        // All of it begins anew, and is alike everywhere.
        all_confide(&mut story, 4, 100)?;
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(3)?;
        if tree["vault"]["set"].as_array().map(Vec::len) != Some(4) || tree["vault"]["deep"]["count"] != json!(456) {
            return Err(format!("what began anew is not what was written: {tree}"));
        }
        let late = story.newcomer();
        story.settle(SETTLE)?;
        for node in 0..5 {
            story.crash(node);
            story.world.start(node);
        }
        story.settle(SETTLE)?;
        story.lacks_nothing(late)
    });
}

#[test]
fn a_purge_with_a_new_value_leaves_just_that() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 3)?;
        all_confide(&mut story, 3, 0)?;
        story.settle(SETTLE)?;
        write(&mut story, 0, "vault/text", whole("anew"), Some(Merge::Text), true)?;
        write(&mut story, 1, "vault/set", put(json!(["b"])), None, true)?;
        write(&mut story, 2, "vault/list", put(json!([1, 2, 3])), None, true)?;
        write(&mut story, 0, "vault/mv", put(json!("one")), None, true)?;
        write(&mut story, 1, "vault/deep", put(json!({ "count": 5 })), None, true)?;
        collected(&mut story)?;
        nobody_has(&story, SECRET)?;
        // They are of the kinds they were.
        write(&mut story, 1, "vault/text", insert("all "), Some(Merge::Text), false)?;
        write(&mut story, 2, "vault/set", Change::Set { add: vec![json!("a")], remove: vec![] }, None, false)?;
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(1)?;
        let expected =
            json!({ "text": "all anew", "set": ["a", "b"], "list": [1, 2, 3], "mv": "one", "deep": { "count": 5 } });
        if tree["vault"] == expected { Ok(()) } else { Err(format!("there is {tree}")) }
    });
}

#[test]
fn a_part_of_a_list_or_set_can_be_purged_and_the_rest_stays() {
    for_each_seed(2, 50, |seed| {
        let mut story = Story::joined(seed, 3)?;
        write(&mut story, 0, "list", put(json!(["a", SECRET, "c"])), Some(Merge::List), false)?;
        write(&mut story, 1, "set", put(json!(["a", SECRET, "c"])), Some(Merge::Set), false)?;
        story.settle(SETTLE)?;
        write(&mut story, 2, "list/1", Change::Delete, None, true)?;
        write(&mut story, 0, &format!("set/{}", json!(SECRET)), Change::Delete, None, true)?;
        collected(&mut story)?;
        nobody_has(&story, SECRET)?;
        let (tree, _) = story.tree(1)?;
        if tree["list"] == json!(["a", "c"]) && tree["set"] == json!(["a", "c"]) {
            Ok(())
        } else {
            Err(tree.to_string())
        }
    });
}

#[test]
fn what_was_written_by_those_who_had_not_heard_goes_too_and_does_not_come_back() {
    for_each_seed(4, 300, |seed| {
        let mut story = Story::joined(seed, 4)?;
        all_confide(&mut story, 4, 0)?;
        story.settle(SETTLE)?;
        // One is away, and goes on writing before and after the purge.
        story.world.divide(|node| u64::from(node == 3));
        for turn in 100..112 {
            let (path, change, merge) = confide(turn);
            write(&mut story, 3, path, change, Some(merge), false)?;
        }
        story.world.run(2_000);
        write(&mut story, 1, "vault", Change::Delete, None, true)?;
        write(&mut story, 2, "vault/text", insert("new"), Some(Merge::Text), false).ok();
        story.world.run(20_000);
        write(&mut story, 2, "vault/text", insert("new"), Some(Merge::Text), false)?;
        for turn in 112..124 {
            let (path, change, merge) = confide(turn);
            write(&mut story, 3, path, change, Some(merge), false)?;
        }
        story.world.unite();
        let late = story.newcomer();
        collected(&mut story)?;
        nobody_has(&story, SECRET)?;
        let (tree, _) = story.tree(late)?;
        if !tree["vault"]["text"].as_str().is_some_and(|text| text.starts_with("new")) {
            return Err(format!("what was begun anew is not there: {tree}"));
        }
        // Who was away goes on in what began anew.
        write(&mut story, 3, "vault/text", insert("and "), Some(Merge::Text), false)?;
        write(&mut story, 3, "vault/list", put(json!([1])), Some(Merge::List), false)?;
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(0)?;
        let text = tree["vault"]["text"].as_str().unwrap_or_default();
        if text.starts_with("and new") && tree["vault"]["list"] == json!([1]) { Ok(()) } else { Err(tree.to_string()) }
    });
}

#[test]
fn purges_of_all_kinds_survive_storms_partitions_and_crashes() {
    for_each_seed(6, 1000, |seed| {
        let mut story = Story::begin(seed, 5)?;
        for node in 1..5 {
            story.ask_to_join(node, Role::Writer);
        }
        story.settle(SETTLE)?;
        story.world.weather = Weather::STORM;
        let places = ["vault", "vault/list", "vault/set", "vault/mv", "vault/text", "vault/deep", "vault/deep/count"];
        for turn in 0..80 {
            let node = story.world.dice.below(5) as usize;
            match turn % 5 {
                0..=2 => {
                    let (path, change, merge) = confide(story.world.dice.below(1000));
                    let write = request(&story, path, change, Some(merge), false);
                    story.world.ask(node, write);
                }
                3 if turn % 2 == 0 => {
                    let place = places[story.world.dice.below(places.len() as u64) as usize];
                    let change = if story.world.dice.once_in(3) { put(json!("none")) } else { Change::Delete };
                    let write = request(&story, place, change, None, true);
                    story.world.ask(node, write);
                }
                3 => {
                    let (from, to) = (story.world.dice.below(7) as usize, story.world.dice.below(7));
                    let above = ["attic", "vault/deep"][story.world.dice.below(2) as usize];
                    let (here, there) = (places[from].to_owned(), format!("{above}/{to}"));
                    let back = story.world.dice.once_in(3);
                    let request = if back { moves(&story, &there, &here) } else { moves(&story, &here, &there) };
                    story.world.ask(node, request);
                }
                _ => story.adventure(),
            }
        }
        story.calm();
        story.settle(SETTLE)?;
        let node = story.world.dice.below(5) as usize;
        for place in ["vault", "attic", "vault", "attic"] {
            let purge = request(&story, place, Change::Delete, None, true);
            story.world.ask_for(node, purge, PATIENCE);
        }
        collected(&mut story)?;
        nobody_has(&story, SECRET)?;
        let late = story.newcomer();
        story.settle(SETTLE)?;
        story.lacks_nothing(late)
    });
}

#[test]
fn what_was_moved_into_what_is_purged_goes_wherever_it_was_made() {
    for_each_seed(4, 300, |seed| {
        let mut story = Story::joined(seed, 4)?;
        all_confide(&mut story, 4, 0)?;
        for plan in [SECRET, "it changed"] {
            write(&mut story, 1, "notes/plan", put(json!(plan)), None, false)?;
        }
        write(&mut story, 1, "notes/more", put(json!("stays")), None, false)?;
        story.settle(SETTLE)?;
        // One is away, and does not hear that things are moved; he goes on where they were made.
        story.world.divide(|node| u64::from(node == 3));
        moved(&mut story, 0, "notes/plan", "trash/plan")?;
        moved(&mut story, 0, "vault/text", "trash/text")?;
        moved(&mut story, 1, "vault", "notes/vault")?;
        story.world.run(20_000);
        moved(&mut story, 2, "notes/vault", "trash/deep")?;
        story.world.run(20_000);
        let before = seed % 2 == 0;
        if before {
            write(&mut story, 2, "trash", Change::Delete, None, true)?;
        }
        for turn in 100..112 {
            let (path, change, merge) = confide(turn);
            write(&mut story, 3, path, change, Some(merge), false)?;
        }
        story.world.unite();
        story.settle(SETTLE)?;
        if !before {
            write(&mut story, 2, "trash", Change::Delete, None, true)?;
        }
        collected(&mut story)?;
        nobody_has(&story, SECRET)?;
        let (tree, _) = story.tree(1)?;
        if tree["notes"] != json!({ "more": "stays" }) || tree["vault"] != Json::Null {
            return Err(format!("after the purge there is {tree}"));
        }
        // Something new at the old place, and what begins anew at the new one.
        write(&mut story, 3, "vault/text", insert("other"), Some(Merge::Text), false)?;
        write(&mut story, 0, "trash/text", insert("new"), Some(Merge::Text), false)?;
        let late = story.newcomer();
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(late)?;
        if tree["vault"] != json!({ "text": "other" }) || tree["trash"]["text"] != "new" {
            return Err(format!("what began anew is not what was written: {tree}"));
        }
        story.lacks_nothing(late)
    });
}

#[test]
fn what_was_moved_out_of_what_is_purged_stays_with_its_past() {
    for_each_seed(3, 200, |seed| {
        let mut story = Story::joined(seed, 3)?;
        let mut past = Vec::new();
        for turn in 0..3 {
            let version = write(&mut story, 1, "vault/plan", put(json!(format!("plan {turn}"))), None, false)?;
            past.push(("kept/plan", version, format!("plan {turn}")));
            let version = write(&mut story, 2, "vault/text", insert(&turn.to_string()), Some(Merge::Text), false)?;
            past.push(("kept/text", version, ["0", "10", "210"][turn].to_owned()));
            write(&mut story, 0, "vault/rest", put(json!(SECRET)), None, false)?;
            story.settle(SETTLE)?;
        }
        all_confide(&mut story, 3, 1)?;
        story.settle(SETTLE)?;
        moved(&mut story, 0, "vault/plan", "kept/plan")?;
        moved(&mut story, 0, "vault/text", "kept/text")?;
        write(&mut story, 0, "vault", Change::Delete, None, true)?;
        collected(&mut story)?;
        let (tree, _) = story.tree(1)?;
        if tree["kept"]["plan"] != "plan 2" || tree["vault"] != Json::Null {
            return Err(format!("after the purge there is {tree}"));
        }
        for (path, version, value) in &past {
            let shown = read(&mut story, 1, path, Some(version));
            let body = match shown {
                Some(Reply::Value { body, .. } | Reply::Past { body, .. }) => body,
                other => return Err(format!("{path} as of {version:?}: {other:?}")),
            };
            let same = match &body {
                Body::Json(json) => json == value,
                Body::Bytes { bytes, .. } => bytes == value.as_bytes(),
            };
            if !same {
                return Err(format!("{path} was {value}, and is told as {body:?}"));
            }
        }
        write(&mut story, 2, "kept", Change::Delete, None, true)?;
        collected(&mut story)?;
        nobody_has(&story, SECRET)?;
        nobody_has(&story, "plan 1")
    });
}

#[test]
fn the_past_before_a_purge_is_gone_and_the_past_since_is_there() {
    for_each_seed(2, 50, |seed| {
        let mut story = Story::joined(seed, 3)?;
        let mut before = Vec::new();
        for turn in 0..24 {
            let (path, change, merge) = confide(turn);
            before.push((path, write(&mut story, (turn % 3) as usize, path, change, Some(merge), false)?));
            story.world.run(2_000);
        }
        story.settle(SETTLE)?;
        write(&mut story, 0, "vault", Change::Delete, None, true)?;
        let mut since = Vec::new();
        for turn in 100..112 {
            let (path, change, merge) = confide(turn);
            write(&mut story, 0, path, change, Some(merge), false)?;
            let shown = read(&mut story, 0, path, None);
            since.push((path, shown));
            story.world.run(2_000);
        }
        collected(&mut story)?;
        for (path, version) in &before {
            match read(&mut story, 1, path, Some(version)) {
                Some(Reply::Refused(Refusal::HistoryDropped)) => {}
                other => return Err(format!("{path} was told as of {version:?}: {other:?}")),
            }
        }
        for (path, shown) in &since {
            let Some(Reply::Value { body, version, .. }) = shown else { return Err(format!("nothing at {path}")) };
            match read(&mut story, 2, path, Some(version)) {
                Some(Reply::Value { body: then, .. } | Reply::Past { body: then, .. }) if then == *body => {}
                other => return Err(format!("{path} as of {version:?} is {other:?} and not {body:?}")),
            }
        }
        Ok(())
    });
}

fn read(story: &mut Story, node: usize, path: &str, version: Option<&Vec<Version>>) -> Option<Reply> {
    let (space, path) = (story.space_ref(), at(path));
    let request = match version {
        Some(version) => Request::GetAt { space, path, at: At::Versions(version.clone()), hash: None },
        None => Request::Get { space, path, parents: Vec::new() },
    };
    story.world.ask_for(node, request, PATIENCE)
}
