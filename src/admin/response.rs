//! Answers: documents that nobody may keep.

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::protocol::body::ResponseBody;
use crate::protocol::request::Response;

/// A JSON document.
///
/// # Panics
/// Never: the documents of `api` are plain data.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Response {
    let text = serde_json::to_string(document).expect("the documents of the API are plain data");
    text_of(status, "application/json", text + "\n")
}

/// Any text.
pub(super) fn text_of(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let mut response = Response::new(ResponseBody::bytes(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
