//! Everything an operator can set: the shapes, their defaults, and the rules that hold between them.
//!
//! A value comes from the defaults, then the TOML file, then `KITH_*` variables, then flags; the last one wins. [`load()`]
//! merges them, `relay-server/kith-relay.example.toml` lists every key with its default.

mod load;
mod optional;

pub use load::{ConfigError, Flags, Loaded, load};

use ipnet::IpNet;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The whole configuration of one relay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the one public port (web app, libp2p over WebSocket). Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Folder of what must survive a restart: the identity key.
    pub data: PathBuf,
    /// Folder of web files to serve from disk. Empty: the files built into the binary.
    pub web: PathBuf,
    /// Name shown to people in `/.well-known/kith.json`.
    pub name: String,
    /// Where people reach this relay, e.g. `https://relay.example.org`. Empty: taken from each request.
    pub public_url: String,
    /// Addresses told to peers instead of derived ones, e.g. `/dns4/relay.example.org/tcp/443/tls/ws`.
    pub announce: Vec<Multiaddr>,
    /// Second port for native peers (libp2p over plain TCP), e.g. `0.0.0.0:8788`. Empty: off.
    #[serde(with = "optional")]
    pub tcp_listen: Option<SocketAddr>,
    /// Reverse proxies whose `X-Forwarded-For`, `-Proto` and `-Host` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Seconds that open circuits may go on after SIGTERM.
    pub drain_seconds: u32,
    /// The web face.
    pub http: HttpConfig,
    /// Connections of peers.
    pub peers: PeersConfig,
    /// The circuit relay.
    pub relay: RelayConfig,
    /// Prometheus metrics.
    pub metrics: MetricsConfig,
    /// Logs.
    pub log: LogConfig,
}

/// Limits of the web face and of the port as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Open connections on the public port and the one for native peers, browsers and peers together.
    pub max_connections: usize,
    /// Of those, from one address (one IPv4 address or one IPv6 /64). Also the most one address may hold when full.
    pub max_connections_per_address: usize,
    /// Requests one address may make per minute; short bursts up to this number pass. 0: unlimited.
    pub requests_per_minute: u32,
    /// Seconds to send a complete request head, also the longest idle time between two requests.
    pub header_timeout_seconds: u32,
    /// Seconds without progress after which a client that does not read is cut off.
    pub stall_timeout_seconds: u32,
    /// Further sources that pages may connect to (Content-Security-Policy `connect-src`).
    pub connect_sources: Vec<String>,
}

/// Limits of libp2p connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeersConfig {
    /// Established connections of peers.
    pub max_connections: u32,
    /// Of those, with the same peer id.
    pub max_connections_per_peer: u32,
    /// Connections whose handshake has not ended yet.
    pub max_pending: u32,
    /// Seconds for the handshake (WebSocket is open; noise and yamux follow).
    pub handshake_timeout_seconds: u32,
    /// Seconds after which a connection without reservation, circuit or open stream is closed.
    pub idle_timeout_seconds: u32,
    /// Seconds between two pings; a peer that does not answer one in time is closed.
    pub ping_seconds: u32,
}

/// Limits of the circuit relay. 0 means unlimited in every field that says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// Peers that may hold a reservation at a time. 0: unlimited.
    pub max_reservations: usize,
    /// Reservations one peer may hold over several connections. 0: unlimited.
    pub max_reservations_per_peer: usize,
    /// Seconds a reservation lasts; peers renew it before.
    pub reservation_seconds: u32,
    /// New reservations and renewals per minute and peer. 0: unlimited.
    pub reservations_per_minute_per_peer: u32,
    /// New reservations and renewals per minute and address. 0: unlimited.
    pub reservations_per_minute_per_address: u32,
    /// Circuits open at a time. 0: unlimited.
    pub max_circuits: usize,
    /// Circuits one peer may have open. 0: unlimited.
    pub max_circuits_per_peer: usize,
    /// Seconds after which a circuit is closed. 0: unlimited.
    pub max_circuit_seconds: u32,
    /// Bytes, both directions together, after which a circuit is closed. 0: unlimited.
    pub max_circuit_bytes: u64,
    /// Circuits one peer may ask for per minute. 0: unlimited.
    pub circuits_per_minute_per_peer: u32,
    /// Circuits one address may ask for per minute. 0: unlimited.
    pub circuits_per_minute_per_address: u32,
}

/// Where `/metrics` is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Whether `/metrics` exists at all.
    pub enabled: bool,
    /// Address of its own; empty: the public port.
    #[serde(with = "optional")]
    pub listen: Option<SocketAddr>,
}

