//! The few things that differ between a browser worker and a native process: spawning and time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use web_time::{SystemTime, UNIX_EPOCH};

/// Runs a task beside the caller. Natively inside a tokio runtime.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// Runs a task beside the caller.
#[cfg(target_arch = "wasm32")]
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(task);
}

/// Waits.
pub(crate) type Delay = futures_timer::Delay;

/// A wait that can be kept in a struct.
pub(crate) fn delay(time: Duration) -> Pin<Box<Delay>> {
    Box::pin(Delay::new(time))
}

/// Milliseconds since 1970 by the system's clock; only ever compared with values of the same machine.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
