//! Moves: where things stand.
//!
//! Whatever is written is about the path it was made at, its *origin*, for good. A move says: what was made at this
//! origin stands at that name below that origin from now on, with everything in it. Where everything stands follows from
//! the set of all moves alone: they are gone through in the order of writes, and one that would put something into itself
//! has no effect. So peers with the same moves agree, whatever came first, and no move makes a ring or loses anything.
//!
//! **Names.** Of what claims one name, what was moved there last has it; the others follow as `name⑂2`, `name⑂3`: earlier
//! moves, then what was made there. Once a name is free, the next in line has it. Where something was moved away and
//! nothing else waits, whatever is written at its name has the origin `name⑂2`: it is something new, and two people
//! who write it at once write one thing. So between the names that have this form and those that show there is always a
//! one to one relation, and it is the identity wherever nothing was moved.

use super::kind::list;
use super::ops::{Item, Strays};
use super::since;
use crate::history::Point;
use crate::path::{MAX_PATH_BYTES, MAX_SEGMENTS, Path};
use kith_map::BTreeMap;

/// The most moves of a space that count: the earliest.
pub const MAX_MOVES: usize = 4096;

/// The most things that count as moved to one name. Who sees that a name is taken moves nothing there, so they were all
/// moved there at once, or by somebody who means harm: who has which number is worked out from all of them.
pub const MAX_CLAIMS: usize = 64;

/// Stands between a name and which of several of this name it is.
const FORK: char = '⑂';

/// Which move: when it was written, and what it is about.
pub type Which = (Point, Path);

/// A place as seen from the origin of what it is in: that origin, and a name.
pub type Slot = (Path, String);

/// All moves of a space, and what comes of them.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    all: BTreeMap<Which, Path>,
    /// What was moved: by which move, below which origin it stands, and where it stood before.
    mounts: BTreeMap<Path, Mount>,
    /// By origin and name: what is not simply where it was made.
    groups: BTreeMap<Slot, Group>,
    /// Where something was moved away from or to, and by which move.
    marks: Vec<(Slot, Point)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    by: Point,
    parent: Path,
    name: String,
    before: Slot,
}

/// Everything that claims one name, with or without a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    /// What was moved here, the last move last, with the number asked for.
    moved: Vec<(u64, Path)>,
    /// The numbers of what was made here and moved, rising.
    away: Vec<u64>,
}

/// Who has a number.
enum Holder {
    Moved(Path),
    /// What was made at the name with this number.
    Made(u64),
}

impl Group {
    /// Who of those that were moved here has which number, by number.
    fn taken(&self) -> Vec<(u64, &Path)> {
        let mut taken: Vec<(u64, &Path)> = Vec::new();
        for (wanted, node) in self.moved.iter().rev() {
            let mut at = *wanted;
            let mut place = taken.partition_point(|(number, _)| *number < at);
            while taken.get(place).is_some_and(|(number, _)| *number == at) {
                (at, place) = (at + 1, place + 1);
            }
            taken.insert(place, (at, node));
        }
        taken
    }

    fn holder(&self, number: u64) -> Holder {
        let taken = self.taken();
        match taken.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => Holder::Moved(taken.get(at).map_or_else(Path::root, |(_, node)| (*node).clone())),
            Err(before) => Holder::Made(skip(number - before as u64, self.away.iter().copied())),
        }
    }

    fn number_of_moved(&self, node: &Path) -> u64 {
        self.taken().iter().find(|(_, taken)| *taken == node).map_or(0, |(number, _)| *number)
    }

    fn number_of_made(&self, number: u64) -> u64 {
        let before = self.away.iter().filter(|away| **away < number).count() as u64;
        skip(number - before, self.taken().into_iter().map(|(number, _)| number))
    }
}

/// The number that comes after so many that are none of these, which rise.
fn skip(mut number: u64, taken: impl Iterator<Item = u64>) -> u64 {
    for taken in taken {
        if taken <= number {
            number += 1;
        }
    }
    number
}

/// A name and which of that name it is.
fn split(name: &str) -> (&str, u64) {
    match numbered(name) {
        Some((base, number)) if numbered(base).is_none() => (base, number - 1),
        _ => (name, 0),
    }
}

fn numbered(name: &str) -> Option<(&str, u64)> {
    let (base, digits) = name.rsplit_once(FORK)?;
    let plain = digits.len() <= 15 && digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0');
    let number: u64 = digits.parse().ok().filter(|number| plain && *number >= 2)?;
    Some((base, number))
}

fn named(base: &str, number: u64) -> String {
    if number == 0 { base.to_owned() } else { format!("{base}{FORK}{}", number + 1) }
}

/// Whether something of this name can be moved, or moved to it. Elements of lists stand where their list says.
pub fn is_movable(name: &str) -> bool {
    numbered(name).is_none_or(|(base, _)| numbered(base).is_none()) && list::Id::from_name(split(name).0).is_none()
}

