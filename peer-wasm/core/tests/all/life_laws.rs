//! Laws of lives: whatever the order in which purges and other writes arrive, and whether or not what is over was ever
//! seen, the rows are the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "common/store.rs"]
mod store;

use kith_core::document::kind::{Act, Stamp, counter, list, member, mv, tag};
use kith_core::document::redaction::{Bearing, bearing_in};
use kith_core::document::text::{inbox_author, unpack_inbox};
use kith_core::document::{Leaf, Op, Ops, Since, apply};
use kith_core::path::Path;
use kith_core::rows::Batch;
use kith_core::version::Agent;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};
use store::Store;

const SPACE: u32 = 7;
const AGENTS: u8 = 3;

impl Store {
    fn apply(&mut self, writes: &[&Write]) {
        let items: Vec<_> = writes.iter().flat_map(|write| write.items()).collect();
        let applied = self.run(|lens| apply(lens, SPACE, &items).ok());
        let mut batch = Batch::default();
        applied.store(SPACE, &mut batch);
        for (_, range) in &batch.delete_ranges {
            self.0.retain(|key, _| !range.contains(key));
        }
        batch.deletes.iter().for_each(|(_, key)| drop(self.0.remove(key)));
        self.0.extend(batch.puts.into_iter().map(|(_, key, value)| (key, value)));
    }

    /// All rows; of inboxes what is in them, however it was packed.
    fn content(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut content = BTreeMap::new();
        for (key, value) in &self.0 {
            if key[4] != 4 {
                content.insert(key.clone(), value.clone());
                continue;
            }
            let (agent, last) = inbox_author(key).unwrap();
            for (seq, op) in unpack_inbox(value).unwrap() {
                assert!(seq <= last);
                content.insert([&key[..key.len() - 18], &agent.0, &seq.to_be_bytes()].concat(), op);
            }
        }
        content
    }
}

/// An entry with one op.
#[derive(Clone, Debug)]
struct Write {
    op: Op,
    stamp: Stamp,
}

impl Write {
    fn items(&self) -> Vec<kith_core::document::Item> {
        // As it comes from an entry: an op is what its bytes say.
        let op = Op::decode(&self.op.encode()).unwrap();
        assert_eq!(op, self.op);
        Ops { clock: self.stamp.clock, id: String::new(), list: vec![op] }.into_items(self.stamp.agent, self.stamp.seq)
    }
}

/// What a write is to be, before it is known what came before.
type Plan = (u8, usize, u8, Index, bool);

fn any_plans() -> impl Strategy<Value = Vec<Plan>> {
    prop::collection::vec((0..AGENTS, 0usize..9, 0u8..4, any::<Index>(), prop::bool::weighted(0.2)), 1..30)
}

/// Writes to a few places, by authors who know some of the purges made before.
fn writes(plans: &[Plan]) -> Vec<Write> {
    let mut writes: Vec<Write> = Vec::new();
    for (at, (agent, what, number, known, purges)) in plans.iter().enumerate() {
        let agent = Agent([*agent; 10]);
        let stamp = Stamp { clock: 10 + at as u64, agent, seq: at as u64 };
        let json = number.to_string().into_bytes();
        let kind = |tag, act: Act| Leaf::Kind { tag, body: act.encode() };
        let (path, leaf) = match what {
            0 => ("c", kind(tag::COUNTER, Act::Counter(counter::Act::Add((*number).into())))),
            1 => ("m", kind(tag::MV, Act::Mv(mv::Act::Put(Default::default(), mv::Content::Json(json))))),
            2 => ("s", Leaf::kind(tag::SET)),
            3 => {
                let member = format!("s/{number}");
                let act = Act::Member(member::Act::Add(Default::default(), Vec::new()));
                writes.push(write(&writes, &member, kind(tag::MEMBER, act), stamp, known, false));
                continue;
            }
            4 | 5 => {
                let act = list::Act(vec![list::Action::Insert(list::Hook::Start, vec![json])]);
                ("l", kind(tag::LIST, Act::List(act)))
            }
            6 => ("t", Leaf::Kind { tag: tag::TEXT, body: vec![*number] }),
            7 => ("t", Leaf::Json(json)),
            _ => ("c", Leaf::Deleted),
        };
        writes.push(write(&writes, path, leaf, stamp, known, *purges));
    }
    writes
}

