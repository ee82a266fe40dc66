//! Entries on the wire: runs of one log, without what each entry repeats or can be worked out.
//!
//! ```text
//! run  = count (not 0) ‖ log[32] ‖ seq ‖ prev[32] ‖ item{count}     entries that follow each other
//!      | 0 ‖ pruned (bytes)                                         what of a log is gone, before the run behind it
//!      | 0 ‖ entry (bytes)                                          an entry that is not of this version or space
//! item = kind and flags ‖ epoch[16] (flag 0x10) ‖ count ‖ dep* (flag 0x20) ‖ signature[64] ‖ body (bytes)
//! ```
//! Space and log are said once, `prev` is the hash of the entry before, the body's hash is made from the body, and an
//! op has the epoch of the op before it unless the flag says otherwise. A wrong body or order shows in the signature
//! of the run's last entry, since every hash goes into it.

use super::{MAX_ENTRIES, MAX_FRAME, MAX_RAW};
use crate::codec::{CodecError, Reader, Writer};
use crate::entry::{Dep, Entry, Header, Kind, MAX_BODY, MAX_DEPS, Pruned, Tip};
use crate::identity::PublicKey;

const EPOCH: u8 = 0x10;
const DEPS: u8 = 0x20;

/// Part of a frame of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly all pieces are entries")]
pub enum Piece {
    /// An entry; of another space, perhaps.
    Entry(Entry),
    /// Bytes that are no entry of this version.
    Other(Vec<u8>),
}

impl From<Vec<u8>> for Piece {
    fn from(raw: Vec<u8>) -> Piece {
        Entry::decode(&raw).map_or(Piece::Other(raw), Piece::Entry)
    }
}

impl Piece {
    /// The bytes it stands for.
    pub fn raw(&self) -> &[u8] {
        match self {
            Piece::Entry(entry) => entry.raw(),
            Piece::Other(raw) => raw,
        }
    }
}

/// Where a run has come to.
#[derive(Clone, Copy)]
struct End {
    log: PublicKey,
    tip: Tip,
    epoch: Option<[u8; 16]>,
}

impl End {
    fn of(before: Option<End>, entry: &Entry) -> Option<End> {
        let Header { log, seq, epoch, .. } = &entry.header;
        let epoch = epoch.or(before.and_then(|end| end.epoch));
        Some(End { log: *log, tip: Tip { len: seq.checked_add(1)?, hash: entry.hash() }, epoch })
    }

    fn is_followed_by(&self, log: &PublicKey, seq: u64, prev: &[u8; 32]) -> bool {
        self.log == *log && self.tip.len == seq && self.tip.hash == *prev
    }
}

pub(super) fn write_pieces(writer: &mut Writer, space: &PublicKey, pieces: &[Piece]) {
    let mut runs: Vec<(u64, Writer)> = Vec::new();
    let mut end: Option<End> = None;
    for piece in pieces {
        let entry = match piece {
            Piece::Entry(entry) if entry.header.space == *space => entry,
            other => {
                let mut loose = Writer::new();
                loose.bytes(other.raw());
                runs.push((0, loose));
                end = None;
                continue;
            }
        };
        let header = &entry.header;
        if let Some(pruned) = entry.pruned() {
            let mut loose = Writer::new();
            loose.bytes(&pruned.encode());
            runs.push((0, loose));
            end = None;
        }
        end = end.filter(|end| end.is_followed_by(&header.log, header.seq, &header.prev));
        if end.is_none() {
            let mut run = Writer::new();
            run.fixed(&header.log.0).number(header.seq).fixed(&header.prev);
            runs.push((0, run));
        }
        if let Some((count, run)) = runs.last_mut() {
            *count += 1;
            write_item(run, entry, end.and_then(|end| end.epoch));
        }
        end = End::of(end, entry);
    }
    writer.number(runs.len() as u64);
    for (count, mut run) in runs {
        writer.number(count).fixed(&run.finish());
    }
}

fn write_item(writer: &mut Writer, entry: &Entry, before: Option<[u8; 16]>) {
    let header = &entry.header;
    let epoch = header.epoch.filter(|epoch| Some(*epoch) != before);
    let flags = if epoch.is_some() { EPOCH } else { 0 } | if header.deps.is_empty() { 0 } else { DEPS };
    writer.u8(header.kind.tag() | flags);
    if let Some(epoch) = epoch {
        writer.fixed(&epoch);
    }
    if !header.deps.is_empty() {
        writer.number(header.deps.len() as u64);
        for dep in &header.deps {
            writer.fixed(&dep.log.0).number(dep.seq).fixed(&dep.hash);
        }
    }
    writer.fixed(entry.signature()).bytes(entry.body());
}

