//! Doing what was asked and decided.

use super::{Driver, Timer};
use crate::address::{circuit, peer_id, public_key, webrtc_dial, webrtc_listen};
use crate::limits::{LINK_MISSES, OPEN_RETRY, RELAY_LINK_MISSES};
use crate::link::{Link, Report, Side};
use crate::links::Act;
use crate::relays::RelayAct;
use crate::runtime::{spawn, unix_ms};
use crate::streams::Protocol;
use crate::{LinkId, LinkPath, NetCommand, NetEvent};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, Stream};
use libp2p::{Multiaddr, PeerId};

impl Driver {
    pub(super) fn command(&mut self, command: NetCommand) {
        match command {
            NetCommand::Dial { peer, hints } => match peer_id(&peer) {
                Some(id) => {
                    self.dials.want(id, hints);
                    self.dial(id);
                }
                None => self.tell(NetEvent::DialFailed { peer, why: "its name is not a valid key".to_owned() }),
            },
            NetCommand::Forget { peer } => {
                if let Some(peer) = peer_id(&peer) {
                    self.dials.forget(peer);
                }
            }
            NetCommand::Send { link, frame } => {
                if let Some(handle) = self.handles.get_mut(&link) {
                    handle.send(frame);
                }
            }
            NetCommand::HangUp { link } => {
                if let Some(peer) = self.links.peer_of(link) {
                    self.dials.forget(peer);
                    self.stop(link, "it was hung up");
                    if !self.relays.is_relay(peer) {
                        // Its connections serve nothing else. None left is as good.
                        let _ = self.swarm.disconnect_peer_id(peer);
                    }
                }
            }
            NetCommand::SetRelays(relays) => self.set_relays(relays),
            NetCommand::Shutdown => {}
        }
    }

    pub(super) fn set_relays(&mut self, relays: Vec<Multiaddr>) {
        let acts = self.relays.set(relays);
        self.relay_acts(acts);
    }

    /// Dials a wanted peer unless it can be reached already without WebRTC.
    pub(super) fn dial(&mut self, peer: PeerId) {
        let has = |path| !self.links.connections(peer, path).is_empty();
        if has(LinkPath::Relay) || has(LinkPath::Direct) {
            self.dials.reached(peer);
            return;
        }
        let Some(addresses) = self.dials.start(peer, self.relays.addresses()) else { return };
        if addresses.is_empty() {
            self.dial_failed(peer, "no relay is known where it could be reached: add a relay".to_owned());
            return;
        }
        let options = DialOpts::peer_id(peer).addresses(addresses).condition(PeerCondition::Always).build();
        if let Err(error) = self.swarm.dial(options) {
            self.dial_failed(peer, error.to_string());
        }
    }

    pub(super) fn dial_failed(&mut self, peer: PeerId, why: String) {
        let failed = self.dials.failed(peer, self.links.is_up(peer));
        if let (true, Some(peer)) = (failed.tell, public_key(&peer)) {
            self.tell(NetEvent::DialFailed { peer, why });
        }
        if let Some(pause) = failed.again {
            self.later(pause, Timer::Redial(peer));
        }
    }

    pub(super) fn relay_acts(&mut self, acts: Vec<RelayAct>) {
        for act in acts {
            match act {
                RelayAct::Dial { relay, address, beside } => {
                    let condition = if beside { PeerCondition::Always } else { PeerCondition::NotDialing };
                    let options = DialOpts::peer_id(relay).addresses(vec![address]).condition(condition).build();
                    // Being dialled for another reason already is as good.
                    let _ = self.swarm.dial(options);
                }
                RelayAct::Reserve { address } => {
                    let listener = self.swarm.listen_on(circuit(&address)).map_err(|error| error.to_string());
                    let acts = self.relays.listening(&address, listener);
                    self.relay_acts(acts);
                }
                RelayAct::Unlisten(listener) => {
                    self.swarm.remove_listener(listener);
                }
                RelayAct::Tell { address, state } => self.tell(NetEvent::Relay { addr: address, state }),
                RelayAct::Later { address, pause } => self.later(pause, Timer::Relay(address)),
                RelayAct::Reserved { address, beside } => {
                    if self.carrier.is_some() {
                        self.announce_webrtc(&address);
                    }
                    self.dials.hope(beside);
                    for peer in self.dials.peers() {
                        self.dial(peer);
                    }
                }
            }
        }
    }

