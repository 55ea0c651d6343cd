//! `[upstream]` and `[cache]`: how production is asked, and how much of it is kept.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::{Size, Span};
use crate::{upstream, view};

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
        }
    }
}

impl UpstreamTable {
    /// As the room that asks takes it.
    pub(super) fn config(self) -> upstream::Config {
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
        }
    }
}

impl CacheTable {
    /// As the view takes it.
    pub(super) fn config(&self) -> view::Config {
        view::Config { max_bytes: self.max_size.map(Size::bytes), max_age: self.max_age.map(Span::duration) }
    }
}
