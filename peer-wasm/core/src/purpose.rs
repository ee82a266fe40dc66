//! Hashes for one purpose each: BLAKE3 in its key derivation mode, where the purpose's name is hashed once and not with every input.

use blake3::Hasher;
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use std::sync::OnceLock;

/// What a hash is for. Its name is a context string of BLAKE3 (specification, section 2.3).
pub(crate) struct Purpose {
    name: &'static str,
    key: OnceLock<ContextKey>,
}

impl Purpose {
    pub(crate) const fn new(name: &'static str) -> Purpose {
        Purpose { name, key: OnceLock::new() }
    }

    /// The same as `Hasher::new_derive_key` of the name.
    pub(crate) fn hasher(&self) -> Hasher {
        Hasher::new_from_context_key(self.key.get_or_init(|| hash_derive_key_context(self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_deriving_a_key_is() {
        static PURPOSE: Purpose = Purpose::new("a purpose");
        for input in ["", "one", "another"] {
            let wanted = blake3::derive_key("a purpose", input.as_bytes());
            assert_eq!(PURPOSE.hasher().update(input.as_bytes()).finalize().as_bytes(), &wanted);
        }
    }
}
