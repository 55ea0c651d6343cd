//! The framing itself, byte by byte.
//!
//! `size[;chunk-signature=hex]CRLF data CRLF`, again and again; a chunk of size 0 has no data and
//! is followed by trailer lines and an empty line.

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::{Announced, Signing};
use crate::signature::Mismatch;

/// The longest line before a chunk: a size, an extension and a signature need about 100 bytes.
const SIZE_LINE_BYTES_MAX: usize = 1024;
/// The longest block of trailers: a checksum and a signature need about 200 bytes.
const TRAILER_BYTES_MAX: usize = 4096;
/// AWS: every chunk but the last has at least 8 KiB.
const CHUNK_BYTES_MIN: u64 = 8192;

const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Why a chunked body was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// `IncompleteBody`: the framing is broken.
    #[error("The request body is not well-formed aws-chunked encoding: {0}")]
    Malformed(&'static str),
    /// `IncompleteBody`: the body ends before its last chunk and trailers.
    #[error("The request body terminated unexpectedly")]
    Truncated,
    /// `IncompleteBody`: more or fewer bytes than `x-amz-decoded-content-length` says.
    #[error(
        "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header"
    )]
    LengthMismatch {
        /// What the header says.
        announced: u64,
        /// What the chunks hold, or at least hold.
        found: u64,
    },
    /// `InvalidChunkSizeError`.
    #[error("Only the last chunk is allowed to have a size less than 8192 bytes")]
    InvalidChunkSize {
        /// `Chunk`: its number, from 1.
        chunk: u64,
        /// `BadChunkSize`.
        size: u64,
    },
    /// `MalformedTrailerError`: trailers other than those announced, or not `name:value` lines.
    #[error(
        "The request contained trailing data that was not well-formed or did not conform to our published schema."
    )]
    MalformedTrailer,
    /// `SignatureDoesNotMatch`: of a chunk or of the trailers.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    )]
    SignatureDoesNotMatch(Box<Mismatch>),
}

/// Takes the framing off a chunked body that comes in fragments of any size.
///
/// Payload is handed on as slices of the fragments, without a copy, and before the signature of
/// its chunk is known: nothing of it counts until `finish` has returned the trailers.
#[derive(Debug)]
pub struct Decoder {
    announced: Announced,
    signing: Option<Signing>,
    state: State,
    /// The part of a line that earlier fragments held.
    line: Vec<u8>,
    decoded_length: u64,
    chunks: u64,
    chunk_size: u64,
    chunk_signature: String,
    chunk_hash: Sha256,
    trailers: Trailers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    SizeLine,
    Data { remaining: u64 },
    EndOfData,
    Trailer,
    Done,
    Failed,
}

/// The trailers so far.
#[derive(Debug, Default)]
struct Trailers {
    bytes: usize,
    headers: HeaderMap,
    signature: Option<String>,
}

impl Decoder {
    /// A decoder of signed chunks.
    pub fn signed(signing: Signing, announced: Announced) -> Self {
        Self::new(Some(signing), announced)
    }

    /// A decoder of chunks without signatures.
    pub fn unsigned(announced: Announced) -> Self {
        Self::new(None, announced)
    }

    fn new(signing: Option<Signing>, announced: Announced) -> Self {
        Self {
            announced,
            signing,
            state: State::SizeLine,
            line: Vec::new(),
            decoded_length: 0,
            chunks: 0,
            chunk_size: 0,
            chunk_signature: String::new(),
            chunk_hash: Sha256::new(),
            trailers: Trailers::default(),
        }
    }

    /// Takes from the front of `fragment` and gives the next piece of payload, never an empty one.
    ///
    /// `None` means that the fragment is used up: hand in the next one, or `finish`. After an error
    /// every further call fails.
    pub fn decode(&mut self, fragment: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
        let result = self.advance(fragment);
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }

