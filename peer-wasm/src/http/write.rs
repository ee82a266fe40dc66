//! Requests that change something: `PUT`, `PATCH`, `DELETE` on values and `POST` where new things are made.

use super::conditions;
use super::history;
use super::json;
use super::limits::{MAX_APP_BYTES, MAX_INVITE_BYTES, MAX_NAME_CHARS};
use super::media::{Media, UNKNOWN};
use super::message::Fields;
use super::patches::{self, HTTP_PATCHES};
use super::problem::{Checked, Kind, Problem};
use super::route::{ACCEPT_PATCH, MERGE_TYPE};
use super::url::Url;
use super::versions;
use kith_core::api::{At, Body, Change, Preconditions, Request, Role, SpaceRef};
use kith_core::path::Path;
use serde_json::Value as Json;

const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

/// A change of the value at a path.
pub(super) fn change(
    method: &str,
    space: SpaceRef,
    path: Path,
    url: &Url,
    fields: &Fields,
    body: Vec<u8>,
) -> Checked<Request> {
    check_merge_type(fields)?;
    check_encoding(fields)?;
    let conditions = conditions::read(fields)?;
    let id = writer_id(fields)?;
    // What the writer built on is recorded by the peer itself; the header still has to be readable.
    versions::read_strings("parents", fields.text("parents")?.unwrap_or_default())?;
    if let Some(from) = history::from(url)? {
        return restore(method, space, path, from, conditions, id, fields, &body);
    }
    let change = match method {
        "PUT" => put(&path, fields, body)?,
        "PATCH" => patch(fields, &body)?,
        _ => delete(fields)?,
    };
    Ok(Request::Write { space, path, change, conditions, id })
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
    fields: &Fields,
    body: &[u8],
) -> Checked<Request> {
    if method != "PUT" {
        return Err(Problem::parameter("from", "restores what was, and goes with PUT only"));
    }
    if !body.is_empty() || fields.raw("content-range").is_some() || fields.raw("patches").is_some() {
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
    let wrong = || Problem::member("path", "must be a path as in a URL after the space, such as \"notes/1\"");
    let names: Option<Vec<String>> =
        text.split('/').filter(|name| !name.is_empty()).map(super::url::percent_decode).collect();
    Path::new(names.ok_or_else(wrong)?).map_err(|_| wrong())
}

fn put(path: &Path, fields: &Fields, body: Vec<u8>) -> Checked<Change> {
    if let Some(ranges) = patches::read(fields, &body)? {
        return Ok(ranges);
    }
    let media = Media::of(fields)?;
    if let Some(media) = &media {
        if [MERGE_PATCH, JSON_PATCH].contains(&media.essence.as_str()) {
            let detail = format!("{} is a patch. Send it with PATCH instead of PUT.", media.essence);
            return Err(Problem::new(Kind::UnsupportedMediaType, detail).with_header("Accept-Patch", ACCEPT_PATCH));
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
        (Some(_), MERGE_PATCH | JSON_PATCH) => {
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
        (None, _) => {
            let detail = format!(
                "Say by Content-Type what kind of patch this is: {MERGE_PATCH} or {JSON_PATCH}; or send Content-Range: json …, or several as {HTTP_PATCHES}."
            );
            Err(Problem::new(Kind::UnsupportedMediaType, detail).with_header("Accept-Patch", ACCEPT_PATCH))
        }
    }
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

fn check_merge_type(fields: &Fields) -> Checked<()> {
    match fields.text("merge-type")? {
        Some(text) if text.trim_matches('"') != MERGE_TYPE => {
            let detail = format!(
                "This peer merges values by {MERGE_TYPE} (the last writer of a field wins). Leave out Merge-Type, or send Merge-Type: {MERGE_TYPE}."
            );
            Err(Problem::new(Kind::MergeTypeNotSupported, detail)
                .with("supported", vec![MERGE_TYPE])
                .with_header("Merge-Type", MERGE_TYPE))
        }
        _ => Ok(()),
    }
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

/// The JSON object a `POST` carries.
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
