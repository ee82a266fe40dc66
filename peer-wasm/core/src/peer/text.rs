//! Texts that are open, and putting together what has arrived for them.
//!
//! What comes in for a text is put into its inbox together with the entries, and looked at here: one place at a time, a
//! bounded number of rows and a bounded amount of work in each step. What waits for something stays in the inbox. An
//! open text is always what its rows say, those on their way to the store included: a step that changes it writes its
//! rows. So it may be dropped at any time, and is when a transaction fails.

use super::commit::{Effect, Unit};
use super::{Done, Job, Peer};
use crate::document::kind::{State, tag};
use crate::document::text::{self, ClientState, inner, outer};
use crate::document::{ViewRow, kind, view_key};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, KeyRange, Table};
use crate::version::{Agent, Version};
use kith_map::BTreeMap;
use kith_text::{Algorithm, Delta, OpenError, Outcome, ReadError, RowKey, Settled, TextDoc};
use std::collections::{BTreeSet, VecDeque};

/// Inbox rows looked at in one step.
const ROWS: usize = 16;
/// Operations looked at in one step, to make what was accepted visible.
const WORK: u64 = 20_000;
/// Memory for open texts, in bytes; beyond it those go that were not used for longest.
const MAX_OPEN: usize = 16 << 20;
/// Changes that are remembered of an open text, so that who follows it needs no history.
const MAX_RECENT: usize = 256;
/// The same, in code points put in and replacements.
const MAX_RECENT_SIZE: usize = 64 << 10;

/// A text by its space and place.
pub(super) type Which = (u32, Path);

/// Texts in memory, and those with something to be done.
#[derive(Default)]
pub(super) struct Texts {
    open: BTreeMap<Which, Open>,
    due: BTreeMap<Which, Due>,
    /// The last that something was done for.
    last: Option<Which>,
    uses: u64,
}

/// What is to be looked at in an inbox.
#[derive(Clone, Debug, Default)]
struct Due {
    /// All from this key on.
    all: Option<Vec<u8>>,
    /// What these authors wrote, each from an entry on.
    authors: BTreeMap<Agent, u64>,
}

/// A text in memory.
pub(super) struct Open {
    pub(super) doc: TextDoc,
    /// The last changes: the state before each, and what changed.
    recent: VecDeque<(Vec<Version>, Delta, usize)>,
    /// Inbox rows that were looked at and are still needed, by author: the last entry of each.
    kept: BTreeMap<Agent, BTreeSet<u64>>,
    /// Something can only be done with the history in memory.
    needs_history: bool,
    /// What waited when it was stored has not been offered again.
    is_fresh: bool,
    used: u64,
}

impl Texts {
    /// The text at a place, opened if it is not; an error if its rows are damaged.
    pub(super) fn open(
        &mut self,
        lens: &Lens<'_>,
        space: u32,
        path: &Path,
    ) -> Result<Result<&mut Open, OpenError>, Miss> {
        let which = (space, path.clone());
        if !self.open.contains_key(&which) {
            let doc = match text::open_text(lens, space, path)? {
                None => TextDoc::new(Algorithm::DiamondTypes1),
                Some(Ok(doc)) => doc,
                Some(Err(error)) => return Ok(Err(error)),
            };
            self.make_room();
            let (recent, kept) = (VecDeque::new(), BTreeMap::new());
            let open = Open { doc, recent, kept, needs_history: false, is_fresh: true, used: 0 };
            self.open.insert(which.clone(), open);
        }
        self.uses += 1;
        let uses = self.uses;
        let open = self.open.get_mut(&which).ok_or(Miss)?;
        open.used = uses;
        Ok(Ok(open))
    }

    /// An open text, with its history in memory.
    pub(super) fn open_whole(
        &mut self,
        lens: &Lens<'_>,
        space: u32,
        path: &Path,
    ) -> Result<Result<&mut Open, OpenError>, Miss> {
        let open = match self.open(lens, space, path)? {
            Ok(open) if open.doc.has_history() => return Ok(Ok(open)),
            Ok(open) => open,
            Err(error) => return Ok(Err(error)),
        };
        let rows = lens.scan(Table::View, &text::history_range(space, path), usize::MAX / 2, false)?;
        let loaded = open.doc.load_history(rows.iter().map(|(_, row)| row.as_slice()));
        Ok(loaded.map(|()| open))
    }

