//! Who sees what when.

use futures::future::join_all;

use super::*;
use crate::MemoryStore;

pub(super) async fn reads_of_one_call_are_one_snapshot<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "snapshot").await?;
    let both = |n: u32| puts(vec![put(Table::Head, b"n", &number(n)), put(Table::Arrival, b"n", &number(n))]);
    store.commit(both(0)).await.map_err(words)?;
    let mut commits = Vec::new();
    let mut reads = Vec::new();
    for n in 1..=60 {
        commits.push(store.commit(both(n)));
        reads.push(store.read(vec![get(Table::Head, b"n"), get(Table::Arrival, b"n"), all(Table::Head)]));
        if n % 20 == 0 {
            // Let some land in between.
            for answers in join_all(reads.drain(..)).await {
                let answers = answers.map_err(words)?;
                check!(
                    answers.iter().all(|rows| rows.len() == 1 && Some(rows) == answers.first()),
                    "one call saw two states: {answers:?}"
                );
            }
        }
    }
    for outcome in join_all(commits).await {
        outcome.map_err(words)?;
    }
    check!(value(&store, Table::Head, b"n").await? == Some(number(60)), "the last commit is not the last state");
    Ok(())
}

pub(super) async fn commits_take_effect_in_call_order<F: Factory>(factory: &F) -> Verdict {
    const COMMITS: u32 = 400;
    let store = opened(factory, "call-order").await?;
    let mut commits: Vec<_> = (0..COMMITS)
        .map(|n| {
            store.commit(Batch {
                // Each takes away what the one before left, so any other order leaves rows behind.
                deletes: vec![(Table::Tail, number(n.wrapping_sub(1)))],
                puts: vec![put(Table::Tail, &number(n), b"x"), put(Table::Head, b"last", &number(n))],
                durability: if n % 7 == 0 { Durability::Strict } else { Durability::Relaxed },
                ..Batch::default()
            })
        })
        .collect();
    // The order of the calls counts, not the order in which the futures are polled.
    commits.reverse();
    for outcome in join_all(commits).await {
        outcome.map_err(words)?;
    }
    check!(value(&store, Table::Head, b"last").await? == Some(number(COMMITS - 1)), "another commit came last");
    let left = one(&store, all(Table::Tail)).await?;
    check!(left == vec![(number(COMMITS - 1), b"x".to_vec())], "rows left: {left:?}");
    Ok(())
}

pub(super) async fn a_dropped_commit_still_happens<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "dropped").await?;
    drop(store.commit(puts(vec![put(Table::View, b"dropped", b"yes")])));
    store.commit(puts(vec![put(Table::View, b"next", b"yes")])).await.map_err(words)?;
    check!(value(&store, Table::View, b"dropped").await?.is_some(), "the dropped commit did not happen");
    Ok(())
}

pub(super) async fn a_read_after_a_commit_sees_it<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "after").await?;
    for n in 0..100 {
        let durability = if n % 2 == 0 { Durability::Strict } else { Durability::Relaxed };
        let batch = Batch { puts: vec![put(Table::View, b"n", &number(n))], durability, ..Batch::default() };
        store.commit(batch).await.map_err(words)?;
        let found = value(&store, Table::View, b"n").await?;
        check!(found == Some(number(n)), "after commit {n}: {found:?}");
    }
    Ok(())
}

pub(super) async fn reopen_sees_last_commit<F: Factory>(factory: &F) -> Verdict {
    let mut expected = Rows::new();
    for round in 0..5 {
        let store = opened(factory, "reopen").await?;
        let found = one(&store, all(Table::Segment)).await?;
        check!(found == expected, "round {round}: {} rows, {} expected", found.len(), expected.len());
        let mut commits = Vec::new();
        for n in 0..10 {
            let key = number(round * 10 + n);
            expected.push((key.clone(), vec![round as u8; 100]));
            let durability = if n % 2 == 0 { Durability::Strict } else { Durability::Relaxed };
            let puts = vec![(Table::Segment, key, vec![round as u8; 100])];
            commits.push(store.commit(Batch { puts, durability, ..Batch::default() }));
        }
        let closing = store.close();
        for outcome in join_all(commits).await {
            outcome.map_err(words)?;
        }
        closing.await;
    }
    Ok(())
}

