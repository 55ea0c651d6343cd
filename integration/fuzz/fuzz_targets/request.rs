//! Whole requests through the S3 face over a real store where everybody may do everything: each gets
//! an answer, and never "internal error".

#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use understudy::clock::Clock;
use understudy::fallback::Fallback;
use understudy::model::{Grant, Timestamp};
use understudy::protocol::auth::Credentials;
use understudy::protocol::body::{self, ByteCount};
use understudy::protocol::request::{Context, RequestId};
use understudy::s3::{Config, Inner, Service};
use understudy::store::{Durability, Options, Store};

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"];

struct Stage {
    runtime: tokio::runtime::Runtime,
    service: Service,
    _folder: tempfile::TempDir,
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut options = Options::new(folder.path());
        options.durability = Durability::Ephemeral;
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let service = Service::new(Inner {
            store: Store::open(options).expect("an empty folder opens"),
            credentials: Credentials::default(),
            anonymous: vec![Grant::all()],
            fallback: Arc::new(Fallback::default()),
            limits: understudy::protocol::Config::for_tests(),
            config: Config::default(),
        });
        Stage { runtime, service, _folder: folder }
    })
}

fuzz_target!(|data: (u8, &str, Vec<(&str, &str)>, &[u8])| {
    let (method, target, pairs, content) = data;
    let method = METHODS[usize::from(method) % METHODS.len()];
    let received = ByteCount::default();
    let content = body::receive(Full::new(Bytes::copy_from_slice(content)), received.clone());
    let Ok(mut request) = Request::builder().method(method).uri(format!("/{target}")).body(content) else { return };
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            request.headers_mut().append(name, value);
        }
    }
    let now = Timestamp::from_seconds(1_795_209_619);
    let context = Context {
        request_id: RequestId::new(1),
        peer: ([127, 0, 0, 1], 40_000).into(),
        scheme: http::uri::Scheme::HTTP,
        host: "127.0.0.1:8000".parse().expect("an authority"),
        now,
        clock: Clock::Fixed(now),
        started: Instant::now(),
        received,
    };
    let stage = stage();
    let answer = stage.runtime.block_on(stage.service.call(&context, request));
    assert_ne!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
});
