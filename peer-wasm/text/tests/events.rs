//! Clients with a history of their own, as those of diamond-types: they write at once with each other and with everybody
//! else, get each other's edits in any order, and end with one text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Dice, Seed, applied, seeds};
use kith_text::{Delta, Event, EventError, Events, Splice};

/// A client: a history of its own, of which it knows nothing but what it was told.
struct Client {
    name: String,
    events: Events,
    text: String,
    next: u32,
    /// What the peer has told it, and what it has not sent yet.
    upto: u32,
    unsent: Vec<Event>,
}

impl Client {
    fn take(&mut self, event: &Event) {
        let at = self.events.at(&event.parents).unwrap();
        let change = self.events.put(&event.version, &at, &event.splices, None).unwrap();
        self.text = applied(&self.text, &change.unwrap_or_default().edits());
        assert_eq!(self.text, self.events.text());
    }

    fn type_something(&mut self, dice: &mut Dice) {
        let splices = some_splices(dice, self.text.chars().count());
        let count: u32 = splices.iter().map(|one| one.len + one.text.chars().count() as u32).sum();
        if count == 0 {
            return;
        }
        let parents = self.events.names(self.events.tip());
        self.next += count;
        let event = Event { version: format!("{}-{}", self.name, self.next - 1), parents, splices };
        self.take(&event);
        self.unsent.push(event);
    }
}

fn some_splices(dice: &mut Dice, len: usize) -> Vec<Splice> {
    let (mut splices, mut at) = (Vec::new(), 0);
    for _ in 0..1 + dice.below(2) {
        let pos = at + dice.below(len - at + 1);
        let gone = dice.below((len - pos).min(4) + 1);
        let text: String = "é1x😀".chars().cycle().skip(dice.below(4)).take(dice.below(4)).collect();
        at = pos + gone;
        splices.push(Splice { pos: pos as u32, len: gone as u32, text });
        if at == len {
            break;
        }
    }
    splices.retain(|one| one.len > 0 || !one.text.is_empty());
    splices
}

fn reopened(events: &mut Events, rows: &mut Vec<Vec<u8>>) {
    for (number, row) in events.take_rows(b"note") {
        let number = number as usize;
        rows.resize(rows.len().max(number + 1), Vec::new());
        rows[number] = row;
    }
    let (again, note) = Events::load(rows.iter().map(Vec::as_slice)).unwrap();
    assert_eq!((again.text(), again.names(again.tip())), (events.text(), events.names(events.tip())));
    assert_eq!((note.as_slice(), again.len_at(again.tip())), (&b"note"[..], events.len_at(events.tip())));
    *events = again;
}

fn session(seed: u64) {
    let _seed = Seed(seed);
    let dice = &mut Dice::new(seed);
    let mut peer = Events::new("peer");
    let mut rows = Vec::new();
    // The text as everybody else sees it.
    let mut text = "everybody".to_owned();
    peer.follow(&Delta::of_splices(&[Splice { pos: 0, len: 0, text: text.clone() }])).unwrap();
    let mut clients: Vec<Client> = (0..3)
        .map(|at| Client {
            name: ["zoe", "ada", "peer2"][at].to_owned(),
            events: Events::new("-"),
            text: String::new(),
            next: 0,
            upto: 0,
            unsent: Vec::new(),
        })
        .collect();
    for round in 0..80 {
        match dice.below(5) {
            0 | 1 => {
                let who = dice.below(3);
                clients[who].type_something(dice);
            }
            2 => {
                // One of its edits arrives, whole, or with part of it known, or too early.
                let who = dice.below(3);
                let client = &mut clients[who];
                if client.unsent.len() > 1 && dice.one_in(3) {
                    let early = &client.unsent[1];
                    let known =
                        peer.at(&early.parents).and_then(|at| peer.put(&early.version, &at, &early.splices, None));
                    assert!(matches!(known, Err(EventError::Missing(_))), "{known:?}");
                }
                if client.unsent.is_empty() {
                    continue;
                }
                let event = client.unsent.remove(0);
                let at = peer.at(&event.parents).unwrap();
                let mark = peer.mark();
                let change = peer.put(&event.version, &at, &event.splices, Some(&client.name)).unwrap().unwrap();
                if dice.one_in(3) {
                    peer.back_to(mark);
                    let again = peer.put(&event.version, &at, &event.splices, Some(&client.name)).unwrap().unwrap();
                    assert_eq!(again, change, "what is taken back leaves nothing");
                }
                assert_eq!(peer.put(&event.version, &at, &event.splices, None), Ok(None), "known");
                text = applied(&text, &change.edits());
                assert_eq!(text, peer.text());
            }
            3 => {
                // Others write.
                let splices = some_splices(dice, text.chars().count());
                let change = Delta::of_splices(&splices);
                text = applied(&text, &change.edits());
                peer.follow(&change).unwrap();
                assert_eq!(text, peer.text());
            }
            _ => {
                let client = &mut clients[dice.below(3)];
                let (told, upto) = peer.told(&[], client.upto, Some(&client.name));
                client.upto = upto;
                told.iter().for_each(|event| client.take(event));
            }
        }
        if round % 8 == 7 {
            reopened(&mut peer, &mut rows);
        }
    }
    for client in &mut clients {
        for event in std::mem::take(&mut client.unsent) {
            let at = peer.at(&event.parents).unwrap();
            peer.put(&event.version, &at, &event.splices, Some(&client.name)).unwrap();
        }
    }
    reopened(&mut peer, &mut rows);
    for client in &mut clients {
        // It resumes by what it has, which may be in the middle of what others made, and takes what it knows again.
        let (told, _) = peer.told(&[], client.upto, None);
        told.iter().for_each(|event| client.take(event));
        assert_eq!(client.text, peer.text());
    }
    // Somebody new, who gets part of one edit first.
    let mut late = Events::new("-");
    let (all, _) = peer.told(&[], 0, None);
    for event in &all {
        let (agent, last) = kith_text::event_name(&event.version).unwrap();
        let count: u32 = event.splices.iter().map(|one| one.len + one.text.chars().count() as u32).sum();
        let middle = last + 1 - count + dice.below(count as usize) as u32;
        let (rest, _) = peer.told(&peer.at(&[format!("{agent}-{middle}")]).unwrap(), 0, None);
        if middle < last {
            let left = rest.iter().find(|one| one.version == event.version).unwrap();
            assert_eq!(left.parents, [format!("{agent}-{middle}")]);
            let grown = |splices: &[Splice]| Delta::of_splices(splices).growth();
            let len = |names: &[String]| i64::from(peer.len_at(&peer.at(names).unwrap()));
            assert_eq!(len(&left.parents) + grown(&left.splices), len(std::slice::from_ref(&event.version)));
        }
        let at = late.at(&event.parents).unwrap();
        late.put(&event.version, &at, &event.splices, None).unwrap();
    }
    assert_eq!(late.text(), peer.text());
}

