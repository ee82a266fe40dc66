//! A peer's connection as libp2p gets it, whichever way it came: counted, holding its place, and ending when the place is
//! needed by somebody else.

use crate::limits::Admission;
use crate::metrics::{Held, Metrics};
use crate::stall::StallTimeout;
use crate::websocket::WebSocketBytes;
use futures::future::Either;
use futures::{AsyncRead, AsyncWrite};
use prometheus_client::metrics::counter::Counter;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// A socket that notices a silent reader.
type Socket = StallTimeout<TcpStream>;

/// One peer's bytes.
pub(crate) struct PeerStream {
    bytes: Either<WebSocketBytes<Socket>, Compat<Socket>>,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
    bytes_in: Counter,
    bytes_out: Counter,
    _open: Held,
    _admission: Admission,
}

impl PeerStream {
    /// A WebSocket whose upgrade was answered; `early` is what the client sent right after it.
    pub(crate) async fn websocket(io: Socket, early: Vec<u8>, admission: Admission, metrics: &Metrics) -> Self {
        Self::new(Either::Left(WebSocketBytes::accept(io, early).await), "websocket", admission, metrics)
    }

    /// A plain TCP connection.
    pub(crate) fn tcp(io: Socket, admission: Admission, metrics: &Metrics) -> Self {
        Self::new(Either::Right(io.compat()), "tcp", admission, metrics)
    }

    fn new(
        bytes: Either<WebSocketBytes<Socket>, Compat<Socket>>,
        kind: &'static str,
        admission: Admission,
        metrics: &Metrics,
    ) -> Self {
        Self {
            bytes,
            revoked: Box::pin(admission.revoked().cancelled_owned()),
            bytes_in: metrics.bytes_in.clone(),
            bytes_out: metrics.bytes_out.clone(),
            _open: Held::new(metrics.connections.get_or_create(&kind.into()).clone()),
            _admission: admission,
        }
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.revoked.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "closed to make room for others",
            )));
        }
        let polled = Pin::new(&mut self.bytes).poll_read(cx, buf);
        if let Poll::Ready(Ok(len)) = polled {
            self.bytes_in.inc_by(len as u64);
        }
        polled
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.bytes).poll_write(cx, buf);
        if let Poll::Ready(Ok(len)) = polled {
            self.bytes_out.inc_by(len as u64);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_close(cx)
    }
}
