//! What a browser may be made to do by a page that its user did not mean to trust. Pure.
//!
//! A page of any site can have a browser send "simple" requests anywhere, also to a stage on this
//! machine: a `POST` of a form or of text needs no preflight. And a page whose name suddenly resolves
//! to 127.0.0.1 (DNS rebinding) reads the answers too. A signature is what such a page cannot have, so
//! both rules are about requests without one:
//!
//! - they must not change anything for a page of another origin, and
//! - over loopback they must address a name that an attacker cannot own.
//!
//! HTTP Basic does not count as a signature: a browser adds a password that it remembers.
//! Deliberately elsewhere: verifying signatures (`auth`), the headers that keep a stored page from
//! acting for the stage (`server`).

use std::net::IpAddr;

use http::{HeaderMap, Method, header};

use super::request::Context;
use crate::presented::Presented;

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A page of another origin sent it.
    #[error(
        "A page of another site ({0}) had a browser send this unsigned request, which would change what is stored. Sign the request, or send it from a page of this server."
    )]
    ForeignPage(String),
    /// A page that was stored here as a website sent it.
    #[error(
        "{0} is one of server.website_hosts, which serve stored pages and take no unsigned writes. Sign the request, or use another name of this server."
    )]
    WebsiteHost(String),
    /// The name is not one of this server's.
    #[error(
        "This server does not know itself as {0:?}, so it does not answer unsigned requests for that name. Add the name to server.hosts (UNDERSTUDY_HOSTS), or ask for localhost or 127.0.0.1."
    )]
    UnknownHost(String),
}

/// The names by which a server is addressed. All are in lower case, without port and final period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Names that are this server's, such as those of the archive.
    pub hosts: Vec<String>,
    /// Whether other names are refused on every network, and not over loopback alone.
    pub strict: bool,
    /// Names below which further ones are this server's, such as the base domains of buckets.
    pub domains: Vec<String>,
    /// Names under which stored pages are websites: they may run scripts, and so there is nothing
    /// else under these names.
    pub websites: Vec<String>,
}

/// A request, as far as these rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Scheme and host that the client asked.
    pub context: &'a Context,
    /// Its method.
    pub method: &'a Method,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Whether the face that answers looks at `Authorization`, and refuses a wrong one.
    pub authorizes: bool,
    /// Its query, raw, if the face that answers verifies a signature there; else empty.
    pub presigned: &'a str,
    /// How it came.
    pub way: Way,
}

/// How a request reached the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From this machine.
    Loopback,
    /// From another one.
    Network,
    /// By a proxy whose word is taken: which names lead here is its business.
    Proxy,
}

/// Names that clients of the dialects have built in, and that nobody else can own.
const OF_DIALECTS: &[&str] = &["storage.googleapis.com", "s3.amazonaws.com"];

/// Top-level names that nobody can register: RFC 6761, RFC 6762, ICANN's `internal`.
const UNREGISTRABLE: &[&str] = &["localhost", "test", "example", "invalid", "local", "internal"];

impl Names {
    /// Whether stored pages are websites under this name.
    pub fn is_website(&self, host: &str) -> bool {
        self.websites.iter().any(|name| name.eq_ignore_ascii_case(without_period(host)))
    }

    /// Checks a request against both rules.
    ///
    /// # Errors
    /// Says which rule refuses it.
    pub fn check(&self, asked: Asked<'_>) -> Result<(), Refused> {
        // Most requests break no rule, so whether they are signed is asked last.
        match self.broken(asked) {
            Some(refused) if !asked.is_signed() => Err(refused),
            Some(_) | None => Ok(()),
        }
    }

    fn broken(&self, asked: Asked<'_>) -> Option<Refused> {
        let writes = !matches!(*asked.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let host = asked.context.host.host();
        if writes && let Some(page) = foreign_page(asked.context, asked.headers) {
            return Some(Refused::ForeignPage(page));
        }
        if writes && self.is_website(host) {
            return Some(Refused::WebsiteHost(shortened(host)));
        }
        let checked = match asked.way {
            Way::Loopback => true,
            // A port that Docker publishes on loopback is reached by way of its network. Every browser
            // says so when it writes; that it reads it does not say.
            Way::Network => self.strict || (writes && is_from_browser(asked.headers)),
            Way::Proxy => false,
        };
        (checked && !self.knows(host)).then(|| Refused::UnknownHost(shortened(host)))
    }

    /// Whether an attacker cannot own this name. One without a period is a machine's or a container's.
    fn knows(&self, host: &str) -> bool {
        let host = without_period(host);
        if !host.contains('.') || is_address(host) || self.is_website(host) {
            return true;
        }
        self.hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
            || self
                .domains
                .iter()
                .map(String::as_str)
                .chain(OF_DIALECTS.iter().copied())
                .any(|domain| domain.eq_ignore_ascii_case(host) || is_below(host, domain))
            || UNREGISTRABLE.iter().any(|domain| is_below(host, domain))
    }
}

impl Asked<'_> {
    /// Whether its sender shows a signature or a token: one that is wrong is refused by the face, and a
    /// browser asks first (a preflight) before a page of another origin may send `Authorization`.
    fn is_signed(&self) -> bool {
        let explicit = |value: &http::HeaderValue| {
            !value.as_bytes().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
        };
        (self.authorizes && self.headers.get(header::AUTHORIZATION).is_some_and(explicit))
            || Presented::is_in_query(self.presigned)
    }
}

