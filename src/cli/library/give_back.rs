//! `understudy library return`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::lookup::{find, state, store, unheld};
use super::{Loan, Named, with};
use crate::cli::failure::{Failure, chain, complain};
use crate::cli::{json_text, print};
use crate::clock::Clock;
use crate::config::Environment;
use crate::library::Run;
use crate::library::engine::Engine;

/// The arguments of `library return`.
#[derive(Debug, Args)]
#[command(after_help = "\
The receipt says what was uploaded, overwritten and read from production. Then the containers, the network
and the volume are removed: what was not exported is gone.

Examples:
  understudy library return nick-83
  understudy library return nick-83 --keep-export nick-83.tar.zst     for `understudy import`")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// Write the whole stage to this file first; it must not be there yet
    #[arg(long, value_name = "FILE")]
    keep_export: Option<PathBuf>,
    /// Return it also if it cannot be asked for its receipt
    #[arg(long)]
    without_receipt: bool,
    /// The receipt and what was done as a JSON object
    #[arg(long)]
    json: bool,
}

/// What is left of a stage that was returned.
pub(super) struct Returned {
    pub(super) receipt: Result<String, String>,
    export: Option<u64>,
}

/// Returns a stage.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let name = &arguments.named.name;
    let returned = with(environment, async |engine| {
        let loan = find(&engine.inventory().await?, name)?;
        if loan.card.is_none() && loan.broken_cards.is_empty() {
            return Err(unheld(&loan));
        }
        let wish = Wish {
            keep_export: arguments.keep_export.as_deref(),
            json: arguments.json,
            without_receipt: arguments.without_receipt,
        };
        give_back(engine, &loan, wish).await
    })?;
    if let Err(reason) = &returned.receipt {
        complain(&format!("understudy: there is no receipt: {reason}"));
    }
    let receipt = returned.receipt.as_deref().ok();
    print(&if arguments.json {
        let receipt: Option<Value> = receipt.and_then(|text| serde_json::from_str(text).ok());
        let file = arguments.keep_export.as_ref().map(|path| path.display().to_string());
        json_text(
            &json!({ "name": name, "receipt": receipt, "export": file, "export_bytes": returned.export }),
        )
    } else {
        let export =
            arguments.keep_export.as_ref().zip(returned.export).map_or_else(String::new, |(path, bytes)| {
                format!("{} has everything ({})\n", path.display(), HumanBytes(bytes))
            });
        format!("{}{export}{name} is returned\n", receipt.unwrap_or_default())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// How a stage is returned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// Where its content goes.
    pub(super) keep_export: Option<&'a Path>,
    /// Whether the receipt is JSON.
    pub(super) json: bool,
    /// Whether it goes without a receipt, too.
    pub(super) without_receipt: bool,
}

/// Takes the receipt and the export, and removes the stage. Without its export nothing is removed, and
/// without its receipt only what has lost the container or the volume that would know it.
pub(super) async fn give_back(engine: &Engine, loan: &Loan, wish: Wish<'_>) -> Result<Returned, Failure> {
    let receipt = match receipt(engine, loan, wish.json).await {
        Ok(text) => Ok(text),
        Err(failure) if wish.without_receipt || !loan.is_whole() => Err(chain(&failure)),
        Err(failure) => {
            return Err(Failure::Refused(format!(
                "{}; so there is no receipt, and nothing was removed: `understudy library return {} \
                 --without-receipt` does without",
                chain(&failure),
                loan.name
            )));
        }
    };
    let export = match wish.keep_export {
        Some(path) => Some(export(engine, loan, path).await?),
        None => None,
    };
    engine.remove(loan, Clock::System.now()).await?;
    Ok(Returned { receipt, export })
}

async fn receipt(engine: &Engine, loan: &Loan, json: bool) -> Result<String, Failure> {
    let container = awake(engine, loan).await?;
    let arguments: &[&str] = if json { &["receipt", "--json"] } else { &["receipt"] };
    Ok(engine.done_in(&container, arguments).await?)
}

/// The store's container, running: it can only then be asked.
async fn awake(engine: &Engine, loan: &Loan) -> Result<String, Failure> {
    let container = store(loan)?;
    if loan.volume.is_none() {
        return Err(Failure::Refused(format!("{} is {}", loan.name, state(loan))));
    }
    if loan.store.as_ref().is_some_and(|store| store.run != Run::Running) {
        engine.start(&container).await?;
        engine.await_health(&container).await?;
    }
    Ok(container)
}

async fn export(engine: &Engine, loan: &Loan, path: &Path) -> Result<u64, Failure> {
    let unwritable =
        |error: std::io::Error| Failure::Usage(format!("cannot write {}: {error}", path.display()));
    if path.exists() {
        return Err(Failure::Usage(format!("{} is there already: name another file", path.display())));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A kill leaves it: what it is the beginning of is to be seen, as it may be large.
    let mut part = path.file_name().unwrap_or_default().to_owned();
    part.push(".part-");
    let mut file = tempfile::Builder::new().prefix(&part).tempfile_in(folder).map_err(unwritable)?;
    let container = awake(engine, loan).await?;
    // By its standard output: a stage that is full has no space for an export.
    let length_bytes = engine.fetch(&container, &["export", "-"], &mut file).await?;
    file.as_file().sync_all().map_err(unwritable)?;
    file.persist_noclobber(path).map_err(|error| unwritable(error.error))?;
    Ok(length_bytes)
}
