//! The public editing traces end with the recorded text on every peer. They are found in `KITH_TRACES` or beside the
//! repository; without them these tests say so and check nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::recorded::{self, Trace};
use common::{Dice, Entry, Rows, agent, long, new, offer, op, settle, version};
use kith_text::{Agent, Edit, Outcome, Splice, TextDoc, Version};
use std::collections::BTreeSet;

/// One writer types; another peer gets every entry; both restart on the way.
fn sequential(name: &str) {
    let Some(trace) = recorded::find(name) else { return };
    let (writer, seq) = (agent(1), |at: usize| at as u64 * 2);
    let (mut here, mut there) = (new(), new());
    let (mut here_rows, mut there_rows) = (Rows::default(), Rows::default());
    let mut written = (0, 0);
    for (at, txn) in trace.txns.iter().enumerate() {
        let mut made = Vec::new();
        for (pos, take, text) in &txn.patches {
            made.push(Splice { pos: *pos, len: *take, text: text.clone() });
        }
        // Patches of a transaction come one after the other; nearly always it is one.
        let op = match made.as_slice() {
            [splice] => here.edit(writer, seq(at), std::slice::from_ref(splice)).unwrap(),
            _ => {
                let op = op(here.frontier(), txn.edits());
                assert_eq!(here.apply(writer, seq(at), op.clone()), Outcome::Accepted);
                op
            }
        };
        let bytes = op.encode();
        assert_eq!(there.apply_bytes(writer, seq(at), &bytes), Outcome::Accepted);
        here.take_changes();
        there.take_changes();
        if at % 50 == 0 {
            let (rows, bytes) = here_rows.commit(&mut here);
            written = (written.0 + rows, written.1 + bytes);
            there_rows.commit(&mut there);
        }
        if at % 5000 == 0 {
            there = there_rows.open();
            assert!(!there.has_history());
        }
    }
    here_rows.commit(&mut here);
    assert_eq!(here.text(), trace.end_content);
    assert_eq!(there.text(), trace.end_content);
    // The history that was never in memory there is right.
    there_rows.commit(&mut there);
    there_rows.load(&mut there);
    let middle = version(writer, seq(trace.txns.len() / 2));
    assert_eq!(there.text_at(&[middle]).unwrap(), here.text_at(&[middle]).unwrap());
    let stored: usize = here_rows.0.values().map(Vec::len).sum();
    let (text, count) = (trace.end_content.len(), trace.txns.len());
    eprintln!(
        "{name}: {count} entries, {text} bytes of text stored in {stored}, {} rows and {} bytes written",
        written.0, written.1
    );
}

#[test]
fn sveltecomponent() {
    sequential("sveltecomponent.json.gz");
}

#[test]
fn rustcode() {
    sequential("rustcode.json.gz");
}

#[test]
fn seph_blog1() {
    sequential("seph-blog1.json.gz");
}

#[test]
fn automerge_paper() {
    sequential("automerge-paper.json.gz");
}

/// Every transaction as an entry: its writer, entry numbers in the order of the trace.
fn entries(trace: &Trace) -> Vec<Entry> {
    // Their names are in the order of the recorded ones: insertions at one place stand in it.
    let mut writers: Vec<Agent> =
        trace.txns.iter().map(|txn| txn.agent).collect::<BTreeSet<_>>().into_iter().map(agent).collect();
    writers.sort_by_key(|writer| writer.name());
    let mut next = std::collections::HashMap::<usize, u64>::new();
    let mut versions: Vec<Version> = Vec::new();
    let mut entries = Vec::new();
    for txn in &trace.txns {
        let seq = next.entry(txn.agent).or_default();
        let parents: Vec<Version> = txn.parents.iter().map(|parent| versions[*parent]).collect();
        let entry = Entry { agent: writers[txn.agent], seq: *seq, op: op(&parents, txn.edits()) };
        *seq += 1;
        versions.push(version(entry.agent, entry.seq));
        entries.push(entry);
    }
    entries
}

