//! What is asked, and what answers mean.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::server::{Reply, Server, header};
use super::{bucket, bytes, client, get, get_with, headers, key, message, now, patient, plain};
use crate::fallback::ReadMethod;
use crate::model::{SecretKey, SystemHeader, Timestamp};
use crate::signature::SignedRequest;
use crate::sigv4::HeaderAuth;
use crate::upstream::{Config, Error, Hops, Read};

const FINE: &str = "ETag: \"5d41402abc4b2a76b9719d911017c592\"\r\n\
    Last-Modified: Fri, 20 Nov 2026 21:20:19 GMT\r\n\
    Content-Type: text/plain\r\n\
    x-amz-meta-Build: 7\r\n\
    Set-Cookie: secret=1\r\n\
    x-amz-request-id: 1\r\n";

#[tokio::test]
async fn a_read_brings_the_bytes_and_what_describes_them() {
    let server = Server::replies(&[Reply::answer(200, FINE, "hello")]).await;
    let client = client(patient());
    let upstream = plain(server.address);
    let answer = get(&client, &upstream).await.expect("an answer").expect("it is there");
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body.remaining(), Some(5));
    let mut names: Vec<_> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "etag", "last-modified", "x-amz-meta-build"]);
    let remote = &answer.remote;
    assert_eq!(remote.size_bytes, Some(5));
    assert_eq!(remote.modified, Timestamp::from_seconds(1_795_209_619));
    assert_eq!(remote.md5.map(hex::encode).as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(remote.metadata.system(SystemHeader::ContentType), Some("text/plain"));
    assert_eq!(remote.metadata.user().collect::<Vec<_>>(), [("build", "7")]);
    assert_eq!(bytes(Ok(Some(answer))).await.expect("whole"), "hello");
    let [health] = &client.health()[..] else { panic!("one upstream was asked") };
    assert_eq!((health.name.clone(), health.bytes, health.requests), (upstream.name(), 5, 1));
    assert_eq!((health.down, health.last_error.clone(), health.failures), (false, None, 0));
}

#[tokio::test]
async fn only_range_and_conditions_of_a_client_go_upstream() {
    let server = Server::replies(&[Reply::answer(404, "", "")]).await;
    let sent = headers(&[
        ("Authorization", "AWS4-HMAC-SHA256 Credential=client"),
        ("Cookie", "session=client"),
        ("X-Amz-Security-Token", "client"),
        ("X-Amz-Date", "20260101T000000Z"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("Host", "stage.example"),
        ("User-Agent", "client"),
        ("Accept-Encoding", "gzip"),
        ("Content-Length", "3"),
        ("Connection", "close"),
        ("Range", "bytes=1-2"),
        ("If-Match", "\"a\""),
        ("If-None-Match", "\"b\""),
        ("If-None-Match", "\"c\""),
        ("If-Modified-Since", "Fri, 20 Nov 2026 21:20:19 GMT"),
        ("If-Unmodified-Since", "Fri, 20 Nov 2026 21:20:19 GMT"),
        ("If-Range", "\"d\""),
    ]);
    let upstream = plain(server.address);
    let found = get_with(&client(patient()), &upstream, &key("a b/é?#\r\nX: y"), &sent).await;
    assert!(found.expect("an answer").is_none());
    let requests = server.requests();
    let [request] = &requests[..] else { panic!("one request") };
    assert_eq!(request.lines().next(), Some("GET /pub/a%20b/%C3%A9%3F%23%0D%0AX%3A%20y HTTP/1.1"));
    let mut names: Vec<_> =
        request.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0.to_lowercase())).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept-encoding",
            "cdn-loop",
            "host",
            "if-match",
            "if-modified-since",
            "if-none-match",
            "if-none-match",
            "if-range",
            "if-unmodified-since",
            "range",
            "user-agent",
        ]
    );
    assert_eq!(header(request, "host"), Some(server.address.to_string().as_str()));
    assert_eq!(header(request, "accept-encoding"), Some("identity"));
    assert!(header(request, "user-agent").is_some_and(|agent| agent.starts_with("understudy/")));
}

#[tokio::test]
async fn ranges_that_s3_ignores_are_not_passed_on() {
    let server = Server::replies(&[Reply::answer(200, "", "hello")]).await;
    for range in ["bytes=0-1,3-4", "items=0-1", "bytes=3-2"] {
        let asked = headers(&[("range", range)]);
        let found = get_with(&client(patient()), &plain(server.address), &key("a"), &asked).await;
        assert_eq!(bytes(found).await.expect("whole"), "hello");
    }
    assert!(server.requests().iter().all(|request| header(request, "range").is_none()));
}

