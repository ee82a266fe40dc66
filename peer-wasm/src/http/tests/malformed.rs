//! Every malformed request of `tests-wasm/cases/malformed.json`, and the list of problems in the documentation.
//! The browser tests send the same table through a real worker.

use super::super::problem::{Kind, PROBLEM_BASE, Problem};
use super::super::{HttpRequest, Parsed, fuzz, parse};
use super::{ORIGIN, document};
use serde_json::Value as Json;

const TABLE: &str = include_str!("../../../../tests-wasm/cases/malformed.json");
const DOCUMENTED: &str = include_str!("../../../../docs/problems.md");

/// A text, or a list of texts and `{text, times}`.
fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(parts) => parts.iter().map(text).collect(),
        Json::Object(_) => value["text"].as_str().unwrap().repeat(value["times"].as_u64().unwrap() as usize),
        _ => panic!("{value}"),
    }
}

fn request(case: &Json) -> HttpRequest {
    let headers = case["headers"].as_object().into_iter().flatten();
    let body = match (&case["body"], case["bodyBase64"].as_str()) {
        (Json::Null, None) => None,
        (Json::Null, Some(encoded)) => Some(data_encoding::BASE64.decode(encoded.as_bytes()).unwrap()),
        (body, _) => Some(text(body).into_bytes()),
    };
    HttpRequest {
        method: case["method"].as_str().unwrap().to_owned(),
        url: format!("{ORIGIN}{}", text(&case["path"])),
        headers: headers.map(|(name, value)| (name.clone(), text(value))).collect(),
        body,
    }
}

#[test]
fn every_malformed_request_is_named() {
    let table: Json = serde_json::from_str(TABLE).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() > 150);
    let mut wrong = Vec::new();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let response = match (parse(request(case)), case["peer"] == true) {
            (Parsed::Answer(response), false) => response,
            (Parsed::Ask(..), true) => continue,
            (Parsed::Answer(response), true) => {
                wrong.push(format!("{name}: answered without the peer: {}", document(&response)));
                continue;
            }
            (Parsed::Ask(request, _), false) => {
                wrong.push(format!("{name}: understood as {request:?}"));
                continue;
            }
        };
        let problem = document(&response);
        let expected = format!("{PROBLEM_BASE}{}", case["problem"].as_str().unwrap());
        if problem["type"] != expected.as_str()
            || problem["status"] != case["status"]
            || response.status != case["status"]
        {
            wrong.push(format!("{name}: {problem}"));
        }
        for member in case["members"].as_array().into_iter().flatten().map(|member| member.as_str().unwrap()) {
            if problem.get(member).is_none() {
                wrong.push(format!("{name}: no member {member} in {problem}"));
            }
        }
        for (header, value) in case["responseHeaders"].as_object().into_iter().flatten() {
            if response.header(header) != value.as_str() {
                wrong.push(format!("{name}: {header}: {:?}", response.header(header)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_setup_of_the_table_is_understood() {
    let table: Json = serde_json::from_str(TABLE).unwrap();
    for case in table["setup"].as_array().unwrap() {
        assert!(matches!(parse(request(case)), Parsed::Ask(..)), "{case}");
    }
}

#[test]
fn every_problem_is_documented_with_its_status() {
    for kind in Kind::ALL {
        let row = format!("| `{}` | {} | {} |", kind.name(), kind.status(), kind.title());
        assert!(DOCUMENTED.contains(&row), "docs/problems.md lacks: {row}");
    }
    let rows = DOCUMENTED.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, Kind::ALL.len(), "docs/problems.md lists problems that are not there");
}

#[test]
fn every_kind_in_the_table_exists_and_every_refusal_has_a_kind() {
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    let table: Json = serde_json::from_str(TABLE).unwrap();
    for case in table["cases"].as_array().unwrap() {
        assert!(names.contains(&case["problem"].as_str().unwrap()), "{case}");
    }
    let statuses: Vec<u16> =
        fuzz::refusals().iter().map(|refusal| Problem::refused(refusal, "/~/me/a").status()).collect();
    assert_eq!(
        statuses,
        [400, 403, 404, 404, 404, 409, 409, 410, 412, 412, 413, 413, 413, 422, 422, 501, 425, 429, 432, 503, 507, 500]
    );
}
