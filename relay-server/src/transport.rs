//! The libp2p transport that has no socket of its own: the web server accepts, answers the WebSocket upgrade, and feeds
//! the stream in here; so does the port for native peers. One port serves people and peers, one table limits all of them,
//! and libp2p sees each peer's real address.

use futures::future::{Pending, Ready, ready};
use libp2p::Multiaddr;
use libp2p::core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Upgraded connections that may wait for the swarm; more are refused at the door.
pub(crate) const MAX_WAITING: usize = 256;

/// A connection that was let in.
pub(crate) struct Incoming<T> {
    /// Its byte stream.
    pub(crate) stream: T,
    /// The address the peer reached.
    pub(crate) local: Multiaddr,
    /// Where the peer comes from.
    pub(crate) remote: Multiaddr,
}

/// Hands incoming connections to the swarm. Listens on the addresses of ports that somebody else serves; never dials.
pub(crate) struct UpgradedTransport<T> {
    incoming: mpsc::Receiver<Incoming<T>>,
    listeners: Vec<(ListenerId, Multiaddr)>,
    announced: VecDeque<(ListenerId, Multiaddr)>,
}

/// A transport and the end that feeds it.
pub(crate) fn channel<T>() -> (mpsc::Sender<Incoming<T>>, UpgradedTransport<T>) {
    let (sender, incoming) = mpsc::channel(MAX_WAITING);
    (sender, UpgradedTransport { incoming, listeners: Vec::new(), announced: VecDeque::new() })
}

fn is_websocket(addr: &Multiaddr) -> bool {
    addr.iter().any(|part| matches!(part, Protocol::Ws(_)))
}

impl<T: Send + Unpin + 'static> Transport for UpgradedTransport<T> {
    type Output = T;
    type Error = io::Error;
    type ListenerUpgrade = Ready<Result<T, io::Error>>;
    type Dial = Pending<Result<T, io::Error>>;

    fn listen_on(&mut self, id: ListenerId, addr: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.listeners.push((id, addr.clone()));
        self.announced.push_back((id, addr));
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let before = self.listeners.len();
        self.listeners.retain(|(other, _)| *other != id);
        self.listeners.len() < before
    }

    fn dial(&mut self, addr: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(addr))
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        if let Some((listener_id, listen_addr)) = self.announced.pop_front() {
            return Poll::Ready(TransportEvent::NewAddress { listener_id, listen_addr });
        }
        while let Poll::Ready(Some(Incoming { stream, local, remote })) = self.incoming.poll_recv(cx) {
            let same_way = |(_, addr): &&(ListenerId, Multiaddr)| is_websocket(addr) == is_websocket(&local);
            let Some((listener_id, _)) = self.listeners.iter().find(same_way) else { continue };
            return Poll::Ready(TransportEvent::Incoming {
                listener_id: *listener_id,
                upgrade: ready(Ok(stream)),
                local_addr: local,
                send_back_addr: remote,
            });
        }
        Poll::Pending
    }
}
