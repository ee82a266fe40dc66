//! Who is where: seen by members at once, gone with its owner, and harmless whatever a member sends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{Refusal, Reply, Request, Selections, SubscriptionId, Target, Update};
use kith_core::path::Path;
use kith_core::peer::Input;
use kith_core::sim::{Hostile, NodeId, Story};
use kith_core::wire::{Frame, MAX_PRESENT, Present};
use serde_json::{Value as Json, json};

/// How long an answer or news from a member may take, in milliseconds.
const SOON: u64 = 5_000;

fn path() -> Path {
    Path::new(["texts", "plan"]).unwrap()
}

fn follow(story: &mut Story, node: NodeId, client: &str) -> Result<SubscriptionId, String> {
    let target = Target::Cursors { space: story.space_ref(), path: path(), client: Some(client.to_owned()) };
    match story.world.ask_for(node, Request::Subscribe(target), SOON) {
        Some(Reply::Subscribed(open)) => Ok(open),
        other => Err(format!("not subscribed: {other:?}")),
    }
}

fn present(story: &mut Story, node: NodeId, client: &str, at: Json) -> Option<Reply> {
    let selections = Selections::read(at).unwrap();
    let request = Request::Present { space: story.space_ref(), path: path(), client: client.to_owned(), selections };
    story.world.ask_for(node, request, SOON)
}

fn at(point: u64) -> Json {
    json!([{ "from": point, "to": point, "name": "Ada" }])
}

fn cursors(story: &mut Story, node: NodeId) -> Json {
    let request = Request::Cursors { space: story.space_ref(), path: path() };
    match story.world.ask_for(node, request, SOON) {
        Some(Reply::Document(cursors)) => cursors,
        other => panic!("{other:?}"),
    }
}

/// Lets time pass until a peer sees exactly this.
fn sees(story: &mut Story, node: NodeId, expected: &Json) -> Result<(), String> {
    let mut last = Json::Null;
    for _ in 0..SOON / 50 {
        last = cursors(story, node);
        if last == *expected {
            return Ok(());
        }
        story.world.run(50);
    }
    Err(format!("peer {node} sees {last}, not {expected}"))
}

/// The next thing a follower is told.
fn told(story: &mut Story, node: NodeId, open: SubscriptionId) -> Result<Update, String> {
    story.world.pull(node, open);
    for _ in 0..SOON / 50 {
        if let Some(update) = story.world.update(node, open) {
            return Ok(update);
        }
        story.world.run(50);
    }
    Err(format!("peer {node} was told nothing"))
}

#[test]
fn members_see_who_is_where_until_they_leave() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 3)?;
        match present(&mut story, 1, "ada", at(1)) {
            Some(Reply::Refused(Refusal::TooEarly)) => {}
            other => return Err(format!("present before following: {other:?}")),
        }
        let ben = follow(&mut story, 0, "ben")?;
        assert_eq!(told(&mut story, 0, ben)?, Update::Cursors { cursors: vec![], whole: true });
        let ada = follow(&mut story, 1, "ada")?;
        assert_eq!(present(&mut story, 1, "ada", at(1)), Some(Reply::Present));
        let moved = |point| Update::Cursors {
            cursors: vec![("ada".to_owned(), Some(Selections::read(at(point)).unwrap()))],
            whole: false,
        };
        assert_eq!(told(&mut story, 0, ben)?, moved(1));
        sees(&mut story, 2, &json!({ "ada": at(1) }))?;
        // She is not told of herself.
        assert_eq!(told(&mut story, 1, ada)?, Update::Cursors { cursors: vec![], whole: true });
        // Many moves are few frames, and the last one counts.
        story.world.wire = Some(Vec::new());
        for point in 0..100 {
            present(&mut story, 1, "ada", at(point));
        }
        let before = story.world.now();
        sees(&mut story, 0, &json!({ "ada": at(99) }))?;
        sees(&mut story, 2, &json!({ "ada": at(99) }))?;
        let frames = story.world.wire.take().unwrap_or_default();
        let frames = frames.iter().filter(|frame| matches!(Frame::decode(frame), Ok(Frame::Presence(..)))).count();
        let most = 2 * ((story.world.now() - before) / 100 + 3);
        if frames as u64 > most {
            return Err(format!("{frames} frames for 100 moves, not {most}"));
        }
        assert_eq!(told(&mut story, 0, ben)?, moved(99));
        story.world.input(1, Input::Unsubscribe(ada));
        assert_eq!(
            told(&mut story, 0, ben)?,
            Update::Cursors { cursors: vec![("ada".to_owned(), None)], whole: false }
        );
        sees(&mut story, 2, &json!({}))
    });
}

