//! Turning what the peer replies into whole responses or the heads of streams.

use super::accept::{JSON, NDJSON};
use super::conditions::{self, Outcome};
use super::cursors;
use super::digest;
use super::documents;
use super::files::{self, Download};
use super::frame::Framer;
use super::history;
use super::message::HttpResponse;
use super::problem::{Kind, Problem, precondition_failed, version_unknown};
use super::range::ByteRange;
use super::route::Route;
use super::url::percent_encode;
use super::versions;
use kith_core::api::{
    Body, Facts, ListQuery, Merge, Preconditions, Refusal, Reply, Request, SpaceRef, SubscriptionId, SyncStatus, Target,
};
use kith_core::path::Path;
use kith_core::version::{Version, etag};
use serde_json::{Value as Json, json};

/// What the answer depends on besides the method, the URL and what is stored.
const VARY: &str = "Accept, Subscribe, Version, Parents";
/// Stored bytes come from other people and are answered on the app's own origin: shown by themselves they may not run.
const SANDBOX: &str =
    "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self' data:; style-src 'unsafe-inline'";

/// How the reply to one request becomes its response.
#[derive(Clone, Debug, PartialEq)]
pub struct Render {
    here: String,
    head: bool,
    shape: Shape,
    /// What further reads of the same past have in their query.
    past: Option<String>,
    /// What a client of a text named as `Parents`: names of its own among them.
    named: Vec<String>,
}

/// What became of a reply.
#[derive(Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "lives for one turn only")]
pub enum Rendered {
    /// The whole response.
    Whole(HttpResponse),
    /// The head of a streamed response, the subscription that feeds it, and how its updates become bytes.
    Stream(HttpResponse, SubscriptionId, Framer),
    /// The head of a file, its first bytes, and how the rest is asked for.
    Download(HttpResponse, Vec<u8>, Download),
    /// Ask the peer this instead, and render its reply with this: the reader's memory no longer fits and starts afresh.
    Again(Request, Render),
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A document the peer makes.
    Document,
    /// A value.
    Value {
        conditions: Preconditions,
        /// `Range` and `If-Range`.
        range: Option<(String, Option<String>)>,
    },
    /// What can be done at this place.
    Options(Route),
    /// Who is where at this place.
    Cursors,
    /// A page of a listing.
    List {
        conditions: Preconditions,
        lines: bool,
        query: ListQuery,
        /// Of when, as a query; now if not given.
        at: Option<String>,
    },
    /// A page of versions.
    History { lines: bool, limit: usize },
    /// A page of a feed.
    Changes { lines: bool, limit: usize },
    /// A space as a file.
    Export { space: SpaceRef, keys: bool },
    /// A write, or something made.
    Write,
    /// A subscription; with what to ask if the peer does not know the reader's versions.
    Stream { framer: Framer, afresh: Option<Target> },
}

impl Render {
    pub(super) fn new(here: String, head: bool, shape: Shape) -> Render {
        Render { here, head, shape, past: None, named: Vec::new() }
    }

    /// The same where a client of a text has named these.
    pub(super) fn naming(mut self, parents: &[String]) -> Render {
        self.named = parents.to_vec();
        self
    }

    /// The same for a read of the past, named by this query.
    pub(super) fn of_the_past(self, query: String) -> Render {
        Render { past: Some(query), ..self }
    }

