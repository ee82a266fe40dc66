//! Looking for bytes that should not be there: through every row of a peer, with what is sealed in them opened.

use super::{NodeId, Story};
use crate::api::{Change, Manner, Preconditions, Reply, Request};
use crate::codec::Reader;
use crate::entry::{Entry, Kind};
use crate::epoch::EpochKey;
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use crate::sealed;
use serde_json::Value as Json;

impl Story {
    /// Asks a peer to write, or to delete, and to have what was there before erased.
    pub fn purge(&mut self, node: NodeId, path: &str, change: Change) -> Option<Reply> {
        let path = Path::new(path.split('/')).ok()?;
        let (space, conditions) = (self.space_ref(), Preconditions::default());
        let manner = Manner::default();
        let request = Request::Write { space, path, change, conditions, manner, id: None, purge: true };
        self.world.ask_for(node, request, 60_000)
    }

    /// A number a peer shows of the space in its status.
    pub fn status_of_space(&mut self, node: NodeId, name: &str) -> Option<u64> {
        let Some(Reply::Document(status)) = self.world.ask_for(node, Request::Status, 60_000) else { return None };
        let id = self.space.id();
        let spaces = status.get("spaces").and_then(Json::as_array)?;
        spaces.iter().find(|space| space.get("id").and_then(Json::as_str) == Some(&id))?.get(name)?.as_u64()
    }

    /// An error if a peer knows of entries of which it lacks parts that should be there.
    pub fn lacks_nothing(&mut self, node: NodeId) -> Result<(), String> {
        match self.status_of_space(node, "missing") {
            Some(0) => Ok(()),
            missing => Err(format!("of {missing:?} entries peer {node} lacks parts")),
        }
    }

    /// Lets time pass until no peer has anything left to erase, at most `limit` milliseconds.
    pub fn collect_all(&mut self, limit: u64) -> Result<(), String> {
        let deadline = self.world.now().saturating_add(limit);
        loop {
            let mut left = Vec::new();
            for (node, _) in self.members.clone() {
                if self.status_of_space(node, "collecting") != Some(0) {
                    left.push(node);
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            if self.world.now() >= deadline {
                return Err(format!("peers {left:?} still have something to erase after {limit} ms"));
            }
            self.world.run(5_000);
        }
    }

    /// Where a peer's rows hold these bytes, in the open or sealed with a key the peer has.
    pub fn find_bytes(&self, node: NodeId, secret: &[u8]) -> Vec<String> {
        let Some(disk) = self.world.nodes.get(node).map(|node| &node.disk) else { return Vec::new() };
        let all = KeyRange { start: Vec::new(), end: vec![0xff; 8] };
        let mut found = Vec::new();
        let keys = self.epoch_keys(node);
        for table in Table::ALL {
            let rows = disk.all(table, all.clone());
            for (key, value) in rows {
                if holds(&key, secret) || holds(&value, secret) {
                    found.push(format!("{} row {key:?}", table.name()));
                }
                let entries = match table {
                    Table::Tail => vec![value],
                    Table::Segment => unpack(&value),
                    _ => Vec::new(),
                };
                for entry in entries.iter().filter_map(|raw| Entry::decode(raw).ok()) {
                    if entry.header.kind == Kind::Op && opened(&keys, &entry).any(|part| holds(&part, secret)) {
                        found.push(format!("entry {} of {:?}", entry.header.seq, entry.header.log));
                    }
                }
            }
        }
        found
    }

    /// How many entries of the space a peer stores.
    pub fn stored(&self, node: NodeId) -> usize {
        let Some(disk) = self.world.nodes.get(node).map(|node| &node.disk) else { return 0 };
        let all = KeyRange { start: Vec::new(), end: vec![0xff; 8] };
        let tail = disk.all(Table::Tail, all.clone()).into_iter().map(|(_, row)| row);
        let packed = disk.all(Table::Segment, all).into_iter().flat_map(|(_, row)| unpack(&row));
        let entries = tail.chain(packed).filter_map(|raw| Entry::decode(&raw).ok());
        entries.filter(|entry| entry.header.space == self.space).count()
    }

    /// The keys a peer has for what is sealed in the space.
    fn epoch_keys(&self, node: NodeId) -> Vec<EpochKey> {
        let Some(disk) = self.world.nodes.get(node).map(|node| &node.disk) else { return Vec::new() };
        let spaces = disk.all(Table::Meta, KeyRange::prefix(b"space/"));
        let row = spaces.iter().find(|(_, row)| row.get(1..33) == Some(&self.space.0[..]));
        row.and_then(|(_, row)| super::hostile::epochs_of(row)).unwrap_or_default()
    }
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

fn unpack(row: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(row);
    let mut entries = Vec::new();
    while let Ok(entry) = reader.bytes(row.len()) {
        entries.push(entry.to_vec());
        if reader.is_at_end() {
            break;
        }
    }
    entries
}

/// Whatever can be read of an entry's body.
fn opened<'a>(keys: &'a [EpochKey], entry: &'a Entry) -> impl Iterator<Item = Vec<u8>> + 'a {
    let header = &entry.header;
    let open = move |key: &EpochKey| sealed::open(key, &header.space, &header.log, header.seq, entry.body());
    keys.iter().filter_map(open).flat_map(|body| std::iter::once(body.head).chain(body.parts.into_iter().flatten()))
}
