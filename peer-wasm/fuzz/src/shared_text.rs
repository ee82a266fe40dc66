//! Collaborative text: operations, stored rows, and whole documents.

use crate::laws::{magnitude, mark, same};
use kith_core::document::text::{ClientState, pack_inbox, unpack_inbox};
use kith_text::{Agent, Algorithm, Outcome, RowKey, Settled, Splice, StoredHead, TextDoc, TextOp, fuzzing};

fn agent(number: u8) -> Agent {
    Agent([number % 3; 10])
}

/// A document that three wrote in, and its operations.
fn written() -> (TextDoc, Vec<(u8, Vec<u8>)>) {
    let (mut doc, mut ops) = (TextDoc::new(Algorithm::DiamondTypes1), Vec::new());
    let mut behind = TextDoc::new(Algorithm::DiamondTypes1);
    for seq in 0..12u64 {
        let splice = |len: u32| Splice { pos: len / 2, len: len.min(u32::from(seq % 4 == 3)), text: "é1".into() };
        let number = (seq % 3) as u8;
        let writer = if number == 2 { &mut behind } else { &mut doc };
        if let Ok(op) = writer.edit(agent(number), seq, &[splice(writer.len_chars())]) {
            ops.push((number, op.encode()));
            doc.apply(agent(number), seq, op);
            doc.settle(u64::MAX);
        }
    }
    (doc, ops)
}

pub(crate) fn op(data: &[u8]) -> u64 {
    match TextOp::decode(data) {
        Err(error) => mark(&error),
        Ok(op) => {
            same("an operation has one encoding", &op.encode().as_slice(), &data);
            magnitude(op.edits.len()) << 8 | magnitude(op.parents.len())
        }
    }
}

pub(crate) fn op_seeds() -> Vec<Vec<u8>> {
    written().1.into_iter().map(|(_, bytes)| bytes).collect()
}

pub(crate) fn head(data: &[u8]) -> u64 {
    let head = match StoredHead::decode(&fuzzing::seal(RowKey::Head, data)) {
        Err(error) => return mark(&error),
        Ok(head) => head,
    };
    let pieces: Vec<Vec<u8>> = head.pieces().map(|key| fuzzing::seal(key, b"text")).collect();
    let Ok(mut doc) = head.open(pieces.iter().map(Vec::as_slice)) else { return 1 };
    let _ = doc.edit(agent(0), u64::MAX - 1, &[Splice { pos: 0, len: 1, text: "x".into() }]);
    doc.take_rows();
    // Not merged: lengths at joins are believed to a row whose check is good, and this one's was made here.
    mark(&doc.load_history(std::iter::empty()).is_ok())
}

pub(crate) fn head_seeds() -> Vec<Vec<u8>> {
    let (mut doc, _) = written();
    let _ = doc.replace(agent(1), 100, "text");
    let mut empty = TextDoc::new(Algorithm::DiamondTypes1);
    let heads = [&mut doc, &mut empty].map(|doc| doc.take_rows().into_iter().find(|row| row.key == RowKey::Head));
    heads.into_iter().flatten().filter_map(|row| fuzzing::unseal(row.key, &row.bytes?)).collect()
}

pub(crate) fn chunk(data: &[u8]) -> u64 {
    let Some((count, written)) = fuzzing::chunk(data) else { return 0 };
    same("a chunk says the same when written again", &fuzzing::chunk(&written), &Some((count, written.clone())));
    1 + magnitude(count as usize)
}

pub(crate) fn chunk_seeds() -> Vec<Vec<u8>> {
    let mut doc = TextDoc::new(Algorithm::DiamondTypes1);
    for seq in 0..1500 {
        let _ = doc.edit(agent(0), seq, &[Splice { pos: 0, len: 0, text: "é".into() }]);
    }
    let rows = doc.take_rows().into_iter().find(|row| row.key == RowKey::Chunk(0));
    rows.into_iter().filter_map(|row| fuzzing::unseal(row.key, &row.bytes?)).collect()
}

/// A history of events, the first row of it.
pub(crate) fn events(data: &[u8]) -> u64 {
    let Some((count, written)) = fuzzing::events(data) else { return 0 };
    same("events say the same when written again", &fuzzing::events(&written), &Some((count, written.clone())));
    1 + magnitude(count as usize)
}

