//! Who has what of a space: said, asked for, and asked for again where it did not come.

use super::commit::{Effect, Unit};
use super::links::{REPEAT, Session};
use super::space::Space;
use super::{Job, LinkId, Peer, rows};
use crate::entry::Tip;
use crate::identity::PublicKey;
use crate::rows::{Batch, Table};
use crate::wire::{Frame, LogHead, MAX_ITEMS};

/// Own entries are sent unasked to who lacks at most this many.
const PUSHED: u64 = 64;
/// Entries that show the right to be in a space: device and grant.
const CREDENTIALS: u64 = 2;

impl Session {
    /// Whether new entries of our own log are sent unasked, and if so from where on; notes them as to be sent.
    fn pushes(&mut self, own: &PublicKey, len: u64) -> bool {
        let sent = self.sent.get(own).copied().unwrap_or(0);
        let from = self.theirs.get(own).map_or(0, |(theirs, _)| *theirs).max(sent);
        let near = self.member && self.compared.heard && len.saturating_sub(from) <= PUSHED;
        if near && from < len && !self.serving.iter().any(|(log, _)| log == own) {
            self.serving.push_back((*own, from));
        }
        near
    }

    /// The other peer has shown this much of a log, without telling.
    pub(super) fn heard_of(&mut self, log: PublicKey, tip: Tip) {
        let is_more = self.theirs.get(&log).map_or(self.theirs.len() < super::MAX_LOGS, |(len, _)| *len < tip.len);
        if is_more {
            self.theirs.insert(log, (tip.len, tip.hash));
        }
    }
}

impl Peer {
    pub(super) fn say_have(&mut self, id: LinkId, number: u32, logs: &[PublicKey]) {
        let Some(space) = self.spaces.get(&number) else { return };
        let key = space.row.key;
        let stored = |log: &PublicKey| space.stored.get(log).map(|tip| (*log, tip.len, tip.hash));
        let items: Vec<_> = logs.iter().filter_map(stored).collect();
        for chunk in items.chunks(MAX_ITEMS) {
            self.send(id, &Frame::Have(key, chunk.to_vec()));
        }
    }

