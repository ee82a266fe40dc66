//! The merged state of a space: one tree of registers.
//!
//! Every place in the tree has at most one register: the last write there, by (clock, author). A JSON object is a
//! marker at its own place and a register for each member, at any depth, so concurrent writes to different fields
//! never touch; arrays and scalars are one register. Deletion writes a register that says so.
//!
//! When one writer makes a place a scalar while another writes below it, both registers are kept and the later one
//! is what reads show. A register is *hidden* if a scalar above it is later, or if it is a scalar and something
//! live below it is later. That is a function of the registers alone, so every peer shows the same, whatever the
//! order of arrival.
//!
//! Places can be of a [`kind`] of their own; then the register says which, and states beside it say what it holds.

mod applied;
mod apply;
mod early;
pub mod kind;
mod lay;
mod listing;
mod locate;
pub mod moves;
mod ops;
mod plan;
pub mod policy;
mod read;
pub mod redaction;
mod relocate;
mod row;
mod sets;
mod since;
mod steps;
pub mod text;

pub use applied::Applied;
pub use apply::apply;
pub(crate) use apply::hidden;
pub use kind::Merge;
pub use lay::text_of;
pub(crate) use lay::{counter, deletion, restore};
pub(crate) use listing::child_name;
pub use listing::{Listing, list};
pub use locate::{Located, locate, locate_members};
pub use ops::{Item, Leaf, MAX_OPS, MAX_WRITE_ID, Op, Opened, Ops, Strays};
pub use plan::{MAX_VALUE, Planned, Wish, plan, replaced};
pub use policy::Rule;
pub use read::{Held, MAX_LIST_ROWS, MAX_TREE_ROWS, Tree, body_of, inside, merge_versions, text_body, tree};
pub(crate) use relocate::{Relocated, marks, relocate};
pub use row::{Register, States, ViewRow, conflict_key, view_key, view_prefix, write_id_key, write_ids};
pub(crate) use sets::add_member;
pub use sets::{member_name, member_paths};
pub use since::{Since, live_on};

#[cfg(test)]
mod tests;
