//! What the worker sees: thin wrappers around the driver. Errors carry a stable `name` and a plain sentence.

use crate::driver::{Driver, Host};
use crate::http::{HttpRequest, HttpResponse};
use js_sys::{Array, Error, Object, Reflect, Uint8Array};
use kith_core::peer::{Input, Quota};
use kith_store::{IndexedDb, Paged, StoreError};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::MessagePort;

/// Bytes a peer stores if the host does not say: well below what browsers grant.
const DEFAULT_BUDGET: u64 = 1 << 30;

/// The peer's version.
#[wasm_bindgen]
pub fn version() -> String {
    crate::VERSION.to_owned()
}

#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|info| {
        web_sys::console::error_1(&format!("The peer has failed and will be restarted: {info}").into());
    }));
}

/// A whole peer: open it, ask it with HTTP requests, hand it carriers.
#[wasm_bindgen]
pub struct Peer {
    driver: Rc<Driver<Paged<IndexedDb>>>,
}

fn error(name: &str, text: &str) -> JsValue {
    let error = Error::new(text);
    error.set_name(name);
    error.into()
}

fn store_error(cause: &StoreError) -> JsValue {
    let name = match cause {
        StoreError::Full => "StoreFullError",
        StoreError::Newer { .. } => "StoreNewerError",
        StoreError::Blocked => "StoreBlockedError",
        StoreError::Corrupt(_) => "StoreCorruptError",
        _ => "StoreOpenError",
    };
    error(name, &cause.to_string())
}

fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

fn texts(list: &JsValue) -> Vec<String> {
    if !list.is_object() {
        return Vec::new();
    }
    Array::from(list).iter().filter_map(|text| text.as_string()).collect()
}

fn closed() -> JsValue {
    error("PeerClosedError", "The peer was closed. Try again.")
}

/// Header lines from an array of `[name, value]`.
fn pairs(headers: &Array) -> Vec<(String, String)> {
    let pair = |pair: JsValue| {
        let pair = Array::from(&pair);
        Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
    };
    headers.iter().filter_map(pair).collect()
}

/// `{ status, statusText, headers, body?, stream? }`
fn reply(response: &HttpResponse, stream: Option<u32>) -> Result<JsValue, JsValue> {
    let reply = Object::new();
    let set = |name: &str, value: &JsValue| Reflect::set(&reply, &name.into(), value).map(|_| ());
    set("status", &response.status.into())?;
    set("statusText", &response.status_text().into())?;
    let pairs = Array::new();
    for (name, value) in &response.headers {
        pairs.push(&Array::of2(&name.into(), &value.into()));
    }
    set("headers", &pairs)?;
    match stream {
        Some(stream) => set("stream", &stream.into())?,
        None if response.body.is_empty() => {}
        None => set("body", &Uint8Array::from(response.body.as_slice()))?,
    }
    Ok(reply.into())
}

