//! What the relay counts. Names and labels are part of the operator's contract (`docs/guides/operator.md`).

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Media type of [`Metrics::render`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $field:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(crate) struct $name { $field: &'static str }
        impl From<&'static str> for $name {
            fn from($field: &'static str) -> Self { Self { $field } }
        }
    };
}

label!(/** `1xx` … `5xx`. */ Class, class);
label!(/** What became of something. */ Outcome, result);
label!(/** Why something was refused or ended. */ Reason, reason);
label!(/** `http`, `websocket`, `tcp`. */ Kind, kind);

/// All counters and gauges; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    started: Instant,
    pub(crate) http_requests: Family<Class, Counter>,
    pub(crate) connections: Family<Kind, Gauge>,
    pub(crate) refused: Family<Reason, Counter>,
    pub(crate) peers: Gauge,
    pub(crate) reservations: Gauge,
    pub(crate) reservation_requests: Family<Outcome, Counter>,
    pub(crate) circuits: Gauge,
    pub(crate) circuit_requests: Family<Outcome, Counter>,
    pub(crate) circuits_closed: Family<Reason, Counter>,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) draining: Gauge,
    uptime: Gauge,
    memory: Gauge,
    open_files: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut root = Registry::default();
        let started_at: Gauge = Gauge::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        started_at.set(i64::try_from(now).unwrap_or(i64::MAX));
        let (memory, open_files) = (Gauge::default(), Gauge::default());
        root.register_with_unit("process_resident_memory", "Memory of the process", Unit::Bytes, memory.clone());
        root.register("process_open_fds", "Open file descriptors", open_files.clone());
        root.register_with_unit("process_start_time", "Start, as Unix time", Unit::Seconds, started_at);

        let kith = root.sub_registry_with_prefix("kith_relay");
        kith.register("build", "What is running", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        let mut metrics = Self {
            registry: Arc::new(Registry::default()),
            started: Instant::now(),
            http_requests: Family::default(),
            connections: Family::default(),
            refused: Family::default(),
            peers: Gauge::default(),
            reservations: Gauge::default(),
            reservation_requests: Family::default(),
            circuits: Gauge::default(),
            circuit_requests: Family::default(),
            circuits_closed: Family::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            draining: Gauge::default(),
            uptime: Gauge::default(),
            memory,
            open_files,
        };
        let m = &metrics;
        kith.register("http_requests", "Answered HTTP requests by class of status", m.http_requests.clone());
        kith.register("connections", "Open sockets by kind", m.connections.clone());
        kith.register("refused", "Connections, upgrades and requests refused, by reason", m.refused.clone());
        kith.register("peers", "Peers connected", m.peers.clone());
        kith.register("reservations", "Peers holding a reservation", m.reservations.clone());
        kith.register("reservation_requests", "Reservation requests by result", m.reservation_requests.clone());
        kith.register("circuits", "Circuits open", m.circuits.clone());
        kith.register("circuit_requests", "Circuit requests by result", m.circuit_requests.clone());
        kith.register("circuits_closed", "Circuits ended, by reason", m.circuits_closed.clone());
        kith.register_with_unit("peer_in", "Bytes received from peers", Unit::Bytes, m.bytes_in.clone());
        kith.register_with_unit("peer_out", "Bytes sent to peers", Unit::Bytes, m.bytes_out.clone());
        kith.register("draining", "1 while the relay is draining", m.draining.clone());
        kith.register_with_unit("uptime", "Time since the start", Unit::Seconds, m.uptime.clone());
        metrics.registry = Arc::new(root);
        metrics
    }

    /// Seconds since the start.
    pub(crate) fn uptime_seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Everything in OpenMetrics text form.
    pub(crate) fn render(&self) -> String {
        self.uptime.set(i64::try_from(self.uptime_seconds()).unwrap_or(i64::MAX));
        self.memory.set(resident_bytes().unwrap_or_default());
        self.open_files.set(open_files().unwrap_or_default());
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Resident memory, bytes, where the system tells it (Linux).
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}

fn open_files() -> Option<i64> {
    i64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

/// Keeps a gauge one higher while it lives.
#[derive(Debug)]
pub(crate) struct Held(Gauge);

impl Held {
    pub(crate) fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}
