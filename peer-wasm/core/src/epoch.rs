//! Epoch keys: what seals the bodies of ops, and how it is handed to members.
//!
//! An epoch key is 32 random bytes. It reaches devices and invites wrapped with HPKE (RFC 9180, X25519,
//! HKDF-SHA256, ChaCha20-Poly1305). What they seal is in [`crate::sealed`].

use crate::codec::{CodecError, Reader, Writer};
use crate::entropy::Entropy;
use crate::identity::PublicKey;
use hpke::{Deserializable, Kem as _, OpModeR, OpModeS, Serializable};
use zeroize::Zeroizing;

type Kem = hpke::kem::X25519HkdfSha256;
type Kdf = hpke::kdf::HkdfSha256;
type Suite = hpke::aead::ChaCha20Poly1305;

const INFO: &[u8] = b"kith/epoch/v1";
/// The most keys given to a newcomer over a link.
pub const MAX_KEYS: usize = 16;
/// The most wraps one epoch entry carries.
pub const MAX_WRAPS: usize = 1024;

/// The key that seals the bodies of ops for a time.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochKey {
    bytes: Zeroizing<[u8; 32]>,
    /// Worked out once: every entry is asked which key it is under.
    commit: [u8; 32],
}

/// Names an epoch key without revealing it.
pub type EpochId = [u8; 16];

impl std::fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EpochKey({:02x?})", self.id().first_chunk::<4>())
    }
}

impl EpochKey {
    /// The key with these bytes.
    pub fn new(bytes: [u8; 32]) -> EpochKey {
        let commit = blake3::derive_key("kith 2026 epoch commit v1", &bytes);
        EpochKey { bytes: Zeroizing::new(bytes), commit }
    }

    /// A new key.
    pub fn generate(entropy: &mut Entropy) -> EpochKey {
        EpochKey::new(entropy.array())
    }

    /// The bytes, to be stored.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The key's name: the first half of its commitment.
    pub fn id(&self) -> EpochId {
        let commit = self.commit();
        let mut id = [0; 16];
        id.iter_mut().zip(commit).for_each(|(to, from)| *to = from);
        id
    }

    /// What the epoch's entry says of the key, so that no two members can be handed different ones.
    pub fn commit(&self) -> [u8; 32] {
        self.commit
    }
}

/// An X25519 key pair that epoch keys are wrapped to.
pub struct WrapKey {
    secret: <Kem as hpke::Kem>::PrivateKey,
    public: [u8; 32],
}

impl WrapKey {
    /// The pair that belongs to `seed`.
    pub fn from_seed(seed: &[u8; 32]) -> WrapKey {
        let (secret, public) = Kem::derive_keypair(seed);
        WrapKey { secret, public: public.to_bytes().into() }
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }
}

/// An epoch key wrapped for one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrap {
    /// The receiver's X25519 public key.
    pub to: [u8; 32],
    encapsulated: [u8; 32],
    sealed: [u8; 48],
}

impl Wrap {
    /// Wraps `key` for the holder of `to`; `None` if `to` is not a usable public key.
    pub fn new(key: &EpochKey, space: &PublicKey, to: [u8; 32], entropy: &mut Entropy) -> Option<Wrap> {
        let receiver = <Kem as hpke::Kem>::PublicKey::from_bytes(&to).ok()?;
        let (encapsulated, sealed) = hpke::single_shot_seal_with_rng::<Suite, Kdf, Kem>(
            &OpModeS::Base,
            &receiver,
            INFO,
            key.bytes(),
            &space.0,
            entropy,
        )
        .ok()?;
        Some(Wrap { to, encapsulated: encapsulated.to_bytes().into(), sealed: sealed.try_into().ok()? })
    }

    /// The key, if `receiver` can open the wrap.
    pub fn open(&self, space: &PublicKey, receiver: &WrapKey) -> Option<EpochKey> {
        if receiver.public != self.to {
            return None;
        }
        let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&self.encapsulated).ok()?;
        let bytes = hpke::single_shot_open::<Suite, Kdf, Kem>(
            &OpModeR::Base,
            &receiver.secret,
            &encapsulated,
            INFO,
            &self.sealed,
            &space.0,
        )
        .ok()?;
        Some(EpochKey::new(bytes.try_into().ok()?))
    }

    /// Writes the wrap.
    pub fn encode(&self, writer: &mut Writer) {
        writer.fixed(&self.to).fixed(&self.encapsulated).fixed(&self.sealed);
    }

    /// Reads a wrap.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Wrap, CodecError> {
        Ok(Wrap { to: reader.fixed()?, encapsulated: reader.fixed()?, sealed: reader.fixed()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrap_opens_for_its_receiver_only() {
        let mut entropy = Entropy::new(&[1; 32]);
        let space = PublicKey([2; 32]);
        let key = EpochKey::generate(&mut entropy);
        let (me, other) = (WrapKey::from_seed(&[5; 32]), WrapKey::from_seed(&[6; 32]));
        let wrap = Wrap::new(&key, &space, me.public(), &mut entropy).unwrap();
        assert_eq!(wrap.open(&space, &me), Some(key));
        assert_eq!(wrap.open(&space, &other), None);
        assert_eq!(wrap.open(&PublicKey([9; 32]), &me), None);
    }
}
