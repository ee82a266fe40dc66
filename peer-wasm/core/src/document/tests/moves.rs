//! Laws of moves: the same moves make the same tree in whatever order they come, and rows follow them.

use super::super::moves::Moves;
use super::super::{marks, relocate};
use super::*;
use crate::history::{self, Point};
use crate::rows::Table;
use std::collections::BTreeMap as Map;

const NAMES: [&str; 5] = ["a", "b", "c", "a⑂2", "b⑂3"];

fn any_path(longest: usize) -> impl Strategy<Value = Path> {
    prop::collection::vec(prop::sample::select(NAMES.to_vec()), 1..=longest).prop_map(|names| Path::new(names).unwrap())
}

type Told = (u64, u8, Path, Path);

fn any_moves(most: usize) -> impl Strategy<Value = Vec<Told>> {
    let one = (0..2 * most as u64, 0..3u8, any_path(3), any_path(3));
    // Nobody writes two things at one time.
    prop::collection::vec(one, 0..most).prop_map(|list| {
        let known: Map<(u64, u8), Told> = list.into_iter().map(|told| ((told.0, told.1), told)).collect();
        known.into_values().collect()
    })
}

fn point(clock: u64, agent: u8) -> Point {
    Point { clock, agent: Agent([agent; 10]), seq: clock }
}

fn of((clock, agent, node, to): &Told) -> (super::super::moves::Which, Path) {
    ((point(*clock, *agent), node.clone()), to.clone())
}

fn table(told: &[Told]) -> Moves {
    let mut moves = Moves::default();
    for told in told {
        moves.extend([of(told)]);
    }
    moves
}

/// All origins of a small world.
fn world() -> Vec<Path> {
    let names = |above: &Path| NAMES.map(|name| above.child(name).unwrap()).to_vec();
    let one = names(&Path::root());
    let two: Vec<Path> = one.iter().flat_map(names).collect();
    let three: Vec<Path> = two.iter().flat_map(names).collect();
    [one, two, three].concat()
}

/// Where an origin shows, by the words of the rule and in the simplest way: moves are done one after the other on a list of
/// who stands where, and names are handed out in a row.
fn plainly(told: &[Told], origin: &Path) -> String {
    let number = |name: &str| match name.split_once('⑂') {
        Some((base, number)) => (base.to_owned(), number.parse::<usize>().unwrap() - 1),
        None => (name.to_owned(), 0),
    };
    let mut order: Vec<&Told> = told.iter().collect();
    order.sort_by_key(|(clock, agent, ..)| (*clock, *agent));
    // What was moved, the last move last: the origin, below which origin, by which name.
    let mut moved: Vec<(Path, Path, String)> = Vec::new();
    let above = |moved: &[(Path, Path, String)], at: &Path| match moved.iter().find(|(node, ..)| node == at) {
        Some((_, parent, _)) => Some(parent.clone()),
        None => at.parent(),
    };
    for (_, _, node, to) in order {
        let parent = to.parent().unwrap();
        let mut inside = Some(parent.clone());
        while let Some(at) = inside.clone().filter(|at| at != node) {
            inside = above(&moved, &at);
        }
        if inside.is_none() {
            moved.retain(|(known, ..)| known != node);
            moved.push((node.clone(), parent, to.segments().last().unwrap().clone()));
        }
    }
    let mut names = Vec::new();
    let mut at = origin.clone();
    while !at.is_empty() {
        let mine = moved.iter().find(|(node, ..)| *node == at);
        let parent = above(&moved, &at).unwrap();
        let (base, made) = number(mine.map_or_else(|| at.segments().last().unwrap(), |(.., name)| name));
        let mut held: Vec<Option<Path>> = vec![None; 64];
        for (node, to, name) in moved.iter().rev().filter(|(_, to, name)| *to == parent && number(name).0 == base) {
            let _ = to;
            let free = (number(name).1..).find(|at| held[*at].is_none()).unwrap();
            held[free] = Some(node.clone());
        }
        for made in 0..32 {
            let name = if made == 0 { base.clone() } else { format!("{base}⑂{}", made + 1) };
            let node = parent.child(&name).unwrap();
            if !moved.iter().any(|(known, ..)| *known == node) {
                let free = held.iter().position(Option::is_none).unwrap();
                held[free] = Some(node);
            }
        }
        let _ = made;
        let shown = held.iter().position(|holder| holder.as_ref() == Some(&at)).unwrap();
        names.push(if shown == 0 { base } else { format!("{base}⑂{}", shown + 1) });
        at = parent;
    }
    names.reverse();
    names.join("/")
}

/// What happens: something is written, or moved.
#[derive(Clone, Debug)]
enum Event {
    Write(Item),
    Move(Told),
}

