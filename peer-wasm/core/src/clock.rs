//! A hybrid logical clock: times that follow the wall clock and never run backwards.
//!
//! After S. Kulkarni, M. Demirbas, D. Madappa, B. Avva and M. Leone, "Logical Physical Clocks and Consistent
//! Snapshots in Globally Distributed Databases" (OPODIS 2014). A write always carries a later time than every
//! write its author had seen, so "the last writer wins" means what people expect even when devices disagree
//! about the time of day.

use std::fmt;

/// How far, in milliseconds, another peer's clock may run ahead of ours before its writes are not believed.
pub const MAX_AHEAD: u64 = 5 * 60 * 1000;
/// The last millisecond the clock can express: 48 bits, in the year 10889.
pub const MAX_MILLIS: u64 = (1 << 48) - 1;

const COUNTER_BITS: u32 = 16;

/// A point in hybrid time: 48 bits of milliseconds since 1970, then a 16-bit counter. Compares as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clock(pub u64);

/// A time that lies too far in the future to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "A write is dated {ahead_ms} ms ahead of this device's clock; at most {MAX_AHEAD} ms is accepted. Check the clocks of both devices."
)]
pub struct TooFarAhead {
    /// How many milliseconds ahead.
    pub ahead_ms: u64,
}

impl Clock {
    /// The time at `millis` since 1970 with this counter. Milliseconds past [`MAX_MILLIS`] count as that.
    pub const fn new(millis: u64, counter: u16) -> Clock {
        let millis = if millis > MAX_MILLIS { MAX_MILLIS } else { millis };
        Clock((millis << COUNTER_BITS) | counter as u64)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// How many times this millisecond had been used before.
    pub const fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// Eight bytes whose order is the order of time.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The time with these bytes.
    pub const fn from_bytes(bytes: [u8; 8]) -> Clock {
        Clock(u64::from_be_bytes(bytes))
    }

    /// Refuses a time more than [`MAX_AHEAD`] after the wall clock, which is in milliseconds since 1970.
    pub fn check(self, wall_ms: u64) -> Result<(), TooFarAhead> {
        let ahead_ms = self.millis().saturating_sub(wall_ms);
        if ahead_ms > MAX_AHEAD { Err(TooFarAhead { ahead_ms }) } else { Ok(()) }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.counter())
    }
}

/// One peer's hybrid clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hlc {
    last: Clock,
}

impl Hlc {
    /// A clock that goes on after `last`, the newest time this peer had given out or seen.
    pub const fn resume(last: Clock) -> Hlc {
        Hlc { last }
    }

    /// The newest time given out or seen.
    pub const fn last(&self) -> Clock {
        self.last
    }

    /// A new time, later than every time given out or seen. `wall_ms` is the wall clock in milliseconds since 1970.
    ///
    /// When the wall clock stands still or went back, the counter rises; a full counter carries into the next
    /// millisecond. Only at the very end of the range (see [`MAX_MILLIS`]) does time stand still.
    pub fn now(&mut self, wall_ms: u64) -> Clock {
        self.last = Clock::new(wall_ms, 0).max(Clock(self.last.0.saturating_add(1)));
        self.last
    }

    /// Takes note of a time read back from the store: the clock goes on after it, however far ahead it is.
    pub fn recall(&mut self, clock: Clock) {
        self.last = self.last.max(clock);
    }

    /// Takes note of another peer's time. A time too far ahead is refused and leaves this clock as it was.
    pub fn observe(&mut self, clock: Clock, wall_ms: u64) -> Result<(), TooFarAhead> {
        clock.check(wall_ms)?;
        self.last = self.last.max(clock);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn follows_the_wall_clock_and_counts_while_it_stands() {
        let mut hlc = Hlc::default();
        assert_eq!(hlc.now(1000), Clock::new(1000, 0));
        assert_eq!(hlc.now(1000), Clock::new(1000, 1));
        assert_eq!(hlc.now(400), Clock::new(1000, 2));
        assert_eq!(hlc.now(1001), Clock::new(1001, 0));
    }

    #[test]
    fn a_full_counter_carries_into_the_milliseconds() {
        let mut hlc = Hlc::resume(Clock::new(1000, u16::MAX));
        assert_eq!(hlc.now(1000), Clock::new(1001, 0));
    }

    #[test]
    fn goes_past_a_time_seen_elsewhere() {
        let mut hlc = Hlc::default();
        hlc.observe(Clock::new(5000, 7), 1000).unwrap();
        assert_eq!(hlc.now(1000), Clock::new(5000, 8));
    }

    #[test]
    fn a_time_too_far_ahead_is_refused_and_not_followed() {
        let mut hlc = Hlc::default();
        let edge = Clock::new(1000 + MAX_AHEAD, u16::MAX);
        assert_eq!(hlc.observe(Clock::new(1001 + MAX_AHEAD, 0), 1000), Err(TooFarAhead { ahead_ms: MAX_AHEAD + 1 }));
        assert_eq!(hlc.last(), Clock::default());
        assert_eq!(hlc.observe(edge, 1000), Ok(()));
    }

    #[test]
    fn the_end_of_time_is_reached_without_wrapping() {
        let mut hlc = Hlc::resume(Clock(u64::MAX - 1));
        assert_eq!(hlc.now(u64::MAX), Clock(u64::MAX));
        assert_eq!(hlc.now(0), Clock(u64::MAX));
    }

    proptest! {
        #[test]
        fn every_time_is_later_than_the_one_before(steps in prop::collection::vec((any::<bool>(), 0u64..1 << 40), 1..200)) {
            let mut hlc = Hlc::default();
            for (observed, wall) in steps {
                let before = hlc.last();
                if observed {
                    let seen = Clock::new(wall + 17, 3);
                    prop_assert!(hlc.observe(seen, wall).is_ok());
                    prop_assert!(hlc.last() >= before && hlc.last() >= seen);
                } else {
                    let now = hlc.now(wall);
                    prop_assert!(now > before);
                    prop_assert!(now.millis() >= wall);
                }
            }
        }

        #[test]
        fn bytes_sort_like_times(a: u64, b: u64) {
            prop_assert_eq!(Clock(a).to_bytes().cmp(&Clock(b).to_bytes()), Clock(a).cmp(&Clock(b)));
            prop_assert_eq!(Clock::from_bytes(Clock(a).to_bytes()), Clock(a));
            prop_assert_eq!(Clock::new(Clock(a).millis(), Clock(a).counter()), Clock(a));
        }
    }
}
