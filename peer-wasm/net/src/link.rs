//! One link: a stream of `/kith/sync/1` and everything that travels on it.
//!
//! The stream is a row of records, each led by an unsigned 32-bit big-endian word:
//! * `0`: a sign of life;
//! * `0x8000_0000 | n`: the receiver took `n` more bytes (the window of [`LINK_WINDOW`] bytes moves on);
//! * otherwise a length up to [`MAX_FRAME`], then that many bytes: a frame.
//!
//! The very first frame each way is the hello, 9 bytes: version 1 and a 64-bit big-endian number. The side that
//! opened the stream sends a number greater than on its earlier streams; the other side answers with the same
//! number, or closes the stream when a link with a greater one is in use. So both sides agree which of several
//! streams counts, whatever the order in which they arrive over different connections.
//!
//! The window is what keeps a fast sender from flooding a slow reader where the transport below has no flow
//! control of its own (WebRTC data channels).

mod hello;

use crate::limits::{
    LINK_ACK_EVERY, LINK_HEARTBEAT, LINK_HELLO_TIMEOUT, LINK_QUEUE_BYTES, LINK_QUEUE_FRAMES, LINK_WINDOW, MAX_FRAME,
};
use crate::runtime::Delay;
use crate::{LinkId, LinkPath, NetEvent};
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select};
use futures::task::AtomicWaker;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt, SinkExt, pin_mut};
use hello::greet;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

const ACK: u32 = 0x8000_0000;

/// Which side of the stream this peer is.
pub(crate) enum Side {
    /// It opened the stream; the number orders its streams.
    Opener { generation: u64 },
    /// The other side opened it.
    Acceptor,
}

