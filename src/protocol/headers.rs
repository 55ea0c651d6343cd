//! Response headers of an object, the same on every face. Pure.
//!
//! AWS: "Common response headers", `GetObject`.
//!
//! Deliberately elsewhere: the `response-…` overrides, checksums and tag counts of S3.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderMap;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED,
};

use super::read::ReadPlan;
use crate::model::{Metadata, ObjectState, SystemHeader};

/// The type of an object that was stored without one.
///
/// AWS: `PutObject`, `Content-Type`.
pub const CONTENT_TYPE_DEFAULT: &str = "binary/octet-stream";

/// Writes what every answer about an object says of it: `ETag`, `Last-Modified`, `Accept-Ranges`,
/// `Content-Type` and the other standard headers that were stored with it.
pub fn write_object(headers: &mut HeaderMap, object: &ObjectState, metadata: &Metadata) {
    headers.insert(ETAG, value(&object.etag.to_string()));
    headers.insert(LAST_MODIFIED, value(&object.modified.http_date().to_string()));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_DEFAULT));
    for (header, text) in metadata.system_headers() {
        if header != SystemHeader::WebsiteRedirectLocation {
            headers.insert(HeaderName::from_static(header.name()), value(text));
        }
    }
}

/// The value of `x-goog-hash`: the digests that are known.
///
/// One value without spaces: Google's Python client reads no other form.
pub fn goog_hash(crc32c: Option<u32>, md5: Option<[u8; 16]>) -> Option<String> {
    let crc32c = crc32c.map(|crc32c| format!("crc32c={}", BASE64_STANDARD.encode(crc32c.to_be_bytes())));
    let md5 = md5.map(|md5| format!("md5={}", BASE64_STANDARD.encode(md5)));
    let hashes: Vec<String> = crc32c.into_iter().chain(md5).collect();
    (!hashes.is_empty()).then(|| hashes.join(","))
}

/// Writes what only S3's clients understand: `x-amz-meta-…` and the website redirect.
///
/// S3: entries that cannot be headers, as other protocols may have written them, are left out and counted
/// in `x-amz-missing-meta`.
pub fn write_amz_metadata(headers: &mut HeaderMap, metadata: &Metadata) {
    if let Some(location) = metadata.system(SystemHeader::WebsiteRedirectLocation) {
        headers
            .insert(HeaderName::from_static(SystemHeader::WebsiteRedirectLocation.name()), value(location));
    }
    let mut missing = 0;
    for (name, text) in metadata.user() {
        let name = HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes());
        match (name, HeaderValue::from_bytes(text.as_bytes())) {
            (Ok(name), Ok(_)) => {
                headers.insert(name, user_value(text));
            }
            _ => missing += 1,
        }
    }
    if missing > 0 {
        headers.insert(HeaderName::from_static("x-amz-missing-meta"), HeaderValue::from(missing));
    }
}

/// Writes what the plan adds: `Content-Length` and `Content-Range`, for an object of `size_bytes`.
///
/// A 304 carries no representation, so its `Content-Type` goes (RFC 9110 section 15.4.5).
pub fn write_plan(headers: &mut HeaderMap, plan: &ReadPlan, size_bytes: u64) {
    match plan {
        ReadPlan::Whole => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(size_bytes));
        }
        ReadPlan::Partial(range) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(range.len()));
            // An empty part of a multipart object has no first byte to name.
            if !range.is_empty() {
                headers.insert(CONTENT_RANGE, value(&range.content_range(size_bytes).to_string()));
            }
        }
        ReadPlan::NotModified => {
            headers.remove(CONTENT_TYPE);
        }
        ReadPlan::Unsatisfiable(unsatisfiable) => {
            headers.insert(CONTENT_RANGE, value(&format!("bytes */{}", unsatisfiable.size_bytes)));
        }
        ReadPlan::PreconditionFailed(_) => {}
    }
}

