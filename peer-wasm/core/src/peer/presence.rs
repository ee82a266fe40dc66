//! Presence: who is where in a value just now. Nothing of it is stored; it is gone with the subscription or the link
//! it came over.
//!
//! Each member told over a link gets all of this peer's people in the space at once: when something changes, but not
//! more often than [`PACE`] says. So each frame stands for itself, only the newest is ever worth sending, and who left
//! is who is no longer named.

use super::links::Link;
use super::subscribe::Seen;
use super::{LinkId, Peer};
use crate::api::{Refusal, Reply, Selections, SpaceRef, Target, Update, is_client};
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::wire::{Frame, MAX_PRESENT, Present};
use kith_map::BTreeMap;
use serde_json::Value as Json;

/// Each member is told at most this often of each space, in milliseconds.
const PACE: u64 = 100;
/// Nobody is told while more bytes than this wait to leave on their link: data goes first.
const MOST_QUEUED: usize = 64 << 10;
/// A link may bring so many frames of presence at once …
const BURST: u64 = 64;
/// … and one more in this time, in milliseconds. Who keeps to [`PACE`] in a few spaces never comes near.
const REFILL: u64 = 25;

/// The people of one peer in one space, by place and client.
type People = BTreeMap<(Path, String), Selections>;

/// Everybody who is somewhere.
#[derive(Default)]
pub(super) struct Presence {
    /// Of this peer, by space.
    own: BTreeMap<u32, People>,
    /// Of others, by space and peer.
    theirs: BTreeMap<(u32, PublicKey), Theirs>,
    /// The stamp of the last frame.
    stamp: u64,
    /// Some link may have to be told.
    untold: bool,
}

/// What another peer said last. Links to it may overtake each other: an older stamp says nothing new.
#[derive(Default)]
struct Theirs {
    stamp: u64,
    people: People,
}

/// Where telling a member stands.
#[derive(Default)]
pub(super) struct Telling {
    due: bool,
    not_before: u64,
    /// What it said before it had shown its right to be here.
    early: Option<(u64, Vec<Present>)>,
}

/// How many frames of presence a link may still bring, in steps of [`REFILL`].
#[derive(Default)]
pub(super) struct Budget {
    /// When all that came in will have been paid for.
    paid_at: u64,
}

impl Budget {
    fn take(&mut self, now: u64) -> bool {
        self.take_as(1, now)
    }

    /// Takes a frame that counts as so many.
    pub(super) fn take_as(&mut self, frames: u64, now: u64) -> bool {
        let paid_at = self.paid_at.max(now) + frames * REFILL;
        let fits = paid_at <= now + BURST * REFILL;
        if fits {
            self.paid_at = paid_at;
        }
        fits
    }
}

impl Presence {
    /// Whoever is at a place, by client. This peer's own people cannot be spoken for by others.
    fn at(&self, space: u32, path: &Path) -> BTreeMap<String, Selections> {
        let mut found = BTreeMap::new();
        let from = (space, PublicKey([0; 32]));
        let theirs =
            self.theirs.range(from..).take_while(|((of, _), _)| *of == space).map(|(_, theirs)| &theirs.people);
        for people in theirs.chain(self.own.get(&space)) {
            let here = people.range((path.clone(), String::new())..).take_while(|((at, _), _)| at == path);
            for ((_, client), selections) in here {
                found.insert(client.clone(), selections.clone());
            }
        }
        found
    }
}

impl Peer {
    /// Everybody at a place: `{"<client>":[{"from","to",…}]}`.
    pub(super) fn cursors(&self, number: u32, path: &Path) -> Json {
        let all = self.presence.at(number, path).into_iter();
        Json::Object(all.map(|(client, selections)| (client, selections.as_json().clone())).collect())
    }

    /// A client of this peer says where it is. It must follow the cursors there: its presence ends with that.
    pub(super) fn present(
        &mut self,
        space: &SpaceRef,
        path: &Path,
        client: &str,
        selections: &Selections,
        lens: &Lens<'_>,
    ) -> Result<Reply, Miss> {
        let number = match self.readable(space, lens)? {
            Ok(number) => number,
            Err(refusal) => return Ok(Reply::Refused(refusal)),
        };
        if !is_client(client) || !self.is_followed_by(number, path, client) {
            return Ok(Reply::Refused(Refusal::TooEarly));
        }
        let own = self.presence.own.entry(number).or_default();
        let key = (path.clone(), client.to_owned());
        if selections.is_empty() {
            own.remove(&key);
        } else if own.len() >= MAX_PRESENT && !own.contains_key(&key) {
            let detail = format!("At most {MAX_PRESENT} clients of one device can be seen in a space at once.");
            return Ok(Reply::Refused(Refusal::TooMany(detail)));
        } else {
            own.insert(key, selections.clone());
        }
        self.own_moved(number, path);
        Ok(Reply::Present)
    }

