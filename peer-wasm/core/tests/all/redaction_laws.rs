//! Laws of redaction: a log whose parts are gone is the same log, and nothing else passes for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use kith_core::document::{Leaf, Op, Opened, Ops};
use kith_core::entropy::Entropy;
use kith_core::entry::{Entry, EntryError, Kind, Tip, verify_run};
use kith_core::epoch::EpochKey;
use kith_core::identity::{PublicKey, SecretKey};
use kith_core::path::Path;
use kith_core::sealed::Body;
use proptest::prelude::*;

const SPACE: PublicKey = PublicKey([2; 32]);

fn op(entry: u64, part: usize) -> Op {
    let path = Path::new([format!("e{entry}"), format!("p{part}")]).unwrap();
    Op::new(path, Leaf::Json(format!("\"entry {entry} part {part}\"").into_bytes()))
}

/// A log whose entries have so many parts each.
fn log(key: &SecretKey, epoch: &EpochKey, parts: &[usize]) -> Vec<Entry> {
    let mut entropy = Entropy::new(&[7; 32]);
    let mut tip = Tip::EMPTY;
    let mut entries = Vec::new();
    for (seq, parts) in parts.iter().enumerate() {
        let list = (0..*parts).map(|part| op(seq as u64, part)).collect();
        let ops = Ops { clock: 100 + seq as u64, id: String::new(), list };
        let body = ops.seal(&[], epoch, &SPACE, &key.public(), tip.len, &mut entropy);
        let entry = Entry::sign(key, SPACE, tip, Kind::Op, Some(epoch.id()), Vec::new(), &body);
        tip = Tip { len: tip.len + 1, hash: entry.hash() };
        entries.push((*entry).clone());
    }
    entries
}

fn without(entry: &Entry, gone: &[usize]) -> Vec<u8> {
    [entry.signed_part(), &Body::decode(entry.body()).unwrap().without(gone).encode()].concat()
}

proptest! {
    #[test]
    fn a_hollow_log_verifies_and_says_what_is_left(
        parts in proptest::collection::vec(0..6usize, 1..40),
        gone in proptest::collection::vec(proptest::collection::vec(0..6usize, 0..6), 40),
    ) {
        let key = SecretKey::from_seed(&[1; 32]);
        let epoch = EpochKey::new([3; 32]);
        let whole = log(&key, &epoch, &parts);
        let hollow: Vec<Entry> = whole.iter().zip(&gone).map(|(e, gone)| Entry::decode(&without(e, gone)).unwrap()).collect();
        let verified = verify_run(SPACE, key.public(), Tip::EMPTY, hollow, None);
        prop_assert!(verified.is_ok());
        for ((entry, before), gone) in verified.unwrap().iter().zip(&whole).zip(&gone) {
            prop_assert_eq!(entry.hash(), before.hash());
            let seq = entry.header.seq;
            let opened = Opened::open(&epoch, &SPACE, &key.public(), seq, entry.body()).unwrap();
            prop_assert_eq!(opened.clock, 100 + seq);
            for (part, said) in opened.list.iter().enumerate() {
                let expected = (!gone.contains(&part)).then(|| op(seq, part));
                prop_assert_eq!(said, &expected);
                prop_assert_eq!(opened.redacted.contains(&part), gone.contains(&part));
            }
        }
    }

    #[test]
    fn no_other_bytes_pass_for_what_is_left_of_an_entry(
        parts in 1..6usize,
        gone in proptest::collection::vec(0..6usize, 0..6),
        at in any::<proptest::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let key = SecretKey::from_seed(&[1; 32]);
        let epoch = EpochKey::new([3; 32]);
        let entry = log(&key, &epoch, &[parts]).remove(0);
        let mut raw = without(&entry, &gone);
        let signed = entry.signed_part().len();
        let at = signed + at.index(raw.len() - signed);
        raw[at] ^= flip;
        let decoded = Entry::decode(&raw);
        prop_assert!(matches!(decoded, Err(EntryError::BodyHash | EntryError::Malformed(_))), "{:?}", decoded);
    }
}
