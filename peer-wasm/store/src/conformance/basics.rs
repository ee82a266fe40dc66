//! Rows in, rows out.

use super::*;

pub(super) async fn a_new_store_is_empty<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "new").await?;
    for table in Table::ALL {
        check!(one(&store, all(table)).await?.is_empty(), "{} has rows", table.name());
        check!(one(&store, get(table, b"a")).await?.is_empty(), "{} has a row 'a'", table.name());
    }
    let usage = store.usage().await.map_err(words)?;
    check!(usage.bytes == 0 && usage.budget == AMPLE, "a new store uses {usage:?}");
    check!(store.read(Vec::new()).await == Ok(Vec::new()), "no question got an answer");
    Ok(())
}

pub(super) async fn a_row_is_read_as_written<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "row").await?;
    for (durability, text) in [(Durability::Relaxed, "first"), (Durability::Strict, "second")] {
        for table in Table::ALL {
            let batch = Batch { puts: vec![put(table, b"key", text.as_bytes())], durability, ..Batch::default() };
            store.commit(batch).await.map_err(words)?;
            let found = one(&store, get(table, b"key")).await?;
            check!(found == rows(&[(b"key", text.as_bytes())]), "{} {durability:?}: {found:?}", table.name());
        }
    }
    Ok(())
}

pub(super) async fn tables_are_apart<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "apart").await?;
    let all_tables = Table::ALL.iter().map(|table| put(*table, b"same", table.name().as_bytes())).collect();
    store.commit(puts(all_tables)).await.map_err(words)?;
    let batch = Batch {
        deletes: vec![(Table::Head, b"same".to_vec())],
        delete_ranges: vec![(Table::View, span(b"a", b"z"))],
        ..Batch::default()
    };
    store.commit(batch).await.map_err(words)?;
    for table in Table::ALL {
        let expected = match table {
            Table::Head | Table::View => Rows::new(),
            _ => rows(&[(b"same", table.name().as_bytes())]),
        };
        let found = one(&store, all(table)).await?;
        check!(found == expected, "{}: {found:?}", table.name());
    }
    Ok(())
}

pub(super) async fn later_puts_win_within_a_batch<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "later").await?;
    for table in [Table::Tail, Table::View] {
        store
            .commit(puts(vec![put(table, b"k", b"1"), put(table, b"k", b"2"), put(table, b"k", b"3")]))
            .await
            .map_err(words)?;
        let found = value(&store, table, b"k").await?;
        check!(found.as_deref() == Some(b"3"), "{}: {found:?}", table.name());
    }
    Ok(())
}

pub(super) async fn deletes_come_before_puts<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "deletes").await?;
    for table in [Table::Tail, Table::View] {
        store.commit(puts(vec![put(table, b"kept", b"old"), put(table, b"gone", b"old")])).await.map_err(words)?;
        let batch = Batch {
            puts: vec![put(table, b"kept", b"new")],
            deletes: vec![(table, b"gone".to_vec()), (table, b"kept".to_vec()), (table, b"never".to_vec())],
            ..Batch::default()
        };
        store.commit(batch).await.map_err(words)?;
        let found = one(&store, all(table)).await?;
        check!(found == rows(&[(b"kept", b"new")]), "{}: {found:?}", table.name());
    }
    Ok(())
}

pub(super) async fn range_deletes_come_before_deletes_and_puts<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "ranges").await?;
    for table in [Table::Tail, Table::View] {
        let old = [b"a", b"b", b"c", b"d", b"e"].map(|key| put(table, key, b"old"));
        store.commit(puts(old.to_vec())).await.map_err(words)?;
        let batch = Batch {
            delete_ranges: vec![(table, span(b"b", b"d")), (table, span(b"c", b"e"))],
            deletes: vec![(table, b"a".to_vec())],
            puts: vec![put(table, b"c", b"new")],
            durability: Durability::Strict,
        };
        store.commit(batch).await.map_err(words)?;
        let found = one(&store, all(table)).await?;
        check!(found == rows(&[(b"c", b"new"), (b"e", b"old")]), "{}: {found:?}", table.name());
    }
    Ok(())
}

