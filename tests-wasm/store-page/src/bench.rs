//! The store against a bare rexie loop on the same records. The page measures the time.

use futures::future::{join_all, try_join_all};
use futures::stream::{self, StreamExt, TryStreamExt};
use js_sys::Uint8Array;
use kith_core::rows::{Batch, Durability, KeyRange, Read, Table};
use kith_store::paged::PageSizes;
use kith_store::{IndexedDb, Paged, Store};
use rexie::{ObjectStore, Rexie, TransactionMode};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Bytes of a record, about those of a small signed entry.
const VALUE: usize = 300;

const BUDGET: u64 = 1 << 40;

/// The same bytes in every run, without pattern enough to compress.
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..64 * 1024)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

fn key(n: u32) -> Vec<u8> {
    [1u32.to_be_bytes(), 1u32.to_be_bytes(), 0u32.to_be_bytes(), n.to_be_bytes()].concat()
}

fn value(noise: &[u8], n: u32) -> &[u8] {
    let from = (n as usize * 61) % (noise.len() - VALUE);
    noise.get(from..from + VALUE).unwrap_or_default()
}

fn durability(strict: bool) -> Durability {
    if strict { Durability::Strict } else { Durability::Relaxed }
}

fn text(error: impl std::fmt::Display) -> JsValue {
    error.to_string().into()
}

/// Writes `rows` records in batches of `size`, one commit after the other.
#[wasm_bindgen(js_name = benchStore)]
pub async fn bench_store(name: String, rows: u32, size: u32, strict: bool) -> Result<(), JsValue> {
    let store = IndexedDb::open(&name, BUDGET).await.map_err(text)?;
    let noise = noise();
    for from in (0..rows).step_by(size as usize) {
        let puts = (from..from + size).map(|n| (Table::Tail, key(n), value(&noise, n).to_vec())).collect();
        let batch = Batch { puts, durability: durability(strict), ..Batch::default() };
        store.commit(batch).await.map_err(text)?;
    }
    store.close().await;
    Ok(())
}

/// The same with rexie and nothing else: a transaction for each batch, its puts joined, or each waited for.
#[wasm_bindgen(js_name = benchRexie)]
pub async fn bench_rexie(name: String, rows: u32, size: u32, joined: bool) -> Result<(), JsValue> {
    let builder = Rexie::builder(&name).version(1).add_object_store(ObjectStore::new("tail"));
    let database = builder.build().await.map_err(text)?;
    let noise = noise();
    for from in (0..rows).step_by(size as usize) {
        let transaction = database.transaction(&["tail"], TransactionMode::ReadWrite).map_err(text)?;
        let tail = transaction.store("tail").map_err(text)?;
        let records: Vec<(JsValue, JsValue)> = (from..from + size)
            .map(|n| (Uint8Array::from(key(n).as_slice()).into(), Uint8Array::from(value(&noise, n)).buffer().into()))
            .collect();
        if joined {
            try_join_all(records.iter().map(|(key, value)| tail.put(value, Some(key)))).await.map_err(text)?;
        } else {
            for (key, value) in &records {
                tail.put(value, Some(key)).await.map_err(text)?;
            }
        }
        transaction.done().await.map_err(text)?;
    }
    database.close();
    Ok(())
}

/// Reads what `benchRexie` wrote with rexie alone, `open` at once, each in a transaction of its own: single records, or
/// pages of `page` of them if that is not 0.
#[wasm_bindgen(js_name = benchRexieReads)]
pub async fn bench_rexie_reads(
    name: String,
    rows: u32,
    from: u32,
    reads: u32,
    open: usize,
    page: u32,
) -> Result<(), JsValue> {
    let builder = Rexie::builder(&name).version(1).add_object_store(ObjectStore::new("tail"));
    let database = builder.build().await.map_err(text)?;
    let read = async |n: u32| -> Result<(), rexie::Error> {
        let key: JsValue = Uint8Array::from(key(n.wrapping_mul(7919) % rows).as_slice()).into();
        let transaction = database.transaction(&["tail"], TransactionMode::ReadOnly)?;
        let tail = transaction.store("tail")?;
        if page > 0 {
            tail.get_all(Some(rexie::KeyRange::lower_bound(&key, None)?), Some(page)).await?;
        } else {
            tail.get(key).await?;
        }
        Ok(())
    };
    stream::iter(from..from + reads).map(read).buffer_unordered(open).try_collect::<()>().await.map_err(text)?;
    database.close();
    Ok(())
}

