//! Ranges of IP addresses, as in `trusted_proxies`. Pure.
//!
//! RFC 4632 section 3.1, RFC 4291 section 2.3.

use std::fmt;
use std::net::IpAddr;

/// A range of addresses such as `10.0.0.0/8` or `::1/128`.
///
/// Invariants: the prefix fits the family of the address, and the bits after it are zero. An IPv4
/// address that was written in IPv6's clothes (`::ffff:10.0.0.1`) matches as what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// Why a text is not a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCidr {
    /// Neither an address nor an address and a prefix.
    #[error(
        "{0:?} is not a range of addresses: write one such as \"10.0.0.0/8\", \"::1/128\" or \"192.0.2.7\""
    )]
    Malformed(String),
    /// An address inside the range, not the range itself: most likely a slip.
    #[error("{text:?} has bits set after its prefix: did you mean \"{meant}\"?")]
    NotANetwork {
        /// What was written.
        text: String,
        /// The range that it is in.
        meant: Cidr,
    },
}

impl Cidr {
    /// Reads a range. An address alone is the range that holds only it.
    pub fn parse(text: &str) -> Result<Self, InvalidCidr> {
        let malformed = || InvalidCidr::Malformed(text.chars().take(80).collect());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| malformed())?;
        let widest = width(network);
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= widest).ok_or_else(malformed)?
            }
            Some(_) => return Err(malformed()),
            None => widest,
        };
        let meant = Self { network: masked(network, prefix), prefix };
        if meant.network == network {
            Ok(meant)
        } else {
            Err(InvalidCidr::NotANetwork { text: text.to_owned(), meant })
        }
    }

    /// Whether the address is in the range.
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4() && masked(address, self.prefix) == self.network
    }
}

/// How many bits an address has.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with only its first `prefix` bits.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let zeroes = u32::from(width(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(address) => {
            IpAddr::V4((address.to_bits() & u32::MAX.checked_shl(zeroes).unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            IpAddr::V6((address.to_bits() & u128::MAX.checked_shl(zeroes).unwrap_or(0)).into())
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.prefix)
    }
}

impl<'de> serde::Deserialize<'de> for Cidr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Cidr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cidr, InvalidCidr};

    #[test]
    fn ranges_hold_what_they_say() {
        for (range, address, held) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "a00::1", false),
            ("192.0.2.128/25", "192.0.2.128", true),
            ("192.0.2.128/25", "192.0.2.127", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("::1/128", "::1", true),
        ] {
            let range = Cidr::parse(range).expect("a range");
            assert_eq!(range.contains(address.parse().expect("an address")), held, "{range} {address}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in
            ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "proxy"]
        {
            assert!(matches!(Cidr::parse(text), Err(InvalidCidr::Malformed(_))), "{text:?} was taken");
        }
    }

    #[test]
    fn an_address_within_a_range_is_refused_with_the_range_it_is_in() {
        let refused = Cidr::parse("10.1.2.3/8").expect_err("bits are set after the prefix");
        assert_eq!(
            refused.to_string(),
            "\"10.1.2.3/8\" has bits set after its prefix: did you mean \"10.0.0.0/8\"?"
        );
    }
}
