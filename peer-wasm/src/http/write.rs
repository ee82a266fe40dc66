//! Requests that change something: `PUT`, `PATCH`, `DELETE` on values and `POST` where new things are made.

use super::conditions;
use super::cursors;
use super::digest;
use super::history;
use super::json;
use super::limits::{MAX_APP_BYTES, MAX_AUTHOR_BYTES, MAX_INVITE_BYTES, MAX_NAME_CHARS};
use super::media::{Media, UNKNOWN};
use super::message::Fields;
use super::patches::{self, HTTP_PATCHES};
use super::problem::{Checked, Kind, Problem};
use super::route::{COUNTER_PATCH, DT, SET_PATCH, accept_patch, merge_types};
use super::text;
use super::url::Url;
use super::versions;
use kith_core::api::{At, Body, Change, Manner, Merge, Preconditions, Request, Role, SpaceRef, TextChange, TextEdit};
use kith_core::document::policy::{Policy, PolicyError};
use kith_core::path::Path;
use kith_core::peer::MAX_ALLOWED;
use serde_json::Value as Json;

const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

/// A change of the value at a path.
pub(super) fn change(
    method: &str,
    url: &Url,
    space: SpaceRef,
    path: Path,
    fields: &Fields,
    body: Vec<u8>,
) -> Checked<Request> {
    let merge = merge_type(fields)?;
    check_encoding(fields)?;
    let conditions = conditions::read(fields)?;
    let id = writer_id(fields)?;
    // What the writer had seen: it matters where every concurrent value is kept, and never makes a write fail.
    let parents = fields.text("parents")?.map(|text| versions::read_strings("parents", text)).transpose()?;
    let purge = url.flag("purge")?;
    if purge && method == "PATCH" {
        return Err(Problem::parameter("purge", "goes with PUT and DELETE, which replace everything at the path"));
    }
    if let Some(from) = url.parameter("move")? {
        let from = path_of(from).ok_or_else(|| Problem::parameter("move", PATH_AS_IN_URL))?;
        let plain = method == "PUT" && merge.is_none() && !purge && url.parameter("from")?.is_none();
        if !plain || !is_bare(fields, &body) {
            let detail =
                "moves what stands at that path to this one; it goes with PUT and nothing else, without a body";
            return Err(Problem::parameter("move", detail));
        }
        return Ok(Request::Move { space, from, to: path, conditions, id });
    }
    if let Some(from) = history::from(url)? {
        let plain = merge.is_none() && !purge;
        return restore(method, space, path, from, conditions, id, plain, fields, &body);
    }
    let edit = if method == "DELETE" { None } else { text::edit(merge, method == "PUT", fields, &body)? };
    if let Some(edit) = edit {
        if path.is_empty() {
            return Err(top_is_an_object());
        }
        if let TextEdit::Whole(_) = edit {
            digest::check(fields, &body)?;
        }
        let (event, id) = match is_dt(fields)? {
            true => (text::event(id, parents.as_deref(), &edit)?, None),
            false => (None, id),
        };
        // A text is written at a state its writer names in its own words.
        let change = Change::Text(TextChange { parents, edit, event });
        let manner = Manner { merge, seen: None, client: cursors::peer(fields)? };
        return Ok(Request::Write { space, path, change, conditions, manner, id, purge });
    }
    let seen = parents.map(versions::readable);
    let change = match method {
        "PUT" => put(&path, fields, body)?,
        "PATCH" => patch(fields, &body)?,
        _ => delete(fields)?,
    };
    let merge = if method == "DELETE" { None } else { merge };
    Ok(Request::Write { space, path, change, conditions, manner: Manner { merge, seen, client: None }, id, purge })
}

/// `PUT <path>?from=<version>`: the path becomes what it was. There is no body: what it was is known here.
#[allow(clippy::too_many_arguments, reason = "the parts of one request")]
fn restore(
    method: &str,
    space: SpaceRef,
    path: Path,
    from: At,
    conditions: Preconditions,
    id: Option<String>,
    plain: bool,
    fields: &Fields,
    body: &[u8],
) -> Checked<Request> {
    if method != "PUT" {
        return Err(Problem::parameter("from", "restores what was, and goes with PUT only"));
    }
    if !plain {
        return Err(Problem::parameter("from", "makes the path what it was; leave out Merge-Type and purge"));
    }
    if !is_bare(fields, body) {
        return Err(Problem::parameter("from", "says what to store, so the body must be empty"));
    }
    Ok(Request::Restore { space, path, from, conditions, id })
}

