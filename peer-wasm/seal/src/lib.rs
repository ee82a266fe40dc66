//! XChaCha20-Poly1305 over whole byte strings, and the bare XChaCha20 keystream.
//!
//! A crate of its own because the cipher is generic: its code is made where it is called, and there built as that
//! crate is. The peer is built for size, where these loops run five times slower; this crate is built for speed.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

use chacha20::XChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};

/// Bytes of a key.
pub const KEY: usize = 32;
/// Bytes of a nonce.
pub const NONCE: usize = 24;
/// Bytes of the tag, behind it.
pub const TAG: usize = 16;

/// `ciphertext ‖ tag`; the nonce is not part of it. It must never have been used with the key. `None` if `plain` is longer
/// than the cipher allows (256 GiB).
pub fn seal_detached(key: &[u8; KEY], nonce: &[u8; NONCE], associated: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = Vec::with_capacity(plain.len() + TAG);
    sealed.extend_from_slice(plain);
    let cipher = XChaCha20Poly1305::new(key.into());
    let tag = cipher.encrypt_inout_detached(&XNonce::from(*nonce), associated, sealed.as_mut_slice().into()).ok()?;
    sealed.extend_from_slice(&tag);
    Some(sealed)
}

/// What was sealed; `None` if it was not sealed with this key, nonce and associated bytes, or was changed since.
pub fn open_detached(key: &[u8; KEY], nonce: &[u8; NONCE], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (body, tag) = sealed.split_last_chunk::<TAG>()?;
    let mut plain = body.to_vec();
    XChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(&XNonce::from(*nonce), associated, plain.as_mut_slice().into(), &Tag::from(*tag))
        .ok()?;
    Some(plain)
}

/// Encrypts or decrypts `bytes` in place with the XChaCha20 keystream from byte `at` on. Nothing tells whether they were
/// changed: that is for the caller to know. `None` past the keystream's end (256 GiB).
pub fn stream(key: &[u8; KEY], nonce: &[u8; NONCE], at: u64, bytes: &mut [u8]) -> Option<()> {
    let mut stream = XChaCha20::new(key.into(), nonce.into());
    stream.try_seek(at).ok()?;
    stream.try_apply_keystream(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn the_draft_s_example_comes_out() {
        let key: [u8; KEY] = std::array::from_fn(|at| 0x80 + at as u8);
        let nonce: [u8; NONCE] = std::array::from_fn(|at| 0x40 + at as u8);
        let associated = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
            sunscreen would be it.";
        let sealed = seal_detached(&key, &nonce, &associated, plain).unwrap();
        assert_eq!(sealed[..8], [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b]);
        let tag = [0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49];
        assert_eq!(sealed[sealed.len() - TAG..], tag);
        assert_eq!(open_detached(&key, &nonce, &associated, &sealed).unwrap(), plain);
    }

    #[test]
    fn nothing_changed_or_cut_opens() {
        let (key, nonce) = ([1; KEY], [2; NONCE]);
        let sealed = seal_detached(&key, &nonce, b"here", b"hello").unwrap();
        assert_eq!(open_detached(&key, &nonce, b"here", &sealed).unwrap(), b"hello");
        assert_eq!(open_detached(&key, &nonce, b"there", &sealed), None);
        assert_eq!(open_detached(&[3; KEY], &nonce, b"here", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open_detached(&key, &nonce, b"here", &changed), None, "byte {at}");
            assert_eq!(open_detached(&key, &nonce, b"here", &sealed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn nothing_at_all_can_be_sealed() {
        let sealed = seal_detached(&[1; KEY], &[2; NONCE], b"", b"").unwrap();
        assert_eq!(sealed.len(), TAG);
        assert_eq!(open_detached(&[1; KEY], &[2; NONCE], b"", &sealed).unwrap(), b"");
    }

    #[test]
    fn any_piece_of_the_stream_can_be_had_alone() {
        let mut whole = vec![0; 1000];
        stream(&[1; KEY], &[2; NONCE], 0, &mut whole).unwrap();
        for at in [0, 1, 63, 64, 65, 500, 999] {
            let mut piece = vec![0; 1000 - at];
            stream(&[1; KEY], &[2; NONCE], at as u64, &mut piece).unwrap();
            assert_eq!(piece, whole[at..]);
        }
        assert_ne!(whole, vec![0; 1000]);
    }
}
