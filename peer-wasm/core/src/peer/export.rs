//! A space as a file, block by block: see [`crate::archive`].

use super::Peer;
use super::past::too_large;
use super::pruned::raws;
use super::serve::cut_run;
use super::space::{READ_RUN, Space, read_entries};
use crate::api::{Refusal, Reply, Role};
use crate::archive::{Chain, MAGIC, Part};
use crate::codec::Writer;
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::path::Path;

/// A block is closed once it has this many bytes.
const BLOCK: usize = 128 << 10;
/// The most forks told of in a file.
const MAX_FORKS: usize = 1024;

/// How far an export has come. Opaque to the asker, who gives it back for the next block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportState {
    /// The logs in order, with their lengths when the export began.
    logs: Vec<(PublicKey, u64)>,
    /// Which of them is next.
    at: usize,
    /// From which entry.
    from: u64,
    entries: u64,
    chain: Chain,
}

impl Peer {
    /// The beginning of a space's file, or the block after `state`.
    pub(super) fn export(
        &self,
        number: u32,
        keys: bool,
        state: Option<&ExportState>,
        lens: &Lens<'_>,
    ) -> Result<Reply, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Reply::Refused(Refusal::NoSuchSpace)) };
        let Some(state) = state else { return Ok(self.begin_export(space, keys)) };
        let mut state = state.clone();
        while let Some((log, len)) = state.logs.get(state.at).copied() {
            let known =
                space.log(&log).map(|(number, log)| (number, log.durable.min(log.tip.len).min(len), log.tip.len));
            let Some((log_number, end, tip)) = known.filter(|(_, end, _)| state.from < *end) else {
                (state.at, state.from) = (state.at + 1, 0);
                continue;
            };
            let entries = read_entries(lens, space, log_number, state.from..end, READ_RUN)?;
            let run = cut_run(entries, tip, space.cut(&log), BLOCK);
            let Some(last) = run.last() else {
                // The end of the log as it was lies within a run that has grown since: what follows is not vouched for.
                (state.at, state.from) = (state.at + 1, 0);
                continue;
            };
            state.from = last.header.seq + 1;
            let raws: Vec<Vec<u8>> = run.iter().flat_map(|entry| raws(entry)).collect();
            state.entries += raws.len() as u64;
            let bytes = state.chain.block(&Part::Run(raws));
            return Ok(Reply::Exported { bytes, next: Some(Box::new(state)) });
        }
        Ok(Reply::Exported { bytes: state.chain.block(&Part::End(state.entries)), next: None })
    }

    fn begin_export(&self, space: &Space, keys: bool) -> Reply {
        if space.forks.len() > MAX_FORKS {
            return Reply::Refused(too_large("What is known of forked logs (in logs)", MAX_FORKS, &Path::root()));
        }
        let mut chain = Chain::default();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(chain.block(&Part::Head { space: space.row.key, written: self.now }));
        if keys {
            bytes.extend(chain.block(&Part::Keys(space.row.epochs.clone())));
        }
        for proof in space.forks.values() {
            let mut writer = Writer::new();
            proof.encode(&mut writer);
            bytes.extend(chain.block(&Part::Fork(writer.finish())));
        }
        // Who may do what comes before what they did.
        let rank = |log: &PublicKey| (*log != space.row.key, space.authority.role(log) != Some(Role::Owner), *log);
        let mut logs: Vec<(PublicKey, u64)> = space.logs.iter().map(|log| (log.key, log.durable)).collect();
        kith_map::sort_by_key(&mut logs, |(log, _)| rank(log));
        let state = ExportState { logs, at: 0, from: 0, entries: 0, chain };
        Reply::Exported { bytes, next: Some(Box::new(state)) }
    }
}
