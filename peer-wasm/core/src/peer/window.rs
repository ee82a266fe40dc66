//! How much may be on its way to another peer that it has not said to have stored.

use crate::identity::PublicKey;
use crate::wire::Piece;
use kith_map::BTreeMap;
use std::collections::VecDeque;

/// So many bytes are sent before the other peer says that some of them are stored, …
const MOST: usize = 1 << 20;
/// … counted so that what is large in an entry, the bytes of one value, weighs less: it is stored faster than as many small values; …
const LARGE: usize = 64 << 10;
const LARGE_WEIGHS: usize = 4;
/// … at first, and after it has looked at places before everything is there, only this many: the answers come behind what is on its way.
const LEAST: usize = 256 << 10;

/// The window of one space on one link.
#[derive(Default)]
pub(super) struct Window {
    /// What is on its way, by log: parts with the length of the log behind them, and what they weigh.
    parts: BTreeMap<PublicKey, VecDeque<(u64, usize)>>,
    /// What all of them weigh.
    on_way: usize,
    /// What they may weigh; at least [`LEAST`].
    size: usize,
}

impl Window {
    /// What may be on its way, in bytes.
    pub(super) const fn size(&self) -> usize {
        if self.size > LEAST { self.size } else { LEAST }
    }

    pub(super) const fn has_room(&self) -> bool {
        self.on_way < self.size()
    }

    /// Begins anew with as little as at first.
    pub(super) const fn shrink(&mut self) {
        self.size = LEAST;
    }

    /// These pieces are on their way.
    pub(super) fn sent(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            let Piece::Entry(entry) = piece else { continue };
            let len = entry.raw().len();
            let weight = len.min(LARGE) + len.saturating_sub(LARGE) / LARGE_WEIGHS;
            let end = entry.header.seq.saturating_add(1);
            let parts = self.parts.entry(entry.header.log).or_default();
            self.on_way += weight;
            match parts.back_mut().filter(|(_, together)| *together < LARGE) {
                Some((last, together)) => {
                    *last = end.max(*last);
                    *together += weight;
                }
                None => parts.push_back((end, weight)),
            }
        }
    }

    /// The other peer says up to where it has stored logs; nothing of any is that all that came was taken in or refused.
    /// Twice as much may then be on its way.
    pub(super) fn confirmed(&mut self, stored: impl ExactSizeIterator<Item = (PublicKey, u64)>) {
        let before = self.on_way;
        if stored.len() == 0 {
            self.parts = BTreeMap::default();
            self.on_way = 0;
        }
        for (log, len) in stored {
            let Some(parts) = self.parts.get_mut(&log) else { continue };
            while let Some((_, weight)) = parts.pop_front_if(|(end, _)| *end <= len) {
                self.on_way = self.on_way.saturating_sub(weight);
            }
            if parts.is_empty() {
                self.parts.remove(&log);
            }
        }
        if self.on_way < before {
            self.size = (self.size() * 2).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, Kind, Tip};
    use crate::identity::SecretKey;

    /// Entries of a log of its own, with bodies of so many bytes.
    fn log(name: u8, bodies: &[usize]) -> (PublicKey, Vec<Piece>) {
        let (key, mut tip) = (SecretKey::from_seed(&[name; 32]), Tip::EMPTY);
        let entry = |len: &usize| {
            let entry = Entry::sign(&key, PublicKey([1; 32]), tip, Kind::Grant, None, Vec::new(), &vec![0; *len]);
            tip = Tip { len: tip.len + 1, hash: entry.hash() };
            Piece::Entry(entry.into_entry())
        };
        (key.public(), bodies.iter().map(entry).collect())
    }

    #[test]
    fn what_is_named_is_confirmed_and_nothing_else() {
        let (mut window, (a, of_a), (b, of_b)) =
            (Window::default(), log(1, &[100 << 10; 2]), log(2, &[50 << 10, 40 << 10]));
        window.sent(&of_a);
        window.sent(&of_b);
        let all = window.on_way;
        assert!(all > 200 << 10 && all < 300 << 10 && window.has_room(), "{all}");
        window.sent(&of_a);
        assert!(!window.has_room(), "sent again it is on its way again");
        window.confirmed([(a, 0), (PublicKey([7; 32]), 9)].into_iter());
        assert_eq!((window.has_room(), window.size()), (false, LEAST), "none of it is there");
        window.confirmed([(a, 1)].into_iter());
        assert_eq!(window.size(), 2 * LEAST);
        window.confirmed([(a, 2), (b, 2)].into_iter());
        assert_eq!((window.on_way, window.parts.len(), window.size()), (0, 0, MOST));
        window.shrink();
        assert_eq!(window.size(), LEAST);
    }

    #[test]
    fn a_word_without_logs_confirms_everything() {
        let mut window = Window::default();
        window.confirmed(std::iter::empty());
        assert_eq!(window.size(), LEAST, "there was nothing");
        window.sent(&log(1, &[90 << 10; 3]).1);
        window.confirmed(std::iter::empty());
        assert_eq!((window.on_way, window.parts.len(), window.size()), (0, 0, 2 * LEAST));
    }
}
