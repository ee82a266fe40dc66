//! The libp2p transport that has no socket of its own: the web server accepts, answers the WebSocket upgrade, and feeds
//! the stream in here. One port serves people and peers, and libp2p sees each peer's real address.

use futures::future::{Pending, Ready, ready};
use libp2p::Multiaddr;
use libp2p::core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Upgraded connections that may wait for the swarm; more are refused at the door.
pub(crate) const MAX_WAITING: usize = 256;

/// A connection whose WebSocket upgrade was answered.
pub(crate) struct Incoming<T> {
    /// The byte stream.
    pub(crate) stream: T,
    /// The address the peer reached.
    pub(crate) local: Multiaddr,
    /// Where the peer comes from.
    pub(crate) remote: Multiaddr,
}

/// Hands incoming connections to the swarm. Listens on one `/ip…/tcp/…/ws` address; never dials.
pub(crate) struct UpgradedTransport<T> {
    incoming: mpsc::Receiver<Incoming<T>>,
    listener: Option<ListenerId>,
    announced: Option<Multiaddr>,
}

/// A transport and the end that feeds it.
pub(crate) fn channel<T>() -> (mpsc::Sender<Incoming<T>>, UpgradedTransport<T>) {
    let (sender, incoming) = mpsc::channel(MAX_WAITING);
    (sender, UpgradedTransport { incoming, listener: None, announced: None })
}

impl<T: Send + Unpin + 'static> Transport for UpgradedTransport<T> {
    type Output = T;
    type Error = io::Error;
    type ListenerUpgrade = Ready<Result<T, io::Error>>;
    type Dial = Pending<Result<T, io::Error>>;

    fn listen_on(&mut self, id: ListenerId, addr: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let is_websocket = addr.iter().any(|part| matches!(part, Protocol::Ws(_)));
        if !is_websocket || self.listener.is_some() {
            return Err(TransportError::MultiaddrNotSupported(addr));
        }
        self.listener = Some(id);
        self.announced = Some(addr);
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let found = self.listener == Some(id);
        if found {
            self.listener = None;
            self.incoming.close();
        }
        found
    }

    fn dial(&mut self, addr: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(addr))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        let Some(listener_id) = self.listener else { return Poll::Pending };
        if let Some(listen_addr) = self.announced.take() {
            return Poll::Ready(TransportEvent::NewAddress { listener_id, listen_addr });
        }
        match self.incoming.poll_recv(cx) {
            Poll::Ready(Some(Incoming { stream, local, remote })) => Poll::Ready(TransportEvent::Incoming {
                listener_id,
                upgrade: ready(Ok(stream)),
                local_addr: local,
                send_back_addr: remote,
            }),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
