//! Making invites and accepting them.

use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::rows::{self, IssuedRow, SpaceRow};
use super::space::Space;
use super::{Done, MAX_SPACES, Output, Peer};
use crate::api::{Refusal, Reply, RequestId, Role, SpaceRef};
use crate::entry::Kind;
use crate::epoch::Wrap;
use crate::invite::{MAX_APP, Ticket, invite_key, invite_wrap_key};
use crate::lens::{Lens, Miss};
use crate::records::{Device, Epoch, Grant};
use crate::rows::{Durability, Table};
use serde_json::{Value as Json, json};

/// How long a request to join waits for someone who has the data, in milliseconds.
const JOIN_PATIENCE: u64 = 20_000;
/// The most open invites of one space.
const MAX_INVITES: usize = 1000;

/// A request that is answered once its space is joined.
pub(super) struct WaitingJoin {
    id: RequestId,
    space: u32,
    until: u64,
}

impl WaitingJoin {
    /// When its patience is over.
    pub(super) fn until(&self) -> u64 {
        self.until
    }
}

impl Peer {
    pub(super) fn make_invite(
        &mut self,
        id: RequestId,
        space: &SpaceRef,
        role: Role,
        app: &str,
        origin: &str,
        lens: &Lens<'_>,
    ) -> Result<Done, Miss> {
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let number = match self.find(space, lens)? {
            Ok(number) => number,
            Err(refusal) => return refuse(refusal),
        };
        if let Err(refusal) = self.may(number, Role::Owner) {
            return refuse(refusal);
        }
        if number == self.me {
            return refuse(Refusal::Forbidden(
                "This space is yours alone. Create a space with POST /~/spaces to share things.".to_owned(),
            ));
        }
        if role >= Role::Owner {
            return refuse(Refusal::Malformed("An invite gives the role reader or writer.".to_owned()));
        }
        if !app.starts_with('/') || app.starts_with("//") || app.contains(['#', '\\']) || app.len() > MAX_APP {
            return refuse(Refusal::Malformed(
                "`app` is the path of the app the link opens, like `/board/`.".to_owned(),
            ));
        }
        if self.relays.is_empty() {
            return refuse(Refusal::Unavailable {
                detail: "No relay is known, so nobody could follow the invite. Open the app from its relay's address, \
                         or name a relay."
                    .to_owned(),
                retry_after: 5,
            });
        }
        let (Some(mut space), Some(device)) = (self.spaces.remove(&number), self.device()) else {
            return refuse(Refusal::NoSuchSpace);
        };
        let Some(own) = self.own_log(&space) else {
            self.spaces.insert(number, space);
            return refuse(Refusal::NoSuchSpace);
        };
        if space.authority.invites().count() >= MAX_INVITES {
            self.spaces.insert(number, space);
            return refuse(Refusal::TooMany(format!("A space has at most {MAX_INVITES} open invites.")));
        }
        let ticket = Ticket {
            space: space.row.key,
            secret: self.entropy.array(),
            role,
            inviter: device,
            relays: self.relays.iter().take(crate::records::MAX_RELAYS).cloned().collect(),
            app: app.to_owned(),
            name: space.row.name.clone(),
        };
        let invite = invite_key(&ticket.space, &ticket.secret).public();
        let to = invite_wrap_key(&ticket.space, &ticket.secret).public();
        let mut draft = Draft::default();
        self.author(&mut space, &mut draft, own, Kind::Grant, &Grant::invite(role, invite).encode());
        for epoch in space.row.epochs.clone() {
            let wraps = Wrap::new(&epoch, &ticket.space, to, &mut self.entropy).into_iter().collect();
            let record = Epoch { commit: epoch.commit(), wraps };
            self.author(&mut space, &mut draft, own, Kind::Epoch, &record.encode());
        }
        if let Some(log) = space.log_mut(own) {
            log.applied = log.tip.len;
        }
        space.judge();
        let url = ticket.link(origin);
        let issued =
            IssuedRow { role, secret: ticket.secret, app: app.to_owned(), created: self.now, url: url.clone() };
        draft.batch.puts.push((Table::Head, rows::issued_key(number, &invite), issued.encode()));
        draft.batch.durability = Durability::Strict;
        space.issued.insert(invite, issued);
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        let reply = Reply::Invited(json!({ "id": invite.id(), "url": url, "role": role.name(), "app": app }));
        let effects = vec![Effect::Authority(number), Effect::Reply(id, reply)];
        Ok(Done::Write(Unit { batch, effects }))
    }

