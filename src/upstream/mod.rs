//! The only room that asks production: reads and listings, within a budget, and nothing else.
//!
//! No request that leaves here writes, carries a client's credentials, cookies or query, or goes to
//! a host that is not configured. What must not be here: rules (`fallback`), what is kept (`store`),
//! and how answers are worded (the faces).

mod body;
mod budget;
mod client;
mod connect;
mod exchange;
mod failure;
mod head;
mod hops;
mod list;
mod memory;
mod names;
mod patience;
mod redirect;
mod request;
mod retry;
mod state;
#[cfg(test)]
mod tests;
mod turns;

use std::time::Duration;

use http::{HeaderMap, StatusCode};

pub use body::Body;
pub use client::Client;
pub use hops::Hops;
pub use names::{InvalidAddress, Names, read_address};

use crate::fallback::{ReadMethod, Upstream};
use crate::model::{ETag, Metadata, ObjectKey, Timestamp};

/// The time for pauses between tries, where the time of a request is made of that of a head.
const PAUSES: Duration = Duration::from_secs(5);

/// What the room can be told: `[upstream]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Time for a connection, with TLS.
    pub connect_timeout: Duration,
    /// Time from a request to the head of its answer, and as long before that for its turn.
    pub head_timeout: Duration,
    /// Time for all of a question: its turn, its tries and the head, and of a listing or an index the
    /// last byte too. `None` for three times `head_timeout`, and 5 seconds for the pauses between tries.
    pub request_timeout: Option<Duration>,
    /// Time in which a body must make any progress.
    pub stall_timeout: Duration,
    /// The least bytes that a body must bring for each second in which it is waited for; 0 for any.
    pub rate_min_bytes: u64,
    /// How often a read that failed before its first byte is tried again; after a time-out, once at most.
    pub retries: u32,
    /// Bodies at a time from one upstream; more wait.
    pub connections_max: usize,
    /// The same for heads, which bodies do not keep waiting.
    pub head_connections_max: usize,
    /// The same for pages of listings.
    pub list_connections_max: usize,
    /// Failures in a row after which an upstream counts as down.
    pub breaker_failures: u32,
    /// How long an upstream that counts as down is left alone.
    pub breaker_pause: Duration,
    /// How long a page of a listing is remembered.
    pub list_ttl: Duration,
    /// How long it is remembered that there is no such key.
    pub absent_ttl: Duration,
    /// Further roots (PEM) besides those of Mozilla's programme, for upstreams within a company.
    pub ca_file: Option<std::path::PathBuf>,
    /// Who turns names into addresses.
    pub names: Names,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(20),
            request_timeout: None,
            stall_timeout: Duration::from_secs(30),
            rate_min_bytes: 1024,
            retries: 2,
            connections_max: 64,
            head_connections_max: 16,
            list_connections_max: 16,
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(10),
            list_ttl: Duration::from_secs(30),
            absent_ttl: Duration::from_secs(10),
            ca_file: None,
            names: Names::default(),
        }
    }
}

impl Config {
    /// When a question that is asked now must be over.
    fn request_end(&self) -> tokio::time::Instant {
        let three = self.head_timeout.saturating_mul(3);
        let time = self.request_timeout.unwrap_or_else(|| three.saturating_add(PAUSES));
        tokio::time::Instant::now() + time
    }
}

/// A read of one key.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    /// Where.
    pub upstream: &'a Upstream,
    /// What.
    pub key: &'a ObjectKey,
    /// How.
    pub method: ReadMethod,
    /// The client's headers, of which only `Range` and the conditions (`If-…`) are passed on.
    /// Empty for reads of our own.
    pub headers: &'a HeaderMap,
    /// Which stages asked us.
    pub hops: &'a Hops,
}

