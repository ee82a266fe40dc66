//! The index of a space's history: which op touched which place when, so that the tree can be read as of any point.
//!
//! ```text
//! space (4) ‖ 0x20 ‖ path key ‖ 0xff ‖ point (26)    log ‖ tag (1) ‖ deed (1) ‖ size    one op at its place
//! space (4) ‖ 0x21 ‖ point (26)                       log                                one op entry
//! deed = 0 (puts) | 1 (takes away) | 2 (redacted)
//! point = clock (8 bytes, big-endian) ‖ agent[10] ‖ seq (8 bytes, big-endian)
//! ```
//!
//! `0xff` never occurs in UTF-8, so the ops of one place stand together, after those of everything below it.
//! The rows stand beside those of the tree, in the same pages. They say nothing that the entries do not say: they can be
//! made anew from them at any time, and peers with the same entries have the same points in the same order.

use crate::clock::Clock;
use crate::codec::{Reader, Writer};
use crate::document::kind::tag;
use crate::document::{Item, Leaf, Register};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::{Batch, KeyRange, Table};
use crate::version::{Agent, Version};

/// Which of a space's rows are about ops …
pub const OPS: u8 = 0x20;
/// … and which about entries.
pub const TIMES: u8 = 0x21;
/// Where the byte that says so stands in a key.
pub const PART: usize = 4;
const SEPARATOR: u8 = 0xff;
/// Bytes in a point.
pub const POINT_BYTES: usize = 26;

pub use crate::document::kind::Stamp as Point;

/// A stamp as a point in a space's history: the moment just after that write. A write always comes after every write its
/// author had seen.
impl Point {
    /// Before everything.
    pub const START: Point = Point { clock: 0, agent: Agent([0; 10]), seq: 0 };
    /// After everything.
    pub const END: Point = Point { clock: u64::MAX, agent: Agent([0xff; 10]), seq: u64::MAX };

    /// Just after the write that made this register.
    pub fn of(register: &Register) -> Point {
        Point { clock: register.clock, agent: register.agent, seq: register.seq }
    }

    /// The end of a millisecond since 1970.
    pub fn at_time(millis: u64) -> Point {
        Point { clock: Clock::new(millis, u16::MAX).0, ..Point::END }
    }

    /// The write's version.
    pub fn version(&self) -> Version {
        Version { agent: self.agent, seq: self.seq }
    }

    /// The last point before this one.
    pub fn before(&self) -> Point {
        let mut bytes = self.to_bytes();
        for byte in bytes.iter_mut().rev() {
            let (less, borrow) = byte.overflowing_sub(1);
            *byte = less;
            if !borrow {
                return Point::from_bytes(&bytes).unwrap_or(Point::START);
            }
        }
        Point::START
    }

    /// Bytes whose order is the order of points.
    pub fn to_bytes(&self) -> [u8; POINT_BYTES] {
        let mut bytes = [0; POINT_BYTES];
        let parts = self.clock.to_be_bytes().into_iter().chain(self.agent.0).chain(self.seq.to_be_bytes());
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    /// The point with these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Point> {
        let (clock, rest) = bytes.split_first_chunk::<8>()?;
        let (agent, seq) = rest.split_first_chunk::<10>()?;
        let seq = u64::from_be_bytes(seq.try_into().ok()?);
        Some(Point { clock: u64::from_be_bytes(*clock), agent: Agent(*agent), seq })
    }
}

/// What an op does, as far as lists of versions tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It puts something there.
    Put,
    /// It does nothing but take away.
    Delete,
    /// What it did is gone. Of several in a row at one place only the first is kept.
    Redacted,
}

/// What the index says of one op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpRow {
    /// The number of the log its entry is in.
    pub log: u32,
    /// What its leaf begins with.
    pub code: u8,
    /// What it does.
    pub deed: Deed,
    /// Bytes of content.
    pub size: u64,
}

impl OpRow {
    /// What is left of an op whose bytes are gone.
    pub const REDACTED: OpRow = OpRow { log: 0, code: 0, deed: Deed::Redacted, size: 0 };

    /// What is said of an op that makes this of its place, in a log of this number.
    pub fn of(log: u32, leaf: &Leaf) -> OpRow {
        let deed = if leaf.takes_away() { Deed::Delete } else { Deed::Put };
        OpRow { log, code: leaf.code(), deed, size: leaf.size() as u64 }
    }

