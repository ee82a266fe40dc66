//! Rows: a commit writes what changed, opening needs no history, damage is found out and never stops the peer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Dice, Rows, agent, delete, insert, long, new, op, settle, version};
use kith_text::{EditError, OpenError, Outcome, ReadError, RowKey, Settled, Splice, Status, StoredHead, TextDoc};

/// A document with several writers, open branches and some history, with everything stored.
fn grown(entries: usize) -> (TextDoc, Rows) {
    let (mut doc, mut rows, dice) = (new(), Rows::default(), &mut Dice::new(5));
    let mut clone = new();
    for seq in 0..entries as u64 {
        let splices = dice.splices(doc.len_chars());
        if let Ok(op) = doc.edit(agent(1), seq, &splices) {
            clone.apply(agent(1), seq, op);
        }
        let splices = dice.splices(clone.len_chars());
        if seq % 5 == 0
            && let Ok(op) = clone.edit(agent(2), seq, &splices)
        {
            assert_eq!(doc.apply(agent(2), seq, op), Outcome::Accepted);
            settle(&mut doc, &rows, 1000);
        }
        if seq % 50 == 0 {
            rows.commit(&mut doc);
        }
    }
    rows.commit(&mut doc);
    (doc, rows)
}

#[test]
fn a_commit_writes_what_changed_whatever_the_size() {
    let mut doc = new();
    let text = "A line of text that is a little longer than others.\n".repeat(10_000);
    doc.edit(agent(1), 0, &[Splice { pos: 0, len: 0, text }]).unwrap();
    let mut rows = Rows::default();
    let (many, bytes) = rows.commit(&mut doc);
    assert!(many > 150 && bytes > 1_000_000, "{many} rows, {bytes} bytes");
    assert_eq!(rows.commit(&mut doc), (0, 0));
    for seq in 1..200 {
        let pos = (seq as u32 * 7919) % doc.len_chars();
        doc.edit(agent(1), seq, &[Splice { pos, len: 2, text: "xy".into() }]).unwrap();
        let (many, bytes) = rows.commit(&mut doc);
        // The head, one or two pieces, now and then a full chunk; an edit may fill a piece.
        assert!(many <= 5 && bytes < 18_000, "{many} rows, {bytes} bytes");
    }
    assert_eq!(rows.open().text(), doc.text());
}

#[test]
fn what_follows_the_visible_text_needs_no_history() {
    let (mut doc, mut rows) = grown(300);
    let mut stored = rows.open();
    assert_eq!(stored.text(), doc.text());
    let mine = stored.edit(agent(1), 1000, &[Splice { pos: 0, len: 0, text: "new".into() }]).unwrap();
    assert_eq!(doc.apply(agent(1), 1000, mine), Outcome::Accepted);
    let theirs = doc.edit(agent(3), 0, &[Splice { pos: 1, len: 1, text: String::new() }]).unwrap();
    assert_eq!(stored.apply(agent(3), 0, theirs), Outcome::Accepted);
    assert_eq!(stored.settle(0), Settled::Done);
    assert!(!stored.has_history());
    assert_eq!((stored.text(), stored.frontier()), (doc.text(), doc.frontier()));
    assert_eq!(stored.status(version(agent(3), 0)), Ok(Status::Visible));
    // What looks back does.
    let old = version(agent(1), 10);
    assert_eq!(stored.text_at(&[old]), Err(ReadError::NeedsHistory));
    assert_eq!(stored.edit_at(agent(1), 1001, &[old], &[]), Err(EditError::At(ReadError::NeedsHistory)));
    let late = op(&[old], vec![insert(0, "late")]);
    assert_eq!(stored.apply(agent(4), 0, late.clone()), Outcome::NeedsHistory);
    rows.commit(&mut stored);
    rows.load(&mut stored);
    assert_eq!(stored.apply(agent(4), 0, late.clone()), Outcome::Accepted);
    assert_eq!(doc.apply(agent(4), 0, late), Outcome::Accepted);
    settle(&mut stored, &rows, 100);
    settle(&mut doc, &rows, 100_000);
    assert_eq!((stored.text(), stored.frontier()), (doc.text(), doc.frontier()));
}

#[test]
fn what_was_accepted_and_not_merged_is_merged_after_a_restart() {
    let (mut doc, mut rows) = grown(50);
    let at = doc.frontier().to_vec();
    doc.edit(agent(1), 100, &[Splice { pos: 0, len: 0, text: "here ".into() }]).unwrap();
    assert_eq!(doc.apply(agent(6), 0, op(&at, vec![insert(0, "there ")])), Outcome::Accepted);
    assert!(!doc.text().contains("there"));
    rows.commit(&mut doc);
    let mut stored = rows.open();
    assert_eq!(stored.settle(1000), Settled::NeedsHistory);
    rows.load(&mut stored);
    assert_eq!(stored.status(version(agent(6), 0)), Ok(Status::Accepted));
    assert_eq!(stored.settle(1000), Settled::Done);
    settle(&mut doc, &rows, 1000);
    assert!(stored.text().contains("there"));
    assert_eq!(stored.text(), doc.text());
}

