//! Where the names of upstreams are, if the machine should not be asked.
//!
//! A machine, or a network, on which production's names lead to the stage would have the stage ask
//! itself. TLS verifies the name all the same, so that a wrong address is found out.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// What is known of names before the machine is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Addresses of names, which are in lower case and without a final period. Port 0 stands for
    /// the port of the scheme.
    pub pinned: BTreeMap<String, Vec<SocketAddr>>,
    /// The name server that is asked of every other name, instead of the machine's, and without its
    /// hosts file.
    pub server: Option<SocketAddr>,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an address: write it without a name, such as \"151.101.1.91\", or \"[2001:db8::1]:8443\" with a port"
)]
pub struct InvalidAddress(String);

impl Names {
    /// The addresses of a name that was pinned.
    pub(super) fn of(&self, name: &str) -> Option<&[SocketAddr]> {
        self.pinned.get(&name.to_ascii_lowercase()).map(Vec::as_slice)
    }
}

/// Reads an address, with a port or without.
///
/// # Errors
/// It is a name, or not an address.
pub fn read_address(text: &str, port: u16) -> Result<SocketAddr, InvalidAddress> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let alone = || bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
    let found = text.parse::<SocketAddr>().ok().filter(|address| address.port() > 0).or_else(alone);
    found.ok_or_else(|| InvalidAddress(text.chars().take(100).collect()))
}

#[cfg(test)]
mod tests {
    use super::read_address;

    #[test]
    fn addresses_are_numbers_with_a_port_or_without() {
        for (text, expected) in [
            ("151.101.1.91", Some("151.101.1.91:53")),
            ("127.0.0.1:8443", Some("127.0.0.1:8443")),
            ("::1", Some("[::1]:53")),
            ("[::1]", Some("[::1]:53")),
            ("[::1]:443", Some("[::1]:443")),
            ("127.0.0.1:0", None),
            ("archive.mozilla.org", None),
            ("https://1.2.3.4", None),
            ("", None),
        ] {
            let found = read_address(text, 53).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }
}
