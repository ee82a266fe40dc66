//! What the tree is made of: opened bodies of ops, rows of the tree; and invite tickets.

use crate::laws::{magnitude, mark, same};
use kith_core::document::redaction;
use kith_core::document::{Leaf, Op, Register, ViewRow};
use kith_core::identity::PublicKey;
use kith_core::path::Path;
use kith_core::version::Agent;

fn leaves() -> Vec<Leaf> {
    vec![
        Leaf::Deleted,
        Leaf::Object,
        Leaf::Json(br#"["text",1.5e3,null,{"a":"\u00e9"}]"#.to_vec()),
        Leaf::Bytes { media: "image/png".to_owned(), bytes: vec![0, 1, 2, 255] },
    ]
}

/// Pieces of JSON that readers disagree about.
pub(crate) const OPS_WORDS: &[&str] = &["\\ud800", "1e999", "{}", "[", "\"", "-0", "a\0", "$space\0name\0"];

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
    magnitude(op.path.len())
}

pub(crate) fn op_seeds() -> Vec<Vec<u8>> {
    let ops = leaves().into_iter().enumerate().filter_map(|(number, leaf)| {
        Some(Op { path: Path::new(["notes".to_owned(), number.to_string()]).ok()?, leaf })
    });
    ops.chain([Op::name("Trip")]).map(|op| op.encode()).collect()
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
    mark(&(row.hidden, row.container, row.register.map(|register| (register.is_scalar(), register.is_live()))))
}

pub(crate) fn view_row_seeds() -> Vec<Vec<u8>> {
    let register = |leaf| Register { clock: 1 << 56, agent: Agent([7; 10]), seq: 300, leaf };
    let row = |register| ViewRow { register, container: true, ..ViewRow::default() }.encode();
    leaves().into_iter().map(|leaf| row(Some(register(leaf)))).chain([row(None)]).collect()
}