pub(super) fn read_pieces(reader: &mut Reader<'_>, space: &PublicKey) -> Result<Vec<Piece>, CodecError> {
    let mut pieces = Vec::new();
    let mut unpacked = 0;
    let mut end: Option<End> = None;
    let mut pruned: Option<Pruned> = None;
    for _ in 0..reader.size(2 * MAX_ENTRIES)? {
        let count = reader.size(MAX_ENTRIES.saturating_sub(pieces.len()))?;
        if count == 0 {
            let raw = reader.bytes(MAX_RAW)?;
            // What is gone is followed by what is there, at once.
            if pruned.is_some() {
                return Err(CodecError::Tag);
            }
            pruned = Pruned::decode(raw)?;
            if pruned.is_some() {
                take_room(&mut unpacked, raw.len())?;
                end = None;
                continue;
            }
            let piece = Piece::from(raw.to_vec());
            if pieces.len() == MAX_ENTRIES {
                return Err(CodecError::Limit);
            }
            if matches!(&piece, Piece::Entry(entry) if entry.header.space == *space) {
                return Err(CodecError::Tag);
            }
            take_room(&mut unpacked, piece.raw().len())?;
            pieces.push(piece);
            end = None;
            continue;
        }
        let (log, seq, prev) = (PublicKey(reader.fixed()?), reader.number()?, reader.fixed()?);
        // What goes on where the run before ended is part of it.
        if end.is_some_and(|end| end.is_followed_by(&log, seq, &prev)) {
            return Err(CodecError::Tag);
        }
        let mut next = End { log, tip: Tip { len: seq, hash: prev }, epoch: None };
        for index in 0..count {
            let mut entry = read_item(reader, *space, &next)?;
            if let Some(pruned) = pruned.take() {
                if !entry.follows(&pruned) {
                    return Err(CodecError::Tag);
                }
                entry = entry.behind(pruned);
            }
            take_room(&mut unpacked, entry.raw().len())?;
            let after = End::of(Some(next), &entry);
            // Nothing can follow the last number there is.
            if after.is_none() && index + 1 < count {
                return Err(CodecError::Number);
            }
            end = after;
            next = after.unwrap_or(next);
            pieces.push(Piece::Entry(entry));
        }
    }
    if pruned.is_some() { Err(CodecError::Short) } else { Ok(pieces) }
}

/// Entries may not take more room than a frame once they are whole again.
fn take_room(unpacked: &mut usize, bytes: usize) -> Result<(), CodecError> {
    *unpacked += bytes;
    if *unpacked > MAX_FRAME { Err(CodecError::Limit) } else { Ok(()) }
}