    /// A subscription has ended: who was seen by it is not there any more.
    pub(super) fn left(&mut self, target: &Target, number: u32) {
        let Target::Cursors { path, client: Some(client), .. } = target else { return };
        if self.is_followed_by(number, path, client) {
            return;
        }
        let own = self.presence.own.get_mut(&number);
        if own.and_then(|own| own.remove(&(path.clone(), client.clone()))).is_some() {
            self.own_moved(number, path);
        }
    }

    fn own_moved(&mut self, number: u32, path: &Path) {
        for session in self.links.values_mut().filter_map(|link| link.sessions.get_mut(&number)) {
            session.telling.due |= session.member;
        }
        self.presence.untold = true;
        self.cursors_changed(number, std::slice::from_ref(path));
    }

    /// Tells members what is due to them.
    pub(super) fn tell_presence(&mut self) {
        if !std::mem::take(&mut self.presence.untold) {
            return;
        }
        let now = self.now;
        let mut wake = None;
        let mut due = Vec::new();
        for (id, link) in &self.links {
            for (number, session) in link.sessions.iter().filter(|(_, session)| session.telling.due) {
                if !self.is_best(*id, link, *number) {
                    continue;
                }
                let at = if link.queued > MOST_QUEUED { now + PACE } else { session.telling.not_before };
                if at > now {
                    wake = Some(wake.map_or(at, |wake: u64| wake.min(at)));
                } else {
                    due.push((*id, *number));
                }
            }
        }
        for (id, number) in due {
            let Some(key) = self.space_rows.get(&number).map(|row| row.key) else { continue };
            if let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) {
                session.telling.due = false;
                session.telling.not_before = now + PACE;
            }
            self.presence.stamp = now.max(self.presence.stamp + 1);
            let people = self.presence.own.get(&number).into_iter().flatten();
            let people = people.map(|((path, client), selections)| Present {
                path: path.clone(),
                client: client.clone(),
                selections: selections.as_json().to_string(),
            });
            self.send(id, &Frame::Presence(key, self.presence.stamp, people.collect()));
        }
        if let Some(at) = wake {
            self.presence.untold = true;
            self.wake_by(at);
        }
    }

    /// Whether no other link to that member is better: one is told, not each.
    fn is_best(&self, id: LinkId, link: &Link, number: u32) -> bool {
        let same = |other: &&Link| other.peer == link.peer && other.shares(number);
        let best = self.links.iter().filter(|(_, other)| same(other)).map(|(id, other)| (other.path, *id)).max();
        best == Some((link.path, id))
    }

    /// A member may be told from now on, over this link: who is here already, and what it said too early is heard.
    pub(super) fn presence_begins(&mut self, id: LinkId, number: u32) {
        let some = self.presence.own.get(&number).is_some_and(|own| !own.is_empty());
        let Some(link) = self.links.get_mut(&id) else { return };
        let peer = link.peer;
        let Some(session) = link.sessions.get_mut(&number) else { return };
        let early = session.telling.early.take();
        session.telling.due |= some;
        self.presence.untold |= some;
        if let Some((stamp, people)) = early {
            self.heard_of(id, peer, number, stamp, people);
        }
    }

    /// A peer says who of its people is where in a space.
    pub(super) fn presence_told(&mut self, id: LinkId, number: u32, stamp: u64, people: Vec<Present>) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.presence_budget.take(now) {
            return self.strike(id, "presence-flood");
        }
        let peer = link.peer;
        let Some(session) = link.sessions.get_mut(&number) else { return };
        if session.member {
            self.heard_of(id, peer, number, stamp, people);
        } else {
            session.telling.early = Some((stamp, people));
        }
    }

    fn heard_of(&mut self, id: LinkId, peer: PublicKey, number: u32, stamp: u64, people: Vec<Present>) {
        let mut now = People::new();
        for Present { path, client, selections } in people {
            match Selections::parse(&selections).filter(|selections| !selections.is_empty() && is_client(&client)) {
                Some(selections) => drop(now.insert((path, client), selections)),
                None => self.refuse_from(id, "malformed-presence"),
            }
        }
        let theirs = self.presence.theirs.entry((number, peer)).or_default();
        if stamp < theirs.stamp {
            return;
        }
        theirs.stamp = stamp;
        let before = std::mem::replace(&mut theirs.people, now);
        let moved: Vec<Path> = differing(&before, &theirs.people);
        self.cursors_changed(number, &moved);
    }

    /// A link is gone. If it was the last to that peer, so are its people; if not, another one is told from now on.
    pub(super) fn presence_ends(&mut self, link: &Link) {
        let mut others: Vec<&mut Link> = self.links.values_mut().filter(|other| other.peer == link.peer).collect();
        if !others.is_empty() {
            for session in others.iter_mut().flat_map(|link| link.sessions.values_mut()) {
                session.telling.due |= session.member;
            }
            self.presence.untold = true;
            return;
        }
        for number in link.sessions.keys() {
            if let Some(gone) = self.presence.theirs.remove(&(*number, link.peer)) {
                self.cursors_changed(*number, &differing(&gone.people, &People::new()));
            }
        }
    }

    /// What a follower of a place is told: everybody at first, then who moved or left. Its own client is left out.
    pub(super) fn cursors_update(
        &self,
        number: u32,
        path: &Path,
        client: Option<&str>,
        seen: &Seen,
    ) -> Option<(Update, Seen)> {
        let mut now = self.presence.at(number, path);
        if let Some(client) = client {
            now.remove(client);
        }
        let all = |map: &BTreeMap<String, Selections>| {
            map.iter().map(|(client, selections)| (client.clone(), Some(selections.clone()))).collect::<Vec<_>>()
        };
        let update = match seen {
            Seen::Cursors(before) if *before == now => return None,
            Seen::Cursors(before) => {
                let gone =
                    before.keys().filter(|client| !now.contains_key(*client)).map(|client| (client.clone(), None));
                let mut moved: Vec<_> = gone.collect();
                let new = now.iter().filter(|(client, selections)| before.get(*client) != Some(*selections));
                moved.extend(new.map(|(client, selections)| (client.clone(), Some(selections.clone()))));
                Update::Cursors { cursors: moved, whole: false }
            }
            _ => Update::Cursors { cursors: all(&now), whole: true },
        };
        Some((update, Seen::Cursors(now)))
    }
}

