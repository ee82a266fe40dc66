use super::*;
use crate::document::kind::tag;
use serde_json::Value as Json;

fn as_kind(merge: Merge) -> Manner {
    Manner { merge: Some(merge), ..Manner::default() }
}

fn as_seen(seen: &[(u8, u64)]) -> Manner {
    let version = |(agent, seq): &(u8, u64)| crate::version::Version { agent: Agent([*agent; 10]), seq: *seq };
    Manner { seen: Some(seen.iter().map(version).collect()), ..Manner::default() }
}

/// Two peers that write by themselves and then hear of each other.
struct Pair {
    one: Shelf,
    two: Shelf,
    to_one: Vec<Item>,
    to_two: Vec<Item>,
    clock: u64,
}

impl Pair {
    fn new(path: &str, value: Json, merge: Merge) -> Pair {
        let mut pair = Pair { one: Shelf::default(), two: Shelf::default(), to_one: vec![], to_two: vec![], clock: 0 };
        pair.one_in(path, put(value), as_kind(merge));
        pair.meet();
        pair
    }

    fn one(&mut self, path: &str, change: Change) {
        self.one_in(path, change, Manner::default());
    }

    fn one_in(&mut self, path: &str, change: Change, manner: Manner) {
        self.clock += 1;
        self.to_two.extend(self.one.write_in(self.clock, 1, path, change, manner).unwrap().1);
    }

    fn two(&mut self, path: &str, change: Change) {
        self.two_in(path, change, Manner::default());
    }

    fn two_in(&mut self, path: &str, change: Change, manner: Manner) {
        self.clock += 1;
        self.to_one.extend(self.two.write_in(self.clock, 2, path, change, manner).unwrap().1);
    }

    fn meet(&mut self) {
        self.one.apply(&std::mem::take(&mut self.to_one));
        self.two.apply(&std::mem::take(&mut self.to_two));
        assert_eq!(self.one.0, self.two.0);
    }

    fn value(&self, path: &str) -> Option<Json> {
        self.one.value(path)
    }

    fn conflicts(&self, path: &str) -> Vec<Json> {
        let path = super::path(path);
        let tree = self.one.run(|lens| tree(lens, 1, &path));
        let json = |rival: crate::api::Rival| match rival.body {
            Body::Json(json) => json,
            Body::Bytes { media, .. } => json!(media),
        };
        tree.rivals(&path).into_iter().map(json).collect()
    }
}

fn kind_at(shelf: &Shelf, path: &str) -> Option<Held> {
    let path = super::path(path);
    shelf.run(|lens| tree(lens, 1, &path)).held(&path)
}

fn set_patch(add: &[&str], remove: &[&str]) -> Change {
    let list = |members: &[&str]| members.iter().map(|member| json!(member)).collect();
    Change::Set { add: list(add), remove: list(remove) }
}

#[test]
fn increments_made_at_once_add_up_and_a_counter_can_be_set() {
    let mut pair = Pair::new("c", json!(10), Merge::Counter);
    pair.one("c", Change::Increment(json!(5)));
    pair.two("c", Change::Increment(json!(-2)));
    pair.meet();
    assert_eq!(pair.value("c"), Some(json!(13)));
    // Setting it writes the difference to what is seen.
    pair.one("c", put(json!(20)));
    pair.two("c", Change::Increment(json!(1)));
    pair.meet();
    assert_eq!((pair.value("c"), kind_at(&pair.one, "c")), (Some(json!(21)), Some(Held::Merge(Merge::Counter))));
    assert!(pair.one.write(90, 1, "c", put(json!(21))).ops.is_empty());
}