    /// Ends the body: the trailers, if all of it came and every signature was right.
    pub fn finish(self) -> Result<HeaderMap, DecodeError> {
        match self.state {
            State::Done => Ok(self.trailers.headers),
            State::SizeLine | State::Data { .. } | State::EndOfData | State::Trailer | State::Failed => {
                Err(DecodeError::Truncated)
            }
        }
    }

    fn advance(&mut self, fragment: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
        while !fragment.is_empty() {
            match self.state {
                State::Data { remaining } => return Ok(Some(self.take_data(fragment, remaining))),
                State::SizeLine => {
                    let Some(line) = self.take_line(fragment, SIZE_LINE_BYTES_MAX)? else { break };
                    self.begin_chunk(&line)?;
                }
                State::EndOfData => {
                    if !self.take_end_of_data(fragment)? {
                        break;
                    }
                    self.check_chunk_signature()?;
                    self.state = State::SizeLine;
                }
                State::Trailer => {
                    let limit = TRAILER_BYTES_MAX - self.trailers.bytes;
                    let Some(line) = self.take_trailer_line(fragment, limit)? else { break };
                    self.read_trailer(&line)?;
                }
                State::Done => return Err(DecodeError::Malformed("there are bytes after its end")),
                State::Failed => return Err(DecodeError::Truncated),
            }
        }
        Ok(None)
    }

    fn take_data(&mut self, fragment: &mut Bytes, remaining: u64) -> Bytes {
        let length = usize::try_from(remaining).unwrap_or(usize::MAX).min(fragment.len());
        let data = fragment.split_to(length);
        if self.signing.is_some() {
            self.chunk_hash.update(&data);
        }
        self.state = match remaining - length as u64 {
            0 => State::EndOfData,
            remaining => State::Data { remaining },
        };
        data
    }

    /// The next line without its CRLF, once all of it is there.
    fn take_line(&mut self, fragment: &mut Bytes, limit: usize) -> Result<Option<Vec<u8>>, DecodeError> {
        let end = fragment.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(fragment.len(), |end| end + 1);
        if self.line.len() + length > limit {
            return Err(DecodeError::Malformed("a line is too long"));
        }
        self.line.extend_from_slice(&fragment[..length]);
        fragment.advance(length);
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        if !line.ends_with(b"\r\n") {
            return Err(DecodeError::Malformed("a line does not end with CRLF"));
        }
        line.truncate(line.len() - 2);
        Ok(Some(line))
    }

    /// Whether all of the CRLF behind the bytes of a chunk is there.
    fn take_end_of_data(&mut self, fragment: &mut Bytes) -> Result<bool, DecodeError> {
        self.take_line(fragment, 2)
            .map(|line| line.is_some())
            .map_err(|_| DecodeError::Malformed("the bytes of a chunk do not end with CRLF"))
    }

