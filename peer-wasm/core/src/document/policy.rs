//! Policies: how values below a prefix are merged where their writers do not say, and which of several is shown.
//!
//! A policy is a value at a reserved place of the tree, one for each prefix, merged like any other: the last one set
//! counts, and only owners can set one. It never changes what is stored of a value, so it can come, change and go at
//! any time and in any order: the *kind* is looked at when a value is made, the *tie rule* when it is read.

use super::kind::{Merge, mv};
use super::ops::Leaf;
use super::row::{ViewRow, view_prefix};
use crate::api::Role;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use crate::version::{Agent, Version};
use kith_map::BTreeMap;
use serde_json::{Map, Value as Json, json};

/// The media type of a policy as it is stored.
pub const MEDIA: &str = "application/vnd.kith.policy+json";
/// The most bytes of a stored policy.
pub const MAX_POLICY: usize = 4096;
/// The most policies of a space that count: those of the first prefixes in order.
pub const MAX_POLICIES: usize = 1000;

/// Of the values that stand beside each other at a place, the one that a policy shows, and the write that set it.
pub type Rule<'a> = &'a dyn Fn(&Path, &mv::Values) -> Option<(Version, Version)>;

/// Which of several concurrent values is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tie {
    /// The latest.
    #[default]
    Latest,
    /// The earliest.
    First,
    /// That of the author with the greatest role; among equals the latest.
    Role,
}

impl Tie {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Tie::Latest => "latest",
            Tie::First => "first",
            Tie::Role => "role",
        }
    }
}

/// How long things are kept, in days. Nothing said: for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// What was replaced or deleted; 0: not at all.
    pub history: Option<u32>,
    /// Values nobody has written since.
    pub expire: Option<u32>,
}

/// A policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How new values are merged.
    pub kind: Merge,
    /// Which of several concurrent values is shown.
    pub tie: Tie,
    /// How long what was replaced is kept.
    pub retention: Retention,
}

/// Why a document is no policy: the member, and how the sentence "The member X …" goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError(pub &'static str, pub &'static str);

impl Policy {
    /// Reads a policy as its writer sends it: nothing in it may be without meaning.
    pub fn read(document: &Json) -> Result<Policy, PolicyError> {
        let members = document.as_object().ok_or(PolicyError("kind", "is missing: a policy is a JSON object"))?;
        if members.keys().any(|name| !["kind", "tie", "retention"].contains(&name.as_str())) {
            return Err(PolicyError("kind", "may stand with \"tie\" and \"retention\", and nothing else may"));
        }
        Policy::read_known(members)
    }

    /// Reads a stored policy: what only a later release knows is passed over.
    fn read_known(members: &Map<String, Json>) -> Result<Policy, PolicyError> {
        let text = |name: &str| members.get(name).map(|value| value.as_str().unwrap_or_default());
        let kind = match text("kind") {
            None => Merge::default(),
            Some(name) => Merge::from_name(name).ok_or(PolicyError(
                "kind",
                "must be \"lww\", \"mv\", \"counter\", \"set\", \"list\" or \"simpleton\"",
            ))?,
        };
        let tie = match text("tie") {
            None => Tie::default(),
            Some(name) => [Tie::Latest, Tie::First, Tie::Role]
                .into_iter()
                .find(|tie| tie.name() == name)
                .ok_or(PolicyError("tie", "must be \"latest\", \"first\" or \"role\""))?,
        };
        if tie != Tie::Latest && kind != Merge::Mv {
            return Err(PolicyError(
                "tie",
                "can only be something else than \"latest\" with \"kind\":\"mv\": other kinds do not keep several values",
            ));
        }
        Ok(Policy { kind, tie, retention: read_retention(members.get("retention"))? })
    }

    /// The document.
    pub fn document(&self) -> Json {
        let mut document = json!({ "kind": self.kind.name(), "tie": self.tie.name() });
        let days = |days: u32| if days == 0 { "none".to_owned() } else { format!("{days}d") };
        let terms = [("history", self.retention.history), ("expire", self.retention.expire)];
        let terms: Map<String, Json> =
            terms.into_iter().filter_map(|(name, term)| Some((name.to_owned(), days(term?).into()))).collect();
        if let (false, Some(members)) = (terms.is_empty(), document.as_object_mut()) {
            members.insert("retention".to_owned(), Json::Object(terms));
        }
        document
    }

    /// What its register holds.
    pub fn leaf(&self) -> Leaf {
        Leaf::Bytes { media: MEDIA.to_owned(), bytes: self.document().to_string().into_bytes() }
    }

    fn of(leaf: &Leaf) -> Option<Policy> {
        let Leaf::Bytes { bytes, .. } = leaf else { return None };
        let document: Json = serde_json::from_slice(bytes).ok()?;
        Policy::read_known(document.as_object()?).ok()
    }
}

