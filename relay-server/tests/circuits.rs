//! Peers meet through the relay, within its limits.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use futures::{AsyncReadExt, AsyncWriteExt};
use kith_relay::Ended;
use kith_relay::config::Config;
use libp2p::Multiaddr;
use support::peer::{Peer, Seen, echo_on};
use support::{TestRelay, open_websocket, soon};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A relay, a peer that can be reached through it, and one that reached it.
struct World {
    relay: TestRelay,
    addr: Multiaddr,
    alice: Peer,
    bob: Peer,
}

impl World {
    /// Bob holds a reservation; Alice is not connected yet.
    async fn reserved(change: impl FnOnce(&mut Config)) -> Self {
        let relay = TestRelay::start(change).await;
        let addr = relay.ws_addr().await;
        let (alice, mut bob) = (Peer::start().await, Peer::start().await);
        bob.reserve(addr.clone()).await;
        bob.reserved().await;
        Self { relay, addr, alice, bob }
    }

    /// A circuit from Alice to Bob is open.
    async fn linked(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::reserved(change).await;
        world.alice.dial_through(world.addr.clone(), world.bob.id).await;
        world.alice.connected(world.bob.id).await;
        world
    }
}

#[tokio::test]
async fn megabytes_pass_through_a_circuit_both_ways() {
    let mut world = World::linked(|_| {}).await;
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
    world.alice.echo(world.bob.id, &bytes).await;
    world.bob.echo(world.alice.id, &bytes).await;

    let relay = &world.relay;
    assert_eq!(relay.metric("kith_relay_circuits").await, 1.0);
    assert_eq!(relay.metric("kith_relay_reservations").await, 1.0);
    assert_eq!(relay.metric("kith_relay_peers").await, 2.0);
    assert_eq!(relay.metric("kith_relay_connections{kind=\"websocket\"}").await, 2.0);
    assert_eq!(relay.metric("kith_relay_circuit_requests_total{result=\"accepted\"}").await, 1.0);
    assert!(relay.metric("kith_relay_peer_in_bytes_total").await > 12_000_000.0);
    assert!(relay.metric("kith_relay_peer_out_bytes_total").await > 12_000_000.0);
    drop(world.alice);
    world.relay.metric_becomes("kith_relay_circuits", 0.0).await;
    drop(world.bob);
    world.relay.metric_becomes("kith_relay_reservations", 0.0).await;
    world.relay.metric_becomes("kith_relay_connections{kind=\"websocket\"}", 0.0).await;
}

#[tokio::test]
async fn unlimited_means_unlimited() {
    let mut world = World::linked(|config| {
        config.http.requests_per_minute = 0;
        config.relay = kith_relay::config::RelayConfig {
            max_reservations: 0,
            max_reservations_per_peer: 0,
            reservation_seconds: u32::MAX,
            reservations_per_minute_per_peer: 0,
            reservations_per_minute_per_address: 0,
            max_circuits: 0,
            max_circuits_per_peer: 0,
            max_circuit_seconds: 0,
            max_circuit_bytes: 0,
            circuits_per_minute_per_peer: 0,
            circuits_per_minute_per_address: 0,
        };
    })
    .await;
    world.alice.echo(world.bob.id, &vec![1; 2_000_000]).await;
    assert_eq!(world.relay.metric("kith_relay_circuits").await, 1.0);
}

#[tokio::test]
async fn a_reservation_tells_the_address_others_dial() {
    let relay = TestRelay::start(|_| {}).await;
    let addr = relay.ws_addr().await;
    let mut peer = Peer::start().await;
    peer.reserve(addr.clone()).await;
    let at = peer.until("a listen address", |seen| if let Seen::Listening(at) = seen { Some(at) } else { None }).await;
    assert_eq!(at.to_string(), format!("{addr}/p2p-circuit/p2p/{}", peer.id));
}

#[tokio::test]
async fn an_announced_address_replaces_the_derived_one_everywhere() {
    let announced: Multiaddr = "/dns4/relay.example.org/tcp/443/tls/ws".parse().unwrap();
    let relay = TestRelay::start(|config| config.announce = vec![announced.clone()]).await;
    assert_eq!(relay.ws_addr().await.to_string(), format!("{announced}/p2p/{}", relay.peer));
    let dialled: Multiaddr = format!("/ip4/127.0.0.1/tcp/{}/ws/p2p/{}", relay.addr.port(), relay.peer).parse().unwrap();
    let mut peer = Peer::start().await;
    peer.reserve(dialled).await;
    let at = peer.until("a listen address", |seen| if let Seen::Listening(at) = seen { Some(at) } else { None }).await;
    assert!(at.to_string().starts_with(&announced.to_string()), "{at}");
}

