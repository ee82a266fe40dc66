//! Texts whose merging brings the peer down: while care is taken (see [`careful`](super::careful)), a row names the text in
//! work before each step of putting it together, and goes with what comes of the step. A text that was in work at two
//! deaths is let alone by this release: it shows what it showed, and nothing is written to it.
//!
//! ```text
//! meta  "merging"                                     deaths before ‖ space (4) ‖ path key
//!       "quarantine-text/" ‖ space (4) ‖ path key     release (text)
//! ```

use super::commit::{Effect, Unit};
use super::text_open::Which;
use super::{Job, Peer};
use crate::path::Path;
use crate::rows::{Batch, Rows, Table};
use kith_map::BTreeSet;

/// Deaths with the same text in work, after which it is let alone.
const DEATHS: u8 = 2;
/// The most texts that are let alone; beyond it the first go.
const MAX_QUARANTINED: usize = 1000;
/// The most bytes of a release's name.
const MAX_RELEASE: usize = 256;

const MERGING: &[u8] = b"merging";
const QUARANTINE: &[u8] = b"quarantine-text/";

/// What is known of texts that brought the peer down.
#[derive(Default)]
pub(super) struct TextCare {
    /// What was in work at the last death, and at how many.
    suspect: Option<(Which, u8)>,
    /// What is in work, with its mark stored.
    marked: Option<Which>,
    marking: bool,
    /// Whether the rows of the life before have been read.
    recalled: bool,
    quarantined: BTreeSet<Which>,
}

impl TextCare {
    /// A transaction failed: marks have to be made again.
    pub(super) fn forget_marks(&mut self) {
        (self.marked, self.marking) = (None, false);
    }

    /// Whether a text is let alone.
    pub(super) fn is_quarantined(&self, which: &Which) -> bool {
        self.quarantined.contains(which)
    }
}

fn name((space, path): &Which) -> Vec<u8> {
    [&space.to_be_bytes()[..], &path.to_key()].concat()
}

fn which(name: &[u8]) -> Option<Which> {
    let (space, path) = name.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*space), Path::from_row_key(path)?))
}

impl Peer {
    /// Reads, at the start, which text was in work at the last death and which are let alone. Adds the rows to write.
    pub(super) fn recall_texts(&mut self, meta: &Rows, batch: &mut Batch) {
        let release: String = self.config.version.chars().take(MAX_RELEASE / 4).collect();
        let care = &mut self.texts.care;
        for (key, value) in meta {
            let Some(text) = key.strip_prefix(QUARANTINE).and_then(which) else { continue };
            // Another release may do better.
            if *value == release.as_bytes() && care.quarantined.iter().count() < MAX_QUARANTINED {
                care.quarantined.insert(text);
            } else {
                batch.deletes.push((Table::Meta, key.clone()));
            }
        }
        let Some((_, value)) = meta.iter().find(|(key, _)| key == MERGING) else {
            care.recalled = true;
            return;
        };
        batch.deletes.push((Table::Meta, MERGING.to_vec()));
        // A mark of this life, left by a transaction that failed, is no death.
        if std::mem::replace(&mut care.recalled, true) {
            return;
        }
        let Some((deaths, text)) = value.split_first().and_then(|(deaths, text)| Some((*deaths, which(text)?))) else {
            return;
        };
        let deaths = deaths.saturating_add(1);
        if deaths < DEATHS {
            care.suspect = Some((text, deaths));
            return;
        }
        batch.puts.push((Table::Meta, [QUARANTINE, &name(&text)].concat(), release.into_bytes()));
        care.quarantined.insert(text);
    }

    /// While care is taken: a unit that marks the text and goes on once that is stored; `None` if it may be worked on now.
    pub(super) fn mark_text(&mut self, which: &Which) -> Option<Unit> {
        let care = &mut self.texts.care;
        if care.marked.as_ref() == Some(which) {
            return None;
        }
        if care.marking {
            return Some(Unit::default());
        }
        care.marking = true;
        let deaths = care.suspect.as_ref().filter(|(suspect, _)| suspect == which).map_or(0, |(_, deaths)| *deaths);
        let row = [&[deaths][..], &name(which)].concat();
        let batch = Batch { puts: vec![(Table::Meta, MERGING.to_vec(), row)], ..Batch::default() };
        Some(Unit { batch, effects: vec![Effect::TextMarked(which.clone())] })
    }

    /// The mark is stored.
    pub(super) fn text_is_marked(&mut self, which: Which) {
        self.texts.care.marking = false;
        self.texts.care.marked = Some(which.clone());
        self.start(Job::Text(which.0, which.1));
    }

    /// The step did no harm: its mark goes with what comes of it.
    pub(super) fn unmark_text(&mut self, batch: &mut Batch) {
        let care = &mut self.texts.care;
        if care.marked.take().is_some() {
            batch.deletes.push((Table::Meta, MERGING.to_vec()));
        }
    }
}
