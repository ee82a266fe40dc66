//! What is known of parts of entries whose bytes are to go, or are not here: rows and counts of a space.
//!
//! ```text
//! view  space (4) ‖ 0x10 ‖ log[32] ‖ seq (8)   1 ‖ count ‖ (part ‖ state)*   parts that lists of what is redacted name
//!       space (4) ‖ 0x11 ‖ log[32] ‖ seq (8)   empty                         some of those are still to be done
//!       space (4) ‖ 0x12 ‖ log[32] ‖ seq (8)   1 ‖ count ‖ part*             parts that came without bytes and are named by no list
//!       space (4) ‖ 0x13                       see Gone
//!       space (4) ‖ 0x15 ‖ log[32] ‖ seq (8)   rounds                        parts named by a list came without bytes: others are asked
//!       space (4) ‖ 0x14 ‖ log[32] ‖ seq (8)   empty                         the entry was stored and cannot be read any more
//! state = 0 to be done | 1 gone | 2 cannot go
//! ```

mod rules;

use crate::codec::{CodecError, Reader, Writer};
use crate::document::redaction::Target;
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::path::{MAX_PATH_BYTES, Path};
use crate::rows::{Batch, KeyRange, Table};
use crate::sealed::MAX_PARTS;
use kith_map::BTreeMap;

pub(super) const NAMED: u8 = 0x10;
pub(super) const WORK: u8 = 0x11;
pub(super) const MISSING: u8 = 0x12;
const STATE: u8 = 0x13;
pub(super) const HOLE: u8 = 0x14;
pub(super) const TOLD: u8 = 0x15;

/// Rounds in which members are asked whether what a list names, and nobody has shown us, is really gone; in the last one
/// nobody is asked, so that answers have time to come.
pub(super) const ROUNDS: u8 = 3;

/// So many members are asked about what went, should it have been for nothing.
pub(super) const MAX_DOUBTS: usize = 256;

/// The most places of a space this device watches over, so that what was written there earlier goes when it comes.
pub(super) const MAX_RULES: usize = 1024;

/// One entry.
pub(super) type Place = (PublicKey, u64);

/// Everything made at and below a place before a time is to go, but for what another rule says of a part of it. With a
/// time of zero nothing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) prefix: Path,
    pub(super) clock: u64,
}

/// A space's counts, and what this device looks for in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    /// Entries some of whose named parts are still to be done.
    pub(super) work: u64,
    /// Entries with parts that are missing.
    pub(super) missing: u64,
    /// Entries that were stored and cannot be read any more.
    pub(super) holes: u64,
    /// Entries with parts that lists name, whose bytes were never here.
    pub(super) told: u64,
    /// What was purged from this device.
    pub(super) rules: Vec<Rule>,
    /// Whether what came before the newest rule has not been looked through to its end yet.
    pub(super) searching: bool,
    /// How much of each log has been looked through for what the rules say, with all that was found written down.
    pub(super) swept: BTreeMap<u32, u64>,
    /// How much has been looked through since.
    pub(super) looked: BTreeMap<u32, u64>,
    /// Texts were purged: what clients held of any text is to be forgotten, and up to where it is.
    pub(super) ended: bool,
    pub(super) forgot: Option<Vec<u8>>,
    /// Something that took the place of what is gone may not count any more: each member is asked once about all that went.
    /// Who has been, since that was found; nothing if it never was.
    pub(super) doubts: Option<Vec<PublicKey>>,
    /// All that went is being noted as to be asked about, and up to where it is.
    pub(super) doubted: bool,
    pub(super) retold: Option<Vec<u8>>,
    /// Found so far, not yet written: if this is lost, it is found again.
    pub(super) found: Vec<Target>,
    /// Up to where the list of what is to be done has been gone through this time.
    pub(super) cursor: Option<Vec<u8>>,
    /// Up to when what was deleted has been forgotten, and how many checkpoints were looked at for what does not count.
    pub(super) settled: u64,
    pub(super) checked: u64,
    pub(super) pass: Option<super::stable::Pass>,
    /// What did not count when the tree was last made without what is let go, as a number.
    pub(super) voided: u64,
    /// Entries that may go and are being looked at, and the search for others.
    pub(super) look: Option<super::prune::Look>,
    pub(super) survey: Option<super::survey::Survey>,
    /// From where on, by log and place, entries that may go are looked for next.
    pub(super) surveyed: (u32, u64),
    /// Up to where the feed has been gone through for what is all gone.
    pub(super) feed: Option<u64>,
    /// Going through everything for what policies do not keep, and when that is done again, in milliseconds.
    pub(super) keep: Option<super::retention::Keep>,
    pub(super) keep_at: u64,
    /// When missing parts are asked for again, in milliseconds, and from where on.
    pub(super) seek_at: u64,
    pub(super) sought: Option<Vec<u8>>,
    /// When what could not be done is tried again, in milliseconds.
    pub(super) retry_at: u64,
    /// How long that is put off, and whether anything came of it this time.
    pub(super) wait: u64,
    pub(super) progress: bool,
}

