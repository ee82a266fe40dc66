//! Keys and how they are written: devices, identities and spaces are all Ed25519 public keys.

use crate::entropy::Entropy;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::fmt;
use zeroize::Zeroizing;

/// An Ed25519 public key (32 bytes, RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// `did:key` text form: `did:key:z` and base58btc of `0xed01` and the key (W3C CCG did:key method).
    pub fn did(&self) -> String {
        let mut bytes = vec![0xed, 0x01];
        bytes.extend_from_slice(&self.0);
        format!("did:key:z{}", bs58::encode(bytes).into_string())
    }

    /// The key of a `did:key` text.
    pub fn from_did(text: &str) -> Option<PublicKey> {
        let bytes = bs58::decode(text.strip_prefix("did:key:z")?).into_vec().ok()?;
        let key = bytes.strip_prefix(&[0xed, 0x01])?;
        Some(PublicKey(key.try_into().ok()?))
    }

    /// libp2p PeerId text: base58btc of the identity multihash of the key's protobuf (libp2p peer-ids spec).
    pub fn peer_id(&self) -> String {
        let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
        bytes.extend_from_slice(&self.0);
        bs58::encode(bytes).into_string()
    }

    /// The form used for space ids: 52 lower-case base32 characters, safe in URLs and host names.
    pub fn id(&self) -> String {
        data_encoding::BASE32_NOPAD.encode(&self.0).to_ascii_lowercase()
    }

    /// The key of a space id.
    pub fn from_id(text: &str) -> Option<PublicKey> {
        if text.len() != 52 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let bytes = data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
        Some(PublicKey(bytes.try_into().ok()?))
    }

    /// Whether `signature` is this key's over `domain` and `message` (strict: RFC 8032 without its leniencies).
    pub fn verify(&self, domain: &str, message: &[u8], signature: &[u8; 64]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        key.verify_strict(&separated(domain, message), &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id().get(..8).unwrap_or_default())
    }
}

/// An Ed25519 secret key, kept as its 32-byte seed.
#[derive(Clone)]
pub struct SecretKey {
    signing: SigningKey,
}

impl SecretKey {
    /// The key with this seed.
    pub fn from_seed(seed: &[u8; 32]) -> SecretKey {
        SecretKey { signing: SigningKey::from_bytes(seed) }
    }

    /// A new key.
    pub fn generate(entropy: &mut Entropy) -> SecretKey {
        SecretKey::from_seed(&Zeroizing::new(entropy.array()))
    }

    /// The seed, to be stored.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.signing.verifying_key().to_bytes())
    }

    /// Signs `domain` and `message`. The domain keeps signatures for one purpose from serving another.
    pub fn sign(&self, domain: &str, message: &[u8]) -> [u8; 64] {
        self.signing.sign(&separated(domain, message)).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

fn separated(domain: &str, message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(domain.len() + 1 + message.len());
    bytes.extend_from_slice(domain.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(message);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_round_trip() {
        let key = SecretKey::from_seed(&[7; 32]).public();
        assert_eq!(PublicKey::from_did(&key.did()), Some(key));
        assert_eq!(PublicKey::from_id(&key.id()), Some(key));
        assert!(key.did().starts_with("did:key:z6Mk"));
        assert!(key.peer_id().starts_with("12D3KooW"));
        assert_eq!(PublicKey::from_id(&key.id().to_uppercase()), None);
    }

    #[test]
    fn a_signature_serves_one_purpose_only() {
        let key = SecretKey::from_seed(&[7; 32]);
        let signature = key.sign("a", b"text");
        assert!(key.public().verify("a", b"text", &signature));
        assert!(!key.public().verify("b", b"text", &signature));
        assert!(!key.public().verify("a", b"other", &signature));
    }
}
