//! Forked logs: finding where two histories part, proving it, and cutting the log there.
//!
//! When a log continues differently than we know it, the link that said so is asked for hashes until the first
//! difference is found. Two signed entries at one place are a proof, and every member gets it. The log then ends
//! before that place, for everyone; what was merged from past it is taken out by making the tree anew.

use super::boot::Draft;
use super::commit::{Effect, Unit};
use super::past::entry_at;
use super::rows;
use super::space::{Space, read_entries};
use super::{Done, Job, LinkId, Peer};
use crate::codec::Writer;
use crate::document;
use crate::entry::{ForkProof, SIGNED_EVERY, Tip, ends_block, prev_of};
use crate::history;
use crate::identity::PublicKey;
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Durability, KeyRange, Table};
use crate::wire::{Frame, MAX_ASKED};
use kith_map::BTreeMap;

/// Questions asked in one search; enough for the longest log.
const MAX_ROUNDS: u32 = 16;
/// A search nothing was heard of for this long is over, in milliseconds.
const PATIENCE: u64 = 30_000;
/// Proofs waiting to be looked at.
const MAX_PROOFS: usize = 16;

/// A search for the place where a log's histories part.
pub(super) struct Search {
    log: PublicKey,
    /// Everything before this is the same on both sides.
    low: u64,
    /// The histories differ at this place or before.
    high: u64,
    /// How long the other history is.
    theirs: u64,
    /// What the other side has told.
    told: BTreeMap<u64, Vec<u8>>,
    /// What it has sent of its own accord, looked at only if there is a difference.
    spare: BTreeMap<u64, Vec<u8>>,
    rounds: u32,
    until: u64,
}

