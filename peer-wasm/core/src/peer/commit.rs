//! Group commit: what is decided while a transaction is under way becomes the next one.

use super::rows::{HeadKey, HeadRow, read_head_key};
use super::{Fault, Job, LinkId, Output, Peer, TransactionId};
use crate::api::{Refusal, Reply, RequestId, SubscriptionId, Update};
use crate::path::Path;
use crate::rows::{Batch, Durability, Table};
use crate::wire::Frame;
use kith_map::BTreeMap;
use std::collections::VecDeque;

/// After a failed transaction nothing is taken in from others for this long, in milliseconds …
const FIRST_PAUSE: u64 = 1_000;
/// … and twice as long after each further one, up to this.
const LONGEST_PAUSE: u64 = 60_000;
/// A transaction takes in further units until it has this many rows …
const ENOUGH_ROWS: usize = 400;
/// … or this many bytes.
const ENOUGH_BYTES: usize = 512 << 10;
/// The most units waiting; beyond it, frames wait in their links (requests have a limit of their own).
pub(super) const MAX_WAITING: usize = 4096;
/// Nothing more is taken in from others while so many bytes wait, a row counting as some more: who asks for something meanwhile waits for
/// those.
const MANY: usize = 2 << 20;
const ROW: usize = 512;

/// Work that writes step by step goes on while fewer units than this wait.
const AHEAD: usize = 8;

/// What happens once rows are committed.
pub(super) enum Effect {
    Reply(RequestId, Reply),
    Subscribed(RequestId, Reply, Box<super::subscribe::Subscription>),
    Update(SubscriptionId, Box<(Update, super::subscribe::Seen)>),
    Changed(u32, Vec<Path>),
    /// A client's own write to a text was taken: who follows the text under its name holds this.
    Moved(super::text_open::Which, String, super::text_follow::Followed),
    Authority(u32),
    Start(Job),
    /// An entry is marked as being in work; the job that works on it goes on.
    Marked(Job),
    /// A text is marked as being in work.
    TextMarked(super::text_open::Which),
    Booted,
    Frame(LinkId, Frame),
}

/// Rows that are committed together, and what happens then.
#[derive(Default)]
pub(super) struct Unit {
    pub(super) batch: Batch,
    pub(super) effects: Vec<Effect>,
}

/// A transaction under way.
struct Running {
    id: TransactionId,
    /// The last unit in it.
    upto: u64,
    effects: Vec<Effect>,
    /// The logs that grow by it, and how long they are then.
    grown: BTreeMap<u32, Vec<(u32, u64)>>,
}

#[derive(Default)]
pub(super) struct Commits {
    waiting: VecDeque<(u64, Unit)>,
    /// How many rows they write, and bytes.
    rows: usize,
    bytes: usize,
    running: Option<Running>,
    /// Written up to this unit, but tasks that began before that task number may have read older rows.
    written: VecDeque<(u64, u64)>,
    units: u64,
    pub(super) later: Vec<Job>,
    /// What could not be done just then, because storage could not be read or another entry was being marked, and the space each is about:
    /// nobody waits for it, but it has to be done.
    pub(super) unfinished: Vec<(u32, Job)>,
    /// Spaces that may have further frames to take in once the step that is running has ended.
    pub(super) next_frames: kith_map::BTreeSet<u32>,
    /// Spaces of which more may be welcome once the step that is running has ended.
    pub(super) ask_again: kith_map::BTreeSet<u32>,
    /// After a failure nothing is taken in from others until then, …
    pub(super) paused_until: u64,
    /// … after the next one for this long.
    pause: u64,
}

impl Commits {
    pub(super) fn is_crowded(&self) -> bool {
        self.waiting.len() >= MAX_WAITING || self.bytes + self.rows * ROW >= MANY
    }

    /// Whether anything is on its way to the store.
    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some() || !self.waiting.is_empty()
    }

    /// Whether work that writes step by step should let the store catch up.
    pub(super) fn is_ahead(&self) -> bool {
        self.waiting.len() >= AHEAD
    }
}

