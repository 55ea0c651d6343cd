//! Who asks: the signature of a request against the table of credentials.
//!
//! Deliberately elsewhere: reading and verifying signatures (`signature`, `sigv4`, `sigv2`), what
//! the one who asks may do (`access`).

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;

use crate::model::{AccessKeyId, Credential, Grant, Owner, Timestamp};
use crate::presented::Presented;
use crate::signature::{SignatureError, SignedRequest, Version};
use crate::sigv4::{Payload, unsigned_payload};

/// The credentials that requests are checked against.
#[derive(Debug, Clone, Default)]
pub struct Credentials(HashMap<AccessKeyId, Arc<Credential>>);

/// Two credentials have the same access key id, so one of them could never be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two credentials have the access key id {0}: give each its own")]
pub struct DuplicateAccessKeyId(pub AccessKeyId);

impl Credentials {
    /// Makes the table.
    pub fn new(credentials: impl IntoIterator<Item = Credential>) -> Result<Self, DuplicateAccessKeyId> {
        let mut table = HashMap::new();
        for credential in credentials {
            let id = credential.access_key_id.clone();
            if table.insert(id.clone(), Arc::new(credential)).is_some() {
                return Err(DuplicateAccessKeyId(id));
            }
        }
        Ok(Self(table))
    }

    /// The credential of an access key id.
    pub fn find(&self, id: &AccessKeyId) -> Option<&Arc<Credential>> {
        self.0.get(id)
    }

    /// Finds out who sent a request, and checks that it did.
    ///
    /// A request without a signature is anonymous; one whose signature is wrong is refused, even
    /// where the anonymous would be served.
    pub fn authenticate(
        &self,
        request: &SignedRequest<'_>,
        now: Timestamp,
    ) -> Result<Authenticated, AuthError> {
        let presented = Presented::read(request)?;
        let Some(id) = presented.access_key_id() else {
            return Ok(Authenticated {
                identity: Identity::anonymous(),
                payload: unsigned_payload(request)?,
                further_headers: HeaderMap::new(),
                version: None,
            });
        };
        let credential = self.find(id).ok_or_else(|| AuthError::InvalidAccessKeyId(id.clone()))?;
        let verified = presented.verify(request, &credential.secret_key, now)?;
        Ok(Authenticated {
            identity: Identity::holder(credential.clone()),
            payload: verified.payload,
            further_headers: presented.further_headers(request),
            version: presented.version(),
        })
    }
}

/// Who sent a request, and how its body is protected.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// Who sent it.
    pub identity: Identity,
    /// What the signature says of the body.
    pub payload: Payload,
    /// Headers that SDKs move into the query of a presigned link. They were signed there, so they
    /// count as if they had been sent.
    pub further_headers: HeaderMap,
    /// By which version of AWS's signature it was signed; none for an anonymous request.
    pub version: Option<Version>,
}

/// Why nobody could be made out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No credential has this access key id.
    #[error("The AWS Access Key Id you provided does not exist in our records.")]
    InvalidAccessKeyId(AccessKeyId),
    /// The signature is malformed, out of date or wrong.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// The one who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(Option<Arc<Credential>>);

impl Identity {
    /// Somebody without a signature.
    pub fn anonymous() -> Self {
        Self(None)
    }

    /// The holder of a credential whose signature was verified.
    pub fn holder(credential: Arc<Credential>) -> Self {
        Self(Some(credential))
    }

