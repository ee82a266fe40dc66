//! What fits, what does not, and what is counted.

use futures::future::join_all;

use super::*;
use crate::{ROW_OVERHEAD, row_bytes};

/// Room for a few rows.
const SMALL: u64 = 20_000;

async fn contents(store: &impl Store) -> Result<Vec<Rows>, String> {
    store.read(Table::ALL.iter().map(|table| all(*table)).collect()).await.map_err(words)
}

async fn used(store: &impl Store) -> Result<u64, String> {
    Ok(store.usage().await.map_err(words)?.bytes)
}

pub(super) async fn commit_is_all_or_nothing<F: Factory>(factory: &F) -> Verdict {
    let store = factory.open("all-or-nothing", SMALL).await.map_err(words)?;
    let first = [b"a", b"b", b"c"].iter().flat_map(|key| Table::ALL.map(|table| put(table, *key, b"old"))).collect();
    store.commit(puts(first)).await.map_err(words)?;
    let (before, used_before) = (contents(&store).await?, used(&store).await?);
    for durability in [Durability::Relaxed, Durability::Strict] {
        let mut batch = Batch { durability, ..Batch::default() };
        for table in Table::ALL {
            batch.delete_ranges.push((table, span(b"b", b"c")));
            batch.deletes.push((table, b"a".to_vec()));
            batch.puts.push(put(table, b"c", b"new"));
            batch.puts.push(put(table, b"d", b"new"));
        }
        batch.puts.push((Table::Arrival, b"straw".to_vec(), vec![1; SMALL as usize]));
        let outcome = store.commit(batch).await;
        check!(outcome == Err(StoreError::Full), "too much was answered with {outcome:?}");
        check!(contents(&store).await? == before, "a refused batch left a trace");
        check!(used(&store).await? == used_before, "a refused batch was counted");
    }
    Ok(())
}

pub(super) async fn full_leaves_nothing_half_written<F: Factory>(factory: &F) -> Verdict {
    let store = factory.open("half-written", SMALL).await.map_err(words)?;
    let mut taken = Vec::new();
    for n in 0..40u32 {
        let rows = vec![put(Table::Tail, &number(n), &[1; 700]), put(Table::Head, &number(n), &[2; 300])];
        match store.commit(puts(rows)).await {
            Ok(()) => taken.push(n),
            Err(StoreError::Full) => {}
            Err(error) => return Err(words(error)),
        }
        check!(used(&store).await? <= SMALL, "over the budget");
    }
    let fit = SMALL / (1000 + 2 * (4 + ROW_OVERHEAD));
    check!(taken.len() as u64 == fit, "{} batches were taken, {fit} fit", taken.len());
    for table in [Table::Tail, Table::Head] {
        let keys: Vec<Vec<u8>> = one(&store, all(table)).await?.into_iter().map(|(key, _)| key).collect();
        check!(keys == taken.iter().map(|n| number(*n)).collect::<Vec<_>>(), "{}: {keys:?}", table.name());
    }
    store.close().await;
    let store = factory.open("half-written", AMPLE).await.map_err(words)?;
    store.commit(puts(vec![put(Table::Tail, b"more", &[0; 5_000])])).await.map_err(words)?;
    Ok(())
}

pub(super) async fn full_refuses_one_and_takes_the_rest<F: Factory>(factory: &F) -> Verdict {
    let store = factory.open("the-rest", SMALL).await.map_err(words)?;
    let big = vec![3; SMALL as usize];
    let commits: Vec<_> = (0..30u32)
        .map(|n| {
            let value: &[u8] = if n % 10 == 5 { &big } else { b"small" };
            store.commit(puts(vec![put(Table::Tail, &number(n), value), put(Table::View, b"last", &number(n))]))
        })
        .collect();
    for (n, outcome) in join_all(commits).await.into_iter().enumerate() {
        let expected = if n % 10 == 5 { Err(StoreError::Full) } else { Ok(()) };
        check!(outcome == expected, "commit {n}: {outcome:?}");
    }
    let found: Vec<Vec<u8>> = one(&store, all(Table::Tail)).await?.into_iter().map(|(key, _)| key).collect();
    check!(found == (0..30).filter(|n| n % 10 != 5).map(number).collect::<Vec<_>>(), "rows {found:?}");
    check!(value(&store, Table::View, b"last").await? == Some(number(29)), "the last commit is not the last");
    Ok(())
}

pub(super) async fn a_full_store_still_reads_and_deletes<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "still").await?;
    let batch = (0..100).map(|n| put(Table::View, &number(n), &[5; 1_000])).collect();
    store.commit(puts(batch)).await.map_err(words)?;
    store.close().await;
    // With a smaller budget than what is there.
    let store = factory.open("still", SMALL).await.map_err(words)?;
    check!(one(&store, all(Table::View)).await?.len() == 100, "rows are missing");
    let same = puts(vec![put(Table::View, &number(7), &[6; 1_000])]);
    store.commit(same).await.map_err(|error| format!("a write of the same size: {error}"))?;
    let more = store.commit(puts(vec![put(Table::View, &number(7), &[6; 1_001])])).await;
    check!(more == Err(StoreError::Full), "one byte more: {more:?}");
    let delete = Batch { deletes: vec![(Table::View, number(8))], ..Batch::default() };
    store.commit(delete).await.map_err(|error| format!("a delete: {error}"))?;
    let range = Batch { delete_ranges: vec![(Table::View, span(&number(0), &number(95)))], ..Batch::default() };
    store.commit(range).await.map_err(|error| format!("a range delete: {error}"))?;
    store.commit(puts(vec![put(Table::View, b"again", &[7; 1_000])])).await.map_err(words)?;
    check!(used(&store).await? == 5 * row_bytes(4, 1_000) + row_bytes(5, 1_000), "the count is off");
    Ok(())
}

