//! Who may go to the store: any number of readers, or one writer. In order of arrival, so nobody waits for ever.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use futures::channel::oneshot;

/// The gate in front of a store.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    inside: Rc<RefCell<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    readers: usize,
    writing: bool,
    waiting: VecDeque<(bool, oneshot::Sender<Pass>)>,
}

/// Being inside. Dropped on the way out.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Gate,
    writes: bool,
}

impl Gate {
    /// Waits to go in: alone, to write, or with others, to read.
    pub(super) async fn enter(&self, writes: bool) -> Pass {
        let waiting = {
            let mut inside = self.inside.borrow_mut();
            if inside.waiting.is_empty() && inside.admits(writes) {
                inside.admit(writes);
                None
            } else {
                let (sender, waiting) = oneshot::channel();
                inside.waiting.push_back((writes, sender));
                Some(waiting)
            }
        };
        match waiting {
            // Nobody drops a sender unanswered while there is a gate, and there is: we hold it.
            Some(waiting) => match waiting.await {
                Ok(pass) => pass,
                Err(_) => futures::future::pending().await,
            },
            None => Pass { gate: self.clone(), writes },
        }
    }

    fn let_in(&self) {
        loop {
            let next = {
                let mut inside = self.inside.borrow_mut();
                let Some((writes, _)) = inside.waiting.front() else { return };
                let writes = *writes;
                if !inside.admits(writes) {
                    return;
                }
                inside.admit(writes);
                inside.waiting.pop_front()
            };
            if let Some((writes, sender)) = next {
                // Who has gone away meanwhile drops the pass, and with it goes out again.
                drop(sender.send(Pass { gate: self.clone(), writes }));
            }
        }
    }
}

impl Inside {
    fn admits(&self, writes: bool) -> bool {
        !self.writing && (!writes || self.readers == 0)
    }

    fn admit(&mut self, writes: bool) {
        if writes {
            self.writing = true;
        } else {
            self.readers += 1;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        {
            let mut inside = self.gate.inside.borrow_mut();
            if self.writes {
                inside.writing = false;
            } else {
                inside.readers = inside.readers.saturating_sub(1);
            }
        }
        self.gate.let_in();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn readers_share_writers_do_not_and_none_is_overtaken() {
        let gate = Gate::default();
        let enter = |writes| {
            let gate = gate.clone();
            Box::pin(async move { gate.enter(writes).await })
        };
        let one = enter(false).now_or_never().unwrap();
        let two = enter(false).now_or_never().unwrap();
        let (mut writer, mut late) = (enter(true), enter(false));
        assert!((&mut writer).now_or_never().is_none());
        assert!((&mut late).now_or_never().is_none(), "a reader overtook a writer");
        drop(one);
        assert!((&mut writer).now_or_never().is_none());
        drop(two);
        let writing = (&mut writer).now_or_never().unwrap();
        assert!((&mut late).now_or_never().is_none());
        drop(writing);
        assert!((&mut late).now_or_never().is_some());
    }

    #[test]
    fn who_goes_away_holds_nobody_up() {
        let gate = Gate::default();
        let enter = |writes| {
            let gate = gate.clone();
            Box::pin(async move { gate.enter(writes).await })
        };
        let writing = enter(true).now_or_never().unwrap();
        let mut gone = enter(true);
        assert!((&mut gone).now_or_never().is_none());
        let mut next = enter(true);
        assert!((&mut next).now_or_never().is_none());
        drop(writing);
        // Let in already, but it never comes.
        drop(gone);
        assert!((&mut next).now_or_never().is_some());
    }
}
