//! Texts for clients with a history of their own (`Merge-Type: dt`): each text that has such clients has a *twin*, the same
//! text as a history of events (`kith_text::Events`), in rows of its own.
//!
//! The twin is brought to the visible text before anything is told or taken: what changed meanwhile, whoever did it,
//! becomes an edit at its tip. What a client sends is an edit of the twin at the state the client names; what that changes
//! at the tip is an edit of the visible text, which is signed and merged as every other. So these clients agree with each
//! other by their own rules, and with everybody else by ours. Rows and text are always written together.

use super::Peer;
use super::subscribe::Seen;
use super::text_open::Which;
use super::text_write::in_work;
use crate::api::{Refusal, TextEvent, Update};
use crate::document::kind::State;
use crate::document::{ViewRow, text, view_key};
use crate::entropy::Entropy;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Durability, KeyRange, Table};
use crate::version::Version;
use kith_map::BTreeMap;
use kith_text::{Delta, Event, EventError, Events, MAX_EVENTS, Mark, ReadError, Splice};

/// Twins in memory.
const MAX_TWINS: usize = 16;
/// Memory for them, in bytes.
const MAX_WEIGHT: usize = 16 << 20;

/// A text as a history of events.
pub(super) struct Twin {
    pub(super) events: Events,
    /// The state of the text that is the tip's.
    pub(super) at: Vec<Version>,
    /// There are no rows of it yet, or those of another.
    is_new: bool,
    is_changed: bool,
    used: u64,
}

/// Twins that are in memory.
#[derive(Default)]
pub(super) struct Twins {
    open: BTreeMap<Which, Twin>,
    uses: u64,
}

/// Up to where a twin is kept if a step comes to nothing.
pub(super) struct Before(Mark, Vec<Version>, bool);

/// What a subscriber to events was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Of which history, by its own name; empty if of none yet.
    history: String,
    /// What it said it has.
    have: Vec<u32>,
    /// How many edits of it.
    upto: u32,
    /// It was told of the beginning, or said it has it.
    begun: bool,
    /// What it was told last was no text, but this.
    gone: Option<Vec<Version>>,
}

impl Twins {
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Drops twins whose rows are deleted: they went elsewhere, or what is here now is another.
    pub(super) fn forget(&mut self, deleted: &KeyRange) {
        self.open.retain(|(space, path), _| !deleted.contains(&text::told_key(*space, path, 0)));
    }

    pub(super) fn get_mut(&mut self, which: &Which) -> Option<&mut Twin> {
        self.open.get_mut(which)
    }

    /// What [`Twins::back_to`] takes.
    pub(super) fn mark(&self, which: &Which) -> Option<Before> {
        self.open.get(which).map(|twin| Before(twin.events.mark(), twin.at.clone(), twin.is_changed))
    }

    /// The step came to nothing: the twin is what it was.
    pub(super) fn back_to(&mut self, which: &Which, before: Option<Before>) {
        match (self.open.get_mut(which), before) {
            (Some(twin), Some(Before(mark, at, changed))) if !twin.is_new => {
                twin.events.back_to(mark);
                (twin.at, twin.is_changed) = (at, changed);
            }
            _ => drop(self.open.remove(which)),
        }
    }

    fn make_room(&mut self) {
        let weight = |open: &BTreeMap<Which, Twin>| open.values().map(|twin| twin.events.weight()).sum::<usize>();
        while self.open.len() >= MAX_TWINS || weight(&self.open) > MAX_WEIGHT {
            let Some((which, _)) = self.open.iter().min_by_key(|(_, twin)| twin.used) else { return };
            let which = which.clone();
            self.open.remove(&which);
        }
    }
}

impl Twin {
    fn new(entropy: &mut Entropy) -> Twin {
        let own = format!("peer{:016x}", u64::from_be_bytes(entropy.array()));
        Twin { events: Events::new(&own), at: Vec::new(), is_new: true, is_changed: true, used: 0 }
    }