/// The places where two lists of people differ.
fn differing(before: &People, now: &People) -> Vec<Path> {
    let mut places: Vec<Path> = before
        .iter()
        .chain(now)
        .filter(|(key, _)| before.get(*key) != now.get(*key))
        .map(|((path, _), _)| path.clone())
        .collect();
    kith_map::sort(&mut places);
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selections(from: u64) -> Selections {
        Selections::parse(&format!("[{{\"from\":{from},\"to\":{from}}}]")).unwrap()
    }

    fn people(of: &[(&str, &str, u64)]) -> People {
        of.iter()
            .map(|(path, client, at)| ((Path::new([*path]).unwrap(), (*client).to_owned()), selections(*at)))
            .collect()
    }

    #[test]
    fn others_cannot_speak_for_this_peers_people() {
        let mut presence = Presence::default();
        presence.own.insert(1, people(&[("a", "me", 1)]));
        let theirs = Theirs { stamp: 1, people: people(&[("a", "me", 9), ("a", "you", 2), ("b", "you", 3)]) };
        presence.theirs.insert((1, PublicKey([255; 32])), theirs);
        presence.theirs.insert((2, PublicKey([0; 32])), Theirs { stamp: 1, people: people(&[("a", "else", 5)]) });
        let at = presence.at(1, &Path::new(["a"]).unwrap());
        assert_eq!(at, [("me".to_owned(), selections(1)), ("you".to_owned(), selections(2))].into_iter().collect());
    }

    #[test]
    fn a_flood_of_frames_does_not_fit_and_the_usual_pace_does() {
        let mut budget = Budget::default();
        let fit = (0..1_000).filter(|_| budget.take(10_000)).count();
        assert_eq!(fit as u64, BURST);
        assert!((0..1_000).all(|n| Budget::take(&mut budget, 20_000 + n * PACE)));
    }

    #[test]
    fn places_that_differ() {
        let before = people(&[("a", "x", 1), ("b", "x", 1), ("c", "x", 1)]);
        let now = people(&[("a", "x", 2), ("b", "x", 1), ("d", "y", 1)]);
        let names: Vec<String> = differing(&before, &now).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a", "c", "d"]);
    }
}
