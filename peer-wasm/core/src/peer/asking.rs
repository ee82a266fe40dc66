//! Asking for what we lack: from one link at a time, and from another where it did not come.

use super::{LinkId, Peer};
use crate::api::Role;
use crate::entry::{Entry, Tip};
use crate::identity::PublicKey;
use crate::wire::{Frame, MAX_ITEMS};
use kith_map::BTreeSet;

/// How long a peer that was asked for a log may send nothing of it, in milliseconds, …
const PATIENCE: u64 = 10_000;
/// … and how long what it sends may be of no use.
const LONG_PATIENCE: u64 = 30_000;
/// After entries that do not follow, a log is asked for again once nothing of it came for this long, in milliseconds:
/// what was on its way already need not come twice.
const SILENCE: u64 = 1_000;
/// What the author is about to send is asked of others after this time, in milliseconds.
const GRACE: u64 = 1_000;

/// A log that a peer has been asked for.
pub(super) struct Asked {
    upto: u64,
    /// When it last sent some of it.
    at: u64,
    /// When that last was of use, or when it was asked.
    since: u64,
    /// What came did not follow what we have.
    gap: bool,
}

impl Asked {
    fn is_coming(&self, now: u64) -> bool {
        now < self.at + PATIENCE && now < self.since + LONG_PATIENCE
    }
}

impl Peer {
    /// Asks for what the other peer has and we lack, unless someone else is sending it.
    pub(super) fn ask(&mut self, id: LinkId, number: u32) {
        self.ask_for(id, number, None);
    }

    /// The same, looking only at these logs.
    pub(super) fn ask_for(&mut self, id: LinkId, number: u32, logs: Option<&[PublicKey]>) {
        let Some(space) = self.spaces.get(&number) else { return };
        let joining = !space.authority.is_founded();
        let Some(link) = self.links.get(&id) else { return };
        let Some(session) = link.sessions.get(&number) else { return };
        // Who joins may know only the founder yet, and need not meet it: what says who else belongs is taken from anybody.
        let stranger = !session.member && !joining;
        if stranger && space.row.joined || self.is_paused() || self.inboxes.is_left(number) {
            return;
        }
        let now = self.now;
        let inviter = space.row.ticket.as_ref().map(|ticket| ticket.inviter);
        // An author sends what is new itself, to those it has a link with.
        let is_linked = |log: &PublicKey| self.links.values().any(|link| link.peer == *log && link.shares(number));
        let mut graces: Vec<PublicKey> = Vec::new();
        let mut wants: Vec<(PublicKey, u64)> = Vec::new();
        let mut targets: Vec<(PublicKey, Asked)> = Vec::new();
        let mut forks: Vec<PublicKey> = Vec::new();
        let theirs: Vec<(&PublicKey, &(u64, [u8; 32]))> = match logs {
            Some(logs) => logs.iter().filter_map(|log| Some((log, session.theirs.get(log)?))).collect(),
            None => session.theirs.iter().collect(),
        };
        for (log, (len, hash)) in theirs {
            let tip = space.log(log).map_or(Tip::EMPTY, |(_, log)| log.tip);
            // Nearly always, and this is asked after every frame.
            if *len == tip.len && *hash == tip.hash {
                continue;
            }
            // A forked log counts up to where its histories part.
            let len = space.cut(log).map_or(*len, |cut| cut.min(*len));
            if space.forks.contains_key(log) && len <= tip.len {
                continue;
            }
            if len == tip.len && *hash != tip.hash && tip.len > 0 {
                forks.push(*log);
            }
            // The founding tells who else may say anything.
            let first = *log == space.row.key || Some(*log) == inviter;
            if len <= tip.len || (joining || stranger) && !first || self.is_over_quota(space, log) {
                continue;
            }
            // Whoever is sending a log is let finish; what is there beyond that is asked for then.
            let mut asked = self.links.values().filter_map(|link| link.sessions.get(&number)?.asked.get(log));
            let held = session.held.get(log).is_some_and(|until| now < *until) && !joining;
            if held || asked.any(|asked| asked.is_coming(now)) {
                continue;
            }
            let spared = session.grace.get(log).is_none_or(|until| now < *until);
            if spared && link.peer != *log && is_linked(log) {
                graces.push(*log);
            } else if wants.len() < MAX_ITEMS {
                wants.push((*log, tip.len));
                targets.push((*log, Asked { upto: len, at: now, since: now, gap: false }));
            }
        }
        // Who may do what comes before what they did.
        let owner = |log: &PublicKey| Some(*log) == inviter || space.authority.role(log) == Some(Role::Owner);
        kith_map::sort_by_key(&mut wants, |(log, _)| (*log != space.row.key, !owner(log), *log));
        let key = space.row.key;
        if let Some(session) = self.session(id, number) {
            for (log, asked) in targets {
                session.grace.remove(&log);
                session.asked.insert(log, asked);
            }
            for log in graces {
                let until = *session.grace.entry(log).or_insert(now + GRACE);
                session.held.insert(log, until);
            }
        }
        if !wants.is_empty() {
            self.send(id, &Frame::Want(key, wants));
            self.glance_all(number);
        }
        for log in forks {
            self.suspect_fork(id, number, log, Vec::new());
        }
    }

