//! In which life of its place an op is. See `docs/decisions/0155-lives-of-places.md`.

use super::kind::{Stamp, tag};
use super::ops::Leaf;
use crate::codec::{CodecError, Reader};
use crate::path::Path;

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
    let within = matches!(leaf.tag(), Some(tag::MEMBER | tag::ELEMENT));
    path.parent().filter(|_| within).unwrap_or_else(|| path.clone())
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
