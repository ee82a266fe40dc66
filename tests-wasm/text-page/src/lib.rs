//! Our text engine and bare diamond-types, compiled alike and called alike by JavaScript: once for every keystroke.

#![cfg(target_arch = "wasm32")]

pub mod bare;
pub mod ours;
