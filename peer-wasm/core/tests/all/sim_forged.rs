//! A million entries nobody honest writes, through the full gate of whole peers: frames from a link, signatures, who may
//! do what, opening, merging, storing. Members with real keys sign crafted bodies of every kind of value; others send
//! entries with changed bytes. Honest peers get the same in different orders, one of them only from the others. None
//! may panic, stall or fill up, all must agree, and go on working. A sample in ordinary runs, all with `KITH_LONG=1`:
//!
//! ```text
//! KITH_LONG=1 cargo test --release -p kith-core --test all sim_forged -- --nocapture
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;
use crate::forging;

use common::for_each_seed;
use forging::{PARTS, PLACES, Scene, Tried, WRONGS, mutate, parts, path};
use kith_core::api::{Refusal, Reply, Request, Role};
use kith_core::clock::{Clock, MAX_AHEAD};
use kith_core::codec::Writer;
use kith_core::document::Opened;
use kith_core::entry::{Dep, Entry, Kind, MAX_BODY, Pruned, PrunedRange, Tip, Verified};
use kith_core::epoch::EpochKey;
use kith_core::identity::{PublicKey, SecretKey};
use kith_core::path::Path;
use kith_core::records::{Checkpoint, Device, Epoch, Genesis, Grant};
use kith_core::rows::{KeyRange, Table};
use kith_core::sim::{Dice, Hostile, NodeId, Outcome, Promise, Story};
use kith_core::version::Agent;
use kith_core::wire::Frame;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// What a list names and could not go for long is tried again once an hour.
const SETTLE: u64 = 2 * 3_600_000;
const PATIENCE: u64 = 60_000;
/// Entries in the logs of one story's authors; what is sent besides comes on top.
const ENTRIES: usize = 1_600;
/// How many events one frame may lead to: a peer that goes round in circles is found by it, however fast it goes.
const MAX_EVENTS: u64 = 20_000;
/// No frame may take longer; on Linux only what the processor works on it counts, however busy the machine.
const MAX_STALL: Duration = Duration::from_secs(20);
/// A peer's rows may take this much more than what its logs hold, …
const MAX_GROWTH: u64 = 6;
/// … and this many bytes.
const ROOM: u64 = 2 << 20;

/// Kinds of entries with signatures that hold.
const ENTRIES_SIGNED: [&str; 9] = [
    "op",
    "head with changed bytes",
    "seal with changed bytes",
    "checkpoint",
    "pruned",
    "grant",
    "epoch",
    "many deps",
    "fork",
];
/// What is sent besides the logs, and must be refused or change nothing.
const REFUSED: [&str; 14] = [
    "changed bytes",
    "changed frame",
    "forged author",
    "wrong signature",
    "another space",
    "wrong prev",
    "gap",
    "replay",
    "clock runs back",
    "clock ahead",
    "above the size limit",
    "later kind of entry",
    "record that may not be",
    "second founding",
];
/// What must have been refused by name.
const REASONS: [&str; 12] = [
    "bad-signature",
    "clock-runs-back",
    "device",
    "future-clock",
    "gap",
    "genesis",
    "kind-not-supported",
    "malformed",
    "malformed-frame",
    "not-allowed",
    "replay",
    "wrong-space",
];

/// What came of it all.
#[derive(Default)]
struct Totals {
    tried: Tried,
    refused: BTreeMap<&'static str, u64>,
    /// Entries made, each counted once, however many peers it was sent to.
    entries: u64,
    accepted: u64,
    slowest: Duration,
    busiest: u64,
    /// Per mille: bytes of rows, of bytes of logs.
    growth: u64,
}

