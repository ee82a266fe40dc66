//! Many peers write at once, get each other's entries in any order, restart, and end with one text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Dice, Entry, Rows, Seed, agent, applied, long, new, offer, oracle, seeds, settle, version};
use kith_text::{Delta, Outcome, ReadError, TextDoc, Version};

struct Peer {
    doc: TextDoc,
    rows: Rows,
    /// What an editor shows that only hears of changes.
    shown: String,
    /// How many entries of each writer arrived.
    arrived: Vec<usize>,
    /// States the text was in.
    past: Vec<(Vec<Version>, String)>,
}

impl Peer {
    fn see(&mut self) {
        let edits = self.doc.take_changes();
        self.shown = applied(&self.shown, &edits);
        assert_eq!(self.shown, self.doc.text());
        assert_eq!(self.shown.chars().count(), self.doc.len_chars() as usize);
    }

    /// Commits; now and then the worker dies and starts again.
    fn rest(&mut self, dice: &mut Dice) {
        self.rows.commit(&mut self.doc);
        if dice.one_in(6) {
            self.doc = self.rows.open();
            assert_eq!(self.doc.text(), self.shown);
        } else if dice.one_in(6) {
            self.doc.drop_history();
        }
    }
}

fn session(seed: u64) {
    let _seed = Seed(seed);
    let dice = &mut Dice::new(seed);
    let count = 2 + dice.below(4);
    let mut peers: Vec<Peer> = (0..count)
        .map(|_| Peer {
            doc: new(),
            rows: Rows::default(),
            shown: String::new(),
            arrived: vec![0; count],
            past: Vec::new(),
        })
        .collect();
    let mut logs: Vec<Vec<Entry>> = vec![Vec::new(); count];
    // In an order in which parents come first: that in which they were made.
    let mut all: Vec<Entry> = Vec::new();
    let rounds = 30 + dice.below(60);
    for _ in 0..rounds {
        let who = dice.below(count);
        if dice.one_in(2) {
            write(dice, who, &mut peers[who], &mut logs[who], &mut all);
        } else {
            receive(dice, who, &mut peers[who], &logs);
        }
        peers[who].see();
        let peer = &mut peers[who];
        peer.past.push((peer.doc.frontier().to_vec(), peer.shown.clone()));
        peer.rest(dice);
    }
    // Everything arrives everywhere.
    for (who, peer) in peers.iter_mut().enumerate() {
        while (0..count).any(|from| from != who && peer.arrived[from] < logs[from].len()) {
            receive(dice, who, peer, &logs);
            peer.see();
        }
        offer_again(peer, &logs);
        settle(&mut peer.doc, &peer.rows, 1 + dice.below(50) as u64);
        peer.see();
    }
    let expected = oracle(&all);
    for peer in &mut peers {
        assert_eq!(peer.doc.text(), expected);
        assert_eq!(peer.doc.frontier(), peers_frontier(&all));
        assert_eq!(peer.doc.entries() as usize, all.len());
        peer.rows.commit(&mut peer.doc);
        let mut stored = peer.rows.open();
        assert_eq!((stored.text(), stored.frontier()), (expected.clone(), peer.doc.frontier()));
        peer.rows.load(&mut stored);
        for (at, text) in &peer.past {
            assert_eq!(&stored.text_at(at).unwrap(), text);
            let since = stored.changes_since(at).unwrap();
            assert_eq!(applied(text, &since.edits()), expected);
            assert_eq!(applied(text, &Delta::of_splices(&since.splices()).edits()), expected);
        }
    }
}

