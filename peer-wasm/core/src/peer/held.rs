//! Edits of a text that came before what they build on: requests overtake each other, and others' entries may be on
//! their way. They wait a little for that instead of being refused at once.

use super::commit::{Effect, Unit};
use super::early::GLANCE;
use super::{Done, Job, Peer};
use crate::api::{Change, Refusal, Reply, Request, RequestId};
use crate::path::Path;

/// How long such an edit waits, in milliseconds.
const PATIENCE: u64 = 1_500;
/// How many wait at most; any further one is refused at once.
const MAX_HELD: usize = 256;

/// An edit that waits.
pub(super) struct Held {
    id: RequestId,
    request: Request,
    /// Until when.
    until: u64,
    /// It is being tried again just now …
    trying: bool,
    /// … and something has changed since that began.
    again: bool,
}

impl Held {
    fn is_at(&self, paths: &[Path]) -> bool {
        matches!(&self.request, Request::Write { path, .. } if paths.iter().any(|changed| changed.contains(path) || path.contains(changed)))
    }
}

impl Peer {
    /// What comes of a write: an edit that names an unknown state, or a text still in work, is held
    /// back unless it has waited long enough.
    pub(super) fn hold_back(&mut self, id: RequestId, request: &Request, done: Done) -> Done {
        if !matches!(request, Request::Write { change: Change::Text(_), .. }) {
            return done;
        }
        let known = self.held.iter().position(|held| held.id == id);
        let unknown = matches!(&done, Done::Write(Unit { batch, effects }) if batch.is_empty()
            && matches!(effects.as_slice(), [Effect::Reply(_, Reply::Refused(Refusal::VersionUnknown { .. } | Refusal::Unavailable { .. }))]));
        let (now, has_room) = (self.now, self.held.len() < MAX_HELD);
        let held = match known {
            Some(at) => self.held.get_mut(at),
            None => None,
        };
        match held {
            Some(held) if unknown && held.until > now => {
                held.trying = std::mem::take(&mut held.again);
                if held.trying {
                    self.start_later(Job::Request(id, request.clone()));
                }
                Done::Nothing
            }
            Some(_) => {
                self.forget_held(id);
                done
            }
            None if unknown && has_room => {
                self.keep(id, request, now + PATIENCE);
                Done::Nothing
            }
            None => done,
        }
    }

    /// Whether a read waits for what was asked of others; not for long.
    pub(super) fn hold_read(&mut self, id: RequestId, request: &Request, awaited: bool) -> bool {
        let (now, has_room) = (self.now, self.held.len() < MAX_HELD);
        match self.held.iter_mut().find(|held| held.id == id) {
            Some(held) if awaited && held.until > now => {
                held.trying = false;
                true
            }
            Some(_) => {
                self.forget_held(id);
                false
            }
            None if awaited && has_room => {
                self.keep(id, request, now + GLANCE);
                true
            }
            None => false,
        }
    }

    /// It is tried again when what it waits for may be there, until that time.
    fn keep(&mut self, id: RequestId, request: &Request, until: u64) {
        self.held.push(Held { id, request: request.clone(), until, trying: false, again: false });
        self.wake_by(until);
    }

    /// Something was answered that reads may wait for.
    pub(super) fn try_reads(&mut self) {
        self.try_those(|held| !matches!(held.request, Request::Write { .. }));
    }

    /// It has its answer.
    pub(super) fn forget_held(&mut self, id: RequestId) {
        self.held.retain(|held| held.id != id);
    }

    /// Something has changed at these places: edits there may fit now.
    pub(super) fn try_held(&mut self, paths: &[Path]) {
        self.try_those(|held| held.is_at(paths));
    }

    /// Tries for the last time what has waited long enough.
    pub(super) fn release_held(&mut self) {
        let now = self.now;
        self.try_those(|held| held.until <= now && !held.trying);
        if let Some(until) = self.held.iter().filter(|held| !held.trying).map(|held| held.until).min() {
            self.wake_by(until);
        }
    }

    fn try_those(&mut self, which: impl Fn(&Held) -> bool) {
        let mut jobs = Vec::new();
        for held in self.held.iter_mut().filter(|held| which(held)) {
            if held.trying {
                held.again = true;
            } else {
                held.trying = true;
                jobs.push(Job::Request(held.id, held.request.clone()));
            }
        }
        for job in jobs {
            self.start(job);
        }
    }
}
