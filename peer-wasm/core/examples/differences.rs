//! What two peers say to each other until they are alike, by the authors of their space and the entries they are apart:
//! bytes beside the entries themselves, against naming every author and how far its log goes.
//!
//! `cargo run --release -p kith-core --features sim --example differences -- [AUTHORS ...]`

#![allow(clippy::expect_used, reason = "a measurement may stop at once")]

use kith_core::sim::Crowd;

/// Bytes in which an author and the length of its log are named, and both peers name all of them.
const NAMED: u64 = 2 * (32 + 2);

fn main() {
    let asked: Vec<usize> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let sizes = if asked.is_empty() { vec![100, 1_000, 10_000] } else { asked };
    println!("authors  apart  entries, bytes  beside them  each  round trips  naming all  ratio");
    for authors in sizes {
        for apart in [2, 20, 200].into_iter().filter(|apart| *apart < authors) {
            let mut crowd = Crowd::gather(1, authors).expect("a crowd");
            crowd.set_apart(apart / 2);
            let story = &mut crowd.story;
            story.world.unite();
            story.world.run(20_000);
            let tally = story.world.take_tally(0, 1);
            story.alike().expect("both know the same");
            let arrived = [0, 1].map(|node| story.world.arrivals(node));
            let (sent, bytes) = arrived.iter().fold((0, 0), |sum, one| (sum.0 + one.entries(), sum.1 + one.bytes));
            assert_eq!(sent, apart, "other entries than those missing were sent");
            let (said, all) = (tally.bytes - bytes, NAMED * authors as u64);
            println!(
                "{authors:7}  {apart:5}  {bytes:14}  {said:11}  {:4}  {:11}  {all:10}  {:.3}x",
                said / apart as u64,
                tally.hops as f64 / 2.0,
                said as f64 / all as f64,
            );
        }
    }
}
