//! The peer's own rows: keys, spaces, logs, authority, arrivals. Each begins with a version byte.
//!
//! ```text
//! meta     "device" | "identity"            seed[32]
//!          "me"                             space number (4)
//!          "space/" ‖ space (4)             see SpaceRow
//! head     space (4) ‖ 0 ‖ log (4)          see HeadRow
//!          space (4) ‖ 1 ‖ log (4) ‖ seq(8) authority record: kind ‖ body
//!          space (4) ‖ 2 ‖ invite[32]       see IssuedRow
//!          space (4) ‖ 3 ‖ peer[32]         how much of the own log that peer has stored
//!          space (4) ‖ 4 ‖ log[32]          fork proof
//!          space (4) ‖ 5                    present while the tree is made anew
//!          space (4) ‖ 6 ‖ tag              an op of a kind that this release did not know is in the tree
//!          space (4) ‖ 8 ‖ point (26) ‖ hash (8) of the path   a move: 1 ‖ path key (bytes) ‖ key of where to (bytes)
//!          space (4) ‖ 9 ‖ log (4) ‖ from(8) entries that are gone: see PrunedRow
//!          space (4) ‖ 7                    what is merged and not in the index of history yet: see Behind
//! tail     space (4) ‖ log (4) ‖ seq (8)    one entry
//! segment  space (4) ‖ log (4) ‖ last (8)   entries, each with its length, the last at seq `last`
//! arrival  space (4) ‖ number (8)           (log (4), from, count)*
//! ```

use super::quota::Used;
use crate::api::Role;
use crate::authority::Record;
use crate::codec::{CodecError, Reader, Writer};
use crate::document::moves::Which;
use crate::entry::{Kind, Pruned, Tip};
use crate::epoch::EpochKey;
use crate::history::Point;
use crate::identity::PublicKey;
use crate::invite::Ticket;
use crate::path::{MAX_PATH_BYTES, Path};
use crate::records::{role_of, role_tag};
use crate::rows::KeyRange;

pub(super) const DEVICE: &[u8] = b"device";
pub(super) const IDENTITY: &[u8] = b"identity";
pub(super) const ME: &[u8] = b"me";
const SPACE: &[u8] = b"space/";

/// A space this peer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpaceRow {
    pub(super) key: PublicKey,
    pub(super) epochs: Vec<EpochKey>,
    /// How this peer got in; `None` for spaces it founded.
    pub(super) ticket: Option<Ticket>,
    /// Whether the founding and a key have arrived.
    pub(super) joined: bool,
    /// Whether it was taken in from a file, to be read only: this peer is no member.
    pub(super) archive: bool,
    /// The name last seen, so that listing spaces needs no tree.
    pub(super) name: String,
}

pub(super) fn space_key(space: u32) -> Vec<u8> {
    [SPACE, &space.to_be_bytes()].concat()
}

pub(super) fn space_of_key(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(key.strip_prefix(SPACE)?.try_into().ok()?))
}

impl SpaceRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(1).fixed(&self.key.0).u8(u8::from(self.joined) + u8::from(self.archive)).text(&self.name);
        writer.number(self.epochs.len() as u64);
        for epoch in &self.epochs {
            writer.fixed(epoch.bytes());
        }
        writer.bytes(&self.ticket.as_ref().map(Ticket::encode).unwrap_or_default());
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<SpaceRow, CodecError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != 1 {
            return Err(CodecError::Tag);
        }
        let key = PublicKey(reader.fixed()?);
        let state = reader.u8()?;
        let (joined, archive) = (state == 1 || state == 2, state == 2);
        let name = reader.text(4096)?.to_owned();
        let mut epochs = Vec::new();
        for _ in 0..reader.size(1 << 16)? {
            epochs.push(EpochKey::new(reader.fixed()?));
        }
        let ticket = reader.bytes(1 << 16)?;
        let ticket = if ticket.is_empty() { None } else { Some(Ticket::decode(ticket).map_err(|_| CodecError::Tag)?) };
        Ok(SpaceRow { key, epochs, ticket, joined, archive, name })
    }
}

/// A log of a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeadRow {
    pub(super) key: PublicKey,
    pub(super) tip: Tip,
    /// How many of its entries have been merged into the tree.
    pub(super) applied: u64,
    /// The latest clock among them.
    pub(super) clock: u64,
    /// What it has added lately; only for logs of others.
    pub(super) used: Used,
}

