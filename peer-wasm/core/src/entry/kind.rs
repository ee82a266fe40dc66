//! Kinds of entries, and why bytes are not one.

use crate::codec::CodecError;

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
