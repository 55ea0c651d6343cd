//! Signed assertions of service accounts: RS256 JSON Web Tokens. Pure.
//!
//! RFC 7515, RFC 7519, RFC 7523; Google: "Using OAuth 2.0 for server to server applications".

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::scope::Scope;
use crate::model::Timestamp;

/// Google: an assertion is valid for at most one hour.
const LIFETIME_SECONDS_MAX: i64 = 3600;
/// How far the clocks of two machines may be apart.
const SKEW_SECONDS_MAX: i64 = 300;

/// What assertions for Google's own token endpoint are made for.
const GOOGLE: &str = "https://oauth2.googleapis.com/token";

/// What assertions are made for that are sent to Google's storage as tokens.
const GOOGLE_STORAGE: &str = "https://storage.googleapis.com";

/// An assertion that was read, but not verified.
#[derive(Debug)]
pub(super) struct Assertion<'text> {
    /// Which key it says it was signed with.
    pub(super) key_id: String,
    claims: Claims,
    signed: &'text str,
    signature: Vec<u8>,
}

#[derive(Debug, serde::Deserialize)]
struct Header {
    alg: String,
    kid: String,
    /// RFC 7515 section 4.1.11: extensions that must be understood. There are none that are.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Debug, serde::Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    aud: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    exp: i64,
}

/// Why an assertion proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidAssertion {
    /// Not three parts of base64 with JSON in them, or not RS256.
    #[error("it is not a JSON Web Token signed with RS256 that names its key")]
    Malformed,
    /// `crit` names an extension.
    #[error("its header has \"crit\", and no extension is understood")]
    Critical,
    /// Signed with another key, or by another account.
    #[error("its signature or its issuer is not that of the key it names")]
    Signature,
    /// Used too late, or made for too long.
    #[error("it is expired, not valid yet, or valid for more than an hour; is the clock right?")]
    Time,
    /// Made for somebody else.
    #[error("its audience is another one: sign it for the token_uri of the key file")]
    Audience,
    /// Made to act as somebody else.
    #[error("its subject is not its issuer: a service account can only act as itself")]
    Subject,
    /// No scope, or one that is not understood.
    #[error(
        "its scope is missing or not understood: name devstorage.read_only, devstorage.read_write, \
         devstorage.full_control or cloud-platform, each as https://www.googleapis.com/auth/..."
    )]
    Scope,
}

impl<'text> Assertion<'text> {
    /// Reads an assertion.
    pub(super) fn parse(text: &'text str) -> Result<Self, InvalidAssertion> {
        let malformed = InvalidAssertion::Malformed;
        let (signed, signature) = text.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(malformed)?;
        let bytes =
            |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).map_err(|_| malformed);
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| malformed)?;
        let claims: Claims = serde_json::from_slice(&bytes(claims)?).map_err(|_| malformed)?;
        if header.alg != "RS256" {
            return Err(malformed);
        }
        if header.crit.is_some() {
            return Err(InvalidAssertion::Critical);
        }
        Ok(Self { key_id: header.kid, claims, signed, signature: bytes(signature)? })
    }

    /// Checks that `issuer` signed it with the key whose PKCS #1 form is `public_key`, and that it
    /// is valid now.
    pub(super) fn verify(
        &self,
        issuer: &str,
        public_key: &[u8],
        now: Timestamp,
    ) -> Result<(), InvalidAssertion> {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key);
        key.verify(self.signed.as_bytes(), &self.signature).map_err(|_| InvalidAssertion::Signature)?;
        if self.claims.iss != issuer {
            return Err(InvalidAssertion::Signature);
        }
        if self.claims.sub.as_ref().is_some_and(|subject| subject != issuer) {
            return Err(InvalidAssertion::Subject);
        }
        let Claims { iat, nbf, exp, .. } = self.claims;
        let now = now.as_seconds();
        let begun = iat.max(nbf.unwrap_or(iat)) <= now.saturating_add(SKEW_SECONDS_MAX);
        let short = (1..=LIFETIME_SECONDS_MAX).contains(&exp.saturating_sub(iat));
        if begun && short && exp > now { Ok(()) } else { Err(InvalidAssertion::Time) }
    }

    /// Whether it was made to get a token at this path. Its host is whatever name the client knows
    /// this server by. Google's Python library names Google's own endpoint wherever it asks.
    pub(super) fn check_audience(&self, path: &str) -> Result<(), InvalidAssertion> {
        let audience = self.claims.aud.as_deref().ok_or(InvalidAssertion::Audience)?;
        let ours = audience.parse::<http::Uri>().is_ok_and(|uri| uri.path() == path);
        if ours || audience == GOOGLE { Ok(()) } else { Err(InvalidAssertion::Audience) }
    }

    /// The scope that it asks for.
    pub(super) fn scope(&self) -> Result<Scope, InvalidAssertion> {
        self.claims.scope.as_deref().and_then(Scope::parse).ok_or(InvalidAssertion::Scope)
    }

    /// What it may be used for as a token itself.
    ///
    /// Google: such an assertion has an audience, which is the service, or a scope. `server_url` is what
    /// the account's key file calls this server; the `Host` of a request proves nothing.
    pub(super) fn scope_as_token(&self, server_url: Option<&str>) -> Result<Scope, InvalidAssertion> {
        let Some(audience) = self.claims.aud.as_deref() else { return self.scope() };
        let audience = audience.trim_end_matches('/');
        if audience != GOOGLE_STORAGE && Some(audience) != server_url {
            return Err(InvalidAssertion::Audience);
        }
        if self.claims.scope.is_some() { self.scope() } else { Ok(Scope::FullControl) }
    }
}
