//! What the swarm tells.

use super::{Driver, Known, Timer};
use crate::address::{is_webrtc, last_peer, path};
use crate::link::Side;
use crate::runtime::unix_ms;
use crate::streams::{Protocol, StreamEvent};
use crate::swarm::BehaviourEvent;
use crate::{LinkPath, NetEvent};
use libp2p::core::transport::TransportError;
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{PeerId, identify, ping, relay};
use std::error::Error;

impl Driver {
    pub(super) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.connected(peer_id, connection_id, path(&endpoint));
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                let why = cause.map_or_else(|| "it was closed".to_owned(), |cause| chain(&cause));
                self.disconnected(peer_id, connection_id, &why);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id: Some(peer), error } => {
                self.unreachable(peer, connection_id, &error);
            }
            SwarmEvent::IncomingConnectionError { local_addr, error, .. } if is_webrtc(&local_addr) => {
                if let Some(peer) = last_peer(&local_addr) {
                    self.upgrades.answered(peer);
                    self.note_blocked(peer, &chain(&error));
                }
            }
            SwarmEvent::NewListenAddr { address, .. } if !crate::address::is_circuit(&address) => {
                self.tell(NetEvent::Note(format!("listening on {address}")));
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                let why = reason.err().map_or_else(|| "the reservation ended".to_owned(), |error| chain(&error));
                let acts = self.relays.unlistened(listener_id, &why);
                self.relay_acts(acts);
            }
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(event) => self.on_stream_event(event),
            BehaviourEvent::Ping(event) => self.pinged(event),
            BehaviourEvent::Relay(relay::client::Event::ReservationReqAccepted { relay_peer_id, .. }) => {
                let acts = self.relays.reserved(relay_peer_id);
                self.relay_acts(acts);
            }
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                let speaks = |protocol: Protocol| info.protocols.contains(&protocol.name());
                let able = speaks(Protocol::Sync) && speaks(Protocol::Signalling);
                if self.upgrades.announced(peer_id, able) {
                    self.upgrade(peer_id);
                }
            }
            _ => {}
        }
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId, path: LinkPath) {
        self.connections.insert(connection, Known { peer, path, rtt: None, pings: 0, expected_loss: false });
        if path != LinkPath::WebRtc {
            self.dials.reached(peer);
        }
        if self.upgrade_dials.remove(&connection).is_some() {
            self.upgrades.done(peer);
        }
        if path == LinkPath::WebRtc {
            self.upgrades.answered(peer);
            self.blocked.remove(&peer);
        }
        let acts = self.links.connection_up(peer, connection, path, unix_ms());
        self.link_acts(acts);
        if path == LinkPath::Direct {
            let acts = self.relays.connected(peer);
            self.relay_acts(acts);
        }
        self.count_connections(peer);
    }

    fn disconnected(&mut self, peer: PeerId, connection: ConnectionId, why: &str) {
        let Some(known) = self.connections.remove(&connection) else { return };
        // Dropping a request tells the dial that waits for it.
        self.signal_waits.retain(|_, (on, _)| *on != connection);
        let had_link = self.links.is_up(peer);
        let acts = self.links.connection_down(peer, connection, unix_ms());
        self.link_acts(acts);
        let left = |path| !self.links.connections(peer, path).is_empty();
        if known.path == LinkPath::Direct && !left(LinkPath::Direct) {
            let acts = self.relays.disconnected(peer, why);
            self.relay_acts(acts);
        }
        let left = |path| !self.links.connections(peer, path).is_empty();
        if had_link && !left(LinkPath::Relay) && !left(LinkPath::Direct) {
            self.redial(peer);
        }
        if known.path == LinkPath::WebRtc && !known.expected_loss {
            let relayed = self.links.connections(peer, LinkPath::Relay);
            if !relayed.is_empty() && relayed.iter().all(|other| *other > connection) {
                self.upgrades.renewed(peer);
            } else if let Some(pause) = self.upgrades.lost(peer) {
                self.later(pause, Timer::Upgrade(peer));
            }
        }
        self.count_connections(peer);
    }

    /// Tells the upgrades which connections there are now.
    fn count_connections(&mut self, peer: PeerId) {
        let left = |path| !self.links.connections(peer, path).is_empty();
        if !self.swarm.is_connected(&peer) {
            self.blocked.remove(&peer);
        }
        let (relayed, direct) = (left(LinkPath::Relay), left(LinkPath::WebRtc) || left(LinkPath::Direct));
        if self.upgrades.connections(peer, relayed, direct) {
            self.upgrade(peer);
        }
    }

    fn unreachable(&mut self, peer: PeerId, connection: ConnectionId, error: &DialError) {
        if self.upgrade_dials.remove(&connection).is_some() {
            self.upgrade_failed(peer, &explain(error));
            return;
        }
        let acts = self.relays.dial_failed(peer, &explain(error));
        self.relay_acts(acts);
        self.dial_failed(peer, explain(error));
    }

    fn pinged(&mut self, event: ping::Event) {
        let Some(known) = self.connections.get_mut(&event.connection) else { return };
        match event.result {
            Ok(rtt) => {
                let ms = u32::try_from(rtt.as_millis()).unwrap_or(u32::MAX);
                known.rtt = Some(ms);
                known.pings = known.pings.saturating_add(1);
                if known.path == LinkPath::WebRtc && known.pings == 3 {
                    self.upgrades.proved(known.peer);
                }
                if let Some(link) = self.links.link_on(event.connection) {
                    self.tell(NetEvent::Rtt { link, ms });
                }
            }
            Err(ping::Failure::Unsupported) => {}
            Err(_) => {
                self.swarm.close_connection(event.connection);
            }
        }
    }

    fn on_stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Inbound { peer, connection, protocol: Protocol::Sync, stream } => {
                if let Some((link, path)) = self.links.inbound(peer, connection) {
                    self.start_link(link, peer, path, stream, Side::Acceptor);
                }
            }
            StreamEvent::Inbound { peer, protocol: Protocol::Signalling, stream, .. } => {
                self.on_signalling(peer, stream)
            }
            StreamEvent::Opened { peer, connection, token, stream } => {
                if let Some((_, request)) = self.signal_waits.remove(&token) {
                    self.give_signalling(request, Ok(stream));
                } else if let Some((link, path, generation)) = self.links.opened(peer, connection) {
                    self.start_link(link, peer, path, stream, Side::Opener { generation });
                }
            }
            StreamEvent::OpenFailed { peer, connection, token, unsupported, why } => {
                if let Some((_, request)) = self.signal_waits.remove(&token) {
                    self.give_signalling(request, Err(why));
                } else {
                    let acts = self.links.open_failed(peer, connection, unsupported);
                    self.link_acts(acts);
                }
            }
        }
    }
}

/// An error with its causes, each once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// A failed dial in plain words.
fn explain(error: &DialError) -> String {
    let DialError::Transport(tries) = error else { return chain(error) };
    let texts: Vec<String> = tries
        .iter()
        .map(|(address, error)| match error {
            TransportError::MultiaddrNotSupported(_) => format!("{address} is no address this peer can use"),
            TransportError::Other(error) => chain(error),
        })
        .collect();
    let says = |words: &str| texts.iter().any(|text| text.contains(words));
    if says("no reservation for destination") || says("failed to connect to destination") {
        return "it is not online now: the relay does not have it".to_owned();
    }
    texts.into_iter().next().unwrap_or_else(|| "no address worked".to_owned())
}
