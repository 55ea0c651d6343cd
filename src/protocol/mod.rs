//! What every face shares, above the store: who asks and what they may do, bodies in and out,
//! pages of a listing, the plan of a read, and the request log.
//!
//! Deliberately elsewhere: the words of any one dialect (XML, error codes, routes, operations),
//! SQL and files (`store`), sockets (`server`).

pub mod access;
pub mod allow;
pub mod auth;
pub mod body;
pub mod browser;
pub mod client;
pub mod conditions;
pub mod digest;
pub mod google_hash;
pub mod headers;
pub mod intake;
pub mod limits;
pub mod listing;
pub mod made_tag;
pub mod meter;
pub mod miss;
pub mod outcome;
pub mod query;
pub mod read;
pub mod request;
mod tally;
pub mod trouble;

pub use limits::Config;
