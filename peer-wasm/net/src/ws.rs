//! WebSocket for workers: dials relays with the browser's own `WebSocket`.
//!
//! Beside what is usual it wakes readers and writers when the socket closes or breaks, limits what is unread, and
//! holds writers back while the browser still has much to send. The browser tells nothing when its buffer has
//! drained, so a held-back writer looks again after short pauses, and only then.

use crate::limits::{WS_BUFFERED, WS_MESSAGE, WS_UNREAD};
use crate::probe;
use crate::reach::Reach;
use crate::runtime::{Delay, delay, spawn, unix_ms};
use futures::future::{BoxFuture, poll_fn};
use futures::{AsyncRead, AsyncWrite, FutureExt};
use js_sys::{ArrayBuffer, Reflect, Uint8Array};
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::{Multiaddr, Protocol};
use send_wrapper::SendWrapper;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{BinaryType, CloseEvent, Event, MessageEvent, WebSocket};

/// How long a held-back writer waits before it looks at the browser's buffer again.
const DRAIN_PAUSE: Duration = Duration::from_millis(8);

const BROKE: &str = "the relay refused the connection or it broke";

/// The transport. It only dials.
pub(crate) struct Transport {
    reach: SendWrapper<Rc<RefCell<Reach>>>,
}

impl Transport {
    pub(crate) fn new() -> Self {
        Transport { reach: SendWrapper::new(Rc::default()) }
    }
}

impl libp2p::core::Transport for Transport {
    type Output = Connection;
    type Error = io::Error;
    type ListenerUpgrade = futures::future::Pending<io::Result<Connection>>;
    type Dial = BoxFuture<'static, io::Result<Connection>>;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let url = url(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        let reach = Rc::clone(&*self.reach);
        Ok(SendWrapper::new(async move {
            let unreachable = |why| Err(io::Error::new(io::ErrorKind::NetworkUnreachable, why));
            if is_offline(&url) {
                return unreachable("this device has no network");
            }
            let place = place(&url);
            let asks = reach.borrow().asks_first(&place);
            if asks {
                let answered = probe::answers(&place).await;
                if !reach.borrow_mut().asked(&place, answered, unix_ms()) {
                    return unreachable("the relay does not answer");
                }
            }
            let socket = Socket::open(&url)?;
            let opened = poll_fn(|cx| socket.poll_open(cx)).await;
            reach.borrow_mut().tried(&place, opened.is_ok(), unix_ms());
            opened?;
            if reach.borrow().learns(&place) {
                let (reach, place) = (Rc::clone(&reach), place.clone());
                spawn(async move {
                    let answered = probe::answers(&place).await;
                    reach.borrow_mut().learned(&place, answered);
                });
            }
            Ok(Connection { socket: SendWrapper::new(socket), place, reach: SendWrapper::new(reach) })
        })
        .boxed())
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Poll::Pending
    }
}

/// The URL of an address: host, port, `/ws`, `/wss` or `/tls/ws`, and then at most the relay's name.
fn url(address: &Multiaddr) -> Option<String> {
    let mut parts = address.iter().peekable();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => ip.to_string(),
        Protocol::Ip6(ip) => format!("[{ip}]"),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => name.to_string(),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else { return None };
    let tls = parts.next_if(|part| *part == Protocol::Tls).is_some();
    let (scheme, path) = match parts.next()? {
        Protocol::Ws(path) => (if tls { "wss" } else { "ws" }, path.into_owned()),
        Protocol::Wss(path) => ("wss", path.into_owned()),
        _ => return None,
    };
    match (parts.next(), parts.next()) {
        (None | Some(Protocol::P2p(_)), None) => Some(format!("{scheme}://{host}:{port}{path}")),
        _ => None,
    }
}

/// Where a URL leads, as `https://host:port`: browsers hold back what goes to the same host and port.
fn place(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("wss", url));
    let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
    format!("{}://{host}", if scheme == "wss" { "https" } else { "http" })
}

/// Whether the browser says that there is no network at all. A try would be in vain, and make the next ones wait
/// ([`Reach`]). Plain `ws` goes to this machine, which is there all the same.
fn is_offline(url: &str) -> bool {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into());
    let on_line = navigator.and_then(|navigator| Reflect::get(&navigator, &"onLine".into()));
    url.starts_with("wss:") && on_line.is_ok_and(|on_line| on_line.as_bool() == Some(false))
}

/// What the browser told so far.
#[derive(Default)]
struct Inbox {
    messages: VecDeque<Vec<u8>>,
    /// Bytes of the first message already read.
    taken: usize,
    unread: usize,
    open: bool,
    /// Why there will be nothing more; an empty text is a clean end.
    closed: Option<&'static str>,
    wakers: Vec<Waker>,
}

