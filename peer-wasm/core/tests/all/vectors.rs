//! What version 1 stored and sent, kept for good: every later release has to open it, show the same, and pass it on.
//!
//! `tests-wasm/vectors/v1` holds the rows of two peers (`rows-0.txt`, `rows-1.txt`: table, key and value in hexadecimal), frames they sent each
//! other (`frames.txt`, and `frames-early.txt` of kinds that came later) and what the first of them showed (`shown.json`); `*-pruned.*` are of a peer that
//! has dropped entries, `space-pruned.txt` is a file of such a space. `KITH_FREEZE=1 cargo test -p kith-core --test all vectors` makes
//! them where they are missing. They are never made again for the same version: a format that changes gets a new one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use kith_core::api::{
    At, Body, Change, Manner, Merge, Preconditions, Refusal, Reply, Request, SpaceRef, TextChange, TextEdit,
};
use kith_core::document::policy::Policy;
use kith_core::path::Path;
use kith_core::rows::{Batch, KeyRange, Table};
use kith_core::sim::{Disk, NodeId, Story, World};
use kith_core::wire::{Frame, Glance, Glimpse, Piece};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

const PATIENCE: u64 = 60_000;
/// Frames kept of each kind, and how long they may be.
const FRAMES: usize = 12;
const FRAME_BYTES: usize = 2_000;
/// More than the story takes: clocks in what is kept are in the past then.
const LATER: u64 = 3_600_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests-wasm/vectors/v1")
}

