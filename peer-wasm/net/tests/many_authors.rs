//! Two whole peers that know 2 000 authors and are 20 entries apart, over real links: libp2p through a relay, with every
//! byte between one of them and the relay counted, whatever layer it belongs to. (The simulator says the same of frames
//! alone: `sim_sync` of kith-core.)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "common.rs"]
mod common;

use common::{PATIENCE, TestRelay};
use futures::StreamExt;
use kith_core::entry::Verified;
use kith_core::identity::PublicKey;
use kith_core::peer::{Config, Input, LinkId, LinkPath, Output, Peer, Quota};
use kith_core::rows::{Read, Table};
use kith_core::sim::{Disk, Hostile, Story};
use kith_core::wire::{Frame, Piece};
use kith_net::{Multiaddr, Net, NetCommand, NetConfig, NetEvent, NetEvents, RelayState};
use libp2p::multiaddr::Protocol;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const AUTHORS: usize = 2_000;
/// New entries at each of the two.
const NEW: usize = 10;
/// What the two may say to each other, in frames, …
const MAX_FRAMES_BYTES: u64 = 20_000;
/// … and on the wire, with the handshakes of the new connection, its encryption, multiplexing, what libp2p says of itself, and some of the
/// authors asked for at the relay, who are not there.
const MAX_WIRE_BYTES: u64 = 80_000;
/// The longest chain of frames, each sent after the one before had come: six round trips.
const MAX_HOPS: u64 = 12;
/// How long both are left alone after the last entry, so that what follows it counts as well.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// Rows of two members that know the same authors but not each other's news; and when that was.
fn apart() -> (Story, [Disk; 2]) {
    let mut story = Story::joined(1, 3).unwrap();
    let member = Hostile::possess(&mut story, 2).unwrap();
    story.members.retain(|(node, _)| *node != 2);
    let now = story.world.now();
    let mut crowd: Vec<Hostile> = (0..AUTHORS)
        .map(|number| {
            let mut author = Hostile::absent(&mut story, &member).unwrap();
            author.write(&format!("notes/{number}"), "about fifty bytes of text, as in a note or a line", now);
            author
        })
        .collect();
    let known: Vec<Vec<Verified>> = crowd.iter().map(|author| author.log.clone()).collect();
    for node in [0, 1] {
        let mut news = Vec::new();
        for number in 0..NEW {
            let author = &mut crowd[number * 190 + 7 + node];
            author.write(
                &format!("news/{node}/{number}"),
                "some fifty bytes that the other peer does not have",
                now + 1,
            );
            news.push(vec![author.log.last().unwrap().clone()]);
        }
        story.world.divide(|other| if other == node || other == member.node { 9 } else { other as u64 });
        member.greet(&mut story.world, node);
        for part in known.chunks(60).chain([&news[..]]) {
            let raw = part.iter().flatten().map(|entry| entry.raw().to_vec());
            member.say(&mut story.world, node, &Frame::entries(story.space, raw));
            story.world.run(500);
        }
        story.world.run(5_000);
    }
    story.world.divide(|node| node as u64);
    story.world.run(20_000);
    let disks = [0, 1].map(|node| story.world.nodes[node].disk.clone());
    (story, disks)
}

/// Passes connections on to a relay, and counts.
async fn counted(relay: &Multiaddr, bytes: Arc<AtomicU64>) -> Multiaddr {
    let port = relay.iter().find_map(|part| if let Protocol::Tcp(port) = part { Some(port) } else { None }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(near_in, far_out, bytes.clone()));
            tokio::spawn(pass(far_in, near_out, bytes.clone()));
        }
    });
    relay.iter().map(|part| if matches!(part, Protocol::Tcp(_)) { Protocol::Tcp(own) } else { part }).collect()
}

