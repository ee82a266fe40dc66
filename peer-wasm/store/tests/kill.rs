//! A program that is killed while redb writes, with pages on top: what it was told is committed is there, and nothing is torn.
//! And one that is killed while an older file is packed into pages.

#![cfg(all(unix, not(target_arch = "wasm32")))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use futures::executor::block_on;
use futures::future::join_all;
use kith_core::rows::{Batch, Durability, KeyRange, Read, Table};
use kith_store::{Paged, ROW_OVERHEAD, RedbStore, Store};
use redb::{Database, TableDefinition};

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

/// What a batch writes into pages: a row that changes its size again and again, and new ones all over.
fn places(n: u32) -> impl Iterator<Item = (Table, Vec<u8>, Vec<u8>)> {
    let again = (Table::View, vec![0], vec![n as u8; if n.is_multiple_of(5) { 20_000 } else { n as usize % 300 }]);
    let new = (0..10).map(move |row| (n * 10 + row).wrapping_mul(2_654_435_761));
    std::iter::once(again).chain(new.map(move |place| (Table::View, key(1, place), vec![n as u8; 60])))
}

/// Every row that is there, as the number of whole batches; panics if one is torn.
fn whole_batches(path: &Path) -> u32 {
    let below = RedbStore::open(path, BUDGET).unwrap();
    let store = Paged::new(below.clone());
    let answers = block_on(store.read(vec![all(Table::Arrival), all(Table::Tail), all(Table::View)])).unwrap();
    let [arrival, tail, view] = answers.as_slice() else { panic!("three questions, {} answers", answers.len()) };
    let count = u32::try_from(arrival.len()).unwrap();
    let expected: Vec<_> =
        (0..count).flat_map(|n| (0..ROWS).map(move |row| (key(n, row), vec![n as u8; 50]))).collect();
    assert_eq!(
        arrival.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(),
        (0..count).map(|n| n.to_be_bytes().to_vec()).collect::<Vec<_>>()
    );
    assert!(*tail == expected, "torn: {} rows of {count} batches", tail.len());
    let places: BTreeMap<Vec<u8>, Vec<u8>> = (0..count).flat_map(places).map(|(_, key, value)| (key, value)).collect();
    assert!(*view == places.into_iter().collect::<Vec<_>>(), "torn: {} places of {count} batches", view.len());
    let answers = block_on(below.read(Table::ALL.map(all).to_vec())).unwrap();
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
    let store = Paged::new(RedbStore::open(&path, BUDGET).unwrap());
    loop {
        let commits = (next..next + 4).map(|n| {
            let mut puts: Vec<_> = (0..ROWS).map(|row| (Table::Tail, key(n, row), vec![n as u8; 50])).collect();
            puts.extend(places(n));
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

/// Not a test: the program that the test below starts and kills.
#[test]
#[ignore = "started and killed by the test of killing"]
fn packs_until_killed() {
    let Ok(path) = std::env::var(FILE) else { return };
    println!("\npacking");
    drop(RedbStore::open(&path, BUDGET).unwrap());
    println!("\npacked");
}

#[test]
fn a_kill_while_an_older_file_is_packed_loses_nothing() {
    const PLACES: u32 = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("older.redb");
    let value = |n: u32| vec![n as u8; n as usize % 100];
    {
        // As layout 1 left it.
        let database = Database::create(&path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(TableDefinition::<(), u32>::new("_layout")).unwrap().insert((), 1).unwrap();
        for table in ["meta", "head", "tail", "segment", "view"] {
            write.open_table(TableDefinition::<&[u8], &[u8]>::new(table)).unwrap();
        }
        let mut view = write.open_table(TableDefinition::<&[u8], &[u8]>::new("view")).unwrap();
        for n in 0..PLACES {
            view.insert(key(1, n).as_slice(), value(n).as_slice()).unwrap();
        }
        drop(view);
        write.commit().unwrap();
    }
    let mut interrupted = 0;
    for _ in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "packs_until_killed", "--ignored", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut packed = false;
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if line == "packing" {
                child.kill().unwrap();
            }
            packed |= line == "packed";
        }
        child.wait().unwrap();
        interrupted += u32::from(!packed);
    }
    assert!(interrupted > 0, "no kill came in time");
    let store = Paged::new(RedbStore::open(&path, BUDGET).unwrap());
    let found = block_on(store.read(vec![all(Table::View)])).unwrap().remove(0);
    assert!(
        found == (0..PLACES).map(|n| (key(1, n), value(n))).collect::<Vec<_>>(),
        "{} of {PLACES} places",
        found.len()
    );
}
