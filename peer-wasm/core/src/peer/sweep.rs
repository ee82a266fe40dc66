//! Looking for what is to be redacted: parts written at and below a purged place before it was purged, and superseded.
//!
//! Every log is looked through once for all rules, from its beginning whenever a rule comes up, and goes on as it
//! grows. What is found goes into lists of redactions, many entries at a time; up to where each log has been looked
//! through is stored together with them.

use super::books::Books;
use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::read::open_ops;
use super::space::{READ_RUN, Space, read_entries};
use super::{Done, Job, Peer};
use crate::api::Role;
use crate::document::kind::Stamp;
use crate::document::moves::is_short;
use crate::document::redaction::{Bearing, MAX_TARGETS, Target, bearing_in};
use crate::document::{Opened, Ops};
use crate::entry::{Kind, MAX_BODY};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Durability};
use crate::version::{Agent, Version};

/// So many entries are worth a list of their own before a log is looked through to its end.
const ENOUGH: usize = 512;

impl Space {
    /// Whether there is anything to be redacted or looked for.
    pub(super) fn has_to_collect(&self) -> bool {
        self.gone.work > 0
            || self.gone.ended
            || self.gone.doubted
            || !self.gone.found.is_empty()
            || self.is_sweeping()
            || self.is_unsettled()
    }

    /// Whether logs have to be looked through for what was purged from this device.
    pub(super) fn is_sweeping(&self) -> bool {
        let mut logs = self.logs.iter().enumerate();
        logs.any(|(number, log)| self.gone.is_unswept(number as u32, log.applied))
    }

    /// How many things are still to be done until what was asked to be redacted is gone from this device.
    pub(super) fn collecting(&self) -> u64 {
        self.gone.work + self.gone.found.len() as u64 + u64::from(self.gone.searching) + u64::from(self.gone.ended)
    }

    /// Remembers that everything that stands at and below a place, written before `clock`, is to go. False if there is no
    /// room: only purges that have been seen to before may make it.
    pub(super) fn purge(&mut self, place: &Path, clock: u64) -> bool {
        let top = self.moves.origin(place);
        let (mut within, away) = self.moves.parts(&top);
        within.push(top);
        if !within.iter().all(is_short) || !self.gone.watch(within, away, clock) {
            return false;
        }
        let gone = &mut self.gone;
        gone.searching = true;
        gone.swept.clear();
        gone.looked.clear();
        gone.found.clear();
        true
    }

    /// The parts of an entry that may go and are not wanted: of what place, from when, and whether of a life that is over.
    pub(super) fn unwanted(
        &self,
        lens: &Lens<'_>,
        opened: &Opened,
        version: Version,
        is_unwanted: &dyn Fn(&Path, u64, bool) -> bool,
    ) -> Result<Vec<usize>, Miss> {
        let stamp = Stamp { clock: opened.clock, agent: version.agent, seq: version.seq };
        let mut parts = Vec::new();
        let mut missing = Ok(());
        for (part, op) in opened.list.iter().enumerate() {
            let Some(op) = op else { continue };
            if op.path.is_reserved() || !is_unwanted(&op.path, opened.clock, true) {
                continue;
            }
            match bearing_in(lens, self.number, None, op, stamp, self.gone.settled) {
                Ok(Bearing::Has) => {}
                Ok(bearing) if is_unwanted(&op.path, opened.clock, bearing == Bearing::Over) => parts.push(part),
                Ok(_) => {}
                Err(Miss) => missing = Err(Miss),
            }
        }
        missing.map(|()| parts)
    }
}

impl Peer {
    /// One step of looking through the logs of a space.
    pub(super) fn sweep(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let next = space.logs.iter().enumerate().find_map(|(log, state)| {
            let log = log as u32;
            space.gone.is_unswept(log, state.applied).then_some((log, state.applied))
        });
        let Some((log, end)) = next else { return self.ask_to_redact(number, lens) };
        if space.gone.found.len() >= ENOUGH {
            return self.ask_to_redact(number, lens);
        }
        let from = space.gone.looked.get(&log).copied().unwrap_or(0);
        let purged = |path: &Path, clock: u64, over: bool| {
            space.gone.watched(&space.moves.origin(path)).is_some_and(|until| over || clock < until)
        };
        let (read, mut found) = look(lens, space, log, from, end, &purged)?;
        if let Some(space) = self.spaces.get_mut(&number) {
            space.gone.looked.insert(log, read);
            space.gone.found.append(&mut found);
        }
        Ok(Done::WriteAndAgain(Unit::default()))
    }

