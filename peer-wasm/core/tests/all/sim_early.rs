//! What a newcomer looks at comes before the logs it stands in; it counts as nothing until they have come, and goes if they do not hold it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{
    Body, Change, Item, ListQuery, Manner, Preconditions, Refusal, Reply, Request, Role, SyncStatus, Target, Update,
};
use kith_core::entry::Tip;
use kith_core::identity::PublicKey;
use kith_core::path::Path;
use kith_core::sim::{Hostile, Story, Weather};
use kith_core::version::Version;
use kith_core::wire::{Frame, Glance, Glimpse, MAX_GLIMPSED};
use serde_json::{Value as Json, json};

const WRITTEN: usize = 400;
const PATIENCE: u64 = 60_000;
const SETTLE: u64 = 600_000;
/// Storing is what takes long.
const SLOW: Weather = Weather { latency: (50, 50), load: (1, 1), commit: (400, 400), ..Weather::FAIR };

fn path(text: &str) -> Path {
    Path::new(text.split('/')).unwrap()
}

fn get(story: &mut Story, node: usize, at: &str) -> Reply {
    let (space, path) = (story.space_ref(), path(at));
    story.world.ask_for(node, Request::Get { space, path, parents: Vec::new() }, PATIENCE).unwrap()
}

fn list(story: &mut Story, node: usize, prefix: &str, start: &str, limit: usize) -> (Vec<Item>, bool) {
    let query = ListQuery { start: Some(start.to_owned()), end: None, limit, reverse: false, values: true };
    let request = Request::List { space: story.space_ref(), prefix: path(prefix), query };
    match story.world.ask_for(node, request, PATIENCE) {
        Some(Reply::List { items, early, .. }) => (items, early),
        other => panic!("no listing: {other:?}"),
    }
}

/// A space in which much was written, and a newcomer that has just been let in.
fn arriving(seed: u64) -> Result<Story, String> {
    arriving_with(seed, |_| {})
}

/// The same where this was done last.
fn arriving_with(seed: u64, last: impl FnOnce(&mut Story)) -> Result<Story, String> {
    let mut story = Story::begin(seed, 2)?;
    for number in 0..WRITTEN {
        story.write(0, &format!("notes/{number}"), json!({"text": "long ".repeat(6_000), "n": number}), true);
        story.world.run(5);
    }
    story.write(0, "notes/7", json!("last"), true);
    last(&mut story);
    story.world.run(1_000);
    // Written twice.
    story.ledger.promises.retain(|promise| promise.path != "notes/7");
    story.world.weather = SLOW;
    if std::env::var_os("TRACE").is_some() {
        story.world.trace = Some(|line| eprintln!("{line}"));
    }
    let joined = story.world.ask_for(1, Request::Join { invite: story.writer_link.clone() }, PATIENCE);
    if !matches!(joined, Some(Reply::Joined(_))) {
        return Err(format!("not joined: {joined:?}"));
    }
    story.members.push((1, Role::Writer));
    Ok(story)
}

fn is_half_there(story: &mut Story) -> Result<(), String> {
    let there = story.status_of_space(1, "entries").unwrap_or_default() as usize;
    let coming = story.status_of_space(1, "arriving").unwrap_or_default();
    if there > WRITTEN * 3 / 4 || coming == 0 {
        return Err(format!("{there} of {WRITTEN} entries are there, {coming} are said to be coming"));
    }
    Ok(())
}

#[test]
fn a_newcomer_reads_and_lists_the_last_first() {
    for_each_seed(3, 50, |seed| {
        let mut story = arriving(seed)?;
        for (at, expected) in [("notes/399/n", json!(399)), ("notes/7", json!("last"))] {
            match get(&mut story, 1, at) {
                Reply::Value { body: Body::Json(value), version, sync: SyncStatus::Arriving, facts } => {
                    assert_eq!((value, facts.early), (expected, true));
                    assert_eq!(version, [], "it counts for no version before its log has come");
                }
                other => return Err(format!("{at}: {other:?}")),
            }
        }
        let (items, early) = list(&mut story, 1, "notes", "395", 5);
        let names: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
        assert_eq!((names, early), (vec!["395", "396", "397", "398", "399"], true));
        let Some(Body::Json(value)) = &items[0].value else { panic!("no value") };
        assert_eq!(value["n"], json!(395));
        is_half_there(&mut story)?;
        story.settle(SETTLE)?;
        match get(&mut story, 1, "notes/399/n") {
            Reply::Value { version, sync: SyncStatus::Peers(_), facts, .. } => {
                assert_eq!((version.len(), facts.early), (1, false));
            }
            other => return Err(format!("afterwards: {other:?}")),
        }
        assert_eq!(story.status_of_space(1, "arriving"), Some(0));
        story.check()
    });
}

