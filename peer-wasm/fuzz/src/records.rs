//! Binary records: the codec, entries, authority records, fork proofs, sealed bodies.

use crate::laws::{magnitude, mark, same};
use kith_core::api::Role;
use kith_core::archive::{ArchiveReader, Part};
use kith_core::authority::{Authority, Record};
use kith_core::codec::{Reader, Writer};
use kith_core::document::Opened;
use kith_core::entropy::Entropy;
use kith_core::entry::{Dep, Entry, ForkProof, Kind, Pruned, PrunedRange, Tip, verify_run};
use kith_core::epoch::{EpochKey, Wrap, WrapKey};
use kith_core::identity::{PublicKey, SecretKey};
use kith_core::records::{Checkpoint, Device, Epoch, Genesis, Grant};
use kith_core::sealed;

const SPACE: [u8; 32] = [9; 32];

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub(crate) fn space() -> PublicKey {
    key(SPACE[0]).public()
}

/// The first half says what to read, the second half is read.
pub(crate) fn codec(data: &[u8]) -> u64 {
    let (plan, bytes) = data.split_at(data.len() / 2);
    let mut reader = Reader::new(bytes);
    let mut outcome = 0;
    for step in plan {
        let before = reader.rest().len();
        let limit = usize::from(*step);
        let result = match step % 6 {
            0 => reader.u8().map(drop),
            1 => reader.number().map(drop),
            2 => reader.size(limit).map(|size| assert!(size <= limit)),
            3 => reader.bytes(limit).map(|bytes| assert!(bytes.len() <= limit)),
            4 => reader.text(limit).map(|text| assert!(text.len() <= limit)),
            _ => reader.fixed::<8>().map(drop),
        };
        assert!(reader.rest().len() <= before);
        outcome = mark(&(step % 6, result.is_ok(), result.err()));
    }
    outcome
}

pub(crate) fn codec_seeds() -> Vec<Vec<u8>> {
    let mut writer = Writer::new();
    let body = writer.u8(1).number(300).number(u64::MAX).bytes(b"bytes").text("text").fixed(&[0; 8]).finish();
    let mut plan = vec![0, 1, 1, 255, 244, 5];
    plan.resize(body.len(), 0);
    vec![[plan, body].concat()]
}

pub(crate) fn entry(data: &[u8]) -> u64 {
    let entry = match Entry::decode(data) {
        Err(error) => return mark(&error),
        Ok(entry) => entry,
    };
    same("an entry keeps its bytes", &entry.raw(), &data);
    same("decoding again gives the same", &Entry::decode(entry.raw()), &Ok(entry.clone()));
    let header = &entry.header;
    let tip = Tip { len: header.seq, hash: header.prev };
    let record = Record::of(&entry);
    if let Ok(Some(record)) = &record {
        let mut authority = Authority::new(header.space);
        let _ = authority.admit(&header.log, header.seq, record);
    }
    let verified = verify_run(header.space, header.log, tip, vec![entry.clone()], None).map(drop);
    mark(&(verified, record.is_ok(), magnitude(entry.body().len()), entry.header.kind))
}

fn run_of(seed: u8, bodies: &[&[u8]]) -> Vec<Entry> {
    let mut tip = Tip::EMPTY;
    let mut run = Vec::new();
    for body in bodies {
        let mut entropy = Entropy::new(&[8; 32]);
        let epoch = EpochKey::new([3; 32]);
        let body =
            sealed::seal(&epoch, &space(), &key(seed).public(), tip.len, b"head", &[body.to_vec()], &mut entropy);
        let deps = vec![Dep { log: key(7).public(), seq: tip.len, hash: [4; 32] }];
        let entry = Entry::sign(&key(seed), space(), tip, Kind::Op, Some([1; 16]), deps, &body);
        tip = Tip { len: tip.len + 1, hash: entry.hash() };
        run.push((*entry).clone());
    }
    run
}

pub(crate) fn entry_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        run_of(1, &[b"", b"body", &[3; 200]]).iter().map(|entry| entry.raw().to_vec()).collect();
    for (kind, body) in record_bodies() {
        let signer = if kind == Kind::Genesis { SPACE[0] } else { 1 };
        seeds.push(Entry::sign(&key(signer), space(), Tip::EMPTY, kind, None, Vec::new(), &body).raw().to_vec());
    }
    seeds
}

