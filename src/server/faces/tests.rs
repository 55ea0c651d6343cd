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
use crate::protocol::browser::Names;
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
        Self::with(Names::default(), vec![Cidr::parse("127.0.0.1").expect("a range")]).await
    }

    /// A server that browsers on this machine reach by these names.
    async fn with(names: Names, trusted_proxies: Vec<Cidr>) -> Self {
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
            names,
            trusted_proxies,
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
async fn a_weak_tag_revalidates_on_every_face_and_protects_on_none() {
    let stage = Stage::start().await;
    let put =
        "PUT /stage/pub/a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(status(&stage.ask(put).await), "200");
    for (host, path) in [
        ("x", "/stage/pub/a.txt"),
        ("x", "/pub/a.txt"),
        ("archive.example", "/pub/a.txt"),
        ("x", "/storage/v1/b/stage/o/pub%2Fa.txt?alt=media"),
        ("x", "/download/storage/v1/b/stage/o/pub%2Fa.txt?alt=media"),
    ] {
        let answer = stage.get("GET", host, path).await;
        let etag = answer.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("an ETag").to_owned();
        for (headers, expected) in [
            (format!("If-None-Match: W/{etag}"), "304"),
            (format!("If-None-Match: \"other\", W/{etag}"), "304"),
            ("If-None-Match: W/\"other\"".to_owned(), "200"),
            (format!("If-Match: {etag}"), "200"),
            (format!("If-Match: W/{etag}"), "412"),
            (format!("Range: bytes=0-0\r\nIf-Range: {etag}"), "206"),
            (format!("Range: bytes=0-0\r\nIf-Range: W/{etag}"), "200"),
        ] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n\r\n");
            let answer = stage.ask(&request).await;
            assert_eq!(status(&answer), expected, "{host}{path} {headers}: {answer}");
        }
    }
}

#[tokio::test]
async fn every_405_says_which_other_methods_there_are() {
    let stage = Stage::start().await;
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];
    let mut refused = 0;
    for (host, path) in [
        ("x", "/"),
        ("x", "/stage"),
        ("x", "/stage?acl"),
        ("x", "/stage?location"),
        ("x", "/stage/key"),
        ("x", "/stage/key?uploads"),
        ("x", "/stage/key?tagging"),
        ("stage.localhost", "/key"),
        ("x", "/storage/v1/b"),
        ("x", "/storage/v1/b/stage"),
        ("x", "/storage/v1/b/stage/o"),
        ("x", "/storage/v1/b/stage/o/key"),
        ("x", "/upload/storage/v1/b/stage/o"),
        ("x", "/batch/storage/v1"),
        ("x", "/__gcs__/token"),
        ("x", "/pub/key"),
        ("archive.example", "/pub/key"),
        ("x", "/__version__"),
        ("x", "/__heartbeat__"),
        ("x", "/-/metrics"),
        ("x", "/-/api/v1/snapshots"),
    ] {
        for method in methods {
            let answer = stage.get(method, host, path).await;
            if status(&answer) != "405" {
                continue;
            }
            refused += 1;
            let allow = answer.lines().find_map(|line| line.strip_prefix("Allow: "));
            let allow = allow.unwrap_or_else(|| panic!("{method} {host}{path}: {answer}"));
            let allowed: Vec<_> = allow.split(", ").collect();
            assert!(!allowed.contains(&method), "{method} {host}{path}: {allow}");
            assert!(allowed.iter().all(|name| methods.contains(name)), "{method} {host}{path}: {allow}");
            for name in allowed {
                let other = stage.get(name, host, path).await;
                assert_ne!(status(&other), "405", "{method} {host}{path} allows {name}: {other}");
            }
        }
    }
    assert!(refused > 50, "only {refused} requests were refused");
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