impl Peer {
    /// Begins a search, unless one is under way on this link. `sent` is what the other side has sent of the log
    /// already: places with headers and signatures.
    pub(super) fn suspect_fork(&mut self, id: LinkId, number: u32, log: PublicKey, sent: Vec<(u64, Vec<u8>)>) {
        let until = self.now + PATIENCE;
        let Some(ours) = self.spaces.get(&number).and_then(|space| space.log(&log)).map(|(_, log)| log.durable) else {
            return;
        };
        let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) else { return };
        let mut spare: BTreeMap<u64, Vec<u8>> = sent.into_iter().collect();
        let told: BTreeMap<u64, Vec<u8>> = spare.pop_last().into_iter().collect();
        let theirs = match told.last_key_value() {
            Some((last, _)) => last.saturating_add(1),
            None => session.theirs.get(&log).map_or(0, |(len, _)| *len),
        };
        let busy = session.search.as_ref().is_some_and(|search| self.now < search.until);
        if busy || ours == 0 || theirs == 0 {
            return;
        }
        let high = ours.min(theirs) - 1;
        session.search = Some(Search { log, low: 0, high, theirs, told, spare, rounds: 0, until });
        self.start_later(Job::Fork(id, number, log));
    }

    /// Answers a question about places in a log; also goes on with a search of our own.
    pub(super) fn fork_asked(&mut self, id: LinkId, number: u32, log: PublicKey, places: Vec<u64>) {
        let shares = self.links.get(&id).is_some_and(|link| link.shares(number));
        if shares && self.asked_about.len() < MAX_ASKED {
            self.asked_about.push((id, number, log, places));
            self.start_later(Job::Fork(id, number, log));
        }
    }

    pub(super) fn fork_answer(&mut self, id: LinkId, number: u32, log: PublicKey, found: Vec<(u64, Vec<u8>)>) {
        let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) else { return };
        let Some(search) = session.search.as_mut().filter(|search| search.log == log) else { return };
        if found.is_empty() {
            session.search = None;
            return;
        }
        search.told.extend(found);
        search.until = self.now + PATIENCE;
        self.start_later(Job::Fork(id, number, log));
    }

    pub(super) fn fork_told(&mut self, id: LinkId, number: u32, proof: ForkProof) {
        let shares = self.links.get(&id).is_some_and(|link| link.shares(number));
        let joining = self.space_rows.get(&number).is_some_and(|row| !row.joined);
        if (shares || joining) && self.proofs.len() < MAX_PROOFS {
            self.proofs.push((number, proof));
            self.start_later(Job::Fork(id, number, PublicKey([0; 32])));
        }
    }

    pub(super) fn search_fork(
        &mut self,
        id: LinkId,
        number: u32,
        log: PublicKey,
        lens: &Lens<'_>,
    ) -> Result<Done, Miss> {
        if self.space(number, lens)?.is_none() {
            return Ok(Done::Nothing);
        }
        if let Some(at) = self.proofs.iter().position(|(space, _)| *space == number) {
            let Some((_, proof)) = self.proofs.get(at).cloned() else { return Ok(Done::Nothing) };
            let done = self.adopt_proof(number, &proof, lens);
            if done.is_ok() {
                self.proofs.retain(|(space, waiting)| (*space, waiting) != (number, &proof));
            }
            return done;
        }
        if let Some(at) =
            self.asked_about.iter().position(|(link, space, asked, _)| *link == id && *space == number && *asked == log)
        {
            let mut places = self.asked_about.get(at).map(|(.., places)| places.clone()).unwrap_or_default();
            places.truncate(MAX_ASKED);
            let found = self.signed_parts(number, &log, &places, lens)?;
            self.asked_about.swap_remove(at);
            if let Some(space) = self.spaces.get(&number) {
                let frame = Frame::Tell(space.row.key, log, found);
                self.send(id, &frame);
            }
            return Ok(Done::Nothing);
        }
        self.go_on_searching(id, number, log, lens)
    }

    fn go_on_searching(&mut self, id: LinkId, number: u32, log: PublicKey, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(session) = self.links.get(&id).and_then(|link| link.sessions.get(&number)) else {
            return Ok(Done::Nothing);
        };
        let Some(search) = session.search.as_ref().filter(|search| search.log == log) else { return Ok(Done::Nothing) };
        let (mut low, mut high) = (search.low, search.high);
        let told: Vec<(u64, Vec<u8>)> = search.told.iter().map(|(seq, part)| (*seq, part.clone())).collect();
        let theirs = search.theirs;
        // All between the two, however many rounds told of them: one that is passed over would look alike for ever.
        let between: Vec<u64> = told.iter().map(|(seq, _)| *seq).filter(|seq| (low..=high).contains(seq)).collect();
        let ours = self.signed_parts(number, &log, &between, lens)?;
        let ours: BTreeMap<u64, Vec<u8>> = ours.into_iter().collect();
        let mut differs = false;
        for (seq, part) in &told {
            match ours.get(seq) {
                Some(own) if own == part => low = low.max(seq + 1),
                Some(own) => {
                    high = high.min(*seq);
                    differs = true;
                    if prev_of(own).is_some_and(|prev| prev_of(part) == Some(prev)) {
                        low = low.max(*seq);
                    }
                }
                None => {}
            }
        }
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let key = space.row.key;
        let our_len = space.log(&log).map_or(0, |(_, log)| log.durable);
        let known = space.forks.contains_key(&log);
        let search = self
            .links
            .get_mut(&id)
            .and_then(|link| link.sessions.get_mut(&number))
            .and_then(|session| session.search.as_mut());
        if let Some(search) = search {
            search.rounds += 1;
            if low > high || known || search.rounds > MAX_ROUNDS {
                // They are the same after all, or the other side does not say.
                self.end_search(id, number);
                return Ok(Done::Nothing);
            }
            if differs && !search.spare.is_empty() {
                search.told.append(&mut search.spare);
                return Ok(Done::WriteAndAgain(Unit::default()));
            }
        }
        let asked: Vec<u64> = if low < high {
            let step = ((high - low) / MAX_ASKED as u64).max(1);
            (0..MAX_ASKED as u64).map(|i| low + i * step).filter(|seq| *seq <= high).collect()
        } else {
            (low..=half_end(low, theirs)).collect()
        };
        let unknown: Vec<u64> = asked.into_iter().filter(|seq| !told.iter().any(|(known, _)| known == seq)).collect();
        if let Some(search) = self
            .links
            .get_mut(&id)
            .and_then(|link| link.sessions.get_mut(&number))
            .and_then(|session| session.search.as_mut())
        {
            (search.low, search.high) = (low, high);
        }
        if !unknown.is_empty() {
            self.send(id, &Frame::Ask(key, log, unknown));
            return Ok(Done::Nothing);
        }
        let places: Vec<u64> = (low..=half_end(low, our_len)).collect();
        let left = self.signed_parts(number, &log, &places, lens)?.into_iter().map(|(_, part)| part).collect();
        let wanted = low..=half_end(low, theirs);
        let right = told.into_iter().filter(|(seq, _)| wanted.contains(seq)).map(|(_, part)| part).collect();
        self.end_search(id, number);
        match ForkProof::new(key, log, left, right) {
            Some(proof) => self.adopt_proof(number, &proof, lens),
            None => {
                self.strike(id, "wrong-prev");
                Ok(Done::Nothing)
            }
        }
    }

    fn end_search(&mut self, id: LinkId, number: u32) {
        if let Some(session) = self.links.get_mut(&id).and_then(|link| link.sessions.get_mut(&number)) {
            session.search = None;
        }
    }

    /// Headers and signatures of our entries at these places.
    fn signed_parts(
        &self,
        number: u32,
        log: &PublicKey,
        places: &[u64],
        lens: &Lens<'_>,
    ) -> Result<Vec<(u64, Vec<u8>)>, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Vec::new()) };
        let Some((log, state)) = space.log(log) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut missing = false;
        for seq in places.iter().filter(|seq| **seq < state.durable.min(state.tip.len)) {
            match read_entries(lens, space, log, *seq..*seq + 1, 1) {
                Ok(entries) => found.extend(entries.first().map(|entry| (*seq, entry.signed_part().to_vec()))),
                Err(Miss) => missing = true,
            }
        }
        if missing { Err(Miss) } else { Ok(found) }
    }

    /// Cuts a log where it forks, and tells everyone.
    pub(super) fn adopt_proof(&mut self, number: u32, proof: &ForkProof, lens: &Lens<'_>) -> Result<Done, Miss> {
        let Some(space) = self.spaces.get(&number) else { return Ok(Done::Nothing) };
        let log = proof.log;
        let known = space.cut(&log).is_some_and(|cut| cut <= proof.seq);
        if known || space.log(&log).is_none() && space.authority.role(&log).is_none() {
            return Ok(Done::Nothing);
        }
        let tip = end_before(lens, space, &log, proof.tip())?;
        let Some(mut space) = self.spaces.remove(&number) else { return Ok(Done::Nothing) };
        let mut draft = Draft::default();
        let mut writer = Writer::new();
        proof.encode(&mut writer);
        draft.batch.puts.push((Table::Head, rows::fork_key(number, &log), writer.finish()));
        space.forks.insert(log, proof.clone());
        let mut rebuild = cut_log(&mut space, &mut draft, log, tip);
        // What the cut took away may have let others in.
        while let Some(orphan) = orphan(&space) {
            rebuild |= cut_log(&mut space, &mut draft, orphan, Tip::EMPTY);
        }
        if rebuild {
            space.gone.doubts = Some(Vec::new());
            make_anew(&mut space, &mut draft);
        }
        draft.batch.durability = Durability::Strict;
        let key = space.row.key;
        let batch = draft.finish(&mut space);
        self.spaces.insert(number, space);
        let mut effects: Vec<Effect> = self
            .links
            .iter()
            .filter(|(_, link)| link.shares(number))
            .map(|(id, _)| Effect::Frame(*id, Frame::Fork(key, Box::new(proof.clone()))))
            .collect();
        effects.push(Effect::Authority(number));
        effects.push(Effect::Changed(number, vec![Path::root()]));
        effects.push(Effect::Start(Job::Replay(number)));
        Ok(Done::Write(Unit { batch, effects }))
    }
}

