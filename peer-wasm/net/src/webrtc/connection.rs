//! A peer connection as a libp2p connection: a stream for every data channel.

use super::carrier::{Carrier, PcId};
use super::channel::MessageChannel;
use super::substream::Substream;
use futures::future::poll_fn;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The connection; closed in the page when dropped.
pub(crate) struct Connection {
    carrier: Carrier,
    pc: PcId,
}

impl Connection {
    /// A peer connection to be set up, unless the carrier has no room.
    pub(super) fn reserve(carrier: &Carrier) -> Option<Self> {
        Some(Self { carrier: carrier.clone(), pc: carrier.reserve()? })
    }

    pub(super) fn pc(&self) -> PcId {
        self.pc
    }

    /// The next happening of the set-up; `Err` says why there will be none.
    pub(super) async fn event(&self) -> Result<super::carrier::PcEvent, String> {
        poll_fn(|cx| self.carrier.poll_event(self.pc, cx)).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.carrier.close(self.pc, "it was closed");
    }
}

impl StreamMuxer for Connection {
    type Substream = Substream;
    type Error = io::Error;

    fn poll_inbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Substream>> {
        let mut state = self.carrier.lock();
        let Some(pc) = state.pcs.get_mut(&self.pc) else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        if let Some(channel) = pc.arrived.pop_front() {
            drop(state);
            return Poll::Ready(Ok(Substream::new(MessageChannel::adopt(&self.carrier, self.pc, channel))));
        }
        if let Some(why) = &pc.ended {
            return Poll::Ready(Err(io::Error::other(why.clone())));
        }
        pc.wakers.wait(cx);
        Poll::Pending
    }

    fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Substream>> {
        Poll::Ready(MessageChannel::open(&self.carrier, self.pc).map(Substream::new))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.carrier.close(self.pc, "it was closed");
        Poll::Ready(Ok(()))
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        // Happenings after the set-up only matter when they end the connection.
        loop {
            match self.carrier.poll_event(self.pc, cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(why)) => return Poll::Ready(Err(io::Error::other(why))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
