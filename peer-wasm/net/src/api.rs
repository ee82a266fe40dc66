//! What a peer asks of its network and what the network tells it.

use futures::channel::mpsc;
use futures::{SinkExt, Stream, StreamExt};
use libp2p::Multiaddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

/// How the network starts.
#[derive(Clone)]
pub struct NetConfig {
    /// The device's Ed25519 seed; its public key is the peer's libp2p identity.
    pub seed: [u8; 32],
    /// Relays to stay reachable through, each with its `/p2p/<id>`.
    pub relays: Vec<Multiaddr>,
    /// The agent text told to others by identify, e.g. `kith/0.1.0`.
    pub agent: String,
    /// Addresses to listen on; natively only, ignored in browsers.
    pub listen: Vec<Multiaddr>,
}

/// Names one link. Chosen by the network, never used twice in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// How the bytes of a link travel. Ordered: a greater path is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkPath {
    /// Through a relay, end-to-end encrypted.
    Relay,
    /// A socket straight to the other peer.
    Direct,
    /// Browser to browser.
    WebRtc,
}

impl LinkPath {
    /// The path's stable name, as shown by `/~/peer`.
    pub const fn name(self) -> &'static str {
        match self {
            LinkPath::Relay => "relay",
            LinkPath::Direct => "direct",
            LinkPath::WebRtc => "webrtc",
        }
    }
}

/// How this peer stands with one relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayState {
    /// A connection is being made.
    Connecting,
    /// Connected, but others cannot reach this peer through the relay yet.
    Connected,
    /// Others can reach this peer through the relay.
    Reserved,
    /// Not connected; tried again by itself.
    Failed {
        /// Plain words.
        why: String,
    },
}

/// What can be asked of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetCommand {
    /// Reach a peer, now and again after a loss, until [`NetCommand::Forget`] or too many failures.
    Dial {
        /// Its Ed25519 public key.
        peer: [u8; 32],
        /// Addresses of relays where it may be; the configured relays are tried as well.
        hints: Vec<Multiaddr>,
    },
    /// No longer redial this peer after a loss.
    Forget {
        /// Its Ed25519 public key.
        peer: [u8; 32],
    },
    /// Send one frame. Frames of a link arrive whole and in order, or the link ends.
    Send {
        /// The link; nothing happens when it is gone (a [`NetEvent::LinkDown`] is on its way).
        link: LinkId,
        /// At most [`crate::limits::MAX_FRAME`] bytes, not empty.
        frame: Vec<u8>,
    },
    /// End a link and stop redialling its peer.
    HangUp {
        /// The link.
        link: LinkId,
    },
    /// Replace the relays.
    SetRelays(Vec<Multiaddr>),
    /// Close every connection and end the network.
    Shutdown,
}

/// What the network tells.
#[derive(Clone, Debug, PartialEq)]
pub enum NetEvent {
    /// Frames can be exchanged with a peer. When a link to the same peer is up already, this one replaces
    /// it: the [`NetEvent::LinkDown`] of the old one follows.
    LinkUp {
        /// The link.
        link: LinkId,
        /// The peer's Ed25519 public key, proved.
        peer: [u8; 32],
        /// How its bytes travel.
        path: LinkPath,
    },
    /// A link ended. Frames not yet received on it are lost.
    LinkDown {
        /// The link.
        link: LinkId,
        /// Plain words.
        reason: String,
    },
    /// A frame arrived.
    Frame {
        /// The link.
        link: LinkId,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// Frames left this peer's queue.
    Sent {
        /// The link.
        link: LinkId,
        /// Their bytes, without framing.
        bytes: usize,
    },
    /// A relay's state changed.
    Relay {
        /// The relay's address as configured.
        addr: Multiaddr,
        /// The new state.
        state: RelayState,
    },
    /// A round trip was measured.
    Rtt {
        /// The link.
        link: LinkId,
        /// Milliseconds.
        ms: u32,
    },
    /// A peer could not be reached. Unless it was forgotten, it is tried again when asked.
    DialFailed {
        /// Its Ed25519 public key.
        peer: [u8; 32],
        /// Plain words.
        why: String,
    },
    /// Something a person may want to know, in plain words.
    Note(String),
}

/// The network cannot take a command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Too many commands wait.
    #[error("the network is busy: wait for it to take earlier commands and try again")]
    Busy(NetCommand),
    /// The network ended.
    #[error("the network has ended: start it again")]
    Ended,
}

/// The handle for asking things of the network. Dropping it ends the network.
pub struct Net {
    pub(crate) commands: Mutex<mpsc::Sender<Ask>>,
}

/// What travels to the swarm task.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))] // Only pages attach.
pub(crate) enum Ask {
    Command(NetCommand),
    Attach(crate::webrtc::Carrier),
    Detach,
}

impl Net {
    fn sender(&self) -> mpsc::Sender<Ask> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks at once or says why not.
    pub fn try_command(&self, command: NetCommand) -> Result<(), CommandError> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.try_send(Ask::Command(command)).map_err(|error| {
            if error.is_disconnected() {
                return CommandError::Ended;
            }
            match error.into_inner() {
                Ask::Command(command) => CommandError::Busy(command),
                _ => CommandError::Ended,
            }
        })
    }

    /// Asks, waiting while too many commands wait.
    pub async fn command(&self, command: NetCommand) -> Result<(), CommandError> {
        self.ask(Ask::Command(command)).await
    }

    pub(crate) async fn ask(&self, ask: Ask) -> Result<(), CommandError> {
        // The clone's own slot bounds what one caller can have waiting to one command.
        self.sender().send(ask).await.map_err(|_| CommandError::Ended)
    }
}

/// The network's events, in order. Reading slowly slows the links down, never loses frames.
pub struct NetEvents {
    pub(crate) events: mpsc::Receiver<NetEvent>,
}

impl Stream for NetEvents {
    type Item = NetEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NetEvent>> {
        self.events.poll_next_unpin(cx)
    }
}
