//! What trusted proxies say about the client: its address, and the scheme and host it asked. Pure.
//!
//! A client can write these headers too, so they count only where the one who sent them is a
//! configured proxy, hop by hop from our own peer outwards.
//! RFC 7239 (`Forwarded`), and the `X-Forwarded-…` headers that came before it.

use std::net::{IpAddr, SocketAddr};

use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName};

use super::cidr::Cidr;

/// Who asks, and what they asked for as far as a proxy tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The client, as far out as the chain of trusted proxies reaches.
    pub(super) peer: SocketAddr,
    /// The scheme that the client used, if a proxy says it.
    pub(super) scheme: Option<Scheme>,
    /// The host that the client asked, if a proxy says it.
    pub(super) host: Option<Authority>,
}

/// What one proxy wrote about the side that it was asked from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hop {
    node: Option<SocketAddr>,
    scheme: Option<Scheme>,
    host: Option<Authority>,
}

/// Finds the origin of a request that came from `peer`.
pub(super) fn origin(peer: SocketAddr, headers: &HeaderMap, trusted: &[Cidr]) -> Origin {
    let mut origin = Origin { peer, scheme: None, host: None };
    if trusted.is_empty() {
        return origin;
    }
    for hop in hops(headers).into_iter().rev() {
        if !trusted.iter().any(|range| range.contains(origin.peer.ip())) {
            break;
        }
        origin.scheme = hop.scheme.or(origin.scheme);
        origin.host = hop.host.or(origin.host);
        match hop.node {
            Some(node) => origin.peer = node,
            // Whoever is further out is not known, so what they said cannot be trusted.
            None => break,
        }
    }
    origin
}

/// The hops that the headers tell of, the client's side first.
///
/// The `X-Forwarded-…` headers go first: a proxy that writes them passes a client's own `Forwarded`
/// on untouched, and most proxies write only them.
fn hops(headers: &HeaderMap) -> Vec<Hop> {
    let nodes = list(headers, &HeaderName::from_static("x-forwarded-for"));
    let schemes = list(headers, &HeaderName::from_static("x-forwarded-proto"));
    let hosts = list(headers, &HeaderName::from_static("x-forwarded-host"));
    let count = nodes.len().max(schemes.len()).max(hosts.len());
    if count == 0 {
        return list(headers, &http::header::FORWARDED).into_iter().map(forwarded_element).collect();
    }
    // The lists may differ in length: each is written from the right, nearest proxy last.
    let from_right = |list: &[&str], back: usize| -> Option<String> {
        list.len().checked_sub(back).and_then(|at| list.get(at)).map(|text| (*text).to_owned())
    };
    (1..=count)
        .rev()
        .map(|back| Hop {
            node: from_right(&nodes, back).and_then(|text| node(&text)),
            scheme: from_right(&schemes, back).and_then(|text| scheme(&text)),
            host: from_right(&hosts, back).and_then(|text| text.parse().ok()),
        })
        .collect()
}

/// The elements of a comma-separated header, all its lines together.
fn list<'headers>(headers: &'headers HeaderMap, name: &HeaderName) -> Vec<&'headers str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| split_unquoted(line, ',')).map(str::trim).filter(|text| !text.is_empty()).collect()
}

/// Splits where `separator` stands outside of quotes.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if quoted && letter == '\\' {
            escaped = true;
        } else if letter == '"' {
            quoted = !quoted;
        } else if letter == separator && !quoted {
            pieces.push(&text[start..at]);
            start = at + separator.len_utf8();
        }
    }
    pieces.push(&text[start..]);
    pieces
}

/// One element of `Forwarded`, such as `for="[2001:db8::17]:4711";proto=https`.
fn forwarded_element(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in split_unquoted(element, ';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.node = node(value),
            "proto" => hop.scheme = scheme(value),
            "host" => hop.host = value.parse().ok(),
            _ => {}
        }
    }
    hop
}

/// An address with or without port and brackets; names that hide an address (`unknown`, `_x`) are none.
fn node(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0))
}

