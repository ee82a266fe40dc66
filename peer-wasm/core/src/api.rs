//! What can be asked of a peer and what it answers: the words shared by the core and its HTTP face.

mod presence;
mod refusal;
mod reply;
mod request;
mod text;

pub use crate::document::Merge;
pub use kith_text::event_name;
pub use presence::{MAX_CLIENT_BYTES, MAX_SELECTIONS, MAX_SELECTIONS_BYTES, Selections, is_client};
pub use refusal::Refusal;
pub use reply::Reply;
pub use request::Request;
pub use text::{TextChange, TextEdit, TextEvent, TextSplice};

use crate::path::Path;
use crate::version::Version;
use serde_json::Value as Json;

/// Names one request until its reply. Chosen by the caller, never reused while open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names one open subscription. Chosen by the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// Which space a request is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SpaceRef {
    /// `me`: the user's own private space.
    Me,
    /// A space by its id, as in the URL.
    Id(String),
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Reader,
    /// Reads and writes.
    Writer,
    /// Reads, writes and invites.
    Owner,
}

impl Role {
    /// The role's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Writer => "writer",
            Role::Owner => "owner",
        }
    }

    /// The role with this name.
    pub fn from_name(name: &str) -> Option<Role> {
        [Role::Reader, Role::Writer, Role::Owner].into_iter().find(|role| role.name() == name)
    }
}

/// A value as programs see it.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A JSON value.
    Json(Json),
    /// Bytes of any other media type.
    Bytes {
        /// The media type given by the writer, e.g. `image/png`.
        media: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// How a write changes the value at its path.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Replace what the writer sees there.
    Put(Body),
    /// RFC 7396 JSON Merge Patch.
    MergePatch(Json),
    /// RFC 6902 JSON Patch, as parsed JSON (still to be checked).
    JsonPatch(Json),
    /// Braid range patches: `(range, replacement)`, e.g. `.tags[0:0]` and `["hot"]`; an empty replacement deletes.
    Ranges(Vec<(String, Option<Json>)>),
    /// Remove the value and everything below it.
    Delete,
    /// Add this number to a counter.
    Increment(Json),
    /// Add and remove members of a set. What is in both is added.
    Set {
        /// The members to add.
        add: Vec<Json>,
        /// The members to remove.
        remove: Vec<Json>,
    },
    /// Edit a text, or make one.
    Text(TextChange),
}

/// What a writer says of a write besides the change itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// `Merge-Type`: how concurrent writes to the value are merged from now on; `None` keeps what it is.
    pub merge: Option<Merge>,
    /// `Parents`: what the writer had seen; `None` is what this peer shows now. It matters where every concurrent
    /// value is kept.
    pub seen: Option<Vec<Version>>,
    /// `Peer`: the client's own name. A subscription to a text under the same name then goes on from this write.
    pub client: Option<String>,
}

/// Conditions checked against this peer's state just before a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// `If-Match`: one of these ETags must be current. `Some(vec![])` stands for `*`: anything must exist.
    pub if_match: Option<Vec<String>>,
    /// `If-None-Match`: none of these may be current. `Some(vec![])` stands for `*`: nothing may exist.
    pub if_none_match: Option<Vec<String>>,
}

/// A listing of the children of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// First key wanted (inclusive).
    pub start: Option<String>,
    /// First key not wanted.
    pub end: Option<String>,
    /// At most this many items (1..=1000).
    pub limit: usize,
    /// From the end.
    pub reverse: bool,
    /// Whether items carry their values.
    pub values: bool,
}

/// A point in a space's history, as programs name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// Just after the latest of these versions.
    Versions(Vec<Version>),
    /// The end of this millisecond since 1970, by the clocks of the writers.
    Time(u64),
}

/// What a subscription follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The value at a path.
    Value {
        /// The space.
        space: SpaceRef,
        /// The path.
        path: Path,
        /// Versions the subscriber already has; `None` starts with the current state.
        parents: Option<Vec<Version>>,
    },
    /// The text at a path, as patches that fit what the subscriber holds.
    Text {
        /// The space.
        space: SpaceRef,
        /// The path.
        path: Path,
        /// What the subscriber holds, named as in [`TextChange::parents`]; `None` starts with the whole text.
        parents: Option<Vec<String>>,
        /// The client's own name (`Peer`), by which its writes are told from others'.
        client: Option<String>,
        /// Whether it has a history of its own (`Merge-Type: dt`): it is told each edit as it was made, and `parents` are
        /// events.
        events: bool,
    },
    /// The children of a place.
    List {
        /// The space.
        space: SpaceRef,
        /// The place.
        prefix: Path,
        /// Which children.
        query: ListQuery,
        /// Versions the subscriber already has; `None` starts with the current items.
        parents: Option<Vec<Version>>,
    },
    /// Every change of a space, from a cursor on.
    Changes {
        /// The space.
        space: SpaceRef,
        /// Only what arrived after this cursor; `None` is the beginning.
        since: Option<String>,
    },
    /// Who is where in the value at a path.
    Cursors {
        /// The space.
        space: SpaceRef,
        /// The path.
        path: Path,
        /// The client that follows: it may say where it is itself for as long as it does, and is not told of itself.
        client: Option<String>,
    },
    /// The peer's own status.
    Status,
}

