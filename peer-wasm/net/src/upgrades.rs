//! When a relayed connection is upgraded to WebRTC. No IO.
//!
//! The peer with the smaller identity starts; the other one answers. A failed try is repeated after growing
//! pauses, and at once when this side's or the other side's page changes.

use crate::backoff::Backoff;
use crate::limits::{UPGRADE_RETRY_FIRST, UPGRADE_RETRY_MAX};
use kith_map::BTreeMap;
use std::time::Duration;

/// All peers' upgrades. `P`: peers.
pub(crate) struct Upgrades<P> {
    me: P,
    carrier: bool,
    peers: BTreeMap<P, Upgrade>,
}

struct Upgrade {
    /// The other side announces links and signalling.
    able: bool,
    relayed: bool,
    direct: bool,
    dialing: bool,
    /// A set-up the other side started is under way.
    answering: bool,
    waiting: bool,
    backoff: Backoff,
}

/// What the other side's WebRTC set-up meets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Go on.
    Accept,
    /// No page carries WebRTC here.
    NoCarrier,
    /// Both started: this side's try goes on.
    Glare,
    /// One that the other side started is under way already.
    Busy,
}

impl<P: Ord + Copy> Upgrades<P> {
    pub(crate) fn new(me: P) -> Self {
        Self { me, carrier: false, peers: BTreeMap::new() }
    }

    fn peer(&mut self, peer: P) -> &mut Upgrade {
        self.peers.entry(peer).or_insert_with(|| Upgrade {
            able: false,
            relayed: false,
            direct: false,
            dialing: false,
            answering: false,
            waiting: false,
            backoff: Backoff::new(UPGRADE_RETRY_FIRST, UPGRADE_RETRY_MAX),
        })
    }

    /// A page carries WebRTC now, or no longer. Returns whom to upgrade with.
    pub(crate) fn set_carrier(&mut self, carrier: bool) -> Vec<P> {
        self.carrier = carrier;
        for peer in self.peers.values_mut() {
            peer.backoff.reset();
            peer.waiting = false;
        }
        let all: Vec<P> = self.peers.keys().copied().collect();
        all.into_iter().filter(|peer| self.start(*peer)).collect()
    }

    /// What the peer announces. Returns whether to start now.
    pub(crate) fn announced(&mut self, peer: P, able: bool) -> bool {
        let known = self.peer(peer);
        if able && !known.able {
            known.backoff.reset();
            known.waiting = false;
        }
        known.able = able;
        self.start(peer)
    }

    /// Which kinds of connections to the peer there are. Returns whether to start now.
    pub(crate) fn connections(&mut self, peer: P, relayed: bool, direct: bool) -> bool {
        if !relayed && !direct {
            self.peers.remove(&peer);
            return false;
        }
        let known = self.peer(peer);
        known.relayed = relayed;
        known.direct = direct;
        self.start(peer)
    }

    /// Whether to start an upgrade; when so it counts as started.
    fn start(&mut self, peer: P) -> bool {
        let smaller = self.me < peer;
        let carrier = self.carrier;
        let Some(known) = self.peers.get_mut(&peer) else { return false };
        let go = smaller && carrier && known.able && known.relayed && !known.direct && !known.dialing && !known.waiting;
        known.dialing |= go;
        go
    }

    /// The upgrade started here failed: when to try again.
    pub(crate) fn failed(&mut self, peer: P) -> Option<Duration> {
        let known = self.peers.get_mut(&peer)?;
        known.dialing = false;
        if known.waiting {
            return None;
        }
        known.waiting = true;
        Some(known.backoff.next())
    }

