//! The examples of the RFCs, the rules one by one, and laws that hold for every input.

use super::*;
use proptest::prelude::*;
use serde_json::json;

mod rfc;

fn json_patch(target: Json, patch: Json) -> Result<Json, PatchError> {
    apply(Some(&target), &PatchInput::Json(&patch))
}

fn ranges(target: Json, ranges: &[(&str, Option<Json>)]) -> Result<Json, PatchError> {
    let ranges: Vec<_> = ranges.iter().map(|(range, value)| ((*range).to_owned(), value.clone())).collect();
    apply(Some(&target), &PatchInput::Ranges(&ranges))
}

fn nested(depth: usize) -> Json {
    (1..depth).fold(json!(1), |inner, _| json!([inner]))
}

#[test]
fn a_range_patch_replaces_inserts_appends_and_deletes() {
    let doc = || json!({"tags": ["a", "b", "c"], "a": {"b": {"c d": 1}}, "title": "Grüße 🙂!", "x.y": 1});
    let tags = |range: &str, value: Option<Json>| ranges(doc(), &[(range, value)]).unwrap()["tags"].clone();
    assert_eq!(tags(".tags[0:0]", Some(json!(["hot"]))), json!(["hot", "a", "b", "c"]));
    assert_eq!(tags(".tags[1:2]", Some(json!(["x", "y"]))), json!(["a", "x", "y", "c"]));
    assert_eq!(tags(".tags[-0:-0]", Some(json!(["z"]))), json!(["a", "b", "c", "z"]));
    assert_eq!(tags(".tags[3:3]", Some(json!(["z"]))), json!(["a", "b", "c", "z"]));
    assert_eq!(tags(".tags[-2:-0]", None), json!(["a"]));
    assert_eq!(tags(".tags[1]", Some(json!(["one element"]))), json!(["a", ["one element"], "c"]));
    assert_eq!(tags("[\"tags\"][-1]", None), json!(["a", "b"]));
    assert_eq!(tags("/tags/-", Some(json!(["z"]))), json!(["a", "b", "c", "z"]));
    assert_eq!(tags("/tags/0-2", Some(json!([]))), json!(["c"]));
    assert_eq!(tags("/tags/2", Some(json!(9))), json!(["a", "b", 9]));
    assert_eq!(tags("tags[0:3]", Some(json!([]))), json!([]));

    let title = |range: &str, value: Option<Json>| ranges(doc(), &[(range, value)]).unwrap()["title"].clone();
    assert_eq!(title(".title[6:7]", Some(json!("🎂"))), json!("Grüße 🎂!"));
    assert_eq!(title(".title[2:5]", None), json!("Gr 🙂!"));
    assert_eq!(title(".title[-0:-0]", Some(json!("?"))), json!("Grüße 🙂!?"));
    assert_eq!(title("/title/0-2", Some(json!("K"))), json!("Küße 🙂!"));
    assert_eq!(title(".title[7]", Some(json!("."))), json!("Grüße 🙂."));

    assert_eq!(ranges(doc(), &[(".a.b[\"c d\"]", Some(json!(2)))]).unwrap()["a"], json!({"b": {"c d": 2}}));
    assert_eq!(ranges(doc(), &[(".a.b[\"n\\\"]\"]", Some(json!(2)))]).unwrap()["a"]["b"]["n\"]"], json!(2));
    assert_eq!(ranges(doc(), &[(".a.b", None)]).unwrap()["a"], json!({}));
    assert_eq!(ranges(doc(), &[("[\"x.y\"]", None)]).unwrap().get("x.y"), None);
    assert_eq!(ranges(doc(), &[("", Some(json!(7)))]), Ok(json!(7)));
    assert_eq!(ranges(json!("abcdef"), &[("[2:5]", Some(json!("-")))]), Ok(json!("ab-f")));
    assert_eq!(apply(None, &PatchInput::Ranges(&[(String::new(), Some(json!(7)))])), Ok(json!(7)));
}