/// Values come from types whose invariant is that they can be sent; an empty one stands for the
/// impossible, since a missing header is better than no answer.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// S3: user metadata that is not ASCII comes back as an encoded word of RFC 2047.
fn user_value(text: &str) -> HeaderValue {
    if text.is_ascii() {
        value(text)
    } else {
        value(&format!("=?UTF-8?B?{}?=", BASE64_STANDARD.encode(text)))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{write_amz_metadata, write_object, write_plan};
    use crate::model::{ByteRange, ETag, Metadata, ObjectState, SystemHeader, Timestamp, Unsatisfiable};
    use crate::protocol::read::ReadPlan;

    fn object() -> ObjectState {
        ObjectState {
            etag: ETag::of_md5([0xab; 16]),
            modified: Timestamp::from_ms(1_795_209_619_789),
            size_bytes: 10,
            generation: 1,
            metageneration: 1,
        }
    }

    fn shown(headers: &HeaderMap) -> String {
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    #[test]
    fn an_object_without_metadata_has_a_type_all_the_same() {
        let mut headers = HeaderMap::new();
        write_object(&mut headers, &object(), &Metadata::default());
        write_amz_metadata(&mut headers, &Metadata::default());
        write_plan(&mut headers, &ReadPlan::Whole, 10);
        insta::assert_snapshot!(shown(&headers), @r#"
        accept-ranges: bytes
        content-length: 10
        content-type: binary/octet-stream
        etag: "abababababababababababababababab"
        last-modified: Fri, 20 Nov 2026 21:20:19 GMT
        "#);
    }

    #[test]
    fn stored_headers_come_back_and_amazons_only_where_they_are_asked_for() {
        let mut metadata = Metadata::default();
        for header in SystemHeader::ALL {
            metadata.set_system(header, &format!("stored {}", header.name())).expect("a value");
        }
        metadata.add_user("Build", "1").expect("an entry");
        metadata.add_user("name", "grün").expect("an entry");
        let mut headers = HeaderMap::new();
        write_object(&mut headers, &object(), &metadata);
        insta::assert_snapshot!(shown(&headers), @r#"
        accept-ranges: bytes
        cache-control: stored cache-control
        content-disposition: stored content-disposition
        content-encoding: stored content-encoding
        content-language: stored content-language
        content-type: stored content-type
        etag: "abababababababababababababababab"
        expires: stored expires
        last-modified: Fri, 20 Nov 2026 21:20:19 GMT
        "#);
        let mut headers = HeaderMap::new();
        write_amz_metadata(&mut headers, &metadata);
        insta::assert_snapshot!(shown(&headers), @r"
        x-amz-meta-build: 1
        x-amz-meta-name: =?UTF-8?B?Z3LDvG4=?=
        x-amz-website-redirect-location: stored x-amz-website-redirect-location
        ");
    }

    #[test]
    fn a_plan_adds_what_its_status_needs() {
        for (plan, expected) in [
            (ReadPlan::Whole, "content-length: 10\ncontent-type: a"),
            (
                ReadPlan::Partial(ByteRange { start: 2, end: 5 }),
                "content-length: 3\ncontent-range: bytes 2-4/10\ncontent-type: a",
            ),
            (ReadPlan::Partial(ByteRange { start: 0, end: 0 }), "content-length: 0\ncontent-type: a"),
            (ReadPlan::NotModified, ""),
            (ReadPlan::PreconditionFailed("If-Match"), "content-type: a"),
            (
                ReadPlan::Unsatisfiable(Unsatisfiable { size_bytes: 10 }),
                "content-range: bytes */10\ncontent-type: a",
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", "a".parse().expect("a value"));
            write_plan(&mut headers, &plan, 10);
            assert_eq!(shown(&headers), expected, "{plan:?}");
        }
    }

    #[test]
    fn metadata_that_cannot_be_headers_is_left_out_and_counted() {
        let mut metadata = Metadata::default();
        for (name, text) in [("arrow/gcsfs", "1"), ("a b", "2"), ("lines", "a\nb"), ("build", "7")] {
            metadata.set_user(name, text).expect("an entry");
        }
        let mut headers = HeaderMap::new();
        write_amz_metadata(&mut headers, &metadata);
        assert_eq!(headers["x-amz-missing-meta"], "3");
        assert_eq!(headers["x-amz-meta-build"], "7");
        assert_eq!(headers.len(), 2, "{headers:?}");
    }
}