#[test]
fn clients_with_histories_and_everybody_else_end_with_one_text() {
    seeds(40, 4000).for_each(session);
}

#[test]
fn an_edit_of_which_part_is_known_is_taken_from_there() {
    let splice = |pos, len, text: &str| [Splice { pos, len, text: text.into() }];
    let mut peer = Events::new("peer");
    peer.put("ada-4", &[], &splice(0, 0, "Hello"), None).unwrap();
    // The first two of five events: the deletion of "lo" goes from its end.
    let at = peer.at(&["ada-4".to_owned()]).unwrap();
    peer.put("ada-5", &at, &splice(4, 1, ""), None).unwrap();
    assert_eq!(peer.text(), "Hell");
    peer.put("ada-8", &at, &splice(3, 2, "p!"), None).unwrap();
    assert_eq!(peer.text(), "Help!");
    // A state in the middle of an edit.
    let middle = peer.at(&["ada-7".to_owned()]).unwrap();
    assert_eq!(peer.len_at(&middle), 4);
    let change = peer.put("bob-0", &middle, &splice(4, 0, "?"), None).unwrap().unwrap();
    assert_eq!(change.growth(), 1);
    assert!(["Help!?", "Help?!"].contains(&peer.text().as_str()), "{}", peer.text());
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let splice = |pos, len, text: &str| [Splice { pos, len, text: text.into() }];
    let mut peer = Events::new("peer");
    peer.follow(&Delta::of_splices(&splice(0, 0, "abc"))).unwrap();
    let tip = peer.tip().to_vec();
    assert!(matches!(peer.put("peer-3", &tip, &splice(0, 0, "x"), None), Err(EventError::Name(_))));
    assert!(matches!(peer.put("ROOT-0", &tip, &splice(0, 0, "x"), None), Err(EventError::Name(_))));
    assert!(matches!(peer.put("ada-0", &tip, &splice(0, 0, "xy"), None), Err(EventError::Name(_))));
    assert_eq!(peer.put("ada-0", &tip, &splice(3, 1, ""), None), Err(EventError::Range(3)));
    assert_eq!(peer.put("ada-3", &tip, &splice(0, 0, "x"), None), Err(EventError::Missing(vec!["ada-2".into()])));
    assert_eq!(peer.at(&["peer-3".to_owned()]), Err(EventError::Missing(vec!["peer-3".into()])));
    assert!(peer.put("ada-0", &tip, &splice(0, 0, "x"), None).unwrap().is_some());
    let aside = peer.put("ada-1", &tip, &splice(0, 0, "y"), None);
    assert!(matches!(aside, Err(EventError::Name(_))), "concurrent with itself: {aside:?}");
    assert_eq!((peer.text(), peer.len()), ("xabc".to_owned(), 2));
    let mut rows: Vec<Vec<u8>> = Vec::new();
    reopened(&mut peer, &mut rows);
    rows[1][3] ^= 1;
    assert!(Events::load(rows.iter().map(Vec::as_slice)).is_err(), "damage is found");
}
