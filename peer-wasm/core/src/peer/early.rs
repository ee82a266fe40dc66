//! What comes before the logs it stands in: the key of a space, and what is on the screen.
//!
//! An invite's grant and wrapped key stand at the end of the inviter's log, where the newcomer has to read everything else first.
//! So whoever finds a newcomer's right to be there proved gives it the keys over the link, wrapped to the key its
//! device names. Nobody has to be trusted for that: entries name their key by its commitment, and a key is taken only
//! once a signed entry of the space names it.
//!
//! Logs come in order from their beginning, so what a page shows may come last. Where much of a space is still on its way, members
//! are asked for the entries whose writes stand at a place that is read, listed or followed. Each entry is signed and
//! opens alone. What it says is laid over the tree in memory, where reads see it; it is stored and counts as being here only
//! once its log has come. When the log has come that far, or nobody says any more that it goes that far, what came early goes.

use super::links::Link;
use super::space::Space;
use super::{LinkId, Peer};
use crate::api::{ListQuery, Request, RequestId, Target};
use crate::epoch::{EpochId, EpochKey, MAX_KEYS, Wrap};
use crate::path::Path;
use crate::wire::{Frame, Glance, Glimpse};

/// Fewer entries than this are there soon enough.
const MANY: u64 = 16;
/// How long a read waits for an answer, in milliseconds, …
pub(super) const GLANCE: u64 = 1_000;
/// … and after what time the same is asked again, if the space is still arriving.
const AGAIN: u64 = 10_000;
/// The most questions that are remembered, …
const MAX_GLANCES: usize = 64;
/// … that are open at a time on one link, …
const MAX_OPEN: usize = 8;
/// … and parts of an answer that are asked for one after the other.
const MAX_PARTS: u32 = 4;
/// Of each child of a listing so many places are asked for.
const EACH: u64 = 64;
/// Who leaves a question open is not asked others for this long, in milliseconds.
const OVERDUE: u64 = 60_000;

/// A log this long says no more than who writes it and why it may.
const NEW: u64 = 2;

impl Peer {
    /// Gives the space's keys to a member that has only just shown its right to be there.
    pub(super) fn hand_keys(&mut self, id: LinkId, number: u32) {
        let (Some(link), Some(space)) = (self.links.get(&id), self.spaces.get(&number)) else { return };
        let peer = link.peer;
        if space.log(&peer).is_none_or(|(_, log)| log.tip.len > NEW) {
            return;
        }
        let Some(to) = space.authority.device(&peer).map(|device| device.wrap_key) else { return };
        let (key, epochs) = (space.row.key, space.row.epochs.clone());
        let newest = epochs.iter().rev().take(MAX_KEYS);
        let wraps: Vec<Wrap> = newest.filter_map(|epoch| Wrap::new(epoch, &key, to, &mut self.entropy)).collect();
        self.send(id, &Frame::Keys(key, wraps));
    }

    /// Keys have come for a space that is being joined.
    pub(super) fn keys_told(&mut self, number: u32, wraps: &[Wrap]) {
        let (Some(space), Some(keys)) = (self.spaces.get_mut(&number), &self.keys) else { return };
        if space.row.joined || space.row.ticket.is_none() {
            return;
        }
        for wrap in wraps {
            if space.early.len() >= MAX_KEYS {
                return;
            }
            if let Some(key) = wrap.open(&space.row.key, &keys.wrap).filter(|key| !space.early.contains(key)) {
                space.early.push(key);
            }
        }
    }
}

/// Where somebody looks: the place, of each child how much, and from which key on.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Look {
    path: Path,
    each: u64,
    from: Vec<u8>,
}

impl Look {
    /// At a value.
    pub(super) fn value(path: &Path) -> Look {
        Look { path: path.clone(), each: 0, from: Vec::new() }
    }

    /// At a page of a listing.
    pub(super) fn listing(path: &Path, query: &ListQuery) -> Look {
        let start = query.start.as_deref().and_then(|name| path.child(name).ok());
        Look { path: path.clone(), each: EACH, from: start.map(|start| start.to_key()).unwrap_or_default() }
    }
}

/// A question that was asked.
pub(super) struct Asked {
    space: u32,
    look: Look,
    link: LinkId,
    at: u64,
    parts: u32,
    /// Nothing more is expected.
    answered: bool,
}

impl Asked {
    /// Whether an answer may come any moment.
    fn is_open(&self, now: u64) -> bool {
        !self.answered && now < self.at + GLANCE
    }
}

impl Peer {
    /// Whether a space is still arriving: much of it is on its way, or what came early is not here yet.
    pub(super) fn is_arriving(&self, number: u32) -> bool {
        self.early.count(number) > 0 || self.lacking(number) >= MANY
    }

