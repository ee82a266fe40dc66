//! From edits of a list to its op.

use super::kind::{list, tag};
use super::ops::{Leaf, Op};
use super::plan::check_depth;
use crate::api::{Change, Refusal};
use crate::path::Path;
use serde_json::Value as Json;

/// An element of a list as its op carries it.
pub(super) fn element_text(json: &Json) -> Result<Vec<u8>, Refusal> {
    check_depth(json)?;
    let text = json.to_string().into_bytes();
    if text.len() > list::MAX_ELEMENT {
        let what = "An element of a list".to_owned();
        return Err(Refusal::TooLarge { what, limit: list::MAX_ELEMENT as u64, listing: None });
    }
    Ok(text)
}

/// The op of an edited list; `mark` writes one even where nothing changes, to say that there is a list.
pub(super) fn list_op(path: &Path, editor: list::Editor, mark: bool) -> Result<Vec<Op>, Refusal> {
    if !editor.fits() {
        let what = "The list (in elements)".to_owned();
        return Err(Refusal::TooLarge { what, limit: list::MAX_ELEMENTS as u64, listing: None });
    }
    if path.child(&list::Id::LONGEST.name()).is_err() {
        return Err(Refusal::Unprocessable("The path is too long for a list. Use a shorter one.".to_owned()));
    }
    let act = editor.finish().or_else(|| mark.then(list::Act::default));
    let leaf = |act: list::Act| Leaf::Kind { tag: tag::LIST, body: act.encode() };
    Ok(act.map(|act| Op::new(path.clone(), leaf(act))).into_iter().collect())
}

/// Applies a JSON Patch to a list step by step, if every step is about whole elements: then elements keep their
/// identity. `None` if a step is about something else.
pub(super) fn edit_by_steps(editor: &mut list::Editor, steps: &Json) -> Result<Option<()>, Refusal> {
    let Some(steps) = steps.as_array() else { return Ok(None) };
    let text = |step: &Json, member: &str| step.get(member).and_then(Json::as_str).map(str::to_owned);
    let plain = |pointer: &str| pointer.strip_prefix('/').is_some_and(|name| !name.contains('/'));
    let fits = |step: &Json| {
        let from = text(step, "from").is_none_or(|from| plain(&from));
        from && text(step, "path").is_some_and(|path| plain(&path)) && text(step, "op").is_some()
    };
    if !steps.iter().all(fits) {
        return Ok(None);
    }
    let whole = |editor: &list::Editor| {
        let texts = editor.texts();
        Json::Array(texts.iter().map(|text| super::read::parse(text)).collect())
    };
    // The patch as a whole must fit before anything is made of it; that also checks its form.
    let old = whole(editor);
    super::plan::patched(Some(&old), &Change::JsonPatch(Json::Array(steps.clone())))?;
    let at = |pointer: Option<String>, length: usize| -> Option<usize> {
        match pointer?.get(1..)? {
            "-" => Some(length),
            name => super::read::index(name),
        }
    };
    for step in steps {
        let length = editor.len();
        let to = at(text(step, "path"), length);
        let from = at(text(step, "from"), length);
        let value = step.get("value").map(element_text).transpose()?;
        let done = match (text(step, "op").as_deref(), to, from, value) {
            (Some("add"), Some(to), _, Some(value)) => editor.insert(to, vec![value]),
            (Some("remove"), Some(to), ..) => editor.delete(to),
            (Some("replace"), Some(to), _, Some(value)) => editor.replace(to, value),
            // After the move the element stands at `path`, so `-` is the last place.
            (Some("move"), Some(to), Some(from), _) => editor.shift(from, to.min(length.saturating_sub(1))),
            (Some("copy"), Some(to), Some(from), _) => match editor.texts().get(from) {
                Some(text) => editor.insert(to, vec![text.clone()]),
                None => None,
            },
            (Some("test"), ..) => Some(()),
            _ => None,
        };
        if done.is_none() {
            return Err(Refusal::Unprocessable("The patch does not fit the list.".to_owned()));
        }
    }
    Ok(Some(()))
}
