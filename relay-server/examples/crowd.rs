//! Measures a relay: memory for idle peers that hold a reservation, then bytes per second through circuits.
//!
//! `cargo run --release -p kith-relay --example crowd -- URL [PEERS] [CIRCUITS] [MEGABYTES]`, where URL is the ready line's.
//! Prints one JSON object. Only this machine's relays should be asked to carry this.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::time::Instant;
use support::peer::{Peer, echo_on};
use support::request;

async fn metric(addr: SocketAddr, name: &str) -> f64 {
    let text = request(addr, "GET", "/metrics", &[]).await.text();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()).unwrap_or_default()
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().expect("usage: crowd URL [PEERS] [CIRCUITS] [MEGABYTES]");
    let mut number = |default: usize| args.next().map_or(default, |text| text.parse().expect("a number"));
    let (peers, circuits, megabytes) = (number(200), number(4), number(16));
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let doc = request(addr, "GET", "/.well-known/kith.json", &[]).await.json();
    let relay: libp2p::Multiaddr = doc["addrs"][0].as_str().unwrap().parse().unwrap();

    let before = metric(addr, "process_resident_memory_bytes").await;
    let started = Instant::now();
    let mut crowd = Vec::new();
    for _ in 0..peers {
        let mut peer = Peer::start().await;
        peer.reserve(relay.clone()).await;
        peer.reserved().await;
        crowd.push(peer);
    }
    let reserved = started.elapsed();
    let idle = metric(addr, "process_resident_memory_bytes").await;

    let bytes = vec![7; megabytes << 20];
    let mut streams = Vec::new();
    for pair in crowd.chunks_exact_mut(2).take(circuits) {
        let [alice, bob] = pair else { continue };
        alice.dial_through(relay.clone(), bob.id).await;
        alice.connected(bob.id).await;
        streams.push(alice.open_echo(bob.id).await);
    }
    let started = Instant::now();
    let echoes = streams.into_iter().map(|stream| {
        let bytes = bytes.clone();
        tokio::spawn(async move { echo_on(stream, &bytes).await.unwrap().len() })
    });
    let mut moved = 0;
    for echo in echoes.collect::<Vec<_>>() {
        moved += 2 * echo.await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    let busy = metric(addr, "process_resident_memory_bytes").await;
    let report = serde_json::json!({
        "peers": peers,
        "reservationsPerSecond": (peers as f64 / reserved.as_secs_f64()).round(),
        "bytesPerIdlePeer": ((idle - before) / peers as f64).round(),
        "circuits": circuits,
        "relayedMegabytes": moved >> 20,
        "relayedMegabytesPerSecond": (moved as f64 / seconds / 1_048_576.0).round(),
        "relayMemoryBusy": busy,
    });
    println!("{report}");
}
