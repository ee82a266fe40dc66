//! Whom to dial and when: members of our spaces, again and again, ever less often.
//!
//! In a space with more members than a peer has links, who is linked with whom is left to chance, and everybody visits a further member now
//! and then: otherwise two halves that were apart for a while, each linked among themselves, would stay apart.

use super::spread::Acked;
use super::{Job, Output, Peer};
use crate::entropy::Entropy;
use crate::identity::PublicKey;
use kith_map::{BTreeMap, BTreeSet};
use std::cmp::Reverse;

/// No more dials once this many links are up …
const ENOUGH_LINKS: usize = 24;
/// … unless fewer than this many of them are with members of a space.
const FEW_LINKS: usize = 4;
/// So many dials may begin at once, …
const BURST: u64 = 24;
/// … and so many each second: most members of a large space are not there, and asking a relay for each costs some 600 bytes.
const RATE: u64 = 4;
/// So many while there is no link at all.
const RATE_ALONE: u64 = 8;
/// How long a visit lasts, at least, and the time between two, in milliseconds.
const VISIT: u64 = 60_000;
/// The first wait after a failure, in milliseconds; doubled with each further one …
const FIRST_WAIT: u64 = 1_000;
/// … up to this.
const LONGEST_WAIT: u64 = 60_000;
/// Of two members, one dials at once and the other only after this long, so that they do not cross.
const POLITE_WAIT: u64 = 1_500;
/// A dial nothing was heard of for this long counts as failed.
const DIAL_PATIENCE: u64 = 20_000;
/// Who was linked for less than this before the link was lost is dialled again ever less often, too.
const SHORT: u64 = 5_000;
const WAIT_AFTER_LOSS: u64 = 200;
/// Time between looks at whom to dial.
const LOOK: u64 = 1_000;

#[derive(Default)]
pub(super) struct Dials {
    peers: BTreeMap<PublicKey, Dial>,
    next: u64,
    /// Thousandths of dials that count against the burst, and when that was.
    spent: u64,
    spent_at: u64,
    /// Who is visited, and when that may end.
    visiting: Option<PublicKey>,
    visit_at: u64,
}

/// A member that is not linked, and the relays it may be found at.
type Wanted = (PublicKey, Vec<String>);

#[derive(Clone, Copy, Default)]
struct Dial {
    at: u64,
    /// Dials in a row that failed.
    failures: u32,
    /// Links in a row that were lost soon.
    losses: u32,
    under_way: Option<u64>,
    /// When it was linked.
    since: u64,
}

/// How long to wait after one more failure, of which the first costs so much.
fn wait(failures: &mut u32, first: u64) -> u64 {
    let wait = first.saturating_mul(1 << (*failures).min(10)).min(LONGEST_WAIT);
    *failures = failures.saturating_add(1);
    wait
}

fn shuffle(wanted: &mut [Wanted], entropy: &mut Entropy) {
    for last in (1..wanted.len()).rev() {
        wanted.swap(last, entropy.below(last as u64 + 1) as usize);
    }
}

impl Dials {
    pub(super) fn failed(&mut self, peer: PublicKey, now: u64, entropy: &mut Entropy) {
        let dial = self.peers.entry(peer).or_default();
        dial.under_way = None;
        let wait = wait(&mut dial.failures, FIRST_WAIT);
        dial.at = now + wait + entropy.below(wait / 4 + 1);
    }

    pub(super) fn reached(&mut self, peer: &PublicKey, now: u64) {
        let dial = self.peers.entry(*peer).or_default();
        *dial = Dial { losses: dial.losses, since: now, ..Dial::default() };
    }

    pub(super) fn lost(&mut self, peer: PublicKey, now: u64) {
        let dial = self.peers.entry(peer).or_default();
        if now >= dial.since + SHORT {
            dial.losses = 0;
        }
        dial.at = now + wait(&mut dial.losses, WAIT_AFTER_LOSS);
        self.next = self.next.min(dial.at);
    }

    /// This peer is left alone until then.
    pub(super) fn shun(&mut self, peer: PublicKey, until: u64) {
        self.peers.insert(peer, Dial { at: until, ..Dial::default() });
    }

