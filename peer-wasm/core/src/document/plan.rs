//! From a wish to ops: what a write has to change, given what the writer sees.

use super::ops::{Leaf, MAX_OPS, Op};
use super::read::{Located, Tree, index, inside};
use super::row::ViewRow;
use crate::api::{Body, Change, Refusal};
use crate::patch::{self, PatchInput};
use crate::path::Path;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The most bytes of one value.
pub const MAX_VALUE: usize = 1 << 20;
/// The deepest a JSON value may be nested.
const MAX_DEPTH: usize = 64;

/// What a write comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The ops; empty if everything is as wished already.
    pub ops: Vec<Op>,
    /// Whether something was at the path before.
    pub existed: bool,
    /// Whether the path is empty afterwards.
    pub deleted: bool,
}

/// Works out the ops of a write to `path`. Nothing is changed here, and nothing will be if this refuses.
pub fn plan(path: &Path, located: &Located, change: &Change) -> Result<Planned, Refusal> {
    match located {
        Located::Blocked { by } => Err(Refusal::Conflict(format!(
            "`{by}` holds a value without members, so nothing can be stored below it. Replace or delete that value first."
        ))),
        Located::Inside { leaf, value, rest, .. } => plan_inside(leaf, value, rest, change),
        Located::Place(tree) if tree.cut => Err(Refusal::TooLarge {
            what: "What is stored at this path (in places)".to_owned(),
            limit: super::MAX_TREE_ROWS as u64,
            listing: Some(path.to_string()),
        }),
        Located::Place(tree) => plan_place(path, tree, change),
    }
}

fn plan_place(path: &Path, tree: &Tree, change: &Change) -> Result<Planned, Refusal> {
    let current = tree.value(path);
    let existed = current.is_some();
    let new = match change {
        Change::Put(body) => Some(body.clone()),
        Change::Delete if !existed => return Err(Refusal::NotFound),
        Change::Delete => None,
        Change::MergePatch(_) | Change::JsonPatch(_) | Change::Ranges(_) => {
            let old = match &current {
                Some(Body::Json(json)) => Some(json),
                Some(Body::Bytes { media, .. }) => {
                    return Err(Refusal::Unprocessable(format!(
                        "The value is of type {media}; only JSON values can be patched. Use PUT to replace it."
                    )));
                }
                None => None,
            };
            Some(Body::Json(patched(old, change)?))
        }
    };
    let exact = matches!(change, Change::Put(_));
    let ops = difference(path, tree, new.as_ref(), exact)?;
    Ok(Planned { ops, existed, deleted: new.is_none() })
}

fn patched(old: Option<&Json>, change: &Change) -> Result<Json, Refusal> {
    let input = PatchInput::of(change).ok_or_else(|| Refusal::Malformed("This is no patch.".to_owned()))?;
    patch::apply(old, &input).map_err(|error| Refusal::Unprocessable(error.to_string()))
}

/// A write that reaches into an array: the whole array is written anew.
fn plan_inside(leaf: &Path, value: &Json, rest: &[String], change: &Change) -> Result<Planned, Refusal> {
    let old = inside(value, rest);
    let existed = old.is_some();
    let new = match change {
        Change::Put(Body::Json(json)) => Some(json.clone()),
        Change::Put(Body::Bytes { .. }) => {
            return Err(Refusal::Unprocessable("Only JSON can be stored inside a JSON array.".to_owned()));
        }
        Change::Delete if !existed => return Err(Refusal::NotFound),
        Change::Delete => None,
        _ => Some(patched(old, change)?),
    };
    let deleted = new.is_none();
    let mut whole = value.clone();
    replace(&mut whole, rest, new).ok_or_else(|| {
        Refusal::Conflict("There is no such place inside the array. Use an index up to its length.".to_owned())
    })?;
    check_depth(&whole)?;
    let text = whole.to_string().into_bytes();
    check_size(text.len())?;
    Ok(Planned { ops: vec![Op { path: leaf.clone(), leaf: Leaf::Json(text) }], existed, deleted })
}

fn replace(at: &mut Json, names: &[String], new: Option<Json>) -> Option<()> {
    let (name, rest) = names.split_first()?;
    if !rest.is_empty() {
        return match at {
            Json::Array(list) => replace(list.get_mut(index(name)?)?, rest, new),
            Json::Object(members) => replace(members.get_mut(name)?, rest, new),
            _ => None,
        };
    }
    match (at, new) {
        (Json::Array(list), Some(new)) => {
            let index = index(name)?;
            if index == list.len() {
                list.push(new);
            } else {
                *list.get_mut(index)? = new;
            }
        }
        (Json::Array(list), None) => {
            let index = index(name)?;
            if index >= list.len() {
                return None;
            }
            list.remove(index);
        }
        (Json::Object(members), Some(new)) => {
            members.insert(name.clone(), new);
        }
        (Json::Object(members), None) => {
            members.remove(name)?;
        }
        _ => return None,
    }
    Some(())
}

