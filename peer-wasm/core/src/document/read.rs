//! Reading the tree: values, and values inside arrays.

use super::early;
use super::kind::{Merge, State, list, mv, tag};
use super::ops::Leaf;
use super::policy::Rule;
use super::row::{ViewRow, view_key};
use crate::api::{Body, Rival};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::KeyRange;
use crate::version::{Agent, Version};
use kith_map::BTreeMap;
use serde_json::{Map, Value as Json};

/// The most places that make up one value; beyond it there is only the listing.
pub const MAX_TREE_ROWS: usize = 20_000;
/// The most places read for that, those included where nothing is any more; and the most places of a list.
pub const MAX_LIST_ROWS: usize = 200_000;
/// The most code points of texts read to make up one value or a page of a listing, unless it is one text.
pub(super) const MAX_TEXTS: u64 = 4 << 20;

/// A place and everything below it, as stored.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Rows in tree order with their paths; the first may be the top itself.
    pub rows: Vec<(Path, ViewRow)>,
    /// Whether there is more than [`MAX_TREE_ROWS`].
    pub cut: bool,
    /// Of values that stand beside each other, those to be shown by a policy, and the write that set it.
    pub chosen: Vec<(Path, (Version, Version))>,
    /// The texts at its places, as far as they were read.
    pub texts: BTreeMap<Path, String>,
}

/// What a place is, seen as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// A value that is merged in one of the ways known here.
    Merge(Merge),
    /// A value of a kind that only a later release knows.
    Newer(u8),
}

/// Reads a place and everything below it.
pub fn tree(lens: &Lens<'_>, space: u32, top: &Path) -> Result<Tree, Miss> {
    let key = view_key(space, top);
    let range = KeyRange::prefix(&key);
    let mut rows = early::scan(lens, &range, MAX_TREE_ROWS + 1, false)?;
    let mut cut = rows.len() > MAX_TREE_ROWS;
    if cut && rows.first().is_some_and(|(found, row)| *found == key && is_list(row)) {
        // Positions of elements that are gone are needed, too, to know the order of the rest.
        rows = early::scan(lens, &range, MAX_LIST_ROWS + 1, false)?;
        cut = rows.len() > MAX_LIST_ROWS;
    }
    let mut shown = if cut { rows.iter().filter(|(_, row)| shows(row)).count() } else { 0 };
    while cut && shown <= MAX_TREE_ROWS && rows.len() <= MAX_LIST_ROWS {
        // Where nothing is any more nothing has to be shown.
        let after = rows.last().map(|(key, _)| [key.as_slice(), &[0]].concat()).unwrap_or_default();
        let more = early::scan(lens, &KeyRange { start: after, end: range.end.clone() }, MAX_TREE_ROWS, false)?;
        shown += more.iter().filter(|(_, row)| shows(row)).count();
        cut = more.len() == MAX_TREE_ROWS || shown > MAX_TREE_ROWS;
        rows.extend(more);
    }
    let rows = rows.iter().filter_map(|(key, value)| decode(key, value)).collect();
    let mut tree = Tree { rows, cut, ..Tree::default() };
    tree.load_texts(lens, space)?;
    Ok(tree)
}

fn is_list(row: &[u8]) -> bool {
    ViewRow::decode_seen(row).is_some_and(|row| row.states.get(tag::LIST).is_some())
}

fn shows(row: &[u8]) -> bool {
    ViewRow::decode_seen(row).is_some_and(|row| row.visible().is_some())
}

pub(super) fn decode(key: &[u8], value: &[u8]) -> Option<(Path, ViewRow)> {
    let path = Path::from_row_key(key.get(5..)?)?;
    Some((path, ViewRow::decode_seen(value)?))
}

impl Tree {
    /// A single place.
    pub fn of(path: Path, row: ViewRow) -> Tree {
        Tree { rows: vec![(path, row)], ..Tree::default() }
    }

    /// Reads the texts at its places; if they are too long together, there is only the listing.
    fn load_texts(&mut self, lens: &Lens<'_>, space: u32) -> Result<(), Miss> {
        let (mut chars, mut missing) = (0u64, Ok(()));
        for (at, (path, row)) in self.rows.iter().enumerate() {
            let Some(State::Text(shown)) = row.shown_state() else { continue };
            chars += u64::from(shown.chars);
            if at > 0 && chars > MAX_TEXTS {
                self.cut = true;
                break;
            }
            match shown_text(lens, space, path, shown) {
                Ok(text) => self.texts.extend(text.map(|text| (path.clone(), text))),
                Err(Miss) => missing = Err(Miss),
            }
        }
        missing
    }

    /// Where the row of a place is in the list.
    pub fn find(&self, path: &Path) -> Option<usize> {
        self.rows.binary_search_by(|(place, _)| place.cmp(path)).ok()
    }

    /// The row of a place.
    pub fn row(&self, path: &Path) -> Option<&ViewRow> {
        self.rows.get(self.find(path)?).map(|(_, row)| row)
    }

