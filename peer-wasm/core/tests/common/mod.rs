//! What simulation tests share: which seeds to try, and how a failure names its seed.

#![allow(dead_code, reason = "each test program uses its part")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The seeds to try: `KITH_SEED=n` tries that one, `KITH_SEEDS=n` the first n, `KITH_LONG=1` many; else a few.
/// `KITH_FIRST_SEED=n` begins with another than 1, so that a long run can be divided or go on.
pub(crate) fn seeds(few: u64, many: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("KITH_SEED") {
        return vec![seed];
    }
    let count = number("KITH_SEEDS").unwrap_or(if std::env::var_os("KITH_LONG").is_some() { many } else { few });
    let first = number("KITH_FIRST_SEED").unwrap_or(1);
    (first..first.saturating_add(count)).collect()
}

/// Runs a test for each seed; says how to run the one that failed again.
pub(crate) fn for_each_seed(few: u64, many: u64, test: impl Fn(u64) -> Result<(), String>) {
    let seeds = seeds(few, many);
    for (number, seed) in seeds.iter().copied().enumerate() {
        // Of a long run, with `--nocapture`, it is seen how far it is.
        if seeds.len() >= 100 && number % 50 == 0 {
            eprintln!("{number} of {} seeds, now {seed}", seeds.len());
        }
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
