//! The public editing traces through whole peers: signed and sealed entries, stores, and sync to a second peer that ends
//! with the recorded text. They are found in `KITH_TRACES` or beside the repository; without them these tests say so and
//! check nothing. A part of each in ordinary runs, all of it with `KITH_LONG=1`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::texts;

#[path = "../../../text/tests/common/recorded.rs"]
mod recorded;

use kith_core::api::TextEdit;
use kith_core::archive::{ArchiveReader, Chain, MAGIC, Part};
use kith_core::clock::Clock;
use kith_core::document::{Leaf, Op, Ops};
use kith_core::invite::Ticket;
use kith_core::sim::{Hostile, Story};
use kith_core::version;
use kith_core::wire::Frame;
use kith_text::{Agent, Algorithm, TextOp, Version};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use texts::{at, edit, edited, put, spliced, text};

/// How many transactions of a trace are played.
fn part(all: usize) -> usize {
    if std::env::var_os("KITH_LONG").is_some() { all } else { all.min(600) }
}

/// One writer types at one peer; another follows.
fn sequential(name: &str) {
    let Some(trace) = recorded::find(name) else { return };
    let count = part(trace.txns.len());
    let mut story = Story::joined(1, 2).unwrap();
    put(&mut story, 0, "t", "").unwrap();
    let mut expected = String::new();
    for (number, txn) in trace.txns.iter().take(count).enumerate() {
        for (pos, taken, put) in &txn.patches {
            let splices = vec![(*pos, *pos + *taken, put.clone())];
            let request = edit(&story, "t", None, TextEdit::Splices(splices.clone()), None, None);
            edited(&mut story, 0, request).unwrap();
            if count < trace.txns.len() {
                expected = spliced(&expected, &splices);
            }
        }
        if number % 5_000 == 4_999 {
            // Both start anew now and then.
            story.settle(600_000).unwrap();
            (0..2).for_each(|node| story.world.crash(node));
            (0..2).for_each(|node| story.world.start(node));
            story.world.run(5_000);
        }
    }
    if count == trace.txns.len() {
        expected = trace.end_content;
    }
    story.settle(600_000).unwrap();
    for node in 0..2 {
        assert!(text(&mut story, node, "t").unwrap().0 == expected, "peer {node} ends with another text");
    }
    eprintln!("{name}: {count} transactions, {} bytes of text on both peers", expected.len());
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

/// What an author is called in texts.
fn agent(author: &Hostile) -> Agent {
    Agent(version::Agent::of(&author.key.public().0).0)
}

/// Puts into the logs of authors, one for each recorded writer, entries that say exactly what was recorded; gives the text that
/// comes of it.
fn written(trace: &recorded::Trace, count: usize, authors: &mut [Hostile], now: u64) -> String {
    // Concurrent insertions at one place stand by the names of their authors, whose letters come before their digits in
    // the alphabet of base32 and after them when names are compared.
    authors.sort_by_key(|author| agent(author).name());
    let agents: Vec<Agent> = authors.iter().map(agent).collect();
    let mut versions: Vec<Version> = Vec::new();
    for txn in trace.txns.iter().take(count) {
        let mut parents: Vec<Version> = txn.parents.iter().map(|parent| versions[*parent]).collect();
        parents.sort_unstable();
        let op = TextOp { algorithm: Algorithm::DiamondTypes1, parents, edits: txn.edits() };
        let author = &mut authors[txn.agent];
        let tip = author.tip();
        let version = Version { agent: agents[txn.agent], seq: tip.len };
        let leaf = Leaf::Kind { tag: 10, body: op.encode() };
        let clock = Clock::new(now - 60_000 + tip.len / 60_000, (tip.len % 60_000) as u16).0;
        let ops = Ops { clock, id: String::new(), list: vec![Op::new(at("t"), leaf)] };
        let entry = author.ops(tip, &ops, &[]);
        author.log.push(entry);
        versions.push(version);
    }
    let expected = recorded::merged(&trace.txns[..count]);
    if count == trace.txns.len() {
        assert!(expected == trace.end_content, "the text is not the recorded one");
    }
    expected
}

/// How many wrote.
fn writers(trace: &recorded::Trace) -> usize {
    1 + trace.txns.iter().map(|txn| txn.agent).max().unwrap_or(0)
}

/// Every recorded writer is an author. One peer gets the logs, out of step; another gets all from that one.
fn concurrent(name: &str) {
    let Some(trace) = recorded::find(name) else { return };
    let count = part(trace.txns.len());
    let mut story = Story::joined(1, 3).unwrap();
    let member = Hostile::possess(&mut story, 2).unwrap();
    story.members.retain(|(node, _)| *node != 2);
    let writers = writers(&trace);
    let mut authors: Vec<Hostile> = (0..writers).map(|_| Hostile::absent(&mut story, &member).unwrap()).collect();
    let expected = written(&trace, count, &mut authors, story.world.now());
    member.greet(&mut story.world, 0);
    // The last writer's log comes first: most of it has to wait.
    for author in authors.iter().rev() {
        for part in author.log.chunks(100) {
            let entries = part.iter().map(|entry| entry.raw().to_vec());
            let frame = Frame::entries(member.space, entries);
            member.say(&mut story.world, 0, &frame);
            story.world.run(200);
        }
    }
    story.settle(900_000).unwrap();
    for node in 0..2 {
        assert!(text(&mut story, node, "t").unwrap().0 == expected, "peer {node} ends with another text");
    }
    eprintln!("{name}: {count} entries of {writers} writers, {} bytes of text on both peers", expected.len());
}

/// Who wrote a trace writes it into a space of somebody else: `KITH_SPACES` names a folder that has for each trace the space as a file,
/// with keys, and an invite for writers. To each come a file with the logs and the text. The test of the browsers asks for it.
#[test]
fn for_spaces_of_others() {
    let Some(folder) = std::env::var_os("KITH_SPACES").map(PathBuf::from) else { return };
    for name in ["friendsforever.json.gz", "clownschool.json.gz", "git-makefile.dt", "node_nodecc.dt"] {
        let file = |kind: &str| folder.join(format!("{}.{kind}", name.split('.').next().unwrap()));
        let Ok(space) = std::fs::read(file("space")) else { continue };
        let Some(trace) = recorded::find(name) else { continue };
        let ticket = Ticket::parse(&std::fs::read_to_string(file("link")).unwrap()).unwrap();
        let mut reader = ArchiveReader::new();
        reader.push(&space);
        let parts: Vec<Part> = std::iter::from_fn(|| reader.next_part().unwrap()).collect();
        let keys = parts.iter().find_map(|part| if let Part::Keys(keys) = part { keys.last() } else { None });
        let keys = keys.expect("a file with keys");
        let author =
            |number: usize| Hostile::invited(&ticket, keys.clone(), blake3::hash(&number.to_be_bytes()).as_bytes());
        let mut authors: Vec<Hostile> = (0..writers(&trace)).map(author).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let expected = written(&trace, part(trace.txns.len()), &mut authors, now);
        let mut chain = Chain::default();
        let mut logs = MAGIC.to_vec();
        logs.extend(chain.block(&Part::Head { space: ticket.space, written: now }));
        for run in authors.iter().flat_map(|author| author.log.chunks(100)) {
            logs.extend(chain.block(&Part::Run(run.iter().map(|entry| entry.raw().to_vec()).collect())));
        }
        logs.extend(chain.block(&Part::End(authors.iter().map(|author| author.log.len() as u64).sum())));
        std::fs::write(file("kith"), logs).unwrap();
        std::fs::write(file("txt"), expected).unwrap();
    }
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
#[cfg_attr(debug_assertions, ignore = "takes minutes unless optimised: cargo test --release")]
fn git_makefile() {
    concurrent("git-makefile.dt");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes unless optimised: cargo test --release")]
fn node_nodecc() {
    concurrent("node_nodecc.dt");
}