#[test]
fn what_waited_is_asked_for_after_a_restart() {
    let (mut doc, mut rows) = (new(), Rows::default());
    let far = version(agent(1), 5);
    for seq in 3..6 {
        let parents = if seq == 3 { vec![far] } else { vec![version(agent(2), seq - 1)] };
        assert_eq!(doc.apply(agent(2), seq, op(&parents, vec![insert(0, "x")])), Outcome::Waiting);
    }
    assert_eq!(doc.missing(), [far]);
    rows.commit(&mut doc);
    let mut stored = rows.open();
    assert_eq!(stored.wanted(), [(agent(2), 3)]);
    // A newer one does not jump the queue.
    assert_eq!(stored.apply(agent(2), 9, op(&[far], vec![insert(0, "y")])), Outcome::Full);
    assert_eq!(stored.apply(agent(1), 5, op(&[], vec![insert(0, "base")])), Outcome::Accepted);
    for seq in 3..6 {
        let parents = if seq == 3 { vec![far] } else { vec![version(agent(2), seq - 1)] };
        assert_eq!(stored.apply(agent(2), seq, op(&parents, vec![insert(0, "x")])), Outcome::Accepted);
    }
    assert_eq!(stored.wanted(), [(agent(2), 6)]);
    assert_eq!(stored.text(), "xxxbase");
}

#[test]
fn damage_is_found_out() {
    let (mut doc, rows) = grown(1200);
    let dice = &mut Dice::new(1);
    let keys: Vec<RowKey> = rows.0.keys().copied().collect();
    assert!(keys.iter().filter(|key| matches!(key, RowKey::Chunk(_))).count() >= 2);
    for _ in 0..if long() { 20_000 } else { 3000 } {
        let mut broken = rows.clone();
        let key = keys[dice.below(keys.len())];
        let row = broken.0.get_mut(&key).unwrap();
        let at = dice.below(row.len());
        match dice.below(4) {
            0 => row[at] ^= 1 << dice.below(8),
            1 => row.truncate(at),
            2 => row.insert(at, dice.below(256) as u8),
            _ => {
                let other = keys[dice.below(keys.len())];
                let taken = rows.0[&other].clone();
                if other == key || taken == *row {
                    continue;
                }
                *row = taken;
            }
        }
        assert!(reopen(&broken).is_err(), "{key:?}");
    }
    assert_eq!(reopen(&rows).map(|doc| doc.text()), Ok(doc.text()));
    doc.take_changes();
}

/// Damage that the check does not see must not stop the peer either.
#[test]
fn forged_rows_do_not_panic() {
    let (_, rows) = grown(1200);
    let dice = &mut Dice::new(2);
    let keys: Vec<RowKey> = rows.0.keys().copied().collect();
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..if long() { 20_000 } else { 4000 } {
        let mut forged = rows.clone();
        let key = keys[dice.below(keys.len())];
        let row = forged.0.get_mut(&key).unwrap();
        let mut content = row[..row.len() - 8].to_vec();
        for _ in 0..1 + dice.below(2) {
            let at = dice.below(content.len());
            match dice.below(3) {
                0 => content[at] ^= 1 << dice.below(8),
                1 => content[at] = dice.below(256) as u8,
                _ => drop(content.remove(at)),
            }
        }
        *row = resealed(key, content);
        match reopen(&forged) {
            Err(_) => refused += 1,
            Ok(mut doc) => {
                opened += 1;
                // It is some document: using it works or is refused in order.
                let splice = Splice { pos: 0, len: doc.len_chars().min(1), text: "x".into() };
                let _ = doc.edit(agent(9), 0, &[splice]);
                let _ = doc.settle(u64::MAX);
                let _ = doc.take_rows();
            }
        }
    }
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
}

fn resealed(key: RowKey, mut content: Vec<u8>) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.suffix()).update(&content);
    content.extend(&hasher.finalize().as_bytes()[..8]);
    content
}

fn reopen(rows: &Rows) -> Result<TextDoc, OpenError> {
    let damaged = OpenError::Damaged(kith_text::Damaged);
    let head = StoredHead::decode(&rows.0[&RowKey::Head])?;
    let pieces: Vec<RowKey> = head.pieces().collect();
    let pieces = pieces.iter().map(|key| rows.0.get(key).map(Vec::as_slice)).collect::<Option<Vec<_>>>();
    let mut doc = head.open(pieces.ok_or(damaged)?)?;
    let chunks: Vec<RowKey> = doc.chunks().take(1000).collect();
    let chunks = chunks.iter().map(|key| rows.0.get(key).map(Vec::as_slice)).collect::<Option<Vec<_>>>();
    doc.load_history(chunks.ok_or(damaged)?)?;
    Ok(doc)
}

#[test]
fn rows_of_newer_versions_are_told_apart() {
    let (_, rows) = grown(3);
    let head = &rows.0[&RowKey::Head];
    for (at, value) in [(0, 2), (1, 9)] {
        let mut content = head[..head.len() - 8].to_vec();
        content[at] = value;
        assert_eq!(StoredHead::decode(&resealed(RowKey::Head, content)).err(), Some(OpenError::Newer));
    }
}

/// What a release wrote, the next one reads: the bytes of a small document.
#[test]
fn the_rows_are_as_laid_down() {
    let (mut doc, mut rows) = (new(), Rows::default());
    doc.edit(agent(0), 3, &[Splice { pos: 0, len: 0, text: "hé".into() }]).unwrap();
    assert_eq!(doc.apply(agent(1), 0, op(&[version(agent(0), 3)], vec![delete(0, 1)])), Outcome::Accepted);
    rows.commit(&mut doc);
    assert_eq!(rows.0[&RowKey::Piece(0)][..2], *"é".as_bytes());
    let (first, second) = ([0; 10], agent(1).0);
    let chunk = [1, 0, 2, 1 | 2 | 4, 0, 3, 0, 6, 0, b'h', 0xc3, 0xa9, 1 | 2, 1, 0, 3, 3];
    let head = [
        &[1u8, 1, 2, 0, 3, 0, 2][..],
        &first,
        &[4, 1, 3, 0, 0],
        &second,
        &[1, 1, 0, 1, 0],
        &[1, 1, 1, 0],
        &[1, 1, 0, chunk.len() as u8],
        &chunk,
    ]
    .concat();
    assert_eq!(rows.0[&RowKey::Head], resealed(RowKey::Head, head));
}
