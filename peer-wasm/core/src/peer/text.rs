//! Putting together what has arrived for texts.
//!
//! What comes in for a text is put into its inbox together with the entries, and looked at here: one place at a time, a
//! bounded number of rows and a bounded amount of work in each step. What waits for something stays in the inbox. An
//! open text is always what its rows say, those on their way to the store included: a step that changes it writes its
//! rows. So it may be dropped at any time, and is when a transaction fails.

use super::commit::{Effect, Unit};
use super::text_open::Offered;
use super::{Done, Job, Peer};
use crate::document::kind::{State, tag};
use crate::document::{ViewRow, text, view_key};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Table};
use crate::version::Agent;
use kith_text::Settled;

/// Inbox rows looked at in one step.
const ROWS: usize = 16;
/// Edits looked at in one step, to make what was accepted visible: about ten milliseconds of a desktop's time.
const WORK: u64 = 8_000;

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
        while let Some(which) = self.texts.next() {
            if self.texts.care.is_quarantined(&which) {
                self.texts.due.remove(&which);
                continue;
            }
            return self.start(Job::Text(which.0, which.1));
        }
    }

    /// Whether texts of a space are still being put together.
    pub(super) fn has_texts_to_do(&self, number: u32) -> bool {
        self.texts.is_busy(number) || self.spaces.get(&number).is_some_and(|space| !space.texts.is_empty())
    }

    /// Whether something is about to be done for a text.
    pub(super) fn is_in_work(&self, number: u32, path: &Path) -> bool {
        let noted = |space: &super::space::Space| space.texts.iter().any(|(place, _)| place == path);
        self.texts.is_due(&(number, path.clone())) || self.spaces.get(&number).is_some_and(noted)
    }

    /// Whether operations on a text are here and none of them is in it yet. Its place knows versions of which the text
    /// shows nothing then.
    pub(super) fn is_unread(&self, number: u32, path: &Path, row: &ViewRow, lens: &Lens<'_>) -> Result<bool, Miss> {
        let empty = matches!(row.shown_state(), Some(State::Text(shown)) if shown.frontier.is_empty());
        Ok(empty && lens.get(Table::View, &text::waiting_key(number, path))?.is_some())
    }

    /// One step of putting a text together from what arrived.
    pub(super) fn merge_text(&mut self, number: u32, path: &Path, lens: &Lens<'_>) -> Result<Done, Miss> {
        let which = (number, path.clone());
        if self.space(number, lens)?.is_none() {
            self.texts.due.remove(&which);
            return Ok(Done::Nothing);
        }
        let Some(mut due) = self.texts.due.get(&which).cloned() else { return Ok(Done::Nothing) };
        if self.is_careful()
            && let Some(unit) = self.mark_text(&which)
        {
            return Ok(Done::Write(unit));
        }
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
        if done && open.frontier().is_empty() {
            // Whoever follows it waits for what is not to come.
            effects.push(Effect::Changed(number, vec![path.clone()]));
        }
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
        self.unmark_text(&mut batch);
        // The next step is a turn of its own.
        self.wake_by(self.now);
        Ok(Done::Write(Unit { batch, effects }))
    }
}
