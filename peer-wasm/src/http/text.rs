//! Edits of collaborative texts: `Merge-Type: simpleton` with the whole text, or `Content-Range: text [a:b]`.

use super::media::{Media, UNKNOWN};
use super::message::Fields;
use super::patches::{self, Raw};
use super::problem::{Checked, Kind, Problem};
use kith_core::api::{Merge, TextEdit, TextSplice, event_name};

/// The media type of a collaborative text.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// The edit a `PUT` or `PATCH` carries, if it is one of a text. `whole` says whether a body without ranges is the
/// whole text.
pub(super) fn edit(merge: Option<Merge>, whole: bool, fields: &Fields, body: &[u8]) -> Checked<Option<TextEdit>> {
    let is_text = merge == Some(Merge::Text);
    match patches::raw(fields, body)? {
        Some(ranges) if ranges.iter().any(|(range, _)| unit(range).eq_ignore_ascii_case("text")) => {
            if merge.is_some() && !is_text {
                return Err(malformed("Ranges of a text go with Merge-Type: simpleton or dt, or with none"));
            }
            splices(&ranges).map(|splices| Some(TextEdit::Splices(splices)))
        }
        Some(ranges) if is_text && ranges.is_empty() => Ok(Some(TextEdit::Splices(Vec::new()))),
        Some(_) if is_text => Err(malformed("A text is edited by ranges of its characters: Content-Range: text [3:5]")),
        Some(_) => Ok(None),
        None if is_text && whole && brings_text(fields)? => Ok(Some(TextEdit::Whole(utf8(body)?.to_owned()))),
        None => Ok(None),
    }
}

/// The name of an edit of a client with a history of its own (`Merge-Type: dt`); none where it only makes a text.
pub(super) fn event(id: Option<String>, parents: Option<&[String]>, edit: &TextEdit) -> Checked<Option<String>> {
    let whole = matches!(edit, TextEdit::Whole(_)) && parents.is_none_or(<[String]>::is_empty);
    match id {
        Some(id) if event_name(&id).is_some() => Ok(Some(id)),
        None if whole => Ok(None),
        _ => Err(Problem::header(
            "version",
            "must name the last event of the edit, \"<agent>-<number>\", with Merge-Type: dt",
        )),
    }
}

/// Whether the body is text as it is. The peer decides whether anything else, such as a JSON string, can be one.
fn brings_text(fields: &Fields) -> Checked<bool> {
    let media = Media::of(fields)?;
    Ok(media.is_none_or(|media| media.essence.starts_with("text/") || media.essence == UNKNOWN))
}

/// The replacements, by rising place. Each names its place in the text before all of them.
fn splices(ranges: &[Raw<'_>]) -> Checked<Vec<TextSplice>> {
    let mut splices = Vec::with_capacity(ranges.len());
    for (range, content) in ranges {
        let (start, end) = place(range).ok_or_else(|| {
            malformed("A range of a text is text [a:b]: code points from a up to b, a not above b, with the same unit in every patch")
        })?;
        splices.push((start, end, utf8(content)?.to_owned()));
    }
    kith_map::sort_by_key(&mut splices, |(start, end, _)| (*start, *end));
    let apart = splices.windows(2).all(|pair| matches!(pair, [(_, end, _), (next, ..)] if end <= next));
    if apart { Ok(splices) } else { Err(malformed("Two patches replace the same characters")) }
}

/// `text [a:b]`
fn place(range: &str) -> Option<(u32, u32)> {
    let (unit, place) = range.split_once([' ', '='])?;
    let inside = place.trim().strip_prefix('[')?.strip_suffix(']')?;
    let (start, end) = inside.split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !unit.eq_ignore_ascii_case("text") || !digits(start) || !digits(end) {
        return None;
    }
    let (start, end) = (start.parse().ok()?, end.parse().ok()?);
    (start <= end).then_some((start, end))
}

fn unit(range: &str) -> &str {
    range.split_once([' ', '=']).map_or(range, |(unit, _)| unit)
}

fn utf8(bytes: &[u8]) -> Checked<&str> {
    std::str::from_utf8(bytes).map_err(|_| malformed("A text is UTF-8"))
}

fn malformed(what: &str) -> Box<Problem> {
    Problem::new(Kind::MalformedPatch, format!("{what}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)], body: &str) -> Result<Option<TextEdit>, u16> {
        let lines = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let fields = Fields::new(lines).unwrap();
        let merge = fields.raw("merge-type").and_then(Merge::from_name);
        edit(merge, true, &fields, body.as_bytes()).map_err(|problem| problem.status())
    }

    const SIMPLETON: (&str, &str) = ("Merge-Type", "simpleton");

    #[test]
    fn whole_texts() {
        let whole = |text: &str| Ok(Some(TextEdit::Whole(text.to_owned())));
        assert_eq!(read(&[SIMPLETON], "a😀\u{feff}\r\n"), whole("a😀\u{feff}\r\n"));
        assert_eq!(read(&[SIMPLETON, ("Content-Type", "text/plain;charset=UTF-8")], ""), whole(""));
        assert_eq!(read(&[SIMPLETON, ("Content-Type", "application/json")], "{}"), Ok(None));
        assert_eq!(read(&[("Content-Type", "text/plain")], "a"), Ok(None));
    }

    #[test]
    fn ranges_of_a_text_in_any_order() {
        let splices = |list: &[(u32, u32, &str)]| {
            let list = list.iter().map(|(start, end, text)| (*start, *end, (*text).to_owned()));
            Ok(Some(TextEdit::Splices(list.collect())))
        };
        assert_eq!(read(&[("Content-Range", "text [3:5]")], "é"), splices(&[(3, 5, "é")]));
        assert_eq!(read(&[SIMPLETON, ("Content-Range", "TEXT=[0:0]")], ""), splices(&[(0, 0, "")]));
        let block = |range: &str, text: &str| {
            format!("Content-Length: {}\r\nContent-Range: {range}\r\n\r\n{text}\r\n\r\n", text.len())
        };
        let two = [block("text [8:13]", "drei"), block("text [0:3]", "é")].concat();
        assert_eq!(read(&[("Patches", "2")], &two), splices(&[(0, 3, "é"), (8, 13, "drei")]));
        assert_eq!(read(&[SIMPLETON, ("Patches", "0")], ""), splices(&[]));
        let overlap = [block("text [0:3]", "a"), block("text [2:4]", "b")].concat();
        assert_eq!(read(&[("Patches", "2")], &overlap), Err(400));
        let mixed = [block("text [0:3]", "a"), block("json .a", "1")].concat();
        assert_eq!(read(&[("Patches", "2")], &mixed), Err(400));
        assert_eq!(read(&[SIMPLETON, ("Content-Range", "json .a")], "1"), Err(400));
        assert_eq!(read(&[("Merge-Type", "lww"), ("Content-Range", "text [0:1]")], "1"), Err(400));
        for bad in ["[5:3]", "[-1:2]", "[1]", "[1:]", "1:2", "[0:4294967296]", "[+1:2]", "[a:b]", "[0:1][2:3]", ""] {
            assert_eq!(read(&[("Content-Range", &format!("text {bad}"))], "x"), Err(400), "{bad}");
        }
        assert_eq!(
            edit(None, true, &Fields::new(vec![("Content-Range".into(), "text [0:1]".into())]).unwrap(), &[0xff])
                .map_err(|p| p.status()),
            Err(400)
        );
    }
}
