//! The command line: one file per command, what is printed for people, and exit codes.
//!
//! Not here: what a command does beyond asking a room for it and telling what came of it.

mod check;
mod config;
mod credential;
mod explain;
mod export;
mod failure;
mod flags;
mod fork;
mod fsck;
mod heartbeat;
mod import;
mod keys;
mod library;
mod ls;
mod presign;
mod receipt;
mod release;
mod scrub;
mod seed;
mod serve;
mod serving;
mod snapshot;
mod stage;
#[cfg(test)]
mod tests;
mod transfer;
mod undelete;
mod upstream;
mod welcome;
mod whole_file;
mod wire;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::failure::Failure;
use crate::config::Environment;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "understudy",
    version,
    about = "A stand-in for production artifact buckets: S3 on your machine, production behind it",
    long_about = "A stand-in for production artifact buckets.\n\n\
                  Without a command it serves: S3 for beetmover, SDKs and the AWS CLI, plain paths for release tools, \
                  and redirects to production for what is not here.",
    args_conflicts_with_subcommands = true,
    // As long as the longest line of the texts below, which would otherwise be broken a second time.
    term_width = 110,
    after_help = SETTINGS_HELP
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Arguments,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until told to stop (what happens without a command, too)
    Serve(serve::Arguments),
    /// Look at settings: check them, show them, or print a preset to start from
    #[command(subcommand)]
    Config(config::Command),
    /// Say which fallback rule decides about a key that is not here, and why; nothing is asked
    Explain(explain::Arguments),
    /// Make a link that lets its holder read or write one object for a while
    Presign(presign::Arguments),
    /// Make a credential: a key file for clients of Google Cloud Storage
    #[command(subcommand)]
    Credential(credential::Command),
    /// Ask a running server for its health
    Check(check::Arguments),
    /// List what is stored here, or what was deleted here
    Ls(ls::Arguments),
    /// Let production show again what was deleted here
    Undelete(undelete::Arguments),
    /// Say what was done with the stage, and what it holds
    Receipt(receipt::Arguments),
    /// Copy objects into the stage: from a folder, a tar file, a bucket or a server's index
    Seed(seed::Arguments),
    /// Keep states of the stage, go back to them, compare them
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    /// Make an independent stage of this one, without copying its blobs
    Fork(fork::Arguments),
    /// Put a whole stage into one file
    Export(export::Arguments),
    /// Make a stage of what was exported
    Import(import::Arguments),
    /// What is known of production: import lists of it, and say how it is
    #[command(subcommand)]
    Upstream(upstream::Command),
    /// Compare the index with the blobs, on a data folder that no server has open
    Fsck(fsck::Arguments),
    /// Stages as containers: check one out for a release, find it, renew it, return it
    #[command(subcommand)]
    Library(library::Command),
}

/// What the help of every command that takes settings ends with.
const SETTINGS_HELP: &str = "\
Every flag has a variable, and a file may say the same (see `understudy config preset mozilla`
and docker/understudy.toml). The first that says something decides: flag, environment, file,
preset, default. The log goes to standard error: UNDERSTUDY_LOG=info|debug|..., and
UNDERSTUDY_LOG_FORMAT=text|mozlog.

Examples:
  understudy                                       127.0.0.1:8000, data in ./understudy-data
  understudy serve --bucket stage --anonymous read
  understudy serve --preset mozilla --ephemeral
  understudy config show --json";

/// Runs the command line of this process and gives its exit code.
pub fn main() -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    run(std::env::args_os(), &environment)
}

/// Runs a command line.
fn run(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = match CommandLine::try_parse_from(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return misused(&error, &arguments),
    };
    let done = match parsed.command {
        None => serve::run(&parsed.serve, environment),
        Some(Command::Serve(arguments)) => serve::run(&arguments, environment),
        Some(Command::Config(command)) => config::run(&command, environment),
        Some(Command::Explain(arguments)) => explain::run(&arguments, environment),
        Some(Command::Presign(arguments)) => presign::run(&arguments, environment),
        Some(Command::Credential(command)) => credential::run(&command, environment),
        Some(Command::Check(arguments)) => check::run(&arguments, environment),
        Some(Command::Ls(arguments)) => ls::run(&arguments, environment),
        Some(Command::Undelete(arguments)) => undelete::run(&arguments, environment),
        Some(Command::Receipt(arguments)) => receipt::run(&arguments, environment),
        Some(Command::Seed(arguments)) => seed::run(&arguments, environment),
        Some(Command::Snapshot(command)) => snapshot::run(&command, environment),
        Some(Command::Fork(arguments)) => fork::run(&arguments, environment),
        Some(Command::Export(arguments)) => export::run(&arguments, environment),
        Some(Command::Import(arguments)) => import::run(&arguments),
        Some(Command::Upstream(command)) => upstream::run(&command, environment),
        Some(Command::Fsck(arguments)) => fsck::run(&arguments, environment),
        Some(Command::Library(command)) => library::run(&command, environment),
    };
    done.unwrap_or_else(|failure| failure.tell())
}

/// A command line that does not read, or that asks for help.
fn misused(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    // Nothing else can be done if even this cannot be printed.
    drop(error.print());
    let asks_health = arguments.get(1).is_some_and(|command| command == "check");
    match (error.use_stderr(), asks_health) {
        (false, _) => ExitCode::SUCCESS,
        // Monitoring reads 2 as "critical"; a wrong flag says nothing about the server.
        (true, true) => ExitCode::from(check::UNKNOWN),
        (true, false) => ExitCode::from(2),
    }
}

/// Writes to standard output. A reader that has gone is no reason to complain.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::io("cannot write to standard output", error))
        }
        _ => Ok(()),
    }
}

/// A document over several lines, for people and scripts.
fn json_text(document: &impl serde::Serialize) -> String {
    // Documents are plain data: numbers, names and text.
    serde_json::to_string_pretty(document).map_or_else(|_| String::new(), |text| text + "\n")
}

/// A document on one line.
fn json_line(document: &impl serde::Serialize) -> String {
    serde_json::to_string(document).map_or_else(|_| String::new(), |text| text + "\n")
}

/// A key as a terminal may have it: on one line, and without commands to the terminal.
fn plain(key: &str) -> String {
    key.chars().fold(String::new(), |mut text, letter| {
        if letter.is_control() {
            text.extend(letter.escape_default());
        } else {
            text.push(letter);
        }
        text
    })
}