fn check_depth(json: &Json) -> Result<(), Refusal> {
    patch::check_depth(json).map_err(|error| Refusal::Unprocessable(error.to_string()))
}

fn check_size(bytes: usize) -> Result<(), Refusal> {
    if bytes <= MAX_VALUE {
        return Ok(());
    }
    Err(Refusal::TooLarge { what: "The value".to_owned(), limit: MAX_VALUE as u64, listing: None })
}

/// The ops that turn what `tree` shows at `top` into `new`: only what differs, except that a scalar put at its own
/// place is always written.
fn difference(top: &Path, tree: &Tree, new: Option<&Body>, exact: bool) -> Result<Vec<Op>, Refusal> {
    let mut wanted: BTreeMap<Path, Leaf> = BTreeMap::new();
    let mut bytes = 0;
    match new {
        None => {}
        Some(Body::Bytes { media, bytes: content }) => {
            bytes = content.len();
            wanted.insert(top.clone(), Leaf::Bytes { media: media.clone(), bytes: content.clone() });
        }
        Some(Body::Json(json)) => spread(top, json, 0, &mut wanted, &mut bytes)?,
    }
    check_size(bytes)?;
    towards(top, tree, wanted, exact)
}

/// Works out the ops that make `path` what another tree of the same place shows there. Nothing is changed here.
pub(crate) fn restore(path: &Path, now: &Tree, then: &Tree) -> Result<Planned, Refusal> {
    let mut wanted: BTreeMap<Path, Leaf> = BTreeMap::new();
    for (path, row) in &then.rows {
        if let Some(register) = row.visible().filter(|_| !path.is_reserved()) {
            wanted.insert(path.clone(), register.leaf.clone());
        }
    }
    check_size(wanted.values().map(Leaf::size).sum())?;
    let (existed, deleted) = (now.value(path).is_some(), wanted.is_empty());
    Ok(Planned { ops: towards(path, now, wanted, false)?, existed, deleted })
}

/// The ops after which these leaves show at and below `top`, and nothing else does.
fn towards(top: &Path, tree: &Tree, wanted: BTreeMap<Path, Leaf>, exact: bool) -> Result<Vec<Op>, Refusal> {
    if top.is_empty() && wanted.get(top).is_some_and(|leaf| *leaf != Leaf::Object) {
        return Err(Refusal::Conflict("The top of a space holds an object; store values below it.".to_owned()));
    }
    let mut ops = Vec::new();
    for (path, row) in tree.rows.iter().filter(|(path, _)| !path.is_reserved()) {
        let gone = !wanted.contains_key(path);
        if gone && row.register.as_ref().is_some_and(|register| register.is_live()) {
            ops.push(Op { path: path.clone(), leaf: Leaf::Deleted });
        }
    }
    let held: BTreeMap<&Path, &ViewRow> = tree.rows.iter().map(|(path, row)| (path, row)).collect();
    for (path, leaf) in wanted {
        let same = held.get(&path).and_then(|row| row.visible()).is_some_and(|register| register.leaf == leaf);
        let always = exact && path == *top && leaf != Leaf::Object;
        if !same || always {
            ops.push(Op { path, leaf });
        }
    }
    if ops.len() > MAX_OPS {
        return Err(Refusal::TooLarge {
            what: "The change (in places)".to_owned(),
            limit: MAX_OPS as u64,
            listing: None,
        });
    }
    Ok(ops)
}

/// Lays a JSON value out over places: objects become places, everything else leaves.
fn spread(
    at: &Path,
    json: &Json,
    depth: usize,
    wanted: &mut BTreeMap<Path, Leaf>,
    bytes: &mut usize,
) -> Result<(), Refusal> {
    if depth > MAX_DEPTH {
        return Err(Refusal::Unprocessable(format!("A value may be nested at most {MAX_DEPTH} deep.")));
    }
    let Json::Object(members) = json else {
        check_depth(json)?;
        let text = json.to_string().into_bytes();
        *bytes += text.len();
        wanted.insert(at.clone(), Leaf::Json(text));
        return Ok(());
    };
    wanted.insert(at.clone(), Leaf::Object);
    for (name, member) in members {
        *bytes += name.len() + 3;
        let path = at.child(name).map_err(|error| Refusal::Unprocessable(error.to_string()))?;
        spread(&path, member, depth + 1, wanted, bytes)?;
    }
    Ok(())
}
