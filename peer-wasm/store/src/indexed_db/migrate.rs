//! Bringing an older database to the current layout, inside the browser's upgrade transaction.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{IdbDatabase, IdbKeyRange, IdbObjectStore, IdbOpenDbRequest, IdbTransaction};

use super::backend;
use super::count::{Count, page_bytes};
use super::read::{Page, bytes, key_value};
use super::request::done;
use crate::paged::packer::{Packer, Stored};
use crate::schema::{PAGE, Rewrite, RowChange, STATE, Step, USAGE_ROW};
use crate::{StoreError, row_bytes};

/// Starts the steps that are missing, from within the upgrade event. A failure undoes the upgrade and is left in
/// `failure`.
pub(super) fn start(
    request: &IdbOpenDbRequest,
    old_version: f64,
    steps: &'static [Step],
    failure: Rc<RefCell<Option<StoreError>>>,
) {
    let transaction = request.transaction();
    let database = request.result().ok().and_then(|result| result.dyn_into::<IdbDatabase>().ok());
    let (Some(transaction), Some(database)) = (transaction, database) else {
        *failure.borrow_mut() = Some(StoreError::Backend("the browser upgrades nothing".into()));
        return;
    };
    spawn_local(async move {
        for step in steps.iter().filter(|step| f64::from(step.to) > old_version) {
            if let Err(error) = carry_out(&database, &transaction, step).await {
                *failure.borrow_mut() = Some(error);
                let _ = transaction.abort();
                return;
            }
        }
    });
}

async fn carry_out(database: &IdbDatabase, transaction: &IdbTransaction, step: &Step) -> Result<(), StoreError> {
    for name in step.creates {
        database.create_object_store(name).map_err(|error| backend(&error))?;
    }
    for (name, rewrite) in step.rewrites {
        let store = transaction.object_store(name).map_err(|error| backend(&error))?;
        rewrite_rows(&store, *rewrite).await?;
    }
    for (from, to) in step.packs {
        pack_rows(transaction, from, to).await?;
        database.delete_object_store(from).map_err(|error| backend(&error))?;
    }
    if step.recount {
        recount(database, transaction).await?;
    }
    Ok(())
}

async fn rewrite_rows(store: &IdbObjectStore, rewrite: Rewrite) -> Result<(), StoreError> {
    let mut rest = JsValue::UNDEFINED;
    loop {
        let page = Page::ask(store, &rest, PAGE).map_err(|error| backend(&error))?;
        let (keys, values) = page.fetch().await?;
        for (key, value) in keys.iter().zip(values.iter()) {
            match rewrite(&bytes(&key), &bytes(&value)) {
                RowChange::Keep => Ok(()),
                RowChange::Replace(value) => {
                    store.put_with_key(&Uint8Array::from(value.as_slice()).buffer(), &key).map(|_| ())
                }
                RowChange::Remove => store.delete(&key).map(|_| ()),
            }
            .map_err(|error| backend(&error))?;
        }
        match after(&keys)? {
            Some(range) => rest = range,
            None => return Ok(()),
        }
    }
}

/// Packs the rows of one object store into pages of another and corrects the count.
async fn pack_rows(transaction: &IdbTransaction, from: &str, to: &str) -> Result<(), StoreError> {
    let store = |name: &str| transaction.object_store(name).map_err(|error| backend(&error));
    let (rows, pages, state) = (store(from)?, store(to)?, store(STATE)?);
    let (mut less, mut more) = (0u64, 0u64);
    let mut put = |(key, value): Stored| {
        more = more.saturating_add(row_bytes(key.len(), value.len()));
        let value = Uint8Array::from(value.as_slice()).buffer();
        pages.put_with_key(&value, &key_value(&key)).map(|_| ()).map_err(|error| backend(&error))
    };
    let mut packer = Packer::default();
    let mut rest = JsValue::UNDEFINED;
    loop {
        let page = Page::ask(&rows, &rest, PAGE).map_err(|error| backend(&error))?;
        let (keys, values) = page.fetch().await?;
        less = less.saturating_add(page_bytes(&keys, &values));
        for (key, value) in keys.iter().zip(values.iter()) {
            packer.push(&bytes(&key), &bytes(&value)).into_iter().try_for_each(&mut put)?;
        }
        match after(&keys)? {
            Some(range) => rest = range,
            None => break,
        }
    }
    packer.finish().into_iter().try_for_each(&mut put)?;
    let count = state.get(&USAGE_ROW.into()).map_err(|error| backend(&error))?;
    let before = Count::of(&done(&count).await?)?;
    let count = Count { bytes: before.bytes.saturating_add(more).saturating_sub(less), serial: before.serial + 1 };
    state.put_with_key(&count.value(), &USAGE_ROW.into()).map(|_| ()).map_err(|error| backend(&error))
}

/// Counts the bytes of every table and writes the count.
async fn recount(database: &IdbDatabase, transaction: &IdbTransaction) -> Result<(), StoreError> {
    let names = database.object_store_names();
    let mut total = 0u64;
    for name in (0..names.length()).filter_map(|at| names.get(at)).filter(|name| name != STATE) {
        let store = transaction.object_store(&name).map_err(|error| backend(&error))?;
        let mut rest = JsValue::UNDEFINED;
        loop {
            let page = Page::ask(&store, &rest, PAGE).map_err(|error| backend(&error))?;
            let (keys, values) = page.fetch().await?;
            total = total.saturating_add(page_bytes(&keys, &values));
            match after(&keys)? {
                Some(range) => rest = range,
                None => break,
            }
        }
    }
    let state = transaction.object_store(STATE).map_err(|error| backend(&error))?;
    let count = Count { bytes: total, serial: 0 };
    state.put_with_key(&count.value(), &USAGE_ROW.into()).map(|_| ()).map_err(|error| backend(&error))
}

/// The keys after a full page, or `None` after the last page.
fn after(keys: &js_sys::Array) -> Result<Option<JsValue>, StoreError> {
    if keys.length() < PAGE {
        return Ok(None);
    }
    let last = keys.get(keys.length().saturating_sub(1));
    IdbKeyRange::lower_bound_with_open(&last, true).map(|range| Some(range.into())).map_err(|error| backend(&error))
}