#[wasm_bindgen]
impl Peer {
    /// Opens the store `name`, finds or makes the keys, and starts the network with these relays.
    ///
    /// `options`: `{ name: string, relays: string[], budget?: number, quota?: { bytes?: number, entries?: number },
    /// careful?: boolean }`; `quota` is what one author may add to a space in a day, `careful` says that the
    /// peer died lately, so that an entry that brings it down is found. Throws an `Error` named `StoreOpenError`,
    /// `StoreBlockedError`, `StoreNewerError` or `StoreCorruptError`.
    pub async fn open(options: JsValue) -> Result<Peer, JsValue> {
        let name = field(&options, "name").as_string().unwrap_or_else(|| "kith".to_owned());
        let budget = field(&options, "budget").as_f64().map_or(DEFAULT_BUDGET, |budget| budget as u64);
        let quota = field(&options, "quota");
        let limit = |name, default| field(&quota, name).as_f64().map_or(default, |limit| limit as u64);
        let usual = Quota::default();
        let quota = Quota { bytes: limit("bytes", usual.bytes), entries: limit("entries", usual.entries) };
        let relays = texts(&field(&options, "relays"));
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).map_err(|cause| error("EntropyError", &cause.to_string()))?;
        let store = IndexedDb::open(&name, budget).await.map_err(|cause| store_error(&cause))?;
        let driver = Driver::start(Paged::new(store), entropy, crate::VERSION, &relays, quota);
        if field(&options, "careful").as_bool() == Some(true) {
            driver.feed(Input::Careful);
        }
        Ok(Peer { driver })
    }

    /// Answers one request: `{ status, statusText, headers, body?, stream? }`. Bad requests are answered too.
    ///
    /// Throws an `Error` named `PeerClosedError` if the peer was closed meanwhile.
    pub async fn request(
        &self,
        method: String,
        url: String,
        headers: Array,
        body: Option<Uint8Array>,
    ) -> Result<JsValue, JsValue> {
        let body = body.map(|body| body.to_vec());
        let request = HttpRequest { method, url, headers: pairs(&headers), body };
        let driver = self.driver.clone();
        let answer = driver.http(request).await.ok_or_else(closed)?;
        reply(&answer.response, answer.stream)
    }

    /// Opens the way for a body that comes piece by piece (`POST /~/import`): its number, or the whole reply if it is
    /// not welcome.
    #[wasm_bindgen(js_name = openUpload)]
    pub fn open_upload(&self, method: String, url: String, headers: Array) -> Result<JsValue, JsValue> {
        match self.driver.open_upload(HttpRequest { method, url, headers: pairs(&headers), body: None }) {
            Ok(upload) => Ok(upload.into()),
            Err(response) => reply(&response, None),
        }
    }

    /// The next piece of a body, at most 1 MiB; what it holds is stored when this resolves. False: send no more.
    /// One piece at a time.
    pub async fn upload(&self, upload: u32, bytes: Uint8Array) -> bool {
        let driver = self.driver.clone();
        driver.upload(upload, &bytes.to_vec()).await
    }

    /// The reply to a body that came piece by piece.
    ///
    /// Throws an `Error` named `PeerClosedError` if the peer was closed meanwhile.
    #[wasm_bindgen(js_name = finishUpload)]
    pub fn finish_upload(&self, upload: u32) -> Result<JsValue, JsValue> {
        reply(&self.driver.finish_upload(upload).ok_or_else(closed)?, None)
    }

    /// The sender of a body went away.
    #[wasm_bindgen(js_name = cancelUpload)]
    pub fn cancel_upload(&self, upload: u32) {
        self.driver.cancel_upload(upload);
    }

    /// The next chunk of a stream; `undefined` at its end.
    pub async fn pull(&self, stream: u32) -> Option<Uint8Array> {
        let driver = self.driver.clone();
        driver.pull(stream).await.map(|bytes| Uint8Array::from(bytes.as_slice()))
    }

    /// The stream's reader went away.
    pub fn cancel(&self, stream: u32) {
        self.driver.cancel(stream);
    }

    /// The relays where this peer can be met from now on.
    #[wasm_bindgen(js_name = setRelays)]
    pub fn set_relays(&self, relays: Array) {
        self.driver.set_relays(&texts(&relays));
    }

    /// A page's WebRTC carrier; it replaces the one before.
    #[wasm_bindgen(js_name = attachCarrier)]
    pub fn attach_carrier(&self, port: MessagePort) {
        self.driver.attach_carrier(port);
    }

    /// The carrying page is gone.
    #[wasm_bindgen(js_name = detachCarrier)]
    pub fn detach_carrier(&self) {
        self.driver.detach_carrier();
    }

    /// What only the host knows: `{ quota?, usage?, persisted?, carriers? }`.
    #[wasm_bindgen(js_name = setEnvironment)]
    pub fn set_environment(&self, environment: JsValue) {
        self.driver.set_host(Host {
            quota: field(&environment, "quota").as_f64(),
            usage: field(&environment, "usage").as_f64(),
            persisted: field(&environment, "persisted").as_bool(),
            carriers: field(&environment, "carriers").as_f64(),
        });
    }

    /// Ends links and streams and closes the store.
    pub async fn close(&self) {
        self.driver.clone().close().await;
    }
}