impl Gone {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(1).number(self.work).number(self.missing).u8(u8::from(self.searching));
        writer.number(self.rules.len() as u64);
        for rule in &self.rules {
            writer.fixed(&rule.clock.to_be_bytes()).bytes(&rule.prefix.to_key());
        }
        writer.number(self.swept.len() as u64);
        for (log, upto) in &self.swept {
            writer.number(u64::from(*log)).number(*upto);
        }
        writer
            .fixed(&self.settled.to_be_bytes())
            .number(self.checked)
            .number(self.holes)
            .number(self.told)
            .number(self.keep_at);
        let flags = u8::from(self.ended)
            | u8::from(self.doubts.is_some()) << 1
            | u8::from(self.doubted) << 2
            | u8::from(self.voided > 0) << 3
            | u8::from(self.surveyed != (0, 0)) << 4;
        if flags > 0 {
            writer.u8(flags);
        }
        if let Some(asked) = &self.doubts {
            writer.number(asked.len() as u64);
            for peer in asked {
                writer.fixed(&peer.0);
            }
        }
        if self.voided > 0 {
            writer.number(self.voided);
        }
        if self.surveyed != (0, 0) {
            writer.number(u64::from(self.surveyed.0)).number(self.surveyed.1);
        }
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Gone, CodecError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != 1 {
            return Err(CodecError::Tag);
        }
        let (work, missing, searching) = (reader.number()?, reader.number()?, reader.u8()? == 1);
        let mut gone = Gone { work, missing, searching, ..Gone::default() };
        for _ in 0..reader.size(MAX_RULES)? {
            let clock = u64::from_be_bytes(reader.fixed()?);
            let prefix = Path::from_key(reader.bytes(MAX_PATH_BYTES)?).ok_or(CodecError::Tag)?;
            gone.rules.push(Rule { prefix, clock });
        }
        for _ in 0..reader.size(super::MAX_LOGS)? {
            let log = u32::try_from(reader.number()?).map_err(|_| CodecError::Limit)?;
            gone.swept.insert(log, reader.number()?);
        }
        gone.looked = gone.swept.clone();
        gone.settled = u64::from_be_bytes(reader.fixed()?);
        gone.checked = reader.number()?;
        gone.holes = reader.number()?;
        gone.told = reader.number()?;
        gone.keep_at = reader.number()?;
        let flags = if reader.is_at_end() { 0 } else { reader.u8()? };
        (gone.ended, gone.doubted) = (flags & 1 > 0, flags & 4 > 0);
        if flags & 2 > 0 {
            let count = reader.size(MAX_DOUBTS)?;
            gone.doubts = Some((0..count).map(|_| reader.fixed().map(PublicKey)).collect::<Result<_, _>>()?);
        }
        if flags & 8 > 0 {
            gone.voided = reader.number()?;
        }
        if flags & 16 > 0 {
            let log = u32::try_from(reader.number()?).map_err(|_| CodecError::Limit)?;
            gone.surveyed = (log, reader.number()?);
        }
        Ok(gone)
    }

    /// The counts as stored; none if they were never written.
    pub(super) fn load(lens: &Lens<'_>, space: u32) -> Result<Gone, Miss> {
        let row = lens.get(Table::View, &state_key(space))?;
        Ok(row.and_then(|row| Gone::decode(row).ok()).unwrap_or_default())
    }

    pub(super) fn store(&self, space: u32, batch: &mut Batch) {
        batch.puts.push((Table::View, state_key(space), self.encode()));
    }

    /// Whether something may still come of what is to be done.
    pub(super) fn is_hopeful(&self) -> bool {
        self.progress || self.wait <= super::collect::RETRY
    }

    /// Whether the rules have not been held against some of a log of this length.
    pub(super) fn is_unswept(&self, log: u32, len: u64) -> bool {
        !self.rules.is_empty() && self.looked.get(&log).copied().unwrap_or(0) < len
    }
}

