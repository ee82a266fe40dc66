//! The messages of `/webrtc-signaling/0.0.1`, and what is let through to the browser.

use super::proto::{self, ProtoError, Reassembly};
use crate::limits::{MAX_CANDIDATE, MAX_SDP, MAX_SIGNAL, MAX_SIGNALS};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The opener's session description.
    Offer(String),
    /// The other side's session description.
    Answer(String),
    /// An ICE candidate as JSON; `null` and `""` end the candidates.
    Candidate(String),
}

/// Why a signal could not be read or was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignalError {
    /// The stream broke.
    #[error("the relayed connection was lost during the set-up: {0}")]
    Io(#[from] std::io::Error),
    /// The stream ended.
    #[error("the other side ended the set-up")]
    Ended,
    /// Not a message.
    #[error(transparent)]
    Proto(#[from] ProtoError),
    /// Too many messages.
    #[error("the other side sent too many messages")]
    TooMany,
    /// A message of no known kind, without content or with content that makes no sense.
    #[error("the other side sent a message that is refused: {0}")]
    Refused(&'static str),
}

/// The signalling stream.
pub(crate) struct Signals<S> {
    stream: S,
    arrived: Reassembly,
    left: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Signals<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, arrived: Reassembly::new(MAX_SIGNAL), left: MAX_SIGNALS }
    }

    /// Sends one message.
    pub(crate) async fn send(&mut self, signal: &Signal) -> Result<(), SignalError> {
        let (kind, data) = match signal {
            Signal::Offer(sdp) => (0, sdp),
            Signal::Answer(sdp) => (1, sdp),
            Signal::Candidate(json) => (2, json),
        };
        self.stream.write_all(&proto::encode(Some(kind), Some(data.as_bytes()))).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The next message. Can be dropped half-way without losing bytes.
    pub(crate) async fn next(&mut self) -> Result<Signal, SignalError> {
        loop {
            if let Some(message) = self.arrived.next()? {
                self.left = self.left.checked_sub(1).ok_or(SignalError::TooMany)?;
                return check(message);
            }
            let mut piece = [0; 2048];
            let read = self.stream.read(&mut piece).await?;
            if read == 0 {
                return Err(SignalError::Ended);
            }
            self.arrived.push(piece.get(..read).unwrap_or_default().to_vec());
        }
    }

    /// Ends the stream cleanly.
    pub(crate) async fn close(mut self) {
        let _ = self.stream.close().await;
    }
}

fn check(message: proto::Message) -> Result<Signal, SignalError> {
    let data = message.data.unwrap_or_default();
    let text = String::from_utf8(data).map_err(|_| SignalError::Refused("it is not text"))?;
    // Field 1 left out means its zero value.
    match message.kind.unwrap_or(0) {
        0 => check_sdp(&text).map(|()| Signal::Offer(text)),
        1 => check_sdp(&text).map(|()| Signal::Answer(text)),
        2 if text.len() > MAX_CANDIDATE => Err(SignalError::Refused("its candidate is too long")),
        2 => Ok(Signal::Candidate(text)),
        _ => Err(SignalError::Refused("it is of an unknown kind")),
    }
}

/// A session description we let a browser see: short, for one data-channel section, with a fingerprint.
pub(crate) fn check_sdp(sdp: &str) -> Result<(), SignalError> {
    if sdp.len() > MAX_SDP {
        return Err(SignalError::Refused("its session description is too long"));
    }
    if !sdp.starts_with("v=0") {
        return Err(SignalError::Refused("its session description is not one"));
    }
    if sdp.bytes().any(|byte| byte < b' ' && byte != b'\r' && byte != b'\n') {
        return Err(SignalError::Refused("its session description has control characters"));
    }
    let mut media = sdp.lines().filter(|line| line.starts_with("m="));
    if !media.next().is_some_and(|line| line.starts_with("m=application ")) || media.next().is_some() {
        return Err(SignalError::Refused("its session description is for something other than data"));
    }
    if !sdp.lines().any(|line| line.starts_with("a=fingerprint:sha-256 ")) {
        return Err(SignalError::Refused("its session description has no fingerprint"));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) const SAMPLE_SDP: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
    c=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 00:11\r\na=setup:actpass\r\na=mid:0\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;

    fn read(bytes: Vec<u8>) -> Result<Signal, SignalError> {
        block_on(Signals::new(Cursor::new(bytes)).next())
    }

    #[test]
    fn what_is_sent_is_read() {
        for signal in
            [Signal::Offer(SAMPLE_SDP.into()), Signal::Answer(SAMPLE_SDP.into()), Signal::Candidate("{}".into())]
        {
            let mut wire = Signals::new(Cursor::new(Vec::new()));
            block_on(wire.send(&signal)).unwrap();
            assert_eq!(read(wire.stream.into_inner()).unwrap(), signal);
        }
    }

    #[test]
    fn a_left_out_kind_is_an_offer() {
        assert!(matches!(read(proto::encode(None, Some(SAMPLE_SDP.as_bytes()))), Ok(Signal::Offer(_))));
    }

    #[test]
    fn malformed_descriptions_are_refused() {
        let video = SAMPLE_SDP.replace("m=application", "m=video");
        let two = format!("{SAMPLE_SDP}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n");
        let bare = SAMPLE_SDP.replace("a=fingerprint:sha-256", "a=nothing:");
        let long = format!("{SAMPLE_SDP}{}", "a=x\r\n".repeat(MAX_SDP / 4));
        let control = format!("{SAMPLE_SDP}a=\u{0}\r\n");
        for bad in ["", "hello", &video, &two, &bare, &control] {
            assert!(
                matches!(read(proto::encode(Some(0), Some(bad.as_bytes()))), Err(SignalError::Refused(_))),
                "{bad:?}"
            );
        }
        assert!(read(proto::encode(Some(0), Some(long.as_bytes()))).is_err());
    }

    #[test]
    fn unknown_kinds_long_candidates_and_cut_streams_are_refused() {
        assert!(matches!(read(proto::encode(Some(9), Some(b"x"))), Err(SignalError::Refused(_))));
        assert!(matches!(read(proto::encode(Some(2), Some(&[b'x'; MAX_CANDIDATE + 1]))), Err(SignalError::Refused(_))));
        assert!(matches!(read(proto::encode(Some(2), Some(&[0xff]))), Err(SignalError::Refused(_))));
        assert!(matches!(read(vec![5, 0x08]), Err(SignalError::Ended)));
        assert!(matches!(read(vec![0xff, 0xff, 0x7f]), Err(SignalError::Proto(ProtoError::TooLong))));
    }

    #[test]
    fn only_so_many_signals_are_read() {
        let wire = proto::encode(Some(2), Some(b"null")).repeat(MAX_SIGNALS + 1);
        let mut signals = Signals::new(Cursor::new(wire));
        for _ in 0..MAX_SIGNALS {
            block_on(signals.next()).unwrap();
        }
        assert!(matches!(block_on(signals.next()), Err(SignalError::TooMany)));
    }
}
