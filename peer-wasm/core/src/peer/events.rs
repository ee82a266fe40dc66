//! What happens to a peer and what should happen then: the words between it and its driver.

use super::quota::Quota;
use crate::api::{Reply, Request, RequestId, SubscriptionId, Update};
use crate::identity::PublicKey;
use crate::rows::{Batch, Read, Rows};

/// Names one load until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoadId(pub u64);

/// Names one transaction until it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

/// Names one link to another peer. Chosen by the network, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Why a transaction failed. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no room.
    Full,
    /// Anything else, in words.
    Broken(String),
}

/// How a link reaches the other peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkPath {
    /// Through a relay.
    Relay,
    /// Browser to browser.
    WebRtc,
    /// Any other direct connection.
    Direct,
}

impl LinkPath {
    /// The path's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            LinkPath::Relay => "relay",
            LinkPath::WebRtc => "webrtc",
            LinkPath::Direct => "direct",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "most inputs are requests, and each is moved once")]
pub enum Input {
    /// A program asks for something.
    Request(RequestId, Request),
    /// A subscriber is ready for its next update. One pull, one update.
    Pull(SubscriptionId),
    /// A subscriber went away.
    Unsubscribe(SubscriptionId),
    /// A link is up: frames can be sent and will come.
    LinkUp {
        /// The link.
        link: LinkId,
        /// Who is at the other end, as proved by the transport.
        peer: PublicKey,
        /// How it gets there.
        path: LinkPath,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// A frame came in.
    Frame {
        /// Over which link.
        link: LinkId,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// A frame has left: there is room for more.
    Sent {
        /// Over which link.
        link: LinkId,
        /// Its size.
        bytes: usize,
    },
    /// A peer could not be reached.
    DialFailed {
        /// The peer.
        peer: PublicKey,
    },
    /// The network has changed for the better (a relay is back): try everything again now.
    NetworkUp,
    /// What only the host knows, shown as is in the status: `storage`, `relays`, `notes`, link figures by peer.
    Environment(serde_json::Value),
    /// The relays where this peer can be met, as multiaddrs.
    Relays(Vec<String>),
    /// Rows asked for.
    Loaded {
        /// Which load.
        load: LoadId,
        /// One answer for each read, or why there is none.
        rows: Result<Vec<Rows>, String>,
    },
    /// A transaction is durable as asked.
    Committed(TransactionId),
    /// A transaction failed.
    Failed(TransactionId, Fault),
    /// The peer died lately, in the middle of its work: what comes in is taken with care for a while, so that an entry
    /// that brings it down is found and left out.
    Careful,
    /// The time asked for by [`Output::WakeAt`] has come (or any other time).
    Wake,
}

/// Something that should happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Read rows, all in one snapshot.
    Load(LoadId, Vec<Read>),
    /// Write rows. Transactions are given one at a time.
    Commit(TransactionId, Batch),
    /// Answer a request.
    Reply(RequestId, Reply),
    /// Hand an update to a subscriber that pulled.
    Update(SubscriptionId, Update),
    /// Send a frame.
    Send(LinkId, Vec<u8>),
    /// Close a link.
    HangUp(LinkId, &'static str),
    /// Try to reach a peer, through these relays or any the network knows.
    Dial(PublicKey, Vec<String>),
    /// Come back with [`Input::Wake`] at this time.
    WakeAt(u64),
    /// Something from outside was refused, by name. For logs, counters and tests.
    Refused(LinkId, &'static str),
}

/// What a peer is made with.
pub struct Config {
    /// 32 unpredictable bytes, new at every start.
    pub entropy: [u8; 32],
    /// The peer's version, as shown in documents.
    pub version: String,
    /// How much others may add in a day without the user's consent.
    pub quota: Quota,
}
