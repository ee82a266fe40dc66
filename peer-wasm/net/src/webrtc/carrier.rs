//! The worker's half of a page that carries WebRTC: what is told to it, what it tells, and the state of its
//! peer connections and channels. Everything the page says is checked here; it decides nothing.

use crate::limits::{
    CARRIER_MISSES, CHANNEL_UNREAD, MAX_BATCH, MAX_CANDIDATE, MAX_CHANNELS, MAX_PC_EVENTS, MAX_PEER_CONNECTIONS,
    MAX_SDP,
};
use kith_map::BTreeMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Names a peer connection on the port. Chosen here.
pub(crate) type PcId = u32;
/// Names a data channel of a peer connection. Even: opened here. Odd: opened by the other side.
pub(crate) type ChannelId = u32;

/// Told to the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToPage {
    /// Say that you are alive.
    Ping,
    /// Make a peer connection with an `init` channel and an offer.
    Offer { pc: PcId },
    /// Make a peer connection for this offer and an answer.
    Answer { pc: PcId, sdp: String },
    /// The other side's answer.
    Accept { pc: PcId, sdp: String },
    /// The other side's ICE candidate, as JSON.
    Candidate { pc: PcId, json: String },
    /// Connected: the `init` channel is no longer needed.
    Ready { pc: PcId },
    /// Open a data channel.
    OpenChannel { pc: PcId, channel: ChannelId },
    /// Send these bytes as messages of `size` each; the last may be shorter.
    Data { pc: PcId, channel: ChannelId, bytes: Vec<u8>, size: usize },
    /// Close a channel once everything given to it was sent.
    CloseChannel { pc: PcId, channel: ChannelId },
    /// Close a peer connection.
    Close { pc: PcId },
    /// Close everything; this port is no longer used.
    Detach,
}

/// The state of a peer connection, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PcState {
    /// DTLS is up.
    Connected,
    /// Packets stopped arriving; it may come back.
    Disconnected,
    /// Given up by the browser.
    Failed,
    /// Closed.
    Closed,
}

/// Told by the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FromPage {
    /// It is there.
    Alive,
    /// It is going away.
    Bye,
    /// The offer or answer asked for.
    Description { pc: PcId, sdp: String },
    /// An ICE candidate of our own, as JSON.
    Candidate { pc: PcId, json: String },
    /// All candidates were told.
    Gathered { pc: PcId },
    /// The connection's state changed.
    State { pc: PcId, state: PcState },
    /// Something asked for did not work.
    Failed { pc: PcId, why: String },
    /// The other side opened a channel.
    Channel { pc: PcId, channel: ChannelId },
    /// Messages arrived, one after the other.
    Data { pc: PcId, channel: ChannelId, bytes: Vec<u8> },
    /// The browser took this many bytes of what was posted.
    Taken { pc: PcId, channel: ChannelId, bytes: usize },
    /// The channel is closed.
    ChannelClosed { pc: PcId, channel: ChannelId },
}

/// What the set-up of a connection needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PcEvent {
    /// See [`FromPage::Description`].
    Description(String),
    /// See [`FromPage::Candidate`].
    Candidate(String),
    /// See [`FromPage::Gathered`].
    Gathered,
    /// See [`FromPage::State`].
    State(PcState),
    /// See [`FromPage::Failed`].
    Failed(String),
}

/// How messages reach the page.
pub(crate) type Post = Box<dyn Fn(ToPage) + Send>;

/// A page's carrier, shared by everything that uses it.
#[derive(Clone)]
pub(crate) struct Carrier {
    shared: Arc<Mutex<State>>,
}

pub(super) struct State {
    post: Post,
    pub(super) pcs: BTreeMap<PcId, Pc>,
    next_pc: PcId,
    ended: Option<String>,
    heard: bool,
    missed: u32,
}

#[derive(Default)]
pub(super) struct Pc {
    events: VecDeque<PcEvent>,
    pub(super) channels: BTreeMap<ChannelId, Channel>,
    pub(super) arrived: VecDeque<ChannelId>,
    pub(super) next_channel: ChannelId,
    /// Why it is of no use any more.
    pub(super) ended: Option<String>,
    pub(super) wakers: Wakers,
}

