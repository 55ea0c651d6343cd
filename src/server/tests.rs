//! The listener over real sockets. Nothing here depends on speed: each test waits for what the
//! server is bound to do next, and a deadline far off only ends a test that has failed.

use std::future::{Future, ready};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::patience::PatientBody;
use super::{Arrival, Config, Error, Limits, Listener, Stopped, TlsFiles};
use crate::protocol::body::{BodyError, ResponseBody};
use crate::protocol::meter::Connections;
use crate::protocol::request::Response;

/// Longest wait for anything; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// A time that passes for certain in a test that waits for it.
const SHORT: Duration = Duration::from_millis(30);

struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Stopped>,
}

impl Running {
    async fn start<H, F>(config: Config, handler: H) -> Self
    where
        H: Fn(Arrival, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = Listener::bind(&config).await.expect("a free port");
        let address = listener.address();
        let (stop, stopped) = oneshot::channel();
        let server =
            tokio::spawn(listener.serve(handler, Connections::default(), async { drop(stopped.await) }));
        Self { address, stop, server }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the server listens")
    }

    async fn stop(self) -> Stopped {
        self.stop.send(()).expect("the server waits for this");
        in_time(self.server).await.expect("the server does not panic")
    }
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("the server did not do in a minute what it must do")
}

fn limits(change: impl FnOnce(&mut Limits)) -> Config {
    let mut config = Config::for_tests();
    change(&mut config.limits);
    config
}

fn hello(_arrival: Arrival, _request: Request<Incoming>) -> std::future::Ready<Response> {
    let mut response = Response::new(ResponseBody::bytes("hello"));
    for name in ["etag", "location", "x-amz-meta-build", "x-amz-request-id"] {
        response.headers_mut().insert(name, http::HeaderValue::from_static("a"));
    }
    ready(response)
}

/// Everything that the server sends until it closes.
async fn rest<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    // A reset is an end like any other here: what was sent is what counts.
    drop(in_time(stream.read_to_end(&mut bytes)).await);
    String::from_utf8(bytes).expect("UTF-8")
}

/// One whole answer, without closing.
async fn answer<S: tokio::io::AsyncRead + Unpin>(stream: &mut S, last: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(last.as_bytes()) {
        let read = in_time(stream.read_buf(&mut bytes)).await.expect("a live connection");
        assert!(read > 0, "the server closed after {:?}", String::from_utf8_lossy(&bytes));
    }
    String::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test]
async fn header_names_go_out_in_the_case_of_s3_and_connections_are_kept() {
    let server = Running::start(Config::for_tests(), hello).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
        let text = answer(&mut stream, "hello").await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        let lines =
            ["Content-Length: 5", "ETag: a", "Location: a", "x-amz-meta-build: a", "x-amz-request-id: a"];
        for line in lines {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} in {text}");
        }
        assert!(text.contains("\r\nDate: "), "{text}");
    }
    assert_eq!(server.stop().await, Stopped { cut_off: 0 });
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_ends_the_connection() {
    let server = Running::start(limits(|limits| limits.head_timeout = SHORT), hello).await;
    for sent in ["", "GET / HTTP/1.1\r\nHo"] {
        let mut stream = server.connect().await;
        stream.write_all(sent.as_bytes()).await.expect("sent");
        assert_eq!(rest(&mut stream).await, "", "after {sent:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_what_is_too_large_is_named() {
    let server = Running::start(limits(|limits| limits.head_bytes_max = 8192), hello).await;
    let long_header = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(9000));
    let many_headers = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(200));
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000));
    for (sent, status) in [
        ("\0\u{1}\u{2}\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost a\r\n\r\n", "400"),
        ("GET / HTTP/9.1\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
        (long_header.as_str(), "431"),
        (many_headers.as_str(), "431"),
        (long_target.as_str(), "431"),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(sent.as_bytes()).await.expect("sent");
        let text = rest(&mut stream).await;
        let shown: String = sent.chars().take(60).collect();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?} got {text:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight_and_closes_idle_connections_at_once() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let handler = move |_: Arrival, _: Request<Incoming>| {
        let (arrived, gate) = (arrived.clone(), Arc::clone(&gate));
        async move {
            arrived.send(()).expect("the test waits for it");
            gate.notified().await;
            Response::new(ResponseBody::bytes("finished"))
        }
    };
    let server = Running::start(Config::for_tests(), handler).await;
    let mut idle = server.connect().await;
    go_on.notify_one();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    answer(&mut idle, "finished").await;
    in_time(arrivals.recv()).await.expect("the first request");
    let mut silent = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    in_time(arrivals.recv()).await.expect("the request in flight");

    let address = server.address;
    let stopping = tokio::spawn(server.stop());
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut silent).await, "");
    assert!(TcpStream::connect(address).await.is_err(), "a stopping server takes no more connections");
    go_on.notify_one();
    let text = rest(&mut busy).await;
    assert!(text.ends_with("finished") && text.contains("\r\nConnection: close\r\n"), "{text}");
    assert_eq!(in_time(stopping).await.expect("no panic"), Stopped { cut_off: 0 });
}

