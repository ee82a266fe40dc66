//! Frames: what two peers say to each other over a link.
//!
//! ```text
//! open    = 0 ‖ count ‖ token[16]*                               spaces the sender takes part in, known only to those who know them
//! hello   = 1 ‖ space[32] ‖ count ‖ entry (bytes)*               the sender's right to be there: its device and grant
//! have    = 2 ‖ space[32] ‖ count ‖ (log[32] ‖ len ‖ hash[32])*  durable here; none: nothing you sent is left to be taken in
//! want    = 3 ‖ space[32] ‖ count ‖ (log[32] ‖ from)*            please send
//! entries = 4 ‖ space[32] ‖ count ‖ run*                         runs of logs, see `runs`
//! fork    = 5 ‖ space[32] ‖ proof                                two histories of one log
//! ask     = 6 ‖ space[32] ‖ log[32] ‖ count ‖ seq*               which entries do you have there?
//! tell    = 7 ‖ space[32] ‖ log[32] ‖ count ‖ (seq ‖ header and signature (bytes))*
//! refused = 8 ‖ space[32] ‖ log[32] ‖ seq ‖ why (text)           not taken, by name
//! sum     = 9 ‖ space[32] ‖ salt[8] ‖ sum[8]                     all I have, in one sum (see [`crate::ranges`])
//! sums    = 10 ‖ space[32] ‖ salt[8] ‖ count ‖ (range ‖ parts[2] ‖ sum[8]*)*     what I have of ranges, by their parts
//! heads   = 11 ‖ space[32] ‖ count ‖ (range ‖ count ‖ (log[32] ‖ len ‖ hash[32])*)*  all I have in ranges
//! whole   = 12 ‖ space[32] ‖ log[32] ‖ count ‖ seq*              parts of these are missing here
//! parts   = 13 ‖ space[32] ‖ count ‖ entry (bytes)*              the same entries with what the sender has of them
//! keys    = 14 ‖ space[32] ‖ count ‖ wrap[112]*                  the space's keys, for a newcomer
//! present = 15 ‖ space[32] ‖ stamp ‖ count ‖ (path (bytes) ‖ client (text) ‖ selections (text))*  all the sender's people
//! glance  = 16 ‖ space[32] ‖ number ‖ path (bytes) ‖ each ‖ from (bytes)   what stands there? (see [`Glance`])
//! glimpse = 17 ‖ space[32] ‖ number ‖ next (bytes) ‖ count ‖ (from (bytes) ‖ to (bytes))* ‖ count ‖ entry (bytes)*
//!
//! range   = digits ‖ bytes[half of the digits, rounded up]       keys that begin with these digits of four bits
//! ```
//! `parts` has a bit for each part that holds something, the lowest for digit 0; their sums follow in that order.
//! Of two frames of presence the one with the higher stamp holds; see `peer/presence`.
//! Ranges come in order and do not overlap; so do logs in a range. Frames with tags up to [`LAST_TAG`] that are not
//! known are passed over: a later version may send them.

use crate::api::{MAX_CLIENT_BYTES, MAX_SELECTIONS_BYTES};
use crate::codec::{CodecError, Reader, Writer};
use crate::entry::{ForkProof, MAX_BODY, MAX_DEPS};
use crate::epoch::{MAX_KEYS, Wrap};
use crate::identity::PublicKey;
use crate::path::{MAX_PATH_BYTES, Path};
use crate::ranges::{Prefix, Salt, ShortSum};

mod runs;
mod sets;

pub use runs::Piece;

