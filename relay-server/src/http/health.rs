//! `/healthz`: is this relay fit for new clients?

use super::reply::{self, Reply};
use super::{Phase, Site};
use hyper::StatusCode;
use hyper::header;

/// 200 while serving, 503 while draining.
pub(crate) fn reply(site: &Site) -> Reply {
    let (status, word) = match site.phases.now() {
        Phase::Serving => (StatusCode::OK, "ok"),
        Phase::Draining | Phase::Closing => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let body = serde_json::json!({
        "status": word,
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": site.metrics.uptime_seconds(),
        "peers": site.metrics.peers.get(),
        "circuits": site.metrics.circuits.get(),
    });
    let mut reply = reply::bytes(status, "application/json", body.to_string());
    reply::put(&mut reply, header::CACHE_CONTROL, "no-store");
    reply
}
