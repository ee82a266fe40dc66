//! Entries: the signed, hash-chained units every peer stores and passes on.
//!
//! ```text
//! entry  = header ‖ signature[64] ‖ body[body_len]
//! header = 0x01 ‖ kind ‖ space[32] ‖ log[32] ‖ seq ‖ prev[32] ‖ epoch[16] (ops only)
//!          ‖ count ‖ (dep log[32] ‖ dep seq ‖ dep hash[32])* ‖ body_len ‖ body_hash[32]
//! hash   = BLAKE3(derive "kith 2026 entry v1", header ‖ signature)
//! ```
//! The header is clear, so that a relay or mirror can check it; the body of an op is sealed (see [`crate::sealed`]), and
//! parts of it may have been taken away since it was signed: `body_len` and `body_hash` are those of the whole body.
//! `prev` is the hash of the entry before, so one signature vouches for everything before it: a run of entries is
//! checked by its hashes, the signature of its last entry, and of every entry whose `seq` ends a block of
//! [`SIGNED_EVERY`] (so that a proof of a fork is never longer than a block).

mod fork;
mod kind;
mod pruned;

pub use fork::ForkProof;
pub use kind::{EntryError, Kind};
pub use pruned::{Pruned, PrunedRange};

use crate::codec::{CodecError, Reader, Writer};
use crate::identity::{PublicKey, SecretKey};
use crate::purpose::Purpose;
use crate::sealed::Body;

/// The most bytes of an entry's body: 1 MiB of value and room for its paths and seal.
pub const MAX_BODY: usize = (1 << 20) + (1 << 16);
/// The most dependencies an entry names.
pub const MAX_DEPS: usize = 64;
/// Signatures are checked at least once in this many entries of a log.
pub const SIGNED_EVERY: u64 = 32;

const VERSION: u8 = 1;
const SIGN_DOMAIN: &str = "kith/entry/v1";

/// An entry of another log that the author had seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dep {
    /// Whose log.
    pub log: PublicKey,
    /// Which entry.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// The clear part of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The space.
    pub space: PublicKey,
    /// The log: the device's public key (for the genesis: the space's).
    pub log: PublicKey,
    /// Its place in the log, from 0.
    pub seq: u64,
    /// The hash of the entry before; zeros for the first.
    pub prev: [u8; 32],
    /// What it is for.
    pub kind: Kind,
    /// Which key seals the body; only for ops.
    pub epoch: Option<[u8; 16]>,
    /// What the author had seen since its entry before.
    pub deps: Vec<Dep>,
    /// Bytes in the body, with all its parts.
    pub body_len: usize,
    /// BLAKE3 of the body; for ops, see [`crate::sealed`].
    pub body_hash: [u8; 32],
}

/// An entry as received: decoded, its body matching its hash, its signature not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The clear part.
    pub header: Header,
    raw: Vec<u8>,
    header_len: usize,
    hash: [u8; 32],
    is_hollow: bool,
    /// What of the log is gone right before it, where it came, or is read, behind that.
    pruned: Option<Box<Pruned>>,
}

/// An entry that is part of a checked run: only these are stored or merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(Entry);

impl std::ops::Deref for Verified {
    type Target = Entry;
    fn deref(&self) -> &Entry {
        &self.0
    }
}

impl Verified {
    /// The entry without the proof that it was checked.
    pub(crate) fn into_entry(self) -> Entry {
        self.0
    }

    /// An entry this peer stored after checking it.
    pub(crate) fn from_store(raw: &[u8]) -> Result<Verified, EntryError> {
        Entry::decode(raw).map(Verified)
    }

    /// The entry without the bytes of these parts; `None` if nothing of it can be taken away.
    pub(crate) fn without(&self, parts: &[usize]) -> Option<Verified> {
        self.with_body(&Body::decode(self.op_body()?).ok()?.without(parts))
    }

    /// The entry with the bytes of redacted parts that `other`, the same entry, has; of those that are `wanted`.
    pub(crate) fn filled(&self, other: &Entry, wanted: impl Fn(usize) -> bool) -> Option<Verified> {
        if other.hash != self.0.hash {
            return None;
        }
        let ours = Body::decode(self.op_body()?).ok()?;
        let theirs = Body::decode(other.op_body()?).ok()?;
        self.with_body(&ours.filled(&theirs, wanted))
    }

    /// The entry as it stands behind entries that are gone.
    pub(crate) fn behind(self, pruned: &Pruned) -> Verified {
        Verified(self.0.behind(*pruned))
    }

