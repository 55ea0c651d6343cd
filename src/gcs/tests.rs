//! Requests through the face, in process, over a real store.

mod accounts;
mod elsewhere;
mod interrupted;
mod listings;
mod moves;
mod refused;
mod uploads;

use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::{Config, Inner, Service, ServiceAccounts};
use crate::clock::Clock;
use crate::fallback::Fallback;
use crate::model::{BucketName, Grant, Owner, Timestamp};
use crate::protocol::body::{BodyError, ByteCount, receive};
use crate::protocol::request::{Context, RequestId};
use crate::store::{Durability, NewBucket, Options, Store};

struct Fixture {
    service: Service,
    store: Store,
    options: Options,
    folder: tempfile::TempDir,
}

fn service_of(store: &Store, anonymous: &[&str]) -> Service {
    service_over(store, Fallback::default(), anonymous)
}

fn service_over(store: &Store, fallback: Fallback, anonymous: &[&str]) -> Service {
    service_for(store, fallback, anonymous, ServiceAccounts::none())
}

fn service_for(store: &Store, fallback: Fallback, anonymous: &[&str], accounts: ServiceAccounts) -> Service {
    Service::new(Inner {
        view: crate::view::View::over(store.clone(), fallback),
        accounts,
        anonymous: anonymous.iter().map(|grant| Grant::parse(grant).expect("a grant")).collect(),
        limits: crate::protocol::Config::for_tests(),
        config: Config::default(),
    })
}

impl Fixture {
    async fn new(anonymous: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            durability: Durability::Ephemeral,
            reserve_bytes: 0,
            clock: Clock::Fixed(Timestamp::from_seconds(1_700_000_000)),
            ..Options::new(folder.path())
        };
        let store = Store::open(options.clone()).expect("a store");
        let name = BucketName::parse("bucket").expect("a name");
        let new = NewBucket { name, region: "us".to_owned(), owner: Owner::anonymous() };
        store.create_bucket(new).await.expect("a bucket");
        Self { service: service_of(&store, anonymous), store, options, folder }
    }

    async fn open() -> Self {
        Self::new(&["read,write,list,admin:*"]).await
    }

    /// The same folder under another process.
    async fn restarted(self) -> Self {
        let Self { service, store, options, folder } = self;
        drop(service);
        store.close().await;
        drop(store);
        let store = Store::open(options.clone()).expect("a store");
        let service = service_of(&store, &["read,write,list,admin:*"]);
        Self { service, store, options, folder }
    }

    async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response<Bytes> {
        let length = body.len().to_string();
        let sent: Vec<_> = headers.iter().copied().chain([("content-length", length.as_str())]).collect();
        let body = receive(Full::new(Bytes::copy_from_slice(body)), ByteCount::default());
        self.send(line, &sent, body).await
    }

    async fn send(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: crate::protocol::body::RequestBody,
    ) -> Response<Bytes> {
        let (method, uri) = line.split_once(' ').expect("a method and a path");
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let context = Context {
            request_id: RequestId::new(7),
            scheme: http::uri::Scheme::HTTPS,
            host: "stage.example:8443".parse().expect("a host"),
            ..Context::for_tests(Timestamp::from_seconds(1_700_000_000))
        };
        let answer = self.service.call(&context, request.body(body).expect("a request")).await;
        let (parts, body) = answer.into_parts();
        Response::from_parts(parts, body.collect().await.expect("bytes").to_bytes())
    }

    /// The path and the query of a new session.
    async fn session(&self, query: &str, document: &Value) -> String {
        let line = format!("POST /upload/storage/v1/b/bucket/o?uploadType=resumable{query}");
        let answer = self.ask(&line, &[], document.to_string().as_bytes()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let location = answer.headers()["location"].to_str().expect("text").to_owned();
        location.strip_prefix("https://stage.example:8443").expect("the address that was asked").to_owned()
    }
}

fn document(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// Status and reason of a refusal.
fn refusal(answer: &Response<Bytes>) -> (u16, String) {
    let error = &document(answer)["error"];
    assert_eq!(error["code"], answer.status().as_u16());
    (answer.status().as_u16(), error["errors"][0]["reason"].as_str().expect("a reason").to_owned())
}

/// Waits for a future so often at most, then drops it. Says what it became, and after how many waits.
fn waited<T>(future: impl Future<Output = T>, at_most: usize) -> impl Future<Output = (Option<T>, usize)> {
    let mut future = Box::pin(future);
    let mut waits = 0;
    std::future::poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready((Some(value), waits)),
        Poll::Pending if waits == at_most => Poll::Ready((None, waits)),
        Poll::Pending => {
            waits += 1;
            Poll::Pending
        }
    })
}

