//! Where previous releases are: address prefixes and buckets, and the address of a key there.
//!
//! An address is always `prefix + percent-encoded key`. The prefix comes from configuration and
//! ends in `/`; everything in a key but `A-Z a-z 0-9 - . _ ~ /` is encoded. So a key can neither
//! choose the host nor end a header line.

use std::fmt;

use crate::model::{AccessKeyId, BucketName, ObjectKey, SecretKey, SessionToken};
use crate::signature::encode_path;

/// The beginning of an address: `https://host[:port]/[path/]`.
///
/// Invariants: scheme `http` or `https`; a host of letters, digits, `-` and `.` or an IPv6 address
/// in brackets; no user, query or fragment; visible ASCII; ends in `/`; no `.` or `..` segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPrefix(String);

/// Why an upstream was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUpstream {
    /// Not an address that keys can be put behind.
    #[error(
        "{url:?} cannot be the beginning of an address: it {reason}; write one like \"https://archive.mozilla.org/\""
    )]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a region's name.
    #[error("{0:?} is not a region: write one like \"us-west-2\"")]
    Region(String),
    /// A bucket of S3 without its region.
    #[error("s3 needs `region`, such as \"us-west-2\"")]
    NoRegion,
    /// Half a key pair, or one too many.
    #[error(
        "write either `credentials` (NAME, for the variables NAME_ACCESS_KEY_ID and NAME_SECRET_ACCESS_KEY) or both `access_key_id` and `secret_access_key`, or none of them for a bucket that everybody may read"
    )]
    Credentials,
    /// Not a host.
    #[error(
        "{0:?} is not a host: write a name without scheme and path, such as \"cdn.example\", \"cdn.example:8443\", or \"*.cdn.example\" for any name below it"
    )]
    Host(String),
    /// Not the name of environment variables.
    #[error("{0:?} cannot be the beginning of a variable's name: use letters, digits and '_'")]
    CredentialsName(String),
    /// Not an access key id. The text is not repeated: it may be a secret in the wrong place.
    #[error("access_key_id has a character that access key ids do not have, or is too short")]
    AccessKeyId,
    /// Not a secret. The text is not repeated.
    #[error("secret_access_key must be 8 to 256 visible ASCII characters")]
    SecretKey,
}

/// No address below the prefix can name the key: it has a `.` or `..` segment, which user agents
/// take out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no address can name a key with a '.' or '..' segment")]
pub struct NotMappable;

/// `credentials = "NAME"` refers to what is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the fallback rule for {pattern:?} needs the environment variable {variable}: {problem}")]
pub struct UnresolvedCredentials {
    pub(super) pattern: String,
    pub(super) variable: String,
    pub(super) problem: &'static str,
}

impl UrlPrefix {
    /// Reads a prefix. An address without a path gets the path `/`.
    pub fn parse(text: &str) -> Result<Self, InvalidUpstream> {
        let refuse = |reason| Err(InvalidUpstream::Url { url: text.chars().take(120).collect(), reason });
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("has no scheme");
        };
        if !matches!(scheme, "https" | "http") {
            return refuse("must begin with https:// or http://");
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return refuse("must not hold a user or a password");
        }
        if !is_authority(authority) {
            return refuse("must name a host, and perhaps a port");
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%!$&'()*+,;=:@".contains(&byte);
        if !path.bytes().all(allowed) {
            return refuse("must have no query, no fragment and no characters that need encoding");
        }
        if !path.is_empty() && !path.ends_with('/') {
            return refuse("must end in '/'");
        }
        if has_dot_segment(&path.replace("%2e", ".").replace("%2E", ".")) {
            return refuse("must not have a '.' or '..' segment");
        }
        Ok(Self(format!("{scheme}://{authority}/{path}")))
    }

    /// The address of `key` below this prefix.
    pub fn join(&self, key: &ObjectKey) -> Result<String, NotMappable> {
        mappable(key)?;
        Ok(format!("{}{}", self.0, encode_path(key.as_str().as_bytes())))
    }