/// Every writer has a peer that knows exactly what the recorded writer knew, and makes the recorded edit there: the
/// operations come out as recorded. Observers get all of them, each in an order of its own.
fn concurrent(name: &str) {
    let Some(trace) = recorded::find(name) else { return };
    let entries = entries(&trace);
    let writers: BTreeSet<usize> = trace.txns.iter().map(|txn| txn.agent).collect();
    let mut peers: Vec<(usize, TextDoc, Vec<bool>)> =
        writers.iter().map(|writer| (*writer, new(), vec![false; entries.len()])).collect();
    for (at, txn) in trace.txns.iter().enumerate() {
        let (_, doc, has) = peers.iter_mut().find(|(writer, ..)| *writer == txn.agent).unwrap();
        bring(doc, has, &trace, &entries, &txn.parents);
        let made = match txn.edits().as_slice() {
            [Edit::Insert { pos, text }] => doc
                .edit(entries[at].agent, entries[at].seq, &[Splice { pos: *pos, len: 0, text: text.clone() }])
                .unwrap(),
            [Edit::Delete { pos, len }] => doc
                .edit(entries[at].agent, entries[at].seq, &[Splice { pos: *pos, len: *len, text: String::new() }])
                .unwrap(),
            edits => {
                let op = op(doc.frontier(), edits.to_vec());
                assert_eq!(doc.apply(entries[at].agent, entries[at].seq, op.clone()), Outcome::Accepted);
                op
            }
        };
        assert_eq!(made, entries[at].op, "transaction {at}");
        has[at] = true;
        doc.take_changes();
    }
    for (_, doc, has) in &mut peers {
        let last: Vec<usize> = (0..entries.len()).collect();
        bring(doc, has, &trace, &entries, &last);
        assert_eq!(doc.text(), trace.end_content);
    }
    observed(&trace, &entries, name);
}

/// The same for recordings made from git, whose hundreds of writers have no peers of their own here.
fn from_git(name: &str) {
    let Some(trace) = recorded::find(name) else { return };
    observed(&trace, &entries(&trace), name);
}

fn observed(trace: &Trace, entries: &[Entry], name: &str) {
    for seed in 0..if long() { 10 } else { 2 } {
        observe(seed, entries, &trace.end_content, name);
    }
}

/// Delivers what a peer does not have of these transactions and all they build on.
fn bring(doc: &mut TextDoc, has: &mut [bool], trace: &Trace, entries: &[Entry], of: &[usize]) {
    let (mut wanted, mut stack) = (BTreeSet::new(), of.to_vec());
    while let Some(at) = stack.pop() {
        if !has[at] && wanted.insert(at) {
            stack.extend(&trace.txns[at].parents);
        }
    }
    for at in wanted {
        has[at] = true;
        let entry = &entries[at];
        assert_eq!(doc.apply(entry.agent, entry.seq, entry.op.clone()), Outcome::Accepted);
    }
    settle(doc, &Rows::default(), u64::MAX);
    doc.take_changes();
}

fn observe(seed: u64, entries: &[Entry], expected: &str, name: &str) {
    let dice = &mut Dice::new(seed);
    let (mut doc, mut rows) = (new(), Rows::default());
    let mut queues: std::collections::BTreeMap<_, std::collections::VecDeque<&Entry>> = Default::default();
    entries.iter().for_each(|entry| queues.entry(entry.agent).or_default().push_back(entry));
    let mut queues: Vec<_> = queues.into_values().collect();
    let mut steps = 0;
    while !queues.is_empty() {
        let at = dice.below(queues.len());
        for _ in 0..1 + dice.below(200) {
            let Some(entry) = queues[at].front() else { break };
            match offer(&mut doc, &rows, entry) {
                Outcome::Accepted | Outcome::Waiting => drop(queues[at].pop_front()),
                // There is no more room: later.
                Outcome::Full => break,
                other => panic!("{other:?}"),
            }
        }
        queues.retain(|queue| !queue.is_empty());
        steps += 1;
        if steps % 20 == 0 {
            settle(&mut doc, &rows, 2000);
            rows.commit(&mut doc);
        }
    }
    assert!(doc.wanted().is_empty());
    settle(&mut doc, &rows, 2000);
    assert_eq!(doc.entries() as usize, entries.len());
    assert_eq!(doc.text(), expected);
    rows.commit(&mut doc);
    let mut stored = rows.open();
    rows.load(&mut stored);
    assert_eq!(stored.text(), expected);
    assert_eq!(stored.text_at(doc.frontier()).unwrap(), expected);
    let size: usize = rows.0.values().map(Vec::len).sum();
    eprintln!("{name}: {} entries, {} bytes of text stored in {size}", entries.len(), expected.len());
}

#[test]
fn friendsforever() {
    concurrent("friendsforever.json.gz");
}

#[test]
fn clownschool() {
    concurrent("clownschool.json.gz");
}

#[test]
fn git_makefile() {
    from_git("git-makefile.dt");
}

#[test]
fn node_nodecc() {
    from_git("node_nodecc.dt");
}
