//! The stage that a command is about: the server that has the data folder, or else the folder itself.
//!
//! Commands ask what the admin API offers, and nothing else. A server that runs is asked over its
//! socket; where none does, the folder is opened and the same operations are done here.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_credential_types::Credentials as Keys;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::response::Parts;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::flags::Target;
use super::keys;
use super::serve::{data_dir, view};
use super::serving::Serving;
use super::wire::Peer;
use crate::admin;
use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::model::{AccessKeyId, BucketName, SecretKey};
use crate::protocol::auth::Credentials;
use crate::protocol::body::{BodyError, ByteCount, RequestBody, receive};
use crate::protocol::meter::Meter;
use crate::store::{OpenError, Store};

/// A stage that can be asked.
pub(super) struct Stage(Way);

enum Way {
    /// This process has the data folder.
    Here { service: admin::Service, store: Store },
    /// A server has it.
    There(Arc<Caller>),
}

/// Who can be asked by signed requests.
pub(super) struct Caller {
    peer: Peer,
    id: AccessKeyId,
    secret: SecretKey,
    region: String,
}

/// How objects are written into a stage.
#[derive(Clone)]
pub(super) enum Access {
    /// Into the folder.
    Here(Store),
    /// By S3.
    There(Arc<Caller>),
}

/// What is sent along.
pub(super) enum Payload {
    /// Nothing.
    Nothing,
    /// A JSON document.
    Document(Vec<u8>),
    /// A file from its beginning; `tell` hears how much of it was read.
    Lines { file: File, tell: Box<dyn Fn(u64) + Send + Sync> },
}

/// The largest answer that is read: a page of 1,000 of the longest keys.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How much of a file is read at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Does the work of a command with the stage that it is about.
pub(super) fn with<T>(
    target: &Target,
    environment: &Environment,
    work: impl AsyncFnOnce(&Stage, &Settings) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let settings = Settings::load(&target.place.layer()?, environment)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::io("cannot start", source))?;
    let done = runtime.block_on(async {
        let stage = Stage::open(target, &settings, environment)?;
        let done = work(&stage, &settings).await;
        stage.close().await;
        done
    });
    // A name that is still being looked up must not hold the answer back.
    runtime.shutdown_background();
    done
}

/// The path of a bucket's resource.
pub(super) fn of_bucket(bucket: &BucketName, resource: &str, query: &[(&str, &str)]) -> String {
    of_stage(&format!("buckets/{bucket}/{resource}"), query)
}

/// The path of a resource of the whole stage.
pub(super) fn of_stage(resource: &str, query: &[(&str, &str)]) -> String {
    let mut path = format!("/-/api/v1/{resource}");
    for (index, (name, value)) in query.iter().enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(name);
        path.push('=');
        path.extend(percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC));
    }
    path
}

impl Stage {
    fn open(target: &Target, settings: &Settings, environment: &Environment) -> Result<Self, Failure> {
        let certificate = target.tls_cert.clone().or_else(|| {
            environment.get("UNDERSTUDY_TLS_CERT").filter(|path| !path.is_empty()).map(Into::into)
        });
        if let Some(url) = &target.endpoint {
            let peer = Peer::new(url, certificate.as_deref())?;
            let pair = keys::find(settings, environment, peer.url(), true)?;
            return Ok(Self::there(peer, pair, settings));
        }
        if settings.ephemeral() {
            // Its folder has a name that nobody knows; its address is the one that is configured.
            let own = settings.server.tls.as_ref().map(|tls| tls.certificate.clone());
            let peer = Peer::new(&settings.local_url(), certificate.or(own).as_deref())?;
            let pair = keys::find(settings, environment, peer.url(), false)?;
            return Ok(Self::there(peer, pair, settings));
        }
        let folder = data_dir(settings);
        if !folder.is_dir() {
            return Err(Failure::Usage(format!(
                "there is no data folder {}: name one with --data-dir, or a server with --endpoint",
                folder.display()
            )));
        }
        match Store::open(settings.store.clone()) {
            Ok(store) => Self::here(store, settings),
            Err(OpenError::Locked { folder, pid }) => {
                let serving = serving(&folder, pid)?;
                let peer = Peer::new(&serving.url, serving.certificate.as_deref())?;
                let pair = keys::find(settings, environment, peer.url(), false)?;
                Ok(Self::there(peer, pair, settings))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn here(store: Store, settings: &Settings) -> Result<Self, Failure> {
        let service = admin::Service::new(admin::Inner {
            view: view(settings, &store)?,
            credentials: Credentials::default(),
            meter: Meter::default(),
            limits: settings.limits,
            started: Clock::System.now(),
        });
        Ok(Self(Way::Here { service, store }))
    }

    fn there(peer: Peer, (id, secret): keys::Pair, settings: &Settings) -> Self {
        Self(Way::There(Arc::new(Caller { peer, id, secret, region: settings.s3.region.clone() })))
    }

    async fn close(self) {
        if let Way::Here { store, .. } = self.0 {
            store.close().await;
        }
    }

    /// The server that is asked; `None` if the folder is open here.
    pub(super) fn url(&self) -> Option<&str> {
        match &self.0 {
            Way::Here { .. } => None,
            Way::There(caller) => Some(caller.peer.url()),
        }
    }

    /// How objects are written into it.
    pub(super) fn access(&self) -> Access {
        match &self.0 {
            Way::Here { store, .. } => Access::Here(store.clone()),
            Way::There(caller) => Access::There(Arc::clone(caller)),
        }
    }

    /// Gets a document.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, Payload::Nothing).await
    }

    /// Sends a document and gets another one.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        document: &(impl Serialize + Sync),
    ) -> Result<T, Failure> {
        let text = serde_json::to_vec(document).map_err(|error| Failure::Usage(error.to_string()))?;
        self.ask(Method::POST, path, Payload::Document(text)).await
    }

    /// Asks the admin API.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<T, Failure> {
        let (body, length) = payload.body();
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| Failure::Usage(format!("{path:?} cannot be asked")))?;
        if let Some(length) = length {
            request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        }
        let (status, text) = match &self.0 {
            Way::Here { service, .. } => {
                let (head, body) = service.trusted(request, Clock::System.now()).await.into_parts();
                let read = body.collect().await;
                let text = read.map_err(|error| Failure::Refused(super::failure::chain(&error)))?.to_bytes();
                (head.status, text)
            }
            Way::There(caller) => {
                let (head, text) = caller.send(request).await?;
                (head.status, text)
            }
        };
        understood(status, &text)
    }
}

