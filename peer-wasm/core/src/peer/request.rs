//! Requests: who may ask what, and where each is answered.

use super::commit::Unit;
use super::early::Look;
use super::{Done, Job, MAX_REQUESTS, MAX_SPACES, Peer};
use crate::api::{Refusal, Reply, Request, RequestId, Role, SpaceRef, Target};
use crate::authority::Record;
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::records::Subject;
use serde_json::{Value as Json, json};

impl Peer {
    pub(super) fn request(&mut self, id: RequestId, request: Request) {
        self.open_requests += 1;
        if self.open_requests > MAX_REQUESTS {
            self.reply(id, Reply::Refused(Refusal::TooMany("Too many requests are open. Wait for some.".to_owned())));
            return;
        }
        if let Request::Subscribe(Target::Text { .. }) = &request {
            self.note_following(id);
        }
        if self.booted {
            self.start(Job::Request(id, request));
            return;
        }
        self.waiting_for_boot.push((id, request));
        // The start may have failed for want of room; a new request is a reason to try again.
        if self.keys.is_none() && !self.tasks.values().any(|task| matches!(task.job, Job::Boot)) {
            self.start(Job::Boot);
        }
    }

    pub(super) fn answer(&mut self, id: RequestId, request: &Request, lens: &Lens<'_>) -> Result<Done, Miss> {
        let reply = match request {
            Request::Info => Reply::Document(self.info()),
            Request::Status => Reply::Document(self.status()),
            Request::Spaces => Reply::Document(Json::Array(self.space_list())),
            Request::CreateSpace { name } => return Ok(self.create_space(id, name)),
            Request::Join { invite } => return self.join(id, invite, lens),
            Request::Invite { space, role, app, origin } => {
                return self.make_invite(id, space, *role, app, origin, lens);
            }
            Request::Write { space, path, change, conditions, manner, id: write_id, purge } => {
                let write_id = write_id.as_deref();
                let done = self.write_value(id, space, path, change, conditions, manner, write_id, *purge, lens)?;
                return Ok(self.hold_back(id, request, done));
            }
            Request::Move { space, from, to, conditions, id: write_id } => {
                return self.move_value(id, space, from, to, conditions, write_id.as_deref(), lens);
            }
            Request::Restore { space, path, from, conditions, id: write_id } => {
                return self.restore(id, space, path, from, conditions, write_id.as_deref(), lens);
            }
            Request::Undo { space, scope, redo, id: write_id } => {
                return self.undo(id, space, scope, *redo, write_id.as_deref(), lens);
            }
            Request::Export { space, keys, state } => match self.readable(space, lens)? {
                Ok(number) => self.export(number, *keys, state.as_deref(), lens)?,
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Import { space, part } => return self.import(id, space, part, lens),
            Request::Subscribe(target) => return self.subscribe(id, target, lens),
            Request::Invites { space } => match self.readable(space, lens)? {
                Ok(number) => Reply::Document(self.invites(number)),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Members { space } => match self.readable(space, lens)? {
                Ok(number) => Reply::Document(self.members(number)),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::SetPolicy { space, prefix, policy } => {
                return self.set_policy(id, space, prefix, policy.as_ref(), lens);
            }
            Request::Policies { space } => match self.readable(space, lens)? {
                Ok(number) => Reply::Document(self.policies(number)),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Policy { space, prefix } => match self.readable(space, lens)? {
                Ok(number) => self.policy(number, prefix),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Conflicts { space } => match self.readable(space, lens)? {
                Ok(number) => Reply::Document(self.conflicts(number, lens)?),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Allow { space, author, bytes } => return self.allow(id, space, author, *bytes, lens),
            Request::Quotas { space } => match self.readable(space, lens)? {
                Ok(number) => Reply::Document(self.quotas(number)),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Spread { space, versions } => match self.readable(space, lens)? {
                Ok(number) => self.spread(number, versions),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Get { space, path, parents } => match self.readable(space, lens)? {
                Ok(number) if self.waits(id, request, number, &Look::value(path)) => return Ok(Done::Nothing),
                Ok(number) => self.read_value(number, path, parents, lens)?,
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::GetAt { space, path, at, hash } => match self.readable(space, lens)? {
                Ok(number) => self.read_value_at(number, path, at, hash.as_ref(), lens)?,
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::ListAt { space, prefix, query, at } => match self.readable(space, lens)? {
                Ok(number) => self.read_list_at(number, prefix, query, at, lens)?,
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::History { space, path, before, limit } => match self.readable(space, lens)? {
                Ok(number) => self.read_history(number, path, before.as_ref(), *limit, lens)?,
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Link { space, path, at } => match self.readable(space, lens)? {
                Ok(number) => self.read_link(number, path, at.as_ref(), lens)?,
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::List { space, prefix, query } => match self.readable(space, lens)? {
                Ok(number) if self.waits(id, request, number, &Look::listing(prefix, query)) => {
                    return Ok(Done::Nothing);
                }
                Ok(number) => self.read_list(number, prefix, query, lens)?,
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Cursors { space, path } => match self.readable(space, lens)? {
                Ok(number) => Reply::Document(self.cursors(number, path)),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Present { space, path, client, selections } => {
                self.present(space, path, client, selections, lens)?
            }
            Request::Changes { space, since, limit } => match self.readable(space, lens)? {
                Ok(number) => match self.read_changes(number, since.as_deref(), *limit, lens)? {
                    Ok((items, next)) => Reply::Changes { items, next },
                    Err(refusal) => Reply::Refused(refusal),
                },
                Err(refusal) => Reply::Refused(refusal),
            },
        };
        if reply.is_early() {
            self.reply(id, reply);
            return Ok(Done::Nothing);
        }
        Ok(Done::Write(Unit::reply(id, reply)))
    }

    /// The number of a space, with the space in memory.
    pub(super) fn find(&mut self, space: &SpaceRef, lens: &Lens<'_>) -> Result<Result<u32, Refusal>, Miss> {
        let number = match space {
            SpaceRef::Me => Some(self.me),
            SpaceRef::Id(id) => PublicKey::from_id(id).and_then(|key| self.space_number(&key)),
        };
        let Some(number) = number else { return Ok(Err(Refusal::NoSuchSpace)) };
        self.space(number, lens)?;
        Ok(Ok(number))
    }

    pub(super) fn readable(&mut self, space: &SpaceRef, lens: &Lens<'_>) -> Result<Result<u32, Refusal>, Miss> {
        Ok(self.find(space, lens)?.and_then(|number| self.may(number, Role::Reader).map(|()| number)))
    }

    pub(super) fn space_number(&self, key: &PublicKey) -> Option<u32> {
        self.space_rows.iter().find(|(_, row)| row.key == *key).map(|(number, _)| *number)
    }

    /// An error unless this peer's identity has at least this role in the space.
    pub(super) fn may(&self, number: u32, least: Role) -> Result<(), Refusal> {
        let (Some(space), Some(identity)) = (self.spaces.get(&number), self.identity()) else {
            return Err(Refusal::NoSuchSpace);
        };
        if !space.row.joined {
            return Err(Refusal::Unavailable {
                detail: "Joining this space is not finished yet: nobody who has the data is online. It goes on by \
                         itself as soon as someone is."
                    .to_owned(),
                retry_after: 5,
            });
        }
        if space.rebuilding {
            return Err(Refusal::Unavailable {
                detail:
                    "The space is being put together again from its history, because one device's turned out to be \
                         forged or copied or because this release can read more. Try again in a moment."
                        .to_owned(),
                retry_after: 1,
            });
        }
        let forked = self.device().is_some_and(|device| space.forks.contains_key(&device));
        if forked && least >= Role::Writer {
            return Err(Refusal::Forbidden(
                "This device's history here exists twice (its browser profile was copied or set back), so it may only \
                 read. Open an invite in a fresh profile to write again."
                    .to_owned(),
            ));
        }
        // Until the invite's grant has come from the inviter's log, the invite says what it gives. Those who have the grant
        // have checked that it is so, or there would be no key here.
        let invited = || space.row.ticket.as_ref().map(|ticket| ticket.role);
        match space.authority.role_of(&identity).or_else(invited) {
            Some(role) if role >= least => Ok(()),
            Some(role) => Err(Refusal::Forbidden(format!(
                "You are a {} in this space; this needs the role {}. Ask an owner for another invite.",
                role.name(),
                least.name()
            ))),
            None if space.row.archive && least == Role::Reader => Ok(()),
            None if space.row.archive => Err(Refusal::Forbidden(
                "This space came from a file and can only be read. Open an invite to it to write there.".to_owned(),
            )),
            None => Err(Refusal::Forbidden("You are not a member of this space.".to_owned())),
        }
    }

    fn create_space(&mut self, id: RequestId, name: &str) -> Done {
        if self.space_rows.len() >= MAX_SPACES {
            let refusal = Refusal::TooMany(format!("A peer takes part in at most {MAX_SPACES} spaces."));
            return Done::Write(Unit::reply(id, Reply::Refused(refusal)));
        }
        if name.trim().is_empty() || name.len() > crate::invite::MAX_NAME {
            let refusal = Refusal::Malformed("A space needs a name of 1 to 200 characters.".to_owned());
            return Done::Write(Unit::reply(id, Reply::Refused(refusal)));
        }
        let (number, batch) = self.found(name);
        let Some(row) = self.space_rows.get(&number) else { return Done::Nothing };
        let space_id = row.key.id();
        let document = json!({ "id": space_id, "name": name, "role": Role::Owner.name() });
        let reply = Reply::SpaceCreated { id: space_id, document };
        let effects = vec![super::commit::Effect::Reply(id, reply)];
        Done::Write(Unit { batch, effects })
    }

    fn members(&self, number: u32) -> Json {
        let Some(space) = self.spaces.get(&number) else { return Json::Null };
        let own = self.device();
        let mut by_identity: kith_map::BTreeMap<PublicKey, (Role, Vec<Json>, bool)> = Default::default();
        for (log, device, role) in space.authority.members() {
            let entry = by_identity.entry(device.identity).or_insert((role, Vec::new(), false));
            entry.0 = entry.0.max(role);
            entry.2 |= Some(*log) == own;
            let len = space.log(log).map_or(0, |(_, log)| log.tip.len);
            entry.1.push(json!({
                "peer": log.peer_id(),
                "agent": crate::version::Agent::of(&log.0).to_string(),
                "entries": len,
                "forked": space.forks.contains_key(log),
            }));
        }
        let items: Vec<Json> = by_identity
            .into_iter()
            .map(|(identity, (role, devices, me))| {
                json!({ "identity": identity.did(), "role": role.name(), "devices": devices, "me": me })
            })
            .collect();
        json!({ "items": items })
    }

    fn invites(&self, number: u32) -> Json {
        let Some(space) = self.spaces.get(&number) else { return Json::Null };
        let items: Vec<Json> = space
            .authority
            .invites()
            .map(|(key, invite)| {
                let uses = space
                    .records
                    .values()
                    .filter(|record| matches!(record, Record::Grant(grant) if matches!(&grant.subject, Subject::Joined { invite, .. } if invite == key)))
                    .count();
                let mut item = json!({ "id": key.id(), "role": invite.role.name(), "uses": uses });
                if let (Some(issued), Some(members)) = (space.issued.get(key), item.as_object_mut()) {
                    members.insert("url".into(), issued.url.clone().into());
                    members.insert("app".into(), issued.app.clone().into());
                    members.insert("created".into(), issued.created.into());
                }
                item
            })
            .collect();
        json!({ "items": items })
    }
}
