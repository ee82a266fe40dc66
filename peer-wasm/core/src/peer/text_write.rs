//! Writing texts: an edit made at a state its client names is carried to what is visible, signed, and answered once it is
//! stored.

use super::commit::{Effect, Unit};
use super::text_edits::TextEdits;
use super::text_follow::Followed;
use super::{Done, Peer, write};
use crate::api::{Change, Manner, Merge, Preconditions, Refusal, Reply, RequestId, TextChange, TextEdit};
use crate::document::kind::tag;
use crate::document::text::{self, ClientState, inner, outer};
use crate::document::{self, Held, Leaf, Located, MAX_VALUE, Op, ViewRow, view_key};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Durability, Table};
use crate::version::{Agent, Version};
use kith_text::{Delta, MAX_TEXT_CHARS, ReadError, Splice, Status};

/// A write to a text.
pub(super) struct TextWrite<'a> {
    pub(super) id: RequestId,
    pub(super) space: u32,
    pub(super) path: &'a Path,
    pub(super) change: TextChange,
    pub(super) conditions: &'a Preconditions,
    pub(super) manner: &'a Manner,
    pub(super) write_id: Option<&'a str>,
    pub(super) purge: bool,
}

/// How an edit comes out.
struct Edited {
    /// What changes in the visible text.
    change: Delta,
    /// What the client holds then, seen from there: at which state, unless it is the write itself, and what it lacks.
    at: Option<Vec<Version>>,
    bridge: Delta,
}

impl Peer {
    /// The write to a text that a request comes to; `None` if it is to be treated like a write of any other kind. Gives
    /// the change as it is to be treated then.
    pub(super) fn as_text(
        &self,
        space: u32,
        path: &Path,
        change: &Change,
        manner: &Manner,
        lens: &Lens<'_>,
    ) -> Result<Result<TextChange, Option<Change>>, Miss> {
        let whole = match change {
            Change::Text(text) => Some(text.clone()),
            Change::Put(body) => document::text_of(body).map(|text| TextChange {
                parents: manner.seen.as_ref().map(|seen| seen.iter().map(Version::to_string).collect()),
                edit: TextEdit::Whole(text.to_owned()),
                event: None,
            }),
            _ => None,
        };
        let (Some(text), None | Some(Merge::Text)) = (whole, manner.merge) else { return Ok(Err(None)) };
        let row = lens.get(Table::View, &view_key(space, path))?.and_then(ViewRow::decode).unwrap_or_default();
        let is_text = matches!(change, Change::Text(_)) || manner.merge == Some(Merge::Text);
        if row.shown_tag() == Some(tag::TEXT) {
            return Ok(Ok(text));
        }
        let policy = || self.spaces.get(&space).map(|space| space.policies.kind_at(path));
        if !row.container && row.visible().is_none() && (is_text || policy() == Some(Merge::Text)) {
            return Ok(Ok(text));
        }
        // Something else stands there. The whole text takes its place as any value would.
        match (change, text.edit) {
            (Change::Text(_), TextEdit::Whole(text)) => Ok(Err(Some(Change::Put(document::text_body(text))))),
            _ => Ok(Err(None)),
        }
    }