    /// How many entries we lack of what a link has, as far as they are taken, while any are on their way over it.
    pub(super) fn lacking_from(&self, id: LinkId, number: u32) -> u64 {
        let link = self.links.get(&id).filter(|link| self.may_know(link, number));
        let session = link.and_then(|link| link.sessions.get(&number)).filter(|session| !session.asked.is_empty());
        let (Some(session), Some(space)) = (session, self.spaces.get(&number)) else { return 0 };
        let lacks = |(log, (len, _)): (&PublicKey, &(u64, [u8; 32]))| {
            let tip = space.log(log).map_or(0, |(_, log)| log.tip.len);
            let lacks = space.cut(log).map_or(*len, |cut| cut.min(*len)).saturating_sub(tip);
            let is_held =
                || session.held.get(log).is_some_and(|until| self.now < *until) && !session.asked.contains_key(log);
            if lacks > 0 && (is_held() || self.is_over_quota(space, log)) { 0 } else { lacks }
        };
        session.theirs.iter().map(lacks).fold(0, u64::saturating_add)
    }

    /// How many entries of a space are on their way, at least.
    pub(super) fn lacking(&self, number: u32) -> u64 {
        self.links.keys().map(|id| self.lacking_from(*id, number)).max().unwrap_or(0)
    }

    /// Asks every link for what we lack of a space.
    pub(super) fn ask_everyone(&mut self, number: u32) {
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.ask(id, number);
        }
    }

    /// A log has grown to this length.
    pub(super) fn progress(&mut self, number: u32, log: PublicKey, len: u64) {
        let now = self.now;
        for session in self.links.values_mut().filter_map(|link| link.sessions.get_mut(&number)) {
            if let Some(asked) = session.asked.get_mut(&log) {
                (asked.at, asked.since) = (now, now);
                if len >= asked.upto {
                    session.asked.remove(&log);
                }
            }
        }
    }

    /// Notes that something of these logs has come.
    pub(super) fn note_arriving(&mut self, id: LinkId, number: u32, entries: &[Entry]) {
        let now = self.now;
        let Some(session) = self.session(id, number) else { return };
        for run in entries.chunk_by(|a, b| a.header.log == b.header.log) {
            if let Some(asked) = run.first().and_then(|first| session.asked.get_mut(&first.header.log)) {
                asked.at = now;
            }
        }
    }

    /// What came of a log does not follow what we have: it is asked for again, once what is on its way has come. True
    /// if that can be done at once.
    pub(super) fn note_gap(&mut self, id: LinkId, number: u32, log: &PublicKey) -> bool {
        let Some(session) = self.session(id, number) else { return false };
        match session.asked.get_mut(log) {
            Some(asked) => {
                asked.gap = true;
                false
            }
            None => true,
        }
    }

    /// Who was asked for a log and sends nothing is not asked for it again for a while; others are.
    pub(super) fn give_up_waiting(&mut self) {
        let now = self.now;
        let mut late = BTreeSet::new();
        for (id, link) in &mut self.links {
            for (number, session) in &mut link.sessions {
                // What came and waits here is no fault of the sender's.
                if self.inboxes.has(*number, *id) {
                    continue;
                }
                let held = &mut session.held;
                session.asked.retain(|log, asked| {
                    let again = asked.gap && now >= asked.at + SILENCE;
                    if !asked.is_coming(now) {
                        held.insert(*log, now + 3 * PATIENCE);
                    } else if !again {
                        return true;
                    }
                    late.insert(*number);
                    false
                });
            }
        }
        for number in late {
            self.ask_everyone(number);
        }
    }
}
