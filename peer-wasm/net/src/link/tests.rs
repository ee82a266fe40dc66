//! Links over in-memory streams, against other links and against raw bytes.

use super::hello::hello;
use super::*;
use crate::limits::{LINK_ACK_EVERY, LINK_WINDOW, MAX_FRAME};
use futures::StreamExt;
use libp2p::core::Endpoint;
use libp2p::core::transport::memory::{Channel, MemoryTransport};
use libp2p::core::transport::{DialOpts, ListenerId, PortUse, Transport, TransportEvent};
use std::pin::Pin;
use std::time::Duration;

type Pipe = Channel<Vec<u8>>;

/// Two ends of an in-memory connection.
async fn pipe() -> (Pipe, Pipe) {
    let mut transport = MemoryTransport::default();
    transport.listen_on(ListenerId::next(), "/memory/0".parse().unwrap()).unwrap();
    let mut dialled = None;
    loop {
        match poll_fn(|cx| Pin::new(&mut transport).poll(cx)).await {
            TransportEvent::NewAddress { listen_addr, .. } => {
                let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::Reuse };
                dialled = Some(tokio::spawn(transport.dial(listen_addr, options).unwrap()));
            }
            TransportEvent::Incoming { upgrade, .. } => {
                return (dialled.take().unwrap().await.unwrap().unwrap(), upgrade.await.unwrap());
            }
            _ => {}
        }
    }
}

struct Running {
    handle: LinkHandle,
    events: mpsc::Receiver<NetEvent>,
    reports: mpsc::UnboundedReceiver<Report>,
}

fn run(stream: Pipe, side: Side, misses: u32, room: usize) -> Running {
    let (events, told) = mpsc::channel(room);
    let (reports, reported) = mpsc::unbounded();
    let link = Link { id: LinkId(1), peer: [1; 32], path: LinkPath::Relay, stream, side, misses, events, reports };
    let (handle, task) = link.start();
    tokio::spawn(task);
    Running { handle, events: told, reports: reported }
}

impl Running {
    async fn event(&mut self) -> NetEvent {
        let next = tokio::time::timeout(Duration::from_secs(20), self.events.next());
        next.await.expect("nothing happened in time").expect("the link's task is gone")
    }

    async fn down(&mut self) -> String {
        loop {
            if let NetEvent::LinkDown { reason, .. } = self.event().await {
                return reason;
            }
        }
    }

    async fn dead(&mut self) -> bool {
        loop {
            if let Report::Ended { dead, .. } = self.reports.next().await.unwrap() {
                return dead;
            }
        }
    }
}

/// An opener against raw bytes, its hello answered already.
async fn against_raw(misses: u32) -> (Running, Pipe) {
    let (ours, mut raw) = pipe().await;
    let mut running = run(ours, Side::Opener { generation: 7 }, misses, 64);
    let mut greeting = [0; 13];
    raw.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting.to_vec(), hello(7));
    raw.write_all(&greeting).await.unwrap();
    raw.flush().await.unwrap();
    assert!(matches!(running.event().await, NetEvent::LinkUp { .. }));
    (running, raw)
}

async fn say(raw: &mut Pipe, bytes: &[u8]) {
    raw.write_all(bytes).await.unwrap();
    raw.flush().await.unwrap();
}

async fn read_word(raw: &mut (impl AsyncRead + Unpin)) -> u32 {
    let mut word = [0; 4];
    raw.read_exact(&mut word).await.unwrap();
    u32::from_be_bytes(word)
}

#[tokio::test]
async fn an_opener_and_an_acceptor_agree_and_exchange_frames() {
    let (left, right) = pipe().await;
    let mut opener = run(left, Side::Opener { generation: 3 }, 4, 64);
    let mut acceptor = run(right, Side::Acceptor, 4, 64);
    let Some(Report::Hello { generation, verdict, .. }) = acceptor.reports.next().await else { panic!("no hello") };
    assert_eq!(generation, 3);
    verdict.send(true).unwrap();
    assert!(matches!(opener.event().await, NetEvent::LinkUp { .. }));
    assert!(matches!(acceptor.event().await, NetEvent::LinkUp { .. }));
    opener.handle.send(vec![5; MAX_FRAME]);
    assert!(matches!(acceptor.event().await, NetEvent::Frame { bytes, .. } if bytes.len() == MAX_FRAME));
    assert!(matches!(opener.event().await, NetEvent::Sent { bytes: MAX_FRAME, .. }));
    acceptor.handle.stop("enough");
    assert_eq!(acceptor.down().await, "enough");
    assert!(opener.down().await.contains("closed the link"));
}