    /// The upgrade started here worked.
    pub(crate) fn done(&mut self, peer: P) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.dialing = false;
        }
    }

    /// The direct connection did its work for a while: failures before it no longer count.
    pub(crate) fn proved(&mut self, peer: P) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.backoff.reset();
        }
    }

    /// A direct connection was lost: when to try again (not at once: the page may be on its way out).
    pub(crate) fn lost(&mut self, peer: P) -> Option<Duration> {
        let known = self.peers.get_mut(&peer).filter(|known| !known.waiting)?;
        known.waiting = true;
        Some(known.backoff.next())
    }

    /// A direct connection was lost that is older than every relayed one: the other side was started anew, or this one
    /// was away. Nothing is known against a new try.
    pub(crate) fn renewed(&mut self, peer: P) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.backoff.reset();
            known.waiting = false;
        }
    }

    /// A pause is over. Returns whether to start now.
    pub(crate) fn rested(&mut self, peer: P) -> bool {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.waiting = false;
        }
        self.start(peer)
    }

    /// The other side starts. One such set-up at a time; [`Upgrades::answered`] ends it.
    pub(crate) fn inbound(&mut self, peer: P) -> Answer {
        if !self.carrier {
            return Answer::NoCarrier;
        }
        let smaller = self.me < peer;
        let known = self.peer(peer);
        if known.dialing && smaller {
            return Answer::Glare;
        }
        if std::mem::replace(&mut known.answering, true) { Answer::Busy } else { Answer::Accept }
    }

    /// What the other side started worked or failed.
    pub(crate) fn answered(&mut self, peer: P) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.answering = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_peer_starts_once_everything_is_there() {
        let mut upgrades = Upgrades::new(1);
        assert!(!upgrades.connections(2, true, false));
        assert!(!upgrades.announced(2, true));
        assert_eq!(upgrades.set_carrier(true), [2]);
        assert!(!upgrades.announced(2, true), "one at a time");
        upgrades.done(2);
        assert!(!upgrades.connections(2, true, true));
        let mut greater = Upgrades::new(2);
        greater.set_carrier(true);
        greater.announced(1, true);
        assert!(!greater.connections(1, true, false));
    }

    #[test]
    fn who_was_started_anew_is_upgraded_with_at_once() {
        let mut upgrades = Upgrades::new(1);
        upgrades.set_carrier(true);
        upgrades.announced(2, true);
        assert!(upgrades.connections(2, true, false));
        upgrades.done(2);
        assert!(!upgrades.connections(2, true, true));
        assert!(upgrades.lost(2).is_some());
        assert!(!upgrades.connections(2, true, false), "its page may be on its way out");
        upgrades.renewed(2);
        assert!(upgrades.connections(2, true, false));
    }

    #[test]
    fn failures_wait_and_a_new_page_on_either_side_does_not() {
        let mut upgrades = Upgrades::new(1);
        upgrades.set_carrier(true);
        upgrades.announced(2, true);
        assert!(upgrades.connections(2, true, false));
        assert!(upgrades.failed(2).is_some());
        assert!(!upgrades.connections(2, true, false));
        assert!(upgrades.rested(2));
        upgrades.failed(2);
        assert!(!upgrades.announced(2, true), "no change is no reason");
        upgrades.announced(2, false);
        assert!(upgrades.announced(2, true), "its page is back");
        upgrades.failed(2);
        upgrades.set_carrier(false);
        assert_eq!(upgrades.set_carrier(true), [2], "a page of ours is back");
    }

    #[test]
    fn when_both_start_the_smaller_ones_try_goes_on() {
        let mut upgrades = Upgrades::new(1);
        assert_eq!(upgrades.inbound(2), Answer::NoCarrier);
        upgrades.set_carrier(true);
        assert_eq!(upgrades.inbound(2), Answer::Accept);
        upgrades.announced(2, true);
        assert!(upgrades.connections(2, true, false));
        assert_eq!(upgrades.inbound(2), Answer::Glare);
        upgrades.failed(2);
        upgrades.answered(2);
        assert_eq!(upgrades.inbound(2), Answer::Accept);
        assert_eq!(upgrades.inbound(2), Answer::Busy, "one at a time");
    }
}
