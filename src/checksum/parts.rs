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
    let mut behind = Behind { crc, length: 0, times: 0, images: None };
    let whole = rest.iter().try_fold(number(first)?, |so_far, (part, length)| {
        Some(behind.combine(so_far, number(part)?, *length))
    })?;
    if algorithm == ChecksumAlgorithm::Crc64Nvme {
        Checksum::full_object(algorithm, &whole.to_be_bytes()).ok()
    } else {
        Checksum::full_object(algorithm, &low_half(whole).to_be_bytes()).ok()
    }
}

/// So many parts of one length pay for the images of all bits.
const WORTH_IMAGES: u32 = 64;

/// Puts parts behind what came before. What a part's length does to the checksum before it is a sum over
/// its bits. To work that out anew takes as long as to digest the part, and most uploads have thousands of
/// parts of one length: so it is worked out once for each bit.
struct Behind {
    crc: CrcAlgorithm,
    /// The length of the last part, and how many in a row had it.
    length: u64,
    times: u32,
    /// What becomes of each bit before a part of that length.
    images: Option<Box<[u64; 64]>>,
}

impl Behind {
    fn combine(&mut self, before: u64, part: u64, length: u64) -> u64 {
        if length != self.length {
            (self.length, self.times, self.images) = (length, 0, None);
        }
        self.times += 1;
        if self.times < WORTH_IMAGES {
            return checksum_combine(self.crc, before, part, length);
        }
        let crc = self.crc;
        let images = self.images.get_or_insert_with(|| {
            Box::new(std::array::from_fn(|bit| checksum_combine(crc, 1 << bit, 0, length)))
        });
        let moved = images.iter().enumerate().filter(|(bit, _)| before >> bit & 1 == 1);
        moved.fold(part, |whole, (_, image)| whole ^ image)
    }
}

/// The ETag of a multipart object: the MD5 of the parts' MD5s, `-N` behind it.
pub fn etag_of_parts(md5s: &[[u8; 16]]) -> ETag {
    ETag::of_parts(Md5::digest(md5s.as_flattened()).into(), md5s.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_parts_of_one_length_combine_to_the_checksum_of_the_whole() {
        for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme] {
            let digest = |bytes: &[u8]| {
                let mut digester = Digester::new(&[algorithm]);
                digester.update(bytes);
                digester.finish().checksum(algorithm).expect("asked for").clone()
            };
            // Twice as many of one length as it takes, others between them and at the end.
            let lengths =
                std::iter::repeat_n(7_usize, 130).chain([3]).chain(std::iter::repeat_n(100, 90)).chain([1]);
            let (mut whole, mut parts) = (Vec::new(), Vec::new());
            for (number, length) in lengths.enumerate() {
                let part: Vec<_> = (0..length).map(|at| (number * 31 + at * 7).to_le_bytes()[0]).collect();
                parts.push((digest(&part), length as u64));
                whole.extend(part);
            }
            assert_eq!(combine(algorithm, &parts), Some(digest(&whole)));
        }
    }
}
