//! ListObjectVersions of buckets without versioning: each object is its one version, `null`. What
//! was deleted here, and what hides production's keys, is not shown.
//!
//! AWS: `ListObjectVersions`.

use crate::model::{BucketName, VersionId};
use crate::protocol::listing::{Cursor, ListQuery};
use crate::protocol::request::Response;
use crate::s3::call::Call;
use crate::s3::error::Error;
use crate::s3::{listed, request, response};

/// ListObjectVersions: pages go on by `key-marker` and `version-id-marker`.
pub(super) async fn list_object_versions(call: &Call<'_>, bucket: &BucketName) -> Result<Response, Error> {
    let encoding = request::encoding(&call.query)?;
    let text = |name| call.query.get(name).filter(|text| !text.is_empty());
    let (key_marker, version_id_marker) = (text("key-marker"), text("version-id-marker"));
    check_markers(key_marker, version_id_marker)?;
    let query = ListQuery {
        prefix: text("prefix").unwrap_or_default().to_owned(),
        delimiter: text("delimiter").map(str::to_owned),
        // A key has one version, so behind any of them is behind the key.
        start: key_marker.map(|key| Cursor::AfterKey(key.to_owned())),
        keys_max: request::count(&call.query, "max-keys", listed::KEYS_MAX)?,
    };
    let page = listed::page(call, bucket, &query).await?;
    Ok(response::xml("ListVersionsResult", |xml| {
        xml.value("Name", bucket);
        xml.value("Prefix", encoding.apply(&query.prefix));
        xml.value("KeyMarker", encoding.apply(key_marker.unwrap_or_default()));
        xml.value("VersionIdMarker", version_id_marker.unwrap_or_default());
        if let Some(next) = &page.next {
            xml.value("NextKeyMarker", encoding.apply(next.key()));
            // S3: a common prefix has no version.
            let is_key = !matches!(next, Cursor::AfterPrefix(_));
            xml.optional("NextVersionIdMarker", is_key.then_some(VersionId::Null));
        }
        xml.value("MaxKeys", query.keys_max);
        xml.optional("Delimiter", query.delimiter.as_deref().map(|delimiter| encoding.apply(delimiter)));
        xml.value("IsTruncated", page.truncated());
        xml.optional("EncodingType", encoding.name());
        for version in listed::shown(&page) {
            xml.element("Version", |xml| {
                xml.value("Key", encoding.apply(version.key));
                xml.value("VersionId", VersionId::Null);
                xml.value("IsLatest", true);
                version.write_modified(xml);
                version.write_content(xml);
                version.write_owner(xml);
                xml.value("StorageClass", "STANDARD");
            });
        }
        listed::write_common_prefixes(xml, &page, encoding);
    }))
}

/// S3: a version is one of a key, so that its marker alone means nothing.
fn check_markers(key_marker: Option<&str>, version_id_marker: Option<&str>) -> Result<(), Error> {
    let Some(marker) = version_id_marker else { return Ok(()) };
    if key_marker.is_none() {
        let words = "A version-id marker cannot be specified without a key marker.";
        return Err(Error::invalid_argument("version-id-marker", marker, words));
    }
    request::parse_version_id(marker).map(drop)
}
