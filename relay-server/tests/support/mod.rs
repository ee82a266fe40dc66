//! A relay on a free port of this machine, a plain HTTP client, and native peers. Every wait has an end.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod peer;

use kith_relay::config::Config;
use kith_relay::{Ended, Relay};
use libp2p::{Multiaddr, PeerId};
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longest that any single step of a test may take; far more than it needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits, but not for ever.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long for: {what}"))
}

/// A relay in this process.
pub struct TestRelay {
    pub addr: SocketAddr,
    pub metrics_addr: Option<SocketAddr>,
    pub tcp_addr: Option<SocketAddr>,
    pub peer: PeerId,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Ended>>,
    _data: tempfile::TempDir,
}

/// The defaults, on a free port, with a data folder of its own.
pub fn config(data: &Path) -> Config {
    Config { listen: "127.0.0.1:0".parse().unwrap(), data: data.into(), ..Config::default() }
}

impl TestRelay {
    /// Starts a relay whose configuration `change` may adapt.
    pub async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = config(data.path());
        change(&mut config);
        let relay = Relay::bind(config).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let (addr, metrics_addr, peer) = (relay.addr(), relay.metrics_addr(), relay.peer_id());
        let tcp_addr = relay.tcp_addr();
        let task = tokio::spawn(relay.run(stopped));
        Self { addr, metrics_addr, tcp_addr, peer, stop: Some(stop), task: Some(task), _data: data }
    }

    /// Asks it to stop, as SIGTERM does.
    pub fn stop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        soon("the relay's end", self.task.take().unwrap()).await.unwrap()
    }

    /// Where browsers dial: `/ip4/127.0.0.1/tcp/PORT/ws/p2p/ID`, as `kith.json` tells.
    pub async fn ws_addr(&self) -> Multiaddr {
        let doc = self.get("/.well-known/kith.json").await.json();
        doc["addrs"][0].as_str().unwrap().parse().unwrap()
    }

    /// A GET with `Host: localhost:PORT` and nothing else.
    pub async fn get(&self, path: &str) -> Reply {
        request(self.addr, "GET", path, &[]).await
    }

    /// One sample of `/metrics` by its whole name, labels included; 0 if it is not there yet.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_default()
    }

    /// Waits until a metric has this value.
    pub async fn metric_becomes(&self, name: &str, value: f64) {
        soon(&format!("{name} = {value}"), async {
            while self.metric(name).await != value {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// One HTTP reply.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of this name (lower case), or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The last part of a problem's type.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        problem["type"].as_str().unwrap().strip_prefix("urn:kith:problem:").unwrap().to_owned()
    }
}

/// One request on a connection of its own.
pub async fn request(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head += &format!("Host: localhost:{}\r\n", addr.port());
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
        head += "Connection: close\r\n";
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    raw(addr, format!("{head}\r\n").as_bytes()).await
}

/// Sends these bytes and reads until the other side closes.
pub async fn raw(addr: SocketAddr, bytes: &[u8]) -> Reply {
    soon("an HTTP reply", async {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got).await;
        parse(&got)
    })
    .await
}

/// Reads one reply's head from a connection that stays open.
pub async fn read_head(stream: &mut TcpStream) -> Reply {
    soon("a reply's head", async {
        let mut got = Vec::new();
        while !got.ends_with(b"\r\n\r\n") {
            got.push(stream.read_u8().await.unwrap());
        }
        parse(&got)
    })
    .await
}

/// Opens a WebSocket by hand and returns the socket after 101.
pub async fn open_websocket(addr: SocketAddr, path: &str) -> Result<TcpStream, Reply> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(upgrade_request(path).as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    if head.status == 101 { Ok(stream) } else { Err(head) }
}

/// A browser's upgrade request.
pub fn upgrade_request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:8787\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

fn parse(bytes: &[u8]) -> Reply {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no reply: {bytes:?}"));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Reply { status, headers, body: bytes[end + 4..].to_vec() }
}
