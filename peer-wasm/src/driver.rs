//! The one event loop: carries the core's outputs to store, network and waiting requests, and what they answer back.
//!
//! The loop is the worker's own: every callback ends in [`Driver::feed`], which runs the core once and starts
//! whatever it asks for. Nothing here decides anything about data.

mod environment;
mod streams;
mod uploads;

use crate::http::Upload;
use environment::Environment;
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures_timer::Delay;
use kith_core::api::{Reply, Request, RequestId, SubscriptionId, Update};
use kith_core::identity::PublicKey;
use kith_core::peer::{Config, Fault, Input, LinkId, LinkPath, Output, Peer, Quota};
use kith_net::{Multiaddr, Net, NetCommand, NetConfig, NetEvent, NetEvents};
use kith_store::{Store, StoreError};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use streams::Stream;
use wasm_bindgen_futures::spawn_local;

/// Storage figures are read anew after this many commits.
const USAGE_EVERY: u32 = 32;

/// A peer with its store and network.
pub(crate) struct Driver<S> {
    core: RefCell<Peer>,
    store: S,
    net: RefCell<Option<Rc<Net>>>,
    commands: RefCell<Option<mpsc::UnboundedSender<NetCommand>>>,
    replies: RefCell<HashMap<RequestId, oneshot::Sender<Reply>>>,
    updates: RefCell<HashMap<SubscriptionId, oneshot::Sender<Update>>>,
    streams: RefCell<HashMap<u32, Rc<Stream>>>,
    uploads: RefCell<HashMap<u32, Upload>>,
    environment: RefCell<Environment>,
    relays: RefCell<Vec<Multiaddr>>,
    carrier: RefCell<Option<web_sys::MessagePort>>,
    next: Cell<u64>,
    commits: Cell<u32>,
    closed: Cell<bool>,
}

/// Milliseconds since 1970.
fn now() -> u64 {
    js_sys::Date::now() as u64
}

