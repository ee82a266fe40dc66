//! Sets of logs, compared by ranges of their keys.
//!
//! Two peers that want to know where they differ need not list everything: they compare one sum of all they have,
//! then the sums of sixteen parts, then of the parts of those parts that differ (range-based set reconciliation, Meyer
//! 2022, with ranges that share the first digits of the key). What is said grows with what differs and with the
//! logarithm of what there is.
//!
//! ```text
//! sum(range) = none, if no log is in it
//!            | BLAKE3(derive "kith 2026 log range v1", 0 ‖ (log[32] ‖ len (8, big-endian) ‖ hash[32])*), if at most FEW are
//!            | BLAKE3(derive "kith 2026 log range v1", 1 ‖ (sum[32] or zeros) of each of its 16 parts), else
//! ```
//! So a sum is a function of the set alone, and as hard to forge as BLAKE3: adding hashes up would be simpler, but who
//! may choose thousands of them can make sums collide. On the wire sums are keyed with a salt that is new each time
//! and cut to [`SHORT`] bytes: nobody can prepare for it, and what is missed once in 2^64 is found the next time.

use crate::entry::Tip;
use crate::identity::PublicKey;
use crate::purpose::Purpose;

/// A range with at most this many logs is not divided any more: they are listed.
pub const FEW: usize = 3;
/// Bytes of a sum on the wire.
pub const SHORT: usize = 8;
/// Digits in a key, of four bits each.
pub const DIGITS: u8 = 64;

static DOMAIN: Purpose = Purpose::new("kith 2026 log range v1");

/// A sum of a range, as kept.
pub type Sum = [u8; 32];
/// A sum of a range, as said over a link.
pub type ShortSum = [u8; SHORT];
/// Makes sums said over a link unpredictable.
pub type Salt = [u8; 8];

/// All keys that begin with the same digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The digits, with zeros after them.
    key: [u8; 32],
    digits: u8,
}

impl Prefix {
    /// Every key.
    pub const ALL: Prefix = Prefix { key: [0; 32], digits: 0 };

    /// The keys that begin with these digits; `None` if there are too many, or something other than zeros after them.
    pub fn new(bytes: &[u8], digits: u8) -> Option<Prefix> {
        let mut key = [0; 32];
        key.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let prefix = Prefix { key, digits };
        let well_made = digits <= DIGITS && bytes.len() == prefix.bytes().len() && prefix.is_cut();
        well_made.then_some(prefix)
    }

    /// How many digits are given.
    pub fn digits(&self) -> u8 {
        self.digits
    }

    /// The bytes that hold the digits.
    pub fn bytes(&self) -> &[u8] {
        self.key.get(..usize::from(self.digits).div_ceil(2)).unwrap_or_default()
    }

    /// Whether a key is in the range.
    pub fn contains(&self, key: &PublicKey) -> bool {
        (0..self.digits).all(|at| digit(&key.0, at) == digit(&self.key, at))
    }

    /// Whether two ranges have keys in common: one is part of the other.
    pub fn overlaps(&self, other: &Prefix) -> bool {
        (0..self.digits.min(other.digits)).all(|at| digit(&other.key, at) == digit(&self.key, at))
    }

    /// One of its sixteen parts; `None` if it cannot be divided.
    pub fn part(&self, part: u8) -> Option<Prefix> {
        let mut whole = *self;
        let byte = whole.key.get_mut(usize::from(self.digits / 2)).filter(|_| self.digits < DIGITS)?;
        *byte |= if self.digits.is_multiple_of(2) { part << 4 } else { part & 15 };
        whole.digits += 1;
        Some(whole)
    }

    fn is_cut(&self) -> bool {
        (self.digits..DIGITS).all(|at| digit(&self.key, at) == 0)
    }
}

/// One digit of a key.
fn digit(key: &[u8; 32], at: u8) -> u8 {
    let byte = key.get(usize::from(at / 2)).copied().unwrap_or_default();
    if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
}

/// What a peer has stored of each log, by key.
#[derive(Clone, Debug, Default)]
pub struct LogSet {
    root: Node,
}

#[derive(Clone, Debug)]
enum Node {
    /// At most [`FEW`], in order.
    Few(Vec<(PublicKey, Tip)>),
    Many(Box<Many>),
}

#[derive(Clone, Debug)]
struct Many {
    count: usize,
    /// `None` until it is asked for.
    sum: Option<Sum>,
    parts: [Node; 16],
}

impl Default for Node {
    fn default() -> Node {
        Node::Few(Vec::new())
    }
}