    /// The network changed: whatever failed before may work now.
    pub(super) fn hurry(&mut self) {
        for dial in self.peers.values_mut() {
            (dial.failures, dial.losses, dial.at) = (0, 0, 0);
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
            self.confirm_rest();
            self.settle_early();
            self.repeat();
            self.begin_day();
            self.finish_jobs();
        }
        if let Some(until) = self.joins.iter().map(|join| join.until()).min() {
            self.wake_by(until);
        }
        let shared = self.space_rows.keys().any(|number| *number != self.me);
        if shared || !self.commits.unfinished.is_empty() {
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
        let linked: BTreeSet<PublicKey> = self.links.values().map(|link| link.peer).collect();
        let mut others = Vec::new();
        let rate = if linked.is_empty() { RATE_ALONE } else { RATE };
        let passed = self.now.saturating_sub(std::mem::replace(&mut self.dials.spent_at, self.now));
        self.dials.spent = self.dials.spent.saturating_sub(passed.saturating_mul(rate));
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
            let here = space.authority.members().filter(|(log, ..)| linked.contains(log)).count();
            let enough = linked.len() >= ENOUGH_LINKS && here >= FEW_LINKS;
            if enough && self.now < self.dials.visit_at {
                continue;
            }
            let ticket = space.row.ticket.as_ref();
            let hints = ticket.map(|ticket| ticket.relays.clone()).unwrap_or_default();
            let joining = !space.row.joined;
            let due = |log: &PublicKey| self.dials.peers.get(log).is_none_or(|dial| self.now >= dial.at);
            let mut wanted: Vec<Wanted> = space
                .authority
                .members()
                .filter(|(log, ..)| **log != own && !linked.contains(log) && due(log))
                .map(|(log, device, _)| (*log, device.relays.iter().chain(&hints).cloned().collect()))
                .collect();
            if enough {
                others.extend(wanted);
                continue;
            }
            shuffle(&mut wanted, &mut self.entropy);
            let inviter = ticket.map(|ticket| ticket.inviter);
            if let Some(inviter) = inviter.filter(|log| *log != own && !linked.contains(log))
                && space.authority.role(&inviter).is_none()
            {
                wanted.push((inviter, hints));
            }
            // Who is asked to let us in first, then who was there lately.
            let lately = |log: &PublicKey| space.acks.get(log).map_or(0, Acked::at);
            kith_map::sort_by_key(&mut wanted, |(log, _)| (!joining || Some(*log) != inviter, Reverse(lately(log))));
            for (peer, relays) in wanted {
                self.dial(peer, relays, joining || own < peer);
            }
        }
        self.visit(others);
    }

    /// With enough links: ends the visit to one of the others, unless there is something under way, and begins the next.
    fn visit(&mut self, mut others: Vec<Wanted>) {
        if self.now < self.dials.visit_at || (others.is_empty() && self.dials.visiting.is_none()) {
            return;
        }
        self.dials.visit_at = self.now + VISIT + self.entropy.below(VISIT / 4);
        let visited = self.dials.visiting.and_then(|peer| self.links.iter().find(|(_, link)| link.peer == peer));
        if let Some((id, link)) = visited.filter(|_| self.links.len() > ENOUGH_LINKS) {
            if link.is_busy() {
                return;
            }
            self.hang_up(*id, "visited");
        }
        shuffle(&mut others, &mut self.entropy);
        self.dials.visiting = others.pop().map(|(peer, relays)| {
            self.dial(peer, relays, true);
            peer
        });
    }

    fn dial(&mut self, peer: PublicKey, mut relays: Vec<String>, first: bool) {
        let now = self.now;
        let known = self.dials.peers.contains_key(&peer);
        let Dials { peers, spent, .. } = &mut self.dials;
        let dial = peers.entry(peer).or_default();
        if !known && !first {
            dial.at = now + POLITE_WAIT;
        }
        match dial.under_way {
            Some(since) if now < since + DIAL_PATIENCE => {}
            Some(_) => self.dials.failed(peer, now, &mut self.entropy),
            None if now >= dial.at && *spent + 1000 <= BURST * 1000 => {
                dial.under_way = Some(now);
                *spent += 1000;
                kith_map::sort(&mut relays);
                relays.dedup();
                self.outputs.push_back(Output::Dial(peer, relays));
            }
            None => {}
        }
    }
}