#[test]
fn several_ranges_are_meant_in_the_value_before_the_patch() {
    let patch = [
        ("[0:0]", Some(json!(["first"]))),
        ("[1:3]", Some(json!(["middle"]))),
        ("[3:3]", Some(json!(["after"]))),
        ("[0:0]", Some(json!(["second"]))),
        ("[4].x", Some(json!(true))),
        ("[1:1]", Some(json!(["before"]))),
    ];
    let result = ranges(json!([0, 1, 2, 3, {"x": false}]), &patch);
    assert_eq!(result, Ok(json!(["first", "second", 0, "before", "middle", "after", 3, {"x": true}])));
    let text = [("[4:5]", Some(json!("EE"))), ("[0:1]", Some(json!(""))), ("[2:2]", Some(json!("--")))];
    assert_eq!(ranges(json!("abcde"), &text), Ok(json!("b--cdEE")));
}

#[test]
fn ranges_that_touch_the_same_place_are_refused() {
    let doc = || json!({"a": [[1], 2, 3], "b": {"c": 1}});
    for (first, second) in [
        (".a[0:2]", ".a[1:3]"),
        (".a[0:2]", ".a[1:1]"),
        (".a[0:1]", ".a[0][0:0]"),
        (".a[0][0:0]", ".a[-3:-2]"),
        (".b", ".b.c"),
        (".b.c", ".b"),
        (".b.c", "/b/c"),
        ("", ".b"),
        (".b", ""),
        ("", ""),
    ] {
        let result = ranges(doc(), &[(first, Some(json!([]))), (second, Some(json!([])))]);
        assert!(matches!(result, Err(PatchError::Overlap { .. })), "{first} {second}: {result:?}");
    }
}

#[test]
fn ranges_that_do_not_fit_are_refused_by_rule() {
    use PatchError as E;
    let doc = || json!({"tags": ["a", "b"], "title": "abc", "n": 1, "o": {}});
    let refusal = |range: &str, value: Option<Json>| ranges(doc(), &[(range, value)]).unwrap_err();
    let list = || Some(json!([]));
    for bad in [".", "..a", ".tags[", ".tags[]", ".tags[a]", ".tags[1:]", ".tags[:1]", ".tags[01]", ".tags[+1]"] {
        assert!(matches!(refusal(bad, list()), E::BadRange { .. }), "{bad}");
    }
    for bad in [".tags[1]x", "[\"a]", "[\"a\"", "[\"\\x\"]", ".tags[0:1][0]", ".tags[--1]", ".tags[1:2:3]", "/a~2"] {
        assert!(matches!(refusal(bad, list()), E::BadRange { .. }), "{bad}");
    }
    for outside in [".tags[2]", ".tags[3:3]", ".tags[0:3]", ".tags[2:1]", ".tags[-3:-0]", ".tags[-0]", "/tags/2"] {
        assert!(matches!(refusal(outside, list()), E::OutOfBounds { .. }), "{outside}");
    }
    let huge = ".tags[99999999999999999999999:99999999999999999999999]";
    assert!(matches!(refusal(huge, list()), E::OutOfBounds { .. }));
    for wrong in [".n[0]", ".n.a", ".tags.a", ".title.a", ".o[0:0]", ".n[0:1]", "[0]"] {
        assert!(matches!(refusal(wrong, list()), E::WrongKind { .. }), "{wrong}");
    }
    assert!(matches!(refusal("/tags/x", list()), E::BadIndex { .. }));
    assert!(matches!(refusal(".missing.a", list()), E::Missing { .. }));
    assert!(matches!(refusal(".missing", None), E::Missing { .. }));
    assert!(matches!(refusal(".tags[0:1]", Some(json!("text"))), E::BadReplacement { .. }));
    assert!(matches!(refusal(".title[0:1]", Some(json!(["a"]))), E::BadReplacement { .. }));
    assert_eq!(refusal("", None), E::RemovesWhole);
    assert_eq!(ranges(doc(), &[]), Err(E::NoRanges));
    assert_eq!(refusal(&".a".repeat(65), list()), E::TooDeep);
    assert_eq!(ranges(json!([]), &vec![("[0:0]", list()); 1001]), Err(E::TooManyOperations));
    assert!(matches!(apply(None, &PatchInput::Ranges(&[(".a".into(), list())])), Err(E::Missing { .. })));
}

