//! The world: peers, their disks, the links between them, and time.

use super::happen::Event;
use super::tally::{Arrivals, Conversation};
use super::{Dice, Disk, Node, Weather};
use crate::api::{Reply, Request, RequestId, SubscriptionId, Update};
use crate::identity::PublicKey;
use crate::peer::{Config, Input, LinkId, LinkPath, Peer, Quota};
use crate::rows::{Read, Rows};
use crate::wire::Frame;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

/// When every world begins, in milliseconds since 1970.
const BEGINNING: u64 = 1_800_000_000_000;
/// A peer that gives more outputs than this for one input is going round in circles.
const MAX_OUTPUTS: usize = 100_000;

/// Which peer of a world, counted from 0.
pub type NodeId = usize;

pub(super) struct Link {
    pub(super) ends: [NodeId; 2],
    /// When the last frame in each direction arrives: links keep order.
    pub(super) busy_until: BTreeMap<NodeId, u64>,
}

/// Changes the outgoing frames of one peer: how hostile peers are played.
pub type Meddler = Box<dyn FnMut(Vec<u8>, &mut Dice) -> Vec<Vec<u8>>>;

/// A world of peers.
pub struct World {
    /// Chooses everything that is left to chance.
    pub dice: Dice,
    /// What goes wrong at present.
    pub weather: Weather,
    /// The peers.
    pub nodes: Vec<Node>,
    /// How much others may add at each peer in a day; for peers started from now on.
    pub quota: Quota,
    pub(super) now: u64,
    pub(super) events: BTreeMap<(u64, u64), Event>,
    pub(super) links: BTreeMap<LinkId, Link>,
    /// Peers in different groups cannot reach each other.
    groups: Vec<u64>,
    pub(super) meddlers: BTreeMap<NodeId, Meddler>,
    pub(super) conversations: BTreeMap<[NodeId; 2], Conversation>,
    pub(super) arrivals: BTreeMap<NodeId, Arrivals>,
    next: u64,
    /// How many events have happened.
    pub steps: u64,
    /// Every frame that was sent, as bytes; kept only if asked for.
    pub wire: Option<Vec<Vec<u8>>>,
    /// Called with a line about each frame and each thing that goes wrong, if set.
    pub trace: Option<fn(&str)>,
}

impl World {
    /// An empty world.
    pub fn new(seed: u64) -> World {
        World::begun(seed, BEGINNING)
    }

    /// The same, in which it is this time, in milliseconds since 1970.
    pub fn begun(seed: u64, now: u64) -> World {
        World {
            dice: Dice::new(seed),
            weather: Weather::FAIR,
            nodes: Vec::new(),
            quota: Quota::default(),
            now,
            events: BTreeMap::new(),
            links: BTreeMap::new(),
            groups: Vec::new(),
            meddlers: BTreeMap::new(),
            conversations: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            next: 0,
            steps: 0,
            wire: None,
            trace: None,
        }
    }

    /// The time, in milliseconds since 1970.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Adds a peer with an empty disk and starts it.
    pub fn add(&mut self) -> NodeId {
        self.add_with(Disk::default())
    }

