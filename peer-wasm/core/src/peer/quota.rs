//! Quotas: how much of what others write is taken in a day without asking the user.
//!
//! What each log has added today is kept in the row of the log, which is written with its entries anyway. Past the
//! quota a log is held, by name, until the next day or until the user allows more. What devices of the same identity
//! write has no quota. A link that brings nothing but what is refused is closed.

use super::commit::{Effect, Unit};
use super::prepare::Prepared;
use super::space::{Log, Space};
use super::{Done, LinkId, Peer, rows};
use crate::api::{Refusal, Reply, RequestId, Role, SpaceRef};
use crate::codec::{CodecError, Reader, Writer};
use crate::entry::Verified;
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::rows::{Batch, Durability, Table};
use serde_json::{Value as Json, json};

/// A day, in milliseconds.
const DAY: u64 = 86_400_000;
/// On the day a log is first seen, its history comes: so many times the quota is taken then.
const FIRST_DAY: u64 = 16;
/// The most bytes that can be allowed at once.
pub const MAX_ALLOWED: u64 = 1 << 40;
/// Bytes of entries a link may bring that are not taken, …
const MAX_USELESS: u64 = 32 << 20;
/// … over this time, in milliseconds.
const USELESS_TIME: u64 = 60_000;

/// What one author's log may add to a space in a day without the user's consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of entries.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for Quota {
    fn default() -> Quota {
        Quota { bytes: 64 << 20, entries: 100_000 }
    }
}

/// What a log has added, as kept with it. Days are counted from 1970, by this peer's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// The day it was first seen; 0 if that is not known any more.
    pub(super) first: u64,
    pub(super) day: u64,
    pub(super) bytes: u64,
    pub(super) entries: u64,
    /// Bytes the user has allowed beyond the quota, and that are not used up.
    pub(super) allowed: u64,
}

impl Used {
    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.number(self.first).number(self.day).number(self.bytes).number(self.entries).number(self.allowed);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Used, CodecError> {
        let [first, day, bytes, entries, allowed] =
            [reader.number()?, reader.number()?, reader.number()?, reader.number()?, reader.number()?];
        Ok(Used { first, day, bytes, entries, allowed })
    }

    fn on(mut self, day: u64) -> Used {
        if self.day != day {
            (self.day, self.bytes, self.entries) = (day, 0, 0);
        }
        self
    }

    /// What is left of the quota today, without what the user allowed.
    fn left(&self, quota: &Quota) -> (u64, u64) {
        let times = if self.first == self.day && self.first > 0 { FIRST_DAY } else { 1 };
        let left = |limit: u64, used: u64| limit.saturating_mul(times).saturating_sub(used);
        (left(quota.bytes, self.bytes), left(quota.entries, self.entries))
    }

    /// Counts an entry; false if there is no room for it.
    fn add(&mut self, quota: &Quota, bytes: u64) -> bool {
        let (left_bytes, left_entries) = self.left(quota);
        let beyond = if left_entries == 0 { bytes.max(1) } else { bytes.saturating_sub(left_bytes) };
        if beyond > self.allowed {
            return false;
        }
        self.allowed -= beyond;
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries = self.entries.saturating_add(1);
        true
    }
}

/// What a link has brought for nothing lately.
#[derive(Default)]
pub(super) struct Useless {
    since: u64,
    bytes: u64,
}

impl Peer {
    fn today(&self) -> u64 {
        self.now / DAY
    }

    /// Whether a log has no quota: the founding, and what this identity's devices write.
    fn is_free(&self, space: &Space, log: &PublicKey) -> bool {
        let same =
            |identity| space.authority.members().any(|(key, device, _)| key == log && device.identity == identity);
        *log == space.row.key || Some(*log) == self.device() || self.identity().is_some_and(same)
    }

    /// Whether nothing more of a log is taken today.
    pub(super) fn is_over_quota(&self, space: &Space, log: &PublicKey) -> bool {
        space.log(log).is_some_and(|(_, log)| log.over == Some(self.today()))
    }

    /// How many of these entries there is room for, and what is used then.
    pub(super) fn within_quota(&self, space: &Space, log: &PublicKey, entries: &[Verified]) -> (usize, Used) {
        let today = self.today();
        let known = space.log(log).map(|(_, log)| log).filter(|log| log.tip.len > 0);
        let mut used = known.map_or(Used { first: today, ..Used::default() }, |log| log.used).on(today);
        let quota = &self.config.quota;
        let count: usize =
            entries.iter().map_while(|entry| used.add(quota, entry.raw().len() as u64).then_some(1)).sum();
        if count < entries.len() && self.is_free(space, log) { (entries.len(), used) } else { (count, used) }
    }

    /// Notes that a log is over its quota.
    pub(super) fn note_over_quota(&mut self, number: u32, log: &PublicKey) {
        let today = self.today();
        let Some(space) = self.spaces.get_mut(&number) else { return };
        let Some(log) = space.by_key.get(log).copied() else { return };
        if let Some(log) = space.log_mut(log) {
            log.over = Some(today);
        }
        self.status_changed();
    }

    /// What was held yesterday is asked for again.
    pub(super) fn begin_day(&mut self) {
        let today = self.today();
        if std::mem::replace(&mut self.day, today) == today {
            return;
        }
        for number in self.spaces.keys().copied().collect::<Vec<_>>() {
            self.ask_everyone(number);
        }
    }