    /// Logs of a space have grown and are stored: tell everyone, and send our own entries at once.
    pub(super) fn grew(&mut self, number: u32, logs: &[u32]) {
        let Some(space) = self.spaces.get(&number) else { return };
        let joining = !space.authority.is_founded();
        let own = self.device();
        let grown: Vec<(PublicKey, u64)> = logs
            .iter()
            .filter_map(|log| space.logs.get(*log as usize))
            .filter_map(|log| Some((log.key, space.stored.get(&log.key)?.len)))
            .collect();
        // Who was greeted before the right to be here was stored has not been shown it.
        let begins = grown.iter().any(|(log, len)| Some(*log) == own && *len <= CREDENTIALS);
        let busy = self.commits.is_busy();
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            let Some(link) = self.links.get_mut(&id) else { continue };
            let peer = link.peer;
            let Some(session) = link.sessions.get_mut(&number) else { continue };
            if begins {
                self.commits.later.push(Job::Meet(id, number));
            }
            if !session.member && !joining {
                continue;
            }
            let mut told = grown.clone();
            if let Some((log, len)) = told.iter().find(|(log, _)| Some(*log) == own).copied()
                && session.pushes(&log, len)
            {
                told.retain(|(told, _)| *told != log);
            }
            // Who has it already need not hear that we do, unless it waits for that: as the author or the sender.
            let owes = session.owes;
            let more = busy || self.inboxes.has(number, id);
            told.retain(|(log, len)| {
                owes || *log == peer || session.theirs.get(log).is_none_or(|(theirs, _)| theirs < len)
            });
            let told: Vec<PublicKey> = told.into_iter().map(|(log, _)| log).collect();
            if !told.is_empty() {
                // The rest is said as it is stored; and where nothing is said, as when only our own log has grown, another time.
                session.owes &= more;
                self.say_have(id, number, &told);
            }
            self.serve_next(id, number);
            // Who was let finish may not have had everything.
            let Some(session) = self.session(id, number) else { continue };
            let more = |(log, len): &&(PublicKey, u64)| session.theirs.get(log).is_some_and(|(theirs, _)| theirs > len);
            let more: Vec<PublicKey> = grown.iter().filter(more).map(|(log, _)| *log).collect();
            if !more.is_empty() {
                self.ask_for(id, number, Some(&more));
            }
        }
    }

    /// A member that sent something of which nothing was stored, because it was known or is not taken, waits for a word all the same
    /// before it sends more: that nothing of it is left to be taken in. Strangers are told nothing.
    pub(super) fn confirm_rest(&mut self) {
        if self.commits.is_busy() {
            return;
        }
        let mut due = Vec::new();
        let joining = |number: &u32| self.spaces.get(number).is_some_and(|space| !space.authority.is_founded());
        for (id, link) in &mut self.links {
            for (number, session) in &mut link.sessions {
                let told = session.member || joining(number);
                if told && session.owes && !self.inboxes.has(*number, *id) {
                    session.owes = false;
                    due.push((*id, *number));
                }
            }
        }
        for (id, number) in due {
            if let Some(key) = self.spaces.get(&number).map(|space| space.row.key) {
                self.send(id, &Frame::Have(key, Vec::new()));
            }
        }
    }

    pub(super) fn have(&mut self, id: LinkId, number: u32, items: Vec<LogHead>) {
        let own = self.device();
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(session) = link.sessions.get_mut(&number) else { return };
        session.window.confirmed(items.iter().map(|(log, len, _)| (*log, *len)));
        session.compared.heard = true;
        let logs: Vec<PublicKey> = items.iter().map(|(log, ..)| *log).collect();
        let mut ack = None;
        for (log, len, hash) in items {
            if session.theirs.len() >= super::MAX_LOGS && !session.theirs.contains_key(&log) {
                break;
            }
            if Some(log) == own {
                ack = Some(len);
            }
            session.theirs.insert(log, (len, hash));
        }
        self.tell_of_forks(id, number);
        if let Some(len) = ack {
            self.acknowledged(id, number, len);
        }
        self.ask_for(id, number, Some(&logs));
        self.serve_next(id, number);
    }

    /// The other peer has stored this much of our own log.
    pub(super) fn acknowledged(&mut self, id: LinkId, number: u32, len: u64) {
        let own = self.device();
        let Some(peer) = self.links.get(&id).map(|link| link.peer) else { return };
        let Some(space) = self.spaces.get_mut(&number) else { return };
        // Nobody has more of our log than there is.
        let most = own.and_then(|own| space.stored.get(&own)).map_or(0, |tip| tip.len);
        let known = space.acks.entry(peer).or_default();
        let better = len.min(most);
        if space.authority.role(&peer).is_some() && better > known.len {
            known.grow(better, self.now);
            let value = known.encode();
            let batch = Batch { puts: vec![(Table::Head, rows::ack_key(number, &peer), value)], ..Batch::default() };
            self.write(Unit { batch, effects: Vec::<Effect>::new() });
            self.status_changed();
        }
    }

    /// Tells a member that has more of a forked log than counts where its histories part.
    fn tell_of_forks(&mut self, id: LinkId, number: u32) {
        let Some(space) = self.spaces.get(&number).filter(|space| !space.forks.is_empty()) else { return };
        let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) else { return };
        let Session { member, theirs, told_forks, .. } = session;
        let has_more = |log: &PublicKey, cut: u64| theirs.get(log).is_some_and(|(len, _)| *len > cut);
        let proofs: Vec<_> = space
            .forks
            .iter()
            .filter(|(log, proof)| *member && has_more(log, proof.seq) && told_forks.insert(**log))
            .map(|(_, proof)| proof.clone())
            .collect();
        let key = space.row.key;
        for proof in proofs {
            self.send(id, &Frame::Fork(key, Box::new(proof)));
        }
    }

    /// Says again, now and then, what was said before: what got lost on either side is made good.
    pub(super) fn repeat(&mut self) {
        let now = self.now;
        let due: Vec<LinkId> = self.links.iter().filter(|(_, link)| now >= link.repeat_at).map(|(id, _)| *id).collect();
        for id in due {
            self.open_link(id);
            let Some(link) = self.links.get_mut(&id) else { continue };
            link.repeat_at = now + REPEAT;
            let sessions: Vec<(u32, bool)> = link.sessions.iter().map(|(number, s)| (*number, s.member)).collect();
            for (number, member) in sessions {
                if !member {
                    self.start_later(Job::Meet(id, number));
                    continue;
                }
                self.say_sum(id, number);
            }
        }
    }

    /// Who may do what in a space has changed: logs held back may be welcome now, and peers be members.
    pub(super) fn authority_changed(&mut self, number: u32) {
        if self.spaces.get(&number).is_some_and(|space| space.row.ticket.is_some() && !space.row.joined) {
            self.announce_space();
        }
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) else {
                continue;
            };
            session.held.clear();
            self.credentials(id, number);
            self.ask(id, number);
        }
        self.dials.hurry();
        self.status_changed();
    }
}

/// Whether the space has room for another log.
pub(super) fn has_room(space: &Space) -> bool {
    space.logs.len() < super::MAX_LOGS
}