/// Whether a browser sent the request: browsers alone send these headers, and no page can leave
/// them out.
pub fn is_from_browser(headers: &HeaderMap) -> bool {
    ["sec-fetch-site", "sec-fetch-mode", "origin", "referer"].iter().any(|name| headers.contains_key(*name))
}

/// The page of another origin that had a browser send the request, if one had.
///
/// Fetch: `Sec-Fetch-Site` says it outright, to https and loopback only. `Origin` goes with every
/// write; it is `null` for a page in a sandbox.
fn foreign_page(context: &Context, headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let origin = text("origin");
    let foreign = match text("sec-fetch-site").as_deref() {
        Some("same-origin" | "none") => false,
        Some(_) => true,
        None => origin.as_ref().is_some_and(|origin| {
            let own = origin.split_once("://").is_some_and(|(scheme, host)| {
                scheme.eq_ignore_ascii_case(context.scheme.as_str())
                    && host.eq_ignore_ascii_case(context.host.as_str())
            });
            !own
        }),
    };
    foreign.then(|| origin.map_or_else(|| "unnamed".to_owned(), |origin| shortened(&origin)))
}

/// A header of a page's choice, cut to what a log line should carry.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

fn without_period(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

fn is_below(host: &str, domain: &str) -> bool {
    let cut = host.len().checked_sub(domain.len());
    let (head, tail) = cut.and_then(|cut| host.split_at_checked(cut)).unwrap_or_default();
    head.ends_with('.') && tail.eq_ignore_ascii_case(domain)
}

fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use http::uri::{Authority, Scheme};
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::{Asked, Names, Refused, Way};
    use crate::model::Timestamp;
    use crate::protocol::request::Context;

    fn names() -> Names {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Names {
            hosts: list(&["archive.mozilla.org"]),
            domains: list(&["s3.stage.dev"]),
            websites: list(&["site.dev"]),
            strict: false,
        }
    }

    fn check(method: &str, url: &str, headers: &[(&str, &str)], way: Way) -> Result<(), Refused> {
        check_by(&names(), method, url, headers, way)
    }

    fn check_by(
        names: &Names,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        way: Way,
    ) -> Result<(), Refused> {
        let (scheme, rest) = url.split_once("://").expect("a scheme");
        let (host, query) = rest.split_once("/?").unwrap_or((rest, ""));
        let mut context = Context::for_tests(Timestamp::from_seconds(0));
        context.scheme = Scheme::try_from(scheme).expect("a scheme");
        context.host = Authority::try_from(host).expect("a host");
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
            })
            .collect();
        let method: Method = method.parse().expect("a method");
        let asked = Asked {
            context: &context,
            method: &method,
            headers: &headers,
            authorizes: true,
            presigned: query,
            way,
        };
        names.check(asked)
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing_without_a_signature() {
        const OWN: &str = "http://localhost:8000";
        for (method, name, value, taken) in [
            ("POST", "origin", "http://localhost:8000", true),
            ("POST", "origin", "HTTP://LOCALHOST:8000", true),
            ("POST", "origin", "https://localhost:8000", false),
            ("POST", "origin", "http://localhost:8001", false),
            ("POST", "origin", "http://localhost", false),
            ("POST", "origin", "http://elsewhere.example", false),
            ("POST", "origin", "null", false),
            ("POST", "origin", "", false),
            ("PUT", "origin", "http://elsewhere.example", false),
            ("DELETE", "origin", "http://elsewhere.example", false),
            ("PATCH", "origin", "http://elsewhere.example", false),
            ("MOVE", "origin", "http://elsewhere.example", false),
            ("POST", "sec-fetch-site", "same-origin", true),
            ("POST", "sec-fetch-site", "none", true),
            ("POST", "sec-fetch-site", "same-site", false),
            ("POST", "sec-fetch-site", "cross-site", false),
            ("POST", "sec-fetch-site", "new-in-2030", false),
            ("POST", "content-type", "text/plain", true),
            ("GET", "origin", "http://elsewhere.example", true),
            ("HEAD", "sec-fetch-site", "cross-site", true),
        ] {
            let checked = check(method, OWN, &[(name, value)], Way::Loopback);
            assert_eq!(checked.is_ok(), taken, "{method} {name}: {value}: {checked:?}");
        }
        let through_a_proxy = [("origin", "https://stage.dev"), ("sec-fetch-site", "same-origin")];
        assert_eq!(check("POST", "http://stage:8000", &through_a_proxy, Way::Network), Ok(()));
    }

    #[test]
    fn a_signature_is_what_a_page_cannot_have_and_a_password_is_not() {
        let page = ("sec-fetch-site", "cross-site");
        for (authorization, taken) in [
            ("AWS4-HMAC-SHA256 Credential=…", true),
            ("Bearer understudy.x", true),
            ("Basic YWxsOnNlY3JldA==", false),
            ("basic YWxsOnNlY3JldA==", false),
        ] {
            let headers = [page, ("authorization", authorization)];
            for host in ["http://localhost:8000", "http://rebound.attacker.dev:8000"] {
                assert_eq!(
                    check("POST", host, &headers, Way::Loopback).is_ok(),
                    taken,
                    "{authorization} {host}"
                );
            }
        }
    }

    #[test]
    fn a_presigned_link_is_signed_where_links_are_verified() {
        let page = [("origin", "http://elsewhere.example")];
        for (query, taken) in [
            ("X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c", true),
            ("AWSAccessKeyId=a&Signature=b&Expires=1", true),
            ("prefix=X-Amz-Signature=c", false),
            ("", false),
        ] {
            let url = format!("http://localhost:8000/?{query}");
            assert_eq!(check("PUT", &url, &page, Way::Loopback).is_ok(), taken, "{query}");
        }
    }

    #[test]
    fn over_loopback_a_name_that_an_attacker_can_own_is_refused() {
        for (host, known) in [
            ("localhost:8000", true),
            ("LOCALHOST", true),
            ("localhost.", true),
            ("127.0.0.1:8000", true),
            ("[::1]:8000", true),
            ("10.1.2.3", true),
            ("stage", true),
            ("bucket.localhost:8000", true),
            ("stage.test", true),
            ("host.docker.internal", true),
            ("archive.mozilla.org", true),
            ("archive.mozilla.org.", true),
            ("other.mozilla.org", false),
            ("s3.stage.dev", true),
            ("bucket.s3.stage.dev", true),
            ("buckets3.stage.dev", false),
            ("storage.googleapis.com", true),
            ("bucket.storage.googleapis.com", true),
            ("site.dev", true),
            ("attacker.dev", false),
            ("127.0.0.1.attacker.dev", false),
            ("localhost.attacker.dev", false),
        ] {
            for method in ["GET", "HEAD"] {
                let checked = check(method, &format!("http://{host}"), &[], Way::Loopback);
                assert_eq!(checked.is_ok(), known, "{method} {host}: {checked:?}");
            }
            let url = format!("http://{host}");
            for way in [Way::Network, Way::Proxy] {
                assert_eq!(check("GET", &url, &[], way), Ok(()), "{host} by {way:?}");
            }
            let own = format!("http://{host}");
            let written = check("PUT", &url, &[("origin", &own)], Way::Network);
            let unknown = matches!(written, Err(Refused::UnknownHost(_)));
            assert_eq!(unknown, !known, "{host}: a browser writes by Docker's network");
            let strict = Names { strict: true, ..names() };
            assert_eq!(check_by(&strict, "GET", &url, &[], Way::Network).is_ok(), known, "{host}, strict");
            assert_eq!(check_by(&strict, "GET", &url, &[], Way::Proxy), Ok(()), "{host} by a proxy");
        }
    }

    #[test]
    fn a_website_of_stored_pages_takes_no_unsigned_writes() {
        let same = [("sec-fetch-site", "same-origin")];
        for way in [Way::Loopback, Way::Network, Way::Proxy] {
            let refused = check("POST", "http://site.dev", &same, way);
            assert_eq!(refused, Err(Refused::WebsiteHost("site.dev".to_owned())));
            assert_eq!(check("GET", "http://site.dev", &same, way), Ok(()));
        }
    }
}
