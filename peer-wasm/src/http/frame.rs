//! Subscriptions on the wire: which form they have, their heads, and their updates as bytes.

use super::accept::{EVENT_STREAM, JSON};
use super::braid;
use super::cursors::{self, CURSORS};
use super::digest;
use super::documents;
use super::limits::SSE_RETRY_MILLIS;
use super::message::HttpResponse;
use super::problem::Problem;
use super::render;
use super::route::DT;
use super::sse;
use super::text::TEXT;
use super::versions;
use kith_core::api::{Body, Merge, TextSplice, Update};
use serde_json::{Value as Json, json};

/// The form of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// 209 with Braid's frames.
    Braid,
    /// Server-Sent Events.
    Events,
}

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    Value,
    List,
    Changes {
        /// Whether the reader goes on from a cursor it has.
        resumed: bool,
    },
    Status,
    Cursors,
}

/// Turns the updates of one subscription into the bytes of its response.
#[derive(Clone, Debug, PartialEq)]
pub struct Framer {
    form: Form,
    followed: Followed,
    here: String,
    heartbeat: Option<u32>,
    begun: bool,
}

impl Framer {
    pub(super) fn new(form: Form, followed: Followed, here: String, heartbeat: Option<u32>) -> Framer {
        Framer { form, followed, here, heartbeat, begun: false }
    }

    /// The same for a reader that has nothing yet.
    pub(super) fn afresh(mut self) -> Framer {
        if let Followed::Changes { resumed } = &mut self.followed {
            *resumed = false;
        }
        self
    }

    /// The head of the streamed response.
    pub(super) fn head(&self) -> HttpResponse {
        let response = match self.form {
            Form::Events => HttpResponse::new(200).with("Content-Type", EVENT_STREAM),
            Form::Braid => {
                let response = HttpResponse::new(209).with("Content-Type", braid::HTTP_HISTORY).with("Subscribe", "?1");
                match self.heartbeat {
                    Some(seconds) => response.with("Heartbeats", format!("{seconds}s")),
                    None => response,
                }
            }
        };
        response
            .with("Cache-Control", "no-store")
            .with("Vary", "Accept, Subscribe, Version, Parents")
            .with("X-Content-Type-Options", "nosniff")
    }

    /// Adds to the head what only the first update tells: `Current-Version` and `Repr-Type`. For a driver that has
    /// an update at hand before it sends the head; a head without them is right too.
    pub fn announce(&self, head: HttpResponse, first: &Update) -> HttpResponse {
        match first {
            Update::Value { body, version, facts, .. } => {
                let head = head.with("Current-Version", versions::write(version));
                let head = head.with("Merge-Type", facts.merge.name());
                match body {
                    Some(body) if self.form == Form::Braid => head.with("Repr-Type", documents::media(body)),
                    _ => head,
                }
            }
            Update::Items { version, .. } => head.with("Current-Version", versions::write(version)),
            Update::Text { version, .. } => {
                head.with("Current-Version", versions::write(version)).with("Merge-Type", Merge::Text.name())
            }
            Update::Events { version, .. } => {
                head.with("Current-Version", versions::write_strings(version)).with("Merge-Type", DT)
            }
            Update::Cursors { .. } => head.with("Repr-Type", CURSORS),
            Update::Changes(_) | Update::Document(_) | Update::End(_) => head,
        }
    }

    /// What is sent at once, so that the reader gets the head before anything happens.
    pub fn open(&mut self) -> Vec<u8> {
        match self.form {
            Form::Braid => b"\r\n".to_vec(),
            Form::Events => format!("retry: {SSE_RETRY_MILLIS}\n\n").into_bytes(),
        }
    }

    /// One update. After [`Update::End`] nothing more follows: close the stream.
    pub fn update(&mut self, update: Update) -> Vec<u8> {
        let first = !std::mem::replace(&mut self.begun, true);
        match self.form {
            Form::Braid => self.frame(update, first),
            Form::Events => self.events(update),
        }
    }

    /// What is sent when nothing else was for a while.
    pub fn heartbeat(&self) -> Vec<u8> {
        match self.form {
            Form::Braid => b"\r\n".to_vec(),
            Form::Events => b":\n\n".to_vec(),
        }
    }

    /// After how many seconds of silence a heartbeat is due, if at all.
    pub fn heartbeat_every(&self) -> Option<u32> {
        self.heartbeat
    }

