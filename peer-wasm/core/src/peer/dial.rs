//! Whom to dial and when: members of our spaces, again and again, ever less often.

use super::{Job, Output, Peer};
use crate::entropy::Entropy;
use crate::identity::PublicKey;
use kith_map::BTreeMap;

/// No more dials once this many links are up.
const ENOUGH_LINKS: usize = 24;
/// The first wait after a failure, in milliseconds; doubled with each further one …
const FIRST_WAIT: u64 = 1_000;
/// … up to this.
const LONGEST_WAIT: u64 = 60_000;
/// Of two members, one dials at once and the other only after this long, so that they do not cross.
const POLITE_WAIT: u64 = 1_500;
/// A dial nothing was heard of for this long counts as failed.
const DIAL_PATIENCE: u64 = 20_000;
/// Time between looks at whom to dial.
const LOOK: u64 = 1_000;

#[derive(Default)]
pub(super) struct Dials {
    peers: BTreeMap<PublicKey, Dial>,
    next: u64,
}

#[derive(Clone, Copy, Default)]
struct Dial {
    at: u64,
    failures: u32,
    under_way: Option<u64>,
}

impl Dials {
    pub(super) fn failed(&mut self, peer: PublicKey, now: u64, entropy: &mut Entropy) {
        let dial = self.peers.entry(peer).or_default();
        dial.under_way = None;
        let wait = FIRST_WAIT.saturating_mul(1 << dial.failures.min(10)).min(LONGEST_WAIT);
        dial.failures = dial.failures.saturating_add(1);
        dial.at = now + wait + entropy.below(wait / 4 + 1);
    }

    pub(super) fn reached(&mut self, peer: &PublicKey) {
        self.peers.insert(*peer, Dial::default());
    }

    pub(super) fn lost(&mut self, peer: PublicKey, now: u64) {
        self.peers.insert(peer, Dial { at: now + 200, ..Dial::default() });
        self.next = self.next.min(now + 200);
    }

    /// This peer is left alone until then.
    pub(super) fn shun(&mut self, peer: PublicKey, until: u64) {
        self.peers.insert(peer, Dial { at: until, ..Dial::default() });
    }

    /// The network changed: whatever failed before may work now.
    pub(super) fn hurry(&mut self) {
        for dial in self.peers.values_mut() {
            dial.failures = 0;
            dial.at = 0;
        }
        self.next = 0;
    }
}

impl Peer {
    pub(super) fn plan_dials(&mut self) {
        self.dials.next = self.now;
    }

    /// Things that are due by the clock.
    pub(super) fn tick(&mut self) {
        if !self.booted {
            return;
        }
        if self.wake_at.is_some_and(|at| at <= self.now) {
            self.wake_at = None;
        }
        self.resume();
        self.answer_joins();
        self.look_again();
        self.release_held();
        if self.now >= self.dials.next {
            self.dials.next = self.now + LOOK;
            self.dial_members();
            self.retry_held();
            self.collect_again();
            self.seek_missing();
            self.give_up_waiting();
            self.settle_early();
            self.repeat();
            self.begin_day();
        }
        if let Some(until) = self.joins.iter().map(|join| join.until()).min() {
            self.wake_by(until);
        }
        let shared = self.space_rows.keys().any(|number| *number != self.me);
        if shared {
            self.wake_by(self.dials.next);
        }
    }

    /// Logs held back for a while are asked for again.
    fn retry_held(&mut self) {
        let now = self.now;
        let mut due = Vec::new();
        for (id, link) in &mut self.links {
            for (number, session) in &mut link.sessions {
                let before = session.held.len();
                session.held.retain(|_, until| *until > now);
                if session.held.len() < before {
                    due.push((*id, *number));
                }
            }
        }
        for (id, number) in due {
            self.ask(id, number);
        }
    }

    fn dial_members(&mut self) {
        let Some(own) = self.device() else { return };
        let alive = self.space_rows.iter().filter(|(number, row)| **number != self.me && !row.archive);
        let numbers: Vec<u32> = alive.map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(space) = self.spaces.get(&number) else {
                // Members are known once the space is in memory.
                if !self.tasks.values().any(|task| matches!(task.job, Job::Replay(space) if space == number)) {
                    self.start_later(Job::Replay(number));
                }
                continue;
            };
            let ticket = space.row.ticket.as_ref();
            let hints = ticket.map(|ticket| ticket.relays.clone()).unwrap_or_default();
            let joining = !space.row.joined;
            let mut wanted: Vec<(PublicKey, Vec<String>)> = space
                .authority
                .members()
                .map(|(log, device, _)| (*log, device.relays.iter().chain(&hints).cloned().collect()))
                .collect();
            if let Some(ticket) = ticket
                && !wanted.iter().any(|(log, _)| *log == ticket.inviter)
            {
                wanted.push((ticket.inviter, hints));
            }
            for (peer, mut relays) in wanted {
                kith_map::sort(&mut relays);
                relays.dedup();
                if peer != own {
                    self.dial(peer, relays, joining || own < peer);
                }
            }
        }
    }

    fn dial(&mut self, peer: PublicKey, relays: Vec<String>, first: bool) {
        let linked = self.links.values().any(|link| link.peer == peer);
        if linked || self.links.len() >= ENOUGH_LINKS {
            return;
        }
        let now = self.now;
        let known = self.dials.peers.contains_key(&peer);
        let dial = self.dials.peers.entry(peer).or_default();
        if !known && !first {
            dial.at = now + POLITE_WAIT;
        }
        match dial.under_way {
            Some(since) if now < since + DIAL_PATIENCE => {}
            Some(_) => self.dials.failed(peer, now, &mut self.entropy),
            None if now >= dial.at => {
                dial.under_way = Some(now);
                self.outputs.push_back(Output::Dial(peer, relays));
            }
            None => {}
        }
    }
}
