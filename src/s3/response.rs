//! What answers are made of: statuses, documents and the headers that several operations send.

use std::fmt::Display;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::model::{Checksum, ETag, Owner};
use crate::protocol::body::ResponseBody;
use crate::protocol::headers;
use crate::protocol::request::Response;
use crate::xml::Writer;

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut answer = Response::new(ResponseBody::empty());
    *answer.status_mut() = status;
    answer
}

/// 200 with a document.
pub(super) fn xml(root: &str, content: impl FnOnce(&mut Writer)) -> Response {
    document(StatusCode::OK, Writer::document(root, content))
}

/// A document with a status.
pub(super) fn document(status: StatusCode, document: bytes::Bytes) -> Response {
    let mut answer = Response::new(ResponseBody::bytes(document));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

/// The same answer to a HEAD: its headers say what a GET would get, and no body follows.
///
/// A length of 0 in a 304 would be that of the object (RFC 9110 section 8.6), so it has none.
pub(super) fn without_body(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let exact =
        http_body::Body::size_hint(&body).exact().filter(|_| parts.status != StatusCode::NOT_MODIFIED);
    if let (Some(length), false) = (exact, parts.headers.contains_key(header::CONTENT_LENGTH)) {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, ResponseBody::empty())
}

/// Sets a header whose value is made of words that cannot break it.
pub(super) fn insert(headers: &mut HeaderMap, name: &'static str, value: impl Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// `ETag`.
pub(super) fn write_etag(headers: &mut HeaderMap, etag: &ETag) {
    insert(headers, "etag", etag);
}

/// The checksum and what it covers.
pub(super) fn write_checksum(headers: &mut HeaderMap, checksum: &Checksum) {
    insert(headers, checksum.algorithm().header(), checksum);
    insert(headers, "x-amz-checksum-type", checksum.kind().name());
}

/// `x-goog-hash`, for clients of Google's, whose parallel uploads compare it.
pub(super) fn write_goog_hash(
    answer: &mut HeaderMap,
    asked: &HeaderMap,
    crc32c: Option<u32>,
    md5: Option<[u8; 16]>,
) {
    let of_google = asked.keys().any(|name| name.as_str().starts_with("x-goog-"));
    if let Some(hashes) = headers::goog_hash(crc32c, md5).filter(|_| of_google) {
        insert(answer, "x-goog-hash", hashes);
    }
}

/// A checksum as an element.
pub(super) fn checksum(xml: &mut Writer, checksum: &Checksum) {
    xml.value(checksum.algorithm().element(), checksum);
}

/// The content of `Owner` and `Initiator`.
pub(super) fn owner(xml: &mut Writer, owner: &Owner) {
    xml.value("ID", &owner.id);
    xml.value("DisplayName", &owner.display_name);
}