    /// Writes what was found into a list that goes to everybody, and how far the logs have been looked through.
    fn ask_to_redact(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(space) = self.spaces.get_mut(&number) else { return Ok(Done::Nothing) };
        let done = !space.is_sweeping();
        if space.gone.found.is_empty() {
            let mut batch = Batch::default();
            if done && (space.gone.searching || space.gone.swept != space.gone.looked) {
                space.gone.searching = false;
                space.gone.swept = space.gone.looked.clone();
                space.gone.store(number, &mut batch);
                self.status_changed();
            }
            if !batch.is_empty() {
                return Ok(Done::WriteAndAgain(Unit { batch, effects: Vec::new() }));
            }
            return self.settle_checkpoints(number, lens);
        }
        if self.may(number, Role::Writer).is_err() {
            return Ok(Done::Nothing);
        }
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let Some(((own, _), epoch)) =
            self.device().and_then(|device| space.log(&device)).zip(space.row.epochs.last().cloned())
        else {
            return Ok(Done::Nothing);
        };
        let found = space.gone.found.clone();
        let lists = lists(&found);
        let mut books = Books::new(lens, number);
        books.want(found.iter().map(|target| (target.log, target.seq)))?;
        for target in &found {
            books.name(target)?;
        }
        // From here on nothing can be missing.
        let Some(mut space) = self.spaces.remove(&number) else { return Ok(Done::Nothing) };
        let mut draft = Draft::default();
        for list in lists {
            let ops = Ops { clock: self.hlc.now(self.now).0, id: String::new(), list: Vec::new() };
            self.author_redacting(&mut space, &mut draft, own, &epoch, &ops, &list);
        }
        if let Some(log) = space.log_mut(own) {
            log.applied = log.tip.len;
        }
        space.gone.found.clear();
        space.gone.swept = space.gone.looked.clone();
        space.gone.cursor = None;
        books.finish(&mut space.gone, &mut draft.batch);
        space.gone.store(number, &mut draft.batch);
        draft.batch.durability = Durability::Strict;
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        Ok(Done::Write(Unit { batch, effects: vec![Effect::Start(Job::Collect(number))] }))
    }
}

/// Looks through some entries of a log from `from` on for parts that may go and are not wanted. Gives the place up to
/// which it has looked, and what it found that no list names already.
pub(super) fn look(
    lens: &Lens<'_>,
    space: &Space,
    log: u32,
    from: u64,
    end: u64,
    is_unwanted: &dyn Fn(&Path, u64, bool) -> bool,
) -> Result<(u64, Vec<Target>), Miss> {
    let Some(key) = space.logs.get(log as usize).map(|log| log.key) else { return Ok((end, Vec::new())) };
    let entries = read_entries(lens, space, log, from..end, READ_RUN)?;
    let mut found = Vec::new();
    let mut missing = Ok(());
    for entry in entries.iter().filter(|entry| entry.header.kind == Kind::Op) {
        let Some(opened) = open_ops(space, entry) else { continue };
        let seq = entry.header.seq;
        match space.unwanted(lens, &opened, Version { agent: Agent::of(&key.0), seq }, is_unwanted) {
            Ok(parts) if parts.is_empty() => {}
            Ok(parts) => found.push(Target { log: key, seq, parts }),
            Err(Miss) => missing = Err(Miss),
        }
    }
    missing?;
    // What a list names already needs no other one.
    let mut books = Books::new(lens, space.number);
    books.want(found.iter().map(|target| (target.log, target.seq)))?;
    for target in &mut found {
        let named = books.named((target.log, target.seq))?;
        target.parts.retain(|part| !named.contains_key(part));
    }
    found.retain(|target| !target.parts.is_empty());
    // An entry that cannot be read is passed over.
    Ok((entries.last().map_or(end, |last| last.header.seq + 1), found))
}

/// Targets in lists, one for each part, the parts for one entry each.
fn lists(found: &[Target]) -> Vec<Vec<Vec<Target>>> {
    let mut entries: Vec<Vec<Vec<Target>>> = Vec::new();
    let mut bytes = 0;
    for target in found {
        let size = 48 + 3 * target.parts.len();
        bytes += size;
        match entries.last_mut().and_then(|lists| lists.last_mut()) {
            Some(list) if bytes < MAX_BODY / 2 && list.len() < MAX_TARGETS => list.push(target.clone()),
            _ => {
                bytes = size;
                entries.push(vec![vec![target.clone()]]);
            }
        }
    }
    entries
}
