//! Clients with a history of their own (`Merge-Type: dt`) at one peer, beside editors of other kinds there and elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;
use crate::texts;

use common::for_each_seed;
use kith_core::api::{
    Change, Manner, Merge, Preconditions, Refusal, Reply, Request, RequestId, Role, SubscriptionId, Target, TextChange,
    TextEdit, TextEvent, TextSplice, Update,
};
use kith_core::sim::Story;
use kith_text::{Events, Splice};
use std::collections::VecDeque;
use texts::{Editor, at, edit, edited, put, spliced, text};

fn event(story: &Story, version: &str, parents: &[String], edit: TextEdit, client: Option<&str>) -> Request {
    let (parents, event) = (Some(parents.to_vec()), Some(version.to_owned()));
    Request::Write {
        space: story.space_ref(),
        path: at("t"),
        change: Change::Text(TextChange { parents, edit, event }),
        conditions: Preconditions::default(),
        manner: Manner { merge: Some(Merge::Text), client: client.map(str::to_owned), ..Manner::default() },
        id: None,
        purge: false,
    }
}

fn inner(splices: &[TextSplice]) -> Vec<Splice> {
    splices.iter().map(|(from, to, text)| Splice { pos: *from, len: to - from, text: text.clone() }).collect()
}

/// A client: what it knows is a history of events, which it was told of or made.
struct Client {
    name: String,
    events: Events,
    next: u32,
    unsent: VecDeque<TextEvent>,
    asked: Option<RequestId>,
    subscribing: Option<RequestId>,
    open: Option<SubscriptionId>,
    life: u64,
}

impl Client {
    fn new(name: &str) -> Client {
        Client {
            name: name.to_owned(),
            events: Events::new("-"),
            next: 0,
            unsent: VecDeque::new(),
            asked: None,
            subscribing: None,
            open: None,
            life: 0,
        }
    }

    fn tip(&self) -> Vec<String> {
        self.events.names(self.events.tip())
    }

    fn take(&mut self, event: &TextEvent) {
        let at = self.events.at(&event.parents).unwrap();
        self.events.put(&event.version, &at, &inner(&event.splices), None).unwrap();
    }

    fn type_in(&mut self, splices: Vec<TextSplice>) {
        self.next += splices.iter().map(|(from, to, text)| to - from + text.chars().count() as u32).sum::<u32>();
        let event = TextEvent { version: format!("{}-{}", self.name, self.next - 1), parents: self.tip(), splices };
        self.take(&event);
        self.unsent.push_back(event);
    }

    fn is_done(&self) -> bool {
        self.unsent.is_empty()
    }

    fn go_on(&mut self, story: &mut Story) -> Result<(), String> {
        let life = story.world.life(0);
        if !story.world.is_up(0) || self.life != life {
            (self.asked, self.subscribing, self.open, self.life) = (None, None, None, life);
        }
        if let Some(reply) = self.asked.and_then(|id| story.world.reply(0, id)) {
            self.asked = None;
            match reply {
                Reply::Written { merge: Merge::Text, .. } => drop(self.unsent.pop_front()),
                Reply::Refused(Refusal::Unavailable { .. } | Refusal::NoRoom | Refusal::Storage(_)) => {}
                other => return Err(format!("{:?} was not taken: {other:?}", self.unsent[0])),
            }
        }
        if let (None, Some(TextEvent { version, parents, splices })) = (self.asked, self.unsent.front()) {
            let edit = TextEdit::Splices(splices.clone());
            let request = event(story, version, parents, edit, Some(&self.name));
            self.asked = story.world.ask(0, request);
        }
        if let Some(reply) = self.subscribing.and_then(|id| story.world.reply(0, id)) {
            self.subscribing = None;
            match reply {
                Reply::Subscribed(open) => {
                    self.open = Some(open);
                    story.world.pull(0, open);
                }
                Reply::Refused(Refusal::Storage(_)) => {}
                other => return Err(format!("{} cannot follow from {:?}: {other:?}", self.name, self.tip())),
            }
        }
        // What it names must be known there.
        if self.open.is_none() && self.subscribing.is_none() && self.unsent.is_empty() {
            let parents = Some(self.tip()).filter(|tip| !tip.is_empty());
            let (space, path, client) = (story.space_ref(), at("t"), Some(self.name.clone()));
            let target = Target::Text { space, path, parents, client, events: true };
            self.subscribing = story.world.ask(0, Request::Subscribe(target));
        }
        while let Some(open) = self.open {
            let Some(update) = story.world.update(0, open) else { break };
            match update {
                Update::Events { whole, events, .. } => {
                    assert!(!whole || self.events.is_empty() || self.next > 0);
                    events.iter().for_each(|event| self.take(event));
                }
                Update::End(_) => self.open = None,
                Update::Value { body: None, .. } => {}
                other => return Err(format!("{} was told {other:?}", self.name)),
            }
            if self.open.is_some() {
                story.world.pull(0, open);
                story.world.run(5);
            }
        }
        Ok(())
    }
}