#[test]
fn operations_that_do_not_fit_are_refused_by_rule() {
    use PatchError as E;
    let refusal = |operation: Json| json_patch(json!({"a": [1, 2], "o": {"p": 1}}), json!([operation])).unwrap_err();
    assert_eq!(json_patch(json!(1), json!({})), Err(E::NotAnArray));
    assert_eq!(refusal(json!(1)), E::NotAnObject { operation: 0 });
    assert_eq!(refusal(json!({"path": ""})), E::UnknownOperation { operation: 0 });
    assert_eq!(refusal(json!({"op": "spam", "path": ""})), E::UnknownOperation { operation: 0 });
    assert_eq!(refusal(json!({"op": "add", "value": 1})), E::MissingMember { operation: 0, member: "path" });
    assert_eq!(refusal(json!({"op": "add", "path": ""})), E::MissingMember { operation: 0, member: "value" });
    assert_eq!(refusal(json!({"op": "move", "path": ""})), E::MissingMember { operation: 0, member: "from" });
    for pointer in ["a", "/~", "/~2", "/a~"] {
        let error = refusal(json!({"op": "remove", "path": pointer}));
        assert_eq!(error, E::BadPointer { operation: 0, pointer: pointer.into() });
    }
    for token in ["01", "+1", "-1", "1.0", "1e0", "", " 1", "x"] {
        let error = refusal(json!({"op": "add", "path": format!("/a/{token}"), "value": 1}));
        assert_eq!(error, E::BadIndex { operation: 0, token: token.into() });
    }
    for path in ["/a/2", "/a/-", "/b", "/o/p/q", "/a/99999999999999999999999"] {
        let error = refusal(json!({"op": "remove", "path": path}));
        assert_eq!(error, E::Missing { operation: 0, place: path.into() });
        assert!(matches!(refusal(json!({"op": "replace", "path": path, "value": 1})), E::Missing { .. }));
        assert!(matches!(refusal(json!({"op": "test", "path": path, "value": 1})), E::Missing { .. }));
        assert!(matches!(refusal(json!({"op": "copy", "from": path, "path": "/z"})), E::Missing { .. }));
        assert!(matches!(refusal(json!({"op": "move", "from": path, "path": "/z"})), E::Missing { .. }));
        assert!(matches!(refusal(json!({"op": "move", "from": path, "path": path})), E::Missing { .. }));
    }
    assert!(matches!(refusal(json!({"op": "add", "path": "/a/3", "value": 1})), E::OutOfBounds { length: 2, .. }));
    assert!(matches!(refusal(json!({"op": "add", "path": "/o/p/q", "value": 1})), E::WrongKind { .. }));
    assert_eq!(refusal(json!({"op": "move", "from": "/o", "path": "/o/p"})), E::MoveIntoItself { operation: 0 });
    assert_eq!(refusal(json!({"op": "move", "from": "", "path": "/o"})), E::MoveIntoItself { operation: 0 });
    assert_eq!(refusal(json!({"op": "remove", "path": ""})), E::RemovesWhole);
    let first = json!({"op": "add", "path": "", "value": 1});
    assert_eq!(apply(None, &PatchInput::Json(&json!([first]))), Ok(json!(1)));
    assert!(apply(None, &PatchInput::Json(&json!([{"op": "test", "path": "", "value": null}]))).is_err());
    let many = Json::Array(vec![json!({"op": "test", "path": "", "value": 1}); MAX_OPERATIONS + 1]);
    assert_eq!(json_patch(json!(1), many), Err(E::TooManyOperations));
}

#[test]
fn numbers_are_tested_by_value() {
    let test = |value: Json, wanted: Json| json_patch(value, json!([{"op": "test", "path": "", "value": wanted}]));
    assert!(test(json!(1), json!(1.0)).is_ok());
    assert!(test(json!({"a": [1.0, -0.0]}), json!({"a": [1, 0]})).is_ok());
    assert!(test(json!(u64::MAX), json!(-1)).is_err());
    assert!(test(json!(9007199254740993u64), json!(9007199254740992u64)).is_err());
}

#[test]
fn moving_within_an_array_counts_after_the_removal() {
    let moved = json_patch(json!([0, 1, 2, 3]), json!([{"op": "move", "from": "/0", "path": "/2"}]));
    assert_eq!(moved, Ok(json!([1, 2, 0, 3])));
    let same = json_patch(json!([0, 1]), json!([{"op": "move", "from": "/0", "path": "/0"}]));
    assert_eq!(same, Ok(json!([0, 1])));
}

