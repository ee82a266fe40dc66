//! Entries nobody honest writes: bodies of every kind of value, crafted to be wrong in every way we can think of, and
//! right ones among them, so that the wrong ones have something to hit.

use kith_core::codec::Writer;
use kith_core::document::kind::authors::Covers;
use kith_core::document::kind::list::{self, Action, Hook, Id, Ref};
use kith_core::document::kind::{counter, member, mv, tag};
use kith_core::document::{Leaf, redaction};
use kith_core::identity::PublicKey;
use kith_core::path::Path;
use kith_core::sim::Dice;
use kith_core::version::Agent;
use kith_text::{Algorithm, Edit, TextOp, Version};
use std::collections::BTreeMap;

/// What is counted of all that was tried, by name; each must have been.
pub(crate) type Tried = BTreeMap<&'static str, u64>;

/// Kinds of parts of an op.
pub(crate) const PARTS: [&str; 11] =
    ["lww", "mv", "counter", "set", "list", "object", "move", "text", "policy", "redaction", "later kind of value"];

/// What is wrong with them.
pub(crate) const WRONGS: [&str; 10] = [
    "out of range",
    "parents unsorted",
    "parents in the future",
    "parents unknown",
    "concurrent with itself",
    "huge",
    "deep",
    "chained from the root",
    "part with changed bytes",
    "part of a set or list moved",
];

/// Who writes, and what is known of everybody.
pub(crate) struct Scene {
    pub(crate) me: Agent,
    pub(crate) seq: u64,
    pub(crate) logs: Vec<(PublicKey, u64)>,
    /// The operations on each text so far.
    pub(crate) texts: Vec<Vec<Version>>,
}

fn note(tried: &mut Tried, what: &'static str) {
    *tried.entry(what).or_default() += 1;
}

/// The places attacks are about.
pub(crate) const PLACES: [&str; 16] = [
    "evil",
    "evil/lww/a",
    "evil/lww/b",
    "evil/mv/a",
    "evil/mv/b",
    "evil/n",
    "evil/set",
    "evil/list/a",
    "evil/list/b",
    "evil/object",
    "evil/object/a",
    "evil/object/a/b",
    "evil/text/a",
    "evil/text/b",
    "evil/there",
    "evil/there/too",
];

fn key(path: &str) -> Vec<u8> {
    path.split('/').flat_map(|name| name.bytes().chain([0])).collect()
}

fn place<'a>(dice: &mut Dice, usual: &[&'a str]) -> &'a str {
    if dice.once_in(12) { PLACES[dice.below(16) as usize] } else { usual[dice.below(usual.len() as u64) as usize] }
}

/// One part of an op, mostly of this kind of value.
pub(crate) fn part(dice: &mut Dice, kind: &'static str, scene: &mut Scene, tried: &mut Tried) -> Vec<u8> {
    note(tried, kind);
    let (path, leaf) = match kind {
        "lww" => (place(dice, &["evil/lww/a", "evil/lww/b"]), plain(dice, tried)),
        "mv" => {
            (place(dice, &["evil/mv/a", "evil/mv/b"]), Leaf::Kind { tag: tag::MV, body: values(dice, scene, tried) })
        }
        "counter" => (place(dice, &["evil/n"]), Leaf::Kind { tag: tag::COUNTER, body: sums(dice, scene, tried) }),
        "set" => return set(dice, scene, tried),
        "list" => (place(dice, &["evil/list/a", "evil/list/b"]), listed(dice, scene, tried)),
        "object" => return object(dice, tried),
        "move" => return moved(dice, scene, tried),
        "text" => {
            let which = dice.below(2) as usize;
            let body = text(dice, which, scene, tried);
            (place(dice, &[["evil/text/a", "evil/text/b"][which]]), Leaf::Kind { tag: tag::TEXT, body })
        }
        "policy" => return policy(dice),
        "redaction" => return redacted(dice, scene, tried),
        _ => {
            let body = (0..dice.below(40)).map(|_| dice.number() as u8).collect();
            (place(dice, &PLACES), Leaf::Kind { tag: 12 + dice.below(240) as u8, body })
        }
    };
    said(&key(path), &leaf)
}

fn said(key: &[u8], leaf: &Leaf) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.bytes(key);
    leaf.encode(&mut writer);
    writer.finish()
}