/// A request with a head of these lines, and a body.
fn request(line: &str, host: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers = headers.collect::<Vec<_>>().concat();
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_page_of_another_site_writes_to_no_face() {
    let stage = Stage::with(Names::default(), Vec::new()).await;
    let put = request("PUT /stage/kept", "localhost", &[], "kept");
    assert_eq!(status(&stage.ask(&put).await), "200");
    let insert = "POST /upload/storage/v1/b/stage/o?uploadType=media&name=kept";
    let batch = "--b\r\nContent-Type: application/http\r\n\r\nDELETE /storage/v1/b/stage/o/kept HTTP/1.1\r\n\r\n\r\n--b--\r\n";
    for page in
        [("Origin", "https://elsewhere.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
    {
        for (line, kind, body, told) in [
            ("PUT /stage/kept", "text/plain", "changed", "<Code>AccessDenied</Code>"),
            ("POST /stage?delete", "text/plain", "<Delete/>", "<Code>AccessDenied</Code>"),
            ("DELETE /stage/kept", "text/plain", "", "<Code>AccessDenied</Code>"),
            (insert, "text/plain", "changed", "\"reason\":\"forbidden\""),
            ("POST /batch/storage/v1", "multipart/form-data; boundary=b", batch, "\"reason\":\"forbidden\""),
            ("POST /storage/v1/b/stage/o/kept/rewriteTo/b/stage/o/k", "text/plain", "", "forbidden"),
            ("POST /storage/v1/b/stage/o/kept/compose", "text/plain", "{}", "forbidden"),
            ("POST /-/api/v1/snapshots", "text/plain", "{}", "\"error\""),
        ] {
            let answer = stage.ask(&request(line, "localhost", &[page, ("Content-Type", kind)], body)).await;
            assert_eq!(status(&answer), "403", "{line} {page:?}: {answer}");
            assert!(answer.contains(told), "{line}: {answer}");
            assert!(answer.contains("another site"), "{line}: {answer}");
        }
    }
    assert!(stage.get("GET", "localhost", "/stage/kept").await.ends_with("\r\n\r\nkept"));
}

#[tokio::test]
async fn a_name_that_an_attacker_rebinds_reads_nothing() {
    let stage = Stage::with(Names::default(), Vec::new()).await;
    let put = request("PUT /stage/pub/a", "localhost", &[], "private");
    assert_eq!(status(&stage.ask(&put).await), "200");
    for path in ["/stage/pub/a", "/pub/a", "/pub/", "/storage/v1/b/stage/o", "/", "/-/metrics"] {
        let answer = stage.get("GET", "rebound.attacker.dev:8000", path).await;
        assert!(status(&answer) == "403" && answer.contains("server.hosts"), "{path}: {answer}");
    }
    for path in ["/stage/pub/a", "/pub/a", "/pub/", "/storage/v1/b/stage/o", "/", "/-/metrics"] {
        let no_credential = [("Authorization", "Bearer x")];
        let head = request(&format!("GET {path}"), "rebound.attacker.dev:8000", &no_credential, "");
        let answer = stage.ask(&head).await;
        assert_ne!(status(&answer), "200", "{path}: {answer}");
    }
    for path in ["/__lbheartbeat__", "/__heartbeat__", "/__version__"] {
        let answer = stage.get("GET", "rebound.attacker.dev:8000", path).await;
        assert_eq!(status(&answer), "200", "load balancers ask by any name: {path}");
    }
    let known = Names { hosts: vec!["stage.mozilla.dev".to_owned()], ..Names::default() };
    let stage = Stage::with(known, Vec::new()).await;
    assert_eq!(status(&stage.get("GET", "stage.mozilla.dev", "/stage").await), "200");
    assert_eq!(status(&stage.get("GET", "other.mozilla.dev", "/stage").await), "403");
}

#[tokio::test]
async fn what_is_stored_acts_for_nobody_when_a_browser_shows_it() {
    let names = Names { websites: vec!["site.example".to_owned()], ..Names::default() };
    let stage = Stage::with(names, Vec::new()).await;
    let html = [("Content-Type", "text/html")];
    let put = request("PUT /stage/pub/a.html", "localhost", &html, "<script>steal()</script>");
    assert_eq!(status(&stage.ask(&put).await), "200");
    for path in ["/stage/pub/a.html", "/pub/a.html", "/storage/v1/b/stage/o/pub%2Fa.html?alt=media"] {
        for method in ["GET", "HEAD"] {
            let answer = stage.get(method, "localhost", path).await;
            assert!(answer.contains("Content-Security-Policy: sandbox\r\n"), "{method} {path}: {answer}");
            assert!(answer.contains("X-Content-Type-Options: nosniff\r\n"), "{method} {path}: {answer}");
        }
    }
    let index = stage.get("GET", "localhost", "/pub/").await;
    assert!(index.contains("Content-Security-Policy: default-src 'none'"), "{index}");
    let website = stage.get("GET", "site.example", "/pub/a.html").await;
    assert!(status(&website) == "200" && !website.contains("Content-Security-Policy"), "{website}");
    assert_eq!(status(&stage.get("GET", "site.example", "/-/metrics").await), "404");
    let own = [("Sec-Fetch-Site", "same-origin")];
    let write = stage.ask(&request("PUT /stage/pub/a.html", "site.example", &own, "")).await;
    assert!(status(&write) == "403" && write.contains("website_hosts"), "{write}");
}
