//! `understudy fork`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::HumanCount;

use super::failure::Failure;
use super::flags;
use super::print;
use super::transfer::{Teller, told, with_snapshot};
use crate::config::Environment;
use crate::model::SnapshotName;
use crate::store::transfer;

/// The arguments of `fork`.
#[derive(Debug, Args)]
#[command(after_help = "\
The new stage has the same objects, tombstones and uploads. Its blobs are hard links where both folders are
on one file system, so it costs a copy of the index; what is written or deleted in one is not in the other.
It makes credentials of its own at its first start, and has no snapshots.

The first stage may be in service: its server is asked for a snapshot, which goes afterwards. With
--snapshot nobody is asked.

Examples:
  understudy fork understudy-data rehearsal-2
  understudy fork /stages/firefox-141/data /stages/firefox-142/data --snapshot after-141")]
pub(super) struct Arguments {
    /// The data folder of the first stage
    #[arg(value_name = "DATA-DIR")]
    from: PathBuf,
    /// The data folder to make; it must be empty or not there
    #[arg(value_name = "NEW-DIR")]
    to: PathBuf,
    /// The state to begin with [default: the present]
    #[arg(long, value_name = "NAME", value_parser = SnapshotName::parse)]
    snapshot: Option<SnapshotName>,
    /// What came of it as JSON
    #[arg(long)]
    json: bool,
}

/// Forks a stage.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let Arguments { from, to, snapshot, json } = arguments;
    let target = flags::Target::of_folder(from);
    let moved = with_snapshot(from, snapshot.as_ref(), &target, environment, |name| {
        let mut teller = Teller::new();
        let forked = transfer::fork(from, name, to, |progress| teller.tell(progress));
        teller.finish();
        Ok(forked?)
    })?;
    print(&if *json {
        super::json_text(&moved)
    } else {
        let shared = if moved.shared == moved.blobs {
            "all shared".to_owned()
        } else {
            format!("{} shared, the rest copied", HumanCount(moved.shared))
        };
        format!("{}: {}, {shared}\n", to.display(), told(&moved))
    })?;
    Ok(ExitCode::SUCCESS)
}
