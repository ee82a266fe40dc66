//! History in a world of peers: everyone remembers the same, whatever arrived when, through storms, crashes and forks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{At, Body, ChangeItem, HistoryItem, ListQuery, Refusal, Reply, Request, Role};
use kith_core::history::{self, Deed, OpRow};
use kith_core::path::Path;
use kith_core::rows::{Batch, KeyRange, Read, Table};
use kith_core::sim::{Hostile, Story, Weather};
use kith_core::version::Version;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const SETTLE: u64 = 900_000;
const PATIENCE: u64 = 60_000;

fn path(text: &str) -> Path {
    Path::new(text.split('/').filter(|name| !name.is_empty())).unwrap()
}

fn ask(story: &mut Story, node: usize, request: Request) -> Reply {
    story.world.ask_for(node, request, PATIENCE).expect("an answer")
}

fn value_at(story: &mut Story, node: usize, place: &str, at: At) -> Reply {
    let space = story.space_ref();
    ask(story, node, Request::GetAt { space, path: path(place), at, hash: None })
}

/// All pages of the versions of a path.
fn history(story: &mut Story, node: usize, place: &str, limit: usize) -> Vec<HistoryItem> {
    let mut all = Vec::new();
    let mut before = None;
    for _ in 0..1000 {
        let space = story.space_ref();
        match ask(story, node, Request::History { space, path: path(place), before, limit }) {
            Reply::History { items, next } => {
                assert!(items.len() <= limit);
                all.extend(items);
                match next {
                    Some(next) => before = Some(next),
                    None => return all,
                }
            }
            other => panic!("no history: {other:?}"),
        }
    }
    panic!("history without end");
}

/// Every change a peer has, as its feed tells them: the oracle for lists of versions.
fn changes(story: &mut Story, node: usize) -> Vec<ChangeItem> {
    let mut all = Vec::new();
    let mut since = None;
    loop {
        let request = Request::Changes { space: story.space_ref(), since: since.clone(), limit: 1000 };
        match ask(story, node, request) {
            Reply::Changes { next, .. } if since.as_ref() == Some(&next) => return all,
            Reply::Changes { items, next } => {
                all.extend(items);
                since = Some(next);
            }
            other => panic!("no feed: {other:?}"),
        }
    }
}

fn stormy(seed: u64, peers: usize, adventures: usize) -> Result<Story, String> {
    let mut story = Story::begin(seed, peers)?;
    story.world.weather = Weather::STORM;
    for node in 1..peers {
        story.ask_to_join(node, Role::Writer);
    }
    for _ in 0..adventures {
        story.adventure();
    }
    story.calm();
    for node in 1..peers {
        story.ask_to_join(node, Role::Writer);
    }
    story.settle(SETTLE)?;
    story.ask_again();
    story.settle(SETTLE)?;
    Ok(story)
}

#[test]
fn all_peers_list_the_same_versions_and_those_are_the_changes_of_the_feed() {
    for_each_seed(3, 200, |seed| {
        let mut story = stormy(seed, 4, 60)?;
        for place in ["", "shared", "shared/f1", "log", "nowhere"] {
            let whole = history(&mut story, 0, place, 1000);
            if history(&mut story, 0, place, 3) != whole {
                return Err(format!("the pages of {place} are not the whole"));
            }
            for node in 1..4 {
                if history(&mut story, node, place, 1000) != whole {
                    return Err(format!("peer {node} lists other versions of {place} than peer 0"));
                }
            }
            let mut expected: BTreeMap<Version, (String, u64, bool, BTreeSet<Path>)> = BTreeMap::new();
            for change in changes(&mut story, 0).into_iter().filter(|change| path(place).contains(&change.path)) {
                let fresh = (change.author.clone(), change.time, false, BTreeSet::new());
                let (_, _, puts, paths) = expected.entry(change.version).or_insert(fresh);
                *puts |= change.kind == "put";
                paths.insert(change.path);
            }
            let found: BTreeMap<Version, _> = whole.iter().map(|item| (item.version, item.clone())).collect();
            let right = found.len() == whole.len()
                && found.len() == expected.len()
                && expected.iter().all(|(version, (author, time, puts, paths))| {
                    found.get(version).is_some_and(|item| {
                        let kind = if *puts { "put" } else { "delete" };
                        let named = item.paths.is_empty() && paths.iter().all(|p| *p == path(place))
                            || item.paths.len() + item.more == paths.len()
                                && item.paths.iter().all(|p| paths.contains(p));
                        item.author == *author && item.time == *time && item.kind == kind && named
                    })
                });
            if !right {
                return Err(format!("{place}: {found:?}\nwhere the feed says {expected:?}"));
            }
            if !whole.is_sorted_by(|a, b| a.time >= b.time) {
                return Err(format!("{place} is not newest first"));
            }
        }
        Ok(())
    });
}

