//! Subscriptions: pulled one update at a time, so a slow reader gets the newest state and never a queue.

use super::commit::{Effect, Unit};
use super::read::NOW;
use super::text_events::Heard;
use super::text_follow::Followed;
use super::{Done, Job, MAX_SUBSCRIPTIONS, Peer};
use crate::api::Role;
use crate::api::{Item, Refusal, Reply, RequestId, Selections, SpaceRef, SubscriptionId, Target, Update};
use crate::document;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::Batch;
use crate::version::Version;
use kith_map::BTreeMap;

/// The most changes handed out in one update of a feed.
const CHANGES_PER_UPDATE: usize = 256;
/// Status subscribers hear of changes at most this often, in milliseconds.
const STATUS_PACE: u64 = 200;

/// What a subscriber was last told.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// Nothing yet.
    Nothing,
    /// Versions it has (from here, or from before as it says).
    Versions(Vec<Version>),
    /// Something that was not all there yet, of these versions.
    Partly(Vec<Version>),
    /// The children it has, with their versions.
    Items(BTreeMap<String, Vec<Version>>, Vec<Version>),
    /// Everything up to a cursor.
    Cursor(Option<String>),
    /// Who is where, by client.
    Cursors(BTreeMap<String, Selections>),
    /// A document.
    Document(serde_json::Value, u64),
    /// A text.
    Text(Followed),
    /// Events of a text.
    Events(Heard),
}

/// An open subscription.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) target: Target,
    pub(super) space: u32,
    pub(super) seen: Seen,
    /// Something may have changed since the last look.
    pub(super) dirty: bool,
    /// The reader waits for an update.
    pulled: bool,
    /// A look is under way.
    looking: bool,
}

