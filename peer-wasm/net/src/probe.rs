//! Asks by HTTP whether a relay is there.

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortSignal;

/// How long a relay may take to answer, in milliseconds.
const PATIENCE: u32 = 10_000;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch, catch)]
    fn request(url: &str, options: &Object) -> Result<Promise, JsValue>;
}

/// Whether a relay answers at this place, `https://host:port`; what is in front of one and says that it is gone does not count.
pub(crate) async fn answers(place: &str) -> bool {
    let options = Object::new();
    let set = |name: &str, value: &JsValue| Reflect::set(&options, &name.into(), value).is_ok();
    let told = [("method", "HEAD"), ("mode", "cors"), ("cache", "no-store"), ("credentials", "omit")];
    if !told.iter().all(|(name, value)| set(name, &(*value).into()))
        || !set("signal", &AbortSignal::timeout_with_u32(PATIENCE))
    {
        return true;
    }
    match request(&format!("{place}/.well-known/kith.json"), &options) {
        Ok(answer) => {
            let answer = JsFuture::from(answer).await.and_then(|answer| Reflect::get(&answer, &"ok".into()));
            answer.is_ok_and(|ok| ok.as_bool() == Some(true))
        }
        Err(_) => false,
    }
}
