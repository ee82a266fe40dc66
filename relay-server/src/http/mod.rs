//! The web face of the one public port: accepts, limits, routes, and hands WebSocket upgrades over to libp2p.

mod files;
mod health;
mod policy;
mod reply;
mod upgrade;
mod wellknown;

pub use files::WebError;
pub(crate) use files::WebFiles;
pub(crate) use wellknown::announced;

use crate::accept;
use crate::address::client_block;
use crate::config::Config;
use crate::limits::{Admission, Connections, Rate, lock};
use crate::metrics::{Held, Metrics};
use crate::peer_stream::PeerStream;
use crate::shutdown::{Phase, Phases};
use crate::stall::StallTimeout;
use crate::transport::Incoming;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming as Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use libp2p::{Multiaddr, PeerId};
use reply::Reply;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Largest request head, bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Header lines of a request.
const MAX_HEADERS: usize = 64;
/// Largest request body that is read (and thrown away: nothing here takes one), bytes.
const MAX_BODY_BYTES: usize = 64 << 10;
/// Longest time for such a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time to finish sending when the relay closes.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What every request may need.
pub(crate) struct Site {
    pub(crate) config: Config,
    pub(crate) peer: PeerId,
    pub(crate) files: WebFiles,
    pub(crate) metrics: Metrics,
    pub(crate) phases: Phases,
    pub(crate) connections: Connections,
    pub(crate) requests: Mutex<Rate<IpAddr>>,
    /// Upgraded connections go here.
    pub(crate) upgraded: mpsc::Sender<Incoming<PeerStream>>,
    /// Addresses that clients reached go here.
    pub(crate) reached: mpsc::Sender<Multiaddr>,
}

/// One accepted connection, shared by its requests.
struct Client {
    local: SocketAddr,
    remote: SocketAddr,
    /// The connection's place, until an upgrade takes it along.
    admission: Mutex<Option<Admission>>,
    open: Mutex<Option<Held>>,
}

/// Which paths a listener answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// The public port.
    Public,
    /// The address of its own for `/metrics` (and `/healthz`).
    Metrics,
}

/// Accepts until the phase is closing; each connection is a task that ends with it.
pub(crate) async fn serve(listener: TcpListener, face: Face, site: Arc<Site>) {
    let tasks = TaskTracker::new();
    accept::each(listener, site.phases.clone(), |stream, remote| match admit(&site, face, remote.ip()) {
        Ok(admission) => {
            tasks.spawn(connection(stream, remote, face, admission, site.clone()));
        }
        Err(reason) => {
            site.metrics.refused.get_or_create(&"connections".into()).inc();
            tracing::debug!(%remote, %reason, "connection refused");
        }
    })
    .await;
    tasks.close();
    tasks.wait().await;
}

/// A trusted proxy's own connections are not counted: its clients' are, at the upgrade.
fn admit(site: &Site, face: Face, ip: IpAddr) -> Result<Option<Admission>, crate::limits::Refused> {
    if face == Face::Metrics || site.is_trusted_proxy(ip) {
        return Ok(None);
    }
    site.connections.admit(ip).map(Some)
}

