//! Streams on chosen connections: a behaviour that opens a stream of one of our protocols on exactly the
//! connection asked for and hands over those the other side opened. (The libp2p stream behaviour picks any.)

use crate::limits::{MAX_OPENING_STREAMS, MAX_WAITING_STREAMS, STREAM_TIMEOUT};
use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, StreamProtocol, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

/// The protocols this peer speaks on streams of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Links between Kith peers.
    Sync,
    /// The libp2p `/webrtc` signalling; offered only while a page carries WebRTC for us.
    Signalling,
}

impl Protocol {
    /// Its name on the wire.
    pub(crate) const fn name(self) -> StreamProtocol {
        StreamProtocol::new(match self {
            Protocol::Sync => "/kith/sync/1",
            Protocol::Signalling => "/webrtc-signaling/0.0.1",
        })
    }

    fn from_name(name: &StreamProtocol) -> Self {
        if *name == Protocol::Signalling.name() { Protocol::Signalling } else { Protocol::Sync }
    }
}

/// What happened to streams.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    /// The other side opened a stream.
    Inbound { peer: PeerId, connection: ConnectionId, protocol: Protocol, stream: Stream },
    /// A stream we asked for is open.
    Opened { peer: PeerId, connection: ConnectionId, token: u64, stream: Stream },
    /// A stream we asked for could not be opened. `unsupported`: the other side does not speak the protocol.
    OpenFailed { peer: PeerId, connection: ConnectionId, token: u64, unsupported: bool, why: String },
}

/// The behaviour. See the module.
#[derive(Default)]
pub(crate) struct Streams {
    connections: HashMap<ConnectionId, PeerId>,
    actions: VecDeque<ToSwarm<StreamEvent, Order>>,
    signalling: Arc<AtomicBool>,
    waker: Option<Waker>,
}

impl Streams {
    /// Opens a stream on this connection; `token` comes back in the answer. No answer when the connection closes first.
    pub(crate) fn open(&mut self, peer: PeerId, connection: ConnectionId, protocol: Protocol, token: u64) {
        self.order(peer, connection, Order::Open { protocol, token });
    }

    /// Whether the connection is kept while nothing uses it.
    pub(crate) fn keep(&mut self, peer: PeerId, connection: ConnectionId, keep: bool) {
        self.order(peer, connection, Order::Keep(keep));
    }

    /// Whether signalling streams are accepted and announced.
    pub(crate) fn offer_signalling(&mut self, offer: bool) {
        if self.signalling.swap(offer, Ordering::Relaxed) != offer {
            let all: Vec<_> = self.connections.iter().map(|(connection, peer)| (*peer, *connection)).collect();
            for (peer, connection) in all {
                // The order itself says nothing: it makes the connection look at its protocols again.
                self.order(peer, connection, Order::Refresh);
            }
        }
    }

    fn order(&mut self, peer: PeerId, connection: ConnectionId, event: Order) {
        self.actions.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(connection),
            event,
        });
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn handler(&self) -> Handler {
        Handler {
            orders: VecDeque::new(),
            news: VecDeque::new(),
            opening: 0,
            waiting: 0,
            keep: false,
            signalling: self.signalling.clone(),
            waker: None,
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = StreamEvent;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(up) => {
                self.connections.insert(up.connection_id, up.peer_id);
            }
            FromSwarm::ConnectionClosed(down) => {
                self.connections.remove(&down.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        let event = match event {
            News::Inbound { protocol, stream } => {
                // Taken over: the handler may hold the next one.
                self.order(peer, connection, Order::Taken);
                StreamEvent::Inbound { peer, connection, protocol, stream }
            }
            News::Opened { token, stream } => StreamEvent::Opened { peer, connection, token, stream },
            News::Failed { token, unsupported, why } => {
                StreamEvent::OpenFailed { peer, connection, token, unsupported, why }
            }
        };
        self.actions.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<StreamEvent, THandlerInEvent<Self>>> {
        if let Some(action) = self.actions.pop_front() {
            return Poll::Ready(action);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// From the behaviour to a connection.
#[derive(Debug)]
pub(crate) enum Order {
    Open { protocol: Protocol, token: u64 },
    Keep(bool),
    Refresh,
    Taken,
}

/// From a connection to the behaviour.
#[derive(Debug)]
pub(crate) enum News {
    Inbound { protocol: Protocol, stream: Stream },
    Opened { token: u64, stream: Stream },
    Failed { token: u64, unsupported: bool, why: String },
}

/// One connection's side of [`Streams`].
pub(crate) struct Handler {
    orders: VecDeque<(Protocol, u64)>,
    news: VecDeque<News>,
    opening: usize,
    waiting: usize,
    keep: bool,
    signalling: Arc<AtomicBool>,
    waker: Option<Waker>,
}

impl Handler {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Order;
    type ToBehaviour = News;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = u64;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        let mut protocols = vec![Protocol::Sync.name()];
        if self.signalling.load(Ordering::Relaxed) {
            protocols.push(Protocol::Signalling.name());
        }
        SubstreamProtocol::new(Offer(protocols), ()).with_timeout(STREAM_TIMEOUT)
    }

    fn connection_keep_alive(&self) -> bool {
        self.keep
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Offer, u64, News>> {
        if let Some(news) = self.news.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(news));
        }
        if let Some((protocol, token)) = self.orders.pop_front() {
            self.opening += 1;
            let offer = SubstreamProtocol::new(Offer(vec![protocol.name()]), token).with_timeout(STREAM_TIMEOUT);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol: offer });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, order: Order) {
        match order {
            Order::Open { token, .. } if self.opening + self.orders.len() >= MAX_OPENING_STREAMS => {
                let why = "too many streams are being opened on this connection".to_owned();
                self.news.push_back(News::Failed { token, unsupported: false, why });
            }
            Order::Open { protocol, token } => self.orders.push_back((protocol, token)),
            Order::Keep(keep) => self.keep = keep,
            Order::Refresh => {}
            Order::Taken => self.waiting = self.waiting.saturating_sub(1),
        }
        self.wake();
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Offer, Offer, (), u64>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: (stream, name), .. }) => {
                if self.waiting < MAX_WAITING_STREAMS {
                    self.waiting += 1;
                    self.news.push_back(News::Inbound { protocol: Protocol::from_name(&name), stream });
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info: token,
            }) => {
                self.opening = self.opening.saturating_sub(1);
                self.news.push_back(News::Opened { token, stream });
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: token, error }) => {
                self.opening = self.opening.saturating_sub(1);
                let (unsupported, why) = match error {
                    StreamUpgradeError::NegotiationFailed => {
                        (true, "the other side does not speak this protocol".to_owned())
                    }
                    StreamUpgradeError::Timeout => (false, "the other side did not answer in time".to_owned()),
                    StreamUpgradeError::Io(error) => (false, error.to_string()),
                    StreamUpgradeError::Apply(never) => match never {},
                };
                self.news.push_back(News::Failed { token, unsupported, why });
            }
            _ => return,
        }
        self.wake();
    }
}

/// Protocols offered for a stream; nothing is exchanged beyond the choice.
#[derive(Debug)]
pub(crate) struct Offer(Vec<StreamProtocol>);

impl UpgradeInfo for Offer {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((stream, name)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((stream, name)))
    }
}
