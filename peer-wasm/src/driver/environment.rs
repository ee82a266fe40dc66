//! What the core cannot know, gathered for the status: storage, relays, round trips, notes.

use kith_map::BTreeMap;
use kith_net::{Multiaddr, RelayState};
use kith_store::Usage;
use serde_json::{Map, Value as Json, json};
use std::collections::VecDeque;

/// Notes kept.
const MAX_NOTES: usize = 8;

/// What only the host knows.
#[derive(Default)]
pub(crate) struct Host {
    /// Bytes the browser grants the origin.
    pub(crate) quota: Option<f64>,
    /// Bytes the origin uses, by the browser's count.
    pub(crate) usage: Option<f64>,
    /// Whether the browser promised not to evict the data.
    pub(crate) persisted: Option<bool>,
    /// How many pages carry WebRTC.
    pub(crate) carriers: Option<f64>,
}

#[derive(Default)]
pub(super) struct Environment {
    pub(super) host: Host,
    pub(super) usage: Option<Usage>,
    relays: Vec<(Multiaddr, RelayState)>,
    round_trips: BTreeMap<u64, u32>,
    notes: VecDeque<String>,
}

impl Environment {
    pub(super) fn keep_relays(&mut self, relays: &[Multiaddr]) {
        let mut kept: Vec<(Multiaddr, RelayState)> = Vec::new();
        for address in relays {
            let state = self.relays.iter().find(|(known, _)| known == address).map(|(_, state)| state.clone());
            kept.push((address.clone(), state.unwrap_or(RelayState::Connecting)));
        }
        self.relays = kept;
    }

    /// Notes a relay's state. True if others can meet us there as of now.
    pub(super) fn relay(&mut self, address: &Multiaddr, state: &RelayState) -> bool {
        let reachable = *state == RelayState::Reserved;
        match self.relays.iter_mut().find(|(known, _)| known == address) {
            Some((_, held)) => {
                let better = reachable && *held != *state;
                *held = state.clone();
                better
            }
            None => false,
        }
    }

    pub(super) fn round_trip(&mut self, link: u64, ms: u32) {
        self.round_trips.insert(link, ms);
    }

    pub(super) fn forget_link(&mut self, link: u64) {
        self.round_trips.remove(&link);
    }

    pub(super) fn note(&mut self, text: String) {
        self.notes.retain(|note| *note != text);
        self.notes.push_back(text);
        if self.notes.len() > MAX_NOTES {
            self.notes.pop_front();
        }
    }

    pub(super) fn document(&self) -> Json {
        let bytes = |value: Option<f64>| value.map(|value| value as u64);
        let relays: Vec<Json> = self
            .relays
            .iter()
            .map(|(address, state)| {
                let (name, why) = match state {
                    RelayState::Connecting => ("connecting", None),
                    RelayState::Connected => ("connected", None),
                    RelayState::Reserved => ("reserved", None),
                    RelayState::Failed { why } => ("failed", Some(why)),
                };
                let mut relay = json!({ "addr": address.to_string(), "state": name });
                if let (Some(why), Some(members)) = (why, relay.as_object_mut()) {
                    members.insert("why".into(), why.as_str().into());
                }
                relay
            })
            .collect();
        let round_trips: Map<String, Json> =
            self.round_trips.iter().map(|(link, ms)| (link.to_string(), (*ms).into())).collect();
        json!({
            "storage": {
                "used": self.usage.map(|usage| usage.bytes),
                "budget": self.usage.map(|usage| usage.budget),
                "quota": bytes(self.host.quota),
                "browserUsed": bytes(self.host.usage),
                "persisted": self.host.persisted,
            },
            "relays": relays,
            "carriers": bytes(self.host.carriers),
            "rtt": round_trips,
            "notes": self.notes,
        })
    }
}
