//! Version 2 in the `Authorization` header.

use super::string_to_sign::Claim;
use crate::model::{AccessKeyId, SecretKey, Timestamp};
use crate::signature::{
    SignatureError, SignedRequest, check_skew, read_date, refuse_session_token, shortened,
};

/// A well-formed `Authorization: AWS AKID:signature`, with the date that belongs to it.
#[derive(Debug, Clone)]
pub struct HeaderAuth {
    access_key_id: AccessKeyId,
    signature: String,
    date: Timestamp,
    date_written: String,
    /// Whether the date stood in `x-amz-date`, which leaves the `Date` line empty.
    is_amz_date: bool,
}

impl HeaderAuth {
    /// Reads what the request presents, without checking the signature.
    ///
    /// `authorization` is the value of the header.
    pub fn read(request: &SignedRequest<'_>, authorization: &str) -> Result<Self, SignatureError> {
        refuse_session_token(request, &request.query())?;
        let (id, signature) = authorization
            .trim()
            .strip_prefix("AWS ")
            .and_then(|credential| credential.trim().split_once(':'))
            .ok_or_else(|| SignatureError::InvalidArgument {
                message: "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
                name: "Authorization",
                value: shortened(authorization),
            })?;
        let access_key_id = AccessKeyId::parse(id)
            .ok_or_else(|| SignatureError::InvalidAccessKeyId { provided: shortened(id) })?;
        let amz_date = request.header("x-amz-date");
        let written = amz_date.or_else(|| request.header("date"));
        let (date, date_written) =
            written.and_then(|text| Some((read_date(text)?, text.to_owned()))).ok_or_else(|| {
                SignatureError::AccessDenied(
                    "AWS authentication requires a valid Date or x-amz-date header".to_owned(),
                )
            })?;
        let is_amz_date = amz_date.is_some();
        Ok(Self { access_key_id, signature: signature.to_owned(), date, date_written, is_amz_date })
    }

    /// Who claims to have signed.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// Checks date and signature.
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &SecretKey,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        check_skew(self.date, &self.date_written, now)?;
        let date_line = if self.is_amz_date { "" } else { self.date_written.trim() };
        let claim = Claim {
            access_key_id: &self.access_key_id,
            date_line,
            signature: &self.signature,
            is_link: false,
        };
        claim.verify(request, secret)
    }
}
