//! What is hard for a store that packs rows, and must be no different for one that does not.

use futures::future::join_all;

use super::*;

/// Numbers below `count`, each once, in an order that jumps about.
fn scattered(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(move |n| (n.wrapping_mul(7_919).wrapping_add(13)) % count)
}

/// A value of some length that tells whose it is.
fn text(n: u32, len: usize) -> Vec<u8> {
    n.to_be_bytes().into_iter().cycle().take(len).collect()
}

pub(super) async fn rows_in_any_order_are_found<F: Factory>(factory: &F) -> Verdict {
    const ROWS: u32 = 2_003;
    let store = opened(factory, "any-order").await?;
    let order: Vec<u32> = scattered(ROWS).collect();
    for some in order.chunks(97) {
        store
            .commit(puts(some.iter().map(|n| (Table::View, number(*n), text(*n, 40 + (*n % 50) as usize))).collect()))
            .await
            .map_err(words)?;
    }
    let expected: Rows = (0..ROWS).map(|n| (number(n), text(n, 40 + (n % 50) as usize))).collect();
    let mut opened_now = Some(store);
    for round in 0..2 {
        let store = match opened_now.take() {
            Some(store) => store,
            None => opened(factory, "any-order").await?,
        };
        let gets = store.read(order.iter().map(|n| get(Table::View, &number(*n))).collect()).await.map_err(words)?;
        for (n, rows) in order.iter().zip(gets) {
            check!(rows.first() == expected.get(*n as usize), "round {round}: row {n} differs");
        }
        let forward = one(&store, all(Table::View)).await?;
        check!(forward == expected, "round {round}: {} rows instead of {}", forward.len(), expected.len());
        for (from, to, limit) in [(0, ROWS, 5), (100, 900, 333), (1_999, 2_002, 100), (700, 701, 9)] {
            let range = span(&number(from), &number(to));
            let mut wanted: Rows = (from..to).filter_map(|n| expected.get(n as usize).cloned()).collect();
            let mut backward = wanted.clone();
            backward.reverse();
            wanted.truncate(limit);
            backward.truncate(limit);
            let found = one(&store, scan(Table::View, range.clone(), limit, false)).await?;
            check!(found == wanted, "round {round}: {from}..{to} forward");
            let found = one(&store, scan(Table::View, range, limit, true)).await?;
            check!(found == backward, "round {round}: {from}..{to} backward");
        }
        let around = store
            .read(vec![
                get(Table::View, b""),
                get(Table::View, &[0xff]),
                scan(Table::View, span(&[0xfe], &[0xff]), 9, true),
            ])
            .await
            .map_err(words)?;
        check!(around.iter().all(Vec::is_empty), "round {round}: rows where there are none");
        store.close().await;
    }
    Ok(())
}

pub(super) async fn large_values_come_and_go<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "large-values").await?;
    let sizes = [10usize, 3_000, 100_000, 2_048, 1 << 20, 2_049, 20];
    let row = |round: usize, n: u32| {
        let size = sizes.get((n as usize + round) % sizes.len()).copied().unwrap_or_default();
        (number(n), text(n + round as u32, size))
    };
    for round in 0..sizes.len() {
        let batch = (0..20).map(|n| row(round, n)).map(|(key, value)| (Table::View, key, value)).collect();
        store.commit(puts(batch)).await.map_err(words)?;
        let expected: Rows = (0..20).map(|n| row(round, n)).collect();
        check!(one(&store, all(Table::View)).await? == expected, "round {round}: forward");
        let mut backward = one(&store, scan(Table::View, span(&[], &[0xff]), usize::MAX, true)).await?;
        backward.reverse();
        check!(backward == expected, "round {round}: backward");
        check!(value(&store, Table::View, &number(7)).await? == Some(row(round, 7).1), "round {round}: one");
    }
    let deletes = (0..10).map(|n| (Table::View, number(n))).collect();
    let delete_ranges = vec![(Table::View, span(&number(10), &number(20)))];
    store.commit(Batch { deletes, delete_ranges, ..Batch::default() }).await.map_err(words)?;
    check!(one(&store, all(Table::View)).await?.is_empty(), "rows are left");
    check!(store.usage().await.map_err(words)?.bytes == 0, "bytes are left");
    Ok(())
}