/// How far a write has travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncStatus {
    /// On this device only.
    Local,
    /// Stored by this many other peers.
    Peers(u32),
    /// The space is still arriving: there may be more or newer than what is shown.
    Arriving,
}

/// What is known of a value besides its content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// How concurrent writes to it are merged.
    pub merge: Merge,
    /// The other values that stand beside the one shown, until a write settles it.
    pub conflicts: Vec<Rival>,
    /// Some of it may have come before the logs it stands in, and counts for no version yet.
    pub early: bool,
}

/// A value that stands beside the one shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Rival {
    /// By which write.
    pub version: Version,
    /// What it is.
    pub body: Body,
}

/// One child in a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The child's name: its last path segment.
    pub key: String,
    /// The versions of what is there.
    pub version: Vec<Version>,
    /// The value, if it was asked for.
    pub value: Option<Body>,
    /// The name of its merge type if that is not `lww`; `newer` for a kind that only a later release knows.
    pub kind: Option<&'static str>,
}

/// One change in a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeItem {
    /// Where this change stands in the feed: give it as `since` to go on after it.
    pub cursor: String,
    /// The path changed.
    pub path: Path,
    /// Where it stood before, if it was moved and stands where that move put it.
    pub from: Option<Path>,
    /// `put`, `delete` or `move`.
    pub kind: &'static str,
    /// The name of the merge type it went by if that is not `lww`; `newer` for one that only a later release knows.
    pub merge: Option<&'static str>,
    /// The change's version.
    pub version: Version,
    /// Who made it, as did:key text.
    pub author: String,
    /// When, by the author's clock, in milliseconds since 1970.
    pub time: u64,
}

/// One version of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryItem {
    /// The version.
    pub version: Version,
    /// Who made it, as did:key text.
    pub author: String,
    /// When, by the author's clock, in milliseconds since 1970.
    pub time: u64,
    /// Bytes of content it wrote at and below the path.
    pub size: u64,
    /// `delete` if it only took things away, else `put`.
    pub kind: &'static str,
    /// Which places it touched, if others than the path itself; not more than a few.
    pub paths: Vec<Path>,
    /// How many further places it touched.
    pub more: usize,
}

/// One step of a subscription.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// The value at the path is now this; `None` when it is gone.
    Value {
        /// The value.
        body: Option<Body>,
        /// Its versions.
        version: Vec<Version>,
        /// The versions the subscriber had before.
        parents: Vec<Version>,
        /// What else is known of it.
        facts: Facts,
    },
    /// A text changed: one patch set, for a subscription to [`Target::Text`] only. Its first update is a
    /// [`Update::Value`] unless it named `parents`, and so is whatever comes when the place holds no text.
    Text {
        /// What changes, in the text at `parents`; empty if only the version is another.
        splices: Vec<TextSplice>,
        /// The version then.
        version: Vec<Version>,
        /// What the subscriber holds, by the names it knows: its own, where its own write came last.
        parents: Vec<String>,
    },
    /// Edits of a text as they were made, for who follows events.
    Events {
        /// Whether this is the beginning: nothing before it is needed.
        whole: bool,
        /// The edits.
        events: Vec<TextEvent>,
        /// The state they lead to, by the names of its events.
        version: Vec<String>,
    },
    /// Children changed; an item without a value here was removed (`removed`).
    Items {
        /// Changed or new children (values present if asked for).
        items: Vec<Item>,
        /// Names of children that are gone.
        removed: Vec<String>,
        /// The versions of the listing now.
        version: Vec<Version>,
        /// The versions the subscriber had before.
        parents: Vec<Version>,
        /// Whether `items` is the whole listing, replacing what the subscriber had.
        whole: bool,
    },
    /// Changes in a feed.
    Changes(Vec<ChangeItem>),
    /// Who is where.
    Cursors {
        /// Clients that moved, with `None` for those that left.
        cursors: Vec<(String, Option<Selections>)>,
        /// Whether these are all there are, replacing what the subscriber had.
        whole: bool,
    },
    /// A status document.
    Document(Json),
    /// The subscription ends here; reconnect with the last version.
    End(Refusal),
}
