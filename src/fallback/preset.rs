//! Configurations to start from, as text that a person can read and edit.

/// Production's and staging's buckets, hosts and the `pub/` tree of Mozilla.
pub const MOZILLA: &str = include_str!("../../docker/mozilla.toml");
