//! Everything the core has to do, in one program: it is compiled and run in a fraction of the time dozens would take.
//! `cargo test -p kith-core --test all sim_weather` runs the tests of one file.

#![allow(clippy::duplicate_mod, reason = "each file with laws adds to the store what it asks of it")]

mod common;
#[path = "common/forging.rs"]
mod forging;
#[path = "common/texts.rs"]
mod texts;

mod archive;
mod document_laws;
mod kind_laws;
mod life_laws;
mod moves;
mod redaction_laws;
mod sim_careful_texts;
mod sim_crowd;
mod sim_deletion;
mod sim_early;
mod sim_early_edits;
mod sim_erased;
mod sim_forged;
mod sim_growth;
mod sim_history;
mod sim_hostile;
mod sim_join;
mod sim_kinds;
mod sim_moves;
mod sim_policy;
mod sim_presence;
mod sim_pruned;
mod sim_purge;
mod sim_scale;
mod sim_spread;
mod sim_storage;
mod sim_subscriptions;
mod sim_sync;
mod sim_text;
mod sim_text_traces;
mod sim_weather;
mod text;
mod text_events;
mod text_history;
mod undo;
mod undo_kinds;
mod vectors;
