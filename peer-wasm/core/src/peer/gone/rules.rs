//! The places this device watches over, so that what was made there earlier goes when it comes.

use super::{Gone, MAX_RULES, Rule};
use crate::path::Path;

impl Gone {
    /// Up to when what was made at a place is to go, if any rule is about it.
    pub(in crate::peer) fn watched(&self, origin: &Path) -> Option<u64> {
        nearest(&self.rules, origin)
    }

    /// Adds that what was made in some places before a time is to go, but not in others. False if there is no room.
    pub(in crate::peer) fn watch(&mut self, within: Vec<Path>, away: Vec<Path>, clock: u64) -> bool {
        let mut rules = self.rules.clone();
        for part in &away {
            if rules.iter().all(|rule| rule.prefix != *part) {
                rules.push(Rule { prefix: part.clone(), clock: nearest(&self.rules, part).unwrap_or(0) });
            }
        }
        let depth =
            |parts: &[Path], prefix: &Path| parts.iter().filter(|part| part.contains(prefix)).map(Path::len).max();
        rules.retain(|rule| depth(&within, &rule.prefix) <= depth(&away, &rule.prefix));
        rules.extend(within.into_iter().map(|prefix| Rule { prefix, clock }));
        while rules.len() > MAX_RULES {
            let old = rules.iter().map(|rule| rule.clock).filter(|at| (1..clock).contains(at)).min();
            let Some(old) = old.filter(|_| !self.searching) else { return false };
            rules.retain(|rule| rule.clock != old);
            // What only said that a part of that is to stay.
            let all = rules.clone();
            let within = |part: &Rule| all.iter().any(|rule| rule.clock > 0 && rule.prefix.contains(&part.prefix));
            rules.retain(|rule| rule.clock > 0 || within(rule));
        }
        self.rules = rules;
        true
    }
}

fn nearest(rules: &[Rule], origin: &Path) -> Option<u64> {
    let about = rules.iter().filter(|rule| rule.prefix.contains(origin));
    about.max_by_key(|rule| rule.prefix.len()).map(|rule| rule.clock)
}
