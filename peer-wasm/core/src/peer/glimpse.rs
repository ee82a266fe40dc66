//! Showing a newcomer what stands at a place before the logs have come: the entries whose writes stand there.

use super::links::Link;
use super::past::entries_at;
use super::presence::Budget;
use super::read::said_ops;
use super::serve::QUEUE;
use super::space::Space;
use super::{Done, Job, LinkId, Peer};
use crate::authority::Record;
use crate::document::{self, ViewRow};
use crate::entry::Verified;
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::records::{Grant, Subject};
use crate::rows::{KeyRange, Table};
use crate::version::Agent;
use crate::wire::{Frame, Glance, Glimpse, MAX_GLIMPSED, MAX_SEEN};
use kith_map::BTreeSet;
use std::collections::VecDeque;

/// The most questions that wait on one link.
const MAX_WAITING: usize = 16;
/// A question counts as so many frames of presence.
const COST: u64 = 2;
/// The most bytes of entries in an answer; one entry always fits, …
const PAGE: usize = 256 << 10;
/// … the most entries, …
const MAX_ENTRIES: usize = 192;
/// … and the most places looked at.
const MAX_PLACES: usize = 4_096;
/// Places read together, and entries.
const STRIDE: usize = 256;
const AT_ONCE: usize = 8;

/// The questions of one link about a space.
#[derive(Default)]
pub(super) struct Glances {
    waiting: VecDeque<Glance>,
    is_showing: bool,
    budget: Budget,
}

/// What an answer consists of.
#[derive(Default)]
struct Found {
    seen: Vec<(Vec<u8>, Vec<u8>)>,
    /// Log and place of each entry, with the key of the first place that needs it.
    entries: Vec<((u32, u64), Vec<u8>)>,
    known: BTreeSet<(u32, u64)>,
    next: Option<Vec<u8>>,
    /// The log looked for last.
    last: Option<(Agent, u32)>,
}

impl Peer {
    /// Someone asks what stands at a place. Only members are answered.
    pub(super) fn glanced(&mut self, id: LinkId, number: u32, glance: Glance) {
        let now = self.now;
        let Some(session) = self.session(id, number).filter(|session| session.member) else {
            return self.refuse_from(id, "not-a-member");
        };
        session.window.shrink();
        if !session.glances.budget.take_as(COST, now) {
            return self.refuse_from(id, "glance-flood");
        }
        if session.glances.waiting.len() >= MAX_WAITING {
            return self.strike(id, "glance-flood");
        }
        session.glances.waiting.push_back(glance);
        self.show_next(id, number);
    }

    /// Answers the next question, if there is room. Answers may overtake entries that have not been read yet.
    pub(super) fn show_next(&mut self, id: LinkId, number: u32) {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.queued < 2 * QUEUE) else { return };
        let Some(Glances { waiting, is_showing, .. }) = link.sessions.get_mut(&number).map(|s| &mut s.glances) else {
            return;
        };
        if !waiting.is_empty() && !*is_showing {
            *is_showing = true;
            self.start_later(Job::Glimpse(id, number));
        }
    }

    pub(super) fn glimpse(&mut self, id: LinkId, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        let session = |link: &Link| link.sessions.get(&number).map(|session| session.glances.waiting.front().cloned());
        let (Some(space), Some(Some(Some(glance)))) = (self.spaces.get(&number), self.links.get(&id).map(session))
        else {
            return Ok(Done::Nothing);
        };
        let mut found = look(lens, space, &glance)?;
        let entries = read(lens, space, &mut found)?;
        let authors: BTreeSet<PublicKey> = entries.iter().map(|entry| entry.header.log).collect();
        let proofs: BTreeSet<(u32, u64)> = authors.iter().flat_map(|log| proofs(space, log)).collect();
        let mut shown = entries_at(lens, number, &proofs.into_iter().collect::<Vec<_>>())?;
        // An invite comes before who followed it, and whose device it was before both.
        kith_map::sort_by_key(&mut shown, |(place, _)| match space.records.get(place) {
            Some(Record::Grant(grant)) => 1 + u8::from(is_joined(grant)),
            _ => 0,
        });
        shown.truncate(MAX_GLIMPSED.saturating_sub(entries.len()));
        let (key, base) = (space.row.key, document::view_prefix(number).len());
        let cut = |key: Vec<u8>| key.get(base..).unwrap_or_default().to_vec();
        let raw = |entry: &Verified| entry.raw().to_vec();
        let frame = Glimpse {
            number: glance.number,
            next: found.next.map(cut).unwrap_or_default(),
            seen: found.seen.into_iter().map(|(from, to)| (cut(from), end(cut(to)))).collect(),
            entries: shown.iter().map(|(_, entry)| raw(entry)).chain(entries.iter().map(raw)).collect(),
        };
        if let Some(session) = self.session(id, number) {
            session.glances.waiting.pop_front();
            session.glances.is_showing = false;
        }
        self.send(id, &Frame::Glimpse(key, frame));
        self.show_next(id, number);
        Ok(Done::Nothing)
    }
}

/// The end of a range as others are told it: behind all names where it is behind all places.
fn end(key: Vec<u8>) -> Vec<u8> {
    if key.is_empty() { vec![0xff] } else { key }
}

fn is_joined(grant: &Grant) -> bool {
    matches!(grant.subject, Subject::Joined { .. })
}

