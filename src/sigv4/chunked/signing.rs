//! The chain of signatures over the chunks: each signs the one before it.

use sha2::{Digest as _, Sha256};

use crate::model::AccessKeyId;
use crate::signature::{Mismatch, same_text, shortened};
use crate::sigv4::credential::SigningKey;

/// What the chunks of one request are signed with, beginning at the request's own signature.
///
/// Made by verifying the request; `Debug` does not show the key.
#[derive(Debug, Clone)]
pub struct Signing {
    pub(in crate::sigv4) access_key_id: AccessKeyId,
    pub(in crate::sigv4) key: SigningKey,
    /// As it stands in each string to sign.
    pub(in crate::sigv4) date_and_scope: String,
    /// The signature that the next one continues.
    pub(in crate::sigv4) previous: String,
    /// Whether the trailers are signed too.
    pub(in crate::sigv4) trailer: bool,
}

impl Signing {
    /// Whether the trailers are signed too, and so whether there may be any.
    pub(super) fn has_trailer(&self) -> bool {
        self.trailer
    }

    /// Checks the signature of the next chunk, given the hash of its bytes.
    pub(super) fn check_chunk(&mut self, sha256: [u8; 32], provided: &str) -> Result<(), Box<Mismatch>> {
        let string_to_sign = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}",
            self.date_and_scope,
            self.previous,
            hex::encode(Sha256::digest(b"")),
            hex::encode(sha256)
        );
        self.check(string_to_sign, provided)
    }

    /// Checks the signature of the trailers, given as `name:value\n` lines.
    pub(super) fn check_trailer(&mut self, trailers: &[u8], provided: &str) -> Result<(), Box<Mismatch>> {
        let hash = hex::encode(Sha256::digest(trailers));
        let string_to_sign =
            format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{hash}", self.date_and_scope, self.previous);
        self.check(string_to_sign, provided)
    }

    fn check(&mut self, string_to_sign: String, provided: &str) -> Result<(), Box<Mismatch>> {
        let signature = self.key.sign(&string_to_sign);
        if !same_text(&signature, provided) {
            return Err(Box::new(Mismatch {
                access_key_id: self.access_key_id.clone(),
                string_to_sign,
                canonical_request: None,
                signature_provided: shortened(provided),
            }));
        }
        self.previous = signature;
        Ok(())
    }
}
