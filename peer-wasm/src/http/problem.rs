//! Errors as RFC 9457 problem documents. `docs/problems.md` lists them for authors.

use super::limits::MAX_UPLOADS;
use super::message::HttpResponse;
use super::render::ARRIVING;
use super::route::accept_patch;
use super::versions;
use kith_core::api::{Merge, Refusal};
use serde_json::{Map, Value as Json, json};

/// What every problem's `type` begins with; the rest is the name of its [`Kind`].
pub const PROBLEM_BASE: &str = "urn:kith:problem:";

/// Either what was asked for or the problem to answer with.
pub(super) type Checked<T> = Result<T, Box<Problem>>;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $status:literal $name:literal $title:literal;)+) => {
        /// Every kind of problem. Names and status codes are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($(#[doc = $doc])+ $kind,)+ }

        impl Kind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)+];

            /// The last part of the problem's `type`.
            pub const fn name(self) -> &'static str { match self { $(Kind::$kind => $name,)+ } }

            /// The status code it is answered with.
            pub const fn status(self) -> u16 { match self { $(Kind::$kind => $status,)+ } }

            /// A few words, the same for every problem of this kind.
            pub const fn title(self) -> &'static str { match self { $(Kind::$kind => $title,)+ } }
        }
    };
}

kinds! {
    /// The URL cannot be read.
    MalformedUrl = 400 "malformed-url" "The URL cannot be read";
    /// A query parameter cannot be read. Member `parameter`.
    MalformedQuery = 400 "malformed-query" "A query parameter cannot be read";
    /// A header cannot be read. Member `header`.
    MalformedHeader = 400 "malformed-header" "A header cannot be read";
    /// The body is not the JSON it says it is. Members `line`, `column`.
    InvalidJson = 400 "invalid-json" "The body is not acceptable JSON";
    /// A member of the JSON body is missing or not as it should be. Member `member`.
    WrongMember = 400 "wrong-member" "A member of the body is not as it should be";
    /// Only the merge types listed can be had. Member `supported`.
    MergeTypeNotSupported = 400 "merge-type-not-supported" "That merge type is not supported";
    /// The patch cannot be read.
    MalformedPatch = 400 "malformed-patch" "The patch cannot be read";
    /// The file of a space is damaged or none. Members `why`, `entries`, `new`.
    MalformedFile = 400 "malformed-file" "The file cannot be taken in";
    /// The peer cannot make sense of the request.
    Malformed = 400 "malformed" "The request cannot be understood";
    /// No grant for this.
    Forbidden = 403 "forbidden" "You have no right to do this";
    /// There is no value here.
    NotFound = 404 "not-found" "There is nothing here";
    /// This peer does not have the space.
    NoSuchSpace = 404 "no-such-space" "This peer does not have that space";
    /// No such place in the surface. Member `place`.
    NoSuchPlace = 404 "no-such-place" "There is no such place";
    /// The method cannot be used here. Member `allow`.
    MethodNotAllowed = 405 "method-not-allowed" "That method cannot be used here";
    /// This place has no subscription.
    NotSubscribable = 406 "not-subscribable" "This place cannot be subscribed to";
    /// It exists already, or something in its way does.
    Conflict = 409 "conflict" "It does not go with what is there";
    /// The history a link points into is not the one it was made for. Member `version`.
    HistoryRewritten = 409 "history-rewritten" "The history was rewritten";
    /// That version can no longer be read.
    HistoryDropped = 410 "history-dropped" "That version can no longer be read";
    /// The precondition does not hold. Member `current`.
    PreconditionFailed = 412 "precondition-failed" "The value is not the one you named";
    /// More than the limit. Member `limit`.
    TooLarge = 413 "too-large" "That is too large";
    /// The URL or path is longer than the limit. Member `limit`.
    TooLong = 414 "too-long" "The URL is too long";
    /// The media type or encoding is not taken here.
    UnsupportedMediaType = 415 "unsupported-media-type" "That kind of body is not taken here";
    /// The byte range lies outside the value. Member `length`.
    RangeNotSatisfiable = 416 "range-not-satisfiable" "The range lies outside the value";
    /// The patch does not fit the value. Nothing changed.
    PatchDoesNotFit = 422 "patch-does-not-fit" "The patch does not fit the value";
    /// The value is of a kind that this does not go with. Member `kind`.
    WrongKind = 422 "wrong-kind" "That does not go with this kind of value";
    /// The client does not follow the cursors there.
    TooEarly = 425 "too-early" "Too early";
    /// Too much at once.
    TooMany = 429 "too-many" "Too much at once";
    /// Too many or too long headers. Member `limit`.
    HeadersTooLarge = 431 "headers-too-large" "The headers are too large";
    /// The version is not known (yet). Member `missing`.
    VersionUnknown = 432 "version-unknown" "That version is not known here yet";
    /// Something is wrong inside the peer.
    Internal = 500 "internal" "Something is wrong inside the peer";
    /// Reading or writing the store failed.
    StorageFailed = 500 "storage-failed" "Storing failed";
    /// Part of the contract that this peer does not offer.
    NotOffered = 501 "not-offered" "This peer does not offer that";
    /// Only a later release can read the value. Member `tag`.
    NewerKind = 501 "newer-kind" "The value is of a newer kind";
    /// Not just now.
    Unavailable = 503 "unavailable" "Not just now";
    /// What came is not what its digest was made of.
    DigestMismatch = 550 "digest-mismatch" "The digest does not fit";
    /// No room left.
    NoRoom = 507 "no-room" "There is no room left";
}

