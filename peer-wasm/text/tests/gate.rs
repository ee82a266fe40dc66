//! Each rule of the gate, each kind of waiting, each limit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{Rows, agent, delete, insert, new, op, settle, version};
use kith_text::*;

/// "hello" by writer 1, and two edits on it that do not know of each other, by 2 and 3.
fn hello() -> TextDoc {
    let mut doc = new();
    assert_eq!(doc.apply(agent(1), 0, op(&[], vec![insert(0, "hello")])), Outcome::Accepted);
    let base = version(agent(1), 0);
    assert_eq!(doc.apply(agent(2), 4, op(&[base], vec![insert(5, "!")])), Outcome::Accepted);
    assert_eq!(doc.apply(agent(3), 1, op(&[base], vec![delete(0, 2)])), Outcome::Accepted);
    settle(&mut doc, &Rows::default(), 100);
    assert_eq!(doc.text(), "llo!");
    doc
}

fn refused(doc: &mut TextDoc, who: usize, seq: u64, parents: &[Version], edits: Vec<Edit>) -> Refusal {
    let before = (doc.text(), doc.frontier().to_vec(), doc.entries());
    match doc.apply(agent(who), seq, op(parents, edits)) {
        Outcome::Refused(refusal) => {
            assert_eq!((doc.text(), doc.frontier().to_vec(), doc.entries()), before);
            assert_eq!(doc.status(version(agent(who), seq)), Ok(Status::Nothing));
            refusal
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let doc = &mut hello();
    let (base, left, right) = (version(agent(1), 0), version(agent(2), 4), version(agent(3), 1));
    let x = || vec![insert(0, "x")];
    assert_eq!(refused(doc, 5, 0, &[base], vec![insert(6, "x")]), Refusal::Bounds);
    assert_eq!(refused(doc, 5, 1, &[base], vec![delete(5, 1)]), Refusal::Bounds);
    assert_eq!(refused(doc, 5, 2, &[base], vec![delete(0, u32::MAX)]), Refusal::Bounds);
    assert_eq!(refused(doc, 5, 3, &[base], vec![delete(u32::MAX, u32::MAX)]), Refusal::Bounds);
    assert_eq!(refused(doc, 5, 4, &[base], vec![insert(5, "x"), delete(0, 7)]), Refusal::Bounds);
    assert_eq!(refused(doc, 5, 5, &[left, right], vec![insert(5, "x")]), Refusal::Bounds);
    assert_eq!(refused(doc, 5, 6, &[], vec![insert(1, "x")]), Refusal::Bounds);
    assert_eq!(refused(doc, 5, 7, &[base, left], x()), Refusal::NotMinimal);
    assert_eq!(refused(doc, 5, 8, &[base, left, right], x()), Refusal::NotMinimal);
    assert_eq!(refused(doc, 5, 9, &[version(agent(5), 9)], x()), Refusal::OwnFuture);
    assert_eq!(refused(doc, 5, 10, &[base, version(agent(5), 900)], x()), Refusal::OwnFuture);
    assert_eq!(refused(doc, 5, 11, &[version(agent(2), 3)], x()), Refusal::Parent);
    assert_eq!(refused(doc, 5, 12, &[version(agent(5), 0)], x()), Refusal::Parent);
    assert_eq!(refused(doc, 2, 5, &[right], x()), Refusal::SelfConcurrent);
    assert_eq!(refused(doc, 2, 6, &[], x()), Refusal::SelfConcurrent);
    assert_eq!(refused(doc, 5, 13, &[base], vec![]), Refusal::Form(OpError::Empty));
    assert_eq!(refused(doc, 5, 14, &[base], vec![delete(0, 0)]), Refusal::Form(OpError::Empty));
    let unsorted = TextOp { algorithm: Algorithm::DiamondTypes1, parents: vec![right, base], edits: x() };
    let unsorted =
        if unsorted.parents.is_sorted() { TextOp { parents: vec![base, right], ..unsorted } } else { unsorted };
    assert_eq!(doc.apply(agent(5), 15, unsorted), Outcome::Refused(Refusal::Form(OpError::Parents)));
    assert_eq!(doc.apply_bytes(agent(5), 16, b"junk"), Outcome::Refused(Refusal::Form(OpError::Algorithm)));
    // The writer may still write what is right.
    assert_eq!(doc.apply(agent(5), 17, op(&[left, right], vec![insert(4, "?")])), Outcome::Accepted);
    assert_eq!(doc.text(), "llo!?");
    assert_eq!(doc.apply(agent(5), 17, op(&[], x())), Outcome::Known);
    assert_eq!(doc.apply(agent(5), 2, op(&[], x())), Outcome::Known);
}

#[test]
fn what_builds_on_a_refused_operation_is_refused_whenever_it_comes() {
    let (bad, ghost) = (version(agent(2), 0), version(agent(9), 9));
    let wrong = op(&[version(agent(1), 0)], vec![insert(99, "x")]);
    let on_it = op(&[bad], vec![insert(0, "y")]);
    let on_both = op(&[bad, ghost], vec![insert(0, "z")]);
    let first = op(&[], vec![insert(0, "a")]);
    let mut orders = vec![];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2], [3, 1, 0, 2]] {
        let mut doc = new();
        for which in order {
            let (who, op) = [(1, &first), (2, &wrong), (3, &on_it), (4, &on_both)][which];
            doc.apply(agent(who), 0, op.clone());
        }
        let status: Vec<_> = (1..5).map(|who| doc.status(version(agent(who), 0)).unwrap()).collect();
        orders.push((doc.text(), status, doc.missing()));
    }
    let expected = vec![Status::Visible, Status::Nothing, Status::Nothing, Status::Nothing];
    assert!(orders.iter().all(|order| *order == ("a".to_owned(), expected.clone(), vec![])), "{orders:?}");
}

