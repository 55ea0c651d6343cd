//! UploadPart and UploadPartCopy.

use http::StatusCode;

use super::upload_ref;
use crate::checksum::Digests;
use crate::model::{BucketName, ByteRange, ChecksumAlgorithm, ChecksumKind, ObjectKey, PartNumber};
use crate::protocol::conditions;
use crate::protocol::digest::digest;
use crate::protocol::request::Response;
use crate::s3::call::{ATTEMPTS, Call, in_the_way};
use crate::s3::error::{Code, Error};
use crate::s3::{request, response};
use crate::store::{Content, CopyPart, Object, Part, PartDigests, PutPart, Source, Upload, UploadRef};

/// AWS: a part, and so also a part that is copied, has at most 5 GiB.
const PART_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// UploadPart: stores one part, replacing an earlier one of its number.
pub(in crate::s3::op) async fn upload_part(
    mut call: Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let number = part_number(&call)?;
    let upload = upload_ref(&call, bucket, key)?;
    // Before the body is read: a part of no upload is not worth its bytes.
    let (algorithm, _) = call.store().find_upload(&upload)?.checksum.unzip();
    let received = call.receive(algorithm.as_slice()).await?;
    let declared = received.checksum.as_ref().map(crate::model::Checksum::algorithm);
    if let (Some(wanted), Some(sent)) = (algorithm, declared)
        && wanted != sent
    {
        return Err(Error::with_message(
            Code::InvalidRequest,
            format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                wanted.name().to_lowercase(),
                sent.name().to_lowercase()
            ),
        ));
    }
    let checksum = match received.checksum {
        Some(declared) => Some(declared),
        None => algorithm.and_then(|algorithm| received.staged.digests().checksum(algorithm).cloned()),
    };
    let (crc32c, md5) = (received.staged.digests().crc32c(), received.staged.digests().md5);
    // S3: a part that nobody has given a checksum is answered with its default one, which ListParts
    // does not show (versitygw issue 1547, compared with AWS).
    let default = received.staged.digests().checksum(ChecksumAlgorithm::Crc64Nvme).cloned();
    let part = call.store().put_part(PutPart { upload, number, staged: received.staged, checksum }).await?;
    let mut answer = response::empty(StatusCode::OK);
    response::write_etag(answer.headers_mut(), &part.etag);
    response::write_goog_hash(answer.headers_mut(), &call.headers, Some(crc32c), Some(md5));
    if let Some(checksum) = part.checksum.as_ref().or(default.as_ref()) {
        response::insert(answer.headers_mut(), checksum.algorithm().header(), checksum);
    }
    Ok(answer)
}

/// UploadPartCopy: a part made of a range of an object. No bytes move; they are read only where
/// their digest is not known yet, and fetched only where nobody but production has them.
pub(in crate::s3::op) async fn upload_part_copy(
    call: Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let number = part_number(&call)?;
    let source = call.copy_source()?;
    let upload = upload_ref(&call, bucket, key)?;
    let target = call.store().find_upload(&upload)?;
    let source = Source {
        bucket: source.bucket,
        key: source.key,
        version: source.version,
        conditions: conditions::of_copy_source(&call.headers),
        generation: None,
    };
    let part = copied(&call, &target, upload, number, source).await?;
    Ok(response::xml("CopyPartResult", |xml| {
        xml.value("LastModified", part.modified.iso());
        xml.value("ETag", &part.etag);
        if let Some(checksum) = &part.checksum {
            response::checksum(xml, checksum);
        }
    }))
}

/// Copies, from production too: what is only there is fetched first, and once more where it was
/// evicted or written before it was copied.
async fn copied(
    call: &Call<'_>,
    target: &Upload,
    upload: UploadRef,
    number: PartNumber,
    source: Source,
) -> Result<Part, Error> {
    for _ in 0..ATTEMPTS {
        let (object, content) = call.open_source(&source).await?;
        let source = Source { generation: Some(object.generation), ..source.clone() };
        let range = source_range(call, object.size_bytes)?;
        let digests = digests(target, &object, &content, range).await?;
        let copy = CopyPart { upload: upload.clone(), number, source, range: Some(range), digests };
        match call.store().copy_part(copy).await {
            Ok(part) => return Ok(part),
            Err(failed) if in_the_way(&failed) => {}
            Err(failed) => return Err(failed.into()),
        }
    }
    Err(Error::new(Code::OperationAborted))
}

