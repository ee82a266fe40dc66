//! Who may do what in a space: a pure function of its authority entries, whatever order they arrive in.
//!
//! Rules, for now: the genesis names the owners; an owner may open invites for readers and writers; whoever holds
//! an invite's secret may take its role for an identity; a device has the role of the identity that named it.
//! Nothing is taken back yet, except what stands at or past the place where a log forks.

use crate::api::Role;
use crate::codec::CodecError;
use crate::entry::{Entry, Kind};
use crate::identity::PublicKey;
use crate::records::{Checkpoint, Device, Epoch, Genesis, Grant, Subject};
use kith_map::BTreeMap;

/// Why an entry does not count. One variant per rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The body cannot be decoded.
    #[error("The record cannot be decoded: {0}")]
    Malformed(#[from] CodecError),
    /// A genesis outside the space's own log, or something else inside it, or a second one.
    #[error("A space has one genesis, alone in the space's own log.")]
    Genesis,
    /// A log must begin with its device record, signed by the identity it names.
    #[error("A log begins with its device record, and the identity it names must have signed it.")]
    Device,
    /// The grant's proof does not hold, or its role is above the invite's, or it names another identity.
    #[error("The grant is not backed by the invite it names.")]
    Grant,
    /// The writer of this log is not (yet) a member.
    #[error("The log's device is not a member of the space.")]
    NotAMember,
    /// The writer's role does not allow this.
    #[error("The log's device has no role that allows this.")]
    NotAllowed,
}

impl AuthorityError {
    /// The error's stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            AuthorityError::Malformed(_) => "malformed-record",
            AuthorityError::Genesis => "genesis",
            AuthorityError::Device => "device",
            AuthorityError::Grant => "grant",
            AuthorityError::NotAMember => "not-a-member",
            AuthorityError::NotAllowed => "not-allowed",
        }
    }
}

/// One authority record and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// See [`Genesis`].
    Genesis(Genesis),
    /// See [`Device`].
    Device(Device),
    /// See [`Grant`].
    Grant(Grant),
    /// See [`Epoch`].
    Epoch(Epoch),
    /// See [`Checkpoint`].
    Checkpoint(Checkpoint),
}

impl Record {
    /// The record in an entry; `None` for ops.
    pub fn of(entry: &Entry) -> Result<Option<Record>, CodecError> {
        Record::decode(entry.header.kind, entry.body())
    }

    /// The record of this kind in a body; `None` for ops.
    pub fn decode(kind: Kind, body: &[u8]) -> Result<Option<Record>, CodecError> {
        Ok(Some(match kind {
            Kind::Genesis => Record::Genesis(Genesis::decode(body)?),
            Kind::Device => Record::Device(Device::decode(body)?),
            Kind::Grant => Record::Grant(Grant::decode(body)?),
            Kind::Epoch => Record::Epoch(Epoch::decode(body)?),
            Kind::Checkpoint => Record::Checkpoint(Checkpoint::decode(body)?),
            Kind::Op => return Ok(None),
        }))
    }
}

/// An open invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The role it gives.
    pub role: Role,
}

/// What is known of who may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    space: Option<PublicKey>,
    genesis: Option<Genesis>,
    devices: BTreeMap<PublicKey, Device>,
    invites: BTreeMap<PublicKey, Invite>,
    roles: BTreeMap<PublicKey, Role>,
}

impl Authority {
    /// Nothing known yet of this space.
    pub fn new(space: PublicKey) -> Authority {
        Authority { space: Some(space), ..Authority::default() }
    }

    /// Whether the genesis is known.
    pub fn is_founded(&self) -> bool {
        self.genesis.is_some()
    }

    /// When the space was founded, by the founder's clock.
    pub fn created(&self) -> Option<u64> {
        self.genesis.as_ref().map(|genesis| genesis.created)
    }

