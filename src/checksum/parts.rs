//! Checksums of a multipart object from those of its parts.

use crc_fast::{CrcAlgorithm, checksum_combine};
use md5::Md5;
use sha2::Digest as _;

use super::Digester;
use super::digester::low_half;
use crate::model::{Checksum, ChecksumAlgorithm, ChecksumKind, ETag};

/// The checksum of the concatenated raw values of the parts' checksums, `-N` behind it.
///
/// Parts without a value by this algorithm do not belong here: what they hold is hashed all the
/// same.
#[expect(clippy::missing_panics_doc, reason = "no input makes it panic")]
pub fn composite(algorithm: ChecksumAlgorithm, parts: &[Checksum]) -> Checksum {
    let mut digester = Digester::new(&[algorithm]);
    for part in parts {
        digester.update(part.value());
    }
    let digests = digester.finish();
    let whole = digests.checksum(algorithm).expect("the digester was asked for this algorithm");
    let count = u16::try_from(parts.len()).unwrap_or(u16::MAX);
    Checksum::composite(algorithm, whole.value(), count).expect("the value has the algorithm's length")
}

/// The checksum of the whole object from those of its parts and their lengths in bytes.
///
/// `None` for SHA-1 and SHA-256, which have no such arithmetic, if there are no parts, and if a
/// part's checksum is by another algorithm or is a composite one.
pub fn combine(algorithm: ChecksumAlgorithm, parts: &[(Checksum, u64)]) -> Option<Checksum> {
    let crc = match algorithm {
        ChecksumAlgorithm::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
        ChecksumAlgorithm::Crc32c => CrcAlgorithm::Crc32Iscsi,
        ChecksumAlgorithm::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => return None,
    };
    let number = |part: &Checksum| {
        let usable = part.algorithm() == algorithm && part.kind() == ChecksumKind::FullObject;
        usable.then(|| part.value().iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte)))
    };
    let ((first, _), rest) = parts.split_first()?;
    let whole = rest.iter().try_fold(number(first)?, |so_far, (part, length)| {
        Some(checksum_combine(crc, so_far, number(part)?, *length))
    })?;
    if algorithm == ChecksumAlgorithm::Crc64Nvme {
        Checksum::full_object(algorithm, &whole.to_be_bytes()).ok()
    } else {
        Checksum::full_object(algorithm, &low_half(whole).to_be_bytes()).ok()
    }
}

/// The ETag of a multipart object: the MD5 of the parts' MD5s, `-N` behind it.
pub fn etag_of_parts(md5s: &[[u8; 16]]) -> ETag {
    ETag::of_parts(Md5::digest(md5s.as_flattened()).into(), md5s.len())
}
