//! What the headers say about the bytes of a body, before it comes. Pure.
//!
//! AWS: "Checking object integrity in Amazon S3", `PutObject`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

use super::IntakeError;
use crate::checksum::Digests;
use crate::model::{Checksum, ChecksumAlgorithm, ChecksumKind};
use crate::sigv4::chunked::InvalidAnnouncement;

const SDK_ALGORITHM: &str = "x-amz-sdk-checksum-algorithm";
const FAMILY: &str = "x-amz-checksum-";
/// Headers of the family that hold no value of a checksum.
const WITHOUT_VALUE: [&str; 3] = ["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"];

/// The additional checksum of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DeclaredChecksum {
    /// A header gives it.
    Value(Checksum),
    /// A trailer will give it.
    Trailer(ChecksumAlgorithm),
}

impl DeclaredChecksum {
    pub(super) fn algorithm(&self) -> ChecksumAlgorithm {
        match self {
            Self::Value(checksum) => checksum.algorithm(),
            Self::Trailer(algorithm) => *algorithm,
        }
    }
}

/// What the bytes must turn out to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Declared {
    pub(super) md5: Option<[u8; 16]>,
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) checksum: Option<DeclaredChecksum>,
}

impl Declared {
    /// The algorithms that are needed to check the bytes.
    pub(super) fn algorithms(&self) -> Vec<ChecksumAlgorithm> {
        let signed = self.sha256.map(|_| ChecksumAlgorithm::Sha256);
        signed.into_iter().chain(self.checksum.as_ref().map(DeclaredChecksum::algorithm)).collect()
    }

    /// Compares what came with what was declared, and gives the additional checksum.
    pub(super) fn check(
        &self,
        digests: &Digests,
        trailers: &HeaderMap,
    ) -> Result<Option<Checksum>, IntakeError> {
        if let Some(declared) = self.sha256 {
            let computed = computed(digests, ChecksumAlgorithm::Sha256)?;
            if computed.value() != declared {
                return Err(IntakeError::sha256_mismatch(declared, computed.value()));
            }
        }
        if let Some(md5) = self.md5.filter(|md5| *md5 != digests.md5) {
            return Err(IntakeError::bad_digest(md5, digests.md5));
        }
        let declared = match &self.checksum {
            None => return Ok(None),
            Some(DeclaredChecksum::Value(checksum)) => checksum.clone(),
            Some(DeclaredChecksum::Trailer(algorithm)) => of_trailer(trailers, *algorithm)?,
        };
        if *computed(digests, declared.algorithm())? == declared {
            Ok(Some(declared))
        } else {
            Err(IntakeError::ChecksumMismatch(declared.algorithm()))
        }
    }
}

/// Digests are asked for with [`Declared::algorithms`]; one that is missing was never computed, and
/// bytes that nobody checked must not be taken.
fn computed(digests: &Digests, algorithm: ChecksumAlgorithm) -> Result<&Checksum, IntakeError> {
    digests.checksum(algorithm).ok_or(IntakeError::ChecksumMismatch(algorithm))
}

fn of_trailer(trailers: &HeaderMap, algorithm: ChecksumAlgorithm) -> Result<Checksum, IntakeError> {
    let value = trailers.get(algorithm.header()).ok_or(IntakeError::MalformedTrailer)?;
    full_object(algorithm, value.to_str().unwrap_or_default()).ok_or_else(|| {
        IntakeError::InvalidRequest(format!("Value for {} trailing header is invalid.", algorithm.header()))
    })
}

/// A checksum of a body is never a composite one.
fn full_object(algorithm: ChecksumAlgorithm, text: &str) -> Option<Checksum> {
    Checksum::parse(algorithm, text).ok().filter(|checksum| checksum.kind() == ChecksumKind::FullObject)
}

