//! `understudy import`.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::Failure;
use super::print;
use super::transfer::{Teller, told};
use crate::store::transfer;

/// The arguments of `import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every length and every digest is compared. If anything is not right, or it is stopped, nothing is left that
could be taken for a stage.

Examples:
  understudy import firefox-141.tar.zst /stages/copy && understudy serve --data-dir /stages/copy")]
pub(super) struct Arguments {
    /// What `understudy export` has written; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data folder to make; it must be empty or not there
    #[arg(value_name = "DATA-DIR")]
    to: PathBuf,
    /// What came of it as JSON
    #[arg(long)]
    json: bool,
}

/// Imports a stage.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Arguments { file, to, json } = arguments;
    let mut teller = Teller::new();
    let tell = |progress| teller.tell(progress);
    let imported = if file.as_os_str() == "-" {
        transfer::import(io::stdin().lock(), to, tell)
    } else {
        let opened = File::open(file);
        let opened =
            opened.map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?;
        transfer::import(opened, to, tell)
    };
    teller.finish();
    let moved = imported?;
    print(&if *json {
        super::json_text(&moved)
    } else {
        format!("{}: {} imported\n", to.display(), told(&moved))
    })?;
    Ok(ExitCode::SUCCESS)
}
