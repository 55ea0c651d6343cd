//! The credential of version 4: who signs, for which day and region, and the key made from that.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::{AccessKeyId, SecretKey};
use crate::signature::{SignatureError, shortened};

/// `20130524/us-east-1/s3/aws4_request`: what a signature is good for.
///
/// Any region will do, since it is part of what is signed; the service is always `s3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) date: String,
    pub(super) region: String,
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/s3/aws4_request", self.date, self.region)
    }
}

/// What is wrong with the text of a credential, in S3's words.
pub(super) enum InvalidCredential {
    /// The text does not have the form of one.
    Malformed(String),
    /// It has, but no access key id looks like this.
    UnknownId(String),
}

impl InvalidCredential {
    /// As an error, with the reason put in the words of where the text stood.
    pub(super) fn into_error(self, malformed: impl FnOnce(String) -> SignatureError) -> SignatureError {
        match self {
            Self::Malformed(reason) => malformed(reason),
            Self::UnknownId(provided) => SignatureError::InvalidAccessKeyId { provided },
        }
    }
}

/// Reads `AKID/20130524/us-east-1/s3/aws4_request`.
pub(super) fn parse(text: &str) -> Result<(AccessKeyId, Scope), InvalidCredential> {
    let parts: Vec<&str> = text.split('/').collect();
    let [id, date, region, service, terminal] = parts.as_slice() else {
        let reason =
            "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
        return Err(InvalidCredential::Malformed(reason.to_owned()));
    };
    let malformed = |reason: String| Err(InvalidCredential::Malformed(reason));
    if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return malformed(format!(
            "incorrect date format \"{}\". This date in the credential must be in the format \"yyyyMMdd\".",
            shortened(date)
        ));
    }
    if region.is_empty() {
        return malformed("a non-empty region must be provided in the credential.".to_owned());
    }
    if *service != "s3" {
        return malformed(format!(
            "incorrect service \"{}\". This endpoint belongs to \"s3\".",
            shortened(service)
        ));
    }
    if *terminal != "aws4_request" {
        return malformed(format!(
            "incorrect terminal \"{}\". This endpoint uses \"aws4_request\".",
            shortened(terminal)
        ));
    }
    let id = AccessKeyId::parse(id).ok_or_else(|| InvalidCredential::UnknownId(shortened(id)))?;
    Ok((id, Scope { date: (*date).to_owned(), region: (*region).to_owned() }))
}

/// The key of one day, region and service. As good as the secret within its scope, so `Debug`
/// masks it.
#[derive(Clone)]
pub(super) struct SigningKey([u8; 32]);

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(***)")
    }
}

impl SigningKey {
    /// Derives the key of a scope.
    pub(super) fn derive(secret: &SecretKey, scope: &Scope) -> Self {
        let mut key = hmac(format!("AWS4{}", secret.expose()).as_bytes(), scope.date.as_bytes());
        for part in [scope.region.as_str(), "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        Self(key)
    }

    /// Signs, giving lower-case hexadecimal digits.
    pub(super) fn sign(&self, string_to_sign: &str) -> String {
        hex::encode(hmac(&self.0, string_to_sign.as_bytes()))
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