fn json(dice: &mut Dice, tried: &mut Tried) -> Vec<u8> {
    match dice.below(300) {
        0 => {
            note(tried, "huge");
            format!("\"{}\"", "h".repeat(1 << (14 + dice.below(7)))).into_bytes()
        }
        1..6 => {
            note(tried, "deep");
            let depth = [60, 63, 64, 65, 127, 128, 129, 10_000][dice.below(8) as usize];
            [b"[".repeat(depth), b"]".repeat(depth)].concat()
        }
        6..20 => b"{\"a\":{\"b\":[1,{\"c\":null}]}}".to_vec(),
        20..30 => b"{\"a\":1,\"a\":2}".to_vec(),
        30..50 => {
            [&b"nul"[..], b"\"\xff\"", b"1e999999", b"-0", b"", b" 1", b"[1,]", b"18446744073709551616", b"\"\\ud800\""]
                [dice.below(9) as usize]
                .to_vec()
        }
        n => format!("\"{n}\"").into_bytes(),
    }
}

fn plain(dice: &mut Dice, tried: &mut Tried) -> Leaf {
    match dice.below(8) {
        0 => Leaf::Deleted,
        1 => Leaf::Object,
        2 => Leaf::Bytes { media: "m/".repeat(dice.below(200) as usize), bytes: vec![7; dice.below(100) as usize] },
        _ => Leaf::Json(json(dice, tried)),
    }
}

/// An entry to point at: there, one's own, yet to come, of nobody.
fn some(dice: &mut Dice, scene: &Scene, tried: &mut Tried) -> (Agent, u64) {
    let (log, len) = scene.logs[dice.below(scene.logs.len() as u64) as usize];
    match dice.below(12) {
        0 => {
            note(tried, "parents in the future");
            (Agent::of(&log.0), len + dice.below(5))
        }
        1 => (scene.me, scene.seq),
        2 => {
            note(tried, "out of range");
            (Agent::of(&log.0), u64::MAX - dice.below(2))
        }
        3 => {
            note(tried, "parents unknown");
            (Agent([dice.number() as u8; 10]), dice.below(9))
        }
        _ => (Agent::of(&log.0), dice.below(len.max(1))),
    }
}

/// What is covered, in order or not: written by hand, so that it can be wrong.
fn covers(dice: &mut Dice, scene: &Scene, tried: &mut Tried) -> Vec<u8> {
    let mut all: Vec<(Agent, u64)> = (0..dice.below(4)).map(|_| some(dice, scene, tried)).collect();
    if dice.once_in(10) && all.len() > 1 {
        note(tried, "parents unsorted");
    } else {
        all = all.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect();
    }
    let mut writer = Writer::new();
    let count = if dice.once_in(200) { u64::MAX >> dice.below(64) } else { all.len() as u64 };
    writer.number(count);
    for (agent, seq) in all {
        writer.fixed(&agent.0).number(seq);
    }
    writer.finish()
}

fn values(dice: &mut Dice, scene: &Scene, tried: &mut Tried) -> Vec<u8> {
    if dice.once_in(6) {
        return mv::Act::Delete(Covers([some(dice, scene, tried)].into_iter().collect())).encode();
    }
    let content = mv::Act::Put(Covers::default(), mv::Content::Json(json(dice, tried))).encode();
    [&[0], &covers(dice, scene, tried)[..], &content[2..]].concat()
}

fn sums(dice: &mut Dice, scene: &Scene, tried: &mut Tried) -> Vec<u8> {
    let any = |dice: &mut Dice| match dice.below(6) {
        0 => i64::MAX,
        1 => i64::MIN,
        _ => dice.below(20) as i64 - 10,
    };
    if dice.once_in(3) {
        let mut seen: Vec<(Agent, u64, i64)> = (0..dice.below(4))
            .map(|_| {
                let (agent, seq) = some(dice, scene, tried);
                (agent, seq, any(dice))
            })
            .collect();
        if !dice.once_in(5) {
            seen.sort_unstable_by_key(|(agent, ..)| *agent);
            seen.dedup_by_key(|(agent, ..)| *agent);
        }
        return counter::Act::Delete(seen).encode();
    }
    counter::Act::Add(any(dice)).encode()
}

fn set(dice: &mut Dice, scene: &Scene, tried: &mut Tried) -> Vec<u8> {
    let at = key(place(dice, &["evil/set"]));
    if dice.once_in(6) {
        let body = if dice.once_in(4) { b"more than nothing".to_vec() } else { Vec::new() };
        return said(&at, &Leaf::Kind { tag: tag::SET, body });
    }
    let text = json(dice, tried);
    let name = if dice.once_in(8) { "#0".repeat(32) } else { member::name(&text) };
    let at = [&at[..], name.replace('\0', "?").as_bytes(), &[0]].concat();
    let extra = if dice.once_in(3) { text } else { Vec::new() };
    let body = if dice.once_in(3) {
        [&[1], &covers(dice, scene, tried)[..]].concat()
    } else {
        let mut writer = Writer::new();
        writer.u8(0).fixed(&covers(dice, scene, tried)).bytes(&extra);
        writer.finish()
    };
    said(&at, &Leaf::Kind { tag: tag::MEMBER, body })
}

