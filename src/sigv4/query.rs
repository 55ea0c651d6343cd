//! Version 4 in the query: presigned links.
//!
//! AWS: "Authenticating Requests: Using Query Parameters".

use super::Payload;
use super::claim::Claim;
use super::credential::{self, Scope};
use super::date::parse_amz_date;
use super::payload::{CONTENT_SHA256, Declared, UNSIGNED_PAYLOAD};
use super::signed_headers::SignedHeaders;
use crate::model::{AccessKeyId, SecretKey, Timestamp};
use crate::signature::{MAX_SKEW_MS, Query, SignatureError, SignedRequest, refuse_session_token};

/// The longest life of a presigned link: a week.
pub(super) const EXPIRES_SECONDS_MAX: u32 = 604_800;

/// A well-formed version 4 query.
#[derive(Debug, Clone)]
pub struct QueryAuth {
    claim: Claim,
    expires_seconds: u32,
}

impl QueryAuth {
    /// Whether a query is of this kind, well-formed or not.
    pub fn is_in(query: &Query) -> bool {
        ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"].iter().any(|name| query.contains(name))
    }

    /// Reads what the request presents, without checking the signature.
    pub fn read(request: &SignedRequest<'_>) -> Result<Self, SignatureError> {
        let query = request.query();
        refuse_session_token(request, &query)?;
        check_algorithm(required(&query, "X-Amz-Algorithm")?)?;
        let (access_key_id, scope) =
            credential::parse(required(&query, "X-Amz-Credential")?).map_err(|invalid| {
                invalid.into_error(|reason| {
                    malformed(&format!("Error parsing the X-Amz-Credential parameter; {reason}"))
                })
            })?;
        let date = date(required(&query, "X-Amz-Date")?, &scope)?;
        let expires_seconds = expires_seconds(required(&query, "X-Amz-Expires")?)?;
        let signature = required(&query, "X-Amz-Signature")?.to_owned();
        // S3: an empty list is one that lacks `host`, not a parameter that is missing.
        let signed_headers = query.get("X-Amz-SignedHeaders").ok_or_else(incomplete)?;
        let signed_headers = SignedHeaders::parse(signed_headers).ok_or_else(|| {
            malformed("X-Amz-SignedHeaders must be distinct header names, separated by ';'")
        })?;
        signed_headers.check(request.headers)?;
        let payload_hash = query
            .get("X-Amz-Content-Sha256")
            .or_else(|| request.header(CONTENT_SHA256))
            .unwrap_or(UNSIGNED_PAYLOAD)
            .to_owned();
        let claim = Claim {
            access_key_id,
            scope,
            date,
            signed_headers,
            declared: Declared::read(request, &payload_hash)?,
            payload_hash,
            signature,
        };
        Ok(Self { claim, expires_seconds })
    }

    /// Who claims to have signed.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.claim.access_key_id
    }

    /// Checks dates and signature.
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &SecretKey,
        now: Timestamp,
    ) -> Result<Payload, SignatureError> {
        self.check_dates(now)?;
        self.claim.verify(request, secret)
    }

    fn check_dates(&self, now: Timestamp) -> Result<(), SignatureError> {
        if self.claim.date.as_ms() > now.as_ms() + MAX_SKEW_MS {
            return Err(SignatureError::NotYetValid { valid_from: self.claim.date, server_time: now });
        }
        let expires = Timestamp::from_seconds(self.claim.date.as_seconds() + i64::from(self.expires_seconds));
        if now > expires {
            return Err(SignatureError::Expired {
                expires,
                server_time: now,
                x_amz_expires: Some(self.expires_seconds),
            });
        }
        Ok(())
    }
}

fn malformed(message: &str) -> SignatureError {
    SignatureError::AuthorizationQueryParametersError(message.to_owned())
}

fn incomplete() -> SignatureError {
    malformed(
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
    )
}

fn required<'a>(query: &'a Query, name: &str) -> Result<&'a str, SignatureError> {
    query.get(name).filter(|value| !value.is_empty()).ok_or_else(incomplete)
}

fn check_algorithm(algorithm: &str) -> Result<(), SignatureError> {
    match algorithm {
        "AWS4-HMAC-SHA256" => Ok(()),
        "AWS4-ECDSA-P256-SHA256" => {
            Err(SignatureError::NotImplemented { header: "X-Amz-Algorithm", value: algorithm.to_owned() })
        }
        _ => Err(malformed("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"")),
    }
}

fn date(text: &str, scope: &Scope) -> Result<Timestamp, SignatureError> {
    let date = parse_amz_date(text)
        .ok_or_else(|| malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?;
    if !text.starts_with(&scope.date) {
        return Err(malformed(&format!(
            "Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \"{}\".",
            scope.date,
            &text[..8]
        )));
    }
    Ok(date)
}

fn expires_seconds(text: &str) -> Result<u32, SignatureError> {
    let seconds: i64 = text.parse().map_err(|_| malformed("X-Amz-Expires should be a number"))?;
    match u32::try_from(seconds) {
        Ok(0) => Err(malformed("X-Amz-Expires must be at least 1 second")),
        Ok(seconds) if seconds <= EXPIRES_SECONDS_MAX => Ok(seconds),
        Err(_) if seconds < 0 => Err(malformed("X-Amz-Expires must be non-negative")),
        Ok(_) | Err(_) => Err(malformed(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        )),
    }
}