fn any_event() -> impl Strategy<Value = (Path, u8, Path)> {
    (any_path(3), 0..16u8, any_path(3))
}

/// Events at different times, by three authors, who know of some of the purges before.
fn events(list: Vec<(Path, u8, Path)>) -> Vec<Event> {
    use super::super::kind::{Act, Stamp, authors::Covers, list, member, mv, tag};
    let mut lists: Vec<Path> = Vec::new();
    let mut purges: Map<Path, Vec<Stamp>> = Map::new();
    let event = |(clock, (mut path, what, to)): (usize, (Path, u8, Path))| {
        let (clock, agent) = (clock as u64 + 1, clock as u8 % 3);
        let known = purges.entry(path.clone()).or_default();
        let mut since = known.get(usize::from(to.to_string().len() as u8) % (known.len() + 1)).copied();
        let leaf = match what {
            9 => {
                known.push(Stamp { clock, agent: Agent([agent; 10]), seq: clock });
                since = known.last().copied();
                Leaf::Deleted
            }
            10 | 11 => {
                path = path.child("1").unwrap();
                let act = member::Act::Add(Covers::default(), Vec::new());
                Leaf::Kind { tag: tag::MEMBER, body: Act::Member(act).encode() }
            }
            0 => Leaf::Deleted,
            1 | 2 => Leaf::Object,
            3 | 4 => Leaf::Json(clock.to_string().into_bytes()),
            5 => {
                let content = mv::Content::Json(clock.to_string().into_bytes());
                let act = mv::Act::Put(Covers::default(), content);
                Leaf::Kind { tag: tag::MV, body: act.encode() }
            }
            12 => return Event::Move((clock, agent, path.child("1").unwrap(), to)),
            13 => return Event::Move((clock, agent, path, to.child("1").unwrap())),
            14 => {
                let inserted = vec![list::Action::Insert(list::Hook::Start, vec![clock.to_string().into_bytes()])];
                lists.push(path.child(&list::Id { agent: Agent([agent; 10]), seq: clock, index: 0 }.name()).unwrap());
                Leaf::Kind { tag: tag::LIST, body: list::Act(inserted).encode() }
            }
            15 if !lists.is_empty() => {
                let element = lists[clock as usize % lists.len()].clone();
                return Event::Move((clock, agent, element, to));
            }
            _ => return Event::Move((clock, agent, path, to)),
        };
        let register = Register { clock, agent: Agent([agent; 10]), seq: clock, leaf };
        Event::Write(Item { since, ..Item::new(path, register) })
    };
    list.into_iter().enumerate().map(event).collect()
}

/// A peer: its rows, and the moves it knows.
#[derive(Default)]
struct Reader {
    shelf: Shelf,
    moves: Moves,
}

impl Reader {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::Write(item) => {
                let item = self.moves.show(item);
                self.shelf.apply(std::slice::from_ref(&item));
                self.shelf.0.extend(history::rows(1, 0, &[item]).into_iter().map(|(_, key, row)| (key, row)));
            }
            Event::Move(told) => {
                let mut moves = self.moves.clone();
                moves.extend([of(told)]);
                let moved = self.shelf.run(|lens| relocate(lens, 1, &self.moves, &moves)).unwrap();
                for (table, key) in &moved.batch.deletes {
                    assert_eq!(*table, Table::View);
                    self.shelf.0.remove(key);
                }
                self.shelf.0.extend(moved.batch.puts.into_iter().map(|(_, key, row)| (key, row)));
                self.moves = moves;
            }
        }
    }

    fn rows(&self) -> Map<Vec<u8>, Result<ViewRow, Vec<u8>>> {
        let row =
            |key: &[u8], row: &[u8]| if key[4] == 1 { Ok(ViewRow::decode(row).unwrap()) } else { Err(row.to_vec()) };
        self.shelf.0.iter().map(|(key, value)| (key.clone(), row(key, value))).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn moves_make_the_same_of_everything_in_any_order(told in any_moves(12), order in any::<u64>()) {
        let moves = table(&told);
        let mut mixed = told.clone();
        for at in (1..mixed.len()).rev() {
            mixed.swap(at, (order.rotate_left(at as u32 * 7) % (at as u64 + 1)) as usize);
        }
        let other = table(&mixed);
        for origin in world() {
            let shown = moves.shown(&origin);
            prop_assert_eq!(&shown, &other.shown(&origin));
            prop_assert_eq!(shown.to_string(), plainly(&told, &origin), "{}", origin);
            prop_assert_eq!(&moves.origin(&shown), &origin);
            // The other way round, each name shows one thing.
            prop_assert_eq!(moves.shown(&moves.origin(&origin)), origin);
        }
        prop_assert_eq!(moves.marks(), other.marks());
        let mut at_once = Moves::default();
        at_once.extend(mixed.iter().map(of));
        prop_assert_eq!(moves.marks(), at_once.marks());
    }

    #[test]
    fn rows_follow_moves_whatever_comes_first(
        list in prop::collection::vec(any_event(), 1..40),
        order in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let events = events(list);
        let mut left: Vec<&Event> = events.iter().collect();
        let mut peer = Reader::default();
        for index in order {
            if left.is_empty() { break; }
            // What one author wrote comes in its order.
            let author = |event: &Event| match event {
                Event::Write(item) => item.register.agent.0[0],
                Event::Move((_, agent, ..)) => *agent,
            };
            let pick = index.index(left.len());
            let first = left.iter().position(|event| author(event) == author(left[pick])).unwrap();
            let event = left.remove(first);
            peer.hear(event);
        }
        for event in left { peer.hear(event); }
        // As if all moves had been known from the start.
        let told: Vec<Told> = events.iter().filter_map(|event| match event {
            Event::Move(told) => Some(told.clone()),
            Event::Write(_) => None,
        }).collect();
        let mut fresh = Reader { moves: table(&told), ..Reader::default() };
        fresh.shelf.0.extend(marks(1, &fresh.moves).into_iter().map(|(_, key, row)| (key, row)));
        for event in events.iter().filter(|event| matches!(event, Event::Write(_))) {
            fresh.hear(event);
        }
        prop_assert_eq!(peer.rows(), fresh.rows());
    }
}

