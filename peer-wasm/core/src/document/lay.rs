//! From a value as a whole to ops: the value laid out over places, each changed in the way of its kind.

use super::kind::{Merge, State, counter, list, member, mv, tag};
use super::ops::{Leaf, MAX_OPS, Op};
use super::plan::{Wish, check_depth, check_size};
use super::read::{Held, Tree, ordered};
use super::row::ViewRow;
use super::sets::{additions, member_path, member_paths, remove_member};
use super::steps::{element_text, list_op};
use crate::api::{Body, Refusal};
use crate::path::Path;
use crate::version::Version;
use kith_map::BTreeSet;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The deepest a JSON value may be nested.
const MAX_DEPTH: usize = 64;

/// What a place is to become.
enum Wanted {
    Leaf(Leaf),
    Kind(Merge, Body),
    /// What it is; this release cannot read it.
    Same,
}

/// The ops that turn what `tree` shows at `top` into `new`: only what differs, except that a scalar put at its own
/// place is always written.
pub(super) fn difference(
    top: &Path,
    tree: &Tree,
    new: Option<&Body>,
    exact: bool,
    forced: Option<Merge>,
    wish: Wish<'_>,
) -> Result<Vec<Op>, Refusal> {
    let mut layout = Layout { tree, wish, wanted: BTreeMap::new(), bytes: 0 };
    if let Some(body) = new {
        layout.spread(top, body, 0, forced)?;
    }
    check_size(layout.bytes)?;
    towards(top, tree, layout.wanted, exact, wish.manner.seen.as_deref())
}