    /// How many entries of a space are on their way, at least. While links change nobody has said how many, but what came early is among them.
    pub(super) fn arriving(&self, number: u32) -> u64 {
        self.lacking(number).max(self.early.count(number))
    }

    /// Whether a read waits for the answer of those who have what it is about.
    pub(super) fn waits(&mut self, id: RequestId, request: &Request, number: u32, look: &Look) -> bool {
        let awaited = self.glance(number, look);
        self.hold_read(id, request, awaited)
    }

    /// The same for somebody who follows a place: nobody waits, the answer is a change.
    pub(super) fn glance_at(&mut self, number: u32, target: &Target) {
        match target {
            Target::Value { path, .. } => drop(self.glance(number, &Look::value(path))),
            Target::List { prefix, query, .. } => drop(self.glance(number, &Look::listing(prefix, query))),
            _ => {}
        }
    }

    /// Asks for what is followed in a space, now that more of it is on its way.
    pub(super) fn glance_all(&mut self, number: u32) {
        if self.lacking(number) >= MANY {
            let followed = self.subscriptions.values().filter(|subscription| subscription.space == number);
            for target in followed.map(|subscription| subscription.target.clone()).collect::<Vec<_>>() {
                self.glance_at(number, &target);
            }
        }
    }

    /// Asks for what stands at a place, if much is on its way. Whether an answer may come any moment.
    fn glance(&mut self, number: u32, look: &Look) -> bool {
        let now = self.now;
        if look.path.is_reserved() || self.is_careful() || self.lacking(number) < MANY {
            return false;
        }
        let asked = &mut self.early.asked;
        asked.retain(|_, asked| now < asked.at + if asked.answered { AGAIN } else { OVERDUE });
        if let Some(asked) = asked.values().find(|asked| asked.space == number && asked.look == *look) {
            return asked.is_open(now);
        }
        let (asked, links) = (&self.early.asked, &self.links);
        let of = |link: LinkId| asked.values().filter(move |asked| asked.link == link && !asked.answered);
        let has_room = |link: LinkId| of(link).count() < MAX_OPEN && of(link).all(|asked| asked.is_open(now));
        let links = links.iter().filter(|(id, link)| self.may_know(link, number) && has_room(**id));
        let Some(link) = links.map(|(id, _)| *id).max_by_key(|id| self.lacking_from(*id, number)) else { return false };
        if self.early.asked.len() >= MAX_GLANCES {
            self.early.asked.pop_first();
        }
        let question = self.number();
        self.early
            .asked
            .insert(question, Asked { space: number, look: look.clone(), link, at: now, parts: 0, answered: false });
        self.say_glance(question, look.from.clone());
        true
    }

    /// Whether the other side may know what is looked at here: a member, or who sent the invite.
    pub(super) fn may_know(&self, link: &Link, number: u32) -> bool {
        let ticket = self.space_rows.get(&number).and_then(|row| row.ticket.as_ref());
        link.shares(number) || ticket.is_some_and(|ticket| ticket.inviter == link.peer)
    }

    fn say_glance(&mut self, question: u64, from: Vec<u8>) {
        let Some(Asked { space, look, link, .. }) = self.early.asked.get(&question) else { return };
        let Some(row) = self.space_rows.get(space) else { return };
        let glance = Glance { number: question, path: look.path.clone(), each: look.each, from };
        let (link, frame) = (*link, Frame::Glance(row.key, glance));
        self.send(link, &frame);
    }

    /// Nothing that was asked over this link will be answered.
    pub(super) fn forget_questions(&mut self, link: LinkId) {
        self.early.asked.retain(|_, asked| asked.link != link);
        self.try_reads();
    }

    /// An answer has come.
    pub(super) fn glimpsed(&mut self, id: LinkId, number: u32, glimpse: Glimpse) {
        let Some(asked) = self.early.asked.get_mut(&glimpse.number) else {
            return self.refuse_from(id, "unasked-glimpse");
        };
        if asked.link != id || asked.space != number || asked.answered {
            return self.refuse_from(id, "unasked-glimpse");
        }
        asked.parts += 1;
        asked.at = self.now;
        let path = asked.look.path.clone();
        let goes_on = !glimpse.next.is_empty() && asked.parts < MAX_PARTS;
        asked.answered = !goes_on;
        match self.early_items(id, number, &path, &glimpse) {
            Err(what) => return self.offence(id, what),
            Ok(said) => self.lay(number, said),
        }
        if goes_on && self.lacking(number) > 0 {
            self.say_glance(glimpse.number, glimpse.next);
        }
        self.changed(number, &[path]);
        self.try_reads();
    }
}

impl Space {
    /// The key with this name among those that came early.
    pub(super) fn early_key(&self, id: &EpochId) -> Option<&EpochKey> {
        self.early.iter().find(|key| key.id() == *id)
    }
}
