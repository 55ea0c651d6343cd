//! Incoming bodies: unframed, counted, digested and checked, into the store or into memory.
//!
//! Everything that the headers alone can settle is settled before the body is polled: a client
//! that waits for `100 Continue` then never sends what would be refused.
//!
//! AWS: `PutObject`, `UploadPart`, "Checking object integrity in Amazon S3".
//!
//! Deliberately elsewhere: the framing itself (`sigv4::chunked`), digests (`checksum`), disk
//! (`store`), the meaning of documents (the faces).

mod declared;
mod document;
mod error;
#[cfg(test)]
mod tests;

pub use declared::checksum_header;
pub use document::Document;
pub use error::IntakeError;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;

use declared::{Declared, DeclaredChecksum, MessageLength};

use super::body::RequestBody;
use super::limits::Config;
use crate::checksum::Digester;
use crate::model::{Checksum, ChecksumAlgorithm};
use crate::sigv4::Payload;
use crate::sigv4::chunked::{Announced, Decoder};
use crate::store::{Staged, Store};

/// What `x-amz-checksum-…` headers of a request are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumsOf {
    /// The body of this request: they are checked against it.
    Body,
    /// The object that CompleteMultipartUpload makes: the body is a document about it.
    Object,
}

/// What a request says about its body, before it comes.
#[derive(Debug)]
pub struct Intake {
    declared: Declared,
    message: MessageLength,
    decoder: Option<Decoder>,
    /// The number of bytes without framing, where it is known.
    length: Option<u64>,
}

/// A body that came whole and is what it was declared to be.
#[derive(Debug)]
pub struct Received {
    /// Its bytes and their digests.
    pub staged: Staged,
    /// The additional checksum that the client gave, as a header or a trailer.
    pub checksum: Option<Checksum>,
}

impl Intake {
    /// Reads the headers; `payload` is what the request's signature says of the body.
    pub fn read(headers: &HeaderMap, payload: Payload, about: ChecksumsOf) -> Result<Self, IntakeError> {
        let md5 = declared::content_md5(headers)?;
        let message = MessageLength::read(headers);
        let announced = match &payload {
            Payload::Unsigned | Payload::Sha256(_) => None,
            Payload::Streaming(_) | Payload::StreamingUnsignedTrailer => Some(Announced::read(headers)?),
        };
        let trailers = announced.as_ref().map_or(&[][..], |announced| &announced.trailers);
        let checksum = match about {
            ChecksumsOf::Body => declared::body_checksum(headers, trailers)?,
            ChecksumsOf::Object => None,
        };
        let length = match (&announced, message) {
            (Some(announced), _) => Some(announced.decoded_length),
            (None, MessageLength::Bytes(bytes)) => Some(bytes),
            (None, MessageLength::Absent) => Some(0),
            (None, MessageLength::Open) => None,
        };
        let (sha256, decoder) = match (payload, announced) {
            (Payload::Sha256(sha256), _) => (Some(sha256), None),
            (Payload::Streaming(signing), Some(announced)) => {
                (None, Some(Decoder::signed(signing, announced)))
            }
            (Payload::StreamingUnsignedTrailer, Some(announced)) => {
                (None, Some(Decoder::unsigned(announced)))
            }
            (Payload::Unsigned | Payload::Streaming(_) | Payload::StreamingUnsignedTrailer, _) => {
                (None, None)
            }
        };
        Ok(Self { declared: Declared { md5, sha256, checksum }, message, decoder, length })
    }

    /// The algorithm of the additional checksum that comes with the body.
    pub fn checksum_algorithm(&self) -> Option<ChecksumAlgorithm> {
        self.declared.checksum.as_ref().map(DeclaredChecksum::algorithm)
    }

    /// Whether the client said by `Content-MD5` or an additional checksum what the bytes must be,
    /// as DeleteObjects demands.
    pub fn is_protected(&self) -> bool {
        self.declared.md5.is_some() || self.declared.checksum.is_some()
    }

    /// The number of bytes without framing; `None` if only the end of the body will tell.
    pub fn size_bytes(&self) -> Option<u64> {
        self.length
    }

