//! The entry points fuzzers call: what lies behind checks that random bytes do not pass.

use crate::chunk;
use crate::event_rows;
use crate::store::RowKey;

/// A row with this content and a good check.
pub fn seal(key: RowKey, content: &[u8]) -> Vec<u8> {
    key.seal(content.to_vec()).bytes.unwrap_or_default()
}

/// The content of a row whose check is good.
pub fn unseal(key: RowKey, row: &[u8]) -> Option<Vec<u8>> {
    key.open(row).ok().map(<[u8]>::to_vec)
}

/// Reads a chunk without its check. What reads and fits is written again: gives its operations and those bytes.
pub fn chunk(content: &[u8]) -> Option<(u32, Vec<u8>)> {
    let mut records = Vec::new();
    chunk::records(content, 0, &mut |record| {
        records.push(record);
        Ok(())
    })
    .ok()?;
    let mut written = chunk::Chunk::new(0);
    records.iter().for_each(|record| written.push(record));
    Some((records.len() as u32, written.content()))
}

/// Reads a row of a history of events without its check, the first of it. What reads is written again: gives its edits
/// and those bytes.
pub fn events(content: &[u8]) -> Option<(u32, Vec<u8>)> {
    let (mut count, mut out) = (0, crate::codec::Writer::new());
    out.u8(1);
    event_rows::read(content, 1, &mut |(author, name, parents, before, splices)| {
        event_rows::write(author, name, &parents, before, &splices, &mut out);
        count += 1;
        Ok(())
    })
    .ok()?;
    Some((count, out.finish()))
}