/// The first byte chooses the kind.
pub(crate) fn record(data: &[u8]) -> u64 {
    let Some((kind, body)) = data.split_first() else { return 0 };
    let kinds = [Kind::Genesis, Kind::Device, Kind::Grant, Kind::Epoch, Kind::Op, Kind::Checkpoint];
    let Some(kind) = kinds.get(usize::from(*kind) % kinds.len()) else { return 0 };
    let record = Record::decode(*kind, body);
    let encoded = match &record {
        Ok(Some(Record::Genesis(genesis))) => genesis.encode(),
        Ok(Some(Record::Device(device))) => {
            device.holds(&space(), &key(1).public());
            device.encode()
        }
        Ok(Some(Record::Grant(grant))) => {
            grant.holds(&space());
            grant.encode()
        }
        Ok(Some(Record::Epoch(epoch))) => {
            let receiver = WrapKey::from_seed(&[5; 32]);
            for wrap in epoch.wraps.iter().take(4) {
                wrap.open(&space(), &receiver);
            }
            epoch.encode()
        }
        Ok(Some(Record::Checkpoint(checkpoint))) => checkpoint.encode(),
        Ok(None) | Err(_) => return mark(&(kind, record.err())),
    };
    same("a record has one encoding", &encoded.as_slice(), &body);
    mark(&(kind, magnitude(body.len())))
}

fn record_bodies() -> Vec<(Kind, Vec<u8>)> {
    let mut entropy = Entropy::new(&[2; 32]);
    let receiver = WrapKey::from_seed(&[5; 32]);
    let epoch_key = EpochKey::generate(&mut entropy);
    let wraps = Wrap::new(&epoch_key, &space(), receiver.public(), &mut entropy).into_iter().collect();
    let relays = vec!["/ip4/127.0.0.1/tcp/9/ws".to_owned()];
    vec![
        (Kind::Genesis, Genesis { owners: vec![key(2).public()], created: 1_700_000_000_000 }.encode()),
        (Kind::Device, Device::new(&key(2), &space(), &key(1).public(), receiver.public(), relays).encode()),
        (Kind::Grant, Grant::invite(Role::Writer, key(3).public()).encode()),
        (Kind::Grant, Grant::join(Role::Writer, key(2).public(), &key(3), &space()).encode()),
        (
            Kind::Checkpoint,
            Checkpoint {
                stable: 1 << 56,
                frontier: [(key(1).public(), 4), (space(), 1)].into(),
                ..Checkpoint::default()
            }
            .encode(),
        ),
        (
            Kind::Checkpoint,
            Checkpoint { stable: 1, frontier: [(key(1).public(), 4)].into(), pruned: vec![pruned_of(1, 1).range] }
                .encode(),
        ),
        (Kind::Epoch, Epoch { commit: epoch_key.commit(), wraps }.encode()),
    ]
}

pub(crate) fn record_seeds() -> Vec<Vec<u8>> {
    let tag = |kind: Kind| match kind {
        Kind::Genesis => 0,
        Kind::Device => 1,
        Kind::Grant => 2,
        Kind::Epoch => 3,
        Kind::Op => 4,
        Kind::Checkpoint => 5,
    };
    record_bodies().into_iter().map(|(kind, body)| [vec![tag(kind)], body].concat()).collect()
}

pub(crate) fn fork_proof(data: &[u8]) -> u64 {
    let mut reader = Reader::new(data);
    let proof = match ForkProof::decode(space(), &mut reader) {
        Ok(Some(proof)) => proof,
        other => return mark(&other.map(|proof| proof.is_some())),
    };
    let mut writer = Writer::new();
    proof.encode(&mut writer);
    let read = data.len() - reader.rest().len();
    same("a proof has one encoding", &Some(writer.finish().as_slice()), &data.get(..read));
    mark(&(proof.log, magnitude(data.len())))
}

pub(crate) fn fork_proof_seeds() -> Vec<Vec<u8>> {
    let half = |bodies: &[&[u8]]| run_of(1, bodies).iter().map(|entry| entry.signed_part().to_vec()).collect();
    let proof = ForkProof::new(space(), key(1).public(), half(&[b"a"]), half(&[b"b", b"c"]));
    let mut writer = Writer::new();
    if let Some(proof) = proof {
        proof.encode(&mut writer);
    }
    vec![writer.finish()]
}