    /// Brings an object's or a part's bytes into the store, with `extra` checksums computed.
    ///
    /// Nothing is kept of a body that is refused.
    pub async fn stage(
        self,
        body: RequestBody,
        store: &Store,
        extra: &[ChecksumAlgorithm],
        limits: &Config,
    ) -> Result<Received, IntakeError> {
        // S3: the length of an object or a part must be known beforehand. What comes by chunked transfer
        // encoding says it in `x-amz-decoded-content-length` or is refused, and the encoding by its name.
        let length = match (self.message, self.length) {
            (MessageLength::Absent, _) => return Err(IntakeError::MissingContentLength),
            (_, None) => return Err(IntakeError::TransferEncoding),
            (MessageLength::Bytes(_) | MessageLength::Open, Some(length)) => length,
        };
        if length > limits.object_bytes_max {
            return Err(IntakeError::EntityTooLarge {
                proposed_bytes: length,
                max_bytes: limits.object_bytes_max,
            });
        }
        let mut algorithms = self.declared.algorithms();
        algorithms.extend_from_slice(extra);
        let mut staging = store.stage(&algorithms, Some(length));
        let mut incoming = Incoming::new(body, self.decoder, self.length);
        while let Some(bytes) = staging.wait_for(incoming.next()).await?? {
            staging.write(bytes).await?;
        }
        let trailers = incoming.finish()?;
        let staged = staging.finish().await?;
        let checksum = self.declared.check(staged.digests(), &trailers)?;
        Ok(Received { staged, checksum })
    }

    /// Reads a document into memory.
    pub async fn document(self, body: RequestBody, limits: &Config) -> Result<Bytes, IntakeError> {
        let max_bytes = limits.document_bytes_max;
        let too_large = |length: u64| length > max_bytes as u64;
        if self.length.is_some_and(too_large) {
            return Err(IntakeError::DocumentTooLarge { max_bytes });
        }
        let mut digester = Digester::new(&self.declared.algorithms());
        let mut document = Document::new(max_bytes);
        let mut incoming = Incoming::new(body, self.decoder, self.length);
        while let Some(bytes) = incoming.next().await? {
            document.push(&bytes)?;
            digester.update(&bytes);
        }
        let trailers = incoming.finish()?;
        self.declared.check(&digester.finish(), &trailers)?;
        Ok(document.finish())
    }
}

/// A body whose framing is taken off while it comes.
pub struct Incoming {
    body: RequestBody,
    decoder: Option<Decoder>,
    /// What came and was not yet handed on.
    fragment: Bytes,
    /// How many bytes must come in all, without framing.
    expected: Option<u64>,
    handed_on: u64,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Incoming").field("handed_on", &self.handed_on).finish_non_exhaustive()
    }
}

impl Incoming {
    /// A body without framing of its own, as every dialect but S3's sends it.
    pub fn plain(headers: &HeaderMap, body: RequestBody) -> Self {
        let expected = match MessageLength::read(headers) {
            MessageLength::Bytes(bytes) => Some(bytes),
            MessageLength::Open | MessageLength::Absent => None,
        };
        Self::new(body, None, expected)
    }

    /// How many bytes will come, where the client has said it.
    pub fn size_bytes(&self) -> Option<u64> {
        self.expected
    }

    fn new(body: RequestBody, decoder: Option<Decoder>, expected: Option<u64>) -> Self {
        Self { body, decoder, fragment: Bytes::new(), expected, handed_on: 0 }
    }

    /// The next piece, never an empty one; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, IntakeError> {
        loop {
            if let Some(bytes) = self.take()? {
                self.handed_on += bytes.len() as u64;
                if self.expected.is_some_and(|expected| self.handed_on > expected) {
                    return Err(IntakeError::IncompleteBody);
                }
                return Ok(Some(bytes));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            // Trailers of the transfer encoding are not those of aws-chunked; S3 has no use for them.
            if let Ok(data) = frame?.into_data() {
                self.fragment = data;
            }
        }
    }

    fn take(&mut self) -> Result<Option<Bytes>, IntakeError> {
        match &mut self.decoder {
            Some(decoder) => Ok(decoder.decode(&mut self.fragment)?),
            None if self.fragment.is_empty() => Ok(None),
            None => Ok(Some(std::mem::take(&mut self.fragment))),
        }
    }

    /// The trailers, if all bytes came.
    pub fn finish(self) -> Result<HeaderMap, IntakeError> {
        let trailers = self.decoder.map(Decoder::finish).transpose()?.unwrap_or_default();
        match self.expected {
            Some(expected) if expected != self.handed_on => Err(IntakeError::IncompleteBody),
            _ => Ok(trailers),
        }
    }
}
