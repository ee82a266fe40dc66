//! The surface as a whole: the table of malformed requests, requests that must be understood, whole replies and
//! streams, and properties that hold for any request.

mod malformed;
mod properties;
mod replies;
mod requests;
mod streams;

use super::{HttpRequest, HttpResponse, Parsed, Render, Rendered, parse};
use kith_core::api::{Reply, Request};
use kith_core::version::{Agent, Version};
use serde_json::Value as Json;

const ORIGIN: &str = "http://localhost:8787";

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> HttpRequest {
    HttpRequest {
        method: method.to_owned(),
        url: format!("{ORIGIN}{path}"),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.map(|body| body.as_bytes().to_vec()),
    }
}

fn ask(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> (Request, Render) {
    match parse(request(method, path, headers, body)) {
        Parsed::Ask(request, render) => (request, render),
        Parsed::Answer(response) => panic!("{method} {path}: {}", text(&response)),
    }
}

fn answer(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> HttpResponse {
    match parse(request(method, path, headers, body)) {
        Parsed::Answer(response) => response,
        Parsed::Ask(request, _) => panic!("{method} {path} was understood as {request:?}"),
    }
}

fn whole(render: Render, reply: Reply) -> HttpResponse {
    match render.reply(reply) {
        Rendered::Whole(response) => response,
        other => panic!("{other:?}"),
    }
}

fn text(response: &HttpResponse) -> String {
    String::from_utf8(response.body.clone()).unwrap()
}

fn document(response: &HttpResponse) -> Json {
    serde_json::from_slice(&response.body).unwrap()
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> &'a str {
    response.header(name).unwrap_or_else(|| panic!("no {name} in {:?}", response.headers))
}

fn version(seq: u64) -> Version {
    Version { agent: Agent([7; 10]), seq }
}