#[test]
fn of_two_moves_into_each_other_the_later_has_no_effect() {
    let path = |text: &str| Path::new(text.split('/')).unwrap();
    let moves = table(&[(2, 1, path("b"), path("a/b")), (1, 0, path("a"), path("b/a"))]);
    assert_eq!(moves.shown(&path("a/x")), path("b/a/x"));
    assert_eq!(moves.shown(&path("b/x")), path("b/x"));
}

#[test]
fn who_is_moved_to_a_name_last_has_it_and_the_others_follow() {
    let path = |text: &str| Path::new(text.split('/')).unwrap();
    let moves = table(&[(1, 0, path("a"), path("c")), (2, 1, path("b"), path("c"))]);
    let shown = |text: &str| moves.shown(&path(text)).to_string();
    assert_eq!([shown("b"), shown("a"), shown("c")], ["c", "c⑂2", "c⑂3"]);
    // What was left is something new.
    assert_eq!(moves.origin(&path("a")), path("a⑂2"));
}

#[test]
fn of_more_moves_than_count_the_earliest_do() {
    let path = |text: String| Path::new([text]).unwrap();
    let told = |clock: u64| (clock, 1, path(format!("n{clock}")), path(format!("m{clock}")));
    let most = super::super::moves::MAX_MOVES as u64;
    let mut moves = Moves::default();
    assert!(moves.extend((5..most + 5).map(|clock| of(&told(clock)))));
    assert!(!moves.extend([of(&told(most + 9))]));
    assert_eq!(moves.shown(&path(format!("n{}", most + 4))), path(format!("m{}", most + 4)));
    assert!(moves.extend((0..5).map(|clock| of(&told(clock)))));
    assert_eq!(moves.len() as u64, most);
    assert_eq!(moves.shown(&path("n0".to_owned())), path("m0".to_owned()));
    assert_eq!(moves.shown(&path(format!("n{}", most + 4))), path(format!("n{}", most + 4)));
}

#[test]
fn so_many_things_can_be_moved_to_one_name_and_what_comes_later_stays() {
    let most = super::super::moves::MAX_CLAIMS as u64;
    // Names of one family, each claimed by what was made at another of it: the worst there is to work out.
    let told: Vec<Told> = (0..2 * most)
        .map(|clock| (clock, 1, Path::new([format!("x⑂{}", clock + 2)]).unwrap(), Path::new(["x"]).unwrap()))
        .collect();
    let moves = table(&told);
    let shows = |number: u64| moves.shown(&told[number as usize].2);
    assert_eq!(shows(most - 1), Path::new(["x"]).unwrap());
    assert!(
        (0..2 * most)
            .all(|number| moves.before(&point(number, 1), &told[number as usize].2).is_some() == (number < most))
    );
    // Nothing is lost: all stand at places of their own.
    let all: std::collections::BTreeSet<Path> = (0..2 * most).map(shows).collect();
    assert_eq!(all.len() as u64, 2 * most);
    let backwards: Vec<Told> = told.iter().rev().cloned().collect();
    assert!((0..2 * most).all(|number| table(&backwards).shown(&told[number as usize].2) == shows(number)));
}