pub(super) async fn scans_are_ordered_and_half_open<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "half-open").await?;
    let keys: [&[u8]; 6] = [b"d", b"a", b"c", b"ab", b"b", b""];
    store.commit(puts(keys.iter().map(|key| put(Table::View, key, key)).collect())).await.map_err(words)?;
    let found = one(&store, all(Table::View)).await?;
    check!(
        found == rows(&[(b"", b""), (b"a", b"a"), (b"ab", b"ab"), (b"b", b"b"), (b"c", b"c"), (b"d", b"d")]),
        "not in order: {found:?}"
    );
    let found = one(&store, scan(Table::View, span(b"ab", b"c"), 10, false)).await?;
    check!(found == rows(&[(b"ab", b"ab"), (b"b", b"b")]), "the start is in, the end is out: {found:?}");
    let found = one(&store, scan(Table::View, KeyRange::prefix(b"a"), 10, false)).await?;
    check!(found == rows(&[(b"a", b"a"), (b"ab", b"ab")]), "a prefix: {found:?}");
    let found = one(&store, scan(Table::View, span(b"aa", b"ab"), 10, false)).await?;
    check!(found.is_empty(), "nothing between: {found:?}");
    Ok(())
}

pub(super) async fn scans_are_limited_and_reversed<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "limited").await?;
    let batch = (0..20).map(|n| put(Table::Tail, &number(n), &number(n * 2))).collect();
    store.commit(puts(batch)).await.map_err(words)?;
    for (start, end) in [(0, 20), (3, 17), (5, 6), (0, 99), (30, 40)] {
        for limit in [0, 1, 2, 5, 13, 14, 15, 20, 21, usize::MAX] {
            for reverse in [false, true] {
                let mut expected: Rows = (start..end.min(20)).map(|n| (number(n), number(n * 2))).collect();
                if reverse {
                    expected.reverse();
                }
                expected.truncate(limit);
                let found = one(&store, scan(Table::Tail, span(&number(start), &number(end)), limit, reverse)).await?;
                check!(found == expected, "{start}..{end} limit {limit} reverse {reverse}: {found:?}");
            }
        }
    }
    Ok(())
}

pub(super) async fn binary_keys_sort_as_bytes<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "binary").await?;
    let mut keys: Vec<Vec<u8>> = vec![vec![]];
    for first in [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff] {
        keys.push(vec![first]);
        for second in [0x00, 0x7f, 0x80, 0xff] {
            keys.push(vec![first, second]);
            keys.push(vec![first, second, 0x00]);
        }
    }
    keys.sort();
    let mut shuffled = keys.clone();
    shuffled.reverse();
    shuffled.rotate_left(17);
    store.commit(puts(shuffled.iter().map(|key| put(Table::View, key, key)).collect())).await.map_err(words)?;
    let found: Vec<Vec<u8>> = one(&store, all(Table::View)).await?.into_iter().map(|(key, _)| key).collect();
    check!(found == keys, "wrong order: {found:?}");
    for at in 0..keys.len() {
        let Some(start) = keys.get(at) else { break };
        let found = one(&store, scan(Table::View, span(start, &[0xff; 8]), 1, false)).await?;
        check!(found.first().map(|(key, _)| key) == Some(start), "the start {start:?} is in: {found:?}");
        let before = at.checked_sub(1).and_then(|at| keys.get(at));
        let found = one(&store, scan(Table::View, span(&[], start), 1, true)).await?;
        check!(found.first().map(|(key, _)| key) == before, "the last before {start:?}: {found:?}");
        check!(value(&store, Table::View, start).await?.as_ref() == Some(start), "get {start:?}");
    }
    Ok(())
}

pub(super) async fn empty_ranges_and_batches_do_nothing<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "nothing").await?;
    store.commit(puts(vec![put(Table::View, b"k", b"v")])).await.map_err(words)?;
    store.commit(Batch::default()).await.map_err(words)?;
    store.commit(Batch { durability: Durability::Strict, ..Batch::default() }).await.map_err(words)?;
    for (start, end) in [(b"k", b"k"), (b"z", b"a"), (b"l", b"k")] {
        let batch = Batch { delete_ranges: vec![(Table::View, span(start, end))], ..Batch::default() };
        store.commit(batch).await.map_err(words)?;
        for reverse in [false, true] {
            for limit in [1, 10] {
                let found = one(&store, scan(Table::View, span(start, end), limit, reverse)).await?;
                check!(found.is_empty(), "{start:?}..{end:?} has {found:?}");
            }
        }
    }
    check!(value(&store, Table::View, b"k").await?.as_deref() == Some(b"v"), "the row is gone");
    Ok(())
}