/// One data channel.
#[derive(Default)]
pub(super) struct Channel {
    pub(super) inbox: VecDeque<Vec<u8>>,
    pub(super) unread: usize,
    pub(super) in_flight: usize,
    pub(super) closed: bool,
    pub(super) wakers: Wakers,
}

/// Everyone waiting for a thing; all are woken at each change.
#[derive(Default)]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(super) fn wait(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    pub(super) fn wake(&mut self) {
        for waker in self.0.drain(..) {
            waker.wake();
        }
    }
}

impl Pc {
    fn end(&mut self, why: &str) {
        self.ended.get_or_insert_with(|| why.to_owned());
        self.wakers.wake();
        for channel in self.channels.values_mut() {
            channel.closed = true;
            channel.wakers.wake();
        }
    }

    fn tell(&mut self, event: PcEvent) {
        if self.events.len() < MAX_PC_EVENTS {
            self.events.push_back(event);
        }
        self.wakers.wake();
    }
}

impl State {
    pub(super) fn post(&self, message: ToPage) {
        if self.ended.is_none() {
            (self.post)(message);
        }
    }

    fn close(&mut self, pc: PcId, why: &str) {
        if let Some(mut pc) = self.pcs.remove(&pc) {
            pc.end(why);
        }
        self.post(ToPage::Close { pc });
    }
}

impl Carrier {
    /// A carrier whose messages go out through `post`; what the page says comes in through [`Carrier::hear`].
    pub(crate) fn new(post: Post) -> Self {
        let state = State { post, pcs: BTreeMap::new(), next_pc: 0, ended: None, heard: true, missed: 0 };
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both are the same page's.
    pub(crate) fn is_same(&self, other: &Carrier) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Why it ended, if it did.
    pub(crate) fn ended(&self) -> Option<String> {
        self.lock().ended.clone()
    }

    /// Ends it: every connection it carries is gone at once.
    pub(crate) fn end(&self, why: &str) {
        let mut state = self.lock();
        if state.ended.is_none() {
            state.post(ToPage::Detach);
            state.ended = Some(why.to_owned());
        }
        for pc in state.pcs.values_mut() {
            pc.end(why);
        }
    }

    /// One heartbeat; ends the carrier when the page was silent for too many. Returns whether it lives.
    pub(crate) fn beat(&self) -> bool {
        let mut state = self.lock();
        state.missed = if std::mem::take(&mut state.heard) { 0 } else { state.missed + 1 };
        let gone = state.missed >= CARRIER_MISSES;
        state.post(ToPage::Ping);
        drop(state);
        if gone {
            self.end("the page that carried it does not answer");
        }
        self.ended().is_none()
    }

    /// Whether another peer connection may be made.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.lock();
        state.ended.is_none() && state.pcs.len() < MAX_PEER_CONNECTIONS
    }

    /// A new peer connection's name; nothing is told to the page yet.
    pub(super) fn reserve(&self) -> Option<PcId> {
        let mut state = self.lock();
        if state.ended.is_some() || state.pcs.len() >= MAX_PEER_CONNECTIONS {
            return None;
        }
        state.next_pc = state.next_pc.wrapping_add(1);
        let id = state.next_pc;
        state.pcs.insert(id, Pc::default());
        Some(id)
    }

    /// Tells the page.
    pub(super) fn post(&self, message: ToPage) {
        self.lock().post(message);
    }

    /// Forgets a peer connection and has the page close it.
    pub(super) fn close(&self, pc: PcId, why: &str) {
        let mut state = self.lock();
        if state.pcs.contains_key(&pc) {
            state.close(pc, why);
        }
    }

    /// The next happening in the set-up of a peer connection; `Err` says why it ended.
    pub(super) fn poll_event(&self, pc: PcId, cx: &Context<'_>) -> Poll<Result<PcEvent, String>> {
        let mut state = self.lock();
        let Some(pc) = state.pcs.get_mut(&pc) else { return Poll::Ready(Err("it was closed".to_owned())) };
        if let Some(event) = pc.events.pop_front() {
            return Poll::Ready(Ok(event));
        }
        if let Some(why) = &pc.ended {
            return Poll::Ready(Err(why.clone()));
        }
        pc.wakers.wait(cx);
        Poll::Pending
    }

