//! Our text engine as it is shipped, for size, and bare diamond-types, for speed, called alike by JavaScript: once for every
//! keystroke.

#![cfg(target_arch = "wasm32")]

pub mod bare;
pub mod ours;

/// The seed of diamond-types' skip lists.
fn constant(buffer: &mut [u8]) -> Result<(), getrandom_02::Error> {
    buffer.fill(0x5a);
    Ok(())
}

getrandom_02::register_custom_getrandom!(constant);