    fn frame(&self, update: Update, first: bool) -> Vec<u8> {
        match update {
            Update::Value { body, version, parents, facts } => {
                let frame = braid::Frame::new(if body.is_some() { 200 } else { 404 }).versions(&version, &parents);
                let named = first || facts.merge != Merge::Lww;
                let frame = if named { frame.header("Merge-Type", facts.merge.name()) } else { frame };
                let frame = if facts.early { frame.header("Sync-Status", render::ARRIVING) } else { frame };
                let frame = match facts.conflicts.is_empty() {
                    true => frame,
                    false => frame.header("Conflicts", &render::conflicts(&facts)),
                };
                match body {
                    Some(body) => {
                        let (media, bytes) = documents::bytes_of_kind(&body, facts.merge);
                        let frame = frame.header("Content-Type", &media);
                        match facts.merge {
                            Merge::Text => frame.header("Repr-Digest", &digest::of(&bytes)).body(&bytes),
                            _ => frame.body(&bytes),
                        }
                    }
                    None => frame.body(b""),
                }
            }
            Update::Text { splices, version, parents } => {
                let names: Vec<&str> = parents.iter().map(String::as_str).collect();
                let frame = braid::Frame::new(200).header("Version", &versions::write(&version));
                let frame = frame.header("Parents", &versions::write_strings(&names));
                frame.patches(&patches(splices))
            }
            Update::Events { whole, events, .. } => {
                let named = |version: &[String], parents: &[String]| {
                    let frame = braid::Frame::new(200).header("Version", &versions::write_strings(version));
                    frame.header("Parents", &versions::write_strings(parents))
                };
                let first = named(&[], &[]).header("Merge-Type", DT).header("Content-Type", TEXT);
                let mut bytes = if whole { first.body(b"") } else { Vec::new() };
                for event in events {
                    let frame = named(&[event.version], &event.parents);
                    bytes.extend(frame.patches(&patches(event.splices)));
                }
                bytes
            }
            Update::Items { items, removed, version, parents, whole } => {
                let frame = braid::Frame::new(200).versions(&version, &parents);
                if whole {
                    let items: Vec<Json> = items.iter().map(documents::item).collect();
                    return frame.header("Content-Type", JSON).body(json!({"items": items}).to_string().as_bytes());
                }
                let changed =
                    items.iter().map(|item| (braid::item_range(&item.key), documents::item(item).to_string()));
                let gone = removed.iter().map(|key| (braid::item_range(key), String::new()));
                frame.patches(&changed.chain(gone).collect::<Vec<_>>())
            }
            Update::Changes(changes) => {
                let Some(last) = changes.last() else { return Vec::new() };
                let cursor = versions::write_strings(&[&last.cursor]);
                let items: Json = changes.iter().map(documents::change).collect();
                let frame = braid::Frame::new(200).header("Version", &cursor);
                if first && self.followed == (Followed::Changes { resumed: false }) {
                    return frame.header("Content-Type", JSON).body(json!({"items": items}).to_string().as_bytes());
                }
                frame.header("Content-Range", "json .items[-0:-0]").body(items.to_string().as_bytes())
            }
            Update::Cursors { cursors, whole: true } => {
                let document = cursors::document(&cursors).to_string();
                braid::Frame::new(200).header("Content-Type", CURSORS).body(document.as_bytes())
            }
            Update::Cursors { cursors, .. } => braid::Frame::new(200).patches(&cursors::moves(&cursors)),
            Update::Document(document) => {
                braid::Frame::new(200).header("Content-Type", JSON).body(document.to_string().as_bytes())
            }
            Update::End(refusal) => braid::Frame::response(&Problem::refused(&refusal, &self.here).response()),
        }
    }

    fn events(&self, update: Update) -> Vec<u8> {
        let mut events = sse::Events::default();
        match update {
            Update::Value { body, version, .. } => {
                let id = versions::joined(&version);
                match body {
                    Some(body) => events.push(None, Some(&id), &text_of(&body)),
                    None => events.push(Some("delete"), Some(&id), ""),
                }
            }
            Update::Items { items, removed, version, whole, .. } => {
                if whole {
                    events.push(Some("reset"), None, "{}");
                }
                for item in &items {
                    events.push(None, None, &documents::item(item).to_string());
                }
                for key in &removed {
                    events.push(Some("delete"), None, &json!({"key": key}).to_string());
                }
                // Only a reader that got all of them may resume after them.
                events.remember(&versions::joined(&version));
            }
            Update::Changes(changes) => {
                for change in &changes {
                    events.push(None, Some(&change.cursor), &documents::change(change).to_string());
                }
            }
            Update::Cursors { cursors, .. } => events.push(None, None, &cursors::document(&cursors).to_string()),
            // Events carry whole values; texts are followed by them with [`Update::Value`].
            Update::Text { .. } | Update::Events { .. } => {}
            Update::Document(document) => events.push(None, None, &document.to_string()),
            Update::End(refusal) => {
                events.push(Some("end"), None, &Problem::refused(&refusal, &self.here).document().to_string());
            }
        }
        events.into_bytes()
    }
}

fn patches(splices: Vec<TextSplice>) -> Vec<(String, String)> {
    splices.into_iter().map(|(start, end, text)| (format!("text [{start}:{end}]"), text)).collect()
}

/// A value as text: JSON and text as they are, of other bytes what stands for them.
fn text_of(body: &Body) -> String {
    match body {
        Body::Json(value) => value.to_string(),
        Body::Bytes { media, bytes } => match std::str::from_utf8(bytes) {
            Ok(text) if media.to_ascii_lowercase().starts_with("text/") => text.to_owned(),
            _ => documents::stand_in(media, bytes.len()).to_string(),
        },
    }
}
