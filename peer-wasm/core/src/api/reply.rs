//! What the peer answers.

use super::{Body, ChangeItem, Facts, HistoryItem, Item, Refusal, SubscriptionId, SyncStatus};
use crate::document::Merge;
use crate::path::Path;
use crate::peer::ExportState;
use crate::version::Version;
use kith_map::BTreeMap;
use serde_json::Value as Json;

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
        /// What else is known of it.
        facts: Facts,
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
        /// How it was merged, and what stood beside it.
        facts: Facts,
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
        /// Some of it may have come before the logs it stands in, and counts for no version yet.
        early: bool,
        /// The space is still arriving: there may be more.
        arriving: bool,
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
        /// How concurrent writes to it are merged.
        merge: Merge,
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
    /// Others see where the client is.
    Present,
    /// A subscription is open.
    Subscribed(SubscriptionId),
    /// The peer will not or cannot do it.
    Refused(Refusal),
}

impl Reply {
    /// Whether it shows only what came before the logs it stands in: then there is nothing to wait for until it is stored.
    pub(crate) fn is_early(&self) -> bool {
        match self {
            Reply::Value { version, facts: Facts { early, .. }, .. } | Reply::List { version, early, .. } => {
                *early && version.is_empty()
            }
            _ => false,
        }
    }
}