#[test]
fn two_counters_made_at_once_are_one_and_deletion_takes_what_was_seen() {
    let mut pair = Pair::new("x", json!(0), Merge::Lww);
    pair.one_in("c", put(json!(3)), as_kind(Merge::Counter));
    pair.two_in("c", put(json!(4)), as_kind(Merge::Counter));
    pair.meet();
    assert_eq!(pair.value("c"), Some(json!(7)));
    pair.one("c", Change::Delete);
    pair.two("c", Change::Increment(json!(2)));
    assert_eq!(pair.value("c"), None);
    pair.meet();
    assert_eq!(pair.value("c"), Some(json!(2)));
    pair.two("c", Change::Delete);
    pair.meet();
    assert_eq!(pair.value("c"), None);
    pair.one("c", Change::Increment(json!(1)));
    pair.meet();
    assert_eq!(pair.value("c"), Some(json!(1)));
}

#[test]
fn counters_stop_at_the_ends_of_their_range_and_refuse_what_is_no_whole_number() {
    let mut pair = Pair::new("c", json!(i64::MAX), Merge::Counter);
    pair.one("c", Change::Increment(json!(1)));
    pair.two("c", Change::Increment(json!(5)));
    pair.meet();
    assert_eq!(pair.value("c"), Some(json!(i64::MAX)));
    for bad in [json!(1.5), json!("1"), json!(null), json!(1e300)] {
        let refused = pair.one.write_in(99, 1, "c", Change::Increment(bad.clone()), Manner::default());
        assert!(matches!(refused, Err(Refusal::WrongKind { kind: "counter", .. })), "{bad}");
        assert!(pair.one.write_in(99, 1, "c", put(bad), Manner::default()).is_err());
    }
}

#[test]
fn concurrent_values_stand_beside_each_other_until_they_are_settled() {
    let mut pair = Pair::new("m", json!({"a": 1}), Merge::Mv);
    pair.one("m", put(json!("one")));
    pair.two("m", put(json!({"two": [2]})));
    pair.meet();
    assert_eq!((pair.value("m"), pair.conflicts("m")), (Some(json!({"two": [2]})), vec![json!("one")]));
    assert_eq!(pair.value("m/two/0"), Some(json!(2)));
    // Whoever did not see one of them does not replace it.
    pair.one_in("m", put(json!("three")), as_seen(&[(2, 3)]));
    pair.meet();
    assert_eq!((pair.value("m"), pair.conflicts("m")), (Some(json!("three")), vec![json!("one")]));
    pair.two("m", put(json!("settled")));
    pair.meet();
    assert_eq!((pair.value("m"), pair.conflicts("m")), (Some(json!("settled")), vec![]));
    pair.one("m", Change::Delete);
    pair.two("m", put(json!("kept")));
    pair.meet();
    assert_eq!(pair.value("m"), Some(json!("kept")));
}

#[test]
fn what_is_in_conflict_is_noted_for_the_listing() {
    let mut pair = Pair::new("m", json!(0), Merge::Mv);
    let noted = |pair: &Pair| pair.one.0.contains_key(&conflict_key(1, &super::path("m")));
    assert!(!noted(&pair));
    pair.one("m", put(json!(1)));
    pair.two("m", put(json!(2)));
    pair.meet();
    assert!(noted(&pair));
    pair.one("m", put(json!(3)));
    pair.meet();
    assert!(!noted(&pair));
}

#[test]
fn additions_win_over_removals_made_at_once() {
    let mut pair = Pair::new("s", json!(["a", "b"]), Merge::Set);
    pair.one("s", set_patch(&["c"], &["a"]));
    pair.two("s", set_patch(&["a", "d"], &["b"]));
    pair.meet();
    assert_eq!(pair.value("s"), Some(json!(["a", "c", "d"])));
    pair.one("s", put(json!(["c", {"x": 1}])));
    pair.meet();
    assert_eq!(pair.value("s"), Some(json!(["c", {"x": 1}])));
    assert_eq!(pair.value("s/{\"x\":1}"), Some(json!({"x": 1})));
    assert_eq!(pair.value("s/\"a\""), None);
    pair.two("s", Change::Delete);
    pair.one("s", set_patch(&["late"], &[]));
    pair.meet();
    assert_eq!((pair.value("s"), kind_at(&pair.one, "s")), (Some(json!(["late"])), Some(Held::Merge(Merge::Set))));
    pair.one("s", set_patch(&[], &["late"]));
    pair.meet();
    assert_eq!(pair.value("s"), Some(json!([])));
}