#[test]
fn who_asks_waits_for_no_more_than_what_is_being_stored() {
    for_each_seed(3, 50, |seed| {
        let mut story = arriving(seed)?;
        let commit = SLOW.commit.1;
        // There and back, and some steps.
        let early = 2 * SLOW.latency.1 + 50;
        for (at, limit) in [("notes/399/n", early), ("notes/398/n", early), ("nothing/here", early + 3 * commit)] {
            story.world.run(commit);
            let began = story.world.now();
            let reply = get(&mut story, 1, at);
            let took = story.world.now() - began;
            if took > limit {
                return Err(format!("{at} took {took} ms: {reply:?}"));
            }
        }
        is_half_there(&mut story)?;
        assert_eq!(get(&mut story, 1, "nothing/here"), Reply::Refused(Refusal::NotYet));
        story.settle(SETTLE)?;
        assert_eq!(get(&mut story, 1, "nothing/here"), Reply::Refused(Refusal::NotFound));
        story.check()
    });
}

#[test]
fn who_follows_a_place_sees_it_early_and_then_as_it_is() {
    for_each_seed(3, 50, |seed| {
        let mut story = arriving(seed)?;
        let target = Target::Value { space: story.space_ref(), path: path("notes/398"), parents: None };
        let Some(Reply::Subscribed(open)) = story.world.ask_for(1, Request::Subscribe(target), PATIENCE) else {
            return Err("no subscription".to_owned());
        };
        let (mut told, mut complete): (Option<Json>, Vec<Version>) = (None, Vec::new());
        story.world.pull(1, open);
        let mut early = false;
        for _ in 0..1_000 {
            while let Some(update) = story.world.update(1, open) {
                let Update::Value { body, version, facts, .. } = update else { panic!("{update:?}") };
                told = body.map(|body| match body {
                    Body::Json(json) => json,
                    other => panic!("{other:?}"),
                });
                early |= facts.early && told.is_some();
                complete = version;
                story.world.pull(1, open);
            }
            story.world.run(20);
            if early && complete.len() == 1 {
                break;
            }
            if told.is_some() && !early {
                return Err("it was not told early".to_owned());
            }
        }
        assert_eq!(told.unwrap()["n"], json!(398));
        assert_eq!((early, complete.len()), (true, 1));
        story.settle(SETTLE)?;
        story.check()
    });
}

#[test]
fn what_is_written_over_something_early_wins() {
    for_each_seed(3, 50, |seed| {
        let mut story = arriving(seed)?;
        get(&mut story, 1, "notes/399");
        let change = Change::Put(Body::Json(json!({"n": "mine"})));
        let write = Request::Write {
            space: story.space_ref(),
            path: path("notes/399"),
            change,
            conditions: Preconditions::default(),
            manner: Manner::default(),
            id: None,
            purge: false,
        };
        match story.world.ask_for(1, write, PATIENCE) {
            Some(Reply::Written { created: false, .. }) => {}
            other => return Err(format!("not written over what is seen: {other:?}")),
        }
        is_half_there(&mut story)?;
        story.ledger.promises.retain(|promise| promise.path != "notes/399");
        story.settle(SETTLE)?;
        for node in [0, 1] {
            match get(&mut story, node, "notes/399") {
                // The text it saw and did not name is gone with it.
                Reply::Value { body: Body::Json(value), .. } => assert_eq!(value, json!({"n": "mine"}), "at {node}"),
                other => return Err(format!("{other:?}")),
            }
        }
        story.alike()
    });
}