pub(super) async fn usage_follows_writes_and_deletes<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "usage").await?;
    let mut expected = 0;
    let batch = Table::ALL.map(|table| put(table, b"four", &[0; 96]));
    store.commit(puts(batch.to_vec())).await.map_err(words)?;
    expected += Table::ALL.len() as u64 * (4 + 96 + ROW_OVERHEAD);
    check!(used(&store).await? == expected, "after puts: {}", used(&store).await?);
    store.commit(puts(vec![put(Table::View, b"four", &[0; 6])])).await.map_err(words)?;
    expected -= 90;
    check!(used(&store).await? == expected, "after a smaller value: {}", used(&store).await?);
    let batch = Batch {
        deletes: vec![(Table::View, b"none".to_vec()), (Table::Head, b"four".to_vec())],
        delete_ranges: vec![(Table::Tail, span(b"a", b"z")), (Table::Tail, span(b"f", b"g"))],
        puts: vec![put(Table::Tail, b"four", &[0; 6])],
        ..Batch::default()
    };
    store.commit(batch).await.map_err(words)?;
    expected -= 4 + 96 + ROW_OVERHEAD + 90;
    check!(used(&store).await? == expected, "after deletes: {}", used(&store).await?);
    // More rows than a page.
    let batch = (0..1_234).map(|n| put(Table::Arrival, &number(n), &[1; 10])).collect();
    store.commit(puts(batch)).await.map_err(words)?;
    check!(used(&store).await? == expected + 1_234 * row_bytes(4, 10), "after many: {}", used(&store).await?);
    let batch = Batch { delete_ranges: vec![(Table::Arrival, span(&number(0), &number(5_000)))], ..Batch::default() };
    store.commit(batch).await.map_err(words)?;
    check!(used(&store).await? == expected, "after emptying: {}", used(&store).await?);
    store.wipe().await.map_err(words)?;
    check!(used(&store).await? == 0, "after a wipe: {}", used(&store).await?);
    Ok(())
}

pub(super) async fn usage_survives_reopen<F: Factory>(factory: &F) -> Verdict {
    let mut expected = 0;
    for round in 0..4u32 {
        let store = opened(factory, "survives").await?;
        check!(used(&store).await? == expected, "round {round}: {} instead of {expected}", used(&store).await?);
        store.commit(puts(vec![put(Table::Tail, &number(round), &[0; 50])])).await.map_err(words)?;
        expected += row_bytes(4, 50);
        store.close().await;
    }
    Ok(())
}

pub(super) async fn rewriting_a_row_counts_once<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "rewriting").await?;
    // Also in tables whose rows are usually written only once.
    for table in Table::ALL {
        for size in [10, 500, 20] {
            store
                .commit(puts(vec![put(table, b"k", &vec![9; size]), put(table, b"other", b"")]))
                .await
                .map_err(words)?;
        }
        let commits: Vec<_> = (0..5).map(|n| store.commit(puts(vec![put(table, b"k", &[n; 30])]))).collect();
        for outcome in join_all(commits).await {
            outcome.map_err(words)?;
        }
        check!(value(&store, table, b"k").await? == Some(vec![4; 30]), "{}: another value", table.name());
    }
    let expected = Table::ALL.len() as u64 * (row_bytes(1, 30) + row_bytes(5, 0));
    check!(used(&store).await? == expected, "{} instead of {expected}", used(&store).await?);
    Ok(())
}

pub(super) async fn an_overload_is_refused_not_lost<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "overload").await?;
    let commits: Vec<_> = (0..crate::MAX_WAITING_BATCHES as u32 + 500)
        .map(|n| store.commit(puts(vec![put(Table::Tail, &number(n), b"x")])))
        .collect();
    let mut taken = Vec::new();
    for (n, outcome) in (0..).zip(join_all(commits).await) {
        match outcome {
            Ok(()) => taken.push(number(n)),
            Err(StoreError::Busy) => {}
            Err(error) => return Err(words(error)),
        }
    }
    check!(taken.len() >= crate::MAX_WAITING_BATCHES, "only {} were taken", taken.len());
    let found: Vec<Vec<u8>> = one(&store, all(Table::Tail)).await?.into_iter().map(|(key, _)| key).collect();
    check!(found == taken, "{} rows, {} were taken", found.len(), taken.len());
    store.commit(puts(vec![put(Table::Tail, b"after", b"x")])).await.map_err(words)?;
    Ok(())
}
