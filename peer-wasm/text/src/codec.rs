//! Bytes in and out: the one encoding all records share.
//!
//! Numbers are unsigned LEB128 in their shortest form, byte strings carry their length, fixed arrays do not.
//! Every value has exactly one encoding, so hashes and signatures are over the bytes as received. Reading never
//! panics and never allocates more than the input holds.

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end too early.
    #[error("The bytes end too early.")]
    Short,
    /// Bytes are left over at the end.
    #[error("There are bytes left over at the end.")]
    Long,
    /// A number is not in its shortest form or does not fit.
    #[error("A number is not in its shortest form or does not fit.")]
    Number,
    /// A length or count is above its limit.
    #[error("A length or count is above its limit.")]
    Limit,
    /// A tag or flag has no meaning.
    #[error("A tag or flag has no meaning here.")]
    Tag,
    /// Text is not UTF-8.
    #[error("Text is not UTF-8.")]
    Text,
}

/// Writes values one after the other.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// A number, in one to ten bytes.
    pub fn number(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.bytes.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
        self
    }

    /// Bytes whose length the reader knows.
    pub fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Bytes with their length in front.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64).fixed(bytes)
    }

    /// Text with its length in bytes in front.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// How many bytes are written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes so far.
    pub(crate) fn written(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes written.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// Reads values one after the other.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over all of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// An error unless everything has been read.
    pub fn end(&self) -> Result<(), CodecError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CodecError::Long) }
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.rest.split_first().ok_or(CodecError::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A number.
    pub fn number(&mut self) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return Err(CodecError::Number);
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(CodecError::Number) } else { Ok(value) };
            }
        }
        Err(CodecError::Number)
    }

    /// A number of at most `limit`, as a size.
    pub fn size(&mut self, limit: usize) -> Result<usize, CodecError> {
        let value = usize::try_from(self.number()?).map_err(|_| CodecError::Limit)?;
        if value > limit { Err(CodecError::Limit) } else { Ok(value) }
    }

    /// `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(CodecError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Exactly `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        self.take(N)?.try_into().map_err(|_| CodecError::Short)
    }

    /// Bytes with their length in front, at most `limit`.
    pub fn bytes(&mut self, limit: usize) -> Result<&'a [u8], CodecError> {
        let len = self.size(limit)?;
        self.take(len)
    }

    /// Text with its length in front, at most `limit` bytes.
    pub fn text(&mut self, limit: usize) -> Result<&'a str, CodecError> {
        std::str::from_utf8(self.bytes(limit)?).map_err(|_| CodecError::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(value: u64) {
            let bytes = Writer::new().number(value).finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.number(), Ok(value));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn a_number_that_reads_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.number() {
                let used = bytes.len() - reader.rest().len();
                prop_assert_eq!(Writer::new().number(value).finish(), &bytes[..used]);
            }
        }
    }

    #[test]
    fn limits_hold_before_anything_is_taken() {
        let bytes = Writer::new().number(u64::MAX).finish();
        assert_eq!(Reader::new(&bytes).bytes(10), Err(CodecError::Limit));
        assert_eq!(Reader::new(&[3, 1, 2]).bytes(10), Err(CodecError::Short));
        assert_eq!(Reader::new(&[1, 0xff]).text(10), Err(CodecError::Text));
    }
}