#[test]
fn looking_early_changes_nothing_in_the_end() {
    for_each_seed(6, 300, |seed| {
        let mut story = Story::joined(seed, 3)?;
        for _ in 0..30 {
            for node in 0..3 {
                story.write_own(node);
                story.write_shared(node);
            }
            story.world.run(50);
        }
        story.settle(SETTLE)?;
        let late = story.world.add();
        story.world.weather = Weather { commit: (1, 800), ..Weather::STORM };
        story.ask_to_join(late, Role::Writer);
        for _ in 0..60 {
            let at = story.world.dice.below(3);
            let space = story.space_ref();
            let query = ListQuery { start: None, end: None, limit: 10, reverse: false, values: true };
            let request = match at {
                0 => Request::Get { space, path: Path::root(), parents: Vec::new() },
                1 => Request::Get { space, path: path("shared"), parents: Vec::new() },
                _ => Request::List { space, prefix: Path::root(), query },
            };
            story.world.ask(late, request);
            if story.world.dice.once_in(4) {
                story.write_shared(late);
            }
            let pause = story.world.dice.within((10, 2_000));
            story.world.run(pause);
            if story.world.dice.once_in(12) {
                story.crash(late);
            }
        }
        story.calm();
        story.settle(SETTLE)?;
        story.check()
    });
}

type Asked = (Story, Hostile, Vec<Vec<u8>>, Glance);

/// Two members, of whom one turns hostile: it says that its log is much longer, and the other asks for it. Gives the question that
/// comes when the other then looks at `evil`.
fn asked_by_victim(seed: u64) -> Result<Asked, String> {
    let mut story = Story::joined(seed, 3)?;
    for node in 0..3 {
        story.write_own(node);
    }
    story.settle(SETTLE)?;
    let mut hostile = Hostile::possess(&mut story, 2).ok_or("the member could not be taken over")?;
    story.members.retain(|(node, _)| *node != 2);
    let own = hostile.log.len();
    for number in 0..30 {
        let now = story.world.now();
        hostile.write("real", &number.to_string(), now);
    }
    let real: Vec<Vec<u8>> = hostile.log.iter().skip(own).map(|entry| entry.raw().to_vec()).collect();
    let tip = hostile.tip();
    hostile.log.truncate(own);
    hostile.greet(&mut story.world, 1);
    hostile.claim(&mut story.world, 1, tip);
    story.world.run(200);
    while story.world.heard(2).is_some() {}
    let space = story.space_ref();
    story.world.ask(1, Request::Get { space, path: path("evil"), parents: Vec::new() });
    story.world.run(200);
    while let Some(frame) = story.world.heard(2) {
        if let Frame::Glance(_, glance) = frame {
            return Ok((story, hostile, real, glance));
        }
    }
    Err("it was not asked".to_owned())
}

fn glimpse(glance: &Glance, entries: Vec<Vec<u8>>) -> Glimpse {
    Glimpse { number: glance.number, next: Vec::new(), seen: vec![(Vec::new(), vec![0xff])], entries }
}

fn is_there(story: &mut Story, at: &str) -> bool {
    match get(story, 1, at) {
        Reply::Value { .. } => true,
        Reply::Refused(Refusal::NotFound | Refusal::NotYet) => false,
        other => panic!("{other:?}"),
    }
}

fn refused(story: &Story, what: &str) -> Result<(), String> {
    let all = &story.world.nodes[1].refused;
    if all.contains_key(what) { Ok(()) } else { Err(format!("nothing was refused as `{what}`, only {all:?}")) }
}

/// The victim is shown a write that stands in no log yet, further on in the hostile peer's own.
fn lie(story: &mut Story, hostile: &mut Hostile, glance: &Glance, at: &str) {
    let (len, now) = (hostile.tip().len, story.world.now());
    let lie = hostile.op(Tip { len: len + 5, hash: [9; 32] }, at, "evil", now);
    hostile.say(&mut story.world, 1, &Frame::Glimpse(story.space, glimpse(glance, vec![lie.raw().to_vec()])));
    story.world.run(200);
}

fn unharmed(mut story: Story) -> Result<(), String> {
    story.settle(SETTLE)?;
    for node in 0..2 {
        story.write_own(node);
    }
    story.settle(SETTLE)?;
    if is_there(&mut story, "evil") {
        return Err("the attack got in".to_owned());
    }
    story.check()
}

