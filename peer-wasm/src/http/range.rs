//! Byte ranges of stored bytes (RFC 9110, section 14).

/// Which bytes a `Range` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteRange {
    /// Everything: no range that has to be understood.
    Whole,
    /// These bytes, first and last included.
    Part(usize, usize),
    /// Nothing that is there: 416.
    Outside,
}

impl ByteRange {
    /// The range that `header` asks for in `length` bytes. Several ranges at once are answered with everything.
    pub(super) fn read(header: &str, length: usize) -> ByteRange {
        let Some((unit, spec)) = header.split_once('=') else { return ByteRange::Whole };
        let Some((first, last)) = spec.trim().split_once('-') else { return ByteRange::Whole };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return ByteRange::Whole;
        }
        // Numbers too large for the machine stand for "further than anything".
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<usize>().unwrap_or(usize::MAX))
        };
        let end = length.saturating_sub(1);
        match (number(first.trim()), number(last.trim()), first.trim().is_empty(), last.trim().is_empty()) {
            (Some(first), Some(last), ..) if first > last => ByteRange::Whole,
            (Some(first), Some(last), ..) if first < length => ByteRange::Part(first, last.min(end)),
            (Some(first), None, _, true) if first < length => ByteRange::Part(first, end),
            (Some(_), Some(_), ..) | (Some(_), None, _, true) => ByteRange::Outside,
            (None, Some(count), true, _) if count > 0 && length > 0 => {
                ByteRange::Part(length.saturating_sub(count), end)
            }
            (None, Some(_), true, _) => ByteRange::Outside,
            _ => ByteRange::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_single_ranges() {
        for (header, expected) in [
            ("bytes=0-0", ByteRange::Part(0, 0)),
            ("bytes=2-4", ByteRange::Part(2, 4)),
            ("Bytes = 2 - 400", ByteRange::Part(2, 9)),
            ("bytes=2-", ByteRange::Part(2, 9)),
            ("bytes=-3", ByteRange::Part(7, 9)),
            ("bytes=-300", ByteRange::Part(0, 9)),
            ("bytes=9-99999999999999999999999", ByteRange::Part(9, 9)),
            ("bytes=10-", ByteRange::Outside),
            ("bytes=10-12", ByteRange::Outside),
            ("bytes=99999999999999999999999-", ByteRange::Outside),
            ("bytes=-0", ByteRange::Outside),
            ("bytes=4-2", ByteRange::Whole),
            ("bytes=0-1,3-4", ByteRange::Whole),
            ("bytes=-", ByteRange::Whole),
            ("bytes=x-y", ByteRange::Whole),
            ("items=0-1", ByteRange::Whole),
            ("banana", ByteRange::Whole),
        ] {
            assert_eq!(ByteRange::read(header, 10), expected, "{header}");
        }
        assert_eq!(ByteRange::read("bytes=0-", 0), ByteRange::Outside);
        assert_eq!(ByteRange::read("bytes=-1", 0), ByteRange::Outside);
    }
}
