//! Where paths lead: to places, to members of sets, into arrays and lists.

use super::early;
use super::kind::tag;
use super::ops::Leaf;
use super::policy::Rule;
use super::read::{Tree, tree};
use super::row::view_key;
use crate::api::Body;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::Table;
use crate::version::Version;
use serde_json::Value as Json;

/// Where a path leads.
#[derive(Clone, Debug)]
pub enum Located {
    /// To a place of the tree (which may hold nothing).
    Place(Tree),
    /// To the place of a member of the set above it.
    Member {
        /// The place of the set.
        set: Path,
        /// The set's row and the member's.
        tree: Tree,
    },
    /// Into the array, list or concurrent value at `leaf`: `value` is the whole, `rest` what leads into it.
    Inside {
        /// The place of the whole.
        leaf: Path,
        /// The whole.
        value: Json,
        /// The names past it.
        rest: Vec<String>,
        /// The versions of the whole.
        version: Vec<Version>,
        /// What it is made of.
        tree: Tree,
    },
    /// Nowhere: a value that is no container stands above.
    Blocked {
        /// The place of that value.
        by: Path,
    },
}

/// Finds out where a path leads: to a place, into an array, or nowhere.
pub fn locate(lens: &Lens<'_>, space: u32, path: &Path) -> Result<Located, Miss> {
    let found = tree(lens, space, path);
    let elsewhere = reach(lens, space, path);
    let found = found?;
    Ok(match elsewhere? {
        None => Located::Place(found),
        Some(Located::Member { set, mut tree }) => {
            tree.rows.extend(found.rows.into_iter().take(1));
            Located::Member { set, tree }
        }
        Some(elsewhere) => elsewhere,
    })
}

/// Like [`locate`] for a set of which only the members named matter: a large one is not read as a whole.
pub fn locate_members(lens: &Lens<'_>, space: u32, path: &Path, members: &[Path]) -> Result<Located, Miss> {
    let elsewhere = reach(lens, space, path);
    lens.want(Table::View, [path].into_iter().chain(members).map(|place| view_key(space, place)))?;
    let top = early::get(lens, &view_key(space, path))?.unwrap_or_default();
    if elsewhere?.is_some() || (top.container && top.shown_tag() != Some(tag::SET)) {
        return locate(lens, space, path);
    }
    let mut tree = Tree::of(path.clone(), top);
    for member in members {
        if let Some(row) = early::get(lens, &view_key(space, member))? {
            tree.put(member.clone(), row);
        }
    }
    Ok(Located::Place(tree))
}

/// Where a path leads if something stands above it that is not an object.
fn reach(lens: &Lens<'_>, space: u32, path: &Path) -> Result<Option<Located>, Miss> {
    lens.want(Table::View, path.ancestors().map(|above| view_key(space, &above)))?;
    for above in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
        let row = early::get(lens, &view_key(space, &above))?.unwrap_or_default();
        let Some(register) = row.visible() else { continue };
        let whole = match &register.leaf {
            Leaf::Object | Leaf::Deleted => break,
            Leaf::Kind { tag: tag::SET, .. } if path.len() == above.len() + 1 => {
                return Ok(Some(Located::Member { set: above.clone(), tree: Tree::of(above, row) }));
            }
            Leaf::Kind { tag: tag::LIST, .. } => tree(lens, space, &above)?,
            _ => Tree::of(above.clone(), row),
        };
        return Ok(Some(match whole.value(&above) {
            Some(Body::Json(value @ (Json::Array(_) | Json::Object(_)))) if is_whole(&whole) => Located::Inside {
                rest: path.segments().get(above.len()..).unwrap_or_default().to_vec(),
                leaf: above,
                value,
                version: whole.version(),
                tree: whole,
            },
            _ => Located::Blocked { by: above },
        }));
    }
    Ok(None)
}

impl Located {
    /// Decides by policy which of several concurrent values is shown.
    pub fn choose(&mut self, rule: Rule<'_>) {
        match self {
            Located::Place(tree) | Located::Member { tree, .. } => tree.choose(rule),
            Located::Inside { leaf, value, version, tree, .. } => {
                tree.choose(rule);
                if let (false, Some(Body::Json(json))) = (tree.chosen.is_empty(), tree.value(leaf)) {
                    (*value, *version) = (json, tree.version());
                }
            }
            Located::Blocked { .. } => {}
        }
    }

    /// What was read, and the place that writes there are about.
    pub fn tree(&self, path: &Path) -> Option<(&Tree, Path)> {
        match self {
            Located::Place(tree) | Located::Member { tree, .. } => Some((tree, path.clone())),
            Located::Inside { tree, leaf, .. } => Some((tree, leaf.clone())),
            Located::Blocked { .. } => None,
        }
    }
}

/// Whether what the top shows is there as a whole and may be reached into.
fn is_whole(tree: &Tree) -> bool {
    let kind = tree.rows.first().and_then(|(_, row)| row.shown_tag());
    !tree.cut && matches!(kind, None | Some(tag::MV | tag::LIST))
}