impl Peer {
    pub(super) fn subscribe(&mut self, id: RequestId, target: &Target, lens: &Lens<'_>) -> Result<Done, Miss> {
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return refuse(Refusal::TooMany(format!("At most {MAX_SUBSCRIPTIONS} subscriptions may be open.")));
        }
        let space = match target {
            Target::Status => None,
            Target::Value { space, .. }
            | Target::Text { space, .. }
            | Target::List { space, .. }
            | Target::Changes { space, .. }
            | Target::Cursors { space, .. } => Some(space),
        };
        let number = match space {
            None => 0,
            Some(space) => match self.readable(space, lens)? {
                Ok(number) => number,
                Err(refusal) => return refuse(refusal),
            },
        };
        let seen = match target {
            Target::Value { parents: Some(parents), .. } | Target::List { parents: Some(parents), .. } => {
                if let Some(refusal) = self.unknown(number, parents) {
                    return refuse(refusal);
                }
                let mut parents = parents.clone();
                kith_map::sort(&mut parents);
                parents.dedup();
                Seen::Versions(parents)
            }
            Target::Text { path, parents: Some(names), events: true, .. } => {
                match self.hear_from(number, path, names, lens)? {
                    Ok(seen) => seen,
                    Err(refusal) => return refuse(refusal),
                }
            }
            Target::Text { path, parents: Some(names), .. } => match self.follow_from(number, path, names, lens)? {
                Ok(seen) => seen,
                Err(refusal) => return refuse(refusal),
            },
            Target::Changes { since: Some(since), .. } if since == NOW => Seen::Cursor(self.newest_cursor(number)),
            Target::Changes { since, .. } => Seen::Cursor(since.clone()),
            _ => Seen::Nothing,
        };
        let subscription =
            Subscription { target: target.clone(), space: number, seen, dirty: true, pulled: false, looking: false };
        let open = SubscriptionId(self.number());
        let effect = Effect::Subscribed(id, Reply::Subscribed(open), Box::new(subscription));
        Ok(Done::Write(Unit { effects: vec![effect], ..Unit::default() }))
    }

    pub(super) fn opened(&mut self, id: RequestId, reply: Reply, mut subscription: Subscription) {
        self.following(id, &mut subscription);
        if let Reply::Subscribed(open) = &reply {
            self.subscriptions.insert(*open, subscription);
        }
        self.reply(id, reply);
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.subscriptions.remove(&id) {
            self.left(&subscription.target, subscription.space);
        }
    }

    /// Whether a client follows the cursors at a place.
    pub(super) fn is_followed_by(&self, number: u32, path: &Path, client: &str) -> bool {
        self.subscriptions.values().any(|subscription| {
            let follows = |target: &Target| matches!(target, Target::Cursors { path: at, client: Some(name), .. } if at == path && name == client);
            subscription.space == number && follows(&subscription.target)
        })
    }

    pub(super) fn pull(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.pulled = true;
            self.look(id);
        }
    }

    /// Starts a look if the reader waits and something may have changed.
    pub(super) fn look(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        if subscription.pulled && subscription.dirty && !subscription.looking && self.booted {
            if let (Target::Status, Seen::Document(_, at)) = (&subscription.target, &subscription.seen)
                && self.now < at + STATUS_PACE
            {
                let due = at + STATUS_PACE;
                self.wake_by(due);
                return;
            }
            subscription.looking = true;
            subscription.dirty = false;
            self.start(Job::Update(id));
        }
    }

    /// A look was cut short by a storage failure: look again after the restart.
    pub(super) fn put_off(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.looking = false;
            subscription.dirty = true;
        }
    }

    pub(super) fn resume_updates(&mut self) {
        for id in self.subscriptions.keys().copied().collect::<Vec<_>>() {
            self.look(id);
        }
    }

    pub(super) fn end_subscription(&mut self, id: SubscriptionId, refusal: Refusal) {
        if let Some(subscription) = self.subscriptions.remove(&id) {
            self.left(&subscription.target, subscription.space);
            self.outputs.push_back(super::Output::Update(id, Update::End(refusal)));
        }
    }

    /// Values at these places have changed.
    pub(super) fn changed(&mut self, space: u32, paths: &[Path]) {
        let touched: Vec<SubscriptionId> = self
            .subscriptions
            .iter_mut()
            .filter(|(_, subscription)| subscription.space == space && !subscription.dirty)
            .filter(|(_, subscription)| match &subscription.target {
                Target::Value { path, .. } | Target::Text { path, .. } | Target::List { prefix: path, .. } => {
                    paths.iter().any(|changed| path.contains(changed) || changed.contains(path))
                }
                Target::Changes { .. } => true,
                Target::Status | Target::Cursors { .. } => false,
            })
            .map(|(id, subscription)| {
                subscription.dirty = true;
                *id
            })
            .collect();
        for id in touched {
            self.look(id);
        }
        self.try_held(paths);
        self.status_changed();
    }

    /// The status has changed.
    pub(super) fn status_changed(&mut self) {
        self.look_where(|subscription| subscription.target == Target::Status);
    }

    /// Somebody came, moved or left at these places.
    pub(super) fn cursors_changed(&mut self, space: u32, paths: &[Path]) {
        self.look_where(|subscription| {
            subscription.space == space
                && matches!(&subscription.target, Target::Cursors { path, .. } if paths.contains(path))
        });
    }

    /// What some subscriptions follow has changed.
    fn look_where(&mut self, follows: impl Fn(&Subscription) -> bool) {
        let watching: Vec<SubscriptionId> = self
            .subscriptions
            .iter_mut()
            .filter(|(_, subscription)| follows(subscription))
            .map(|(id, subscription)| {
                subscription.dirty = true;
                *id
            })
            .collect();
        for id in watching {
            self.look(id);
        }
    }

    /// Looks what to tell a subscriber.
    pub(super) fn update(&mut self, id: SubscriptionId, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(subscription) = self.subscriptions.get(&id) else { return Ok(Done::Nothing) };
        let Subscription { target, space, seen, .. } = subscription.clone();
        if target != Target::Status {
            self.space(space, lens)?;
            if let Err(refusal) = self.may(space, Role::Reader) {
                self.end_subscription(id, refusal);
                return Ok(Done::Nothing);
            }
        }
        self.glance_at(space, &target);
        let mut batch = Batch::default();
        let told = match &target {
            Target::Status => {
                let document = self.status();
                match &seen {
                    Seen::Document(before, _) if *before == document => None,
                    _ => Some((Update::Document(document.clone()), Seen::Document(document, self.now))),
                }
            }
            Target::Text { path, client, events: true, .. } => {
                match self.events_update(space, path, client.as_deref(), &seen, lens, &mut batch)? {
                    Err(refusal) => {
                        self.end_subscription(id, refusal);
                        return Ok(Done::Nothing);
                    }
                    Ok(told) => told,
                }
            }
            Target::Text { path, .. } => match self.text_update(space, path, &seen, lens)? {
                Err(refusal) => {
                    self.end_subscription(id, refusal);
                    return Ok(Done::Nothing);
                }
                Ok(told) => told,
            },
            Target::Value { path, .. } => match self.value(space, path, lens)? {
                Err(refusal) => {
                    self.end_subscription(id, refusal);
                    return Ok(Done::Nothing);
                }
                Ok((body, version, facts)) => {
                    let parents = seen.versions();
                    let now = if facts.early { Seen::Partly } else { Seen::Versions }(version.clone());
                    let news = facts.early || !matches!(&seen, Seen::Versions(before) if *before == version);
                    news.then_some((Update::Value { body, version, parents, facts }, now))
                }
            },
            Target::List { prefix, query, .. } => {
                let listing = document::list(lens, space, prefix, query, &self.rule(space))?;
                items_update(listing.items, listing.version, &seen, self.early.touches(space, prefix))
            }
            Target::Cursors { path, client, .. } => self.cursors_update(space, path, client.as_deref(), &seen),
            Target::Changes { .. } => {
                let since = if let Seen::Cursor(cursor) = &seen { cursor.clone() } else { None };
                match self.read_changes(space, since.as_deref(), CHANGES_PER_UPDATE, lens)? {
                    Err(refusal) => {
                        self.end_subscription(id, refusal);
                        return Ok(Done::Nothing);
                    }
                    Ok((items, _)) if items.is_empty() => None,
                    Ok((items, next)) => {
                        let cursor = items.last().map_or(next, |item| item.cursor.clone());
                        Some((Update::Changes(items), Seen::Cursor(Some(cursor))))
                    }
                }
            }
        };
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return Ok(Done::Nothing) };
        if let Some((update, seen)) = told {
            // What was looked at may still be on its way to the store; nobody hears of it before it is there.
            let effects = vec![Effect::Update(id, Box::new((update, seen)))];
            return Ok(Done::Write(Unit { effects, batch }));
        }
        if subscription.dirty {
            subscription.dirty = false;
            self.start_later(Job::Update(id));
        } else {
            subscription.looking = false;
        }
        Ok(Done::Nothing)
    }

    /// Hands out an update whose state is stored now.
    pub(super) fn hand_out(&mut self, id: SubscriptionId, update: Update, seen: Seen) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        if let Seen::Text(told) = &seen
            && told.is_outdated(&subscription.seen)
        {
            // A write of its own came between: what it would be told does not fit any more.
            subscription.looking = false;
            subscription.dirty = true;
            self.look(id);
            return;
        }
        // There may be more than one update holds.
        subscription.dirty |= matches!(update, Update::Changes(_) | Update::Events { .. });
        subscription.looking = false;
        subscription.pulled = false;
        subscription.seen = seen;
        self.outputs.push_back(super::Output::Update(id, update));
    }

    /// Looks again where the pace held updates back.
    pub(super) fn look_again(&mut self) {
        let waiting: Vec<SubscriptionId> = self
            .subscriptions
            .iter()
            .filter(|(_, s)| s.target == Target::Status && s.dirty && s.pulled)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.look(id);
        }
    }
}

