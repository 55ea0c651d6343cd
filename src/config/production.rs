//! `[upstream]` and `[cache]`: how production is asked, and how much of it is kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::{Size, Span};
use crate::model::HostName;
use crate::{upstream, view};

/// Where name servers listen.
const DNS_PORT: u16 = 53;

/// `[upstream]`: the budget of what is asked of production.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UpstreamTable {
    connect_timeout: Span,
    head_timeout: Span,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_timeout: Option<Span>,
    stall_timeout: Span,
    min_rate: Size,
    retries: u32,
    connections: NonZeroUsize,
    head_connections: NonZeroUsize,
    list_connections: NonZeroUsize,
    breaker_failures: NonZeroU32,
    breaker_pause: Span,
    list_ttl: Span,
    absent_ttl: Span,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    resolve: BTreeMap<HostName, Pinned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nameserver: Option<Nameserver>,
}

/// Where a name is: one address, or several to try in turn.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(try_from = "OneOrMore", into = "OneOrMore")]
struct Pinned {
    written: OneOrMore,
    addresses: Vec<SocketAddr>,
}

/// As it is written.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged, expecting = "an address such as \"151.101.1.91\", or a list of them")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// A name server: its address, with a port or at 53.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
struct Nameserver(SocketAddr);

impl TryFrom<OneOrMore> for Pinned {
    type Error = String;

    fn try_from(written: OneOrMore) -> Result<Self, String> {
        let texts = match &written {
            OneOrMore::One(text) => std::slice::from_ref(text),
            OneOrMore::More(texts) => texts.as_slice(),
        };
        if texts.is_empty() {
            return Err("the list of addresses is empty: leave the name out to have it looked up".to_owned());
        }
        let addresses = texts.iter().map(|text| upstream::read_address(text, 0));
        let addresses = addresses.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok(Self { written, addresses })
    }
}

impl From<Pinned> for OneOrMore {
    fn from(pinned: Pinned) -> Self {
        pinned.written
    }
}

impl TryFrom<String> for Nameserver {
    type Error = upstream::InvalidAddress;

    fn try_from(text: String) -> Result<Self, upstream::InvalidAddress> {
        upstream::read_address(&text, DNS_PORT).map(Self)
    }
}

impl From<Nameserver> for String {
    fn from(server: Nameserver) -> Self {
        server.0.to_string()
    }
}

/// `[cache]`: how much is kept of what was fetched.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CacheTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_size: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<Span>,
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

impl Default for UpstreamTable {
    fn default() -> Self {
        let upstream = upstream::Config::default();
        Self {
            connect_timeout: upstream.connect_timeout.into(),
            head_timeout: upstream.head_timeout.into(),
            request_timeout: upstream.request_timeout.map(Span::from),
            stall_timeout: upstream.stall_timeout.into(),
            min_rate: upstream.rate_min_bytes.into(),
            retries: upstream.retries,
            connections: at_least_one(upstream.connections_max),
            head_connections: at_least_one(upstream.head_connections_max),
            list_connections: at_least_one(upstream.list_connections_max),
            breaker_failures: NonZeroU32::new(upstream.breaker_failures).unwrap_or(NonZeroU32::MIN),
            breaker_pause: upstream.breaker_pause.into(),
            list_ttl: upstream.list_ttl.into(),
            absent_ttl: upstream.absent_ttl.into(),
            ca_file: upstream.ca_file,
            resolve: BTreeMap::new(),
            nameserver: None,
        }
    }
}

impl UpstreamTable {
    /// As the room that asks takes it.
    pub(super) fn config(self) -> upstream::Config {
        let pinned = self.resolve.into_iter().map(|(name, pinned)| (String::from(name), pinned.addresses));
        upstream::Config {
            connect_timeout: self.connect_timeout.duration(),
            head_timeout: self.head_timeout.duration(),
            request_timeout: self.request_timeout.map(Span::duration),
            stall_timeout: self.stall_timeout.duration(),
            rate_min_bytes: self.min_rate.bytes(),
            retries: self.retries,
            connections_max: self.connections.get(),
            head_connections_max: self.head_connections.get(),
            list_connections_max: self.list_connections.get(),
            breaker_failures: self.breaker_failures.get(),
            breaker_pause: self.breaker_pause.duration(),
            list_ttl: self.list_ttl.duration(),
            absent_ttl: self.absent_ttl.duration(),
            ca_file: self.ca_file,
            names: upstream::Names {
                pinned: pinned.collect(),
                server: self.nameserver.map(|server| server.0),
            },
        }
    }
}

impl CacheTable {
    /// As the view takes it.
    pub(super) fn config(&self) -> view::Config {
        view::Config { max_bytes: self.max_size.map(Size::bytes), max_age: self.max_age.map(Span::duration) }
    }
}
