//! Bringing an older database to the current layout, inside the browser's upgrade transaction.
//!
//! A transaction commits by itself once nothing is asked of it any more. Firefox sees to it that other transactions of a worker
//! that is stopped are undone, but commits an upgrade as far as it got when its answers find nobody: half of it, under the new
//! number. So as long as there is more to come, a request that must fail is under way behind all others ([`Guard`]):
//! who lives prevents what follows from that; where nobody does, the upgrade is undone.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Event, IdbDatabase, IdbKeyRange, IdbObjectStore, IdbOpenDbRequest, IdbTransaction};

use super::backend;
use super::count::{Count, page_bytes};
use super::read::{Page, bytes, key_value};
use super::request::done;
use crate::paged::packer::{Packer, Stored};
use crate::schema::{PAGE, Rewrite, RowChange, STATE, Step, USAGE_ROW};
use crate::{StoreError, row_bytes};

/// The object store that is there while an upgrade goes on, with one row.
const GUARD: &str = "_upgrade";

/// What keeps an upgrade from being committed by half.
struct Guard {
    store: IdbObjectStore,
    forgive: Rc<Forgive>,
}

/// Says of a request that failed that this is no reason to undo anything. Has to live until the upgrade is over.
pub(super) type Forgive = Closure<dyn Fn(Event)>;

/// What forgives.
pub(super) fn forgive() -> Rc<Forgive> {
    Rc::new(Closure::new(|event: Event| event.prevent_default()))
}

impl Guard {
    fn new(database: &IdbDatabase, forgive: Rc<Forgive>) -> Result<Guard, JsValue> {
        let store = database.create_object_store(GUARD)?;
        store.put_with_key(&JsValue::TRUE, &GUARD.into())?;
        let guard = Guard { store, forgive };
        guard.hold()?;
        Ok(guard)
    }

    /// To be called once more has been asked, before waiting for the answers.
    fn hold(&self) -> Result<(), JsValue> {
        let fails = self.store.add_with_key(&JsValue::TRUE, &GUARD.into())?;
        fails.set_onerror(Some((*self.forgive).as_ref().unchecked_ref()));
        Ok(())
    }

    /// Asks for a page of rows and waits for it.
    async fn page(&self, store: &IdbObjectStore, range: &JsValue) -> Result<(Array, Array), StoreError> {
        let page = Page::ask(store, range, PAGE).and_then(|page| self.hold().map(|()| page));
        page.map_err(|error| backend(&error))?.fetch().await
    }

    /// Nothing more will be waited for.
    fn end(&self, database: &IdbDatabase) -> Result<(), StoreError> {
        database.delete_object_store(GUARD).map_err(|error| backend(&error))
    }
}

/// Starts the steps that are missing, from within the upgrade event. A failure undoes the upgrade and is left in
/// `failure`.
pub(super) fn start(
    request: &IdbOpenDbRequest,
    old_version: f64,
    steps: &'static [Step],
    failure: Rc<RefCell<Option<StoreError>>>,
    forgive: Rc<Forgive>,
) {
    let transaction = request.transaction();
    let database = request.result().ok().and_then(|result| result.dyn_into::<IdbDatabase>().ok());
    let (Some(transaction), Some(database)) = (transaction, database) else {
        *failure.borrow_mut() = Some(StoreError::Backend("the browser upgrades nothing".into()));
        return;
    };
    // Within the event: what asks is under way from the first.
    let guard = Guard::new(&database, forgive).map_err(|error| backend(&error));
    spawn_local(async move {
        let upgrade = async {
            let guard = guard?;
            for step in steps.iter().filter(|step| f64::from(step.to) > old_version) {
                carry_out(&database, &transaction, &guard, step).await?;
            }
            guard.end(&database)
        };
        if let Err(error) = upgrade.await {
            *failure.borrow_mut() = Some(error);
            let _ = transaction.abort();
        }
    });
}

async fn carry_out(
    database: &IdbDatabase,
    transaction: &IdbTransaction,
    guard: &Guard,
    step: &Step,
) -> Result<(), StoreError> {
    for name in step.creates {
        database.create_object_store(name).map_err(|error| backend(&error))?;
    }
    for (name, rewrite) in step.rewrites {
        let store = transaction.object_store(name).map_err(|error| backend(&error))?;
        rewrite_rows(guard, &store, *rewrite).await?;
    }
    for (from, to) in step.packs {
        pack_rows(guard, transaction, from, to).await?;
        database.delete_object_store(from).map_err(|error| backend(&error))?;
    }
    if step.recount {
        recount(guard, database, transaction).await?;
    }
    Ok(())
}

async fn rewrite_rows(guard: &Guard, store: &IdbObjectStore, rewrite: Rewrite) -> Result<(), StoreError> {
    let mut rest = JsValue::UNDEFINED;
    loop {
        let (keys, values) = guard.page(store, &rest).await?;
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
async fn pack_rows(guard: &Guard, transaction: &IdbTransaction, from: &str, to: &str) -> Result<(), StoreError> {
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
        let (keys, values) = guard.page(&rows, &rest).await?;
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
    let count = state.get(&USAGE_ROW.into()).and_then(|count| guard.hold().map(|()| count));
    let count = count.map_err(|error| backend(&error))?;
    let before = Count::of(&done(&count).await?)?;
    let count = Count { bytes: before.bytes.saturating_add(more).saturating_sub(less), serial: before.serial + 1 };
    state.put_with_key(&count.value(), &USAGE_ROW.into()).map(|_| ()).map_err(|error| backend(&error))
}

/// Counts the bytes of every table and writes the count.
async fn recount(guard: &Guard, database: &IdbDatabase, transaction: &IdbTransaction) -> Result<(), StoreError> {
    let names = database.object_store_names();
    let mut total = 0u64;
    for name in (0..names.length()).filter_map(|at| names.get(at)).filter(|name| name != STATE && name != GUARD) {
        let store = transaction.object_store(&name).map_err(|error| backend(&error))?;
        let mut rest = JsValue::UNDEFINED;
        loop {
            let (keys, values) = guard.page(&store, &rest).await?;
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
fn after(keys: &Array) -> Result<Option<JsValue>, StoreError> {
    if keys.length() < PAGE {
        return Ok(None);
    }
    let last = keys.get(keys.length().saturating_sub(1));
    IdbKeyRange::lower_bound_with_open(&last, true).map(|range| Some(range.into())).map_err(|error| backend(&error))
}
