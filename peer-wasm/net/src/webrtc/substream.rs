//! A libp2p stream on a data channel: the specification's framing with half-close, reset and acknowledged ends.
//!
//! (`libp2p-webrtc-utils` has such a stream, but does not know `FIN_ACK`: every stream closed by a js-libp2p
//! peer then ends in an error or waits ten seconds.)

use super::channel::MessageChannel;
use super::proto::{self, Reassembly};
use crate::limits::{MAX_BATCH, MAX_MESSAGE};
use futures::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

const FIN: u8 = 0;
const STOP_SENDING: u8 = 1;
const RESET: u8 = 2;
const FIN_ACK: u8 = 3;

/// Payload of one message: what the envelope leaves of [`MAX_MESSAGE`].
const MAX_PAYLOAD: usize = MAX_MESSAGE - 16;

/// The stream.
pub(crate) struct Substream {
    channel: MessageChannel,
    arrived: Reassembly,
    readable: Vec<u8>,
    taken: usize,
    remote_done: bool,
    remote_deaf: bool,
    reset: bool,
    done: bool,
}

impl Substream {
    pub(super) fn new(channel: MessageChannel) -> Self {
        Self {
            channel,
            arrived: Reassembly::new(MAX_MESSAGE),
            readable: Vec::new(),
            taken: 0,
            remote_done: false,
            remote_deaf: false,
            reset: false,
            done: false,
        }
    }

    fn flag(&self, flag: u8) {
        let message = proto::encode(Some(flag), None);
        let size = message.len();
        self.channel.send(message, size);
    }

    /// Takes in messages until there are bytes to read or the other side is done.
    fn poll_arrived(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while let Some(message) =
                self.arrived.next().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
            {
                if let Some(data) = message.data.filter(|data| !data.is_empty() && !self.remote_done) {
                    if self.taken == self.readable.len() {
                        self.readable = data;
                        self.taken = 0;
                    } else {
                        self.readable.extend_from_slice(&data);
                    }
                }
                match message.kind.map(u8::try_from) {
                    Some(Ok(FIN)) => {
                        self.remote_done = true;
                        self.flag(FIN_ACK);
                    }
                    Some(Ok(STOP_SENDING)) => self.remote_deaf = true,
                    Some(Ok(RESET)) => {
                        self.reset = true;
                        self.readable.clear();
                        self.taken = 0;
                    }
                    // FIN_ACK needs no answer; flags yet to be invented are passed over.
                    _ => {}
                }
            }
            if self.reset || self.remote_done || self.taken < self.readable.len() {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.channel.poll_messages(cx)) {
                Some(messages) => self.arrived.push(messages),
                None => {
                    self.remote_done = true;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncRead for Substream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.taken == this.readable.len() {
            ready!(this.poll_arrived(cx))?;
        }
        if this.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let rest = this.readable.get(this.taken..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        this.taken += count;
        if this.taken == this.readable.len() {
            this.readable.clear();
            this.taken = 0;
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Substream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if this.done || this.remote_deaf {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(this.channel.poll_ready(cx))?;
        let batch = buffer.get(..buffer.len().min(MAX_PAYLOAD * (MAX_BATCH / MAX_MESSAGE))).unwrap_or_default();
        let mut pieces = batch.chunks(MAX_PAYLOAD);
        if let Some(first) = pieces.next() {
            let mut messages = proto::encode(None, Some(first));
            // All but the last are of the same length.
            let size = messages.len();
            for piece in pieces {
                messages.append(&mut proto::encode(None, Some(piece)));
            }
            this.channel.send(messages, size);
        }
        Poll::Ready(Ok(batch.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Every message went to the page when it was written.
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.done {
            this.done = true;
            this.flag(FIN);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Substream {
    fn drop(&mut self) {
        if !self.done && !self.reset {
            self.flag(RESET);
        }
    }
}
