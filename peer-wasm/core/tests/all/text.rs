//! Texts at one peer and two: making, editing, reading and following them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::texts;

use kith_core::api::{
    Body, Change, Item, ListQuery, Manner, Merge, Preconditions, Refusal, Reply, Request, SubscriptionId, Target,
    TextEdit, Update,
};
use kith_core::path::Path;
use kith_core::sim::Story;
use kith_core::version::{Version, etag};
use serde_json::json;
use texts::{at, edit, edited, put, spliced, text};

fn insert(pos: u32, text: &str) -> TextEdit {
    TextEdit::Splices(vec![(pos, pos, text.to_owned())])
}

fn names(version: &[Version]) -> Option<Vec<String>> {
    Some(version.iter().map(Version::to_string).collect())
}

fn write(story: &mut Story, path: &str, change: Change, merge: Option<Merge>) -> Reply {
    let manner = Manner { merge, ..Manner::default() };
    let (space, conditions) = (story.space_ref(), Preconditions::default());
    let request = Request::Write { space, path: at(path), change, conditions, manner, id: None, purge: false };
    story.world.ask_for(0, request, 60_000).unwrap()
}

fn get(story: &mut Story, path: Path) -> Reply {
    let request = Request::Get { space: story.space_ref(), path, parents: Vec::new() };
    story.world.ask_for(0, request, 60_000).unwrap()
}

fn restart(story: &mut Story) {
    story.world.crash(0);
    story.world.start(0);
    story.world.run(1_000);
}

fn body(text: &str) -> Body {
    Body::Bytes { media: "text/plain; charset=utf-8".to_owned(), bytes: text.as_bytes().to_vec() }
}

#[test]
fn a_text_is_made_edited_and_read() {
    let mut story = Story::begin(1, 1).unwrap();
    let made = put(&mut story, 0, "doc/text", "Hello").unwrap();
    assert_eq!(text(&mut story, 0, "doc/text").unwrap(), ("Hello".to_owned(), made.clone()));
    let request = edit(&story, "doc/text", names(&made), insert(5, " wörld"), None, None);
    let changed = edited(&mut story, 0, request).unwrap();
    assert_ne!(changed, made);
    let request =
        edit(&story, "doc/text", None, TextEdit::Splices(vec![(0, 1, "J".into()), (6, 7, "W".into())]), None, None);
    let changed = edited(&mut story, 0, request).unwrap();
    restart(&mut story);
    assert_eq!(text(&mut story, 0, "doc/text").unwrap(), ("Jello Wörld".to_owned(), changed.clone()));
    // Inside a value above it is a string, in a listing it is named by its kind.
    let Reply::Value { body: Body::Json(json), .. } = get(&mut story, at("doc")) else { panic!("no value") };
    assert_eq!(json, json!({ "text": "Jello Wörld" }));
    let query = ListQuery { start: None, end: None, limit: 10, reverse: false, values: true };
    let request = Request::List { space: story.space_ref(), prefix: at("doc"), query };
    let Some(Reply::List { items, .. }) = story.world.ask_for(0, request, 60_000) else { panic!("no listing") };
    let expected = Body::Bytes { media: "text/plain".to_owned(), bytes: "Jello Wörld".as_bytes().to_vec() };
    let item = Item { key: "text".to_owned(), version: changed, value: Some(expected), kind: Some("simpleton") };
    assert_eq!(items, [item]);
    // A whole value changes what differs, be it by itself or as a part of one above.
    let Reply::Written { merge: Merge::Text, .. } = write(&mut story, "doc/text", Change::Put(body("Jello W")), None)
    else {
        panic!("not written")
    };
    let above = Change::Put(Body::Json(json!({ "text": "Yellow", "n": 1 })));
    assert!(matches!(write(&mut story, "doc", above, None), Reply::Written { .. }));
    assert_eq!(text(&mut story, 0, "doc/text").unwrap().0, "Yellow");
    assert!(matches!(
        write(&mut story, "doc", Change::MergePatch(json!({ "text": 5 })), None),
        Reply::Refused(Refusal::WrongKind { kind: "simpleton", .. })
    ));
    // The feed names what it was.
    let request = Request::Changes { space: story.space_ref(), since: None, limit: 100 };
    let Some(Reply::Changes { items, .. }) = story.world.ask_for(0, request, 60_000) else { panic!("no feed") };
    assert_eq!(items.iter().filter(|item| item.merge == Some("simpleton")).count(), 5);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut story = Story::begin(2, 1).unwrap();
    let made = put(&mut story, 0, "t", "abc").unwrap();
    let splices = |list: &[(u32, u32, &str)]| {
        TextEdit::Splices(list.iter().map(|(from, to, text)| (*from, *to, (*text).to_owned())).collect())
    };
    for wrong in
        [splices(&[(4, 4, "x")]), splices(&[(2, 1, "x")]), splices(&[(1, 3, ""), (2, 3, "")]), splices(&[(0, 4, "")])]
    {
        let request = edit(&story, "t", None, wrong, None, None);
        let reply = story.world.ask_for(0, request, 60_000);
        assert!(matches!(reply, Some(Reply::Refused(Refusal::Unprocessable(_)))), "{reply:?}");
    }
    let request = edit(&story, "t", Some(vec!["unheard-of".to_owned()]), insert(0, "x"), None, None);
    let reply = story.world.ask_for(0, request, 60_000);
    assert!(matches!(reply, Some(Reply::Refused(Refusal::VersionUnknown { .. }))), "{reply:?}");
    let request = edit(&story, "t", None, TextEdit::Whole("x".repeat((1 << 20) + 1)), None, None);
    assert!(matches!(story.world.ask_for(0, request, 60_000), Some(Reply::Refused(Refusal::TooLarge { .. }))));
    let Request::Write { space, path, change, manner, .. } = edit(&story, "t", None, insert(0, "x"), None, None) else {
        panic!("no write")
    };
    let conditions = Preconditions { if_match: Some(vec!["\"other\"".to_owned()]), if_none_match: None };
    let request = Request::Write { space, path, change, conditions, manner, id: None, purge: false };
    let reply = story.world.ask_for(0, request, 60_000);
    assert_eq!(reply, Some(Reply::Refused(Refusal::PreconditionFailed { current: Some(etag(&made)) })));
    assert!(matches!(
        write(&mut story, "t/below", Change::Put(Body::Json(json!(1))), None),
        Reply::Refused(Refusal::Conflict(_))
    ));
    assert_eq!(text(&mut story, 0, "t").unwrap(), ("abc".to_owned(), made));
    // Nothing changes: the version stays.
    let request = edit(&story, "t", None, TextEdit::Whole("abc".to_owned()), None, None);
    assert_eq!(edited(&mut story, 0, request).unwrap(), text(&mut story, 0, "t").unwrap().1);
}

