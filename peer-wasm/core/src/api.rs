//! What can be asked of a peer and what it answers: the words shared by the core and its HTTP face.

use crate::archive::Part;
use crate::identity::PublicKey;
use crate::path::Path;
use crate::peer::ExportState;
use crate::version::Version;
use serde_json::Value as Json;
use std::collections::BTreeMap;

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
    /// The peer's own status.
    Status,
}

/// One thing asked of the peer.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Who am I: `GET /~/`.
    Info,
    /// How am I: `GET /~/peer`.
    Status,
    /// The spaces this peer has: `GET /~/spaces`.
    Spaces,
    /// A new space.
    CreateSpace {
        /// Its name, as people see it.
        name: String,
    },
    /// Accept an invite.
    Join {
        /// The invite's URL or its bare fragment.
        invite: String,
    },
    /// Make an open invite.
    Invite {
        /// The space.
        space: SpaceRef,
        /// What the invited may do: reader or writer.
        role: Role,
        /// The path of the app the link opens, e.g. `/board/`.
        app: String,
        /// The origin links are made for, e.g. `https://example.org`.
        origin: String,
    },
    /// The open invites of a space.
    Invites {
        /// The space.
        space: SpaceRef,
    },
    /// Who may do what in a space.
    Members {
        /// The space.
        space: SpaceRef,
    },
    /// The value at a path.
    Get {
        /// The space.
        space: SpaceRef,
        /// The path; empty for the whole space.
        path: Path,
        /// Versions that must be known before the answer (`Parents` of a read); 432 if they are not.
        parents: Vec<Version>,
    },
    /// The children of a place.
    List {
        /// The space.
        space: SpaceRef,
        /// The place; empty for the top.
        prefix: Path,
        /// Which children.
        query: ListQuery,
    },
    /// The value at a path as it was.
    GetAt {
        /// The space.
        space: SpaceRef,
        /// The path; empty for the whole space.
        path: Path,
        /// When.
        at: At,
        /// What the hash of the version's entry must be, if the asker knows it; only with one version.
        hash: Option<[u8; 32]>,
    },
    /// The children of a place as they were.
    ListAt {
        /// The space.
        space: SpaceRef,
        /// The place; empty for the top.
        prefix: Path,
        /// Which children.
        query: ListQuery,
        /// When.
        at: At,
    },
    /// The versions of a path and everything below it, newest first.
    History {
        /// The space.
        space: SpaceRef,
        /// The path; empty for the whole space.
        path: Path,
        /// Only those before this one.
        before: Option<Version>,
        /// At most this many items (1..=1000).
        limit: usize,
    },
    /// What pins the state of a path so that a rewritten log is noticed.
    Link {
        /// The space.
        space: SpaceRef,
        /// The path; empty for the whole space.
        path: Path,
        /// When; now if not given.
        at: Option<At>,
    },
    /// Change the value at a path.
    Write {
        /// The space.
        space: SpaceRef,
        /// The path.
        path: Path,
        /// How.
        change: Change,
        /// Under which conditions.
        conditions: Preconditions,
        /// The writer's own id for this write (`Version`): the same id again changes nothing more.
        id: Option<String>,
    },
    /// Make a path what it was, by a new write.
    Restore {
        /// The space.
        space: SpaceRef,
        /// The path.
        path: Path,
        /// When it was so.
        from: At,
        /// Under which conditions.
        conditions: Preconditions,
        /// The writer's own id for this write.
        id: Option<String>,
    },
    /// Undo, or redo, the last write of this device in a scope.
    Undo {
        /// The space.
        space: SpaceRef,
        /// Only writes at or below this path.
        scope: Path,
        /// Redo what was undone last.
        redo: bool,
        /// The writer's own id for this write.
        id: Option<String>,
    },
    /// The space as a file, block by block (see [`crate::archive`]).
    Export {
        /// The space.
        space: SpaceRef,
        /// Whether to put in the keys that open what it holds.
        keys: bool,
        /// The state that came with the block before; `None` begins.
        state: Option<Box<ExportState>>,
    },
    /// Take in one part of a space's file. Parts are given one by one, in order.
    Import {
        /// The space, as the file's head names it.
        space: PublicKey,
        /// The part.
        part: Part,
    },
    /// Changes in the order they arrived here.
    Changes {
        /// The space.
        space: SpaceRef,
        /// Only what arrived after this cursor.
        since: Option<String>,
        /// At most this many items (1..=1000).
        limit: usize,
    },
    /// Follow something. Answered with [`Reply::Subscribed`]; updates are then pulled one by one.
    Subscribe(Target),
}

/// How far a write has travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncStatus {
    /// On this device only.
    Local,
    /// Stored by this many other peers.
    Peers(u32),
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
}

/// One change in a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeItem {
    /// Where this change stands in the feed: give it as `since` to go on after it.
    pub cursor: String,
    /// The path changed.
    pub path: Path,
    /// `put` or `delete`.
    pub kind: &'static str,
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

