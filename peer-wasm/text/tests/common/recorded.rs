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
    /// Branches of one writer are writers of their own here: what they insert at one place may stand otherwise in the end than recorded.
    #[serde(skip)]
    pub(crate) parted: bool,
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
/// another one builds on it.
fn unpack(file: &[u8]) -> Trace {
    let log = OpLog::load_from(file).expect("a recording of diamond-types");
    let history: Vec<_> = log.iter_history().collect();
    let mut cuts: BTreeSet<usize> = history.iter().map(|run| run.span.start).collect();
    cuts.extend(history.iter().flat_map(|run| run.parents.iter().map(|parent| parent + 1)));
    // Who wrote each run, by the time it ends at.
    let mut writers = Vec::new();
    let mut time = 0;
    for run in log.iter_mappings() {
        cuts.insert(time);
        time += run.seq_range.end - run.seq_range.start;
        writers.push((time, log.get_agent_name(run.agent).to_owned()));
    }
    let names: BTreeSet<&String> = writers.iter().map(|(_, name)| name).collect();
    let names: Vec<&String> = names.into_iter().collect();

    let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < log.len()).collect();
    let txn_at = |time: usize| cuts.partition_point(|cut| *cut <= time) - 1;
    let mut txns: Vec<Txn> = cuts
        .iter()
        .map(|start| {
            let run = &history[history.partition_point(|run| run.span.start <= *start) - 1];
            let before: &[usize] = if run.span.start == *start { &run.parents } else { &[start - 1] };
            let writer = &writers[writers.partition_point(|(end, _)| end <= start)].1;
            Txn {
                agent: names.binary_search(&writer).unwrap(),
                parents: before.iter().map(|time| txn_at(*time)).collect(),
                patches: Vec::new(),
            }
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
    let parted = part_ways(&mut txns);
    Trace { end_content: log.checkout_tip().content().to_string(), parted, txns }
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

/// In recordings made from git one writer has several branches. No peer takes from anybody what does not build on all they
/// wrote before: each branch becomes a writer of its own, beside the others of that name. Tells
/// whether there were any.
fn part_ways(txns: &mut [Txn]) -> bool {
    let mut before: Vec<BTreeSet<usize>> = Vec::new();
    let mut branches: Vec<(usize, Vec<usize>)> = Vec::new();
    for (number, txn) in txns.iter().enumerate() {
        let mut known: BTreeSet<usize> = txn.parents.iter().copied().collect();
        txn.parents.iter().for_each(|parent| known.extend(&before[*parent]));
        let goes_on = |(writer, written): &&mut (usize, Vec<usize>)| {
            *writer == txn.agent && written.last().is_some_and(|last| known.contains(last))
        };
        match branches.iter_mut().find(goes_on) {
            Some((_, written)) => written.push(number),
            None => branches.push((txn.agent, vec![number])),
        }
        before.push(known);
    }
    // Stable: branches of one writer stay in the order in which they began.
    branches.sort_by_key(|(writer, _)| *writer);
    for (agent, (_, written)) in branches.iter().enumerate() {
        written.iter().for_each(|number| txns[*number].agent = agent);
    }
    branches.windows(2).any(|two| two[0].0 == two[1].0)
}
