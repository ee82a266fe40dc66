//! A text whose merging brings the peer down: it is found, let alone, and nothing goes round in circles.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;
use crate::texts;

use common::for_each_seed;
use kith_core::api::{Refusal, Reply, Role, TextEdit};
use kith_core::peer::Input;
use kith_core::rows::{Read, Table};
use kith_core::sim::Story;
use texts::{at, edit, edited, put, text};

/// What the row says that names the text in work: how many deaths before, and whether it is this text.
fn in_work(story: &Story, path: &str) -> Option<u8> {
    let row = story.world.nodes[1].disk.read(&Read::Get { table: Table::Meta, key: b"merging".to_vec() });
    let (deaths, name) = row.first()?.1.split_first()?;
    (name.get(4..)? == at(path).to_key()).then_some(*deaths)
}

/// Starts the peer as after a death and stops it at the moment its step on the text would begin; tells how many deaths
/// the mark counts.
fn die_at(story: &mut Story, path: &str) -> Result<u8, String> {
    let before = in_work(story, path);
    story.world.start(1);
    story.world.input(1, Input::Careful);
    // The mark of the life before is taken away first.
    let mut gone = before.is_none();
    for _ in 0..120_000 {
        story.world.connect(0, 1);
        story.world.run(1);
        match in_work(story, path) {
            None => gone = true,
            Some(deaths) if gone || before != Some(deaths) => {
                story.world.crash(1);
                return Ok(deaths);
            }
            Some(_) => {}
        }
    }
    Err("the text was never marked".to_owned())
}

fn session(seed: u64) -> Result<(), String> {
    let mut story = Story::begin(seed, 2)?;
    story.ask_to_join(1, Role::Writer);
    story.settle(300_000)?;
    put(&mut story, 0, "good", "good")?;
    put(&mut story, 0, "poison", "harmless")?;
    story.settle(300_000)?;
    story.world.crash(1);
    for path in ["poison", "good"] {
        let request = edit(&story, path, None, TextEdit::Splices(vec![(0, 0, "more ".to_owned())]), None, None);
        edited(&mut story, 0, request)?;
    }
    story.world.run(5_000);
    // Two lives end in the step that puts it together.
    let marks = (die_at(&mut story, "poison")?, die_at(&mut story, "poison")?);
    if marks != (0, 1) {
        return Err(format!("the marks counted {marks:?} deaths"));
    }
    // Careful or not, from now on the peer lives.
    let careful = seed.is_multiple_of(2);
    story.world.start(1);
    if careful {
        story.world.input(1, Input::Careful);
    }
    let life = story.world.life(1);
    for _ in 0..2_000 {
        story.world.connect(0, 1);
        story.world.run(100);
        if in_work(&story, "poison").is_some_and(|deaths| deaths > 1) {
            return Err("it is in work again".to_owned());
        }
    }
    // What else there is is put together; the one text shows what it showed, and is not written to.
    if text(&mut story, 1, "good")?.0 != "more good" || text(&mut story, 1, "poison")?.0 != "harmless" {
        return Err(format!("{:?} {:?}", text(&mut story, 1, "good"), text(&mut story, 1, "poison")));
    }
    let request = edit(&story, "poison", None, TextEdit::Splices(vec![(0, 0, "x".to_owned())]), None, None);
    match story.world.ask_for(1, request, 60_000) {
        Some(Reply::Refused(Refusal::Unavailable { retry_after, .. })) if retry_after > 60 => {}
        other => return Err(format!("a text that is let alone was written to: {other:?}")),
    }
    let request = edit(&story, "good", None, TextEdit::Splices(vec![(0, 0, "even ".to_owned())]), None, None);
    edited(&mut story, 1, request)?;
    // The same release leaves it alone at every start; another one tries again.
    story.world.crash(1);
    story.world.start(1);
    story.world.run(120_000);
    if text(&mut story, 1, "poison")?.0 != "harmless" || story.world.life(1) != life + 1 {
        return Err("a later start of the same release did not let it alone".to_owned());
    }
    story.world.crash(1);
    story.world.nodes[1].release = "next";
    story.world.start(1);
    story.settle(600_000)?;
    let shown =
        [(0, "poison"), (1, "poison"), (0, "good"), (1, "good")].map(|(node, path)| text(&mut story, node, path));
    let shown: Vec<String> = shown.into_iter().map(|text| text.map(|(text, _)| text)).collect::<Result<_, _>>()?;
    if shown == ["more harmless", "more harmless", "even more good", "even more good"] {
        Ok(())
    } else {
        Err(format!("the next release shows {shown:?}"))
    }
}

#[test]
fn a_text_that_brings_the_peer_down_again_and_again_is_let_alone() {
    for_each_seed(4, 200, session);
}
