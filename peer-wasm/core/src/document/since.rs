//! In which life of its place an op is. See `docs/decisions/0155-lives-of-places.md`.

use super::kind::{Stamp, tag};
use super::ops::{Leaf, Op};
use super::row::{ViewRow, view_key};
use crate::codec::{CodecError, Reader};
use crate::lens::{Lens, Miss};
use crate::path::Path;
use crate::rows::Table;

/// Which life of its place an op is of. A purge of what is made of many ops ends a life and begins another; ops of the
/// life before have no effect from then on, whenever they were made and come. Members of a set and elements of a list
/// live and end with the set or list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Since {
    /// The first.
    #[default]
    Start,
    /// The one that begins with this op.
    Here,
    /// The one that this purge began.
    Purge(Stamp),
}

impl Since {
    /// The purge that began the life of an op made at `stamp`; an error if that would be later than the op itself.
    pub fn purge(self, stamp: Stamp) -> Result<Option<Stamp>, CodecError> {
        match self {
            Since::Start => Ok(None),
            Since::Here => Ok(Some(stamp)),
            Since::Purge(purge) if purge <= stamp => Ok(Some(purge)),
            Since::Purge(_) => Err(CodecError::Limit),
        }
    }
}

/// The place whose life what this leaf says of a path is of: a set's or list's, for what stands in one.
pub(super) fn ruler(path: &Path, leaf: &Leaf) -> Path {
    path.parent().filter(|_| lives_above(leaf)).unwrap_or_else(|| path.clone())
}

/// Whether what a leaf says is of the life of the place above, a set or list.
pub(super) fn lives_above(leaf: &Leaf) -> bool {
    matches!(leaf.tag(), Some(tag::MEMBER | tag::ELEMENT))
}

/// Reads what a leaf of a later life says.
pub(super) fn read(body: &[u8]) -> Result<(Since, Leaf), CodecError> {
    let mut reader = Reader::new(body);
    let since = match reader.u8()? {
        0 => Since::Here,
        1 => Since::Purge(Stamp::read(&mut reader)?),
        _ => return Err(CodecError::Tag),
    };
    let leaf = Leaf::decode(&mut reader)?;
    reader.end()?;
    if matches!(leaf.tag(), Some(tag::SINCE | tag::MOVE)) { Err(CodecError::Tag) } else { Ok((since, leaf)) }
}

/// Says of ops that are about to be written in which lives of their places they are.
pub fn live_on(lens: &Lens<'_>, space: u32, ops: &mut [Op]) -> Result<(), Miss> {
    let key = |op: &Op| view_key(space, &op.lives_at());
    lens.want(Table::View, ops.iter().map(key))?;
    for op in ops.iter_mut().filter(|op| op.since == Since::Start) {
        let row = lens.get(Table::View, &key(op))?.and_then(ViewRow::decode);
        if let Some(purge) = row.as_ref().and_then(ViewRow::since) {
            op.since = Since::Purge(purge);
        }
    }
    Ok(())
}
