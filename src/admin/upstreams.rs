//! `GET /-/api/v1/upstreams`: how production is.

use http::StatusCode;

use super::api::{UpstreamHealth, Upstreams};
use super::response;
use crate::protocol::request::Response;
use crate::upstream::Health;
use crate::view::View;

/// Every upstream that was asked so far.
pub(super) fn list(view: &View) -> Response {
    let upstreams = view.upstream().health().into_iter().map(described).collect();
    response::json(StatusCode::OK, &Upstreams { upstreams })
}

fn described(health: Health) -> UpstreamHealth {
    let Health { name, down, last_error, requests, failures, bytes } = health;
    UpstreamHealth { name, down, last_error, requests, failures, bytes }
}