    /// The row's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.number(u64::from(self.log)).u8(self.code).u8(self.deed as u8).number(self.size).finish()
    }

    /// Reads a row; `None` if it is not one.
    pub fn decode(bytes: &[u8]) -> Option<OpRow> {
        let mut reader = Reader::new(bytes);
        let log = u32::try_from(reader.number().ok()?).ok()?;
        let code = reader.u8().ok()?;
        let deed = match reader.u8().ok()? {
            0 => Deed::Put,
            1 => Deed::Delete,
            _ => Deed::Redacted,
        };
        let row = OpRow { log, code, deed, size: reader.number().ok()? };
        reader.is_at_end().then_some(row)
    }
}

/// The rows that index the ops of one log; `items` as they are merged, the ops of an entry one after the other.
pub fn rows(space: u32, log: u32, items: &[Item]) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let mut puts = Vec::new();
    let mut last = None;
    // Where something moves is no part of what stood at a place.
    for item in items.iter().filter(|item| item.register.leaf.tag() != Some(tag::MOVE)) {
        let point = Point::of(&item.register);
        let row = OpRow::of(log, &item.register.leaf);
        puts.push((Table::View, op_key(&place_key(space, &item.path), &point), row.encode()));
        if last.replace(point) != Some(point) {
            puts.push((Table::View, time_key(space, &point), Writer::new().number(u64::from(log)).finish()));
        }
    }
    puts
}

/// Marks ops whose bytes go, by their keys in rising order of entries: reads of the past say so, and do not show what was
/// there before as if it had lasted.
pub fn redact(lens: &Lens<'_>, keys: Vec<Vec<u8>>, batch: &mut Batch) -> Result<(), Miss> {
    let mut missing = Ok(());
    let mut marked: Vec<Vec<u8>> = Vec::new();
    for key in keys {
        let place = key.get(..key.len().saturating_sub(POINT_BYTES)).unwrap_or_default();
        let range = KeyRange { start: place.to_vec(), end: [&key[..], &[0]].concat() };
        let Ok(found) = lens.scan(Table::View, &range, 2, true) else {
            missing = Err(Miss);
            continue;
        };
        let mut found = found.iter();
        if found.next().is_none_or(|(own, _)| *own != key) {
            continue;
        }
        // Of marks that follow each other the first is enough.
        let past = KeyRange { start: [&key[..], &[0]].concat(), end: KeyRange::prefix(place).end };
        match lens.scan(Table::View, &past, 1, false) {
            Ok(next) => batch
                .deletes
                .extend(next.into_iter().filter(|(_, row)| is_mark(row)).map(|(key, _)| (Table::View, key))),
            Err(Miss) => missing = Err(Miss),
        }
        let follows = found.next().is_some_and(|(before, row)| marked.contains(before) || is_mark(row));
        if follows {
            batch.deletes.push((Table::View, key.clone()));
        } else {
            batch.puts.push((Table::View, key.clone(), OpRow::REDACTED.encode()));
        }
        marked.push(key);
    }
    missing
}

/// Whether a row only says that something is gone.
pub fn is_mark(row: &[u8]) -> bool {
    OpRow::decode(row).is_some_and(|row| row.deed == Deed::Redacted)
}

/// What the keys of one part of a space's rows begin with.
pub fn part_key(space: u32, part: u8) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[part]].concat()
}

/// What the keys of the ops at a place and of everything below it begin with.
pub fn place_key(space: u32, path: &Path) -> Vec<u8> {
    [part_key(space, OPS), path.to_key()].concat()
}

/// The same from the key of the place's row in the tree.
pub fn place_of_row(row: &[u8]) -> Vec<u8> {
    let mut key = row.to_vec();
    if let Some(part) = key.get_mut(PART) {
        *part = OPS;
    }
    key
}

/// The key of a place's row in the tree from that of its ops.
pub fn row_of_place(place: &[u8]) -> Vec<u8> {
    let mut key = place.to_vec();
    if let Some(part) = key.get_mut(PART) {
        *part = 1;
    }
    key
}

/// The key of an op at the place with this key.
pub fn op_key(place: &[u8], point: &Point) -> Vec<u8> {
    [place, &[SEPARATOR], &point.to_bytes()].concat()
}

