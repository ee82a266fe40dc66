//! A space as a file: written by one peer, taken in by others, whole, in parts, twice, damaged and forged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{Body, Change, Refusal, Reply, Request, Role, SpaceRef};
use kith_core::archive::{ArchiveReader, Part};
use kith_core::entry::Entry;
use kith_core::path::Path;
use kith_core::rows::Table;
use kith_core::sim::{Disk, Hostile, Story};
use serde_json::json;
use std::collections::BTreeMap;

const SETTLE: u64 = 900_000;

fn ask(story: &mut Story, node: usize, request: Request) -> Reply {
    story.world.ask_for(node, request, 60_000).expect("an answer")
}

#[allow(clippy::result_large_err, reason = "a test says what came instead")]
pub(crate) fn export(story: &mut Story, node: usize, keys: bool) -> Result<Vec<u8>, Reply> {
    let mut file = Vec::new();
    let mut state = None;
    loop {
        match ask(story, node, Request::Export { space: story.space_ref(), keys, state }) {
            Reply::Exported { bytes, next } => {
                file.extend(bytes);
                match next {
                    Some(next) => state = Some(next),
                    None => return Ok(file),
                }
            }
            other => return Err(other),
        }
    }
}

fn parts(file: &[u8]) -> Vec<Part> {
    let mut reader = ArchiveReader::new();
    reader.push(file);
    let mut parts = Vec::new();
    while let Some(part) = reader.next_part().unwrap() {
        parts.push(part);
    }
    reader.finish().unwrap();
    parts
}

#[derive(Debug, Default, PartialEq)]
struct Tally {
    new: u64,
    known: u64,
    refused: BTreeMap<&'static str, u64>,
}

/// Gives the parts to a peer one by one; what became of them, or the first refusal.
fn import(story: &mut Story, node: usize, parts: &[Part]) -> Result<Tally, Refusal> {
    let mut tally = Tally::default();
    for part in parts {
        let request = Request::Import { space: story.space, part: part.clone() };
        match ask(story, node, request) {
            Reply::Imported { new, known, refused } => {
                tally.new += new;
                tally.known += known;
                for (why, count) in refused {
                    *tally.refused.entry(why).or_default() += count;
                }
            }
            Reply::Refused(refusal) => return Err(refusal),
            other => panic!("{other:?}"),
        }
    }
    Ok(tally)
}

fn busy_story(seed: u64) -> Result<Story, String> {
    let mut story = Story::begin(seed, 5)?;
    for node in 1..3 {
        story.ask_to_join(node, Role::Writer);
    }
    story.settle(SETTLE)?;
    for turn in 0..120 {
        story.write_own(turn % 3);
        story.write_shared(turn % 3);
        if turn % 20 == 0 {
            story.disturb_shared(turn % 3);
        }
    }
    story.settle(SETTLE)?;
    Ok(story)
}

/// Whether a peer shows and remembers the same as peer 0.
fn same(story: &mut Story, node: usize) -> Result<(), String> {
    if story.tree(node)? != story.tree(0)? {
        return Err(format!("peer {node} shows something else"));
    }
    if story.rows(node) != story.rows(0) || story.history(node) != story.history(0) {
        return Err(format!("peer {node} has other rows"));
    }
    Ok(())
}

#[test]
fn a_stranger_with_the_keys_reads_all_of_it_and_can_write_none() {
    for_each_seed(3, 100, |seed| {
        let mut story = busy_story(seed)?;
        let entries = story.world.nodes[0].disk.len(Table::Tail);
        let file = export(&mut story, 1, true).map_err(|reply| format!("{reply:?}"))?;
        let parts = parts(&file);
        let tally = import(&mut story, 4, &parts).map_err(|refusal| refusal.to_string())?;
        if tally.known != 0 || !tally.refused.is_empty() || tally.new == 0 || (tally.new as usize) < entries / 2 {
            return Err(format!("{tally:?}"));
        }
        same(&mut story, 4)?;
        let again = import(&mut story, 4, &parts).map_err(|refusal| refusal.to_string())?;
        if again != (Tally { known: tally.new, ..Tally::default() }) {
            return Err(format!("the second time: {again:?}"));
        }
        let space = story.space_ref();
        let write = |space| Request::Write {
            space,
            path: Path::new(["x"]).unwrap(),
            change: Change::Put(Body::Json(json!(1))),
            conditions: Default::default(),
            manner: Default::default(),
            id: None,
            purge: false,
        };
        let refused = ask(&mut story, 4, write(space.clone()));
        if !matches!(refused, Reply::Refused(Refusal::Forbidden(_))) {
            return Err(format!("an archive was written to: {refused:?}"));
        }
        story.crash(4);
        story.world.start(4);
        same(&mut story, 4)?;
        let shown = format!("{:?}", ask(&mut story, 4, Request::Spaces));
        if !shown.contains("\"archive\"") || !shown.contains("Story") {
            return Err(shown);
        }
        // It can be exported again, and becomes a space like others by an invite.
        let copy = export(&mut story, 4, true).map_err(|reply| format!("{reply:?}"))?;
        if self::parts(&copy)[1..] != parts[1..] {
            return Err("the copy of the copy differs".to_owned());
        }
        story.ask_to_join(4, Role::Writer);
        story.settle(SETTLE)?;
        match ask(&mut story, 4, write(space)) {
            Reply::Written { .. } => story.settle(SETTLE),
            other => Err(format!("after joining: {other:?}")),
        }
    });
}

