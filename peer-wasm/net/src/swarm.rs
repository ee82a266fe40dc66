//! The libp2p swarm: transports and behaviours.

use crate::StartError;
use crate::limits::{
    CONNECT_TIMEOUT, IDLE_CONNECTION, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_PEER, MAX_PENDING_INCOMING,
    MAX_PENDING_OUTGOING, PING_EVERY, PING_TIMEOUT,
};
use crate::streams::Streams;
use crate::unobserved::Unobserved;
use crate::webrtc::{Arrival, SignalRequest, Transport as WebRtc};
use futures::channel::mpsc;
use futures::{AsyncRead, AsyncWrite};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::{Config, NetworkBehaviour};
use libp2p::{Swarm, identify, noise, ping, relay, yamux};

/// Everything this peer speaks.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) relay: relay::client::Behaviour,
    pub(crate) streams: Streams,
}

/// The swarm and the two ends of its WebRTC transport.
pub(crate) struct Assembled {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) requests: mpsc::UnboundedReceiver<SignalRequest>,
    pub(crate) arrivals: mpsc::UnboundedSender<Arrival>,
}

/// Puts a swarm together over the transport that reaches relays.
pub(crate) fn assemble<T>(keypair: &Keypair, agent: String, base: T) -> Result<Assembled, StartError>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send,
    T::ListenerUpgrade: Send,
{
    let me = keypair.public().to_peer_id();
    let (circuit, relay) = relay::client::new(me);
    let noise = noise::Config::new(keypair).map_err(|error| StartError(error.to_string()))?;
    let streams = Unobserved(circuit)
        .or_transport(base)
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux::Config::default());
    let streams = TransportTimeout::new(streams, CONNECT_TIMEOUT);
    let (webrtc, requests, arrivals) = WebRtc::new();
    let transport = webrtc
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
        .or_transport(streams.map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection))))
        .map(|either, _| either.into_inner())
        .boxed();
    let limits = ConnectionLimits::default()
        .with_max_established(Some(MAX_CONNECTIONS))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER))
        .with_max_pending_incoming(Some(MAX_PENDING_INCOMING))
        .with_max_pending_outgoing(Some(MAX_PENDING_OUTGOING));
    let identify = identify::Config::new("kith/1".to_owned(), keypair.public())
        .with_agent_version(agent)
        .with_cache_size(0)
        .with_push_listen_addr_updates(true);
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_EVERY).with_timeout(PING_TIMEOUT)),
        relay,
        streams: Streams::default(),
    };
    #[cfg(target_arch = "wasm32")]
    let config = Config::with_wasm_executor();
    #[cfg(not(target_arch = "wasm32"))]
    let config = Config::with_tokio_executor();
    let config = config.with_idle_connection_timeout(IDLE_CONNECTION);
    Ok(Assembled { swarm: Swarm::new(transport, behaviour, me, config), requests, arrivals })
}

/// The transport to relays: WebSocket as the browser has it.
#[cfg(target_arch = "wasm32")]
pub(crate) fn base() -> Result<crate::ws::Transport, StartError> {
    Ok(crate::ws::Transport::new())
}

/// The transports to relays and other native peers: WebSocket and TCP.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn base() -> Result<native::Base, StartError> {
    use libp2p::{dns, tcp, websocket};
    let tcp = || dns::tokio::Transport::system(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true)));
    let failed = |error: std::io::Error| StartError(error.to_string());
    Ok(websocket::Config::new(tcp().map_err(failed)?).or_transport(tcp().map_err(failed)?))
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use libp2p::{core::transport::OrTransport, dns, tcp, websocket};

    type Tcp = dns::tokio::Transport<tcp::tokio::Transport>;
    pub(crate) type Base = OrTransport<websocket::Config<Tcp>, Tcp>;
}
