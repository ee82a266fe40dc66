//! Versions: which write made a value what it is.

use std::fmt;
use std::str::FromStr;

/// The first ten bytes of a log's public key: short enough to read, long enough not to collide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Agent(pub [u8; 10]);

/// One write: the log it is in and its place there. Text form `<agent>-<seq>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Whose log.
    pub agent: Agent,
    /// Which entry of it, counted from 0.
    pub seq: u64,
}

/// Text that is not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A version looks like `<agent>-<number>`, where the agent has 16 letters and digits.")]
pub struct VersionError;

impl Agent {
    /// The agent of a log.
    pub fn of(log: &[u8; 32]) -> Agent {
        let mut short = [0; 10];
        short.iter_mut().zip(log).for_each(|(to, from)| *to = *from);
        Agent(short)
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.agent, self.seq)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Version, VersionError> {
        let (agent, seq) = text.split_once('-').ok_or(VersionError)?;
        let canonical = seq == "0" || !seq.starts_with('0');
        if agent.len() != 16 || !canonical || !seq.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(VersionError);
        }
        let bytes =
            data_encoding::BASE32_NOPAD.decode(agent.to_ascii_uppercase().as_bytes()).map_err(|_| VersionError)?;
        let agent = Agent(bytes.try_into().map_err(|_| VersionError)?);
        Ok(Version { agent, seq: seq.parse().map_err(|_| VersionError)? })
    }
}

/// The ETag of a set of versions, quotes included: the same set gives the same tag on every peer.
pub fn etag(versions: &[Version]) -> String {
    let mut sorted = versions.to_vec();
    kith_map::sort(&mut sorted);
    let mut hasher = blake3::Hasher::new();
    for version in &sorted {
        hasher.update(&version.agent.0);
        hasher.update(&version.seq.to_be_bytes());
    }
    let digest = hasher.finalize();
    let short: Vec<u8> = digest.as_bytes().iter().take(12).copied().collect();
    format!("\"{}\"", data_encoding::BASE64URL_NOPAD.encode(&short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_is_strict() {
        let version = Version { agent: Agent([7; 10]), seq: 12 };
        assert_eq!(version.to_string().parse(), Ok(version));
        for bad in [
            "",
            "x",
            "aaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaa-",
            "aaaaaaaaaaaaaaaa-01",
            "aaaaaaaaaaaaaaaa-1x",
            "aaaaaaaaaaaaaaa-1",
        ] {
            assert_eq!(bad.parse::<Version>(), Err(VersionError), "{bad}");
        }
    }

    #[test]
    fn etag_does_not_depend_on_order() {
        let a = Version { agent: Agent([1; 10]), seq: 1 };
        let b = Version { agent: Agent([2; 10]), seq: 9 };
        assert_eq!(etag(&[a, b]), etag(&[b, a]));
        assert_ne!(etag(&[a]), etag(&[b]));
    }
}