pub(super) async fn ranges_are_emptied_across_pages<F: Factory>(factory: &F) -> Verdict {
    const ROWS: u32 = 1_500;
    let store = opened(factory, "ranges").await?;
    let mut expected: std::collections::BTreeMap<Vec<u8>, Vec<u8>> =
        (0..ROWS).map(|n| (number(n), text(n, 60))).collect();
    let all_rows = expected.iter().map(|(key, value)| (Table::View, key.clone(), value.clone())).collect();
    store.commit(puts(all_rows)).await.map_err(words)?;
    for (round, (from, to)) in
        [(100, 900), (850, 950), (0, 20), (1_490, 2_000), (300, 310), (95, 1_005)].into_iter().enumerate()
    {
        let range = span(&number(from), &number(to));
        // One row comes back inside what is emptied.
        let back = (number(from + 3), text(from, 30));
        expected.retain(|key, _| !range.contains(key));
        expected.insert(back.0.clone(), back.1.clone());
        let batch = Batch {
            delete_ranges: vec![(Table::View, range)],
            puts: vec![(Table::View, back.0, back.1)],
            ..Batch::default()
        };
        store.commit(batch).await.map_err(words)?;
        let found = one(&store, all(Table::View)).await?;
        check!(
            found == expected.clone().into_iter().collect::<Rows>(),
            "round {round}: {} rows instead of {}",
            found.len(),
            expected.len()
        );
    }
    store.close().await;
    let store = opened(factory, "ranges").await?;
    check!(
        one(&store, all(Table::View)).await? == expected.into_iter().collect::<Rows>(),
        "other rows after reopening"
    );
    Ok(())
}

pub(super) async fn a_row_grows_and_shrinks<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "grows").await?;
    let around: Vec<_> = (0..50).map(|n| put(Table::View, &number(n), &text(n, 100))).collect();
    store.commit(puts(around)).await.map_err(words)?;
    for size in [0usize, 100, 1_900, 2_100, 9_000, 2_000, 1, 50_000, 0] {
        store.commit(puts(vec![(Table::View, number(25), text(25, size))])).await.map_err(words)?;
        check!(value(&store, Table::View, &number(25)).await? == Some(text(25, size)), "{size} bytes differ");
        check!(value(&store, Table::View, &number(24)).await? == Some(text(24, 100)), "the one before, at {size}");
        check!(value(&store, Table::View, &number(26)).await? == Some(text(26, 100)), "the one after, at {size}");
    }
    check!(one(&store, all(Table::View)).await?.len() == 50, "rows were lost or made");
    Ok(())
}

pub(super) async fn two_tables_are_one_snapshot<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "two-tables").await?;
    let both = |n: u32| puts(vec![put(Table::Head, b"n", &number(n)), put(Table::View, b"n", &number(n))]);
    store.commit(both(0)).await.map_err(words)?;
    let mut commits = Vec::new();
    let mut reads = Vec::new();
    for n in 1..=90 {
        commits.push(store.commit(both(n)));
        reads.push(store.read(vec![get(Table::View, b"n"), get(Table::Head, b"n"), all(Table::View)]));
        if n % 30 == 0 {
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
    check!(value(&store, Table::View, b"n").await? == Some(number(90)), "the last commit is not the last state");
    Ok(())
}

pub(super) async fn reads_do_not_see_what_fails<F: Factory>(factory: &F) -> Verdict {
    let store = factory.open("fails", 20_000).await.map_err(words)?;
    store.commit(puts(vec![put(Table::View, b"k", b"old"), put(Table::View, b"l", b"old")])).await.map_err(words)?;
    let mut commits = Vec::new();
    let mut reads = Vec::new();
    for _ in 0..10 {
        commits.push(store.commit(puts(vec![
            put(Table::View, b"k", b"never"),
            put(Table::View, b"m", b"never"),
            put(Table::Tail, b"straw", &[1; 20_000]),
        ])));
        reads.push(store.read(vec![all(Table::View)]));
    }
    let (outcomes, seen) = futures::join!(join_all(commits), join_all(reads));
    for outcome in outcomes {
        check!(outcome == Err(StoreError::Full), "too much was answered with {outcome:?}");
    }
    let expected = rows(&[(b"k", b"old"), (b"l", b"old")]);
    for answers in seen {
        check!(answers.map_err(words)? == vec![expected.clone()], "a read saw what was never written");
    }
    store.commit(puts(vec![put(Table::View, b"m", b"new")])).await.map_err(words)?;
    check!(value(&store, Table::View, b"k").await?.as_deref() == Some(b"old"), "what failed came back");
    Ok(())
}
