//! Additional checksums, as values. Computing them is `crate::checksum`'s work.
//!
//! AWS: "Checking object integrity in Amazon S3".

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};

/// An algorithm of the `x-amz-checksum-…` family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl ChecksumAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// S3's name, as in `x-amz-checksum-algorithm` and in `ChecksumAlgorithm` elements.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header (and trailer) that carries a value, in lower case.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The XML element that carries a value.
    pub fn element(self) -> &'static str {
        match self {
            Self::Crc32 => "ChecksumCRC32",
            Self::Crc32c => "ChecksumCRC32C",
            Self::Crc64Nvme => "ChecksumCRC64NVME",
            Self::Sha1 => "ChecksumSHA1",
            Self::Sha256 => "ChecksumSHA256",
        }
    }

    /// Number of bytes of a value.
    pub fn len_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// What a multipart upload gets when its client names no `x-amz-checksum-type`.
    ///
    /// AWS: `CreateMultipartUpload`, `x-amz-checksum-type`: CRC64NVME is always full object, the
    /// others default to composite.
    pub fn default_multipart_kind(self) -> ChecksumKind {
        match self {
            Self::Crc64Nvme => ChecksumKind::FullObject,
            Self::Crc32 | Self::Crc32c | Self::Sha1 | Self::Sha256 => ChecksumKind::Composite,
        }
    }

    /// Whether a multipart upload may have this kind of checksum: CRC64NVME cannot be composite,
    /// SHA-1 and SHA-256 cannot be combined from parts into a full-object value.
    pub fn supports(self, kind: ChecksumKind) -> bool {
        match (self, kind) {
            (Self::Crc64Nvme, ChecksumKind::Composite)
            | (Self::Sha1 | Self::Sha256, ChecksumKind::FullObject) => false,
            (Self::Crc32 | Self::Crc32c, _)
            | (Self::Crc64Nvme, ChecksumKind::FullObject)
            | (Self::Sha1 | Self::Sha256, ChecksumKind::Composite) => true,
        }
    }

    /// Reads S3's name of an algorithm, in any case.
    pub fn parse(name: &str) -> Result<Self, InvalidChecksum> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| InvalidChecksum::UnknownAlgorithm(name.chars().take(40).collect()))
    }

    /// The algorithm whose value stands in `header`, if it is one of the family.
    pub fn of_header(header: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(header))
    }
}

/// What a checksum of a multipart object covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecksumKind {
    /// All bytes of the object, in order.
    FullObject,
    /// The concatenated checksums of the parts.
    Composite,
}

impl ChecksumKind {
    /// S3's name, as in `x-amz-checksum-type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    /// Reads S3's name.
    pub fn parse(name: &str) -> Result<Self, InvalidChecksum> {
        [Self::FullObject, Self::Composite]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| InvalidChecksum::UnknownKind(name.chars().take(40).collect()))
    }
}

/// A checksum of an object or a part.
///
/// Invariants: `value` has the algorithm's length; `parts` is given exactly for composite values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    value: Box<[u8]>,
    parts: Option<u16>,
}

/// Why a text is not a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChecksum {
    /// Not one of S3's algorithms.
    #[error("{0:?} is not a checksum algorithm: use CRC32, CRC32C, CRC64NVME, SHA1 or SHA256")]
    UnknownAlgorithm(String),
    /// Not one of S3's types.
    #[error("{0:?} is not a checksum type: use COMPOSITE or FULL_OBJECT")]
    UnknownKind(String),
    /// Not base64, or not as many bytes as the algorithm gives.
    #[error("Value for {} header is invalid.", .0.header())]
    Malformed(ChecksumAlgorithm),
}

impl Checksum {
    /// A checksum over all bytes.
    pub fn full_object(algorithm: ChecksumAlgorithm, value: &[u8]) -> Result<Self, InvalidChecksum> {
        if value.len() == algorithm.len_bytes() {
            Ok(Self { algorithm, value: value.into(), parts: None })
        } else {
            Err(InvalidChecksum::Malformed(algorithm))
        }
    }

    /// A checksum over the checksums of `parts` parts.
    pub fn composite(
        algorithm: ChecksumAlgorithm,
        value: &[u8],
        parts: u16,
    ) -> Result<Self, InvalidChecksum> {
        Ok(Self { parts: Some(parts), ..Self::full_object(algorithm, value)? })
    }

    /// Reads base64, with `-N` behind it for a composite value of N parts.
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Result<Self, InvalidChecksum> {
        let malformed = || InvalidChecksum::Malformed(algorithm);
        let (encoded, parts) = match text.trim().split_once('-') {
            None => (text.trim(), None),
            Some((encoded, parts)) => (encoded, Some(parts.parse().map_err(|_| malformed())?)),
        };
        let value = BASE64_STANDARD.decode(encoded).map_err(|_| malformed())?;
        Ok(Self { parts, ..Self::full_object(algorithm, &value)? })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// The raw value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// What the value covers.
    pub fn kind(&self) -> ChecksumKind {
        if self.parts.is_some() { ChecksumKind::Composite } else { ChecksumKind::FullObject }
    }
}

impl fmt::Display for Checksum {
    /// Base64, with `-N` behind a composite value: as it stands in headers and XML.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE64_STANDARD.encode(&self.value))?;
        match self.parts {
            None => Ok(()),
            Some(parts) => write!(formatter, "-{parts}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Checksum, ChecksumAlgorithm, ChecksumKind};

    #[test]
    fn values_round_trip() {
        for (algorithm, text, kind) in [
            (ChecksumAlgorithm::Crc32, "y/Q5Jg==", ChecksumKind::FullObject),
            (ChecksumAlgorithm::Crc64Nvme, "rosUhgp5mIg=", ChecksumKind::FullObject),
            (ChecksumAlgorithm::Crc32c, "4waSgw==-12", ChecksumKind::Composite),
        ] {
            let checksum = Checksum::parse(algorithm, text).expect("well formed");
            assert_eq!((checksum.to_string().as_str(), checksum.kind()), (text, kind));
        }
    }

    #[test]
    fn values_of_the_wrong_length_or_alphabet_are_refused() {
        for text in ["", "y/Q5", "not base64!", "y/Q5Jg", "y/Q5Jg==-x"] {
            assert!(Checksum::parse(ChecksumAlgorithm::Crc32, text).is_err(), "{text:?} was taken");
        }
    }
}
