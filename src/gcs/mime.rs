//! Bodies of several parts, taken apart as they come: `multipart/related` of uploads and
//! `multipart/mixed` of batches. Pure; memory is bounded by the pieces that are pushed in and by
//! the limit of a part's headers.
//!
//! RFC 2046 section 5.1. Deliberately elsewhere: what the parts mean.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// What comes next in a body of several parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A part begins.
    Part(HeaderMap),
    /// Some of its bytes; never none.
    Data(Bytes),
    /// The closing delimiter: what follows is not looked at.
    End,
}

/// A body that is not of several parts, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MalformedMultipart {
    /// `Content-Type` names no boundary.
    #[error("Missing or malformed boundary parameter in the Content-Type of a multipart request")]
    NoBoundary,
    /// The body does not begin with its delimiter.
    #[error("Malformed multipart body: it does not begin with the boundary that its Content-Type names")]
    NoDelimiter,
    /// The headers of a part are not headers, or are too many.
    #[error("Malformed multipart body: the headers of a part cannot be read")]
    Headers,
    /// The body ended before its closing delimiter.
    #[error("Malformed multipart body: it ends without its closing boundary")]
    Truncated,
}

/// The headers of a part may have this many bytes, as may what stands before the first delimiter, and
/// the line of every other one.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Takes a body apart. Push bytes in; take events out until there are none.
#[derive(Debug)]
pub(super) struct Splitter {
    boundary: Vec<u8>,
    /// What stands between two parts, line break included; known once the first line was read.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Preamble,
    /// Behind a delimiter, within the headers of a part.
    Head,
    /// Within the bytes of a part.
    Body,
    /// Right behind a delimiter: another part or the end.
    Delimiter,
    /// Behind the closing delimiter.
    Closed,
}

/// Reads the boundary of a `Content-Type` of the family `multipart/`.
///
/// RFC 2046 section 5.1.1: 1 to 70 characters.
pub(super) fn boundary(content_type: &str) -> Result<&str, MalformedMultipart> {
    let (_, parameters) = content_type.split_once(';').ok_or(MalformedMultipart::NoBoundary)?;
    let boundary = parameters
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))
        .map(|(_, value)| value.trim().trim_matches(['"', '\'']))
        .ok_or(MalformedMultipart::NoBoundary)?;
    if (1..=70).contains(&boundary.len()) { Ok(boundary) } else { Err(MalformedMultipart::NoBoundary) }
}

impl Splitter {
    /// A splitter for a body with this boundary.
    pub(super) fn new(boundary: &str) -> Self {
        Self {
            boundary: boundary.as_bytes().to_vec(),
            delimiter: Vec::new(),
            buffer: BytesMut::new(),
            state: State::Preamble,
        }
    }

    /// Takes the next bytes of the body.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.state != State::Closed {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next event; `None` where more bytes are needed for it.
    pub(super) fn next(&mut self) -> Result<Option<Event>, MalformedMultipart> {
        loop {
            match self.state {
                State::Preamble => {
                    if !self.first_line()? {
                        return Ok(None);
                    }
                }
                State::Delimiter => match self.behind_delimiter()? {
                    None => return Ok(None),
                    Some(true) => return Ok(Some(Event::End)),
                    Some(false) => {}
                },
                State::Head => return Ok(self.head()?.map(Event::Part)),
                State::Body => match self.data() {
                    None => return Ok(None),
                    Some(data) if data.is_empty() => {}
                    Some(data) => return Ok(Some(Event::Data(data))),
                },
                State::Closed => return Ok(None),
            }
        }
    }

    /// Whether the body came to its end.
    pub(super) fn finish(&self) -> Result<(), MalformedMultipart> {
        if self.state == State::Closed { Ok(()) } else { Err(MalformedMultipart::Truncated) }
    }

