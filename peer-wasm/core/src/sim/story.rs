//! Stories: a group of peers in one space through good and bad weather, and what must be true in the end.

use super::ledger::{Outcome, Promise};
use super::remains::Remembered;
use super::{Ledger, NodeId, Weather, World};
use crate::api::{Body, Change, Manner, Preconditions, Refusal, Reply, Request, Role, SpaceRef};
use crate::document::ViewRow;
use crate::identity::PublicKey;
use crate::path::Path;
use crate::peer::Input;
use crate::rows::Rows;
use crate::version::Version;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// How long a program waits for an answer in fair weather, in milliseconds.
const PATIENCE: u64 = 60_000;
/// How many fields peers fight over.
const SHARED: u64 = 8;

/// A group of peers in one space.
pub struct Story {
    /// The world they live in.
    pub world: World,
    /// The writes they asked for.
    pub ledger: Ledger,
    /// The space they share.
    pub space: PublicKey,
    /// A link that lets its holder write.
    pub writer_link: String,
    /// A link that lets its holder read.
    pub reader_link: String,
    /// The peers that were asked to join, with their roles; the first is the founder.
    pub members: Vec<(NodeId, Role)>,
    written: u64,
}

impl Story {
    /// A world with `peers` peers, of which the first founds a space. Nobody has joined yet.
    pub fn begin(seed: u64, peers: usize) -> Result<Story, String> {
        Story::begin_in(World::new(seed), peers)
    }

    /// The same in a world that exists already, without peers.
    pub fn begin_in(mut world: World, peers: usize) -> Result<Story, String> {
        for _ in 0..peers {
            let node = world.add();
            world.input(node, Input::Relays(vec!["/ip4/127.0.0.1/tcp/1/ws".to_owned()]));
        }
        let created = world.ask_for(0, Request::CreateSpace { name: "Story".to_owned() }, PATIENCE);
        let Some(Reply::SpaceCreated { id, .. }) = created else { return Err(format!("no space: {created:?}")) };
        let space = PublicKey::from_id(&id).ok_or("the space's id is no key")?;
        let mut links = Vec::new();
        for role in [Role::Writer, Role::Reader] {
            let request = Request::Invite {
                space: SpaceRef::Id(id.clone()),
                role,
                app: "/board/".to_owned(),
                origin: "https://example.org".to_owned(),
            };
            match world.ask_for(0, request, PATIENCE) {
                Some(Reply::Invited(document)) => {
                    links.push(document.get("url").and_then(Json::as_str).unwrap_or_default().to_owned());
                }
                other => return Err(format!("no invite: {other:?}")),
            }
        }
        let (writer_link, reader_link) = (links.remove(0), links.remove(0));
        let members = vec![(0, Role::Owner)];
        Ok(Story { world, ledger: Ledger::default(), space, writer_link, reader_link, members, written: 0 })
    }

    /// A world whose peers have all joined, as writers.
    pub fn joined(seed: u64, peers: usize) -> Result<Story, String> {
        let mut story = Story::begin(seed, peers)?;
        for node in 1..peers {
            story.ask_to_join(node, Role::Writer);
        }
        story.settle(300_000)?;
        Ok(story)
    }

    /// The space, as requests name it.
    pub fn space_ref(&self) -> SpaceRef {
        SpaceRef::Id(self.space.id())
    }

    /// Adds a peer that joins the space as a writer.
    pub fn newcomer(&mut self) -> NodeId {
        let node = self.world.add();
        self.ask_to_join(node, Role::Writer);
        node
    }

    /// Lets a peer open an invite. The answer is not waited for: joining goes on by itself.
    pub fn ask_to_join(&mut self, node: NodeId, role: Role) {
        let invite = if role == Role::Reader { self.reader_link.clone() } else { self.writer_link.clone() };
        self.world.ask(node, Request::Join { invite });
        if !self.members.iter().any(|(member, _)| *member == node) {
            self.members.push((node, role));
        }
    }

    /// Asks a peer to write, without waiting for the answer. Gives the promise's number.
    pub fn write(&mut self, node: NodeId, path: &str, value: Json, own_path: bool) -> usize {
        let promise = Promise {
            node,
            path: path.to_owned(),
            value,
            id: format!("w{}", self.ledger.promises.len()),
            own_path,
            outcome: Outcome::Open,
            waiting: None,
        };
        self.ledger.promises.push(promise);
        let number = self.ledger.promises.len() - 1;
        self.try_write(number);
        number
    }

    fn try_write(&mut self, number: usize) {
        let space = self.space_ref();
        let Some(promise) = self.ledger.promises.get_mut(number) else { return };
        let Ok(path) = Path::new(promise.path.split('/')) else { return };
        // Shared fields are reached both as places of their own and as members of one object.
        let merge = !promise.own_path && number.is_multiple_of(2);
        let (path, change) = match (merge, path.parent(), path.segments().last()) {
            (true, Some(parent), Some(name)) => {
                (parent, Change::MergePatch(json!({ name.as_str(): promise.value.clone() })))
            }
            _ => (path, Change::Put(Body::Json(promise.value.clone()))),
        };
        let request = Request::Write {
            space,
            path,
            change,
            conditions: Preconditions::default(),
            manner: Manner::default(),
            id: Some(promise.id.clone()),
            purge: false,
        };
        promise.waiting = self.world.ask(promise.node, request);
    }

