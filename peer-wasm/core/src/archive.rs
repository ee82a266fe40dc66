//! A space as one file: its logs as they are stored, sealed and signed, in checked blocks.
//!
//! ```text
//! file  = "kith-space/1\n" ‖ block*
//! block = tag (1) ‖ length (4 bytes, big-endian) ‖ payload ‖ check[32]
//! check = BLAKE3 derive_key("kith 2026 space file v1", check of the block before ‖ tag ‖ length ‖ payload)
//!
//! 1 head   space[32] ‖ written (milliseconds)         first, once
//! 2 keys   epoch key[32]*                             at most once, second
//! 3 fork   a fork proof                               before the runs
//! 4 run    (entry (bytes))*                           entries of one log, one after the other
//! 5 end    number of entries                          last, once
//! ```
//!
//! The checks are a chain, so blocks that are damaged, missing, moved or cut off at the end are noticed. They do not
//! vouch for anything: whoever takes in a file verifies each entry as if it had come over a link.

use crate::codec::{CodecError, Reader, Writer};
use crate::epoch::EpochKey;
use crate::identity::PublicKey;
use crate::wire::{MAX_ENTRIES, MAX_FRAME};

/// What a file begins with.
pub const MAGIC: &[u8; 13] = b"kith-space/1\n";
/// The most bytes of a block's payload.
pub const MAX_BLOCK: usize = MAX_FRAME;
/// The most epoch keys in a file.
pub const MAX_KEYS: usize = 1024;

const HEAD: u8 = 1;
const KEYS: u8 = 2;
const FORK: u8 = 3;
const RUN: u8 = 4;
const END: u8 = 5;
/// Tag and length.
const FRONT: usize = 5;
const CHECK: usize = 32;

/// Why bytes are not a file of a space. One variant per rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It begins with something else.
    #[error("This is not a file of a space, or one of a later version.")]
    Magic,
    /// A block is longer than allowed.
    #[error("The file has a block longer than {MAX_BLOCK} bytes.")]
    TooLong,
    /// A check does not hold.
    #[error("The file is damaged: what it holds does not match its checks.")]
    Check,
    /// A block cannot be decoded.
    #[error("The file has a block that cannot be read: {0}")]
    Malformed(#[from] CodecError),
    /// Blocks in an order they cannot have, or too few.
    #[error("The file has blocks that do not belong where they stand.")]
    Order,
    /// It ends in the middle.
    #[error("The file is not complete: its end is missing.")]
    Cut,
}

impl ArchiveError {
    /// The error's stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            ArchiveError::Magic => "magic",
            ArchiveError::TooLong => "too-long",
            ArchiveError::Check => "check",
            ArchiveError::Malformed(_) => "malformed",
            ArchiveError::Order => "order",
            ArchiveError::Cut => "cut",
        }
    }
}

/// One part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Which space, and when the file was written (milliseconds since 1970).
    Head {
        /// The space.
        space: PublicKey,
        /// When.
        written: u64,
    },
    /// The keys that open what the entries hold.
    Keys(Vec<EpochKey>),
    /// A fork proof, still to be checked.
    Fork(Vec<u8>),
    /// Entries of one log, still to be checked.
    Run(Vec<Vec<u8>>),
    /// The end: how many entries there were.
    End(u64),
}

impl Part {
    /// The byte that says what part this is.
    pub fn tag(&self) -> u8 {
        match self {
            Part::Head { .. } => HEAD,
            Part::Keys(_) => KEYS,
            Part::Fork(_) => FORK,
            Part::Run(_) => RUN,
            Part::End(_) => END,
        }
    }

    /// The part's bytes.
    pub fn payload(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Part::Head { space, written } => writer.fixed(&space.0).number(*written),
            Part::Keys(keys) => keys.iter().fold(&mut writer, |writer, key| writer.fixed(key.bytes())),
            Part::Fork(proof) => writer.fixed(proof),
            Part::Run(entries) => entries.iter().fold(&mut writer, |writer, entry| writer.bytes(entry)),
            Part::End(entries) => writer.number(*entries),
        };
        writer.finish()
    }

    /// Reads a part. What is in it is still to be checked.
    pub fn decode(tag: u8, payload: &[u8]) -> Result<Part, ArchiveError> {
        let mut reader = Reader::new(payload);
        let part = match tag {
            HEAD => Part::Head { space: PublicKey(reader.fixed()?), written: reader.number()? },
            KEYS => {
                let mut keys = Vec::new();
                while !reader.is_at_end() {
                    keys.push(EpochKey::new(reader.fixed()?));
                    if keys.len() > MAX_KEYS {
                        return Err(CodecError::Limit.into());
                    }
                }
                Part::Keys(keys)
            }
            FORK => return Ok(Part::Fork(payload.to_vec())),
            RUN => {
                let mut entries = Vec::new();
                while !reader.is_at_end() {
                    entries.push(reader.bytes(MAX_BLOCK)?.to_vec());
                    if entries.len() > MAX_ENTRIES {
                        return Err(CodecError::Limit.into());
                    }
                }
                Part::Run(entries)
            }
            END => Part::End(reader.number()?),
            _ => return Err(CodecError::Tag.into()),
        };
        reader.end()?;
        Ok(part)
    }
}

/// The check of the last block so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain([u8; CHECK]);

impl Chain {
    fn next(&self, front_and_payload: &[u8]) -> Chain {
        let mut hasher = blake3::Hasher::new_derive_key("kith 2026 space file v1");
        Chain(*hasher.update(&self.0).update(front_and_payload).finalize().as_bytes())
    }

