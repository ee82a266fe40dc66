//! What simulation tests share: which seeds to try, and how a failure names its seed.

#![allow(dead_code, reason = "each test program uses its part")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The seeds to try: `KITH_SEED=n` tries that one, `KITH_SEEDS=n` the first n, `KITH_LONG=1` many; else a few.
pub(crate) fn seeds(few: u64, many: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("KITH_SEED") {
        return vec![seed];
    }
    let count = number("KITH_SEEDS").unwrap_or(if std::env::var_os("KITH_LONG").is_some() { many } else { few });
    (1..=count).collect()
}

/// Runs a test for each seed; says how to run the one that failed again.
pub(crate) fn for_each_seed(few: u64, many: u64, test: impl Fn(u64) -> Result<(), String>) {
    for seed in seeds(few, many) {
        let result = catch_unwind(AssertUnwindSafe(|| test(seed)));
        match result {
            Ok(Ok(())) => {}
            Ok(Err(what)) => panic!("seed {seed}: {what}\nAgain: KITH_SEED={seed} cargo test -p kith-core"),
            Err(panic) => {
                eprintln!("seed {seed} panicked\nAgain: KITH_SEED={seed} cargo test -p kith-core");
                resume_unwind(panic);
            }
        }
    }
}
