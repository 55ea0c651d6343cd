//! understudy: a stand-in for production artifact buckets.
//!
//! The rooms of the house, each importing only from those above it; ARCHITECTURE.md is the map.

pub mod model;

pub mod checksum;
pub mod clock;
pub mod fallback;
pub mod signature;
pub mod sigv2;
pub mod sigv4;
pub mod xml;

pub mod presented;

pub mod upstream;

pub mod store;

pub mod view;

pub mod protocol;

pub mod admin;
pub mod archive;
pub mod gcs;
pub mod s3;

pub mod server;

pub mod config;

pub mod library;

pub mod cli;