#[tokio::test]
async fn stopping_cuts_off_what_takes_longer_than_allowed() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let handler = move |_: Arrival, _: Request<Incoming>| {
        arrived.send(()).expect("the test waits for it");
        std::future::pending::<Response>()
    };
    let server = Running::start(limits(|limits| limits.stop_timeout = SHORT), handler).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    in_time(arrivals.recv()).await.expect("the request in flight");
    assert_eq!(server.stop().await, Stopped { cut_off: 1 });
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn at_the_cap_the_connection_that_was_idle_longest_makes_room() {
    let server = Running::start(limits(|limits| limits.connections_max = 1), hello).await;
    let mut kept = Vec::new();
    for _ in 0..=(2 * super::crowd::spare(1)) {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
        answer(&mut stream, "hello").await;
        kept.push(stream);
    }
    // Used again, the first is no longer the one that was idle longest.
    kept[0].write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    answer(&mut kept[0], "hello").await;
    let mut late = server.connect().await;
    late.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    answer(&mut late, "hello").await;
    assert_eq!(rest(&mut kept[1]).await, "", "the second is closed");
    for still in [0, 2] {
        kept[still].write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
        answer(&mut kept[still], "hello").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn while_transfers_wait_for_each_other_short_requests_do_not() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let handler = move |_: Arrival, request: Request<Incoming>| {
        arrived.send(()).expect("the test waits for it");
        async move {
            drop(request.into_body().collect().await);
            Response::new(ResponseBody::bytes("hello"))
        }
    };
    let server = Running::start(limits(|limits| limits.connections_max = 1), handler).await;
    let upload = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo";
    let mut first = server.connect().await;
    first.write_all(upload).await.expect("sent");
    in_time(arrivals.recv()).await.expect("the first upload");
    let mut second = server.connect().await;
    second.write_all(upload).await.expect("sent");
    let mut short = server.connect().await;
    short.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    answer(&mut short, "hello").await;
    second.write_all(b"dy").await.expect("sent");
    let mut byte = [0_u8; 1];
    let early = tokio::time::timeout(SHORT, second.peek(&mut byte)).await;
    assert!(early.is_err(), "the second was answered while the first had the only turn");
    first.write_all(b"dy").await.expect("sent");
    answer(&mut first, "hello").await;
    answer(&mut second, "hello").await;
    server.stop().await;
}

#[tokio::test]
async fn with_every_turn_taken_health_is_answered_and_others_are_told_to_slow_down() {
    let handler = |_: Arrival, request: Request<Incoming>| async move {
        if request.uri().path() != "/__lbheartbeat__" {
            std::future::pending::<()>().await;
        }
        Response::new(ResponseBody::bytes("hello"))
    };
    let short = |limits: &mut Limits| {
        limits.connections_max = 1;
        limits.stop_timeout = SHORT;
    };
    let server = Running::start(limits(short), handler).await;
    let mut asked = Vec::new();
    // All turns, then as many who wait as there is room for, then some for whom those are sent away.
    for _ in 0..1 + 2 * super::crowd::spare(1) + 4 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /a/b HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
        asked.push(stream);
    }
    let mut health = server.connect().await;
    health.write_all(b"GET /__lbheartbeat__ HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    answer(&mut health, "hello").await;
    let mut refused = 0;
    for stream in &mut asked {
        let told = tokio::time::timeout(SHORT, stream.readable()).await;
        if told.is_ok() {
            let text = rest(stream).await;
            // Its head may not have come before it had to go.
            assert!(text.is_empty() || text.contains("<Code>SlowDown</Code>"), "{text}");
            refused += 1;
        }
    }
    assert!(refused > 0, "nobody made room");
    assert!(server.stop().await.cut_off > 0);
}

#[tokio::test]
async fn a_body_that_stalls_fails_with_its_reason() {
    let (told, mut failures) = mpsc::unbounded_channel();
    let handler = move |_: Arrival, request: Request<Incoming>| {
        let told = told.clone();
        async move {
            let body = PatientBody::new(
                request.into_body(),
                limits(|limits| limits.stall_timeout = SHORT).limits.pace(),
            )
            .collect()
            .await;
            told.send(body.map(http_body_util::Collected::to_bytes)).expect("the test waits for it");
            Response::new(ResponseBody::empty())
        }
    };
    let server = Running::start(Config::for_tests(), handler).await;
    let mut whole = server.connect().await;
    whole.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody").await.expect("sent");
    assert_eq!(in_time(failures.recv()).await.expect("told").expect("a body"), "body");
    let mut stalled = server.connect().await;
    stalled.write_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo").await.expect("sent");
    let failure = in_time(failures.recv()).await.expect("told").expect_err("half a body");
    assert!(matches!(failure, BodyError::TimedOut), "{failure}");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go() {
    let handler = |_: Arrival, _: Request<Incoming>| {
        ready(Response::new(ResponseBody::bytes(vec![b'x'; 64 * 1024 * 1024])))
    };
    let server = Running::start(limits(|limits| limits.stall_timeout = SHORT), handler).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    in_time(stream.readable()).await.expect("the answer begins");
    // With nobody reading, the server can stop in good order only by giving up on this client.
    assert_eq!(server.stop().await, Stopped { cut_off: 0 });
}

#[tokio::test]
async fn an_answer_before_the_end_of_a_large_body_is_not_lost() {
    let handler = |_: Arrival, _: Request<Incoming>| {
        let mut response = Response::new(ResponseBody::bytes("refused"));
        response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
        ready(response)
    };
    let server = Running::start(Config::for_tests(), handler).await;
    let body = vec![b'x'; 32 * 1024 * 1024];
    let mut stream = server.connect().await;
    let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.expect("sent");
    in_time(stream.write_all(&body)).await.expect("the server reads on although it has answered");
    assert!(answer(&mut stream, "refused").await.starts_with("HTTP/1.1 200 "));
    drop(stream);
    server.stop().await;
}

/// A certificate for `localhost` and its key, as PEM files.
fn identity(folder: &std::path::Path) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let files = TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).expect("a writable folder");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("a writable folder");
    files
}

