//! Writing: one transaction at a time, with everything that came meanwhile in the next.

use std::rc::Rc;

use kith_core::rows::Table;

use super::fill::fill;
use super::request::Ending;
use super::{Job, Shared, Waiting, exception_error, store_names};
use crate::StoreError;
use crate::effect::{Effect, GROUP_BYTES, GROUP_PUTS};
use crate::schema::STATE;

/// Why a transaction was not committed.
pub(super) enum Refused {
    /// A key of an append-only table exists.
    Exists,
    /// Another connection has written since; what we remember is out of date.
    Stale,
    /// What Firefox says once to the first write after a write that hit the quota.
    InvalidState,
    /// A reason to give to the caller.
    For(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        match error {
            StoreError::Backend(words) if words.starts_with("InvalidStateError") => Refused::InvalidState,
            error => Refused::For(error),
        }
    }
}

/// Writes until the line is empty.
pub(super) async fn write_all(shared: Rc<Shared>) {
    loop {
        let group = next_group(&shared);
        if group.is_empty() {
            break;
        }
        let outcome = write_group(&shared, &group).await;
        if outcome == Err(StoreError::Full) && group.len() > 1 {
            // One too many is no reason to refuse those that still fit.
            for one in group {
                let outcome = write_group(&shared, std::slice::from_ref(&one)).await;
                let _ = one.answer.send(outcome);
            }
        } else {
            for one in group {
                // Nobody waiting for the answer any more is fine.
                let _ = one.answer.send(outcome.clone());
            }
        }
    }
    shared.writing.set(false);
    for waiting in shared.emptied.take() {
        let _ = waiting.send(());
    }
}

/// Takes the next batches off the line: at least one if there is one, then as many as stay below the limits.
fn next_group(shared: &Shared) -> Vec<Waiting> {
    let (mut group, mut puts, mut bytes) = (Vec::new(), 0usize, 0usize);
    let mut line = shared.line.borrow_mut();
    while let Some(next) = line.front() {
        let its_puts = match &next.job {
            Job::Batch(batch) => batch.puts.len().saturating_add(batch.deletes.len()),
            Job::Wipe => 0,
        };
        (puts, bytes) = (puts.saturating_add(its_puts), bytes.saturating_add(next.bytes));
        if !group.is_empty() && (puts > GROUP_PUTS || bytes > GROUP_BYTES) {
            break;
        }
        let Some(next) = line.pop_front() else { break };
        shared.waiting_bytes.set(shared.waiting_bytes.get().saturating_sub(next.bytes));
        group.push(next);
    }
    group
}

async fn write_group(shared: &Shared, group: &[Waiting]) -> Result<(), StoreError> {
    let mut effect = Effect::default();
    for one in group {
        match &one.job {
            Job::Batch(batch) => effect.push(batch),
            Job::Wipe => effect.wipe(),
        }
    }
    if effect.is_empty() {
        return Ok(());
    }
    let mut tried_again = false;
    loop {
        let appending = !shared.overwrites.get();
        match write(shared, &effect, appending).await {
            Ok(()) => return Ok(()),
            Err(Refused::For(error)) => return Err(error),
            Err(Refused::Exists) if appending => shared.overwrites.set(true),
            // Cannot come again at once: having forgotten, nothing is out of date.
            Err(Refused::Stale) => {}
            Err(Refused::InvalidState) if !tried_again && !shared.connection.closed.get() => tried_again = true,
            Err(Refused::InvalidState) if shared.connection.closed.get() => return Err(StoreError::Closed),
            Err(Refused::Exists | Refused::InvalidState) => {
                return Err(StoreError::Backend("the browser refused the write twice".into()));
            }
        }
    }
}

/// One attempt, in one transaction.
async fn write(shared: &Shared, effect: &Effect<'_>, appending: bool) -> Result<(), Refused> {
    let tables = if effect.clear {
        Table::ALL.to_vec()
    } else {
        effect.ranges.iter().map(|(table, _)| *table).chain(effect.rows.keys().map(|(table, _)| *table)).collect()
    };
    let mut names = store_names(tables.into_iter());
    names.push(STATE);
    let transaction = shared.connection.begin(&names, Some(effect.durability)).map_err(Refused::from)?;
    let ending = Ending::watch(&transaction);
    let filled = fill(shared, &transaction, effect, appending).await;
    if filled.is_err() {
        // Aborting what has aborted by itself throws, and that is fine.
        let _ = transaction.abort();
    }
    let ended = ending.wait().await;
    if ended.is_err() {
        shared.memory.borrow_mut().forget();
    }
    match (ended, filled) {
        (Ok(()), Ok(learnt)) => {
            shared.memory.borrow_mut().keep(learnt);
            Ok(())
        }
        (Err(Some(reason)), _) => Err(match reason.name().as_str() {
            "ConstraintError" => Refused::Exists,
            "InvalidStateError" => Refused::InvalidState,
            _ => Refused::For(exception_error(&reason)),
        }),
        (Err(None), Err(refused)) => Err(refused),
        (Err(None), Ok(_)) => Err(Refused::For(StoreError::Backend("the browser gave the write up".into()))),
        // Cannot be: what was not filled was aborted.
        (Ok(()), Err(refused)) => Err(refused),
    }
}
