//! Databases that other releases left.

use super::*;
use crate::row_bytes;
use crate::schema::{FIFTH, FIRST, FOURTH, RowChange, SECOND, STEPS, THIRD, newest};

/// Layout 1 as it was: frozen, never to be edited.
const FIRST_TABLES: [&str; 5] = ["meta", "head", "tail", "segment", "view"];

const FIRST_ROWS: [PlantedRow<'static>; 7] = [
    ("meta", b"identity", b"\x00\x01\x02\xff"),
    ("meta", b"spaces", b"[]"),
    ("head", b"\x00\x00\x00\x01\x00\x00\x00\x01", b"length and hash"),
    ("tail", b"\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07", b"an entry"),
    ("tail", b"\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x08", b""),
    ("segment", b"\xff", b"many entries"),
    ("view", b"", b"the root"),
];

pub(super) async fn the_first_layout_is_upgraded_and_keeps_its_rows<F: Layouts>(factory: &F) -> Verdict {
    factory.plant("first", 1, &FIRST_TABLES, &FIRST_ROWS).await.map_err(words)?;
    for round in 0..2 {
        let store = opened(factory, "first").await?;
        let mut counted = 0;
        for table in Table::ALL {
            let expected: Vec<_> = FIRST_ROWS
                .iter()
                .filter(|(of, _, _)| *of == table.name())
                .map(|(_, key, value)| (key.to_vec(), value.to_vec()))
                .collect();
            counted += expected.iter().map(|(key, value)| row_bytes(key.len(), value.len())).sum::<u64>();
            let found = one(&store, all(table)).await?;
            check!(found == expected, "round {round}, {}: {found:?}", table.name());
        }
        check_used(factory, &store, counted).await?;
        // The table that came new can be used.
        store.commit(puts(vec![put(Table::Arrival, b"k", b"v")])).await.map_err(words)?;
        let undo = Batch { deletes: vec![(Table::Arrival, b"k".to_vec())], ..Batch::default() };
        store.commit(undo).await.map_err(words)?;
        store.close().await;
    }
    Ok(())
}

/// The layout after the current one, as it might be.
const NEXT: &[Step] = &[
    FIRST,
    SECOND,
    THIRD,
    FOURTH,
    FIFTH,
    Step { to: 6, creates: &["next"], rewrites: &[("tail", shorten), ("head", keep)], packs: &[], recount: true },
];

fn shorten(key: &[u8], value: &[u8]) -> RowChange {
    match key.last() {
        Some(last) if last % 3 == 0 => RowChange::Remove,
        Some(last) if last % 3 == 1 => RowChange::Replace(value.iter().take(1).copied().collect()),
        _ => RowChange::Keep,
    }
}

fn keep(_: &[u8], _: &[u8]) -> RowChange {
    RowChange::Keep
}

pub(super) async fn rows_are_rewritten_by_a_step<F: Layouts>(factory: &F) -> Verdict {
    const ROWS: u32 = 1_300;
    let store = opened(factory, "rewritten").await?;
    let batch = (0..ROWS).flat_map(|n| [Table::Tail, Table::Head].map(|table| put(table, &number(n), b"value")));
    store.commit(puts(batch.collect())).await.map_err(words)?;
    store.close().await;
    let store = factory.open_as("rewritten", AMPLE, NEXT).await.map_err(words)?;
    let expected: Rows = (0..ROWS)
        .filter(|n| (n % 256) % 3 != 0)
        .map(|n| (number(n), if (n % 256) % 3 == 1 { b"v".to_vec() } else { b"value".to_vec() }))
        .collect();
    let found = one(&store, all(Table::Tail)).await?;
    check!(found == expected, "{} rows instead of {}, or other values", found.len(), expected.len());
    check!(one(&store, all(Table::Head)).await?.len() == ROWS as usize, "a table was touched that should not be");
    let counted = expected.iter().map(|(key, value)| row_bytes(key.len(), value.len())).sum::<u64>()
        + u64::from(ROWS) * row_bytes(4, 5);
    let usage = store.usage().await.map_err(words)?;
    check!(usage.bytes == counted, "usage says {}, the rows make {counted}", usage.bytes);
    store.close().await;
    let outcome = factory.open("rewritten", AMPLE).await.map(|_| ());
    let refused = Err(StoreError::Newer { found: newest(NEXT), known: newest(STEPS) });
    check!(outcome == refused, "the older release opens it: {outcome:?}");
    Ok(())
}