/// Reads `Content-MD5`.
pub(super) fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, IntakeError> {
    let Some(value) = headers.get("content-md5") else { return Ok(None) };
    let md5 =
        BASE64_STANDARD.decode(value.as_bytes().trim_ascii()).ok().and_then(|bytes| bytes.try_into().ok());
    let invalid = || IntakeError::InvalidDigest {
        content_md5: String::from_utf8_lossy(value.as_bytes()).chars().take(80).collect(),
    };
    md5.ok_or_else(invalid).map(Some)
}

/// Reads the one header of the family `x-amz-checksum-…` that holds a value.
///
/// Of CompleteMultipartUpload it is about the object, and may be a composite one; of everything
/// else it is about the body.
pub fn checksum_header(headers: &HeaderMap) -> Result<Option<Checksum>, IntakeError> {
    let mut found = None;
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with(FAMILY) || WITHOUT_VALUE.contains(&name) {
            continue;
        }
        if found.is_some() {
            return Err(IntakeError::several_checksums());
        }
        let algorithm = ChecksumAlgorithm::of_header(name).ok_or_else(|| {
            IntakeError::InvalidRequest(
                "The algorithm type you specified in x-amz-checksum- header is invalid.".to_owned(),
            )
        })?;
        let checksum = Checksum::parse(algorithm, value.to_str().unwrap_or_default());
        found = Some(checksum.map_err(|_| IntakeError::invalid_value(name))?);
    }
    Ok(found)
}

/// Reads the additional checksum of the body, from its header or as announced by `x-amz-trailer`.
pub(super) fn body_checksum(
    headers: &HeaderMap,
    trailers: &[http::HeaderName],
) -> Result<Option<DeclaredChecksum>, IntakeError> {
    let header = checksum_header(headers)?;
    let declared = match (header, trailers) {
        (None, []) => None,
        (None, [trailer]) => ChecksumAlgorithm::of_header(trailer.as_str()).map(DeclaredChecksum::Trailer),
        (Some(checksum), []) if checksum.kind() == ChecksumKind::Composite => {
            return Err(IntakeError::invalid_value(checksum.algorithm().header()));
        }
        (Some(checksum), []) => Some(DeclaredChecksum::Value(checksum)),
        (Some(_) | None, _) => return Err(IntakeError::several_checksums()),
    };
    check_sdk_algorithm(headers, declared.as_ref())?;
    Ok(declared)
}

/// AWS: `PutObject`, `x-amz-sdk-checksum-algorithm`: a checksum of that algorithm must come with it.
fn check_sdk_algorithm(headers: &HeaderMap, declared: Option<&DeclaredChecksum>) -> Result<(), IntakeError> {
    let Some(value) = headers.get(SDK_ALGORITHM) else { return Ok(()) };
    let algorithm = ChecksumAlgorithm::parse(value.to_str().unwrap_or_default()).map_err(|_| {
        IntakeError::InvalidRequest(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
                .to_owned(),
        )
    })?;
    match declared {
        None => Err(IntakeError::InvalidRequest(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."
                .to_owned(),
        )),
        Some(declared) if declared.algorithm() != algorithm => Err(IntakeError::invalid_value(SDK_ALGORITHM)),
        Some(_) => Ok(()),
    }
}

/// How long the message's body is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageLength {
    /// `Content-Length`.
    Bytes(u64),
    /// `Transfer-Encoding: chunked`.
    Open,
    /// Nothing is said, so there is no body.
    Absent,
}

impl MessageLength {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        match length {
            Some(bytes) => Self::Bytes(bytes),
            None if headers.contains_key(TRANSFER_ENCODING) => Self::Open,
            None => Self::Absent,
        }
    }
}

impl From<InvalidAnnouncement> for IntakeError {
    fn from(error: InvalidAnnouncement) -> Self {
        match error {
            InvalidAnnouncement::DecodedLength => Self::MissingContentLength,
            InvalidAnnouncement::Trailer(_) => Self::InvalidRequest(error.to_string()),
        }
    }
}
