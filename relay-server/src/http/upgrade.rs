//! The WebSocket upgrade (RFC 6455, section 4.2): answered here, carried on by libp2p.

use super::reply::{self, Reply};
use super::{Client, Site};
use crate::address;
use crate::limits::Admission;
use crate::peer_stream::PeerStream;
use crate::stall::StallTimeout;
use crate::transport::Incoming;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming as Body;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Longest time between our answer and the socket being ours.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the request asks for a WebSocket.
pub(crate) fn is_websocket<B>(request: &Request<B>) -> bool {
    has_token(request.headers(), header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

/// 101 and a task that hands the socket to the swarm, or the reason why not.
pub(crate) fn reply(mut request: Request<Body>, site: &Arc<Site>, client: &Arc<Client>, from: IpAddr) -> Reply {
    if !matches!(request.uri().path(), "/" | "/p2p") {
        return reply::not_found(&request);
    }
    let headers = request.headers();
    if *request.method() != Method::GET || !has_token(headers, header::CONNECTION, "upgrade") {
        return reply::bad_upgrade("A WebSocket begins with a GET request whose Connection header says Upgrade.");
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return reply::bad_upgrade("Sec-WebSocket-Version must be 13.");
    }
    let Some(accept) = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .filter(|key| key.len() == 24)
        .map(|key| derive_accept_key(key.as_bytes()))
    else {
        return reply::bad_upgrade("Sec-WebSocket-Key must be 16 bytes in base64.");
    };
    let Ok(accept) = HeaderValue::try_from(accept) else {
        return reply::bad_upgrade("Sec-WebSocket-Key must be 16 bytes in base64.");
    };
    // Behind a trusted proxy the connection itself has no place yet: its client gets one.
    let own = client.take_admission();
    let admission = match own {
        Some(own) => own,
        None => match site.connections.admit(from) {
            Ok(place) => place,
            Err(_) => {
                site.metrics.refused.get_or_create(&"connections".into()).inc();
                return reply::too_many_connections();
            }
        },
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let (site, local) = (site.clone(), client.local);
    let remote = SocketAddr::new(from, client.remote.port());
    tokio::spawn(async move {
        let taken = tokio::time::timeout(HANDOVER_TIMEOUT, take_over(upgrade, admission, &site)).await;
        let Ok(Some(stream)) = taken else { return };
        let _ = site.reached.try_send(address::websocket(SocketAddr::new(local.ip().to_canonical(), local.port())));
        let incoming = Incoming { stream, local: address::websocket(local), remote: address::websocket(remote) };
        if site.upgraded.try_send(incoming).is_err() {
            site.metrics.refused.get_or_create(&"queue".into()).inc();
            tracing::warn!(%remote, "too many peers connect at once; one was dropped");
        }
    });
    switching(accept)
}

fn switching(accept: HeaderValue) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    reply::put(&mut reply, header::UPGRADE, "websocket");
    reply::put(&mut reply, header::CONNECTION, "Upgrade");
    reply.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    reply
}

async fn take_over(upgrade: OnUpgrade, admission: Admission, site: &Site) -> Option<PeerStream> {
    let upgraded: Upgraded = upgrade.await.ok()?;
    let parts = upgraded.downcast::<TokioIo<StallTimeout<TcpStream>>>().ok()?;
    Some(PeerStream::websocket(parts.io.into_inner(), parts.read_buf.into(), admission, &site.metrics).await)
}