#[test]
fn presence_ends_with_its_peer_and_comes_back_with_the_link() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 3)?;
        follow(&mut story, 1, "ada")?;
        present(&mut story, 1, "ada", at(7));
        sees(&mut story, 0, &json!({ "ada": at(7) }))?;
        story.world.divide(|node| node as u64);
        story.world.run(10_000);
        assert_eq!(cursors(&mut story, 0), json!({}));
        assert_eq!(cursors(&mut story, 1), json!({ "ada": at(7) }), "who is alone still sees herself");
        story.world.unite();
        story.world.run(30_000);
        sees(&mut story, 0, &json!({ "ada": at(7) }))?;
        story.world.crash(1);
        story.world.run(10_000);
        sees(&mut story, 0, &json!({}))?;
        story.world.start(1);
        story.world.run(30_000);
        assert_eq!(cursors(&mut story, 1), json!({}), "nothing of it was stored");
        sees(&mut story, 0, &json!({}))
    });
}

#[test]
fn one_device_shows_so_many_and_no_more() {
    for_each_seed(1, 5, |seed| {
        let mut story = Story::joined(seed, 2)?;
        for n in 0..MAX_PRESENT {
            follow(&mut story, 0, &format!("c{n}"))?;
            assert_eq!(present(&mut story, 0, &format!("c{n}"), at(n as u64)), Some(Reply::Present));
        }
        follow(&mut story, 0, "more")?;
        assert!(matches!(present(&mut story, 0, "more", at(1)), Some(Reply::Refused(Refusal::TooMany(_)))));
        present(&mut story, 0, "c0", json!([]));
        assert_eq!(present(&mut story, 0, "more", at(1)), Some(Reply::Present));
        story.world.run(1_000);
        assert_eq!(cursors(&mut story, 1).as_object().unwrap().len(), MAX_PRESENT);
        Ok(())
    });
}

#[test]
fn nonsense_floods_and_strangers_harm_nobody() {
    for_each_seed(2, 50, |seed| {
        let mut story = Story::joined(seed, 3)?;
        follow(&mut story, 0, "me")?;
        present(&mut story, 0, "me", at(3));
        let hostile = Hostile::possess(&mut story, 2).ok_or("the member could not be taken over")?;
        let stranger = Hostile::stranger(&mut story);
        let say = |story: &mut Story, from: &Hostile, stamp, client: &str, selections: &str| {
            let present = Present { path: path(), client: client.to_owned(), selections: selections.to_owned() };
            from.say(&mut story.world, 0, &Frame::Presence(from.space, stamp, vec![present]));
            story.world.run(500);
        };
        stranger.greet(&mut story.world, 0);
        say(&mut story, &stranger, 1, "stranger", &at(1).to_string());
        assert_eq!(cursors(&mut story, 0), json!({ "me": at(3) }));
        hostile.greet(&mut story.world, 0);
        for nonsense in ["", "{", "[1]", "[]", "\"}, \"x\": 1", "[{\"from\":-1,\"to\":0}]"] {
            say(&mut story, &hostile, 1, "evil", nonsense);
        }
        say(&mut story, &hostile, 2, "", &at(1).to_string());
        assert_eq!(cursors(&mut story, 0), json!({ "me": at(3) }));
        say(&mut story, &hostile, 9, "me", &at(666).to_string());
        assert_eq!(cursors(&mut story, 0), json!({ "me": at(3) }), "nobody speaks for another peer's people");
        say(&mut story, &hostile, 10, "evil", &at(5).to_string());
        say(&mut story, &hostile, 4, "late", &at(6).to_string());
        assert_eq!(cursors(&mut story, 0), json!({ "me": at(3), "evil": at(5) }), "an overtaken frame says nothing");
        for stamp in 100..1_000 {
            hostile.say(&mut story.world, 0, &Frame::Presence(hostile.space, stamp, Vec::new()));
        }
        story.world.run(2_000);
        let node = &story.world.nodes[0];
        assert!(node.refused.contains_key("malformed-presence"), "{:?}", node.refused);
        assert!(node.refused.contains_key("presence-flood") && node.hung_up.contains_key("presence-flood"));
        assert_eq!(cursors(&mut story, 0), json!({ "me": at(3) }));
        story.members.retain(|(node, _)| *node != 2);
        sees(&mut story, 1, &json!({ "me": at(3) }))
    });
}
