//! Bodies of ops: a sealed head and parts, of which each can be taken away without breaking the signed chain.
//!
//! ```text
//! body = start[24] ‖ head (bytes) ‖ part*
//! part = 0 ‖ ciphertext (bytes)          whole
//!      | 1 ‖ length ‖ hash[32]           redacted: the ciphertext is gone
//! body hash = BLAKE3(derive_key "kith 2026 body v1", head nonce[24] ‖ head (bytes) ‖ (length ‖ hash[32])*)
//! ```
//! `hash` is the BLAKE3 of the ciphertext, keyed with a context of its own. `start` is the entry's random nonce while any part is whole, or if
//! there are none; once every part is redacted it is the head nonce, which the nonce hashes to (`kith 2026 head nonce
//! v1`, the first 24 bytes): with the nonce gone nobody, whatever keys they hold, can check a guess of what was there.
//!
//! The head is XChaCha20-Poly1305 under the head nonce, so a wrong key is noticed. The parts are encrypted with one
//! XChaCha20 keystream under the nonce and a key of their own: a part takes the bytes of the keystream from where the
//! parts before it end, by lengths that stay when their bytes go. See `docs/decisions/0150-bodies-in-parts.md`.

use crate::codec::{CodecError, Reader, Writer};
use crate::entropy::Entropy;
use crate::entry::MAX_BODY;
use crate::epoch::EpochKey;
use crate::identity::PublicKey;
use crate::purpose::Purpose;
use zeroize::Zeroizing;

/// The most parts of one body.
pub const MAX_PARTS: usize = 16_640;
/// The most bytes of a sealed head.
pub const MAX_HEAD: usize = 1024;

const NONCE: usize = 24;
const HASH: usize = 32;
/// Keys the hashes of parts, so that they mean nothing elsewhere.
const PART_KEY: &[u8; 32] = b"kith 2026 part of an op body, v1";

/// One part of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Its ciphertext.
    Whole(&'a [u8]),
    /// Its ciphertext is gone.
    Redacted {
        /// How many bytes it had.
        len: usize,
        /// Their hash.
        hash: [u8; HASH],
    },
}

impl Part<'_> {
    fn len(&self) -> usize {
        match self {
            Part::Whole(bytes) => bytes.len(),
            Part::Redacted { len, .. } => *len,
        }
    }

    fn hash(&self) -> [u8; HASH] {
        match self {
            Part::Whole(bytes) => *blake3::keyed_hash(PART_KEY, bytes).as_bytes(),
            Part::Redacted { hash, .. } => *hash,
        }
    }

    /// Whether its bytes are gone.
    pub fn is_redacted(&self) -> bool {
        matches!(self, Part::Redacted { .. })
    }
}

/// The body of an op, taken apart but not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body<'a> {
    start: [u8; NONCE],
    head: &'a [u8],
    parts: Vec<Part<'a>>,
}

impl<'a> Body<'a> {
    /// Takes a body apart. Every state of redaction of one body has one encoding, and all are within [`MAX_BODY`].
    pub fn decode(bytes: &'a [u8]) -> Result<Body<'a>, CodecError> {
        if bytes.len() > MAX_BODY {
            return Err(CodecError::Limit);
        }
        let mut reader = Reader::new(bytes);
        let start = reader.fixed()?;
        let head = reader.bytes(MAX_HEAD)?;
        let mut parts = Vec::new();
        while !reader.is_at_end() {
            if parts.len() == MAX_PARTS {
                return Err(CodecError::Limit);
            }
            parts.push(match reader.u8()? {
                0 => Part::Whole(reader.bytes(MAX_BODY)?),
                1 => Part::Redacted { len: reader.size(MAX_BODY)?, hash: reader.fixed()? },
                _ => return Err(CodecError::Tag),
            });
        }
        let body = Body { start, head, parts };
        if weight(head.len(), body.parts.iter().map(Part::len)) > MAX_BODY {
            return Err(CodecError::Limit);
        }
        Ok(body)
    }

    /// The body's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.fixed(&self.start).bytes(self.head);
        for part in &self.parts {
            match part {
                Part::Whole(bytes) => writer.u8(0).bytes(bytes),
                Part::Redacted { len, hash } => writer.u8(1).number(*len as u64).fixed(hash),
            };
        }
        writer.finish()
    }

    /// Its parts.
    pub fn parts(&self) -> &[Part<'a>] {
        &self.parts
    }

    /// Whether any part is redacted.
    pub fn is_hollow(&self) -> bool {
        self.parts.iter().any(Part::is_redacted)
    }

    /// How many bytes it has with every part whole.
    pub fn whole_len(&self) -> usize {
        let part = |part: &Part<'_>| 1 + number_len(part.len()) + part.len();
        NONCE + number_len(self.head.len()) + self.head.len() + self.parts.iter().map(part).sum::<usize>()
    }

    /// What the entry's signature covers: the same whatever has been redacted.
    pub fn hash(&self) -> [u8; 32] {
        let mut writer = Writer::new();
        writer.fixed(&self.head_nonce()).bytes(self.head);
        for part in &self.parts {
            writer.number(part.len() as u64).fixed(&part.hash());
        }
        static PURPOSE: Purpose = Purpose::new("kith 2026 body v1");
        *PURPOSE.hasher().update(&writer.finish()).finalize().as_bytes()
    }

