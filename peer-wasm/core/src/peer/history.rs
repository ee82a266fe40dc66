//! What came before: values, listings and prefixes as of a version or a time, and the list of versions.

use super::commit::{Effect, Unit};
use super::past::{entries_at, entry_at, past, past_list};
use super::read::{self, open_ops};
use super::rows::{self, Behind};
use super::space::{Space, read_entries};
use super::{Done, Job, Peer, write};
use crate::api::{At, Facts, HistoryItem, ListQuery, Refusal, Reply};
use crate::document::kind::tag;
use crate::document::{self, Located};
use crate::entry::Verified;
use crate::history::{self, OpRow, Point};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, Table};
use crate::version::{Agent, Version};

/// Ops below a place that its list of versions is put together from; of a place with more, entries are looked
/// through one by one.
const OPS_BELOW: usize = 4096;
/// Entries looked through for one page of versions.
const ENTRIES_PER_PAGE: usize = 256;
/// Paths named with one version.
const PATHS_NAMED: usize = 16;
/// Entries indexed in one step.
const INDEX_RUN: u64 = 64;
/// How far back the last op before an entry that is none is looked for.
const RECORDS_SKIPPED: u64 = 64;

/// What one op did at or below a path.
struct Deed {
    point: Point,
    log: u32,
    path: Path,
    size: u64,
    puts: bool,
}

impl Peer {
    /// The point that `at` names in a space.
    pub(super) fn point(&self, number: u32, at: &At, lens: &Lens<'_>) -> Result<Result<Point, Refusal>, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Err(Refusal::NoSuchSpace)) };
        if let Some(refusal) = still_indexing(space) {
            return Ok(Err(refusal));
        }
        let point = match at {
            At::Time(millis) => Point::at_time(*millis),
            At::Versions(versions) => {
                if let Some(refusal) = self.unknown(number, versions) {
                    return Ok(Err(refusal));
                }
                if versions.iter().any(|version| is_gone(space, version)) {
                    return Ok(Err(Refusal::HistoryDropped));
                }
                let mut latest = Point::START;
                let mut missing = false;
                for version in versions {
                    match point_of(lens, space, version) {
                        Ok(point) => latest = latest.max(point),
                        Err(Miss) => missing = true,
                    }
                }
                if missing {
                    return Err(Miss);
                }
                latest
            }
        };
        Ok(Ok(point))
    }

    /// The value at a path as of a point.
    pub(super) fn read_value_at(
        &mut self,
        number: u32,
        path: &Path,
        at: &At,
        hash: Option<&[u8; 32]>,
        lens: &Lens<'_>,
    ) -> Result<Reply, Miss> {
        if let Some(hash) = hash
            && let Some(refusal) = self.rewritten(number, at, hash, lens)?
        {
            return Ok(Reply::Refused(refusal));
        }
        let mut now = document::locate(lens, number, path)?;
        now.choose(&self.rule(number));
        let (_, current) = write::current(path, &now);
        let Facts { merge, conflicts, .. } = write::facts(path, &now);
        // One of the values that stand beside each other now, if just that is wanted.
        if let At::Versions(versions) = at
            && let [wanted] = versions.as_slice()
            && let Some(rival) = conflicts.into_iter().find(|rival| rival.version == *wanted)
        {
            let (version, facts) = (vec![rival.version], Facts { merge, ..Facts::default() });
            let sync = self.sync_status(number, &version);
            return Ok(Reply::Past { body: rival.body, version, current, sync, facts });
        }
        let point = match self.point(number, at, lens)? {
            Ok(point) => point,
            Err(refusal) => return Ok(Reply::Refused(refusal)),
        };
        let Some(space) = self.spaces.get(&number) else { return Ok(Reply::Refused(Refusal::NoSuchSpace)) };
        let then = match past(lens, space, path, &point, path)? {
            Ok(past) => self.value(number, path, &past.lens())?,
            Err(refusal) => Err(refusal),
        };
        Ok(match then {
            Ok((Some(body), version, facts)) => {
                let sync = self.sync_status(number, &version);
                Reply::Past { body, version, current, sync, facts }
            }
            Ok((None, ..)) => Reply::Refused(Refusal::NotFound),
            Err(refusal) => Reply::Refused(refusal),
        })
    }