async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, bytes: Arc<AtomicU64>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        bytes.fetch_add(count as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// A whole peer on its rows, and its network.
struct Side {
    peer: Peer,
    disk: Disk,
    net: Net,
    events: NetEvents,
    began: (Instant, u64),
    wake: Option<u64>,
    /// What was said: frames, their bytes, entries that came.
    frames: u64,
    bytes: u64,
    came: BTreeSet<(PublicKey, u64)>,
    again: usize,
    /// The longest chain of frames that it has heard the end of, and what its frames under way make of it.
    heard: u64,
    under_way: VecDeque<u64>,
    link: Option<LinkId>,
}

impl Side {
    fn start(disk: Disk, now: u64, relay: &Multiaddr) -> Side {
        let device = disk.read(&Read::Get { table: Table::Meta, key: b"device".to_vec() });
        let seed: [u8; 32] = device[0].1.as_slice().try_into().unwrap();
        let config = NetConfig { seed, relays: vec![relay.clone()], agent: "kith-test".into(), listen: vec![] };
        let (net, events) = kith_net::start(config).unwrap();
        let peer = Peer::new(now, Config { entropy: seed, version: "test".into(), quota: Quota::default() });
        Side {
            peer,
            disk,
            net,
            events,
            began: (Instant::now(), now),
            wake: None,
            frames: 0,
            bytes: 0,
            came: BTreeSet::new(),
            again: 0,
            heard: 0,
            under_way: VecDeque::new(),
            link: None,
        }
    }

    fn now(&self) -> u64 {
        self.began.1 + self.began.0.elapsed().as_millis() as u64
    }

    async fn reserved(&mut self) {
        while let Some(event) = self.events.next().await {
            if matches!(event, NetEvent::Relay { state: RelayState::Reserved, .. }) {
                return;
            }
        }
        panic!("the network ended");
    }

    async fn input(&mut self, input: Input) {
        let now = self.now();
        self.peer.handle(now, input);
        while let Some(output) = self.peer.poll_output() {
            match output {
                Output::Load(load, reads) => {
                    let rows = Ok(reads.iter().map(|read| self.disk.read(read)).collect());
                    self.peer.handle(now, Input::Loaded { load, rows });
                }
                Output::Commit(transaction, batch) => {
                    self.disk.commit(&batch);
                    self.peer.handle(now, Input::Committed(transaction));
                }
                Output::Send(link, frame) => {
                    self.frames += 1;
                    self.bytes += frame.len() as u64;
                    self.under_way.push_back(self.heard + 1);
                    self.net.command(NetCommand::Send { link: kith_net::LinkId(link.0), frame }).await.unwrap();
                }
                Output::HangUp(link, why) => panic!("{link:?} was hung up: {why}"),
                Output::Dial(peer, _) => {
                    self.net.command(NetCommand::Dial { peer: peer.0, hints: vec![] }).await.unwrap();
                }
                Output::WakeAt(at) => self.wake = Some(at),
                Output::Refused(_, why) => panic!("something was refused: {why}"),
                Output::Reply(..) | Output::Update(..) => {}
            }
        }
    }

    async fn event(&mut self, event: NetEvent, hops: &mut VecDeque<u64>) {
        let input = match event {
            NetEvent::LinkUp { link, peer, .. } => {
                assert!(self.link.replace(LinkId(link.0)).is_none(), "a second link came up");
                Input::LinkUp { link: LinkId(link.0), peer: PublicKey(peer), path: LinkPath::Relay }
            }
            NetEvent::LinkDown { reason, .. } => panic!("the link ended: {reason}"),
            NetEvent::Frame { link, bytes } => {
                self.heard = self.heard.max(hops.pop_front().expect("a frame that nobody sent"));
                if let Ok(Frame::Entries(_, pieces)) = Frame::decode(&bytes) {
                    for piece in pieces {
                        let Piece::Entry(entry) = piece else { continue };
                        self.again += usize::from(!self.came.insert((entry.header.log, entry.header.seq)));
                    }
                }
                Input::Frame { link: LinkId(link.0), bytes }
            }
            NetEvent::Sent { link, bytes } => Input::Sent { link: LinkId(link.0), bytes },
            // The authors were never online.
            NetEvent::DialFailed { peer, .. } => Input::DialFailed { peer: PublicKey(peer) },
            _ => return,
        };
        self.input(input).await;
    }

    /// Until it has to be woken.
    async fn due(wake: Option<u64>, now: u64) {
        match wake {
            Some(at) => tokio::time::sleep(Duration::from_millis(at.saturating_sub(now))).await,
            None => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn two_peers_twenty_entries_apart_among_two_thousand_authors_say_little_over_real_links() {
    let (mut story, disks) = apart();
    let relay = TestRelay::start(150).await;
    let wire = Arc::new(AtomicU64::new(0));
    let through = counted(&relay.address, wire.clone()).await;
    let now = story.world.now();
    let [first, second] = disks;
    let mut a = Side::start(first, now, &through);
    let mut b = Side::start(second, now, &relay.address);
    tokio::time::timeout(PATIENCE, async { tokio::join!(a.reserved(), b.reserved()) }).await.unwrap();
    let before = wire.load(Ordering::Relaxed);
    let began = Instant::now();
    a.input(Input::NetworkUp).await;
    b.input(Input::NetworkUp).await;
    let device = story.world.device(1).unwrap();
    a.net.command(NetCommand::Dial { peer: device.0, hints: vec![] }).await.unwrap();
    let mut done: Option<Instant> = None;
    while done.is_none_or(|at| at.elapsed() < AFTERWARDS) {
        assert!(began.elapsed() < PATIENCE, "only {} and {} entries came", a.came.len(), b.came.len());
        let (wake_a, wake_b) = (Side::due(a.wake, a.now()), Side::due(b.wake, b.now()));
        tokio::select! {
            event = a.events.next() => a.event(event.unwrap(), &mut b.under_way).await,
            event = b.events.next() => b.event(event.unwrap(), &mut a.under_way).await,
            () = wake_a => { a.wake = None; a.input(Input::Wake).await; }
            () = wake_b => { b.wake = None; b.input(Input::Wake).await; }
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        if done.is_none() && a.came.len() + b.came.len() >= 2 * NEW {
            done = Some(Instant::now());
        }
    }
    let (frames, bytes) = (a.frames + b.frames, a.bytes + b.bytes);
    let (hops, wire) = (a.heard.max(b.heard), wire.load(Ordering::Relaxed) - before);
    println!("2 000 authors, 20 entries apart: {frames} frames, {bytes} bytes, {hops} hops; {wire} bytes on the wire");
    assert_eq!((a.came.len(), b.came.len(), a.again + b.again), (NEW, NEW, 0), "other entries than those missing came");
    assert!(bytes <= MAX_FRAMES_BYTES, "{bytes} bytes were said");
    assert!(wire <= MAX_WIRE_BYTES, "{wire} bytes were on the wire");
    assert!(wire >= bytes, "what was said went another way");
    assert!(hops <= MAX_HOPS, "it took {hops} hops");
    // Both have the same now.
    for (node, side) in [(0, a), (1, b)] {
        story.world.crash(node);
        story.world.nodes[node].disk = side.disk;
        story.world.start(node);
    }
    story.world.run(10_000);
    story.alike().unwrap();
}
