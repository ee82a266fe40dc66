//! What it takes to put back at single places what showed there before a write of this device.

use super::past::{Past, entry_at, past};
use super::read::open_ops;
use super::space::Space;
use super::undo::{Part, part};
use crate::api::Refusal;
use crate::document::kind::{Act, State, counter, tag};
use crate::document::{self, Leaf, Op, Opened, Tree, ViewRow};
use crate::history::Point;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::Table;

/// Undos and redos of one place followed back to see what they put there.
const MAX_CHAIN: usize = 64;

/// The places whose state a write changed, with what it did there. Elements of a list have none: their list counts.
pub(super) fn places(list: Vec<Option<Op>>) -> Vec<Op> {
    let mut places: Vec<Op> = Vec::new();
    for op in list.into_iter().flatten().filter(|op| !op.path.is_reserved() && op.leaf.tag() != Some(tag::MOVE)) {
        let op = match (op.leaf.tag(), op.path.parent()) {
            (Some(tag::ELEMENT), Some(list)) => Op::new(list, Leaf::kind(tag::LIST)),
            _ => op,
        };
        match places.iter_mut().find(|known| known.path == op.path) {
            Some(known) if known.leaf.tag() == Some(tag::LIST) => *known = op,
            Some(_) => {}
            None => places.push(op),
        }
    }
    places
}

/// The ops that put back what showed at a place before a write; `None` if the write is not what shows there.
pub(super) fn put_back(
    lens: &Lens<'_>,
    space: &Space,
    own: u32,
    op: &Op,
    target: &Point,
) -> Result<Result<Option<Vec<Op>>, Refusal>, Miss> {
    let place = &op.path;
    let shows = shows(lens, space, own, place, target);
    let now = document::tree(lens, space.number, place);
    let then = past(lens, space, place, &target.before(), place);
    let (shows, now) = (shows?, now?);
    let then = match then? {
        Ok(past) => shallow(place, document::tree(&past.lens(), space.number, place)?),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let now = shallow(place, now);
    let kinds = [now.top(place), then.top(place)].map(|row| row.and_then(ViewRow::shown_tag));
    let one = |leaf| Ok(Ok(Some(vec![Op::new(place.clone(), leaf)])));
    // Increments add up: what one did can be taken back whatever others did.
    if let (Leaf::Kind { tag: tag::COUNTER, body }, [Some(tag::COUNTER), Some(tag::COUNTER)]) = (&op.leaf, kinds)
        && let Ok(Act::Counter(counter::Act::Add(delta))) = Act::decode(tag::COUNTER, body)
    {
        return one(document::counter(&counter::Act::Add(delta.saturating_neg())));
    }
    match shows {
        Ok(true) => {}
        Ok(false) => return Ok(Ok(None)),
        Err(refusal) => return Ok(Err(refusal)),
    }
    if op.leaf.tag() == Some(tag::MEMBER) {
        let row = then.top(place).filter(|row| row.visible().is_some());
        return match row.and_then(ViewRow::shown_state) {
            Some(State::Member(adds)) => {
                let name = place.segments().last().map_or("", String::as_str);
                match document::add_member(now.top(place), &adds.json(name)) {
                    Ok(leaf) => one(leaf),
                    Err(refusal) => Ok(Err(refusal)),
                }
            }
            _ => one(now.top(place).map_or(Leaf::Deleted, |row| document::deletion(row, None))),
        };
    }
    let is_plain = |kind: &Option<u8>| matches!(kind, None | Some(tag::SET));
    if kinds.iter().all(is_plain) && now.group_at_top() != Some(tag::LIST) && then.group_at_top() != Some(tag::LIST) {
        // Also where that changes nothing, so that this is what shows there from now on.
        return one(then.top(place).and_then(ViewRow::visible).map_or(Leaf::Deleted, |held| held.leaf.clone()));
    }
    Ok(document::restore(place, &now, &then, true).map(Some))
}

/// A place without what is below it, but for the elements of a list.
fn shallow(top: &Path, tree: Tree) -> Tree {
    let keep = |(path, row): &(Path, ViewRow)| {
        path == top || (path.len() == top.len() + 1 && row.states.get(tag::ELEMENT).is_some())
    };
    Tree { rows: tree.rows.into_iter().filter(keep).collect(), ..tree }
}

/// Whether a write is what shows at a place: it stands there, or an undo that put back what it had put there.
fn shows(
    lens: &Lens<'_>,
    space: &Space,
    own: u32,
    place: &Path,
    target: &Point,
) -> Result<Result<bool, Refusal>, Miss> {
    let key = document::view_key(space.number, place);
    let mut row = lens.get(Table::View, &key)?.and_then(ViewRow::decode).unwrap_or_default();
    for _ in 0..MAX_CHAIN {
        let Some(register) = row.register.filter(|_| !row.hidden) else { return Ok(Ok(false)) };
        let point = Point::of(&register);
        if point == *target {
            return Ok(Ok(true));
        }
        if point.agent != target.agent || point < *target {
            return Ok(Ok(false));
        }
        let Some(ops) = own_ops(lens, space, own, point.seq)? else { return Ok(Ok(false)) };
        let (Part::Undoes(of) | Part::Redoes(of)) = part(&ops.id) else { return Ok(Ok(false)) };
        let Some(undone) = own_ops(lens, space, own, of)? else { return Ok(Ok(false)) };
        let before = Point { clock: undone.clock, seq: of, ..point }.before();
        row = match was(lens, space, place, &before)? {
            Ok(past) => past.lens().get(Table::View, &key)?.and_then(ViewRow::decode).unwrap_or_default(),
            Err(refusal) => return Ok(Err(refusal)),
        };
    }
    Ok(Ok(false))
}

/// A place as of a point.
fn was(lens: &Lens<'_>, space: &Space, place: &Path, at: &Point) -> Result<Result<Past, Refusal>, Miss> {
    past(lens, space, place, at, place)
}

/// The ops of an own entry.
pub(super) fn own_ops(lens: &Lens<'_>, space: &Space, own: u32, seq: u64) -> Result<Option<Opened>, Miss> {
    Ok(entry_at(lens, space.number, own, seq)?.and_then(|entry| open_ops(space, &entry)))
}
