//! Writing until something kills us, and looking at what is left.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use js_sys::Function;
use kith_core::rows::{Batch, Durability, KeyRange, Read, Rows, Table};
use kith_store::{IndexedDb, Paged, ROW_OVERHEAD, Store};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Rows of a batch in its main table.
const ROWS: u32 = 60;

/// Rows of a batch that lie all over the table of pages.
const SCATTERED: u32 = 10;

/// Batches under way at a time.
const UNDER_WAY: usize = 4;

/// Room for every batch of a long run.
const BUDGET: u64 = 1 << 40;

fn key(batch: u32, row: u32) -> Vec<u8> {
    [batch.to_be_bytes(), row.to_be_bytes()].concat()
}

/// What a batch writes into pages: a row that is written again and again, one that becomes large at times, and new ones all
/// over.
fn places(n: u32) -> impl Iterator<Item = (Table, Vec<u8>, Vec<u8>)> {
    let again = (Table::View, vec![(n % 50) as u8], n.to_be_bytes().to_vec());
    let large = (Table::View, vec![100], vec![n as u8; if n.is_multiple_of(5) { 20_000 } else { 10 }]);
    let new = (0..SCATTERED).map(move |row| {
        let place = n.wrapping_mul(SCATTERED).wrapping_add(row).wrapping_mul(2_654_435_761);
        (Table::View, [&[200], &place.to_be_bytes()[..]].concat(), vec![n as u8; 60])
    });
    [again, large].into_iter().chain(new)
}

fn batch(n: u32) -> Batch {
    let mut puts: Vec<_> = (0..ROWS).map(|row| (Table::Tail, key(n, row), vec![n as u8; 300])).collect();
    puts.push((Table::Head, b"last".to_vec(), n.to_be_bytes().to_vec()));
    puts.push((Table::Arrival, n.to_be_bytes().to_vec(), Vec::new()));
    puts.extend(places(n));
    // The batch before the last loses a row, so that deletes are under way as well.
    let deletes = n.checked_sub(2).map(|n| (Table::Tail, key(n, 0))).into_iter().collect();
    let durability = if n.is_multiple_of(2) { Durability::Strict } else { Durability::Relaxed };
    Batch { puts, deletes, durability, ..Batch::default() }
}

fn text(error: kith_store::StoreError) -> JsValue {
    error.to_string().into()
}

/// Commits batches from number `from` on, `most` of them unless killed before, and calls `acknowledge` with the number
/// of each that was reported committed.
#[wasm_bindgen(js_name = writeUntilKilled)]
pub async fn write_until_killed(name: String, from: u32, most: u32, acknowledge: Function) -> Result<(), JsValue> {
    let store = Paged::new(IndexedDb::open(&name, BUDGET).await.map_err(text)?);
    let mut under_way = FuturesOrdered::new();
    let mut next = from;
    while next < from.saturating_add(most) || !under_way.is_empty() {
        while under_way.len() < UNDER_WAY && next < from.saturating_add(most) {
            let (n, commit) = (next, store.commit(batch(next)));
            under_way.push_back(async move { commit.await.map(|()| n) });
            next += 1;
        }
        if let Some(outcome) = under_way.next().await {
            let n = outcome.map_err(text)?;
            acknowledge.call1(&JsValue::UNDEFINED, &n.into())?;
        }
    }
    store.close().await;
    Ok(())
}

/// Checks the bytes in use against the rows as they are stored below the pages.
async fn check_usage(store: &impl Store, name: &str) -> Result<(), JsValue> {
    let below = IndexedDb::open(name, BUDGET).await.map_err(text)?;
    let range = KeyRange { start: Vec::new(), end: vec![0xff; 16] };
    let all = Table::ALL.map(|table| Read::Scan { table, range: range.clone(), limit: usize::MAX, reverse: false });
    let answers = below.read(all.to_vec()).await.map_err(text)?;
    below.close().await;
    let bytes: u64 = answers.iter().flatten().map(|(key, value)| (key.len() + value.len()) as u64 + ROW_OVERHEAD).sum();
    let usage = store.usage().await.map_err(text)?;
    if usage.bytes == bytes { Ok(()) } else { Err(format!("usage says {}, the rows make {bytes}", usage.bytes).into()) }
}

/// Opens a database of an older layout, in whose table `view` were so many rows: four bytes of number, and a value of
/// that number's lowest byte, as many times as itself. Throws if one is missing, another, or wrongly counted.
#[wasm_bindgen(js_name = checkUpgraded)]
pub async fn check_upgraded(name: String, rows: u32) -> Result<(), JsValue> {
    let store = Paged::new(IndexedDb::open(&name, BUDGET).await.map_err(text)?);
    let range = KeyRange { start: Vec::new(), end: vec![0xff; 16] };
    let read = Read::Scan { table: Table::View, range, limit: usize::MAX, reverse: false };
    let found = store.read(vec![read]).await.map_err(text)?.pop().unwrap_or_default();
    let expected: Rows = (0..rows).map(|n| (n.to_be_bytes().to_vec(), vec![n as u8; n as u8 as usize])).collect();
    if found != expected {
        return Err(format!("{} rows instead of {rows}, or others", found.len()).into());
    }
    check_usage(&store, &name).await?;
    store.close().await;
    Ok(())
}

/// Looks at every row. Gives how many batches there are; throws what is torn, out of order or wrongly counted.
#[wasm_bindgen(js_name = checkBatches)]
pub async fn check_batches(name: String) -> Result<u32, JsValue> {
    let store = Paged::new(IndexedDb::open(&name, BUDGET).await.map_err(text)?);
    let all = |table| Read::Scan {
        table,
        range: KeyRange { start: Vec::new(), end: vec![0xff; 16] },
        limit: usize::MAX,
        reverse: false,
    };
    let reads = vec![all(Table::Arrival), all(Table::Tail), all(Table::Head), all(Table::View)];
    let answers: [Rows; 4] = store.read(reads).await.map_err(text)?.try_into().map_err(|_| "not four answers")?;
    let [arrival, tail, head, view] = &answers;
    let count = arrival.len() as u32;
    for (n, (key, _)) in (0..).zip(arrival) {
        if *key != u32::to_be_bytes(n) {
            return Err(format!("batch {n} is missing, {key:?} is there").into());
        }
    }
    let mut expected = Vec::new();
    for n in 0..count {
        let first = if n + 2 < count { 1 } else { 0 };
        expected.extend((first..ROWS).map(|row| (key(n, row), vec![n as u8; 300])));
    }
    if *tail != expected {
        return Err(format!("torn: {} rows of {count} batches, {} expected", tail.len(), expected.len()).into());
    }
    let last: Rows = count.checked_sub(1).map(|n| (b"last".to_vec(), n.to_be_bytes().to_vec())).into_iter().collect();
    if *head != last {
        return Err(format!("the head is {head:?} after {count} batches").into());
    }
    let places: BTreeMap<Vec<u8>, Vec<u8>> = (0..count).flat_map(places).map(|(_, key, value)| (key, value)).collect();
    if *view != places.into_iter().collect::<Rows>() {
        return Err(format!("{} rows in view after {count} batches, or others", view.len()).into());
    }
    check_usage(&store, &name).await?;
    store.close().await;
    Ok(count)
}