/// Replacements somewhere in a text of this length.
fn some(story: &mut Story, len: usize) -> Vec<TextSplice> {
    let pos = story.world.dice.below(len as u64 + 1) as usize;
    let gone = story.world.dice.below((len - pos).min(3) as u64 + 1) as u32;
    let text: String = "ä1x😀".chars().take(1 + story.world.dice.below(3) as usize).collect();
    let pos = pos as u32;
    vec![(pos, pos + gone, text)]
}

fn session(seed: u64) -> Result<(), String> {
    let mut story = Story::begin(seed, 2)?;
    story.ask_to_join(1, Role::Writer);
    story.settle(300_000)?;
    put(&mut story, 0, "t", "everybody")?;
    story.settle(300_000)?;
    let mut clients: Vec<Client> = ["zoe", "ada", "bob"].map(Client::new).into();
    let mut editors: Vec<Editor> = (0..3).map(|of| Editor::new(of % 2, "t", &format!("s{of}"))).collect();
    for _ in 0..60 {
        match story.world.dice.below(12) {
            0..4 => {
                let who = story.world.dice.below(3) as usize;
                if clients[who].open.is_some() || !clients[who].events.is_empty() {
                    let len = clients[who].events.len_at(clients[who].events.tip()) as usize;
                    let splices = some(&mut story, len);
                    clients[who].type_in(splices);
                }
            }
            4..7 => {
                let who = story.world.dice.below(3) as usize;
                let len = editors[who].text.chars().count();
                let splices = some(&mut story, len);
                editors[who].type_in(splices);
            }
            7 if story.world.dice.below(4) == 0 => {
                story.world.crash(0);
                story.world.start(0);
            }
            _ => {
                let pause = story.world.dice.below(200);
                story.world.run(pause);
            }
        }
        clients.iter_mut().try_for_each(|client| client.go_on(&mut story))?;
        editors.iter_mut().try_for_each(|editor| editor.go_on(&mut story))?;
    }
    for _ in 0..2_000 {
        story.world.run(50);
        clients.iter_mut().try_for_each(|client| client.go_on(&mut story))?;
        editors.iter_mut().try_for_each(|editor| editor.go_on(&mut story))?;
        let shown = text(&mut story, 0, "t")?.0;
        let others = text(&mut story, 1, "t")?.0;
        let done = clients.iter().all(Client::is_done) && editors.iter().all(Editor::is_done);
        let same = clients.iter().all(|client| client.events.text() == shown);
        if done && same && others == shown && editors.iter().all(|editor| editor.text == shown) {
            return Ok(());
        }
    }
    let texts: Vec<String> = clients.iter().map(|client| client.events.text()).collect();
    Err(format!("no common text: {:?}, clients {texts:?}", text(&mut story, 0, "t")))
}

#[test]
fn clients_with_histories_editors_and_another_peer_end_with_one_text() {
    for_each_seed(12, 1_000, session);
}

fn told(story: &mut Story, open: SubscriptionId) -> Option<Update> {
    story.world.pull(0, open);
    story.world.run(1_000);
    story.world.update(0, open)
}

fn follow(story: &mut Story, parents: &[&str]) -> Reply {
    let parents = (!parents.is_empty()).then(|| parents.iter().map(|name| (*name).to_owned()).collect());
    let target = Target::Text { space: story.space_ref(), path: at("t"), parents, client: None, events: true };
    story.world.ask_for(0, Request::Subscribe(target), 60_000).unwrap()
}

fn subscribed(reply: Reply) -> SubscriptionId {
    let Reply::Subscribed(open) = reply else { panic!("not subscribed: {reply:?}") };
    open
}

