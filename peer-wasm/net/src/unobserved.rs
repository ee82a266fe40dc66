//! Connections through relays without a remote address.
//!
//! The circuit transport names the other side's address `/p2p/<id>`, and identify passes that on as the address it
//! was seen at. It is none, and js-libp2p ends its identify exchange over it. An empty address is passed over.

use libp2p::Multiaddr;
use libp2p::core::Transport;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The transport inside, its incoming connections without a remote address.
pub(crate) struct Unobserved<T>(pub(crate) T);

impl<T: Transport + Unpin> Transport for Unobserved<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<T::Error>> {
        self.0.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.0.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<T::Dial, TransportError<T::Error>> {
        self.0.dial(address, options)
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<T::ListenerUpgrade, T::Error>> {
        Pin::new(&mut self.get_mut().0).poll(cx).map(|event| match event {
            TransportEvent::Incoming { listener_id, upgrade, local_addr, .. } => {
                TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr: Multiaddr::empty() }
            }
            other => other,
        })
    }
}