fn read_item(reader: &mut Reader<'_>, space: PublicKey, next: &End) -> Result<Entry, CodecError> {
    let tag = reader.u8()?;
    let kind = Kind::from_tag(tag & 0x0f).map_err(|_| CodecError::Tag)?;
    let (has_epoch, has_deps) = (tag & EPOCH != 0, tag & DEPS != 0);
    if tag & !(0x0f | EPOCH | DEPS) != 0 || has_epoch && kind != Kind::Op {
        return Err(CodecError::Tag);
    }
    let epoch = match (kind, has_epoch) {
        (Kind::Op, true) => Some(reader.fixed()?).filter(|epoch| Some(*epoch) != next.epoch),
        (Kind::Op, false) => next.epoch,
        _ => None,
    };
    if kind == Kind::Op && epoch.is_none() {
        return Err(CodecError::Tag);
    }
    let dep = |reader: &mut Reader<'_>| {
        Ok(Dep { log: PublicKey(reader.fixed()?), seq: reader.number()?, hash: reader.fixed()? })
    };
    let deps = if has_deps { super::many(reader, MAX_DEPS, dep)? } else { Vec::new() };
    if has_deps && deps.is_empty() {
        return Err(CodecError::Tag);
    }
    let signature = reader.fixed()?;
    let body = reader.bytes(MAX_BODY)?;
    let (log, Tip { len: seq, hash: prev }) = (next.log, next.tip);
    let (body_len, body_hash, is_hollow) = crate::entry::body_hash(kind, body).map_err(|_| CodecError::Tag)?;
    let header = Header { space, log, seq, prev, kind, epoch, deps, body_len, body_hash };
    Ok(Entry::from_parts(header, &signature, body, is_hollow))
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use crate::identity::SecretKey;
    use proptest::prelude::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn space() -> PublicKey {
        key(9).public()
    }

    /// A body as an op has it, with one part of this many bytes.
    fn op_body(part: usize) -> Vec<u8> {
        let epoch = crate::epoch::EpochKey::new([1; 32]);
        let mut entropy = crate::entropy::Entropy::new(&[2; 32]);
        crate::sealed::seal(&epoch, &space(), &space(), 0, &[1], &[vec![7; part]], &mut entropy)
    }

    /// Entries of a few logs as they might be sent: author, kind, epoch, number of deps, bytes in the body; and
    /// whether the log goes on or begins again.
    fn pieces(plan: &[(u8, u8, u8, usize, usize, bool)]) -> Vec<Piece> {
        let mut tips = [Tip::EMPTY; 3];
        let one = |(author, kind, epoch, deps, body, again): &(u8, u8, u8, usize, usize, bool)| {
            let author = author % 3;
            let tip = &mut tips[usize::from(author)];
            if *again {
                *tip = Tip::EMPTY;
            }
            let kind = Kind::from_tag(kind % 5).unwrap();
            let dep = Dep { log: space(), seq: tip.len * 200, hash: [3; 32] };
            let epoch = (kind == Kind::Op).then_some([epoch % 2; 16]);
            let body = if kind == Kind::Op { op_body(*body) } else { vec![7; *body] };
            let entry = Entry::sign(&key(author), space(), *tip, kind, epoch, vec![dep; deps % 4], &body);
            *tip = Tip { len: tip.len + 1, hash: entry.hash() };
            Piece::Entry((*entry).clone())
        };
        plan.iter().map(one).collect()
    }

    proptest! {
        #[test]
        fn entries_come_out_as_they_went_in(plan in proptest::collection::vec(any::<(u8, u8, u8, usize, u8, u8)>(), 0..30)) {
            let plan: Vec<_> =
                plan.into_iter().map(|(a, k, e, d, b, again)| (a, k, e, d, usize::from(b), again < 20)).collect();
            let mut pieces = pieces(&plan);
            pieces.insert(pieces.len() / 2, Piece::Other(vec![1, 2, 3]));
            let frame = Frame::Entries(space(), pieces);
            let bytes = frame.encode();
            prop_assert_eq!(Frame::decode(&bytes), Ok(frame));
            let whole: usize = plan.len();
            prop_assert!(whole == 0 || bytes.len() < 40_000);
        }

        #[test]
        fn damaged_runs_have_one_encoding_or_none(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
            let plan = [(0, 4, 0, 1, 9, false), (0, 4, 0, 0, 9, false), (0, 4, 1, 0, 9, false), (1, 1, 0, 2, 3, false)];
            let mut bytes = Frame::Entries(space(), pieces(&plan)).encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if byte % 4 == 0 {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Ok(frame) = Frame::decode(&bytes) {
                prop_assert_eq!(frame.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_run_costs_little_beside_bodies_and_signatures() {
        let plan = [(0, 4, 0, 0, 100, false); 50];
        let pieces = pieces(&plan);
        let raw: usize = pieces.iter().map(|piece| piece.raw().len()).sum();
        let packed = Frame::Entries(space(), pieces).encode().len();
        assert!(packed < 50 * (op_body(100).len() + 64 + 3) + 200, "{raw} bytes became {packed}");
    }

    #[test]
    fn what_could_be_said_shorter_is_refused() {
        let pieces = pieces(&[(0, 4, 0, 0, 5, false), (0, 4, 0, 0, 5, false)]);
        let [first, second] = [&pieces[..1], &pieces[1..]].map(|part| {
            let mut writer = Writer::new();
            write_pieces(&mut writer, &space(), part);
            writer.finish()[1..].to_vec()
        });
        let frame = |runs: &[&[u8]]| [&[4][..], &space().0, &[runs.len() as u8], &runs.concat()].concat();
        assert!(Frame::decode(&frame(&[&first])).is_ok() && Frame::decode(&frame(&[&second])).is_ok());
        assert_eq!(Frame::decode(&frame(&[&first, &second])), Err(CodecError::Tag));
        let loose = [&[0][..], &Writer::new().bytes(pieces[0].raw()).finish()].concat();
        assert_eq!(Frame::decode(&frame(&[&loose])), Err(CodecError::Tag));
    }

    #[test]
    fn entries_that_are_too_many_or_too_large_once_whole_are_refused() {
        let body = op_body(0);
        let body = Writer::new().bytes(&body).finish();
        let items = [&[4u8 | EPOCH][..], &[1; 16], &[0; 64], &body].concat();
        let item = [&[4u8][..], &[0; 64], &body].concat();
        let frame = |count: u64| {
            let mut writer = Writer::new();
            writer.u8(4).fixed(&space().0).u8(1).number(count).fixed(&[1; 32]).number(0).fixed(&[0; 32]).fixed(&items);
            for _ in 1..count {
                writer.fixed(&item);
            }
            writer.finish()
        };
        assert!(Frame::decode(&frame(4000)).is_ok());
        assert_eq!(Frame::decode(&frame(MAX_ENTRIES as u64 + 1)), Err(CodecError::Limit));
        let long = Piece::from(pieces(&[(0, 4, 0, 0, MAX_BODY - 200, false)])[0].raw().to_vec());
        let two = Frame::Entries(space(), vec![long.clone(), long]).encode();
        assert_eq!(Frame::decode(&two), Err(CodecError::Limit));
    }

    #[test]
    fn a_run_cannot_go_on_past_the_last_number() {
        let mut writer = Writer::new();
        writer.u8(4).fixed(&space().0).u8(1).number(2).fixed(&[1; 32]).number(u64::MAX).fixed(&[0; 32]);
        for _ in 0..2 {
            writer.u8(1).fixed(&[0; 64]).number(0);
        }
        assert_eq!(Frame::decode(&writer.finish()), Err(CodecError::Number));
    }
}
