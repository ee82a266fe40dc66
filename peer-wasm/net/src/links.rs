//! Which stream on which connection is the link to a peer. No IO: connections and streams come in as happenings,
//! decisions go out as [`Act`]s.
//!
//! Of two peers the one with the smaller identity opens the streams, always on the best connection it has
//! (WebRTC before direct before relay); the other one follows. A better connection gets a new stream, and once
//! that one works the old one is ended. Beside the connection in use the best relayed one is kept in reserve.

use crate::limits::{MAX_LINKS, MAX_OPEN_TRIES};
use crate::{LinkId, LinkPath};
use kith_map::BTreeMap;

/// Something to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Act<P, C> {
    /// Open a stream; answer with [`Links::opened`] or [`Links::open_failed`].
    Open { peer: P, connection: C },
    /// End a link.
    Stop { link: LinkId, reason: &'static str },
    /// Keep an unused connection, or no longer.
    Keep { peer: P, connection: C, keep: bool },
    /// Close a connection: what went over it was lost, and something else is there to go on with.
    Close { connection: C },
    /// Try [`Links::retry`] after a pause that grows with the failures.
    RetryLater { peer: P, failures: u32 },
    /// No connection is left and a link was lost.
    Lost { peer: P },
}

/// All peers' links. `P`: peers, `C`: connections.
pub(crate) struct Links<P, C> {
    me: P,
    peers: BTreeMap<P, PeerLinks<C>>,
    links: BTreeMap<LinkId, Place<P, C>>,
    next_link: u64,
}

struct PeerLinks<C> {
    connections: BTreeMap<C, Connection>,
    current: Option<LinkId>,
    last_generation: u64,
}

struct Connection {
    path: LinkPath,
    opening: Option<u64>,
    failures: u32,
    kept: bool,
}

struct Place<P, C> {
    peer: P,
    connection: C,
    path: LinkPath,
    generation: u64,
    up: bool,
}

impl<C> Default for PeerLinks<C> {
    fn default() -> Self {
        Self { connections: BTreeMap::new(), current: None, last_generation: 0 }
    }
}

impl<P: Ord + Copy, C: Ord + Copy> Links<P, C> {
    pub(crate) fn new(me: P) -> Self {
        Self { me, peers: BTreeMap::new(), links: BTreeMap::new(), next_link: 0 }
    }

    /// The link in use on a connection, if it is up.
    pub(crate) fn link_on(&self, connection: C) -> Option<LinkId> {
        self.links.iter().find(|(_, place)| place.up && place.connection == connection).map(|(link, _)| *link)
    }

    /// The peer of a link.
    pub(crate) fn peer_of(&self, link: LinkId) -> Option<P> {
        self.links.get(&link).map(|place| place.peer)
    }

    /// The connection of a link.
    pub(crate) fn connection_of(&self, link: LinkId) -> Option<C> {
        self.links.get(&link).map(|place| place.connection)
    }

    /// Whether a link to the peer is up.
    pub(crate) fn is_up(&self, peer: P) -> bool {
        self.peers.get(&peer).is_some_and(|links| links.current.is_some())
    }

    /// The peer's connections of one path.
    pub(crate) fn connections(&self, peer: P, path: LinkPath) -> Vec<C> {
        let connections = self.peers.get(&peer).map(|links| &links.connections);
        connections.into_iter().flatten().filter(|(_, c)| c.path == path).map(|(id, _)| *id).collect()
    }

    /// A connection came up. `now`: Unix milliseconds.
    pub(crate) fn connection_up(&mut self, peer: P, connection: C, path: LinkPath, now: u64) -> Vec<Act<P, C>> {
        let new = Connection { path, opening: None, failures: 0, kept: false };
        let links = self.peers.entry(peer).or_default();
        links.connections.insert(connection, new);
        // The link over WebRTC ended when there was nothing else to go on with: now there is (see `ended`).
        let is_dead = |other: &Connection| other.path == LinkPath::WebRtc && other.failures > 0;
        if links.current.is_none() && path != LinkPath::WebRtc && links.connections.values().any(is_dead) {
            let dead = links.connections.iter().filter(|(_, other)| is_dead(other));
            return dead.map(|(id, _)| Act::Close { connection: *id }).collect();
        }
        self.reconsider(peer, now)
    }

