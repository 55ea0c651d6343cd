//! Known vectors, and properties of combining.

use proptest::prelude::*;

use super::{Digester, combine, composite, etag_of_parts};
use crate::model::{Checksum, ChecksumAlgorithm};

fn digest(bytes: &[u8]) -> super::Digests {
    let mut digester = Digester::new(&ChecksumAlgorithm::ALL);
    digester.update(bytes);
    digester.finish()
}

#[test]
fn known_vectors() {
    // The check values of the CRC catalogue and of RFC 1321, RFC 3174 and FIPS 180-2.
    let digests = digest(b"123456789");
    assert_eq!(digests.crc32c(), 0xE306_9283);
    assert_eq!(digests.crc64nvme(), 0xAE8B_1486_0A79_9888);
    assert_eq!(hex::encode(digests.md5), "25f9e794323b453885f5181f1b624d0b");
    for (algorithm, expected) in [
        (ChecksumAlgorithm::Crc32, "cbf43926"),
        (ChecksumAlgorithm::Crc32c, "e3069283"),
        (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
        (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        (ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ] {
        let checksum = digests.checksum(algorithm).expect("asked for");
        assert_eq!(hex::encode(checksum.value()), expected, "{algorithm:?}");
    }
}

#[test]
fn nothing_has_digests_too() {
    let digests = digest(b"");
    assert_eq!(hex::encode(digests.md5), "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!((digests.crc32c(), digests.crc64nvme()), (0, 0));
    let shown = digests.checksum(ChecksumAlgorithm::Crc64Nvme).map(ToString::to_string);
    assert_eq!(shown.as_deref(), Some("AAAAAAAAAAA="));
}

#[test]
fn md5_crc32c_and_crc64nvme_are_always_there_and_the_others_on_demand() {
    let mut digester = Digester::new(&[ChecksumAlgorithm::Sha1]);
    digester.update(b"a");
    let digests = digester.finish();
    for (algorithm, expected) in [
        (ChecksumAlgorithm::Crc32, false),
        (ChecksumAlgorithm::Crc32c, true),
        (ChecksumAlgorithm::Crc64Nvme, true),
        (ChecksumAlgorithm::Sha1, true),
        (ChecksumAlgorithm::Sha256, false),
    ] {
        assert_eq!(digests.checksum(algorithm).is_some(), expected, "{algorithm:?}");
    }
}

#[test]
fn a_composite_checksum_is_that_of_the_raw_values_and_counts_the_parts() {
    let parts: Vec<Checksum> = [&b"one"[..], b"two"]
        .iter()
        .map(|bytes| digest(bytes).checksum(ChecksumAlgorithm::Sha256).expect("asked for").clone())
        .collect();
    let raw = [parts[0].value(), parts[1].value()].concat();
    let expected = digest(&raw).checksum(ChecksumAlgorithm::Sha256).expect("asked for").to_string();
    assert_eq!(composite(ChecksumAlgorithm::Sha256, &parts).to_string(), format!("{expected}-2"));
}

#[test]
fn a_multipart_etag_is_the_md5_of_md5s() {
    // printf one | md5sum; printf two | md5sum; the two digests in binary | md5sum
    let parts = [digest(b"one").md5, digest(b"two").md5];
    assert_eq!(etag_of_parts(&parts).as_str(), "1397b7ee3222e3980d0d20f23a871b02-2");
}

#[test]
fn what_has_no_arithmetic_is_not_combined() {
    let digests = digest(b"bytes");
    let get = |algorithm| digests.checksum(algorithm).expect("asked for").clone();
    let sha = [(get(ChecksumAlgorithm::Sha256), 5)];
    assert_eq!(combine(ChecksumAlgorithm::Sha256, &sha), None);
    assert_eq!(combine(ChecksumAlgorithm::Crc32, &[]), None);
    assert_eq!(combine(ChecksumAlgorithm::Crc32, &[(get(ChecksumAlgorithm::Crc32c), 5)]), None);
    let of_parts = composite(ChecksumAlgorithm::Crc32, &[get(ChecksumAlgorithm::Crc32)]);
    assert_eq!(combine(ChecksumAlgorithm::Crc32, &[(of_parts, 5)]), None);
}

proptest! {
    #[test]
    fn combined_checksums_are_those_of_the_whole(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6),
    ) {
        let whole = digest(&parts.concat());
        for algorithm in
            [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme]
        {
            let of_parts: Vec<_> = parts
                .iter()
                .map(|part| {
                    let checksum = digest(part).checksum(algorithm).expect("asked for").clone();
                    (checksum, part.len() as u64)
                })
                .collect();
            let combined = combine(algorithm, &of_parts);
            prop_assert_eq!(combined.as_ref(), whole.checksum(algorithm));
        }
    }

    #[test]
    fn digests_do_not_depend_on_how_the_bytes_come(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        cut in 0..2000_usize,
    ) {
        let cut = cut.min(bytes.len());
        let mut digester = Digester::new(&ChecksumAlgorithm::ALL);
        digester.update(&bytes[..cut]);
        digester.update(&bytes[cut..]);
        prop_assert_eq!(digester.finish(), digest(&bytes));
    }
}