pub(crate) fn events_seeds() -> Vec<Vec<u8>> {
    let mut events = kith_text::Events::new("peer");
    let _ = events.follow(&kith_text::Delta::of_splices(&[splice(0, 0, "Hello")]));
    let start = events.tip().to_vec();
    let _ = events.put("ada-2", &start, &[splice(0, 1, "J"), splice(5, 0, "!")], None);
    let _ = events.put("bob-0", &start, &[splice(2, 0, "é")], None);
    let row =
        |(number, row): (u32, Vec<u8>)| (number == 1).then(|| row.split_last_chunk::<8>().map(|(row, _)| row.to_vec()));
    events.take_rows(&[]).into_iter().filter_map(row).flatten().collect()
}

/// What arrived of a text, as its inbox keeps it.
pub(crate) fn inbox(data: &[u8]) -> u64 {
    let arrived = match unpack_inbox(data) {
        Err(error) => return mark(&error),
        Ok(arrived) => arrived,
    };
    let rows = pack_inbox(&arrived);
    let back: Vec<_> = rows.iter().filter_map(|(_, row)| unpack_inbox(row).ok()).flatten().collect();
    same("what arrived comes back", &back, &arrived);
    magnitude(arrived.len()) << 8 | magnitude(rows.len())
}

pub(crate) fn inbox_seeds() -> Vec<Vec<u8>> {
    let arrived = written().1.into_iter().enumerate().map(|(seq, (_, op))| (seq as u64, op)).collect();
    pack_inbox(&arrived).into_iter().map(|(_, row)| row).collect()
}

/// What a client held, as the row under its write's id says it.
pub(crate) fn client(data: &[u8]) -> u64 {
    let own = kith_core::version::Agent([1; 10]);
    let state = match ClientState::decode(data, own) {
        Err(error) => return mark(&error),
        Ok(state) => state,
    };
    let (one, other) = (state.bridge.clone(), kith_text::Delta::of_splices(&[splice(1, 2, "é")]));
    one.then(&other).after(&other).ahead_of(&one);
    match ClientState::decode(&state.encode(Some(7)), own) {
        Ok(again) => same("what a client held comes back", &again, &state),
        // It has grown too long to be kept.
        Err(error) => return mark(&error),
    }
    magnitude(state.at.len()) << 8 | magnitude(state.bridge.splices().len())
}

fn splice(pos: u32, len: u32, text: &str) -> Splice {
    Splice { pos, len, text: text.into() }
}

pub(crate) fn client_seeds() -> Vec<Vec<u8>> {
    let at = vec![kith_core::version::Version { agent: kith_core::version::Agent([2; 10]), seq: 300 }];
    let bridge = kith_text::Delta::of_splices(&[splice(0, 0, "x"), splice(4, 2, "é"), splice(9, 1, "")]);
    let state = ClientState { at, bridge };
    vec![state.encode(Some(3)), ClientState::default().encode(None), 7u64.to_be_bytes().to_vec()]
}

/// Entries as writer, length and bytes; three peers get them, one of them writer by writer.
pub(crate) fn doc(data: &[u8]) -> u64 {
    let (mut entries, mut rest) = (Vec::new(), data);
    while let [writer, len, tail @ ..] = rest {
        let (bytes, after) = tail.split_at(usize::from(*len).min(tail.len()));
        entries.push((*writer, entries.len() as u64, bytes));
        rest = after;
    }
    let peer = |entries: &[(u8, u64, &[u8])]| {
        let mut doc = TextDoc::new(Algorithm::DiamondTypes1);
        for (writer, seq, bytes) in entries {
            let outcome = doc.apply_bytes(agent(*writer), *seq, bytes);
            assert!(outcome != Outcome::NeedsHistory);
        }
        assert_eq!(doc.settle(u64::MAX), Settled::Done);
        doc
    };
    let one = peer(&entries);
    for order in [[0, 1, 2], [2, 1, 0]] {
        let by_writer = order.iter().flat_map(|writer| entries.iter().filter(move |entry| entry.0 % 3 == *writer));
        let other = peer(&by_writer.copied().collect::<Vec<_>>());
        same("the order does not matter", &(other.text(), other.frontier()), &(one.text(), one.frontier()));
    }
    assert_eq!(one.text().chars().count(), one.len_chars() as usize);
    magnitude(one.entries() as usize) << 8 | magnitude(one.frontier().len())
}

pub(crate) fn doc_seeds() -> Vec<Vec<u8>> {
    let (_, ops) = written();
    let entry = |(writer, bytes): &(u8, Vec<u8>)| [&[*writer, bytes.len() as u8], bytes.as_slice()].concat();
    vec![ops.iter().flat_map(entry).collect()]
}