    /// A connection is gone, and every stream on it.
    pub(crate) fn connection_down(&mut self, peer: P, connection: C, now: u64) -> Vec<Act<P, C>> {
        let mut acts = Vec::new();
        let on_it: Vec<_> =
            self.links.iter().filter(|(_, p)| p.connection == connection).map(|(link, _)| *link).collect();
        let Some(links) = self.peers.get_mut(&peer) else { return acts };
        links.connections.remove(&connection);
        let mut lost = false;
        for link in on_it {
            lost |= links.current == Some(link);
            self.links.remove(&link);
            acts.push(Act::Stop { link, reason: "the connection was lost" });
        }
        if lost {
            links.current = None;
        }
        if links.connections.is_empty() {
            self.peers.remove(&peer);
            if lost {
                acts.push(Act::Lost { peer });
            }
            return acts;
        }
        acts.extend(self.reconsider(peer, now));
        acts
    }

    /// Looks again which connection should carry the link.
    fn reconsider(&mut self, peer: P, now: u64) -> Vec<Act<P, C>> {
        let mut acts = Vec::new();
        let Some(links) = self.peers.get_mut(&peer) else { return acts };
        let current = links.current.and_then(|link| self.links.get(&link));
        if self.me < peer {
            let best = links
                .connections
                .iter()
                .filter(|(_, connection)| connection.failures < MAX_OPEN_TRIES)
                .max_by_key(|(id, connection)| (connection.path, **id))
                .map(|(id, connection)| (*id, connection.path));
            // One that is on its way on an equally good connection is waited for.
            let on_its_way = |path| {
                let opening = links
                    .connections
                    .values()
                    .any(|connection| connection.opening.is_some() && connection.path >= path);
                opening || self.links.values().any(|place| place.peer == peer && !place.up && place.path >= path)
            };
            if let Some((id, path)) = best
                && current.is_none_or(|place| path > place.path)
                && !on_its_way(path)
                && let Some(connection) = links.connections.get_mut(&id)
            {
                links.last_generation = now.max(links.last_generation + 1);
                connection.opening = Some(links.last_generation);
                acts.push(Act::Open { peer, connection: id });
            }
        }
        let used = current.map(|place| place.connection);
        let reserve = used.and_then(|_| {
            let relayed = links.connections.iter().filter(|(_, connection)| connection.path == LinkPath::Relay);
            relayed.map(|(id, _)| *id).max_by_key(|id| (Some(*id) == used, *id))
        });
        for (id, connection) in &mut links.connections {
            let keep = used == Some(*id) || reserve == Some(*id);
            if std::mem::replace(&mut connection.kept, keep) != keep {
                acts.push(Act::Keep { peer, connection: *id, keep });
            }
        }
        acts
    }

    fn add(&mut self, peer: P, connection: C, path: LinkPath, generation: u64) -> LinkId {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.links.insert(link, Place { peer, connection, path, generation, up: false });
        link
    }

    /// A stream asked for is open: the new link and its number, unless it is no longer wanted.
    pub(crate) fn opened(&mut self, peer: P, connection: C) -> Option<(LinkId, LinkPath, u64)> {
        let known = self.peers.get_mut(&peer)?.connections.get_mut(&connection)?;
        let (generation, path) = (known.opening.take()?, known.path);
        if self.links.len() >= MAX_LINKS * 2 {
            return None;
        }
        Some((self.add(peer, connection, path, generation), path, generation))
    }

    /// A stream could not be opened. `for_good`: the other side does not speak the protocol.
    pub(crate) fn open_failed(&mut self, peer: P, connection: C, for_good: bool) -> Vec<Act<P, C>> {
        let known = self.peers.get_mut(&peer).and_then(|links| links.connections.get_mut(&connection));
        let Some(known) = known else { return Vec::new() };
        known.opening = None;
        known.failures = if for_good { MAX_OPEN_TRIES } else { known.failures + 1 };
        vec![Act::RetryLater { peer, failures: known.failures }]
    }

    /// The pause after a failure is over, or the peer was learned to speak the protocol after all.
    pub(crate) fn retry(&mut self, peer: P, now: u64) -> Vec<Act<P, C>> {
        self.reconsider(peer, now)
    }

    /// The other side opened a stream: the new link, unless there are too many.
    pub(crate) fn inbound(&mut self, peer: P, connection: C) -> Option<(LinkId, LinkPath)> {
        let path = self.peers.get(&peer)?.connections.get(&connection)?.path;
        let waiting = self.links.values().filter(|place| place.peer == peer && !place.up).count();
        let others = self.peers.values().filter(|links| links.current.is_some()).count();
        if self.me < peer || waiting >= 4 || others > MAX_LINKS || self.links.len() >= MAX_LINKS * 2 {
            return None;
        }
        Some((self.add(peer, connection, path, 0), path))
    }

