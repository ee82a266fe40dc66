//! Texts as they were: read, listed, restored and undone, with edits that crossed, after restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;
use crate::texts;

use common::for_each_seed;
use kith_core::api::{At, Body, Change, Merge, Preconditions, Reply, Request, TextEdit};
use kith_core::path::Path;
use kith_core::sim::Story;
use kith_core::version::Version;
use serde_json::json;
use texts::{at, edit, edited, put, text};

const PATIENCE: u64 = 60_000;

fn read_at(story: &mut Story, node: usize, path: Path, when: At) -> Reply {
    let space = story.space_ref();
    story.world.ask_for(node, Request::GetAt { space, path, at: when, hash: None }, PATIENCE).unwrap()
}

fn text_at(story: &mut Story, node: usize, path: &str, version: &Version) -> String {
    match read_at(story, node, at(path), At::Versions(vec![*version])) {
        Reply::Past { body: Body::Bytes { bytes, .. }, facts, .. } if facts.merge == Merge::Text => {
            String::from_utf8(bytes).unwrap()
        }
        other => panic!("no text at {version}: {other:?}"),
    }
}

#[test]
fn every_version_of_a_text_can_be_read_and_had_back() {
    let mut story = Story::begin(1, 1).unwrap();
    let mut versions = Vec::new();
    for words in ["Tea", "Green tea", "Green tea, hot", "hot", "Grün 茶 😀"] {
        versions.push((put(&mut story, 0, "doc/text", words).unwrap()[0], words));
        story.world.run(10);
    }
    story.world.crash(0);
    story.world.start(0);
    story.world.run(1_000);
    for (version, words) in &versions {
        assert_eq!(text_at(&mut story, 0, "doc/text", version), *words);
        let whole = read_at(&mut story, 0, at("doc"), At::Versions(vec![*version]));
        assert!(matches!(&whole, Reply::Past { body: Body::Json(json), .. } if *json == json!({ "text": words })));
    }
    let (space, conditions) = (story.space_ref(), Preconditions::default());
    let from = At::Versions(vec![versions[1].0]);
    let restore = Request::Restore { space: space.clone(), path: at("doc"), from, conditions, id: None };
    let restored = story.world.ask_for(0, restore, PATIENCE);
    assert!(matches!(restored, Some(Reply::Written { .. })), "{restored:?}");
    assert_eq!(text(&mut story, 0, "doc/text").unwrap().0, "Green tea");
    let undo = Request::Undo { space, scope: at("doc"), redo: false, id: None };
    let undone = story.world.ask_for(0, undo, PATIENCE);
    assert!(matches!(&undone, Some(Reply::Undone { skipped, .. }) if skipped.is_empty()), "{undone:?}");
    assert_eq!(text(&mut story, 0, "doc/text").unwrap().0, "Grün 茶 😀");
    // What restoring and undoing wrote are versions as well, and those before are as they were.
    assert_eq!(text_at(&mut story, 0, "doc/text", &versions[2].0), "Green tea, hot");
}

#[test]
fn everybody_sees_the_same_past_of_a_text() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 3)?;
        put(&mut story, 0, "notes/plan", "A plan.")?;
        story.settle(300_000)?;
        story.world.divide(|node| node as u64);
        let mut versions = Vec::new();
        for turn in 0..12 {
            let node = story.world.dice.below(3) as usize;
            let (shown, _) = text(&mut story, node, "notes/plan")?;
            let chars = shown.chars().count() as u64;
            let pos = story.world.dice.within((0, chars)) as u32;
            let change = TextEdit::Splices(vec![(pos, pos, format!("<{turn}>"))]);
            let request = edit(&story, "notes/plan", None, change, None, None);
            let version = edited(&mut story, node, request)?;
            versions.extend(version.iter().max_by_key(|version| version.seq).copied().filter(|_| version.len() == 1));
        }
        story.world.unite();
        story.settle(300_000)?;
        let now: Vec<(String, Vec<Version>)> =
            (0..3).map(|node| text(&mut story, node, "notes/plan")).collect::<Result<_, _>>()?;
        if now.iter().any(|other| *other != now[0]) {
            return Err(format!("the texts differ: {now:?}"));
        }
        for version in &versions {
            let then: Vec<String> = (0..3).map(|node| text_at(&mut story, node, "notes/plan", version)).collect();
            if then.iter().any(|other| *other != then[0]) {
                return Err(format!("the texts at {version} differ: {then:?}"));
            }
        }
        let millis = story.world.now() + 1_000;
        let latest = read_at(&mut story, 1, at("notes/plan"), At::Time(millis));
        if !matches!(&latest, Reply::Past { body: Body::Bytes { bytes, .. }, version, .. }
            if *bytes == now[0].0.as_bytes() && *version == now[0].1)
        {
            return Err(format!("the last version is not the present: {latest:?} {now:?}"));
        }
        Ok(())
    });
}

#[test]
fn who_is_told_that_a_text_was_erased_finds_nothing_of_it() {
    let mut story = Story::begin(2, 1).unwrap();
    put(&mut story, 0, "notes/doc", "a secret").unwrap();
    let body = Body::Bytes { media: "text/plain".to_owned(), bytes: b"other".to_vec() };
    let purged = story.purge(0, "notes/doc", Change::Put(body));
    assert!(matches!(purged, Some(Reply::Written { deleted: false, .. })), "{purged:?}");
    assert_eq!(text(&mut story, 0, "notes/doc").unwrap().0, "other");
    let purged = story.purge(0, "notes", Change::Delete);
    assert!(matches!(purged, Some(Reply::Written { deleted: true, .. })), "{purged:?}");
    story.collect_all(300_000).unwrap();
    for gone in ["a secret", "other"] {
        assert_eq!(story.find_bytes(0, gone.as_bytes()), Vec::<String>::new());
    }
}