fn made(version: &str, parents: &[&str], splices: &[(u32, u32, &str)]) -> TextEvent {
    TextEvent {
        version: version.to_owned(),
        parents: parents.iter().map(|name| (*name).to_owned()).collect(),
        splices: splices.iter().map(|(from, to, text)| (*from, *to, (*text).to_owned())).collect(),
    }
}

fn send(story: &mut Story, event_: &TextEvent) -> Result<(), Refusal> {
    let edit = TextEdit::Splices(event_.splices.clone());
    let request = event(story, &event_.version, &event_.parents, edit, None);
    match story.world.ask_for(0, request, 60_000).unwrap() {
        Reply::Written { .. } => Ok(()),
        Reply::Refused(refusal) => Err(refusal),
        other => panic!("no answer to a write: {other:?}"),
    }
}

#[test]
fn each_edit_is_told_as_it_was_made_and_resumed_from_its_middle() {
    let mut story = Story::begin(7, 1).unwrap();
    let hello = made("ada-4", &[], &[(0, 0, "Hello")]);
    send(&mut story, &hello).unwrap();
    assert_eq!(text(&mut story, 0, "t").unwrap().0, "Hello");
    let open = subscribed(follow(&mut story, &[]));
    let first = Update::Events { whole: true, events: vec![hello.clone()], version: vec!["ada-4".into()] };
    assert_eq!(told(&mut story, open), Some(first));
    // Two at once, at the same state; each keeps its parents and its places.
    let (one, two) = (made("ada-6", &["ada-4"], &[(0, 1, "J")]), made("bob-0", &["ada-4"], &[(5, 5, "!")]));
    send(&mut story, &one).unwrap();
    send(&mut story, &two).unwrap();
    assert_eq!(text(&mut story, 0, "t").unwrap().0, "Jello!");
    let Some(Update::Events { whole: false, mut events, version }) = told(&mut story, open) else { panic!("not told") };
    let Some(Update::Events { events: more, .. }) = told(&mut story, open).filter(|_| events.len() == 1) else {
        assert_eq!((events, version), (vec![one.clone(), two.clone()], vec!["ada-6".into(), "bob-0".into()]));
        return;
    };
    events.extend(more);
    assert_eq!(events, [one.clone(), two.clone()]);

    // The same again, and what is known in part.
    send(&mut story, &two).unwrap();
    send(&mut story, &made("bob-2", &["ada-4"], &[(5, 5, "!??")])).unwrap();
    assert_eq!(text(&mut story, 0, "t").unwrap().0, "Jello!??");
    assert_eq!(
        told(&mut story, open),
        Some(Update::Events {
            whole: false,
            events: vec![made("bob-2", &["bob-0"], &[(6, 6, "??")])],
            version: vec!["ada-6".into(), "bob-2".into()]
        })
    );
    // Others' edits are edits of an agent of the peer's own, at all that is known.
    let plain = edit(&story, "t", None, TextEdit::Splices(vec![(0, 0, "> ".into())]), None, None);
    edited(&mut story, 0, plain).unwrap();
    let Some(Update::Events { events, version, .. }) = told(&mut story, open) else { panic!("not told") };
    assert!(version[0].starts_with("peer") && version[0].ends_with("-1"), "{version:?}");
    assert_eq!(events, [made(&version[0], &["ada-6", "bob-2"], &[(0, 0, "> ")])]);

    // After a restart it goes on, from the middle of an edit too.
    story.world.crash(0);
    story.world.start(0);
    story.world.run(1_000);
    let open = subscribed(follow(&mut story, &["ada-2"]));
    let Some(Update::Events { whole: false, events, .. }) = told(&mut story, open) else { panic!("not told") };
    assert_eq!(events[0], made("ada-4", &["ada-2"], &[(3, 3, "lo")]));
    assert_eq!(events[1..3], [one, two]);
    assert_eq!(events.len(), 5);
    assert!(matches!(follow(&mut story, &["ada-9"]), Reply::Refused(Refusal::VersionUnknown { .. })));
    let open = subscribed(follow(&mut story, &[&version[0]]));
    assert_eq!(told(&mut story, open), None);
}

