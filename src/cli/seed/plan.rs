//! Whether an object must be copied, and in how many pieces. Pure.
//!
//! A copy shall have the tag of what it is a copy of: release tools compare tags, and the next run
//! knows by it that nothing is to be done.

use crate::model::ETag;

/// What is known of an object before its bytes are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Its size.
    pub(super) size_bytes: u64,
    /// Its tag at the source.
    pub(super) etag: Option<ETag>,
    /// The MD5 of its bytes.
    pub(super) md5: Option<[u8; 16]>,
}

/// What the stage has under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    /// Its size.
    pub(super) size_bytes: u64,
    /// Its tag.
    pub(super) etag: ETag,
}

/// How what is there compares with what is to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the same.
    Same,
    /// It is another one.
    Different,
    /// Only the bytes can tell.
    Unknown,
}

/// How an object is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pieces {
    /// In one request.
    One,
    /// As a multipart upload with parts of this size.
    Parts(u64),
}

const MIB: u64 = 1 << 20;
/// AWS: "Amazon S3 multipart upload limits": a part but the last has at least 5 MiB.
const PART_BYTES_MIN: u64 = 5 * MIB;
/// AWS: "Uploading objects": the most bytes of a single PUT.
const ONE_BYTES_MAX: u64 = 5 << 30;
/// AWS: "Amazon S3 multipart upload limits".
const PARTS_MAX: u64 = 10_000;
/// What our own parts have, where that is enough.
const PART_BYTES: u64 = 64 * MIB;
/// What clients make parts of: the AWS CLI and boto3 first.
const USUAL: [u64; 12] = [8, 16, 5, 10, 15, 25, 32, 50, 64, 100, 128, 256];

/// Compares what is there with what is to be copied.
pub(super) fn compare(present: &Present, known: &Known) -> Verdict {
    if present.size_bytes != known.size_bytes {
        return Verdict::Different;
    }
    if known.etag.as_ref() == Some(&present.etag) {
        return Verdict::Same;
    }
    match (known.md5, parts_of(&present.etag)) {
        (Some(md5), None) if ETag::of_md5(md5) == present.etag => Verdict::Same,
        (Some(_), None) => Verdict::Different,
        (Some(_), Some(_)) | (None, _) => Verdict::Unknown,
    }
}

/// How an object is sent, so that its tag becomes what it is at the source, where that can be.
pub(super) fn pieces(known: &Known) -> Pieces {
    let size = known.size_bytes;
    let theirs = known.etag.as_ref().and_then(parts_of).and_then(|parts| part_bytes(size, parts));
    match theirs {
        Some(part_bytes) => Pieces::Parts(part_bytes),
        None if size <= ONE_BYTES_MAX => Pieces::One,
        None => Pieces::Parts(PART_BYTES.max(size.div_ceil(PARTS_MAX).next_multiple_of(MIB))),
    }
}

/// The number of parts that a tag tells of.
pub(super) fn parts_of(etag: &ETag) -> Option<u64> {
    let (digest, parts) = etag.as_str().split_once('-')?;
    let is_digest = digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.parse().ok().filter(|parts| is_digest && (1..=PARTS_MAX).contains(parts))
}

/// The size of the parts of an object that was uploaded in so many: the most usual one that fits.
pub(super) fn part_bytes(size: u64, parts: u64) -> Option<u64> {
    let fits = |bytes: &u64| bytes.checked_mul(parts).is_some() && size.div_ceil(*bytes).max(1) == parts;
    let smallest = size.div_ceil(parts).next_multiple_of(MIB).max(PART_BYTES_MIN);
    USUAL.iter().map(|mib| mib * MIB).chain([smallest]).find(fits)
}

#[cfg(test)]
mod tests {
    use super::{Known, MIB, Pieces, Present, Verdict, compare, parts_of, pieces};
    use crate::model::ETag;

    fn tag(text: &str) -> ETag {
        ETag::parse(text).expect("a tag")
    }

    fn known(size_bytes: u64, etag: Option<&str>, md5: Option<[u8; 16]>) -> Known {
        Known { size_bytes, etag: etag.map(tag), md5 }
    }

    #[test]
    fn what_is_the_same_is_known_by_size_and_tag_or_digest() {
        let md5 = "07".repeat(16);
        let parts = format!("{md5}-3");
        for (present, known, verdict) in [
            ((5, &md5), known(5, None, Some([7; 16])), Verdict::Same),
            ((5, &md5), known(5, Some(&md5), None), Verdict::Same),
            ((5, &parts), known(5, Some(&parts), None), Verdict::Same),
            ((5, &md5), known(6, Some(&md5), Some([7; 16])), Verdict::Different),
            ((5, &md5), known(5, None, Some([8; 16])), Verdict::Different),
            ((5, &md5), known(5, Some("made-up"), Some([8; 16])), Verdict::Different),
            ((5, &parts), known(5, Some(&md5), Some([7; 16])), Verdict::Unknown),
            ((5, &md5), known(5, Some("made-up"), None), Verdict::Unknown),
            ((5, &md5), known(5, None, None), Verdict::Unknown),
        ] {
            let present = Present { size_bytes: present.0, etag: tag(present.1) };
            assert_eq!(compare(&present, &known), verdict, "{present:?} {known:?}");
        }
    }

    #[test]
    fn an_object_is_sent_as_its_source_was() {
        let parts = |count: u64| format!("{}-{count}", "ab".repeat(16));
        let md5 = "ab".repeat(16);
        for (size, etag, expected) in [
            (0, None, Pieces::One),
            (5 << 30, None, Pieces::One),
            (5 << 30, Some(md5.clone()), Pieces::One),
            ((5 << 30) + 1, None, Pieces::Parts(64 * MIB)),
            (1 << 40, None, Pieces::Parts(105 * MIB)),
            (20 * MIB, Some(parts(3)), Pieces::Parts(8 * MIB)),
            (20 * MIB, Some(parts(2)), Pieces::Parts(16 * MIB)),
            (20 * MIB, Some(parts(4)), Pieces::Parts(5 * MIB)),
            (100, Some(parts(1)), Pieces::Parts(8 * MIB)),
            (0, Some(parts(1)), Pieces::Parts(8 * MIB)),
            (700 * MIB, Some(parts(100)), Pieces::Parts(7 * MIB)),
            // No part can be so small: it was not made by S3.
            (100, Some(parts(9)), Pieces::One),
        ] {
            assert_eq!(pieces(&known(size, etag.as_deref(), None)), expected, "{size} {etag:?}");
        }
    }

    #[test]
    fn a_tag_of_parts_is_no_other_tag_with_a_dash() {
        let digest = "ab".repeat(16);
        for (text, parts) in [
            (format!("{digest}-7"), Some(7)),
            (digest.clone(), None),
            (format!("{digest}-0"), None),
            (format!("{digest}-10001"), None),
            (format!("{digest}-x"), None),
            ("5f3a-10".to_owned(), None),
        ] {
            assert_eq!(parts_of(&tag(&text)), parts, "{text}");
        }
    }
}
