//! Texts as they were at a point of history.
//!
//! A text at a point consists of all its operations up to then. The index of history names them; the text's own history
//! says which of them count and what they make. The result is stored in a small text of its own, among the rows that
//! stand in for the tree as it was.

use super::fold::Rows;
use super::past::INDEX_ROWS;
use super::space::Space;
use crate::api::Refusal;
use crate::document::kind::text::Shown;
use crate::document::kind::{State, tag};
use crate::document::text::{history_range, inner, open_text, outer, text_key};
use crate::document::{self};
use crate::history::{self, Deed, OpRow, Point};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use crate::version::Agent;
use kith_map::BTreeMap;
use kith_text::{ReadError, Splice, TextDoc};

/// The most texts in one answer.
const MAX_TEXTS: usize = 64;
/// Characters of a text that are put into one operation of what stands in for it.
const PART: usize = 50_000;

/// Rows to be put beside those of the tree.
pub(super) type Puts = Vec<(Table, Vec<u8>, Vec<u8>)>;

/// What a text was: its state and its content.
type Then = (Shown, String);

/// Puts what they were at a point into the rows of texts, and gives the rows of the texts themselves.
pub(super) fn texts(
    lens: &Lens<'_>,
    space: &Space,
    rows: &mut Rows,
    at: &Point,
) -> Result<Result<Puts, Refusal>, Miss> {
    let number = space.number;
    let base = document::view_prefix(number).len();
    let places: Vec<(Vec<u8>, Path)> = rows
        .iter()
        .filter(|(_, row)| row.shown_tag() == Some(tag::TEXT))
        .filter_map(|(key, _)| Some((key.clone(), Path::from_row_key(key.get(base..)?)?)))
        .collect();
    if places.len() > MAX_TEXTS {
        let what = "What is stored at this path (in texts)".to_owned();
        return Ok(Err(Refusal::TooLarge { what, limit: MAX_TEXTS as u64, listing: None }));
    }
    let mut puts = Puts::new();
    let mut missing = false;
    for (key, path) in places {
        match text_at(lens, number, &path, at) {
            Err(Miss) => missing = true,
            Ok(Err(refusal)) => return Ok(Err(refusal)),
            Ok(Ok((shown, text))) => {
                if let Some(state) = rows.get_mut(&key).and_then(|row| row.states.of(tag::TEXT)) {
                    *state = State::Text(shown);
                }
                let mut doc = stand_in(&text);
                let changes = doc.take_rows().into_iter();
                puts.extend(
                    changes.filter_map(|row| Some((Table::View, text_key(number, &path, row.key), row.bytes?))),
                );
            }
        }
    }
    if missing { Err(Miss) } else { Ok(Ok(puts)) }
}

/// A text that holds just this.
fn stand_in(text: &str) -> TextDoc {
    let mut doc = TextDoc::new(kith_text::Algorithm::DiamondTypes1);
    let chars: Vec<char> = text.chars().collect();
    for (seq, part) in chars.chunks(PART).enumerate() {
        let put = Splice { pos: doc.len_chars(), len: 0, text: part.iter().collect() };
        // It has room for as much as any text.
        let _ = doc.edit(kith_text::Agent([0; 10]), seq as u64, &[put]);
    }
    doc
}

fn text_at(lens: &Lens<'_>, number: u32, path: &Path, at: &Point) -> Result<Result<Then, Refusal>, Miss> {
    let place = history::place_key(number, path);
    let row = lens.get(Table::View, &document::view_key(number, path))?.and_then(document::ViewRow::decode);
    let began = row.as_ref().and_then(document::ViewRow::since).unwrap_or(Point::START);
    let all = history::ops_until(&place, &Point::END);
    let until = KeyRange { start: history::op_key(&place, &began), ..history::ops_until(&place, at) };
    let later = lens.scan(Table::View, &KeyRange { start: until.end.clone(), end: all.end }, 1, false);
    let found = lens.scan(Table::View, &until, INDEX_ROWS, true);
    let chunks = lens.scan(Table::View, &history_range(number, path), usize::MAX / 2, false);
    let opened = open_text(lens, number, path)?;
    let unreadable = || {
        let detail = "The text is being put together again. Try again in a moment.".to_owned();
        Refusal::Unavailable { detail, retry_after: 1 }
    };
    let mut doc = match opened {
        Some(Ok(doc)) => doc,
        Some(Err(_)) => return Ok(Err(unreadable())),
        None => return Ok(Ok((Shown::default(), String::new()))),
    };
    let shown = |doc: &TextDoc, frontier: &[kith_text::Version], text: &str| Shown {
        frontier: frontier.iter().copied().map(outer).collect(),
        chars: if frontier == doc.frontier() { doc.len_chars() } else { text.chars().count() as u32 },
    };
    if later?.is_empty() {
        let text = doc.text();
        return Ok(Ok((shown(&doc, doc.frontier(), &text), text)));
    }
    let (found, chunks) = (found?, chunks?);
    if doc.load_history(chunks.iter().map(|(_, row)| row.as_slice())).is_err() {
        return Ok(Err(unreadable()));
    }
    // The last that counts of each author. What lies further back than can be looked through is included in what was
    // built on it since.
    let mut latest: BTreeMap<Agent, u64> = BTreeMap::new();
    for (key, value) in &found {
        let (Some((_, point)), Some(op)) = (history::read_op_key(key), OpRow::decode(value)) else { continue };
        if op.deed == Deed::Redacted {
            return Ok(Err(Refusal::HistoryDropped));
        }
        if op.code == tag::TEXT
            && latest.get(&point.agent).is_none_or(|seq| *seq < point.seq)
            && doc.has(inner(point.version())) == Ok(true)
        {
            latest.insert(point.agent, point.seq);
        }
    }
    let named: Vec<kith_text::Version> =
        latest.iter().map(|(agent, seq)| kith_text::Version { agent: kith_text::Agent(agent.0), seq: *seq }).collect();
    let then = |named: &[kith_text::Version]| -> Result<Then, ReadError> {
        let frontier = doc.canonical(named)?;
        let text = doc.text_at(&frontier)?;
        Ok((shown(&doc, &frontier, &text), text))
    };
    Ok(then(&named).map_err(|_| unreadable()))
}
