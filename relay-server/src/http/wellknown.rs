//! `/.well-known/kith.json`: who this relay is and where peers connect. Nothing about it is hard-coded in any page.

use super::reply::{self, Reply};
use super::{Client, Site, policy};
use crate::address;
use hyper::header::{self, HeaderMap};
use hyper::{Request, StatusCode};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// How the client reached us: what it will reach again.
pub(crate) struct Reached(Multiaddr);

impl Reached {
    /// From the `Host` header, or a trusted proxy's `X-Forwarded-Host` and `-Proto`; else from the socket.
    pub(crate) fn of<B>(request: &Request<B>, site: &Site, client: &Client) -> Self {
        let headers = request.headers();
        let proxied = site.is_trusted_proxy(client.remote.ip());
        let secure = proxied && text(headers, "x-forwarded-proto") == Some("https");
        let forwarded = if proxied { text(headers, "x-forwarded-host") } else { None };
        let host = forwarded.or_else(|| text(headers, "host"));
        let named = host.and_then(|host| address::from_host(host, secure));
        Self(named.unwrap_or_else(|| address::websocket(address::dialable(client.local))))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The document. Limits of 0 are unlimited.
pub(crate) fn reply(site: &Site, reached: &Reached) -> Reply {
    let config = &site.config;
    let addrs: Vec<String> = match announced(config) {
        announced if announced.is_empty() => vec![reached.0.clone()],
        announced => announced,
    }
    .into_iter()
    .map(|addr| with_peer(addr, site).to_string())
    .collect();
    let body = serde_json::json!({
        "name": config.name,
        "version": env!("CARGO_PKG_VERSION"),
        "peerId": site.peer.to_string(),
        "addrs": addrs,
        "limits": {
            "reservations": config.relay.max_reservations,
            "reservationSeconds": config.relay.reservation_seconds,
            "circuitsPerPeer": config.relay.max_circuits_per_peer,
            "circuitSeconds": config.relay.max_circuit_seconds,
            "circuitBytes": config.relay.max_circuit_bytes,
            "connectionsPerPeer": config.peers.max_connections_per_peer,
        },
    });
    let mut reply = reply::bytes(StatusCode::OK, "application/json", body.to_string());
    reply::put(&mut reply, header::VARY, "host");
    policy::public(reply.headers_mut());
    reply
}

/// The addresses the operator named: `announce`, else the one of `public_url`.
pub(crate) fn announced(config: &crate::config::Config) -> Vec<Multiaddr> {
    if config.announce.is_empty() {
        address::from_url(&config.public_url).into_iter().collect()
    } else {
        config.announce.clone()
    }
}

fn with_peer(addr: Multiaddr, site: &Site) -> Multiaddr {
    match addr.iter().last() {
        Some(Protocol::P2p(_)) => addr,
        _ => addr.with(Protocol::P2p(site.peer)),
    }
}
