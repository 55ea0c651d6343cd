//! A stage in memory's reach: one store, and the faces over it, open to everybody and closed to all
//! but those who hold a credential. Its clock stands still, so that signatures stay valid.

use std::cell::RefCell;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use understudy::clock::Clock;
use understudy::fallback::{Fallback, ReleaseConfig, ReleaseId, Rule};
use understudy::model::{AccessKeyId, BucketName, Credential, Grant, Owner, SecretKey, Timestamp};
use understudy::protocol::auth::Credentials;
use understudy::protocol::meter::Meter;
use understudy::server::{Arrival, Faces, Parts};
use understudy::store::{Durability, NewBucket, Options, Store};
use understudy::view::{self, View};
use understudy::{admin, archive, gcs, s3, upstream};

/// What the clock shows: 2026-11-20T21:20:19Z.
pub(crate) const NOW_SECONDS: i64 = 1_795_209_619;
/// The credential of the stage.
pub(crate) const ACCESS_KEY_ID: &str = "AKTEST";
/// Its secret.
pub(crate) const SECRET_KEY: &str = "a-secret-that-nobody-guesses";

/// So many requests change one stage: then there is a fresh one, which is smaller and faster.
const REQUESTS_MAX: u32 = 20_000;

/// A stage that requests are sent to.
pub(crate) struct Stage {
    runtime: tokio::runtime::Runtime,
    open: Faces,
    closed: Faces,
    requests: u32,
    _folder: tempfile::TempDir,
}

/// Who may use a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Everybody may do everything.
    Open,
    /// Only who holds a credential.
    Closed,
}

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// Sends a request to the stage of this thread, byte for byte; gives what came back.
pub(crate) fn exchange(door: Door, request: &[u8]) -> Vec<u8> {
    STAGE.with_borrow_mut(|stage| {
        if stage.as_ref().is_some_and(|stage| stage.requests >= REQUESTS_MAX) {
            *stage = None;
        }
        let stage = stage.get_or_insert_with(Stage::start);
        stage.requests += 1;
        let faces = match door {
            Door::Open => &stage.open,
            Door::Closed => &stage.closed,
        };
        stage.runtime.block_on(converse(faces, request))
    })
}

/// The status of an answer; empty where the connection was closed without one.
pub(crate) fn status(answer: &[u8]) -> &[u8] {
    answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default()
}

/// Fails where the stage called something its own fault.
#[track_caller]
pub(crate) fn assert_no_fault(request: &[u8], answer: &[u8]) {
    assert_ne!(status(answer), b"500", "{}\n{}", request.escape_ascii(), String::from_utf8_lossy(answer));
}

impl Stage {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        let view = runtime.block_on(view(folder.path()));
        let (open, closed) = (faces(view.clone(), vec![Grant::all()]), faces(view, Vec::new()));
        Self { runtime, open, closed, requests: 0, _folder: folder }
    }
}

async fn view(folder: &Path) -> View {
    let mut options = Options::new(folder);
    options.durability = Durability::Ephemeral;
    let store = Store::open(options).expect("an empty folder opens");
    let bucket = BucketName::parse("stage").expect("a name");
    let new = NewBucket { name: bucket.clone(), region: "us-east-1".to_owned(), owner: Owner::anonymous() };
    store.create_bucket(new).await.expect("a new bucket");
    View::new(view::Parts {
        store,
        fallback: Arc::new(fallback(bucket)),
        upstream: upstream::Client::new(upstream::Config::default(), clock()).expect("compiled-in roots"),
        config: view::Config::default(),
        clock: clock(),
    })
}

fn clock() -> Clock {
    Clock::Fixed(Timestamp::from_seconds(NOW_SECONDS))
}

/// Redirects, and a production that is away for whoever must fetch from it.
fn fallback(bucket: BucketName) -> Fallback {
    let rule = serde_json::json!({ "match": "pub/**", "mode": "redirect", "to": "http://127.0.0.1:9/", "list": "local" });
    let rule: Rule = serde_json::from_value(rule).expect("a rule");
    let release = ReleaseId::parse("firefox-83.0b3-build1").expect("a release");
    let release = ReleaseConfig { under_test: vec![release] };
    Fallback::new([(bucket, vec![rule])], release, |_| None).expect("nothing is signed")
}

/// The folder of service accounts, of every stage.
pub(crate) fn accounts() -> &'static Path {
    static ACCOUNTS: OnceLock<tempfile::TempDir> = OnceLock::new();
    ACCOUNTS.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path()
}

fn credentials() -> Credentials {
    Credentials::new([Credential {
        access_key_id: AccessKeyId::parse(ACCESS_KEY_ID).expect("an id"),
        secret_key: SecretKey::parse(SECRET_KEY).expect("a secret"),
        owner: Owner { id: "0".repeat(64), display_name: "fuzz".to_owned() },
        grants: vec![Grant::all()],
    }])
    .expect("there is one")
}

fn faces(view: View, anonymous: Vec<Grant>) -> Faces {
    let limits = understudy::protocol::Config::for_tests();
    let tree = archive::Config::new(["archive.example".to_owned()], "/pub/", Vec::new()).expect("a tree");
    let meter = Meter::default();
    Faces::new(Parts {
        s3: s3::Service::new(s3::Inner {
            view: view.clone(),
            credentials: credentials(),
            anonymous: anonymous.clone(),
            limits,
            config: s3::Config::default(),
        }),
        gcs: gcs::Service::new(gcs::Inner {
            view: view.clone(),
            accounts: gcs::ServiceAccounts::in_folder(accounts()),
            anonymous: anonymous.clone(),
            limits,
            config: gcs::Config::default(),
        }),
        archive: archive::Service::new(archive::Inner { view: view.clone(), anonymous, trees: vec![tree] }),
        admin: admin::Service::new(admin::Inner {
            view: view.clone(),
            credentials: credentials(),
            meter: meter.clone(),
            limits,
            started: Timestamp::from_seconds(1),
        }),
        view,
        archive_hosts: vec!["archive.example".to_owned()],
        trusted_proxies: Vec::new(),
        names: understudy::protocol::browser::Names::default(),
        limits: understudy::server::Limits::default(),
        seed: 1,
        clock: clock(),
        meter,
    })
}

/// Speaks HTTP as the server does, but answers also who has said that no more comes.
async fn serve(faces: &Faces, stream: DuplexStream) {
    let address = ([127, 0, 0, 1], 8000).into();
    let arrival = Arrival { peer: address, local: address, tls: false };
    let answer =
        service_fn(
            |request| async move { Ok::<_, Infallible>(faces.clone().answer(arrival, request).await) },
        );
    // What is not HTTP ends the connection, with an answer or without.
    drop(http1::Builder::new().half_close(true).serve_connection(TokioIo::new(stream), answer).await);
}

async fn converse(faces: &Faces, request: &[u8]) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let (mut reading, mut writing) = tokio::io::split(&mut client);
    let asking = async {
        // The server may close before all of it has come.
        if writing.write_all(request).await.is_ok() {
            drop(writing.shutdown().await);
        }
    };
    let hearing = async {
        let mut answer = Vec::new();
        drop(reading.read_to_end(&mut answer).await);
        answer
    };
    tokio::join!(asking, hearing, serve(faces, server)).1
}
