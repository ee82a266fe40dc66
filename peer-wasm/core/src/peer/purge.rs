//! Purging what is made of many ops: its life ends and another begins, so that nothing that was written in it has any
//! bearing any more. See `docs/decisions/0155-lives-of-places.md`.

use super::commit::{Effect, Unit};
use super::{Done, Job, Peer, write};
use crate::api::{
    Body, Change, Manner, Merge, Preconditions, Refusal, Reply, Request, RequestId, SpaceRef, TextChange, TextEdit,
};
use crate::document::kind::tag;
use crate::document::text::ClientState;
use crate::document::{self, Held, Leaf, Located, MAX_OPS, Op, Since, Tree, Wish};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use crate::version::Agent;

/// Rows looked at in one step for what clients held of texts.
const ROWS: usize = 512;

/// A write that has what was there before erased.
pub(super) struct Purge<'a> {
    pub(super) id: RequestId,
    pub(super) space: &'a SpaceRef,
    pub(super) number: u32,
    pub(super) path: &'a Path,
    pub(super) change: &'a Change,
    pub(super) conditions: &'a Preconditions,
    pub(super) manner: &'a Manner,
    pub(super) write_id: Option<&'a str>,
}

/// What is to be written once the lives have ended: where, what and as what kind.
type Rest = Option<(Path, Change, Option<Merge>)>;

impl Peer {
    /// Ends the lives of all that is made of many ops at and below a path, and deletes what else is there; what is to be
    /// there instead is written by a request of its own. `None` if there is nothing of that sort.
    pub(super) fn end_lives(&mut self, purge: &Purge<'_>, lens: &Lens<'_>) -> Result<Option<Done>, Miss> {
        let Purge { id, number, path, write_id, .. } = *purge;
        let refuse = |refusal| Ok(Some(Done::Write(Unit::reply(id, Reply::Refused(refusal)))));
        let located = document::locate(lens, number, path)?;
        let whole = match &located {
            Located::Member { set, .. } => document::tree(lens, number, set)?,
            _ => match located.tree(path) {
                Some((tree, _)) => tree.clone(),
                None => return Ok(None),
            },
        };
        let known =
            write_id.map(|id| lens.get(Table::View, &document::write_id_key(number, id))).transpose()?.flatten();
        let grown: Vec<&Path> = whole.rows.iter().filter(|(_, row)| row.is_grown()).map(|(path, _)| path).collect();
        if grown.is_empty() || known.is_some() {
            return Ok(None);
        }
        let (exists, before) = write::current(path, &located);
        if let Err(refusal) = write::check(purge.conditions, exists, &before) {
            return refuse(refusal);
        }
        let policies = self.spaces.get(&number).map(|space| space.policies.clone()).unwrap_or_default();
        let (change, manner) = match as_put(purge.change, purge.manner) {
            Ok(put) => put,
            Err(refusal) => return refuse(refusal),
        };
        match document::plan(path, &located, &change, Wish { manner: &manner, policies: &policies }) {
            Ok(_) => {}
            // Nothing is there now, but something was.
            Err(Refusal::NotFound) if matches!(change, Change::Delete) => {}
            Err(refusal) => return refuse(refusal),
        }
        if let Some(tag) = newer(&whole) {
            return refuse(Refusal::NewerKind { tag });
        }
        let (top, rest) = rest(path, &located, &whole, change, &manner);
        let mut ops: Vec<Op> = Vec::new();
        for (place, row) in &whole.rows {
            if row.is_grown() {
                ops.push(Op { since: Since::Here, ..Op::new(place.clone(), Leaf::Deleted) });
            } else if row.register.as_ref().is_some_and(|held| held.is_live() && held.leaf.tag().is_none())
                && !place.is_reserved()
            {
                ops.push(Op::new(place.clone(), Leaf::Deleted));
            }
        }
        if ops.len() > MAX_OPS {
            let what = "What is to be purged (in places)".to_owned();
            return refuse(Refusal::TooLarge { what, limit: MAX_OPS as u64, listing: Some(top.to_string()) });
        }
        let own_id = write_id.filter(|_| rest.is_none());
        let done =
            self.put_ops(id, number, ops, Vec::new(), None, own_id, Some(&top), lens, |peer, applied, version| {
                let (after, _) =
                    write::after(&top, &Located::Place(whole), applied, version, number, &peer.rule(number));
                peer.written(number, false, true, after, Merge::Lww)
            })?;
        let Done::Write(mut unit) = done else { return Ok(Some(done)) };
        if let Some((path, change, merge)) = rest {
            let space = purge.space.clone();
            let manner = Manner { merge, seen: None, client: purge.manner.client.clone() };
            let id_of_write = write_id.map(str::to_owned);
            for effect in &mut unit.effects {
                if matches!(effect, Effect::Reply(_, Reply::Written { .. })) {
                    let (path, change, manner) = (path.clone(), change.clone(), manner.clone());
                    let (conditions, write_id) = (Preconditions::default(), id_of_write.clone());
                    let request = Request::Write {
                        space: space.clone(),
                        path,
                        change,
                        conditions,
                        manner,
                        id: write_id,
                        purge: false,
                    };
                    *effect = Effect::Start(Job::Request(id, request));
                }
            }
        }
        Ok(Some(Done::Write(unit)))
    }