    fn make_room(&mut self) {
        let mut weight: usize = self.open.values().map(|open| open.doc.weight()).sum();
        while weight > MAX_OPEN {
            let Some((which, _)) = self.open.iter().min_by_key(|(_, open)| open.used) else { return };
            let which = which.clone();
            weight = weight.saturating_sub(self.open.remove(&which).map_or(0, |open| open.doc.weight()));
        }
    }

    /// A text in memory, if it is.
    pub(super) fn get_mut(&mut self, which: &Which) -> Option<&mut Open> {
        self.open.get_mut(which)
    }

    /// Drops a text whose memory is not what its rows say.
    pub(super) fn drop(&mut self, which: &Which) {
        self.open.remove(which);
    }

    /// Drops texts whose rows are deleted.
    pub(super) fn forget(&mut self, deleted: &[(Table, KeyRange)]) {
        for (table, range) in deleted {
            let gone = |(space, path): &Which| {
                *table == Table::View && range.contains(&text::text_key(*space, path, RowKey::Head))
            };
            self.open.retain(|which, _| !gone(which));
            self.due.retain(|which, _| !gone(which));
        }
    }

    /// Something is to be done for a text.
    pub(super) fn note(&mut self, which: Which, from: Option<(Agent, u64)>) {
        let all = text::inbox_range(which.0, &which.1).start;
        let due = self.due.entry(which).or_default();
        match from {
            None => due.all = Some(all),
            Some((agent, from)) => due.note(agent, from),
        }
    }

    /// Something accepted is to be made visible.
    pub(super) fn note_work(&mut self, which: Which) {
        self.due.entry(which).or_default();
    }

    /// Whether something is to be done for a text.
    pub(super) fn is_due(&self, which: &Which) -> bool {
        self.due.contains_key(which)
    }

    /// Whether something is to be done for any text of a space.
    fn is_busy(&self, space: u32) -> bool {
        self.due.keys().any(|(number, _)| *number == space)
    }

    /// The next in turn.
    fn next(&self) -> Option<Which> {
        let after = |last: &Which| self.due.keys().find(|which| *which > last);
        self.last.as_ref().and_then(after).or_else(|| self.due.keys().next()).cloned()
    }
}

impl Due {
    fn note(&mut self, agent: Agent, from: u64) {
        let known = self.authors.entry(agent).or_insert(from);
        *known = from.min(*known);
    }

    /// What is looked at next.
    fn range(&self, (space, path): &Which) -> Option<(Option<Agent>, KeyRange)> {
        if let Some(start) = &self.all {
            let range = KeyRange { start: start.clone(), ..text::inbox_range(*space, path) };
            return Some((None, range));
        }
        let (agent, from) = self.authors.first_key_value()?;
        Some((Some(*agent), text::inbox_of(*space, path, *agent, *from)))
    }

