//! Whole requests, byte for byte as they come from a socket, to a stage where everybody may do
//! everything: each gets an answer, and never "internal error".

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use understudy::clock::Clock;
use understudy::fallback::{Fallback, ReleaseConfig, ReleaseId, Rule};
use understudy::model::{BucketName, Grant, Owner, Timestamp};
use understudy::protocol::auth::Credentials;
use understudy::protocol::meter::Meter;
use understudy::server::{Arrival, Faces, Parts};
use understudy::store::{Durability, NewBucket, Options, Store};
use understudy::view::{self, View};
use understudy::{admin, archive, gcs, s3, upstream};

struct Stage {
    runtime: tokio::runtime::Runtime,
    faces: Faces,
    _folder: tempfile::TempDir,
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        let faces = faces(runtime.block_on(open(folder.path())));
        Stage { runtime, faces, _folder: folder }
    })
}

async fn open(folder: &std::path::Path) -> View {
    let mut options = Options::new(folder);
    options.durability = Durability::Ephemeral;
    let store = Store::open(options).expect("an empty folder opens");
    let bucket = BucketName::parse("stage").expect("a name");
    let new = NewBucket { name: bucket.clone(), region: "us-east-1".to_owned(), owner: Owner::anonymous() };
    store.create_bucket(new).await.expect("a new bucket");
    View::new(view::Parts {
        store,
        fallback: Arc::new(fallback(bucket)),
        upstream: upstream::Client::new(upstream::Config::default(), Clock::System)
            .expect("compiled-in roots"),
        config: view::Config::default(),
        clock: Clock::System,
    })
}

/// Redirects, and a production that is away for whoever must fetch from it.
fn fallback(bucket: BucketName) -> Fallback {
    let rule = serde_json::json!({ "match": "pub/**", "mode": "redirect", "to": "http://127.0.0.1:9/", "list": "local" });
    let rule: Rule = serde_json::from_value(rule).expect("a rule");
    let release = ReleaseId::parse("firefox-83.0b3-build1").expect("a release");
    let release = ReleaseConfig { under_test: vec![release] };
    Fallback::new([(bucket, vec![rule])], release, |_| None).expect("nothing is signed")
}

fn faces(view: View) -> Faces {
    let (anonymous, limits) = (vec![Grant::all()], understudy::protocol::Config::for_tests());
    let tree = archive::Config::new(["archive.example".to_owned()], "/pub/", Vec::new()).expect("a tree");
    let meter = Meter::default();
    Faces::new(Parts {
        s3: s3::Service::new(s3::Inner {
            view: view.clone(),
            credentials: Credentials::default(),
            anonymous: anonymous.clone(),
            limits,
            config: s3::Config::default(),
        }),
        gcs: gcs::Service::new(gcs::Inner {
            view: view.clone(),
            accounts: gcs::ServiceAccounts::none(),
            anonymous: anonymous.clone(),
            limits,
            config: gcs::Config::default(),
        }),
        archive: archive::Service::new(archive::Inner { view: view.clone(), anonymous, trees: vec![tree] }),
        admin: admin::Service::new(admin::Inner {
            view: view.clone(),
            credentials: Credentials::default(),
            meter: meter.clone(),
            limits,
            started: Timestamp::from_seconds(1),
        }),
        view,
        archive_hosts: vec!["archive.example".to_owned()],
        trusted_proxies: Vec::new(),
        limits: understudy::server::Limits::default(),
        seed: 1,
        clock: Clock::System,
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

async fn exchange(faces: &Faces, request: &[u8]) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let asking = async {
        let mut answer = Vec::new();
        // The server may close before all of it has come.
        if client.write_all(request).await.is_ok() && client.shutdown().await.is_ok() {
            drop(client.read_to_end(&mut answer).await);
        }
        answer
    };
    tokio::join!(asking, serve(faces, server)).0
}

/// A request as it is on the wire; a line may end without the carriage return.
pub(crate) fn run(data: &[u8]) {
    let stage = stage();
    let answer = stage.runtime.block_on(exchange(&stage.faces, data));
    let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    assert_ne!(status, b"500", "{}\n{}", data.escape_ascii(), String::from_utf8_lossy(&answer));
}