pub(super) async fn empty_values_are_values<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "empty").await?;
    store.commit(puts(vec![put(Table::Meta, b"k", b""), put(Table::Tail, b"", b"")])).await.map_err(words)?;
    let answers = store.read(vec![get(Table::Meta, b"k"), get(Table::Tail, b""), get(Table::Meta, b"none")]).await;
    let answers = answers.map_err(words)?;
    check!(answers == vec![rows(&[(b"k", b"")]), rows(&[(b"", b"")]), Rows::new()], "{answers:?}");
    Ok(())
}

pub(super) async fn a_value_of_a_mebibyte_comes_back<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "mebibyte").await?;
    let value_of = |seed: u32| -> Vec<u8> { (0..1u32 << 20).map(|n| (n.wrapping_mul(seed) >> 13) as u8).collect() };
    let batch = (0..4).map(|n| (Table::Segment, number(n), value_of(n.wrapping_mul(2_654_435_761)))).collect();
    store.commit(strict(batch)).await.map_err(words)?;
    for n in 0..4 {
        let found = value(&store, Table::Segment, &number(n)).await?;
        check!(found == Some(value_of(n.wrapping_mul(2_654_435_761))), "value {n} differs");
    }
    Ok(())
}

pub(super) async fn ten_thousand_rows_page_both_ways<F: Factory>(factory: &F) -> Verdict {
    const ROWS: u32 = 10_000;
    let store = opened(factory, "paging").await?;
    for from in (0..ROWS).step_by(1000) {
        let batch = (from..from + 1000).map(|n| put(Table::Tail, &number(n), &number(!n))).collect();
        store.commit(puts(batch)).await.map_err(words)?;
    }
    let (mut at, mut pages) = (0, 0);
    loop {
        let page = one(&store, scan(Table::Tail, span(&number(at), &[0xff; 5]), 777, false)).await?;
        for row in &page {
            check!(*row == (number(at), number(!at)), "forward: row {at} is {row:?}");
            at += 1;
        }
        pages += 1;
        if page.len() < 777 {
            break;
        }
    }
    check!(at == ROWS && pages == 13, "forward: {at} rows in {pages} pages");
    loop {
        let page = one(&store, scan(Table::Tail, span(&[], &number(at)), 777, true)).await?;
        for row in &page {
            at -= 1;
            check!(*row == (number(at), number(!at)), "backward: row {at} is {row:?}");
        }
        if page.len() < 777 {
            break;
        }
    }
    check!(at == 0, "backward: stopped at {at}");
    Ok(())
}

pub(super) async fn answers_come_in_the_order_of_the_questions<F: Factory>(factory: &F) -> Verdict {
    let store = opened(factory, "questions").await?;
    let tables = [Table::View, Table::Tail, Table::Head];
    let batch = tables.iter().flat_map(|table| (0..50).map(|n| put(*table, &number(n), table.name().as_bytes())));
    store.commit(puts(batch.collect())).await.map_err(words)?;
    let mut questions = Vec::new();
    let mut expected: Vec<Rows> = Vec::new();
    for n in 0..60 {
        for table in tables {
            let row = |n: u32| (number(n), table.name().as_bytes().to_vec());
            questions.push(get(table, &number(n)));
            expected.push(if n < 50 { vec![row(n)] } else { vec![] });
            questions.push(scan(table, span(&number(n), &number(99)), 3, false));
            expected.push((n..50).take(3).map(row).collect());
            questions.push(scan(table, span(&[], &number(n)), 1, true));
            expected.push((0..n.min(50)).rev().take(1).map(row).collect());
            questions.push(scan(table, span(&[], &number(n)), 4, true));
            expected.push((0..n.min(50)).rev().take(4).map(row).collect());
        }
    }
    let (first, second) = futures::join!(store.read(questions.clone()), store.read(questions));
    check!(first == Ok(expected), "the first answers differ");
    check!(second == first, "the second answers differ");
    Ok(())
}
