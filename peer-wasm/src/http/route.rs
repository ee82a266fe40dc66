//! Which place of the surface a URL names, and what can be done there.

use super::files::SPACE_FILE;
use super::limits::MAX_SPACE_ID_CHARS;
use super::message::HttpResponse;
use super::patches::HTTP_PATCHES;
use super::problem::{Checked, Kind, Problem};
use super::url::Url;
use kith_core::api::{Merge, SpaceRef};
use kith_core::path::{MAX_PATH_BYTES, MAX_SEGMENTS, Path, PathError};

/// Patch formats taken by `PATCH` for values of any kind.
pub(super) const ACCEPT_PATCH: &str =
    "application/merge-patch+json, application/json-patch+json, application/http-patches";
/// A number to add to a counter.
pub(super) const COUNTER_PATCH: &str = "application/vnd.kith.counter+json";
/// Members to add to a set and to remove from it.
pub(super) const SET_PATCH: &str = "application/vnd.kith.set+json";

/// The patch formats for a value of this merge type; of any if it is not known which.
pub(super) fn accept_patch(merge: Option<Merge>) -> String {
    let special: &[&str] = match merge {
        Some(Merge::Counter) => &[COUNTER_PATCH],
        Some(Merge::Set) => &[SET_PATCH],
        Some(Merge::Text) => return HTTP_PATCHES.to_owned(),
        Some(_) => &[],
        None => &[COUNTER_PATCH, SET_PATCH],
    };
    special.iter().copied().chain([ACCEPT_PATCH]).collect::<Vec<_>>().join(", ")
}

/// What clients with a history of their own call texts.
pub(super) const DT: &str = "dt";

/// The name of a merge type, or of all of them.
pub(super) fn merge_types(merge: Option<Merge>) -> String {
    match merge {
        Some(Merge::Text) => [Merge::Text.name(), DT].join(", "),
        Some(merge) => merge.name().to_owned(),
        None => Merge::ALL.map(Merge::name).into_iter().chain([DT]).collect::<Vec<_>>().join(", "),
    }
}

/// The units of range patches for a value of this merge type; of any if it is not known which.
fn range_units(merge: Option<Merge>) -> &'static str {
    match merge {
        Some(Merge::Text) => "text",
        Some(_) => "json",
        None => "json, text",
    }
}

/// A place of the surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/~/`
    Info,
    /// `/~/peer`
    Peer,
    /// `/~/peer/ping`
    Ping,
    /// `/~/spaces`
    Spaces,
    /// `/~/join`
    Join,
    /// `/~/<space>/$invites`
    Invites(SpaceRef),
    /// `/~/<space>/$members`
    Members(SpaceRef),
    /// `/~/<space>/$quota`
    Quota(SpaceRef),
    /// `/~/<space>/$sync`
    Sync(SpaceRef),
    /// `/~/<space>/$changes`
    Changes(SpaceRef),
    /// `/~/<space>/$conflicts`
    Conflicts(SpaceRef),
    /// `/~/<space>/$policy`: all of them; what is set here counts for the whole space
    Policies(SpaceRef),
    /// `/~/<space>/$policy/<prefix>`
    Policy(SpaceRef, Path),
    /// `/~/import`
    Import,
    /// `/~/<space>/$export`
    Export(SpaceRef),
    /// `/~/<space>/$undo`, or `$redo` if true
    Undo(SpaceRef, bool),
    /// `/~/<space>/<path>`
    Value(SpaceRef, Path),
    /// `/~/<space>/<prefix>/`
    List(SpaceRef, Path),
}

impl Route {
    /// The place a URL names.
    pub(super) fn of(url: &Url) -> Checked<Route> {
        let names: Vec<&str> = url.segments.iter().map(String::as_str).collect();
        match (names.as_slice(), url.folder) {
            ([], _) => Ok(Route::Info),
            (["peer"], false) => Ok(Route::Peer),
            (["peer", "ping"], false) => Ok(Route::Ping),
            (["spaces"], false) => Ok(Route::Spaces),
            (["join"], false) => Ok(Route::Join),
            (["import"], false) => Ok(Route::Import),
            (["peer" | "spaces" | "join" | "import", ..], _) => {
                Err(no_such_place(url, "Look at /~/ for what there is."))
            }
            ([first, ..], _) if first.starts_with('$') => {
                Err(no_such_place(url, "Names that begin with $ stand after a space, as in /~/me/$changes."))
            }
            ([space, reserved, rest @ ..], folder) if reserved.starts_with('$') => {
                let space = space_ref(space)?;
                match (*reserved, rest, folder) {
                    ("$invites", [], false) => Ok(Route::Invites(space)),
                    ("$members", [], false) => Ok(Route::Members(space)),
                    ("$quota", [], false) => Ok(Route::Quota(space)),
                    ("$sync", [], false) => Ok(Route::Sync(space)),
                    ("$changes", [], false) => Ok(Route::Changes(space)),
                    ("$conflicts", [], false) => Ok(Route::Conflicts(space)),
                    ("$policy", [], _) => Ok(Route::Policies(space)),
                    ("$policy", prefix, false) => {
                        let prefix = Path::new(prefix.iter().copied()).map_err(|error| wrong_path(&error))?;
                        Ok(Route::Policy(space, prefix))
                    }
                    ("$export", [], false) => Ok(Route::Export(space)),
                    ("$undo", [], false) => Ok(Route::Undo(space, false)),
                    ("$redo", [], false) => Ok(Route::Undo(space, true)),
                    _ => Err(no_such_place(
                        url,
                        "Of the names that begin with $, this peer has $changes, $conflicts, $export, $invites, $members, $policy, $quota, $redo, $sync and $undo, without a slash at the end.",
                    )),
                }
            }
            ([space, names @ ..], folder) => {
                let space = space_ref(space)?;
                let path = Path::new(names.iter().copied()).map_err(|error| wrong_path(&error))?;
                Ok(if folder { Route::List(space, path) } else { Route::Value(space, path) })
            }
        }
    }

