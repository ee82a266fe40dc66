//! jumprope, which diamond-types brings, seeds its skip lists from the system where one is made. Here none is made: the
//! text is in a rope of our own. Should that ever change, the seed is a constant, as the core draws no randomness.

fn constant(buffer: &mut [u8]) -> Result<(), getrandom_02::Error> {
    buffer.fill(0x5a);
    Ok(())
}

getrandom_02::register_custom_getrandom!(constant);