fn write(before: &[Write], path: &str, leaf: Leaf, stamp: Stamp, known: &Index, purges: bool) -> Write {
    let mut op = Op::new(Path::new(path.split('/')).unwrap(), leaf);
    if purges {
        op = Op { since: Since::Here, leaf: Leaf::Deleted, ..op };
        return Write { op, stamp };
    }
    let place = op.lives_at();
    let lives: Vec<Since> = std::iter::once(Since::Start)
        .chain(
            before
                .iter()
                .filter(|write| write.op.since == Since::Here && write.op.path == place)
                .map(|write| Since::Purge(write.stamp)),
        )
        .collect();
    op.since = lives[known.index(lives.len())];
    Write { op, stamp }
}

/// The writes in another order: those of one author stay in theirs.
fn shuffled<'a>(writes: &'a [Write], picks: &[Index]) -> Vec<&'a Write> {
    let mut logs: Vec<Vec<&Write>> = vec![Vec::new(); AGENTS.into()];
    writes.iter().rev().for_each(|write| logs[usize::from(write.stamp.agent.0[0])].push(write));
    let mut picks = picks.iter().cycle();
    let mut order = Vec::new();
    while logs.iter().any(|log| !log.is_empty()) {
        let at = picks.next().unwrap().index(logs.len());
        match logs[at].pop() {
            Some(write) => order.push(write),
            None => drop(logs.remove(at)),
        }
    }
    order
}

fn scattered(writes: &[Write], picks: &[Index], cuts: &[usize]) -> Store {
    let mut store = Store::default();
    let mut rest = shuffled(writes, picks);
    for cut in cuts.iter().cycle() {
        let portion: Vec<&Write> = rest.drain(..(*cut).min(rest.len())).collect();
        store.apply(&portion);
        if rest.is_empty() {
            return store;
        }
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("KITH_LONG").is_some() { 20_000 } else { 600 }))]

    #[test]
    fn purges_and_writes_in_any_order_and_portions_give_the_same_rows(
        plans in any_plans(),
        picks in prop::collection::vec(any::<Index>(), 40),
        cuts in prop::collection::vec(1usize..5, 8),
    ) {
        let writes = writes(&plans);
        let mut straight = Store::default();
        straight.apply(&writes.iter().collect::<Vec<_>>());
        let scattered = scattered(&writes, &picks, &cuts);
        prop_assert_eq!(straight.content(), scattered.content());
    }

    #[test]
    fn who_never_saw_what_is_over_has_the_same_rows(
        plans in any_plans(),
        picks in prop::collection::vec(any::<Index>(), 40),
        cuts in prop::collection::vec(1usize..5, 8),
        taken in prop::collection::vec(any::<bool>(), 30),
    ) {
        let all = writes(&plans);
        let full = scattered(&all, &picks, &cuts);
        let over: BTreeSet<u64> = all
            .iter()
            .zip(&taken)
            .filter(|(write, taken)| {
                let bearing = full.run(|lens| bearing_in(lens, SPACE, None, &write.op, write.stamp, 0).ok());
                **taken && bearing == Bearing::Over
            })
            .map(|(write, _)| write.stamp.seq)
            .collect();
        let left: Vec<Write> = all.iter().filter(|write| !over.contains(&write.stamp.seq)).cloned().collect();
        let mut newcomer = Store::default();
        newcomer.apply(&left.iter().collect::<Vec<_>>());
        prop_assert_eq!(full.content(), newcomer.content());
        // The bytes of what is over may also come again.
        let mut again = full.clone();
        again.apply(&all.iter().filter(|write| over.contains(&write.stamp.seq)).collect::<Vec<_>>());
        prop_assert_eq!(full.content(), again.content());
    }
}
