//! `understudy library …`: stages as containers, checked out and returned like books.

mod checkout;
mod doctor;
mod give_back;
mod list;
mod lookup;
mod show;
mod sweep;
mod tend;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::failure::Failure;
use crate::config::Environment;
use crate::library::engine::Engine;
use crate::library::{Card, InvalidStageName, Inventory, Lease, Loan, StageName};

/// The commands below `library`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a stage of your own: a container with a volume, a network, keys and perhaps companions
    Checkout(Box<checkout::Arguments>),
    /// List the stages that are checked out
    List(list::Arguments),
    /// Say everything about one stage but its keys
    Show(show::Show),
    /// Print the variables by which clients find a stage; they hold its keys
    Env(show::Env),
    /// Keep a stage for longer
    Renew(tend::Renew),
    /// Take a stage back to one of its snapshots
    Reset(tend::Reset),
    /// Print the log of a stage
    Logs(tend::Logs),
    /// Give a stage back: prints its receipt and removes everything of it
    Return(give_back::Arguments),
    /// Remind of stages that are overdue, then stop them, then return them
    Sweep(sweep::Arguments),
    /// Find what checkouts and returns left behind that did not end, and mend it
    Doctor(doctor::Arguments),
}

/// Which stage.
#[derive(Debug, Clone, Args)]
struct Named {
    /// The stage
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: StageName,
}

fn parse_name(text: &str) -> Result<StageName, InvalidStageName> {
    StageName::parse(text)
}

/// Runs a command below `library`.
pub(super) fn run(command: &Command, environment: &Environment) -> Result<ExitCode, Failure> {
    match command {
        Command::Checkout(arguments) => checkout::run(arguments, environment),
        Command::List(arguments) => list::run(arguments, environment),
        Command::Show(arguments) => show::show(arguments, environment),
        Command::Env(arguments) => show::env(arguments, environment),
        Command::Renew(arguments) => tend::renew(arguments, environment),
        Command::Reset(arguments) => tend::reset(arguments, environment),
        Command::Logs(arguments) => tend::logs(arguments, environment),
        Command::Return(arguments) => give_back::run(arguments, environment),
        Command::Sweep(arguments) => sweep::run(arguments, environment),
        Command::Doctor(arguments) => doctor::run(arguments, environment),
    }
}

/// Does the work of a command with the engine.
fn with<T>(
    environment: &Environment,
    work: impl AsyncFnOnce(&Engine) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::io("cannot start", source))?;
    let host = environment.get("DOCKER_HOST").map(|host| host.trim());
    let done = runtime.block_on(async {
        let engine = Engine::connect(host).await?;
        work(&engine).await
    });
    runtime.shutdown_background();
    done
}