    pub(super) fn announce_webrtc(&mut self, relay: &Multiaddr) {
        if let Ok(listener) = self.swarm.listen_on(webrtc_listen(relay)) {
            self.webrtc_listeners.push(listener);
        }
    }

    pub(super) fn link_acts(&mut self, acts: Vec<Act<PeerId, ConnectionId>>) {
        for act in acts {
            match act {
                Act::Open { peer, connection } => {
                    self.next_token += 1;
                    self.swarm.behaviour_mut().streams.open(peer, connection, Protocol::Sync, self.next_token);
                }
                Act::Stop { link, reason } => self.stop(link, reason),
                Act::Keep { peer, connection, keep } => self.swarm.behaviour_mut().streams.keep(peer, connection, keep),
                Act::Close { connection } => {
                    self.swarm.close_connection(connection);
                }
                Act::RetryLater { peer, failures } => self.later(OPEN_RETRY * failures, Timer::Reopen(peer)),
                Act::Lost { peer } => self.redial(peer),
            }
        }
    }

    pub(super) fn redial(&mut self, peer: PeerId) {
        if let Some(pause) = self.dials.lost(peer) {
            self.later(pause, Timer::Redial(peer));
        }
    }

    pub(super) fn stop(&mut self, link: LinkId, reason: &str) {
        if let Some(handle) = self.handles.get_mut(&link) {
            handle.stop(reason);
        }
    }

    /// Runs a link on a stream.
    pub(super) fn start_link(&mut self, id: LinkId, peer: PeerId, path: LinkPath, stream: Stream, side: Side) {
        let Some(peer) = public_key(&peer) else { return };
        let misses = if path == LinkPath::Relay { RELAY_LINK_MISSES } else { LINK_MISSES };
        let link =
            Link { id, peer, path, stream, side, misses, events: self.events.clone(), reports: self.reports.clone() };
        let (handle, task) = link.start();
        self.handles.insert(id, handle);
        spawn(task);
    }

    pub(super) fn on_report(&mut self, report: Report) {
        match report {
            Report::Hello { link, generation, verdict } => {
                // A link that ended meanwhile does not listen.
                let _ = verdict.send(self.links.hello(link, generation));
            }
            Report::Up { link } => {
                let acts = self.links.up(link, unix_ms());
                let known = self.links.connection_of(link).and_then(|connection| self.connections.get(&connection));
                if let Some(ms) = known.and_then(|known| known.rtt) {
                    self.tell(NetEvent::Rtt { link, ms });
                }
                self.link_acts(acts);
            }
            Report::Ended { link, dead } => {
                self.handles.remove(&link);
                if let Some(connection) = self.links.connection_of(link).filter(|_| dead) {
                    self.swarm.close_connection(connection);
                }
                let acts = self.links.ended(link);
                self.link_acts(acts);
            }
        }
    }

    /// Starts an upgrade to WebRTC.
    pub(super) fn upgrade(&mut self, peer: PeerId) {
        let options =
            DialOpts::peer_id(peer).addresses(vec![webrtc_dial(peer)]).condition(PeerCondition::Always).build();
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.upgrade_dials.insert(connection, peer);
            }
            Err(error) => self.upgrade_failed(peer, &error.to_string()),
        }
    }

    pub(super) fn upgrade_failed(&mut self, peer: PeerId, why: &str) {
        self.note_blocked(peer, why);
        if let Some(pause) = self.upgrades.failed(peer) {
            self.later(pause, Timer::Upgrade(peer));
        }
    }
}
