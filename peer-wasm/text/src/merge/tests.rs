//! The engine against diamond-types 1.0.0.

use super::*;
use crate::graph::Graph;
use diamond_types::list::OpLog;
use diamond_types::list::operation::Operation;
use proptest::prelude::*;

/// What is picked of at each step: which operations it builds on, where it edits, how, and the name of its agent.
type Step = (u8, u8, u8, u8, u8);

/// The same operations in both, and for each state that was looked at its text by diamond-types.
struct Both {
    merger: Merger,
    graph: Graph,
    oracle: OpLog,
    ends: Vec<usize>,
}

impl Both {
    fn at(&self, heads: &[u32]) -> Vec<usize> {
        let mut at: Vec<usize> = heads.iter().map(|head| self.ends[*head as usize]).collect();
        at.sort_unstable();
        at
    }

    fn parents(&self, index: u32) -> Vec<u32> {
        let mut parents = Vec::new();
        self.graph.parents(index, |parent| parents.push(parent));
        parents.sort_unstable();
        parents
    }

    fn text(&self, heads: &[u32]) -> String {
        self.oracle.checkout(&self.at(heads)).content().to_string()
    }

    fn grow(&mut self, (one, other, place, kind, name): Step) {
        let index = self.ends.len() as u32;
        let pick = |byte: u8| (byte > 30 && index > 0).then(|| index - 1 - u32::from(byte) % index.min(7));
        let asked: Vec<u32> = match one > 170 {
            true => index.checked_sub(1).into_iter().collect(),
            false => pick(one).into_iter().chain(pick(other)).collect(),
        };
        let parents = self.graph.minimal(&asked);
        let len = self.text(&parents).chars().count() as u32;
        let pos = u32::from(place) % (len + 1);
        let insert = |pos, size: u8| {
            let text: String =
                (0..1 + size % 3).map(|at| ['a', 'é', '字', 'x'][usize::from(at.wrapping_add(kind)) % 4]).collect();
            Edit::Insert { pos, text }
        };
        let most = (len - pos).min(1 + u32::from(kind) % 4);
        let edits = match kind % 5 {
            0 | 1 if most > 0 => vec![Edit::Delete { pos, len: most }],
            2 if most > 0 => vec![Edit::Delete { pos, len: most }, insert(pos, name)],
            3 if pos > 0 => vec![insert(pos, name), insert(pos - 1, name / 3)],
            _ => vec![insert(pos, name)],
        };
        // Every operation has an agent of its own, so that anything may be concurrent.
        let mut agent = [index as u8; 10];
        agent[0] = name;
        let agent = Agent(agent);
        self.merger.agent(&agent);
        self.merger.push(index, &parents, &edits);
        self.graph.push(index, 0, &parents, 0);
        let at = self.at(&parents);
        let operations: Vec<Operation> = edits
            .iter()
            .map(|edit| match edit {
                Edit::Insert { pos, text } => Operation::new_insert(*pos as usize, text),
                Edit::Delete { pos, len } => Operation::new_delete(*pos as usize..(*pos + *len) as usize),
            })
            .collect();
        let agent = self.oracle.get_or_create_agent_id(&agent.name());
        self.ends.push(self.oracle.add_operations_at(agent, &at, &operations));
    }
}

fn grown(steps: &[Step]) -> Both {
    let mut both = Both { merger: Merger::default(), graph: Graph::default(), oracle: OpLog::new(), ends: Vec::new() };
    steps.iter().for_each(|step| both.grow(*step));
    both
}

fn applied(text: &mut Vec<char>, change: Change<'_>) {
    match change {
        Change::Insert { pos, text: put } => drop(text.splice(pos as usize..pos as usize, put.chars())),
        Change::Delete { pos, len } => drop(text.drain(pos as usize..(pos + len) as usize)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn every_state_is_what_diamond_types_makes_of_it(
        steps in proptest::collection::vec(any::<Step>(), 1..30),
        picks in proptest::collection::vec(any::<u8>(), 1..6),
    ) {
        let both = grown(&steps);
        let count = steps.len() as u32;
        let picked: Vec<u32> = picks.iter().map(|pick| u32::from(*pick) % count).collect();
        let (from, to) = picked.split_at(picked.len() / 2);
        let (from, all) = (both.graph.minimal(from), both.graph.minimal(&picked));
        let to = both.graph.minimal(to);
        let mut text: Vec<char> = both.text(&from).chars().collect();
        both.merger.changes(&from, &to, &mut |change| applied(&mut text, change));
        prop_assert_eq!(text.into_iter().collect::<String>(), both.text(&all));
    }
}

/// Operations come in and become visible with little work allowed at a time, while lengths of other states are asked for.
fn shown_bit_by_bit(steps: &[Step], asks: &[(u8, u8, u8)]) -> Result<(), TestCaseError> {
    let mut both = grown(&[]);
    let (mut visible, mut unmerged) = (Vec::<u32>::new(), Vec::<u32>::new());
    let (mut text, mut credit) = (Vec::<char>::new(), 0);
    for (at, step) in steps.iter().enumerate() {
        both.grow(*step);
        if unmerged.is_empty() && both.parents(at as u32) == visible {
            // It builds on exactly what is visible.
            both.merger.changes(&visible, &[at as u32], &mut |change| applied(&mut text, change));
            both.merger.pass();
            visible = vec![at as u32];
        } else {
            unmerged.push(at as u32);
        }
        let (one, other, work) = asks.get(at % asks.len()).copied().unwrap_or_default();
        let pick = |byte: u8| u32::from(byte) % (at as u32 + 1);
        let heads = both.graph.minimal(&[pick(one), pick(other)]);
        if let Some(length) = both.merger.length(&visible, &heads, u64::from(work)) {
            let len = |heads: &[u32]| both.text(heads).chars().count() as i64;
            let base = length.base.map_or(0, |base| len(&[base]));
            prop_assert_eq!(base + length.growth, len(&heads));
        }
        if work % 3 == 0 {
            continue;
        }
        credit += u64::from(work / 4);
        for index in both.merger.order(&unmerged) {
            let spent = both.merger.show(&visible, index, credit, &mut |change| applied(&mut text, change));
            let Some(spent) = spent else { break };
            credit -= spent.min(credit);
            both.graph.advance(&mut visible, index);
            unmerged.retain(|one| *one != index);
        }
        prop_assert_eq!(text.iter().collect::<String>(), both.text(&visible));
    }
    for index in both.merger.order(&unmerged) {
        prop_assert!(both.merger.show(&visible, index, u64::MAX, &mut |change| applied(&mut text, change)).is_some());
        both.graph.advance(&mut visible, index);
    }
    prop_assert_eq!(text.iter().collect::<String>(), both.oracle.checkout_tip().content().to_string());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn what_becomes_visible_bit_by_bit_is_the_same(
        steps in proptest::collection::vec(any::<Step>(), 1..40),
        asks in proptest::collection::vec(any::<(u8, u8, u8)>(), 1..40),
    ) {
        shown_bit_by_bit(&steps, &asks)?;
    }
}

/// How many to try: `PROPTEST_CASES`, or some thousands.
fn cases() -> u32 {
    ProptestConfig::default().cases.max(2_000)
}
