//! `understudy upstream import | index | status`: what is known of production, and how it is.

pub(super) mod crawl;
mod formats;
mod import;
mod index;
mod page;
mod status;

use std::process::ExitCode;

use clap::Subcommand;

use super::failure::Failure;
use crate::config::Environment;

/// The commands below `upstream`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Take in a list of what production holds, for listings and existence without a call
    Import(import::Arguments),
    /// Take in what a server's directory index shows, folder by folder; resumes where it stopped
    Index(index::Arguments),
    /// Say how production is, as the running server finds it
    Status(status::Arguments),
}

/// Runs a command below `upstream`.
pub(super) fn run(command: &Command, environment: &Environment) -> Result<ExitCode, Failure> {
    match command {
        Command::Import(arguments) => import::run(arguments, environment),
        Command::Index(arguments) => index::run(arguments, environment),
        Command::Status(arguments) => status::run(arguments, environment),
    }
}
