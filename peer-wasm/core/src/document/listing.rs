//! Listings: the children of a place, in pages.

use super::early;
use super::kind::{Merge, State, tag};
use super::ops::Leaf;
use super::policy::Rule;
use super::read::{MAX_TEXTS, MAX_TREE_ROWS, Tree, decode, frontier, merge_versions, ordered, shown_text, tree};
use super::row::{ViewRow, view_key, view_prefix};
use crate::api::{Body, Item, ListQuery};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::KeyRange;
use crate::version::{Agent, Version};
use kith_map::BTreeMap;

/// Places read at once.
const PAGE: usize = 1024;
/// So many places of a child are looked at where only names are asked for. Of one with more it is known that it is there.
const MAX_CHILD_ROWS: usize = 256;

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

/// A child on its way into the page.
#[derive(Default)]
struct Child {
    name: String,
    /// What is looked at of it.
    tree: Tree,
    /// Whether rows came without their content: there is no telling the value.
    bare: bool,
    /// Whether there is anything to show.
    shown: bool,
    /// Whether there is more than is looked at.
    cut: bool,
}

/// The children of a place.
pub fn list(lens: &Lens<'_>, space: u32, prefix: &Path, query: &ListQuery, rule: Rule<'_>) -> Result<Listing, Miss> {
    let base = view_key(space, prefix);
    let whole = KeyRange::prefix(&base);
    let bound = |name: &str| [base.as_slice(), name.as_bytes(), &[0]].concat();
    let mut range = KeyRange {
        start: query.start.as_deref().map_or_else(|| whole.start.clone(), bound),
        end: query.end.as_deref().map_or_else(|| whole.end.clone(), bound),
    };
    let own = early::get(lens, &base);
    let first = early::scan(lens, &range, PAGE, query.reverse);
    if own?.and_then(|row| row.shown_tag()) == Some(tag::LIST) {
        return Ok(elements(&tree(lens, space, prefix)?, prefix, query));
    }
    first?;
    let mut listing = Listing::default();
    let mut child: Option<Child> = None;
    let mut latest: BTreeMap<Agent, u64> = BTreeMap::new();
    let (mut chars, mut places, mut missing) = (0u64, 0, Ok(()));
    let most = if query.values { MAX_TREE_ROWS } else { MAX_CHILD_ROWS };
    let mut page = PAGE;
    loop {
        let rows = early::scan(lens, &range, page, query.reverse)?;
        let full = rows.len() == page;
        for (key, value) in rows {
            let Some(name) = child_name(&key, base.len()) else { continue };
            if base.len() == view_prefix(space).len() && name.starts_with('$') {
                continue;
            }
            if child.as_ref().is_none_or(|current| current.name != name) {
                // What is large together comes in several pages.
                let large = chars > MAX_TEXTS || (query.values && places >= MAX_TREE_ROWS);
                if listing.close(child.take(), prefix, query, rule) || (large && !listing.items.is_empty()) {
                    missing?;
                    listing.next = Some(if query.reverse { listing.last_key() } else { name });
                    return Ok(listing.at(latest));
                }
                child = Some(Child { name, ..Child::default() });
            }
            if let (Some(child), Some((path, row))) = (&mut child, decode(&key, &value)) {
                let Child { name, tree, bare, shown, cut } = child;
                if *cut {
                    continue;
                }
                places += 1;
                *cut = *shown && tree.rows.len() >= most;
                *shown |= row.visible().is_some();
                for version in row.versions() {
                    let seq = latest.entry(version.agent).or_insert(version.seq);
                    *seq = (*seq).max(version.seq);
                }
                if *cut {
                    // Of what kind it is its first row says, which comes last if reversed.
                    let own = if query.reverse { early::get(lens, &bound(name))? } else { None };
                    tree.rows.extend(prefix.child(name).ok().zip(own));
                } else if query.values && tree.rows.len() < MAX_TREE_ROWS {
                    if let Some(State::Text(shown)) = row.shown_state() {
                        chars += u64::from(shown.chars);
                        // What is too long alone is left out; too long together, the page ends behind it.
                        if tree.texts.is_empty() || chars <= MAX_TEXTS {
                            match shown_text(lens, space, &path, shown) {
                                Ok(text) => tree.texts.extend(text.map(|text| (path.clone(), text))),
                                Err(Miss) => missing = Err(Miss),
                            }
                        }
                    }
                    tree.rows.push((path, row));
                } else {
                    *bare = true;
                    tree.rows.push((path, shape(row)));
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
            missing?;
            listing.close(child.take(), prefix, query, rule);
            return Ok(listing.at(latest));
        }
        if let Some(child) = child.as_ref().filter(|child| child.cut) {
            // On to the next one, which may be as large.
            let whole = KeyRange::prefix(&bound(&child.name));
            if query.reverse {
                range.end = whole.start;
            } else {
                range.start = whole.end;
            }
            page = PAGE.min(most + 1);
        }
    }
}

/// A row without large content: enough to tell whether something is there, and of what kind.
fn shape(mut row: ViewRow) -> ViewRow {
    if let Some(register) = &mut row.register
        && matches!(register.leaf, Leaf::Json(_) | Leaf::Bytes { .. })
    {
        register.leaf = Leaf::Object;
    }
    row
}

/// The elements of a list by their place in it.
fn elements(tree: &Tree, top: &Path, query: &ListQuery) -> Listing {
    let below = tree.below(0);
    let shown = ordered(top, below);
    let bound = |key: &Option<String>, none: usize| key.as_ref().map_or(none, |key| key.parse().unwrap_or(none));
    let all: Vec<_> = shown.elements().enumerate().collect();
    let (start, end) = (bound(&query.start, 0), bound(&query.end, all.len()));
    let mut page: Vec<_> = all.into_iter().filter(|(at, _)| (start..end).contains(at)).collect();
    if query.reverse {
        page.reverse();
    }
    let edge = if query.reverse { query.limit.checked_sub(1) } else { Some(query.limit) };
    let more = page.len() > query.limit;
    let next = edge.and_then(|edge| page.get(edge)).filter(|_| more).map(|(at, _)| at.to_string());
    let items = page.into_iter().take(query.limit).map(|(at, (id, text))| Item {
        key: at.to_string(),
        version: frontier(top.child(&id.name()).ok().and_then(|place| tree.row(&place)).into_iter()),
        value: query.values.then(|| Body::Json(super::read::parse(text))),
        kind: None,
    });
    Listing { items: items.collect(), next, version: tree.version() }
}

/// The kind of a child, if it is not a plain value.
fn kind_of(rows: &[(Path, ViewRow)]) -> Option<&'static str> {
    let (_, first) = rows.first()?;
    match first.shown_tag()? {
        tag::MEMBER | tag::ELEMENT => None,
        tag => Some(Merge::of_tag(tag).map_or("newer", Merge::name)),
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
    fn close(&mut self, child: Option<Child>, prefix: &Path, query: &ListQuery, rule: Rule<'_>) -> bool {
        if let Some(Child { name, mut tree, bare, shown: true, cut }) = child {
            if query.values {
                tree.choose(rule);
            }
            if query.reverse {
                tree.rows.reverse();
            }
            let kind = kind_of(&tree.rows);
            let whole = !bare && !cut;
            let value = prefix.child(&name).ok().filter(|_| whole).and_then(|top| tree.value(&top));
            let rules: Vec<Version> = tree.chosen.iter().map(|(_, (_, rule))| *rule).collect();
            let all = frontier(tree.rows.iter().map(|(_, row)| row));
            let version = if cut { Vec::new() } else { merge_versions([all.as_slice(), &rules].into_iter()) };
            self.items.push(Item { version, key: name, value, kind });
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