impl Peer {
    /// Takes in a unit: seen by every step from now on, committed soon.
    pub(super) fn write(&mut self, unit: Unit) {
        if unit.batch.is_empty() && self.commits.waiting.is_empty() && self.commits.running.is_none() {
            for effect in unit.effects {
                self.effect(effect);
            }
            return;
        }
        for space in self.spaces.values_mut() {
            space.note_fresh(&unit.batch);
        }
        self.texts.forget(&unit.batch.delete_ranges);
        self.commits.units += 1;
        self.overlay.push(self.commits.units, &unit.batch);
        self.commits.rows += unit.batch.puts.len();
        self.commits.bytes += unit.batch.bytes();
        self.commits.waiting.push_back((self.commits.units, unit));
    }

    /// Begins the next transaction if none is under way, and jobs that were put off.
    pub(super) fn commit_next(&mut self) {
        self.go_on();
        self.begin_transaction();
        if !self.commits.is_crowded() {
            self.go_on();
            self.begin_transaction();
        }
    }

    /// Begins jobs that were put off.
    fn go_on(&mut self) {
        while let Some(job) = self.commits.later.pop() {
            self.start(job);
        }
        while let Some(space) = self.commits.ask_again.pop_first() {
            self.ask_everyone(space);
        }
        for space in std::mem::take(&mut self.commits.next_frames) {
            self.ingest_next(space);
        }
        self.text_next();
    }

    fn begin_transaction(&mut self) {
        while self.commits.running.is_none() && !self.commits.waiting.is_empty() {
            let mut batch = Batch::default();
            let mut effects = Vec::new();
            let mut upto = 0;
            while let Some((_, unit)) = self.commits.waiting.front() {
                // A batch deletes before it puts, so a unit that deletes begins a transaction of its own.
                let deletes = !unit.batch.deletes.is_empty() || !unit.batch.delete_ranges.is_empty();
                let enough = batch.puts.len() >= ENOUGH_ROWS || batch.bytes() >= ENOUGH_BYTES;
                if upto > 0 && (enough || deletes) {
                    break;
                }
                let Some((number, unit)) = self.commits.waiting.pop_front() else { break };
                self.commits.rows = self.commits.rows.saturating_sub(unit.batch.puts.len());
                self.commits.bytes = self.commits.bytes.saturating_sub(unit.batch.bytes());
                batch.delete_ranges.extend(unit.batch.delete_ranges);
                batch.deletes.extend(unit.batch.deletes);
                batch.puts.extend(unit.batch.puts);
                if unit.batch.durability == Durability::Strict {
                    batch.durability = Durability::Strict;
                }
                effects.extend(unit.effects);
                upto = number;
            }
            if batch.is_empty() {
                for effect in effects {
                    self.effect(effect);
                }
                continue;
            }
            let id = TransactionId(self.number());
            let grown = grown_logs(&batch);
            self.commits.running = Some(Running { id, upto, effects, grown });
            self.outputs.push_back(Output::Commit(id, batch));
        }
    }

    pub(super) fn committed(&mut self, id: TransactionId) {
        let Some(done) = self.commits.running.take_if(|running| running.id == id) else { return };
        self.commits.written.push_back((done.upto, self.next));
        if !done.grown.is_empty() {
            self.commits.pause = 0;
        }
        for (space, logs) in &done.grown {
            if let Some(space) = self.spaces.get_mut(space) {
                for (number, len) in logs {
                    if let Some(log) = space.log_mut(*number) {
                        log.durable = (*len).min(log.tip.len);
                    }
                    space.note_stored(*number);
                }
            }
        }
        for effect in done.effects {
            self.effect(effect);
        }
        self.settle_early();
        for (space, logs) in done.grown {
            self.grew(space, &logs.iter().map(|(log, _)| *log).collect::<Vec<_>>());
            self.ingest_next(space);
        }
        self.forget_written();
    }

