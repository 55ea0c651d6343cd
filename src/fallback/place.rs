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
            *host = normal_entry(host);
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

    /// The host, as hosts are compared, and the port of the server.
    pub(super) fn server(&self) -> (String, u16) {
        let (host, port) = split_port(self.prefix().authority());
        let of_scheme = if self.prefix().as_str().starts_with("https:") { 443 } else { 80 };
        (normal(host), port.unwrap_or(of_scheme))
    }

    fn prefix(&self) -> &UrlPrefix {
        match &self.place {
            Place::Url(prefix) => prefix,
            Place::S3(bucket) | Place::Gcs(bucket) => bucket.endpoint(),
        }
    }

    /// Whether it answers ListObjectsV2.
    pub fn is_listable(&self) -> bool {
        self.place.bucket().is_some()
    }

    /// Whether a redirect that it sends may be followed to this server: its own host, or one of
    /// `hosts`, where `*.` in front stands for any subdomain.
    ///
    /// On every host only the port that its entry names, or that of the scheme: what else listens
    /// there, such as an admin's door on loopback, is nobody's production.
    pub fn allows(&self, host: &str, port: Port) -> bool {
        let host = normal(host);
        let own = self.prefix().authority();
        let is_it = |allowed: &str| {
            let (name, named_port) = split_port(allowed);
            let is_host = match name.strip_prefix('*') {
                Some(domain) => {
                    host.strip_suffix(domain).is_some_and(|label| !label.is_empty() && !label.ends_with('.'))
                }
                None => host == normal(name),
            };
            is_host && (named_port == Some(port.number) || port.is_default)
        };
        is_it(own) || self.hosts.iter().any(|allowed| is_it(allowed))
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

/// The port of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Whether it is that of the scheme: 80 or 443.
    pub is_default: bool,
}

/// Reads an entry of `hosts`: a name, or `*.` and a name; perhaps with a port.
pub(super) fn check_host(entry: &str) -> Result<(), InvalidUpstream> {
    let (text, port) = split_port(entry);
    let name = text.strip_prefix("*.").unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let labels = |name: &str| {
        name.split('.').all(|label| !label.is_empty() && label.len() <= 63 && label.bytes().all(allowed))
    };
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let fine = labels(name.strip_suffix('.').unwrap_or(name))
        || address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    let is_all = port.is_some() || text == entry;
    if fine && is_all { Ok(()) } else { Err(InvalidUpstream::Host(entry.chars().take(120).collect())) }
}

/// A host and the port behind it, if there is one: 1 to 65535, without a sign.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let Some((host, digits)) = entry.rsplit_once(':').filter(|(_, digits)| !digits.ends_with(']')) else {
        return (entry, None);
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    (host, digits.parse().ok().filter(|port| is_number && *port > 0))
}

/// A host as hosts are compared: `a.example.` is the same as `A.example`.
pub(super) fn normal(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// The same of an entry of `hosts`.
fn normal_entry(entry: &str) -> String {
    let (host, port) = split_port(entry);
    port.map_or_else(|| normal(host), |port| format!("{}:{port}", normal(host)))
}

#[cfg(test)]
mod tests {
    use super::{Place, Port, Upstream, check_host};
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
        let https = Port { number: 443, is_default: true };
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
            assert_eq!(upstream.allows(host, https), expected, "{host:?}");
        }
    }

    #[test]
    fn redirects_may_lead_to_ports_that_are_named_and_to_that_of_the_scheme() {
        let hosts = ["cdn.example", "named.example.:9000", "*.pool.example:8443", "[::1]:9000"];
        let upstream = url("http://archive.example:8000/x/", &hosts);
        for (host, number, expected) in [
            ("archive.example", 8000, true),
            ("archive.example", 80, true),
            ("archive.example", 443, true),
            ("archive.example", 8001, false),
            ("archive.example", 22, false),
            ("cdn.example", 80, true),
            ("cdn.example", 8000, false),
            ("cdn.example", 9000, false),
            ("named.example", 9000, true),
            ("named.example", 443, true),
            ("named.example", 8443, false),
            ("a.pool.example", 8443, true),
            ("a.pool.example", 9000, false),
            ("[::1]", 9000, true),
            ("[::1]", 8000, false),
        ] {
            let port = Port { number, is_default: matches!(number, 80 | 443) };
            assert_eq!(upstream.allows(host, port), expected, "{host}:{number}");
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
            ("a.example:80", true),
            ("*.a.example:65535", true),
            ("[::1]:8443", true),
            ("a.example:0", false),
            ("a.example:65536", false),
            ("a.example:+80", false),
            ("a.example:", false),
            ("a.example:80:80", false),
            (":80", false),
            ("::1", false),
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
        let https = Port { number: 443, is_default: true };
        assert!(upstream.allows("s3.eu-west-1.amazonaws.com", https));
        assert!(!upstream.allows("prod.s3.eu-west-1.amazonaws.com", https));
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