pub(super) async fn two_handles_see_one_database<F: Factory>(factory: &F) -> Verdict {
    let one_handle = opened(factory, "two").await?;
    let other = factory.second(&one_handle, "two", AMPLE).await.map_err(words)?;
    let mut commits = Vec::new();
    for n in 0..30 {
        let (store, text) = if n % 2 == 0 { (&one_handle, "one") } else { (&other, "other") };
        let table = if n % 3 == 0 { Table::View } else { Table::Tail };
        let batch = vec![put(table, &number(n / 2), text.as_bytes()), put(Table::Arrival, &number(n), text.as_bytes())];
        commits.push(store.commit(puts(batch)));
    }
    for outcome in join_all(commits).await {
        outcome.map_err(words)?;
    }
    // In turns, each rewriting with another size what the other wrote: nothing remembered by a handle may go stale.
    for n in 0..20usize {
        let (store, twin) = if n.is_multiple_of(2) { (&one_handle, &other) } else { (&other, &one_handle) };
        let batch = vec![put(Table::Head, b"shared", &vec![1; n * 7 % 31]), put(Table::View, b"shared", &vec![2; n])];
        let deletes = if n % 5 == 4 { vec![(Table::View, number(n as u32))] } else { Vec::new() };
        store.commit(Batch { puts: batch, deletes, ..Batch::default() }).await.map_err(words)?;
        check!(value(twin, Table::View, b"shared").await? == Some(vec![2; n]), "turn {n} is not seen by the other");
    }
    let mut counted = 0;
    for table in Table::ALL {
        let found = one(&one_handle, all(table)).await?;
        check!(found == one(&other, all(table)).await?, "the handles see different rows in {}", table.name());
        counted += found.iter().map(|(key, value)| crate::row_bytes(key.len(), value.len())).sum::<u64>();
    }
    check!(one(&one_handle, all(Table::Arrival)).await?.len() == 30, "rows are missing");
    for store in [&one_handle, &other] {
        check_used(factory, store, counted).await?;
    }
    Ok(())
}

pub(super) async fn a_large_batch_is_one<F: Factory>(factory: &F) -> Verdict {
    const ROWS: u32 = 5_000;
    let store = opened(factory, "large").await?;
    let batch = (0..ROWS).map(|n| put(Table::Tail, &number(n), &[7; 40])).chain([put(Table::Head, b"length", b"5000")]);
    let commit = store.commit(puts(batch.collect()));
    let watch = async {
        let mut seen = Vec::new();
        for _ in 0..20 {
            seen.push(store.read(vec![get(Table::Head, b"length"), all(Table::Tail)]).await);
        }
        seen
    };
    let (outcome, seen) = futures::join!(commit, watch);
    outcome.map_err(words)?;
    for answers in seen {
        let answers = answers.map_err(words)?;
        let counts: Vec<usize> = answers.iter().map(Vec::len).collect();
        check!(counts == [0, 0] || counts == [1, ROWS as usize], "half a batch was seen: {counts:?}");
    }
    check!(one(&store, all(Table::Tail)).await?.len() == ROWS as usize, "rows are missing");
    let batch = Batch { delete_ranges: vec![(Table::Tail, span(&[], &[0xff]))], ..Batch::default() };
    store.commit(batch).await.map_err(words)?;
    let usage = store.usage().await.map_err(words)?;
    check!(usage.bytes == crate::row_bytes(6, 4), "after emptying, usage says {}", usage.bytes);
    Ok(())
}

