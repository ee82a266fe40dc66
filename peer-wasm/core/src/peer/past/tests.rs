//! The tree as of any point is the tree of the writes up to that point, whatever came in which order, and wherever
//! the entries are kept.

use super::super::rows::SpaceRow;
use super::super::space::Log;
use super::*;
use crate::api::{Body, Facts};
use crate::document::kind::authors::Covers;
use crate::document::kind::list::{Action, Hook, Id, Ref};
use crate::document::kind::{Act, counter, list, member, mv};
use crate::document::{Item, Leaf, Op, Ops};
use crate::entropy::Entropy;
use crate::entry::{Entry, Kind, Tip};
use crate::epoch::EpochKey;
use crate::identity::SecretKey;
use crate::peer::write;
use crate::rows::{Read, Rows as Found};
use crate::sim::Disk;
use crate::version::{Agent, Version};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;

const SPACE: u32 = 5;

/// A disk with a space on it.
struct Shelf {
    disk: Disk,
    space: Space,
    items: Vec<(u32, Item)>,
}

fn run<T>(disk: &Disk, step: impl Fn(&Lens<'_>) -> Result<T, Miss>) -> T {
    let (mut answers, overlay) = (Answers::default(), Overlay::default());
    for _ in 0..50 {
        let lens = Lens::new(&answers, &overlay);
        if let Ok(done) = step(&lens) {
            return done;
        }
        for read in lens.into_missing() {
            let rows: Found = disk.read(&read);
            answers.add(read, rows);
        }
    }
    panic!("the step never has what it needs");
}

fn apply(disk: &mut Disk, items: &[Item]) {
    let applied = run(disk, |lens| document::apply(lens, SPACE, items));
    let mut batch = Batch::default();
    applied.store(SPACE, &mut batch);
    disk.commit(&batch);
}

impl Shelf {
    /// Authors' logs of writes; `packed` says for each log how many entries from its start are packed, `order` in
    /// which order logs take turns when they are merged.
    fn new(logs: &[Vec<(u64, Vec<Op>)>], packed: &[Index], order: &[Index]) -> Shelf {
        let mut entropy = Entropy::new(&[1; 32]);
        let epoch = EpochKey::generate(&mut entropy);
        let key = SecretKey::generate(&mut entropy).public();
        let authors: Vec<SecretKey> = (0..3).map(|_| SecretKey::generate(&mut entropy)).collect();
        let row = SpaceRow {
            key,
            epochs: vec![epoch.clone()],
            ticket: None,
            joined: true,
            archive: false,
            name: "x".to_owned(),
        };
        let mut space = Space::new(SPACE, row);
        let mut disk = Disk::default();
        let mut all: Vec<(u32, Vec<Item>)> = Vec::new();
        for (number, writes) in logs.iter().enumerate() {
            let author = &authors[number];
            let log = author.public();
            let mut state = Log::new(log);
            let mut raws = Vec::new();
            for (seq, (clock, list)) in writes.iter().enumerate() {
                let ops = Ops { clock: *clock, id: String::new(), list: list.clone() };
                let sealed = ops.seal(&[], &epoch, &key, &log, seq as u64, &mut entropy);
                let entry = Entry::sign(author, key, state.tip, Kind::Op, Some(epoch.id()), vec![], &sealed);
                state.tip = Tip { len: seq as u64 + 1, hash: entry.hash() };
                raws.push(entry.raw().to_vec());
                all.push((number as u32, ops.into_items(Agent::of(&log.0), seq as u64)));
            }
            state.applied = state.tip.len;
            space.logs.push(state);
            let split = packed.get(number).map_or(0, |at| at.index(raws.len() + 1));
            let mut puts = Vec::new();
            let mut last = 0;
            for run in raws[..split].chunks(3) {
                last += run.len();
                let key = rows::entry_key(SPACE, number as u32, last as u64 - 1);
                puts.push((Table::Segment, key, rows::encode_segment(run.iter().map(Vec::as_slice))));
            }
            for (seq, raw) in raws.iter().enumerate().skip(split) {
                puts.push((Table::Tail, rows::entry_key(SPACE, number as u32, seq as u64), raw.clone()));
            }
            disk.commit(&Batch { puts, ..Batch::default() });
        }
        // Writes of one log come in their order, those of different logs in any.
        let mut logs: Vec<Vec<(u32, Vec<Item>)>> = logs.iter().map(|_| Vec::new()).collect();
        for (log, items) in all.drain(..).rev() {
            logs[log as usize].push((log, items));
        }
        for turn in order.iter().cycle() {
            logs.retain(|log| !log.is_empty());
            if logs.is_empty() {
                break;
            }
            let log = turn.index(logs.len());
            all.extend(logs[log].pop());
        }
        all.extend(logs.into_iter().flat_map(|log| log.into_iter().rev()));
        for (log, items) in &all {
            apply(&mut disk, items);
            disk.commit(&Batch { puts: history::rows(SPACE, *log, items), ..Batch::default() });
        }
        let items = all.into_iter().flat_map(|(log, items)| items.into_iter().map(move |item| (log, item))).collect();
        Shelf { disk, space, items }
    }

    /// The tree of the writes up to a point and no others.
    fn oracle(&self, at: &Point) -> Disk {
        let mut disk = Disk::default();
        let upto = self.items.iter().map(|(_, item)| item).filter(|item| Point::of(&item.register) <= *at);
        apply(&mut disk, &upto.cloned().collect::<Vec<_>>());
        disk
    }

    fn points(&self) -> BTreeSet<Point> {
        let mut points: BTreeSet<Point> = self.items.iter().map(|(_, item)| Point::of(&item.register)).collect();
        points.extend([Point::START, Point::END]);
        points
    }

    fn value(&self, path: &Path, at: &Point) -> Result<Shown, Refusal> {
        run(&self.disk, |lens| match past(lens, &self.space, path, at, path)? {
            Ok(past) => shown(&past.lens(), path).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        })
    }

    fn list(&self, prefix: &Path, query: &ListQuery, at: &Point) -> Result<Listing, Refusal> {
        run(&self.disk, |lens| past_list(lens, &self.space, prefix, query, at, &|_, _| None))
    }
}

/// What a program sees at a path.
type Shown = (Option<Body>, Vec<Version>, Facts);

fn shown(lens: &Lens<'_>, path: &Path) -> Result<Shown, Miss> {
    let located = document::locate(lens, SPACE, path)?;
    let (_, version) = write::current(path, &located);
    Ok((write::body(path, &located), version, write::facts(path, &located)))
}

/// The items of all pages.
fn pages(query: &ListQuery, list: impl Fn(&ListQuery) -> Listing) -> Vec<crate::api::Item> {
    let mut query = query.clone();
    let mut items = Vec::new();
    for _ in 0..100 {
        let listing = list(&query);
        assert!(listing.items.len() <= query.limit);
        items.extend(listing.items);
        match listing.next {
            Some(next) if query.reverse => query.end = Some(next),
            Some(next) => query.start = Some(next),
            None => return items,
        }
    }
    panic!("no end of pages");
}

fn path(names: &[&str]) -> Path {
    Path::new(names.iter().copied()).unwrap()
}

fn any_leaf() -> impl Strategy<Value = Leaf> {
    prop_oneof![
        2 => Just(Leaf::Deleted),
        2 => Just(Leaf::Object),
        4 => (0u8..9).prop_map(|n| Leaf::Json(n.to_string().into_bytes())),
        1 => Just(Leaf::Json(b"[1,[2,3]]".to_vec())),
        1 => (0u8..9).prop_map(|n| Leaf::Bytes { media: "image/png".to_owned(), bytes: vec![n, 2, 3] }),
    ]
}

/// The agents of the authors of a [`Shelf`].
fn agents() -> Vec<Agent> {
    let mut entropy = Entropy::new(&[1; 32]);
    EpochKey::generate(&mut entropy);
    SecretKey::generate(&mut entropy);
    let mut authors = Vec::new();
    for _ in 0..3 {
        authors.push(Agent::of(&SecretKey::generate(&mut entropy).public().0));
    }
    authors
}

fn any_id() -> impl Strategy<Value = Id> {
    (0..3usize, 0..9u64, 0..3u32).prop_map(|(agent, seq, index)| Id { agent: agents()[agent], seq, index })
}

fn any_act() -> impl Strategy<Value = (Act, Option<String>)> {
    let seen = || prop::collection::btree_map((0..3usize).prop_map(|agent| agents()[agent]), 0..9u64, 0..3);
    let covers = move || seen().prop_map(|seen| Covers(seen.into_iter().collect()));
    let hook = || {
        let at = || any_id().prop_map(Ref::There);
        prop_oneof![Just(Hook::Start), at().prop_map(Hook::Left), at().prop_map(Hook::Right)]
    };
    let text = || (0u8..9).prop_map(|n| n.to_string().into_bytes());
    let action = prop_oneof![
        4 => (hook(), prop::collection::vec(text(), 1..4)).prop_map(|(hook, texts)| Action::Insert(hook, texts)),
        1 => (any_id(), 1..3u32).prop_map(|(id, count)| Action::Delete(Ref::There(id), count)),
        1 => (any_id(), hook()).prop_map(|(id, hook)| Action::Move(Ref::There(id), hook)),
        1 => (any_id(), text()).prop_map(|(id, text)| Action::Replace(Ref::There(id), text)),
    ];
    let member = || (1u8..4).prop_map(|n| Some(n.to_string()));
    let gone = seen().prop_map(|seen| {
        let mut seen: Vec<_> = seen.into_iter().map(|(agent, seq)| (agent, seq, seq as i64)).collect();
        seen.sort_unstable();
        Act::Counter(counter::Act::Delete(seen))
    });
    prop_oneof![
        3 => (covers(), text()).prop_map(|(covers, text)| (Act::Mv(mv::Act::Put(covers, mv::Content::Json(text))), None)),
        1 => covers().prop_map(|covers| (Act::Mv(mv::Act::Delete(covers)), None)),
        3 => (-9i64..9).prop_map(|delta| (Act::Counter(counter::Act::Add(delta)), None)),
        1 => gone.prop_map(|act| (act, None)),
        1 => Just((Act::Set, None)),
        3 => (covers(), member()).prop_map(|(covers, name)| (Act::Member(member::Act::Add(covers, Vec::new())), name)),
        1 => (covers(), member()).prop_map(|(covers, name)| (Act::Member(member::Act::Remove(covers)), name)),
        4 => prop::collection::vec(action, 0..3).prop_map(|actions| (Act::List(list::Act(actions)), None)),
        1 => any_id().prop_map(|id| (Act::Element, Some(id.name()))),
    ]
}

/// A write of a kind to one of few places, so that kinds meet each other and plain values.
fn any_kinded_op() -> impl Strategy<Value = Op> {
    (prop::collection::vec("[ab]", 1..3), any_act()).prop_map(|(mut names, (act, below))| {
        names.extend(below);
        let tag = match &act {
            Act::Mv(_) => tag::MV,
            Act::Counter(_) => tag::COUNTER,
            Act::Set => tag::SET,
            Act::Member(_) => tag::MEMBER,
            Act::List(_) => tag::LIST,
            Act::Element => tag::ELEMENT,
            Act::Text(_) => tag::TEXT,
            Act::Move(_) => tag::MOVE,
        };
        Op::new(Path::new(names).unwrap(), Leaf::Kind { tag, body: act.encode() })
    })
}

fn any_op() -> impl Strategy<Value = Op> {
    let plain = (prop::collection::vec("[ab]", 1..4), any_leaf());
    let newer = Just(Leaf::Kind { tag: 77, body: vec![1, 2] });
    let newer = (prop::collection::vec("[ab]", 1..3), newer);
    prop_oneof![
        4 => plain.prop_map(|(names, leaf)| Op::new(Path::new(names).unwrap(), leaf)),
        6 => any_kinded_op(),
        1 => newer.prop_map(|(names, leaf)| Op::new(Path::new(names).unwrap(), leaf)),
    ]
}

fn any_ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(any_op(), 1..4).prop_map(|ops| {
        let mut places = BTreeSet::new();
        // Only what a body can say.
        ops.into_iter()
            .filter(|op| Op::decode(&op.encode()).as_ref() == Ok(op) && places.insert(op.path.clone()))
            .collect()
    })
}

