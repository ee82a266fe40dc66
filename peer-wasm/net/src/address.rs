//! Addresses and identities: between Ed25519 keys and libp2p's words.

use crate::LinkPath;
use libp2p::core::ConnectedPoint;
use libp2p::identity::{PublicKey, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// The libp2p name of an Ed25519 public key; `None` when the bytes are no such key.
pub(crate) fn peer_id(key: &[u8; 32]) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(key).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The Ed25519 public key inside a libp2p name; `None` for other kinds of keys.
pub(crate) fn public_key(peer: &PeerId) -> Option<[u8; 32]> {
    // Names of short keys carry the key itself ("identity" hash, code 0).
    let hash = peer.as_ref();
    if hash.code() != 0 {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?.try_into_ed25519().ok()?;
    Some(key.to_bytes())
}

/// How people see a peer in a sentence: the end of its `did:key`.
pub(crate) fn short_name(peer: &PeerId) -> String {
    let Some(key) = public_key(peer) else { return peer.to_string() };
    let mut coded = vec![0xed, 0x01];
    coded.extend_from_slice(&key);
    let text = bs58::encode(coded).into_string();
    format!("…{}", text.get(text.len().saturating_sub(8)..).unwrap_or(&text))
}

/// How a connection travels.
pub(crate) fn path(endpoint: &ConnectedPoint) -> LinkPath {
    let address = match endpoint {
        ConnectedPoint::Dialer { address, .. } => address,
        ConnectedPoint::Listener { local_addr, .. } => local_addr,
    };
    if is_webrtc(address) {
        LinkPath::WebRtc
    } else if is_circuit(address) {
        LinkPath::Relay
    } else {
        LinkPath::Direct
    }
}

/// Whether this is an address of the libp2p `/webrtc` transport.
pub(crate) fn is_webrtc(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::WebRTC)
}

/// Whether this is an address behind a relay.
pub(crate) fn is_circuit(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// The peer an address ends in: a relay's own name, or the one behind it.
pub(crate) fn last_peer(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last()? {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    }
}

/// The relay's circuit address to listen on.
pub(crate) fn circuit(relay: &Multiaddr) -> Multiaddr {
    relay.clone().with(Protocol::P2pCircuit)
}

/// A peer's address behind a relay, or the address itself when it names the peer already.
pub(crate) fn towards(hint: &Multiaddr, peer: PeerId) -> Option<Multiaddr> {
    match last_peer(hint)? {
        named if named == peer => Some(hint.clone()),
        _ if is_circuit(hint) => None,
        _ => Some(circuit(hint).with(Protocol::P2p(peer))),
    }
}

/// The address this peer announces while a page carries WebRTC for it.
pub(crate) fn webrtc_listen(relay: &Multiaddr) -> Multiaddr {
    circuit(relay).with(Protocol::WebRTC)
}

/// The address under which a relayed connection to this peer is upgraded.
pub(crate) fn webrtc_dial(peer: PeerId) -> Multiaddr {
    Multiaddr::empty().with(Protocol::P2pCircuit).with(Protocol::WebRTC).with(Protocol::P2p(peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::identity::Keypair;

    #[test]
    fn keys_and_names_are_two_forms_of_the_same() {
        let keypair = Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let peer = keypair.public().to_peer_id();
        let key = public_key(&peer).unwrap();
        assert_eq!(peer_id(&key), Some(peer));
    }

    #[test]
    fn a_short_name_ends_as_the_did_key_does() {
        // The example of the did:key specification for Ed25519.
        let key = *b"\x2e\x6f\xcc\xe3\x67\x01\xdc\x79\x14\x88\xe0\xd0\xb1\x74\x5c\xc1\xe3\x3a\x4c\x1c\x9f\xcc\x41\xc6\x3b\xd3\x43\xdb\xbe\x09\x70\xe6";
        assert!(
            "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
                .ends_with(&short_name(&peer_id(&key).unwrap())[3..])
        );
    }

    #[test]
    fn a_peer_is_dialled_behind_a_relay_or_straight() {
        let relay = PeerId::random();
        let peer = PeerId::random();
        let hint: Multiaddr = format!("/ip4/127.0.0.1/tcp/1/ws/p2p/{relay}").parse().unwrap();
        assert_eq!(
            towards(&hint, peer).unwrap().to_string(),
            format!("/ip4/127.0.0.1/tcp/1/ws/p2p/{relay}/p2p-circuit/p2p/{peer}")
        );
        let straight: Multiaddr = format!("/ip4/127.0.0.1/tcp/1/p2p/{peer}").parse().unwrap();
        assert_eq!(towards(&straight, peer), Some(straight));
        let other = towards(&hint, PeerId::random()).unwrap();
        assert_eq!(towards(&other, peer), None, "an address of someone else behind a relay");
        assert_eq!(towards(&"/ip4/127.0.0.1/tcp/1".parse().unwrap(), peer), None);
    }
}
