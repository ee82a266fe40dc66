//! The key of a space, for someone who is about to join it, before the log that hands it out has come.
//!
//! An invite's grant and wrapped key stand at the end of the inviter's log, where the newcomer has to read everything else first.
//! So whoever finds a newcomer's right to be there proved gives it the keys over the link, wrapped to the key its
//! device names. Nobody has to be trusted for that: entries name their key by its commitment, and a key is taken only
//! once a signed entry of the space names it.

use super::space::Space;
use super::{LinkId, Peer};
use crate::epoch::{EpochId, EpochKey, MAX_KEYS, Wrap};
use crate::wire::Frame;

/// A log this long says no more than who writes it and why it may.
const NEW: u64 = 2;

impl Peer {
    /// Gives the space's keys to a member that has only just shown its right to be there.
    pub(super) fn hand_keys(&mut self, id: LinkId, number: u32) {
        let (Some(link), Some(space)) = (self.links.get(&id), self.spaces.get(&number)) else { return };
        let peer = link.peer;
        if space.log(&peer).is_none_or(|(_, log)| log.tip.len > NEW) {
            return;
        }
        let Some(to) = space.authority.device(&peer).map(|device| device.wrap_key) else { return };
        let (key, epochs) = (space.row.key, space.row.epochs.clone());
        let newest = epochs.iter().rev().take(MAX_KEYS);
        let wraps: Vec<Wrap> = newest.filter_map(|epoch| Wrap::new(epoch, &key, to, &mut self.entropy)).collect();
        self.send(id, &Frame::Keys(key, wraps));
    }

    /// Keys have come for a space that is being joined.
    pub(super) fn keys_told(&mut self, number: u32, wraps: &[Wrap]) {
        let (Some(space), Some(keys)) = (self.spaces.get_mut(&number), &self.keys) else { return };
        if space.row.joined || space.row.ticket.is_none() {
            return;
        }
        for wrap in wraps {
            if space.early.len() >= MAX_KEYS {
                return;
            }
            if let Some(key) = wrap.open(&space.row.key, &keys.wrap).filter(|key| !space.early.contains(key)) {
                space.early.push(key);
            }
        }
    }
}

impl Space {
    /// The key with this name among those that came early.
    pub(super) fn early_key(&self, id: &EpochId) -> Option<&EpochKey> {
        self.early.iter().find(|key| key.id() == *id)
    }
}
