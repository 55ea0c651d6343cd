//! Who asks and what they may do.

use std::fmt;

use super::BucketName;

/// The public half of a credential.
///
/// Invariant: 3 to 128 characters of `A-Z`, `a-z`, `0-9`, `_`, `-`, `.`, so that it never needs
/// escaping in a credential scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessKeyId(Box<str>);

impl AccessKeyId {
    /// Reads an access key id; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        ((3..=128).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The secret half of a credential. It has no `Display`, and `Debug` masks it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Box<str>);

impl SecretKey {
    /// Wraps a secret of at least 8 visible ASCII characters; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() >= 8 && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .then(|| Self(text.into()))
    }

    /// The secret itself, for signing and for showing once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey(***)")
    }
}

/// What goes along with a temporary credential. It has no `Display`, and `Debug` masks it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(Box<str>);

impl SessionToken {
    /// Wraps a token of visible ASCII characters; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        ((1..=8192).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .then(|| Self(text.into()))
    }

    /// The token itself, for signing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionToken(***)")
    }
}

/// Whom objects and buckets belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Canonical user id: 64 hexadecimal digits.
    pub id: String,
    /// A name for people.
    pub display_name: String,
}

impl Owner {
    /// The owner of what anonymous clients write.
    ///
    /// AWS: the canonical id of the anonymous user.
    pub fn anonymous() -> Self {
        Self { id: "65a011a29cdf8ec533ec3d1ccaae921c".to_owned(), display_name: "anonymous".to_owned() }
    }
}

/// A kind of access to objects or to their bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// GET and HEAD of objects.
    Read,
    /// PUT, POST and DELETE of objects and uploads.
    Write,
    /// Listing keys, versions and uploads.
    List,
    /// Creating, deleting and configuring buckets, and the admin face.
    Admin,
}

/// Lets its holder do some things with some keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The bucket it is for; `None` for every bucket.
    pub bucket: Option<BucketName>,
    /// The keys it is for: those that begin with this. Empty for every key.
    pub prefix: String,
    /// What it lets its holder do.
    pub permissions: Vec<Permission>,
}

/// Why a text is not a grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a grant: write PERMISSIONS:BUCKET[/PREFIX], such as \"read,list:my-bucket/pub/\" or \"read,write,list,admin:*\""
)]
pub struct InvalidGrant(String);

impl Grant {
    /// Everything, everywhere.
    pub fn all() -> Self {
        Self {
            bucket: None,
            prefix: String::new(),
            permissions: vec![Permission::Read, Permission::Write, Permission::List, Permission::Admin],
        }
    }

    /// Reads `PERMISSIONS:BUCKET[/PREFIX]`, with `*` for every bucket.
    pub fn parse(text: &str) -> Result<Self, InvalidGrant> {
        let invalid = || InvalidGrant(text.chars().take(120).collect());
        let (permissions, place) = text.split_once(':').ok_or_else(invalid)?;
        let permissions = permissions
            .split(',')
            .map(|name| match name.trim() {
                "read" => Ok(Permission::Read),
                "write" => Ok(Permission::Write),
                "list" => Ok(Permission::List),
                "admin" => Ok(Permission::Admin),
                _ => Err(invalid()),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let bucket = match bucket {
            "*" => None,
            name => Some(BucketName::parse(name).map_err(|_| invalid())?),
        };
        Ok(Self { bucket, prefix: prefix.to_owned(), permissions })
    }

    /// Whether it covers `permission` on `key` of `bucket`.
    ///
    /// For `List` the key is the listing's prefix; for requests about the bucket itself it is
    /// empty, so a grant that is limited to a prefix does not cover those.
    pub fn allows(&self, permission: Permission, bucket: &BucketName, key: &str) -> bool {
        self.permissions.contains(&permission)
            && self.bucket.as_ref().is_none_or(|granted| granted == bucket)
            && key.starts_with(&self.prefix)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, permission) in self.permissions.iter().enumerate() {
            let name = match permission {
                Permission::Read => "read",
                Permission::Write => "write",
                Permission::List => "list",
                Permission::Admin => "admin",
            };
            write!(formatter, "{}{name}", if index == 0 { "" } else { "," })?;
        }
        write!(formatter, ":{}", self.bucket.as_ref().map_or("*", BucketName::as_str))?;
        if self.prefix.is_empty() { Ok(()) } else { write!(formatter, "/{}", self.prefix) }
    }
}

impl<'de> serde::Deserialize<'de> for Grant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Grant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A key pair, whom it belongs to and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The public half.
    pub access_key_id: AccessKeyId,
    /// The secret half.
    pub secret_key: SecretKey,
    /// Whom it belongs to.
    pub owner: Owner,
    /// What it may do: the union of these.
    pub grants: Vec<Grant>,
}

#[cfg(test)]
mod tests {
    use super::{Grant, Permission, SecretKey};
    use crate::model::BucketName;

    #[test]
    fn grants_round_trip_and_cover_what_they_say() {
        let bucket = BucketName::parse("my-bucket").expect("a name");
        let other = BucketName::parse("other").expect("a name");
        let grant = Grant::parse("read,list:my-bucket/pub/").expect("a grant");
        assert_eq!(grant.to_string(), "read,list:my-bucket/pub/");
        for (permission, bucket, key, expected) in [
            (Permission::Read, &bucket, "pub/a", true),
            (Permission::Read, &bucket, "private", false),
            (Permission::Read, &other, "pub/a", false),
            (Permission::Write, &bucket, "pub/a", false),
            (Permission::List, &bucket, "pub/firefox/", true),
            (Permission::List, &bucket, "", false),
        ] {
            assert_eq!(grant.allows(permission, bucket, key), expected, "{permission:?} {bucket} {key}");
        }
    }

    #[test]
    fn malformed_grants_are_refused() {
        for text in ["", "read", "eat:bucket", "read:", "read:UPPER"] {
            assert!(Grant::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = SecretKey::parse("correct-horse").expect("a secret");
        assert_eq!(format!("{secret:?}"), "SecretKey(***)");
    }
}
