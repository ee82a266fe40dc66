//! The start: find the keys and spaces in the store, or make them.

use super::commit::{Effect, Unit};
use super::rows::{self, SpaceRow};
use super::space::Space;
use super::{Done, Job, Keys, Output, Peer};
use crate::document::redaction::Target;
use crate::document::{Op, Ops};
use crate::entry::{Entry, Kind, Verified};
use crate::epoch::{EpochKey, Wrap, WrapKey};
use crate::identity::{PublicKey, SecretKey};
use crate::lens::{Lens, Miss};
use crate::records::{Device, Epoch, Genesis};
use crate::rows::{Batch, Durability, KeyRange, Table};
use crate::version::Agent;
use kith_map::BTreeSet;

/// The founder's name for its private space.
const ME_NAME: &str = "Me";

/// Entries on their way into a space's rows.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) batch: Batch,
    /// What is in the tree from now on.
    runs: Vec<rows::Run>,
    /// The logs that have grown.
    grown: BTreeSet<u32>,
}

impl Draft {
    /// Takes in an entry that follows its log's tip.
    pub(super) fn entry(&mut self, space: &mut Space, log: u32, entry: &Verified) {
        let seq = entry.header.seq;
        let key = rows::entry_key(space.number, log, seq);
        self.batch.puts.push((Table::Tail, key, entry.raw().to_vec()));
        self.note(space, log, entry);
    }

    /// Notes an entry whose bytes are kept elsewhere.
    pub(super) fn note(&mut self, space: &mut Space, log: u32, entry: &Verified) {
        let seq = entry.header.seq;
        if entry.header.kind != Kind::Op
            && let Ok(Some(record)) = crate::authority::Record::of(entry)
        {
            let value = rows::encode_record(entry.header.kind, entry.body());
            self.batch.puts.push((Table::Head, rows::record_key(space.number, log, seq), value));
            space.records.insert((log, seq), record);
        }
        if let Some(log) = space.log_mut(log) {
            log.tip = crate::entry::Tip { len: seq + 1, hash: entry.hash() };
        }
        self.grown.insert(log);
    }

    /// Notes that entries are in the tree now, for the feed of changes.
    pub(super) fn arrived(&mut self, log: u32, from: u64, count: u64) {
        match self.runs.last_mut() {
            _ if count == 0 => {}
            Some(run) if run.log == log && run.from + run.count == from => run.count += count,
            _ => self.runs.push(rows::Run { log, from, count }),
        }
    }

    /// Adds the rows of the logs touched and of the arrival, and gives the batch.
    pub(super) fn finish(mut self, space: &mut Space) -> Batch {
        if !self.runs.is_empty() {
            let key = rows::arrival_key(space.number, space.arrivals);
            self.batch.puts.push((Table::Arrival, key, rows::encode_arrival(&self.runs)));
            space.arrivals += 1;
        }
        for number in std::mem::take(&mut self.grown) {
            self.head(space, number);
        }
        self.batch
    }

    /// Adds the row of a log.
    pub(super) fn head(&mut self, space: &Space, number: u32) {
        if let Some(log) = space.logs.get(number as usize) {
            self.batch.puts.push((Table::Head, rows::head_key(space.number, number), log.row()));
        }
    }

    /// Adds the row of the space.
    pub(super) fn space(&mut self, space: &Space) {
        self.batch.puts.push((Table::Meta, rows::space_key(space.number), space.row.encode()));
    }
}