    /// Puts a row where it belongs.
    pub fn put(&mut self, path: Path, row: ViewRow) {
        match self.rows.binary_search_by(|(place, _)| place.cmp(&path)) {
            Ok(at) => {
                if let Some(held) = self.rows.get_mut(at) {
                    held.1 = row;
                }
            }
            Err(at) => self.rows.insert(at, (path, row)),
        }
    }

    /// Old rows with new ones in their places; both in tree order.
    pub fn merged(old: impl Iterator<Item = (Path, ViewRow)>, new: impl Iterator<Item = (Path, ViewRow)>) -> Tree {
        let mut rows: Vec<(Path, ViewRow)> = Vec::new();
        let (mut old, mut new) = (old.peekable(), new.peekable());
        while let Some(row) = match (old.peek(), new.peek()) {
            (Some((kept, _)), Some((place, _))) if kept < place => old.next(),
            (Some((kept, _)), Some((place, _))) if kept == place => old.next().and_then(|_| new.next()),
            (_, Some(_)) => new.next(),
            (_, None) => old.next(),
        } {
            rows.push(row);
        }
        Tree { rows, ..Tree::default() }
    }

    /// The row of the top, if it has one.
    pub fn top(&self, top: &Path) -> Option<&ViewRow> {
        self.rows.first().filter(|(path, _)| path == top).map(|(_, row)| row)
    }

    /// The value the tree makes up, seen from `top`; `None` if nothing is there.
    pub fn value(&self, top: &Path) -> Option<Body> {
        if let Some(body) = self.top(top).and_then(|row| self.leaf(top, row)) {
            return Some(body);
        }
        let mut root: Option<Json> = None;
        let mut at = 0;
        while let Some((path, row)) = self.rows.get(at) {
            at += 1;
            let json = if let Some(kind) = self.group(at - 1) {
                let below = self.below(at - 1);
                at += below.len();
                Some(group_value(path, kind, below))
            } else if row.visible().is_none() {
                continue;
            } else {
                match self.leaf(path, row) {
                    // A text that was not read, or is damaged, is not hidden.
                    None => match row.shown_state() {
                        Some(State::Text(shown)) => Some(link("text/plain", shown.chars as usize)),
                        _ => None,
                    },
                    Some(Body::Json(json)) => Some(json),
                    Some(Body::Bytes { bytes, .. }) if row.shown_tag() == Some(tag::TEXT) => {
                        Some(String::from_utf8(bytes).unwrap_or_default().into())
                    }
                    Some(Body::Bytes { media, bytes }) => Some(link(&media, bytes.len())),
                }
            };
            let names = path.segments().get(top.len()..).unwrap_or_default();
            place(root.get_or_insert_with(|| Json::Object(Map::new())), names, json);
        }
        root.map(Body::Json)
    }

    /// The value of a place that has no places for its parts; `None` if it has, or holds nothing.
    pub(super) fn leaf(&self, path: &Path, row: &ViewRow) -> Option<Body> {
        let kind = match &row.visible()?.leaf {
            Leaf::Json(text) => return Some(Body::Json(parse(text))),
            Leaf::Bytes { media, bytes } => return Some(Body::Bytes { media: media.clone(), bytes: bytes.clone() }),
            Leaf::Object | Leaf::Deleted => return None,
            Leaf::Kind { tag: tag::SET | tag::LIST, .. } => return None,
            Leaf::Kind { tag, .. } => *tag,
        };
        Some(match row.states.get(kind) {
            Some(State::Mv(values)) => body_of(self.winner(path, values)?.content),
            Some(State::Counter(sums)) => Body::Json(sums.value().into()),
            Some(State::Member(adds)) => Body::Json(adds.json(path.segments().last().map_or("", String::as_str))),
            Some(State::Element(element)) => Body::Json(element.json()),
            Some(State::Text(_)) => text_body(self.texts.get(path)?.clone()),
            // What only a later release can read is not hidden.
            Some(State::Writers(_) | State::Since(_)) | None => Body::Json(serde_json::json!({ "$newer-kind": kind })),
        })
    }