fn any_logs() -> impl Strategy<Value = Vec<Vec<(u64, Vec<Op>)>>> {
    let log = prop::collection::vec((1u64..5, any_ops()), 0..9).prop_map(|mut log| {
        // Times rise within a log.
        let mut clock = 0;
        for (time, _) in &mut log {
            clock += *time;
            *time = clock;
        }
        log
    });
    prop::collection::vec(log, 1..4)
}

/// Every path of up to four names, and one into an array.
fn all_paths() -> Vec<Path> {
    let mut paths = vec![Path::root(), path(&["a", "0"]), path(&["b", "1", "1"]), path(&["a", "b", "2"])];
    let mut level = vec![Path::root()];
    for _ in 0..3 {
        level = level.iter().flat_map(|above| ["a", "b"].map(|name| above.child(name).unwrap())).collect();
        paths.extend(level.iter().cloned());
    }
    paths
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_path_as_of_every_point_is_what_the_writes_up_to_it_make(
        logs in any_logs(),
        packed in prop::collection::vec(any::<Index>(), 4),
        order in prop::collection::vec(any::<Index>(), 40),
        wanted in any::<Index>(),
    ) {
        let shelf = Shelf::new(&logs, &packed, &order);
        let paths = all_paths();
        for at in shelf.points() {
            let oracle = shelf.oracle(&at);
            for path in &paths {
                let expected = run(&oracle, |lens| shown(lens, path));
                prop_assert_eq!(shelf.value(path, &at), Ok(expected), "{} at {:?}", path, at);
            }
            let prefix = &paths[wanted.index(paths.len())];
            for (limit, reverse, values) in [(1, false, true), (9, false, false), (1, true, false), (2, true, true)] {
                let query = ListQuery { start: None, end: None, limit, reverse, values };
                let expected = pages(&query, |query| run(&oracle, |lens| document::list(lens, SPACE, prefix, query, &|_, _| None)));
                let found = pages(&query, |query| shelf.list(prefix, query, &at).unwrap());
                prop_assert_eq!(found, expected, "{} at {:?}", prefix, at);
            }
        }
    }
}

