//! Finding out where two peers' sets of logs differ, at a cost that grows with the difference.
//!
//! Of two peers the one with the smaller key begins, with the sums of sixteen ranges. Whoever is told sums answers
//! with finer sums where its own differ, or with everything it has of a range if that is little. Whoever is told
//! everything of a range says what it has beyond that, and asks for what it lacks. A set that is small is told whole,
//! by both sides. See [`crate::ranges`] for the sums.

use super::links::Session;
use super::{LinkId, Peer};
use crate::identity::PublicKey;
use crate::ranges::{FEW, Prefix, Salt, SaltKey, ShortSum};
use crate::wire::{Frame, LogHead, MAX_RANGES, RangeHeads, RangeSums};

/// A set of at most this many logs is told whole at once.
const SMALL: usize = 32;
/// A comparison begun less than this long ago is not begun again, in milliseconds.
const JUST_NOW: u64 = 2_000;
/// Answers to comparisons are counted over this time, in milliseconds …
const WORK_TIME: u64 = 60_000;
/// … and may name this many ranges and logs in it, …
const WORK: usize = 8192;
/// … and so many more for each log there is.
const WORK_PER_LOG: usize = 8;

/// How far two peers have come in comparing what they have.
#[derive(Default)]
pub(super) struct Compared {
    /// The other peer has said what it has of our log, at least.
    pub(super) heard: bool,
    /// It has told everything it has.
    told_us: bool,
    /// It has been told everything we have.
    told_them: bool,
    /// It said something that was not answered, because it had not shown yet that it may be here.
    missed: bool,
    begun: u64,
    work: usize,
    work_since: u64,
}

impl Peer {
    /// Whether this side begins comparisons.
    fn leads(&self, peer: &PublicKey) -> bool {
        self.device().is_some_and(|own| own < *peer)
    }

    /// Says what we have to someone who may know it, as far as it takes to find the differences.
    pub(super) fn say_what_we_have(&mut self, id: LinkId, number: u32) {
        let own = self.device();
        let (Some(link), Some(space)) = (self.links.get_mut(&id), self.spaces.get(&number)) else { return };
        let (peer, size) = (link.peer, space.stored.len());
        let Some(session) = link.sessions.get_mut(&number) else { return };
        let Compared { told_us, told_them, missed, .. } = session.compared;
        if told_them {
            return;
        }
        if size <= SMALL {
            return self.begin_comparison(id, number);
        }
        let ends: Vec<PublicKey> = [Some(peer), own].into_iter().flatten().collect();
        self.say_have(id, number, &ends);
        if told_us {
            self.say_what_they_lack(id, number, &[Prefix::ALL]);
        } else if self.leads(&peer) {
            self.begin_comparison(id, number);
        } else if missed {
            self.say_sum(id, number);
        }
    }

    /// Tells everything if it is little, or else the sums of sixteen ranges.
    fn begin_comparison(&mut self, id: LinkId, number: u32) {
        let salt = self.entropy.array();
        let (Some(link), Some(space)) = (self.links.get_mut(&id), self.spaces.get_mut(&number)) else { return };
        let Some(session) = link.sessions.get_mut(&number) else { return };
        let key = space.row.key;
        let range = Prefix::ALL;
        let frame = if space.stored.len() <= SMALL {
            session.compared.told_them = true;
            Frame::Heads(key, vec![RangeHeads { range, logs: heads(space, &range) }])
        } else {
            let parts = space.stored.parts(&range, &SaltKey::new(&key, &salt));
            Frame::Sums(key, salt, vec![RangeSums { range, parts }])
        };
        self.send(id, &frame);
    }

    /// Says everything we have in one sum. Whoever has something else will know.
    pub(super) fn say_sum(&mut self, id: LinkId, number: u32) {
        let salt = self.entropy.array();
        let Some(space) = self.spaces.get_mut(&number) else { return };
        let key = space.row.key;
        let sum = space.stored.sum(&Prefix::ALL).unwrap_or_default();
        let frame = Frame::Sum(key, salt, SaltKey::new(&key, &salt).short(&sum));
        if let Some(session) = self.session(id, number) {
            session.compared.told_them = false;
        }
        self.send(id, &frame);
    }

    /// Compares everything the other side has, in one sum, with what we have.
    pub(super) fn sum_told(&mut self, id: LinkId, number: u32, salt: Salt, theirs: ShortSum) {
        let now = self.now;
        let Some(leads) = self.links.get(&id).map(|link| self.leads(&link.peer)) else { return };
        let ours = self.spaces.get_mut(&number).map(|space| {
            let sum = space.stored.sum(&Prefix::ALL).unwrap_or_default();
            SaltKey::new(&space.row.key, &salt).short(&sum)
        });
        let Some(session) = self.session(id, number) else { return };
        let (true, Some(ours)) = (session.member, ours) else {
            session.compared.missed = true;
            return;
        };
        let just_begun = session.compared.begun > 0 && now < session.compared.begun + JUST_NOW;
        session.compared.told_them = false;
        if ours == theirs {
            return self.acknowledged(id, number, u64::MAX);
        }
        if just_begun {
            return;
        }
        session.compared.begun = now;
        if leads {
            self.begin_comparison(id, number);
        } else {
            self.say_sum(id, number);
        }
    }

