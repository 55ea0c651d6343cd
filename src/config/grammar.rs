//! What a configuration file may say. Each value is checked where it is read, so that what is
//! wrong can be told with its line; how settings come together is not known here.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use super::listen::Listen;
use super::production::{CacheTable, UpstreamTable};
use super::units::{Size, Span};
use crate::model::{AccessKeyId, BucketName, Grant, HostName, Owner, Permission, SecretKey};
use crate::server::Cidr;
use crate::store::{self, Durability, VerifyReads};
use crate::{archive, fallback, protocol, s3, server};

/// A whole file.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Grammar {
    /// The preset that the file builds on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) preset: Option<String>,
    pub(super) server: ServerTable,
    pub(super) limits: LimitsTable,
    pub(super) upstream: UpstreamTable,
    pub(super) cache: CacheTable,
    #[serde(skip_serializing)]
    pub(super) bucket: Vec<BucketTable>,
    #[serde(skip_serializing)]
    pub(super) credential: Vec<CredentialTable>,
    #[serde(skip_serializing)]
    pub(super) archive: Vec<archive::Config>,
    #[serde(skip_serializing)]
    pub(super) release: ReleaseTable,
}

/// `[release]`: what is rehearsed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReleaseTable {
    pub(super) under_test: fallback::Said,
}

/// `[server]`: where the stage is and how it is reached.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServerTable {
    pub(super) listen: Listen,
    pub(super) data_dir: PathBuf,
    pub(super) ephemeral: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls_cert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls_key: Option<PathBuf>,
    pub(super) anonymous: Anonymous,
    pub(super) base_domains: Vec<String>,
    pub(super) region: String,
    pub(super) trusted_proxies: Vec<Cidr>,
    pub(super) hosts: Vec<HostName>,
    pub(super) website_hosts: Vec<HostName>,
}

/// `[limits]`: what clients may use up, and what is left free.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsTable {
    pub(super) connections: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connections_per_peer: Option<NonZeroUsize>,
    pub(super) head_size: Size,
    pub(super) object_size: Size,
    pub(super) document_size: Size,
    pub(super) head_timeout: Span,
    pub(super) stall_timeout: Span,
    pub(super) slow_rate: Size,
    pub(super) slow_grace: Span,
    pub(super) stop_timeout: Span,
    pub(super) inline_size: Size,
    pub(super) buffers: Size,
    pub(super) disk_reserve: Size,
    pub(super) ballast_size: Size,
    pub(super) verify_reads: Verify,
}

/// `[[bucket]]`: a bucket that is there from the start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BucketTable {
    pub(super) name: BucketName,
    #[serde(default)]
    pub(super) anonymous: Anonymous,
    #[serde(default)]
    pub(super) fallback: Vec<fallback::Rule>,
}

/// `[[credential]]`: a key pair.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialTable {
    #[serde(deserialize_with = "access_key_id")]
    pub(super) access_key_id: AccessKeyId,
    #[serde(deserialize_with = "secret_key")]
    pub(super) secret_access_key: SecretKey,
    #[serde(default = "owner_default")]
    pub(super) owner: String,
    #[serde(default)]
    pub(super) owner_id: Option<OwnerId>,
    pub(super) grants: Vec<Grant>,
}

/// What everybody may do without a signature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Anonymous {
    /// Nothing.
    #[default]
    None,
    /// Read and list.
    Read,
    /// Read, list and write.
    ReadWrite,
    /// Read and list below these prefixes.
    Prefixes(Vec<String>),
}

/// Which whole reads are compared with what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verify(VerifyReads);

/// A canonical user id: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnerId(String);

impl Default for ServerTable {
    fn default() -> Self {
        let s3 = s3::Config::default();
        let server = server::Config::default();
        Self {
            listen: server.listen.into(),
            data_dir: PathBuf::from("understudy-data"),
            ephemeral: false,
            tls_cert: None,
            tls_key: None,
            anonymous: Anonymous::None,
            base_domains: s3.base_domains,
            region: s3.region,
            trusted_proxies: server.trusted_proxies,
            hosts: Vec::new(),
            website_hosts: Vec::new(),
        }
    }
}

impl Default for LimitsTable {
    fn default() -> Self {
        let server = server::Limits::default();
        let bodies = protocol::Config::default();
        let store = store::Options::new("");
        Self {
            connections: server.connections_max,
            connections_per_peer: server.connections_per_peer.and_then(NonZeroUsize::new),
            head_size: as_size(server.head_bytes_max),
            object_size: bodies.object_bytes_max.into(),
            document_size: as_size(bodies.document_bytes_max),
            head_timeout: server.head_timeout.into(),
            stall_timeout: server.stall_timeout.into(),
            slow_rate: server.rate_bytes_min.into(),
            slow_grace: server.rate_grace.into(),
            stop_timeout: server.stop_timeout.into(),
            inline_size: as_size(store.inline_max_bytes),
            buffers: as_size(store.buffers_max_bytes),
            disk_reserve: store.reserve_bytes.into(),
            ballast_size: store.ballast_bytes.into(),
            verify_reads: Verify(store.verify_reads),
        }
    }
}

fn as_size(bytes: usize) -> Size {
    Size::from(u64::try_from(bytes).unwrap_or(u64::MAX))
}

fn as_usize(size: Size) -> usize {
    usize::try_from(size.bytes()).unwrap_or(usize::MAX)
}

