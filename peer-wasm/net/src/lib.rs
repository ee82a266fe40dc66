//! How Kith peers reach each other.
//!
//! [`start`] spawns one task with a libp2p swarm. It keeps this peer reachable through its relays, dials others
//! through theirs, upgrades to browser-to-browser WebRTC where both sides can, and offers all of it as *links*:
//! at most one per peer, on the best path there is, carrying whole frames in order.
//!
//! The parts, from the outside in:
//! * [`api`]: the words; [`limits`]: every limit.
//! * `driver`: the task; it only connects the parts below to the swarm.
//! * `relays`, `dials`, `upgrades`, `links`: the decisions, without IO.
//! * `link`: the wire of one link; `streams`: streams on chosen connections; `webrtc`, `ws`: transports.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

// Tests inside use the same helpers as those outside.
#[cfg(test)]
extern crate self as kith_net;

pub mod api;
pub mod limits;

mod address;
mod backoff;
mod dials;
mod driver;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod link;
mod links;
#[cfg(target_arch = "wasm32")]
mod probe;
#[cfg(any(target_arch = "wasm32", test))]
mod reach;
mod relays;
mod runtime;
mod streams;
mod swarm;
mod unobserved;
mod upgrades;
mod webrtc;
#[cfg(target_arch = "wasm32")]
mod ws;

pub use api::{CommandError, LinkId, LinkPath, Net, NetCommand, NetConfig, NetEvent, NetEvents, RelayState};
pub use libp2p::{Multiaddr, PeerId, multiaddr};

use libp2p::identity::Keypair;

/// The network could not start.
#[derive(Debug, thiserror::Error)]
#[error("the network could not start: {0}")]
pub struct StartError(String);

/// Starts the network: a task beside the caller's (natively inside a tokio runtime).
pub fn start(config: NetConfig) -> Result<(Net, NetEvents), StartError> {
    let keypair = Keypair::ed25519_from_bytes(config.seed).map_err(|error| StartError(error.to_string()))?;
    let assembled = swarm::assemble(&keypair, config.agent, swarm::base()?)?;
    Ok(driver::start(assembled, config.relays, config.listen))
}

/// The libp2p name of an Ed25519 public key, as in `/p2p/<name>`; `None` when the bytes are no such key.
pub fn peer_id(key: &[u8; 32]) -> Option<PeerId> {
    address::peer_id(key)
}

#[cfg(target_arch = "wasm32")]
impl Net {
    /// Has this page's carrier hold the WebRTC connections from now on. Those of an earlier one end.
    pub async fn attach_carrier(&self, port: web_sys::MessagePort) -> Result<(), CommandError> {
        self.ask(api::Ask::Attach(webrtc::carry_over(port))).await
    }

    /// The carrying page is gone: its WebRTC connections end, links go on over relays.
    pub async fn detach_carrier(&self) -> Result<(), CommandError> {
        self.ask(api::Ask::Detach).await
    }
}
