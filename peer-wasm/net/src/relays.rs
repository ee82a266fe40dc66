//! Staying reachable: a connection and a reservation at every configured relay, for as long as it is configured.
//! No IO; what to do goes out as [`RelayAct`]s.

use crate::RelayState;
use crate::address::last_peer;
use crate::backoff::Backoff;
use crate::limits::{MAX_DIALS_BESIDE, MAX_RELAYS, RELAY_RETRY_FIRST, RELAY_RETRY_MAX};
use libp2p::core::transport::ListenerId;
use libp2p::{Multiaddr, PeerId};
use std::time::Duration;

/// Something to be done for a relay.
#[derive(Debug)]
pub(crate) enum RelayAct {
    /// Connect; the outcome comes through the connection events. `beside`: even if another try is under way.
    Dial { relay: PeerId, address: Multiaddr, beside: bool },
    /// Ask for a reservation and tell [`Relays::listening`].
    Reserve { address: Multiaddr },
    /// Give a reservation back.
    Unlisten(ListenerId),
    /// Tell the state.
    Tell { address: Multiaddr, state: RelayState },
    /// Call [`Relays::attempt`] after the pause.
    Later { address: Multiaddr, pause: Duration },
    /// Others can reach this peer here now. `beside`: earlier dials by way of this relay may still hang.
    Reserved { address: Multiaddr, beside: bool },
}

/// The configured relays.
#[derive(Default)]
pub(crate) struct Relays {
    relays: Vec<Relay>,
}

struct Relay {
    address: Multiaddr,
    peer: PeerId,
    state: RelayState,
    connected: bool,
    listener: Option<ListenerId>,
    /// A retry is on its way.
    waiting: bool,
    /// Further tries beside the one under way.
    beside: u32,
    backoff: Backoff,
}

impl Relay {
    fn tell(&mut self, state: RelayState, acts: &mut Vec<RelayAct>) {
        if self.state != state {
            self.state = state.clone();
            acts.push(RelayAct::Tell { address: self.address.clone(), state });
        }
    }

    fn fail(&mut self, why: String, acts: &mut Vec<RelayAct>) {
        self.tell(RelayState::Failed { why }, acts);
        if !self.waiting {
            self.waiting = true;
            let pause = self.backoff.next();
            acts.push(RelayAct::Later { address: self.address.clone(), pause });
        }
    }

    fn attempt(&mut self, acts: &mut Vec<RelayAct>) {
        self.waiting = false;
        self.beside = 0;
        if self.listener.is_some() {
            return;
        }
        if self.connected {
            acts.push(RelayAct::Reserve { address: self.address.clone() });
        } else {
            self.tell(RelayState::Connecting, acts);
            acts.push(RelayAct::Dial { relay: self.peer, address: self.address.clone(), beside: false });
        }
    }

    /// Things look better. A try that began without a network may hang for as long as it is let: another goes beside it.
    fn hurry(&mut self, acts: &mut Vec<RelayAct>) {
        match self.state {
            RelayState::Failed { .. } => {
                self.backoff.reset();
                self.attempt(acts);
            }
            RelayState::Connecting if self.beside < MAX_DIALS_BESIDE => {
                self.beside += 1;
                acts.push(RelayAct::Dial { relay: self.peer, address: self.address.clone(), beside: true });
            }
            _ => {}
        }
    }
}

