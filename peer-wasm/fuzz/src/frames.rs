//! What peers say over links, and what invites carry.

use crate::laws::{magnitude, mark, same};
use crate::records;
use kith_core::api::Role;
use kith_core::identity::PublicKey;
use kith_core::invite::Ticket;
use kith_core::path::Path;
use kith_core::ranges::Prefix;
use kith_core::wire::{Frame, Glance, Glimpse, RangeHeads, RangeSums};

pub(crate) fn frame(data: &[u8]) -> u64 {
    let frame = match Frame::decode(data) {
        Err(error) => return mark(&error),
        Ok(frame) => frame,
    };
    same("a frame keeps its bytes", &frame.encode().as_slice(), &data);
    mark(&(data.first(), magnitude(data.len()), frame.space().is_some()))
}

pub(crate) fn frame_seeds() -> Vec<Vec<u8>> {
    let (space, log) = (PublicKey([1; 32]), PublicKey([2; 32]));
    let mut in_range = [0; 32];
    in_range[0] = 1;
    let range = Prefix::new(&[1, 0], 3).unwrap_or(Prefix::ALL);
    let frames = [
        Frame::Open(vec![[1; 16], [2; 16]]),
        Frame::Hello(space, vec![vec![1, 2], vec![3]]),
        Frame::Have(space, vec![(log, 300, [4; 32])]),
        Frame::Want(space, vec![(log, 9), (space, 0)]),
        Frame::entries(space, [vec![5; 40], vec![]]),
        Frame::entries(records::space(), records::entry_seeds()),
        Frame::entries(records::space(), records::pruned_run()),
        Frame::Ask(space, log, vec![1, 200, 3]),
        Frame::Tell(space, log, vec![(1, vec![7; 30])]),
        Frame::Refused(space, log, 7, "wrong-prev".into()),
        Frame::Whole(space, log, vec![1, 300]),
        Frame::Parts(space, vec![vec![5; 40]]),
        Frame::Glance(space, Glance { number: 3, path: Path::root(), each: 64, from: b"a\0".to_vec() }),
        Frame::Glimpse(
            records::space(),
            Glimpse {
                number: 3,
                next: b"b\0".to_vec(),
                seen: vec![(b"a\0".to_vec(), b"a\x01".to_vec())],
                entries: records::entry_seeds(),
            },
        ),
        Frame::Sum(space, [1; 8], [2; 8]),
        Frame::Sums(space, [3; 8], vec![RangeSums { range, parts: vec![(0, [4; 8]), (9, [5; 8])] }]),
        Frame::Heads(space, vec![RangeHeads { range, logs: vec![(PublicKey(in_range), 1, [1; 32])] }]),
    ];
    frames.iter().map(Frame::encode).collect()
}

/// Bytes are read as a ticket, and, where they are text, as a link.
pub(crate) fn ticket(data: &[u8]) -> u64 {
    let from_text = std::str::from_utf8(data).map(Ticket::parse);
    let ticket = Ticket::decode(data);
    if let Ok(ticket) = &ticket {
        same("a ticket keeps its bytes", &ticket.encode().as_slice(), &data);
        same("a link carries its ticket", &Ticket::parse(&ticket.link("https://example.org")).as_ref(), &Ok(ticket));
    }
    mark(&(ticket.map(|ticket| ticket.role), from_text.map(|parsed| parsed.err()).ok()))
}

pub(crate) fn ticket_seeds() -> Vec<Vec<u8>> {
    let ticket = Ticket {
        space: PublicKey([1; 32]),
        secret: [2; 16],
        role: Role::Writer,
        inviter: PublicKey([3; 32]),
        relays: vec!["/ip4/127.0.0.1/tcp/8787/ws".into()],
        app: "/board/".into(),
        name: "Trip".into(),
    };
    vec![ticket.encode(), ticket.link("https://example.org").into_bytes(), b"#kith=AQ".to_vec()]
}
