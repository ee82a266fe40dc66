//! The limits of the HTTP surface. Each is answered by name when it is passed.

/// The most bytes a URL may have.
pub const MAX_URL_BYTES: usize = 8 * 1024;
/// The most parameters a query may have.
pub const MAX_QUERY_PARAMETERS: usize = 50;
/// The most header lines a request may have.
pub const MAX_HEADERS: usize = 100;
/// The most bytes all header names and values may have together.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The most bytes a request's body may have.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How deep arrays and objects of a JSON body may be nested.
pub const MAX_JSON_DEPTH: usize = 64;
/// The most bytes a media type with its parameters may have.
pub const MAX_MEDIA_BYTES: usize = 255;
/// The most versions or entity tags one header may list.
pub const MAX_LISTED: usize = 1000;
/// The most characters one version id may have.
pub const MAX_VERSION_CHARS: usize = 256;
/// The most range patches one request may carry.
pub const MAX_PATCHES: usize = 1000;
/// The most bytes the place of a range patch may have.
pub const MAX_RANGE_BYTES: usize = 1024;
/// The most characters the id of a space may have.
pub const MAX_SPACE_ID_CHARS: usize = 128;
/// The most characters the name of a space may have.
pub const MAX_NAME_CHARS: usize = 200;
/// The most bytes an invite may have.
pub const MAX_INVITE_BYTES: usize = 8 * 1024;
/// The most bytes the path of the app in an invite may have.
pub const MAX_APP_BYTES: usize = 512;
/// The most bytes the name of a client (`Peer`) may have.
pub(super) const MAX_CLIENT_BYTES: usize = kith_core::api::MAX_CLIENT_BYTES;
/// The most bytes a feed cursor may have.
pub const MAX_CURSOR_BYTES: usize = 128;
/// The most items of a listing or feed in one answer, and how many there are when none is asked for.
pub const MAX_PAGE: usize = 1000;
/// The most bytes of a file that are taken in at a time.
pub const MAX_UPLOAD_PIECE: usize = 1024 * 1024;
/// The most files that are taken in at once.
pub const MAX_UPLOADS: usize = 4;
/// The most characters a moment in time may have.
pub const MAX_TIME_CHARS: usize = 64;
/// The longest pause between heartbeats that may be asked for, in seconds.
pub const MAX_HEARTBEAT_SECONDS: u32 = 3600;
/// The pause between heartbeats of a Server-Sent Events stream, in seconds: such a reader cannot ask for one.
pub const SSE_HEARTBEAT_SECONDS: u32 = 20;
/// What a Server-Sent Events reader is told to wait before it reconnects, in milliseconds.
pub const SSE_RETRY_MILLIS: u32 = 1000;
/// The most bytes of an author's name in a `$quota` request: a did:key or a peer id is shorter.
pub(super) const MAX_AUTHOR_BYTES: usize = 128;
