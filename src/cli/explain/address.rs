//! What a person means by an address: a key, `s3://`, `gs://`, or the URL of a request.

use crate::archive;
use crate::cli::failure::Failure;
use crate::fallback::ClientKind;
use crate::model::{BucketName, ObjectKey};
use crate::s3;
use crate::signature::read_path;

/// What of the configuration gives addresses a meaning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) buckets: &'a [BucketName],
    pub(super) archive: &'a [archive::Config],
    pub(super) s3: &'a s3::Config,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) key: ObjectKey,
    /// Where it is looked for, in this order.
    pub(super) buckets: Vec<BucketName>,
    pub(super) read_as: ReadAs,
    /// The host and the port of a URL: where the client finds the stage.
    pub(super) reached: Option<(String, u16)>,
}

/// As what an address was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReadAs {
    Key,
    Object,
    PathStyle,
    VirtualHost,
    ArchivePath,
    GcsJson,
}

impl ReadAs {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Key => "a key",
            Self::Object => "an object's address",
            Self::PathStyle => "S3, with the bucket in the path",
            Self::VirtualHost => "S3, with the bucket in the host",
            Self::ArchivePath => "a plain path of the archive face",
            Self::GcsJson => "the JSON API of Google Cloud Storage",
        }
    }

    /// Who sends such a request, unless somebody says otherwise.
    pub(super) fn client(self) -> ClientKind {
        match self {
            Self::Object | Self::GcsJson => ClientKind::Sdk,
            Self::Key | Self::PathStyle | Self::VirtualHost | Self::ArchivePath => ClientKind::Plain,
        }
    }
}

/// Hosts below which production's own addresses have a bucket, for those who paste one.
const PRODUCTION_DOMAINS: [&str; 2] = ["storage.googleapis.com", "s3.amazonaws.com"];

impl Address {
    /// Reads what was typed. `bucket` is where a key without one is meant to be.
    pub(super) fn read(text: &str, bucket: Option<&BucketName>, known: Known<'_>) -> Result<Self, Failure> {
        let read = match text.split_once("://") {
            Some(("s3" | "gs", rest)) => {
                let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
                Self::new(name, key, ReadAs::Object)?
            }
            Some((scheme, rest))
                if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
            {
                let of_scheme = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
                Self::of_url(rest, of_scheme, known)?
            }
            Some(_) | None => return Self::of_key(text, bucket, known),
        };
        match bucket {
            Some(bucket) if !read.buckets.contains(bucket) => {
                let names = names(&read.buckets);
                Err(Failure::Usage(format!("{text} is in {names}, not in {bucket}: leave --bucket out")))
            }
            Some(bucket) => Ok(Self { buckets: vec![bucket.clone()], ..read }),
            None => Ok(read),
        }
    }

    fn new(bucket: &str, key: &str, read_as: ReadAs) -> Result<Self, Failure> {
        let bucket = BucketName::parse(bucket)
            .map_err(|error| Failure::Usage(format!("{bucket:?} is not a bucket: {error}")))?;
        let key = ObjectKey::parse(key).map_err(|error| {
            Failure::Usage(format!("there is no key in this address, or not one of S3: {error}"))
        })?;
        Ok(Self { key, buckets: vec![bucket], read_as, reached: None })
    }

    /// A key as it is: not decoded.
    fn of_key(text: &str, bucket: Option<&BucketName>, known: Known<'_>) -> Result<Self, Failure> {
        let key = ObjectKey::parse(text).map_err(|error| Failure::Usage(error.to_string()))?;
        let buckets = match (bucket, known.buckets) {
            (Some(bucket), _) => vec![bucket.clone()],
            (None, [only]) => vec![only.clone()],
            (None, _) => {
                let path = format!("/{}", crate::signature::encode_path(text.as_bytes()));
                archive::file_at(known.archive, "", &path)
                    .map(|(_, trees)| buckets_of(&trees, known.buckets))
                    .filter(|buckets| !buckets.is_empty())
                    .ok_or_else(|| {
                        let names = names(known.buckets);
                        Failure::Usage(format!("say by --bucket in which bucket the key is: {names}"))
                    })?
            }
        };
        Ok(Self { key, buckets, read_as: ReadAs::Key, reached: None })
    }

    /// `host[:port]/path[?query]`.
    fn of_url(rest: &str, of_scheme: u16, known: Known<'_>) -> Result<Self, Failure> {
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()),
            Some(_) | None => (authority.as_str(), None),
        };
        let read = Self::of_host(rest, (host, path), &authority, known)?;
        Ok(Self { reached: Some((host.to_owned(), port.unwrap_or(of_scheme))), ..read })
    }

    /// In the order in which the server tells its faces apart.
    fn of_host(
        rest: &str,
        (host, path): (&str, &str),
        authority: &str,
        known: Known<'_>,
    ) -> Result<Self, Failure> {
        let decode = |raw: &str| read_path(raw).map_err(|error| Failure::Usage(format!("{raw}: {error}")));
        let is_archive = |config: &archive::Config| config.hosts().iter().any(|own| own == host);
        let is_archive = known.archive.iter().any(is_archive);
        let in_host = known.s3.bucket_in_host(authority).or_else(|| production_bucket(host));
        if let Some(bucket) = in_host.filter(|_| !is_archive) {
            let key = decode(path.strip_prefix('/').unwrap_or(path))?;
            return Self::new(&bucket.to_ascii_lowercase(), &key, ReadAs::VirtualHost);
        }
        for root in ["/storage/v1/b/", "/download/storage/v1/b/"] {
            if let Some((bucket, key)) = path.strip_prefix(root).and_then(|rest| rest.split_once("/o/")) {
                return Self::new(&decode(bucket)?, &decode(key)?, ReadAs::GcsJson);
            }
        }
        if !is_archive && !path.starts_with("/pub/") {
            let (bucket, key) = path.strip_prefix('/').unwrap_or(path).split_once('/').unwrap_or_default();
            return Self::new(&decode(bucket)?, &decode(key)?, ReadAs::PathStyle);
        }
        let (key, trees) = archive::file_at(known.archive, host, path)
            .ok_or_else(|| Failure::Usage(format!("{rest} is a directory: name a file")))?;
        let buckets = buckets_of(&trees, known.buckets);
        if buckets.is_empty() {
            return Err(Failure::Usage(format!("no [[archive]] and no bucket is behind {path} of {host}")));
        }
        Ok(Self { key, buckets, read_as: ReadAs::ArchivePath, reached: None })
    }
}

/// `bucket.s3.eu-west-1.amazonaws.com`, `bucket.storage.googleapis.com`.
fn production_bucket(host: &str) -> Option<&str> {
    if let Some((bucket, region)) = host.split_once(".s3.") {
        return region.ends_with("amazonaws.com").then_some(bucket);
    }
    PRODUCTION_DOMAINS.iter().find_map(|domain| host.strip_suffix(domain)?.strip_suffix('.'))
}

/// The buckets of trees, in order, each once; a tree that names none shows them all.
fn buckets_of(trees: &[&[BucketName]], all: &[BucketName]) -> Vec<BucketName> {
    let mut buckets: Vec<BucketName> = Vec::new();
    for tree in trees {
        for bucket in if tree.is_empty() { all } else { tree } {
            if !buckets.contains(bucket) {
                buckets.push(bucket.clone());
            }
        }
    }
    buckets
}

pub(super) fn names(buckets: &[BucketName]) -> String {
    if buckets.is_empty() {
        return "no bucket is configured".to_owned();
    }
    buckets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
