//! `understudy library doctor`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::with;
use crate::cli::failure::{Failure, chain};
use crate::cli::{json_line, print};
use crate::clock::Clock;
use crate::config::Environment;
use crate::library::{Finding, Inventory, Maker, Patient, Remedy, StageName, findings};

/// The arguments of `library doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Looked for: checkouts and returns that did not end, helpers, cards and bare volumes that were left behind,
stages that have lost a part, and containers that do not run. What a lease covers is never removed.

Exit code: 0 all is well or mended, 1 something is wrong.

Examples:
  understudy library doctor
  understudy library doctor --fix")]
pub(in crate::cli) struct Arguments {
    /// Only these stages [default: all]
    #[arg(value_name = "NAME", value_parser = super::parse_name)]
    names: Vec<StageName>,
    /// Mend what can be mended
    #[arg(long)]
    fix: bool,
    /// A JSON object on each line
    #[arg(long)]
    json: bool,
}

/// A finding, as it is told.
#[derive(Debug, Serialize)]
struct Told<'finding> {
    name: &'finding StageName,
    finding: Patient,
    message: &'finding str,
    remedies: &'finding [Remedy],
    mended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Looks, and mends if it is asked to.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let is_well = with(environment, async |engine| {
        let inventory = Inventory { bare: engine.bare_volumes().await?, ..engine.inventory().await? };
        let mut found = findings(&inventory, Clock::System.now(), Maker::is_alive);
        found.retain(|finding| arguments.names.is_empty() || arguments.names.contains(&finding.name));
        let mut is_well = true;
        for finding in &found {
            let Finding { name, patient, words, remedies } = finding;
            let mut told =
                Told { name, finding: *patient, message: words, remedies, mended: false, error: None };
            if arguments.fix && !remedies.is_empty() {
                let mut mended = Ok(());
                for remedy in remedies {
                    if mended.is_ok() {
                        mended = engine.mend(remedy).await;
                    }
                }
                told.mended = mended.is_ok();
                told.error = mended.err().map(|error| chain(&error));
            }
            // What is at work is not wrong.
            is_well &= told.mended || *patient == Patient::InProgress;
            print(&if arguments.json { json_line(&told) } else { text(&told, arguments.fix) })?;
        }
        if found.is_empty() && !arguments.json {
            print("all is well\n")?;
        }
        Ok(is_well)
    })?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(told: &Told<'_>, fix: bool) -> String {
    let outcome = match (&told.error, told.mended, told.remedies.is_empty()) {
        (Some(error), ..) => format!(" (not mended: {error})"),
        (None, true, _) => " (mended)".to_owned(),
        (None, false, false) if !fix => " (--fix mends it)".to_owned(),
        (None, false, _) => String::new(),
    };
    format!("{}: {}{outcome}\n", told.name, told.message)
}
