//! `Content-Range` of a chunk of a resumable upload. Pure.
//!
//! GCS: "Resumable uploads", "Uploading the data": `bytes first-last/total`, with `*` for what is
//! not known or not there.

/// What a request of an upload session brings or asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The bytes that the body is; `None` for a question: the body is empty.
    pub(super) bytes: Option<Chunk>,
    /// How many bytes there are in all, where the client knows it.
    pub(super) total: Option<u64>,
}

/// A piece of the upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Where its first byte belongs.
    pub(super) first: u64,
    /// How many bytes it has, where that is said: it may be all up to the end of the body.
    pub(super) size_bytes: Option<u64>,
}

impl ContentRange {
    /// Reads the header; `None` if it is malformed.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let rest = header.trim().strip_prefix("bytes")?.trim_start_matches([' ', '=']);
        let (bytes, total) = rest.split_once('/')?;
        let total = match total.trim() {
            "*" => None,
            number => Some(digits(number)?),
        };
        let bytes = match bytes.trim() {
            "*" => None,
            range => {
                let (first, last) = range.split_once('-')?;
                let first = digits(first)?;
                // Where its last byte is behind the body's end: Google's Node.js client writes `0-*`.
                let end = match last {
                    "*" => total,
                    last => Some(digits(last).filter(|last| first <= *last)? + 1),
                };
                // A chunk lies within the upload.
                let fits = end.is_none_or(|end| first <= end && total.is_none_or(|total| end <= total));
                let chunk = Chunk { first, size_bytes: end.and_then(|end| end.checked_sub(first)) };
                Some(fits.then_some(chunk)?)
            }
        };
        Some(Self { bytes, total })
    }
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // An upload ends far below 2^63.
    text.parse().ok().filter(|number| plain && *number < 1 << 62)
}

#[cfg(test)]
mod tests {
    use super::{Chunk, ContentRange};

    #[test]
    fn ranges_as_clients_write_them() {
        let chunk = |first, last| Some(Chunk { first, size_bytes: Some(last - first + 1) });
        let open = |first, size_bytes| Some(Chunk { first, size_bytes });
        for (header, bytes, total) in [
            ("bytes 0-524287/2000000", chunk(0, 524_287), Some(2_000_000)),
            ("bytes 0-0/1", chunk(0, 0), Some(1)),
            ("bytes 0-262143/*", chunk(0, 262_143), None),
            ("bytes */*", None, None),
            ("bytes */100", None, Some(100)),
            ("bytes */0", None, Some(0)),
            ("bytes=5-9/10", chunk(5, 9), Some(10)),
            ("bytes 0-*/*", open(0, None), None),
            ("bytes 5-*/*", open(5, None), None),
            ("bytes 5-*/10", open(5, Some(5)), Some(10)),
            ("bytes 10-*/10", open(10, Some(0)), Some(10)),
        ] {
            assert_eq!(ContentRange::parse(header), Some(ContentRange { bytes, total }), "{header}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for header in [
            "",
            "bytes",
            "bytes 0-1",
            "bytes 2-1/5",
            "bytes 0-5/5",
            "bytes -1/5",
            "bytes 0-/5",
            "bytes 6-*/5",
            "bytes *-5/6",
            "bytes a-b/c",
            "bytes +0-1/5",
            "items 0-1/5",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(ContentRange::parse(header), None, "{header}");
        }
    }
}
