//! The second port, for native peers: libp2p over plain TCP, under the same limits as the public port.

use crate::http::Site;
use crate::peer_stream::PeerStream;
use crate::shutdown::Phase;
use crate::stall::StallTimeout;
use crate::transport::Incoming;
use crate::{accept, address};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

/// Accepts until the phase is closing.
pub(crate) async fn serve(listener: TcpListener, site: Arc<Site>) {
    let phases = site.phases.clone();
    accept::each(listener, phases, |stream, remote| {
        if let Err(reason) = take(stream, remote, &site) {
            site.metrics.refused.get_or_create(&reason.into()).inc();
        }
    })
    .await;
}

/// Hands a connection to the swarm, or names the limit that refuses it.
fn take(stream: TcpStream, remote: SocketAddr, site: &Site) -> Result<(), &'static str> {
    if site.phases.now() != Phase::Serving {
        return Err("draining");
    }
    let local = stream.local_addr().map_err(|_| "connections")?;
    let admission = site.connections.admit(remote.ip()).map_err(|_| "connections")?;
    site.take_request(remote.ip()).map_err(|_| "requests")?;
    let local = address::tcp(local);
    let _ = site.reached.try_send(local.clone());
    let stream = PeerStream::tcp(StallTimeout::new(stream, site.stall_timeout()), admission, &site.metrics);
    site.upgraded.try_send(Incoming { stream, local, remote: address::tcp(remote) }).map_err(|_| "queue")
}
