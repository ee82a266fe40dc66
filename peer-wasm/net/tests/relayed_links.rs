//! Two peers that know only a relay.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Peer, TestRelay, two};
use kith_net::limits::{LINK_QUEUE_BYTES, MAX_FRAME};
use kith_net::{LinkPath, NetCommand, NetEvent, RelayState};

#[tokio::test]
async fn frames_travel_both_ways_whole_and_in_order() {
    let relay = TestRelay::start(100).await;
    let (mut a, mut b) = two(&relay).await;
    a.dial(&b).await;
    let ((on_a, path), (on_b, _)) = tokio::join!(a.link_up(), b.link_up());
    assert_eq!(path, LinkPath::Relay);
    for size in [1, 100, 70_000, MAX_FRAME] {
        a.send(on_a, vec![size as u8; size]).await;
    }
    b.send(on_b, b"back".to_vec()).await;
    for size in [1, 100, 70_000, MAX_FRAME] {
        let (link, bytes) = b.frame().await;
        assert_eq!(link, on_b);
        assert!(bytes.len() == size && bytes.iter().all(|byte| *byte == size as u8));
    }
    assert_eq!(a.frame().await.1, b"back");
}

#[tokio::test]
async fn sent_bytes_are_told_and_both_dialling_makes_one_link() {
    let relay = TestRelay::start(101).await;
    let (mut a, mut b) = two(&relay).await;
    tokio::join!(a.dial(&b), b.dial(&a));
    let ((on_a, _), (on_b, _)) = tokio::join!(a.link_up(), b.link_up());
    for number in 0..500u16 {
        a.send(on_a, vec![1; usize::from(number) + 1]).await;
        if number % 16 == 15 {
            for _ in 0..16 {
                assert_eq!(b.frame().await.0, on_b, "a second link came up");
            }
        }
    }
    for _ in 0..(500 % 16) {
        b.frame().await;
    }
    let total: usize = (1..=500).sum();
    let mut sent = 0;
    a.until(|event| {
        if let NetEvent::Sent { bytes, .. } = event {
            sent += bytes;
        }
        (sent == total).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_told_in_plain_words() {
    let relay = TestRelay::start(102).await;
    let mut a = Peer::start(1, vec![relay.address.clone()]);
    a.reserved().await;
    let absent = Peer::start(9, vec![]);
    a.dial(&absent).await;
    let why = a.until(|event| if let NetEvent::DialFailed { why, .. } = event { Some(why) } else { None }).await;
    assert!(why.contains("not online now"), "{why}");

    let mut lonely = Peer::start(8, vec![]);
    lonely.dial(&a).await;
    let why = lonely.until(|event| if let NetEvent::DialFailed { why, .. } = event { Some(why) } else { None }).await;
    assert!(why.contains("add a relay"), "{why}");
}

#[tokio::test]
async fn everything_comes_back_by_itself_after_the_relay_restarts() {
    let relay = TestRelay::start(103).await;
    let (mut a, mut b) = two(&relay).await;
    a.dial(&b).await;
    tokio::join!(a.link_up(), b.link_up());
    let listen = relay.stop().await;
    tokio::join!(a.link_down(), b.link_down());
    a.until(|event| matches!(event, NetEvent::Relay { state: RelayState::Failed { .. }, .. }).then_some(())).await;
    let _relay = TestRelay::start_at(103, listen).await;
    let ((on_a, _), _) = tokio::join!(a.link_up(), b.link_up());
    a.send(on_a, b"again".to_vec()).await;
    assert_eq!(b.frame().await.1, b"again");
}

#[tokio::test]
async fn hanging_up_ends_the_link_for_good() {
    let relay = TestRelay::start(104).await;
    let (mut a, mut b) = two(&relay).await;
    a.dial(&b).await;
    let ((on_a, _), _) = tokio::join!(a.link_up(), b.link_up());
    a.ask(NetCommand::HangUp { link: on_a }).await;
    tokio::join!(a.link_down(), b.link_down());
    a.dial(&b).await;
    tokio::join!(a.link_up(), b.link_up());
}

#[tokio::test]
async fn a_queue_that_grows_too_long_ends_the_link_with_a_reason() {
    let relay = TestRelay::start(105).await;
    let (mut a, mut b) = two(&relay).await;
    a.dial(&b).await;
    let ((on_a, _), _) = tokio::join!(a.link_up(), b.link_up());
    // b reads nothing, so what it and the ways between can hold fills up first.
    for _ in 0..(LINK_QUEUE_BYTES / (1 << 20) + 100) {
        a.send(on_a, vec![7; 1 << 20]).await;
    }
    let (link, reason) = a.link_down().await;
    assert_eq!(link, on_a);
    assert!(reason.contains("too slow"), "{reason}");
}

#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let relay = TestRelay::start(106).await;
    let (mut a, mut b) = two(&relay).await;
    a.dial(&b).await;
    let ((on_a, _), _) = tokio::join!(a.link_up(), b.link_up());
    // Far more frames than the event queue holds, before the first is read.
    for number in 0..1000u32 {
        a.send(on_a, number.to_be_bytes().to_vec()).await;
    }
    for number in 0..1000u32 {
        assert_eq!(b.frame().await.1, number.to_be_bytes());
    }
}

#[tokio::test]
async fn frames_too_long_or_empty_end_the_link_at_the_sender() {
    let relay = TestRelay::start(107).await;
    let (mut a, mut b) = two(&relay).await;
    a.dial(&b).await;
    let ((on_a, _), _) = tokio::join!(a.link_up(), b.link_up());
    a.send(on_a, vec![0; MAX_FRAME + 1]).await;
    let (_, reason) = a.link_down().await;
    assert!(reason.contains("longer than allowed"), "{reason}");
}

#[tokio::test]
async fn a_direct_connection_takes_over_and_its_loss_falls_back_to_the_relay() {
    let relay = TestRelay::start(108).await;
    let mut a = Peer::start(1, vec![relay.address.clone()]);
    let mut b = Peer::start_with(2, vec![relay.address.clone()], vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()]);
    let listening = b
        .until(|event| match event {
            NetEvent::Note(text) => {
                text.strip_prefix("listening on ").map(|address| address.parse::<kith_net::Multiaddr>().unwrap())
            }
            _ => None,
        })
        .await;
    tokio::join!(a.reserved(), b.reserved());
    let straight = listening.with_p2p(b.id).unwrap();
    a.ask(NetCommand::Dial { peer: b.key, hints: vec![straight] }).await;
    let ((mut on_a, mut path), _) = tokio::join!(a.link_up(), b.link_up());
    // Both ways are dialled at once; whichever is first, the direct one wins.
    if path == LinkPath::Relay {
        (on_a, path) = a.link_up().await;
    }
    assert_eq!(path, LinkPath::Direct);
    a.send(on_a, b"straight".to_vec()).await;
    assert_eq!(b.frame().await.1, b"straight");
}
