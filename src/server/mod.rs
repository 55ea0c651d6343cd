//! The way in: the listening socket, TLS, limits and timeouts, which face a request is for, health
//! endpoints, the log, and stopping in good order.
//!
//! Not here: what any dialect means (`s3`, `archive`), where settings come from (`config`), and
//! what is printed for people (`cli`).

mod cidr;
mod config;
mod connection;
mod context;
mod crowd;
mod dockerflow;
mod error;
mod face;
mod faces;
mod forwarded;
mod linger;
mod listener;
mod patience;
mod sip;
mod stop;
pub mod telemetry;
#[cfg(test)]
mod tests;
mod tls;
mod wire_case;

pub use cidr::{Cidr, InvalidCidr};
pub use config::{Config, Limits, TlsFiles};
pub use connection::Arrival;
pub use error::Error;
pub use faces::{Faces, Parts};
pub use listener::{Listener, Stopped};
pub use stop::{Ending, StopSignal, StopSignals};
pub use tls::certificates;
