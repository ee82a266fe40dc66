//! The task that owns the swarm: turns its events into counts and log lines, closes what is dead, and drains.
//!
//! Who talks to whom is nobody's business: peers and addresses are logged at `debug` only, `info` tells numbers.

use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::metrics::Metrics;
use crate::reservations::Reservations;
use crate::shutdown::{Phase, Phases};
use futures::StreamExt;
use libp2p::relay::{self, StatusCode};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm, ping};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Own addresses that are learned from connections, at most.
const MAX_LEARNED_ADDRESSES: usize = 16;

/// Time between two summaries in the log.
const SUMMARY_EVERY: Duration = Duration::from_secs(300);

/// How long the last connections may take to close in order.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The swarm and what is known about it.
pub(crate) struct Network {
    swarm: Swarm<Behaviour>,
    metrics: Metrics,
    reservations: Reservations,
    circuits: watch::Sender<usize>,
    /// Addresses that clients reached us at, as the sockets tell; `None` when the operator announced addresses.
    learned: Option<HashSet<Multiaddr>>,
    reached: mpsc::Receiver<Multiaddr>,
}

impl Network {
    /// `learn` says whether addresses from `reached` become external addresses.
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        metrics: Metrics,
        reservations: Reservations,
        learn: bool,
        reached: mpsc::Receiver<Multiaddr>,
    ) -> Self {
        let learned = learn.then(|| swarm.external_addresses().cloned().collect());
        Self { swarm, metrics, reservations, circuits: watch::Sender::new(0), learned, reached }
    }

    /// The number of open circuits, as it changes.
    pub(crate) fn circuits(&self) -> watch::Receiver<usize> {
        self.circuits.subscribe()
    }

    /// Runs until the phase is closing, then says goodbye to everybody.
    pub(crate) async fn run(mut self, mut phases: Phases) {
        let mut draining = phases.clone();
        let mut drained = false;
        let mut summary = tokio::time::interval_at(tokio::time::Instant::now() + SUMMARY_EVERY, SUMMARY_EVERY);
        let mut said = String::new();
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(addr) = self.reached.recv() => self.learn(addr),
                _ = summary.tick() => self.summarise(&mut said),
                () = draining.reached(Phase::Draining), if !drained => {
                    drained = true;
                    self.swarm.behaviour_mut().relay.set_status(Some(relay::Status::Disable));
                }
                () = phases.reached(Phase::Closing) => break,
            }
        }
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let all_closed = async {
            while self.swarm.connected_peers().next().is_some() {
                let event = self.swarm.select_next_some().await;
                self.on_event(event);
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, all_closed).await.is_err() {
            tracing::debug!("some peers did not close in time; their sockets are dropped");
        }
    }

    /// A client reached us at `addr`: peers may be told to do the same.
    fn learn(&mut self, addr: Multiaddr) {
        let Some(learned) = &mut self.learned else { return };
        if learned.len() < MAX_LEARNED_ADDRESSES && learned.insert(addr.clone()) {
            tracing::info!(%addr, "reachable at");
            self.swarm.add_external_address(addr);
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Relay(event)) => self.on_relay(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Err(ping::Failure::Timeout),
            })) => {
                tracing::debug!(%peer, "does not answer pings; closed");
                self.swarm.close_connection(connection);
            }
            SwarmEvent::ConnectionEstablished { peer_id, num_established, endpoint, .. } => {
                if num_established.get() == 1 {
                    self.metrics.peers.inc();
                }
                tracing::debug!(peer = %peer_id, from = %endpoint.get_remote_address(), "connected");
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established, cause, .. } => {
                if num_established == 0 {
                    self.metrics.peers.dec();
                    self.reservations.remove(&peer_id);
                    self.count_reservations();
                }
                let cause = cause.map(|cause| cause.to_string());
                tracing::debug!(peer = %peer_id, cause, "disconnected");
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.metrics.refused.get_or_create(&"handshake".into()).inc();
                tracing::debug!(from = %send_back_addr, %error, "no connection");
            }
            SwarmEvent::NewListenAddr { address, .. } => tracing::info!(%address, "listening"),
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener reports"),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener closed");
            }
            _ => {}
        }
    }

    fn on_relay(&mut self, event: relay::Event) {
        let circuit = |result| self.metrics.circuit_requests.get_or_create(&result);
        let reservation = |result| self.metrics.reservation_requests.get_or_create(&result);
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id: peer, renewed } => {
                reservation(if renewed { "renewed" } else { "accepted" }.into()).inc();
                tracing::debug!(%peer, renewed, "reservation");
                self.count_reservations();
            }
            relay::Event::ReservationReqDenied { src_peer_id: peer, status } => {
                reservation(denial(&status).into()).inc();
                tracing::debug!(%peer, ?status, "reservation denied");
                self.count_reservations();
            }
            relay::Event::ReservationTimedOut { src_peer_id: peer } => {
                tracing::debug!(%peer, "reservation ran out");
                self.reservations.remove(&peer);
                self.count_reservations();
            }
            relay::Event::CircuitReqAccepted { src_peer_id: from, dst_peer_id: to } => {
                circuit("accepted".into()).inc();
                self.change_circuits(1);
                tracing::debug!(%from, %to, "circuit opened");
            }
            relay::Event::CircuitReqDenied { src_peer_id: from, dst_peer_id: to, status } => {
                circuit(denial(&status).into()).inc();
                tracing::debug!(%from, %to, ?status, "circuit denied");
            }
            relay::Event::CircuitClosed { src_peer_id: from, dst_peer_id: to, error } => {
                self.change_circuits(-1);
                let reason = match &error {
                    None => "done",
                    Some(error) if error.kind() == std::io::ErrorKind::TimedOut => "duration_limit",
                    Some(error) if error.kind() == std::io::ErrorKind::Other => "byte_limit",
                    Some(_) => "connection_lost",
                };
                self.metrics.circuits_closed.get_or_create(&reason.into()).inc();
                tracing::debug!(%from, %to, reason, "circuit closed");
            }
            // Deprecated in the library in favour of its own log lines; they tell of single streams that broke.
            _ => {}
        }
    }

    /// One line of numbers, unless nothing changed since `said`.
    fn summarise(&self, said: &mut String) {
        let m = &self.metrics;
        let denied = m.circuit_requests.get_or_create(&"denied_limit".into()).get()
            + m.reservation_requests.get_or_create(&"denied_limit".into()).get();
        let (peers, reservations, circuits) = (m.peers.get(), m.reservations.get(), m.circuits.get());
        let (received, sent) = (m.bytes_in.get(), m.bytes_out.get());
        let now = format!("{peers} {reservations} {circuits} {denied} {received} {sent}");
        if now != *said {
            tracing::info!(peers, reservations, circuits, denied, received, sent, "summary");
            *said = now;
        }
    }

    fn change_circuits(&self, by: isize) {
        self.circuits.send_modify(|open| *open = open.saturating_add_signed(by));
        self.metrics.circuits.set(i64::try_from(*self.circuits.borrow()).unwrap_or(i64::MAX));
    }

    fn count_reservations(&self) {
        self.metrics.reservations.set(i64::try_from(self.reservations.len()).unwrap_or(i64::MAX));
    }
}

/// The stable name of a denial, as in metrics and the operator's guide.
fn denial(status: &StatusCode) -> &'static str {
    match status {
        StatusCode::ResourceLimitExceeded => "denied_limit",
        StatusCode::NoReservation => "denied_no_reservation",
        StatusCode::ConnectionFailed => "failed",
        _ => "denied",
    }
}