    /// The methods that can be used here, as in `Allow`.
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Route::Info
            | Route::Peer
            | Route::Members(_)
            | Route::Changes(_)
            | Route::Export(_)
            | Route::Conflicts(_)
            | Route::Sync(_)
            | Route::List(..) => "GET, HEAD, OPTIONS",
            Route::Policies(_) | Route::Policy(..) => "GET, HEAD, PUT, DELETE, OPTIONS",
            Route::Ping | Route::Join | Route::Import | Route::Undo(..) => "POST, OPTIONS",
            Route::Spaces | Route::Invites(_) | Route::Quota(_) => "GET, HEAD, POST, OPTIONS",
            Route::Value(_, path) if path.is_empty() => "GET, HEAD, PUT, PATCH, OPTIONS",
            Route::Value(..) => "GET, HEAD, PUT, PATCH, DELETE, OPTIONS",
        }
    }

    /// Whether this place can be subscribed to.
    pub(super) fn is_subscribable(&self) -> bool {
        matches!(self, Route::Peer | Route::Changes(_) | Route::Value(..) | Route::List(..))
    }

    /// 405, unless `method` can be used here.
    pub(super) fn check(&self, method: &str) -> Checked<()> {
        let allow = self.allow();
        if allow.split(", ").any(|known| known == method) {
            return Ok(());
        }
        let capitals = method.to_ascii_uppercase();
        let detail = if method != capitals && allow.split(", ").any(|known| known == capitals) {
            format!("Methods are written in capitals: {capitals}.")
        } else {
            format!("Use one of {allow} here.")
        };
        Err(Problem::new(Kind::MethodNotAllowed, detail)
            .with_header("Allow", allow)
            .with("allow", allow.split(", ").map(str::to_owned).collect::<Vec<_>>()))
    }

    /// The answer to `OPTIONS`, where the value's merge type is known with that.
    pub(super) fn options(&self, merge: Option<Merge>) -> HttpResponse {
        let mut response = HttpResponse::new(204).with("Allow", self.allow()).with("Cache-Control", "no-store");
        if let Route::Value(..) = self {
            response = response
                .with("Accept-Patch", accept_patch(merge))
                .with("Merge-Type", merge_types(merge))
                .with("Accept-Ranges", "bytes")
                .with("Range-Request-Allow-Methods", "PATCH, PUT")
                .with("Range-Request-Allow-Units", range_units(merge));
        }
        if let Route::Spaces | Route::Join | Route::Invites(_) | Route::Quota(_) | Route::Undo(..) = self {
            response = response.with("Accept-Post", "application/json");
        }
        if *self == Route::Import {
            response = response.with("Accept-Post", SPACE_FILE);
        }
        if self.is_subscribable() {
            response = response.with("Accept-Subscribe", "true");
        }
        response
    }
}

fn no_such_place(url: &Url, hint: &str) -> Box<Problem> {
    let place = format!("{}{}", url.here(), if url.folder { "/" } else { "" });
    Problem::new(Kind::NoSuchPlace, format!("This peer has no {place}. {hint}")).with("place", place)
}

fn space_ref(name: &str) -> Checked<SpaceRef> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if name == "me" {
        Ok(SpaceRef::Me)
    } else if name.len() <= MAX_SPACE_ID_CHARS && name.bytes().all(plain) {
        Ok(SpaceRef::Id(name.to_owned()))
    } else {
        let detail = "That is not the id of a space. Ids are letters and digits; your own space is called me.";
        Err(Problem::new(Kind::NoSuchSpace, detail))
    }
}

fn wrong_path(error: &PathError) -> Box<Problem> {
    match error {
        PathError::TooDeep => Problem::new(Kind::TooLong, error.to_string()).with("limit", MAX_SEGMENTS),
        PathError::TooLong => Problem::new(Kind::TooLong, error.to_string()).with("limit", MAX_PATH_BYTES),
        PathError::Nul | PathError::Reserved => Problem::new(Kind::MalformedUrl, error.to_string()),
    }
}