#[test]
fn what_is_not_in_the_log_goes_once_the_log_is_there() {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut hostile, real, glance) = asked_by_victim(seed)?;
        lie(&mut story, &mut hostile, &glance, "evil");
        // Whoever may write there is believed, for as long as their log is on its way.
        assert!(is_there(&mut story, "evil"));
        let entries: Vec<&[u8]> = real.iter().map(Vec::as_slice).collect();
        hostile.push(&mut story.world, 1, &entries);
        assert!(is_there(&mut story, "real") && !is_there(&mut story, "evil"));
        unharmed(story)
    });
}

#[test]
fn what_is_in_nobodys_log_goes_with_who_said_it() {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut hostile, _, glance) = asked_by_victim(seed)?;
        lie(&mut story, &mut hostile, &glance, "evil");
        assert!(is_there(&mut story, "evil"));
        story.world.divide(|node| u64::from(node == 2));
        story.world.run(20_000);
        assert!(!is_there(&mut story, "evil"));
        unharmed(story)
    });
}

#[test]
fn what_is_written_just_as_it_is_seen_early_stays_when_that_goes() {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut hostile, _, glance) = asked_by_victim(seed)?;
        lie(&mut story, &mut hostile, &glance, "evil/field");
        let Reply::Value { body: seen, facts, .. } = get(&mut story, 1, "evil") else { panic!("it is not seen") };
        assert!(facts.early);
        assert_eq!(seen, Body::Json(json!({"field": "evil"})));
        let write = Request::Write {
            space: story.space_ref(),
            path: path("evil"),
            change: Change::Put(seen.clone()),
            conditions: Preconditions::default(),
            manner: Manner::default(),
            id: None,
            purge: false,
        };
        let written = story.world.ask_for(1, write, PATIENCE);
        assert!(matches!(&written, Some(Reply::Written { version, .. }) if version.len() == 1), "{written:?}");
        story.world.divide(|node| u64::from(node == 2));
        story.settle(SETTLE)?;
        for node in [0, 1] {
            match get(&mut story, node, "evil") {
                Reply::Value { body, version, facts, .. } => {
                    assert_eq!((&body, version.len(), facts.early), (&seen, 1, false), "at {node}");
                }
                other => return Err(format!("at {node}: {other:?}")),
            }
        }
        story.alike()
    });
}

#[test]
fn what_never_comes_in_its_log_goes_after_a_while() {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut hostile, _, glance) = asked_by_victim(seed)?;
        lie(&mut story, &mut hostile, &glance, "evil");
        assert!(is_there(&mut story, "evil"));
        // Who said it stays, and goes on saying that its log is that long.
        for minute in 0..11 {
            assert!(minute >= 5 || is_there(&mut story, "evil"));
            story.world.run(60_000);
            let len = hostile.tip().len + 30;
            hostile.claim(&mut story.world, 1, Tip { len, hash: [8; 32] });
        }
        story.world.run(1_000);
        assert!(!is_there(&mut story, "evil"));
        unharmed(story)
    });
}

#[test]
fn what_was_moved_is_not_shown_where_it_was() {
    for_each_seed(2, 50, |seed| {
        let mut story = arriving_with(seed, |story| {
            story.write(0, "old", json!({"stays": 1, "goes": 2}), true);
            story.world.run(100);
            let (space, from, to) = (story.space_ref(), path("old/goes"), path("new"));
            let request = Request::Move { space, from, to, conditions: Preconditions::default(), id: None };
            let moved = story.world.ask_for(0, request, PATIENCE);
            assert!(matches!(moved, Some(Reply::Written { .. })), "{moved:?}");
        })?;
        // The one entry says both, and one of them is no longer so.
        assert!(!is_there(&mut story, "old/goes") && !is_there(&mut story, "old/stays"));
        is_half_there(&mut story)?;
        story.settle(SETTLE)?;
        assert!(is_there(&mut story, "new") && is_there(&mut story, "old/stays") && !is_there(&mut story, "old/goes"));
        story.alike()
    });
}

