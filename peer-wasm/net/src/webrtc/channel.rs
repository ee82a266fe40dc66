//! One data channel as a row of messages, with the browser's send buffer as back pressure.

use super::carrier::{Carrier, ChannelId, PcId, ToPage};
use crate::limits::{CHANNEL_CREDIT, MAX_CHANNELS};
use std::io;
use std::task::{Context, Poll};

/// A channel; closed in the page when dropped.
pub(super) struct MessageChannel {
    carrier: Carrier,
    pc: PcId,
    id: ChannelId,
}

impl MessageChannel {
    /// Opens a channel; messages may be sent at once.
    pub(super) fn open(carrier: &Carrier, pc: PcId) -> io::Result<Self> {
        let mut state = carrier.lock();
        let Some(known) = state.pcs.get_mut(&pc).filter(|pc| pc.ended.is_none()) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        if known.channels.len() >= MAX_CHANNELS {
            return Err(io::Error::other("too many streams are open on the connection"));
        }
        let id = known.next_channel;
        known.next_channel = id.wrapping_add(2);
        known.channels.insert(id, Default::default());
        state.post(ToPage::OpenChannel { pc, channel: id });
        drop(state);
        Ok(Self { carrier: carrier.clone(), pc, id })
    }

    /// Takes over a channel the other side opened.
    pub(super) fn adopt(carrier: &Carrier, pc: PcId, id: ChannelId) -> Self {
        Self { carrier: carrier.clone(), pc, id }
    }

    /// The next messages, one after the other; `None` when the channel is closed.
    pub(super) fn poll_messages(&self, cx: &Context<'_>) -> Poll<Option<Vec<u8>>> {
        let mut state = self.carrier.lock();
        let Some(channel) = state.channel(self.pc, self.id) else { return Poll::Ready(None) };
        if let Some(message) = channel.inbox.pop_front() {
            channel.unread = channel.unread.saturating_sub(message.len());
            return Poll::Ready(Some(message));
        }
        if channel.closed {
            return Poll::Ready(None);
        }
        channel.wakers.wait(cx);
        Poll::Pending
    }

    /// Ready when the browser can take more.
    pub(super) fn poll_ready(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.carrier.lock();
        let channel = state.channel(self.pc, self.id).filter(|channel| !channel.closed);
        let Some(channel) = channel else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        if channel.in_flight < CHANNEL_CREDIT {
            return Poll::Ready(Ok(()));
        }
        channel.wakers.wait(cx);
        Poll::Pending
    }

    /// Sends messages of `size` bytes each, the last one maybe shorter. Nothing happens on a closed channel.
    pub(super) fn send(&self, bytes: Vec<u8>, size: usize) {
        let mut state = self.carrier.lock();
        let (pc, id) = (self.pc, self.id);
        if let Some(channel) = state.channel(pc, id).filter(|channel| !channel.closed) {
            channel.in_flight += bytes.len();
            state.post(ToPage::Data { pc, channel: id, bytes, size });
        }
    }
}

impl Drop for MessageChannel {
    fn drop(&mut self) {
        let mut state = self.carrier.lock();
        let Some(pc) = state.pcs.get_mut(&self.pc) else { return };
        if pc.channels.remove(&self.id).is_some() {
            state.post(ToPage::CloseChannel { pc: self.pc, channel: self.id });
        }
    }
}
