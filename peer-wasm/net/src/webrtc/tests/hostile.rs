//! Pages and peers that do not keep to the rules.

use super::super::channel::MessageChannel;
use super::super::connection::Connection;
use super::super::proto;
use super::super::session::{UpgradeError, initiate, respond};
use super::super::signal::Signal;
use super::super::substream::Substream;
use super::*;
use crate::limits::{
    CARRIER_MISSES, CHANNEL_CREDIT, CHANNEL_UNREAD, MAX_BATCH, MAX_CHANNELS, MAX_MESSAGE, MAX_PEER_CONNECTIONS, MAX_SDP,
};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use libp2p::core::muxing::StreamMuxerExt;

/// A carrier whose orders are only written down.
fn written_down() -> (Carrier, Arc<Mutex<Vec<ToPage>>>) {
    let orders = Arc::new(Mutex::new(Vec::new()));
    let written = orders.clone();
    (Carrier::new(Box::new(move |order| written.lock().unwrap().push(order))), orders)
}

fn open(carrier: &Carrier) -> Connection {
    Connection::reserve(carrier).unwrap()
}

fn stream(carrier: &Carrier, connection: &Connection) -> Substream {
    Substream::new(MessageChannel::open(carrier, connection.pc()).unwrap())
}

fn say(carrier: &Carrier, channel: u32, bytes: Vec<u8>) {
    carrier.hear(FromPage::Data { pc: 1, channel, bytes });
}

#[test]
fn peer_connections_are_limited_and_free_their_place() {
    let (carrier, orders) = written_down();
    let mut held: Vec<_> = (0..MAX_PEER_CONNECTIONS).map(|_| open(&carrier)).collect();
    assert!(Connection::reserve(&carrier).is_none());
    held.pop();
    assert!(matches!(orders.lock().unwrap().last(), Some(ToPage::Close { .. })));
    assert!(Connection::reserve(&carrier).is_some());
}

#[tokio::test]
async fn channels_are_limited_and_wrong_names_refused() {
    let (carrier, orders) = written_down();
    let mut connection = open(&carrier);
    for channel in [2, 1, 1] {
        carrier.hear(FromPage::Channel { pc: 1, channel });
    }
    let refused = orders.lock().unwrap().iter().filter(|order| matches!(order, ToPage::CloseChannel { .. })).count();
    assert_eq!(refused, 2, "an even name and one taken already");
    for channel in 1..200 {
        carrier.hear(FromPage::Channel { pc: 1, channel: channel * 2 + 1 });
    }
    let mut taken = Vec::new();
    while let Some(arrived) = connection.next_inbound().now_or_never() {
        taken.push(arrived.unwrap());
    }
    assert_eq!(taken.len(), MAX_CHANNELS);
    assert!(MessageChannel::open(&carrier, 1).is_err());
    carrier.hear(FromPage::Channel { pc: 99, channel: 1 });
}

trait NextInbound {
    async fn next_inbound(&mut self) -> std::io::Result<Substream>;
}

impl NextInbound for Connection {
    async fn next_inbound(&mut self) -> std::io::Result<Substream> {
        futures::future::poll_fn(|cx| self.poll_inbound_unpin(cx)).await
    }
}

#[tokio::test]
async fn more_than_can_be_held_unread_ends_the_channel_only() {
    let (carrier, _) = written_down();
    let connection = open(&carrier);
    let (mut flooded, mut other) = (stream(&carrier, &connection), stream(&carrier, &connection));
    let message = proto::encode(None, Some(&[1; 8000]));
    for _ in 0..(CHANNEL_UNREAD / message.len() + 2) {
        say(&carrier, 0, message.clone());
    }
    say(&carrier, 2, proto::encode(None, Some(b"fine")));
    let mut all = Vec::new();
    flooded.read_to_end(&mut all).await.unwrap();
    assert!(all.len() < CHANNEL_UNREAD);
    let mut fine = [0; 4];
    other.read_exact(&mut fine).await.unwrap();
    assert_eq!(&fine, b"fine");
}

#[tokio::test]
async fn malformed_and_overlong_messages_end_the_stream() {
    let (carrier, _) = written_down();
    let connection = open(&carrier);
    let mut buffer = [0; 10];
    for bad in [vec![2, 0x0b, 0], vec![0xff; 12], vec![3, 0x12, 9, 1]] {
        let mut stream = stream(&carrier, &connection);
        let channel = carrier.lock().pcs[&1].next_channel - 2;
        say(&carrier, channel, bad);
        assert!(stream.read(&mut buffer).await.is_err());
    }
    let mut stream = stream(&carrier, &connection);
    let channel = carrier.lock().pcs[&1].next_channel - 2;
    say(&carrier, channel, vec![0; MAX_BATCH + 1]);
    assert_eq!(stream.read(&mut buffer).await.unwrap(), 0, "closed");
}

