//! What happens in a world, one event after the other.

use super::world::{NodeId, World};
use crate::identity::PublicKey;
use crate::peer::{Fault, Input, LinkId, LoadId, TransactionId};
use crate::rows::{Batch, Read, Rows};

/// How long an attempt to reach a peer takes to fail, in milliseconds.
const DIAL_FAILS_AFTER: u64 = 3_000;

pub(super) enum Event {
    Frame { link: LinkId, to: NodeId, bytes: Vec<u8>, hops: u64 },
    Sent { link: LinkId, by: NodeId, bytes: usize },
    Loaded { node: NodeId, life: u64, load: LoadId, reads: Vec<Read>, rows: Option<Result<Vec<Rows>, String>> },
    Written { node: NodeId, life: u64, transaction: TransactionId, batch: Batch },
    Committed { node: NodeId, life: u64, transaction: TransactionId },
    Failed { node: NodeId, life: u64, transaction: TransactionId, fault: Fault },
    Wake { node: NodeId, life: u64 },
    Down { link: LinkId, to: NodeId, life: u64 },
    Dialled { by: NodeId, life: u64, peer: PublicKey, tried: bool },
    Start { node: NodeId, life: u64 },
}

impl World {
    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Frame { link, to, bytes, hops } if self.links.contains_key(&link) => {
                if let Some(ends) = self.links.get(&link).map(|link| link.ends) {
                    self.note_arrived(ends, to, hops, &bytes);
                }
                self.input(to, Input::Frame { link, bytes });
            }
            Event::Sent { link, by, bytes } if self.links.contains_key(&link) => {
                self.input(by, Input::Sent { link, bytes });
            }
            Event::Loaded { node, life, load, reads, rows } if life == self.life(node) => {
                let rows = rows.unwrap_or_else(|| Ok(self.read(node, &reads)));
                self.input(node, Input::Loaded { load, rows });
            }
            Event::Written { node, life, transaction, batch } if life == self.life(node) => {
                // A transaction that was under way when its peer died may have made it or not.
                let made_it = self.is_up(node) || self.dice.once_in(2);
                if let Some(node) = self.nodes.get_mut(node).filter(|_| made_it) {
                    node.disk.commit(&batch);
                    if let Some(shadow) = &node.shadow {
                        shadow.commit(&batch);
                    }
                }
                let report = self.dice.within((0, 3));
                self.schedule(report, Event::Committed { node, life, transaction });
            }
            Event::Committed { node, life, transaction } if life == self.life(node) => {
                self.input(node, Input::Committed(transaction));
            }
            Event::Failed { node, life, transaction, fault } if life == self.life(node) => {
                self.input(node, Input::Failed(transaction, fault));
            }
            Event::Wake { node, life } if life == self.life(node) => {
                let due = self.nodes.get(node).and_then(|node| node.wake_at);
                let now = self.clock_of(node);
                match due {
                    Some(at) if at <= now => {
                        if let Some(node) = self.nodes.get_mut(node) {
                            node.wake_at = None;
                        }
                        self.input(node, Input::Wake);
                    }
                    _ => {}
                }
            }
            Event::Down { link, to, life } if life == self.life(to) => self.input(to, Input::LinkDown { link }),
            Event::Dialled { by, life, peer, tried } if life == self.life(by) => {
                let other = self.nodes.iter().position(|node| node.device == Some(peer));
                match other {
                    Some(other) if self.link_between(by, other).is_some() || self.connect(by, other) => {}
                    _ if tried => self.input(by, Input::DialFailed { peer }),
                    _ => self.schedule(DIAL_FAILS_AFTER, Event::Dialled { by, life, peer, tried: true }),
                }
            }
            Event::Start { node, life } if life == self.life(node) => self.start(node),
            _ => {}
        }
    }
}