    /// The role of an identity.
    pub fn role_of(&self, identity: &PublicKey) -> Option<Role> {
        self.roles.get(identity).copied()
    }

    /// The role of a device's log.
    pub fn role(&self, log: &PublicKey) -> Option<Role> {
        self.role_of(&self.devices.get(log)?.identity)
    }

    /// The device record of a log, whether or not it is a member's.
    pub fn device(&self, log: &PublicKey) -> Option<&Device> {
        self.devices.get(log)
    }

    /// Every device that is a member's: its log, its record and its role.
    pub fn members(&self) -> impl Iterator<Item = (&PublicKey, &Device, Role)> {
        self.devices.iter().filter_map(|(log, device)| Some((log, device, self.role_of(&device.identity)?)))
    }

    /// The open invites by their public key.
    pub fn invites(&self) -> impl Iterator<Item = (&PublicKey, &Invite)> {
        self.invites.iter()
    }

    /// Takes in an entry of `log` at `seq` if the rules allow it, checking the signatures inside it.
    ///
    /// `Ok(true)` means that it changed what is known.
    pub fn admit(&mut self, log: &PublicKey, seq: u64, record: &Record) -> Result<bool, AuthorityError> {
        let space = self.space.unwrap_or(*log);
        match record {
            Record::Device(device) if !device.holds(&space, log) => return Err(AuthorityError::Device),
            Record::Grant(grant) if !grant.holds(&space) => return Err(AuthorityError::Grant),
            _ => {}
        }
        self.admit_trusted(log, seq, record)
    }

    /// Like [`Authority::admit`], for records whose inner signatures were checked when they were stored.
    pub fn admit_trusted(&mut self, log: &PublicKey, seq: u64, record: &Record) -> Result<bool, AuthorityError> {
        let in_space_log = Some(*log) == self.space;
        match record {
            Record::Genesis(genesis) => {
                if !in_space_log || seq != 0 || self.genesis.is_some() || genesis.owners.is_empty() {
                    return Err(AuthorityError::Genesis);
                }
                for owner in &genesis.owners {
                    self.roles.insert(*owner, Role::Owner);
                }
                self.genesis = Some(genesis.clone());
                Ok(true)
            }
            _ if in_space_log => Err(AuthorityError::Genesis),
            Record::Device(device) => {
                if seq != 0 {
                    return Err(AuthorityError::Device);
                }
                Ok(self.devices.insert(*log, device.clone()).as_ref() != Some(device))
            }
            Record::Grant(Grant { role, subject: Subject::Invite { key } }) => {
                self.require(log, Role::Owner)?;
                if *role >= Role::Owner {
                    return Err(AuthorityError::NotAllowed);
                }
                let known = self.invites.entry(*key).or_insert(Invite { role: *role });
                // Two grants for one invite: the greater role counts, whichever came first.
                known.role = known.role.max(*role);
                Ok(true)
            }
            Record::Grant(Grant { role, subject: Subject::Joined { identity, invite, .. } }) => {
                let device = self.devices.get(log).ok_or(AuthorityError::Device)?;
                if device.identity != *identity {
                    return Err(AuthorityError::Grant);
                }
                let open = self.invites.get(invite).ok_or(AuthorityError::NotAMember)?;
                if *role > open.role {
                    return Err(AuthorityError::Grant);
                }
                let held = self.roles.entry(*identity).or_insert(*role);
                *held = (*held).max(*role);
                Ok(true)
            }
            Record::Epoch(_) | Record::Checkpoint(_) => {
                self.require(log, Role::Owner)?;
                Ok(false)
            }
        }
    }

    /// An error unless the log's device has at least this role.
    pub fn require(&self, log: &PublicKey, least: Role) -> Result<(), AuthorityError> {
        match self.role(log) {
            None => Err(AuthorityError::NotAMember),
            Some(role) if role < least => Err(AuthorityError::NotAllowed),
            Some(_) => Ok(()),
        }
    }
}
