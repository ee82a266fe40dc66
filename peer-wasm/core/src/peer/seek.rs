//! Parts that came without their bytes though no list of redactions names them: members are asked for them, now and
//! then, until someone has them. They are never taken for deleted.

use super::books::Books;
use super::boot::Draft;
use super::collect::{find, redacted_parts, rewrite};
use super::commit::{Effect, Unit};
use super::gone::{self, MAX_DOUBTS, Named, State};
use super::moves::lay;
use super::read::{open_ops, point_of, said_ops};
use super::rows;
use super::space::Space;
use super::{Done, Job, LinkId, Peer};
use crate::document::redaction::{Bearing, bearing_in};
use crate::entry::{Entry, EntryError, Verified};
use crate::history;
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::rows::{Batch, Table};
use crate::sealed::Body;
use crate::version::Agent;
use crate::wire::{Frame, MAX_ASKED};
use kith_map::BTreeMap;

/// How long to wait before asking again, in milliseconds.
const AGAIN: u64 = 60_000;
/// How long to wait if there is more to be asked, in milliseconds.
const SOON: u64 = 5_000;
/// Bytes of entries in one answer.
const ANSWER: usize = 512 << 10;
/// Questions and answers waiting to be looked at.
const MAX_WAITING: usize = 64;

/// Entries asked for by others, and entries that came in answer, each with a job of its own.
#[derive(Default)]
pub(super) struct Seeking {
    asked: Vec<(LinkId, u32, PublicKey, Vec<u64>)>,
    came: Vec<(u32, Entry)>,
}

impl Seeking {
    pub(super) fn clear(&mut self) {
        *self = Seeking::default();
    }
}

impl Peer {
    /// Where something does not count any more that may have taken the place of what went, begins to ask those members about it
    /// that have not been asked since.
    pub(super) fn doubt(&mut self) {
        let mut due = Vec::new();
        for (number, space) in self.spaces.iter_mut().filter(|(_, space)| !space.rebuilding) {
            let Some(asked) = &mut space.gone.doubts else { continue };
            let members = self.links.values().filter(|link| link.shares(*number)).map(|link| link.peer);
            let before = asked.len();
            for peer in members {
                if asked.len() < MAX_DOUBTS && !asked.contains(&peer) {
                    asked.push(peer);
                }
            }
            if asked.len() > before {
                (space.gone.doubted, space.gone.retold) = (true, None);
                due.push(*number);
            }
        }
        for number in due {
            self.start_later(Job::Collect(number));
        }
    }

    /// One step of noting all that went as to be asked about.
    pub(super) fn doubt_all(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        if space.gone.settled > 0 {
            // Where deletions have been forgotten it cannot be told what has bearing: all of it is in the entries.
            return Ok(self.rebuild(number));
        }
        let named = gone::named_after(lens, number, space.gone.retold.as_deref(), MAX_ASKED)?;
        let mut books = Books::new(lens, number);
        let gone = named.iter().filter(|(.., is_gone)| *is_gone).map(|(_, place, _)| *place);
        books.want(gone.clone())?;
        for place in gone {
            books.tell_again(place)?;
        }
        let mut batch = Batch::default();
        if let Some(space) = self.spaces.get_mut(&number) {
            let gone = &mut space.gone;
            gone.retold = named.last().map(|(key, ..)| key.clone());
            gone.doubted = gone.retold.is_some();
            gone.seek_at = 0;
            books.finish(gone, &mut batch);
            if !gone.doubted {
                gone.store(number, &mut batch);
            }
        }
        self.status_changed();
        Ok(Done::WriteAndAgain(Unit { batch, effects: Vec::<Effect>::new() }))
    }

    /// Begins to ask for what is missing, where it is time to.
    pub(super) fn seek_missing(&mut self) {
        self.doubt();
        let now = self.now;
        let mut due = Vec::new();
        for (number, space) in &mut self.spaces {
            if space.gone.missing + space.gone.holes + space.gone.told > 0 && now >= space.gone.seek_at {
                space.gone.seek_at = now + AGAIN;
                due.push(*number);
            }
        }
        for number in due {
            self.start_later(Job::Seek(number));
        }
    }

    /// Whether someone has more of a log of this space than we do: what is missing may be named there.
    pub(super) fn is_behind(&self, number: u32) -> bool {
        let Some(space) = self.spaces.get(&number) else { return true };
        let lacks = |log: &PublicKey, len: u64| {
            let len = space.cut(log).map_or(len, |cut| cut.min(len));
            space.log(log).map_or(0, |(_, log)| log.applied) < len
        };
        let mut sessions = self.links.values().filter_map(|link| link.sessions.get(&number));
        sessions.any(|session| session.member && session.theirs.iter().any(|(log, (len, _))| lacks(log, *len)))
    }

