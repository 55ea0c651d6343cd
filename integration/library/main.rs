//! The library of stages, against a real Docker Engine: what is checked out is there and closed to
//! others, what goes wrong leaves nothing, and what is returned is gone.
//!
//! Where no engine answers these tests say so and pass; under `CI=true` that is a failure. Others use
//! the same engine: every stage is called `ut-PID-…`, and nothing else is touched.

#[path = "../container/engine.rs"]
mod engine;
#[expect(dead_code, reason = "production only has files here, and does nothing by a script")]
#[path = "../harness/hostile/mod.rs"]
mod hostile;
#[expect(dead_code, reason = "single headers and codes are not looked at here")]
#[path = "../harness/http.rs"]
mod http;
#[expect(dead_code, reason = "images of clients are for the compose files")]
#[path = "../container/image.rs"]
mod image;
#[expect(dead_code, reason = "programs are run at stages in containers")]
#[path = "../harness/python.rs"]
mod python;
#[expect(dead_code, reason = "only its patience is needed: the server runs in a container")]
#[path = "../harness/server.rs"]
mod server;

mod account;
mod chain;
mod hands;
mod leftovers;
mod receipt;
mod rehearsal;
mod rewind;
mod shelf;
mod stages;
mod sweep;
mod worker;
