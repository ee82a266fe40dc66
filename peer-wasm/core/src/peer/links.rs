//! Links: who is at the other end, and what is being said about each space both take part in.
//!
//! A link begins with tokens. For each space both know, each side shows its right to be there, then says what it
//! has. Each asks for what it lacks; own new entries are sent without being asked for. What a peer says it has, it
//! has stored: that is how far a write is known to have travelled.

use super::commit::{Effect, Unit};
use super::fork::Search;
use super::rows;
use super::space::{Space, read_entries};
use super::{Done, Job, LinkId, LinkPath, MAX_LINKS, Output, Peer};
use crate::codec::Writer;
use crate::entry::{Entry, EntryError, Kind};
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::rows::{Batch, Table};
use crate::wire::{self, Frame, MAX_ITEMS, Token};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Bytes of entries waiting to be taken in, per session; the sender's window keeps honest ones below.
const MAX_INBOX: usize = 12 << 20;
/// How long a peer that broke the rules is not dialled again, in milliseconds.
const SHUN: u64 = 60_000;
/// How long a peer that was asked for a log may send nothing of it, in milliseconds.
const PATIENCE: u64 = 10_000;
/// What was said on a link is said again after this time, in milliseconds, in case it was not heard …
const REPEAT: u64 = 60_000;
/// … for this many logs of a space at a time.
const REPEAT_LOGS: usize = 256;
/// Damaged frames after which a link is closed.
const MAX_STRIKES: u32 = 8;

/// A link to another peer.
pub(super) struct Link {
    pub(super) peer: PublicKey,
    pub(super) path: LinkPath,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Bytes given to the network that have not left yet.
    pub(super) queued: usize,
    pub(super) sessions: BTreeMap<u32, Session>,
    tokens: BTreeSet<Token>,
    strikes: u32,
    /// When everything is said again, and from which log on.
    repeat_at: u64,
    repeat_from: usize,
}

/// What two peers have said about one space.
#[derive(Default)]
pub(super) struct Session {
    /// The other peer has shown its right to be here.
    pub(super) member: bool,
    /// The entries it showed for that.
    pub(super) credentials: Vec<Vec<u8>>,
    /// What it has stored, by log.
    pub(super) theirs: BTreeMap<PublicKey, (u64, [u8; 32])>,
    /// Logs it has been asked for: up to where, and when it last sent some of it.
    pub(super) asked: BTreeMap<PublicKey, (u64, u64)>,
    /// Logs not taken for now: until who may do what changes, or until this time.
    pub(super) held: BTreeMap<PublicKey, u64>,
    /// What to send: log and from where.
    pub(super) serving: VecDeque<(PublicKey, u64)>,
    /// Up to where each log has been sent.
    pub(super) sent: BTreeMap<PublicKey, u64>,
    /// Bytes sent since it last said what it has.
    pub(super) unconfirmed: usize,
    pub(super) is_serving: bool,
    /// Entries that came in, with their bytes.
    pub(super) inbox: VecDeque<(Vec<Entry>, usize)>,
    inbox_bytes: usize,
    /// It sent entries and has not been told since what we have.
    owes: bool,
    /// Forked logs it has been told of because it had more than counts.
    told_forks: BTreeSet<PublicKey>,
    pub(super) search: Option<Search>,
}

impl Session {
    /// Drops the frame that has been taken in.
    pub(super) fn take_from_inbox(&mut self) {
        if let Some((_, bytes)) = self.inbox.pop_front() {
            self.inbox_bytes = self.inbox_bytes.saturating_sub(bytes);
        }
    }
}

impl Link {
    /// Whether the other peer is a member of any space we have.
    pub(super) fn is_member(&self) -> bool {
        self.sessions.values().any(|session| session.member)
    }

    /// Whether the other peer takes part in this space.
    pub(super) fn shares(&self, space: u32) -> bool {
        self.sessions.get(&space).is_some_and(|session| session.member)
    }
}