#[test]
fn a_client_goes_on_under_its_own_names_whatever_others_write() {
    let mut story = Story::begin(3, 1).unwrap();
    let made = put(&mut story, 0, "t", "abc").unwrap();
    let own = |id: &str| Some(vec![id.to_owned()]);
    let request = edit(&story, "t", names(&made), insert(0, "X"), Some("b-1"), None);
    edited(&mut story, 0, request).unwrap();
    // It has not heard of the X.
    let request = edit(&story, "t", names(&made), insert(3, "Y"), Some("a-1"), None);
    edited(&mut story, 0, request.clone()).unwrap();
    let request = edit(&story, "t", own("a-1"), insert(4, "Z"), Some("a-2"), None);
    edited(&mut story, 0, request).unwrap();
    assert_eq!(text(&mut story, 0, "t").unwrap().0, "XabcYZ");
    let request = edit(&story, "t", own("b-1"), TextEdit::Splices(vec![(1, 2, String::new())]), Some("b-2"), None);
    edited(&mut story, 0, request).unwrap();
    restart(&mut story);
    // It does not know that the a is gone either.
    let request = edit(
        &story,
        "t",
        own("a-2"),
        TextEdit::Splices(vec![(0, 2, "!".into()), (5, 5, "?".into())]),
        Some("a-3"),
        None,
    );
    let version = edited(&mut story, 0, request.clone()).unwrap();
    assert_eq!(text(&mut story, 0, "t").unwrap(), ("X!cYZ?".to_owned(), version.clone()));
    // The same again is the same.
    assert_eq!(edited(&mut story, 0, request).unwrap(), version);
    let request = edit(&story, "t", names(&made), TextEdit::Splices(vec![(0, 3, String::new())]), Some("c-1"), None);
    edited(&mut story, 0, request).unwrap();
    assert_eq!(text(&mut story, 0, "t").unwrap().0, "X!YZ?");
}

fn follow(story: &mut Story, parents: Option<Vec<String>>, client: &str) -> SubscriptionId {
    let target = Target::Text {
        space: story.space_ref(),
        path: at("t"),
        parents,
        client: Some(client.to_owned()),
        events: false,
    };
    match story.world.ask_for(0, Request::Subscribe(target), 60_000) {
        Some(Reply::Subscribed(open)) => open,
        other => panic!("not subscribed: {other:?}"),
    }
}

fn next(story: &mut Story, open: SubscriptionId) -> Option<Update> {
    story.world.pull(0, open);
    story.world.run(1_000);
    story.world.update(0, open)
}

