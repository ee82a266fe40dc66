//! A page: a run of rows in one stored value.
//!
//! ```text
//! page = 0x01 ‖ sum of the bound and of all that follows (8 bytes, big-endian) ‖ row*
//! row  = bytes shared with the key before ‖ rest of the key (bytes) ‖ (2 · length ‖ value | 1 ‖ sum (8 bytes))
//! ```
//!
//! The key before the first is the page's bound. A row with `1` has its value apart, in a stored value of its own, whose
//! sum it holds. Numbers and bytes are those of [`kith_core::codec`].

use std::rc::Rc;

use kith_core::codec::{CodecError, Reader, Writer};

use super::sum::sum;

/// The first byte of a page.
const FORMAT: u8 = 1;

/// Bytes of a page before its first row.
const HEADER: usize = 9;

/// Bytes that a row is taken to need in memory beside its key and value.
const ROW_MEMORY: usize = 48;

/// A row, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The key, and behind it the value if it is held here.
    bytes: Rc<[u8]>,
    key: usize,
    apart: Option<u64>,
}

impl Row {
    /// A row with its value.
    pub(super) fn new(key: &[u8], value: &[u8]) -> Row {
        Row { bytes: [key, value].concat().into(), key: key.len(), apart: None }
    }

    /// A row whose value is kept apart and has this sum.
    pub(super) fn apart(key: &[u8], sum: u64) -> Row {
        Row { bytes: key.into(), key: key.len(), apart: Some(sum) }
    }

    pub(super) fn key(&self) -> &[u8] {
        self.bytes.get(..self.key).unwrap_or_default()
    }

    /// The value, or the sum of a value that is kept apart.
    pub(super) fn value(&self) -> Result<&[u8], u64> {
        match self.apart {
            Some(sum) => Err(sum),
            None => Ok(self.bytes.get(self.key..).unwrap_or_default()),
        }
    }

    /// Bytes in a page, behind a row with the key `before`.
    fn size(&self, before: &[u8]) -> usize {
        let shared = shared(before, self.key());
        let rest = self.key.saturating_sub(shared);
        let value = match self.value() {
            Ok(value) => number_len(2 * value.len()) + value.len(),
            Err(_) => 1 + 8,
        };
        number_len(shared) + number_len(rest) + rest + value
    }
}

/// Rows in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
}

impl Page {
    /// The row with this key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Row> {
        let at = self.rows.binary_search_by(|row| row.key().cmp(key)).ok()?;
        self.rows.get(at)
    }

    /// The rows from `start` on and before `end`, if there is one.
    pub(super) fn range(&self, start: &[u8], end: Option<&[u8]>) -> &[Row] {
        let from = self.rows.partition_point(|row| row.key() < start);
        let to = end.map_or(self.rows.len(), |end| self.rows.partition_point(|row| row.key() < end));
        self.rows.get(from..to).unwrap_or_default()
    }

    /// Bytes in memory, about.
    pub(super) fn memory(&self) -> usize {
        self.rows.iter().map(|row| row.bytes.len() + ROW_MEMORY).sum()
    }

    /// Bytes when stored under this bound.
    pub(super) fn size(&self, bound: &[u8]) -> usize {
        sizes(bound, &self.rows).fold(HEADER, usize::saturating_add)
    }

    /// The page as stored under this bound.
    pub(super) fn encode(&self, bound: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new();
        let mut before = bound;
        for row in &self.rows {
            let shared = shared(before, row.key());
            writer.number(shared as u64).bytes(row.key().get(shared..).unwrap_or_default());
            match row.value() {
                Ok(value) => writer.number(2 * value.len() as u64).fixed(value),
                Err(sum) => writer.number(1).fixed(&sum.to_be_bytes()),
            };
            before = row.key();
        }
        let rows = writer.finish();
        let sum = sum(&[bound, &rows].concat());
        writer.u8(FORMAT).fixed(&sum.to_be_bytes()).fixed(&rows).finish()
    }

    /// Reads what is stored under this bound; says in a few words what is wrong with it.
    pub(super) fn decode(bound: &[u8], stored: &[u8]) -> Result<Page, &'static str> {
        let mut reader = Reader::new(stored);
        if reader.u8() != Ok(FORMAT) {
            return Err("it has no format known here");
        }
        let expected = reader.fixed().map(u64::from_be_bytes).map_err(|_| "it is cut off")?;
        if sum(&[bound, reader.rest()].concat()) != expected {
            return Err("its sum is another");
        }
        Page::read(bound, reader).map_err(|_| "its rows cannot be read")
    }

    fn read(bound: &[u8], mut reader: Reader<'_>) -> Result<Page, CodecError> {
        let mut rows: Vec<Row> = Vec::new();
        let mut key = bound.to_vec();
        while !reader.is_at_end() {
            let shared = reader.size(key.len())?;
            let rest = reader.bytes(reader.rest().len())?;
            let follows = key.get(shared..).is_some_and(|before| before < rest || (rows.is_empty() && before == rest));
            if !follows {
                return Err(CodecError::Tag);
            }
            key.truncate(shared);
            key.extend_from_slice(rest);
            let kind = reader.number()?;
            rows.push(match kind {
                1 => Row::apart(&key, u64::from_be_bytes(reader.fixed()?)),
                even if even % 2 == 0 => {
                    let len = usize::try_from(even / 2).map_err(|_| CodecError::Limit)?;
                    Row::new(&key, reader.take(len)?)
                }
                _ => return Err(CodecError::Tag),
            });
        }
        Ok(Page { rows })
    }
}

