//! What answers are made of: statuses, JSON documents and headers.

use std::fmt::Display;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::fields::FieldMask;
use crate::protocol::body::ResponseBody;
use crate::protocol::request::Response;

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut answer = Response::new(ResponseBody::empty());
    *answer.status_mut() = status;
    answer
}

/// A document.
pub(super) fn json(status: StatusCode, document: &Value) -> Response {
    let mut answer = Response::new(ResponseBody::bytes(document.to_string()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, max-age=0, must-revalidate"),
    );
    answer
}

/// 200 with the part of a document that the client wants.
pub(super) fn masked(document: Value, mask: Option<&FieldMask>) -> Response {
    let document = match mask {
        Some(mask) => mask.apply(document),
        None => document,
    };
    json(StatusCode::OK, &document)
}

/// Sets a header whose value is made of words that cannot break it.
pub(super) fn insert(headers: &mut HeaderMap, name: &'static str, value: impl Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The same answer to a HEAD: its headers say what a GET would get, and no body follows.
pub(super) fn without_body(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    if let (Some(length), false) = (body.remaining(), parts.headers.contains_key(header::CONTENT_LENGTH)) {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, ResponseBody::empty())
}
