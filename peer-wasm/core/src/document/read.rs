//! Reading the tree: values, values inside arrays, listings.

use super::ops::Leaf;
use super::row::{ViewRow, view_key, view_prefix};
use crate::api::{Body, Item, ListQuery};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use crate::version::{Agent, Version};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// The most places read to make up one value; beyond it there is only the listing.
pub const MAX_TREE_ROWS: usize = 20_000;
const PAGE: usize = 1024;

/// A place and everything below it, as stored.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Rows in tree order with their paths; the first may be the top itself.
    pub rows: Vec<(Path, ViewRow)>,
    /// Whether there is more than [`MAX_TREE_ROWS`].
    pub cut: bool,
}

/// Reads a place and everything below it.
pub fn tree(lens: &Lens<'_>, space: u32, top: &Path) -> Result<Tree, Miss> {
    let range = KeyRange::prefix(&view_key(space, top));
    let rows = lens.scan(Table::View, &range, MAX_TREE_ROWS + 1, false)?;
    let cut = rows.len() > MAX_TREE_ROWS;
    Ok(Tree { rows: rows.iter().take(MAX_TREE_ROWS).filter_map(|(key, value)| decode(key, value)).collect(), cut })
}

fn decode(key: &[u8], value: &[u8]) -> Option<(Path, ViewRow)> {
    let path = Path::from_key(key.get(5..)?)?;
    Some((path, ViewRow::decode(value)?))
}

impl Tree {
    /// The value the tree makes up, seen from `top`; `None` if nothing is there.
    pub fn value(&self, top: &Path) -> Option<Body> {
        if let Some((path, row)) = self.rows.first()
            && path == top
            && let Some(register) = row.visible()
        {
            match &register.leaf {
                Leaf::Json(text) => return Some(Body::Json(parse(text))),
                Leaf::Bytes { media, bytes } => {
                    return Some(Body::Bytes { media: media.clone(), bytes: bytes.clone() });
                }
                Leaf::Object | Leaf::Deleted => {}
            }
        }
        let mut root: Option<Json> = None;
        for (path, row) in &self.rows {
            let Some(register) = row.visible() else { continue };
            let json = match &register.leaf {
                Leaf::Object => None,
                Leaf::Json(text) => Some(parse(text)),
                Leaf::Bytes { media, bytes } => Some(link(media, bytes.len())),
                Leaf::Deleted => continue,
            };
            let names = path.segments().get(top.len()..).unwrap_or_default();
            place(root.get_or_insert_with(|| Json::Object(Map::new())), names, json);
        }
        root.map(Body::Json)
    }

    /// The versions that made the tree what it is: the latest of each author.
    pub fn version(&self) -> Vec<Version> {
        frontier(self.rows.iter().map(|(_, row)| row))
    }
}

fn frontier<'a>(rows: impl Iterator<Item = &'a ViewRow>) -> Vec<Version> {
    let mut latest: BTreeMap<Agent, u64> = BTreeMap::new();
    for register in rows.filter_map(|row| row.register.as_ref()) {
        let seq = latest.entry(register.agent).or_insert(register.seq);
        *seq = (*seq).max(register.seq);
    }
    latest.into_iter().map(|(agent, seq)| Version { agent, seq }).collect()
}

/// Merges the versions of several places.
pub fn merge_versions<'a>(lists: impl Iterator<Item = &'a [Version]>) -> Vec<Version> {
    let mut latest: BTreeMap<Agent, u64> = BTreeMap::new();
    for version in lists.flatten() {
        let seq = latest.entry(version.agent).or_insert(version.seq);
        *seq = (*seq).max(version.seq);
    }
    latest.into_iter().map(|(agent, seq)| Version { agent, seq }).collect()
}

/// JSON text that was checked when it came in.
pub(super) fn parse(text: &[u8]) -> Json {
    serde_json::from_slice(text).unwrap_or(Json::Null)
}

/// How bytes show inside a JSON value: their type and length, not their content.
fn link(media: &str, length: usize) -> Json {
    serde_json::json!({ "$media": media, "$length": length })
}

/// Puts a member into an object; `None` is an object that may have members of its own.
fn place(object: &mut Json, names: &[String], json: Option<Json>) {
    let mut at = object;
    for name in names {
        if !at.is_object() {
            *at = Json::Object(Map::new());
        }
        let Json::Object(members) = at else { return };
        at = members.entry(name.clone()).or_insert_with(|| Json::Object(Map::new()));
    }
    match json {
        Some(json) => *at = json,
        None if !at.is_object() => *at = Json::Object(Map::new()),
        None => {}
    }
}

