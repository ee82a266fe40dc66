//! Edits of clients with a history of their own.

use super::Peer;
use super::commit::{Effect, Unit};
use super::text_edits::TextEdits;
use super::text_events::refusal;
use super::text_write::{TextWrite, fits, in_work};
use super::{Done, write};
use crate::api::{Merge, Refusal, Reply, TextEdit};
use crate::document::kind::tag;
use crate::document::{Leaf, Located, MAX_VALUE, Op};
use crate::lens::{Lens, Miss};
use crate::rows::Batch;
use kith_text::{Delta, Splice};

impl Peer {
    /// Writes an edit whose last event has this name. What can be refused without looking at the text has been.
    pub(super) fn write_event(
        &mut self,
        write: &TextWrite<'_>,
        event: &str,
        located: &Located,
        is_shown: bool,
        lens: &Lens<'_>,
    ) -> Result<Done, Miss> {
        let which = (write.space, write.path.clone());
        self.twin(&which, lens)?;
        let before = self.texts.twins.mark(&which);
        let done = self.written_event(write, event, located, is_shown, lens);
        if !matches!(&done, Ok(Done::Write(unit)) if !unit.batch.is_empty()) {
            self.texts.twins.back_to(&which, before);
        }
        done
    }

    fn written_event(
        &mut self,
        write: &TextWrite<'_>,
        event: &str,
        located: &Located,
        is_shown: bool,
        lens: &Lens<'_>,
    ) -> Result<Done, Miss> {
        let TextWrite { id, space: number, path, .. } = *write;
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let which = (number, path.clone());
        if let Err(refusal) = self.follow_twin(&which, lens)? {
            return refuse(refusal);
        }
        let change = match self.changed_by(write, event, is_shown) {
            Ok(Some(change)) => change,
            Ok(None) => {
                let (exists, before) = write::current(path, located);
                let reply = self.written(number, false, !exists, before, Merge::Text);
                return Ok(Done::Write(Unit::reply(id, reply)));
            }
            Err(refusal) => return refuse(refusal),
        };
        if change.is_empty() && is_shown {
            // It changes nothing that is visible, as where others took out the same. But it has happened.
            let mut batch = Batch::default();
            if let Some(twin) = self.texts.twins.get_mut(&which) {
                twin.store(&which, &mut batch);
            }
            let (_, before) = write::current(path, located);
            let reply = self.written(number, false, false, before, Merge::Text);
            let effects = vec![Effect::Changed(number, vec![path.clone()]), Effect::Reply(id, reply)];
            return Ok(Done::Write(Unit { batch, effects }));
        }
        let texts: TextEdits = if change.is_empty() { Vec::new() } else { vec![(path.clone(), change)] };
        let ops = vec![Op::new(path.clone(), Leaf::kind(tag::TEXT))];
        let done = self.put_ops(id, number, ops, texts, None, None, None, lens, |peer, applied, version| {
            let (after, merge) = write::after(path, located, applied, version, number, &peer.rule(number));
            peer.written(number, !is_shown, false, after, merge)
        })?;
        let Done::Write(mut unit) = done else { return Ok(Done::Nothing) };
        if !unit.batch.is_empty()
            && let Some(at) = self.texts.get_mut(&which).map(|open| open.frontier())
            && let Some(twin) = self.texts.twins.get_mut(&which)
        {
            twin.at = at;
            twin.store(&which, &mut unit.batch);
        }
        Ok(Done::Write(unit))
    }

    /// Takes the edit into the twin, which is at the visible text. Gives what it changes there; nothing if it is known.
    fn changed_by(&mut self, write: &TextWrite<'_>, event: &str, is_shown: bool) -> Result<Option<Delta>, Refusal> {
        let which = (write.space, write.path.clone());
        let Some(open) = self.texts.get_mut(&which) else { return Err(in_work()) };
        let (len, now) = (open.doc.len_chars(), open.frontier());
        let Some(twin) = self.texts.twins.get_mut(&which) else { return Err(in_work()) };
        let mut change = Delta::default();
        if !is_shown && len > 0 {
            // What was written under what stands here now, or was deleted, is gone.
            change = Delta::of_splices(&[Splice { pos: 0, len, text: String::new() }]);
            twin.follow(&change, now).map_err(|error| refusal(event, error))?;
        }
        let parents = match &write.change.parents {
            None => twin.events.tip().to_vec(),
            Some(names) => twin.events.at(names).map_err(|error| refusal(event, error))?,
        };
        let splices: Vec<Splice> = match &write.change.edit {
            TextEdit::Whole(text) => {
                vec![Splice { pos: 0, len: twin.events.len_at(&parents), text: text.clone() }]
            }
            TextEdit::Splices(list) => {
                let splice = |(from, to, text): &(u32, u32, String)| Splice {
                    pos: *from,
                    len: to.saturating_sub(*from),
                    text: text.clone(),
                };
                list.iter().map(splice).collect()
            }
        };
        let size: usize = splices.iter().map(|splice| splice.text.len()).sum();
        if size > MAX_VALUE {
            let what = "What is put into the text".to_owned();
            return Err(Refusal::TooLarge { what, limit: MAX_VALUE as u64, listing: None });
        }
        let client = write.manner.client.as_deref();
        let nothing = splices.iter().all(|splice| splice.len == 0 && splice.text.is_empty());
        let mine = match twin.put(event, &parents, &splices, client).map_err(|error| refusal(event, error))? {
            Some(mine) => mine,
            // To say that there is a text makes an empty one.
            None if nothing && !is_shown => Delta::default(),
            None => return Ok(None),
        };
        let change = change.then(&mine);
        fits(len, &change)?;
        Ok(Some(change))
    }
}
