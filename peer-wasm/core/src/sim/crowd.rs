//! Many authors who are never there themselves, and two peers that are brought what they wrote.

use super::{Hostile, NodeId, Story, Weather};
use crate::entry::Verified;
use crate::wire::Frame;

/// Everything takes the same time, so that round trips are what the protocol needs.
const STEADY: Weather = Weather { latency: (50, 50), load: (0, 0), commit: (0, 0), ..Weather::FAIR };

/// A space of two peers (0 and 1) that cannot reach each other yet, and of authors with one value each.
pub struct Crowd {
    /// The space and its two peers, who know none of the authors.
    pub story: Story,
    /// The authors; what they wrote reaches a peer only if it is brought.
    pub authors: Vec<Hostile>,
    /// The third member, taken over: it carries.
    carrier: Hostile,
}

impl Crowd {
    /// As many authors as asked for.
    ///
    /// # Errors
    ///
    /// What kept the space from coming to be.
    pub fn gather(seed: u64, authors: usize) -> Result<Crowd, String> {
        let mut story = Story::joined(seed, 3)?;
        let carrier = Hostile::possess(&mut story, 2).ok_or("the member could not be taken over")?;
        story.members.retain(|(node, _)| *node != 2);
        story.world.weather = STEADY;
        story.world.divide(|node| u64::from(node == 1));
        story.world.run(10_000);
        let now = story.world.now();
        let mut crowd = Vec::new();
        for number in 0..authors {
            let mut author = Hostile::absent(&mut story, &carrier).ok_or("no author")?;
            author.write(&format!("notes/{number}"), "about fifty bytes of text, as in a note or a line", now);
            crowd.push(author);
        }
        Ok(Crowd { story, authors: crowd, carrier })
    }

    /// Brings entries, in the order of their logs, to one peer, which can reach nobody else meanwhile.
    pub fn bring(&mut self, node: NodeId, entries: &[Verified]) {
        let (world, carrier) = (&mut self.story.world, &self.carrier);
        world.divide(|other| if other == node || other == carrier.node { 9 } else { other as u64 });
        carrier.greet(world, node);
        // Who begins a log shows its right to be here with it.
        let logs: Vec<&[Verified]> = entries.chunk_by(|a, b| a.header.log == b.header.log).collect();
        for part in logs.chunks(60).map(|logs| logs.concat()) {
            let raw = part.iter().map(|entry| entry.raw().to_vec());
            carrier.say(world, node, &Frame::entries(carrier.space, raw));
            world.run(200);
        }
        world.run(1_000);
        world.divide(|node| node as u64);
        world.run(10_000);
    }

    /// Brings both peers all that was written, and then each what the other does not get: a value each of so many
    /// authors of its own. Counts from here on what arrives at both, and what they say to each other.
    pub fn set_apart(&mut self, each: usize) {
        let now = self.story.world.now();
        let known: Vec<Verified> = self.authors.iter().flat_map(|author| author.log.clone()).collect();
        let step = self.authors.len() / (2 * each).max(1);
        for node in [0, 1] {
            self.bring(node, &known);
            let authors = self.authors.iter_mut().skip(node * step).step_by(2 * step.max(1)).take(each);
            let new: Vec<Verified> = authors
                .enumerate()
                .filter_map(|(number, author)| {
                    let path = format!("news/{node}/{number}");
                    author.write(&path, "some fifty bytes that the other peer does not have", now);
                    author.log.last().cloned()
                })
                .collect();
            self.bring(node, &new);
        }
        self.story.world.take_tally(0, 1);
        self.story.world.count_arrivals(0);
        self.story.world.count_arrivals(1);
    }
}
