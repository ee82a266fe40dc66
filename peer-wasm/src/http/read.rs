//! Requests that read: values, listings, feeds, documents, and subscriptions to them.

use super::accept::{EVENT_STREAM, asks_for, asks_for_lines};
use super::conditions;
use super::cursors;
use super::frame::{Followed, Form, Framer};
use super::history;
use super::limits::{MAX_CURSOR_BYTES, MAX_HEARTBEAT_SECONDS, MAX_PAGE, SSE_HEARTBEAT_SECONDS};
use super::message::Fields;
use super::problem::{Checked, Kind, Problem};
use super::render::{Render, Shape};
use super::route::Route;
use super::url::Url;
use super::versions;
use super::write::{is_dt, merge_type};
use kith_core::api::{At, ListQuery, Request, Target};
use kith_core::path::Path;
use kith_core::version::Version;

/// A `GET` or `HEAD`.
pub(super) fn read(route: Route, head: bool, url: &Url, fields: &Fields) -> Checked<(Request, Render)> {
    if let Route::Value(space, path) = &route
        && cursors::are_meant(fields)
    {
        return cursors::read(space.clone(), path.clone(), head, url, fields);
    }
    let form = if head { None } else { form(fields)? };
    if let Some(form) = form {
        if !route.is_subscribable() {
            let detail = "This place cannot be subscribed to. Leave out Subscribe and text/event-stream; /~/peer can be subscribed to.";
            return Err(Problem::new(Kind::NotSubscribable, detail));
        }
        return subscribe(route, form, url, fields);
    }
    let (request, shape) = match route {
        Route::Info => (Request::Info, Shape::Document),
        Route::Peer => (Request::Status, Shape::Document),
        Route::Spaces => (Request::Spaces, Shape::Document),
        Route::Invites(space) => (Request::Invites { space }, Shape::Document),
        Route::Members(space) => (Request::Members { space }, Shape::Document),
        Route::Conflicts(space) => (Request::Conflicts { space }, Shape::Document),
        Route::Policies(space) => (Request::Policies { space }, Shape::Document),
        Route::Policy(space, prefix) => (Request::Policy { space, prefix }, Shape::Document),
        Route::Quota(space) => (Request::Quotas { space }, Shape::Document),
        Route::Sync(space) => (Request::Spread { space, versions: history::versions(url)? }, Shape::Document),
        Route::Value(space, path) | Route::List(space, path) if url.flag("history")? => {
            let (before, limit) = (history::before(url)?, limit(url)?);
            let shape = Shape::History { lines: asks_for_lines(fields.raw("accept")), limit };
            (Request::History { space, path, before, limit }, shape)
        }
        Route::Value(space, path) if url.flag("link")? => {
            (Request::Link { space, path, at: history::at(url, fields)? }, Shape::Document)
        }
        Route::Value(space, path) => {
            let (at, hash, parents) = (history::at(url, fields)?, history::hash(url)?, parents(fields)?);
            let range = match fields.text("range")? {
                Some(range) if !head => Some((range.to_owned(), fields.text("if-range")?.map(str::to_owned))),
                _ => None,
            };
            let shape = Shape::Value { conditions: conditions::read(fields)?, range };
            match at {
                None if hash.is_some() => return Err(Problem::parameter("hash", "goes with version")),
                None => (Request::Get { space, path, parents }, shape),
                Some(at) => return Ok(past(url, head, &at.clone(), Request::GetAt { space, path, at, hash }, shape)),
            }
        }
        Route::List(space, prefix) => {
            let query = list_query(url)?;
            let lines = asks_for_lines(fields.raw("accept"));
            let at = history::at(url, fields)?;
            let past_query = at.as_ref().map(history::query);
            let conditions = conditions::read(fields)?;
            let shape = Shape::List { conditions, lines, query: query.clone(), at: past_query };
            match at {
                None => (Request::List { space, prefix, query }, shape),
                Some(at) => {
                    return Ok(past(url, head, &at.clone(), Request::ListAt { space, prefix, query, at }, shape));
                }
            }
        }
        Route::Export(space) => {
            let keys = url.flag("keys")?;
            let shape = Shape::Export { space: space.clone(), keys };
            (Request::Export { space, keys, state: None }, shape)
        }
        Route::Changes(space) => {
            let limit = limit(url)?;
            let since = url.parameter("since")?.map(|since| cursor("since", since)).transpose()?;
            let shape = Shape::Changes { lines: asks_for_lines(fields.raw("accept")), limit };
            (Request::Changes { space, since, limit }, shape)
        }
        Route::Ping | Route::Join | Route::Import | Route::Undo(..) => {
            return Err(Problem::new(Kind::Internal, "This place is not for reading."));
        }
    };
    Ok((request, Render::new(url.here(), head, shape)))
}