fn listed(dice: &mut Dice, scene: &Scene, tried: &mut Tried) -> Leaf {
    if dice.once_in(30) {
        return Leaf::Kind { tag: tag::ELEMENT, body: Vec::new() };
    }
    let at = |dice: &mut Dice, tried: &mut Tried| {
        if dice.once_in(3) {
            return Ref::Here(if dice.once_in(4) { u32::MAX - dice.below(2) as u32 } else { dice.below(4) as u32 });
        }
        let (agent, seq) = some(dice, scene, tried);
        Ref::There(Id { agent, seq, index: if dice.once_in(20) { u32::MAX } else { dice.below(3) as u32 } })
    };
    let hook = |dice: &mut Dice, tried: &mut Tried| match dice.below(3) {
        0 => Hook::Start,
        1 => Hook::Left(at(dice, tried)),
        _ => Hook::Right(at(dice, tried)),
    };
    let actions = (0..1 + dice.below(4))
        .map(|_| match dice.below(8) {
            0 => {
                let count = if dice.once_in(4) { u32::MAX >> dice.below(32) } else { 1 };
                if count > 4 {
                    note(tried, "out of range");
                }
                Action::Delete(at(dice, tried), count)
            }
            1 | 2 => Action::Move(at(dice, tried), hook(dice, tried)),
            3 => Action::Replace(at(dice, tried), json(dice, tried)),
            _ => Action::Insert(hook(dice, tried), (0..1 + dice.below(3)).map(|_| json(dice, tried)).collect()),
        })
        .collect();
    Leaf::Kind { tag: tag::LIST, body: list::Act(actions).encode() }
}

fn object(dice: &mut Dice, tried: &mut Tried) -> Vec<u8> {
    if dice.once_in(4) {
        note(tried, "deep");
        let depth = 28 + dice.below(8) as usize;
        let at = format!("evil/object/{}", vec!["d"; depth].join("/"));
        return said(&key(&at), &plain(dice, tried));
    }
    if dice.once_in(6) {
        note(tried, "chained from the root");
        let leaf =
            [Leaf::Object, Leaf::Deleted, Leaf::Json(b"1".to_vec()), Leaf::Kind { tag: tag::LIST, body: vec![0] }];
        return said(&[], &leaf[dice.below(4) as usize]);
    }
    if dice.once_in(12) {
        let odd: [&[u8]; 6] = [b"evil", b"\0", b"evil\0\0", b"$space\0name\0", b"$else\0", b"\xff\0"];
        return said(odd[dice.below(6) as usize], &Leaf::Object);
    }
    let at = place(dice, &["evil/object", "evil/object/a", "evil/object/a/b"]);
    let leaf = if dice.once_in(2) { Leaf::Object } else { plain(dice, tried) };
    said(&key(at), &leaf)
}

fn moved(dice: &mut Dice, scene: &Scene, tried: &mut Tried) -> Vec<u8> {
    let usual =
        ["evil/object/a", "evil/object", "evil/there", "evil/there/too", "evil/lww/a", "evil/list/a", "evil/text/a"];
    let part = match dice.below(6) {
        0 => Some([&key("evil/set")[..], &json(dice, tried), &[0]].concat()),
        1 => {
            let (agent, seq) = some(dice, scene, tried);
            let id = Id { agent, seq, index: dice.below(3) as u32 };
            Some([&key("evil/list/a")[..], id.name().as_bytes(), &[0]].concat())
        }
        _ => None,
    };
    if part.is_some() {
        note(tried, "part of a set or list moved");
    }
    let from = place(dice, &usual);
    let to = match dice.below(8) {
        0 => {
            note(tried, "chained from the root");
            Vec::new()
        }
        1 => key(from),
        2 => [&key(from)[..], b"below\0"].concat(),
        3 => b"no path".to_vec(),
        _ => key(place(dice, &usual)),
    };
    let from = if dice.once_in(12) { Vec::new() } else { part.unwrap_or_else(|| key(from)) };
    said(&from, &Leaf::Kind { tag: tag::MOVE, body: to })
}

