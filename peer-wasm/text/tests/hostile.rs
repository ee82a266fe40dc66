//! Writers that break every rule. Peers get the same entries in different orders, restart, and must agree on what is
//! refused and on the text, without a panic and within the limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Dice, Entry, Rows, Seed, agent, delete, insert, long, new, op, seeds, settle, version};
use kith_text::{Edit, MAX_WAITING_OPS, Outcome, Status, TextDoc, TextOp, Version};
use std::collections::BTreeMap;

const WRITERS: usize = 5;

/// An entry's bytes: of an operation, or of something else.
#[derive(Clone)]
struct Raw {
    who: usize,
    seq: u64,
    bytes: Vec<u8>,
}

/// Makes a log for each writer: mostly right, often crafted, sometimes only bytes.
fn logs(dice: &mut Dice) -> Vec<Vec<Raw>> {
    let mut docs: Vec<TextDoc> = (0..WRITERS).map(|_| new()).collect();
    let mut logs: Vec<Vec<Raw>> = vec![Vec::new(); WRITERS];
    let mut seen: Vec<Version> = Vec::new();
    for _ in 0..60 + dice.below(120) {
        let who = dice.below(WRITERS);
        if dice.one_in(3) {
            // Reads what another wrote.
            let from = dice.below(WRITERS);
            for raw in &logs[from] {
                docs[who].apply_bytes(agent(raw.who), raw.seq, &raw.bytes);
            }
            settle(&mut docs[who], &Rows::default(), 1_000_000);
            continue;
        }
        let seq = logs[who].last().map_or(0, |last| last.seq + 1) + dice.below(2) as u64;
        let bytes = if dice.one_in(2) {
            let splices = dice.splices(docs[who].len_chars());
            match docs[who].edit(agent(who), seq, &splices) {
                Ok(op) => op.encode(),
                Err(_) => crafted(dice, &docs[who], seq, &seen).encode(),
            }
        } else if dice.one_in(2) {
            crafted(dice, &docs[who], seq, &seen).encode()
        } else {
            mutated(dice, &logs)
        };
        docs[who].apply_bytes(agent(who), seq, &bytes);
        logs[who].push(Raw { who, seq, bytes });
        seen.push(version(agent(who), seq));
    }
    logs
}

/// An operation with something wrong about it, most of the time.
fn crafted(dice: &mut Dice, doc: &TextDoc, seq: u64, seen: &[Version]) -> TextOp {
    let any = |dice: &mut Dice| match dice.below(40) {
        0 => version(agent(dice.below(WRITERS + 2)), dice.below(40) as u64),
        1..8 => version(agent(dice.below(WRITERS)), seq.saturating_sub(2) + dice.below(3) as u64),
        8 => version(agent(0), u64::MAX),
        _ => seen.get(dice.below(seen.len())).copied().unwrap_or(version(agent(0), 0)),
    };
    let mut parents = if dice.one_in(3) { Vec::new() } else { doc.frontier().to_vec() };
    for _ in 0..dice.below(4) {
        let extra = any(dice);
        parents.push(extra);
    }
    if dice.one_in(10) {
        parents.clear();
    }
    let len = doc.len_chars();
    let far = |dice: &mut Dice| match dice.below(8) {
        0 => u32::MAX - dice.below(2) as u32,
        1 => len + dice.below(20) as u32,
        2 => 1 << dice.below(32),
        _ => dice.below(len as usize + 1) as u32,
    };
    let edit = |dice: &mut Dice| -> Edit {
        match dice.below(3) {
            0 => insert(far(dice), &dice.text(3)),
            1 => delete(far(dice), far(dice)),
            _ => insert(dice.below(len as usize + 1) as u32, "y"),
        }
    };
    let edits = (0..if dice.one_in(12) { 0 } else { 1 + dice.below(3) }).map(|_| edit(dice)).collect();
    let mut op = op(&parents, edits);
    match dice.below(8) {
        0 => op.parents.reverse(),
        1 => {}
        _ => op.parents.dedup(),
    }
    op
}

fn mutated(dice: &mut Dice, logs: &[Vec<Raw>]) -> Vec<u8> {
    let all: Vec<&Raw> = logs.iter().flatten().collect();
    let Some(raw) = all.get(dice.below(all.len().max(1))) else { return vec![0; dice.below(30)] };
    let mut bytes = raw.bytes.clone();
    for _ in 0..1 + dice.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.below(bytes.len());
        match dice.below(5) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, dice.below(256) as u8),
            3 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5)],
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

/// Everything that peers must agree on.
fn state(doc: &TextDoc, logs: &[Vec<Raw>]) -> (String, Vec<Version>, u32, Vec<Status>) {
    let status = |raw: &Raw| doc.status(version(agent(raw.who), raw.seq)).unwrap();
    (doc.text(), doc.frontier().to_vec(), doc.entries(), logs.iter().flatten().map(status).collect())
}