    fn with_body(&self, body: &Body<'_>) -> Option<Verified> {
        let raw = [self.signed_part(), &body.encode()].concat();
        let (header, pruned) = (self.0.header.clone(), self.0.pruned.clone());
        (raw != self.0.raw).then(|| Verified(Entry { header, raw, is_hollow: body.is_hollow(), pruned, ..self.0 }))
    }
}

/// What the next entry of a log must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// How many entries there are.
    pub len: u64,
    /// The hash of the last; zeros if there is none.
    pub hash: [u8; 32],
}

impl Tip {
    /// The tip of an empty log.
    pub const EMPTY: Tip = Tip { len: 0, hash: [0; 32] };

    /// The tip of a log that ends with this entry.
    pub fn after(entry: &Entry) -> Tip {
        Tip { len: entry.header.seq.saturating_add(1), hash: entry.hash() }
    }
}

impl Entry {
    /// Makes and signs an entry.
    pub fn sign(
        key: &SecretKey,
        space: PublicKey,
        tip: Tip,
        kind: Kind,
        epoch: Option<[u8; 16]>,
        deps: Vec<Dep>,
        body: &[u8],
    ) -> Verified {
        let header = Header {
            space,
            log: key.public(),
            seq: tip.len,
            prev: tip.hash,
            kind,
            epoch,
            deps,
            body_len: body.len(),
            body_hash: body_hash(kind, body).map_or([0; 32], |(_, hash, _)| hash),
        };
        let mut raw = header.encode();
        let header_len = raw.len();
        let signature = key.sign(SIGN_DOMAIN, &raw);
        raw.extend_from_slice(&signature);
        let hash = hash_of(&raw);
        raw.extend_from_slice(body);
        Verified(Entry { header, raw, header_len, hash, is_hollow: false, pruned: None })
    }

    /// Decodes one entry that fills `bytes`, and checks its body, or what is left of it, against its hash.
    pub fn decode(bytes: &[u8]) -> Result<Entry, EntryError> {
        let mut reader = Reader::new(bytes);
        let header = Header::decode(&mut reader)?;
        let header_len = bytes.len() - reader.rest().len();
        reader.take(64)?;
        let signed_len = header_len + 64;
        let hash = hash_of(bytes.get(..signed_len).unwrap_or_default());
        if header.kind != Kind::Op {
            reader.take(header.body_len)?;
            reader.end()?;
        }
        let body = bytes.get(signed_len..).unwrap_or_default();
        let (len, body_hash, is_hollow) = body_hash(header.kind, body)?;
        if len != header.body_len || body_hash != header.body_hash {
            return Err(EntryError::BodyHash);
        }
        Ok(Entry { header, raw: bytes.to_vec(), header_len, hash, is_hollow, pruned: None })
    }

    /// Whether parts of the body have been taken away.
    pub fn is_hollow(&self) -> bool {
        self.is_hollow
    }

    /// What of the log is gone right before it, if anything is.
    pub fn pruned(&self) -> Option<&Pruned> {
        self.pruned.as_deref()
    }

    /// The entry behind entries that are gone, which it must follow.
    pub(crate) fn behind(self, pruned: Pruned) -> Entry {
        Entry { pruned: Some(Box::new(pruned)), ..self }
    }

    /// Whether it stands right behind these.
    pub(crate) fn follows(&self, pruned: &Pruned) -> bool {
        let header = &self.header;
        header.log == pruned.range.log && Tip { len: header.seq, hash: header.prev } == pruned.tip()
    }

    fn op_body(&self) -> Option<&[u8]> {
        (self.header.kind == Kind::Op).then(|| self.body())
    }

    /// An entry put together again from its parts. The header must tell of this body.
    pub(crate) fn from_parts(header: Header, signature: &[u8; 64], body: &[u8], is_hollow: bool) -> Entry {
        let mut raw = header.encode();
        let header_len = raw.len();
        raw.extend_from_slice(signature);
        let hash = hash_of(&raw);
        raw.extend_from_slice(body);
        Entry { header, raw, header_len, hash, is_hollow, pruned: None }
    }

    /// The signature's bytes.
    pub(crate) fn signature(&self) -> &[u8] {
        self.raw.get(self.header_len..self.header_len + 64).unwrap_or_default()
    }

    /// The whole entry's bytes.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The body's bytes.
    pub fn body(&self) -> &[u8] {
        self.raw.get(self.header_len + 64..).unwrap_or_default()
    }

    /// The entry's hash: what the next one names as `prev`.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The header and signature: what a proof of a fork shows.
    pub fn signed_part(&self) -> &[u8] {
        self.raw.get(..self.header_len + 64).unwrap_or_default()
    }

    /// Whether the entry's own signature holds.
    pub fn is_signed(&self) -> bool {
        signature_holds(&self.header.log, self.signed_part(), self.header_len)
    }
}

