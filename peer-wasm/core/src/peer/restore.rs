//! Making a path what it was: a new write, as any other.

use super::commit::{Effect, Unit};
use super::past::past;
use super::write::{after, check, current};
use super::{Done, Peer, read};
use crate::api::{At, Change, Preconditions, Refusal, Reply, RequestId, Role, SpaceRef};
use crate::document::{self, Located, MAX_WRITE_ID, Planned};
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
        let located = document::locate(lens, number, path)?;
        let (exists, before) = current(path, &located);
        let known = match write_id {
            Some(write_id) => lens.get(Table::View, &document::write_id_key(number, write_id))?.is_some(),
            None => false,
        };
        if known {
            return Ok(Done::Write(Unit::reply(id, self.written(number, false, !exists, before))));
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
        let planned = match (&located, document::locate(&then.lens(), number, path)?) {
            (Located::Place(now), Located::Place(then)) if !now.cut => document::restore(path, now, &then),
            _ => match read::value(&then.lens(), number, path)? {
                Ok((Some(body), _)) => document::plan(path, &located, &Change::Put(body)),
                Ok((None, _)) if exists => document::plan(path, &located, &Change::Delete),
                Ok((None, _)) => Ok(Planned { ops: Vec::new(), existed: false, deleted: true }),
                Err(refusal) => Err(refusal),
            },
        };
        let planned = match planned {
            Ok(planned) => planned,
            Err(refusal) => return refuse(refusal),
        };
        if planned.ops.is_empty() {
            return Ok(Done::Write(Unit::reply(id, self.written(number, false, planned.deleted, before))));
        }
        let stored = match self.write_ops(number, planned.ops, None, write_id, lens)? {
            Ok(stored) => stored,
            Err(refusal) => return refuse(refusal),
        };
        let after = after(path, &located, &stored.applied, stored.version, number);
        let reply = self.written(number, !planned.existed, planned.deleted, after);
        let effects = vec![Effect::Changed(number, stored.applied.changed), Effect::Reply(id, reply)];
        Ok(Done::Write(Unit { batch: stored.batch, effects }))
    }
}