    fn is_all_gone(&self) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(Part::is_redacted)
    }

    fn head_nonce(&self) -> [u8; NONCE] {
        if self.is_all_gone() { self.start } else { head_nonce(&self.start) }
    }

    /// The body without the bytes of these parts.
    #[must_use]
    pub fn without(&self, gone: &[usize]) -> Body<'a> {
        let mut body = self.clone();
        for index in gone {
            if let Some(part) = body.parts.get_mut(*index) {
                *part = Part::Redacted { len: part.len(), hash: part.hash() };
            }
        }
        if body.is_all_gone() && !self.is_all_gone() {
            body.start = head_nonce(&self.start);
        }
        body
    }

    /// The body with the bytes of these redacted parts taken from `other`, which has the same hash. Where the other
    /// lacks them too they stay gone.
    #[must_use]
    pub fn filled(&self, other: &Body<'a>, wanted: impl Fn(usize) -> bool) -> Body<'a> {
        let mut body = self.clone();
        for (index, (part, theirs)) in body.parts.iter_mut().zip(&other.parts).enumerate() {
            if part.is_redacted() && wanted(index) {
                *part = *theirs;
            }
        }
        if self.is_all_gone() && !body.is_all_gone() {
            body.start = other.start;
        }
        body
    }
}

/// The most bytes a body with a head and parts of these lengths can come to, whatever is redacted.
pub fn weight(head: usize, parts: impl Iterator<Item = usize>) -> usize {
    let part = |len: usize| 1 + number_len(len) + len.max(HASH);
    parts.fold(NONCE + number_len(head) + head, |sum, len| sum.saturating_add(part(len)))
}

/// Bytes a seal adds to a head.
pub const HEAD_SEAL: usize = 16;

const fn number_len(mut number: usize) -> usize {
    let mut len = 1;
    while number >= 0x80 {
        number >>= 7;
        len += 1;
    }
    len
}

fn head_nonce(nonce: &[u8; NONCE]) -> [u8; NONCE] {
    static PURPOSE: Purpose = Purpose::new("kith 2026 head nonce v1");
    let mut short = [0; NONCE];
    PURPOSE.hasher().update(nonce).finalize_xof().fill(&mut short);
    short
}

/// A body that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What the head says.
    pub head: Vec<u8>,
    /// What the parts say; nothing where they are redacted.
    pub parts: Vec<Option<Vec<u8>>>,
}

/// The keys of one entry: for its head and for its parts.
struct EntryKeys {
    head: Zeroizing<[u8; 32]>,
    parts: Zeroizing<[u8; 32]>,
}

impl EntryKeys {
    fn new(epoch: &EpochKey, log: &PublicKey, seq: u64) -> EntryKeys {
        static PURPOSE: Purpose = Purpose::new("kith 2026 entry keys v1");
        let mut hasher = PURPOSE.hasher();
        hasher.update(epoch.bytes().as_slice()).update(&log.0).update(&seq.to_be_bytes());
        let mut bytes = hasher.finalize_xof();
        let mut key = || {
            let mut key = Zeroizing::new([0; 32]);
            bytes.fill(key.as_mut_slice());
            key
        };
        EntryKeys { head: key(), parts: key() }
    }
}

fn associated(space: &PublicKey, log: &PublicKey, seq: u64) -> Vec<u8> {
    [space.0.as_slice(), &log.0, &seq.to_be_bytes()].concat()
}

/// Seals the body of the op at `seq` of `log`.
pub fn seal(
    epoch: &EpochKey,
    space: &PublicKey,
    log: &PublicKey,
    seq: u64,
    head: &[u8],
    parts: &[Vec<u8>],
    entropy: &mut Entropy,
) -> Vec<u8> {
    let nonce: [u8; NONCE] = entropy.array();
    let keys = EntryKeys::new(epoch, log, seq);
    let aad = associated(space, log, seq);
    let head = kith_seal::seal_detached(&keys.head, &head_nonce(&nonce), &aad, head).unwrap_or_default(); // fails only past 256 GiB
    let mut at = 0u64;
    let mut writer = Writer::new();
    writer.fixed(&nonce).bytes(&head);
    for part in parts {
        let mut part = part.clone();
        // Fails only past 256 GiB, and an entry is no longer than its limit.
        let _ = kith_seal::stream(&keys.parts, &nonce, at, &mut part);
        at += part.len() as u64;
        writer.u8(0).bytes(&part);
    }
    writer.finish()
}

/// Opens the body of the op at `seq` of `log`; `None` if it was not sealed so.
pub fn open(epoch: &EpochKey, space: &PublicKey, log: &PublicKey, seq: u64, body: &[u8]) -> Option<Opened> {
    let body = Body::decode(body).ok()?;
    let keys = EntryKeys::new(epoch, log, seq);
    let aad = associated(space, log, seq);
    let head = kith_seal::open_detached(&keys.head, &body.head_nonce(), &aad, body.head)?;
    let mut at = 0u64;
    let mut parts = Vec::with_capacity(body.parts.len());
    for part in &body.parts {
        parts.push(match part {
            Part::Whole(bytes) => {
                let mut bytes = bytes.to_vec();
                kith_seal::stream(&keys.parts, &body.start, at, &mut bytes)?;
                Some(bytes)
            }
            Part::Redacted { .. } => None,
        });
        at += part.len() as u64;
    }
    Some(Opened { head, parts })
}

#[cfg(test)]
mod tests;
