//! Links: who is at the other end, and what is being said about each space both take part in.
//!
//! A link begins with tokens. For each space both know, each side shows its right to be there, then says what it
//! has. Each asks for what it lacks; own new entries are sent without being asked for. What a peer says it has, it
//! has stored: that is how far a write is known to have travelled.

use super::asking::Asked;
use super::compare::Compared;
use super::fork::Search;
use super::quota::Useless;
use super::space::read_entries;
use super::window::Window;
use super::{Done, Job, LinkId, LinkPath, MAX_LINKS, Output, Peer, presence};
use crate::entry::{Entry, EntryError, Kind};
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::wire::{self, Frame, Piece, Token};
use kith_map::{BTreeMap, BTreeSet};
use std::collections::VecDeque;

/// How long a peer that broke the rules is not dialled again, in milliseconds.
const SHUN: u64 = 60_000;
/// What was said on a link is said again after this time, in milliseconds, in case it was not heard.
pub(super) const REPEAT: u64 = 60_000;
/// A log's first entries, device and grant, are worth nothing one without the other.
const FIRST_ENTRIES: u64 = 2;
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
    pub(super) useless: Useless,
    pub(super) presence_budget: presence::Budget,
    /// When it is said again what is here.
    pub(super) repeat_at: u64,
}

/// What two peers have said about one space.
#[derive(Default)]
pub(super) struct Session {
    /// The other peer has shown its right to be here.
    pub(super) member: bool,
    /// The entries it showed for that.
    pub(super) credentials: Vec<Vec<u8>>,
    /// What it has been found to have.
    pub(super) compared: Compared,
    /// What it has said to have stored, by log.
    pub(super) theirs: BTreeMap<PublicKey, (u64, [u8; 32])>,
    /// Logs it has been asked for.
    pub(super) asked: BTreeMap<PublicKey, Asked>,
    /// Logs not taken for now: until who may do what changes, or until this time.
    pub(super) held: BTreeMap<PublicKey, u64>,
    /// What to send: log and from where.
    pub(super) serving: VecDeque<(PublicKey, u64)>,
    /// Up to where each log has been sent.
    pub(super) sent: BTreeMap<PublicKey, u64>,
    /// What was sent and it has not said to have stored.
    pub(super) window: Window,
    pub(super) is_serving: bool,
    /// How many entries of a log are read for the next frame.
    pub(super) reading: u64,
    /// Until when others are not asked for what its author is about to send itself.
    pub(super) grace: BTreeMap<PublicKey, u64>,
    /// It sent entries and has not been told that all of them are taken in.
    pub(super) owes: bool,
    /// Forked logs it has been told of because it had more than counts.
    pub(super) told_forks: BTreeSet<PublicKey>,
    pub(super) search: Option<Search>,
    pub(super) telling: presence::Telling,
    pub(super) glances: super::glimpse::Glances,
}

impl Link {
    /// Whether the other peer is a member of any space we have.
    pub(super) fn is_member(&self) -> bool {
        self.sessions.values().any(|session| session.member)
    }

    /// Whether something is being sent or waited for.
    pub(super) fn is_busy(&self) -> bool {
        self.sessions.values().any(|session| !session.serving.is_empty() || !session.asked.is_empty())
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
        self.dials.reached(&peer, self.now);
        let link = Link {
            peer,
            path,
            bytes_in: 0,
            bytes_out: 0,
            queued: 0,
            sessions: BTreeMap::new(),
            tokens: BTreeSet::new(),
            strikes: 0,
            useless: Useless::default(),
            presence_budget: presence::Budget::default(),
            repeat_at: self.now + REPEAT,
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
                self.leave_inbox(id, *space);
            }
            self.presence_ends(&link);
            self.forget_questions(id);
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
            self.show_next(id, space);
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
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let Some((own, durable)) = space.log(&device).map(|(n, l)| (n, l.durable)) else { return Ok(Done::Nothing) };
        let entries = read_entries(lens, space, own, 0..durable, 2)?;
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
            self.hand_keys(id, number);
            self.say_what_we_have(id, number);
            self.ask(id, number);
            self.presence_begins(id, number);
            self.status_changed();
        }
    }

    pub(super) fn frame(&mut self, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.bytes_in += bytes.len() as u64;
        if Frame::is_of_later_version(bytes) {
            return self.refuse_from(id, "later-frame");
        }
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
            Frame::Entries(_, entries) => self.entries(id, number, entries),
            Frame::Have(_, items) => self.have(id, number, items),
            Frame::Want(_, items) => self.want(id, number, items),
            Frame::Sum(_, salt, sum) => self.sum_told(id, number, salt, sum),
            Frame::Sums(_, salt, ranges) => self.sums_told(id, number, salt, &ranges),
            Frame::Heads(_, lists) => self.heads_told(id, number, lists),
            Frame::Fork(_, proof) => self.fork_told(id, number, *proof),
            Frame::Ask(_, log, places) => self.fork_asked(id, number, log, places),
            Frame::Tell(_, log, found) => self.fork_answer(id, number, log, found),
            Frame::Refused(_, log, _, _) => {
                // Do not send that log again on this link until the other side says where it stands.
                session.serving.retain(|(serving, _)| *serving != log);
            }
            Frame::Whole(_, log, places) => self.whole_asked(id, number, log, places),
            Frame::Parts(_, entries) => self.parts_came(id, number, &entries),
            Frame::Keys(_, wraps) => self.keys_told(number, &wraps),
            Frame::Presence(_, stamp, people) => self.presence_told(id, number, stamp, people),
            Frame::Glance(_, glance) => self.glanced(id, number, glance),
            Frame::Glimpse(_, glimpse) => self.glimpsed(id, number, glimpse),
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
        self.inboxes.drop_link(id);
        self.hang_up(id, what);
        if let Some(peer) = peer {
            self.dials.shun(peer, self.now + SHUN);
        }
    }

    /// Takes in what the other peer shows of its right to be here.
    pub(super) fn credentials(&mut self, id: LinkId, number: u32) {
        self.check_member(id, number);
        let Some(link) = self.links.get(&id) else { return };
        let Some(session) = link.sessions.get(&number) else { return };
        if !session.member && !session.credentials.is_empty() {
            let entries = session.credentials.iter().cloned().map(Piece::from).collect();
            self.entries(id, number, entries);
        }
    }

    /// Puts entries in the inbox. They are decoded already, so that damage is known by its sender.
    fn entries(&mut self, id: LinkId, number: u32, pieces: Vec<Piece>) {
        let mut entries = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Entry(entry) => entries.push(entry),
                Piece::Other(raw) => match Entry::decode(&raw) {
                    Ok(entry) => entries.push(entry),
                    Err(error @ (EntryError::KindNotSupported(_) | EntryError::VersionNotSupported(_))) => {
                        self.strike(id, error.name());
                        break;
                    }
                    Err(error) => return self.offence(id, error.name()),
                },
            }
        }
        if entries.is_empty() {
            return;
        }
        self.note_arriving(id, number, &entries);
        // After a crash one at a time, so that it is known which brings the peer down; a log's first entries need each other.
        let careful = self.is_careful();
        let together =
            |a: &Entry, b: &Entry| !careful || (a.header.log == b.header.log && b.header.seq < FIRST_ENTRIES);
        let fits = entries.chunk_by(together).all(|part| self.inboxes.put(number, id, part.to_vec()));
        if !fits {
            return self.strike(id, "inbox-full");
        }
        if let Some(session) = self.session(id, number) {
            session.owes = true;
        }
        self.ingest_next(number);
    }
}