/// What the peer answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A document made by the peer: info, status, spaces, members, invites.
    Document(Json),
    /// A value.
    Value {
        /// What is there.
        body: Body,
        /// Its versions.
        version: Vec<Version>,
        /// How far they travelled.
        sync: SyncStatus,
    },
    /// A value as it was.
    Past {
        /// What was there.
        body: Body,
        /// Its versions.
        version: Vec<Version>,
        /// The versions that are there now.
        current: Vec<Version>,
        /// How far its versions travelled.
        sync: SyncStatus,
    },
    /// A page of versions, newest first.
    History {
        /// The versions.
        items: Vec<HistoryItem>,
        /// Give this as `before` for the next page; `None` at the beginning of history.
        next: Option<Version>,
    },
    /// What pins the state of a path.
    Link {
        /// The space's id.
        space: String,
        /// The path.
        path: Path,
        /// The latest version there.
        version: Version,
        /// The hash of that version's entry.
        hash: [u8; 32],
    },
    /// A listing.
    List {
        /// The children.
        items: Vec<Item>,
        /// Where the next page starts (`start`, or `end` when reversed); `None` at the end.
        next: Option<String>,
        /// The versions of everything listed.
        version: Vec<Version>,
    },
    /// A page of a feed.
    Changes {
        /// The changes.
        items: Vec<ChangeItem>,
        /// The cursor to go on from.
        next: String,
    },
    /// A write, durable on this device.
    Written {
        /// Whether nothing was there before.
        created: bool,
        /// Whether the value is gone now.
        deleted: bool,
        /// The versions now at the path.
        version: Vec<Version>,
        /// How far they travelled.
        sync: SyncStatus,
    },
    /// An undo or redo, durable on this device.
    Undone {
        /// The write that was undone, or the undo that was; `None` if there was none.
        target: Option<Version>,
        /// Whether this was a redo.
        redo: bool,
        /// The version of this change.
        version: Option<Version>,
        /// The places put back.
        restored: Vec<Path>,
        /// The places left alone because they have changed since.
        skipped: Vec<Path>,
    },
    /// A block of a space's file.
    Exported {
        /// The bytes.
        bytes: Vec<u8>,
        /// Give it back for the next block; `None` if this was the last.
        next: Option<Box<ExportState>>,
    },
    /// A part of a space's file is taken in, durable on this device.
    Imported {
        /// Entries that were new.
        new: u64,
        /// Entries that were here already.
        known: u64,
        /// Entries that were not taken, by the name of the reason.
        refused: BTreeMap<&'static str, u64>,
    },
    /// A new space: `{"id","name","role"}`.
    SpaceCreated {
        /// The space's id.
        id: String,
        /// The document.
        document: Json,
    },
    /// A new invite: `{"id","url"}`.
    Invited(Json),
    /// Joined: `{"space","role","app"}`.
    Joined(Json),
    /// A subscription is open.
    Subscribed(SubscriptionId),
    /// The peer will not or cannot do it.
    Refused(Refusal),
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
    /// A status document.
    Document(Json),
    /// The subscription ends here; reconnect with the last version.
    End(Refusal),
}

/// Why a request was not done. One variant per rule; the HTTP face maps each to a problem type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400.
    #[error("{0}")]
    Malformed(String),
    /// 403.
    #[error("{0}")]
    Forbidden(String),
    /// 404: nothing at this path.
    #[error("There is nothing at this path.")]
    NotFound,
    /// 404: this peer does not have the space.
    #[error("This peer does not have that space. Open an invite to join it.")]
    NoSuchSpace,
    /// 409.
    #[error("{0}")]
    Conflict(String),
    /// 409: the entry of this version is not the one the link was made for.
    #[error(
        "The history this link points into was rewritten: version {version} is not what it was when the link was made."
    )]
    Rewritten {
        /// The version.
        version: Version,
    },
    /// 410.
    #[error("The history of this space no longer reaches back to that point.")]
    HistoryDropped,
    /// 412.
    #[error("The value has changed since the version you named. Read it again and retry.")]
    PreconditionFailed {
        /// The current ETag, if anything is there.
        current: Option<String>,
    },
    /// 413.
    #[error("{what} is larger than the limit of {limit} bytes.")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit in bytes (or items where `what` says so).
        limit: u64,
        /// A listing to use instead, as a path, if there is one.
        listing: Option<String>,
    },
    /// 422: the patch does not fit; nothing changed.
    #[error("{0}")]
    Unprocessable(String),
    /// 429.
    #[error("{0}")]
    TooMany(String),
    /// 432.
    #[error("This peer does not know the version you named (yet).")]
    VersionUnknown {
        /// The versions that are missing.
        missing: Vec<Version>,
    },
    /// 503.
    #[error("{detail}")]
    Unavailable {
        /// Plain words.
        detail: String,
        /// Seconds to wait before trying again.
        retry_after: u32,
    },
    /// 507.
    #[error("There is no room left to store this. Free space on the device or remove data, then try again.")]
    NoRoom,
    /// 500: storage failed.
    #[error("Storing failed: {0}")]
    Storage(String),
}