impl Relays {
    /// Replaces the list. Relays in both lists go on; those among them that are not there are tried at once.
    pub(crate) fn set(&mut self, addresses: Vec<Multiaddr>) -> Vec<RelayAct> {
        let mut acts = Vec::new();
        self.relays.retain_mut(|relay| {
            let stays = addresses.contains(&relay.address);
            if !stays {
                acts.extend(relay.listener.take().map(RelayAct::Unlisten));
            }
            stays
        });
        for address in addresses.into_iter().take(MAX_RELAYS) {
            if let Some(known) = self.relays.iter_mut().find(|relay| relay.address == address) {
                known.hurry(&mut acts);
                continue;
            }
            let Some(peer) = last_peer(&address) else {
                let why = "its address does not end in /p2p/<its id>".to_owned();
                acts.push(RelayAct::Tell { address, state: RelayState::Failed { why } });
                continue;
            };
            let backoff = Backoff::new(RELAY_RETRY_FIRST, RELAY_RETRY_MAX);
            let state = RelayState::Failed { why: String::new() };
            let (connected, listener, waiting, beside) = (false, None, false, 0);
            let mut relay = Relay { address, peer, state, connected, listener, waiting, beside, backoff };
            relay.attempt(&mut acts);
            self.relays.push(relay);
        }
        acts
    }

