//! Hostile peers: no peer runs in them, a test says every word. They can take over a member's keys.

use super::{NodeId, Story, World};
use crate::api::Role;
use crate::clock::Clock;
use crate::codec::Reader;
use crate::document::redaction::Target;
use crate::document::{Leaf, Op, Ops};
use crate::entropy::Entropy;
use crate::entry::{Dep, Entry, Kind, Tip, Verified};
use crate::epoch::EpochKey;
use crate::identity::{PublicKey, SecretKey};
use crate::invite::Ticket;
use crate::path::Path;
use crate::records::{Device, Grant};
use crate::rows::{KeyRange, Read, Table};
use crate::sealed::seal;
use crate::wire::{Frame, token};

/// A peer that says whatever a test wants it to say.
pub struct Hostile {
    /// Its place in the world.
    pub node: NodeId,
    /// Its device key.
    pub key: SecretKey,
    /// The space it is after.
    pub space: PublicKey,
    /// The key that seals bodies there; a made-up one if it has none.
    pub epoch: EpochKey,
    /// Its log so far.
    pub log: Vec<Verified>,
    entropy: Entropy,
}

impl Hostile {
    /// Takes over a member: its peer is gone, its keys and log are in hostile hands.
    pub fn possess(story: &mut Story, node: NodeId) -> Option<Hostile> {
        let disk = story.world.nodes.get(node)?.disk.clone();
        let get = |key: &[u8]| disk.read(&Read::Get { table: Table::Meta, key: key.to_vec() });
        let seed: [u8; 32] = get(b"device").first()?.1.as_slice().try_into().ok()?;
        let key = SecretKey::from_seed(&seed);
        let spaces = disk.all(Table::Meta, KeyRange::prefix(b"space/"));
        let (number, row) = spaces.iter().find(|(_, row)| row.get(1..33) == Some(&story.space.0[..]))?;
        let epoch = epochs_of(row)?.pop()?;
        let tail = disk.all(Table::Tail, KeyRange::prefix(number.get(6..)?));
        let entries = tail.iter().filter_map(|(_, raw)| Verified::from_store(raw).ok());
        let log = entries.filter(|entry| entry.header.log == key.public()).collect();
        story.world.possess(node);
        let entropy = Entropy::new(&story.world.dice.seed());
        Some(Hostile { node, key, space: story.space, epoch, log, entropy })
    }

    /// A stranger with keys of its own, who has come to know the space's id.
    pub fn stranger(story: &mut Story) -> Hostile {
        let mut entropy = Entropy::new(&story.world.dice.seed());
        let key = SecretKey::generate(&mut entropy);
        let node = story.world.add_puppet(key.public());
        let epoch = EpochKey::generate(&mut entropy);
        Hostile { node, key, space: story.space, epoch, log: Vec::new(), entropy }
    }

    /// An author that is never online itself: it followed the story's invite for writers, knows its key from a
    /// member, and its log holds what makes it one. Others bring what it writes.
    pub fn absent(story: &mut Story, member: &Hostile) -> Option<Hostile> {
        let ticket = Ticket::parse(&story.writer_link).ok()?;
        Some(Hostile::invited(&ticket, member.epoch.clone(), &story.world.dice.seed()))
    }

    /// The same, by an invite for writers and a key of its space.
    pub fn invited(ticket: &Ticket, epoch: EpochKey, seed: &[u8; 32]) -> Hostile {
        let space = ticket.space;
        let mut entropy = Entropy::new(seed);
        let (key, identity) = (SecretKey::generate(&mut entropy), SecretKey::generate(&mut entropy));
        let device = Device::new(&identity, &space, &key.public(), [1; 32], Vec::new());
        let grant = Grant::join(Role::Writer, identity.public(), &ticket.key(), &space);
        let mut author = Hostile { node: NodeId::MAX, key, space, epoch, log: Vec::new(), entropy };
        for (kind, body) in [(Kind::Device, device.encode()), (Kind::Grant, grant.encode())] {
            author.log.push(author.entry(author.tip(), kind, &body, Vec::new()));
        }
        author
    }

    /// Writes text at a path into its log.
    pub fn write(&mut self, path: &str, text: &str, millis: u64) {
        let entry = self.op(self.tip(), path, text, millis);
        self.log.push(entry);
    }

