//! Texts as programs use them, in a world of peers.

use kith_core::api::{
    Body, Change, Manner, Merge, Preconditions, Refusal, Reply, Request, RequestId, SubscriptionId, Target, TextChange,
    TextEdit, TextSplice, Update,
};
use kith_core::path::Path;
use kith_core::sim::{NodeId, Story};
use kith_core::version::Version;
use std::collections::VecDeque;

/// How long a program waits for an answer, in milliseconds.
const PATIENCE: u64 = 60_000;

pub(crate) fn at(path: &str) -> Path {
    Path::new(path.split('/')).unwrap()
}

/// A request that edits a text.
pub(crate) fn edit(
    story: &Story,
    path: &str,
    parents: Option<Vec<String>>,
    edit: TextEdit,
    id: Option<&str>,
    client: Option<&str>,
) -> Request {
    Request::Write {
        space: story.space_ref(),
        path: at(path),
        change: Change::Text(TextChange { parents, edit, event: None }),
        conditions: Preconditions::default(),
        manner: Manner { merge: Some(Merge::Text), client: client.map(str::to_owned), ..Manner::default() },
        id: id.map(str::to_owned),
        purge: false,
    }
}

/// Edits a text and gives its version then.
pub(crate) fn edited(story: &mut Story, node: NodeId, request: Request) -> Result<Vec<Version>, String> {
    match story.world.ask_for(node, request, PATIENCE) {
        Some(Reply::Written { version, merge: Merge::Text, .. }) => Ok(version),
        other => Err(format!("the edit was not taken: {other:?}")),
    }
}

/// Makes a text whole.
pub(crate) fn put(story: &mut Story, node: NodeId, path: &str, text: &str) -> Result<Vec<Version>, String> {
    let request = edit(story, path, None, TextEdit::Whole(text.to_owned()), None, None);
    edited(story, node, request)
}

/// The text a peer shows, and its version.
pub(crate) fn text(story: &mut Story, node: NodeId, path: &str) -> Result<(String, Vec<Version>), String> {
    let request = Request::Get { space: story.space_ref(), path: at(path), parents: Vec::new() };
    match story.world.ask_for(node, request, PATIENCE) {
        Some(Reply::Value { body: Body::Bytes { media, bytes }, version, facts, .. })
            if media == "text/plain" && facts.merge == Merge::Text =>
        {
            Ok((String::from_utf8(bytes).map_err(|error| error.to_string())?, version))
        }
        other => Err(format!("peer {node} shows no text at {path}: {other:?}")),
    }
}

/// A text with replacements made; all count in it as it is.
pub(crate) fn spliced(text: &str, splices: &[TextSplice]) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut new, mut upto) = (String::new(), 0);
    for (from, to, put) in splices {
        new.extend(&chars[upto..*from as usize]);
        new.push_str(put);
        upto = *to as usize;
    }
    new.extend(&chars[upto..]);
    new
}

/// An editor as the protocol "simpleton" has it: it shows its own edits at once, sends them under ids of its own, and
/// takes only patches that fit what it shows.
pub(crate) struct Editor {
    pub(crate) node: NodeId,
    pub(crate) path: String,
    name: String,
    pub(crate) text: String,
    /// What it shows, as it names it; nothing before it has been told anything.
    pub(crate) names: Option<Vec<String>>,
    /// Edits that are not taken yet: id, parents, and what changes.
    waiting: VecDeque<(String, Vec<String>, Vec<TextSplice>)>,
    asked: Option<RequestId>,
    subscribing: Option<RequestId>,
    open: Option<SubscriptionId>,
    life: u64,
    edits: u64,
    /// How many patches it was sent, and how many of them fitted.
    pub(crate) patches: (u64, u64),
}

impl Editor {
    pub(crate) fn new(node: NodeId, path: &str, name: &str) -> Editor {
        Editor {
            node,
            path: path.to_owned(),
            name: name.to_owned(),
            text: String::new(),
            names: None,
            waiting: VecDeque::new(),
            asked: None,
            subscribing: None,
            open: None,
            life: 0,
            edits: 0,
            patches: (0, 0),
        }
    }

    /// Whether everything it wrote was taken.
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.names.is_some()
    }

    /// Edits what it shows.
    pub(crate) fn type_in(&mut self, splices: Vec<TextSplice>) {
        let Some(names) = self.names.clone() else { return };
        self.edits += 1;
        let id = format!("{}-{}", self.name, self.edits);
        self.text = spliced(&self.text, &splices);
        self.names = Some(vec![id.clone()]);
        self.waiting.push_back((id, names, splices));
    }

    /// Sends what is to be sent and takes what has come.
    pub(crate) fn go_on(&mut self, story: &mut Story) -> Result<(), String> {
        let life = story.world.life(self.node);
        if !story.world.is_up(self.node) || self.life != life {
            (self.asked, self.subscribing, self.open, self.life) = (None, None, None, life);
        }
        if let Some(reply) = self.asked.and_then(|id| story.world.reply(self.node, id)) {
            self.asked = None;
            match reply {
                Reply::Written { .. } => drop(self.waiting.pop_front()),
                Reply::Refused(Refusal::Unavailable { .. } | Refusal::NoRoom | Refusal::Storage(_)) => {}
                other => return Err(format!("{} was not taken: {other:?}", self.waiting[0].0)),
            }
        }
        if let (None, Some((id, parents, splices))) = (self.asked, self.waiting.front()) {
            let change = TextEdit::Splices(splices.clone());
            let request = edit(story, &self.path, Some(parents.clone()), change, Some(id), Some(&self.name));
            self.asked = story.world.ask(self.node, request);
        }
        self.follow(story)
    }

    fn follow(&mut self, story: &mut Story) -> Result<(), String> {
        if let Some(reply) = self.subscribing.and_then(|id| story.world.reply(self.node, id)) {
            self.subscribing = None;
            match reply {
                Reply::Subscribed(open) => {
                    self.open = Some(open);
                    story.world.pull(self.node, open);
                }
                Reply::Refused(Refusal::Unavailable { .. } | Refusal::Storage(_)) => {}
                other => return Err(format!("{} cannot follow from {:?}: {other:?}", self.name, self.names)),
            }
        }
        // What it names must be known there.
        if self.open.is_none() && self.subscribing.is_none() && self.waiting.is_empty() {
            let (space, path, client) = (story.space_ref(), at(&self.path), Some(self.name.clone()));
            let target = Target::Text { space, path, parents: self.names.clone(), client, events: false };
            self.subscribing = story.world.ask(self.node, Request::Subscribe(target));
        }
        while let Some(open) = self.open {
            let Some(update) = story.world.update(self.node, open) else { break };
            self.take(update)?;
            if self.open.is_some() {
                story.world.pull(self.node, open);
                story.world.run(5);
            }
        }
        Ok(())
    }

    fn take(&mut self, update: Update) -> Result<(), String> {
        let names = |version: &[Version]| Some(version.iter().map(Version::to_string).collect::<Vec<_>>());
        match update {
            Update::Value { body: Some(Body::Bytes { bytes, .. }), version, .. } if self.waiting.is_empty() => {
                self.text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
                self.names = names(&version);
            }
            Update::Text { splices, version, parents } => {
                self.patches.0 += 1;
                // What was sent before its own edit was known does not fit any more.
                if self.names.as_ref() == Some(&parents) {
                    self.patches.1 += 1;
                    self.text = spliced(&self.text, &splices);
                    self.names = names(&version);
                }
            }
            Update::End(_) => self.open = None,
            other => return Err(format!("{} was told {other:?}", self.name)),
        }
        Ok(())
    }
}
