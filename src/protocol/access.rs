//! May they: grants against a permission, a bucket and a key. Pure.
//!
//! Anonymous access is a list of ordinary grants from the configuration. They are given to
//! everybody, so a signed request never has less than an unsigned one.
//!
//! Deliberately elsewhere: who asks (`auth`), which permission an operation needs (the faces).

use super::auth::Identity;
use crate::model::{BucketName, Grant, Permission};

/// Nobody who asks in this way may do this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{who} has no grant for {permission:?} on {bucket}/{key}: add one such as \"{}\" to the credential or to `anonymous`",
    self.missing_grant()
)]
pub struct Denied {
    /// Access key id, or `anonymous`.
    who: String,
    /// What was asked for.
    permission: Permission,
    /// In which bucket.
    bucket: BucketName,
    /// For which key, or for which prefix of a listing.
    key: String,
}

impl Denied {
    /// What was asked for.
    pub fn permission(&self) -> Permission {
        self.permission
    }

    /// The bucket-wide grant that would do.
    fn missing_grant(&self) -> Grant {
        Grant { bucket: Some(self.bucket.clone()), prefix: String::new(), permissions: vec![self.permission] }
    }
}

/// Decides whether `identity` may do `permission` to `key` of `bucket`.
///
/// For listings the key is the listing's prefix; for requests about the bucket itself it is empty.
pub fn authorize(
    identity: &Identity,
    anonymous: &[Grant],
    permission: Permission,
    bucket: &BucketName,
    key: &str,
) -> Result<(), Denied> {
    if held(identity, anonymous).any(|grant| grant.allows(permission, bucket, key)) {
        return Ok(());
    }
    Err(Denied {
        who: identity.access_key_id().map_or_else(|| "anonymous".to_owned(), ToString::to_string),
        permission,
        bucket: bucket.clone(),
        key: key.chars().take(KEY_CHARS_MAX).collect(),
    })
}

/// Decides whether `identity` may ask of a bucket that it is there, where it is and whether it keeps
/// versions: whoever may list anything in it. A listing shows as much.
///
/// AWS: `HeadBucket` needs `s3:ListBucket`; a policy that grants it below a prefix refuses the
/// question, but boto's `get_bucket` asks it before each listing.
pub fn authorize_bucket(identity: &Identity, anonymous: &[Grant], bucket: &BucketName) -> Result<(), Denied> {
    let lists = |grant: &Grant| grant.allows(Permission::List, bucket, &grant.prefix);
    if held(identity, anonymous).any(lists) {
        return Ok(());
    }
    authorize(identity, anonymous, Permission::List, bucket, "")
}

/// Whether any grant names the bucket at all: what `ListBuckets` shows.
pub fn may_see(identity: &Identity, anonymous: &[Grant], bucket: &BucketName) -> bool {
    held(identity, anonymous).any(|grant| grant.bucket.as_ref().is_none_or(|granted| granted == bucket))
}

/// A hostile prefix may be long; a message carries only its beginning.
const KEY_CHARS_MAX: usize = 200;

fn held<'grants>(
    identity: &'grants Identity,
    anonymous: &'grants [Grant],
) -> impl Iterator<Item = &'grants Grant> {
    identity.grants().iter().chain(anonymous)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{authorize, authorize_bucket, may_see};
    use crate::model::{AccessKeyId, BucketName, Credential, Grant, Owner, Permission, SecretKey};
    use crate::protocol::auth::Identity;

    fn grants(texts: &[&str]) -> Vec<Grant> {
        texts.iter().map(|text| Grant::parse(text).expect("the tests' grants are valid")).collect()
    }

    fn holder(texts: &[&str]) -> Identity {
        Identity::holder(Arc::new(Credential {
            access_key_id: AccessKeyId::parse("AKTEST").expect("valid"),
            secret_key: SecretKey::parse("secret-of-the-test").expect("valid"),
            owner: Owner::anonymous(),
            grants: grants(texts),
        }))
    }

    fn bucket(name: &str) -> BucketName {
        BucketName::parse(name).expect("the tests' names are valid")
    }

    #[test]
    fn a_request_needs_a_grant_of_its_own_or_of_everybody() {
        use Permission::{Admin, List, Read, Write};
        let writer = holder(&["read,write:candidates/pub/"]);
        let nobody = Identity::anonymous();
        let anonymous = grants(&["read:releases", "list:releases/pub/"]);
        for (identity, permission, name, key, allowed) in [
            (&writer, Write, "candidates", "pub/a", true),
            (&writer, Write, "candidates", "private/a", false),
            (&writer, Write, "releases", "pub/a", false),
            (&writer, List, "candidates", "pub/", false),
            (&writer, Read, "releases", "anything", true),
            (&nobody, Read, "releases", "anything", true),
            (&nobody, Write, "releases", "anything", false),
            (&nobody, Read, "candidates", "pub/a", false),
            (&nobody, List, "releases", "pub/firefox/", true),
            // A listing of all keys would show those outside of the prefix.
            (&nobody, List, "releases", "", false),
            (&nobody, Admin, "releases", "", false),
        ] {
            let decision = authorize(identity, &anonymous, permission, &bucket(name), key);
            assert_eq!(decision.is_ok(), allowed, "{permission:?} {name}/{key}");
        }
    }

    #[test]
    fn a_bucket_is_there_for_whoever_may_list_anything_in_it() {
        let nobody = Identity::anonymous();
        for (anonymous, name, expected) in [
            (&["list:releases/pub/"][..], "releases", true),
            (&["read,list:releases"], "releases", true),
            (&["list:*"], "candidates", true),
            (&["list:releases/pub/"], "candidates", false),
            (&["read,write:releases/pub/"], "releases", false),
            (&[], "releases", false),
        ] {
            let decision = authorize_bucket(&nobody, &grants(anonymous), &bucket(name));
            assert_eq!(decision.is_ok(), expected, "{anonymous:?} {name}");
        }
        let anonymous = grants(&["list:releases/pub/"]);
        let whole = authorize(&nobody, &anonymous, Permission::List, &bucket("releases"), "");
        assert!(whole.is_err(), "a listing of all of it is another question");
    }

    #[test]
    fn a_denial_says_who_what_and_which_grant_is_missing() {
        let denied = authorize(&Identity::anonymous(), &[], Permission::Read, &bucket("releases"), "pub/a")
            .expect_err("nothing is granted");
        assert_eq!(
            denied.to_string(),
            "anonymous has no grant for Read on releases/pub/a: add one such as \"read:releases\" to the credential or to `anonymous`"
        );
    }

    #[test]
    fn a_bucket_is_seen_by_whoever_has_any_grant_on_it() {
        let identity = holder(&["read:releases/pub/"]);
        assert!(may_see(&identity, &[], &bucket("releases")));
        assert!(!may_see(&identity, &[], &bucket("candidates")));
        assert!(may_see(&Identity::anonymous(), &grants(&["read:*"]), &bucket("candidates")));
        assert!(!may_see(&Identity::anonymous(), &[], &bucket("candidates")));
    }
}