    /// A write to a path of its own.
    pub fn write_own(&mut self, node: NodeId) -> usize {
        self.written += 1;
        let number = self.written;
        self.write(node, &format!("log/{number}"), json!({ "by": node, "number": number }), true)
    }

    /// A write to one of a few fields that everybody writes to.
    pub fn write_shared(&mut self, node: NodeId) -> usize {
        self.written += 1;
        let number = self.written;
        let field = self.world.dice.below(SHARED);
        self.write(node, &format!("shared/f{field}"), json!(format!("{node}/{number}")), false)
    }

    /// Deletes one of the shared fields, or makes it something else, so that objects and scalars meet.
    pub fn disturb_shared(&mut self, node: NodeId) {
        let field = self.world.dice.below(SHARED);
        let space = self.space_ref();
        self.written += 1;
        let (path, change) = match self.world.dice.below(4) {
            0 => (vec!["shared".to_owned()], Change::Put(Body::Json(json!(self.written)))),
            1 => (
                vec!["shared".to_owned(), format!("f{field}")],
                Change::Put(Body::Json(json!({ "deep": { "er": self.written } }))),
            ),
            _ => (vec!["shared".to_owned(), format!("f{field}")], Change::Delete),
        };
        if let Ok(path) = Path::new(path) {
            self.world.ask(
                node,
                Request::Write {
                    space,
                    path,
                    change,
                    conditions: Preconditions::default(),
                    manner: Manner::default(),
                    id: None,
                    purge: false,
                },
            );
        }
    }

    /// Takes in the answers that have come.
    pub fn collect(&mut self) {
        for number in 0..self.ledger.promises.len() {
            let Some((node, id)) = self.ledger.promises.get(number).and_then(|p| Some((p.node, p.waiting?))) else {
                continue;
            };
            if let Some(reply) = self.world.reply(node, id) {
                self.ledger.answered(number, &reply);
            }
        }
    }

    /// One random thing happens to one random peer.
    pub fn adventure(&mut self) {
        let all: Vec<NodeId> = self.members.iter().map(|(node, _)| *node).collect();
        let Some(node) = self.world.dice.pick(&all).copied() else { return };
        match self.world.dice.below(20) {
            0..=6 => drop(self.write_own(node)),
            7..=11 => drop(self.write_shared(node)),
            12 => self.disturb_shared(node),
            13 | 14 => {
                let Some(other) = self.world.dice.pick(&all).copied() else { return };
                self.world.connect(node, other);
            }
            15 | 16 => {
                let delay = self.world.dice.within((100, 60_000));
                self.crash(node);
                self.world.start_after(node, delay);
            }
            17 => {
                let (parts, salt) = (1 + self.world.dice.below(4), self.world.dice.number());
                self.world.divide(|node| (node as u64).wrapping_mul(salt | 1).rotate_left(17) % parts);
            }
            18 => self.world.unite(),
            _ => {
                let weather = if self.world.dice.once_in(2) { Weather::FAIR } else { Weather::STORM };
                self.world.weather = weather;
            }
        }
        let pause = self.world.dice.within((0, 3_000));
        self.world.run(pause);
        self.collect();
    }

    /// A peer dies in the middle of what it does; answers under way are lost.
    pub fn crash(&mut self, node: NodeId) {
        self.collect();
        self.world.crash(node);
        for promise in self.ledger.promises.iter_mut().filter(|promise| promise.node == node) {
            promise.waiting = None;
        }
    }

    /// The programs whose writes got no answer ask again, with the same ids.
    pub fn ask_again(&mut self) {
        for number in 0..self.ledger.promises.len() {
            let open =
                self.ledger.promises.get(number).is_some_and(|p| p.outcome == Outcome::Open && p.waiting.is_none());
            if open {
                self.try_write(number);
            }
        }
    }

    /// The weather clears, everybody is up and can reach everybody.
    pub fn calm(&mut self) {
        self.world.weather = Weather::FAIR;
        for node in 0..self.world.nodes.len() {
            self.world.start(node);
        }
        self.world.unite();
        self.world.run(1_000);
        self.collect();
    }

    /// Lets time pass until all members show the same, at most `limit` milliseconds.
    pub fn settle(&mut self, limit: u64) -> Result<(), String> {
        let deadline = self.world.now().saturating_add(limit);
        let mut last = String::new();
        while self.world.now() < deadline {
            self.world.run(5_000);
            self.collect();
            match self.alike() {
                Ok(()) => return Ok(()),
                Err(difference) => last = difference,
            }
        }
        Err(format!("not alike after {limit} ms: {last}"))
    }