#[test]
fn copies_cannot_double_without_end() {
    let twice = vec![json!({"op": "copy", "from": "/l", "path": "/l/-"}); 60];
    assert_eq!(json_patch(json!({"l": ["x"]}), Json::Array(twice)), Err(PatchError::ResultTooLarge));
    let both = ["/a", "/b"].map(|path| json!({"op": "copy", "from": "", "path": path}));
    let both: Vec<_> = both.iter().cycle().take(200).cloned().collect();
    assert_eq!(json_patch(json!({"x": "y"}), Json::Array(both)), Err(PatchError::ResultTooLarge));
    let deeper = vec![json!({"op": "copy", "from": "", "path": "/a"}); 70];
    assert_eq!(json_patch(json!({"x": "y"}), Json::Array(deeper)), Err(PatchError::TooDeep));
    let text = "x".repeat(100_000);
    let grow: Vec<_> = (0..20).map(|n| json!({"op": "copy", "from": "/a", "path": format!("/{n}")})).collect();
    assert_eq!(json_patch(json!({"a": text}), Json::Array(grow)), Err(PatchError::ResultTooLarge));
}

#[test]
fn one_patch_cannot_cause_unbounded_work() {
    let big = json!({"a": vec![0; 200_000]});
    let again = vec![json!({"op": "copy", "from": "/a", "path": "/b"}); MAX_OPERATIONS];
    assert_eq!(json_patch(big.clone(), Json::Array(again)), Err(PatchError::TooMuchWork));
    let front = vec![json!({"op": "add", "path": "/a/0", "value": 1}); MAX_OPERATIONS];
    assert_eq!(json_patch(big.clone(), Json::Array(front)), Err(PatchError::TooMuchWork));
    let front = vec![(".a[0:0]", Some(json!([1]))); MAX_OPERATIONS];
    assert_eq!(ranges(big, &front), Err(PatchError::TooMuchWork));
    let text = json!("x".repeat(500_000));
    assert_eq!(ranges(text, &vec![("[0:0]", Some(json!("y"))); MAX_OPERATIONS]), Err(PatchError::TooMuchWork));
}

#[test]
fn size_and_depth_are_limited_to_the_byte_and_level() {
    let exact = json!("x".repeat(MAX_RESULT_BYTES - 2));
    let merge = |value: &Json| apply(None, &PatchInput::Merge(value));
    assert_eq!(merge(&exact), Ok(exact.clone()));
    assert_eq!(merge(&json!("x".repeat(MAX_RESULT_BYTES - 1))), Err(PatchError::ResultTooLarge));
    assert!(merge(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(merge(&nested(MAX_DEPTH + 1)), Err(PatchError::TooDeep));
    assert_eq!(apply(Some(&nested(MAX_DEPTH + 1)), &PatchInput::Merge(&json!(1))), Err(PatchError::TooDeep));
    let deeper = json!([{"op": "add", "path": "/a", "value": nested(MAX_DEPTH)}]);
    assert_eq!(json_patch(json!({}), deeper), Err(PatchError::TooDeep));
    let fits = json!([{"op": "add", "path": "/a", "value": nested(MAX_DEPTH - 1)}]);
    assert!(json_patch(json!({}), fits).is_ok());
    let pointer = "/0".repeat(100_000);
    assert_eq!(json_patch(json!([]), json!([{"op": "remove", "path": pointer}])), Err(PatchError::TooDeep));
    assert_eq!(ranges(json!({}), &[(".a", Some(nested(MAX_DEPTH)))]), Err(PatchError::TooDeep));
}

#[test]
fn errors_do_not_repeat_long_input() {
    let long = format!("/{}", "é".repeat(50_000));
    let error = json_patch(json!({}), json!([{"op": "remove", "path": long}])).unwrap_err();
    assert!(error.to_string().len() < 300);
}

/// Values of every kind, up to four levels.
pub(super) fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        "[a-c\u{e9}\u{1f642}]{0,4}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn any_pointer() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof!["[a-c]", "[0-3]", Just("-".to_owned())], 0..4)
        .prop_map(|tokens| tokens.iter().map(|token| format!("/{token}")).collect())
}

fn any_operation() -> impl Strategy<Value = Json> {
    let name = prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]);
    (name, any_pointer(), any_pointer(), any_json())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
}

