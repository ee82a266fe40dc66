//! What is said over links, counted: frames, bytes, how often the word passed from one side to the other, and
//! entries that came more than once.

use super::world::{NodeId, World};
use crate::identity::PublicKey;
use crate::wire::{Frame, Piece};
use std::collections::BTreeMap;

/// What two peers have said to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames, both ways.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The longest chain of frames in which each was sent after the one before had arrived; two make a round trip.
    pub hops: u64,
}

/// The count of one pair of peers, and how long a chain each has heard the end of.
#[derive(Default)]
pub(super) struct Conversation {
    tally: Tally,
    heard: BTreeMap<NodeId, u64>,
}

/// Entries that arrived at a peer, and how often each.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    seen: BTreeMap<(PublicKey, u64), u64>,
    /// The logs, in the order in which something of them came.
    pub logs: Vec<PublicKey>,
    /// Dependencies that entries named.
    pub deps: usize,
    /// Bytes of entries that had arrived before.
    pub again: u64,
    /// Bytes of all entries.
    pub bytes: u64,
}

impl Arrivals {
    /// How many entries arrived, each counted once.
    pub fn entries(&self) -> usize {
        self.seen.len()
    }
}

impl World {
    /// What two peers have said to each other since it was last asked; counting begins anew.
    pub fn take_tally(&mut self, a: NodeId, b: NodeId) -> Tally {
        self.conversations.remove(&[a.min(b), a.max(b)]).unwrap_or_default().tally
    }

    /// Counts the entries that arrive at a peer from now on.
    pub fn count_arrivals(&mut self, node: NodeId) {
        self.arrivals.insert(node, Arrivals::default());
    }

    /// The entries that arrived at a peer since they are counted.
    pub fn arrivals(&self, node: NodeId) -> Arrivals {
        self.arrivals.get(&node).cloned().unwrap_or_default()
    }

    /// A frame is sent: gives its place in the conversation.
    pub(super) fn note_sent(&mut self, from: NodeId, to: NodeId, bytes: usize) -> u64 {
        let conversation = self.conversations.entry([from.min(to), from.max(to)]).or_default();
        let hops = conversation.heard.get(&from).copied().unwrap_or(0) + 1;
        conversation.tally.frames += 1;
        conversation.tally.bytes += bytes as u64;
        conversation.tally.hops = conversation.tally.hops.max(hops);
        hops
    }

    /// A frame with this place in the conversation has arrived.
    pub(super) fn note_arrived(&mut self, ends: [NodeId; 2], to: NodeId, hops: u64, bytes: &[u8]) {
        let [a, b] = ends;
        if let Some(conversation) = self.conversations.get_mut(&[a.min(b), a.max(b)]) {
            let heard = conversation.heard.entry(to).or_insert(0);
            *heard = hops.max(*heard);
        }
        let Some(arrivals) = self.arrivals.get_mut(&to) else { return };
        let Ok(Frame::Entries(_, entries)) = Frame::decode(bytes) else { return };
        for piece in entries {
            let Piece::Entry(entry) = piece else { continue };
            if !arrivals.logs.contains(&entry.header.log) {
                arrivals.logs.push(entry.header.log);
            }
            arrivals.deps += entry.header.deps.len();
            let times = arrivals.seen.entry((entry.header.log, entry.header.seq)).or_insert(0);
            *times += 1;
            arrivals.bytes += entry.raw().len() as u64;
            arrivals.again += if *times > 1 { entry.raw().len() as u64 } else { 0 };
        }
    }
}