/// The ops at the place with this key, up to a point.
pub fn ops_until(place: &[u8], point: &Point) -> KeyRange {
    let mut end = op_key(place, point);
    end.push(0);
    KeyRange { start: [place, &[SEPARATOR]].concat(), end }
}

/// The ops at everything below the place with this key, not at the place itself.
pub fn ops_below(place: &[u8]) -> KeyRange {
    KeyRange { start: place.to_vec(), end: [place, &[SEPARATOR]].concat() }
}

/// The place's key and the point in the key of an op.
pub fn split_op_key(key: &[u8]) -> Option<(&[u8], Point)> {
    let (place, point) = key.split_last_chunk::<POINT_BYTES>()?;
    Some((place.strip_suffix(&[SEPARATOR])?, Point::from_bytes(point)?))
}

/// The place and the point in the key of an op; `None` for places that programs cannot reach.
pub fn read_op_key(key: &[u8]) -> Option<(Path, Point)> {
    let (place, point) = split_op_key(key)?;
    Some((Path::from_row_key(place.get(PART + 1..)?)?, point))
}

/// The key of the row that says whose entry was written at a point.
pub fn time_key(space: u32, point: &Point) -> Vec<u8> {
    [&part_key(space, TIMES)[..], &point.to_bytes()].concat()
}

/// The op entries of a space up to a point.
pub fn entries_until(space: u32, point: &Point) -> KeyRange {
    let mut end = time_key(space, point);
    end.push(0);
    KeyRange { start: part_key(space, TIMES), end }
}

/// The point and the log's number in the row of an op entry.
pub fn read_entry_row(key: &[u8], value: &[u8]) -> Option<(Point, u32)> {
    let log = u32::try_from(Reader::new(value).number().ok()?).ok()?;
    Some((Point::from_bytes(key.get(5..)?)?, log))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_point() -> impl Strategy<Value = Point> {
        (any::<u64>(), any::<[u8; 10]>(), any::<u64>()).prop_map(|(clock, agent, seq)| Point {
            clock,
            agent: Agent(agent),
            seq,
        })
    }

    proptest! {
        #[test]
        fn bytes_sort_like_points(a in any_point(), b in any_point()) {
            prop_assert_eq!(a.to_bytes().cmp(&b.to_bytes()), a.cmp(&b));
            prop_assert_eq!(Point::from_bytes(&a.to_bytes()), Some(a));
            prop_assert!(a == Point::START || a.before() < a);
            prop_assert!(b >= a || b <= a.before());
        }
    }

    #[test]
    fn the_ops_of_a_place_stand_apart_from_those_below_whatever_they_are_called() {
        let register =
            |clock| Register { clock, agent: Agent([0xff; 10]), seq: 1, leaf: crate::document::Leaf::Object };
        let path = |names: &[&str]| Path::new(names.iter().copied()).unwrap();
        let places =
            [path(&[]), path(&["a"]), path(&["a", ""]), path(&["a", "\u{1}\u{1}"]), path(&["a", "é"]), path(&["b"])];
        let mut keys = std::collections::BTreeMap::new();
        for (n, place) in places.iter().enumerate() {
            for clock in [0, 1, 0x0101_0101_0101_0101, u64::MAX] {
                let item = Item::new(place.clone(), register(clock));
                for (_, key, value) in rows(3, n as u32, &[item]) {
                    keys.insert(key, value);
                }
            }
        }
        for place in &places {
            let key = place_key(3, place);
            let own = |range: &KeyRange| -> Vec<Path> {
                keys.keys().filter(|key| range.contains(key)).map(|key| read_op_key(key).unwrap().0).collect()
            };
            assert_eq!(own(&ops_until(&key, &Point::END)), vec![place.clone(); 4]);
            let below: Vec<Path> = places.iter().filter(|p| *p != place && place.contains(p)).cloned().collect();
            let mut found = own(&ops_below(&key));
            found.sort();
            found.dedup();
            let mut below = below;
            below.sort();
            assert_eq!(found, below, "{place}");
        }
        let (key, value) = keys.range(entries_until(3, &Point::END).start..).next().unwrap();
        assert_eq!(read_entry_row(key, value).map(|(point, _)| point.clock), Some(0));
    }
}