fn any_range() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        "\\.[a-c]",
        "\\[\"[a-c]\"\\]",
        "\\[-?[0-3]\\]",
        "\\[-?[0-3]:-?[0-3]\\]",
        any_pointer(),
        "[\\[\\]:.\"0-9a\\\\-]{0,5}",
    ];
    prop::collection::vec(step, 0..4).prop_map(|steps| steps.concat())
}

proptest! {
    #[test]
    fn no_json_patch_panics(target in any_json(), patch in prop::collection::vec(any_operation(), 0..6)) {
        let _ = apply(Some(&target), &PatchInput::Json(&Json::Array(patch)));
    }

    #[test]
    fn any_json_at_all_is_taken_as_a_patch_without_panic(target in any_json(), patch in any_json()) {
        let _ = apply(Some(&target), &PatchInput::Json(&patch));
        prop_assert!(apply(Some(&target), &PatchInput::Merge(&patch)).is_ok());
    }

    #[test]
    fn no_range_patch_panics(
        target in any_json(),
        patch in prop::collection::vec((any_range(), prop::option::of(any_json())), 0..5),
    ) {
        let _ = apply(Some(&target), &PatchInput::Ranges(&patch));
    }

    #[test]
    fn a_merge_patch_applied_twice_changes_nothing_more(target in any_json(), patch in any_json()) {
        let once = apply(Some(&target), &PatchInput::Merge(&patch)).unwrap();
        prop_assert_eq!(&apply(Some(&once), &PatchInput::Merge(&patch)).unwrap(), &once);
    }

    #[test]
    fn an_empty_merge_patch_changes_no_object(target in any_json()) {
        prop_assume!(target.is_object());
        prop_assert_eq!(apply(Some(&target), &PatchInput::Merge(&json!({}))).unwrap(), target);
    }

    #[test]
    fn a_merge_patch_that_is_no_object_replaces(target in any_json(), patch in any_json()) {
        prop_assume!(!patch.is_object());
        prop_assert_eq!(apply(Some(&target), &PatchInput::Merge(&patch)).unwrap(), patch);
    }

    #[test]
    fn a_merge_patch_leaves_members_it_does_not_name(target in any_json(), patch in any_json()) {
        let (Json::Object(before), Json::Object(named)) = (&target, &patch) else { return Ok(()) };
        let after = apply(Some(&target), &PatchInput::Merge(&patch)).unwrap();
        for (name, value) in before.iter().filter(|(name, _)| !named.contains_key(*name)) {
            prop_assert_eq!(after.get(name), Some(value));
        }
        for (name, value) in named {
            prop_assert_eq!(after.get(name).is_some(), !value.is_null());
        }
    }

    #[test]
    fn add_then_remove_gives_the_value_back(target in any_json(), value in any_json()) {
        prop_assume!(target.as_array().is_some() || target.as_object().is_some_and(|members| !members.contains_key("z")));
        let path = if target.is_array() { "/0" } else { "/z" };
        let patch = json!([{"op": "add", "path": path, "value": value}, {"op": "remove", "path": path}]);
        prop_assert_eq!(apply(Some(&target), &PatchInput::Json(&patch)).unwrap(), target);
    }

    #[test]
    fn slices_of_arrays_are_replaced_as_vectors_are(
        items in prop::collection::vec(any::<u8>(), 0..8),
        inserted in prop::collection::vec(any::<u8>(), 0..4),
        start in 0usize..9,
        end in 0usize..9,
    ) {
        let result = ranges(json!(items), &[(&format!("[{start}:{end}]"), Some(json!(inserted)))]);
        if start <= end && end <= items.len() {
            let mut expected = items;
            expected.splice(start..end, inserted);
            prop_assert_eq!(result, Ok(json!(expected)));
        } else {
            let refused = matches!(result, Err(PatchError::OutOfBounds { .. }));
            prop_assert!(refused);
        }
    }

    #[test]
    fn the_measure_is_close_to_the_json_text(value in any_json()) {
        let bytes = measure::measure(&value).unwrap().bytes;
        let text = value.to_string().len();
        prop_assert!(bytes >= text && bytes <= 2 * text + 8, "{bytes} {text} {value}");
    }
}
