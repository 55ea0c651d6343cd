//! `proxy`: what is passed on, how far, and when it ends.

use std::fs;

use super::hostile::{File, Gate, Hostile, Progress, Trick};
use super::http::Connection;
use super::server::Server;
use super::stage::{Face, content, get, head, read, read_with, stage, to, try_read};

/// The most memory that the server may ever have held: what streams is not kept.
const MEMORY_MAX_KIB: u64 = 96 * 1024;

/// The most that this server's process has held at once, in KiB.
pub(crate) fn memory_peak_kib(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.pid());
    let status = fs::read_to_string(path).expect("the server runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells the peak");
    let number = line.split_whitespace().nth(1).and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn ranges_and_conditions_are_upstreams_to_answer() {
    let bytes = content(1, 200_000);
    let upstream = Hostile::with([("pub/a", &bytes)]);
    let server = stage(&to(&upstream, "proxy"));
    let etag = get(&server, "pub/a").header("etag").expect("a tag").to_owned();
    upstream.take_seen();
    let other = "\"00000000000000000000000000000000\"";
    for (lines, status, range) in [
        ("Range: bytes=5-9".to_owned(), 206, Some(5..10)),
        ("Range: bytes=199990-".to_owned(), 206, Some(199_990..200_000)),
        ("Range: bytes=-7".to_owned(), 206, Some(199_993..200_000)),
        ("Range: bytes=200000-".to_owned(), 416, None),
        (format!("If-None-Match: {etag}"), 304, None),
        (format!("If-None-Match: {other}"), 200, Some(0..200_000)),
        (format!("If-Match: {other}"), 412, None),
        (format!("If-Match: {etag}"), 200, Some(0..200_000)),
        ("If-Modified-Since: Wed, 04 Nov 2020 10:00:00 GMT".to_owned(), 304, None),
        ("If-Unmodified-Since: Tue, 03 Nov 2020 10:00:00 GMT".to_owned(), 412, None),
        (format!("Range: bytes=0-0\r\nIf-Range: {etag}"), 206, Some(0..1)),
        (format!("Range: bytes=0-0\r\nIf-Range: {other}"), 200, Some(0..200_000)),
    ] {
        for face in [Face::Plain, Face::Signed, Face::Archive] {
            let answer = read_with(&server, face, "GET", "pub/a", &format!("{lines}\r\n"));
            assert_eq!(answer.status, status, "{lines} {face:?}: {answer:?}");
            let Some(range) = &range else { continue };
            assert!(answer.body == bytes[range.clone()], "{lines} {face:?}: {} bytes", answer.body.len());
            if status == 206 {
                let wanted = format!("bytes {}-{}/200000", range.start, range.end - 1);
                assert_eq!(answer.header("content-range"), Some(&*wanted), "{lines} {face:?}");
            }
            let seen = upstream.take_seen();
            let [seen] = &seen[..] else { panic!("{lines} {face:?}: {seen:?}") };
            for line in lines.split("\r\n") {
                let (name, value) = line.split_once(": ").expect("a header line");
                assert_eq!(seen.header(name), Some(value), "{lines} {face:?}");
            }
        }
        upstream.take_seen();
    }
}

#[test]
fn files_without_bytes_or_without_a_length_pass() {
    let bytes = content(2, 300_000);
    let upstream = Hostile::with([("pub/empty", &[][..]), ("pub/chunked", &bytes), ("pub/cut", &bytes)]);
    upstream.always("pub/chunked", Trick::Chunked);
    upstream.always("pub/cut", Trick::ChunkedCutAfter(200_000));
    let server = stage(&to(&upstream, "proxy"));
    for face in Face::ALL {
        let answer = read(&server, face, "GET", "pub/empty");
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{face:?}: {answer:?}");
        let answer = read(&server, face, "GET", "pub/chunked");
        assert!(answer.status == 200 && answer.body == bytes, "{face:?}: {} bytes", answer.body.len());
        let cut = try_read(&server, face, "GET", "pub/cut", "");
        assert!(cut.is_err(), "{face:?}: a body that was cut off came as a whole: {cut:?}");
    }
}