#[tokio::test]
async fn requests_to_a_bucket_are_signed_with_its_keys_and_only_then() {
    let server = Server::replies(&[Reply::answer(404, "", "")]).await;
    let (client, name) = (client(patient()), key("a b/é+//~x(1)"));
    for keys in [true, false] {
        let upstream = bucket(server.address, keys);
        let found = get_with(&client, &upstream, &name, &headers(&[("range", "bytes=0-1")])).await;
        assert!(found.expect("an answer").is_none());
    }
    let requests = server.requests();
    let [signed, unsigned] = &requests[..] else { panic!("two requests") };
    assert!(header(unsigned, "authorization").is_none() && header(unsigned, "x-amz-date").is_none());
    verify(signed);
    assert!(signed.starts_with("GET /prod/a%20b/%C3%A9%2B//~x%281%29 HTTP/1.1"), "{signed}");
}

/// Checks a signature with our own verifier.
pub(super) fn verify(request: &str) {
    let mut lines = request.lines();
    let mut start = lines.next().expect("a request line").split(' ');
    let method = start.next().expect("a method").parse().expect("a method");
    let (path, query) =
        start.next().map(|target| target.split_once('?').unwrap_or((target, ""))).expect("a target");
    let pairs: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
    let headers = headers(&pairs);
    let authorization = headers["authorization"].to_str().expect("text").to_owned();
    let request =
        SignedRequest { method: &method, path, query, headers: &headers, virtual_host_bucket: None };
    let claim = HeaderAuth::read(&request, &authorization).expect("it reads");
    let secret = SecretKey::parse("correct-horse").expect("a secret");
    claim.verify(&request, &secret, now()).expect("the signature holds");
}

#[tokio::test]
async fn absent_keys_are_remembered_for_their_time() {
    for (status, ttl, expected) in [(404, super::LONG, 1), (410, super::LONG, 1), (404, Duration::ZERO, 3)] {
        let server = Server::replies(&[Reply::answer(status, "", "<Error/>")]).await;
        let client = client(Config { absent_ttl: ttl, ..patient() });
        let upstream = plain(server.address);
        assert!(get(&client, &upstream).await.expect("an answer").is_none());
        assert!(get(&client, &upstream).await.expect("an answer").is_none());
        let head = client.head(&upstream, &key("a"), &Hops::default()).await;
        assert_eq!(head.expect("an answer"), None);
        assert_eq!(server.count(), expected, "{status} {ttl:?}");
        assert_eq!(client.health()[0].failures, 0);
    }
}

#[tokio::test]
async fn heads_are_remembered_and_have_no_body() {
    let server = Server::start(|_, request| {
        assert!(request.starts_with("HEAD "), "{request}");
        Reply::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{FINE}\r\n").into_bytes())
    })
    .await;
    let client = client(Config { absent_ttl: super::LONG, ..patient() });
    let (upstream, name, hops) = (plain(server.address), key("a"), Hops::default());
    let read = Read {
        upstream: &upstream,
        key: &name,
        method: ReadMethod::Head,
        headers: &HeaderMap::new(),
        hops: &hops,
    };
    let answer = client.read(read).await.expect("an answer").expect("it is there");
    assert_eq!(answer.body.remaining(), Some(0));
    assert_eq!(answer.headers["content-length"], "5");
    assert_eq!(answer.remote.size_bytes, Some(5));
    let head = client.head(&upstream, &name, &hops).await.expect("an answer");
    assert_eq!(head, Some(answer.remote));
    assert_eq!(server.count(), 1);
    client.head(&upstream, &key("b"), &hops).await.expect("an answer");
    assert_eq!(server.count(), 2, "another key is another question");
}

#[tokio::test]
async fn answers_to_conditions_and_ranges_come_without_upstreams_own_pages() {
    let asked = [("range", "bytes=9-"), ("if-none-match", "\"a\""), ("if-match", "\"b\"")];
    for (status, extra, body) in [
        (304, "", ""),
        (412, "Content-Type: text/html\r\n", "<html>"),
        (416, "Content-Type: text/html\r\nContent-Range: bytes */5\r\n", "<html>"),
    ] {
        let server =
            Server::replies(&[Reply::answer(status, &format!("ETag: \"t\"\r\n{extra}"), body)]).await;
        let found = get_with(&client(patient()), &plain(server.address), &key("a"), &headers(&asked)).await;
        let answer = found.expect("an answer").expect("it is there");
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.body.remaining(), Some(0));
        assert_eq!(answer.headers.get("etag").map(http::HeaderValue::as_bytes), Some(&b"\"t\""[..]));
        assert!(
            !answer.headers.contains_key("content-type") && !answer.headers.contains_key("content-length")
        );
        assert_eq!(answer.remote.size_bytes, (status == 416).then_some(5));
    }
}

