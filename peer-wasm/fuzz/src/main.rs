//! Runs fuzz targets on the ordinary toolchain for a given time.
//!
//! ```text
//! kith-fuzz list
//! kith-fuzz TARGET|all SECONDS [SEED]     SECONDS per target
//! kith-fuzz TARGET --file FILE            one input, e.g. one that was found before
//! kith-fuzz TARGET --seeds FOLDER         writes the inputs to start from, for cargo-fuzz
//! ```
//! A finding is written to `peer-wasm/fuzz/artifacts/` and makes the run fail.

use kith_fuzz::mutate::{Dice, mutate};
use kith_fuzz::{TARGETS, Target, names, target};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// An input that takes longer than this is a finding too.
const SLOW: Duration = Duration::from_secs(2);
/// The most inputs kept.
const MAX_CORPUS: usize = 4096;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => {
            println!("{}", names());
            ExitCode::SUCCESS
        }
        [name, "--file", file] => match (target(name), std::fs::read(file)) {
            (Some(target), Ok(bytes)) => report(run_one(target, &bytes).map(|_| format!("{name}: no finding"))),
            (None, _) => usage(),
            (_, Err(error)) => report(Err(format!("{file}: {error}"))),
        },
        [name, "--seeds", folder] => match target(name) {
            Some(target) => report(write_seeds(target, folder.as_ref())),
            None => usage(),
        },
        [name, seconds, rest @ ..] => {
            let chosen: Vec<&Target> =
                if *name == "all" { TARGETS.iter().collect() } else { target(name).into_iter().collect() };
            let seed = rest.first().map_or(Ok(1), |seed| seed.parse());
            let (Ok(seconds), Ok(seed), false) = (seconds.parse(), seed, chosen.is_empty()) else { return usage() };
            let mut failed = false;
            for target in chosen {
                let time = Duration::from_secs_f64(seconds);
                let result = fuzz(target, seed, |_, elapsed| elapsed < time);
                failed |= result.is_err();
                report(result);
            }
            if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!(
        "Usage: kith-fuzz list | TARGET|all SECONDS [SEED] | TARGET --file FILE | TARGET --seeds FOLDER\nTargets: {}",
        names()
    );
    ExitCode::from(2)
}

fn write_seeds(target: &Target, folder: &Path) -> Result<String, String> {
    let seeds = (target.seeds)();
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number}")), seed).map_err(|error| error.to_string())?;
    }
    Ok(format!("{}: {} seeds", target.name, seeds.len()))
}

fn report(result: Result<String, String>) -> ExitCode {
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a target on mutated inputs as long as `on` says so, given the runs so far and the time taken.
fn fuzz(target: &Target, seed: u64, on: impl Fn(u64, Duration) -> bool) -> Result<String, String> {
    let start = Instant::now();
    let mut dice = Dice::new(seed);
    let mut corpus = (target.seeds)();
    let mut marks = HashSet::new();
    for seed in &corpus {
        marks.insert(run_one(target, seed)?);
    }
    corpus.push(Vec::new());
    let mut runs = corpus.len() as u64;
    while on(runs, start.elapsed()) {
        let mut input = dice.pick(&corpus).cloned().unwrap_or_default();
        let other = dice.pick(&corpus).cloned().unwrap_or_default();
        mutate(&mut dice, &mut input, &other, target.words);
        runs += 1;
        if marks.insert(run_one(target, &input)?) && corpus.len() < MAX_CORPUS {
            corpus.push(input);
        }
    }
    let rate = runs as f64 / start.elapsed().as_secs_f64().max(1e-9);
    Ok(format!("{}: {runs} runs ({rate:.0}/s), {} outcomes, no finding", target.name, marks.len()))
}

/// Runs one input; the error says what was found and where it is kept.
fn run_one(target: &Target, input: &[u8]) -> Result<u64, String> {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let what = match result {
        Ok(mark) if start.elapsed() < SLOW => return Ok(mark),
        Ok(_) => format!("took {:?}", start.elapsed()),
        Err(_) => "panicked".to_owned(),
    };
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "artifacts"].iter().collect();
    let hash = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    let file = folder.join(format!("{}-{hash:016x}", target.name));
    let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input));
    let kept =
        kept.map_or_else(|error| format!("could not be kept: {error}"), |()| format!("kept in {}", file.display()));
    Err(format!(
        "{}: FINDING: an input of {} bytes {what}; {kept}\nAgain: cargo run -p kith-fuzz -- {} --file {}",
        target.name,
        input.len(),
        target.name,
        file.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A taste of what `kith-fuzz all SECONDS` does for as long as one likes.
    #[test]
    fn no_decoder_breaks_its_laws_on_a_few_thousand_inputs() {
        for target in TARGETS {
            let result = fuzz(target, 5, |runs, _| runs < 4000);
            assert!(result.is_ok(), "{result:?}");
        }
    }
}
