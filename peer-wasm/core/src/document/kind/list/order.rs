//! From positions to the order in which a list shows its elements.

use super::{Element, Hook, Id};
use std::collections::{BTreeMap, BTreeSet};

/// A list as it shows, with the positions that show nothing.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Every position in order, with the element that stands there, if one does.
    pub positions: Vec<(Id, Option<Id>)>,
    /// Positions that others hang right of; `None` is the start.
    pub with_right: BTreeSet<Option<Id>>,
    /// The text of every element that stands somewhere.
    pub texts: BTreeMap<Id, Vec<u8>>,
}

/// The order of the elements in these states, each with whether reads may show it. A position whose parent is not
/// there is left out, with all that hang from it.
pub fn order<'a>(elements: impl Iterator<Item = (Id, &'a Element, bool)>) -> Shown {
    let elements: BTreeMap<Id, (&Element, bool)> =
        elements.map(|(id, element, visible)| (id, (element, visible))).collect();
    let mut left: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
    let mut right: BTreeMap<Option<Id>, Vec<Id>> = BTreeMap::new();
    for (id, (element, _)) in &elements {
        match &element.hook {
            None => {}
            Some(Hook::Start) => right.entry(None).or_default().push(*id),
            Some(Hook::Left(parent)) => left.entry(*parent).or_default().push(*id),
            Some(Hook::Right(parent)) => right.entry(Some(*parent)).or_default().push(*id),
        }
    }
    let mut shown = Shown { with_right: right.keys().copied().collect(), ..Shown::default() };
    // Depth first without recursion: a list typed from front to back is one long chain.
    enum Step {
        Enter(Id),
        Show(Id),
    }
    let children =
        |of: Option<&Vec<Id>>| -> Vec<Step> { of.into_iter().flatten().rev().map(|id| Step::Enter(*id)).collect() };
    let mut steps = children(right.get(&None));
    while let Some(step) = steps.pop() {
        match step {
            Step::Enter(id) => {
                steps.extend(children(right.get(&Some(id))));
                steps.push(Step::Show(id));
                steps.extend(children(left.get(&id)));
            }
            Step::Show(id) => {
                let owner = elements.get(&id).and_then(|(element, _)| element.moved).unwrap_or(id);
                let standing = elements.get(&owner).filter(|(element, visible)| {
                    let position = element.position.as_ref().map_or(owner, |(_, position)| *position);
                    *visible && element.is_live() && position == id
                });
                if let Some((_, text)) = standing.and_then(|(element, _)| element.value.as_ref()) {
                    shown.texts.insert(owner, text.clone());
                    shown.positions.push((id, Some(owner)));
                } else {
                    shown.positions.push((id, None));
                }
            }
        }
    }
    shown
}

impl Shown {
    /// The elements in order, with their texts.
    pub fn elements(&self) -> impl Iterator<Item = (Id, &[u8])> {
        self.positions.iter().filter_map(|(_, element)| {
            let element = (*element)?;
            Some((element, self.texts.get(&element)?.as_slice()))
        })
    }
}
