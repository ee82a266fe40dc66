//! Requests.

use super::{At, Change, ListQuery, Manner, Preconditions, Role, Selections, SpaceRef, Target};
use crate::archive::Part;
use crate::identity::PublicKey;
use crate::path::Path;
use crate::peer::ExportState;
use crate::version::Version;

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
    /// The policies of a space.
    Policies {
        /// The space.
        space: SpaceRef,
    },
    /// The policy of one prefix.
    Policy {
        /// The space.
        space: SpaceRef,
        /// The prefix.
        prefix: Path,
    },
    /// Set the policy of a prefix, or take it away. Answered like a write.
    SetPolicy {
        /// The space.
        space: SpaceRef,
        /// The prefix.
        prefix: Path,
        /// The policy; `None` takes it away.
        policy: Option<crate::document::policy::Policy>,
    },
    /// Where values stand beside each other.
    Conflicts {
        /// The space.
        space: SpaceRef,
    },
    /// How much others may add in a day, and who has come to that: `GET /~/<space>/$quota`.
    Quotas {
        /// The space.
        space: SpaceRef,
    },
    /// Who has stored what was written here, and since when: `GET /~/<space>/$sync`, for these versions if there are any.
    Spread {
        /// The space.
        space: SpaceRef,
        /// The versions.
        versions: Vec<Version>,
    },
    /// Take more of what an author writes than its quota: `POST /~/<space>/$quota`. Answered with the quotas then.
    Allow {
        /// The space.
        space: SpaceRef,
        /// The author: an identity as `did:key:…`, or one of its devices as a peer id.
        author: String,
        /// How many bytes more, for each of its logs.
        bytes: u64,
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
        /// What else the writer says.
        manner: Manner,
        /// The writer's own id for this write (`Version`): the same id again changes nothing more.
        id: Option<String>,
        /// Whether what was written at the path and below before is to be redacted, on every peer.
        purge: bool,
    },
    /// Move what stands at a path, with everything in it, to another where nothing is.
    Move {
        /// The space.
        space: SpaceRef,
        /// The path it stands at.
        from: Path,
        /// The path it goes to.
        to: Path,
        /// Under which conditions for the path it goes to.
        conditions: Preconditions,
        /// The writer's own id for this write.
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
    /// Who is where in the value at a path: `{"<client>":[{"from","to",…}]}`.
    Cursors {
        /// The space.
        space: SpaceRef,
        /// The path.
        path: Path,
    },
    /// Say where a client is in the value at a path. It must follow the cursors there.
    Present {
        /// The space.
        space: SpaceRef,
        /// The path.
        path: Path,
        /// The client.
        client: String,
        /// Where it is; nowhere if there are none.
        selections: Selections,
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
    /// Follow something. Answered with [`Reply::Subscribed`](super::Reply::Subscribed); updates are then pulled one by one.
    Subscribe(Target),
}