fn subscribe(route: Route, form: Form, url: &Url, fields: &Fields) -> Checked<(Request, Render)> {
    check_present(url, fields)?;
    let (target, fresh, followed) = match route {
        Route::Value(space, path) if form == Form::Braid && text_is_meant(fields)? => {
            let parents = versions::read_strings("parents", fields.text("parents")?.unwrap_or_default())?;
            let parents = Some(parents).filter(|parents| !parents.is_empty());
            let events = is_dt(fields)?;
            let target = Target::Text { space, path, parents, client: cursors::peer(fields)?, events };
            (target.clone(), target, Followed::Value)
        }
        Route::Value(space, path) => {
            let parents = resume(form, url, fields)?;
            let target = |parents| Target::Value { space: space.clone(), path: path.clone(), parents };
            (target(parents), target(None), Followed::Value)
        }
        Route::List(space, prefix) => {
            let parents = resume(form, url, fields)?;
            let query = list_query(url)?;
            let target =
                |parents| Target::List { space: space.clone(), prefix: prefix.clone(), query: query.clone(), parents };
            (target(parents), target(None), Followed::List)
        }
        Route::Changes(space) => {
            let given = url.parameter("since")?.map(|since| cursor("since", since)).transpose()?;
            let target = |since| Target::Changes { space: space.clone(), since };
            let resumed = resume_cursor(form, url, fields)?;
            let followed = Followed::Changes { resumed: resumed.is_some() };
            (target(resumed.or_else(|| given.clone())), target(given), followed)
        }
        _ => (Target::Status, Target::Status, Followed::Status),
    };
    let heartbeat = match form {
        Form::Braid => heartbeat(fields)?,
        Form::Events => Some(heartbeat(fields)?.unwrap_or(SSE_HEARTBEAT_SECONDS)),
    };
    // A browser's EventSource gives up for good on any error, so where its memory no longer fits it starts afresh.
    let afresh = (form == Form::Events && target != fresh).then_some(fresh);
    let framer = Framer::new(form, followed, url.here(), heartbeat);
    let render = Render::new(url.here(), false, Shape::Stream { framer, afresh });
    let render = match &target {
        Target::Text { parents: Some(parents), .. } => render.naming(parents),
        _ => render,
    };
    Ok((Request::Subscribe(target), render))
}

/// Whether this is a subscription, and in which form.
fn form(fields: &Fields) -> Checked<Option<Form>> {
    let subscribe = fields.text("subscribe")?;
    if matches!(subscribe, Some("false" | "?0")) {
        return Ok(None);
    }
    if asks_for(fields.raw("accept"), EVENT_STREAM) {
        return Ok(Some(Form::Events));
    }
    Ok(subscribe.map(|_| Form::Braid))
}

/// Whether a subscriber wants patches of a text. Those of another merge type are followed as they are.
fn text_is_meant(fields: &Fields) -> Checked<bool> {
    match fields.text("merge-type")?.map(|text| text.trim_matches('"')) {
        Some("simpleton" | "dt") => Ok(merge_type(fields)?.is_some()),
        _ => Ok(false),
    }
}

fn parents(fields: &Fields) -> Checked<Vec<Version>> {
    versions::known(versions::read_strings("parents", fields.text("parents")?.unwrap_or_default())?)
}

/// Where a reader of events stopped, by header or, for those that cannot set one, by parameter.
fn last_event_id<'a>(form: Form, url: &'a Url, fields: &'a Fields) -> Checked<Option<&'a str>> {
    if form != Form::Events {
        return Ok(None);
    }
    let header = fields.raw("last-event-id").filter(|id| !id.is_empty());
    Ok(match header {
        Some(id) => Some(id),
        None => url.parameter("lastEventId")?.filter(|id| !id.is_empty()),
    })
}

