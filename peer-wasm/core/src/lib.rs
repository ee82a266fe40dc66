//! The sans-IO heart of a Kith peer.
//!
//! Nothing here reads a clock, draws randomness, opens a socket or touches a store: time, entropy, rows and
//! frames come in as values, and what should happen comes out as values.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod api;
pub mod archive;
pub mod authority;
pub mod clock;
pub mod codec;
pub mod document;
pub mod entropy;
pub mod entry;
pub mod epoch;
pub mod history;
pub mod identity;
pub mod invite;
pub mod lens;
pub mod patch;
pub mod path;
pub mod peer;
mod purpose;
pub mod ranges;
pub mod records;
pub mod rows;
pub mod sealed;
#[cfg(feature = "sim")]
pub mod sim;
pub mod version;
pub mod wire;
