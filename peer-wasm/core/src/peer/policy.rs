//! Policies and conflicts of a space: how they are asked for, set, and looked at when values are read.

use super::commit::Unit;
use super::space::Space;
use super::{Done, Peer};
use crate::api::{Body, Merge, Refusal, Reply, RequestId, Role, SpaceRef};
use crate::document::kind::{State, mv};
use crate::document::policy::Policy;
use crate::document::{self, Item, Leaf, Op};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use crate::version::Version;
use serde_json::{Value as Json, json};

/// The most conflicts told in one answer.
const MAX_CONFLICTS: usize = 1000;

impl Peer {
    /// Which of several concurrent values is shown in this space.
    pub(super) fn rule(&self, number: u32) -> impl Fn(&Path, &mv::Values) -> Option<(Version, Version)> + '_ {
        let space = self.spaces.get(&number).filter(|space| space.policies.have_ties());
        move |path, values| {
            let space = space?;
            space.policies.choose(path, values, &|agent| space.role_of(agent))
        }
    }

    /// The policies of a space.
    pub(super) fn policies(&self, number: u32) -> Json {
        let Some(space) = self.spaces.get(&number) else { return Json::Null };
        let items: Vec<Json> =
            space.policies.iter().map(|(prefix, policy, version)| shown(prefix, policy, version)).collect();
        json!({ "items": items })
    }

    /// The policy of just this prefix.
    pub(super) fn policy(&self, number: u32, prefix: &Path) -> Reply {
        match self.spaces.get(&number).and_then(|space| space.policies.get(prefix)) {
            Some((policy, version)) => Reply::Document(shown(prefix, policy, version)),
            None => Reply::Refused(Refusal::NotFound),
        }
    }

    /// Sets a policy, or takes it away.
    pub(super) fn set_policy(
        &mut self,
        id: RequestId,
        space: &SpaceRef,
        prefix: &Path,
        policy: Option<&Policy>,
        lens: &Lens<'_>,
    ) -> Result<Done, Miss> {
        let refuse = |refusal| Ok(Done::Write(Unit::reply(id, Reply::Refused(refusal))));
        let number = match self.find(space, lens)? {
            Ok(number) => number,
            Err(refusal) => return refuse(refusal),
        };
        if let Err(refusal) = self.may(number, Role::Owner) {
            return refuse(refusal);
        }
        let existed = self.spaces.get(&number).is_some_and(|space| space.policies.get(prefix).is_some());
        if policy.is_none() && !existed {
            return refuse(Refusal::NotFound);
        }
        let Some(path) = Path::policy_of(prefix) else {
            return refuse(Refusal::Unprocessable("The prefix is too long for a policy.".to_owned()));
        };
        let op = Op::new(path, policy.map_or(Leaf::Deleted, Policy::leaf));
        let deleted = policy.is_none();
        self.put_ops(id, number, vec![op], Vec::new(), None, None, None, lens, |peer, _, version| {
            peer.written(number, !existed, deleted, vec![version], Merge::Lww)
        })
    }

    /// Where values stand beside each other, each with all of them.
    pub(super) fn conflicts(&self, number: u32, lens: &Lens<'_>) -> Result<Json, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Json::Null) };
        let top = document::conflict_key(number, &Path::root());
        let noted = lens.scan(Table::View, &KeyRange::prefix(&top), MAX_CONFLICTS + 1, false)?;
        let paths: Vec<Path> =
            noted.iter().filter_map(|(key, _)| Path::from_row_key(key.get(top.len()..)?)).take(MAX_CONFLICTS).collect();
        lens.want(Table::View, paths.iter().map(|path| document::view_key(number, path)))?;
        let rule = self.rule(number);
        let mut items = Vec::new();
        for path in paths {
            let row = lens.get(Table::View, &document::view_key(number, &path))?;
            let row = row.and_then(document::ViewRow::decode).unwrap_or_default();
            let mut tree = document::Tree::of(path.clone(), row);
            tree.choose(&rule);
            items.extend(conflict(space, &path, &tree));
        }
        Ok(json!({ "items": items, "more": noted.len() > MAX_CONFLICTS }))
    }
}

fn shown(prefix: &Path, policy: &Policy, version: Version) -> Json {
    let mut document = policy.document();
    if let Some(members) = document.as_object_mut() {
        members.insert("prefix".to_owned(), json!(prefix.segments()));
        members.insert("version".to_owned(), version.to_string().into());
    }
    document
}

/// One conflict: the place, the value shown, and all values, that one first.
fn conflict(space: &Space, path: &Path, tree: &document::Tree) -> Option<Json> {
    let Some(State::Mv(values)) = tree.top(path)?.shown_state() else { return None };
    let winner = tree.winner(path, values)?;
    let rivals = values.ranked(winner.version);
    if rivals.len() < 2 {
        return None;
    }
    let value = |rival: &mv::Rival<'_>| {
        let value = match document::body_of(rival.content) {
            Body::Json(json) => json,
            Body::Bytes { media, bytes } => json!({ "$media": media, "$length": bytes.len() }),
        };
        json!({
            "version": rival.version.to_string(),
            "author": space.author(rival.version.agent),
            "time": crate::clock::Clock(rival.clock).millis(),
            "value": value,
        })
    };
    Some(json!({
        "path": path.segments(),
        "winner": winner.version.to_string(),
        "values": rivals.iter().map(value).collect::<Vec<_>>(),
    }))
}

/// What ops may change if their log's device has this role: only owners set policies.
pub(super) fn allowed(items: &mut Vec<Item>, role: Option<Role>) {
    if role < Some(Role::Owner) {
        items.retain(|item| item.path.policy_prefix().is_none());
    }
}
