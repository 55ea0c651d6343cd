//! Version 4 in the `Authorization` header.
//!
//! AWS: "Authenticating Requests: Using the Authorization Header".

use super::Payload;
use super::claim::Claim;
use super::credential;
use super::date::parse_amz_date;
use super::payload::{CONTENT_SHA256, Declared};
use super::signed_headers::SignedHeaders;
use crate::model::{AccessKeyId, SecretKey, Timestamp};
use crate::signature::{
    SignatureError, SignedRequest, check_skew, read_date, refuse_session_token, shortened,
};

/// The scheme that this header must name.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A well-formed version 4 `Authorization` header, with the headers that belong to it.
#[derive(Debug, Clone)]
pub struct HeaderAuth {
    claim: Claim,
    date_written: String,
}

impl HeaderAuth {
    /// Reads what the request presents, without checking the signature.
    ///
    /// `authorization` is the value of the header.
    pub fn read(request: &SignedRequest<'_>, authorization: &str) -> Result<Self, SignatureError> {
        refuse_session_token(request, &request.query())?;
        let (date, date_written) = date(request)?;
        let parts = Parts::parse(authorization)?;
        let (access_key_id, scope) = credential::parse(parts.credential)
            .map_err(|invalid| invalid.into_error(SignatureError::AuthorizationHeaderMalformed))?;
        let day = date.amz_date().to_string();
        if !day.starts_with(&scope.date) {
            return Err(SignatureError::AuthorizationHeaderMalformed(format!(
                "Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \"{}\".",
                scope.date,
                &day[..8]
            )));
        }
        let payload_hash = request.header(CONTENT_SHA256).ok_or(SignatureError::InvalidRequest(
            "Missing required header for this request: x-amz-content-sha256",
        ))?;
        let signed_headers = SignedHeaders::parse(parts.signed_headers).ok_or_else(|| {
            SignatureError::AuthorizationHeaderMalformed(
                "SignedHeaders must be distinct header names, separated by ';'.".to_owned(),
            )
        })?;
        signed_headers.check(request.headers)?;
        let claim = Claim {
            access_key_id,
            scope,
            date,
            signed_headers,
            declared: Declared::read(request, payload_hash)?,
            payload_hash: payload_hash.to_owned(),
            signature: parts.signature.to_owned(),
        };
        Ok(Self { claim, date_written })
    }

    /// Who claims to have signed.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.claim.access_key_id
    }

    /// Checks date and signature.
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &SecretKey,
        now: Timestamp,
    ) -> Result<Payload, SignatureError> {
        check_skew(self.claim.date, &self.date_written, now)?;
        self.claim.verify(request, secret)
    }
}

/// The date of the request, and the text that it was read from.
///
/// S3: `x-amz-date` overrides `Date`, since many clients cannot set the latter.
fn date(request: &SignedRequest<'_>) -> Result<(Timestamp, String), SignatureError> {
    let written = request.header("x-amz-date").or_else(|| request.header("date"));
    written
        .and_then(|text| {
            let date = parse_amz_date(text).or_else(|| read_date(text))?;
            Some((date, text.to_owned()))
        })
        .ok_or_else(|| {
            SignatureError::AccessDenied(
                "AWS authentication requires a valid Date or x-amz-date header".to_owned(),
            )
        })
}

/// The three components of the header.
struct Parts<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    fn parse(authorization: &'a str) -> Result<Self, SignatureError> {
        let malformed = |reason: String| SignatureError::AuthorizationHeaderMalformed(reason);
        let components = authorization.trim().strip_prefix(ALGORITHM).unwrap_or_default();
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for component in components.split(',').map(str::trim) {
            let slot = match component.split_once('=') {
                Some(("Credential", value)) => (&mut credential, value),
                Some(("SignedHeaders", value)) => (&mut signed_headers, value),
                Some(("Signature", value)) => (&mut signature, value),
                Some(_) | None => {
                    return Err(malformed(format!(
                        "the authorization component \"{}\" is malformed.",
                        shortened(component)
                    )));
                }
            };
            if slot.0.replace(slot.1).is_some() {
                return Err(malformed(THREE_COMPONENTS.to_owned()));
            }
        }
        match (credential, signed_headers, signature) {
            (Some(credential), Some(signed_headers), Some(signature)) => {
                Ok(Self { credential, signed_headers, signature })
            }
            _ => Err(malformed(THREE_COMPONENTS.to_owned())),
        }
    }
}

const THREE_COMPONENTS: &str =
    "the authorization header requires three components: Credential, SignedHeaders, and Signature.";