    /// The configured relays' addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Multiaddr> {
        self.relays.iter().map(|relay| &relay.address)
    }

    /// Those others can reach this peer through.
    pub(crate) fn reserved_addresses(&self) -> impl Iterator<Item = &Multiaddr> {
        self.relays.iter().filter(|relay| relay.state == RelayState::Reserved).map(|relay| &relay.address)
    }

    /// Whether this is a configured relay.
    pub(crate) fn is_relay(&self, peer: PeerId) -> bool {
        self.relays.iter().any(|relay| relay.peer == peer)
    }

    fn each(&mut self, peer: PeerId, mut what: impl FnMut(&mut Relay, &mut Vec<RelayAct>)) -> Vec<RelayAct> {
        let mut acts = Vec::new();
        self.relays.iter_mut().filter(|relay| relay.peer == peer).for_each(|relay| what(relay, &mut acts));
        acts
    }

    /// A pause is over.
    pub(crate) fn attempt(&mut self, address: &Multiaddr) -> Vec<RelayAct> {
        let mut acts = Vec::new();
        if let Some(relay) = self.relays.iter_mut().find(|relay| relay.address == *address && relay.waiting) {
            relay.attempt(&mut acts);
        }
        acts
    }

    /// A direct connection to a peer came up.
    pub(crate) fn connected(&mut self, peer: PeerId) -> Vec<RelayAct> {
        self.each(peer, |relay, acts| {
            relay.connected = true;
            if relay.listener.is_none() {
                relay.tell(RelayState::Connected, acts);
                acts.push(RelayAct::Reserve { address: relay.address.clone() });
            }
        })
    }

    /// The last direct connection to a peer is gone.
    pub(crate) fn disconnected(&mut self, peer: PeerId, why: &str) -> Vec<RelayAct> {
        self.each(peer, |relay, acts| {
            relay.connected = false;
            acts.extend(relay.listener.take().map(RelayAct::Unlisten));
            relay.fail(why.to_owned(), acts);
        })
    }

    /// A dial failed.
    pub(crate) fn dial_failed(&mut self, peer: PeerId, why: &str) -> Vec<RelayAct> {
        self.each(peer, |relay, acts| {
            if !relay.connected {
                relay.fail(why.to_owned(), acts);
            }
        })
    }

    /// A reservation was asked for under this name, or could not be.
    pub(crate) fn listening(&mut self, address: &Multiaddr, listener: Result<ListenerId, String>) -> Vec<RelayAct> {
        let mut acts = Vec::new();
        let Some(relay) = self.relays.iter_mut().find(|relay| relay.address == *address) else { return acts };
        match listener {
            Ok(listener) => relay.listener = Some(listener),
            Err(why) => relay.fail(why, &mut acts),
        }
        acts
    }

    /// A relay took the reservation.
    pub(crate) fn reserved(&mut self, peer: PeerId) -> Vec<RelayAct> {
        self.each(peer, |relay, acts| {
            relay.backoff.reset();
            if relay.state != RelayState::Reserved {
                relay.tell(RelayState::Reserved, acts);
                acts.push(RelayAct::Reserved { address: relay.address.clone(), beside: relay.beside > 0 });
            }
        })
    }

    /// A reservation ended.
    pub(crate) fn unlistened(&mut self, listener: ListenerId, why: &str) -> Vec<RelayAct> {
        let mut acts = Vec::new();
        if let Some(relay) = self.relays.iter_mut().find(|relay| relay.listener == Some(listener)) {
            relay.listener = None;
            relay.fail(why.to_owned(), &mut acts);
        }
        acts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: PeerId) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/1/ws/p2p/{peer}").parse().unwrap()
    }

    fn states(acts: &[RelayAct]) -> Vec<&RelayState> {
        acts.iter().filter_map(|act| if let RelayAct::Tell { state, .. } = act { Some(state) } else { None }).collect()
    }

    #[test]
    fn a_relay_is_dialled_reserved_and_dialled_again_after_a_loss() {
        let peer = PeerId::random();
        let mut relays = Relays::default();
        let acts = relays.set(vec![address(peer)]);
        assert!(
            matches!(acts.as_slice(), [RelayAct::Tell { state: RelayState::Connecting, .. }, RelayAct::Dial { .. }]),
            "{acts:?}"
        );
        let acts = relays.connected(peer);
        assert!(matches!(
            acts.as_slice(),
            [RelayAct::Tell { state: RelayState::Connected, .. }, RelayAct::Reserve { .. }]
        ));
        relays.listening(&address(peer), Ok(ListenerId::next()));
        assert_eq!(states(&relays.reserved(peer)), [&RelayState::Reserved]);
        assert!(relays.reserved(peer).is_empty(), "a renewal is no news");
        let acts = relays.disconnected(peer, "gone");
        assert!(
            matches!(acts.as_slice(), [RelayAct::Unlisten(_), RelayAct::Tell { .. }, RelayAct::Later { .. }]),
            "{acts:?}"
        );
        assert!(relays.dial_failed(peer, "gone").is_empty(), "one retry at a time");
        assert!(matches!(relays.attempt(&address(peer)).as_slice(), [RelayAct::Tell { .. }, RelayAct::Dial { .. }]));
        assert!(relays.attempt(&address(peer)).is_empty());
    }

    #[test]
    fn naming_a_failed_relay_again_tries_it_at_once() {
        let peer = PeerId::random();
        let mut relays = Relays::default();
        relays.set(vec![address(peer)]);
        relays.dial_failed(peer, "refused");
        let acts = relays.set(vec![address(peer)]);
        assert!(acts.iter().any(|act| matches!(act, RelayAct::Dial { .. })));
    }

    #[test]
    fn naming_one_again_that_is_being_dialled_dials_it_beside_but_not_without_end() {
        let peer = PeerId::random();
        let mut relays = Relays::default();
        relays.set(vec![address(peer)]);
        let mut beside = || relays.set(vec![address(peer)]).len();
        assert_eq!((0..10).map(|_| beside()).sum::<usize>(), MAX_DIALS_BESIDE as usize);
        relays.connected(peer);
        assert!(relays.set(vec![address(peer)]).is_empty(), "one that is there is let be");
        assert!(relays.dial_failed(peer, "the first try").is_empty(), "nor does it matter what became of the others");
    }

    #[test]
    fn relays_taken_from_the_list_lose_their_reservation_and_the_number_is_limited() {
        let peer = PeerId::random();
        let mut relays = Relays::default();
        relays.set(vec![address(peer)]);
        relays.connected(peer);
        relays.listening(&address(peer), Ok(ListenerId::next()));
        let many = (0..20).map(|_| address(PeerId::random())).collect();
        let acts = relays.set(many);
        assert!(matches!(acts.first(), Some(RelayAct::Unlisten(_))));
        assert_eq!(relays.addresses().count(), MAX_RELAYS);
        assert!(relays.reserved(peer).is_empty());
    }

    #[test]
    fn a_relay_without_a_name_is_refused_in_words() {
        let mut relays = Relays::default();
        let acts = relays.set(vec!["/ip4/127.0.0.1/tcp/1/ws".parse().unwrap()]);
        assert!(matches!(states(&acts).as_slice(), [RelayState::Failed { .. }]));
    }
}