    /// Of values that stand beside each other, the one that is shown.
    pub fn winner<'a>(&self, path: &Path, values: &'a mv::Values) -> Option<mv::Rival<'a>> {
        let chosen = self.chosen.iter().find(|(place, _)| place == path).map(|(_, (chosen, _))| *chosen);
        values.rivals().find(|rival| Some(rival.version) == chosen).or_else(|| values.latest())
    }

    /// The values that stand beside the one shown at the top, the latest first.
    pub fn rivals(&self, top: &Path) -> Vec<Rival> {
        let Some(State::Mv(values)) = self.top(top).and_then(ViewRow::shown_state) else { return Vec::new() };
        let Some(winner) = self.winner(top, values) else { return Vec::new() };
        let others = values.ranked(winner.version).into_iter().skip(1);
        others.map(|rival| Rival { version: rival.version, body: body_of(rival.content) }).collect()
    }

    /// What the top is; `None` if nothing is there.
    pub fn held(&self, top: &Path) -> Option<Held> {
        let row = self.top(top)?;
        if let Some(kind) = self.group(0) {
            return Merge::of_tag(kind).map(Held::Merge);
        }
        match row.shown_tag() {
            Some(tag) => Some(Merge::of_tag(tag).map_or(Held::Newer(tag), Held::Merge)),
            None => self.rows.iter().any(|(_, row)| row.visible().is_some()).then_some(Held::Merge(Merge::Lww)),
        }
    }

    /// The rows below the one at this place of the list.
    pub(super) fn below(&self, at: usize) -> &[(Path, ViewRow)] {
        let after = self.rows.get(at + 1..).unwrap_or_default();
        let Some((top, _)) = self.rows.get(at) else { return after };
        let count = after.iter().take_while(|(path, _)| top.contains(path)).count();
        after.get(..count).unwrap_or_default()
    }

    /// The tag of a set or list, if the top is one.
    pub(crate) fn group_at_top(&self) -> Option<u8> {
        self.group(0)
    }

    /// The tag of a set or list, if the row at this place of the list is one: its register says so or, where that
    /// was replaced or deleted while others added, what was added.
    pub(super) fn group(&self, at: usize) -> Option<u8> {
        let (top, row) = self.rows.get(at)?;
        if let Some(register) = row.visible() {
            return register.leaf.tag().filter(|kind| matches!(*kind, tag::SET | tag::LIST));
        }
        if !row.container {
            return None;
        }
        let (path, first) = self.below(at).iter().find(|(_, row)| row.visible().is_some())?;
        match first.shown_tag()? {
            tag::MEMBER if path.len() == top.len() + 1 => Some(tag::SET),
            tag::ELEMENT if path.len() == top.len() + 1 => Some(tag::LIST),
            _ => None,
        }
    }

    /// The versions that made the tree what it is: the latest of each author.
    pub fn version(&self) -> Vec<Version> {
        let rules = self.chosen.iter().map(|(_, (_, rule))| *rule);
        newest(self.rows.iter().flat_map(|(_, row)| row.versions()).chain(rules))
    }

    /// Decides by policy which of several concurrent values is shown.
    pub fn choose(&mut self, rule: Rule<'_>) {
        for (path, row) in &self.rows {
            if let Some(State::Mv(values)) = row.shown_state()
                && values.is_in_conflict()
                && let Some(chosen) = rule(path, values)
            {
                self.chosen.push((path.clone(), chosen));
            }
        }
    }
}

/// A text as programs see it.
pub fn text_body(text: String) -> Body {
    Body::Bytes { media: "text/plain".to_owned(), bytes: text.into_bytes() }
}

/// The text at a place that shows this of it.
pub(super) fn shown_text(
    lens: &Lens<'_>,
    space: u32,
    path: &Path,
    shown: &super::kind::text::Shown,
) -> Result<Option<String>, Miss> {
    // One that nobody wrote in has no rows.
    if shown.frontier.is_empty() {
        return Ok(Some(String::new()));
    }
    super::text::read_text(lens, space, path)
}

/// A value that stands beside others, as programs see it.
pub fn body_of(content: &mv::Content) -> Body {
    match content {
        mv::Content::Json(text) => Body::Json(parse(text)),
        mv::Content::Bytes { media, bytes } => Body::Bytes { media: media.clone(), bytes: bytes.clone() },
    }
}

/// The array that a set or list shows; `below` are the rows below it.
pub(super) fn group_value(top: &Path, kind: u8, below: &[(Path, ViewRow)]) -> Json {
    if kind == tag::LIST {
        return Json::Array(ordered(top, below).elements().map(|(_, text)| parse(text)).collect());
    }
    let members = below.iter().filter(|(path, row)| path.len() == top.len() + 1 && row.visible().is_some());
    let json = |(path, row): &(Path, ViewRow)| match row.shown_state() {
        Some(State::Member(adds)) => Some(adds.json(path.segments().last()?)),
        _ => None,
    };
    Json::Array(members.filter_map(json).collect())
}

/// The elements of a list in order; `below` are the rows below it.
pub(super) fn ordered(top: &Path, below: &[(Path, ViewRow)]) -> list::Shown {
    let element = |(path, row): &'_ (Path, ViewRow)| {
        let id = list::Id::from_name(path.segments().last().filter(|_| path.len() == top.len() + 1)?)?;
        Some((id, row.hidden))
    };
    list::order(below.iter().filter_map(|pair| {
        let (id, hidden) = element(pair)?;
        match pair.1.states.get(tag::ELEMENT)? {
            State::Element(element) => Some((id, element, !hidden)),
            _ => None,
        }
    }))
}

pub(super) fn frontier<'a>(rows: impl Iterator<Item = &'a ViewRow>) -> Vec<Version> {
    newest(rows.flat_map(ViewRow::versions))
}

/// Merges the versions of several places.
pub fn merge_versions<'a>(lists: impl Iterator<Item = &'a [Version]>) -> Vec<Version> {
    newest(lists.flatten().copied())
}

/// The latest version of each author.
fn newest(versions: impl Iterator<Item = Version>) -> Vec<Version> {
    let mut latest: BTreeMap<Agent, u64> = BTreeMap::new();
    for version in versions {
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
