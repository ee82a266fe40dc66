//! Carrying out what peers want done: reads and commits, frames and dials, in whatever weather there is.

use super::happen::Event;
use super::world::{NodeId, World};
use crate::entry::Entry;
use crate::peer::{Fault, LinkId, Output};
use crate::wire::Frame;

impl World {
    pub(super) fn carry_out(&mut self, id: NodeId, output: Output) {
        let life = self.life(id);
        let weather = self.weather;
        match output {
            Output::Load(load, reads) => {
                let delay = self.dice.within(weather.load);
                let rows = if self.dice.once_in(weather.fail_load) {
                    self.note(|| format!("{id} cannot read"));
                    Some(Err("the simulated disk could not be read".to_owned()))
                } else if self.dice.once_in(2) {
                    // What a store answers is how things stood at some moment between question and answer.
                    Some(Ok(self.read(id, &reads)))
                } else {
                    None
                };
                self.schedule(delay, Event::Loaded { node: id, life, load, reads, rows });
            }
            Output::Commit(transaction, batch) => {
                let delay = self.dice.within(weather.commit);
                let full = self.nodes.get(id).is_some_and(|node| node.disk.rows() + batch.puts.len() > node.room);
                let event = if full {
                    self.note(|| format!("{id} has no room"));
                    Event::Failed { node: id, life, transaction, fault: Fault::Full }
                } else if self.dice.once_in(weather.fail_commit) {
                    let fault = if self.dice.once_in(2) { Fault::Full } else { Fault::Broken("simulated".to_owned()) };
                    self.note(|| format!("{id} cannot commit: {fault:?}"));
                    Event::Failed { node: id, life, transaction, fault }
                } else {
                    Event::Written { node: id, life, transaction, batch }
                };
                self.schedule(delay, event);
            }
            Output::Reply(request, reply) => {
                if let Some(node) = self.nodes.get_mut(id) {
                    let before = node.replies.insert(request, reply);
                    assert!(before.is_none(), "peer {id} answered a request twice");
                }
            }
            Output::Update(subscription, update) => {
                if let Some(node) = self.nodes.get_mut(id) {
                    node.updates.entry(subscription).or_default().push_back(update);
                }
            }
            Output::Send(link, bytes) => self.send(id, link, bytes),
            Output::HangUp(link, why) => {
                self.note(|| format!("{id} hangs up on {link:?}: {why}"));
                if let Some(node) = self.nodes.get_mut(id) {
                    *node.hung_up.entry(why).or_default() += 1;
                }
                self.cut(link, 50);
            }
            Output::Dial(peer, _) => {
                self.note(|| format!("{id} dials {peer:?}"));
                let delay = self.dice.within(weather.latency);
                self.schedule(delay, Event::Dialled { by: id, life, peer, tried: false });
            }
            Output::WakeAt(at) => {
                let delay = at.saturating_sub(self.clock_of(id));
                if let Some(node) = self.nodes.get_mut(id) {
                    node.wake_at = Some(at);
                }
                self.schedule(delay, Event::Wake { node: id, life });
            }
            Output::Refused(link, what) => {
                self.note(|| format!("{id} refuses from {link:?}: {what}"));
                if let Some(node) = self.nodes.get_mut(id) {
                    *node.refused.entry(what).or_default() += 1;
                }
            }
        }
    }

    fn send(&mut self, from: NodeId, link: LinkId, bytes: Vec<u8>) {
        let size = bytes.len();
        let frames = match self.meddlers.get_mut(&from) {
            Some(meddler) => meddler(bytes, &mut self.dice),
            None => vec![bytes],
        };
        for frame in frames {
            self.carry(link, from, frame);
        }
        self.schedule(1, Event::Sent { link, by: from, bytes: size });
    }