    /// Where its log stands.
    pub fn tip(&self) -> Tip {
        self.log.last().map_or(Tip::EMPTY, |last| Tip { len: last.header.seq + 1, hash: last.hash() })
    }

    /// A well-made op that puts `text` at `path`, following `tip`, at `millis` by its clock; later than what comes before it.
    pub fn op(&mut self, tip: Tip, path: &str, text: &str, millis: u64) -> Verified {
        let leaf = Leaf::Json(serde_json::Value::from(text).to_string().into_bytes());
        let list = Path::new(path.split('/')).map(|path| vec![Op::new(path, leaf)]).unwrap_or_default();
        let ops = Ops { clock: Clock::new(millis, tip.len as u16).0, id: String::new(), list };
        self.ops(tip, &ops, &[])
    }

    /// An op entry that says this, and wants these parts redacted.
    pub fn ops(&mut self, tip: Tip, ops: &Ops, redactions: &[Vec<Target>]) -> Verified {
        let log = self.key.public();
        let sealed = ops.seal(redactions, &self.epoch, &self.space, &log, tip.len, &mut self.entropy);
        self.entry(tip, Kind::Op, &sealed, Vec::new())
    }

    /// An op entry whose sealed head says this, without any parts.
    pub fn sealed(&mut self, tip: Tip, head: &[u8]) -> Verified {
        self.parts(tip, head, &[])
    }

    /// An op entry whose sealed head and parts are these bytes.
    pub fn parts(&mut self, tip: Tip, head: &[u8], parts: &[Vec<u8>]) -> Verified {
        let log = self.key.public();
        let sealed = seal(&self.epoch, &self.space, &log, tip.len, head, parts, &mut self.entropy);
        self.entry(tip, Kind::Op, &sealed, Vec::new())
    }

    /// An entry of any kind with any body.
    pub fn entry(&self, tip: Tip, kind: Kind, body: &[u8], deps: Vec<Dep>) -> Verified {
        let epoch = (kind == Kind::Op).then(|| self.epoch.id());
        Entry::sign(&self.key, self.space, tip, kind, epoch, deps, body)
    }

    /// Connects to a peer and says hello as an honest peer would.
    pub fn greet(&self, world: &mut World, victim: NodeId) {
        let Some(to) = world.device(victim) else { return };
        world.connect(self.node, victim);
        let credentials = self.log.iter().take(2).map(|entry| entry.raw().to_vec()).collect();
        self.say(world, victim, &Frame::Open(vec![token(&self.space, &self.key.public(), &to)]));
        self.say(world, victim, &Frame::Hello(self.space, credentials));
        world.run(1_000);
    }

    /// Sends a frame to a peer it is connected to.
    pub fn say(&self, world: &mut World, victim: NodeId, frame: &Frame) {
        self.shout(world, victim, frame.encode());
    }

    /// Sends any bytes as a frame.
    pub fn shout(&self, world: &mut World, victim: NodeId, bytes: Vec<u8>) {
        world.inject(self.node, victim, bytes);
    }

    /// Sends entries, says what it claims to have, and lets a moment pass.
    pub fn push(&self, world: &mut World, victim: NodeId, entries: &[&[u8]]) {
        let entries = entries.iter().map(|raw| raw.to_vec());
        self.say(world, victim, &Frame::entries(self.space, entries));
        world.run(1_000);
    }

    /// Says that its log is this long and ends with this hash.
    pub fn claim(&self, world: &mut World, victim: NodeId, tip: Tip) {
        self.say(world, victim, &Frame::Have(self.space, vec![(self.key.public(), tip.len, tip.hash)]));
    }
}

/// The epoch keys in a space's row: version ‖ key[32] ‖ joined ‖ name (text) ‖ count ‖ epoch key[32]*.
pub(super) fn epochs_of(row: &[u8]) -> Option<Vec<EpochKey>> {
    let mut reader = Reader::new(row.get(34..)?);
    reader.text(4096).ok()?;
    let count = reader.size(1 << 16).ok()?;
    (0..count).map(|_| Some(EpochKey::new(reader.fixed().ok()?))).collect()
}
