//! Every face through one socket, over a store of its own.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::{Faces, Parts};
use crate::clock::Clock;
use crate::fallback::Fallback;
use crate::model::{BucketName, Grant, Owner};
use crate::protocol::auth::Credentials;
use crate::protocol::meter::{Connections, Meter};
use crate::server::{Cidr, Config, Listener};
use crate::store::{NewBucket, Options, Store};
use crate::view::View;
use crate::{admin, archive, gcs, s3};

struct Stage {
    address: SocketAddr,
    store: Store,
    _stop: oneshot::Sender<()>,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// A server on which everybody may do everything, behind a proxy on this machine.
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(Options::new(folder.path())).expect("an empty folder");
        let name = BucketName::parse("stage").expect("a name");
        let new = NewBucket { name, region: "us-east-1".to_owned(), owner: Owner::anonymous() };
        store.create_bucket(new).await.expect("a new bucket");
        let view = View::over(store.clone(), Fallback::default());
        let trees =
            vec![archive::Config::new(["archive.example".to_owned()], "/pub/", Vec::new()).expect("a tree")];
        let listener = Listener::bind(&Config::for_tests()).await.expect("a free port");
        let faces = Faces::new(Parts {
            s3: s3::Service::new(s3::Inner {
                view: view.clone(),
                credentials: Credentials::default(),
                anonymous: vec![Grant::all()],
                limits: crate::protocol::Config::for_tests(),
                config: s3::Config::default(),
            }),
            gcs: gcs::Service::new(gcs::Inner {
                view: view.clone(),
                accounts: gcs::ServiceAccounts::none(),
                anonymous: vec![Grant::all()],
                limits: crate::protocol::Config::for_tests(),
                config: gcs::Config::default(),
            }),
            archive: archive::Service::new(archive::Inner {
                view: view.clone(),
                anonymous: vec![Grant::all()],
                trees,
            }),
            admin: admin::Service::new(admin::Inner {
                view: view.clone(),
                credentials: Credentials::default(),
                meter: Meter::default(),
                limits: crate::protocol::Config::for_tests(),
                started: crate::model::Timestamp::from_seconds(1),
            }),
            view,
            archive_hosts: vec!["archive.example".to_owned()],
            trusted_proxies: vec![Cidr::parse("127.0.0.1").expect("a range")],
            limits: crate::server::Limits::default(),
            seed: 1,
            clock: Clock::System,
            meter: Meter::default(),
        });
        let address = listener.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let handler = move |arrival, request| faces.clone().answer(arrival, request);
        tokio::spawn(listener.serve(handler, Connections::default(), async {
            drop(stopped.await);
        }));
        Self { address, store, _stop: stop, _folder: folder }
    }

    /// Sends a head (and body) and gives the whole answer.
    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("the server listens");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("an answer");
        String::from_utf8(bytes).expect("UTF-8")
    }

    async fn get(&self, method: &str, host: &str, path: &str) -> String {
        self.ask(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn each_face_answers_in_its_own_words() {
    let stage = Stage::start().await;
    let put =
        "PUT /stage/pub/a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(status(&stage.ask(put).await), "200");
    for (method, host, path, expected, told) in [
        ("GET", "x", "/__lbheartbeat__", "200", "\"status\":\"ok\""),
        ("GET", "x", "/__heartbeat__", "200", "\"store\":\"ok\""),
        ("GET", "x", "/__version__", "200", concat!("\"version\":\"", env!("CARGO_PKG_VERSION"), "\"")),
        ("DELETE", "x", "/__version__", "405", "Allow: GET, HEAD"),
        ("GET", "x", "/storage/v1/b/stage", "200", "\"kind\":\"storage#bucket\""),
        ("GET", "x", "/storage/v1/b/stage/o/pub%2Fa.txt?alt=media", "200", "hello"),
        ("GET", "storage.googleapis.com", "/stage/pub/a.txt", "200", "hello"),
        ("GET", "x", "/-/metrics", "401", "WWW-Authenticate: Basic realm="),
        ("GET", "x", "//-/metrics", "404", "\"error\""),
        ("GET", "x", "/__other__", "404", "\"error\""),
        ("GET", "x", "/stage/pub/a.txt", "200", "Server: AmazonS3"),
        ("GET", "x", "/pub/a.txt", "200", "Server: understudy/"),
        ("GET", "archive.example", "/pub/a.txt", "200", "Server: understudy/"),
        ("GET", "stage.localhost", "/pub/a.txt", "200", "Server: AmazonS3"),
        ("GET", "x", "/pub/b.txt", "404", "Server: understudy/"),
        ("GET", "x", "/stage/b.txt", "404", "<Code>NoSuchKey</Code>"),
        ("HEAD", "x", "/__heartbeat__", "200", "Content-Type: application/json"),
    ] {
        let answer = stage.get(method, host, path).await;
        assert_eq!(status(&answer), expected, "{method} {host}{path}: {answer}");
        assert!(answer.contains(told), "{method} {host}{path}: {answer}");
        assert_eq!(method == "HEAD", answer.ends_with("\r\n\r\n"), "{method} {host}{path}: {answer}");
    }
}

#[tokio::test]
async fn a_request_without_one_good_host_is_400() {
    let stage = Stage::start().await;
    for request in [
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    ] {
        let answer = stage.ask(request).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("Host header"), "{answer}");
    }
}

#[tokio::test]
async fn the_host_that_a_trusted_proxy_names_is_the_one_that_counts() {
    let stage = Stage::start().await;
    for (forwarded, expected) in
        [("archive.example", "Server: understudy/"), ("b.example", "Server: AmazonS3")]
    {
        let answer = stage
            .ask(&format!(
                "GET /other/ HTTP/1.1\r\nHost: inner\r\nX-Forwarded-Host: {forwarded}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.contains(expected), "{forwarded}: {answer}");
    }
}

#[tokio::test]
async fn a_store_that_is_gone_fails_the_heartbeat_but_not_the_load_balancers() {
    let stage = Stage::start().await;
    stage.store.close().await;
    let answer = stage.get("GET", "x", "/__heartbeat__").await;
    assert!(status(&answer) == "503" && answer.contains("\"store\":\"error\""), "{answer}");
    assert_eq!(status(&stage.get("GET", "x", "/__lbheartbeat__").await), "200");
}
