//! Hostile input: each kind is refused by its name, changes nothing, and keeps honest peers neither apart nor from
//! working on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use common::for_each_seed;
use kith_core::api::{Reply, Request, Role};
use kith_core::clock::MAX_AHEAD;
use kith_core::entropy::Entropy;
use kith_core::entry::{Dep, Entry, Kind, MAX_BODY, Tip, Verified};
use kith_core::epoch::{EpochKey, Wrap, WrapKey};
use kith_core::identity::{PublicKey, SecretKey};
use kith_core::invite::Ticket;
use kith_core::ranges::Prefix;
use kith_core::records::{Device, Epoch, Genesis, Grant};
use kith_core::sim::{Hostile, Outcome, Story};
use kith_core::wire::{Frame, LAST_KNOWN_TAG, LAST_TAG, MAX_FRAME, MAX_ITEMS, RangeHeads, RangeSums, token};

const SETTLE: u64 = 300_000;
const VICTIM: usize = 1;

/// Four members; the last one turns hostile and has introduced itself to the victim.
fn with_hostile_member(seed: u64, role: Role) -> Result<(Story, Hostile), String> {
    let mut story = Story::begin(seed, 4)?;
    for node in 1..4 {
        story.ask_to_join(node, if node == 3 { role } else { Role::Writer });
    }
    story.settle(SETTLE)?;
    for node in 0..3 {
        story.write_own(node);
    }
    story.settle(SETTLE)?;
    let hostile = Hostile::possess(&mut story, 3).ok_or("the member could not be taken over")?;
    story.members.retain(|(node, _)| *node != 3);
    hostile.greet(&mut story.world, VICTIM);
    Ok((story, hostile))
}

/// The honest ones are alike, show nothing of the attack, and go on working.
fn unharmed(story: &mut Story) -> Result<(), String> {
    story.settle(SETTLE)?;
    let written: Vec<usize> = (0..3).map(|node| story.write_own(node)).collect();
    story.settle(SETTLE)?;
    story.check()?;
    if let Some(promise) = written.iter().map(|n| &story.ledger.promises[*n]).find(|p| p.outcome != Outcome::Kept) {
        return Err(format!("a write after the attack was not acknowledged: {promise:?}"));
    }
    let (tree, _) = story.tree(0)?;
    if tree.get("evil").is_some() { Err(format!("the attack got in: {tree}")) } else { Ok(()) }
}

fn refused(story: &Story, name: &str) -> Result<(), String> {
    let all = &story.world.nodes[VICTIM].refused;
    if all.contains_key(name) { Ok(()) } else { Err(format!("nothing was refused as `{name}`, only {all:?}")) }
}

/// One attack by a member: it is refused by name, and nobody is harmed.
fn attack(name: &'static str, role: Role, attack: impl Fn(&mut Story, &mut Hostile) + Sync) {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut hostile) = with_hostile_member(seed, role)?;
        attack(&mut story, &mut hostile);
        story.world.run(2_000);
        refused(&story, name)?;
        unharmed(&mut story)
    });
}

/// Pushes entries to one peer while nobody else can reach either.
fn push_in_secret(story: &mut Story, hostile: &Hostile, victim: usize, entries: &[&[u8]]) {
    story.world.divide(|node| if node == victim || node == hostile.node { 99 } else { node as u64 });
    hostile.greet(&mut story.world, victim);
    for part in entries.chunks(40) {
        hostile.push(&mut story.world, victim, part);
    }
}

fn evil_op(story: &Story, hostile: &mut Hostile) -> Verified {
    let now = story.world.now();
    hostile.op(hostile.tip(), "evil", "evil", now)
}

#[test]
fn an_entry_with_a_bad_signature_is_refused() {
    attack("bad-signature", Role::Writer, |story, hostile| {
        let good = evil_op(story, hostile);
        let mut raw = good.raw().to_vec();
        let signature = good.signed_part().len() - 1;
        raw[signature] ^= 1;
        hostile.push(&mut story.world, VICTIM, &[&raw]);
    });
}