    fn load(rows: &[(Vec<u8>, Vec<u8>)]) -> Option<Twin> {
        let (events, note) = Events::load(rows.iter().map(|(_, row)| row.as_slice())).ok()?;
        let at = text::versions_from_bytes(&note).ok()?;
        Some(Twin { events, at, is_new: false, is_changed: false, used: 0 })
    }

    /// Takes in what changed in the text up to this state.
    pub(super) fn follow(&mut self, change: &Delta, at: Vec<Version>) -> Result<(), EventError> {
        self.is_changed |= !change.is_empty();
        self.at = at;
        self.events.follow(change)
    }

    /// Takes in an edit of a client; gives what it changes at the tip, and nothing if it is known.
    pub(super) fn put(
        &mut self,
        version: &str,
        parents: &[u32],
        splices: &[Splice],
        client: Option<&str>,
    ) -> Result<Option<Delta>, EventError> {
        let change = self.events.put(version, parents, splices, client)?;
        self.is_changed |= change.is_some();
        Ok(change)
    }

    /// Puts what changed into rows.
    pub(super) fn store(&mut self, (space, path): &Which, batch: &mut Batch) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        if std::mem::take(&mut self.is_new) {
            batch.delete_ranges.push((Table::View, text::told_range(*space, path)));
        }
        for (row, bytes) in self.events.take_rows(&text::versions_to_bytes(&self.at)) {
            batch.puts.push((Table::View, text::told_key(*space, path, row), bytes));
        }
        batch.durability = Durability::Strict;
    }
}

impl Peer {
    /// The twin of a text, in memory; a new one if there is none.
    pub(super) fn twin(&mut self, which: &Which, lens: &Lens<'_>) -> Result<&mut Twin, Miss> {
        let twins = &mut self.texts.twins;
        if twins.get_mut(which).is_none() {
            let rows = lens.scan(Table::View, &text::told_range(which.0, &which.1), usize::MAX / 2, false)?;
            twins.make_room();
            // Clients of one that is damaged begin anew.
            let twin = Twin::load(&rows).unwrap_or_else(|| Twin::new(&mut self.entropy));
            self.texts.twins.open.insert(which.clone(), twin);
        }
        let twins = &mut self.texts.twins;
        twins.uses += 1;
        let uses = twins.uses;
        let twin = twins.get_mut(which).ok_or(Miss)?;
        twin.used = uses;
        Ok(twin)
    }

    /// Brings the twin to the visible text. Nothing else is missing once this has an answer.
    pub(super) fn follow_twin(&mut self, which: &Which, lens: &Lens<'_>) -> Result<Result<(), Refusal>, Miss> {
        let (number, path) = which;
        let twin = self.twin(which, lens)?;
        let (mut at, mut is_new) = (twin.at.clone(), twin.is_new);
        // One that is nearly full is left behind: its clients begin anew.
        if twin.events.total() > MAX_EVENTS / 8 * 7 {
            self.texts.twins.open.insert(which.clone(), Twin::new(&mut self.entropy));
            (at, is_new) = (Vec::new(), true);
        }
        let is_due = self.texts.is_due(which);
        let Ok(open) = self.texts.open(lens, *number, path)? else { return Ok(Err(in_work())) };
        let mut change = match is_new {
            true => Ok(Delta::of_splices(&[Splice { pos: 0, len: 0, text: open.doc.text() }])),
            false => open.since(&at),
        };
        if change == Err(ReadError::NeedsHistory) {
            let Ok(open) = self.texts.open_whole(lens, *number, path)? else { return Ok(Err(in_work())) };
            change = open.since(&at);
        }
        let Some(open) = self.texts.get_mut(which) else { return Ok(Err(in_work())) };
        let (now, shown) = (open.frontier(), change.is_err().then(|| open.doc.text()));
        let Some(twin) = self.texts.twins.get_mut(which) else { return Ok(Err(in_work())) };
        let change = match change {
            Ok(change) => change,
            // It is being made anew, or was: then the two texts are compared.
            Err(_) if is_due => return Ok(Err(in_work())),
            Err(_) => Delta::of_splices(&kith_text::diff(&twin.events.text(), &shown.unwrap_or_default())),
        };
        Ok(twin.follow(&change, now).map_err(|error| refusal("", error)))
    }