impl Peer {
    pub(super) fn link_up(&mut self, id: LinkId, peer: PublicKey, path: LinkPath) {
        if self.links.len() >= MAX_LINKS {
            self.outputs.push_back(Output::HangUp(id, "too many links"));
            return;
        }
        self.dials.reached(&peer);
        let link = Link {
            peer,
            path,
            bytes_in: 0,
            bytes_out: 0,
            queued: 0,
            sessions: BTreeMap::new(),
            tokens: BTreeSet::new(),
            strikes: 0,
            repeat_at: self.now + REPEAT,
            repeat_from: 0,
        };
        self.links.insert(id, link);
        if self.booted {
            self.open_link(id);
        }
        self.status_changed();
    }

    pub(super) fn link_down(&mut self, id: LinkId) {
        if let Some(link) = self.links.remove(&id) {
            for space in link.sessions.keys() {
                self.preparing.remove(&(id, *space));
                self.ask_everyone(*space);
                self.ingest_next(*space);
            }
            let still_linked = self.links.values().any(|other| other.peer == link.peer);
            if !still_linked {
                self.dials.lost(link.peer, self.now);
            }
            self.status_changed();
        }
    }

    pub(super) fn hang_up(&mut self, id: LinkId, why: &'static str) {
        if self.links.contains_key(&id) {
            self.outputs.push_back(Output::HangUp(id, why));
            self.link_down(id);
        }
    }

    pub(super) fn sent(&mut self, id: LinkId, bytes: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.queued = link.queued.saturating_sub(bytes);
        for space in link.sessions.keys().copied().collect::<Vec<_>>() {
            self.serve_next(id, space);
        }
    }

