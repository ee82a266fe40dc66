//! Every limit of the network in one place. Bytes and milliseconds unless said.

use std::time::Duration;

/// Longest frame on a link.
pub const MAX_FRAME: usize = 3 << 19;
/// Bytes a link's sender may have on the way before the receiver has taken them. Greater than [`MAX_FRAME`].
pub const LINK_WINDOW: usize = 2 << 20;
/// A link's receiver acknowledges after taking this many bytes.
pub const LINK_ACK_EVERY: usize = 128 << 10;
/// Bytes waiting to be sent on one link; more end the link.
pub const LINK_QUEUE_BYTES: usize = 8 << 20;
/// Frames waiting to be sent on one link; more end the link.
pub const LINK_QUEUE_FRAMES: usize = 4096;
/// Links to different peers at a time; further ones are refused.
pub const MAX_LINKS: usize = 64;
/// Commands waiting for the network.
pub const COMMAND_QUEUE: usize = 64;
/// Events waiting for the reader; links stop reading when it is full.
pub const EVENT_QUEUE: usize = 64;
/// The network's own news (relay states, notes) waiting for the reader; the oldest go first.
pub const NEWS_QUEUE: usize = 256;

/// Time between signs of life on a link.
pub const LINK_HEARTBEAT: Duration = Duration::from_millis(1250);
/// Heartbeats missed before a WebRTC or direct link counts as dead.
pub const LINK_MISSES: u32 = 4;
/// Heartbeats missed before a relayed link counts as dead.
pub const RELAY_LINK_MISSES: u32 = 8;
/// Time for the first exchange on a new link.
pub const LINK_HELLO_TIMEOUT: Duration = Duration::from_secs(8);
/// Time to agree on a protocol for a new stream.
pub const STREAM_TIMEOUT: Duration = Duration::from_secs(8);
/// Streams asked for by the other side of one connection that wait to be looked at; further ones are dropped.
pub const MAX_WAITING_STREAMS: usize = 8;
/// Streams being opened by us on one connection.
pub const MAX_OPENING_STREAMS: usize = 8;
/// Tries to open the link's stream on one connection before it counts as unusable.
pub const MAX_OPEN_TRIES: u32 = 5;
/// First pause between such tries; each further one is longer by as much.
pub const OPEN_RETRY: Duration = Duration::from_secs(1);

/// Connections in all, and to one peer.
pub const MAX_CONNECTIONS: u32 = 256;
/// Connections to one peer (relayed, both ways, and WebRTC while a hand-over is under way).
pub const MAX_CONNECTIONS_PER_PEER: u32 = 8;
/// Connections being made by others to us at a time.
pub const MAX_PENDING_INCOMING: u32 = 32;
/// Connections being made by us at a time.
pub const MAX_PENDING_OUTGOING: u32 = 32;
/// An unused connection is closed after this.
pub const IDLE_CONNECTION: Duration = Duration::from_secs(30);
/// Time to make a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Pings on every connection: how often.
pub const PING_EVERY: Duration = Duration::from_secs(10);
/// Pings on every connection: how long to wait.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Relays used at a time; further ones in the list are ignored.
pub const MAX_RELAYS: usize = 8;
/// Dials of one relay beside one that is under way, when things look better meanwhile.
pub const MAX_DIALS_BESIDE: u32 = 3;
/// First pause after a relay failed.
pub const RELAY_RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest pause after a relay failed.
pub const RELAY_RETRY_MAX: Duration = Duration::from_secs(30);
/// Peers redialled by themselves; the longest-unused are forgotten.
pub const MAX_WANTED: usize = 256;
/// Relay addresses remembered for one peer.
pub const MAX_HINTS: usize = 8;
/// Tries to reach a lost peer again before it is given up.
pub const MAX_REDIALS: u32 = 8;
/// First pause before a lost peer is dialled again.
pub const REDIAL_FIRST: Duration = Duration::from_millis(300);
/// Longest pause before a lost peer is dialled again.
pub const REDIAL_MAX: Duration = Duration::from_secs(30);

/// Browser peer connections at a time.
pub const MAX_PEER_CONNECTIONS: usize = 16;
/// Data channels of one peer connection.
pub const MAX_CHANNELS: usize = 64;
/// Longest message on a data channel, as the libp2p specification says.
pub const MAX_MESSAGE: usize = 16 << 10;
/// Bytes of data channel messages handed between worker and page at once, each way. A batch is never split.
pub const MAX_BATCH: usize = 8 * MAX_MESSAGE;
/// Bytes posted to the page for one channel and not yet taken by the browser.
pub const CHANNEL_CREDIT: usize = 512 << 10;
/// Bytes received on one channel and not yet read; more end the channel. Greater than [`LINK_WINDOW`].
pub const CHANNEL_UNREAD: usize = 4 << 20;
/// Longest session description.
pub const MAX_SDP: usize = 16 << 10;
/// Longest ICE candidate.
pub const MAX_CANDIDATE: usize = 2 << 10;
/// Longest signalling message.
pub const MAX_SIGNAL: usize = MAX_SDP + 64;
/// Signalling messages of one attempt.
pub const MAX_SIGNALS: usize = 128;
/// Happenings of one peer connection waiting to be looked at.
pub const MAX_PC_EVENTS: usize = 256;
/// Time for one attempt at a WebRTC connection.
pub const UPGRADE_TIMEOUT: Duration = Duration::from_secs(20);
/// First pause after a WebRTC attempt failed.
pub const UPGRADE_RETRY_FIRST: Duration = Duration::from_secs(4);
/// Longest pause after a WebRTC attempt failed.
pub const UPGRADE_RETRY_MAX: Duration = Duration::from_secs(300);
/// Time between signs of life asked of the page.
pub const CARRIER_HEARTBEAT: Duration = Duration::from_millis(1500);
/// Such signs missed before the page counts as gone.
pub const CARRIER_MISSES: u32 = 4;

/// WebSocket bytes received and not yet read; more close the connection.
pub const WS_UNREAD: usize = 16 << 20;
/// WebSocket bytes given to the browser and not yet sent; writers wait above it.
pub const WS_BUFFERED: u32 = 1 << 20;
/// Most bytes in one WebSocket message.
pub const WS_MESSAGE: usize = 256 << 10;