#[tokio::test]
async fn tls_is_spoken_with_the_configured_identity() {
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};

    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = identity(folder.path());
    let mut roots = RootCertStore::empty();
    for certificate in super::certificates(&files.certificate).expect("just written") {
        roots.add(certificate).expect("a certificate");
    }
    let scheme = |arrival: Arrival, _: Request<Incoming>| {
        ready(Response::new(ResponseBody::bytes(if arrival.tls { "secret" } else { "plain" })))
    };
    let server = Running::start(Config { tls: Some(files), ..Config::for_tests() }, scheme).await;
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = in_time(connector.connect(name, server.connect().await)).await.expect("TLS");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    answer(&mut stream, "secret").await;

    // Somebody who speaks plain HTTP to it gets no answer in the clear.
    let mut plain = server.connect().await;
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut bytes = Vec::new();
    drop(in_time(plain.read_to_end(&mut bytes)).await);
    assert!(!bytes.starts_with(b"HTTP"), "{bytes:?}");
    server.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_refused_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let refused = Listener::bind(&Config { listen: address, ..Config::default() }).await.expect_err("taken");
    let text = refused.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("--listen"), "{text}");
}

#[tokio::test]
async fn files_without_an_identity_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let good = identity(folder.path());
    let other = tempfile::tempdir().expect("a temporary folder");
    let foreign = identity(other.path());
    let empty = folder.path().join("empty.pem");
    std::fs::File::create(&empty).and_then(|mut file| file.write_all(b"nothing\n")).expect("written");
    let missing = folder.path().join("missing.pem");
    for (certificate, key, named) in [
        (&missing, &good.key, "missing.pem"),
        (&empty, &good.key, "empty.pem"),
        (&good.certificate, &empty, "empty.pem"),
        (&good.certificate, &missing, "missing.pem"),
        (&good.certificate, &foreign.key, "do not go together"),
    ] {
        let tls = Some(TlsFiles { certificate: certificate.clone(), key: key.clone() });
        let refused: Error =
            Listener::bind(&Config { tls, ..Config::for_tests() }).await.expect_err("no identity");
        assert!(refused.to_string().contains(named), "{refused}");
    }
}
