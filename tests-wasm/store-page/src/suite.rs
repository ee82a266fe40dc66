//! The conformance suite on IndexedDB, bare and with pages on top.

use js_sys::Uint8Array;
use kith_store::conformance::{Case, Factory, Layouts, PlantedRow, cases, layout_cases};
use kith_store::schema::Step;
use kith_store::{IndexedDb, Paged, Store, StoreError};
use rexie::{ObjectStore, Rexie, TransactionMode};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Opens databases whose names begin with a prefix, so that cases can be run again in one profile.
struct Browser {
    prefix: String,
}

impl Browser {
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl Factory for Browser {
    type Store = IndexedDb;

    async fn open(&self, name: &str, budget: u64) -> Result<IndexedDb, StoreError> {
        IndexedDb::open(&self.name(name), budget).await
    }

    async fn second(&self, _: &IndexedDb, name: &str, budget: u64) -> Result<IndexedDb, StoreError> {
        // A connection of its own, as another worker has.
        IndexedDb::open(&self.name(name), budget).await
    }
}

/// The same with pages on top. A database opened twice is one store: only one may write below.
struct Packed(Browser);

impl Factory for Packed {
    type Store = Paged<IndexedDb>;

    const PACKS: bool = true;

    async fn open(&self, name: &str, budget: u64) -> Result<Self::Store, StoreError> {
        self.0.open(name, budget).await.map(Paged::new)
    }

    async fn second(&self, store: &Self::Store, _: &str, _: u64) -> Result<Self::Store, StoreError> {
        Ok(store.clone())
    }
}

impl Layouts for Packed {
    async fn plant(&self, name: &str, layout: u32, tables: &[&str], rows: &[PlantedRow<'_>]) -> Result<(), StoreError> {
        let planted = async {
            let mut builder = Rexie::builder(&self.0.name(name)).version(layout);
            for table in tables {
                builder = builder.add_object_store(ObjectStore::new(table));
            }
            let database = builder.build().await?;
            let transaction = database.transaction(tables, TransactionMode::ReadWrite)?;
            for (table, key, value) in rows {
                let (key, value) = (Uint8Array::from(*key).into(), Uint8Array::from(*value).buffer().into());
                transaction.store(table)?.put(&value, Some(&key)).await?;
            }
            transaction.done().await?;
            database.close();
            Ok::<(), rexie::Error>(())
        };
        planted.await.map_err(|error| StoreError::Backend(error.to_string()))
    }

    async fn open_as(&self, name: &str, budget: u64, steps: &'static [Step]) -> Result<Self::Store, StoreError> {
        IndexedDb::open_as(&self.0.name(name), budget, steps).await.map(Paged::new)
    }
}

/// What the names of cases with pages begin with.
const PACKED: &str = "packed: ";

fn packed_cases() -> Vec<Case<Packed>> {
    cases().into_iter().chain(layout_cases()).collect()
}

/// The names of all cases.
#[wasm_bindgen(js_name = caseNames)]
pub fn case_names() -> Vec<String> {
    let bare = cases::<Browser>().into_iter().map(|(name, _)| name.to_owned());
    bare.chain(packed_cases().into_iter().map(|(name, _)| format!("{PACKED}{name}"))).collect()
}

/// Runs a case; throws what is wrong.
#[wasm_bindgen(js_name = runCase)]
pub async fn run_case(name: String, prefix: String) -> Result<(), JsValue> {
    let browser = Browser { prefix };
    let verdict = if let Some(name) = name.strip_prefix(PACKED) {
        let found = packed_cases().into_iter().find(|(of, _)| *of == name);
        let Some((_, case)) = found else { return Err("no such case".into()) };
        case(&Packed(browser)).await
    } else {
        let found = cases().into_iter().find(|(of, _)| *of == name);
        let Some((_, case)) = found else { return Err("no such case".into()) };
        case(&browser).await
    };
    verdict.map_err(JsValue::from)
}

/// Opens a database and closes it again; gives the error's debug form, or nothing.
#[wasm_bindgen(js_name = tryOpen)]
pub async fn try_open(name: String) -> Option<String> {
    match IndexedDb::open(&name, 1 << 30).await {
        Ok(store) => {
            store.close().await;
            None
        }
        Err(error) => Some(format!("{error:?}")),
    }
}

/// Removes a database; gives the error's debug form, or nothing.
#[wasm_bindgen(js_name = removeDatabase)]
pub async fn remove_database(name: String) -> Option<String> {
    IndexedDb::remove(&name).await.err().map(|error| format!("{error:?}"))
}

/// A store that JavaScript holds open.
#[wasm_bindgen]
pub struct Held(Paged<IndexedDb>);

#[wasm_bindgen]
impl Held {
    /// Opens a database with an ample budget.
    pub async fn open(name: String) -> Result<Held, JsValue> {
        IndexedDb::open(&name, 1 << 40).await.map(Paged::new).map(Held).map_err(|error| error.to_string().into())
    }

    /// Writes one row of `size` bytes; gives the error's debug form, or nothing.
    pub async fn put(&self, key: u32, size: usize) -> Option<String> {
        let value = (0..size).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_le_bytes()).map(|bytes| bytes[3]);
        let puts = vec![(kith_core::rows::Table::View, key.to_be_bytes().to_vec(), value.collect())];
        let batch = kith_core::rows::Batch { puts, ..Default::default() };
        self.0.commit(batch).await.err().map(|error| format!("{error:?}"))
    }

    /// Deletes the rows from key 0 up to `end`; gives the error's debug form, or nothing.
    pub async fn empty(&self, end: u32) -> Option<String> {
        let range = kith_core::rows::KeyRange { start: vec![], end: end.to_be_bytes().to_vec() };
        let batch =
            kith_core::rows::Batch { delete_ranges: vec![(kith_core::rows::Table::View, range)], ..Default::default() };
        self.0.commit(batch).await.err().map(|error| format!("{error:?}"))
    }

    /// How many rows there are, or the error's debug form.
    pub async fn count(&self) -> Result<usize, JsValue> {
        let range = kith_core::rows::KeyRange { start: vec![], end: vec![0xff; 8] };
        let read = kith_core::rows::Read::Scan {
            table: kith_core::rows::Table::View,
            range,
            limit: usize::MAX,
            reverse: false,
        };
        let answers = self.0.read(vec![read]).await.map_err(|error| JsValue::from(format!("{error:?}")))?;
        Ok(answers.first().map_or(0, Vec::len))
    }

    /// The bytes in use.
    pub async fn used(&self) -> Result<f64, JsValue> {
        let usage = self.0.usage().await.map_err(|error| JsValue::from(format!("{error:?}")))?;
        Ok(usage.bytes as f64)
    }
}
