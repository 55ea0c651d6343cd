//! Buckets and objects as JSON resources. Pure.
//!
//! GCS: "Buckets resource representations", "Objects resource representations".

use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::model::{ETag, Metadata, ObjectState, SystemHeader, Timestamp};
use crate::protocol::headers::CONTENT_TYPE_DEFAULT;
use crate::protocol::request::Context;
use crate::store::{Bucket, Object};

/// What stays as it is in a path: an object's name is one segment, so a slash does not.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Nothing of a bucket ever changes that its resource shows.
pub(super) const BUCKET_METAGENERATION: u64 = 1;

/// How a client reaches us: the links of resources and of upload sessions begin with it.
#[derive(Debug, Clone)]
pub(super) struct Base(String);

impl Base {
    /// As this request did, so that it works behind names and proxies too.
    pub(super) fn of(context: &Context) -> Self {
        Self(format!("{}://{}", context.scheme, context.host))
    }

    /// The address of an object below `/storage/v1` or `/download/storage/v1`.
    pub(super) fn object(&self, root: &str, bucket: &str, name: &str) -> String {
        format!("{}{root}/b/{bucket}/o/{}", self.0, encoded(name))
    }

    /// The address of an upload session.
    pub(super) fn session(&self, bucket: &str, name: &str, upload_id: &str) -> String {
        let name = encoded(name);
        format!(
            "{}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={name}&upload_id={upload_id}",
            self.0
        )
    }

    fn bucket(&self, bucket: &str) -> String {
        format!("{}/storage/v1/b/{bucket}", self.0)
    }
}

fn encoded(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, SEGMENT)
}

/// A bucket.
pub(super) fn bucket(bucket: &Bucket, base: &Base) -> Value {
    let created = bucket.created.iso().to_string();
    let name = bucket.name.as_str();
    json!({
        "kind": "storage#bucket",
        "id": name,
        "selfLink": base.bucket(name),
        "name": name,
        "projectNumber": "0",
        "metageneration": BUCKET_METAGENERATION.to_string(),
        "generation": bucket.created.as_ms().to_string(),
        "location": bucket.region.to_ascii_uppercase(),
        "locationType": "region",
        "storageClass": "STANDARD",
        "etag": "CAE=",
        "timeCreated": created,
        "updated": created,
        "iamConfiguration": {
            "bucketPolicyOnly": { "enabled": true },
            "uniformBucketLevelAccess": { "enabled": true },
            "publicAccessPrevention": "inherited",
        },
    })
}

/// The tag of a resource: it changes with the object's bytes and with its metadata.
pub(super) fn etag(object: &Object) -> ETag {
    let text = format!("{}/{}", object.generation, object.metageneration);
    ETag::parse(&BASE64_STANDARD_NO_PAD.encode(text)).expect("base64 of some digits is visible ASCII")
}

/// What conditions of this dialect are compared with.
pub(super) fn state(object: &Object) -> ObjectState {
    ObjectState { etag: etag(object), ..object.state() }
}

/// The type of an object, the same on every face.
pub(super) fn content_type(metadata: &Metadata) -> &str {
    metadata.system(SystemHeader::ContentType).unwrap_or(CONTENT_TYPE_DEFAULT)
}

/// Base64 of an MD5.
pub(super) fn md5_text(md5: [u8; 16]) -> String {
    BASE64_STANDARD.encode(md5)
}

/// Base64 of a CRC-32C, its most significant byte first.
pub(super) fn crc32c_text(crc32c: u32) -> String {
    BASE64_STANDARD.encode(crc32c.to_be_bytes())
}

/// An object. Its digests must be known, unless nobody wants to see them.
pub(super) fn object(object: &Object, base: &Base) -> Value {
    let created = object.modified.iso().to_string();
    let (bucket, name) = (object.bucket.as_str(), object.key.as_str());
    let mut members = Map::new();
    let mut set = |name: &str, value: String| members.insert(name.to_owned(), Value::String(value));
    set("kind", "storage#object".to_owned());
    set("id", format!("{bucket}/{name}/{}", object.generation));
    set("selfLink", base.object("/storage/v1", bucket, name));
    let media = base.object("/download/storage/v1", bucket, name);
    set("mediaLink", format!("{media}?generation={}&alt=media", object.generation));
    set("name", name.to_owned());
    set("bucket", bucket.to_owned());
    set("generation", object.generation.to_string());
    set("metageneration", object.metageneration.to_string());
    set("contentType", content_type(&object.metadata).to_owned());
    set("storageClass", "STANDARD".to_owned());
    set("size", object.size_bytes.to_string());
    set("etag", etag(object).as_str().to_owned());
    set("timeCreated", created.clone());
    set("updated", object.updated.unwrap_or(object.modified).iso().to_string());
    set("timeFinalized", created.clone());
    set("timeStorageClassUpdated", created);
    if let Some(md5) = object.md5 {
        set("md5Hash", md5_text(md5));
    }
    if let Some(crc32c) = object.crc32c {
        set("crc32c", crc32c_text(crc32c));
    }
    for (name, header) in [
        ("cacheControl", SystemHeader::CacheControl),
        ("contentDisposition", SystemHeader::ContentDisposition),
        ("contentEncoding", SystemHeader::ContentEncoding),
        ("contentLanguage", SystemHeader::ContentLanguage),
    ] {
        if let Some(text) = object.metadata.system(header) {
            set(name, text.to_owned());
        }
    }
    if let Some(time) = object.metadata.custom_time() {
        set("customTime", Timestamp::iso(time).to_string());
    }
    let user: Map<_, _> = object
        .metadata
        .user()
        .map(|(name, text)| (name.to_owned(), Value::String(text.to_owned())))
        .collect();
    if !user.is_empty() {
        members.insert("metadata".to_owned(), Value::Object(user));
    }
    Value::Object(members)
}