    pub(super) fn send(&mut self, id: LinkId, frame: &Frame) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let bytes = frame.encode();
        link.bytes_out += bytes.len() as u64;
        link.queued += bytes.len();
        self.outputs.push_back(Output::Send(id, bytes));
    }

    /// Tells the other peer, in words only it can read, which spaces we take part in.
    pub(super) fn open_link(&mut self, id: LinkId) {
        let (Some(link), Some(own)) = (self.links.get(&id), self.device()) else { return };
        let peer = link.peer;
        let tokens: Vec<Token> = self
            .space_rows
            .iter()
            .filter(|(number, _)| **number != self.me)
            .take(wire::MAX_TOKENS)
            .map(|(_, row)| wire::token(&row.key, &own, &peer))
            .collect();
        self.send(id, &Frame::Open(tokens));
        self.match_tokens(id);
    }

    /// Tells every link of a space that is new here.
    pub(super) fn announce_space(&mut self) {
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.open_link(id);
        }
    }

    /// Begins to talk about every space whose token has come in.
    fn match_tokens(&mut self, id: LinkId) {
        let (Some(link), Some(own)) = (self.links.get_mut(&id), self.keys.as_ref().map(|k| k.device.public())) else {
            return;
        };
        let mut met = Vec::new();
        for (number, row) in &self.space_rows {
            let shared = link.tokens.contains(&wire::token(&row.key, &link.peer, &own));
            if shared && *number != self.me && !link.sessions.contains_key(number) {
                link.sessions.insert(*number, Session::default());
                met.push(*number);
            }
        }
        for number in met {
            self.start(Job::Meet(id, number));
        }
    }

    /// Shows our right to be in the space.
    pub(super) fn meet(&mut self, id: LinkId, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(space) = self.space(number, lens)? else { return Ok(Done::Nothing) };
        let key = space.row.key;
        let Some(device) = self.device() else { return Ok(Done::Nothing) };
        let Some((own, durable)) = self.spaces.get(&number).and_then(|s| s.log(&device)).map(|(n, l)| (n, l.durable))
        else {
            return Ok(Done::Nothing);
        };
        let entries = read_entries(lens, number, own, 0, 2.min(durable))?;
        let credentials: Vec<Vec<u8>> = entries
            .iter()
            .filter(|entry| matches!(entry.header.kind, Kind::Device | Kind::Grant))
            .map(|entry| entry.raw().to_vec())
            .collect();
        self.send(id, &Frame::Hello(key, credentials));
        self.check_member(id, number);
        let joining = self.spaces.get(&number).is_some_and(|space| !space.authority.is_founded());
        if joining {
            self.say_what_we_have(id, number);
        }
        Ok(Done::Nothing)
    }

    /// Begins to share the space's data if the other peer is a member.
    pub(super) fn check_member(&mut self, id: LinkId, number: u32) {
        let (Some(link), Some(space)) = (self.links.get_mut(&id), self.spaces.get(&number)) else { return };
        let role = space.authority.role(&link.peer);
        let Some(session) = link.sessions.get_mut(&number) else { return };
        if !session.member && role.is_some() {
            session.member = true;
            let proofs: Vec<_> = space.forks.values().cloned().collect();
            let key = space.row.key;
            for proof in proofs {
                self.send(id, &Frame::Fork(key, Box::new(proof)));
            }
            self.say_what_we_have(id, number);
            self.ask(id, number);
            self.status_changed();
        }
    }

    fn say_what_we_have(&mut self, id: LinkId, number: u32) {
        let Some(space) = self.spaces.get(&number) else { return };
        let logs: Vec<u32> = (0..space.logs.len() as u32).collect();
        self.say_have(id, number, &logs);
    }

    fn say_have(&mut self, id: LinkId, number: u32, logs: &[u32]) {
        let Some(space) = self.spaces.get(&number) else { return };
        let key = space.row.key;
        let items: Vec<_> = logs
            .iter()
            .filter_map(|log| space.logs.get(*log as usize))
            .filter(|log| log.durable > 0 && log.durable == log.tip.len)
            .map(|log| (log.key, log.tip.len, log.tip.hash))
            .collect();
        for chunk in items.chunks(MAX_ITEMS) {
            self.send(id, &Frame::Have(key, chunk.to_vec()));
        }
    }

    /// Logs of a space have grown and are stored: tell everyone, and send our own entries at once.
    pub(super) fn grew(&mut self, number: u32, logs: &[u32]) {
        let Some(space) = self.spaces.get(&number) else { return };
        let own = self.own_log(space);
        let joining = !space.authority.is_founded();
        let own_key = self.device();
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            let (Some(link), Some(space)) = (self.links.get_mut(&id), self.spaces.get(&number)) else { continue };
            let peer = link.peer;
            let Some(session) = link.sessions.get_mut(&number) else { continue };
            if !session.member && !joining {
                continue;
            }
            let mut told: Vec<u32> = logs.to_vec();
            if let (Some(own), Some(own_key)) = (own, own_key)
                && logs.contains(&own)
                && session.member
            {
                let theirs = session.theirs.get(&own_key).map_or(0, |(len, _)| *len);
                let from = theirs.max(session.sent.get(&own_key).copied().unwrap_or(0));
                if !session.serving.iter().any(|(log, _)| *log == own_key) {
                    session.serving.push_back((own_key, from));
                }
                told.retain(|log| *log != own);
            }
            // Who has it already need not hear that we do, unless it waits for that: as the author or the sender.
            let owes = std::mem::take(&mut session.owes);
            told.retain(|log| {
                space.logs.get(*log as usize).is_some_and(|log| {
                    owes || log.key == peer || session.theirs.get(&log.key).is_none_or(|(len, _)| *len < log.tip.len)
                })
            });
            if !told.is_empty() {
                self.say_have(id, number, &told);
            }
            self.serve_next(id, number);
        }
    }

    pub(super) fn frame(&mut self, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.bytes_in += bytes.len() as u64;
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(_) => {
                return self.offence(id, "malformed-frame");
            }
        };
        if let Frame::Open(tokens) = frame {
            let Some(link) = self.links.get_mut(&id) else { return };
            link.tokens.extend(tokens);
            if link.tokens.len() > wire::MAX_TOKENS {
                return self.strike(id, "too-many-tokens");
            }
            return self.match_tokens(id);
        }
        let number = frame.space().and_then(|key| self.space_number(&key));
        let Some(number) = number.filter(|number| *number != self.me) else { return self.strike(id, "unknown-space") };
        let Some(link) = self.links.get_mut(&id) else { return };
        // Whoever knows the space's id may begin to talk about it; its data is for members.
        let mut new = false;
        let session = link.sessions.entry(number).or_insert_with(|| {
            new = true;
            Session::default()
        });
        match frame {
            Frame::Hello(_, entries) => {
                session.credentials = entries;
                self.credentials(id, number);
            }
            Frame::Entries(_, entries) => self.entries(id, number, &entries),
            Frame::Have(_, items) => self.have(id, number, items),
            Frame::Want(_, items) => self.want(id, number, items),
            Frame::Fork(_, proof) => self.fork_told(id, number, *proof),
            Frame::Ask(_, log, places) => self.fork_asked(id, number, log, places),
            Frame::Tell(_, log, found) => self.fork_answer(id, number, log, found),
            Frame::Refused(_, log, _, _) => {
                // Do not send that log again on this link until the other side says where it stands.
                session.serving.retain(|(serving, _)| *serving != log);
            }
            Frame::Open(_) => {}
        }
        if new {
            self.start(Job::Meet(id, number));
        }
    }

    /// A frame that no honest peer of this version sends. A few are forgiven, then the link is closed.
    pub(super) fn strike(&mut self, id: LinkId, what: &'static str) {
        self.refuse_from(id, what);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.strikes += 1;
        if link.strikes > MAX_STRIKES {
            self.shun(id, what);
        }
    }

    /// Something no honest peer of any version sends. The transport lets no damage through, so this is no accident;
    /// and what was lost with it cannot be guessed, while a new link begins with everything.
    pub(super) fn offence(&mut self, id: LinkId, what: &'static str) {
        self.refuse_from(id, what);
        self.shun(id, what);
    }

    /// Closes a link and stays away from who was at its other end for a while.
    pub(super) fn shun(&mut self, id: LinkId, what: &'static str) {
        let peer = self.links.get(&id).map(|link| link.peer);
        self.hang_up(id, what);
        if let Some(peer) = peer {
            self.dials.shun(peer, self.now + SHUN);
        }
    }

    /// Takes in what the other peer shows of its right to be here.
    fn credentials(&mut self, id: LinkId, number: u32) {
        self.check_member(id, number);
        let Some(link) = self.links.get(&id) else { return };
        let Some(session) = link.sessions.get(&number) else { return };
        if !session.member && !session.credentials.is_empty() {
            let entries = session.credentials.clone();
            self.entries(id, number, &entries);
        }
    }

    /// Puts entries in the inbox. They are decoded here, so that damage is known by its sender.
    fn entries(&mut self, id: LinkId, number: u32, raw: &[Vec<u8>]) {
        let mut entries = Vec::with_capacity(raw.len());
        for bytes in raw {
            match Entry::decode(bytes) {
                Ok(entry) => entries.push(entry),
                Err(error @ (EntryError::KindNotSupported(_) | EntryError::VersionNotSupported(_))) => {
                    self.strike(id, error.name());
                    break;
                }
                Err(error) => return self.offence(id, error.name()),
            }
        }
        let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) else { return };
        let bytes = entries.iter().map(|entry| entry.raw().len()).sum();
        if session.inbox_bytes + bytes > MAX_INBOX {
            return self.strike(id, "inbox-full");
        }
        if !entries.is_empty() {
            session.owes = true;
            session.inbox_bytes += bytes;
            session.inbox.push_back((entries, bytes));
            self.ingest_next(number);
        }
    }

    fn have(&mut self, id: LinkId, number: u32, items: Vec<(PublicKey, u64, [u8; 32])>) {
        let own = self.device();
        let Some(link) = self.links.get_mut(&id) else { return };
        let peer = link.peer;
        let Some(session) = link.sessions.get_mut(&number) else { return };
        session.unconfirmed = 0;
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
        if let (Some(len), Some(space)) = (ack, self.spaces.get_mut(&number)) {
            // Nobody has more of our log than there is.
            let most = own.and_then(|own| space.log(&own)).map_or(0, |(_, log)| log.tip.len);
            let known = space.acks.entry(peer).or_insert(0);
            let better = len.min(most);
            if space.authority.role(&peer).is_some() && better > *known {
                *known = better;
                let value = Writer::new().number(better).finish();
                let batch =
                    Batch { puts: vec![(Table::Head, rows::ack_key(number, &peer), value)], ..Batch::default() };
                self.write(Unit { batch, effects: Vec::<Effect>::new() });
                self.status_changed();
            }
        }
        self.ask(id, number);
        self.serve_next(id, number);
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

    /// Asks for what the other peer has and we lack, unless someone else is sending it.
    pub(super) fn ask(&mut self, id: LinkId, number: u32) {
        let Some(space) = self.spaces.get(&number) else { return };
        let joining = !space.authority.is_founded();
        let Some(session) = self.links.get(&id).and_then(|link| link.sessions.get(&number)) else { return };
        if !session.member && !joining || self.is_paused() {
            return;
        }
        let mut wants: Vec<(PublicKey, u64)> = Vec::new();
        let mut targets: Vec<(PublicKey, (u64, u64))> = Vec::new();
        let mut forks: Vec<PublicKey> = Vec::new();
        for (log, (len, hash)) in &session.theirs {
            let tip = space.log(log).map_or(crate::entry::Tip::EMPTY, |(_, log)| log.tip);
            // A forked log counts up to where its histories part.
            let len = &space.cut(log).map_or(*len, |cut| cut.min(*len));
            if space.forks.contains_key(log) && *len <= tip.len {
                continue;
            }
            if *len == tip.len && *hash != tip.hash && tip.len > 0 {
                forks.push(*log);
            }
            if *len <= tip.len {
                continue;
            }
            let mut asked = self.links.values().filter_map(|link| link.sessions.get(&number)?.asked.get(log));
            let asked_elsewhere = asked.any(|(upto, at)| *upto >= *len && self.now < at + PATIENCE);
            let held = session.held.get(log).is_some_and(|until| self.now < *until);
            if !asked_elsewhere && !held && wants.len() < MAX_ITEMS {
                wants.push((*log, tip.len));
                targets.push((*log, (*len, self.now)));
            }
        }
        // Who may do what comes before what they did.
        let rank =
            |log: &PublicKey| (*log != space.row.key, space.authority.role(log) != Some(crate::api::Role::Owner));
        wants.sort_unstable_by_key(|(log, _)| (rank(log), *log));
        let key = space.row.key;
        if !wants.is_empty() {
            if let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) {
                session.asked.extend(targets);
            }
            self.send(id, &Frame::Want(key, wants));
        }
        for log in forks {
            self.suspect_fork(id, number, log, Vec::new());
        }
    }

    /// A log has grown to this length.
    pub(super) fn progress(&mut self, number: u32, log: PublicKey, len: u64) {
        let now = self.now;
        for session in self.links.values_mut().filter_map(|link| link.sessions.get_mut(&number)) {
            if let Some((upto, at)) = session.asked.get_mut(&log) {
                *at = now;
                if len >= *upto {
                    session.asked.remove(&log);
                }
            }
        }
    }

    /// Who was asked for a log and sends nothing is not asked for it again for a while; others are.
    pub(super) fn give_up_waiting(&mut self) {
        let now = self.now;
        let mut late = Vec::new();
        for link in self.links.values_mut() {
            for (number, session) in &mut link.sessions {
                let slow: Vec<PublicKey> =
                    session.asked.iter().filter(|(_, (_, at))| now >= at + PATIENCE).map(|(log, _)| *log).collect();
                for log in slow {
                    session.asked.remove(&log);
                    session.held.insert(log, now + 3 * PATIENCE);
                    late.push(*number);
                }
            }
        }
        late.sort_unstable();
        late.dedup();
        for number in late {
            self.ask_everyone(number);
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
            let from = link.repeat_from;
            link.repeat_from = from.wrapping_add(REPEAT_LOGS);
            let sessions: Vec<(u32, bool)> = link.sessions.iter().map(|(number, s)| (*number, s.member)).collect();
            for (number, member) in sessions {
                if !member {
                    self.start_later(Job::Meet(id, number));
                    continue;
                }
                let count = self.spaces.get(&number).map_or(0, |space| space.logs.len());
                let logs: Vec<u32> = (0..REPEAT_LOGS.min(count)).map(|log| ((from + log) % count) as u32).collect();
                self.say_have(id, number, &logs);
            }
        }
    }

    /// Asks every link for what we lack of a space.
    pub(super) fn ask_everyone(&mut self, number: u32) {
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.ask(id, number);
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
