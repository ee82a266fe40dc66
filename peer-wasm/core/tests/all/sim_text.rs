//! Texts through bad weather: many editors at several peers, and in the end everybody shows the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;
use crate::texts;

use common::for_each_seed;
use kith_core::api::{Change, Manner, Preconditions, Request, Role};
use kith_core::clock::Clock;
use kith_core::document::{Leaf, Op, Ops};
use kith_core::sim::{Hostile, Story, Weather};
use kith_text::{Agent, Algorithm, Edit, TextOp, Version};
use texts::{Editor, at, edit, put, text};

const SETTLE: u64 = 900_000;
const PATHS: [&str; 3] = ["notes/a", "notes/b", "c"];

/// A code point that is put in once and never taken out.
fn mark(number: u64) -> char {
    char::from_u32(0x1_0000 + (number % 0xf000) as u32).unwrap()
}

struct Room {
    story: Story,
    editors: Vec<Editor>,
    marks: Vec<(usize, u64)>,
    number: u64,
}

impl Room {
    /// Somebody types, deletes or replaces something.
    fn type_in(&mut self, at: usize) {
        let dice = &mut self.story.world.dice;
        let editor = &mut self.editors[at];
        let chars: Vec<char> = editor.text.chars().collect();
        let pos = dice.below(chars.len() as u64 + 1) as usize;
        let most = dice.below(6) as usize;
        // Marks stay.
        let taken = chars[pos..].iter().take(most).take_while(|c| c.is_ascii()).count();
        let mut words = String::new();
        if dice.once_in(3) {
            self.number += 1;
            self.marks.push((at, self.number));
            words.push(mark(self.number));
        }
        words.extend((0..dice.below(5)).map(|_| char::from(b'a' + dice.below(26) as u8)));
        if taken > 0 || !words.is_empty() {
            editor.type_in(vec![(pos as u32, (pos + taken) as u32, words)]);
        }
    }

    fn go_on(&mut self) -> Result<(), String> {
        for editor in &mut self.editors {
            editor.go_on(&mut self.story)?;
        }
        self.story.collect();
        Ok(())
    }

    fn adventure(&mut self) -> Result<(), String> {
        let all = self.story.members.len() as u64;
        let node = self.story.world.dice.below(all) as usize;
        match self.story.world.dice.below(16) {
            0..=9 => {
                for _ in 0..1 + self.story.world.dice.below(3) {
                    let at = self.story.world.dice.below(self.editors.len() as u64) as usize;
                    if self.editors[at].names.is_some() {
                        self.type_in(at);
                    }
                }
            }
            10 => drop(self.story.write_shared(node)),
            11 => {
                let other = self.story.world.dice.below(all) as usize;
                self.story.world.connect(node, other);
            }
            12 => {
                let delay = self.story.world.dice.within((100, 30_000));
                self.story.crash(node);
                self.story.world.start_after(node, delay);
            }
            13 => {
                let (parts, salt) = (1 + self.story.world.dice.below(3), self.story.world.dice.number());
                self.story.world.divide(|node| (node as u64).wrapping_mul(salt | 1).rotate_left(17) % parts);
            }
            14 => self.story.world.unite(),
            _ => {
                let weather = if self.story.world.dice.once_in(2) { Weather::FAIR } else { Weather::STORM };
                self.story.world.weather = weather;
            }
        }
        let pause = self.story.world.dice.within((0, 2_000));
        self.story.world.run(pause);
        self.go_on()
    }