impl HeadRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        let counted = self.used != Used::default();
        writer.u8(if counted { 2 } else { 1 }).fixed(&self.key.0).number(self.tip.len).fixed(&self.tip.hash);
        writer.number(self.applied).number(self.clock);
        if counted {
            self.used.encode(&mut writer);
        }
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<HeadRow, CodecError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if !(1..=2).contains(&version) {
            return Err(CodecError::Tag);
        }
        let key = PublicKey(reader.fixed()?);
        let tip = Tip { len: reader.number()?, hash: reader.fixed()? };
        let (applied, clock) = (reader.number()?, reader.number()?);
        let used = if version == 2 { Used::decode(&mut reader)? } else { Used::default() };
        Ok(HeadRow { key, tip, applied, clock, used })
    }
}

/// An invite this peer made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IssuedRow {
    pub(super) role: Role,
    pub(super) secret: [u8; 16],
    pub(super) app: String,
    pub(super) created: u64,
    pub(super) url: String,
}

impl IssuedRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(1).u8(role_tag(self.role)).fixed(&self.secret).text(&self.app).number(self.created);
        writer.text(&self.url).finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<IssuedRow, CodecError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != 1 {
            return Err(CodecError::Tag);
        }
        let role = role_of(reader.u8()?)?;
        Ok(IssuedRow {
            role,
            secret: reader.fixed()?,
            app: reader.text(1 << 16)?.to_owned(),
            created: reader.number()?,
            url: reader.text(1 << 16)?.to_owned(),
        })
    }
}

/// What a row of the head table is about.
pub(super) enum HeadKey {
    Log(u32),
    Record(u32, u64),
    Issued,
    Ack(PublicKey),
    Fork(PublicKey),
    Rebuilding,
    Unknown(u8),
    Index,
    Move,
    Pruned(u32),
}

pub(super) fn head_prefix(space: u32) -> KeyRange {
    KeyRange::prefix(&space.to_be_bytes())
}

pub(super) fn head_key(space: u32, log: u32) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[0], &log.to_be_bytes()].concat()
}

pub(super) fn record_key(space: u32, log: u32, seq: u64) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[1], &log.to_be_bytes(), &seq.to_be_bytes()].concat()
}

pub(super) fn issued_key(space: u32, invite: &PublicKey) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[2], &invite.0].concat()
}

pub(super) fn ack_key(space: u32, peer: &PublicKey) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[3], &peer.0].concat()
}

pub(super) fn fork_key(space: u32, log: &PublicKey) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[4], &log.0].concat()
}

pub(super) fn rebuild_key(space: u32) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[5]].concat()
}

pub(super) fn unknown_key(space: u32, tag: u8) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[6, tag]].concat()
}

/// The key of the row that says what is not in the index of history yet; the row is there from a space's first day on,
/// unless it is older than the index.
pub(super) fn index_key(space: u32) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[7]].concat()
}

pub(super) fn move_key(space: u32, (by, node): &Which) -> Vec<u8> {
    let hash = blake3::hash(&node.to_key());
    [&space.to_be_bytes()[..], &[8], &by.to_bytes(), hash.as_bytes().get(..8).unwrap_or_default()].concat()
}

pub(super) fn encode_move(node: &Path, to: &Path) -> Vec<u8> {
    Writer::new().u8(1).bytes(&node.to_key()).bytes(&to.to_key()).finish()
}

/// A move from its row.
pub(super) fn decode_move(key: &[u8], value: &[u8]) -> Option<(Which, Path)> {
    let by = Point::from_bytes(key.get(5..31)?)?;
    let mut reader = Reader::new(value);
    reader.u8().ok().filter(|version| *version == 1)?;
    let mut path = || Path::from_key(reader.bytes(MAX_PATH_BYTES).ok()?);
    Some(((by, path()?), path()?))
}

pub(super) fn pruned_key(space: u32, log: u32, from: u64) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[9], &log.to_be_bytes(), &from.to_be_bytes()].concat()
}

/// How far it has come with entries that are to go. They are passed over in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The log goes on behind them. Some may be here, passed over and not looked at.
    Came,
    /// What is here of them is being erased.
    Going,
    /// Nothing of them is left.
    Gone,
}

/// Entries of a log that are gone, or on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PrunedRow {
    pub(super) pruned: Pruned,
    pub(super) stage: Stage,
}

impl PrunedRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        [&[1, self.stage as u8][..], &self.pruned.encode()].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<PrunedRow> {
        let (front, pruned) = bytes.split_first_chunk::<2>()?;
        let stage = match front {
            [1, 0] => Stage::Came,
            [1, 1] => Stage::Going,
            [1, 2] => Stage::Gone,
            _ => return None,
        };
        Some(PrunedRow { pruned: Pruned::decode(pruned).ok()??, stage })
    }
}

