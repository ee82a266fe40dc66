//! What policies do not keep: superseded content older than its retention is redacted, values past their expiry are
//! deleted. Any owner's device does it, now and then, for everybody, many at a time.
//!
//! Of several policies the one of the nearest prefix holds.

use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::sweep::look;
use super::{Done, Job, Peer};
use crate::api::Role;
use crate::clock::Clock;
use crate::document::moves::is_short;
use crate::document::policy::{Policies, Retention};
use crate::document::{self, Leaf, Op, Ops, ViewRow, view_prefix};
use crate::history;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Durability, KeyRange, Table};
use crate::version::Agent;
use kith_map::BTreeMap;

/// Everything is gone through at most this often, in milliseconds, …
const OFTEN: u64 = 3_600_000;
/// … and with this much more time for each entry.
const PER_ENTRY: u64 = 36;
/// Rows looked at in one step.
const ROWS: usize = 512;
const DAY: u64 = 24 * 3_600_000;

/// Going through a space for what is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keep {
    rules: Policies,
    /// When it began, in milliseconds.
    now: u64,
    looked: BTreeMap<u32, u64>,
    /// After which row the tree is gone on with.
    after: Option<Vec<u8>>,
}

impl Keep {
    fn at(&self, path: &Path) -> Retention {
        self.rules.at(path).map(|(policy, _)| policy.retention).unwrap_or_default()
    }

    /// Whether any policy says this of what it keeps.
    fn any(&self, says: impl Fn(Retention) -> bool) -> bool {
        self.rules.iter().any(|(_, policy, _)| says(policy.retention))
    }

    fn is_over(&self, kept: Option<u32>, clock: u64) -> bool {
        kept.is_some_and(|days| Clock(clock).millis() < self.now.saturating_sub(u64::from(days) * DAY))
    }
}

impl Peer {
    /// One step of going through what policies do not keep, if it is time for that.
    pub(super) fn keep_policies(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        let now = self.now;
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let Some(keep) = space.gone.keep.clone() else {
            if now < space.gone.keep_at || self.may(number, Role::Owner).is_err() {
                return Ok(Done::Nothing);
            }
            let keep = Keep { rules: space.policies.clone(), now, ..Keep::default() };
            let wait = OFTEN.max(space.entries().saturating_mul(PER_ENTRY));
            let Some(space) = self.spaces.get_mut(&number) else { return Ok(Done::Nothing) };
            space.gone.keep_at = now + wait;
            if !keep.any(|retention| retention != Retention::default()) {
                return Ok(Done::Nothing);
            }
            space.gone.keep = Some(keep);
            // Browsers start workers often: what was begun is not begun again at each start.
            let mut batch = Batch::default();
            space.gone.store(number, &mut batch);
            return Ok(Done::WriteAndAgain(Unit { batch, effects: Vec::new() }));
        };
        let looks_back = keep.any(|retention| retention.history.is_some());
        let next = space.logs.iter().enumerate().find_map(|(log, state)| {
            let from = keep.looked.get(&(log as u32)).copied().unwrap_or(0);
            (looks_back && from < state.applied).then_some((log as u32, from, state.applied))
        });
        if let Some((log, from, end)) = next {
            let is_over = |path: &Path, clock: u64, _: bool| keep.is_over(keep.at(path).history, clock);
            let (read, mut found) = look(lens, space, log, from, end, &is_over)?;
            let Some(space) = self.spaces.get_mut(&number) else { return Ok(Done::Nothing) };
            space.gone.found.append(&mut found);
            if let Some(keep) = &mut space.gone.keep {
                keep.looked.insert(log, read);
            }
            return Ok(Done::WriteAndAgain(Unit::default()));
        }
        self.expire(number, &keep, lens)
    }