impl LimitsTable {
    /// The server's part.
    pub(super) fn server(&self) -> server::Limits {
        server::Limits {
            connections_max: self.connections,
            connections_per_peer: self.connections_per_peer.map(NonZeroUsize::get),
            head_bytes_max: as_usize(self.head_size),
            head_timeout: self.head_timeout.duration(),
            stall_timeout: self.stall_timeout.duration(),
            rate_bytes_min: self.slow_rate.bytes(),
            rate_grace: self.slow_grace.duration(),
            stop_timeout: self.stop_timeout.duration(),
        }
    }

    /// The part of what a request may bring.
    pub(super) fn bodies(&self) -> protocol::Config {
        protocol::Config {
            object_bytes_max: self.object_size.bytes(),
            document_bytes_max: as_usize(self.document_size),
        }
    }

    /// The store's part.
    pub(super) fn store(&self, server: &ServerTable) -> store::Options {
        let durability = if server.ephemeral { Durability::Ephemeral } else { Durability::Synced };
        store::Options {
            durability,
            inline_max_bytes: as_usize(self.inline_size),
            buffers_max_bytes: as_usize(self.buffers),
            reserve_bytes: self.disk_reserve.bytes(),
            ballast_bytes: self.ballast_size.bytes(),
            verify_reads: self.verify_reads.0,
            ..store::Options::new(&server.data_dir)
        }
    }
}

/// Whom keys and buckets belong to unless a credential says otherwise.
pub(super) fn owner_default() -> String {
    "understudy".to_owned()
}

impl CredentialTable {
    /// Whom what this key pair makes belongs to. One name is one owner, however many key pairs.
    pub(super) fn owner(&self) -> Owner {
        use sha2::Digest as _;
        let derived = || hex::encode(sha2::Sha256::digest(format!("understudy owner {}", self.owner)));
        let id = self.owner_id.as_ref().map_or_else(derived, |id| id.0.clone());
        Owner { id, display_name: self.owner.clone() }
    }
}

impl Anonymous {
    /// As grants: for one bucket, or for all of them.
    pub(super) fn grants(&self, bucket: Option<&BucketName>) -> Vec<Grant> {
        let grant = |prefix: &str, permissions: &[Permission]| Grant {
            bucket: bucket.cloned(),
            prefix: prefix.to_owned(),
            permissions: permissions.to_vec(),
        };
        match self {
            Self::None => Vec::new(),
            Self::Read => vec![grant("", &[Permission::Read, Permission::List])],
            Self::ReadWrite => vec![grant("", &[Permission::Read, Permission::Write, Permission::List])],
            Self::Prefixes(prefixes) => {
                prefixes.iter().map(|prefix| grant(prefix, &[Permission::Read, Permission::List])).collect()
            }
        }
    }
}

fn access_key_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccessKeyId, D::Error> {
    let text = String::deserialize(deserializer)?;
    AccessKeyId::parse(&text).ok_or_else(|| {
        de::Error::custom(format!(
            "{text:?} is not an access key id: write 3 to 128 letters, digits, '_', '-' or '.'"
        ))
    })
}

fn secret_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretKey, D::Error> {
    // What was written is not repeated: it may be a real secret with a slip in it.
    let refused = || de::Error::custom("it must be a string of 8 to 256 visible ASCII characters");
    let text = String::deserialize(deserializer).map_err(|_: D::Error| refused())?;
    SecretKey::parse(&text).ok_or_else(refused)
}

impl<'de> Deserialize<'de> for OwnerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(Self(text));
        }
        Err(de::Error::custom(
            "it must be 64 hexadecimal digits in lower case; leave it out to have it derived from `owner`",
        ))
    }
}

impl Verify {
    const NAMES: [(&'static str, VerifyReads); 3] =
        [("off", VerifyReads::Off), ("sample", VerifyReads::Sample), ("all", VerifyReads::All)];
}

impl<'de> Deserialize<'de> for Verify {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let named = Self::NAMES.iter().find(|(name, _)| *name == text);
        named.map(|(_, which)| Self(*which)).ok_or_else(|| {
            de::Error::custom(format!("{text:?} is not a choice: write \"off\", \"sample\" or \"all\""))
        })
    }
}

impl Serialize for Verify {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = Self::NAMES.iter().find(|(_, which)| *which == self.0);
        serializer.serialize_str(named.map_or("sample", |(name, _)| name))
    }
}

impl<'de> Deserialize<'de> for Anonymous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnonymousVisitor)
    }
}

impl Serialize for Anonymous {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Read => serializer.serialize_str("read"),
            Self::ReadWrite => serializer.serialize_str("read-write"),
            Self::Prefixes(prefixes) => prefixes.serialize(serializer),
        }
    }
}

struct AnonymousVisitor;

impl<'de> de::Visitor<'de> for AnonymousVisitor {
    type Value = Anonymous;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "\"none\", \"read\", \"read-write\" or a list of prefixes that may be read such as [\"pub/\"]",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Anonymous, E> {
        match text {
            "none" => Ok(Anonymous::None),
            "read" => Ok(Anonymous::Read),
            "read-write" => Ok(Anonymous::ReadWrite),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Anonymous, A::Error> {
        let mut prefixes = Vec::new();
        while let Some(prefix) = sequence.next_element()? {
            prefixes.push(prefix);
        }
        Ok(Anonymous::Prefixes(prefixes))
    }
}
