//! The address to listen on, as people write it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// An address with or without a port: `127.0.0.1:8000`, `0.0.0.0`, `[::1]:8000`, `localhost:9000`.
///
/// Without one, `PORT` may give it: a platform that sets `PORT` says nothing about the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    address: IpAddr,
    port: Option<u16>,
}

/// Why a text is not an address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an address to listen on: write ADDRESS:PORT such as \"127.0.0.1:8000\" (this machine only), \"0.0.0.0:8000\" (every network) or \"[::1]:0\" (port 0 takes a free one)"
)]
pub struct InvalidListen(String);

impl Listen {
    /// The port if there is none.
    pub const PORT_DEFAULT: u16 = 8000;

    /// With another port.
    pub fn with_port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// Whether the port was written.
    pub fn has_port(self) -> bool {
        self.port.is_some()
    }

    /// What to bind.
    pub fn socket_address(self) -> SocketAddr {
        SocketAddr::new(self.address, self.port.unwrap_or(Self::PORT_DEFAULT))
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self { address: address.ip(), port: Some(address.port()) }
    }
}

impl FromStr for Listen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        let text = text.trim();
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self { address, port: None });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, port.parse().map(Some)),
            None => (text, Ok(None)),
        };
        match (name, port) {
            // Names are not looked up: an answer could change what the server is open to.
            ("localhost", Ok(port)) => Ok(Self { address: Ipv4Addr::LOCALHOST.into(), port }),
            _ => Err(InvalidListen(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_address().fmt(formatter)
    }
}

impl<'de> serde::Deserialize<'de> for Listen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Listen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Listen;

    #[test]
    fn addresses_are_read_with_and_without_a_port() {
        for (text, address, has_port) in [
            ("127.0.0.1:0", "127.0.0.1:0", true),
            ("0.0.0.0", "0.0.0.0:8000", false),
            ("0.0.0.0:9000", "0.0.0.0:9000", true),
            ("[::1]:8000", "[::1]:8000", true),
            ("[::1]", "[::1]:8000", false),
            ("::", "[::]:8000", false),
            ("localhost:81", "127.0.0.1:81", true),
            ("localhost", "127.0.0.1:8000", false),
        ] {
            let listen: Listen = text.parse().expect("an address");
            assert_eq!((listen.to_string().as_str(), listen.has_port()), (address, has_port), "{text}");
        }
        for text in ["", "8000", ":8000", "example.com:8000", "127.0.0.1:", "127.0.0.1:65536", "[::1"] {
            assert!(text.parse::<Listen>().is_err(), "{text:?} was taken");
        }
    }
}
