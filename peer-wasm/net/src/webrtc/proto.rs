//! The one protobuf shape both messages of the specification have: an optional number (field 1) and optional
//! bytes (field 2), led by their length as an unsigned varint.

/// A message that does not have that shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtoError {
    /// Longer than allowed.
    #[error("the message is longer than allowed")]
    TooLong,
    /// Not protobuf.
    #[error("the message cannot be read")]
    Malformed,
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Field 1.
    pub(crate) kind: Option<u64>,
    /// Field 2.
    pub(crate) data: Option<Vec<u8>>,
}

/// The message with its length in front.
pub(crate) fn encode(kind: Option<u8>, data: Option<&[u8]>) -> Vec<u8> {
    let mut body = Vec::with_capacity(data.map_or(0, <[u8]>::len) + 12);
    if let Some(kind) = kind {
        body.push(1 << 3);
        put_varint(&mut body, u64::from(kind));
    }
    if let Some(data) = data {
        body.push(2 << 3 | 2);
        put_varint(&mut body, data.len() as u64);
        body.extend_from_slice(data);
    }
    let mut whole = Vec::with_capacity(body.len() + 3);
    put_varint(&mut whole, body.len() as u64);
    whole.append(&mut body);
    whole
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A varint at the start of the bytes and what follows; `None` when it is not all there yet.
fn varint(bytes: &[u8]) -> Result<Option<(u64, &[u8])>, ProtoError> {
    let mut value = 0u64;
    let mut rest = bytes;
    for shift in (0..64).step_by(7) {
        let Some((byte, after)) = rest.split_first() else { return Ok(None) };
        if shift == 63 && *byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        rest = after;
        if byte & 0x80 == 0 {
            return Ok(Some((value, rest)));
        }
    }
    Err(ProtoError::Malformed)
}

/// Reads a message without its length. Unknown fields are passed over.
pub(crate) fn decode(mut rest: &[u8]) -> Result<Message, ProtoError> {
    let mut message = Message::default();
    let whole = |found: Result<Option<_>, ProtoError>| found?.ok_or(ProtoError::Malformed);
    while !rest.is_empty() {
        let (tag, after) = whole(varint(rest))?;
        rest = match tag & 7 {
            0 => {
                let (value, after) = whole(varint(after))?;
                if tag >> 3 == 1 {
                    message.kind = Some(value);
                }
                after
            }
            1 => after.get(8..).ok_or(ProtoError::Malformed)?,
            2 => {
                let (len, after) = whole(varint(after))?;
                let len = usize::try_from(len).map_err(|_| ProtoError::Malformed)?;
                let (data, after) = after.split_at_checked(len).ok_or(ProtoError::Malformed)?;
                if tag >> 3 == 2 {
                    message.data = Some(data.to_vec());
                }
                after
            }
            5 => after.get(4..).ok_or(ProtoError::Malformed)?,
            _ => return Err(ProtoError::Malformed),
        };
    }
    Ok(message)
}

/// Collects bytes until whole messages are there.
#[derive(Debug)]
pub(crate) struct Reassembly {
    bytes: Vec<u8>,
    /// Bytes at the start that were given out already.
    used: usize,
    limit: usize,
}

impl Reassembly {
    /// Accepts messages up to `limit` bytes.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), used: 0, limit }
    }

    /// Takes what arrived.
    pub(crate) fn push(&mut self, mut bytes: Vec<u8>) {
        self.bytes.drain(..std::mem::take(&mut self.used));
        if self.bytes.is_empty() {
            self.bytes = bytes;
        } else {
            self.bytes.append(&mut bytes);
        }
    }

    /// The next whole message.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, ProtoError> {
        let Some((len, rest)) = varint(self.bytes.get(self.used..).unwrap_or_default())? else { return Ok(None) };
        let len = usize::try_from(len).ok().filter(|len| *len <= self.limit).ok_or(ProtoError::TooLong)?;
        let Some(body) = rest.get(..len) else { return Ok(None) };
        let message = decode(body)?;
        self.used = self.bytes.len() - rest.len() + len;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_any_cut() {
        let sent =
            [encode(Some(1), Some(b"hello")), encode(None, Some(&[7; 300])), encode(Some(3), None), encode(None, None)];
        let stream = sent.concat();
        for cut in 1..stream.len() {
            let mut got = Vec::new();
            let mut reassembly = Reassembly::new(1 << 10);
            for piece in stream.chunks(cut) {
                reassembly.push(piece.to_vec());
                while let Some(message) = reassembly.next().unwrap() {
                    got.push(message);
                }
            }
            assert_eq!(got.len(), 4);
            assert_eq!(got[0], Message { kind: Some(1), data: Some(b"hello".to_vec()) });
            assert_eq!(got[1].data.as_ref().unwrap().len(), 300);
            assert_eq!(got[2], Message { kind: Some(3), data: None });
            assert_eq!(got[3], Message::default());
        }
    }

    #[test]
    fn known_bytes_of_the_specification_shape() {
        // {type: SDP_ANSWER, data: "ab"}
        assert_eq!(encode(Some(1), Some(b"ab")), [6, 0x08, 1, 0x12, 2, b'a', b'b']);
    }

    #[test]
    fn unknown_fields_are_passed_over_and_malformed_ones_refused() {
        assert_eq!(decode(&[0x1d, 1, 2, 3, 4, 0x08, 2]), Ok(Message { kind: Some(2), data: None }));
        for bad in
            [&[0x12, 5, 1][..], &[0x08], &[0x0b], &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]]
        {
            assert_eq!(decode(bad), Err(ProtoError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn long_messages_are_refused_before_they_arrive() {
        let mut reassembly = Reassembly::new(100);
        reassembly.push(vec![101]);
        assert_eq!(reassembly.next(), Err(ProtoError::TooLong));
    }
}