/// Local writes as a peer makes them (entry, place, head, arrival), `writers` at a time.
#[wasm_bindgen(js_name = benchWrites)]
pub async fn bench_writes(name: String, writes: u32, writers: u32, strict: bool) -> Result<(), JsValue> {
    let store = IndexedDb::open(&name, BUDGET).await.map_err(text)?;
    let noise = noise();
    for from in (0..writes).step_by(writers as usize) {
        let commits = (from..from + writers).map(|n| {
            let puts = vec![
                (Table::Tail, key(n), value(&noise, n).to_vec()),
                (Table::View, key(n % 1000), value(&noise, n).get(..150).unwrap_or_default().to_vec()),
                (Table::Head, key(0), n.to_be_bytes().repeat(10)),
                (Table::Arrival, key(n), key(n)),
            ];
            store.commit(Batch { puts, durability: durability(strict), ..Batch::default() })
        });
        for outcome in join_all(commits).await {
            outcome.map_err(text)?;
        }
    }
    store.close().await;
    Ok(())
}

/// Places of a tree as catching up writes them, `size` in a batch: each is looked up, then all are written. In pages of
/// `page` bytes, or one by one if that is 0; in the order of their keys, or `scattered`.
#[wasm_bindgen(js_name = benchPlaces)]
pub async fn bench_places(name: String, rows: u32, size: u32, page: usize, scattered: bool) -> Result<(), JsValue> {
    let store = IndexedDb::open(&name, BUDGET).await.map_err(text)?;
    if page == 0 {
        return places(store, rows, size, scattered).await;
    }
    places(Paged::with_sizes(store, PageSizes { page, ..PageSizes::default() }), rows, size, scattered).await
}

async fn places(store: impl Store, rows: u32, size: u32, scattered: bool) -> Result<(), JsValue> {
    let noise = noise();
    let place = |n: u32| if scattered { n.wrapping_mul(2_654_435_761) } else { n };
    for from in (0..rows).step_by(size as usize) {
        let keys: Vec<Vec<u8>> = (from..from + size).map(|n| key(place(n))).collect();
        let reads = keys.iter().map(|key| Read::Get { table: Table::View, key: key.clone() }).collect();
        store.read(reads).await.map_err(text)?;
        let value = |n| value(&noise, n).get(..60).unwrap_or_default().to_vec();
        let puts = keys.into_iter().zip(from..).map(|(key, n)| (Table::View, key, value(n))).collect();
        store.commit(Batch { puts, ..Batch::default() }).await.map_err(text)?;
    }
    store.close().await;
    Ok(())
}

/// Opens what `benchStore` wrote and reads `reads` single rows, then pages of 1000 rows to the end. `pages` says which.
#[wasm_bindgen(js_name = benchReads)]
pub async fn bench_reads(name: String, rows: u32, reads: u32, pages: bool) -> Result<u32, JsValue> {
    let store = IndexedDb::open(&name, BUDGET).await.map_err(text)?;
    let mut found = 0;
    if pages {
        let mut from = key(0);
        loop {
            let range = KeyRange { start: from.clone(), end: vec![0xff; 4] };
            let read = Read::Scan { table: Table::Tail, range, limit: 1000, reverse: false };
            let page = store.read(vec![read]).await.map_err(text)?.pop().unwrap_or_default();
            found += page.len() as u32;
            let Some((last, _)) = page.last() else { break };
            from.clone_from(last);
            from.push(0);
        }
    } else {
        for n in 0..reads {
            let read = Read::Get { table: Table::Tail, key: key(n.wrapping_mul(7919) % rows) };
            found += store.read(vec![read]).await.map_err(text)?.pop().unwrap_or_default().len() as u32;
        }
    }
    store.close().await;
    Ok(found)
}