fn text(dice: &mut Dice, which: usize, scene: &mut Scene, tried: &mut Tried) -> Vec<u8> {
    let named = |agent: Agent, seq| Version { agent: kith_text::Agent(agent.0), seq };
    let own = named(scene.me, scene.seq);
    let known = &scene.texts[which];
    let mut parents: Vec<Version> = known.last().copied().into_iter().collect();
    match dice.below(10) {
        0 => {
            if !parents.is_empty() {
                note(tried, "chained from the root");
            }
            parents.clear();
        }
        1 | 2 => {
            parents = dice.pick(known).copied().into_iter().collect();
            if known.iter().any(|version| version.agent == own.agent && parents.iter().all(|p| p.agent != own.agent)) {
                note(tried, "concurrent with itself");
            }
        }
        3 => parents.extend((0..1 + dice.below(3)).map(|_| {
            let (agent, seq) = some(dice, scene, tried);
            named(agent, seq)
        })),
        4 => parents.extend(dice.pick(known).copied()),
        _ => {}
    }
    parents.sort_unstable();
    if parents.len() > 1 && dice.once_in(3) {
        note(tried, "parents unsorted");
        parents.reverse();
    } else {
        parents.dedup();
    }
    let far = |dice: &mut Dice, tried: &mut Tried| match dice.below(12) {
        0 => {
            note(tried, "out of range");
            u32::MAX - dice.below(2) as u32
        }
        1 => 1 << dice.below(32),
        _ => dice.below(3) as u32,
    };
    let edits = (0..dice.below(30).min(2) + u64::from(!dice.once_in(30)))
        .map(|_| match dice.below(6) {
            0 => Edit::Delete { pos: far(dice, tried), len: far(dice, tried) },
            1 => Edit::Insert { pos: far(dice, tried), text: "a𝒷c".repeat(dice.below(4) as usize) },
            _ => Edit::Insert { pos: 0, text: "x".to_owned() },
        })
        .collect();
    scene.texts[which].push(own);
    TextOp { algorithm: Algorithm::DiamondTypes1, parents, edits }.encode()
}

fn policy(dice: &mut Dice) -> Vec<u8> {
    let prefixes = ["/", "/evil", "/evil/mv", "/evil/list", "evil", "/evil//mv", "/%", ""];
    let at = format!("$policy/{}", prefixes[dice.below(8) as usize].replace('/', "\u{1}"));
    let at = key(&at).into_iter().map(|byte| if byte == 1 { b'/' } else { byte }).collect::<Vec<u8>>();
    let documents = [
        r#"{"kind":"mv","tie":"first"}"#,
        r#"{"kind":"mv","tie":"role"}"#,
        r#"{"kind":"list"}"#,
        r#"{"kind":"lww","tie":"first"}"#,
        r#"{"kind":"later"}"#,
        r#"{"retention":{"history":"none"}}"#,
        r#"{"retention":{"history":"99999999999999999999d"}}"#,
        r#"[]"#,
        "{",
    ];
    let bytes = documents[dice.below(9) as usize].as_bytes().to_vec();
    let media = if dice.once_in(6) { "text/plain" } else { kith_core::document::policy::MEDIA };
    let leaf = match dice.below(8) {
        0 => Leaf::Deleted,
        1 => Leaf::Json(b"1".to_vec()),
        _ => Leaf::Bytes { media: media.to_owned(), bytes },
    };
    said(&at, &leaf)
}

fn redacted(dice: &mut Dice, scene: &Scene, tried: &mut Tried) -> Vec<u8> {
    let targets: Vec<redaction::Target> = (0..1 + dice.below(4))
        .map(|_| {
            let (log, len) = scene.logs[dice.below(scene.logs.len() as u64) as usize];
            let seq = match dice.below(5) {
                0 => {
                    note(tried, "out of range");
                    u64::MAX
                }
                1 => len + dice.below(3),
                _ => dice.below(len.max(1)),
            };
            let log = if dice.once_in(8) { PublicKey([3; 32]) } else { log };
            redaction::Target {
                log,
                seq,
                parts: (0..1 + dice.below(3))
                    .map(|_| if dice.once_in(6) { 20_000 } else { dice.below(3) as usize })
                    .collect(),
            }
        })
        .collect();
    redaction::encode(&targets)
}

/// Changes some bytes.
pub(crate) fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..1 + dice.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len() as u64) as usize;
        match dice.below(5) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, dice.number() as u8),
            3 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5) as usize],
            _ => drop(bytes.remove(at)),
        }
    }
}

/// The parts of one op.
pub(crate) fn parts(dice: &mut Dice, scene: &mut Scene, tried: &mut Tried) -> Vec<Vec<u8>> {
    let kind = PARTS[dice.below(PARTS.len() as u64) as usize];
    let count = if dice.once_in(5) { 1 + dice.below(4) } else { 1 };
    (0..count)
        .map(|_| {
            let mut part = part(dice, kind, scene, tried);
            if dice.once_in(8) {
                note(tried, "part with changed bytes");
                mutate(dice, &mut part);
            }
            part
        })
        .collect()
}

/// The path of a place.
pub(crate) fn path(text: &str) -> Path {
    Path::new(text.split('/')).unwrap()
}
