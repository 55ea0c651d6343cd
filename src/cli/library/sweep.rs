//! `understudy library sweep`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::give_back::{Wish, give_back};
use super::lookup::minute;
use super::{Card, Loan, with};
use crate::cli::failure::{Failure, chain, complain};
use crate::cli::{json_line, plain, print};
use crate::clock::Clock;
use crate::config::{Environment, Span};
use crate::library::engine::{Engine, Error};
use crate::library::{Action, StageName, action};

/// The arguments of `library sweep`.
#[derive(Debug, Args)]
#[command(after_help = "\
For a timer. Each sweep takes one step with a stage that is overdue: it says so, later (after half of the
time of grace) it stops it, and when the grace is over it returns it. Renewing begins anew.

Exit code: 0 done, 1 something could not be done.

Examples:
  understudy library sweep --dry-run
  understudy library sweep --grace 5d --json")]
pub(in crate::cli) struct Arguments {
    /// Only these stages [default: all]
    #[arg(value_name = "NAME", value_parser = super::parse_name)]
    names: Vec<StageName>,
    /// How long after its time a stage is returned
    #[arg(long, value_name = "TIME", default_value = "3d")]
    grace: Span,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// A JSON object on each line
    #[arg(long)]
    json: bool,
}

/// What was done with a stage.
#[derive(Debug, Serialize)]
struct Told<'loan> {
    name: &'loan StageName,
    action: Action,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    person: Option<&'loan str>,
    due: String,
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Value>,
}

/// Sweeps.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let all_done = with(environment, async |engine| {
        let mut all_done = true;
        let loans = engine.inventory().await?.loans();
        let names = loans.into_iter().map(|loan| loan.name);
        for name in names.filter(|name| arguments.names.is_empty() || arguments.names.contains(name)) {
            // A return takes its time, and who renews meanwhile shall keep the next one.
            let Some(loan) = engine.inventory().await?.loan(&name) else { continue };
            let now = Clock::System.now();
            let Some(card) = &loan.card else { continue };
            let Some(action) = action(card, now, arguments.grace.duration()) else { continue };
            let mut told = Told {
                name: &loan.name,
                action,
                person: loan.lease.as_ref().ok().map(|lease| lease.person.as_str()),
                due: card.due.iso().to_string(),
                done: false,
                error: None,
                receipt: None,
            };
            if !arguments.dry_run {
                match act(engine, &loan, card, action, arguments.json).await {
                    Ok(receipt) => (told.done, told.receipt) = (true, receipt),
                    // It was renewed or returned just now; the next sweep sees what is left to do.
                    Err(Failure::Library(Error::Raced(_))) => continue,
                    Err(failure) => (all_done, told.error) = (false, Some(chain(&failure))),
                }
            }
            print(&if arguments.json { json_line(&told) } else { text(&told, card, arguments) })?;
        }
        Ok(all_done)
    })?;
    Ok(if all_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes the step, and writes it down on the card.
async fn act(
    engine: &Engine,
    loan: &Loan,
    card: &Card,
    action: Action,
    json: bool,
) -> Result<Option<Value>, Failure> {
    let now = Clock::System.now();
    match action {
        Action::Warn => {
            engine.write_card(loan, &card.with_warning(now)).await?;
        }
        Action::Stop => {
            // The card first: whoever looks in between sees that it is meant to be stopped.
            engine.write_card(loan, &card.with_stop(now)).await?;
            for container in loan.companions.iter().chain(&loan.store) {
                engine.stop(&container.name).await?;
            }
        }
        Action::Return => {
            let wish = Wish { keep_export: None, json, without_receipt: false };
            let returned = give_back(engine, loan, wish).await?;
            match returned.receipt {
                Ok(text) => return Ok(serde_json::from_str(&text).ok().or(Some(Value::String(text)))),
                Err(reason) => complain(&format!("understudy: {}: there is no receipt: {reason}", loan.name)),
            }
        }
    }
    Ok(None)
}

fn text(told: &Told<'_>, card: &Card, arguments: &Arguments) -> String {
    let (name, due) = (told.name, minute(card.due));
    let person = told.person.map_or_else(|| "somebody".to_owned(), plain);
    if let Some(error) = &told.error {
        return format!("{name} is overdue since {due} UTC, for {person}: {error}\n");
    }
    let words = match (told.action, arguments.dry_run) {
        (Action::Warn, _) => "return it or renew it",
        (Action::Stop, false) => "it is stopped; nothing is lost yet",
        (Action::Stop, true) => "it would be stopped",
        (Action::Return, false) => "it is returned",
        (Action::Return, true) => "it would be returned",
    };
    let receipt = told.receipt.as_ref().and_then(Value::as_str).unwrap_or_default();
    format!("{name} is overdue since {due} UTC, for {person}: {words}\n{receipt}")
}