/// The versions a subscriber already has.
fn resume(form: Form, url: &Url, fields: &Fields) -> Checked<Option<Vec<Version>>> {
    if let Some(id) = last_event_id(form, url, fields)? {
        return Ok(versions::known(versions::split(id)).ok().filter(|known| !known.is_empty()));
    }
    Ok(Some(parents(fields)?).filter(|parents| !parents.is_empty()))
}

/// The cursor a subscriber of a feed already has.
fn resume_cursor(form: Form, url: &Url, fields: &Fields) -> Checked<Option<String>> {
    if let Some(id) = last_event_id(form, url, fields)? {
        return Ok(cursor("lastEventId", id).ok());
    }
    let mut cursors = versions::read_strings("parents", fields.text("parents")?.unwrap_or_default())?.into_iter();
    match (cursors.next(), cursors.next()) {
        (Some(given), None) => {
            let wrong = || Problem::header("parents", "must be the Version of the last frame");
            cursor("parents", &given).map(Some).map_err(|_| wrong())
        }
        (None, _) => Ok(None),
        _ => Err(Problem::header("parents", "must name one cursor here: the Version of the last frame")),
    }
}

fn cursor(parameter: &str, text: &str) -> Checked<String> {
    if text.is_empty() || text.len() > MAX_CURSOR_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::parameter(parameter, "must be a cursor from this feed, as it was given"));
    }
    Ok(text.to_owned())
}

/// A read of the past: listings it leads to are of the same past.
fn past(url: &Url, head: bool, at: &At, request: Request, shape: Shape) -> (Request, Render) {
    (request, Render::new(url.here(), head, shape).of_the_past(history::query(at)))
}

fn check_present(url: &Url, fields: &Fields) -> Checked<()> {
    if fields.raw("version").is_some() || url.parameter("version")?.is_some() || url.parameter("at")?.is_some() {
        let detail = "Subscribe follows what is current, so Version cannot be given with it. Send Parents to resume.";
        return Err(Problem::new(Kind::MalformedHeader, detail).with("header", "version"));
    }
    if url.flag("history")? || url.flag("link")? {
        let detail = "A list of versions cannot be subscribed to. Leave out ?history; $changes can be subscribed to.";
        return Err(Problem::new(Kind::NotOffered, detail));
    }
    Ok(())
}

fn limit(url: &Url) -> Checked<usize> {
    let Some(text) = url.parameter("limit")? else { return Ok(MAX_PAGE) };
    let wrong =
        || Problem::parameter("limit", &format!("must be a number from 1 to {MAX_PAGE}")).with("limit", MAX_PAGE);
    text.parse::<usize>().ok().filter(|limit| (1..=MAX_PAGE).contains(limit)).ok_or_else(wrong)
}

fn list_query(url: &Url) -> Checked<ListQuery> {
    let key = |name: &'static str| -> Checked<Option<String>> {
        let Some(key) = url.parameter(name)?.filter(|key| !key.is_empty()) else { return Ok(None) };
        match Path::root().child(key.trim_start_matches('$')) {
            Ok(_) => Ok(Some(key.to_owned())),
            Err(_) => Err(Problem::parameter(name, "is not a key that can exist")),
        }
    };
    Ok(ListQuery {
        start: key("start")?,
        end: key("end")?,
        limit: limit(url)?,
        reverse: url.flag("reverse")?,
        values: url.flag("values")?,
    })
}

/// The pause between heartbeats that is asked for, in whole seconds.
pub(super) fn heartbeat(fields: &Fields) -> Checked<Option<u32>> {
    let Some(text) = fields.text("heartbeats")? else { return Ok(None) };
    let number = text.strip_suffix('s').unwrap_or(text).trim_end();
    let whole = number.split_once('.').map_or(number, |(whole, _)| whole);
    let readable = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match whole.parse::<u32>() {
        Ok(seconds) if readable => Ok(Some(seconds.clamp(1, MAX_HEARTBEAT_SECONDS))),
        _ => Err(Problem::header("heartbeats", "must be a number of seconds such as 10s")),
    }
}
