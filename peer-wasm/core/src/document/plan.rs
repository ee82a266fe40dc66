//! From a wish to ops: what a write has to change, given what the writer sees.

use super::kind::{Merge, counter, list, member};
use super::lay::{self, difference};
use super::locate::Located;
use super::ops::Op;
use super::policy::Policies;
use super::read::{Held, Tree, index, inside, ordered};
use super::{sets, steps};
use crate::api::{Body, Change, Manner, Refusal};
use crate::patch::{self, PatchInput};
use crate::path::Path;
use serde_json::Value as Json;

/// The most bytes of one value.
pub const MAX_VALUE: usize = 1 << 20;

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

/// What a write is to keep to.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// What the writer says.
    pub manner: &'a Manner,
    /// What is laid down for the space.
    pub policies: &'a Policies,
}

/// Works out the ops of a write to `path`. Nothing is changed here, and nothing will be if this refuses.
pub fn plan(path: &Path, located: &Located, change: &Change, wish: Wish<'_>) -> Result<Planned, Refusal> {
    match located {
        Located::Blocked { by } => Err(Refusal::Conflict(format!(
            "`{by}` holds a value without members, so nothing can be stored below it. Replace or delete that value first."
        ))),
        Located::Member { tree, .. } => plan_member(path, tree, change),
        Located::Inside { leaf, value, rest, tree, .. } => plan_inside(leaf, value, rest, tree, change, wish),
        Located::Place(tree) if tree.cut => Err(Refusal::TooLarge {
            what: "What is stored at this path (in places)".to_owned(),
            limit: super::MAX_TREE_ROWS as u64,
            listing: Some(path.to_string()),
        }),
        Located::Place(tree) => plan_place(path, tree, change, wish),
    }
}

fn plan_place(path: &Path, tree: &Tree, change: &Change, wish: Wish<'_>) -> Result<Planned, Refusal> {
    let current = tree.value(path);
    let existed = current.is_some();
    let held = tree.held(path);
    let forced = forced(held, change, wish)?;
    let exact = matches!(change, Change::Put(_));
    let new = match change {
        Change::Put(body) => Some(body.clone()),
        Change::Delete if !existed => return Err(Refusal::NotFound),
        Change::Delete => None,
        Change::Increment(number) => {
            let delta = lay::whole_number(number)?;
            let op = Op::new(path.clone(), lay::counter(&counter::Act::Add(delta)));
            return Ok(Planned { ops: vec![op], existed, deleted: false });
        }
        Change::Set { add, remove } => {
            let ops = sets::set_patch(path, tree, add, remove)?;
            return Ok(Planned { ops, existed, deleted: false });
        }
        Change::Text(_) => {
            return Err(Refusal::WrongKind {
                kind: Merge::Text.name(),
                detail: "Text patches change texts as a whole. Send them to the place of one.".to_owned(),
            });
        }
        Change::JsonPatch(steps) if held == Some(Held::Merge(Merge::List)) && forced.is_none() => {
            let mut editor = list::Editor::new(ordered(path, tree.below(0)));
            if steps::edit_by_steps(&mut editor, steps)?.is_some() {
                let ops = steps::list_op(path, editor, false)?;
                return Ok(Planned { ops, existed, deleted: false });
            }
            Some(Body::Json(patched(json_of(current.as_ref())?, change)?))
        }
        Change::MergePatch(_) | Change::JsonPatch(_) | Change::Ranges(_) => {
            Some(Body::Json(patched(json_of(current.as_ref())?, change)?))
        }
    };
    let ops = difference(path, tree, new.as_ref(), exact, forced, wish)?;
    Ok(Planned { ops, existed, deleted: new.is_none() })
}

fn json_of(current: Option<&Body>) -> Result<Option<&Json>, Refusal> {
    match current {
        Some(Body::Json(json)) => Ok(Some(json)),
        Some(Body::Bytes { media, .. }) => Err(Refusal::Unprocessable(format!(
            "The value is of type {media}; only JSON values can be patched. Use PUT to replace it."
        ))),
        None => Ok(None),
    }
}

/// The merge type that the top of a write gets whatever is there; `None` leaves it as it is.
fn forced(held: Option<Held>, change: &Change, wish: Wish<'_>) -> Result<Option<Merge>, Refusal> {
    let natural = match change {
        Change::Increment(_) => Some(Merge::Counter),
        Change::Set { .. } => Some(Merge::Set),
        Change::Delete => return Ok(None),
        _ => None,
    };
    let kind = match (wish.manner.merge, held) {
        (Some(merge), _) => Some(merge),
        (None, Some(Held::Newer(tag))) => return Err(Refusal::NewerKind { tag }),
        (None, Some(Held::Merge(merge))) if natural.is_some() => Some(merge),
        _ => natural,
    };
    match (natural, kind) {
        (Some(natural), Some(kind)) if natural != kind => Err(Refusal::WrongKind {
            kind: kind.name(),
            detail: format!(
                "This patch is for a {}, and the value is of kind {}. Use a patch that goes with it, or PUT with Merge-Type: {}.",
                natural.name(),
                kind.name(),
                natural.name()
            ),
        }),
        _ => Ok(kind),
    }
}

