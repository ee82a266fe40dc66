//! Entries that came in and wait to be taken in: a queue for each link, taken from in turn, so that nobody who sends
//! a lot keeps others waiting. What came before a link ended still counts: it need not be sent again.

use super::{LinkId, Peer};
use crate::entry::Entry;
use kith_map::BTreeMap;
use std::collections::VecDeque;

/// Bytes of entries waiting, per link and space; the sender's window keeps honest ones below. As much may be left of
/// links that have ended.
const MAX_INBOX: usize = 12 << 20;

/// What waits, by space and link.
#[derive(Default)]
pub(super) struct Inboxes {
    waiting: BTreeMap<(u32, LinkId), Inbox>,
    /// From which link something was taken last.
    last: BTreeMap<u32, LinkId>,
}

#[derive(Default)]
struct Inbox {
    frames: VecDeque<(Vec<Entry>, usize)>,
    bytes: usize,
    /// Its link has ended.
    left: bool,
}

impl Inboxes {
    /// Puts entries in; false if there are too many already.
    pub(super) fn put(&mut self, space: u32, link: LinkId, entries: Vec<Entry>) -> bool {
        let bytes: usize = entries.iter().map(|entry| entry.raw().len()).sum();
        let inbox = self.waiting.entry((space, link)).or_default();
        if inbox.bytes + bytes > MAX_INBOX {
            return false;
        }
        inbox.bytes += bytes;
        inbox.frames.push_back((entries, bytes));
        true
    }

    /// Whether anything waits that came over a link.
    pub(super) fn has(&self, space: u32, link: LinkId) -> bool {
        self.waiting.contains_key(&(space, link))
    }

    /// Whose turn it is.
    pub(super) fn turn(&self, space: u32) -> Option<LinkId> {
        let last = self.last.get(&space).copied().unwrap_or(LinkId(0));
        let links = || self.waiting.range((space, LinkId(0))..=(space, LinkId(u64::MAX))).map(|((_, link), _)| *link);
        links().find(|link| *link > last).or_else(|| links().next())
    }

    /// The next entries that came over a link.
    pub(super) fn front(&self, space: u32, link: LinkId) -> Option<&Vec<Entry>> {
        self.waiting.get(&(space, link))?.frames.front().map(|(entries, _)| entries)
    }

    /// Drops what has been taken in.
    pub(super) fn took(&mut self, space: u32, link: LinkId) {
        let Some(inbox) = self.waiting.get_mut(&(space, link)) else { return };
        if let Some((_, bytes)) = inbox.frames.pop_front() {
            inbox.bytes = inbox.bytes.saturating_sub(bytes);
        }
        if inbox.frames.is_empty() {
            self.waiting.remove(&(space, link));
        }
        self.last.insert(space, link);
    }

    /// A link has ended. What came over it stays if there is room.
    fn leave(&mut self, link: LinkId) {
        let left: usize = self.waiting.values().filter(|inbox| inbox.left).map(|inbox| inbox.bytes).sum();
        let mut room = MAX_INBOX.saturating_sub(left);
        self.waiting.retain(|(_, of), inbox| {
            if *of != link || inbox.left {
                return true;
            }
            let fits = inbox.bytes <= room;
            room = room.saturating_sub(inbox.bytes);
            inbox.left = true;
            fits
        });
    }

    /// Drops everything that came over a link.
    pub(super) fn drop_link(&mut self, link: LinkId) {
        self.waiting.retain(|(_, of), _| *of != link);
    }

    /// Whether anything is left of links that have ended.
    pub(super) fn is_left(&self, space: u32) -> bool {
        self.waiting.range((space, LinkId(0))..=(space, LinkId(u64::MAX))).any(|(_, inbox)| inbox.left)
    }
}

impl Peer {
    /// What a link that has ended leaves behind: entries that are still taken in. What it was asked for and did not
    /// send is asked of others, but not before.
    pub(super) fn leave_inbox(&mut self, id: LinkId, number: u32) {
        self.inboxes.leave(id);
        if !self.inboxes.has(number, id) {
            self.preparing.remove(&(id, number));
        }
        if !self.inboxes.is_left(number) {
            self.ask_everyone(number);
        }
        self.ingest_next(number);
    }

    /// The front of an inbox has been taken in.
    pub(super) fn took_from_inbox(&mut self, id: LinkId, number: u32) {
        self.inboxes.took(number, id);
        if !self.links.contains_key(&id) && !self.inboxes.is_left(number) {
            self.ask_everyone(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Kind, Tip};
    use crate::identity::SecretKey;

    fn entry(bytes: usize) -> Entry {
        let key = SecretKey::from_seed(&[1; 32]);
        (*Entry::sign(&key, key.public(), Tip::EMPTY, Kind::Op, Some([0; 16]), Vec::new(), &vec![0; bytes])).clone()
    }

    #[test]
    fn links_take_turns() {
        let mut inboxes = Inboxes::default();
        for (link, frames) in [(3, 3), (5, 1), (9, 2)] {
            for _ in 0..frames {
                assert!(inboxes.put(0, LinkId(link), vec![entry(1)]));
            }
        }
        inboxes.put(1, LinkId(4), vec![entry(1)]);
        let mut turns = Vec::new();
        while let Some(link) = inboxes.turn(0) {
            turns.push(link.0);
            inboxes.took(0, link);
        }
        assert_eq!(turns, [3, 5, 9, 3, 9, 3]);
        assert_eq!(inboxes.turn(1), Some(LinkId(4)));
    }

    #[test]
    fn what_waits_is_limited_for_links_that_are_and_that_were() {
        let mut inboxes = Inboxes::default();
        let big = entry(1 << 20);
        let fill = |inboxes: &mut Inboxes, link| {
            (0..20).take_while(|_| inboxes.put(0, LinkId(link), vec![big.clone()])).count()
        };
        assert_eq!(fill(&mut inboxes, 1), 11);
        inboxes.leave(LinkId(1));
        assert!(inboxes.is_left(0));
        assert_eq!(fill(&mut inboxes, 2), 11);
        inboxes.leave(LinkId(2));
        assert!(inboxes.has(0, LinkId(1)) && !inboxes.has(0, LinkId(2)));
        inboxes.drop_link(LinkId(1));
        assert!(!inboxes.is_left(0));
    }
}
