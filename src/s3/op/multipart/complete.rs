//! CompleteMultipartUpload and AbortMultipartUpload.

use http::StatusCode;

use super::upload_ref;
use crate::model::{BucketName, Checksum, ChecksumAlgorithm, ChecksumKind, ETag, ObjectKey, PartNumber};
use crate::protocol::conditions;
use crate::protocol::intake::{self, ChecksumsOf};
use crate::protocol::request::Response;
use crate::s3::call::Call;
use crate::s3::error::{Code, Error};
use crate::s3::{request, response};
use crate::store::{self, CompleteUpload, CompletedPart, UploadRef};
use crate::xml::Element;

/// CompleteMultipartUpload: the parts become the object, atomically.
pub(in crate::s3::op) async fn complete_multipart_upload(
    mut call: Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let upload = upload_ref(&call, bucket, key)?;
    let body = call.document(ChecksumsOf::Object).await?;
    let parts = parts(&Element::parse(&body, "CompleteMultipartUpload")?)?;
    check_checksums(&call, &upload, &parts)?;
    let conditions = conditions::of_write(&call.headers)?;
    let complete = CompleteUpload {
        conditions: call.check_write(&upload.bucket, &upload.key, conditions).await?,
        upload,
        parts,
        checksum: intake::checksum_header(&call.headers)?,
        size_bytes: request::multipart_size(&call.headers)?,
        md5: None,
    };
    let object = call.store().complete_upload(complete).await?;
    let location = format!("{}://{}{}", call.context.scheme, call.context.host, call.path);
    let mut answer = response::xml("CompleteMultipartUploadResult", |xml| {
        xml.value("Location", &location);
        xml.value("Bucket", object.bucket.as_str());
        xml.value("Key", object.key.as_str());
        xml.value("ETag", &object.etag);
        if let Some(checksum) = &object.checksum {
            response::checksum(xml, checksum);
            xml.value("ChecksumType", checksum.kind().name());
        }
    });
    response::write_goog_hash(answer.headers_mut(), &call.headers, object.crc32c, object.md5);
    Ok(answer)
}

/// S3: the request must be of the checksum that the upload was begun with, and a composite one is
/// made of checksums that the client vouches for, part by part.
///
/// Which checksum an upload has never changes, so this need not be part of the transaction. An
/// upload that is gone may have been completed by this very request, whose answer was lost.
fn check_checksums(call: &Call<'_>, upload: &UploadRef, parts: &[CompletedPart]) -> Result<(), Error> {
    let refused = |words| Err(Error::with_message(Code::InvalidRequest, words));
    let asked = request::checksum_kind(&call.headers)?;
    let upload = match call.store().find_upload(upload) {
        Err(store::Error::NoSuchUpload(_)) => return Ok(()),
        found => found?,
    };
    let kind = upload.checksum.map_or(ChecksumKind::FullObject, |(_, kind)| kind);
    if asked.is_some_and(|asked| asked != kind) {
        return refused(format!(
            "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
            kind.name()
        ));
    }
    let Some((algorithm, ChecksumKind::Composite)) = upload.checksum else { return Ok(()) };
    let vouched = |part: &&CompletedPart| {
        part.checksum.as_ref().is_some_and(|checksum| checksum.algorithm() == algorithm)
    };
    match parts.iter().find(|part| !vouched(part)) {
        None => Ok(()),
        Some(part) => refused(format!(
            "The upload was created using a {} checksum. The complete request must include the checksum for each part. It was missing for part {} in the request.",
            algorithm.name().to_lowercase(),
            part.number
        )),
    }
}

fn parts(document: &Element) -> Result<Vec<CompletedPart>, Error> {
    let parts = document.children_named("Part").map(part).collect::<Result<Vec<_>, _>>()?;
    let too_many = parts.len() > usize::from(PartNumber::MAX);
    if parts.is_empty() || too_many {
        return Err(Error::new(Code::MalformedXML));
    }
    Ok(parts)
}

fn part(element: &Element) -> Result<CompletedPart, Error> {
    let number = element.get("PartNumber")?.text().trim();
    let mut checksum = None;
    for algorithm in ChecksumAlgorithm::ALL {
        if let Some(value) = element.find(algorithm.element())? {
            checksum = Some(Checksum::parse(algorithm, value.text())?);
        }
    }
    Ok(CompletedPart {
        number: PartNumber::parse(number)
            .map_err(|reason| Error::invalid_argument("PartNumber", number, reason.to_string()))?,
        // A tag that no part can have is a part that is not there.
        etag: ETag::parse(element.get("ETag")?.text()).map_err(|_| Error::new(Code::InvalidPart))?,
        checksum,
    })
}

/// AbortMultipartUpload: 204, and the parts are gone.
pub(in crate::s3::op) async fn abort_multipart_upload(
    call: &Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let upload = upload_ref(call, bucket, key)?;
    call.store().abort_upload(&upload).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
