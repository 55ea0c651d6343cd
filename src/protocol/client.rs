//! Which kind of client asks: one that follows a redirect to another host, or an SDK. Pure.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::auth::Identity;
use crate::fallback::ClientKind;

/// Headers that SDKs of S3 and GCS send, signed or not.
const SDK_HEADERS: [&str; 2] = ["x-amz-user-agent", "x-goog-api-client"];

/// `amz-sdk-invocation-id`, `amz-sdk-request`.
const SDK_PREFIX: &str = "amz-sdk-";

/// Tells clients apart by the headers that came with the request itself, not by what a presigned
/// link carries in its query: links are handed to curl.
pub fn kind(headers: &HeaderMap, identity: &Identity) -> ClientKind {
    let signed = headers.contains_key(AUTHORIZATION) && !identity.is_anonymous();
    let sdk = |name: &str| name.starts_with(SDK_PREFIX) || SDK_HEADERS.contains(&name);
    if signed || headers.keys().any(|name| sdk(name.as_str())) { ClientKind::Sdk } else { ClientKind::Plain }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderMap, HeaderValue};

    use super::kind;
    use crate::fallback::ClientKind;
    use crate::model::{AccessKeyId, Credential, Owner, SecretKey};
    use crate::protocol::auth::Identity;

    #[test]
    fn sdks_show_themselves_by_their_signature_or_their_headers() {
        let holder = Identity::holder(Arc::new(Credential {
            access_key_id: AccessKeyId::parse("AKTEST").expect("valid"),
            secret_key: SecretKey::parse("secret-of-the-test").expect("valid"),
            owner: Owner::anonymous(),
            grants: Vec::new(),
        }));
        let nobody = Identity::anonymous();
        for (identity, header, expected) in [
            (&nobody, "user-agent", ClientKind::Plain),
            (&nobody, "range", ClientKind::Plain),
            (&nobody, "amz-sdk-invocation-id", ClientKind::Sdk),
            (&nobody, "amz-sdk-request", ClientKind::Sdk),
            (&nobody, "x-amz-user-agent", ClientKind::Sdk),
            (&nobody, "x-goog-api-client", ClientKind::Sdk),
            (&holder, "authorization", ClientKind::Sdk),
            // A presigned link: its holder is known, but nobody signed the headers.
            (&holder, "user-agent", ClientKind::Plain),
            // Not a signature, or it would have been refused.
            (&nobody, "authorization", ClientKind::Plain),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header, HeaderValue::from_static("anything"));
            assert_eq!(kind(&headers, identity), expected, "{header} of {identity:?}");
        }
    }
}