/// `POST /~/<space>/$undo` and `$redo`
pub(super) fn undo(space: SpaceRef, redo: bool, fields: &Fields, body: &[u8]) -> Checked<Request> {
    let scope = if body.is_empty() {
        Path::root()
    } else {
        let document = document(fields, body)?;
        match document.get("path") {
            None | Some(Json::Null) => Path::root(),
            Some(_) => scope(text(&document, "path", "a path as in a URL after the space, such as \"notes/1\"")?)?,
        }
    };
    Ok(Request::Undo { space, scope, redo, id: writer_id(fields)? })
}

/// A path as it stands in a URL after the space; slashes at its ends change nothing.
fn scope(text: &str) -> Checked<Path> {
    path_of(text).ok_or_else(|| Problem::member("path", PATH_AS_IN_URL))
}

const PATH_AS_IN_URL: &str = "must be a path as in a URL after the space, such as \"notes/1\"";

fn path_of(text: &str) -> Option<Path> {
    let names: Option<Vec<String>> =
        text.split('/').filter(|name| !name.is_empty()).map(super::url::percent_decode).collect();
    Path::new(names?).ok()
}

/// Whether a request carries no content at all.
fn is_bare(fields: &Fields, body: &[u8]) -> bool {
    body.is_empty() && fields.raw("content-range").is_none() && fields.raw("patches").is_none()
}

fn put(path: &Path, fields: &Fields, body: Vec<u8>) -> Checked<Change> {
    if let Some(ranges) = patches::read(fields, &body)? {
        return Ok(ranges);
    }
    digest::check(fields, &body)?;
    let media = Media::of(fields)?;
    if let Some(media) = &media {
        if [MERGE_PATCH, JSON_PATCH, COUNTER_PATCH, SET_PATCH].contains(&media.essence.as_str()) {
            let detail = format!("{} is a patch. Send it with PATCH instead of PUT.", media.essence);
            return Err(
                Problem::new(Kind::UnsupportedMediaType, detail).with_header("Accept-Patch", accept_patch(None))
            );
        }
        if media.is_json()? {
            let value = json::read(&body)?;
            if path.is_empty() && !value.is_object() {
                return Err(top_is_an_object());
            }
            return Ok(Change::Put(Body::Json(value)));
        }
    }
    if path.is_empty() {
        return Err(top_is_an_object());
    }
    let media = media.map_or_else(|| UNKNOWN.to_owned(), |media| media.text);
    Ok(Change::Put(Body::Bytes { media, bytes: body }))
}

fn patch(fields: &Fields, body: &[u8]) -> Checked<Change> {
    let ranges = patches::read(fields, body)?;
    let media = match fields.text("content-type")? {
        Some(text) => Media::read(text),
        None => None,
    };
    let essence = media.as_ref().map_or("", |media| media.essence.as_str());
    match (ranges, essence) {
        (Some(_), MERGE_PATCH | JSON_PATCH | COUNTER_PATCH | SET_PATCH) => {
            let detail =
                format!("This is both a range patch and {essence}. Leave out Content-Range and Patches, or the type.");
            Err(Problem::new(Kind::MalformedPatch, detail))
        }
        (Some(ranges), _) => Ok(ranges),
        (None, MERGE_PATCH) => Ok(Change::MergePatch(json::read(body)?)),
        (None, JSON_PATCH) => match json::read(body)? {
            list @ Json::Array(_) => Ok(Change::JsonPatch(list)),
            _ => Err(Problem::new(Kind::MalformedPatch, "A JSON Patch is an array of operations.")),
        },
        (None, COUNTER_PATCH) => Ok(Change::Increment(json::read(body)?)),
        (None, SET_PATCH) => set_patch(&json::read(body)?),
        (None, _) => {
            let detail = format!(
                "Say by Content-Type what kind of patch this is: {MERGE_PATCH} or {JSON_PATCH}; {COUNTER_PATCH} or {SET_PATCH} for those kinds; or send Content-Range: json …, or several as {HTTP_PATCHES}."
            );
            Err(Problem::new(Kind::UnsupportedMediaType, detail).with_header("Accept-Patch", accept_patch(None)))
        }
    }
}

