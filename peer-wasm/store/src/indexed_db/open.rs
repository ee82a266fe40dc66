//! Opening, and what may come between: another connection in the way, a newer layout, an upgrade.

use std::cell::RefCell;
use std::rc::Rc;

use futures::channel::oneshot;
use futures::future::{Either, select};
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbVersionChangeEvent};

use super::request::{Listener, done, settled};
use super::{backend, migrate};
use crate::StoreError;
use crate::schema::{Step, newest};

/// How long others get to let go of the database, in milliseconds. Ours do so at once; a transaction of theirs may
/// take a moment to end.
const BLOCKED_PATIENCE_MS: i32 = 3_000;

/// Opens a database at the layout that `steps` lead to.
pub(super) async fn open(name: &str, steps: &'static [Step]) -> Result<IdbDatabase, StoreError> {
    let known = newest(steps);
    let request = factory()?.open_with_u32(name, known).map_err(|error| backend(&error))?;
    let failure = Rc::new(RefCell::new(None));
    let on_upgrade = {
        let (request, failure, forgive) = (request.clone(), Rc::clone(&failure), migrate::forgive());
        Closure::<dyn FnMut(IdbVersionChangeEvent)>::new(move |event: IdbVersionChangeEvent| {
            migrate::start(&request, event.old_version(), steps, Rc::clone(&failure), Rc::clone(&forgive));
        })
    };
    request.set_onupgradeneeded(Some(on_upgrade.as_ref().unchecked_ref()));
    let outcome = patiently(request, Some(on_upgrade)).await;
    match outcome {
        Err(_) if failure.borrow().is_some() => Err(failure.take().unwrap_or(StoreError::Blocked)),
        Err(StoreError::Backend(words)) if words.starts_with("VersionError") => {
            Err(StoreError::Newer { found: layout_of(name).await?, known })
        }
        Err(error) => Err(error),
        Ok(database) => database.dyn_into().map_err(|_| StoreError::Backend("the browser opened no database".into())),
    }
}

/// Removes a database.
pub(super) async fn remove(name: &str) -> Result<(), StoreError> {
    let request = factory()?.delete_database(name).map_err(|error| backend(&error))?;
    patiently(request, None).await.map(|_| ())
}

/// Has Chromium put what its log holds into tables and begin a new log file.
///
/// Chromium keeps a site's databases in one LevelDB and goes on writing in the log file of the session before. If that session was killed
/// within a write, the file has a torn record in it then, no longer at its end: the next time it is read it counts as corrupt, and Chromium
/// deletes all of the site's databases. A log is put away when a database is deleted, so an empty one is made and deleted. It takes some
/// milliseconds, and nobody waits for it. See `docs/decisions/0037-a-new-log-at-every-start.md`.
pub(super) fn begin_log(name: &str) {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into());
    let is_chromium = navigator.is_ok_and(|navigator| Reflect::has(&navigator, &"userAgentData".into()) == Ok(true));
    if !is_chromium {
        return;
    }
    let spare = format!("{name}.log");
    spawn_local(async move {
        // Should it fail, the next start tries again.
        let _ = make_and_remove(&spare).await;
    });
}

async fn make_and_remove(name: &str) -> Result<(), StoreError> {
    open_as_it_is(name).await?.close();
    remove(name).await
}

/// Opens a database at whatever layout it is; makes an empty one if there is none.
async fn open_as_it_is(name: &str) -> Result<IdbDatabase, StoreError> {
    let request = factory()?.open(name).map_err(|error| backend(&error))?;
    Ok(patiently(request, None).await?.unchecked_into())
}

/// The layout of a database that is too new for us.
async fn layout_of(name: &str) -> Result<u32, StoreError> {
    let database = open_as_it_is(name).await?;
    let layout = database.version();
    database.close();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(layout as u32)
}

/// The browser's IndexedDB, in a page or in a worker.
fn factory() -> Result<IdbFactory, StoreError> {
    Reflect::get(&js_sys::global(), &"indexedDB".into())
        .ok()
        .and_then(|factory| factory.dyn_into().ok())
        .ok_or_else(|| StoreError::Backend("this browser, or this private window, offers no IndexedDB".into()))
}

/// Waits for an open or delete request, but not for ever if others are in its way.
///
/// The request itself cannot be taken back, so a task of its own sees it to its end and closes what nobody waits for.
async fn patiently(
    request: IdbOpenDbRequest,
    on_upgrade: Option<Closure<dyn FnMut(IdbVersionChangeEvent)>>,
) -> Result<JsValue, StoreError> {
    let (answer, answered) = oneshot::channel();
    spawn_local(async move {
        let blocked = Listener::new();
        request.set_onblocked(Some(blocked.function()));
        let in_the_way = Box::pin(async {
            blocked.heard().await;
            patience().await;
        });
        // `done` looks at the request's state first, which says "done" during an upgrade already: wait for the event.
        let end = Box::pin(settled(&request));
        let mut answer = Some(answer);
        if let Either::Right(((), end)) = select(end, in_the_way).await {
            if let Some(answer) = answer.take() {
                let _ = answer.send(Err(StoreError::Blocked));
            }
            end.await;
        }
        request.set_onblocked(None);
        request.set_onupgradeneeded(None);
        drop(on_upgrade);
        let outcome = done(&request).await;
        let unwanted = match answer {
            Some(answer) => answer.send(outcome).err(),
            None => Some(outcome),
        };
        if let Some(Ok(result)) = unwanted
            && let Ok(database) = result.dyn_into::<IdbDatabase>()
        {
            database.close();
        }
    });
    answered.await.unwrap_or(Err(StoreError::Closed))
}

async fn patience() {
    let promise = Promise::new(&mut |resolve, _| {
        let timer = Reflect::get(&js_sys::global(), &"setTimeout".into()).and_then(JsValue::dyn_into::<Function>);
        let set = timer.and_then(|set| set.call2(&JsValue::UNDEFINED, &resolve, &BLOCKED_PATIENCE_MS.into()));
        if set.is_err() {
            // No timers here: do not wait.
            let _ = resolve.call0(&JsValue::UNDEFINED);
        }
    });
    let _ = JsFuture::from(promise).await;
}
