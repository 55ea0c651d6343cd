//! The case in which header names go out: `Location` and `Content-Range`, `ETag`, and
//! `x-amz-meta-build` in lower case.
//!
//! Release scripts grep for `^Location: `, so standard headers need S3's case. SDKs take the names of
//! user metadata as they stand on the wire, so those need theirs: hyper's `title_case_headers`, which
//! knows all or nothing, would turn `x-amz-meta-build` into metadata called `Build`.
//!
//! hyper writes names in a case of their own where a response carries its `HeaderCaseMap`, and makes
//! such maps while it reads requests with `preserve_header_case`. The type is private, so one map is
//! won at start by having hyper read one request over a pipe in memory.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Extensions, Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

/// Every name that does not go out in lower case. What is not listed does.
const NAMES: &[&str] = &[
    "Accept-Ranges",
    "Access-Control-Allow-Origin",
    "Allow",
    "Cache-Control",
    "Connection",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Range",
    "Content-Security-Policy",
    "Content-Type",
    "Date",
    "ETag",
    "Expires",
    "Last-Modified",
    "Location",
    "Retry-After",
    "Server",
    "Vary",
    "WWW-Authenticate",
    "X-Content-Type-Options",
];

/// What a response must carry for its names to go out in the right case.
#[derive(Debug, Clone)]
pub(super) struct WireCase(Extensions);

impl WireCase {
    /// Has hyper read the names.
    pub(super) async fn learn() -> Self {
        let learnt = Arc::new(Mutex::new(Extensions::new()));
        let keep = Arc::clone(&learnt);
        let service = service_fn(move |request: Request<Incoming>| {
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = request.extensions().clone();
            std::future::ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
        });
        let (mut client, server) = tokio::io::duplex(4096);
        let connection = http1::Builder::new()
            .preserve_header_case(true)
            .keep_alive(false)
            .serve_connection(TokioIo::new(server), service);
        // `0` is a value that every one of them may have, the length of the body among them.
        let request = format!("GET / HTTP/1.1\r\nHost: case\r\n{}: 0\r\n\r\n", NAMES.join(": 0\r\n"));
        let asked = client.write_all(request.as_bytes());
        // A pipe in memory has nothing that could fail; if it did, names would be in lower case.
        drop(tokio::join!(asked, connection));
        let learnt = learnt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self(learnt)
    }

    /// Puts a response's names into the right case.
    pub(super) fn apply<B>(&self, mut response: Response<B>) -> Response<B> {
        response.extensions_mut().extend(self.0.clone());
        response
    }
}