pub(super) fn patched(old: Option<&Json>, change: &Change) -> Result<Json, Refusal> {
    let input = PatchInput::of(change).ok_or_else(|| Refusal::Malformed("This is no patch.".to_owned()))?;
    patch::apply(old, &input).map_err(|error| Refusal::Unprocessable(error.to_string()))
}

/// A write to the place of one member of a set.
fn plan_member(path: &Path, tree: &Tree, change: &Change) -> Result<Planned, Refusal> {
    let row = tree.rows.iter().find(|(place, _)| place == path).map(|(_, row)| row);
    let existed = row.is_some_and(|row| row.visible().is_some());
    let name = path.segments().last().map_or("", String::as_str);
    let leaf = match change {
        Change::Put(Body::Json(json)) if member::name(&member::text(json)) == name => sets::add_member(row, json)?,
        Change::Delete => match row.filter(|_| existed) {
            Some(row) => lay::deletion(row, None),
            None => return Err(Refusal::NotFound),
        },
        _ => {
            return Err(Refusal::WrongKind {
                kind: Merge::Set.name(),
                detail:
                    "This is the place of one member of a set, named by its JSON text. PUT that JSON to add it, DELETE \
                         to remove it, or change the set itself."
                        .to_owned(),
            });
        }
    };
    let deleted = matches!(change, Change::Delete);
    Ok(Planned { ops: vec![Op::new(path.clone(), leaf)], existed, deleted })
}

/// A write that reaches into an array or a list, or into one of several concurrent values.
fn plan_inside(
    leaf: &Path,
    value: &Json,
    rest: &[String],
    tree: &Tree,
    change: &Change,
    wish: Wish<'_>,
) -> Result<Planned, Refusal> {
    let old = inside(value, rest);
    let existed = old.is_some();
    let new = match change {
        Change::Put(Body::Json(json)) => Some(json.clone()),
        Change::Put(Body::Bytes { .. }) => {
            return Err(Refusal::Unprocessable("Only JSON can be stored inside a JSON array.".to_owned()));
        }
        Change::Increment(_) | Change::Set { .. } | Change::Text(_) => {
            return Err(Refusal::WrongKind {
                kind: Merge::Lww.name(),
                detail: "This place is inside an array; counters, sets and texts cannot stand there.".to_owned(),
            });
        }
        Change::Delete if !existed => return Err(Refusal::NotFound),
        Change::Delete => None,
        _ => Some(patched(old, change)?),
    };
    let whole_kind = tree.held(leaf);
    if wish.manner.merge.is_some_and(|merge| whole_kind != Some(Held::Merge(merge))) {
        return Err(Refusal::WrongKind {
            kind: if let Some(Held::Merge(merge)) = whole_kind { merge.name() } else { Merge::Lww.name() },
            detail: format!(
                "This place is a part of the value at `{leaf}`. Send Merge-Type when that is written as a whole."
            ),
        });
    }
    let deleted = new.is_none();
    let nowhere =
        || Refusal::Conflict("There is no such place inside the array. Use an index up to its length.".to_owned());
    let whole = replaced(value, rest, new).ok_or_else(nowhere)?;
    check_depth(&whole)?;
    let manner = Manner { merge: None, ..wish.manner.clone() };
    let wish = Wish { manner: &manner, ..wish };
    let ops = match (whole_kind, rest.split_first(), whole) {
        (Some(Held::Merge(Merge::List)), Some((first, _)), Json::Array(whole)) => {
            let mut editor = list::Editor::new(ordered(leaf, tree.below(0)));
            let at = index(first).ok_or_else(nowhere)?;
            match whole.get(at).filter(|_| !(deleted && rest.len() == 1)) {
                None => editor.delete(at),
                Some(new) if at == editor.len() => editor.insert(at, vec![steps::element_text(new)?]),
                Some(new) => editor.replace(at, steps::element_text(new)?),
            }
            .ok_or_else(nowhere)?;
            steps::list_op(leaf, editor, false)?
        }
        (_, _, whole) => difference(leaf, tree, Some(&Body::Json(whole)), true, None, wish)?,
    };
    Ok(Planned { ops, existed, deleted })
}

/// A value with what these names lead to replaced, or taken away.
pub fn replaced(value: &Json, names: &[String], new: Option<Json>) -> Option<Json> {
    let mut whole = value.clone();
    replace(&mut whole, names, new).map(|()| whole)
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

pub(super) fn check_depth(json: &Json) -> Result<(), Refusal> {
    patch::check_depth(json).map_err(|error| Refusal::Unprocessable(error.to_string()))
}

pub(super) fn check_size(bytes: usize) -> Result<(), Refusal> {
    if bytes <= MAX_VALUE {
        return Ok(());
    }
    Err(Refusal::TooLarge { what: "The value".to_owned(), limit: MAX_VALUE as u64, listing: None })
}
