//! Randomness as a value: seeded once from outside, stretched with BLAKE3.

use blake3::OutputReader;
use std::convert::Infallible;

/// A source of unpredictable bytes, deterministic for a given seed.
///
/// The driver seeds it with 32 bytes from the platform at every start; simulations seed it with a number.
pub struct Entropy {
    stream: OutputReader,
}

impl Entropy {
    /// A source seeded with 32 bytes.
    pub fn new(seed: &[u8; 32]) -> Entropy {
        Entropy { stream: blake3::Hasher::new_derive_key("kith 2026 entropy v1").update(seed).finalize_xof() }
    }

    /// `N` fresh bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.fill(&mut bytes);
        bytes
    }

    /// A fresh number below `bound` (0 if `bound` is 0). The bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::from_le_bytes(self.array()).checked_rem(bound).unwrap_or(0)
    }
}

impl hpke::rand_core::TryRng for Entropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.array()))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.stream.fill(dst);
        Ok(())
    }
}

impl hpke::rand_core::TryCryptoRng for Entropy {}
