//! Making new inputs from old ones, the same way for the same seed.

/// A small generator of pseudo-random numbers (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % (bound.max(1) as u64)) as usize
    }

    /// One of some things.
    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        things.get(self.below(things.len()))
    }
}

/// The most bytes of an input.
pub const MAX_INPUT: usize = 64 << 10;

const NUMBERS: &[&[u8]] = &[
    &[0],
    &[1],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0x80, 0x00],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x40],
    &[0; 8],
    &[0xff; 8],
];

/// Changes `input` in a few places, taking pieces from `other` and from `words`.
pub fn mutate(dice: &mut Dice, input: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() + 1);
        let longest = 1 + dice.below(16);
        let span = at..(at + dice.below(longest)).min(input.len());
        match dice.below(9) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = dice.number() as u8;
                }
            }
            2 => drop(input.drain(span)),
            3 => {
                let copied = input.get(span).unwrap_or_default().repeat(1 + dice.below(3));
                input.splice(at..at, copied);
            }
            4 => {
                let number = dice.pick(NUMBERS).copied().unwrap_or_default();
                let end = (at + number.len() * dice.below(2)).min(input.len());
                input.splice(at..end, number.iter().copied());
            }
            5 => {
                let from = dice.below(other.len() + 1);
                let until = (from + dice.below(64)).min(other.len());
                input.splice(span, other.get(from..until).unwrap_or_default().iter().copied());
            }
            6 => input.truncate(at),
            7 => {
                let fresh: Vec<u8> = (0..dice.below(8)).map(|_| dice.number() as u8).collect();
                input.splice(at..at, fresh);
            }
            _ => {
                let word = dice.pick(words).copied().unwrap_or_default();
                input.splice(at..at, word.bytes());
            }
        }
    }
    input.truncate(MAX_INPUT);
}