#[test]
fn all_peers_show_the_same_past_at_every_version_and_the_present_at_the_last() {
    for_each_seed(3, 200, |seed| {
        let mut story = stormy(seed, 3, 50)?;
        let versions: Vec<Version> = history(&mut story, 0, "", 1000).iter().map(|item| item.version).collect();
        for (n, version) in versions.iter().enumerate() {
            let place = ["", "shared", "log"][n % 3];
            let at = At::Versions(vec![*version]);
            let shown = |story: &mut Story, node| match value_at(story, node, place, at.clone()) {
                Reply::Past { body, version, current, .. } => Ok((Some(body), version, current)),
                Reply::Refused(Refusal::NotFound) => Ok((None, Vec::new(), Vec::new())),
                other => Err(format!("peer {node} does not show {place} at {version}: {other:?}")),
            };
            let first = shown(&mut story, 0)?;
            for node in 1..3 {
                if shown(&mut story, node)? != first {
                    return Err(format!("peer {node} shows another {place} at {version} than peer 0"));
                }
            }
        }
        let (now, frontier) = story.tree(0)?;
        match value_at(&mut story, 0, "", At::Versions(vec![versions[0]])) {
            Reply::Past { body: Body::Json(json), version, current, .. } if json == now => {
                if version == frontier && current == frontier { Ok(()) } else { Err(format!("{version:?}")) }
            }
            other => Err(format!("the last version is not the present: {other:?}\n{now}")),
        }
    });
}