/// Entries of a log that are merged and not in the index of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    pub(super) log: u32,
    pub(super) from: u64,
    pub(super) upto: u64,
}

pub(super) fn encode_behind(behind: &[Behind]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(1);
    for part in behind {
        writer.number(u64::from(part.log)).number(part.from).number(part.upto);
    }
    writer.finish()
}

pub(super) fn decode_behind(bytes: &[u8]) -> Result<Vec<Behind>, CodecError> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != 1 {
        return Err(CodecError::Tag);
    }
    let mut behind = Vec::new();
    while !reader.is_at_end() {
        let log = u32::try_from(reader.number()?).map_err(|_| CodecError::Number)?;
        behind.push(Behind { log, from: reader.number()?, upto: reader.number()? });
    }
    Ok(behind)
}

pub(super) fn read_head_key(key: &[u8]) -> Option<HeadKey> {
    let (tag, rest) = key.get(4..)?.split_first()?;
    Some(match tag {
        0 => HeadKey::Log(u32::from_be_bytes(rest.try_into().ok()?)),
        1 => {
            let (log, seq) = rest.split_first_chunk::<4>()?;
            HeadKey::Record(u32::from_be_bytes(*log), u64::from_be_bytes(seq.try_into().ok()?))
        }
        2 => HeadKey::Issued,
        3 => HeadKey::Ack(PublicKey(rest.try_into().ok()?)),
        4 => HeadKey::Fork(PublicKey(rest.try_into().ok()?)),
        5 => HeadKey::Rebuilding,
        6 => HeadKey::Unknown(*rest.first()?),
        7 => HeadKey::Index,
        8 => HeadKey::Move,
        9 => HeadKey::Pruned(u32::from_be_bytes(rest.get(..4)?.try_into().ok()?)),
        _ => return None,
    })
}

/// An authority record as a row.
pub(super) fn encode_record(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(kind as u8).fixed(body).finish()
}

pub(super) fn decode_record(bytes: &[u8]) -> Option<Record> {
    let (kind, body) = bytes.split_first()?;
    let kind = [Kind::Genesis, Kind::Device, Kind::Grant, Kind::Epoch, Kind::Checkpoint]
        .into_iter()
        .find(|k| *k as u8 == *kind)?;
    Record::decode(kind, body).ok()?
}

pub(super) fn log_prefix(space: u32, log: u32) -> Vec<u8> {
    [space.to_be_bytes(), log.to_be_bytes()].concat()
}

pub(super) fn entry_key(space: u32, log: u32, seq: u64) -> Vec<u8> {
    [&log_prefix(space, log)[..], &seq.to_be_bytes()].concat()
}

pub(super) fn seq_of_key(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(8..)?.try_into().ok()?))
}

/// Entries packed into one row.
pub(super) fn encode_segment<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut writer = Writer::new();
    for entry in entries {
        writer.bytes(entry);
    }
    writer.finish()
}

pub(super) fn decode_segment(bytes: &[u8]) -> Vec<&[u8]> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while !reader.is_at_end() {
        let Ok(entry) = reader.bytes(bytes.len()) else { break };
        entries.push(entry);
    }
    entries
}

pub(super) fn arrival_key(space: u32, number: u64) -> Vec<u8> {
    [&space.to_be_bytes()[..], &number.to_be_bytes()].concat()
}

/// The number of an arrival, from its row's key.
pub(super) fn arrival_of_key(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(4..)?.try_into().ok()?))
}

/// A run of entries that arrived together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) log: u32,
    pub(super) from: u64,
    pub(super) count: u64,
}

pub(super) fn encode_arrival(runs: &[Run]) -> Vec<u8> {
    let mut writer = Writer::new();
    for run in runs {
        writer.fixed(&run.log.to_be_bytes()).number(run.from).number(run.count);
    }
    writer.finish()
}

pub(super) fn decode_arrival(bytes: &[u8]) -> Vec<Run> {
    let mut reader = Reader::new(bytes);
    let mut runs = Vec::new();
    while !reader.is_at_end() {
        let run = (|| {
            let log = u32::from_be_bytes(reader.fixed()?);
            Ok::<Run, CodecError>(Run { log, from: reader.number()?, count: reader.number()? })
        })();
        let Ok(run) = run else { break };
        runs.push(run);
    }
    runs
}
