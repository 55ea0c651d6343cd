//! ListObjects and ListObjectsV2: one listing, rendered twice.
//!
//! AWS: `ListObjects`, `ListObjectsV2`.

use crate::model::BucketName;
use crate::protocol::listing::{Cursor, ListQuery, Page};
use crate::protocol::request::Response;
use crate::s3::call::Call;
use crate::s3::error::Error;
use crate::s3::request::{self, Encoding};
use crate::s3::{listed, response};
use crate::view::Row;
use crate::xml::Writer;

/// ListObjects (V1): pages go on by `marker`.
///
/// S3: `NextMarker` is sent with a delimiter only; without one the client uses the last key.
pub(super) async fn list_objects(call: &Call<'_>, bucket: &BucketName) -> Result<Response, Error> {
    let encoding = request::encoding(&call.query)?;
    let marker = call.query.get("marker").unwrap_or_default();
    let query = query(call, (!marker.is_empty()).then(|| Cursor::AfterKey(marker.to_owned())))?;
    let page = listed::page(call, bucket, &query).await?;
    Ok(response::xml("ListBucketResult", |xml| {
        xml.value("Name", bucket);
        xml.value("Prefix", encoding.apply(&query.prefix));
        xml.value("Marker", encoding.apply(marker));
        let next = page.next.as_ref().filter(|_| query.delimiter.is_some());
        xml.optional("NextMarker", next.map(|next| encoding.apply(next.key())));
        xml.value("MaxKeys", query.keys_max);
        xml.optional("Delimiter", query.delimiter.as_deref().map(|delimiter| encoding.apply(delimiter)));
        xml.value("IsTruncated", page.truncated());
        xml.optional("EncodingType", encoding.name());
        entries(xml, &page, encoding, true);
    }))
}

/// ListObjectsV2: pages go on by an opaque token.
pub(super) async fn list_objects_v2(call: &Call<'_>, bucket: &BucketName) -> Result<Response, Error> {
    let encoding = request::encoding(&call.query)?;
    let token = call.query.get("continuation-token");
    let start_after = call.query.get("start-after").filter(|key| !key.is_empty());
    let start = match token {
        Some(token) => Some(
            Cursor::parse_token(token)
                .map_err(|reason| Error::invalid_argument("continuation-token", token, reason.to_string()))?,
        ),
        None => start_after.map(|key| Cursor::AfterKey(key.to_owned())),
    };
    let fetch_owner = call.query.get("fetch-owner") == Some("true");
    let query = query(call, start)?;
    let page = listed::page(call, bucket, &query).await?;
    Ok(response::xml("ListBucketResult", |xml| {
        xml.value("Name", bucket);
        xml.value("Prefix", encoding.apply(&query.prefix));
        xml.optional("StartAfter", start_after.map(|key| encoding.apply(key)));
        xml.optional("ContinuationToken", token);
        xml.optional("NextContinuationToken", page.next.as_ref().map(Cursor::token));
        xml.value("KeyCount", page.entries.len());
        xml.value("MaxKeys", query.keys_max);
        xml.optional("Delimiter", query.delimiter.as_deref().map(|delimiter| encoding.apply(delimiter)));
        xml.value("IsTruncated", page.truncated());
        xml.optional("EncodingType", encoding.name());
        entries(xml, &page, encoding, fetch_owner);
    }))
}

fn query(call: &Call<'_>, start: Option<Cursor>) -> Result<ListQuery, Error> {
    Ok(ListQuery {
        prefix: call.query.get("prefix").unwrap_or_default().to_owned(),
        delimiter: call.query.get("delimiter").filter(|text| !text.is_empty()).map(str::to_owned),
        start,
        keys_max: request::count(&call.query, "max-keys", listed::KEYS_MAX)?,
    })
}

fn entries(xml: &mut Writer, page: &Page<Row>, encoding: Encoding, with_owner: bool) {
    for object in listed::shown(page) {
        xml.element("Contents", |xml| {
            xml.value("Key", encoding.apply(object.key));
            object.write_modified(xml);
            object.write_content(xml);
            if with_owner {
                object.write_owner(xml);
            }
            xml.value("StorageClass", "STANDARD");
        });
    }
    listed::write_common_prefixes(xml, page, encoding);
}