#[test]
fn what_comes_too_early_waits_and_what_does_not_fit_is_refused() {
    let mut story = Story::begin(8, 1).unwrap();
    let second = made("ada-5", &["ada-4"], &[(5, 5, "!")]);
    let request = event(&story, &second.version, &second.parents, TextEdit::Splices(second.splices.clone()), None);
    let early = story.world.ask(0, request).unwrap();
    story.world.run(500);
    assert_eq!(story.world.reply(0, early), None, "answered before what it builds on");
    send(&mut story, &made("ada-4", &[], &[(0, 0, "Hello")])).unwrap();
    story.world.run(200);
    assert!(matches!(story.world.reply(0, early), Some(Reply::Written { .. })));
    assert_eq!(text(&mut story, 0, "t").unwrap().0, "Hello!");
    let never = send(&mut story, &made("bob-0", &["eve-3"], &[(0, 0, "x")]));
    assert!(matches!(never, Err(Refusal::VersionUnknown { .. })), "{never:?}");
    for wrong in [
        made("bob-0", &["ada-5"], &[(7, 7, "x")]),
        made("bob-0", &["ada-5"], &[(0, 0, "too many")]),
        made("ada-6", &["ada-4"], &[(0, 0, "x")]),
        made("ROOT-0", &["ada-5"], &[(0, 0, "x")]),
    ] {
        let refused = send(&mut story, &wrong);
        assert!(matches!(refused, Err(Refusal::Unprocessable(_))), "{wrong:?}: {refused:?}");
    }
    assert_eq!(text(&mut story, 0, "t").unwrap().0, "Hello!");
    // It is gone and comes again; who follows is told both.
    let open = subscribed(follow(&mut story, &["ada-5"]));
    assert_eq!(told(&mut story, open), None);
    let gone = Request::Write {
        space: story.space_ref(),
        path: at("t"),
        change: Change::Delete,
        conditions: Preconditions::default(),
        manner: Manner::default(),
        id: None,
        purge: false,
    };
    story.world.ask_for(0, gone, 60_000).unwrap();
    assert!(matches!(told(&mut story, open), Some(Update::Value { body: None, .. })));
    send(&mut story, &made("ada-7", &["ada-5"], &[(0, 0, "Ho")])).unwrap();
    assert_eq!(text(&mut story, 0, "t").unwrap().0, "Ho");
    let Some(Update::Events { whole: false, events, .. }) = told(&mut story, open) else { panic!("not told") };
    assert_eq!((events.len(), events[0].splices.as_slice()), (2, &[(0, 6, String::new())][..]));
    assert_eq!(spliced("Hello!", &events[0].splices), "");
    assert_eq!(events[1], made("ada-7", &["ada-5"], &[(0, 0, "Ho")]));
}

#[test]
fn the_history_of_clients_goes_with_a_text_that_is_moved_and_never_to_another() {
    for restart in [false, true] {
        let mut story = Story::begin(7, 1).unwrap();
        let go = |story: &mut Story, from: &str, to: &str| {
            let (from, to, conditions) = (at(from), at(to), Preconditions::default());
            let request = Request::Move { space: story.space_ref(), from, to, conditions, id: None };
            assert!(matches!(story.world.ask_for(0, request, 60_000), Some(Reply::Written { .. })));
            if restart {
                story.crash(0);
                story.world.start(0);
                story.world.run(1_000);
            }
        };
        send(&mut story, &made("ada-4", &[], &[(0, 0, "Hello")])).unwrap();
        go(&mut story, "t", "u");
        let late = made("ada-5", &["ada-4"], &[(5, 5, "!")]);
        // Nothing is at the old place …
        assert!(matches!(send(&mut story, &late), Err(Refusal::VersionUnknown { .. })));
        assert!(text(&mut story, 0, "t").is_err());
        // … or another text is, which was never at that state.
        put(&mut story, 0, "t", "new").unwrap();
        let open = subscribed(follow(&mut story, &[]));
        let Some(Update::Events { events, .. }) = told(&mut story, open) else { panic!("not told") };
        assert_eq!((events.len(), events[0].splices.as_slice()), (1, &[(0, 0, "new".to_owned())][..]));
        assert!(matches!(send(&mut story, &late), Err(Refusal::VersionUnknown { .. })));
        assert_eq!(text(&mut story, 0, "t").unwrap().0, "new");
        // Where the text is, its clients go on.
        go(&mut story, "t", "other");
        go(&mut story, "u", "t");
        send(&mut story, &late).unwrap();
        assert_eq!(text(&mut story, 0, "t").unwrap().0, "Hello!");
    }
}