    /// The response for this reply.
    pub fn reply(self, reply: Reply) -> Rendered {
        let head = self.head;
        let response = match (self.shape, reply) {
            (Shape::Stream { framer, .. }, Reply::Subscribed(id)) => {
                return Rendered::Stream(framer.head(), id, framer);
            }
            (Shape::Stream { framer, afresh: Some(target) }, Reply::Refused(Refusal::VersionUnknown { .. })) => {
                let framer = framer.afresh();
                let shape = Shape::Stream { framer, afresh: None };
                return Rendered::Again(
                    Request::Subscribe(target),
                    Render { here: self.here, head, shape, past: None, named: Vec::new() },
                );
            }
            (Shape::Options(route), Reply::Value { facts, .. }) => route.options(Some(facts.merge)),
            (Shape::Options(route), _) => route.options(None),
            // The peer knows versions only; here a name that a client chose was missing.
            (_, Reply::Refused(Refusal::VersionUnknown { missing }))
                if missing.is_empty() && !self.named.is_empty() =>
            {
                version_unknown(self.named).response()
            }
            (_, Reply::Refused(refusal)) => {
                Problem::refused(&refusal, &self.here).of_the_past(self.past.as_deref()).response()
            }
            (Shape::Export { space, keys }, reply @ Reply::Exported { .. }) => {
                let response = files::head(&space);
                let mut download = Download::new(space, keys);
                match download.reply(reply) {
                    Some(bytes) if !head => return Rendered::Download(response, bytes, download),
                    _ => response,
                }
            }
            (Shape::Cursors, Reply::Document(cursors)) => cursors::response(&cursors),
            (Shape::Cursors, Reply::Present) => {
                HttpResponse::new(200).with("Cache-Control", "no-store").with("Content-Length", "0")
            }
            (Shape::Document, Reply::Document(document)) => {
                json_response(200, &documents::with_url_paths(document)).with("Cache-Control", "no-store")
            }
            (Shape::Value { conditions, range }, Reply::Value { body, version, sync, facts }) => {
                value(&body, &version, &version, sync, &facts, &conditions, range)
            }
            (Shape::Value { conditions, range }, Reply::Past { body, version, current, sync, facts }) => {
                value(&body, &version, &current, sync, &facts, &conditions, range)
            }
            (Shape::Document, Reply::Link { space, path, version, hash }) => {
                let document = history::link(&space, &path, &version, &hash);
                json_response(200, &document)
                    .with("Version", versions::write(&[version]))
                    .with("Cache-Control", "no-store")
            }
            (Shape::History { lines, limit }, Reply::History { items, next }) => {
                let items: Vec<Json> = items.iter().map(history::item).collect();
                let next = next.map(|next| next.to_string());
                let link = next
                    .as_ref()
                    .map(|next| format!("<{}?history=1&before={next}&limit={limit}>; rel=\"next\"", self.here));
                Page { items, next, link, lines }.response().with("Cache-Control", "no-store")
            }
            (Shape::Write, Reply::Undone { target, redo, version, restored, skipped }) => {
                let paths = |paths: &[Path]| paths.iter().map(documents::url_path).collect::<Vec<_>>();
                let mut document = json!({"restored": paths(&restored), "skipped": paths(&skipped)});
                if let Some(members) = document.as_object_mut() {
                    let name = if redo { "redone" } else { "undone" };
                    members.insert(name.to_owned(), target.map(|target| target.to_string()).into());
                    members.insert("version".to_owned(), version.map(|version| version.to_string()).into());
                }
                let response = made(200, &document);
                match version {
                    Some(version) => response.with("Version", versions::write(&[version])),
                    None => response,
                }
            }
            (Shape::List { conditions, lines, query, at }, Reply::List { items, next, version, early, arriving }) => {
                let items: Vec<Json> = items.iter().map(documents::item).collect();
                let link = next.as_ref().map(|next| next_page(&self.here, &query, at.as_deref(), next));
                let page = Page { items, next, link, lines };
                let response = listing(page, &version, early, &conditions);
                if arriving { response.with("Sync-Status", ARRIVING) } else { response }
            }
            (Shape::Changes { lines, limit }, Reply::Changes { items, next }) => {
                let items: Vec<Json> = items.iter().map(documents::change).collect();
                let link = format!("<{}?since={}&limit={limit}>; rel=\"next\"", self.here, percent_encode(&next));
                Page { items, next: Some(next), link: Some(link), lines }.response().with("Cache-Control", "no-store")
            }
            (Shape::Write, Reply::Written { created, deleted, version, sync, merge }) => {
                let status = if deleted {
                    204
                } else if created {
                    201
                } else {
                    200
                };
                let response = described(HttpResponse::new(status), &version, &etag(&version), sync, merge);
                let response = response.with("Cache-Control", "no-store");
                if deleted { response } else { response.with("Content-Length", "0") }
            }
            (Shape::Write, Reply::SpaceCreated { id, document }) => {
                made(201, &document).with("Location", format!("/~/{}/", percent_encode(&id)))
            }
            (Shape::Write, Reply::Invited(document)) => made(201, &document),
            (Shape::Write, Reply::Joined(document)) => made(200, &document),
            _ => {
                let detail =
                    "The peer gave a reply that does not go with the request. Please report this with what you sent.";
                Problem::new(Kind::Internal, detail).response()
            }
        };
        Rendered::Whole(if head { response.without_body() } else { response })
    }
}

fn value(
    body: &Body,
    version: &[Version],
    current: &[Version],
    sync: SyncStatus,
    facts: &Facts,
    conditions: &Preconditions,
    range: Option<(String, Option<String>)>,
) -> HttpResponse {
    let tag = tag_of(version, facts.early);
    let described = |status| {
        let response = described(HttpResponse::new(status), version, &tag, sync, facts.merge);
        with_conflicts(response, facts)
            .with("Current-Version", versions::write(current))
            .with("Cache-Control", if facts.early { "no-store" } else { "no-cache" })
            .with("Vary", VARY)
            .with("Accept-Subscribe", "true")
    };
    match conditions::outcome(conditions, &tag) {
        Outcome::Failed => return precondition_failed(Some(tag.clone())).response(),
        Outcome::NotModified => return described(304),
        Outcome::Go => {}
    }
    let (media, bytes) = documents::bytes_of_kind(body, facts.merge);
    let typed = |status| described(status).with("Repr-Type", &media).with("X-Content-Type-Options", "nosniff");
    if let Body::Json(_) = body {
        return typed(200).with("Accept-Ranges", "none").with_body(&media, bytes);
    }
    // So that who keeps a text can see that it is the one meant.
    let digested = |response: HttpResponse| match facts.merge {
        Merge::Text => response.with("Repr-Digest", digest::of(&bytes)),
        _ => response,
    };
    let stored =
        |status| digested(typed(status)).with("Accept-Ranges", "bytes").with("Content-Security-Policy", SANDBOX);
    let length = bytes.len();
    let asked = match range {
        Some((_, Some(if_range))) if if_range != tag => ByteRange::Whole,
        Some((range, _)) => ByteRange::read(&range, length),
        None => ByteRange::Whole,
    };
    match asked {
        ByteRange::Whole => stored(200).with_body(&media, bytes),
        ByteRange::Part(first, last) => {
            let part = bytes.get(first..=last).unwrap_or_default().to_vec();
            stored(206).with("Content-Range", format!("bytes {first}-{last}/{length}")).with_body(&media, part)
        }
        ByteRange::Outside => {
            let detail = format!("The value has {length} bytes. Ask for a range within them.");
            let problem = Problem::new(Kind::RangeNotSatisfiable, detail);
            problem.with("length", length).with_header("Content-Range", format!("bytes */{length}")).response()
        }
    }
}