    /// The children of a place as of a point.
    pub(super) fn read_list_at(
        &mut self,
        number: u32,
        prefix: &Path,
        query: &ListQuery,
        at: &At,
        lens: &Lens<'_>,
    ) -> Result<Reply, Miss> {
        let point = match self.point(number, at, lens)? {
            Ok(point) => point,
            Err(refusal) => return Ok(Reply::Refused(refusal)),
        };
        let Some(space) = self.spaces.get(&number) else { return Ok(Reply::Refused(Refusal::NoSuchSpace)) };
        Ok(match past_list(lens, space, prefix, query, &point, &self.rule(number))? {
            Ok(listing) => Reply::List {
                items: listing.items,
                next: listing.next,
                version: listing.version,
                early: false,
                arriving: false,
            },
            Err(refusal) => Reply::Refused(refusal),
        })
    }

    /// The versions of a path and everything below it, newest first.
    pub(super) fn read_history(
        &mut self,
        number: u32,
        path: &Path,
        before: Option<&Version>,
        limit: usize,
        lens: &Lens<'_>,
    ) -> Result<Reply, Miss> {
        let upto = match before {
            None => Point::END,
            Some(version) => match self.point(number, &At::Versions(vec![*version]), lens)? {
                Ok(point) => point.before(),
                Err(refusal) => return Ok(Reply::Refused(refusal)),
            },
        };
        let Some(space) = self.spaces.get(&number) else { return Ok(Reply::Refused(Refusal::NoSuchSpace)) };
        if let Some(refusal) = still_indexing(space) {
            return Ok(Reply::Refused(refusal));
        }
        // What lies inside an array has the history of the array.
        let path = match document::locate(lens, number, path)? {
            Located::Inside { leaf, .. } => leaf,
            Located::Place(_) | Located::Member { .. } | Located::Blocked { .. } => path.clone(),
        };
        let place = history::place_key(number, &path);
        let below = lens.scan(Table::View, &history::ops_below(&place), OPS_BELOW + 1, false);
        let own = lens.scan(Table::View, &history::ops_until(&place, &upto), limit + 1, true)?;
        let below = below?;
        let mut deeds: Vec<Deed> = Vec::new();
        let mut last = None;
        if below.len() <= OPS_BELOW {
            for (key, value) in below.iter().chain(&own) {
                let (Some((path, point)), Some(op)) = (history::read_op_key(key), OpRow::decode(value)) else {
                    continue;
                };
                if point <= upto && op.deed != history::Deed::Redacted {
                    let path = shown(path, op.code);
                    deeds.push(Deed { point, log: op.log, path, size: op.size, puts: op.deed == history::Deed::Put });
                }
            }
        } else {
            let range = history::entries_until(number, &upto);
            let rows = lens.scan(Table::View, &range, ENTRIES_PER_PAGE, true)?;
            let found: Vec<(Point, u32)> =
                rows.iter().filter_map(|(key, value)| history::read_entry_row(key, value)).collect();
            if found.len() == ENTRIES_PER_PAGE {
                last = found.last().map(|(point, _)| *point);
            }
            let mut places: Vec<(u32, u64)> = found.iter().map(|(point, log)| (*log, point.seq)).collect();
            kith_map::sort(&mut places);
            for ((log, _), entry) in entries_at(lens, number, &places)? {
                let Some(ops) = open_ops(space, &entry) else { continue };
                let point = read::point_of(&entry, &ops);
                for op in ops.list.into_iter().flatten() {
                    if path.contains(&op.path) && !op.path.is_reserved() {
                        let (size, puts) = (op.leaf.size() as u64, !op.leaf.takes_away());
                        deeds.push(Deed { point, log, path: shown(op.path, op.leaf.code()), size, puts });
                    }
                }
            }
        }
        kith_map::sort_by(&mut deeds, |a, b| b.point.cmp(&a.point).then_with(|| a.path.cmp(&b.path)));
        deeds.dedup_by(|more, deed| {
            let same = more.point == deed.point && more.path == deed.path;
            if same {
                (deed.size, deed.puts) = (deed.size.saturating_add(more.size), deed.puts || more.puts);
            }
            same
        });
        let mut items: Vec<HistoryItem> = Vec::new();
        let mut next = None;
        for deeds in deeds.chunk_by(|a, b| a.point == b.point) {
            if items.len() == limit {
                last = next;
                break;
            }
            next = deeds.first().map(|deed| deed.point);
            items.extend(item(space, &path, deeds));
        }
        Ok(Reply::History { items, next: last.map(|point| point.version()) })
    }

