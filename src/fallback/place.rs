//! A production place behind rules: an address prefix or a bucket, and the hosts it may lead to.

use super::upstream::{InvalidUpstream, NotMappable, S3Upstream, UnresolvedCredentials, UrlPrefix, mappable};
use crate::model::ObjectKey;
use crate::signature::encode_path;

/// A production place that rules refer to. Rules that say the same share one.
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

impl Place {
    /// The bucket, where it is one.
    pub fn bucket(&self) -> Option<&S3Upstream> {
        match self {
            Self::Url(_) => None,
            Self::S3(bucket) | Self::Gcs(bucket) => Some(bucket),
        }
    }
}

impl Upstream {
    /// Puts one together. Hosts are compared in lower case; their order does not matter.
    pub fn new(place: Place, mut hosts: Vec<String>) -> Self {
        for host in &mut hosts {
            *host = normal(host);
        }
        hosts.sort_unstable();
        hosts.dedup();
        Self { place, hosts }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where its redirects may lead besides its own host, as configured.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
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
        mappable(key)?;
        Ok(format!("{}{}", self.name(), encode_path(key.as_str().as_bytes())))
    }

    /// Whether it answers ListObjectsV2.
    pub fn is_listable(&self) -> bool {
        self.place.bucket().is_some()
    }

    /// Whether a redirect that it sends may be followed to this host (lower case, no port): its own
    /// host, or one of `hosts`, where `*.` in front stands for any subdomain.
    pub fn allows_host(&self, host: &str) -> bool {
        let host = normal(host);
        let own = match &self.place {
            Place::Url(prefix) => prefix.host(),
            Place::S3(bucket) | Place::Gcs(bucket) => bucket.endpoint().host(),
        };
        let among = |allowed: &String| match allowed.strip_prefix('*') {
            Some(domain) => {
                host.strip_suffix(domain).is_some_and(|label| !label.is_empty() && !label.ends_with('.'))
            }
            None => host == *allowed,
        };
        normal(own) == host || self.hosts.iter().any(among)
    }

    /// With the key pair that it refers to. `pattern` is for the error.
    pub(super) fn resolved(
        self,
        pattern: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, UnresolvedCredentials> {
        let place = match self.place {
            Place::Url(prefix) => Place::Url(prefix),
            Place::S3(bucket) => Place::S3(bucket.resolved(pattern, environment)?),
            Place::Gcs(bucket) => Place::Gcs(bucket.resolved(pattern, environment)?),
        };
        Ok(Self { place, hosts: self.hosts })
    }
}

/// Reads an entry of `hosts`: a name, or `*.` and a name.
pub(super) fn check_host(text: &str) -> Result<(), InvalidUpstream> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let labels = |name: &str| {
        name.split('.').all(|label| !label.is_empty() && label.len() <= 63 && label.bytes().all(allowed))
    };
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let fine = labels(name.strip_suffix('.').unwrap_or(name))
        || address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    if fine { Ok(()) } else { Err(InvalidUpstream::Host(text.chars().take(120).collect())) }
}

/// A host as hosts are compared: `a.example.` is the same as `A.example`.
fn normal(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{Place, Upstream, check_host};
    use crate::fallback::{S3Upstream, UrlPrefix};
    use crate::model::ObjectKey;

    fn url(to: &str, hosts: &[&str]) -> Upstream {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Upstream::new(Place::Url(UrlPrefix::parse(to).expect("a prefix")), hosts)
    }

    fn bucket(text: &str) -> S3Upstream {
        toml::from_str(text).expect("a bucket")
    }

    #[test]
    fn redirects_may_lead_to_the_own_host_and_to_those_that_are_named() {
        let upstream = url("https://Archive.example:8443/x/", &["cdn.example", "*.Pool.example", "[::1]"]);
        for (host, expected) in [
            ("archive.example", true),
            ("ARCHIVE.example.", true),
            ("cdn.example", true),
            ("a.cdn.example", false),
            ("pool.example", false),
            ("a.pool.example", true),
            ("a.b.pool.example", true),
            (".pool.example", false),
            ("..pool.example", false),
            ("evilpool.example", false),
            ("a.pool.example.evil", false),
            ("archive.example.evil", false),
            ("[::1]", true),
            ("", false),
        ] {
            assert_eq!(upstream.allows_host(host), expected, "{host:?}");
        }
    }

    #[test]
    fn hosts_are_names() {
        for (text, expected) in [
            ("a.example", true),
            ("*.a.example", true),
            ("10.0.0.1", true),
            ("[::1]", true),
            ("localhost", true),
            ("*", false),
            ("*.", false),
            ("a.*.example", false),
            ("https://a.example", false),
            ("a.example:80", false),
            ("a.example/", false),
            ("a..example", false),
            ("user@a.example", false),
            ("", false),
        ] {
            assert_eq!(check_host(text).is_ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_bucket_has_its_address_in_path_style_and_shows_no_secret() {
        let s3 = bucket(
            "bucket = \"prod\"\nregion = \"eu-west-1\"\naccess_key_id = \"AKIDEXAMPLE\"\nsecret_access_key = \"correct-horse\"",
        );
        let upstream = Upstream::new(Place::S3(s3), Vec::new());
        let url = |key: &str| upstream.object_url(&ObjectKey::parse(key).expect("a key"));
        assert_eq!(url("pub/a b?c"), Ok("https://s3.eu-west-1.amazonaws.com/prod/pub/a%20b%3Fc".to_owned()));
        assert!(url("pub/../c").is_err());
        assert!(upstream.allows_host("s3.eu-west-1.amazonaws.com"));
        assert!(!upstream.allows_host("prod.s3.eu-west-1.amazonaws.com"));
        assert!(!format!("{upstream:?}{}", upstream.name()).contains("horse"));
        assert!(upstream.is_listable());
        let place = Place::Url(UrlPrefix::parse("https://a.example/x/").expect("a prefix"));
        assert!(!Upstream::new(place, Vec::new()).is_listable());
    }

    #[test]
    fn the_order_of_hosts_makes_no_other_upstream() {
        assert_eq!(url("https://a.example/", &["b", "c"]), url("https://a.example/", &["C", "b", "b."]));
        assert_ne!(url("https://a.example/", &["b"]), url("https://a.example/", &[]));
    }
}
