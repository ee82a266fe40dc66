//! Names of writers and of what they wrote.

use std::fmt;

/// A writer: the first ten bytes of a device's key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Agent(pub [u8; 10]);

/// One operation: whose log it is in and which entry of that log carries it. An entry carries at most one operation
/// per document, so nothing inside an entry needs a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Whose log.
    pub agent: Agent,
    /// Which entry of it, counted from 0.
    pub seq: u64,
}

/// A state of a document: the operations that no other operation of that state builds on, sorted. Empty is the empty
/// text before anything was written.
pub type Frontier = Vec<Version>;

impl Agent {
    /// The name in text: 16 lower-case base32 characters. Concurrent insertions at one place are ordered by it.
    pub fn name(&self) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut name = String::with_capacity(16);
        for half in self.0.chunks(5) {
            let bits = half.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
            for place in (0..8).rev() {
                let letter = ALPHABET.get((bits >> (5 * place)) as usize & 31);
                name.push(letter.map_or('a', |letter| char::from(*letter)));
            }
        }
        name
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.agent, self.seq)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_base32_and_never_the_engines_magic_word() {
        assert_eq!(Agent([0; 10]).name(), "aaaaaaaaaaaaaaaa");
        assert_eq!(Agent([255; 10]).name(), "7777777777777777");
        // RFC 4648: "fooba" twice.
        assert_eq!(Agent(*b"foobafooba").name(), "mzxw6ytbmzxw6ytb");
        assert_ne!(Agent([1; 10]).name(), "ROOT");
    }
}
