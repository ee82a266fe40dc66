//! Proof that a log has two histories.

use super::{Header, MAX_DEPS, SIGNED_EVERY, Tip, hash_of, signature_holds};
use crate::codec::{CodecError, Reader, Writer};
use crate::identity::PublicKey;

/// Two runs of headers and signatures of one log that begin at the same place with different entries, each vouched
/// for by a signature at its end: proof that the log's owner signed two histories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkProof {
    /// The log.
    pub log: PublicKey,
    /// The place where the histories part.
    pub seq: u64,
    before: [u8; 32],
    left: Vec<Vec<u8>>,
    right: Vec<Vec<u8>>,
}

impl ForkProof {
    /// A proof from two runs of [`Entry::signed_part`](super::Entry::signed_part)s, if they are one.
    pub fn new(space: PublicKey, log: PublicKey, left: Vec<Vec<u8>>, right: Vec<Vec<u8>>) -> Option<ForkProof> {
        let (left_start, left_hash) = check_half(space, log, &left)?;
        let (right_start, right_hash) = check_half(space, log, &right)?;
        if left_start != right_start || left_hash == right_hash {
            return None;
        }
        Some(ForkProof { log, seq: left_start.len, before: left_start.hash, left, right })
    }

    /// What the log consisted of before its histories part.
    pub fn tip(&self) -> Tip {
        Tip { len: self.seq, hash: self.before }
    }

    /// Writes the proof.
    pub fn encode(&self, writer: &mut Writer) {
        writer.fixed(&self.log.0);
        for half in [&self.left, &self.right] {
            writer.number(half.len() as u64);
            for signed in half {
                writer.bytes(signed);
            }
        }
    }

    /// Reads and checks a proof.
    pub fn decode(space: PublicKey, reader: &mut Reader<'_>) -> Result<Option<ForkProof>, CodecError> {
        const MAX_SIGNED: usize = 256 + MAX_DEPS * 74;
        let log = PublicKey(reader.fixed()?);
        let mut halves = [Vec::new(), Vec::new()];
        for half in &mut halves {
            for _ in 0..reader.size(SIGNED_EVERY as usize)? {
                half.push(reader.bytes(MAX_SIGNED)?.to_vec());
            }
        }
        let [left, right] = halves;
        Ok(ForkProof::new(space, log, left, right))
    }
}

/// The tip a half follows and its first hash, if it holds together.
fn check_half(space: PublicKey, log: PublicKey, half: &[Vec<u8>]) -> Option<(Tip, [u8; 32])> {
    let mut start: Option<(Tip, [u8; 32])> = None;
    let mut next: Option<Tip> = None;
    for (index, signed) in half.iter().enumerate() {
        let mut reader = Reader::new(signed);
        let header = Header::decode(&mut reader).ok()?;
        let header_len = signed.len() - reader.rest().len();
        if header.space != space || header.log != log || signed.len() != header_len + 64 {
            return None;
        }
        let follows = Tip { len: header.seq, hash: header.prev };
        if next.is_some_and(|next| next != follows) {
            return None;
        }
        if index + 1 == half.len() && !signature_holds(&log, signed, header_len) {
            return None;
        }
        let hash = hash_of(signed);
        start.get_or_insert((follows, hash));
        next = Some(Tip { len: header.seq.checked_add(1)?, hash });
    }
    start
}
