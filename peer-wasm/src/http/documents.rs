//! Items of listings and feeds as JSON, and values as bytes with their media type.

use super::accept::JSON;
use super::media::{Media, UNKNOWN};
use super::text::TEXT;
use super::url::percent_encode;
use super::versions;
use kith_core::api::{Body, ChangeItem, Item, Merge};
use kith_core::path::Path;
use serde_json::{Value as Json, json};

/// A value's media type and bytes as readers get them.
///
/// The type came from a writer somewhere: one that cannot be a header is given as unknown bytes.
pub(super) fn bytes_of(body: &Body) -> (String, Vec<u8>) {
    match body {
        Body::Json(value) => (JSON.to_owned(), value.to_string().into_bytes()),
        Body::Bytes { media, bytes } => (media_of(media), bytes.clone()),
    }
}

/// The same of a value of this merge type: a text says how it is encoded.
pub(super) fn bytes_of_kind(body: &Body, merge: Merge) -> (String, Vec<u8>) {
    let (media, bytes) = bytes_of(body);
    if merge == Merge::Text && matches!(body, Body::Bytes { .. }) { (TEXT.to_owned(), bytes) } else { (media, bytes) }
}

/// A value's media type as readers get it.
pub(super) fn media(body: &Body) -> String {
    match body {
        Body::Json(_) => JSON.to_owned(),
        Body::Bytes { media, .. } => media_of(media),
    }
}

fn media_of(media: &str) -> String {
    Media::read(media).map_or_else(|| UNKNOWN.to_owned(), |media| media.text)
}

/// What stands for bytes where only JSON can: their type and length. Their content is at their own path.
pub(super) fn stand_in(media: &str, length: usize) -> Json {
    json!({"$media": media_of(media), "$length": length})
}

/// One child of a listing: `{"key","version"}`, with `"value"` if values were asked for.
pub(super) fn item(item: &Item) -> Json {
    let mut document = json!({"key": item.key, "version": versions::joined(&item.version)});
    if let (Some(kind), Some(members)) = (item.kind, document.as_object_mut()) {
        members.insert("kind".to_owned(), kind.into());
    }
    let value = match &item.value {
        Some(Body::Json(value)) => value.clone(),
        Some(Body::Bytes { media, bytes }) => stand_in(media, bytes.len()),
        None => return document,
    };
    if let Some(members) = document.as_object_mut() {
        members.insert("value".to_owned(), value);
    }
    document
}

/// One change of a feed.
pub(super) fn change(change: &ChangeItem) -> Json {
    let mut document = json!({
        "cursor": change.cursor,
        "path": url_path(&change.path),
        "kind": change.kind,
        "version": change.version.to_string(),
        "author": change.author,
        "time": change.time,
    });
    if let (Some(merge), Some(members)) = (change.merge, document.as_object_mut()) {
        members.insert("merge".to_owned(), merge.into());
    }
    if let (Some(from), Some(members)) = (&change.from, document.as_object_mut()) {
        members.insert("from".to_owned(), url_path(from).into());
    }
    document
}

/// A path as it stands in a URL after the space: what `encodeURIComponent` makes of each name, joined by slashes.
pub(super) fn url_path(path: &Path) -> String {
    path.segments().iter().map(|name| percent_encode(name)).collect::<Vec<_>>().join("/")
}

/// A document of the peer with the places in it (`path`, `prefix`; lists of names) in URL form.
pub(super) fn with_url_paths(mut document: Json) -> Json {
    let place = |value: &mut Json| {
        let Some(members) = value.as_object_mut() else { return };
        for name in ["path", "prefix"] {
            if let Some(place) = members.get_mut(name)
                && let Json::Array(names) = place
            {
                let names = names.iter().map(|name| percent_encode(name.as_str().unwrap_or_default()));
                *place = names.collect::<Vec<_>>().join("/").into();
            }
        }
    };
    place(&mut document);
    document.get_mut("items").and_then(Json::as_array_mut).into_iter().flatten().for_each(place);
    document
}

/// One JSON value per line.
pub(super) fn lines(items: &[Json]) -> Vec<u8> {
    items.iter().flat_map(|item| format!("{item}\n").into_bytes()).collect()
}