#[test]
fn without_keys_it_is_for_members_only() {
    for_each_seed(2, 100, |seed| {
        let mut story = busy_story(seed)?;
        let file = export(&mut story, 0, false).map_err(|reply| format!("{reply:?}"))?;
        let keys = story.world.nodes[0].disk.clone();
        let all = parts(&file);
        if all.iter().any(|part| matches!(part, Part::Keys(_))) || holds_a_key(&keys, &file) {
            return Err("the file has keys".to_owned());
        }
        let refusal = import(&mut story, 4, &all);
        if !matches!(refusal, Err(Refusal::Forbidden(_))) {
            return Err(format!("a stranger took it in: {refusal:?}"));
        }
        // A member that lacks some of it and reaches nobody.
        story.world.divide(|node| node as u64);
        story.world.run(10_000);
        for _ in 0..40 {
            story.write_own(0);
            story.world.run(100);
        }
        let newer = export(&mut story, 0, false).map_err(|reply| format!("{reply:?}"))?;
        let tally = import(&mut story, 1, &parts(&newer)).map_err(|refusal| refusal.to_string())?;
        if tally.new != 40 || !tally.refused.is_empty() {
            return Err(format!("{tally:?}"));
        }
        same(&mut story, 1)?;
        // Somebody who was invited and has met nobody yet is let in by the file.
        story.ask_to_join(3, Role::Writer);
        story.world.run(1_000);
        import(&mut story, 3, &parts(&newer)).map_err(|refusal| refusal.to_string())?;
        same(&mut story, 3)?;
        story.write_own(3);
        story.world.unite();
        story.settle(SETTLE)?;
        story.check()
    });
}

/// Whether any epoch key of a peer stands somewhere in these bytes.
fn holds_a_key(disk: &Disk, bytes: &[u8]) -> bool {
    use kith_core::rows::{KeyRange, Read};
    let range = KeyRange::prefix(b"space/");
    let rows = disk.read(&Read::Scan { table: Table::Meta, range, limit: 100, reverse: false });
    // version, key, state, name, count, then the keys.
    rows.iter().any(|(_, row)| {
        let name = row[34] as usize;
        let key = &row[36 + name..68 + name];
        bytes.windows(32).any(|window| window == key)
    })
}

#[test]
fn an_import_that_dies_in_the_middle_is_whole_up_to_there_and_goes_on_later() {
    for_each_seed(4, 200, |seed| {
        let mut story = busy_story(seed)?;
        // Small runs, so that there are many places to die at.
        let file = export(&mut story, 0, true).map_err(|reply| format!("{reply:?}"))?;
        let mut small = Vec::new();
        for part in parts(&file) {
            match part {
                Part::Run(entries) => small.extend(entries.chunks(7).map(|run| Part::Run(run.to_vec()))),
                other => small.push(other),
            }
        }
        let mut last = 0;
        for _ in 0..6 {
            let upto = story.world.dice.below(small.len() as u64) as usize;
            let done = import(&mut story, 4, &small[..upto.max(2)]);
            if let Err(refusal) = done {
                return Err(refusal.to_string());
            }
            // The next part is under way when it dies.
            if let Some(part) = small.get(upto.max(2)) {
                story.world.ask(4, Request::Import { space: story.space, part: part.clone() });
                let soon = story.world.dice.within((0, 5));
                story.world.run(soon);
            }
            story.crash(4);
            story.world.start(4);
            let (_, versions) = story.tree(4)?;
            let have: u64 = versions.iter().map(|version| version.seq + 1).sum();
            if have < last {
                return Err("some of it is lost again".to_owned());
            }
            last = have;
        }
        let whole = import(&mut story, 4, &small).map_err(|refusal| refusal.to_string())?;
        if !whole.refused.is_empty() {
            return Err(format!("{whole:?}"));
        }
        same(&mut story, 4)
    });
}