/// What a link tells the swarm task.
pub(crate) enum Report {
    /// The opener's number arrived; answer whether this link is wanted.
    Hello { link: LinkId, generation: u64, verdict: oneshot::Sender<bool> },
    /// Both sides agreed; frames flow.
    Up { link: LinkId },
    /// It is over. `dead`: the other side fell silent, so the connection below is of no use either.
    Ended { link: LinkId, dead: bool },
}

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("the connection was lost: {0}")]
    Io(#[from] io::Error),
    #[error("the other side closed the link")]
    Closed,
    #[error("a frame of {0} bytes is longer than allowed or empty")]
    Oversize(usize),
    #[error("the other side broke the protocol: {0}")]
    Protocol(&'static str),
    #[error("the other side did not answer in time")]
    HelloTimeout,
    #[error("a newer link to the same peer is in use")]
    Refused,
    #[error("the other side stopped answering")]
    Dead,
    #[error("the reader is gone")]
    NoReader,
    #[error("{0}")]
    Stopped(String),
}

/// The swarm task's hold on a link.
pub(crate) struct LinkHandle {
    flow: Arc<Flow>,
    stop: Option<oneshot::Sender<String>>,
}

impl LinkHandle {
    /// Queues a frame. When the queue is full the link is ended: the other side is too slow.
    pub(crate) fn send(&mut self, frame: Vec<u8>) {
        let len = frame.len();
        if len == 0 || len > MAX_FRAME {
            self.stop(&LinkError::Oversize(len).to_string());
            return;
        }
        let mut state = self.flow.lock();
        state.queued += len;
        state.queue.push_back(frame);
        let over = state.queued > LINK_QUEUE_BYTES || state.queue.len() > LINK_QUEUE_FRAMES;
        drop(state);
        self.flow.writer.wake();
        if over {
            self.stop("too much was waiting to be sent: the other side is too slow");
        }
    }

    /// Ends the link.
    pub(crate) fn stop(&mut self, reason: &str) {
        if let Some(stop) = self.stop.take() {
            // A link that ended by itself no longer listens.
            let _ = stop.send(reason.to_owned());
        }
    }
}

/// What reader, writer and handle share.
#[derive(Default)]
struct Flow {
    state: Mutex<FlowState>,
    writer: AtomicWaker,
    notifier: AtomicWaker,
}

#[derive(Default)]
struct FlowState {
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    in_flight: usize,
    ack: usize,
    heartbeat: bool,
    sent: usize,
    wrote: bool,
    read: bool,
    reading_paused: bool,
}

impl Flow {
    fn lock(&self) -> MutexGuard<'_, FlowState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything a link needs to run.
pub(crate) struct Link<S> {
    pub(crate) id: LinkId,
    pub(crate) peer: [u8; 32],
    pub(crate) path: LinkPath,
    pub(crate) stream: S,
    pub(crate) side: Side,
    pub(crate) misses: u32,
    pub(crate) events: mpsc::Sender<NetEvent>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// The link's task and the hold on it.
    pub(crate) fn start(self) -> (LinkHandle, impl Future<Output = ()>) {
        let flow = Arc::new(Flow::default());
        let (stop, stopped) = oneshot::channel();
        (LinkHandle { flow: flow.clone(), stop: Some(stop) }, self.run(flow, stopped))
    }

    async fn run(self, flow: Arc<Flow>, stopped: oneshot::Receiver<String>) {
        let Link { id, peer, path, mut stream, side, misses, mut events, reports } = self;
        let stopped =
            stopped.map(|reason| LinkError::Stopped(reason.unwrap_or_else(|_| "the network ended".to_owned())));
        pin_mut!(stopped);
        let hello = {
            let greet = greet(id, &mut stream, side, &reports);
            let timeout = Delay::new(LINK_HELLO_TIMEOUT);
            pin_mut!(greet);
            match select(select(greet, timeout), &mut stopped).await {
                Either::Left((Either::Left((result, _)), _)) => result,
                Either::Left((Either::Right(_), _)) => Err(LinkError::HelloTimeout),
                Either::Right((reason, _)) => Err(reason),
            }
        };
        let error = match hello {
            Err(error) => {
                tracing::debug!(?id, %error, "a link did not come up");
                error
            }
            Ok(()) => {
                if events.send(NetEvent::LinkUp { link: id, peer, path }).await.is_err() {
                    return;
                }
                let _ = reports.unbounded_send(Report::Up { link: id });
                let error = exchange(id, &mut stream, &flow, &events, misses, &mut stopped).await;
                let _ = events.send(NetEvent::LinkDown { link: id, reason: error.to_string() }).await;
                error
            }
        };
        let _ = reports.unbounded_send(Report::Ended {
            link: id,
            dead: matches!(error, LinkError::Dead | LinkError::HelloTimeout),
        });
        if matches!(error, LinkError::Stopped(_) | LinkError::Refused | LinkError::Closed) {
            // A clean end where there is time for one; dropping the stream resets it otherwise.
            let close = stream.close();
            pin_mut!(close);
            select(close, Delay::new(LINK_HEARTBEAT)).await;
        }
    }
}

/// Moves frames both ways until something ends it.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    id: LinkId,
    stream: &mut S,
    flow: &Flow,
    events: &mpsc::Sender<NetEvent>,
    misses: u32,
    stopped: &mut (impl Future<Output = LinkError> + Unpin),
) -> LinkError {
    let (reader, writer) = stream.split();
    let reading = read_frames(id, reader, flow, events.clone());
    let writing = write_records(writer, flow);
    let notifying = notify_sent(id, flow, events.clone());
    let beating = beat(flow, misses);
    let moving = async { futures::try_join!(reading, writing, notifying, beating) };
    pin_mut!(moving);
    match select(moving, stopped).await {
        Either::Left((Ok((never, ..)), _)) => match never {},
        Either::Left((Err(error), _)) | Either::Right((error, _)) => error,
    }
}

type Forever = Result<std::convert::Infallible, LinkError>;

async fn read_frames<R: AsyncRead + Unpin>(
    id: LinkId,
    mut stream: R,
    flow: &Flow,
    mut events: mpsc::Sender<NetEvent>,
) -> Forever {
    loop {
        let mut word = [0; 4];
        read_some(&mut stream, flow, &mut word).await?;
        let word = u32::from_be_bytes(word);
        if word & ACK != 0 {
            let taken = (word & !ACK) as usize;
            let mut state = flow.lock();
            if taken > state.in_flight {
                return Err(LinkError::Protocol("it took more bytes than were sent"));
            }
            state.in_flight -= taken;
            drop(state);
            flow.writer.wake();
            continue;
        }
        let len = word as usize;
        if len > MAX_FRAME {
            return Err(LinkError::Oversize(len));
        }
        if len == 0 {
            continue;
        }
        let mut bytes = vec![0; len];
        read_some(&mut stream, flow, &mut bytes).await?;
        flow.lock().reading_paused = true;
        events.send(NetEvent::Frame { link: id, bytes }).await.map_err(|_| LinkError::NoReader)?;
        let mut state = flow.lock();
        state.reading_paused = false;
        state.read = true;
        state.ack += len + 4;
        let acknowledge = state.ack >= LINK_ACK_EVERY;
        drop(state);
        if acknowledge {
            flow.writer.wake();
        }
    }
}

/// Fills the buffer; every arriving byte is a sign of life.
async fn read_some<R: AsyncRead + Unpin>(stream: &mut R, flow: &Flow, buffer: &mut [u8]) -> Result<(), LinkError> {
    let mut rest = buffer;
    while !rest.is_empty() {
        let read = stream.read(rest).await?;
        if read == 0 {
            return Err(LinkError::Closed);
        }
        flow.lock().read = true;
        rest = rest.split_at_mut_checked(read).map_or(&mut [], |(_, rest)| rest);
    }
    Ok(())
}

/// What the writer does next.
enum Record {
    Ack(usize),
    Heartbeat,
    Frame(Vec<u8>),
}

/// The next record that may be written now, if any.
fn next_record(state: &mut FlowState) -> Option<Record> {
    if state.ack >= LINK_ACK_EVERY {
        return Some(Record::Ack(std::mem::take(&mut state.ack)));
    }
    let fits = state.queue.front().is_some_and(|frame| state.in_flight + frame.len() + 4 <= LINK_WINDOW);
    if fits && let Some(frame) = state.queue.pop_front() {
        state.queued -= frame.len();
        state.in_flight += frame.len() + 4;
        return Some(Record::Frame(frame));
    }
    std::mem::take(&mut state.heartbeat).then_some(Record::Heartbeat)
}

async fn write_records<W: AsyncWrite + Unpin>(mut stream: W, flow: &Flow) -> Forever {
    loop {
        let now = next_record(&mut flow.lock());
        let record = match now {
            Some(record) => record,
            None => {
                stream.flush().await?;
                poll_fn(|cx| {
                    flow.writer.register(cx.waker());
                    next_record(&mut flow.lock()).map_or(Poll::Pending, Poll::Ready)
                })
                .await
            }
        };
        match record {
            Record::Heartbeat => stream.write_all(&0u32.to_be_bytes()).await?,
            Record::Ack(taken) => {
                stream.write_all(&(ACK | u32::try_from(taken).unwrap_or(ACK - 1)).to_be_bytes()).await?
            }
            Record::Frame(frame) => {
                let len = u32::try_from(frame.len()).map_err(|_| LinkError::Oversize(frame.len()))?;
                stream.write_all(&len.to_be_bytes()).await?;
                stream.write_all(&frame).await?;
                flow.lock().sent += frame.len();
                flow.notifier.wake();
            }
        }
        flow.lock().wrote = true;
    }
}

/// Tells how much left the queue. Apart from the writer, so that a slow reader of events does not silence the link.
async fn notify_sent(link: LinkId, flow: &Flow, mut events: mpsc::Sender<NetEvent>) -> Forever {
    loop {
        let bytes = poll_fn(|cx| {
            flow.notifier.register(cx.waker());
            match std::mem::take(&mut flow.lock().sent) {
                0 => Poll::Pending,
                bytes => Poll::Ready(bytes),
            }
        })
        .await;
        events.send(NetEvent::Sent { link, bytes }).await.map_err(|_| LinkError::NoReader)?;
    }
}

/// Sends a sign of life when nothing else was sent and notices when none comes. Counts its own ticks instead of
/// comparing times, so that waking from a suspended machine is one tick, not a death.
async fn beat(flow: &Flow, misses: u32) -> Forever {
    let mut missed = 0;
    loop {
        Delay::new(LINK_HEARTBEAT).await;
        let mut state = flow.lock();
        let wrote = std::mem::take(&mut state.wrote);
        let heard = std::mem::take(&mut state.read) || state.reading_paused;
        state.heartbeat = !wrote;
        drop(state);
        flow.writer.wake();
        missed = if heard { 0 } else { missed + 1 };
        if missed >= misses {
            return Err(LinkError::Dead);
        }
    }
}

/// Reads what another peer may write on a link, as [`crate::fuzzing::link`] says.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) -> u64 {
    use futures::executor::block_on;
    use futures::io::Cursor;
    let flow = Flow::default();
    flow.lock().in_flight = LINK_WINDOW;
    // More than the frames of any input, so that reading never waits.
    let (events, told) = mpsc::channel(bytes.len() + 1);
    let mut stream = Cursor::new(bytes);
    let ended = match block_on(hello::read_hello(&mut stream)) {
        Ok(_) => {
            block_on(read_frames(LinkId(0), stream, &flow, events)).map_or_else(|error| error, |never| match never {})
        }
        Err(error) => {
            drop(events);
            error
        }
    };
    let frames = block_on(futures::StreamExt::count(told)) as u64;
    let end = match ended {
        LinkError::Io(_) => 0,
        LinkError::Closed => 1,
        LinkError::Oversize(_) => 2,
        LinkError::Protocol(_) => 3,
        _ => 4,
    };
    frames.min(1000) * 8 + end
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