    /// Asks every member we are linked with.
    pub(super) fn seek(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        let is_behind = self.is_behind(number);
        let now = self.now;
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let holes = if space.gone.holes > 0 { gone::last_holes(lens, number, MAX_ASKED) } else { Ok(Vec::new()) };
        let looks = space.gone.missing > 0 && !is_behind;
        let sought = space.gone.sought.as_deref();
        let missing = if looks { gone::missing_after(lens, number, sought, MAX_ASKED)? } else { Vec::new() };
        let holes = holes?;
        let members: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.shares(number)).map(|(id, _)| *id).collect();
        let mut gone = space.gone.clone();
        let mut batch = Batch::default();
        // In a tree that is being made nothing supersedes anything yet.
        let told = if gone.told > 0 && !is_behind && !space.rebuilding && !members.is_empty() {
            gone::ask_about_told(lens, number, MAX_ASKED, &mut gone, &mut batch)?
        } else {
            Vec::new()
        };
        if !batch.is_empty() {
            gone.store(number, &mut batch);
        }
        if gone.told == 0 {
            // Whatever waited for that may go on.
            gone.retry_at = 0;
        }
        let key = space.row.key;
        let mut wanted: BTreeMap<PublicKey, Vec<u64>> = BTreeMap::new();
        for (log, seq) in missing.iter().map(|(_, place)| place).chain(&holes).chain(&told) {
            let places = wanted.entry(*log).or_default();
            if places.len() < MAX_ASKED && !places.contains(seq) {
                places.push(*seq);
            }
        }
        for places in wanted.values_mut() {
            kith_map::sort(places);
        }
        if let Some(space) = self.spaces.get_mut(&number) {
            space.gone = gone;
            space.gone.sought = missing.last().map(|(key, _)| key.clone());
            if space.gone.told > 0 {
                space.gone.seek_at = space.gone.seek_at.min(now + SOON);
            }
        }
        for id in members {
            for (log, places) in &wanted {
                self.send(id, &Frame::Whole(key, *log, places.clone()));
            }
        }
        Ok(Done::Write(Unit { batch, effects: Vec::new() }))
    }

    /// Someone misses parts of entries.
    pub(super) fn whole_asked(&mut self, id: LinkId, number: u32, log: PublicKey, places: Vec<u64>) {
        let shares = self.links.get(&id).is_some_and(|link| link.shares(number));
        if shares && self.seeking.asked.len() < MAX_WAITING {
            self.seeking.asked.push((id, number, log, places));
            self.start_later(Job::Whole(number));
        }
    }

    /// Answers with what is here.
    pub(super) fn answer_whole(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        let Some(at) = self.seeking.asked.iter().position(|(_, space, ..)| *space == number) else {
            return Ok(Done::Nothing);
        };
        let (id, _, log, places) =
            self.seeking.asked.get(at).cloned().unwrap_or((LinkId(0), 0, PublicKey([0; 32]), vec![]));
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let key = space.row.key;
        let durable = space.log(&log).map_or(0, |(_, log)| log.durable);
        let here = || places.iter().copied().filter(|seq| *seq < durable);
        let found = find(lens, space, here().map(|seq| (log, seq)))?;
        self.seeking.asked.swap_remove(at);
        let mut bytes = 0;
        let mut entries = Vec::new();
        for stored in found.entries.values().filter(|stored| !is_empty(&stored.entry)) {
            let size = stored.entry.raw().len() + 4;
            if bytes > 0 && bytes + size > ANSWER {
                break;
            }
            bytes += size;
            entries.push(stored.entry.raw().to_vec());
        }
        // What is in another segment goes with the next answer.
        if let Some((_, next)) = found.upto
            && self.seeking.asked.len() < MAX_WAITING
        {
            let rest: Vec<u64> = here().filter(|seq| *seq >= next).collect();
            self.seeking.asked.push((id, number, log, rest));
            self.start_later(Job::Whole(number));
        }
        if !entries.is_empty() {
            self.send(id, &Frame::Parts(key, entries));
        }
        Ok(Done::Nothing)
    }

    /// Entries came that may have what is missing here.
    pub(super) fn parts_came(&mut self, id: LinkId, number: u32, raw: &[Vec<u8>]) {
        for bytes in raw {
            match Entry::decode(bytes) {
                Ok(entry) if self.seeking.came.len() < MAX_WAITING => self.seeking.came.push((number, entry)),
                Ok(_) => {}
                Err(error @ (EntryError::KindNotSupported(_) | EntryError::VersionNotSupported(_))) => {
                    return self.strike(id, error.name());
                }
                Err(error) => return self.offence(id, error.name()),
            }
        }
        self.start_later(Job::Fill(number));
    }

    /// Parts that were taken for redacted because a list names them, and are not superseded by anything here: who asked
    /// for that was wrong, or lied; or what superseded them does not count any more.
    fn told_wrongly(&self, space: &Space, entry: &Entry, named: &Named, lens: &Lens<'_>) -> Result<Vec<usize>, Miss> {
        let gone = |part: &usize| named.get(part) == Some(&State::Gone);
        if !named.values().any(|state| *state == State::Gone) || space.rebuilding || self.is_behind(space.number) {
            return Ok(Vec::new());
        }
        let Some(entry) = Verified::from_store(entry.raw()).ok() else { return Ok(Vec::new()) };
        let Some(opened) = open_ops(space, &entry) else { return Ok(Vec::new()) };
        let stamp = point_of(&entry, &opened);
        let mut wrong = Vec::new();
        for (part, op) in opened.list.iter().enumerate().filter(|(part, _)| gone(part)) {
            let Some(op) = op else { continue };
            if bearing_in(lens, space.number, None, op, stamp, space.gone.settled)? == Bearing::Has {
                wrong.push(part);
            }
        }
        Ok(wrong)
    }

    /// Puts parts that came into their stored entry, if they are missing there, and into the tree.
    pub(super) fn fill(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        // The latest first: an entry that was lost is known by the one after it.
        let came = self.seeking.came.iter().enumerate().filter(|(_, (of, _))| *of == number);
        let latest = came.max_by_key(|(_, (_, entry))| (entry.header.log, entry.header.seq));
        let Some(at) = latest.map(|(at, _)| at) else { return Ok(Done::Nothing) };
        let Some((_, entry)) = self.seeking.came.get(at).cloned() else { return Ok(Done::Nothing) };
        let place = (entry.header.log, entry.header.seq);
        let mut books = Books::new(lens, number);
        let named = books.named(place)?.clone();
        if let Some(unit) = self.fill_hole(number, &entry, &named, lens)? {
            self.seeking.came.swap_remove(at);
            self.status_changed();
            return Ok(Done::WriteAndAgain(unit));
        }
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let mut missing = books.missing(place)?.clone();
        missing.extend(self.told_wrongly(space, &entry, &named, lens)?);
        let found = find(lens, space, std::iter::once(place))?;
        let stored = found.entries.get(&place).filter(|_| !missing.is_empty());
        let filled = stored.and_then(|stored| stored.entry.filled(&entry, |part| missing.contains(&part)));
        let (Some(stored), Some(filled)) = (stored, filled) else {
            self.seeking.came.swap_remove(at);
            return Ok(Done::WriteAndAgain(Unit::default()));
        };
        let version = Agent::of(&place.0.0);
        let opened = said_ops(space, &filled)
            .filter(|_| space.logs.get(stored.log as usize).is_some_and(|log| log.applied > place.1));
        let mut targets = opened.as_ref().map(|opened| opened.redactions.clone()).unwrap_or_default();
        targets.retain(|target| !space.is_pruned(&target.log, target.seq));
        // Only what would have counted, had it come with its bytes.
        let opened = opened.filter(|opened| space.counts(&place.0, place.1, opened.clock));
        let mut items = opened.map(|opened| opened.into_items(version, place.1)).unwrap_or_default();
        super::policy::allowed(&mut items, space.authority.role(&place.0));
        let laid = lay(lens, space, &items)?;
        books.want(targets.iter().map(|target| (target.log, target.seq)))?;
        for target in &targets {
            books.name(target)?;
        }
        // From here on nothing can be missing.
        let left = redacted_parts(&filled);
        for (part, state) in books.named(place)? {
            // A list named what is live: it is to be gone once it is superseded, and not before.
            if *state == State::Gone && !left.contains(part) {
                *state = State::Open;
            }
        }
        books.missing(place)?.retain(|part| left.contains(part));
        let mut draft = Draft::default();
        let (row, key) = row_of(&found, place, &filled, number);
        draft.batch.puts.push((row, key.0, key.1));
        draft.batch.puts.extend(history::rows(number, stored.log, &laid.items));
        draft.arrived(stored.log, place.1, 1);
        self.seeking.came.swap_remove(at);
        let Some(mut space) = self.spaces.remove(&number) else { return Ok(Done::Nothing) };
        let mut changed = space.relocated(laid.moved, &mut draft);
        changed.extend(space.merged(laid.applied, &mut draft));
        books.finish(&mut space.gone, &mut draft.batch);
        let batch = draft.finish(&mut space);
        let mut effects = vec![Effect::Changed(number, changed), Effect::Start(Job::Collect(number))];
        if space.rebuilding {
            effects.push(Effect::Start(Job::Replay(number)));
        }
        self.spaces.insert(number, space);
        self.status_changed();
        Ok(Done::WriteAndAgain(Unit { batch, effects }))
    }
}

/// Whether all of an entry's content is gone.
fn is_empty(entry: &Verified) -> bool {
    let parts = redacted_parts(entry).len();
    parts > 0 && Body::decode(entry.body()).is_ok_and(|body| body.parts().len() == parts)
}

/// The row that holds a stored entry, with the entry replaced.
fn row_of(
    found: &super::collect::Found,
    place: gone::Place,
    entry: &Verified,
    space: u32,
) -> (Table, (Vec<u8>, Vec<u8>)) {
    let stored = found.entries.get(&place);
    match stored.and_then(|stored| stored.segment.clone()) {
        Some(key) => {
            let row = found.segments.get(&key).map(Vec::as_slice).unwrap_or_default();
            let row = rewrite(row, &BTreeMap::from([(place.1, entry.clone())]));
            (Table::Segment, (key, row))
        }
        None => {
            let log = stored.map_or(0, |stored| stored.log);
            (Table::Tail, (rows::entry_key(space, log, place.1), entry.raw().to_vec()))
        }
    }
}
