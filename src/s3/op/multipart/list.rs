//! ListParts and ListMultipartUploads.
//!
//! AWS: the actions of these names.

use super::upload_ref;
use crate::model::{BucketName, ObjectKey, PartNumber, UploadId};
use crate::protocol::listing::{self, Cursor, ListQuery};
use crate::protocol::request::Response;
use crate::s3::call::Call;
use crate::s3::error::Error;
use crate::s3::{request, response};

/// AWS: `ListParts`, `max-parts`: at most 1,000.
const PARTS_MAX: usize = 1000;

/// ListParts: in order of their numbers.
pub(in crate::s3::op) fn list_parts(
    call: &Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let upload_ref = upload_ref(call, bucket, key)?;
    let upload = call.store().find_upload(&upload_ref)?;
    let parts_max = request::count(&call.query, "max-parts", PARTS_MAX)?;
    let marker = request::count(&call.query, "part-number-marker", usize::from(PartNumber::MAX))
        .map(|marker| if call.query.has("part-number-marker") { marker } else { 0 })?;
    let after = u16::try_from(marker).ok().and_then(|marker| PartNumber::new(marker).ok());
    let mut parts = call.store().list_parts(&upload_ref, after, parts_max + 1)?;
    // As of a listing of keys: a page of nothing leads nowhere, so a client that went on would never end.
    let truncated = parts_max > 0 && parts.len() > parts_max;
    parts.truncate(parts_max);
    let encoding = request::encoding(&call.query)?;
    Ok(response::xml("ListPartsResult", |xml| {
        xml.value("Bucket", upload.bucket.as_str());
        xml.value("Key", encoding.apply(upload.key.as_str()));
        xml.value("UploadId", upload.id.as_str());
        xml.element("Initiator", |xml| response::owner(xml, &upload.owner));
        xml.element("Owner", |xml| response::owner(xml, &upload.owner));
        xml.value("StorageClass", "STANDARD");
        xml.value("PartNumberMarker", marker);
        let next = parts.last().map_or(marker, |part| usize::from(part.number.get()));
        xml.value("NextPartNumberMarker", next);
        xml.value("MaxParts", parts_max);
        xml.value("IsTruncated", if truncated { "true" } else { "false" });
        if let Some((algorithm, kind)) = upload.checksum {
            xml.value("ChecksumAlgorithm", algorithm.name());
            xml.value("ChecksumType", kind.name());
        }
        for part in &parts {
            xml.element("Part", |xml| {
                xml.value("PartNumber", part.number);
                xml.value("LastModified", part.modified.iso());
                xml.value("ETag", &part.etag);
                xml.value("Size", part.size_bytes);
                if let Some(checksum) = &part.checksum {
                    response::checksum(xml, checksum);
                }
            });
        }
    }))
}

/// AWS: `ListMultipartUploads`, `max-uploads`: at most 1,000.
const UPLOADS_MAX: usize = 1000;

/// ListMultipartUploads: by key, then by upload.
pub(in crate::s3::op) async fn list_multipart_uploads(
    call: &Call<'_>,
    bucket: &BucketName,
) -> Result<Response, Error> {
    call.bucket_exists(bucket)?;
    let encoding = request::encoding(&call.query)?;
    let text = |name| call.query.get(name).filter(|text| !text.is_empty());
    let (key_marker, upload_id_marker) = (text("key-marker"), text("upload-id-marker"));
    let query = ListQuery {
        prefix: text("prefix").unwrap_or_default().to_owned(),
        delimiter: text("delimiter").map(str::to_owned),
        start: start(key_marker, upload_id_marker)?,
        keys_max: request::count(&call.query, "max-uploads", UPLOADS_MAX)?,
    };
    let page = listing::page(&query, |window| call.store().scan_uploads(bucket, &window.uploads())).await?;
    Ok(response::xml("ListMultipartUploadsResult", |xml| {
        xml.value("Bucket", bucket);
        xml.value("KeyMarker", encoding.apply(key_marker.unwrap_or_default()));
        xml.value("UploadIdMarker", upload_id_marker.unwrap_or_default());
        if let Some(next) = &page.next {
            xml.value("NextKeyMarker", encoding.apply(next.key()));
            xml.optional("NextUploadIdMarker", next.upload_id());
        }
        xml.value("Prefix", encoding.apply(&query.prefix));
        xml.optional("Delimiter", query.delimiter.as_deref().map(|delimiter| encoding.apply(delimiter)));
        xml.optional("EncodingType", encoding.name());
        xml.value("MaxUploads", query.keys_max);
        xml.value("IsTruncated", page.truncated());
        for upload in page.rows() {
            xml.element("Upload", |xml| {
                xml.value("Key", encoding.apply(upload.key.as_str()));
                xml.value("UploadId", &upload.id);
                xml.element("Initiator", |xml| response::owner(xml, &upload.owner));
                xml.element("Owner", |xml| response::owner(xml, &upload.owner));
                xml.value("StorageClass", "STANDARD");
                xml.value("Initiated", upload.initiated.iso());
                if let Some((algorithm, kind)) = upload.checksum {
                    xml.value("ChecksumAlgorithm", algorithm.name());
                    xml.value("ChecksumType", kind.name());
                }
            });
        }
        for prefix in page.common_prefixes() {
            xml.element("CommonPrefixes", |xml| xml.value("Prefix", encoding.apply(prefix)));
        }
    }))
}

/// AWS: `upload-id-marker` is ignored without `key-marker`; with it, the uploads of that very key
/// that come behind the marker are listed too.
fn start(key_marker: Option<&str>, upload_id_marker: Option<&str>) -> Result<Option<Cursor>, Error> {
    Ok(match (key_marker, upload_id_marker) {
        (None, _) => None,
        (Some(key), None) => Some(Cursor::AfterKey(key.to_owned())),
        (Some(key), Some(id)) => {
            let id = UploadId::parse(id)
                .map_err(|reason| Error::invalid_argument("upload-id-marker", id, reason.to_string()))?;
            Some(Cursor::AfterUpload(key.to_owned(), id))
        }
    })
}
