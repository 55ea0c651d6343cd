//! Asking a server for its heartbeat, as a load balancer would.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;

use super::wire::{Peer, Unasked};

/// What a server said.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pub(super) status: StatusCode,
    /// The beginning of what it said.
    pub(super) text: String,
    pub(super) elapsed: Duration,
}

/// More than any heartbeat says.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Asks the server at `url`, which is known by `certificate` if it speaks TLS.
pub(super) async fn ask(
    url: &str,
    certificate: Option<&Path>,
    patience: Duration,
) -> Result<Heartbeat, Unasked> {
    let peer = Peer::new(url, certificate)?;
    let path = match peer.path() {
        "" | "/" => "/__heartbeat__",
        path => path,
    };
    let request = Request::get(path)
        .header(header::USER_AGENT, concat!("understudy-check/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|_| Unasked::Address(url.to_owned()))?;
    let started = Instant::now();
    let waited = tokio::time::timeout(patience, peer.send(request, TEXT_BYTES_MAX)).await;
    let (status, bytes) = waited.unwrap_or_else(|_| {
        let reason = format!("nothing within {} ms", patience.as_millis());
        Err(Unasked::NoAnswer { address: url.to_owned(), reason })
    })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Heartbeat { status, text, elapsed: started.elapsed() })
}
