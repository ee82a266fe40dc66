//! Two networks through a relay, upgraded and falling back.

use super::*;
use crate::api::Ask;
use crate::{LinkPath, NetEvent};
use common::{Peer, TestRelay, two};

#[path = "../../../tests/common.rs"]
mod common;

impl Peer {
    async fn attach(&self, carrier: &Carrier) {
        self.net.ask(Ask::Attach(carrier.clone())).await.unwrap();
    }

    async fn link_on(&mut self, wanted: LinkPath) -> crate::LinkId {
        loop {
            let (link, path) = self.link_up().await;
            if path == wanted {
                return link;
            }
        }
    }
}

/// Two peers linked over WebRTC.
async fn upgraded(relay: &TestRelay) -> (Peer, Peer, Shared) {
    let (mut a, mut b) = two(relay).await;
    let pages = Shared::default();
    a.attach(&page(&pages)).await;
    b.attach(&page(&pages)).await;
    a.dial(&b).await;
    tokio::join!(a.link_on(LinkPath::WebRtc), b.link_on(LinkPath::WebRtc));
    (a, b, pages)
}

#[tokio::test]
async fn a_relayed_link_moves_to_webrtc_and_outlives_the_relay() {
    let relay = TestRelay::start(110).await;
    let (mut a, mut b) = two(&relay).await;
    a.dial(&b).await;
    tokio::join!(a.link_on(LinkPath::Relay), b.link_on(LinkPath::Relay));
    let pages = Shared::default();
    a.attach(&page(&pages)).await;
    b.attach(&page(&pages)).await;
    let (on_a, _) = tokio::join!(a.link_on(LinkPath::WebRtc), b.link_on(LinkPath::WebRtc));
    relay.stop().await;
    for size in [1, 20_000, crate::limits::MAX_FRAME] {
        a.send(on_a, vec![3; size]).await;
        assert_eq!(b.frame().await.1.len(), size);
    }
}

#[tokio::test]
async fn a_page_that_goes_leaves_the_link_on_the_relay_and_another_one_brings_webrtc_back() {
    let relay = TestRelay::start(111).await;
    let (mut a, mut b, pages) = upgraded(&relay).await;
    pages.lock().unwrap().carriers[1].hear(FromPage::Bye);
    let (on_a, _) = tokio::join!(a.link_on(LinkPath::Relay), b.link_on(LinkPath::Relay));
    a.send(on_a, b"still here".to_vec()).await;
    assert_eq!(b.frame().await.1, b"still here");
    b.attach(&page(&pages)).await;
    tokio::join!(a.link_on(LinkPath::WebRtc), b.link_on(LinkPath::WebRtc));
}

#[tokio::test]
async fn a_page_that_falls_silent_is_given_up() {
    let relay = TestRelay::start(112).await;
    let (mut a, mut b) = two(&relay).await;
    let pages = Shared::default();
    a.attach(&page(&pages)).await;
    let deaf = Carrier::new(Box::new(|_| {}));
    b.attach(&deaf).await;
    a.dial(&b).await;
    tokio::join!(a.link_on(LinkPath::Relay), b.link_on(LinkPath::Relay));
    let ended = async {
        while deaf.ended().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, ended).await.unwrap();
    b.attach(&page(&pages)).await;
    tokio::join!(a.link_on(LinkPath::WebRtc), b.link_on(LinkPath::WebRtc));
}

#[tokio::test]
async fn no_candidates_are_explained_on_both_sides_and_the_link_stays() {
    let relay = TestRelay::start(113).await;
    let (mut a, mut b) = two(&relay).await;
    let pages = Shared::default();
    pages.lock().unwrap().blocked = true;
    a.attach(&page(&pages)).await;
    b.attach(&page(&pages)).await;
    a.dial(&b).await;
    let (on_a, _) = tokio::join!(a.link_on(LinkPath::Relay), b.link_on(LinkPath::Relay));
    let noted = |event| match event {
        NetEvent::Note(text) if text.contains("could not be made") => Some(text),
        _ => None,
    };
    // The smaller one starts and knows best; the other one is told something too.
    let (one, other) = tokio::join!(a.until(noted), b.until(noted));
    assert!(one.contains("no candidates") || other.contains("no candidates"), "{one} / {other}");
    a.send(on_a, b"by relay".to_vec()).await;
    assert_eq!(b.frame().await.1, b"by relay");
}

#[tokio::test]
async fn detaching_ends_every_direct_connection_at_once() {
    let relay = TestRelay::start(114).await;
    let (mut a, mut b, pages) = upgraded(&relay).await;
    a.net.ask(Ask::Detach).await.unwrap();
    tokio::join!(a.link_on(LinkPath::Relay), b.link_on(LinkPath::Relay));
    assert!(pages.lock().unwrap().carriers[0].ended().is_some());
}
