//! The bodies of authority entries: genesis, device, grant and epoch.
//!
//! All are clear, so that relays and mirrors can judge who may write. Each begins with a version byte of 1.

use crate::api::Role;
use crate::codec::{CodecError, Reader, Writer};
use crate::entry::PrunedRange;
use crate::epoch::{MAX_WRAPS, Wrap};
use crate::identity::{PublicKey, SecretKey};
use kith_map::BTreeMap;

/// The most relay addresses a device names.
pub const MAX_RELAYS: usize = 4;
/// The most bytes of one relay address.
pub const MAX_RELAY: usize = 256;
/// The most owners a genesis names.
pub const MAX_OWNERS: usize = 16;

/// The most logs a checkpoint names.
pub const MAX_FRONTIER: usize = 10_000;
/// The most ranges of entries a checkpoint lets go.
pub const MAX_PRUNED: usize = 1024;

const VERSION: u8 = 1;
/// Of a checkpoint that lets entries go.
const WITH_PRUNED: u8 = 2;
const DEVICE_DOMAIN: &str = "kith/device/v1";
const JOIN_DOMAIN: &str = "kith/join/v1";

/// The founding of a space: the only entry of the log named like the space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The identities that own the space.
    pub owners: Vec<PublicKey>,
    /// When, in milliseconds since 1970, by the founder's clock.
    pub created: u64,
}

impl Genesis {
    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).number(self.owners.len() as u64);
        for owner in &self.owners {
            writer.fixed(&owner.0);
        }
        writer.number(self.created).finish()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Genesis, CodecError> {
        let mut reader = versioned(body)?;
        let mut owners = Vec::new();
        for _ in 0..reader.size(MAX_OWNERS)? {
            owners.push(PublicKey(reader.fixed()?));
        }
        let created = reader.number()?;
        reader.end()?;
        Ok(Genesis { owners, created })
    }
}

/// Binds the log it is in to an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Whose device.
    pub identity: PublicKey,
    /// The X25519 key that epoch keys for this device are wrapped to.
    pub wrap_key: [u8; 32],
    /// Multiaddrs of relays where the device can be met.
    pub relays: Vec<String>,
    proof: [u8; 64],
}

impl Device {
    /// A device of `identity`, writing in `log`.
    pub fn new(
        identity: &SecretKey,
        space: &PublicKey,
        log: &PublicKey,
        wrap_key: [u8; 32],
        relays: Vec<String>,
    ) -> Device {
        let proof = identity.sign(DEVICE_DOMAIN, &Self::message(space, log, &wrap_key));
        Device { identity: identity.public(), wrap_key, relays, proof }
    }

    fn message(space: &PublicKey, log: &PublicKey, wrap_key: &[u8; 32]) -> Vec<u8> {
        [space.0, log.0, *wrap_key].concat()
    }

    /// Whether the identity really named this device.
    pub fn holds(&self, space: &PublicKey, log: &PublicKey) -> bool {
        self.identity.verify(DEVICE_DOMAIN, &Self::message(space, log, &self.wrap_key), &self.proof)
    }

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).fixed(&self.identity.0).fixed(&self.wrap_key).fixed(&self.proof);
        writer.number(self.relays.len() as u64);
        for relay in &self.relays {
            writer.text(relay);
        }
        writer.finish()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Device, CodecError> {
        let mut reader = versioned(body)?;
        let identity = PublicKey(reader.fixed()?);
        let wrap_key = reader.fixed()?;
        let proof = reader.fixed()?;
        let mut relays = Vec::new();
        for _ in 0..reader.size(MAX_RELAYS)? {
            relays.push(reader.text(MAX_RELAY)?.to_owned());
        }
        reader.end()?;
        Ok(Device { identity, wrap_key, relays, proof })
    }
}

/// Who a grant is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An open invite: whoever proves to hold its secret may take the role.
    Invite {
        /// The invite's public key.
        key: PublicKey,
    },
    /// An identity, let in by an invite it holds the secret of.
    Joined {
        /// The identity.
        identity: PublicKey,
        /// The invite's public key.
        invite: PublicKey,
        /// The invite's signature over space, identity and role.
        proof: [u8; 64],
    },
}

/// Gives a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role given.
    pub role: Role,
    /// To whom.
    pub subject: Subject,
}

impl Grant {
    /// An open invite.
    pub fn invite(role: Role, key: PublicKey) -> Grant {
        Grant { role, subject: Subject::Invite { key } }
    }

    /// What a joiner writes into its own log.
    pub fn join(role: Role, identity: PublicKey, invite: &SecretKey, space: &PublicKey) -> Grant {
        let proof = invite.sign(JOIN_DOMAIN, &Self::message(space, &identity, role));
        Grant { role, subject: Subject::Joined { identity, invite: invite.public(), proof } }
    }

    fn message(space: &PublicKey, identity: &PublicKey, role: Role) -> Vec<u8> {
        [space.0.as_slice(), &identity.0, &[role_tag(role)]].concat()
    }