/// The most bytes of one frame.
pub const MAX_FRAME: usize = 3 << 19;
/// The most tokens in an open frame.
pub const MAX_TOKENS: usize = 1024;
/// The most items in a have or want frame.
pub const MAX_ITEMS: usize = 4096;
/// The most entries in one frame.
pub const MAX_ENTRIES: usize = 4096;
/// The most credentials in a hello.
pub const MAX_CREDENTIALS: usize = 4;
/// The most places asked about at once.
pub const MAX_ASKED: usize = 64;
/// The most ranges in one frame.
pub const MAX_RANGES: usize = 1024;
/// The most people of one peer who can be seen in a space at once.
pub const MAX_PRESENT: usize = 32;
/// The last tag a later version may use for frames that this one passes over.
pub const LAST_TAG: u8 = 63;

/// The most ranges of places in a glimpse.
pub const MAX_SEEN: usize = 256;
/// The most entries in a glimpse.
pub const MAX_GLIMPSED: usize = 1024;

/// The last tag this version knows.
pub const LAST_KNOWN_TAG: u8 = 17;
const MAX_HEADER: usize = 256 + MAX_DEPS * 74;
const MAX_RAW: usize = MAX_HEADER + 64 + MAX_BODY;

/// Names a space to someone who knows it, for one direction between two peers.
pub type Token = [u8; 16];

/// A log, how long it is and the hash of its last entry.
pub type LogHead = (PublicKey, u64, [u8; 32]);

/// The sums of a range's parts that hold something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSums {
    /// The range.
    pub range: Prefix,
    /// Part (0 to 15, rising) and its sum.
    pub parts: Vec<(u8, ShortSum)>,
}

/// Every log the sender has in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeHeads {
    /// The range.
    pub range: Prefix,
    /// The logs, by rising key.
    pub logs: Vec<LogHead>,
}

/// Where somebody is, as their peer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The place.
    pub path: Path,
    /// Who, among the people of that peer and elsewhere.
    pub client: String,
    /// What they say of themselves: JSON text, not checked yet.
    pub selections: String,
}

/// A question by someone whose logs are still arriving: which entries does it take to see what stands at and below a place?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Who asks names its questions by numbers.
    pub number: u64,
    /// The place.
    pub path: Path,
    /// Of each child so many places are enough; of all, all are wanted if it is 0.
    pub each: u64,
    /// The key of a place before which nothing is wanted.
    pub from: Vec<u8>,
}

/// An answer to a [`Glance`]: part of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// Of the question.
    pub number: u64,
    /// From where to ask for more; empty if this is all.
    pub next: Vec<u8>,
    /// The places, by ranges of their keys, whose last writes stand in the entries.
    pub seen: Vec<(Vec<u8>, Vec<u8>)>,
    /// Entries, each with a signature of its own that holds; before them those that let their authors write.
    pub entries: Vec<Vec<u8>>,
}

/// One thing said over a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The spaces the sender takes part in.
    Open(Vec<Token>),
    /// The sender's right to be in a space.
    Hello(PublicKey, Vec<Vec<u8>>),
    /// What the sender has: log, length, last hash.
    Have(PublicKey, Vec<LogHead>),
    /// What the sender lacks: log, from where.
    Want(PublicKey, Vec<(PublicKey, u64)>),
    /// Entries.
    Entries(PublicKey, Vec<Piece>),
    /// Proof that a log forks.
    Fork(PublicKey, Box<ForkProof>),
    /// A question about places in a log.
    Ask(PublicKey, PublicKey, Vec<u64>),
    /// The answer.
    Tell(PublicKey, PublicKey, Vec<(u64, Vec<u8>)>),
    /// Something was not taken.
    Refused(PublicKey, PublicKey, u64, String),
    /// Entries of a log of which the sender misses parts.
    Whole(PublicKey, PublicKey, Vec<u64>),
    /// The answer.
    Parts(PublicKey, Vec<Vec<u8>>),
    /// The space's keys, wrapped to the receiver's device.
    Keys(PublicKey, Vec<Wrap>),
    /// All the sender's people in a space just now, with a number that grows from frame to frame.
    Presence(PublicKey, u64, Vec<Present>),
    /// A question about a place.
    Glance(PublicKey, Glance),
    /// The answer.
    Glimpse(PublicKey, Glimpse),
    /// The sum of everything the sender has.
    Sum(PublicKey, Salt, ShortSum),
    /// What the sender has of ranges, as sums of their parts.
    Sums(PublicKey, Salt, Vec<RangeSums>),
    /// Everything the sender has in ranges.
    Heads(PublicKey, Vec<RangeHeads>),
}

