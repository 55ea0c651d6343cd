//! `understudy export`.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::failure::{Failure, complain};
use super::flags;
use super::print;
use super::serve::data_dir;
use super::transfer::{Teller, told, with_snapshot};
use crate::config::{Environment, Settings};
use crate::model::SnapshotName;
use crate::store::transfer::{self, Moved};

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
            write_whole(file, |output| transfer::export(&folder, name, output, tell))
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

/// Writes a file whole or not at all.
fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut std::fs::File) -> Result<Moved, transfer::Error>,
) -> Result<Moved, Failure> {
    let failed = |error: io::Error| Failure::Usage(format!("cannot write {}: {error}", path.display()));
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let moved = write(file.as_file_mut())?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(moved)
}
