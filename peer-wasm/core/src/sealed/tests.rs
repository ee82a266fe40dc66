use super::*;
use proptest::prelude::*;

const LOG: PublicKey = PublicKey([3; 32]);
const SPACE: PublicKey = PublicKey([2; 32]);

fn sealed(seed: u8, head: &[u8], parts: &[Vec<u8>]) -> (EpochKey, Vec<u8>) {
    let mut entropy = Entropy::new(&[seed; 32]);
    let key = EpochKey::generate(&mut entropy);
    let body = seal(&key, &SPACE, &LOG, 4, head, parts, &mut entropy);
    (key, body)
}

fn parts() -> Vec<Vec<u8>> {
    vec![b"a first part".to_vec(), Vec::new(), vec![7; 200], b"the last".to_vec()]
}

#[test]
fn a_body_opens_only_in_its_place_and_with_its_key() {
    let (key, body) = sealed(1, b"head", &parts());
    let opened = open(&key, &SPACE, &LOG, 4, &body).unwrap();
    assert_eq!(opened.head, b"head");
    assert_eq!(opened.parts, parts().into_iter().map(Some).collect::<Vec<_>>());
    assert_eq!(open(&key, &SPACE, &LOG, 5, &body), None);
    assert_eq!(open(&key, &LOG, &LOG, 4, &body), None);
    assert_eq!(open(&EpochKey::new([9; 32]), &SPACE, &LOG, 4, &body), None);
}

#[test]
fn parts_share_no_keystream_with_each_other_or_with_the_head() {
    let zeros = vec![vec![0; 100]; 4];
    let (_, body) = sealed(1, &[0; 100], &zeros);
    let body = Body::decode(&body).unwrap();
    let mut streams: Vec<&[u8]> = vec![body.head];
    for part in body.parts() {
        let Part::Whole(bytes) = part else { panic!("nothing was redacted") };
        streams.push(bytes);
    }
    let mut windows = std::collections::HashSet::new();
    for stream in streams {
        for window in stream.windows(8) {
            assert!(windows.insert(window.to_vec()), "eight bytes of keystream were used twice");
        }
    }
}

#[test]
fn once_all_parts_are_gone_the_nonce_is_gone_too() {
    let (key, bytes) = sealed(1, b"head", &parts());
    let body = Body::decode(&bytes).unwrap();
    let hollow = body.without(&[0, 1, 2, 3]).encode();
    let nonce = &bytes[..NONCE];
    assert!(!hollow.windows(NONCE).any(|window| window == nonce));
    let opened = open(&key, &SPACE, &LOG, 4, &hollow).unwrap();
    assert_eq!((opened.head.as_slice(), opened.parts), (&b"head"[..], vec![None; 4]));
    // In several steps it comes to the same.
    let one = Body::decode(&hollow).unwrap();
    assert_eq!(body.without(&[2]).without(&[0, 3]).without(&[1]), one);
    assert_eq!(one.filled(&body, |_| true), body);
}

proptest! {
    #[test]
    fn redaction_leaves_hash_and_length_and_the_other_parts(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..8),
        gone in proptest::collection::vec(0..10usize, 0..8),
    ) {
        let (key, bytes) = sealed(1, b"head", &parts);
        let body = Body::decode(&bytes).unwrap();
        prop_assert_eq!(body.whole_len(), bytes.len());
        let hollow = body.without(&gone);
        prop_assert_eq!(hollow.hash(), body.hash());
        prop_assert_eq!(hollow.whole_len(), bytes.len());
        let encoded = hollow.encode();
        prop_assert_eq!(Body::decode(&encoded), Ok(hollow.clone()));
        prop_assert!(encoded.len() <= weight(body.head.len(), parts.iter().map(Vec::len)));
        let opened = open(&key, &SPACE, &LOG, 4, &encoded).unwrap();
        for (index, part) in parts.iter().enumerate() {
            let expected = (!gone.contains(&index)).then(|| part.clone());
            prop_assert_eq!(&opened.parts[index], &expected);
        }
        prop_assert_eq!(hollow.filled(&body, |_| true), body);
    }

    #[test]
    fn any_change_to_a_body_changes_its_hash_or_makes_it_none(
        gone in proptest::collection::vec(0..4usize, 0..5),
        at in any::<proptest::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let (_, bytes) = sealed(1, b"head", &parts());
        let body = Body::decode(&bytes).unwrap();
        let mut encoded = body.without(&gone).encode();
        let at = at.index(encoded.len());
        encoded[at] ^= flip;
        if let Ok(changed) = Body::decode(&encoded) {
            prop_assert!(changed.hash() != body.hash() || changed.whole_len() != body.whole_len());
        }
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(body) = Body::decode(&bytes) {
            prop_assert_eq!(body.encode(), bytes);
        }
    }
}