    pub(super) fn write_text(&mut self, write: &TextWrite<'_>, lens: &Lens<'_>) -> Result<Done, Miss> {
        let TextWrite { id, space: number, path, write_id, .. } = *write;
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let located = document::locate_members(lens, number, path, &[])?;
        let Located::Place(tree) = &located else {
            let policies = self.spaces.get(&number).map(|space| space.policies.clone()).unwrap_or_default();
            let wish = document::Wish { manner: write.manner, policies: &policies };
            let planned = document::plan(path, &located, &Change::Text(write.change.clone()), wish);
            return refuse(planned.err().unwrap_or(Refusal::NotFound));
        };
        if path.is_empty() {
            return refuse(Refusal::Conflict("The top of a space holds an object; store texts below it.".to_owned()));
        }
        let (exists, before) = write::current(path, &located);
        let is_shown = tree.held(path) == Some(Held::Merge(Merge::Text));
        let key = write_id.map(|write_id| document::write_id_key(number, write_id));
        let known = key.as_ref().map_or(Ok(None), |key| lens.get(Table::View, key))?;
        if known.is_some() {
            let reply = self.written(number, false, !exists, before, write::facts(path, &located).merge);
            return Ok(Done::Write(Unit::reply(id, reply)));
        }
        if let Err(refusal) = write::check(write.conditions, exists, &before) {
            return refuse(refusal);
        }
        let Some(own) = self.device().map(|device| Agent::of(&device.0)) else { return refuse(Refusal::NoSuchSpace) };
        let which = (number, path.clone());
        if self.texts.care.is_quarantined(&which) {
            return refuse(let_alone());
        }
        if self.texts.is_due(&which) {
            // What this device wrote before may be among what is still to be put together.
            let range = text::inbox_of(number, path, own, 0);
            if !lens.scan(Table::View, &range, 1, false)?.is_empty() {
                return refuse(in_work());
            }
        }
        match self.texts.open(lens, number, path)? {
            Ok(open) if open.doc.is_waiting_for(kith_text::Agent(own.0)) => return refuse(in_work()),
            Ok(_) => {}
            Err(_) => return Ok(self.rebuild_for(number, id)),
        }
        if let Some(event) = &write.change.event {
            return self.write_event(write, event, &located, is_shown, lens);
        }
        let edited = match self.edited(write, is_shown, own, lens)? {
            Ok(edited) => edited,
            Err(refusal) => return refuse(refusal),
        };
        let client = write.manner.client.as_ref().zip(write_id);
        if edited.change.is_empty() && is_shown {
            // Nothing to write; but the client may go on from here under the name it chose.
            let state = ClientState { at: edited.at.unwrap_or_default(), bridge: edited.bridge };
            let mut batch = Batch { durability: Durability::Strict, ..Batch::default() };
            batch.puts.extend(key.map(|key| (Table::View, key, state.encode(None))));
            let moved = client.map(|(client, name)| Effect::Moved(which, client.clone(), Followed::own(name, state)));
            let reply = self.written(number, false, false, before, Merge::Text);
            let effects = moved.into_iter().chain([Effect::Reply(id, reply)]).collect();
            return Ok(Done::Write(Unit { batch, effects }));
        }
        let seq = self
            .spaces
            .get(&number)
            .and_then(|space| space.logs.get(self.own_log(space)? as usize))
            .map(|log| log.tip.len);
        let written = !edited.change.is_empty();
        let texts: TextEdits = if written { vec![(path.clone(), edited.change)] } else { Vec::new() };
        let ops = vec![Op::new(path.clone(), Leaf::kind(tag::TEXT))];
        let purged = write.purge.then_some(path);
        let done = self.put_ops(id, number, ops, texts, None, write_id, purged, lens, |peer, applied, version| {
            let (after, merge) = write::after(path, &located, applied, version, number, &peer.rule(number));
            peer.written(number, !exists, false, after, merge)
        })?;
        let (Done::Write(mut unit), Some(seq)) = (done, seq) else { return Ok(Done::Nothing) };
        if unit.batch.is_empty() {
            return Ok(Done::Write(unit));
        }
        // An empty text has no state yet: whoever made it holds what was before everything.
        let at = if written { vec![Version { agent: own, seq }] } else { Vec::new() };
        let state = ClientState { at, bridge: edited.bridge };
        if let Some(key) = key
            && let Some((.., value)) = unit.batch.puts.iter_mut().find(|(_, found, _)| *found == key)
        {
            *value = state.encode(Some(seq));
        }
        if let Some((client, name)) = client {
            unit.effects.insert(0, Effect::Moved(which, client.clone(), Followed::own(name, state)));
        }
        Ok(Done::Write(unit))
    }

