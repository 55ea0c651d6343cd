//! The view of production, end to end: a real stage before upstreams that behave and that do not.
//!
//! The hostile upstream is `harness/hostile`; `peer` and the programs of `integration/python` use
//! moto, an S3 server that is not ours. No test waits for time to pass: what has to come later is
//! held by a gate, and what has to have come is awaited.

#[path = "../harness/hostile/mod.rs"]
mod hostile;
#[expect(dead_code, reason = "no client here ends its request early")]
#[path = "../harness/http.rs"]
mod http;
#[expect(dead_code, reason = "commands are run with an environment of their own here")]
#[path = "../harness/python.rs"]
mod python;
#[expect(dead_code, reason = "what a server prints is read by other tests")]
#[path = "../harness/server.rs"]
mod server;
#[expect(dead_code, reason = "chunks are signed by other tests")]
#[path = "../harness/sigv4.rs"]
mod sigv4;

mod beetmover;
mod cache;
mod clients;
mod copies;
mod crowd;
mod headers;
mod inventory;
mod listing;
mod listing_pages;
mod loops;
mod modes;
mod names;
mod pages;
mod peer;
mod proxy;
mod redirects;
mod stage;
mod tombstones;
mod trouble;
mod update_task;
mod versions;
