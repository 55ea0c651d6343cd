//! `understudy library list`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Args;

use super::lookup::{GRACE, Told, minute, state};
use super::{Loan, with};
use crate::cli::failure::Failure;
use crate::cli::{json_line, plain, print};
use crate::clock::Clock;
use crate::config::Environment;
use crate::library::Standing;
use crate::model::Timestamp;

/// The arguments of `library list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Times are UTC. The same engine shows the same library on every machine.

Examples:
  understudy library list
  understudy library list --json | jq -r 'select(.standing == \"overdue\") | .lease.for'")]
pub(in crate::cli) struct Arguments {
    /// A JSON object on each line
    #[arg(long)]
    json: bool,
}

/// Lists.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let inventory = with(environment, async |engine| Ok(engine.inventory().await?))?;
    let (loans, now) = (inventory.loans(), Clock::System.now());
    if arguments.json {
        return print(&loans.iter().map(|loan| json_line(&Told::of(loan, now))).collect::<String>())
            .map(|()| ExitCode::SUCCESS);
    }
    if loans.is_empty() {
        print("nothing is checked out\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&table(&loans, now, coloured(environment)))?;
    Ok(ExitCode::SUCCESS)
}

/// https://no-color.org
fn coloured(environment: &Environment) -> bool {
    std::io::stdout().is_terminal() && environment.get("NO_COLOR").is_none_or(String::is_empty)
}

fn table(loans: &[Loan], now: Timestamp, coloured: bool) -> String {
    let head = ["NAME", "FOR", "RELEASE", "STATE", "DUE (UTC)", "ADDRESS"].map(str::to_owned);
    let rows: Vec<[String; 6]> =
        std::iter::once(head).chain(loans.iter().map(|loan| row(loan, now))).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let standings = std::iter::once(None).chain(loans.iter().map(|loan| standing(loan, now)));
    for (row, standing) in rows.iter().zip(standings) {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let line = cells.join("  ");
        let colour = match standing {
            Some(Standing::DueSoon) => Some("33"),
            Some(Standing::Overdue | Standing::GraceOver) => Some("31"),
            Some(Standing::Ok) | None => None,
        };
        match colour.filter(|_| coloured) {
            Some(colour) => text.extend(["\u{1b}[", colour, "m", line.trim_end(), "\u{1b}[0m\n"]),
            None => text.extend([line.trim_end(), "\n"]),
        }
    }
    text
}

fn standing(loan: &Loan, now: Timestamp) -> Option<Standing> {
    loan.card.as_ref().map(|card| Standing::of(card.due, now, GRACE))
}

fn row(loan: &Loan, now: Timestamp) -> [String; 6] {
    let lease = loan.lease.as_ref().ok();
    let due = loan.card.as_ref().map_or_else(String::new, |card| {
        let words = match Standing::of(card.due, now, GRACE) {
            Standing::Ok => String::new(),
            late @ (Standing::DueSoon | Standing::Overdue | Standing::GraceOver) => {
                format!(" ({})", late.words())
            }
        };
        minute(card.due) + &words
    });
    [
        loan.name.to_string(),
        lease.map_or_else(String::new, |lease| plain(&lease.person)),
        lease.and_then(|lease| lease.release.as_deref()).map_or_else(|| "-".to_owned(), plain),
        state(loan).to_owned(),
        due,
        loan.address().map_or_else(|| "-".to_owned(), |address| address.authority()),
    ]
}
