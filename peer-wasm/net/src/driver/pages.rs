//! The page that carries WebRTC: attaching, losing, and signalling through it.

use super::{Driver, Timer};
use crate::address::short_name;
use crate::limits::CARRIER_HEARTBEAT;
use crate::streams::Protocol;
use crate::upgrades::Answer;
use crate::webrtc::{Arrival, Carrier, SignalRequest};
use crate::{LinkPath, NetEvent};
use libp2p::swarm::Stream;
use libp2p::{Multiaddr, PeerId};

impl Driver {
    pub(super) fn attach(&mut self, carrier: Carrier) {
        if let Some(old) = self.carrier.take() {
            self.end_carrier(&old, "another page carries it now");
        }
        self.carrier = Some(carrier.clone());
        let reserved: Vec<Multiaddr> = self.relays.reserved_addresses().cloned().collect();
        for relay in reserved {
            self.announce_webrtc(&relay);
        }
        self.swarm.behaviour_mut().streams.offer_signalling(true);
        for peer in self.upgrades.set_carrier(true) {
            self.upgrade(peer);
        }
        self.beat(carrier);
    }

    pub(super) fn detach(&mut self, why: &str) {
        let Some(carrier) = self.carrier.take() else { return };
        self.end_carrier(&carrier, why);
        self.swarm.behaviour_mut().streams.offer_signalling(false);
        // Nobody is upgraded without a page.
        let _ = self.upgrades.set_carrier(false);
    }

    fn end_carrier(&mut self, carrier: &Carrier, why: &str) {
        carrier.end(why);
        for known in self.connections.values_mut().filter(|known| known.path == LinkPath::WebRtc) {
            known.expected_loss = true;
        }
        for listener in std::mem::take(&mut self.webrtc_listeners) {
            self.swarm.remove_listener(listener);
        }
    }

    /// One heartbeat of the page; the next follows while it lives and is in use.
    pub(super) fn beat(&mut self, carrier: Carrier) {
        if !self.carrier.as_ref().is_some_and(|used| used.is_same(&carrier)) {
            return;
        }
        if carrier.beat() {
            self.later(CARRIER_HEARTBEAT, Timer::Carrier(carrier));
        } else {
            let why = carrier.ended().unwrap_or_default();
            self.detach(&why);
        }
    }

    /// A dial wants a signalling stream.
    pub(super) fn on_signal_request(&mut self, request: SignalRequest) {
        let peer = request.peer;
        let Some(connection) = self.links.connections(peer, LinkPath::Relay).last().copied() else {
            self.give_signalling(request, Err("the peer is not connected through a relay".to_owned()));
            return;
        };
        self.next_token += 1;
        self.signal_waits.insert(self.next_token, (connection, request));
        self.swarm.behaviour_mut().streams.open(peer, connection, Protocol::Signalling, self.next_token);
    }

    pub(super) fn give_signalling(&mut self, request: SignalRequest, stream: Result<Stream, String>) {
        let carrier = self.carrier.clone().ok_or_else(|| "no page carries WebRTC".to_owned());
        // A dial given up meanwhile does not listen.
        let _ = request.reply.send(stream.and_then(|stream| carrier.map(|carrier| (stream, carrier))));
    }

    /// Another peer starts an upgrade. Dropping the stream refuses.
    pub(super) fn on_signalling(&mut self, peer: PeerId, stream: Stream) {
        let Some(carrier) = self.carrier.clone().filter(Carrier::has_room) else { return };
        match self.upgrades.inbound(peer) {
            Answer::Accept => {
                let _ = self.arrivals.unbounded_send(Arrival { peer, stream, carrier });
            }
            answer => tracing::debug!(%peer, ?answer, "an upgrade was refused"),
        }
    }

    /// Says why a direct connection is not to be had.
    pub(super) fn note_blocked(&mut self, peer: PeerId, why: &str) {
        let name = short_name(&peer);
        let note = format!("A direct connection to {name} could not be made: {why}; data goes through the relay");
        // Said once, however often it is tried.
        if self.blocked.insert(peer, note.clone()).as_ref() != Some(&note) {
            self.tell(NetEvent::Note(note));
        }
    }
}