/// How long this thread has worked; where the system does not say, how late it is.
fn worked() -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = said.and_then(|said| said.split(' ').next().and_then(|nanos| nanos.parse().ok()));
    nanos.map_or_else(|| BEGAN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

struct Attack {
    story: Story,
    /// The member whose peer is gone, and authors that are never online; the first carries what all write.
    authors: Vec<Hostile>,
    honest: Vec<NodeId>,
    dice: Dice,
    scene: Scene,
    clock: u64,
    /// How many bad things were sent: each kind has its turn.
    turn: usize,
    told: Totals,
}

impl Attack {
    fn begin(seed: u64) -> Result<Attack, String> {
        let mut story = Story::joined(seed, 4)?;
        for node in 0..4 {
            story.write_own(node);
        }
        story.settle(SETTLE)?;
        // Now a writer turns hostile, now the founder.
        let taken = if seed.is_multiple_of(3) { 0 } else { 3 };
        let member = Hostile::possess(&mut story, taken).ok_or("the member could not be taken over")?;
        story.members.retain(|(node, _)| *node != taken);
        let honest: Vec<NodeId> = story.members.iter().map(|(node, _)| *node).collect();
        let mut authors: Vec<Hostile> = (0..3).filter_map(|_| Hostile::absent(&mut story, &member)).collect();
        authors.insert(0, member);
        let logs = authors.iter().map(|author| (author.key.public(), author.tip().len)).collect();
        let scene = Scene { me: Agent([0; 10]), seq: 0, logs, texts: vec![Vec::new(); 2] };
        let clock = story.world.now();
        Ok(Attack {
            story,
            authors,
            honest,
            dice: Dice::new(seed ^ 0xf04e),
            scene,
            clock,
            turn: 0,
            told: Totals::default(),
        })
    }

    fn note(&mut self, what: &'static str) {
        *self.told.tried.entry(what).or_default() += 1;
    }

    /// The founder's own devices may do what writers may not.
    fn is_owner(&self, who: usize) -> bool {
        who == 0 && self.authors[0].node == 0
    }

    /// Times rise by a little, so that none lies ahead of what peers take.
    fn time(&mut self) -> u64 {
        self.clock += 1;
        Clock::new(self.clock, self.dice.below(1 << 16) as u16).0
    }

    fn head(clock: u64) -> Vec<u8> {
        Writer::new().u8(1).fixed(&clock.to_be_bytes()).text("").finish()
    }

    fn op(&mut self, who: usize, tip: Tip, clock: u64) -> Verified {
        (self.scene.me, self.scene.seq) = (Agent::of(&self.authors[who].key.public().0), tip.len);
        loop {
            let parts = parts(&mut self.dice, &mut self.scene, &mut self.told.tried);
            let entry = self.authors[who].parts(tip, &Self::head(clock), &parts);
            // Several huge parts may be too much together: nobody takes that, and the log would end before it.
            if entry.body().len() <= MAX_BODY {
                return entry;
            }
        }
    }

    /// The next entry of a log: signed by its author, and in its place.
    fn next(&mut self, who: usize) {
        let (tip, time) = (self.authors[who].tip(), self.time());
        let owner = self.is_owner(who);
        let entry = match self.dice.below(60) {
            0 => {
                self.note("head with changed bytes");
                let mut head = Self::head(time);
                mutate(&mut self.dice, &mut head);
                // By chance it may still say a time, and another one: then the log would end here.
                if head.len() >= 9 {
                    head[0] = 2;
                }
                self.authors[who].parts(tip, &head, &[])
            }
            1 => {
                self.note("seal with changed bytes");
                let mut body = self.op(who, tip, time).body().to_vec();
                let at = self.dice.below(24) as usize;
                body[at] ^= 1 << self.dice.below(8);
                self.authors[who].entry(tip, Kind::Op, &body, Vec::new())
            }
            2 => {
                self.note("many deps");
                let body = self.op(who, tip, time).body().to_vec();
                let mut deps: Vec<Dep> = (0..self.dice.below(64))
                    .map(|_| {
                        let (log, len) = self.scene.logs[self.dice.below(4) as usize];
                        Dep { log, seq: self.dice.below(len + 9), hash: [self.dice.number() as u8; 32] }
                    })
                    .collect();
                deps.sort_by_key(|dep| (dep.log.0, dep.seq));
                deps.dedup_by_key(|dep| dep.log);
                self.authors[who].entry(tip, Kind::Op, &body, deps)
            }
            3 if owner => self.checkpoint(who, tip),
            4 if owner => {
                self.note("grant");
                let grant = Grant::invite(Role::Reader, SecretKey::from_seed(&self.dice.seed()).public());
                self.authors[who].entry(tip, Kind::Grant, &grant.encode(), Vec::new())
            }
            5 if owner => {
                self.note("epoch");
                let epoch = Epoch { commit: EpochKey::new(self.dice.seed()).commit(), wraps: Vec::new() };
                self.authors[who].entry(tip, Kind::Epoch, &epoch.encode(), Vec::new())
            }
            _ => {
                self.note("op");
                self.op(who, tip, time)
            }
        };
        self.authors[who].log.push(entry);
        self.scene.logs[who].1 += 1;
        self.told.entries += 1;
    }

    fn checkpoint(&mut self, who: usize, tip: Tip) -> Verified {
        self.note("checkpoint");
        let whole = self.dice.once_in(3);
        let len_of = |dice: &mut Dice, len: u64| if whole { len } else { dice.below(len + 3) };
        let frontier = self.scene.logs.iter().map(|(log, len)| (*log, len_of(&mut self.dice, *len))).collect();
        let stable = Clock::new(self.clock - self.dice.below(300), 0).0;
        let pruned = if self.dice.once_in(2) { self.pruned(who, tip) } else { Vec::new() };
        let body = Checkpoint { stable, frontier, pruned }.encode();
        self.authors[who].entry(tip, Kind::Checkpoint, &body, Vec::new())
    }

    /// Entries that an owner lets go, whatever is in them; now and then not even truly.
    fn pruned(&mut self, who: usize, tip: Tip) -> Vec<PrunedRange> {
        self.note("pruned");
        let mut ranges = Vec::new();
        for author in &self.authors {
            let mut from = 1 + self.dice.below(20);
            for _ in 0..self.dice.below(3) {
                let to = from + 1 + self.dice.below(60);
                let last = author.log.get(to as usize - 1).filter(|_| !self.dice.once_in(20));
                let hash = last.map_or([7; 32], |last| last.hash());
                let at = if self.dice.once_in(20) { tip.len + 1 } else { tip.len };
                let (key, log) = (&self.authors[who].key, author.key.public());
                ranges.push(Pruned::sign(key, &author.space, log, from, Tip { len: to, hash }, at).range);
                from = to + self.dice.below(40);
            }
        }
        ranges.sort_by_key(|range| (range.log, range.from));
        ranges
    }

    /// Something that has no place in a log, and the bytes of the frame that brings it.
    fn bad(&mut self, who: usize) -> Vec<u8> {
        let what = REFUSED[self.turn % REFUSED.len()];
        self.turn += 1;
        self.note(what);
        self.told.entries += 1;
        let (tip, time) = (self.authors[who].tip(), self.time());
        let space = self.authors[who].space;
        let known = self.dice.below(self.authors[who].log.len() as u64) as usize;
        let known = self.authors[who].log[known].raw().to_vec();
        let raw = match what {
            "changed bytes" => {
                let fresh = self.op(who, tip, time).raw().to_vec();
                let mut raw = if self.dice.once_in(2) { known } else { fresh };
                mutate(&mut self.dice, &mut raw);
                raw
            }
            "changed frame" => {
                // After a gap: left as it is, it would be the next of its log.
                let fresh = self.op(who, Tip { len: tip.len + 1, hash: [9; 32] }, time).raw().to_vec();
                let mut frame = Frame::entries(space, [known, fresh]).encode();
                mutate(&mut self.dice, &mut frame);
                return frame;
            }
            "forged author" => {
                let other = self.authors[(who + 1) % 4].key.public();
                let mut raw = self.op(who, tip, time).raw().to_vec();
                raw[34..66].copy_from_slice(&other.0);
                raw
            }
            "wrong signature" => {
                let entry = self.op(who, tip, time);
                let mut raw = entry.raw().to_vec();
                raw[entry.signed_part().len() - 1 - self.dice.below(64) as usize] ^= 1;
                raw
            }
            "another space" => {
                let body = self.op(who, tip, time).body().to_vec();
                let epoch = Some(self.authors[who].epoch.id());
                let key = &self.authors[who].key;
                Entry::sign(key, PublicKey([8; 32]), tip, Kind::Op, epoch, Vec::new(), &body).raw().to_vec()
            }
            "wrong prev" => self.op(who, Tip { len: tip.len, hash: [9; 32] }, time).raw().to_vec(),
            "gap" => {
                let ahead = 1 + if self.dice.once_in(4) { u64::MAX / 2 } else { self.dice.below(50) };
                self.op(who, Tip { len: tip.len + ahead, hash: [9; 32] }, time).raw().to_vec()
            }
            "replay" => known,
            "clock runs back" => self.op(who, tip, Clock::new(self.story.world.now() - 3_600_000, 0).0).raw().to_vec(),
            "clock ahead" => {
                let far = self.story.world.now() + MAX_AHEAD * (100 + self.dice.below(100_000));
                self.op(who, tip, Clock::new(far, 0).0).raw().to_vec()
            }
            "above the size limit" => {
                self.authors[who].entry(tip, Kind::Checkpoint, &vec![0; MAX_BODY + 1], Vec::new()).raw().to_vec()
            }
            "later kind of entry" => {
                let mut raw = self.op(who, tip, time).raw().to_vec();
                raw[1] = [5, 6, 8, 13, 15, 200][self.dice.below(6) as usize];
                raw
            }
            "record that may not be" => self.bad_record(who, tip),
            _ => {
                let genesis = Genesis { owners: vec![self.authors[who].key.public()], created: 0 };
                self.authors[who].entry(tip, Kind::Genesis, &genesis.encode(), Vec::new()).raw().to_vec()
            }
        };
        Frame::entries(space, [raw]).encode()
    }

    fn bad_record(&mut self, who: usize, tip: Tip) -> Vec<u8> {
        let identity = SecretKey::from_seed(&self.dice.seed());
        let author = &self.authors[who];
        let device = Device::new(&identity, &author.space, &author.key.public(), [1; 32], Vec::new()).encode();
        // What only owners may do is no offence of theirs.
        let (kind, mut body) = match self.turn / REFUSED.len() % if self.is_owner(who) { 2 } else { 5 } {
            0 => (Kind::Device, device),
            1 => (Kind::Grant, b"no grant".to_vec()),
            2 => (Kind::Grant, Grant::invite(Role::Owner, identity.public()).encode()),
            3 => (Kind::Epoch, Epoch { commit: EpochKey::new([7; 32]).commit(), wraps: Vec::new() }.encode()),
            _ => {
                self.note("checkpoint");
                let frontier = self.scene.logs.iter().map(|(log, len)| (*log, self.dice.below(len + 3))).collect();
                (Kind::Checkpoint, Checkpoint { stable: self.clock << 16, frontier, ..Checkpoint::default() }.encode())
            }
        };
        if !self.is_owner(who) && self.dice.once_in(3) {
            mutate(&mut self.dice, &mut body);
        }
        self.note(match kind {
            Kind::Grant => "grant",
            Kind::Epoch => "epoch",
            _ => "record that may not be",
        });
        self.authors[who].entry(tip, kind, &body, Vec::new()).raw().to_vec()
    }

    /// Brings a frame to a peer and lets it work, within bounds.
    fn bring(&mut self, victim: NodeId, bytes: Vec<u8>) -> Result<(), String> {
        let carrier = &self.authors[0];
        if self.story.world.link_between(carrier.node, victim).is_none() {
            carrier.greet(&mut self.story.world, victim);
        }
        let (began, steps) = (worked(), self.story.world.steps);
        carrier.shout(&mut self.story.world, victim, bytes);
        self.story.world.run(200);
        while self.story.world.heard(carrier.node).is_some() {}
        let (took, steps) = (worked().saturating_sub(began), self.story.world.steps - steps);
        self.told.slowest = self.told.slowest.max(took);
        self.told.busiest = self.told.busiest.max(steps);
        if took > MAX_STALL || steps > MAX_EVENTS {
            return Err(format!("a frame kept peer {victim} busy for {took:?} and {steps} events"));
        }
        Ok(())
    }

    /// Only the carrier reaches this peer.
    fn alone_with(&mut self, victim: NodeId) {
        let carrier = self.authors[0].node;
        self.story.world.divide(|node| if node == victim || node == carrier { 99 } else { node as u64 });
    }

    /// All the logs to one peer, a portion of one, then of another, with bad things between.
    fn deliver(&mut self, victim: NodeId, bad: usize) -> Result<(), String> {
        self.alone_with(victim);
        let mut at = [0; 4];
        let lens: Vec<usize> = self.authors.iter().map(|author| author.log.len()).collect();
        let mut bad_left = bad;
        while (0..4).any(|who| at[who] < lens[who]) {
            let who = self.dice.below(4) as usize;
            let count = 1 + self.dice.below(60) as usize;
            let log = &self.authors[who].log;
            let part: Vec<Vec<u8>> = log[at[who]..].iter().take(count).map(|entry| entry.raw().to_vec()).collect();
            if part.is_empty() {
                continue;
            }
            at[who] += part.len();
            let share = part.len() * bad / lens.iter().sum::<usize>() + 1;
            // Frames have a limit, and an honest sender keeps it.
            let mut part = part.into_iter().peekable();
            while let Some(first) = part.next() {
                let mut size = first.len();
                let mut frame = vec![first];
                while let Some(next) = part.next_if(|next| frame.len() < 8 && size + next.len() < MAX_BODY) {
                    size += next.len();
                    frame.push(next);
                }
                let frame = Frame::entries(self.authors[0].space, frame).encode();
                self.bring(victim, frame)?;
            }
            for _ in 0..share.min(bad_left) {
                let who = self.dice.below(4) as usize;
                let frame = self.bad(who);
                self.bring(victim, frame)?;
                bad_left -= 1;
            }
        }
        Ok(())
    }

    fn go(&mut self) -> Result<(), String> {
        for _ in 0..ENTRIES {
            let who = self.dice.below(4) as usize;
            self.next(who);
        }
        // Nobody's time is ahead, whatever was written.
        self.story.world.run((self.clock - self.story.world.now().min(self.clock)) + 1_000);
        let [first, second, third] = [self.honest[0], self.honest[1], self.honest[2]];
        self.deliver(first, ENTRIES / 5)?;
        let mut written = vec![self.write(first)];
        self.deliver(second, ENTRIES / 20)?;
        written.push(self.write(second));
        // The last author says one thing here and another there, to those that have all it said before: a peer that was not
        // told yet that it is a member has nothing of it.
        let (tip, time) = (self.authors[3].tip(), self.time());
        let both = [first, second];
        let know = both.map(|victim| self.taken(victim).get(3) == Some(&tip.len)) == [true, true];
        if know {
            self.note("fork");
        }
        for victim in both.into_iter().filter(|_| know) {
            self.alone_with(victim);
            // What a list in a branch that does not count in the end had its one reader erase is gone there alone.
            let entry = loop {
                let entry = self.op(3, tip, time);
                let opened =
                    Opened::open(&self.authors[3].epoch, &entry.header.space, &entry.header.log, tip.len, entry.body());
                if opened.is_none_or(|opened| opened.redactions.is_empty()) {
                    break entry;
                }
            };
            self.told.entries += 1;
            let frame = Frame::entries(entry.header.space, [entry.raw().to_vec()]).encode();
            self.bring(victim, frame)?;
        }
        self.story.world.trace = std::env::var_os("KITH_TRACE").map(|_| (|line: &str| eprintln!("{line}")) as fn(&str));
        self.story.calm();
        self.agree()?;
        written.push(self.write(third));
        let after: Vec<usize> = self.honest.clone().into_iter().map(|node| self.write(node)).collect();
        self.agree()?;
        self.unharmed(&[written, after.clone()].concat(), &after)?;
        self.measure()
    }

    /// Something honest. While the tree is made anew a peer asks to try again in a moment, and that is done.
    fn write(&mut self, node: NodeId) -> usize {
        let mut number = 0;
        for _ in 0..30 {
            number = self.story.write_own(node);
            self.story.world.run(1_000);
            self.story.collect();
            let outcome = &self.story.ledger.promises[number].outcome;
            if !matches!(outcome, Outcome::Refused(Refusal::Unavailable { .. })) {
                break;
            }
        }
        number
    }

    fn agree(&mut self) -> Result<(), String> {
        let began = worked();
        self.story.world.run(5_000);
        if let Err(what) = self.story.settle(SETTLE) {
            return Err(format!("{what}; {}", self.standing()));
        }
        // Each place by itself: texts and lists are put together when they are asked for.
        let mut places: Vec<Path> = PLACES.iter().map(|place| path(place)).collect();
        places.push(Path::root());
        for place in places {
            let shown: Vec<String> = self.honest.iter().map(|node| shown(&mut self.story, *node, &place)).collect();
            if shown.iter().any(|one| *one != shown[0]) {
                // From a little before where they part.
                let same = |one: &String| one.chars().zip(shown[0].chars()).take_while(|(a, b)| a == b).count();
                let from = shown.iter().map(same).min().unwrap_or(0).saturating_sub(200);
                let cut: Vec<String> = shown.iter().map(|one| one.chars().skip(from).take(600).collect()).collect();
                return Err(format!("`{place}` is not alike: {cut:#?}"));
            }
        }
        let took = worked().saturating_sub(began);
        if took > 10 * MAX_STALL {
            return Err(format!("it took {took:?} to agree"));
        }
        Ok(())
    }

    /// How much each honest peer has of each log, and of which it knows a fork.
    /// How many entries of each author a peer has taken.
    fn taken(&mut self, node: NodeId) -> Vec<u64> {
        let request = Request::Members { space: self.story.space_ref() };
        let Some(Reply::Document(members)) = self.story.world.ask_for(node, request, PATIENCE) else {
            return Vec::new();
        };
        let devices = members["items"].as_array().into_iter().flatten().filter_map(|item| item["devices"].as_array());
        let devices: Vec<_> = devices.flatten().collect();
        let of = |peer: String| devices.iter().find(|device| device["peer"] == peer.as_str());
        let known = self.authors.iter().map(|author| of(author.key.public().peer_id()));
        known.map(|device| device.map_or(0, |device| device["entries"].as_u64().unwrap_or(0))).collect()
    }

    fn standing(&mut self) -> String {
        let space = self.story.space_ref();
        let mut said = String::new();
        for node in self.honest.clone() {
            let members = self.story.world.ask_for(node, Request::Members { space: space.clone() }, PATIENCE);
            let Some(Reply::Document(members)) = members else { continue };
            let devices = members["items"].as_array().into_iter().flatten().flat_map(|item| item["devices"].as_array());
            let told = devices
                .flatten()
                .map(|device| format!("{} {} {}", device["agent"], device["entries"], device["forked"]));
            said += &format!("peer {node}: {:?}; ", told.collect::<Vec<_>>());
        }
        said
    }

    /// What honest peers wrote was acknowledged; what they wrote last is shown by all.
    fn unharmed(&mut self, written: &[usize], last: &[usize]) -> Result<(), String> {
        self.story.collect();
        for number in written {
            let promise = &self.story.ledger.promises[*number];
            if promise.outcome != Outcome::Kept && !self.is_ruled_out(promise) {
                return Err(format!("not acknowledged: {promise:?}"));
            }
        }
        for number in last {
            let promise = self.story.ledger.promises[*number].clone();
            if self.is_ruled_out(&promise) {
                continue;
            }
            for node in self.honest.clone() {
                let said = shown(&mut self.story, node, &path(&promise.path));
                if !said.starts_with("Value") {
                    return Err(format!("peer {node} does not show {promise:?}: {said}"));
                }
            }
        }
        Ok(())
    }

    /// An owner may lay down how everything is merged; a plain value is refused then.
    fn is_ruled_out(&self, promise: &Promise) -> bool {
        self.is_owner(0) && matches!(promise.outcome, Outcome::Refused(Refusal::WrongKind { .. }))
    }

    fn measure(&mut self) -> Result<(), String> {
        let logs: u64 = self.authors.iter().flat_map(|author| &author.log).map(|entry| entry.raw().len() as u64).sum();
        for node in self.honest.clone() {
            let disk = &self.story.world.nodes[node].disk;
            let all = KeyRange { start: Vec::new(), end: vec![0xff; 64] };
            let rows = Table::ALL.into_iter().flat_map(|table| disk.all(table, all.clone()));
            let bytes: u64 = rows.map(|(key, value)| (key.len() + value.len()) as u64).sum();
            self.told.growth = self.told.growth.max(bytes * 1000 / logs);
            if bytes > logs * MAX_GROWTH + ROOM {
                return Err(format!("peer {node} stores {bytes} bytes for logs of {logs}"));
            }
            for (why, times) in &self.story.world.nodes[node].refused {
                *self.told.refused.entry(why).or_default() += times;
            }
        }
        let taken = self.taken(self.honest[2]);
        self.told.accepted = taken.iter().sum();
        let made: usize = self.authors.iter().map(|author| author.log.len()).sum();
        // One whose time runs back is stored if it comes while the tree is made anew, and its log says no more.
        let is_whole =
            |(author, taken): (&Hostile, &u64)| (0..2).contains(&taken.wrapping_sub(author.log.len() as u64));
        if taken.len() != 4 || !self.authors.iter().zip(&taken).all(is_whole) {
            let standing = self.standing();
            return Err(format!("{} entries of {made} were accepted; {standing}", self.told.accepted));
        }
        Ok(())
    }
}

/// All a peer says of a place, but not who else has it.
fn shown(story: &mut Story, node: NodeId, place: &Path) -> String {
    let request = Request::Get { space: story.space_ref(), path: place.clone(), parents: Vec::new() };
    match story.world.ask_for(node, request, PATIENCE) {
        Some(Reply::Value { body, version, facts, .. }) => format!("Value {body:?} {version:?} {facts:?}"),
        other => format!("{other:?}"),
    }
}

/// Bytes of memory this process holds, where the system says so.
fn resident() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(told.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

#[test]
fn what_nobody_honest_writes_harms_nobody() {
    let totals = Mutex::new(Totals::default());
    let memory = Mutex::new(Vec::new());
    let began = Instant::now();
    for_each_seed(3, 530, |seed| {
        let mut attack = Attack::begin(seed)?;
        attack.go()?;
        let told = attack.told;
        drop(attack.story);
        let mut totals = totals.lock().unwrap();
        for (what, times) in told.tried {
            *totals.tried.entry(what).or_default() += times;
        }
        for (why, times) in told.refused {
            *totals.refused.entry(why).or_default() += times;
        }
        totals.entries += told.entries;
        totals.accepted += told.accepted;
        totals.slowest = totals.slowest.max(told.slowest);
        totals.busiest = totals.busiest.max(told.busiest);
        totals.growth = totals.growth.max(told.growth);
        memory.lock().unwrap().extend(resident());
        Ok(())
    });
    let (totals, memory) = (totals.into_inner().unwrap(), memory.into_inner().unwrap());
    println!("{} entries in {:?}, {} accepted by whole peers", totals.entries, began.elapsed(), totals.accepted);
    println!("tried: {:?}", totals.tried);
    println!("refused, by three peers: {:?}", totals.refused);
    println!(
        "slowest frame {:?}, {} events; rows of {} per mille of the logs; memory {:?} to {:?}",
        totals.slowest,
        totals.busiest,
        totals.growth,
        memory.first(),
        memory.last()
    );
    if std::env::var_os("KITH_SEED").is_some() || std::env::var_os("KITH_SEEDS").is_some() {
        return;
    }
    for what in PARTS.iter().chain(&WRONGS).chain(&ENTRIES_SIGNED).chain(&REFUSED) {
        assert!(totals.tried.contains_key(what), "nothing of this was tried: {what}");
    }
    for why in REASONS {
        assert!(totals.refused.contains_key(why), "nothing was refused as `{why}`");
    }
    assert!(totals.entries >= if std::env::var_os("KITH_LONG").is_some() { 1_000_000 } else { 5_000 });
    // What one story took is given back before the next: a tenth of the run shows how much one needs.
    let early = memory.iter().take(memory.len() / 10 + 1).max();
    let late = memory.iter().rev().take(memory.len() / 10 + 1).min();
    if let (Some(early), Some(late)) = (early, late) {
        assert!(*late < early + (256 << 20), "memory grew from {early} to {late} bytes");
    }
}