impl<S: Store + 'static> Driver<S> {
    /// A peer on this store. The network starts once the keys are known.
    pub(crate) fn start(store: S, entropy: [u8; 32], version: &str, relays: &[String], quota: Quota) -> Rc<Driver<S>> {
        let config = Config { entropy, version: version.to_owned(), quota };
        let driver = Rc::new(Driver {
            core: RefCell::new(Peer::new(now(), config)),
            store,
            net: RefCell::default(),
            commands: RefCell::default(),
            replies: RefCell::default(),
            updates: RefCell::default(),
            streams: RefCell::default(),
            uploads: RefCell::default(),
            environment: RefCell::default(),
            relays: RefCell::default(),
            carrier: RefCell::default(),
            next: Cell::new(1),
            commits: Cell::new(0),
            closed: Cell::new(false),
        });
        driver.set_relays(relays);
        driver.measure_storage();
        driver
    }

    fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    /// Runs the core on an input and does what it says.
    pub(crate) fn feed(self: &Rc<Self>, input: Input) {
        if self.closed.get() {
            return;
        }
        self.core.borrow_mut().handle(now(), input);
        // Before its first outputs are carried out: they may already ask for the network.
        if self.net.borrow().is_none() && self.core.borrow().is_ready() {
            self.start_network();
        }
        loop {
            let output = self.core.borrow_mut().poll_output();
            let Some(output) = output else { break };
            self.perform(output);
        }
    }

    fn perform(self: &Rc<Self>, output: Output) {
        match output {
            Output::Load(load, reads) => {
                let driver = self.clone();
                spawn_local(async move {
                    let rows = driver.store.read(reads).await.map_err(|error| error.to_string());
                    driver.feed(Input::Loaded { load, rows });
                });
            }
            Output::Commit(id, batch) => {
                let driver = self.clone();
                // The core gives one transaction at a time, so their order is kept.
                spawn_local(async move {
                    let input = match driver.store.commit(batch).await {
                        Ok(()) => Input::Committed(id),
                        Err(StoreError::Full) => Input::Failed(id, Fault::Full),
                        Err(error) => Input::Failed(id, Fault::Broken(error.to_string())),
                    };
                    driver.feed(input);
                    driver.commits.set(driver.commits.get() + 1);
                    if driver.commits.get() % USAGE_EVERY == 1 {
                        driver.measure_storage();
                    }
                });
            }
            Output::Reply(id, reply) => {
                if let Some(waiting) = self.replies.borrow_mut().remove(&id) {
                    // The asker may have gone away.
                    let _ = waiting.send(reply);
                }
            }
            Output::Update(id, update) => {
                if let Some(waiting) = self.updates.borrow_mut().remove(&id) {
                    let _ = waiting.send(update);
                }
            }
            Output::Send(link, frame) => self.command(NetCommand::Send { link: kith_net::LinkId(link.0), frame }),
            Output::HangUp(link, _) => self.command(NetCommand::HangUp { link: kith_net::LinkId(link.0) }),
            Output::Dial(peer, relays) => {
                let hints = relays.iter().filter_map(|relay| relay.parse().ok()).collect();
                self.command(NetCommand::Dial { peer: peer.0, hints });
            }
            Output::WakeAt(at) => {
                let driver = self.clone();
                let wait = at.saturating_sub(now()).min(u64::from(u32::MAX >> 1));
                spawn_local(async move {
                    Delay::new(Duration::from_millis(wait)).await;
                    driver.feed(Input::Wake);
                });
            }
            Output::Refused(..) => {}
        }
    }

    /// Asks the peer and waits for its reply.
    pub(crate) async fn ask(self: &Rc<Self>, request: Request) -> Option<Reply> {
        let id = RequestId(self.number());
        let (send, reply) = oneshot::channel();
        self.replies.borrow_mut().insert(id, send);
        self.feed(Input::Request(id, request));
        reply.await.ok()
    }

    fn command(&self, command: NetCommand) {
        if let Some(commands) = &*self.commands.borrow() {
            // The core keeps what waits here small: it sends no more until frames have left.
            let _ = commands.unbounded_send(command);
        }
    }

    fn start_network(self: &Rc<Self>) {
        let seed = self.core.borrow().device_seed();
        let Some(seed) = seed else { return };
        let agent = format!("kith/{}", crate::VERSION);
        let config = NetConfig { seed: *seed, relays: self.relays.borrow().clone(), agent, listen: Vec::new() };
        let (net, events) = match kith_net::start(config) {
            Ok(started) => started,
            Err(error) => {
                self.note(error.to_string());
                return;
            }
        };
        let net = Rc::new(net);
        let (commands, mut queue) = mpsc::unbounded();
        *self.net.borrow_mut() = Some(net.clone());
        *self.commands.borrow_mut() = Some(commands);
        if let Some(port) = self.carrier.borrow_mut().take() {
            self.attach_carrier(port);
        }
        spawn_local(async move {
            while let Some(command) = queue.next().await {
                if net.command(command).await.is_err() {
                    break;
                }
            }
        });
        spawn_local(self.clone().listen(events));
    }

    async fn listen(self: Rc<Self>, mut events: NetEvents) {
        while let Some(event) = events.next().await {
            match event {
                NetEvent::LinkUp { link, peer, path } => {
                    let path = match path {
                        kith_net::LinkPath::Relay => LinkPath::Relay,
                        kith_net::LinkPath::Direct => LinkPath::Direct,
                        kith_net::LinkPath::WebRtc => LinkPath::WebRtc,
                    };
                    self.feed(Input::LinkUp { link: LinkId(link.0), peer: PublicKey(peer), path });
                }
                NetEvent::LinkDown { link, .. } => {
                    self.environment.borrow_mut().forget_link(link.0);
                    self.feed(Input::LinkDown { link: LinkId(link.0) });
                }
                NetEvent::Frame { link, bytes } => self.feed(Input::Frame { link: LinkId(link.0), bytes }),
                NetEvent::Sent { link, bytes } => self.feed(Input::Sent { link: LinkId(link.0), bytes }),
                NetEvent::Relay { addr, state } => {
                    let reachable = self.environment.borrow_mut().relay(&addr, &state);
                    if reachable {
                        self.feed(Input::NetworkUp);
                    }
                    self.show_environment();
                }
                NetEvent::Rtt { link, ms } => {
                    self.environment.borrow_mut().round_trip(link.0, ms);
                    self.show_environment();
                }
                NetEvent::DialFailed { peer, .. } => self.feed(Input::DialFailed { peer: PublicKey(peer) }),
                NetEvent::Note(text) => self.note(text),
            }
        }
    }

    fn note(self: &Rc<Self>, text: String) {
        self.environment.borrow_mut().note(text);
        self.show_environment();
    }

    fn show_environment(self: &Rc<Self>) {
        let document = self.environment.borrow().document();
        self.feed(Input::Environment(document));
    }

    /// The relays where this peer can be met.
    pub(crate) fn set_relays(self: &Rc<Self>, relays: &[String]) {
        let known: Vec<(String, Multiaddr)> =
            relays.iter().filter_map(|relay| Some((relay.clone(), relay.parse().ok()?))).collect();
        let addresses: Vec<Multiaddr> = known.iter().map(|(_, address)| address.clone()).collect();
        *self.relays.borrow_mut() = addresses.clone();
        self.environment.borrow_mut().keep_relays(&addresses);
        self.feed(Input::Relays(known.into_iter().map(|(text, _)| text).collect()));
        self.command(NetCommand::SetRelays(addresses));
        self.show_environment();
    }

    /// A page carries WebRTC from now on.
    pub(crate) fn attach_carrier(self: &Rc<Self>, port: web_sys::MessagePort) {
        let Some(net) = self.net.borrow().clone() else {
            *self.carrier.borrow_mut() = Some(port);
            return;
        };
        spawn_local(async move {
            let _ = net.attach_carrier(port).await;
        });
    }

    /// The page that carried WebRTC is gone.
    pub(crate) fn detach_carrier(self: &Rc<Self>) {
        self.carrier.borrow_mut().take();
        let Some(net) = self.net.borrow().clone() else { return };
        spawn_local(async move {
            let _ = net.detach_carrier().await;
        });
    }

    /// What only the host knows.
    pub(crate) fn set_host(self: &Rc<Self>, host: environment::Host) {
        self.environment.borrow_mut().host = host;
        self.show_environment();
        self.measure_storage();
    }

    fn measure_storage(self: &Rc<Self>) {
        let driver = self.clone();
        spawn_local(async move {
            if let Ok(usage) = driver.store.usage().await {
                driver.environment.borrow_mut().usage = Some(usage);
                driver.show_environment();
            }
        });
    }

    /// Ends everything; what was acknowledged is stored already.
    pub(crate) async fn close(self: Rc<Self>) {
        self.command(NetCommand::Shutdown);
        self.closed.set(true);
        self.replies.borrow_mut().clear();
        self.updates.borrow_mut().clear();
        self.streams.borrow_mut().clear();
        self.uploads.borrow_mut().clear();
        self.store.close().await;
        self.commands.borrow_mut().take();
        self.net.borrow_mut().take();
    }
}

pub(crate) use environment::Host;