/// Where a log ends that is cut at a tip: before entries that are gone, if the cut is among them. Others may have those.
fn end_before(lens: &Lens<'_>, space: &Space, log: &PublicKey, tip: Tip) -> Result<Tip, Miss> {
    let Some((number, _)) = space.log(log) else { return Ok(tip) };
    let gone = tip.len.checked_sub(1).and_then(|last| space.pruned.at(number, last));
    let Some(before) = gone.and_then(|gone| gone.range.from.checked_sub(1)) else { return Ok(tip) };
    Ok(entry_at(lens, space.number, number, before)?.map_or(Tip::EMPTY, |entry| Tip::after(&entry)))
}

/// Where half a proof that begins at `seq` ends: with an entry whose signature is known to hold.
fn half_end(seq: u64, len: u64) -> u64 {
    let end = (seq..seq + SIGNED_EVERY).find(|seq| ends_block(*seq)).unwrap_or(seq);
    end.min(len.saturating_sub(1))
}

/// Empties the tree, so that it is made anew from the logs.
pub(super) fn make_anew(space: &mut Space, draft: &mut Draft) {
    let tree = [document::view_key(space.number, &Path::root()), document::conflict_key(space.number, &Path::root())];
    // It is indexed anew with the tree.
    let index = [history::OPS, history::TIMES].map(|part| history::part_key(space.number, part));
    for top in tree.into_iter().chain(index) {
        draft.batch.delete_ranges.push((Table::View, KeyRange::prefix(&top)));
    }
    draft.batch.puts.push((Table::Head, rows::index_key(space.number), rows::encode_behind(&[])));
    space.recount_moves(draft);
    space.behind.clear();
    draft.batch.delete_ranges.extend(document::text::text_ranges(space.number).map(|range| (Table::View, range)));
    space.texts.clear();
    for (number, log) in space.logs.iter_mut().enumerate() {
        let announced = space.announced.entry(number as u32).or_insert(0);
        *announced = log.applied.max(*announced).min(log.tip.len);
        log.applied = 0;
        log.clock = 0;
    }
    let announced: Vec<rows::Run> =
        space.announced.iter().map(|(log, count)| rows::Run { log: *log, from: 0, count: *count }).collect();
    for log in 0..space.logs.len() as u32 {
        draft.head(space, log);
    }
    draft.batch.puts.push((Table::Head, rows::rebuild_key(space.number), rows::encode_arrival(&announced)));
    space.rebuilding = true;
    space.policies = Default::default();
    // What was settled has to be settled again.
    space.gone.voided = space.pruned.fingerprint();
    space.gone.look = None;
    space.gone.survey = None;
    space.gone.pass = None;
    space.gone.settled = 0;
    space.gone.store(space.number, &mut draft.batch);
}