/// `{"add":[…],"remove":[…]}`
fn set_patch(patch: &Json) -> Checked<Change> {
    let wrong = || {
        Problem::new(
            Kind::MalformedPatch,
            "A patch of a set is {\"add\":[…],\"remove\":[…]}: one of the two or both, each an array of JSON values.",
        )
    };
    let members = patch.as_object().filter(|members| members.keys().all(|name| name == "add" || name == "remove"));
    let members = members.filter(|members| !members.is_empty()).ok_or_else(wrong)?;
    let list = |name: &str| match members.get(name) {
        None => Ok(Vec::new()),
        Some(Json::Array(list)) => Ok(list.clone()),
        Some(_) => Err(wrong()),
    };
    Ok(Change::Set { add: list("add")?, remove: list("remove")? })
}

fn delete(fields: &Fields) -> Checked<Change> {
    if fields.raw("content-range").is_some() || fields.raw("patches").is_some() {
        let detail =
            "DELETE removes the whole value. To delete a part, send PATCH with Content-Range and an empty body.";
        return Err(Problem::new(Kind::MalformedPatch, detail));
    }
    Ok(Change::Delete)
}

fn top_is_an_object() -> Box<Problem> {
    Problem::new(
        Kind::UnsupportedMediaType,
        "The top of a space is a JSON object. Store other values below it, as in /~/me/photo.",
    )
}

pub(super) fn merge_type(fields: &Fields) -> Checked<Option<Merge>> {
    let Some(text) = fields.text("merge-type")? else { return Ok(None) };
    if is_dt(fields)? {
        return Ok(Some(Merge::Text));
    }
    Merge::from_name(text.trim_matches('"')).map(Some).ok_or_else(|| {
        let detail = format!(
            "This peer has no merge type of that name. Send one of {}, or leave out Merge-Type to keep what the value has.",
            merge_types(None)
        );
        merge_type_not_supported(&detail)
    })
}

/// Whether a client of a text has a history of its own.
pub(super) fn is_dt(fields: &Fields) -> Checked<bool> {
    Ok(fields.text("merge-type")?.is_some_and(|text| text.trim_matches('"') == DT))
}

fn merge_type_not_supported(detail: &str) -> Box<Problem> {
    let names = merge_types(None);
    Problem::new(Kind::MergeTypeNotSupported, detail)
        .with("supported", names.split(", ").map(str::to_owned).collect::<Vec<_>>())
        .with_header("Merge-Type", names)
}

fn check_encoding(fields: &Fields) -> Checked<()> {
    match fields.text("content-encoding")? {
        Some(text) if !text.eq_ignore_ascii_case("identity") => {
            let detail = "Bodies are taken as they are. Send this one without a Content-Encoding.";
            Err(Problem::new(Kind::UnsupportedMediaType, detail).with_header("Accept-Encoding", "identity"))
        }
        _ => Ok(()),
    }
}

/// The id the writer chose for this write: at most one.
fn writer_id(fields: &Fields) -> Checked<Option<String>> {
    let Some(text) = fields.text("version")? else { return Ok(None) };
    let mut ids = versions::read_strings("version", text)?.into_iter();
    match (ids.next(), ids.next()) {
        (id, None) => Ok(id),
        _ => Err(Problem::header("version", "must name one id on a write, or be left out")),
    }
}

/// `POST /~/spaces`
pub(super) fn create_space(fields: &Fields, body: &[u8]) -> Checked<Request> {
    let document = document(fields, body)?;
    let name = text(&document, "name", "a name for the space, such as \"Trip\"")?.trim().to_owned();
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(Problem::member(
            "name",
            &format!("must have 1 to {MAX_NAME_CHARS} characters, none of them control characters"),
        ));
    }
    Ok(Request::CreateSpace { name })
}

