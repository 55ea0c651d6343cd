//! Making presigned links, with the `aws-sigv4` crate.
//!
//! AWS: "Authenticating Requests: Using Query Parameters".

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;

use super::query::EXPIRES_SECONDS_MAX;
use crate::model::{AccessKeyId, BucketName, ObjectKey, SecretKey, Timestamp};
use crate::signature::{encode_component, encode_path};

/// What a link is to be for.
#[derive(Debug, Clone, Copy)]
pub struct Presign<'a> {
    /// The method that it will be used with.
    pub method: &'a http::Method,
    /// Where the bucket's server is: scheme, host and port, and perhaps a path before the bucket's
    /// name, such as `http://127.0.0.1:8000`.
    pub endpoint: &'a str,
    /// The region of the scope.
    pub region: &'a str,
    /// Who signs.
    pub access_key_id: &'a AccessKeyId,
    /// With which secret.
    pub secret_key: &'a SecretKey,
    /// The bucket, addressed in path style.
    pub bucket: &'a BucketName,
    /// The object.
    pub key: &'a ObjectKey,
    /// Further parameters, such as `response-content-type`, decoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers that whoever uses the link must send as they are here, such as `content-type`.
    pub headers: &'a [(&'a str, &'a str)],
    /// How long the link is good for: 1 second to a week.
    pub expires: Duration,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum PresignError {
    /// The time is not one that S3 allows.
    #[error("a presigned link is good for 1 to 604800 seconds, not {}: choose a time within a week", .0.as_secs())]
    Expires(Duration),
    /// The endpoint is not an address of a server.
    #[error("{endpoint:?} is not an endpoint: write http:// or https://, a host and perhaps a port")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// The parts do not make a request.
    #[error("the link cannot be signed")]
    Sign(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Signs a link that does what `wanted` says, from `now` on.
pub fn presign(wanted: &Presign<'_>, now: Timestamp) -> Result<String, PresignError> {
    let seconds = wanted.expires.as_secs();
    if !(1..=u64::from(EXPIRES_SECONDS_MAX)).contains(&seconds) {
        return Err(PresignError::Expires(wanted.expires));
    }
    let url = unsigned_url(wanted)?;
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| PresignError::Sign(error);

    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(seconds));
    let identity =
        Credentials::new(wanted.access_key_id.as_str(), wanted.secret_key.expose(), None, None, "understudy")
            .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(wanted.region)
        .name("s3")
        .time(now.to_system())
        .settings(settings)
        .build()
        .map_err(|error| failed(error.into()))?
        .into();
    let headers = wanted.headers.iter().copied();
    let request = SignableRequest::new(wanted.method.as_str(), &url, headers, SignableBody::UnsignedPayload)
        .map_err(|error| failed(error.into()))?;
    let (instructions, _) = sign(request, &params).map_err(|error| failed(error.into()))?.into_parts();

    let separator = if wanted.query.is_empty() { '?' } else { '&' };
    Ok(format!(
        "{url}{separator}{}",
        encode_query(instructions.params().iter().map(|(name, value)| (*name, &**value)))
    ))
}

/// The link without its signature, encoded once: the way that S3 verifies.
fn unsigned_url(wanted: &Presign<'_>) -> Result<String, PresignError> {
    let endpoint = wanted.endpoint.trim_end_matches('/');
    let invalid = || PresignError::Endpoint { endpoint: wanted.endpoint.to_owned() };
    let uri: http::Uri = endpoint.parse().map_err(|_| invalid())?;
    let known_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    if !known_scheme || uri.host().is_none() || uri.query().is_some() {
        return Err(invalid());
    }
    let mut url = format!("{endpoint}/{}/{}", wanted.bucket, encode_path(wanted.key.as_str().as_bytes()));
    if !wanted.query.is_empty() {
        url.push('?');
        url.push_str(&encode_query(wanted.query.iter().copied()));
    }
    Ok(url)
}

fn encode_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<_> = pairs
        .map(|(name, value)| {
            format!("{}={}", encode_component(name.as_bytes()), encode_component(value.as_bytes()))
        })
        .collect();
    pairs.join("&")
}