    /// What pins the state of a path: its latest version and that entry's hash.
    pub(super) fn read_link(
        &mut self,
        number: u32,
        path: &Path,
        at: Option<&At>,
        lens: &Lens<'_>,
    ) -> Result<Reply, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Reply::Refused(Refusal::NoSuchSpace)) };
        let point = match at {
            None => Point::END,
            Some(at) => match self.point(number, at, lens)? {
                Ok(point) => point,
                Err(refusal) => return Ok(Reply::Refused(refusal)),
            },
        };
        let then = match past(lens, space, path, &point, path)? {
            Ok(past) => past,
            Err(refusal) => return Ok(Reply::Refused(refusal)),
        };
        let located = document::locate(&then.lens(), number, path)?;
        let (exists, _) = write::current(path, &located);
        let member = matches!(located, Located::Member { .. });
        let rows = located.tree(path).map(|(tree, _)| tree.rows.iter()).into_iter().flatten();
        let registers = rows.filter(|(place, _)| !member || place == path).filter_map(|(_, row)| row.register.as_ref());
        let latest = registers.map(Point::of).max().map(|point| point.version());
        let Some((log, version)) =
            latest.filter(|_| exists).and_then(|version| Some((log_of(space, &version)?, version)))
        else {
            return Ok(Reply::Refused(Refusal::NotFound));
        };
        Ok(match entry_at(lens, number, log, version.seq)? {
            Some(entry) => Reply::Link { space: space.row.key.id(), path: path.clone(), version, hash: entry.hash() },
            None => Reply::Refused(Refusal::HistoryDropped),
        })
    }

    /// A refusal if the entry that `at` names has another hash, or stands where its log was cut.
    fn rewritten(&self, number: u32, at: &At, hash: &[u8; 32], lens: &Lens<'_>) -> Result<Option<Refusal>, Miss> {
        let (Some(space), At::Versions(versions)) = (self.spaces.get(&number), at) else { return Ok(None) };
        let [version] = versions.as_slice() else {
            return Ok(Some(Refusal::Malformed("A hash goes with exactly one version.".to_owned())));
        };
        let cut = space.forks.iter().any(|(log, proof)| Agent::of(&log.0) == version.agent && proof.seq <= version.seq);
        if cut {
            return Ok(Some(Refusal::Rewritten { version: *version }));
        }
        let Some(log) = log_of(space, version) else { return Ok(None) };
        let same = entry_at(lens, number, log, version.seq)?.is_none_or(|entry| entry.hash() == *hash);
        Ok((!same).then_some(Refusal::Rewritten { version: *version }))
    }

    /// Indexes a stretch of what was merged before there was an index, and again until all of it is.
    pub(super) fn index_history(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.is_paused() || self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        let Some(space) = self.spaces.get_mut(&number).filter(|space| !space.rebuilding) else {
            return Ok(Done::Nothing);
        };
        let Some(Behind { log, from, upto }) = space.behind.first().copied() else { return Ok(Done::Nothing) };
        let merged = space.logs.get(log as usize).map_or(0, |log| log.applied);
        let entries = read_entries(lens, space, log, from..upto.min(merged), INDEX_RUN)?;
        let mut batch = Batch::default();
        batch.puts.extend(entries.iter().flat_map(|entry| index_rows(space, log, entry)));
        match (space.behind.first_mut(), entries.last()) {
            (Some(first), Some(last)) => first.from = last.header.seq + 1,
            _ => drop(space.behind.remove(0)),
        }
        space.behind.retain(|behind| behind.from < behind.upto);
        batch.puts.push((Table::Head, rows::index_key(number), rows::encode_behind(&space.behind)));
        let effects = if space.behind.is_empty() { Vec::new() } else { vec![Effect::Start(Job::Index(number))] };
        Ok(Done::Write(Unit { batch, effects }))
    }
}