/// The place above and the name of a path that is not the top.
fn slot(path: &Path) -> Option<Slot> {
    Some((path.parent()?, path.segments().last()?.clone()))
}

fn group_of((parent, name): &Slot) -> (Slot, u64) {
    let (base, number) = split(name);
    ((parent.clone(), base.to_owned()), number)
}

impl Moves {
    /// Whether nothing was ever moved.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many moves there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// All moves and where they move to, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Which, &Path)> {
        self.all.iter()
    }

    /// Whether a move is among them.
    pub fn knows(&self, which: &Which) -> bool {
        self.all.contains_key(which)
    }

    /// Adds moves; false if that changes nothing. The order in which they are added makes no difference.
    pub fn extend(&mut self, moves: impl IntoIterator<Item = (Which, Path)>) -> bool {
        let (mut more, mut in_order) = (false, true);
        for (which, to) in moves {
            let is_last = self.all.last_key_value().is_none_or(|(last, _)| *last < which);
            if self.knows(&which) || (is_last && self.all.len() >= MAX_MOVES) {
                continue;
            }
            more = true;
            in_order &= is_last;
            if in_order {
                self.step(&which, &to);
            }
            self.all.insert(which, to);
            if self.all.len() > MAX_MOVES {
                self.all.pop_last();
            }
        }
        if !in_order {
            self.work_out();
        }
        more
    }

    /// Keeps only some moves.
    pub fn retain(&mut self, keep: impl Fn(&Point) -> bool) {
        self.all.retain(|(by, _), _| keep(by));
        self.work_out();
    }

    fn work_out(&mut self) {
        let all = std::mem::take(&mut self.all);
        *self = Moves::default();
        for (which, to) in &all {
            self.step(which, to);
        }
        self.all = all;
    }

    /// What one move does, all before it being done.
    fn step(&mut self, (by, node): &Which, to: &Path) {
        let (Some(home), Some(slot)) = (slot(node), slot(to)) else { return };
        let fits = is_movable(&home.1) && is_movable(&slot.1) && !node.is_reserved() && !to.is_reserved();
        if !fits || self.is_inside(&slot.0, node) || !is_short(&self.shown(&slot.0).join(&slot.1)) {
            return;
        }
        let claims = self.groups.get(&group_of(&slot).0).map_or(&[][..], |group| &group.moved);
        if claims.iter().filter(|(_, other)| other != node).count() >= MAX_CLAIMS {
            return;
        }
        let before = self.stands(node, &home);
        match self.mounts.remove(node) {
            Some(mount) => {
                let group = group_of(&(mount.parent, mount.name)).0;
                if let Some(moved) = self.groups.get_mut(&group) {
                    moved.moved.retain(|(_, moved)| moved != node);
                }
            }
            None => {
                let (group, number) = group_of(&home);
                let away = &mut self.groups.entry(group).or_default().away;
                away.insert(away.partition_point(|other| *other < number), number);
            }
        }
        let (group, number) = group_of(&slot);
        self.groups.entry(group).or_default().moved.push((number, node.clone()));
        self.marks.push((before.clone(), *by));
        self.marks.push((slot.clone(), *by));
        self.mounts.insert(node.clone(), Mount { by: *by, parent: slot.0, name: slot.1, before });
    }

    /// Whether an origin is, or stands in, what was made at another.
    pub fn is_inside(&self, origin: &Path, node: &Path) -> bool {
        let mut at = origin.clone();
        loop {
            if at == *node {
                return true;
            }
            let above = self.mounts.get(&at).map(|mount| mount.parent.clone()).or_else(|| at.parent());
            match above {
                Some(above) => at = above,
                None => return false,
            }
        }
    }

    /// Below which origin, and by what name, what was made at this origin stands.
    fn stands(&self, origin: &Path, home: &Slot) -> Slot {
        if let Some(mount) = self.mounts.get(origin) {
            let (group, _) = group_of(&(mount.parent.clone(), mount.name.clone()));
            let number = self.groups.get(&group).map_or(0, |claims| claims.number_of_moved(origin));
            return (group.0, named(&group.1, number));
        }
        let (group, number) = group_of(home);
        match self.groups.get(&group) {
            Some(claims) => (group.0, named(&group.1, claims.number_of_made(number))),
            None => home.clone(),
        }
    }

    /// The path at which what has this origin shows.
    pub fn shown(&self, origin: &Path) -> Path {
        if self.groups.is_empty() || origin.is_reserved() {
            return origin.clone();
        }
        let mut names = Vec::new();
        let mut at = origin.clone();
        while let Some(home) = slot(&at) {
            let (above, name) = self.stands(&at, &home);
            names.push(name);
            at = above;
        }
        names.reverse();
        Path::of_names(names)
    }

    /// The origin of what shows, or would show, at a path.
    pub fn origin(&self, path: &Path) -> Path {
        if self.groups.is_empty() || path.is_reserved() {
            return path.clone();
        }
        path.segments().iter().fold(Path::root(), |at, name| self.child(&at, name))
    }

    /// An item that says where what it is about was made as one that says where it shows.
    pub fn show(&self, item: &Item) -> Item {
        Item { path: self.shown(&item.path), strays: self.strays(item), ..item.clone() }
    }

    /// What moves tore apart of the set or list that an item is of; it says where what it is about was made.
    pub fn strays(&self, item: &Item) -> Option<Box<Strays>> {
        let leaf = &item.register.leaf;
        if self.groups.is_empty() || !since::lives_above(leaf) && item.since.is_none() {
            return None;
        }
        let mut strays = Strays { apart: self.apart(&item.path, leaf), ..Strays::default() };
        if item.since.is_some() {
            let ruler = since::ruler(&item.path, leaf);
            let top = self.shown(&ruler);
            let below = self.mounts.range(ruler.clone()..).skip_while(|(node, _)| **node == ruler);
            let made =
                below.take_while(|(node, _)| ruler.contains(node)).filter(|(node, _)| node.len() == ruler.len() + 1);
            strays.away =
                made.map(|(node, _)| self.shown(node)).filter(|at| at.parent().as_ref() != Some(&top)).collect();
            let names =
                self.groups.range((ruler.clone(), String::new())..).take_while(|((above, _), _)| *above == ruler);
            let came = names.flat_map(|(_, group)| &group.moved).map(|(_, node)| node);
            strays.foreign =
                came.filter(|node| node.parent().as_ref() != Some(&ruler)).map(|node| self.shown(node)).collect();
        }
        (strays != Strays::default()).then(|| Box::new(strays))
    }

    /// Where the set or list shows that an op is part of, if not above it: by where it was made.
    pub fn apart(&self, made: &Path, leaf: &super::Leaf) -> Option<Path> {
        if self.groups.is_empty() || !since::lives_above(leaf) {
            return None;
        }
        let top = self.shown(&made.parent()?);
        (self.shown(made).parent().as_ref() != Some(&top)).then_some(top)
    }

    fn child(&self, parent: &Path, name: &str) -> Path {
        let (group, number) = group_of(&(parent.clone(), name.to_owned()));
        match self.groups.get(&group).map(|claims| claims.holder(number)) {
            Some(Holder::Moved(node)) => node,
            Some(Holder::Made(number)) => parent.join(&named(&group.1, number)),
            None => parent.join(name),
        }
    }

    /// What a move from one path to another says: what it is about, and where that goes. `None` if it says nothing.
    pub fn between(&self, from: &Path, to: &Path) -> Option<(Path, Path)> {
        let (above, name) = slot(to)?;
        Some((self.origin(from), self.origin(&above).join(&name)))
    }

    /// Where what a move is about stood before, if it stands where that move put it.
    pub fn before(&self, by: &Point, node: &Path) -> Option<Path> {
        let mount = self.mounts.get(node).filter(|mount| mount.by == *by)?;
        Some(self.shown(&mount.before.0).join(&mount.before.1))
    }

    /// What was moved and stands in what was made at an origin; and what was made in any of that, and stands elsewhere.
    pub fn parts(&self, origin: &Path) -> (Vec<Path>, Vec<Path>) {
        let is_other = |node: &&Path| *node != origin;
        let (within, away): (Vec<Path>, Vec<Path>) =
            self.mounts.keys().filter(is_other).cloned().partition(|node| self.is_inside(node, origin));
        let made = |node: &Path| origin.contains(node) || within.iter().any(|part| part.contains(node));
        let away = away.into_iter().filter(made).collect();
        (within, away)
    }

    /// The paths that moves are noted at, each with the writes that say so.
    pub fn marks(&self) -> BTreeMap<Path, Vec<Point>> {
        let mut marks: BTreeMap<Path, Vec<Point>> = BTreeMap::new();
        for ((parent, name), by) in &self.marks {
            marks.entry(self.shown(parent).join(name)).or_default().push(*by);
        }
        marks
    }

    /// Where other things may stand than by `other`: paths by `other`, and the names below them that are concerned.
    pub fn differences(&self, other: &Moves) -> Vec<(Path, String)> {
        let here = self.groups.iter().filter(|(group, claims)| other.groups.get(*group) != Some(*claims));
        let there = other.groups.keys().filter(|group| !self.groups.contains_key(*group));
        let groups = here.map(|(group, _)| group).chain(there);
        groups.map(|(parent, base)| (other.shown(parent), base.clone())).collect()
    }

    /// What the names of all that claim one name begin with, that name itself apart.
    pub fn forked(base: &str) -> String {
        format!("{base}{FORK}")
    }
}

/// Whether a path can be asked for.
pub fn is_short(path: &Path) -> bool {
    path.len() <= MAX_SEGMENTS && path.segments().iter().map(|name| name.len() + 1).sum::<usize>() <= MAX_PATH_BYTES
}
