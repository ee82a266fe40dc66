//! What other peers send on links, while WebRTC is set up and on data channels.

/// A data channel's envelopes; the first byte says how they are cut.
pub(crate) fn envelopes(data: &[u8]) -> u64 {
    let piece = data.first().map_or(1, |byte| usize::from(*byte));
    kith_net::fuzzing::envelopes(data.get(1..).unwrap_or_default(), piece)
}

pub(crate) fn envelopes_seeds() -> Vec<Vec<u8>> {
    vec![
        vec![3, 2, 0x08, 0, 7, 0x12, 5, b'h', b'e', b'l', b'l', b'o', 0],
        vec![200, 4, 0x08, 3, 0x12, 0, 3, 0x1a, 1, 9],
    ]
}

/// A signalling stream.
pub(crate) fn signals(data: &[u8]) -> u64 {
    kith_net::fuzzing::signals(data)
}

pub(crate) fn signals_seeds() -> Vec<Vec<u8>> {
    let sdp = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=fingerprint:sha-256 00\r\n";
    let mut offer = vec![0x08, 0, 0x12, sdp.len() as u8];
    offer.extend_from_slice(sdp.as_bytes());
    offer.insert(0, offer.len() as u8);
    vec![offer, vec![8, 0x08, 2, 0x12, 4, b'n', b'u', b'l', b'l']]
}

/// What is written on a link.
pub(crate) fn link(data: &[u8]) -> u64 {
    kith_net::fuzzing::link(data)
}

pub(crate) fn link_seeds() -> Vec<Vec<u8>> {
    let hello = [0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 7];
    let records = [&[0, 0, 0, 2, 5, 5][..], &[0; 4], &[0x80, 0, 0, 6], &[0xff; 4]];
    records.iter().map(|record| [&hello[..], record].concat()).collect()
}