    /// What a subscriber holds that says it has these events.
    pub(super) fn hear_from(
        &mut self,
        number: u32,
        path: &Path,
        names: &[String],
        lens: &Lens<'_>,
    ) -> Result<Result<Seen, Refusal>, Miss> {
        let twin = self.twin(&(number, path.clone()), lens)?;
        Ok(match twin.events.at(names) {
            Ok(have) => {
                let history = twin.events.own().to_owned();
                Ok(Seen::Events(Heard { history, have, begun: true, ..Heard::default() }))
            }
            Err(error) => Err(refusal("", error)),
        })
    }

    /// What to tell a subscriber to events.
    pub(super) fn events_update(
        &mut self,
        number: u32,
        path: &Path,
        client: Option<&str>,
        seen: &Seen,
        lens: &Lens<'_>,
        batch: &mut Batch,
    ) -> Result<Result<Option<(Update, Seen)>, Refusal>, Miss> {
        let which = (number, path.clone());
        let heard = if let Seen::Events(heard) = seen { heard.clone() } else { Heard::default() };
        let row = lens.get(Table::View, &view_key(number, path))?.and_then(ViewRow::decode).unwrap_or_default();
        if !matches!(row.shown_state(), Some(State::Text(_))) {
            let (body, version, facts) = match self.value(number, path, lens)? {
                Ok(found) => found,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let news = heard.gone.as_ref() != Some(&version);
            let parents = heard.gone.clone().unwrap_or_default();
            let update = Update::Value { body, version: version.clone(), parents, facts };
            let seen = Seen::Events(Heard { gone: Some(version), ..heard });
            return Ok(Ok(news.then_some((update, seen))));
        }
        self.twin(&which, lens)?;
        let before = self.texts.twins.mark(&which);
        match self.follow_twin(&which, lens) {
            Ok(Ok(())) => {}
            // It is told when the text is there.
            Ok(Err(_)) => {
                self.texts.twins.back_to(&which, before);
                return Ok(Ok(None));
            }
            Err(miss) => {
                self.texts.twins.back_to(&which, before);
                return Err(miss);
            }
        }
        let Some(twin) = self.texts.twins.get_mut(&which) else { return Ok(Ok(None)) };
        twin.store(&which, batch);
        let history = twin.events.own().to_owned();
        if heard.begun && heard.history != history {
            self.texts.twins.back_to(&which, None);
            *batch = Batch::default();
            return Ok(Err(Refusal::VersionUnknown { missing: Vec::new() }));
        }
        let (events, upto) = twin.events.told(&heard.have, heard.upto, client);
        let version = twin.events.names(twin.events.tip());
        if heard.begun && events.is_empty() && batch.is_empty() {
            return Ok(Ok(None));
        }
        let events = events.into_iter().map(outward).collect();
        let update = Update::Events { whole: !heard.begun, events, version };
        let have = heard.have;
        Ok(Ok(Some((update, Seen::Events(Heard { history, have, upto, begun: true, gone: None })))))
    }
}

fn outward(event: Event) -> TextEvent {
    let splices = event.splices.into_iter().map(|one| (one.pos, one.pos + one.len, one.text)).collect();
    TextEvent { version: event.version, parents: event.parents, splices }
}

/// What to say of an edit that is not taken.
pub(super) fn refusal(version: &str, error: EventError) -> Refusal {
    match error {
        EventError::Missing(names) => {
            Refusal::VersionUnknown { missing: names.iter().filter_map(|name| name.parse().ok()).collect() }
        }
        EventError::Name(why) => Refusal::Unprocessable(format!("The version {version} {why}.")),
        EventError::Range(len) => Refusal::Unprocessable(format!(
            "A range does not fit: ranges rise, do not overlap, and end by {len}, the length of the text at Parents in code points."
        )),
        EventError::Full => {
            Refusal::TooLarge { what: "The change".to_owned(), limit: u64::from(MAX_EVENTS / 8), listing: None }
        }
    }
}