fn state_key(space: u32) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[STATE]].concat()
}

fn prefix(space: u32, tag: u8, log: &PublicKey) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[tag], &log.0].concat()
}

pub(super) fn key(space: u32, tag: u8, (log, seq): Place) -> Vec<u8> {
    [&prefix(space, tag, &log)[..], &seq.to_be_bytes()].concat()
}

fn place_of(key: &[u8]) -> Option<Place> {
    let (log, seq) = key.get(5..)?.split_first_chunk::<32>()?;
    Some((PublicKey(*log), u64::from_be_bytes(seq.try_into().ok()?)))
}

/// Whether the entry at a place is lost.
pub(super) fn is_hole(lens: &Lens<'_>, space: u32, place: Place) -> Result<bool, Miss> {
    Ok(lens.get(Table::View, &key(space, HOLE, place))?.is_some())
}

pub(super) fn put_hole(space: u32, place: Place, batch: &mut Batch) {
    batch.puts.push((Table::View, key(space, HOLE, place), Vec::new()));
}

pub(super) fn delete_hole(space: u32, place: Place, batch: &mut Batch) {
    batch.deletes.push((Table::View, key(space, HOLE, place)));
}

/// Up to `limit` entries of which parts were taken for redacted on the word of a list, with one round of asking less to
/// go; entries about which enough was asked are struck off.
pub(super) fn ask_about_told(
    lens: &Lens<'_>,
    space: u32,
    limit: usize,
    gone: &mut Gone,
    batch: &mut Batch,
) -> Result<Vec<Place>, Miss> {
    let range = KeyRange::prefix(&[&space.to_be_bytes()[..], &[TOLD]].concat());
    let rows = lens.scan(Table::View, &range, limit, false)?;
    let mut places = Vec::new();
    for (key, value) in rows {
        match value.first() {
            Some(rounds) if *rounds > 1 => {
                places.extend(place_of(&key));
                batch.puts.push((Table::View, key, vec![rounds - 1]));
            }
            _ => {
                gone.told = gone.told.saturating_sub(1);
                batch.deletes.push((Table::View, key));
            }
        }
    }
    Ok(places)
}

/// The last places where entries are lost, from the end: each can be checked by the one after it.
pub(super) fn last_holes(lens: &Lens<'_>, space: u32, limit: usize) -> Result<Vec<Place>, Miss> {
    let range = KeyRange::prefix(&[&space.to_be_bytes()[..], &[HOLE]].concat());
    let rows = lens.scan(Table::View, &range, limit, true)?;
    Ok(rows.iter().filter_map(|(key, _)| place_of(key)).collect())
}

/// Up to `limit` entries of which lists name parts: the key after which to go on, and whether some of that is gone.
pub(super) fn named_after(
    lens: &Lens<'_>,
    space: u32,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Place, bool)>, Miss> {
    let rows = lens.scan(Table::View, &range_after(space, NAMED, after), limit, false)?;
    let is_gone = |row: &[u8]| decode_named(row).is_ok_and(|named| named.values().any(|state| *state == State::Gone));
    Ok(rows.into_iter().filter_map(|(key, row)| Some((key.clone(), place_of(&key)?, is_gone(&row)))).collect())
}

