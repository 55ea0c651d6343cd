//! What can be wrong with a configuration. Each message names the place, the value and what to do.

use std::io;
use std::path::PathBuf;

use crate::fallback::InvalidFallback;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The data folder's own credentials cannot be read.
    #[error("the data folder's credentials cannot be read by uid {uid} ({}: {source}); {remedy}", path.display())]
    UnreadableCredentials {
        /// The file.
        path: PathBuf,
        /// Who we are.
        uid: u32,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: String,
    },
    /// A line of the file does not read.
    #[error("{}, line {line}{}: {reason}", path.display(), in_key(key.as_deref()))]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key on that line, if it has one.
        key: Option<String>,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// An environment variable has a value that it cannot have.
    #[error("environment variable {name}: {reason}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// A flag has a value that it cannot have.
    #[error("{name}: {reason}")]
    Flag {
        /// Its name.
        name: &'static str,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// No preset has that name.
    #[error("{place}: there is no preset {name:?}; the presets are: mozilla")]
    UnknownPreset {
        /// Where it was chosen.
        place: String,
        /// What was written.
        name: String,
    },
    /// Settings that are fine by themselves do not go together.
    #[error("{place}: {reason}")]
    Conflict {
        /// Which settings, and where they come from.
        place: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A fallback rule refers to what is not there.
    #[error(transparent)]
    Fallback(#[from] InvalidFallback),
    /// The credentials could not be kept in the data folder.
    #[error("cannot keep the generated credentials in {}: {source}. Make the folder writable, or set UNDERSTUDY_ACCESS_KEY_ID and UNDERSTUDY_SECRET_ACCESS_KEY", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("cannot generate credentials: the system gives no random bytes ({0})")]
    Random(getrandom::Error),
}

fn in_key(key: Option<&str>) -> String {
    key.map_or_else(String::new, |key| format!(" ({key})"))
}
