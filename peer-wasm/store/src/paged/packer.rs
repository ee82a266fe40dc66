//! Packing rows that were stored one by one, for a database that comes from before there were pages.

use super::PageSizes;
use super::fetch::{apart_key, page_key};
use super::page::{Page, Row};
use super::sum::sum;

/// Takes rows in the order of their keys and gives what is to be stored for them. Holds at most a page of rows.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    bound: Vec<u8>,
    page: Page,
}

/// A key and a value to be stored.
pub(crate) type Stored = (Vec<u8>, Vec<u8>);

impl Packer {
    /// Takes the next row; gives what is complete.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> Vec<Stored> {
        let most = PageSizes::default().page;
        let mut complete = Vec::new();
        let row = if value.len() > most / 4 {
            complete.push((apart_key(key), value.to_vec()));
            Row::apart(key, sum(value))
        } else {
            Row::new(key, value)
        };
        self.page.rows.push(row);
        if self.page.rows.len() > 1 && self.page.size(&self.bound) > most {
            let row = self.page.rows.pop();
            complete.extend(self.finish());
            self.bound = key.to_vec();
            self.page.rows.extend(row);
        }
        complete
    }

    /// Gives the last page, if there is one.
    pub(crate) fn finish(&mut self) -> Option<Stored> {
        let page = std::mem::take(&mut self.page);
        (!page.rows.is_empty()).then(|| (page_key(&self.bound), page.encode(&self.bound)))
    }
}
