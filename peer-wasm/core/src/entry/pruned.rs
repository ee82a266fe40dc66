//! Ranges of a log whose entries are gone, and the owner's word that nothing in them matters any more.

use super::Tip;
use crate::codec::{CodecError, Reader, Writer};
use crate::identity::{PublicKey, SecretKey};

/// The first byte of a [`Pruned`], where that of an entry is its version.
const TAG: u8 = 0;
/// No log has an entry behind this place.
const MAX_PLACE: u64 = 1 << 40;
const DOMAIN: &str = "kith/pruned/v1";

/// A range of a log, and the hash of its last entry: the `prev` of the entry that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrunedRange {
    /// Whose log.
    pub log: PublicKey,
    /// The first entry that is gone: never the first of the log.
    pub from: u64,
    /// The first that is there again.
    pub to: u64,
    /// The hash of the entry before `to`.
    pub hash: [u8; 32],
    /// See [`Pruned::sign`].
    pub signature: [u8; 64],
}

impl PrunedRange {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.fixed(&self.log.0).number(self.from).number(self.to).fixed(&self.hash).fixed(&self.signature);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<PrunedRange, CodecError> {
        let log = PublicKey(reader.fixed()?);
        let (from, to) = (reader.number()?, reader.number()?);
        if from == 0 || from >= to || to > MAX_PLACE {
            return Err(CodecError::Number);
        }
        Ok(PrunedRange { log, from, to, hash: reader.fixed()?, signature: reader.fixed()? })
    }
}

/// A pruned range as it travels in the place of its entries: with who said so in which checkpoint.
///
/// ```text
/// pruned = 0x00 ‖ log[32] ‖ from ‖ to ‖ hash[32] ‖ signature[64] ‖ by[32] ‖ at
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Which entries.
    pub range: PrunedRange,
    /// The log of the owner's device that says so.
    pub by: PublicKey,
    /// The place of its checkpoint there.
    pub at: u64,
}

impl Pruned {
    /// The range from `from` up to the entry that follows `tip`, signed by an owner's device for its checkpoint at `at`.
    pub fn sign(key: &SecretKey, space: &PublicKey, log: PublicKey, from: u64, tip: Tip, at: u64) -> Pruned {
        let Tip { len: to, hash } = tip;
        let range = PrunedRange { log, from, to, hash, signature: [0; 64] };
        let pruned = Pruned { range, by: key.public(), at };
        let signature = key.sign(DOMAIN, &pruned.message(space));
        Pruned { range: PrunedRange { signature, ..range }, ..pruned }
    }

    fn message(&self, space: &PublicKey) -> Vec<u8> {
        let PrunedRange { log, from, to, hash, .. } = &self.range;
        let mut writer = Writer::new();
        writer.fixed(&space.0).fixed(&log.0).number(*from).number(*to).fixed(hash).number(self.at).finish()
    }

    /// Whether the device it names signed it.
    pub fn holds(&self, space: &PublicKey) -> bool {
        self.by.verify(DOMAIN, &self.message(space), &self.range.signature)
    }

    /// Whether the same is said by a later checkpoint of the same owner's device.
    pub(crate) fn is_said_anew(&self, later: &Pruned) -> bool {
        let (ours, theirs) = (&self.range, &later.range);
        let same = (ours.log, ours.from, ours.to, ours.hash) == (theirs.log, theirs.from, theirs.to, theirs.hash);
        same && self.by == later.by && self.at < later.at
    }

    /// Whether an entry is among those that are gone.
    pub const fn covers(&self, seq: u64) -> bool {
        self.range.from <= seq && seq < self.range.to
    }

    /// What the entry behind it follows.
    pub const fn tip(&self) -> Tip {
        Tip { len: self.range.to, hash: self.range.hash }
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(TAG);
        self.range.write(&mut writer);
        writer.fixed(&self.by.0).number(self.at).finish()
    }

    /// Reads it from bytes that hold nothing else; `None` if they begin as something else.
    pub fn decode(bytes: &[u8]) -> Result<Option<Pruned>, CodecError> {
        let Some((&TAG, rest)) = bytes.split_first() else { return Ok(None) };
        let mut reader = Reader::new(rest);
        let range = PrunedRange::read(&mut reader)?;
        let pruned = Pruned { range, by: PublicKey(reader.fixed()?), at: reader.number()? };
        reader.end()?;
        Ok(Some(pruned))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, EntryError, Kind, verify_run};
    use super::*;
    use crate::codec::Writer;
    use crate::wire::{Frame, Piece};

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn space() -> PublicKey {
        key(9).public()
    }