/// A peer that gets the logs in an order of its own.
fn deliver(dice: &mut Dice, logs: &[Vec<Raw>]) -> TextDoc {
    let (mut doc, mut rows, mut at) = (new(), Rows::default(), [0; WRITERS]);
    let offer = |doc: &mut TextDoc, rows: &Rows, raw: &Raw| {
        let outcome = doc.apply_bytes(agent(raw.who), raw.seq, &raw.bytes);
        if outcome == Outcome::NeedsHistory {
            rows.load(doc);
            return doc.apply_bytes(agent(raw.who), raw.seq, &raw.bytes);
        }
        outcome
    };
    while (0..WRITERS).any(|who| at[who] < logs[who].len()) {
        let who = dice.below(WRITERS);
        for _ in 0..1 + dice.below(6) {
            if let Some(raw) = logs[who].get(at[who]) {
                offer(&mut doc, &rows, raw);
                at[who] += 1;
            }
        }
        if dice.one_in(3) {
            let _ = doc.settle(dice.below(30) as u64);
        }
        if dice.one_in(8) {
            rows.commit(&mut doc);
            let text = doc.text();
            doc = rows.open();
            assert_eq!(doc.text(), text);
            for (agent, from) in doc.wanted() {
                for (log, at) in logs.iter().zip(&at) {
                    let again = log.iter().take(*at).filter(|raw| common::agent(raw.who) == agent && raw.seq >= from);
                    for raw in again {
                        offer(&mut doc, &rows, raw);
                    }
                }
            }
        }
        doc.take_decided();
        doc.take_changes();
    }
    rows.commit(&mut doc);
    rows.load(&mut doc);
    settle(&mut doc, &rows, 1 + dice.below(1000) as u64);
    doc
}

fn session(seed: u64, told: &mut BTreeMap<String, usize>) -> usize {
    let _seed = Seed(seed);
    let dice = &mut Dice::new(seed ^ 0xfeed);
    let logs = logs(dice);
    let first = deliver(dice, &logs);
    let expected = state(&first, &logs);
    for status in &expected.3 {
        *told.entry(format!("{status:?}")).or_default() += 1;
    }
    for _ in 0..2 {
        let other = deliver(dice, &logs);
        assert_eq!(state(&other, &logs), expected);
    }
    // What was accepted, bare, gives the same text.
    let accepted: Vec<Entry> = in_order(&first, &logs);
    assert_eq!(accepted.len(), expected.2 as usize);
    assert_eq!(common::oracle(&accepted), expected.0);
    logs.iter().map(Vec::len).sum()
}

/// The accepted entries, parents first.
fn in_order(doc: &TextDoc, logs: &[Vec<Raw>]) -> Vec<Entry> {
    let visible = |raw: &&Raw| doc.status(version(agent(raw.who), raw.seq)) == Ok(Status::Visible);
    let mut left: Vec<Entry> = logs
        .iter()
        .flatten()
        .filter(visible)
        .map(|raw| Entry { agent: agent(raw.who), seq: raw.seq, op: TextOp::decode(&raw.bytes).unwrap() })
        .collect();
    let mut done: Vec<Entry> = Vec::new();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|entry| {
            let named = |parent: &Version| done.iter().any(|done| version(done.agent, done.seq) == *parent);
            let ready = entry.op.parents.iter().all(named);
            // The writer's entries in their order: names of code points depend on it.
            let turn = doc.has(version(entry.agent, entry.seq)) == Ok(true);
            if ready && turn {
                done.push(entry.clone());
            }
            !(ready && turn)
        });
        assert!(left.len() < before, "something accepted builds on something that is not");
    }
    done
}

#[test]
fn peers_agree_on_what_hostile_writers_sent() {
    let mut told = BTreeMap::new();
    let entries: usize = seeds(200, 20_000).map(|seed| session(seed, &mut told)).sum();
    eprintln!("{entries} entries, three peers each: {told:?}");
    if std::env::var_os("KITH_SEED").is_none() {
        assert!(told.keys().cloned().eq(["Nothing", "Visible", "Waiting"].map(String::from)), "{told:?}");
        assert!(entries > if long() { 1_000_000 } else { 10_000 });
    }
}

/// One writer floods with operations on things that do not exist.
#[test]
fn floods_stay_within_bounds() {
    let (mut doc, dice) = (new(), &mut Dice::new(3));
    let mut outcomes = BTreeMap::<String, usize>::new();
    for seq in 0..if long() { 200_000 } else { 20_000 } {
        let who = dice.below(20);
        let parent = version(agent(100 + dice.below(3)), dice.below(1000) as u64);
        let outcome = doc.apply(agent(who), seq, op(&[parent], vec![insert(0, &dice.text(50))]));
        *outcomes.entry(format!("{outcome:?}")).or_default() += 1;
    }
    assert_eq!(outcomes.keys().cloned().collect::<Vec<_>>(), ["Full", "Waiting"]);
    assert!(outcomes["Waiting"] <= MAX_WAITING_OPS);
    // It takes no more room in the database than a line per writer.
    let mut rows = Rows::default();
    assert_eq!(rows.commit(&mut doc).0, 1);
    assert!(rows.0.values().map(Vec::len).sum::<usize>() < 1000);
}