    /// Carries an edit to the visible text.
    fn edited(
        &mut self,
        write: &TextWrite<'_>,
        is_shown: bool,
        own: Agent,
        lens: &Lens<'_>,
    ) -> Result<Result<Edited, Refusal>, Miss> {
        let (number, path) = (write.space, write.path);
        let size = match &write.change.edit {
            TextEdit::Whole(text) => text.len(),
            TextEdit::Splices(splices) => splices.iter().map(|(.., text)| text.len()).sum(),
        };
        if size > MAX_VALUE {
            let what = "What is put into the text".to_owned();
            return Ok(Err(Refusal::TooLarge { what, limit: MAX_VALUE as u64, listing: None }));
        }
        let held = match (&write.change.parents, is_shown) {
            (Some(names), true) => match self.client_state(number, path, names, own, lens)? {
                Ok(held) => Some(held),
                Err(refusal) => return Ok(Err(refusal)),
            },
            _ => None,
        };
        let open = match self.texts.open(lens, number, path)? {
            Ok(open) => open,
            Err(_) => return Ok(Err(in_work())),
        };
        if !is_shown {
            // What was written under what stands here now, or was deleted, is not what the client sees.
            let mut change = match splices(&write.change.edit, 0, String::new) {
                Ok(change) => change,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let len = open.doc.len_chars();
            if len > 0 {
                let gone = Splice { pos: 0, len, text: String::new() };
                change = Delta::of_splices(&[gone]).then(&change);
            }
            return Ok(fits(open.doc.len_chars(), &change).map(|()| Edited {
                change,
                at: None,
                bridge: Delta::default(),
            }));
        }
        let held = held.unwrap_or_else(|| ClientState { at: open.frontier(), bridge: Delta::default() });
        // A whole text is compared with what its writer had.
        let is_whole = matches!(write.change.edit, TextEdit::Whole(_));
        let (since, then) = match open.since_client(&held) {
            Ok(since) if !is_whole || since.is_empty() => (since, None),
            Ok(_) if !held.bridge.is_empty() => {
                return Ok(Err(Refusal::Unprocessable(
                    "Others have written since the write named in Parents was made. Send patches, or read the text again."
                        .to_owned(),
                )));
            }
            Ok(_) | Err(ReadError::NeedsHistory) => match self.texts.open_whole(lens, number, path)? {
                Err(_) => return Ok(Err(in_work())),
                Ok(open) => {
                    let at: Vec<kith_text::Version> = held.at.iter().copied().map(inner).collect();
                    match open
                        .since_client(&held)
                        .and_then(|since| Ok((since, is_whole.then(|| open.doc.text_at(&at)).transpose()?)))
                    {
                        Ok(found) => found,
                        Err(error) => return Ok(Err(unknown(error))),
                    }
                }
            },
            Err(error) => return Ok(Err(unknown(error))),
        };
        let Some(open) = self.texts.get_mut(&(number, path.clone())) else { return Ok(Err(in_work())) };
        let len = i64::from(open.doc.len_chars()) - since.growth();
        let mine =
            splices(&write.change.edit, u32::try_from(len).unwrap_or(0), || then.unwrap_or_else(|| open.doc.text()));
        Ok(mine.and_then(|mine| {
            let change = mine.after(&since);
            fits(open.doc.len_chars(), &change)?;
            Ok(Edited { change, at: Some(open.frontier()), bridge: since.ahead_of(&mine) })
        }))
    }

    /// What a client holds that names it so: a version, or the id of a write of its own.
    pub(super) fn client_state(
        &mut self,
        number: u32,
        path: &Path,
        names: &[String],
        own: Agent,
        lens: &Lens<'_>,
    ) -> Result<Result<ClientState, Refusal>, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Err(Refusal::NoSuchSpace)) };
        let (mut state, mut missing) = (ClientState::default(), Vec::new());
        let mut unknown_name = false;
        let is_here = |name: &String| name.parse::<Version>().ok().filter(|version| space.has(version));
        let ids = names.iter().filter(|name| is_here(name).is_none());
        lens.want(Table::View, ids.map(|name| document::write_id_key(number, name)))?;
        for name in names {
            if let Some(version) = is_here(name) {
                state.at.push(version);
                continue;
            }
            let row = lens.get(Table::View, &document::write_id_key(number, name))?;
            match row.and_then(|row| ClientState::decode(row, own).ok()) {
                Some(named) if named.bridge.is_empty() => state.at.extend(named.at),
                Some(named) if names.len() == 1 => state = named,
                _ => {
                    unknown_name = true;
                    missing.extend(name.parse::<Version>());
                }
            }
        }
        if unknown_name {
            return Ok(Err(Refusal::VersionUnknown { missing }));
        }
        kith_map::sort(&mut state.at);
        state.at.dedup();
        let is_due = self.texts.is_due(&(number, path.clone()));
        let open = match self.texts.open(lens, number, path)? {
            Ok(open) => open,
            Err(_) => return Ok(Err(in_work())),
        };
        if open.is_recent(&state.at) {
            return Ok(Ok(state));
        }
        let is_due = is_due || open.doc.is_waiting();
        let mut open = open;
        let mut kept = Vec::new();
        for version in &state.at {
            let status = match open.doc.status(inner(*version)) {
                Err(_) => {
                    open = match self.texts.open_whole(lens, number, path)? {
                        Ok(open) => open,
                        Err(_) => return Ok(Err(in_work())),
                    };
                    open.doc.status(inner(*version))
                }
                found => found,
            };
            match status {
                Ok(Status::Visible) => kept.push(*version),
                // An entry that is here and says nothing of what the text is, such as the one that made it.
                Ok(Status::Nothing) => {}
                Ok(Status::Unknown) if !is_due => {}
                _ => missing.push(*version),
            }
        }
        if !missing.is_empty() {
            return Ok(Err(Refusal::VersionUnknown { missing }));
        }
        Ok(Ok(ClientState { at: kept, bridge: state.bridge }))
    }

    /// Makes the tree anew, since rows of it are damaged, and says so.
    fn rebuild_for(&mut self, number: u32, id: RequestId) -> Done {
        match self.rebuild(number) {
            Done::Write(mut unit) | Done::WriteAndAgain(mut unit) => {
                unit.effects.push(Effect::Reply(id, Reply::Refused(in_work())));
                Done::Write(unit)
            }
            Done::Nothing => Done::Write(Unit::reply(id, Reply::Refused(in_work()))),
        }
    }
}

