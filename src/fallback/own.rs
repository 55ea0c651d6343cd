//! Who reads, and whether a redirect would lead them back to the stage that sends it.
//!
//! Tools that cannot be given another address are led here by a hosts entry for production's own
//! names. For them a redirect to such a name is a redirect to the same stage, so that it never ends.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::place::normal;
use super::{ClientKind, Upstream};

/// Who reads a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker<'a> {
    /// As far as rules tell clients apart.
    pub client: ClientKind,
    /// The address at which it found the stage; `None` for reads of the stage's own.
    pub reached: Option<Reached<'a>>,
}

/// The address at which a client found the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached<'a> {
    /// The host, without its port.
    pub host: &'a str,
    /// The port, or that of the scheme.
    pub port: u16,
}

/// The names of the stage, from the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnNames {
    /// Whoever looks these up finds the stage.
    always: BTreeSet<String>,
    /// Production's names, under which the stage answers too. Only some clients find the stage there.
    aliases: BTreeSet<String>,
}

impl From<ClientKind> for Asker<'_> {
    fn from(client: ClientKind) -> Self {
        Self { client, reached: None }
    }
}

impl OwnNames {
    /// `always` are names of the stage and of nothing else (`server.hosts`), `aliases` the hosts of
    /// `[[archive]]`.
    pub fn new(always: impl IntoIterator<Item = String>, aliases: impl IntoIterator<Item = String>) -> Self {
        let set = |names: &mut dyn Iterator<Item = String>| names.map(|name| normal(&name)).collect();
        Self { always: set(&mut always.into_iter()), aliases: set(&mut aliases.into_iter()) }
    }

    /// Whether a client that found the stage there would find it again where `upstream` is.
    ///
    /// A name counts whatever the scheme and the port, since a hosts entry knows neither. Behind an
    /// address there may be many servers, so there the port counts. Whoever came by one of
    /// production's names is taken to have the entries of all of them.
    pub(super) fn lead_back(&self, upstream: &Upstream, reached: Option<Reached<'_>>) -> bool {
        let (host, port) = upstream.server();
        let asked = reached.map(|reached| normal(reached.host));
        let is_same = asked.as_deref() == Some(host.as_str());
        if is_address(&host) {
            return is_same && reached.is_some_and(|reached| reached.port == port);
        }
        is_same
            || self.always.contains(&host)
            || (self.aliases.contains(&host) && asked.is_some_and(|asked| self.aliases.contains(&asked)))
    }
}

/// Whether a host is an address, or a name for one that every machine has.
fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok() || host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::{OwnNames, Reached};
    use crate::fallback::{Place, Upstream, UrlPrefix};

    #[test]
    fn a_name_leads_back_by_any_scheme_and_port_and_an_address_by_its_own_port() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let own = OwnNames::new(names(&["stage.example"]), names(&["archive.mozilla.org", "ftp.example"]));
        for (asked, port, to, expected) in [
            ("archive.mozilla.org", 80, "https://archive.mozilla.org/", true),
            ("archive.mozilla.org", 8000, "https://archive.mozilla.org/", true),
            ("Archive.Mozilla.org.", 443, "http://archive.mozilla.org:8080/x/", true),
            // One entry of a hosts file seldom comes alone.
            ("ftp.example", 80, "https://archive.mozilla.org/", true),
            ("archive.mozilla.org", 80, "https://ftp.example/", true),
            ("ftp.example", 80, "https://other.example/", false),
            // These found the stage at its own address: production's names lead them to production.
            ("127.0.0.1", 8000, "https://archive.mozilla.org/", false),
            ("stage.example", 80, "https://archive.mozilla.org/", false),
            ("understudy", 8000, "https://archive.mozilla.org/", false),
            ("127.0.0.1", 8000, "https://stage.example/", true),
            ("unknown.example", 80, "http://unknown.example:81/", true),
            ("127.0.0.1", 8000, "http://127.0.0.1:8000/stage/", true),
            ("127.0.0.1", 8000, "http://127.0.0.1:9000/stage/", false),
            ("localhost", 8000, "http://localhost:9000/stage/", false),
            ("localhost", 80, "http://localhost/stage/", true),
            ("[::1]", 443, "https://[::1]/stage/", true),
            ("[::1]", 443, "http://[::1]/stage/", false),
        ] {
            let upstream = Upstream::new(Place::Url(UrlPrefix::parse(to).expect("a prefix")), Vec::new());
            let reached = Some(Reached { host: asked, port });
            assert_eq!(own.lead_back(&upstream, reached), expected, "{asked}:{port} to {to}");
        }
    }

    #[test]
    fn reads_of_the_stage_s_own_are_led_nowhere() {
        let upstream = Upstream::new(
            Place::Url(UrlPrefix::parse("https://archive.mozilla.org/").expect("a prefix")),
            Vec::new(),
        );
        let own = OwnNames::new([], ["archive.mozilla.org".to_owned()]);
        assert!(!own.lead_back(&upstream, None));
    }
}