/// The two schemes there are; anything else a proxy may say is not believed.
fn scheme(text: &str) -> Option<Scheme> {
    match text {
        _ if text.eq_ignore_ascii_case("https") => Some(Scheme::HTTPS),
        _ if text.eq_ignore_ascii_case("http") => Some(Scheme::HTTP),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::super::cidr::Cidr;
    use super::origin;

    /// Headers sent by 10.0.0.1 with 10.0.0.0/8 trusted, and `peer scheme host` found.
    const TOLD: &[(&[(&str, &str)], &str)] = &[
        (&[], "10.0.0.1:5 - -"),
        (&[("x-forwarded-proto", "https")], "10.0.0.1:5 https -"),
        (&[("x-forwarded-host", "stage.example:8443")], "10.0.0.1:5 - stage.example:8443"),
        (
            &[
                ("x-forwarded-for", "192.0.2.9"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "a.example"),
            ],
            "192.0.2.9:0 https a.example",
        ),
        // The client wrote an entry of its own; the proxy appended the truth.
        (&[("x-forwarded-for", "6.6.6.6, 192.0.2.9")], "192.0.2.9:0 - -"),
        (&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.9")], "192.0.2.9:0 - -"),
        (
            &[("x-forwarded-for", "192.0.2.9"), ("x-forwarded-host", "evil.example, a.example")],
            "192.0.2.9:0 - a.example",
        ),
        // Two proxies in a row; the inner one was asked by the outer one under another name.
        (
            &[("x-forwarded-for", "192.0.2.9, 10.0.0.2"), ("x-forwarded-host", "a.example, inner")],
            "192.0.2.9:0 - a.example",
        ),
        (
            &[("x-forwarded-for", "192.0.2.9, 10.0.0.2"), ("x-forwarded-host", "a.example")],
            "192.0.2.9:0 - a.example",
        ),
        (&[("x-forwarded-proto", "gopher")], "10.0.0.1:5 - -"),
        (&[("x-forwarded-host", "not a host")], "10.0.0.1:5 - -"),
        (&[("x-forwarded-for", "unknown")], "10.0.0.1:5 - -"),
        (&[("forwarded", "for=192.0.2.9;proto=https;host=a.example")], "192.0.2.9:0 https a.example"),
        (
            &[("forwarded", "For=\"[2001:db8::17]:4711\";Proto=HTTPS; Host=\"a.example:1\"")],
            "[2001:db8::17]:4711 https a.example:1",
        ),
        (
            &[("forwarded", "for=6.6.6.6;host=evil.example, for=192.0.2.9;host=a.example")],
            "192.0.2.9:0 - a.example",
        ),
        (&[("forwarded", "for=\"6,6;6\\\"\";host=a.example")], "10.0.0.1:5 - a.example"),
        (&[("forwarded", "for=_hidden, for=10.0.0.2;proto=https")], "10.0.0.2:0 https -"),
        // A proxy of the older kind passes what the client claims in the newer header.
        (
            &[("forwarded", "for=6.6.6.6;host=evil.example"), ("x-forwarded-for", "192.0.2.9")],
            "192.0.2.9:0 - -",
        ),
    ];

    fn found(peer: &str, headers: &[(&str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                HeaderValue::from_str(value).expect("a value"),
            );
        }
        let trusted = [Cidr::parse("10.0.0.0/8").expect("a range")];
        let origin = origin(peer.parse().expect("an address"), &map, &trusted);
        let scheme = origin.scheme.map_or_else(|| "-".to_owned(), |scheme| scheme.to_string());
        let host = origin.host.map_or_else(|| "-".to_owned(), |host| host.to_string());
        format!("{} {scheme} {host}", origin.peer)
    }

    #[test]
    fn trusted_proxies_are_believed_as_far_as_the_chain_reaches() {
        for (headers, expected) in TOLD {
            assert_eq!(found("10.0.0.1:5", headers), *expected, "{headers:?}");
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        for (headers, _) in TOLD {
            assert_eq!(found("203.0.113.1:5", headers), "203.0.113.1:5 - -", "{headers:?}");
        }
    }
}
