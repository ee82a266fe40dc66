//! One peer of a world.

use super::{Disk, Shadow};
use crate::api::{Reply, RequestId, SubscriptionId, Update};
use crate::identity::PublicKey;
use crate::peer::Peer;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

/// One peer, its disk and what it has said.
pub struct Node {
    pub(super) peer: Option<Peer>,
    /// Its committed rows.
    pub disk: Disk,
    /// A store that answers in its place, if there is one.
    pub shadow: Option<Box<dyn Shadow>>,
    /// How many times it was started: what belongs to an earlier life is not delivered to a later one.
    pub(super) life: u64,
    /// How many rows its disk has room for.
    pub room: usize,
    /// Bytes of rows it has read so far.
    pub read_bytes: Cell<usize>,
    /// How far its wall clock is off, in milliseconds.
    pub skew: i64,
    /// What it calls its release when it is started.
    pub release: &'static str,
    pub(super) device: Option<PublicKey>,
    pub(super) replies: BTreeMap<RequestId, Reply>,
    pub(super) updates: BTreeMap<SubscriptionId, VecDeque<Update>>,
    /// What it refused, by name, and how often.
    pub refused: BTreeMap<&'static str, u64>,
    /// Why it closed links, and how often.
    pub hung_up: BTreeMap<&'static str, u64>,
    pub(super) wake_at: Option<u64>,
    /// What has come in, if no peer runs here but a test speaks for it.
    pub(super) heard: Option<VecDeque<Vec<u8>>>,
}