#[test]
fn a_value_with_too_many_later_changes_is_refused_by_name_and_its_listing_is_not() {
    let op = |n: usize, text: &str| Op::new(path(&["d", &format!("{n:05}")]), Leaf::Json(text.into()));
    let write = |clock: u64, text: &str| (clock, (0..=MAX_CHANGED).map(|n| op(n, text)).collect::<Vec<_>>());
    let shelf = Shelf::new(&[vec![write(1, "1"), write(2, "2")]], &[], &[]);
    let at = shelf.points().into_iter().nth(1).unwrap();
    let prefix = path(&["d"]);
    match shelf.value(&prefix, &at) {
        Err(Refusal::TooLarge { limit, listing, .. }) => {
            assert_eq!((limit, listing.as_deref()), (MAX_CHANGED as u64, Some("d")));
        }
        other => panic!("{other:?}"),
    }
    let query = ListQuery { start: None, end: None, limit: 1000, reverse: false, values: true };
    let items = pages(&query, |query| shelf.list(&prefix, query, &at).unwrap());
    let seen: Vec<_> = items.into_iter().map(|item| (item.key, item.value)).collect();
    assert_eq!(seen.len(), MAX_CHANGED + 1);
    assert!(seen.iter().all(|(_, value)| *value == Some(Body::Json(1.into()))));
    assert!(seen.is_sorted_by(|a, b| a.0 < b.0));
}

