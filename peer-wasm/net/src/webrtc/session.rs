//! The set-up of one WebRTC connection over a signalling stream, from either side.

use super::carrier::{Carrier, PcEvent, PcState, ToPage};
use super::connection::Connection;
use super::signal::{Signal, SignalError, Signals, check_sdp};
use crate::limits::UPGRADE_TIMEOUT;
use crate::runtime::Delay;
use futures::future::{Either, select};
use futures::{AsyncRead, AsyncWrite, pin_mut};
use std::time::Duration;

/// Time for closing the signalling stream cleanly.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a direct connection could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    /// No page carries WebRTC, or it carries all it may.
    #[error("no page of this app can hold another direct connection")]
    NoRoom,
    /// The relayed connection is gone.
    #[error("there is no relayed connection to set it up over: {0}")]
    NoSignalling(String),
    /// The signalling went wrong.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// The other side does not follow the protocol.
    #[error("the other side answered out of turn")]
    OutOfTurn,
    /// The browser refused something.
    #[error("the browser says: {0}")]
    Browser(String),
    /// Nothing to try.
    #[error("no candidates: {0} offered no address to connect to (WebRTC is blocked or there is no network)")]
    NoCandidates(&'static str),
    /// The browser tried all pairs in vain.
    #[error("none of the {0} ways between the two networks worked")]
    NoPath(usize),
    /// It took too long.
    #[error("it took longer than {} seconds", UPGRADE_TIMEOUT.as_secs())]
    Timeout,
}

/// Candidates seen, for the explanation.
#[derive(Default)]
struct Seen {
    ours: usize,
    theirs: usize,
}

impl Seen {
    fn explain(&self, otherwise: UpgradeError) -> UpgradeError {
        match (self.ours, self.theirs) {
            (0, _) => UpgradeError::NoCandidates("this browser"),
            (_, 0) => UpgradeError::NoCandidates("the other browser"),
            _ => otherwise,
        }
    }
}

/// Sets up a connection as the side that opened the signalling stream.
pub(crate) async fn initiate<S>(carrier: Carrier, stream: S) -> Result<Connection, UpgradeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    limited(carrier, stream, true).await
}

/// Sets up a connection as the other side.
pub(crate) async fn respond<S>(carrier: Carrier, stream: S) -> Result<Connection, UpgradeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    limited(carrier, stream, false).await
}

async fn limited<S>(carrier: Carrier, stream: S, initiator: bool) -> Result<Connection, UpgradeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut seen = Seen::default();
    let result = {
        let setting_up = set_up(carrier, Signals::new(stream), initiator, &mut seen);
        pin_mut!(setting_up);
        match select(setting_up, Delay::new(UPGRADE_TIMEOUT)).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(UpgradeError::Timeout),
        }
    };
    match result {
        Err(error @ (UpgradeError::Timeout | UpgradeError::NoPath(_))) => Err(seen.explain(error)),
        other => other,
    }
}

async fn set_up<S>(
    carrier: Carrier,
    mut signals: Signals<S>,
    initiator: bool,
    seen: &mut Seen,
) -> Result<Connection, UpgradeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = Connection::reserve(&carrier).ok_or(UpgradeError::NoRoom)?;
    let pc = connection.pc();
    if initiator {
        carrier.post(ToPage::Offer { pc });
        let sdp = description(&connection, seen).await?;
        signals.send(&Signal::Offer(sdp)).await?;
    } else {
        let Signal::Offer(sdp) = signals.next().await? else { return Err(UpgradeError::OutOfTurn) };
        carrier.post(ToPage::Answer { pc, sdp });
        let sdp = description(&connection, seen).await?;
        signals.send(&Signal::Answer(sdp)).await?;
    }
    let mut answered = !initiator;
    // The other side may close its stream as soon as it is connected, which can be before this side is.
    let mut open = true;
    let mut early = Vec::new();
    loop {
        let next = {
            let happening = connection.event();
            pin_mut!(happening);
            if open {
                let signal = signals.next();
                pin_mut!(signal);
                match select(happening, signal).await {
                    Either::Left((event, _)) => Either::Left(event),
                    Either::Right((signal, _)) => Either::Right(signal),
                }
            } else {
                Either::Left(happening.await)
            }
        };
        match next {
            Either::Left(Ok(PcEvent::Candidate(json))) => {
                seen.ours += 1;
                if open && signals.send(&Signal::Candidate(json)).await.is_err() {
                    open = false;
                }
            }
            Either::Left(Ok(PcEvent::Gathered)) => {
                if seen.ours == 0 {
                    return Err(UpgradeError::NoCandidates("this browser"));
                }
            }
            Either::Left(Ok(PcEvent::State(PcState::Connected))) => {
                carrier.post(ToPage::Ready { pc });
                // The stream is only closed as a courtesy; what counts is up.
                let close = signals.close();
                pin_mut!(close);
                select(close, Delay::new(CLOSE_TIMEOUT)).await;
                return Ok(connection);
            }
            Either::Left(Ok(PcEvent::State(PcState::Failed | PcState::Closed))) => {
                return Err(UpgradeError::NoPath(seen.ours * seen.theirs));
            }
            Either::Left(Ok(PcEvent::State(PcState::Disconnected) | PcEvent::Description(_))) => {}
            Either::Left(Ok(PcEvent::Failed(why)) | Err(why)) => return Err(UpgradeError::Browser(why)),
            Either::Right(Ok(Signal::Answer(sdp))) if !answered => {
                answered = true;
                carrier.post(ToPage::Accept { pc, sdp });
                for json in early.drain(..) {
                    carrier.post(ToPage::Candidate { pc, json });
                }
            }
            Either::Right(Ok(Signal::Candidate(json))) => {
                if !matches!(json.as_str(), "" | "null" | "\"\"") {
                    seen.theirs += 1;
                    if answered {
                        carrier.post(ToPage::Candidate { pc, json });
                    } else {
                        early.push(json);
                    }
                }
            }
            Either::Right(Ok(Signal::Offer(_) | Signal::Answer(_))) => return Err(UpgradeError::OutOfTurn),
            Either::Right(Err(SignalError::Ended | SignalError::Io(_))) if answered => open = false,
            Either::Right(Err(error)) => return Err(error.into()),
        }
    }
}

/// Waits for the browser's own description. Pages tell it before any candidate.
async fn description(connection: &Connection, seen: &mut Seen) -> Result<String, UpgradeError> {
    loop {
        match connection.event().await.map_err(UpgradeError::Browser)? {
            PcEvent::Description(sdp) => {
                check_sdp(&sdp).map_err(|error| UpgradeError::Browser(error.to_string()))?;
                // A description made without trickling already names its candidates.
                seen.ours += sdp.lines().filter(|line| line.starts_with("a=candidate:")).count();
                return Ok(sdp);
            }
            PcEvent::Failed(why) => return Err(UpgradeError::Browser(why)),
            PcEvent::State(PcState::Failed | PcState::Closed) => {
                return Err(UpgradeError::Browser("the connection was closed".to_owned()));
            }
            PcEvent::State(_) | PcEvent::Candidate(_) | PcEvent::Gathered => {}
        }
    }
}
