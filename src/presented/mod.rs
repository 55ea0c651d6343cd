//! How a request says who sends it: which of the signature schemes it uses, if any.
//!
//! Deliberately elsewhere: the schemes themselves (`sigv4`, `sigv2`), finding the secret of an
//! access key id, and what its owner may do.

use http::HeaderMap;

use crate::model::{AccessKeyId, SecretKey, Timestamp};
use crate::signature::{Query, SignatureError, SignedRequest, Version, shortened};
use crate::sigv4::{Payload, unsigned_payload};
use crate::{sigv2, sigv4};

#[cfg(test)]
mod tests;

/// What a request presents, well-formed but not yet verified.
#[derive(Debug, Clone)]
pub enum Presented {
    /// Nothing.
    Anonymous,
    /// `Authorization: AWS4-HMAC-SHA256 …`.
    V4Header(sigv4::HeaderAuth),
    /// A presigned link of version 4.
    V4Query(sigv4::QueryAuth),
    /// `Authorization: AWS …`.
    V2Header(sigv2::HeaderAuth),
    /// A presigned link of version 2.
    V2Query(sigv2::QueryAuth),
}

/// A request whose signature holds, or that needs none.
#[derive(Debug, Clone)]
pub struct Verified {
    /// How its body is protected.
    pub payload: Payload,
}

/// What links have that are signed by Google's schemes, which are not verified here.
///
/// GCS: "Signed URLs", V4 and V2.
const OF_GOOGLE: [&str; 3] = ["X-Goog-Algorithm", "X-Goog-Signature", "GoogleAccessId"];

impl Presented {
    /// Whether a raw query claims to be signed, well or badly: [`Presented::read`] then refuses what
    /// does not hold, and never takes it for anonymous.
    pub fn is_in_query(raw: &str) -> bool {
        let query = Query::parse(raw);
        sigv4::QueryAuth::is_in(&query) || sigv2::QueryAuth::is_in(&query)
    }

    /// Reads what a request presents; what is malformed is refused with S3's code for it.
    pub fn read(request: &SignedRequest<'_>) -> Result<Self, SignatureError> {
        let query = request.query();
        let header = request.headers.get(http::header::AUTHORIZATION);
        // A link that Google's clients have signed must not be taken for an anonymous request.
        if let Some(name) = OF_GOOGLE.into_iter().find(|name| query.contains(name)) {
            return Err(SignatureError::NotImplemented {
                header: name,
                value: "a link signed as Google's".to_owned(),
            });
        }
        let (v4, v2) = (sigv4::QueryAuth::is_in(&query), sigv2::QueryAuth::is_in(&query));
        if [header.is_some(), v4, v2].into_iter().filter(|present| *present).count() > 1 {
            return Err(SignatureError::InvalidArgument {
                message: "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
                name: "Authorization",
                value: header
                    .map_or_else(String::new, |value| shortened(&String::from_utf8_lossy(value.as_bytes()))),
            });
        }
        match header {
            Some(value) => Self::read_header(request, &String::from_utf8_lossy(value.as_bytes())),
            None if v4 => sigv4::QueryAuth::read(request).map(Self::V4Query),
            None if v2 => sigv2::QueryAuth::read(request).map(Self::V2Query),
            None => Ok(Self::Anonymous),
        }
    }

    fn read_header(request: &SignedRequest<'_>, value: &str) -> Result<Self, SignatureError> {
        let invalid = |message| SignatureError::InvalidArgument {
            message,
            name: "Authorization",
            value: shortened(value),
        };
        let (scheme, _) = value.trim().split_once(' ').ok_or_else(|| {
            invalid("Authorization header is invalid -- one and only one ' ' (space) required")
        })?;
        match scheme {
            "AWS4-HMAC-SHA256" => sigv4::HeaderAuth::read(request, value).map(Self::V4Header),
            "AWS" => sigv2::HeaderAuth::read(request, value).map(Self::V2Header),
            "AWS4-ECDSA-P256-SHA256" => {
                Err(SignatureError::NotImplemented { header: "Authorization", value: scheme.to_owned() })
            }
            _ => Err(invalid("Unsupported Authorization Type")),
        }
    }

    /// Who claims to have sent it; `None` for an anonymous request.
    pub fn access_key_id(&self) -> Option<&AccessKeyId> {
        match self {
            Self::Anonymous => None,
            Self::V4Header(auth) => Some(auth.access_key_id()),
            Self::V4Query(auth) => Some(auth.access_key_id()),
            Self::V2Header(auth) => Some(auth.access_key_id()),
            Self::V2Query(auth) => Some(auth.access_key_id()),
        }
    }

    /// By which version of AWS's signature; none for an anonymous request.
    pub fn version(&self) -> Option<Version> {
        match self {
            Self::Anonymous => None,
            Self::V4Header(_) | Self::V4Query(_) => Some(Version::V4),
            Self::V2Header(_) | Self::V2Query(_) => Some(Version::V2),
        }
    }

    /// The headers that count besides those that were sent: see `SignedRequest::headers_in_query`.
    /// None unless the request came by a link.
    pub fn further_headers(&self, request: &SignedRequest<'_>) -> HeaderMap {
        match self {
            Self::V4Query(_) | Self::V2Query(_) => request.headers_in_query(),
            Self::Anonymous | Self::V4Header(_) | Self::V2Header(_) => HeaderMap::new(),
        }
    }

    /// Checks the signature of the same request with the secret of `access_key_id`.
    ///
    /// An anonymous request has none to check: `sigv4::unsigned_payload` is all that there is to
    /// know of it, and what this gives too.
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &SecretKey,
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        let payload = match self {
            Self::Anonymous => unsigned_payload(request)?,
            Self::V4Header(auth) => auth.verify(request, secret, now)?,
            Self::V4Query(auth) => auth.verify(request, secret, now)?,
            Self::V2Header(auth) => {
                auth.verify(request, secret, now)?;
                unsigned_payload(request)?
            }
            Self::V2Query(auth) => {
                auth.verify(request, secret, now)?;
                unsigned_payload(request)?
            }
        };
        Ok(Verified { payload })
    }
}