#[test]
fn a_page_of_many_places_goes_on_where_it_stopped_in_both_directions() {
    // Deleted since the beginning: pages without items must still lead on.
    let gone = |n: usize| Op::new(path(&["d", &format!("{n:05}"), "x"]), Leaf::Deleted);
    let mut list: Vec<Op> = (0..9000).map(gone).collect();
    list.push(Op::new(path(&["d", "a"]), Leaf::Json(b"1".to_vec())));
    list.push(Op::new(path(&["d", "!"]), Leaf::Json(b"2".to_vec())));
    let shelf = Shelf::new(&[vec![(1, list)]], &[], &[]);
    for reverse in [false, true] {
        let query = ListQuery { start: None, end: None, limit: 10, reverse, values: false };
        let items = pages(&query, |query| shelf.list(&path(&["d"]), query, &Point::END).unwrap());
        let seen: Vec<String> = items.into_iter().map(|item| item.key).collect();
        assert_eq!(seen, if reverse { ["a", "!"] } else { ["!", "a"] });
    }
}

#[test]
fn an_entry_that_is_gone_is_history_dropped() {
    let op = |text: &str| Op::new(path(&["a"]), Leaf::Json(text.into()));
    let mut shelf = Shelf::new(&[vec![(1, vec![op("1")]), (2, vec![op("2")])]], &[], &[]);
    let at = shelf.points().into_iter().nth(1).unwrap();
    let deletes = vec![(Table::Tail, rows::entry_key(SPACE, 0, 0))];
    shelf.disk.commit(&Batch { deletes, ..Batch::default() });
    assert_eq!(shelf.value(&path(&["a"]), &at), Err(Refusal::HistoryDropped));
    let read = Read::Get { table: Table::Tail, key: rows::entry_key(SPACE, 0, 1) };
    assert_eq!(shelf.disk.read(&read).len(), 1);
    assert!(shelf.value(&path(&["a"]), &Point::END).is_ok());
}
