//! Streamed responses: a subscription's updates as bytes, pulled chunk by chunk.

use super::Driver;
use crate::http::{Download, Framer, HttpRequest, HttpResponse, Parsed, Rendered, parse};
use futures::channel::oneshot;
use futures::future::{Either, select};
use futures_timer::Delay;
use kith_core::api::{SubscriptionId, Update};
use kith_core::peer::Input;
use kith_store::Store;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// How long the head waits for the first state, so that it can say which version it is.
const FIRST_STATE: Duration = Duration::from_millis(25);

/// An open streamed response.
pub(super) enum Stream {
    /// What follows a subscription.
    Updates(Updates),
    /// A file: bytes to hand out, and what they are followed by.
    File(RefCell<(Vec<u8>, Download)>),
}

/// A subscription's updates as bytes.
pub(super) struct Updates {
    subscription: SubscriptionId,
    framer: RefCell<Framer>,
    /// Bytes to hand out before anything else.
    ready: RefCell<Vec<u8>>,
    /// The update asked for.
    pending: RefCell<Option<oneshot::Receiver<Update>>>,
    ended: Cell<bool>,
}

/// A response, whole or with a stream behind it.
pub(crate) struct Answer {
    pub(crate) response: HttpResponse,
    pub(crate) stream: Option<u32>,
}

impl<S: Store + 'static> Driver<S> {
    /// Answers one HTTP request; `None` if the peer was closed meanwhile.
    pub(crate) async fn http(self: &Rc<Self>, request: HttpRequest) -> Option<Answer> {
        let whole = |response| Some(Answer { response, stream: None });
        let (mut ask, mut render) = match parse(request) {
            Parsed::Answer(response) => return whole(response),
            Parsed::Ask(ask, render) => (ask, render),
        };
        loop {
            let reply = self.ask(ask).await?;
            match render.reply(reply) {
                Rendered::Whole(response) => return whole(response),
                Rendered::Stream(head, subscription, framer) => {
                    return Some(self.open_stream(head, subscription, framer).await);
                }
                Rendered::Download(head, bytes, download) => {
                    let id = self.number() as u32;
                    let file = Stream::File(RefCell::new((bytes, download)));
                    self.streams.borrow_mut().insert(id, Rc::new(file));
                    return Some(Answer { response: head, stream: Some(id) });
                }
                Rendered::Again(next, with) => (ask, render) = (next, with),
            }
        }
    }

    async fn open_stream(
        self: &Rc<Self>,
        mut head: HttpResponse,
        subscription: SubscriptionId,
        mut framer: Framer,
    ) -> Answer {
        let mut ready = framer.open();
        let mut ended = false;
        let first = self.next_update(subscription);
        let pending = match select(first, Delay::new(FIRST_STATE)).await {
            Either::Left((Ok(update), _)) => {
                head = framer.announce(head, &update);
                ended = matches!(update, Update::End(_));
                ready.extend(framer.update(update));
                None
            }
            Either::Left((Err(_), _)) => None,
            Either::Right(((), pending)) => Some(pending),
        };
        let id = self.number() as u32;
        let stream = Updates {
            subscription,
            framer: RefCell::new(framer),
            ready: RefCell::new(ready),
            pending: RefCell::new(pending),
            ended: Cell::new(ended),
        };
        self.streams.borrow_mut().insert(id, Rc::new(Stream::Updates(stream)));
        Answer { response: head, stream: Some(id) }
    }

    fn next_update(self: &Rc<Self>, subscription: SubscriptionId) -> oneshot::Receiver<Update> {
        let (send, receive) = oneshot::channel();
        self.updates.borrow_mut().insert(subscription, send);
        self.feed(Input::Pull(subscription));
        receive
    }

    /// The next bytes of a stream; `None` at its end.
    pub(crate) async fn pull(self: &Rc<Self>, id: u32) -> Option<Vec<u8>> {
        let stream = self.streams.borrow().get(&id).cloned()?;
        match &*stream {
            Stream::Updates(updates) => self.pull_update(id, updates).await,
            Stream::File(file) => self.pull_file(id, file).await,
        }
    }

    async fn pull_file(self: &Rc<Self>, id: u32, file: &RefCell<(Vec<u8>, Download)>) -> Option<Vec<u8>> {
        let (ready, next) = {
            let (bytes, download) = &mut *file.borrow_mut();
            let ready = std::mem::take(bytes);
            let next = if ready.is_empty() { download.request() } else { None };
            (ready, next)
        };
        if !ready.is_empty() {
            return Some(ready);
        }
        let reply = match next {
            Some(next) => self.ask(next).await,
            None => None,
        };
        let bytes = reply.and_then(|reply| file.borrow_mut().1.reply(reply));
        if bytes.is_none() {
            self.cancel(id);
        }
        bytes
    }

    async fn pull_update(self: &Rc<Self>, id: u32, stream: &Updates) -> Option<Vec<u8>> {
        let ready = stream.ready.take();
        if !ready.is_empty() {
            return Some(ready);
        }
        if stream.ended.get() {
            self.cancel(id);
            return None;
        }
        let pending = stream.pending.take().unwrap_or_else(|| self.next_update(stream.subscription));
        let every = stream.framer.borrow().heartbeat_every();
        let update = match every {
            None => pending.await,
            Some(seconds) => match select(pending, Delay::new(Duration::from_secs(seconds.into()))).await {
                Either::Left((update, _)) => update,
                Either::Right(((), pending)) => {
                    *stream.pending.borrow_mut() = Some(pending);
                    return Some(stream.framer.borrow().heartbeat());
                }
            },
        };
        // The sender is dropped when the reader went away or the peer closes.
        let update = update.ok()?;
        stream.ended.set(matches!(update, Update::End(_)));
        Some(stream.framer.borrow_mut().update(update))
    }

    /// The reader went away.
    pub(crate) fn cancel(self: &Rc<Self>, id: u32) {
        let stream = self.streams.borrow_mut().remove(&id);
        if let Some(Stream::Updates(stream)) = stream.as_deref() {
            self.updates.borrow_mut().remove(&stream.subscription);
            self.feed(Input::Unsubscribe(stream.subscription));
        }
    }
}
