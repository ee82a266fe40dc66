//! Texts in memory: a cache of their rows, and what is to be done for which.

use crate::document::kind;
use crate::document::text::{self, ClientState, inner, outer};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, KeyRange, Table};
use crate::version::{Agent, Version};
use kith_map::BTreeMap;
use kith_text::{Algorithm, Delta, OpenError, Outcome, ReadError, RowKey, TextDoc};
use std::collections::{BTreeSet, VecDeque};

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
    pub(super) due: BTreeMap<Which, Due>,
    /// The last that something was done for.
    pub(super) last: Option<Which>,
    uses: u64,
    pub(super) moves: super::text_follow::Moves,
    pub(super) care: super::text_careful::TextCare,
    pub(super) twins: super::text_events::Twins,
}

/// What is to be looked at in an inbox.
#[derive(Clone, Debug, Default)]
pub(super) struct Due {
    /// All from this key on.
    all: Option<Vec<u8>>,
    /// What these authors wrote, each from an entry on.
    pub(super) authors: BTreeMap<Agent, u64>,
}

/// A text in memory.
pub(super) struct Open {
    pub(super) doc: TextDoc,
    /// The last changes: the state before each, and what changed.
    recent: VecDeque<(Vec<Version>, Delta, usize)>,
    /// Inbox rows that were looked at and are still needed, by author: the last entry of each.
    kept: BTreeMap<Agent, BTreeSet<u64>>,
    /// Something can only be done with the history in memory.
    pub(super) needs_history: bool,
    /// What waited when it was stored has not been offered again.
    pub(super) is_fresh: bool,
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
            self.twins.forget(range);
        }
    }

    /// Forgets what can be read back, as after a crash.
    pub(super) fn forget_all(&mut self) {
        self.open.clear();
        self.due.clear();
        self.twins.clear();
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
    pub(super) fn is_busy(&self, space: u32) -> bool {
        self.due.keys().any(|(number, _)| *number == space)
    }

    /// The next in turn.
    pub(super) fn next(&self) -> Option<Which> {
        let after = |last: &Which| self.due.keys().find(|which| *which > last);
        self.last.as_ref().and_then(after).or_else(|| self.due.keys().next()).cloned()
    }
}

impl Due {
    pub(super) fn note(&mut self, agent: Agent, from: u64) {
        let known = self.authors.entry(agent).or_insert(from);
        *known = from.min(*known);
    }

    /// What is looked at next.
    pub(super) fn range(&self, (space, path): &Which) -> Option<(Option<Agent>, KeyRange)> {
        if let Some(start) = &self.all {
            let range = KeyRange { start: start.clone(), ..text::inbox_range(*space, path) };
            return Some((None, range));
        }
        let (agent, from) = self.authors.first_key_value()?;
        Some((Some(*agent), text::inbox_of(*space, path, *agent, *from)))
    }

    /// What was looked at is done up to a row; all of it if there is none.
    pub(super) fn looked(&mut self, of: Option<Agent>, upto: Option<&[u8]>) {
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

    pub(super) fn is_done(&self) -> bool {
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
    pub(super) fn offer(&mut self, agent: Agent, last: u64, arrived: &text::Arrived) -> Offered {
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
pub(super) enum Offered {
    All,
    /// Its author's operations that wait have no more room: it comes again when they have.
    Full,
    /// The history must be loaded first.
    NeedsHistory,
}