/// An answer to a read: 200, 206, 304, 412 or 416. There is no 404 here: see [`Client::read`].
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// What may be passed on of its headers: `ETag`, `Last-Modified`, `Content-*`, `Cache-Control`,
    /// `Expires`, `Accept-Ranges`, `x-amz-meta-*`, `x-amz-checksum-*`, `x-goog-meta-*`, `x-goog-hash`.
    pub headers: HeaderMap,
    /// The same, understood.
    pub remote: Remote,
    /// The bytes. Dropping it ends the transfer.
    pub body: Body,
}

/// An object as an upstream, or an imported index, describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its key here.
    pub key: ObjectKey,
    /// The size of the whole object; `None` if upstream does not say it.
    pub size_bytes: Option<u64>,
    /// Its tag; made of size and time where upstream has none or only a weak one.
    pub etag: ETag,
    /// When it was written, in whole seconds, so that listings and heads agree.
    pub modified: Timestamp,
    /// Its headers and user metadata; empty in listings.
    pub metadata: Metadata,
    /// The MD5 of its bytes: from `x-goog-hash`, or from a tag that is one.
    pub md5: Option<[u8; 16]>,
    /// The CRC-32C of its bytes: from `x-goog-hash`.
    pub crc32c: Option<u32>,
}

/// Which page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListAsk {
    /// Only keys that begin with this.
    pub prefix: String,
    /// What rolls keys up, if anything.
    pub delimiter: Option<String>,
    /// Behind this text; empty for the beginning. It need not be a key.
    pub start_after: String,
    /// The most entries, at most 1,000.
    pub keys_max: usize,
}

/// A page of an upstream's listing, in the order of the bytes of its keys. Pages are cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// Keys and common prefixes, merged in order.
    pub entries: Vec<ListEntry>,
    /// Whether more follow; the next page begins behind the last entry. A page that is truncated
    /// has entries.
    pub truncated: bool,
}

/// One entry of an upstream's listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListEntry {
    /// A key.
    Object(Box<Remote>),
    /// All keys that begin with this.
    CommonPrefix(String),
}

/// What a plain server shows of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPage {
    /// Whether it says that it is JSON; else it is taken for HTML.
    pub json: bool,
    /// The document.
    pub text: Vec<u8>,
}

/// How an upstream is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    /// [`Upstream::name`].
    pub name: String,
    /// Whether its breaker is open: it counts as down and is left alone.
    pub down: bool,
    /// What happened last, if that was a failure.
    pub last_error: Option<String>,
    /// Requests that were sent, tries counted one by one.
    pub requests: u64,
    /// Of these, how many failed.
    pub failures: u64,
    /// Bytes of bodies that came.
    pub bytes: u64,
}

/// Why an upstream did not answer. Each names the upstream. There is no "not found" here.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// 504: it did not answer in time.
    #[error("{upstream} did not answer within the time allowed")]
    TimedOut {
        /// Its name.
        upstream: String,
    },
    /// 504: it was not asked, since as many requests as may be were under way for the time allowed.
    #[error(
        "{upstream} was not asked: too many requests of this stage were under way there ({setting} in [upstream])"
    )]
    Busy {
        /// Its name.
        upstream: String,
        /// Which setting says how many may be.
        setting: &'static str,
    },
    /// 502: no connection, a connection that broke, a status that is not an answer, a body that was
    /// cut off, a listing that does not read.
    #[error("{upstream} {problem}")]
    Bad {
        /// Its name.
        upstream: String,
        /// What it did.
        problem: String,
    },
    /// 503: it failed so often that it is left alone for a while.
    #[error("{upstream} is down and is left alone for now: {last}")]
    Down {
        /// Its name.
        upstream: String,
        /// What it did last.
        last: String,
    },
    /// 508: the request has been here before.
    #[error("{upstream} leads back to this stage: its fallback and ours form a loop")]
    Loop {
        /// Its name.
        upstream: String,
    },
    /// 404: no address can name the key.
    #[error(transparent)]
    NotMappable(#[from] crate::fallback::NotMappable),
}
