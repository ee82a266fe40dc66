//! Collaborative text, without IO.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod apply;
mod chunk;
pub mod codec;
mod delta;
mod diamond;
mod diff;
mod doc;
mod edit;
mod engine;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod graph;
mod op;
mod read;
mod rope;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod seed;
mod settle;
mod store;
mod version;

pub use apply::*;
pub use chunk::Damaged;
pub use delta::{Delta, Splice};
pub use diff::diff;
pub use doc::TextDoc;
pub use edit::EditError;
pub use engine::Algorithm;
pub use gate::{MAX_HISTORY_CHARS, MAX_TEXT_CHARS, Refusal};
pub use op::{Edit, MAX_EDITS, MAX_OP_BYTES, MAX_PARENTS, OpError, TextOp};
pub use read::{ReadError, Status};
pub use settle::Settled;
pub use store::{OpenError, RowChange, RowKey, StoredHead};
pub use version::{Agent, Frontier, Version};