    pub(super) fn join(&mut self, id: RequestId, invite: &str, lens: &Lens<'_>) -> Result<Done, Miss> {
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let ticket = match Ticket::parse(invite) {
            Ok(ticket) => ticket,
            Err(error) => return refuse(Refusal::Malformed(error.to_string())),
        };
        if let Some(number) = self.space_number(&ticket.space) {
            self.space(number, lens)?;
            if self.space_rows.get(&number).is_some_and(|row| row.archive) {
                return Ok(self.join_archive(id, number, ticket));
            }
            if self.space_rows.get(&number).is_some_and(|row| row.joined) {
                let reply = self.joined_reply(number, &ticket);
                return Ok(Done::Write(Unit::reply(id, reply)));
            }
            self.wait_for_join(id, number);
            self.dials.hurry();
            return Ok(Done::Write(Unit::default()));
        }
        if self.space_rows.len() >= MAX_SPACES {
            return refuse(Refusal::TooMany(format!("A peer takes part in at most {MAX_SPACES} spaces.")));
        }
        let Some(keys) = &self.keys else { return refuse(Refusal::NoSuchSpace) };
        let (identity, device) = (keys.identity.public(), keys.device.public());
        let record = Device::new(&keys.identity, &ticket.space, &device, keys.wrap.public(), self.relays.clone());
        let grant = Grant::join(ticket.role, identity, &ticket.key(), &ticket.space);

        let number = self.space_rows.last_key_value().map_or(0, |(last, _)| last + 1);
        let row = SpaceRow {
            key: ticket.space,
            epochs: Vec::new(),
            joined: false,
            archive: false,
            name: ticket.name.clone(),
            ticket: Some(ticket),
        };
        let mut space = Space::new(number, row);
        let mut draft = Draft::default();
        let own = space.number_of(device);
        self.author(&mut space, &mut draft, own, Kind::Device, &record.encode());
        self.author(&mut space, &mut draft, own, Kind::Grant, &grant.encode());
        if let Some(log) = space.log_mut(own) {
            log.applied = log.tip.len;
        }
        draft.space(&space);
        draft.batch.puts.push((Table::Head, rows::index_key(number), rows::encode_behind(&[])));
        draft.batch.durability = Durability::Strict;
        let batch = draft.finish(&mut space);
        self.space_rows.insert(number, space.row.clone());
        self.spaces.insert(number, space);
        self.wait_for_join(id, number);
        Ok(Done::Write(Unit { batch, effects: vec![Effect::Authority(number)] }))
    }

    /// Joins a space that is here as an archive: what it holds stays, and is there at once.
    fn join_archive(&mut self, id: RequestId, number: u32, ticket: Ticket) -> Done {
        let (Some(mut space), Some(keys), Some(device)) = (self.spaces.remove(&number), &self.keys, self.device())
        else {
            return Done::Write(Unit::reply(id, Reply::Refused(Refusal::NoSuchSpace)));
        };
        let key = space.row.key;
        let record = Device::new(&keys.identity, &key, &device, keys.wrap.public(), self.relays.clone());
        let grant = Grant::join(ticket.role, keys.identity.public(), &ticket.key(), &key);
        let mut draft = Draft::default();
        let own = space.number_of(device);
        if space.log(&device).is_some_and(|(_, log)| log.tip.len == 0) {
            self.author(&mut space, &mut draft, own, Kind::Device, &record.encode());
        }
        self.author(&mut space, &mut draft, own, Kind::Grant, &grant.encode());
        if let Some(log) = space.log_mut(own) {
            log.applied = log.tip.len;
        }
        space.row = SpaceRow { ticket: Some(ticket.clone()), archive: false, joined: false, ..space.row };
        space.judge();
        draft.space(&space);
        draft.batch.durability = Durability::Strict;
        self.space_rows.insert(number, space.row.clone());
        self.check_joined(&mut space, &mut draft);
        let batch = draft.finish(&mut space);
        let joined = space.row.joined;
        self.spaces.insert(number, space);
        let mut effects = vec![Effect::Authority(number)];
        if joined {
            effects.push(Effect::Reply(id, self.joined_reply(number, &ticket)));
        } else {
            self.wait_for_join(id, number);
        }
        Done::Write(Unit { batch, effects })
    }

    fn wait_for_join(&mut self, id: RequestId, space: u32) {
        self.joins.push(WaitingJoin { id, space, until: self.now + JOIN_PATIENCE });
        self.wake_by(self.now + JOIN_PATIENCE);
    }

    fn joined_reply(&self, number: u32, ticket: &Ticket) -> Reply {
        let role = self
            .spaces
            .get(&number)
            .and_then(|space| space.authority.role_of(&self.identity()?))
            .map_or(ticket.role.name(), Role::name);
        Reply::Joined(json!({ "space": ticket.space.id(), "role": role, "app": ticket.app, "name": ticket.name }))
    }

    /// Answers requests to join whose space is there now, or whose patience is over.
    pub(super) fn answer_joins(&mut self) {
        let waiting = std::mem::take(&mut self.joins);
        for join in waiting {
            let row = self.space_rows.get(&join.space);
            match row.and_then(|row| row.ticket.clone().filter(|_| row.joined)) {
                Some(ticket) => {
                    let reply = self.joined_reply(join.space, &ticket);
                    self.reply(join.id, reply);
                }
                None if self.now >= join.until => {
                    let detail = "Nobody who has this space's data is online right now. The invite is kept: joining \
                                  goes on by itself as soon as the person who sent it opens the app."
                        .to_owned();
                    self.reply(join.id, Reply::Refused(Refusal::Unavailable { detail, retry_after: 10 }));
                }
                None => self.joins.push(join),
            }
        }
    }

    /// Whether a space being joined has what it needs; if so it is joined from now on. Gives the row to write.
    pub(super) fn check_joined(&mut self, space: &mut Space, draft: &mut Draft) {
        // Who has the invite and a key that entries name has been let in, even if the grant itself is still on its way.
        if !space.row.joined && space.authority.is_founded() && !space.row.epochs.is_empty() {
            space.row.joined = true;
            draft.space(space);
            self.space_rows.insert(space.number, space.row.clone());
        }
    }

    /// Asks to be woken at this time or before.
    pub(super) fn wake_by(&mut self, at: u64) {
        if self.wake_at.is_none_or(|set| at < set) {
            self.wake_at = Some(at);
            self.outputs.push_back(Output::WakeAt(at));
        }
    }

    /// The space's own name in its tree, as JSON text, became this.
    pub(super) fn renamed(&mut self, space: &mut Space, text: &[u8], draft: &mut Draft) {
        if let Ok(Json::String(name)) = serde_json::from_slice(text)
            && name.len() <= crate::invite::MAX_NAME
            && name != space.row.name
        {
            space.row.name = name;
            draft.space(space);
            self.space_rows.insert(space.number, space.row.clone());
        }
    }
}