    /// The prefix, ending in `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, as written, and its port where there is one.
    pub fn authority(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split_once('/').map_or(rest, |(authority, _)| authority)
    }
}

/// Fails for a key that no address can name.
pub(super) fn mappable(key: &ObjectKey) -> Result<(), NotMappable> {
    if has_dot_segment(key.as_str()) { Err(NotMappable) } else { Ok(()) }
}

/// WHATWG URL, "path state": both are taken out, whether or not their dots are encoded.
fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("v6", port),
            _ => return false,
        },
        None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
    };
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let port_is_fine = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
    };
    !host.is_empty() && host.bytes().all(name) && port_is_fine
}

impl fmt::Display for UrlPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A bucket upstream, and the key pair that requests and links are signed with, if any.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "RawS3Upstream", into = "RawS3Upstream")]
pub struct S3Upstream {
    bucket: BucketName,
    region: String,
    endpoint: UrlPrefix,
    credentials: UpstreamCredentials,
    session_token: Option<SessionToken>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum UpstreamCredentials {
    /// Everybody may read it.
    Anonymous,
    /// In the environment variables that begin with this.
    Named(String),
    Keys {
        named: Option<String>,
        access_key_id: AccessKeyId,
        secret_key: SecretKey,
    },
}

/// A bucket of Google Cloud Storage, by its S3-compatible XML API: with other defaults.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "RawS3Upstream", into = "RawS3Upstream")]
pub(super) struct GcsUpstream(pub(super) S3Upstream);

/// Where the XML API of Google Cloud Storage is.
const GCS_ENDPOINT: &str = "https://storage.googleapis.com/";

/// GCS, "Simple migration from Amazon S3": the region that its signatures take.
const GCS_REGION: &str = "auto";

/// `s3 = { ... }` and `gcs = { ... }` as they are written.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct RawS3Upstream {
    bucket: BucketName,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_access_key: Option<String>,
}

impl S3Upstream {
    /// The bucket's name there.
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// The region that links are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The server, ending in `/`. Links are in path style below it.
    pub fn endpoint(&self) -> &UrlPrefix {
        &self.endpoint
    }

    /// Whether requests are signed: there is a key pair, or a name to find it by.
    pub fn has_credentials(&self) -> bool {
        match &self.credentials {
            UpstreamCredentials::Anonymous => false,
            UpstreamCredentials::Named(_) | UpstreamCredentials::Keys { .. } => true,
        }
    }

    /// The key pair; `None` for an anonymous upstream, and as long as it is only referred to.
    pub fn key_pair(&self) -> Option<(&AccessKeyId, &SecretKey)> {
        match &self.credentials {
            UpstreamCredentials::Anonymous | UpstreamCredentials::Named(_) => None,
            UpstreamCredentials::Keys { access_key_id, secret_key, .. } => Some((access_key_id, secret_key)),
        }
    }

    /// The same with what goes along with a temporary key pair. A configuration has none: it would
    /// not last as long as a server does.
    #[must_use]
    pub fn with_session_token(self, token: SessionToken) -> Self {
        Self { session_token: Some(token), ..self }
    }

    /// What goes along with a temporary key pair.
    pub fn session_token(&self) -> Option<&SessionToken> {
        self.session_token.as_ref()
    }

    /// Fetches the key pair that `credentials = "NAME"` refers to. `pattern` is for the error.
    pub(super) fn resolved(
        mut self,
        pattern: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, UnresolvedCredentials> {
        let UpstreamCredentials::Named(name) = &self.credentials else { return Ok(self) };
        let fetch = |suffix: &str| {
            let variable = format!("{name}_{suffix}");
            let value = environment(&variable).filter(|value| !value.is_empty());
            (variable, value)
        };
        let unresolved =
            |variable, problem| UnresolvedCredentials { pattern: pattern.to_owned(), variable, problem };

        let (variable, value) = fetch("ACCESS_KEY_ID");
        let value = value.ok_or_else(|| unresolved(variable.clone(), "set it"))?;
        let access_key_id = AccessKeyId::parse(&value)
            .ok_or_else(|| unresolved(variable, "it does not hold an access key id"))?;
        let (variable, value) = fetch("SECRET_ACCESS_KEY");
        let value = value.ok_or_else(|| unresolved(variable.clone(), "set it"))?;
        let secret_key = SecretKey::parse(&value)
            .ok_or_else(|| unresolved(variable, "it does not hold a secret access key"))?;
        let named = Some(name.clone());
        self.credentials = UpstreamCredentials::Keys { named, access_key_id, secret_key };
        Ok(self)
    }
}

impl TryFrom<RawS3Upstream> for S3Upstream {
    type Error = InvalidUpstream;