fn signature_holds(log: &PublicKey, signed: &[u8], header_len: usize) -> bool {
    let Some((header, signature)) = signed.split_at_checked(header_len) else { return false };
    let Ok(signature) = signature.try_into() else { return false };
    log.verify(SIGN_DOMAIN, header, signature)
}

/// The length and hash of a body as signed, and whether parts of it are gone.
pub(crate) fn body_hash(kind: Kind, bytes: &[u8]) -> Result<(usize, [u8; 32], bool), CodecError> {
    if kind != Kind::Op {
        return Ok((bytes.len(), *blake3::hash(bytes).as_bytes(), false));
    }
    let body = Body::decode(bytes)?;
    Ok((body.whole_len(), body.hash(), body.is_hollow()))
}

fn hash_of(signed: &[u8]) -> [u8; 32] {
    static PURPOSE: Purpose = Purpose::new("kith 2026 entry v1");
    *PURPOSE.hasher().update(signed).finalize().as_bytes()
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).u8(self.kind.tag()).fixed(&self.space.0).fixed(&self.log.0);
        writer.number(self.seq).fixed(&self.prev);
        if let Some(epoch) = &self.epoch {
            writer.fixed(epoch);
        }
        writer.number(self.deps.len() as u64);
        for dep in &self.deps {
            writer.fixed(&dep.log.0).number(dep.seq).fixed(&dep.hash);
        }
        writer.number(self.body_len as u64).fixed(&self.body_hash).finish()
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Header, EntryError> {
        let version = reader.u8()?;
        if version != VERSION {
            return Err(EntryError::VersionNotSupported(version));
        }
        let kind = Kind::from_tag(reader.u8()?)?;
        let space = PublicKey(reader.fixed()?);
        let log = PublicKey(reader.fixed()?);
        let seq = reader.number()?;
        let prev = reader.fixed()?;
        let epoch = if kind == Kind::Op { Some(reader.fixed()?) } else { None };
        let mut deps = Vec::new();
        for _ in 0..reader.size(MAX_DEPS)? {
            deps.push(Dep { log: PublicKey(reader.fixed()?), seq: reader.number()?, hash: reader.fixed()? });
        }
        let body_len = reader.size(MAX_BODY)?;
        Ok(Header { space, log, seq, prev, kind, epoch, deps, body_len, body_hash: reader.fixed()? })
    }
}

/// The `prev` in an entry's header and signature, of which nothing is checked.
pub(crate) fn prev_of(signed: &[u8]) -> Option<[u8; 32]> {
    Header::decode(&mut Reader::new(signed)).ok().map(|header| header.prev)
}

/// Checks that `entries` follow `tip` in the log, one after the other, and that the log's key vouches for them. Where an
/// entry stands behind some that are gone, whoever says so is still to be checked.
///
/// `vouched` is a tip known to be genuine already (from a fork's proof): a run that ends there needs no signature.
pub fn verify_run(
    space: PublicKey,
    log: PublicKey,
    tip: Tip,
    entries: Vec<Entry>,
    vouched: Option<Tip>,
) -> Result<Vec<Verified>, EntryError> {
    let mut next = tip;
    let last = entries.len();
    for (index, entry) in entries.iter().enumerate() {
        let header = &entry.header;
        if header.space != space {
            return Err(EntryError::WrongSpace);
        }
        if header.log != log {
            return Err(EntryError::WrongLog);
        }
        if header.seq != next.len
            && let Some(pruned) = entry.pruned().filter(|pruned| pruned.covers(next.len))
        {
            // The chain ends here: what was before has to stand by itself.
            let before = index.checked_sub(1).and_then(|before| entries.get(before));
            if before.is_some_and(|before| !before.is_signed()) {
                return Err(EntryError::BadSignature);
            }
            next = pruned.tip();
        } else if index > 0 && entry.pruned().is_some() {
            return Err(EntryError::WrongSeq);
        }
        if header.seq != next.len {
            return Err(EntryError::WrongSeq);
        }
        if header.prev != next.hash {
            return Err(EntryError::WrongPrev);
        }
        next = Tip { len: header.seq.saturating_add(1), hash: entry.hash };
        let must_be_signed = (index + 1 == last && Some(next) != vouched) || ends_block(header.seq);
        if must_be_signed && !entry.is_signed() {
            return Err(EntryError::BadSignature);
        }
    }
    Ok(entries.into_iter().map(Verified).collect())
}

/// Whether the entry at `seq` ends a block, so that its own signature is always checked.
pub const fn ends_block(seq: u64) -> bool {
    seq % SIGNED_EVERY == SIGNED_EVERY - 1
}
