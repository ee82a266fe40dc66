//! A relay in this process and peers to connect through it.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs
)]

use futures::StreamExt;
use kith_net::{LinkId, LinkPath, Multiaddr, Net, NetCommand, NetConfig, NetEvent, NetEvents, PeerId, RelayState};
use libp2p::core::transport::{OrTransport, Transport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{Config, NetworkBehaviour, SwarmEvent};
use libp2p::{Swarm, identify, noise, ping, relay, tcp, websocket, yamux};
use std::time::Duration;
use tokio::sync::oneshot;

/// No step of a test takes longer than this.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(NetworkBehaviour)]
struct RelayBehaviour {
    relay: relay::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// A relay; stops when dropped.
pub struct TestRelay {
    pub address: Multiaddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl TestRelay {
    /// Starts one on a port of the system's choice.
    pub async fn start(seed: u8) -> Self {
        Self::start_at(seed, "/ip4/127.0.0.1/tcp/0/ws".parse().unwrap()).await
    }

    pub async fn start_at(seed: u8, listen: Multiaddr) -> Self {
        let key = Keypair::ed25519_from_bytes([seed; 32]).unwrap();
        let me = key.public().to_peer_id();
        let transport = websocket::Config::new(tcp::tokio::Transport::new(tcp::Config::default()))
            .upgrade(Version::V1Lazy)
            .authenticate(noise::Config::new(&key).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let config = relay::Config {
            max_circuit_bytes: 0,
            max_circuit_duration: Duration::from_secs(3600),
            reservation_rate_limiters: vec![],
            circuit_src_rate_limiters: vec![],
            ..Default::default()
        };
        let behaviour = RelayBehaviour {
            relay: relay::Behaviour::new(me, config),
            identify: identify::Behaviour::new(identify::Config::new("kith/1".into(), key.public())),
            ping: ping::Behaviour::default(),
        };
        let swarm_config = Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(60));
        let mut swarm = Swarm::new(transport, behaviour, me, swarm_config);
        swarm.listen_on(listen).unwrap();
        let address = loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => break address,
                SwarmEvent::ListenerClosed { reason, .. } => panic!("{reason:?}"),
                _ => {}
            }
        };
        swarm.add_external_address(address.clone());
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = swarm.select_next_some() => {}
                    _ = &mut stopped => break,
                }
            }
        });
        Self { address: address.with(Protocol::P2p(me)), stop: Some(stop), task }
    }

    /// Stops it and gives its address without its name, to start another one there.
    pub async fn stop(mut self) -> Multiaddr {
        let _ = self.stop.take().unwrap().send(());
        (&mut self.task).await.unwrap();
        let mut address = self.address.clone();
        address.pop();
        address
    }
}

/// A peer under test.
pub struct Peer {
    pub net: Net,
    pub events: NetEvents,
    pub key: [u8; 32],
    pub id: PeerId,
}

impl Peer {
    pub fn start(seed: u8, relays: Vec<Multiaddr>) -> Self {
        Self::start_with(seed, relays, vec![])
    }

    pub fn start_with(seed: u8, relays: Vec<Multiaddr>, listen: Vec<Multiaddr>) -> Self {
        let public = Keypair::ed25519_from_bytes([seed; 32]).unwrap().public();
        let key = public.clone().try_into_ed25519().unwrap().to_bytes();
        let (net, events) =
            kith_net::start(NetConfig { seed: [seed; 32], relays, agent: "kith-test".into(), listen }).unwrap();
        Self { net, events, key, id: public.to_peer_id() }
    }

    pub async fn ask(&self, command: NetCommand) {
        self.net.command(command).await.unwrap();
    }

    pub async fn dial(&self, other: &Peer) {
        self.ask(NetCommand::Dial { peer: other.key, hints: vec![] }).await;
    }

    /// The first event the function answers.
    pub async fn until<T>(&mut self, mut what: impl FnMut(NetEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.next().await.expect("the network ended");
                if std::env::var("DBG").is_ok() {
                    let t = format!("{event:?}");
                    eprintln!("{} {}", self.id, &t[..t.len().min(200)]);
                }
                if let Some(found) = what(event) {
                    break found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it did not happen in time")
    }

    pub async fn reserved(&mut self) {
        self.until(|event| matches!(event, NetEvent::Relay { state: RelayState::Reserved, .. }).then_some(())).await;
    }

    pub async fn link_up(&mut self) -> (LinkId, LinkPath) {
        self.until(|event| if let NetEvent::LinkUp { link, path, .. } = event { Some((link, path)) } else { None })
            .await
    }

    pub async fn link_down(&mut self) -> (LinkId, String) {
        self.until(|event| if let NetEvent::LinkDown { link, reason } = event { Some((link, reason)) } else { None })
            .await
    }

    pub async fn frame(&mut self) -> (LinkId, Vec<u8>) {
        self.until(|event| if let NetEvent::Frame { link, bytes } = event { Some((link, bytes)) } else { None }).await
    }

    pub async fn send(&self, link: LinkId, frame: impl Into<Vec<u8>>) {
        self.ask(NetCommand::Send { link, frame: frame.into() }).await;
    }
}

/// Two peers with reservations at the relay.
pub async fn two(relay: &TestRelay) -> (Peer, Peer) {
    let mut a = Peer::start(1, vec![relay.address.clone()]);
    let mut b = Peer::start(2, vec![relay.address.clone()]);
    tokio::join!(a.reserved(), b.reserved());
    (a, b)
}
