//! Byte ranges: read from the `Range` header, then resolved against a size.
//!
//! RFC 9110 section 14; AWS: `GetObject`, `Range` (one range only).

use std::fmt;

/// What a `Range` header asks for, before the size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeSpec {
    /// `bytes=first-last`, both inclusive; `first <= last`.
    Closed {
        /// First byte.
        first: u64,
        /// Last byte, inclusive.
        last: u64,
    },
    /// `bytes=first-`.
    From(u64),
    /// `bytes=-length`: the last `length` bytes.
    Suffix(u64),
}

/// A range that lies within its object: `start < end <= size`, or empty for an empty object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// The range has no byte in common with the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the requested range is not satisfiable for a size of {size_bytes} bytes")]
pub struct Unsatisfiable {
    /// The size of the object, for `Content-Range: bytes */size`.
    pub size_bytes: u64,
}

impl RangeSpec {
    /// Reads a `Range` header.
    ///
    /// `None` means "answer with the whole object": S3 ignores units other than `bytes`, lists of
    /// ranges and malformed values, as RFC 9110 section 14.2 allows.
    pub fn parse(header: &str) -> Option<Self> {
        let (first, last) = header.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", length) => Some(Self::Suffix(digits(length)?)),
            (first, "") => Some(Self::From(digits(first)?)),
            (first, last) => {
                let (first, last) = (digits(first)?, digits(last)?);
                (first <= last).then_some(Self::Closed { first, last })
            }
        }
    }

    /// Fits the range to an object of `size_bytes`.
    pub fn resolve(self, size_bytes: u64) -> Result<ByteRange, Unsatisfiable> {
        let (start, end) = match self {
            Self::Closed { first, last } => (first, last.saturating_add(1).min(size_bytes)),
            Self::From(first) => (first, size_bytes),
            Self::Suffix(length) => (size_bytes - length.min(size_bytes), size_bytes),
        };
        if start < end { Ok(ByteRange { start, end }) } else { Err(Unsatisfiable { size_bytes }) }
    }
}

/// `u64::from_str` would also take a sign.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A number beyond u64 is beyond every object: it clamps like one.
    Some(text.parse().unwrap_or(u64::MAX))
}

impl ByteRange {
    /// All of an object of `size_bytes`.
    pub fn whole(size_bytes: u64) -> Self {
        Self { start: 0, end: size_bytes }
    }

    /// Number of bytes.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether the range has no bytes, which only a whole empty object has.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The value of `Content-Range` for this range of an object of `size_bytes`.
    pub fn content_range(self, size_bytes: u64) -> impl fmt::Display {
        std::fmt::from_fn(move |formatter| {
            write!(formatter, "bytes {}-{}/{size_bytes}", self.start, self.end - 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteRange, RangeSpec, Unsatisfiable};

    #[test]
    fn ranges_resolve_as_rfc_9110_says() {
        let unsatisfiable = Err(Unsatisfiable { size_bytes: 10 });
        for (header, expected) in [
            ("bytes=0-2", Ok((0, 3))),
            ("bytes=0-0", Ok((0, 1))),
            ("bytes=5-", Ok((5, 10))),
            ("bytes=-3", Ok((7, 10))),
            ("bytes=-100", Ok((0, 10))),
            ("bytes=9-100", Ok((9, 10))),
            ("bytes=0-18446744073709551615", Ok((0, 10))),
            ("bytes=0-99999999999999999999999", Ok((0, 10))),
            ("bytes=10-", unsatisfiable),
            ("bytes=10-12", unsatisfiable),
            ("bytes=-0", unsatisfiable),
        ] {
            let resolved = RangeSpec::parse(header).expect("well formed").resolve(10);
            assert_eq!(resolved.map(|range| (range.start, range.end)), expected, "{header}");
        }
    }

    #[test]
    fn what_is_not_one_byte_range_means_the_whole_object() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=3-2",
            "items=0-1",
            "bytes=0-1,3-4",
            "bytes=+1-2",
        ] {
            assert_eq!(RangeSpec::parse(header), None, "{header}");
        }
    }

    #[test]
    fn no_range_of_an_empty_object_is_satisfiable() {
        for header in ["bytes=0-0", "bytes=0-", "bytes=-1"] {
            assert!(RangeSpec::parse(header).expect("well formed").resolve(0).is_err(), "{header}");
        }
    }

    #[test]
    fn content_range_is_inclusive() {
        assert_eq!(ByteRange { start: 0, end: 3 }.content_range(10).to_string(), "bytes 0-2/10");
    }
}