impl LogSet {
    /// How many logs there are.
    pub fn len(&self) -> usize {
        self.root.count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes how much of a log there is; nothing if `tip` is empty.
    pub fn set(&mut self, log: PublicKey, tip: Tip) {
        if tip.len > 0 {
            self.root.insert(0, log, tip);
        } else {
            self.root.remove(0, &log);
        }
    }

    /// How much of a log there is.
    pub fn get(&self, log: &PublicKey) -> Option<Tip> {
        let mut node = &self.root;
        for at in 0..=DIGITS {
            match node {
                Node::Few(logs) => return logs.iter().find(|(key, _)| key == log).map(|(_, tip)| *tip),
                Node::Many(many) => node = many.parts.get(usize::from(digit(&log.0, at)))?,
            }
        }
        None
    }

    /// The logs in a range, in the order of their keys.
    pub fn logs(&self, range: &Prefix) -> Vec<(PublicKey, Tip)> {
        let mut found = Vec::new();
        if let Some(node) = self.node(range) {
            node.collect(range, &mut found);
        }
        found
    }

    /// How many logs are in a range.
    pub fn count(&self, range: &Prefix) -> usize {
        match self.node(range) {
            Some(Node::Few(logs)) => logs.iter().filter(|(key, _)| range.contains(key)).count(),
            Some(Node::Many(many)) => many.count,
            None => 0,
        }
    }

    /// The sum of a range; `None` if nothing is in it.
    pub fn sum(&mut self, range: &Prefix) -> Option<Sum> {
        let mut node = &mut self.root;
        for at in 0..range.digits {
            match node {
                Node::Few(logs) => {
                    let logs: Vec<(PublicKey, Tip)> =
                        logs.iter().filter(|(key, _)| range.contains(key)).copied().collect();
                    return sum_of_few(&logs);
                }
                Node::Many(many) => node = many.parts.get_mut(usize::from(digit(&range.key, at)))?,
            }
        }
        node.sum()
    }

    /// The sums of a range's parts, keyed and short: part and sum of those that hold something.
    pub fn parts(&mut self, range: &Prefix, key: &SaltKey) -> Vec<(u8, ShortSum)> {
        let part = |part: u8| Some((part, key.short(&self.sum(&range.part(part)?)?)));
        (0..16).filter_map(part).collect()
    }

    /// The node at a range, or the one above it that holds few.
    fn node(&self, range: &Prefix) -> Option<&Node> {
        let mut node = &self.root;
        for at in 0..range.digits {
            match node {
                Node::Few(_) => return Some(node),
                Node::Many(many) => node = many.parts.get(usize::from(digit(&range.key, at)))?,
            }
        }
        Some(node)
    }
}

impl Node {
    fn count(&self) -> usize {
        match self {
            Node::Few(logs) => logs.len(),
            Node::Many(many) => many.count,
        }
    }

    fn insert(&mut self, at: u8, log: PublicKey, tip: Tip) {
        match self {
            Node::Few(logs) => {
                match logs.binary_search_by_key(&log, |(key, _)| *key) {
                    Ok(found) => {
                        if let Some(found) = logs.get_mut(found) {
                            found.1 = tip;
                        }
                    }
                    Err(place) => logs.insert(place, (log, tip)),
                }
                // Keys differ somewhere, so dividing ends.
                if logs.len() > FEW {
                    let logs = std::mem::take(logs);
                    let mut many = Many { count: 0, sum: None, parts: Default::default() };
                    for (log, tip) in logs {
                        many.insert(at, log, tip);
                    }
                    *self = Node::Many(Box::new(many));
                }
            }
            Node::Many(many) => many.insert(at, log, tip),
        }
    }

    fn remove(&mut self, at: u8, log: &PublicKey) {
        match self {
            Node::Few(logs) => logs.retain(|(key, _)| key != log),
            Node::Many(many) => {
                if let Some(part) = many.parts.get_mut(usize::from(digit(&log.0, at))) {
                    part.remove(at + 1, log);
                }
                many.sum = None;
                many.count = many.parts.iter().map(Node::count).sum();
                if many.count <= FEW {
                    let mut few = Vec::new();
                    many.parts.iter().for_each(|part| part.collect(&Prefix::ALL, &mut few));
                    *self = Node::Few(few);
                }
            }
        }
    }

    fn collect(&self, range: &Prefix, found: &mut Vec<(PublicKey, Tip)>) {
        match self {
            Node::Few(logs) => found.extend(logs.iter().filter(|(key, _)| range.contains(key))),
            Node::Many(many) => many.parts.iter().for_each(|part| part.collect(range, found)),
        }
    }