    /// Whether the invite's secret really let this identity in. Always true for invites themselves.
    pub fn holds(&self, space: &PublicKey) -> bool {
        match &self.subject {
            Subject::Invite { .. } => true,
            Subject::Joined { identity, invite, proof } => {
                invite.verify(JOIN_DOMAIN, &Self::message(space, identity, self.role), proof)
            }
        }
    }

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).u8(role_tag(self.role));
        match &self.subject {
            Subject::Invite { key } => writer.u8(0).fixed(&key.0),
            Subject::Joined { identity, invite, proof } => {
                writer.u8(1).fixed(&identity.0).fixed(&invite.0).fixed(proof)
            }
        };
        writer.finish()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Grant, CodecError> {
        let mut reader = versioned(body)?;
        let role = role_of(reader.u8()?)?;
        let subject = match reader.u8()? {
            0 => Subject::Invite { key: PublicKey(reader.fixed()?) },
            1 => Subject::Joined {
                identity: PublicKey(reader.fixed()?),
                invite: PublicKey(reader.fixed()?),
                proof: reader.fixed()?,
            },
            _ => return Err(CodecError::Tag),
        };
        reader.end()?;
        Ok(Grant { role, subject })
    }
}

/// Hands out an epoch key. The same key may be handed out by several entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The key's commitment (see [`crate::epoch::EpochKey::commit`]).
    pub commit: [u8; 32],
    /// The key, wrapped for each receiver.
    pub wraps: Vec<Wrap>,
}

impl Epoch {
    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).fixed(&self.commit).number(self.wraps.len() as u64);
        for wrap in &self.wraps {
            wrap.encode(&mut writer);
        }
        writer.finish()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Epoch, CodecError> {
        let mut reader = versioned(body)?;
        let commit = reader.fixed()?;
        let mut wraps = Vec::new();
        for _ in 0..reader.size(MAX_WRAPS)? {
            wraps.push(Wrap::decode(&mut reader)?);
        }
        reader.end()?;
        Ok(Epoch { commit, wraps })
    }
}

/// Says that every write up to a time is known: whoever writes later than that, or is within the frontier, counts. And
/// which entries are not needed any more: they do not count either, and may be dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The time, as the clocks of ops are.
    pub stable: u64,
    /// How much of each log the author had, in the order of their keys.
    pub frontier: BTreeMap<PublicKey, u64>,
    /// Entries that are not needed any more, by log and place, none twice.
    pub pruned: Vec<PrunedRange>,
}

impl Checkpoint {
    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        let version = if self.pruned.is_empty() { VERSION } else { WITH_PRUNED };
        writer.u8(version).fixed(&self.stable.to_be_bytes()).number(self.frontier.len() as u64);
        for (log, len) in &self.frontier {
            writer.fixed(&log.0).number(*len);
        }
        if !self.pruned.is_empty() {
            writer.number(self.pruned.len() as u64);
            self.pruned.iter().for_each(|range| range.write(&mut writer));
        }
        writer.finish()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Checkpoint, CodecError> {
        let mut reader = Reader::new(body);
        let version = reader.u8()?;
        if version != VERSION && version != WITH_PRUNED {
            return Err(CodecError::Tag);
        }
        let stable = u64::from_be_bytes(reader.fixed()?);
        let mut frontier = BTreeMap::new();
        for _ in 0..reader.size(MAX_FRONTIER)? {
            let log = PublicKey(reader.fixed()?);
            if frontier.last_key_value().is_some_and(|(last, _)| *last >= log) {
                return Err(CodecError::Tag);
            }
            frontier.insert(log, reader.number()?);
        }
        let mut pruned: Vec<PrunedRange> = Vec::new();
        for _ in 0..if version == WITH_PRUNED { reader.size(MAX_PRUNED)? } else { 0 } {
            let range = PrunedRange::read(&mut reader)?;
            if pruned.last().is_some_and(|last| (last.log, last.to) > (range.log, range.from)) {
                return Err(CodecError::Tag);
            }
            pruned.push(range);
        }
        reader.end()?;
        if version == WITH_PRUNED && pruned.is_empty() {
            return Err(CodecError::Tag);
        }
        Ok(Checkpoint { stable, frontier, pruned })
    }

    /// Whether this one is about all that `other` is about, and later: but for what only the other does not admit, it says
    /// all the other does.
    pub fn covers(&self, other: &Checkpoint) -> bool {
        let more = |(log, len): (&PublicKey, &u64)| self.frontier.get(log).is_some_and(|own| own >= len);
        let within = |range: &PrunedRange| {
            let upto = self.pruned.partition_point(|own| (own.log, own.from) <= (range.log, range.from));
            let last = upto.checked_sub(1).and_then(|at| self.pruned.get(at));
            last.is_some_and(|own| own.log == range.log && range.to <= own.to)
        };
        self.stable >= other.stable && other.frontier.iter().all(more) && other.pruned.iter().all(within)
    }

    /// Whether an op at `seq` of `log`, written at `clock`, counts.
    pub fn admits(&self, log: &PublicKey, seq: u64, clock: u64) -> bool {
        clock > self.stable || self.frontier.get(log).is_some_and(|len| seq < *len)
    }
}

fn versioned(body: &[u8]) -> Result<Reader<'_>, CodecError> {
    let mut reader = Reader::new(body);
    if reader.u8()? == VERSION { Ok(reader) } else { Err(CodecError::Tag) }
}

pub(crate) const fn role_tag(role: Role) -> u8 {
    match role {
        Role::Reader => 1,
        Role::Writer => 2,
        Role::Owner => 3,
    }
}

pub(crate) const fn role_of(tag: u8) -> Result<Role, CodecError> {
    Ok(match tag {
        1 => Role::Reader,
        2 => Role::Writer,
        3 => Role::Owner,
        _ => return Err(CodecError::Tag),
    })
}