pub(super) async fn random_batches_match_the_model<F: Factory>(factory: &F) -> Verdict {
    for seed in 1..=6u64 {
        let store = opened(factory, &format!("random-{seed}")).await?;
        let model = MemoryStore::new(AMPLE);
        let mut dice = Dice(seed);
        for round in 0..12 {
            // Several at once, so that they are written together.
            let batches: Vec<Batch> = (0..dice.roll(8) + 1).map(|_| dice.batch()).collect();
            let commits: Vec<_> = batches.iter().cloned().map(|batch| store.commit(batch)).collect();
            for outcome in join_all(commits).await {
                outcome.map_err(words)?;
            }
            for batch in batches {
                model.commit(batch).await.map_err(words)?;
            }
            let mut questions: Vec<Read> = Table::ALL.iter().map(|table| all(*table)).collect();
            questions.extend((0..10).map(|_| dice.question()));
            let found = store.read(questions.clone()).await.map_err(words)?;
            let expected = model.read(questions.clone()).await.map_err(words)?;
            for (question, (found, expected)) in questions.iter().zip(found.iter().zip(&expected)) {
                let differs = || found.iter().zip(expected).find(|(found, expected)| found != expected);
                check!(
                    found == expected,
                    "seed {seed} round {round} {question:?}: {} rows instead of {}, the first that differs {:?}",
                    found.len(),
                    expected.len(),
                    differs()
                );
            }
            let (found, expected) = (store.usage().await.map_err(words)?, model.usage().await.map_err(words)?);
            check!(found == expected || F::PACKS, "seed {seed} round {round}: {found:?} instead of {expected:?}");
        }
    }
    Ok(())
}

pub(super) async fn a_wipe_takes_its_place_in_line<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "wipe").await?;
    let before = store.commit(puts(vec![put(Table::View, b"before", b"x"), put(Table::Tail, b"before", b"x")]));
    let wipe = store.wipe();
    let after = store.commit(puts(vec![put(Table::View, b"after", b"x")]));
    let (before, wipe, after) = futures::join!(before, wipe, after);
    before.and(wipe).and(after).map_err(words)?;
    check!(one(&store, all(Table::View)).await? == rows(&[(b"after", b"x")]), "view differs");
    check!(one(&store, all(Table::Tail)).await?.is_empty(), "tail has rows");
    check_used(factory, &store, crate::row_bytes(5, 1)).await
}

pub(super) async fn a_closed_store_says_so<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "closed").await?;
    store.close().await;
    store.close().await;
    check!(store.read(vec![get(Table::View, b"k")]).await == Err(StoreError::Closed), "it reads");
    check!(store.commit(puts(vec![put(Table::View, b"k", b"v")])).await == Err(StoreError::Closed), "it writes");
    check!(store.usage().await == Err(StoreError::Closed), "it counts");
    check!(store.wipe().await == Err(StoreError::Closed), "it wipes");
    check!(StoreError::Closed.is_fatal() && !StoreError::Full.is_fatal(), "what is fatal is mixed up");
    Ok(())
}

/// Random numbers that come the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    fn table(&mut self) -> Table {
        Table::ALL.into_iter().cycle().nth(self.roll(6) as usize).unwrap_or(Table::View)
    }

    /// One of few, so that they meet often.
    fn key(&mut self) -> Vec<u8> {
        (0..self.roll(3)).map(|_| [0, 1, 0x7f, 0xff].into_iter().nth(self.roll(4) as usize).unwrap_or(0)).collect()
    }

    fn range(&mut self) -> KeyRange {
        KeyRange { start: self.key(), end: self.key() }
    }

    fn batch(&mut self) -> Batch {
        Batch {
            delete_ranges: (0..self.roll(2)).map(|_| (self.table(), self.range())).collect(),
            deletes: (0..self.roll(4)).map(|_| (self.table(), self.key())).collect(),
            puts: (0..self.roll(9))
                .map(|_| (self.table(), self.key(), vec![self.roll(256) as u8; self.roll(200) as usize]))
                .collect(),
            durability: if self.roll(4) == 0 { Durability::Strict } else { Durability::Relaxed },
        }
    }

    fn question(&mut self) -> Read {
        match self.roll(3) {
            0 => Read::Get { table: self.table(), key: self.key() },
            way => {
                Read::Scan { table: self.table(), range: self.range(), limit: self.roll(6) as usize, reverse: way == 1 }
            }
        }
    }
}