    fn try_from(raw: RawS3Upstream) -> Result<Self, InvalidUpstream> {
        let region = raw.region.ok_or(InvalidUpstream::NoRegion)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if region.is_empty() || region.len() > 64 || !region.bytes().all(allowed) {
            return Err(InvalidUpstream::Region(region));
        }
        let endpoint = match raw.endpoint {
            Some(endpoint) => UrlPrefix::parse(&endpoint)?,
            None => UrlPrefix::parse(&format!("https://s3.{region}.amazonaws.com/"))?,
        };
        let credentials = match (raw.credentials, raw.access_key_id, raw.secret_access_key) {
            (Some(name), None, None) => UpstreamCredentials::Named(variable_name(name)?),
            (None, Some(id), Some(secret)) => UpstreamCredentials::Keys {
                named: None,
                access_key_id: AccessKeyId::parse(&id).ok_or(InvalidUpstream::AccessKeyId)?,
                secret_key: SecretKey::parse(&secret).ok_or(InvalidUpstream::SecretKey)?,
            },
            (None, None, None) => UpstreamCredentials::Anonymous,
            _ => return Err(InvalidUpstream::Credentials),
        };
        Ok(Self { bucket: raw.bucket, region, endpoint, credentials, session_token: None })
    }
}

impl TryFrom<RawS3Upstream> for GcsUpstream {
    type Error = InvalidUpstream;

    fn try_from(raw: RawS3Upstream) -> Result<Self, InvalidUpstream> {
        let region = raw.region.or_else(|| Some(GCS_REGION.to_owned()));
        let endpoint = raw.endpoint.or_else(|| Some(GCS_ENDPOINT.to_owned()));
        S3Upstream::try_from(RawS3Upstream { region, endpoint, ..raw }).map(Self)
    }
}

impl From<GcsUpstream> for RawS3Upstream {
    fn from(GcsUpstream(upstream): GcsUpstream) -> Self {
        upstream.into()
    }
}

fn variable_name(name: String) -> Result<String, InvalidUpstream> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fine = !name.is_empty() && name.len() <= 64 && name.bytes().all(allowed);
    if fine { Ok(name) } else { Err(InvalidUpstream::CredentialsName(name)) }
}

