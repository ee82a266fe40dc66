//! Merging entries that are stored but not in the tree yet: their key came late, or the tree is being made anew.

use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::read::open_ops;
use super::space::{READ_RUN, read_entries};
use super::{Done, Peer, rows};
use crate::document;
use crate::entry::Kind;
use crate::history;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Table};
use crate::version::Agent;

impl Peer {
    pub(super) fn replay(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        if self.is_paused() {
            return Ok(Done::Nothing);
        }
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        for (log, state) in space.logs.iter().enumerate() {
            if state.applied >= state.tip.len {
                continue;
            }
            let log = log as u32;
            let count = READ_RUN.min(state.tip.len - state.applied);
            let entries = read_entries(lens, number, log, state.applied, count)?;
            let mut items = Vec::new();
            let mut opened = 0;
            for entry in &entries {
                let key_is_missing =
                    entry.header.kind == Kind::Op && space.epoch(&entry.header.epoch.unwrap_or_default()).is_none();
                if key_is_missing {
                    break;
                }
                opened += 1;
                if let Some(ops) = open_ops(space, entry) {
                    items.extend(ops.into_items(Agent::of(&state.key.0), entry.header.seq));
                }
            }
            if opened == 0 {
                continue;
            }
            let applied = document::apply(lens, number, &items)?;
            let Some(mut space) = self.spaces.remove(&number) else { return Ok(Done::Nothing) };
            let mut draft = Draft::default();
            draft.batch.puts.extend(history::rows(number, log, &items));
            if let Some(log) = space.log_mut(log) {
                log.applied += opened;
            }
            draft.head(&space, log);
            // What was in the feed before the tree was made anew does not come again.
            let from = entries.first().map_or(0, |first| first.header.seq);
            let known = space.announced.get(&log).copied().unwrap_or(0).clamp(from, from + opened);
            draft.arrived(log, known, from + opened - known);
            for (key, row) in applied.rows {
                draft.batch.puts.push((Table::View, key, row.encode()));
            }
            let batch = draft.finish(&mut space);
            self.spaces.insert(number, space);
            return Ok(Done::WriteAndAgain(Unit { batch, effects: vec![Effect::Changed(number, applied.changed)] }));
        }
        if space.rebuilding {
            if let Some(space) = self.spaces.get_mut(&number) {
                space.rebuilding = false;
                space.announced.clear();
            }
            let batch = Batch { deletes: vec![(Table::Head, rows::rebuild_key(number))], ..Batch::default() };
            return Ok(Done::Write(Unit { batch, effects: vec![Effect::Changed(number, vec![Path::root()])] }));
        }
        Ok(Done::Nothing)
    }
}
