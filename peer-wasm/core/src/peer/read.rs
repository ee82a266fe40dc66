//! Reading values, listings and the feed of changes.

use super::rows;
use super::space::{READ_RUN, Space, read_entries};
use super::{Peer, write};
use crate::api::{Body, ChangeItem, Facts, ListQuery, Merge, Refusal, Reply};
use crate::document::moves::Moves;
use crate::document::{self, Held, Leaf, Located, Opened, kind};
use crate::entry::{Entry, Kind, Verified};
use crate::history::Point;
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use crate::version::{Agent, Version};

/// The most arrivals looked at for one page of changes.
const ARRIVALS_PER_PAGE: usize = 256;

/// The cursor that stands for the end of the feed as it is now.
pub(super) const NOW: &str = "now";

/// The value at a path with its versions and what else is known of it.
pub(super) type Found = Result<(Option<Body>, Vec<Version>, Facts), Refusal>;

impl Peer {
    /// Reads the value at a path.
    pub(super) fn value(&self, space: u32, path: &Path, lens: &Lens<'_>) -> Result<Found, Miss> {
        let mut located = document::locate(lens, space, path)?;
        located.choose(&self.rule(space));
        let (_, mut version) = write::current(path, &located);
        let facts = write::facts(path, &located);
        if let Located::Place(tree) = &located
            && let Some(row) = tree.top(path)
            && self.is_unread(space, path, row, lens)?
        {
            // What it is made of is here, but not put together: it is not at that version yet.
            version.clear();
        }
        Ok(match &located {
            Located::Place(tree) if tree.cut => Err(Refusal::TooLarge {
                what: "What is stored at this path (in places)".to_owned(),
                limit: document::MAX_TREE_ROWS as u64,
                listing: Some(path.to_string()),
            }),
            Located::Place(tree) if matches!(tree.held(path), Some(Held::Newer(_))) => {
                let Some(Held::Newer(tag)) = tree.held(path) else { return Ok(Err(Refusal::NotFound)) };
                Err(Refusal::NewerKind { tag })
            }
            _ => {
                let early = self.early.touches(space, path);
                Ok((write::body(path, &located), version, Facts { early, ..facts }))
            }
        })
    }

    pub(super) fn read_value(
        &mut self,
        number: u32,
        path: &Path,
        parents: &[Version],
        lens: &Lens<'_>,
    ) -> Result<Reply, Miss> {
        if let Some(refusal) = self.unknown(number, parents) {
            return Ok(Reply::Refused(refusal));
        }
        Ok(match self.value(number, path, lens)? {
            Ok((Some(body), version, facts)) => {
                let sync = self.sync_of_read(number, &version);
                Reply::Value { body, version, sync, facts }
            }
            Ok((None, ..)) if self.is_arriving(number) => Reply::Refused(Refusal::NotYet),
            Ok((None, ..)) => Reply::Refused(Refusal::NotFound),
            Err(refusal) => Reply::Refused(refusal),
        })
    }

    /// A refusal if any of these versions is not here.
    pub(super) fn unknown(&self, space: u32, versions: &[Version]) -> Option<Refusal> {
        let space = self.spaces.get(&space)?;
        let missing: Vec<Version> = versions.iter().filter(|version| !space.has(version)).copied().collect();
        (!missing.is_empty()).then_some(Refusal::VersionUnknown { missing })
    }

    pub(super) fn read_list(
        &mut self,
        number: u32,
        prefix: &Path,
        query: &ListQuery,
        lens: &Lens<'_>,
    ) -> Result<Reply, Miss> {
        let listing = document::list(lens, number, prefix, query, &self.rule(number))?;
        let early = self.early.touches(number, prefix);
        let arriving = early || self.is_arriving(number);
        Ok(Reply::List { items: listing.items, next: listing.next, version: listing.version, early, arriving })
    }

    /// The cursor behind everything that has arrived in a space.
    pub(super) fn newest_cursor(&self, number: u32) -> Option<String> {
        let arrival = self.spaces.get(&number)?.arrivals;
        Some(Cursor { arrival, op: 0 }.to_string())
    }

    /// A page of changes after a cursor. The cursor is `<arrival>.<op>`: the place after which to go on.
    pub(super) fn read_changes(
        &mut self,
        number: u32,
        since: Option<&str>,
        limit: usize,
        lens: &Lens<'_>,
    ) -> Result<Result<(Vec<ChangeItem>, String), Refusal>, Miss> {
        if since == Some(NOW) {
            return Ok(Ok((Vec::new(), self.newest_cursor(number).unwrap_or_default())));
        }
        let Some(from) = since.map_or(Some(Cursor::START), Cursor::parse) else {
            return Ok(Err(Refusal::Malformed("`since` is not a cursor of this feed.".to_owned())));
        };
        let Some(space) = self.spaces.get(&number) else { return Ok(Err(Refusal::NoSuchSpace)) };
        let range = KeyRange {
            start: rows::arrival_key(number, from.arrival),
            end: KeyRange::prefix(&number.to_be_bytes()).end,
        };
        let arrivals = lens.scan(Table::Arrival, &range, ARRIVALS_PER_PAGE, false)?;
        let mut items = Vec::new();
        let mut next = from;
        for (key, value) in &arrivals {
            let Some(arrival) = rows::arrival_of_key(key) else { continue };
            let runs = rows::decode_arrival(value);
            // Where entries have been dropped since, what is left is counted anew, behind all that was counted before: rather
            // is something told twice than not at all.
            let dropped: u64 =
                runs.iter().map(|run| space.pruned.within(run.log, run.from, run.from + run.count)).sum();
            let mut op = dropped << 32;
            for run in runs {
                let Some(log) = space.logs.get(run.log as usize) else { continue };
                // A forked log is cut short: what was past the cut is gone.
                let end = (run.from + run.count).min(log.tip.len);
                if log.applied < end {
                    // Not merged yet: the feed goes on here once it is.
                    return Ok(Ok((items, next.to_string())));
                }
                let mut at = run.from;
                while at < end {
                    let entries = read_entries(lens, space, run.log, at..end, READ_RUN)?;
                    let Some(last) = entries.last() else { break };
                    at = last.header.seq + 1;
                    for entry in &entries {
                        for item in self.changes_of(space, entry) {
                            // What was redacted still counts, so that cursors keep their meaning.
                            op += 1;
                            let Some(item) = item else { continue };
                            let cursor = Cursor { arrival, op };
                            if cursor <= from {
                                continue;
                            }
                            if items.len() == limit {
                                return Ok(Ok((items, next.to_string())));
                            }
                            next = cursor;
                            items.push(ChangeItem { cursor: cursor.to_string(), ..item });
                        }
                    }
                }
            }
            next = next.max(Cursor { arrival: arrival + 1, op: 0 });
        }
        Ok(Ok((items, next.to_string())))
    }

