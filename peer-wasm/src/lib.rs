//! The whole Kith peer for a Service Worker.
//!
//! `http` translates between HTTP and the words of `kith-core`; `driver` is the event loop that joins the core with
//! its store and network; `export` is what JavaScript sees.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod http;

#[cfg(target_arch = "wasm32")]
mod driver;
#[cfg(target_arch = "wasm32")]
pub mod export;

/// The peer's version, as in its crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
