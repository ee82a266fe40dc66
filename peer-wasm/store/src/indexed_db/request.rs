//! IndexedDB's events as futures. Every handler is taken off again and dropped with its future.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use js_sys::{Array, Function, Object, Reflect};
use kith_core::rows::Durability;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DomException, Event, IdbDatabase, IdbRequest, IdbRequestReadyState, IdbTransaction};

use super::{backend, exception_error};
use crate::StoreError;

/// Begins a transaction. `web-sys` only has the durability option behind an unstable flag, so the call is made by name.
pub(super) fn begin(
    database: &IdbDatabase,
    stores: &[&str],
    write: Option<Durability>,
) -> Result<IdbTransaction, JsValue> {
    let names: Array = stores.iter().map(|name| JsValue::from_str(name)).collect();
    let Some(durability) = write else {
        return database.transaction_with_str_sequence(&names);
    };
    let options = Object::new();
    let word = match durability {
        Durability::Strict => "strict",
        Durability::Relaxed => "relaxed",
    };
    Reflect::set(&options, &"durability".into(), &word.into())?;
    let transaction: Function = Reflect::get(database, &"transaction".into())?.dyn_into()?;
    transaction.call3(database, &names, &"readwrite".into(), &options)?.dyn_into()
}

/// A handler that remembers the type of the last event and wakes whoever waits for it.
pub(super) struct Listener {
    state: Rc<ListenerState>,
    closure: Closure<dyn FnMut(Event)>,
}

#[derive(Default)]
struct ListenerState {
    heard: RefCell<Option<String>>,
    waker: Cell<Option<Waker>>,
}

impl Listener {
    pub(super) fn new() -> Listener {
        let state = Rc::new(ListenerState::default());
        let heard = Rc::clone(&state);
        let closure = Closure::new(move |event: Event| {
            *heard.heard.borrow_mut() = Some(event.type_());
            if let Some(waker) = heard.waker.take() {
                waker.wake();
            }
        });
        Listener { state, closure }
    }

    pub(super) fn function(&self) -> &Function {
        self.closure.as_ref().unchecked_ref()
    }

    /// The type of the first event not yet asked for.
    pub(super) async fn heard(&self) -> String {
        poll_fn(|context| match self.state.heard.borrow_mut().take() {
            Some(kind) => Poll::Ready(kind),
            None => {
                self.state.waker.set(Some(context.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

/// Waits for a request of a transaction and gives its result. The transaction is active when this resolves.
pub(super) async fn done(request: &IdbRequest) -> Result<JsValue, StoreError> {
    arrived(request).await;
    match request.error() {
        Ok(None) => request.result().map_err(|error| backend(&error)),
        Ok(Some(error)) => Err(exception_error(&error)),
        Err(error) => Err(backend(&error)),
    }
}

/// Waits until a request of a transaction has succeeded or failed, if it has not yet.
pub(super) async fn arrived(request: &IdbRequest) {
    if request.ready_state() == IdbRequestReadyState::Pending {
        settled(request).await;
    }
}

/// Waits for the next success or failure of a request.
pub(super) async fn settled(request: &IdbRequest) {
    struct Off<'a>(&'a IdbRequest);
    impl Drop for Off<'_> {
        fn drop(&mut self) {
            self.0.set_onsuccess(None);
            self.0.set_onerror(None);
        }
    }
    let listener = Listener::new();
    request.set_onsuccess(Some(listener.function()));
    request.set_onerror(Some(listener.function()));
    let _off = Off(request);
    listener.heard().await;
}

/// A transaction whose end is watched. Must be made in the turn in which the transaction began.
pub(super) struct Ending {
    transaction: IdbTransaction,
    listener: Listener,
}

impl Ending {
    /// Watches `complete` and `abort`. A failed request or a failed commit always ends in `abort`, and only there does
    /// the transaction know its reason, so `error` needs no handler of its own.
    pub(super) fn watch(transaction: &IdbTransaction) -> Ending {
        let listener = Listener::new();
        transaction.set_oncomplete(Some(listener.function()));
        transaction.set_onabort(Some(listener.function()));
        Ending { transaction: transaction.clone(), listener }
    }

    /// Waits for the end. An abort gives the reason, or `None` if we aborted it ourselves.
    pub(super) async fn wait(self) -> Result<(), Option<DomException>> {
        if self.listener.heard().await == "complete" { Ok(()) } else { Err(self.transaction.error()) }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.transaction.set_oncomplete(None);
        self.transaction.set_onabort(None);
    }
}