/// Where a path leads.
#[derive(Clone, Debug)]
pub enum Located {
    /// To a place of the tree (which may hold nothing).
    Place(Tree),
    /// Into the array at `leaf`: `value` is the whole array, `inner` what the rest of the path finds in it.
    Inside {
        /// The place of the array.
        leaf: Path,
        /// The array.
        value: Json,
        /// The names past it.
        rest: Vec<String>,
        /// The versions of the array.
        version: Vec<Version>,
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
    lens.want(Table::View, path.ancestors().map(|above| view_key(space, &above)))?;
    let found = found?;
    for above in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
        let row = lens.get(Table::View, &view_key(space, &above))?.and_then(ViewRow::decode).unwrap_or_default();
        let Some(register) = row.visible() else { continue };
        return Ok(match &register.leaf {
            Leaf::Json(text) => match parse(text) {
                value @ (Json::Array(_) | Json::Object(_)) => Located::Inside {
                    rest: path.segments().get(above.len()..).unwrap_or_default().to_vec(),
                    leaf: above,
                    value,
                    version: vec![register.version()],
                },
                _ => Located::Blocked { by: above },
            },
            Leaf::Bytes { .. } => Located::Blocked { by: above },
            Leaf::Object | Leaf::Deleted => break,
        });
    }
    Ok(Located::Place(found))
}

/// What the names find inside a JSON value.
pub fn inside<'a>(value: &'a Json, names: &[String]) -> Option<&'a Json> {
    names.iter().try_fold(value, |at, name| match at {
        Json::Array(list) => list.get(index(name)?),
        Json::Object(members) => members.get(name),
        _ => None,
    })
}

/// An array index in its only form: no sign, no leading zero.
pub(super) fn index(name: &str) -> Option<usize> {
    let canonical = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { name.parse().ok() } else { None }
}

/// A page of children.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The children, in the order asked for.
    pub items: Vec<Item>,
    /// The name where the next page begins (or, reversed, before which it ends).
    pub next: Option<String>,
    /// The versions of everything looked at, what was deleted included.
    pub version: Vec<Version>,
}

/// The children of a place.
pub fn list(lens: &Lens<'_>, space: u32, prefix: &Path, query: &ListQuery) -> Result<Listing, Miss> {
    let base = view_key(space, prefix);
    let whole = KeyRange::prefix(&base);
    let bound = |name: &str| [base.as_slice(), name.as_bytes(), &[0]].concat();
    let mut range = KeyRange {
        start: query.start.as_deref().map_or_else(|| whole.start.clone(), bound),
        end: query.end.as_deref().map_or_else(|| whole.end.clone(), bound),
    };
    let mut listing = Listing::default();
    let mut child: Option<(String, Vec<ViewRow>, Tree)> = None;
    let mut latest: BTreeMap<Agent, u64> = BTreeMap::new();
    loop {
        let rows = lens.scan(Table::View, &range, PAGE, query.reverse)?;
        let full = rows.len() == PAGE;
        for (key, value) in rows {
            let Some(name) = child_name(&key, base.len()) else { continue };
            if base.len() == view_prefix(space).len() && name.starts_with('$') {
                continue;
            }
            if child.as_ref().is_none_or(|(current, ..)| *current != name) {
                if listing.close(child.take(), prefix, query) {
                    listing.next = Some(if query.reverse { listing.last_key() } else { name });
                    return Ok(listing.at(latest));
                }
                child = Some((name, Vec::new(), Tree::default()));
            }
            if let (Some((_, rows, tree)), Some((path, row))) = (&mut child, decode(&key, &value)) {
                if let Some(register) = &row.register {
                    let seq = latest.entry(register.agent).or_insert(register.seq);
                    *seq = (*seq).max(register.seq);
                }
                if query.values && tree.rows.len() < MAX_TREE_ROWS {
                    tree.rows.push((path, row));
                } else {
                    rows.push(ViewRow {
                        register: row.register.map(|r| super::Register { leaf: shape(r.leaf), ..r }),
                        ..row
                    });
                }
            }
            if query.reverse {
                range.end = key;
            } else {
                range.start = key;
                range.start.push(0);
            }
        }
        if !full {
            listing.close(child.take(), prefix, query);
            return Ok(listing.at(latest));
        }
    }
}

/// A leaf without its content: enough to tell whether something is there.
fn shape(leaf: Leaf) -> Leaf {
    match leaf {
        Leaf::Deleted => Leaf::Deleted,
        _ => Leaf::Object,
    }
}

/// The name of the child that a row lies at or below, `base` being the bytes of its parent's key.
pub(crate) fn child_name(key: &[u8], base: usize) -> Option<String> {
    let below = key.get(base..)?;
    let end = below.iter().position(|byte| *byte == 0)?;
    String::from_utf8(below.get(..end)?.to_vec()).ok()
}

impl Listing {
    /// Takes in a finished child, if there is anything to show. True when the page is full and more follows.
    fn close(&mut self, child: Option<(String, Vec<ViewRow>, Tree)>, prefix: &Path, query: &ListQuery) -> bool {
        if let Some((name, rows, mut tree)) = child {
            if query.reverse {
                tree.rows.reverse();
            }
            let all = || rows.iter().chain(tree.rows.iter().map(|(_, row)| row));
            if all().any(|row| row.visible().is_some()) {
                let value = match (query.values, prefix.child(&name)) {
                    (true, Ok(top)) => tree.value(&top),
                    _ => None,
                };
                self.items.push(Item { version: frontier(all()), key: name, value });
            }
        }
        self.items.len() >= query.limit
    }

    fn at(mut self, latest: BTreeMap<Agent, u64>) -> Listing {
        self.version = latest.into_iter().map(|(agent, seq)| Version { agent, seq }).collect();
        self
    }

    fn last_key(&self) -> String {
        self.items.last().map(|item| item.key.clone()).unwrap_or_default()
    }
}
