//! The decoders of what other peers send, opened for the fuzzer. Each returns a number that tells outcomes apart.

use crate::webrtc::fuzzing as webrtc;

/// A stream of signalling messages.
pub fn signals(bytes: &[u8]) -> u64 {
    webrtc::signals(bytes)
}

/// A stream of data channel envelopes, in pieces of the given length.
pub fn envelopes(bytes: &[u8], piece: usize) -> u64 {
    webrtc::envelopes(bytes, piece.max(1))
}

/// What the other side writes on a link after its hello: how many frames came of it and how it ended.
pub fn link(bytes: &[u8]) -> u64 {
    crate::link::fuzz(bytes)
}