    /// Reads up to the first delimiter. Whether it ends with CR LF, or as some of Google's own
    /// clients write it, with LF alone, decides how the others begin.
    fn first_line(&mut self) -> Result<bool, MalformedMultipart> {
        let dashed = [b"--", self.boundary.as_slice()].concat();
        // A delimiter stands at the beginning of a line; the preamble is seldom more than a line break.
        let at = find(&self.buffer, &dashed)
            .filter(|at| *at == 0 || self.buffer.get(at - 1).is_some_and(|byte| *byte == b'\n'));
        let Some(at) = at else {
            return if self.buffer.len() > HEAD_BYTES_MAX {
                Err(MalformedMultipart::NoDelimiter)
            } else {
                Ok(false)
            };
        };
        let line_start = at + dashed.len();
        let rest = self.buffer.get(line_start..).unwrap_or_default();
        // RFC 2046 section 5.1.1: blanks may follow a boundary on its line.
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if padding > HEAD_BYTES_MAX {
            return Err(MalformedMultipart::NoDelimiter);
        }
        let rest = rest.get(padding..).unwrap_or_default();
        let line_break: &[u8] = match rest {
            [b'-', b'-', ..] if padding == 0 => b"\r\n",
            [b'\r', b'\n', ..] => b"\r\n",
            [b'\n', ..] => b"\n",
            [] | [b'\r' | b'-'] => return Ok(false),
            _ => return Err(MalformedMultipart::NoDelimiter),
        };
        self.delimiter = [line_break, dashed.as_slice()].concat();
        self.buffer.advance(line_start);
        self.state = State::Delimiter;
        Ok(true)
    }

    /// Decides what follows a delimiter: whether it was the closing one.
    fn behind_delimiter(&mut self) -> Result<Option<bool>, MalformedMultipart> {
        if self.buffer.len() < 2 {
            return Ok(None);
        }
        if self.buffer.starts_with(b"--") {
            self.state = State::Closed;
            self.buffer.clear();
            return Ok(Some(true));
        }
        // RFC 2046: white space may follow a delimiter on its line.
        let line = self.buffer.get(..HEAD_BYTES_MAX).unwrap_or(&self.buffer);
        let Some(end) = memchr::memchr(b'\n', line) else {
            return if self.buffer.len() < HEAD_BYTES_MAX {
                Ok(None)
            } else {
                Err(MalformedMultipart::Headers)
            };
        };
        self.buffer.advance(end + 1);
        self.state = State::Head;
        Ok(Some(false))
    }

    /// Reads the headers of a part, once they are all here.
    fn head(&mut self) -> Result<Option<HeaderMap>, MalformedMultipart> {
        let Some((length, separator)) = head_length(&self.buffer) else {
            return if self.buffer.len() > HEAD_BYTES_MAX {
                Err(MalformedMultipart::Headers)
            } else {
                Ok(None)
            };
        };
        if length > HEAD_BYTES_MAX {
            return Err(MalformedMultipart::Headers);
        }
        let head = self.buffer.split_to(length);
        self.buffer.advance(separator);
        self.state = State::Body;
        headers(&head).map(Some).ok_or(MalformedMultipart::Headers)
    }

