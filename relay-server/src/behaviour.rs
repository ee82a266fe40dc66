//! What the relay speaks: identify, ping and circuit relay v2, within limits.

use crate::config::Config;
use crate::reservations::{RequestRate, Reservations};
use crate::transport::UpgradedTransport;
use futures::{AsyncRead, AsyncWrite};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::Transport;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Multiaddr, PeerId, Swarm, identify, noise, ping, relay, yamux};
use std::time::{Duration, Instant};

/// Version of the way Kith peers and relays talk, told by identify.
const PROTOCOL_VERSION: &str = "kith/1";

/// Streams one peer may have open towards the relay at a time: a reservation, identify, ping, and its circuits.
const STREAMS_BESIDES_CIRCUITS: usize = 64;

/// Most streams on one connection: the library panics beyond it, since each may claim 256 KiB of its 1 GiB of credit.
const MAX_STREAMS: usize = 4096;

/// The protocols of the relay.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(crate) relay: relay::Behaviour,
}

/// Why there is no swarm.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    /// The key cannot be used for the noise handshake.
    #[error("the identity key cannot be used: {0}")]
    Noise(#[from] noise::Error),
}

/// Puts the swarm together. Nothing listens yet.
pub(crate) fn swarm<S>(
    key: &Keypair,
    config: &Config,
    upgraded: UpgradedTransport<S>,
    reservations: &Reservations,
) -> Result<Swarm<Behaviour>, SwarmError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let transport = upgraded
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key)?)
        .multiplex(multiplexer(&config.relay))
        .timeout(Duration::from_secs(config.peers.handshake_timeout_seconds.into()))
        .boxed();
    let peer = key.public().to_peer_id();
    let swarm_config = libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(Duration::from_secs(config.peers.idle_timeout_seconds.into()))
        .with_max_negotiating_inbound_streams(STREAMS_BESIDES_CIRCUITS);
    Ok(Swarm::new(transport, behaviour(key, peer, config, reservations), peer, swarm_config))
}

/// Streams for a peer's circuits and what else it needs, but not more than the library can account for.
fn multiplexer(limits: &crate::config::RelayConfig) -> yamux::Config {
    let circuits = if limits.max_circuits_per_peer == 0 { MAX_STREAMS } else { limits.max_circuits_per_peer };
    let mut config = yamux::Config::default();
    config.set_max_num_streams(circuits.saturating_add(STREAMS_BESIDES_CIRCUITS).min(MAX_STREAMS));
    config
}

fn behaviour(key: &Keypair, peer: PeerId, config: &Config, reservations: &Reservations) -> Behaviour {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(config.peers.max_pending))
        .with_max_established_incoming(Some(config.peers.max_connections))
        .with_max_established_per_peer(Some(config.peers.max_connections_per_peer));
    let agent = format!("kith-relay/{}", env!("CARGO_PKG_VERSION"));
    Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        identify: identify::Behaviour::new(
            identify::Config::new(PROTOCOL_VERSION.into(), key.public()).with_agent_version(agent),
        ),
        ping: ping::Behaviour::new(
            ping::Config::new()
                .with_interval(Duration::from_secs(config.peers.ping_seconds.into()))
                .with_timeout(Duration::from_secs(config.peers.ping_seconds.into())),
        ),
        relay: relay::Behaviour::new(peer, relay_limits(config, reservations)),
    }
}

/// Our limits in the library's terms. Its own per-peer checks are "more than", ours are "at most".
fn relay_limits(config: &Config, reservations: &Reservations) -> relay::Config {
    let ours = &config.relay;
    let unlimited = |limit: usize| if limit == 0 { usize::MAX } else { limit };
    let at_most = |limit: usize| if limit == 0 { usize::MAX } else { limit - 1 };

    let holders = reservations.clone();
    let mut reservation_rate =
        RequestRate::new(ours.reservations_per_minute_per_peer, ours.reservations_per_minute_per_address);
    let mut circuit_rate = RequestRate::new(ours.circuits_per_minute_per_peer, ours.circuits_per_minute_per_address);
    relay::Config {
        // Counted by `Reservations`, which lets holders renew when full.
        max_reservations: usize::MAX,
        max_reservations_per_peer: at_most(ours.max_reservations_per_peer),
        reservation_duration: Duration::from_secs(ours.reservation_seconds.into()),
        reservation_rate_limiters: vec![Box::new(move |peer: PeerId, from: &Multiaddr, now: Instant| {
            reservation_rate.allows(peer, from, now) && holders.admit(peer)
        })],
        max_circuits: unlimited(ours.max_circuits),
        max_circuits_per_peer: at_most(ours.max_circuits_per_peer),
        max_circuit_duration: match ours.max_circuit_seconds {
            // The longest that fits on the wire: 136 years.
            0 => Duration::from_secs(u32::MAX.into()),
            seconds => Duration::from_secs(seconds.into()),
        },
        // 0 is unlimited for the library and on the wire, too.
        max_circuit_bytes: ours.max_circuit_bytes,
        circuit_src_rate_limiters: vec![Box::new(move |peer: PeerId, from: &Multiaddr, now: Instant| {
            circuit_rate.allows(peer, from, now)
        })],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_circuit_limit_gives_a_multiplexer() {
        for limit in [0, 1, 4096, 100_000, usize::MAX] {
            multiplexer(&crate::config::RelayConfig { max_circuits_per_peer: limit, ..Default::default() });
        }
    }
}
