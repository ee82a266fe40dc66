//! The layout of the database over time, and how an older one becomes the current one.
//!
//! A layout is a number. [`STEPS`] says, for each number, what changes from the one before; every backend carries the
//! steps out inside one transaction when it opens an older database. Steps of a released layout are never edited:
//! a change is a new step at the end.

use kith_core::rows::Table;

/// What happens to one row when a step rewrites its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// The row stays as it is.
    Keep,
    /// The row gets this value.
    Replace(Vec<u8>),
    /// The row goes away.
    Remove,
}

/// Says what becomes of a row, from its key and value.
pub type Rewrite = fn(&[u8], &[u8]) -> RowChange;

/// One step from a layout to the next.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The layout after this step. The first step leads from nothing to layout 1.
    pub to: u32,
    /// Tables that come new.
    pub creates: &'static [&'static str],
    /// Tables whose rows change, with the function that changes them. It must be pure.
    pub rewrites: &'static [(&'static str, Rewrite)],
    /// Tables whose rows are packed into pages of another table, and which then go.
    pub packs: &'static [(&'static str, &'static str)],
    /// Whether the bytes in use are counted anew after this step.
    pub recount: bool,
}

/// Layout 1: the rows of a peer without an order of arrival.
pub const FIRST: Step =
    Step { to: 1, creates: &["meta", "head", "tail", "segment", "view"], rewrites: &[], packs: &[], recount: false };

/// Layout 2 adds the order of arrival and the count of bytes in use.
pub const SECOND: Step = Step { to: 2, creates: &["arrival", STATE], rewrites: &[], packs: &[], recount: true };

/// Layout 3 keeps the rows of the tree in pages: see [`crate::paged`].
pub const THIRD: Step = Step { to: 3, creates: &["page"], rewrites: &[], packs: &[("view", "page")], recount: false };

/// Layout 4 has the index of history among the rows of the tree. Nothing changes here (the peer fills it from the entries
/// it has), but a release that does not keep it up must not write any more: what it wrote would be missing there.
pub const FOURTH: Step = Step { to: 4, creates: &[], rewrites: &[], packs: &[], recount: false };

/// Layout 5 has the rows of the tree at the paths where what was moved shows. Nothing changes here, but a release that does
/// not know moves must not write any more: it would write about what was made at those paths.
pub const FIFTH: Step = Step { to: 5, creates: &[], rewrites: &[], packs: &[], recount: false };

/// Every step so far, in order.
pub const STEPS: &[Step] = &[FIRST, SECOND, THIRD, FOURTH, FIFTH];

/// The table that holds the store's own rows. Not one of [`kith_core::rows::Table`]: nobody else reads or writes it.
pub const STATE: &str = "_store";

/// The row of [`STATE`] with the bytes in use.
pub(crate) const USAGE_ROW: &str = "usage";

/// Rows that a migration handles at a time.
pub(crate) const PAGE: u32 = 500;

/// The name under which a table is stored: its own, except that the tree's rows are stored as pages.
pub(crate) fn stored_name(table: Table) -> &'static str {
    match table {
        Table::View => "page",
        table => table.name(),
    }
}

/// The layout that `steps` lead to.
pub(crate) fn newest(steps: &[Step]) -> u32 {
    steps.last().map_or(0, |step| step.to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lead_one_by_one_to_every_table() {
        let numbers: Vec<u32> = STEPS.iter().map(|step| step.to).collect();
        assert_eq!(numbers, (1..=newest(STEPS)).collect::<Vec<_>>());
        let mut there: Vec<&str> = STEPS.iter().flat_map(|step| step.creates.iter().copied()).collect();
        let gone: Vec<&str> = STEPS.iter().flat_map(|step| step.packs.iter().map(|(from, _)| *from)).collect();
        there.retain(|name| !gone.contains(name));
        there.sort_unstable();
        let mut wanted: Vec<&str> = Table::ALL.iter().map(|table| stored_name(*table)).chain([STATE]).collect();
        wanted.sort_unstable();
        assert_eq!(there, wanted);
    }
}