impl Seen {
    pub(super) fn versions(&self) -> Vec<Version> {
        match self {
            Seen::Versions(versions) | Seen::Partly(versions) | Seen::Items(_, versions) => versions.clone(),
            Seen::Text(held) => held.versions(),
            _ => Vec::new(),
        }
    }
}

fn items_update(items: Vec<Item>, version: Vec<Version>, seen: &Seen, early: bool) -> Option<(Update, Seen)> {
    let now: BTreeMap<String, Vec<Version>> =
        items.iter().map(|item| (item.key.clone(), item.version.clone())).collect();
    let parents = seen.versions();
    match seen {
        _ if early => {
            let update = Update::Items { items, removed: Vec::new(), version: version.clone(), parents, whole: true };
            Some((update, Seen::Partly(version)))
        }
        // It says it has exactly this: only what comes after is told.
        Seen::Versions(before) if *before == version => None,
        Seen::Items(before, _) => {
            if *before == now {
                return None;
            }
            let removed = before.keys().filter(|key| !now.contains_key(*key)).cloned().collect();
            let items = items.into_iter().filter(|item| before.get(&item.key) != Some(&item.version)).collect();
            let update = Update::Items { items, removed, version: version.clone(), parents, whole: false };
            Some((update, Seen::Items(now, version)))
        }
        _ => {
            let update = Update::Items { items, removed: Vec::new(), version: version.clone(), parents, whole: true };
            Some((update, Seen::Items(now, version)))
        }
    }
}

impl Target {
    /// The space a subscription is about, if any.
    pub fn space(&self) -> Option<&SpaceRef> {
        match self {
            Target::Status => None,
            Target::Value { space, .. }
            | Target::Text { space, .. }
            | Target::List { space, .. }
            | Target::Changes { space, .. }
            | Target::Cursors { space, .. } => Some(space),
        }
    }
}
