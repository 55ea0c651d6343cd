//! What goes upstream: a method, an address, and the few headers that may leave here.
//!
//! Never a client's credentials, cookies or query. Our own signature goes only to the server that
//! it is for.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, HOST, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::Empty;
use tokio::time::Instant;

use super::hops::CDN_LOOP;
use super::turns::Question;
use crate::fallback::{ReadMethod, S3Upstream, Upstream};
use crate::model::{RangeSpec, Timestamp};

/// Who asks.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("understudy/", env!("CARGO_PKG_VERSION")));

/// What a client may ask of an upstream besides a key.
const CONDITIONS: [HeaderName; 5] =
    [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE];

/// What is passed on of a client's headers.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted(HeaderMap);

impl Wanted {
    /// Picks it out.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut wanted = HeaderMap::new();
        // S3 ignores lists of ranges and what does not read; other servers answer them otherwise.
        let range = headers.get(RANGE).filter(|value| value.to_str().is_ok_and(is_one_range));
        if let Some(range) = range {
            wanted.insert(RANGE, range.clone());
        }
        for name in CONDITIONS {
            for value in headers.get_all(&name) {
                wanted.append(&name, value.clone());
            }
        }
        Self(wanted)
    }

    /// An index that a program can read. The archive wants to be asked in just this way.
    pub(super) fn index() -> Self {
        Self(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]))
    }

    /// Whether it asks for a part.
    pub(super) fn has_range(&self) -> bool {
        self.0.contains_key(RANGE)
    }

    /// Whether it asks under conditions.
    pub(super) fn has_conditions(&self) -> bool {
        CONDITIONS.iter().any(|name| self.0.contains_key(name))
    }
}

fn is_one_range(value: &str) -> bool {
    RangeSpec::parse(value).is_some()
}

/// A request that may be sent several times.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    /// For its key pair and its host list.
    pub(super) upstream: &'a Upstream,
    /// GET or HEAD, and nothing else ever.
    pub(super) method: ReadMethod,
    /// The address within the upstream.
    pub(super) uri: Uri,
    /// What the client wants to know exactly.
    pub(super) wanted: Wanted,
    /// `CDN-Loop`.
    pub(super) hops: HeaderValue,
    /// What is asked for.
    pub(super) question: Question,
    /// When it must be answered, however often it was asked.
    pub(super) until: Instant,
}

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot be asked: {0}")]
pub(super) struct Unsendable(String);

impl Outgoing<'_> {
    /// The request to `uri`, which is its own or one that a redirect led to; signed as of `now` if
    /// `sign` says so and the upstream has a key pair.
    pub(super) fn request(
        &self,
        uri: &Uri,
        with_signature: bool,
        now: Timestamp,
    ) -> Result<Request<Empty<Bytes>>, Unsendable> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = match self.method {
            ReadMethod::Get => Method::GET,
            ReadMethod::Head => Method::HEAD,
        };
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        *headers = self.wanted.0.clone();
        let host = HeaderValue::from_str(&host(uri)).map_err(|error| Unsendable(error.to_string()))?;
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, AGENT);
        // Bytes are kept and checked as they are stored.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(CDN_LOOP, self.hops.clone());
        if let Some(bucket) = self.upstream.place().bucket().filter(|_| with_signature) {
            add_signature(&mut request, bucket, now)?;
        }
        Ok(request)
    }
}

/// The host with its port, unless that is the scheme's own: as signatures want it.
fn host(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    match uri.port_u16() {
        Some(port) if port != default => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

/// AWS: "Authenticating Requests: Using the Authorization Header". Without keys nothing is signed:
/// the bucket is public.
fn add_signature(
    request: &mut Request<Empty<Bytes>>,
    bucket: &S3Upstream,
    now: Timestamp,
) -> Result<(), Unsendable> {
    let Some((access_key_id, secret_key)) = bucket.key_pair() else { return Ok(()) };
    let failed = |what: &dyn std::fmt::Display| Unsendable(format!("the request cannot be signed: {what}"));

    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.signature_location = SignatureLocation::Headers;
    let token = bucket.session_token().map(|token| token.expose().to_owned());
    let identity =
        Credentials::new(access_key_id.as_str(), secret_key.expose(), token, None, "understudy").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(bucket.region())
        .name("s3")
        .time(now.to_system())
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let uri = request.uri().to_string();
    // What else is sent may be changed on the way: only the address and the host are signed.
    let headers = std::iter::once((HOST.as_str(), host));
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, SignableBody::Bytes(&[]))
        .map_err(|error| failed(&error))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| failed(&error))?.into_parts();
    for (name, value) in instructions.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| failed(&error))?;
        let mut value = HeaderValue::from_str(value).map_err(|error| failed(&error))?;
        value.set_sensitive(name == http::header::AUTHORIZATION || name == "x-amz-security-token");
        request.headers_mut().insert(name, value);
    }
    Ok(())
}
