//! Members of sets: their places, and the ops that add and remove them.

use super::kind::{State, member, tag};
use super::ops::{Leaf, MAX_OPS, Op};
use super::plan::check_depth;
use super::read::Tree;
use super::row::ViewRow;
use crate::api::Refusal;
use crate::path::Path;
use kith_map::BTreeSet;
use serde_json::Value as Json;

/// The op that adds a member where this row is.
pub(crate) fn add_member(row: Option<&ViewRow>, json: &Json) -> Result<Leaf, Refusal> {
    let text = member::text(json);
    if text.len() > member::MAX_MEMBER {
        let what = "A member of a set".to_owned();
        return Err(Refusal::TooLarge { what, limit: member::MAX_MEMBER as u64, listing: None });
    }
    check_depth(json)?;
    let text = if member::name(&text).starts_with('#') { text } else { Vec::new() };
    let body = member::Act::Add(covers(row), text).encode();
    Ok(Leaf::Kind { tag: tag::MEMBER, body })
}

/// The op that removes the member where this row is.
pub(super) fn remove_member(row: Option<&ViewRow>) -> Leaf {
    Leaf::Kind { tag: tag::MEMBER, body: member::Act::Remove(covers(row)).encode() }
}

fn covers(row: Option<&ViewRow>) -> super::kind::authors::Covers {
    match row.and_then(|row| row.states.get(tag::MEMBER)) {
        Some(State::Member(adds)) => adds.covers(),
        _ => Default::default(),
    }
}

pub(super) fn member_path(set: &Path, name: &str) -> Result<Path, Refusal> {
    set.child(name).map_err(|error| Refusal::Unprocessable(error.to_string()))
}

/// The name of the place of a member with this value.
pub fn member_name(json: &Json) -> String {
    member::name(&member::text(json))
}

/// The places of members with these values.
pub fn member_paths<'a>(set: &Path, members: impl Iterator<Item = &'a Json>) -> Vec<Path> {
    members.filter_map(|json| set.child(&member::name(&member::text(json))).ok()).collect()
}

pub(super) fn additions<'a>(
    set: &Path,
    members: impl Iterator<Item = &'a Json>,
    tree: &Tree,
) -> Result<Vec<Op>, Refusal> {
    let mut places: BTreeSet<Path> = BTreeSet::new();
    let mut ops = Vec::new();
    for json in members {
        let path = member_path(set, &member::name(&member::text(json)))?;
        if places.insert(path.clone()) {
            let leaf = add_member(tree.row(&path), json)?;
            ops.push(Op::new(path, leaf));
        }
    }
    Ok(ops)
}

/// The ops that add and remove members; what is in both is added.
pub(super) fn set_patch(set: &Path, tree: &Tree, add: &[Json], remove: &[Json]) -> Result<Vec<Op>, Refusal> {
    let is_set = tree.top(set).and_then(ViewRow::shown_tag) == Some(tag::SET);
    let mut ops = if is_set { Vec::new() } else { vec![Op::new(set.clone(), Leaf::kind(tag::SET))] };
    let additions = additions(set, add.iter(), tree)?;
    let added: BTreeSet<Path> = additions.iter().map(|op| op.path.clone()).collect();
    let mut gone: BTreeSet<Path> = BTreeSet::new();
    for json in remove {
        let path = member_path(set, &member::name(&member::text(json)))?;
        let row = tree.row(&path).filter(|row| row.visible().is_some() && !added.contains(&path));
        if let (Some(row), true) = (row, gone.insert(path.clone())) {
            ops.push(Op::new(path, remove_member(Some(row))));
        }
    }
    ops.extend(additions);
    if ops.len() > MAX_OPS {
        let what = "The change (in members)".to_owned();
        return Err(Refusal::TooLarge { what, limit: MAX_OPS as u64, listing: None });
    }
    Ok(ops)
}