/// `POST /~/join`
pub(super) fn join(fields: &Fields, body: &[u8]) -> Checked<Request> {
    let document = document(fields, body)?;
    let invite = text(&document, "invite", "the invite's URL or the part of it after #")?.trim().to_owned();
    if invite.is_empty() || invite.len() > MAX_INVITE_BYTES {
        return Err(Problem::member("invite", &format!("must have 1 to {MAX_INVITE_BYTES} bytes")));
    }
    Ok(Request::Join { invite })
}

/// `POST /~/<space>/$invites`
pub(super) fn invite(space: SpaceRef, origin: &str, fields: &Fields, body: &[u8]) -> Checked<Request> {
    let document = document(fields, body)?;
    let role = Role::from_name(text(&document, "role", "\"reader\" or \"writer\"")?);
    let Some(role @ (Role::Reader | Role::Writer)) = role else {
        return Err(Problem::member("role", "must be \"reader\" or \"writer\""));
    };
    let app = match document.get("app") {
        None => "/",
        Some(_) => text(&document, "app", "the path of the app the link opens, such as \"/board/\"")?,
    };
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '\\' && c != '#';
    if !app.starts_with('/') || app.starts_with("//") || app.len() > MAX_APP_BYTES || !app.chars().all(plain) {
        return Err(Problem::member(
            "app",
            &format!(
                "must be a path on this origin that begins with one slash and has at most {MAX_APP_BYTES} bytes, without # and spaces"
            ),
        ));
    }
    if origin.is_empty() {
        return Err(Problem::new(
            Kind::MalformedUrl,
            "An invite needs the absolute URL of the request, to know the origin of its link.",
        ));
    }
    Ok(Request::Invite { space, role, app: app.to_owned(), origin: origin.to_owned() })
}

/// `PUT` and `DELETE` of `/~/<space>/$policy/<prefix>`
pub(super) fn policy(method: &str, space: SpaceRef, prefix: Path, fields: &Fields, body: &[u8]) -> Checked<Request> {
    let policy = if method == "DELETE" {
        None
    } else {
        let read = Policy::read(&document(fields, body)?);
        Some(read.map_err(|PolicyError(member, what)| Problem::member(member, what))?)
    };
    Ok(Request::SetPolicy { space, prefix, policy })
}

/// `POST /~/<space>/$quota`
pub(super) fn allow(space: SpaceRef, fields: &Fields, body: &[u8]) -> Checked<Request> {
    let document = document(fields, body)?;
    let author = text(&document, "author", "a did:key of an identity, or the peer id of one of its devices")?;
    if author.is_empty() || author.len() > MAX_AUTHOR_BYTES {
        return Err(Problem::member("author", &format!("must have 1 to {MAX_AUTHOR_BYTES} bytes")));
    }
    let allow = document.get("allow").and_then(Json::as_u64).filter(|bytes| (1..=MAX_ALLOWED).contains(bytes));
    let Some(bytes) = allow else {
        let what = format!("must be a whole number of bytes, 1 to {MAX_ALLOWED}: how much more to take of the author");
        return Err(Problem::member("allow", &what));
    };
    Ok(Request::Allow { space, author: author.to_owned(), bytes })
}

/// The JSON object a request carries.
fn document(fields: &Fields, body: &[u8]) -> Checked<Json> {
    check_encoding(fields)?;
    let is_json = match Media::of(fields)? {
        Some(media) => media.is_json()?,
        None => false,
    };
    if !is_json {
        let detail = "Send a JSON object with Content-Type: application/json.";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail).with_header("Accept-Post", "application/json"));
    }
    match json::read(body)? {
        object @ Json::Object(_) => Ok(object),
        _ => Err(Problem::new(Kind::WrongMember, "The body must be a JSON object.")),
    }
}

/// A member that must be a string; `what` says of what.
fn text<'a>(document: &'a Json, member: &str, what: &str) -> Checked<&'a str> {
    let found = document.get(member).and_then(Json::as_str);
    found.ok_or_else(|| Problem::member(member, &format!("must be a string: {what}")))
}