fn put(story: &mut Story, node: usize, place: &str, value: serde_json::Value) -> Version {
    let change = kith_core::api::Change::Put(Body::Json(value));
    let request = Request::Write {
        space: story.space_ref(),
        path: path(place),
        change,
        conditions: Default::default(),
        manner: Default::default(),
        id: None,
        purge: false,
    };
    match ask(story, node, request) {
        Reply::Written { version, .. } => version.into_iter().max_by_key(|version| version.seq).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_value_can_be_read_as_of_its_versions_and_as_of_a_time() {
    let mut story = Story::joined(1, 2).unwrap();
    let began = story.world.now();
    story.world.run(10);
    let first = put(&mut story, 0, "notes/1", json!({ "title": "Tea", "tags": ["hot"] }));
    let then = story.world.now();
    story.world.run(1_000);
    put(&mut story, 0, "notes/1/title", json!("Green tea"));
    let second = put(&mut story, 0, "notes/1/tags", json!(["hot", "green"]));
    let shown = |story: &mut Story, place: &str, at| match value_at(story, 0, place, at) {
        Reply::Past { body: Body::Json(json), version, .. } => Some((json, version)),
        Reply::Refused(Refusal::NotFound) => None,
        other => panic!("{other:?}"),
    };
    let old = json!({ "title": "Tea", "tags": ["hot"] });
    assert_eq!(shown(&mut story, "notes/1", At::Versions(vec![first])), Some((old.clone(), vec![first])));
    assert_eq!(shown(&mut story, "notes/1", At::Time(then)).unwrap().0, old);
    assert_eq!(shown(&mut story, "notes/1", At::Time(began)), None);
    assert_eq!(shown(&mut story, "notes/1/tags/0", At::Versions(vec![first])).unwrap().0, json!("hot"));
    let new = json!({ "title": "Green tea", "tags": ["hot", "green"] });
    assert_eq!(shown(&mut story, "notes/1", At::Versions(vec![second])).unwrap().0, new);
    // Several: the latest of them decides.
    assert_eq!(shown(&mut story, "notes/1", At::Versions(vec![second, first])).unwrap().0, new);
    let space = story.space_ref();
    let query = ListQuery { start: None, end: None, limit: 10, reverse: false, values: true };
    let list = Request::ListAt { space, prefix: path("notes"), query, at: At::Versions(vec![first]) };
    match ask(&mut story, 0, list) {
        Reply::List { items, .. } => assert_eq!((items.len(), items[0].value.clone()), (1, Some(Body::Json(old)))),
        other => panic!("{other:?}"),
    }
    // What is not here yet is said so.
    let unknown = Version { seq: second.seq + 1, ..second };
    assert_eq!(
        value_at(&mut story, 0, "notes/1", At::Versions(vec![unknown])),
        Reply::Refused(Refusal::VersionUnknown { missing: vec![unknown] })
    );
    // A device's own record is a version too, though it is no write.
    assert_eq!(shown(&mut story, "notes/1", At::Versions(vec![Version { seq: 0, ..first }])), None);
    // The versions of a place inside an array are those of the array.
    let tags: Vec<Version> = history(&mut story, 0, "notes/1/tags/1", 10).iter().map(|item| item.version).collect();
    assert_eq!(tags, [second, first]);
}

#[test]
fn the_versions_of_a_place_with_many_places_below_are_found_entry_by_entry() {
    let mut story = Story::joined(1, 2).unwrap();
    let many: serde_json::Map<String, serde_json::Value> = (0..5000).map(|n| (format!("k{n}"), json!(n))).collect();
    let mut expected = vec![put(&mut story, 0, "big", json!(many))];
    for n in 0..300 {
        let place = if n % 30 == 0 { format!("big/k{n}") } else { format!("other/k{n}") };
        let version = put(&mut story, 0, &place, json!("new"));
        if n % 30 == 0 {
            expected.push(version);
        }
    }
    expected.reverse();
    for limit in [4, 1000] {
        let found = history(&mut story, 0, "big", limit);
        assert_eq!(found.iter().map(|item| item.version).collect::<Vec<_>>(), expected, "{limit}");
        let first = found.last().unwrap();
        assert_eq!(
            (first.paths.len() + first.more, first.size),
            (5001, (0..5000).map(|n| n.to_string().len() as u64).sum())
        );
    }
}

/// The number this peer has given the space, as in its keys.
fn number(story: &Story, node: usize) -> Vec<u8> {
    let range = KeyRange::prefix(b"space/");
    let scan = Read::Scan { table: Table::Meta, range, limit: 100, reverse: false };
    let rows = story.world.nodes[node].disk.read(&scan);
    rows.iter().find(|(_, row)| row[1..33] == story.space.0).unwrap().0[6..].to_vec()
}

#[test]
fn what_was_merged_before_there_was_an_index_is_indexed_at_the_next_start_whatever_interrupts_it() {
    for_each_seed(4, 200, |seed| {
        let mut story = Story::joined(seed, 2)?;
        for turn in 0..150 {
            story.write_own(turn % 2);
            story.write_shared(turn % 2);
        }
        story.settle(SETTLE)?;
        let remembered = story.history(0);
        story.crash(0);
        let space = number(&story, 0);
        story.world.nodes[0].disk.commit(&Batch {
            delete_ranges: [history::OPS, history::TIMES]
                .map(|part| (Table::View, KeyRange::prefix(&[&space[..], &[part]].concat())))
                .into(),
            deletes: vec![(Table::Head, [&space[..], &[7]].concat())],
            ..Batch::default()
        });
        story.world.start(0);
        let mut unfinished = 0;
        loop {
            // The present is shown from the first moment on.
            story.tree(0)?;
            match value_at(&mut story, 0, "log", At::Time(u64::MAX)) {
                Reply::Refused(Refusal::Unavailable { retry_after: 1, .. }) => unfinished += 1,
                Reply::Past { .. } => break,
                other => return Err(format!("{other:?}")),
            }
            if unfinished % 3 == 1 && unfinished < 9 {
                let soon = story.world.dice.within((0, 30));
                story.world.run(soon);
                story.write_own(0);
                story.crash(0);
                story.world.start(0);
            }
            if unfinished > 1000 {
                return Err("it is never finished".to_owned());
            }
        }
        if unfinished == 0 {
            return Err("nothing had to be indexed".to_owned());
        }
        let kept = story.history(0);
        if !remembered.iter().all(|row| kept.contains(row)) {
            return Err("some of it is forgotten".to_owned());
        }
        story.ask_again();
        story.settle(SETTLE)
    });
}

#[test]
fn what_was_erased_is_said_to_be_gone_and_leaves_one_mark() {
    let mut story = Story::joined(1, 2).unwrap();
    let mut versions: Vec<Version> = (0..20).map(|n| put(&mut story, 0, "a", json!(n))).collect();
    let elsewhere = put(&mut story, 0, "b", json!("there"));
    story.settle(SETTLE).unwrap();
    story.purge(0, "a", kith_core::api::Change::Put(Body::Json(json!("kept"))));
    story.settle(SETTLE).unwrap();
    story.world.run(60_000);
    story.collect_all(SETTLE).unwrap();
    versions.push(elsewhere);
    for node in 0..2 {
        for version in &versions {
            let dropped = Reply::Refused(Refusal::HistoryDropped);
            assert_eq!(value_at(&mut story, node, "a", At::Versions(vec![*version])), dropped);
        }
        match value_at(&mut story, node, "b", At::Versions(vec![elsewhere])) {
            Reply::Past { body: Body::Json(json), .. } => assert_eq!(json, "there"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(value_at(&mut story, node, "a", At::Time(u64::MAX)), Reply::Past { .. }));
        assert_eq!(history(&mut story, node, "a", 10).len(), 1);
        let ops = [&number(&story, node)[..], &[history::OPS]].concat();
        let read = Read::Scan { table: Table::View, range: KeyRange::prefix(&ops), limit: 10_000, reverse: false };
        let rows = story.world.nodes[node].disk.read(&read);
        let marks = rows.iter().filter_map(|(_, row)| OpRow::decode(row)).filter(|row| row.deed == Deed::Redacted);
        assert_eq!(marks.count(), 1);
    }
}

#[test]
fn a_strong_link_tells_when_its_log_was_rewritten() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 4)?;
        let Some(mut hostile) = Hostile::possess(&mut story, 3) else { return Err("not possessed".to_owned()) };
        story.members.retain(|(node, _)| *node != 3);
        let now = story.world.now();
        let (left, right) = (
            hostile.op(hostile.tip(), "both/here", "left", now),
            hostile.op(hostile.tip(), "both/here", "right", now + 1),
        );
        hostile.greet(&mut story.world, 0);
        story.world.divide(|node| u64::from(node != 0 && node != 3));
        hostile.push(&mut story.world, 0, &[left.raw()]);
        story.world.run(5_000);
        let link = |story: &mut Story, place: &str| {
            let space = story.space_ref();
            ask(story, 0, Request::Link { space, path: path(place), at: None })
        };
        let follow = |story: &mut Story, place: &str, version, hash| {
            let (space, at) = (story.space_ref(), At::Versions(vec![version]));
            ask(story, 0, Request::GetAt { space, path: path(place), at, hash: Some(hash) })
        };
        let Reply::Link { version, hash, .. } = link(&mut story, "both/here") else { return Err("no link".to_owned()) };
        if hash != left.hash() {
            return Err("the link names another entry".to_owned());
        }
        match follow(&mut story, "both/here", version, hash) {
            Reply::Past { body: Body::Json(json), .. } if json == "left" => {}
            other => return Err(format!("the link does not lead back: {other:?}")),
        }
        let rewritten = Reply::Refused(Refusal::Rewritten { version });
        if follow(&mut story, "both/here", version, right.hash()) != rewritten {
            return Err("another hash leads there as well".to_owned());
        }
        // The other history comes to light: the log is cut, the link says so.
        story.world.unite();
        hostile.greet(&mut story.world, 1);
        hostile.push(&mut story.world, 1, &[right.raw()]);
        story.calm();
        story.settle(SETTLE)?;
        match (follow(&mut story, "both/here", version, hash), link(&mut story, "both/here")) {
            (reply, Reply::Refused(Refusal::NotFound)) if reply == rewritten => {}
            other => return Err(format!("after the fork: {other:?}")),
        }
        if !history(&mut story, 0, "both", 10).is_empty() {
            return Err("what was cut is still in the history".to_owned());
        }
        story.check()
    });
}
