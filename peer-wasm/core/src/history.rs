//! The index of a space's history: which op touched which place when, so that the tree can be read as of any point.
//!
//! ```text
//! space (4) ‖ 1 ‖ path key ‖ 0xff ‖ point (26)     log ‖ tag (1) ‖ size     one op at its place
//! space (4) ‖ 2 ‖ point (26)                        log                      one op entry
//! point = clock (8 bytes, big-endian) ‖ agent[10] ‖ seq (8 bytes, big-endian)
//! ```
//!
//! `0xff` never occurs in UTF-8, so the ops of one place stand together, after those of everything below it.
//! The rows say nothing that the entries do not say: they can be made anew from them at any time, and peers with
//! the same entries have the same points in the same order.

use crate::clock::Clock;
use crate::codec::{CodecError, Reader, Writer};
use crate::document::{Item, Leaf, Register};
use crate::path::Path;
use crate::rows::{KeyRange, Table};
use crate::version::{Agent, Version};

const PLACE: u8 = 1;
const TIME: u8 = 2;
const SEPARATOR: u8 = 0xff;
/// Bytes in a point.
pub const POINT_BYTES: usize = 26;

/// A point in a space's history: the moment just after one write. Points are ordered as writes win over each other,
/// and a write always comes after every write its author had seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The write's clock.
    pub clock: u64,
    /// Whose log it is in.
    pub agent: Agent,
    /// Its place in that log.
    pub seq: u64,
}

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

/// What the index says of one op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpRow {
    /// The number of the log its entry is in.
    pub log: u32,
    /// The tag of its leaf.
    pub tag: u8,
    /// Bytes of content.
    pub size: u64,
}

impl OpRow {
    /// Whether the op took away what was at its place.
    pub fn is_deletion(&self) -> bool {
        self.tag == Leaf::Deleted.tag()
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.number(u64::from(self.log)).u8(self.tag).number(self.size).finish()
    }

    /// Reads a row; `None` if it is not one.
    pub fn decode(bytes: &[u8]) -> Option<OpRow> {
        let read = || -> Result<OpRow, CodecError> {
            let mut reader = Reader::new(bytes);
            let log = u32::try_from(reader.number()?).map_err(|_| CodecError::Number)?;
            let row = OpRow { log, tag: reader.u8()?, size: reader.number()? };
            reader.end()?;
            Ok(row)
        };
        read().ok()
    }
}

/// The rows that index the ops of one log; `items` as they are merged, the ops of an entry one after the other.
pub fn rows<'a>(space: u32, log: u32, items: impl IntoIterator<Item = &'a Item>) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let mut puts = Vec::new();
    let mut last = None;
    for item in items {
        let point = Point::of(&item.register);
        let leaf = &item.register.leaf;
        let row = OpRow { log, tag: leaf.tag(), size: leaf.size() as u64 };
        puts.push((Table::History, op_key(&place_key(space, &item.path), &point), row.encode()));
        if last.replace(point) != Some(point) {
            puts.push((Table::History, time_key(space, &point), Writer::new().number(u64::from(log)).finish()));
        }
    }
    puts
}

/// What the keys of all index rows of a space begin with.
pub fn space_range(space: u32) -> KeyRange {
    KeyRange::prefix(&space.to_be_bytes())
}

/// What the keys of the ops at a place and of everything below it begin with.
pub fn place_key(space: u32, path: &Path) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[PLACE], &path.to_key()].concat()
}

/// The key of an op at the place with this key.
fn op_key(place: &[u8], point: &Point) -> Vec<u8> {
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

/// The place and the point in the key of an op.
pub fn read_op_key(key: &[u8]) -> Option<(Path, Point)> {
    let (place, point) = key.get(5..)?.split_last_chunk::<POINT_BYTES>()?;
    let place = place.strip_suffix(&[SEPARATOR])?;
    let path = if place == Path::space_name().to_key() { Path::space_name() } else { Path::from_key(place)? };
    Some((path, Point::from_bytes(point)?))
}

fn time_key(space: u32, point: &Point) -> Vec<u8> {
    [&space.to_be_bytes()[..], &[TIME], &point.to_bytes()].concat()
}

/// The op entries of a space up to a point.
pub fn entries_until(space: u32, point: &Point) -> KeyRange {
    let mut end = time_key(space, point);
    end.push(0);
    KeyRange { start: [&space.to_be_bytes()[..], &[TIME]].concat(), end }
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
        let register = |clock| Register { clock, agent: Agent([0xff; 10]), seq: 1, leaf: Leaf::Object };
        let path = |names: &[&str]| Path::new(names.iter().copied()).unwrap();
        let places =
            [path(&[]), path(&["a"]), path(&["a", ""]), path(&["a", "\u{1}\u{1}"]), path(&["a", "é"]), path(&["b"])];
        let mut keys = std::collections::BTreeMap::new();
        for (n, place) in places.iter().enumerate() {
            for clock in [0, 1, 0x0101_0101_0101_0101, u64::MAX] {
                let item = Item { path: place.clone(), register: register(clock) };
                for (_, key, value) in rows(3, n as u32, [&item]) {
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
