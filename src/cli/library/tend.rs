//! `understudy library renew | reset | logs`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::checkout::due;
use super::lookup::{asleep, find, held, minute, store};
use super::{Loan, Named, with};
use crate::cli::failure::{Failure, chain};
use crate::cli::{json_text, print};
use crate::clock::Clock;
use crate::config::{Environment, Span};
use crate::library::engine::Engine;
use crate::library::{FIRST_SNAPSHOT, Run};

/// The arguments of `library renew`.
#[derive(Debug, Args)]
#[command(after_help = "\
What a sweep has stopped is started again.

Examples:
  understudy library renew nick-83
  understudy library renew nick-83 --due 14d")]
pub(in crate::cli) struct Renew {
    #[command(flatten)]
    named: Named,
    /// For how long, from now [default: as long as at first, but never shorter than it is already]
    #[arg(long, value_name = "TIME")]
    due: Option<Span>,
    /// What came of it as JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `library reset`.
#[derive(Debug, Args)]
#[command(after_help = "\
Everything that was written, deleted or cached since the snapshot is gone; other snapshots stay.

Examples:
  understudy library reset nick-83                 as it was checked out
  understudy library reset nick-83 --to after-82")]
pub(in crate::cli) struct Reset {
    #[command(flatten)]
    named: Named,
    /// The snapshot [default: the one of the checkout]
    #[arg(long, value_name = "SNAPSHOT")]
    to: Option<String>,
    /// What came of it as JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `library logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  understudy library logs nick-83 --tail 50
  understudy library logs nick-83 --follow --companion balrog")]
pub(in crate::cli) struct Logs {
    #[command(flatten)]
    named: Named,
    /// Go on with what will be logged
    #[arg(long)]
    follow: bool,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
    /// Of a companion instead of the store
    #[arg(long, value_name = "NAME")]
    companion: Option<String>,
}

/// Keeps a stage for longer.
pub(super) fn renew(arguments: &Renew, environment: &Environment) -> Result<ExitCode, Failure> {
    let name = &arguments.named.name;
    let due = with(environment, async |engine| {
        let held = held(&engine.inventory().await?, name)?;
        let now = Clock::System.now();
        let due = match arguments.due {
            Some(span) => due(now, span.duration())?,
            None => due(now, held.lease.span())?.max(held.card.due),
        };
        engine.write_card(&held.loan, &held.card.renewed(due)).await?;
        if held.card.stopped.is_some() {
            wake(engine, &held.loan).await.map_err(|failure| {
                let until = minute(due);
                Failure::Refused(format!(
                    "{name} is yours until {until} UTC, but it cannot be started: {}",
                    chain(&failure)
                ))
            })?;
        }
        Ok(due)
    })?;
    print(&if arguments.json {
        json_text(&json!({ "name": name, "due": due.iso().to_string() }))
    } else {
        format!("{name} is yours until {} UTC\n", minute(due))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Starts the containers of a stage in the order of its checkout, each when those before it are well.
async fn wake(engine: &Engine, loan: &Loan) -> Result<(), Failure> {
    let store = store(loan)?;
    let companions = loan.companions.iter().map(|container| container.name.clone());
    for container in std::iter::once(store).chain(companions) {
        engine.start(&container).await?;
        engine.await_health(&container).await?;
    }
    Ok(())
}

/// Takes a stage back to a snapshot.
pub(super) fn reset(arguments: &Reset, environment: &Environment) -> Result<ExitCode, Failure> {
    let (name, to) = (&arguments.named.name, arguments.to.as_deref().unwrap_or(FIRST_SNAPSHOT));
    with(environment, async |engine| {
        let held = held(&engine.inventory().await?, name)?;
        let container = store(&held.loan)?;
        if held.loan.store.as_ref().is_some_and(|store| store.run != Run::Running) {
            return Err(asleep(&held.loan));
        }
        engine.done_in(&container, &["snapshot", "restore", to]).await?;
        Ok(())
    })?;
    print(&if arguments.json {
        json_text(&json!({ "name": name, "snapshot": to }))
    } else if arguments.to.is_some() {
        format!("{name} is as it was at {to}\n")
    } else {
        format!("{name} is as it was checked out\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the log of a stage; of one that is half-made, too.
pub(super) fn logs(arguments: &Logs, environment: &Environment) -> Result<ExitCode, Failure> {
    let name = &arguments.named.name;
    with(environment, async |engine| {
        let loan = find(&engine.inventory().await?, name)?;
        let container = match &arguments.companion {
            None => store(&loan)?,
            Some(companion) => {
                let wanted = name.companion(companion);
                let found = loan.companions.iter().find(|container| container.name == wanted);
                let unknown = || Failure::Usage(format!("{name} has no companion {companion:?}"));
                found.ok_or_else(unknown)?.name.clone()
            }
        };
        let mut output = std::io::stdout().lock();
        let mut written = Ok(());
        engine
            .logs(&container, arguments.tail, arguments.follow, |line| {
                if written.is_ok() {
                    written = output.write_all(line).and_then(|()| output.flush());
                }
                written.is_ok()
            })
            .await?;
        // A reader that has gone has seen enough.
        match written {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::io("cannot write to standard output", error))
            }
            _ => Ok(()),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
