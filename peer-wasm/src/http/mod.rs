//! The HTTP face of the peer: requests into the peer's own words, and its replies back into responses.
//!
//! Plain data in and out, nothing of the browser: the worker's driver, native tests and the fuzzer use the same
//! functions. The surface for authors is described in `docs/http-api.md`, its errors in `docs/problems.md`.
//!
//! ```text
//! HttpRequest → parse → Parsed::Ask(Request, Render) → the peer → Reply → Render::reply → Rendered::Whole
//!                  └──→ Parsed::Answer(HttpResponse)                          ├─ Rendered::Stream → Framer
//!                                                                             └─ Rendered::Again → the peer
//! ```

mod accept;
mod braid;
mod conditions;
mod cursors;
mod digest;
mod documents;
mod files;
mod frame;
mod history;
mod json;
pub mod limits;
mod media;
mod message;
mod patches;
pub mod problem;
mod range;
mod read;
mod render;
mod route;
mod sse;
mod text;
mod url;
mod versions;
mod write;

#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
#[cfg(test)]
mod tests;

pub use files::{Download, Upload};
pub use frame::Framer;
#[cfg(any(test, feature = "fuzzing"))]
pub use fuzz::fuzz_http;
pub use message::{HttpRequest, HttpResponse, status_text};
pub use render::{Render, Rendered};

use kith_core::api::{Change, Request, TextChange};
use kith_core::path::Path;
use limits::MAX_BODY_BYTES;
use message::{Fields, is_token};
use problem::{Checked, Kind, Problem};
use render::Shape;
use route::Route;
use url::Url;

/// What becomes of a request.
#[derive(Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "lives for one turn only")]
pub enum Parsed {
    /// Ask the peer this, and render its reply with that.
    Ask(Request, Render),
    /// The answer is known without the peer: the ping, most `OPTIONS`, and everything that is wrong with the request itself.
    Answer(HttpResponse),
}

/// What a request asks for. Never fails: what is wrong with it becomes the answer.
pub fn parse(request: HttpRequest) -> Parsed {
    let head = request.method == "HEAD";
    match parse_checked(request) {
        Ok(parsed) => parsed,
        Err(problem) if head => Parsed::Answer(problem.response().without_body()),
        Err(problem) => Parsed::Answer(problem.response()),
    }
}

fn parse_checked(request: HttpRequest) -> Checked<Parsed> {
    let HttpRequest { method, url, headers, body } = request;
    let url = Url::read(&url)?;
    let fields = Fields::new(headers)?;
    let route = Route::of(&url)?;
    let method = if is_token(&method) { method.as_str() } else { "" };
    route.check(method)?;
    let body = body.unwrap_or_default();
    if body.len() > MAX_BODY_BYTES {
        let detail = format!(
            "A body may have at most {MAX_BODY_BYTES} bytes. Split the value into smaller ones below one path."
        );
        return Err(Problem::new(Kind::TooLarge, detail).with("limit", MAX_BODY_BYTES));
    }
    let here = url.here();
    let request = match (method, route) {
        ("OPTIONS", Route::Value(space, path)) => {
            let render = Render::new(here, false, Shape::Options(Route::Value(space.clone(), path.clone())));
            return Ok(Parsed::Ask(Request::Get { space, path, parents: Vec::new() }, render));
        }
        ("OPTIONS", route) => return Ok(Parsed::Answer(route.options(None))),
        ("GET" | "HEAD", route) => {
            let (request, render) = read::read(route, method == "HEAD", &url, &fields)?;
            return Ok(Parsed::Ask(request, render));
        }
        (_, Route::Ping) => return Ok(Parsed::Answer(HttpResponse::new(204).with("Cache-Control", "no-store"))),
        (_, Route::Spaces) => write::create_space(&fields, &body)?,
        (_, Route::Join) => write::join(&fields, &body)?,
        (_, Route::Invites(space)) => write::invite(space, &url.origin, &fields, &body)?,
        (method, Route::Policies(space)) => write::policy(method, space, Path::root(), &fields, &body)?,
        (method, Route::Policy(space, prefix)) => write::policy(method, space, prefix, &fields, &body)?,
        ("PUT", Route::Value(space, path)) if cursors::are_meant(&fields) => {
            let (request, render) = cursors::write(space, path, &url, &fields, &body)?;
            return Ok(Parsed::Ask(request, render));
        }
        (method, Route::Value(space, path)) => write::change(method, &url, space, path, &fields, body)?,
        (_, Route::Quota(space)) => {
            let request = write::allow(space, &fields, &body)?;
            return Ok(Parsed::Ask(request, Render::new(here, false, Shape::Document)));
        }
        (_, Route::Import) => {
            let detail = "Files of spaces are taken in as streams, which this way does not offer.";
            return Err(Problem::new(Kind::NotOffered, detail));
        }
        (_, Route::Undo(space, redo)) => write::undo(space, redo, &fields, &body)?,
        (_, _) => {
            return Err(Problem::new(Kind::Internal, "This method was let through by mistake. Please report this."));
        }
    };
    let render = Render::new(here, false, Shape::Write);
    let render = match &request {
        Request::Write { change: Change::Text(TextChange { parents: Some(parents), .. }), .. } => {
            render.naming(parents)
        }
        _ => render,
    };
    Ok(Parsed::Ask(request, render))
}
