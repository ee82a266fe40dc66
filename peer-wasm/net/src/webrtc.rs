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


pub(crate) use carrier::Carrier;
#[cfg(target_arch = "wasm32")]
pub(crate) use port::carry_over;
pub(crate) use transport::{Arrival, SignalRequest, Transport};
