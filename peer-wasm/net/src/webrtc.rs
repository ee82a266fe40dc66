//! Browser-to-browser connections as the libp2p `/webrtc` specification says: signalling over a relayed,
//! authenticated connection, then one data channel for every stream.
//!
//! The `RTCPeerConnection` itself exists only in pages. A page's [`Carrier`] does what it is told and moves
//! messages; which peer is at the other end is known here, because the DTLS fingerprints travel inside the
//! session descriptions over the Noise-authenticated relayed stream.

// Outside browsers no page can be attached: the parts that only a page reaches are for tests there.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]

mod carrier;
mod channel;
mod connection;
#[cfg(target_arch = "wasm32")]
mod port;
mod proto;
mod session;
mod signal;
mod substream;
mod transport;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;

pub(crate) use carrier::Carrier;
#[cfg(target_arch = "wasm32")]
pub(crate) use port::carry_over;
pub(crate) use transport::{Arrival, SignalRequest, Transport};

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing {
    //! See [`crate::fuzzing`].

    use super::proto::Reassembly;
    use super::signal::{Signal, SignalError, Signals};
    use crate::limits::MAX_MESSAGE;
    use futures::executor::block_on;
    use futures::io::Cursor;

    pub(crate) fn signals(bytes: &[u8]) -> u64 {
        let mut signals = Signals::new(Cursor::new(bytes.to_vec()));
        let mut mark = 0u64;
        loop {
            let kind = match block_on(signals.next()) {
                Ok(Signal::Offer(_)) => 1,
                Ok(Signal::Answer(_)) => 2,
                Ok(Signal::Candidate(_)) => 3,
                Err(SignalError::Ended | SignalError::Io(_)) => return mark * 8 + 4,
                Err(SignalError::Proto(_)) => return mark * 8 + 5,
                Err(SignalError::TooMany) => return mark * 8 + 6,
                Err(SignalError::Refused(_)) => return mark * 8 + 7,
            };
            mark = (mark * 4 + kind) % 4096;
        }
    }

    pub(crate) fn envelopes(bytes: &[u8], piece: usize) -> u64 {
        let mut reassembly = Reassembly::new(MAX_MESSAGE);
        let mut mark = 0u64;
        for piece in bytes.chunks(piece) {
            reassembly.push(piece.to_vec());
            loop {
                match reassembly.next() {
                    Ok(Some(message)) => mark = (mark * 8 + message.kind.map_or(4, |kind| kind.min(3))) % 4096,
                    Ok(None) => break,
                    Err(_) => return mark * 2 + 1,
                }
            }
        }
        mark * 2
    }
}