impl Frame {
    /// A frame of entries from their bytes, or of what else there is.
    pub fn entries(space: PublicKey, raw: impl IntoIterator<Item = Vec<u8>>) -> Frame {
        Frame::Entries(space, raw.into_iter().map(Piece::from).collect())
    }

    /// The space the frame is about.
    pub fn space(&self) -> Option<PublicKey> {
        Some(match self {
            Frame::Open(_) => return None,
            Frame::Hello(space, _)
            | Frame::Have(space, _)
            | Frame::Want(space, _)
            | Frame::Entries(space, _)
            | Frame::Fork(space, _)
            | Frame::Ask(space, ..)
            | Frame::Tell(space, ..)
            | Frame::Refused(space, ..)
            | Frame::Whole(space, ..)
            | Frame::Parts(space, _)
            | Frame::Keys(space, _)
            | Frame::Presence(space, ..)
            | Frame::Glance(space, _)
            | Frame::Glimpse(space, _) => *space,
            Frame::Sum(space, ..) | Frame::Sums(space, ..) | Frame::Heads(space, _) => *space,
        })
    }

    /// The frame's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Frame::Open(tokens) => {
                writer.u8(0).number(tokens.len() as u64);
                for token in tokens {
                    writer.fixed(token);
                }
            }
            Frame::Hello(space, entries) => list(writer.u8(1).fixed(&space.0), entries),
            Frame::Have(space, items) => {
                sets::write_heads(writer.u8(2).fixed(&space.0), items);
            }
            Frame::Want(space, items) => {
                writer.u8(3).fixed(&space.0).number(items.len() as u64);
                for (log, from) in items {
                    writer.fixed(&log.0).number(*from);
                }
            }
            Frame::Entries(space, pieces) => runs::write_pieces(writer.u8(4).fixed(&space.0), space, pieces),
            Frame::Fork(space, proof) => proof.encode(writer.u8(5).fixed(&space.0)),
            Frame::Ask(space, log, places) => {
                writer.u8(6).fixed(&space.0).fixed(&log.0).number(places.len() as u64);
                for seq in places {
                    writer.number(*seq);
                }
            }
            Frame::Tell(space, log, found) => {
                writer.u8(7).fixed(&space.0).fixed(&log.0).number(found.len() as u64);
                for (seq, signed) in found {
                    writer.number(*seq).bytes(signed);
                }
            }
            Frame::Refused(space, log, seq, why) => {
                writer.u8(8).fixed(&space.0).fixed(&log.0).number(*seq).text(why);
            }
            Frame::Whole(space, log, places) => {
                writer.u8(12).fixed(&space.0).fixed(&log.0).number(places.len() as u64);
                for seq in places {
                    writer.number(*seq);
                }
            }
            Frame::Parts(space, entries) => list(writer.u8(13).fixed(&space.0), entries),
            Frame::Keys(space, wraps) => {
                writer.u8(14).fixed(&space.0).number(wraps.len() as u64);
                for wrap in wraps {
                    wrap.encode(&mut writer);
                }
            }
            Frame::Presence(space, stamp, people) => {
                writer.u8(15).fixed(&space.0).number(*stamp).number(people.len() as u64);
                for Present { path, client, selections } in people {
                    writer.bytes(&path.to_key()).text(client).text(selections);
                }
            }
            Frame::Glance(space, Glance { number, path, each, from }) => {
                writer.u8(16).fixed(&space.0).number(*number).bytes(&path.to_key()).number(*each).bytes(from);
            }
            Frame::Glimpse(space, Glimpse { number, next, seen, entries }) => {
                writer.u8(17).fixed(&space.0).number(*number).bytes(next).number(seen.len() as u64);
                for (from, to) in seen {
                    writer.bytes(from).bytes(to);
                }
                list(&mut writer, entries);
            }
            Frame::Sum(space, salt, sum) => {
                writer.u8(9).fixed(&space.0).fixed(salt).fixed(sum);
            }
            Frame::Sums(space, salt, ranges) => sets::write_sums(writer.u8(10).fixed(&space.0).fixed(salt), ranges),
            Frame::Heads(space, ranges) => sets::write_ranges(writer.u8(11).fixed(&space.0), ranges),
        }
        writer.finish()
    }

    /// Whether bytes are a frame of a later version, to be passed over.
    pub fn is_of_later_version(bytes: &[u8]) -> bool {
        bytes.len() <= MAX_FRAME && bytes.first().is_some_and(|tag| (LAST_KNOWN_TAG + 1..=LAST_TAG).contains(tag))
    }

    /// Reads a frame. A proof inside is checked.
    pub fn decode(bytes: &[u8]) -> Result<Frame, CodecError> {
        if bytes.len() > MAX_FRAME {
            return Err(CodecError::Limit);
        }
        let mut reader = Reader::new(bytes);
        let tag = reader.u8()?;
        if tag == 0 {
            let tokens = many(&mut reader, MAX_TOKENS, |reader| reader.fixed())?;
            reader.end()?;
            return Ok(Frame::Open(tokens));
        }
        let space = PublicKey(reader.fixed()?);
        let key = |reader: &mut Reader<'_>| Ok(PublicKey(reader.fixed()?));
        let raw = |reader: &mut Reader<'_>| Ok(reader.bytes(MAX_RAW)?.to_vec());
        let frame = match tag {
            1 => Frame::Hello(space, many(&mut reader, MAX_CREDENTIALS, raw)?),
            2 => Frame::Have(space, sets::read_heads(&mut reader, MAX_ITEMS)?),
            3 => Frame::Want(space, many(&mut reader, MAX_ITEMS, |reader| Ok((key(reader)?, reader.number()?)))?),
            4 => Frame::Entries(space, runs::read_pieces(&mut reader, &space)?),
            5 => {
                let proof = ForkProof::decode(space, &mut reader)?.ok_or(CodecError::Tag)?;
                Frame::Fork(space, Box::new(proof))
            }
            6 => Frame::Ask(space, key(&mut reader)?, many(&mut reader, MAX_ASKED, |reader| reader.number())?),
            7 => Frame::Tell(
                space,
                key(&mut reader)?,
                many(&mut reader, MAX_ASKED, |reader| Ok((reader.number()?, reader.bytes(MAX_HEADER)?.to_vec())))?,
            ),
            8 => Frame::Refused(space, key(&mut reader)?, reader.number()?, reader.text(64)?.to_owned()),
            12 => Frame::Whole(space, key(&mut reader)?, many(&mut reader, MAX_ASKED, |reader| reader.number())?),
            13 => Frame::Parts(space, many(&mut reader, MAX_ASKED, raw)?),
            14 => Frame::Keys(space, many(&mut reader, MAX_KEYS, Wrap::decode)?),
            15 => Frame::Presence(space, reader.number()?, many(&mut reader, MAX_PRESENT, present)?),
            16 => Frame::Glance(
                space,
                Glance {
                    number: reader.number()?,
                    path: path(&mut reader)?,
                    each: reader.number()?,
                    from: place(&mut reader)?,
                },
            ),
            17 => Frame::Glimpse(
                space,
                Glimpse {
                    number: reader.number()?,
                    next: place(&mut reader)?,
                    seen: many(&mut reader, MAX_SEEN, |reader| Ok((place(reader)?, place(reader)?)))?,
                    entries: many(&mut reader, MAX_GLIMPSED, raw)?,
                },
            ),
            9 => Frame::Sum(space, reader.fixed()?, reader.fixed()?),
            10 => Frame::Sums(space, reader.fixed()?, sets::read_sums(&mut reader)?),
            11 => Frame::Heads(space, sets::read_ranges(&mut reader)?),
            _ => return Err(CodecError::Tag),
        };
        reader.end()?;
        Ok(frame)
    }
}