/// Shortens a log. True if anything was taken away.
pub(super) fn cut_log(space: &mut Space, draft: &mut Draft, log: PublicKey, tip: Tip) -> bool {
    let Some(number) = space.by_key.get(&log).copied() else { return false };
    let Some(state) = space.log_mut(number) else { return false };
    if state.tip.len <= tip.len {
        return false;
    }
    state.tip = tip;
    state.durable = state.durable.min(tip.len);
    state.applied = state.applied.min(tip.len);
    space.note_stored(number);
    let gone: Vec<u64> = space.records.range((number, tip.len)..(number, u64::MAX)).map(|((_, seq), _)| *seq).collect();
    for seq in gone {
        space.records.remove(&(number, seq));
        draft.batch.deletes.push((Table::Head, rows::record_key(space.number, number, seq)));
    }
    let past = KeyRange {
        start: rows::entry_key(space.number, number, tip.len),
        end: KeyRange::prefix(&rows::log_prefix(space.number, number)).end,
    };
    draft.batch.delete_ranges.push((Table::Tail, past));
    for from in space.pruned.forget(number, tip.len) {
        draft.batch.deletes.push((Table::Head, rows::pruned_key(space.number, number, from)));
    }
    draft.head(space, number);
    space.judge();
    true
}

/// A log that has entries but no right to be here any more.
fn orphan(space: &Space) -> Option<PublicKey> {
    space
        .logs
        .iter()
        .find(|log| log.tip.len > 0 && log.key != space.row.key && space.authority.role(&log.key).is_none())
        .map(|log| log.key)
}