/// Where the entries stand that let a log's author write.
fn proofs(space: &Space, log: &PublicKey) -> Vec<(u32, u64)> {
    let Some((number, _)) = space.log(log) else { return Vec::new() };
    let mut places = vec![(number, 0)];
    for (place, record) in space.records.range((number, 0)..=(number, u64::MAX)) {
        let Record::Grant(Grant { subject: Subject::Joined { invite, .. }, .. }) = record else { continue };
        places.push(*place);
        for (place, record) in space.records.iter() {
            if matches!(record, Record::Grant(Grant { subject: Subject::Invite { key }, .. }) if key == invite) {
                places.extend([(place.0, 0), *place]);
            }
        }
    }
    places
}

/// Finds what stands at and below a place, and above it, as far as an answer goes.
fn look(lens: &Lens<'_>, space: &Space, glance: &Glance) -> Result<Found, Miss> {
    let mut found = Found::default();
    for above in glance.path.ancestors().filter(|above| !above.is_empty()) {
        let key = document::view_key(space.number, &above);
        if let Some(row) = lens.get(Table::View, &key)?.and_then(ViewRow::decode) {
            found.note(space, &key, &row);
            found.seen.push((key.clone(), after(&key)));
        }
    }
    let top = document::view_key(space.number, &glance.path);
    let end = KeyRange::prefix(&top).end;
    let mut at = top.clone().max([&document::view_prefix(space.number)[..], &glance.from].concat());
    let (mut start, mut places) = (at.clone(), 0);
    let mut child: (Vec<u8>, u64) = (Vec::new(), 0);
    let limit = if glance.each == 0 { STRIDE } else { (glance.each as usize).saturating_add(1).min(STRIDE) };
    loop {
        let rows = lens.scan(Table::View, &KeyRange { start: at.clone(), end: end.clone() }, limit, false)?;
        let mut jumps = false;
        for (key, value) in &rows {
            let row = ViewRow::decode(value).unwrap_or_default();
            places += 1;
            if places > MAX_PLACES || found.seen.len() + 1 >= MAX_SEEN || !found.note(space, key, &row) {
                found.seen.push((start, key.clone()));
                found.next = Some(key.clone());
                return Ok(found);
            }
            at = after(key);
            let name = key.get(top.len()..).and_then(|below| below.split_inclusive(|byte| *byte == 0).next());
            let Some(name) = name.filter(|_| glance.each > 0) else { continue };
            if child.0 != name {
                child = (name.to_vec(), 0);
            }
            child.1 += 1;
            if child.1 >= glance.each {
                found.seen.push((start, at));
                at = KeyRange::prefix(&[&top[..], name].concat()).end;
                start = at.clone();
                jumps = true;
                break;
            }
        }
        if !jumps && rows.len() < limit {
            found.seen.push((start, end));
            return Ok(found);
        }
    }
}

/// Reads as many of the entries as fit, and cuts what is seen to them.
fn read(lens: &Lens<'_>, space: &Space, found: &mut Found) -> Result<Vec<Verified>, Miss> {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    let mut cut: Option<Vec<u8>> = None;
    'pages: for some in found.entries.chunks(AT_ONCE) {
        let mut places: Vec<(u32, u64)> = some.iter().map(|(place, _)| *place).collect();
        kith_map::sort(&mut places);
        let mut read = entries_at(lens, space.number, &places)?;
        for (place, key) in some {
            let Some(at) = read.iter().position(|(at, _)| at == place) else { continue };
            let (_, entry) = read.swap_remove(at);
            if bytes > 0 && bytes + entry.raw().len() > PAGE {
                cut = Some(key.clone());
                break 'pages;
            }
            bytes += entry.raw().len();
            // Within a block a signature may be missing; alone such an entry proves nothing. Nor does one show where what
            // it says stands now if some of that was moved.
            let is_moved = |op: &document::Op| space.moves.shown(&op.path) != op.path;
            let moved = !space.moves.is_empty()
                && said_ops(space, &entry).is_some_and(|ops| ops.list.iter().flatten().any(is_moved));
            if !moved && entry.is_signed() {
                entries.push(entry);
            }
        }
    }
    if let Some(cut) = cut {
        found.seen.retain(|(from, _)| *from < cut);
        if let Some((_, to)) = found.seen.last_mut() {
            *to = cut.clone().min(std::mem::take(to));
        }
        found.next = Some(cut);
    }
    Ok(entries)
}

fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

impl Found {
    /// Notes the entry that a place's last write stands in; false if that is one too many. Values of kinds are made of many entries
    /// and wait for their logs.
    fn note(&mut self, space: &Space, key: &[u8], row: &ViewRow) -> bool {
        let base = document::view_prefix(space.number).len();
        let is_reserved = key.get(base) == Some(&b'$');
        let Some(register) = row.register.as_ref().filter(|register| register.leaf.tag().is_none() && !is_reserved)
        else {
            return true;
        };
        let log = match self.last {
            Some((agent, log)) if agent == register.agent => log,
            _ => {
                let Some(at) = space.logs.iter().position(|log| Agent::of(&log.key.0) == register.agent) else {
                    return true;
                };
                self.last = Some((register.agent, at as u32));
                at as u32
            }
        };
        let place = (log, register.seq);
        if space.logs.get(log as usize).is_none_or(|log| log.durable <= register.seq) || self.known.contains(&place) {
            return true;
        }
        if self.entries.len() >= MAX_ENTRIES {
            return false;
        }
        self.known.insert(place);
        self.entries.push((place, key.to_vec()));
        true
    }
}