    /// Bytes of the part that cannot belong to a delimiter. An empty answer means that the part is
    /// at its end.
    fn data(&mut self) -> Option<Bytes> {
        if let Some(at) = find(&self.buffer, &self.delimiter) {
            let data = self.buffer.split_to(at).freeze();
            self.buffer.advance(self.delimiter.len());
            self.state = State::Delimiter;
            return Some(data);
        }
        let certain = (self.buffer.len() + 1).saturating_sub(self.delimiter.len());
        (certain > 0).then(|| self.buffer.split_to(certain).freeze())
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// Where the headers end, and how many bytes separate them from what follows.
fn head_length(buffer: &[u8]) -> Option<(usize, usize)> {
    // A part without headers begins with its empty line.
    if buffer.starts_with(b"\r\n") {
        return Some((0, 2));
    }
    if buffer.starts_with(b"\n") {
        return Some((0, 1));
    }
    let crlf = find(buffer, b"\r\n\r\n").map(|at| (at, 4));
    let lf = find(buffer, b"\n\n").map(|at| (at, 2));
    crlf.into_iter().chain(lf).min()
}

/// Reads header lines.
pub(super) fn headers(head: &[u8]) -> Option<HeaderMap> {
    let text = std::str::from_utf8(head).ok()?;
    let mut headers = HeaderMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Event, MalformedMultipart, Splitter, boundary};

    /// The parts of a body, when it comes in pieces of `piece` bytes: a header and the bytes of each.
    fn split(body: &[u8], piece: usize) -> Result<Vec<(String, Vec<u8>)>, MalformedMultipart> {
        let mut splitter = Splitter::new("=b=");
        let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
        for bytes in body.chunks(piece) {
            splitter.push(bytes);
            while let Some(event) = splitter.next()? {
                match event {
                    Event::Part(headers) => {
                        let kind = headers.get("content-type").and_then(|value| value.to_str().ok());
                        parts.push((kind.unwrap_or_default().to_owned(), Vec::new()));
                    }
                    Event::Data(data) => parts.last_mut().expect("a part began").1.extend_from_slice(&data),
                    Event::End => {}
                }
            }
        }
        splitter.finish()?;
        Ok(parts)
    }

    fn part(kind: &str, bytes: &[u8]) -> (String, Vec<u8>) {
        (kind.to_owned(), bytes.to_vec())
    }

    #[test]
    fn bodies_of_clients_come_apart_however_they_are_cut() {
        let crlf = b"--=b=\r\ncontent-type: application/json\r\n\r\n{}\r\n--=b=\r\nContent-Type: x/y\r\n\r\nab\r\n\r\n--=b\r\n--=b=--";
        let lf = b"\n--=b=\nContent-Type: application/json\nMIME-Version: 1.0\n\n{}\n--=b=\nContent-Type: x/y\n\nab\r\n\n--=b=--\n";
        let empty = b"--=b=\r\n\r\n{}\r\n--=b= \r\ncontent-type: x/y\r\n\r\n\r\n--=b=--\r\nepilogue";
        for (body, expected) in [
            (&crlf[..], vec![part("application/json", b"{}"), part("x/y", b"ab\r\n\r\n--=b")]),
            (lf, vec![part("application/json", b"{}"), part("x/y", b"ab\r\n")]),
            (empty, vec![part("", b"{}"), part("x/y", b"")]),
            (b"--=b= \t \r\n\r\n{}\r\n--=b=\t\r\n\r\nx\r\n--=b=--  ", vec![part("", b"{}"), part("", b"x")]),
            (b"--=b= \n\n{}\n--=b=--", vec![part("", b"{}")]),
            (b"--=b=--", vec![]),
        ] {
            for piece in 1..=body.len() {
                assert_eq!(split(body, piece), Ok(expected.clone()), "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn broken_bodies_are_refused() {
        let long = format!("--=b=\r\nx: {}", "y".repeat(20_000));
        let endless = format!("--=b=\r\n\r\n{{}}\r\n--=b={}", "x".repeat(20_000));
        for (body, expected) in [
            (&b""[..], MalformedMultipart::Truncated),
            (b"{}", MalformedMultipart::Truncated),
            (b"--=b=\r\n\r\n{}", MalformedMultipart::Truncated),
            (b"--=b=\r\n\r\n{}\r\n--=b=", MalformedMultipart::Truncated),
            (b"--=b=extra\r\n\r\n", MalformedMultipart::NoDelimiter),
            (b"--=b=\r\nno header\r\n\r\n", MalformedMultipart::Headers),
            (long.as_bytes(), MalformedMultipart::Headers),
            (endless.as_bytes(), MalformedMultipart::Headers),
        ] {
            assert_eq!(split(body, 7), Err(expected), "{:?}", String::from_utf8_lossy(body));
        }
        assert_eq!(split("x".repeat(20_000).as_bytes(), 1000), Err(MalformedMultipart::NoDelimiter));
    }

    #[test]
    fn boundaries_may_be_quoted() {
        for (content_type, expected) in [
            ("multipart/related; boundary=abc", Some("abc")),
            ("multipart/related; boundary=\"===============5==\"", Some("===============5==")),
            ("multipart/related; type=\"application/json\"; BOUNDARY='abc'", Some("abc")),
            ("multipart/related", None),
            ("multipart/related; boundary=", None),
            ("multipart/related; charset=utf-8", None),
        ] {
            assert_eq!(boundary(content_type).ok(), expected, "{content_type}");
        }
    }

    proptest! {
        #[test]
        fn a_body_comes_apart_the_same_however_it_is_cut(
            words in prop::collection::vec(
                prop::sample::select(vec!["--=b=", "\r\n", "\n", "\r", "--", "-", "a: b", ":", "x"]),
                0..30,
            ),
            piece in 1..8_usize,
        ) {
            let body = words.concat().into_bytes();
            prop_assert_eq!(split(&body, piece), split(&body, body.len().max(1)));
        }

        #[test]
        fn any_bytes_come_back(
            bytes in prop::collection::vec(prop::sample::select(b"\r\n-=ab".to_vec()), 0..200),
            piece in 1..40_usize,
        ) {
            prop_assume!(!bytes.windows(7).any(|window| window == b"\r\n--=b="));
            let mut body = b"--=b=\r\ncontent-type: x/y\r\n\r\n".to_vec();
            body.extend_from_slice(&bytes);
            // A part that ends in the beginning of a delimiter would not be one with it.
            body.extend_from_slice(b"\r\n--=b=--");
            prop_assert_eq!(split(&body, piece), Ok(vec![part("x/y", &bytes)]));
        }
    }
}
