//! What the listings of objects share: a page of a bucket, and how its rows are written.

use super::call::Call;
use super::error::Error;
use super::request::Encoding;
use super::response;
use crate::model::{BucketName, ChecksumAlgorithm, ChecksumKind, ETag, Owner, Timestamp};
use crate::protocol::listing::{self, ListQuery, Page};
use crate::view::Row;
use crate::xml::Writer;

/// AWS: `max-keys`: "The action returns up to 1,000 key names".
pub(super) const KEYS_MAX: usize = 1000;

/// An object of a listing, wherever it is.
pub(super) struct Shown<'row> {
    pub(super) key: &'row str,
    modified: Timestamp,
    etag: Option<&'row ETag>,
    checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    size_bytes: u64,
    owner: Option<&'row Owner>,
}

/// A page of what is in a bucket, production's objects included where its rules list them.
pub(super) async fn page(
    call: &Call<'_>,
    bucket: &BucketName,
    query: &ListQuery,
) -> Result<Page<Row>, Error> {
    call.bucket_exists(bucket)?;
    Ok(listing::objects(call.view(), bucket, query, &call.context.hops).await?)
}

/// The objects of a page.
pub(super) fn shown(page: &Page<Row>) -> impl Iterator<Item = Shown<'_>> {
    page.rows().filter_map(|row| match row {
        Row::Here(listed) => Some(Shown {
            key: listed.key.as_str(),
            modified: listed.modified,
            etag: listed.etag.as_ref(),
            checksum: listed.checksum,
            size_bytes: listed.size_bytes,
            owner: Some(&listed.owner),
        }),
        Row::Upstream(remote) => Some(Shown {
            key: remote.key.as_str(),
            modified: remote.modified,
            etag: Some(&remote.etag),
            checksum: None,
            size_bytes: remote.size_bytes.unwrap_or(0),
            owner: None,
        }),
        // The pager has made a common prefix of it.
        Row::Rolled(_) => None,
    })
}

impl Shown<'_> {
    /// `ETag`, its checksum and `Size`.
    pub(super) fn write_content(&self, xml: &mut Writer) {
        xml.optional("ETag", self.etag);
        if let Some((algorithm, kind)) = self.checksum {
            xml.value("ChecksumAlgorithm", algorithm.name());
            xml.value("ChecksumType", kind.name());
        }
        xml.value("Size", self.size_bytes);
    }

    /// `LastModified`.
    pub(super) fn write_modified(&self, xml: &mut Writer) {
        xml.value("LastModified", self.modified.iso());
    }

    /// `Owner`. Whose production's objects are nobody here knows.
    pub(super) fn write_owner(&self, xml: &mut Writer) {
        match self.owner {
            Some(owner) => xml.element("Owner", |xml| response::owner(xml, owner)),
            None => xml.element("Owner", |xml| response::owner(xml, &Owner::anonymous())),
        }
    }
}

/// `CommonPrefixes`, each on its own.
pub(super) fn write_common_prefixes(xml: &mut Writer, page: &Page<Row>, encoding: Encoding) {
    for prefix in page.common_prefixes() {
        xml.element("CommonPrefixes", |xml| xml.value("Prefix", encoding.apply(prefix)));
    }
}