async fn connection(stream: TcpStream, remote: SocketAddr, face: Face, admission: Option<Admission>, site: Arc<Site>) {
    let Ok(local) = stream.local_addr() else { return };
    let revoked = admission.as_ref().map(Admission::revoked).unwrap_or_default();
    let client = Arc::new(Client {
        local,
        remote,
        admission: Mutex::new(admission),
        open: Mutex::new(Some(Held::new(site.metrics.connections.get_or_create(&"http".into()).clone()))),
    });
    let io = TokioIo::new(StallTimeout::new(stream, site.stall_timeout()));
    let mut closing = site.phases.clone();
    let header_timeout = Duration::from_secs(site.config.http.header_timeout_seconds.into());
    let service = service_fn(move |request: Request<Body>| {
        let (site, client) = (site.clone(), client.clone());
        async move {
            let reply = answer(request, face, &site, &client).await;
            let class = match reply.status().as_u16() / 100 {
                1 => "1xx",
                2 => "2xx",
                3 => "3xx",
                4 => "4xx",
                _ => "5xx",
            };
            site.metrics.http_requests.get_or_create(&class.into()).inc();
            Ok::<_, Infallible>(reply)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(io, service)
        .with_upgrades();
    tokio::pin!(serving);
    tokio::select! {
        result = serving.as_mut() => {
            if let Err(error) = result {
                tracing::debug!(%remote, %error, "connection ended");
            }
        }
        () = revoked.cancelled() => {}
        () = closing.reached(Phase::Closing) => {
            serving.as_mut().graceful_shutdown();
            // What is still being sent may go on for a moment; the stall timeout bounds it, and so does the process' end.
            let _ = tokio::time::timeout(LAST_WORDS, serving).await;
        }
    }
}

/// Routes one request.
async fn answer(mut request: Request<Body>, face: Face, site: &Arc<Site>, client: &Arc<Client>) -> Reply {
    let from = site.client_address(&request, client);
    let path = request.uri().path().to_owned();
    let waited = match face {
        Face::Public => site.take_request(from),
        Face::Metrics => Ok(()),
    };
    if let Err(wait) = waited {
        site.metrics.refused.get_or_create(&"requests".into()).inc();
        return reply::too_many_requests(wait);
    }
    if !drain_body(&mut request).await {
        return reply::body_too_large();
    }
    let has_metrics = site.config.metrics.enabled && (face == Face::Metrics || site.config.metrics.listen.is_none());
    match path.as_str() {
        "/healthz" => return reply::only_reads(request.method(), || health::reply(site)),
        "/metrics" if has_metrics => {
            return reply::only_reads(request.method(), || {
                reply::bytes(StatusCode::OK, crate::metrics::CONTENT_TYPE, site.metrics.render())
            });
        }
        _ if face == Face::Metrics => return reply::not_found(&request),
        _ => {}
    }
    if site.phases.now() != Phase::Serving {
        return reply::draining();
    }
    if upgrade::is_websocket(&request) {
        return upgrade::reply(request, site, client, from);
    }
    match path.as_str() {
        "/.well-known/kith.json" => {
            let host = wellknown::Reached::of(&request, site, client);
            reply::only_reads(request.method(), || wellknown::reply(site, &host))
        }
        path if path == "/~" || path.starts_with("/~/") => reply::not_controlled(),
        "/p2p" => reply::upgrade_required(),
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => reply::method_not_allowed(request.method()),
        _ => site.files.reply(&request).await,
    }
}

/// Reads a body nobody asked for, so that the client hears the answer instead of a reset. `false`: it is too large.
async fn drain_body(request: &mut Request<Body>) -> bool {
    if hyper::body::Body::is_end_stream(request.body()) {
        return true;
    }
    let body = Limited::new(request.body_mut(), MAX_BODY_BYTES);
    matches!(tokio::time::timeout(BODY_TIMEOUT, body.collect()).await, Ok(Ok(_)))
}

impl Site {
    /// Counts a request (or a native peer's connection) against its address' rate; `Err` tells how long to wait.
    pub(crate) fn take_request(&self, from: IpAddr) -> Result<(), Duration> {
        lock(&self.requests).take(client_block(from), Instant::now())
    }

    /// Longest time a client may not read.
    pub(crate) fn stall_timeout(&self) -> Duration {
        Duration::from_secs(self.config.http.stall_timeout_seconds.into())
    }

    fn is_trusted_proxy(&self, ip: IpAddr) -> bool {
        self.config.trusted_proxies.iter().any(|net| net.contains(&ip))
    }

    /// Who asks: the socket's other end, or what a trusted proxy says. Of several forwarded addresses the last one that
    /// is not itself a trusted proxy counts, since earlier ones can be made up by the client.
    fn client_address<B>(&self, request: &Request<B>, client: &Client) -> IpAddr {
        let socket = client.remote.ip();
        if !self.is_trusted_proxy(socket) {
            return socket;
        }
        let forwarded = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let addresses: Vec<IpAddr> =
            forwarded.flat_map(|line| line.split(',')).filter_map(|part| part.trim().parse().ok()).collect();
        addresses.into_iter().rev().find(|ip| !self.is_trusted_proxy(*ip)).unwrap_or(socket)
    }
}

impl Client {
    /// Takes the connection's place along into an upgrade.
    fn take_admission(&self) -> Option<Admission> {
        lock(&self.open).take();
        lock(&self.admission).take()
    }
}
