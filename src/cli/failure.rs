//! Why a command ended without having done its work, and how that is told.

use std::error::Error;
use std::io;
use std::process::ExitCode;

/// Why a command ended without having done its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    #[error(transparent)]
    Telemetry(#[from] crate::server::telemetry::TelemetryError),
    #[error(transparent)]
    Server(#[from] crate::server::Error),
    #[error(transparent)]
    Open(#[from] crate::store::OpenError),
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    #[error(transparent)]
    Transfer(#[from] crate::store::transfer::Error),
    #[error(transparent)]
    Fsck(#[from] crate::store::fsck::Error),
    #[error(transparent)]
    Credentials(#[from] crate::protocol::auth::DuplicateAccessKeyId),
    #[error(transparent)]
    Mint(#[from] crate::gcs::MintError),
    #[error(transparent)]
    Presign(#[from] crate::sigv4::presign::PresignError),
    #[error(transparent)]
    Library(#[from] crate::library::engine::Error),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error(transparent)]
    Unasked(#[from] super::wire::Unasked),
    #[error(transparent)]
    Upstream(#[from] crate::upstream::Error),
    /// The stage did not do what was asked, in its own words.
    #[error("{0}")]
    Refused(String),
    /// Something that only the person at the command line can put right.
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// A failure of the system while doing `what`.
    pub(super) fn io(what: &'static str, source: io::Error) -> Self {
        Self::Io { what, source }
    }

    /// Tells it on standard error and gives the exit code.
    pub(super) fn tell(&self) -> ExitCode {
        complain(&format!("understudy: {}", chain(self)));
        ExitCode::FAILURE
    }
}

/// A line on standard error, for what happens where there is no log.
#[expect(clippy::print_stderr, reason = "what the log is for may not have been read yet")]
pub(super) fn complain(line: &str) {
    eprintln!("{line}");
}

/// An error with its causes, but for those that it has named already.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}
