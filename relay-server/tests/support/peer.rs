//! A native libp2p peer: WebSocket, TCP, relay client, and an echo protocol.

use super::soon;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, SwarmBuilder, identify, noise, ping, relay, tcp, yamux};
use std::time::Duration;
use tokio::sync::mpsc;

const ECHO: StreamProtocol = StreamProtocol::new("/echo/1");

#[derive(NetworkBehaviour)]
struct Behaviour {
    relay: relay::client::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    stream: libp2p_stream::Behaviour,
}

enum Command {
    Dial(Multiaddr),
    Listen(Multiaddr),
    HangUp(PeerId),
}

/// What a test may wait for.
#[derive(Debug)]
pub enum Seen {
    Connected(PeerId),
    Closed(PeerId),
    Listening(Multiaddr),
    Reserved,
    /// The words of the error.
    Refused(String),
    Identified(Box<identify::Info>),
}

/// A running peer; dropping it ends it.
pub struct Peer {
    pub id: PeerId,
    commands: mpsc::Sender<Command>,
    seen: mpsc::UnboundedReceiver<Seen>,
    control: libp2p_stream::Control,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub async fn start() -> Self {
        let key = Keypair::generate_ed25519();
        let mut swarm = SwarmBuilder::with_existing_identity(key)
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_websocket(noise::Config::new, yamux::Config::default)
            .await
            .unwrap()
            .with_relay_client(noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|key, relay| Behaviour {
                relay,
                identify: identify::Behaviour::new(identify::Config::new("kith/1".into(), key.public())),
                ping: ping::Behaviour::default(),
                stream: libp2p_stream::Behaviour::new(),
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
            .build();
        let id = *swarm.local_peer_id();
        let mut control = swarm.behaviour().stream.new_control();
        let mut incoming = control.accept(ECHO).unwrap();
        let (commands, mut inbox) = mpsc::channel(16);
        let (outbox, seen) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => {
                        if let Some(seen) = tell(event) {
                            let _ = outbox.send(seen);
                        }
                    }
                    Some((_, stream)) = incoming.next() => {
                        tokio::spawn(async move {
                            let (reader, mut writer) = stream.split();
                            let _ = futures::io::copy(reader, &mut writer).await;
                            let _ = writer.close().await;
                        });
                    }
                    command = inbox.recv() => match command {
                        Some(Command::Dial(addr)) => {
                            if let Err(error) = swarm.dial(addr) {
                                let _ = outbox.send(Seen::Refused(format!("{error:?}")));
                            }
                        }
                        Some(Command::Listen(addr)) => drop(swarm.listen_on(addr).unwrap()),
                        Some(Command::HangUp(peer)) => drop(swarm.disconnect_peer_id(peer)),
                        None => return,
                    },
                }
            }
        });
        Self { id, commands, seen, control, task }
    }

    async fn command(&self, command: Command) {
        self.commands.send(command).await.ok().unwrap();
    }

    pub async fn dial(&self, addr: Multiaddr) {
        self.command(Command::Dial(addr)).await;
    }

    pub async fn hang_up(&self, peer: PeerId) {
        self.command(Command::HangUp(peer)).await;
    }

    /// Asks the relay for a reservation; see [`Peer::reserved`] for the answer.
    pub async fn reserve(&self, relay: Multiaddr) {
        self.command(Command::Listen(relay.with(Protocol::P2pCircuit))).await;
    }

    /// Dials another peer through the relay.
    pub async fn dial_through(&self, relay: Multiaddr, peer: PeerId) {
        self.dial(relay.with(Protocol::P2pCircuit).with(Protocol::P2p(peer))).await;
    }

    /// The first thing seen that `wanted` takes.
    pub async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(Seen) -> Option<T>) -> T {
        soon(what, async {
            loop {
                let seen = self.seen.recv().await.expect("the peer ended");
                if let Some(found) = wanted(seen) {
                    return found;
                }
            }
        })
        .await
    }

    pub async fn connected(&mut self, to: PeerId) {
        self.until("a connection", |seen| match seen {
            Seen::Connected(peer) if peer == to => Some(()),
            Seen::Refused(why) => panic!("refused: {why}"),
            _ => None,
        })
        .await;
    }

    pub async fn closed(&mut self, to: PeerId) {
        self.until("a closed connection", |seen| matches!(seen, Seen::Closed(peer) if peer == to).then_some(())).await;
    }

    /// The words of the next refusal.
    pub async fn refused(&mut self) -> String {
        self.until("a refusal", |seen| if let Seen::Refused(why) = seen { Some(why) } else { None }).await
    }

    pub async fn reserved(&mut self) {
        self.until("a reservation", |seen| match seen {
            Seen::Reserved => Some(()),
            Seen::Refused(why) => panic!("refused: {why}"),
            _ => None,
        })
        .await;
    }

    /// Opens an echo stream.
    pub async fn open_echo(&mut self, peer: PeerId) -> libp2p::Stream {
        soon("a stream", self.control.open_stream(peer, ECHO)).await.unwrap()
    }

    /// Sends bytes through an echo stream and expects them back.
    pub async fn echo(&mut self, peer: PeerId, bytes: &[u8]) {
        let stream = self.open_echo(peer).await;
        let back = soon("an echo", echo_on(stream, bytes)).await.unwrap();
        assert!(back == bytes, "the echo differs");
    }
}

/// Sends and reads at the same time, so that no buffer between must hold it all.
pub async fn echo_on(stream: libp2p::Stream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let (mut reader, mut writer) = stream.split();
    let send = async {
        writer.write_all(bytes).await?;
        writer.close().await
    };
    let mut back = Vec::new();
    let receive = reader.read_to_end(&mut back);
    futures::try_join!(send, receive)?;
    Ok(back)
}

fn tell(event: SwarmEvent<BehaviourEvent>) -> Option<Seen> {
    match event {
        SwarmEvent::ConnectionEstablished { peer_id, .. } => Some(Seen::Connected(peer_id)),
        SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => Some(Seen::Closed(peer_id)),
        SwarmEvent::NewListenAddr { address, .. } => Some(Seen::Listening(address)),
        SwarmEvent::OutgoingConnectionError { error, .. } => Some(Seen::Refused(format!("{error:?}"))),
        SwarmEvent::ListenerClosed { reason: Err(error), .. } => Some(Seen::Refused(format!("{error:?}"))),
        SwarmEvent::Behaviour(BehaviourEvent::Relay(relay::client::Event::ReservationReqAccepted { .. })) => {
            Some(Seen::Reserved)
        }
        SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { info, .. })) => {
            Some(Seen::Identified(Box::new(info)))
        }
        _ => None,
    }
}
