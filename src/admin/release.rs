//! `GET /-/api/v1/release`: what is under test.

use http::StatusCode;

use super::api::Release;
use super::response;
use crate::protocol::request::Response;
use crate::view::View;

/// The releases that are in force, whoever said them.
pub(super) fn get(view: &View) -> Response {
    let under_test = view.fallback().release().under_test.clone();
    response::json(StatusCode::OK, &Release { under_test })
}
