//! What a peer says of itself.

use super::{Peer, links::Link};
use crate::document::MAX_VALUE;
use serde_json::{Map, Value as Json, json};

impl Peer {
    /// `GET /~/`: who this is and where it takes part.
    pub(super) fn info(&self) -> Json {
        let mut info = Map::new();
        info.insert("id".into(), self.device().map(|key| key.peer_id()).into());
        info.insert("identity".into(), self.identity().map(|key| key.did()).into());
        info.insert("version".into(), self.config.version.clone().into());
        info.insert("me".into(), self.space_rows.get(&self.me).map(|row| row.key.id()).into());
        info.insert("spaces".into(), Json::Array(self.space_list()));
        info.insert("networks".into(), json!([]));
        info.insert("limits".into(), json!({ "value": MAX_VALUE, "listing": 1000, "spaces": super::MAX_SPACES }));
        info.insert("links".into(), Json::Array(self.link_list()));
        Json::Object(info)
    }

    /// `GET /~/peer`: how it is doing.
    pub(super) fn status(&self) -> Json {
        let environment = |name: &str| self.environment.get(name).cloned();
        let mut status = Map::new();
        status.insert("id".into(), self.device().map(|key| key.peer_id()).into());
        status.insert("identity".into(), self.identity().map(|key| key.did()).into());
        status.insert("version".into(), self.config.version.clone().into());
        status.insert("storage".into(), environment("storage").unwrap_or(json!({})));
        status.insert("relays".into(), environment("relays").unwrap_or(json!([])));
        status.insert("links".into(), Json::Array(self.link_list()));
        status.insert("spaces".into(), Json::Array(self.space_list()));
        status.insert("notes".into(), environment("notes").unwrap_or(json!([])));
        let refused = self.refused.iter().map(|(what, count)| ((*what).to_owned(), Json::from(*count)));
        status.insert("refused".into(), Json::Object(refused.collect()));

        status.insert("quarantined".into(), self.quarantine());
        Json::Object(status)
    }

    pub(super) fn link_list(&self) -> Vec<Json> {
        self.links
            .iter()
            .map(|(id, link)| {
                json!({
                    "peer": link.peer.peer_id(),
                    "path": link.path.name(),
                    "state": if link.is_member() { "syncing" } else { "connected" },
                    "rttMs": self.environment.get("rtt").and_then(|rtt| rtt.get(id.0.to_string())).cloned(),
                    "bytesIn": link.bytes_in,
                    "bytesOut": link.bytes_out,
                })
            })
            .collect()
    }

    /// Each space with what can be said without reading its tree. Spaces not in use yet show less.
    pub(super) fn space_list(&self) -> Vec<Json> {
        self.space_rows
            .iter()
            .map(|(number, row)| {
                let mut item = json!({ "id": row.key.id(), "name": row.name, "me": *number == self.me });
                let Some(members) = item.as_object_mut() else { return item };
                let founder = if row.archive { "reader" } else { "owner" };
                let role = row.ticket.as_ref().map_or(founder, |ticket| ticket.role.name());
                members.insert("role".into(), role.into());
                let state = match (row.archive, row.joined) {
                    (true, _) => "archive",
                    (false, true) => "ready",
                    (false, false) => "joining",
                };
                members.insert("state".into(), state.into());
                let peers = self.links.values().filter(|link| Link::shares(link, *number)).count();
                members.insert("peers".into(), peers.into());
                if let Some(space) = self.spaces.get(number) {
                    let others = space.authority.members().count().saturating_sub(1);
                    let own = self.own_log(space).and_then(|log| space.logs.get(log as usize));
                    let stored = space.acks.values().map(|acked| acked.len).max().unwrap_or(0);
                    let pending = own.map_or(0, |log| log.tip.len.saturating_sub(stored));
                    members.insert("collecting".into(), space.collecting().into());
                    members.insert("missing".into(), space.gone.missing.into());
                    members.insert("damaged".into(), space.gone.holes.into());
                    members.insert("entries".into(), space.entries().into());
                    members.insert("members".into(), (others + 1).into());
                    members.insert("held".into(), self.held(*number, space).into());
                    members.insert("arriving".into(), self.arriving(*number).into());
                    members.insert("pending".into(), if others == 0 { 0 } else { pending }.into());
                }
                item
            })
            .collect()
    }
}
