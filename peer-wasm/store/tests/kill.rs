//! A program that is killed while redb writes: what it was told is committed is there, and nothing is torn.

#![cfg(all(unix, not(target_arch = "wasm32")))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use futures::executor::block_on;
use futures::future::join_all;
use kith_core::rows::{Batch, Durability, KeyRange, Read, Table};
use kith_store::{ROW_OVERHEAD, RedbStore, Store};

/// Set for the program that is killed: the file to write.
const FILE: &str = "KITH_STORE_KILL_FILE";
const KILLS: u64 = 12;
const ROWS: u32 = 20;
const BUDGET: u64 = 1 << 40;

fn key(batch: u32, row: u32) -> Vec<u8> {
    [batch.to_be_bytes(), row.to_be_bytes()].concat()
}

fn all(table: Table) -> Read {
    Read::Scan { table, range: KeyRange { start: Vec::new(), end: vec![0xff; 16] }, limit: usize::MAX, reverse: false }
}

/// Every row that is there, as the number of whole batches; panics if one is torn.
fn whole_batches(path: &Path) -> u32 {
    let store = RedbStore::open(path, BUDGET).unwrap();
    let answers = block_on(store.read(vec![all(Table::Arrival), all(Table::Tail)])).unwrap();
    let [arrival, tail] = answers.as_slice() else { panic!("two questions, {} answers", answers.len()) };
    let count = u32::try_from(arrival.len()).unwrap();
    let expected: Vec<_> =
        (0..count).flat_map(|n| (0..ROWS).map(move |row| (key(n, row), vec![n as u8; 50]))).collect();
    assert_eq!(
        arrival.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(),
        (0..count).map(|n| n.to_be_bytes().to_vec()).collect::<Vec<_>>()
    );
    assert!(*tail == expected, "torn: {} rows of {count} batches", tail.len());
    let bytes: u64 = answers.iter().flatten().map(|(key, value)| (key.len() + value.len()) as u64 + ROW_OVERHEAD).sum();
    assert_eq!(block_on(store.usage()).unwrap().bytes, bytes);
    count
}

/// Not a test: the program that the test below starts and kills.
#[test]
#[ignore = "started and killed by the test of killing"]
fn writes_until_killed() {
    let Ok(path) = std::env::var(FILE) else { return };
    let mut next = whole_batches(Path::new(&path));
    let store = RedbStore::open(&path, BUDGET).unwrap();
    loop {
        let commits = (next..next + 4).map(|n| {
            let mut puts: Vec<_> = (0..ROWS).map(|row| (Table::Tail, key(n, row), vec![n as u8; 50])).collect();
            puts.push((Table::Arrival, n.to_be_bytes().to_vec(), Vec::new()));
            let durability = if n.is_multiple_of(2) { Durability::Strict } else { Durability::Relaxed };
            store.commit(Batch { puts, durability, ..Batch::default() })
        });
        for outcome in block_on(join_all(commits)) {
            outcome.unwrap();
            println!("\nacknowledged {next}");
            next += 1;
        }
    }
}

#[test]
fn a_kill_tears_nothing_and_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.redb");
    let mut before = 0;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writes_until_killed", "--ignored", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = None;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        // Killed after so many acknowledgements, while the next batches are under way; then the rest of the pipe is read.
        for line in lines.map_while(Result::ok) {
            let Some(number) = line.strip_prefix("acknowledged ") else { continue };
            acknowledged = Some(number.parse::<u32>().unwrap());
            seen += 1;
            if seen == 1 + round * 7 % 23 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let acknowledged = acknowledged.expect("the child acknowledged nothing");
        let count = whole_batches(&path);
        assert!(count > acknowledged, "round {round}: {acknowledged} was acknowledged, {count} batches are there");
        assert!(count > before, "round {round}: nothing was written");
        before = count;
    }
}
