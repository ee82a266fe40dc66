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

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Founds a space. Signed by the space's own key.
    Genesis,
    /// Binds a device's log to an identity.
    Device,
    /// Gives a role to an identity or to an invite.
    Grant,
    /// Hands out the key that seals bodies.
    Epoch,
    /// Changes values. The body is sealed.
    Op,
    /// Says up to where everything is settled, so that what was deleted before can be forgotten.
    Checkpoint,
}

impl Kind {
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Kind::Genesis => 0,
            Kind::Device => 1,
            Kind::Grant => 2,
            Kind::Epoch => 3,
            Kind::Op => 4,
            Kind::Checkpoint => 14,
        }
    }

    pub(crate) fn from_tag(tag: u8) -> Result<Kind, EntryError> {
        Ok(match tag {
            0 => Kind::Genesis,
            1 => Kind::Device,
            2 => Kind::Grant,
            3 => Kind::Epoch,
            4 => Kind::Op,
            14 => Kind::Checkpoint,
            _ => return Err(EntryError::KindNotSupported(later_kind(tag))),
        })
    }
}

/// The names of kinds that are laid down but not yet in use, so that refusing them can say what they are.
const fn later_kind(tag: u8) -> &'static str {
    match tag {
        5 => "device-off",
        6 => "device-key-update",
        7 => "rotate-root",
        8 => "revoke",
        9 => "invite",
        10 => "invite-close",
        11 => "join",
        12 => "owner-change",
        13 => "attest",
        15 => "blob",
        _ => "unknown",
    }
}

/// Why bytes are not an entry, or a run of entries does not hold together. One variant per rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not decodable.
    #[error("The entry cannot be decoded: {0}")]
    Malformed(#[from] CodecError),
    /// Another format version.
    #[error("The entry has format version {0}; this peer knows version 1.")]
    VersionNotSupported(u8),
    /// A kind this peer does not take part in.
    #[error("Entries of kind `{0}` are not supported.")]
    KindNotSupported(&'static str),
    /// The body is not the one the header names.
    #[error("The body does not match its hash.")]
    BodyHash,
    /// Another space than expected.
    #[error("The entry belongs to another space.")]
    WrongSpace,
    /// Another log than expected.
    #[error("The entry belongs to another log.")]
    WrongLog,
    /// Not the next one of its log.
    #[error("The entry is not the next of its log.")]
    WrongSeq,
    /// The chain is broken.
    #[error("The entry does not follow the one before it: its `prev` names another.")]
    WrongPrev,
    /// The signature is not the log's.
    #[error("The signature is not that of the log's key.")]
    BadSignature,
}

impl EntryError {
    /// The error's stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            EntryError::Malformed(_) => "malformed",
            EntryError::VersionNotSupported(_) => "version-not-supported",
            EntryError::KindNotSupported(_) => "kind-not-supported",
            EntryError::BodyHash => "body-hash",
            EntryError::WrongSpace => "wrong-space",
            EntryError::WrongLog => "wrong-log",
            EntryError::WrongSeq => "wrong-seq",
            EntryError::WrongPrev => "wrong-prev",
            EntryError::BadSignature => "bad-signature",
        }
    }
}

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

    fn with_body(&self, body: &Body<'_>) -> Option<Verified> {
        let raw = [self.signed_part(), &body.encode()].concat();
        (raw != self.0.raw)
            .then(|| Verified(Entry { header: self.0.header.clone(), raw, is_hollow: body.is_hollow(), ..self.0 }))
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
        Verified(Entry { header, raw, header_len, hash, is_hollow: false })
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
        Ok(Entry { header, raw: bytes.to_vec(), header_len, hash, is_hollow })
    }

    /// Whether parts of the body have been taken away.
    pub fn is_hollow(&self) -> bool {
        self.is_hollow
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
        Entry { header, raw, header_len, hash, is_hollow }
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

/// Checks that `entries` follow `tip` in the log, one after the other, and that the log's key vouches for them.
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
    /// A proof from two runs of [`Entry::signed_part`]s, if they are one.
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