/// The client reads nothing, so upstream is not read either; then the client leaves, and upstream
/// sees its connection end.
#[test]
fn a_client_that_waits_holds_upstream_back_and_one_that_leaves_ends_the_transfer() {
    let size = 1 << 30;
    let upstream = Hostile::start();
    upstream.put("pub/huge", File::zeros(size));
    let server = stage(&to(&upstream, "proxy"));
    for face in [Face::Plain, Face::Signed, Face::Gcs, Face::Archive] {
        let mut client = Connection::open(server.address());
        let host = if face == Face::Signed { "" } else { "Host: stage\r\n" };
        let head = format!("{}{host}\r\n", head(&server, face, "GET", "pub/huge"));
        client.send(head.as_bytes()).expect("the server reads");
        let answer = client.head().expect("a head");
        assert_eq!(answer.status, 200, "{face:?}: {answer:?}");
        client.read_exact(&mut vec![1; 100_000]).expect("the body begins");
        let sent = upstream.wait_transfer("pub/huge", Progress::Blocked);
        assert!(sent < size / 8, "{face:?}: {sent} bytes were taken that nobody reads");
        drop(client);
        let sent = upstream.wait_transfer("pub/huge", Progress::Left);
        assert!(sent < size / 8, "{face:?}: {sent} bytes were sent to nobody");
        upstream.forget_transfers();
    }
    let peak = memory_peak_kib(&server);
    assert!(peak < MEMORY_MAX_KIB, "the server held {peak} KiB");
}

#[test]
fn a_gibibyte_streams_through_in_bounded_memory() {
    let size = 1 << 30;
    let upstream = Hostile::start();
    upstream.put("pub/huge", File::zeros(size));
    let server = stage(&to(&upstream, "proxy"));
    let mut client = Connection::open(server.address());
    client.send(b"GET /pub/huge HTTP/1.1\r\nHost: stage\r\n\r\n").expect("the server reads");
    assert_eq!(client.head().expect("a head").header("content-length"), Some(&*size.to_string()));
    let mut piece = vec![0; 1 << 20];
    for _ in 0..size >> 20 {
        client.read_exact(&mut piece).expect("a whole body");
        assert!(piece.iter().all(|byte| *byte == 0), "another's bytes");
    }
    let peak = memory_peak_kib(&server);
    assert!(peak < MEMORY_MAX_KIB, "the server held {peak} KiB");
}

/// What has come is passed on before the rest is there.
#[test]
fn bytes_are_passed_on_as_they_come() {
    let bytes = content(3, 1_000_000);
    let upstream = Hostile::with([("pub/a", &bytes)]);
    let gate = Gate::default();
    upstream.always("pub/a", Trick::HoldAfter(500_000, gate.clone()));
    let server = stage(&to(&upstream, "proxy"));
    let mut client = Connection::open(server.address());
    client.send(b"GET /pub/a HTTP/1.1\r\nHost: stage\r\n\r\n").expect("the server reads");
    client.head().expect("a head");
    let mut body = vec![0; bytes.len()];
    let (first, rest) = body.split_at_mut(500_000);
    client.read_exact(first).expect("the first half comes while the second is held back");
    gate.open();
    client.read_exact(rest).expect("the second half");
    assert!(body == bytes);
}

/// A body that upstream cuts off ends the client's too: it cannot be taken for a whole one.
#[test]
fn a_truncated_body_is_never_passed_off_as_whole() {
    let bytes = content(4, 1_000_000);
    let upstream = Hostile::with([("pub/a", &bytes)]);
    upstream.always("pub/a", Trick::CutAfter(700_000));
    let server = stage(&to(&upstream, "proxy"));
    for face in Face::ALL {
        let answer = try_read(&server, face, "GET", "pub/a", "");
        assert!(answer.is_err(), "{face:?}: {answer:?}");
    }
}
