//! The set: a map without values.

use crate::BTreeMap;
use std::borrow::Borrow;

/// An ordered set for few entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BTreeSet<T> {
    map: BTreeMap<T, ()>,
}

impl<T> Default for BTreeSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> BTreeSet<T> {
    /// Without entries.
    pub const fn new() -> Self {
        Self { map: BTreeMap::new() }
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.map.clear();
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator + Clone {
        self.map.keys()
    }

    /// Takes out the least.
    pub fn pop_first(&mut self) -> Option<T> {
        self.map.pop_first().map(|(entry, ())| entry)
    }

    /// Keeps those it is true for.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.map.retain(|entry, ()| keep(entry));
    }
}

impl<T: Ord> BTreeSet<T> {
    /// Puts it in; false if it was there.
    pub fn insert(&mut self, entry: T) -> bool {
        self.map.insert(entry, ()).is_none()
    }

    /// Takes it out; false if it was not there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, entry: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.map.remove(entry).is_some()
    }

    /// Whether it is there.
    pub fn contains<Q: Ord + ?Sized>(&self, entry: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.map.contains_key(entry)
    }
}

impl<T: Ord> Extend<T> for BTreeSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, more: I) {
        self.map.extend(more.into_iter().map(|entry| (entry, ())));
    }
}

impl<T: Ord> FromIterator<T> for BTreeSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self { map: entries.into_iter().map(|entry| (entry, ())).collect() }
    }
}

impl<T> IntoIterator for BTreeSet<T> {
    type Item = T;
    type IntoIter = std::iter::Map<std::vec::IntoIter<(T, ())>, fn((T, ())) -> T>;
    fn into_iter(self) -> Self::IntoIter {
        self.map.into_iter().map(|(entry, ())| entry)
    }
}
