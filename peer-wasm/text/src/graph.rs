//! Which operation builds on which.
//!
//! Operations are known by their index, in the order they were accepted, so every operation comes after its parents.
//! Most build on exactly the one before: such *runs* are walked in one step.

use std::collections::BinaryHeap;

/// One operation.
struct Node {
    seq: u64,
    agent: u32,
    /// Where the run begins that this operation is in.
    run: u32,
    /// How long the text is after it, in code points.
    len: u32,
}

/// All accepted operations of a document.
#[derive(Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    /// The parents of each operation that begins a run, by index.
    joins: Vec<(u32, Box<[u32]>)>,
    /// The operations of each agent, ascending.
    by_agent: Vec<Vec<u32>>,
}

impl Graph {
    /// How many operations there are.
    pub(crate) fn len(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Adds the next operation; `parents` ascend. `len` is the length of the text after it.
    pub(crate) fn push(&mut self, agent: u32, seq: u64, parents: &[u32], len: u32) {
        let index = self.len();
        let follows = index.checked_sub(1).filter(|before| *parents == [*before]);
        let run = follows.and_then(|before| self.nodes.get(before as usize)).map_or(index, |before| before.run);
        if follows.is_none() {
            self.joins.push((index, parents.into()));
        }
        while self.by_agent.len() <= agent as usize {
            self.by_agent.push(Vec::new());
        }
        if let Some(list) = self.by_agent.get_mut(agent as usize) {
            list.push(index);
        }
        self.nodes.push(Node { seq, agent, run, len });
    }

    /// The length of the text right after this operation.
    pub(crate) fn len_at(&self, index: u32) -> Option<u32> {
        self.nodes.get(index as usize).map(|node| node.len)
    }

    /// The agent and entry number of an operation.
    pub(crate) fn name(&self, index: u32) -> Option<(u32, u64)> {
        self.nodes.get(index as usize).map(|node| (node.agent, node.seq))
    }

    /// The operation that this entry of this agent carries.
    pub(crate) fn find(&self, agent: u32, seq: u64) -> Option<u32> {
        let list = self.by_agent.get(agent as usize)?;
        let seq_of = |index: &u32| self.nodes.get(*index as usize).map_or(u64::MAX, |node| node.seq);
        list.binary_search_by_key(&seq, seq_of).ok().and_then(|place| list.get(place)).copied()
    }

    fn run_of(&self, index: u32) -> u32 {
        self.nodes.get(index as usize).map_or(index, |node| node.run)
    }

    fn run_parents(&self, run: u32) -> &[u32] {
        let place = self.joins.binary_search_by_key(&run, |(index, _)| *index);
        place.ok().and_then(|place| self.joins.get(place)).map_or(&[], |(_, parents)| parents)
    }

    /// Calls `each` with every parent of an operation.
    pub(crate) fn parents(&self, index: u32, mut each: impl FnMut(u32)) {
        match index.checked_sub(1).filter(|_| self.run_of(index) < index) {
            Some(before) => each(before),
            None => self.run_parents(index).iter().copied().for_each(each),
        }
    }

    /// Whether the state `heads` includes the operation `target`.
    pub(crate) fn contains(&self, heads: &[u32], target: u32) -> bool {
        if heads.contains(&target) {
            return true;
        }
        let mut heap: BinaryHeap<u32> = heads.iter().copied().filter(|head| *head > target).collect();
        while let Some(index) = heap.pop() {
            while heap.peek() == Some(&index) {
                heap.pop();
            }
            let run = self.run_of(index);
            if run <= target {
                return true;
            }
            for parent in self.run_parents(run) {
                if *parent == target {
                    return true;
                }
                if *parent > target {
                    heap.push(*parent);
                }
            }
        }
        false
    }

    /// The operations among `heads` that no other of them includes, ascending. Doubles go.
    pub(crate) fn minimal(&self, heads: &[u32]) -> Vec<u32> {
        // `true` marks what was asked about; of equal indexes it comes first.
        let mut heap: BinaryHeap<(u32, bool)> = heads.iter().map(|head| (*head, true)).collect();
        let mut left = heap.len();
        let mut kept = Vec::new();
        let mut covered = None;
        while left > 0 {
            let Some((index, asked)) = heap.pop() else { break };
            left -= usize::from(asked);
            if covered == Some(index) {
                continue;
            }
            // An equal index that was walked to, not asked about, follows: then something above includes this one.
            let mut walked = !asked;
            while heap.peek().is_some_and(|(next, _)| *next == index) {
                if let Some((_, also)) = heap.pop() {
                    left -= usize::from(also);
                    walked |= !also;
                }
            }
            if asked && !walked {
                kept.push(index);
            }
            covered = Some(index);
            let run = self.run_of(index);
            while heap.peek().is_some_and(|(next, _)| *next >= run) {
                if let Some((_, also)) = heap.pop() {
                    left -= usize::from(also);
                }
            }
            if left > 0 {
                heap.extend(self.run_parents(run).iter().map(|parent| (*parent, false)));
            }
        }
        kept.reverse();
        kept
    }

    /// The state after `index`, whose parents `heads` includes.
    pub(crate) fn advance(&self, heads: &mut Vec<u32>, index: u32) {
        self.parents(index, |parent| heads.retain(|head| *head != parent));
        heads.push(index);
        heads.sort_unstable();
    }

    /// Every operation that the state `heads` does not include, ascending.
    pub(crate) fn outside(&self, heads: &[u32]) -> Vec<u32> {
        let mut inside = vec![false; self.nodes.len()];
        heads.iter().for_each(|head| mark(&mut inside, *head));
        for index in (0..self.len()).rev() {
            if inside.get(index as usize) == Some(&true) {
                self.parents(index, |parent| mark(&mut inside, parent));
            }
        }
        (0..self.len()).filter(|index| inside.get(*index as usize) == Some(&false)).collect()
    }
}

fn mark(inside: &mut [bool], index: u32) {
    if let Some(flag) = inside.get_mut(index as usize) {
        *flag = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// A graph, and for each operation everything it builds on, itself included.
    fn grown(seed: &[(u8, u8)]) -> (Graph, Vec<BTreeSet<u32>>) {
        let (mut graph, mut pasts) = (Graph::default(), Vec::<BTreeSet<u32>>::new());
        for (index, (one, two)) in seed.iter().enumerate() {
            let index = index as u32;
            let pick = |byte: u8| (byte > 40 && index > 0).then(|| index - 1 - (u32::from(byte) % index.min(9)));
            let asked: Vec<u32> = if *one > 128 {
                index.checked_sub(1).into_iter().collect()
            } else {
                pick(*one).into_iter().chain(pick(*two)).collect()
            };
            let parents = graph.minimal(&asked);
            graph.push(u32::from(two % 3), u64::from(index), &parents, 0);
            let mut past: BTreeSet<u32> = parents.iter().flat_map(|parent| pasts[*parent as usize].clone()).collect();
            past.insert(index);
            pasts.push(past);
        }
        (graph, pasts)
    }

    fn of(pasts: &[BTreeSet<u32>], heads: &[u32]) -> BTreeSet<u32> {
        heads.iter().flat_map(|head| pasts[*head as usize].clone()).collect()
    }

    proptest! {
        #[test]
        fn agrees_with_sets(seed in proptest::collection::vec(any::<(u8, u8)>(), 1..40), picks in proptest::collection::vec(any::<u8>(), 0..5)) {
            let (graph, pasts) = grown(&seed);
            let heads: Vec<u32> = picks.iter().map(|pick| u32::from(*pick) % graph.len()).collect();
            let all = of(&pasts, &heads);
            for target in 0..graph.len() {
                prop_assert_eq!(graph.contains(&heads, target), all.contains(&target));
            }
            let minimal = graph.minimal(&heads);
            let expected: Vec<u32> = all.iter().copied().filter(|one| !all.iter().any(|other| other != one && pasts[*other as usize].contains(one))).collect();
            prop_assert_eq!(&minimal, &expected);
            let outside: Vec<u32> = (0..graph.len()).filter(|index| !all.contains(index)).collect();
            prop_assert_eq!(graph.outside(&heads), outside.clone());
            // Advancing over what is missing ends at all heads.
            let mut advanced = minimal.clone();
            outside.iter().for_each(|index| graph.advance(&mut advanced, *index));
            let everything: Vec<u32> = (0..graph.len()).collect();
            prop_assert_eq!(&advanced, &graph.minimal(&everything));
        }
    }
}