    /// What the feed shows of an entry, by part; nothing where a part is gone or says nothing programs may see.
    fn changes_of(&self, space: &Space, entry: &Verified) -> Vec<Option<ChangeItem>> {
        let Some(ops) = said_ops(space, entry) else { return Vec::new() };
        let log = entry.header.log;
        let author = author_of(space, &log);
        let version = Version { agent: Agent::of(&log.0), seq: entry.header.seq };
        let time = crate::clock::Clock(ops.clock).millis();
        let by = Point { clock: ops.clock, agent: version.agent, seq: version.seq };
        ops.list
            .into_iter()
            .map(|op| op.filter(|op| !op.path.is_reserved()))
            .map(|op| {
                op.map(|op| {
                    let is_move = op.leaf.tag() == Some(kind::tag::MOVE);
                    let from = is_move.then(|| space.moves.before(&by, &op.path)).flatten();
                    let (path, kind, merge) = said(space.moves.shown(&op.path), &op.leaf);
                    let (cursor, author) = (String::new(), author.clone());
                    ChangeItem { cursor, path, from, kind, merge, version, author, time }
                })
            })
            .collect()
    }
}

/// How a change shows in the feed: where, whether something came or went, and by which merge type.
fn said(path: Path, leaf: &Leaf) -> (Path, &'static str, Option<&'static str>) {
    let Leaf::Kind { tag, body } = leaf else {
        return (path, if *leaf == Leaf::Deleted { "delete" } else { "put" }, None);
    };
    let name = |merge: Merge| Some(merge.name());
    match kind::Act::decode(*tag, body) {
        Ok(kind::Act::Mv(kind::mv::Act::Delete(_))) => (path, "delete", name(Merge::Mv)),
        Ok(kind::Act::Mv(_)) => (path, "put", name(Merge::Mv)),
        Ok(kind::Act::Counter(kind::counter::Act::Delete(_))) => (path, "delete", name(Merge::Counter)),
        Ok(kind::Act::Counter(_)) => (path, "put", name(Merge::Counter)),
        Ok(kind::Act::Member(kind::member::Act::Remove(_))) => (path, "delete", name(Merge::Set)),
        Ok(kind::Act::Set | kind::Act::Member(_)) => (path, "put", name(Merge::Set)),
        Ok(kind::Act::List(_)) => (path, "put", name(Merge::List)),
        // Elements have no address of their own.
        Ok(kind::Act::Element) => (path.parent().unwrap_or(path), "put", name(Merge::List)),
        Ok(kind::Act::Text(_)) => (path, "put", name(Merge::Text)),
        Ok(kind::Act::Move(_)) => (path, "move", None),
        Err(_) => (path, "put", Some("newer")),
    }
}

/// Who writes a log, as did:key text.
pub(super) fn author_of(space: &Space, log: &PublicKey) -> String {
    space.authority.device(log).map_or_else(|| log.did(), |device| device.identity.did())
}

/// The ops in an entry, at the paths where what they are about shows now; `None` if it holds none or they cannot be
/// opened or read.
pub(super) fn open_ops(space: &Space, entry: &Verified) -> Option<Opened> {
    open_ops_by(space, &space.moves, entry)
}

/// The same at the paths where by these moves what they are about shows.
pub(super) fn open_ops_by(space: &Space, moves: &Moves, entry: &Verified) -> Option<Opened> {
    let mut opened = said_ops(space, entry)?;
    if !moves.is_empty() {
        for op in opened.list.iter_mut().flatten() {
            op.apart = moves.apart(&op.path, &op.leaf);
            op.path = moves.shown(&op.path);
        }
    }
    Some(opened)
}

/// The same at the paths they name: where what they are about was made.
pub(super) fn said_ops(space: &Space, entry: &Verified) -> Option<Opened> {
    if entry.header.kind != Kind::Op {
        return None;
    }
    let epoch = space.epoch(&entry.header.epoch?)?;
    Opened::open(epoch, &space.row.key, &entry.header.log, entry.header.seq, entry.body())
}

/// When the ops of an entry were written, and by whom.
pub(super) fn point_of(entry: &Entry, opened: &Opened) -> Point {
    Point { clock: opened.clock, agent: Agent::of(&entry.header.log.0), seq: entry.header.seq }
}

/// A place in the feed: after `op` ops of an arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    arrival: u64,
    op: u64,
}

impl Cursor {
    const START: Cursor = Cursor { arrival: 0, op: 0 };

    fn parse(text: &str) -> Option<Cursor> {
        let (arrival, op) = text.split_once('.')?;
        Some(Cursor { arrival: arrival.parse().ok()?, op: op.parse().ok()? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.arrival, self.op)
    }
}
