//! The relay's lasting identity: one Ed25519 key in the data folder, readable by its owner only.

use libp2p::identity::{Keypair, ed25519};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// File of the key inside the data folder: the 32-byte Ed25519 seed, nothing else.
pub const KEY_FILE: &str = "identity.key";

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The data folder cannot be made or used.
    #[error("cannot use the data folder {path}: {source}; name a folder the relay may write to with --data")]
    Folder {
        /// The folder as configured.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The key file cannot be read or written.
    #[error("cannot use the identity key {path}: {source}")]
    File {
        /// The key file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The key file holds something else.
    #[error(
        "{path} is not an identity key (expected {expected} bytes, found {found}); restore it from a backup, or remove it \
         to start with a new identity"
    )]
    Damaged {
        /// The key file.
        path: PathBuf,
        /// Bytes a key has.
        expected: usize,
        /// Bytes the file has.
        found: usize,
    },
}

/// Reads the identity from `data`, or makes one at the first start.
///
/// # Errors
/// [`IdentityError`]; a damaged file is never replaced.
pub fn load_or_create(data: &Path) -> Result<Keypair, IdentityError> {
    fs::create_dir_all(data).map_err(|source| IdentityError::Folder { path: data.into(), source })?;
    let path = data.join(KEY_FILE);
    let fail = |source| IdentityError::File { path: path.clone(), source };
    if !path.exists() {
        create(data, &path).map_err(fail)?;
    }
    let mut seed = fs::read(&path).map_err(fail)?;
    keep_private(&path).map_err(fail)?;
    let found = seed.len();
    let secret = ed25519::SecretKey::try_from_bytes(&mut seed).map_err(|_| IdentityError::Damaged {
        path: path.clone(),
        expected: 32,
        found,
    })?;
    Ok(ed25519::Keypair::from(secret).into())
}

/// Writes a new key so that a crash leaves either no file or a whole one, and two starts at once agree on one key.
/// A temporary file is readable by its owner only.
fn create(data: &Path, path: &Path) -> io::Result<()> {
    let mut draft = tempfile::NamedTempFile::with_prefix_in(KEY_FILE, data)?;
    draft.write_all(ed25519::SecretKey::generate().as_ref())?;
    draft.as_file().sync_all()?;
    match draft.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => return Err(failed.error),
        _ => {}
    }
    File::open(data)?.sync_all()
}

/// Takes the key away from group and others, e.g. after a restore with a loose umask.
#[cfg(unix)]
fn keep_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the identity key was readable by others; now it is not");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_private(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("deep/data");
        let first = load_or_create(&data).unwrap().public();
        assert_eq!(load_or_create(&data).unwrap().public(), first);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_key_even_after_a_careless_restore() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        load_or_create(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        load_or_create(dir.path()).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_damaged_key_is_reported_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(KEY_FILE), b"short").unwrap();
        let error = load_or_create(dir.path()).unwrap_err().to_string();
        assert!(error.contains("is not an identity key"), "{error}");
        assert_eq!(fs::read(dir.path().join(KEY_FILE)).unwrap(), b"short");
    }

    #[test]
    fn two_first_starts_at_once_agree_on_one_identity() {
        let dir = tempfile::tempdir().unwrap();
        let starts: Vec<_> = (0..2)
            .map(|_| {
                let data = dir.path().to_owned();
                std::thread::spawn(move || load_or_create(&data).unwrap().public())
            })
            .collect();
        let keys: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
        assert_eq!(keys[0], keys[1]);
    }
}