#[test]
fn forged_parts_are_refused_by_name_and_the_rest_is_taken() {
    for_each_seed(3, 100, |seed| {
        let mut story = busy_story(seed)?;
        let file = export(&mut story, 0, true).map_err(|reply| format!("{reply:?}"))?;
        let mut all = parts(&file);
        let stranger = Hostile::stranger(&mut story);
        let forged = {
            let mut hostile = stranger;
            let entry = hostile.op(hostile.tip(), "evil", "evil", story.world.now());
            Part::Run(vec![entry.raw().to_vec()])
        };
        // The last run's last entry is damaged in its signature: that run is not vouched for.
        let mut lost = 0;
        if let Some(Part::Run(entries)) = all.iter_mut().rev().find(|part| matches!(part, Part::Run(_))) {
            let entry = Entry::decode(entries.last().unwrap()).unwrap();
            let at = entry.signed_part().len() - 1;
            entries.last_mut().unwrap()[at] ^= 1;
            lost = entries.len() as u64;
        }
        let end = all.len() - 1;
        all.insert(end, forged);
        all.insert(end, Part::Run(vec![vec![1, 4, 2], vec![9; 40]]));
        all.insert(2, Part::Fork(vec![1, 2, 3]));
        let tally = import(&mut story, 4, &all).map_err(|refusal| refusal.to_string())?;
        let mut expected =
            BTreeMap::from([("bad-signature", lost), ("not-a-member", 1), ("malformed", 1), ("fork", 1)]);
        expected.insert("version-not-supported", 1);
        if tally.refused != expected || tally.new == 0 {
            return Err(format!("{tally:?} instead of {expected:?}"));
        }
        let (tree, _) = story.tree(4)?;
        if tree.get("evil").is_some() {
            return Err(format!("{tree}"));
        }
        // The true file makes it whole.
        import(&mut story, 4, &parts(&file)).map_err(|refusal| refusal.to_string())?;
        same(&mut story, 4)
    });
}

#[test]
fn what_is_known_of_forks_goes_with_the_file() {
    for_each_seed(3, 100, |seed| {
        let mut story = Story::joined(seed, 4)?;
        let Some(mut hostile) = Hostile::possess(&mut story, 3) else { return Err("not possessed".to_owned()) };
        story.members.retain(|(node, _)| *node != 3);
        let now = story.world.now();
        let before = hostile.op(hostile.tip(), "shown", "before", now);
        let tip = kith_core::entry::Tip { len: before.header.seq + 1, hash: before.hash() };
        let (left, right) = (hostile.op(tip, "evil", "left", now), hostile.op(tip, "evil", "right", now + 1));
        let old = {
            hostile.greet(&mut story.world, 0);
            story.world.divide(|node| u64::from(node != 0 && node != 3));
            hostile.push(&mut story.world, 0, &[before.raw(), left.raw()]);
            story.world.run(5_000);
            export(&mut story, 0, true).map_err(|reply| format!("{reply:?}"))?
        };
        story.world.unite();
        hostile.greet(&mut story.world, 1);
        hostile.push(&mut story.world, 1, &[before.raw(), right.raw()]);
        story.calm();
        story.settle(SETTLE)?;
        let file = export(&mut story, 0, true).map_err(|reply| format!("{reply:?}"))?;
        let reader = story.world.add();
        // The file from before the fork was known, then the one that tells of it: the log is cut here too.
        for (file, evil) in [(&old, true), (&file, false)] {
            import(&mut story, reader, &parts(file)).map_err(|refusal| refusal.to_string())?;
            story.world.run(5_000);
            let (tree, _) = story.tree(reader)?;
            if tree.get("evil").is_some() != evil {
                return Err(format!("{tree}"));
            }
        }
        same(&mut story, reader)?;
        let fresh = story.world.add();
        import(&mut story, fresh, &parts(&file)).map_err(|refusal| refusal.to_string())?;
        same(&mut story, fresh)
    });
}

#[test]
fn a_space_this_peer_may_not_read_is_not_exported() {
    let mut story = Story::begin(1, 2).unwrap();
    assert!(matches!(export(&mut story, 1, true), Err(Reply::Refused(Refusal::NoSuchSpace))));
    let me = Request::Export { space: SpaceRef::Me, keys: false, state: None };
    assert!(matches!(ask(&mut story, 1, me), Reply::Exported { next: Some(_), .. }));
}

#[test]
fn what_was_dropped_is_not_missed_in_a_file() {
    for_each_seed(2, 50, |seed| {
        let mut story = crate::sim_pruned::dropped_story(seed)?;
        let stranger = story.world.add();
        story.world.divide(|node| u64::from(node == stranger));
        let file = export(&mut story, 1, true).map_err(|reply| format!("{reply:?}"))?;
        let tally = import(&mut story, stranger, &parts(&file)).map_err(|refusal| refusal.to_string())?;
        if !tally.refused.is_empty() || tally.new as usize != story.stored(1) {
            return Err(format!("{tally:?} of {}", story.stored(1)));
        }
        story.world.run(60_000);
        same(&mut story, stranger)
    });
}