    /// Answers sums of ranges: with finer sums or with everything, where they differ from ours.
    pub(super) fn sums_told(&mut self, id: LinkId, number: u32, salt: Salt, ranges: &[RangeSums]) {
        let fresh = self.entropy.array();
        let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) else { return };
        let space = self.spaces.get_mut(&number).filter(|space| session.member || !space.authority.is_founded());
        let (Some(space), false) = (space, session.compared.told_them) else {
            session.compared.missed |= !session.member;
            return;
        };
        let key = space.row.key;
        let (theirs_key, ours_key) = (SaltKey::new(&key, &salt), SaltKey::new(&key, &fresh));
        let (mut lists, mut finer, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
        for RangeSums { range, parts } in ranges {
            let ours = space.stored.parts(range, &theirs_key);
            for number in 0..16 {
                let of = |parts: &[(u8, ShortSum)]| parts.iter().find(|(part, _)| *part == number).map(|(_, sum)| *sum);
                let (theirs, ours) = (of(parts), of(&ours));
                let Some(part) = range.part(number).filter(|_| theirs != ours) else { continue };
                if theirs.is_none() {
                    beyond.push(part);
                } else if space.stored.count(&part) <= FEW {
                    lists.push(RangeHeads { range: part, logs: heads(space, &part) });
                } else {
                    finer.push(RangeSums { range: part, parts: space.stored.parts(&part, &ours_key) });
                }
            }
        }
        let told: usize = lists.iter().map(|list| list.logs.len()).sum();
        if !self.afford(id, number, ranges.len() + finer.len() + lists.len() + told) {
            return;
        }
        for ranges in finer.chunks(MAX_RANGES) {
            self.send(id, &Frame::Sums(key, fresh, ranges.to_vec()));
        }
        for ranges in lists.chunks(MAX_RANGES) {
            self.send(id, &Frame::Heads(key, ranges.to_vec()));
        }
        self.say_what_they_lack(id, number, &beyond);
    }

    /// Takes in everything the other side has of some ranges, and says what we have beyond that.
    pub(super) fn heads_told(&mut self, id: LinkId, number: u32, lists: Vec<RangeHeads>) {
        let Some(session) = self.session(id, number) else { return };
        session.compared.told_us |= lists.iter().any(|list| list.range == Prefix::ALL);
        let answers = session.member && !session.compared.told_them;
        session.compared.missed |= !session.member;
        let ranges: Vec<Prefix> = lists.iter().map(|list| list.range).collect();
        let logs = lists.into_iter().flat_map(|list| list.logs).collect();
        self.have(id, number, logs);
        if answers && self.afford(id, number, ranges.len()) {
            self.say_what_they_lack(id, number, &ranges);
        }
    }

    /// Says what we have of some ranges beyond what the other side has said to have.
    fn say_what_they_lack(&mut self, id: LinkId, number: u32, ranges: &[Prefix]) {
        let Some(space) = self.spaces.get(&number) else { return };
        let Some(session) = self.links.get(&id).and_then(|link| link.sessions.get(&number)) else { return };
        if !session.member {
            return;
        }
        let lacks = |log: &PublicKey, len: u64| session.theirs.get(log).is_none_or(|(theirs, _)| *theirs < len);
        let told: Vec<PublicKey> = ranges
            .iter()
            .flat_map(|range| space.stored.logs(range))
            .filter(|(log, tip)| lacks(log, tip.len))
            .map(|(log, _)| log)
            .collect();
        if self.afford(id, number, told.len()) {
            self.say_have(id, number, &told);
        }
    }

    /// Whether comparisons on a link may cost this much more; else it is told off.
    fn afford(&mut self, id: LinkId, number: u32, work: usize) -> bool {
        let now = self.now;
        let limit = WORK + WORK_PER_LOG * self.spaces.get(&number).map_or(0, |space| space.stored.len());
        let Some(session) = self.session(id, number) else { return false };
        let compared = &mut session.compared;
        if now >= compared.work_since + WORK_TIME {
            (compared.work_since, compared.work) = (now, 0);
        }
        compared.work += work;
        if compared.work > limit {
            self.strike(id, "too-many-ranges");
            return false;
        }
        true
    }

    pub(super) fn session(&mut self, id: LinkId, number: u32) -> Option<&mut Session> {
        self.links.get_mut(&id)?.sessions.get_mut(&number)
    }
}

/// What is stored of the logs in a range.
fn heads(space: &super::space::Space, range: &Prefix) -> Vec<LogHead> {
    space.stored.logs(range).into_iter().map(|(log, tip)| (log, tip.len, tip.hash)).collect()
}
