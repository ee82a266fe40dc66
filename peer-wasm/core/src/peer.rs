//! The peer: one state machine that takes inputs and gives outputs.
//!
//! Everything that happens is an [`Input`]; everything that should happen is an [`Output`]. Work that needs rows is a
//! *task*: a step over a [`Lens`] that either has what it needs and ends, or asks for rows and runs again. A step
//! changes nothing before it has everything, so tasks can be run again at will. What it decides becomes a *unit*: rows
//! that are committed together, and effects (replies, sends, publications) that happen once they are committed.

mod asking;
mod books;
mod boot;
mod careful;
mod collect;
mod commit;
mod compare;
mod dial;
mod early;
mod events;
mod exchange;
mod export;
mod fold;
mod fork;
mod glimpse;
mod gone;
mod held;
mod history;
mod import;
mod inbox;
mod ingest;
mod jobs;
mod join;
mod laid;
mod links;
mod mend;
mod moves;
mod past;
mod past_text;
mod policy;
mod prepare;
mod presence;
mod prune;
mod pruned;
mod purge;
mod put_back;
mod quota;
mod read;
mod replay;
mod request;
mod restore;
mod retention;
mod rows;
mod seek;
mod serve;
mod space;
mod spread;
mod stable;
mod status;
mod subscribe;
mod survey;
mod sweep;
mod text;
mod text_careful;
mod text_edits;
mod text_events;
mod text_events_write;
mod text_follow;
mod text_open;
mod text_write;
mod undo;
mod window;
mod write;

pub use events::{Config, Fault, Input, LinkId, LinkPath, LoadId, Output, TransactionId};
pub use export::ExportState;
pub use past::{MAX_CHANGED, MAX_OPENED};
pub use quota::{MAX_ALLOWED, Quota};

use crate::api::{Reply, Request, RequestId, SubscriptionId};
use crate::clock::{Clock, Hlc};
use crate::document::kind::tag;
use crate::entropy::Entropy;
use crate::epoch::WrapKey;
use crate::identity::{PublicKey, SecretKey};
use crate::lens::{Lens, Miss, Overlay};
use commit::{Commits, Effect};
use jobs::{Done, Job, Task, TaskId};
use kith_map::BTreeMap;
use links::Link;
use space::Space;
use std::collections::{HashMap, VecDeque};

/// The most requests that may be open at once.
pub const MAX_REQUESTS: usize = 10_000;
/// The most subscriptions that may be open at once.
pub const MAX_SUBSCRIPTIONS: usize = 10_000;
/// The most links at once.
pub const MAX_LINKS: usize = 64;
/// The most spaces one peer takes part in.
pub const MAX_SPACES: usize = 1024;
/// The most members' logs in one space.
pub const MAX_LOGS: usize = 10_000;

/// The keys a peer has.
struct Keys {
    device: SecretKey,
    identity: SecretKey,
    wrap: WrapKey,
}

/// A peer.
pub struct Peer {
    config: Config,
    now: u64,
    hlc: Hlc,
    entropy: Entropy,
    keys: Option<Keys>,
    booted: bool,
    me: u32,
    space_rows: BTreeMap<u32, rows::SpaceRow>,
    spaces: BTreeMap<u32, Space>,
    tasks: BTreeMap<TaskId, Task>,
    loads: HashMap<LoadId, TaskId>,
    next: u64,
    overlay: Overlay,
    commits: Commits,
    outputs: VecDeque<Output>,
    waiting_for_boot: Vec<(RequestId, Request)>,
    open_requests: usize,
    subscriptions: BTreeMap<SubscriptionId, subscribe::Subscription>,
    links: BTreeMap<LinkId, Link>,
    inboxes: inbox::Inboxes,
    joins: Vec<join::WaitingJoin>,
    dials: dial::Dials,
    relays: Vec<String>,
    environment: serde_json::Value,
    refused: BTreeMap<&'static str, u64>,
    preparing: BTreeMap<(LinkId, u32), prepare::Prepared>,
    /// Parts of files that are verified and wait for rows.
    importing: Vec<(RequestId, import::Importing)>,
    /// Questions about places in logs, each with a job of its own.
    asked_about: Vec<(LinkId, u32, PublicKey, Vec<u64>)>,
    /// Proofs that came in, each with a job of its own.
    proofs: Vec<(u32, crate::entry::ForkProof)>,
    seeking: seek::Seeking,
    suspects: mend::Suspects,
    careful: careful::Careful,
    presence: presence::Presence,
    early: laid::Early,
    /// Edits of texts that wait for what they build on.
    held: Vec<held::Held>,
    texts: text_open::Texts,
    wake_at: Option<u64>,
    /// The day of the last look at quotas.
    day: u64,
}

