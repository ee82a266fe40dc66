//! Writing until something kills us, and looking at what is left.

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use js_sys::Function;
use kith_core::rows::{Batch, Durability, KeyRange, Read, Rows, Table};
use kith_store::{IndexedDb, ROW_OVERHEAD, Store};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Rows of a batch in its main table.
const ROWS: u32 = 60;

/// Batches under way at a time.
const UNDER_WAY: usize = 4;

/// Room for every batch of a long run.
const BUDGET: u64 = 1 << 40;

fn key(batch: u32, row: u32) -> Vec<u8> {
    [batch.to_be_bytes(), row.to_be_bytes()].concat()
}

fn batch(n: u32) -> Batch {
    let mut puts: Vec<_> = (0..ROWS).map(|row| (Table::Tail, key(n, row), vec![n as u8; 300])).collect();
    puts.push((Table::Head, b"last".to_vec(), n.to_be_bytes().to_vec()));
    puts.push((Table::Arrival, n.to_be_bytes().to_vec(), Vec::new()));
    puts.push((Table::View, vec![(n % 50) as u8], n.to_be_bytes().to_vec()));
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
    let store = IndexedDb::open(&name, BUDGET).await.map_err(text)?;
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

/// Looks at every row. Gives how many batches there are; throws what is torn, out of order or wrongly counted.
#[wasm_bindgen(js_name = checkBatches)]
pub async fn check_batches(name: String) -> Result<u32, JsValue> {
    let store = IndexedDb::open(&name, BUDGET).await.map_err(text)?;
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
    if view.len() as u32 != count.min(50) {
        return Err(format!("{} rows in view after {count} batches", view.len()).into());
    }
    let bytes: u64 = answers.iter().flatten().map(|(key, value)| (key.len() + value.len()) as u64 + ROW_OVERHEAD).sum();
    let usage = store.usage().await.map_err(text)?;
    if usage.bytes != bytes {
        return Err(format!("usage says {}, the rows make {bytes}", usage.bytes).into());
    }
    store.close().await;
    Ok(count)
}