#[test]
fn members_have_places_of_their_own_large_ones_too() {
    let mut pair = Pair::new("s", json!([]), Merge::Set);
    let long = "x".repeat(500);
    pair.one("s", Change::Set { add: vec![json!(long), json!(1)], remove: vec![] });
    pair.one("s/2", put(json!(2)));
    pair.meet();
    assert_eq!(pair.value("s"), Some(json!([long, 1, 2])));
    pair.two("s/1", Change::Delete);
    pair.meet();
    assert_eq!(pair.value("s"), Some(json!([long, 2])));
    let wrong = pair.one.write_in(99, 1, "s/3", put(json!(4)), Manner::default());
    assert!(matches!(wrong, Err(Refusal::WrongKind { .. })));
    // An addition writes its own row and the set's, however many there are.
    let many: Vec<Json> = (0..300).map(|n| json!(n)).collect();
    pair.one("s", Change::Set { add: many, remove: vec![] });
    let (planned, _) = pair.one.write_in(98, 1, "s", set_patch(&["one more"], &[]), Manner::default()).unwrap();
    assert_eq!(planned.ops.len(), 1);
}

#[test]
fn an_object_may_hold_values_of_any_kind_and_a_put_keeps_them() {
    let mut pair = Pair::new("o/count", json!(1), Merge::Counter);
    pair.one_in("o/tags", put(json!(["a"])), as_kind(Merge::Set));
    pair.one_in("o/steps", put(json!(["x", "y"])), as_kind(Merge::List));
    pair.one("o/title", put(json!("Tea")));
    pair.meet();
    assert_eq!(pair.value("o"), Some(json!({"count": 1, "tags": ["a"], "steps": ["x", "y"], "title": "Tea"})));
    pair.one("o", put(json!({"count": 3, "tags": ["a", "b"], "steps": ["x", "z", "y"]})));
    pair.two("o", Change::MergePatch(json!({"count": 2, "tags": ["a", "c"], "steps": ["x", "y", "w"]})));
    pair.meet();
    let all = json!({"count": 4, "tags": ["a", "b", "c"], "steps": ["x", "z", "y", "w"]});
    assert_eq!(pair.value("o"), Some(all));
    let wrong = pair.one.write_in(99, 1, "o", put(json!({"count": "many"})), Manner::default());
    assert!(matches!(wrong, Err(Refusal::WrongKind { kind: "counter", .. })));
    pair.one("o", Change::Delete);
    pair.meet();
    assert_eq!((pair.value("o"), pair.value("o/tags")), (None, None));
}

#[test]
fn a_kind_can_be_changed_and_the_later_change_counts() {
    let mut pair = Pair::new("v", json!(5), Merge::Counter);
    pair.one_in("v", put(json!(["plain"])), as_kind(Merge::Lww));
    pair.meet();
    assert_eq!((pair.value("v"), kind_at(&pair.one, "v")), (Some(json!(["plain"])), Some(Held::Merge(Merge::Lww))));
    pair.one_in("v", put(json!(["a"])), as_kind(Merge::Set));
    pair.two_in("v", put(json!(["b"])), as_kind(Merge::List));
    pair.meet();
    assert_eq!((pair.value("v"), kind_at(&pair.one, "v")), (Some(json!(["b"])), Some(Held::Merge(Merge::List))));
    pair.one_in("v", put(json!(1)), as_kind(Merge::Counter));
    pair.meet();
    assert_eq!(pair.value("v"), Some(json!(1)));
    pair.one_in("v", put(json!({"a": 1})), as_kind(Merge::Lww));
    pair.meet();
    assert_eq!(pair.value("v"), Some(json!({"a": 1})));
}

