//! What the tree is made of: opened bodies of ops, rows of the tree; and invite tickets.

use crate::laws::{magnitude, mark, same};
use kith_core::document::{Leaf, Op, Ops, Register, ViewRow};
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

pub(crate) fn ops(data: &[u8]) -> u64 {
    let ops = match Ops::decode(data) {
        Err(error) => return mark(&error),
        Ok(ops) => ops,
    };
    same("ops have one encoding", &ops.encode().as_slice(), &data);
    for op in &ops.list {
        if let Leaf::Json(text) = &op.leaf {
            let json: Result<serde_json::Value, _> = serde_json::from_slice(text);
            assert!(json.is_ok(), "a leaf that was taken in cannot be read: {json:?}");
            assert!(json.is_ok_and(|json| !json.is_object()), "an object hides in a leaf");
        }
    }
    magnitude(ops.list.len())
}

pub(crate) fn ops_seeds() -> Vec<Vec<u8>> {
    let list = leaves().into_iter().enumerate().filter_map(|(number, leaf)| {
        Some(Op { path: Path::new(["notes".to_owned(), number.to_string()]).ok()?, leaf })
    });
    let ops = Ops { clock: 1 << 56, id: "my-write".to_owned(), list: list.collect() };
    let named = Ops { clock: 0, id: String::new(), list: vec![Op::name("Trip")] };
    vec![ops.encode(), named.encode()]
}

pub(crate) fn view_row(data: &[u8]) -> u64 {
    let Some(row) = ViewRow::decode(data) else { return 0 };
    same("a row comes back", &ViewRow::decode(&row.encode()).as_ref(), &Some(&row));
    mark(&(row.hidden, row.container, row.register.map(|register| (register.is_scalar(), register.is_live()))))
}

pub(crate) fn view_row_seeds() -> Vec<Vec<u8>> {
    let register = |leaf| Register { clock: 1 << 56, agent: Agent([7; 10]), seq: 300, leaf };
    let row = |register| ViewRow { register, container: true, hidden: false }.encode();
    leaves().into_iter().map(|leaf| row(Some(register(leaf)))).chain([row(None)]).collect()
}