    /// A log of eight entries.
    fn log() -> Vec<Entry> {
        let mut tip = Tip::EMPTY;
        let mut next = |body: u8| {
            let entry = Entry::sign(&key(1), space(), tip, Kind::Grant, None, Vec::new(), &[body]);
            tip = Tip::after(&entry);
            entry.into_entry()
        };
        (0..8).map(&mut next).collect()
    }

    fn gone(log: &[Entry], from: u64, to: usize) -> Pruned {
        Pruned::sign(&key(2), &space(), key(1).public(), from, Tip::after(&log[to - 1]), 70)
    }

    /// Checks what is left of a log, following what is known of it.
    fn check(known: Tip, left: Vec<Entry>) -> Result<usize, EntryError> {
        verify_run(space(), key(1).public(), known, left, None).map(|run| run.len())
    }

    #[test]
    fn a_log_goes_on_behind_what_is_gone() {
        let log = log();
        let pruned = gone(&log, 2, 6);
        assert!(pruned.holds(&space()) && !pruned.holds(&key(1).public()));
        assert_eq!(Pruned::decode(&pruned.encode()), Ok(Some(pruned)));
        let behind = |at: usize, pruned| log[at].clone().behind(pruned);
        let whole = vec![log[0].clone(), log[1].clone(), behind(6, pruned), log[7].clone()];
        assert_eq!(check(Tip::EMPTY, whole.clone()), Ok(4));
        // Whoever stands in its middle goes on, too; but not who stands before it or lacks what is said to be there.
        assert_eq!(check(Tip::after(&log[3]), vec![behind(6, pruned)]), Ok(1));
        assert_eq!(check(Tip::after(&log[0]), vec![behind(6, pruned)]), Err(EntryError::WrongSeq));
        assert_eq!(check(Tip::EMPTY, vec![log[0].clone(), behind(6, pruned)]), Err(EntryError::WrongSeq));
        assert_eq!(check(Tip::after(&log[1]), vec![log[6].clone()]), Err(EntryError::WrongSeq));
        // It has to end where the entry begins.
        let other = Pruned::sign(&key(2), &space(), key(1).public(), 2, Tip { len: 6, hash: [7; 32] }, 70);
        assert_eq!(check(Tip::after(&log[1]), vec![behind(6, other)]), Err(EntryError::WrongPrev));
        assert_eq!(check(Tip::after(&log[1]), vec![behind(7, pruned)]), Err(EntryError::WrongSeq));
        // Nothing is said to be gone that is there.
        let mut all = log.clone();
        all[6] = behind(6, pruned);
        assert_eq!(check(Tip::EMPTY, all), Err(EntryError::WrongSeq));
        let frame = Frame::Entries(space(), whole.into_iter().map(Piece::Entry).collect());
        assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
    }

    #[test]
    fn what_is_before_has_to_stand_by_itself() {
        let log = log();
        let mut raw = log[1].raw().to_vec();
        let end = log[1].signed_part().len();
        raw[end - 1] ^= 1;
        let unsigned = Entry::decode(&raw).unwrap();
        let behind = log[6].clone().behind(gone(&log, 2, 6));
        let run = vec![log[0].clone(), unsigned, behind];
        assert_eq!(check(Tip::EMPTY, run), Err(EntryError::BadSignature));
    }

    #[test]
    fn a_range_is_followed_by_what_it_says_at_once() {
        let log = log();
        let pruned = gone(&log, 2, 6);
        let frame = |raws: &[Vec<u8>]| {
            let mut writer = Writer::new();
            writer.u8(4).fixed(&space().0).number(raws.len() as u64);
            for raw in raws {
                writer.u8(0).bytes(raw);
            }
            Frame::decode(&writer.finish())
        };
        assert_eq!(frame(&[pruned.encode()]), Err(CodecError::Short));
        assert_eq!(frame(&[pruned.encode(), pruned.encode()]), Err(CodecError::Tag));
        assert_eq!(frame(&[pruned.encode(), vec![1, 2, 3]]), Err(CodecError::Tag));
        let wrong = |from: u64, to: u64| {
            let range = PrunedRange { from, to, ..pruned.range };
            Pruned::decode(&Pruned { range, ..pruned }.encode())
        };
        for (from, to) in [(0, 6), (6, 6), (7, 6), (2, MAX_PLACE + 1)] {
            assert_eq!(wrong(from, to), Err(CodecError::Number), "{from} to {to}");
        }
        let raws = [log[1].raw().to_vec(), pruned.encode(), log[6].raw().to_vec()];
        let sent = Frame::entries(space(), raws);
        let Frame::Entries(_, pieces) = Frame::decode(&sent.encode()).unwrap() else { panic!("no entries") };
        assert!(matches!(&pieces[..], [Piece::Entry(_), Piece::Entry(last)] if last.pruned() == Some(&pruned)));
    }
}
