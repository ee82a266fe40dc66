//! What an author wants gone: parts of entries, by log, place and number.
//!
//! ```text
//! part = "$redact\0" (bytes) ‖ count ‖ (log[32] ‖ count ‖ (seq ‖ count ‖ part number*)*)*
//! ```
//! Everything in rising order, nothing twice. It stands among the parts of an op entry, so who may write may ask, and
//! what a peer that honours it may lose is bounded: see [`bearing`].

use super::applied::Applied;
use super::kind::{Stamp, tag};
use super::ops::{Leaf, Op};
use super::row::{ViewRow, view_key};
use super::since::Since;
use crate::codec::{CodecError, Reader, Writer};
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::Table;
use crate::sealed::MAX_PARTS;
use kith_map::BTreeMap;

/// The most entries one part names.
pub const MAX_TARGETS: usize = 1024;
/// The most part numbers one part names.
pub const MAX_NAMED: usize = 2 * MAX_PARTS;

/// Where lists of what is redacted stand among ops: at a place no op can name.
const KEY: &[u8] = b"$redact\0";

/// Parts of one entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Whose log.
    pub log: PublicKey,
    /// Which entry of it.
    pub seq: u64,
    /// Which of its parts, rising.
    pub parts: Vec<usize>,
}

/// Whether an opened part is a list of what is redacted.
pub(super) fn is_one(part: &[u8]) -> bool {
    Reader::new(part).bytes(KEY.len()) == Ok(KEY)
}

/// Writes a list. Entries named twice are put together.
pub fn encode(targets: &[Target]) -> Vec<u8> {
    let mut logs: BTreeMap<PublicKey, BTreeMap<u64, Vec<usize>>> = BTreeMap::new();
    for target in targets {
        let parts = logs.entry(target.log).or_default().entry(target.seq).or_default();
        parts.extend(&target.parts);
        kith_map::sort(parts);
        parts.dedup();
    }
    let mut writer = Writer::new();
    writer.bytes(KEY).number(logs.len() as u64);
    for (log, entries) in &logs {
        writer.fixed(&log.0).number(entries.len() as u64);
        for (seq, parts) in entries {
            writer.number(*seq).number(parts.len() as u64);
            for part in parts {
                writer.number(*part as u64);
            }
        }
    }
    writer.finish()
}

/// Reads a list.
pub fn decode(part: &[u8]) -> Result<Vec<Target>, CodecError> {
    let mut reader = Reader::new(part);
    if reader.bytes(KEY.len())? != KEY {
        return Err(CodecError::Tag);
    }
    let mut targets: Vec<Target> = Vec::new();
    let mut named = 0;
    for _ in 0..reader.size(MAX_TARGETS)? {
        let log = PublicKey(reader.fixed()?);
        let entries = reader.size(MAX_TARGETS)?;
        // A log stands once, with all its entries: a list has one encoding.
        if entries == 0 || targets.last().is_some_and(|last| last.log >= log) {
            return Err(CodecError::Tag);
        }
        for _ in 0..entries {
            let seq = reader.number()?;
            let count = reader.size(MAX_PARTS)?;
            if count == 0 {
                return Err(CodecError::Tag);
            }
            named += count;
            if targets.len() == MAX_TARGETS || named > MAX_NAMED {
                return Err(CodecError::Limit);
            }
            let mut parts = Vec::new();
            for _ in 0..count {
                parts.push(reader.size(MAX_PARTS - 1)?);
            }
            let rises = parts.is_sorted_by(|a, b| a < b);
            if !rises || targets.last().is_some_and(|last| last.log == log && last.seq >= seq) {
                return Err(CodecError::Tag);
            }
            targets.push(Target { log, seq, parts });
        }
    }
    reader.end()?;
    Ok(targets)
}

/// What bearing an op has on what its place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// It counts, or may come to.
    Has,
    /// A later write stands in its place.
    Replaced,
    /// It is of a life of its place that a purge ended.
    Over,
}

/// What bearing an op made at `stamp` has: only where it has none may its bytes go. `row` is the row of its place,
/// `ruler` that of the place whose life it is of.
///
/// The register of a plain place must be of a later write; or there is none any more, since it was deleted up to
/// `settled`, the time up to which deletions have been forgotten (a deletion itself stays then: nothing else tells of
/// it). Of values that are made up of many ops none is replaced as long as their life lasts; and what began the life
/// that lasts stays, since nothing else tells of it.
pub fn bearing(op: &Op, stamp: Stamp, row: Option<&ViewRow>, ruler: Option<&ViewRow>, settled: u64) -> Bearing {
    // A move is about where things stand, in whatever life.
    if op.leaf.tag() == Some(tag::MOVE) {
        return Bearing::Has;
    }
    let Ok(since) = op.since.purge(stamp) else { return Bearing::Over };
    if since < ruler.and_then(ViewRow::since) {
        return Bearing::Over;
    }
    let plain = matches!(op.leaf, Leaf::Deleted | Leaf::Object | Leaf::Json(_) | Leaf::Bytes { .. });
    let replaced = match row.and_then(|row| row.register.as_ref()) {
        None => op.leaf != Leaf::Deleted && stamp.clock <= settled,
        Some(held) => Stamp::of(held) > stamp,
    };
    if plain && replaced && op.since != Since::Here { Bearing::Replaced } else { Bearing::Has }
}

/// The same, with the rows read as they are, or will be once `applied` is stored.
pub fn bearing_in(
    lens: &Lens<'_>,
    space: u32,
    applied: Option<&Applied>,
    op: &Op,
    stamp: Stamp,
    settled: u64,
) -> Result<Bearing, Miss> {
    let row = |path: &Path| -> Result<Option<ViewRow>, Miss> {
        let key = view_key(space, path);
        if let Some(row) = applied.and_then(|applied| applied.rows.get(&key)) {
            return Ok(Some(row.clone()));
        }
        if applied.is_some_and(|applied| applied.gone.contains(&key)) {
            return Ok(None);
        }
        Ok(lens.get(Table::View, &key)?.and_then(ViewRow::decode))
    };
    let ruler = op.lives_at();
    let above = if ruler == op.path { Ok(None) } else { row(&ruler) };
    let own = row(&op.path)?;
    let above = above?;
    Ok(bearing(op, stamp, own.as_ref(), if ruler == op.path { own.as_ref() } else { above.as_ref() }, settled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_log_named_twice_is_refused() {
        let one = |seq: u8| [&[1; 32][..], &[1, seq, 1, 0]].concat();
        let list = |seqs: [u8; 2]| [&[KEY.len() as u8], KEY, &[2], &one(seqs[0]), &one(seqs[1])].concat();
        assert_eq!(decode(&list([1, 2])), Err(CodecError::Tag));
    }

    proptest! {
        #[test]
        fn a_list_comes_back(named in proptest::collection::btree_map((0..4u8, 0..1000u64), proptest::collection::btree_set(0..100usize, 1..5), 1..20)) {
            let targets: Vec<Target> = named
                .into_iter()
                .map(|((log, seq), parts)| Target { log: PublicKey([log; 32]), seq, parts: parts.into_iter().collect() })
                .collect();
            let bytes = encode(&targets);
            prop_assert!(is_one(&bytes));
            prop_assert_eq!(decode(&bytes), Ok(targets));
        }

        #[test]
        fn a_list_that_reads_has_entries_in_order(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let bytes = [&[KEY.len() as u8], KEY, &bytes].concat();
            if let Ok(targets) = decode(&bytes) {
                prop_assert!(targets.is_sorted_by(|a, b| (a.log, a.seq) < (b.log, b.seq)));
            }
        }
    }
}