    /// Brings a frame to the other end of a link, if the weather lets it.
    pub(super) fn carry(&mut self, link: LinkId, from: NodeId, mut bytes: Vec<u8>) {
        let weather = self.weather;
        let Some(ends) = self.links.get(&link).map(|link| link.ends).filter(|ends| ends.contains(&from)) else {
            return;
        };
        if let Some(wire) = &mut self.wire {
            wire.push(bytes.clone());
        }
        if self.dice.once_in(weather.cut) {
            return self.cut(link, 5_000);
        }
        if self.dice.once_in(weather.corrupt) {
            self.damage(&mut bytes);
        }
        let to = if ends[0] == from { ends[1] } else { ends[0] };
        self.note(|| format!("{from} -> {to} {}", describe(&bytes)));
        let hops = self.note_sent(from, to, bytes.len());
        let copies = if self.dice.once_in(weather.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let arrival = self.now.saturating_add(self.dice.within(weather.latency));
            let overtaken = self.dice.once_in(weather.reorder);
            let Some(link_state) = self.links.get_mut(&link) else { return };
            let busy = link_state.busy_until.entry(to).or_insert(0);
            let arrival = if overtaken { arrival.saturating_add(weather.latency.1) } else { arrival.max(*busy) };
            if !overtaken {
                *busy = arrival;
            }
            self.schedule(arrival.saturating_sub(self.now), Event::Frame { link, to, bytes: bytes.clone(), hops });
        }
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.dice.below(bytes.len() as u64) as usize;
        match self.dice.below(3) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), self.dice.number() as u8),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.dice.below(8);
                }
            }
        }
    }

    /// Ends a link; both ends hear of it within `notice` milliseconds.
    pub(super) fn cut(&mut self, link: LinkId, notice: u64) {
        let Some(ended) = self.links.remove(&link) else { return };
        for to in ended.ends {
            let delay = self.dice.within((0, notice));
            let life = self.life(to);
            self.schedule(delay, Event::Down { link, to, life });
        }
    }
}

/// A frame in a few words.
fn describe(bytes: &[u8]) -> String {
    match Frame::decode(bytes) {
        Ok(Frame::Open(tokens)) => format!("open {}", tokens.len()),
        Ok(Frame::Have(_, items)) => {
            let items: Vec<_> = items.iter().map(|(log, len, _)| (log, len)).collect();
            format!("have {items:?}")
        }
        Ok(Frame::Want(_, items)) => format!("want {items:?}"),
        Ok(Frame::Hello(_, entries)) => format!("hello {}", places(&entries)),
        Ok(Frame::Entries(_, entries)) => {
            format!("entries {}", places(&entries.iter().map(|piece| piece.raw().to_vec()).collect::<Vec<_>>()))
        }
        Ok(Frame::Fork(_, proof)) => format!("fork {:?} at {}", proof.log, proof.seq),
        Ok(Frame::Ask(_, log, places)) => format!("ask {log:?} {places:?}"),
        Ok(Frame::Tell(_, log, found)) => format!("tell {log:?} {}", found.len()),
        Ok(Frame::Refused(_, log, seq, why)) => format!("refused {log:?} {seq} {why}"),
        Ok(Frame::Whole(_, log, places)) => format!("whole? {log:?} {places:?}"),
        Ok(Frame::Parts(_, entries)) => format!("parts {}", entries.len()),
        Ok(Frame::Keys(_, wraps)) => format!("keys {}", wraps.len()),
        Ok(Frame::Presence(_, stamp, people)) => format!("presence {stamp} of {}", people.len()),
        Ok(Frame::Sum(..)) => "sum".to_owned(),
        Ok(Frame::Sums(_, _, ranges)) => format!("sums of {} ranges", ranges.len()),
        Ok(Frame::Heads(_, ranges)) => {
            format!("heads of {} ranges: {}", ranges.len(), ranges.iter().map(|range| range.logs.len()).sum::<usize>())
        }
        Ok(Frame::Glance(_, glance)) => format!("glance {} at {} from {:?}", glance.number, glance.path, glance.from),
        Ok(Frame::Glimpse(_, glimpse)) => format!("glimpse {} of {} entries", glimpse.number, glimpse.entries.len()),
        Err(error) => format!("damaged frame of {} bytes: {error}", bytes.len()),
    }
}

fn places(entries: &[Vec<u8>]) -> String {
    let place = |raw: &Vec<u8>| match Entry::decode(raw) {
        Ok(entry) => format!("{:?}/{}", entry.header.log, entry.header.seq),
        Err(error) => error.name().to_owned(),
    };
    entries.iter().map(place).collect::<Vec<_>>().join(" ")
}