impl Caller {
    /// Sends a signed request. Its path is encoded already; its body is not signed.
    pub(super) async fn send<B>(&self, mut request: Request<B>) -> Result<(Parts, Bytes), Failure>
    where
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let Self { peer, id, secret, region } = self;
        let headers = signature(peer, &request, (id, secret), region)?;
        request.headers_mut().extend(headers);
        let agent = concat!("understudy-cli/", env!("CARGO_PKG_VERSION"));
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(agent));
        Ok(peer.ask(request, ANSWER_BYTES_MAX).await?)
    }
}

/// How to reach the server that holds the lock of a folder.
fn serving(folder: &Path, holder: Option<u32>) -> Result<Serving, Failure> {
    let serving = Serving::find(folder).filter(|serving| holder.is_none_or(|pid| pid == serving.pid));
    serving.ok_or_else(|| {
        let process = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        Failure::Usage(format!(
            "{} is in use by {process}, which does not say how to reach it: it may be starting, or be \
             another command; try again, or name a server with --endpoint",
            folder.display()
        ))
    })
}

/// An answer as the document that was asked for.
fn understood<T: DeserializeOwned>(status: StatusCode, text: &[u8]) -> Result<T, Failure> {
    if status.is_success() {
        return serde_json::from_slice(text)
            .map_err(|error| Failure::Refused(format!("the answer does not read: {error}")));
    }
    let told = serde_json::from_slice::<admin::api::Refused>(text).map_or_else(
        |_| format!("{status}: {}", String::from_utf8_lossy(text).chars().take(200).collect::<String>()),
        |refused| refused.error,
    );
    Err(Failure::Refused(told))
}

/// The headers of a signature of version 4. The body is not signed: it may be longer than memory.
fn signature<B>(
    peer: &Peer,
    request: &Request<B>,
    (id, secret): (&AccessKeyId, &SecretKey),
    region: &str,
) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Usage(format!("cannot sign the request: {error}"));
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = Keys::new(id.as_str(), secret.expose(), None, None, "understudy").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(Clock::System.now().to_system())
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let url = format!("{}{}", peer.url().trim_end_matches('/'), request.uri());
    // S3: every `x-amz-` header must be signed.
    let amz = request.headers().iter().filter(|(name, _)| name.as_str().starts_with("x-amz-"));
    let amz = amz.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let headers = [("host", peer.authority())].into_iter().chain(amz);
    let signable =
        SignableRequest::new(request.method().as_str(), &url, headers, SignableBody::UnsignedPayload)
            .map_err(|error| failed(&error))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| failed(&error))?.into_parts();
    instructions
        .headers()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| failed(&error))?;
            let mut value = HeaderValue::from_str(value).map_err(|error| failed(&error))?;
            value.set_sensitive(name == header::AUTHORIZATION);
            Ok((name, value))
        })
        .collect()
}

impl Payload {
    /// The body, and its length where that is known.
    fn body(self) -> (RequestBody, Option<u64>) {
        let uncounted = ByteCount::default();
        match self {
            Self::Nothing => (receive(Full::new(Bytes::new()), uncounted), Some(0)),
            Self::Document(text) => {
                let length = text.len() as u64;
                (receive(Full::new(Bytes::from(text)), uncounted), Some(length))
            }
            Self::Lines { file, tell } => {
                let size = file.metadata().ok().map(|metadata| metadata.len());
                (receive(FileBody { file, tell }, uncounted), size)
            }
        }
    }
}

/// A file as a body. It is read where it is polled: nothing else happens in a command meanwhile.
struct FileBody {
    file: File,
    tell: Box<dyn Fn(u64) + Send + Sync>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut chunk = vec![0; CHUNK_BYTES];
        match self.file.read(&mut chunk) {
            Ok(0) => Poll::Ready(None),
            Ok(length) => {
                chunk.truncate(length);
                (self.tell)(length as u64);
                Poll::Ready(Some(Ok(Frame::data(chunk.into()))))
            }
            Err(error) => Poll::Ready(Some(Err(BodyError::Interrupted(Box::new(error))))),
        }
    }
}