/// What `Sync-Status` says of a space that is not all here yet.
pub(super) const ARRIVING: &str = "arriving";

/// The headers every answer about a value carries.
fn described(response: HttpResponse, version: &[Version], tag: &str, sync: SyncStatus, merge: Merge) -> HttpResponse {
    let sync = match sync {
        SyncStatus::Local => "local".to_owned(),
        SyncStatus::Peers(count) => format!("peers={count}"),
        SyncStatus::Arriving => ARRIVING.to_owned(),
    };
    tagged(response.with("Version", versions::write(version)), tag)
        .with("Merge-Type", merge.name())
        .with("Sync-Status", sync)
}

/// The tag of what these versions make; none, and empty, where it is more than they do.
fn tag_of(version: &[Version], early: bool) -> String {
    if early { String::new() } else { etag(version) }
}

fn tagged(response: HttpResponse, tag: &str) -> HttpResponse {
    if tag.is_empty() { response } else { response.with("ETag", tag) }
}

/// Names the values that stand beside the one shown. They can be read by `?version=`.
pub(super) fn with_conflicts(response: HttpResponse, facts: &Facts) -> HttpResponse {
    if facts.conflicts.is_empty() {
        return response;
    }
    response.with("Conflicts", conflicts(facts))
}

/// The versions of the values that stand beside the one shown.
pub(super) fn conflicts(facts: &Facts) -> String {
    versions::write(&facts.conflicts.iter().map(|rival| rival.version).collect::<Vec<_>>())
}

/// A page of items, as one JSON document or as lines.
struct Page {
    items: Vec<Json>,
    next: Option<String>,
    link: Option<String>,
    lines: bool,
}

impl Page {
    fn response(self) -> HttpResponse {
        let mut response = HttpResponse::new(200)
            .with("Vary", VARY)
            .with("Accept-Subscribe", "true")
            .with("X-Content-Type-Options", "nosniff");
        if let Some(link) = self.link {
            response = response.with("Link", link);
        }
        if self.lines {
            return response.with_body(NDJSON, documents::lines(&self.items));
        }
        let mut document = json!({"items": self.items});
        if let (Some(next), Some(members)) = (self.next, document.as_object_mut()) {
            members.insert("next".to_owned(), next.into());
        }
        response.with_body(JSON, document.to_string().into_bytes())
    }
}

fn listing(page: Page, version: &[Version], early: bool, conditions: &Preconditions) -> HttpResponse {
    let mut tag = tag_of(version, early);
    if page.lines && !early {
        tag.insert_str(tag.len().saturating_sub(1), ".lines");
    }
    let described = |response: HttpResponse| {
        let response = tagged(response.with("Version", versions::write(version)), &tag);
        match early {
            true => response.with("Cache-Control", "no-store"),
            false => response.with("Cache-Control", "no-cache"),
        }
    };
    match conditions::outcome(conditions, &tag) {
        Outcome::Failed => precondition_failed(Some(tag.clone())).response(),
        Outcome::NotModified => described(HttpResponse::new(304)).with("Vary", VARY),
        Outcome::Go => described(page.response()),
    }
}

/// The link to the page after this one.
fn next_page(here: &str, query: &ListQuery, at: Option<&str>, next: &str) -> String {
    let (start, end) =
        if query.reverse { (query.start.as_deref(), Some(next)) } else { (Some(next), query.end.as_deref()) };
    let mut parameters = Vec::new();
    for (name, key) in [("start", start), ("end", end)] {
        parameters.extend(key.map(|key| format!("{name}={}", percent_encode(key))));
    }
    parameters.push(format!("limit={}", query.limit));
    parameters.extend(query.reverse.then(|| "reverse=1".to_owned()));
    parameters.extend(query.values.then(|| "values=1".to_owned()));
    parameters.extend(at.map(str::to_owned));
    format!("<{}/?{}>; rel=\"next\"", here.trim_end_matches('/'), parameters.join("&"))
}

fn made(status: u16, document: &Json) -> HttpResponse {
    json_response(status, document).with("Cache-Control", "no-store")
}

pub(super) fn json_response(status: u16, document: &Json) -> HttpResponse {
    HttpResponse::new(status)
        .with("X-Content-Type-Options", "nosniff")
        .with_body(JSON, document.to_string().into_bytes())
}
