//! How this crate does on the public editing traces beside bare diamond-types, in one process: ratios to look at, not a
//! test. `cargo run --release -p kith-text --example traces -- FOLDER [TRACE ...]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../tests/common/recorded.rs"]
#[allow(dead_code, reason = "the folder is given here, not looked for")]
mod recorded;

use diamond_types::list::encoding::ENCODE_FULL;
use diamond_types::list::{Branch, ListCRDT, OpLog};
use kith_text::{Agent, Algorithm, Edit, Outcome, Settled, Splice, StoredHead, TextDoc, TextOp, Version};
use recorded::Trace;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

const ROUNDS: usize = 7;

/// The quickest of some rounds, in milliseconds.
fn quickest(mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let began = Instant::now();
        run();
        began.elapsed().as_secs_f64() * 1e3
    };
    (0..ROUNDS).map(once).fold(f64::MAX, f64::min)
}

fn show(name: &str, what: &str, bare: f64, ours: f64, count: usize) {
    let each = (ours - bare) * 1e6 / count as f64;
    println!("{name:16} {what:36} {bare:9.1} {ours:9.1} ms  {:5.2}x  {each:+7.0} ns an entry", ours / bare);
}

fn main() {
    let folder = std::env::args().nth(1).unwrap_or("../shared/data/traces".into());
    let chosen: Vec<String> = std::env::args().skip(2).collect();
    let is_chosen = |name: &&str| chosen.is_empty() || chosen.iter().any(|one| one == name);
    println!("{:16} {:36} {:>9} {:>9}", "", "", "bare", "ours");
    for name in ["automerge-paper", "seph-blog1", "rustcode", "sveltecomponent"].into_iter().filter(is_chosen) {
        sequential(name, &read(&folder, name));
    }
    for name in ["friendsforever", "clownschool"].into_iter().filter(is_chosen) {
        concurrent(name, &read(&folder, name));
    }
}

fn read(folder: &str, name: &str) -> Trace {
    recorded::read(&Path::new(folder).join(format!("{name}.json.gz")))
}

fn agent(number: usize) -> Agent {
    Agent([number as u8; 10])
}

fn sequential(name: &str, trace: &Trace) {
    let patches: Vec<&(u32, u32, String)> = trace.txns.iter().flat_map(|txn| &txn.patches).collect();
    let bare = quickest(|| {
        let mut doc = ListCRDT::new();
        let writer = doc.get_or_create_agent_id(&agent(1).name());
        for (pos, take, text) in &patches {
            if *take > 0 {
                doc.branch.delete_without_content(&mut doc.oplog, writer, *pos as usize..(*pos + *take) as usize);
            }
            if !text.is_empty() {
                doc.branch.insert(&mut doc.oplog, writer, *pos as usize, text);
            }
        }
        assert_eq!(doc.branch.content().len_bytes(), trace.end_content.len());
    });
    let splices: Vec<[Splice; 1]> =
        patches.iter().map(|(pos, len, text)| [Splice { pos: *pos, len: *len, text: text.clone() }]).collect();
    let mut ops: Vec<TextOp> = Vec::new();
    let edit = |doc: &mut TextDoc, ops: Option<&mut Vec<TextOp>>| {
        let mut kept = ops;
        for (seq, splice) in splices.iter().enumerate() {
            let op = doc.edit(agent(1), seq as u64, splice).unwrap();
            black_box(doc.take_changes());
            match &mut kept {
                Some(list) => list.push(op),
                None => drop(black_box(op)),
            }
        }
    };
    let ours = quickest(|| {
        let mut doc = TextDoc::new(Algorithm::DiamondTypes1);
        edit(&mut doc, None);
        assert_eq!(doc.text(), trace.end_content);
    });
    show(name, "local, history in memory", bare, ours, patches.len());
    let cold = quickest(|| {
        let mut doc = TextDoc::new(Algorithm::DiamondTypes1);
        doc.drop_history();
        edit(&mut doc, None);
        assert_eq!(doc.text(), trace.end_content);
    });
    show(name, "local, opened without history", bare, cold, patches.len());
    edit(&mut TextDoc::new(Algorithm::DiamondTypes1), Some(&mut ops));
    let encoded: Vec<Vec<u8>> = ops.iter().map(TextOp::encode).collect();
    let (writers, parents) = (vec![1; ops.len()], chain(ops.len()));
    let bare = quickest(|| drop(bare_remote(&ops, &writers, &parents)));
    let ours = quickest(|| {
        let mut doc = TextDoc::new(Algorithm::DiamondTypes1);
        for (seq, bytes) in encoded.iter().enumerate() {
            assert_eq!(doc.apply_bytes(agent(1), seq as u64, bytes), Outcome::Accepted);
            doc.take_changes();
        }
        assert_eq!(doc.text(), trace.end_content);
    });
    show(name, "remote, from bytes, checked", bare, ours, ops.len());
    let told = encoded.iter().map(Vec::len).sum();
    open(name, &mut |doc| edit(doc, None), &bare_remote(&ops, &writers, &parents), told, &trace.end_content);
}