impl Inbox {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    fn wait(&mut self, cx: &Context<'_>) {
        if !self.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
    }

    fn close(&mut self, why: &'static str) {
        self.closed.get_or_insert(why);
        self.wake();
    }
}

struct Socket {
    socket: WebSocket,
    inbox: Rc<RefCell<Inbox>>,
    drain: Option<Pin<Box<Delay>>>,
    // Called by the browser for as long as they live.
    _on_open: Closure<dyn FnMut(Event)>,
    _on_close: Closure<dyn FnMut(Event)>,
    _on_error: Closure<dyn FnMut(Event)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl Socket {
    fn open(url: &str) -> io::Result<Self> {
        let socket = WebSocket::new(url)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the browser refuses to connect there"))?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let inbox = Rc::new(RefCell::new(Inbox::default()));
        let on = |what: fn(&mut Inbox)| {
            let inbox = inbox.clone();
            Closure::<dyn FnMut(Event)>::new(move |_: Event| what(&mut inbox.borrow_mut()))
        };
        let on_open = on(|inbox| {
            inbox.open = true;
            inbox.wake();
        });
        let ended = inbox.clone();
        let on_close = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            // Some browsers tell of no error when a connection breaks.
            let is_clean = event.dyn_ref::<CloseEvent>().is_some_and(CloseEvent::was_clean);
            ended.borrow_mut().close(if is_clean { "" } else { BROKE });
        });
        let on_error = on(|inbox| inbox.close(BROKE));
        let (messages, closer) = (inbox.clone(), socket.clone());
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let mut inbox = messages.borrow_mut();
            // Text has no place in libp2p.
            let Ok(buffer) = event.data().dyn_into::<ArrayBuffer>() else { return };
            let bytes = Uint8Array::new(&buffer).to_vec();
            inbox.unread += bytes.len();
            if inbox.unread > WS_UNREAD {
                inbox.close("more arrived than could be read");
                let _ = closer.close();
            } else if !bytes.is_empty() && inbox.closed.is_none() {
                inbox.messages.push_back(bytes);
                inbox.wake();
            }
        });
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        socket.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Ok(Self {
            socket,
            inbox,
            drain: None,
            _on_open: on_open,
            _on_close: on_close,
            _on_error: on_error,
            _on_message: on_message,
        })
    }

    fn poll_open(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut inbox = self.inbox.borrow_mut();
        if inbox.closed.is_some() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "the relay could not be reached",
            )));
        }
        if inbox.open {
            return Poll::Ready(Ok(()));
        }
        inbox.wait(cx);
        Poll::Pending
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.inbox.borrow().closed.is_some() {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if self.socket.buffered_amount() < WS_BUFFERED {
                self.drain = None;
                return Poll::Ready(Ok(()));
            }
            self.inbox.borrow_mut().wait(cx);
            let drain = self.drain.get_or_insert_with(|| delay(DRAIN_PAUSE));
            ready!(drain.poll_unpin(cx));
            self.drain = None;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onclose(None);
        self.socket.set_onerror(None);
        self.socket.set_onmessage(None);
        let _ = self.socket.close();
    }
}

/// An open connection.
pub(crate) struct Connection {
    socket: SendWrapper<Socket>,
    place: String,
    reach: SendWrapper<Rc<RefCell<Reach>>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // One that broke counts as a failure in browsers, too.
        if self.socket.inbox.borrow().closed != Some("") {
            self.reach.borrow_mut().tried(&self.place, false, unix_ms());
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut inbox = self.socket.inbox.borrow_mut();
        let inbox = &mut *inbox;
        let Some(first) = inbox.messages.front() else {
            return match inbox.closed {
                None => {
                    inbox.wait(cx);
                    Poll::Pending
                }
                Some("") => Poll::Ready(Ok(0)),
                Some(why) => Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, why))),
            };
        };
        let rest = first.get(inbox.taken..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        inbox.taken += count;
        inbox.unread = inbox.unread.saturating_sub(count);
        if inbox.taken >= first.len() {
            inbox.messages.pop_front();
            inbox.taken = 0;
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let socket = &mut *self.get_mut().socket;
        ready!(socket.poll_writable(cx))?;
        let piece = buffer.get(..buffer.len().min(WS_MESSAGE)).unwrap_or_default();
        socket.socket.send_with_u8_array(piece).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The browser sends what it was given without being asked.
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = self.socket.socket.close();
        let mut inbox = self.socket.inbox.borrow_mut();
        if inbox.closed.is_some() {
            return Poll::Ready(Ok(()));
        }
        inbox.wait(cx);
        Poll::Pending
    }
}
