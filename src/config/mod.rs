//! Settings: the configuration file, the environment and the flags put together into the types of
//! the rooms that they are for, each value with where it came from.
//!
//! The first that says something decides: flag, environment, file, preset, default. Every layer is
//! checked by itself, so that what is wrong is told with its file and line, variable or flag.
//! Not here: what a setting means (its room), and reading the command line (`cli`).

pub mod credentials;
mod environment;
mod error;
mod file;
mod flags;
mod grammar;
mod layer;
mod listen;
mod origin;
mod production;
mod settings;
mod show;
#[cfg(test)]
mod tests;
mod units;

pub use environment::Environment;
pub use error::Error;
pub use flags::Flags;
pub use listen::{InvalidListen, Listen};
pub use origin::Origin;
pub use settings::{Settings, preset_text, reachable};
pub use units::{InvalidSize, InvalidSpan, Size, Span};
