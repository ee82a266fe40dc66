//! What a test page asks of the store, inside a real browser.

#![cfg(target_arch = "wasm32")]

pub mod bench;
pub mod kill;
pub mod suite;