    /// Counts what a link brought that is not taken in; too much of it ends the link.
    pub(super) fn note_useless(&mut self, id: LinkId, number: u32, prepared: &Prepared) {
        let size = |entries: &mut dyn Iterator<Item = usize>| entries.sum::<usize>() as u64;
        let brought = self.inboxes.front(number, id).map_or(0, |all| size(&mut all.iter().map(|e| e.raw().len())));
        let taken = size(&mut prepared.runs.iter().flat_map(|run| &run.entries).map(|entry| entry.raw().len()));
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        if now >= link.useless.since + USELESS_TIME {
            link.useless = Useless { since: now, bytes: 0 };
        }
        link.useless.bytes += brought.saturating_sub(taken);
        if link.useless.bytes > MAX_USELESS {
            self.offence(id, "useless");
        }
    }

    /// `POST /~/<space>/$quota`: takes so many bytes more of what an author writes.
    pub(super) fn allow(
        &mut self,
        id: RequestId,
        space: &SpaceRef,
        author: &str,
        bytes: u64,
        lens: &Lens<'_>,
    ) -> Result<Done, Miss> {
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let number = match self.readable(space, lens)? {
            Ok(number) => number,
            Err(refusal) => return refuse(refusal),
        };
        if bytes > MAX_ALLOWED {
            return refuse(Refusal::Malformed(format!("At most {MAX_ALLOWED} bytes can be allowed at once.")));
        }
        let today = self.today();
        let Some(space) = self.spaces.get_mut(&number) else { return refuse(Refusal::NoSuchSpace) };
        let is_author = |log: &PublicKey, identity: &PublicKey| log.peer_id() == author || identity.did() == author;
        let logs: Vec<PublicKey> = space
            .authority
            .members()
            .filter(|(log, device, _)| is_author(log, &device.identity))
            .map(|(log, ..)| *log)
            .collect();
        let mut batch = Batch { durability: Durability::Strict, ..Batch::default() };
        for log in logs.iter().filter_map(|log| space.by_key.get(log).copied()).collect::<Vec<_>>() {
            let Some(state) = space.log_mut(log) else { continue };
            state.used = state.used.on(today);
            state.used.allowed = state.used.allowed.saturating_add(bytes);
            state.over = None;
            batch.puts.push((Table::Head, rows::head_key(number, log), state.row()));
        }
        if batch.puts.is_empty() {
            return refuse(Refusal::NotFound);
        }
        // Nobody is sending it any more: it was not taken. So it is asked for at once.
        for session in self.links.values_mut().filter_map(|link| link.sessions.get_mut(&number)) {
            session.asked.retain(|log, _| !logs.contains(log));
            session.held.retain(|log, _| !logs.contains(log));
        }
        self.status_changed();
        self.commits.ask_again.insert(number);
        let reply = Reply::Document(self.quotas(number));
        Ok(Done::Write(Unit { batch, effects: vec![Effect::Reply(id, reply)] }))
    }

    /// `GET /~/<space>/$quota`: the limits, and every log that has come near them or beyond.
    pub(super) fn quotas(&self, number: u32) -> Json {
        let Quota { bytes, entries } = self.config.quota;
        let items = self.spaces.get(&number).map(|space| self.held(number, space)).unwrap_or_default();
        json!({ "bytesPerDay": bytes, "entriesPerDay": entries, "held": items })
    }

    /// Logs of which no more is taken today, for people.
    pub(super) fn held(&self, number: u32, space: &Space) -> Vec<Json> {
        let today = self.today();
        let over = |log: &&Log| log.over == Some(today);
        let known = |log: &PublicKey| {
            let sessions = self.links.values().filter_map(|link| link.sessions.get(&number));
            sessions.filter_map(|session| session.theirs.get(log)).map(|(len, _)| *len).max().unwrap_or(0)
        };
        let describe = |log: &Log| {
            let device = space.authority.members().find(|(key, ..)| **key == log.key);
            json!({
                "log": log.key.peer_id(),
                "author": device.map(|(_, device, _)| device.identity.did()),
                "role": device.map(|(.., role)| Role::name(role)),
                "why": "over-quota",
                "bytes": log.used.bytes,
                "entries": log.used.entries,
                "waiting": known(&log.key).saturating_sub(log.tip.len),
            })
        };
        space.logs.iter().filter(over).map(describe).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_end_a_day_and_begin_anew_the_next() {
        let quota = Quota { bytes: 1_000, entries: 5 };
        let mut used = Used { first: 1, day: 1, ..Used::default() }.on(2);
        assert_eq!((0..9).filter(|_| used.add(&quota, 300)).count(), 3);
        assert!(used.add(&quota, 100) && used.add(&quota, 0) && !used.add(&quota, 0));
        let mut used = used.on(3);
        assert_eq!((0..9).filter(|_| used.add(&quota, 1)).count(), 5);
    }

    #[test]
    fn what_is_allowed_is_used_once() {
        let quota = Quota { bytes: 1_000, entries: 5 };
        let mut used = Used { first: 1, day: 2, allowed: 500, ..Used::default() };
        assert_eq!((0..9).filter(|_| used.add(&quota, 300)).count(), 5);
        assert_eq!(used.allowed, 0);
        let mut used = Used { day: 3, allowed: 500, ..Used::default() };
        assert!(!used.add(&quota, 1_501) && used.add(&quota, 1_500) && !used.add(&quota, 1));
    }

    #[test]
    fn the_first_day_has_room_for_history() {
        let quota = Quota { bytes: 1_000, entries: 5 };
        let mut used = Used { first: 7, day: 7, ..Used::default() };
        assert_eq!((0..200).filter(|_| used.add(&quota, 10)).count(), 80);
    }
}