#[test]
fn whoever_follows_a_text_gets_patches_that_fit_what_it_holds() {
    let mut story = Story::begin(4, 1).unwrap();
    let early = follow(&mut story, None, "early");
    assert!(matches!(next(&mut story, early), Some(Update::Value { body: None, .. })));
    assert_eq!(next(&mut story, early), None);
    let made = put(&mut story, 0, "t", "abc").unwrap();
    story.world.run(1_000);
    let Some(Update::Value { body: Some(first), version, facts, .. }) = story.world.update(0, early) else {
        panic!("no text")
    };
    assert_eq!(
        (first, version, facts.merge),
        (Body::Bytes { media: "text/plain".into(), bytes: b"abc".to_vec() }, made.clone(), Merge::Text)
    );
    let open = follow(&mut story, names(&made), "a");
    assert_eq!(next(&mut story, open), None);

    // Somebody else writes, and again; it is told at once when it asks, in one patch set.
    story.world.update(0, open);
    let b = edit(&story, "t", names(&made), insert(0, "X"), Some("b-1"), Some("b"));
    let after = edited(&mut story, 0, b).unwrap();
    story.world.run(1_000);
    let told =
        Update::Text { splices: vec![(0, 0, "X".into())], version: after.clone(), parents: names(&made).unwrap() };
    assert_eq!(story.world.update(0, open), Some(told));
    // Its own write is not told to it. What it had not heard is, by the name it chose.
    let b = edit(&story, "t", names(&after), insert(1, "Y"), Some("b-2"), Some("b"));
    let b = edited(&mut story, 0, b).unwrap();
    let a = edit(&story, "t", names(&after), insert(4, "!"), Some("a-1"), Some("a"));
    let a = edited(&mut story, 0, a).unwrap();
    assert_ne!(a, b);
    let told = Update::Text { splices: vec![(1, 1, "Y".into())], version: a.clone(), parents: vec!["a-1".into()] };
    assert_eq!(next(&mut story, open), Some(told));
    let a = edit(&story, "t", names(&a), insert(0, "0"), Some("a-2"), Some("a"));
    edited(&mut story, 0, a).unwrap();
    assert_eq!(next(&mut story, open), None);
    let last = put(&mut story, 0, "t", "0XYabc.").unwrap();
    story.world.run(1_000);
    let told = Update::Text { splices: vec![(6, 7, ".".into())], version: last.clone(), parents: vec!["a-2".into()] };
    assert_eq!(story.world.update(0, open), Some(told));

    // After a restart it goes on from what it says it holds.
    restart(&mut story);
    let open = follow(&mut story, Some(vec!["a-1".into()]), "a");
    let Some(Update::Text { splices, version, parents }) = next(&mut story, open) else { panic!("nothing told") };
    assert_eq!((spliced("Xabc!", &splices), version, parents), ("0XYabc.".to_owned(), last, vec!["a-1".to_owned()]));
    let target = Target::Text {
        space: story.space_ref(),
        path: at("t"),
        parents: Some(vec!["a-9".into()]),
        client: None,
        events: false,
    };
    let reply = story.world.ask_for(0, Request::Subscribe(target), 60_000);
    assert!(matches!(reply, Some(Reply::Refused(Refusal::VersionUnknown { .. }))), "{reply:?}");
    // When the text goes it is told, and when another comes it gets that.
    write(&mut story, "t", Change::Delete, None);
    assert!(matches!(next(&mut story, open), Some(Update::Value { body: None, .. })));
    put(&mut story, 0, "t", "new").unwrap();
    assert!(
        matches!(next(&mut story, open), Some(Update::Value { body: Some(Body::Bytes { bytes, .. }), .. }) if bytes == b"new")
    );
}

