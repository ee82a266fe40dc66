//! Which peers are wanted, and reaching them again after a loss. No IO.

use crate::address::towards;
use crate::backoff::Backoff;
use crate::limits::{MAX_HINTS, MAX_REDIALS, MAX_WANTED, REDIAL_FIRST, REDIAL_MAX};
use kith_map::BTreeMap;
use libp2p::{Multiaddr, PeerId};
use std::time::Duration;

/// The wanted peers.
#[derive(Default)]
pub(crate) struct Dials {
    wanted: BTreeMap<PeerId, Wanted>,
    clock: u64,
}

struct Wanted {
    hints: Vec<Multiaddr>,
    backoff: Backoff,
    dialing: bool,
    waiting: bool,
    /// Someone asked and has no answer yet.
    asked: bool,
    used: u64,
}

/// What follows from a failed dial.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Tell the one who asked.
    pub(crate) tell: bool,
    /// Try again after this pause.
    pub(crate) again: Option<Duration>,
}

impl Dials {
    /// Somebody wants the peer. Newer hints come first.
    pub(crate) fn want(&mut self, peer: PeerId, hints: Vec<Multiaddr>) {
        self.clock += 1;
        if self.wanted.len() >= MAX_WANTED && !self.wanted.contains_key(&peer) {
            let oldest = self.wanted.iter().min_by_key(|(_, wanted)| wanted.used).map(|(peer, _)| *peer);
            oldest.and_then(|peer| self.wanted.remove(&peer));
        }
        let wanted = self.wanted.entry(peer).or_insert_with(|| Wanted {
            hints: Vec::new(),
            backoff: Backoff::new(REDIAL_FIRST, REDIAL_MAX),
            dialing: false,
            waiting: false,
            asked: false,
            used: 0,
        });
        let mut merged = hints;
        merged.append(&mut wanted.hints);
        for hint in merged {
            if wanted.hints.len() < MAX_HINTS && !wanted.hints.contains(&hint) {
                wanted.hints.push(hint);
            }
        }
        wanted.used = self.clock;
        wanted.asked = true;
        wanted.backoff.reset();
    }

    /// Nobody wants the peer any more.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        self.wanted.remove(&peer);
    }

    /// Every wanted peer.
    pub(crate) fn peers(&self) -> Vec<PeerId> {
        self.wanted.keys().copied().collect()
    }

    /// Where to dial the peer now; `None` when it is not wanted or being dialled already.
    pub(crate) fn start<'a>(
        &mut self,
        peer: PeerId,
        relays: impl Iterator<Item = &'a Multiaddr>,
    ) -> Option<Vec<Multiaddr>> {
        let wanted = self.wanted.get_mut(&peer)?;
        if wanted.dialing {
            return None;
        }
        wanted.dialing = true;
        let mut addresses: Vec<Multiaddr> = Vec::new();
        for address in wanted.hints.iter().cloned().chain(relays.cloned()).filter_map(|hint| towards(&hint, peer)) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Some(addresses)
    }

    /// The peer is connected.
    pub(crate) fn reached(&mut self, peer: PeerId) {
        if let Some(wanted) = self.wanted.get_mut(&peer) {
            wanted.dialing = false;
            wanted.asked = false;
            wanted.backoff.reset();
        }
    }

    /// A dial failed. `linked`: there is a link all the same, so nobody needs to know.
    pub(crate) fn failed(&mut self, peer: PeerId, linked: bool) -> Failed {
        let Some(wanted) = self.wanted.get_mut(&peer) else { return Failed { tell: false, again: None } };
        wanted.dialing = false;
        let last = wanted.backoff.failures() >= MAX_REDIALS;
        let tell = !linked && (wanted.asked || last);
        wanted.asked = false;
        let again = (!last && !wanted.waiting).then(|| wanted.backoff.next());
        wanted.waiting |= again.is_some();
        Failed { tell, again }
    }

    /// The peer was lost: when to dial it again, if it is wanted.
    pub(crate) fn lost(&mut self, peer: PeerId) -> Option<Duration> {
        let wanted = self.wanted.get_mut(&peer).filter(|wanted| !wanted.waiting && !wanted.dialing)?;
        wanted.waiting = true;
        Some(wanted.backoff.next())
    }

    /// A pause is over.
    pub(crate) fn rested(&mut self, peer: PeerId) {
        if let Some(wanted) = self.wanted.get_mut(&peer) {
            wanted.waiting = false;
        }
    }

    /// Things look better (a relay is back): start counting failures anew. `stuck`: dials that began before may hang, so
    /// they are not waited for.
    pub(crate) fn hope(&mut self, stuck: bool) {
        for wanted in self.wanted.values_mut() {
            wanted.backoff.reset();
            wanted.dialing &= !stuck;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dial_at_a_time_and_the_asker_hears_of_the_first_failure_only() {
        let (peer, mut dials) = (PeerId::random(), Dials::default());
        assert_eq!(dials.start(peer, [].iter()), None, "not wanted");
        dials.want(peer, vec![]);
        assert_eq!(dials.start(peer, [].iter()), Some(vec![]));
        assert_eq!(dials.start(peer, [].iter()), None);
        let failed = dials.failed(peer, false);
        assert!(failed.tell && failed.again.is_some());
        dials.rested(peer);
        dials.start(peer, [].iter());
        assert!(!dials.failed(peer, false).tell);
    }

    #[test]
    fn a_dial_that_may_hang_is_not_waited_for_once_a_relay_is_back() {
        let (peer, mut dials) = (PeerId::random(), Dials::default());
        dials.want(peer, vec![]);
        assert_eq!(dials.start(peer, [].iter()), Some(vec![]));
        dials.hope(false);
        assert_eq!(dials.start(peer, [].iter()), None);
        dials.hope(true);
        assert_eq!(dials.start(peer, [].iter()), Some(vec![]));
    }

    #[test]
    fn a_lost_peer_is_given_up_after_so_many_tries_and_that_is_told() {
        let (peer, mut dials) = (PeerId::random(), Dials::default());
        dials.want(peer, vec![]);
        dials.reached(peer);
        assert!(dials.lost(peer).is_some());
        let mut told = 0;
        for _ in 0..100 {
            dials.rested(peer);
            if dials.start(peer, [].iter()).is_none() {
                break;
            }
            let failed = dials.failed(peer, false);
            told += u32::from(failed.tell);
            if failed.again.is_none() {
                break;
            }
        }
        assert_eq!(told, 1);
        assert_eq!(dials.wanted[&peer].backoff.failures(), MAX_REDIALS);
    }

    #[test]
    fn hints_and_wanted_peers_are_limited() {
        let mut dials = Dials::default();
        let first = PeerId::random();
        dials.want(first, vec![]);
        for _ in 0..MAX_WANTED {
            let hints = (0..20)
                .map(|port| format!("/ip4/127.0.0.1/tcp/{port}/ws/p2p/{}", PeerId::random()).parse().unwrap())
                .collect();
            dials.want(PeerId::random(), hints);
        }
        assert_eq!(dials.wanted.len(), MAX_WANTED);
        assert!(!dials.wanted.contains_key(&first), "the longest-unused goes");
        assert!(dials.wanted.values().all(|wanted| wanted.hints.len() <= MAX_HINTS));
    }
}