    /// What a peer shows of the space.
    pub fn tree(&mut self, node: NodeId) -> Result<(Json, Vec<Version>), String> {
        let request = Request::Get { space: self.space_ref(), path: Path::root(), parents: Vec::new() };
        match self.world.ask_for(node, request, PATIENCE) {
            Some(Reply::Value { body: Body::Json(json), version, .. }) => Ok((json, version)),
            Some(Reply::Refused(Refusal::NotFound)) => Ok((Json::Null, Vec::new())),
            // Nobody shows all of it at once; what is below has to be the same.
            Some(Reply::Refused(Refusal::TooLarge { limit, .. })) => Ok((Json::from(limit), Vec::new())),
            other => Err(format!("peer {node} does not show the space: {other:?}")),
        }
    }

    /// Whether all members show the same tree and have the same rows under it, and the same history.
    pub fn alike(&mut self) -> Result<(), String> {
        let mut first: Option<((Json, Vec<Version>), Rows)> = None;
        for (node, _) in self.members.clone() {
            let shown = (self.tree(node)?, self.rows(node));
            match &first {
                None => first = Some(shown),
                Some(first) if *first == shown => {}
                Some(first) => {
                    let text = |(key, row): &(Vec<u8>, Vec<u8>)| {
                        format!("{} {:?}", String::from_utf8_lossy(key), ViewRow::decode(row))
                    };
                    let only = |one: &Rows, other: &Rows| -> Vec<String> {
                        one.iter().filter(|row| !other.contains(row)).map(text).take(8).collect()
                    };
                    return Err(format!(
                        "peer {node} differs from peer 0 ({} and {} rows; versions {:?} and {:?}); only here {:?}, only there {:?}",
                        shown.1.len(),
                        first.1.len(),
                        shown.0.1,
                        first.0.1,
                        only(&shown.1, &first.1),
                        only(&first.1, &shown.1),
                    ));
                }
            }
        }
        self.have_the_same_history()
    }

    fn have_the_same_history(&self) -> Result<(), String> {
        let mut first: Option<Vec<Remembered>> = None;
        for (node, _) in &self.members {
            let history = self.history(*node);
            match &first {
                None => first = Some(history),
                Some(first) if *first == history => {}
                Some(first) => {
                    let lengths = (history.len(), first.len());
                    let differs = history.iter().zip(first).find(|(a, b)| a != b);
                    return Err(format!("peer {node} remembers otherwise than peer 0: {lengths:?} rows, {differs:?}"));
                }
            }
        }
        Ok(())
    }

    /// How often each path appears in a peer's feed of changes.
    pub fn feed(&mut self, node: NodeId) -> Result<BTreeMap<String, usize>, String> {
        let mut seen = BTreeMap::new();
        let mut since = None;
        loop {
            let request = Request::Changes { space: self.space_ref(), since: since.clone(), limit: 100 };
            match self.world.ask_for(node, request, PATIENCE) {
                Some(Reply::Changes { items, next }) => {
                    if since.as_ref() == Some(&next) {
                        return Ok(seen);
                    }
                    for item in items {
                        *seen.entry(item.path.to_string()).or_default() += 1;
                    }
                    since = Some(next);
                }
                other => return Err(format!("peer {node} gives no feed: {other:?}")),
            }
        }
    }

    /// Checks, once all is settled, that promises were kept: nothing acknowledged is lost, nothing happened twice,
    /// nothing refused happened, and shared fields hold what somebody wrote.
    pub fn check(&mut self) -> Result<(), String> {
        self.collect();
        self.alike()?;
        let (tree, _) = self.tree(0)?;
        let promises = self.ledger.promises.clone();
        for (node, _) in self.members.clone() {
            let feed = self.feed(node)?;
            for promise in promises.iter().filter(|promise| promise.own_path) {
                // An object is one change for itself and one for each member; its own marker counts here.
                let times = feed.get(&promise.path).copied().unwrap_or(0);
                let right = match promise.outcome {
                    Outcome::Kept => times == 1,
                    Outcome::Open => times <= 1,
                    Outcome::Refused(_) => times == 0,
                };
                if !right {
                    return Err(format!("peer {node} has seen {times} times: {promise:?}"));
                }
            }
        }
        for promise in promises.iter().filter(|promise| promise.own_path && promise.outcome == Outcome::Kept) {
            let found = promise.path.split('/').try_fold(&tree, |at, name| at.get(name));
            if found != Some(&promise.value) {
                return Err(format!("lost: {promise:?}; there is {found:?}"));
            }
        }
        if let Some(shared) = tree.get("shared").and_then(Json::as_object) {
            for (name, value) in shared {
                let path = format!("shared/{name}");
                let written = promises.iter().any(|p| p.path == path && p.value == *value);
                // Of an object written by one peer while another deletes what it saw there, the object itself may be
                // all that is left.
                let object = value.get("deep").is_some() || *value == json!({});
                if !written && !object {
                    return Err(format!("nobody wrote {value} to {path}"));
                }
            }
        }
        Ok(())
    }
}