    fn take_trailer_line(
        &mut self,
        fragment: &mut Bytes,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, DecodeError> {
        self.take_line(fragment, limit).map_err(|_| DecodeError::MalformedTrailer)
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), DecodeError> {
        let (size, signature) = parse_size_line(line, self.signing.is_some())?;
        if size > 0 && self.chunks > 0 && self.chunk_size < CHUNK_BYTES_MIN {
            return Err(DecodeError::InvalidChunkSize { chunk: self.chunks, size: self.chunk_size });
        }
        let announced = self.announced.decoded_length;
        let found = self.decoded_length.saturating_add(size);
        if found > announced || (size == 0 && found < announced) {
            return Err(DecodeError::LengthMismatch { announced, found });
        }
        self.decoded_length = found;
        self.chunk_size = size;
        self.chunk_signature = signature;
        self.chunks += 1;
        if size == 0 {
            self.check_chunk_signature()?;
            self.state = State::Trailer;
        } else {
            self.state = State::Data { remaining: size };
        }
        Ok(())
    }

    fn check_chunk_signature(&mut self) -> Result<(), DecodeError> {
        let Some(signing) = &mut self.signing else { return Ok(()) };
        let sha256 = self.chunk_hash.finalize_reset().into();
        signing.check_chunk(sha256, &self.chunk_signature).map_err(DecodeError::SignatureDoesNotMatch)
    }

    fn read_trailer(&mut self, line: &[u8]) -> Result<(), DecodeError> {
        self.trailers.bytes += line.len() + 2;
        if line.is_empty() {
            self.check_trailers()?;
            self.state = State::Done;
            return Ok(());
        }
        let signed = self.signing.as_ref().map(Signing::has_trailer);
        if signed == Some(false) {
            return Err(DecodeError::MalformedTrailer);
        }
        self.trailers.push(line, &self.announced.trailers, signed == Some(true))
    }

    fn check_trailers(&mut self) -> Result<(), DecodeError> {
        let Some(signing) = &mut self.signing else { return self.check_all_announced() };
        if !signing.has_trailer() {
            return Ok(());
        }
        let provided = self.trailers.signature.as_deref().ok_or(DecodeError::MalformedTrailer)?;
        signing
            .check_trailer(&self.trailers.canonical(), provided)
            .map_err(DecodeError::SignatureDoesNotMatch)?;
        self.check_all_announced()
    }

    fn check_all_announced(&self) -> Result<(), DecodeError> {
        let came = |name: &HeaderName| self.trailers.headers.contains_key(name);
        if self.announced.trailers.iter().all(came) { Ok(()) } else { Err(DecodeError::MalformedTrailer) }
    }
}

impl Trailers {
    /// `name:value\n` lines sorted by name, as they are signed.
    fn canonical(&self) -> Vec<u8> {
        let mut trailers: Vec<_> = self.headers.iter().collect();
        trailers.sort_by_key(|(name, _)| name.as_str());
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            [name.as_str().as_bytes(), b":", value.as_bytes(), b"\n"].concat()
        };
        trailers.into_iter().flat_map(line).collect()
    }

    /// Takes a line. Only announced trailers may come, each once, and the signature last.
    fn push(&mut self, line: &[u8], announced: &[HeaderName], signed: bool) -> Result<(), DecodeError> {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(DecodeError::MalformedTrailer)?;
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        let name = HeaderName::from_bytes(name).map_err(|_| DecodeError::MalformedTrailer)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| DecodeError::MalformedTrailer)?;
        if self.signature.is_some() {
            return Err(DecodeError::MalformedTrailer);
        }
        if signed && name.as_str() == TRAILER_SIGNATURE {
            self.signature = Some(String::from_utf8_lossy(value.as_bytes()).into_owned());
            return Ok(());
        }
        if !announced.contains(&name) || self.headers.contains_key(&name) {
            return Err(DecodeError::MalformedTrailer);
        }
        self.headers.insert(name, value);
        Ok(())
    }
}

/// Reads `size` or `size;chunk-signature=hex`. Other extensions are ignored, as in HTTP.
fn parse_size_line(line: &[u8], signed: bool) -> Result<(u64, String), DecodeError> {
    let line = std::str::from_utf8(line).map_err(|_| DecodeError::Malformed("a chunk size is not ASCII"))?;
    let (size, extensions) = line.split_once(';').unwrap_or((line, ""));
    let size = size.trim_end();
    // `from_str_radix` would also take a sign.
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(DecodeError::Malformed("a chunk size is not a hexadecimal number"));
    }
    let size =
        u64::from_str_radix(size, 16).map_err(|_| DecodeError::Malformed("a chunk size is too large"))?;
    let signature =
        extensions.split(';').find_map(|extension| extension.trim().strip_prefix("chunk-signature="));
    match signature {
        Some(signature) => Ok((size, signature.to_owned())),
        None if signed => Err(DecodeError::Malformed("a chunk has no signature")),
        None => Ok((size, String::new())),
    }
}
