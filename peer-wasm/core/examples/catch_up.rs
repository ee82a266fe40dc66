//! How fast a peer takes in what others wrote, without the cost of a store or a network.
//!
//! `cargo run --release -p kith-core --features sim --example catch_up -- [ENTRIES] [AUTHORS]`

#![allow(clippy::expect_used, reason = "a benchmark may stop at once")]

use kith_core::api::Role;
use kith_core::entry::{Kind, Tip};
use kith_core::identity::SecretKey;
use kith_core::invite::Ticket;
use kith_core::records::{Device, Grant};
use kith_core::rows::Table;
use kith_core::sim::{Hostile, Story, Weather};
use kith_core::wire::Frame;
use std::time::Instant;

/// Bytes of entries in one frame, as peers send them.
const FRAME: usize = 128 << 10;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let (entries, authors) = (arguments.next().unwrap_or(10_000), arguments.next().unwrap_or(1));
    let mut story = Story::joined(1, 2).expect("a space with two members");
    story.world.weather = Weather { latency: (0, 0), load: (0, 0), commit: (0, 0), ..Weather::FAIR };
    let member = Hostile::possess(&mut story, 1).expect("a member");
    let epoch = member.epoch.clone();
    let ticket = Ticket::parse(&story.writer_link).expect("an invite");
    let now = story.world.now();

    let mut frames: Vec<Frame> = Vec::new();
    let (mut frame, mut bytes) = (Vec::new(), 0);
    let mut total = 0;
    for author in 0..authors {
        let mut writer = Hostile::stranger(&mut story);
        writer.epoch = epoch.clone();
        let identity = SecretKey::from_seed(blake3::hash(&author.to_be_bytes()).as_bytes());
        let device = Device::new(&identity, &story.space, &writer.key.public(), [1; 32], Vec::new());
        let grant = Grant::join(Role::Writer, identity.public(), &ticket.key(), &story.space);
        let mut tip = Tip::EMPTY;
        let count = 2 + (entries - 2 * authors.min(entries / 2)) / authors;
        for n in 0..count {
            let entry = match n {
                0 => writer.entry(tip, Kind::Device, &device.encode(), Vec::new()),
                1 => writer.entry(tip, Kind::Grant, &grant.encode(), Vec::new()),
                _ => {
                    let path = format!("notes/{author}-{n}");
                    writer.op(tip, &path, "about fifty bytes of text, as in a note or a line", now + n)
                }
            };
            tip = Tip { len: n + 1, hash: entry.hash() };
            bytes += entry.raw().len();
            frame.push(entry.raw().to_vec());
            total += 1;
            if bytes >= FRAME {
                frames.push(Frame::entries(story.space, std::mem::take(&mut frame)));
                bytes = 0;
            }
        }
    }
    frames.push(Frame::entries(story.space, frame));

    member.greet(&mut story.world, 0);
    let start = Instant::now();
    for frame in &frames {
        member.say(&mut story.world, 0, frame);
        story.world.run(10);
    }
    story.world.run(1_000);
    let took = start.elapsed();
    let stored = story.world.nodes.first().map_or(0, |node| node.disk.len(Table::View));
    println!(
        "{total} entries by {authors} authors in {} frames: {:.2} s, {:.0} entries/s ({stored} places in the tree)",
        frames.len(),
        took.as_secs_f64(),
        total as f64 / took.as_secs_f64()
    );
}
