//! One upgraded WebSocket as the byte stream that libp2p speaks over: each write is a binary message, message borders
//! mean nothing to the reader.

use bytes::{Buf, Bytes};
use futures::{AsyncRead, AsyncWrite, Sink, Stream, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Largest message taken from a peer, bytes. libp2p peers send a few hundred kilobytes at most.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Most that one write takes into one message, bytes.
const MAX_WRITE_BYTES: usize = 64 << 10;
/// Buffers of one connection, bytes. Small, since thousands of connections idle.
const READ_BUFFER_BYTES: usize = 8 << 10;
const WRITE_BUFFER_BYTES: usize = 16 << 10;
const MAX_WRITE_BUFFER_BYTES: usize = 1 << 20;

/// A WebSocket as a stream of bytes.
pub(crate) struct WebSocketBytes<S> {
    socket: WebSocketStream<S>,
    unread: Bytes,
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> WebSocketBytes<S> {
    /// Takes over a connection whose upgrade was answered; `early` is what the client sent right after it.
    pub(crate) async fn accept(io: S, early: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let socket = WebSocketStream::from_partially_read(io, early, Role::Server, Some(config)).await;
        Self { socket, unread: Bytes::new() }
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> AsyncRead for WebSocketBytes<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                None | Some(Err(Error::ConnectionClosed)) | Some(Ok(Message::Close(_))) => return Poll::Ready(Ok(0)),
                Some(Ok(Message::Binary(data))) => self.unread = data,
                // The library answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a text message on a libp2p socket",
                    )));
                }
                Some(Err(error)) => return Poll::Ready(Err(to_io(error))),
            }
        }
        let len = self.unread.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), self.unread.get(..len)) {
            to.copy_from_slice(from);
        }
        self.unread.advance(len);
        Poll::Ready(Ok(len))
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> AsyncWrite for WebSocketBytes<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(to_io)?;
        let part = buf.get(..buf.len().min(MAX_WRITE_BYTES)).unwrap_or(buf);
        Pin::new(&mut self.socket).start_send(Message::Binary(Bytes::copy_from_slice(part))).map_err(to_io)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(to_io)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(cx)) {
            Ok(()) | Err(Error::ConnectionClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(to_io(error))),
        }
    }
}

fn to_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::ConnectionAborted.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