    fn sum(&mut self) -> Option<Sum> {
        match self {
            Node::Few(logs) => sum_of_few(logs),
            Node::Many(many) => {
                let sum = match many.sum {
                    Some(sum) => sum,
                    None => {
                        let mut hasher = DOMAIN.hasher();
                        hasher.update(&[1]);
                        for part in &mut many.parts {
                            hasher.update(&part.sum().unwrap_or([0; 32]));
                        }
                        *hasher.finalize().as_bytes()
                    }
                };
                many.sum = Some(sum);
                many.sum
            }
        }
    }
}

impl Many {
    fn insert(&mut self, at: u8, log: PublicKey, tip: Tip) {
        let Some(part) = self.parts.get_mut(usize::from(digit(&log.0, at))) else { return };
        let before = part.count();
        part.insert(at + 1, log, tip);
        self.count += part.count() - before;
        self.sum = None;
    }
}

fn sum_of_few(logs: &[(PublicKey, Tip)]) -> Option<Sum> {
    if logs.is_empty() {
        return None;
    }
    let mut hasher = DOMAIN.hasher();
    hasher.update(&[0]);
    for (log, tip) in logs {
        hasher.update(&log.0).update(&tip.len.to_be_bytes()).update(&tip.hash);
    }
    Some(*hasher.finalize().as_bytes())
}

/// A salt, ready for use in one space.
pub struct SaltKey([u8; 32]);

impl SaltKey {
    /// The key that belongs to a salt.
    pub fn new(space: &PublicKey, salt: &Salt) -> SaltKey {
        let mut hasher = blake3::Hasher::new_derive_key("kith 2026 log range salt v1");
        hasher.update(&space.0).update(salt);
        SaltKey(*hasher.finalize().as_bytes())
    }

    /// A sum as it is said under this salt.
    pub fn short(&self, sum: &Sum) -> ShortSum {
        let mut short = [0; SHORT];
        let mut keyed = blake3::Hasher::new_keyed(&self.0);
        keyed.update(sum).finalize_xof().fill(&mut short);
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Keys that often share their first digits.
    fn key() -> impl Strategy<Value = PublicKey> {
        (proptest::collection::vec(0..3u8, 3), 0..4u8).prop_map(|(start, end)| {
            let mut key = [0; 32];
            key[..3].copy_from_slice(&start);
            key[31] = end;
            PublicKey(key)
        })
    }

    fn tip() -> impl Strategy<Value = Tip> {
        (0..3u64, 0..2u8).prop_map(|(len, hash)| Tip { len, hash: [hash; 32] })
    }

    proptest! {
        #[test]
        fn a_set_depends_on_what_is_in_it_alone(changes in proptest::collection::vec((key(), tip()), 0..120)) {
            let mut set = LogSet::default();
            let mut expected = BTreeMap::new();
            for (log, tip) in &changes {
                set.set(*log, *tip);
                if tip.len > 0 { expected.insert(*log, *tip); } else { expected.remove(log); }
                set.sum(&Prefix::ALL);
            }
            let mut other = LogSet::default();
            for (log, tip) in expected.iter().rev() {
                other.set(*log, *tip);
            }
            let all: Vec<(PublicKey, Tip)> = expected.iter().map(|(log, tip)| (*log, *tip)).collect();
            prop_assert_eq!(set.logs(&Prefix::ALL), all);
            prop_assert_eq!(set.len(), expected.len());
            for (log, _) in &changes {
                prop_assert_eq!(set.get(log), expected.get(log).copied());
                for digits in [0u8, 1, 2, 5, 64] {
                    let mut range = Prefix::ALL;
                    for at in 0..digits {
                        range = range.part(digit(&log.0, at)).unwrap();
                    }
                    prop_assert!(range.contains(log));
                    prop_assert_eq!(set.sum(&range), other.sum(&range));
                    prop_assert_eq!(set.count(&range), set.logs(&range).len());
                    let within = expected.keys().filter(|key| range.contains(key)).count();
                    prop_assert_eq!(set.count(&range), within);
                }
            }
        }

        #[test]
        fn sets_that_differ_have_different_sums(left in proptest::collection::btree_map(key(), tip(), 0..40), log in key(), len in 1..5u64) {
            let build = |logs: &BTreeMap<PublicKey, Tip>| {
                let mut set = LogSet::default();
                logs.iter().for_each(|(log, tip)| set.set(*log, *tip));
                set
            };
            let mut right = left.clone();
            right.insert(log, Tip { len, hash: [7; 32] });
            prop_assert_ne!(build(&left).sum(&Prefix::ALL), build(&right).sum(&Prefix::ALL));
        }

        #[test]
        fn prefixes_are_read_as_they_are_written(bytes in proptest::collection::vec(any::<u8>(), 0..34), digits in 0..70u8) {
            if let Some(prefix) = Prefix::new(&bytes, digits) {
                prop_assert_eq!(prefix.bytes(), &bytes[..]);
                prop_assert_eq!(prefix.digits(), digits);
            }
        }
    }

    #[test]
    fn ranges_overlap_if_one_is_part_of_the_other() {
        let (a, b) = (Prefix::ALL.part(3).unwrap(), Prefix::ALL.part(4).unwrap());
        assert!(Prefix::ALL.overlaps(&a) && a.overlaps(&Prefix::ALL) && !a.overlaps(&b));
        assert!(a.overlaps(&a.part(15).unwrap()));
        assert_eq!(Prefix::new(&[0x31], 1), None);
        assert_eq!(Prefix::new(&[0x30, 0], 1), None);
        assert_eq!(Prefix::new(&[0x30], 1), Some(a));
    }
}