pub(super) async fn single_rows_are_packed_into_pages<F: Layouts>(factory: &F) -> Verdict {
    const ROWS: u32 = 3_000;
    let value = |n: u32| vec![n as u8; if n % 500 == 7 { 5_000 } else { (n % 90) as usize }];
    let planted: Vec<(Vec<u8>, Vec<u8>)> = (0..ROWS).map(|n| (number(n), value(n))).collect();
    let mut rows: Vec<PlantedRow<'_>> = planted.iter().map(|(key, value)| ("view", &key[..], &value[..])).collect();
    rows.push(("tail", b"k", b"an entry"));
    factory.plant("packed", 1, &FIRST_TABLES, &rows).await.map_err(words)?;
    for round in 0..2 {
        let store = opened(factory, "packed").await?;
        let found = one(&store, all(Table::View)).await?;
        check!(found == planted, "round {round}: {} rows instead of {}, or others", found.len(), planted.len());
        check!(value_of(&store, 1_234).await? == planted.get(1_234).map(|(_, value)| value.clone()), "another value");
        let counted = rows.iter().map(|(_, key, value)| row_bytes(key.len(), value.len())).sum::<u64>();
        let used = store.usage().await.map_err(words)?.bytes;
        check!(used < counted / 2, "pages make {used} bytes of {counted}");
        store.close().await;
    }
    Ok(())
}

async fn value_of(store: &impl Store, n: u32) -> Result<Option<Vec<u8>>, String> {
    value(store, Table::View, &number(n)).await
}

/// The release before this one, and the one after it: each in turn opens what the other left, or says why it does not.
pub(super) async fn the_layout_before_is_upgraded_and_is_closed_to_who_left_it<F: Layouts>(factory: &F) -> Verdict {
    const BEFORE: &[Step] = &[FIRST, SECOND, THIRD, FOURTH];
    let store = factory.open_as("before", AMPLE, BEFORE).await.map_err(words)?;
    let batch = Table::ALL.into_iter().flat_map(|table| (0..400).map(move |n| put(table, &number(n), b"value")));
    store.commit(puts(batch.collect())).await.map_err(words)?;
    let used = store.usage().await.map_err(words)?.bytes;
    store.close().await;
    for round in 0..2 {
        let store = opened(factory, "before").await?;
        for table in Table::ALL {
            let found = one(&store, all(table)).await?.len();
            check!(found == 400, "round {round}, {}: {found} rows", table.name());
        }
        check!(store.usage().await.map_err(words)?.bytes == used, "round {round}: another count of bytes");
        store.close().await;
    }
    let outcome = factory.open_as("before", AMPLE, BEFORE).await.map(|_| ());
    let refused = Err(StoreError::Newer { found: newest(STEPS), known: newest(BEFORE) });
    check!(outcome == refused, "the release before opens it: {outcome:?}");
    Ok(())
}

pub(super) async fn a_newer_layout_is_refused_in_plain_words<F: Layouts>(factory: &F) -> Verdict {
    factory.plant("newer", 99, &["meta", "unheard-of"], &[("meta", b"k", b"v")]).await.map_err(words)?;
    let error = match factory.open("newer", AMPLE).await {
        Ok(_) => return Err("it opens".into()),
        Err(error) => error,
    };
    check!(error == StoreError::Newer { found: 99, known: newest(STEPS) }, "it says {error:?}");
    check!(error.is_fatal(), "it is not fatal");
    check!(error.to_string().contains("reload"), "it does not say what to do: {error}");
    Ok(())
}
