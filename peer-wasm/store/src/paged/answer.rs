//! One question about rows, answered page by page.

use kith_core::rows::{KeyRange, Read};

use super::cache::{Cache, End};
use super::fetch::Want;
use super::page::Row;

/// Rows that a page is taken to hold when pages are asked for ahead.
const ROWS_A_PAGE: usize = 64;

/// At most so many pages are asked for ahead.
const PAGES_AHEAD: usize = 32;

/// What is found so far, and what is left to look for.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Nothing,
    Get { key: Vec<u8> },
    Up { cursor: Vec<u8>, end: Vec<u8>, limit: usize },
    Down { start: Vec<u8>, cursor: Vec<u8>, limit: usize },
}

impl Answer {
    pub(super) fn new(read: &Read) -> Answer {
        let rest = match read.clone() {
            Read::Get { key, .. } => Rest::Get { key },
            Read::Scan { range: KeyRange { start, end }, limit, reverse, .. } if start < end && limit > 0 => {
                if reverse { Rest::Down { start, cursor: end, limit } } else { Rest::Up { cursor: start, end, limit } }
            }
            Read::Scan { .. } => Rest::Nothing,
        };
        Answer { rows: Vec::new(), rest }
    }

    /// Goes on with what is at hand; says what is missing, if anything is.
    pub(super) fn advance(&mut self, cache: &Cache) -> Option<Want> {
        loop {
            let next = match &self.rest {
                Rest::Nothing => return None,
                Rest::Get { key } => {
                    let Some((_, node)) = cache.covering(key) else { return Some(Want::covering(key)) };
                    self.rows.extend(node.page.get(key).cloned());
                    Rest::Nothing
                }
                Rest::Up { cursor, end, limit } => {
                    let Some((_, node)) = cache.covering(cursor) else {
                        let pages = pages_for(*limit);
                        return Some(Want::Upward { from: cursor.clone(), end: End::Before(end.clone()), pages });
                    };
                    let found = node.page.range(cursor, Some(end)).iter().take(*limit);
                    let limit = limit.saturating_sub(found.len());
                    self.rows.extend(found.cloned());
                    match node.end.key() {
                        Some(cursor) if cursor < end.as_slice() && limit > 0 => {
                            Rest::Up { cursor: cursor.to_vec(), end: end.clone(), limit }
                        }
                        _ => Rest::Nothing,
                    }
                }
                Rest::Down { start, cursor, limit } => {
                    let Some((bound, node)) = cache.covering_before(cursor) else {
                        return Some(Want::Downward { before: cursor.clone(), pages: pages_for(*limit) });
                    };
                    let found = node.page.range(start, Some(cursor)).iter().rev().take(*limit);
                    let limit = limit.saturating_sub(found.len());
                    self.rows.extend(found.cloned());
                    if bound > start.as_slice() && limit > 0 {
                        Rest::Down { start: start.clone(), cursor: bound.to_vec(), limit }
                    } else {
                        Rest::Nothing
                    }
                }
            };
            self.rest = next;
        }
    }
}

fn pages_for(rows: usize) -> usize {
    (rows / ROWS_A_PAGE).saturating_add(1).min(PAGES_AHEAD)
}
