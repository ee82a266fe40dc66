//! Texts: paths, versions, keys as text, patches and ranges.

use crate::laws::{magnitude, mark, rule, same};
use kith_core::identity::PublicKey;
use kith_core::patch::{self, PatchInput};
use kith_core::path::{MAX_PATH_BYTES, MAX_SEGMENTS, Path};
use kith_core::version::Version;
use serde_json::{Value, json};

pub(crate) fn path(data: &[u8]) -> u64 {
    if let Some(path) = Path::from_key(data) {
        same("a key is a path's only key", &path.to_key().as_slice(), &data);
        assert!(path.len() <= MAX_SEGMENTS && data.len() <= MAX_PATH_BYTES);
        return 1 + magnitude(data.len());
    }
    let text = String::from_utf8_lossy(data);
    let path = Path::new(text.split('/'));
    if let Ok(path) = &path {
        same("a path comes back from its key", &Path::from_key(&path.to_key()).as_ref(), &Some(path));
        assert!(path.ancestors().count() == path.len() && path.ancestors().all(|above| above.contains(path)));
    }
    mark(&path.err())
}

pub(crate) fn path_seeds() -> Vec<Vec<u8>> {
    ["", "a", "notes\x001\0", "a/b/c", "$members", "a/$b"].map(|text| text.as_bytes().to_vec()).into()
}

pub(crate) fn version(data: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(data);
    let version = text.parse::<Version>();
    if let Ok(version) = version {
        same("a version reads back", &version.to_string().parse(), &Ok(version));
    }
    mark(&version.map(|version| magnitude(version.seq as usize)))
}

pub(crate) fn version_seeds() -> Vec<Vec<u8>> {
    ["aaaaaaaaaaaaaaaa-0", "abcdefghijklmnop-18446744073709551615"].map(|text| text.as_bytes().to_vec()).into()
}

pub(crate) fn key_text(data: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(data);
    let did = PublicKey::from_did(&text);
    if let Some(key) = did {
        same("a did is a key's only did", &key.did().as_str(), &text.as_ref());
    }
    let id = PublicKey::from_id(&text);
    if let Some(key) = id {
        same("an id is a key's only id", &key.id().as_str(), &text.as_ref());
    }
    mark(&(did.is_some(), id.is_some(), magnitude(text.len())))
}

pub(crate) fn key_text_seeds() -> Vec<Vec<u8>> {
    let key = PublicKey([7; 32]);
    vec![key.did().into_bytes(), key.id().into_bytes()]
}

/// What patches are made of.
pub(crate) const PATCH_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "\"op\":\"add\"",
    "\"op\":\"remove\"",
    "\"op\":\"replace\"",
    "\"op\":\"move\"",
    "\"op\":\"copy\"",
    "\"op\":\"test\"",
    "\"path\":\"/a\"",
    "\"path\":\"/l/-\"",
    "\"path\":\"\"",
    "\"from\":\"/a\"",
    "\"from\":\"\"",
    "\"value\":1",
    "\"value\":[]",
    "~0",
    "~1",
    "1e309",
    "\\ud800",
    "[\".l[0:1]\",[1]]",
    "[\"\"]",
];

/// A line of JSON to be patched, then a line of JSON taken as each kind of patch.
pub(crate) fn patch(data: &[u8]) -> u64 {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let mut next = || lines.next().and_then(|line| serde_json::from_slice::<Value>(line).ok());
    let (target, Some(patch)) = (next(), next()) else { return 0 };
    let before = target.clone();
    let merged = patch::apply(target.as_ref(), &PatchInput::Merge(&patch));
    if let Ok(merged) = &merged {
        let again = patch::apply(Some(merged), &PatchInput::Merge(&patch));
        same("a merge patch applied twice changes nothing more", &again.as_ref().ok(), &Some(merged));
    }
    let patched = patch::apply(target.as_ref(), &PatchInput::Json(&patch));
    let ranges: Vec<(String, Option<Value>)> = patch
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1).cloned())))
        .collect();
    let ranged = patch::apply(target.as_ref(), &PatchInput::Ranges(&ranges));
    for result in [&merged, &patched, &ranged].into_iter().flatten() {
        assert!(result.to_string().len() <= patch::MAX_RESULT_BYTES);
    }
    same("the target is left alone", &target, &before);
    mark(&(rule(&merged), rule(&patched), rule(&ranged)))
}

pub(crate) fn patch_seeds() -> Vec<Vec<u8>> {
    let target = json!({"a": {"b": 1}, "l": [1, "two", [3]], "t": "text 🙂"});
    [
        json!({"a": {"b": null, "c": [1]}, "n": {}}),
        json!([{"op": "add", "path": "/l/-", "value": {}}, {"op": "move", "from": "/a/b", "path": "/l/0"}]),
        json!([{"op": "copy", "from": "/l", "path": "/a/c"}, {"op": "test", "path": "/t", "value": "text 🙂"}]),
        json!([{"op": "remove", "path": "/l/1"}, {"op": "replace", "path": "", "value": [1.0]}]),
        json!([[".l[0:1]", ["x"]], [".t[5:6]", "y"], ["[\"a\"].b"], ["/l/-", [4]]]),
    ]
    .iter()
    .map(|patch| format!("{target}\n{patch}").into_bytes())
    .collect()
}

/// What ranges are made of.
pub(crate) const RANGE_WORDS: &[&str] =
    &[".", "[", "]", ":", "-", "-0", "0", "1", "[0:1]", ".l", ".a.b", "[\"a\"]", "/", "~1"];

/// A range on a fixed value, with replacements of each kind.
pub(crate) fn range(data: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(data).into_owned();
    let target = json!({"a": {"b": 1, "c d": 2}, "l": [1, [2, 3], "drei"], "t": "text 🙂"});
    let mut outcomes = Vec::new();
    for replacement in [None, Some(json!([9])), Some(json!("x")), Some(json!(1))] {
        outcomes.push(rule(&patch::apply(Some(&target), &PatchInput::Ranges(&[(text.clone(), replacement)]))));
    }
    mark(&outcomes)
}

pub(crate) fn range_seeds() -> Vec<Vec<u8>> {
    [".l[0:1]", "[\"a\"][\"c d\"]", ".t[-2:-0]", "/l/1/0-1", "/l/-", ".l[1][0]", ""]
        .map(|text| text.as_bytes().to_vec())
        .into()
}
