//! The line of batches: one transaction of the store at a time, with everything that came meanwhile in the next.

use std::rc::Rc;

use futures::channel::oneshot;
use kith_core::rows::{Batch, KeyRange, Table};

use super::Shared;
use super::fetch::fetch;
use super::plan::{Change, Plan};
use crate::effect::{Effect, GROUP_BYTES, GROUP_PUTS};
use crate::{MAX_WAITING_BATCHES, MAX_WAITING_BYTES, Store, StoreError};

/// Something to write, and who wants to know.
pub(super) struct Waiting {
    job: Job,
    bytes: usize,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

pub(super) enum Job {
    Batch(Batch),
    Wipe,
}

impl<S: Store> Shared<S> {
    /// Puts a job in line.
    pub(super) fn enqueue(&self, job: Job) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let bytes = match &job {
            Job::Batch(batch) => batch.bytes(),
            Job::Wipe => 0,
        };
        if self.closing.get() || !self.store.is_open() {
            return Err(StoreError::Closed);
        }
        let waiting = self.waiting_bytes.get().saturating_add(bytes);
        let mut line = self.line.borrow_mut();
        if !line.is_empty() && (line.len() >= MAX_WAITING_BATCHES || waiting > MAX_WAITING_BYTES) {
            return Err(StoreError::Busy);
        }
        let (answer, answered) = oneshot::channel();
        self.waiting_bytes.set(waiting);
        line.push_back(Waiting { job, bytes, answer });
        Ok(answered)
    }

    /// Writes until the line is empty.
    pub(super) async fn write_all(self: Rc<Self>) {
        loop {
            let group = self.next_group();
            if group.is_empty() {
                break;
            }
            let pass = self.gate.enter(true).await;
            let outcome = self.write_group(&group).await;
            if outcome == Err(StoreError::Full) && group.len() > 1 {
                // One too many is no reason to refuse those that still fit.
                for one in group {
                    let outcome = self.write_group(std::slice::from_ref(&one)).await;
                    let _ = one.answer.send(outcome);
                }
            } else {
                for one in group {
                    // Nobody waiting for the answer any more is fine.
                    let _ = one.answer.send(outcome.clone());
                }
            }
            drop(pass);
        }
        self.writing.set(false);
        for waiting in self.emptied.take() {
            let _ = waiting.send(());
        }
    }

    /// Takes the next jobs off the line: at least one if there is one, then as many batches as stay below the limits.
    fn next_group(&self) -> Vec<Waiting> {
        let (mut group, mut puts, mut bytes) = (Vec::new(), 0usize, 0usize);
        let mut line = self.line.borrow_mut();
        while let Some(next) = line.front() {
            let alone = matches!(next.job, Job::Wipe);
            if let Job::Batch(batch) = &next.job {
                // Rows in pages are not put one by one: their bytes count.
                let single = batch.puts.iter().filter(|(table, ..)| *table != Table::View).count();
                puts = puts.saturating_add(single).saturating_add(batch.deletes.len());
            }
            bytes = bytes.saturating_add(next.bytes);
            if !group.is_empty() && (alone || puts > GROUP_PUTS || bytes > GROUP_BYTES) {
                break;
            }
            let Some(next) = line.pop_front() else { break };
            self.waiting_bytes.set(self.waiting_bytes.get().saturating_sub(next.bytes));
            group.push(next);
            if alone {
                break;
            }
        }
        group
    }

    async fn write_group(&self, group: &[Waiting]) -> Result<(), StoreError> {
        let mut effect = Effect::default();
        for one in group {
            match &one.job {
                Job::Batch(batch) => effect.push(batch),
                Job::Wipe => {
                    self.store.wipe().await?;
                    self.cache.borrow_mut().clear();
                    return Ok(());
                }
            }
        }
        let planned = self.plan(&effect).await?;
        let mut batch = planned.batch;
        for (table, range) in effect.ranges.iter().filter(|(table, _)| *table != Table::View) {
            batch.delete_ranges.push((*table, (*range).clone()));
        }
        for ((table, key), value) in effect.rows.iter().filter(|((table, _), _)| *table != Table::View) {
            match value {
                Some(value) => batch.puts.push((*table, key.to_vec(), value.to_vec())),
                None => batch.deletes.push((*table, key.to_vec())),
            }
        }
        batch.durability = effect.durability;
        if batch.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.store.commit(batch).await {
            if error != StoreError::Full {
                // By the contract nothing was written. Should the store be wrong about that, we shall see what there is.
                self.cache.borrow_mut().clear();
            }
            return Err(error);
        }
        let mut cache = self.cache.borrow_mut();
        planned.known.settle(&mut cache);
        cache.trim(self.sizes.cache);
        Ok(())
    }

    /// Works out the stored rows of what changes in paged rows.
    async fn plan(&self, effect: &Effect<'_>) -> Result<super::plan::Planned, StoreError> {
        let mut plan = Plan::new(self.sizes.page);
        let ranges: Vec<&KeyRange> =
            effect.ranges.iter().filter(|(table, _)| *table == Table::View).map(|(_, range)| *range).collect();
        for range in ranges {
            let edges = [range.start.as_slice(), range.end.as_slice()];
            fetch(&self.store, &self.cache, self.sizes.cache, Vec::new(), |cache| plan.take(cache, edges)).await?;
            plan.cut(range);
        }
        let changes: Vec<Change<'_>> = effect
            .rows
            .range((Table::View, [].as_slice())..)
            .take_while(|((table, _), _)| *table == Table::View)
            .map(|((_, key), value)| (*key, *value))
            .collect();
        let keys = || changes.iter().map(|(key, _)| *key);
        fetch(&self.store, &self.cache, self.sizes.cache, Vec::new(), |cache| plan.take(cache, keys())).await?;
        plan.change(&changes);
        Ok(plan.finish(&self.cache.borrow()))
    }
}
