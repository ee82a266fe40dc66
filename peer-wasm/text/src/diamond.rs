//! diamond-types 1.0.0 as an engine.
//!
//! It numbers every inserted and deleted code point; this module keeps the number at which each operation ends. Its
//! `Branch` (and with it jumprope and its random heights) is not used: the text is kept by our own rope.

use crate::engine::{Change, Engine};
use crate::op::Edit;
use crate::version::Agent;
use diamond_types::list::OpLog;
use diamond_types::list::operation::{OpKind, Operation};

/// An operation log and where our operations end in it.
#[derive(Default)]
pub(crate) struct DiamondTypes {
    log: OpLog,
    agents: Vec<diamond_types::AgentId>,
    /// The last number of each operation.
    ends: Vec<u32>,
    /// Room for parents, kept to save allocations.
    parents: Vec<usize>,
}

impl DiamondTypes {
    fn version(&self, heads: &[u32]) -> Vec<usize> {
        heads.iter().filter_map(|head| self.ends.get(*head as usize)).map(|end| *end as usize).collect()
    }
}

impl Engine for DiamondTypes {
    fn agent(&mut self, agent: &Agent) {
        let id = self.log.get_or_create_agent_id(&agent.name());
        self.agents.push(id);
    }

    fn push(&mut self, agent: u32, parents: &[u32], edits: &[Edit]) {
        let Some(agent) = self.agents.get(agent as usize).copied() else { return };
        self.parents.clear();
        self.parents.extend(parents.iter().filter_map(|head| self.ends.get(*head as usize)).map(|end| *end as usize));
        let end = match edits {
            [Edit::Insert { pos, text }] => self.log.add_insert_at(agent, &self.parents, *pos as usize, text),
            [Edit::Delete { pos, len }] => {
                let pos = *pos as usize;
                self.log.add_delete_at(agent, &self.parents, pos..pos + *len as usize)
            }
            _ => {
                let operations: Vec<Operation> = edits
                    .iter()
                    .map(|edit| match edit {
                        Edit::Insert { pos, text } => Operation::new_insert(*pos as usize, text),
                        Edit::Delete { pos, len } => {
                            Operation::new_delete(*pos as usize..*pos as usize + *len as usize)
                        }
                    })
                    .collect();
                self.log.add_operations_at(agent, &self.parents, &operations)
            }
        };
        // The gate keeps the sum far below this (`MAX_HISTORY_CHARS`).
        self.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
    }

    fn changes(&self, from: &[u32], to: &[u32], each: &mut dyn FnMut(Change<'_>)) {
        walk(&self.log, &self.version(from), &self.version(to), each);
    }
}

/// The edits that turn the text at one state into the text at both, in sequence.
fn walk(log: &OpLog, from: &[usize], to: &[usize], each: &mut dyn FnMut(Change<'_>)) {
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    for (_, operation) in log.iter_xf_operations_from(from, to) {
        let Some(operation) = operation else { continue };
        let pos = narrow(operation.start());
        match (operation.kind, operation.content_as_str()) {
            (OpKind::Del, _) => {
                each(Change::Delete { pos, len: narrow(operation.range().end - operation.range().start) })
            }
            (OpKind::Ins, Some(text)) if operation.loc.fwd => each(Change::Insert { pos, text }),
            (OpKind::Ins, Some(text)) => {
                let turned: String = text.chars().rev().collect();
                each(Change::Insert { pos, text: &turned });
            }
            (OpKind::Ins, None) => {}
        }
    }
}

/// A log of events, one for each code point, for `events.rs`, which keeps what is between the two in bounds.
#[derive(Default)]
pub(crate) struct EventLog {
    log: OpLog,
}

impl EventLog {
    /// Adds edits of an agent and gives the number of their first event. What is deleted goes from its end.
    pub(crate) fn push(&mut self, agent: &str, parents: &[usize], edits: &[Edit]) -> usize {
        let first = self.log.len();
        let agent = self.log.get_or_create_agent_id(agent);
        let operations: Vec<Operation> = edits
            .iter()
            .map(|edit| match edit {
                Edit::Insert { pos, text } => Operation::new_insert(*pos as usize, text),
                Edit::Delete { pos, len } => {
                    let mut operation = Operation::new_delete(*pos as usize..*pos as usize + *len as usize);
                    operation.loc.fwd = *len == 1;
                    operation
                }
            })
            .collect();
        self.log.add_operations_at(agent, parents, &operations);
        first
    }

    /// The edits that turn the text at `from` into the text at `from` and `to` together, in sequence.
    pub(crate) fn changes(&self, from: &[usize], to: &[usize], each: &mut dyn FnMut(Change<'_>)) {
        walk(&self.log, from, to, each);
    }
}