#[test]
fn waiting_ends_when_what_it_builds_on_comes() {
    let mut doc = new();
    let on = |who, seq| vec![version(agent(who), seq)];
    assert_eq!(doc.apply(agent(3), 0, op(&on(2, 7), vec![insert(2, "c")])), Outcome::Waiting);
    assert_eq!(doc.apply(agent(3), 1, op(&on(3, 0), vec![insert(3, "d")])), Outcome::Waiting);
    assert_eq!(doc.apply(agent(3), 2, op(&on(3, 1), vec![insert(99, "d")])), Outcome::Waiting);
    assert_eq!(doc.apply(agent(3), 1, op(&on(3, 0), vec![insert(3, "d")])), Outcome::Waiting);
    assert_eq!(doc.apply(agent(2), 7, op(&on(1, 0), vec![insert(1, "b")])), Outcome::Waiting);
    assert_eq!(doc.missing(), on(1, 0));
    assert_eq!(doc.status(version(agent(3), 1)), Ok(Status::Waiting));
    assert_eq!(doc.apply(agent(1), 0, op(&[], vec![insert(0, "a")])), Outcome::Accepted);
    assert_eq!(doc.text(), "abcd");
    let decided = doc.take_decided();
    let versions: Vec<(Version, bool)> = decided.iter().map(|(version, outcome)| (*version, outcome.is_ok())).collect();
    let named = |who, seq, good| (version(agent(who), seq), good);
    assert_eq!(versions, [named(2, 7, true), named(3, 0, true), named(3, 1, true), named(3, 2, false)]);
    assert!(doc.missing().is_empty());
}