/// Opening: the text alone, and with history, against diamond-types' own file; and what is stored and told.
fn open(name: &str, fill: &mut dyn FnMut(&mut TextDoc), bare: &OpLog, told: usize, expected: &str) {
    let mut doc = TextDoc::new(Algorithm::DiamondTypes1);
    fill(&mut doc);
    let rows: std::collections::HashMap<_, _> =
        doc.take_rows().into_iter().filter_map(|row| Some((row.key, row.bytes?))).collect();
    let stored: usize = rows.values().map(Vec::len).sum();
    let head = kith_text::RowKey::Head;
    let open = || {
        let head = StoredHead::decode(&rows[&head]).unwrap();
        let keys: Vec<_> = head.pieces().collect();
        head.open(keys.iter().map(|key| rows[key].as_slice())).unwrap()
    };
    let text = quickest(|| assert_eq!(open().text(), expected));
    let whole = quickest(|| {
        let mut doc = open();
        let keys: Vec<_> = doc.chunks().collect();
        doc.load_history(keys.iter().map(|key| rows[key].as_slice())).unwrap();
    });
    let file = bare.encode(ENCODE_FULL);
    let bare = quickest(|| {
        let log = OpLog::load_from(&file).unwrap();
        assert_eq!(Branch::new_at_tip(&log).content().len_bytes(), expected.len());
    });
    println!("{name:16} {:36} {bare:9.2} {text:9.2} ms  {:5.2}x", "opened: the text", text / bare);
    println!("{name:16} {:36} {bare:9.2} {whole:9.2} ms  {:5.2}x", "opened: text and history", whole / bare);
    let times = stored as f64 / file.len() as f64;
    println!("{name:16} {:36} {:9} {stored:9} bytes  {times:.2}x; told: {told} bytes", "stored", file.len());
}

fn chain(count: usize) -> Vec<Vec<usize>> {
    (0..count).map(|at: usize| at.checked_sub(1).into_iter().collect()).collect()
}

/// Bare diamond-types with operations that are already in memory, the text kept current after each.
fn bare_remote(ops: &[TextOp], writers: &[usize], parents: &[Vec<usize>]) -> OpLog {
    let (mut log, mut branch, mut ends) = (OpLog::new(), Branch::new(), Vec::new());
    for ((op, writer), parents) in ops.iter().zip(writers).zip(parents) {
        let writer = log.get_or_create_agent_id(&agent(*writer).name());
        let mut parents: Vec<usize> = parents.iter().map(|parent| ends[*parent]).collect();
        parents.sort_unstable();
        let end = match op.edits.as_slice() {
            [Edit::Insert { pos, text }] => log.add_insert_at(writer, &parents, *pos as usize, text),
            [Edit::Delete { pos, len }] => log.add_delete_at(writer, &parents, *pos as usize..(*pos + *len) as usize),
            edits => {
                log.add_operations_at(writer, &parents, &edits.iter().map(recorded::operation).collect::<Vec<_>>())
            }
        };
        ends.push(end);
        let tip = log.local_version();
        branch.merge(&log, &tip);
    }
    black_box(branch.len());
    log
}

fn concurrent(name: &str, trace: &Trace) {
    let (mut next, mut versions, mut ops) = (vec![0u64; 256], Vec::<Version>::new(), Vec::new());
    for txn in &trace.txns {
        let mut parents: Vec<Version> = txn.parents.iter().map(|parent| versions[*parent]).collect();
        parents.sort();
        versions.push(Version { agent: agent(txn.agent), seq: next[txn.agent] });
        next[txn.agent] += 1;
        ops.push(TextOp { algorithm: Algorithm::DiamondTypes1, parents, edits: txn.edits() });
    }
    let encoded: Vec<Vec<u8>> = ops.iter().map(TextOp::encode).collect();
    let writers: Vec<usize> = trace.txns.iter().map(|txn| txn.agent).collect();
    let parents: Vec<Vec<usize>> = trace.txns.iter().map(|txn| txn.parents.clone()).collect();
    let bare = quickest(|| drop(bare_remote(&ops, &writers, &parents)));
    let run = |batch: usize| {
        let mut doc = TextDoc::new(Algorithm::DiamondTypes1);
        for (at, (bytes, version)) in encoded.iter().zip(&versions).enumerate() {
            assert_eq!(doc.apply_bytes(version.agent, version.seq, bytes), Outcome::Accepted);
            if at % batch == 0 {
                assert_eq!(doc.settle(u64::MAX), Settled::Done);
                doc.take_changes();
            }
        }
        doc.settle(u64::MAX);
        doc
    };
    let ours = quickest(|| assert_eq!(run(1).text(), trace.end_content));
    show(name, "remote, one by one", bare, ours, ops.len());
    let ours = quickest(|| assert_eq!(run(50).text(), trace.end_content));
    show(name, "remote, settled every 50", bare, ours, ops.len());
    let mut fill = |doc: &mut TextDoc| *doc = run(50);
    let told = encoded.iter().map(Vec::len).sum();
    open(name, &mut fill, &bare_remote(&ops, &writers, &parents), told, &trace.end_content);
}