/// The ops after which these show at and below `top`, and nothing else does.
fn towards(
    top: &Path,
    tree: &Tree,
    wanted: BTreeMap<Path, Wanted>,
    exact: bool,
    seen: Option<&[Version]>,
) -> Result<Vec<Op>, Refusal> {
    if top.is_empty() && wanted.get(top).is_some_and(|wanted| !matches!(wanted, Wanted::Leaf(Leaf::Object))) {
        return Err(Refusal::Conflict("The top of a space holds an object; store values below it.".to_owned()));
    }
    let mut ops = Vec::new();
    for (path, row) in tree.rows.iter().filter(|(path, row)| !path.is_reserved() && row.is_live()) {
        if !wanted.contains_key(path) && !is_part(&wanted, path, row) {
            ops.push(Op::new(path.clone(), deletion(row, seen)));
        }
    }
    for (path, wanted) in wanted {
        let place = tree.find(&path).and_then(|at| Some((at, &tree.rows.get(at)?.1)));
        let always = exact && path == *top;
        match wanted {
            Wanted::Same => {}
            Wanted::Leaf(leaf) => {
                // What came early may go again: then what is said here has to stand by itself.
                let visible = place.and_then(|(_, row)| row.visible().filter(|_| !(exact && row.early)));
                if visible.is_none_or(|register| register.leaf != leaf) || (always && leaf != Leaf::Object) {
                    ops.push(Op::new(path, leaf));
                }
            }
            Wanted::Kind(kind, body) => {
                let change = change(&path, kind, &body, tree, place, always, seen)?;
                // A member may come where something else goes.
                for op in &change {
                    if op.path != path && tree.row(&op.path).is_some_and(|row| !is_member(row)) {
                        ops.retain(|other: &Op| other.path != op.path);
                    }
                }
                ops.extend(change);
            }
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

/// Works out the ops that make `top` what another tree of the same place shows there, each value in the way of its kind;
/// `exact` writes at the top even where that changes nothing.
pub(crate) fn restore(top: &Path, tree: &Tree, then: &Tree, exact: bool) -> Result<Vec<Op>, Refusal> {
    let mut wanted: BTreeMap<Path, Wanted> = BTreeMap::new();
    let mut bytes = 0;
    let mut at = 0;
    while let Some((path, row)) = then.rows.get(at) {
        at += 1;
        if path.is_reserved() {
            continue;
        }
        if let Some(group) = then.group(at - 1) {
            let below = then.below(at - 1);
            at += below.len();
            let kind = if group == tag::LIST { Merge::List } else { Merge::Set };
            let json = super::read::group_value(path, group, below);
            bytes += json.to_string().len();
            wanted.insert(path.clone(), Wanted::Kind(kind, Body::Json(json)));
            continue;
        }
        let Some(register) = row.visible() else { continue };
        bytes += register.leaf.size();
        let Some(kind) = register.leaf.tag() else {
            wanted.insert(path.clone(), Wanted::Leaf(register.leaf.clone()));
            continue;
        };
        let merge = Merge::of_tag(kind).ok_or(Refusal::NewerKind { tag: kind })?;
        let body = then.leaf(path, row).ok_or(Refusal::NewerKind { tag: kind })?;
        bytes += match &body {
            Body::Json(json) => json.to_string().len(),
            Body::Bytes { bytes, .. } => bytes.len(),
        };
        let what = match (merge, body) {
            (Merge::Lww, Body::Json(json)) => Wanted::Leaf(Leaf::Json(json.to_string().into_bytes())),
            (merge, body) => Wanted::Kind(merge, body),
        };
        wanted.insert(path.clone(), what);
    }
    check_size(bytes)?;
    towards(top, tree, wanted, exact, None)
}

/// What a place in a tree is, if it is of a kind of its own.
fn kind_at(tree: &Tree, path: &Path) -> Option<Held> {
    let at = tree.find(path)?;
    let kind = match tree.group(at) {
        Some(kind) => kind,
        None => tree.rows.get(at)?.1.shown_tag().filter(|kind| !matches!(*kind, tag::MEMBER | tag::ELEMENT))?,
    };
    Some(Merge::of_tag(kind).map_or(Held::Newer(kind), Held::Merge))
}

fn is_member(row: &ViewRow) -> bool {
    row.register.as_ref().and_then(|register| register.leaf.tag()) == Some(tag::MEMBER)
}

/// Whether a place is a member or element of a set or list that is changed as a whole.
fn is_part(wanted: &BTreeMap<Path, Wanted>, path: &Path, row: &ViewRow) -> bool {
    let whole = path.parent().and_then(|parent| wanted.get(&parent));
    matches!(
        (whole, row.register.as_ref().and_then(|register| register.leaf.tag())),
        (Some(Wanted::Kind(Merge::Set, _)), Some(tag::MEMBER))
            | (Some(Wanted::Kind(Merge::List, _)), Some(tag::ELEMENT))
    )
}

/// The op that takes away what is seen at a place.
pub(crate) fn deletion(row: &ViewRow, seen: Option<&[Version]>) -> Leaf {
    let kind = row.register.as_ref().and_then(|register| register.leaf.tag());
    match kind.and_then(|kind| row.states.get(kind)) {
        Some(State::Mv(values)) => Leaf::Kind { tag: tag::MV, body: mv::Act::Delete(values.covers(seen)).encode() },
        Some(State::Counter(sums)) => counter(&sums.deletion()),
        Some(State::Member(_)) => remove_member(Some(row)),
        Some(State::Element(_)) => Leaf::kind(tag::ELEMENT),
        Some(State::Writers(_) | State::Text(_) | State::Since(_)) | None => Leaf::Deleted,
    }
}

struct Layout<'a> {
    tree: &'a Tree,
    wish: Wish<'a>,
    wanted: BTreeMap<Path, Wanted>,
    bytes: usize,
}

impl Layout<'_> {
    /// Lays a value out over places: objects become places, everything else leaves, each of the kind that is there.
    fn spread(&mut self, at: &Path, body: &Body, depth: usize, forced: Option<Merge>) -> Result<(), Refusal> {
        if depth > MAX_DEPTH {
            return Err(Refusal::Unprocessable(format!("A value may be nested at most {MAX_DEPTH} deep.")));
        }
        let is_object = matches!(body, Body::Json(Json::Object(_)));
        let kind = match (forced, kind_at(self.tree, at)) {
            (Some(merge), _) => merge,
            (None, Some(Held::Merge(merge))) => merge,
            (None, Some(Held::Newer(tag))) => {
                if *body != Body::Json(serde_json::json!({ "$newer-kind": tag })) {
                    return Err(Refusal::NewerKind { tag });
                }
                self.wanted.insert(at.clone(), Wanted::Same);
                return Ok(());
            }
            (None, None) if is_object => Merge::Lww,
            (None, None) => self.wish.policies.kind_at(at),
        };
        match (kind, body) {
            (Merge::Lww, Body::Bytes { media, bytes }) => {
                self.bytes += bytes.len();
                let leaf = Leaf::Bytes { media: media.clone(), bytes: bytes.clone() };
                self.wanted.insert(at.clone(), Wanted::Leaf(leaf));
            }
            (Merge::Lww, Body::Json(Json::Object(members))) => {
                self.wanted.insert(at.clone(), Wanted::Leaf(Leaf::Object));
                for (name, member) in members {
                    self.bytes += name.len() + 3;
                    let path = at.child(name).map_err(|error| Refusal::Unprocessable(error.to_string()))?;
                    self.spread(&path, &Body::Json(member.clone()), depth + 1, None)?;
                }
            }
            (Merge::Lww, Body::Json(json)) => {
                check_depth(json)?;
                let text = json.to_string().into_bytes();
                self.bytes += text.len();
                self.wanted.insert(at.clone(), Wanted::Leaf(Leaf::Json(text)));
            }
            (kind, body) => {
                self.bytes += match body {
                    Body::Json(json) => {
                        check_depth(json)?;
                        json.to_string().len()
                    }
                    Body::Bytes { bytes, .. } => bytes.len(),
                };
                self.wanted.insert(at.clone(), Wanted::Kind(kind, body.clone()));
            }
        }
        Ok(())
    }
}

/// The ops that make a place of a kind hold this. An op on a text holds the whole text here: who writes it makes an
/// operation of it that turns the text as it is then into that one.
fn change(
    path: &Path,
    kind: Merge,
    body: &Body,
    tree: &Tree,
    place: Option<(usize, &ViewRow)>,
    always: bool,
    seen: Option<&[Version]>,
) -> Result<Vec<Op>, Refusal> {
    let row = place.map(|(_, row)| row);
    let is_shown = |kind: u8| row.and_then(ViewRow::shown_tag) == Some(kind);
    let op = |leaf| vec![Op::new(path.clone(), leaf)];
    let unfit = |what: &str| Refusal::WrongKind {
        kind: kind.name(),
        detail: format!(
            "`{path}` is a {}, which {what}. Send that, or Merge-Type: lww to make it a plain value.",
            kind.name()
        ),
    };
    match (kind, body) {
        (Merge::Counter, Body::Json(json)) => {
            let number = whole_number(json).map_err(|_| unfit("holds a whole number of at most 64 bits"))?;
            let sums = match row.and_then(|row| row.states.get(tag::COUNTER)) {
                Some(State::Counter(sums)) => sums.clone(),
                _ => counter::Sums::default(),
            };
            let delta = number.checked_sub(sums.value()).ok_or_else(|| unfit("cannot change by more than 64 bits"))?;
            if delta == 0 && is_shown(tag::COUNTER) {
                return Ok(Vec::new());
            }
            Ok(op(counter(&counter::Act::Add(delta))))
        }
        (Merge::Mv, body) => {
            let empty = mv::Values::default();
            let values = match row.and_then(|row| row.states.get(tag::MV)) {
                Some(State::Mv(values)) => values,
                _ => &empty,
            };
            let content = match body {
                Body::Json(json) => mv::Content::Json(json.to_string().into_bytes()),
                Body::Bytes { media, bytes } => mv::Content::Bytes { media: media.clone(), bytes: bytes.clone() },
            };
            let size = match &content {
                mv::Content::Json(text) => text.len(),
                mv::Content::Bytes { bytes, .. } => bytes.len(),
            };
            if size > mv::MAX_MV {
                let what = "A value that keeps every concurrent one".to_owned();
                return Err(Refusal::TooLarge { what, limit: mv::MAX_MV as u64, listing: None });
            }
            let shown = tree.winner(path, values).is_some_and(|rival| *rival.content == content);
            if !always && is_shown(tag::MV) && shown {
                return Ok(Vec::new());
            }
            let body = mv::Act::Put(values.covers(seen), content).encode();
            Ok(op(Leaf::Kind { tag: tag::MV, body }))
        }
        (Merge::Set, Body::Json(Json::Array(members))) => {
            let wanted: BTreeSet<Path> = member_paths(path, members.iter()).into_iter().collect();
            let below = place.map(|(at, _)| tree.below(at)).unwrap_or_default();
            let held = |row: &ViewRow| matches!(row.shown_state(), Some(State::Member(_)));
            let mut ops = if is_shown(tag::SET) { Vec::new() } else { op(Leaf::kind(tag::SET)) };
            for (place, row) in below.iter().filter(|(place, row)| place.len() == path.len() + 1 && held(row)) {
                if !wanted.contains(place) {
                    ops.push(Op::new(place.clone(), remove_member(Some(row))));
                }
            }
            let here = |json: &&Json| {
                let place = member_path(path, &member::name(&member::text(json))).ok();
                !place.and_then(|place| tree.row(&place)).is_some_and(held)
            };
            ops.extend(additions(path, members.iter().filter(here), tree)?);
            Ok(ops)
        }
        (Merge::List, Body::Json(Json::Array(elements))) => {
            let below = place.map(|(at, _)| tree.below(at)).unwrap_or_default();
            let mut editor = list::Editor::new(ordered(path, below));
            editor.become_texts(elements.iter().map(element_text).collect::<Result<_, _>>()?);
            list_op(path, editor, !is_shown(tag::LIST))
        }
        (Merge::Text, body) => {
            let text = text_of(body).ok_or_else(|| unfit("holds a text"))?;
            if is_shown(tag::TEXT) && tree.texts.get(path).is_some_and(|shown| shown == text) {
                return Ok(Vec::new());
            }
            Ok(op(Leaf::Kind { tag: tag::TEXT, body: text.as_bytes().to_vec() }))
        }
        (Merge::Set | Merge::List, _) => Err(unfit("holds a JSON array")),
        (Merge::Counter, Body::Bytes { .. }) => Err(unfit("holds a whole number of at most 64 bits")),
        (Merge::Lww, _) => Ok(Vec::new()),
    }
}

/// The text that a value is, if it is one.
pub fn text_of(body: &Body) -> Option<&str> {
    match body {
        Body::Json(Json::String(text)) => Some(text),
        Body::Bytes { media, bytes } if media.to_ascii_lowercase().starts_with("text/") => {
            std::str::from_utf8(bytes).ok()
        }
        _ => None,
    }
}

/// A counter's op.
pub(crate) fn counter(act: &counter::Act) -> Leaf {
    Leaf::Kind { tag: tag::COUNTER, body: act.encode() }
}

/// A JSON number without a fraction that 64 bits hold.
pub(super) fn whole_number(json: &Json) -> Result<i64, Refusal> {
    let exact = json.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0);
    json.as_i64().or_else(|| exact.map(|number| number as i64)).ok_or_else(|| Refusal::WrongKind {
        kind: Merge::Counter.name(),
        detail: "A counter changes by a whole number of at most 64 bits. Send one, such as 1 or -3.".to_owned(),
    })
}
