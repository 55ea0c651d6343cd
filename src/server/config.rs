//! What the server can be told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::cidr::Cidr;
use super::patience::Pace;
use crate::protocol::browser::Names;

/// How the server listens and what it puts up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key, to speak TLS.
    pub tls: Option<TlsFiles>,
    /// Whose word about client, host and scheme is taken.
    pub trusted_proxies: Vec<Cidr>,
    /// The names by which the server is addressed.
    pub names: Names,
    /// What a client may use up.
    pub limits: Limits,
}

/// The files of a TLS identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with those that vouch for it after it (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

/// What a client may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Transfers at a time: requests that bring a body, or whose answer is long. Short requests and
    /// connections on which nothing is asked have further places (`crowd`).
    pub connections_max: usize,
    /// Requests at a time from one address; three quarters of `connections_max` if it is not set.
    /// Loopback and trusted proxies stand for many clients and have no such limit.
    pub connections_per_peer: Option<usize>,
    /// Bytes of a request line and its headers; more is answered 431.
    pub head_bytes_max: usize,
    /// Time for a whole request line and its headers, and for the TLS handshake. A kept-alive
    /// connection on which nothing is asked for so long is closed.
    pub head_timeout: Duration,
    /// Time in which a client that sends or takes a body must make any progress.
    pub stall_timeout: Duration,
    /// Bytes a second that a client that sends or takes a body must manage on average; 0 is no limit.
    pub rate_bytes_min: u64,
    /// How far a client may fall behind that average before it is cut off.
    pub rate_grace: Duration,
    /// Time that requests in flight get when the server stops.
    pub stop_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            tls: None,
            trusted_proxies: Vec::new(),
            names: Names::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connections_per_peer: None,
            // S3: request headers may take 8 KiB and a presigned address some more.
            head_bytes_max: 32 * 1024,
            head_timeout: Duration::from_mins(1),
            stall_timeout: Duration::from_mins(1),
            rate_bytes_min: 1024,
            rate_grace: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// What a client must do to keep its connection while a body is under way.
    pub(super) fn pace(&self) -> Pace {
        // Without any grace nobody could be waited for.
        let bytes_min = if self.rate_grace.is_zero() { 0 } else { self.rate_bytes_min };
        Pace { stall: self.stall_timeout, bytes_min, grace: self.rate_grace }
    }

    /// Requests at a time from one address.
    pub(super) fn per_peer(&self) -> usize {
        self.connections_per_peer.unwrap_or(self.connections_max - self.connections_max / 4).max(1)
    }
}

impl Config {
    /// A free port of the loopback interface.
    pub fn for_tests() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Self::default() }
    }
}
