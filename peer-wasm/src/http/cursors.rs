//! Cursors: who is where in a value, at the value's own URL, in the form clients of braid-text speak.

use super::accept::asks_for;
use super::frame::{Followed, Form, Framer};
use super::limits::MAX_CLIENT_BYTES;
use super::message::{Fields, HttpResponse};
use super::patches;
use super::problem::{Checked, Kind, Problem};
use super::read::heartbeat;
use super::render::{Render, Shape};
use super::url::Url;
use super::versions;
use kith_core::api::{Change, Request, Selections, SpaceRef, Target, is_client};
use kith_core::path::Path;
use serde_json::{Map, Value as Json};

/// The media type of cursors.
pub(super) const CURSORS: &str = "application/text-cursors+json";

/// Whether a request is about the cursors at a place, by what it accepts or by what it brings.
pub(super) fn are_meant(fields: &Fields) -> bool {
    let brings = |name| {
        let essence = fields.raw(name).and_then(|text| text.split(';').next());
        essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(CURSORS))
    };
    asks_for(fields.raw("accept"), CURSORS) || brings("repr-type") || brings("content-type")
}

/// The client's name for itself, bare or in quotes.
pub(super) fn peer(fields: &Fields) -> Checked<Option<String>> {
    let Some(text) = fields.text("peer")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong =
        || Problem::header("peer", &format!("must be one name of 1 to {MAX_CLIENT_BYTES} bytes, bare or in quotes"));
    let name = match text.strip_prefix('"') {
        Some(_) => match versions::read_strings("peer", text).map_err(|_| wrong())?.as_slice() {
            [name] => name.clone(),
            _ => return Err(wrong()),
        },
        None => text.to_owned(),
    };
    if is_client(&name) { Ok(Some(name)) } else { Err(wrong()) }
}

/// A `GET` or `HEAD` of the cursors at a place.
pub(super) fn read(space: SpaceRef, path: Path, head: bool, url: &Url, fields: &Fields) -> Checked<(Request, Render)> {
    let subscribe = !head && fields.text("subscribe")?.is_some_and(|text| !matches!(text, "false" | "?0"));
    if !subscribe {
        return Ok((Request::Cursors { space, path }, Render::new(url.here(), head, Shape::Cursors)));
    }
    let target = Target::Cursors { space, path, client: peer(fields)? };
    let framer = Framer::new(Form::Braid, Followed::Cursors, url.here(), heartbeat(fields)?);
    Ok((Request::Subscribe(target), Render::new(url.here(), false, Shape::Stream { framer, afresh: None })))
}

/// A `PUT` of one client's cursor.
pub(super) fn write(
    space: SpaceRef,
    path: Path,
    url: &Url,
    fields: &Fields,
    body: &[u8],
) -> Checked<(Request, Render)> {
    let range = || {
        let detail =
            "Say whose cursor this is: Content-Range: json [\"name\"], with the name of your subscription's Peer.";
        Problem::new(Kind::MalformedPatch, detail)
    };
    let Some(Change::Ranges(ranges)) = patches::read(fields, body)? else { return Err(range()) };
    let [(place, selections)] = ranges.as_slice() else { return Err(range()) };
    let [client]: [String; 1] = serde_json::from_str(place).map_err(|_| range())?;
    if !is_client(&client) {
        return Err(range());
    }
    let selections = selections.clone().unwrap_or_else(|| Json::Array(Vec::new()));
    let selections =
        Selections::read(selections).map_err(|what| Problem::new(Kind::WrongMember, format!("A cursor {what}.")))?;
    let request = Request::Present { space, path, client, selections };
    Ok((request, Render::new(url.here(), false, Shape::Cursors)))
}

/// All cursors at a place.
pub(super) fn response(cursors: &Json) -> HttpResponse {
    HttpResponse::new(200)
        .with("Cache-Control", "no-store")
        .with("Vary", "Accept")
        .with("Accept-Subscribe", "true")
        .with("X-Content-Type-Options", "nosniff")
        .with_body(CURSORS, cursors.to_string().into_bytes())
}

/// Clients and where they are as one document. One that left is left out.
pub(super) fn document(cursors: &[(String, Option<Selections>)]) -> Json {
    let present = cursors.iter().filter_map(|(client, at)| Some((client.clone(), at.as_ref()?.as_json().clone())));
    Json::Object(present.collect::<Map<_, _>>())
}

/// Clients that moved as patches of that document: a range and what replaces it, nothing for one that left.
pub(super) fn moves(cursors: &[(String, Option<Selections>)]) -> Vec<(String, String)> {
    let one = |(client, at): &(String, Option<Selections>)| {
        let text = at.as_ref().map(|at| at.as_json().to_string()).unwrap_or_default();
        (format!("json [{}]", versions::quote(client)), text)
    };
    cursors.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(value: &str) -> Result<Option<String>, u16> {
        let fields = Fields::new(vec![("Peer".to_owned(), value.to_owned())]).unwrap();
        peer(&fields).map_err(|problem| problem.status())
    }

    #[test]
    fn a_client_names_itself_bare_or_in_quotes() {
        assert_eq!(named("k3j9"), Ok(Some("k3j9".to_owned())));
        assert_eq!(named("\"k 3\\u00e9\""), Ok(Some("k 3é".to_owned())));
        assert_eq!(named(""), Ok(None));
        for bad in ["\"a\", \"b\"", "\"a", "\"\"", &"x".repeat(129)] {
            assert_eq!(named(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn moves_are_patches_of_the_document() {
        let at = Selections::parse("[{\"from\":1,\"to\":2}]");
        let cursors = [("a".to_owned(), at), ("é\"".to_owned(), None)];
        assert_eq!(document(&cursors).to_string(), "{\"a\":[{\"from\":1,\"to\":2}]}");
        let moves = moves(&cursors);
        assert_eq!(moves[0], ("json [\"a\"]".to_owned(), "[{\"from\":1,\"to\":2}]".to_owned()));
        assert_eq!(moves[1], ("json [\"\\u00e9\\\"\"]".to_owned(), String::new()));
    }
}
