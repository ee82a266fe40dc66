//! `/webrtc` among the transports: dials that ask for a signalling stream, and connections others set up.

use super::carrier::Carrier;
use super::connection::Connection;
use super::session::{UpgradeError, initiate, respond};
use crate::address::{is_webrtc, last_peer, webrtc_dial};
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::future::{BoxFuture, FutureExt};
use libp2p::PeerId;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Multiaddr;
use libp2p::swarm::Stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Asked by a dial: a signalling stream to the peer and the carrier to use.
pub(crate) struct SignalRequest {
    pub(crate) peer: PeerId,
    pub(crate) reply: oneshot::Sender<Result<(Stream, Carrier), String>>,
}

/// A signalling stream another peer opened.
pub(crate) struct Arrival {
    pub(crate) peer: PeerId,
    pub(crate) stream: Stream,
    pub(crate) carrier: Carrier,
}

type Upgrade = BoxFuture<'static, Result<(PeerId, Connection), UpgradeError>>;

/// The transport.
pub(crate) struct Transport {
    requests: mpsc::UnboundedSender<SignalRequest>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    listeners: Vec<(ListenerId, Multiaddr)>,
    news: VecDeque<TransportEvent<Upgrade, UpgradeError>>,
}

impl Transport {
    /// The transport, what it asks for, and where arriving streams go. Both queues are bounded by the limits on
    /// connections being made.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<SignalRequest>, mpsc::UnboundedSender<Arrival>) {
        let (requests, asked) = mpsc::unbounded();
        let (arrived, arrivals) = mpsc::unbounded();
        (Self { requests, arrivals, listeners: Vec::new(), news: VecDeque::new() }, asked, arrived)
    }
}

impl libp2p::core::Transport for Transport {
    type Output = (PeerId, Connection);
    type Error = UpgradeError;
    type ListenerUpgrade = Upgrade;
    type Dial = Upgrade;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<UpgradeError>> {
        if !is_webrtc(&address) {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        self.listeners.push((id, address.clone()));
        self.news.push_back(TransportEvent::NewAddress { listener_id: id, listen_addr: address });
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let Some(place) = self.listeners.iter().position(|(known, _)| *known == id) else { return false };
        let (listener_id, listen_addr) = self.listeners.swap_remove(place);
        self.news.push_back(TransportEvent::AddressExpired { listener_id, listen_addr });
        self.news.push_back(TransportEvent::ListenerClosed { listener_id, reason: Ok(()) });
        true
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Upgrade, TransportError<UpgradeError>> {
        if !is_webrtc(&address) {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        let Some(peer) = last_peer(&address) else { return Err(TransportError::MultiaddrNotSupported(address)) };
        let requests = self.requests.clone();
        Ok(async move {
            let (reply, answer) = oneshot::channel();
            let ended = || UpgradeError::NoSignalling("the network ended".to_owned());
            requests.unbounded_send(SignalRequest { peer, reply }).map_err(|_| ended())?;
            let (stream, carrier) = answer.await.map_err(|_| ended())?.map_err(UpgradeError::NoSignalling)?;
            Ok((peer, initiate(carrier, stream).await?))
        }
        .boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Upgrade, UpgradeError>> {
        if let Some(news) = self.news.pop_front() {
            return Poll::Ready(news);
        }
        let Poll::Ready(Some(Arrival { peer, stream, carrier })) = self.arrivals.poll_next_unpin(cx) else {
            return Poll::Pending;
        };
        let listener_id = self.listeners.first().map_or_else(ListenerId::next, |(id, _)| *id);
        Poll::Ready(TransportEvent::Incoming {
            listener_id,
            upgrade: async move { Ok((peer, respond(carrier, stream).await?)) }.boxed(),
            // Names the other side for the case of failure; the remote's address is nothing to tell it (see `unobserved`).
            local_addr: webrtc_dial(peer),
            send_back_addr: Multiaddr::empty(),
        })
    }
}
