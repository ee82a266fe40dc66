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
mod write;

pub use events::{Config, Fault, Input, LinkId, LinkPath, LoadId, Output, TransactionId};
pub use export::ExportState;
pub use past::{MAX_CHANGED, MAX_OPENED};
pub use quota::{MAX_ALLOWED, Quota};

use crate::api::{Refusal, Reply, Request, RequestId, SubscriptionId};
use crate::clock::{Clock, Hlc};
use crate::document::kind::tag;
use crate::entropy::Entropy;
use crate::epoch::WrapKey;
use crate::identity::{PublicKey, SecretKey};
use crate::lens::{Answers, Lens, Miss, Overlay};
use crate::path::Path;
use crate::rows::{Read, Rows};
use commit::{Commits, Effect, Unit};
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct TaskId(u64);

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "most jobs are requests")]
enum Job {
    Boot,
    Request(RequestId, Request),
    Update(SubscriptionId),
    Meet(LinkId, u32),
    Ingest(LinkId, u32),
    Serve(LinkId, u32),
    Replay(u32),
    Collect(u32),
    Seek(u32),
    Whole(u32),
    Fill(u32),
    Renew(u32),
    Mend(u32),
    Index(u32),
    Fork(LinkId, u32, PublicKey),
    Text(u32, Path),
    Glimpse(LinkId, u32),
}

impl Job {
    /// Whether it sees what came before the logs it stands in.
    fn sees_early(&self) -> bool {
        use Request::{Get, List, Write};
        matches!(self, Job::Update(_) | Job::Request(_, Get { .. } | List { .. } | Write { .. }))
    }
}

struct Task {
    job: Job,
    answers: Answers,
    load: Option<(LoadId, Vec<Read>)>,
}

/// How a step ends when it has everything it needs.
enum Done {
    /// Nothing is to be written.
    Nothing,
    /// Rows are to be written, with effects once they are.
    Write(Unit),
    /// Like `Write`, and run again from the start after that.
    WriteAndAgain(Unit),
}

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

    fn start(&mut self, job: Job) {
        let id = TaskId(self.number());
        self.tasks.insert(id, Task { job, answers: Answers::default(), load: None });
        self.step(id);
    }

    /// Runs a task's step, and again until it waits or ends.
    fn step(&mut self, id: TaskId) {
        while let Some(mut task) = self.tasks.remove(&id) {
            let overlay = std::mem::take(&mut self.overlay);
            let early = task.job.sees_early().then(|| self.early.rows()).flatten();
            let lens = Lens::new(&task.answers, &overlay).seeing(early.as_deref());
            let result = self.run(&task.job, &lens);
            let missing = lens.into_missing();
            self.overlay = overlay;
            match result {
                Err(Miss) => {
                    let load = LoadId(self.number());
                    self.loads.insert(load, id);
                    self.outputs.push_back(Output::Load(load, missing.clone()));
                    task.load = Some((load, missing));
                    self.tasks.insert(id, task);
                    return;
                }
                Ok(Done::WriteAndAgain(unit)) if unit.batch.is_empty() => {
                    self.tasks.insert(id, task);
                    self.write(unit);
                }
                // Again as a new task: what this one has read is of no use to it, and neither that nor what has been
                // committed since this one began may pile up.
                Ok(Done::WriteAndAgain(mut unit)) => {
                    if self.commits.is_ahead() {
                        unit.effects.push(Effect::Start(task.job));
                    } else {
                        self.start_later(task.job);
                    }
                    self.write(unit);
                }
                Ok(Done::Nothing) => {}
                Ok(Done::Write(unit)) => self.write(unit),
            }
        }
        self.forget_written();
    }

    fn run(&mut self, job: &Job, lens: &Lens<'_>) -> Result<Done, Miss> {
        match job {
            Job::Boot => self.boot(lens),
            Job::Request(id, request) => self.answer(*id, request, lens),
            Job::Update(id) => self.update(*id, lens),
            Job::Meet(link, space) => self.meet(*link, *space, lens),
            Job::Ingest(link, space) => self.ingest(*link, *space, lens),
            Job::Serve(link, space) => self.serve(*link, *space, lens),
            Job::Replay(space) => self.replay(*space, lens),
            Job::Collect(space) => self.collect(*space, lens),
            Job::Seek(space) => self.seek(*space, lens),
            Job::Whole(space) => self.answer_whole(*space, lens),
            Job::Fill(space) => self.fill(*space, lens),
            Job::Renew(space) => self.renew(*space, lens),
            Job::Mend(space) => self.mend(*space, lens),
            Job::Index(space) => self.index_history(*space, lens),
            Job::Fork(link, space, log) => self.search_fork(*link, *space, *log, lens),
            Job::Text(space, path) => self.merge_text(*space, path, lens),
            Job::Glimpse(link, space) => self.glimpse(*link, *space, lens),
        }
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

    /// Starts a job once the step that is running has ended.
    fn start_later(&mut self, job: Job) {
        self.commits.later.push(job);
    }

    fn loaded(&mut self, load: LoadId, rows: Result<Vec<Rows>, String>) {
        let Some(id) = self.loads.remove(&load) else { return };
        let Some(task) = self.tasks.get_mut(&id) else { return };
        match (task.load.take(), rows) {
            (Some((expected, reads)), Ok(rows)) if expected == load => {
                for (read, rows) in reads.into_iter().zip(rows) {
                    task.answers.add(read, rows);
                }
                self.step(id);
            }
            (Some((expected, _)), Err(why)) if expected == load => {
                if let Some(task) = self.tasks.remove(&id) {
                    self.give_up(task.job, Refusal::Storage(why));
                }
                self.forget_written();
            }
            (other, _) => task.load = other,
        }
    }

    /// A task cannot go on because storage failed.
    fn give_up(&mut self, job: Job, refusal: Refusal) {
        match job {
            Job::Request(id, _) => {
                self.importing.retain(|(waiting, _)| *waiting != id);
                self.forget_held(id);
                self.reply(id, Reply::Refused(refusal));
            }
            Job::Boot => {
                for (id, _) in std::mem::take(&mut self.waiting_for_boot) {
                    self.reply(id, Reply::Refused(refusal.clone()));
                }
            }
            Job::Update(id) => self.end_subscription(id, refusal),
            Job::Ingest(link, number) => {
                self.hang_up(link, "storage");
                // What came over other links has waited for this.
                self.commits.next_frames.insert(number);
            }
            Job::Meet(link, _) | Job::Serve(link, _) | Job::Glimpse(link, _) | Job::Fork(link, ..) => {
                self.hang_up(link, "storage");
            }
            Job::Replay(number)
            | Job::Renew(number)
            | Job::Mend(number)
            | Job::Collect(number)
            | Job::Seek(number)
            | Job::Whole(number)
            | Job::Fill(number)
            | Job::Index(number) => self.put_off_job(number, job),
            // It is still due.
            Job::Text(..) => {}
        }
    }

    /// Does later what nobody waits for.
    fn put_off_job(&mut self, number: u32, job: Job) {
        let kind = std::mem::discriminant(&job);
        let is_same = |(space, other): &(u32, Job)| *space == number && std::mem::discriminant(other) == kind;
        if !self.commits.unfinished.iter().any(is_same) {
            self.commits.unfinished.push((number, job));
        }
    }

    /// Goes on with what was put off.
    fn finish_jobs(&mut self) {
        let jobs = std::mem::take(&mut self.commits.unfinished);
        self.commits.later.extend(jobs.into_iter().map(|(_, job)| job));
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