    /// Drops from the overlay what every running task would load from the store anyway.
    pub(super) fn forget_written(&mut self) {
        let oldest = self.tasks.first_key_value().map_or(u64::MAX, |(id, _)| id.0);
        while let Some((upto, at)) = self.commits.written.front().copied() {
            if oldest <= at {
                return;
            }
            self.overlay.forget(upto);
            self.commits.written.pop_front();
        }
    }

    /// A transaction failed: nothing decided since the last commit has happened. What memory says of it is dropped
    /// and read back from rows; running tasks begin again.
    pub(super) fn failed(&mut self, id: TransactionId, fault: &Fault) {
        let Some(Running { effects, .. }) = self.commits.running.take_if(|running| running.id == id) else { return };
        let waiting = std::mem::take(&mut self.commits.waiting);
        let lost = effects.into_iter().chain(waiting.into_iter().flat_map(|(_, unit)| unit.effects));
        let refusal = match fault {
            Fault::Full => Refusal::NoRoom,
            Fault::Broken(why) => Refusal::Storage(why.clone()),
        };
        for effect in lost {
            match effect {
                Effect::Reply(id, reply) => {
                    let writes = matches!(
                        reply,
                        Reply::Written { .. }
                            | Reply::Undone { .. }
                            | Reply::Imported { .. }
                            | Reply::SpaceCreated { .. }
                            | Reply::Invited(_)
                            | Reply::Joined(_)
                    );
                    // A read waited only for what it saw to be stored; it can be asked again.
                    self.reply(id, Reply::Refused(if writes { refusal.clone() } else { try_again() }));
                }
                Effect::Subscribed(id, ..) => self.reply(id, Reply::Refused(try_again())),
                Effect::Update(id, _) => self.put_off(id),
                _ => {}
            }
        }
        // Memory may be ahead of the store now: forget everything that can be read back, as after a crash.
        let first_start = self.keys.is_some() && !self.booted;
        self.overlay.clear();
        let pause = self.commits.pause.clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.commits = Commits {
            units: self.commits.units,
            paused_until: self.now + pause,
            pause: pause.saturating_mul(2),
            ..Commits::default()
        };
        self.spaces.clear();
        self.texts.care.forget_marks();
        self.texts.forget_all();
        self.preparing.clear();
        self.importing.clear();
        self.asked_about.clear();
        self.proofs.clear();
        self.seeking.clear();
        self.suspects.clear();
        self.early = super::laid::Early::default();
        self.careful.forget_marks();
        self.space_rows.clear();
        self.keys = None;
        self.booted = false;
        self.loads.clear();
        // Links hold what they were told of spaces; they begin again too.
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.hang_up(link, "storage");
        }
        self.inboxes = super::inbox::Inboxes::default();
        for (_, task) in std::mem::take(&mut self.tasks) {
            match task.job {
                Job::Request(id, request) => self.waiting_for_boot.push((id, request)),
                Job::Update(id) => self.put_off(id),
                _ => {}
            }
        }
        if first_start {
            self.give_up(Job::Boot, refusal);
        } else {
            self.start(Job::Boot);
        }
    }
}

fn try_again() -> Refusal {
    Refusal::Unavailable {
        detail: "The device's storage did not take a write just now, so this may not be up to date. Try again."
            .to_owned(),
        retry_after: 1,
    }
}

/// The logs whose rows a batch writes, by space, with their lengths.
fn grown_logs(batch: &Batch) -> BTreeMap<u32, Vec<(u32, u64)>> {
    let mut grown: BTreeMap<u32, Vec<(u32, u64)>> = BTreeMap::new();
    for (table, key, value) in &batch.puts {
        if *table == Table::Head
            && let Some(HeadKey::Log(log)) = read_head_key(key)
            && let Some(space) = key.first_chunk::<4>()
            && let Ok(row) = HeadRow::decode(value)
        {
            let logs = grown.entry(u32::from_be_bytes(*space)).or_default();
            logs.retain(|(known, _)| *known != log);
            logs.push((log, row.tip.len));
        }
    }
    grown
}