fn read_retention(retention: Option<&Json>) -> Result<Retention, PolicyError> {
    const WRONG: PolicyError = PolicyError(
        "retention",
        "must be an object with \"history\" (\"all\", \"none\" or days as \"30d\"), \"expire\" (days as \"30d\"), or both; leave it out to keep everything",
    );
    let Some(retention) = retention else { return Ok(Retention::default()) };
    let members = retention.as_object().filter(|members| !members.is_empty()).ok_or(WRONG)?;
    if members.keys().any(|name| name != "history" && name != "expire") {
        return Err(WRONG);
    }
    let text = |name: &str| members.get(name).map(|term| term.as_str().ok_or(WRONG)).transpose();
    let history = match text("history")? {
        None | Some("all") => None,
        Some("none") => Some(0),
        Some(term) => Some(days(term).ok_or(WRONG)?),
    };
    let expire = text("expire")?.map(|term| days(term).ok_or(WRONG)).transpose()?;
    Ok(Retention { history, expire })
}

/// A number of days as text: 1 to 36500, like `30d`.
fn days(text: &str) -> Option<u32> {
    let number = text.strip_suffix('d').filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    number.parse().ok().filter(|days| (1..=36_500).contains(days))
}

/// Whether this can be stored at the place of a policy.
pub(super) fn fits(leaf: &Leaf) -> bool {
    match leaf {
        Leaf::Deleted => true,
        Leaf::Bytes { media, bytes } => media == MEDIA && bytes.len() <= MAX_POLICY,
        _ => false,
    }
}

/// The policies of a space, by prefix, each with the write that set it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies(BTreeMap<Path, (Policy, Version)>);

impl Policies {
    /// Reads them from the tree.
    pub fn load(lens: &Lens<'_>, space: u32) -> Result<Policies, Miss> {
        let range = KeyRange::prefix(&[&view_prefix(space)[..], b"$policy\0"].concat());
        let mut policies = Policies::default();
        for (key, value) in lens.scan(Table::View, &range, usize::MAX / 2, false)? {
            policies.note(&key, &ViewRow::decode(&value).unwrap_or_default());
        }
        Ok(policies)
    }

    /// Takes in a row of the tree. Gives the prefix if it is about a policy.
    pub fn note(&mut self, key: &[u8], row: &ViewRow) -> Option<Path> {
        let prefix = Path::policy_from_key(key.get(super::row::PREFIX..)?)?.policy_prefix()?;
        let register = row.register.as_ref()?;
        match Policy::of(&register.leaf) {
            Some(policy) => drop(self.0.insert(prefix.clone(), (policy, register.version()))),
            None => drop(self.0.remove(&prefix)),
        }
        Some(prefix)
    }

    /// The policies with their prefixes and the writes that set them.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Policy, Version)> {
        self.0.iter().take(MAX_POLICIES).map(|(prefix, (policy, version))| (prefix, policy, *version))
    }

    /// The policy for just this prefix.
    pub fn get(&self, prefix: &Path) -> Option<(&Policy, Version)> {
        self.0.get(prefix).map(|(policy, version)| (policy, *version))
    }

    /// The policy that counts at a place: that of the longest prefix.
    pub fn at(&self, path: &Path) -> Option<(&Policy, Version)> {
        if self.0.is_empty() {
            return None;
        }
        let mut place = Some(path.clone());
        while let Some(at) = place {
            if let Some(found) = self.get(&at) {
                return Some(found);
            }
            place = at.parent();
        }
        None
    }

    /// How a new value at this place is merged.
    pub fn kind_at(&self, path: &Path) -> Merge {
        self.at(path).map(|(policy, _)| policy.kind).unwrap_or_default()
    }

    /// Whether any of them shows another value than the latest.
    pub fn have_ties(&self) -> bool {
        self.0.values().any(|(policy, _)| policy.tie != Tie::Latest)
    }

    /// Of values that stand beside each other, the one to be shown, and the write that set the rule; `None` leaves
    /// it at the latest.
    pub fn choose(
        &self,
        path: &Path,
        values: &mv::Values,
        role: &dyn Fn(Agent) -> Option<Role>,
    ) -> Option<(Version, Version)> {
        let (policy, rule) = self.at(path)?;
        let time = |rival: &mv::Rival<'_>| (rival.clock, rival.version);
        let chosen = match policy.tie {
            Tie::Latest => return None,
            Tie::First => values.rivals().min_by_key(time),
            Tie::Role => values.rivals().max_by_key(|rival| (role(rival.version.agent), time(rival))),
        };
        Some((chosen?.version, rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_read_strictly_and_comes_back() {
        let read = |retention: Json| Policy::read(&json!({ "kind": "lww", "retention": retention }));
        let kept = |history, expire| Ok(Policy { retention: Retention { history, expire }, ..Policy::default() });
        assert_eq!(read(json!({ "history": "all" })), kept(None, None));
        assert_eq!(read(json!({ "history": "none" })), kept(Some(0), None));
        let both = json!({ "history": "2d", "expire": "30d" });
        assert_eq!(read(both.clone()), kept(Some(2), Some(30)));
        assert_eq!(read(both.clone()).map(|policy| policy.document()["retention"].clone()), Ok(both));
        for wrong in
            [json!("2d"), json!({}), json!({ "history": 2 }), json!({ "history": "2" }), json!({ "expire": "-1d" })]
        {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
