//! Sending entries to those who lack them.

use super::space::{READ_RUN, read_entries};
use super::{Done, Job, LinkId, Peer};
use crate::api::Role;
use crate::entry::{Verified, ends_block};
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::wire::{Frame, MAX_ENTRIES, MAX_FRAME, Piece};
use std::cell::Cell;
use std::cmp::Reverse;

/// A frame is sent once it has this many bytes.
const FRAME: usize = 128 << 10;
/// Once this many bytes wait in the network's queue of a link no more are added: room for one frame of the longest
/// value to leave while the next one is read.
pub(super) const QUEUE: usize = 2 << 20;
/// Entries of a log that are read at first. Then twice as many as went into the frame before: as many as are needed if
/// they are long, [`READ_RUN`] if they are short.
const READ_FIRST: u64 = 4;
/// Logs looked at together.
const LOGS_AT_ONCE: usize = 32;

impl Peer {
    pub(super) fn want(&mut self, id: LinkId, number: u32, items: Vec<(PublicKey, u64)>) {
        let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) else { return };
        let mut items = items;
        // Who may do what comes first, then those who were here last: that is what is looked at first.
        if let Some(space) = self.spaces.get(&number) {
            kith_map::sort_by_key(&mut items, |(log, _)| {
                let founding = *log == space.row.key;
                let owner = founding || space.authority.role(log) == Some(Role::Owner);
                (!founding, !owner, Reverse(space.log(log).map_or(0, |(_, log)| log.clock)))
            });
        }
        for (log, from) in items {
            // A newer wish for a log replaces the one before, so this never grows past the number of logs.
            session.serving.retain(|(waiting, _)| *waiting != log);
            if session.serving.len() < super::MAX_LOGS {
                session.serving.push_back((log, from));
            }
        }
        self.serve_next(id, number);
    }

    /// Goes on sending if there is something to send and room for it.
    pub(super) fn serve_next(&mut self, id: LinkId, number: u32) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let queued = link.queued;
        let Some(session) = link.sessions.get_mut(&number) else { return };
        let ready = session.member && !session.serving.is_empty() && session.window.has_room();
        if ready && queued < session.window.size().min(QUEUE) && !session.is_serving {
            session.is_serving = true;
            self.start_later(Job::Serve(id, number));
        }
    }

    pub(super) fn serve(&mut self, id: LinkId, number: u32, lens: &Lens<'_>) -> Result<Done, Miss> {
        if self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let Some(session) = self.links.get(&id).and_then(|link| link.sessions.get(&number)) else {
            return Ok(Done::Nothing);
        };
        let key = space.row.key;
        let mut frame: Vec<Piece> = Vec::new();
        let mut bytes = 0;
        let mut progress: Vec<(PublicKey, u64)> = Vec::new();
        let mut missing = false;
        let mut damaged: Vec<(u32, u64)> = Vec::new();
        for (log, from) in session.serving.iter().take(LOGS_AT_ONCE) {
            let Some((log_number, state)) = space.log(log) else {
                progress.push((*log, u64::MAX));
                continue;
            };
            let end = state.durable.min(state.tip.len);
            if *from >= end {
                progress.push((*log, u64::MAX));
                continue;
            }
            let unreadable = Cell::new(false);
            let run_of = |count: u64| {
                let entries = read_entries(lens, space, log_number, *from..end, count)?;
                unreadable.set(entries.is_empty());
                Ok(cut_run(entries, state.tip.len, space.cut(log), FRAME.saturating_sub(bytes)))
            };
            let reading = session.reading.max(READ_FIRST);
            let run: Result<Vec<Verified>, Miss> = match run_of(reading) {
                // Nothing among them to end a run with: there is within a block.
                Ok(run) if run.is_empty() && reading < READ_RUN.min(end - from) => run_of(READ_RUN),
                run => run,
            };
            // Load what several logs need together.
            let Ok(run) = run else {
                missing = true;
                continue;
            };
            if unreadable.get() {
                damaged.push((log_number, *from));
            }
            if run.is_empty() || frame.len() + run.len() > MAX_ENTRIES {
                break;
            }
            let size: usize = run.iter().map(|entry| entry.raw().len() + 4).sum();
            if bytes > 0 && bytes + size > FRAME {
                break;
            }
            bytes += size;
            let next = run.last().map_or(*from, |last| last.header.seq + 1);
            frame.extend(run.into_iter().map(|entry| Piece::Entry(entry.into_entry())));
            progress.push((*log, if next >= end { u64::MAX } else { next }));
            // Who may do what is asked for first: no log is begun before the one in front of it has gone out whole.
            if bytes >= FRAME || next < end {
                break;
            }
        }
        if missing {
            return Err(Miss);
        }
        for (log, seq) in damaged {
            self.suspect_damage(number, log, seq);
        }
        let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) else {
            return Ok(Done::Nothing);
        };
        session.is_serving = false;
        session.reading =
            if bytes < FRAME { session.reading.max(READ_FIRST) * 4 } else { frame.len() as u64 * 2 }.min(READ_RUN);
        for (log, next) in &progress {
            let end = space_end(self.spaces.get(&number), log);
            session.sent.insert(*log, if *next == u64::MAX { end } else { *next });
            if *next == u64::MAX {
                session.serving.retain(|(waiting, _)| waiting != log);
            } else if let Some(at) = session.serving.iter().position(|(waiting, _)| waiting == log) {
                // Logs take turns, so that a long one keeps nobody waiting; those that say who may do what go first.
                let first = at == 0 && is_authority(self.spaces.get(&number), log);
                session.serving.remove(at);
                if first {
                    session.serving.push_front((*log, *next));
                } else {
                    session.serving.push_back((*log, *next));
                }
            }
        }
        if progress.is_empty() {
            // A log that cannot be cut into frames is not served: nothing was accepted so from anyone.
            session.serving.pop_front();
        }
        if !frame.is_empty() {
            session.window.sent(&frame);
            self.send(id, &Frame::Entries(key, frame));
        }
        self.serve_next(id, number);
        Ok(Done::Nothing)
    }
}

fn is_authority(space: Option<&super::space::Space>, log: &PublicKey) -> bool {
    space.is_some_and(|space| *log == space.row.key || space.authority.role(log) == Some(Role::Owner))
}

fn space_end(space: Option<&super::space::Space>, log: &PublicKey) -> u64 {
    space.and_then(|space| space.log(log)).map_or(0, |(_, log)| log.durable.min(log.tip.len))
}

/// The start of a run that ends with an entry whose signature holds: as long as fits in `soft` bytes, or else the
/// shortest there is that fits in a frame.
pub(super) fn cut_run(entries: Vec<Verified>, tip: u64, vouched: Option<u64>, soft: usize) -> Vec<Verified> {
    let mut size = 0;
    let mut best = 0;
    for (index, entry) in entries.iter().enumerate() {
        size += entry.raw().len() + 4;
        if size > MAX_FRAME - 1024 || (best > 0 && size > soft) {
            break;
        }
        let seq = entry.header.seq;
        // A device is let in by what follows it; alone it would be refused.
        if seq == 0 && tip > 1 {
            continue;
        }
        let near_end = size + (4 << 10) > soft || index + 1 == entries.len();
        if ends_block(seq) || ((near_end || seq + 1 == tip) && (entry.is_signed() || vouched == Some(seq + 1))) {
            best = index + 1;
        }
    }
    entries.into_iter().take(best).collect()
}