    /// The bytes of the next block.
    pub fn block(&mut self, part: &Part) -> Vec<u8> {
        let payload = part.payload();
        let mut block = Vec::with_capacity(FRONT + payload.len() + CHECK);
        block.push(part.tag());
        block.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        block.extend_from_slice(&payload);
        *self = self.next(&block);
        block.extend_from_slice(&self.0);
        block
    }
}

/// Reads a file that comes in pieces. Holds one block at most, and what has come of the next.
#[derive(Debug, Default)]
pub struct ArchiveReader {
    bytes: Vec<u8>,
    begun: bool,
    chain: Chain,
    last: u8,
    entries: u64,
}

impl ArchiveReader {
    /// A reader at the beginning of a file.
    pub fn new() -> ArchiveReader {
        ArchiveReader::default()
    }

    /// Takes in the next bytes. Call [`ArchiveReader::next_part`] until there is none before giving more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next part, if all of it is here.
    pub fn next_part(&mut self) -> Result<Option<Part>, ArchiveError> {
        if !self.begun {
            let known = self.bytes.len().min(MAGIC.len());
            if self.bytes.get(..known) != MAGIC.get(..known) {
                return Err(ArchiveError::Magic);
            }
            if known < MAGIC.len() {
                return Ok(None);
            }
            self.bytes.drain(..known);
            self.begun = true;
        }
        let Some((tag, length)) = self.front() else { return Ok(None) };
        if length > MAX_BLOCK {
            return Err(ArchiveError::TooLong);
        }
        let end = FRONT + length;
        let Some(check) = self.bytes.get(end..end + CHECK) else { return Ok(None) };
        let chain = self.chain.next(self.bytes.get(..end).unwrap_or_default());
        if check != chain.0 {
            return Err(ArchiveError::Check);
        }
        let part = Part::decode(tag, self.bytes.get(FRONT..end).unwrap_or_default())?;
        let fits = matches!(
            (self.last, tag),
            (0, HEAD) | (HEAD, KEYS | FORK | RUN | END) | (KEYS | FORK, FORK | RUN | END) | (RUN, RUN | END)
        );
        match &part {
            Part::Run(entries) => self.entries += entries.len() as u64,
            Part::End(entries) if *entries != self.entries => return Err(ArchiveError::Order),
            _ => {}
        }
        if !fits {
            return Err(ArchiveError::Order);
        }
        self.chain = chain;
        self.last = tag;
        self.bytes.drain(..end + CHECK);
        Ok(Some(part))
    }

    /// An error unless the file has come to its end and to nothing more.
    pub fn finish(&self) -> Result<(), ArchiveError> {
        match (self.last, self.bytes.is_empty()) {
            (END, true) => Ok(()),
            (END, false) => Err(ArchiveError::Order),
            _ => Err(ArchiveError::Cut),
        }
    }

    /// Bytes that have come and are not part of anything yet.
    pub fn waiting(&self) -> usize {
        self.bytes.len()
    }

    fn front(&self) -> Option<(u8, usize)> {
        let (tag, rest) = self.bytes.split_first()?;
        Some((*tag, u32::from_be_bytes(*rest.first_chunk::<4>()?) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts() -> Vec<Part> {
        vec![
            Part::Head { space: PublicKey([3; 32]), written: 17 },
            Part::Keys(vec![EpochKey::new([5; 32])]),
            Part::Fork(vec![1, 2, 3]),
            Part::Run(vec![vec![1; 300], vec![]]),
            Part::Run(vec![vec![2; 9]]),
            Part::End(3),
        ]
    }

    fn file(parts: &[Part]) -> Vec<u8> {
        let mut chain = Chain::default();
        let blocks: Vec<u8> = parts.iter().flat_map(|part| chain.block(part)).collect();
        [&MAGIC[..], &blocks].concat()
    }

    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Part>, ArchiveError> {
        let mut reader = ArchiveReader::new();
        let mut parts = Vec::new();
        for piece in bytes.chunks(piece) {
            reader.push(piece);
            while let Some(part) = reader.next_part()? {
                parts.push(part);
            }
        }
        reader.finish().map(|()| parts)
    }

    #[test]
    fn comes_back_whatever_pieces_it_comes_in() {
        for piece in [1, 7, 100, 10_000] {
            assert_eq!(read(&file(&parts()), piece), Ok(parts()));
        }
    }

    #[test]
    fn what_is_damaged_missing_moved_or_cut_is_noticed() {
        let whole = file(&parts());
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged, 1000).is_err(), "byte {at}");
            assert!(read(&whole[..at], 1000).is_err(), "cut at {at}");
        }
        assert_eq!(read(&[&whole[..], b"x"].concat(), 1000), Err(ArchiveError::Order));
        for (n, wrong) in [(0, ArchiveError::Order), (3, ArchiveError::Order)] {
            let mut less = parts();
            less.remove(n);
            assert_eq!(read(&file(&less), 1000), Err(wrong), "without {n}");
        }
        let mut swapped = parts();
        swapped.swap(1, 2);
        assert_eq!(read(&file(&swapped), 1000), Err(ArchiveError::Order));
        assert_eq!(read(b"PK\x03\x04", 1), Err(ArchiveError::Magic));
        let long = [&MAGIC[..], &[RUN], &(MAX_BLOCK as u32 + 1).to_be_bytes()].concat();
        assert_eq!(read(&long, 1000), Err(ArchiveError::TooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..400) {
            let _ = read(&bytes, 50);
            let mut mixed = file(&parts());
            let at = at.min(mixed.len());
            mixed.truncate(at);
            mixed.extend(bytes);
            let _ = read(&mixed, 64);
        }
    }
}