    /// Deletes some of what has expired.
    fn expire(&mut self, number: u32, keep: &Keep, lens: &Lens<'_>) -> Result<Done, Miss> {
        let mut range = KeyRange::prefix(&view_prefix(number));
        if let Some(after) = &keep.after {
            range.start = [after.as_slice(), &[0]].concat();
        }
        let expires = keep.any(|retention| retention.expire.is_some());
        let rows = if expires { lens.scan(Table::View, &range, ROWS, false)? } else { Vec::new() };
        let expired = |(key, value): &(Vec<u8>, Vec<u8>)| {
            let path = Path::from_row_key(key.get(view_prefix(number).len()..)?)?;
            let row = ViewRow::decode(value)?;
            let clock = row.register.as_ref().filter(|register| register.is_live())?.clock;
            let fits = is_short(&self.spaces.get(&number)?.moves.origin(&path));
            (fits && keep.is_over(keep.at(&path).expire, clock)).then_some(Op::new(path, Leaf::Deleted))
        };
        let mut list: Vec<Op> = rows.iter().filter_map(expired).collect();
        let last = rows.last().filter(|_| rows.len() == ROWS).map(|(key, _)| key.clone());
        let mut unit = Unit::default();
        if !list.is_empty() {
            let own = self.spaces.get(&number).and_then(|space| {
                let own = self.own_log(space)?;
                let log = space.logs.get(own as usize)?;
                Some((own, log.tip.len, Agent::of(&log.key.0), space.row.epochs.last()?.clone()))
            });
            let Some((own, seq, agent, epoch)) = own else { return Ok(Done::Nothing) };
            document::live_on(lens, number, &mut list)?;
            let mut hlc = self.hlc.clone();
            let ops = Ops { clock: hlc.now(self.now).0, id: super::undo::EXPIRED.to_owned(), list };
            let items = ops.clone().into_items(agent, seq);
            let applied = document::apply(lens, number, &items)?;
            // From here on nothing can be missing.
            self.hlc = hlc;
            let Some(mut space) = self.spaces.remove(&number) else { return Ok(Done::Nothing) };
            let mut draft = Draft::default();
            self.author_ops(&mut space, &mut draft, own, &epoch, &ops);
            if let Some(log) = space.log_mut(own) {
                log.applied = log.tip.len;
            }
            let changed = space.merged(applied, &mut draft);
            draft.batch.puts.extend(history::rows(number, own, &items));
            draft.batch.durability = Durability::Strict;
            unit.batch = draft.finish(&mut space);
            unit.effects.push(Effect::Changed(number, changed));
            self.spaces.insert(number, space);
        }
        if let Some(space) = self.spaces.get_mut(&number) {
            match last {
                Some(last) => space.gone.keep = Some(Keep { after: Some(last), ..keep.clone() }),
                None => space.gone.keep = None,
            }
        }
        // What was found goes out with the next step.
        unit.effects.push(Effect::Start(Job::Collect(number)));
        Ok(Done::Write(unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::policy::Policy;
    use crate::document::{Register, view_key};

    #[test]
    fn the_nearest_policy_holds() {
        let path = |text: &str| Path::new(text.split('/').filter(|name| !name.is_empty())).unwrap();
        let mut rules = Policies::default();
        for (prefix, history) in [("", Some(1)), ("a/b", None)] {
            let leaf = Policy { retention: Retention { history, expire: None }, ..Policy::default() }.leaf();
            let register = Some(Register { clock: 1, agent: Agent([1; 10]), seq: 0, leaf });
            let key = view_key(1, &Path::policy_of(&path(prefix)).unwrap());
            rules.note(&key, &ViewRow { register, ..ViewRow::default() });
        }
        let keep = Keep { rules, ..Keep::default() };
        assert_eq!(keep.at(&path("a/b/c")).history, None);
        assert_eq!(keep.at(&path("a/bc")).history, Some(1));
        assert_eq!(keep.at(&view(&path(""))).history, Some(1));
    }

    fn view(path: &Path) -> Path {
        assert!(view_key(1, path).starts_with(&view_prefix(1)));
        path.clone()
    }
}