#[tokio::test]
async fn writers_wait_for_the_page_and_wake_when_it_goes() {
    let (carrier, orders) = written_down();
    let connection = open(&carrier);
    let mut stream = stream(&carrier, &connection);
    let mut wrote = 0;
    while let Some(done) = stream.write(&[0; 16_000]).now_or_never() {
        wrote += done.unwrap();
    }
    assert!((CHANNEL_CREDIT - MAX_BATCH..=CHANNEL_CREDIT + MAX_BATCH).contains(&wrote), "{wrote}");
    carrier.hear(FromPage::Taken { pc: 1, channel: 0, bytes: 1 << 30 });
    assert!(stream.write(&[0; 10]).now_or_never().is_some());
    let longest =
        orders.lock().unwrap().iter().map(|order| if let ToPage::Data { size, .. } = order { *size } else { 0 }).max();
    assert!(longest.unwrap() <= MAX_MESSAGE);
    while stream.write(&[0; 16_000]).now_or_never().is_some() {}
    let waiting = tokio::spawn(async move { stream.write(&[0; 10]).await });
    tokio::task::yield_now().await;
    carrier.end("gone");
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn ends_are_acknowledged_and_drops_are_resets() {
    let (carrier, orders) = written_down();
    let connection = open(&carrier);
    let mut closed = stream(&carrier, &connection);
    say(&carrier, 0, proto::encode(Some(0), Some(b"last")));
    let mut all = Vec::new();
    closed.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"last");
    closed.close().await.unwrap();
    drop(closed);
    drop(stream(&carrier, &connection));
    let data: Vec<_> = orders
        .lock()
        .unwrap()
        .iter()
        .filter_map(|order| if let ToPage::Data { bytes, .. } = order { Some(bytes.clone()) } else { None })
        .collect();
    assert_eq!(data, [proto::encode(Some(3), None), proto::encode(Some(0), None), proto::encode(Some(2), None)]);
}

#[test]
fn a_silent_page_is_given_up_and_an_answer_keeps_it() {
    let (carrier, _) = written_down();
    for _ in 0..10 {
        assert!(carrier.beat());
        carrier.hear(FromPage::Alive);
    }
    let beats = (0..10).take_while(|_| carrier.beat()).count() as u32;
    assert_eq!(beats, CARRIER_MISSES);
    assert!(!carrier.has_room());
}

/// Runs one side of the set-up against raw signalling; `page` says what its browser answers.
async fn against_raw(initiator: bool, raw: Vec<Vec<u8>>, page: impl Fn(&Carrier)) -> UpgradeError {
    let (carrier, _) = written_down();
    let wire = futures::io::Cursor::new(raw.concat());
    let stream = Duplex { read: wire, write: Vec::new() };
    let side = async {
        let outcome =
            if initiator { initiate(carrier.clone(), stream).await } else { respond(carrier.clone(), stream).await };
        outcome.err().expect("it must not work")
    };
    let (error, ()) = futures::join!(side, async {
        tokio::task::yield_now().await;
        page(&carrier);
    });
    assert!(carrier.lock().pcs.is_empty(), "nothing is left behind");
    error
}

/// What was said, and what is answered.
struct Duplex {
    read: futures::io::Cursor<Vec<u8>>,
    write: Vec<u8>,
}

impl futures::AsyncRead for Duplex {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut [u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.read).poll_read(cx, buffer)
    }
}

impl futures::AsyncWrite for Duplex {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.write).poll_write(cx, buffer)
    }
    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
    fn poll_close(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

fn wire(signal: &Signal) -> Vec<u8> {
    let (kind, text) = match signal {
        Signal::Offer(text) => (0, text),
        Signal::Answer(text) => (1, text),
        Signal::Candidate(text) => (2, text),
    };
    proto::encode(Some(kind), Some(text.as_bytes()))
}

#[tokio::test]
async fn set_ups_that_break_the_rules_are_refused() {
    let offer = wire(&Signal::Offer(SAMPLE_SDP.into()));
    let answer = wire(&Signal::Answer(SAMPLE_SDP.into()));
    let described = |carrier: &Carrier| carrier.hear(FromPage::Description { pc: 1, sdp: SAMPLE_SDP.into() });
    let nothing = |_: &Carrier| {};
    assert!(matches!(against_raw(false, vec![answer.clone()], nothing).await, UpgradeError::OutOfTurn));
    assert!(matches!(
        against_raw(false, vec![proto::encode(Some(0), Some(b"v=0"))], nothing).await,
        UpgradeError::Signal(_)
    ));
    assert!(matches!(against_raw(false, vec![], nothing).await, UpgradeError::Signal(_)));
    assert!(matches!(against_raw(false, vec![offer.clone(), offer.clone()], described).await, UpgradeError::OutOfTurn));
    assert!(matches!(against_raw(true, vec![offer.clone()], described).await, UpgradeError::OutOfTurn));
    assert!(matches!(
        against_raw(true, vec![answer.clone(), answer.clone()], described).await,
        UpgradeError::OutOfTurn
    ));
    let many = vec![wire(&Signal::Candidate("{}".into())); 200];
    assert!(matches!(against_raw(true, many, described).await, UpgradeError::Signal(_)));
    let long = |carrier: &Carrier| carrier.hear(FromPage::Description { pc: 1, sdp: "x".repeat(MAX_SDP + 1) });
    assert!(matches!(against_raw(true, vec![], long).await, UpgradeError::Browser(_)));
    let failed = |carrier: &Carrier| carrier.hear(FromPage::Failed { pc: 1, why: "no".into() });
    assert!(matches!(against_raw(true, vec![], failed).await, UpgradeError::Browser(_)));
    let left = |carrier: &Carrier| carrier.hear(FromPage::Bye);
    assert!(matches!(against_raw(true, vec![], left).await, UpgradeError::Browser(_)));
}