#[test]
fn a_place_may_become_a_text_and_something_else_again() {
    let mut story = Story::begin(5, 2).unwrap();
    story.ask_to_join(1, kith_core::api::Role::Writer);
    story.settle(300_000).unwrap();
    put(&mut story, 0, "t", "old text").unwrap();
    assert!(matches!(write(&mut story, "t", Change::Delete, None), Reply::Written { deleted: true, .. }));
    assert!(matches!(get(&mut story, at("t")), Reply::Refused(Refusal::NotFound)));
    let request = edit(&story, "t", Some(vec![]), insert(0, "anew"), None, None);
    edited(&mut story, 0, request).unwrap();
    assert_eq!(text(&mut story, 0, "t").unwrap().0, "anew");
    assert!(matches!(
        write(&mut story, "t", Change::Put(Body::Json(json!({ "a": 1 }))), Some(Merge::Lww)),
        Reply::Written { .. }
    ));
    assert!(matches!(get(&mut story, at("t/a")), Reply::Value { .. }));
    let request = edit(&story, "t", None, insert(0, "x"), None, None);
    assert!(matches!(story.world.ask_for(0, request, 60_000), Some(Reply::Refused(Refusal::WrongKind { .. }))));
    put(&mut story, 0, "t", "third").unwrap();
    put(&mut story, 0, "empty", "").unwrap();
    story.settle(300_000).unwrap();
    for node in 0..2 {
        assert_eq!(text(&mut story, node, "t").unwrap().0, "third");
        let (empty, version) = text(&mut story, node, "empty").unwrap();
        assert_eq!((empty.as_str(), version.len()), ("", 1));
    }
    let (_, version) = text(&mut story, 1, "empty").unwrap();
    let request = edit(&story, "empty", names(&version), insert(0, "no more"), None, None);
    edited(&mut story, 1, request).unwrap();
    story.settle(300_000).unwrap();
    assert_eq!(text(&mut story, 0, "empty").unwrap().0, "no more");
}

#[test]
fn opening_a_text_costs_the_text_and_not_its_history() {
    let mut story = Story::begin(6, 1).unwrap();
    put(&mut story, 0, "t", "start ").unwrap();
    for round in 0..400 {
        let word: String = (0..64).map(|place| char::from(b'a' + ((round * 7 + place * 3) % 26) as u8)).collect();
        let request =
            edit(&story, "t", None, TextEdit::Splices(vec![(6, 6 + if round > 0 { 64 } else { 0 }, word)]), None, None);
        edited(&mut story, 0, request).unwrap();
    }
    story.world.run(10_000);
    restart(&mut story);
    // Whatever the start and the space take is not counted.
    get(&mut story, at("nothing"));
    let before = story.world.nodes[0].read_bytes.get();
    assert_eq!(text(&mut story, 0, "t").unwrap().0.len(), 70);
    let read = story.world.nodes[0].read_bytes.get() - before;
    let request = edit(&story, "t", None, insert(0, "x"), None, None);
    edited(&mut story, 0, request).unwrap();
    let written = story.world.nodes[0].read_bytes.get() - before;
    assert!(read < 8_000 && written < 16_000, "{read} bytes were read for the text, {written} with an edit");
}

/// Who follows a place where another peer begins a text is never told that it holds what it was not given: the first
/// edits come in one frame at times, at times one by one.
#[test]
fn a_text_that_begins_elsewhere_is_told_with_what_is_in_it() {
    for seed in 1..=60 {
        let mut story = Story::joined(seed, 2).unwrap();
        story.world.run(5_000);
        let (space, path) = (story.space_ref(), at("t"));
        let target = Target::Text { space, path, parents: None, client: Some("reader".into()), events: false };
        let Some(Reply::Subscribed(open)) = story.world.ask_for(1, Request::Subscribe(target), 60_000) else {
            panic!("not subscribed")
        };
        story.world.pull(1, open);
        let wanted = "hello";
        if seed % 2 == 0 {
            story.world.divide(|node| node as u64);
        }
        put(&mut story, 0, "t", "").unwrap();
        let request = edit(&story, "t", None, insert(0, wanted), None, None);
        edited(&mut story, 0, request).unwrap();
        story.world.unite();
        let (mut shown, mut holds) = (String::new(), Vec::new());
        let mut seen: Vec<(Vec<Version>, String)> = Vec::new();
        let late = story.world.now() + 120_000;
        while shown != wanted && story.world.now() < late {
            story.world.run(5);
            // What is read at a version is what is read at it ever after.
            if let Ok((read, version)) = text(&mut story, 1, "t") {
                let known = seen.iter().find(|(known, _)| !known.is_empty() && *known == version);
                assert!(
                    known.is_none_or(|(_, text)| *text == read),
                    "seed {seed}: {version:?} was {known:?}, is {read}"
                );
                seen.push((version, read));
            }
            let Some(update) = story.world.update(1, open) else { continue };
            story.world.pull(1, open);
            match update {
                Update::Value { body: Some(Body::Bytes { bytes, .. }), version, .. } => {
                    (shown, holds) = (String::from_utf8(bytes).unwrap(), names(&version).unwrap());
                }
                Update::Value { body: None, .. } => {}
                Update::Text { splices, version, parents } => {
                    assert_eq!(parents, holds, "seed {seed}");
                    let now = names(&version).unwrap();
                    assert_ne!(now, holds, "seed {seed}: a patch from a version to itself");
                    (shown, holds) = (spliced(&shown, &splices), now);
                }
                other => panic!("told {other:?}"),
            }
        }
        assert_eq!(shown, wanted, "seed {seed}");
    }
}
