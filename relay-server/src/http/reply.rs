//! Replies that are not files: words for people, `problem+json` (RFC 9457) for programs.

use super::policy;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::time::Duration;

/// Every reply's form: the body is in memory.
pub(crate) type Reply = Response<Full<Bytes>>;

/// Seconds after which a page may ask again when its worker did not answer.
const NOT_CONTROLLED_RETRY: &str = "1";
/// Seconds after which somebody else will serve this address.
const DRAINING_RETRY: &str = "5";

const ALLOW: &str = "GET, HEAD";

/// A reply with a body of this type; caches must ask again.
pub(crate) fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    put(&mut reply, header::CONTENT_TYPE, content_type);
    put(&mut reply, header::CACHE_CONTROL, "no-cache");
    policy::guard(reply.headers_mut());
    reply
}

/// Sets one header to a fixed value.
pub(crate) fn put(reply: &mut Reply, name: HeaderName, value: &'static str) {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// A problem by its stable name, in plain words.
fn problem(status: StatusCode, name: &str, title: &str, detail: &str) -> Reply {
    let body = serde_json::json!({
        "type": format!("urn:kith:problem:{name}"),
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
    });
    let mut reply = bytes(status, "application/problem+json", body.to_string());
    put(&mut reply, header::CACHE_CONTROL, "no-store");
    reply
}

/// `/~/…` belongs to the peer in the browser. Getting here means that no worker stands between page and network.
pub(crate) fn not_controlled() -> Reply {
    let mut reply = problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "not-controlled",
        "This page has no peer yet",
        "Requests below /~/ are answered by the Kith worker inside the browser, but this one reached the relay: the page is \
         not controlled by its worker. Wait for the worker to take control (navigator.serviceWorker.ready, then \
         controllerchange), or reload the page without holding Shift, and ask again.",
    );
    put(&mut reply, header::RETRY_AFTER, NOT_CONTROLLED_RETRY);
    reply
}

pub(crate) fn draining() -> Reply {
    let mut reply = problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "draining",
        "The relay is shutting down",
        "This relay takes nothing new because it is about to stop. Try again in a few seconds, or use another relay.",
    );
    put(&mut reply, header::RETRY_AFTER, DRAINING_RETRY);
    put(&mut reply, header::CONNECTION, "close");
    reply
}

pub(crate) fn too_many_requests(wait: Duration) -> Reply {
    let mut reply = problem(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-requests",
        "Too many requests",
        "This address made more requests than the relay answers per minute. Wait as Retry-After says.",
    );
    let seconds = wait.as_secs().saturating_add(1);
    reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    reply
}

pub(crate) fn too_many_connections() -> Reply {
    let mut reply = problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "too-many-connections",
        "Too many connections",
        "The relay, or your address on it, has as many connections as it may. Try again later or use another relay.",
    );
    put(&mut reply, header::RETRY_AFTER, DRAINING_RETRY);
    reply
}

pub(crate) fn body_too_large() -> Reply {
    let mut reply = problem(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        "The request has a body",
        "Nothing on the relay takes a request body; data is written through the peer in the browser.",
    );
    put(&mut reply, header::CONNECTION, "close");
    reply
}

pub(crate) fn method_not_allowed(method: &Method) -> Reply {
    if *method == Method::OPTIONS {
        let mut reply = bytes(StatusCode::NO_CONTENT, "text/plain; charset=utf-8", Bytes::new());
        reply.headers_mut().remove(header::CONTENT_TYPE);
        put(&mut reply, header::ALLOW, ALLOW);
        put(&mut reply, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        return reply;
    }
    let mut reply = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Only reading",
        "The relay's own paths can only be read: use GET or HEAD.",
    );
    put(&mut reply, header::ALLOW, ALLOW);
    reply
}

/// The reply if the method is GET or HEAD (the server leaves a HEAD's body out), else 405.
pub(crate) fn only_reads(method: &Method, reply: impl FnOnce() -> Reply) -> Reply {
    if matches!(*method, Method::GET | Method::HEAD) { reply() } else { method_not_allowed(method) }
}

pub(crate) fn upgrade_required() -> Reply {
    let mut reply = problem(
        StatusCode::UPGRADE_REQUIRED,
        "upgrade-required",
        "This is where peers connect",
        "Peers open a WebSocket here (libp2p over ws). /.well-known/kith.json tells the addresses.",
    );
    put(&mut reply, header::UPGRADE, "websocket");
    put(&mut reply, header::CONNECTION, "upgrade");
    reply
}

pub(crate) fn bad_upgrade(detail: &str) -> Reply {
    let mut reply =
        problem(StatusCode::BAD_REQUEST, "bad-upgrade", "Not a WebSocket upgrade that is understood", detail);
    put(&mut reply, header::SEC_WEBSOCKET_VERSION, "13");
    reply
}

pub(crate) fn bad_path() -> Reply {
    problem(
        StatusCode::BAD_REQUEST,
        "bad-path",
        "The path is not understood",
        "Paths are percent-encoded UTF-8 without empty, `.` or `..` segments and without control characters.",
    )
}

/// 404 as a page for people or a problem for programs, by `Accept`.
pub(crate) fn not_found<B>(request: &Request<B>) -> Reply {
    if !accepts_html(request.headers()) {
        return problem(StatusCode::NOT_FOUND, "not-found", "Nothing here", "The relay has no file of this name.");
    }
    page(StatusCode::NOT_FOUND, "Nothing here", "There is no page at this address. It may have been mistyped or moved.")
}

/// A relay without web files still works for peers, and says why there is no app.
pub(crate) fn no_web_files() -> Reply {
    page(
        StatusCode::NOT_FOUND,
        "This relay carries no web app",
        "It was built without the web files. It works for peers; to serve the app, start it with --web and the folder that \
         the build wrote, usually dist.",
    )
}

fn page(status: StatusCode, title: &str, text: &str) -> Reply {
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <h1>{title}</h1>\n<p>{text}</p>\n<p><a href=\"/\">To the first page</a></p>\n</html>\n"
    );
    let mut reply = bytes(status, "text/html; charset=utf-8", body);
    policy::document(reply.headers_mut(), &[]);
    reply
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"))
}
