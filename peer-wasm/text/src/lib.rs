//! Collaborative text, without IO: many people write in one document, offline or at once, and all come to the same text.
//!
//! # How it fits together
//!
//! A [`TextOp`] says which state of the document it was made at and what it changes there. It travels inside a signed
//! entry of its writer's log, so who wrote it and in which order is known before it comes here, and its name is the
//! entry's: a [`Version`], `<agent>-<seq>`. A state of a document is a [`Frontier`]: the operations that no other one of
//! it builds on.
//!
//! A [`TextDoc`] takes operations in any order across writers, and in log order of each:
//!
//! ```text
//! bytes ─▶ TextOp::decode ─▶ gate ─▶ accepted ─▶ settle ─▶ visible text
//!            (limits)         │        (engine)   (budget)
//!                             ├─ waits for what it builds on
//!                             └─ refused, here and everywhere
//! ```
//!
//! * **The gate** (`gate.rs`) is what makes merging safe: positions are inside the text they were made in, parents are
//!   known and in order, nobody writes beside himself. What passes is harmless, and whether something passes depends on
//!   the operation and its past alone, so peers agree without talking about it.
//! * **The engine** (`merge.rs`) is behind a trait and named by an [`Algorithm`] in every operation and document. It puts
//!   concurrent edits in the order of diamond-types 1.0.0.
//! * **Merging is in portions.** [`TextDoc::apply`] judges; [`TextDoc::settle`] makes visible, with a budget of work that
//!   is counted, not timed. What builds on exactly the visible text is visible at once: that is all there is to do for
//!   one writer, or for several who take turns.
//! * **Rows** (`store.rs`): opening a document costs its text, not its history. Reading the text, editing it, and taking in
//!   what builds on it need no history; where it is needed, the answer is `NeedsHistory`, nothing has changed, and the
//!   call is repeated after [`TextDoc::load_history`]. So it can be used by steps that load rows first and are run again.
//!
//! Positions count code points everywhere. No clock and no randomness: two peers that are told the same do the same.
//!
//! # Using it
//!
//! ```
//! use kith_text::{Agent, Algorithm, Outcome, Settled, Splice, TextDoc};
//!
//! let (ada, bob) = (Agent([1; 10]), Agent([2; 10]));
//! let mut here = TextDoc::new(Algorithm::DiamondTypes1);
//! let mut there = TextDoc::new(Algorithm::DiamondTypes1);
//! let write = |pos, len, text: &str| [Splice { pos, len, text: text.into() }];
//!
//! let first = here.edit(ada, 0, &write(0, 0, "Hello world"))?;
//! assert_eq!(there.apply_bytes(ada, 0, &first.encode()), Outcome::Accepted);
//! // Both write, not knowing of each other.
//! let one = here.edit(ada, 1, &write(0, 5, "Goodbye"))?;
//! let two = there.edit(bob, 0, &write(11, 0, "!"))?;
//! here.apply(bob, 0, two);
//! there.apply(ada, 1, one);
//! assert_eq!((here.settle(1000), there.settle(1000)), (Settled::Done, Settled::Done));
//! assert_eq!(here.text(), "Goodbye world!");
//! assert_eq!(here.text(), there.text());
//! # Ok::<(), kith_text::EditError>(())
//! ```
//!
//! After every step of the caller: [`TextDoc::take_changes`] for editors and subscribers, [`TextDoc::take_decided`] for who
//! waits for an operation, [`TextDoc::take_rows`] for the transaction; [`TextDoc::wanted`] and [`TextDoc::missing`] say
//! what to offer again and what to ask others for. If the transaction fails, drop the document and open it again.
//!
//! # What it does not do
//!
//! One operation cannot be merged in part: it may take looking at as much history as lies after the last operation that
//! everything builds on. Texts longer than [`MAX_TEXT_CHARS`] cannot grow, and a document ends at [`MAX_HISTORY_CHARS`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod apply;
mod chunk;
pub mod codec;
mod delta;
mod diff;
mod doc;
mod edit;
mod engine;
mod event_graph;
mod event_rows;
mod events;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod graph;
mod merge;
mod op;
mod read;
mod rope;
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
pub use events::{Event, EventError, Events, MAX_AGENT_BYTES, MAX_EVENTS, Mark, event_name};
pub use gate::{MAX_HISTORY_CHARS, MAX_TEXT_CHARS, Refusal};
pub use op::{Edit, MAX_EDITS, MAX_OP_BYTES, MAX_PARENTS, OpError, TextOp};
pub use read::{ReadError, Status};
pub use settle::Settled;
pub use store::{OpenError, RowChange, RowKey, StoredHead};
pub use version::{Agent, Frontier, Version};
