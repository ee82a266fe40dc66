//! What simulation tests share: which seeds to try, and how a failure names its seed.

use kith_core::api::{Change, Preconditions, Reply, Request};
use kith_core::document::policy::Policy;
use kith_core::path::Path;
use kith_core::sim::{Hostile, NodeId, Story};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// From so many seeds on they are divided among the machine's cores.
const MANY: usize = 100;

/// Runs a test for each seed; says how to run the one that failed again.
pub(crate) fn for_each_seed(few: u64, many: u64, test: impl Fn(u64) -> Result<(), String> + Sync) {
    let seeds = seeds(few, many);
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Of a long run, with `--nocapture`, it is seen how far it is.
            if seeds.len() >= MANY && seed.is_multiple_of(50) {
                eprintln!("{} seeds, now {seed}", seeds.len());
            }
            if let Err(what) = try_seed(*seed, &test) {
                // The others need not go on.
                next.store(seeds.len(), Ordering::Relaxed);
                return Err(format!("seed {seed}: {what}\nAgain: KITH_SEED={seed} cargo test -p kith-core"));
            }
        }
        Ok(())
    };
    let cores = if seeds.len() < MANY { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let failed = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let mine = work();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread died".to_owned())))
            .fold(mine, Result::and)
    });
    if let Err(what) = failed {
        panic!("{what}");
    }
}

fn try_seed(seed: u64, test: &(impl Fn(u64) -> Result<(), String> + Sync)) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| test(seed))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", text.unwrap_or("see above")))
    })
}

/// The entry with the bytes of every part taken away.
pub(crate) fn hollow_entry(raw: Vec<u8>) -> Vec<u8> {
    let entry = kith_core::entry::Entry::decode(&raw).unwrap();
    if entry.header.kind != kith_core::entry::Kind::Op {
        return raw;
    }
    let body = kith_core::sealed::Body::decode(entry.body()).unwrap();
    let all: Vec<usize> = (0..body.parts().len()).collect();
    [entry.signed_part(), &body.without(&all).encode()].concat()
}

/// These peers sleep for some days.
pub(crate) fn sleep(story: &mut Story, nodes: &[NodeId], days: u64) {
    for node in nodes {
        story.crash(*node);
    }
    story.world.run(days * 24 * 3_600_000);
    for node in nodes {
        story.world.start(*node);
    }
}

/// Deletes what stands at a path.
pub(crate) fn delete(story: &mut Story, node: NodeId, path: &str) -> Result<(), String> {
    change(story, node, path, Change::Delete)
}

/// Changes what stands at a path.
pub(crate) fn change(story: &mut Story, node: NodeId, path: &str, change: Change) -> Result<(), String> {
    let request = Request::Write {
        space: story.space_ref(),
        path: Path::new(path.split('/')).unwrap(),
        change,
        conditions: Preconditions::default(),
        manner: Default::default(),
        id: None,
        purge: false,
    };
    match story.world.ask_for(node, request, 60_000) {
        Some(Reply::Written { .. }) => Ok(()),
        other => Err(format!("not written: {other:?}")),
    }
}

/// Has the founder set a policy, and waits until all know it.
pub(crate) fn set_policy(story: &mut Story, prefix: Path, policy: &serde_json::Value) -> Result<(), String> {
    let policy = Some(Policy::read(policy).map_err(|error| format!("{error:?}"))?);
    let request = Request::SetPolicy { space: story.space_ref(), prefix, policy };
    match story.world.ask_for(0, request, 60_000) {
        Some(Reply::Written { .. }) => story.settle(900_000),
        other => Err(format!("no policy: {other:?}")),
    }
}

/// Brings entries to a peer that reaches nobody else.
pub(crate) fn bring<'a>(story: &mut Story, carrier: &Hostile, node: NodeId, raws: impl Iterator<Item = &'a [u8]>) {
    let near = carrier.node;
    story.world.divide(|other| if other == node || other == near { 99 } else { other as u64 });
    carrier.greet(&mut story.world, node);
    carrier.push(&mut story.world, node, &raws.collect::<Vec<_>>());
    story.world.run(10_000);
}
