//! Whether a redirect that an upstream sends may be followed, and where to.

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::fallback::Port;

/// The most redirects in a row.
pub(super) const REDIRECTS_MAX: usize = 5;

/// Why a redirect is not followed. Names hosts and no paths: these may be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// RFC 9110 section 10.2.2.
    #[error("redirects without an address that can be followed")]
    Malformed,
    /// A host, or a port of one, that nobody configured.
    #[error("redirects to {host} at port {port}, which is neither its own host nor one of its `hosts`")]
    Host { host: String, port: u16 },
    /// What came encrypted must not go on in the clear.
    #[error("redirects from https:// to http://{host}")]
    Downgrade { host: String },
}

/// The address that `location`, sent by `current`, leads to.
pub(super) fn target(
    current: &Uri,
    location: &[u8],
    allows: impl Fn(&str, Port) -> bool,
) -> Result<Uri, Refused> {
    let uri = resolve(current, location).ok_or(Refused::Malformed)?;
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let port = port(&uri);
    if !allows(&host, port) {
        return Err(Refused::Host { host, port: port.number });
    }
    if current.scheme() == Some(&Scheme::HTTPS) && uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(Refused::Downgrade { host });
    }
    Ok(uri)
}

/// Whether two addresses are of the same server, so that what authorises one request may go with
/// the other.
pub(super) fn is_same_origin(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

fn port(uri: &Uri) -> Port {
    let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let number = uri.port_u16().unwrap_or(default);
    Port { number, is_default: number == default }
}

/// RFC 3986 section 5.2, of references that have no `.` or `..` segment.
fn resolve(current: &Uri, location: &[u8]) -> Option<Uri> {
    let text = std::str::from_utf8(location).ok()?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return None;
    }
    let reference = text.split('#').next()?;
    let scheme = current.scheme_str()?;
    let authority = current.authority()?;
    let is_absolute = reference
        .split_once(':')
        .is_some_and(|(scheme, _)| !scheme.is_empty() && !scheme.contains(['/', '?']));
    let address = if is_absolute {
        reference.to_owned()
    } else if reference.starts_with("//") {
        format!("{scheme}:{reference}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{reference}")
    } else if reference.starts_with('?') {
        format!("{scheme}://{authority}{}{reference}", current.path())
    } else {
        let folder = current.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{reference}")
    };
    let uri: Uri = address.parse().ok()?;
    let is_web = uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
    let names_a_user = uri.authority().is_some_and(has_user);
    // An unreadable port is not the scheme's.
    let names_no_port = |authority: &Authority| {
        authority.as_str().len() > authority.host().len() && authority.port_u16().is_none()
    };
    let is_vague = uri.authority().is_some_and(names_no_port);
    let climbs = uri.path().split('/').any(|segment| matches!(segment, "." | ".."));
    (is_web && uri.host().is_some_and(|host| !host.is_empty()) && !names_a_user && !is_vague && !climbs)
        .then_some(uri)
}

fn has_user(authority: &Authority) -> bool {
    authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::{Refused, is_same_origin, target};
    use crate::fallback::Port;

    const CURRENT: &str = "https://prod.example/pub/a/b?x=1";

    fn allows(host: &str, port: Port) -> bool {
        matches!(host, "prod.example" | "cdn.example" | "[::1]") && (port.is_default || port.number == 8443)
    }

    #[test]
    fn addresses_are_resolved_and_only_configured_hosts_are_followed() {
        let refused_at = |host: &str, port| Err(Refused::Host { host: host.to_owned(), port });
        let refused = |host: &str| refused_at(host, 443);
        for (location, expected) in [
            ("https://cdn.example/x?y=z#part", Ok("https://cdn.example/x?y=z")),
            ("https://CDN.example:8443/x", Ok("https://CDN.example:8443/x")),
            ("https://[::1]:8443/x", Ok("https://[::1]:8443/x")),
            ("//cdn.example/x", Ok("https://cdn.example/x")),
            ("/x//y%2F", Ok("https://prod.example/x//y%2F")),
            ("c", Ok("https://prod.example/pub/a/c")),
            ("?y", Ok("https://prod.example/pub/a/b?y")),
            ("c?u=https://evil.example/", Ok("https://prod.example/pub/a/c?u=https://evil.example/")),
            ("https://evil.example/x", refused("evil.example")),
            ("//evil.example/x", refused("evil.example")),
            ("https://prod.example.evil.example/", refused("prod.example.evil.example")),
            ("https://prod.example./", refused("prod.example.")),
            ("http://169.254.169.254/latest/", refused_at("169.254.169.254", 80)),
            ("https://prod.example:22/", refused_at("prod.example", 22)),
            ("https://prod.example:80/", refused_at("prod.example", 80)),
            ("//cdn.example:444/x", refused_at("cdn.example", 444)),
            ("https://cdn.example:443/x", Ok("https://cdn.example:443/x")),
            ("https://cdn.example:99999/x", Err(Refused::Malformed)),
            ("http://cdn.example/x", Err(Refused::Downgrade { host: "cdn.example".to_owned() })),
            ("http://prod.example/x", Err(Refused::Downgrade { host: "prod.example".to_owned() })),
            ("https://prod.example@evil.example/", Err(Refused::Malformed)),
            ("https://user:pass@cdn.example/", Err(Refused::Malformed)),
            ("https:///x", Err(Refused::Malformed)),
            ("ftp://cdn.example/x", Err(Refused::Malformed)),
            ("file:///etc/passwd", Err(Refused::Malformed)),
            ("javascript:alert(1)", Err(Refused::Malformed)),
            ("../../x", Err(Refused::Malformed)),
            ("/a/./b", Err(Refused::Malformed)),
            ("\\\\evil.example\\x", Err(Refused::Malformed)),
            ("/a b", Err(Refused::Malformed)),
            ("/é", Err(Refused::Malformed)),
            ("", Err(Refused::Malformed)),
        ] {
            let current = Uri::from_static(CURRENT);
            let found = target(&current, location.as_bytes(), allows).map(|uri| uri.to_string());
            assert_eq!(found, expected.map(str::to_owned), "{location}");
        }
    }

    #[test]
    fn what_was_in_the_clear_may_become_encrypted() {
        let current = Uri::from_static("http://prod.example/a");
        assert!(target(&current, b"https://prod.example/a", allows).is_ok());
        assert!(target(&current, b"http://cdn.example/a", allows).is_ok());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (other, expected) in [
            ("https://prod.example/", true),
            ("https://PROD.example:443/x", true),
            ("https://prod.example:8443/", false),
            ("http://prod.example:443/", false),
            ("https://cdn.example/", false),
        ] {
            assert_eq!(
                is_same_origin(&Uri::from_static(CURRENT), &Uri::from_static(other)),
                expected,
                "{other}"
            );
        }
    }
}
