//! Pauses between tries: doubling, capped, with jitter so that many peers do not come back in step.

use std::time::Duration;

/// The pauses of one thing that is tried again and again.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts with `first` and never waits longer than `max`.
    pub(crate) const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// How often it failed since the last success.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked: start from the first pause next time.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// It failed: how long to wait before the next try (between half the pause and the whole).
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.first.saturating_mul(1 << self.failures.min(16)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(0.5 + 0.5 * fraction())
    }
}

/// Between 0 and 1. Without a random source: 1, the longest pause.
fn fraction() -> f64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_or(1.0, |()| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for expected in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.next().as_millis();
            assert!(pause >= expected / 2 && pause <= expected, "{pause} for {expected}");
        }
        for _ in 0..100 {
            backoff.next();
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }
}
