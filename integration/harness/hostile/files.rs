//! The files of the hostile upstream, and what a good server answers for one: ranges and conditions.

use std::sync::Arc;

use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;

use super::Seen;

/// When every file was written, unless it says otherwise.
pub(crate) const MODIFIED: &str = "Wed, 04 Nov 2020 10:00:00 GMT";

/// The bytes of a file.
#[derive(Clone)]
enum Bytes {
    Held(Arc<[u8]>),
    /// So many bytes that nobody holds.
    Zeros(usize),
}

/// A file: its bytes, and headers besides the usual ones or instead of them.
#[derive(Clone)]
pub(crate) struct File {
    bytes: Bytes,
    headers: Vec<(String, String)>,
}

impl File {
    /// A file with a strong tag that is its MD5, as S3 gives it.
    pub(crate) fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let etag = format!("\"{}\"", hex::encode(Md5::digest(&bytes)));
        let file = Self { bytes: Bytes::Held(bytes), headers: Vec::new() };
        file.header("ETag", &etag)
            .header("Last-Modified", MODIFIED)
            .header("Content-Type", "application/octet-stream")
            .header("Accept-Ranges", "bytes")
    }

    /// A file of zeros that is too large to hold; its tag is no MD5.
    pub(crate) fn zeros(size: usize) -> Self {
        let file = Self { bytes: Bytes::Zeros(size), headers: Vec::new() };
        file.header("ETag", "\"zeros-1\"").header("Last-Modified", MODIFIED)
    }

    /// The same with a header more, or another value of one.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without a header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self
    }

    /// A header of it.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match &self.bytes {
            Bytes::Held(bytes) => bytes.len(),
            Bytes::Zeros(size) => *size,
        }
    }

    /// At most `length` of its bytes.
    pub(super) fn piece(&self, start: usize, length: usize) -> Vec<u8> {
        let length = length.min(self.len() - start);
        match &self.bytes {
            Bytes::Held(bytes) => bytes[start..start + length].to_vec(),
            Bytes::Zeros(_) => vec![0; length],
        }
    }

    /// What a good server answers: status, headers, and which of its bytes.
    pub(super) fn answer(&self, request: &Seen) -> (u16, Vec<(String, String)>, std::ops::Range<usize>) {
        let mut headers = self.headers.clone();
        if let Some(status) = self.refusal(request) {
            return (status, headers, 0..0);
        }
        let size = self.len();
        let ranged = request.header("if-range").is_none_or(|tag| Some(tag) == self.value("ETag"));
        let Some(range) = request.header("range").filter(|_| ranged) else { return (200, headers, 0..size) };
        match range_of(range, size) {
            None => (200, headers, 0..size),
            Some(found) if found.is_empty() => {
                headers.push(("Content-Range".into(), format!("bytes */{size}")));
                (416, headers, 0..0)
            }
            Some(found) => {
                let value = format!("bytes {}-{}/{size}", found.start, found.end - 1);
                headers.push(("Content-Range".into(), value));
                (206, headers, found)
            }
        }
    }

    /// 304 or 412, by the conditions of a request.
    fn refusal(&self, request: &Seen) -> Option<u16> {
        let names = |list: &str| {
            let etag = self.value("ETag").unwrap_or_default();
            list.split(',').map(str::trim).any(|tag| tag == "*" || tag == etag)
        };
        let since = |name: &str| {
            let asked = httpdate::parse_http_date(request.header(name)?).ok()?;
            let modified = httpdate::parse_http_date(self.value("Last-Modified")?).ok()?;
            Some(modified > asked)
        };
        match request.header("if-match") {
            Some(list) if !names(list) => return Some(412),
            None if since("if-unmodified-since") == Some(true) => return Some(412),
            _ => {}
        }
        match request.header("if-none-match") {
            Some(list) => names(list).then_some(304),
            None => (since("if-modified-since") == Some(false)).then_some(304),
        }
    }
}

/// A range of one part; an empty one is not satisfiable, and what does not read is none.
fn range_of(text: &str, size: usize) -> Option<std::ops::Range<usize>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    Some(match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => first.min(size)..(last + 1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first.min(size)..size,
        (Err(_), Ok(length)) if first.is_empty() => size - length.min(size)..size,
        _ => return None,
    })
}

/// A text without its percent escapes.
pub(super) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