#[test]
fn forged_entries_end_the_link() {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut hostile, _, glance) = asked_by_victim(seed)?;
        let now = story.world.now();
        let mut raw = hostile.op(Tip { len: 20, hash: [9; 32] }, "evil", "evil", now);
        let signature = raw.signed_part().len() - 1;
        let mut bytes = raw.raw().to_vec();
        bytes[signature] ^= 1;
        hostile.say(&mut story.world, 1, &Frame::Glimpse(story.space, glimpse(&glance, vec![bytes])));
        story.world.run(200);
        refused(&story, "bad-signature")?;
        assert!(story.world.nodes[1].hung_up.contains_key("bad-signature"));
        // Nor does it count in another space.
        let (mut story, mut hostile, _, glance) = asked_by_victim(seed + 1_000)?;
        hostile.space = PublicKey([8; 32]);
        raw = hostile.op(Tip { len: 20, hash: [9; 32] }, "evil", "evil", now);
        hostile.say(&mut story.world, 1, &Frame::Glimpse(story.space, glimpse(&glance, vec![raw.raw().to_vec()])));
        story.world.run(200);
        refused(&story, "wrong-space")?;
        unharmed(story)
    });
}

#[test]
fn who_is_no_member_is_not_believed_and_not_answered() {
    for_each_seed(2, 50, |seed| {
        let (mut story, hostile, _, glance) = asked_by_victim(seed)?;
        let mut stranger = Hostile::stranger(&mut story);
        stranger.epoch = hostile.epoch.clone();
        let now = story.world.now();
        let entry = stranger.op(Tip { len: 3, hash: [9; 32] }, "evil", "evil", now);
        hostile.say(&mut story.world, 1, &Frame::Glimpse(story.space, glimpse(&glance, vec![entry.raw().to_vec()])));
        story.world.run(200);
        refused(&story, "early-not-allowed")?;
        assert!(!is_there(&mut story, "evil"));
        stranger.greet(&mut story.world, 1);
        let question = Glance { number: 1, path: Path::root(), each: 0, from: Vec::new() };
        stranger.say(&mut story.world, 1, &Frame::Glance(story.space, question));
        story.world.run(1_000);
        while let Some(frame) = story.world.heard(stranger.node) {
            assert!(!matches!(frame, Frame::Glimpse(..)), "a stranger was answered");
        }
        refused(&story, "not-a-member")?;
        unharmed(story)
    });
}

#[test]
fn what_was_not_asked_for_is_not_shown() {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut hostile, _, glance) = asked_by_victim(seed)?;
        let (len, now) = (hostile.tip().len, story.world.now());
        let other = hostile.op(Tip { len: len + 5, hash: [9; 32] }, "other", "other", now).raw().to_vec();
        let evil = hostile.op(Tip { len: len + 6, hash: [9; 32] }, "evil", "evil", now).raw().to_vec();
        let mut answer = glimpse(&glance, vec![other.clone(), evil]);
        // It says itself that this is not what it tells of.
        answer.seen = vec![(b"f\0".to_vec(), vec![0xff])];
        hostile.say(&mut story.world, 1, &Frame::Glimpse(story.space, answer.clone()));
        hostile.say(&mut story.world, 1, &Frame::Glimpse(story.space, answer.clone()));
        answer.number += 1;
        hostile.say(&mut story.world, 1, &Frame::Glimpse(story.space, answer));
        story.world.run(200);
        refused(&story, "unasked-glimpse")?;
        assert_eq!(story.world.nodes[1].refused["unasked-glimpse"], 2);
        assert!(!is_there(&mut story, "evil"));
        let (items, early) = list(&mut story, 1, "other", "a", 5);
        assert!(items.is_empty() && !early);
        let many = glimpse(&glance, vec![other; MAX_GLIMPSED + 1]);
        hostile.say(&mut story.world, 1, &Frame::Glimpse(story.space, many));
        story.world.run(200);
        refused(&story, "malformed-frame")?;
        unharmed(story)
    });
}

#[test]
fn questions_without_end_are_refused() {
    for_each_seed(2, 50, |seed| {
        let (mut story, hostile, _, _) = asked_by_victim(seed)?;
        for number in 0..200 {
            let question = Glance { number, path: Path::root(), each: number % 3, from: Vec::new() };
            hostile.say(&mut story.world, 1, &Frame::Glance(story.space, question));
        }
        story.world.run(1_000);
        refused(&story, "glance-flood")?;
        unharmed(story)
    });
}
