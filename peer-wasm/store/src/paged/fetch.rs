//! Getting pages from the store, several at a time.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use kith_core::rows::{KeyRange, Read, Rows, Table};

use super::cache::{Cache, End, Node};
use super::page::Page;
use crate::{Store, StoreError};

/// What the stored keys of pages begin with; the bound follows.
const PAGE: u8 = 0;

/// What the stored keys of values kept apart begin with; their row's key follows.
const APART: u8 = 1;

/// Pages are first asked for at so many places at once. Which page covers which key is not known before, so asking for
/// all at once might bring the same page many times; …
const FEW_PLACES: usize = 4;

/// … each further time at so many times as many, …
const MORE: usize = 4;

/// … up to this many.
const MOST_PLACES: usize = 64;

/// The stored key of the page with this bound.
pub(super) fn page_key(bound: &[u8]) -> Vec<u8> {
    [&[PAGE], bound].concat()
}

/// The stored key of the value of this row, if it is kept apart.
pub(super) fn apart_key(key: &[u8]) -> Vec<u8> {
    [&[APART], key].concat()
}

/// The stored keys of values apart whose rows lie in a range.
pub(super) fn apart_range(range: &KeyRange) -> KeyRange {
    KeyRange { start: apart_key(&range.start), end: apart_key(&range.end) }
}

/// The stored keys of pages whose bounds come after one and before another.
pub(super) fn pages_between(bound: &[u8], end: &End) -> KeyRange {
    let mut start = page_key(bound);
    start.push(0);
    KeyRange { start, end: end.key().map_or(vec![APART], page_key) }
}

/// Pages that are missing.
#[derive(Clone, Debug)]
pub(super) enum Want {
    /// The page that covers `from`, and up to `pages` behind it whose bounds come before `end`.
    Upward { from: Vec<u8>, end: End, pages: usize },
    /// The page that covers what comes just before `before`, and those below it, together up to `pages`.
    Downward { before: Vec<u8>, pages: usize },
}

impl Want {
    /// The page that covers a key. The one behind it is asked for too: it tells how far the first reaches.
    pub(super) fn covering(key: &[u8]) -> Want {
        Want::Upward { from: key.to_vec(), end: End::Never, pages: 1 }
    }

    fn ask(&self, reads: &mut Vec<Read>) {
        let scan = |range, limit, reverse| Read::Scan { table: Table::View, range, limit, reverse };
        match self {
            Want::Upward { from, end, pages } => {
                let above = pages_between(from, end);
                reads.push(scan(KeyRange { start: vec![PAGE], end: above.start.clone() }, 1, true));
                reads.push(scan(above, *pages, false));
            }
            Want::Downward { before, pages } => {
                reads.push(scan(KeyRange { start: vec![PAGE], end: page_key(before) }, *pages, true));
            }
        }
    }

    /// Takes in what was answered. A damaged page is an error only if it is the one that was asked for, not one beside it.
    fn learn(&self, answers: &mut impl Iterator<Item = Rows>, cache: &mut Cache) -> Result<(), StoreError> {
        let mut next = || answers.next().unwrap_or_default();
        match self {
            Want::Upward { from, end, pages } => {
                let (below, above) = (next(), next());
                let complete = above.len() < *pages;
                let mut rows = below.into_iter().chain(above).map(stored).peekable();
                let first = match rows.peek() {
                    Some((bound, _)) if bound <= from => rows.next(),
                    _ => None,
                };
                let (mut bound, mut page) = match first {
                    Some((bound, stored)) => (bound.clone(), Some(decode(&bound, &stored)?)),
                    // Before the first stored page there is an empty one.
                    None => (Vec::new(), Some(Page::default())),
                };
                let mut reach = End::behind(from);
                for (next_bound, stored) in rows {
                    learn(cache, bound, page, End::Before(next_bound.clone()));
                    page = Page::decode(&next_bound, &stored).ok();
                    bound = next_bound;
                    reach = End::behind(&bound);
                }
                // If these were all, the last reaches as far as was asked.
                let reach = if complete { reach.or_later(end.clone()) } else { reach };
                learn(cache, bound, page, reach);
            }
            Want::Downward { before, pages } => {
                let rows = next();
                let complete = rows.len() < *pages;
                let mut end = before.clone();
                for (at, (bound, stored)) in rows.into_iter().map(stored).enumerate() {
                    let page =
                        if at == 0 { Some(decode(&bound, &stored)?) } else { Page::decode(&bound, &stored).ok() };
                    learn(cache, bound.clone(), page, End::Before(end));
                    end = bound;
                }
                if complete && !end.is_empty() {
                    learn(cache, Vec::new(), Some(Page::default()), End::Before(end));
                }
            }
        }
        Ok(())
    }
}

fn learn(cache: &mut Cache, bound: Vec<u8>, page: Option<Page>, end: End) {
    if let Some(page) = page {
        // A page reaches behind its last row in any case.
        let end = match page.rows.last() {
            Some(last) => end.or_later(End::behind(last.key())),
            None => end,
        };
        cache.learn(bound, Node { page: Rc::new(page), end });
    }
}

/// A stored page's bound and bytes.
fn stored((mut key, value): (Vec<u8>, Vec<u8>)) -> (Vec<u8>, Vec<u8>) {
    key.drain(..key.len().min(1));
    (key, value)
}

fn decode(bound: &[u8], stored: &[u8]) -> Result<Page, StoreError> {
    Page::decode(bound, stored).map_err(|why| damaged("the page from", bound, why))
}

/// What to say of something damaged, naming its place.
pub(super) fn damaged(what: &str, key: &[u8], why: &str) -> StoreError {
    let mut name = String::with_capacity(2 * key.len());
    for byte in key {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    StoreError::Corrupt(format!("in the table {}, {what} {name}: {why}", Table::View.name()))
}

/// Brings what is wanted into the cache until nothing is.
///
/// `wants` looks into the cache, takes what it needs and says what is missing still; what it took may be let go of
/// afterwards. `first` goes along with the first question, and its answers are given back.
pub(super) async fn fetch(
    store: &impl Store,
    cache: &RefCell<Cache>,
    cache_bytes: usize,
    first: Vec<Read>,
    mut wants: impl FnMut(&Cache) -> Vec<Want>,
) -> Result<Vec<Rows>, StoreError> {
    let mut along = first.len();
    let mut reads = first;
    let mut others = Vec::new();
    let mut places = FEW_PLACES;
    loop {
        let missing = wants(&cache.borrow());
        cache.borrow_mut().trim(cache_bytes);
        if missing.is_empty() && reads.is_empty() {
            return Ok(others);
        }
        let missing: Vec<Want> = spread(missing, places).collect();
        places = places.saturating_mul(MORE).min(MOST_PLACES);
        for want in &missing {
            want.ask(&mut reads);
        }
        let mut answers = store.read(std::mem::take(&mut reads)).await?.into_iter();
        others.extend(answers.by_ref().take(std::mem::take(&mut along)));
        let mut cache = cache.borrow_mut();
        for want in &missing {
            want.learn(&mut answers, &mut cache)?;
        }
    }
}

/// At most so many of them, from all over.
fn spread(wants: Vec<Want>, most: usize) -> impl Iterator<Item = Want> {
    let step = wants.len().div_ceil(most).max(1);
    wants.into_iter().step_by(step)
}