#[test]
fn an_entry_that_names_another_one_before_it_is_refused() {
    attack("wrong-prev", Role::Writer, |story, hostile| {
        let now = story.world.now();
        let elsewhere = Tip { len: hostile.tip().len, hash: [9; 32] };
        let entry = hostile.op(elsewhere, "evil", "evil", now);
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
}

#[test]
fn an_entry_that_leaves_a_gap_is_refused() {
    attack("gap", Role::Writer, |story, hostile| {
        let now = story.world.now();
        let later = Tip { len: hostile.tip().len + 5, hash: [9; 32] };
        let entry = hostile.op(later, "evil", "evil", now);
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
}

#[test]
fn an_entry_of_another_space_is_refused() {
    attack("wrong-space", Role::Writer, |story, hostile| {
        let own = std::mem::replace(&mut hostile.space, PublicKey([8; 32]));
        let entry = evil_op(story, hostile);
        hostile.space = own;
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
}

#[test]
fn a_body_that_does_not_match_its_hash_is_refused() {
    attack("body-hash", Role::Writer, |story, hostile| {
        let mut raw = evil_op(story, hostile).raw().to_vec();
        *raw.last_mut().unwrap() ^= 1;
        hostile.push(&mut story.world, VICTIM, &[&raw]);
    });
}

#[test]
fn a_replayed_entry_is_noticed_and_changes_nothing() {
    attack("replay", Role::Writer, |story, hostile| {
        let known: Vec<Vec<u8>> = hostile.log.iter().map(|entry| entry.raw().to_vec()).collect();
        let known: Vec<&[u8]> = known.iter().map(Vec::as_slice).collect();
        for _ in 0..3 {
            hostile.push(&mut story.world, VICTIM, &known);
        }
    });
}

#[test]
fn an_entry_above_the_size_limit_is_refused() {
    attack("malformed", Role::Writer, |story, hostile| {
        let entry = hostile.entry(hostile.tip(), Kind::Op, &vec![0; MAX_BODY + 1], Vec::new());
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
}

#[test]
fn a_frame_above_the_size_limit_is_refused() {
    attack("malformed-frame", Role::Writer, |story, hostile| {
        hostile.shout(&mut story.world, VICTIM, vec![4; MAX_FRAME + 1]);
    });
}

#[test]
fn garbage_is_refused_and_the_link_is_closed() {
    for_each_seed(2, 50, |seed| {
        let (mut story, hostile) = with_hostile_member(seed, Role::Writer)?;
        for length in 0..40 {
            let garbage = (0..length).map(|_| story.world.dice.number() as u8 | 0x40).collect();
            hostile.shout(&mut story.world, VICTIM, garbage);
            story.world.run(100);
        }
        refused(&story, "malformed-frame")?;
        if !story.world.nodes[VICTIM].hung_up.contains_key("malformed-frame") {
            return Err("the link was not closed".to_owned());
        }
        unharmed(&mut story)
    });
}

#[test]
fn a_time_that_runs_back_within_a_log_is_held_back() {
    attack("clock-runs-back", Role::Writer, |story, hostile| {
        let now = story.world.now();
        let first = hostile.op(hostile.tip(), "shown/first", "first", now);
        let tip = Tip { len: first.header.seq + 1, hash: first.hash() };
        let second = hostile.op(tip, "evil", "evil", now - 1);
        hostile.push(&mut story.world, VICTIM, &[first.raw(), second.raw()]);
    });
}

#[test]
fn a_time_in_the_future_is_held_back() {
    attack("future-clock", Role::Writer, |story, hostile| {
        let future = story.world.now() + 1000 * MAX_AHEAD;
        let entry = hostile.op(hostile.tip(), "evil", "evil", future);
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
}

#[test]
fn a_time_a_little_in_the_future_is_taken_once_it_has_come() {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut hostile) = with_hostile_member(seed, Role::Writer)?;
        let soon = story.world.now() + MAX_AHEAD + 20_000;
        let entry = hostile.op(hostile.tip(), "early/bird", "hello", soon);
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
        refused(&story, "future-clock")?;
        story.world.run(60_000);
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(2)?;
        if tree.get("early").is_none() {
            return Err("it was never taken".to_owned());
        }
        unharmed(&mut story)
    });
}

#[test]
fn entries_of_a_stranger_are_refused() {
    for_each_seed(2, 50, |seed| {
        let (mut story, _) = with_hostile_member(seed, Role::Writer)?;
        let mut stranger = Hostile::stranger(&mut story);
        let identity = SecretKey::from_seed(&[5; 32]);
        let device = Device::new(&identity, &stranger.space, &stranger.key.public(), [6; 32], Vec::new());
        let first = stranger.entry(Tip::EMPTY, Kind::Device, &device.encode(), Vec::new());
        stranger.log.push(first.clone());
        stranger.greet(&mut story.world, VICTIM);
        let now = story.world.now();
        let op = stranger.op(stranger.tip(), "evil", "evil", now);
        stranger.push(&mut story.world, VICTIM, &[first.raw(), op.raw()]);
        refused(&story, "not-a-member")?;
        // It learns nothing either.
        while let Some(frame) = story.world.heard(stranger.node) {
            if matches!(frame, Frame::Entries(..)) {
                return Err("a stranger was sent entries".to_owned());
            }
        }
        stranger.say(&mut story.world, VICTIM, &Frame::Want(stranger.space, vec![(story.space, 0)]));
        story.world.run(2_000);
        while let Some(frame) = story.world.heard(stranger.node) {
            if matches!(
                frame,
                Frame::Entries(..) | Frame::Have(..) | Frame::Sum(..) | Frame::Sums(..) | Frame::Heads(..)
            ) {
                return Err(format!("a stranger was told {frame:?}"));
            }
        }
        unharmed(&mut story)
    });
}

#[test]
fn a_readers_write_is_refused() {
    attack("not-allowed", Role::Reader, |story, hostile| {
        let entry = evil_op(story, hostile);
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
}

#[test]
fn a_reader_cannot_make_itself_a_writer() {
    attack("grant", Role::Reader, |story, hostile| {
        let ticket = Ticket::parse(&story.reader_link).unwrap();
        let device = Device::decode(hostile.log[0].body()).unwrap();
        let grant = Grant::join(Role::Writer, device.identity, &ticket.key(), &story.space);
        let grant = hostile.entry(hostile.tip(), Kind::Grant, &grant.encode(), Vec::new());
        let tip = Tip { len: grant.header.seq + 1, hash: grant.hash() };
        let now = story.world.now();
        let op = hostile.op(tip, "evil", "evil", now);
        hostile.push(&mut story.world, VICTIM, &[grant.raw(), op.raw()]);
    });
}

#[test]
fn a_grant_for_somebody_else_with_a_made_up_proof_is_refused() {
    attack("grant", Role::Writer, |story, hostile| {
        let made_up = SecretKey::from_seed(&[4; 32]);
        let device = Device::decode(hostile.log[0].body()).unwrap();
        let mut grant = Grant::join(Role::Writer, device.identity, &made_up, &story.space);
        if let kith_core::records::Subject::Joined { invite, .. } = &mut grant.subject {
            *invite = Ticket::parse(&story.writer_link).unwrap().key().public();
        }
        let entry = hostile.entry(hostile.tip(), Kind::Grant, &grant.encode(), Vec::new());
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
}

#[test]
fn a_writer_can_neither_invite_nor_hand_out_keys() {
    attack("not-allowed", Role::Writer, |story, hostile| {
        let invite = Grant::invite(Role::Writer, SecretKey::from_seed(&[4; 32]).public());
        let entry = hostile.entry(hostile.tip(), Kind::Grant, &invite.encode(), Vec::new());
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
    attack("not-allowed", Role::Writer, |story, hostile| {
        let epoch = Epoch { commit: EpochKey::new([7; 32]).commit(), wraps: Vec::new() };
        let entry = hostile.entry(hostile.tip(), Kind::Epoch, &epoch.encode(), Vec::new());
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
}

#[test]
fn a_second_founding_is_refused() {
    attack("genesis", Role::Writer, |story, hostile| {
        let genesis = Genesis { owners: vec![hostile.key.public()], created: 0 };
        let entry = hostile.entry(hostile.tip(), Kind::Genesis, &genesis.encode(), Vec::new());
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
}

#[test]
fn a_second_device_record_is_refused() {
    attack("device", Role::Writer, |story, hostile| {
        let identity = SecretKey::from_seed(&[4; 32]);
        let device = Device::new(&identity, &hostile.space, &hostile.key.public(), [0; 32], Vec::new());
        let entry = hostile.entry(hostile.tip(), Kind::Device, &device.encode(), Vec::new());
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
    });
}

#[test]
fn a_device_cannot_claim_an_identity_that_did_not_sign_for_it() {
    for_each_seed(2, 50, |seed| {
        let (mut story, member) = with_hostile_member(seed, Role::Writer)?;
        let stranger = Hostile::stranger(&mut story);
        let victim_device = Device::decode(member.log[0].body()).map_err(|error| error.to_string())?;
        let entry = stranger.entry(Tip::EMPTY, Kind::Device, &victim_device.encode(), Vec::new());
        stranger.greet(&mut story.world, VICTIM);
        stranger.push(&mut story.world, VICTIM, &[entry.raw()]);
        refused(&story, "device")?;
        unharmed(&mut story)
    });
}

#[test]
fn kinds_that_are_not_in_use_are_refused() {
    for kind in [5u8, 8, 13, 15, 200] {
        attack("kind-not-supported", Role::Writer, move |story, hostile| {
            let mut raw = evil_op(story, hostile).raw().to_vec();
            raw[1] = kind;
            hostile.push(&mut story.world, VICTIM, &[&raw]);
        });
    }
}

#[test]
fn a_later_format_is_refused_as_such() {
    attack("version-not-supported", Role::Writer, |story, hostile| {
        let mut raw = evil_op(story, hostile).raw().to_vec();
        raw[0] = 2;
        hostile.push(&mut story.world, VICTIM, &[&raw]);
    });
}

#[test]
fn a_forked_log_is_proved_and_cut_for_everyone() {
    for_each_seed(5, 200, |seed| {
        let (mut story, mut hostile) = with_hostile_member(seed, Role::Writer)?;
        let now = story.world.now();
        let mut before = Vec::new();
        let mut tip = hostile.tip();
        // Some so long that the place is asked for in several rounds.
        for n in 0..seed * 7 % 45 + 1 + seed % 2 * 300 {
            let entry = hostile.op(tip, "shown/before", "before the fork", now + n);
            tip = Tip { len: entry.header.seq + 1, hash: entry.hash() };
            before.push(entry);
        }
        let left = hostile.op(tip, "evil", "left", now + 1_000);
        let right = hostile.op(tip, "evil", "right", now + 1_000);
        let branch = |last| before.iter().chain([last]).map(|entry: &Verified| entry.raw()).collect::<Vec<_>>();
        push_in_secret(&mut story, &hostile, 0, &branch(&left));
        push_in_secret(&mut story, &hostile, 1, &branch(&right));
        story.calm();
        story.settle(SETTLE)?;
        for node in 0..3 {
            let (tree, _) = story.tree(node)?;
            if tree.get("shown").is_none() {
                return Err(format!("peer {node} lost what came before the fork"));
            }
            let members = story.world.ask_for(node, Request::Members { space: story.space_ref() }, 10_000);
            let Some(Reply::Document(members)) = members else { return Err(format!("no members: {members:?}")) };
            if !members.to_string().contains("\"forked\":true") {
                return Err(format!("peer {node} does not know of the fork: {members}"));
            }
        }
        // Who comes later learns of it, and is not taken in by either branch.
        let late = story.newcomer();
        story.settle(SETTLE)?;
        hostile.greet(&mut story.world, late);
        hostile.push(&mut story.world, late, &branch(&left));
        unharmed(&mut story)
    });
}

#[test]
fn a_fork_whose_branches_say_different_things_at_the_same_time_leaves_all_alike() {
    for_each_seed(5, 200, |seed| {
        let (mut story, mut hostile) = with_hostile_member(seed, Role::Writer)?;
        let now = story.world.now();
        let branches: Vec<_> =
            ["left", "right", "middle"].map(|text| hostile.op(hostile.tip(), "both/here", text, now)).into();
        for (victim, branch) in branches.iter().enumerate() {
            push_in_secret(&mut story, &hostile, victim, &[branch.raw()]);
        }
        story.calm();
        story.settle(SETTLE)?;
        unharmed(&mut story)
    });
}

#[test]
fn a_long_fork_is_found_far_back() {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut hostile) = with_hostile_member(seed, Role::Writer)?;
        let now = story.world.now();
        let branch = |hostile: &mut Hostile, text: &str, length: u64| {
            let mut tip = hostile.tip();
            let mut entries = Vec::new();
            for n in 0..length {
                let entry = hostile.op(tip, &format!("branch/{text}{n}"), text, now + n);
                tip = Tip { len: entry.header.seq + 1, hash: entry.hash() };
                entries.push(entry);
            }
            entries
        };
        let (left, right) = (branch(&mut hostile, "left", 150), branch(&mut hostile, "right", 90));
        for (victim, branch) in [(VICTIM, &left), (2, &right)] {
            let raw: Vec<&[u8]> = branch.iter().map(|entry| entry.raw()).collect();
            push_in_secret(&mut story, &hostile, victim, &raw);
        }
        story.calm();
        story.settle(SETTLE)?;
        let (tree, _) = story.tree(0)?;
        if tree.get("branch").is_some() {
            return Err("a branch is still shown".to_owned());
        }
        unharmed(&mut story)
    });
}

#[test]
fn runs_with_bad_signatures_inside_do_not_keep_honest_peers_apart() {
    for_each_seed(3, 100, |seed| {
        let (mut story, mut hostile) = with_hostile_member(seed, Role::Writer)?;
        let now = story.world.now();
        // A run whose middle is signed by nobody but vouched for by its end.
        let mut tip = hostile.tip();
        let mut raws = Vec::new();
        for n in 0..20 {
            let good = hostile.op(tip, &format!("odd/{n}"), "odd", now + n);
            let mut raw = good.raw().to_vec();
            if n < 19 {
                raw[good.signed_part().len() - 1] ^= 1;
            }
            let entry = Entry::decode(&raw).map_err(|error| error.to_string())?;
            tip = Tip { len: entry.header.seq + 1, hash: entry.hash() };
            raws.push(raw);
        }
        let raws: Vec<&[u8]> = raws.iter().map(Vec::as_slice).collect();
        hostile.push(&mut story.world, VICTIM, &raws);
        story.settle(SETTLE)?;
        unharmed(&mut story)
    });
}

#[test]
fn ops_that_cannot_be_opened_or_read_block_nobody() {
    for_each_seed(3, 100, |seed| {
        let (mut story, mut hostile) = with_hostile_member(seed, Role::Writer)?;
        let rubbish = hostile.sealed(hostile.tip(), b"this is no list of ops");
        let tip = Tip { len: rubbish.header.seq + 1, hash: rubbish.hash() };
        let key = std::mem::replace(&mut hostile.epoch, EpochKey::new([3; 32]));
        let locked = hostile.sealed(tip, b"sealed with a key nobody has");
        hostile.epoch = key;
        hostile.push(&mut story.world, VICTIM, &[rubbish.raw(), locked.raw()]);
        story.settle(SETTLE)?;
        unharmed(&mut story)
    });
}

#[test]
fn deps_on_entries_nobody_has_block_nobody() {
    for_each_seed(2, 50, |seed| {
        let (mut story, mut hostile) = with_hostile_member(seed, Role::Writer)?;
        let deps = vec![Dep { log: PublicKey([1; 32]), seq: u64::MAX, hash: [0; 32] }; 64];
        let tip = hostile.tip();
        let body = hostile.sealed(tip, b"?").body().to_vec();
        let entry = hostile.entry(tip, Kind::Op, &body, deps);
        hostile.push(&mut story.world, VICTIM, &[entry.raw()]);
        unharmed(&mut story)
    });
}

#[test]
fn a_member_that_claims_everything_and_sends_nothing_keeps_nobody_apart() {
    for_each_seed(3, 100, |seed| {
        let (mut story, hostile) = with_hostile_member(seed, Role::Writer)?;
        for victim in [0, 2] {
            hostile.greet(&mut story.world, victim);
        }
        let logs: Vec<PublicKey> = (0..3).filter_map(|node| story.world.device(node)).chain([story.space]).collect();
        for _ in 0..5 {
            for victim in 0..3 {
                let items = logs.iter().map(|log| (*log, u64::MAX, [1; 32])).collect();
                hostile.say(&mut story.world, victim, &Frame::Have(hostile.space, items));
            }
            story.world.run(3_000);
            for node in 0..3 {
                story.write_own(node);
            }
        }
        unharmed(&mut story)
    });
}

#[test]
fn floods_of_claims_wishes_and_questions_are_survived() {
    for_each_seed(2, 20, |seed| {
        let (mut story, hostile) = with_hostile_member(seed, Role::Writer)?;
        let device = story.world.device(VICTIM).ok_or("no device")?;
        let space = hostile.space;
        for round in 0..6u8 {
            let log = |n: usize| {
                PublicKey(std::array::from_fn(|at| if at < 8 { (n as u64).to_be_bytes()[at] } else { round }))
            };
            let logs = || (0..MAX_ITEMS).map(log);
            let frames = [
                Frame::Have(space, logs().map(|log| (log, u64::MAX, [0; 32])).collect()),
                Frame::Want(space, logs().map(|log| (log, 0)).collect()),
                Frame::Want(space, logs().map(|log| (log, u64::MAX)).collect()),
                Frame::Ask(space, hostile.key.public(), (0..64).collect()),
                Frame::Tell(space, hostile.key.public(), vec![(0, vec![0; 100])]),
                Frame::Refused(space, device, 0, "no".to_owned()),
                Frame::Hello(space, vec![vec![1; 1000]; 4]),
                Frame::Sum(space, [round; 8], [round; 8]),
                Frame::Sums(space, [round; 8], vec![RangeSums { range: digits(&[round]), parts: vec![] }]),
                Frame::Heads(space, vec![RangeHeads { range: digits(&[round]), logs: vec![] }]),
                Frame::Open((0..1024).map(|n| token(&space, &log(n), &device)).collect()),
            ];
            for frame in &frames {
                hostile.say(&mut story.world, VICTIM, frame);
            }
            story.world.run(2_000);
            hostile.greet(&mut story.world, VICTIM);
        }
        unharmed(&mut story)
    });
}

/// Everything the victim has said to a hostile peer: bytes of frames about sets of logs.
fn said_about_sets(story: &mut Story, hostile: &Hostile) -> usize {
    let mut bytes = 0;
    while let Some(frame) = story.world.heard(hostile.node) {
        if matches!(frame, Frame::Have(..) | Frame::Sum(..) | Frame::Sums(..) | Frame::Heads(..)) {
            bytes += frame.encode().len();
        }
    }
    bytes
}

/// Many authors whose logs the victim gets from the hostile member.
fn crowd(story: &mut Story, hostile: &Hostile, authors: usize) -> Result<(), String> {
    let mut entries = Vec::new();
    for _ in 0..authors {
        entries.extend(Hostile::absent(story, hostile).ok_or("no author")?.log);
    }
    for part in entries.chunks(100) {
        hostile.push(&mut story.world, VICTIM, &part.iter().map(|entry| entry.raw()).collect::<Vec<_>>());
    }
    Ok(())
}

fn digits(digits: &[u8]) -> Prefix {
    digits.iter().fold(Prefix::ALL, |range, digit| range.part(*digit).unwrap())
}

#[test]
fn comparing_without_end_is_refused_and_costs_little() {
    for_each_seed(2, 30, |seed| {
        let (mut story, hostile) = with_hostile_member(seed, Role::Writer)?;
        crowd(&mut story, &hostile, 100)?;
        hostile.say(&mut story.world, VICTIM, &Frame::Sum(hostile.space, [0; 8], [0; 8]));
        story.world.run(1_000);
        said_about_sets(&mut story, &hostile);
        // A few bytes that ask for everything, again and again.
        let nothing = Frame::Sums(hostile.space, [0; 8], vec![RangeSums { range: Prefix::ALL, parts: Vec::new() }]);
        for _ in 0..2_000 {
            hostile.say(&mut story.world, VICTIM, &nothing);
        }
        story.world.run(3_000);
        refused(&story, "too-many-ranges")?;
        let said = said_about_sets(&mut story, &hostile);
        if said > 1_000_000 {
            return Err(format!("{said} bytes were given away"));
        }
        unharmed(&mut story)
    });
}

#[test]
fn sums_that_never_agree_come_to_an_end() {
    for_each_seed(2, 30, |seed| {
        let (mut story, hostile) = with_hostile_member(seed, Role::Writer)?;
        crowd(&mut story, &hostile, 100)?;
        hostile.say(&mut story.world, VICTIM, &Frame::Sum(hostile.space, [0; 8], [0; 8]));
        story.world.run(1_000);
        said_about_sets(&mut story, &hostile);
        let sums = |story: &mut Story, range: Prefix| {
            let parts = (0..16).map(|part| (part, story.world.dice.number().to_be_bytes())).collect();
            RangeSums { range, parts }
        };
        let first = sums(&mut story, Prefix::ALL);
        hostile.say(&mut story.world, VICTIM, &Frame::Sums(hostile.space, [1; 8], vec![first]));
        // Whatever is answered is divided again, down to the last digit, with sums made up.
        let mut said = 0;
        for _ in 0..70 {
            story.world.run(200);
            while let Some(frame) = story.world.heard(hostile.node) {
                let ranges: Vec<Prefix> = match frame {
                    Frame::Sums(_, _, ranges) => ranges.iter().map(|sums| sums.range).collect(),
                    Frame::Heads(_, ranges) => ranges.iter().map(|heads| heads.range).collect(),
                    _ => continue,
                };
                said += ranges.len();
                let made_up: Vec<RangeSums> =
                    ranges.iter().filter_map(|range| range.part(3)).map(|range| sums(&mut story, range)).collect();
                hostile.say(&mut story.world, VICTIM, &Frame::Sums(hostile.space, [1; 8], made_up));
            }
        }
        if !(100..40_000).contains(&said) {
            return Err(format!("{said} ranges were answered"));
        }
        unharmed(&mut story)
    });
}

#[test]
fn ranges_that_overlap_or_are_too_many_are_refused() {
    let range = |range: &[u8]| RangeSums { range: digits(range), parts: vec![] };
    for case in 0..3 {
        attack("malformed-frame", Role::Writer, move |story, hostile| {
            let bytes = match case {
                0 => Frame::Sums(hostile.space, [0; 8], vec![range(&[1]), range(&[1, 2])]).encode(),
                1 => Frame::Sums(hostile.space, [0; 8], vec![range(&[2]), range(&[1])]).encode(),
                _ => [&[11][..], &hostile.space.0, &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
            };
            hostile.shout(&mut story.world, VICTIM, bytes);
        });
    }
}

#[test]
fn a_stranger_that_compares_learns_nothing() {
    for_each_seed(2, 50, |seed| {
        let (mut story, _) = with_hostile_member(seed, Role::Writer)?;
        let stranger = Hostile::stranger(&mut story);
        stranger.greet(&mut story.world, VICTIM);
        while story.world.heard(stranger.node).is_some() {}
        let space = stranger.space;
        let whole = || RangeHeads { range: Prefix::ALL, logs: Vec::new() };
        for frame in [
            Frame::Sum(space, [0; 8], [0; 8]),
            Frame::Sums(space, [0; 8], vec![RangeSums { range: Prefix::ALL, parts: Vec::new() }]),
            Frame::Heads(space, vec![whole()]),
        ] {
            stranger.say(&mut story.world, VICTIM, &frame);
            story.world.run(1_000);
        }
        story.world.run(120_000);
        while let Some(frame) = story.world.heard(stranger.node) {
            if !matches!(frame, Frame::Open(_) | Frame::Hello(..)) {
                return Err(format!("a stranger was told {frame:?}"));
            }
        }
        unharmed(&mut story)
    });
}

#[test]
fn keys_that_no_entry_names_are_never_used() {
    for_each_seed(2, 50, |seed| {
        let (mut story, hostile) = with_hostile_member(seed, Role::Writer)?;
        let mut entropy = Entropy::new(&[7; 32]);
        let mut wrap = |to| Wrap::new(&EpochKey::new([9; 32]), &story.space, to, &mut entropy);
        let wraps: Vec<Wrap> = (0..16).filter_map(|n| wrap(WrapKey::from_seed(&[n; 32]).public())).collect();
        // To a member, and to one that is only about to join.
        let late = story.newcomer();
        for victim in [VICTIM, late] {
            story.world.connect(hostile.node, victim);
            for _ in 0..20 {
                hostile.say(&mut story.world, victim, &Frame::Keys(story.space, wraps.clone()));
            }
        }
        story.world.run(1_000);
        unharmed(&mut story)
    });
}

#[test]
fn frames_of_later_versions_are_passed_over() {
    for_each_seed(2, 50, |seed| {
        let (mut story, hostile) = with_hostile_member(seed, Role::Writer)?;
        for tag in LAST_KNOWN_TAG + 1..=LAST_TAG {
            hostile.shout(&mut story.world, VICTIM, vec![tag, 1, 2, 3]);
        }
        story.world.run(1_000);
        refused(&story, "later-frame")?;
        if story.world.link_between(hostile.node, VICTIM).is_none() {
            return Err("the link was closed".to_owned());
        }
        unharmed(&mut story)
    });
}

#[test]
fn the_other_branch_sent_to_who_has_one_already_is_noticed() {
    for_each_seed(3, 100, |seed| {
        let (mut story, mut hostile) = with_hostile_member(seed, Role::Writer)?;
        let now = story.world.now();
        let mut branch = |text: &str| {
            let mut tip = hostile.tip();
            let entries: Vec<Verified> = (0..3 + seed % 40)
                .map(|n| {
                    let entry = hostile.op(tip, "evil", text, now + n);
                    tip = Tip { len: entry.header.seq + 1, hash: entry.hash() };
                    entry
                })
                .collect();
            entries
        };
        let (left, right) = (branch("left"), branch("right"));
        for branch in [&left, &right[..right.len() - 1]] {
            let raw: Vec<&[u8]> = branch.iter().map(|entry| entry.raw()).collect();
            hostile.push(&mut story.world, VICTIM, &raw);
            story.settle(SETTLE)?;
        }
        for node in 0..3 {
            let members = story.world.ask_for(node, Request::Members { space: story.space_ref() }, 10_000);
            if !format!("{members:?}").contains("\"forked\": Bool(true)") {
                return Err(format!("peer {node} does not know of the fork: {members:?}"));
            }
        }
        unharmed(&mut story)
    });
}

#[test]
fn a_member_that_does_all_sorts_of_things_in_a_storm_harms_nobody() {
    for_each_seed(6, 500, |seed| {
        let (mut story, mut hostile) = with_hostile_member(seed, Role::Writer)?;
        let mut said: Vec<Verified> = hostile.log.clone();
        for _ in 0..60 {
            let victim = story.world.dice.below(3) as usize;
            hostile.greet(&mut story.world, victim);
            let Some(base) = story.world.dice.pick(&said).cloned() else { continue };
            let tip = Tip { len: base.header.seq + 1, hash: base.hash() };
            let skew = story.world.dice.within((0, 2 * MAX_AHEAD));
            let time = (story.world.now() + skew).saturating_sub(MAX_AHEAD);
            let place = format!("mad/{}/{}", story.world.dice.below(3), story.world.dice.below(3));
            let place = if story.world.dice.once_in(3) { "mad" } else { &place };
            let mut raw = match story.world.dice.below(10) {
                0 => base.raw().to_vec(),
                1 => hostile.entry(tip, Kind::Epoch, b"no epoch", Vec::new()).raw().to_vec(),
                2 => hostile.sealed(tip, b"no ops").raw().to_vec(),
                _ => {
                    let op = hostile.op(tip, place, "mad", time);
                    said.push(op.clone());
                    op.raw().to_vec()
                }
            };
            if story.world.dice.once_in(6) {
                let at = story.world.dice.below(raw.len() as u64) as usize;
                raw[at] ^= 1 << story.world.dice.below(8);
            }
            if story.world.dice.once_in(4) {
                hostile.claim(&mut story.world, victim, tip);
            }
            let mut frames = vec![Frame::entries(hostile.space, [raw])];
            while let Some(frame) = story.world.heard(hostile.node) {
                match frame {
                    // Questions are answered, now and then with something else.
                    Frame::Ask(space, log, places) => {
                        let known = places.iter().filter_map(|seq| said.iter().rev().find(|e| e.header.seq == *seq));
                        let parts = known.map(|entry| (entry.header.seq, entry.signed_part().to_vec())).collect();
                        frames.push(Frame::Tell(space, log, parts));
                    }
                    Frame::Entries(..) | Frame::Fork(..) if story.world.dice.once_in(3) => frames.push(frame),
                    _ => {}
                }
            }
            for frame in &frames {
                hostile.say(&mut story.world, victim, frame);
            }
            story.adventure();
        }
        story.calm();
        story.settle(SETTLE)?;
        story.ask_again();
        unharmed(&mut story)
    });
}