/// Lays rows out over pages of at most `most` bytes, the first with this bound. Each page but the first gets the key of
/// its first row as its bound. Only a row that is alone may make a page larger.
///
/// If the rows grow at their `end`, pages are filled, for nothing will come between; else they are cut evenly, with room.
pub(super) fn pack(bound: &[u8], rows: Vec<Row>, most: usize, end: bool) -> Vec<(Vec<u8>, Page)> {
    let total = sizes(bound, &rows).fold(HEADER, usize::saturating_add);
    if total <= most {
        return vec![(bound.to_vec(), Page { rows })];
    }
    let roomy = most - most / 4;
    let enough = if end { most } else { total / total.div_ceil(roomy.max(1)).max(1) };
    let mut pages = vec![(bound.to_vec(), Page::default())];
    let (mut size, mut before) = (HEADER, bound.to_vec());
    for row in rows {
        let next = row.size(&before);
        before = row.key().to_vec();
        let Some((_, page)) = pages.last_mut() else { break };
        if page.rows.is_empty() || (size + next <= most && size < enough) {
            size += next;
            page.rows.push(row);
        } else {
            size = HEADER + row.size(&before);
            pages.push((before.clone(), Page { rows: vec![row] }));
        }
    }
    pages
}

/// What each row needs in a page with this bound.
fn sizes<'a>(bound: &'a [u8], rows: &'a [Row]) -> impl Iterator<Item = usize> + 'a {
    let before = std::iter::once(bound).chain(rows.iter().map(Row::key));
    rows.iter().zip(before).map(|(row, before)| row.size(before))
}

/// How many bytes two keys begin with together.
fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// Bytes of a number when written.
fn number_len(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let key = proptest::collection::vec(0u8..3, 0..6);
        let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
        proptest::collection::btree_map(key, value, 0..60).prop_map(|rows| {
            let row = |(key, value): (Vec<u8>, Option<Vec<u8>>)| match value {
                Some(value) => Row::new(&key, &value),
                None => Row::apart(&key, sum(&key)),
            };
            rows.into_iter().map(row).collect()
        })
    }

    proptest! {
        #[test]
        fn a_page_comes_back_and_is_as_long_as_said(rows in rows()) {
            let bound = rows.first().map_or(Vec::new(), |row| row.key().iter().copied().take(1).collect());
            let page = Page { rows };
            let stored = page.encode(&bound);
            prop_assert_eq!(page.size(&bound), stored.len());
            prop_assert_eq!(Page::decode(&bound, &stored), Ok(page));
        }

        #[test]
        fn packed_rows_are_the_same_rows_in_pages_small_enough(rows in rows(), most in 40usize..600, end: bool) {
            let pages = pack(b"", rows.clone(), most, end);
            let mut unpacked = Vec::new();
            for (at, (bound, page)) in pages.iter().enumerate() {
                prop_assert!(page.rows.len() == 1 || page.size(bound) <= most);
                prop_assert!(at == 0 || page.rows.first().map(Row::key) == Some(bound.as_slice()));
                unpacked.extend(page.rows.iter().cloned());
            }
            prop_assert_eq!(unpacked, rows);
        }

        #[test]
        fn taking_a_row_out_never_makes_a_page_longer(rows in rows(), at: prop::sample::Index) {
            prop_assume!(!rows.is_empty());
            let before = Page { rows: rows.clone() }.size(b"");
            let mut rows = rows;
            rows.remove(at.index(rows.len()));
            let page = Page { rows };
            prop_assert!(page.size(b"") < before);
        }

        #[test]
        fn damage_is_noticed(rows in rows(), at: prop::sample::Index, bit in 0u8..8) {
            let mut stored = Page { rows }.encode(b"");
            let at = at.index(stored.len());
            stored[at] ^= 1 << bit;
            prop_assert!(Page::decode(b"", &stored).is_err());
        }

        #[test]
        fn anything_can_be_read_without_harm(mut stored in proptest::collection::vec(any::<u8>(), 0..80)) {
            let rows = stored.split_off(stored.len().min(HEADER));
            let sum = sum(&rows);
            let page = Writer::new().u8(FORMAT).fixed(&sum.to_be_bytes()).fixed(&rows).finish();
            if let Ok(page) = Page::decode(b"", &page) {
                prop_assert!(page.rows.is_sorted_by(|one, other| one.key() < other.key()));
            }
        }
    }

    #[test]
    fn a_page_under_another_bound_is_damaged() {
        let page = Page { rows: vec![Row::new(b"b", b"value")] };
        assert_eq!(Page::decode(b"a", &page.encode(b"b")), Err("its sum is another"));
    }

    #[test]
    fn filled_pages_are_full_and_cut_pages_have_room() {
        let rows: Vec<Row> = (0..1000u32).map(|n| Row::new(&n.to_be_bytes(), &[7; 50])).collect();
        let full = pack(b"", rows.clone(), 4096, true);
        let cut = pack(b"", rows, 4096, false);
        assert!(full.iter().rev().skip(1).all(|(bound, page)| page.size(bound) > 4000));
        assert!(cut.iter().all(|(bound, page)| (2000..3500).contains(&page.size(bound))));
    }
}