#[tokio::test]
async fn a_refused_opener_learns_why() {
    let (left, right) = pipe().await;
    let mut opener = run(left, Side::Opener { generation: 3 }, 4, 64);
    let mut acceptor = run(right, Side::Acceptor, 4, 64);
    let Some(Report::Hello { verdict, .. }) = acceptor.reports.next().await else { panic!("no hello") };
    verdict.send(false).unwrap();
    assert!(!opener.dead().await, "refused, not silent");
    assert!(opener.events.next().await.is_none(), "it never came up");
}

#[tokio::test]
async fn a_frame_longer_than_allowed_ends_the_link_before_it_is_read() {
    let (mut running, mut raw) = against_raw(4).await;
    say(&mut raw, &(MAX_FRAME as u32 + 1).to_be_bytes()).await;
    assert!(running.down().await.contains("longer than allowed"));
}

#[tokio::test]
async fn taking_what_was_not_sent_breaks_the_protocol() {
    let (mut running, mut raw) = against_raw(4).await;
    say(&mut raw, &(ACK | 1).to_be_bytes()).await;
    assert!(running.down().await.contains("broke the protocol"));
}

#[tokio::test]
async fn something_other_than_a_hello_is_refused() {
    for first in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0, 0, 9, 2, 0, 0, 0, 0, 0, 0, 0, 7],
        &[0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 8],
    ] {
        let (ours, mut raw) = pipe().await;
        let mut running = run(ours, Side::Opener { generation: 7 }, 4, 64);
        say(&mut raw, first).await;
        assert!(!running.dead().await);
        assert!(running.events.next().await.is_none());
    }
}

#[tokio::test]
async fn a_silent_peer_is_given_up_after_the_misses_allowed() {
    let (mut running, _raw) = against_raw(2).await;
    assert!(running.down().await.contains("stopped answering"));
    assert!(running.dead().await);
}

#[tokio::test]
async fn signs_of_life_are_sent_and_suffice() {
    let (mut running, mut raw) = against_raw(2).await;
    for _ in 0..4 {
        assert_eq!(read_word(&mut raw).await, 0);
        say(&mut raw, &[0; 4]).await;
    }
    drop(raw);
    assert!(!running.down().await.contains("stopped answering"));
}

#[tokio::test]
async fn no_more_than_the_window_is_sent_before_it_is_taken() {
    let (mut running, mut raw) = against_raw(100).await;
    let frame = 64 << 10;
    let fit = LINK_WINDOW / (frame + 4);
    for _ in 0..fit + 1 {
        running.handle.send(vec![1; frame]);
    }
    let mut body = vec![0; frame];
    let mut got = 0;
    loop {
        match read_word(&mut raw).await as usize {
            0 if got == fit => break, // time passed and no more came
            0 => {}
            len => {
                raw.read_exact(&mut body[..len]).await.unwrap();
                got += 1;
            }
        }
    }
    say(&mut raw, &(ACK | (frame as u32 + 4)).to_be_bytes()).await;
    while read_word(&mut raw).await == 0 {}
}

#[tokio::test]
async fn frames_are_acknowledged_only_once_the_reader_took_them() {
    let (ours, mut raw) = pipe().await;
    let mut running = run(ours, Side::Opener { generation: 7 }, 100, 1);
    say(&mut raw, &hello(7)).await;
    let mut greeting = [0; 13];
    raw.read_exact(&mut greeting).await.unwrap();
    let len = LINK_ACK_EVERY;
    let (mut raw, mut out) = raw.split();
    tokio::spawn(async move {
        for _ in 0..4 {
            out.write_all(&(len as u32).to_be_bytes()).await.unwrap();
            out.write_all(&vec![1; len]).await.unwrap();
            out.flush().await.unwrap();
        }
    });
    // Nobody reads the events: what fits into their channel is taken, the rest is not.
    let mut acknowledged = 0;
    let mut beats = 0;
    while beats < 2 {
        match read_word(&mut raw).await {
            0 => beats += 1,
            word => acknowledged += word & !ACK,
        }
    }
    assert!(acknowledged < 4 * (len as u32 + 4), "{acknowledged}");
    for _ in 0..5 {
        running.event().await;
    }
    while acknowledged < 4 * (len as u32 + 4) {
        acknowledged += read_word(&mut raw).await & !ACK;
    }
}

#[tokio::test]
async fn empty_frames_are_refused_at_the_sender() {
    let (mut running, _raw) = against_raw(4).await;
    running.handle.send(vec![]);
    assert!(running.down().await.contains("longer than allowed or empty"));
}
