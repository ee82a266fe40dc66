//! A text: what its place knows of it. The text and its history are in rows of their own, see
//! [`document::text`](crate::document::text).
//!
//! ```text
//! state = count ‖ (agent[10] ‖ seq)* ‖ code points
//! ```

use crate::codec::{CodecError, Reader, Writer};
use crate::version::{Agent, Version};

/// The most versions a text can be at.
const MAX_FRONTIER: usize = 1 << 20;

/// What reads show of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The state it is at: the operations that no other one builds on, sorted; none if nobody wrote in it yet.
    pub frontier: Vec<Version>,
    /// How many code points it has.
    pub chars: u32,
}

impl Shown {
    /// Writes the state.
    pub fn write(&self, writer: &mut Writer) {
        writer.number(self.frontier.len() as u64);
        for version in &self.frontier {
            writer.fixed(&version.agent.0).number(version.seq);
        }
        writer.number(u64::from(self.chars));
    }

    /// Reads the state.
    pub fn read(reader: &mut Reader<'_>) -> Result<Shown, CodecError> {
        let mut frontier = Vec::new();
        for _ in 0..reader.size(MAX_FRONTIER)? {
            frontier.push(Version { agent: Agent(reader.fixed()?), seq: reader.number()? });
        }
        Ok(Shown { frontier, chars: u32::try_from(reader.number()?).map_err(|_| CodecError::Limit)? })
    }
}