/// The entries of one log between two places that have parts to be done.
pub(super) fn work_in(lens: &Lens<'_>, space: u32, log: PublicKey, from: u64, end: u64) -> Result<Vec<Place>, Miss> {
    let range = KeyRange { start: key(space, WORK, (log, from)), end: key(space, WORK, (log, end)) };
    let rows = lens.scan(Table::View, &range, usize::try_from(end - from).unwrap_or(usize::MAX), false)?;
    Ok(rows.iter().filter_map(|(key, _)| place_of(key)).collect())
}

/// Up to `limit` entries that have parts to be done, and the key after which to go on.
pub(super) fn work_after(
    lens: &Lens<'_>,
    space: u32,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Place)>, Miss> {
    tagged_after(lens, space, WORK, after, limit)
}

/// Up to `limit` entries that have missing parts, and the key after which to go on.
pub(super) fn missing_after(
    lens: &Lens<'_>,
    space: u32,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Place)>, Miss> {
    tagged_after(lens, space, MISSING, after, limit)
}

fn tagged_after(
    lens: &Lens<'_>,
    space: u32,
    tag: u8,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Place)>, Miss> {
    let rows = lens.scan(Table::View, &range_after(space, tag, after), limit, false)?;
    Ok(rows.into_iter().filter_map(|(key, _)| Some((key.clone(), place_of(&key)?))).collect())
}

fn range_after(space: u32, tag: u8, after: Option<&[u8]>) -> KeyRange {
    let range = KeyRange::prefix(&[&space.to_be_bytes()[..], &[tag]].concat());
    match after {
        Some(after) => KeyRange { start: [after, &[0]].concat(), ..range },
        None => range,
    }
}

/// How a named part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// To be done: its entry or what supersedes it is not here yet, or nobody has come to it.
    Open,
    /// Its bytes are not here and will not be taken.
    Gone,
    /// It says nothing that could be superseded.
    Kept,
}

/// The named parts of an entry.
pub(super) type Named = BTreeMap<usize, State>;

pub(super) fn encode_named(named: &Named) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(1).number(named.len() as u64);
    for (part, state) in named {
        writer.number(*part as u64).u8(match state {
            State::Open => 0,
            State::Gone => 1,
            State::Kept => 2,
        });
    }
    writer.finish()
}

pub(super) fn decode_named(bytes: &[u8]) -> Result<Named, CodecError> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != 1 {
        return Err(CodecError::Tag);
    }
    let mut named = Named::new();
    for _ in 0..reader.size(MAX_PARTS)? {
        let part = reader.size(MAX_PARTS)?;
        let state = match reader.u8()? {
            0 => State::Open,
            1 => State::Gone,
            _ => State::Kept,
        };
        named.insert(part, state);
    }
    Ok(named)
}

pub(super) fn encode_missing(parts: &[usize]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(1).number(parts.len() as u64);
    for part in parts {
        writer.number(*part as u64);
    }
    writer.finish()
}

pub(super) fn decode_missing(bytes: &[u8]) -> Result<Vec<usize>, CodecError> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != 1 {
        return Err(CodecError::Tag);
    }
    let count = reader.size(MAX_PARTS)?;
    (0..count).map(|_| reader.size(MAX_PARTS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let gone = Gone {
            work: 3,
            missing: 1,
            rules: vec![Rule { prefix: Path::new(["a", "b"]).unwrap(), clock: 77 }],
            searching: true,
            settled: 5,
            checked: 2,
            holes: 9,
            told: 4,
            keep_at: 77,
            voided: 1 << 60,
            surveyed: (3, 70_000),
            ended: true,
            doubts: Some(vec![PublicKey([4; 32]), PublicKey([5; 32])]),
            doubted: true,
            swept: [(0, 5), (9, 300)].into(),
            looked: [(0, 5), (9, 300)].into(),
            ..Gone::default()
        };
        assert_eq!(Gone::decode(&gone.encode()), Ok(gone));
        let named: Named = [(0, State::Open), (3, State::Gone), (900, State::Kept)].into();
        assert_eq!(decode_named(&encode_named(&named)), Ok(named));
        assert_eq!(decode_missing(&encode_missing(&[1, 2, 500])), Ok(vec![1, 2, 500]));
        let place = (PublicKey([7; 32]), 12);
        assert_eq!(place_of(&key(1, WORK, place)), Some(place));
    }
}