/// How logs are written (to standard error).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,kith_relay=debug`.
    pub level: String,
    /// Text for people or one JSON object per line.
    pub format: LogFormat,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
            data: PathBuf::from("kith-data"),
            web: PathBuf::new(),
            name: "Kith relay".into(),
            public_url: String::new(),
            announce: Vec::new(),
            tcp_listen: None,
            trusted_proxies: Vec::new(),
            drain_seconds: 30,
            http: HttpConfig::default(),
            peers: PeersConfig::default(),
            relay: RelayConfig::default(),
            metrics: MetricsConfig { enabled: true, listen: None },
            log: LogConfig { level: "info".into(), format: LogFormat::Text },
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            max_connections: 8192,
            max_connections_per_address: 512,
            requests_per_minute: 6000,
            header_timeout_seconds: 30,
            stall_timeout_seconds: 30,
            connect_sources: Vec::new(),
        }
    }
}

impl Default for PeersConfig {
    fn default() -> Self {
        Self {
            max_connections: 8192,
            max_connections_per_peer: 8,
            max_pending: 256,
            handshake_timeout_seconds: 15,
            idle_timeout_seconds: 120,
            ping_seconds: 20,
        }
    }
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            max_reservations: 4096,
            max_reservations_per_peer: 8,
            reservation_seconds: 3600,
            reservations_per_minute_per_peer: 60,
            reservations_per_minute_per_address: 600,
            max_circuits: 4096,
            max_circuits_per_peer: 128,
            max_circuit_seconds: 86_400,
            max_circuit_bytes: 0,
            circuits_per_minute_per_peer: 120,
            circuits_per_minute_per_address: 1200,
        }
    }
}

impl Config {
    /// Every rule that a single field's type cannot say. The sentences name the key and what to write instead.
    ///
    /// # Errors
    /// The list of broken rules, at least one.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        let mut rule = |holds: bool, sentence: &str| {
            if !holds {
                wrong.push(sentence.to_owned());
            }
        };
        rule(!self.data.as_os_str().is_empty(), "data: name a folder for the relay's identity key");
        rule(!self.name.trim().is_empty() && self.name.len() <= 100, "name: write 1 to 100 bytes");
        rule(
            self.public_url.is_empty() || crate::address::from_url(&self.public_url).is_some(),
            "public_url: write http:// or https://, a host, and a port if it is not the usual one; no path",
        );
        rule(
            self.announce.iter().all(is_reachable_form),
            "announce: each address begins with /ip4, /ip6 or /dns…, then /tcp/PORT; no /p2p-circuit",
        );
        rule(self.tcp_listen.is_none_or(|tcp| tcp.port() == 0 || tcp != self.listen), "tcp_listen: needs its own port");
        rule(
            self.metrics.listen.is_none_or(|own| own.port() == 0 || own != self.listen),
            "metrics.listen: leave empty to use the public port, or name another port",
        );
        rule(self.http.max_connections > 0, "http.max_connections: must be at least 1");
        rule(self.http.max_connections_per_address > 0, "http.max_connections_per_address: must be at least 1");
        rule(self.http.header_timeout_seconds > 0, "http.header_timeout_seconds: must be at least 1");
        rule(self.http.stall_timeout_seconds > 0, "http.stall_timeout_seconds: must be at least 1");
        rule(
            self.http.connect_sources.iter().all(|s| is_csp_source(s)),
            "http.connect_sources: each is one source such as https://other.example, without blanks, commas or semicolons",
        );
        rule(self.peers.max_connections > 0, "peers.max_connections: must be at least 1");
        rule(self.peers.max_connections_per_peer > 0, "peers.max_connections_per_peer: must be at least 1");
        rule(self.peers.max_pending > 0, "peers.max_pending: must be at least 1");
        rule(self.peers.handshake_timeout_seconds > 0, "peers.handshake_timeout_seconds: must be at least 1");
        rule(self.peers.ping_seconds > 0, "peers.ping_seconds: must be at least 1");
        rule(self.relay.reservation_seconds > 0, "relay.reservation_seconds: must be at least 1");
        rule(
            tracing_subscriber::EnvFilter::try_new(&self.log.level).is_ok(),
            "log.level: write error, warn, info, debug, trace, or directives such as info,kith_relay=debug",
        );
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The configuration as TOML, as `--check` prints it.
    ///
    /// # Errors
    /// Only if a path is not text.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string_pretty(self).map_err(|error| ConfigError::Print(error.to_string()))
    }
}

/// Whether an announced address has the form a peer can dial: host, TCP port, and no circuit.
fn is_reachable_form(addr: &Multiaddr) -> bool {
    let mut parts = addr.iter();
    let host = matches!(
        parts.next(),
        Some(Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_))
    );
    host && matches!(parts.next(), Some(Protocol::Tcp(_))) && !parts.any(|part| matches!(part, Protocol::P2pCircuit))
}

fn is_csp_source(source: &str) -> bool {
    !source.is_empty() && source.chars().all(|c| c.is_ascii_graphic() && !matches!(c, ';' | ','))
}