fn read(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn at(path: &str) -> Path {
    Path::new(path.split('/').filter(|name| !name.is_empty())).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn write(path: &str, change: Change, merge: Option<Merge>) -> impl Fn(&SpaceRef) -> Request {
    let path = at(path);
    move |space| Request::Write {
        space: space.clone(),
        path: path.clone(),
        change: change.clone(),
        conditions: Preconditions::default(),
        manner: Manner { merge, ..Manner::default() },
        id: None,
        purge: false,
    }
}

fn put(path: &str, value: Json, merge: Option<Merge>) -> impl Fn(&SpaceRef) -> Request {
    write(path, Change::Put(Body::Json(value)), merge)
}

fn type_in(path: &str, edit: TextEdit) -> impl Fn(&SpaceRef) -> Request {
    write(path, Change::Text(TextChange { parents: None, edit, event: None }), Some(Merge::Text))
}

fn done(story: &mut Story, node: NodeId, request: impl Fn(&SpaceRef) -> Request) {
    let reply = story.world.ask_for(node, request(&story.space_ref()), PATIENCE);
    assert!(matches!(reply, Some(Reply::Written { .. } | Reply::Undone { .. })), "{reply:?}");
}

/// Something of everything that version 1 can do.
fn story() -> Story {
    let mut story = Story::joined(1, 2).unwrap();
    let space = story.space_ref();
    let policy = Policy::read(&json!({ "kind": "mv", "tie": "first" })).unwrap();
    let prefix = at("votes");
    done(&mut story, 0, |space| Request::SetPolicy {
        space: space.clone(),
        prefix: prefix.clone(),
        policy: Some(policy),
    });
    done(&mut story, 0, put("notes/1", json!({ "title": "Tea", "tags": ["hot"], "size": 2.5, "done": null }), None));
    done(&mut story, 1, write("notes/1", Change::MergePatch(json!({ "title": "Green tea" })), None));
    let image = Body::Bytes { media: "image/png".to_owned(), bytes: (0..=255).collect() };
    done(&mut story, 1, write("files/ä b", Change::Put(image), None));
    done(&mut story, 0, put("gone", json!("deleted later"), None));
    done(&mut story, 0, put("list", json!(["a", { "b": 1 }, "c"]), Some(Merge::List)));
    done(&mut story, 0, put("set", json!(["x", 1]), Some(Merge::Set)));
    done(&mut story, 0, type_in("doc/text", TextEdit::Whole("Hello 茶".to_owned())));
    story.settle(300_000).unwrap();

    story.world.divide(|node| node as u64);
    story.world.run(5_000);
    for node in [0, 1] {
        done(&mut story, node, put("votes/color", json!(["red", "blue"][node]), None));
        done(&mut story, node, write("count", Change::Increment(json!(5 + node)), None));
        done(&mut story, node, put("both", json!(node), None));
        let members = Change::Set { add: vec![json!(["m", node])], remove: vec![json!("x")] };
        done(&mut story, node, write("set", members, None));
        let insert = json!([{ "op": "add", "path": "/1", "value": format!("from {node}") }]);
        done(&mut story, node, write("list", Change::JsonPatch(insert), None));
        done(&mut story, node, type_in("doc/text", TextEdit::Splices(vec![(5, 5, format!(" {node}"))])));
    }
    done(&mut story, 0, write("gone", Change::Delete, None));
    story.world.unite();
    story.settle(300_000).unwrap();
    let purged = story.purge(0, "notes/1/title", Change::Put(Body::Json(json!("White tea"))));
    assert!(matches!(purged, Some(Reply::Written { .. })), "{purged:?}");
    done(&mut story, 1, put("undone", json!(1), None));
    let scope = at("undone");
    let undo = |space: &SpaceRef| Request::Undo { space: space.clone(), scope: scope.clone(), redo: false, id: None };
    done(&mut story, 1, undo);
    story.settle(300_000).unwrap();
    story.collect_all(600_000).unwrap();
    assert_eq!(space, story.space_ref());
    story
}

fn ask(world: &mut World, node: NodeId, request: Request) -> Reply {
    world.ask_for(node, request, PATIENCE).expect("an answer")
}

fn document(reply: Reply) -> Json {
    match reply {
        Reply::Document(json) => json,
        Reply::Value { body, version, facts, .. } => json!([value(body), format!("{version:?}"), facts.merge.name()]),
        Reply::Past { body, .. } => value(body),
        Reply::Refused(Refusal::HistoryDropped) => json!("erased"),
        Reply::Refused(Refusal::NotFound) => json!("nothing"),
        other => panic!("{other:?}"),
    }
}

fn value(body: Body) -> Json {
    match body {
        Body::Json(json) => json,
        Body::Bytes { media, bytes } => json!({ "media": media, "hex": hex(&bytes) }),
    }
}

/// What a peer shows of a space, in everything that reads.
fn shown(world: &mut World, node: NodeId, space: &SpaceRef) -> Json {
    let mut values = BTreeMap::new();
    for place in ["", "notes/1", "files/ä b", "list", "set", "doc/text", "votes/color", "count", "both"] {
        let get = Request::Get { space: space.clone(), path: at(place), parents: Vec::new() };
        values.insert(place, document(ask(world, node, get)));
    }
    let request = Request::History { space: space.clone(), path: Path::root(), before: None, limit: 1000 };
    let Reply::History { items, .. } = ask(world, node, request) else { panic!("no history") };
    let mut past = Vec::new();
    for item in &items {
        let when = At::Versions(vec![item.version]);
        let get = Request::GetAt { space: space.clone(), path: Path::root(), at: when, hash: None };
        let then = document(ask(world, node, get));
        past.push(json!([item.version.to_string(), item.kind, item.size, item.time, then]));
    }
    let feed = ask(world, node, Request::Changes { space: space.clone(), since: None, limit: 1000 });
    let Reply::Changes { items, .. } = feed else { panic!("no feed") };
    let feed: Vec<Json> =
        items.iter().map(|item| json!([item.path.to_string(), item.kind, item.version.to_string()])).collect();
    json!({
        "values": values,
        "past": past,
        "feed": feed,
        "members": document(ask(world, node, Request::Members { space: space.clone() })),
        "policies": document(ask(world, node, Request::Policies { space: space.clone() })),
        "conflicts": document(ask(world, node, Request::Conflicts { space: space.clone() })),
    })
}

fn all_rows(disk: &Disk) -> String {
    let mut text = String::new();
    for table in Table::ALL {
        let range = KeyRange { start: Vec::new(), end: vec![0xff; 64] };
        for (key, value) in disk.all(table, range) {
            writeln!(text, "{} {} {}", table.name(), hex(&key), hex(&value)).unwrap();
        }
    }
    text
}

fn disk(text: &str) -> Disk {
    let mut batch = Batch::default();
    for line in text.lines() {
        let mut parts = line.split(' ');
        let name = parts.next().unwrap();
        let table = Table::ALL.into_iter().find(|table| table.name() == name).unwrap();
        let (key, value) = (parts.next().unwrap(), parts.next().unwrap_or_default());
        batch.puts.push((table, bytes(key), bytes(value)));
    }
    let mut disk = Disk::default();
    disk.commit(&batch);
    disk
}

/// The peers of version 1, started in a world of today.
fn woken(peers: usize) -> World {
    let mut world = World::new(9);
    world.run(LATER);
    for peer in 0..peers {
        world.add_with(disk(&read(&format!("rows-{peer}.txt"))));
    }
    world.run(5_000);
    world
}

fn space_of(shown: &Json) -> SpaceRef {
    SpaceRef::Id(shown["space"].as_str().unwrap().to_owned())
}

/// Makes what is not there yet, once.
fn freeze() {
    static FROZEN: std::sync::Once = std::sync::Once::new();
    FROZEN.call_once(freeze_missing);
}

fn freeze_missing() {
    if std::env::var_os("KITH_FREEZE").is_none() || folder().join("shown.json").exists() {
        return;
    }
    std::fs::create_dir_all(folder()).unwrap();
    let mut story = story();
    let mut kept: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for node in [0, 1] {
        story.world.crash(node);
    }
    let rows: Vec<String> = (0..2).map(|node| all_rows(&story.world.nodes[node].disk)).collect();
    for (node, rows) in rows.iter().enumerate() {
        std::fs::write(folder().join(format!("rows-{node}.txt")), rows).unwrap();
    }
    // Everything is said once more to a newcomer.
    let mut world = woken(2);
    world.wire = Some(Vec::new());
    let late = world.add();
    ask(&mut world, late, Request::Join { invite: story.writer_link.clone() });
    world.run(120_000);
    for frame in world.wire.take().unwrap().iter().filter(|frame| frame.len() <= FRAME_BYTES) {
        let of_kind = kept.entry(frame[0]).or_default();
        if of_kind.len() < FRAMES && !of_kind.contains(&hex(frame)) {
            of_kind.push(hex(frame));
        }
    }
    let frames: Vec<String> = kept.into_values().flatten().collect();
    std::fs::write(folder().join("frames.txt"), frames.join("\n") + "\n").unwrap();
    let mut shown = shown(&mut woken(2), 0, &story.space_ref());
    shown["space"] = json!(story.space.id());
    shown["invite"] = json!(story.writer_link);
    std::fs::write(folder().join("shown.json"), serde_json::to_string_pretty(&shown).unwrap() + "\n").unwrap();
}

/// A question and an answer before the logs have come, with entries that version 1 sent.
fn freeze_early() {
    let file = folder().join("frames-early.txt");
    if std::env::var_os("KITH_FREEZE").is_none() || file.exists() {
        return;
    }
    let sent = read("frames.txt");
    let mut parts = sent.lines().filter_map(|line| match Frame::decode(&bytes(line)) {
        Ok(Frame::Parts(space, entries)) => Some((space, entries)),
        _ => None,
    });
    let (space, entries) = parts.next_back().unwrap();
    let path = at("notes/1");
    let from = [path.to_key(), b"title\0".to_vec()].concat();
    let seen = vec![(at("notes").to_key(), from.clone()), (from.clone(), vec![0xff])];
    let frames = [
        Frame::Glance(space, Glance { number: 300, path: path.clone(), each: 64, from: from.clone() }),
        Frame::Glance(space, Glance { number: 0, path: Path::root(), each: 0, from: Vec::new() }),
        Frame::Glimpse(space, Glimpse { number: 300, next: from, seen, entries }),
        Frame::Glimpse(space, Glimpse { number: 0, next: Vec::new(), seen: Vec::new(), entries: Vec::new() }),
    ];
    let lines: Vec<String> = frames.iter().map(|frame| hex(&frame.encode()) + "\n").collect();
    std::fs::write(file, lines.concat()).unwrap();
}

#[test]
fn what_version_1_stored_opens_and_shows_the_same() {
    freeze();
    let kept: Json = serde_json::from_str(&read("shown.json")).unwrap();
    let mut world = woken(2);
    let space = space_of(&kept);
    for node in [0, 1] {
        let now = shown(&mut world, node, &space);
        for (name, value) in now.as_object().unwrap() {
            // In which order things arrived, and who is "me", is each peer's own.
            if node == 0 || !["feed", "members"].contains(&name.as_str()) {
                assert_eq!(value, &kept[name], "{name} at peer {node}");
            }
        }
    }
}

#[test]
fn a_newcomer_of_today_learns_everything_from_version_1() {
    freeze();
    let kept: Json = serde_json::from_str(&read("shown.json")).unwrap();
    let mut world = woken(1);
    let space = space_of(&kept);
    let late = world.add();
    let joined = ask(&mut world, late, Request::Join { invite: kept["invite"].as_str().unwrap().to_owned() });
    assert!(matches!(joined, Reply::Joined(_)), "{joined:?}");
    world.run(120_000);
    let now = shown(&mut world, late, &space);
    assert_eq!(now["values"], kept["values"]);
    assert_eq!(now["conflicts"], kept["conflicts"]);
    assert_eq!(now["policies"], kept["policies"]);
}

#[test]
fn frames_of_version_1_are_read_and_written_the_same() {
    freeze();
    freeze_early();
    let frames = [read("frames.txt"), read("frames-early.txt")].concat();
    let mut kinds: Vec<u8> = Vec::new();
    for line in frames.lines() {
        let raw = bytes(line);
        let frame = Frame::decode(&raw).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(hex(&frame.encode()), line, "{frame:?}");
        kinds.push(raw[0]);
    }
    kinds.dedup();
    for kind in [0, 1, 2, 3, 4, 9, 11, 14, 16, 17] {
        assert!(kinds.contains(&kind), "no frame of kind {kind} is kept");
    }
}

/// A peer that has dropped entries, and what it sends a newcomer of that.
fn freeze_pruned() {
    static FROZEN: std::sync::Once = std::sync::Once::new();
    FROZEN.call_once(|| {
        if std::env::var_os("KITH_FREEZE").is_none() || folder().join("rows-pruned.txt").exists() {
            return;
        }
        let mut story = crate::sim_pruned::dropped_story(1).unwrap();
        for node in 0..3 {
            story.world.crash(node);
        }
        std::fs::write(folder().join("rows-pruned.txt"), all_rows(&story.world.nodes[0].disk)).unwrap();
        let (mut world, late) = (woken_pruned(), 1);
        world.wire = Some(Vec::new());
        world.add();
        ask(&mut world, late, Request::Join { invite: story.writer_link.clone() });
        world.run(120_000);
        let frames: Vec<String> = world
            .wire
            .take()
            .unwrap()
            .iter()
            .filter(|raw| tells_of_pruned(raw))
            .map(|raw| hex(raw) + "\n")
            .take(4)
            .collect();
        std::fs::write(folder().join("frames-pruned.txt"), frames.concat()).unwrap();
        let get = Request::Get { space: story.space_ref(), path: Path::root(), parents: Vec::new() };
        let value = document(ask(&mut woken_pruned(), 0, get));
        // A file of such a space, of a time that is past in browsers, too.
        let mut past = crate::sim_pruned::dropped_in(World::begun(1, 1_700_000_000_000)).unwrap();
        let file = crate::archive::export(&mut past, 0, true).unwrap();
        std::fs::write(folder().join("space-pruned.txt"), hex(&file) + "\n").unwrap();
        let shown = json!({ "space": story.space.id(), "invite": story.writer_link, "value": value });
        std::fs::write(folder().join("shown-pruned.json"), serde_json::to_string_pretty(&shown).unwrap() + "\n")
            .unwrap();
    });
}

fn tells_of_pruned(raw: &[u8]) -> bool {
    match Frame::decode(raw) {
        Ok(Frame::Entries(_, pieces)) => {
            pieces.iter().any(|piece| matches!(piece, Piece::Entry(entry) if entry.pruned().is_some()))
        }
        _ => false,
    }
}

/// That peer, started in a world of today.
fn woken_pruned() -> World {
    let mut world = World::new(9);
    world.run(60 * 24 * LATER);
    world.add_with(disk(&read("rows-pruned.txt")));
    world.run(5_000);
    world
}

#[test]
fn what_dropped_entries_leave_is_read_and_passed_on() {
    freeze_pruned();
    let kept: Json = serde_json::from_str(&read("shown-pruned.json")).unwrap();
    let mut world = woken_pruned();
    let space = space_of(&kept);
    let late = world.add();
    let joined = ask(&mut world, late, Request::Join { invite: kept["invite"].as_str().unwrap().to_owned() });
    assert!(matches!(joined, Reply::Joined(_)), "{joined:?}");
    world.run(120_000);
    for node in [0, late] {
        let get = Request::Get { space: space.clone(), path: Path::root(), parents: Vec::new() };
        let value = document(ask(&mut world, node, get));
        assert_eq!(value[0], kept["value"][0], "at peer {node}");
    }
    let frames = read("frames-pruned.txt");
    assert!(frames.lines().count() > 0);
    for line in frames.lines() {
        assert!(tells_of_pruned(&bytes(line)));
        assert_eq!(hex(&Frame::decode(&bytes(line)).unwrap().encode()), line);
    }
}