fn present(reader: &mut Reader<'_>) -> Result<Present, CodecError> {
    Ok(Present {
        path: path(reader)?,
        client: reader.text(MAX_CLIENT_BYTES)?.to_owned(),
        selections: reader.text(MAX_SELECTIONS_BYTES)?.to_owned(),
    })
}

fn path(reader: &mut Reader<'_>) -> Result<Path, CodecError> {
    Path::from_key(reader.bytes(MAX_PATH_BYTES)?).ok_or(CodecError::Tag)
}

/// A key of a place, or where one would be.
fn place(reader: &mut Reader<'_>) -> Result<Vec<u8>, CodecError> {
    Ok(reader.bytes(MAX_PATH_BYTES + 1)?.to_vec())
}

fn list(writer: &mut Writer, entries: &[Vec<u8>]) {
    writer.number(entries.len() as u64);
    for entry in entries {
        writer.bytes(entry);
    }
}

fn many<'a, T>(
    reader: &mut Reader<'a>,
    limit: usize,
    mut one: impl FnMut(&mut Reader<'a>) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    let count = reader.size(limit)?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(one(reader)?);
    }
    Ok(items)
}

/// The token by which `from` tells `to` that it takes part in `space`. Nobody who does not know the space can make
/// it or read it, and it says nothing to a third peer.
pub fn token(space: &PublicKey, from: &PublicKey, to: &PublicKey) -> Token {
    let mut hasher = blake3::Hasher::new_derive_key("kith 2026 space token v1");
    hasher.update(&space.0).update(&from.0).update(&to.0);
    let mut token = [0; 16];
    hasher.finalize_xof().fill(&mut token);
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_bytes(tag in 0..18u8, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [vec![tag], bytes].concat();
            if let Ok(frame) = Frame::decode(&bytes) {
                prop_assert_eq!(frame.encode(), bytes);
            }
        }
    }

    fn part(digits: &[u8]) -> Prefix {
        digits.iter().fold(Prefix::ALL, |range, digit| range.part(*digit).unwrap())
    }

    fn sums() -> Vec<RangeSums> {
        let range = |range, parts| RangeSums { range, parts };
        vec![range(part(&[1]), vec![(0, [1; 8]), (15, [2; 8])]), range(part(&[2, 3]), vec![])]
    }

    fn heads() -> Vec<RangeHeads> {
        let log = |first: u8| PublicKey(std::array::from_fn(|at| if at == 0 { first } else { 7 }));
        vec![
            RangeHeads { range: part(&[1]), logs: vec![(log(0x10), 3, [4; 32]), (log(0x1f), 1, [5; 32])] },
            RangeHeads { range: part(&[2, 3]), logs: vec![] },
        ]
    }

    fn wraps() -> Vec<Wrap> {
        let mut entropy = crate::entropy::Entropy::new(&[1; 32]);
        let to = crate::epoch::WrapKey::from_seed(&[2; 32]).public();
        let key = crate::epoch::EpochKey::generate(&mut entropy);
        Wrap::new(&key, &PublicKey([1; 32]), to, &mut entropy).into_iter().collect()
    }

    #[test]
    fn ranges_out_of_order_or_overlapping_are_refused() {
        let space = PublicKey([1; 32]);
        let refused = |frame: Frame| assert_eq!(Frame::decode(&frame.encode()), Err(CodecError::Tag), "{frame:?}");
        let sums_of = |ranges: &[&[u8]]| {
            ranges.iter().map(|range| RangeSums { range: part(range), parts: vec![] }).collect::<Vec<_>>()
        };
        refused(Frame::Sums(space, [0; 8], sums_of(&[&[2], &[1]])));
        refused(Frame::Sums(space, [0; 8], sums_of(&[&[2], &[2]])));
        refused(Frame::Sums(space, [0; 8], sums_of(&[&[2], &[2, 5]])));
        refused(Frame::Sums(space, [0; 8], sums_of(&[&[], &[2, 5]])));
        refused(Frame::Sums(space, [0; 8], sums_of(&[&[1; 64]])));
        let mut outside = heads();
        outside[0].range = part(&[2]);
        outside.truncate(1);
        refused(Frame::Heads(space, outside));
        let mut unsorted = heads();
        unsorted[0].logs.reverse();
        refused(Frame::Heads(space, unsorted));
        let mut empty = heads();
        empty[0].logs[0].1 = 0;
        refused(Frame::Heads(space, empty));
    }

    #[test]
    fn frames_have_limits() {
        let space = PublicKey([1; 32]);
        let many: Vec<RangeSums> = (0..=MAX_RANGES)
            .map(|n| part(&[n as u8 >> 4, n as u8 & 15, (n >> 8) as u8]))
            .map(|range| RangeSums { range, parts: vec![] })
            .collect();
        assert_eq!(Frame::decode(&Frame::Sums(space, [0; 8], many).encode()), Err(CodecError::Limit));
        let logs = (0..=MAX_ITEMS as u32).map(|n| {
            let key = PublicKey(std::array::from_fn(|at| n.to_be_bytes().get(at).copied().unwrap_or(0)));
            (key, 1, [0; 32])
        });
        let range = RangeHeads { range: Prefix::ALL, logs: logs.collect() };
        assert_eq!(Frame::decode(&Frame::Heads(space, vec![range]).encode()), Err(CodecError::Limit));
    }

    #[test]
    fn frames_of_later_versions_are_known_as_such() {
        assert!(Frame::is_of_later_version(&[LAST_KNOWN_TAG + 1, 1, 2]) && Frame::is_of_later_version(&[LAST_TAG]));
        for known in [&[][..], &[LAST_KNOWN_TAG], &[LAST_TAG + 1], &[255]] {
            assert!(!Frame::is_of_later_version(known));
        }
    }

    #[test]
    fn frames_round_trip() {
        let (space, log) = (PublicKey([1; 32]), PublicKey([2; 32]));
        for frame in [
            Frame::Open(vec![[1; 16], [2; 16]]),
            Frame::Hello(space, vec![vec![1, 2]]),
            Frame::Have(space, vec![(log, 3, [4; 32])]),
            Frame::Want(space, vec![(log, 9)]),
            Frame::entries(space, [vec![5; 300]]),
            Frame::Ask(space, log, vec![1, 2, 3]),
            Frame::Tell(space, log, vec![(1, vec![7; 100])]),
            Frame::Refused(space, log, 7, "wrong-prev".into()),
            Frame::Whole(space, log, vec![1, 9]),
            Frame::Parts(space, vec![vec![5; 300]]),
            Frame::Keys(space, wraps()),
            Frame::Presence(
                space,
                1_800_000_000_000,
                vec![Present { path: Path::new(["a", "b"]).unwrap(), client: "c".into(), selections: "[]".into() }],
            ),
            Frame::Glance(
                space,
                Glance { number: 300, path: Path::new(["a"]).unwrap(), each: 64, from: b"a\0b\0".to_vec() },
            ),
            Frame::Glimpse(
                space,
                Glimpse {
                    number: 300,
                    next: b"a\0c\x01".to_vec(),
                    seen: vec![(b"a\0".to_vec(), b"a\x01".to_vec())],
                    entries: vec![vec![5; 300]],
                },
            ),
            Frame::Sum(space, [1; 8], [2; 8]),
            Frame::Sums(space, [1; 8], sums()),
            Frame::Heads(space, heads()),
        ] {
            assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
        }
    }
}
