//! The bytes that a request of a resumable upload brings, and the chunk that they become.

use http::header;

use super::preempted;
use crate::checksum::Digests;
use crate::gcs::call::Call;
use crate::gcs::content_range::{Chunk, ContentRange};
use crate::gcs::error::{Error, Reason};
use crate::gcs::metadata::Expected;
use crate::gcs::receive::Receiving;
use crate::gcs::sessions::Turn;
use crate::model::PartNumber;
use crate::protocol::intake::Incoming;
use crate::store::{PutPart, Store, UploadRef};

/// GCS: what every chunk but the last has at least.
const CHUNK_BYTES_MIN: u64 = 256 * 1024;

/// What a request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bytes {
    /// Nothing.
    None,
    /// This piece.
    Chunk(Chunk),
    /// Everything, from the first byte on: there is no `Content-Range`.
    Rest,
}

impl Bytes {
    /// Whether the end of the body is that of the upload, whatever its size.
    pub(super) fn ends_upload(self) -> bool {
        match self {
            Self::None => false,
            Self::Chunk(chunk) => chunk.size_bytes.is_none(),
            Self::Rest => true,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) bytes: Bytes,
    pub(super) total: Option<u64>,
}

pub(super) fn asked(call: &Call<'_>) -> Result<Asked, Error> {
    let Some(value) = call.headers.get(header::CONTENT_RANGE) else {
        return Ok(Asked { bytes: Bytes::Rest, total: None });
    };
    let text = value.to_str().unwrap_or_default();
    let range = ContentRange::parse(text).ok_or_else(|| {
        Error::with_message(Reason::BadRequest, format!("Failed to parse Content-Range header: {text:?}."))
    })?;
    let bytes = range.bytes.map_or(Bytes::None, Bytes::Chunk);
    Ok(Asked { bytes, total: range.total })
}

/// A chunk on its way in.
pub(super) struct Arriving {
    upload: UploadRef,
    number: PartNumber,
    /// How many bytes at its beginning are here already.
    skipped: u64,
    /// How many bytes it has in all, where it is known.
    expected: Option<u64>,
    /// Whether its end is that of the upload.
    pub(super) is_last: bool,
    /// Its digests, where the client has sent some with a chunk that is not the last one.
    digests: Expected,
}

impl Arriving {
    pub(super) fn new(
        upload: &UploadRef,
        asked: &Asked,
        persisted: u64,
        parts: usize,
    ) -> Result<Self, Error> {
        let Asked { bytes, total } = *asked;
        let (first, expected) = match bytes {
            Bytes::Chunk(chunk) => (chunk.first, chunk.size_bytes),
            Bytes::Rest | Bytes::None => (0, None),
        };
        if first > persisted {
            return Err(Error::with_message(
                Reason::Invalid,
                format!(
                    "Invalid request. According to the Content-Range header, the upload offset is {first} \
                     byte(s), which exceeds already uploaded size of {persisted} byte(s)."
                ),
            ));
        }
        let is_last =
            bytes.ends_upload() || total.is_some() && expected.map(|expected| first + expected) == total;
        if let Some(size) = expected.filter(|size| !is_last && *size < CHUNK_BYTES_MIN) {
            return Err(Error::with_message(
                Reason::BadRequest,
                format!(
                    "Invalid request. The number of bytes uploaded is required to be equal or greater than \
                     {CHUNK_BYTES_MIN}, except for the final request (it's recommended to be the exact \
                     multiple of {CHUNK_BYTES_MIN}). The received request contained {size} bytes, which \
                     does not meet this requirement."
                ),
            ));
        }
        let number = u16::try_from(parts + 1).ok().and_then(|number| PartNumber::new(number).ok());
        let number = number.ok_or_else(|| {
            Error::with_message(
                Reason::Invalid,
                format!("An upload may come in at most {} chunks: send larger ones.", PartNumber::MAX),
            )
        })?;
        let skipped = persisted - first;
        let digests = Expected::default();
        Ok(Self { upload: upload.clone(), number, skipped, expected, is_last, digests })
    }

    /// Notes digests that came along.
    ///
    /// GCS: with the last chunk they are those of the whole object; with another one they can only be
    /// those of the chunk.
    pub(super) fn expecting(mut self, sent: Expected) -> Result<Self, Error> {
        if !self.is_last && sent != Expected::default() {
            if self.skipped > 0 {
                return Err(Error::with_message(
                    Reason::Invalid,
                    format!(
                        "The first {} bytes of this chunk are here already, so its digests cannot be compared: \
                         go on behind them.",
                        self.skipped
                    ),
                ));
            }
            self.digests = sent;
        }
        Ok(self)
    }

    /// Stores the chunk, or what of it came before the connection broke. Gives its digests, where
    /// it is all that there is.
    pub(super) async fn receive(
        self,
        store: &Store,
        incoming: Incoming,
        max_bytes: u64,
        turn: &Turn,
    ) -> Result<Option<Digests>, Error> {
        let announced = incoming.size_bytes();
        if let (Some(announced), Some(expected)) = (announced, self.expected)
            && announced != expected
        {
            return Err(length_mismatch(announced, expected));
        }
        let mut receiving = Receiving::begin(store, announced, max_bytes)?;
        let outcome = self.take(incoming, &mut receiving).await;
        let size_bytes = receiving.size_bytes();
        let broken = match outcome {
            Ok(()) => None,
            Err(error) if error.reason() == Reason::UploadBroken && size_bytes > 0 => Some(error),
            Err(error) => return Err(error),
        };
        let is_first = self.number.get() == 1;
        if size_bytes == 0 && !is_first {
            return Ok(None);
        }
        let staged = receiving.finish().await?;
        let digests = staged.digests().clone();
        if broken.is_none() {
            self.digests.check(Some(digests.crc32c()), Some(digests.md5))?;
        }
        let Some(_guard) = turn.enter().await else { return Err(preempted()) };
        store.put_part(PutPart { upload: self.upload, number: self.number, staged, checksum: None }).await?;
        match broken {
            Some(error) => Err(error),
            None => Ok(is_first.then_some(digests)),
        }
    }

    /// Reads the body, without the bytes that are here already.
    async fn take(&self, mut incoming: Incoming, receiving: &mut Receiving) -> Result<(), Error> {
        let mut to_skip = self.skipped;
        let mut taken = 0;
        while let Some(mut bytes) = receiving.wait_for(incoming.next()).await?? {
            taken += bytes.len() as u64;
            let skip = usize::try_from(to_skip).unwrap_or(usize::MAX).min(bytes.len());
            to_skip -= skip as u64;
            bytes::Buf::advance(&mut bytes, skip);
            if !bytes.is_empty() {
                receiving.write(bytes).await?;
            }
        }
        incoming.finish()?;
        match self.expected {
            Some(expected) if expected != taken => Err(length_mismatch(taken, expected)),
            _ => Ok(()),
        }
    }
}

fn length_mismatch(came: u64, expected: u64) -> Error {
    Error::with_message(
        Reason::BadRequest,
        format!(
            "The body has {came} bytes, according to the Content-Range header it should have {expected}."
        ),
    )
}
