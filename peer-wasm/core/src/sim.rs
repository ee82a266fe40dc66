//! A seeded world of many peers in one process: virtual time, links that fail, disks that lose what was not
//! committed. The same seed gives the same run, event for event.
//!
//! The peers in it are the real ones. What a driver does in a browser or on a server, [`World`] does here: it carries
//! outputs to disks, links and clocks and brings back what comes of them, sooner, later, twice, damaged or never.

mod carry;
mod crowd;
mod dice;
mod disk;
mod happen;
mod hostile;
mod ledger;
mod node;
mod remains;
mod secrets;
mod story;
mod tally;
mod weather;
mod world;

pub use crowd::Crowd;
pub use dice::Dice;
pub use disk::{Disk, Shadow};
pub use hostile::Hostile;
pub use ledger::{Ledger, Outcome, Promise};
pub use node::Node;
pub use remains::Remembered;
pub use story::Story;
pub use tally::{Arrivals, Tally};
pub use weather::Weather;
pub use world::{Meddler, NodeId, World};