pub(crate) fn pruned(data: &[u8]) -> u64 {
    let pruned = match Pruned::decode(data) {
        Ok(Some(pruned)) => pruned,
        other => return mark(&other.map(|pruned| pruned.is_some())),
    };
    same("what is pruned has one encoding", &pruned.encode().as_slice(), &data);
    let PrunedRange { from, to, .. } = pruned.range;
    assert!(pruned.covers(from) && !pruned.covers(to) && from > 0);
    mark(&(pruned.holds(&space()), magnitude(usize::try_from(to - from).unwrap_or(usize::MAX))))
}

fn pruned_of(seed: u8, from: u64) -> Pruned {
    let tip = run_of(seed, &[b"a", b"b", b"c"]).last().map_or(Tip::EMPTY, Tip::after);
    Pruned::sign(&key(2), &space(), key(seed).public(), from, tip, 70)
}

/// A log of which the first entries after the very first are gone.
pub(crate) fn pruned_run() -> Vec<Vec<u8>> {
    let run = run_of(1, &[b"a", b"b", b"c", b"d"]);
    let mut raws: Vec<Vec<u8>> = run.iter().map(|entry| entry.raw().to_vec()).collect();
    raws.splice(1..3, [pruned_of(1, 1).encode()]);
    raws
}

pub(crate) fn pruned_seeds() -> Vec<Vec<u8>> {
    vec![pruned_of(1, 1).encode(), pruned_of(2, 2).encode()]
}

pub(crate) fn sealed(data: &[u8]) -> u64 {
    let body = match sealed::Body::decode(data) {
        Err(error) => return mark(&error),
        Ok(body) => body,
    };
    same("a body has one encoding", &body.encode().as_slice(), &data);
    let hollow = body.without(&[0, 2]);
    same("redaction leaves the hash", &hollow.hash(), &body.hash());
    same("redaction leaves the length", &hollow.whole_len(), &body.whole_len());
    same("what is redacted reads", &sealed::Body::decode(&hollow.encode()).as_ref(), &Ok(&hollow));
    let opened = sealed::open(&EpochKey::new([3; 32]), &space(), &key(1).public(), 4, data);
    mark(&(magnitude(body.parts().len()), body.is_hollow(), opened.map(|body| Opened::read(&body).is_ok())))
}

pub(crate) fn sealed_seeds() -> Vec<Vec<u8>> {
    let mut entropy = Entropy::new(&[2; 32]);
    let parts = [b"a part to be sealed".to_vec(), Vec::new(), b"and another".to_vec()];
    let (epoch, log) = (EpochKey::new([3; 32]), key(1).public());
    let body = sealed::seal(&epoch, &space(), &log, 4, b"head", &parts, &mut entropy);
    let hollow =
        |gone: &[usize]| sealed::Body::decode(&body).map(|body| body.without(gone).encode()).unwrap_or_default();
    vec![hollow(&[1]), hollow(&[0, 1, 2]), body.clone(), vec![0; 40]]
}

/// The first byte is a part's tag, the rest its payload; the whole is also read as a file.
pub(crate) fn archive(data: &[u8]) -> u64 {
    let mut reader = ArchiveReader::new();
    reader.push(data);
    let file = reader.next_part().err().map(|error| error.name());
    let Some((tag, payload)) = data.split_first() else { return mark(&file) };
    let part = Part::decode(*tag, payload);
    if let Ok(part) = &part {
        assert_eq!(part.tag(), *tag);
        same("a part encodes to its bytes", &part.payload(), &payload.to_vec());
    }
    mark(&(file, tag.min(&6), part.map_err(|error| error.name()).is_ok(), magnitude(payload.len())))
}

pub(crate) fn archive_seeds() -> Vec<Vec<u8>> {
    let key = EpochKey::generate(&mut Entropy::new(&[4; 32]));
    let parts = [
        Part::Head { space: space(), written: 1_800_000_000_000 },
        Part::Keys(vec![key]),
        Part::Fork(vec![1, 2, 3]),
        Part::Run(vec![vec![7; 200], Vec::new()]),
        Part::End(2),
    ];
    parts.iter().map(|part| [vec![part.tag()], part.payload()].concat()).collect()
}
