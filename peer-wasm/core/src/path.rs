//! Paths: where a value lives in a space.

use std::fmt;

/// The most segments a path may have.
pub const MAX_SEGMENTS: usize = 32;
/// The most bytes a path may have, segments and separators together.
pub const MAX_PATH_BYTES: usize = 1024;

/// The reserved name below which policies are kept.
const POLICY: &str = "$policy";

/// A place in a space's tree: the names from the top down. Empty is the whole space.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<String>);

/// Why some text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// More than [`MAX_SEGMENTS`].
    #[error("A path may have at most {MAX_SEGMENTS} segments.")]
    TooDeep,
    /// More than [`MAX_PATH_BYTES`].
    #[error("A path may have at most {MAX_PATH_BYTES} bytes.")]
    TooLong,
    /// A NUL character.
    #[error("A path segment must not hold a NUL character.")]
    Nul,
    /// The first segment begins with `$`.
    #[error("Names that begin with `$` are reserved at the top of a space.")]
    Reserved,
}

impl Path {
    /// The top of a space.
    pub const fn root() -> Path {
        Path(Vec::new())
    }

    /// Where a space's name is kept: below a reserved name, so no request can reach it.
    pub(crate) fn space_name() -> Path {
        Path(vec!["$space".to_owned(), "name".to_owned()])
    }

    /// Where the policy for what is below `prefix` is kept: below a reserved name, the prefix in one segment.
    pub(crate) fn policy_of(prefix: &Path) -> Option<Path> {
        let escape = |name: &String| name.replace('%', "%25").replace('/', "%2F");
        let name = format!("/{}", prefix.0.iter().map(escape).collect::<Vec<_>>().join("/"));
        let path = Path(vec![POLICY.to_owned(), name]);
        (path.to_key().len() <= MAX_PATH_BYTES).then_some(path)
    }

    /// Whose policy is kept at this place.
    pub(crate) fn policy_prefix(&self) -> Option<Path> {
        let [top, name] = self.0.as_slice() else { return None };
        let names = name.strip_prefix('/').filter(|_| top == POLICY)?;
        let unescape = |name: &str| name.replace("%2F", "/").replace("%25", "%");
        let names: Vec<String> = if names.is_empty() { Vec::new() } else { names.split('/').map(unescape).collect() };
        let prefix = Path::new(names).ok()?;
        // One form only: another name for the same prefix would be another place.
        (Path::policy_of(&prefix).as_ref() == Some(self)).then_some(prefix)
    }

    /// The place of a policy with this key, if it is one.
    pub(crate) fn policy_from_key(key: &[u8]) -> Option<Path> {
        let name = key.strip_prefix(POLICY.as_bytes())?.strip_prefix(&[0])?.strip_suffix(&[0])?;
        let path = Path(vec![POLICY.to_owned(), String::from_utf8(name.to_vec()).ok()?]);
        path.policy_prefix().is_some().then_some(path)
    }

    /// Whether this is a place programs cannot reach.
    pub(crate) fn is_reserved(&self) -> bool {
        self.0.first().is_some_and(|first| first.starts_with('$'))
    }

    /// A path from its segments (already percent-decoded).
    pub fn new<S: Into<String>>(segments: impl IntoIterator<Item = S>) -> Result<Path, PathError> {
        let segments: Vec<String> = segments.into_iter().map(Into::into).collect();
        if segments.len() > MAX_SEGMENTS {
            return Err(PathError::TooDeep);
        }
        if segments.iter().map(|segment| segment.len() + 1).sum::<usize>() > MAX_PATH_BYTES {
            return Err(PathError::TooLong);
        }
        if segments.iter().any(|segment| segment.contains('\0')) {
            return Err(PathError::Nul);
        }
        if segments.first().is_some_and(|first| first.starts_with('$')) {
            return Err(PathError::Reserved);
        }
        Ok(Path(segments))
    }

    /// The names from the top down.
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// How many names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is the top of the space.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This path with one more name below it.
    pub fn child(&self, name: &str) -> Result<Path, PathError> {
        Path::new(self.0.iter().map(String::as_str).chain([name]))
    }

    /// The same for what stands below something that was moved: a path there may get longer than one that is asked for.
    pub(crate) fn join(&self, name: &str) -> Path {
        Path(self.0.iter().map(String::as_str).chain([name]).map(str::to_owned).collect())
    }

    /// A path that something was moved to: of any length.
    pub(crate) fn of_names(names: Vec<String>) -> Path {
        Path(names)
    }

    /// The place above, or `None` at the top.
    pub fn parent(&self) -> Option<Path> {
        let (_, above) = self.0.split_last()?;
        Some(Path(above.to_vec()))
    }

    /// Every place above this one, from the top down, without this one.
    pub fn ancestors(&self) -> impl Iterator<Item = Path> + '_ {
        (0..self.0.len()).map(|depth| Path(self.0.iter().take(depth).cloned().collect()))
    }

    /// Whether `other` is this place or lies below it.
    pub fn contains(&self, other: &Path) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The path as bytes whose order is tree order: each name followed by a zero byte.
    ///
    /// The rows of a subtree are exactly those whose key begins with the key of its top.
    pub fn to_key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.0.iter().map(|segment| segment.len() + 1).sum());
        for segment in &self.0 {
            key.extend_from_slice(segment.as_bytes());
            key.push(0);
        }
        key
    }

    /// The path with this key, if it is one.
    pub fn from_key(key: &[u8]) -> Option<Path> {
        Path::new(Path::from_row_key(key)?.0).ok()
    }

    /// The path in the key of a row of the tree: what was moved may stand at one that is longer than can be asked for.
    pub(crate) fn from_row_key(key: &[u8]) -> Option<Path> {
        if key.is_empty() {
            return Some(Path::root());
        }
        let names = key.strip_suffix(&[0])?;
        let names: Result<Vec<String>, _> =
            names.split(|byte| *byte == 0).map(|name| String::from_utf8(name.to_vec())).collect();
        names.ok().map(Path).filter(|path| !path.is_reserved())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_a_subtree_together() {
        let path = |text: &str| Path::new(text.split('/')).unwrap();
        let mut keys = ["a", "a!", "a/b", "a/b/c", "ab", "b"].map(|text| path(text).to_key());
        keys.sort();
        let order: Vec<String> = keys.iter().map(|key| Path::from_key(key).unwrap().to_string()).collect();
        assert_eq!(order, ["a", "a/b", "a/b/c", "a!", "ab", "b"]);
    }

    #[test]
    fn refuses_what_is_no_path() {
        assert_eq!(Path::new(["$x"]), Err(PathError::Reserved));
        assert_eq!(Path::new(["a", "b\0"]), Err(PathError::Nul));
        assert_eq!(Path::new(vec!["a"; 33]), Err(PathError::TooDeep));
        assert_eq!(Path::new(["a".repeat(1024)]), Err(PathError::TooLong));
        assert!(Path::new(["a", "$x"]).is_ok());
    }
}
