//! All digests of one stream of bytes, in one pass.

use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::model::{Checksum, ChecksumAlgorithm};

/// Digests bytes as they come.
///
/// Always MD5 (the ETag), CRC32C (which GCS shows) and CRC64NVME (S3's default), and those asked
/// for.
#[derive(Debug)]
pub struct Digester {
    md5: Md5,
    crc32c: Crc,
    crc64nvme: Crc,
    crc32: Option<Crc>,
    sha1: Option<Sha1>,
    sha256: Option<Sha256>,
}

/// The digests of all the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// The MD5, which is the ETag of an object written in one request.
    pub md5: [u8; 16],
    crc32c: u32,
    crc64nvme: u64,
    checksums: Vec<Checksum>,
}

impl Digester {
    /// A digester of the three that are always wanted and of `extra`.
    pub fn new(extra: &[ChecksumAlgorithm]) -> Self {
        let wanted = |algorithm| extra.contains(&algorithm);
        Self {
            md5: Md5::new(),
            crc32c: Crc::new(CrcAlgorithm::Crc32Iscsi),
            crc64nvme: Crc::new(CrcAlgorithm::Crc64Nvme),
            crc32: wanted(ChecksumAlgorithm::Crc32).then(|| Crc::new(CrcAlgorithm::Crc32IsoHdlc)),
            sha1: wanted(ChecksumAlgorithm::Sha1).then(Sha1::new),
            sha256: wanted(ChecksumAlgorithm::Sha256).then(Sha256::new),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.crc32c.update(bytes);
        self.crc64nvme.update(bytes);
        if let Some(crc32) = &mut self.crc32 {
            crc32.update(bytes);
        }
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    /// The digests of all bytes taken.
    pub fn finish(self) -> Digests {
        let crc32c = low_half(self.crc32c.finalize());
        let crc64nvme = self.crc64nvme.finalize();
        let values = [
            (ChecksumAlgorithm::Crc32c, Some(crc32c.to_be_bytes().to_vec())),
            (ChecksumAlgorithm::Crc64Nvme, Some(crc64nvme.to_be_bytes().to_vec())),
            (
                ChecksumAlgorithm::Crc32,
                self.crc32.map(|crc32| low_half(crc32.finalize()).to_be_bytes().to_vec()),
            ),
            (ChecksumAlgorithm::Sha1, self.sha1.map(|sha1| sha1.finalize().to_vec())),
            (ChecksumAlgorithm::Sha256, self.sha256.map(|sha256| sha256.finalize().to_vec())),
        ];
        let checksums = values
            .into_iter()
            .filter_map(|(algorithm, value)| Checksum::full_object(algorithm, &value?).ok())
            .collect();
        Digests { md5: self.md5.finalize().into(), crc32c, crc64nvme, checksums }
    }
}

impl Digests {
    /// The full-object checksum by an algorithm; `None` if it was not asked for.
    pub fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<&Checksum> {
        self.checksums.iter().find(|checksum| checksum.algorithm() == algorithm)
    }

    /// The CRC32C as a number.
    pub fn crc32c(&self) -> u32 {
        self.crc32c
    }

    /// The CRC64NVME as a number.
    pub fn crc64nvme(&self) -> u64 {
        self.crc64nvme
    }
}

/// `crc-fast` gives every CRC as 64 bits; those of 32 bits stand in the low half.
pub(super) fn low_half(crc: u64) -> u32 {
    u32::try_from(crc & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}
