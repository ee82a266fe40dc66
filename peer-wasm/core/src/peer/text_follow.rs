//! Following a text: what a subscriber is told fits what it holds, by the names it knows.

use super::Peer;
use super::subscribe::{Seen, Subscription};
use super::text_open::Which;
use crate::api::{Facts, Merge, Refusal, RequestId, Target, Update};
use crate::document::kind::State;
use crate::document::text::ClientState;
use crate::document::{self, ViewRow, view_key};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::Table;
use crate::version::{Agent, Version};
use kith_map::BTreeMap;
use kith_text::ReadError;
use std::collections::VecDeque;

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

/// The most writes that are remembered while requests to follow texts are under way.
const MAX_MOVES: usize = 256;

/// A client's write: where, by whom, when, and what it holds then.
type Move = (Which, String, u64, Followed);

/// Writes of clients that were taken while requests to follow texts were under way.
#[derive(Default)]
pub(super) struct Moves {
    /// When each request came in.
    asked: BTreeMap<RequestId, u64>,
    last: VecDeque<Move>,
}

impl Moves {
    /// A request is answered.
    pub(super) fn answered(&mut self, id: RequestId) {
        self.asked.remove(&id);
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
        let unread = self.is_unread(number, path, &row, lens)?;
        let holds = matches!(seen, Seen::Text(held) if !held.gone);
        if unread && !holds && self.is_in_work(number, path) {
            // It is told with what is in it.
            return Ok(Ok(None));
        }
        let version = if at.is_empty() && !unread { row.versions().collect() } else { at.clone() };
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

    /// A request to follow a text came in: writes of the same client that are taken before it is answered count.
    pub(super) fn note_following(&mut self, id: RequestId) {
        let now = self.number();
        self.texts.moves.asked.insert(id, now);
    }

    /// A subscription to a text is open.
    pub(super) fn following(&mut self, id: RequestId, subscription: &mut Subscription) {
        let Some(asked) = self.texts.moves.asked.remove(&id) else { return };
        let Target::Text { path, client: Some(client), .. } = &subscription.target else { return };
        let of = |(which, name, at, _): &&Move| {
            which.0 == subscription.space && which.1 == *path && name == client && *at > asked
        };
        if let (Seen::Text(_), Some((.., held))) = (&subscription.seen, self.texts.moves.last.iter().rfind(of)) {
            subscription.seen = Seen::Text(held.clone());
        }
    }

    /// A client's own write was taken: whoever follows the text under its name holds what it says now.
    pub(super) fn moved(&mut self, which: Which, name: String, held: Followed) {
        let (number, path) = &which;
        let mut touched = Vec::new();
        for (id, subscription) in self.subscriptions.iter_mut().filter(|(_, one)| one.space == *number) {
            if let Target::Text { path: of, client: Some(client), .. } = &subscription.target
                && of == path
                && *client == name
                && let Seen::Text(seen) = &subscription.seen
            {
                subscription.seen = Seen::Text(Followed { turn: seen.turn + 1, ..held.clone() });
                subscription.dirty = true;
                touched.push(*id);
            }
        }
        touched.into_iter().for_each(|id| self.look(id));
        if self.texts.moves.asked.is_empty() {
            self.texts.moves.last.clear();
        } else {
            let now = self.number();
            self.texts.moves.last.push_back((which, name, now, held));
            if self.texts.moves.last.len() > MAX_MOVES {
                self.texts.moves.last.pop_front();
            }
        }
    }
}