impl From<S3Upstream> for RawS3Upstream {
    /// As it is shown: with the secret masked.
    fn from(upstream: S3Upstream) -> Self {
        let (credentials, access_key_id) = match upstream.credentials {
            UpstreamCredentials::Anonymous => (None, None),
            UpstreamCredentials::Named(name) | UpstreamCredentials::Keys { named: Some(name), .. } => {
                (Some(name), None)
            }
            UpstreamCredentials::Keys { named: None, access_key_id, .. } => {
                (None, Some(access_key_id.to_string()))
            }
        };
        Self {
            bucket: upstream.bucket,
            region: Some(upstream.region),
            endpoint: Some(upstream.endpoint.0),
            secret_access_key: access_key_id.is_some().then(|| "***".to_owned()),
            credentials,
            access_key_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GCS_ENDPOINT, GCS_REGION, GcsUpstream, NotMappable, S3Upstream, UrlPrefix};
    use crate::model::ObjectKey;

    fn key(text: &str) -> ObjectKey {
        ObjectKey::parse(text).expect("a key")
    }

    #[test]
    fn a_key_is_encoded_below_the_prefix() {
        let prefix = UrlPrefix::parse("https://archive.mozilla.org/").expect("a prefix");
        for (text, expected) in [
            ("pub/firefox/a.mar", "pub/firefox/a.mar"),
            ("Firefox Setup 1.0.exe", "Firefox%20Setup%201.0.exe"),
            ("a+b&c=d@e:f,g;h'(i)!*#?", "a%2Bb%26c%3Dd%40e%3Af%2Cg%3Bh%27%28i%29%21%2A%23%3F"),
            ("%2F%2e%2e", "%252F%252e%252e"),
            ("pub/🦊/é", "pub/%F0%9F%A6%8A/%C3%A9"),
            ("a\r\nSet-Cookie: x=y", "a%0D%0ASet-Cookie%3A%20x%3Dy"),
            ("a\0b\u{7f}\u{85}\u{2028}", "a%00b%7F%C2%85%E2%80%A8"),
            ("//evil.example/x", "//evil.example/x"),
            ("@evil.example/x", "%40evil.example/x"),
            ("\\\\evil.example\\..\\x", "%5C%5Cevil.example%5C..%5Cx"),
            ("https://evil.example/", "https%3A//evil.example/"),
            (".evil.example", ".evil.example"),
            ("...", "..."),
            ("a/.../b..", "a/.../b.."),
            ("a//b/", "a//b/"),
        ] {
            let url = prefix.join(&key(text)).expect("an address");
            assert_eq!(url, format!("https://archive.mozilla.org/{expected}"), "{text:?}");
            assert!(http::HeaderValue::from_str(&url).is_ok_and(|value| value.to_str().is_ok()), "{text:?}");
        }
    }

    #[test]
    fn keys_that_user_agents_would_move_out_of_the_prefix_have_no_address() {
        let prefix = UrlPrefix::parse("https://archive.mozilla.org/pub/").expect("a prefix");
        for text in ["..", ".", "../x", "a/../../x", "a/..", "./a", "a/./b", "pub/../../x", "/.."] {
            assert_eq!(prefix.join(&key(text)), Err(NotMappable), "{text:?}");
        }
    }

    #[test]
    fn prefixes_end_in_a_slash_and_have_no_room_for_another_host() {
        for (text, expected) in [
            ("https://archive.mozilla.org", Some("https://archive.mozilla.org/")),
            ("https://archive.mozilla.org/", Some("https://archive.mozilla.org/")),
            ("http://127.0.0.1:8000/a/b/", Some("http://127.0.0.1:8000/a/b/")),
            ("http://[::1]:8000/", Some("http://[::1]:8000/")),
            ("https://archive.mozilla.org/pub", None),
            ("https://user:pass@archive.mozilla.org/", None),
            ("https://archive.mozilla.org@evil.example/", None),
            ("https://archive.mozilla.org?x=/", None),
            ("https://archive.mozilla.org/?x=/", None),
            ("https://archive.mozilla.org/#/", None),
            ("https://archive.mozilla.org/a/../", None),
            ("https://archive.mozilla.org/a/%2E./", None),
            ("https://archive.mozilla.org/a b/", None),
            ("https://archive.mozilla.org\\evil.example/", None),
            ("https://archive.mozilla.org/\r\n/", None),
            ("https://archive.mozilla.org:x/", None),
            ("https://archive.mozilla.org:/", None),
            ("https://[::1/", None),
            ("https:///pub/", None),
            ("https://", None),
            ("ftp://archive.mozilla.org/", None),
            ("javascript:alert(1)//", None),
            ("//archive.mozilla.org/", None),
            ("archive.mozilla.org", None),
            ("", None),
        ] {
            let prefix = UrlPrefix::parse(text).ok();
            assert_eq!(prefix.as_ref().map(UrlPrefix::as_str), expected, "{text:?}");
        }
    }

    fn upstream(text: &str) -> Result<S3Upstream, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn a_bucket_has_one_key_pair_or_none() {
        let place = "bucket = \"prod\"\nregion = \"us-west-2\"\n";
        for (keys, expected) in [
            ("credentials = \"PROD\"", true),
            ("access_key_id = \"AKIDEXAMPLE\"\nsecret_access_key = \"correct-horse\"", true),
            ("", true),
            ("access_key_id = \"AKIDEXAMPLE\"", false),
            ("secret_access_key = \"correct-horse\"", false),
            ("credentials = \"PROD\"\naccess_key_id = \"A\"", false),
            ("credentials = \"\"", false),
            ("credentials = \"A=B\"", false),
            ("credentials = \"PROD\"\nsecret = \"x\"", false),
        ] {
            assert_eq!(upstream(&format!("{place}{keys}")).is_ok(), expected, "{keys}");
        }
        assert!(upstream("bucket = \"prod\"\nregion = \"us west\"\ncredentials = \"PROD\"").is_err());
        let error = upstream("bucket = \"prod\"").expect_err("no region").to_string();
        assert!(error.contains("`region`"), "{error}");
        let anonymous = upstream(place).expect("an upstream");
        assert!(!anonymous.has_credentials() && anonymous.key_pair().is_none());
    }

    #[test]
    fn a_bucket_of_gcs_needs_nothing_but_its_name() {
        let GcsUpstream(upstream) = toml::from_str("bucket = \"prod\"").expect("an upstream");
        assert_eq!((upstream.region(), upstream.endpoint().as_str()), (GCS_REGION, GCS_ENDPOINT));
        let GcsUpstream(upstream) =
            toml::from_str("bucket = \"prod\"\nendpoint = \"http://127.0.0.1:1/\"\nregion = \"eu\"")
                .expect("an upstream");
        assert_eq!((upstream.region(), upstream.endpoint().as_str()), ("eu", "http://127.0.0.1:1/"));
    }

    #[test]
    fn a_prefix_knows_its_host_and_port() {
        for (text, host) in [
            ("https://archive.mozilla.org", "archive.mozilla.org"),
            ("http://127.0.0.1:8000/a:b/", "127.0.0.1:8000"),
            ("http://[::1]:8000/", "[::1]:8000"),
            ("http://[::1]/", "[::1]"),
        ] {
            assert_eq!(UrlPrefix::parse(text).expect("a prefix").authority(), host);
        }
    }

    #[test]
    fn secrets_show_neither_in_debug_nor_in_what_is_in_force_nor_in_errors() {
        let text = "bucket = \"prod\"\nregion = \"us-west-2\"\naccess_key_id = \"AKIDEXAMPLE\"\n";
        let fine = upstream(&format!("{text}secret_access_key = \"correct-horse\"")).expect("an upstream");
        let shown = toml::to_string(&fine).expect("TOML");
        assert!(shown.contains("endpoint = \"https://s3.us-west-2.amazonaws.com/\""), "{shown}");
        assert!(shown.contains("secret_access_key = \"***\""), "{shown}");
        assert!(!format!("{fine:?}").contains("horse"));
        assert!(!shown.contains("horse"));
    }

    #[test]
    fn named_credentials_come_from_the_environment() {
        let named = upstream("bucket = \"prod\"\nregion = \"us-west-2\"\ncredentials = \"PROD\"")
            .expect("an upstream");
        assert!(named.key_pair().is_none());
        let environment = |name: &str| match name {
            "PROD_ACCESS_KEY_ID" => Some("AKIDEXAMPLE".to_owned()),
            "PROD_SECRET_ACCESS_KEY" => Some("correct-horse".to_owned()),
            _ => None,
        };
        let resolved = named.clone().resolved("pub/**", environment).expect("a key pair");
        assert_eq!(resolved.key_pair().map(|(id, _)| id.as_str()), Some("AKIDEXAMPLE"));
        assert!(toml::to_string(&resolved).expect("TOML").contains("credentials = \"PROD\""));

        let error = named.resolved("pub/**", |_| None).expect_err("nothing set");
        assert!(error.to_string().contains("PROD_ACCESS_KEY_ID"), "{error}");
    }
}