    /// Whether the request came without a signature.
    pub fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }

    /// Whom buckets and objects belong to that this one makes.
    pub fn owner(&self) -> Owner {
        self.0.as_ref().map_or_else(Owner::anonymous, |credential| credential.owner.clone())
    }

    /// The grants of the credential; none for the anonymous.
    pub fn grants(&self) -> &[Grant] {
        self.0.as_ref().map_or(&[], |credential| &credential.grants)
    }

    /// The access key id; none for the anonymous.
    pub fn access_key_id(&self) -> Option<&AccessKeyId> {
        self.0.as_ref().map(|credential| &credential.access_key_id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, Method};

    use super::{AuthError, Credentials, DuplicateAccessKeyId};
    use crate::model::{AccessKeyId, BucketName, Credential, Grant, ObjectKey, Owner, SecretKey, Timestamp};
    use crate::signature::{SignatureError, SignedRequest};
    use crate::sigv4::{Payload, Presign, presign};

    const NOW: i64 = 1_795_209_619;

    fn credential(id: &str, secret: &str) -> Credential {
        Credential {
            access_key_id: AccessKeyId::parse(id).expect("an id"),
            secret_key: SecretKey::parse(secret).expect("a secret"),
            owner: Owner { id: format!("owner of {id}"), display_name: id.to_owned() },
            grants: vec![Grant::all()],
        }
    }

    fn table() -> Credentials {
        Credentials::new([credential("AKONE", "secret-one"), credential("AKTWO", "secret-two")])
            .expect("the ids differ")
    }

    /// A link of this credential, as its path and query.
    fn link(credential: &Credential) -> (String, String) {
        let wanted = Presign {
            method: &Method::GET,
            endpoint: "http://127.0.0.1:8000",
            region: "us-east-1",
            access_key_id: &credential.access_key_id,
            secret_key: &credential.secret_key,
            bucket: &BucketName::parse("releases").expect("a name"),
            key: &ObjectKey::parse("pub/a b").expect("a key"),
            query: &[],
            headers: &[],
            expires: Duration::from_mins(1),
        };
        let url = presign(&wanted, Timestamp::from_seconds(NOW)).expect("a link");
        let rest = url.strip_prefix("http://127.0.0.1:8000").expect("the endpoint");
        let (path, query) = rest.split_once('?').expect("a query");
        (path.to_owned(), query.to_owned())
    }

    fn authenticate(path: &str, query: &str, now: i64) -> Result<super::Authenticated, AuthError> {
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:8000".parse().expect("a host"));
        let request =
            SignedRequest { method: &Method::GET, path, query, headers: &headers, virtual_host_bucket: None };
        table().authenticate(&request, Timestamp::from_seconds(now))
    }

    #[test]
    fn a_signature_names_its_owner() {
        let (path, query) = link(&credential("AKTWO", "secret-two"));
        let authenticated = authenticate(&path, &query, NOW).expect("a valid link");
        let identity = authenticated.identity;
        assert_eq!(identity.access_key_id().map(AccessKeyId::as_str), Some("AKTWO"));
        assert_eq!(identity.owner().id, "owner of AKTWO");
        assert_eq!(identity.grants(), [Grant::all()]);
        assert!(!identity.is_anonymous());
        assert!(matches!(authenticated.payload, Payload::Unsigned));
    }

    #[test]
    fn a_request_without_a_signature_is_anonymous_and_has_no_grants() {
        let identity = authenticate("/releases/a", "", NOW).expect("nothing to verify").identity;
        assert!(identity.is_anonymous() && identity.grants().is_empty());
        assert_eq!(identity.owner(), Owner::anonymous());
        assert_eq!(identity.access_key_id(), None);
    }

    #[test]
    fn signatures_that_do_not_hold_are_refused() {
        let (path, query) = link(&credential("AKONE", "secret-two"));
        let error = authenticate(&path, &query, NOW).expect_err("another secret");
        assert!(matches!(error, AuthError::Signature(SignatureError::DoesNotMatch(_))), "{error:?}");

        let (path, query) = link(&credential("AKONE", "secret-one"));
        let error = authenticate(&path, &query, NOW + 61).expect_err("too late");
        assert!(matches!(error, AuthError::Signature(SignatureError::Expired { .. })), "{error:?}");
        let error = authenticate("/releases/other", &query, NOW).expect_err("another key");
        assert!(matches!(error, AuthError::Signature(SignatureError::DoesNotMatch(_))), "{error:?}");

        let (path, query) = link(&credential("AKTHREE", "secret-one"));
        let error = authenticate(&path, &query, NOW).expect_err("no such credential");
        assert_eq!(error, AuthError::InvalidAccessKeyId(AccessKeyId::parse("AKTHREE").expect("an id")));
    }

    #[test]
    fn two_credentials_cannot_share_an_id() {
        let same = Credentials::new([credential("AKONE", "secret-one"), credential("AKONE", "secret-two")]);
        let duplicate = same.expect_err("the ids are the same");
        assert_eq!(duplicate, DuplicateAccessKeyId(AccessKeyId::parse("AKONE").expect("an id")));
    }

    #[test]
    fn no_secret_is_shown() {
        assert!(!format!("{:?}", table()).contains("secret-one"));
    }
}