#[test]
fn what_only_a_later_release_knows_is_kept_and_not_overwritten_by_accident() {
    let mut shelf = Shelf::default();
    shelf.write(1, 1, "o/known", put(json!(1)));
    let leaf = Leaf::Kind { tag: 200, body: vec![1, 2, 3] };
    let ops = Ops { clock: 2, id: String::new(), list: vec![Op::new(path("o/new"), leaf)] };
    assert_eq!(Op::decode(&ops.list[0].encode()).as_ref(), Ok(&ops.list[0]));
    let items = ops.into_items(Agent([2; 10]), 1);
    let applied = shelf.run(|lens| apply(lens, 1, &items));
    assert_eq!(applied.unknown.into_iter().collect::<Vec<_>>(), [200]);
    shelf.apply(&items);
    assert_eq!(kind_at(&shelf, "o/new"), Some(Held::Newer(200)));
    let whole = json!({"known": 1, "new": {"$newer-kind": 200}});
    assert_eq!(shelf.value("o"), Some(whole.clone()));
    let refused = shelf.write_in(3, 1, "o/new", put(json!(1)), Manner::default());
    assert!(matches!(refused, Err(Refusal::NewerKind { tag: 200 })));
    // Reading a whole, changing another member and writing it back leaves it alone.
    let mut changed = whole;
    changed["known"] = json!(2);
    shelf.write(4, 1, "o", put(changed));
    assert_eq!(kind_at(&shelf, "o/new"), Some(Held::Newer(200)));
    shelf.write_in(5, 1, "o/new", put(json!(1)), as_kind(Merge::Lww)).unwrap();
    assert_eq!(shelf.value("o/new"), Some(json!(1)));
}

#[test]
fn rows_written_before_there_were_kinds_read_as_before() {
    // A register with a JSON text, and a bare container, as version 0.1 wrote them.
    let old = [&[1][..], &7u64.to_be_bytes(), &[9; 10], &[3, 2, 1, b'5']].concat();
    let row = ViewRow::decode(&old).unwrap();
    assert_eq!(row.register.as_ref().map(|register| register.leaf.clone()), Some(Leaf::Json(b"5".to_vec())));
    assert_eq!((row.encode(), ViewRow::decode(&[2]).map(|row| row.container)), (old, Some(true)));
    assert_eq!(ViewRow::decode(&[16]), None);
}

#[test]
fn listings_tell_kinds_and_number_the_elements_of_lists() {
    let mut pair = Pair::new("o/count", json!(1), Merge::Counter);
    pair.one_in("o/steps", put(json!(["x", "y", "z"])), as_kind(Merge::List));
    pair.one("o/plain", put(json!({"deep": 1})));
    let list = |at: &str, start: Option<&str>, limit, reverse| {
        let start = start.map(str::to_owned);
        let query = crate::api::ListQuery { start, end: None, limit, reverse, values: true };
        let listing = pair.one.run(|lens| list(lens, 1, &super::path(at), &query, &|_, _| None));
        let items: Vec<_> = listing
            .items
            .into_iter()
            .map(|item| (item.key, item.kind, item.value))
            .map(|(key, kind, value)| (key, kind, if let Some(Body::Json(json)) = value { json } else { json!(null) }))
            .collect();
        (items, listing.next)
    };
    let item = |key: &str, kind, json| (key.to_owned(), kind, json);
    let expected = vec![
        item("count", Some("counter"), json!(1)),
        item("plain", None, json!({"deep": 1})),
        item("steps", Some("list"), json!(["x", "y", "z"])),
    ];
    assert_eq!(list("o", None, 9, false), (expected, None));
    let first = vec![item("0", None, json!("x")), item("1", None, json!("y"))];
    assert_eq!(list("o/steps", None, 2, false), (first, Some("2".to_owned())));
    assert_eq!(list("o/steps", Some("2"), 2, false), (vec![item("2", None, json!("z"))], None));
    assert_eq!(list("o/steps", None, 1, true), (vec![item("2", None, json!("z"))], Some("2".to_owned())));
}

