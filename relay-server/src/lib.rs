//! The Kith relay: first page, meeting point and fallback path of peers that live in browsers, in one process and on one
//! port.
//!
//! # Layout
//! - [`config`]: what an operator can set; [`identity`]: who the relay is.
//! - `http`: accepts on the public port, serves the web app, `/.well-known/kith.json`, `/healthz`, `/metrics`, and answers
//!   WebSocket upgrades.
//! - `native`: accepts on the port for native peers. `accept`, `stall`: what all ports share.
//! - `websocket`, `peer_stream`, `transport`: a socket as a libp2p connection. `behaviour`, `network`: the swarm behind it.
//! - `limits`, `reservations`: who may take how much. `metrics`: what is counted. [`shutdown`]: the way down.
//!
//! # Rules
//! The relay forwards bytes that are encrypted between peers and stores nothing but its own key. Every queue, table and
//! wait has a limit. All tasks belong to [`Relay::run`] and end with it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod config;
pub mod identity;
pub mod shutdown;

mod accept;
mod address;
mod behaviour;
mod http;
mod limits;
mod metrics;
mod native;
mod network;
mod peer_stream;
mod reservations;
mod stall;
mod transport;
mod websocket;

pub use behaviour::SwarmError;
pub use http::WebError;

use config::Config;
use http::{Face, Site, WebFiles};
use libp2p::{Multiaddr, PeerId};
use metrics::Metrics;
use network::Network;
use shutdown::{Phase, Phases};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// Learned addresses that may wait for the swarm.
const MAX_REACHED: usize = 64;

/// Why the relay did not start. Nothing is left listening.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No identity.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    /// No web files.
    #[error(transparent)]
    Web(#[from] WebError),
    /// No swarm.
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    /// A port cannot be had.
    #[error("cannot listen on {addr}: {why}; choose another port or stop what uses it")]
    Listen {
        /// The address as configured.
        addr: String,
        /// The system's reason.
        why: String,
    },
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every circuit had ended by itself.
    Drained,
    /// The drain time was over; this many circuits were cut.
    Cut(usize),
}

/// A relay that listens but does not answer yet.
pub struct Relay {
    listener: TcpListener,
    native_listener: Option<TcpListener>,
    metrics_listener: Option<TcpListener>,
    addr: SocketAddr,
    tcp_addr: Option<SocketAddr>,
    metrics_addr: Option<SocketAddr>,
    peer: PeerId,
    site: Arc<Site>,
    phase: watch::Sender<Phase>,
    network: Network,
    drain: Duration,
}

/// Starts a relay and runs it until `shutdown` ends and the drain is over.
///
/// # Errors
/// [`StartError`] if it cannot start.
pub async fn run(config: Config, shutdown: impl Future) -> Result<Ended, StartError> {
    Ok(Relay::bind(config).await?.run(shutdown).await)
}

impl Relay {
    /// Loads the identity and the web files and takes the ports; afterwards clients can connect and wait.
    ///
    /// # Errors
    /// [`StartError`], in plain words.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let key = identity::load_or_create(&config.data)?;
        let peer = key.public().to_peer_id();
        let files = WebFiles::open(&config.web, &config.http.connect_sources)?;
        if files.is_empty() {
            tracing::warn!("there are no web files in this binary; use --web to serve a folder");
        }
        let (listener, addr) = listen(config.listen).await?;
        let (native_listener, tcp_addr) = listen_if(config.tcp_listen).await?;
        let (metrics_listener, metrics_addr) =
            listen_if(config.metrics.listen.filter(|_| config.metrics.enabled)).await?;

        let metrics = Metrics::new();
        let reservations = reservations::Reservations::new(config.relay.max_reservations);
        let (upgraded, transport) = transport::channel();
        let mut swarm = behaviour::swarm(&key, &config, transport, &reservations)?;
        let own = [
            Some(address::websocket(address::dialable(addr))),
            tcp_addr.map(|tcp| address::tcp(address::dialable(tcp))),
        ];
        let own: Vec<Multiaddr> = own.into_iter().flatten().collect();
        for addr in own.iter().cloned() {
            let shown = addr.to_string();
            swarm.listen_on(addr).map_err(|error| StartError::Listen { addr: shown, why: error.to_string() })?;
        }
        let announced = http::announced(&config);
        let learn = announced.is_empty();
        for addr in if learn { own } else { announced } {
            swarm.add_external_address(addr);
        }

        let (reached, reached_addrs) = mpsc::channel(MAX_REACHED);
        let network = Network::new(swarm, metrics.clone(), reservations, learn, reached_addrs);
        let (phase, phases) = Phases::new();
        let site = Site {
            peer,
            files,
            metrics,
            phases,
            connections: limits::Connections::new(config.http.max_connections, config.http.max_connections_per_address),
            requests: Mutex::new(limits::Rate::new(config.http.requests_per_minute)),
            upgraded,
            reached,
            config,
        };
        let drain = Duration::from_secs(site.config.drain_seconds.into());
        let site = Arc::new(site);
        Ok(Self {
            listener,
            native_listener,
            metrics_listener,
            addr,
            tcp_addr,
            metrics_addr,
            peer,
            site,
            phase,
            network,
            drain,
        })
    }

    /// The public port's real address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The real address of the port for native peers, if there is one.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.tcp_addr
    }

    /// The real address of the metrics port, if it has one of its own.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// Who the relay is.
    pub fn peer_id(&self) -> PeerId {
        self.peer
    }

    /// What a person types to open the web app.
    pub fn url(&self) -> String {
        address::typed_url(self.addr)
    }

    /// Serves until `shutdown` ends, lets open circuits go on for the configured time, then closes everything.
    pub async fn run(self, shutdown: impl Future) -> Ended {
        let mut circuits = self.network.circuits();
        let phases = self.site.phases.clone();
        let network = tokio::spawn(self.network.run(phases));
        let public = tokio::spawn(http::serve(self.listener, Face::Public, self.site.clone()));
        let native = self.native_listener.map(|port| tokio::spawn(native::serve(port, self.site.clone())));
        let private = self.metrics_listener.map(|own| tokio::spawn(http::serve(own, Face::Metrics, self.site.clone())));

        shutdown.await;
        tracing::info!(circuits = *circuits.borrow(), seconds = self.drain.as_secs(), "draining");
        self.site.metrics.draining.set(1);
        let _ = self.phase.send(Phase::Draining);
        let all_done = circuits.wait_for(|open| *open == 0);
        let in_time = tokio::time::timeout(self.drain, all_done).await.is_ok();
        let ended = if in_time { Ended::Drained } else { Ended::Cut(*circuits.borrow()) };
        let _ = self.phase.send(Phase::Closing);
        for task in [Some(network), Some(public), native, private].into_iter().flatten() {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the relay ended badly");
            }
        }
        tracing::info!(?ended, "stopped");
        ended
    }
}

async fn listen(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let fail = |error: io::Error| StartError::Listen { addr: wanted.to_string(), why: error.to_string() };
    let listener = TcpListener::bind(wanted).await.map_err(fail)?;
    let addr = listener.local_addr().map_err(fail)?;
    Ok((listener, addr))
}

async fn listen_if(wanted: Option<SocketAddr>) -> Result<(Option<TcpListener>, Option<SocketAddr>), StartError> {
    match wanted {
        Some(wanted) => listen(wanted).await.map(|(listener, addr)| (Some(listener), Some(addr))),
        None => Ok((None, None)),
    }
}