    /// Takes what the page said. What makes no sense ends the connection or channel it is about.
    pub(crate) fn hear(&self, message: FromPage) {
        let mut state = self.lock();
        state.heard = true;
        match message {
            FromPage::Alive => {}
            FromPage::Bye => {
                drop(state);
                self.end("the page that carried it was closed");
            }
            FromPage::Description { pc, sdp } if sdp.len() > MAX_SDP => {
                state.close(pc, "the browser's session description is too long")
            }
            FromPage::Candidate { pc, json } if json.len() > MAX_CANDIDATE => {
                state.close(pc, "a candidate of the browser is too long")
            }
            FromPage::Description { pc, sdp } => state.tell(pc, PcEvent::Description(sdp)),
            FromPage::Candidate { pc, json } => state.tell(pc, PcEvent::Candidate(json)),
            FromPage::Gathered { pc } => state.tell(pc, PcEvent::Gathered),
            FromPage::Failed { pc, why } => state.tell(pc, PcEvent::Failed(why)),
            FromPage::State { pc, state: new } => {
                state.tell(pc, PcEvent::State(new));
                if let (PcState::Failed | PcState::Closed, Some(pc)) = (new, state.pcs.get_mut(&pc)) {
                    pc.end("the direct connection broke");
                }
            }
            FromPage::Channel { pc, channel } => state.arrived(pc, channel),
            FromPage::Data { pc, channel, bytes } => state.received(pc, channel, bytes),
            FromPage::Taken { pc, channel, bytes } => {
                if let Some(channel) = state.channel(pc, channel) {
                    channel.in_flight = channel.in_flight.saturating_sub(bytes);
                    channel.wakers.wake();
                }
            }
            FromPage::ChannelClosed { pc, channel } => {
                if let Some(known) = state.channel(pc, channel) {
                    known.closed = true;
                    state.wake(pc, channel);
                }
            }
        }
    }
}

impl State {
    fn tell(&mut self, pc: PcId, event: PcEvent) {
        if let Some(pc) = self.pcs.get_mut(&pc) {
            pc.tell(event);
        }
    }

    pub(super) fn channel(&mut self, pc: PcId, channel: ChannelId) -> Option<&mut Channel> {
        self.pcs.get_mut(&pc)?.channels.get_mut(&channel)
    }

    /// Wakes whoever waits for a channel, or else the connection: handlers count on being polled when something
    /// arrives on their connection, as over one socket, even when they did not look at the stream since their last
    /// read (libp2p's ping is one).
    fn wake(&mut self, id: PcId, name: ChannelId) {
        let Some(pc) = self.pcs.get_mut(&id) else { return };
        match pc.channels.get_mut(&name) {
            Some(channel) if !channel.wakers.0.is_empty() => channel.wakers.wake(),
            _ => pc.wakers.wake(),
        }
    }

    fn arrived(&mut self, id: PcId, channel: ChannelId) {
        let Some(pc) = self.pcs.get_mut(&id) else { return };
        if channel.is_multiple_of(2) || pc.channels.contains_key(&channel) || pc.channels.len() >= MAX_CHANNELS {
            self.post(ToPage::CloseChannel { pc: id, channel });
            return;
        }
        pc.channels.insert(channel, Channel::default());
        pc.arrived.push_back(channel);
        pc.wakers.wake();
    }

    fn received(&mut self, id: PcId, name: ChannelId, bytes: Vec<u8>) {
        let Some(channel) = self.channel(id, name) else { return };
        if channel.closed {
            return;
        }
        channel.unread += bytes.len();
        let refused = bytes.len() > MAX_BATCH || channel.unread > CHANNEL_UNREAD;
        if refused {
            channel.closed = true;
        } else {
            channel.inbox.push_back(bytes);
        }
        self.wake(id, name);
        if refused {
            tracing::warn!(pc = id, channel = name, "a data channel was closed: too long a message or too much unread");
            self.post(ToPage::CloseChannel { pc: id, channel: name });
        }
    }
}
