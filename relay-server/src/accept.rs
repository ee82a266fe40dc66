//! Takes connections from a port until the relay closes; shared by all ports.

use crate::shutdown::{Phase, Phases};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Pause after the system refused to accept, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Calls `take` with each connection and where it comes from, until the phase is closing; then the port is free.
pub(crate) async fn each(listener: TcpListener, mut phases: Phases, mut take: impl FnMut(TcpStream, SocketAddr)) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = phases.reached(Phase::Closing) => return,
        };
        match accepted {
            Ok((stream, remote)) => {
                let _ = stream.set_nodelay(true);
                take(stream, SocketAddr::new(remote.ip().to_canonical(), remote.port()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
