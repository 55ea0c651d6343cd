//! A production place behind rules: an address prefix or a bucket, and the hosts it may lead to.

use super::upstream::{NotMappable, S3Upstream, UrlPrefix};
use crate::model::ObjectKey;

/// A production place that rules refer to. Rules of one bucket that say the same share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    place: Place,
    hosts: Vec<String>,
}

/// Where an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `to`: plain HTTPS. It cannot be listed.
    Url(UrlPrefix),
    /// `s3`: a bucket, by the S3 protocol, in path style.
    S3(S3Upstream),
    /// `gcs`: a Google Cloud Storage bucket by its S3-compatible XML API.
    Gcs(S3Upstream),
}

impl Upstream {
    /// Puts one together.
    pub fn new(place: Place, hosts: Vec<String>) -> Self {
        Self { place, hosts }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Names it in logs, errors, metrics and `/__heartbeat__`: an address without secrets.
    pub fn name(&self) -> String {
        match &self.place {
            Place::Url(prefix) => prefix.as_str().to_owned(),
            Place::S3(bucket) | Place::Gcs(bucket) => format!("{}{}/", bucket.endpoint(), bucket.bucket()),
        }
    }

    /// The address of a key, unsigned.
    pub fn object_url(&self, key: &ObjectKey) -> Result<String, NotMappable> {
        let _ = key;
        unimplemented!("helper A")
    }

    /// Whether it answers ListObjectsV2.
    pub fn is_listable(&self) -> bool {
        matches!(self.place, Place::S3(_) | Place::Gcs(_))
    }

    /// Whether a redirect that it sends may be followed to this host (lower case, no port): its own
    /// host, or one of `hosts`, where `*.` in front stands for any subdomain.
    pub fn allows_host(&self, host: &str) -> bool {
        let _ = (host, &self.hosts);
        unimplemented!("helper A")
    }
}