    /// What was looked at is done up to a row; all of it if there is none.
    fn looked(&mut self, of: Option<Agent>, upto: Option<&[u8]>) {
        match (of, upto) {
            (None, upto) => self.all = upto.map(<[u8]>::to_vec),
            (Some(agent), None) => drop(self.authors.remove(&agent)),
            (Some(agent), Some(key)) => {
                if let Some((_, last)) = text::inbox_author(key) {
                    self.authors.insert(agent, last);
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        self.all.is_none() && self.authors.iter().next().is_none()
    }
}

impl Open {
    /// What turns the text at a state into the one that is visible.
    pub(super) fn since(&self, at: &[Version]) -> Result<Delta, ReadError> {
        if self.is_at(at) {
            return Ok(Delta::default());
        }
        if let Some(from) = self.recent.iter().rposition(|(before, ..)| before == at) {
            let after = self.recent.iter().skip(from);
            return Ok(after.fold(Delta::default(), |all, (_, next, _)| all.then(next)));
        }
        self.doc.changes_since(&at.iter().copied().map(inner).collect::<Vec<_>>())
    }

    /// What turns what a client held into the visible text.
    pub(super) fn since_client(&self, held: &ClientState) -> Result<Delta, ReadError> {
        Ok(held.bridge.then(&self.since(&held.at)?))
    }

    fn is_at(&self, at: &[Version]) -> bool {
        self.doc.frontier().iter().copied().map(outer).eq(at.iter().copied())
    }

    /// Whether a state is one that was visible lately.
    pub(super) fn is_recent(&self, at: &[Version]) -> bool {
        self.is_at(at) || self.recent.iter().any(|(before, ..)| before == at)
    }

    /// The state the visible text is at.
    pub(super) fn frontier(&self) -> Vec<Version> {
        self.doc.frontier().iter().copied().map(outer).collect()
    }

    /// What reads show of it.
    pub(super) fn shown(&self) -> kind::text::Shown {
        kind::text::Shown { frontier: self.frontier(), chars: self.doc.len_chars() }
    }

    /// Puts what changed since `before` into rows, and remembers it for those who follow the text.
    /// Gives how many inbox rows are no longer needed.
    pub(super) fn store(&mut self, (space, path): &Which, before: Vec<Version>, batch: &mut Batch) -> usize {
        let edits = self.doc.take_changes();
        if !self.is_at(&before) {
            let size = |edits: &[kith_text::Edit]| {
                let one = |edit: &kith_text::Edit| match edit {
                    kith_text::Edit::Insert { text, .. } => text.len() + 16,
                    kith_text::Edit::Delete { .. } => 16,
                };
                edits.iter().map(one).sum::<usize>()
            };
            self.recent.push_back((before, Delta::of_edits(&edits), size(&edits)));
            let mut total: usize = self.recent.iter().map(|(.., size)| size).sum();
            while self.recent.len() > MAX_RECENT || total > MAX_RECENT_SIZE {
                let Some((.., size)) = self.recent.pop_front() else { break };
                total -= size;
            }
        }
        for change in self.doc.take_rows() {
            let key = text::text_key(*space, path, change.key);
            match change.bytes {
                Some(bytes) => batch.puts.push((Table::View, key, bytes)),
                None => batch.deletes.push((Table::View, key)),
            }
        }
        self.doc.take_decided();
        let mut done = 0;
        for (agent, lasts) in self.kept.iter_mut() {
            let decided = self.doc.decided_up_to(kith_text::Agent(agent.0));
            while let Some(last) = lasts.first().copied().filter(|last| *last < decided) {
                lasts.remove(&last);
                done += 1;
                batch.deletes.push((Table::View, text::inbox_key(*space, path, *agent, last)));
            }
        }
        self.kept.retain(|_, lasts| !lasts.is_empty());
        done
    }

    /// Offers what an inbox row holds.
    fn offer(&mut self, agent: Agent, last: u64, arrived: &text::Arrived) -> Offered {
        for (seq, op) in arrived {
            match self.doc.apply_bytes(kith_text::Agent(agent.0), *seq, op) {
                Outcome::NeedsHistory => return Offered::NeedsHistory,
                Outcome::Full => return Offered::Full,
                Outcome::Accepted | Outcome::Known | Outcome::Waiting | Outcome::Refused(_) => {}
            }
        }
        self.kept.entry(agent).or_default().insert(last);
        Offered::All
    }
}

/// How far an inbox row was taken in.
enum Offered {
    All,
    /// Its author's operations that wait have no more room: it comes again when they have.
    Full,
    /// The history must be loaded first.
    NeedsHistory,
}

impl Peer {
    /// Goes on with the next text for which something is to be done, if none is in work.
    pub(super) fn text_next(&mut self) {
        for (number, space) in &mut self.spaces {
            for (path, from) in std::mem::take(&mut space.texts) {
                self.texts.note((*number, path), from);
            }
        }
        let busy = self.tasks.values().any(|task| matches!(task.job, Job::Text(..)));
        if busy || !self.booted || self.is_paused() || self.commits.is_ahead() {
            return;
        }
        if let Some((space, path)) = self.texts.next() {
            self.start(Job::Text(space, path));
        }
    }

    /// Whether texts of a space are still being put together.
    pub(super) fn has_texts_to_do(&self, number: u32) -> bool {
        self.texts.is_busy(number) || self.spaces.get(&number).is_some_and(|space| !space.texts.is_empty())
    }

    /// One step of putting a text together from what arrived.
    pub(super) fn merge_text(&mut self, number: u32, path: &Path, lens: &Lens<'_>) -> Result<Done, Miss> {
        let which = (number, path.clone());
        if self.space(number, lens)?.is_none() {
            self.texts.due.remove(&which);
            return Ok(Done::Nothing);
        }
        let Some(mut due) = self.texts.due.get(&which).cloned() else { return Ok(Done::Nothing) };
        let needs_history = self.texts.get_mut(&which).is_some_and(|open| open.needs_history);
        let range = due.range(&which);
        // Everything is asked for at once.
        let rows = match &range {
            Some((_, range)) => lens.scan(Table::View, range, ROWS, false),
            None => Ok(Vec::new()),
        };
        let row = lens.get(Table::View, &view_key(number, path));
        let opened = match needs_history {
            true => self.texts.open_whole(lens, number, path)?,
            false => self.texts.open(lens, number, path)?,
        };
        let (rows, row) = (rows?, row?);
        let unpack = |(key, row): &(Vec<u8>, Vec<u8>)| Some((text::inbox_author(key)?, text::unpack_inbox(row).ok()?));
        let arrived: Option<Vec<_>> = rows.iter().map(unpack).collect();
        let (Ok(open), Some(arrived)) = (opened, arrived) else {
            // Rows that cannot be read: all of it is in the entries.
            return Ok(self.rebuild(number));
        };

        // From here on nothing can be missing.
        let before = open.frontier();
        let entries = open.doc.entries();
        let mut upto = rows.last().map(|(key, _)| [key.as_slice(), &[0]].concat()).filter(|_| rows.len() == ROWS);
        let (mut again, mut full) = (false, None);
        for (((agent, last), arrived), (key, _)) in arrived.iter().zip(&rows) {
            if full == Some(*agent) {
                continue;
            }
            match open.offer(*agent, *last, arrived) {
                Offered::All => {}
                Offered::Full => full = Some(*agent),
                Offered::NeedsHistory => {
                    (upto, again) = (Some(key.clone()), true);
                    break;
                }
            }
        }
        // There is no use in looking at more of one author.
        let of = range.map(|(of, _)| of);
        upto = upto.filter(|_| again || full.is_none() || of == Some(None));
        let settled = open.doc.settle(WORK);
        open.needs_history = again || settled == Settled::NeedsHistory;
        let mut batch = Batch::default();
        let progress = open.store(&which, before, &mut batch) > 0 || open.doc.entries() > entries;
        if let Some(of) = of {
            due.looked(of, upto.as_deref());
        }
        let is_fresh = std::mem::take(&mut open.is_fresh);
        if progress || is_fresh {
            for (agent, from) in open.doc.wanted() {
                due.note(Agent(agent.0), from);
            }
        }
        let done = due.is_done() && settled == Settled::Done && !again;
        if done && !open.doc.is_waiting() {
            batch.deletes.push((Table::View, text::waiting_key(number, path)));
        }
        let mut row = row.and_then(ViewRow::decode).unwrap_or_default();
        let mut effects = Vec::new();
        let shown = State::Text(open.shown());
        if let Some(state) = row.states.of(tag::TEXT)
            && *state != shown
        {
            *state = shown;
            batch.puts.push((Table::View, view_key(number, path), row.encode()));
            effects.push(Effect::Changed(number, vec![path.clone()]));
        }
        self.texts.last = Some(which.clone());
        if done {
            self.texts.due.remove(&which);
            let rebuilding = self.spaces.get(&number).is_some_and(|space| space.rebuilding);
            if rebuilding && !self.has_texts_to_do(number) {
                effects.push(Effect::Start(Job::Replay(number)));
            }
        } else {
            self.texts.due.insert(which, due);
        }
        // The next step is a turn of its own.
        self.wake_by(self.now);
        Ok(Done::Write(Unit { batch, effects }))
    }
}
