//! Who may take how much: connections by address, and rates by whatever key.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Keys a [`Rate`] remembers at most; beyond it, strangers pass uncounted until older keys are forgotten.
const MAX_RATE_KEYS: usize = 65_536;

/// The connections open on the public port, counted by client address.
///
/// When the port is full, a newcomer takes the place of the newest connection of the address that holds most, unless the
/// newcomer's own address would then hold as many. So no single address can shut the others out.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    inner: Arc<Mutex<Table>>,
    max: usize,
    max_per_address: usize,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: usize,
    by_address: HashMap<IpAddr, Vec<(u64, CancellationToken)>>,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The address holds its share already.
    #[error("this address has too many connections")]
    AddressFull,
    /// The port is full and nobody holds more than the newcomer.
    #[error("the relay has too many connections")]
    Full,
}

/// A place taken by one connection; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Admission {
    table: Arc<Mutex<Table>>,
    address: IpAddr,
    id: u64,
    closed: CancellationToken,
}

impl Connections {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Self {
        Self { inner: Arc::default(), max, max_per_address }
    }

    /// Takes a place for a connection from `ip`.
    pub(crate) fn admit(&self, ip: IpAddr) -> Result<Admission, Refused> {
        let address = crate::address::client_block(ip);
        let mut table = lock(&self.inner);
        let own = table.by_address.get(&address).map_or(0, Vec::len);
        if own >= self.max_per_address {
            return Err(Refused::AddressFull);
        }
        if table.open >= self.max {
            table.close_one_of_the_greediest(own + 1).ok_or(Refused::Full)?;
        }
        let id = table.next;
        table.next += 1;
        table.open += 1;
        let closed = CancellationToken::new();
        table.by_address.entry(address).or_default().push((id, closed.clone()));
        Ok(Admission { table: self.inner.clone(), address, id, closed })
    }
}

impl Table {
    /// Ends the newest connection of the address that holds most, if that is more than `than`.
    fn close_one_of_the_greediest(&mut self, than: usize) -> Option<()> {
        let (&address, held) = self.by_address.iter().max_by_key(|(_, held)| held.len())?;
        if held.len() <= than {
            return None;
        }
        let id = held.last()?.0;
        self.remove(address, id)?.cancel();
        Some(())
    }

    fn remove(&mut self, address: IpAddr, id: u64) -> Option<CancellationToken> {
        let held = self.by_address.get_mut(&address)?;
        let at = held.iter().position(|(other, _)| *other == id)?;
        let (_, closed) = held.swap_remove(at);
        if held.is_empty() {
            self.by_address.remove(&address);
        }
        self.open -= 1;
        Some(closed)
    }
}

impl Admission {
    /// Ends when somebody else needs the place: close the connection then.
    pub(crate) fn revoked(&self) -> CancellationToken {
        self.closed.clone()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        lock(&self.table).remove(self.address, self.id);
    }
}

/// A token bucket per key: `per_minute` at once, refilled evenly over a minute. 0 is no limit.
#[derive(Debug)]
pub(crate) struct Rate<K> {
    per_minute: u32,
    buckets: HashMap<K, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    seen: Instant,
}

impl<K: Eq + Hash> Rate<K> {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute, buckets: HashMap::new() }
    }

    /// Takes one token; `Err` tells how long until there is one.
    pub(crate) fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let full = f64::from(self.per_minute);
        let per_second = full / 60.0;
        if self.buckets.len() >= MAX_RATE_KEYS && !self.buckets.contains_key(&key) {
            self.buckets.retain(|_, bucket| now.duration_since(bucket.seen) < Duration::from_secs(60));
            if self.buckets.len() >= MAX_RATE_KEYS {
                return Ok(());
            }
        }
        let bucket = self.buckets.entry(key).or_insert(Bucket { tokens: full, seen: now });
        let since = now.saturating_duration_since(bucket.seen).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * per_second).min(full);
        bucket.seen = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - bucket.tokens) / per_second))
        }
    }
}

/// A lock that outlives a panic elsewhere: the data behind it is only counts.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn one_address_gets_no_more_than_its_share() {
        let connections = Connections::new(10, 2);
        let held: Vec<_> = (0..2).map(|_| connections.admit(ip(1)).unwrap()).collect();
        assert_eq!(connections.admit(ip(1)).unwrap_err(), Refused::AddressFull);
        drop(held);
        assert!(connections.admit(ip(1)).is_ok());
    }

    #[test]
    fn a_full_port_closes_the_greediest_address_not_the_newcomer() {
        let connections = Connections::new(4, 4);
        let greedy: Vec<_> = (0..3).map(|_| connections.admit(ip(1)).unwrap()).collect();
        let modest = connections.admit(ip(2)).unwrap();
        let newcomer = connections.admit(ip(3)).unwrap();
        assert!(greedy.last().unwrap().revoked().is_cancelled());
        assert!(!greedy[0].revoked().is_cancelled() && !modest.revoked().is_cancelled());
        assert!(!newcomer.revoked().is_cancelled());
    }

    #[test]
    fn a_full_port_refuses_a_newcomer_when_nobody_holds_more() {
        let connections = Connections::new(2, 2);
        let _held = [connections.admit(ip(1)).unwrap(), connections.admit(ip(2)).unwrap()];
        assert_eq!(connections.admit(ip(3)).unwrap_err(), Refused::Full);
    }

    #[test]
    fn a_revoked_place_is_not_given_back_twice() {
        let connections = Connections::new(3, 3);
        let greedy: Vec<_> = (0..3).map(|_| connections.admit(ip(1)).unwrap()).collect();
        let newcomer = connections.admit(ip(2)).unwrap();
        drop(greedy);
        drop(newcomer);
        assert_eq!(lock(&connections.inner).open, 0);
        assert!(lock(&connections.inner).by_address.is_empty());
    }

    #[test]
    fn a_rate_lets_a_burst_pass_and_then_one_after_another() {
        let mut rate = Rate::new(60);
        let start = Instant::now();
        assert!((0..60).all(|_| rate.take('a', start).is_ok()));
        let wait = rate.take('a', start).unwrap_err();
        assert!(wait <= Duration::from_secs(1) && wait > Duration::ZERO);
        assert!(rate.take('b', start).is_ok());
        assert!(rate.take('a', start + Duration::from_secs(1)).is_ok());
        assert!(rate.take('a', start + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let mut rate = Rate::new(0);
        assert!((0..10_000).all(|_| rate.take(1, Instant::now()).is_ok()));
    }
}
