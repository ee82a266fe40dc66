//! Making a path what it was: a new write, as any other.

use super::commit::Unit;
use super::past::past;
use super::write::{after, check, current, facts};
use super::{Done, Peer};
use crate::api::{At, Change, Manner, Preconditions, Refusal, Reply, RequestId, Role, SpaceRef};
use crate::document::{self, Located, MAX_WRITE_ID, Planned, Wish};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::Table;

impl Peer {
    #[allow(clippy::too_many_arguments, reason = "the fields of one request")]
    pub(super) fn restore(
        &mut self,
        id: RequestId,
        space: &SpaceRef,
        path: &Path,
        from: &At,
        conditions: &Preconditions,
        write_id: Option<&str>,
        lens: &Lens<'_>,
    ) -> Result<Done, Miss> {
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let number = match self.find(space, lens)? {
            Ok(number) => number,
            Err(refusal) => return refuse(refusal),
        };
        if let Err(refusal) = self.may(number, Role::Writer) {
            return refuse(refusal);
        }
        if write_id.is_some_and(|id| id.len() > MAX_WRITE_ID) {
            return refuse(Refusal::Malformed(format!("A version id may have at most {MAX_WRITE_ID} bytes.")));
        }
        let mut located = document::locate(lens, number, path)?;
        located.choose(&self.rule(number));
        let (exists, before) = current(path, &located);
        let held = facts(path, &located).merge;
        let known = match write_id {
            Some(write_id) => lens.get(Table::View, &document::write_id_key(number, write_id))?.is_some(),
            None => false,
        };
        if known {
            return Ok(Done::Write(Unit::reply(id, self.written(number, false, !exists, before, held))));
        }
        if let Err(refusal) = check(conditions, exists, &before) {
            return refuse(refusal);
        }
        let point = match self.point(number, from, lens)? {
            Ok(point) => point,
            Err(refusal) => return refuse(refusal),
        };
        let Some(space) = self.spaces.get(&number) else { return refuse(Refusal::NoSuchSpace) };
        let then = match past(lens, space, path, &point, path)? {
            Ok(past) => past,
            Err(refusal) => return refuse(refusal),
        };
        let mut was = document::locate(&then.lens(), number, path)?;
        was.choose(&self.rule(number));
        let manner = Manner::default();
        let wish = Wish { manner: &manner, policies: &space.policies };
        let planned = match (&located, &was) {
            (Located::Place(now), Located::Place(then)) if !now.cut => document::restore(path, now, then, false)
                .map(|ops| Planned { ops, existed: exists, deleted: then.value(path).is_none() }),
            _ => match self.value(number, path, &then.lens())? {
                Ok((Some(body), ..)) => document::plan(path, &located, &Change::Put(body), wish),
                Ok((None, ..)) if exists => document::plan(path, &located, &Change::Delete, wish),
                Ok((None, ..)) => Ok(Planned { ops: Vec::new(), existed: false, deleted: true }),
                Err(refusal) => Err(refusal),
            },
        };
        let Planned { mut ops, existed, deleted } = match planned {
            Ok(planned) => planned,
            Err(refusal) => return refuse(refusal),
        };
        if ops.is_empty() {
            return Ok(Done::Write(Unit::reply(id, self.written(number, false, deleted, before, held))));
        }
        let texts = match self.planned_texts(number, &mut ops, lens)? {
            Ok(texts) => texts,
            Err(refusal) => return refuse(refusal),
        };
        self.put_ops(id, number, ops, texts, None, write_id, None, lens, |peer, applied, version| {
            let (after, merge) = after(path, &located, applied, version, number, &peer.rule(number));
            peer.written(number, !existed, deleted, after, merge)
        })
    }
}
