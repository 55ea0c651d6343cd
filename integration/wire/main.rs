//! Requests written byte by byte over sockets: good ones that no client here sends, and bad ones of
//! every kind. Each gets an answer or a clean end, changes nothing if it is refused, and the server
//! serves on.

#[expect(dead_code, reason = "only the bench reads bodies too large to hold")]
#[path = "../harness/http.rs"]
mod http;
#[expect(dead_code, reason = "only the crash test kills its server and starts it again")]
#[path = "../harness/server.rs"]
mod server;
#[path = "../harness/sigv4.rs"]
mod sigv4;

mod bodies;
mod chunked;
mod crowd;
mod half_closed;
mod keys;
mod malformed;

use std::net::SocketAddr;

use self::server::{Server, Setup};

/// The bucket of these tests, which anybody may read and write.
const BUCKET: &str = "wire";

/// A server whose bucket needs no signature.
fn open_stage() -> Server {
    let mut setup = Setup::with_buckets(&[BUCKET]);
    setup.args.extend(["--anonymous".into(), "read-write".into()]);
    Server::start(&setup)
}

/// A server whose bucket does.
fn closed_stage() -> Server {
    Server::start(&Setup::with_buckets(&[BUCKET]))
}

/// Fails unless the server still answers, and has not met a state that its authors ruled out.
fn serves_on(server: &Server, after: &str) {
    let answer = http::get(server.address(), "/__lbheartbeat__");
    assert_eq!(answer.status, 200, "after {after}: {answer:?}");
    assert!(!server.journal().text().contains("panicked"), "after {after}");
}

/// What is stored under a key, read with a signed request.
fn stored(address: SocketAddr, key: &str) -> http::Answer {
    let signed = sigv4::Signed::new(address, "GET", &format!("/{BUCKET}/{key}"), &[], sigv4::EMPTY_SHA256);
    http::exchange(address, &signed.head, b"").expect("an answer to a GET")
}
