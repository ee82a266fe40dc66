//! Following a text: what a subscriber is told fits what it holds, by the names it knows.

use super::Peer;
use super::subscribe::Seen;
use super::text::Which;
use crate::api::{Facts, Merge, Refusal, Target, Update};
use crate::document::kind::State;
use crate::document::text::ClientState;
use crate::document::{self, ViewRow, view_key};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::Table;
use crate::version::{Agent, Version};
use kith_text::ReadError;

/// What a subscriber to a text holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Followed {
    /// As it names it.
    names: Vec<String>,
    state: ClientState,
    /// What it holds is no text.
    gone: bool,
    /// How many writes of its own were taken.
    turn: u64,
}

impl Followed {
    /// What a client holds after a write of its own.
    pub(super) fn own(name: &str, state: ClientState) -> Followed {
        Followed { names: vec![name.to_owned()], state, ..Followed::default() }
    }

    /// The versions it was told last.
    pub(super) fn versions(&self) -> Vec<Version> {
        self.state.at.clone()
    }

    /// Whether it was told to somebody who has written since.
    pub(super) fn is_outdated(&self, now: &Seen) -> bool {
        matches!(now, Seen::Text(now) if now.turn != self.turn)
    }

    fn told(names: &[Version], at: Vec<Version>, gone: bool, turn: u64) -> Seen {
        let names = names.iter().map(Version::to_string).collect();
        Seen::Text(Followed { names, state: ClientState { at, ..ClientState::default() }, gone, turn })
    }
}

/// What to tell a subscriber, if anything, and what it holds then.
type Told = Result<Option<(Update, Seen)>, Refusal>;

impl Peer {
    /// What a subscriber to a text holds that says it holds this.
    pub(super) fn follow_from(
        &mut self,
        number: u32,
        path: &Path,
        names: &[String],
        lens: &Lens<'_>,
    ) -> Result<Result<Seen, Refusal>, Miss> {
        let row = lens.get(Table::View, &view_key(number, path))?.and_then(ViewRow::decode).unwrap_or_default();
        let Some(own) = self.device().map(|device| Agent::of(&device.0)) else { return Ok(Err(Refusal::NoSuchSpace)) };
        if !matches!(row.shown_state(), Some(State::Text(_))) {
            let versions: Vec<Version> = names.iter().filter_map(|name| name.parse().ok()).collect();
            return Ok(self.unknown(number, &versions).map_or(Ok(Seen::Nothing), Err));
        }
        let state = self.client_state(number, path, names, own, lens)?;
        Ok(state.map(|state| Seen::Text(Followed { names: names.to_vec(), state, ..Followed::default() })))
    }

    /// What to tell a subscriber to a text.
    pub(super) fn text_update(&mut self, number: u32, path: &Path, seen: &Seen, lens: &Lens<'_>) -> Result<Told, Miss> {
        let row = lens.get(Table::View, &view_key(number, path))?.and_then(ViewRow::decode).unwrap_or_default();
        let turn = if let Seen::Text(held) = seen { held.turn } else { 0 };
        let Some(State::Text(shown)) = row.shown_state() else {
            let (body, version, facts) = match self.value(number, path, lens)? {
                Ok(found) => found,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let news = !matches!(seen, Seen::Text(held) if held.gone && held.state.at == version);
            let update = Update::Value { body, version: version.clone(), parents: seen.versions(), facts };
            return Ok(Ok(news.then(|| (update, Followed::told(&version, version.clone(), true, turn)))));
        };
        let at = shown.frontier.clone();
        let version = if at.is_empty() { row.versions().collect() } else { at.clone() };
        if let Seen::Text(held) = seen
            && !held.gone
        {
            if held.state.at == at && held.state.bridge.is_empty() {
                return Ok(Ok(None));
            }
            let mut found = match self.texts.open(lens, number, path)? {
                Ok(open) => open.since_client(&held.state),
                Err(_) => return Ok(Ok(None)),
            };
            if found == Err(ReadError::NeedsHistory) {
                found = match self.texts.open_whole(lens, number, path)? {
                    Ok(open) => open.since_client(&held.state),
                    Err(_) => return Ok(Ok(None)),
                };
            }
            // What it held may be there no more, if the text was made anew. Then it gets the whole.
            if let Ok(change) = found {
                let splices = change.splices().into_iter().map(|one| (one.pos, one.pos + one.len, one.text)).collect();
                let update = Update::Text { splices, version: version.clone(), parents: held.names.clone() };
                return Ok(Ok(Some((update, Followed::told(&version, at, false, turn)))));
            }
        }
        let text = match self.texts.open(lens, number, path)? {
            Ok(open) => open.doc.text(),
            Err(_) => return Ok(Ok(None)),
        };
        let facts = Facts { merge: Merge::Text, ..Facts::default() };
        let body = Some(document::text_body(text));
        let update = Update::Value { body, version: version.clone(), parents: seen.versions(), facts };
        Ok(Ok(Some((update, Followed::told(&version, at, false, turn)))))
    }

    /// A client's own write was taken: whoever follows the text under its name holds what it says now.
    pub(super) fn moved(&mut self, (number, path): &Which, name: &str, held: &Followed) {
        for subscription in self.subscriptions.values_mut().filter(|one| one.space == *number) {
            if let Target::Text { path: of, client: Some(client), .. } = &subscription.target
                && of == path
                && client == name
                && let Seen::Text(seen) = &subscription.seen
            {
                subscription.seen = Seen::Text(Followed { turn: seen.turn + 1, ..held.clone() });
                subscription.dirty = true;
            }
        }
    }
}