/// One problem on its way to becoming an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    kind: Kind,
    detail: String,
    members: Map<String, Json>,
    headers: Vec<(&'static str, String)>,
}

impl Problem {
    /// A problem with its detail: plain words that say what to do.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Box<Problem> {
        Box::new(Problem { kind, detail: detail.into(), members: Map::new(), headers: Vec::new() })
    }

    /// A header that cannot be read: `what` goes on the sentence "The header X …".
    pub(super) fn header(name: &str, what: &str) -> Box<Problem> {
        Problem::new(Kind::MalformedHeader, format!("The header {name} {what}.")).with("header", name)
    }

    /// A query parameter that cannot be read: `what` goes on the sentence "The parameter X …".
    pub(super) fn parameter(name: &str, what: &str) -> Box<Problem> {
        Problem::new(Kind::MalformedQuery, format!("The parameter {name} {what}.")).with("parameter", name)
    }

    /// A JSON member that is not as it should be: `what` goes on the sentence "The member X …".
    pub(super) fn member(name: &str, what: &str) -> Box<Problem> {
        Problem::new(Kind::WrongMember, format!("The member \"{name}\" {what}.")).with("member", name)
    }

    /// With one more member in the document.
    pub(super) fn with(mut self: Box<Self>, member: &str, value: impl Into<Json>) -> Box<Problem> {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// With one more header line in the response.
    pub(super) fn with_header(mut self: Box<Self>, name: &'static str, value: impl Into<String>) -> Box<Problem> {
        self.headers.push((name, value.into()));
        self
    }

    /// The same for a read of the past: the listing it leads to is of the same past.
    pub(super) fn of_the_past(mut self: Box<Self>, query: Option<&str>) -> Box<Problem> {
        let Some(query) = query else { return self };
        if let Some(Json::String(listing)) = self.members.get_mut("listing") {
            listing.push_str(&format!("?{query}"));
            let link = format!("<{listing}>; rel=\"collection\"");
            self.headers.retain(|(name, _)| *name != "Link");
            self.headers.push(("Link", link));
        }
        self
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.kind.status()
    }

    /// The whole answer.
    pub fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status());
        for (name, value) in &self.headers {
            response = response.with(name, value);
        }
        response
            .with("Cache-Control", "no-store")
            .with("X-Content-Type-Options", "nosniff")
            .with_body("application/problem+json", self.document().to_string().into_bytes())
    }

    /// The problem document.
    pub fn document(&self) -> Json {
        let mut document = Map::new();
        document.insert("type".to_owned(), format!("{PROBLEM_BASE}{}", self.kind.name()).into());
        document.insert("title".to_owned(), self.kind.title().into());
        document.insert("status".to_owned(), self.status().into());
        document.insert("detail".to_owned(), self.detail.clone().into());
        document.extend(self.members.clone());
        Json::Object(document)
    }

    /// What the peer refused, as a problem. `here` is the path of the place asked for.
    pub(super) fn refused(refusal: &Refusal, here: &str) -> Box<Problem> {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Malformed(_) => Problem::new(Kind::Malformed, detail),
            Refusal::Forbidden(_) => Problem::new(Kind::Forbidden, detail),
            Refusal::NotFound => Problem::new(Kind::NotFound, detail),
            Refusal::NotYet => Problem::new(Kind::NotFound, detail).with_header("Sync-Status", ARRIVING),
            Refusal::NoSuchSpace => Problem::new(Kind::NoSuchSpace, detail),
            Refusal::Conflict(_) => Problem::new(Kind::Conflict, detail),
            Refusal::Rewritten { version } => {
                Problem::new(Kind::HistoryRewritten, detail).with("version", version.to_string())
            }
            Refusal::HistoryDropped => Problem::new(Kind::HistoryDropped, detail),
            Refusal::PreconditionFailed { current } => precondition_failed(current.clone()),
            Refusal::TooLarge { limit, listing, .. } => {
                let problem = Problem::new(Kind::TooLarge, detail).with("limit", *limit);
                match listing {
                    Some(path) => {
                        let path = if path.starts_with("/~/") { path.clone() } else { format!("{here}/") };
                        problem
                            .with("listing", path.clone())
                            .with_header("Link", format!("<{path}>; rel=\"collection\""))
                    }
                    None => problem,
                }
            }
            Refusal::Unprocessable(_) => Problem::new(Kind::PatchDoesNotFit, detail),
            Refusal::WrongKind { kind, .. } => {
                let problem =
                    Problem::new(Kind::WrongKind, detail).with("kind", *kind).with_header("Merge-Type", *kind);
                problem.with_header("Accept-Patch", accept_patch(Merge::from_name(kind)))
            }
            Refusal::NewerKind { tag } => Problem::new(Kind::NewerKind, detail).with("tag", *tag),
            Refusal::TooEarly => Problem::new(Kind::TooEarly, detail).with_header("Retry-After", "1"),
            Refusal::TooMany(_) => Problem::new(Kind::TooMany, detail).with_header("Retry-After", "1"),
            Refusal::VersionUnknown { missing } => version_unknown(missing.iter().map(ToString::to_string).collect()),
            Refusal::Unavailable { retry_after, .. } => {
                Problem::new(Kind::Unavailable, detail).with_header("Retry-After", retry_after.to_string())
            }
            Refusal::NoRoom => Problem::new(Kind::NoRoom, detail),
            Refusal::Storage(_) => Problem::new(Kind::StorageFailed, detail),
        }
    }
}

/// 412, with the ETag that is current, if anything is there.
pub(super) fn precondition_failed(current: Option<String>) -> Box<Problem> {
    let detail = match current {
        Some(_) => "The value has changed since the version you named. Read it again and retry.",
        None => "There is nothing here, so nothing can match. Leave out If-Match to create it.",
    };
    let problem =
        Problem::new(Kind::PreconditionFailed, detail).with("current", current.clone().map_or(Json::Null, Json::from));
    match current {
        Some(tag) => problem.with_header("ETag", tag),
        None => problem,
    }
}

/// The answer when too many files are being taken in.
pub fn too_many_uploads() -> HttpResponse {
    let detail = format!("At most {MAX_UPLOADS} files are taken in at once. Wait for one of them.");
    Problem::new(Kind::TooMany, detail).with_header("Retry-After", "1").response()
}

/// 432, naming the versions that are missing.
pub(super) fn version_unknown(missing: Vec<String>) -> Box<Problem> {
    let detail =
        "This peer does not know the version you named (yet). Retry in a moment, or start again without naming one.";
    Problem::new(Kind::VersionUnknown, detail)
        .with_header("Version", versions::write_strings(&missing))
        .with_header("Retry-After", "1")
        .with("missing", json!(missing))
}