#[test]
fn listings_tell_the_kind_of_what_has_many_places() {
    let mut pair = Pair::new("o/count", json!(1), Merge::Counter);
    pair.one_in("o/steps", put((0..300).map(|step| json!(step)).collect()), as_kind(Merge::List));
    for reverse in [false, true] {
        let query = crate::api::ListQuery { start: None, end: None, limit: 9, reverse, values: false };
        let listing = pair.one.run(|lens| list(lens, 1, &super::path("o"), &query, &|_, _| None));
        let steps = listing.items.iter().find(|item| item.key == "steps").unwrap();
        assert_eq!((steps.kind, steps.version.len()), (Some("list"), 0));
    }
}

#[test]
fn the_tags_in_use_never_change() {
    let tags = [tag::MV, tag::COUNTER, tag::SET, tag::MEMBER, tag::LIST, tag::ELEMENT, tag::TEXT];
    assert_eq!(tags, [4, 5, 6, 7, 8, 9, 10]);
}

/// The bytes of every kind of op, as every release must read and write them.
#[test]
fn the_bytes_of_ops_never_change() {
    use crate::document::kind::authors::Covers;
    use crate::document::kind::list::{Action, Hook, Id, Ref};
    use crate::document::kind::{Act, counter, list, member, mv};
    let agent = |byte| Agent([byte; 10]);
    let covers = || Covers([(agent(1), 300), (agent(2), 0)].into());
    let seen = "0201010101010101010101ac020202020202020202020200";
    let id = Id { agent: agent(3), seq: 5, index: 7 };
    let json = || b"1".to_vec();
    let edits = vec![
        Action::Insert(Hook::Start, vec![json(), json()]),
        Action::Insert(Hook::Left(Ref::Here(1)), vec![json()]),
        Action::Delete(Ref::There(id), 2),
        Action::Move(Ref::Here(0), Hook::Right(Ref::There(id))),
        Action::Replace(Ref::Here(2), json()),
    ];
    let parent = kith_text::Version { agent: kith_text::Agent([1; 10]), seq: 300 };
    let edits_of_text =
        vec![kith_text::Edit::Insert { pos: 2, text: "hi".to_owned() }, kith_text::Edit::Delete { pos: 5, len: 1 }];
    let algorithm = kith_text::Algorithm::DiamondTypes1;
    let typed = kith_text::TextOp { algorithm, parents: vec![parent], edits: edits_of_text };
    let there = "01030303030303030303030507";
    let acts = [
        (tag::MV, Act::Mv(mv::Act::Put(covers(), mv::Content::Json(json()))), format!("00{seen}020131")),
        (
            tag::MV,
            Act::Mv(mv::Act::Put(Covers::default(), mv::Content::Bytes { media: "a/b".to_owned(), bytes: vec![9] })),
            "00000303612f620109".to_owned(),
        ),
        (tag::MV, Act::Mv(mv::Act::Delete(covers())), format!("01{seen}")),
        (tag::COUNTER, Act::Counter(counter::Act::Add(-3)), "0005".to_owned()),
        (
            tag::COUNTER,
            Act::Counter(counter::Act::Delete(vec![(agent(1), 4, 100)])),
            "01010101010101010101010104c801".to_owned(),
        ),
        (tag::SET, Act::Set, String::new()),
        (tag::MEMBER, Act::Member(member::Act::Add(covers(), Vec::new())), format!("00{seen}00")),
        (tag::MEMBER, Act::Member(member::Act::Remove(covers())), format!("01{seen}")),
        (
            tag::LIST,
            Act::List(list::Act(edits)),
            format!("0500000201310131000100010101310 1{there}02020000 02{there}0300020131").replace(' ', ""),
        ),
        (tag::ELEMENT, Act::Element, String::new()),
        (tag::TEXT, Act::Text(Vec::new()), String::new()),
        (tag::MOVE, Act::Move(Path::new(["a", "é"]).unwrap()), "6100c3a900".to_owned()),
        (tag::TEXT, Act::Text(typed.encode()), "010101010101010101010101ac020204026869030 5".replace(' ', "")),
    ];
    for (tag, act, bytes) in acts {
        assert_eq!(data_encoding::HEXLOWER.encode(&act.encode()), bytes, "{act:?}");
        assert_eq!(Act::decode(tag, &act.encode()), Ok(act));
    }
}
