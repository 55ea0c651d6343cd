//! `understudy export`.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::failure::{Failure, complain};
use super::flags;
use super::print;
use super::serve::data_dir;
use super::transfer::{Teller, told, with_snapshot};
use super::whole_file;
use crate::config::{Environment, Settings};
use crate::model::SnapshotName;
use crate::store::transfer;

/// The arguments of `export`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is a tar in zstd: a manifest, the index and all blobs, each compared with its digest. Credentials
and other snapshots do not go along. `understudy import` makes a stage of it on any machine.

The stage may be in service: its server is asked for a snapshot, which goes afterwards. With --snapshot
nobody is asked.

Examples:
  understudy export firefox-141.tar.zst
  understudy export firefox-141.tar.zst --snapshot after-141 --data-dir /stages/firefox-141/data
  docker exec stage understudy export - | ssh elsewhere understudy import - /stages/copy")]
pub(super) struct Arguments {
    /// Where to; - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which state [default: the present]
    #[arg(long, value_name = "NAME", value_parser = SnapshotName::parse)]
    snapshot: Option<SnapshotName>,
    /// What came of it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: flags::Place,
}

/// Exports a stage.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let Arguments { file, snapshot, json, place } = arguments;
    let settings = Settings::load(&place.layer()?, environment)?;
    let folder = data_dir(&settings);
    let target = flags::Target::of_place(place);
    let to_stdout = file.as_os_str() == "-";
    if to_stdout && io::stdout().is_terminal() {
        return Err(Failure::Usage("standard output is a terminal: name a file".to_owned()));
    }
    let moved = with_snapshot(&folder, snapshot.as_ref(), &target, environment, |name| {
        let mut teller = Teller::new();
        let tell = |progress| teller.tell(progress);
        let exported = if to_stdout {
            transfer::export(&folder, name, io::stdout().lock(), tell).map_err(Failure::from)
        } else {
            whole_file::write(file, |output| Ok(transfer::export(&folder, name, output, tell)?))
        };
        teller.finish();
        exported
    })?;
    let text = format!("{} exported\n", told(&moved));
    match (to_stdout, json) {
        (true, true) => complain(super::json_line(&moved).trim_end()),
        (true, false) => complain(text.trim_end()),
        (false, true) => print(&super::json_text(&moved))?,
        (false, false) => print(&format!("{}: {text}", file.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}
