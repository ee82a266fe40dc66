//! A counter: increments of all authors add up. Setting it writes the difference to what the writer saw, so a
//! concurrent increment is never lost; deleting it takes away what the writer saw and nothing else.
//!
//! Each author's increments are summed in the order of their log. A deletion names, for each author, the entry up to
//! which it saw them *and their sum there*, since a peer that is ahead can no longer tell that sum.

use super::authors::{Author, Authors, MAX_COVERS, seq};
use super::{Stamp, unzigzag, zigzag};
use crate::codec::{CodecError, Reader, Writer};
use crate::version::Agent;

/// What an op says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Add this. Adding nothing makes a counter where there is none.
    Add(i64),
    /// Take away what was there: for each author, ascending, the last entry seen and the sum up to it.
    Delete(Vec<(Agent, u64, i64)>),
}

impl Act {
    /// The op's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Act::Add(delta) => writer.u8(0).number(zigzag(*delta)),
            Act::Delete(seen) => {
                writer.u8(1).number(seen.len() as u64);
                for (agent, seq, sum) in seen {
                    writer.fixed(&agent.0).number(*seq).number(zigzag(*sum));
                }
                &mut writer
            }
        };
        writer.finish()
    }

    /// Reads the op's bytes.
    pub fn read(reader: &mut Reader<'_>) -> Result<Act, CodecError> {
        match reader.u8()? {
            0 => Ok(Act::Add(unzigzag(reader.number()?))),
            1 => {
                let mut seen: Vec<(Agent, u64, i64)> = Vec::new();
                for _ in 0..reader.size(MAX_COVERS)? {
                    let agent = Agent(reader.fixed()?);
                    if seen.last().is_some_and(|(last, ..)| *last >= agent) {
                        return Err(CodecError::Tag);
                    }
                    seen.push((agent, seq(reader)?, unzigzag(reader.number()?)));
                }
                Ok(Act::Delete(seen))
            }
            _ => Err(CodecError::Tag),
        }
    }
}

/// One author's increments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// One more than the entry of the last one; 0 if there is none.
    added: u64,
    /// Of all of them.
    total: i64,
    /// Of those that were deleted.
    base: i64,
}

/// A counter's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(pub Authors<Sum>);

impl Sums {
    /// Takes in an op.
    pub fn apply(&mut self, act: &Act, stamp: Stamp) {
        if !self.0.acts(stamp.agent, stamp.seq) {
            return;
        }
        match act {
            Act::Add(delta) => self.0.with(stamp.agent, |author| {
                // In the order of the log, so everybody saturates at the same place.
                author.own.added = stamp.seq.saturating_add(1);
                author.own.total = author.own.total.saturating_add(*delta);
            }),
            Act::Delete(seen) => {
                for (agent, seq, sum) in seen {
                    self.0.with(*agent, |author| {
                        // Honest writers agree on the sum; should they not, the greater one counts everywhere.
                        if (seq.saturating_add(1), *sum) > (author.covered, author.own.base) {
                            (author.covered, author.own.base) = (seq.saturating_add(1), *sum);
                        }
                    });
                }
            }
        }
    }

    /// The authors with increments that were not deleted.
    fn live(&self) -> impl Iterator<Item = (&Agent, &Author<Sum>)> {
        self.0.iter().filter(|(_, author)| author.own.added > author.covered)
    }

    /// Whether there is a counter: somebody made an increment that was not deleted.
    pub fn is_live(&self) -> bool {
        self.live().next().is_some()
    }

    /// What it shows. Beyond 64 bits it stands at the end of the range.
    pub fn value(&self) -> i64 {
        let sum: i128 = self.live().map(|(_, author)| i128::from(author.own.total) - i128::from(author.own.base)).sum();
        i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
    }

    /// The op that deletes what is seen here.
    pub fn deletion(&self) -> Act {
        let seen =
            |(agent, author): (&Agent, &Author<Sum>)| (*agent, author.own.added.saturating_sub(1), author.own.total);
        Act::Delete(self.live().take(MAX_COVERS).map(seen).collect())
    }

    /// Writes the state.
    pub fn write(&self, writer: &mut Writer) {
        self.0.write(writer, |own, writer| {
            writer.number(own.added).number(zigzag(own.total)).number(zigzag(own.base));
        });
    }

    /// Reads the state.
    pub fn read(reader: &mut Reader<'_>) -> Result<Sums, CodecError> {
        let sum = |reader: &mut Reader<'_>| {
            let added = reader.number()?;
            Ok(Sum { added, total: unzigzag(reader.number()?), base: unzigzag(reader.number()?) })
        };
        Ok(Sums(Authors::read(reader, sum)?))
    }
}
