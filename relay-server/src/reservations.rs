//! Who holds a reservation. The library's own count also refuses renewals once the relay is full, which would cut off
//! peers that are being served; here a holder may always renew, and only newcomers are refused.

use crate::address::{client_block, ip_of};
use crate::limits::{Rate, lock};
use libp2p::{Multiaddr, PeerId};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The peers holding a reservation, shared between the admission check and the swarm's events.
#[derive(Clone, Debug)]
pub(crate) struct Reservations {
    holders: Arc<Mutex<HashSet<PeerId>>>,
    max: usize,
}

impl Reservations {
    /// `max` 0 is no limit.
    pub(crate) fn new(max: usize) -> Self {
        Self { holders: Arc::default(), max }
    }

    /// Whether this peer may have a reservation; counts it from now on.
    pub(crate) fn admit(&self, peer: PeerId) -> bool {
        let mut holders = lock(&self.holders);
        if holders.contains(&peer) {
            return true;
        }
        if self.max != 0 && holders.len() >= self.max {
            return false;
        }
        holders.insert(peer)
    }

    /// The peer has none any more.
    pub(crate) fn remove(&self, peer: &PeerId) {
        lock(&self.holders).remove(peer);
    }

    /// How many peers hold one.
    pub(crate) fn len(&self) -> usize {
        lock(&self.holders).len()
    }
}

/// Requests per minute by peer and by address, both must allow one.
#[derive(Debug)]
pub(crate) struct RequestRate {
    by_peer: Rate<PeerId>,
    by_address: Rate<IpAddr>,
}

impl RequestRate {
    pub(crate) fn new(per_peer: u32, per_address: u32) -> Self {
        Self { by_peer: Rate::new(per_peer), by_address: Rate::new(per_address) }
    }

    /// Whether one more request passes now.
    pub(crate) fn allows(&mut self, peer: PeerId, from: &Multiaddr, now: Instant) -> bool {
        self.by_peer.take(peer, now).is_ok()
            && ip_of(from).is_none_or(|ip| self.by_address.take(client_block(ip), now).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_relay_refuses_newcomers_but_lets_holders_renew() {
        let reservations = Reservations::new(1);
        let (holder, newcomer) = (PeerId::random(), PeerId::random());
        assert!(reservations.admit(holder));
        assert!(!reservations.admit(newcomer));
        assert!(reservations.admit(holder));
        reservations.remove(&holder);
        assert!(reservations.admit(newcomer));
        assert_eq!(reservations.len(), 1);
    }

    #[test]
    fn many_peers_behind_one_address_share_its_rate() {
        let mut rate = RequestRate::new(10, 2);
        let from: Multiaddr = "/ip4/10.0.0.1/tcp/1/ws".parse().unwrap();
        let now = Instant::now();
        assert!(rate.allows(PeerId::random(), &from, now));
        assert!(rate.allows(PeerId::random(), &from, now));
        assert!(!rate.allows(PeerId::random(), &from, now));
    }
}