    /// One step of forgetting what clients of texts held that others had written: which text it was of is not known.
    pub(super) fn forget_clients(&mut self, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        let own = self.device().map(|device| Agent::of(&device.0)).unwrap_or(Agent([0; 10]));
        let Some(space) = self.spaces.get_mut(&number) else { return Ok(Done::Nothing) };
        let mut range = KeyRange::prefix(&document::write_ids(number));
        if let Some(after) = &space.gone.forgot {
            range.start = [after.as_slice(), &[0]].concat();
        }
        let rows = lens.scan(Table::View, &range, ROWS, false)?;
        let mut unit = Unit::default();
        for (key, row) in &rows {
            if ClientState::decode(row, own).is_ok_and(|state| !state.bridge.is_empty()) {
                unit.batch.puts.push((Table::View, key.clone(), ClientState::forgotten(row)));
            }
        }
        space.gone.forgot = rows.last().filter(|_| rows.len() == ROWS).map(|(key, _)| key.clone());
        if space.gone.forgot.is_none() {
            space.gone.ended = false;
            space.gone.store(number, &mut unit.batch);
            self.status_changed();
        }
        Ok(Done::WriteAndAgain(unit))
    }
}

/// A write of a whole text as a write of any other value.
fn as_put(change: &Change, manner: &Manner) -> Result<(Change, Manner), Refusal> {
    let manner = Manner { seen: None, ..manner.clone() };
    match change {
        Change::Text(TextChange { edit: TextEdit::Whole(whole), .. }) => {
            Ok((Change::Put(document::text_body(whole.clone())), Manner { merge: Some(Merge::Text), ..manner }))
        }
        Change::Put(_) | Change::Delete => Ok((change.clone(), manner)),
        _ => Err(Refusal::Unprocessable(
            "A patch cannot go with purge: it builds on what is to be erased. Send the whole value.".to_owned(),
        )),
    }
}

/// A kind that only a later release knows.
fn newer(tree: &Tree) -> Option<u8> {
    let mut kinds = tree.rows.iter().filter_map(|(_, row)| row.register.as_ref()?.leaf.tag());
    kinds.find(|kind| !tag::is_known(*kind))
}

/// What is purged as one, and what is to be there then. The members of a set and the elements of a list live with it.
fn rest(path: &Path, located: &Located, whole: &Tree, change: Change, manner: &Manner) -> (Path, Rest) {
    let put = match change {
        Change::Put(body) => Some(body),
        _ => None,
    };
    let held = |top: &Path| match whole.held(top) {
        Some(Held::Merge(merge)) if merge != Merge::Lww => Some(merge),
        _ => None,
    };
    match located {
        Located::Inside { leaf, value, rest, .. } => {
            let new = put.and_then(|body| if let Body::Json(json) = body { Some(json) } else { None });
            let json = document::replaced(value, rest, new);
            let rest = json.map(|json| (leaf.clone(), Change::Put(Body::Json(json)), held(leaf)));
            (leaf.clone(), rest)
        }
        Located::Member { set, .. } => {
            let name = path.segments().last().cloned().unwrap_or_default();
            let mut members = match whole.value(set) {
                Some(Body::Json(serde_json::Value::Array(members))) => members,
                _ => Vec::new(),
            };
            members.retain(|json| document::member_name(json) != name);
            if let Some(Body::Json(json)) = put {
                members.push(json);
            }
            (set.clone(), Some((set.clone(), Change::Put(Body::Json(members.into())), Some(Merge::Set))))
        }
        _ => {
            let rest = put.map(|body| (path.clone(), Change::Put(body), manner.merge.or_else(|| held(path))));
            (path.clone(), rest)
        }
    }
}
