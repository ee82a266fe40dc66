//! Answering reads: from the pages at hand, or else from the store.

use std::rc::Rc;

use kith_core::rows::{Read, Rows, Table};

use super::Shared;
use super::answer::Answer;
use super::fetch::{apart_key, damaged, fetch};
use super::page::Row;
use super::sum::sum;
use crate::{Store, StoreError};

/// Values kept apart are read so many at once.
const APART_AT_ONCE: usize = 16;

fn is_paged(read: &Read) -> bool {
    match read {
        Read::Get { table, .. } | Read::Scan { table, .. } => *table == Table::View,
    }
}

impl<S: Store> Shared<S> {
    /// The answers, if everything asked for is at hand. Waits for nothing.
    pub(super) fn at_hand(&self, reads: &[Read]) -> Option<Result<Vec<Rows>, StoreError>> {
        if self.closing.get() || !self.store.is_open() {
            return Some(Err(StoreError::Closed));
        }
        if !reads.iter().all(is_paged) {
            return None;
        }
        let cache = self.cache.borrow();
        let mut answers = Vec::with_capacity(reads.len());
        for read in reads {
            let mut answer = Answer::new(read);
            if answer.advance(&cache).is_some() {
                return None;
            }
            answers.push(answer.rows.iter().map(here).collect::<Option<Rows>>()?);
        }
        Some(Ok(answers))
    }

    /// The answers, with what is not at hand from the store.
    async fn answer(&self, reads: Vec<Read>) -> Result<Vec<Rows>, StoreError> {
        if !reads.iter().any(is_paged) {
            return self.store.read(reads).await;
        }
        let pass = self.attend(self.gate.enter(false)).await;
        let others = reads.iter().filter(|read| !is_paged(read)).cloned().collect();
        let mut paged: Vec<Answer> = reads.iter().filter(|read| is_paged(read)).map(Answer::new).collect();
        let others = fetch(&self.store, &self.cache, self.sizes.cache, others, |cache| {
            paged.iter_mut().filter_map(|answer| answer.advance(cache)).collect()
        })
        .await?;
        let mut apart = self.apart(&paged).await?.into_iter();
        drop(pass);
        let (mut paged, mut others) = (paged.into_iter(), others.into_iter());
        let mut answers = Vec::with_capacity(reads.len());
        for read in &reads {
            answers.push(if is_paged(read) {
                let rows = paged.next().map_or(Vec::new(), |answer| answer.rows);
                rows.iter().filter_map(|row| here(row).or_else(|| Some((row.key().to_vec(), apart.next()?)))).collect()
            } else {
                others.next().unwrap_or_default()
            });
        }
        Ok(answers)
    }

    /// The values kept apart of the rows found, in their order.
    async fn apart(&self, answers: &[Answer]) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows: Vec<(&[u8], u64)> = answers
            .iter()
            .flat_map(|answer| &answer.rows)
            .filter_map(|row| Some((row.key(), row.value().err()?)))
            .collect();
        let mut values = Vec::with_capacity(rows.len());
        for rows in rows.chunks(APART_AT_ONCE) {
            let reads = rows.iter().map(|(key, _)| Read::Get { table: Table::View, key: apart_key(key) }).collect();
            for ((key, expected), found) in rows.iter().zip(self.store.read(reads).await?) {
                match found.into_iter().next() {
                    Some((_, value)) if sum(&value) == *expected => values.push(value),
                    Some(_) => return Err(damaged("the value of", key, "its sum is another")),
                    None => return Err(damaged("the value of", key, "it is missing")),
                }
            }
        }
        Ok(values)
    }
}

/// A row with its value, if that is in the page.
fn here(row: &Row) -> Option<(Vec<u8>, Vec<u8>)> {
    Some((row.key().to_vec(), row.value().ok()?.to_vec()))
}

/// The answers, with what is not at hand from the store.
///
/// In browsers in a task of its own: while it is under way nothing is written, so it must go on whoever polls us.
#[cfg(target_arch = "wasm32")]
pub(super) async fn from_store<S: Store + 'static>(
    shared: Rc<Shared<S>>,
    reads: Vec<Read>,
) -> Result<Vec<Rows>, StoreError> {
    let (answer, answered) = futures::channel::oneshot::channel();
    wasm_bindgen_futures::spawn_local(async move {
        // Nobody waiting for the answer any more is fine.
        let _ = answer.send(shared.answer(reads).await);
    });
    answered.await.unwrap_or(Err(StoreError::Closed))
}

/// The answers, with what is not at hand from the store.
#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn from_store<S: Store + 'static>(
    shared: Rc<Shared<S>>,
    reads: Vec<Read>,
) -> Result<Vec<Rows>, StoreError> {
    shared.answer(reads).await
}
