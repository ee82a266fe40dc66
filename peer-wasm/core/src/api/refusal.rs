//! Why the peer does not do what it is asked.

use crate::version::Version;

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
    /// 404: nothing at this path so far, but much of the space is still on its way.
    #[error(
        "There is nothing at this path yet: much of the space is still on its way to this device. Follow the path, or ask again."
    )]
    NotYet,
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
    #[error("What was there then is gone: it was erased, or too much has been forgotten since to tell.")]
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
    /// 422: the value is of a kind that this does not go with.
    #[error("{detail}")]
    WrongKind {
        /// The kind it is of.
        kind: &'static str,
        /// Plain words.
        detail: String,
    },
    /// 501: only a later release can read what is there.
    #[error(
        "The value is of a newer kind (number {tag}) than this peer knows. It is kept and passed on; update the app to read it, or replace it by a PUT with a Merge-Type."
    )]
    NewerKind {
        /// The kind's tag.
        tag: u8,
    },
    /// 425: the client does not follow the cursors there (yet).
    #[error(
        "A cursor is shown for as long as its client follows the cursors there. Subscribe under the same name first, then try again."
    )]
    TooEarly,
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