impl Peer {
    /// A peer that will find its keys and spaces in the store, or make them.
    pub fn new(now: u64, config: Config) -> Peer {
        let mut peer = Peer {
            entropy: Entropy::new(&config.entropy),
            config,
            now,
            hlc: Hlc::default(),
            keys: None,
            booted: false,
            me: 0,
            space_rows: BTreeMap::new(),
            spaces: BTreeMap::new(),
            tasks: BTreeMap::new(),
            loads: HashMap::new(),
            next: 0,
            overlay: Overlay::default(),
            commits: Commits::default(),
            outputs: VecDeque::new(),
            waiting_for_boot: Vec::new(),
            open_requests: 0,
            subscriptions: BTreeMap::new(),
            links: BTreeMap::new(),
            inboxes: inbox::Inboxes::default(),
            joins: Vec::new(),
            dials: dial::Dials::default(),
            relays: Vec::new(),
            environment: serde_json::Value::Null,
            refused: BTreeMap::new(),
            preparing: BTreeMap::new(),
            importing: Vec::new(),
            asked_about: Vec::new(),
            proofs: Vec::new(),
            seeking: seek::Seeking::default(),
            suspects: mend::Suspects::default(),
            careful: careful::Careful::default(),
            presence: presence::Presence::default(),
            early: laid::Early::default(),
            held: Vec::new(),
            texts: text_open::Texts::default(),
            wake_at: None,
            day: 0,
        };
        peer.start(Job::Boot);
        peer
    }

    /// Takes in something that happened at `now` (milliseconds since 1970).
    pub fn handle(&mut self, now: u64, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Request(id, request) => self.request(id, request),
            Input::Pull(id) => self.pull(id),
            Input::Unsubscribe(id) => self.unsubscribe(id),
            Input::LinkUp { link, peer, path } => self.link_up(link, peer, path),
            Input::LinkDown { link } => self.link_down(link),
            Input::Frame { link, bytes } => self.frame(link, &bytes),
            Input::Sent { link, bytes } => self.sent(link, bytes),
            Input::DialFailed { peer } => self.dials.failed(peer, self.now, &mut self.entropy),
            Input::NetworkUp => self.dials.hurry(),
            Input::Environment(environment) => {
                self.environment = environment;
                self.status_changed();
            }
            Input::Relays(relays) => self.relays = relays,
            Input::Loaded { load, rows } => self.loaded(load, rows),
            Input::Committed(id) => self.committed(id),
            Input::Failed(id, fault) => self.failed(id, &fault),
            Input::Careful => self.be_careful(),
            Input::Wake => {}
        }
        self.tick();
        self.commit_next();
        self.tell_presence();
    }

    /// What should happen next; call until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The device's public key: its log in every space and its name on the network. `None` before the start is over.
    pub fn device(&self) -> Option<PublicKey> {
        self.keys.as_ref().map(|keys| keys.device.public())
    }

    /// Whether the start is over: keys and spaces are known and stored.
    pub fn is_ready(&self) -> bool {
        self.booted
    }

    /// The device key's seed, for the transport's own proof of identity.
    pub fn device_seed(&self) -> Option<zeroize::Zeroizing<[u8; 32]>> {
        self.keys.as_ref().map(|keys| keys.device.seed())
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The space, read back if it is not in memory.
    fn space(&mut self, number: u32, lens: &Lens<'_>) -> Result<Option<&mut Space>, Miss> {
        if !self.spaces.contains_key(&number) {
            let Some(row) = self.space_rows.get(&number) else { return Ok(None) };
            let mut space = Space::load(lens, number, row.clone())?;
            if space.unknown.iter().any(|tag| tag::is_known(*tag)) {
                space.rebuilding = true;
                self.start_later(Job::Renew(number));
            }
            space.recall_noted(self.device());
            for log in &space.logs {
                self.hlc.recall(Clock(log.clock));
            }
            let behind = space.logs.iter().any(|log| log.applied < log.tip.len);
            if space.has_to_collect() {
                self.start_later(Job::Collect(number));
            }
            let unindexed = !space.behind.is_empty();
            self.spaces.insert(number, space);
            if unindexed {
                self.start_later(Job::Index(number));
            }
            if behind {
                self.start_later(Job::Replay(number));
            }
        }
        Ok(self.spaces.get_mut(&number))
    }

    fn reply(&mut self, id: RequestId, reply: Reply) {
        self.texts.moves.answered(id);
        self.open_requests = self.open_requests.saturating_sub(1);
        self.outputs.push_back(Output::Reply(id, reply));
    }

    fn refuse_from(&mut self, link: LinkId, what: &'static str) {
        *self.refused.entry(what).or_default() += 1;
        self.outputs.push_back(Output::Refused(link, what));
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Reply(id, reply) => {
                if let Reply::SpaceCreated { .. } | Reply::Joined(_) = &reply {
                    self.status_changed();
                }
                self.reply(id, reply);
            }
            Effect::Subscribed(id, reply, subscription) => self.opened(id, reply, *subscription),
            Effect::Moved(which, client, held) => {
                let path = which.1.clone();
                self.moved(which, client, held);
                self.try_held(&[path]);
            }
            Effect::Update(id, told) => self.hand_out(id, told.0, told.1),
            Effect::Changed(space, paths) => self.changed(space, &paths),
            Effect::Authority(space) => self.authority_changed(space),
            Effect::Start(job) => self.start(job),
            Effect::Marked(job) => self.is_marked(job),
            Effect::TextMarked(which) => self.text_is_marked(which),
            Effect::Booted => self.booted(),
            Effect::Frame(link, frame) => self.send(link, &frame),
        }
    }
}
