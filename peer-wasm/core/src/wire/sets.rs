//! Frames about sets of logs.

use super::{LogHead, MAX_ITEMS, MAX_RANGES, RangeHeads, RangeSums};
use crate::codec::{CodecError, Reader, Writer};
use crate::identity::PublicKey;
use crate::ranges::{DIGITS, Prefix};

pub(super) fn write_heads(writer: &mut Writer, heads: &[LogHead]) {
    writer.number(heads.len() as u64);
    for (log, len, hash) in heads {
        writer.fixed(&log.0).number(*len).fixed(hash);
    }
}

pub(super) fn read_heads(reader: &mut Reader<'_>, limit: usize) -> Result<Vec<LogHead>, CodecError> {
    super::many(reader, limit, |reader| Ok((PublicKey(reader.fixed()?), reader.number()?, reader.fixed()?)))
}

fn write_range(writer: &mut Writer, range: &Prefix) {
    writer.u8(range.digits()).fixed(range.bytes());
}

fn read_range(reader: &mut Reader<'_>) -> Result<Prefix, CodecError> {
    let digits = reader.u8()?;
    let bytes = reader.take(usize::from(digits.min(DIGITS)).div_ceil(2))?;
    Prefix::new(bytes, digits).ok_or(CodecError::Tag)
}

pub(super) fn write_sums(writer: &mut Writer, ranges: &[RangeSums]) {
    writer.number(ranges.len() as u64);
    for RangeSums { range, parts } in ranges {
        write_range(writer, range);
        let present = parts.iter().fold(0u16, |present, (part, _)| present | 1 << (part & 15));
        writer.fixed(&present.to_be_bytes());
        for (_, sum) in parts {
            writer.fixed(sum);
        }
    }
}

pub(super) fn read_sums(reader: &mut Reader<'_>) -> Result<Vec<RangeSums>, CodecError> {
    let mut before: Option<Prefix> = None;
    super::many(reader, MAX_RANGES, |reader| {
        let range = read_range(reader)?;
        if range.digits() == DIGITS || !follows(&mut before, range) {
            return Err(CodecError::Tag);
        }
        let present = u16::from_be_bytes(reader.fixed()?);
        let parts = (0..16).filter(|part| present & 1 << part != 0);
        Ok(RangeSums { range, parts: parts.map(|part| Ok((part, reader.fixed()?))).collect::<Result<_, _>>()? })
    })
}

pub(super) fn write_ranges(writer: &mut Writer, ranges: &[RangeHeads]) {
    writer.number(ranges.len() as u64);
    for RangeHeads { range, logs } in ranges {
        write_range(writer, range);
        write_heads(writer, logs);
    }
}

pub(super) fn read_ranges(reader: &mut Reader<'_>) -> Result<Vec<RangeHeads>, CodecError> {
    let mut before: Option<Prefix> = None;
    let mut room = MAX_ITEMS;
    super::many(reader, MAX_RANGES, |reader| {
        let range = read_range(reader)?;
        if !follows(&mut before, range) {
            return Err(CodecError::Tag);
        }
        let logs = read_heads(reader, room)?;
        room -= logs.len();
        let rising = logs.windows(2).all(|pair| matches!(pair, [(a, ..), (b, ..)] if a < b));
        if !rising || logs.iter().any(|(log, len, _)| *len == 0 || !range.contains(log)) {
            return Err(CodecError::Tag);
        }
        Ok(RangeHeads { range, logs })
    })
}

/// Whether a range lies wholly behind the one before.
fn follows(before: &mut Option<Prefix>, range: Prefix) -> bool {
    let follows = before.is_none_or(|before| before < range && !before.overlaps(&range));
    *before = Some(range);
    follows
}
