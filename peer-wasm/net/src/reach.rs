//! Where sockets failed lately, and whether a request by HTTP says when it is worth trying again. No IO.
//!
//! Browsers hold WebSockets back after failures: Firefox makes the next one to the same place wait, longer each time, up to a
//! minute, and Chromium up to five seconds. After an outage that is what a person waits for. Requests are not held back, so after a
//! failure the relay is first asked that way whether it is there (`docs/decisions/0173-asking-by-http-before-trying-again.md`).

use kith_map::BTreeMap;

/// Places remembered; beyond it none are added.
const MAX_PLACES: usize = 64;
/// While it is not known whether requests get through to a place, a socket is tried without an answer after so long, in milliseconds, …
const UNASKED: u64 = 15_000;
/// … and after so long if they do elsewhere.
const UNASKED_HERE: u64 = 60_000;

/// What is known of each host and port.
#[derive(Default)]
pub(crate) struct Reach {
    places: BTreeMap<String, Place>,
}

#[derive(Default)]
struct Place {
    /// The last socket could not be opened, or broke.
    failed: bool,
    /// When one was tried last, in milliseconds.
    tried: u64,
    requests: Requests,
}

/// Whether requests get through to a place when it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Requests {
    #[default]
    Unknown,
    Answered,
    /// One was not while a socket was open: the page's policy forbids them.
    Futile,
}

impl Reach {
    /// Whether the relay is to be asked first.
    pub(crate) fn asks_first(&self, at: &str) -> bool {
        self.places.get(at).is_some_and(|place| place.failed && place.requests != Requests::Futile)
    }

    /// It was asked, and answered or not. Whether a socket is tried now.
    pub(crate) fn asked(&mut self, at: &str, answered: bool, now: u64) -> bool {
        let elsewhere = self.places.values().any(|place| place.requests == Requests::Answered);
        let Some(place) = self.places.get_mut(at) else { return true };
        if answered {
            place.requests = Requests::Answered;
            return true;
        }
        let pause = if elsewhere { UNASKED_HERE } else { UNASKED };
        place.requests == Requests::Unknown && now >= place.tried.saturating_add(pause)
    }

    /// A socket was opened, could not be, or broke.
    pub(crate) fn tried(&mut self, at: &str, opened: bool, now: u64) {
        if self.places.len() < MAX_PLACES && !self.places.contains_key(at) {
            self.places.insert(at.to_owned(), Place::default());
        }
        if let Some(place) = self.places.get_mut(at) {
            (place.failed, place.tried) = (!opened, now);
        }
    }

    /// Whether a request would tell something new.
    pub(crate) fn learns(&self, at: &str) -> bool {
        self.places.get(at).is_some_and(|place| place.requests == Requests::Unknown)
    }

    /// The relay was asked while a socket was open.
    pub(crate) fn learned(&mut self, at: &str, answered: bool) {
        if let Some(place) = self.places.get_mut(at).filter(|place| !place.failed) {
            place.requests = if answered { Requests::Answered } else { Requests::Futile };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_a_relay_is_asked_until_a_socket_opens() {
        let mut reach = Reach::default();
        assert!(!reach.asks_first("a"));
        reach.tried("a", false, 0);
        assert!(reach.asks_first("a") && !reach.asks_first("b"));
        assert!(reach.asked("a", true, 1));
        reach.tried("a", false, 2);
        assert!(reach.asks_first("a"));
        reach.tried("a", true, 3);
        assert!(!reach.asks_first("a"));
    }

    #[test]
    fn where_requests_were_answered_no_socket_is_tried_without() {
        let mut reach = Reach::default();
        reach.tried("a", true, 0);
        assert!(reach.learns("a"));
        reach.learned("a", true);
        assert!(!reach.learns("a"));
        reach.tried("a", false, 10);
        assert!((0..100).all(|minutes| !reach.asked("a", false, minutes * 60_000)));
        assert!(reach.asked("a", true, 11));
    }

    #[test]
    fn where_that_is_not_known_one_is_tried_now_and_then() {
        let mut reach = Reach::default();
        reach.tried("a", false, 1_000);
        assert!(!reach.asked("a", false, 15_999));
        assert!(reach.asked("a", false, 16_000));
        reach.tried("a", false, 16_001);
        assert!(!reach.asked("a", false, 16_002));
        reach.tried("b", true, 20_000);
        reach.learned("b", true);
        assert!(!reach.asked("a", false, 76_000), "it is likelier that the place is not there");
        assert!(reach.asked("a", false, 76_001));
    }

    #[test]
    fn where_requests_are_forbidden_sockets_are_tried_as_ever() {
        let mut reach = Reach::default();
        reach.tried("a", true, 0);
        reach.learned("a", false);
        reach.tried("a", false, 1);
        assert!(!reach.asks_first("a"));
    }

    #[test]
    fn what_an_outage_answers_says_nothing() {
        let mut reach = Reach::default();
        reach.tried("a", true, 0);
        reach.tried("a", false, 1);
        reach.learned("a", false);
        assert!(reach.asks_first("a") && reach.learns("a"));
    }

    #[test]
    fn what_is_remembered_is_limited() {
        let mut reach = Reach::default();
        (0..1000).for_each(|place| reach.tried(&place.to_string(), false, 0));
        assert_eq!(reach.places.len(), MAX_PLACES);
        assert!(!reach.asks_first("999"));
    }
}