    /// Adds a peer with a given disk and starts it.
    pub fn add_with(&mut self, disk: Disk) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Node {
            peer: None,
            disk,
            shadow: None,
            life: 0,
            room: usize::MAX,
            read_bytes: Cell::default(),
            skew: 0,
            release: "sim",
            device: None,
            replies: BTreeMap::new(),
            updates: BTreeMap::new(),
            refused: BTreeMap::new(),
            hung_up: BTreeMap::new(),
            wake_at: None,
            heard: None,
        });
        self.groups.push(0);
        self.start(id);
        id
    }

    /// Adds a place in the world for which a test speaks.
    pub fn add_puppet(&mut self, device: PublicKey) -> NodeId {
        let id = self.add();
        self.possess(id);
        if let Some(node) = self.nodes.get_mut(id) {
            node.device = Some(device);
        }
        id
    }

    /// Stops a peer for good; a test speaks for it from now on.
    pub fn possess(&mut self, id: NodeId) {
        self.crash(id);
        if let Some(node) = self.nodes.get_mut(id) {
            node.life += 1;
            node.heard = Some(VecDeque::new());
        }
    }

    /// The next frame that came to a place for which a test speaks.
    pub fn heard(&mut self, node: NodeId) -> Option<Frame> {
        let bytes = self.nodes.get_mut(node)?.heard.as_mut()?.pop_front()?;
        Frame::decode(&bytes).ok()
    }

    /// Whether a peer is running, or a test speaks for it.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.nodes.get(node).is_some_and(|node| node.peer.is_some() || node.heard.is_some())
    }

    /// A peer's device key, once it has started.
    pub fn device(&self, node: NodeId) -> Option<PublicKey> {
        self.nodes.get(node)?.device
    }

    /// Starts a peer from its rows, if it is not running.
    pub fn start(&mut self, id: NodeId) {
        let seed = self.dice.seed();
        let (now, quota) = (self.clock_of(id), self.quota);
        let free = |node: &&mut Node| node.peer.is_none() && node.heard.is_none();
        let Some(node) = self.nodes.get_mut(id).filter(free) else { return };
        node.life += 1;
        node.wake_at = None;
        if let Some(shadow) = &mut node.shadow {
            shadow.restart();
        }
        let born = node.life;
        node.peer = Some(Peer::new(now, Config { entropy: seed, version: node.release.to_owned(), quota }));
        self.note(|| format!("{id} lives for the {born}. time"));
        self.drain(id);
    }

    /// Stops a peer at once, in the middle of whatever it does. Only what is on its disk remains.
    pub fn crash(&mut self, id: NodeId) {
        self.note(|| format!("{id} dies"));
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.peer = None;
        node.replies.clear();
        node.updates.clear();
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.ends.contains(&id)).map(|(id, _)| *id).collect();
        for link in links {
            self.cut(link, 5_000);
        }
    }

    /// Starts a peer again after a time.
    pub fn start_after(&mut self, node: NodeId, delay: u64) {
        let life = self.life(node);
        self.schedule(delay, Event::Start { node, life });
    }

    /// Divides the peers: only those with the same group number can reach each other from now on.
    pub fn divide(&mut self, groups: impl Fn(NodeId) -> u64) {
        self.groups = (0..self.nodes.len()).map(groups).collect();
        let apart: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| !self.reachable(link.ends[0], link.ends[1]))
            .map(|(id, _)| *id)
            .collect();
        for link in apart {
            self.cut(link, 5_000);
        }
    }

    /// Lets everybody reach everybody again, and tells them.
    pub fn unite(&mut self) {
        self.groups = vec![0; self.nodes.len()];
        for node in 0..self.nodes.len() {
            self.input(node, Input::NetworkUp);
        }
    }

    /// Cuts every link between two peers.
    pub fn cut_between(&mut self, a: NodeId, b: NodeId) {
        let links: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.ends == [a, b] || link.ends == [b, a])
            .map(|(id, _)| *id)
            .collect();
        for link in links {
            self.cut(link, 1_000);
        }
    }

    /// Puts something between a peer and its links that changes what it sends.
    pub fn meddle(&mut self, node: NodeId, meddler: Meddler) {
        self.meddlers.insert(node, meddler);
    }

    /// Lets a peer send what it wants to again.
    pub fn stop_meddling(&mut self, node: NodeId) {
        self.meddlers.remove(&node);
    }

    /// Sends a frame to `to` over its link with `from`, as if `from` had sent it. False if there is no such link.
    pub fn inject(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) -> bool {
        let Some(link) = self.link_between(from, to) else { return false };
        self.carry(link, from, bytes);
        true
    }

    /// The link between two peers.
    pub fn link_between(&self, a: NodeId, b: NodeId) -> Option<LinkId> {
        self.links.iter().find(|(_, link)| link.ends == [a, b] || link.ends == [b, a]).map(|(id, _)| *id)
    }

    /// How many links are up.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Connects two peers if both are up, can reach each other and are not connected yet.
    pub fn connect(&mut self, a: NodeId, b: NodeId) -> bool {
        let (Some(key_a), Some(key_b)) = (self.device(a), self.device(b)) else { return false };
        let possible = a != b && self.is_up(a) && self.is_up(b) && self.reachable(a, b);
        if !possible || self.link_between(a, b).is_some() {
            return false;
        }
        let link = LinkId(self.number());
        self.links.insert(link, Link { ends: [a, b], busy_until: BTreeMap::new() });
        let path = if self.dice.once_in(2) { LinkPath::Relay } else { LinkPath::WebRtc };
        self.input(a, Input::LinkUp { link, peer: key_b, path });
        self.input(b, Input::LinkUp { link, peer: key_a, path });
        true
    }

    /// Asks a peer for something; the answer will be found by [`World::reply`]. `None` if it is not running.
    pub fn ask(&mut self, node: NodeId, request: Request) -> Option<RequestId> {
        if !self.is_up(node) {
            return None;
        }
        let id = RequestId(self.number());
        self.input(node, Input::Request(id, request));
        Some(id)
    }

    /// Takes the reply to a request, if it has come.
    pub fn reply(&mut self, node: NodeId, id: RequestId) -> Option<Reply> {
        self.nodes.get_mut(node)?.replies.remove(&id)
    }

    /// Asks and lets time pass until the reply comes, at most `patience` milliseconds.
    pub fn ask_for(&mut self, node: NodeId, request: Request, patience: u64) -> Option<Reply> {
        let id = self.ask(node, request)?;
        let deadline = self.now.saturating_add(patience);
        loop {
            if let Some(reply) = self.reply(node, id) {
                return Some(reply);
            }
            if !self.step(deadline) {
                return self.reply(node, id);
            }
        }
    }

    /// Asks for a subscription's next update.
    pub fn pull(&mut self, node: NodeId, subscription: SubscriptionId) {
        self.input(node, Input::Pull(subscription));
    }

    /// Takes the next update of a subscription, if it has come.
    pub fn update(&mut self, node: NodeId, subscription: SubscriptionId) -> Option<Update> {
        self.nodes.get_mut(node)?.updates.get_mut(&subscription)?.pop_front()
    }

    /// Lets this much time pass.
    pub fn run(&mut self, milliseconds: u64) {
        let deadline = self.now.saturating_add(milliseconds);
        while self.step(deadline) {}
    }

    /// Lets time pass until `done`, which is asked once per second; false if that takes more than `limit` milliseconds.
    pub fn run_until(&mut self, limit: u64, mut done: impl FnMut(&mut World) -> bool) -> bool {
        let deadline = self.now.saturating_add(limit);
        loop {
            if done(self) {
                return true;
            }
            if self.now >= deadline {
                return false;
            }
            self.run(1_000);
        }
    }

    /// Lets the next thing happen, if it happens by `deadline`; else moves time there.
    fn step(&mut self, deadline: u64) -> bool {
        match self.events.first_key_value() {
            Some(((time, _), _)) if *time <= deadline => {}
            _ => {
                self.now = deadline;
                return false;
            }
        }
        let Some(((time, _), event)) = self.events.pop_first() else { return false };
        self.now = time;
        self.steps += 1;
        self.happen(event);
        true
    }

    /// Gives a peer an input and carries out what it wants done.
    pub fn input(&mut self, id: NodeId, input: Input) {
        let now = self.clock_of(id);
        let Some(node) = self.nodes.get_mut(id) else { return };
        if let Some(peer) = &mut node.peer {
            peer.handle(now, input);
            self.drain(id);
        } else if let (Some(heard), Input::Frame { bytes, .. }) = (&mut node.heard, input) {
            heard.push_back(bytes);
        }
    }

    fn drain(&mut self, id: NodeId) {
        for _ in 0..MAX_OUTPUTS {
            let Some(peer) = self.nodes.get_mut(id).and_then(|node| node.peer.as_mut()) else { return };
            let Some(output) = peer.poll_output() else {
                if let Some(device) = peer.device()
                    && let Some(node) = self.nodes.get_mut(id)
                {
                    node.device = Some(device);
                }
                return;
            };
            self.carry_out(id, output);
        }
        unreachable!("peer {id} gives outputs without end");
    }

    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = self.trace {
            trace(&format!("{:>9} {}", self.now - BEGINNING, line()));
        }
    }

    pub(super) fn read(&self, node: NodeId, reads: &[Read]) -> Vec<Rows> {
        let Some(node) = self.nodes.get(node) else { return Vec::new() };
        let rows: Vec<Rows> = match &node.shadow {
            Some(shadow) => shadow.read(reads),
            None => reads.iter().map(|read| node.disk.read(read)).collect(),
        };
        let bytes: usize = rows.iter().flatten().map(|(key, value)| key.len() + value.len()).sum();
        node.read_bytes.set(node.read_bytes.get() + bytes);
        rows
    }

    pub(super) fn reachable(&self, a: NodeId, b: NodeId) -> bool {
        self.groups.get(a) == self.groups.get(b)
    }

    /// How many times a peer was started.
    pub fn life(&self, node: NodeId) -> u64 {
        self.nodes.get(node).map_or(0, |node| node.life)
    }

    /// The time a peer believes it is.
    pub(super) fn clock_of(&self, node: NodeId) -> u64 {
        self.now.saturating_add_signed(self.nodes.get(node).map_or(0, |node| node.skew))
    }

    pub(super) fn schedule(&mut self, delay: u64, event: Event) {
        let order = self.number();
        self.events.insert((self.now.saturating_add(delay), order), event);
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