/// One version from its ops at and below a path.
fn item(space: &Space, path: &Path, deeds: &[Deed]) -> Option<HistoryItem> {
    let first = deeds.first()?;
    let log = space.logs.get(first.log as usize);
    let below = deeds.iter().any(|deed| deed.path != *path);
    let named = if below { PATHS_NAMED.min(deeds.len()) } else { 0 };
    Some(HistoryItem {
        version: first.point.version(),
        author: log.map(|log| read::author_of(space, &log.key)).unwrap_or_default(),
        time: crate::clock::Clock(first.point.clock).millis(),
        size: deeds.iter().fold(0, |size, deed| size.saturating_add(deed.size)),
        kind: if deeds.iter().any(|deed| deed.puts) { "put" } else { "delete" },
        paths: deeds.iter().take(named).map(|deed| deed.path.clone()).collect(),
        more: if below { deeds.len() - named } else { 0 },
    })
}

/// Where an op shows: elements of a list have no address of their own.
fn shown(path: Path, code: u8) -> Path {
    let list = if code == tag::ELEMENT { path.parent() } else { None };
    list.unwrap_or(path)
}

fn index_rows(space: &Space, log: u32, entry: &Verified) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let Some(ops) = open_ops(space, entry) else { return Vec::new() };
    if !space.counts(&entry.header.log, entry.header.seq, ops.clock) {
        return Vec::new();
    }
    let mut items = ops.into_items(Agent::of(&entry.header.log.0), entry.header.seq);
    super::policy::allowed(&mut items, space.authority.role(&entry.header.log));
    history::rows(space.number, log, &items)
}

/// The number of the log a version is in, if that entry is here.
pub(super) fn log_of(space: &Space, version: &Version) -> Option<u32> {
    let has = |log: &super::space::Log| Agent::of(&log.key.0) == version.agent && log.applied > version.seq;
    space.logs.iter().position(has).map(|log| log as u32)
}

/// The point of a version that is here. What is no op stands where the last op before it does.
fn point_of(lens: &Lens<'_>, space: &Space, version: &Version) -> Result<Point, Miss> {
    let Some(log) = log_of(space, version) else { return Ok(Point::START) };
    for seq in (version.seq.saturating_sub(RECORDS_SKIPPED)..=version.seq).rev() {
        let entry = entry_at(lens, space.number, log, seq)?;
        if let Some(ops) = entry.and_then(|entry| open_ops(space, &entry)) {
            return Ok(Point { clock: ops.clock, agent: version.agent, seq });
        }
    }
    Ok(Point::START)
}

/// Whether the entry of a version has been dropped.
fn is_gone(space: &Space, version: &Version) -> bool {
    log_of(space, version).is_some_and(|log| space.pruned.at(log, version.seq).is_some())
}

/// A refusal while what was merged before there was an index is being indexed.
pub(super) fn still_indexing(space: &Space) -> Option<Refusal> {
    let left: u64 = space.behind.iter().map(|behind| behind.upto.saturating_sub(behind.from)).sum();
    (left > 0).then(|| Refusal::Unavailable {
        detail: format!(
            "The history of this space is being indexed, once: {left} writes are left. Try again in a moment."
        ),
        retry_after: 1,
    })
}
