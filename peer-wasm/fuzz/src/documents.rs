//! What the tree is made of: opened bodies of ops, rows of the tree; and invite tickets.

use crate::laws::{magnitude, mark, same};
use kith_core::document::kind::authors::Covers;
use kith_core::document::kind::list::{Action, Hook, Ref};
use kith_core::document::kind::{Act, Stamp, State, counter, list, member, mv, tag};
use kith_core::document::redaction;
use kith_core::document::{Leaf, Op, Ops, Register, Since, States, ViewRow, apply, tree};
use kith_core::identity::PublicKey;
use kith_core::lens::{Answers, Lens, Overlay};
use kith_core::path::Path;
use kith_core::rows::Batch;
use kith_core::version::Agent;

fn leaves() -> Vec<Leaf> {
    vec![
        Leaf::Deleted,
        Leaf::Object,
        Leaf::Json(br#"["text",1.5e3,null,{"a":"\u00e9"}]"#.to_vec()),
        Leaf::Bytes { media: "image/png".to_owned(), bytes: vec![0, 1, 2, 255] },
    ]
}

fn covers() -> Covers {
    Covers([(Agent([1; 10]), 4), (Agent([2; 10]), 0)].into())
}

/// Ops of every kind, with names of places where they can stand.
fn kinds() -> Vec<(&'static str, Leaf)> {
    let leaf = |tag, body| Leaf::Kind { tag, body };
    let put = mv::Act::Put(covers(), mv::Content::Json(b"{\"a\":[1]}".to_vec()));
    let bytes = mv::Content::Bytes { media: "image/png".to_owned(), bytes: vec![0, 255] };
    let seen = vec![(Agent([1; 10]), 7, -12)];
    let texts = vec![b"1".to_vec(), b"\"x\"".to_vec()];
    let edits = list::Act(vec![
        Action::Insert(Hook::Start, texts.clone()),
        Action::Insert(Hook::Left(Ref::Here(1)), texts),
        Action::Move(Ref::Here(0), Hook::Right(Ref::There(list::Id::LONGEST))),
        Action::Replace(Ref::Here(1), b"null".to_vec()),
        Action::Delete(Ref::Here(0), 2),
    ]);
    vec![
        ("m", leaf(tag::MV, put.encode())),
        ("n", leaf(tag::MV, mv::Act::Put(Covers::default(), bytes).encode())),
        ("o", leaf(tag::MV, mv::Act::Delete(covers()).encode())),
        ("p", leaf(tag::COUNTER, counter::Act::Add(-3).encode())),
        ("q", leaf(tag::COUNTER, counter::Act::Delete(seen).encode())),
        ("s", Leaf::kind(tag::SET)),
        ("\"x\"", leaf(tag::MEMBER, member::Act::Add(covers(), Vec::new()).encode())),
        ("1", leaf(tag::MEMBER, member::Act::Remove(covers()).encode())),
        ("l", leaf(tag::LIST, edits.encode())),
        ("aaaaaaaaaaaaaaaa-0-1", Leaf::kind(tag::ELEMENT)),
        ("t", leaf(tag::TEXT, vec![1, 0, 1, 2, 0, b'x'])),
        ("u", leaf(200, vec![1, 2, 3])),
    ]
}

/// Pieces of JSON that readers disagree about.
pub(crate) const OPS_WORDS: &[&str] =
    &["\\ud800", "1e999", "{}", "[", "\"", "-0", "a\0", "$space\0name\0", "$policy\0/a\0"];

pub(crate) fn op(data: &[u8]) -> u64 {
    let op = match Op::decode(data) {
        Err(error) => return mark(&error),
        Ok(op) => op,
    };
    same("ops have one encoding", &op.encode().as_slice(), &data);
    if let Leaf::Json(text) = &op.leaf {
        let json: Result<serde_json::Value, _> = serde_json::from_slice(text);
        assert!(json.is_ok(), "a leaf that was taken in cannot be read: {json:?}");
        assert!(json.is_ok_and(|json| !json.is_object()), "an object hides in a leaf");
    }
    if let Leaf::Kind { tag, body } = &op.leaf
        && let Ok(act) = Act::decode(*tag, body)
    {
        same("an op of a kind has one encoding", &act.encode(), body);
    }
    let kind = op.leaf.tag().unwrap_or_default();
    magnitude(op.path.len()) << 8 | u64::from(kind) | merged(Ops { clock: 5, id: String::new(), list: vec![op] })
}

/// Merges ops into an empty tree: rows come back as they were written, and the same ops once more change nothing.
fn merged(ops: Ops) -> u64 {
    let items = ops.into_items(Agent([7; 10]), 300);
    let (mut answers, mut overlay) = (Answers::default(), Overlay::default());
    let mut rows = std::collections::BTreeMap::new();
    for round in 1..100 {
        let lens = Lens::new(&answers, &overlay);
        let applied = apply(&lens, 1, &items);
        let missing = lens.into_missing();
        missing.into_iter().for_each(|read| answers.add(read, Vec::new()));
        let Ok(applied) = applied else { continue };
        if !rows.is_empty() {
            for (key, row) in &applied.rows {
                same("the same ops once more change nothing", &rows.get(key), &Some(row));
            }
            break;
        }
        let mut batch = Batch::default();
        for row in applied.rows.values() {
            same("a row comes back", &ViewRow::decode(&row.encode()).as_ref(), &Some(row));
        }
        applied.store(1, &mut batch);
        overlay.push(round, &batch);
        rows = applied.rows;
    }
    shown(answers, &overlay);
    magnitude(rows.len()) << 16
}

/// Reads the whole tree: whatever is in it can be shown.
fn shown(mut answers: Answers, overlay: &Overlay) {
    for _ in 0..4 {
        let lens = Lens::new(&answers, overlay);
        if let Ok(tree) = tree(&lens, 1, &Path::root()) {
            let (value, held) = (tree.value(&Path::root()), tree.held(&Path::root()));
            assert!(value.is_none() || held.is_some(), "a value of no kind: {value:?}");
            return;
        }
        lens.into_missing().into_iter().for_each(|read| answers.add(read, Vec::new()));
    }
}

pub(crate) fn op_seeds() -> Vec<Vec<u8>> {
    let ops = leaves()
        .into_iter()
        .enumerate()
        .filter_map(|(number, leaf)| Some(Op::new(Path::new(["notes".to_owned(), number.to_string()]).ok()?, leaf)));
    let of_kinds = kinds().into_iter().filter_map(|(name, leaf)| Some(Op::new(Path::new(["k", name]).ok()?, leaf)));
    let purge = Stamp { clock: 1 << 50, agent: Agent([7; 10]), seq: 3 };
    let lives = [Since::Here, Since::Purge(purge)].into_iter().flat_map(|since| {
        let of_kinds = kinds().into_iter().chain([("gone", Leaf::Deleted)]);
        of_kinds.filter_map(move |(name, leaf)| Some(Op { since, ..Op::new(Path::new(["k", name]).ok()?, leaf) }))
    });
    let lives: Vec<Op> = lives.collect();
    ops.chain([Op::name("Trip")]).chain(of_kinds).chain(lives).map(|op| op.encode()).collect()
}

pub(crate) fn redaction(data: &[u8]) -> u64 {
    match redaction::decode(data) {
        Err(error) => mark(&error),
        Ok(targets) => {
            same("a list has one encoding", &redaction::encode(&targets).as_slice(), &data);
            magnitude(targets.len())
        }
    }
}

pub(crate) fn redaction_seeds() -> Vec<Vec<u8>> {
    let target = |log, seq| redaction::Target { log: PublicKey([log; 32]), seq, parts: vec![0, 3, 700] };
    vec![redaction::encode(&[target(1, 4), target(1, 300), target(2, 0)]), redaction::encode(&[])]
}

pub(crate) fn view_row(data: &[u8]) -> u64 {
    let Some(row) = ViewRow::decode(data) else { return 0 };
    same("a row comes back", &ViewRow::decode(&row.encode()).as_ref(), &Some(&row));
    let states: Vec<(u8, bool)> = row.states.0.iter().map(|(tag, state)| (*tag, state.is_live())).collect();
    let versions = magnitude(row.versions().count());
    mark(&(row.hidden, row.container, row.is_live(), row.is_in_conflict(), states, versions))
}

pub(crate) fn view_row_seeds() -> Vec<Vec<u8>> {
    let register = |leaf| Register { clock: 1 << 56, agent: Agent([7; 10]), seq: 300, leaf };
    let row = |register| ViewRow { register, container: true, ..ViewRow::default() }.encode();
    let plain = leaves().into_iter().map(|leaf| row(Some(register(leaf)))).chain([row(None)]);
    let of_kinds = kinds().into_iter().filter_map(|(_, leaf)| {
        let kind = leaf.tag()?;
        let states = States(State::empty(kind).map(|state| (kind, state)).into_iter().collect());
        Some(ViewRow { register: Some(register(leaf.kept())), states, ..ViewRow::default() }.encode())
    });
    plain.chain(of_kinds).collect()
}
