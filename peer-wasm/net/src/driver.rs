//! The swarm task: happenings of the swarm, the links and the clock go into the decision makers, and what they
//! decide is done here.

mod acts;
mod connections;
mod pages;

use crate::api::Ask;
use crate::dials::Dials;
use crate::limits::{COMMAND_QUEUE, EVENT_QUEUE, NEWS_QUEUE};
use crate::link::{LinkHandle, Report};
use crate::links::Links;
use crate::relays::Relays;
use crate::runtime::{delay, spawn};
use crate::swarm::{Assembled, Behaviour};
use crate::upgrades::Upgrades;
use crate::webrtc::{Arrival, Carrier, SignalRequest};
use crate::{LinkId, LinkPath, Net, NetCommand, NetEvent, NetEvents};
use futures::channel::mpsc;
use futures::future::{BoxFuture, FutureExt, poll_fn};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, select};
use kith_map::BTreeMap;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, Swarm};
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

/// A pause that is over.
enum Timer {
    Relay(Multiaddr),
    Redial(PeerId),
    Reopen(PeerId),
    Upgrade(PeerId),
    Carrier(Carrier),
}

/// What is known of a connection.
struct Known {
    peer: PeerId,
    path: LinkPath,
    rtt: Option<u32>,
    pings: u32,
    /// Its page is going; the loss is no failure.
    expected_loss: bool,
}

struct Driver {
    swarm: Swarm<Behaviour>,
    arrivals: mpsc::UnboundedSender<Arrival>,
    events: mpsc::Sender<NetEvent>,
    news: VecDeque<NetEvent>,
    reports: mpsc::UnboundedSender<Report>,
    links: Links<PeerId, ConnectionId>,
    handles: BTreeMap<LinkId, LinkHandle>,
    relays: Relays,
    dials: Dials,
    upgrades: Upgrades<PeerId>,
    carrier: Option<Carrier>,
    connections: HashMap<ConnectionId, Known>,
    upgrade_dials: HashMap<ConnectionId, PeerId>,
    /// What was last said of peers no direct connection works with.
    blocked: HashMap<PeerId, String>,
    webrtc_listeners: Vec<ListenerId>,
    signal_waits: BTreeMap<u64, (ConnectionId, SignalRequest)>,
    next_token: u64,
    timers: FuturesUnordered<BoxFuture<'static, Timer>>,
}

/// Spawns the task.
pub(crate) fn start(assembled: Assembled, relays: Vec<Multiaddr>, listen: Vec<Multiaddr>) -> (Net, NetEvents) {
    let (commands, asks) = mpsc::channel(COMMAND_QUEUE);
    let (events, told) = mpsc::channel(EVENT_QUEUE);
    let (reports, reported) = mpsc::unbounded();
    let Assembled { swarm, requests, arrivals } = assembled;
    let me = *swarm.local_peer_id();
    let mut driver = Driver {
        swarm,
        arrivals,
        events,
        news: VecDeque::new(),
        reports,
        links: Links::new(me),
        handles: BTreeMap::new(),
        relays: Relays::default(),
        dials: Dials::default(),
        upgrades: Upgrades::new(me),
        carrier: None,
        connections: HashMap::new(),
        upgrade_dials: HashMap::new(),
        blocked: HashMap::new(),
        webrtc_listeners: Vec::new(),
        signal_waits: BTreeMap::new(),
        next_token: 0,
        timers: FuturesUnordered::new(),
    };
    for address in listen {
        if let Err(error) = driver.swarm.listen_on(address.clone()) {
            driver.tell(NetEvent::Note(format!("cannot listen on {address}: {error}")));
        }
    }
    driver.set_relays(relays);
    spawn(driver.run(asks, reported, requests));
    (Net { commands: Mutex::new(commands) }, NetEvents { events: told })
}

impl Driver {
    async fn run(
        mut self,
        mut asks: mpsc::Receiver<Ask>,
        mut reports: mpsc::UnboundedReceiver<Report>,
        mut requests: mpsc::UnboundedReceiver<SignalRequest>,
    ) {
        loop {
            let mut events = self.events.clone();
            let waiting = !self.news.is_empty();
            // Ready when there is news and the reader has room; never otherwise.
            let mut room = poll_fn(|cx| if waiting { events.poll_ready(cx) } else { Poll::Pending }).fuse();
            select! {
                ask = asks.next() => match ask {
                    None | Some(Ask::Command(NetCommand::Shutdown)) => break,
                    Some(Ask::Command(command)) => self.command(command),
                    Some(Ask::Attach(carrier)) => self.attach(carrier),
                    Some(Ask::Detach) => self.detach("the page that carried it is gone"),
                },
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                report = reports.select_next_some() => self.on_report(report),
                request = requests.select_next_some() => self.on_signal_request(request),
                timer = self.timers.select_next_some() => self.on_timer(timer),
                ready = room => match (ready, self.news.pop_front()) {
                    (Ok(()), Some(news)) => {
                        // Cannot be full: this clone was just found ready.
                        let _ = events.start_send(news);
                    }
                    // The reader is gone and so is every use of this task.
                    (Err(_), _) => break,
                    _ => {}
                },
            }
        }
        self.end("the network was shut down");
    }

    fn end(&mut self, why: &str) {
        if let Some(carrier) = self.carrier.take() {
            carrier.end(why);
        }
        for handle in self.handles.values_mut() {
            handle.stop(why);
        }
    }

    /// News of the network itself. The oldest go when nobody reads.
    fn tell(&mut self, event: NetEvent) {
        if self.news.len() >= NEWS_QUEUE {
            self.news.pop_front();
        }
        self.news.push_back(event);
    }

    fn later(&mut self, pause: Duration, timer: Timer) {
        let wait = delay(pause);
        self.timers.push(
            async move {
                wait.await;
                timer
            }
            .boxed(),
        );
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Relay(address) => {
                let acts = self.relays.attempt(&address);
                self.relay_acts(acts);
            }
            Timer::Redial(peer) => {
                self.dials.rested(peer);
                self.dial(peer);
            }
            Timer::Reopen(peer) => {
                let acts = self.links.retry(peer, crate::runtime::unix_ms());
                self.link_acts(acts);
            }
            Timer::Upgrade(peer) => {
                if self.upgrades.rested(peer) {
                    self.upgrade(peer);
                }
            }
            Timer::Carrier(carrier) => self.beat(carrier),
        }
    }
}
