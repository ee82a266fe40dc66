//! From positions to the order in which a list shows its elements.

use super::{Element, Hook, Id};

/// A position of a list as it shows.
#[derive(Clone, Debug)]
pub struct Position {
    /// Its name.
    pub id: Id,
    /// The element that stands there, and its text.
    pub element: Option<(Id, Vec<u8>)>,
    /// Whether others hang right of it.
    pub has_right: bool,
}

/// A list as it shows, with the positions that show nothing, in order.
#[derive(Clone, Debug, Default)]
pub struct Shown(pub Vec<Position>);

/// A position and where it hangs: the parent, `None` for the start, and whether right of it.
type Hung = (Option<Id>, bool, Id);

/// The order of the elements in these states, each with whether reads may show it. A position whose parent is not
/// there is left out, with all that hang from it.
pub fn order<'a>(elements: impl Iterator<Item = (Id, &'a Element, bool)>) -> Shown {
    let mut known: Vec<(Id, &Element, bool)> = elements.collect();
    kith_map::sort_by_key(&mut known, |(id, ..)| *id);
    let find = |id: &Id| known.get(known.binary_search_by(|(known, ..)| known.cmp(id)).ok()?);
    let mut hung: Vec<Hung> = Vec::new();
    for (id, element, _) in &known {
        match &element.hook {
            None => {}
            Some(Hook::Start) => hung.push((None, true, *id)),
            Some(Hook::Left(parent)) => hung.push((Some(*parent), false, *id)),
            Some(Hook::Right(parent)) => hung.push((Some(*parent), true, *id)),
        }
    }
    kith_map::sort(&mut hung);
    let children = |parent: Option<Id>, right: bool| {
        let from = hung.partition_point(|(of, side, _)| (*of, *side) < (parent, right));
        let count = hung.iter().skip(from).take_while(|(of, side, _)| (*of, *side) == (parent, right)).count();
        hung.get(from..from + count).unwrap_or_default()
    };
    // Depth first without recursion: a list typed from front to back is one long chain. `true` enters a position,
    // `false` shows it.
    let mut shown = Shown::default();
    let mut steps: Vec<(bool, Id)> = Vec::new();
    let enter =
        |steps: &mut Vec<(bool, Id)>, hung: &[Hung]| steps.extend(hung.iter().rev().map(|(.., id)| (true, *id)));
    enter(&mut steps, children(None, true));
    while let Some((enters, id)) = steps.pop() {
        let right = children(Some(id), true);
        if enters {
            enter(&mut steps, right);
            steps.push((false, id));
            enter(&mut steps, children(Some(id), false));
            continue;
        }
        let owner = find(&id).and_then(|(_, element, _)| element.moved).unwrap_or(id);
        let standing = find(&owner).filter(|(_, element, visible)| {
            let position = element.position.as_ref().map_or(owner, |(_, position)| *position);
            *visible && element.is_live() && position == id
        });
        let text = standing.and_then(|(_, element, _)| element.value.as_ref());
        let element = text.map(|(_, text)| (owner, text.clone()));
        shown.0.push(Position { id, element, has_right: !right.is_empty() });
    }
    shown
}

impl Shown {
    /// The elements in order, with their texts.
    pub fn elements(&self) -> impl Iterator<Item = (Id, &[u8])> {
        self.0.iter().filter_map(|position| position.element.as_ref()).map(|(id, text)| (*id, text.as_slice()))
    }
}
