//! The public editing traces: found in `KITH_TRACES` or beside the repository, read from both formats they come in.

use diamond_types::list::OpLog;
use diamond_types::list::operation::{OpKind, Operation};
use kith_text::Edit;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What was recorded: positions and lengths are counted in code points.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trace {
    pub(crate) end_content: String,
    pub(crate) txns: Vec<Txn>,
}

/// A run of edits by one writer, in the text at `parents`: other transactions, by their places in the list.
#[derive(serde::Deserialize)]
pub(crate) struct Txn {
    /// Writers are numbered in the order of their names: it decides where they insert at one place.
    #[serde(default)]
    pub(crate) agent: usize,
    #[serde(default)]
    pub(crate) parents: Vec<usize>,
    pub(crate) patches: Vec<(u32, u32, String)>,
}

impl Txn {
    /// The same one after the other: of a patch, what goes before what comes.
    pub(crate) fn edits(&self) -> Vec<Edit> {
        let edits = self.patches.iter().flat_map(|(pos, taken, text)| {
            let out = (*taken > 0).then_some(Edit::Delete { pos: *pos, len: *taken });
            out.into_iter().chain((!text.is_empty()).then(|| Edit::Insert { pos: *pos, text: text.clone() }))
        });
        edits.collect()
    }
}

/// An edit as bare diamond-types has it.
pub(crate) fn operation(edit: &Edit) -> Operation {
    match edit {
        Edit::Insert { pos, text } => Operation::new_insert(*pos as usize, text),
        Edit::Delete { pos, len } => Operation::new_delete(*pos as usize..(*pos + *len) as usize),
    }
}

/// The trace of this file name; without it, says so.
pub(crate) fn find(name: &str) -> Option<Trace> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let beside = ["../../../shared/data/traces", "../../../../shared/data/traces"].map(|folder| here.join(folder));
    let folders = std::env::var_os("KITH_TRACES").map(PathBuf::from).into_iter().chain(beside);
    let Some(file) = folders.map(|folder| folder.join(name)).find(|file| file.exists()) else {
        eprintln!("skipped: {name} is not here; set KITH_TRACES to the folder of the editing traces");
        return None;
    };
    Some(read(&file))
}

/// Reads a trace: JSON, compressed, or (`.dt`) the file format of diamond-types.
pub(crate) fn read(file: &Path) -> Trace {
    if file.extension().is_some_and(|ending| ending == "dt") {
        return unpack(&std::fs::read(file).expect("the file of a trace"));
    }
    let unpacked = flate2::read::GzDecoder::new(std::fs::File::open(file).expect("the file of a trace"));
    serde_json::from_reader(std::io::BufReader::new(unpacked)).expect("a trace")
}

/// Reads a recording of diamond-types. It is cut into transactions where the writer changes, where the text it builds on does, and where
/// another one builds on it. Then the writers are cut ([`pieces`]).
fn unpack(file: &[u8]) -> Trace {
    let log = OpLog::load_from(file).expect("a recording of diamond-types");
    let history: Vec<_> = log.iter_history().collect();
    let mut cuts: BTreeSet<usize> = history.iter().map(|run| run.span.start).collect();
    cuts.extend(history.iter().flat_map(|run| run.parents.iter().map(|parent| parent + 1)));
    // Each run by the time it ends at.
    let mut runs = Vec::new();
    let mut time = 0;
    for run in log.iter_mappings() {
        cuts.insert(time);
        time += run.seq_range.end - run.seq_range.start;
        runs.push((time, run));
    }

    let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < log.len()).collect();
    let txn_at = |time: usize| cuts.partition_point(|cut| *cut <= time) - 1;
    let mut txns: Vec<Txn> = cuts
        .iter()
        .map(|start| {
            let run = &history[history.partition_point(|run| run.span.start <= *start) - 1];
            let before: &[usize] = if run.span.start == *start { &run.parents } else { &[start - 1] };
            Txn { agent: 0, parents: before.iter().map(|time| txn_at(*time)).collect(), patches: Vec::new() }
        })
        .collect();

    let mut time = 0;
    for op in log.iter() {
        let (start, end, forward) = (op.start(), op.end(), op.loc.fwd);
        let text: Vec<char> = op.content_as_str().unwrap_or("").chars().collect();
        let mut done = 0;
        while done < end - start {
            let txn = txn_at(time + done);
            let room = cuts.get(txn + 1).map_or(usize::MAX, |cut| cut - time - done);
            let now = room.min(end - start - done);
            let patch = match (op.kind, forward) {
                (OpKind::Ins, true) => (start + done, 0, text[done..done + now].iter().collect()),
                // Each before the one before: the first of them stands last.
                (OpKind::Ins, false) => (start, 0, text[done..done + now].iter().rev().collect()),
                (OpKind::Del, true) => (start, now, String::new()),
                (OpKind::Del, false) => (end - done - now, now, String::new()),
            };
            txns[txn].patches.push((patch.0 as u32, patch.1 as u32, patch.2));
            done += now;
        }
        time += end - start;
    }
    let written = cuts.iter().map(|start| {
        let (end, run) = &runs[runs.partition_point(|(end, _)| end <= start)];
        (log.get_agent_name(run.agent), run.seq_range.end - (end - start))
    });
    pieces(&mut txns, &written.collect::<Vec<_>>());
    Trace { end_content: log.checkout_tip().content().to_string(), txns }
}

/// The text that bare diamond-types makes of transactions.
pub(crate) fn merged(txns: &[Txn]) -> String {
    let mut log = OpLog::new();
    let mut ends = Vec::new();
    for txn in txns {
        let writer = log.get_or_create_agent_id(&format!("{:06}", txn.agent));
        let mut parents: Vec<usize> = txn.parents.iter().map(|parent| ends[*parent]).collect();
        parents.sort_unstable();
        let operations: Vec<Operation> = txn.edits().iter().map(operation).collect();
        ends.push(log.add_operations_at(writer, &parents, &operations));
    }
    log.checkout_tip().content().to_string()
}

/// Tells who is the writer of each transaction, by the recorded names and places in what that writer wrote. In recordings made from git one
/// writer has several branches at once, and no peer takes from anybody what does not build on all they wrote before: where what a writer
/// wrote next does not build on what they wrote before, a new writer begins. What one wrote at one place on two branches stands in
/// the order in which it was written, so the pieces of a writer are named in that order.
fn pieces(txns: &mut [Txn], written: &[(&str, usize)]) {
    let mut before: Vec<BTreeSet<usize>> = Vec::new();
    for txn in txns.iter() {
        let mut known: BTreeSet<usize> = txn.parents.iter().copied().collect();
        txn.parents.iter().for_each(|parent| known.extend(&before[*parent]));
        before.push(known);
    }
    let mut order: Vec<usize> = (0..txns.len()).collect();
    order.sort_by_key(|txn| written[*txn]);
    let mut agent = 0;
    for two in order.windows(2) {
        let goes_on = written[two[0]].0 == written[two[1]].0 && before[two[1]].contains(&two[0]);
        agent += usize::from(!goes_on);
        txns[two[1]].agent = agent;
    }
}