#[tokio::test]
async fn parts_say_how_large_the_whole_is() {
    let server =
        Server::replies(&[Reply::answer(206, "Content-Range: bytes 1-2/5\r\nETag: \"t\"\r\n", "el")]).await;
    let asked = headers(&[("range", "bytes=1-2")]);
    let found = get_with(&client(patient()), &plain(server.address), &key("a"), &asked).await;
    let answer = found.expect("an answer").expect("it is there");
    assert_eq!((answer.status, answer.remote.size_bytes), (StatusCode::PARTIAL_CONTENT, Some(5)));
    assert_eq!(answer.headers["content-range"], "bytes 1-2/5");
    assert_eq!(answer.body.remaining(), Some(2));
}

#[tokio::test]
async fn what_is_no_answer_to_the_question_is_an_error_that_names_upstream_and_status() {
    for status in [204, 206, 304, 400, 401, 403, 412, 416, 429, 500, 503] {
        let server = Server::replies(&[Reply::answer(status, "", "")]).await;
        let upstream = plain(server.address);
        let error = get(&client(patient()), &upstream).await.expect_err("it is not 404");
        let Error::Bad { upstream: name, problem } = error else { panic!("{status}: {error}") };
        assert_eq!(name, upstream.name());
        assert!(problem.contains(&status.to_string()), "{problem}");
    }
}

#[tokio::test]
async fn a_request_that_has_been_here_goes_no_further() {
    let server = Server::replies(&[Reply::answer(404, "", "")]).await;
    let (ours, other) = (client(patient()), client(patient()));
    let upstream = plain(server.address);
    assert!(get(&ours, &upstream).await.expect("an answer").is_none());
    let sent = server.requests().remove(0);
    let hops = Hops::read(&headers(&[("cdn-loop", header(&sent, "cdn-loop").expect("it says who asks"))]));

    let name = key("a");
    let read = Read {
        upstream: &upstream,
        key: &name,
        method: ReadMethod::Get,
        headers: &HeaderMap::new(),
        hops: &hops,
    };
    assert!(matches!(ours.read(read).await, Err(Error::Loop { .. })));
    assert!(matches!(ours.head(&upstream, &name, &hops).await, Err(Error::Loop { .. })));
    let ask = super::lists::ask();
    assert!(matches!(ours.list(&bucket(server.address, false), &ask, &hops).await, Err(Error::Loop { .. })));
    assert_eq!(server.count(), 1);
    assert!(other.read(read).await.expect("another stage may ask").is_none());
    let passed = server.requests().remove(1);
    let passed = header(&passed, "cdn-loop").expect("it says who asked").to_owned();
    assert!(
        passed.starts_with(header(&sent, "cdn-loop").expect("as above")) && passed.contains(", "),
        "{passed}"
    );
}

#[tokio::test]
async fn a_loop_that_upstream_finds_is_a_loop_and_not_tried_again() {
    let server = Server::replies(&[Reply::answer(508, "", "")]).await;
    let client = client(Config { retries: 3, ..patient() });
    assert!(matches!(get(&client, &plain(server.address)).await, Err(Error::Loop { .. })));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn keys_that_no_address_names_are_not_asked_for() {
    let server = Server::replies(&[Reply::answer(200, "", "")]).await;
    let found = get_with(&client(patient()), &plain(server.address), &key("../x"), &HeaderMap::new()).await;
    assert!(matches!(found, Err(Error::NotMappable(_))));
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_host_that_is_not_there_is_an_error_that_says_so() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let told = message(get(&client(patient()), &plain(address)).await);
    assert!(told.contains("cannot be connected to: Connection refused"), "{told}");
}

#[tokio::test]
async fn secrets_are_in_no_debug_text() {
    let server = Server::replies(&[Reply::answer(403, "", "")]).await;
    let client = client(patient());
    let upstream = bucket(server.address, true);
    let error = get(&client, &upstream).await.expect_err("forbidden");
    let told = format!("{client:?} {upstream:?} {error:?} {error} {:?}", client.health());
    assert!(!told.contains("correct-horse"), "{told}");
    assert!(!told.contains("Signature="), "{told}");
}
