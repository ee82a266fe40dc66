//! What the tests share: dice, a store of rows, and an oracle.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

pub mod recorded;

use diamond_types::list::OpLog;
use diamond_types::list::operation::Operation;
use kith_text::{Agent, Algorithm, Edit, Outcome, RowKey, Settled, Splice, StoredHead, TextDoc, TextOp, Version};
use std::collections::{BTreeMap, HashMap};

/// Whether to try much more than in an ordinary run.
pub fn long() -> bool {
    std::env::var_os("KITH_LONG").is_some()
}

/// The seeds to try: `KITH_SEED=n` tries that one.
pub fn seeds(few: u64, many: u64) -> std::ops::Range<u64> {
    match std::env::var("KITH_SEED").ok().and_then(|text| text.parse::<u64>().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..if long() { many } else { few },
    }
}

/// Names the seed if a test stops.
pub struct Seed(pub u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("try again with KITH_SEED={}", self.0);
        }
    }
}

/// Repeatable dice (xorshift).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.below(2);
        }
        dice
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % end.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn text(&mut self, most: usize) -> String {
        (0..1 + self.below(most)).map(|_| ['a', 'b', '\n', 'é', '字', '😀'][self.below(6)]).collect()
    }

    /// Replacements in a text of this length.
    pub fn splices(&mut self, len: u32) -> Vec<Splice> {
        let (mut splices, mut at) = (Vec::new(), 0);
        for _ in 0..1 + self.below(3) {
            let left = len - at;
            let pos = at + self.below(left as usize + 1) as u32;
            let take = if self.one_in(2) { self.below((len - pos).min(6) as usize + 1) as u32 } else { 0 };
            let text = if take == 0 || self.one_in(2) { self.text(4) } else { String::new() };
            splices.push(Splice { pos, len: take, text });
            at = pos + take;
            if at + 1 >= len {
                break;
            }
            at += 1;
        }
        splices
    }
}

pub fn agent(number: usize) -> Agent {
    // So that the order of names is not the order of numbers.
    let mut bytes = [0; 10];
    bytes[0] = (number * 197 % 256) as u8;
    bytes[9] = number as u8;
    bytes[8] = (number >> 8) as u8;
    Agent(bytes)
}

pub fn new() -> TextDoc {
    TextDoc::new(Algorithm::DiamondTypes1)
}

pub fn op(parents: &[Version], edits: Vec<Edit>) -> TextOp {
    let mut parents = parents.to_vec();
    parents.sort();
    TextOp { algorithm: Algorithm::DiamondTypes1, parents, edits }
}

pub fn insert(pos: u32, text: &str) -> Edit {
    Edit::Insert { pos, text: text.into() }
}

pub fn delete(pos: u32, len: u32) -> Edit {
    Edit::Delete { pos, len }
}

pub fn version(agent: Agent, seq: u64) -> Version {
    Version { agent, seq }
}

/// An entry on its way.
#[derive(Clone, Debug)]
pub struct Entry {
    pub agent: Agent,
    pub seq: u64,
    pub op: TextOp,
}

/// A database of one document.
#[derive(Default, Clone)]
pub struct Rows(pub BTreeMap<RowKey, Vec<u8>>);

impl Rows {
    /// Commits what changed; tells rows and bytes written.
    pub fn commit(&mut self, doc: &mut TextDoc) -> (usize, usize) {
        let (mut rows, mut bytes) = (0, 0);
        for change in doc.take_rows() {
            rows += 1;
            match change.bytes {
                Some(content) => {
                    bytes += content.len();
                    self.0.insert(change.key, content);
                }
                None => drop(self.0.remove(&change.key)),
            }
        }
        (rows, bytes)
    }

    pub fn open(&self) -> TextDoc {
        let head = StoredHead::decode(&self.0[&RowKey::Head]).unwrap();
        let pieces: Vec<&[u8]> = head.pieces().map(|key| self.0[&key].as_slice()).collect();
        assert_eq!(
            pieces.len(),
            self.0.keys().filter(|key| matches!(key, RowKey::Piece(_))).count(),
            "pieces left behind"
        );
        head.open(pieces).unwrap()
    }

    pub fn load(&self, doc: &mut TextDoc) {
        let rows: Vec<&[u8]> = doc.chunks().map(|key| self.0[&key].as_slice()).collect();
        doc.load_history(rows).unwrap();
    }
}

/// Offers an entry, loading the history if asked to.
pub fn offer(doc: &mut TextDoc, rows: &Rows, entry: &Entry) -> Outcome {
    match doc.apply(entry.agent, entry.seq, entry.op.clone()) {
        Outcome::NeedsHistory => {
            rows.load(doc);
            doc.apply(entry.agent, entry.seq, entry.op.clone())
        }
        outcome => outcome,
    }
}

/// Settles in portions.
pub fn settle(doc: &mut TextDoc, rows: &Rows, budget: u64) {
    loop {
        match doc.settle(budget) {
            Settled::Done => return,
            Settled::More => {}
            Settled::NeedsHistory => rows.load(doc),
        }
    }
}

/// Merges entries, which must come after their parents, with bare diamond-types.
pub fn oracle(entries: &[Entry]) -> String {
    let (mut log, mut ends) = (OpLog::new(), HashMap::new());
    for entry in entries {
        let mut parents: Vec<usize> = entry.op.parents.iter().map(|parent| ends[parent]).collect();
        parents.sort_unstable();
        let agent = log.get_or_create_agent_id(&entry.agent.name());
        let end = log.add_operations_at(agent, &parents, &operations(&entry.op.edits));
        ends.insert(version(entry.agent, entry.seq), end);
    }
    log.checkout_tip().content().to_string()
}

pub fn operations(edits: &[Edit]) -> Vec<Operation> {
    edits.iter().map(recorded::operation).collect()
}

/// Applies edits to a plain text.
pub fn applied(text: &str, edits: &[Edit]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for edit in edits {
        match edit {
            Edit::Insert { pos, text } => drop(chars.splice(*pos as usize..*pos as usize, text.chars())),
            Edit::Delete { pos, len } => drop(chars.drain(*pos as usize..(*pos + *len) as usize)),
        }
    }
    chars.into_iter().collect()
}