    /// Every editor shows what its peer shows, and what was typed once is there once.
    fn check(&mut self) -> Result<(), String> {
        for at in 0..self.editors.len() {
            let (node, path) = (self.editors[at].node, self.editors[at].path.clone());
            let (shown, _) = text(&mut self.story, node, &path)?;
            if shown != self.editors[at].text {
                return Err(format!(
                    "the editor {at} of {path} shows {:?}, peer {node} {shown:?}",
                    self.editors[at].text
                ));
            }
            for (by, number) in self.marks.iter().filter(|(by, _)| self.editors[*by].path == path) {
                let times = shown.chars().filter(|c| *c == mark(*number)).count();
                if times != 1 {
                    return Err(format!("what the editor {by} typed as its mark {number} is in {path} {times} times"));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn editors_at_many_peers_come_to_the_same_texts() {
    for_each_seed(5, 2000, |seed| {
        let peers = 3 + (seed % 2) as usize;
        let mut story = Story::joined(seed, peers)?;
        for path in PATHS {
            put(&mut story, 0, path, "It begins here.")?;
        }
        story.settle(SETTLE)?;
        let editors = (0..2 * peers).map(|at| Editor::new(at % peers, PATHS[at % 3], &format!("editor{at}"))).collect();
        let mut room = Room { story, editors, marks: Vec::new(), number: 0 };
        room.go_on()?;
        room.story.world.run(1_000);
        for _ in 0..80 {
            room.adventure()?;
        }
        room.story.calm();
        for _ in 0..400 {
            if room.editors.iter().all(Editor::is_done) {
                break;
            }
            room.story.world.run(2_000);
            room.go_on()?;
        }
        if let Some(editor) = room.editors.iter().position(|editor| !editor.is_done()) {
            return Err(format!("what the editor {editor} wrote was never taken"));
        }
        room.story.settle(SETTLE)?;
        for _ in 0..20 {
            room.story.world.run(1_000);
            room.go_on()?;
        }
        room.check()?;
        // Who comes last and gets everything at once shows the same.
        let late = room.story.world.add();
        room.story.ask_to_join(late, Role::Reader);
        room.story.settle(SETTLE)?;
        for path in PATHS {
            if text(&mut room.story, late, path)? != text(&mut room.story, 0, path)? {
                return Err(format!("who came last shows another {path}"));
            }
        }
        let (sent, fitted) =
            room.editors.iter().fold((0, 0), |sum, one| (sum.0 + one.patches.0, sum.1 + one.patches.1));
        if fitted * 2 < sent { Err(format!("of {sent} patches {fitted} fitted")) } else { Ok(()) }
    });
}

/// An entry of a member that says this of a text.
fn said(story: &Story, hostile: &mut Hostile, path: &str, bodies: &[Vec<u8>]) {
    let leaf = |body: &Vec<u8>| Leaf::Kind { tag: 10, body: body.clone() };
    let list = bodies.iter().map(|body| Op::new(at(path), leaf(body))).collect();
    let tip = hostile.tip();
    let clock = Clock::new(story.world.now(), tip.len as u16).0;
    let entry = hostile.ops(tip, &Ops { clock, id: String::new(), list }, &[]);
    hostile.log.push(entry);
}

#[test]
fn hostile_operations_in_signed_entries_harm_nobody() {
    for_each_seed(3, 300, |seed| {
        let mut story = Story::joined(seed, 4)?;
        for path in PATHS {
            put(&mut story, 0, path, "It begins here.")?;
        }
        story.settle(SETTLE)?;
        let (_, head) = text(&mut story, 0, "c")?;
        let mut hostile = Hostile::possess(&mut story, 3).ok_or("the member could not be taken over")?;
        story.members.retain(|(node, _)| *node != 3);
        let mut own = [0; 10];
        own.copy_from_slice(&hostile.key.public().0[..10]);
        let own = Agent(own);
        let good = Version { agent: Agent(head[0].agent.0), seq: head[0].seq };
        let algorithm = Algorithm::DiamondTypes1;
        let insert = |pos, text: &str| Edit::Insert { pos, text: text.into() };
        let seq = |hostile: &Hostile| hostile.tip().len;
        for round in 0..25 {
            let version = |agent: u8, seq| Version { agent: Agent([agent; 10]), seq };
            let next = seq(&hostile);
            let dice = &mut story.world.dice;
            let op = |parents: Vec<Version>, edits| TextOp { algorithm, parents, edits }.encode();
            let one = match dice.below(14) {
                // Builds on nothing anybody has, on itself, on its own future, out of order.
                0 => op(vec![version(3, 9)], vec![insert(0, "x")]),
                1 => op(vec![Version { agent: own, seq: next }], vec![insert(0, "x")]),
                2 => op(vec![Version { agent: own, seq: next + 5 }], vec![insert(0, "x")]),
                3 => op(vec![version(9, 1), version(3, 1)], vec![insert(0, "x")]),
                4 => op(vec![good, good], vec![insert(0, "x")]),
                // Outside the text, too much of it, nothing.
                5 => op(vec![good], vec![insert(u32::MAX, "x")]),
                6 => op(vec![good], vec![Edit::Delete { pos: 3, len: u32::MAX }]),
                7 => op(vec![good], Vec::new()),
                8 => op(vec![], vec![insert(0, &"ü".repeat(100_000))]),
                // No operation at all, of another algorithm, cut short.
                9 => dice.seed().to_vec(),
                10 => [&[200], &op(vec![good], vec![insert(0, "x")])[1..]].concat(),
                11 => op(vec![good], vec![insert(0, "xyz")])[..12].to_vec(),
                // Sound, but beside its own.
                12 => op(vec![], vec![insert(0, "beside")]),
                _ => op(vec![good], vec![insert(2, "sound")]),
            };
            let path = if round % 5 == 4 { "elsewhere/new" } else { PATHS[round % 3] };
            let twice = op(vec![good], vec![insert(1, "twice")]);
            let bodies = if story.world.dice.once_in(4) { vec![one, twice] } else { vec![one] };
            said(&story, &mut hostile, path, &bodies);
        }
        hostile.greet(&mut story.world, 1);
        let log: Vec<Vec<u8>> = hostile.log.iter().map(|entry| entry.raw().to_vec()).collect();
        let raws: Vec<&[u8]> = log.iter().map(Vec::as_slice).collect();
        for part in raws.chunks(7) {
            hostile.push(&mut story.world, 1, part);
        }
        story.settle(SETTLE)?;
        if story.world.device(1).is_none() {
            return Err("the peer is gone".to_owned());
        }
        for (node, path) in [(0, "c"), (1, "notes/a"), (2, "c"), (1, "c")] {
            let change = kith_core::api::TextEdit::Splices(vec![(0, 0, format!("({node})"))]);
            let request = edit(&story, path, None, change, None, None);
            texts::edited(&mut story, node, request)?;
        }
        story.settle(SETTLE)?;
        story.crash(1);
        story.world.start(1);
        story.settle(SETTLE)?;
        let (shown, _) = text(&mut story, 2, "c")?;
        if !shown.contains("(0)") || !shown.contains("(1)") || !shown.contains("(2)") {
            return Err(format!("what was written after that is not there: {shown:.80}"));
        }
        Ok(())
    });
}

#[test]
fn texts_that_are_deleted_and_made_again_become_alike() {
    for_each_seed(3, 500, |seed| {
        let mut story = Story::joined(seed, 3)?;
        for round in 0..60u64 {
            let node = story.world.dice.below(3) as usize;
            let path = PATHS[story.world.dice.below(2) as usize];
            let request = match story.world.dice.below(6) {
                0 => {
                    let (space, conditions, manner) = (story.space_ref(), Preconditions::default(), Manner::default());
                    Request::Write {
                        space,
                        path: at(path),
                        change: Change::Delete,
                        conditions,
                        manner,
                        id: None,
                        purge: false,
                    }
                }
                1 => edit(&story, path, None, kith_core::api::TextEdit::Whole(format!("whole {round}")), None, None),
                _ => {
                    let splices = vec![(0, 0, format!("{node}.{round} "))];
                    edit(&story, path, None, kith_core::api::TextEdit::Splices(splices), None, None)
                }
            };
            story.world.ask(node, request);
            match story.world.dice.below(8) {
                0 => {
                    let salt = story.world.dice.number();
                    story.world.divide(|node| (salt >> node) & 1);
                }
                1 => story.world.unite(),
                2 => {
                    story.crash(node);
                    story.world.start_after(node, 2_000);
                }
                _ => {}
            }
            let pause = story.world.dice.within((0, 1_500));
            story.world.run(pause);
        }
        story.calm();
        story.settle(SETTLE)
    });
}