#[tokio::test]
async fn the_relay_sees_and_tells_a_peers_real_address() {
    let relay = TestRelay::start(|_| {}).await;
    let mut peer = Peer::start().await;
    peer.dial(relay.ws_addr().await).await;
    let info = peer.until("identify", |seen| if let Seen::Identified(info) = seen { Some(info) } else { None }).await;
    assert_eq!(info.agent_version, format!("kith-relay/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(info.protocol_version, "kith/1");
    assert!(info.observed_addr.to_string().starts_with("/ip4/127.0.0.1/tcp/"), "{}", info.observed_addr);
    assert!(info.protocols.iter().any(|name| name.as_ref() == "/libp2p/circuit/relay/0.2.0/hop"));
}

#[tokio::test]
async fn native_peers_connect_over_the_tcp_port() {
    let relay = TestRelay::start(|config| config.tcp_listen = Some("127.0.0.1:0".parse().unwrap())).await;
    let port = relay.tcp_addr.unwrap().port();
    let addr: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", relay.peer).parse().unwrap();
    let (mut alice, mut bob) = (Peer::start().await, Peer::start().await);
    bob.reserve(relay.ws_addr().await).await;
    bob.reserved().await;
    alice.dial_through(addr, bob.id).await;
    alice.connected(bob.id).await;
    alice.echo(bob.id, b"from tcp to websocket").await;
    assert_eq!(relay.metric("kith_relay_connections{kind=\"tcp\"}").await, 1.0);
}

#[tokio::test]
async fn the_tcp_port_has_the_limits_of_the_public_one() {
    let relay = TestRelay::start(|config| {
        config.tcp_listen = Some("127.0.0.1:0".parse().unwrap());
        config.http.max_connections_per_address = 2;
    })
    .await;
    let _held = [open_websocket(relay.addr, "/").await.unwrap(), open_websocket(relay.addr, "/").await.unwrap()];
    let mut third = tokio::net::TcpStream::connect(relay.tcp_addr.unwrap()).await.unwrap();
    let mut got = Vec::new();
    soon("the refusal", third.read_to_end(&mut got)).await.ok();
    assert!(got.is_empty());
}

#[tokio::test]
async fn a_peer_without_reservation_cannot_be_reached() {
    let mut world = World::reserved(|_| {}).await;
    let stranger = Peer::start().await;
    world.alice.dial_through(world.addr.clone(), stranger.id).await;
    assert!(world.alice.refused().await.contains("NoReservation"));
    world.relay.metric_becomes("kith_relay_circuit_requests_total{result=\"denied_no_reservation\"}", 1.0).await;
}

#[tokio::test]
async fn a_full_relay_denies_newcomers_a_reservation_by_name() {
    let mut world = World::reserved(|config| config.relay.max_reservations = 1).await;
    world.alice.reserve(world.addr.clone()).await;
    let why = world.alice.refused().await;
    assert!(why.contains("ResourceLimitExceeded"), "{why}");
    world.relay.metric_becomes("kith_relay_reservation_requests_total{result=\"denied_limit\"}", 1.0).await;
    drop(world.bob);
    world.relay.metric_becomes("kith_relay_reservations", 0.0).await;
    world.alice.reserve(world.addr.clone()).await;
    world.alice.reserved().await;
}

#[tokio::test]
async fn a_holder_renews_its_reservation_even_when_the_relay_is_full() {
    // The client renews when three quarters of the time are over.
    let mut world = World::reserved(|config| {
        config.relay.max_reservations = 1;
        config.relay.reservation_seconds = 8;
    })
    .await;
    world.bob.reserved().await;
    assert_eq!(world.relay.metric("kith_relay_reservation_requests_total{result=\"renewed\"}").await, 1.0);
}

#[tokio::test]
async fn circuits_beyond_a_peers_share_are_denied_by_name() {
    let mut world = World::linked(|config| config.relay.max_circuits_per_peer = 1).await;
    let mut carol = Peer::start().await;
    carol.reserve(world.addr.clone()).await;
    carol.reserved().await;
    world.alice.dial_through(world.addr.clone(), carol.id).await;
    let why = world.alice.refused().await;
    assert!(why.contains("ResourceLimitExceeded"), "{why}");
}

#[tokio::test]
async fn circuit_requests_beyond_the_rate_are_denied() {
    let mut world = World::linked(|config| config.relay.circuits_per_minute_per_peer = 1).await;
    world.alice.dial_through(world.addr.clone(), world.bob.id).await;
    let why = world.alice.refused().await;
    assert!(why.contains("ResourceLimitExceeded"), "{why}");
}

#[tokio::test]
async fn a_circuit_over_its_bytes_is_closed_and_the_relay_stays() {
    let mut world = World::linked(|config| config.relay.max_circuit_bytes = 200_000).await;
    let stream = world.alice.open_echo(world.bob.id).await;
    assert!(soon("the cut", echo_on(stream, &vec![7; 1_000_000])).await.is_err());
    world.alice.closed(world.bob.id).await;
    world.relay.metric_becomes("kith_relay_circuits_closed_total{reason=\"byte_limit\"}", 1.0).await;
    world.alice.dial_through(world.addr.clone(), world.bob.id).await;
    world.alice.connected(world.bob.id).await;
}

#[tokio::test]
async fn a_circuit_over_its_time_is_closed() {
    let mut world = World::linked(|config| config.relay.max_circuit_seconds = 1).await;
    world.alice.closed(world.bob.id).await;
    world.relay.metric_becomes("kith_relay_circuits_closed_total{reason=\"duration_limit\"}", 1.0).await;
}

#[tokio::test]
async fn one_peer_gets_no_more_connections_than_its_share() {
    let relay = TestRelay::start(|config| config.peers.max_connections_per_peer = 1).await;
    let addr = relay.ws_addr().await;
    let mut peer = Peer::start().await;
    peer.dial(addr.clone()).await;
    peer.connected(relay.peer).await;
    peer.dial(addr).await;
    relay.metric_becomes("kith_relay_refused_total{reason=\"handshake\"}", 1.0).await;
    assert_eq!(relay.metric("kith_relay_peers").await, 1.0);
}

#[tokio::test]
async fn a_websocket_that_never_shakes_hands_is_closed() {
    let relay = TestRelay::start(|config| config.peers.handshake_timeout_seconds = 1).await;
    let mut silent = open_websocket(relay.addr, "/").await.unwrap();
    let mut got = Vec::new();
    soon("the close", silent.read_to_end(&mut got)).await.ok();
    relay.metric_becomes("kith_relay_connections{kind=\"websocket\"}", 0.0).await;
    relay.metric_becomes("kith_relay_refused_total{reason=\"handshake\"}", 1.0).await;
}

#[tokio::test]
async fn garbage_on_a_websocket_closes_it_and_nothing_else() {
    let mut world = World::linked(|_| {}).await;
    // Unmasked, text, oversized, and a masked binary frame that is no libp2p.
    let frames: [&[u8]; 4] = [
        b"\x82\x01x",
        b"\x81\x81\0\0\0\0x",
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
        b"\x82\x84\0\0\0\0junk",
    ];
    for frame in frames {
        let mut socket = open_websocket(world.relay.addr, "/p2p").await.unwrap();
        socket.write_all(frame).await.unwrap();
        let mut got = Vec::new();
        socket.shutdown().await.unwrap();
        soon("the close", socket.read_to_end(&mut got)).await.ok();
    }
    world.relay.metric_becomes("kith_relay_connections{kind=\"websocket\"}", 2.0).await;
    world.alice.echo(world.bob.id, b"still here").await;
}

#[tokio::test]
async fn draining_lets_an_open_circuit_go_on_and_takes_nothing_new() {
    let mut world = World::linked(|_| {}).await;
    let mut stream = world.alice.open_echo(world.bob.id).await;
    world.relay.stop();
    soon("draining", async {
        while world.relay.get("/healthz").await.status != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(world.relay.get("/healthz").await.json()["status"], "draining");
    assert_eq!(world.relay.get("/").await.problem(), "draining");
    assert_eq!(open_websocket(world.relay.addr, "/").await.unwrap_err().status, 503);
    assert_eq!(world.relay.metric("kith_relay_draining").await, 1.0);

    stream.write_all(b"on and on").await.unwrap();
    let mut back = [0; 9];
    soon("the echo", stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"on and on");

    let mut carol = Peer::start().await;
    world.bob.dial_through(world.addr.clone(), world.alice.id).await;
    world.bob.refused().await;
    carol.reserve(world.addr.clone()).await;
    carol.refused().await;

    world.alice.hang_up(world.bob.id).await;
    assert_eq!(world.relay.ended().await, Ended::Drained);
    world.bob.closed(world.alice.id).await;
}

#[tokio::test]
async fn a_drain_that_takes_too_long_cuts_what_is_left() {
    let mut world = World::linked(|config| config.drain_seconds = 1).await;
    world.relay.stop();
    assert_eq!(world.relay.ended().await, Ended::Cut(1));
    world.alice.closed(world.bob.id).await;
}

#[tokio::test]
async fn a_restarted_relay_is_the_same_relay() {
    let data = tempfile::tempdir().unwrap();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut relay = TestRelay::start(|config| config.data = data.path().into()).await;
        peers.push(relay.peer);
        relay.stop();
        assert_eq!(relay.ended().await, Ended::Drained);
    }
    assert_eq!(peers[0], peers[1]);
}
