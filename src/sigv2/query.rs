//! Version 2 in the query: presigned links.

use super::string_to_sign::Claim;
use crate::model::{AccessKeyId, SecretKey, Timestamp};
use crate::signature::{Query, SignatureError, SignedRequest, refuse_session_token, shortened};

/// A well-formed version 2 query.
#[derive(Debug, Clone)]
pub struct QueryAuth {
    access_key_id: AccessKeyId,
    signature: String,
    expires: Timestamp,
    expires_written: String,
}

impl QueryAuth {
    /// Whether a query is of this kind, well-formed or not.
    ///
    /// `Expires` alone is not: it says nothing about who asks.
    pub fn is_in(query: &Query) -> bool {
        query.contains("AWSAccessKeyId") || query.contains("Signature")
    }

    /// Reads what the request presents, without checking the signature.
    pub fn read(request: &SignedRequest<'_>) -> Result<Self, SignatureError> {
        let query = request.query();
        refuse_session_token(request, &query)?;
        let required = |name| {
            query.get(name).ok_or_else(|| {
                SignatureError::AccessDenied(
                    "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
                        .to_owned(),
                )
            })
        };
        let (id, signature) = (required("AWSAccessKeyId")?, required("Signature")?);
        let expires_written = required("Expires")?;
        let expires = expires_written.parse().map(Timestamp::from_seconds).map_err(|_| {
            SignatureError::AccessDenied(format!(
                "Invalid date (should be seconds since epoch): {}",
                shortened(expires_written)
            ))
        })?;
        let access_key_id = AccessKeyId::parse(id)
            .ok_or_else(|| SignatureError::InvalidAccessKeyId { provided: shortened(id) })?;
        Ok(Self {
            access_key_id,
            signature: signature.to_owned(),
            expires,
            expires_written: expires_written.to_owned(),
        })
    }

    /// Who claims to have signed.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// Checks expiry and signature.
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &SecretKey,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        if now > self.expires {
            return Err(SignatureError::Expired {
                expires: self.expires,
                server_time: now,
                x_amz_expires: None,
            });
        }
        let claim = Claim {
            access_key_id: &self.access_key_id,
            date_line: &self.expires_written,
            signature: &self.signature,
            is_link: true,
        };
        claim.verify(request, secret)
    }
}