fn part_number(call: &Call<'_>) -> Result<PartNumber, Error> {
    let text = call.query.get("partNumber").unwrap_or_default();
    PartNumber::parse(text).map_err(|reason| Error::invalid_argument("partNumber", text, reason.to_string()))
}

/// `x-amz-copy-source-range`: `bytes=first-last` only, and wholly within the source.
fn source_range(call: &Call<'_>, size_bytes: u64) -> Result<ByteRange, Error> {
    let whole = ByteRange::whole(size_bytes);
    let range = match request::text(&call.headers, "x-amz-copy-source-range") {
        None => whole,
        Some(text) => parse_source_range(text, size_bytes)?,
    };
    if range.len() > PART_BYTES_MAX {
        return Err(Error::with_message(
            Code::InvalidRequest,
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    Ok(range)
}

fn parse_source_range(text: &str, size_bytes: u64) -> Result<ByteRange, Error> {
    let malformed = || {
        Error::invalid_argument(
            "x-amz-copy-source-range",
            text,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
        )
    };
    let Some(crate::model::RangeSpec::Closed { first, last }) = crate::model::RangeSpec::parse(text) else {
        return Err(malformed());
    };
    if last >= size_bytes {
        return Err(Error::invalid_argument(
            "x-amz-copy-source-range",
            text,
            format!("Range specified is not valid for source object of size: {size_bytes}"),
        ));
    }
    Ok(ByteRange { start: first, end: last + 1 })
}

/// The digests of the copied range: looked up where they are known, read and computed otherwise.
async fn digests(
    upload: &Upload,
    object: &Object,
    content: &Content,
    range: ByteRange,
) -> Result<PartDigests, Error> {
    let algorithm = upload.checksum.map(|(algorithm, _)| algorithm);
    if range == ByteRange::whole(object.size_bytes)
        && let Some(known) = known_digests(object, algorithm)
    {
        return Ok(known);
    }
    let read: Digests = digest(content, range, algorithm.as_slice()).await?;
    Ok(PartDigests {
        checksum: algorithm.and_then(|algorithm| read.checksum(algorithm).cloned()),
        md5: read.md5,
        crc32c: Some(read.crc32c()),
        crc64nvme: Some(read.crc64nvme()),
    })
}

/// The digests of a whole object, if all that a part of this upload needs was kept with it: its MD5,
/// the upload's checksum, and the CRC64NVME that an upload without one will show.
fn known_digests(object: &Object, algorithm: Option<ChecksumAlgorithm>) -> Option<PartDigests> {
    let md5 = object.md5?;
    let wanted = algorithm.unwrap_or(ChecksumAlgorithm::Crc64Nvme);
    let shown = object.checksum.as_ref();
    let shown =
        shown.filter(|shown| shown.algorithm() == wanted && shown.kind() == ChecksumKind::FullObject)?;
    let crc64nvme = <[u8; 8]>::try_from(shown.value()).ok().map(u64::from_be_bytes);
    Some(PartDigests {
        md5,
        checksum: algorithm.map(|_| shown.clone()),
        crc32c: object.crc32c,
        crc64nvme: crc64nvme.filter(|_| wanted == ChecksumAlgorithm::Crc64Nvme),
    })
}

#[cfg(test)]
mod tests {
    use super::parse_source_range;

    #[test]
    fn source_ranges_lie_within_the_source() {
        for (text, expected) in [
            ("bytes=0-9", Some((0, 10))),
            ("bytes=3-3", Some((3, 4))),
            ("bytes=0-10", None),
            ("bytes=5-", None),
            ("bytes=-5", None),
            ("0-9", None),
            ("", None),
        ] {
            let range = parse_source_range(text, 10).ok().map(|range| (range.start, range.end));
            assert_eq!(range, expected, "{text}");
        }
    }
}