const CHUNK: usize = 256 * 1024;

#[tokio::test]
async fn links_are_those_of_the_host_and_scheme_that_were_asked() {
    let fixture = Fixture::open().await;
    let upload = "POST /upload/storage/v1/b/bucket/o?uploadType=media&name=a%2Fb%20c";
    let object = document(&fixture.ask(upload, &[("content-type", "text/plain")], b"hello").await);
    assert_eq!(object["selfLink"], "https://stage.example:8443/storage/v1/b/bucket/o/a%2Fb%20c");
    let generation = object["generation"].as_str().expect("a number");
    let media = format!(
        "https://stage.example:8443/download/storage/v1/b/bucket/o/a%2Fb%20c?generation={generation}&alt=media"
    );
    assert_eq!(object["mediaLink"], media);
    let line = media.replace("https://stage.example:8443", "GET ");
    let bytes = fixture.ask(&line, &[], b"").await;
    assert_eq!((bytes.status(), bytes.body().as_ref()), (StatusCode::OK, &b"hello"[..]));
    assert_eq!(bytes.headers()["x-goog-hash"], "crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==");
}

#[tokio::test]
async fn acknowledged_chunks_outlive_a_restart() {
    let fixture = Fixture::open().await;
    let session = fixture.session("", &json!({"name": "a", "crc32c": "AAAAAA=="})).await;
    let put = format!("PUT {session}");
    let first = fixture.ask(&put, &[("content-range", "bytes 0-262143/*")], &vec![0; CHUNK]).await;
    assert_eq!(first.status(), StatusCode::PERMANENT_REDIRECT);
    let fixture = fixture.restarted().await;
    let how_far = fixture.ask(&put, &[("content-range", "bytes */*")], b"").await;
    assert_eq!(how_far.headers()["range"], "bytes=0-262143");
    // The digest that was given at the beginning counts at the end.
    let last = fixture.ask(&put, &[("content-range", "bytes 262144-262144/262145")], b"x").await;
    assert_eq!(refusal(&last), (400, "invalid".to_owned()));
    let after = fixture.ask(&put, &[("content-range", "bytes */*")], b"").await;
    assert_eq!(refusal(&after), (404, "notFound".to_owned()));
}

#[tokio::test]
async fn conditions_of_the_beginning_hold_at_the_end() {
    let fixture = Fixture::open().await;
    let session = fixture.session("&ifGenerationMatch=0", &json!({"name": "a"})).await;
    fixture.ask("POST /upload/storage/v1/b/bucket/o?uploadType=media&name=a", &[], b"first").await;
    let refused = fixture.ask(&format!("PUT {session}"), &[], b"second").await;
    assert_eq!(refusal(&refused), (412, "conditionNotMet".to_owned()));
    let kept = fixture.ask("GET /storage/v1/b/bucket/o/a?alt=media", &[], b"").await;
    assert_eq!(kept.body().as_ref(), b"first");
}

#[tokio::test]
async fn what_came_of_a_chunk_before_its_connection_broke_is_kept() {
    let fixture = Fixture::open().await;
    let session = fixture.session("", &json!({"name": "a"})).await;
    let put = format!("PUT {session}");
    let frames = [Ok(Bytes::from(vec![1; CHUNK])), Err(BodyError::TimedOut)];
    let body = receive(Frames(frames.into_iter().collect()), ByteCount::default());
    let range = ("content-range", "bytes 0-524287/524288");
    let broken = fixture.send(&put, &[range, ("content-length", "524288")], body).await;
    assert_eq!(refusal(&broken), (503, "uploadBrokenConnection".to_owned()));
    let how_far = fixture.ask(&put, &[("content-range", "bytes */524288")], b"").await;
    assert_eq!(how_far.headers()["range"], "bytes=0-262143");
    let done = fixture.ask(&put, &[("content-range", "bytes 262144-524287/524288")], &vec![2; CHUNK]).await;
    assert_eq!(document(&done)["size"], "524288");
}

