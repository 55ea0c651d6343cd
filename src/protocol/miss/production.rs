//! A small server in production's place, for tests of the faces: files with conditions and ranges,
//! or none of these, or nothing but failures. It shows nobody a listing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use md5::{Digest as _, Md5};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::fallback::{Fallback, ReleaseConfig, Rule};
use crate::model::{BucketName, ETag, Metadata, ObjectState, SystemHeader, Timestamp};
use crate::protocol::{conditions, headers, read};

/// When all its files were written.
const MODIFIED_SECONDS: i64 = 1_600_000_000;

/// The server. It stops when it is dropped.
pub(crate) struct Production {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Bytes>>,
    manners: Mutex<Manners>,
    asked: Mutex<Vec<String>>,
}

/// How the server behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Manners {
    /// As a bucket does.
    #[default]
    Good,
    /// It sends whole files with weak tags, whatever it is asked.
    Deaf,
    /// It breaks off in the middle.
    Short,
    /// It has this to say.
    Failing(u16),
    /// All its files have this tag.
    Tagging(&'static str),
    /// It calls this what it sends of a file: its `Content-Range`.
    Naming(&'static str),
}

impl Production {
    /// Starts it without files.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { address, shared, task }
    }

    pub(crate) fn serve(&self, name: &str, bytes: impl Into<Bytes>) {
        self.shared.files.lock().expect("no panic").insert(name.to_owned(), bytes.into());
    }

    pub(crate) fn behave(&self, manners: Manners) {
        *self.shared.manners.lock().expect("no panic") = manners;
    }

    /// What it was asked, such as `GET name` or `GET name bytes=0-1`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().expect("no panic").clone()
    }

    /// Its name in errors and in the log.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Rules of a bucket that lead here in this mode.
    pub(crate) fn rules(&self, bucket: &str, mode: &str) -> Fallback {
        self.rules_with(bucket, mode, &[])
    }

    /// The same, with releases under test.
    pub(crate) fn rules_with(&self, bucket: &str, mode: &str, under_test: &[&str]) -> Fallback {
        #[derive(serde::Deserialize)]
        struct Rules {
            fallback: Vec<Rule>,
        }
        let rules = format!(
            "[[fallback]]\nmatch = \"**\"\nmode = \"{mode}\"\nlist = \"local\"\nto = \"{}\"\n",
            self.url()
        );
        let rules = toml::from_str::<Rules>(&rules).expect("rules").fallback;
        let release = toml::from_str::<ReleaseConfig>(&format!("under_test = {under_test:?}"));
        let bucket = BucketName::parse(bucket).expect("a name");
        Fallback::new([(bucket, rules)], release.expect("releases"), |_| None).expect("no key pairs")
    }
}

impl Drop for Production {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // With the listener, all its connections go.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = shared.answer(&request);
                async { Ok::<_, Infallible>(answer) }
            });
            // It ends when a test has what it wanted.
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

impl Shared {
    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let name = request.uri().path().trim_start_matches('/');
        let range = request.headers().get("range").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let asked = format!("{} {name} {range}", request.method());
        self.asked.lock().expect("no panic").push(asked.trim_end().to_owned());
        let manners = *self.manners.lock().expect("no panic");
        if let Manners::Failing(status) = manners {
            return status_only(StatusCode::from_u16(status).expect("a status"));
        }
        if request.uri().query().is_some_and(|query| query.contains("list-type")) {
            return status_only(StatusCode::FORBIDDEN);
        }
        let Some(bytes) = self.files.lock().expect("no panic").get(name).cloned() else {
            return status_only(StatusCode::NOT_FOUND);
        };
        let nothing = HeaderMap::new();
        let heard = if manners == Manners::Deaf { &nothing } else { request.headers() };
        let mut answer = file(&bytes, heard, manners);
        if request.method() == Method::HEAD {
            *answer.body_mut() = Body::whole(Bytes::new());
        }
        answer
    }
}

fn status_only(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::whole(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

fn file(bytes: &Bytes, heard: &HeaderMap, manners: Manners) -> Response<Body> {
    let state = ObjectState {
        etag: match manners {
            Manners::Tagging(tag) => ETag::parse(tag).expect("a tag"),
            Manners::Good | Manners::Deaf | Manners::Short | Manners::Failing(_) | Manners::Naming(_) => {
                ETag::of_md5(Md5::digest(bytes).into())
            }
        },
        modified: Timestamp::from_seconds(MODIFIED_SECONDS),
        size_bytes: bytes.len() as u64,
        generation: 1,
        metageneration: 1,
    };
    let range = conditions::range(heard);
    let plan = read::plan(&conditions::of_read(heard), range, conditions::if_range(heard).as_ref(), &state);
    let sent = plan.bytes(state.size_bytes).map_or_else(Bytes::new, |range| {
        let at = |number: u64| usize::try_from(number).expect("small");
        bytes.slice(at(range.start)..at(range.end))
    });
    let mut answer = Response::new(match manners {
        Manners::Short => Body::short(sent.slice(..sent.len() / 2)),
        Manners::Good | Manners::Deaf | Manners::Failing(_) | Manners::Tagging(_) | Manners::Naming(_) => {
            Body::whole(sent)
        }
    });
    *answer.status_mut() = plan.status();
    let mut metadata = Metadata::default();
    metadata.set_system(SystemHeader::ContentType, "text/x-test").expect("a header");
    metadata.add_user("build", "7").expect("an entry");
    headers::write_object(answer.headers_mut(), &state, &metadata);
    headers::write_amz_metadata(answer.headers_mut(), &metadata);
    headers::write_plan(answer.headers_mut(), &plan, state.size_bytes);
    if let Manners::Naming(range) = manners {
        answer.headers_mut().insert("content-range", HeaderValue::from_static(range));
    }
    if manners == Manners::Deaf {
        let weak = HeaderValue::try_from(format!("W/{}", state.etag)).expect("a tag");
        answer.headers_mut().insert("etag", weak);
    }
    answer
}

/// A body that may end before its time.
struct Body {
    bytes: Option<Bytes>,
    is_short: bool,
}

impl Body {
    fn whole(bytes: Bytes) -> Self {
        Self { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), is_short: false }
    }

    fn short(bytes: Bytes) -> Self {
        Self { is_short: true, ..Self::whole(bytes) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        Poll::Ready(match self.bytes.take() {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            None if self.is_short => Some(Err(std::io::Error::other("it breaks off"))),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.is_short
    }
}