    /// The opener's number arrived on a stream it opened: whether the link is wanted.
    pub(crate) fn hello(&mut self, link: LinkId, generation: u64) -> bool {
        let Some(place) = self.links.get(&link) else { return false };
        let links = self.peers.get(&place.peer);
        let current = links.and_then(|links| links.current).and_then(|current| self.links.get(&current));
        if current.is_some_and(|current| current.generation >= generation) {
            return false;
        }
        if let Some(place) = self.links.get_mut(&link) {
            place.generation = generation;
        }
        true
    }

    /// A link works: it replaces an earlier one.
    pub(crate) fn up(&mut self, link: LinkId, now: u64) -> Vec<Act<P, C>> {
        let Some(place) = self.links.get_mut(&link) else { return Vec::new() };
        place.up = true;
        let (peer, connection, generation) = (place.peer, place.connection, place.generation);
        let Some(links) = self.peers.get_mut(&peer) else { return Vec::new() };
        if let Some(known) = links.connections.get_mut(&connection) {
            known.failures = 0;
        }
        let mut acts = Vec::new();
        let old = links.current.filter(|old| *old != link);
        let older_is_newer = old.and_then(|old| self.links.get(&old)).is_some_and(|old| old.generation > generation);
        if older_is_newer {
            return vec![Act::Stop { link, reason: "a newer link to the same peer is in use" }];
        }
        links.current = Some(link);
        acts.extend(old.map(|link| Act::Stop { link, reason: "it moved to a better path" }));
        acts.extend(self.reconsider(peer, now));
        acts
    }