/// A body that comes in these pieces.
struct Frames(std::collections::VecDeque<Result<Bytes, BodyError>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(self.0.pop_front().map(|piece| piece.map(Frame::data)))
    }
}

#[tokio::test]
async fn grants_decide_by_name_and_the_anonymous_are_asked_who_they_are() {
    let fixture = Fixture::new(&["read,write,list:bucket/pub/"]).await;
    for (line, allowed) in [
        ("GET /storage/v1/b/bucket", true),
        ("GET /storage/v1/b/other", false),
        ("GET /storage/v1/b/bucket/o?prefix=pub/", true),
        ("GET /storage/v1/b/bucket/o", false),
        ("POST /upload/storage/v1/b/bucket/o?uploadType=media&name=pub/a", true),
        ("POST /upload/storage/v1/b/bucket/o?uploadType=media&name=private", false),
        ("POST /upload/storage/v1/b/bucket/o?uploadType=resumable&name=private", false),
        ("POST /storage/v1/b/bucket/o/pub%2Fa/rewriteTo/b/bucket/o/pub%2Fb", true),
        ("POST /storage/v1/b/bucket/o/pub%2Fa/rewriteTo/b/bucket/o/private", false),
        ("POST /storage/v1/b/bucket/o/private/rewriteTo/b/bucket/o/pub%2Fc", false),
        ("PATCH /storage/v1/b/bucket/o/private", false),
        ("DELETE /storage/v1/b/bucket/o/private", false),
        ("POST /storage/v1/b/bucket/o/private/compose", false),
        ("DELETE /storage/v1/b/bucket", false),
        ("DELETE /storage/v1/b/bucket/o/pub%2Fa", true),
    ] {
        let answer = fixture.ask(line, &[], b"").await;
        if allowed {
            assert!(answer.status().is_success(), "{line}: {answer:?}");
        } else {
            assert_eq!(refusal(&answer), (401, "required".to_owned()), "{line}");
        }
    }
    let multipart = b"--b\r\n\r\n{\"name\": \"private\"}\r\n--b\r\n\r\nx\r\n--b--";
    let line = "POST /upload/storage/v1/b/bucket/o?uploadType=multipart";
    let answer = fixture.ask(line, &[("content-type", "multipart/related; boundary=b")], multipart).await;
    assert_eq!(refusal(&answer), (401, "required".to_owned()), "the name is in the document alone");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn refusals_have_googles_reasons() {
    let fixture = Fixture::open().await;
    let multipart = [("content-type", "multipart/related; boundary=b")];
    for (line, headers, body, status, reason) in [
        ("GET /storage/v1/b/none-such", &[][..], "", 404, "notFound"),
        ("GET /storage/v1/b/bucket/o/none", &[], "", 404, "notFound"),
        ("GET /storage/v1/b/bucket/o/none?alt=media", &[], "", 404, "notFound"),
        ("GET /storage/v1/b/bucket/o?pageToken=x", &[], "", 400, "invalidParameter"),
        ("GET /storage/v1/b/bucket/o?maxResults=x", &[], "", 400, "invalidParameter"),
        ("GET /storage/v1/b/bucket/o?matchGlob=%5B", &[], "", 400, "invalidParameter"),
        ("GET /storage/v1/b/bucket?fields=a(", &[], "", 400, "invalidParameter"),
        ("POST /storage/v1/b", &[], "{}", 400, "required"),
        ("POST /storage/v1/b", &[], "{\"name\": \"BAD\"}", 400, "invalid"),
        ("POST /storage/v1/b", &[], "{\"name\": \"bucket\"}", 409, "conflict"),
        ("POST /storage/v1/b", &[], "{", 400, "parseError"),
        ("PATCH /storage/v1/b/bucket", &[], "{\"versioning\": {\"enabled\": true}}", 400, "notImplemented"),
        ("POST /upload/storage/v1/b/bucket/o?name=a", &[], "", 400, "required"),
        ("POST /upload/storage/v1/b/bucket/o?uploadType=x", &[], "", 400, "invalidParameter"),
        ("POST /upload/storage/v1/b/bucket/o?uploadType=media", &[], "", 400, "required"),
        ("POST /upload/storage/v1/b/none-such/o?uploadType=media&name=a", &[], "", 404, "notFound"),
        ("POST /upload/storage/v1/b/bucket/o?uploadType=multipart", &[], "", 400, "badRequest"),
        (
            "POST /upload/storage/v1/b/bucket/o?uploadType=multipart",
            &multipart,
            "--b\r\n\r\n{}",
            400,
            "badRequest",
        ),
        (
            "POST /upload/storage/v1/b/bucket/o?uploadType=media&name=a&kmsKeyName=k",
            &[],
            "",
            400,
            "notImplemented",
        ),
        ("PUT /upload/storage/v1/b/bucket/o?upload_id=none&name=a", &[], "", 404, "notFound"),
        ("GET /storage/v1/b/bucket/o?filter=contexts.a:*", &[], "", 400, "notImplemented"),
        ("GET /storage/v1/b/bucket/o?softDeleted=true", &[], "", 400, "notImplemented"),
        ("GET /storage/v1/b/bucket/o/a?softDeleted=True", &[], "", 400, "notImplemented"),
        ("PATCH /storage/v1/b/bucket/o/a", &[], "{\"contexts\": {\"custom\": {}}}", 400, "notImplemented"),
        ("PATCH /storage/v1/b/bucket/o/a?predefinedAcl=publicRead", &[], "{}", 400, "invalid"),
        ("POST /upload/storage/v1/b/bucket/o?name=a&predefinedAcl=publicRead", &[], "", 400, "invalid"),
        (
            "POST /storage/v1/b/bucket/o/a/rewriteTo/b/bucket/o/b?destinationPredefinedAcl=publicRead",
            &[],
            "",
            400,
            "invalid",
        ),
        (
            "POST /storage/v1/b/bucket/o/a/copyTo/b/bucket/o/b?destinationPredefinedAcl=publicRead",
            &[],
            "",
            400,
            "invalid",
        ),
        (
            "POST /storage/v1/b/bucket/o/a/compose?destinationPredefinedAcl=publicRead",
            &[],
            "{}",
            400,
            "invalid",
        ),
        ("POST /storage/v1/b?predefinedAcl=publicRead", &[], "{\"name\": \"other\"}", 400, "invalid"),
        (
            "POST /storage/v1/b?predefinedDefaultObjectAcl=publicRead",
            &[],
            "{\"name\": \"other\"}",
            400,
            "invalid",
        ),
        (
            "POST /storage/v1/b/bucket/o/a/compose",
            &[],
            "{\"sourceObjects\": [{\"name\": \"a\"}], \"deleteSourceObjects\": true}",
            400,
            "notImplemented",
        ),
        ("GET /storage/v1/b/bucket?ifMetagenerationMatch=99", &[], "", 412, "conditionNotMet"),
        ("PATCH /storage/v1/b/bucket?ifMetagenerationMatch=99", &[], "{}", 412, "conditionNotMet"),
        ("PATCH /storage/v1/b/bucket?ifMetagenerationNotMatch=1", &[], "{}", 412, "conditionNotMet"),
        ("DELETE /storage/v1/b/bucket?ifMetagenerationMatch=99", &[], "", 412, "conditionNotMet"),
        ("DELETE /storage/v1/b/bucket?ifMetagenerationMatch=x", &[], "", 400, "invalidParameter"),
        ("DELETE /storage/v1/b/none-such?ifMetagenerationMatch=99", &[], "", 404, "notFound"),
        ("POST /storage/v1/b/bucket/o/a/compose", &[], "{\"sourceObjects\": []}", 400, "invalid"),
        (
            "POST /storage/v1/b/bucket/o/a/compose",
            &[],
            "{\"sourceObjects\": [{\"name\": \"a\"}], \"destination\": {\"name\": \"b\"}}",
            400,
            "invalid",
        ),
        (
            "POST /storage/v1/b/bucket/o/a/compose",
            &[],
            "{\"sourceObjects\": [{\"name\": \"a\"}], \"destination\": {\"storageClass\": \"NEARLINE\"}}",
            400,
            "notImplemented",
        ),
        (
            "POST /storage/v1/b/bucket/o/a/compose",
            &[],
            &format!("{{\"sourceObjects\": [{}]}}", ["{\"name\": \"a\"}"; 33].join(",")),
            400,
            "invalid",
        ),
        ("POST /batch/storage/v1", &[], "", 400, "badRequest"),
    ] {
        let answer = fixture.ask(line, headers, body.as_bytes()).await;
        assert_eq!(refusal(&answer), (status, reason.to_owned()), "{line} {body}");
    }
}

#[tokio::test]
async fn a_buckets_metageneration_is_one() {
    let fixture = Fixture::open().await;
    let bucket = document(&fixture.ask("GET /storage/v1/b/bucket?ifMetagenerationMatch=1", &[], b"").await);
    assert_eq!(bucket["metageneration"], "1");
    let same = fixture.ask("GET /storage/v1/b/bucket?ifMetagenerationNotMatch=1", &[], b"").await;
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    let gone = fixture.ask("DELETE /storage/v1/b/bucket?ifMetagenerationMatch=1", &[], b"").await;
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_batch_answers_each_call_in_its_order() {
    let fixture = Fixture::open().await;
    fixture.ask("POST /upload/storage/v1/b/bucket/o?uploadType=media&name=a", &[], b"x").await;
    let batch = "--b\r\nContent-Type: application/http\r\nContent-ID: <one+1>\r\n\r\n\
        PATCH /storage/v1/b/bucket/o/a HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n\
        {\"contentType\":\"x/new\"}\r\n\
        --b\r\nContent-Type: application/http\r\n\r\nDELETE /storage/v1/b/bucket/o/none HTTP/1.1\r\n\r\n\
        \r\n--b\r\nContent-Type: application/http\r\n\r\nPOST /batch/storage/v1 HTTP/1.1\r\n\r\n\r\n--b--";
    let headers = [("content-type", "multipart/mixed; boundary=\"b\"")];
    let answer = fixture.ask("POST /batch/storage/v1", &headers, batch.as_bytes()).await;
    let text = String::from_utf8(answer.body().to_vec()).expect("text");
    let statuses: Vec<_> = text.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
    assert_eq!(statuses, ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 400 Bad Request"], "{text}");
    assert!(text.contains("Content-ID: <response-one+1>"), "{text}");
    let object = document(&fixture.ask("GET /storage/v1/b/bucket/o/a", &[], b"").await);
    assert_eq!(object["contentType"], "x/new");
}

impl Fixture {
    /// The answer to a batch of GETs.
    async fn batch(&self, paths: &[&str]) -> String {
        let call = |path: &&str| {
            format!("--b\r\nContent-Type: application/http\r\n\r\nGET {path} HTTP/1.1\r\n\r\n\r\n")
        };
        let batch = paths.iter().map(call).collect::<Vec<_>>().concat() + "--b--";
        let headers = [("content-type", "multipart/mixed; boundary=b")];
        let answer = self.ask("POST /batch/storage/v1", &headers, batch.as_bytes()).await;
        String::from_utf8(answer.into_body().to_vec()).expect("text")
    }
}

#[tokio::test]
async fn a_batch_brings_no_bytes_of_objects() {
    let fixture = Fixture::open().await;
    fixture.ask("POST /upload/storage/v1/b/bucket/o?uploadType=media&name=a", &[], b"bytes").await;
    let media = ["alt=media", "alt=%6dedia", "x=1&alt=media"];
    let paths = media.map(|query| format!("/storage/v1/b/bucket/o/a?{query}"));
    let text = fixture.batch(&paths.each_ref().map(String::as_str)).await;
    assert_eq!(text.matches("HTTP/1.1 400 ").count(), 3, "{text}");
    let text = fixture.batch(&["/storage/v1/b/bucket/o/a?fields=name&x=alt=media"]).await;
    assert!(text.contains("HTTP/1.1 200 ") && text.contains("{\"name\":\"a\"}"), "{text}");
}

#[tokio::test]
async fn the_answers_of_a_batch_stay_within_bounds() {
    let fixture = Fixture::open().await;
    // A name of a thousand signs that are escaped in links.
    let name = "%25".repeat(1000);
    for number in 0..25 {
        let line = format!("POST /upload/storage/v1/b/bucket/o?uploadType=media&name={name}{number}");
        assert_eq!(fixture.ask(&line, &[], b"x").await.status(), StatusCode::OK);
    }
    let text = fixture.batch(&["/storage/v1/b/bucket/o"; 100]).await;
    let statuses: Vec<_> = text.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
    assert_eq!(statuses.len(), 100);
    assert_eq!((statuses[0], statuses[99]), ("HTTP/1.1 200 OK", "HTTP/1.1 400 Bad Request"));
    assert!(text.len() < 17 * 1024 * 1024, "{} bytes", text.len());
}