#[test]
fn waiting_is_bounded() {
    let mut doc = new();
    let ghost = vec![version(agent(999), 0)];
    let (mut waiting, mut full) = (0, 0);
    for who in 0..40 {
        for seq in 0..300 {
            match doc.apply(agent(who), seq, op(&ghost, vec![insert(0, "x")])) {
                Outcome::Waiting => waiting += 1,
                Outcome::Full => full += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(waiting, MAX_WAITING_OPS);
    assert_eq!(full, 40 * 300 - MAX_WAITING_OPS);
    // When there is room again, what had none is asked for.
    assert!(doc.wanted().is_empty());
    assert_eq!(doc.apply(agent(999), 0, op(&[], vec![insert(0, "base")])), Outcome::Accepted);
    // They built on the same operation but not on their own: only the first of each counts.
    settle(&mut doc, &Rows::default(), 100_000);
    assert_eq!(doc.text().len(), 4 + 16);
    let wanted = doc.wanted();
    assert_eq!(wanted.len(), 40);
    assert_eq!(wanted.iter().filter(|(_, from)| *from == MAX_WAITING_PER_WRITER as u64).count(), 16);
}

#[test]
fn waiting_bytes_are_bounded() {
    let mut doc = new();
    let large = op(&[version(agent(999), 0)], vec![insert(0, &"x".repeat(900_000))]);
    let outcomes: Vec<Outcome> = (0..20).map(|who| doc.apply(agent(who), 0, large.clone())).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Waiting).count(), 9);
    assert_eq!(doc.apply(agent(0), 1, large), Outcome::Full);
}

#[test]
fn a_text_has_a_greatest_length() {
    let mut doc = new();
    let part = "x".repeat(1_000_000);
    for seq in 0..4 {
        doc.edit(agent(1), seq, &[Splice { pos: 0, len: 0, text: part.clone() }]).unwrap();
    }
    let rest = MAX_TEXT_CHARS - doc.len_chars();
    let splice = |text: String| [Splice { pos: 5, len: 0, text }];
    assert_eq!(doc.edit(agent(1), 4, &splice("y".repeat(rest as usize + 1))), Err(EditError::TooLong));
    let at = doc.frontier().to_vec();
    let over = op(&at, vec![insert(0, &"y".repeat(rest as usize + 1))]);
    assert_eq!(doc.apply(agent(2), 0, over), Outcome::Refused(Refusal::TooLong));
    doc.edit(agent(1), 5, &splice("y".repeat(rest as usize))).unwrap();
    // Together, concurrent insertions may go beyond; then it can only get shorter.
    let also = op(&at, vec![insert(0, &"z".repeat(rest as usize))]);
    assert_eq!(doc.apply(agent(3), 0, also), Outcome::Accepted);
    settle(&mut doc, &Rows::default(), 100);
    assert_eq!(doc.len_chars(), MAX_TEXT_CHARS + rest);
    assert_eq!(doc.edit(agent(1), 6, &splice("a".into())), Err(EditError::TooLong));
    assert!(doc.edit(agent(1), 7, &[Splice { pos: 0, len: 9, text: "shorter".into() }]).is_ok());
}

#[test]
fn a_history_has_a_greatest_length() {
    let mut doc = new();
    let part = "x".repeat(1_000_000);
    doc.edit(agent(1), 0, &[Splice { pos: 0, len: 0, text: part.clone() }]).unwrap();
    let at = doc.frontier().to_vec();
    let room = MAX_HISTORY_CHARS / 1_000_000 - 1;
    // Everybody takes everything out.
    for who in 0..room {
        assert_eq!(doc.apply(agent(10 + who as usize), 0, op(&at, vec![delete(0, 1_000_000)])), Outcome::Accepted);
    }
    assert_eq!(doc.apply(agent(9), 0, op(&at, vec![delete(0, 1_000_000)])), Outcome::Waiting);
    assert_eq!(doc.settle(1_000_000), Settled::Done);
    assert_eq!(doc.text(), "");
    assert_eq!(doc.edit(agent(8), 0, &[Splice { pos: 0, len: 0, text: part }]), Err(EditError::Full));
}

#[test]
fn edits_made_here_are_checked() {
    let mut doc = hello();
    let splice = |pos, len, text: &str| Splice { pos, len, text: text.into() };
    assert_eq!(doc.edit(agent(1), 1, &[]), Err(EditError::Nothing));
    assert_eq!(doc.edit(agent(1), 1, &[splice(0, 0, "")]), Err(EditError::Nothing));
    assert_eq!(doc.edit(agent(1), 1, &[splice(5, 0, "x")]), Err(EditError::Range));
    assert_eq!(doc.edit(agent(1), 1, &[splice(2, 0, "x"), splice(1, 0, "y")]), Err(EditError::Range));
    assert_eq!(doc.edit(agent(1), 1, &[splice(0, 2, ""), splice(1, 1, "")]), Err(EditError::Range));
    assert_eq!(doc.edit(agent(1), 0, &[splice(0, 0, "x")]), Err(EditError::NotNext));
    assert_eq!(doc.edit(agent(1), u64::MAX, &[splice(0, 0, "x")]), Err(EditError::NotNext));
    let unknown = version(agent(7), 7);
    assert_eq!(doc.edit_at(agent(1), 1, &[unknown], &[]), Err(EditError::At(ReadError::Unknown(unknown))));
    let base = version(agent(1), 0);
    assert_eq!(doc.edit_at(agent(1), 1, &[base], &[splice(6, 0, "x")]), Err(EditError::Range));
    let large = "x".repeat(MAX_OP_BYTES);
    assert_eq!(doc.edit(agent(1), 1, &[splice(0, 0, &large)]), Err(EditError::TooLarge));
    assert_eq!(doc.text(), "llo!");
    // At "hello": an h in front is gone meanwhile, the end has moved.
    doc.edit_at(agent(1), 1, &[base], &[splice(0, 1, "J"), splice(5, 0, "?")]).unwrap();
    assert_eq!(doc.text(), "Jllo!?");
    doc.replace(agent(1), 2, "Jello!").unwrap();
    assert_eq!(doc.text(), "Jello!");
    doc.replace_at(agent(1), 3, &[base], "hello world").unwrap();
    assert_eq!(doc.text(), "Jello! world");
    assert_eq!(doc.replace(agent(1), 4, "Jello! world"), Err(EditError::Nothing));
}

#[test]
fn other_states_can_be_read() {
    let mut doc = hello();
    let (base, left, right) = (version(agent(1), 0), version(agent(2), 4), version(agent(3), 1));
    assert_eq!(doc.text_at(&[]).unwrap(), "");
    assert_eq!(doc.text_at(&[base]).unwrap(), "hello");
    assert_eq!(doc.text_at(&[left]).unwrap(), "hello!");
    assert_eq!(doc.text_at(&[base, right, right]).unwrap(), "llo");
    assert_eq!(doc.canonical(&[right, base, left]).unwrap(), doc.frontier());
    assert_eq!(doc.has(base), Ok(true));
    assert_eq!(doc.status(version(agent(1), 1)), Ok(Status::Unknown));
    assert_eq!(doc.status(version(agent(2), 3)), Ok(Status::Nothing));
    let splice = |pos, len, text: &str| Splice { pos, len, text: text.into() };
    assert_eq!(doc.changes_since(&[right]).unwrap().splices(), [splice(3, 0, "!")]);
    assert_eq!(doc.changes_since(&[base]).unwrap().splices(), [splice(0, 2, ""), splice(5, 0, "!")]);
    assert_eq!(doc.changes_since(&[left, right]).unwrap().splices(), []);
    // Accepted, not merged.
    let late = version(agent(8), 0);
    assert_eq!(doc.apply(agent(8), 0, op(&[base], vec![insert(1, "-")])), Outcome::Accepted);
    assert_eq!(doc.status(late), Ok(Status::Accepted));
    assert_eq!(doc.text_at(&[late]), Err(ReadError::Unsettled(late)));
    assert_eq!(doc.settle(100), Settled::Done);
    assert_eq!(doc.text_at(&[late]).unwrap(), "h-ello");
}

/// A costly operation is not merged before enough work was allowed; then it is, and what builds on it costs little.
#[test]
fn merging_waits_for_its_budget() {
    let mut doc = new();
    for seq in 0..5000 {
        doc.edit(agent(1), seq, &[Splice { pos: (seq / 2) as u32, len: 0, text: "x".into() }]).unwrap();
    }
    let visible = doc.frontier().to_vec();
    for seq in 0..100u64 {
        let parents = seq.checked_sub(1).map(|before| version(agent(2), before));
        let outcome = doc.apply(agent(2), seq, op(&Vec::from_iter(parents), vec![insert(0, "late")]));
        assert_eq!(outcome, Outcome::Accepted);
    }
    let mut calls = 1;
    while doc.settle(100) == Settled::More {
        calls += 1;
        assert!(calls > 25 || (doc.text().len() == 5000 && doc.frontier() == visible), "{calls}");
    }
    assert_eq!(doc.text().len(), 5400);
    assert!((25..30).contains(&calls), "{calls}");
    // Judging, too: joining a far branch takes looking at everything since.
    let far = version(agent(2), 50);
    doc.edit(agent(1), 5000, &[Splice { pos: 0, len: 0, text: "x".into() }]).unwrap();
    assert_eq!(doc.apply(agent(3), 0, op(&[far, version(agent(1), 1000)], vec![insert(0, "!")])), Outcome::Waiting);
    assert_eq!(doc.settle(1000), Settled::More);
    assert_eq!(doc.status(version(agent(3), 0)), Ok(Status::Waiting));
    while doc.settle(1000) == Settled::More {}
    assert_eq!(doc.status(version(agent(3), 0)), Ok(Status::Visible));
}
