//! What can go wrong, and how often.

/// The conditions in a simulated world. Times are in milliseconds, both ends included; odds mean "once in so many".
/// Odds of 0 mean never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// How long a frame is under way.
    pub latency: (u64, u64),
    /// How long the store takes to answer a read.
    pub load: (u64, u64),
    /// How long a transaction takes.
    pub commit: (u64, u64),
    /// Odds that a frame is changed on its way.
    pub corrupt: u64,
    /// Odds that a frame arrives twice.
    pub duplicate: u64,
    /// Odds that a frame is overtaken by later ones.
    pub reorder: u64,
    /// Odds that a frame is lost, and its link with it.
    pub cut: u64,
    /// Odds that a transaction fails.
    pub fail_commit: u64,
    /// Odds that a read fails.
    pub fail_load: u64,
}

impl Weather {
    /// Nothing goes wrong, and everything takes a moment.
    pub const FAIR: Weather = Weather {
        latency: (5, 40),
        load: (0, 3),
        commit: (1, 15),
        corrupt: 0,
        duplicate: 0,
        reorder: 0,
        cut: 0,
        fail_commit: 0,
        fail_load: 0,
    };

    /// Everything goes wrong now and then.
    pub const STORM: Weather = Weather {
        latency: (5, 2_000),
        load: (0, 50),
        commit: (1, 500),
        corrupt: 60,
        duplicate: 25,
        reorder: 25,
        cut: 80,
        fail_commit: 200,
        fail_load: 400,
    };
}
