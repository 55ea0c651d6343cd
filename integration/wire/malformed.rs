//! Requests that are no HTTP, or just about: each gets a refusal or a clean end.

use super::http::Connection;
use super::server::{Server, Setup};
use super::{BUCKET, open_stage, serves_on};

/// Sends bytes, says that there are no more if `finishes`, and gives back the status of the answer,
/// if one came before the connection ended.
fn status_of(server: &Server, bytes: &[u8], finishes: bool) -> Option<u16> {
    let mut connection = Connection::open(server.address());
    let sent =
        connection.send(bytes).and_then(|()| if finishes { connection.finish_sending() } else { Ok(()) });
    match connection.answer(true) {
        Ok(answer) => Some(answer.status),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("no answer and no end: {}", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]))
        }
        Err(_) => {
            // The server may refuse and close before it has read everything.
            drop(sent);
            None
        }
    }
}

/// Heads that are wrong in themselves, without their last blank line.
const BAD_HEADS: [&str; 24] = [
    "GARBAGE",
    "GET",
    "GET /",
    "GET / HTTP/9.9\r\nHost: x",
    "GET / HTTX/1.1\r\nHost: x",
    "PRI * HTTP/2.0",
    "GET /wire/\u{0} HTTP/1.1\r\nHost: x",
    "GET /wire/key with space HTTP/1.1\r\nHost: x",
    "GET /wire/key HTTP/1.1\r\nHost: x\r\nno colon here",
    "GET /wire/key HTTP/1.1\r\nHost: x\r\nName : value",
    "GET /wire/key HTTP/1.1\r\nHost: x\r\n: no name",
    "GET /wire/key HTTP/1.1\r\nHost: x\r\nNul: a\u{0}b",
    "GET /wire/key HTTP/1.1\r\nHost: x\r\nFolded: a\r\n b",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nContent-Length: ten",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nContent-Length: -1",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nContent-Length: +5",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnot a size",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff",
    "PUT /wire/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0",
];

#[test]
fn what_is_not_http_is_refused_or_hung_up_on() {
    let server = open_stage();
    for head in BAD_HEADS {
        let status = status_of(&server, format!("{head}\r\n\r\n").as_bytes(), false);
        let refused = status.is_none_or(|status| matches!(status, 400..=499 | 501 | 505));
        assert!(refused, "{head:?} was answered with {status:?}");
        serves_on(&server, head);
    }
    let tls_hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[0x5a; 500]].concat();
    let nothing: [&[u8]; 5] = [b"", b"\r\n", b"\0\0\0\0", &tls_hello, &[0xff; 10_000]];
    for bytes in nothing {
        let status = status_of(&server, bytes, true);
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{bytes:?}: {status:?}");
        serves_on(&server, "bytes that are no request");
    }
    assert_eq!(
        super::http::get(server.address(), &format!("/{BUCKET}/key")).status,
        404,
        "nothing was stored"
    );
}

#[test]
fn heads_without_measure_are_refused() {
    let server = open_stage();
    let start = format!("GET /{BUCKET}/key HTTP/1.1\r\nHost: x\r\n");
    for (name, head) in [
        ("a long target", format!("GET /{BUCKET}/{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1 << 20))),
        ("a long header", format!("{start}X-Long: {}\r\n\r\n", "x".repeat(1 << 20))),
        ("many headers", format!("{start}{}\r\n", "X: y\r\n".repeat(100_000))),
        ("a long method", format!("{} / HTTP/1.1\r\nHost: x\r\n\r\n", "X".repeat(1 << 20))),
    ] {
        let status = status_of(&server, head.as_bytes(), false);
        let refused = status.is_none_or(|status| matches!(status, 400 | 405 | 413 | 414 | 431));
        assert!(refused, "{name} was answered with {status:?}");
        serves_on(&server, name);
    }
}

#[test]
fn a_head_that_never_ends_is_given_up_on() {
    let config = "[limits]\nhead_timeout = \"1s\"\n".to_owned();
    let server = Server::start(&Setup { config: Some(config), ..Setup::default() });
    for start in ["", "GET", "GET /wire/key HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let mut connection = Connection::open(server.address());
        connection.send(start.as_bytes()).expect("the server reads");
        // The connection stays open from here: only the server's patience can end it.
        match connection.answer(true) {
            Ok(answer) => assert_eq!(answer.status, 408, "{start:?}: {answer:?}"),
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{start:?} was waited for");
            }
        }
    }
    serves_on(&server, "slow heads");
}

#[test]
fn odd_but_lawful_requests_are_answered() {
    let server = open_stage();
    let address = server.address();
    for (request, statuses) in [
        (format!("GET /{BUCKET} HTTP/1.0\r\nHost: {address}\r\n\r\n"), &[200][..]),
        (format!("GET /{BUCKET}/none HTTP/1.0\r\n\r\n"), &[404, 400]),
        (format!("GET http://{address}/{BUCKET} HTTP/1.1\r\nHost: {address}\r\n\r\n"), &[200]),
        (format!("GET /{BUCKET} HTTP/1.1\r\nHost: other.example\r\n\r\n"), &[200, 404]),
        (format!("OPTIONS * HTTP/1.1\r\nHost: {address}\r\n\r\n"), &[200, 204, 400, 403, 405, 501]),
        (format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n"), &[400, 405, 501]),
        (format!("TRACE / HTTP/1.1\r\nHost: {address}\r\n\r\n"), &[400, 403, 405, 501]),
        (format!("BREW /{BUCKET}/pot HTTP/1.1\r\nHost: {address}\r\n\r\n"), &[400, 403, 405, 501]),
        (format!("GET /{BUCKET}?{} HTTP/1.1\r\nHost: {address}\r\n\r\n", "a&".repeat(1000)), &[200]),
    ] {
        let status = status_of(&server, request.as_bytes(), false);
        assert!(status.is_some_and(|status| statuses.contains(&status)), "{request:?}: {status:?}");
    }
    serves_on(&server, "odd requests");
}
