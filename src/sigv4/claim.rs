//! What a client says that it signed, and checking that it did.
//!
//! AWS: "Create a signed AWS API request", with S3's exceptions: the path is encoded once and not
//! normalised.

use sha2::{Digest as _, Sha256};

use super::Payload;
use super::chunked::Signing;
use super::credential::{Scope, SigningKey};
use super::payload::Declared;
use super::signed_headers::SignedHeaders;
use crate::model::{AccessKeyId, SecretKey, Timestamp};
use crate::signature::{Mismatch, SignatureError, SignedRequest, same_text, shortened};

/// The claim of a header or of a query, read and not yet checked.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) access_key_id: AccessKeyId,
    pub(super) scope: Scope,
    pub(super) date: Timestamp,
    pub(super) signed_headers: SignedHeaders,
    /// The last line of the canonical request, as the client wrote it.
    pub(super) payload_hash: String,
    /// The same, read.
    pub(super) declared: Declared,
    pub(super) signature: String,
}

impl Claim {
    /// Checks the signature against every spelling of the request that decodes to the same key.
    pub(super) fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &SecretKey,
    ) -> Result<Payload, SignatureError> {
        let key = SigningKey::derive(secret, &self.scope);
        let query = request.query().canonical("X-Amz-Signature");
        let mut shown = None;
        for path in request.path_spellings() {
            let canonical = self.canonical_request(request, &path, &query);
            let string_to_sign = self.string_to_sign(&canonical);
            if same_text(&key.sign(&string_to_sign), &self.signature) {
                return Ok(self.payload(key));
            }
            shown.get_or_insert((canonical, string_to_sign));
        }
        let (canonical, string_to_sign) = shown.unwrap_or_default();
        Err(SignatureError::DoesNotMatch(Box::new(Mismatch {
            access_key_id: self.access_key_id.clone(),
            string_to_sign,
            canonical_request: Some(String::from_utf8_lossy(&canonical).into_owned()),
            signature_provided: shortened(&self.signature),
        })))
    }

    fn canonical_request(&self, request: &SignedRequest<'_>, path: &str, query: &str) -> Vec<u8> {
        let mut canonical = format!("{}\n{path}\n{query}\n", request.method).into_bytes();
        self.signed_headers.write_canonical(request.headers, &mut canonical);
        let end = format!("\n{}\n{}", self.signed_headers.as_str(), self.payload_hash);
        canonical.extend_from_slice(end.as_bytes());
        canonical
    }

    fn string_to_sign(&self, canonical: &[u8]) -> String {
        let hash = hex::encode(Sha256::digest(canonical));
        format!("AWS4-HMAC-SHA256\n{}\n{hash}", self.date_and_scope())
    }

    fn date_and_scope(&self) -> String {
        format!("{}\n{}", self.date.amz_date(), self.scope)
    }

    fn payload(&self, key: SigningKey) -> Payload {
        match self.declared {
            Declared::Unsigned => Payload::Unsigned,
            Declared::Sha256(sha256) => Payload::Sha256(sha256),
            Declared::StreamingUnsignedTrailer => Payload::StreamingUnsignedTrailer,
            Declared::Streaming { trailer } => Payload::Streaming(Signing {
                access_key_id: self.access_key_id.clone(),
                key,
                date_and_scope: self.date_and_scope(),
                previous: self.signature.clone(),
                trailer,
            }),
        }
    }
}