impl Peer {
    pub(super) fn boot(&mut self, lens: &Lens<'_>) -> Result<Done, Miss> {
        let all = KeyRange { start: Vec::new(), end: vec![0xff] };
        let meta = lens.scan(Table::Meta, &all, usize::MAX / 2, false)?;
        let find = |key: &[u8]| meta.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_slice());
        let seed = |key: &[u8]| find(key).and_then(|value| <[u8; 32]>::try_from(value).ok());
        let me = find(rows::ME).and_then(|value| Some(u32::from_be_bytes(value.try_into().ok()?)));
        self.space_rows = meta
            .iter()
            .filter_map(|(key, value)| Some((rows::space_of_key(key)?, SpaceRow::decode(value).ok()?)))
            .collect();
        if let (Some(device), Some(identity), Some(me)) = (seed(rows::DEVICE), seed(rows::IDENTITY), me) {
            self.set_keys(SecretKey::from_seed(&device), SecretKey::from_seed(&identity));
            self.me = me;
            let mut batch = self.recall_deaths(&meta);
            self.recall_texts(&meta, &mut batch);
            return Ok(Done::Write(Unit { batch, effects: vec![Effect::Booted] }));
        }
        let device = SecretKey::generate(&mut self.entropy);
        let identity = SecretKey::generate(&mut self.entropy);
        self.set_keys(device.clone(), identity.clone());
        let (number, mut batch) = self.found(ME_NAME);
        self.me = number;
        batch.puts.push((Table::Meta, rows::DEVICE.to_vec(), device.seed().to_vec()));
        batch.puts.push((Table::Meta, rows::IDENTITY.to_vec(), identity.seed().to_vec()));
        batch.puts.push((Table::Meta, rows::ME.to_vec(), number.to_be_bytes().to_vec()));
        Ok(Done::Write(Unit { batch, effects: vec![Effect::Booted] }))
    }

    fn set_keys(&mut self, device: SecretKey, identity: SecretKey) {
        let wrap = WrapKey::from_seed(&blake3::derive_key("kith 2026 device wrap v1", device.seed().as_slice()));
        self.keys = Some(Keys { device, identity, wrap });
    }

    pub(super) fn booted(&mut self) {
        self.booted = true;
        for (id, request) in std::mem::take(&mut self.waiting_for_boot) {
            self.start(Job::Request(id, request));
        }
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.open_link(link);
        }
        self.resume_updates();
        self.plan_dials();
        self.outputs.push_back(Output::WakeAt(self.now));
    }

    /// Founds a space owned by this peer's identity.
    pub(super) fn found(&mut self, name: &str) -> (u32, Batch) {
        let root = SecretKey::generate(&mut self.entropy);
        let epoch = EpochKey::generate(&mut self.entropy);
        let number = self.space_rows.last_key_value().map_or(0, |(last, _)| last + 1);
        let key = root.public();
        let row = SpaceRow {
            key,
            epochs: vec![epoch.clone()],
            ticket: None,
            joined: true,
            archive: false,
            name: name.to_owned(),
        };
        let mut space = Space::new(number, row);
        let mut draft = Draft::default();
        let Some(keys) = &self.keys else { return (number, Batch::default()) };
        let device = keys.device.public();
        let genesis = Genesis { owners: vec![keys.identity.public()], created: self.now };
        let wraps = Wrap::new(&epoch, &key, keys.wrap.public(), &mut self.entropy).into_iter().collect();
        let epoch_record = Epoch { commit: epoch.commit(), wraps };
        let device_record = Device::new(&keys.identity, &key, &device, keys.wrap.public(), self.relays.clone());

        let root_log = space.number_of(key);
        let genesis = Entry::sign(&root, key, crate::entry::Tip::EMPTY, Kind::Genesis, None, vec![], &genesis.encode());
        draft.entry(&mut space, root_log, &genesis);
        let own = space.number_of(device);
        self.author(&mut space, &mut draft, own, Kind::Device, &device_record.encode());
        self.author(&mut space, &mut draft, own, Kind::Epoch, &epoch_record.encode());

        let clock = self.hlc.now(self.now).0;
        let ops = Ops { clock, id: String::new(), list: vec![Op::name(name)] };
        let seq = self.author_ops(&mut space, &mut draft, own, &epoch, &ops);
        let above = ops.list.iter().flat_map(|op| op.path.ancestors());
        for place in above.collect::<BTreeSet<_>>() {
            let row = crate::document::ViewRow { container: true, ..Default::default() };
            draft.batch.puts.push((Table::View, crate::document::view_key(number, &place), row.encode()));
        }
        let items = ops.into_items(Agent::of(&device.0), seq);
        draft.batch.puts.extend(crate::history::rows(number, own, &items));
        draft.batch.puts.push((Table::Head, rows::index_key(number), rows::encode_behind(&[])));
        for item in items {
            let row = crate::document::ViewRow { register: Some(item.register), ..Default::default() };
            draft.batch.puts.push((Table::View, crate::document::view_key(number, &item.path), row.encode()));
        }
        for log in &mut space.logs {
            log.applied = log.tip.len;
            log.clock = clock;
        }
        space.judge();
        draft.space(&space);
        draft.batch.puts.push((Table::Meta, [b"root/", &number.to_be_bytes()[..]].concat(), root.seed().to_vec()));
        draft.batch.durability = Durability::Strict;
        self.space_rows.insert(number, space.row.clone());
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        (number, batch)
    }

    /// Writes an entry of this device into its log.
    pub(super) fn author(&mut self, space: &mut Space, draft: &mut Draft, own: u32, kind: Kind, body: &[u8]) {
        let (Some(keys), Some(log)) = (&self.keys, space.logs.get(own as usize)) else { return };
        let entry = Entry::sign(&keys.device, space.row.key, log.tip, kind, None, Vec::new(), body);
        draft.entry(space, own, &entry);
    }

    /// Seals ops and writes them into this device's log. Gives the entry's place.
    pub(super) fn author_ops(
        &mut self,
        space: &mut Space,
        draft: &mut Draft,
        own: u32,
        epoch: &EpochKey,
        ops: &Ops,
    ) -> u64 {
        self.author_redacting(space, draft, own, epoch, ops, &[])
    }

    /// Like [`Peer::author_ops`], with lists of what is to be redacted.
    pub(super) fn author_redacting(
        &mut self,
        space: &mut Space,
        draft: &mut Draft,
        own: u32,
        epoch: &EpochKey,
        ops: &Ops,
        redactions: &[Vec<Target>],
    ) -> u64 {
        let deps = self.dependencies(space, own);
        let (Some(keys), Some(log)) = (&self.keys, space.logs.get(own as usize)) else { return 0 };
        let (key, seq) = (keys.device.public(), log.tip.len);
        let sealed = space.made(ops).seal(redactions, epoch, &space.row.key, &key, seq, &mut self.entropy);
        let entry = Entry::sign(&keys.device, space.row.key, log.tip, Kind::Op, Some(epoch.id()), deps, &sealed);
        draft.entry(space, own, &entry);
        if let Some(log) = space.log_mut(own) {
            log.clock = log.clock.max(ops.clock);
        }
        draft.arrived(own, seq, 1);
        seq
    }

    /// The logs that have grown since the own log last named them.
    fn dependencies(&self, space: &mut Space, own: u32) -> Vec<crate::entry::Dep> {
        let mut deps = Vec::new();
        for (number, log) in space.logs.iter_mut().enumerate() {
            if number as u32 == own || log.key == space.row.key || log.tip.len == log.noted {
                continue;
            }
            if deps.len() == MAX_DEPS_PER_ENTRY {
                break;
            }
            log.noted = log.tip.len;
            deps.push(crate::entry::Dep { log: log.key, seq: log.tip.len.saturating_sub(1), hash: log.tip.hash });
        }
        deps
    }

    /// The number of this device's log in a space.
    pub(super) fn own_log(&self, space: &Space) -> Option<u32> {
        space.by_key.get(&self.device()?).copied()
    }

    pub(super) fn identity(&self) -> Option<PublicKey> {
        self.keys.as_ref().map(|keys| keys.identity.public())
    }
}

/// How many other logs one entry names: the rest is named by the next ones.
const MAX_DEPS_PER_ENTRY: usize = 16;