fn write(dice: &mut Dice, who: usize, peer: &mut Peer, log: &mut Vec<Entry>, all: &mut Vec<Entry>) {
    // Entries in between are about other things.
    let seq = log.last().map_or(0, |last| last.seq + 1) + dice.below(3) as u64;
    let result = match peer.past.get(dice.below(peer.past.len() * 3 + 1)) {
        // A client with an old text.
        Some((at, text)) => {
            let splices = dice.splices(text.chars().count() as u32);
            let result = peer.doc.edit_at(agent(who), seq, at, &splices);
            if matches!(result, Err(kith_text::EditError::At(ReadError::NeedsHistory))) {
                peer.rows.load(&mut peer.doc);
                peer.doc.edit_at(agent(who), seq, at, &splices)
            } else {
                result
            }
        }
        None => {
            let splices = dice.splices(peer.doc.len_chars());
            let before = peer.doc.text();
            let result = peer.doc.edit(agent(who), seq, &splices);
            let expected = applied(&before, &Delta::of_splices(&splices).edits());
            if let Err(kith_text::EditError::At(ReadError::NeedsHistory)) = result {
                peer.rows.load(&mut peer.doc);
                let result = peer.doc.edit(agent(who), seq, &splices);
                assert_eq!(peer.doc.text(), expected);
                result
            } else {
                assert_eq!(peer.doc.text(), if result.is_ok() { expected } else { before });
                result
            }
        }
    };
    match result {
        Ok(op) => {
            let entry = Entry { agent: agent(who), seq, op };
            assert_eq!(peer.doc.frontier(), [version(agent(who), seq)]);
            all.push(entry.clone());
            log.push(entry);
        }
        Err(error) => assert_eq!(error, kith_text::EditError::Nothing),
    }
}

fn receive(dice: &mut Dice, who: usize, peer: &mut Peer, logs: &[Vec<Entry>]) {
    for _ in 0..1 + dice.below(8) {
        let from = dice.below(logs.len());
        let Some(entry) = logs[from].get(peer.arrived[from]).filter(|_| from != who) else { continue };
        let outcome = offer(&mut peer.doc, &peer.rows, entry);
        assert!(matches!(outcome, Outcome::Accepted | Outcome::Waiting | Outcome::Full), "{outcome:?}");
        peer.arrived[from] += 1;
    }
    offer_again(peer, logs);
    if dice.one_in(2) {
        settle(&mut peer.doc, &peer.rows, 1 + dice.below(20) as u64);
    } else if dice.one_in(2) {
        let _ = peer.doc.settle(dice.below(9) as u64);
    }
}

/// After a restart, what was waiting.
fn offer_again(peer: &mut Peer, logs: &[Vec<Entry>]) {
    for (agent, from) in peer.doc.wanted() {
        for (log, arrived) in logs.iter().zip(&peer.arrived) {
            for entry in log.iter().take(*arrived).filter(|entry| entry.agent == agent && entry.seq >= from) {
                offer(&mut peer.doc, &peer.rows, entry);
            }
        }
    }
}

fn peers_frontier(all: &[Entry]) -> Vec<Version> {
    let mut heads: Vec<Version> = all.iter().map(|entry| version(entry.agent, entry.seq)).collect();
    heads.retain(|head| !all.iter().any(|entry| entry.op.parents.contains(head)));
    heads.sort();
    heads
}

#[test]
fn random_sessions_converge() {
    for seed in seeds(150, 5_000) {
        session(seed);
    }
}

/// Two hundred people who never saw one another.
#[test]
fn many_heads() {
    let entries: Vec<Entry> = (0..if long() { 1000 } else { 200 })
        .map(|who| Entry {
            agent: agent(who),
            seq: 5,
            op: common::op(&[], vec![common::insert(0, &format!("{who} "))]),
        })
        .collect();
    let (mut one, mut two) = (new(), new());
    entries.iter().for_each(|entry| assert_eq!(offer(&mut one, &Rows::default(), entry), Outcome::Accepted));
    entries.iter().rev().for_each(|entry| assert_eq!(offer(&mut two, &Rows::default(), entry), Outcome::Accepted));
    settle(&mut one, &Rows::default(), 10);
    settle(&mut two, &Rows::default(), 1_000_000);
    assert_eq!(one.text(), oracle(&entries));
    assert_eq!(one.text(), two.text());
    assert_eq!(one.frontier().len(), entries.len());
    // One of them joins all.
    let splice = kith_text::Splice { pos: 0, len: 3, text: "x".into() };
    let op = one.edit(agent(7), 6, &[splice]).unwrap();
    assert_eq!(two.apply(agent(7), 6, op), Outcome::Accepted);
    assert_eq!(one.text(), two.text());
    assert_eq!(two.frontier().len(), 1);
}