/// An edit as one change of a text of this length.
fn splices(edit: &TextEdit, len: u32, then: impl FnOnce() -> String) -> Result<Delta, Refusal> {
    let splices = match edit {
        TextEdit::Whole(text) => return Ok(Delta::of_splices(&kith_text::diff(&then(), text))),
        TextEdit::Splices(splices) => splices,
    };
    let mut end = 0;
    let mut list = Vec::with_capacity(splices.len());
    for (from, to, text) in splices {
        if *from < end || to < from || *to > len {
            return Err(Refusal::Unprocessable(format!(
                "The range [{from}:{to}] does not fit: ranges rise, do not overlap, and end by {len}, the length of the text at Parents in code points."
            )));
        }
        end = *to;
        list.push(Splice { pos: *from, len: to - from, text: text.clone() });
    }
    Ok(Delta::of_splices(&list))
}

/// A refusal if a text of this length would get too long.
pub(super) fn fits(len: u32, change: &Delta) -> Result<(), Refusal> {
    let growth = change.growth();
    if growth > 0 && i64::from(len) + growth > i64::from(MAX_TEXT_CHARS) {
        let what = "The text (in code points)".to_owned();
        return Err(Refusal::TooLarge { what, limit: u64::from(MAX_TEXT_CHARS), listing: None });
    }
    Ok(())
}

pub(super) fn in_work() -> Refusal {
    Refusal::Unavailable {
        detail: "This text is still being put together from what was written. Try again in a moment.".to_owned(),
        retry_after: 1,
    }
}

pub(super) fn let_alone() -> Refusal {
    Refusal::Unavailable {
        detail: "Putting this text together has brought the peer down twice, so this release only shows it as it was. \
                 Update the app."
            .to_owned(),
        retry_after: 3600,
    }
}

fn unknown(error: ReadError) -> Refusal {
    let missing = match error {
        ReadError::Unknown(version) | ReadError::Unsettled(version) => vec![outer(version)],
        ReadError::NeedsHistory => Vec::new(),
    };
    Refusal::VersionUnknown { missing }
}
