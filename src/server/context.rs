//! What the listener knows about a request, for the faces: its id, who asks, which host by which
//! scheme, and when. Pure, but for the clock and the counter that are handed in.

use std::time::Instant;

use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Version, header};

use super::cidr::Cidr;
use super::connection::Arrival;
use super::forwarded;
use crate::clock::Clock;
use crate::protocol::body::ByteCount;
use crate::protocol::browser::Way;
use crate::protocol::meter::Meter;
use crate::protocol::request::{Context, RequestIds};
use crate::upstream::Hops;

/// The request does not say which host it asks, or says it twice or badly.
///
/// RFC 9112 section 3.2: the answer is 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request must have exactly one Host header, and it must name a host")]
pub(super) struct BadHost;

/// What contexts are made from.
#[derive(Debug)]
pub(super) struct Contexts {
    pub(super) ids: RequestIds,
    pub(super) clock: Clock,
    pub(super) trusted_proxies: Vec<Cidr>,
    pub(super) meter: Meter,
}

impl Contexts {
    /// How a request arrives: what a trusted proxy passes on may come over loopback too.
    pub(super) fn way(&self, arrival: Arrival) -> Way {
        let peer = arrival.peer.ip().to_canonical();
        if self.trusted_proxies.iter().any(|range| range.contains(peer)) {
            Way::Proxy
        } else if peer.is_loopback() {
            Way::Loopback
        } else {
            Way::Network
        }
    }

    /// Makes the context of a request that arrives now.
    ///
    /// Where a trusted proxy says that the client asked another host, or an absolute request target
    /// names another one, the `Host` header becomes that one: signatures are verified over the host
    /// that is answered for, so that a link for one bucket cannot read another.
    pub(super) fn begin(&self, arrival: Arrival, parts: &mut Parts) -> Result<Context, BadHost> {
        let origin = forwarded::origin(arrival.peer, &parts.headers, &self.trusted_proxies);
        let host = match origin.host {
            Some(host) => told_host(host, parts)?,
            None => addressed_host(arrival, parts)?,
        };
        let own_scheme = || if arrival.tls { Scheme::HTTPS } else { Scheme::HTTP };
        Ok(Context {
            request_id: self.ids.next(),
            peer: origin.peer,
            scheme: origin.scheme.unwrap_or_else(own_scheme),
            host,
            now: self.clock.now(),
            clock: self.clock,
            started: Instant::now(),
            hops: Hops::read(&parts.headers),
            received: ByteCount::default(),
            meter: self.meter.clone(),
        })
    }
}

/// A host that outranks the `Host` header, and takes its place.
fn told_host(host: Authority, parts: &mut Parts) -> Result<Authority, BadHost> {
    let value = HeaderValue::from_str(host.as_str()).map_err(|_| BadHost)?;
    parts.headers.insert(header::HOST, value);
    Ok(host)
}

/// The host of the request itself.
fn addressed_host(arrival: Arrival, parts: &mut Parts) -> Result<Authority, BadHost> {
    let mut values = parts.headers.get_all(header::HOST).into_iter();
    let host = match (values.next(), values.next()) {
        (None, _) if parts.version < Version::HTTP_11 => {
            arrival.local.to_string().parse().map_err(|_| BadHost)?
        }
        (Some(value), None) => Authority::try_from(value.as_bytes()).map_err(|_| BadHost)?,
        (None | Some(_), _) => return Err(BadHost),
    };
    // RFC 9112 section 3.2.2: an absolute request target outranks the header, which is ignored.
    let host = match parts.uri.authority().cloned() {
        Some(target) => told_host(target, parts)?,
        None => host,
    };
    // An authority may carry a user name; a host may not.
    if host.host().is_empty() || host.as_str().contains('@') { Err(BadHost) } else { Ok(host) }
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use super::{BadHost, Contexts};
    use crate::clock::Clock;
    use crate::model::Timestamp;
    use crate::protocol::request::RequestIds;
    use crate::server::cidr::Cidr;
    use crate::server::connection::Arrival;

    fn begin(
        version: Version,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> Result<(String, Option<String>), BadHost> {
        let mut request = Request::builder().version(version).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let contexts = Contexts {
            ids: RequestIds::new(0),
            clock: Clock::Fixed(Timestamp::from_seconds(0)),
            trusted_proxies: vec![Cidr::parse("10.0.0.1").expect("a range")],
            meter: crate::protocol::meter::Meter::default(),
        };
        let address = |text: &str| text.parse().expect("an address");
        let arrival = Arrival { peer: address("10.0.0.1:5"), local: address("127.0.0.1:8000"), tls: false };
        let context = contexts.begin(arrival, &mut parts)?;
        let signed = parts.headers.get("host").map(|value| value.to_str().expect("text").to_owned());
        Ok((format!("{}://{}", context.scheme, context.host), signed))
    }

    #[test]
    fn the_host_is_the_one_that_the_client_asked() {
        for (version, uri, headers, expected) in [
            (Version::HTTP_11, "/a", vec![("host", "a.example:81")], "http://a.example:81"),
            (Version::HTTP_11, "http://b.example/a", vec![("host", "a.example")], "http://b.example"),
            (Version::HTTP_10, "/a", vec![], "http://127.0.0.1:8000"),
            (
                Version::HTTP_11,
                "/a",
                vec![("host", "inner"), ("x-forwarded-host", "a.example"), ("x-forwarded-proto", "https")],
                "https://a.example",
            ),
        ] {
            let (url, _) = begin(version, uri, &headers).expect("a host");
            assert_eq!(url, expected, "{uri} {headers:?}");
        }
    }

    #[test]
    fn a_trusted_proxys_word_replaces_the_host_that_is_verified() {
        let headers = [("host", "inner:8000"), ("x-forwarded-host", "a.example")];
        let (_, signed) = begin(Version::HTTP_11, "/a", &headers).expect("a host");
        assert_eq!(signed.as_deref(), Some("a.example"));
    }

    #[test]
    fn an_absolute_target_replaces_the_host_that_is_verified() {
        let headers = [("host", "bucket-a.localhost")];
        let (url, signed) =
            begin(Version::HTTP_11, "http://bucket-b.localhost:8000/a", &headers).expect("a host");
        assert_eq!(url, "http://bucket-b.localhost:8000");
        assert_eq!(signed.as_deref(), Some("bucket-b.localhost:8000"));
    }

    #[test]
    fn requests_without_one_good_host_are_refused() {
        for headers in [
            vec![],
            vec![("host", "")],
            vec![("host", "a.example"), ("host", "b.example")],
            vec![("host", "user@a.example")],
            vec![("host", "a example")],
        ] {
            assert_eq!(begin(Version::HTTP_11, "/a", &headers), Err(BadHost), "{headers:?}");
        }
    }
}
