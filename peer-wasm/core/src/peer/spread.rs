//! How far writes have travelled: which peers have stored how much of the own log, and since when; and who else is
//! known to have an entry of somebody else.

use super::Peer;
use super::links::Link;
use super::space::Space;
use crate::api::{Reply, Role};
use crate::codec::{CodecError, Reader, Writer};
use crate::identity::PublicKey;
use crate::version::{Agent, Version};
use serde_json::{Value as Json, json};

/// Steps kept for each peer; of older ones it is known that they were earlier than the oldest kept.
const MAX_STEPS: usize = 16;

/// What another peer has stored of the own log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acked {
    /// So many entries.
    pub(super) len: u64,
    /// How that came about: so many entries, as said at this time. Rising, the oldest first.
    steps: Vec<(u64, u64)>,
}

impl Acked {
    /// It says that it has so much now.
    pub(super) fn grow(&mut self, len: u64, now: u64) {
        self.len = len;
        self.steps.push((len, now));
        if self.steps.len() > MAX_STEPS {
            self.steps.remove(0);
        }
    }

    /// When it said so last; 0 if no time was noted.
    pub(super) fn at(&self) -> u64 {
        self.steps.last().map_or(0, |(_, at)| *at)
    }

    /// Since when it is known to have the entry; `None` if it has not, or if no time was noted.
    fn since(&self, seq: u64) -> Option<u64> {
        self.steps.iter().find(|(len, _)| *len > seq).map(|(_, at)| *at)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.number(self.len).number(self.steps.len() as u64);
        for (len, at) in &self.steps {
            writer.number(*len).number(*at);
        }
        writer.finish()
    }

    /// Rows of earlier releases hold the length alone.
    pub(super) fn decode(row: &[u8]) -> Result<Acked, CodecError> {
        let mut reader = Reader::new(row);
        let mut acked = Acked { len: reader.number()?, steps: Vec::new() };
        let count = reader.number().unwrap_or(0).min(MAX_STEPS as u64);
        for _ in 0..count {
            acked.steps.push((reader.number()?, reader.number()?));
        }
        Ok(acked)
    }
}

impl Peer {
    /// `GET /~/<space>/$sync`: how far the own writes have travelled, or these versions.
    pub(super) fn spread(&self, number: u32, versions: &[Version]) -> Reply {
        let Some(space) = self.spaces.get(&number) else { return Reply::Document(Json::Null) };
        if versions.is_empty() {
            return Reply::Document(self.spread_of_space(number, space));
        }
        let mut items = Vec::new();
        for version in versions {
            if !space.has(version) {
                return Reply::Refused(crate::api::Refusal::VersionUnknown { missing: versions.to_vec() });
            }
            let peers = self.holders(number, space, version);
            items.push(json!({ "version": version.to_string(), "state": state(peers.len()), "peers": peers }));
        }
        Reply::Document(json!({ "items": items }))
    }

    fn spread_of_space(&self, number: u32, space: &Space) -> Json {
        let own = self.own_log(space).and_then(|log| space.logs.get(log as usize)).map_or(0, |log| log.tip.len);
        let device = self.device();
        let others = space.authority.members().filter(|(log, ..)| Some(**log) != device);
        let mut best = 0;
        let peers: Vec<Json> = others
            .map(|(log, device, role)| {
                let acked = space.acks.get(log);
                let stored = acked.map_or(0, |acked| acked.len.min(own));
                best = best.max(stored);
                json!({
                    "peer": log.peer_id(),
                    "identity": device.identity.did(),
                    "role": Role::name(role),
                    "linked": self.is_linked(number, log),
                    "stored": stored,
                    "since": acked.and_then(|acked| acked.since(stored.checked_sub(1)?)),
                })
            })
            .collect();
        let pending = if peers.is_empty() { 0 } else { own.saturating_sub(best) };
        let holders = peers.iter().filter(|peer| peer.get("stored").and_then(Json::as_u64) == Some(own)).count();
        json!({ "entries": own, "pending": pending, "state": state(if own == 0 { 0 } else { holders }), "peers": peers })
    }

    fn is_linked(&self, number: u32, peer: &PublicKey) -> bool {
        self.links.values().any(|link| link.peer == *peer && Link::shares(link, number))
    }

    /// Who is known to have this entry.
    fn holders(&self, number: u32, space: &Space, version: &Version) -> Vec<Json> {
        let peer = |peer: &PublicKey, since: Option<u64>| json!({ "peer": peer.peer_id(), "since": since });
        let own = self.device();
        if own.is_some_and(|own| Agent::of(&own.0) == version.agent) {
            let has = space.acks.iter().filter(|(_, acked)| acked.len > version.seq);
            return has.map(|(key, acked)| peer(key, acked.since(version.seq))).collect();
        }
        let Some(author) = space.logs.iter().map(|log| log.key).find(|log| Agent::of(&log.0) == version.agent) else {
            return Vec::new();
        };
        let shows = |link: &&Link| {
            let theirs = link.sessions.get(&number).and_then(|session| session.theirs.get(&author));
            link.peer != author && theirs.is_some_and(|(len, _)| *len > version.seq)
        };
        let others = self.links.values().filter(shows).map(|link| link.peer);
        let all: kith_map::BTreeSet<PublicKey> = others.chain([author]).collect();
        all.iter().map(|key| peer(key, None)).collect()
    }
}

fn state(peers: usize) -> String {
    if peers == 0 { "local".to_owned() } else { format!("peers={peers}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_is_known_since_when_a_peer_has_an_entry() {
        let mut acked = Acked::default();
        for step in 1..=40 {
            acked.grow(step * 2, step * 100);
        }
        assert_eq!((acked.len, acked.steps.len()), (80, MAX_STEPS));
        assert_eq!((acked.since(79), acked.since(78), acked.since(77)), (Some(4000), Some(4000), Some(3900)));
        // Not later than the oldest that is kept; and not at all.
        assert_eq!((acked.since(0), acked.since(80)), (Some(2500), None));
        assert_eq!(Acked::decode(&acked.encode()).unwrap(), acked);
        let old = Writer::new().number(7).finish();
        assert_eq!(Acked::decode(&old).unwrap(), Acked { len: 7, steps: Vec::new() });
    }
}