    /// A link ended.
    pub(crate) fn ended(&mut self, link: LinkId) -> Vec<Act<P, C>> {
        let Some(place) = self.links.remove(&link) else { return Vec::new() };
        let Some(links) = self.peers.get_mut(&place.peer) else { return Vec::new() };
        if links.current == Some(link) {
            links.current = None;
            // A page that closes takes its connections with it, and the far end may take half a minute to believe it.
            // Streams on such a connection would be tried in vain: better no direct connection than a dead one.
            let others =
                links.connections.iter().any(|(id, other)| *id != place.connection && other.path == LinkPath::Relay);
            if place.path == LinkPath::WebRtc && others {
                return vec![Act::Close { connection: place.connection }];
            }
        } else if place.up {
            return Vec::new();
        }
        let Some(known) = links.connections.get_mut(&place.connection) else { return Vec::new() };
        // Ended at once again and again is as bad as not opening.
        known.failures += 1;
        vec![Act::RetryLater { peer: place.peer, failures: known.failures }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinkPath::{Relay, WebRtc};

    type Acts = Vec<Act<u8, u32>>;

    /// Peer 1 with a relayed link to peer 2 on connection 10.
    fn opener_on_relay() -> (Links<u8, u32>, LinkId) {
        let mut links = Links::new(1);
        assert_eq!(links.connection_up(2, 10, Relay, 100), [Act::Open { peer: 2, connection: 10 }]);
        let (link, path, generation) = links.opened(2, 10).unwrap();
        assert_eq!((path, generation), (Relay, 100));
        assert_eq!(links.up(link, 100), [Act::Keep { peer: 2, connection: 10, keep: true }]);
        (links, link)
    }

    #[test]
    fn a_better_connection_takes_the_link_over_and_the_relay_stays_in_reserve() {
        let (mut links, relayed) = opener_on_relay();
        assert_eq!(links.connection_up(2, 11, WebRtc, 50), [Act::Open { peer: 2, connection: 11 }]);
        let (direct, path, generation) = links.opened(2, 11).unwrap();
        assert_eq!((path, generation), (WebRtc, 101), "greater than before even when the clock went back");
        let acts = links.up(direct, 200);
        assert_eq!(
            acts,
            [
                Act::Stop { link: relayed, reason: "it moved to a better path" },
                Act::Keep { peer: 2, connection: 11, keep: true },
            ]
        );
        assert_eq!(links.ended(relayed), []);
        assert_eq!(links.link_on(11), Some(direct));
    }

    #[test]
    fn losing_webrtc_falls_back_to_the_relayed_connection() {
        let (mut links, relayed) = opener_on_relay();
        links.connection_up(2, 11, WebRtc, 200);
        let (direct, ..) = links.opened(2, 11).unwrap();
        links.up(direct, 200);
        links.ended(relayed);
        let acts = links.connection_down(2, 11, 300);
        assert!(acts.contains(&Act::Stop { link: direct, reason: "the connection was lost" }));
        assert!(acts.contains(&Act::Open { peer: 2, connection: 10 }), "{acts:?}");
        assert!(!links.is_up(2));
        assert_eq!(links.ended(direct), []);
    }

    #[test]
    fn a_link_lost_over_webrtc_ends_its_connection_so_that_the_relay_goes_on_at_once() {
        let (mut links, relayed) = opener_on_relay();
        links.connection_up(2, 11, WebRtc, 200);
        let (direct, ..) = links.opened(2, 11).unwrap();
        links.up(direct, 200);
        links.ended(relayed);
        assert_eq!(links.ended(direct), [Act::Close { connection: 11 }]);
        assert_eq!(links.connection_down(2, 11, 300).first(), Some(&Act::Open { peer: 2, connection: 10 }));
    }

    #[test]
    fn so_does_one_that_was_lost_before_there_was_a_relayed_connection_again() {
        let (mut links, relayed) = opener_on_relay();
        links.connection_up(2, 11, WebRtc, 200);
        let (direct, ..) = links.opened(2, 11).unwrap();
        links.up(direct, 200);
        links.ended(relayed);
        // The other side was restarted: its relayed connection goes first, then its page ends the streams.
        assert_eq!(links.connection_down(2, 10, 300), []);
        assert_eq!(links.ended(direct), [Act::RetryLater { peer: 2, failures: 1 }]);
        assert_eq!(links.connection_up(2, 12, Relay, 400), [Act::Close { connection: 11 }]);
        assert_eq!(links.connection_down(2, 11, 400).first(), Some(&Act::Open { peer: 2, connection: 12 }));
    }

    #[test]
    fn losing_the_last_connection_says_so() {
        let (mut links, link) = opener_on_relay();
        assert_eq!(
            links.connection_down(2, 10, 300),
            [Act::Stop { link, reason: "the connection was lost" }, Act::Lost { peer: 2 },]
        );
    }

    #[test]
    fn a_worse_or_equal_connection_changes_nothing() {
        let (mut links, _) = opener_on_relay();
        assert_eq!(links.connection_up(2, 12, Relay, 200), []);
    }

    #[test]
    fn a_second_connection_while_the_first_stream_opens_makes_no_second_link() {
        let mut links: Links<u8, u32> = Links::new(1);
        links.connection_up(2, 10, Relay, 0);
        assert_eq!(links.connection_up(2, 11, Relay, 0), []);
        let (link, ..) = links.opened(2, 10).unwrap();
        assert_eq!(links.retry(2, 0), [], "waiting for the hello");
        assert_eq!(links.connection_up(2, 12, WebRtc, 0), [Act::Open { peer: 2, connection: 12 }]);
        links.up(link, 0);
        assert!(links.is_up(2));
    }

    #[test]
    fn the_greater_peer_only_follows() {
        let mut links: Links<u8, u32> = Links::new(2);
        assert_eq!(links.connection_up(1, 10, Relay, 100), []);
        let (link, _) = links.inbound(1, 10).unwrap();
        assert!(links.hello(link, 5));
        links.up(link, 100);
        assert!(links.is_up(1));
        let mut opener: Links<u8, u32> = Links::new(1);
        opener.connection_up(2, 10, Relay, 100);
        assert_eq!(opener.inbound(2, 10), None, "only one side opens");
    }

    #[test]
    fn streams_arriving_out_of_order_end_with_the_newest() {
        let mut links: Links<u8, u32> = Links::new(2);
        links.connection_up(1, 10, Relay, 0);
        links.connection_up(1, 11, WebRtc, 0);
        let (direct, _) = links.inbound(1, 11).unwrap();
        assert!(links.hello(direct, 7));
        links.up(direct, 0);
        let (late, _) = links.inbound(1, 10).unwrap();
        assert!(!links.hello(late, 6), "opened earlier, arrived later");
        assert_eq!(links.link_on(11), Some(direct));
        // But a newer stream on a worse path counts: the opener lost the better one.
        let (newer, _) = links.inbound(1, 10).unwrap();
        assert!(links.hello(newer, 8));
        let acts: Acts = links.up(newer, 0);
        assert!(acts.contains(&Act::Stop { link: direct, reason: "it moved to a better path" }));
    }

    #[test]
    fn a_connection_that_never_works_is_given_up() {
        let mut links: Links<u8, u32> = Links::new(1);
        links.connection_up(2, 10, Relay, 0);
        for failures in 1..=MAX_OPEN_TRIES {
            assert_eq!(links.open_failed(2, 10, false), [Act::RetryLater { peer: 2, failures }]);
            links.retry(2, 0);
        }
        assert_eq!(links.retry(2, 0), []);
        assert_eq!(links.connection_up(2, 11, Relay, 0), [Act::Open { peer: 2, connection: 11 }]);
    }

    #[test]
    fn links_waiting_for_a_hello_are_limited() {
        let mut links: Links<u8, u32> = Links::new(2);
        links.connection_up(1, 10, Relay, 0);
        let open = (0..100).filter_map(|_| links.inbound(1, 10)).count();
        assert_eq!(open, 4);
    }
}
